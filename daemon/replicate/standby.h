/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * standby.h - connects one group in Redis with this daemon's calls: as the standby it keeps each
 * call of the owner ready, with its ports open; as the owner it writes the calls to the group.
 * docs/standby.md has the contract, groups.h has all groups.
 */
#ifndef RTPX_STANDBY_H
#define RTPX_STANDBY_H

#include "base/base.h"
#include "replicate/group.h"
#include "restart/keeper.h"
#include "restart/restore.h"

struct event_base;
struct standby;

struct standby_opts {
	const struct redis_url *url;	/* borrowed until standby_free() */
	const char *password, *ca_file; /* as in struct redis_opts */
	const char *name;		/* of the group */
	unsigned int number;		/* of the group in this daemon, see session_group() */
	bool several;			/* groups are in this daemon */
	/* media addresses of the daemon; with all of the group's, it takes over */
	const struct listener *listeners;
	unsigned int n_listeners;
	bool patient;		 /* does not take over by itself, even with the media addresses */
	struct restorer modules; /* without times */
	struct keeper *keeper;
	struct cookies *cookies;
	/* this daemon is the owner from now on, and has all @calls */
	void (*own)(void *arg, unsigned int number, unsigned int calls);
	/* another daemon took over; this one must forget the calls without ending them */
	void (*fenced)(void *arg, unsigned int number, const char *by);
	void *arg;
};

/* standby_new - 0, or -errno with a sentence in @err. */
int standby_new(struct standby **out, struct event_base *base, const struct standby_opts *opts,
		char *err, size_t err_size);
void standby_free(struct standby *s); /* NULL is allowed */

/*
 * standby_put, standby_gone - a record of the group has changed or ended; @key is the keeper's.
 * Nothing happens unless this daemon is the owner.
 * standby_reply - a command of the group was answered; for cookies_restore() on the standby.
 */
void standby_put(struct standby *s, uint64_t key, struct span body);
void standby_gone(struct standby *s, uint64_t key);
void standby_reply(struct standby *s, struct span key, struct span reply, uint64_t stored_ns);

/*
 * standby_wait - this process has no calls of the group. Take over if the group's addresses are
 * here. Call it again when addresses have changed.
 */
void standby_wait(struct standby *s);
/* standby_take_over - begin to take over; opts.own follows. False: this is the owner already. */
bool standby_take_over(struct standby *s);
/* standby_go_on - this process goes on with the calls of the journal, as the owner of @epoch. */
void standby_go_on(struct standby *s, uint64_t epoch);
/* standby_tick - once a second, from standby_wait() or standby_go_on() on. */
void standby_tick(struct standby *s);
/* standby_release - the owner ends and leaves its calls to a standby. Waits at most @ms. */
void standby_release(struct standby *s, unsigned int ms);

struct standby_view {
	struct group_view group;
	const char *name;
	unsigned int calls;   /* ready to be taken over */
	uint64_t undecodable; /* records that describe no call */
};
void standby_view(const struct standby *s, struct standby_view *out);

#endif

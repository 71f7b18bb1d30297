/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * standby.h - connects the group in Redis with this daemon's calls: as the standby it keeps each
 * call of the owner ready, with its ports open; as the owner it writes the calls to the group.
 * docs/standby.md has the contract.
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
	const struct redis_url *url; /* borrowed until standby_free() */
	const char *password, *ca_file; /* as in struct redis_opts */
	const char *group;
	const struct listener *listeners; /* media addresses; with all of them, it takes over */
	unsigned int n_listeners;
	bool patient; /* does not take over by itself, even with the media addresses */
	struct restorer modules; /* without times */
	struct keeper *keeper;
	struct cookies *cookies;
	/* this daemon is the owner from now on, and has all calls */
	void (*own)(void *arg);
	/* another daemon took over; this one must end without ending the calls */
	void (*fenced)(void *arg, const char *by);
	void *arg;
};

/* standby_new - 0, or -errno with a sentence in @err. */
int standby_new(struct standby **out, struct event_base *base, const struct standby_opts *opts,
		char *err, size_t err_size);
void standby_free(struct standby *s); /* NULL is allowed */

/* standby_sink - receives the records that the keeper writes; for keeper_opts. */
const struct keeper_sink *standby_sink(struct standby *s);

/* standby_wait - this process has no calls. Take over as soon as the media addresses are here. */
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
	unsigned int calls;	  /* ready to be taken over */
	uint64_t undecodable;	  /* records that describe no call */
};
void standby_view(const struct standby *s, struct standby_view *out);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kept.h - the records of the previous daemon, in memory until they are calls, notifications and
 * replies again. A zeroed struct is empty.
 *
 * Reads no journal: keeper.c passes each record on.
 */
#ifndef RTPX_KEPT_H
#define RTPX_KEPT_H

#include "base/table.h"
#include "restart/records.h"
#include "restart/restore.h"

struct cookies;
struct kept_record;

struct kept_list {
	struct kept_record **p;
	size_t n, room;
};

struct kept {
	struct meta meta; /* all zero: there is none. Its spans point into @meta_record. */
	struct kept_list sessions, messages, replies, groups;
	struct kept_record *meta_record;
	unsigned int already_ended; /* records of sessions that had ended */
	unsigned int lost;	    /* calls */
	/* between kept_begin() and kept_end() */
	struct table calls, numbers, ports[SESSION_PARTIES]; /* of records */
	size_t next; /* of the sessions, in the order of their start */
	unsigned int left, restored;
	/* packets of dataplanes in sessions that were restored and have ended meanwhile */
	uint64_t ended_relayed, ended_strangers;
};

/*
 * kept_add - copy a record. Its place is that of its kind. Times in it are @shift_ns behind our
 * clock.
 */
void kept_add(struct kept *k, uint64_t key, uint64_t stamp, struct span body, int64_t shift_ns);
/*
 * kept_judge - read the record of the daemon, and discard the sessions that had ended. False: the
 * records are of another boot of the machine. Their times and pins are void, so all are discarded.
 */
bool kept_judge(struct kept *k, struct span boot_id);
/*
 * kept_group - the address group @group of several, whose calls the previous daemon had. False: it
 * had none of it. The span is valid until kept_free().
 */
bool kept_group(const struct kept *k, unsigned int group, struct group_epoch *out);
/* kept_ports - the range of all ports of the calls, RTCP included. False: there are none. */
bool kept_ports(const struct kept *k, unsigned int *lowest, unsigned int *highest);
/*
 * kept_locals - the addresses of all ports of the calls, RTCP included. Returns their number; the
 * caller frees *@out. 0 also when memory is missing.
 */
size_t kept_locals(const struct kept *k, struct addr **out);
/*
 * kept_begin - take the ports of all calls, so that no other call or copy gets them, and make the
 * first call again. Sets r->away_ns and r->exact. @r is used until kept_end().
 * kept_next - make the next call again, oldest first, with the calls that feed it. False: all were
 * made already. A call that cannot be made is logged and counted in k->lost.
 * kept_make - the same for all calls with a Call-ID; or, where it is NULL, for the session with a
 * number; or, where that is 0, for all.
 * kept_make_at - the same for the call with the port @dest, which is RTP's or RTCP's.
 * kept_tidy - all were made: free records until @until_ns of clock_now(), since thousands take
 * milliseconds. False: all are freed. kept_end() frees what is left.
 * kept_end - all were made: remove flows of no call, and add the packets to the counters in
 * r->stats that dataplanes forwarded since these were written. Returns the number of restored
 * calls.
 */
void kept_begin(struct kept *k, struct restorer *r);
bool kept_next(struct kept *k, struct restorer *r);
void kept_make(struct kept *k, struct restorer *r, struct span call_id, uint32_t number);
void kept_make_at(struct kept *k, struct restorer *r, const struct addr *dest);
bool kept_tidy(struct kept *k, uint64_t until_ns);
unsigned int kept_end(struct kept *k, struct restorer *r);
/*
 * kept_each - every record that kept_begin() found good, by key; before kept_begin(), all.
 * kept_each_left - the records of the calls that are not made yet.
 */
void kept_each(struct kept *k, void (*fn)(void *arg, uint64_t key, struct span body), void *arg);
void kept_each_left(const struct kept *k, void (*fn)(void *arg, uint64_t key, struct span body),
		    void *arg);
void kept_restore_messages(struct kept *k, struct notify *notify, uint64_t now_ns);
void kept_restore_replies(struct kept *k, struct cookies *cookies, uint64_t now_ns);
/* kept_replace_meta - take the counters of another daemon. */
void kept_replace_meta(struct kept *k, struct span body);
void kept_forget(struct kept *k); /* all records but that of the daemon */
void kept_free(struct kept *k);

#endif

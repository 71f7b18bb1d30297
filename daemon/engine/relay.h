/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay.h - the slow path: judges, counts and forwards packets that no dataplane took.
 */
#ifndef RTPX_RELAY_H
#define RTPX_RELAY_H

#include "base/base.h"
#include "net/sockets.h"
#include "record/mirror.h"
#include "media/pacer.h"
#include "record/recorder.h"
#include "call/session.h"
#include "call/stats.h"
#include "dataplane/sync.h"

struct digits;
struct event_base;
struct relay;
struct taps;

struct relay_opts {
	struct sessions *sessions;
	struct stats *stats;
	struct sync *sync;
	struct recorder *recorder; /* NULL: no leg is ever recorded */
	struct mirror *mirror;	   /* NULL: the dataplane makes no copies */
	enum learning learning;
	bool double_small;		 /* -2 */
	struct switchboard *switchboard; /* NULL: a socket for each port */
	uint32_t opus_types;		 /* as resizer_new() */
	const struct digits *digits;	 /* NULL: no leg reports any */
	const struct taps *taps;	 /* NULL: no leg is tapped */
};

/* relay_new - makes its sockets over @base. */
int relay_new(struct relay **out, struct event_base *base, const struct relay_opts *opts);
void relay_free(struct relay *r);

/*
 * relay_leg_open - open both ports of a leg on leg->local (address and even port), and set
 * leg->handle. Opens both or none: -errno as sockets_pair_open.
 */
int relay_leg_open(struct relay *r, struct leg *leg);
/*
 * relay_leg_restore - the same for a leg of the previous daemon. Works even if this host does not
 * have the leg's address now.
 */
int relay_leg_restore(struct relay *r, struct leg *leg);
/* relay_leg_close - remove the flows (sync_close), then close the sockets. */
void relay_leg_close(struct relay *r, struct leg *leg);
/* relay_leg_set_tos - `S tos=`; -EAFNOSUPPORT on an IPv6 leg, like rtpproxy. */
int relay_leg_set_tos(struct relay *r, struct leg *leg, int tos);

/*
 * relay_leg_resize - z: forward the media that arrives at @leg in packets of @ms, 1 to
 * RESIZER_MAX_MS. @ms 0: flush waiting media, then forward packets uncut, and with other sequence
 * numbers while leg_rest()->renumbered is set. 0, -EINVAL or -ENOMEM. The caller marks the session
 * dirty.
 */
int relay_leg_resize(struct relay *r, struct leg *leg, unsigned int ms);
/*
 * relay_leg_resume - go on with the re-packetization of the previous daemon, by leg->ptime_ms and
 * leg_rest()->numbers. Also when both have changed. 0 or -ENOMEM.
 * relay_leave - send waiting media, and bring leg_rest()->numbers of all sessions up to date for
 * the next daemon.
 */
int relay_leg_resume(struct relay *r, struct leg *leg);
void relay_leave(struct relay *r);
/* relay_session_end - forget media that waits for a longer packet. Call after closing the legs. */
void relay_session_end(struct relay *r, struct session *s);

/* relay_play - struct players_opts.send. relay_pacer - the pacer for packets with a send time. */
int relay_play(void *relay, struct leg *leg, const uint8_t *packet, size_t len);
struct pacer *relay_pacer(struct relay *r);
/* relay_serve - handle packets that are due now, in and out. For a command that blocks the loop. */
void relay_serve(struct relay *r);
/* relay_expect_calls - as sockets_expect(). */
void relay_expect_calls(struct relay *r, void (*missing)(void *arg, const struct addr *dest),
			void *arg);

void relay_counts(const struct relay *r, struct sockets_counts *out);
/* relay_circled - the number of dropped packets that came from this host and had no hop left. */
uint64_t relay_circled(const struct relay *r);
/* relay_strangers - the number of packets from wrong sources that the sockets received. */
uint64_t relay_strangers(const struct relay *r);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay.h - the slow path: a packet that no dataplane took is judged, counted and sent on.
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

struct event_base;
struct relay;

struct relay_opts {
	struct sessions *sessions;
	struct stats *stats;
	struct sync *sync;
	struct recorder *recorder; /* NULL: no leg is ever recorded */
	struct mirror *mirror;	   /* NULL: the dataplane makes no copies */
	enum learning learning;
	bool double_small; /* -2 */
	uint32_t opus_types; /* as resizer_new() */
};

/* relay_new - makes its sockets over @base. */
int relay_new(struct relay **out, struct event_base *base, const struct relay_opts *opts);
void relay_free(struct relay *r);

/*
 * relay_leg_open - open both ports of a leg on leg->local (address and even port); sets
 * leg->handle. All or nothing: -errno as sockets_port_open.
 */
int relay_leg_open(struct relay *r, struct session *s, int leg);
/*
 * relay_leg_restore - the same for a leg of an earlier daemon, whether or not this host has its
 * address now.
 */
int relay_leg_restore(struct relay *r, struct session *s, int leg);
/* relay_leg_close - flows out of the dataplane first (sync_leg_close), then the sockets. */
void relay_leg_close(struct relay *r, struct session *s, int leg);
/* relay_leg_set_tos - `S tos=`; -EAFNOSUPPORT on an IPv6 leg, as rtpproxy. */
int relay_leg_set_tos(struct relay *r, struct session *s, int leg, int tos);

/*
 * relay_leg_resize - z: send on what arrives at @leg in packets of @ms, 1 to RESIZER_MAX_MS; 0: as
 * it comes, after what still waits. 0, -EINVAL or -ENOMEM. The caller marks the session dirty.
 */
int relay_leg_resize(struct relay *r, struct session *s, int leg, unsigned int ms);
/* relay_session_end - after its legs were closed: forget what waits for a longer packet. */
void relay_session_end(struct relay *r, struct session *s);

/* relay_play - struct players_opts.send. relay_pacer - what is to leave at a certain time. */
int relay_play(void *relay, struct session *s, int leg, const uint8_t *packet, size_t len);
struct pacer *relay_pacer(struct relay *r);
/* relay_serve - what is due by now, in and out; for a command that keeps the loop waiting. */
void relay_serve(struct relay *r);

void relay_counts(const struct relay *r, struct sockets_counts *out);
/* relay_circled - packets from this host itself that were dropped, as they had no hop left. */
uint64_t relay_circled(const struct relay *r);

#endif

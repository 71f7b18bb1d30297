/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror.c - drains the dataplane's ring into the recorder.
 *
 * The ring wakes the loop for the first copy only. The loop drains it GATHER_MS later, and so takes
 * many copies in one turn. A copy names the session's number, and the address and port on which the
 * packet arrived. A copy that comes after its session or its recording has ended is dropped.
 */
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>

#include "record/mirror.h"

#define GATHER_MS 10
#define TURN_COPIES 4096 /* drain at most this many, then let the loop's other events run */

struct mirror {
	struct mirror_opts o;
	struct event *ready, *gathered;
};

/* Several addresses of a session, or of two, may have the same port. */
static bool arrives_at(struct direction d, const struct addr *dest)
{
	const struct addr *local = &d.in->local;

	return direction_port(d) == dest->port && local->family == dest->family &&
	       (addr_is_any(local) || addr_host_eq(local, dest));
}

static struct addr addr_of(const struct rtpx_mirrored *c, const uint8_t ip[16], uint16_t port)
{
	struct addr a = { .family = c->family == RTPX_FAMILY_IP6 ? ADDR_IP6 : ADDR_IP4,
			  .port = port };

	memcpy(a.ip, ip, addr_ip_len(&a));
	return a;
}

static void on_copy(void *arg, const struct rtpx_mirrored *c, const uint8_t *payload, size_t len)
{
	struct mirror *m = arg;
	const struct session *s = session_numbered(m->o.sessions, c->call);
	const struct format_packet p = {
		.src = addr_of(c, c->peer, c->peer_port),
		.dst = addr_of(c, c->local, c->port),
		.data = payload,
		.len = len,
	};
	unsigned int i;

	for (i = 0; s && i < DIRECTIONS; i++) {
		struct direction d = session_direction(s, i);

		if (!arrives_at(d, &p.dst))
			continue;
		recorder_packet(m->o.recorder, d, c->arrival_ns, &p);
		if (d.in->tapped & direction_bit(d))
			taps_packet(m->o.taps, d, c->arrival_ns, &p, true);
	}
}

/* Records at most @max copies. Returns their number. */
static unsigned int copies_drain(struct mirror *m, unsigned int max)
{
	const struct dp_mirror_sink sink = { on_copy, m };
	unsigned int n;

	n = m->o.dp->mirrored(m->o.dp, &sink, max);
	if (n)
		recorder_flush(m->o.recorder);
	return n;
}

void mirror_drain(struct mirror *m)
{
	if (m)
		copies_drain(m, UINT_MAX);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval gather = { .tv_usec = GATHER_MS * 1000 };
	struct mirror *m = arg;

	(void)fd, (void)what;
	event_add(m->gathered, &gather);
}

static void on_gathered(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now;
	struct mirror *m = arg;

	(void)fd, (void)what;
	if (copies_drain(m, TURN_COPIES) >= TURN_COPIES)
		event_add(m->gathered, &now);
	else
		event_add(m->ready, NULL);
}

/* ---- legs ---- */

void mirror_leg_close(struct mirror *m, const struct leg *leg)
{
	const struct leg *other = leg_other(leg);

	if (leg->recorded || other->recorded || leg->tapped || other->tapped)
		mirror_drain(m);
}

/* ---- begin and end ---- */

int mirror_new(struct mirror **out, struct event_base *base, const struct mirror_opts *opts)
{
	struct mirror *m;

	*out = NULL;
	if (!opts->dp->mirrored)
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->o = *opts;
	m->ready = event_new(base, opts->dp->mirror_fd, EV_READ, on_ready, m);
	m->gathered = event_new(base, -1, 0, on_gathered, m);
	if (!m->ready || !m->gathered || event_add(m->ready, NULL))
		goto err_free;
	*out = m;
	return 0;

err_free:
	mirror_free(m);
	return -ENOMEM;
}

void mirror_free(struct mirror *m)
{
	if (!m)
		return;
	if (m->ready)
		event_free(m->ready);
	if (m->gathered)
		event_free(m->gathered);
	free(m);
}

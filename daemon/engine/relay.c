/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay.c - the slow path for packets that no dataplane took. The stream judges and counts a
 * packet; this file sends it from the other leg's port, in packets of another length if `z` asks
 * for that. It learns addresses only through stream.c, and it opens and closes the ports of legs.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/relay.h"
#include "base/clock.h"
#include "base/fetch.h"
#include "base/log.h"
#include "call/direction.h"
#include "call/feed.h"
#include "engine/digits.h"
#include "host/nexthop.h"
#include "media/resizer.h"
#include "media/rtp.h"
#include "record/taps.h"

#define RCVBUF_BYTES (256 * 1024)
#define PUSH_TRIES 8 /* after that, leave a packet out of the statistics */

struct relay {
	struct relay_opts o;
	struct sockets *user;
	struct pacer *pacer;
	uint64_t circled, strangers;
};

/* sockets_manner.note */
enum { SENT_UNCOUNTED, SENT_RELAYED };

static void drop_packet(struct relay *r, struct direction d)
{
	r->o.stats->npkts_discard++;
	d.in->ndropped += d.kind == STREAM_RTP;
}

static bool is_from_here(struct relay *r, const struct sockets_packet *p)
{
	return nexthop_is_local(sync_nexthops(r->o.sync), &p->src);
}

/*
 * hops_left - the TTL for a forwarded packet; 0: the system's default. A packet from this host may
 * circle between ports of calls, so each turn takes a hop off it.
 */
static uint8_t hops_left(struct relay *r, const struct sockets_packet *p)
{
	return is_from_here(r, p) ? p->ttl - 1 : 0;
}

/* Send to the receiver; also to its newly signalled address while that has not sent yet. */
static int send_to(struct relay *r, struct direction d, const uint8_t *data, size_t len,
		   struct sockets_manner manner)
{
	const struct stream *receiver = direction_receiver(d);
	const struct addr *source = direction_source(d);
	struct sockets_port *port;

	if (receiver->remote.family == ADDR_NONE)
		return -EDESTADDRREQ;
	port = sockets_port(direction_out(d)->handle, d.kind);
	if (receiver->twice)
		sockets_port_send_also(r->user, port, &receiver->signalled, source, data, len,
				       manner);
	return sockets_port_send_as(r->user, port, &receiver->remote, source, data, len, manner);
}

static void forward_packet(struct relay *r, struct direction d, const struct sockets_packet *p)
{
	struct sockets_manner manner = { hops_left(r, p), SENT_RELAYED };

	if (send_to(r, d, p->data, p->len, manner) < 0)
		drop_packet(r, d);
}

/* The kernel has taken the packet, or refused it with @err. */
static void on_sent(void *arg, void *owner, unsigned int tag, unsigned int note, size_t len,
		    int err)
{
	struct relay *r = arg;
	struct direction d;

	if (note != SENT_RELAYED)
		return;
	d = direction_to(owner, tag);
	if (err) {
		drop_packet(r, d);
		return;
	}
	r->o.stats->npkts_relayed++;
	d.in->nrelayed += d.kind == STREAM_RTP;
	sync_relayed(r->o.sync, d, len);
}

static void trace_move(struct direction d)
{
	const struct stream *sender = direction_sender(d);
	const struct addr *at =
		addr_is_any(&d.in->local) ? &stream_rest(sender)->local : &d.in->local;
	char remote[ADDR_TEXT], local[ADDR_TEXT];

	log_trace(direction_session(d)->call_id, "%s: packets go to %s now, and arrive at %s",
		  direction_text(d), addr_text(&sender->remote, remote), addr_host_text(at, local));
}

/*
 * Keep the address of this host that the packets of a wildcard listener carry. True: it is another
 * one than before. Without memory, the next packet tries again.
 */
static bool take_local(const struct leg *in, struct stream *stream, const struct addr *local)
{
	if (!addr_is_any(&in->local) || addr_eq(&stream_rest(stream)->local, local) ||
	    !stream_rest_set(stream))
		return false;
	stream->rest->local = *local;
	return true;
}

/*
 * Let the stream judge and count the packet. True: relay it. If the dataplane counted packets
 * meanwhile, start again with its statistics.
 */
static bool judge_packet(struct relay *r, struct direction d, const struct sockets_packet *p)
{
	struct session *s = direction_session(d);
	struct stream *stream = direction_sender(d), *companion = &d.in->stream[!d.kind];
	struct rtpx_packet pkt = { .now_ns = p->arrival_ns };
	bool installed = d.in->installed & direction_bit(d), moved = false, accepted;
	struct stream_kept before; /* only if @installed */
	int tries = PUSH_TRIES;

	rtp_describe(&pkt, p->data, p->len);
	for (;;) {
		if (installed) {
			sync_pull(r->o.sync, s);
			stream_keep(&before, stream);
		}
		/* The dataplane may have forwarded later packets while this one was queued. */
		pkt.now_ns = MAX(p->arrival_ns, stream_stats(stream)->last_ns);
		accepted = stream_packet(stream, companion, &p->src, &pkt, r->o.learning, &moved) ==
			   STREAM_RELAY;
		if (accepted) {
			moved |= take_local(d.in, stream, &p->local);
			stream->stats->daemon_packets++;
		}
		if (!installed || sync_push_stats(r->o.sync, d, &before.stats) || !tries--)
			break;
		stream_go_back(stream, &before);
	}
	stream_tidy(stream);
	if (moved) {
		trace_move(d);
		session_dirty(r->o.sessions, s);
	}
	return accepted;
}

static void record_packet(struct relay *r, struct direction d, const struct sockets_packet *p)
{
	mirror_drain(r->o.mirror); /* record earlier packets from the dataplane first */
	recorder_packet(r->o.recorder, d, p->arrival_ns,
			&(struct format_packet){
				.src = p->src, .dst = p->local, .data = p->data, .len = p->len });
}

/* Show the packet to its readers. @accepted: its stream believes the source. */
static void tap_packet(struct relay *r, struct direction d, const struct sockets_packet *p,
		       bool accepted)
{
	if (!(d.in->tapped & direction_bit(d)))
		return;
	mirror_drain(r->o.mirror); /* earlier packets from the dataplane come first */
	taps_packet(r->o.taps, d, p->arrival_ns,
		    &(struct format_packet){
			    .src = p->src, .dst = p->local, .data = p->data, .len = p->len },
		    accepted);
}

/* Send the packet to the sessions that this session feeds. Their counters do not count it. */
static void feed_packet(struct relay *r, struct direction d, const struct sockets_packet *p)
{
	const struct feed *f;

	for (f = session_rest(direction_session(d))->feeds; f; f = f->next_out) {
		struct leg *out = feed_leg(f, d.in);
		struct direction fed = direction_to(out, d.kind);

		leg_ttl_restart(r->o.sessions, fed.in, p->arrival_ns);
		if (out->handle)
			send_to(r, fed, p->data, p->len,
				(struct sockets_manner){ .ttl = hops_left(r, p) });
	}
}

/* Forward a packet that its stream accepted, or that was made from such packets. */
static void pass_on(struct relay *r, struct direction d, const struct sockets_packet *p)
{
	if (d.kind == STREAM_RTP && leg_rest(direction_out(d))->player) {
		drop_packet(r, d);
		return;
	}
	leg_ttl_restart(r->o.sessions, d.in, p->arrival_ns);
	forward_packet(r, d, p);
}

/* An event that the other party must not get. A recording of its sender has it. */
static void hide_packet(struct relay *r, struct direction d, const struct sockets_packet *p)
{
	leg_ttl_restart(r->o.sessions, d.in, p->arrival_ns);
	if (d.in->recorded)
		record_packet(r, d, p);
	drop_packet(r, d);
}

/* ---- re-packetization ---- */

/* Re-packetization of the RTP that arrives at a leg. */
struct resizing {
	struct relay *relay;
	struct leg *leg;
	struct resizer *resizer;
	struct pacer_item deadline;
	struct sockets_packet last; /* the latest packet that arrived, data not valid */
};

/* A new packet is ready. It takes source and addresses from the latest packet that arrived. */
static void on_resized(void *arg, const uint8_t *data, size_t len, uint64_t arrival_ns)
{
	struct resizing *z = arg;
	struct sockets_packet p = z->last;

	p.data = data;
	p.len = len;
	p.arrival_ns = arrival_ns;
	pass_on(z->relay, (struct direction){ z->leg, STREAM_RTP }, &p);
}

static void on_deadline(struct pacer_item *item, uint64_t now_ns);

static void resizing_wait(struct resizing *z)
{
	uint64_t deadline_ns = resizer_deadline(z->resizer);

	if (deadline_ns == RESIZER_NEVER)
		pacer_del(z->relay->pacer, &z->deadline);
	else
		pacer_add(z->relay->pacer, &z->deadline, deadline_ns, on_deadline);
}

static void on_deadline(struct pacer_item *item, uint64_t now_ns)
{
	struct resizing *z = container_of(item, struct resizing, deadline);

	resizer_run(z->resizer, now_ns, &(struct resizer_sink){ on_resized, z });
	resizing_wait(z);
}

static void resizing_end(struct relay *r, struct leg *leg)
{
	struct resizing *z = leg_rest(leg)->resizing;

	if (!z)
		return;
	pacer_del(r->pacer, &z->deadline);
	resizer_free(z->resizer);
	free(z);
	leg->rest->resizing = NULL;
	leg->rest->renumbered = false;
	leg->rest->numbers = (struct leg_numbers){ 0 };
}

/* Write the numbers where the next daemon finds them. */
static void resizing_keep(struct resizing *z)
{
	resizer_numbers(z->resizer, &z->leg->rest->numbers);
	resizer_kept(z->resizer);
	session_changed(z->relay->o.sessions, leg_session(z->leg));
}

static void resize_packet(struct resizing *z, const struct sockets_packet *p)
{
	struct leg *leg = z->leg;
	struct relay *r = z->relay;

	z->last = *p;
	resizer_in(z->resizer, p->data, p->len, p->arrival_ns,
		   &(struct resizer_sink){ on_resized, z });
	resizing_wait(z);
	if (resizer_has_moved(z->resizer))
		resizing_keep(z);
	if (!resizer_is_over(z->resizer))
		return;
	resizing_end(r, leg);
	session_dirty(r->o.sessions, leg_session(leg));
}

/* Packets that were relayed before keep their numbers. */
static void resizing_resume(struct relay *r, struct resizing *z)
{
	struct leg *leg = z->leg;
	const struct rtpx_flow_stats *st = stream_stats(&leg->stream[STREAM_RTP]);
	struct leg_numbers from = leg_rest(leg)->numbers;

	if (leg->installed & 1 << STREAM_RTP)
		sync_pull(r->o.sync, leg_session(leg));
	if (!from.known && st->max_seq)
		from = (struct leg_numbers){
			.known = true, .ssrc = st->ssrc, .next = st->max_seq + 1, .stale = true
		};
	resizer_resume(z->resizer, &from);
}

static int resizing_begin(struct relay *r, struct leg *leg, unsigned int ms)
{
	struct resizing *z = leg_rest_set(leg) ? calloc(1, sizeof(*z)) : NULL;
	int err;

	if (!z)
		return -ENOMEM;
	z->relay = r;
	z->leg = leg;
	err = resizer_new(&z->resizer, ms, r->o.opus_types, r->o.stats);
	if (err) {
		free(z);
		return err;
	}
	leg->rest->resizing = z;
	resizing_resume(r, z);
	return 0;
}

/* Send waiting audio. Go on with the numbers if they lead ahead of the sender's. */
static void resizing_stop(struct relay *r, struct resizing *z)
{
	struct leg *leg = z->leg;

	resizer_stop(z->resizer, &(struct resizer_sink){ on_resized, z });
	sockets_flush(r->user);
	resizing_wait(z);
	leg->rest->renumbered = !resizer_is_over(z->resizer);
	if (leg->rest->renumbered)
		resizing_keep(z);
	else
		resizing_end(r, leg);
}

int relay_leg_resize(struct relay *r, struct leg *leg, unsigned int ms)
{
	struct resizing *z = leg_rest(leg)->resizing;

	if (!z)
		return ms ? resizing_begin(r, leg, ms) : 0;
	if (ms) {
		resizer_retarget(z->resizer, ms);
		leg->rest->renumbered = false;
		resizing_keep(z);
		resizing_wait(z);
	} else if (!leg->rest->renumbered) {
		resizing_stop(r, z);
	}
	return 0;
}

int relay_leg_resume(struct relay *r, struct leg *leg)
{
	const struct leg_numbers numbers = leg_rest(leg)->numbers;
	int err;

	resizing_end(r, leg);
	if (leg->rest)
		leg->rest->numbers = numbers;
	if (!leg->ptime_ms && (!numbers.known || numbers.ahead <= 0))
		return 0;
	err = resizing_begin(r, leg, leg->ptime_ms ? leg->ptime_ms : 1);
	if (!err && !leg->ptime_ms)
		resizing_stop(r, leg->rest->resizing);
	return err;
}

static bool leave_one(void *arg, struct session *s)
{
	struct resizing *z;
	int i;

	(void)arg;
	for (i = 0; i < 2; i++) {
		z = leg_rest(&s->leg[i])->resizing;
		if (!z)
			continue;
		resizer_flush(z->resizer, &(struct resizer_sink){ on_resized, z });
		resizing_keep(z);
	}
	return true;
}

void relay_leave(struct relay *r)
{
	sessions_each(r->o.sessions, leave_one, NULL);
	sockets_flush(r->user);
}

void relay_session_end(struct relay *r, struct session *s)
{
	resizing_end(r, &s->leg[0]);
	resizing_end(r, &s->leg[1]);
}

/* ---- in and out ---- */

/* For the log line of a call that times out without L; without memory it does not tell. */
static void note_early(struct leg *leg, uint64_t arrival_ns)
{
	struct leg_rest *rest = leg_rest_set(leg);

	if (!rest)
		return;
	rest->early_packets++;
	rest->early_ns = arrival_ns;
}

static void on_packet(void *arg, void *owner, unsigned int tag, const struct sockets_packet *p)
{
	struct direction d = { owner, tag };
	struct session *s = direction_session(d);
	struct relay *r = arg;

	if (!s->complete) {
		note_early(d.in, p->arrival_ns);
		r->o.stats->npkts_discard++;
		return;
	}
	r->o.stats->npkts_rcvd++;
	/* The packet has circled: drop it before it refreshes the session's TTL. */
	if (p->ttl <= 1 && is_from_here(r, p)) {
		r->circled++;
		r->o.stats->npkts_discard++;
		return;
	}
	if (!judge_packet(r, d, p)) {
		tap_packet(r, d, p, false);
		r->strangers++;
		r->o.stats->npkts_discard++;
		return;
	}
	tap_packet(r, d, p, true);
	if (d.kind == STREAM_RTP && leg_rest(d.in)->dtmf &&
	    digits_take(r->o.digits, d.in, p->data, p->len, p->arrival_ns)) {
		hide_packet(r, d, p);
		return;
	}
	if (d.in->recorded)
		record_packet(r, d, p);
	feed_packet(r, d, p);
	if (s->fed)
		drop_packet(r, d);
	else if (d.kind == STREAM_RTP && leg_rest(d.in)->resizing)
		resize_packet(d.in->rest->resizing, p);
	else
		pass_on(r, d, p);
}

/* The members that on_packet() looks at, from calls of which the cache knows nothing. */
static void on_expect(void *arg, void *owner, unsigned int tag, unsigned int step)
{
	const struct direction d = { owner, tag };
	const struct stream *sender = direction_sender(d), *receiver;
	const struct leg *out;

	(void)arg;
	if (step == 0) {
		fetch_lines(sender, sender + 1);
		fetch_lines(&d.in->local, d.in + 1);
	} else if (step == 1) {
		out = direction_out(d);
		receiver = direction_receiver(d);
		fetch_lines(direction_session(d), &direction_session(d)->leg);
		fetch_lines(stream_stats(sender), stream_stats(sender) + 1);
		fetch_lines(receiver, receiver + 1);
		fetch_lines(&out->local, out + 1);
	} else if (direction_out(d)->handle) {
		sockets_pair_expect(direction_out(d)->handle);
	}
}

int relay_play(void *relay, struct leg *leg, const uint8_t *packet, size_t len)
{
	return send_to(relay, direction_to(leg, STREAM_RTP), packet, len,
		       (struct sockets_manner){ 0 });
}

static void on_batch_end(void *arg)
{
	struct relay *r = arg;

	sockets_flush(r->user);
	if (r->o.recorder)
		recorder_flush(r->o.recorder);
}

/* ---- legs ---- */

/* @anyway: even if this host lacks the address now. */
static int open_ports(struct relay *r, struct leg *leg, bool anyway)
{
	const struct sockets_bind to = {
		.local = leg->local,
		.tos = leg->tos,
		.anyway = anyway,
	};
	struct sockets_pair *pair;
	int err = sockets_pair_open(r->user, &to, leg, &pair);

	if (!err)
		leg->handle = pair;
	return err;
}

int relay_leg_open(struct relay *r, struct leg *leg)
{
	return open_ports(r, leg, false);
}

int relay_leg_restore(struct relay *r, struct leg *leg)
{
	return open_ports(r, leg, true);
}

void relay_leg_close(struct relay *r, struct leg *leg)
{
	sync_close(r->o.sync, leg_session(leg));
	mirror_leg_close(r->o.mirror, leg);
	if (leg->handle)
		sockets_pair_close(r->user, leg->handle);
	leg->handle = NULL;
}

int relay_leg_set_tos(struct relay *r, struct leg *leg, int tos)
{
	if (leg->local.family == ADDR_IP6)
		return -EAFNOSUPPORT;
	leg->tos = tos;
	leg->tos_set = true;
	return leg->handle ? sockets_pair_set_tos(r->user, leg->handle, leg->tos) : 0;
}

/* ---- begin and end ---- */

int relay_new(struct relay **out, struct event_base *base, const struct relay_opts *opts)
{
	struct relay *r = calloc(1, sizeof(*r));
	const struct sockets_opts user = {
		.on_packet = on_packet,
		.expect = on_expect,
		.batch_end = on_batch_end,
		.sent = on_sent,
		.arg = r,
		.rcvbuf_bytes = RCVBUF_BYTES,
		.double_small = opts->double_small,
		.switchboard = opts->switchboard,
	};
	const struct pacer_opts pacer = { .batch_end = on_batch_end, .arg = r };
	int err;

	if (!r)
		return -ENOMEM;
	r->o = *opts;
	err = sockets_new(&r->user, base, &user);
	if (err)
		goto err_free;
	err = pacer_new(&r->pacer, base, &pacer);
	if (err)
		goto err_free_user;
	*out = r;
	return 0;

err_free_user:
	sockets_free(r->user);
err_free:
	free(r);
	return err;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	pacer_free(r->pacer);
	sockets_free(r->user);
	free(r);
}

struct pacer *relay_pacer(struct relay *r)
{
	return r->pacer;
}

void relay_serve(struct relay *r)
{
	sockets_serve(r->user);
	pacer_run(r->pacer, clock_now());
}

void relay_expect_calls(struct relay *r, void (*missing)(void *arg, const struct addr *dest),
			void *arg)
{
	sockets_expect(r->user, missing, arg);
}

uint64_t relay_circled(const struct relay *r)
{
	return r->circled;
}

uint64_t relay_strangers(const struct relay *r)
{
	return r->strangers;
}

void relay_counts(const struct relay *r, struct sockets_counts *out)
{
	sockets_counts(r->user, out);
}

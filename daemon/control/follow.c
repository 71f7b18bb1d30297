/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * follow.c - writes to a connection as long as its client reads. It decides about no packet.
 */
#include "control/follow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "record/pcapng.h"

#define WAITING_MAX (16 << 20) /* bytes that wait for the reader; more are lost */

enum filter_kind { FILTER_ALL, FILTER_CALL, FILTER_PEER, FILTER_PORT };

struct filter {
	enum filter_kind kind;
	char *text; /* owned: Call-ID */
	struct addr peer;
	uint16_t port;
};

struct follower {
	struct follow_opts o;
	struct bufferevent *bev;
	struct filter filter;
	struct tap tap;		 /* of a capture */
	struct log_follower log; /* of a trace */
	bool is_capture;
	uint16_t id;
	uint64_t realtime_offset_ns; /* when it began */
	uint64_t taken, lost, lost_told;
};

/* ---- filters ---- */

static const char *text_after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(text, prefix, n) ? NULL : text + n;
}

static const char *filter_parse_peer(struct filter *f, const char *text)
{
	if (addr_parse(&f->peer, strchr(text, ':') ? ADDR_IP6 : ADDR_IP4, text, strlen(text)))
		return "peer= needs an IPv4 or IPv6 address";
	f->kind = FILTER_PEER;
	return NULL;
}

static const char *filter_parse_port(struct filter *f, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n < 1 || n > UINT16_MAX)
		return "port= needs a number from 1 to 65535";
	f->kind = FILTER_PORT;
	f->port = (uint16_t)n;
	return NULL;
}

/* NULL, or the reason why @text is no filter. */
static const char *filter_parse(struct filter *f, const char *text)
{
	const char *value;

	f->kind = FILTER_ALL;
	if (!strcmp(text, "all"))
		return NULL;
	if ((value = text_after(text, "peer=")))
		return filter_parse_peer(f, value);
	if ((value = text_after(text, "port=")))
		return filter_parse_port(f, value);
	value = text_after(text, "call=");
	f->kind = FILTER_CALL;
	f->text = strdup(value ? value : text);
	return f->text ? NULL : "out of memory";
}

static bool has_peer(const struct session *s, const struct addr *peer)
{
	unsigned int i;

	for (i = 0; i < DIRECTIONS; i++) {
		const struct stream *sender = direction_sender(session_direction(s, i));

		if (addr_host_eq(&sender->remote, peer) || addr_host_eq(&sender->signalled, peer))
			return true;
	}
	return false;
}

static bool has_port(const struct session *s, uint16_t port)
{
	unsigned int i;

	for (i = 0; i < DIRECTIONS; i++) {
		struct direction d = session_direction(s, i);

		if (d.in->local.port && direction_port(d) == port)
			return true;
	}
	return false;
}

static bool filter_matches(const struct filter *f, const struct session *s)
{
	switch (f->kind) {
	case FILTER_CALL:
		return !strcmp(f->text, s->call_id);
	case FILTER_PEER:
		return has_peer(s, &f->peer);
	case FILTER_PORT:
		return has_port(s, f->port);
	default:
		return true;
	}
}

/* ---- the connection ---- */

/* True if there was room. */
static bool follower_send(struct follower *f, const void *data, size_t len)
{
	struct evbuffer *out = bufferevent_get_output(f->bev);

	if (evbuffer_get_length(out) + len > WAITING_MAX)
		return false;
	return evbuffer_add(out, data, len) == 0;
}

static void follower_end(struct follower *f)
{
	log_info("%s ended: %llu taken, %llu lost", f->is_capture ? "capture of packets" : "trace",
		 (unsigned long long)f->taken, (unsigned long long)f->lost);
	if (f->is_capture)
		taps_remove(f->o.taps, &f->tap);
	else
		log_unfollow(&f->log);
	f->o.ended(f->o.arg, f->bev);
	free(f->filter.text);
	free(f);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	(void)bev;
	follower_end(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg);

/*
 * The client wants no more: send what has arrived until now, then end. Its output may be empty
 * already, so the loop calls on_written() for certain only if a byte is added; end at once then.
 */
static void follower_finish(struct follower *f)
{
	mirror_drain(f->o.mirror);
	if (!evbuffer_get_length(bufferevent_get_output(f->bev))) {
		follower_end(f);
		return;
	}
	bufferevent_disable(f->bev, EV_READ);
	bufferevent_setcb(f->bev, NULL, on_written, on_event, f);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING))
		follower_finish(arg);
	else
		follower_end(arg);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);

	(void)arg;
	evbuffer_drain(in, evbuffer_get_length(in));
}

static struct follower *follower_new(const struct follow_opts *opts, struct bufferevent *bev)
{
	struct follower *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->o = *opts;
	f->bev = bev;
	return f;
}

static void follower_take_over(struct follower *f)
{
	bufferevent_set_timeouts(f->bev, NULL, NULL);
	bufferevent_setcb(f->bev, on_read, NULL, on_event, f);
	bufferevent_enable(f->bev, EV_READ | EV_WRITE);
}

/* ---- captures ---- */

static bool capture_wants(void *arg, struct direction d)
{
	const struct follower *f = arg;

	return filter_matches(&f->filter, direction_session(d));
}

static void capture_lost(void *arg, const struct session *s, uint64_t packets)
{
	struct follower *f = arg;

	(void)s;
	f->lost += packets;
}

/* Tell the reader of the file how many packets it lacks. */
static void follower_tell_lost(struct follower *f, uint64_t realtime_ns)
{
	uint8_t block[PCAPNG_LOSS];

	if (f->lost != f->lost_told &&
	    follower_send(f, block, pcapng_loss(realtime_ns, f->lost, block)))
		f->lost_told = f->lost;
}

static void capture_packet(void *arg, struct direction d, uint64_t arrival_ns,
			   const struct format_packet *packet, bool accepted)
{
	struct follower *f = arg;
	struct format_packet p = *packet;
	uint8_t block[PCAPNG_MAX_PACKET];
	char comment[PCAPNG_MAX_COMMENT], tamed[PCAPNG_MAX_COMMENT];

	p.realtime_ns = arrival_ns + f->realtime_offset_ns;
	follower_tell_lost(f, p.realtime_ns);
	snprintf(comment, sizeof(comment), "%s%s %s", direction_text(d),
		 accepted ? "" : " of a stranger, dropped", direction_session(d)->call_id);
	if (follower_send(f, block, pcapng_packet(&p, f->id++, utf8_tame(comment, tamed), block)))
		f->taken++;
	else
		f->lost++;
}

const char *follow_capture(const struct follow_opts *opts, struct bufferevent *bev,
			   const char *filter)
{
	struct follower *f = follower_new(opts, bev);
	uint8_t head[PCAPNG_MAX_HEAD];
	const char *why;

	if (!f)
		return "out of memory";
	why = filter_parse(&f->filter, filter);
	if (why) {
		free(f);
		return why;
	}
	f->is_capture = true;
	f->realtime_offset_ns = clock_realtime_offset();
	f->tap = (struct tap){ capture_wants, capture_packet, capture_lost, f, NULL, NULL };
	log_info("capture of packets begins: %s", filter);
	follower_take_over(f);
	follower_send(f, head, pcapng_head("rtpx", head));
	taps_add(opts->taps, &f->tap);
	return NULL;
}

/* ---- traces ---- */

static void trace_line(void *arg, const char *line, size_t len)
{
	struct follower *f = arg;

	if (follower_send(f, line, len))
		f->taken++;
	else
		f->lost++;
}

const char *follow_trace(const struct follow_opts *opts, struct bufferevent *bev,
			 const char *call_id)
{
	struct follower *f = follower_new(opts, bev);

	if (!f)
		return "out of memory";
	f->filter.text = strdup(call_id);
	if (!f->filter.text) {
		free(f);
		return "out of memory";
	}
	f->log = (struct log_follower){ f->filter.text, trace_line, f, NULL, NULL };
	log_info("trace begins: %s", call_id);
	follower_take_over(f);
	log_follow(&f->log);
	return NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copy.c - port pairs that only send, on a socket layer of their own.
 *
 * Deliberately not here: IPv6 receivers (rtpproxy has none) and any sign of life from the receiver.
 */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "copy.h"
#include "dp_user.h"

#define WAIT_SLICE_MS 2 /* how long the loop does nothing but wait for a name */

struct copy {
	struct tally *tally;
	struct addr local, dest; /* of RTP */
	struct dp_user_port *port[STREAM_KINDS];
};

/* A question to the resolver, which may outlive our patience. */
struct question {
	struct gaicb cb;
	struct addrinfo hints;
	char host[256];
};

struct copies {
	struct copies_opts o;
	struct dp_user *user;
	struct question *asked; /* not answered in time; NULL: none */
};

/* ---- names ---- */

/* glibc's own thread asks. */
static struct question *ask(const char *host)
{
	struct question *q = calloc(1, sizeof(*q));
	struct gaicb *list[1];

	if (!q)
		return NULL;
	strcpy(q->host, host);
	q->hints = (struct addrinfo){ .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM };
	q->cb = (struct gaicb){ .ar_name = q->host, .ar_request = &q->hints };
	list[0] = &q->cb;
	if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL)) {
		free(q);
		return NULL;
	}
	return q;
}

static bool is_answered(struct question *q)
{
	return gai_error(&q->cb) != EAI_INPROGRESS;
}

static void wait_for_answer(struct copies *c, struct question *q)
{
	const uint64_t until_ns = clock_now() + COPY_RESOLVE_MS * NSEC_PER_MSEC;
	const struct timespec slice = { 0, WAIT_SLICE_MS * NSEC_PER_MSEC };
	const struct gaicb *list[1] = { &q->cb };

	while (!is_answered(q) && clock_now() < until_ns) {
		gai_suspend(list, 1, &slice);
		if (c->o.meanwhile)
			c->o.meanwhile(c->o.arg);
	}
}

static int take_answer(struct question *q, struct addr *out)
{
	int err = gai_error(&q->cb) ? -EHOSTUNREACH : 0;

	if (!err) {
		*out = addr_from_sockaddr(q->cb.ar_result->ai_addr);
		freeaddrinfo(q->cb.ar_result);
	}
	free(q);
	return err;
}

/* A late answer is for who asks the same again; only one question is ever late. */
static int resolve(struct copies *c, const char *host, struct addr *out)
{
	struct question *q = c->asked;
	bool same;

	if (q) {
		if (!is_answered(q))
			return -ETIMEDOUT;
		c->asked = NULL;
		same = strcmp(q->host, host) == 0;
		if (take_answer(q, out) == 0 && same)
			return 0;
	}
	q = ask(host);
	if (!q)
		return -ENOMEM;
	wait_for_answer(c, q);
	if (!is_answered(q)) {
		c->asked = q;
		return -ETIMEDOUT;
	}
	return take_answer(q, out);
}

static int parse_port(const char *text, size_t len, uint16_t *port)
{
	unsigned long n = 0;
	size_t i;

	if (!len || len > 5)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		n = 10 * n + (text[i] - '0');
	}
	if (!n || n > UINT16_MAX)
		return -EINVAL;
	*port = n;
	return 0;
}

/* The last ':' stands before the port. */
static int parse_host(struct copies *c, struct span target, struct addr *out)
{
	const char *colon = target.len ? memrchr(target.p, ':', target.len) : NULL;
	char host[256];
	size_t len;
	int err;

	if (!colon)
		return -EINVAL;
	len = colon - target.p;
	if (!len || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, target.p, len);
	host[len] = '\0';
	err = addr_parse(out, ADDR_IP4, host, len);
	if (err && !c->o.no_resolve && !memchr(host, ':', len))
		err = resolve(c, host, out);
	return err;
}

static int parse_target(struct copies *c, struct span target, struct addr *out)
{
	const char *colon = target.len ? memrchr(target.p, ':', target.len) : NULL;
	uint16_t port;
	int err;

	if (!colon || parse_port(colon + 1, target.p + target.len - colon - 1, &port))
		return -EINVAL;
	if (port == UINT16_MAX && !c->o.no_rtcp)
		return -EINVAL;
	err = parse_host(c, target, out);
	out->port = port;
	return err;
}

/* ---- a pair of ports ---- */

static void pair_close(struct copies *c, struct copy *copy)
{
	int kind;

	for (kind = 0; kind < STREAM_KINDS; kind++) {
		if (copy->port[kind])
			dp_user_port_close(c->user, copy->port[kind]);
		copy->port[kind] = NULL;
	}
}

static int pair_bind(struct copies *c, struct copy *copy)
{
	int kind, err;

	for (kind = 0; kind < STREAM_KINDS; kind++) {
		const struct addr local = addr_with_port(copy->local, copy->local.port + kind);

		err = dp_user_port_open(c->user, &local, c->o.tos, copy, kind, &copy->port[kind]);
		if (err) {
			copy->port[kind] = NULL;
			pair_close(c, copy);
			return err;
		}
	}
	return 0;
}

static int pair_open(struct copies *c, struct copy *copy, uint64_t now_ns)
{
	unsigned int tries = ports_pairs(c->o.ports);
	int err = -ENOSPC;

	while (tries--) {
		int port = ports_take(c->o.ports, RTPX_SLOT_IP4, now_ns);

		if (port < 0)
			return port;
		copy->local.port = port;
		err = pair_bind(c, copy);
		if (!err)
			return 0;
		ports_give(c->o.ports, RTPX_SLOT_IP4, port, now_ns);
		if (err != -EADDRINUSE && err != -EACCES)
			break;
	}
	return err;
}

int copy_open(struct copies *c, struct span target, struct tally *tally, uint64_t now_ns,
	      struct copy **out)
{
	struct copy *copy = calloc(1, sizeof(*copy));
	int err;

	if (!copy)
		return -ENOMEM;
	copy->tally = tally;
	err = parse_target(c, target, &copy->dest);
	if (!err)
		err = dp_user_source(&copy->dest, &copy->local);
	if (!err)
		err = pair_open(c, copy, now_ns);
	if (err) {
		free(copy);
		return err;
	}
	*out = copy;
	return 0;
}

int copy_check(struct copies *c, struct span target)
{
	struct addr dest, local;
	int err = parse_host(c, target, &dest);

	return err ? err : dp_user_source(&dest, &local);
}

void copy_close(struct copies *c, struct copy *copy, uint64_t now_ns)
{
	pair_close(c, copy);
	ports_give(c->o.ports, RTPX_SLOT_IP4, copy->local.port, now_ns);
	free(copy);
}

void copy_send(struct copies *c, struct copy *copy, enum stream_kind kind, const uint8_t *data,
	       size_t len)
{
	const struct addr dest = addr_with_port(copy->dest, copy->dest.port + kind);

	if (dp_user_port_send(c->user, copy->port[kind], &dest, &copy->local, data, len) < 0)
		tally_lost(copy->tally, 1);
}

static void on_sent(void *arg, void *owner, unsigned int tag, size_t len, int err)
{
	struct copy *copy = owner;

	(void)arg, (void)tag;
	if (err)
		tally_lost(copy->tally, 1);
	else
		tally_recorded(copy->tally, 1, len);
}

void copies_flush(struct copies *c)
{
	dp_user_flush(c->user);
}

const struct addr *copy_local(const struct copy *copy)
{
	return &copy->local;
}

const struct addr *copy_dest(const struct copy *copy)
{
	return &copy->dest;
}

/* ---- begin and end ---- */

/* Receivers have nothing to say. */
static void on_packet(void *arg, void *owner, unsigned int tag, const struct dp_user_packet *pkt)
{
	(void)arg, (void)owner, (void)tag, (void)pkt;
}

static void on_batch_end(void *arg)
{
	(void)arg;
}

int copies_new(struct copies **out, struct event_base *base, const struct copies_opts *opts)
{
	const struct dp_user_opts user = { .on_packet = on_packet, .batch_end = on_batch_end,
					   .sent = on_sent };
	struct copies *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->o = *opts;
	err = dp_user_new(&c->user, base, &user);
	if (err) {
		free(c);
		return err;
	}
	*out = c;
	return 0;
}

void copies_free(struct copies *c)
{
	if (!c)
		return;
	dp_user_free(c->user);
	if (c->asked && is_answered(c->asked))
		take_answer(c->asked, &(struct addr){ 0 });
	free(c);
}

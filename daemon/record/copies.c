/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copies.c - port pairs that only send, on a socket layer of their own.
 *
 * Deliberately not here: checks that a receiver is alive.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "record/copies.h"
#include "base/clock.h"
#include "net/sender.h"
#include "net/sockets.h"
#include "net/names.h"

#define MAX_ADDRESSES 8
#define WAIT_SLICE_MS 2 /* the loop waits this long for a name, then calls meanwhile() */

struct copy {
	struct tally *tally;
	struct addr local, dest; /* of RTP */
	struct sockets_pair *pair;
};

struct copies {
	struct copies_opts o;
	struct sockets *user;
	struct question *asked; /* the question that timed out; NULL: none */
	char asked_host[256];
};

/* ---- names ---- */

static void wait_for_answer(struct copies *c, struct question *q)
{
	const uint64_t until_ns = clock_now() + COPY_RESOLVE_MS * NSEC_PER_MSEC;

	while (!names_answered(q) && clock_now() < until_ns) {
		names_wait(q, WAIT_SLICE_MS);
		if (c->o.meanwhile)
			c->o.meanwhile(c->o.arg);
	}
}

/* The first IPv4 address; without one, the first address. */
static int question_answer(struct question *q, struct addr *out)
{
	struct addr found[MAX_ADDRESSES];
	int n = names_take(q, found, MAX_ADDRESSES, NULL), i;

	if (n < 0)
		return n;
	for (i = 0; i < n && found[i].family != ADDR_IP4; i++)
		;
	*out = found[i < n ? i : 0];
	return 0;
}

/*
 * At most one question is late. Its answer serves the next command if that names the same host,
 * and is dropped otherwise.
 */
static int receiver_resolve(struct copies *c, const char *host, struct addr *out)
{
	struct question *q = c->asked;
	bool same;

	if (q) {
		if (!names_answered(q))
			return -ETIMEDOUT;
		c->asked = NULL;
		same = strcmp(c->asked_host, host) == 0;
		if (question_answer(q, out) == 0 && same)
			return 0;
	}
	if (names_ask(&q, host, AF_UNSPEC) < 0)
		return -ENOMEM;
	wait_for_answer(c, q);
	if (!names_answered(q)) {
		c->asked = q;
		snprintf(c->asked_host, sizeof(c->asked_host), "%s", host);
		return -ETIMEDOUT;
	}
	return question_answer(q, out);
}

static int receiver_port(const char *text, size_t len, uint16_t *port)
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

/* [IPv6] of @len characters, with the brackets. */
static int parse_ip6(const char *text, size_t len, struct addr *out)
{
	if (len < 2 || text[0] != '[' || text[len - 1] != ']')
		return -EINVAL;
	return addr_parse(out, ADDR_IP6, text + 1, len - 2);
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
	if (parse_ip6(host, len, out) == 0)
		return 0;
	err = addr_parse(out, ADDR_IP4, host, len);
	if (err && !c->o.no_resolve && !memchr(host, ':', len))
		err = receiver_resolve(c, host, out);
	return err;
}

static int parse_target(struct copies *c, struct span target, struct addr *out)
{
	const char *colon = target.len ? memrchr(target.p, ':', target.len) : NULL;
	uint16_t port;
	int err;

	if (!colon || receiver_port(colon + 1, target.p + target.len - colon - 1, &port))
		return -EINVAL;
	if (port == UINT16_MAX && !c->o.no_rtcp)
		return -EINVAL;
	err = parse_host(c, target, out);
	out->port = port;
	return err;
}

/* ---- a pair of ports ---- */

static int pair_bind(struct copies *c, struct copy *copy)
{
	const struct sockets_bind to = { .local = copy->local, .tos = c->o.tos };

	return sockets_pair_open(c->user, &to, copy, &copy->pair);
}

static int pair_open(struct copies *c, struct copy *copy, uint64_t now_ns)
{
	unsigned int tries = ports_tries(c->o.ports);
	unsigned int pool = ports_pool(c->o.ports, &copy->local);
	int err = -ENOSPC;

	while (tries--) {
		int port = ports_take(c->o.ports, pool, now_ns);

		if (port < 0)
			return port;
		copy->local.port = port;
		err = pair_bind(c, copy);
		if (!err)
			return 0;
		ports_give(c->o.ports, pool, port, now_ns);
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
		err = sender_source(&copy->dest, &copy->local);
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

	return err ? err : sender_source(&dest, &local);
}

void copy_close(struct copies *c, struct copy *copy, uint64_t now_ns)
{
	sockets_pair_close(c->user, copy->pair);
	ports_give(c->o.ports, ports_pool(c->o.ports, &copy->local), copy->local.port, now_ns);
	free(copy);
}

void copy_send(struct copies *c, struct copy *copy, enum stream_kind kind, const uint8_t *data,
	       size_t len)
{
	const struct addr dest = addr_with_port(copy->dest, copy->dest.port + kind);

	if (sockets_port_send(c->user, sockets_port(copy->pair, kind), &dest, &copy->local, data,
			      len) < 0)
		tally_lost(copy->tally, TALLY_NETWORK, 1);
}

static void on_sent(void *arg, void *owner, unsigned int tag, unsigned int note, size_t len,
		    int err)
{
	struct copy *copy = owner;

	(void)arg, (void)tag, (void)note;
	if (err)
		tally_lost(copy->tally, TALLY_NETWORK, 1);
	else
		tally_recorded(copy->tally, 1, len);
}

void copies_flush(struct copies *c)
{
	sockets_flush(c->user);
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

/* Ignores packets from receivers. */
static void on_packet(void *arg, void *owner, unsigned int tag, const struct sockets_packet *pkt)
{
	(void)arg, (void)owner, (void)tag, (void)pkt;
}

static void on_batch_end(void *arg)
{
	(void)arg;
}

int copies_new(struct copies **out, struct event_base *base, const struct copies_opts *opts)
{
	const struct sockets_opts user = { .on_packet = on_packet,
					   .batch_end = on_batch_end,
					   .sent = on_sent,
					   .switchboard = opts->switchboard,
					   .deaf = true };
	struct copies *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->o = *opts;
	err = sockets_new(&c->user, base, &user);
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
	sockets_free(c->user);
	names_drop(c->asked);
	free(c);
}

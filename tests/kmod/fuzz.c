/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.c - malformed requests to the module, from its owner and from another socket: attributes
 * left out, cut, doubled, of wrong types, and random bytes. The module must still work afterwards.
 *
 * fuzz [REQUESTS [SEED]] - in a network namespace of its own. The caller checks the kernel's log.
 */
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include "genl.h"
#include "packets.h"

static uint64_t state;

static uint32_t rnd(uint32_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % below;
}

/* Write a valid value of this attribute; returns its length. */
static size_t sensible(unsigned int type, uint8_t *p)
{
	static const struct packet_row plain = { .family = P44 };
	struct rtpx_flow flow = packet_flow(&plain);
	struct rtpx_flow_stats stats = { .packets = rnd(100) };
	uint32_t u32 = type == RTPX_A_ABI_VERSION ? RTPX_ABI_VERSION : rnd(1000);
	uint16_t port = PACKET_PORT_MIN + rnd(PACKET_PORT_MAX - PACKET_PORT_MIN + 1);

	switch (type) {
	case RTPX_A_FLOW:
		flow.seq = 0;
		flow.port = rnd(4) ? PACKET_PORT : port;
		memcpy(p, &flow, sizeof(flow));
		return sizeof(flow);
	case RTPX_A_STATS:
		memcpy(p, &stats, sizeof(stats));
		return sizeof(stats);
	case RTPX_A_FAMILY:
		*p = rnd(RTPX_FAMILIES);
		return 1;
	case RTPX_A_PORT:
		port = rnd(4) ? PACKET_PORT : port;
		memcpy(p, &port, sizeof(port));
		return sizeof(port);
	case RTPX_A_PORT_MIN:
	case RTPX_A_PORT_MAX:
		port = type == RTPX_A_PORT_MIN ? PACKET_PORT_MIN : PACKET_PORT_MAX;
		memcpy(p, &port, sizeof(port));
		return sizeof(port);
	case RTPX_A_MIRROR_BYTES:
		u32 = 65536u << rnd(4);
		memcpy(p, &u32, sizeof(u32));
		return sizeof(u32);
	case RTPX_A_FRESH:
		return 0;
	default:
		memcpy(p, &u32, sizeof(u32));
		return sizeof(u32);
	}
}

/* Add attributes that commands know: mostly the right ones, mostly with wrong values. */
static void put_attrs(struct nlmsghdr *h)
{
	static const uint8_t known[] = { RTPX_A_ABI_VERSION, RTPX_A_PORT_MIN,	 RTPX_A_PORT_MAX,
					 RTPX_A_SILENCE_MS,  RTPX_A_FRESH,	 RTPX_A_FAMILY,
					 RTPX_A_PORT,	     RTPX_A_FLOW,	 RTPX_A_STATS,
					 RTPX_A_LISTENER,    RTPX_A_MIRROR_BYTES };
	unsigned int i, k;

	for (i = 0; i < sizeof(known); i++) {
		unsigned int type = rnd(20) ? known[i] : rnd(40);
		uint8_t bytes[512];
		size_t len;

		if (!rnd(5))
			continue;
		len = sensible(type, bytes);
		for (k = rnd(8) ? 0 : 1 + rnd(8); k && len; k--)
			bytes[rnd(len)] = rnd(256);
		/* Gigabytes of room for copies are seldom asked for: each takes seconds. */
		if (type == RTPX_A_MIRROR_BYTES && rnd(64))
			bytes[3] = 0, bytes[2] &= 0x3f;
		if (!rnd(12))
			len = rnd(sizeof(bytes));
		mnl_attr_put(h, rnd(50) ? type : type | rnd(4) << 14, len, bytes);
		if (!rnd(40)) /* a wrong length in the attribute's header */
			((struct nlattr *)((char *)mnl_nlmsg_get_payload_tail(h) - MNL_ALIGN(len) -
					   4))
				->nla_len = rnd(600);
	}
	if (!rnd(30))
		h->nlmsg_len -= rnd(h->nlmsg_len - sizeof(*h) + 1);
}

/* Read all answers that wait in the socket. */
static void drain(struct speaker *s)
{
	while (recv(mnl_socket_get_fd(s->nl), s->buf, sizeof(s->buf), MSG_DONTWAIT) > 0)
		;
}

static void one(struct speaker *s)
{
	static const uint8_t commands[] = { RTPX_CMD_HELLO, RTPX_CMD_OPEN,	RTPX_CMD_PUT,
					    RTPX_CMD_PUT,   RTPX_CMD_PUT,	RTPX_CMD_DEL,
					    RTPX_CMD_GET,   RTPX_CMD_SET_STATS, RTPX_CMD_MIRROR,
					    RTPX_CMD_COPIES };
	uint8_t cmd = rnd(100) ? commands[rnd(sizeof(commands))] : rnd(256);
	struct nlmsghdr *h;

	/* Seldom close the table, or no other request would reach an open one. */
	if (!rnd(500))
		cmd = RTPX_CMD_CLOSE;
	h = say_header(s, genl_family, rnd(20) ? NLM_F_ACK : NLM_F_DUMP, cmd,
		       rnd(50) ? RTPX_GENL_VERSION : rnd(256));
	put_attrs(h);
	mnl_socket_sendto(s->nl, h, h->nlmsg_len);
	drain(s);
}

static int open_table(struct speaker *s)
{
	struct nlmsghdr *h =
		say_header(s, genl_family, NLM_F_ACK, RTPX_CMD_OPEN, RTPX_GENL_VERSION);

	mnl_attr_put_u32(h, RTPX_A_ABI_VERSION, RTPX_ABI_VERSION);
	mnl_attr_put_u32(h, RTPX_A_SILENCE_MS, PACKET_SILENCE_MS);
	mnl_attr_put_u16(h, RTPX_A_PORT_MIN, PACKET_PORT_MIN);
	mnl_attr_put_u16(h, RTPX_A_PORT_MAX, PACKET_PORT_MAX);
	mnl_attr_put(h, RTPX_A_FRESH, 0, NULL);
	return say(s, h, NULL, NULL);
}

int main(int argc, char **argv)
{
	unsigned long requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000, i;
	static struct speaker speakers[2];
	int rc;

	state = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
	if (unshare(CLONE_NEWNET)) {
		perror("network namespace");
		return 1;
	}
	speaker_open(&speakers[0]);
	speaker_open(&speakers[1]);
	if (find_family(&speakers[0])) {
		printf("the module is not loaded\n");
		return 4;
	}
	printf("seed of %lu requests: %llu\n", requests, (unsigned long long)state);
	for (i = 0; i < requests; i++) {
		if (i % 5000 == 0) /* the module then has an owner most of the time */
			open_table(&speakers[0]);
		one(&speakers[rnd(4) == 0]);
	}
	mnl_socket_close(speakers[0].nl);
	mnl_socket_close(speakers[1].nl);
	speaker_open(&speakers[0]);
	rc = open_table(&speakers[0]);
	printf(rc ? "not ok fuzz: the module does not open a table: %s\n" : "ok fuzz\n",
	       strerror(-rc));
	return rc != 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * protocol.c - the module's answer to each request of two sockets, as in include/rtpx_genl.h. Runs
 * in a network namespace of its own, one row after the other.
 */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "genl.h"
#include "packets.h"

enum who { OWNER, OTHER, WHOS };

/* The attributes of a request, and the fault of one of them. */
enum {
	CONFIG = 1 << 0, /* ABI_VERSION, PORT_MIN, PORT_MAX, SILENCE_MS */
	FRESH = 1 << 1,
	PLACE = 1 << 2, /* SLOT, PORT */
	FLOW = 1 << 3,
	STATS = 1 << 4,
	MIRROR = 1 << 5,
};

enum wrong {
	RIGHT,
	VERSION,
	ABI,
	NO_PORTS,
	PORTS_CROSSED,
	PORT_0,
	OTHER_PORTS,
	SLOT_2,
	OUTSIDE,
	UNKNOWN_ATTR,
	UNKNOWN_FLAG,
	NOT_ACTIVE,
	SEQ,
	FLOW_OF_OTHER_PORT,
	NO_OUT_PORT,
	NO_DEST_PORT,
	NO_TTL,
	LABEL,
	SHORT_FLOW,
	LONG_FLOW,
	SHORT_STATS,
	SHORT_PORT,
	DUMP,
};

enum { CLOSE_SOCKET = -1 }; /* as a command: close the socket and open another one */

static const struct row {
	const char *name;
	enum who who;
	int cmd;
	unsigned int has;
	enum wrong wrong;
	int want; /* 0 or -errno */
	unsigned int answers;
} rows[] = {
	{ "hello before there is a table", OTHER, RTPX_CMD_HELLO, 0, RIGHT, 0, 1 },
	{ "hello of another version", OTHER, RTPX_CMD_HELLO, 0, VERSION, -EPROTO, 0 },
	{ "get without a table", OTHER, RTPX_CMD_GET, PLACE, RIGHT, -ENOENT, 0 },
	{ "put without a table", OTHER, RTPX_CMD_PUT, PLACE | FLOW | STATS, RIGHT, -EPERM, 0 },
	{ "close without a table", OTHER, RTPX_CMD_CLOSE, 0, RIGHT, -EPERM, 0 },
	{ "dump without a table", OTHER, RTPX_CMD_GET, 0, DUMP, 0, 0 },
	{ "open without its attributes", OWNER, RTPX_CMD_OPEN, 0, RIGHT, -EINVAL, 0 },
	{ "open without ports", OWNER, RTPX_CMD_OPEN, CONFIG, NO_PORTS, -EINVAL, 0 },
	{ "open with another ABI", OWNER, RTPX_CMD_OPEN, CONFIG, ABI, -EPROTO, 0 },
	{ "open with ports crossed", OWNER, RTPX_CMD_OPEN, CONFIG, PORTS_CROSSED, -EINVAL, 0 },
	{ "open with port 0", OWNER, RTPX_CMD_OPEN, CONFIG, PORT_0, -ERANGE, 0 },
	{ "open with an attribute too many", OWNER, RTPX_CMD_OPEN, CONFIG, UNKNOWN_ATTR, -EINVAL,
	  0 },
	{ "open", OWNER, RTPX_CMD_OPEN, CONFIG, RIGHT, 0, 1 },
	{ "open again", OWNER, RTPX_CMD_OPEN, CONFIG, RIGHT, -EBUSY, 0 },
	{ "open by another", OTHER, RTPX_CMD_OPEN, CONFIG | FRESH, RIGHT, -EBUSY, 0 },
	{ "hello by another", OTHER, RTPX_CMD_HELLO, 0, RIGHT, 0, 1 },
	{ "put by another", OTHER, RTPX_CMD_PUT, PLACE | FLOW | STATS, RIGHT, -EPERM, 0 },
	{ "close by another", OTHER, RTPX_CMD_CLOSE, 0, RIGHT, -EPERM, 0 },
	{ "get of nothing", OTHER, RTPX_CMD_GET, PLACE, RIGHT, -ENOENT, 0 },
	{ "get without a place", OTHER, RTPX_CMD_GET, 0, RIGHT, -EINVAL, 0 },
	{ "del of nothing", OWNER, RTPX_CMD_DEL, PLACE, RIGHT, -ENOENT, 0 },
	{ "set stats of nothing", OWNER, RTPX_CMD_SET_STATS, PLACE | STATS, RIGHT, -ENOENT, 0 },
	{ "put without a flow", OWNER, RTPX_CMD_PUT, PLACE | STATS, RIGHT, -EINVAL, 0 },
	{ "put without a place", OWNER, RTPX_CMD_PUT, FLOW | STATS, RIGHT, -EINVAL, 0 },
	{ "put with an unknown attribute", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, UNKNOWN_ATTR,
	  -EINVAL, 0 },
	{ "put of an unknown flag", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, UNKNOWN_FLAG,
	  -EINVAL, 0 },
	{ "put of an inactive flow", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, NOT_ACTIVE, -EINVAL,
	  0 },
	{ "put of a flow being written", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, SEQ, -EINVAL,
	  0 },
	{ "put of a flow of another port", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS,
	  FLOW_OF_OTHER_PORT, -EINVAL, 0 },
	{ "put from port 0", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, NO_OUT_PORT, -EINVAL, 0 },
	{ "put to port 0", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, NO_DEST_PORT, -EINVAL, 0 },
	{ "put with TTL 0", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, NO_TTL, -EINVAL, 0 },
	{ "put with an endless label", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, LABEL, -EINVAL,
	  0 },
	{ "put of a flow too short", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, SHORT_FLOW, -ERANGE,
	  0 },
	{ "put of a flow too long", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, LONG_FLOW, -ERANGE,
	  0 },
	{ "put of statistics too short", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, SHORT_STATS,
	  -ERANGE, 0 },
	{ "put with half a port", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, SHORT_PORT, -EINVAL,
	  0 },
	{ "put into family 2", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, SLOT_2, -ERANGE, 0 },
	{ "put outside the ports", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, OUTSIDE, -ERANGE, 0 },
	{ "put without statistics", OWNER, RTPX_CMD_PUT, PLACE | FLOW, RIGHT, -ENOENT, 0 },
	{ "put", OWNER, RTPX_CMD_PUT, PLACE | FLOW | STATS, RIGHT, 0, 0 },
	{ "put again without statistics", OWNER, RTPX_CMD_PUT, PLACE | FLOW, RIGHT, 0, 0 },
	{ "get", OTHER, RTPX_CMD_GET, PLACE, RIGHT, 0, 1 },
	{ "dump", OTHER, RTPX_CMD_GET, 0, DUMP, 0, 1 },
	{ "set stats", OWNER, RTPX_CMD_SET_STATS, PLACE | STATS, RIGHT, 0, 0 },
	{ "set stats without any", OWNER, RTPX_CMD_SET_STATS, PLACE, RIGHT, -EINVAL, 0 },
	{ "set stats by another", OTHER, RTPX_CMD_SET_STATS, PLACE | STATS, RIGHT, -EPERM, 0 },
	{ "del by another", OTHER, RTPX_CMD_DEL, PLACE, RIGHT, -EPERM, 0 },
	{ "mirror by another", OTHER, RTPX_CMD_MIRROR, MIRROR, RIGHT, -EPERM, 0 },
	{ "mirror without attributes", OWNER, RTPX_CMD_MIRROR, 0, RIGHT, -EINVAL, 0 },
	{ "mirror for port id 0", OWNER, RTPX_CMD_MIRROR, MIRROR, PORT_0, -ERANGE, 0 },
	{ "mirror", OWNER, RTPX_CMD_MIRROR, MIRROR, RIGHT, 0, 0 },
	{ "mirror again", OWNER, RTPX_CMD_MIRROR, MIRROR, RIGHT, 0, 0 },
	{ "copies by another", OTHER, RTPX_CMD_COPIES, 0, RIGHT, -EPERM, 0 },
	{ "no copies", OWNER, RTPX_CMD_COPIES, 0, RIGHT, 0, 0 },
	{ "no such command", OWNER, 200, 0, RIGHT, -EOPNOTSUPP, 0 },
	{ "the owner goes", OWNER, CLOSE_SOCKET, 0, RIGHT, 0, 0 },
	{ "put by nobody", OTHER, RTPX_CMD_PUT, PLACE | FLOW | STATS, RIGHT, -EPERM, 0 },
	{ "the flow is still there", OTHER, RTPX_CMD_GET, PLACE, RIGHT, 0, 1 },
	{ "open with other ports", OTHER, RTPX_CMD_OPEN, CONFIG, OTHER_PORTS, -EEXIST, 0 },
	{ "open by the next", OTHER, RTPX_CMD_OPEN, CONFIG, RIGHT, 0, 1 },
	{ "who has the flow of the first", OTHER, RTPX_CMD_GET, PLACE, RIGHT, 0, 1 },
	{ "the first comes back", OWNER, RTPX_CMD_OPEN, CONFIG, RIGHT, -EBUSY, 0 },
	{ "del", OTHER, RTPX_CMD_DEL, PLACE, RIGHT, 0, 1 },
	{ "del again", OTHER, RTPX_CMD_DEL, PLACE, RIGHT, -ENOENT, 0 },
	{ "put once more", OTHER, RTPX_CMD_PUT, PLACE | FLOW | STATS, RIGHT, 0, 0 },
	{ "the next goes, too", OTHER, CLOSE_SOCKET, 0, RIGHT, 0, 0 },
	{ "open afresh", OWNER, RTPX_CMD_OPEN, CONFIG | FRESH, OTHER_PORTS, 0, 1 },
	{ "nothing is left", OWNER, RTPX_CMD_GET, 0, DUMP, 0, 0 },
	{ "close", OWNER, RTPX_CMD_CLOSE, 0, RIGHT, 0, 0 },
	{ "close again", OWNER, RTPX_CMD_CLOSE, 0, RIGHT, -EPERM, 0 },
	{ "open after close", OTHER, RTPX_CMD_OPEN, CONFIG, RIGHT, 0, 1 },
	{ "put before the namespace ends", OTHER, RTPX_CMD_PUT, PLACE | FLOW | STATS, RIGHT, 0, 0 },
};

static void put_config(struct nlmsghdr *h, enum wrong wrong)
{
	uint16_t min = wrong == PORTS_CROSSED ? PACKET_PORT_MAX + 1
		       : wrong == PORT_0      ? 0
					      : PACKET_PORT_MIN;

	mnl_attr_put_u32(h, RTPX_A_ABI_VERSION, RTPX_ABI_VERSION + (wrong == ABI));
	mnl_attr_put_u32(h, RTPX_A_SILENCE_MS, PACKET_SILENCE_MS);
	if (wrong == NO_PORTS)
		return;
	mnl_attr_put_u16(h, RTPX_A_PORT_MIN, min);
	mnl_attr_put_u16(h, RTPX_A_PORT_MAX, PACKET_PORT_MAX - 2 * (wrong == OTHER_PORTS));
}

static void put_flow(struct nlmsghdr *h, enum wrong wrong)
{
	static const struct packet_row plain = { .family = P44 };
	struct {
		struct rtpx_flow flow;
		uint8_t more[4];
	} f = { .flow = packet_flow(&plain) };
	size_t bytes = sizeof(f.flow) - 4 * (wrong == SHORT_FLOW) + 4 * (wrong == LONG_FLOW);

	f.flow.seq = wrong == SEQ;
	f.flow.flags |= wrong == UNKNOWN_FLAG ? 1 << 15 : 0;
	f.flow.flags &= wrong == NOT_ACTIVE ? ~RTPX_FLOW_ACTIVE : 0xffff;
	f.flow.port += wrong == FLOW_OF_OTHER_PORT;
	f.flow.out_port *= wrong != NO_OUT_PORT;
	f.flow.dest_port *= wrong != NO_DEST_PORT;
	f.flow.ttl *= wrong != NO_TTL;
	if (wrong == LABEL)
		memset(f.flow.label, 'x', sizeof(f.flow.label));
	mnl_attr_put(h, RTPX_A_FLOW, bytes, &f);
}

static int run_row(struct speaker *s, const struct row *r)
{
	struct rtpx_flow_stats stats = { .packets = 1 };
	struct nlmsghdr *h;

	if (r->cmd == CLOSE_SOCKET) {
		mnl_socket_close(s->nl);
		speaker_open(s);
		return 0;
	}
	h = say_header(s, genl_family, r->wrong == DUMP ? NLM_F_DUMP : NLM_F_ACK, r->cmd,
		       RTPX_GENL_VERSION + (r->wrong == VERSION));
	if (r->has & CONFIG)
		put_config(h, r->wrong);
	if (r->has & FRESH)
		mnl_attr_put(h, RTPX_A_FRESH, 0, NULL);
	if (r->has & PLACE) {
		mnl_attr_put_u8(h, RTPX_A_FAMILY, r->wrong == SLOT_2 ? 2 : RTPX_FAMILY_IP4);
		if (r->wrong == SHORT_PORT)
			mnl_attr_put_u8(h, RTPX_A_PORT, 1);
		else
			mnl_attr_put_u16(h, RTPX_A_PORT,
					 r->wrong == OUTSIDE ? PACKET_PORT_MAX + 1 : PACKET_PORT);
	}
	if (r->has & FLOW)
		put_flow(h, r->wrong);
	if (r->has & STATS)
		mnl_attr_put(h, RTPX_A_STATS, sizeof(stats) - (r->wrong == SHORT_STATS), &stats);
	if (r->has & MIRROR) {
		mnl_attr_put_u32(h, RTPX_A_LISTENER, r->wrong == PORT_0 ? 0 : 1);
		mnl_attr_put_u32(h, RTPX_A_MIRROR_BYTES, 65536);
	}
	if (r->wrong == UNKNOWN_ATTR)
		mnl_attr_put_u32(h, RTPX_A_END, 1);
	return say(s, h, NULL, NULL);
}

/* Returns the answer to an owner that asks for @bytes for copies. */
static int mirror_of(uint32_t bytes)
{
	static const struct row open = { "open", OWNER, RTPX_CMD_OPEN, CONFIG, RIGHT, 0, 1 };
	static struct speaker s;
	struct nlmsghdr *h;

	speaker_open(&s);
	if (find_family(&s) || run_row(&s, &open))
		return -ENODEV;
	h = say_header(&s, genl_family, NLM_F_ACK, RTPX_CMD_MIRROR, RTPX_GENL_VERSION);
	mnl_attr_put_u32(h, RTPX_A_LISTENER, 1);
	mnl_attr_put_u32(h, RTPX_A_MIRROR_BYTES, bytes);
	return say(&s, h, NULL, NULL);
}

/* protocol; or protocol mirror BYTES, which prints the answer. */
int main(int argc, char **argv)
{
	static struct speaker speakers[WHOS];
	unsigned int passed = 0, failed = 0;
	const struct row *r;
	int i, is;

	if (unshare(CLONE_NEWNET)) {
		perror("network namespace");
		return 1;
	}
	if (argc > 2) {
		puts(strerror(-mirror_of(strtoul(argv[2], NULL, 10))));
		return 0;
	}
	for (i = 0; i < WHOS; i++)
		speaker_open(&speakers[i]);
	if (find_family(&speakers[OWNER])) {
		printf("the module is not loaded\n");
		return 4;
	}
	for (r = rows; r < rows + sizeof(rows) / sizeof(rows[0]); r++) {
		is = run_row(&speakers[r->who], r);
		if (is == r->want &&
		    (is || r->cmd == CLOSE_SOCKET || speakers[r->who].answers == r->answers)) {
			passed++;
			continue;
		}
		printf("not ok %s: %s, %u answers\n", r->name, strerror(-is),
		       speakers[r->who].answers);
		failed++;
	}
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}

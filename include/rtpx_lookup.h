/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * rtpx_lookup.h - memory that bpf/lookup.bpf.c shares with daemon/net/switchboard.c of the same
 * build. Nothing here outlives the daemon, so it is no part of the ABI version.
 */
#ifndef RTPX_LOOKUP_H
#define RTPX_LOOKUP_H

#include <linux/types.h>

#define FLOOR_SHARDS 8 /* shared sockets of each address family */
#define FLOOR_GROUPS 2 /* IPv4 is 0, IPv6 is 1 */
#define FLOOR_SOCKETS (FLOOR_GROUPS * FLOOR_SHARDS)
/* Elements of the map `receivers`: the shared sockets, then a socket of each group that drops. */
#define FLOOR_RECEIVERS (FLOOR_SOCKETS + FLOOR_GROUPS)

enum floor_state {
	FLOOR_CLOSED, /* no port of this daemon */
	FLOOR_OPEN,   /* the shared socket gets its packets */
	FLOOR_DEAF,   /* the port only sends: its packets are dropped */
};

/* A local address. IPv4 uses the first word of @ip, the others are 0. 0.0.0.0 or :: is any. */
struct floor_place {
	__u32 group;
	__be32 ip[4];
};

/*
 * A port of a place. The daemon writes @state and @shard. The program writes @turn and @count: the
 * packets that it gave to the shared socket in this turn.
 */
struct floor_port {
	__u32 turn;
	__u16 count;
	__u8 state, shard;
};

#define FLOOR_ASKED 32 /* a bit each of the answer */

/*
 * Do sockets have these @n ports of a local address? @port is in network byte order. @shared: only
 * sockets count that another daemon's program gives the packets of these ports to.
 */
struct floor_question {
	struct floor_place place;
	__u32 n, shared;
	__be16 port[FLOOR_ASKED];
};

/*
 * A turn of a shared socket ends when the daemon has read each packet that came before the turn.
 * The daemon writes @turn and @share: the packets that one port may give in a turn. The program
 * counts packets above that share.
 */
struct floor_turn {
	__u32 turn, share;
	__u64 refused;
	__u64 pad[6]; /* a cache line of its own */
};

#endif

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * rtpx_genl.h - the generic netlink family of the netfilter module rtpx.ko, and its protocol
 * document.
 *
 * Each network namespace has at most one table of flows. A netlink socket opens it, and owns it
 * until the socket is closed. Only the owner changes the table. Without an owner it stays, and goes
 * on forwarding, until a socket opens and closes it, the namespace ends or the module is removed.
 * Every command needs CAP_NET_ADMIN in the namespace and RTPX_GENL_VERSION in its header. A refused
 * command has no effect; the extended acknowledgement has a sentence about it. Unknown attributes,
 * flags and versions are refused.
 *
 *  HELLO      anybody. Answers properties of the module: MODULE, ABI_VERSION, FLOW_BYTES,
 *             STATS_BYTES, COUNTERS_BYTES; if there is a table, also PORT_MIN, PORT_MAX,
 *             SILENCE_MS, FLOWS, COUNTERS, and OWNER if it has one.
 *  OPEN       ABI_VERSION, PORT_MIN, PORT_MAX, SILENCE_MS[, FRESH]. Make the table, or take over
 *             the table that an owner left, with its flows and counters; FRESH empties it.
 *             Answers as HELLO does. -EPROTO: another ABI version. -EBUSY: it has an
 *             owner. -EEXIST: it has flows and other ports.
 *  CLOSE      owner. Remove the table and all flows.
 *  PUT        owner. FAMILY, PORT, FLOW[, STATS]: install or replace. Counting begins with STATS.
 *             Without STATS, a replaced flow goes on counting, and a new flow is refused with
 *             -ENOENT.
 *  DEL        owner. FAMILY, PORT: stop forwarding. Answers the final STATS. -ENOENT: no flow.
 *  GET        anybody. FAMILY, PORT: answers FAMILY, PORT, FLOW, STATS. -ENOENT: no flow. As a
 *             dump, without attributes: all flows.
 *  SET_STATS  owner. FAMILY, PORT, STATS: count from there on. -ENOENT: no flow. -EAGAIN: packets
 *             were counted since the owner's last GET or SET_STATS of this flow, and would be lost.
 *  MIRROR     owner. LISTENER, MIRROR_BYTES: from now on each forwarded packet of flows with
 *             RTPX_FLOW_MIRROR is also copied, for the owner to fetch. At most MIRROR_BYTES of
 *             copies wait. That memory is set aside at once and charged to the owner's control
 *             group. The socket with the port id LISTENER is sent a MIRROR message when copies
 *             begin to wait. The next one follows only after a request for COPIES found nothing.
 *             -EPERM: more than RTPX_MIRROR_BYTES_ANYBODY without CAP_NET_ADMIN in the initial
 *             user namespace. -ENOMEM: no copies are made.
 *  COPIES     owner. Answers the oldest copies that wait, at most 16 KB, COPY and PAYLOAD in turn,
 *             and forgets them; answers nothing when there are none.
 *
 * -EPERM: not the owner. -ERANGE: the port is not in the table. -EINVAL: the flow makes no sense.
 */
#ifndef RTPX_GENL_H
#define RTPX_GENL_H

#include "rtpx_abi.h"

#define RTPX_GENL_NAME "rtpx"
#define RTPX_GENL_VERSION 1

/* Most bytes that an owner with root in a user namespace only may have set aside for copies. */
#define RTPX_MIRROR_BYTES_ANYBODY (64 << 20)

enum rtpx_cmd {
	RTPX_CMD_UNSPEC,
	RTPX_CMD_HELLO,
	RTPX_CMD_OPEN,
	RTPX_CMD_CLOSE,
	RTPX_CMD_PUT,
	RTPX_CMD_DEL,
	RTPX_CMD_GET,
	RTPX_CMD_SET_STATS,
	RTPX_CMD_MIRROR,
	RTPX_CMD_COPIES,
};

enum rtpx_attr {
	RTPX_A_UNSPEC,
	RTPX_A_MODULE,	       /* string: version of the module */
	RTPX_A_ABI_VERSION,    /* u32: RTPX_ABI_VERSION */
	RTPX_A_FLOW_BYTES,     /* u32: sizeof(struct rtpx_flow) */
	RTPX_A_STATS_BYTES,    /* u32: sizeof(struct rtpx_flow_stats) */
	RTPX_A_COUNTERS_BYTES, /* u32: sizeof(struct rtpx_counters) */
	RTPX_A_PORT_MIN,       /* u16: first port of each family */
	RTPX_A_PORT_MAX,       /* u16: last port of each family */
	RTPX_A_SILENCE_MS,     /* u32: as in struct rtpx_config */
	RTPX_A_FRESH,	       /* flag: remove the flows and counters that are there */
	RTPX_A_FLOWS,	       /* u32: number of flows */
	RTPX_A_OWNER,	       /* u32: port id of the socket that owns the table */
	RTPX_A_COUNTERS,       /* struct rtpx_counters, summed over CPUs */
	RTPX_A_FAMILY,	       /* u8: enum rtpx_family */
	RTPX_A_PORT,	       /* u16: local port */
	RTPX_A_FLOW,	       /* struct rtpx_flow with seq 0; nexthop is ignored */
	RTPX_A_STATS,	       /* struct rtpx_flow_stats */
	RTPX_A_LISTENER,       /* u32: port id of a netlink socket */
	RTPX_A_MIRROR_BYTES,   /* u32: bytes, rounded down to units of 16 KB */
	RTPX_A_COPY,	       /* struct rtpx_mirrored */
	RTPX_A_PAYLOAD,	       /* bytes: the UDP payload, at most RTPX_MIRROR_MAX */
	RTPX_A_END,
};

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * why.h - the reasons why a direction of a call is not in the kernel, in their only table.
 */
#ifndef RTPX_WHY_H
#define RTPX_WHY_H

/* name, text shown to the operator */
#define FLOW_WHYS(X)                                                                               \
	X(KERNEL, "in the kernel")                                                                 \
	X(NO_DATAPLANE, "no dataplane is in use: the daemon's sockets forward every call")         \
	X(INCOMPLETE, "the call is not complete: only one leg has ports")                          \
	X(NOT_LATCHED, "no packet has come from this peer yet, or its address is not proven")      \
	X(SETTLING, "the other party's new address has sent no packet yet: packets go to both "    \
		    "addresses")                                                                   \
	X(NO_REMOTE, "the other side's address is not known yet")                                  \
	X(LOOPBACK, "the other side is on this host")                                              \
	X(NO_LOCAL, "the local address is a wildcard and no packet has shown which one is used")   \
	X(NO_ROUTE, "no route to the other side")                                                  \
	X(NO_NEIGHBOUR, "the next hop's link address is not resolved yet")                         \
	X(NO_INTERFACE, "the route leaves through an interface that the dataplane does not serve") \
	X(ENCAP, "the route wraps packets into others (encap): SRv6, MPLS, a tunnel")              \
	X(IPSEC, "an IPsec policy of this host encrypts or blocks packets to the other side")      \
	X(VRF, "the daemon's sockets are bound to a device (VRF), which this dataplane cannot do") \
	X(MARK, "the firewall marks its packets, and a routing rule sends marked packets "         \
		"elsewhere")                                                                       \
	X(NAT, "this host translates its addresses (NAT), or rtpxd does not know yet whether it "  \
	       "does")                                                                             \
	X(FIREWALL, "a firewall rule of this host drops or changes packets to the other side, or " \
		    "may do so")                                                                   \
	X(TRAFFIC, "traffic control (tc) of the outgoing interface shapes, filters or changes "    \
		   "packets")                                                                      \
	X(FRAGMENTS, "the host sends IPv4 without \"don't fragment\" (ip_no_pmtu_disc, mtu lock)") \
	X(CGROUP, "a BPF program of the daemon's control group judges packets of its sockets")     \
	X(FAMILY, "the other side's address is of another family than its leg")                    \
	X(RECORDED, "it is recorded or copied, and the dataplane cannot hand packets over")        \
	X(PLAYING, "a prompt plays to the other side")                                             \
	X(RESIZED, "it is cut into packets of another length (z)")                                 \
	X(RENUMBERED, "its packets get numbers that go on from those that z has made")             \
	X(FED, "its packets also go to another session, or packets of another session replace "    \
	       "them")                                                                             \
	X(DOUBLE, "small packets are sent twice (-2)")                                             \
	X(TABLE_FULL, "the dataplane's table of next hops is full")                                \
	X(REFUSED, "the dataplane refused the flow")                                               \
	X(BY_SOCKETS, "its flow is in the kernel, but its packets reach the sockets instead")

enum flow_why {
#define FLOW_WHY_ENUM(name, text) FLOW_WHY_##name,
	FLOW_WHYS(FLOW_WHY_ENUM)
#undef FLOW_WHY_ENUM
		FLOW_WHY_COUNT,
};
/*
 * One of several judges has no objection against the kernel. Only sync, which has asked all judges
 * and has installed the flow, says FLOW_WHY_KERNEL.
 */
#define FLOW_NO_OBJECTION FLOW_WHY_KERNEL

#endif

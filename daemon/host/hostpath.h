/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostpath.h - the only table of the inputs by which Linux chooses route, source, encapsulation,
 * translation and priority of a UDP packet. Each row says how rtpx treats its input.
 * docs/host-path.md quotes the table.
 *
 * The rule: for each flow a dataplane sends the frame that the host's own socket would have sent.
 * If the daemon cannot know that frame, the packets stay with the sockets, and `rtpxctl why` names
 * the reason.
 *
 *   ASKED       rtpx asks the kernel with this input, and follows the answer
 *   REFUSED     packets that the input affects stay with the sockets: reasons of why.h
 *   IRRELEVANT  the input cannot change the frame
 */
#ifndef RTPX_HOSTPATH_H
#define RTPX_HOSTPATH_H

/* input, verdict, reason of why.h or NONE, how rtpx treats it or why it cannot matter */
#define HOST_INPUTS(X)                                                                     \
	/* route */                                                                        \
	X("destination and source address", ASKED, NONE,                                   \
	  "RTM_GETROUTE with both; a wildcard port sends from the address that its peer sends " \
	  "to, "                                                                           \
	  "else from the kernel's choice")                                                 \
	X("TOS, DSCP: rules and routes by them", ASKED, NONE, "RTM_GETROUTE with rtm_tos") \
	X("rules by protocol, user", ASKED, NONE,                                          \
	  "RTM_GETROUTE with RTA_IP_PROTO (UDP) and RTA_UID (the daemon's)")               \
	X("rules by source and destination port", ASKED, NONE,                             \
	  "RTM_GETROUTE with RTA_SPORT and RTA_DPORT; only while such a rule exists each flow " \
	  "has "                                                                           \
	  "a next hop of its own")                                                         \
	X("paths of a multipath route", ASKED, NONE,                                       \
	  "the kernel's choice, by address; by port with fib_multipath_hash_policy, as above") \
	X("rules by incoming interface (iif lo), suppress rules, tables, metrics, nexthop " \
	  "objects",                                                                       \
	  ASKED, NONE, "the kernel applies them when it answers RTM_GETROUTE; notices follow " \
	  "them")                                                                          \
	X("device that the sockets are bound to: VRF, `ip vrf exec`", ASKED, VRF,          \
	  "read from a socket each second; RTM_GETROUTE with RTA_OIF; the module, which "  \
	  "asks for its own routes, leaves such calls to the sockets")                     \
	X("mark of the sockets (SO_MARK by a BPF program)", ASKED, MARK,                   \
	  "read as the device is; RTM_GETROUTE with RTA_MARK; not by the module")          \
	X("gateways of the other family", ASKED, NONE, "RTA_VIA of the answer")            \
	X("blackhole, unreachable and prohibit routes", REFUSED, NO_ROUTE,                 \
	  "the socket gets an error, too")                                                 \
	X("this host, loopback, broadcast, multicast", REFUSED, LOOPBACK,                  \
	  "and NO_ROUTE for broadcast and multicast")                                      \
	X("routes that wrap packets: RTA_ENCAP (SRv6, MPLS, ip, ip6, bpf), also of nexthop " \
	  "objects",                                                                       \
	  REFUSED, ENCAP, "the module sends them, because it hands packets to the host's routing") \
	X("devices that are no Ethernet devices; tunnels; a VLAN over a VLAN", REFUSED,    \
	  NO_INTERFACE, "the module serves them")                                          \
	X("forwarding: ip_forward, filters for forwarded packets, rp_filter of other hosts", \
	  IRRELEVANT,                                                                      \
	  NONE, "packets of a relay come from a socket of this host and are not forwarded") \
	/* IPsec */                                                                        \
	X("XFRM policies for outgoing packets: selector, priority, mark, device; the default " \
	  "policy",                                                                        \
	  REFUSED, IPSEC,                                                                  \
	  "read and followed by XFRM netlink; a policy that encrypts or blocks; not refused to " \
	  "the "                                                                           \
	  "module, whose packets pass them")                                               \
	X("XFRM states, policies of sockets, of XFRM devices (if_id)", IRRELEVANT, NONE,   \
	  "a state acts through a policy; our sockets have no policy; such devices are not " \
	  "served")                                                                        \
	/* firewall and NAT */                                                             \
	X("nftables, iptables (nf_tables) in output and postrouting, egress of the device: drop, " \
	  "reject, queue, changes of DSCP, TTL, priority, copies",                         \
	  REFUSED, FIREWALL,                                                               \
	  "rules are read, followed and judged for each flow; a condition that is unknown " \
	  "before a packet is there (length, rate, time) counts as fulfilled")             \
	X("iptables of the legacy kind", REFUSED, FIREWALL,                                \
	  "any rule or a policy of DROP in raw, mangle, filter or security that sees outgoing " \
	  "packets; "                                                                      \
	  "with rules of nat, conntrack is asked; looked at each second")                  \
	X("matches by connection state and mark in them", ASKED, FIREWALL,                 \
	  "conntrack is asked for the flow, when the answer depends on it")                \
	X("marks set in a chain of type route, iptables' mangle OUTPUT", ASKED, MARK,      \
	  "where a routing rule names marks, RTM_GETROUTE with RTA_MARK; refused when the mark " \
	  "is "                                                                            \
	  "not known, and to the module")                                                  \
	X("NAT: SNAT, masquerade, DNAT, redirect, of this flow or of the packets it answers", \
	  REFUSED, NAT,                                                                    \
	  "if a NAT rule may concern the flow, conntrack is asked about its packets; "     \
	  "until the socket has sent one, the flow and its answers stay there; other NAT rules " \
	  "do "                                                                            \
	  "not matter")                                                                    \
	X("filters of incoming packets: nftables in prerouting and input", REFUSED, FIREWALL, \
	  "where a rule certainly drops packets of the peer; a doubt does not count, because " \
	  "packets of the peer had passed when the flow was made; answers are taken to arrive by " \
	  "the device of the route")                                                       \
	X("other filters of incoming packets: iptables-legacy, netdev ingress, tc ingress", \
	  IRRELEVANT,                                                                      \
	  NONE, "packets of the peer had passed when the flow was made; XDP comes before a rule " \
	  "that is added later: end the call, or add the rule to an input chain of nftables") \
	X("notrack, counters, logs, connection marks", IRRELEVANT, NONE, "they change no frame") \
	/* header */                                                                       \
	X("TTL, hop limit: ip_default_ttl, hop_limit of the device, hoplimit of the route", ASKED, \
	  NONE, "read from the answer, from /proc/sys each second and with each link notice") \
	X("don't fragment: ip_no_pmtu_disc, locked MTU of a route (IPv4)", REFUSED, FRAGMENTS, \
	  "a dataplane sends with \"don't fragment\" only")                                \
	X("ECN (RFC 3168)", ASKED, NONE,                                                   \
	  "kept as it arrived, as a router does; the rest of the TOS is rtpxd's (-t, T)")  \
	X("IPv6 flow label: auto_flowlabels", ASKED, NONE,                                 \
	  "the module computes the socket's; XDP has another one for each pair of ports, because " \
	  "the kernel's hash has a secret; none where the host's sockets have none")       \
	X("identification (IPv4)", IRRELEVANT, NONE, "RFC 6864: none is needed with \"don't " \
	  "fragment\"")                                                                    \
	/* device */                                                                       \
	X("MTU of device, route and path; ICMP \"too big\" and redirects", ASKED, NONE,    \
	  "larger packets go to the socket, which fragments them; the daemon hears ICMP messages " \
	  "on raw sockets and asks for the route again within milliseconds")               \
	X("ARP, neighbour discovery, permanent entries", ASKED, NONE,                      \
	  "the kernel resolves; notices follow; entries in use are kept resolved")         \
	X("VLAN id and 802.1p: egress-qos-map by the socket's priority, which IPv4's TOS sets", \
	  ASKED, NONE, "the map by route netlink, the priority by asking a socket")        \
	X("traffic control of the device: shapers, filters, actions, BPF (clsact, tcx)", REFUSED, \
	  TRAFFIC,                                                                         \
	  "disciplines that only queue (fq, fq_codel, mq, pfifo, prio and so on) do not matter; " \
	  "followed by route netlink, tcx looked at each second; the module's packets pass them") \
	X("queue, CPU, time stamp, XPS, segmentation offload", IRRELEVANT, NONE,           \
	  "they choose time and ring of a frame, and do not change the frame")             \
	X("bonds, LACP, bridges, macvlan, ipvlan", ASKED, NONE,                            \
	  "the device below chooses the port; one that cannot send for XDP is NO_INTERFACE") \
	/* control group */                                                                \
	X("BPF programs of the control group: egress, sendmsg", REFUSED, CGROUP,           \
	  "asked each second; systemd's IPAddressDeny= and IPAccounting= attach one")      \
	X("BPF programs of the control group: sock_create, bind", ASKED, NONE,             \
	  "they act when a socket is opened or bound: device and mark above show it")

/* reason, commands of the remedy */
#define HOST_REMEDIES(X)                                                                   \
	X(ENCAP, "ip route show table all: give the peers a route without encap, or use "  \
		 "--dataplane kmod")                                                       \
	X(IPSEC, "ip xfrm policy: for peers that need no encryption, ip xfrm policy add dir out " \
		 "dst ADDRESS action allow priority N, N smaller than the other's")        \
	X(VRF, "start rtpxd without `ip vrf exec`, or with --dataplane xdp")               \
	X(MARK, "ip rule; nft list ruleset: let the rule name the media ports instead of a mark") \
	X(NAT, "give rtpxd the public address (-l), or: nft insert rule ip TABLE CHAIN udp sport " \
	       "MIN-MAX return, with the media ports")                                     \
	X(FIREWALL, "nft insert rule ip TABLE CHAIN udp sport MIN-MAX accept, with the media " \
	  "ports, "                                                                        \
		    "in chains of output and postrouting; iptables-legacy: use iptables-nft") \
	X(TRAFFIC, "tc qdisc replace dev IFNAME root fq_codel; tc filter del dev IFNAME egress; " \
		   "bpftool net show dev IFNAME")                                          \
	X(FRAGMENTS, "sysctl net.ipv4.ip_no_pmtu_disc=0; ip route: no `mtu lock` for the peers") \
	X(CGROUP, "bpftool cgroup tree; in the unit: no IPAddressAllow=, IPAddressDeny=, and " \
		  "IPAccounting=no")

#endif

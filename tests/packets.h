/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packets.h - one table of packets for every dataplane: what arrives, with which flow, and what
 * must come of it.
 *
 * A row is plain data. packet_in() builds the frame that arrives, packet_out() the frame that must
 * leave, with checksums computed over every byte by code that shares nothing with the dataplanes'.
 * What is not forwarded must stay as it is.
 */
#ifndef RTPX_TESTS_PACKETS_H
#define RTPX_TESTS_PACKETS_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "rtpx_entry.h"

#define PACKET_MAX 2048
#define PACKET_PORT_MIN 40000
#define PACKET_PORT_MAX 40099
#define PACKET_PORT 40002     /* where the packet arrives */
#define PACKET_OUT_PORT 40010 /* from where it leaves */
#define PACKET_PEER_PORT 5004
#define PACKET_DEST_PORT 6004
#define PACKET_SSRC 0x11223344u
#define PACKET_SEQ 1000	      /* of the packet; the flow has seen the one before */
#define PACKET_SILENCE_MS 500
#define PACKET_VLAN_IN 0x6064 /* priority 3, VLAN 100 */
#define PACKET_VLAN_OUT 0x00c8 /* VLAN 200 */
#define PACKET_VLAN_OTHER 0x6065 /* VLAN 101 */
#define PACKET_PRIORITY 0x6000 /* priority 3 */
#define PACKET_MTU 1500
#define PACKET_TOS 0xb8
#define PACKET_MARKS 0x2eu /* a sender's TOS: DSCP 11, ECN 2 */
#define PACKET_TTL 64
#define PACKET_NEXTHOP 7

enum packet_family { P44, P66, P46, P64 }; /* arrives as, leaves as */

enum packet_payload {
	PAYLOAD_RTP,	/* G.711 of any length from 12 bytes on */
	PAYLOAD_RTCP,	/* sender report */
	PAYLOAD_STUN,	/* binding request */
	PAYLOAD_BYTES,	/* anything */
	PAYLOAD_CARRY,	/* RTP whose checksum after rewriting is computed as 0 */
	PAYLOAD_TWIN,	/* RTP whose complete checksum on arrival equals the pseudo-header's sum */
	PAYLOAD_EXTENDED, /* RTP with a source, an extension of two words, and padding */
	PAYLOAD_OVERLONG, /* no RTP: the extension goes beyond the packet by one word */
	PAYLOAD_CUT,	  /* no RTP: the extension's header does not fit behind 15 sources */
};

enum packet_sum { SUM_GOOD, SUM_PARTIAL, SUM_ZERO };

/* What is wrong or unusual with the frame, beside the fields of the row. */
enum packet_twist {
	TWIST_NONE,
	TWIST_PAD,	   /* padded to 60 bytes, as hardware does */
	TWIST_FRAG_FIRST, TWIST_FRAG_LATER, TWIST_OPTIONS, TWIST_EXTENSION,
	TWIST_IP_LONG,	   /* IP length beyond the frame */
	TWIST_IP_SHORT,	   /* IP length below UDP's */
	/* UDP length over, under IP's; below its own header */
	TWIST_UDP_LONG, TWIST_UDP_SHORT, TWIST_UDP_TINY,
	/* the frame ends within that header */
	TWIST_CUT_IP, TWIST_CUT_UDP, TWIST_CUT_ETH, TWIST_CUT_TAG,
	TWIST_TCP, TWIST_ARP, TWIST_QINQ, TWIST_DOUBLE_TAG,
	TWIST_IP_VERSION,  /* another one than the EtherType says */
	TWIST_IP_SUM,	   /* wrong header checksum, IPv4 */
	/* link address: another station's, a group's, everybody's, of a device above this one */
	TWIST_MAC_OTHER, TWIST_MAC_GROUP, TWIST_MAC_ALL, TWIST_MAC_ABOVE,
	TWIST_VLAN_OTHER,  /* a VLAN that the host has no device for */
	TWIST_PRIORITY,	   /* the tag has a priority and no VLAN */
};

enum packet_peer { PEER_RIGHT, PEER_OTHER_PORT, PEER_OTHER_HOST };

/* The flow's second address: none, the packet's source, its host with another port. */
enum packet_second { SECOND_NONE, SECOND_SOURCE, SECOND_SOURCE_HOST };

struct packet_row {
	const char *name;
	enum packet_family family;
	enum packet_payload payload;
	uint16_t payload_bytes;
	enum rtpx_reason want;
	enum packet_sum sum;
	enum packet_twist twist;
	enum packet_peer peer;
	bool tag_in, tag_out;
	bool other_dst;	    /* to an address that is not the flow's */
	uint16_t other_port; /* arrives at this port instead; 0: PACKET_PORT */
	uint8_t ttl;	    /* 0: 64; the value plus one, so that 0 and 1 can be said */
	uint16_t extra_flags; /* enum rtpx_flow_flag beside what the family needs */
	uint8_t event_type;   /* with RTPX_FLOW_EVENTS; the packets' type is 0 */
	uint8_t strangers;    /* enum rtpx_strangers */
	enum packet_second second;
	bool marked; /* has a TOS, a flow label, an id and no DF: nothing but ECN leaves of it */
	bool no_flow, writing, no_nexthop, silent, other_ssrc, old_seq;
	uint16_t mtu;	    /* 0: PACKET_MTU */
};

#define R(n, f, pl, len, ...) \
	{ .name = n, .family = f, .payload = PAYLOAD_##pl, .payload_bytes = len, __VA_ARGS__ }
#define PASS(reason) .want = RTPX_REASON_pass_##reason
#define DROP .want = RTPX_REASON_drop_stranger

static const struct packet_row packet_rows[] = {
	R("v4: G.711, 20 ms", P44, RTP, 172),
	R("v6: G.711, 20 ms", P66, RTP, 172),
	R("v4 to v6: G.711, 20 ms", P46, RTP, 172),
	R("v6 to v4: G.711, 20 ms", P64, RTP, 172),
	R("v4: RTCP", P44, RTCP, 28),
	R("v6: RTCP", P66, RTCP, 28),
	R("v4 to v6: RTCP", P46, RTCP, 28),
	R("v6 to v4: RTCP", P64, RTCP, 28),
	R("v4: other UDP", P44, BYTES, 61),
	R("v6 to v4: other UDP", P64, BYTES, 61),

	R("v4: tag in", P44, RTP, 172, .tag_in = true),
	R("v4: tag out", P44, RTP, 172, .tag_out = true),
	R("v4: tag in and out", P44, RTP, 172, .tag_in = true, .tag_out = true),
	R("v6: tag in", P66, RTP, 172, .tag_in = true),
	R("v6: tag out", P66, RTP, 172, .tag_out = true),
	R("v6: tag in and out", P66, RTP, 172, .tag_in = true, .tag_out = true),
	R("v4 to v6: tag in", P46, RTP, 172, .tag_in = true),
	R("v4 to v6: tag out", P46, RTP, 172, .tag_out = true),
	R("v6 to v4: tag in", P64, RTP, 172, .tag_in = true),
	R("v6 to v4: tag out", P64, RTP, 172, .tag_out = true),
	R("v6 to v4: tag in and out", P64, RTP, 172, .tag_in = true, .tag_out = true),

	R("v4: checksum left to the hardware", P44, RTP, 172, .sum = SUM_PARTIAL),
	R("v6: checksum left to the hardware", P66, RTP, 172, .sum = SUM_PARTIAL),
	R("v4 to v6: checksum left to the hardware", P46, RTP, 172, .sum = SUM_PARTIAL),
	R("v6 to v4: checksum left to the hardware", P64, RTP, 172, .sum = SUM_PARTIAL),
	R("v4: hardware checksum, odd length", P44, RTP, 173, .sum = SUM_PARTIAL),
	R("v4: hardware checksum, 1,472 bytes", P44, RTP, 1472, .sum = SUM_PARTIAL),
	R("v4: hardware checksum, 1,471 bytes", P44, RTP, 1471, .sum = SUM_PARTIAL),
	R("v4: hardware checksum, 512 bytes", P44, RTP, 512, .sum = SUM_PARTIAL),
	R("v4: hardware checksum, 513 bytes", P44, RTP, 513, .sum = SUM_PARTIAL),
	R("v6: hardware checksum, 1,452 bytes", P66, RTP, 1452, .sum = SUM_PARTIAL),
	R("v4 to v6: hardware checksum, tag in", P46, RTP, 173, .sum = SUM_PARTIAL, .tag_in = true),
	R("v4: hardware checksum, empty payload", P44, BYTES, 0, .sum = SUM_PARTIAL),
	R("v4: hardware checksum, one byte", P44, BYTES, 1, .sum = SUM_PARTIAL),
	R("v4: hardware checksum, two bytes", P44, BYTES, 2, .sum = SUM_PARTIAL),
	R("v4: hardware checksum, three bytes", P44, BYTES, 3, .sum = SUM_PARTIAL),
	R("v4: no checksum becomes one", P44, RTP, 172, .sum = SUM_ZERO),
	R("v4 to v6: no checksum gets one", P46, RTP, 172, .sum = SUM_ZERO),
	R("v4 to v6: no checksum, odd length", P46, RTP, 161, .sum = SUM_ZERO),
	R("v4: computed 0 leaves as ffff", P44, CARRY, 172),
	R("v6: computed 0 leaves as ffff", P66, CARRY, 172),
	R("v4 to v6: computed 0 leaves as ffff", P46, CARRY, 172),
	R("v6 to v4: computed 0 leaves as ffff", P64, CARRY, 172),
	R("v4: complete checksum that looks unfinished", P44, TWIN, 172, .sum = SUM_PARTIAL),
	R("v6 to v4: complete checksum that looks unfinished", P64, TWIN, 172, .sum = SUM_PARTIAL),
	R("v4: computed 0 from the hardware's", P44, CARRY, 172, .sum = SUM_PARTIAL),

	R("v4: empty payload", P44, BYTES, 0),
	R("v6: empty payload", P66, BYTES, 0),
	R("v4 to v6: empty payload", P46, BYTES, 0),
	R("v6 to v4: empty payload", P64, BYTES, 0),
	R("v4: one byte", P44, BYTES, 1),
	R("v4: two bytes", P44, BYTES, 2),
	R("v4: three bytes", P44, BYTES, 3),
	R("v6 to v4: eleven bytes, too short for RTP", P64, BYTES, 11),
	R("v4: RTP header alone", P44, RTP, 12),
	R("v4: odd length", P44, RTP, 173),
	R("v4: 1,472 bytes fill the MTU", P44, RTP, 1472),
	R("v6: 1,452 bytes fill the MTU", P66, RTP, 1452),
	R("v4: padded frame", P44, BYTES, 5, .twist = TWIST_PAD),
	R("v4 to v6: padded frame", P46, BYTES, 5, .twist = TWIST_PAD),
	R("v4: padded frame, hardware checksum", P44, BYTES, 5, .twist = TWIST_PAD,
	  .sum = SUM_PARTIAL),
	R("v4: last hop but one", P44, RTP, 172, .ttl = 3),
	R("v4 to v6: 1,452 bytes fill the MTU", P46, RTP, 1452),
	R("v6 to v4: last hop but one", P64, RTP, 172, .ttl = 3),
	R("v4: RTP with source, extension, padding", P44, EXTENDED, 173),
	R("v6: RTP with source, extension, padding", P66, EXTENDED, 173),
	R("v4: extension fills the packet but for padding", P44, EXTENDED, 29),
	R("v4 to v6: extension fills the packet but for padding", P46, EXTENDED, 29),
	R("v4: extension longer than the packet", P44, OVERLONG, 172),
	R("v6 to v4: extension longer than the packet", P64, OVERLONG, 172),
	R("v4: no room for the extension's header", P44, CUT, 75),
	R("v6: no room for the extension's header", P66, CUT, 75),
	R("v4: TOS and id of the sender's", P44, RTP, 172, .marked = true),
	R("v6: traffic class and flow label of the sender's", P66, RTP, 172, .marked = true),
	R("v4 to v6: TOS and id of the sender's", P46, RTP, 172, .marked = true),
	R("v6 to v4: traffic class and flow label of the sender's", P64, RTP, 172, .marked = true),
	R("v4: TOS and id of the sender's, tags", P44, RTP, 172, .marked = true, .tag_in = true,
	  .tag_out = true),

	R("v4: any port of the peer", P44, RTP, 172, .peer = PEER_OTHER_PORT,
	  .extra_flags = RTPX_FLOW_ANY_PORT),
	R("v6: any port of the peer", P66, RTP, 172, .peer = PEER_OTHER_PORT,
	  .extra_flags = RTPX_FLOW_ANY_PORT),
	R("v4: any port, other host", P44, RTP, 172, DROP, .peer = PEER_OTHER_HOST,
	  .extra_flags = RTPX_FLOW_ANY_PORT),
	R("v4: stranger's port", P44, RTP, 172, DROP, .peer = PEER_OTHER_PORT),
	R("v4: stranger's host", P44, RTP, 172, DROP, .peer = PEER_OTHER_HOST),
	R("v6: stranger's host", P66, RTP, 172, DROP, .peer = PEER_OTHER_HOST),
	R("v4: stranger's RTCP", P44, RTCP, 28, DROP, .peer = PEER_OTHER_HOST),
	R("v4: stranger's STUN", P44, STUN, 20, DROP, .peer = PEER_OTHER_HOST),
	R("v4: stranger, the daemon judges", P44, RTP, 172, PASS(open), .peer = PEER_OTHER_HOST,
	  .strangers = RTPX_STRANGERS_ALL),
	R("v6: stranger, the daemon judges", P66, RTP, 172, PASS(open), .peer = PEER_OTHER_PORT,
	  .strangers = RTPX_STRANGERS_ALL),
	R("v4: the same stream from elsewhere, peer silent", P44, RTP, 172, PASS(relatch),
	  .peer = PEER_OTHER_HOST, .strangers = RTPX_STRANGERS_CONTINUE, .silent = true),
	R("v4: the same stream from elsewhere, peer not silent", P44, RTP, 172, DROP,
	  .peer = PEER_OTHER_HOST, .strangers = RTPX_STRANGERS_CONTINUE),
	R("v4: another SSRC from elsewhere, peer silent", P44, RTP, 172, DROP,
	  .peer = PEER_OTHER_HOST, .strangers = RTPX_STRANGERS_CONTINUE,
	  .silent = true, .other_ssrc = true),
	R("v4: old sequence from elsewhere, peer silent", P44, RTP, 172, DROP,
	  .peer = PEER_OTHER_HOST, .strangers = RTPX_STRANGERS_CONTINUE,
	  .silent = true, .old_seq = true),
	R("v4: another SSRC while the peer is silent, leg reopened", P44, RTP, 172, PASS(relatch),
	  .peer = PEER_OTHER_HOST, .strangers = RTPX_STRANGERS_SILENT, .silent = true,
	  .other_ssrc = true),
	R("v6: RTCP while the peer is silent, leg reopened", P66, RTCP, 28, PASS(relatch),
	  .peer = PEER_OTHER_HOST, .strangers = RTPX_STRANGERS_SILENT, .silent = true),
	R("v4: another SSRC while the peer talks, leg reopened", P44, RTP, 172, DROP,
	  .peer = PEER_OTHER_HOST, .strangers = RTPX_STRANGERS_SILENT, .other_ssrc = true),
	R("v4: RTCP from another port of the peer's silent host", P44, RTCP, 28, PASS(relatch),
	  .peer = PEER_OTHER_PORT, .strangers = RTPX_STRANGERS_HOST, .silent = true),
	R("v6: RTCP from another port of the peer's silent host", P66, RTCP, 28, PASS(relatch),
	  .peer = PEER_OTHER_PORT, .strangers = RTPX_STRANGERS_HOST, .silent = true),
	R("v4: RTCP from another port of the peer's host, which talks", P44, RTCP, 28, DROP,
	  .peer = PEER_OTHER_PORT, .strangers = RTPX_STRANGERS_HOST),
	R("v4: RTCP from another host, peer silent", P44, RTCP, 28, DROP,
	  .peer = PEER_OTHER_HOST, .strangers = RTPX_STRANGERS_HOST, .silent = true),
	R("v4: the second address", P44, RTP, 172, PASS(second), .peer = PEER_OTHER_HOST,
	  .second = SECOND_SOURCE),
	R("v6: the second address", P66, RTP, 172, PASS(second), .peer = PEER_OTHER_HOST,
	  .second = SECOND_SOURCE),
	R("v4 to v6: the second address, UDPTL", P46, BYTES, 40, PASS(second),
	  .peer = PEER_OTHER_PORT, .second = SECOND_SOURCE),
	R("v4: another port of the second address", P44, RTP, 172, DROP,
	  .peer = PEER_OTHER_HOST, .second = SECOND_SOURCE_HOST),
	R("v4: any port of the second address", P44, RTP, 172, PASS(second),
	  .peer = PEER_OTHER_HOST, .second = SECOND_SOURCE_HOST,
	  .strangers = RTPX_STRANGERS_SECOND_HOST),
	R("v6: any port of the second address", P66, RTP, 172, PASS(second),
	  .peer = PEER_OTHER_HOST, .second = SECOND_SOURCE_HOST,
	  .strangers = RTPX_STRANGERS_SECOND_HOST),
	R("v4: no second address, any port of it", P44, RTP, 172, DROP,
	  .peer = PEER_OTHER_HOST, .strangers = RTPX_STRANGERS_SECOND_HOST),
	R("v4: silent peer, flow that does not follow", P44, RTP, 172, DROP,
	  .peer = PEER_OTHER_HOST, .silent = true),

	R("v4: telephone event", P44, RTP, 16, PASS(event), .extra_flags = RTPX_FLOW_EVENTS),
	R("v6: telephone event", P66, RTP, 16, PASS(event), .extra_flags = RTPX_FLOW_EVENTS),
	R("v4 to v6: telephone event with an extension", P46, EXTENDED, 40, PASS(event),
	  .extra_flags = RTPX_FLOW_EVENTS),
	R("v4: audio of a flow with telephone events", P44, RTP, 172,
	  .extra_flags = RTPX_FLOW_EVENTS, .event_type = 101),
	R("v6 to v4: audio of a flow with telephone events", P64, RTP, 172,
	  .extra_flags = RTPX_FLOW_EVENTS, .event_type = 101),
	R("v4: event type of a flow that reports none", P44, RTP, 16),
	R("v4: telephone event of a stranger", P44, RTP, 16, DROP, .peer = PEER_OTHER_HOST,
	  .extra_flags = RTPX_FLOW_EVENTS),
	R("v4: RTCP on a port with telephone events", P44, RTCP, 28,
	  .extra_flags = RTPX_FLOW_EVENTS),
	R("v4: STUN", P44, STUN, 20, PASS(stun)),
	R("v6: STUN", P66, STUN, 28, PASS(stun)),
	R("v4: hop limit 1", P44, RTP, 172, PASS(ttl), .ttl = 2),
	R("v4: hop limit 0", P44, RTP, 172, PASS(ttl), .ttl = 1),
	R("v6: hop limit 1", P66, RTP, 172, PASS(ttl), .ttl = 2),
	R("v4: to another local address", P44, RTP, 172, PASS(not_local), .other_dst = true),
	R("v6: to another local address", P66, RTP, 172, PASS(not_local), .other_dst = true),
	R("v4: port without a flow", P44, RTP, 172, PASS(no_flow), .no_flow = true),
	R("v6: port without a flow", P66, RTP, 172, PASS(no_flow), .no_flow = true),
	R("v4: neighbouring port", P44, RTP, 172, PASS(no_flow), .other_port = PACKET_PORT + 1),
	R("v4: port below the range", P44, RTP, 172, PASS(not_media),
	  .other_port = PACKET_PORT_MIN - 1),
	R("v4: port above the range", P44, RTP, 172, PASS(not_media),
	  .other_port = PACKET_PORT_MAX + 1),
	R("v6: port above the range", P66, RTP, 172, PASS(not_media),
	  .other_port = PACKET_PORT_MAX + 1),
	R("v4: flow being written", P44, RTP, 172, PASS(busy), .writing = true),
	R("v4: next hop unknown", P44, RTP, 172, PASS(nexthop), .no_nexthop = true),
	R("v6: next hop unknown", P66, RTP, 172, PASS(nexthop), .no_nexthop = true),
	R("v4: larger than the MTU", P44, RTP, 1473, PASS(too_big)),
	R("v4 to v6: larger than the MTU as v6", P46, RTP, 1472, PASS(too_big)),
	R("v6 to v4: fits as v4", P64, RTP, 1452, .mtu = 1480),
	R("v4: small MTU", P44, RTP, 172, PASS(too_big), .mtu = 199),

	R("v4: first fragment", P44, RTP, 172, PASS(fragment), .twist = TWIST_FRAG_FIRST),
	R("v4: later fragment", P44, RTP, 172, PASS(fragment), .twist = TWIST_FRAG_LATER),
	R("v6: fragment header", P66, RTP, 172, PASS(fragment), .twist = TWIST_FRAG_FIRST),
	R("v4: IP options", P44, RTP, 172, PASS(options), .twist = TWIST_OPTIONS),
	R("v6: extension header", P66, RTP, 172, PASS(options), .twist = TWIST_EXTENSION),
	R("v4: IP length beyond the frame", P44, RTP, 172, PASS(malformed), .twist = TWIST_IP_LONG),
	R("v6: IP length beyond the frame", P66, RTP, 172, PASS(malformed), .twist = TWIST_IP_LONG),
	R("v4: IP length below UDP's", P44, RTP, 172, PASS(malformed), .twist = TWIST_IP_SHORT),
	R("v4: UDP length over IP's", P44, RTP, 172, PASS(malformed), .twist = TWIST_UDP_LONG),
	R("v4: UDP length under IP's", P44, RTP, 172, PASS(malformed), .twist = TWIST_UDP_SHORT),
	R("v6: UDP length over IP's", P66, RTP, 172, PASS(malformed), .twist = TWIST_UDP_LONG),
	R("v4: UDP length below its header", P44, RTP, 172, PASS(malformed),
	  .twist = TWIST_UDP_TINY),
	R("v4: ends within IP", P44, RTP, 172, PASS(malformed), .twist = TWIST_CUT_IP),
	R("v6: ends within IP", P66, RTP, 172, PASS(malformed), .twist = TWIST_CUT_IP),
	R("v4: ends within UDP", P44, RTP, 172, PASS(malformed), .twist = TWIST_CUT_UDP),
	R("v6: ends within UDP", P66, RTP, 172, PASS(malformed), .twist = TWIST_CUT_UDP),
	R("ends after Ethernet", P44, RTP, 172, PASS(malformed), .twist = TWIST_CUT_ETH),
	R("ends within the tag", P44, RTP, 172, PASS(malformed), .twist = TWIST_CUT_TAG,
	  .tag_in = true),
	R("v4: version 6", P44, RTP, 172, PASS(malformed), .twist = TWIST_IP_VERSION),
	R("v6: version 4", P66, RTP, 172, PASS(malformed), .twist = TWIST_IP_VERSION),
	R("v4: wrong header checksum", P44, RTP, 172, PASS(ip_checksum), .twist = TWIST_IP_SUM),
	R("v4 to v6: wrong header checksum", P46, RTP, 172, PASS(ip_checksum),
	  .twist = TWIST_IP_SUM),
	R("v4: wrong header checksum, tag", P44, RTP, 172, PASS(ip_checksum),
	  .twist = TWIST_IP_SUM, .tag_in = true),
	R("v4: wrong header checksum of a stranger", P44, RTP, 172, PASS(ip_checksum),
	  .twist = TWIST_IP_SUM, .peer = PEER_OTHER_HOST),
	R("v6: no checksum", P66, RTP, 172, PASS(no_checksum), .sum = SUM_ZERO),
	R("v6 to v4: no checksum", P64, RTP, 172, PASS(no_checksum), .sum = SUM_ZERO),
	R("v4: link address of another station", P44, RTP, 172, PASS(other_mac),
	  .twist = TWIST_MAC_OTHER),
	R("v6: link address of another station", P66, RTP, 172, PASS(other_mac),
	  .twist = TWIST_MAC_OTHER),
	R("v4: link address of another station, tag", P44, RTP, 172, PASS(other_mac),
	  .twist = TWIST_MAC_OTHER, .tag_in = true),
	R("v4: link address of another station, stranger", P44, RTP, 172, PASS(other_mac),
	  .twist = TWIST_MAC_OTHER, .peer = PEER_OTHER_HOST),
	R("v4: link address of a group", P44, RTP, 172, PASS(other_mac), .twist = TWIST_MAC_GROUP),
	R("v4: broadcast frame", P44, RTP, 172, PASS(other_mac), .twist = TWIST_MAC_ALL),
	R("v6: broadcast frame", P66, RTP, 172, PASS(other_mac), .twist = TWIST_MAC_ALL),
	R("v4: link address of a device above", P44, RTP, 172, .twist = TWIST_MAC_ABOVE),
	R("v6: link address of a device above", P66, RTP, 172, .twist = TWIST_MAC_ABOVE),
	R("v4: link address of a device above, tag", P44, RTP, 172, PASS(other_mac),
	  .twist = TWIST_MAC_ABOVE, .tag_in = true),
	R("v4: VLAN without a device", P44, RTP, 172, PASS(no_vlan), .twist = TWIST_VLAN_OTHER,
	  .tag_in = true),
	R("v6: VLAN without a device", P66, RTP, 172, PASS(no_vlan), .twist = TWIST_VLAN_OTHER,
	  .tag_in = true),
	R("v4: tag with a priority alone", P44, RTP, 172, .twist = TWIST_PRIORITY, .tag_in = true),
	R("v6: tag with a priority alone", P66, RTP, 172, .twist = TWIST_PRIORITY, .tag_in = true),
	R("v4: TCP", P44, RTP, 172, PASS(not_udp), .twist = TWIST_TCP),
	R("v6: TCP", P66, RTP, 172, PASS(not_udp), .twist = TWIST_TCP),
	R("ARP", P44, RTP, 172, PASS(not_ip), .twist = TWIST_ARP),
	R("802.1ad tag", P44, RTP, 172, PASS(not_ip), .twist = TWIST_QINQ, .tag_in = true),
	R("two 802.1Q tags", P44, RTP, 172, PASS(not_ip), .twist = TWIST_DOUBLE_TAG,
	  .tag_in = true),
};

#undef R
#undef PASS
#undef DROP

/* The addresses of all rows: local and out are this host's, peer and dest are the parties'. */
struct packet_addresses {
	const char *local4, *peer4, *out4, *dest4, *other4;
	const char *local6, *peer6, *out6, *dest6, *other6;
};

static const struct packet_addresses packet_addresses = {
	"192.0.2.1",     "192.0.2.10",     "198.51.100.1",  "198.51.100.10",  "192.0.2.77",
	"2001:db8:1::1", "2001:db8:1::10", "2001:db8:2::1", "2001:db8:2::10", "2001:db8:1::77",
};

static const uint8_t packet_macs[4][6] = {
	{ 2, 0, 0, 0, 0, 1 },
	{ 2, 0, 0, 0, 0, 2 }, /* in: destination, source */
	{ 2, 0, 0, 0, 0, 3 },
	{ 2, 0, 0, 0, 0, 4 }, /* out */
};

static const uint8_t packet_mac_above[6] = { 2, 0, 0, 0, 0, 5 };

static inline bool packet_is_rtp(const struct packet_row *r)
{
	return r->payload == PAYLOAD_RTP || r->payload == PAYLOAD_CARRY ||
	       r->payload == PAYLOAD_TWIN || r->payload == PAYLOAD_EXTENDED;
}
static inline bool packet_in_is_6(const struct packet_row *r)
{
	return r->family == P66 || r->family == P64;
}
static inline bool packet_out_is_6(const struct packet_row *r)
{
	return r->family == P66 || r->family == P46;
}

/* ---- bytes ---- */

static inline void put16(uint8_t *p, unsigned int v)
{
	p[0] = v >> 8;
	p[1] = v;
}
static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static inline uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	size_t i;

	for (i = 0; i < n; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* What a frame is made of. */
struct packet_headers {
	bool ip6;
	const uint8_t *dst_mac, *src_mac;
	unsigned int tag; /* 0: none */
	uint8_t src[16], dst[16];
	uint16_t src_port, dst_port;
	uint8_t tos, ttl;
	bool labelled; /* has the flow label of its ports, with IPv6 */
	const uint8_t *payload;
	size_t payload_bytes;
	enum packet_sum sum;
};

static inline uint32_t pseudo_sum(const struct packet_headers *h)
{
	size_t n = h->ip6 ? 16 : 4;

	return sum16(h->src, n, sum16(h->dst, n, 17 + 8 + h->payload_bytes));
}

/* Where IP starts in a frame. */
static inline size_t packet_l3(bool tag)
{
	return tag ? 18 : 14;
}

static inline size_t build_frame(uint8_t *f, const struct packet_headers *h)
{
	size_t l3 = packet_l3(h->tag), header = h->ip6 ? 40 : 20, udp_bytes = 8 + h->payload_bytes;
	uint8_t *ip = f + l3, *udp = ip + header;
	uint32_t sum;

	memset(f, 0, l3 + header + 8);
	memcpy(f, h->dst_mac, 6);
	memcpy(f + 6, h->src_mac, 6);
	if (h->tag) {
		put16(f + 12, 0x8100);
		put16(f + 14, h->tag);
	}
	put16(f + l3 - 2, h->ip6 ? 0x86dd : 0x0800);
	if (h->ip6) {
		put32(ip, 6u << 28 | (uint32_t)h->tos << 20 |
				  (h->labelled ? rtpx_flow_label(h->src_port, h->dst_port) : 0));
		put16(ip + 4, udp_bytes);
		ip[6] = 17;
		ip[7] = h->ttl;
		memcpy(ip + 8, h->src, 16);
		memcpy(ip + 24, h->dst, 16);
	} else {
		ip[0] = 0x45;
		ip[1] = h->tos;
		put16(ip + 2, 20 + udp_bytes);
		put16(ip + 6, 0x4000);
		ip[8] = h->ttl;
		ip[9] = 17;
		memcpy(ip + 12, h->src, 4);
		memcpy(ip + 16, h->dst, 4);
		put16(ip + 10, 0xffff & ~sum16(ip, 20, 0));
	}
	put16(udp, h->src_port);
	put16(udp + 2, h->dst_port);
	put16(udp + 4, udp_bytes);
	memcpy(udp + 8, h->payload, h->payload_bytes);
	if (h->sum == SUM_PARTIAL) {
		put16(udp + 6, pseudo_sum(h));
	} else if (h->sum == SUM_GOOD) {
		sum = 0xffff & ~sum16(udp, udp_bytes, pseudo_sum(h));
		put16(udp + 6, sum ? sum : 0xffff);
	}
	return l3 + header + udp_bytes;
}

static inline void packet_text(bool ip6, const char *ip4_text, const char *ip6_text, uint8_t *out)
{
	inet_pton(ip6 ? AF_INET6 : AF_INET, ip6 ? ip6_text : ip4_text, out);
}

static inline struct packet_headers leaving_headers(const struct packet_row *r,
						    const uint8_t *payload)
{
	const struct packet_addresses *a = &packet_addresses;
	struct packet_headers h = {
		.ip6 = packet_out_is_6(r),
		.dst_mac = packet_macs[2],
		.src_mac = packet_macs[3],
		.tag = r->tag_out ? PACKET_VLAN_OUT : 0,
		.src_port = PACKET_OUT_PORT,
		.dst_port = PACKET_DEST_PORT,
		.tos = PACKET_TOS | (r->marked ? PACKET_MARKS & RTPX_ECN_MASK : 0),
		.ttl = PACKET_TTL,
		.labelled = true,
		.payload = payload,
		.payload_bytes = r->payload_bytes,
		.sum = SUM_GOOD,
	};

	packet_text(h.ip6, a->out4, a->out6, h.src);
	packet_text(h.ip6, a->dest4, a->dest6, h.dst);
	return h;
}

static inline struct packet_headers arriving_headers(const struct packet_row *r,
						     const uint8_t *payload)
{
	const struct packet_addresses *a = &packet_addresses;
	struct packet_headers h = {
		.ip6 = packet_in_is_6(r),
		.dst_mac = packet_macs[0],
		.src_mac = packet_macs[1],
		.tag = r->tag_in ? PACKET_VLAN_IN : 0,
		.ttl = r->ttl ? r->ttl - 1 : 64,
		.src_port = PACKET_PEER_PORT + (r->peer == PEER_OTHER_PORT),
		.dst_port = r->other_port ? r->other_port : PACKET_PORT,
		.payload = payload,
		.payload_bytes = r->payload_bytes,
		.sum = r->sum,
	};

	packet_text(h.ip6, r->peer == PEER_OTHER_HOST ? a->other4 : a->peer4,
		    r->peer == PEER_OTHER_HOST ? a->other6 : a->peer6, h.src);
	packet_text(h.ip6, r->other_dst ? a->other4 : a->local4,
		    r->other_dst ? a->other6 : a->local6, h.dst);
	return h;
}

/* Choose the last two bytes so that @check is the complete checksum; 0: so that it is computed as 0. */
static inline void choose_end(const struct packet_headers *h, uint8_t *payload, uint16_t check)
{
	size_t n = h->payload_bytes;
	uint8_t udp[8] = { 0 };

	put16(udp, h->src_port);
	put16(udp + 2, h->dst_port);
	put16(udp + 4, 8 + n);
	put16(udp + 6, check);
	put16(payload + n - 2, 0);
	put16(payload + n - 2, 0xffff & ~sum16(payload, n, sum16(udp, 8, pseudo_sum(h))));
}

/* RTP's first byte; the words of an extension are put where it says that they are. */
static inline uint8_t rtp_begins(const struct packet_row *r, uint8_t *p)
{
	switch (r->payload) {
	case PAYLOAD_EXTENDED:
		put16(p + 18, 2);
		return 0xb1;
	case PAYLOAD_OVERLONG:
		put16(p + 14, (r->payload_bytes - 16) / 4 + 1);
		return 0x90;
	case PAYLOAD_CUT:
		return 0x9f;
	default:
		return 0x80;
	}
}

static inline void packet_payload(const struct packet_row *r, uint8_t *p)
{
	size_t n = r->payload_bytes, i;

	for (i = 0; i < n; i++)
		p[i] = 0x40 | (i * 37 & 0x3f);
	if (packet_is_rtp(r) || r->payload == PAYLOAD_OVERLONG || r->payload == PAYLOAD_CUT) {
		p[0] = rtp_begins(r, p);
		p[1] = 0;
		put16(p + 2, r->old_seq ? PACKET_SEQ - 10 : PACKET_SEQ);
		put32(p + 4, 160 * PACKET_SEQ);
		put32(p + 8, r->other_ssrc ? PACKET_SSRC + 1 : PACKET_SSRC);
	} else if (r->payload == PAYLOAD_RTCP) {
		put32(p, 0x80c80006);
		put32(p + 4, PACKET_SSRC);
	} else if (r->payload == PAYLOAD_STUN) {
		put32(p, 0x00010000 | (n - 20));
		put32(p + 4, 0x2112a442);
	}
	if (r->payload == PAYLOAD_CARRY) {
		struct packet_headers h = leaving_headers(r, p);

		choose_end(&h, p, 0);
	} else if (r->payload == PAYLOAD_TWIN) {
		struct packet_headers h = arriving_headers(r, p);

		choose_end(&h, p, pseudo_sum(&h));
	}
}

static inline size_t insert_bytes(uint8_t *f, size_t len, size_t at, size_t n)
{
	memmove(f + at + n, f + at, len - at);
	memset(f + at, 0, n);
	return len + n;
}

static inline void fix_ip4_sum(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, 0xffff & ~sum16(ip, 4 * (ip[0] & 15), 0));
}

/* Give the frame its twist; returns its new length. */
static inline size_t twist_frame(const struct packet_row *r, uint8_t *f, size_t len)
{
	size_t l3 = packet_l3(r->tag_in), header = packet_in_is_6(r) ? 40 : 20;
	uint8_t *ip = f + l3, *udp = ip + header, *length = packet_in_is_6(r) ? ip + 4 : ip + 2;

	switch (r->twist) {
	case TWIST_NONE:
		break;
	case TWIST_PAD:
		if (len < 60) {
			memset(f + len, 0xee, 60 - len);
			len = 60;
		}
		break;
	case TWIST_FRAG_FIRST:
		if (packet_in_is_6(r)) {
			len = insert_bytes(f, len, l3 + 40, 8);
			ip[6] = 44;
			ip[40] = 17;
			put16(length, len - l3 - 40);
		} else {
			put16(ip + 6, 0x2000);
		}
		break;
	case TWIST_FRAG_LATER:
		put16(ip + 6, 0x0010);
		break;
	case TWIST_OPTIONS:
		len = insert_bytes(f, len, l3 + 20, 4);
		ip[0] = 0x46;
		memset(ip + 20, 1, 4);
		put16(length, len - l3);
		break;
	case TWIST_EXTENSION:
		len = insert_bytes(f, len, l3 + 40, 8);
		ip[6] = 60;
		ip[40] = 17;
		put16(length, len - l3 - 40);
		break;
	case TWIST_IP_LONG:
		put16(length, (length[0] << 8 | length[1]) + 20);
		put16(udp + 4, (udp[4] << 8 | udp[5]) + 20);
		break;
	case TWIST_IP_SHORT:
		put16(length, (length[0] << 8 | length[1]) - 20);
		break;
	case TWIST_UDP_LONG:
		put16(udp + 4, (udp[4] << 8 | udp[5]) + 1);
		break;
	case TWIST_UDP_SHORT:
		put16(udp + 4, (udp[4] << 8 | udp[5]) - 1);
		break;
	case TWIST_UDP_TINY:
		put16(udp + 4, 7);
		put16(length, 27);
		break;
	case TWIST_CUT_IP:
		len = l3 + header - 1;
		break;
	case TWIST_CUT_UDP:
		len = l3 + header + 7;
		break;
	case TWIST_CUT_ETH:
		len = 14;
		break;
	case TWIST_CUT_TAG:
		len = 17;
		break;
	case TWIST_TCP:
		ip[packet_in_is_6(r) ? 6 : 9] = 6;
		break;
	case TWIST_ARP:
		put16(f + 12, 0x0806);
		break;
	case TWIST_QINQ:
		put16(f + 12, 0x88a8);
		break;
	case TWIST_DOUBLE_TAG:
		put16(f + 16, 0x8100);
		break;
	case TWIST_IP_VERSION:
		ip[0] ^= 0x20;
		break;
	case TWIST_IP_SUM:
		put16(ip + 10, (ip[10] << 8 | ip[11]) + 1);
		return len;
	case TWIST_MAC_OTHER:
		f[5] ^= 0x80;
		break;
	case TWIST_MAC_GROUP:
		f[0] |= 1;
		break;
	case TWIST_MAC_ALL:
		memset(f, 0xff, 6);
		break;
	case TWIST_MAC_ABOVE:
		memcpy(f, packet_mac_above, 6);
		break;
	case TWIST_VLAN_OTHER:
		put16(f + 14, PACKET_VLAN_OTHER);
		break;
	case TWIST_PRIORITY:
		put16(f + 14, PACKET_PRIORITY);
		break;
	}
	if (!packet_in_is_6(r) && r->twist != TWIST_CUT_IP && len >= l3 + 20)
		fix_ip4_sum(ip);
	return len;
}

/* What a sender may write into an IP header as it likes; twist_frame() mends the sum. */
static inline void mark_header(const struct packet_row *r, uint8_t *f)
{
	uint8_t *ip = f + packet_l3(r->tag_in);

	if (packet_in_is_6(r)) {
		put32(ip, 6u << 28 | PACKET_MARKS << 20 | 0xabcde);
	} else {
		ip[1] = PACKET_MARKS;
		put32(ip + 4, 0x12340000);
	}
}

/* packet_in - the frame that arrives, into PACKET_MAX bytes; returns its length. */
static inline size_t packet_in(const struct packet_row *r, uint8_t *frame)
{
	uint8_t payload[PACKET_MAX];
	struct packet_headers h = arriving_headers(r, payload);
	size_t len;

	packet_payload(r, payload);
	len = build_frame(frame, &h);
	if (r->marked)
		mark_header(r, frame);
	return twist_frame(r, frame, len);
}

/* packet_no_label - take IPv6's flow label out, which sockets and the module have from the kernel. */
static inline void packet_no_label(const struct packet_row *r, uint8_t *frame)
{
	uint8_t *ip = frame + packet_l3(r->tag_out);

	if (packet_out_is_6(r)) {
		ip[1] &= 0xf0;
		ip[2] = ip[3] = 0;
	}
}

/* packet_out - the frame that must leave if the row is forwarded; its length is without padding. */
static inline size_t packet_out(const struct packet_row *r, uint8_t *frame)
{
	uint8_t payload[PACKET_MAX];
	struct packet_headers h = leaving_headers(r, payload);

	packet_payload(r, payload);
	return build_frame(frame, &h);
}

static inline void packet_flow_second(const struct packet_row *r, struct rtpx_flow *f)
{
	struct packet_headers h = arriving_headers(r, NULL);

	if (r->second == SECOND_NONE)
		return;
	memcpy(f->second, h.src, sizeof(f->second));
	f->second_port = h.src_port + (r->second == SECOND_SOURCE_HOST);
}

/* packet_flow - the flow of the row's port, as the daemon would install it. */
static inline struct rtpx_flow packet_flow(const struct packet_row *r)
{
	const struct packet_addresses *a = &packet_addresses;
	struct rtpx_flow f = {
		.seq = r->writing ? 3 : 2,
		.flags = RTPX_FLOW_ACTIVE | r->extra_flags,
		.nexthop = PACKET_NEXTHOP,
		.port = PACKET_PORT,
		.peer_port = PACKET_PEER_PORT,
		.out_port = PACKET_OUT_PORT,
		.dest_port = PACKET_DEST_PORT,
		.tos = PACKET_TOS,
		.ttl = PACKET_TTL,
		.call = 1,
		.label = "packet-table",
		.event_type = r->event_type,
		.strangers = r->strangers,
	};

	if (r->no_flow)
		f.flags = 0;
	packet_flow_second(r, &f);
	if (r->payload != PAYLOAD_RTCP)
		f.flags |= RTPX_FLOW_RTP;
	if (packet_out_is_6(r))
		f.flags |= RTPX_FLOW_OUT6;
	packet_text(false, a->local4, NULL, f.local4);
	packet_text(false, a->peer4, NULL, f.peer4);
	packet_text(false, a->out4, NULL, f.out4);
	packet_text(false, a->dest4, NULL, f.dest4);
	packet_text(true, NULL, a->local6, f.local6);
	packet_text(true, NULL, a->peer6, f.peer6);
	packet_text(true, NULL, a->out6, f.out6);
	packet_text(true, NULL, a->dest6, f.dest6);
	if (r->no_flow)
		f.flags &= ~RTPX_FLOW_ACTIVE;
	return f;
}

/* packet_stats - the flow has heard its peer's packet before this one, just now or a while ago. */
static inline struct rtpx_flow_stats packet_stats(const struct packet_row *r, uint64_t now_ns)
{
	return (struct rtpx_flow_stats){
		.packets = 1,
		.daemon_packets = 1,
		.bytes = 172,
		.segments = 1,
		.ssrc = PACKET_SSRC,
		.base_seq = 0x10000 + PACKET_SEQ - 1,
		.max_seq = 0x10000 + PACKET_SEQ - 1,
		.window = 1,
		.first_ns = 1,
		.last_ns = now_ns - (r->silent ? 2 * PACKET_SILENCE_MS * 1000000ull : 0),
	};
}

static inline struct rtpx_nexthop packet_nexthop(const struct packet_row *r, uint32_t ifindex)
{
	struct rtpx_nexthop nh = { .vlan = r->tag_out ? PACKET_VLAN_OUT : 0,
				   .tx_port = ifindex,
				   .ifindex = ifindex,
				   .label_mask = RTPX_LABEL_MASK };

	memcpy(nh.dst_mac, packet_macs[2], 6);
	memcpy(nh.src_mac, packet_macs[3], 6);
	nh.mtu = r->no_nexthop ? 0 : r->mtu ? r->mtu : PACKET_MTU;
	nh.plain_mtu = nh.vlan ? 0 : nh.mtu;
	return nh;
}

/* packet_ingress - the interface where packets arrive. */
static inline struct rtpx_ingress packet_ingress(uint32_t ifindex)
{
	struct rtpx_ingress in = { .ifindex = ifindex };
	unsigned int i, vlan = PACKET_VLAN_IN & 0xfff;

	memcpy(in.mac, packet_macs[0], 6);
	for (i = 0; i < RTPX_INGRESS_OTHERS; i++)
		memcpy(in.others[i].mac, i ? packet_macs[0] : packet_mac_above, 6);
	in.vlans[vlan / 8] |= 1 << vlan % 8;
	return in;
}

static inline struct rtpx_config packet_config(void)
{
	return (struct rtpx_config){
		.abi_version = RTPX_ABI_VERSION,
		.port_min = PACKET_PORT_MIN,
		.port_max = PACKET_PORT_MAX,
		.silence_ms = PACKET_SILENCE_MS,
	};
}

/*
 * copy_differs - the copy of a packet, whose frame arrived as @in, that a mirrored flow of the row
 * has forwarded: what is wrong with it, but for its time; NULL: nothing.
 */
static inline const char *copy_differs(const struct packet_row *r, const uint8_t *in,
				       const struct rtpx_mirrored *c, const uint8_t *payload,
				       size_t len)
{
	size_t header = packet_in_is_6(r) ? 40 : 20, ip = packet_in_is_6(r) ? 16 : 4;
	const uint8_t *udp = in + packet_l3(r->tag_in) + header, *addresses = udp - 2 * ip;
	static const uint8_t zeros[12];

	if (c->call != packet_flow(r).call ||
	    c->family != (packet_in_is_6(r) ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4))
		return "call or family of the copy";
	if (c->port != (udp[2] << 8 | udp[3]) || c->peer_port != (udp[0] << 8 | udp[1]))
		return "ports of the copy";
	if (memcmp(c->peer, addresses, ip) || memcmp(c->local, addresses + ip, ip) ||
	    memcmp(c->peer + ip, zeros, 16 - ip))
		return "addresses of the copy";
	if (len != (size_t)(udp[4] << 8 | udp[5]) - 8 || memcmp(payload, udp + 8, len))
		return "payload of the copy";
	return NULL;
}

#endif

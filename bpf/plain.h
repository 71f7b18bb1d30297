/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * plain.h - checks and new headers for a plain frame: IPv4 without tag, options and padding, with
 * room for an RTP header. Almost all frames are plain.
 *
 * The offsets of all fields are constants. A check reads several fields at once, and the new
 * headers are written into the old ones. A frame that fails a check takes the long way: relay_any()
 * repeats the checks of parse.h and knows the reason.
 */
#ifndef RTPX_BPF_PLAIN_H
#define RTPX_BPF_PLAIN_H

#include "parse.h"
#include "rewrite.h"

/* Offsets of words in a plain frame, and fields in them. */
enum {
	AT_TYPE = 12,	   /* 16 bits: EtherType */
	AT_IP = 14,	   /* 32 bits: version, header length, TOS, total length */
	AT_FRAGMENT = 18,  /* 32 bits: identification, fragment */
	AT_TTL = 22,	   /* 32 bits: TTL, protocol, header checksum */
	AT_IP_CHECK = 24,  /* 16 bits */
	AT_ADDRESSES = 26, /* 64 bits: source, destination */
	AT_SOURCE = 34,	   /* 16 bits; 32 bits with the destination port */
	AT_DEST = 36,	   /* 16 bits */
	AT_UDP_BYTES = 38, /* 16 bits */
	AT_UDP_CHECK = 40, /* 16 bits */
	AT_PAYLOAD = 42,
	PLAIN_BYTES = AT_PAYLOAD + RTPX_RTP_HEADER, /* a plain frame has them at least */
	PLAIN_HEADERS = AT_PAYLOAD - AT_IP,
};

/* A number at an offset of the frame, which has at least PLAIN_BYTES. */
#define GET16(frame, at) (*(__u16 *)((frame) + (at)))
#define GET32(frame, at) (*(__u32 *)((frame) + (at)))
#define GET64(frame, at) (*(__u64 *)((frame) + (at)))

#define MODULUS_STEP 0x0001000100010001ull /* (2^64 - 1) / 65535 */

/*
 * is_all_ones - true if a positive one's complement sum is all ones, which means that 65535 divides
 * it. @sum times the inverse of 65535 modulo 2^64 is the quotient then, and exceeds every quotient
 * otherwise.
 */
static __always_inline int is_all_ones(__u64 sum)
{
	return sum * -MODULUS_STEP <= MODULUS_STEP;
}

/*
 * is_plain_ip4 - true if the IP header is whole and from @flow's peer, and the packet is neither
 * fragment nor padded. The sum of the addresses is in the flow, because they are the flow's.
 */
static __always_inline int is_plain_ip4(const void *frame, __u32 ip_bytes,
					const struct rtpx_entry *flow)
{
	__u32 ttl = GET32(frame, AT_TTL), ip = GET32(frame, AT_IP);
	__u32 fragment = GET32(frame, AT_FRAGMENT);

	return GET16(frame, AT_TYPE) == bpf_htons(ETH_P_IP) &&
	       (ip & bpf_htonl(0xff00ffff)) == bpf_htonl(0x45000000 + ip_bytes) &&
	       !(fragment & bpf_htonl(IP4_FRAGMENT)) &&
	       (ttl & bpf_htonl(0x00ff0000)) == bpf_htonl(IPPROTO_UDP << 16) &&
	       ttl & bpf_htonl(0xfe000000) &&
	       GET64(frame, AT_ADDRESSES) == *(const __u64 *)flow->peer4 &&
	       is_all_ones((__u64)ip + fragment + ttl + flow->sum_pseudo +
			   (__u16)~bpf_htons(IPPROTO_UDP));
}

/* is_plain_udp - true if the UDP header is from @flow's peer, with a complete checksum. */
static __always_inline int is_plain_udp(const void *frame, __u32 ip_bytes,
					const struct rtpx_entry *flow)
{
	__u32 check = GET16(frame, AT_UDP_CHECK), bytes = GET16(frame, AT_UDP_BYTES);
	__u32 unfinished = flow->sum_pseudo + bytes; /* not folded: less than 2 * 65535 */

	return bytes == bpf_htons(ip_bytes - sizeof(struct iphdr)) && check &&
	       check != unfinished && check + 0xffff != unfinished &&
	       (GET16(frame, AT_SOURCE) == flow->peer_port || flow->flags & RTPX_FLOW_ANY_PORT);
}

/* is_plain_payload - true unless the payload is STUN, which is left to the daemon. */
static __always_inline int is_plain_payload(const void *frame, __u32 payload_bytes)
{
	const __u8 *b = frame + AT_PAYLOAD;

	return b[0] & 0xc0 ||
	       !rtpx_is_stun(b[0], bpf_ntohl(GET32(frame, AT_PAYLOAD + 4)), payload_bytes);
}

/* The header fields of the leaving frame, as they are written. */
struct plain_out {
	__u64 addresses;
	__u32 ports;
	__u16 tos, ttl; /* with their neighbours: version and header length; protocol */
	__u16 ip_check, udp_check;
};

/* two_bytes - as they stand in the frame; clang would swap them a second time with bpf_htons(). */
static __always_inline __u16 two_bytes(__u8 first, __u8 second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return second << 8 | first;
#else
	return first << 8 | second;
#endif
}

/* plain_take - take the new fields from the flow. The arriving frame is still unchanged. */
static __always_inline void plain_take(struct plain_out *out, const struct rtpx_entry *flow,
				       const void *frame)
{
	__u16 ecn = GET16(frame, AT_IP) & bpf_htons(RTPX_ECN_MASK);
	__u64 sum;

	out->addresses = *(const __u64 *)flow->out4;
	out->ports = *(const __u32 *)&flow->out_port;
	out->tos = two_bytes(0x45, flow->tos) | ecn;
	out->ttl = two_bytes(flow->ttl, IPPROTO_UDP);
	sum = (out->addresses & 0xffffffff) + (out->addresses >> 32) + out->tos +
	      GET16(frame, AT_IP + 2) + bpf_htons(IP4_DONT_FRAGMENT) + out->ttl;
	out->ip_check = ~rtpx_fold((sum & 0xffff) + (sum >> 16));
	out->udp_check =
		rtpx_fold(flow->sum_change + GET16(frame, AT_UDP_CHECK) + GET16(frame, AT_SOURCE));
}

/* plain_write - write the new headers. The lengths of IP and UDP stay. */
static __always_inline void plain_write(void *frame, const struct plain_out *out,
					const struct rtpx_nexthop *nh)
{
	write_macs(frame, nh);
	GET16(frame, AT_IP) = out->tos;
	GET32(frame, AT_FRAGMENT) = bpf_htonl(IP4_DONT_FRAGMENT); /* no id, RFC 6864 */
	GET16(frame, AT_TTL) = out->ttl;
	GET16(frame, AT_IP_CHECK) = out->ip_check;
	GET64(frame, AT_ADDRESSES) = out->addresses;
	GET32(frame, AT_SOURCE) = out->ports;
	GET16(frame, AT_UDP_CHECK) = out->udp_check;
}

#endif

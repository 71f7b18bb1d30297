/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_frame.c - any bytes as an Ethernet frame through the parser and the verdict that run in the kernel.
 *
 * The first two bytes choose a row of the packet table, whose flow is the one on the port, and the rest is the frame.
 */
#include <stdlib.h>

#include "packets.h" /* libc's network headers have to come before the kernel's */

#include "../../bpf/parse.h"
#include "verdict.h"

#define NOW_NS 1000000000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct packet_row *row;
	struct rtpx_ingress in = packet_ingress(1);
	struct rtpx_config c = packet_config();
	struct rtpx_packet p = { .now_ns = NOW_NS };
	struct rtpx_flow_stats stats;
	struct rtpx_flow flow;
	struct frame f;

	if (size < 2)
		return -1;
	row = &packet_rows[(data[0] << 8 | data[1]) %
			   (sizeof(packet_rows) / sizeof(packet_rows[0]))];
	data += 2;
	size -= 2;
	flow = packet_flow(row);
	stats = packet_stats(row, NOW_NS);
	if (parse_frame((void *)data, (void *)(data + size), &f, &p) != RTPX_REASON_relayed)
		return 0;
	/* A sum that holds is hard to guess, and what comes then does not depend on it. */
	check_sums(&f, &p);
	memcpy(in.mac, data, 6);
	if (check_ingress(&in, &f) == RTPX_REASON_pass_other_mac)
		abort();
	parse_payload(&f, &p);
	if ((uint8_t *)(f.udp + 1) + p.payload_bytes > data + size)
		abort();
	if (verdict(&c, &flow, &stats, &p) != RTPX_REASON_relayed)
		return 0;
	if (!(flow.flags & RTPX_FLOW_ACTIVE) || p.ttl <= 1)
		abort();
	rtpx_stats_packet(&stats, &p, flow.flags & RTPX_FLOW_RTP);
	return 0;
}

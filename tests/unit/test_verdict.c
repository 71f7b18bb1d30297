/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_verdict.c - the packet table through the parser and the verdict, compiled as plain C.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "packets.h" /* libc's network headers have to come before the kernel's */

#include "../../bpf/parse.h"

#define NOW_NS 1000000000000ull

/* What a dataplane does up to the point where it rewrites, with the checks that need its next hop. */
static enum rtpx_reason judge(const struct packet_row *r, uint8_t *bytes, size_t len)
{
	struct rtpx_config c = packet_config();
	struct rtpx_flow flow = packet_flow(r), none = { 0 };
	struct rtpx_flow_stats stats = packet_stats(r, NOW_NS);
	struct rtpx_nexthop nh = packet_nexthop(r, 1);
	struct rtpx_packet p = { .now_ns = NOW_NS };
	struct frame f;
	enum rtpx_reason reason = parse_frame(bytes, bytes + len, &f, &p);
	size_t leaves = p.payload_bytes + 8 + (packet_out_is_6(r) ? 40 : 20);

	if (reason != RTPX_REASON_relayed)
		return reason;
	if (p.dst_port < c.port_min || p.dst_port > c.port_max)
		return RTPX_REASON_pass_not_media;
	parse_payload(&f, &p);
	reason = rtpx_verdict(&c, p.dst_port == flow.port ? &flow : &none, &stats, &p);
	if (reason != RTPX_REASON_relayed)
		return reason;
	if (flow.seq & 1)
		return RTPX_REASON_pass_busy;
	if (!nh.mtu)
		return RTPX_REASON_pass_nexthop;
	return leaves > nh.mtu ? RTPX_REASON_pass_too_big : RTPX_REASON_relayed;
}

static void every_row(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(packet_rows) / sizeof(packet_rows[0]); i++) {
		const struct packet_row *r = &packet_rows[i];
		uint8_t frame[PACKET_MAX], *exact;
		size_t len = packet_in(r, frame);
		enum rtpx_reason got;

		exact = malloc(len); /* so that a read past the end is found */
		memcpy(exact, frame, len);
		got = judge(r, exact, len);
		free(exact);
		if (got != r->want)
			fail_msg("%s: reason %d, expected %d", r->name, got, r->want);
	}
}

/* The table covers every reason but those that only a dataplane can have. */
static void every_reason(void **state)
{
	int seen[RTPX_REASON_COUNT] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(packet_rows) / sizeof(packet_rows[0]); i++)
		seen[packet_rows[i].want]++;
	seen[RTPX_REASON_pass_adjust]++;
	for (i = 0; i < RTPX_REASON_COUNT; i++)
		if (!seen[i])
			fail_msg("no packet of the table ends with reason %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_row), cmocka_unit_test(every_reason) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_report.c - the report of an ended session, and its line for the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/call/report.c"

#define BEGIN_NS (50 * NSEC_PER_SEC)

static struct addr address(uint8_t last, uint16_t port)
{
	return (struct addr){ .family = ADDR_IP4, .port = port, .ip = { 192, 0, 2, last } };
}

static void talk(struct stream *st, unsigned int packets, unsigned int lose, bool kernel)
{
	struct rtpx_packet p = { .kind = RTPX_PAYLOAD_RTP, .payload_bytes = 172, .ssrc = 1 };

	for (unsigned int n = 0; n < packets; n++) {
		p.now_ns = BEGIN_NS + n * 20 * NSEC_PER_MSEC;
		p.rtp_seq = (uint16_t)(n + 1);
		p.rtp_ts = n * 160;
		if (lose && n % lose == lose - 1 && n != packets - 1)
			continue;
		assert_non_null(stream_stats_set(st));
		rtpx_stats_packet(st->stats, &p, 1);
		st->stats->daemon_packets += !kernel || n == 0;
	}
}

static void make(struct session *s)
{
	static char call_id[] = "c@example", from[] = "f1", to[] = "t1";

	*s = (struct session){ .call_id = call_id,
			       .from_tag = from,
			       .to_tag = to,
			       .number = 9,
			       .complete = true,
			       .created_ns = BEGIN_NS };
	for (int leg = 0; leg < 2; leg++) {
		stream_init(&s->leg[leg].stream[STREAM_RTP], STREAM_RTP);
		stream_init(&s->leg[leg].stream[STREAM_RTCP], STREAM_RTCP);
		s->leg[leg].local = address(1, (uint16_t)(40000 + 2 * leg));
		s->leg[leg].stream[STREAM_RTP].remote = address((uint8_t)(10 + leg), 5000);
	}
}

static void let_go(struct session *s)
{
	stream_free(&s->leg[0].stream[STREAM_RTP]);
	stream_free(&s->leg[1].stream[STREAM_RTP]);
}

static void a_whole_call(void **state)
{
	struct call_report r;
	struct session s;
	char line[REPORT_LINE_MAX];

	(void)state;
	make(&s);
	talk(&s.leg[1].stream[STREAM_RTP], 100, 0, true);
	talk(&s.leg[0].stream[STREAM_RTP], 100, 10, false);
	report_make(&s, REPORT_END_DELETED, BEGIN_NS + 2500 * NSEC_PER_MSEC, &r);
	assert_int_equal(r.packets, 191);
	assert_int_equal(r.bytes, 191 * 172);
	assert_int_equal(r.kernel_packets, 99);
	assert_int_equal(r.heard, REPORT_BOTH_WAYS);
	assert_int_equal(r.leg[0].stream[STREAM_RTP].quality.lost, 9);
	assert_int_equal(r.leg[1].stream[STREAM_RTCP].local.port, 40003);
	assert_true(r.mos == r.leg[0].stream[STREAM_RTP].quality.mos);
	assert_string_equal(
		report_line(&r, line, sizeof(line)),
		"session 9 ended after 2.5 s: a D command ended it; from-tag f1, to-tag t1"
		"; caller 192.0.2.11:5000: 100 packets, 0 lost (0.00 %), jitter 0.0 ms, MOS 4.41"
		"; callee 192.0.2.10:5000: 91 packets, 9 lost (9.00 %), jitter 0.0 ms, MOS 3.51"
		"; 52 % of all packets in the kernel");
	let_go(&s);
}

static void a_silent_call(void **state)
{
	struct call_report r;
	struct session s;
	char line[REPORT_LINE_MAX], small[40];

	(void)state;
	make(&s);
	s.to_tag = NULL;
	s.leg[0].stream[STREAM_RTP].remote = (struct addr){ 0 };
	s.leg[1].deadline_ns = s.leg[0].deadline_ns = BEGIN_NS + 60 * NSEC_PER_SEC;
	report_make(&s, REPORT_END_TIMEOUT, BEGIN_NS + 60 * NSEC_PER_SEC, &r);
	assert_int_equal(r.heard, REPORT_SILENT);
	assert_true(r.silent[0] && r.silent[1] && r.mos == 0 && report_kernel_share(&r) == 0);
	assert_string_equal(
		report_line(&r, line, sizeof(line)),
		"session 9 ended after 60.0 s: it timed out; from-tag f1, to-tag unknown"
		"; caller 192.0.2.11:5000: 0 packets, 0 lost (0.00 %)"
		"; callee unknown: 0 packets, 0 lost (0.00 %)"
		"; 0 % of all packets in the kernel");
	assert_int_equal(strlen(report_line(&r, small, sizeof(small))), sizeof(small) - 1);
}

static void one_way(void **state)
{
	struct call_report r;
	struct session s;

	(void)state;
	make(&s);
	talk(&s.leg[1].stream[STREAM_RTP], 10, 0, true);
	report_make(&s, REPORT_END_TERMINATED, BEGIN_NS, &r);
	assert_int_equal(r.heard, REPORT_ONE_WAY);
	assert_string_equal(report_end_name(r.end), "terminated");
	let_go(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_call),
		cmocka_unit_test(a_silent_call),
		cmocka_unit_test(one_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

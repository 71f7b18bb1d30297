/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress.c - packets from two threads through a flow that is replaced all the time.
 *
 * stress count - every packet leaves whole, by the old flow or the new one, and is counted exactly
 * once. stress go - prints "running" and goes on until it is killed, even if the module is removed.
 * stress leave PORTS - installs PORTS flows in the namespace that it runs in, prints "left", and
 * waits to be killed, without closing its socket.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "rtpx_verdict.h"
#include "tap.h"

#define SENDERS 2
#define PACKETS 30000 /* of each thread */

static const struct packet_row row = { .name = "stress", .family = P44, .payload_bytes = 172 };
static struct tap_net net;
static struct dp *dp;
static atomic_uint senders;
static bool forever;

static void *sender(void *arg)
{
	uint8_t frame[PACKET_MAX];
	size_t len = packet_in(&row, frame);
	unsigned int i;

	(void)arg;
	for (i = 0; forever || i < PACKETS; i++)
		if (!send_frame(&net, &row, frame, len))
			die("the TAP device refuses the frame");
	atomic_fetch_sub(&senders, 1);
	return NULL;
}

static void start_senders(void)
{
	pthread_t thread;

	for (senders = 0; senders < SENDERS; senders++)
		if (pthread_create(&thread, NULL, sender, NULL) || pthread_detach(thread))
			die("no thread");
}

/* The row's flow, and another that changes every rewritten field. */
static void two_flows(struct rtpx_flow flow[2], uint8_t want[2][PACKET_MAX])
{
	uint8_t payload[PACKET_MAX];
	struct packet_headers h = leaving_headers(&row, payload);

	flow[0] = flow[1] = module_flow(&row);
	packet_payload(&row, payload);
	build_frame(want[0], &h);
	h.src_port = flow[1].out_port = 50000;
	h.dst_port = flow[1].dest_port = 60000;
	h.tos = flow[1].tos = 0x28;
	h.ttl = flow[1].ttl = 33;
	packet_text(false, packet_addresses.local4, NULL, h.src);
	memcpy(flow[1].out4, h.src, 4);
	build_frame(want[1], &h);
}

/* Read the frames that left. Returns false if a frame is of neither flow. */
static bool read_all(const uint8_t want[2][PACKET_MAX], size_t len, unsigned int left[2])
{
	uint8_t frame[PACKET_MAX];
	size_t n;

	while ((n = read_frame(&net, frame))) {
		if (n == len && !memcmp(frame, want[0], len))
			left[0]++;
		else if (n == len && !memcmp(frame, want[1], len))
			left[1]++;
		else
			return false;
	}
	return true;
}

static int fail(const char *what)
{
	printf("not ok stress: %s\n", what);
	return 1;
}

static int count(void)
{
	struct rtpx_flow_stats stats = packet_stats(&row, now_ns());
	unsigned int i, left[2] = { 0 };
	uint8_t want[2][PACKET_MAX], in[PACKET_MAX];
	struct rtpx_counters counters;
	struct rtpx_flow flow[2];
	size_t len = packet_in(&row, in);

	two_flows(flow, want);
	if (dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PACKET_PORT, &flow[0], &stats))
		return fail("the module refuses the flow");
	start_senders();
	for (i = 1; senders; i++) {
		if (dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PACKET_PORT, &flow[i % 2], NULL))
			return fail("the module refuses to replace the flow");
		if (!read_all(want, len, left))
			return fail("a packet left by a mixture of two flows");
	}
	if (dp->ops->flow_del(dp, RTPX_FAMILY_IP4, PACKET_PORT, &stats) ||
	    dp->ops->counters(dp, &counters))
		return fail("the module has lost the flow");
	printf("%llu relayed, %llu busy, %u and %u seen, flow replaced %u times\n",
	       (unsigned long long)counters.relayed, (unsigned long long)counters.pass_busy,
	       left[0], left[1], i);
	if (!left[0] || !left[1])
		return fail("the flow did not change");
	if (counters.relayed + counters.pass_busy != SENDERS * PACKETS)
		return fail("packets are missing");
	if (rtpx_stats_kernel(&stats) != counters.relayed)
		return fail("the flow has not counted what was relayed");
	printf("ok stress\n");
	return 0;
}

static void __attribute__((noreturn)) go(void)
{
	struct rtpx_flow_stats stats = packet_stats(&row, now_ns());
	uint8_t want[2][PACKET_MAX], frame[PACKET_MAX];
	struct rtpx_flow flow[2];
	unsigned int i;

	two_flows(flow, want);
	forever = true;
	dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PACKET_PORT, &flow[0], &stats);
	start_senders();
	printf("running\n");
	for (i = 0;; i++) {
		dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PACKET_PORT, &flow[i % 2], &stats);
		while (read_frame(&net, frame))
			;
	}
}

static int leave(unsigned int n)
{
	struct rtpx_flow_stats stats = packet_stats(&row, now_ns());
	struct rtpx_flow flow = module_flow(&row);
	unsigned int i;

	for (i = 0; i < n; i++) {
		flow.port = PACKET_PORT_MIN + i;
		if (dp->ops->flow_put(dp, RTPX_FAMILY_IP4, flow.port, &flow, &stats) ||
		    dp->ops->flow_put(dp, RTPX_FAMILY_IP6, flow.port, &flow, &stats))
			return fail("the module refuses a flow");
	}
	printf("left\n");
	return pause();
}

int main(int argc, char **argv)
{
	const struct dp_opts opts = table_options();
	const char *what = argc > 1 ? argv[1] : "";
	char err[512];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(what, "leave")) {
		make_network(&net);
		run("ip route add %s dev out0", packet_addresses.dest4);
	}
	if (dp_kmod_open(&dp, &opts, err, sizeof(err))) {
		printf("%s\n", err);
		return 1;
	}
	if (!strcmp(what, "count"))
		return count();
	if (!strcmp(what, "go"))
		go();
	return leave(argc > 2 ? atoi(argv[2]) : 1);
}

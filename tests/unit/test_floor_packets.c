/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_floor_packets.c - the table of packets through the socket floor: frames enter and leave a
 * real network stack.
 *
 * Packets that a dataplane leaves to the stack end here, so "passed" is not the end of a row.
 * Either the daemon relays the packet with the same bytes as the dataplane, or the packet never
 * becomes a datagram of the call.
 *
 *      there              here
 *   ┌─────────┐     ┌───────────────┐
 *   │     in1 ├─────┤ in0   local   │   frames are written to in1 and read from out1
 *   │    out1 ├─────┤ out0  out     │
 *   └─────────┘     └───────────────┘
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_net.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>

#include "dataplane/none.h"
#include "packets.h"
#include "engine/relay.h"

#define MARKER_BYTES 77 /* length of the packet that ends a row and is always relayed */

static struct event_base *base;
static struct sessions *sessions;
static struct dp *dp;
static struct sync *sync_;
static struct relay *relay;
static struct session *session;
static struct stats stats;
static int in, out; /* packet sockets on in1 and out1 */
static int dest[2]; /* the party's sockets in "there", IPv4 and IPv6 */

/* ---- the two namespaces ---- */

static void run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command))
		fail_msg("%s", command);
}

static int packet_socket(const char *ifname)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

static void mac_text(const uint8_t mac[6], char text[18])
{
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
}

static void make_link(const char *name, const uint8_t here[6], const uint8_t there[6], int netns)
{
	char mac[2][18];

	mac_text(here, mac[0]);
	mac_text(there, mac[1]);
	run("ip link add %s0 address %s type veth peer name %s1 address %s netns /proc/%d/fd/%d",
	    name, mac[0], name, mac[1], getpid(), netns);
}

/* A link that the kernel has not taken up yet drops the packets that are written to it. */
static void wait_for_link(const char *name)
{
	run("for i in $(seq 400); do ip -o link show dev %s | grep -q 'state UP' && exit 0; sleep "
	    "0.05; done; exit 1",
	    name);
}

static int make_net(void **state)
{
	const struct packet_addresses *a = &packet_addresses;
	int here, there;
	char mac[18];

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	make_link("in", packet_macs[0], packet_macs[1], there);
	make_link("out", packet_macs[3], packet_macs[2], there);
	run("ip link set in0 mtu 1600"); /* a frame may arrive that is too long for out0 */
	run("echo 0 >/proc/sys/net/ipv6/auto_flowlabels; ip link set lo up; ip link set in0 up; ip "
	    "link set out0 up");
	run("ip addr add %s/24 dev in0; ip addr add %s/64 dev in0 nodad", a->local4, a->local6);
	run("ip addr add %s/24 dev out0; ip addr add %s/64 dev out0 nodad", a->out4, a->out6);
	mac_text(packet_macs[2], mac);
	run("ip neigh add %s lladdr %s dev out0 && ip neigh add %s lladdr %s dev out0", a->dest4,
	    mac, a->dest6, mac);
	run("ethtool -K out0 tx off >/dev/null"); /* complete checksums on the wire */

	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	run("ip link set in1 mtu 1600 up; ip link set out1 up; ip addr add %s/24 dev out1; ip addr "
	    "add %s/64 dev out1 nodad",
	    a->dest4, a->dest6);
	wait_for_link("in1");
	wait_for_link("out1");
	in = packet_socket("in1");
	out = packet_socket("out1");
	dest[0] = peer_open(a->dest4, PACKET_DEST_PORT);
	dest[1] = peer_open(a->dest6, PACKET_DEST_PORT);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	wait_for_link("in0");
	wait_for_link("out0");
	close(here);
	close(there);
	return 0;
}

static int end_net(void **state)
{
	(void)state;
	close(in);
	close(out);
	close(dest[0]);
	close(dest[1]);
	return 0;
}

/* ---- the relay ---- */

/* The way of learning that compiles to the row's flow. */
static enum learning learning_of(const struct packet_row *r)
{
	if (r->strangers & RTPX_STRANGERS_ALL)
		return LEARN_COMPAT;
	return r->strangers & RTPX_STRANGERS_CONTINUE ? LEARN_PROOF : LEARN_STRICT;
}

static void start_relay(const struct packet_row *r)
{
	const struct session_opts session_opts = { .ttl_s = 60, .setup_ttl_s = 60 };
	struct sync_opts sync_opts = { .stats = &stats, .learning = learning_of(r) };
	struct relay_opts relay_opts = { .stats = &stats, .learning = learning_of(r) };

	memset(&stats, 0, sizeof(stats));
	base = event_base_new();
	assert_int_equal(sessions_new(&sessions, &session_opts), 0);
	assert_int_equal(dp_none_open(&dp, "a test of the floor"), 0);
	sync_opts.sessions = relay_opts.sessions = sessions;
	sync_opts.dp = dp;
	assert_int_equal(sync_new(&sync_, base, &sync_opts), 0);
	relay_opts.sync = sync_;
	assert_int_equal(relay_new(&relay, base, &relay_opts), 0);
}

/* Leg 0 receives the row's packets and has heard its party before; leg 1 sends them on. */
static void start_call(const struct packet_row *r)
{
	const struct packet_addresses *a = &packet_addresses;
	bool in6 = packet_in_is_6(r), out6 = packet_out_is_6(r), moved;
	struct addr peer = at(in6 ? a->peer6 : a->peer4, PACKET_PEER_PORT);
	struct addr party = at(out6 ? a->dest6 : a->dest4, PACKET_DEST_PORT);
	struct rtpx_packet before = { .kind = RTPX_PAYLOAD_RTP,
				      .rtp_seq = PACKET_SEQ - 1,
				      .ssrc = PACKET_SSRC,
				      .payload_bytes = 172,
				      .now_ns = test_now_ns() };
	struct stream *hears;
	struct leg *leg;

	assert_int_equal(session_create(sessions, span_of("packet-table"), span_of("tag"),
					before.now_ns, &session),
			 0);
	leg = session->leg;
	leg[0].local = at(in6 ? a->local6 : a->local4, PACKET_PORT);
	leg[1].local = at(out6 ? a->out6 : a->out4, PACKET_OUT_PORT);
	leg[1].tos = PACKET_TOS;
	assert_int_equal(relay_leg_open(relay, &session->leg[0]), 0);
	assert_int_equal(relay_leg_open(relay, &session->leg[1]), 0);
	session_complete(sessions, session, before.now_ns);
	hears = &leg[0].stream[STREAM_RTP];
	stream_signal(hears, &peer, r->extra_flags & RTPX_FLOW_ANY_PORT, learning_of(r),
		      before.now_ns);
	stream_signal(&leg[1].stream[STREAM_RTP], &party, false, learning_of(r), before.now_ns);
	assert_int_equal(stream_packet(hears, &leg[0].stream[STREAM_RTCP], &peer, &before,
				       learning_of(r), &moved),
			 STREAM_RELAY);
	*hears->stats = packet_stats(r, before.now_ns);
}

static int begin(void **state)
{
	start_relay(*state);
	start_call(*state);
	return 0;
}

static int end(void **state)
{
	(void)state;
	relay_leg_close(relay, &session->leg[0]);
	relay_leg_close(relay, &session->leg[1]);
	session_destroy(sessions, session);
	relay_free(relay);
	sync_free(sync_);
	sessions_free(sessions);
	dp->ops->close(dp, false);
	event_base_free(base);
	return 0;
}

/* ---- frames ---- */

/*
 * A sender on this host leaves the checksum to the hardware and gives its offset. Other senders'
 * packets have it in place.
 */
static void inject(const struct packet_row *r)
{
	struct {
		struct virtio_net_hdr vnet;
		uint8_t frame[PACKET_MAX];
	} __attribute__((packed)) f = { .vnet.flags = 0 };
	size_t len = packet_in(r, f.frame);

	if (r->sum == SUM_PARTIAL) {
		f.vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		f.vnet.csum_start = packet_l3(r->tag_in) + (packet_in_is_6(r) ? 40 : 20);
		f.vnet.csum_offset = 6;
	}
	assert_int_equal(write(in, &f, sizeof(f.vnet) + len), sizeof(f.vnet) + len);
}

static struct packet_row marker_of(const struct packet_row *r)
{
	return (struct packet_row){
		.name = "marker",
		.family = r->family,
		.payload = PAYLOAD_BYTES,
		.payload_bytes = MARKER_BYTES,
	};
}

/* True for a whole UDP packet. The party's stack puts fragments together. */
static bool is_udp(const uint8_t *frame, ssize_t len)
{
	const uint8_t *ip = frame + 14;

	if (len < 14 + 20 + 8)
		return false;
	if (frame[12] == 0x86)
		return len >= 14 + 40 + 8 && ip[6] == 17;
	return ip[9] == 17 && !(ip[6] & 0x3f) && !ip[7];
}

/* Read the next frame to the party's port. Returns its length, or -1 without a frame. */
static ssize_t next_frame(uint8_t frame[PACKET_MAX])
{
	struct {
		struct virtio_net_hdr vnet;
		uint8_t frame[PACKET_MAX];
	} __attribute__((packed)) f;
	struct sockaddr_ll from;
	socklen_t from_len = sizeof(from);
	ssize_t len;
	size_t udp;

	while ((len = recvfrom(out, &f, sizeof(f), MSG_DONTWAIT, (struct sockaddr *)&from,
			       &from_len)) > 0) {
		len -= sizeof(f.vnet);
		udp = 14 + (f.frame[12] == 0x86 ? 40 : 20);
		if (from.sll_pkttype == PACKET_OUTGOING || !is_udp(f.frame, len) ||
		    (f.frame[udp + 2] << 8 | f.frame[udp + 3]) != PACKET_DEST_PORT)
			continue;
		memcpy(frame, f.frame, len);
		return len;
	}
	return -1;
}

static void check_frame(const struct packet_row *r)
{
	uint8_t want[PACKET_MAX], got[PACKET_MAX];
	struct packet_row plain = *r;
	ssize_t len;

	plain.sum = SUM_GOOD; /* sockets always send one */
	plain.tag_out = false;
	len = packet_out(&plain, want);
	if (len > 14 + PACKET_MTU)
		return; /* leaves in fragments, which the party's stack has put together */
	assert_int_equal(next_frame(got), len);
	if (!packet_out_is_6(r)) { /* the stack numbers its packets */
		assert_int_equal(sum16(got + 14, 20, 0), 0xffff);
		put16(got + 18, 0);
		fix_ip4_sum(got + 14);
	}
	packet_no_label(&plain, want);
	packet_no_label(&plain, got);
	assert_memory_equal(got, want, len);
}

static void check_datagram(const struct packet_row *r)
{
	const struct packet_addresses *a = &packet_addresses;
	bool out6 = packet_out_is_6(r);
	struct addr src = at(out6 ? a->out6 : a->out4, PACKET_OUT_PORT);
	struct peer_got *got = turn_for(base, dest[out6]);
	uint8_t payload[PACKET_MAX];

	packet_payload(r, payload);
	assert_int_equal(got->len, r->payload_bytes);
	assert_memory_equal(got->data, payload, r->payload_bytes);
	assert_true(addr_eq(&got->src, &src));
	assert_int_equal(got->tos, PACKET_TOS | (r->marked ? PACKET_MARKS & RTPX_ECN_MASK : 0));
}

/* ---- rows ---- */

/*
 * True if the daemon relays the row's packet after a dataplane has left it to the stack. Packets of
 * all other reasons end in the stack.
 */
static bool daemon_relays(const struct packet_row *r)
{
	if (r->twist == TWIST_MAC_ABOVE)
		return false; /* this device has no upper device here */
	switch (r->want) {
	case RTPX_REASON_relayed:
	case RTPX_REASON_pass_stun:
	case RTPX_REASON_pass_busy:
	case RTPX_REASON_pass_nexthop:
	case RTPX_REASON_pass_too_big:
	case RTPX_REASON_pass_options:
	case RTPX_REASON_pass_ttl: /* the packet ends at this host, so its TTL does not matter */
	case RTPX_REASON_pass_event:
	case RTPX_REASON_pass_open:
	case RTPX_REASON_pass_second:
	case RTPX_REASON_pass_relatch:
		/* this VLAN has no interface here */
		return !r->tag_in || r->twist == TWIST_PRIORITY;
	case RTPX_REASON_pass_other_mac: /* net.ipv4.conf.*.drop_unicast_in_l2_multicast */
		return r->twist == TWIST_MAC_GROUP || r->twist == TWIST_MAC_ALL;
	case RTPX_REASON_pass_no_flow:
		return r->no_flow; /* no_flow: the call's port; else the port beside it */
	case RTPX_REASON_pass_fragment:
		return packet_in_is_6(
			r); /* IPv6: the only fragment of its packet; IPv4: others are missing */
	default:
		return false;
	}
}

/* True for rows where a command has opened the leg again, and the dataplane asks the daemon. */
static bool is_of_reopened(const struct packet_row *r)
{
	return r->second || r->strangers & ~(RTPX_STRANGERS_ALL | RTPX_STRANGERS_CONTINUE);
}

static void test_row(void **state)
{
	const struct packet_row *r = *state;
	const bool relays = daemon_relays(r);
	struct packet_row marker = marker_of(r);
	uint64_t strangers, rtcp;

	if (is_of_reopened(r))
		skip(); /* test_stream.c tests the daemon's decision */
	inject(r);
	if (relays) {
		check_datagram(r);
		check_frame(r);
		if (r->peer == PEER_OTHER_HOST)
			marker.peer = PEER_OTHER_HOST; /* this host is the peer now */
		else if (r->want == RTPX_REASON_pass_open)
			marker.peer = PEER_OTHER_PORT;
	}
	/* No frame of the row comes before the marker, so none comes at all. */
	inject(&marker);
	check_datagram(&marker);
	check_frame(&marker);
	strangers = stream_stats(&session->leg[0].stream[STREAM_RTP])->strangers;
	/* the port beside the call's RTP port */
	rtcp = stream_stats(&session->leg[0].stream[STREAM_RTCP])->strangers;
	assert_int_equal(stream_stats(&session->leg[0].stream[STREAM_RTP])->errors,
			 1 + (relays && !packet_is_rtp(r))); /* the marker is not RTP */
	assert_int_equal(strangers, r->want == RTPX_REASON_drop_stranger);
	assert_int_equal(rtcp, r->other_port == PACKET_PORT + 1);
	assert_int_equal(stats.npkts_discard, strangers + rtcp);
}

int main(void)
{
	static struct CMUnitTest tests[ARRAY_SIZE(packet_rows)];
	cpu_set_t one;
	size_t i;

	/* Run on one CPU, so that frames are handled in the order of writing. */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) || geteuid() != 0) {
		printf("needs root for network namespaces of its own\n");
		return 4;
	}
	for (i = 0; i < ARRAY_SIZE(packet_rows); i++)
		tests[i] = (struct CMUnitTest){ packet_rows[i].name, test_row, begin, end,
						(void *)&packet_rows[i] };
	return cmocka_run_group_tests(tests, make_net, end_net);
}

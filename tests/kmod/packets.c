/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packets.c - the packet table through the netfilter module, byte for byte. Frames enter one TAP
 * device and leave another, in a network namespace of its own. Half of the runs mirror the flows:
 * then exactly the forwarded packets have one copy each.
 *
 * The module does not count packets that the kernel refuses before the hook. Packets that the
 * module leaves alone must reach a socket unchanged, if the kernel delivers such packets. Exits
 * with 0, 1, or 4 without the module.
 */
#include <limits.h>

#include "random_packets.h"
#include "tap.h"

struct lab {
	struct dp *dp;
	struct tap_net net;
	const struct packet_row *routed; /* the row that the route is for */
	bool mirrored;			 /* flows are mirrored */
};

struct copies {
	unsigned int n;
	struct rtpx_mirrored last;
	uint8_t payload[RTPX_MIRROR_MAX];
	size_t len;
};

struct outcome {
	enum rtpx_reason reason;   /* RTPX_REASON_COUNT: not counted */
	uint8_t frame[PACKET_MAX]; /* the frame that left; len 0: none */
	size_t len;
	uint8_t heard[PACKET_MAX]; /* bytes that the socket received */
	ssize_t heard_len;	   /* -1: no datagram */
	struct rtpx_flow_stats stats;
	struct copies copies;
	uint64_t began_ns, ended_ns;
	bool may_be_refused; /* the TAP device may refuse the frame; set by the caller */
};

static bool same_route(const struct packet_row *a, const struct packet_row *b)
{
	return a && a->tag_out == b->tag_out && a->no_nexthop == b->no_nexthop && a->mtu == b->mtu;
}

/* Set the route to the destinations for the row. */
static void set_route(struct lab *lab, const struct packet_row *r)
{
	const char *destinations[] = { packet_addresses.dest4, packet_addresses.dest6 };
	int i;

	if (same_route(lab->routed, r))
		return;
	for (i = 0; i < 2; i++) {
		if (lab->routed && !lab->routed->no_nexthop)
			run("ip route del %s", destinations[i]);
		if (!r->no_nexthop)
			run("ip route add %s dev %s mtu %u", destinations[i],
			    r->tag_out ? "out0.200" : "out0", r->mtu ? r->mtu : PACKET_MTU);
	}
	lab->routed = r;
}

/* ---- copies ---- */

static void on_copy(void *arg, const struct rtpx_mirrored *copy, const uint8_t *payload, size_t len)
{
	struct copies *to = arg;

	to->n++;
	to->last = *copy;
	to->len = len;
	memcpy(to->payload, payload, len);
}

/* read_copies - read all waiting copies; returns their number. */
static unsigned int read_copies(struct dp *dp, struct copies *to)
{
	const struct dp_mirror_sink sink = { on_copy, to };

	to->n = 0;
	dp->mirrored(dp, &sink, UINT_MAX);
	return to->n;
}

static const char *check_copies(const struct lab *lab, const struct packet_row *r,
				const uint8_t *in, const struct outcome *o)
{
	const struct copies *c = &o->copies;

	if (c->n != (lab->mirrored && o->len))
		return "number of copies";
	if (c->n && (c->last.arrival_ns < o->began_ns || c->last.arrival_ns > o->ended_ns))
		return "time of the copy";
	return c->n ? copy_differs(r, in, &c->last, c->payload, c->len) : NULL;
}

/* ---- one packet ---- */

/*
 * The only reason that has risen by one in @after; RTPX_REASON_COUNT if there is not exactly one.
 */
static enum rtpx_reason counted(const struct rtpx_counters *before,
				const struct rtpx_counters *after)
{
	const uint64_t *b = (const uint64_t *)before, *a = (const uint64_t *)after;
	enum rtpx_reason i, found = RTPX_REASON_COUNT;
	uint64_t total = 0;

	for (i = 0; i < RTPX_REASON_COUNT; i++) {
		total += a[i] - b[i];
		if (a[i] != b[i])
			found = i;
	}
	return total == 1 ? found : RTPX_REASON_COUNT;
}

static int install(struct lab *lab, const struct packet_row *r, const struct rtpx_flow_stats *stats)
{
	struct rtpx_flow flow = module_flow(r);

	if (r->no_flow)
		return 0;
	if (lab->mirrored)
		flow.flags |= RTPX_FLOW_MIRROR;
	return lab->dp->ops->flow_put(lab->dp, family_of(r), PACKET_PORT, &flow, stats);
}

static const char *through(struct lab *lab, const struct packet_row *r, const uint8_t *in,
			   size_t len, struct outcome *o)
{
	struct rtpx_flow_stats stats = packet_stats(r, now_ns());
	struct rtpx_counters before, after;

	set_route(lab, r);
	if (install(lab, r, &stats))
		return "the module refuses the flow";
	lab->dp->ops->counters(lab->dp, &before);
	o->began_ns = now_ns();
	if (!send_frame(&lab->net, r, in, len) && !o->may_be_refused)
		return "the TAP device refuses the frame";
	o->ended_ns = now_ns();
	o->len = read_frame(&lab->net, o->frame);
	read_copies(lab->dp, &o->copies);
	o->heard_len = recv(lab->net.socket[family_of(r)], o->heard, sizeof(o->heard), 0);
	lab->dp->ops->counters(lab->dp, &after);
	o->reason = counted(&before, &after);
	o->stats = stats;
	if (!r->no_flow && lab->dp->ops->flow_del(lab->dp, family_of(r), PACKET_PORT, &o->stats))
		return "the module has lost the flow";
	return NULL;
}

/* ---- rows ---- */

/* The kernel checks these packets before any hook. */
static bool kernel_refuses(const struct packet_row *r)
{
	return r->want == RTPX_REASON_pass_not_ip || r->want == RTPX_REASON_pass_malformed ||
	       r->want == RTPX_REASON_pass_ip_checksum || r->want == RTPX_REASON_pass_no_vlan ||
	       r->twist == TWIST_MAC_OTHER || r->twist == TWIST_MAC_ABOVE;
}

/* True if the packet, left alone by the module, reaches the socket of its port. */
static bool reaches_socket(const struct packet_row *r)
{
	switch (r->want) {
	case RTPX_REASON_pass_no_flow:
		return !r->other_port;
	case RTPX_REASON_pass_fragment:
		return packet_in_is_6(r); /* RFC 6946: one fragment has the whole packet */
	case RTPX_REASON_pass_other_mac:
		return r->twist == TWIST_MAC_GROUP || r->twist == TWIST_MAC_ALL;
	case RTPX_REASON_pass_options:
	case RTPX_REASON_pass_ttl:
	case RTPX_REASON_pass_stun:
	case RTPX_REASON_pass_event:
	case RTPX_REASON_pass_open:
	case RTPX_REASON_pass_second:
	case RTPX_REASON_pass_relatch:
	case RTPX_REASON_pass_nexthop:
	case RTPX_REASON_pass_too_big:
		return true;
	default:
		return false;
	}
}

static const char *check_forwarded(const struct packet_row *r, struct outcome *o)
{
	uint8_t want[PACKET_MAX];
	size_t len = packet_out(r, want);

	if (!o->len)
		return "nothing left";
	if (o->len != len)
		return "length of the frame that leaves";
	packet_no_label(r, want);
	packet_no_label(r, o->frame);
	if (memcmp(o->frame, want, len))
		return "bytes of the frame that leaves";
	if (o->heard_len >= 0)
		return "the daemon heard it, too";
	if (o->stats.packets != 2 || o->stats.bytes != 172u + r->payload_bytes ||
	    rtpx_stats_kernel(&o->stats) != 1)
		return "packets and bytes of the flow";
	if (packet_is_rtp(r) && rtpx_stats_received(&o->stats) != 2)
		return "RTP statistics of the flow";
	if (o->stats.errors != (r->payload != PAYLOAD_RTCP && !packet_is_rtp(r)))
		return "RTP errors of the flow";
	return NULL;
}

static const char *check_left_alone(const struct packet_row *r, const struct outcome *o)
{
	uint8_t payload[PACKET_MAX];

	if (o->len)
		return "it left";
	if (o->stats.packets != 1 || o->stats.strangers != (r->want == RTPX_REASON_drop_stranger))
		return "statistics of the flow";
	if (!reaches_socket(r))
		return o->heard_len >= 0 ? "the daemon heard it" : NULL;
	packet_payload(r, payload);
	return o->heard_len != r->payload_bytes || memcmp(o->heard, payload, r->payload_bytes)
		       ? "the daemon did not hear it as it was"
		       : NULL;
}

static const char *check_row(struct lab *lab, const struct packet_row *r)
{
	static struct outcome o;
	uint8_t in[PACKET_MAX];
	size_t len = packet_in(r, in);
	const char *bad = through(lab, r, in, len, &o);

	if (!bad)
		bad = check_copies(lab, r, in, &o);
	if (bad)
		return bad;
	if (o.reason != r->want && !(kernel_refuses(r) && o.reason == RTPX_REASON_COUNT))
		return "reason";
	return r->want == RTPX_REASON_relayed && !kernel_refuses(r) ? check_forwarded(r, &o)
								    : check_left_alone(r, &o);
}

/* ---- cases beyond the table ---- */

static bool mutate(struct lab *lab, uint64_t *seed)
{
	static const struct packet_row plain = { 0 };
	const uint64_t began = *seed;
	const struct packet_row *r;
	static struct outcome o;
	uint8_t in[PACKET_MAX];
	size_t len = random_frame(seed, &r, in);
	const char *bad;

	/* Skip rows with another route: changing routes would take most of the time. */
	if (r->writing || !same_route(&plain, r))
		return true;
	o.may_be_refused = true; /* e.g. for an unfinished checksum outside the frame */
	lab->mirrored = next_random(seed) % 2;
	bad = through(lab, r, in, len, &o);
	if (!bad)
		bad = check_copies(lab, r, in, &o);
	/*
	 * A checksum that is marked complete but looks unfinished becomes wrong when the payload
	 * changes.
	 */
	if (!bad && o.len &&
	    !frame_holds(o.frame, o.len, arrives_broken(r, in) || r->payload == PAYLOAD_TWIN))
		bad = "the frame that leaves does not hold";
	if (!bad && (o.len > 0) != (o.reason == RTPX_REASON_relayed))
		bad = "what left was not counted, or what was counted did not leave";
	if (bad)
		printf("seed %llu, row '%s': %s\n", (unsigned long long)began, r->name, bad);
	return !bad;
}

static const char *check_stream(struct lab *lab, const struct packet_row *r, uint64_t *seed)
{
	struct rtpx_flow_stats want = { 0 }, is = { 0 };
	struct rtpx_packet p = { .rtp_seq = 65000, .ssrc = PACKET_SSRC };
	uint8_t in[PACKET_MAX], out[PACKET_MAX];
	const char *bad = NULL;
	size_t len;
	int i;

	set_route(lab, r);
	if (install(lab, r, &is))
		return "the module refuses the flow";
	for (i = 0; i < STREAM_PACKETS / 10 && !bad; i++) {
		p = stream_packet(seed, p);
		p.now_ns = now_ns();
		len = stream_frame(seed, r, &p, in);
		if (!send_frame(&lab->net, r, in, len) || !read_frame(&lab->net, out))
			return "not forwarded";
		rtpx_stats_packet(&want, &p, r->payload != PAYLOAD_RTCP);
		if (lab->dp->ops->stats_get(lab->dp, family_of(r), PACKET_PORT, &is))
			return "the module has lost the flow";
		bad = stream_differs(&is, &want);
	}
	lab->dp->ops->flow_del(lab->dp, family_of(r), PACKET_PORT, &is);
	return bad;
}

/*
 * Send packets until the listener's buffer is full, and more. All are forwarded, and those without
 * a copy are counted. Reading copies makes room for as many.
 */
static const char *check_full(struct lab *lab)
{
	static const struct packet_row row = { .family = P44, .payload_bytes = 172 };
	const unsigned int sent = 2 * COPIES_BYTES / sizeof(struct rtpx_mirrored);
	struct rtpx_flow_stats stats = { 0 };
	struct rtpx_counters before, after;
	static struct copies copies;
	uint8_t in[PACKET_MAX], out[PACKET_MAX];
	size_t len = packet_in(&row, in);
	unsigned int i, round;

	set_route(lab, &row);
	for (round = 0; round < 2; round++) {
		if (install(lab, &row, &stats))
			return "the module refuses the flow";
		lab->dp->ops->counters(lab->dp, &before);
		for (i = 0; i < sent; i++)
			if (!send_frame(&lab->net, &row, in, len) || !read_frame(&lab->net, out))
				return "not forwarded";
		lab->dp->ops->counters(lab->dp, &after);
		if (lab->dp->ops->flow_del(lab->dp, RTPX_FAMILY_IP4, PACKET_PORT, &stats))
			return "the module has lost the flow";
		if (!read_copies(lab->dp, &copies) || copies.n >= sent)
			return "the buffer did not become full";
		if (after.mirrored - before.mirrored != copies.n ||
		    after.mirror_full - before.mirror_full != sent - copies.n ||
		    stats.unmirrored != sent - copies.n || stats.packets != sent)
			return "what was not copied was not counted";
		stats = (struct rtpx_flow_stats){ 0 };
	}
	printf("%u copies of G.711 in %u bytes\n", copies.n, COPIES_BYTES);
	return NULL;
}

/* Statistics are not overwritten if a packet was counted since they were read. */
static const char *check_between(struct lab *lab)
{
	static const struct packet_row row = { .family = P44, .payload_bytes = 172 };
	struct rtpx_flow_stats stats = { 0 }, now;
	uint8_t in[PACKET_MAX], out[PACKET_MAX];
	size_t len = packet_in(&row, in);
	const struct dp_ops *ops = lab->dp->ops;

	set_route(lab, &row);
	if (install(lab, &row, &stats))
		return "the module refuses the flow";
	if (ops->stats_get(lab->dp, RTPX_FAMILY_IP4, PACKET_PORT, &stats) ||
	    !send_frame(&lab->net, &row, in, len) || !read_frame(&lab->net, out))
		return "not forwarded";
	if (ops->stats_set(lab->dp, RTPX_FAMILY_IP4, PACKET_PORT, &stats, &stats) != -EAGAIN)
		return "a packet was written over";
	if (ops->stats_get(lab->dp, RTPX_FAMILY_IP4, PACKET_PORT, &stats) || stats.packets != 1)
		return "the packet was not counted";
	stats.packets = 7;
	if (ops->stats_set(lab->dp, RTPX_FAMILY_IP4, PACKET_PORT, &stats, &stats) ||
	    ops->flow_del(lab->dp, RTPX_FAMILY_IP4, PACKET_PORT, &now) || now.packets != 7)
		return "what was written is not there";
	return NULL;
}

static bool report(const char *name, const char *bad)
{
	printf(bad ? "not ok %s: %s\n" : "ok %s\n", name, bad);
	return !bad;
}

int main(int argc, char **argv)
{
	const struct dp_opts opts = table_options();
	unsigned int i, passed = 0, failed = 0;
	unsigned long mutations = argc > 1 ? strtoul(argv[1], NULL, 10) : 5000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : now_ns();
	struct lab lab = { 0 };
	char err[512];

	setvbuf(stdout, NULL, _IOLBF, 0);
	make_network(&lab.net);
	if (dp_kmod_open(&lab.dp, &opts, err, sizeof(err))) {
		printf("%s\n", err);
		return dp_kmod_loaded() ? 1 : 4;
	}
	for (i = 0; i < 2 * sizeof(packet_rows) / sizeof(packet_rows[0]); i++) {
		const struct packet_row *r = &packet_rows[i / 2];

		lab.mirrored = i % 2;
		if (r->writing) /* a flow of the module is never seen half written */
			continue;
		if (report(r->name, check_row(&lab, r)))
			passed++;
		else
			failed++;
	}
	lab.mirrored = true;
	if (report("a full buffer", check_full(&lab)))
		passed++;
	else
		failed++;
	lab.mirrored = false;
	if (report("statistics between two packets", check_between(&lab)))
		passed++;
	else
		failed++;
	printf("seed of streams and of %lu mutations: %llu\n", mutations, (unsigned long long)seed);
	for (i = 0; i < sizeof(stream_rows) / sizeof(stream_rows[0]); i++) {
		if (report(stream_rows[i].name, check_stream(&lab, &stream_rows[i], &seed)))
			passed++;
		else
			failed++;
	}
	for (i = 0; i < mutations && failed < 10; i++)
		if (!mutate(&lab, &seed))
			failed++;
	passed += failed == 0;
	lab.dp->ops->close(lab.dp, false);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packets.c - the packet table through the XDP program in the kernel, with BPF_PROG_TEST_RUN, byte
 * for byte.
 *
 * packets OBJECT [MUTATIONS [SEED]] - then MUTATIONS frames made from random rows with random bytes
 * changed, of which must hold: what is passed or dropped is as it was, and what is forwarded has
 * lengths and checksums that agree. Then whole streams, whose statistics must be those of the same
 * functions compiled as plain C, and packets while their flow is being rewritten, which must leave
 * by the old flow or by the new one. Flows are mirrored in half of all: then each packet that is
 * forwarded is in the ring as it arrived, and no other. Exit 0, 1, or 4 without BPF.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "packets.h"
#include "random_packets.h"
#include "rtpx_verdict.h"

#define PORTS (PACKET_PORT_MAX - PACKET_PORT_MIN + 1)
#define RING_BYTES 65536
#define LOOPBACK 1 /* ifindex; a redirect in a test run goes nowhere */

struct lab {
	struct bpf_object *object;
	unsigned int race_packets; /* of each thread that races with another */
	int native, generic, program /* the one to run */, flows, more, nexthops, counters, config,
		ingress;
	struct rtpx_plain_ingress *plain;
	bool mirrored; /* flows are */
	struct ring_buffer *ring;
	unsigned int copies; /* read from the ring */
	size_t copy_bytes;   /* of the last one */
	struct rtpx_mirrored copy;
	uint8_t copy_payload[RTPX_MIRROR_MAX];
	unsigned int cpus;
};

struct outcome {
	int action;
	uint8_t frame[PACKET_MAX];
	size_t len;
	enum rtpx_reason reason;
	struct rtpx_flow_stats stats;
	struct rtpx_counters counters; /* of all CPUs */
	uint64_t began_ns, ended_ns;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int must_fd(struct bpf_object *object, const char *map)
{
	int fd = bpf_object__find_map_fd_by_name(object, map);

	if (fd < 0) {
		printf("no map %s in the object\n", map);
		exit(1);
	}
	return fd;
}

static int on_copy(void *arg, void *data, size_t size)
{
	struct lab *lab = arg;

	lab->copies++;
	if (size < sizeof(lab->copy) || size - sizeof(lab->copy) > sizeof(lab->copy_payload)) {
		printf("a copy of %zu bytes\n", size);
		exit(1);
	}
	lab->copy_bytes = size - sizeof(lab->copy);
	memcpy(&lab->copy, data, sizeof(lab->copy));
	memcpy(lab->copy_payload, (uint8_t *)data + sizeof(lab->copy), lab->copy_bytes);
	return 0;
}

/* Set a constant of the program, wherever the compiler has put it. */
static void set_constant(struct bpf_object *object, struct bpf_map *rodata, const char *name,
			 uint32_t value)
{
	const struct btf *btf = bpf_object__btf(object);
	const struct btf_type *section =
		btf__type_by_id(btf, btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC));
	const struct btf_var_secinfo *var = btf_var_secinfos(section);
	size_t bytes;
	char *at = (void *)bpf_map__initial_value(rodata, &bytes);
	unsigned int i;

	for (i = 0; i < btf_vlen(section); i++)
		if (!strcmp(btf__name_by_offset(btf, btf__type_by_id(btf, var[i].type)->name_off),
			    name))
			memcpy(at + var[i].offset, &value, sizeof(value));
}

static void set_media(struct bpf_object *object, struct bpf_map *rodata)
{
	set_constant(object, rodata, "media_first", PACKET_PORT_MIN);
	set_constant(object, rodata, "media_ports", PORTS);
}

static uint64_t plain_mac(const uint8_t mac[6])
{
	uint8_t first[8] = { 0 };
	uint64_t number;

	memcpy(first, mac, 6);
	memcpy(&number, first, sizeof(number));
	return rtpx_mac(number);
}

/* The program's table of link addresses for plain frames, which begins its memory. */
static struct rtpx_plain_ingress *map_plain(struct bpf_object *object)
{
	struct bpf_map *map;
	void *bss = MAP_FAILED;

	bpf_object__for_each_map(map, object) if (strstr(bpf_map__name(map), ".bss")) bss =
		mmap(NULL, bpf_map__value_size(map), PROT_READ | PROT_WRITE, MAP_SHARED,
		     bpf_map__fd(map), 0);
	return bss == MAP_FAILED ? NULL : bss;
}

static bool lab_open(struct lab *lab, const char *path)
{
	const struct bpf_devmap_val loopback = { .ifindex = LOOPBACK };
	const uint32_t tx_port = LOOPBACK;
	struct bpf_map *map;
	int tx_ports;

	lab->object = bpf_object__open_file(path, NULL);
	if (!lab->object)
		return false;
	bpf_object__for_each_map(map, lab->object) if (strstr(bpf_map__name(map), ".rodata"))
		set_media(lab->object, map);
	else if (!strcmp(bpf_map__name(map), "flows") || !strcmp(bpf_map__name(map), "flows_more"))
		bpf_map__set_max_entries(map, RTPX_FAMILIES * PORTS);
	else if (!strcmp(bpf_map__name(map), "mirror")) bpf_map__set_max_entries(map, RING_BYTES);
	if (bpf_object__load(lab->object))
		return false;
	lab->native = bpf_program__fd(bpf_object__find_program_by_name(lab->object, "rtpx_relay"));
	lab->generic =
		bpf_program__fd(bpf_object__find_program_by_name(lab->object, "rtpx_generic"));
	lab->program = lab->native;
	lab->flows = must_fd(lab->object, "flows");
	lab->more = must_fd(lab->object, "flows_more");
	lab->nexthops = must_fd(lab->object, "nexthops");
	lab->counters = must_fd(lab->object, "counters");
	lab->config = must_fd(lab->object, "config");
	lab->ingress = must_fd(lab->object, "ingress");
	lab->plain = map_plain(lab->object);
	if (!lab->plain)
		return false;
	lab->ring = ring_buffer__new(must_fd(lab->object, "mirror"), on_copy, lab, NULL);
	if (!lab->ring)
		return false;
	lab->cpus = libbpf_num_possible_cpus();
	tx_ports = must_fd(lab->object, "tx_ports");
	return !bpf_map_update_elem(tx_ports, &tx_port, &loopback, 0);
}

/* Install the row's world; @stats are what its flow has counted. */
static void lab_set(struct lab *lab, const struct packet_row *r,
		    const struct rtpx_flow_stats *stats)
{
	struct rtpx_config c = packet_config();
	struct rtpx_flow flow = packet_flow(r);
	struct rtpx_entry entry = { .seq = flow.seq };
	struct rtpx_entry_more more = { 0 };
	struct rtpx_nexthop nh = packet_nexthop(r, LOOPBACK);
	struct rtpx_ingress in = packet_ingress(LOOPBACK);
	uint32_t zero = 0, id = PACKET_NEXTHOP, family = LOOPBACK;
	uint32_t index = rtpx_flow_index(&c, packet_in_is_6(r) ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4,
					 PACKET_PORT);
	struct rtpx_counters *none = calloc(lab->cpus, sizeof(*none));

	if (lab->mirrored)
		flow.flags |= RTPX_FLOW_MIRROR;
	rtpx_entry_put_flow(&entry, &more, &flow,
			    packet_in_is_6(r) ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4);
	rtpx_entry_put_stats(&entry, &more, stats);
	bpf_map_update_elem(lab->config, &zero, &c, 0);
	bpf_map_update_elem(lab->ingress, &family, &in, 0);
	lab->plain[family] =
		(struct rtpx_plain_ingress){ .mac = plain_mac(in.mac), .ifindex = LOOPBACK };
	bpf_map_update_elem(lab->flows, &index, &entry, 0);
	bpf_map_update_elem(lab->more, &index, &more, 0);
	bpf_map_update_elem(lab->nexthops, &id, &nh, 0);
	bpf_map_update_elem(lab->counters, &zero, none, 0);
	free(none);
}

static void lab_stats(struct lab *lab, const struct packet_row *r, struct rtpx_flow_stats *stats)
{
	struct rtpx_config c = packet_config();
	uint32_t index = rtpx_flow_index(&c, packet_in_is_6(r) ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4,
					 PACKET_PORT);
	struct rtpx_entry_more more;
	struct rtpx_entry entry;

	bpf_map_lookup_elem(lab->flows, &index, &entry);
	bpf_map_lookup_elem(lab->more, &index, &more);
	rtpx_entry_get_stats(&entry, &more, stats);
}

/* Take the row's flow away again, so that the other family's rows do not find it. */
static void lab_clear(struct lab *lab, const struct packet_row *r, struct rtpx_flow_stats *stats)
{
	struct rtpx_config c = packet_config();
	const struct rtpx_entry none = { 0 };
	uint32_t index = rtpx_flow_index(&c, packet_in_is_6(r) ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4,
					 PACKET_PORT);

	lab_stats(lab, r, stats);
	bpf_map_update_elem(lab->flows, &index, &none, 0);
}

static void lab_counters(struct lab *lab, struct rtpx_counters *out)
{
	struct rtpx_counters *each = calloc(lab->cpus, sizeof(*each));
	uint32_t zero = 0;
	unsigned int cpu;
	size_t i;

	memset(out, 0, sizeof(*out));
	bpf_map_lookup_elem(lab->counters, &zero, each);
	for (cpu = 0; cpu < lab->cpus; cpu++)
		for (i = 0; i < sizeof(*out) / sizeof(uint64_t); i++)
			((uint64_t *)out)[i] += ((uint64_t *)&each[cpu])[i];
	free(each);
}

/* The one reason that was counted; RTPX_REASON_COUNT when there is not exactly one. */
static enum rtpx_reason counted(const struct rtpx_counters *c)
{
	enum rtpx_reason reason, found = RTPX_REASON_COUNT;
	uint64_t total = 0;

	for (reason = 0; reason < RTPX_REASON_COUNT; reason++) {
		total += ((const uint64_t *)c)[reason];
		if (((const uint64_t *)c)[reason])
			found = reason;
	}
	return total == 1 ? found : RTPX_REASON_COUNT;
}

static bool run(struct lab *lab, const struct packet_row *r, const uint8_t *in, size_t len,
		struct outcome *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len,
		    .data_out = out->frame, .data_size_out = sizeof(out->frame), .repeat = 1);
	struct rtpx_flow_stats stats = packet_stats(r, now_ns());

	lab_set(lab, r, &stats);
	lab->copies = 0;
	out->began_ns = now_ns();
	if (bpf_prog_test_run_opts(lab->program, &opts)) {
		lab_clear(lab, r, &out->stats);
		return false;
	}
	out->ended_ns = now_ns();
	out->action = opts.retval;
	out->len = opts.data_size_out;
	lab_counters(lab, &out->counters);
	out->reason = counted(&out->counters);
	lab_clear(lab, r, &out->stats);
	ring_buffer__consume(lab->ring);
	return true;
}

/* ---- copies ---- */

/* One copy of what is forwarded by a mirrored flow, and none of anything else. */
static const char *check_mirror(const struct lab *lab, const struct packet_row *r,
				const uint8_t *in, const struct outcome *o)
{
	unsigned int want = lab->mirrored && o->action == XDP_REDIRECT;

	if (lab->copies != want || o->counters.mirrored != want || o->counters.mirror_full)
		return "number of copies";
	if (want && (lab->copy.arrival_ns < o->began_ns || lab->copy.arrival_ns > o->ended_ns))
		return "time of the copy";
	return want ? copy_differs(r, in, &lab->copy, lab->copy_payload, lab->copy_bytes) : NULL;
}

/* Packets until the ring is full and beyond: all are forwarded, and what was not copied is counted. */
static const char *check_full(struct lab *lab)
{
	static const struct packet_row row = { .family = P44, .payload_bytes = 172 };
	const unsigned int sent = 2 * RING_BYTES / sizeof(struct rtpx_mirrored);
	struct rtpx_flow_stats stats = { 0 };
	struct rtpx_counters c;
	uint8_t in[PACKET_MAX];
	size_t len = packet_in(&row, in);
	unsigned int i, round;

	for (round = 0; round < 2; round++) {
		lab_set(lab, &row, &stats);
		lab->copies = 0;
		for (i = 0; i < sent; i++) {
			LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len,
				    .repeat = 1);

			if (bpf_prog_test_run_opts(lab->program, &opts) ||
			    opts.retval != XDP_REDIRECT)
				return "not forwarded";
		}
		ring_buffer__consume(lab->ring);
		lab_counters(lab, &c);
		lab_clear(lab, &row, &stats);
		if (!lab->copies || lab->copies >= sent || c.relayed != sent)
			return "the ring did not become full";
		if (c.mirrored != lab->copies || c.mirror_full != sent - lab->copies ||
		    stats.unmirrored != c.mirror_full || stats.packets != sent)
			return "what was not copied was not counted";
		stats = (struct rtpx_flow_stats){ 0 };
	}
	return NULL;
}

/* ---- rows ---- */

static const char *check_forwarded(const struct packet_row *r, const struct outcome *o)
{
	uint8_t want[PACKET_MAX];
	size_t len = packet_out(r, want);
	bool rtp_flow = r->payload != PAYLOAD_RTCP;

	if (o->action != XDP_REDIRECT)
		return "not redirected";
	if (r->twist != TWIST_PAD && o->len != len)
		return "length of the frame that leaves";
	if (o->len < len || memcmp(o->frame, want, len))
		return "bytes of the frame that leaves";
	if (o->stats.packets != 2 || o->stats.bytes != 172u + r->payload_bytes ||
	    rtpx_stats_kernel(&o->stats) != 1)
		return "packets and bytes of the flow";
	if (packet_is_rtp(r) && rtpx_stats_received(&o->stats) != 2)
		return "RTP statistics of the flow";
	if (o->stats.errors != (rtp_flow && !packet_is_rtp(r)))
		return "RTP errors of the flow";
	return NULL;
}

static const char *check_row(struct lab *lab, const struct packet_row *r)
{
	bool left = lab->program == lab->generic && r->sum == SUM_PARTIAL;
	enum rtpx_reason want = left ? RTPX_REASON_pass_checksum : r->want;
	uint8_t in[PACKET_MAX];
	size_t len = packet_in(r, in);
	struct outcome o;
	const char *bad;

	if (len < 15) /* a test run takes no frame without a byte after Ethernet: the parser in C
			 has judged it */
		return NULL;
	if (!run(lab, r, in, len, &o))
		return strerror(errno);
	if (o.reason != want)
		return "reason";
	bad = check_mirror(lab, r, in, &o);
	if (bad)
		return bad;
	if (want == RTPX_REASON_relayed)
		return check_forwarded(r, &o);
	if (o.action != (want == RTPX_REASON_drop_stranger ? XDP_DROP : XDP_PASS))
		return "action";
	if (o.len != len || memcmp(o.frame, in, len))
		return "a packet that is not forwarded was changed";
	if (o.stats.packets != 1 || o.stats.strangers != (want == RTPX_REASON_drop_stranger))
		return "statistics of the flow";
	return NULL;
}

/* ---- mutations ---- */

static bool mutate(struct lab *lab, uint64_t *seed)
{
	uint64_t began = *seed;
	uint8_t in[PACKET_MAX];
	const struct packet_row *r;
	size_t len = random_frame(seed, &r, in);
	struct outcome o;

	lab->mirrored = next_random(seed) % 2;
	if (len < 15 || !run(lab, r, in, len, &o))
		return len < 15;
	if (check_mirror(lab, r, in, &o)) {
		printf("seed %llu, row '%s': %s\n", (unsigned long long)began, r->name,
		       check_mirror(lab, r, in, &o));
		return false;
	}
	if (o.reason == RTPX_REASON_COUNT) {
		printf("seed %llu, row '%s': not counted exactly once\n", (unsigned long long)began,
		       r->name);
		return false;
	}
	if (o.action == XDP_REDIRECT ? frame_holds(o.frame, o.len, arrives_broken(r, in))
				     : o.len == len && !memcmp(o.frame, in, len))
		return true;
	printf("seed %llu, row '%s': action %d, reason %d, frame does not hold\n",
	       (unsigned long long)began, r->name, o.action, o.reason);
	return false;
}

/* ---- streams ---- */

static const char *check_stream(struct lab *lab, const struct packet_row *r, uint64_t *seed)
{
	struct rtpx_flow_stats want = { 0 }, is = { 0 };
	struct rtpx_packet p = { .rtp_seq = 65000, .ssrc = PACKET_SSRC };
	uint8_t in[PACKET_MAX];
	const char *bad = NULL;
	int i;

	lab_set(lab, r, &is);
	for (i = 0; i < STREAM_PACKETS && !bad; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .repeat = 1);

		p = stream_packet(seed, p);
		p.now_ns = now_ns();
		opts.data_size_in = stream_frame(seed, r, &p, in);
		if (bpf_prog_test_run_opts(lab->program, &opts) || opts.retval != XDP_REDIRECT)
			return "not redirected";
		rtpx_stats_packet(&want, &p, r->payload != PAYLOAD_RTCP);
		lab_stats(lab, r, &is);
		bad = stream_differs(&is, &want);
	}
	lab_clear(lab, r, &is);
	return bad;
}

/* ---- a flow that changes ---- */

#define CHANGES_WITHIN_NS (60 * 1000000000ull) /* of a busy machine */

static const struct packet_row changing_rows[] = {
	{ .name = "flow rewritten under way, v4", .family = P44, .payload_bytes = 172 },
	{ .name = "flow rewritten under way, v6", .family = P66, .payload_bytes = 172 },
};

/* A thread that rewrites one flow as the daemon does: in place and with rtpx_entry.seq. */
struct writer {
	struct rtpx_entry *entry;
	struct rtpx_entry_more *more;
	struct rtpx_flow flow[2];
	enum rtpx_family family;
	atomic_bool stop;
};

static void *writer_run(void *arg)
{
	struct writer *w = arg;
	unsigned int i, rest;

	for (i = 0; !atomic_load(&w->stop); i++) {
		const struct rtpx_flow *f = &w->flow[i % 2];
		uint16_t *seq = &w->entry->seq;

		__atomic_store_n(seq, *seq | 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		rtpx_entry_put_flow(w->entry, w->more, f, w->family);
		__atomic_store_n(seq, *seq + 1, __ATOMIC_RELEASE);
		/* Rests of many lengths, so that packets meet every moment of it. */
		for (rest = i * 37 % 1024; rest; rest--)
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* The row's frame through its flow, and through one that differs in everything that leaves. */
static void changing_make(const struct packet_row *r, struct rtpx_flow flow[2],
			  uint8_t want[2][PACKET_MAX])
{
	uint8_t payload[PACKET_MAX];
	struct packet_headers h = leaving_headers(r, payload);

	flow[0] = flow[1] = packet_flow(r);
	packet_out(r, want[0]);
	packet_payload(r, payload);
	h.src_port = flow[1].out_port = 50000;
	h.dst_port = flow[1].dest_port = 60000;
	h.tos = flow[1].tos = 0x28;
	h.ttl = flow[1].ttl = 33;
	memset(h.src, 0x31, 16);
	memset(h.dst, 0x32, 16);
	memcpy(flow[1].out4, h.src, 4);
	memcpy(flow[1].dest4, h.dst, 4);
	memcpy(flow[1].out6, h.src, 16);
	memcpy(flow[1].dest6, h.dst, 16);
	build_frame(want[1], &h);
}

/* Packets while the writer writes. NULL: each left by one of the flows, or did not leave. */
static const char *changing_packets(struct lab *lab, const struct packet_row *r,
				    const uint8_t want[2][PACKET_MAX])
{
	unsigned int i, left[2] = { 0 };
	uint8_t in[PACKET_MAX], out[PACKET_MAX];
	size_t len = packet_in(r, in);
	uint64_t give_up = now_ns() + CHANGES_WITHIN_NS;

	for (i = 0; i < lab->race_packets || !left[0] || !left[1]; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len,
			    .data_out = out, .data_size_out = sizeof(out), .repeat = 1);

		if ((uint64_t)now_ns() > give_up)
			return "the flow did not change";
		if (bpf_prog_test_run_opts(lab->program, &opts))
			return strerror(errno);
		if (opts.retval == XDP_PASS && !memcmp(out, in, len))
			continue; /* as it was being written */
		if (opts.retval != XDP_REDIRECT || opts.data_size_out != len)
			return "neither forwarded nor left alone";
		if (!memcmp(out, want[0], len))
			left[0]++;
		else if (!memcmp(out, want[1], len))
			left[1]++;
		else
			return "left by a mixture of two flows";
	}
	return NULL;
}

static const char *check_changing(struct lab *lab, const struct packet_row *r)
{
	struct rtpx_config c = packet_config();
	uint32_t index = rtpx_flow_index(&c, packet_in_is_6(r) ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4,
					 PACKET_PORT);
	size_t bytes = RTPX_FAMILIES * PORTS * sizeof(struct rtpx_entry);
	size_t more_bytes = RTPX_FAMILIES * PORTS * sizeof(struct rtpx_entry_more);
	struct rtpx_entry *entries =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, lab->flows, 0);
	struct rtpx_entry_more *more =
		mmap(NULL, more_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, lab->more, 0);
	struct rtpx_flow_stats stats = { 0 };
	uint8_t want[2][PACKET_MAX];
	struct writer w = { 0 };
	pthread_t thread;
	const char *bad;

	if (entries == MAP_FAILED || more == MAP_FAILED)
		return "the maps cannot be mapped";
	lab_set(lab, r, &stats);
	w.entry = &entries[index];
	w.more = &more[index];
	w.family = packet_in_is_6(r) ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4;
	changing_make(r, w.flow, want);
	if (pthread_create(&thread, NULL, writer_run, &w))
		return "no thread";
	bad = changing_packets(lab, r, want);
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	lab_clear(lab, r, &stats);
	munmap(entries, bytes);
	munmap(more, more_bytes);
	return bad;
}

/* ---- one flow on two CPUs ---- */

/* Two CPUs take turns in being first with one of two successive packets. */
struct two {
	struct lab *lab;
	const struct packet_row *row;
	atomic_uint begun, ended; /* packets of both */
	atomic_bool failed;
};

struct one_of_two {
	struct two *two;
	unsigned int which;
};

/* Wait for @counter to become @n; the CPU may be needed for that. */
static void meet(atomic_uint *counter, unsigned int n)
{
	unsigned int spins = 0;

	while (atomic_load(counter) < n)
		if (++spins > 1000)
			sched_yield();
}

/* Run the program for the packet @in of @len bytes, with another number. */
static void run_numbered(struct two *two, uint8_t *in, size_t len, uint16_t seq)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len, .repeat = 1);

	put16(in + packet_l3(false) + 20 + 8 + 2, seq);
	if (bpf_prog_test_run_opts(two->lab->native, &opts) || opts.retval != XDP_REDIRECT)
		atomic_store(&two->failed, true);
}

static void *one_of_two_run(void *arg)
{
	const struct one_of_two *one = arg;
	struct two *two = one->two;
	uint8_t in[PACKET_MAX];
	size_t len = packet_in(two->row, in);
	unsigned int i;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(one->which % two->lab->cpus, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	for (i = 0; i < two->lab->race_packets; i++) {
		meet(&two->ended, 2 * i);
		atomic_fetch_add(&two->begun, 1);
		meet(&two->begun, 2 * i + 2);
		run_numbered(two, in, len, 2 * i + one->which);
		atomic_fetch_add(&two->ended, 1);
	}
	return NULL;
}

/*
 * Counts are not exact then: packets of the same instant may count as one, and those since the last
 * fold twice. But sequence numbers are, and nothing jumps.
 */
static const char *check_two_cpus(struct lab *lab)
{
	static const struct packet_row row = { .family = P44, .payload_bytes = 172 };
	struct two two = { .lab = lab, .row = &row };
	struct one_of_two one[2] = { { &two, 0 }, { &two, 1 } };
	struct rtpx_flow_stats st = { 0 };
	uint8_t in[PACKET_MAX];
	const uint64_t sent = 1 + 2ull * lab->race_packets;
	pthread_t thread[2];
	unsigned int i;

	lab_set(lab, &row, &st);
	/* Of two first packets at the same instant, each might begin a segment. */
	run_numbered(&two, in, packet_in(&row, in), UINT16_MAX);
	for (i = 0; i < 2; i++)
		if (pthread_create(&thread[i], NULL, one_of_two_run, &one[i]))
			return "no thread";
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	lab_clear(lab, &row, &st);
	printf("two CPUs: %llu sent, %llu counted, %u expected, %u lost, %u duplicates, "
	       "%u segments\n",
	       (unsigned long long)sent, (unsigned long long)st.packets, rtpx_stats_expected(&st),
	       rtpx_stats_lost(&st), st.duplicates, st.segments);
	if (atomic_load(&two.failed))
		return "not forwarded";
	if (st.segments != 1 || rtpx_stats_expected(&st) > sent ||
	    rtpx_stats_expected(&st) < sent - 1)
		return "sequence numbers";
	if (rtpx_stats_lost(&st) > sent / 2 || st.packets > sent + sent / 20)
		return "packets";
	return NULL;
}

static bool report(const char *name, const char *bad)
{
	printf(bad ? "not ok %s: %s\n" : "ok %s\n", name, bad);
	return !bad;
}

int main(int argc, char **argv)
{
	unsigned long mutations =
		argc > 2 ? strtoul(argv[2], NULL, 10) : 100000; /* and race packets */
	unsigned long i, passed = 0, failed = 0;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)now_ns();
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct lab lab;

	setrlimit(RLIMIT_MEMLOCK, &all);
	if (argc < 2 || !lab_open(&lab, argv[1])) {
		printf("cannot load %s: %s\n", argc < 2 ? "(no object named)" : argv[1],
		       strerror(errno));
		return errno == EPERM ? 4 : 1;
	}
	for (i = 0; i < 4 * sizeof(packet_rows) / sizeof(packet_rows[0]); i++) {
		const struct packet_row *r = &packet_rows[i / 4];

		lab.program = i % 2 ? lab.generic : lab.native;
		lab.mirrored = i / 2 % 2;
		if (report(r->name, check_row(&lab, r)))
			passed++;
		else
			failed++;
	}
	lab.race_packets = mutations;
	lab.program = lab.native;
	lab.mirrored = true;
	if (report("a full ring", check_full(&lab)))
		passed++;
	else
		failed++;
	lab.mirrored = false;
	if (report("one flow on two CPUs", check_two_cpus(&lab)))
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
	for (i = 0; i < sizeof(changing_rows) / sizeof(changing_rows[0]); i++) {
		if (report(changing_rows[i].name, check_changing(&lab, &changing_rows[i])))
			passed++;
		else
			failed++;
	}
	for (i = 0; i < mutations && failed < 10; i++)
		if (!mutate(&lab, &seed))
			failed++;
	passed += failed == 0;
	printf("%lu passed, %lu failed, 0 skipped\n", passed, failed);
	return failed != 0;
}

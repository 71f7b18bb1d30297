/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * traffic.c - generator, sink and bare redirect of the bench, driven by lines on stdin.
 *
 *     traffic OBJECT GENERATOR-NETNS DEV RELAY-NETNS IN OUT SINK-NETNS DEV
 *
 * Frames are made by BPF_PROG_TEST_RUN with live frames in the generator's namespace and counted by
 * an XDP program in the sink's. Every command is answered by one line of JSON; an error ends the
 * program. It knows nothing of calls or relays: addresses, ports and rates come from the one who
 * drives it.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "traffic.h"

/* A device of the bench, in its namespace. */
struct place {
	int netns;
	unsigned int ifindex;
	__u8 mac[ETH_ALEN];
};

struct bench {
	struct bpf_object *obj;
	struct bench_shared *shared;
	int generate, sink, bare, redirect; /* program descriptors */
	struct place from, in, out, to;
	int input; /* link of what is on the relay's input, or -1 */
	__u8 frame[BENCH_FRAME];
};

/* One thread of the generator. */
struct worker {
	struct bench *b;
	unsigned int cpu;
	bool first; /* goes before everything else that wants the CPU */
	pthread_t thread;
	atomic_bool done;
	int error;
};

static __u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static void nap_ms(unsigned int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000l };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static void enter(int netns)
{
	if (setns(netns, CLONE_NEWNET))
		err(1, "setns");
}

static struct place place_of(const char *netns, const char *dev)
{
	struct place p = { .netns = open(netns, O_RDONLY | O_CLOEXEC) };
	struct ifreq r = {};
	int fd;

	if (p.netns < 0)
		err(1, "%s", netns);
	enter(p.netns);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", dev);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &r))
		err(1, "%s", dev);
	close(fd);
	memcpy(p.mac, r.ifr_hwaddr.sa_data, ETH_ALEN);
	p.ifindex = if_nametoindex(dev);
	return p;
}

/* attach - returns a link: closing it, or dying, detaches the program. */
static int attach(const struct place *p, int fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int link;

	enter(p->netns);
	link = bpf_link_create(fd, p->ifindex, BPF_XDP, &opts);
	if (link < 0)
		errx(1, "XDP program on interface %u: %s", p->ifindex, strerror(-link));
	return link;
}

static int program_fd(const struct bench *b, const char *name)
{
	struct bpf_program *p = bpf_object__find_program_by_name(b->obj, name);

	if (!p)
		errx(1, "no program %s", name);
	return bpf_program__fd(p);
}

static void load(struct bench *b, const char *path)
{
	const __u32 zero = 0;
	struct bpf_map *map;
	__u32 *rodata;
	size_t size;

	b->obj = bpf_object__open_file(path, NULL);
	if (!b->obj)
		err(1, "%s", path);
	map = bpf_object__find_map_by_name(b->obj, ".rodata");
	rodata = map ? (void *)bpf_map__initial_value(map, &size) : NULL;
	if (!rodata || size != sizeof(*rodata))
		errx(1, "%s: no bare_ifindex", path);
	*rodata = b->out.ifindex;
	if (bpf_object__load(b->obj))
		err(1, "%s", path);
	map = bpf_object__find_map_by_name(b->obj, ".bss.shared");
	if (!map || bpf_map__value_size(map) != sizeof(*b->shared))
		errx(1, "%s: not the bench_shared of this build", path);
	b->shared = mmap(NULL, sizeof(*b->shared), PROT_READ | PROT_WRITE, MAP_SHARED,
			 bpf_map__fd(map), 0);
	if (b->shared == MAP_FAILED)
		err(1, "%s: shared", path);
	b->generate = program_fd(b, "generate");
	b->sink = program_fd(b, "sink");
	b->bare = program_fd(b, "bare");
	b->redirect = program_fd(b, "redirect");
	map = bpf_object__find_map_by_name(b->obj, "bare_port");
	enter(b->out.netns); /* where the kernel looks for the interface */
	if (!map || bpf_map_update_elem(bpf_map__fd(map), &zero, &b->out.ifindex, BPF_ANY))
		err(1, "%s: bare_port", path);
}

static __u64 sum16(const void *data, size_t bytes)
{
	const __u8 *p = data;
	__u64 sum = 0;
	__u16 w;

	for (; bytes >= 2; bytes -= 2, p += 2) {
		memcpy(&w, p, 2);
		sum += w;
	}
	return sum;
}

static __u16 fold(__u64 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/*
 * command_frame - "frame FROM-IP TO-IP SINK-IP": what the generator sends, and what the sink must
 * get.
 */
static void command_frame(struct bench *b, char *args)
{
	struct {
		struct ethhdr eth;
		struct iphdr ip;
		struct udphdr udp;
	} __attribute__((packed)) h = {};
	struct bench_rtp rtp = { .version = 0x80, .mark = htonl(BENCH_MAGIC) };
	char from[16], to[16], sink[16];

	if (sscanf(args, "%15s %15s %15s", from, to, sink) != 3)
		errx(1, "frame: %s", args);
	memcpy(h.eth.h_dest, b->in.mac, ETH_ALEN);
	memcpy(h.eth.h_source, b->from.mac, ETH_ALEN);
	h.eth.h_proto = htons(ETH_P_IP);
	h.ip.version = 4;
	h.ip.ihl = 5;
	h.ip.tot_len = htons(BENCH_FRAME - ETH_HLEN);
	h.ip.frag_off = htons(0x4000);
	h.ip.ttl = 64;
	h.ip.protocol = IPPROTO_UDP;
	if (inet_pton(AF_INET, from, &h.ip.saddr) != 1 ||
	    inet_pton(AF_INET, to, &h.ip.daddr) != 1 ||
	    inet_pton(AF_INET, sink, &b->shared->sink_ip) != 1)
		errx(1, "frame: %s", args);
	h.ip.check = (__u16)~fold(sum16(&h.ip, sizeof(h.ip)));
	h.udp.len = htons(BENCH_FRAME - ETH_HLEN - sizeof(h.ip));
	memset(b->frame, 0xd5, sizeof(b->frame)); /* silence in A-law; the value does not matter */
	memcpy(b->frame, &h, sizeof(h));
	memcpy(b->frame + BENCH_HEADERS, &rtp, sizeof(rtp));
	memcpy(b->shared->headers, &h, sizeof(h));
	b->shared->unfinished = fold(sum16(&h.ip.saddr, 8) + htons(IPPROTO_UDP) + h.udp.len);
	/* The UDP length counts twice: in the header and in the pseudo-header. */
	b->shared->sum =
		sum16(b->frame + ETH_HLEN + sizeof(h.ip), BENCH_FRAME - ETH_HLEN - sizeof(h.ip)) +
		b->shared->unfinished;
	printf("{}\n");
}

/*
 * command_flows - "flows FILE": a line "SOURCE-PORT RELAY-PORT [SOURCE RELAY SINK]" for each flow,
 * in the order of sending. The addresses are numbers; those of the frame are the default.
 */
static void command_flows(struct bench *b, char *args)
{
	unsigned int src, dst, from = 0, to = 0, sink = 0, n = 0;
	char path[256], line[128];
	FILE *f;

	if (sscanf(args, "%255s", path) != 1 || !(f = fopen(path, "re")))
		err(1, "flows: %s", args);
	b->shared->many = 0;
	while (n < BENCH_MAX_FLOWS && fgets(line, sizeof(line), f)) {
		int r = sscanf(line, "%u %u %u %u %u", &src, &dst, &from, &to, &sink);

		if (r < 2)
			break;
		b->shared->many = r == 5;
		b->shared->hosts[n] = (struct bench_hosts){ htonl(from), htonl(to), htonl(sink) };
		b->shared->pairs[n++] = (struct bench_pair){ htons(src), htons(dst) };
	}
	fclose(f);
	printf("{\"flows\": %u}\n", n);
}

/* command_input - "input none|bare|redirect|sink": the bench's own program on the relay's input. */
static void command_input(struct bench *b, char *args)
{
	int fd = strcmp(args, "bare") == 0	 ? b->bare
		 : strcmp(args, "redirect") == 0 ? b->redirect
		 : strcmp(args, "sink") == 0	 ? b->sink
						 : -1;

	if (b->input >= 0)
		close(b->input);
	b->input = fd < 0 ? -1 : attach(&b->in, fd);
	printf("{}\n");
}

static void on_stop(int sig)
{
	(void)sig;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct xdp_md ctx = { .data_end = BENCH_FRAME, .ingress_ifindex = w->b->from.ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = w->b->frame, .data_size_in = BENCH_FRAME,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .repeat = 1 << 30);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	enter(w->b->from.netns);
	if (sched_setaffinity(0, sizeof(set), &set) ||
	    (w->first && setpriority(PRIO_PROCESS, gettid(), -20)))
		w->error = errno;
	else if (bpf_prog_test_run_opts(w->b->generate, &opts) && errno != EINTR)
		w->error = errno;
	w->done = true;
	return NULL;
}

static __u64 total_sent(const struct bench *b)
{
	__u64 n = 0;

	for (int i = 0; i < BENCH_MAX_CPUS; i++)
		n += ((volatile struct bench_lane *)&b->shared->lanes[i])->sent;
	return n;
}

static __u64 total_received(const struct bench *b)
{
	__u64 n = 0;

	for (int i = 0; i < BENCH_MAX_CPUS; i++)
		n += ((volatile struct bench_sink *)&b->shared->sinks[i])->received;
	return n;
}

static __u64 bucket_ns(unsigned int i)
{
	return i < 16 ? i : (16ull + i % 16) << (i / 16 - 1);
}

/* quantile - the middle of the bucket in which it lies, in ns; 0 without any. */
static __u64 quantile(const struct bench *b, double q)
{
	__u64 count[BENCH_BUCKETS] = {}, all = 0, seen = 0;

	for (int c = 0; c < BENCH_MAX_CPUS; c++)
		for (int i = 0; i < BENCH_BUCKETS; i++)
			count[i] += b->shared->sinks[c].latency[i];
	for (int i = 0; i < BENCH_BUCKETS; i++)
		all += count[i];
	for (unsigned int i = 0; i < BENCH_BUCKETS; i++) {
		seen += count[i];
		if (seen && seen >= q * all)
			return (bucket_ns(i) + bucket_ns(i + 1)) / 2;
	}
	return 0;
}

/* The relay and the sink's queues are empty when nothing has come for 30 ms. */
static void drain(const struct bench *b)
{
	__u64 last, n = total_received(b);

	do {
		last = n;
		nap_ms(30);
		n = total_received(b);
	} while (n != last);
}

static void stop(struct worker *w, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		while (!w[i].done) {
			pthread_kill(w[i].thread, SIGUSR1);
			nap_ms(1);
		}
		pthread_join(w[i].thread, NULL);
		if (w[i].error)
			errx(1, "generator: %s", strerror(w[i].error));
	}
}

static void start(struct bench *b, struct worker *w, unsigned int lanes, bool first)
{
	for (unsigned int i = 0; i < lanes; i++) {
		w[i] = (struct worker){ .b = b, .cpu = i, .first = first };
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			errx(1, "no thread");
	}
	/*
	 * Setting up live frames takes some 25 ms, not the same for each; measure only with all at
	 * work.
	 */
	for (unsigned int i = 0; i < lanes; i++)
		while (!w[i].done && !((volatile struct bench_lane *)&b->shared->lanes[i])->sent)
			nap_ms(1);
}

static void prepare(struct bench *b, unsigned int flows, unsigned int lanes, double rate)
{
	struct bench_shared *s = b->shared;
	__u32 round = 0;

	/*
	 * Streams go on where the last run left them: one that began anew would look like packets
	 * that come late.
	 */
	for (unsigned int i = 0; i < BENCH_MAX_CPUS; i++)
		if (s->lanes[i].round >= round)
			round = s->lanes[i].round + 1;
	memset(s->sinks, 0, sizeof(s->sinks));
	memset(s->lanes, 0, sizeof(s->lanes));
	s->flows = flows;
	for (unsigned int i = 0; i < lanes; i++) {
		s->lanes[i] =
			(struct bench_lane){ .first = i, .flow = i, .step = lanes, .round = round };
		if (rate > 0) {
			s->lanes[i].interval_ns = lanes * 1e9 / rate;
			s->lanes[i].next_ns = now_ns() + s->lanes[i].interval_ns * i / lanes;
		}
	}
}

/*
 * print_run - @sent and @received belong to the measured @seconds, all other figures to the whole
 * run.
 */
static void print_run(const struct bench *b, double seconds, __u64 sent, __u64 received)
{
	__u64 foreign = 0, wrong = 0, partial = 0, skipped = 0;

	for (int i = 0; i < BENCH_MAX_CPUS; i++) {
		foreign += b->shared->sinks[i].foreign;
		wrong += b->shared->sinks[i].wrong;
		partial += b->shared->sinks[i].partial;
		skipped += b->shared->lanes[i].skipped_ns;
	}
	printf("{\"seconds\": %.6f, \"sent_rate\": %.1f, \"rate\": %.1f, \"sent\": %llu, "
	       "\"received\": %llu, ",
	       seconds, sent / seconds, received / seconds, total_sent(b), total_received(b));
	printf("\"foreign\": %llu, \"wrong\": %llu, \"partial\": %llu, \"skipped_ms\": %.3f, ",
	       foreign, wrong, partial, skipped / 1e6);
	printf("\"p50_ns\": %llu, \"p99_ns\": %llu}\n", quantile(b, 0.50), quantile(b, 0.99));
}

/*
 * command_run - "run FLOWS LANES RATE MS STAMP VERIFY FIRST": send for MS milliseconds, RATE
 * packets a second in all (0: no pacing), from LANES CPUs; with FIRST before all other work of
 * these CPUs.
 */
static void command_run(struct bench *b, char *args)
{
	unsigned int flows, lanes, ms, stamp, verify, first;
	struct worker w[BENCH_MAX_CPUS];
	__u64 t, sent, received;
	double rate, seconds;

	if (sscanf(args, "%u %u %lf %u %u %u %u", &flows, &lanes, &rate, &ms, &stamp, &verify,
		   &first) != 7 ||
	    !flows || flows > BENCH_MAX_FLOWS || !lanes || lanes > BENCH_MAX_CPUS || lanes > flows)
		errx(1, "run: %s", args);
	b->shared->stamp = stamp;
	b->shared->verify = verify;
	prepare(b, flows, lanes, rate);
	start(b, w, lanes, first);
	t = now_ns();
	sent = total_sent(b);
	received = total_received(b);
	nap_ms(ms);
	seconds = (now_ns() - t) / 1e9;
	sent = total_sent(b) - sent;
	received = total_received(b) - received;
	stop(w, lanes);
	drain(b);
	print_run(b, seconds, sent, received);
}

static const struct {
	const char *name;
	void (*run)(struct bench *b, char *args);
} commands[] = {
	{ "frame", command_frame },
	{ "flows", command_flows },
	{ "input", command_input },
	{ "run", command_run },
};

static void serve(struct bench *b, char *line)
{
	char *args = strchr(line, ' ');

	line[strcspn(line, "\n")] = 0;
	if (args)
		*args++ = 0;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, line) == 0 && args) {
			commands[i].run(b, args);
			fflush(stdout);
			return;
		}
	errx(1, "unknown command: %s", line);
}

int main(int argc, char **argv)
{
	struct sigaction stop_action = { .sa_handler = on_stop };
	struct bench b = { .input = -1 };
	char line[512];

	if (argc != 9)
		errx(2,
		     "usage: traffic OBJECT GENERATOR-NETNS DEV RELAY-NETNS IN OUT SINK-NETNS DEV");
	sigaction(SIGUSR1, &stop_action, NULL);
	b.from = place_of(argv[2], argv[3]);
	b.in = place_of(argv[4], argv[5]);
	b.out = place_of(argv[4], argv[6]);
	b.to = place_of(argv[7], argv[8]);
	load(&b, argv[1]);
	attach(&b.to, b.sink);
	while (fgets(line, sizeof(line), stdin))
		serve(&b, line);
	bpf_object__close(b.obj);
	return 0;
}

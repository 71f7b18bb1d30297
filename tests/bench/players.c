/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * players.c - has a relay play a prompt in many calls at once and listens to all of them.
 *
 *     players RELAY-NETNS CONTROL-PORT PID LISTENER-NETNS ADDRESS OTHER COUNT SECONDS PROMPT
 *             PTIME-MS EAR INTERFACE RELAY-INTERFACE
 *
 * All calls are to one port at ADDRESS in the listener's namespace. The program EAR notes the time
 * of each packet at INTERFACE; streams are told apart by SSRC. A stream's schedule is a straight
 * line of packets PTIME-MS apart, as late as it can be with no packet before it. The error of a
 * packet is its distance behind the schedule. Then a bare sender puts as many packets into a ring
 * of its own at RELAY-INTERFACE, for comparison. One line of JSON on stdout.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "ear.h"
#include "net/ring.h"

#define MAX_PLAYERS 10000
#define MAX_ERRORS 20000000
#define SLOTS 32768    /* of the table of SSRCs, a power of two */
#define BARE_BATCH 128 /* packets that one system call sends, as those of the relay */
#define NAP_NS (5 * NSEC_PER_MSEC)

struct stream {
	uint32_t ssrc, first_ts;
	uint16_t last_seq;
	int64_t first_ns; /* arrival */
	/* of (arrival - time stamp), against the first packet; 0 or less */
	int64_t earliest_ns;
	uint64_t packets, missing;
};

/* One packet, for the second look: how far it is from the first one's schedule. */
struct arrival {
	uint32_t stream;
	int32_t late_ns;
};

static struct {
	int control;
	struct ear *ear;
	uint64_t taken;
	unsigned int pid, count, ptime_ms;
	struct stream stream[SLOTS];
	struct arrival *arrival;
	size_t arrivals;
} b;

static void enter(const char *netns)
{
	int ns = open(netns, O_RDONLY | O_CLOEXEC);

	if (ns < 0 || setns(ns, CLONE_NEWNET))
		err(1, "%s", netns);
	close(ns);
}

/* A socket for commands to the relay of this network namespace. */
static int control_open(unsigned int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		err(1, "port %u", port);
	return fd;
}

/* Hear what comes in at an interface of this network namespace. */
static struct ear *ear_open(const char *path, const char *ifname)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS,
		    .ifindex = (int)if_nametoindex(ifname));
	LIBBPF_OPTS(bpf_tc_opts, opts);
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_map *map;
	struct ear *ear;
	int rc;

	if (!obj || bpf_object__load(obj))
		err(1, "%s", path);
	map = bpf_object__find_map_by_name(obj, ".bss.ear");
	ear = map ? mmap(NULL, sizeof(*ear), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map),
			 0)
		  : MAP_FAILED;
	if (ear == MAP_FAILED)
		err(1, "%s: memory", path);
	opts.prog_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "ear_hear"));
	rc = bpf_tc_hook_create(&hook);
	if (!rc)
		rc = bpf_tc_attach(&hook, &opts);
	if (rc)
		errx(1, "%s: %s", ifname, strerror(-rc));
	return ear;
}

/* The interface's hook, with the program, goes with it. */
static void ear_close(const char *ifname)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS,
		    .ifindex = (int)if_nametoindex(ifname));

	bpf_tc_hook_destroy(&hook);
}

/* ---- listening ---- */

static struct stream *stream_of(uint32_t ssrc)
{
	uint32_t i = ssrc * 2654435761u % SLOTS;

	while (b.stream[i].packets && b.stream[i].ssrc != ssrc)
		i = (i + 1) % SLOTS;
	return &b.stream[i];
}

static void hear(const struct ear_packet *p, uint16_t seq)
{
	struct stream *s = stream_of(p->ssrc);
	int64_t late;

	if (!s->packets) {
		*s = (struct stream){ .ssrc = p->ssrc,
				      .first_ts = p->timestamp,
				      .last_seq = seq - 1,
				      .first_ns = (int64_t)p->at_ns };
	}
	late = (int64_t)p->at_ns - s->first_ns - (int64_t)(p->timestamp - s->first_ts) * 125000;
	s->missing += (uint16_t)(seq - s->last_seq - 1);
	s->last_seq = seq;
	s->earliest_ns = MIN(s->earliest_ns, late);
	s->packets++;
	if (b.arrivals < MAX_ERRORS)
		b.arrival[b.arrivals++] =
			(struct arrival){ s - b.stream, MAX(MIN(late, INT32_MAX), INT32_MIN) };
}

/* Take the packets that were heard since the last call. */
static void take(bool counts)
{
	uint64_t heard = __atomic_load_n(&b.ear->heard, __ATOMIC_ACQUIRE);
	struct ear_packet *p;
	uint32_t seq;

	if (heard - b.taken > EAR_PLACES)
		errx(1, "%llu packets at once are too many for this bench",
		     (unsigned long long)(heard - b.taken));
	for (; b.taken < heard; b.taken++) {
		p = &b.ear->packet[b.taken % EAR_PLACES];
		while (!((seq = __atomic_load_n(&p->seq, __ATOMIC_ACQUIRE)) & EAR_WRITTEN))
			sched_yield();
		if (counts)
			hear(p, seq);
		__atomic_store_n(&p->seq, 0, __ATOMIC_RELAXED);
	}
}

/* ---- control ---- */

/* One command and its reply, which must not be a refusal. */
static void command(const char *text)
{
	static unsigned int cookie;
	struct pollfd p = { .fd = b.control, .events = POLLIN };
	char buf[1024];
	ssize_t len = snprintf(buf, sizeof(buf), "%d_%u %s", getpid(), ++cookie, text);

	if (send(b.control, buf, len, 0) < 0 || poll(&p, 1, 5000) != 1)
		err(1, "no answer to: %s", text);
	len = recv(b.control, buf, sizeof(buf) - 1, 0);
	buf[MAX(len, 0)] = 0;
	if (strstr(buf, " E"))
		errx(1, "%s: %s", text, buf);
}

static void calls_begin(const char *address, const char *other, const char *prompt)
{
	unsigned int i;
	char text[900];

	for (i = 0; i < b.count; i++) {
		snprintf(text, sizeof(text), "U play-%u %s %u A", i, address, EAR_PORT);
		command(text);
		snprintf(text, sizeof(text), "L play-%u %s %u A B", i, other, EAR_PORT);
		command(text);
		snprintf(text, sizeof(text), "P-1 play-%u %s 0 A B", i, prompt);
		command(text);
		take(false); /* those that play already */
	}
}

static void calls_end(void)
{
	unsigned int i;
	char text[100];

	for (i = 0; i < b.count; i++) {
		snprintf(text, sizeof(text), "D play-%u A B", i);
		command(text);
		take(false);
	}
}

static void listen_for(double seconds, bool counts)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	uint64_t until = clock_now() + (uint64_t)(seconds * NSEC_PER_SEC);

	while (clock_now() < until) {
		take(counts);
		nanosleep(&nap, NULL);
	}
	take(counts);
}

/* CPU time of the relay, all threads. */
static uint64_t cpu_ns(void)
{
	char path[300];
	struct dirent *e;
	uint64_t sum = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%u/task", b.pid);
	d = opendir(path);
	if (!d)
		err(1, "%s", path);
	while ((e = readdir(d))) {
		unsigned long long ns = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%u/task/%s/schedstat", b.pid, e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (f && fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	closedir(d);
	return sum;
}

/* ---- the bare ring ---- */

/*
 * CPU time of a sender that does nothing but put as many packets into a ring as the relay has sent,
 * a share of them each millisecond.
 */
static uint64_t bare_ns(const char *ifname, const char *address, double seconds)
{
	static const char payload[12 + 160] = "\x80";
	struct ring_packet p = { .data = { payload, sizeof(payload) } };
	struct ring_way way = { .ifindex = if_nametoindex(ifname), .mtu = 1500, .ttl = 64 };
	struct timespec next, cpu;
	uint64_t due = 0, sent = 0, ms;
	struct ring *ring;

	memset(way.macs, 0xff, 6);
	way.macs[6] = 2;
	if (addr_parse(&p.dest, ADDR_IP4, address, strlen(address)) || ring_new(&ring))
		err(1, "ring");
	p.source = addr_with_port(p.dest, 10000);
	p.dest.port = EAR_PORT;
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (ms = 0; ms < (uint64_t)(seconds * 1000); ms++) {
		for (due += b.count; sent * b.ptime_ms < due; sent++) {
			if (!ring_put(ring, &way, &p))
				errx(1, "the ring is full");
			if ((sent + 1) % BARE_BATCH == 0)
				ring_send(ring, way.ifindex, ADDR_IP4, clock_now());
		}
		ring_send(ring, way.ifindex, ADDR_IP4, clock_now());
		take(false);
		next.tv_nsec += NSEC_PER_MSEC;
		if (next.tv_nsec >= (long)NSEC_PER_SEC) {
			next.tv_sec++;
			next.tv_nsec -= NSEC_PER_SEC;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	ring_free(ring);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	return (uint64_t)cpu.tv_sec * NSEC_PER_SEC + cpu.tv_nsec;
}

/* ---- what came of it ---- */

static int by_size(const void *x, const void *y)
{
	int32_t a = *(const int32_t *)x, c = *(const int32_t *)y;

	return a < c ? -1 : a > c;
}

/* Each packet against its stream's schedule; sorted. */
static int32_t *errors(void)
{
	int32_t *e = malloc((b.arrivals + 1) * sizeof(*e));
	size_t i;

	if (!e || !b.arrivals)
		errx(1, "nothing was heard");
	for (i = 0; i < b.arrivals; i++)
		e[i] = b.arrival[i].late_ns - b.stream[b.arrival[i].stream].earliest_ns;
	qsort(e, b.arrivals, sizeof(*e), by_size);
	return e;
}

static void report(uint64_t cpu, uint64_t bare, double seconds)
{
	const int32_t *e = errors();
	uint64_t players = 0, missing = 0;
	size_t i, n = b.arrivals;

	for (i = 0; i < SLOTS; i++) {
		players += b.stream[i].packets > 0;
		missing += b.stream[i].missing;
	}
	printf("{\"players\": %llu, \"packets\": %zu, \"expected\": %.0f, \"missing\": %llu, "
	       "\"cpu_share\": %.5f, \"bare_share\": %.5f, "
	       "\"p50_ns\": %d, \"p99_ns\": %d, \"p999_ns\": %d, \"max_ns\": %d}\n",
	       (unsigned long long)players, n, b.count * seconds * 1000 / b.ptime_ms,
	       (unsigned long long)missing, cpu / 1e9 / seconds, bare / 1e9 / seconds, e[n / 2],
	       e[n * 99 / 100], e[n * 999 / 1000], e[n - 1]);
}

int main(int argc, char **argv)
{
	double seconds;
	struct timespec before;
	uint64_t cpu, bare;

	if (argc != 14)
		errx(2, "see the first comment of players.c");
	b.pid = atoi(argv[3]);
	b.count = atoi(argv[7]);
	seconds = atof(argv[8]);
	b.ptime_ms = atoi(argv[10]);
	if (b.count < 1 || b.count > MAX_PLAYERS || b.ptime_ms < 1)
		errx(2, "1 to %u players", MAX_PLAYERS);
	b.arrival = calloc(MAX_ERRORS, sizeof(*b.arrival));
	if (!b.arrival)
		errx(1, "out of memory");
	enter(argv[1]);
	b.control = control_open(atoi(argv[2]));
	enter(argv[4]);
	b.ear = ear_open(argv[11], argv[12]);
	calls_begin(argv[5], argv[6], argv[9]);
	listen_for(1, false);
	cpu = cpu_ns();
	listen_for(seconds, true);
	cpu = cpu_ns() - cpu;
	calls_end();
	enter(argv[1]);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	bare = bare_ns(argv[13], argv[5], seconds) -
	       ((uint64_t)before.tv_sec * NSEC_PER_SEC + before.tv_nsec);
	enter(argv[4]);
	ear_close(argv[12]);
	report(cpu, bare, seconds);
	return 0;
}

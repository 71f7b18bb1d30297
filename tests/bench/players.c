/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * players.c - has a relay play a prompt in many calls at once and listens to all of them.
 *
 *     players RELAY-NETNS CONTROL-PORT PID LISTENER-NETNS ADDRESS OTHER COUNT SECONDS PROMPT
 * PTIME-MS
 *
 * All calls are to one port at ADDRESS in the listener's namespace, where the kernel stamps each
 * packet; streams are told apart by SSRC. A stream's schedule is a straight line of packets
 * PTIME-MS apart that lies so late that no packet is before its time; what a packet is behind it is
 * its error, and the listener's own delay is in it. One line of JSON on stdout.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"

#define LISTEN_PORT 4000
#define MAX_PLAYERS 10000
#define MAX_ERRORS 20000000
#define SLOTS 32768 /* of the table of SSRCs, a power of two */
#define RCVBUF (64 << 20)
#define BATCH 64
#define NAP_NS (5 * NSEC_PER_MSEC)

struct stream {
	uint32_t ssrc, first_ts, last_ts;
	uint16_t last_seq;
	int64_t first_ns, last_ns; /* arrival */
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
	int control, ear;
	unsigned int pid, count, ptime_ms;
	struct stream stream[SLOTS];
	struct arrival *arrival;
	size_t arrivals;
} b;

static int socket_in(const char *netns, const char *address, unsigned int port, bool connects)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int ns = open(netns, O_RDONLY | O_CLOEXEC), fd;

	if (ns < 0 || setns(ns, CLONE_NEWNET))
		err(1, "%s", netns);
	close(ns);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1 ||
	    (connects ? connect : bind)(fd, (struct sockaddr *)&a, sizeof(a)))
		err(1, "socket %s:%u", address, port);
	return fd;
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
		snprintf(text, sizeof(text), "U play-%u %s %u A", i, address, LISTEN_PORT);
		command(text);
		snprintf(text, sizeof(text), "L play-%u %s %u A B", i, other, LISTEN_PORT);
		command(text);
		snprintf(text, sizeof(text), "P-1 play-%u %s 0 A B", i, prompt);
		command(text);
	}
}

static void calls_end(void)
{
	unsigned int i;
	char text[100];

	for (i = 0; i < b.count; i++) {
		snprintf(text, sizeof(text), "D play-%u A B", i);
		command(text);
	}
}

/* ---- listening ---- */

static uint32_t word(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static struct stream *stream_of(uint32_t ssrc)
{
	uint32_t i = ssrc * 2654435761u % SLOTS;

	while (b.stream[i].packets && b.stream[i].ssrc != ssrc)
		i = (i + 1) % SLOTS;
	return &b.stream[i];
}

static void heard(const uint8_t *p, int64_t now_ns)
{
	struct stream *s = stream_of(word(p + 8));
	uint16_t seq = p[2] << 8 | p[3];
	int64_t late;

	if (!s->packets) {
		*s = (struct stream){ .ssrc = word(p + 8),
				      .first_ts = word(p + 4),
				      .last_seq = seq - 1,
				      .first_ns = now_ns };
	}
	late = now_ns - s->first_ns - (int64_t)(word(p + 4) - s->first_ts) * 125000;
	s->missing += (uint16_t)(seq - s->last_seq - 1);
	s->last_seq = seq;
	s->last_ts = word(p + 4);
	s->last_ns = now_ns;
	s->earliest_ns = MIN(s->earliest_ns, late);
	s->packets++;
	if (b.arrivals < MAX_ERRORS)
		b.arrival[b.arrivals++] =
			(struct arrival){ s - b.stream, MAX(MIN(late, INT32_MAX), INT32_MIN) };
}

static int64_t stamp_of(struct msghdr *msg)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	struct timespec t;

	if (!c || c->cmsg_type != SCM_TIMESTAMPNS)
		errx(1, "a packet without time of arrival");
	memcpy(&t, CMSG_DATA(c), sizeof(t));
	return (int64_t)t.tv_sec * (int64_t)NSEC_PER_SEC + t.tv_nsec;
}

/* Take the packets that have arrived. False: there are no more. */
static bool take_batch(bool counts)
{
	static uint8_t data[BATCH][2048];
	static struct {
		_Alignas(struct cmsghdr) char buf[64];
	} control[BATCH];
	struct iovec iov[BATCH];
	struct mmsghdr m[BATCH] = { 0 };
	int i, n;

	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ data[i], sizeof(data[i]) };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
						.msg_iovlen = 1,
						.msg_control = control[i].buf,
						.msg_controllen = sizeof(control[i].buf) };
	}
	n = recvmmsg(b.ear, m, BATCH, MSG_DONTWAIT, NULL);
	for (i = 0; i < n; i++)
		if (m[i].msg_len >= 12 && counts)
			heard(data[i], stamp_of(&m[i].msg_hdr));
	return n == BATCH;
}

/* Naps instead of waiting for packets: the kernel of the relay would wake it up for each. */
static void listen_for(double seconds, bool counts)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	uint64_t until = clock_now() + (uint64_t)(seconds * NSEC_PER_SEC);

	while (clock_now() < until) {
		while (take_batch(counts))
			;
		nanosleep(&nap, NULL);
	}
	while (take_batch(counts))
		;
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

static void report(uint64_t cpu, double seconds)
{
	const int32_t *e = errors();
	uint64_t players = 0, missing = 0;
	size_t i, n = b.arrivals;

	for (i = 0; i < SLOTS; i++) {
		players += b.stream[i].packets > 0;
		missing += b.stream[i].missing;
	}
	printf("{\"players\": %llu, \"packets\": %zu, \"expected\": %.0f, \"missing\": %llu, "
	       "\"cpu_share\": %.5f, "
	       "\"p50_ns\": %d, \"p99_ns\": %d, \"p999_ns\": %d, \"max_ns\": %d}\n",
	       (unsigned long long)players, n, b.count * seconds * 1000 / b.ptime_ms,
	       (unsigned long long)missing, cpu / 1e9 / seconds, e[n / 2], e[n * 99 / 100],
	       e[n * 999 / 1000], e[n - 1]);
}

int main(int argc, char **argv)
{
	const int size = RCVBUF, one = 1;
	double seconds;
	uint64_t cpu;

	if (argc != 11)
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
	b.control = socket_in(argv[1], "127.0.0.1", atoi(argv[2]), true);
	b.ear = socket_in(argv[4], argv[5], LISTEN_PORT, false);
	if (setsockopt(b.ear, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) ||
	    setsockopt(b.ear, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		err(1, "setsockopt");
	calls_begin(argv[5], argv[6], argv[9]);
	listen_for(1, false);
	cpu = cpu_ns();
	listen_for(seconds, true);
	cpu = cpu_ns() - cpu;
	calls_end();
	report(cpu, seconds);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.c - drives a relay's control channel over UDP and times it: calls are set up or deleted,
 * with a window of commands under way.
 *
 *     control rtpp|ng HOST PORT setup|delete|record|unrecord|clear|probe FIRST COUNT WINDOW
 * CALLER-IP CALLEE-IP FIRST-PORT [FILE]
 *
 * probe is a V every 5 ms until standard input ends (rtpp only): the waits for the replies. clear is X (rtpp only): the longest wait for a reply to it and to a V every 5 ms for two seconds.
 * record is for what the caller says, with rtpengine for what both say. Call n's parties signal
 * port FIRST-PORT + 2 * n at their addresses; each address has the ports of CALLS_A_HOST calls, and
 * further calls are those of the next address. FILE gets, for each call, the line "PORT RELAY-PORT
 * CALLER RELAY CALLEE", addresses as numbers: what the caller sends from and to, and where it
 * arrives. One line of JSON on stdout. Requests are repeated after one
 * second without reply, as a proxy does; a relay that refuses a command is counted, not forgiven.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

#define MAX_CALLS 100000
#define CALLS_A_HOST 30000
#define MAX_TRIES 10
#define MAX_PROBES 1000000

enum { CREATE, COMPLETE, DELETE, RECORD, UNRECORD };

/* What is one command for each call. */
static const struct {
	const char *name;
	int step;
} actions[] = {
	{ "delete", DELETE },
	{ "record", RECORD },
	{ "unrecord", UNRECORD },
};

struct control {
	const struct protocol *protocol;
	in_addr_t caller, callee; /* of the first calls; host byte order */
	unsigned int first_port;
	unsigned int run; /* makes cookies of two runs differ */
	int fd;
	unsigned int window;
	unsigned int commands, errors, repeats;
	unsigned int relay_port[MAX_CALLS]; /* of the caller's leg */
	in_addr_t relay[MAX_CALLS];	    /* of the caller's leg; rtpp only */
};

static const char *host_text(in_addr_t first, unsigned int n)
{
	struct in_addr a = { htonl(first + n / CALLS_A_HOST) };

	return inet_ntoa(a);
}

static unsigned int port_of(const struct control *c, unsigned int n)
{
	return c->first_port + 2 * (n % CALLS_A_HOST);
}

/*
 * A control protocol. request() writes step @step of call @n into @buf and returns its length;
 * reply() returns the port in a reply, 0 where a successful one has none, or -1 for a refusal; it
 * sets the relay's address if the reply has one.
 */
struct protocol {
	const char *name;
	size_t (*request)(const struct control *c, char *buf, size_t size, unsigned int n,
			  int step);
	int (*reply)(const char *text, int step, in_addr_t *relay);
};

static size_t rtpp_request(const struct control *c, char *buf, size_t size, unsigned int n,
			   int step)
{
	unsigned int port = port_of(c, n);

	switch (step) {
	case CREATE:
		return snprintf(buf, size, "U bench-%u@example.net %s %u from%u;1", n,
				host_text(c->caller, n), port, n);
	case COMPLETE:
		return snprintf(buf, size, "L bench-%u@example.net %s %u from%u;1 to%u;1", n,
				host_text(c->callee, n), port, n, n);
	case RECORD:
		return snprintf(buf, size, "R bench-%u@example.net from%u;1 to%u;1", n, n, n);
	case UNRECORD:
		return snprintf(buf, size, "N bench-%u@example.net from%u;1 to%u;1", n, n, n);
	default:
		return snprintf(buf, size, "D bench-%u@example.net from%u to%u", n, n, n);
	}
}

static int rtpp_reply(const char *text, int step, in_addr_t *relay)
{
	unsigned int port;
	char host[32];

	if (sscanf(text, "%u %31s", &port, host) == 2)
		*relay = ntohl(inet_addr(host));
	if (sscanf(text, "%u", &port) != 1 || (step < DELETE && (port == 0 || port > 65535)))
		return -1;
	return port;
}

static size_t put_string(char *buf, size_t size, const char *s)
{
	return snprintf(buf, size, "%zu:%s", strlen(s), s);
}

static size_t ng_request(const struct control *c, char *buf, size_t size, unsigned int n, int step)
{
	static const char *const names[] = { "offer", "answer", "delete", "start recording",
					     "stop recording" };
	char call[64], from[32], to[32], sdp[256];
	const char *party = host_text(step == CREATE ? c->caller : c->callee, n);
	const char *fields[] = { "command", names[step], "call-id", call,  "from-tag",
				 from,	    "to-tag",	 to,	    "sdp", sdp };
	size_t n_fields = step < DELETE ? 10 : step == DELETE ? 6 : 4;
	size_t len = 0;

	snprintf(call, sizeof(call), "bench-%u@example.net", n);
	snprintf(from, sizeof(from), "from%u", n);
	snprintf(to, sizeof(to), "to%u", n);
	snprintf(sdp, sizeof(sdp),
		 "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %u RTP/AVP "
		 "0\r\n",
		 party, party, port_of(c, n));
	buf[len++] = 'd';
	for (size_t i = 0; i < n_fields; i += 2) {
		if (step == CREATE && strcmp(fields[i], "to-tag") == 0)
			continue;
		len += put_string(buf + len, size - len, fields[i]);
		len += put_string(buf + len, size - len, fields[i + 1]);
	}
	buf[len++] = 'e';
	buf[len] = 0;
	return len;
}

static int ng_reply(const char *text, int step, in_addr_t *relay)
{
	const char *m = strstr(text, "m=audio ");

	(void)relay;
	if (!strstr(text, "6:result2:ok"))
		return -1;
	if (step >= DELETE)
		return 0;
	return m ? atoi(m + 8) : -1;
}

static const struct protocol protocols[] = {
	{ "rtpp", rtpp_request, rtpp_reply },
	{ "ng", ng_request, ng_reply },
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static void ask(struct control *c, unsigned int n, int step)
{
	char buf[1024];
	size_t len = snprintf(buf, sizeof(buf), "%u_%u_%d ", c->run, n, step);

	len += c->protocol->request(c, buf + len, sizeof(buf) - len, n, step);
	if (send(c->fd, buf, len, 0) < 0 && errno != ECONNREFUSED)
		err(1, "send");
}

enum { SILENCE = -1, STRAY = -2 };

/*
 * take - one reply: the call it is for, SILENCE when nothing came within a second, STRAY when it is
 * a late copy.
 */
static int take(struct control *c, int step)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	unsigned int run, n;
	char buf[4096];
	int got_step, at, port;
	ssize_t len;

	len = recv(c->fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	if (len < 0 && errno == EAGAIN && poll(&p, 1, 1000) == 1)
		len = recv(c->fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	if (len <= 0) {
		poll(NULL, 0, errno == ECONNREFUSED ? 100 : 0);
		return SILENCE;
	}
	buf[len] = 0;
	if (sscanf(buf, "%u_%u_%d %n", &run, &n, &got_step, &at) != 3 || run != c->run ||
	    got_step != step || n >= MAX_CALLS)
		return STRAY;
	port = c->protocol->reply(buf + at, step, &c->relay[n]);
	if (port < 0 && !c->errors++)
		warnx("refused: %s", buf);
	c->relay_port[n] = port < 0 ? 0 : port;
	return n;
}

/* step_all - one command for each call first … first + count - 1; returns the seconds it took. */
static double step_all(struct control *c, unsigned int first, unsigned int count, int step)
{
	static bool answered[MAX_CALLS];
	unsigned int oldest = first, next = first, under_way = 0, silent = 0;
	uint64_t start = now_ns();
	int n;

	memset(answered, 0, sizeof(answered));
	while (oldest < first + count) {
		while (under_way < c->window && next < first + count) {
			ask(c, next++, step);
			under_way++;
		}
		n = take(c, step);
		if (n >= 0 && !answered[n]) {
			answered[n] = true;
			under_way--;
			silent = 0;
			c->commands++;
		} else if (n == SILENCE) {
			if (++silent > MAX_TRIES)
				errx(1, "no reply to %u commands", under_way);
			for (unsigned int i = oldest; i < next; i++)
				if (!answered[i]) {
					ask(c, i, step);
					c->repeats++;
				}
		}
		while (oldest < next && answered[oldest])
			oldest++;
	}
	return (now_ns() - start) / 1e9;
}

/* One command, and the nanoseconds until its reply. */
static uint64_t wait_of(struct control *c, const char *command)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	uint64_t start = now_ns();
	char buf[256], cookie[32];
	int len = snprintf(cookie, sizeof(cookie), "%u_%u", c->run, ++c->commands);

	len = snprintf(buf, sizeof(buf), "%s %s", cookie, command);
	if (send(c->fd, buf, len, 0) < 0)
		err(1, "send");
	do {
		if (poll(&p, 1, 5000) != 1)
			errx(1, "no reply to %s", command);
		len = recv(c->fd, buf, sizeof(buf) - 1, 0);
		buf[MAX(len, 0)] = 0;
	} while (strncmp(buf, cookie, strlen(cookie)) || buf[strlen(cookie)] != ' ');
	return now_ns() - start;
}

static void clear(struct control *c)
{
	uint64_t x_ns = wait_of(c, "X"), end = now_ns() + 2 * NSEC_PER_SEC, worst = 0;

	while (now_ns() < end) {
		uint64_t ns = wait_of(c, "V");

		worst = MAX(worst, ns);
		poll(NULL, 0, 5);
	}
	printf("{\"x_ns\": %llu, \"v_ns\": %llu, \"commands\": %u}\n", (unsigned long long)x_ns,
	       (unsigned long long)worst, c->commands);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void probe(struct control *c)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	static uint64_t waits[MAX_PROBES];
	unsigned int n = 0, late = 0;

	do {
		waits[n] = wait_of(c, "V");
		late += waits[n++] > 5 * NSEC_PER_MSEC;
	} while (n < MAX_PROBES && poll(&in, 1, 5) == 0);
	qsort(waits, n, sizeof(*waits), by_value);
	printf("{\"count\": %u, \"median_ms\": %.3f, \"p99_ms\": %.3f, \"worst_ms\": %.3f, "
	       "\"over_5_ms\": %u}\n",
	       n, waits[n / 2] / 1e6, waits[n * 99ull / 100] / 1e6, waits[n - 1] / 1e6, late);
}

static void write_ports(const struct control *c, const char *path, unsigned int first,
			unsigned int count)
{
	FILE *f = fopen(path, "we");

	if (!f)
		err(1, "%s", path);
	for (unsigned int n = first; n < first + count; n++)
		fprintf(f, "%u %u %u %u %u\n", port_of(c, n), c->relay_port[n],
			c->caller + n / CALLS_A_HOST, c->relay[n], c->callee + n / CALLS_A_HOST);
	if (fclose(f))
		err(1, "%s", path);
}

static int connect_to(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, host, &a.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)))
		err(1, "%s:%s", host, port);
	return fd;
}

int main(int argc, char **argv)
{
	static struct control c;
	unsigned int first, count;
	double create, complete;

	if (argc < 11)
		errx(2, "usage: control rtpp|ng HOST PORT setup|delete|record|unrecord|clear|probe "
			"FIRST "
			"COUNT WINDOW CALLER CALLEE FIRST-PORT [FILE]");
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (strcmp(argv[1], protocols[i].name) == 0)
			c.protocol = &protocols[i];
	first = atoi(argv[5]);
	count = atoi(argv[6]);
	c.window = atoi(argv[7]);
	c.caller = ntohl(inet_addr(argv[8]));
	c.callee = ntohl(inet_addr(argv[9]));
	c.first_port = atoi(argv[10]);
	c.run = getpid();
	if (!c.protocol || !c.window || !count || first + count > MAX_CALLS ||
	    c.first_port + 2 * MIN(first + count, CALLS_A_HOST) > 65536)
		errx(2, "control: arguments");
	c.fd = connect_to(argv[2], argv[3]);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(argv[4], actions[i].name))
			continue;
		create = step_all(&c, first, count, actions[i].step);
		printf("{\"commands\": %u, \"seconds\": %.6f, \"errors\": %u, \"repeats\": %u}\n",
		       c.commands, create, c.errors, c.repeats);
		return 0;
	}
	if (strcmp(argv[4], "clear") == 0) {
		clear(&c);
		return 0;
	}
	if (strcmp(argv[4], "probe") == 0) {
		probe(&c);
		return 0;
	}
	create = step_all(&c, first, count, CREATE);
	complete = step_all(&c, first, count, COMPLETE);
	if (argc > 11)
		write_ports(&c, argv[11], first, count);
	printf("{\"commands\": %u, \"seconds\": %.6f, \"create_seconds\": %.6f, "
	       "\"complete_seconds\": %.6f, "
	       "\"errors\": %u, \"repeats\": %u}\n",
	       c.commands, create + complete, create, complete, c.errors, c.repeats);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_listen.c - control sockets as their peers see them: framing, order, back pressure, cookies,
 * socket files.
 *
 * Server and peers share one thread: settle() turns the loop until a condition holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../../daemon/control/listen.c"

#define PATIENCE_NS (10 * NSEC_PER_SEC)

/* A listen of its own for each test, in a directory of its own. */
struct bench {
	struct event_base *base;
	struct listen *listen;
	char dir[32], path[64], spec[80];
	unsigned int runs, duplicates;
	size_t last_len;
	struct addr last_peer;
	char last[CONN_LINE_MAX + 1];
};

/*
 * Leading separators do not count. The answer to "big" is 1024 bytes, to an empty line E5, and to
 * any other line the line itself, cut at 1000 bytes.
 */
static size_t bench_run(void *arg, const char *line, size_t len, const struct addr *peer,
			uint64_t now_ns, char *reply)
{
	struct bench *b = arg;

	assert_true(now_ns > 0);
	for (; len && (*line == ' ' || *line == '\t' || *line == '\n'); line++)
		len--;
	b->runs++;
	b->last_len = len;
	b->last_peer = *peer;
	memcpy(b->last, line, len);
	if (len == 0)
		return (size_t)sprintf(reply, "E5\n");
	if (len == 3 && !memcmp(line, "big", 3)) {
		memset(reply, 'x', CONN_REPLY_MAX - 1);
		reply[CONN_REPLY_MAX - 1] = '\n';
		return CONN_REPLY_MAX;
	}
	len = MIN(len, 1000);
	memcpy(reply, line, len);
	reply[len] = '\n';
	return len + 1;
}

static void bench_duplicate(void *arg)
{
	((struct bench *)arg)->duplicates++;
}

static void bench_eof(void *arg, bool must_exit)
{
	(void)arg, (void)must_exit;
	fail_msg("no standard input here");
}

static struct listen_opts bench_opts(struct bench *b)
{
	return (struct listen_opts){
		.run = bench_run,
		.duplicate = bench_duplicate,
		.eof = bench_eof,
		.arg = b,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.mode = -1,
	};
}

static void bench_add(struct bench *b, const char *spec)
{
	char err[512] = "";

	if (listen_add(b->listen, spec, false, err, sizeof(err)) < 0)
		fail_msg("%s", err);
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct listen_opts opts;

	assert_non_null(b);
	opts = bench_opts(b);
	strcpy(b->dir, "/tmp/rtpx-listen-XXXXXX");
	if (!mkdtemp(b->dir))
		return -1;
	sprintf(b->path, "%s/sock", b->dir);
	b->base = event_base_new();
	*state = b;
	return listen_new(&b->listen, &opts);
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	listen_free(b->listen);
	event_base_free(b->base);
	unlink(b->path);
	if (rmdir(b->dir) < 0)
		return -1;
	free(b);
	return 0;
}

static void turn(struct bench *b)
{
	event_base_loop(b->base, EVLOOP_NONBLOCK);
}

static struct bench *serve(void **state, const char *scheme)
{
	struct bench *b = *state;

	sprintf(b->spec, "%s%s", scheme, b->path);
	bench_add(b, b->spec);
	assert_int_equal(listen_start(b->listen, b->base, 0), 0);
	return b;
}

/* Serve an internet socket on a port of the kernel's choice and return that port. */
static uint16_t serve_inet(void **state, const char *spec)
{
	struct bench *b = *state;
	const char *text;

	bench_add(b, spec);
	assert_int_equal(listen_start(b->listen, b->base, 0), 0);
	text = listen_describe(b->listen, 0);
	return (uint16_t)atoi(strrchr(text, ':') + 1);
}

static int dial_unix(const struct bench *b)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(sun.sun_path, b->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static int dial_inet(int type, const char *host, uint16_t port)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = type }, *a;
	char service[8];
	int fd;

	sprintf(service, "%u", port);
	assert_int_equal(getaddrinfo(host, service, &hints, &a), 0);
	fd = socket(a->ai_family, type, 0);
	assert_int_equal(connect(fd, a->ai_addr, a->ai_addrlen), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	freeaddrinfo(a);
	return fd;
}

static void put(int fd, const void *p, size_t len)
{
	assert_int_equal(send(fd, p, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void puts_to(int fd, const char *s)
{
	put(fd, s, strlen(s));
}

/* Read until @want bytes or the end have come. Returns the bytes read, -1 at a reset. */
static ssize_t get(struct bench *b, int fd, char *buf, size_t want)
{
	uint64_t until = clock_now() + PATIENCE_NS;
	size_t have = 0;

	while (have < want && clock_now() < until) {
		ssize_t n;

		turn(b);
		n = recv(fd, buf + have, want - have, 0);
		if (n == 0)
			break;
		if (n < 0 && errno != EAGAIN)
			return -1;
		have += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)have;
}

static void expect(struct bench *b, int fd, const char *text)
{
	char buf[4096];
	ssize_t n = get(b, fd, buf, strlen(text));

	if (n != (ssize_t)strlen(text) || memcmp(buf, text, (size_t)n))
		fail_msg("expected \"%s\", got %zd bytes \"%.*s\"", text, n, n > 0 ? (int)n : 0,
			 buf);
}

static void expect_end(struct bench *b, int fd)
{
	uint64_t until = clock_now() + PATIENCE_NS;
	char byte;

	for (;;) {
		ssize_t n;

		turn(b);
		n = recv(fd, &byte, 1, 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return;
		assert_true(n < 0 && clock_now() < until);
	}
}

static void settle_runs(struct bench *b, unsigned int runs)
{
	uint64_t until = clock_now() + PATIENCE_NS;

	while (b->runs < runs && clock_now() < until)
		turn(b);
	assert_int_equal(b->runs, runs);
}

/* No byte may come within some turns of the loop. */
static void expect_silence(struct bench *b, int fd)
{
	char byte;

	for (int i = 0; i < 20; i++) {
		turn(b);
		assert_true(recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN);
	}
}

/* ---- streams ---- */

static void one_read_is_one_command(void **state)
{
	struct bench *b = serve(state, "unix:");
	int fd = dial_unix(b);

	puts_to(fd, "V\nV\n");
	expect(b, fd, "V\nV\n\n");
	expect_end(b, fd);
	assert_int_equal(b->runs, 1);
	assert_int_equal(b->last_len, 4);
	assert_int_equal(b->last_peer.family, ADDR_NONE);
	close(fd);
}

static void bare_path_is_unix(void **state)
{
	struct bench *b = serve(state, "");
	int fd = dial_unix(b);

	puts_to(fd, "V");
	expect(b, fd, "V\n");
	expect_end(b, fd);
	close(fd);
	assert_memory_equal(listen_describe(b->listen, 0), "unix:/", 6);
	assert_null(listen_describe(b->listen, 1));
}

static void half_closed_peer_is_answered(void **state)
{
	struct bench *b = serve(state, "unix:");
	int fd = dial_unix(b);

	puts_to(fd, "V");
	shutdown(fd, SHUT_WR);
	expect(b, fd, "V\n");
	expect_end(b, fd);
	close(fd);
}

static void silent_peer_is_kept(void **state)
{
	struct bench *b = serve(state, "unix:");
	int fd = dial_unix(b);

	expect_silence(b, fd);
	shutdown(fd, SHUT_WR);
	expect_end(b, fd);
	assert_int_equal(b->runs, 0);
	close(fd);
}

static void lines_are_commands(void **state)
{
	struct bench *b = serve(state, "cunix:");
	int fd = dial_unix(b);

	puts_to(fd, "a\nbb\nccc\n");
	expect(b, fd, "a\nbb\nccc\n");
	puts_to(fd, "V");
	expect_silence(b, fd);
	puts_to(fd, "\n\nW\r\n");
	expect(b, fd, "V\nE5\nW\r\n");
	put(fd, "x\0y\n", 4);
	expect(b, fd, "x");
	assert_int_equal(b->last_len, 3);
	close(fd);
}

static void unfinished_line_is_dropped_at_the_end(void **state)
{
	struct bench *b = serve(state, "cunix:");
	int fd = dial_unix(b);

	puts_to(fd, "a\nunfinished");
	shutdown(fd, SHUT_WR);
	expect(b, fd, "a\n");
	expect_end(b, fd);
	assert_int_equal(b->runs, 1);
	close(fd);
}

static void longest_line_is_8191_bytes(void **state)
{
	struct bench *b = serve(state, "cunix:");
	char line[CONN_LINE_MAX + 1], buf[1001];
	int fd = dial_unix(b);

	memset(line, 'x', sizeof(line));
	line[CONN_LINE_MAX] = '\n';
	put(fd, line, sizeof(line));
	assert_int_equal(get(b, fd, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(b->last_len, CONN_LINE_MAX);
	line[CONN_LINE_MAX] = 'x';
	put(fd, line, sizeof(line));
	expect_end(b, fd);
	assert_int_equal(b->runs, 1);
	close(fd);
}

/* A peer closes both directions right after its commands: none is lost, in any number. */
static void data_before_hang_up_are_executed(void **state)
{
	struct bench *b = serve(state, "cunix:");
	char lines[2 * 10000];
	int fd;

	for (size_t i = 0; i < sizeof(lines); i += 2)
		memcpy(lines + i, "n\n", 2);
	for (int i = 0; i < 200; i++) {
		fd = dial_unix(b);
		puts_to(fd, "n\n");
		close(fd);
		settle_runs(b, (unsigned int)i + 1);
	}
	b->runs = 0;
	fd = dial_unix(b);
	put(fd, lines, sizeof(lines));
	close(fd);
	settle_runs(b, sizeof(lines) / 2);
}

/*
 * A slow peer gets only as many commands executed as its buffers hold. Other peers are served, and
 * in the end the slow one has every reply.
 */
static void slow_peer_delays_nobody(void **state)
{
	enum { COMMANDS = 20000 };
	struct bench *b = serve(state, "cunix:");
	int slow = dial_unix(b), other = dial_unix(b);
	size_t sent = 0, read = 0;
	unsigned int held;
	char buf[65536];

	for (int i = 0; i < 2000 && sent < COMMANDS * 4; i++) {
		if (send(slow, "big\n", 4, MSG_NOSIGNAL) == 4)
			sent += 4;
		turn(b);
	}
	for (int i = 0; i < 1000; i++)
		turn(b);
	held = b->runs;
	assert_in_range(held, 64, 1500);
	puts_to(other, "quick\n");
	expect(b, other, "quick\n");
	while (read < COMMANDS * (size_t)CONN_REPLY_MAX) {
		ssize_t n;

		if (sent < COMMANDS * 4 && send(slow, "big\n", 4, MSG_NOSIGNAL) == 4)
			sent += 4;
		turn(b);
		n = recv(slow, buf, sizeof(buf), 0);
		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		for (ssize_t i = 0; i < n; i++, read++)
			assert_int_equal(buf[i],
					 read % CONN_REPLY_MAX == CONN_REPLY_MAX - 1 ? '\n' : 'x');
	}
	assert_int_equal(b->runs, COMMANDS + 1);
	close(slow);
	close(other);
}

static void two_hundred_peers_at_once(void **state)
{
	struct bench *b = serve(state, "cunix:");
	char text[32];
	int fds[200];

	for (int i = 0; i < 200; i++) {
		fds[i] = dial_unix(b);
		turn(b);
	}
	for (int i = 199; i >= 0; i--) {
		sprintf(text, "peer %d\n", i);
		puts_to(fds[i], text);
		expect(b, fds[i], text);
	}
	for (int i = 0; i < 200; i++)
		close(fds[i]);
}

static void tcp_tells_the_peer(void **state)
{
	uint16_t port = serve_inet(state, "tcp:127.0.0.1:0");
	int fd = dial_inet(SOCK_STREAM, "127.0.0.1", port);
	struct bench *b = *state;

	puts_to(fd, "V\n");
	expect(b, fd, "V\n");
	assert_int_equal(b->last_peer.family, ADDR_IP4);
	assert_memory_equal(b->last_peer.ip, "\x7f\0\0\1", 4);
	close(fd);
}

static void tcp6_serves(void **state)
{
	uint16_t port = serve_inet(state, "tcp6:::1:0");
	int fd = dial_inet(SOCK_STREAM, "::1", port);
	struct bench *b = *state;

	puts_to(fd, "V\n");
	expect(b, fd, "V\n");
	assert_int_equal(b->last_peer.family, ADDR_IP6);
	close(fd);
}

/*
 * Media ports have taken every descriptor: commands run one at a time, and the loop does not spin.
 */
static void control_survives_without_descriptors(void **state)
{
	enum { PEERS = 12, FILES = 64 };
	struct bench *b = serve(state, "unix:");
	struct rlimit old, few;
	int fds[PEERS], eaten[FILES], n = 0;

	getrlimit(RLIMIT_NOFILE, &old);
	for (int i = 0; i < PEERS; i++)
		fds[i] = dial_unix(b);
	few = (struct rlimit){ FILES, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < FILES && (eaten[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	assert_int_equal(errno, EMFILE);
	for (int i = 0; i < 100; i++)
		turn(b);
	assert_int_equal(b->listen->n_peers, ACCEPTOR_SPARES);
	for (int i = 0; i < PEERS; i++) {
		puts_to(fds[i], "V");
		expect(b, fds[i], "V\n");
		expect_end(b, fds[i]);
	}
	while (n-- > 0)
		close(eaten[n]);
	setrlimit(RLIMIT_NOFILE, &old);
	for (int i = 0; i < PEERS; i++)
		close(fds[i]);
}

/* silence - let @seconds pass for all peers. */
static void silence(struct bench *b, unsigned int seconds)
{
	struct peer *p;

	TAILQ_FOREACH(p, &b->listen->silent, list)
	p->active_ns -= seconds * NSEC_PER_SEC;
	TAILQ_FOREACH(p, &b->listen->spoke, list)
	p->active_ns -= seconds * NSEC_PER_SEC;
}

static void sweep(struct bench *b)
{
	event_active(b->listen->sweep, EV_TIMEOUT, 0);
	turn(b);
}

/* A peer that sends no command for a minute is closed; a peer that has sent one stays. */
static void silent_peers_end(void **state)
{
	struct bench *b = serve(state, "cunix:");
	int talker = dial_unix(b), mute = dial_unix(b), half = dial_unix(b);

	puts_to(talker, "V\n");
	expect(b, talker, "V\n");
	puts_to(half, "V without an end");
	turn(b);
	assert_int_equal(b->listen->n_peers, 3);
	silence(b, SILENT_S - 1);
	sweep(b);
	assert_int_equal(b->listen->n_peers, 3);
	silence(b, 1);
	sweep(b);
	expect_end(b, mute);
	close(half);
	assert_int_equal(b->listen->n_peers, 1);
	silence(b, 100000);
	sweep(b);
	puts_to(talker, "V\n");
	expect(b, talker, "V\n");
	close(talker);
	close(mute);
}

/*
 * At the limit of peers, the longest silent peer makes room; peers that never sent a command go
 * first.
 */
static void silent_peers_make_room(void **state)
{
	enum { MOST = 4 };
	struct bench *b = serve(state, "cunix:");
	int fds[MOST + 3], more;

	most_peers = MOST;
	for (int i = 0; i < MOST; i++) {
		fds[i] = dial_unix(b);
		turn(b);
		silence(b, 1);
	}
	puts_to(fds[0], "V\n");
	expect(b, fds[0], "V\n");
	more = dial_unix(b); /* no peer was silent for long: no room */
	turn(b);
	expect_end(b, more);
	close(more);
	silence(b, IDLE_S);
	for (int i = 1; i < MOST; i++) {
		fds[MOST - 1 + i] = dial_unix(b);
		turn(b);
		puts_to(fds[MOST - 1 + i], "V\n");
		expect(b, fds[MOST - 1 + i], "V\n");
		expect_end(b, fds[i]);
		close(fds[i]);
	}
	assert_int_equal(b->listen->n_peers, MOST);
	more = dial_unix(b); /* all have sent commands: the first one longest ago */
	turn(b);
	puts_to(more, "V\n");
	expect(b, more, "V\n");
	expect_end(b, fds[0]);
	close(fds[0]);
	close(more);
	for (int i = 1; i < MOST; i++)
		close(fds[MOST - 1 + i]);
	most_peers = 4096;
}

/* ---- datagrams ---- */

static void cookies_answer_retransmissions(void **state)
{
	static const struct {
		const char *say, *reply;
		unsigned int runs, duplicates;
	} steps[] = {
		{ "ck1 V", "ck1 V\n", 1, 0 },
		{ "ck1 V", "ck1 V\n", 1, 1 },
		{ "ck1 X", "ck1 X\n", 2, 1 }, /* from another proxy */
		{ "ck1 V", "ck1 V\n", 2, 2 },
		{ "ck1 X", "ck1 X\n", 2, 3 },
		{ "ck3  \t V", "ck3 V\n", 3, 3 },
		{ "ck4\nV", "ck4 V\n", 4, 3 },
		{ "V", "V E5\n", 5, 3 },
		{ "ck5 ", "ck5 E5\n", 6, 3 },
		{ "", "E5\n", 7, 3 },
		{ " \n", "E5\n", 8, 3 },
	};
	uint16_t port = serve_inet(state, "udp:127.0.0.1:0");
	int fd = dial_inet(SOCK_DGRAM, "127.0.0.1", port),
	    other = dial_inet(SOCK_DGRAM, "127.0.0.1", port);
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		puts_to(fd, steps[i].say);
		expect(b, fd, steps[i].reply);
		assert_int_equal(b->runs, steps[i].runs);
		assert_int_equal(b->duplicates, steps[i].duplicates);
	}
	puts_to(other, "ck1 V");
	expect(b, other, "ck1 V\n");
	assert_int_equal(b->duplicates, 4);
	assert_true(listen_has_udp(b->listen));
	close(fd);
	close(other);
}

static void cookies_are_bounded(void **state)
{
	uint16_t port = serve_inet(state, "udp:127.0.0.1:0");
	int fd = dial_inet(SOCK_DGRAM, "127.0.0.1", port);
	struct bench *b = *state;
	char text[9000], reply[2048];

	memset(text, 'k', sizeof(text));
	memcpy(text + PROTO_COOKIE_MAX, " big", 4);
	put(fd, text, PROTO_COOKIE_MAX + 4);
	assert_int_equal(get(b, fd, reply, PROTO_COOKIE_MAX + 1 + CONN_REPLY_MAX),
			 PROTO_COOKIE_MAX + 1 + CONN_REPLY_MAX);
	assert_int_equal(reply[PROTO_COOKIE_MAX], ' ');
	text[PROTO_COOKIE_MAX] = 'k';
	put(fd, text, PROTO_COOKIE_MAX + 4);
	expect(b, fd, "E5\n");
	memcpy(text, "c ", 2);
	put(fd, text, sizeof(text));
	assert_int_equal(get(b, fd, reply, 2 + 1001), 2 + 1001);
	assert_int_equal(b->last_len, DATAGRAM_MAX - 2);
	put(fd, "nul\0cookie V", 12);
	expect(b, fd, "E5\n");
	put(fd, "ck V\0x", 6);
	expect(b, fd, "ck V");
	close(fd);
}

static void bursts_are_answered_in_order(void **state)
{
	uint16_t port = serve_inet(state, "udp6:::1:0");
	int fd = dial_inet(SOCK_DGRAM, "::1", port);
	struct bench *b = *state;
	char text[32];

	for (int i = 0; i < 3 * DATAGRAMS_BATCH; i++) {
		sprintf(text, "c%d V%d", i, i);
		puts_to(fd, text);
	}
	for (int i = 0; i < 3 * DATAGRAMS_BATCH; i++) {
		sprintf(text, "c%d V%d\n", i, i);
		expect(b, fd, text);
	}
	assert_int_equal(b->runs, 3 * DATAGRAMS_BATCH);
	close(fd);
}

/* A connected socket drops replies from any address but the one that it asked. */
static void wildcard_answers_from_the_asked_address(void **state)
{
	uint16_t port = serve_inet(state, "udp:*:0");
	int fd = dial_inet(SOCK_DGRAM, "127.0.0.5", port);

	puts_to(fd, "ck V");
	expect(*state, fd, "ck V\n");
	close(fd);
}

/* ---- opening ---- */

static void stale_file_is_replaced(void **state)
{
	struct bench *b = *state;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sun.sun_path, b->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	serve(state, "unix:");
	fd = dial_unix(b);
	puts_to(fd, "V");
	expect(b, fd, "V\n");
	close(fd);
}

static void living_neighbour_is_respected(void **state)
{
	struct bench *b = serve(state, "unix:");
	struct listen_opts opts = bench_opts(b);
	struct listen *second;
	char err[512] = "";
	int fd;

	assert_int_equal(listen_new(&second, &opts), 0);
	assert_int_equal(listen_add(second, b->spec, false, err, sizeof(err)), -EADDRINUSE);
	assert_non_null(strstr(err, b->path));
	assert_non_null(strstr(err, "another program answers"));
	listen_free(second);
	fd = dial_unix(b);
	puts_to(fd, "V");
	expect(b, fd, "V\n");
	close(fd);
}

static void file_is_removed_but_not_a_successors(void **state)
{
	struct bench *b = serve(state, "cunix:");
	int fd;

	listen_stop(b->listen, false);
	assert_int_equal(access(b->path, F_OK), -1);
	listen_free(b->listen);
	b->listen = NULL;
	assert_int_equal(listen_new(&b->listen, &(struct listen_opts){ .uid = (uid_t)-1,
								       .gid = (gid_t)-1,
								       .mode = -1 }),
			 0);
	bench_add(b, b->spec);
	unlink(b->path);
	fd = open(b->path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	listen_stop(b->listen, false);
	assert_int_equal(access(b->path, F_OK), 0);
}

static void mode_and_owner_are_set(void **state)
{
	struct bench *b = *state;
	struct listen_opts opts = bench_opts(b);
	struct stat st;

	if (geteuid() != 0)
		skip();
	listen_free(b->listen);
	b->listen = NULL;
	opts.uid = 12345;
	opts.gid = 54321;
	opts.mode = 0640;
	assert_int_equal(listen_new(&b->listen, &opts), 0);
	bench_add(b, b->path);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 54321);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void unusable_specs_are_refused(void **state)
{
	static const struct {
		const char *spec, *says;
	} rows[] = {
		{ "cunix:/bin/sh", "not a socket" },
		{ "/nonexistent/directory/sock", "No such file" },
		{ "unix:", "path" },
		{ "udp:127.0.0.1:65536", "65535" },
		{ "udp:127.0.0.1:999999", "65535" },
		{ "udp:127.0.0.1:99999999999999999999", "65535" },
		{ "udp:127.0.0.1:no-such-service", "no-such-service" },
		{ "tcp:192.0.2.77:7722", "no address of this host" },
		{ "udp6:::1", "HOST: for the default port" },
		{ "tcp::7722", "no host" },
		{ "udp6:127.0.0.1:7722", "127.0.0.1" },
		{ "udp:::1:7722", "::1" },
		{ "tcp:not-numeric.invalid:7722", "not-numeric.invalid" },
		{ "stdio:", "-f" },
		{ "stdioc:", "-f" },
	};
	struct listen_opts opts = bench_opts(*state);
	struct bench *b = *state;
	char err[512], path[200];

	opts.no_resolve = true;
	listen_free(b->listen);
	b->listen = NULL;
	assert_int_equal(listen_new(&b->listen, &opts), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		*err = 0;
		if (listen_add(b->listen, rows[i].spec, false, err, sizeof(err)) >= 0 ||
		    !strstr(err, rows[i].says) || !strstr(err, rows[i].spec))
			fail_msg("%s: \"%s\"", rows[i].spec, err);
	}
	memset(path, 'p', sizeof(path));
	memcpy(path, "/tmp/", 5);
	path[170] = 0;
	assert_int_equal(listen_add(b->listen, path, false, err, sizeof(err)), -ENAMETOOLONG);
	path[5 + 102] = 0;
	assert_int_equal(strlen(path), 107);
	assert_int_equal(listen_add(b->listen, path, false, err, sizeof(err)), 0);
	listen_stop(b->listen, false);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access("/bin/sh", X_OK), 0);
}

static void taken_port_is_said(void **state)
{
	uint16_t port = serve_inet(state, "udp:127.0.0.1:0");
	struct bench *b = *state;
	char spec[64], err[512];

	sprintf(spec, "udp:127.0.0.1:%u", port);
	assert_int_equal(listen_add(b->listen, spec, false, err, sizeof(err)), -EADDRINUSE);
	assert_non_null(strstr(err, "in use by another program"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_read_is_one_command),
		TEST(bare_path_is_unix),
		TEST(half_closed_peer_is_answered),
		TEST(silent_peer_is_kept),
		TEST(lines_are_commands),
		TEST(unfinished_line_is_dropped_at_the_end),
		TEST(longest_line_is_8191_bytes),
		TEST(data_before_hang_up_are_executed),
		TEST(slow_peer_delays_nobody),
		TEST(two_hundred_peers_at_once),
		TEST(tcp_tells_the_peer),
		TEST(tcp6_serves),
		TEST(control_survives_without_descriptors),
		TEST(silent_peers_end),
		TEST(silent_peers_make_room),
		TEST(cookies_answer_retransmissions),
		TEST(cookies_are_bounded),
		TEST(bursts_are_answered_in_order),
		TEST(wildcard_answers_from_the_asked_address),
		TEST(stale_file_is_replaced),
		TEST(living_neighbour_is_respected),
		TEST(file_is_removed_but_not_a_successors),
		TEST(mode_and_owner_are_set),
		TEST(unusable_specs_are_refused),
		TEST(taken_port_is_said),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_conn.c - cases of a stream peer that sockets cannot show in short time: a stalled peer, and
 * files or pipes in place of the socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "../../daemon/control/conn.c"

struct owner {
	struct event_base *base;
	struct conn *conn;
	unsigned int runs;
	bool ended;
};

/* Answers every line with 1024 bytes. */
static size_t owner_run(void *arg, const char *line, size_t len, const struct addr *peer,
			uint64_t now_ns, char *reply)
{
	(void)peer, (void)now_ns;
	((struct owner *)arg)->runs++;
	memset(reply, len ? line[0] : '.', CONN_REPLY_MAX - 1);
	reply[CONN_REPLY_MAX - 1] = '\n';
	return CONN_REPLY_MAX;
}

static void owner_ended(void *arg)
{
	struct owner *o = arg;

	o->ended = true;
	conn_free(o->conn);
	o->conn = NULL;
}

static const struct conn_ops ops = { .run = owner_run, .ended = owner_ended };

static void start(struct owner *o, int in, int out)
{
	const struct addr nobody = { .family = ADDR_NONE };

	*o = (struct owner){ .base = event_base_new() };
	assert_int_equal(conn_new(&o->conn, o->base, &ops, o, in, out, CONN_LINES, &nobody), 0);
}

static void turns(struct owner *o, int n)
{
	while (n-- > 0)
		event_base_loop(o->base, EVLOOP_NONBLOCK);
}

/* A peer that does not read is dropped after 30 s. */
static void stalled_peer_is_dropped(void **state)
{
	struct timeval due, now;
	struct owner o;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	start(&o, pair[0], pair[0]);
	for (int i = 0; i < 4000; i++) {
		send(pair[1], "x\n", 2, 0);
		turns(&o, 1);
	}
	assert_true(evbuffer_get_length(o.conn->replies) >= OUT_HIGH);
	assert_true(evbuffer_get_length(o.conn->replies) < OUT_HIGH + CONN_REPLY_MAX);
	assert_true(event_pending(o.conn->writable, EV_TIMEOUT, &due));
	gettimeofday(&now, NULL);
	assert_in_range(due.tv_sec - now.tv_sec, STALL_S - 10, STALL_S + 1);
	assert_false(o.ended);
	on_writable(pair[0], EV_TIMEOUT, o.conn);
	assert_true(o.ended);
	event_base_free(o.base);
	close(pair[0]);
	close(pair[1]);
}

/* A regular file cannot be polled; it is read to its end, and the reply goes to another file. */
static void files_are_read_to_their_end(void **state)
{
	int in = memfd_create("in", 0), out = memfd_create("out", 0);
	struct owner o;

	(void)state;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(write(in, "a\n", 2), 2);
	assert_int_equal(write(in, "cut off", 7), 7);
	lseek(in, 0, SEEK_SET);
	start(&o, in, out);
	for (int i = 0; i < 100000 && !o.ended; i++)
		turns(&o, 1);
	assert_true(o.ended);
	assert_int_equal(o.runs, 10000);
	assert_int_equal(lseek(out, 0, SEEK_END), 10000 * CONN_REPLY_MAX);
	event_base_free(o.base);
	close(in);
	close(out);
}

/* A full blocking pipe must not block the process, and loses no bytes once it is read. */
static void full_pipe_does_not_block(void **state)
{
	enum { LINES = 500 };
	int in[2], out[2];
	char buf[8192];
	ssize_t n, total = 0;
	struct owner o;

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	start(&o, in[0], out[1]);
	for (int i = 0; i < LINES; i++)
		assert_int_equal(write(in[1], "b\n", 2), 2);
	turns(&o, 200);
	assert_in_range(o.runs, 64, LINES - 1);
	close(in[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 100000 && !o.ended; i++) {
		turns(&o, 1);
		n = read(out[0], buf, sizeof(buf));
		total += n > 0 ? n : 0;
	}
	while ((n = read(out[0], buf, sizeof(buf))) > 0)
		total += n;
	assert_true(o.ended);
	assert_int_equal(o.runs, LINES);
	assert_int_equal(total, LINES * CONN_REPLY_MAX);
	event_base_free(o.base);
	close(in[0]);
	close(out[0]);
	close(out[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stalled_peer_is_dropped),
		cmocka_unit_test(files_are_read_to_their_end),
		cmocka_unit_test(full_pipe_does_not_block),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

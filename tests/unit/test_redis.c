/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_redis.c - addresses of servers, and a connection to a peer that speaks Redis' protocol
 * badly: each end of it is told, and the next attempt follows. tests/netns/standby.py has the real
 * server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/replicate/redis.c"
#include "base/clock.h"

/* ---- addresses ---- */

static void is_url(const char *text, bool tls, const char *host, unsigned int port,
		   const char *user, const char *password, unsigned int db)
{
	struct redis_url u;
	char err[200];

	assert_int_equal(redis_url_parse(&u, text, err, sizeof(err)), 0);
	assert_int_equal(u.tls, tls);
	assert_string_equal(u.host, host);
	assert_int_equal(u.port, port);
	assert_string_equal(u.user ? u.user : "-", user);
	assert_string_equal(u.password ? u.password : "-", password);
	assert_int_equal(u.db, db);
	redis_url_free(&u);
}

static void test_urls(void **state)
{
	static const char *const wrong_ones[] = {
		"",
		"localhost",
		"redis://",
		"redis://:6379",
		"redis://host:0",
		"redis://host:65536",
		"redis://host:x",
		"redis://user@host",
		"redis://host/x",
		"redis://[::1",
		"unix:here",
		"redis://a:%zz@host",
		"redis://a:%00@host",
		"redis://[::1]x",
	};
	struct redis_url u;
	char err[200];

	(void)state;
	is_url("redis://localhost", false, "localhost", 6379, "-", "-", 0);
	is_url("rediss://r.example:6380/3", true, "r.example", 6380, "-", "-", 3);
	is_url("redis://[2001:db8::1]:7000", false, "2001:db8::1", 7000, "-", "-", 0);
	is_url("redis://:p%40ss@h", false, "h", 6379, "-", "p@ss", 0);
	is_url("redis://rtpx:a:b@10.0.0.1/1", false, "10.0.0.1", 6379, "rtpx", "a:b", 1);
	assert_int_equal(redis_url_parse(&u, "unix:/run/redis.sock", err, sizeof(err)), 0);
	assert_string_equal(u.path, "/run/redis.sock");
	redis_url_free(&u);
	for (size_t i = 0; i < ARRAY_SIZE(wrong_ones); i++) {
		err[0] = '\0';
		assert_int_equal(redis_url_parse(&u, wrong_ones[i], err, sizeof(err)), -EINVAL);
		assert_true(err[0] != '\0');
		assert_null(u.host);
	}
}

/* ---- a peer ---- */

static struct {
	struct event_base *base;
	int listener, peer;
	struct redis_url url;
	unsigned int ups, downs;
	char why[200], reply[200];
} t;

static void on_up(void *arg)
{
	(void)arg;
	t.ups++;
}

static void on_down(void *arg, const char *why)
{
	(void)arg;
	t.downs++;
	snprintf(t.why, sizeof(t.why), "%s", why);
}

static void on_answer(void *arg, const struct redisReply *reply)
{
	struct span text = redis_span(reply);

	(void)arg;
	snprintf(t.reply, sizeof(t.reply), "%.*s", (int)text.len, text.p);
}

/* Run the loop until @condition, which is asked until it is true once; a minute at most. */
#define run_until(condition)                                                    \
	do {                                                                    \
		uint64_t end_ns = clock_now() + 60 * NSEC_PER_SEC;              \
		bool is_so;                                                     \
		while (!(is_so = (condition)) && clock_now() < end_ns)          \
			event_base_loop(t.base, EVLOOP_ONCE | EVLOOP_NONBLOCK); \
		assert_true(is_so);                                             \
	} while (0)

static bool accepted(void)
{
	t.peer = accept4(t.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return t.peer >= 0;
}

static bool peer_got(const char *text)
{
	char bytes[500];
	ssize_t n = recv(t.peer, bytes, sizeof(bytes) - 1, MSG_PEEK);

	if (n <= 0)
		return false;
	bytes[n] = '\0';
	if (!strstr(bytes, text))
		return false;
	recv(t.peer, bytes, sizeof(bytes), 0);
	return true;
}

static void peer_says(const char *text)
{
	assert_int_equal(send(t.peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static struct redis *begin(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct redis_opts opts = { .url = &t.url, .up = on_up, .down = on_down };
	socklen_t len = sizeof(in);
	struct redis *r;
	char text[100], err[200];

	memset(&t, 0, sizeof(t));
	t.base = event_base_new();
	t.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(t.listener, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(t.listener, 4), 0);
	getsockname(t.listener, (struct sockaddr *)&in, &len);
	snprintf(text, sizeof(text), "redis://u:secret@127.0.0.1:%u/2", ntohs(in.sin_port));
	assert_int_equal(redis_url_parse(&t.url, text, err, sizeof(err)), 0);
	assert_int_equal(redis_new(&r, t.base, &opts, err, sizeof(err)), 0);
	run_until(accepted());
	return r;
}

static void end(struct redis *r)
{
	redis_free(r);
	redis_url_free(&t.url);
	close(t.peer);
	close(t.listener);
	event_base_free(t.base);
}

static void test_talk(void **state)
{
	const struct span get[] = { span_of("GET"), span_of("key") };
	struct redis *r = begin();

	(void)state;
	run_until(peer_got("PING"));
	assert_int_equal(redis_ask(r, 2, get, on_answer, NULL), -ENOTCONN);
	peer_says("+OK\r\n+OK\r\n+PO");
	event_base_loop(t.base, EVLOOP_NONBLOCK);
	assert_int_equal(t.ups, 0);
	peer_says("NG\r\n");
	run_until(t.ups == 1);
	assert_int_equal(redis_ask(r, 2, get, on_answer, NULL), 0);
	run_until(peer_got("*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"));
	peer_says("$5\r\nvalue\r\n");
	run_until(t.reply[0]);
	assert_string_equal(t.reply, "value");
	end(r);
}

/* Each bad end of a connection is told once; then the next attempt comes. */
static void ends_with(const char *says, const char *why)
{
	struct redis *r = begin();

	run_until(peer_got("AUTH"));
	if (says)
		peer_says(says);
	else
		shutdown(t.peer, SHUT_RDWR);
	run_until(t.downs == 1);
	assert_non_null(strstr(t.why, why));
	assert_false(redis_is_up(r));
	close(t.peer);
	run_until(accepted());
	end(r);
}

static void test_ends(void **state)
{
	(void)state;
	ends_with("-WRONGPASS invalid username-password pair\r\n", "it refuses us: WRONGPASS");
	ends_with("HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak Redis' protocol");
	ends_with(NULL, "closed the connection");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_talk),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

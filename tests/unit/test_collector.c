/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_collector.c - a collector on loopback: there, gone and back, too slow, and addresses as
 * text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>

#include "../../daemon/observe/collector.c"
#include "../../daemon/observe/hep_address.c"

static struct event_base *base;
static struct collector *collector;
static struct collector_view view;

/* Turn the loop until @done or for 20 s; true when @done. */
static bool turn_until(bool (*done)(void))
{
	const uint64_t end_ns = clock_now() + 20 * NSEC_PER_SEC;

	while (clock_now() < end_ns) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		collector_view(collector, &view);
		if (done())
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

static int listen_at(int type, uint16_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(*port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&in, len) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 4) < 0) ||
	    getsockname(fd, (struct sockaddr *)&in, &len) < 0)
		fail_msg("cannot listen: %s", strerror(errno));
	*port = ntohs(in.sin_port);
	return fd;
}

static void begin(bool tcp, uint16_t port)
{
	struct hep_address a = { .tcp = tcp, .host = "127.0.0.1", .port = port };

	assert_int_equal(collector_new(&collector, base, &a, true), 0);
}

static void end_of(int fd)
{
	collector_free(collector);
	if (fd >= 0)
		close(fd);
}

static bool is_connected(void)
{
	return view.connected;
}

static bool is_gone(void)
{
	return view.error != NULL;
}

static bool is_empty(void)
{
	return !view.queued;
}

/* ---- addresses ---- */

static void parses_addresses(void **state)
{
	static const struct {
		const char *text, *host;
		bool tcp;
		uint16_t port;
	} rows[] = {
		{ "homer", "homer", false, 9060 },
		{ "udp:homer:5", "homer", false, 5 },
		{ "TCP:192.0.2.1", "192.0.2.1", true, 9060 },
		{ "tcp:[2001:db8::1]:65535", "2001:db8::1", true, 65535 },
		{ "[::1]", "::1", false, 9060 },
	};
	static const char *const bad[] = {
		"",
		"udp:",
		"tcp::9060",
		"homer:",
		"homer:0",
		"homer:65536",
		"homer:9060x",
		"homer:-1",
		"2001:db8::1",
		"[::1",
		"[]",
		"[::1]9060",
		"a:b:1",
	};
	struct hep_address a;
	const char *why;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(hep_address_parse(&a, rows[i].text, &why), 0);
		assert_string_equal(a.host, rows[i].host);
		assert_int_equal(a.tcp, rows[i].tcp);
		assert_int_equal(a.port, rows[i].port);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why = NULL;
		assert_int_equal(hep_address_parse(&a, bad[i], &why), -EINVAL);
		assert_non_null(why);
	}
}

static void resolves_no_name(void **state)
{
	const struct hep_address a = { .host = "homer", .port = 1 };

	(void)state;
	assert_int_equal(collector_new(&collector, base, &a, true), -EINVAL);
}

/* ---- UDP ---- */

static void sends_datagrams(void **state)
{
	uint16_t port = 0;
	int fd = listen_at(SOCK_DGRAM, &port);
	char buf[16];

	(void)state;
	begin(false, port);
	collector_send(collector, "one", 3); /* waits for the address */
	assert_true(turn_until(is_connected));
	collector_send(collector, "second", 6);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 3);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 6);
	collector_view(collector, &view);
	assert_int_equal(view.counts.sent, 2);
	assert_int_equal(view.counts.lost + view.counts.refused, 0);
	end_of(fd);
}

static bool was_refused(void)
{
	if (!view.counts.refused)
		collector_send(collector, "x", 1);
	return view.counts.refused > 0 && !view.connected && view.error;
}

static void counts_refusals(void **state)
{
	uint16_t port = 0;
	int fd = listen_at(SOCK_DGRAM, &port);
	char buf[16];

	(void)state;
	close(fd);
	begin(false, port);
	assert_true(turn_until(was_refused));
	fd = listen_at(SOCK_DGRAM, &port);
	collector->refused_ns = 0; /* long ago */
	collector_send(collector, "back", 4);
	assert_true(turn_until(is_connected));
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 4);
	end_of(fd);
}

static void drops_a_long_datagram(void **state)
{
	static char big[70000];
	uint16_t port = 0;
	int fd = listen_at(SOCK_DGRAM, &port);

	(void)state;
	begin(false, port);
	assert_true(turn_until(is_connected));
	collector_send(collector, big, sizeof(big));
	collector_view(collector, &view);
	assert_int_equal(view.counts.lost, 1);
	assert_int_equal(view.queued, 0);
	assert_true(view.connected);
	end_of(fd);
}

/* ---- TCP ---- */

static void read_all(int fd, const char *want)
{
	char buf[64] = "";
	size_t have = 0;

	while (have < strlen(want)) {
		ssize_t n = recv(fd, buf + have, sizeof(buf) - 1 - have, 0);

		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_string_equal(buf, want);
}

static void reconnects(void **state)
{
	uint16_t port = 0;
	int fd = listen_at(SOCK_STREAM, &port), peer;

	(void)state;
	begin(true, port);
	collector_send(collector, "one", 3);
	assert_true(turn_until(is_connected));
	peer = accept(fd, NULL, NULL);
	read_all(peer, "one");
	close(peer);
	close(fd);
	assert_true(turn_until(is_gone));
	collector_send(collector, "two", 3);
	collector_send(collector, "three", 5);
	fd = listen_at(SOCK_STREAM, &port);
	assert_true(turn_until(is_connected));
	peer = accept(fd, NULL, NULL);
	read_all(peer, "twothree");
	close(peer);
	assert_int_equal(view.counts.lost, 0);
	end_of(fd);
}

/* The message of which a broken connection took a part begins anew. */
static void repeats_a_part(void **state)
{
	static char big[4 << 20];
	uint16_t port = 0;
	int fd = listen_at(SOCK_STREAM, &port), peer;
	char buf[4];

	(void)state;
	memset(big, 'b', sizeof(big));
	begin(true, port);
	assert_true(turn_until(is_connected));
	peer = accept(fd, NULL, NULL);
	memcpy(big, "HEAD", 4);
	for (int i = 0; i < 4; i++)
		collector_send(collector, big, sizeof(big)); /* more than the kernel takes */
	assert_true(collector->queued > 0);
	close(peer); /* unread bytes: a reset */
	assert_true(turn_until(is_gone));
	assert_int_equal(collector->written, 0);
	assert_true(turn_until(is_connected));
	peer = accept(fd, NULL, NULL);
	assert_int_equal(recv(peer, buf, 4, MSG_WAITALL), 4);
	assert_memory_equal(buf, "HEAD", 4);
	close(peer);
	end_of(fd);
}

static void bounds_its_queue(void **state)
{
	uint16_t port = 0;
	int fd = listen_at(SOCK_STREAM, &port);

	(void)state;
	close(fd);
	begin(true, port);
	for (int i = 0; i < COLLECTOR_QUEUE + 5; i++)
		collector_send(collector, "m", 1);
	collector_view(collector, &view);
	assert_int_equal(view.queued, COLLECTOR_QUEUE);
	assert_int_equal(view.counts.lost, 5);
	fd = listen_at(SOCK_STREAM, &port);
	assert_true(turn_until(is_empty));
	assert_int_equal(view.counts.sent, COLLECTOR_QUEUE);
	end_of(fd);
}

static int setup(void **state)
{
	(void)state;
	base = event_base_new();
	log_open(LOG_LVL_CRIT, false, false, 0);
	return base ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_addresses),	 cmocka_unit_test(resolves_no_name),
		cmocka_unit_test(sends_datagrams),	 cmocka_unit_test(counts_refusals),
		cmocka_unit_test(drops_a_long_datagram), cmocka_unit_test(reconnects),
		cmocka_unit_test(repeats_a_part),	 cmocka_unit_test(bounds_its_queue),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

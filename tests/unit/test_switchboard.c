/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_switchboard.c - ports of calls that are not restored yet, and the descriptors of a daemon
 * that has ended: packets wait in the shared sockets. In network namespaces of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_net.h"

#include "../../daemon/net/switchboard.c"

#include <sched.h>

#define HOST4 "10.99.0.1"
#define HOST6 "fd99::1"
#define EXPECTED 4000
#define OTHER 4010

/* A switchboard that expects the pair of EXPECTED at both hosts. */
static struct switchboard *board_with(struct switchboard_fds *left)
{
	const struct addr hosts[] = { at(HOST4, 0), at(HOST6, 0) };
	const struct addr expected[] = { at(HOST4, EXPECTED), at(HOST4, EXPECTED + 1),
					 at(HOST6, EXPECTED), at(HOST6, EXPECTED + 1) };
	const struct switchboard_opts opts = {
		.port_min = 4000,
		.port_max = 4999,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.hosts = hosts,
		.n_hosts = ARRAY_SIZE(hosts),
		.expected = expected,
		.n_expected = ARRAY_SIZE(expected),
		.left = left,
	};
	struct switchboard *b = NULL;
	char err[256];

	if (switchboard_new(&b, &opts, err, sizeof(err)))
		fail_msg("%s", err);
	return b;
}

/* Send a packet. 0, or -ECONNREFUSED: no socket gets it. */
static int sends(const struct addr *to, char text)
{
	union sock_addr sa;
	socklen_t len = addr_to_sockaddr(to, &sa.any);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	char byte;

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &sa.sa, len), 0);
	assert_int_equal(send(fd, &text, 1, 0), 1);
	/* Loopback delivers before send() returns, and its ICMP error, too. */
	if (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED)
		err = -ECONNREFUSED;
	close(fd);
	return err;
}

/* The next packet of any shared socket; '\0': there is none. */
static char reads(const struct switchboard *b)
{
	unsigned int i;
	char byte;

	for (i = 0; i < FLOOR_SOCKETS; i++)
		if (recv(switchboard_socket(b, i), &byte, 1, MSG_DONTWAIT) == 1)
			return byte;
	return '\0';
}

/* Copies of the descriptors, as a service manager holds them. */
static struct switchboard_fds held(const struct switchboard *b)
{
	struct switchboard_fds fds;
	unsigned int i;

	switchboard_fds(b, &fds);
	fds.link = fcntl(fds.link, F_DUPFD_CLOEXEC, 3);
	for (i = 0; i < FLOOR_RECEIVERS; i++)
		fds.sockets[i] = fcntl(fds.sockets[i], F_DUPFD_CLOEXEC, 3);
	return fds;
}

static unsigned int left_of(const struct switchboard_fds *fds)
{
	unsigned int i, n = fds->link >= 0;

	for (i = 0; i < FLOOR_RECEIVERS; i++)
		n += fds->sockets[i] >= 0;
	return n;
}

static void release(struct switchboard_fds *fds)
{
	unsigned int i;

	if (fds->link >= 0)
		close(fds->link);
	for (i = 0; i < FLOOR_RECEIVERS; i++)
		if (fds->sockets[i] >= 0)
			close(fds->sockets[i]);
}

/* Ports that are expected get packets, and have no owner until they are opened. */
static void expects(const char *host)
{
	const struct addr rtp = at(host, EXPECTED), rtcp = at(host, EXPECTED + 1);
	const struct addr other = at(host, OTHER);
	struct switchboard *b = board_with(NULL);
	int port;

	assert_int_equal(sends(&rtp, 'a'), 0);
	assert_int_equal(sends(&other, 'x'), -ECONNREFUSED);
	assert_null(switchboard_find(b, &rtp));
	assert_int_equal(switchboard_open(b, &rtp, &port, false, false), -EADDRINUSE);
	assert_int_equal(switchboard_open(b, &rtp, &port, false, true), 0);
	assert_ptr_equal(switchboard_find(b, &rtp), &port);
	assert_int_equal(switchboard_open(b, &rtp, &port, false, true), -EADDRINUSE);
	assert_int_equal(sends(&rtcp, 'b'), 0);
	switchboard_expect_end(b);
	assert_int_equal(sends(&rtcp, 'c'), -ECONNREFUSED);
	assert_int_equal(sends(&rtp, 'd'), 0);
	assert_int_equal(switchboard_open(b, &rtcp, &port, false, false), 0);
	assert_int_equal(reads(b), 'a');
	assert_int_equal(reads(b) + reads(b), 'b' + 'd');
	assert_int_equal(reads(b), '\0');
	switchboard_close(b, &rtp);
	assert_int_equal(sends(&rtp, 'e'), -ECONNREFUSED);
	switchboard_free(b);
}

static void test_expected(void **state)
{
	(void)state;
	expects(HOST4);
	expects(HOST6);
}

/* A daemon ends, packets wait, and the next one has them. */
static void goes_on(const char *host)
{
	const struct addr rtp = at(host, EXPECTED), other = at(host, OTHER);
	struct switchboard *b = board_with(NULL);
	struct switchboard_fds fds = held(b);
	int port;

	assert_int_equal(switchboard_open(b, &rtp, &port, false, true), 0);
	assert_int_equal(switchboard_open(b, &other, &port, false, false), 0);
	assert_int_equal(sends(&rtp, 'a'), 0);
	switchboard_free(b);
	assert_int_equal(sends(&rtp, 'b'), 0);
	assert_int_equal(sends(&other, 'c'), 0);

	b = board_with(&fds);
	assert_int_equal(left_of(&fds), 0);
	assert_int_equal(sends(&rtp, 'd'), 0);
	assert_int_equal(sends(&other, 'e'), -ECONNREFUSED);
	assert_int_equal(switchboard_open(b, &rtp, &port, false, true), 0);
	assert_int_equal(sends(&rtp, 'f'), 0);
	assert_int_equal(reads(b) + reads(b) + reads(b) + reads(b) + reads(b),
			 'a' + 'b' + 'c' + 'd' + 'f');
	assert_int_equal(reads(b), '\0');
	switchboard_free(b);
	assert_int_equal(sends(&rtp, 'g'), -ECONNREFUSED);
}

static void test_left(void **state)
{
	(void)state;
	goes_on(HOST4);
	goes_on(HOST6);
}

/* Five daemons, one after the other, have the same sockets. */
static void test_left_often(void **state)
{
	const struct addr rtp = at(HOST4, EXPECTED);
	struct switchboard *b = board_with(NULL);
	struct switchboard_fds fds;
	char text;

	(void)state;
	for (text = 'a'; text < 'f'; text++) {
		fds = held(b);
		switchboard_free(b);
		assert_int_equal(sends(&rtp, text), 0);
		b = board_with(&fds);
		assert_int_equal(left_of(&fds), 0);
		assert_int_equal(reads(b), text);
	}
	switchboard_free(b);
}

/* Descriptors of a wrong kind stay with the caller. */
static void test_wrong(void **state)
{
	const struct addr rtp = at(HOST4, EXPECTED);
	struct switchboard *b = board_with(NULL);
	struct switchboard_fds fds = held(b);
	int link = fds.link;

	(void)state;
	switchboard_free(b);
	fds.link = fds.sockets[0];
	fds.sockets[0] = -1;
	b = board_with(&fds);
	assert_int_equal(left_of(&fds), FLOOR_RECEIVERS);
	switchboard_free(b);

	close(fds.sockets[FLOOR_SHARDS]);
	fds.sockets[0] = fds.link;
	fds.link = link;
	fds.sockets[1] = dup2(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fds.sockets[1]);
	fds.sockets[FLOOR_SHARDS] = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	b = board_with(&fds);
	assert_int_equal(left_of(&fds), 2);
	assert_true(fds.sockets[1] >= 0 && fds.sockets[FLOOR_SHARDS] >= 0);
	assert_int_equal(sends(&rtp, 'a'), 0);
	assert_int_equal(reads(b), 'a');
	switchboard_free(b);
	release(&fds);
}

/* Those of another network namespace receive nothing here. */
static void test_elsewhere(void **state)
{
	struct switchboard *b = board_with(NULL);
	struct switchboard_fds fds = held(b);
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	(void)state;
	switchboard_free(b);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link set lo up"), 0);
	b = board_with(&fds);
	assert_int_equal(left_of(&fds), FLOOR_RECEIVERS + 1);
	switchboard_free(b);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
	release(&fds);
}

/* Beside another daemon no port is expected: it may be the other one's. */
static void test_beside(void **state)
{
	const struct addr rtp = at(HOST4, EXPECTED);
	struct switchboard *other = board_with(NULL), *b;
	int port;

	(void)state;
	b = board_with(NULL);
	assert_int_equal(switchboard_open(b, &rtp, &port, false, true), -EADDRINUSE);
	switchboard_free(other);
	assert_int_equal(sends(&rtp, 'a'), -ECONNREFUSED);
	assert_int_equal(usleep(2 * ALONE_NS / 1000), 0);
	assert_int_equal(switchboard_open(b, &rtp, &port, false, true), 0);
	switchboard_free(b);
}

/* A socket of another program at a random port of @host. Returns the port. */
static uint16_t hold(const char *host, int *fd)
{
	union sock_addr sa;
	socklen_t len;
	uint16_t port;

	do {
		port = 4100 + rand() % 800;
		*fd = socket(strchr(host, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		len = addr_to_sockaddr(&(struct addr[]){ at(host, port) }[0], &sa.any);
	} while (bind(*fd, &sa.sa, len) && close(*fd) == 0);
	return port;
}

/*
 * Open all pairs in a row. Those of other programs are found, each and no other. Returns the pairs
 * of the longest question.
 */
static unsigned int open_all(struct switchboard *b, struct ports *ports, const char *host,
			     const bool held[5000])
{
	unsigned int i, kind, most = 0;
	int port, owner;

	for (i = 0; i < 500; i++) {
		port = ports_take(ports, ports_pool(ports, &(struct addr[]){ at(host, 0) }[0]), 1);
		for (kind = 0; kind < 2; kind++) {
			const struct addr local = at(host, port + kind);

			assert_int_equal(switchboard_open(b, &local, &owner, false, false),
					 held[port + kind] ? -EADDRINUSE : 0);
			most = MAX(most, b->last->answer.n);
		}
	}
	return most;
}

static void asks_ahead(const char *host, bool alone)
{
	const struct ports_opts opts = { .min = 4000, .max = 4999, .seed = 1 };
	struct switchboard *b = board_with(NULL), *other = alone ? NULL : board_with(NULL);
	bool held[5000] = { false };
	struct ports *ports = NULL;
	int fds[20], owner;
	unsigned int i;

	switchboard_expect_end(b);
	if (other)
		switchboard_expect_end(other);
	assert_int_equal(ports_new(&ports, &opts), 0);
	switchboard_use_ports(b, ports);
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		held[hold(host, &fds[i])] = true;
	assert_int_equal(open_all(b, ports, host, held), alone ? PAIRS : 1);
	/* An answer counts once. */
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	for (i = 4000; i < 5000; i++)
		if (held[i])
			assert_int_equal(switchboard_open(b, &(struct addr[]){ at(host, i) }[0],
							  &owner, false, false),
					 0);
	switchboard_free(b);
	switchboard_free(other);
	ports_free(ports);
}

static void test_asks_ahead(void **state)
{
	(void)state;
	asks_ahead(HOST4, true);
	asks_ahead(HOST6, true);
	asks_ahead(HOST4, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expected),   cmocka_unit_test(test_left),
		cmocka_unit_test(test_left_often), cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_elsewhere),  cmocka_unit_test(test_beside),
		cmocka_unit_test(test_asks_ahead),
	};

	if (!own_net()) {
		printf("needs root for a network namespace of its own\n");
		return 4;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* runs: together quick */
/*
 * test_stored.c - the shared sockets in the store of a service manager that is this test: their
 * names, and the descriptors of a daemon with more or fewer of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>

#include "../../daemon/control/stored.c"

#include "service_manager.h"

static int begins(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "@test_stored.%d", (int)getpid());
	manager_begin(name);
	return 0;
}

static int ends(void **state)
{
	(void)state;
	manager_end();
	return 0;
}

/* Expect a message with @n descriptors, and close these. */
static void hears(const char *expected, unsigned int n)
{
	int fds[MANAGER_FDS];
	unsigned int i;

	assert_int_equal(manager_hears(expected, fds), n);
	for (i = 0; i < n; i++)
		close(fds[i]);
}

static void hears_no_more(void)
{
	assert_true(manager_hears_nothing());
}

static void hears_drop(void)
{
	static const char *const names[] = { "link", "ip4", "ip6", "ip4-drop", "ip6-drop" };
	char text[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=rtpxd=floor-%s", names[i]);
		hears(text, 0);
	}
}

static int descriptor(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void nothing(struct switchboard_fds *fds)
{
	unsigned int n = 0;

	stored_take(fds, NULL, &n);
}

static void puts_each_kind(void **state)
{
	struct switchboard_fds fds;
	unsigned int i;

	(void)state;
	nothing(&fds);
	fds.link = descriptor();
	for (i = 0; i < FLOOR_RECEIVERS; i++)
		fds.sockets[i] = descriptor();
	stored_put(&fds);
	hears("FDSTORE=1\nFDPOLL=0\nFDNAME=rtpxd=floor-ip4", FLOOR_SHARDS);
	hears("FDSTORE=1\nFDPOLL=0\nFDNAME=rtpxd=floor-ip6", FLOOR_SHARDS);
	hears("FDSTORE=1\nFDPOLL=0\nFDNAME=rtpxd=floor-ip4-drop", 1);
	hears("FDSTORE=1\nFDPOLL=0\nFDNAME=rtpxd=floor-ip6-drop", 1);
	hears("FDSTORE=1\nFDPOLL=0\nFDNAME=rtpxd=floor-link", 1);
	stored_drop();
	hears_drop();
	stored_refuse(&fds);
	hears_drop();
	hears_no_more();
}

/* A host without IPv6 has none of its sockets. */
static void puts_ip4_only(void **state)
{
	struct switchboard_fds fds;
	unsigned int i;

	(void)state;
	nothing(&fds);
	fds.link = descriptor();
	for (i = 0; i < FLOOR_SHARDS; i++)
		fds.sockets[i] = descriptor();
	fds.sockets[FLOOR_SOCKETS] = descriptor();
	stored_put(&fds);
	hears("FDSTORE=1\nFDPOLL=0\nFDNAME=rtpxd=floor-ip4", FLOOR_SHARDS);
	hears("FDSTORE=1\nFDPOLL=0\nFDNAME=rtpxd=floor-ip4-drop", 1);
	hears("FDSTORE=1\nFDPOLL=0\nFDNAME=rtpxd=floor-link", 1);
	hears_no_more();
	stored_refuse(&fds);
	hears_drop();
}

static struct systemd_fd given(const char *name, bool stored)
{
	return (struct systemd_fd){ descriptor(), stored, span_of(name) };
}

static void takes_its_own(void **state)
{
	struct systemd_fd fd[] = {
		given("udp_127.0.0.1_7722", true), given("floor-ip6-drop", true),
		given("floor-ip4", true),	   given("floor-ip4", true),
		given("floor-link", true),	   given("floor-ip4", false),
	};
	struct switchboard_fds fds;
	unsigned int n = ARRAY_SIZE(fd);
	int control = fd[0].fd, unit = fd[5].fd;

	(void)state;
	stored_take(&fds, fd, &n);
	assert_int_equal(n, 2);
	assert_int_equal(fd[0].fd, control);
	assert_int_equal(fd[1].fd, unit);
	assert_true(fds.link >= 0 && fds.sockets[0] >= 0 && fds.sockets[1] >= 0);
	assert_int_equal(fds.sockets[2], -1);
	assert_int_equal(fds.sockets[FLOOR_SHARDS], -1);
	assert_true(fds.sockets[FLOOR_SOCKETS + 1] >= 0);
	hears_no_more();
	stored_refuse(&fds);
	hears_drop();
	assert_int_equal(fds.link, -1);
	stored_refuse(&fds);
	hears_no_more();
	close(control);
	close(unit);
}

/* Of another version: a kind that this one does not know, and more of a kind than it has. */
static void closes_the_others(void **state)
{
	struct systemd_fd fd[FLOOR_SHARDS + 2];
	struct switchboard_fds fds;
	unsigned int n, i;

	(void)state;
	fd[0] = given("floor-sctp", true);
	for (i = 1; i < ARRAY_SIZE(fd); i++)
		fd[i] = given("floor-ip6", true);
	n = ARRAY_SIZE(fd);
	stored_take(&fds, fd, &n);
	assert_int_equal(n, 0);
	hears("FDSTOREREMOVE=1\nFDNAME=rtpxd=floor-sctp", 0);
	hears("FDSTOREREMOVE=1\nFDNAME=rtpxd=floor-ip6", 0);
	hears_no_more();
	assert_int_equal(fcntl(fd[0].fd, F_GETFD), -1);
	assert_int_equal(fcntl(fd[FLOOR_SHARDS + 1].fd, F_GETFD), -1);
	stored_refuse(&fds);
	hears_drop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_each_kind),
		cmocka_unit_test(puts_ip4_only),
		cmocka_unit_test(takes_its_own),
		cmocka_unit_test(closes_the_others),
	};

	return cmocka_run_group_tests(tests, begins, ends);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_contents.c - a file of either format is counted as its packets were, also when it is cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>

#include "../../daemon/record/contents.c"

#define BEGUN_NS 1700000000250000000ull
#define PACKETS 300
#define BYTES 172

/* A file of PACKETS packets of type 8 and an RTCP report. Counts them to @c. */
static int file_of(enum format format, bool ip6, struct contents *c)
{
	uint8_t data[BYTES] = { 0x80, 8 }, report[28] = { 0x80, 200, 0, 6 }, out[FORMAT_MAX_RECORD];
	struct format_packet p = { .src = { .family = ip6 ? ADDR_IP6 : ADDR_IP4, .port = 4000 },
				   .dst = { .family = ip6 ? ADDR_IP6 : ADDR_IP4, .port = 4002 } };
	int fd = memfd_create("recording", 0), i;
	size_t len = format_head(format, out);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, out, len), len);
	for (i = 0; i <= PACKETS; i++) {
		p.realtime_ns = BEGUN_NS + i * 20 * NSEC_PER_MSEC;
		p.data = i < PACKETS ? data : report;
		p.len = i < PACKETS ? sizeof(data) : sizeof(report);
		len = format_record(format, &p, i, out);
		assert_int_equal(write(fd, out, len), len);
		contents_add(c, p.realtime_ns, p.len, contents_type(p.data, p.len));
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void check_format(enum format format, bool ip6)
{
	struct contents now = { 0 }, later = { 0 };
	bool cut = true;
	int fd = file_of(format, ip6, &now);

	assert_int_equal(contents_read(&later, fd, &cut), 0);
	assert_false(cut);
	assert_int_equal(later.packets, PACKETS + 1);
	assert_int_equal(later.bytes, PACKETS * BYTES + 28);
	assert_int_equal(later.types[8], PACKETS);
	assert_int_equal(later.first_ns / 1000, now.first_ns / 1000);
	/* an ad-hoc record has its time in a double */
	assert_true(later.last_ns - now.last_ns + 1000 <= 2000);
	assert_memory_equal(later.types, now.types, sizeof(now.types));

	assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 1), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(contents_read(&later, fd, &cut), 0);
	assert_true(cut);
	assert_int_equal(later.packets, PACKETS);
	close(fd);
}

static void counts_files_of_both_formats(void **state)
{
	(void)state;
	check_format(FORMAT_ADHOC, false);
	check_format(FORMAT_ADHOC, true);
	check_format(FORMAT_PCAP, false);
	check_format(FORMAT_PCAP, true);
}

static void counts_no_nonsense(void **state)
{
	static const char text[] = "this is no recording, but long enough to be taken for one";
	int fd = memfd_create("nonsense", 0);
	struct contents c;
	bool cut = false;

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(contents_read(&c, fd, &cut), 0);
	assert_true(cut);
	assert_int_equal(c.packets, 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(contents_read(&c, fd, &cut), 0);
	assert_false(cut);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_files_of_both_formats),
		cmocka_unit_test(counts_no_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

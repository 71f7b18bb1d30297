/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cookies.c - the retransmission cache: how it compares datagrams, how long it keeps replies,
 * how many, in how much memory, and how another process gets them.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/protocol/cookies.c"

#define COMMAND "U call 192.0.2.9 5000 tag"

static const struct addr here = { .family = ADDR_IP4, .port = 5, .ip = { 192, 0, 2, 1 } };

static struct cookies_key key_from(const struct addr *from, const char *cookie)
{
	struct cookies_key key;

	cookies_key_set(&key, from, span_of(cookie), span_of(COMMAND));
	return key;
}

static struct cookies_key key_of(const char *cookie)
{
	return key_from(&here, cookie);
}

static void store(struct cookies *c, const char *cookie, const char *reply, uint64_t now_ns)
{
	const struct cookies_key key = key_of(cookie);

	cookies_store(c, &key, span_of(reply), now_ns);
}

static struct span find(const struct cookies *c, const char *cookie)
{
	const struct cookies_key key = key_of(cookie);

	return cookies_find(c, &key);
}

static bool knows(const struct cookies *c, const char *cookie, const char *reply)
{
	return span_eq(find(c, cookie), span_of(reply));
}

static void remembers_by_cookie(void **state)
{
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	assert_null(find(c, "a").p);
	store(c, "a", "1\n", 0);
	store(c, "ab", "2\n", 0);
	assert_true(knows(c, "a", "1\n"));
	assert_true(knows(c, "ab", "2\n"));
	assert_null(find(c, "b").p);
	assert_null(find(c, "abc").p);
	cookies_free(c);
}

/* Datagrams with the same cookie that differ in something else. */
static void tells_datagrams_apart(void **state)
{
	static const struct addr addrs[] = {
		{ .family = ADDR_IP4, .port = 5, .ip = { 192, 0, 2, 1 } },
		{ .family = ADDR_IP4, .port = 6, .ip = { 192, 0, 2, 1 } },
		{ .family = ADDR_IP4, .port = 5, .ip = { 192, 0, 2, 2 } },
		{ .family = ADDR_IP6, .port = 5, .ip = { 192, 0, 2, 1 } },
		{ .family = ADDR_NONE }, /* a unix socket */
	};
	static const struct {
		const char *what;
		int from;
		const char *command;
		bool same;
	} rows[] = {
		{ "the same", 0, "U call 192.0.2.9 5000 tag", true },
		{ "another port", 1, "U call 192.0.2.9 5000 tag", true },
		{ "another host", 2, "U call 192.0.2.9 5000 tag", false },
		{ "another family", 3, "U call 192.0.2.9 5000 tag", false },
		{ "no address", 4, "U call 192.0.2.9 5000 tag", false },
		{ "another call", 0, "U cal2 192.0.2.9 5000 tag", false },
		{ "another last byte", 0, "U call 192.0.2.9 5000 taf", false },
		{ "a longer command", 0, "U call 192.0.2.9 5000 tag ", false },
		{ "a shorter command", 0, "U call 192.0.2.9 5000 ta", false },
		{ "no command", 0, "", false },
	};
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	store(c, "1_1", "40000\n", 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cookies_key key;
		struct span reply;

		cookies_key_set(&key, &addrs[rows[i].from], span_of("1_1"),
				span_of(rows[i].command));
		reply = cookies_find(c, &key);
		if (!!reply.p != rows[i].same)
			fail_msg("%s: %s", rows[i].what, reply.p ? "found" : "not found");
		if (!reply.p)
			cookies_store(c, &key, span_of("other\n"), 0);
	}
	assert_true(knows(c, "1_1", "40000\n"));
	cookies_free(c);
}

/* A reply is kept for at least 35 s and goes with the next sweep, every 3 s. */
static void forgets_after_35_s(void **state)
{
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	store(c, "old", "1\n", 100 * NSEC_PER_SEC);
	store(c, "new", "2\n", 101 * NSEC_PER_SEC);
	cookies_sweep(c, 135 * NSEC_PER_SEC - 1);
	assert_true(knows(c, "old", "1\n"));
	cookies_sweep(c, 135 * NSEC_PER_SEC);
	assert_null(find(c, "old").p);
	assert_true(knows(c, "new", "2\n"));
	cookies_sweep(c, 136 * NSEC_PER_SEC);
	assert_null(find(c, "new").p);
	assert_int_equal(c->table.n, 0);
	assert_int_equal(c->bytes, c->chunk_bytes); /* the spare one */
	store(c, "old", "3\n", 137 * NSEC_PER_SEC);
	assert_true(knows(c, "old", "3\n"));
	cookies_free(c);
}

/*
 * An IPv4 and an IPv6 host with the same cookie. The entry of the IPv4 host keeps 4 bytes of its
 * address; with the cookie and the reply behind them it looks like the entry of the IPv6 host.
 */
static void tells_families_apart(void **state)
{
	static const struct addr six = { .family = ADDR_IP6, .ip = "\xc0\0\2\1abcdefghijkl" };
	const struct cookies_key key4 = key_of("abcdefghijkl");
	struct cookies_key key6 = key_from(&six, "abcdefghijkl");
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	cookies_store(c, &key4, span_of("abcdefghijkl\n"), 0);
	assert_null(cookies_find(c, &key6).p);
	key6.hash = key4.hash; /* a collision */
	assert_null(cookies_find(c, &key6).p);
	cookies_store(c, &key6, span_of("six\n"), 0);
	assert_true(span_eq(cookies_find(c, &key4), span_of("abcdefghijkl\n")));
	assert_true(span_eq(cookies_find(c, &key6), span_of("six\n")));
	cookies_free(c);
}

static void oldest_go_when_it_is_full(void **state)
{
	const size_t max = 100 * 1000;
	struct cookies *c = NULL;
	char name[16];
	int first = 0;

	(void)state;
	assert_int_equal(cookies_new(&c, max), 0);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%04d", i);
		store(c, name, "40000 192.0.2.1\n", (uint64_t)i);
		assert_true(c->bytes <= max);
		assert_true(knows(c, name, "40000 192.0.2.1\n"));
	}
	for (; first < 5000; first++) {
		snprintf(name, sizeof(name), "%04d", first);
		if (find(c, name).p)
			break;
	}
	assert_in_range(first, 3000, 4900);
	for (int i = first; i < 5000; i++) {
		snprintf(name, sizeof(name), "%04d", i);
		assert_true(knows(c, name, "40000 192.0.2.1\n"));
	}
	cookies_free(c);
}

/* ---- chunks ---- */

/* Reply number @i: its length and its bytes are different from those of its neighbours. */
static struct span pattern(int i)
{
	static char bytes[COOKIES_REPLY_MAX];
	size_t len = (size_t)(i * 37) % (COOKIES_REPLY_MAX + 1);

	memset(bytes, 'A' + i % 50, len);
	return (struct span){ bytes, len };
}

static struct cookies_key numbered(int i)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", i);
	return key_of(name);
}

static bool keeps_pattern(const struct cookies *c, int i)
{
	const struct cookies_key key = numbered(i);
	struct span found = cookies_find(c, &key);

	return found.p && span_eq(found, pattern(i));
}

/* A callback of cookies_each(): the replies are those of pattern(), one after the other. */
struct seen {
	int first, next;
};

static void in_order(void *arg, struct span key, struct span reply, uint64_t stored_ns)
{
	const struct cookies_key expected = numbered((int)stored_ns);
	struct seen *seen = arg;

	assert_true(span_eq(key, bytes_of(&expected)));
	assert_true(span_eq(reply, pattern((int)stored_ns)));
	if (seen->first < 0)
		seen->first = (int)stored_ns;
	else
		assert_int_equal(stored_ns, seen->next);
	seen->next = (int)stored_ns + 1;
}

static struct seen seen_in(const struct cookies *c, uint64_t since_ns, unsigned int max)
{
	struct seen seen = { -1, -1 };

	cookies_each(c, since_ns, max, in_order, &seen);
	return seen;
}

/* The second entry fills the rest of a chunk, or its reply is one byte too long for that. */
static void entries_fill_a_chunk(void **state)
{
	static char bytes[COOKIES_REPLY_MAX];
	const size_t head = offsetof(struct entry, bytes) + 4 + 1, one = 960 - head;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	for (size_t more = 0; more < 2; more++) {
		const struct cookies_key key1 = key_of("1"), key2 = key_of("2");
		struct span reply2 = { bytes, 0 };
		struct cookies *c = NULL;

		assert_int_equal(cookies_new(&c, 16 * CHUNK_MIN), 0);
		reply2.len = c->chunk_bytes - CHUNK_HEAD - 960 - head + more;
		cookies_store(c, &key1, (struct span){ bytes, one }, 0);
		cookies_store(c, &key2, reply2, 0);
		assert_int_equal(c->bytes, (1 + more) * c->chunk_bytes);
		store(c, "3", "", 0);
		assert_int_equal(c->bytes, 2 * c->chunk_bytes);
		assert_true(span_eq(cookies_find(c, &key1), (struct span){ bytes, one }));
		assert_true(span_eq(cookies_find(c, &key2), reply2));
		assert_true(knows(c, "3", ""));
		cookies_free(c);
	}
}

static void entries_of_any_size_cross_chunks(void **state)
{
	const int n = 2 * (COOKIES_REPLY_MAX + 1);
	struct cookies *c = NULL;
	struct seen seen;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	for (int i = 0; i < n; i++) {
		const struct cookies_key key = numbered(i);

		cookies_store(c, &key, pattern(i), (uint64_t)i);
	}
	assert_true(c->bytes > 10 * c->chunk_bytes);
	for (int i = 0; i < n; i++)
		assert_true(keeps_pattern(c, i));
	for (int max = 0; max <= n + 1; max += 41) {
		seen = seen_in(c, 0, (unsigned int)max);
		assert_int_equal(seen.first, !max ? -1 : MAX(n - max, 0));
		assert_int_equal(seen.next, !max ? -1 : n);
	}
	assert_int_equal(seen_in(c, 500, UINT_MAX).first, 500);
	assert_int_equal(seen_in(c, 500, 100).first, n - 100);
	cookies_free(c);
}

/* A new chunk displaces the oldest one, and no more: most of the memory is in use at any time. */
static void chunks_displace_chunks(void **state)
{
	const size_t max = 16 * CHUNK_MIN;
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, max), 0);
	for (int i = 0; i < 500; i++) {
		const struct cookies_key key = numbered(i);
		size_t bytes = 0;
		struct seen seen;

		cookies_store(c, &key, pattern(i), (uint64_t)i);
		assert_true(c->bytes <= max);
		seen = seen_in(c, 0, UINT_MAX);
		assert_int_equal(seen.next, i + 1);
		for (int j = 0; j <= i; j++) {
			assert_int_equal(keeps_pattern(c, j), j >= seen.first);
			bytes += j < seen.first ? 0 : pattern(j).len;
		}
		assert_true(!seen.first || (c->bytes == max && bytes > max / 2));
	}
	assert_int_not_equal(seen_in(c, 0, UINT_MAX).first, 0);
	cookies_free(c);
}

static void less_than_a_chunk_is_one_chunk(void **state)
{
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, 0), 0);
	for (int i = 0; i < 100; i++) {
		const struct cookies_key key = numbered(i);

		cookies_store(c, &key, pattern(i), (uint64_t)i);
		assert_true(keeps_pattern(c, i));
		assert_int_equal(c->bytes, CHUNK_MIN);
	}
	cookies_free(c);
}

/* 100 commands a second, for five times the life of an entry. */
static void steady_rate_takes_no_more_memory(void **state)
{
	const uint64_t step_ns = NSEC_PER_SEC / 100;
	const int life = COOKIES_LIFE_NS / step_ns;
	struct cookies *c = NULL;
	size_t bytes = 0;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	for (int i = 0; i < 5 * life; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d_1234", 10000 + i);
		store(c, name, "40000 192.0.2.1\n", (uint64_t)i * step_ns);
		if (i == 2 * life)
			bytes = cookies_bytes(c);
		if (i > 2 * life)
			assert_int_equal(cookies_bytes(c), bytes);
	}
	assert_int_equal(c->table.n, life);
	/* 72 bytes an entry, and at most one chunk at each end. */
	assert_in_range(c->bytes, 72 * life, 72 * life + 2 * c->chunk_bytes);
	cookies_free(c);
}

static void too_long_a_reply_is_not_stored(void **state)
{
	static const char bytes[COOKIES_REPLY_MAX + 1] = "long";
	const struct cookies_key key = key_of("long");
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	cookies_store(c, &key, (struct span){ bytes, sizeof(bytes) }, 0);
	assert_null(cookies_find(c, &key).p);
	cookies_restore(c, bytes_of(&key), (struct span){ bytes, sizeof(bytes) }, 0);
	assert_null(cookies_find(c, &key).p);
	cookies_store(c, &key, (struct span){ bytes, sizeof(bytes) - 1 }, 0);
	assert_int_equal(cookies_find(c, &key).len, sizeof(bytes) - 1);
	cookies_free(c);
}

/* ---- another process ---- */

struct copy {
	char key[KEY_MAX];
	size_t len;
	unsigned int n;
};

static void on_copy(void *arg, struct span key, struct span reply, uint64_t stored_ns)
{
	struct copy *copy = arg;

	assert_true(span_eq(reply, span_of("40000\n")));
	assert_int_equal(stored_ns, 7);
	memcpy(copy->key, key.p, key.len);
	copy->len = key.len;
	copy->n++;
}

/* Keys as journals have them since the cache is part of them. */
static const struct journaled {
	struct addr from;
	const char *key; /* behind the hash of the command */
} journaled[] = {
	{ { .family = ADDR_IP4, .port = 5, .ip = { 192, 0, 2, 1 } },
	  "\xc0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\x04"
	  "71_2" },
	{ { .family = ADDR_IP6, .port = 5, .ip = { 0x20, 1, 0x0d, 0xb8, [15] = 7 } },
	  "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x06"
	  "71_2" },
	{ { .family = ADDR_NONE },
	  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	  "71_2" },
};

#define JOURNALED_LEN (KEY_HEAD + 4)

static void journaled_key(const struct journaled *one, char bytes[JOURNALED_LEN])
{
	const uint64_t command_hash = 0xb92c6cff4442f688; /* of COMMAND */

	memcpy(bytes, &command_hash, sizeof(command_hash));
	memcpy(bytes + sizeof(command_hash), one->key, JOURNALED_LEN - sizeof(command_hash));
}

static void keys_in_journals_stay_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(journaled); i++) {
		const struct cookies_key key = key_from(&journaled[i].from, "71_2");
		struct cookies *before = NULL, *after = NULL;
		struct copy stored = { 0 }, each = { 0 };
		char bytes[JOURNALED_LEN];

		journaled_key(&journaled[i], bytes);
		assert_int_equal(cookies_new(&before, COOKIES_MAX_BYTES), 0);
		assert_int_equal(cookies_new(&after, COOKIES_MAX_BYTES), 0);
		cookies_watch(before, on_copy, &stored);
		cookies_store(before, &key, span_of("40000\n"), 7);
		assert_int_equal(stored.n, 1);
		assert_int_equal(stored.len, sizeof(bytes));
		assert_memory_equal(stored.key, bytes, sizeof(bytes));

		cookies_restore(after, (struct span){ bytes, sizeof(bytes) }, span_of("40000\n"),
				7);
		cookies_restore(after, (struct span){ bytes, sizeof(bytes) }, span_of("no\n"), 8);
		assert_true(span_eq(cookies_find(after, &key), span_of("40000\n")));
		cookies_each(after, 0, 2, on_copy, &each);
		assert_int_equal(each.n, 1);
		assert_int_equal(each.len, sizeof(bytes));
		assert_memory_equal(each.key, bytes, sizeof(bytes));
		cookies_free(before);
		cookies_free(after);
	}
}

static void malformed_keys_are_ignored(void **state)
{
	char bytes[KEY_MAX + 1] = { 0 };
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	cookies_restore(c, (struct span){ bytes, 0 }, span_of("1\n"), 0);
	cookies_restore(c, (struct span){ bytes, KEY_HEAD - 1 }, span_of("1\n"), 0);
	cookies_restore(c, (struct span){ bytes, sizeof(bytes) }, span_of("1\n"), 0);
	journaled_key(&journaled[0], bytes);
	bytes[offsetof(struct cookies_key, ip) + 4] = 1; /* behind an IPv4 address */
	cookies_restore(c, (struct span){ bytes, JOURNALED_LEN }, span_of("1\n"), 0);
	journaled_key(&journaled[1], bytes);
	bytes[offsetof(struct cookies_key, family)] = 5; /* unknown */
	cookies_restore(c, (struct span){ bytes, JOURNALED_LEN }, span_of("1\n"), 0);
	assert_int_equal(c->table.n, 0);
	memset(bytes, 0, sizeof(bytes));
	cookies_restore(c, (struct span){ bytes, KEY_HEAD }, span_of("1\n"), 0);
	cookies_restore(c, (struct span){ bytes, KEY_MAX }, span_of("1\n"), 0);
	assert_int_equal(c->table.n, 2);
	cookies_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembers_by_cookie),
		cmocka_unit_test(tells_datagrams_apart),
		cmocka_unit_test(forgets_after_35_s),
		cmocka_unit_test(tells_families_apart),
		cmocka_unit_test(oldest_go_when_it_is_full),
		cmocka_unit_test(entries_fill_a_chunk),
		cmocka_unit_test(entries_of_any_size_cross_chunks),
		cmocka_unit_test(chunks_displace_chunks),
		cmocka_unit_test(less_than_a_chunk_is_one_chunk),
		cmocka_unit_test(steady_rate_takes_no_more_memory),
		cmocka_unit_test(too_long_a_reply_is_not_stored),
		cmocka_unit_test(keys_in_journals_stay_the_same),
		cmocka_unit_test(malformed_keys_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

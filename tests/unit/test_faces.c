/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_faces.c - the choice of a local address among those that share new calls (docs/ports.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/engine/faces.c"

#define NOW_NS (1000 * NSEC_PER_SEC)

static struct ports *ports;
static struct faces *faces;

static struct addr ip(const char *text)
{
	struct addr a;
	enum addr_family family = strchr(text, ':') ? ADDR_IP6 : ADDR_IP4;

	assert_int_equal(addr_parse(&a, family, text, strlen(text)), 0);
	return a;
}

/*
 * The default list 10.0.0.1, .2, .3, whose pools have two pairs each; the list "far" of 10.0.1.1
 * and .2; and IPv6 addresses.
 */
static int begin(void **state)
{
	static struct listener all[7];
	const struct addr own[] = { ip("10.0.0.2"), ip("10.0.0.3"), ip("10.0.1.1"), ip("10.0.1.2"),
				    ip("::2") };
	const struct ports_opts opts = {
		.min = 40000,
		.max = 40003,
		.own = own,
		.n_own = ARRAY_SIZE(own),
	};

	(void)state;
	all[0] = (struct listener){ .addr = ip("10.0.0.1") };
	all[1] = (struct listener){ .addr = ip("10.0.0.2") };
	all[2] = (struct listener){ .addr = ip("10.0.0.3") };
	all[3] = (struct listener){ .addr = ip("10.0.1.1"), .label = (char *)"far", .group = 1 };
	all[4] = (struct listener){ .addr = ip("10.0.1.2"), .label = (char *)"far", .group = 1 };
	all[5] = (struct listener){ .addr = ip("::1"), .label = (char *)"six", .group = 2 };
	all[6] = (struct listener){ .addr = ip("::2"), .label = (char *)"six", .group = 2 };
	assert_int_equal(ports_new(&ports, &opts), 0);
	assert_int_equal(faces_new(&faces, all, ARRAY_SIZE(all), false, ports), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	faces_free(faces);
	ports_free(ports);
	faces = NULL;
	ports = NULL;
	return 0;
}

static void take(const char *address)
{
	struct addr a = ip(address);

	assert_true(ports_take(ports, ports_pool(ports, &a), NOW_NS) > 0);
}

/* The address of a new session's first leg. @of_call: an address of its call; NULL: none. */
static const char *chosen(struct media_req m, const char *of_call, uint64_t now_ns)
{
	static char text[ADDR_TEXT];
	struct addr a = of_call ? ip(of_call) : (struct addr){ 0 };
	struct faces_near near = { .of_call = { of_call ? &a : NULL }, .now_ns = now_ns };
	struct face face[2];

	assert_int_equal(faces_of_session(faces, &m, &near, face), PROTO_OK);
	assert_true(addr_host_eq(&face[0].addr, &face[1].addr));
	addr_host_text(&face[0].addr, text);
	return text;
}

static const struct media_req plain;

static void takes_the_one_with_fewest_pairs(void **state)
{
	(void)state;
	assert_string_equal(chosen(plain, NULL, NOW_NS), "10.0.0.1");
	take("10.0.0.1");
	assert_string_equal(chosen(plain, NULL, NOW_NS), "10.0.0.2");
	take("10.0.0.2");
	assert_string_equal(chosen(plain, NULL, NOW_NS), "10.0.0.3");
	take("10.0.0.3");
	assert_string_equal(chosen(plain, NULL, NOW_NS), "10.0.0.1");
}

static void a_call_keeps_its_address_until_that_is_full(void **state)
{
	(void)state;
	take("10.0.0.3");
	assert_string_equal(chosen(plain, "10.0.0.3", NOW_NS), "10.0.0.3");
	assert_string_equal(chosen(plain, "10.0.1.2", NOW_NS), "10.0.0.1");
	take("10.0.0.3");
	assert_string_equal(chosen(plain, "10.0.0.3", NOW_NS), "10.0.0.1");
}

static void a_label_stands_for_its_list(void **state)
{
	struct media_req far = { .local = PROTO_LOCAL_LABEL, .label = span_of("far") };

	(void)state;
	assert_int_equal(faces_proto_opts(faces)->labels_n, 2);
	assert_string_equal(chosen(far, NULL, NOW_NS), "10.0.1.1");
	take("10.0.1.1");
	assert_string_equal(chosen(far, NULL, NOW_NS), "10.0.1.2");
}

static void the_other_family_has_a_list(void **state)
{
	struct media_req six = { .ipv6 = true };

	(void)state;
	assert_string_equal(chosen(six, NULL, NOW_NS), "::1");
	take("::1");
	assert_string_equal(chosen(six, NULL, NOW_NS), "::2");
}

static void an_address_is_no_list(void **state)
{
	struct media_req one = { .local = PROTO_LOCAL_ADDR, .local_addr = ip("10.0.0.2") };

	(void)state;
	take("10.0.0.2");
	take("10.0.0.2");
	assert_string_equal(chosen(one, NULL, NOW_NS), "10.0.0.2");
}

static void passes_over_for_a_second(void **state)
{
	struct face face = { .addr = ip("10.0.0.1") };

	(void)state;
	assert_true(faces_pass_over(faces, &face, NOW_NS));
	assert_true(addr_host_eq(&face.addr, &(struct addr[]){ ip("10.0.0.2") }[0]));
	take("10.0.0.2");
	take("10.0.0.3");
	assert_string_equal(chosen(plain, NULL, NOW_NS + NSEC_PER_SEC - 1), "10.0.0.2");
	assert_string_equal(chosen(plain, "10.0.0.1", NOW_NS + NSEC_PER_SEC - 1), "10.0.0.2");
	assert_string_equal(chosen(plain, NULL, NOW_NS + NSEC_PER_SEC), "10.0.0.1");
}

static void no_other_address_is_left(void **state)
{
	struct face a = { .addr = ip("10.0.1.1") }, b = { .addr = ip("10.0.1.2") };
	struct face alone = { .addr = ip("10.9.9.9") };

	(void)state;
	assert_true(faces_pass_over(faces, &a, NOW_NS));
	assert_false(faces_pass_over(faces, &b, NOW_NS));
	assert_false(faces_pass_over(faces, &alone, NOW_NS));
}

/* A full address is not avoided after a pair is free again. */
static void full_is_not_broken(void **state)
{
	struct face face = { .addr = ip("10.0.1.1") };
	struct media_req far = { .local = PROTO_LOCAL_LABEL, .label = span_of("far") };

	(void)state;
	take("10.0.1.1");
	take("10.0.1.1");
	take("10.0.1.2");
	assert_true(faces_pass_over(faces, &face, NOW_NS));
	assert_true(addr_host_eq(&face.addr, &(struct addr[]){ ip("10.0.1.2") }[0]));
	ports_give(ports, ports_pool(ports, &(struct addr[]){ ip("10.0.1.1") }[0]), 40000, NOW_NS);
	ports_give(ports, ports_pool(ports, &(struct addr[]){ ip("10.0.1.1") }[0]), 40002, NOW_NS);
	assert_string_equal(chosen(far, NULL, NOW_NS), "10.0.1.1");
}

/* All addresses of a family have one pool: the legs decide. */
static void spreads_by_legs_with_shared_pools(void **state)
{
	struct addr a = ip("10.0.0.1");

	(void)state;
	end(state);
	assert_int_equal(begin(state), 0);
	ports_share(ports);
	for (struct local *p = faces->newest; p; p = p->next)
		p->pool = ports_pool(ports, &p->l.addr);
	faces_use(faces, &a);
	take("10.0.0.1");
	assert_string_equal(chosen(plain, NULL, NOW_NS), "10.0.0.2");
}

static void one_address_more(void **state)
{
	struct listener more = { .addr = ip("10.0.1.3"), .label = (char *)"far", .group = 1 };
	struct media_req far = { .local = PROTO_LOCAL_LABEL, .label = span_of("far") };
	const struct addr a = ip("10.0.1.3");

	(void)state;
	faces_use(faces, &a); /* by an l modifier, before */
	assert_int_equal(faces_legs(faces, &a), 1);
	faces_leave(faces, &a);
	assert_int_equal(faces_legs(faces, &a), 0);
	assert_int_equal(ports_add(ports, &a), 0);
	assert_int_equal(faces_add(faces, &more), 0);
	assert_int_equal(faces_proto_opts(faces)->labels_n, 2);
	take("10.0.1.1");
	take("10.0.1.2");
	assert_string_equal(chosen(far, NULL, NOW_NS), "10.0.1.3");
	faces_use(faces, &a);
	assert_int_equal(faces_legs(faces, &a), 1);
	faces_leave(faces, &a);
	take("10.0.1.3");
	take("10.0.1.3");
	assert_string_equal(chosen(far, NULL, NOW_NS), "10.0.1.1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(takes_the_one_with_fewest_pairs),
		TEST(a_call_keeps_its_address_until_that_is_full),
		TEST(a_label_stands_for_its_list),
		TEST(the_other_family_has_a_list),
		TEST(an_address_is_no_list),
		TEST(passes_over_for_a_second),
		TEST(no_other_address_is_left),
		TEST(full_is_not_broken),
		TEST(one_address_more),
		TEST(spreads_by_legs_with_shared_pools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

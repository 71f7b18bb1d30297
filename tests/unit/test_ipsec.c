/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ipsec.c - which IPsec policy takes which packet. tests/netns/host_path.sh tests the reading
 * of policies from a real kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "../../daemon/host/ipsec.c"

static void on_changed(void *arg)
{
	(void)arg;
}

/* A policy of one to three words: "dst/bits", "src/bits", and other conditions. */
struct row {
	const char *dst, *src;
	uint8_t dbits, sbits, proto;
	uint16_t sport, dport;
	int ifindex;
	uint32_t mark, mask, priority;
	bool takes;
};

static struct addr host(const char *text, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, strchr(text, ':') ? ADDR_IP6 : ADDR_IP4, text,
				    strlen(text)),
			 0);
	return addr_with_port(a, port);
}

static void put(struct ipsec *i, const struct row *r)
{
	int af = strchr(r->dst, ':') ? AF_INET6 : AF_INET;
	struct policy p = {
		.sel = { .family = af,
			 .prefixlen_d = r->dbits,
			 .prefixlen_s = r->sbits,
			 .proto = r->proto,
			 .sport = htons(r->sport),
			 .sport_mask = r->sport ? 0xffff : 0,
			 .dport = htons(r->dport),
			 .dport_mask = r->dport ? 0xffff : 0,
			 .ifindex = r->ifindex },
		.priority = r->priority,
		.mark = { .v = r->mark, .m = r->mask },
		.takes = r->takes,
	};

	assert_int_equal(inet_pton(af, r->dst, &p.sel.daddr), 1);
	if (r->src)
		assert_int_equal(inet_pton(af, r->src, &p.sel.saddr), 1);
	policies_add(&i->now, &p);
}

static void selectors(void **state)
{
	static const struct {
		struct row policy;
		bool takes, without_ports;
	} rows[] = {
		{ { .dst = "198.51.100.0", .dbits = 24, .takes = true }, true, true },
		{ { .dst = "198.51.100.10", .dbits = 32, .takes = true }, true, true },
		{ { .dst = "198.51.100.8", .dbits = 30, .takes = true }, true, true },
		{ { .dst = "198.51.100.12", .dbits = 30, .takes = true }, false, false },
		{ { .dst = "0.0.0.0", .takes = true }, true, true },
		{ { .dst = "0.0.0.0", .takes = false }, false, false },
		{ { .dst = "::", .takes = true }, false, false },
		{ { .dst = "0.0.0.0", .src = "192.0.2.0", .sbits = 24, .takes = true },
		  true,
		  true },
		{ { .dst = "0.0.0.0", .src = "192.0.3.0", .sbits = 24, .takes = true },
		  false,
		  false },
		{ { .dst = "0.0.0.0", .proto = 17, .takes = true }, true, true },
		{ { .dst = "0.0.0.0", .proto = 6, .takes = true }, false, false },
		{ { .dst = "0.0.0.0", .sport = 40000, .takes = true }, true, true },
		{ { .dst = "0.0.0.0", .sport = 40001, .takes = true }, false, true },
		{ { .dst = "0.0.0.0", .dport = 4000, .takes = true }, true, true },
		{ { .dst = "0.0.0.0", .dport = 53, .takes = true }, false, true },
		{ { .dst = "0.0.0.0", .ifindex = 3, .takes = true }, true, true },
		{ { .dst = "0.0.0.0", .ifindex = 4, .takes = true }, false, false },
		{ { .dst = "0.0.0.0", .mark = 5, .mask = 0xff, .takes = true }, true, true },
		{ { .dst = "0.0.0.0", .mark = 6, .mask = 0xff, .takes = true }, false, false },
	};
	struct outgoing p = { .oif = 3, .mark = 0x105 }, q;
	struct ipsec i = { .follower.changed = on_changed };
	size_t k;

	(void)state;
	p.dest = host("198.51.100.10", 4000);
	p.source = host("192.0.2.1", 40000);
	q = p;
	q.dest.port = q.source.port = 0;
	for (k = 0; k < ARRAY_SIZE(rows); k++) {
		put(&i, &rows[k].policy);
		if (ipsec_takes(&i, &p) != rows[k].takes ||
		    ipsec_takes(&i, &q) != rows[k].without_ports)
			fail_msg("row %zu", k);
		assert_int_equal(ipsec_by_port(&i), rows[k].policy.sport || rows[k].policy.dport);
		policies_clear(&i.now);
	}
	assert_false(ipsec_takes(&i, &p));
	i.now.block = true;
	assert_true(ipsec_takes(&i, &p));
	i.now = (struct policies){ .broken = true };
	assert_true(ipsec_takes(&i, &p));
}

static void priorities(void **state)
{
	struct row pass = { .dst = "198.51.100.10", .dbits = 32, .priority = 1 };
	struct row take = { .dst = "0.0.0.0", .priority = 2, .takes = true };
	struct ipsec i = { .follower.changed = on_changed };
	struct outgoing p = { .dest = host("198.51.100.10", 4000),
			      .source = host("192.0.2.1", 40000) };

	(void)state;
	put(&i, &take);
	put(&i, &pass);
	assert_false(ipsec_takes(&i, &p)); /* a bypass, as strongSwan installs for the LAN */
	p.dest = host("198.51.100.11", 4000);
	assert_true(ipsec_takes(&i, &p));
	p.dest = host("198.51.100.10", 4000);
	policies_clear(&i.now);
	pass.priority = take.priority; /* equal priorities: the kernel's order is not known */
	put(&i, &pass);
	put(&i, &take);
	assert_true(ipsec_takes(&i, &p));
	policies_clear(&i.now);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(selectors),
					    cmocka_unit_test(priorities) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

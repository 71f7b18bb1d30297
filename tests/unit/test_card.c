/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_card.c - doctor's findings about a network card, for drivers that this machine lacks: their
 * answers to ethtool's ioctl are made up here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/ethtool.h>
#include <net/if.h>
#include <sys/ioctl.h>

static int card_ioctl(int fd, unsigned long request, struct ifreq *ifr);
#define ioctl(fd, request, ifr) card_ioctl(fd, request, ifr)
#include "../../tools/card.c"
#undef ioctl
#include "../../tools/findings.c"

static struct {
	bool missing, down, lro;
	int mtu;
	unsigned int queues;
	uint64_t hash4, hash6; /* 0: the driver does not tell */
} card;

static int ethtool_answer(void *data)
{
	struct ethtool_channels *channels = data;
	struct ethtool_rxnfc *hash = data;
	struct ethtool_value *value = data;

	switch (*(__u32 *)data) {
	case ETHTOOL_GFLAGS:
		value->data = card.lro ? ETH_FLAG_LRO : 0;
		return 0;
	case ETHTOOL_GCHANNELS:
		channels->combined_count = card.queues;
		return card.queues ? 0 : -1;
	case ETHTOOL_GRXFH:
		hash->data = hash->flow_type == UDP_V4_FLOW ? card.hash4 : card.hash6;
		return hash->data ? 0 : -1;
	default:
		return -1;
	}
}

static int card_ioctl(int fd, unsigned long request, struct ifreq *ifr)
{
	assert_true(fd >= 0);
	assert_string_equal(ifr->ifr_name, "eth7");
	if (request == SIOCETHTOOL)
		return ethtool_answer(ifr->ifr_data);
	if (request == SIOCGIFMTU)
		ifr->ifr_mtu = card.mtu;
	else
		ifr->ifr_flags = card.down ? 0 : IFF_RUNNING;
	return card.missing ? -1 : 0;
}

/* The result of the only line of @check about the card; NULL: there is none. */
static const char *result_of(const char *check, const char *text)
{
	struct findings f = { .lines = json_object_new_array() };
	static char result[16];
	size_t n = 0;

	card_check(&f, "eth7");
	for (size_t i = 0; i < json_object_array_length(f.lines); i++) {
		struct json_object *o = json_object_array_get_idx(f.lines, i);
		const char *said = json_object_get_string(json_object_object_get(o, "text"));

		if (strcmp(json_object_get_string(json_object_object_get(o, "check")), check) ||
		    !strstr(said, text))
			continue;
		n++;
		snprintf(result, sizeof(result), "%s",
			 json_object_get_string(json_object_object_get(o, "result")));
	}
	assert_null(f.hopeless);
	json_object_put(f.lines);
	assert_true(n <= 1);
	return n ? result : NULL;
}

static int reset(void **state)
{
	(void)state;
	memset(&card, 0, sizeof(card));
	card.mtu = 1500;
	card.queues = 4;
	return 0;
}

static void judges_the_link(void **state)
{
	(void)state;
	assert_string_equal(result_of("link", "up"), "ok");
	card.down = true;
	assert_string_equal(result_of("link", "down"), "wrong");
	card.missing = true;
	assert_string_equal(result_of("interface", "not visible"), "warning");
	assert_null(result_of("link", ""));
}

static void judges_mtu_and_offload(void **state)
{
	(void)state;
	assert_string_equal(result_of("mtu", "1500"), "ok");
	assert_string_equal(result_of("offload", "off"), "ok");
	card.mtu = 9000;
	card.lro = true;
	assert_string_equal(result_of("mtu", "9000"), "warning");
	assert_string_equal(result_of("offload", "is on"), "warning");
}

static void judges_the_hash(void **state)
{
	(void)state;
	assert_null(result_of("hash", ""));
	card.hash4 = RXH_IP_SRC | RXH_IP_DST;
	card.hash6 = card.hash4 | RXH_L4_B_0_1 | RXH_L4_B_2_3;
	assert_string_equal(result_of("hash", "udp4"), "warning");
	assert_string_equal(result_of("hash", "udp6"), "ok");
	card.queues = 1; /* nothing to spread */
	assert_null(result_of("hash", ""));
}

static void adds_cpus(void **state)
{
	bool cpus[CPUS_MAX] = { false };

	(void)state;
	assert_int_equal(add_cpus("0", cpus), 1);
	assert_int_equal(add_cpus("0,2-3", cpus), 2);
	assert_int_equal(add_cpus("3-5,1023-2000", cpus), 3);
	assert_int_equal(add_cpus("", cpus), 0);
	assert_int_equal(add_cpus("x", cpus), 0);
	assert_true(cpus[5] && cpus[1023] && !cpus[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(judges_the_link, reset),
		cmocka_unit_test_setup(judges_mtu_and_offload, reset),
		cmocka_unit_test_setup(judges_the_hash, reset),
		cmocka_unit_test_setup(adds_cpus, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_kmod.c - flows that the module cannot delete for lack of memory. A fake module gives the
 * answers that the test sets; tests/kmod tests the real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <string.h>

#include "rtpx_genl.h"

/* The fake module: the ports that have a flow, and its answers. */
static struct {
	bool flow[65536];
	int err; /* answer to every request; 0: carry it out */
	unsigned int requests[RTPX_CMD_COPIES + 1];
	char answer[1024];
	size_t len;
	uint32_t dump_seq; /* of the dump that runs; 0: none */
	uint16_t dumped;   /* up to this port */
	int dump_err;	   /* at its end */
} module;

static void answer_error(const struct nlmsghdr *to, int err)
{
	struct nlmsghdr *h = (void *)(module.answer + module.len);
	struct nlmsgerr *e = (void *)(h + 1);

	h->nlmsg_len = NLMSG_LENGTH(sizeof(*e));
	h->nlmsg_type = NLMSG_ERROR;
	h->nlmsg_flags = 0;
	h->nlmsg_seq = to->nlmsg_seq;
	e->error = err;
	e->msg = *to;
	module.len += h->nlmsg_len;
}

static void answer_stats(const struct nlmsghdr *to)
{
	static const struct rtpx_flow_stats stats = { .packets = 7 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(module.answer);

	h->nlmsg_type = NLMSG_MIN_TYPE;
	h->nlmsg_seq = to->nlmsg_seq;
	mnl_nlmsg_put_extra_header(h, 4);
	mnl_attr_put(h, RTPX_A_STATS, sizeof(stats), &stats);
	module.len = h->nlmsg_len;
}

static struct nlmsghdr *dump_put(uint16_t type, uint32_t seq)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(module.answer + module.len);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_MULTI;
	h->nlmsg_seq = seq;
	return h;
}

static void dump_flow(uint16_t port, uint32_t seq)
{
	const struct rtpx_flow_stats stats = { .packets = port };
	const struct rtpx_flow flow = { .port = port, .call = port / 4 };
	struct nlmsghdr *h = dump_put(NLMSG_MIN_TYPE, seq);

	mnl_nlmsg_put_extra_header(h, 4);
	mnl_attr_put_u8(h, RTPX_A_FAMILY, RTPX_FAMILY_IP6);
	mnl_attr_put_u16(h, RTPX_A_PORT, port);
	mnl_attr_put(h, RTPX_A_FLOW, sizeof(flow), &flow);
	mnl_attr_put(h, RTPX_A_STATS, sizeof(stats), &stats);
	module.len += h->nlmsg_len;
}

/* A flow in each message, and an old answer beside it. */
static void dump_more(void)
{
	struct nlmsghdr *h;

	module.len = 0;
	while (++module.dumped && !module.flow[module.dumped])
		;
	dump_flow(1, module.dump_seq - 1);
	if (module.dumped) {
		dump_flow(module.dumped, module.dump_seq);
		return;
	}
	h = dump_put(NLMSG_DONE, module.dump_seq);
	memcpy(mnl_nlmsg_put_extra_header(h, sizeof(int)), &module.dump_err, sizeof(int));
	module.len += h->nlmsg_len;
	module.dump_seq = 0;
}

static ssize_t module_hears(const struct nlmsghdr *h)
{
	const uint8_t cmd = *(const uint8_t *)mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	uint16_t port = 0;
	int err = module.err;

	if (cmd == RTPX_CMD_GET && h->nlmsg_flags & NLM_F_DUMP) {
		module.dump_seq = h->nlmsg_seq;
		module.dumped = 0;
		return h->nlmsg_len;
	}

	mnl_attr_for_each(a, h, 4)
		if (mnl_attr_get_type(a) == RTPX_A_PORT)
			port = mnl_attr_get_u16(a);
	module.requests[cmd]++;
	module.len = 0;
	if (!err && cmd == RTPX_CMD_DEL && !module.flow[port])
		err = -ENOENT;
	else if (!err && cmd == RTPX_CMD_DEL)
		answer_stats(h);
	if (!err)
		module.flow[port] = cmd == RTPX_CMD_PUT;
	answer_error(h, err);
	return h->nlmsg_len;
}

static ssize_t module_says(void *buf)
{
	if (module.dump_seq)
		dump_more();
	memcpy(buf, module.answer, module.len);
	return module.len;
}

#define mnl_socket_sendto(nl, h, len) ((void)(nl), (void)(len), module_hears(h))
#define mnl_socket_recvfrom(nl, buf, size) ((void)(nl), (void)(size), module_says(buf))
#include "../../daemon/dataplane/kmod.c"

static struct dp_kmod k;

static int begin(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	memset(&module, 0, sizeof(module));
	k.dp.active = true;
	return 0;
}

struct swept {
	unsigned int n;
	uint16_t port[8];
};

static void take_swept(void *arg, const struct dp_swept *flow)
{
	struct swept *to = arg;

	assert_int_equal(flow->pool, RTPX_FAMILY_IP6);
	assert_int_equal(flow->stats.packets, flow->port);
	assert_int_equal(flow->call, flow->port / 4);
	to->port[to->n++] = flow->port;
}

/* One question gives all flows, in parts. A request for one flow may come in between. */
static void test_sweep(void **state)
{
	struct swept to = { 0 };

	(void)state;
	module.flow[40000] = module.flow[40002] = module.flow[50000] = true;
	assert_int_equal(kmod_stats_sweep(&k.dp, 0, take_swept, &to), 1);
	assert_int_equal(to.n, 1);
	assert_int_equal(kmod_stats_sweep(&k.dp, 0, take_swept, &to), 1);
	assert_int_equal(kmod_stats_sweep(&k.dp, UINT64_MAX, take_swept, &to), 0);
	assert_int_equal(to.n, 3);
	assert_int_equal(to.port[2], 50000);

	to.n = 0;
	assert_int_equal(kmod_stats_sweep(&k.dp, UINT64_MAX, take_swept, &to), 0);
	assert_int_equal(to.n, 3);

	module.dump_err = -ENOMEM;
	assert_int_equal(kmod_stats_sweep(&k.dp, UINT64_MAX, take_swept, &to), -ENOMEM);
	module.dump_err = 0;
	to.n = 0;
	assert_int_equal(kmod_stats_sweep(&k.dp, UINT64_MAX, take_swept, &to), 0);
	assert_int_equal(to.n, 3);
}

static int put(uint16_t port)
{
	const struct rtpx_flow flow = { .port = port };

	return kmod_flow_put(&k.dp, RTPX_FAMILY_IP4, port, &flow, NULL);
}

static int del(uint16_t port)
{
	return kmod_flow_del(&k.dp, RTPX_FAMILY_IP4, port, NULL);
}

/* A flow that could be neither replaced nor deleted is deleted later, and no other flow is. */
static void test_doomed(void **state)
{
	(void)state;
	assert_int_equal(put(40000), 0);
	assert_int_equal(put(40002), 0);
	module.err = -ENOMEM;
	assert_int_equal(put(40000), -ENOMEM);
	assert_int_equal(del(40000), -ENOMEM);
	kmod_tend(&k.dp);
	assert_true(module.flow[40000]);
	module.err = 0;
	kmod_tend(&k.dp);
	assert_false(module.flow[40000]);
	assert_true(module.flow[40002]);
	kmod_tend(&k.dp);
	assert_int_equal(module.requests[RTPX_CMD_DEL], 3); /* no needless request */
}

/* Without memory there is one attempt a second, for any number of flows. */
static void test_many(void **state)
{
	uint16_t port;

	(void)state;
	for (port = 40000; port < 40100; port++)
		assert_int_equal(put(port), 0);
	module.err = -ENOBUFS;
	for (port = 40000; port < 40100; port++)
		assert_int_equal(del(port), -ENOBUFS);
	kmod_tend(&k.dp);
	assert_int_equal(module.requests[RTPX_CMD_DEL], 101);
	module.err = 0;
	kmod_tend(&k.dp);
	assert_int_equal(module.requests[RTPX_CMD_DEL], 201);
	for (port = 40000; port < 40100; port++)
		assert_false(module.flow[port]);
}

/* The port has a new call meanwhile: its flow stays. */
static void test_taken_again(void **state)
{
	(void)state;
	assert_int_equal(put(40000), 0);
	module.err = -ENOMEM;
	assert_int_equal(del(40000), -ENOMEM);
	module.err = 0;
	assert_int_equal(put(40000), 0);
	kmod_tend(&k.dp);
	assert_true(module.flow[40000]);
	assert_int_equal(module.requests[RTPX_CMD_DEL], 1);
}

/* A flow that did not exist is not deleted again. */
static void test_nothing_there(void **state)
{
	(void)state;
	assert_int_equal(del(40000), -ENOENT);
	kmod_tend(&k.dp);
	assert_int_equal(module.requests[RTPX_CMD_DEL], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sweep, begin),
		cmocka_unit_test_setup(test_doomed, begin),
		cmocka_unit_test_setup(test_many, begin),
		cmocka_unit_test_setup(test_taken_again, begin),
		cmocka_unit_test_setup(test_nothing_there, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

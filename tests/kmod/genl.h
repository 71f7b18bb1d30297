/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * genl.h - a netlink socket that sends any request of a test to the module, for the tests of this
 * directory. Holds no test.
 */
#ifndef RTPX_TESTS_KMOD_GENL_H
#define RTPX_TESTS_KMOD_GENL_H

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rtpx_genl.h"

struct speaker {
	struct mnl_socket *nl;
	uint32_t seq;
	unsigned int answers; /* to the latest request, without its acknowledgement */
	char buf[32768] __attribute__((aligned(8)));
};

static uint16_t genl_family;

static inline void speaker_open(struct speaker *s)
{
	int on = 1;

	s->nl = mnl_socket_open(NETLINK_GENERIC);
	if (!s->nl || mnl_socket_bind(s->nl, 0, MNL_SOCKET_AUTOPID)) {
		perror("netlink");
		exit(1);
	}
	mnl_socket_setsockopt(s->nl, NETLINK_CAP_ACK, &on, sizeof(on));
}

/* say_header - begin a request in s->buf; the caller adds attributes. */
static inline struct nlmsghdr *say_header(struct speaker *s, uint16_t type, uint16_t flags,
					  uint8_t cmd, uint8_t version)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(s->buf);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++s->seq;
	g->cmd = cmd;
	g->version = version;
	return h;
}

/*
 * say - send a request and read up to the acknowledgement or the end of a dump. 0 or -errno. @fn
 * gets the answers.
 */
static inline int say(struct speaker *s, const struct nlmsghdr *h,
		      void (*fn)(const struct nlmsghdr *h, void *arg), void *arg)
{
	const uint32_t seq = h->nlmsg_seq;

	s->answers = 0;
	if (mnl_socket_sendto(s->nl, h, h->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		int left = mnl_socket_recvfrom(s->nl, s->buf, sizeof(s->buf));

		if (left < 0)
			return -errno;
		for (h = (void *)s->buf; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_seq != seq)
				continue;
			if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE)
				return *(int *)mnl_nlmsg_get_payload(h);
			s->answers++;
			if (fn)
				fn(h, arg);
		}
	}
}

static inline void take_family(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID)
			*(uint16_t *)arg = mnl_attr_get_u16(a);
}

/* find_family - set genl_family. 0 or -errno. */
static inline int find_family(struct speaker *s)
{
	struct nlmsghdr *h = say_header(s, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY, 1);

	mnl_attr_put_strz(h, CTRL_ATTR_FAMILY_NAME, RTPX_GENL_NAME);
	return say(s, h, take_family, &genl_family);
}

#endif

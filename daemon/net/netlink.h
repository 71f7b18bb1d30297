/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netlink.h - one question to route netlink and its answer, without a cache or an event loop;
 * addresses in netlink's form. Knows nothing of the meaning of a question.
 */
#ifndef RTPX_NETLINK_H
#define RTPX_NETLINK_H

#include "base/addr.h"
#include "base/base.h"

struct nl_msg;
struct nl_sock;
struct nlmsghdr;

struct netlink {
	struct nl_sock *sk; /* for libnl's own dumps, too; not for notices */
	char buf[32768] __attribute__((aligned(8)));
};

/* netlink_open - open in the caller's network namespace. 0, or -errno with a line in the log. */
int netlink_open(struct netlink **out);
void netlink_close(struct netlink *nl); /* NULL is allowed */

/*
 * netlink_socket - open a separate connected socket, for notices. The caller frees it. Errors as
 * netlink_open().
 */
int netlink_socket(struct nl_sock **out);

/* netlink_request - a request of @type with its fixed header of @len bytes; NULL: out of memory. */
struct nl_msg *netlink_request(int type, int flags, const void *head, size_t len);

/*
 * netlink_ask - send a request and free it, then read the kernel's answer. 0 with *@reply, valid
 * until the next question; 0 with *@reply NULL for a mere acknowledgement; or the kernel's -errno.
 */
int netlink_ask(struct netlink *nl, struct nl_msg *msg, struct nlmsghdr **reply);

/* netlink_af, netlink_family - AF_INET or AF_INET6 of a family, and back (ADDR_NONE: another). */
int netlink_af(unsigned int family);
enum addr_family netlink_family(int af);

/*
 * netlink_host - make an address with port 0 from @len bytes of an attribute; false when they are
 * no address of @family.
 */
bool netlink_host(struct addr *a, enum addr_family family, const void *ip, size_t len);

/* A range of addresses; all zero: of no family. */
struct netlink_prefix {
	uint8_t family; /* enum addr_family */
	uint8_t bits;
	uint8_t ip[16];
};

/* netlink_covers - @host is in the range. */
bool netlink_covers(const struct netlink_prefix *p, const struct addr *host);

/* netlink_key - the host of @a alone, every other byte 0: fit to be a hash key. */
struct addr netlink_key(const struct addr *a);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netlink.c - questions to route netlink. The kernel handles a question within send(), so the
 * answer is there when send() returns, and nothing here waits.
 */
#include <errno.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/netlink.h"
#include "base/log.h"

int netlink_socket(struct nl_sock **out)
{
	struct nl_sock *sk = nl_socket_alloc();
	int rc;

	if (!sk)
		return -ENOMEM;
	nl_socket_disable_auto_ack(sk);
	nl_socket_disable_seq_check(sk);
	rc = nl_connect(sk, NETLINK_ROUTE);
	if (rc < 0) {
		log_err("cannot open a route netlink socket: %s", nl_geterror(rc));
		nl_socket_free(sk);
		return -EIO;
	}
	*out = sk;
	return 0;
}

int netlink_open(struct netlink **out)
{
	struct netlink *nl = calloc(1, sizeof(*nl));
	int rc;

	if (!nl)
		return -ENOMEM;
	rc = netlink_socket(&nl->sk);
	if (rc) {
		free(nl);
		return rc;
	}
	*out = nl;
	return 0;
}

void netlink_close(struct netlink *nl)
{
	if (nl)
		nl_socket_free(nl->sk);
	free(nl);
}

struct nl_msg *netlink_request(int type, int flags, const void *head, size_t len)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

	if (msg && nlmsg_append(msg, (void *)head, len, NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

int netlink_ask(struct netlink *nl, struct nl_msg *msg, struct nlmsghdr **reply)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	int fd = nl_socket_get_fd(nl->sk), rc = 0;
	uint32_t seq;
	ssize_t len;

	nl_complete_msg(nl->sk, msg);
	seq = h->nlmsg_seq;
	if (send(fd, h, h->nlmsg_len, 0) < 0)
		rc = -errno;
	nlmsg_free(msg);
	if (rc)
		return rc;
	do {
		len = recv(fd, nl->buf, sizeof(nl->buf), MSG_DONTWAIT);
		if (len < 0)
			return -errno;
		h = (struct nlmsghdr *)nl->buf;
	} while (!nlmsg_ok(h, len) || h->nlmsg_seq != seq);
	*reply = h;
	if (h->nlmsg_type != NLMSG_ERROR)
		return 0;
	*reply = NULL;
	return ((struct nlmsgerr *)nlmsg_data(h))->error;
}

int netlink_af(unsigned int family)
{
	return family == ADDR_IP6 ? AF_INET6 : AF_INET;
}

enum addr_family netlink_family(int af)
{
	return af == AF_INET ? ADDR_IP4 : af == AF_INET6 ? ADDR_IP6 : ADDR_NONE;
}

bool netlink_host(struct addr *a, enum addr_family family, const void *ip, size_t len)
{
	*a = (struct addr){ .family = family };
	if (len == 0 || len != addr_ip_len(a))
		return false;
	memcpy(a->ip, ip, len);
	return true;
}

bool netlink_covers(const struct netlink_prefix *p, const struct addr *host)
{
	unsigned int whole = p->bits / 8, rest = p->bits % 8;

	if (p->family != host->family || memcmp(p->ip, host->ip, whole))
		return false;
	return rest == 0 || ((p->ip[whole] ^ host->ip[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

struct addr netlink_key(const struct addr *a)
{
	struct addr key = { .family = a->family };

	memcpy(key.ip, a->ip, addr_ip_len(a));
	return key;
}

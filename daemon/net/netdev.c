/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netdev.c - the "netdev" generic netlink family: one question and one subscription. Answers are
 * not cached; the caller asks at start and when links change.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "net/netdev.h"

#define FAMILY "netdev"
#define NOTICES "mgmt" /* its multicast group */
#define ANSWER_SECONDS 5

/* Numbers of the family (Linux, include/uapi/linux/netdev.h). */
enum { CMD_DEV_GET = 1 };
enum { ATTR_IFINDEX = 1, ATTR_XDP_FEATURES = 3 };

/*
 * The kernel lacks the family (before 6.3). It is no module, so that does not change. Each question
 * for it would make the kernel run modprobe, while the caller waits.
 */
static bool lacks_family;

struct family {
	uint16_t id;
	uint32_t group; /* of NOTICES */
};

/* Room for one answer: the description of a family has all its commands. */
struct netdev {
	struct mnl_socket *nl;
	unsigned int seq;
	char buf[32768] __attribute__((aligned(8)));
};

static struct nlmsghdr *netdev_request(struct netdev *d, int type, int command)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(d->buf);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = ++d->seq;
	g->cmd = command;
	g->version = 1;
	return h;
}

/* Send @h; @take gets each answer before the acknowledgement. 0 or the kernel's -errno. */
static int netdev_ask(struct netdev *d, const struct nlmsghdr *h, mnl_cb_t take, void *arg)
{
	unsigned int port = mnl_socket_get_portid(d->nl);
	ssize_t n = mnl_socket_sendto(d->nl, h, h->nlmsg_len);
	int more = MNL_CB_OK;

	while (n >= 0 && more > MNL_CB_STOP) {
		do {
			n = mnl_socket_recvfrom(d->nl, d->buf, sizeof(d->buf));
		} while (n < 0 && errno == EINTR);
		if (n >= 0)
			more = mnl_cb_run(d->buf, n, d->seq, port, take, arg);
	}
	return n < 0 || more < 0 ? -errno : 0;
}

static void take_group(const struct nlattr *group, struct family *f)
{
	const struct nlattr *a;
	const char *name = "";
	uint32_t id = 0;

	mnl_attr_for_each_nested(a, group) {
		if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GRP_NAME &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			name = mnl_attr_get_str(a);
		else if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GRP_ID &&
			 mnl_attr_validate(a, MNL_TYPE_U32) == 0)
			id = mnl_attr_get_u32(a);
	}
	if (!strcmp(name, NOTICES))
		f->group = id;
}

static int netdev_family(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *a, *group;
	struct family *f = arg;

	mnl_attr_for_each(a, h, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID &&
		    mnl_attr_validate(a, MNL_TYPE_U16) == 0)
			f->id = mnl_attr_get_u16(a);
		else if (mnl_attr_get_type(a) == CTRL_ATTR_MCAST_GROUPS)
			mnl_attr_for_each_nested(group, a)
				take_group(group, f);
	}
	return MNL_CB_OK;
}

static int take_features(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *a;
	uint64_t *features = arg;

	mnl_attr_for_each(a, h, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(a) == ATTR_XDP_FEATURES &&
		    mnl_attr_validate(a, MNL_TYPE_U64) == 0)
			*features = mnl_attr_get_u64(a);
	return MNL_CB_OK;
}

static void netdev_close(struct netdev *d)
{
	if (d->nl)
		mnl_socket_close(d->nl);
	free(d);
}

/* Connect, and find the family. 0 or -errno; the caller closes @*out after 0. */
static int netdev_open(struct netdev **out, struct family *f)
{
	const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	struct netdev *d;
	struct nlmsghdr *h;
	int err;

	if (lacks_family)
		return -EOPNOTSUPP;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!d->nl || mnl_socket_bind(d->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		goto err_close;
	}
	setsockopt(mnl_socket_get_fd(d->nl), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	h = netdev_request(d, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(h, CTRL_ATTR_FAMILY_NAME, FAMILY);
	*f = (struct family){ 0 };
	err = netdev_ask(d, h, netdev_family, f);
	lacks_family = err == -ENOENT;
	if (err)
		goto err_close;
	*out = d;
	return 0;

err_close:
	netdev_close(d);
	return err == -ENOENT ? -EOPNOTSUPP : err;
}

int netdev_xdp_features(unsigned int ifindex, uint64_t *features)
{
	uint64_t found = 0;
	struct netdev *d;
	struct nlmsghdr *h;
	struct family f;
	int err = netdev_open(&d, &f);

	if (err)
		return err;
	h = netdev_request(d, f.id, CMD_DEV_GET);
	mnl_attr_put_u32(h, ATTR_IFINDEX, ifindex);
	err = netdev_ask(d, h, take_features, &found);
	netdev_close(d);
	if (!err)
		*features = found;
	return err;
}

int netdev_notices(int *out)
{
	const struct sockaddr_nl own = { .nl_family = AF_NETLINK };
	struct netdev *d;
	struct family f;
	int err = netdev_open(&d, &f), fd;

	if (err)
		return err;
	netdev_close(d);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&own, sizeof(own)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &f.group, sizeof(f.group))) {
		err = -errno;
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netdev.c - the "netdev" generic netlink family: one question and one subscription. Answers are
 * not cached; the caller asks at start and when links change.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "net/netdev.h"

/* Numbers of the family (Linux, include/uapi/linux/netdev.h). */
enum { CMD_DEV_GET = 1 };
enum { ATTR_IFINDEX = 1, ATTR_XDP_FEATURES = 3, ATTR_MAX = 3 };

/*
 * The kernel lacks the family (before 6.3). It is no module, so that does not change. Each question
 * for it would make the kernel run modprobe, while the caller waits.
 */
static bool lacks_family;

static int resolve(struct nl_sock *sk)
{
	int rc = genl_ctrl_resolve(sk, "netdev");

	lacks_family = rc == -NLE_OBJ_NOTFOUND;
	return rc;
}

static int errno_of(int nl)
{
	switch (-nl) {
	case NLE_OBJ_NOTFOUND: return -EOPNOTSUPP; /* the kernel lacks the family */
	case NLE_NODEV: return -ENODEV;
	case NLE_PERM: return -EPERM;
	case NLE_NOMEM: return -ENOMEM;
	default: return nl < 0 ? -EIO : 0;
	}
}

static int on_features(struct nl_msg *msg, void *arg)
{
	struct nlattr *a[ATTR_MAX + 1];
	uint64_t *features = arg;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, a, ATTR_MAX, NULL) == 0 && a[ATTR_XDP_FEATURES])
		*features = nla_get_u64(a[ATTR_XDP_FEATURES]);
	return NL_OK;
}

static int ask_features(struct nl_sock *sk, int family, unsigned int ifindex, uint64_t *features)
{
	struct nl_msg *msg = nlmsg_alloc();
	int rc;

	if (!msg)
		return -NLE_NOMEM;
	if (!genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, 0, CMD_DEV_GET, 1) ||
	    nla_put_u32(msg, ATTR_IFINDEX, ifindex)) {
		nlmsg_free(msg);
		return -NLE_NOMEM;
	}
	nl_socket_modify_cb(sk, NL_CB_VALID, NL_CB_CUSTOM, on_features, features);
	rc = nl_send_sync(sk, msg);
	return MIN(rc, 0);
}

int netdev_xdp_features(unsigned int ifindex, uint64_t *features)
{
	struct nl_sock *sk;
	uint64_t found = 0;
	int rc;

	if (lacks_family)
		return -EOPNOTSUPP;
	sk = nl_socket_alloc();
	if (!sk)
		return -ENOMEM;
	rc = genl_connect(sk);
	if (rc == 0)
		rc = resolve(sk);
	if (rc >= 0)
		rc = ask_features(sk, rc, ifindex, &found);
	nl_socket_free(sk);
	if (rc == 0)
		*features = found;
	return errno_of(rc);
}

int netdev_notices(struct nl_sock **out)
{
	struct nl_sock *sk;
	int rc;

	if (lacks_family)
		return -EOPNOTSUPP;
	sk = nl_socket_alloc();
	if (!sk)
		return -ENOMEM;
	nl_socket_disable_seq_check(sk);
	rc = genl_connect(sk);
	if (rc == 0)
		rc = genl_ctrl_resolve_grp(sk, "netdev", "mgmt");
	if (rc >= 0)
		rc = nl_socket_add_membership(sk, rc);
	if (rc == 0)
		rc = nl_socket_set_nonblocking(sk);
	if (rc < 0) {
		nl_socket_free(sk);
		return errno_of(rc);
	}
	*out = sk;
	return 0;
}

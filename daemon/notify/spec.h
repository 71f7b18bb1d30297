/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spec.h - a value of -n: the kind and the address of a notification target. Pure: resolves no
 * name.
 */
#ifndef RTPX_SPEC_H
#define RTPX_SPEC_H

#include "base/base.h"

#define NOTIFY_MAX_SELF 2 /* values of -n with %%CC_SELF%% */

enum notify_kind { NOTIFY_UNIX, NOTIFY_TCP, NOTIFY_SELF, NOTIFY_XMLRPC, NOTIFY_JSONRPC };

/* A parsed value of -n. */
struct notify_spec {
	enum notify_kind kind;
	char path[1024]; /* of the socket, or of the URL with its query */
	char host[256];	 /* without the brackets of an IPv6 address */
	uint16_t port;
};

/* notify_parse - 0, or -EINVAL with the reason in *@why, a static text. */
int notify_parse(struct notify_spec *out, const char *text, const char **why);

static inline bool notify_is_rpc(enum notify_kind kind)
{
	return kind == NOTIFY_XMLRPC || kind == NOTIFY_JSONRPC;
}

#endif

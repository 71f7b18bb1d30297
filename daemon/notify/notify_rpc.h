/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notify_rpc.h - the remote procedure calls that ask a SIP proxy to end a dialog: what to send over
 * HTTP, and what an answer means. Pure: it opens nothing and knows no URL.
 *
 * XML-RPC has two methods. dlg_terminate_dlg takes the Call-ID alone, and is what a proxy expects
 * that gives an "xmlrpc:" time-out socket to its relay (capability 20100819). Proxies of today have
 * dlg.terminate_dlg instead, which takes Call-ID and both tags, by XML-RPC and by JSON-RPC 2.0.
 */
#ifndef RTPX_NOTIFY_RPC_H
#define RTPX_NOTIFY_RPC_H

#include "base/base.h"

struct evbuffer;

enum rpc_kind { RPC_XML, RPC_JSON };
enum rpc_method { RPC_BY_CALL_ID, RPC_BY_TAGS }; /* with JSON only the second */

/* As in SIP: without what a controller has added for the relay. "" where unknown. */
struct rpc_dialog {
	const char *call_id, *from_tag, *to_tag;
};

enum rpc_answer {
	RPC_DONE,
	RPC_REFUSED,	/* the proxy has understood, and will not */
	RPC_UNREADABLE, /* it is no answer to a call */
};

/* rpc_content_type - the HTTP header's value. */
const char *rpc_content_type(enum rpc_kind kind);

/* rpc_request - append the body to @out; 0 or -ENOMEM. @id: of the request, JSON only. */
int rpc_request(struct evbuffer *out, enum rpc_kind kind, enum rpc_method method,
		const struct rpc_dialog *dialog, uint32_t id);

/* rpc_answer - what the @len bytes at @body say; with RPC_REFUSED the proxy's reason is in @why. */
enum rpc_answer rpc_answer(enum rpc_kind kind, const char *body, size_t len, char *why,
			   size_t why_size);

#endif

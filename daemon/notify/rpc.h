/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc.h - the remote procedure calls that ask a SIP proxy to end a dialog: it writes the
 * body of the HTTP request, and reads the answer. Pure: it opens no connection and uses no URL.
 *
 * XML-RPC has two methods. dlg_terminate_dlg takes the Call-ID alone; a proxy that gives an
 * "xmlrpc:" time-out socket to its relay expects it (capability 20100819). Proxies of today have
 * dlg.terminate_dlg instead. It takes Call-ID and both tags, by XML-RPC and by JSON-RPC 2.0.
 */
#ifndef RTPX_RPC_H
#define RTPX_RPC_H

#include "base/base.h"

struct evbuffer;

enum rpc_kind { RPC_XML, RPC_JSON };
enum rpc_method { RPC_BY_CALL_ID, RPC_BY_TAGS }; /* JSON has only the second */

/* A dialog as SIP names it, without additions of the controller for the relay. "": unknown. */
struct rpc_dialog {
	const char *call_id, *from_tag, *to_tag;
};

enum rpc_answer {
	RPC_DONE,
	RPC_REFUSED,	/* the proxy understood the request and refused it */
	RPC_UNREADABLE, /* not an answer to an RPC */
};

/* rpc_content_type - the HTTP header's value. */
const char *rpc_content_type(enum rpc_kind kind);

/* rpc_request - append the body of the request to @out. @id is for JSON only. 0 or -ENOMEM. */
int rpc_request(struct evbuffer *out, enum rpc_kind kind, enum rpc_method method,
		const struct rpc_dialog *dialog, uint32_t id);

/* rpc_answer - read the answer in @body. With RPC_REFUSED, @why gets the proxy's reason. */
enum rpc_answer rpc_answer(enum rpc_kind kind, const char *body, size_t len, char *why,
			   size_t why_size);

#endif

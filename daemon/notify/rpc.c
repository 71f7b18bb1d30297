/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc.c - the parts of XML-RPC and JSON-RPC 2.0 that are needed to end a dialog. In an XML
 * answer it looks only for a fault. Values of the answer are used only in the log.
 */
#include "notify/rpc.h"

#include <errno.h>
#include <event2/buffer.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>

static const char by_call_id[] = "dlg_terminate_dlg", by_tags[] = "dlg.terminate_dlg";

const char *rpc_content_type(enum rpc_kind kind)
{
	return kind == RPC_XML ? "text/xml" : "application/json";
}

/* ---- XML ---- */

static void xml_text(struct evbuffer *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			evbuffer_add_printf(out, "&lt;");
			break;
		case '>':
			evbuffer_add_printf(out, "&gt;");
			break;
		case '&':
			evbuffer_add_printf(out, "&amp;");
			break;
		default:
			evbuffer_add(out, text, 1);
		}
	}
}

static void xml_param(struct evbuffer *out, const char *text)
{
	evbuffer_add_printf(out, "<param><value><string>");
	xml_text(out, text);
	evbuffer_add_printf(out, "</string></value></param>");
}

static int xml_request(struct evbuffer *out, enum rpc_method method, const struct rpc_dialog *d)
{
	evbuffer_add_printf(out, "<?xml version=\"1.0\"?>\n<methodCall>");
	evbuffer_add_printf(out, "<methodName>%s</methodName><params>",
			    method == RPC_BY_CALL_ID ? by_call_id : by_tags);
	xml_param(out, d->call_id);
	if (method == RPC_BY_TAGS) {
		xml_param(out, d->from_tag);
		xml_param(out, d->to_tag);
	}
	return evbuffer_add_printf(out, "</params></methodCall>\n") < 0 ? -ENOMEM : 0;
}

static struct span word_after(struct span in, const char *word)
{
	size_t n = strlen(word);
	const char *p = in.len ? memmem(in.p, in.len, word, n) : NULL;

	if (!p)
		return (struct span){ 0 };
	return (struct span){ p + n, in.len - (size_t)(p + n - in.p) };
}

static enum rpc_answer xml_answer(struct span body, char *why, size_t why_size)
{
	struct span fault, text;
	const char *end;

	if (!word_after(body, "<methodResponse").p)
		return RPC_UNREADABLE;
	fault = word_after(body, "<fault>");
	if (!fault.p)
		return word_after(body, "<params").p ? RPC_DONE : RPC_UNREADABLE;
	text = word_after(word_after(fault, "faultString"), "<string>");
	end = text.len ? memchr(text.p, '<', text.len) : NULL;
	snprintf(why, why_size, "%.*s", end ? (int)MIN(end - text.p, INT_MAX) : 0, text.p);
	return RPC_REFUSED;
}

/* ---- JSON ---- */

static int json_request(struct evbuffer *out, const struct rpc_dialog *d, uint32_t id)
{
	struct json_object *call = json_object_new_object(), *params = json_object_new_array();
	const char *text;
	size_t len;
	int r;

	json_object_array_add(params, json_object_new_string(d->call_id));
	json_object_array_add(params, json_object_new_string(d->from_tag));
	json_object_array_add(params, json_object_new_string(d->to_tag));
	json_object_object_add(call, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(call, "method", json_object_new_string(by_tags));
	json_object_object_add(call, "params", params);
	json_object_object_add(call, "id", json_object_new_int64(id));
	text = json_object_to_json_string_length(call,
						 JSON_C_TO_STRING_PLAIN |
							 JSON_C_TO_STRING_NOSLASHESCAPE,
						 &len);
	r = text && evbuffer_add(out, text, len) == 0 ? 0 : -ENOMEM;
	json_object_put(call);
	return r;
}

static enum rpc_answer json_answer(struct span body, char *why, size_t why_size)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *answer, *error, *text;
	enum rpc_answer r = RPC_UNREADABLE;

	if (!tokener)
		return r;
	answer = json_tokener_parse_ex(tokener, body.p, (int)MIN(body.len, INT_MAX));
	if (json_object_object_get_ex(answer, "error", &error) && error) {
		if (!json_object_object_get_ex(error, "message", &text))
			text = error;
		snprintf(why, why_size, "%s", json_object_get_string(text));
		r = RPC_REFUSED;
	} else if (json_object_object_get_ex(answer, "result", NULL)) {
		r = RPC_DONE;
	}
	json_object_put(answer);
	json_tokener_free(tokener);
	return r;
}

/* ---- both ---- */

int rpc_request(struct evbuffer *out, enum rpc_kind kind, enum rpc_method method,
		const struct rpc_dialog *dialog, uint32_t id)
{
	return kind == RPC_XML ? xml_request(out, method, dialog) : json_request(out, dialog, id);
}

enum rpc_answer rpc_answer(enum rpc_kind kind, const char *body, size_t len, char *why,
			   size_t why_size)
{
	struct span text = { body, len };

	if (!len)
		return RPC_UNREADABLE;
	return kind == RPC_XML ? xml_answer(text, why, why_size) : json_answer(text, why, why_size);
}

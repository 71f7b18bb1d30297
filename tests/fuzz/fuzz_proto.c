/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_proto.c - any bytes as a control datagram and as a command line; what is parsed must lie in
 * the input and keep the promises of proto.h. An input is a plain command, as a controller sends it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/addr.c"
#include "protocol/proto.c"

#define PROMISE(x)                                                              \
	do {                                                                    \
		if (!(x)) {                                                     \
			fprintf(stderr, "line %d: not so: %s\n", __LINE__, #x); \
			abort();                                                \
		}                                                               \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct span labels[] = { { "one", 3 }, { "two", 3 } };
static const struct proto_opts configurations[] = {
	{ .default_family = ADDR_IP4, .have_ip4 = true },
	{ .default_family = ADDR_IP6, .have_ip6 = true, .labels = labels, .labels_n = 2 },
	{ .bridge = true,
	  .default_family = ADDR_IP4,
	  .have_ip4 = true,
	  .have_ip6 = true,
	  .modules = ~0u },
};

static void check_span(struct span s, struct span line)
{
	if (s.p)
		PROMISE(s.p >= line.p && s.p + s.len <= line.p + line.len &&
			!memchr(s.p, 0, s.len));
	else
		PROMISE(s.len == 0);
}

static void check_media(const struct media_req *m, const struct proto_opts *opts, struct span line)
{
	check_span(m->codecs, line);
	check_span(m->label, line);
	PROMISE(m->ptime_ms < 1000);
	PROMISE(!m->on_hold || m->peer.family == ADDR_NONE);
	PROMISE(m->peer.family == ADDR_NONE || m->peer.family == (m->ipv6 ? ADDR_IP6 : ADDR_IP4));
	PROMISE(opts->bridge || m->side[0] == SIDE_UNSET);
	PROMISE(m->side[0] != SIDE_UNSET || m->side[1] == SIDE_UNSET);
	PROMISE(m->local != PROTO_LOCAL_LABEL || m->label.len);
	PROMISE(m->local == PROTO_LOCAL_UNSET || m->local == PROTO_LOCAL_LABEL ||
		m->local_addr.family != ADDR_NONE);
}

static void check_sub(const struct subcmd *s, const struct proto_opts *opts, struct span line)
{
	check_span(s->call_id, line);
	check_span(s->from_tag, line);
	check_span(s->to_tag, line);
	check_span(s->dtmf.tag, line);
	check_media(&s->media, opts, line);
	PROMISE(s->op != SUB_SET || s->value > 0);
	PROMISE(s->op != SUB_MODULE || opts->modules >> s->module & 1);
}

static void check_request(const struct request *r, const struct proto_opts *opts, struct span line)
{
	const struct span spans[] = { r->call_id,    r->from_tag, r->to_tag, r->notify_socket,
				      r->notify_tag, r->target,	  r->codecs, r->date };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(spans); i++)
		check_span(spans[i], line);
	PROMISE(r->names_n <= PROTO_NAMES_MAX && r->subs_n <= PROTO_SUBS_MAX);
	for (i = 0; i < r->names_n; i++)
		check_span(r->names[i], line);
	check_media(&r->media, opts, line);
	for (i = 0; i < r->subs_n; i++)
		check_sub(&r->sub[i], opts, line);
	if (r->notify_tag.p)
		PROMISE(proto_unquote(r->notify_tag, NULL) <= (int)r->notify_tag.len);
}

/* Any text as data of sub-commands: the reply stays one line within its bounds. */
static void check_replies(const struct request *r, struct span line)
{
	struct addr local = r->media.local_addr;
	char text[2048];
	struct reply reply = { 0 };
	unsigned int i;

	snprintf(text, sizeof(text), "%.*s", (int)MIN(line.len, sizeof(text) - 1), line.p);
	reply_port(&reply, &local, line.len & 1 ? text : NULL);
	for (i = 0; i < r->subs_n; i++)
		reply_sub(&reply, r->sub[i].op == SUB_MODULE, r->sub[i].reverse ? NULL : text);
	reply_end(&reply, E_MEMORY);
	PROMISE(reply.len >= 2 && reply.len <= PROTO_REPLY_MAX);
	PROMISE(reply.text[reply.len - 1] == '\n');
}

static void check_line(struct span line)
{
	static struct request r;
	enum proto_error err;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(configurations); i++) {
		err = proto_parse(&r, line.p, line.len, &configurations[i]);
		PROMISE(err >= PROTO_OK && err <= E_SHUTDOWN);
		if (err != PROTO_OK)
			continue;
		check_request(&r, &configurations[i], line);
		check_replies(&r, line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = { (const char *)data, size }, cookie, command;

	check_line(line);
	if (proto_cookie(line.p, line.len, &cookie, &command) == 0) {
		PROMISE(cookie.len > 0 && cookie.len <= PROTO_COOKIE_MAX);
		check_span(cookie, line);
		check_line(command);
	}
	return 0;
}

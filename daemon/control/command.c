/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command.c - hands a parsed request to the engine and prints the reply. It handles no socket and
 * no packet.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/command.h"
#include "base/log.h"
#include "base/provoked.h"
#include "protocol/proto.h"

struct commands {
	struct commands_opts o;
	struct request req; /* the command that runs now; too large for the stack */
	struct reply reply;
	struct command_counts counts;
};

/*
 * One command while it runs. @failed: the command counts as an error although its reply is a
 * number, as with L for an unknown session.
 */
struct run {
	struct commands *c;
	const struct request *req;
	struct dialog of; /* the names in @req */
	struct reply *reply;
	struct engine_result result;
	uint64_t now_ns;
	const struct addr *peer;
	bool failed;
	bool swapped; /* a sub-command L has exchanged the two parties */
};

/* Every capability that a controller may ask for with VF. -v lists them in this order. */
static const struct {
	const char *date, *text;
	bool live;
} capabilities[] = {
	{ "20040107", "Basic RTP proxy functionality", true },
	{ "20050322", "Support for multiple RTP streams and MOH", true },
	{ "20060704", "Support for extra parameter in the V command", true },
	{ "20071116", "Support for RTP re-packetization", true },
	{ "20071218", "Support for forking (copying) RTP stream", true },
	{ "20080403", "Support for RTP statistics querying", true },
	{ "20081102", "Support for setting codecs in the update/lookup command", true },
	{ "20081224", "Support for session timeout notifications", true },
	{ "20090810", "Support for automatic bridging", true },
	{ "20100819", "Support for timeout notifications by XML-RPC", true },
	{ "20140323", "Support for tracking/reporting load", true },
	{ "20140617", "Support for anchoring session connect time", true },
	{ "20141004", "Support for extendable performance counters", true },
	{ "20150330", "Support for allocating a new port (\"Un\"/\"Ln\" commands)", true },
	{ "20150420", "Support for SEQ tracking and new rtpa_ counters; Q command extended", true },
	{ "20150617", "Support for the wildcard %%CC_SELF%% as a disconnect notify target", true },
	{ "20191015", "Support for the && sub-command specifier", true },
	{ "20200226", "Support for the N command to stop recording", true },
	{ "20230205", "Support for rtpa_nlost and DTMF h", true },
	{ "20230314", "Support for G/D and Q/D command fusing", true },
	{ "20230424", "Support for longest_ipi and rtpa_j counters", true },
	{ "20250523", "Support for the port in the reply of C", true },
	{ "20251015", "Support for the && S sub-command", true },
	{ "20260306", "Support for labels of listeners", true },
	{ "20260308", "Support for the && L sub-command", true },
	{ "20260309", "Support for the && C sub-command", true },
};

const char *command_capability(unsigned int n, const char **text, bool *live)
{
	if (n >= ARRAY_SIZE(capabilities))
		return NULL;
	*text = capabilities[n].text;
	*live = capabilities[n].live;
	return capabilities[n].date;
}

/* ---- U and L ---- */

static void face_add(struct reply *r, const struct engine_result *res)
{
	const struct leg *leg = res->returned;

	reply_port(r, &leg->local, leg->advertised);
}

static int run_update(struct run *run)
{
	const struct request *req = run->req;
	struct engine_update u = {
		.lookup = req->op == OP_LOOKUP,
		.dialog = run->of,
		.media = &req->media,
		.notify_socket = req->notify_socket,
		.peer = run->peer,
	};
	char tag[PROTO_LINE_MAX];
	int err;

	if (req->notify_tag.p)
		u.notify_tag = (struct span){ tag, proto_unquote(req->notify_tag, tag) };
	err = engine_update(run->c->o.engine, &u, run->now_ns, &run->result);
	if (err == ENGINE_NOT_FOUND) {
		run->failed = true;
		reply_add(run->reply, "0");
		return PROTO_OK;
	}
	if (err == PROTO_OK)
		face_add(run->reply, &run->result);
	return err;
}

/* ---- Q ---- */

/* name, format, cast */
#define QUERY_NAMES(X)                            \
	X(ttl, "%llu", unsigned long long)        \
	X(npkts_ina, "%llu", unsigned long long)  \
	X(npkts_ino, "%llu", unsigned long long)  \
	X(nrelayed, "%llu", unsigned long long)   \
	X(ndropped, "%llu", unsigned long long)   \
	X(longest_ipi, "%f", double)              \
	X(rtpa_jlast, "%f", double)               \
	X(rtpa_jmax, "%f", double)                \
	X(rtpa_javg, "%f", double)                \
	X(rtpa_nsent, "%llu", unsigned long long) \
	X(rtpa_nrcvd, "%llu", unsigned long long) \
	X(rtpa_ndups, "%llu", unsigned long long) \
	X(rtpa_nlost, "%llu", unsigned long long) \
	X(rtpa_perrs, "%llu", unsigned long long) \
	X(prompt_ms, "%llu", unsigned long long)  \
	X(prompt_left_ms, "%lld", long long)

static int query_value(const struct engine_query *q, struct span name, char *buf, size_t size)
{
#define QUERY_VALUE(field, format, type)    \
	if (span_eq(name, span_of(#field))) \
		return snprintf(buf, size, format, (type)q->field);
	QUERY_NAMES(QUERY_VALUE)
#undef QUERY_VALUE
	return -ENOENT;
}

static void value_add(struct reply *r, bool first, bool verbose, struct span name,
		      const char *value)
{
	if (verbose)
		reply_add(r, "%s%.*s=%s", first ? "" : " ", (int)name.len, name.p, value);
	else
		reply_add(r, "%s%s", first ? "" : " ", value);
}

static int run_query(struct run *run)
{
	static const char *const usual[] = { "ttl", "npkts_ina", "npkts_ino", "nrelayed",
					     "ndropped" };
	const struct request *req = run->req;
	unsigned int i, n = req->names_n ? req->names_n : ARRAY_SIZE(usual);
	struct engine_query q;
	int err = engine_find(run->c->o.engine, &run->of, &run->result);

	if (err != PROTO_OK)
		return err;
	engine_query(run->c->o.engine, run->result.first, run->now_ns, &q);
	for (i = 0; i < n; i++) {
		struct span name = req->names_n ? req->names[i] : span_of(usual[i]);
		char value[64];

		if (query_value(&q, name, value, sizeof(value)) < 0)
			return E_QUERY_NAME;
		value_add(run->reply, i == 0, req->verbose, name, value);
	}
	return PROTO_OK;
}

/* ---- the other commands ---- */

static int run_delete(struct run *run)
{
	return engine_delete(run->c->o.engine, &run->of, run->req->weak, run->now_ns);
}

static int delete_all(struct run *run)
{
	engine_delete_all(run->c->o.engine, run->now_ns);
	return PROTO_OK;
}

static int run_play(struct run *run)
{
	const struct request *req = run->req;
	const bool sessions = span_eq(req->codecs, span_of("session"));

	return prompts_play(&run->c->o.prompts, &run->of, req->target,
			    sessions ? (struct span){ 0 } : req->codecs, req->count, run->now_ns);
}

static int run_stop(struct run *run)
{
	return prompts_stop(&run->c->o.prompts, &run->of);
}

static int run_record(struct run *run)
{
	return recordings_start(&run->c->o.recordings, &run->of, run->req->single_file);
}

static int run_norecord(struct run *run)
{
	return recordings_stop(&run->c->o.recordings, &run->of, run->req->both, run->now_ns);
}

static int run_copy(struct run *run)
{
	const struct request *req = run->req;
	struct face from;
	int err = recordings_copy(&run->c->o.recordings, &run->of, req->target, req->single_file,
				  run->now_ns, req->reply_port ? &from : NULL);

	if (err != PROTO_OK)
		return err;
	if (req->reply_port)
		reply_port(run->reply, &from.addr, from.advertised);
	else
		reply_add(run->reply, "0");
	return PROTO_OK;
}

static int run_info(struct run *run)
{
	const struct stats *st = engine_show_stats(run->c->o.engine);
	unsigned int sessions = sessions_count(run->c->o.sessions);

	reply_add(run->reply,
		  "sessions created: %llu\nactive sessions: %u\nactive streams: %u\n"
		  "packets received: %llu\npackets transmitted: %llu",
		  (unsigned long long)st->nsess_created, sessions, 2 * sessions,
		  (unsigned long long)st->npkts_rcvd,
		  (unsigned long long)(st->npkts_relayed + st->npkts_played));
	if (run->req->load)
		reply_add(run->reply, "\naverage load: %f", st->load);
	return PROTO_OK;
}

static int run_stats(struct run *run)
{
	const struct request *req = run->req;
	const struct stats *st = engine_show_stats(run->c->o.engine);
	unsigned int i;

	for (i = 0; i < req->names_n; i++) {
		char value[64];

		if (stats_text(st, req->names[i], value, sizeof(value)) < 0)
			return E_STATS_NAME;
		value_add(run->reply, i == 0, req->verbose, req->names[i], value);
	}
	return PROTO_OK;
}

static int run_version(struct run *run)
{
	reply_add(run->reply, "%s", capabilities[0].date);
	return PROTO_OK;
}

/* Two capabilities need a target of -n, and the second of them an RPC target. */
static bool is_configured(const struct commands_opts *o, struct span date)
{
	if (span_eq(date, span_of("20081224")))
		return o->notify;
	if (span_eq(date, span_of("20100819")))
		return o->notify_rpc;
	return true;
}

static int run_feature(struct run *run)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (span_eq(run->req->date, span_of(capabilities[i].date)))
			break;
	reply_add(run->reply, "%d",
		  i < ARRAY_SIZE(capabilities) && capabilities[i].live &&
			  is_configured(&run->c->o, run->req->date));
	return PROTO_OK;
}

#define OP_UNREADABLE (OP_FEATURE + 1) /* in struct command_counts: the line did not parse */

/* The commands. @run returns an error of enum proto_error; without @answers, success is "0". */
static const struct {
	const char *letter;
	int (*run)(struct run *run);
	bool answers; /* @run writes the reply */
} table[] = {
	[OP_UPDATE] = { "U", run_update, true },
	[OP_LOOKUP] = { "L", run_update, true },
	[OP_DELETE] = { "D", run_delete },
	[OP_PLAY] = { "P", run_play },
	[OP_STOP] = { "S", run_stop },
	[OP_RECORD] = { "R", run_record },
	[OP_COPY] = { "C", run_copy, true },
	[OP_NORECORD] = { "N", run_norecord },
	[OP_QUERY] = { "Q", run_query, true },
	[OP_INFO] = { "I", run_info, true },
	[OP_DELETE_ALL] = { "X", delete_all },
	[OP_STATS] = { "G", run_stats, true },
	[OP_VERSION] = { "V", run_version, true },
	[OP_FEATURE] = { "VF", run_feature, true },
	[OP_UNREADABLE] = { "unreadable" },
};

const char *command_letter(unsigned int op)
{
	return op < ARRAY_SIZE(table) ? table[op].letter : NULL;
}

/* Run the command that was parsed into run->req. */
static int run_operation(struct run *run)
{
	const struct request *req = run->req;
	int err;

	run->of = (struct dialog){ req->call_id, req->from_tag, req->to_tag };
	err = table[req->op].run(run);
	if (err == PROTO_OK && !table[req->op].answers)
		reply_add(run->reply, "0");
	return err;
}

const struct command_counts *commands_counts(const struct commands *c)
{
	return &c->counts;
}

/* ---- sub-commands: 0, or -errno ---- */

static int run_sub_delete(struct run *run, const struct subcmd *sub, struct reply *data)
{
	(void)data;
	return engine_delete_one(run->c->o.engine, &run->result, sub->weak, run->now_ns);
}

static int run_sub_set(struct run *run, const struct subcmd *sub, struct reply *data)
{
	struct engine *e = run->c->o.engine;

	(void)data;
	if (sub->what == SET_TTL)
		return engine_set_ttl(e, &run->result, sub->reverse, sub->value, run->now_ns);
	return engine_set_tos(e, &run->result, sub->reverse, sub->value);
}

static int run_sub_lookup(struct run *run, const struct subcmd *sub, struct reply *data)
{
	struct engine_update u = { .lookup = true, .media = &sub->media, .dialog = run->of };

	if (run->swapped)
		u.dialog = (struct dialog){ run->of.call_id, run->of.to_tag, run->of.from_tag };
	if (!run->result.session ||
	    engine_update(run->c->o.engine, &u, run->now_ns, &run->result) != PROTO_OK)
		return -ENOENT;
	face_add(data, &run->result);
	run->swapped = !run->swapped;
	return 0;
}

static int run_sub_copy(struct run *run, const struct subcmd *sub, struct reply *data)
{
	const struct dialog from = { sub->call_id, sub->from_tag, sub->to_tag };

	(void)data;
	return engine_feed(run->c->o.engine, &from, &run->result);
}

/* M3:1, rtpproxy's module catch_dtmf. The parser refuses all other modules. */
static int run_sub_module(struct run *run, const struct subcmd *sub, struct reply *data)
{
	const struct dtmf_req *d = &sub->dtmf;
	struct digits_req req = { .payload_type = d->payload_type, .hide = d->hide };
	char tag[PROTO_LINE_MAX];

	(void)data;
	if (!d->valid)
		return -EINVAL;
	req.tag = (struct span){ tag, proto_unquote(d->tag, tag) };
	return engine_catch_dtmf(run->c->o.engine, &run->result, &req);
}

static int (*const sub_handlers[])(struct run *run, const struct subcmd *sub,
				   struct reply *data) = {
	[SUB_MODULE] = run_sub_module, [SUB_DELETE] = run_sub_delete, [SUB_SET] = run_sub_set,
	[SUB_LOOKUP] = run_sub_lookup, [SUB_COPY] = run_sub_copy,
};

static void run_subs(struct run *run)
{
	unsigned int i;

	for (i = 0; i < run->req->subs_n; i++) {
		const struct subcmd *sub = &run->req->sub[i];
		struct reply data = { 0 };
		int err = sub_handlers[sub->op](run, sub, &data);

		data.text[data.len] = '\0';
		reply_sub(run->reply, err < 0, data.text);
		if (err < 0)
			break;
	}
}

/* ---- a command from line to reply ---- */

/* The error for a reply that does not fit. Only G and Q have replies of such length. */
static enum proto_error overflow_of(enum proto_op op)
{
	return op == OP_STATS ? E_STATS_LONG : op == OP_QUERY ? E_QUERY_LONG : E_MEMORY;
}

/* For followers of the call: the command and its reply. */
static void trace_command(const struct run *run, const char *line, size_t len)
{
	char call_id[512];

	if (!log_is_followed(run->req->call_id))
		return;
	snprintf(call_id, sizeof(call_id), "%.*s", (int)run->req->call_id.len, run->req->call_id.p);
	log_trace(call_id, "command \"%.*s\", reply \"%.*s\"", (int)len, line,
		  (int)run->reply->len - 1, run->reply->text);
}

/* A controller can provoke these lines, so they are limited. rtpxd counts errors by code. */
static void log_refusal(const struct run *run, const char *line, size_t len, bool malformed,
			int err)
{
	char from[ADDR_TEXT] = "a local socket", call_id[256];

	if (run->peer && run->peer->family != ADDR_NONE)
		addr_text(run->peer, from);
	if (malformed) {
		log_provoked(PROVOKED_MALFORMED, NULL, (int)MIN(len, 200), line, from, err);
	} else if (err == E_SESSION || run->failed) {
		snprintf(call_id, sizeof(call_id), "%.*s", (int)run->req->call_id.len,
			 run->req->call_id.p);
		log_provoked(PROVOKED_NO_SESSION, call_id, (int)MIN(len, 200), line, from);
	}
}

size_t command_run(struct commands *c, const char *line, size_t len, const struct addr *peer,
		   uint64_t now_ns, char out[COMMAND_MAX_REPLY])
{
	struct run run = {
		.c = c, .req = &c->req, .reply = &c->reply, .peer = peer, .now_ns = now_ns
	};
	struct stats *st = c->o.stats;
	bool malformed;
	int err;

	c->reply = (struct reply){ 0 };
	st->ncmds_rcvd++;
	err = proto_parse(&c->req, line, len, faces_proto_opts(c->o.faces));
	malformed = err != PROTO_OK;
	if (err == PROTO_OK)
		err = run_operation(&run);
	if (err == PROTO_OK && !run.failed)
		run_subs(&run);
	if (err == PROTO_OK)
		reply_end(&c->reply, overflow_of(c->req.op));
	else
		reply_error(&c->reply, err);
	if (err == PROTO_OK && !run.failed)
		st->ncmds_succd++;
	else
		st->ncmds_errs++;
	if (err >= 0 && err < COMMAND_ERRORS)
		c->counts.errors[err]++;
	c->counts.no_session += run.failed;
	st->ncmds_repld++;
	for (; len && *line == ' '; len--) /* between the cookie and the command */
		line++;
	if (err != PROTO_OK || run.failed)
		log_refusal(&run, line, len, malformed, err);
	trace_command(&run, line, len);
	memcpy(out, c->reply.text, c->reply.len);
	return c->reply.len;
}

int commands_new(struct commands **out, const struct commands_opts *opts)
{
	struct commands *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->o = *opts;
	*out = c;
	return 0;
}

void commands_free(struct commands *c)
{
	free(c);
}

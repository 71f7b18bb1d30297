/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtpxctl - shows the state of a running rtpxd: calls, flows, counters, and the reason why a call
 * is not in the kernel. Some commands change it, see operate.h.
 *
 * It prints tables for people, and with --json JSON for machines.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ask.h"
#include "base/utf8.h"
#include "doctor.h"
#include "follow.h"
#include "operate.h"
#include "top.h"

#define DEFAULT_SOCKET "/run/rtpx/admin.sock"

enum exit_code {
	EXIT_GOOD = 0,	    /* answered */
	EXIT_NOTHING = 1,   /* answered: no such call; doctor: no new call can work */
	EXIT_USAGE = 2,	    /* the command line is wrong */
	EXIT_NO_DAEMON = 3, /* no daemon answers on the socket */
};

static const char *socket_path = DEFAULT_SOCKET;
static bool as_json;
static const char *write_path; /* -w */

static int no_daemon(void)
{
	fprintf(stderr,
		"rtpxctl: no answer on '%s': %s. Is rtpxd running, and is this its --admin-socket? "
		"(--socket PATH)\n",
		socket_path, strerror(errno));
	return EXIT_NO_DAEMON;
}

/* Prints the error that the daemon sent instead of an answer. NULL: no daemon answered. */
static int refused(struct json_object *o)
{
	if (!o)
		return no_daemon();
	fprintf(stderr, "rtpxctl: %s\n", json_text(o, "error"));
	json_object_put(o);
	return EXIT_USAGE;
}

static int print_json(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	return EXIT_GOOD;
}

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	json_object_object_get_ex(o, key, &v);
	return v;
}

static size_t length_of(struct json_object *list)
{
	return list ? json_object_array_length(list) : 0;
}

/* ---- sessions, session ---- */

/* Writes "3 of 4": directions in the kernel, of those that are in it or had a packet. */
static void kernel_share(struct json_object *session, char *buf, size_t size)
{
	struct json_object *legs = member(session, "legs");
	unsigned int in = 0, all = 0;
	size_t i, k;

	for (i = 0; i < length_of(legs); i++) {
		static const char *const kinds[] = { "rtp", "rtcp" };

		for (k = 0; k < 2; k++) {
			struct json_object *s =
				member(json_object_array_get_idx(legs, i), kinds[k]);

			in += json_is(s, "in_kernel");
			all += json_is(s, "in_kernel") || json_number(s, "packets");
		}
	}
	snprintf(buf, size, "%u of %u", in, all);
}

static void session_row(struct json_object *s)
{
	struct json_object *legs = member(s, "legs");
	struct json_object *caller = json_object_array_get_idx(legs, 0),
			   *callee = json_object_array_get_idx(legs, 1);
	char share[32];

	kernel_share(s, share, sizeof(share));
	printf("%-32.32s %-12.12s %5llus %4llus %-22s %-22s %8llu %8llu  %s\n",
	       json_text(s, "call_id"), json_text(s, "from_tag"), json_number(s, "age_s"),
	       json_number(s, "ttl_s"), json_text(member(caller, "rtp"), "remote"),
	       json_text(member(callee, "rtp"), "remote"),
	       json_number(member(caller, "rtp"), "packets"),
	       json_number(member(callee, "rtp"), "packets"), share);
}

static int sessions(const char *arg)
{
	struct json_object *refusal,
		*list = ask_all(socket_path, "sessions", "", "sessions", &refusal);
	size_t i;

	(void)arg;
	if (!list)
		return refused(refusal);
	if (as_json)
		return print_json(list);
	printf("%-32s %-12s %6s %5s %-22s %-22s %8s %8s  %s\n", "CALL-ID", "FROM-TAG", "AGE", "TTL",
	       "CALLER", "CALLEE", "CALLER>", "<CALLEE", "IN KERNEL");
	for (i = 0; i < length_of(list); i++)
		session_row(json_object_array_get_idx(list, i));
	printf("%zu session%s\n", i, i == 1 ? "" : "s");
	json_object_put(list);
	return EXIT_GOOD;
}

/* Says in words which sources the leg believes. */
static void stream_trust(struct json_object *s)
{
	if (json_is(s, "weak"))
		printf("          the packets that proved the peer's address are not RTP: RTP may "
		       "replace it\n");
	if (json_is(s, "open"))
		printf("          open since the last U or L: a source that proves itself may take "
		       "over%s\n",
		       json_text(s, "state")[0] == 'l' ? " when the peer is silent" : "");
	if (json_is(s, "awaited"))
		printf("          the signalled address has sent no packet yet%s\n",
		       json_is(s, "twice") ? ": packets go to it as well" : "");
}

static void stream_lines(const char *name, struct json_object *s)
{
	printf("    %-4s  peer %s (%s; signalled %s)\n", name, json_text(s, "remote"),
	       json_text(s, "state"), json_text(s, "signalled"));
	stream_trust(s);
	printf("          %llu packets, %llu bytes, %llu in the kernel, %llu from strangers "
	       "dropped, silent %llu ms\n",
	       json_number(s, "packets"), json_number(s, "bytes"), json_number(s, "kernel_packets"),
	       json_number(s, "strangers"), json_number(s, "silent_ms"));
	if (member(s, "ssrc"))
		printf("          SSRC %08llx, payload type %llu, %llu lost (%.2f %%), %llu "
		       "duplicates, %llu reordered, "
		       "jitter %s ms, MOS %s\n",
		       json_number(s, "ssrc"), json_number(s, "payload_type"),
		       json_number(s, "lost"), 100 * json_real(s, "loss"),
		       json_number(s, "duplicates"), json_number(s, "reordered"),
		       json_text(s, "jitter_ms"), json_text(s, "mos"));
	printf("          %s\n", json_text(s, "why_text"));
}

static void session_lines(struct json_object *s)
{
	struct json_object *legs = member(s, "legs"), *recorded = member(s, "recorded");
	size_t i;

	printf("call-id %s, from-tag %s: session %llu, %s, %llu s old, %llu s to live\n",
	       json_text(s, "call_id"), json_text(s, "from_tag"), json_number(s, "number"),
	       json_is(s, "complete") ? "complete" : "not complete", json_number(s, "age_s"),
	       json_number(s, "ttl_s"));
	if (recorded)
		printf("  recorded: %llu packets, %llu bytes, %llu packets lost\n",
		       json_number(recorded, "packets"), json_number(recorded, "bytes"),
		       json_number(recorded, "lost"));
	for (i = 0; i < length_of(legs); i++) {
		struct json_object *leg = json_object_array_get_idx(legs, i);

		printf("  %s sends to %s%s%s; %llu relayed, %llu dropped\n",
		       json_text(leg, "party"), json_text(leg, "local"),
		       member(leg, "advertised") ? " advertised as " : "",
		       member(leg, "advertised") ? json_text(leg, "advertised") : "",
		       json_number(leg, "relayed"), json_number(leg, "dropped"));
		if (member(leg, "recorded_to"))
			printf("    recorded to %s\n", json_text(leg, "recorded_to"));
		if (member(leg, "hears"))
			printf("    hears %s\n", json_text(leg, "hears"));
		if (member(leg, "packet_ms"))
			printf("    sent on in packets of %llu ms\n",
			       json_number(leg, "packet_ms"));
		stream_lines("RTP", member(leg, "rtp"));
		stream_lines("RTCP", member(leg, "rtcp"));
	}
}

/* Gets the list @key of one call and prints its elements. An empty list: there is no such call. */
static int of_call(const char *request, const char *call_id, const char *key,
		   void (*line)(struct json_object *o))
{
	struct json_object *refusal, *list = ask_all(socket_path, request, call_id, key, &refusal);
	int code = EXIT_GOOD;
	size_t i;

	if (!list)
		return refused(refusal);
	if (length_of(list) == 0) {
		char cut[256], name[sizeof(cut)];

		snprintf(cut, sizeof(cut), "%s", call_id);
		fprintf(stderr,
			"rtpxctl: no session has the call-id '%s' (rtpxctl sessions lists them)\n",
			utf8_tame(cut, name));
		code = EXIT_NOTHING;
	} else if (as_json) {
		print_json(list);
	} else {
		for (i = 0; i < length_of(list); i++)
			line(json_object_array_get_idx(list, i));
	}
	json_object_put(list);
	return code;
}

static int session(const char *call_id)
{
	return of_call("session", call_id, "sessions", session_lines);
}

/* ---- flows, why ---- */

static void why_line(struct json_object *d)
{
	printf("%-6s %-4s  %-22s -> %-22s -> %-22s  %s%s\n", json_text(d, "from"),
	       json_text(d, "kind"), json_text(d, "peer"), json_text(d, "local"),
	       json_text(d, "dest"),
	       json_is(d, "in_kernel") ? "" : "NOT in the kernel: ", json_text(d, "why_text"));
}

static int why(const char *call_id)
{
	return of_call("why", call_id, "directions", why_line);
}

static int flows(const char *arg)
{
	struct json_object *refusal, *list = ask_all(socket_path, "flows", "", "flows", &refusal);
	size_t i;

	(void)arg;
	if (!list)
		return refused(refusal);
	if (as_json)
		return print_json(list);
	printf("%-22s %-22s %-22s %-10s %-4s %10s %9s  %s\n", "FROM PEER", "TO LOCAL", "ON TO",
	       "INTERFACE", "KIND", "KERNEL", "STRANGERS", "CALL-ID");
	for (i = 0; i < length_of(list); i++) {
		struct json_object *f = json_object_array_get_idx(list, i);

		printf("%-22s %-22s %-22s %-10s %-4s %10llu %9llu  %s\n", json_text(f, "peer"),
		       json_text(f, "local"), json_text(f, "dest"), json_text(f, "interface"),
		       json_text(f, "kind"), json_number(f, "kernel_packets"),
		       json_number(f, "strangers"), json_text(f, "call_id"));
	}
	printf("%zu flow%s\n", i, i == 1 ? "" : "s");
	json_object_put(list);
	return EXIT_GOOD;
}

/* ---- stats, status ---- */

/* Prints the values that are not 0 below the heading of the group. All 0: prints nothing. */
static void stats_group(const char *group, struct json_object *values)
{
	bool begun = false;

	json_object_object_foreach(values, name, value)
	{
		if (json_object_get_double(value) == 0)
			continue;
		if (!begun)
			printf("%s\n", group);
		begun = true;
		printf("  %-30s %s\n", name, json_object_get_string(value));
	}
}

static int stats(const char *arg)
{
	struct json_object *o = ask(socket_path, "stats", NULL);

	(void)arg;
	if (!o || !member(o, "relay"))
		return refused(o);
	if (as_json) {
		print_json(o);
	} else {
		json_object_object_foreach(o, group, values)
		{
			if (!json_object_is_type(values, json_type_object)) {
				printf("%-32s %s\n", group, json_object_get_string(values));
				continue;
			}
			stats_group(group, values);
		}
	}
	json_object_put(o);
	return EXIT_GOOD;
}

static void journal_line(struct json_object *journal)
{
	if (!*json_text(journal, "path"))
		printf("journal     none: calls end with this process\n");
	else
		printf("journal     %s: %s; %llu calls restored at the start, %llu lost\n",
		       json_text(journal, "path"),
		       json_is(journal, "works") ? "calls outlive this process"
						 : "cannot be written, calls end with this process",
		       json_number(journal, "restored"), json_number(journal, "lost"));
}

static void group_line(struct json_object *s)
{
	bool owner = !strcmp(json_text(s, "role"), "owner");

	printf("group       %s: ", json_text(s, "group"));
	if (owner)
		printf("this daemon is the owner, epoch %llu; standby: %s; Redis %s\n",
		       json_number(s, "epoch"),
		       json_is(s, "peer_there") ? json_text(s, "peer") : "none",
		       json_is(s, "whole")   ? "has all calls"
		       : json_is(s, "redis") ? "is being written"
					     : "is not there");
	else
		printf("this daemon is the standby, with %llu calls; owner: %s%s; Redis %s\n",
		       json_number(s, "calls"),
		       *json_text(s, "peer") ? json_text(s, "peer") : "none",
		       json_is(s, "peer_there") ? "" : " (not heard)",
		       json_is(s, "redis") ? "is followed" : "is not there");
}

static void hep_line(struct json_object *o)
{
	if (!o)
		return;
	printf("hep         %s: %s, %llu reports sent, %llu waiting, %llu refused, %llu lost; "
	       "RTCP: %llu unreadable, %llu without a copy%s%s\n",
	       json_text(o, "collector"), json_is(o, "connected") ? "there" : "not there",
	       json_number(o, "sent"), json_number(o, "queued"), json_number(o, "refused"),
	       json_number(o, "lost"), json_number(o, "unreadable"), json_number(o, "uncopied"),
	       *json_text(o, "error") ? "; error: " : "", json_text(o, "error"));
}

static void status_lines(struct json_object *o)
{
	struct json_object *list = member(o, "listeners");
	size_t i;

	printf("rtpxd %s, pid %llu, up %llu s\n", json_text(o, "version"), json_number(o, "pid"),
	       json_number(o, "uptime_s"));
	for (i = 0; i < length_of(list); i++)
		printf("control     %s\n",
		       json_object_get_string(json_object_array_get_idx(list, i)));
	list = member(o, "media");
	for (i = 0; i < length_of(list); i++) {
		struct json_object *m = json_object_array_get_idx(list, i);

		printf("media       %s%s%s%s%s, %llu pair%s in use\n", json_text(m, "address"),
		       member(m, "advertised") ? " advertised as " : "",
		       member(m, "advertised") ? json_text(m, "advertised") : "",
		       member(m, "error") ? ": " : "",
		       member(m, "error") ? json_text(m, "error") : "",
		       json_number(m, "pairs_in_use"),
		       json_number(m, "pairs_in_use") == 1 ? "" : "s");
	}
	printf("ports       %llu to %llu, %llu pairs; in use "
	       "%llu of %llu IPv4, %llu of %llu IPv6\n",
	       json_number(o, "port_min"), json_number(o, "port_max"), json_number(o, "pairs"),
	       json_number(o, "pairs_in_use_ip4"), json_number(o, "pairs_ip4"),
	       json_number(o, "pairs_in_use_ip6"), json_number(o, "pairs_ip6"));
	operate_admission_line(member(o, "admission"));
	printf("learning    %s\n", json_text(o, "learning"));
	printf("floor       %s\n", json_text(o, "floor"));
	printf("dataplane   %s: %s\n", json_text(o, "dataplane"), json_text(o, "choice"));
	journal_line(member(o, "journal"));
	list = member(o, "groups");
	for (i = 0; i < length_of(list); i++)
		group_line(json_object_array_get_idx(list, i));
	list = member(o, "interfaces");
	for (i = 0; i < length_of(list); i++) {
		struct json_object *f = json_object_array_get_idx(list, i);

		printf("  %-15s %s, %s%s%s\n", json_text(f, "name"), json_text(f, "mode"),
		       json_is(f, "can_send") ? "forwards" : "no packet can leave through it",
		       *json_text(f, "reason") ? ": " : "", json_text(f, "reason"));
	}
	list = member(o, "notify");
	for (i = 0; i < length_of(list); i++) {
		struct json_object *f = json_object_array_get_idx(list, i);

		printf("notify      %s: %llu sent, %llu waiting, %llu refused, %llu lost%s%s\n",
		       json_text(f, "target"), json_number(f, "sent"), json_number(f, "queued"),
		       json_number(f, "refused"),
		       json_number(f, "lost") + json_number(f, "overflow"),
		       *json_text(f, "error") ? "; last: " : "", json_text(f, "error"));
	}
	if (json_number(o, "accounts_lost"))
		printf("accounts    %llu records of ended sessions lost\n",
		       json_number(o, "accounts_lost"));
	hep_line(member(o, "hep"));
}

static int status(const char *arg)
{
	struct json_object *o = ask(socket_path, "status", NULL);

	(void)arg;
	if (!o || !member(o, "dataplane"))
		return refused(o);
	if (as_json)
		print_json(o);
	else
		status_lines(o);
	json_object_put(o);
	return EXIT_GOOD;
}

static int takeover(const char *arg)
{
	struct json_object *o = ask(socket_path, "takeover", arg);

	if (!o || !member(o, "takeover"))
		return refused(o);
	if (as_json)
		print_json(o);
	else
		printf("takeover begun; see rtpxctl status\n");
	json_object_put(o);
	return EXIT_GOOD;
}

static int doctor(const char *arg)
{
	(void)arg;
	return doctor_run(socket_path, as_json) ? EXIT_GOOD : EXIT_NOTHING;
}

/* ---- changes ---- */

static int change(const char *request, const char *arg)
{
	int code = operate_show(socket_path, as_json, request, arg);

	return code == EXIT_NO_DAEMON ? no_daemon() : code;
}

static int drain(const char *arg)
{
	return change("drain", arg);
}

static int undrain(const char *arg)
{
	return change("undrain", arg);
}

static int terminate(const char *call_id)
{
	return change("terminate", call_id);
}

static int extend(const char *text)
{
	return change("extend", text);
}

static int loglevel(const char *level)
{
	return change("loglevel", level);
}

static int top(const char *arg)
{
	struct json_object *o;

	(void)arg;
	if (!as_json)
		return top_run(socket_path) < 0 ? no_daemon() : EXIT_GOOD;
	o = ask(socket_path, "overview", NULL);
	if (!o || !member(o, "sessions"))
		return refused(o);
	print_json(o);
	json_object_put(o);
	return EXIT_GOOD;
}

/* ---- streams ---- */

static int capture(const char *filter)
{
	int code;

	if (!write_path && isatty(STDOUT_FILENO)) {
		fprintf(stderr, "rtpxctl: capture writes pcapng: name a file with -w, or a pipe "
				"(rtpxctl capture CALL-ID | wireshark -k -i -)\n");
		return EXIT_USAGE;
	}
	code = follow_run(socket_path, "capture", filter, write_path);
	return code == EXIT_NO_DAEMON ? no_daemon() : code;
}

static int trace(const char *call_id)
{
	int code = follow_run(socket_path, "trace", call_id, write_path);

	return code == EXIT_NO_DAEMON ? no_daemon() : code;
}

/* ---- config ---- */

static int config(const char *arg)
{
	struct json_object *o = ask(socket_path, "config", NULL),
			   *list = o ? member(o, "config") : NULL;
	size_t i;

	(void)arg;
	if (!list)
		return refused(o);
	if (as_json)
		print_json(list);
	for (i = 0; !as_json && i < length_of(list); i++) {
		struct json_object *s = json_object_array_get_idx(list, i);

		printf("%-22s %s%s\n", json_text(s, "option"), json_text(s, "value"),
		       json_is(s, "default") ? "  (default)" : "");
	}
	json_object_put(o);
	return EXIT_GOOD;
}

/* ---- the command line ---- */

static int help(const char *name);

static const struct {
	const char *name, *arg, *help;
	int (*run)(const char *arg);
} commands[] = {
	{ "sessions", NULL, "every session, a line each", sessions },
	{ "session", "CALL-ID", "all about one call", session },
	{ "flows", NULL, "flows in the kernel, a line each", flows },
	{ "why", "CALL-ID", "for each direction: in the kernel, or the reason why not", why },
	{ "stats", NULL,
	  "counters of the relay, the kernel, the sockets and the next hops (--json: zeros too)",
	  stats },
	{ "top", NULL, "a live screen: rates, reasons, worst calls (--json: the figures once)",
	  top },
	{ "status", NULL, "listeners, port range, dataplane and interfaces", status },
	{ "drain", NULL, "refuse new sessions (E99); existing calls go on", drain },
	{ "undrain", NULL, "admit new sessions again", undrain },
	{ "terminate", "CALL-ID", "end all sessions of a call", terminate },
	{ "extend", "LIST,ADDR", "add a media address to the list of another one", extend },
	{ "loglevel", "[LEVEL]", "show the log level, or set DBUG, INFO, WARN, ERR or CRIT",
	  loglevel },
	{ "takeover", "[GROUP]", "make this standby the owner of the calls of a group", takeover },
	{ "capture", "FILTER",
	  "packets of calls as pcapng, to a pipe or with -w to a file, until Ctrl-C; FILTER is a "
	  "Call-ID, all, peer=ADDRESS or port=NUMBER",
	  capture },
	{ "trace", "CALL-ID", "every command and decision of one call, until Ctrl-C", trace },
	{ "config", NULL, "the settings in effect, with defaults marked", config },
	{ "help", "[COMMAND]", "this text, or one command's", help },
	{ "doctor", NULL,
	  "check the host and the daemon; every line ok, warning or wrong, with the remedy",
	  doctor },
};

static void command_line(FILE *to, size_t i)
{
	fprintf(to, "  %-9s %-9s  %s\n", commands[i].name, commands[i].arg ? commands[i].arg : "",
		commands[i].help);
}

static void usage(FILE *to)
{
	size_t i;

	fprintf(to, "usage: rtpxctl [--json] [--socket PATH] [-w FILE] COMMAND\n\n");
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		command_line(to, i);
	fprintf(to, "\n  --json         the daemon's answer as JSON\n"
		    "  --socket PATH  the daemon's --admin-socket (" DEFAULT_SOCKET ")\n"
		    "  -w FILE        with capture and trace: write to FILE\n"
		    "  --version      print the version\n\n"
		    "exit codes: 0 answered; 1 no such call, or doctor: no new call can work; 2 "
		    "usage; 3 no daemon answers\n");
}

static int help(const char *name)
{
	size_t i;

	for (i = 0; name && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name))
			continue;
		command_line(stdout, i);
		return EXIT_GOOD;
	}
	if (name)
		fprintf(stderr, "rtpxctl: '%s' is not a command\n", name);
	usage(name ? stderr : stdout);
	return name ? EXIT_USAGE : EXIT_GOOD;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "write", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, "js:hVw:", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			as_json = true;
			break;
		case 's':
			socket_path = optarg;
			break;
		case 'w':
			write_path = optarg;
			break;
		case 'V':
			puts("rtpxctl " RTPX_VERSION);
			return EXIT_GOOD;
		case 'h':
			usage(stdout);
			return EXIT_GOOD;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (!as_json)
		ask_tame();
	argc -= optind;
	argv += optind;
	for (i = 0; argc && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, argv[0]))
			continue;
		if (argc == 1 + (commands[i].arg != NULL) ||
		    (argc == 1 && commands[i].arg[0] == '['))
			return commands[i].run(argc > 1 ? argv[1] : NULL);
		fprintf(stderr, "rtpxctl: usage: rtpxctl %s %s\n", argv[0],
			commands[i].arg ? commands[i].arg : "");
		return EXIT_USAGE;
	}
	if (argc)
		fprintf(stderr, "rtpxctl: '%s' is not a command\n", argv[0]);
	usage(stderr);
	return EXIT_USAGE;
}

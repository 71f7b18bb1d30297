/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - one table holds every option: getopt's strings and --help come from it.
 *
 * Checks each value by itself. config.c checks options against each other.
 */
#include "options.h"
#include "media/rtp.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include "control/admin.h"
#include "control/command.h"
#include "record/jobs.h"
#include "record/naming.h"

/* A command line on its way into a struct config. */
struct parse {
	struct config *c;
	const char *program;
	const char *option; /* as the user wrote it, for sentences */
	unsigned int n_cc_self;
	bool done; /* -v, -V, -C or --help: printed, nothing else to do */
};

/* One option. @set returns 0, or CONFIG_EXIT_… after a sentence on stderr. */
struct row {
	char letter;      /* 0: none */
	const char *name; /* NULL: none */
	const char *arg;  /* NULL: none; in brackets: optional */
	int (*set)(struct parse *p, const struct row *row, const char *value);
	size_t offset, size; /* set_flag, set_text, set_number: member of struct config */
	long min, max;
	bool ours;
	const char *help;
	const char *fallback; /* the default, where no member shows it */
};

static int complain(const struct parse *p, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(const struct parse *p, int code, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s%s: ", log_prefix(LOG_LVL_ERR), p->program);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

static int wrong(const struct parse *p, const struct row *row, const char *value, const char *what)
{
	return complain(p, row->ours ? CONFIG_EXIT_OURS : CONFIG_EXIT_RTPPROXY, "%s '%s': %s",
			p->option, value, what);
}

/* ---- values ---- */

/* Decimal digits with an optional minus and nothing else. */
static int parse_number(const char *text, long min, long max, long *out)
{
	const char *digits = text + (*text == '-');
	char *end;
	long n;

	if (!*digits || strspn(digits, "0123456789") != strlen(digits))
		return -EINVAL;
	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || n < min || n > max)
		return -ERANGE;
	*out = n;
	return 0;
}

static int set_flag(struct parse *p, const struct row *row, const char *value)
{
	(void)value;
	*(bool *)((char *)p->c + row->offset) = true;
	return 0;
}

static int set_nothing(struct parse *p, const struct row *row, const char *value)
{
	(void)p, (void)row, (void)value;
	return 0;
}

static int set_text(struct parse *p, const struct row *row, const char *value)
{
	if (!*value)
		return wrong(p, row, value, "must not be empty");
	*(const char **)((char *)p->c + row->offset) = value;
	return 0;
}

/* A path must be absolute, because a daemon changes its directory. */
static int set_path(struct parse *p, const struct row *row, const char *value)
{
	if (*value != '/')
		return wrong(p, row, value, "must be an absolute path");
	if (strlen(value) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return wrong(p, row, value, "is too long a path");
	return set_text(p, row, value);
}

static int set_state_dir(struct parse *p, const struct row *row, const char *value)
{
	if (strcmp(value, "none"))
		return set_path(p, row, value);
	p->c->state_dir = NULL;
	return 0;
}

static int set_replicate(struct parse *p, const struct row *row, const char *value)
{
	char err[200];

	redis_url_free(&p->c->redis);
	if (redis_url_parse(&p->c->redis, value, err, sizeof(err)) < 0)
		return complain(p, CONFIG_EXIT_OURS, "%s: %s", p->option, err);
	(void)row;
	p->c->replicate = value;
	return 0;
}

static int set_group(struct parse *p, const struct row *row, const char *value)
{
	const char *why = config_group(p->c, value);

	return why ? wrong(p, row, value, why) : 0;
}

static int set_number(struct parse *p, const struct row *row, const char *value)
{
	char *member = (char *)p->c + row->offset;
	char what[80];
	long n;

	if (parse_number(value, row->min, row->max, &n) < 0) {
		snprintf(what, sizeof(what),
			 row->max == INT_MAX ? "must be a decimal number from %ld"
					     : "must be a decimal number from %ld to %ld",
			 row->min, row->max);
		return wrong(p, row, value, what);
	}
	switch (row->size) {
	case sizeof(uint8_t):
		*(uint8_t *)member = (uint8_t)n;
		break;
	case sizeof(uint16_t):
		*(uint16_t *)member = (uint16_t)n;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)member = (uint32_t)n;
		break;
	default:
		*(long *)member = n;
	}
	return 0;
}

/* A set of dynamic payload types, to which each use of the option adds one. */
static int set_type(struct parse *p, const struct row *row, const char *value)
{
	long n;

	if (parse_number(value, row->min, row->max, &n) < 0)
		return wrong(p, row, value, "must be a dynamic payload type, 96 to 127");
	*(uint32_t *)((char *)p->c + row->offset) |= 1u << (n - row->min);
	return 0;
}

static int set_codec(struct parse *p, const struct row *row, const char *value)
{
	const char *why = audio_codec_map_add(&p->c->codecs, value);

	return why ? wrong(p, row, value, why) : 0;
}

static int set_opus(struct parse *p, const struct row *row, const char *value)
{
	char text[16];

	snprintf(text, sizeof(text), "%.8s=opus", value);
	return audio_codec_map_add(&p->c->codecs, text)
		       ? wrong(p, row, value, "must be a dynamic payload type, 96 to 127")
		       : 0;
}

static int set_nice(struct parse *p, const struct row *row, const char *value)
{
	long n;

	if (parse_number(value, row->min, row->max, &n) < 0)
		return wrong(p, row, value, "must be a number from -20 to 19");
	p->c->nice = (int)n;
	p->c->nice_set = true;
	return 0;
}

/* A leading 0 means octal; other modes are decimal, as with rtpproxy. */
static int set_mode(struct parse *p, const struct row *row, const char *value)
{
	bool octal = value[0] == '0' && value[1];
	long n;

	if (parse_number(value, 0, INT_MAX, &n) < 0 ||
	    (octal && strspn(value, "01234567") != strlen(value)))
		return wrong(p, row, value,
			     "must be a decimal number, or an octal one with a leading 0");
	if (octal)
		n = strtol(value, NULL, 8);
	if (n < row->min || n > row->max)
		return wrong(p, row, value, "must be from 0 to 4095 (octal 07777)");
	p->c->socket_mode = (int)n;
	return 0;
}

static int set_local(struct parse *p, const struct row *row, const char *value)
{
	struct listeners_args *listen = &p->c->listen;

	if (!*value)
		return wrong(p, row, value, "must not be empty");
	if (listen->n == FACES_MAX_LISTENERS)
		return wrong(p, row, value,
			     "is one listen address too many, at most 16 are possible");
	listen->local[listen->n++] = (struct listeners_arg){
		.family = row->letter == '6' ? ADDR_IP6 : ADDR_IP4,
		.text = value,
	};
	return 0;
}

static int set_advertised(struct parse *p, const struct row *row, const char *value)
{
	const char *slash = strchr(value, '/');
	size_t first = slash ? (size_t)(slash - value) : strlen(value);

	if (!listeners_is_word(value, first) ||
	    (slash && !listeners_is_word(slash + 1, strlen(slash + 1))))
		return wrong(p, row, value, "must be an address, or INT/EXT with bridging");
	p->c->listen.advertised = value;
	return 0;
}

static int set_socket(struct parse *p, const struct row *row, const char *value)
{
	if (!*value)
		return wrong(p, row, value, "must not be empty");
	if (p->c->n_sockets == CONFIG_MAX_SOCKETS)
		return wrong(p, row, value,
			     "is one control socket too many, at most 32 are possible");
	p->c->sockets[p->c->n_sockets++] = value;
	return 0;
}

/* xmlrpc: and jsonrpc: are ours. rtpproxy takes every value without tcp: for a socket path. */
static int set_notify(struct parse *p, const struct row *row, const char *value)
{
	struct row rpc = *row;
	struct notify_spec spec;
	const char *why;

	if (p->c->n_notify == CONFIG_MAX_NOTIFY)
		return wrong(p, row, value, "is one target too many, at most 32 are possible");
	if (notify_parse(&spec, value, &why) < 0) {
		rpc.ours = notify_is_rpc(spec.kind);
		return wrong(p, &rpc, value, why);
	}
	if (spec.kind == NOTIFY_SELF && ++p->n_cc_self > NOTIFY_MAX_SELF)
		return wrong(p, row, value, "at most two targets can be %%CC_SELF%%");
	p->c->notify[p->c->n_notify++] = value;
	return 0;
}

static int set_user(struct parse *p, const struct row *row, const char *value)
{
	const char *colon = strchr(value, ':');
	const struct passwd *pw;
	const struct group *gr;
	char user[256];

	if (snprintf(user, sizeof(user), "%.*s", colon ? (int)(colon - value) : (int)strlen(value),
		     value) >= (int)sizeof(user) ||
	    (!*user && !colon) || (colon && !colon[1]))
		return wrong(p, row, value, "must be USER, USER:GROUP or :GROUP");
	if (*user) {
		pw = getpwnam(user);
		if (!pw)
			return wrong(p, row, value, "there is no such user");
		p->c->uid = pw->pw_uid;
		p->c->gid = pw->pw_gid;
	}
	if (colon) {
		gr = getgrnam(colon + 1);
		if (!gr)
			return wrong(p, row, value, "there is no such group");
		p->c->gid = gr->gr_gid;
		p->c->group_named = true;
	}
	return 0;
}

static int set_log(struct parse *p, const struct row *row, const char *value)
{
	const char *colon = strchr(value, ':');
	int level, facility;
	char name[16];

	snprintf(name, sizeof(name), "%.*s", colon ? (int)(colon - value) : (int)strlen(value),
		 value);
	level = log_level_of(name);
	if (level < 0)
		return wrong(p, row, value, "the level must be DBUG, INFO, WARN, ERR or CRIT");
	if (colon) {
		facility = log_facility_of(colon + 1);
		if (facility < 0)
			return wrong(p, row, value, "there is no such syslog facility");
		p->c->log_facility = facility;
	}
	p->c->log_level = (enum log_level)level;
	p->c->level_given = true;
	return 0;
}

/* set_word - *@out gets the index of @value in @words. */
static int set_word(const struct parse *p, const struct row *row, const char *value,
		    const char *const *words, size_t n, unsigned int *out)
{
	char choices[80] = "must be one of:";

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(value, words[i])) {
			*out = i;
			return 0;
		}
		strncat(choices, " ", sizeof(choices) - strlen(choices) - 1);
		strncat(choices, words[i], sizeof(choices) - strlen(choices) - 1);
	}
	return wrong(p, row, value, choices);
}

static int set_sched(struct parse *p, const struct row *row, const char *value)
{
	static const char *const words[] = { "fifo", "rr" };
	static const int policies[] = { SCHED_FIFO, SCHED_RR };
	unsigned int i = 0;
	int r = set_word(p, row, value, words, ARRAY_SIZE(words), &i);

	if (r == 0)
		p->c->sched_policy = policies[i];
	return r;
}

static int set_dataplane(struct parse *p, const struct row *row, const char *value)
{
	struct dp_opts *dp = &p->c->dp;
	const char *words[DP_CHOICES];
	unsigned int choice = DP_NONE;
	char word[16];
	int r = 0;

	for (unsigned int i = 0; i < DP_CHOICES; i++)
		words[i] = dataplanes[i].word;

	dp->n_order = 0;
	if (!strcmp(value, "auto"))
		return 0;
	for (;; value++) {
		size_t len = strcspn(value, ",");

		snprintf(word, sizeof(word), "%.*s", (int)MIN(len, sizeof(word)), value);
		r = set_word(p, row, word, words, ARRAY_SIZE(words), &choice);
		if (r)
			return r;
		if (dp->n_order && (dp_opts_has(dp, choice) || dp_opts_has(dp, DP_NONE)))
			return wrong(p, row, word, "each once, and none last");
		dp->order[dp->n_order++] = (enum dp_choice)choice;
		value += len;
		if (!*value)
			return 0;
	}
}

static int set_xdp_mode(struct parse *p, const struct row *row, const char *value)
{
	static const char *const words[] = {
		[DP_MODE_AUTO] = "auto", [DP_MODE_NATIVE] = "native", [DP_MODE_GENERIC] = "generic",
	};
	unsigned int mode = DP_MODE_AUTO;
	int r = set_word(p, row, value, words, ARRAY_SIZE(words), &mode);

	p->c->dp.mode = (enum dp_xdp_mode)mode;
	return r;
}

static int set_port_sockets(struct parse *p, const struct row *row, const char *value)
{
	static const char *const words[] = {
		[FLOOR_EACH] = "each", [FLOOR_SHARED] = "shared", [FLOOR_AUTO] = "auto",
	};
	unsigned int choice = FLOOR_AUTO;
	int r = set_word(p, row, value, words, ARRAY_SIZE(words), &choice);

	p->c->port_sockets = (enum floor_choice)choice;
	return r;
}

static int set_learning(struct parse *p, const struct row *row, const char *value)
{
	unsigned int how = LEARN_PROOF;
	int r = set_word(p, row, value, learning_words, LEARNINGS, &how);

	p->c->learning = (enum learning)how;
	return r;
}

static int set_record_dtmf(struct parse *p, const struct row *row, const char *value)
{
	static const char *const words[] = {
		[KEYS_KEEP] = "keep", [KEYS_MASK] = "mask", [KEYS_DROP] = "drop",
	};
	unsigned int how = KEYS_KEEP;
	int r = set_word(p, row, value, words, ARRAY_SIZE(words), &how);

	p->c->record_dtmf = (enum keys)how;
	return r;
}

/* FORMAT or FORMAT/mono or FORMAT/stereo. */
static int set_record_format(struct parse *p, const struct row *row, const char *value)
{
	const char *slash = strchrnul(value, '/');
	enum sheet_sound sound = sheet_sound_of((struct span){ value, slash - value });
	bool mono = !strcmp(slash, "/mono");

	if (!sound || (*slash && !mono && strcmp(slash, "/stereo")))
		return wrong(p, row, value,
			     "must be wav, flac, opus or mp3, and may end with /mono or /stereo");
	p->c->record_sound = sound;
	p->c->record_mono = mono;
	return 0;
}

static int set_record_raw(struct parse *p, const struct row *row, const char *value)
{
	static const char *const words[] = { "keep", "remove" };
	unsigned int remove = 0;
	int r = set_word(p, row, value, words, ARRAY_SIZE(words), &remove);

	p->c->record_remove_raw = remove;
	return r;
}

static int set_record_name(struct parse *p, const struct row *row, const char *value)
{
	const char *why = naming_check(value);

	if (why)
		return wrong(p, row, value, why);
	p->c->record_name = value;
	return 0;
}

static int set_record_hook(struct parse *p, const struct row *row, const char *value)
{
	if (*value != '/')
		return wrong(p, row, value, "must be an absolute path of a program");
	p->c->record_hook = value;
	return 0;
}

static int set_record_url(struct parse *p, const struct row *row, const char *value)
{
	const char *host = !strncmp(value, "http://", 7)    ? value + 7
			   : !strncmp(value, "https://", 8) ? value + 8
							    : "";

	if (!*host || *host == '/' || *host == ':' || strpbrk(value, " \t\r\n"))
		return wrong(p, row, value, "must be http://HOST[:PORT][/PATH] or https://…");
	p->c->record_url = value;
	return 0;
}

static int set_interface(struct parse *p, const struct row *row, const char *value)
{
	struct dp_opts *dp = &p->c->dp;

	if (!*value || strlen(value) >= sizeof(((struct dp_interface *)0)->name))
		return wrong(p, row, value, "must be the name of an interface");
	if (dp->n_interfaces == DP_MAX_INTERFACES)
		return wrong(p, row, value, "is one interface too many, at most 32 are possible");
	dp->interfaces[dp->n_interfaces++] = value;
	return 0;
}

static int set_module(struct parse *p, const struct row *row, const char *value)
{
	char err[256];

	if (modules_choose(&p->c->modules, value, err, sizeof(err)) < 0)
		return wrong(p, row, value, err);
	return 0;
}

static int set_config(struct parse *p, const struct row *row, const char *value)
{
	char err[PATH_MAX + 256];

	if (modules_read(&p->c->modules, value, err, sizeof(err)) < 0)
		return complain(p, CONFIG_EXIT_RTPPROXY, "%s %s", p->option, err);
	(void)row;
	return 0;
}

static int set_hep(struct parse *p, const struct row *row, const char *value)
{
	const char *why;

	if (hep_address_parse(&p->c->hep, value, &why) < 0)
		return wrong(p, row, value, why);
	return 0;
}

static int set_metrics(struct parse *p, const struct row *row, const char *value)
{
	const char *why = config_metrics(p->c, value);

	return why ? wrong(p, row, value, why) : 0;
}

/* ---- answers ---- */

static int say_capabilities(struct parse *p, const struct row *row, const char *value)
{
	const char *date, *text;
	bool live;

	(void)row, (void)value;
	printf("Basic version: %s\n", command_capability(0, &text, &live));
	for (unsigned int i = 0; (date = command_capability(i, &text, &live)); i++)
		if (live)
			printf("Extension %s: %s\n", date, text);
	p->done = true;
	return 0;
}

static int say_version(struct parse *p, const struct row *row, const char *value)
{
	(void)row, (void)value;
	puts(RTPX_VERSION);
	p->done = true;
	return 0;
}

static int say_clock(struct parse *p, const struct row *row, const char *value)
{
	(void)row, (void)value;
	puts("CLOCK_BOOTTIME");
	p->done = true;
	return 0;
}

static int say_help(struct parse *p, const struct row *row, const char *value);

/* ---- the table ---- */

#define MEMBER(m) .offset = offsetof(struct config, m), .size = sizeof(((struct config *)0)->m)

static const struct row rows[] = {
	{ 'f', NULL, NULL, set_flag, MEMBER(foreground),
	  .help = "stay in the foreground and log to stderr" },
	{ 'F', NULL, NULL, set_flag, MEMBER(allow_root), .help = "run as root without complaint" },
	{ 's', NULL, "SPEC", set_socket, .fallback = CONFIG_SOCKET,
	  .help = "control socket, repeatable: unix:PATH, cunix:PATH, udp:HOST[:PORT], udp6:, "
		  "tcp:, tcp6:, stdio:, stdioc:, systemd: (default " CONFIG_SOCKET ")" },
	{ 'l', NULL, "ADDR", set_local, .fallback = "*",
	  .help = "media address [LABEL@]ADDR[=ADVERTISED], or INT/EXT for bridging; A,B share "
		  "new calls (default *)" },
	{ '6', NULL, "ADDR", set_local, .help = "the same for IPv6" },
	{ 'A', NULL, "ADDR[/EXT]", set_advertised,
	  .help = "address to give in replies; both with bridging" },
	{ 'm', NULL, "PORT", set_number, MEMBER(port_min), .min = 1, .max = UINT16_MAX,
	  .help = "lowest media port (default 35000)" },
	{ 'M', NULL, "PORT", set_number, MEMBER(port_max), .min = 1, .max = UINT16_MAX,
	  .help = "highest media port (default 65000)" },
	{ 'b', NULL, NULL, set_flag, MEMBER(sequential),
	  .help = "give media ports in ascending order, not at random" },
	{ 't', NULL, "TOS", set_number, MEMBER(tos), .min = 0, .max = UINT8_MAX,
	  .help = "TOS of media packets, decimal (default 184)" },
	{ 'T', NULL, "SECONDS", set_number, MEMBER(ttl_s), .min = 1, .max = INT_MAX,
	  .help = "end a session so long without media (default 60)" },
	{ 'W', NULL, "SECONDS", set_number, MEMBER(setup_ttl_s), .min = 1, .max = INT_MAX,
	  .help = "the same until it is complete (default: as -T)" },
	{ 'i', NULL, NULL, set_flag, MEMBER(independent_ttl),
	  .help = "give each direction its own time to live: one silent direction ends the "
		  "session" },
	{ '2', NULL, NULL, set_flag, MEMBER(double_small),
	  .help = "send media packets of less than 128 bytes twice" },
	{ 'L', NULL, "FILES", set_number, MEMBER(nofile), .min = 1, .max = INT_MAX,
	  .help = "limit of open files (default: the system's limit)" },
	{ 'p', NULL, "FILE", set_text, MEMBER(pid_file),
	  .help = "process id file (default " CONFIG_PID_FILE ")" },
	{ 'u', NULL, "USER[:GROUP]", set_user,
	  .help = "drop root to this user and group after start" },
	{ 'w', NULL, "MODE", set_mode, .fallback = "0755", .min = 0, .max = 07777,
	  .help = "mode of unix sockets, with a group in -u; decimal, or octal with a "
		  "leading 0 (default 0755)" },
	{ 'd', NULL, "LEVEL[:FACILITY]", set_log, .fallback = "DBUG with -f, else WARN",
	  .help = "log DBUG, INFO, WARN, ERR or CRIT and above (default DBUG with -f, "
		  "else WARN; facility daemon)" },
	{ 'D', NULL, NULL, set_flag, MEMBER(no_chdir), .help = "do not change to / as a daemon" },
	{ 'c', NULL, "fifo|rr", set_sched, .help = "real-time scheduling" },
	{ 0, "nice", "N", set_nice, .min = -20, .max = 19, .help = "nice value, -20 to 19" },
	{ 'n', NULL, "SPEC", set_notify,
	  .help = "notify of time-outs, repeatable: [unix:]PATH, tcp:HOST:PORT, "
		  "xmlrpc:http://HOST[:PORT][/PATH], jsonrpc:http://..." },
	{ 'r', NULL, "DIR", set_text, MEMBER(record_dir), .help = "directory of recordings" },
	{ 'S', NULL, "DIR", set_text, MEMBER(spool_dir),
	  .help = "directory in which recordings are made; finished ones move to -r's, on "
		  "the same file system" },
	{ 'P', NULL, NULL, set_flag, MEMBER(record_pcap), .help = "record as pcap" },
	{ 'R', NULL, NULL, set_flag, MEMBER(no_rtcp_record), .help = "do not record RTCP" },
	{ 'a', NULL, NULL, set_flag, MEMBER(record_all), .help = "record every session" },
	{ 0, "bridge_symmetric", NULL, set_flag, MEMBER(bridge_symmetric),
	  .help = "with bridging, expect symmetric peers" },
	{ 0, "force_asymmetric", NULL, set_flag, MEMBER(force_asymmetric),
	  .help = "expect asymmetric peers unless a command says s" },
	{ 0, "no_resolve", NULL, set_flag, MEMBER(no_resolve),
	  .help = "take numeric addresses only" },
	{ 0, "no_redirect", NULL, set_flag, MEMBER(no_redirect),
	  .help = "a daemon keeps its standard streams" },
	{ 0, "overload_prot", "[=SPEC]", set_nothing,
	  .help = "accepted, without effect as in rtpproxy" },
	{ 0, "dso", "FILE", set_module,
	  .help = "module of rtpproxy: catch_dtmf, acct_csv and acct_rtcp_hep are built in, others "
		  "are refused" },
	{ 0, "config", "FILE", set_config, .fallback = "none",
	  .help = "configuration of rtpproxy's modules, in its language (UCL)" },
	{ 'v', NULL, NULL, say_capabilities, .help = "print the capabilities and exit" },
	{ 'V', NULL, NULL, say_version, .help = "print the version and exit" },
	{ 'C', NULL, NULL, say_clock,
	  .help = "print the name of the clock of log time stamps and exit" },
	{ 0, "dataplane", "auto|LIST", set_dataplane, .fallback = "auto", .ours = true,
	  .help = "dataplane: the first that works of native, kmod, xdp, none (default auto: that "
		  "list, kmod if the module is loaded)" },
	{ 0, "xdp-mode", "auto|native|generic", set_xdp_mode, .fallback = "auto", .ours = true,
	  .help = "where the XDP program runs (default auto: native where the driver has it)" },
	{ 0, "interface", "IF", set_interface, .fallback = "all that are up", .ours = true,
	  .help = "attach to this interface, repeatable (default: all that are up)" },
	{ 0, "port-sockets", "auto|shared|each", set_port_sockets, .fallback = "auto", .ours = true,
	  .help = "sockets of media ports: shared by all, one for each port, or shared where that "
		  "is possible (default auto)" },
	{ 0, "pin-dir", "DIR", set_path, MEMBER(dp.pin_dir), .ours = true,
	  .help = "where the maps are pinned (default " CONFIG_PIN_DIR ")" },
	{ 0, "state-dir", "DIR", set_state_dir, MEMBER(state_dir), .ours = true,
	  .help = "directory of the journal, by which calls outlive this process; none: no journal "
		  "(default " CONFIG_STATE_DIR ")" },
	{ 0, "discard-state", NULL, set_flag, MEMBER(dp.discard), .ours = true,
	  .help = "end the calls of a previous rtpxd, of any version" },
	{ 0, "replicate", "URL", set_replicate, .ours = true,
	  .help = "keep the calls in Redis for a standby: "
		  "redis://[USER:PASSWORD@]HOST[:PORT][/DB], "
		  "rediss://... (TLS) or unix:PATH" },
	{ 0, "replicate-password", "FILE", set_path, MEMBER(redis_password_file), .ours = true,
	  .help = "file with the password for Redis, in its first line" },
	{ 0, "replicate-ca", "FILE", set_path, MEMBER(redis_ca), .ours = true,
	  .help = "certificates that rediss:// trusts (default: the system's)" },
	{ 0, "group", "NAME[=ADDR]", set_group, .fallback = CONFIG_GROUP, .ours = true,
	  .help = "name of the address group in Redis (default " CONFIG_GROUP "); with addresses: "
		  "a further group, repeatable" },
	{ 0, "standby", NULL, set_flag, MEMBER(standby), .ours = true,
	  .help = "begin as the standby, even if this host has the media addresses" },
	{ 0, "mirror-bytes", "BYTES", set_number, MEMBER(dp.mirror_bytes), .min = 65536,
	  .max = 1 << 30, .ours = true,
	  .help = "bytes for forwarded packets that wait to be recorded (default 4194304)" },
	{ 0, "learning", "proof|strict|compat", set_learning, .fallback = "proof", .ours = true,
	  .help = "how peers behind NAT are found; compat is rtpproxy's way (default proof)" },
	{ 0, "admin-socket", "PATH", set_path, MEMBER(admin_socket), .ours = true,
	  .help = "socket of rtpxctl (default " CONFIG_ADMIN_SOCKET ")" },
	{ 0, "metrics", "PORT|ADDR:PORT", set_metrics, .ours = true,
	  .help = "serve metrics for Prometheus and a status page by HTTP there, without a "
		  "password (address: default 127.0.0.1)" },
	{ 0, "prompt-dir", "DIR", set_path, MEMBER(prompt_dir), .ours = true,
	  .help = "directory of prompts: P plays no file outside of it, / allows all (default: the "
		  "one it is started in, " CONFIG_PROMPT_DIR " if that is /; as rtpproxy: all)" },
	{ 0, "prompt-cache", "DIR", set_path, MEMBER(prompt_cache), .ours = true,
	  .help = "keep encoded prompts in this directory, for the next start" },
	{ 0, "prompt-cache-size", "MB", set_number, MEMBER(prompt_cache_mb), .min = 1,
	  .max = INT_MAX, .ours = true, .help = "most megabytes of files there (default 1000)" },
	{ 0, "prompt-ptime", "MS", set_number, MEMBER(prompt_ptime_ms), .min = 1, .max = 200,
	  .ours = true, .help = "packet length of prompts, if the call gives no z (default 10)" },
	{ 0, "notify-prompts", NULL, set_flag, MEMBER(notify_prompts), .ours = true,
	  .help = "tell the unix: or tcp: target of a session when a prompt has ended" },
	{ 0, "codec", "TYPE=NAME", set_codec, .ours = true,
	  .help = "codec of an RTP payload type in every call, as in SDP: opus, AMR/8000, "
		  "AMR-WB/16000;octet-align=1, speex/16000 and so on; repeatable" },
	{ 0, "opus-type", "TYPE", set_opus, .ours = true,
	  .help = "short for --codec TYPE=opus" },
	{ 0, "max-sessions", "N", set_number, MEMBER(max_sessions), .min = 1, .max = INT_MAX,
	  .ours = true,
	  .help = "refuse a new session (E98) when so many exist (default: no limit)" },
	{ 0, "max-cps", "N", set_number, MEMBER(max_cps), .min = 1, .max = 1000000, .ours = true,
	  .help = "refuse new calls (E98) beyond so many a second (default: no limit)" },
	{ 0, "record-replace", NULL, set_flag, MEMBER(record_replace), .ours = true,
	  .help = "a recording replaces an earlier one of its name (default: it is the next part; "
		  "as rtpproxy: it replaces)" },
	{ 0, "record-dtmf", "keep|mask|drop", set_record_dtmf, .fallback = "keep", .ours = true,
	  .help = "telephone events in recordings and copies: as they are, each key as '*', or "
		  "left out (default keep)" },
	{ 0, "record-name", "PATTERN", set_record_name, .fallback = NAMING_DEFAULT, .ours = true,
	  .help = "names of recordings of R and -a: %c call-id, %f and %t tags, %Y %m %d %H %M %S "
		  "time, / for a directory (default " NAMING_DEFAULT ")" },
	{ 0, "record-json", NULL, set_flag, MEMBER(record_json), .ours = true,
	  .help = "describe each complete recording in a JSON file beside it" },
	{ 0, "record-format", "FORMAT[/mono]", set_record_format, .fallback = "none", .ours = true,
	  .help = "make a sound file of each complete recording: wav, flac, opus or mp3" },
	{ 0, "record-raw", "keep|remove", set_record_raw, .fallback = "keep", .ours = true,
	  .help = "the RTP files, when the sound file was made and read again (default keep)" },
	{ 0, "record-workers", "N", set_number, MEMBER(record_workers), .min = 1,
	  .max = JOBS_MAX_WORKERS, .ours = true,
	  .help = "sound files and hooks that run at once (default 1)" },
	{ 0, "record-hook", "PROGRAM", set_record_hook, .fallback = "none", .ours = true,
	  .help = "run it for each complete recording, with the path and the JSON description" },
	{ 0, "record-url", "URL", set_record_url, .fallback = "none", .ours = true,
	  .help = "send the JSON description of each complete recording there by POST (curl)" },
	{ 0, "record-hook-time", "SECONDS", set_number, MEMBER(record_hook_time_s), .min = 1,
	  .max = 3600, .ours = true,
	  .help = "kill a hook or a POST that takes longer (default 30)" },
	{ 0, "record-days", "N", set_number, MEMBER(record_days), .min = 1, .max = 36500,
	  .ours = true, .help = "remove recordings that completed so long ago (default: none)" },
	{ 0, "record-quota", "MB", set_number, MEMBER(record_quota_mb), .min = 1, .max = INT_MAX,
	  .ours = true,
	  .help = "remove the oldest recordings beyond so many megabytes (default: none)" },
	{ 0, "dtmf-type", "TYPE", set_type, MEMBER(dtmf_types), .min = RTP_FIRST_DYNAMIC,
	  .max = 127, .ours = true,
	  .help = "RTP payload type that is telephone events in every call, repeatable: for "
		  "--record-dtmf" },
	{ 0, "acct-csv", "FILE", set_path, MEMBER(acct_csv), .ours = true,
	  .help = "append a record of each ended session, in the columns of rtpproxy's acct_csv" },
	{ 0, "acct-json", "FILE", set_path, MEMBER(acct_json), .ours = true,
	  .help = "append a record of each ended session as a line of JSON" },
	{ 0, "hep", "COLLECTOR", set_hep, .fallback = "none", .ours = true,
	  .help = "send RTCP reports to this HEP collector, such as Homer: "
		  "[udp:|tcp:]HOST[:PORT] (default port 9060)" },
	{ 0, "hep-id", "N", set_number, MEMBER(hep_agent), .min = 0, .max = UINT32_MAX,
	  .ours = true, .help = "number of this host at the HEP collector (default 101)" },
	{ 0, "check", NULL, set_flag, MEMBER(check), .ours = true,
	  .help = "judge this command line and the host, and exit; 0: calls can work" },
	{ 0, "banner", NULL, set_flag, MEMBER(banner), .ours = true,
	  .help = "print addresses, dataplane and the lines for kamailio.cfg on stdout" },
	{ 0, "help", NULL, say_help, .ours = true, .help = "print this help and exit" },
};

/* ---- the settings in effect ---- */

static bool is_setting(const struct row *r)
{
	return r->set != set_nothing && r->set != say_capabilities && r->set != say_version &&
	       r->set != say_clock && r->set != say_help;
}

/* The value of a number's member. 0, where it is no valid value, is "none". */
static void number_text(const struct config *c, const struct row *r, char *buf, size_t size)
{
	const char *member = (const char *)c + r->offset;
	long n = r->size == sizeof(uint8_t)    ? *(const uint8_t *)member
		 : r->size == sizeof(uint16_t) ? *(const uint16_t *)member
		 : r->size == sizeof(uint32_t) ? (long)*(const uint32_t *)member
					       : *(const long *)member;

	if (n < r->min)
		snprintf(buf, size, "none");
	else
		snprintf(buf, size, "%ld", n);
}

/* The value in effect of an option that the command line does not give. */
static const char *default_text(const struct config *c, const struct row *r, char *buf,
				size_t size)
{
	const char *text;

	if (r->fallback)
		return r->fallback;
	if (r->set == set_flag)
		return *(const bool *)((const char *)c + r->offset) ? "on" : "off";
	if (r->set == set_number) {
		number_text(c, r, buf, size);
		return buf;
	}
	text = r->size == sizeof(text) ? *(const char *const *)((const char *)c + r->offset) : NULL;
	return text ? text : "none";
}

/* All values that the command line gives for a row, with blanks between them. Returns their number.
 */
static unsigned int given_text(const struct config *c, unsigned int row, char *buf, size_t size)
{
	unsigned int n = 0;
	size_t len = 0;

	for (unsigned int i = 0; i < c->n_given; i++) {
		const char *value = c->given[i].value ? c->given[i].value : "on";

		if (c->given[i].row != row)
			continue;
		/* of an option that is not a list, the last one counts */
		if (rows[row].size)
			len = 0;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? " " : "", value);
		len = MIN(len, size - 1);
		n++;
	}
	return n;
}

bool options_setting(void *config, unsigned int i, struct admin_setting *out)
{
	static char name[32], value[8192];
	const struct config *c = config;
	unsigned int row;

	for (row = 0; row < ARRAY_SIZE(rows) && (!is_setting(&rows[row]) || i--); row++)
		;
	if (row == ARRAY_SIZE(rows))
		return false;
	snprintf(name, sizeof(name), "%s%.*s%s", rows[row].letter ? "-" : "--",
		 rows[row].letter ? 1 : 0, &rows[row].letter, rows[row].name ? rows[row].name : "");
	out->name = name;
	out->given = given_text(c, row, value, sizeof(value)) > 0;
	out->value = out->given ? value : default_text(c, &rows[row], value, sizeof(value));
	return true;
}

static int say_help(struct parse *p, const struct row *row, const char *value)
{
	(void)row, (void)value;
	printf("usage: %s [OPTION]...\n"
	       "A media relay with rtpproxy's control protocol that forwards in the kernel.\n\n",
	       p->program);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		char left[48];

		snprintf(left, sizeof(left), "%s%.*s%s%s%s%s", r->letter ? "-" : "",
			 r->letter ? 1 : 0, &r->letter, r->name ? "--" : "", r->name ? r->name : "",
			 r->arg && *r->arg != '[' ? " " : "", r->arg ? r->arg : "");
		printf("  %-32s %s\n", left, r->help);
	}
	p->done = true;
	return 0;
}

/* getopt's value of a row without a letter: LONG_BASE + index in the table */
#define LONG_BASE 256

/* Make getopt's two tables from ours. */
static void build_getopt(char letters[3 * ARRAY_SIZE(rows) + 2],
			 struct option longs[ARRAY_SIZE(rows) + 1])
{
	size_t n = 0;

	*letters++ = ':';
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		if (r->letter) {
			*letters++ = r->letter;
			if (r->arg)
				*letters++ = ':';
		}
		if (r->name)
			longs[n++] = (struct option){
				.name = r->name,
				.has_arg = !r->arg          ? no_argument
					   : *r->arg == '[' ? optional_argument
							    : required_argument,
				.val = LONG_BASE + (int)i,
			};
	}
	*letters = 0;
	longs[n] = (struct option){ 0 };
}

static const struct row *row_of(int value)
{
	if (value >= LONG_BASE)
		return &rows[value - LONG_BASE];
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].letter == value)
			return &rows[i];
	return NULL;
}

static int unknown(const struct parse *p, const char *what, const char *text)
{
	return complain(p, p->c->drop_in ? CONFIG_EXIT_RTPPROXY : CONFIG_EXIT_OURS,
			"%s '%s'; see %s --help", what, text, p->program);
}

/* Report a refused option. getopt's @value is ':' without an argument, '?' for unknown options. */
static int refuse(const struct parse *p, int value, const char *word)
{
	const struct row *row = value == ':' ? row_of(optopt) : NULL;
	char text[3] = { '-', (char)optopt, 0 };

	if (row && row->ours)
		return complain(p, CONFIG_EXIT_OURS, "--%s needs %s", row->name, row->arg);
	if (row)
		return complain(p, CONFIG_EXIT_RTPPROXY, "%s%s needs %s", row->name ? "--" : "",
				row->name ? row->name : text, row->arg);
	if (optopt >= LONG_BASE)
		return unknown(p, "this option takes no argument:", word);
	return unknown(p, "unknown option", optopt ? text : word);
}

static int read_options(struct parse *p, int argc, char **argv)
{
	struct option longs[ARRAY_SIZE(rows) + 1];
	char letters[3 * ARRAY_SIZE(rows) + 2];
	char option[32];
	int value, r;

	build_getopt(letters, longs);
	p->option = option;
	optind = 0;
	opterr = 0;
	for (;;) {
		const struct row *row;

		value = getopt_long(argc, argv, letters, longs, NULL);
		if (value == -1)
			break;
		if (value == '?' || value == ':')
			return refuse(p, value, argv[optind - 1]);
		row = row_of(value);
		snprintf(option, sizeof(option), "%s%.*s%s", row->letter ? "-" : "--",
			 row->letter ? 1 : 0, &row->letter, row->name ? row->name : "");
		if (p->c->n_given < CONFIG_MAX_GIVEN)
			p->c->given[p->c->n_given++] =
				(struct config_given){ (unsigned int)(row - rows), optarg };
		r = row->set(p, row, optarg);
		if (r || p->done)
			return r;
	}
	return optind < argc ? unknown(p, "what is", argv[optind]) : 0;
}

/* Count an option as given, because a module of --dso or --config has set it. */
static void count_given(struct config *c, const char *name, const char *value)
{
	unsigned int row = 0, i;

	while (!rows[row].name || strcmp(rows[row].name, name) != 0)
		row++;
	for (i = 0; i < c->n_given && c->given[i].row != row; i++)
		;
	if (i == c->n_given && i < CONFIG_MAX_GIVEN && value && *value)
		c->given[c->n_given++] = (struct config_given){ row, value };
}

enum options_action options_parse(struct config *c, int argc, char **argv)
{
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	struct parse p = { .c = c, .program = name ? name + 1 : argc > 0 ? argv[0] : "rtpxd" };
	char err[512];

	config_defaults(c);
	c->drop_in = !strcmp(p.program, "rtpproxy");
	c->exit_code = read_options(&p, argc, argv);
	if (!c->exit_code && !p.done) {
		c->exit_code = config_conclude(c, err, sizeof(err));
		if (c->exit_code)
			complain(&p, c->exit_code, "%s", err);
		if (c->modules.csv)
			count_given(c, "acct-csv", c->acct_csv);
		count_given(c, "hep", c->hep_text);
		count_given(c, "hep-id", c->hep_agent_text);
	}
	if (c->exit_code || p.done) {
		config_free(c);
		return OPTIONS_EXIT;
	}
	return OPTIONS_RUN;
}

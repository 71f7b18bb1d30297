/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modules.c - the modules and their settings, each in one table.
 *
 * Source: rtpproxy's sample configuration, and its test files of acct_rtcp_hep. As in rtpproxy, the
 * key `load` of a section names the module by its file; without it the section's name does.
 */
#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/refuse.h"
#include "base/whole.h"
#include "ucl.h"

#define DEFAULT_AGENT 101 /* rtpproxy's, as the next */
#define DEFAULT_HOST "10.0.0.1"
#define MAX_FILE (64 << 10) /* bytes of a configuration file */

enum module { CATCH_DTMF, ACCT_CSV, ACCT_RTCP_HEP, N_MODULES, ANY_MODULE };

static const char *const names[N_MODULES] = {
	[CATCH_DTMF] = "catch_dtmf",
	[ACCT_CSV] = "acct_csv",
	[ACCT_RTCP_HEP] = "acct_rtcp_hep",
};

static const char no_module[] =
	"this module of rtpproxy cannot be loaded; catch_dtmf, acct_csv and acct_rtcp_hep are built "
	"in";

/* A section of a module while it is read. */
struct section {
	struct modules settings;
	char load[UCL_MAX_VALUE];
	unsigned int lines[8]; /* of the keys that it has, by their index; 0: it has not */
};

struct reading {
	struct modules *m;
	const char *dir;
	struct section section;
};

/* ---- settings: each returns NULL, or the condition that the value does not meet ---- */

static const char *set_load(struct section *s, const struct reading *r, const struct ucl_event *e)
{
	(void)r;
	snprintf(s->load, sizeof(s->load), "%s", e->value);
	return NULL;
}

static const char *set_logfile(struct section *s, const struct reading *r,
			       const struct ucl_event *e)
{
	char *file = s->settings.csv_file;
	int n = *e->value == '/' ? snprintf(file, PATH_MAX, "%s", e->value)
				 : snprintf(file, PATH_MAX, "%s/%s", r->dir, e->value);

	return n > 0 && n < PATH_MAX ? NULL : "must be a shorter path";
}

static const char *set_host(struct section *s, const struct reading *r, const struct ucl_event *e)
{
	char *host = s->settings.collector.host;
	size_t size = sizeof(s->settings.collector.host);

	(void)r;
	return *e->value && snprintf(host, size, "%s", e->value) < (int)size
		       ? NULL
		       : "must be a name or an address";
}

/* A whole number without quotes, decimal or hexadecimal. */
static bool number(const struct ucl_event *e, unsigned long max, unsigned long *out)
{
	bool hex = !strncasecmp(e->value, "0x", 2);
	const char *digits = e->value + (hex ? 2 : 0);
	char *end;

	if (e->quoted || !*digits ||
	    digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")])
		return false;
	errno = 0;
	*out = strtoul(digits, &end, hex ? 16 : 10);
	return !errno && *out <= max;
}

static const char *set_port(struct section *s, const struct reading *r, const struct ucl_event *e)
{
	unsigned long n;

	(void)r;
	if (!number(e, UINT16_MAX, &n) || !n)
		return "must be a number, 1 to 65535";
	s->settings.collector.port = (uint16_t)n;
	return NULL;
}

static const char *set_ptype(struct section *s, const struct reading *r, const struct ucl_event *e)
{
	(void)r;
	s->settings.collector.tcp = !strcasecmp(e->value, "tcp");
	return s->settings.collector.tcp || !strcasecmp(e->value, "udp") ? NULL
									 : "must be udp or tcp";
}

static const char *set_id(struct section *s, const struct reading *r, const struct ucl_event *e)
{
	unsigned long n;

	(void)r;
	if (!number(e, UINT32_MAX, &n))
		return "must be a number, 0 to 4294967295";
	s->settings.hep_agent = (uint32_t)n;
	return NULL;
}

/* clang-format off */
static const struct key {
	const char *name;
	enum module of;
	const char *(*set)(struct section *s, const struct reading *r, const struct ucl_event *e);
} keys[] = {
	{ "load", ANY_MODULE, set_load },
	{ "logfile", ACCT_CSV, set_logfile },
	{ "capt_host", ACCT_RTCP_HEP, set_host },
	{ "capt_port", ACCT_RTCP_HEP, set_port },
	{ "capt_ptype", ACCT_RTCP_HEP, set_ptype },
	{ "capt_id", ACCT_RTCP_HEP, set_id },
};
/* clang-format on */

_Static_assert(ARRAY_SIZE(keys) <= ARRAY_SIZE(((struct section *)0)->lines), "a line for each key");

/* ---- the choice ---- */

void modules_defaults(struct modules *m)
{
	*m = (struct modules){ .hep_agent = DEFAULT_AGENT,
			       .collector = { .host = DEFAULT_HOST, .port = HEP_PORT } };
}

/* The module in a file such as /usr/lib/rtpproxy/rtpp_acct_csv.so; N_MODULES: none of ours. */
static enum module module_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
	enum module i;

	for (i = 0; i < N_MODULES && !strstr(file, names[i]); i++)
		;
	return i;
}

static void choose(struct modules *m, enum module module)
{
	m->csv |= module == ACCT_CSV;
	m->hep |= module == ACCT_RTCP_HEP;
}

int modules_choose(struct modules *m, const char *path, char *err, size_t err_size)
{
	enum module module = module_of(path);

	if (module == N_MODULES)
		return refuse(err, err_size, -EINVAL, "%s", no_module);
	choose(m, module);
	return 0;
}

/* ---- the file ---- */

static void begin_section(struct reading *r)
{
	r->section = (struct section){ 0 };
	modules_defaults(&r->section.settings);
}

static int take_setting(struct reading *r, const struct ucl_event *e, char *err, size_t err_size)
{
	const char *name = e->keys[e->depth - 1], *why;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys) && strcasecmp(keys[i].name, name) != 0; i++)
		;
	if (i == ARRAY_SIZE(keys))
		return refuse(err, err_size, -EINVAL, "line %u: %s: unknown key '%s'", e->line,
			      e->keys[1], name);
	r->section.lines[i] = e->line;
	why = keys[i].set(&r->section, r, e);
	if (why)
		return refuse(err, err_size, -EINVAL, "line %u: %s '%s': %s", e->line, name,
			      e->value, why);
	return 0;
}

static int end_section(struct reading *r, const struct ucl_event *e, char *err, size_t err_size)
{
	const struct section *s = &r->section;
	enum module module = module_of(*s->load ? s->load : e->keys[1]);

	if (module == N_MODULES)
		return refuse(err, err_size, -EINVAL, "line %u: %s: %s", e->line, e->keys[1],
			      no_module);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (s->lines[i] && keys[i].of != ANY_MODULE && keys[i].of != module)
			return refuse(err, err_size, -EINVAL, "line %u: %s has no key '%s'",
				      s->lines[i], names[module], keys[i].name);
	choose(r->m, module);
	if (module == ACCT_CSV)
		memcpy(r->m->csv_file, s->settings.csv_file, sizeof(r->m->csv_file));
	if (module == ACCT_RTCP_HEP) {
		r->m->collector = s->settings.collector;
		r->m->hep_agent = s->settings.hep_agent;
	}
	return 0;
}

static int on_event(void *arg, const struct ucl_event *e, char *err, size_t err_size)
{
	struct reading *r = arg;

	if (strcasecmp(e->keys[0], "modules") != 0)
		return refuse(err, err_size, -EINVAL,
			      "line %u: '%s' is not known; a configuration has the section modules",
			      e->line, e->keys[0]);
	if (e->kind == UCL_VALUE && e->depth == 3)
		return take_setting(r, e, err, err_size);
	if (e->kind == UCL_VALUE || e->depth > 2)
		return refuse(err, err_size, -EINVAL, "line %u: '%s' cannot stand here", e->line,
			      e->keys[e->depth - 1]);
	if (e->depth == 2 && e->kind == UCL_BEGIN)
		begin_section(r);
	return e->depth == 2 && e->kind == UCL_END ? end_section(r, e, err, err_size) : 0;
}

int modules_parse(struct modules *m, const char *text, size_t len, const char *dir, char *err,
		  size_t err_size)
{
	struct reading r = { .m = m, .dir = dir };

	return ucl_read(text, len, on_event, &r, err, err_size);
}

/* Read at most @size bytes of the file. Their number, or -errno. */
static ssize_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read_whole(fd, text, size);
	close(fd);
	return n;
}

int modules_read(struct modules *m, const char *path, char *err, size_t err_size)
{
	char *text = malloc(MAX_FILE), dir[PATH_MAX], why[256];
	ssize_t n = text ? read_file(path, text, MAX_FILE) : -ENOMEM;
	int r;

	if (n < 0)
		r = refuse(why, sizeof(why), (int)n, "%s", strerror((int)-n));
	else if (n == MAX_FILE)
		r = refuse(why, sizeof(why), -EFBIG, "is too long for a configuration");
	else if (!getcwd(dir, sizeof(dir)))
		r = refuse(why, sizeof(why), -errno, "the directory of the start: %s",
			   strerror(errno));
	else
		r = modules_parse(m, text, (size_t)n, dir, why, sizeof(why));
	free(text);
	return r < 0 ? refuse(err, err_size, r, "%s: %s", path, why) : 0;
}

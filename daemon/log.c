/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - lines to stderr or syslog.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <syslog.h>
#include <time.h>

#include "log.h"

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LVL_DBUG] = { "DBUG", LOG_DEBUG },	 [LOG_LVL_INFO] = { "INFO", LOG_INFO },
	[LOG_LVL_WARN] = { "WARN", LOG_WARNING }, [LOG_LVL_ERR] = { "ERR", LOG_ERR },
	[LOG_LVL_CRIT] = { "CRIT", LOG_CRIT },
};

static const struct {
	const char *name;
	int facility;
} facilities[] = {
	{ "DAEMON", LOG_DAEMON }, { "AUTH", LOG_AUTH },     { "CRON", LOG_CRON },
	{ "KERN", LOG_KERN },     { "LPR", LOG_LPR },       { "MAIL", LOG_MAIL },
	{ "NEWS", LOG_NEWS },     { "USER", LOG_USER },     { "UUCP", LOG_UUCP },
	{ "LOCAL0", LOG_LOCAL0 }, { "LOCAL1", LOG_LOCAL1 }, { "LOCAL2", LOG_LOCAL2 },
	{ "LOCAL3", LOG_LOCAL3 }, { "LOCAL4", LOG_LOCAL4 }, { "LOCAL5", LOG_LOCAL5 },
	{ "LOCAL6", LOG_LOCAL6 }, { "LOCAL7", LOG_LOCAL7 },
};

static struct {
	enum log_level level;
	bool to_stderr, to_syslog, relative;
	double origin; /* seconds of CLOCK_BOOTTIME from which a relative time counts */
} sink = { .level = LOG_LVL_DBUG, .to_stderr = true };

int log_level_of(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(levels); i++)
		if (!strcasecmp(levels[i].name, name))
			return i;
	return -1;
}

int log_facility_of(const char *name)
{
	unsigned int i;

	if (!strncasecmp(name, "LOG_", 4))
		name += 4;
	for (i = 0; i < ARRAY_SIZE(facilities); i++)
		if (!strcasecmp(facilities[i].name, name))
			return facilities[i].facility;
	return -1;
}

static double boot_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void log_open(enum log_level level, bool to_stderr, bool to_syslog, int facility)
{
	const char *form = getenv("RTPP_LOG_TFORM"), *start = getenv("RTPP_LOG_TSTART");

	sink.level = level;
	sink.to_stderr = to_stderr;
	sink.to_syslog = to_syslog;
	sink.relative = form && !strcmp(form, "rel");
	sink.origin = start ? atof(start) : boot_seconds();
	if (to_syslog)
		openlog("rtpxd", LOG_PID, facility);
}

/* Call-ids and tags come from strangers: nothing in them may steer a terminal or begin a line. */
static void tame(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

void log_line(enum log_level level, const char *call, const char *func, int line, const char *fmt,
	      ...)
{
	char text[1024], who[256], when[32] = "";
	va_list ap;

	if (level < sink.level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(who, sizeof(who), "%s", call && *call ? call : "GLOBAL");
	tame(text);
	tame(who);
	if (sink.to_syslog)
		syslog(levels[level].priority, "%s:%s:%s:%d: %s", levels[level].name, who, func,
		       line, text);
	if (!sink.to_stderr)
		return;
	if (sink.relative)
		snprintf(when, sizeof(when), "%.3f/", boot_seconds() - sink.origin);
	fprintf(stderr, "%s%s:%s:%s:%d: %s\n", when, levels[level].name, who, func, line, text);
}

bool log_allowed(uint64_t *last, uint64_t now_ns)
{
	if (*last && now_ns - *last < NSEC_PER_SEC)
		return false;
	*last = now_ns;
	return true;
}

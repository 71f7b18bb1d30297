/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - lines to stderr, syslog and the journal, each through a queue in memory.
 *
 * syslog(3) and stdio wait for the reader of the log. A stopped syslogd, or a pipe with a hanging
 * reader, would stop the event loop.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/nowait.h"
#include "base/utf8.h"

#define QUEUE_BYTES (128 << 10)
#define LINE_TEXT 1024 /* bytes of a text; more are cut off */
#define LINE_MAX_BYTES 2048
#define GLOBAL "GLOBAL"		      /* in place of the call-id, in lines about no call */
#define AGAIN_NS (50 * NSEC_PER_MSEC) /* pause after a log took nothing */
#define CLOSE_MS 500

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LVL_DBUG] = { "DBUG", LOG_DEBUG },	  [LOG_LVL_INFO] = { "INFO", LOG_INFO },
	[LOG_LVL_WARN] = { "WARN", LOG_WARNING }, [LOG_LVL_ERR] = { "ERR", LOG_ERR },
	[LOG_LVL_CRIT] = { "CRIT", LOG_CRIT },
};

/* clang-format off */
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
/* clang-format on */

/* A destination of lines. */
struct sink {
	const char *name;
	bool on;
	/* write - write some of @len bytes, which begin with a line. Returns as nowait_write(). */
	ssize_t (*write)(const char *p, size_t len);
	uint64_t again_ns;  /* do not write before that */
	unsigned long lost; /* lines lost since the queue was full */
	size_t len;
	char queue[QUEUE_BYTES];
};

static ssize_t write_stderr(const char *p, size_t len);
static ssize_t write_syslog(const char *p, size_t len);
static ssize_t journald_write(const char *p, size_t len);

static struct sink to_stderr = { .name = "stderr", .on = true, .write = write_stderr };
static struct sink to_syslog = { .name = "syslog", .write = write_syslog };
static struct sink to_journal = { .name = "the journal", .write = journald_write };
static struct sink *const sinks[] = { &to_stderr, &to_syslog, &to_journal };

static enum log_level least = LOG_LVL_DBUG;
static bool relative;
static double origin; /* seconds of CLOCK_BOOTTIME from which a relative time counts */
static enum nowait_kind stderr_kind;
static bool stderr_known; /* @stderr_kind is that of stderr since the latest log_open() */
static const char *syslog_path = "/dev/log";
static int syslog_fd = -1, syslog_type, syslog_facility = LOG_DAEMON;
static const char *journal_path = "/run/systemd/journal/socket";
static int journal_fd = -1;
static bool prefixed; /* stderr is a stream of journald: a line on it begins with "<PRIORITY>" */
static struct log_kind *left_out;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum log_level log_level(void)
{
	return least;
}

void log_set_level(enum log_level level)
{
	least = level;
}

const char *log_level_name(enum log_level level)
{
	return levels[level].name;
}

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

/* ---- destinations ---- */

static ssize_t write_stderr(const char *p, size_t len)
{
	if (!stderr_known)
		stderr_kind = nowait_kind(STDERR_FILENO);
	stderr_known = true;
	return nowait_write(STDERR_FILENO, stderr_kind, p, len);
}

/* A socket of @type that is connected to @path, or -errno. */
static int socket_connected(int type, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* syslogd listens for datagrams; some that are not Linux's own listen for a stream. */
static int syslog_connect(void)
{
	int fd = socket_connected(syslog_type = SOCK_DGRAM, syslog_path);

	if (fd == -EPROTOTYPE)
		fd = socket_connected(syslog_type = SOCK_STREAM, syslog_path);
	syslog_fd = fd;
	return fd;
}

/* Without a syslogd lines wait, as they do for a syslogd that does not read. */
static ssize_t write_syslog(const char *p, size_t len)
{
	size_t line = (size_t)((const char *)memchr(p, '\n', len) - p);
	ssize_t n;

	if (syslog_fd < 0 && syslog_connect() < 0)
		return -EAGAIN;
	if (syslog_type == SOCK_STREAM)
		n = nowait_write(syslog_fd, NOWAIT_SOCKET, p, len);
	else
		n = nowait_write(syslog_fd, NOWAIT_SOCKET, p, line);
	if (n >= 0 && syslog_type == SOCK_DGRAM)
		n = (ssize_t)line + 1;
	if (n >= 0 || n == -EAGAIN)
		return n;
	close(syslog_fd); /* the syslogd has ended */
	syslog_fd = -1;
	return -EAGAIN;
}

/*
 * A record has a field a line and ends in an empty line, which is not sent (systemd's "native
 * journal protocol").
 */
static ssize_t journald_write(const char *p, size_t len)
{
	size_t record = (size_t)((const char *)memmem(p, len, "\n\n", 2) - p) + 1;
	ssize_t n;

	if (journal_fd < 0 && (journal_fd = socket_connected(SOCK_DGRAM, journal_path)) < 0)
		return -EAGAIN;
	n = nowait_write(journal_fd, NOWAIT_SOCKET, p, record);
	if (n >= 0)
		return (ssize_t)record + 1;
	if (n != -EAGAIN) { /* journald has ended */
		close(journal_fd);
		journal_fd = -1;
	}
	return -EAGAIN;
}

/* True when stderr is the stream that journald reads (JOURNAL_STREAM in systemd.exec(5)). */
static bool stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long dev, ino;
	struct stat st;

	return text && sscanf(text, "%lu:%lu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

/* Write waiting lines until the destination takes no more. */
static void sink_drain(struct sink *s, uint64_t now_ns)
{
	size_t done = 0;

	if (now_ns < s->again_ns)
		return;
	while (done < s->len) {
		ssize_t n = s->write(s->queue + done, s->len - done);

		if (n == -EAGAIN) {
			s->again_ns = now_ns + AGAIN_NS;
			break;
		}
		done = n < 0 ? s->len : done + (size_t)n; /* closed: the reader is gone */
	}
	memmove(s->queue, s->queue + done, s->len - done);
	s->len -= done;
}

static void sink_enqueue(struct sink *s, const char *text, size_t len)
{
	memcpy(s->queue + s->len, text, len);
	s->len += len;
}

/* Level and place are fields of the journal, so MESSAGE repeats the call-id only, for readers. */
static int format_journal(char out[LINE_MAX_BYTES], enum log_level level, const char *call,
			  const char *func, int line, const char *text)
{
	bool global = !strcmp(call, GLOBAL);

	return snprintf(out, LINE_MAX_BYTES,
			"PRIORITY=%d\nSYSLOG_IDENTIFIER=rtpxd\nCODE_FUNC=%s\nCODE_LINE=%d\n"
			"%s%s%sMESSAGE=%s%s%s\n",
			levels[level].priority, func, line,
			global ? "" : "CALL_ID=", global ? "" : call, global ? "" : "\n",
			global ? "" : call, global ? "" : ": ", text);
}

/* Format the line "LEVEL:CALL:FUNC:LINE: TEXT" for @s. Returns its length. */
static size_t line_format(char out[LINE_MAX_BYTES], const struct sink *s, enum log_level level,
			  const char *call, const char *func, int line, const char *text)
{
	char before[96] = "";
	int n;

	if (s == &to_journal) {
		n = format_journal(out, level, call, func, line, text);
	} else if (s == &to_syslog) {
		time_t now = time(NULL);
		struct tm tm;

		strftime(before, sizeof(before), "%b %e %T", localtime_r(&now, &tm));
		n = snprintf(out, LINE_MAX_BYTES, "<%d>%s rtpxd[%d]: %s:%s:%s:%d: %s",
			     syslog_facility | levels[level].priority, before, (int)getpid(),
			     levels[level].name, call, func, line, text);
	} else {
		if (prefixed)
			snprintf(before, sizeof(before), "%s", log_prefix(level));
		else if (relative)
			snprintf(before, sizeof(before), "%.3f/", boot_seconds() - origin);
		n = snprintf(out, LINE_MAX_BYTES, "%s%s:%s:%s:%d: %s", before, levels[level].name,
			     call, func, line, text);
	}
	n = MIN(n, LINE_MAX_BYTES - 2);
	out[n++] = '\n';
	return (size_t)n;
}

/*
 * Once a line is lost, all lines are lost until the queue is empty. The line that counts them then
 * stands in their place.
 */
static void sink_tell_lost(struct sink *s)
{
	char out[LINE_MAX_BYTES], text[128];

	if (!s->lost || s->len)
		return;
	snprintf(text, sizeof(text), "%lu lines lost: the reader of %s was too slow", s->lost,
		 s->name);
	s->lost = 0;
	sink_enqueue(s, out, line_format(out, s, LOG_LVL_WARN, GLOBAL, "log", 0, text));
}

static void sink_write(struct sink *s, uint64_t now_ns, enum log_level level, const char *call,
		       const char *func, int line, const char *text)
{
	char out[LINE_MAX_BYTES];
	size_t len;

	sink_drain(s, now_ns);
	sink_tell_lost(s);
	len = line_format(out, s, level, call, func, line, text);
	if (s->lost || s->len + len > QUEUE_BYTES)
		s->lost++;
	else
		sink_enqueue(s, out, len);
	sink_drain(s, now_ns);
}

void log_open(enum log_level level, bool stderr_too, bool syslog_too, int facility)
{
	const char *form = getenv("RTPP_LOG_TFORM"), *start = getenv("RTPP_LOG_TSTART");

	least = level;
	stderr_known = false;
	prefixed = stderr_too && stderr_is_journal();
	if (prefixed && journal_fd < 0)
		journal_fd = socket_connected(SOCK_DGRAM, journal_path);
	to_journal.on = prefixed && journal_fd >= 0;
	to_stderr.on = stderr_too && !to_journal.on;
	to_syslog.on = syslog_too;
	syslog_facility = facility;
	relative = form && !strcmp(form, "rel");
	origin = start ? atof(start) : boot_seconds();
	tzset();
}

const char *log_prefix(enum log_level level)
{
	static const char *const prefixes[] = {
		[LOG_LVL_DBUG] = "<7>", [LOG_LVL_INFO] = "<6>", [LOG_LVL_WARN] = "<4>",
		[LOG_LVL_ERR] = "<3>",	[LOG_LVL_CRIT] = "<2>",
	};

	return stderr_is_journal() ? prefixes[level] : "";
}

static bool is_waiting(void)
{
	return to_stderr.len || to_syslog.len || to_journal.len;
}

void log_close(void)
{
	const uint64_t end_ns = clock_now() + CLOSE_MS * NSEC_PER_MSEC;
	uint64_t now_ns;

	log_run(clock_now());
	pthread_mutex_lock(&lock);
	while (is_waiting() && (now_ns = clock_now()) < end_ns) {
		for (size_t i = 0; i < ARRAY_SIZE(sinks); i++) {
			sink_drain(sinks[i], now_ns);
			sink_tell_lost(sinks[i]);
		}
		poll(NULL, 0, AGAIN_NS / NSEC_PER_MSEC / 5);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- lines ---- */

/*
 * Replace control characters, also those of Latin-1 (C1). Call-ids and tags come from strangers,
 * and must not steer a terminal or begin a line.
 */
static void line_tame(char *text)
{
	utf8_tame(text, text);
}

/* ---- followers ---- */

static _Thread_local struct log_follower *followers; /* of this thread's lines */

void log_follow(struct log_follower *f)
{
	DL_APPEND(followers, f);
}

void log_unfollow(struct log_follower *f)
{
	DL_DELETE(followers, f);
}

bool log_is_followed(struct span call)
{
	const struct log_follower *f;

	DL_FOREACH(followers, f)
		if (span_eq(span_of(f->call), call))
			return true;
	return false;
}

static void tell_followers(const char *call, const char *level, const char *text)
{
	char line[1200], when[32];
	const struct log_follower *f;
	struct timespec now;
	struct tm tm;
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	n = snprintf(line, sizeof(line), "%s.%03ld %s %s\n", when, now.tv_nsec / 1000000, level,
		     text);
	n = MIN(n, (int)sizeof(line) - 1);
	DL_FOREACH(followers, f)
		if (!strcmp(f->call, call))
			f->line(f->arg, line, (size_t)n);
}

void log_trace(const char *call, const char *fmt, ...)
{
	char text[LINE_TEXT];
	va_list ap;

	if (!log_is_followed(span_of(call)))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	line_tame(text);
	tell_followers(call, "TRACE", text);
}

/* Give a line of a followed call to its followers. */
static void follow_line(enum log_level level, const char *call, const char *fmt, va_list ap)
{
	char text[LINE_TEXT];
	va_list copy;

	if (!call || !log_is_followed(span_of(call)))
		return;
	va_copy(copy, ap);
	vsnprintf(text, sizeof(text), fmt, copy);
	va_end(copy);
	line_tame(text);
	tell_followers(call, levels[level].name, text);
}

/* The caller holds the lock. */
static void write_line(uint64_t now_ns, enum log_level level, const char *call, const char *func,
		       int line, const char *fmt, va_list ap)
{
	char text[LINE_TEXT], who[256];

	vsnprintf(text, sizeof(text), fmt, ap);
	snprintf(who, sizeof(who), "%s", call && *call ? call : GLOBAL);
	line_tame(text);
	line_tame(who);
	for (size_t i = 0; i < ARRAY_SIZE(sinks); i++)
		if (sinks[i]->on)
			sink_write(sinks[i], now_ns, level, who, func, line, text);
}

void log_line(enum log_level level, const char *call, const char *func, int line, const char *fmt,
	      ...)
{
	va_list ap;

	va_start(ap, fmt);
	follow_line(level, call, fmt, ap);
	va_end(ap);
	if (level < least)
		return;
	va_start(ap, fmt);
	pthread_mutex_lock(&lock);
	write_line(clock_now(), level, call, func, line, fmt, ap);
	pthread_mutex_unlock(&lock);
	va_end(ap);
}

/* A token bucket: every line costs 1/per_s seconds, and at most LOG_BURST seconds are saved. */
static bool kind_spend(struct log_kind *k, uint64_t now_ns)
{
	const uint64_t saved = LOG_BURST * NSEC_PER_SEC, price = NSEC_PER_SEC / MAX(k->per_s, 1u);

	if (now_ns > saved && k->spent_ns < now_ns - saved)
		k->spent_ns = now_ns - saved;
	if (k->spent_ns + price > now_ns)
		return false;
	k->spent_ns += price;
	return true;
}

void log_kind_line(struct log_kind *k, const char *call, const char *fmt, ...)
{
	uint64_t now_ns = clock_now();
	va_list ap;

	va_start(ap, fmt);
	follow_line(k->level, call, fmt, ap);
	va_end(ap);
	if (k->level < least)
		return;
	va_start(ap, fmt);
	pthread_mutex_lock(&lock);
	if (kind_spend(k, now_ns)) {
		write_line(now_ns, k->level, call, k->func, k->line, fmt, ap);
	} else if (k->left_out++ == 0) {
		k->next = left_out;
		left_out = k;
	}
	pthread_mutex_unlock(&lock);
	va_end(ap);
}

static void kind_log(uint64_t now_ns, const struct log_kind *k, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void kind_log(uint64_t now_ns, const struct log_kind *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(now_ns, k->level, NULL, k->func, k->line, fmt, ap);
	va_end(ap);
}

void log_run(uint64_t now_ns)
{
	struct log_kind *k;

	pthread_mutex_lock(&lock);
	while ((k = left_out)) {
		left_out = k->next;
		kind_log(now_ns, k, "%lu more lines of this kind left out", k->left_out);
		k->left_out = 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sinks); i++) {
		sink_drain(sinks[i], now_ns);
		sink_tell_lost(sinks[i]);
	}
	pthread_mutex_unlock(&lock);
}

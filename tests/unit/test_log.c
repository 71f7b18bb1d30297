/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_log.c - the form of a line on stderr, lines that are left out, text from the network in a
 * line, and readers of the log that do not read.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../daemon/base/log.c"
#include "../../daemon/base/provoked.c"

static char got[4096];

/* Log one line with stderr in a file, and read the file into @got. */
static void line(enum log_level level, const char *call, const char *text)
{
	FILE *file = tmpfile();
	int err = dup(STDERR_FILENO);
	size_t n;

	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	log_line(level, call, "function", 7, "%s", text);
	fflush(stderr);
	dup2(err, STDERR_FILENO);
	close(err);
	rewind(file);
	n = fread(got, 1, sizeof(got) - 1, file);
	got[n] = '\0';
	fclose(file);
}

static void form(void **state)
{
	(void)state;
	unsetenv("RTPP_LOG_TFORM");
	log_open(LOG_LVL_DBUG, true, false, 0);
	line(LOG_LVL_INFO, "call@host", "text");
	assert_string_equal(got, "INFO:call@host:function:7: text\n");
	line(LOG_LVL_ERR, NULL, "text");
	assert_string_equal(got, "ERR:GLOBAL:function:7: text\n");
	line(LOG_LVL_CRIT, "", "text");
	assert_string_equal(got, "CRIT:GLOBAL:function:7: text\n");
}

static void relative_time(void **state)
{
	double seconds;
	int at = 0;

	(void)state;
	setenv("RTPP_LOG_TFORM", "rel", 1);
	setenv("RTPP_LOG_TSTART", "0", 1);
	log_open(LOG_LVL_DBUG, true, false, 0);
	line(LOG_LVL_INFO, NULL, "text");
	unsetenv("RTPP_LOG_TFORM");
	unsetenv("RTPP_LOG_TSTART");
	assert_int_equal(sscanf(got, "%lf/%n", &seconds, &at), 1);
	assert_true(seconds > 0 && at > 0);
	assert_string_equal(got + at, "INFO:GLOBAL:function:7: text\n");
	log_open(LOG_LVL_DBUG, true, false, 0);
}

static void levels_and_sinks(void **state)
{
	(void)state;
	log_open(LOG_LVL_WARN, true, false, 0);
	line(LOG_LVL_INFO, NULL, "text");
	assert_string_equal(got, "");
	line(LOG_LVL_WARN, NULL, "text");
	assert_string_equal(got, "WARN:GLOBAL:function:7: text\n");
	log_open(LOG_LVL_DBUG, false, false, 0);
	line(LOG_LVL_CRIT, NULL, "text");
	assert_string_equal(got, "");
	log_open(LOG_LVL_DBUG, true, false, 0);
}

static void hostile_text(void **state)
{
	char call[9000], *end;

	(void)state;
	line(LOG_LVL_INFO, "\033[2Jcall\r\nCRIT:x", "a\tb\n\x7f \xc3\xa4");
	assert_string_equal(got, "INFO:?[2Jcall??CRIT:x:function:7: a?b?? \xc3\xa4\n");
	line(LOG_LVL_INFO,
	     "\xc2\x9b"
	     "2Jcall",
	     "\x9b"
	     "2J");
	assert_string_equal(got, "INFO:?2Jcall:function:7: ?2J\n");
	memset(call, 'c', sizeof(call));
	call[sizeof(call) - 1] = '\0';
	line(LOG_LVL_INFO, call, call);
	end = strchr(got, '\n');
	assert_non_null(end);
	assert_int_equal(end[1], '\0');
	assert_non_null(strstr(got, ":function:7: cc"));
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(log_level_of("dbug"), LOG_LVL_DBUG);
	assert_int_equal(log_level_of("Crit"), LOG_LVL_CRIT);
	assert_int_equal(log_level_of("debug"), -1);
	assert_int_equal(log_level_of(""), -1);
	assert_int_equal(log_facility_of("local3"), LOG_LOCAL3);
	assert_int_equal(log_facility_of("LOG_DAEMON"), LOG_DAEMON);
	assert_int_equal(log_facility_of("log_"), -1);
	assert_int_equal(log_facility_of("local8"), -1);
}

/* ---- a log without a reader ---- */

#define MANY 20000

/* Lines "… text N" of @text, in order; @next is the next expected N. */
struct lines {
	unsigned long next, seen, lost;
};

static void check_line(struct lines *l, const char *text)
{
	const char *at;
	unsigned long n;

	if ((at = strstr(text, " lines lost: "))) {
		while (at[-1] != ' ')
			at--;
		n = strtoul(at, NULL, 10);
		assert_true(n > 0);
		l->lost += n;
		l->next += n;
		return;
	}
	at = strstr(text, ": line ");
	assert_non_null(at);
	assert_int_equal(strtoul(at + 7, NULL, 10), l->next);
	l->next++;
	l->seen++;
}

/* read_pipe - read all lines in @fd, and then those of the queue, until no more come. */
static void read_pipe(int fd, struct lines *l)
{
	static char text[1 << 20];
	size_t len = 0;
	ssize_t n;

	for (int quiet = 0; quiet < 2;) {
		n = read(fd, text + len, sizeof(text) - len);
		if (n > 0) {
			len += (size_t)n;
			quiet = 0;
			continue;
		}
		assert_int_equal(errno, EAGAIN);
		to_stderr.again_ns = 0;
		log_run(clock_now());
		quiet++;
	}
	assert_true(len > 0 && text[len - 1] == '\n');
	text[len - 1] = '\0';
	for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n"))
		check_line(l, p);
}

static void unread_pipe(void **state)
{
	struct lines l = { 0 };
	int fds[2], err = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	log_open(LOG_LVL_DBUG, true, false, 0);
	dup2(fds[1], STDERR_FILENO);
	for (int i = 0; i < MANY; i++)
		log_err("line %d", i);
	read_pipe(fds[0], &l);
	assert_true(l.lost > 0);
	assert_int_equal(l.seen + l.lost, MANY);
	log_err("line %d", MANY);
	read_pipe(fds[0], &l);
	assert_int_equal(l.next, MANY + 1);
	dup2(err, STDERR_FILENO);
	close(err);
	close(fds[0]);
	close(fds[1]);
}

/* Closing takes half a second, not for ever. */
static void close_unread(void **state)
{
	int fds[2], err = dup(STDERR_FILENO);
	uint64_t begun = clock_now();

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	dup2(fds[1], STDERR_FILENO);
	for (int i = 0; i < MANY; i++)
		log_err("line %d", i);
	log_close();
	assert_true(clock_now() - begun >= CLOSE_MS * NSEC_PER_MSEC);
	close(fds[0]); /* no reader: the rest is dropped */
	signal(SIGPIPE, SIG_IGN);
	to_stderr.again_ns = 0;
	log_close();
	assert_int_equal(to_stderr.len, 0);
	dup2(err, STDERR_FILENO);
	close(err);
	close(fds[1]);
	to_stderr.lost = 0;
}

static void syslog_bind(int type, int *fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", syslog_path);
	unlink(syslog_path);
	*fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(*fd >= 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
}

/* A syslogd stops, reads again, and exits; then another one starts. */
static void unread_syslog(void **state)
{
	char path[] = "/tmp/rtpx-syslog.XXXXXX", text[2048], want[64];
	struct lines l = { 0 };
	int fd, dir = mkstemp(path);
	ssize_t n;

	(void)state;
	close(dir);
	syslog_path = path;
	syslog_bind(SOCK_DGRAM, &fd);
	log_open(LOG_LVL_DBUG, false, true, LOG_LOCAL3);
	for (int i = 0; i < MANY; i++)
		log_warn("line %d", i);
	snprintf(want, sizeof(want), " rtpxd[%d]: WARN:GLOBAL:", (int)getpid());
	for (int quiet = 0; quiet < 2;) {
		n = recv(fd, text, sizeof(text) - 1, 0);
		if (n > 0) {
			text[n] = '\0';
			assert_int_equal(strncmp(text, "<156>", 5), 0);
			assert_non_null(strstr(text, want));
			assert_null(strchr(text, '\n'));
			check_line(&l, text);
			quiet = 0;
			continue;
		}
		to_syslog.again_ns = 0;
		log_run(clock_now());
		quiet++;
	}
	assert_true(l.lost > 0);
	assert_int_equal(l.seen + l.lost, MANY);

	close(fd);
	log_warn("line %lu", l.next);
	log_warn("line %lu", l.next + 1);
	syslog_bind(SOCK_DGRAM, &fd);
	to_syslog.again_ns = 0;
	log_run(clock_now());
	for (int i = 0; i < 2; i++) {
		n = recv(fd, text, sizeof(text) - 1, 0);
		assert_true(n > 0);
		text[n] = '\0';
		check_line(&l, text);
	}
	close(fd);
	unlink(path);
	log_open(LOG_LVL_DBUG, true, false, 0);
}

/* Take the next entry of @fd into @got; false: there is none. */
static bool next_entry(int fd)
{
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	got[MAX(n, 0)] = '\0';
	return n > 0;
}

/* stderr is a stream of journald: its native protocol has the fields. */
static void journal(void **state)
{
	char path[] = "/tmp/rtpx-journal.XXXXXX", stream[64], call[9000];
	struct lines l = { 0 };
	struct stat st;
	int fd, file = mkstemp(path);

	(void)state;
	close(file);
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev,
		 (unsigned long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	journal_path = path;
	unlink(path);
	log_open(LOG_LVL_DBUG, true, false, 0); /* no socket: prefixes on stderr */
	assert_true(to_stderr.on && !to_journal.on);
	assert_string_equal(log_prefix(LOG_LVL_ERR), "<3>");
	setenv("JOURNAL_STREAM", "1:1", 1);
	assert_string_equal(log_prefix(LOG_LVL_ERR), "");
	setenv("JOURNAL_STREAM", stream, 1);

	syslog_path = path;
	syslog_bind(SOCK_DGRAM, &fd);
	log_open(LOG_LVL_DBUG, true, false, 0);
	assert_true(to_journal.on && !to_stderr.on);
	log_line(LOG_LVL_ERR, "call@host", "function", 7, "text");
	log_line(LOG_LVL_INFO, NULL, "function", 8, "a\nPRIORITY=0");
	assert_true(next_entry(fd));
	assert_string_equal(got, "PRIORITY=3\nSYSLOG_IDENTIFIER=rtpxd\nCODE_FUNC=function\n"
				 "CODE_LINE=7\nCALL_ID=call@host\nMESSAGE=call@host: text\n");
	assert_true(next_entry(fd));
	assert_string_equal(got, "PRIORITY=6\nSYSLOG_IDENTIFIER=rtpxd\nCODE_FUNC=function\n"
				 "CODE_LINE=8\nMESSAGE=a?PRIORITY=0\n");
	memset(call, 'c', sizeof(call));
	call[sizeof(call) - 1] = '\0';
	log_line(LOG_LVL_CRIT, call, "function", 9, "%s", call);
	assert_true(next_entry(fd));
	assert_int_equal(got[strlen(got) - 1], '\n');

	for (int i = 0; i < MANY; i++)
		log_warn("line %d", i);
	for (int quiet = 0; quiet < 2; quiet++) {
		while (next_entry(fd)) {
			char *message = strstr(got, "MESSAGE=");

			assert_non_null(message);
			message[6] = ':';
			message[7] = ' ';
			check_line(&l, message);
			quiet = 0;
		}
		to_journal.again_ns = 0;
		log_run(clock_now());
	}
	assert_true(l.lost > 0);
	assert_int_equal(l.seen + l.lost, MANY);

	close(fd); /* journald is started anew */
	log_warn("line %lu", l.next);
	syslog_bind(SOCK_DGRAM, &fd);
	to_journal.again_ns = 0;
	log_run(clock_now());
	assert_true(next_entry(fd));
	close(fd);
	unlink(path);
	unsetenv("JOURNAL_STREAM");
	log_open(LOG_LVL_DBUG, true, false, 0);
}

/* Lines that a peer provokes: a few at once, then one a second with the number of dropped lines. */
static void some_of_many(void **state)
{
	struct log_kind refused = { .level = LOG_LVL_ERR, .func = "f" };
	struct log_kind other = refused, unwanted = { .level = LOG_LVL_INFO, .func = "f" };
	FILE *file = tmpfile();
	int err = dup(STDERR_FILENO);
	size_t n;

	(void)state;
	log_open(LOG_LVL_WARN, true, false, 0);
	dup2(fileno(file), STDERR_FILENO);
	for (int i = 0; i < 1000; i++)
		log_kind_line(&refused, "call", "refused %d", i);
	for (int i = 0; i < 5; i++) {
		log_kind_line(&other, "call", "other %d", i);
		log_kind_line(&unwanted, "call", "unwanted %d", i);
	}
	log_run(clock_now());
	log_run(clock_now());
	dup2(err, STDERR_FILENO);
	close(err);
	rewind(file);
	n = fread(got, 1, sizeof(got) - 1, file);
	got[n] = '\0';
	fclose(file);
	assert_non_null(strstr(got, "refused 9\n"));
	assert_null(strstr(got, "refused 10\n"));
	assert_non_null(strstr(got, "other 4\n"));
	assert_null(strstr(got, "unwanted"));
	assert_non_null(strstr(got, ": 990 more lines of this kind left out\n"));
	assert_null(strstr(strstr(got, "more lines") + 1, "more lines"));
	log_open(LOG_LVL_DBUG, true, false, 0);
}

#define PROVOKED_TIMES 10000

/*
 * Each row of the table, provoked 10,000 times: as many lines as its budget at that time has, and
 * the number of all others.
 */
static void every_kind(void **state)
{
	static char text[1 << 20];
	FILE *file = tmpfile();
	int err = dup(STDERR_FILENO);
	size_t n;

	(void)state;
	log_open(LOG_LVL_DBUG, true, false, 0);
	dup2(fileno(file), STDERR_FILENO);
	for (int kind = 0; kind < PROVOKED_KINDS; kind++) {
		struct log_kind *k = provoked_kind((enum provoked)kind, "kind", kind);
		const uint64_t begun_ns = clock_now();
		unsigned int lines = 0;
		char *at, want[80];

		assert_in_range(k->per_s, 1, 20);
		for (int i = 0; i < PROVOKED_TIMES; i++)
			log_kind_line(k, "call", "provoked");
		log_run(clock_now());
		rewind(file);
		n = fread(text, 1, sizeof(text) - 1, file);
		text[n] = '\0';
		rewind(file);
		assert_int_equal(ftruncate(fileno(file), 0), 0);
		for (at = text; (at = strstr(at, ": provoked\n")); at++)
			lines++;
		assert_in_range(lines, k->per_s * LOG_BURST,
				k->per_s *
					(LOG_BURST + 1 + (clock_now() - begun_ns) / NSEC_PER_SEC));
		snprintf(want, sizeof(want), ":kind:%d: %u more lines of this kind left out\n",
			 kind, PROVOKED_TIMES - lines);
		assert_non_null(strstr(text, want));
	}
	dup2(err, STDERR_FILENO);
	close(err);
	fclose(file);
}

static void budget(void **state)
{
	struct log_kind k = { 0 };
	uint64_t now = 100 * NSEC_PER_SEC;

	(void)state;
	for (int i = 0; i < LOG_BURST; i++)
		assert_true(kind_spend(&k, now));
	assert_false(kind_spend(&k, now + NSEC_PER_SEC - 1));
	assert_true(kind_spend(&k, now + NSEC_PER_SEC));
	assert_false(kind_spend(&k, now + NSEC_PER_SEC));
	now += 1000 * NSEC_PER_SEC;
	for (int i = 0; i < LOG_BURST; i++)
		assert_true(kind_spend(&k, now));
	assert_false(kind_spend(&k, now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(form),
		cmocka_unit_test(relative_time),
		cmocka_unit_test(levels_and_sinks),
		cmocka_unit_test(hostile_text),
		cmocka_unit_test(names),
		cmocka_unit_test(every_kind),
		cmocka_unit_test(unread_pipe),
		cmocka_unit_test(close_unread),
		cmocka_unit_test(unread_syslog),
		cmocka_unit_test(some_of_many),
		cmocka_unit_test(budget),
		cmocka_unit_test(journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

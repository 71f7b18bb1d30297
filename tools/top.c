/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.c - rates from two documents of the request "overview", as a screen of text. It asks the
 * daemon for nothing else.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "top.h"
#include "ask.h"
#include "base/utf8.h"

#define REFRESH_MS 2000
#define SCREEN_BEGIN "\033[?1049h\033[?25l" /* the other screen, without a cursor */
#define SCREEN_END "\033[?25h\033[?1049l"

static struct termios before; /* of the terminal */
static volatile sig_atomic_t stopped;

/* The screen while it is made: lines are cut at its width, and those below its end are left out. */
struct screen {
	FILE *out;
	unsigned int rows, columns, used;
	bool live;
};

static void line(struct screen *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void line(struct screen *s, const char *fmt, ...)
{
	size_t at, n, width = 0;
	char text[1024];
	va_list ap;

	if (s->live && s->used >= s->rows)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (at = 0; text[at] && width < s->columns; at += n, width++) {
		n = utf8_next(text + at, strlen(text + at));
		if (!n)
			break; /* cut inside a character */
	}
	/* erase the rest of the line; the last line has no newline, or the screen would scroll */
	fprintf(s->out, "%s%.*s%s", s->live && s->used ? "\r\n" : "", (int)at, text,
		s->live ? "\033[K" : "\n");
	s->used++;
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

/* ---- figures ---- */

/* Two documents; the older one may be NULL. */
struct pair {
	struct json_object *older, *newer;
};

static double growth(const struct pair *p, const char *counter)
{
	double now = json_real(member(p->newer, "counters"), counter);
	double then = p->older ? json_real(member(p->older, "counters"), counter) : now;

	return now > then ? now - then : 0;
}

static double rate(const struct pair *p, const char *counter)
{
	double ms = p->older ? json_real(p->newer, "time_ms") - json_real(p->older, "time_ms") : 0;

	return ms > 0 ? growth(p, counter) * 1000 / ms : 0;
}

/* The mean of what the surveys have added between the two; of all times when they added nothing. */
static double mean(const struct pair *p, const char *sum, const char *count)
{
	struct json_object *counters = member(p->newer, "counters");
	double n = growth(p, count);

	if (n > 0)
		return growth(p, sum) / n;
	n = json_real(counters, count);
	return n > 0 ? json_real(counters, sum) / n : 0;
}

/* ---- parts of the screen ---- */

static void head_lines(struct screen *s, const struct pair *p)
{
	struct json_object *o = p->newer, *sessions = member(o, "sessions");
	char clock[16];
	time_t now = time(NULL);

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime(&now));
	line(s, "rtpx  %s  load of the loop %.1f %%%s%s", clock, 100 * json_real(o, "load"),
	     json_is(o, "draining") ? "  DRAINING: new sessions are refused" : "",
	     s->live ? "  (q ends)" : "");
	line(s,
	     "sessions  %llu: %llu both ways, %llu one way, %llu silent, %llu new, %llu incomplete",
	     json_number(sessions, "all"), json_number(sessions, "both_ways"),
	     json_number(sessions, "one_way"), json_number(sessions, "silent"),
	     json_number(sessions, "new"), json_number(sessions, "incomplete"));
	line(s, "per s     %.1f sessions begun, %.1f ended; %.1f commands, %.1f of them failed",
	     rate(p, "sessions_begun"), rate(p, "sessions_ended"), rate(p, "commands"),
	     rate(p, "command_errors"));
	line(s, "packets/s %.0f by the kernel, %.0f by the sockets, %.0f strangers dropped",
	     rate(p, "kernel_packets"), rate(p, "socket_packets"), rate(p, "strangers"));
	line(s, "quality   MOS %.2f, loss %.2f %%, jitter %.1f ms (means)",
	     mean(p, "mos_sum", "mos_count"), 100 * mean(p, "loss_sum", "loss_count"),
	     1000 * mean(p, "jitter_s_sum", "jitter_s_count"));
	if (!member(o, "survey_age_ms"))
		line(s, "The figures of the calls are being gathered.");
}

static void reason_lines(struct screen *s, struct json_object *reasons)
{
	line(s, "%s", "");
	line(s, "%-14s %8s %8s  %s", "DIRECTIONS", "RTP", "RTCP", "REASON");
	for (size_t i = 0; i < length_of(reasons); i++) {
		struct json_object *r = json_object_array_get_idx(reasons, i);

		line(s, "%-14s %8llu %8llu  %s", json_text(r, "why"), json_number(r, "rtp"),
		     json_number(r, "rtcp"), json_text(r, "why_text"));
	}
}

static void worst_lines(struct screen *s, struct json_object *worst)
{
	line(s, "%s", "");
	line(s, "%5s %8s %9s  %-6s  %s", "MOS", "LOSS", "JITTER", "PARTY", "WORST CALLS LATELY");
	for (size_t i = 0; i < length_of(worst); i++) {
		struct json_object *w = json_object_array_get_idx(worst, i);

		line(s, "%5.2f %6.2f %% %6.1f ms  %-6s  %s", json_real(w, "mos"),
		     100 * json_real(w, "loss"), json_real(w, "jitter_ms"), json_text(w, "party"),
		     json_text(w, "call_id"));
	}
}

static void draw(struct screen *s, const struct pair *p)
{
	if (s->live)
		fputs("\033[H", s->out);
	head_lines(s, p);
	reason_lines(s, member(p->newer, "reasons"));
	worst_lines(s, member(p->newer, "worst"));
	if (s->live)
		fputs("\033[J", s->out);
	fflush(s->out);
}

/* ---- the terminal ---- */

static void on_stop(int number)
{
	(void)number;
	stopped = 1;
}

static void terminal_begin(void)
{
	const struct sigaction stop = { .sa_handler = on_stop };
	struct termios raw;

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	if (tcgetattr(STDIN_FILENO, &before) == 0) {
		raw = before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	fputs(SCREEN_BEGIN, stdout);
}

static void terminal_end(void)
{
	fputs(SCREEN_END, stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* Waits for the next refresh. False: the user has had enough. */
static bool pause_for(int ms, bool live)
{
	struct pollfd keys = { .fd = live ? STDIN_FILENO : -1, .events = POLLIN };
	char key = 0;

	if (poll(&keys, 1, ms) > 0 && read(STDIN_FILENO, &key, 1) <= 0)
		poll(NULL, 0, ms); /* standard input has ended: only a signal ends this */
	return !stopped && key != 'q';
}

static struct screen screen_now(bool live)
{
	struct screen s = { .out = stdout, .rows = 24, .columns = 80, .live = live };
	struct winsize size;

	if (!live)
		s.columns = 1000;
	else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		s.rows = size.ws_row, s.columns = size.ws_col;
	return s;
}

/* Draws until the end. 0; an error number when the daemon no longer answers. */
static int turn(const char *socket_path, struct pair *p, bool live)
{
	do {
		struct screen s = screen_now(live);

		draw(&s, p);
		if (!live || !pause_for(REFRESH_MS, true))
			return 0;
		json_object_put(p->older);
		p->older = p->newer;
		p->newer = ask(socket_path, "overview", NULL);
	} while (p->newer);
	return stopped ? 0 : errno;
}

int top_run(const char *socket_path)
{
	bool live = isatty(STDOUT_FILENO);
	struct pair p = { .older = ask(socket_path, "overview", NULL) };
	int err;

	if (!p.older)
		return -1;
	/* rates need two documents, and the first request may have begun the survey */
	pause_for(live ? 200 : REFRESH_MS, false);
	p.newer = ask(socket_path, "overview", NULL);
	if (!p.newer) {
		json_object_put(p.older);
		return -1;
	}
	if (live)
		terminal_begin();
	err = turn(socket_path, &p, live);
	if (live)
		terminal_end();
	json_object_put(p.older);
	json_object_put(p.newer);
	errno = err;
	return err ? -1 : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ucl.c - one pass over the text, a function for each rule of the grammar:
 *
 *	members = { key { key } ( section | "=" section | "=" value ) [ "," | ";" ] }
 *	section = "{" members "}"
 *
 * Source: the README of libucl. ":" stands for "=" as well. A value without quotes ends with its
 * line, at "," or ";", at a closing brace, or at a comment.
 */
#include "ucl.h"

#include <ctype.h>
#include <errno.h>

#include "base/refuse.h"

struct ucl {
	const char *p, *end;
	unsigned int line;
	char keys[UCL_MAX_DEPTH][UCL_MAX_KEY];
	unsigned int depth;
	char value[UCL_MAX_VALUE];
	int (*take)(void *arg, const struct ucl_event *event, char *err, size_t err_size);
	void *arg;
	char *err;
	size_t err_size;
};

static int members(struct ucl *u, bool braces);

/* The byte @ahead of the next one; 0 at the end. */
static char peek(const struct ucl *u, size_t ahead)
{
	return (size_t)(u->end - u->p) > ahead ? u->p[ahead] : '\0';
}

static void step(struct ucl *u)
{
	u->line += *u->p++ == '\n';
}

static int bad_line(const struct ucl *u, unsigned int line, const char *what)
{
	return refuse(u->err, u->err_size, -EINVAL, "line %u: %s", line, what);
}

static int bad(const struct ucl *u, const char *what)
{
	return bad_line(u, u->line, what);
}

/* Pass a comment between slash and star; such comments may stand in each other. */
static int pass_block(struct ucl *u)
{
	unsigned int open = 0;

	do {
		bool begins = peek(u, 0) == '/' && peek(u, 1) == '*';
		bool ends = peek(u, 0) == '*' && peek(u, 1) == '/';

		if (u->p == u->end)
			return bad(u, "the comment has no end");
		open += begins;
		open -= ends;
		if (begins || ends)
			step(u);
		step(u);
	} while (open);
	return 0;
}

/* Pass blanks, lines and comments. */
static int pass_blanks(struct ucl *u)
{
	for (;;) {
		int r;

		while (u->p < u->end && isspace((unsigned char)*u->p))
			step(u);
		if (peek(u, 0) == '#') {
			while (u->p < u->end && *u->p != '\n')
				step(u);
		} else if (peek(u, 0) == '/' && peek(u, 1) == '*') {
			r = pass_block(u);
			if (r < 0)
				return r;
		} else {
			return 0;
		}
	}
}

static int emit(struct ucl *u, enum ucl_kind kind, bool quoted, unsigned int line)
{
	struct ucl_event event = {
		.kind = kind,
		.depth = u->depth,
		.value = kind == UCL_VALUE ? u->value : NULL,
		.quoted = quoted,
		.line = line,
	};

	for (unsigned int i = 0; i < u->depth; i++)
		event.keys[i] = u->keys[i];
	return u->take(u->arg, &event, u->err, u->err_size);
}

/* The byte that a backslash and @c stand for; 0: none. */
static char unescape(char c)
{
	static const char from[] = "nrtbf\"\\/'", to[] = "\n\r\t\b\f\"\\/'";
	const char *at = c ? strchr(from, c) : NULL;

	return at ? to[at - from] : '\0';
}

/* A text in double quotes, with JSON's escapes but \u; or in single quotes, as it is. */
static int take_quoted(struct ucl *u, char *out, size_t size)
{
	char quote = *u->p;
	size_t n = 0;

	step(u);
	while (peek(u, 0) != quote) {
		char c = peek(u, 0);

		if (!c || c == '\n')
			return bad(u, "the text has no closing quote");
		if (c == '\\' && quote == '"') {
			step(u);
			c = unescape(peek(u, 0));
			if (!c)
				return bad(u, "this escape is not known");
		}
		if (n + 1 >= size)
			return bad(u, "the text is too long");
		out[n++] = c;
		step(u);
	}
	step(u);
	out[n] = '\0';
	return 0;
}

static bool is_key(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' || c == '/' ||
	       (unsigned char)c >= 0x80;
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

static int take_key(struct ucl *u)
{
	char *key;
	size_t n = 0;

	if (u->depth == UCL_MAX_DEPTH)
		return bad(u, "too many sections in each other");
	key = u->keys[u->depth];
	if (is_quote(peek(u, 0))) {
		int r = take_quoted(u, key, UCL_MAX_KEY);

		u->depth += r == 0;
		return r;
	}
	if (peek(u, 0) == '.')
		return bad(u, "macros such as .include are not known; write all into this file");
	for (; is_key(peek(u, 0)) && n + 1 < UCL_MAX_KEY; step(u))
		key[n++] = *u->p;
	if (!n || is_key(peek(u, 0)))
		return bad(u, n ? "the key is too long" : "a key must stand here");
	key[n] = '\0';
	u->depth++;
	return 0;
}

static bool ends_value(const struct ucl *u)
{
	char c = peek(u, 0);

	return !c || strchr("\r\n,;}]#", c) || (c == '/' && peek(u, 1) == '*');
}

static int take_value(struct ucl *u, bool *quoted)
{
	size_t n = 0;

	*quoted = is_quote(peek(u, 0));
	if (*quoted)
		return take_quoted(u, u->value, sizeof(u->value));
	if (peek(u, 0) == '[' || (peek(u, 0) == '<' && peek(u, 1) == '<'))
		return bad(u, "lists and values of several lines are not known");
	for (; !ends_value(u) && n + 1 < sizeof(u->value); step(u))
		u->value[n++] = *u->p;
	if (!ends_value(u))
		return bad(u, "the value is too long");
	while (n && isspace((unsigned char)u->value[n - 1]))
		n--;
	u->value[n] = '\0';
	return n ? 0 : bad(u, "the key has no value");
}

static int section(struct ucl *u)
{
	int r = emit(u, UCL_BEGIN, false, u->line);

	step(u);
	if (r == 0)
		r = members(u, true);
	return r < 0 ? r : emit(u, UCL_END, false, u->line);
}

/* The rest of a member after its first key: further keys in its line, then a section or a value. */
static int member_rest(struct ucl *u)
{
	unsigned int line = u->line;
	bool quoted, equals;
	int r = pass_blanks(u);

	while (r == 0 && u->line == line && (is_key(peek(u, 0)) || is_quote(peek(u, 0)))) {
		r = take_key(u);
		if (r == 0)
			r = pass_blanks(u);
	}
	if (r < 0)
		return r;
	equals = peek(u, 0) == '=' || peek(u, 0) == ':';
	if (equals) {
		step(u);
		while (peek(u, 0) == ' ' || peek(u, 0) == '\t')
			step(u);
	}
	if (peek(u, 0) == '{')
		return section(u);
	if (!equals)
		return bad_line(u, line, "after the key comes '=' or '{'");
	line = u->line;
	r = take_value(u, &quoted);
	return r < 0 ? r : emit(u, UCL_VALUE, quoted, line);
}

/* Members up to the end of the text, or with @braces up to a closing one. */
static int members(struct ucl *u, bool braces)
{
	unsigned int depth = u->depth;
	int r;

	for (;;) {
		r = pass_blanks(u);
		if (r < 0)
			return r;
		if (u->p == u->end)
			return braces ? bad(u, "a closing brace is missing") : 0;
		if (braces && *u->p == '}') {
			step(u);
			return 0;
		}
		r = take_key(u);
		if (r == 0)
			r = member_rest(u);
		if (r == 0)
			r = pass_blanks(u);
		if (r < 0)
			return r;
		u->depth = depth;
		while (peek(u, 0) == ',' || peek(u, 0) == ';')
			step(u);
	}
}

int ucl_read(const char *text, size_t len,
	     int (*take)(void *arg, const struct ucl_event *event, char *err, size_t err_size),
	     void *arg, char *err, size_t err_size)
{
	struct ucl u = { .p = text,
			 .end = text + len,
			 .line = 1,
			 .take = take,
			 .arg = arg,
			 .err = err,
			 .err_size = err_size };
	bool braces;
	int r;

	if (memchr(text, '\0', len))
		return bad(&u, "the file has a NUL byte, so it is no text");
	r = pass_blanks(&u);
	if (r < 0)
		return r;
	braces = peek(&u, 0) == '{';
	if (braces)
		step(&u);
	r = members(&u, braces);
	if (r == 0)
		r = pass_blanks(&u);
	if (r == 0 && u.p < u.end)
		return bad(&u, "nothing may follow the last brace");
	return r;
}

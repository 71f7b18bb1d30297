/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sheet.c - JSON from structs. Text of peers that is no UTF-8 is repaired.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "record/sheet.h"
#include "base/put.h"
#include "media/audio.h"
#include "media/rtp.h"
#include "record/naming.h"

#define TIME_TEXT 40

static const char *const sounds[] = {
#define SHEET_NAME(id, name) name,
	SHEET_SOUNDS(SHEET_NAME)
#undef SHEET_NAME
};

const char *sheet_sound_name(enum sheet_sound sound)
{
	return sounds[sound];
}

enum sheet_sound sheet_sound_of(struct span name)
{
	enum sheet_sound sound;

	for (sound = SHEET_NONE + 1; sound < SHEET_SOUND_COUNT; sound++)
		if (strlen(sounds[sound]) == name.len &&
		    !strncasecmp(sounds[sound], name.p, name.len))
			return sound;
	return SHEET_NONE;
}

/* ---- in the loop ---- */

int sheet_new(struct sheet **out, const struct session *s, uint64_t realtime_ns)
{
	struct sheet *sheet = calloc(1, sizeof(*sheet));

	if (!sheet)
		return -ENOMEM;
	sheet->call_id = strdup(s->call_id);
	sheet->from_tag = strdup(s->from_tag);
	if (!sheet->call_id || !sheet->from_tag) {
		sheet_free(sheet);
		return -ENOMEM;
	}
	naming_key(s->call_id, s->from_tag, sheet->key);
	sheet->begin_ns = realtime_ns;
	sheet->tally = tally_hold(session_rest(s)->recorded);
	*out = sheet;
	return 0;
}

void sheet_free(struct sheet *sheet)
{
	struct sheet_file *f;

	if (!sheet)
		return;
	while ((f = sheet->files)) {
		sheet->files = f->next;
		free(f);
	}
	tally_drop(sheet->tally);
	free(sheet->call_id);
	free(sheet->from_tag);
	free(sheet->to_tag);
	free(sheet);
}

struct sheet_file *sheet_add(struct sheet *sheet, enum format_party party, enum sheet_media media)
{
	struct sheet_file *f = calloc(1, sizeof(*f)), **end = &sheet->files;

	if (!f)
		return NULL;
	f->sheet = sheet;
	f->party = party;
	f->media = media;
	while (*end)
		end = &(*end)->next;
	*end = f;
	sheet->open++;
	return f;
}

void sheet_remove(struct sheet_file *f)
{
	struct sheet_file **at = &f->sheet->files;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	f->sheet->open--;
	free(f);
}

void sheet_end(struct sheet *sheet, const struct session *s)
{
	sheet->ended = true;
	if (!sheet->to_tag && s->to_tag)
		sheet->to_tag = strdup(s->to_tag);
}

/* ---- members ---- */

struct json_object *sheet_member(struct json_object *o, const char *key)
{
	return json_object_object_get(o, key);
}

const char *sheet_string(struct json_object *o, const char *key)
{
	return json_object_get_string(sheet_member(o, key));
}

static void sheet_put_time(struct json_object *o, const char *key, uint64_t realtime_ns)
{
	const time_t t = realtime_ns / NSEC_PER_SEC;
	char text[TIME_TEXT];
	struct tm tm;
	size_t len;

	if (!realtime_ns) {
		put_text(o, key, NULL);
		return;
	}
	gmtime_r(&t, &tm);
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, sizeof(text) - len, ".%06uZ",
		 (unsigned int)(realtime_ns % NSEC_PER_SEC / 1000));
	put_text(o, key, text);
}

/* NULL: neither RFC 3551 nor an option names the codec. */
static const char *codec_name(unsigned int type, const struct sheet_opts *opts)
{
	const struct audio_codec *c = audio_codec_of(type);

	if (!c)
		c = audio_codec_mapped(opts->codecs, type);
	if (c)
		return c->name;
	if (type == 13 || type == 19)
		return "CN";
	if (type >= RTP_FIRST_DYNAMIC && opts->dtmf_types & (1u << (type - RTP_FIRST_DYNAMIC)))
		return "telephone-event";
	return NULL;
}

void sheet_put_contents(struct json_object *file, const struct contents *c,
			const struct sheet_opts *opts)
{
	struct json_object *types = json_object_new_array(), *one;
	unsigned int i;

	sheet_put_time(file, "begin", c->first_ns);
	sheet_put_time(file, "end", c->last_ns);
	put_number(file, "packets", c->packets);
	put_number(file, "bytes", c->bytes);
	for (i = 0; i < CONTENTS_TYPES; i++) {
		if (!c->types[i])
			continue;
		one = json_object_new_object();
		put_number(one, "type", i);
		put_text(one, "codec", codec_name(i, opts));
		put_number(one, "packets", c->types[i]);
		json_object_array_add(types, one);
	}
	json_object_object_add(file, "types", types);
}

void sheet_trouble(struct json_object *sheet, const char *fmt, ...)
{
	struct json_object *all = sheet_member(sheet, "trouble");
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (all)
		json_object_array_add(all, json_object_new_string(text));
}

void sheet_sum(struct json_object *sheet)
{
	struct json_object *files = sheet_member(sheet, "files"), *first = NULL, *last = NULL;
	uint64_t packets = 0;
	size_t i;

	for (i = 0; i < json_object_array_length(files); i++) {
		struct json_object *f = json_object_array_get_idx(files, i);
		struct json_object *begin = sheet_member(f, "begin"), *end = sheet_member(f, "end");

		packets += json_object_get_uint64(sheet_member(f, "packets"));
		/* All texts have the same form, so their order is that of the times. */
		if (begin && (!first || strcmp(json_object_get_string(begin),
					       json_object_get_string(first)) < 0))
			first = begin;
		if (end && (!last ||
			    strcmp(json_object_get_string(end), json_object_get_string(last)) > 0))
			last = end;
	}
	json_object_object_add(sheet, "begin", json_object_get(first));
	json_object_object_add(sheet, "end", json_object_get(last));
	put_number(sheet, "packets", packets);
}

/* ---- texts ---- */

static struct json_object *file_json(const struct sheet_file *f, const struct sheet_opts *opts)
{
	static const char *const parties[] = { "both", "caller", "callee" };
	static const char *const media[] = { "rtp", "rtcp", "both" };
	struct json_object *o = json_object_new_object();

	put_text(o, "name", f->name);
	put_text(o, "party", parties[f->party]);
	put_text(o, "media", media[f->media]);
	put_number(o, "part", f->part);
	if (f->done)
		sheet_put_contents(o, &f->contents, opts);
	return o;
}

static void put_lost(struct json_object *o, const struct tally *tally)
{
	const struct tally_counts counts = tally_read(tally);
	struct json_object *by = json_object_new_object();
	enum tally_loss why;

	put_number(o, "lost", counts.lost);
	for (why = 0; why < TALLY_LOSS_COUNT; why++)
		if (counts.lost_by[why])
			put_number(by, tally_loss_name(why), counts.lost_by[why]);
	json_object_object_add(o, "lost_by", by);
}

static void put_troubles(struct json_object *o, const struct sheet *sheet)
{
	const struct sheet_file *f;

	json_object_object_add(o, "trouble", json_object_new_array());
	for (f = sheet->files; f; f = f->next) {
		if (f->done && f->missing)
			sheet_trouble(o, "%s: the disk has not taken this file", f->name);
		else if (f->done && f->in_spool)
			sheet_trouble(o, "%s: it stays in the spool directory", f->name);
	}
}

char *sheet_text(const struct sheet *sheet, const struct sheet_opts *opts)
{
	struct json_object *o = json_object_new_object(), *files = json_object_new_array();
	const struct sheet_file *f;
	char *text;

	put_text(o, "call_id", sheet->call_id);
	put_text(o, "from_tag", sheet->from_tag);
	put_text(o, "to_tag", sheet->to_tag);
	put_text(o, "name", sheet->stem);
	sheet_put_time(o, "begin", sheet->begin_ns);
	put_text(o, "end", NULL);
	for (f = sheet->files; f; f = f->next)
		json_object_array_add(files, file_json(f, opts));
	json_object_object_add(o, "files", files);
	put_number(o, "packets", 0);
	put_lost(o, sheet->tally);
	put_number(o, "restarts", 0);
	put_troubles(o, sheet);
	if (sheet->sound)
		put_text(o, "wanted", sheet_sound_name(sheet->sound));
	if (!sheet->open)
		sheet_sum(o);
	text = strdup(json_object_to_json_string_ext(o, SHEET_LAYOUT));
	json_object_put(o);
	return text;
}

/* ---- descriptions of two daemons ---- */

static bool has_file(struct json_object *files, const char *name)
{
	size_t i;

	for (i = 0; i < json_object_array_length(files); i++) {
		struct json_object *f = json_object_array_get_idx(files, i);

		if (!strcmp(sheet_string(f, "name"), name))
			return true;
	}
	return false;
}

static void merge_files(struct json_object *now, struct json_object *before)
{
	struct json_object *old = sheet_member(before, "files");
	struct json_object *files = sheet_member(now, "files");
	struct json_object *all = json_object_new_array(), *f;
	size_t i;

	for (i = 0; i < json_object_array_length(old); i++) {
		f = json_object_array_get_idx(old, i);
		if (!has_file(files, sheet_string(f, "name")))
			json_object_array_add(all, json_object_get(f));
	}
	for (i = 0; i < json_object_array_length(files); i++)
		json_object_array_add(all, json_object_get(json_object_array_get_idx(files, i)));
	json_object_object_add(now, "files", all);
}

static void merge_lost(struct json_object *now, struct json_object *before)
{
	struct json_object *by = sheet_member(now, "lost_by");

	json_object_object_foreach(sheet_member(before, "lost_by"), why, n)
	{
		put_number(by, why,
			   json_object_get_uint64(n) +
				   json_object_get_uint64(sheet_member(by, why)));
	}
	put_number(now, "lost",
		   json_object_get_uint64(sheet_member(now, "lost")) +
			   json_object_get_uint64(sheet_member(before, "lost")));
}

void sheet_merge(struct json_object *now, struct json_object *before)
{
	struct json_object *old = sheet_member(before, "trouble");
	struct json_object *all = sheet_member(now, "trouble");
	size_t i;

	merge_files(now, before);
	merge_lost(now, before);
	for (i = 0; i < json_object_array_length(old); i++)
		json_object_array_add(all, json_object_get(json_object_array_get_idx(old, i)));
	json_object_object_add(now, "name", json_object_get(sheet_member(before, "name")));
	put_number(now, "restarts",
		   json_object_get_uint64(sheet_member(before, "restarts")) +
			   json_object_get_uint64(sheet_member(now, "restarts")) + 1);
	if (!sheet_member(now, "to_tag"))
		json_object_object_add(now, "to_tag",
				       json_object_get(sheet_member(before, "to_tag")));
	if (!sheet_member(now, "wanted"))
		json_object_object_add(now, "wanted",
				       json_object_get(sheet_member(before, "wanted")));
}

/* ---- descriptions that were read ---- */

static bool has_text(struct json_object *o, const char *key)
{
	return json_object_is_type(sheet_member(o, key), json_type_string);
}

/* A relative path without an empty name, "." and "..". */
static bool is_below(const char *name)
{
	size_t len;

	for (;; name += len + 1) {
		len = strcspn(name, "/");
		if (!len || (len == 1 && name[0] == '.') || (len == 2 && !memcmp(name, "..", 2)))
			return false;
		if (!name[len])
			return true;
	}
}

static bool is_name(struct json_object *o, const char *key)
{
	struct json_object *name = sheet_member(o, key);

	return has_text(o, key) &&
	       strlen(json_object_get_string(name)) == (size_t)json_object_get_string_len(name) &&
	       is_below(json_object_get_string(name));
}

bool sheet_is_valid(struct json_object *sheet)
{
	struct json_object *files, *audio;
	size_t i;

	if (!json_object_is_type(sheet, json_type_object) || !is_name(sheet, "name") ||
	    !has_text(sheet, "call_id") ||
	    !json_object_is_type(sheet_member(sheet, "lost_by"), json_type_object) ||
	    !json_object_is_type(sheet_member(sheet, "trouble"), json_type_array) ||
	    !json_object_is_type(sheet_member(sheet, "files"), json_type_array))
		return false;
	files = sheet_member(sheet, "files");
	for (i = 0; i < json_object_array_length(files); i++) {
		struct json_object *f = json_object_array_get_idx(files, i);

		if (!json_object_is_type(f, json_type_object) || !is_name(f, "name") ||
		    !has_text(f, "party") || !has_text(f, "media"))
			return false;
	}
	audio = sheet_member(sheet, "audio");
	if (audio && (!json_object_is_type(audio, json_type_object) ||
		      (sheet_member(audio, "name") && !is_name(audio, "name"))))
		return false;
	audio = sheet_member(sheet, "handed_to");
	return !audio || json_object_is_type(audio, json_type_array);
}

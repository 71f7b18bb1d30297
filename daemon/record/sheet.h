/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sheet.h - the description of a session's recording: its files, packets and losses, as JSON. It
 * does no I/O; finisher writes the text. Members are in docs/recording.md.
 */
#ifndef RTPX_SHEET_H
#define RTPX_SHEET_H

#include <limits.h>

#include "base/base.h"
#include "base/tally.h"
#include "call/session.h"
#include "record/contents.h"
#include "record/format.h"

/* Word of --record-format and suffix: the sound files that extractaudio makes, in one table. */
#define SHEET_SOUNDS(X) X(NONE, "none") X(WAV, "wav") X(FLAC, "flac") X(OPUS, "opus") X(MP3, "mp3")

enum sheet_sound {
#define SHEET_ENUM(id, name) SHEET_##id,
	SHEET_SOUNDS(SHEET_ENUM)
#undef SHEET_ENUM
		SHEET_SOUND_COUNT,
};

const char *sheet_sound_name(enum sheet_sound sound);
/* sheet_sound_of - the sound file of that name; SHEET_NONE for "none" and all other texts. */
enum sheet_sound sheet_sound_of(struct span name);

struct sheet_opts {
	const struct audio_codec_map *codecs; /* of dynamic payload types */
	uint32_t dtmf_types;		      /* a bit for each payload type from 96 up */
};

enum sheet_media { SHEET_RTP, SHEET_RTCP, SHEET_BOTH };

/* A file of the recording. */
struct sheet_file {
	struct sheet *sheet;
	struct sheet_file *next;
	enum format_party party; /* FORMAT_NO_PARTY: both */
	enum sheet_media media;
	uint16_t part;
	char name[NAME_MAX + 1];      /* below the directory */
	bool done, missing, in_spool; /* the last two with @done */
	struct contents contents;     /* likewise */
};

struct sheet {
	char *call_id, *from_tag, *to_tag;
	char key[17];		 /* names the session in file names */
	char stem[NAME_MAX + 1]; /* of the first file, with its part; empty: not known yet */
	uint64_t begin_ns;	 /* CLOCK_REALTIME */
	struct tally *tally;	 /* held */
	struct sheet_file *files;
	unsigned int open;	/* files that are not done */
	bool ended;		/* the session has ended */
	bool told;		/* finisher knows it */
	enum sheet_sound sound; /* wanted by a command; SHEET_NONE: as for all */
};

/* sheet_new - 0 or -ENOMEM. */
int sheet_new(struct sheet **out, const struct session *s, uint64_t realtime_ns);
void sheet_free(struct sheet *sheet); /* also its files; NULL is allowed */
/* sheet_add - add a file. NULL: no memory. The caller sets its name and part. */
struct sheet_file *sheet_add(struct sheet *sheet, enum format_party party, enum sheet_media media);
/* sheet_remove - the file @f could not be opened. */
void sheet_remove(struct sheet_file *f);
/* sheet_end - the session ends: take what is known of it by now. */
void sheet_end(struct sheet *sheet, const struct session *s);
/*
 * sheet_text - the description as JSON; the caller frees it. NULL: no memory. Before all files are
 * done it has names only.
 */
char *sheet_text(const struct sheet *sheet, const struct sheet_opts *opts);

/* The following are for finisher, which works on descriptions that it has read. */
struct json_object;

/* SHEET_LAYOUT - how descriptions are written. */
#define SHEET_LAYOUT \
	(JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)

/* sheet_member - NULL: there is none. */
struct json_object *sheet_member(struct json_object *o, const char *key);
/* sheet_string - the text of a member; it stays the object's. NULL: there is none. */
const char *sheet_string(struct json_object *o, const char *key);

/*
 * sheet_is_valid - true if the members that this module reads are there and have their types, and
 * all names are below the directory.
 */
bool sheet_is_valid(struct json_object *sheet);
/* sheet_put_contents - set the members of a file that come from its contents. */
void sheet_put_contents(struct json_object *file, const struct contents *c,
			const struct sheet_opts *opts);
/*
 * sheet_merge - add to @now the files and losses of @before, which a previous daemon has written of
 * the same recording.
 */
void sheet_merge(struct json_object *now, struct json_object *before);
/* sheet_sum - set the members that are sums of all files. */
void sheet_sum(struct json_object *sheet);
/* sheet_trouble - add a sentence to the member trouble. */
void sheet_trouble(struct json_object *sheet, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif

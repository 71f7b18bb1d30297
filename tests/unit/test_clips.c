/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_clips.c - names of prompts, files that change while in use, and the idle prompts in memory.
 * Works in a directory of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>
#include <sndfile.h>

#include "../../daemon/media/clips.c"
#include "media/audio.h"

static char dir[] = "/tmp/rtpx-clips-XXXXXX";
static struct event_base *base;
static struct clips *clips;

static int enter(void **state)
{
	(void)state;
	base = event_base_new();
	return base && mkdtemp(dir) && chdir(dir) == 0 && mkdir("sub", 0755) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	event_base_free(base);
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static int begin(void **state)
{
	return clips_new(&clips, base, *state, NULL);
}

static int end(void **state)
{
	(void)state;
	clips_free(clips);
	unlink("a.0");
	unlink("b.0");
	unlink("c.wav");
	unlink("c.wav.8");
	unlink("d.FLAC");
	unlink("sub/c.0");
	return rmdir("sub") == 0 ? mkdir("sub", 0755) : -1;
}

static int end_all(void **state)
{
	return rmdir("sub") == 0 ? leave(state) : -1;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void wait_for(const struct clip *clip)
{
	while (clip->err == -EINPROGRESS)
		event_base_loop(base, EVLOOP_ONCE);
}

/* Take a clip and wait until it is loaded or has failed. */
static int take_type(const char *name, unsigned int type, const struct clip **out)
{
	int err = clips_take(clips, span_of(name), type, NULL, out);

	if (!err)
		wait_for(*out);
	return err;
}

/* The same for packets of a codec, which must live as long as the clip. */
static int take_packets(const char *name, const char *codec, const struct clip **out)
{
	static struct audio_codec codecs[8];
	static unsigned int n;
	struct audio_codec *c = &codecs[n++ % ARRAY_SIZE(codecs)];
	const char *why;
	int err;

	assert_int_equal(audio_codec_parse(codec, c, &why), 0);
	err = clips_take(clips, span_of(name), 0, c, out);
	if (!err)
		wait_for(*out);
	return err;
}

static int take(const char *name, const struct clip **out)
{
	return take_type(name, 0, out);
}

static void reads(const char *name, const char *text)
{
	const struct clip *clip;

	assert_int_equal(take(name, &clip), 0);
	assert_int_equal(clip->err, 0);
	assert_int_equal(clip->len, strlen(text));
	assert_memory_equal(clip->data, text, clip->len);
	clips_give(clips, clip);
}

static void names(void **state)
{
	const struct clip *clip;
	char absolute[100], longest[PATH_MAX + 10];

	(void)state;
	put("a.0", "one");
	put("sub/c.0", "");
	reads("a", "one");
	reads("sub/../a", "one");
	reads("sub/c", "");
	snprintf(absolute, sizeof(absolute), "%s/a", dir);
	reads(absolute, "one");
	assert_int_equal(take("b", &clip), -ENOENT);
	assert_int_equal(clips_take(clips, span_of("a"), 8, NULL, &clip), -ENOENT);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(take(longest, &clip), -ENAMETOOLONG);
	longest[PATH_MAX - 2] = 0;
	assert_int_equal(take(longest, &clip), -ENAMETOOLONG);
}

static void names_confined(void **state)
{
	static const char *const outside[] = {
		"../a",	  "sub/../../a", "..",
		"sub/..", "/etc/passwd", "",
		".",	  "/",		 "sub/../../..//etc/passwd",
	};
	const struct clip *clip;
	char up[100], absolute[100];
	size_t i;

	(void)state;
	put("a.0", "one");
	put("sub/c.0", "three");
	reads("a", "one");
	reads("sub/c", "three");
	reads("./sub/..//a", "one");
	for (i = 0; i < ARRAY_SIZE(outside); i++)
		assert_int_equal(take(outside[i], &clip), -EACCES);
	snprintf(up, sizeof(up), "..%s/a", dir);
	assert_int_equal(take(up, &clip), -EACCES);
	snprintf(absolute, sizeof(absolute), "%s/sub/c", dir);
	reads(absolute, "three");
	snprintf(absolute, sizeof(absolute), "%s/../a", dir);
	assert_int_equal(take(absolute, &clip), -EACCES);
	snprintf(absolute, sizeof(absolute), "%sx/a", dir);
	assert_int_equal(take(absolute, &clip), -EACCES);
	assert_int_equal(take(dir, &clip), -EACCES);
	assert_int_equal(take("..a", &clip), -ENOENT);
	assert_int_equal(take("a..", &clip), -ENOENT);
}

static void only_regular_files(void **state)
{
	const struct clip *clip;

	(void)state;
	assert_int_equal(mkfifo("b.0", 0600), 0);
	assert_int_equal(take("b", &clip), -EINVAL);
	assert_int_equal(unlink("b.0"), 0);
	assert_int_equal(mkdir("b.0", 0700), 0);
	assert_int_equal(take("b", &clip), -EINVAL);
	assert_int_equal(rmdir("b.0"), 0);
	put("b.0", "");
	assert_int_equal(truncate("b.0", LOADER_MAX_BYTES + 1ll), 0);
	assert_int_equal(take("b", &clip), -EFBIG);
}

static void one_copy_for_all(void **state)
{
	const struct clip *first, *second;

	(void)state;
	put("a.0", "one");
	assert_int_equal(take("a", &first), 0);
	assert_int_equal(take("a", &second), 0);
	assert_ptr_equal(first, second);
	clips_give(clips, first);
	clips_give(clips, second);
	assert_int_equal(take("a", &second), 0);
	assert_ptr_equal(first, second);
	clips_give(clips, second);
}

/* A player of the old clip keeps it when the file changes or goes. */
static void a_changed_file_is_read_again(void **state)
{
	const struct clip *old;

	(void)state;
	put("a.0", "one");
	assert_int_equal(take("a", &old), 0);
	put("a.0", "2");
	reads("a", "2");
	assert_memory_equal(old->data, "one", 3);
	assert_int_equal(unlink("a.0"), 0);
	assert_int_equal(take("a", &(const struct clip *){ NULL }), -ENOENT);
	assert_int_equal(HASH_COUNT(clips->files), 0);
	assert_memory_equal(old->data, "one", 3);
	clips_give(clips, old);
	put("a.0", "again");
	reads("a", "again");
}

/* A new file with the same size and mtime is still read again. */
static void a_time_set_back_deceives_nobody(void **state)
{
	struct stat st;

	(void)state;
	put("a.0", "one");
	reads("a", "one");
	assert_int_equal(stat("a.0", &st), 0);
	do {
		put("a.0", "two");
		assert_int_equal(utimensat(AT_FDCWD, "a.0",
					   (struct timespec[]){ st.st_atim, st.st_mtim }, 0),
				 0);
	} while (stat("a.0", &st) == 0 &&
		 is_same(&clips->files->st, &st)); /* a coarse clock's tick */
	reads("a", "two");
}

static void idle_ones_are_bounded(void **state)
{
	const struct clip *a, *b;

	(void)state;
	put("a.0", "");
	put("b.0", "");
	assert_int_equal(truncate("a.0", CLIPS_IDLE_BYTES / 2 + 1), 0);
	assert_int_equal(truncate("b.0", CLIPS_IDLE_BYTES / 2), 0);
	assert_int_equal(take("a", &a), 0);
	assert_int_equal(take("b", &b), 0);
	clips_give(clips, a);
	assert_int_equal(HASH_COUNT(clips->files), 2);
	clips_give(clips, b);
	assert_int_equal(HASH_COUNT(clips->files), 1);
	assert_string_equal(clips->files->key, "b.0");
	assert_int_equal(clips->idle_bytes, CLIPS_IDLE_BYTES / 2);
}

/* ---- sound ---- */

#define RATE 16000
#define SAMPLES 16100 /* no whole frames of any codec */

/* A loud tone of a second, and a little more. */
static void put_sound(const char *path, int format)
{
	SF_INFO info = { .samplerate = RATE, .channels = 2, .format = format | SF_FORMAT_PCM_16 };
	SNDFILE *f = sf_open(path, SFM_WRITE, &info);
	int16_t frame[2];
	int i;

	assert_non_null(f);
	for (i = 0; i < SAMPLES; i++) {
		frame[0] = frame[1] = i / 8 % 2 ? 8000 : -8000;
		assert_int_equal(sf_writef_short(f, frame, 1), 1);
	}
	assert_int_equal(sf_close(f), 0);
}

static const struct {
	unsigned int type;
	size_t len; /* 0: cannot be encoded */
} encoded[] = {
	{ 0, SAMPLES / 2 }, { 8, SAMPLES / 2 }, { 9, SAMPLES / 2 }, { 3, 51 * 33 },
	{ 18, 101 * 10 },   { 4, 0 },		{ 10, 0 },	    { 11, 0 },
	{ 99, 0 },	    { 111, 0 },
};

static void sound_is_encoded(void **state)
{
	const struct clip *clip, *again;
	size_t i;

	(void)state;
	put_sound("c.wav", SF_FORMAT_WAV);
	put_sound("d.FLAC", SF_FORMAT_FLAC);
	for (i = 0; i < ARRAY_SIZE(encoded); i++) {
		const char *name = i % 2 ? "d.FLAC" : "c.wav";
		int err = clips_take(clips, span_of(name), encoded[i].type, NULL, &clip);

		assert_int_equal(err, encoded[i].len ? 0 : -ENOTSUP);
		if (err)
			continue;
		assert_int_equal(clip->err, -EINPROGRESS); /* still loading */
		assert_int_equal(take_type(name, encoded[i].type, &again), 0);
		assert_ptr_equal(clip, again);
		assert_int_equal(clip->err, 0);
		assert_in_range(clip->len, encoded[i].len - 2, encoded[i].len + 2);
		clips_give(clips, clip);
		clips_give(clips, again);
	}
	assert_int_equal(clips_counts(clips).loaded, 5);
	assert_int_equal(clips_counts(clips).loading, 0);
}

/* A file of frames is preferred to the sound file. A changed sound file is encoded again. */
static void sound_and_frames(void **state)
{
	const struct clip *clip;

	(void)state;
	put_sound("c.wav", SF_FORMAT_WAV);
	put("c.wav.8", "frames");
	assert_int_equal(take_type("c.wav", 8, &clip), 0);
	assert_int_equal(clip->len, 6);
	clips_give(clips, clip);
	assert_int_equal(unlink("c.wav.8"), 0);
	assert_int_equal(take_type("c.wav", 8, &clip), 0);
	assert_string_equal(clips_name(clip), "c.wav as 8");
	assert_int_equal(clip->err, 0);
	clips_give(clips, clip);
	assert_int_equal(take_type("c.wav", 4, &clip), -ENOTSUP); /* no encoder of G.723.1 */
	assert_int_equal(unlink("c.wav"), 0);
	assert_int_equal(take_type("c.wav", 8, &clip), -ENOENT);
	assert_int_equal(take_type("c.wav", 4, &clip), -ENOENT);
}

static void what_is_no_sound(void **state)
{
	const struct clip *clip;

	(void)state;
	put("c.wav", "nothing that anybody can hear");
	assert_int_equal(take("c.wav", &clip), 0);
	assert_int_equal(clip->err, -EINVAL);
	clips_give(clips, clip);
	assert_int_equal(clips_counts(clips).failed, 1);
	assert_int_equal(take("c.wav", &clip), -EINVAL); /* known now */
	put_sound("c.wav", SF_FORMAT_WAV);
	assert_int_equal(take("c.wav", &clip), 0);
	assert_int_equal(clip->err, 0);
	clips_give(clips, clip);
	assert_int_equal(take("a", &clip), -ENOENT); /* no suffix of sound */
	assert_int_equal(take(".wav", &clip), -ENOENT);
}

/* Raw samples of 16 kHz, as Asterisk has them, and Opus: packets behind their lengths. */
static void raw_samples_and_opus(void **state)
{
	const struct clip *clip;
	unsigned int packets = 0;
	FILE *f = fopen("r.sln16", "we");
	size_t at;

	(void)state;
	assert_non_null(f);
	for (at = 0; at < 16000; at++)
		assert_int_equal(fwrite((int16_t[]){ at / 16 % 2 ? 9000 : -9000 }, 2, 1, f), 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(take_type("r", 8, &clip), 0);
	assert_string_equal(clips_name(clip), "r.sln16 as 8");
	assert_in_range(clip->len, 7998, 8002);
	clips_give(clips, clip);
	assert_int_equal(take_packets("r.sln16", "opus", &clip), 0);
	assert_int_equal(clip->err, 0);
	for (at = 0; at < clip->len; at += 2 + (clip->data[at] << 8 | clip->data[at + 1]))
		packets++;
	assert_int_equal(at, clip->len);
	assert_in_range(packets, 50, 51);
	clips_give(clips, clip);
	assert_int_equal(unlink("r.sln16"), 0);
	assert_int_equal(take_packets("r", "opus", &clip), -ENOENT);
}

static void put_bytes(const char *path, const void *bytes, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* Files of AMR frames become payloads; RFC 4867 sections 4.3 and 4.4. */
static void frames_of_amr(void **state)
{
	/* a frame of silence (39 bits), and one without data */
	static const char narrow[] = "#!AMR\n\x44\xff\xff\xff\xff\xfe\x7c";
	static const char octets[] = "\0\7\xf0\x44\xff\xff\xff\xff\xfe\0\2\xf0\x7c";
	static const char efficient[] = "\0\7\xf4\x7f\xff\xff\xff\xff\x80\0\2\xf7\xc0";
	static const char wide[] = "#!AMR-WB\n\x7c";
	const struct clip *clip;

	(void)state;
	put_bytes("a.amr", narrow, sizeof(narrow) - 1);
	assert_int_equal(take_packets("a", "AMR;octet-align=1", &clip), 0);
	assert_int_equal(clip->err, 0);
	assert_string_equal(clips_name(clip), "a.amr as amr7o");
	assert_int_equal(clip->len, sizeof(octets) - 1);
	assert_memory_equal(clip->data, octets, clip->len);
	clips_give(clips, clip);
	assert_int_equal(take_packets("a.amr", "AMR", &clip), 0);
	assert_int_equal(clip->len, sizeof(efficient) - 1);
	assert_memory_equal(clip->data, efficient, clip->len);
	clips_give(clips, clip);
	assert_int_equal(take_packets("a", "AMR-WB", &clip), -ENOENT);
	put_bytes("a.awb", wide, sizeof(wide) - 1);
	assert_int_equal(take_packets("a", "AMR-WB", &clip), 0);
	assert_int_equal(clip->len, 4);
	clips_give(clips, clip);
	put_bytes("a.awb", narrow, sizeof(narrow) - 1);
	assert_int_equal(take_packets("a", "AMR-WB", &clip), 0);
	assert_int_equal(clip->err, -EINVAL);
	clips_give(clips, clip);
	put_bytes("a.amr", narrow, sizeof(narrow) - 3); /* a frame is cut */
	assert_int_equal(take_packets("a", "AMR", &clip), 0);
	assert_int_equal(clip->err, -EINVAL);
	clips_give(clips, clip);
	assert_int_equal(take_packets("a", "AMR", &clip), -EINVAL); /* known now */
	unlink("a.amr");
	unlink("a.awb");
}

/* Sound, encoded in packets: as many as the sound has frames of 20 ms. */
static void sound_in_packets(void **state)
{
	static const char *const codecs[] = { "AMR",	     "AMR-WB;octet-align=1", "speex",
					      "speex/16000", "speex/32000",	     "opus" };
	const struct clip *clip;
	struct audio_codec codec;
	unsigned int packets;
	const char *why;
	size_t i, at;

	(void)state;
	put_sound("c.wav", SF_FORMAT_WAV);
	for (i = 0; i < ARRAY_SIZE(codecs); i++) {
		assert_int_equal(audio_codec_parse(codecs[i], &codec, &why), 0);
		if (!audio_is_built(&codec)) {
			assert_int_equal(take_packets("c.wav", codecs[i], &clip), -ENOTSUP);
			continue;
		}
		assert_int_equal(take_packets("c.wav", codecs[i], &clip), 0);
		assert_int_equal(clip->err, 0);
		for (at = packets = 0; at < clip->len; packets++)
			at += 2 + (clip->data[at] << 8 | clip->data[at + 1]);
		assert_int_equal(at, clip->len);
		assert_in_range(packets, 50, 52);
		clips_give(clips, clip);
	}
}

/* A clip is given back, or all clips are freed, while the loader works on it. */
static void nobody_waits_any_more(void **state)
{
	const struct clip *clip;
	unsigned int i;

	(void)state;
	put_sound("c.wav", SF_FORMAT_WAV);
	for (i = 0; i < ARRAY_SIZE(encoded); i++)
		if (clips_take(clips, span_of("c.wav"), encoded[i].type, NULL, &clip) == 0)
			clips_give(clips, clip);
	assert_int_equal(clips_counts(clips).loading, 5);
	unlink("c.wav");
	assert_int_equal(clips_take(clips, span_of("c.wav"), 0, NULL, &clip), -ENOENT);
}

/* Files with Asterisk's suffixes; the number of the payload type comes first. */
static void asterisks_suffixes(void **state)
{
	static const struct {
		const char *file;
		unsigned int type;
	} rows[] = { { "a.ulaw", 0 }, { "a.gsm", 3 },  { "a.g723", 4 },
		     { "a.alaw", 8 }, { "a.g722", 9 }, { "a.g729", 18 } };
	const struct clip *clip;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(take_type("a", rows[i].type, &clip), -ENOENT);
		put(rows[i].file, rows[i].file);
		assert_int_equal(take_type("a", rows[i].type, &clip), 0);
		assert_int_equal(clip->len, strlen(rows[i].file));
		assert_memory_equal(clip->data, rows[i].file, clip->len);
		clips_give(clips, clip);
		unlink(rows[i].file);
	}
	put("a.ulaw", "two");
	put("a.0", "one");
	reads("a", "one");
	unlink("a.ulaw");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names, begin, end),
		cmocka_unit_test_prestate_setup_teardown(names_confined, begin, end, dir),
		cmocka_unit_test_setup_teardown(only_regular_files, begin, end),
		cmocka_unit_test_setup_teardown(one_copy_for_all, begin, end),
		cmocka_unit_test_setup_teardown(a_changed_file_is_read_again, begin, end),
		cmocka_unit_test_setup_teardown(a_time_set_back_deceives_nobody, begin, end),
		cmocka_unit_test_setup_teardown(idle_ones_are_bounded, begin, end),
		cmocka_unit_test_setup_teardown(sound_is_encoded, begin, end),
		cmocka_unit_test_setup_teardown(sound_and_frames, begin, end),
		cmocka_unit_test_setup_teardown(what_is_no_sound, begin, end),
		cmocka_unit_test_setup_teardown(raw_samples_and_opus, begin, end),
		cmocka_unit_test_setup_teardown(frames_of_amr, begin, end),
		cmocka_unit_test_setup_teardown(sound_in_packets, begin, end),
		cmocka_unit_test_setup_teardown(nobody_waits_any_more, begin, end),
		cmocka_unit_test_setup_teardown(asterisks_suffixes, begin, end),
	};

	return cmocka_run_group_tests(tests, enter, end_all);
}

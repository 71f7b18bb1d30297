/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * makeann.c - turns a sound file into prompts that the relay plays, one file for each codec.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "media/audio.h"
#include "base/clock.h"
#include "media/sound.h"

#define FRAME_SAMPLES 160 /* 20 ms at 8 kHz: the input of every codec */
#define PROGRESS_AFTER_NS (2 * NSEC_PER_SEC)
#define OPUS_RATE 48000

static const char usage_text[] =
	"usage: makeann [-l LIMIT [-L]] [-v] INFILE [TEMPLATE]\n"
	"Writes TEMPLATE.0 (PCMU), .3 (GSM), .8 (PCMA), .9 (G.722), .18 (G.729): raw frames, which the relay plays as\n"
	"TEMPLATE; and TEMPLATE.opus, an Ogg file. INFILE is any file that libsndfile reads, or raw samples: signed\n"
	"16-bit little-endian, one channel, 8 kHz. TEMPLATE is INFILE if not given.\n"
	"  -l LIMIT  at most LIMIT samples, of 8 kHz\n"
	"  -L        repeat the input until LIMIT\n"
	"  -v        G.729 is encoded without voice activity detection all the same; accepted, no effect\n";

struct options {
	const char *in, *template;
	unsigned long limit; /* in samples at 8 kHz; 0: none */
	bool loop;
};

/* ---- progress ---- */

static void progress(const char *what, size_t done, size_t all)
{
	static uint64_t start;
	static bool shown;
	uint64_t now = clock_now();

	if (!start)
		start = now;
	if (done < all && (now - start < PROGRESS_AFTER_NS || !isatty(STDERR_FILENO)))
		return;
	if (done < all)
		fprintf(stderr, "\r%-6s %3zu %%", what, done * 100 / all);
	else if (shown)
		fprintf(stderr, "\r            \r");
	shown = done < all;
}

/* ---- input ---- */

/* Cuts the sound to @want samples. @loop: also repeats a shorter sound up to @want samples. */
static int limit(struct sound *s, size_t want, bool loop)
{
	size_t have = s->n;
	int16_t *p;

	if (!want)
		return 0;
	if (!loop || want <= have) {
		s->n = MIN(have, want);
		return 0;
	}
	p = realloc(s->samples, want * sizeof(*p));
	if (!p)
		return -ENOMEM;
	s->samples = p;
	for (; s->n < want; s->n++)
		p[s->n] = p[s->n - have];
	return 0;
}

/* ---- output ---- */

static int fail(const char *path, const char *why)
{
	fprintf(stderr, "makeann: cannot write %s: %s\n", path, why);
	return -1;
}

/* For a codec with frames, silence fills the last frame, as in rtpproxy's makeann. */
static int encode(FILE *f, const struct audio_codec *codec, const struct sound *s)
{
	struct audio_encoder *e = audio_encoder_new(codec);
	size_t block = FRAME_SAMPLES * (codec->rate / 8000), at, n, bytes;
	int16_t in[2 * FRAME_SAMPLES];
	uint8_t out[2 * FRAME_SAMPLES];
	int rc = e ? 0 : -1;

	for (at = 0; !rc && at < s->n; at += block) {
		n = MIN(block, s->n - at);
		memcpy(in, s->samples + at, n * sizeof(*in));
		if (codec->frame_samples > 1) {
			memset(in + n, 0, (block - n) * sizeof(*in));
			n = block;
		}
		bytes = audio_encode(e, in, n, out);
		rc = fwrite(out, 1, bytes, f) == bytes ? 0 : -1;
		progress(codec->name, at, s->n);
	}
	audio_encoder_free(e);
	return rc;
}

static int write_frames(const struct options *o, const struct audio_codec *codec,
			const struct sound *s)
{
	char path[PATH_MAX];
	FILE *f;
	int rc;

	if (snprintf(path, sizeof(path), "%s.%d", o->template, codec->payload_type) >=
	    (int)sizeof(path))
		return fail(o->template, "the name is too long");
	f = fopen(path, "w");
	if (!f)
		return fail(path, strerror(errno));
	rc = encode(f, codec, s);
	if (fclose(f) || rc) {
		rc = fail(path, errno ? strerror(errno) : "the encoder is missing");
		unlink(path);
	}
	return rc;
}

static int write_opus(const struct options *o, const struct sound *s)
{
	SF_INFO info = { .samplerate = OPUS_RATE, .channels = 1,
			 .format = SF_FORMAT_OGG | SF_FORMAT_OPUS };
	char path[PATH_MAX];
	SNDFILE *f;
	int rc = 0;

	if (snprintf(path, sizeof(path), "%s.opus", o->template) >= (int)sizeof(path))
		return fail(o->template, "the name is too long");
	f = sf_open(path, SFM_WRITE, &info);
	if (!f)
		return fail(path, sf_strerror(NULL));
	if (sf_writef_short(f, s->samples, s->n) != (sf_count_t)s->n)
		rc = fail(path, sf_strerror(f));
	sf_close(f);
	return rc;
}

static int write_all(const struct options *o, const struct sound *in)
{
	static const unsigned int types[] = { 0, 3, 8, 9, 18 };
	struct sound s = { 0 };
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i <= ARRAY_SIZE(types); i++) {
		const struct audio_codec *c = i < ARRAY_SIZE(types) ? audio_codec_of(types[i]) : NULL;
		unsigned int rate = c ? c->rate : OPUS_RATE;

		rc = sound_at(in, rate, &s);
		if (!rc)
			rc = limit(&s, o->limit * (rate / 8000), o->loop);
		if (rc)
			fprintf(stderr, "makeann: no memory for %s\n", o->in);
		else
			rc = c ? write_frames(o, c, &s) : write_opus(o, &s);
		sound_free(&s);
	}
	progress("", 1, 1);
	return rc;
}

/* ---- command line ---- */

static int usage(void)
{
	fputs(usage_text, stderr);
	return 1;
}

static bool parse(int argc, char **argv, struct options *o)
{
	char *end;
	int c;

	while ((c = getopt(argc, argv, "l:Lv")) != -1) {
		switch (c) {
		case 'l':
			o->limit = strtoul(optarg, &end, 10);
			if (*optarg < '1' || *optarg > '9' || *end || o->limit > UINT_MAX) {
				fprintf(stderr, "makeann: -l '%s': must be a number of samples\n",
					optarg);
				return false;
			}
			break;
		case 'L':
			o->loop = true;
			break;
		case 'v':
			break;
		default:
			return false;
		}
	}
	if (o->loop && !o->limit)
		fprintf(stderr, "makeann: -L needs a limit: -l\n");
	if (optind >= argc || argc - optind > 2 || (o->loop && !o->limit))
		return false;
	o->in = argv[optind];
	o->template = argc - optind == 2 ? argv[optind + 1] : o->in;
	return true;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct sound in;
	char err[400];
	int rc;

	if (!parse(argc, argv, &o))
		return usage();
	if (sound_read(o.in, true, &in, err, sizeof(err))) {
		fprintf(stderr, "makeann: %s\n", err);
		return 1;
	}
	rc = write_all(&o, &in);
	sound_free(&in);
	return rc ? 1 : 0;
}

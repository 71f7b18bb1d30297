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
#include "media/amr.h"
#include "media/sound.h"

#define FRAME_SAMPLES 160 /* 20 ms at 8 kHz: the input of every codec */
#define PROGRESS_AFTER_NS (2 * NSEC_PER_SEC)
#define OPUS_RATE 48000
#define WIDE_RATE 16000

static const char usage_text[] =
	"usage: makeann [-l LIMIT [-L]] [-r] [-v] INFILE [TEMPLATE]\n"
	"Writes TEMPLATE.0 (PCMU), .3 (GSM), .8 (PCMA), .9 (G.722), .18 (G.729): raw frames, which the relay plays as\n"
	"TEMPLATE; TEMPLATE.opus, an Ogg file; TEMPLATE.amr and .awb, AMR and AMR-WB. INFILE is any file that libsndfile\n"
	"reads, or raw samples: signed 16-bit little-endian, one channel, 8 kHz. They need -r, or a name that ends in .raw,\n"
	".slin, .pcm or .sln; .sln12 to .sln192 have that rate in kHz.\n"
	"TEMPLATE is INFILE if not given.\n"
	"  -l LIMIT  at most LIMIT samples, of 8 kHz\n"
	"  -L        repeat the input until LIMIT\n"
	"  -r        INFILE is raw samples\n"
	"  -v        G.729 is encoded without voice activity detection all the same; accepted, no effect\n";

struct options {
	const char *in, *template;
	unsigned long limit; /* in samples at 8 kHz; 0: none */
	bool loop, raw;
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

/* The samples of one prompt, at one rate, cut and repeated as the options say. */
struct input {
	const struct options *o;
	unsigned int rate;
	struct sound *sound;
	uint64_t left;	    /* samples until the limit; UINT64_MAX: none */
	uint64_t done, all; /* for the progress */
};

static bool is_raw(const struct options *o)
{
	return o->raw || sound_raw_rate(o->in);
}

static int input_again(struct input *in)
{
	char err[400];
	int rc;

	sound_close(in->sound);
	in->sound = NULL;
	rc = sound_open(&in->sound, in->o->in, is_raw(in->o), in->rate, err, sizeof(err));
	if (rc)
		fprintf(stderr, "makeann: %s%s\n", err,
			rc == -EINVAL && !is_raw(in->o) ? " (-r reads raw samples)" : "");
	return rc;
}

static int input_open(struct input *in, const struct options *o, unsigned int rate)
{
	int rc;

	*in = (struct input){ .o = o,
			      .rate = rate,
			      .left = o->limit ? o->limit * (rate / 8000) : UINT64_MAX };
	rc = input_again(in);
	if (!rc)
		in->all = o->loop ? in->left : MIN(in->left, sound_length(in->sound));
	return rc;
}

/* At most @max samples; 0 at the end, -1 after a sentence on stderr. */
static int input_read(struct input *in, int16_t *out, size_t max)
{
	char err[400];
	int n = 0;

	max = (size_t)MIN(max, in->left);
	while (max && n == 0) {
		n = sound_read(in->sound, out, max, err, sizeof(err));
		if (n < 0) {
			fprintf(stderr, "makeann: %s\n", n == -ENOMEM ? "no memory" : err);
			return -1;
		}
		if (n == 0 && (!in->o->loop || input_again(in)))
			break;
	}
	in->left -= in->left == UINT64_MAX ? 0 : (uint64_t)n;
	in->done += (uint64_t)n;
	return n;
}

/* As many samples as there are, up to @max: less than @max only at the end. */
static int input_fill(struct input *in, int16_t *out, size_t max)
{
	size_t have = 0;
	int n = 1;

	while (have < max && n > 0) {
		n = input_read(in, out + have, max - have);
		have += MAX(n, 0);
	}
	return n < 0 ? n : (int)have;
}

static void input_close(struct input *in, bool tell)
{
	if (in->sound && tell && sound_odd(in->sound))
		fprintf(stderr,
			"makeann: %s: %llu samples are no numbers, or infinite; they are silent\n",
			in->o->in, (unsigned long long)sound_odd(in->sound));
	sound_close(in->sound);
}

/* ---- output ---- */

static int fail(const char *path, const char *why)
{
	fprintf(stderr, "makeann: cannot write %s: %s\n", path, why);
	return -1;
}

/* A file of a prompt. */
struct output {
	const char *suffix;
	unsigned int rate;						 /* samples a second */
	int (*write)(FILE *f, const struct output *o, struct input *in); /* NULL: Ogg Opus */
	unsigned int payload_type;					 /* of write_frames() */
};

/* For a codec with frames, silence fills the last frame, as in rtpproxy's makeann. */
static int encode(FILE *f, const struct audio_codec *codec, struct input *in)
{
	struct audio_encoder *e = audio_encoder_new(codec);
	size_t block = FRAME_SAMPLES * (codec->rate / 8000), bytes;
	int16_t samples[2 * FRAME_SAMPLES];
	uint8_t out[2 * FRAME_SAMPLES];
	int rc = e ? 0 : -1, n;

	while (!rc && (n = input_fill(in, samples, block)) != 0) {
		if (n < 0) {
			rc = -1;
			break;
		}
		if (codec->frame_samples > 1) {
			memset(samples + n, 0, (block - (size_t)n) * sizeof(*samples));
			n = (int)block;
		}
		bytes = audio_encode(e, samples, (size_t)n, out);
		if (fwrite(out, 1, bytes, f) != bytes)
			rc = fail(in->o->template, strerror(errno));
		progress(codec->name, (size_t)in->done, (size_t)in->all);
	}
	audio_encoder_free(e);
	return rc;
}

static int write_frames(FILE *f, const struct output *o, struct input *in)
{
	return encode(f, audio_codec_of(o->payload_type), in);
}

/* A file of frames, RFC 4867 section 5. Silence fills the last frame. */
static int write_amr(FILE *f, const struct output *o, struct input *in)
{
	const bool wide = o->rate == WIDE_RATE;
	const size_t block = wide ? AMR_WIDE_SAMPLES : AMR_NARROW_SAMPLES;
	struct amr_encoder *e = amr_encoder_new(wide);
	int16_t samples[AMR_WIDE_SAMPLES];
	uint8_t frame[AMRPACK_MAX_FRAME];
	int rc = e ? 0 : -1, n;

	fputs(amrpack_magic(wide), f);
	while (!rc && (n = input_fill(in, samples, block)) != 0) {
		if (n < 0) {
			rc = -1;
			break;
		}
		memset(samples + n, 0, (block - (size_t)n) * sizeof(*samples));
		amr_encode(e, wide ? 8 : 7, samples, frame);
		if (fwrite(frame, amrpack_file_next(wide, frame, sizeof(frame)), 1, f) != 1)
			rc = fail(in->o->template, strerror(errno));
		progress(o->suffix, (size_t)in->done, (size_t)in->all);
	}
	amr_encoder_free(e);
	return rc;
}

static int write_file(const char *path, const struct output *o, struct input *in)
{
	FILE *f = fopen(path, "w");
	int rc;

	if (!f)
		return fail(path, strerror(errno));
	rc = o->write(f, o, in);
	if (fclose(f) && !rc)
		rc = fail(path, strerror(errno));
	return rc;
}

static int write_opus(const char *path, struct input *in)
{
	SF_INFO info = { .samplerate = OPUS_RATE,
			 .channels = 1,
			 .format = SF_FORMAT_OGG | SF_FORMAT_OPUS };
	SNDFILE *f = sf_open(path, SFM_WRITE, &info);
	int16_t samples[4096];
	int rc = 0, n;

	if (!f)
		return fail(path, sf_strerror(NULL));
	while (!rc && (n = input_fill(in, samples, ARRAY_SIZE(samples))) != 0) {
		if (n < 0)
			rc = -1;
		else if (sf_writef_short(f, samples, n) != n)
			rc = fail(path, sf_strerror(f));
	}
	if (sf_close(f) && !rc)
		rc = fail(path, "it cannot be completed");
	return rc;
}

static const struct output outputs[] = {
	{ ".0", 8000, write_frames, 0 },   { ".3", 8000, write_frames, 3 },
	{ ".8", 8000, write_frames, 8 },   { ".9", 16000, write_frames, 9 },
	{ ".18", 8000, write_frames, 18 }, { ".opus", OPUS_RATE, NULL, 0 },
	{ ".amr", 8000, write_amr, 0 },	   { ".awb", WIDE_RATE, write_amr, 0 },
};

/* Outputs of this build: AMR is the last. */
static size_t outputs_built(void)
{
	return amr_is_built() ? ARRAY_SIZE(outputs) : ARRAY_SIZE(outputs) - 2;
}

/* The name of output @i, or of the file beside it that is renamed in the end. */
static int name_of(const struct options *o, size_t i, bool beside, char path[PATH_MAX])
{
	char part[32] = "";

	if (beside)
		snprintf(part, sizeof(part), ".part%d", (int)getpid());
	if (snprintf(path, PATH_MAX, "%s%s%s", o->template, outputs[i].suffix, part) < PATH_MAX)
		return 0;
	return fail(o->template, "the name is too long");
}

static int write_one(const struct options *o, size_t i)
{
	const struct output *out = &outputs[i];
	char path[PATH_MAX];
	struct input in;
	int rc = name_of(o, i, true, path);

	if (!rc)
		rc = input_open(&in, o, out->rate);
	if (rc)
		return rc;
	rc = out->write ? write_file(path, out, &in) : write_opus(path, &in);
	input_close(&in, i == 0);
	return rc;
}

/* All prompts are written beside, then renamed: a run that fails leaves the old ones alone. */
static int write_all(const struct options *o)
{
	char path[PATH_MAX], beside[PATH_MAX];
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < outputs_built(); i++)
		rc = write_one(o, i);
	progress("", 1, 1);
	for (i = 0; i < outputs_built(); i++) {
		if (name_of(o, i, true, beside) || name_of(o, i, false, path))
			continue;
		if (!rc && rename(beside, path))
			rc = fail(path, strerror(errno));
		if (rc)
			unlink(beside);
	}
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

	while ((c = getopt(argc, argv, "l:Lrv")) != -1) {
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
		case 'r':
			o->raw = true;
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
	if (!parse(argc, argv, &o))
		return usage();
	return write_all(&o) ? 1 : 0;
}

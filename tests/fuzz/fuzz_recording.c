/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_recording.c - any bytes as a recording, through all of extractaudio but its output. The last
 * byte chooses mono or stereo, and one side or both.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "../../daemon/base/addr.c"
#include "../../daemon/media/amr.c"
#include "../../daemon/media/amrpack.c"
#include "../../daemon/media/audio_codec.c"
#include "../../daemon/media/speexpack.c"
#include "../../daemon/media/spx.c"
#include "../../daemon/media/audio.c"
#include "../../daemon/record/format.c"
#include "../../daemon/record/keys.c"
#include "../../daemon/media/rtp.c"
#include "../../tools/capture.c"
#include "../../tools/decrypt.c"
#include "../../tools/frame.c"
#include "../../tools/rtpstream.c"
/* Most time goes into sums of samples. Their branches depend on times only: trace the rest. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
#include "../../tools/mixer.c"
#pragma clang attribute pop
#include "../../tools/extraction.c"

/* More than the mixer's ring holds, so that it goes round. */
#define MAX_WRITTEN ((MIXER_WINDOW_S + 3u) * NARROW_RATE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int write_none(void *arg, const int16_t *samples, size_t frames)
{
	struct extraction *x = arg;

	(void)samples;
	x->written += frames;
	return x->written > MAX_WRITTEN ? -EFBIG : 0;
}

static void add_dynamic(struct extraction_opts *o)
{
	static const struct {
		unsigned int type;
		const char *name;
	} rows[] = {
		{ 111, "opus" },
		{ 112, "AMR" },
		{ 113, "AMR;octet-align=1" },
		{ 114, "AMR-WB" },
		{ 115, "AMR-WB;octet-align=1" },
		{ 116, "speex" },
		{ 117, "speex/16000" },
		{ 118, "speex/32000" },
	};
	const char *why;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (audio_codec_parse(rows[i].name, &o->given[rows[i].type], &why))
			abort();
		o->codecs.of[rows[i].type] = &o->given[rows[i].type];
		o->codecs.meaning[rows[i].type] = RTPSTREAM_AUDIO;
	}
}

static void extract(const char *path, uint8_t choice)
{
	static struct extraction x;
	static struct extraction_opts o;
	unsigned int type, i;
	bool any;

	memset(&x, 0, sizeof(x));
	memset(&o, 0, sizeof(o));
	for (type = 0; type < RTPSTREAM_TYPES; type++) {
		o.codecs.of[type] = audio_codec_of(type);
		o.codecs.meaning[type] = o.codecs.of[type] ? RTPSTREAM_AUDIO : RTPSTREAM_UNKNOWN;
	}
	add_dynamic(&o);
	o.codecs.meaning[13] = RTPSTREAM_NOISE;
	x.o = &o;
	x.rate = NARROW_RATE;
	x.channels = 1 + (choice & 1);
	x.n_inputs = 1;
	for (i = 0; i < x.n_inputs; i++) {
		x.inputs[i].x = &x;
		x.inputs[i].o = &o;
		x.inputs[i].side = choice & 4 ? SIDE_O : SIDES;
		x.inputs[i].only = SIDES;
		x.inputs[i].told = true;
		x.inputs[i].paths[x.inputs[i].n_paths++] = strdup(path);
		if (extraction_learn(&x.inputs[i]))
			abort();
	}
	if (extraction_prepare(&x, write_none, &any))
		abort();
	if (any)
		extraction_run(&x);
	extraction_free(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	char path[40];

	if (fd < 0)
		fd = memfd_create("recording", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (size)
		extract(path, data[size - 1]);
	return 0;
}

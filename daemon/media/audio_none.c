/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audio_none.c - the twin of audio.c for a build without sound. There are no codecs, so the relay
 * plays prompts that are encoded already, and encodes no file.
 */
#include <errno.h>

#include "media/audio.h"

const struct audio_codec *audio_codec_of(unsigned int payload_type)
{
	(void)payload_type;
	return NULL;
}

int audio_codec_parse(const char *text, struct audio_codec *out)
{
	(void)text, (void)out;
	return -EINVAL;
}

struct audio_encoder *audio_encoder_new(const struct audio_codec *codec)
{
	(void)codec;
	return NULL;
}

void audio_encoder_free(struct audio_encoder *e)
{
	(void)e;
}

size_t audio_encode(struct audio_encoder *e, const int16_t *samples, size_t n, uint8_t *out)
{
	(void)e, (void)samples, (void)n, (void)out;
	return 0;
}

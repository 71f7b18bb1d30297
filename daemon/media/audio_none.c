/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audio_none.c - the twin of audio.c for a build without sound. There are no coders, so the relay
 * plays prompts that are encoded already, and encodes no file.
 */
#include "media/audio.h"

bool audio_is_built(const struct audio_codec *c)
{
	(void)c;
	return false;
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

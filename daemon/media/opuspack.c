/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * opuspack.c - libopus' parser and repacketizer. struct opuspack is its OpusRepacketizer.
 */
#include <errno.h>

#include <opus/opus.h>

#include "media/opuspack.h"

static OpusRepacketizer *as_repacketizer(struct opuspack *o)
{
	return (OpusRepacketizer *)o;
}

uint32_t opuspack_ticks(const uint8_t *p, size_t len)
{
	opus_int16 size[OPUSPACK_MAX_FRAMES];
	int samples = opus_packet_get_nb_samples(p, len, OPUSPACK_RATE);

	if (samples <= 0 || opus_packet_parse(p, len, NULL, NULL, size, NULL) <= 0)
		return 0;
	return samples;
}

int opuspack_new(struct opuspack **out)
{
	OpusRepacketizer *made = opus_repacketizer_create();

	if (!made)
		return -ENOMEM;
	*out = (struct opuspack *)made;
	return 0;
}

void opuspack_free(struct opuspack *o)
{
	opus_repacketizer_destroy(as_repacketizer(o));
}

void opuspack_clear(struct opuspack *o)
{
	opus_repacketizer_init(as_repacketizer(o));
}

bool opuspack_add(struct opuspack *o, const uint8_t *p, size_t len)
{
	return opus_repacketizer_cat(as_repacketizer(o), p, len) == OPUS_OK;
}

unsigned int opuspack_frames(const struct opuspack *o)
{
	return opus_repacketizer_get_nb_frames(as_repacketizer((struct opuspack *)o));
}

size_t opuspack_cut(struct opuspack *o, unsigned int i, uint8_t *out, size_t max)
{
	int n = opus_repacketizer_out_range(as_repacketizer(o), i, i + 1, out, max);

	return MAX(n, 0);
}

size_t opuspack_join(struct opuspack *o, uint8_t *out, size_t max)
{
	int n = opus_repacketizer_out(as_repacketizer(o), out, max);

	return MAX(n, 0);
}

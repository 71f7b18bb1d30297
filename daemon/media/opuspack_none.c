/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * opuspack_none.c - the twin of opuspack.c for a build without sound. No packet is known to be
 * Opus, so re-packetization passes all of them as they are.
 */
#include "media/opuspack.h"

uint32_t opuspack_ticks(const uint8_t *p, size_t len)
{
	(void)p, (void)len;
	return 0;
}

int opuspack_new(struct opuspack **out)
{
	*out = NULL;
	return 0;
}

void opuspack_free(struct opuspack *o)
{
	(void)o;
}

void opuspack_clear(struct opuspack *o)
{
	(void)o;
}

bool opuspack_add(struct opuspack *o, const uint8_t *p, size_t len)
{
	(void)o, (void)p, (void)len;
	return false;
}

unsigned int opuspack_frames(const struct opuspack *o)
{
	(void)o;
	return 0;
}

size_t opuspack_cut(struct opuspack *o, unsigned int i, uint8_t *out, size_t max)
{
	(void)o, (void)i, (void)out, (void)max;
	return 0;
}

size_t opuspack_join(struct opuspack *o, uint8_t *out, size_t max)
{
	(void)o, (void)out, (void)max;
	return 0;
}

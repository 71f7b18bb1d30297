/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sound_none.c - the twin of sound.c for a build without sound: every file is refused.
 */
#include <errno.h>
#include <stdio.h>

#include "media/sound.h"

int sound_open(struct sound **out, const char *path, bool raw, unsigned int rate, char *err,
	       size_t err_size)
{
	(void)out, (void)raw, (void)rate;
	snprintf(err, err_size, "cannot read %.300s: this rtpxd was built without sound", path);
	return -ENOTSUP;
}

void sound_close(struct sound *s)
{
	(void)s;
}

int sound_read(struct sound *s, int16_t *out, size_t max, char *err, size_t err_size)
{
	(void)s, (void)out, (void)max, (void)err, (void)err_size;
	return -ENOTSUP;
}

uint64_t sound_odd(const struct sound *s)
{
	(void)s;
	return 0;
}

uint64_t sound_length(const struct sound *s)
{
	(void)s;
	return 0;
}

unsigned int sound_raw_rate(const char *path)
{
	(void)path;
	return 0;
}

const char *sound_raw_suffix(unsigned int i)
{
	(void)i;
	return NULL;
}

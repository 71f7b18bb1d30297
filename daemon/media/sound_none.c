/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sound_none.c - the twin of sound.c for a build without sound: every file is refused.
 */
#include <errno.h>
#include <stdio.h>

#include "media/sound.h"

int sound_read(const char *path, bool raw, struct sound *out, char *err, size_t err_size)
{
	(void)raw;
	*out = (struct sound){ 0 };
	snprintf(err, err_size, "cannot read %.300s: this rtpxd was built without sound", path);
	return -ENOTSUP;
}

void sound_free(struct sound *s)
{
	*s = (struct sound){ 0 };
}

int sound_at(const struct sound *s, unsigned int rate, struct sound *out)
{
	(void)s, (void)rate;
	*out = (struct sound){ 0 };
	return -ENOTSUP;
}

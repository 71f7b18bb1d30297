/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_sound.c - any bytes as a sound file, through the reader that makeann and the loader of
 * prompts use. The last byte chooses the rate, and whether the file is raw samples.
 *
 * A file is read for some seconds only: blocks have one size, so that a longer read finds no more.
 */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../daemon/media/sound.c"

#define MAX_SAMPLES 30000
#define BLOCK 1600

static const unsigned int rates[] = { 8000, 16000, 48000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all_of(struct sound *s, char *err, size_t err_size)
{
	static int16_t samples[BLOCK];
	uint64_t total = 0;
	int n = 1;

	while (n > 0 && total < MAX_SAMPLES) {
		err[0] = 0;
		n = sound_read(s, samples, BLOCK, err, err_size);
		assert(n <= BLOCK);
		assert(n >= 0 || n == -ENOMEM || err[0]);
		total += MAX(n, 0);
	}
	assert(sound_odd(s) <= s->read * (uint64_t)s->info.channels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	char path[40], err[400] = "";
	struct sound *s = NULL;
	uint8_t choice = size ? data[size - 1] : 0;
	int rc;

	if (fd < 0)
		fd = memfd_create("sound", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = sound_open(&s, path, choice & 0x80, rates[choice % ARRAY_SIZE(rates)], err,
			sizeof(err));
	assert(rc == 0 || (rc < 0 && err[0]));
	if (!rc)
		read_all_of(s, err, sizeof(err));
	sound_close(s);
	return 0;
}

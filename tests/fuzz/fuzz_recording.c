/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_recording.c - any bytes as a recording: read, sorted into streams, decoded with each codec.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "../../daemon/base/addr.c"
#include "../../daemon/media/audio.c"
#include "../../daemon/record/format.c"
#include "../../daemon/media/rtp.c"
#include "../../daemon/media/sound.c"
#include "../../tools/capture.c"
#include "../../tools/rtpstream.c"

#define MAX_SECONDS_HEARD 60 /* of a stream: more only takes memory, for the silence in it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hear(struct rtpstream *s)
{
	struct rtpstream_codecs codecs;
	struct sound sound;
	unsigned int type;

	for (type = 0; type < RTPSTREAM_TYPES; type++)
		codecs.of[type] = audio_codec_of(type);
	for (type = 0; type < RTPSTREAM_TYPES; type++) {
		if (!s->types[type] || !codecs.of[type])
			continue;
		if (rtpstream_sound(s, &codecs, codecs.of[type], &sound) == 0)
			sound_free(&sound);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rtpstreams streams;
	struct capture capture;
	char path[40], err[400];
	size_t i;
	int fd = memfd_create("recording", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (capture_read(path, &capture, err, sizeof(err)) == 0) {
		if (rtpstreams_find(&capture, &streams) == 0) {
			for (i = 0; i < streams.n; i++)
				if (streams.all[i].last_ns - streams.all[i].first_ns <
				    MAX_SECONDS_HEARD * NSEC_PER_SEC)
					hear(&streams.all[i]);
			rtpstreams_free(&streams);
		}
		capture_free(&capture);
	}
	close(fd);
	return 0;
}

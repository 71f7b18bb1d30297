/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extraction.h - reads the recordings of a call and mixes their sound. The caller writes it to a
 * file.
 *
 * The recordings are read twice: the first time to learn the streams, the second time to decode
 * them. Memory does not grow with the length of the call.
 */
#ifndef RTPX_EXTRACTION_H
#define RTPX_EXTRACTION_H

#include <limits.h>
#include <sndfile.h>

#include "decrypt.h"
#include "mixer.h"
#include "rtpstream.h"

enum { SIDE_O, SIDE_A, SIDES }; /* originator, answerer */

#define NARROW_RATE 8000
#define RATE_OF_INPUT 0
#define EXTRACTION_PARTS 256

struct extraction_opts {
	bool delete, idle, stereo, unaligned, strict, scan, streams;
	int file, data;	   /* formats of libsndfile; -1: default */
	unsigned int rate; /* Hz; RATE_OF_INPUT: the highest rate of the input */
	const char *path[SIDES + 1][EXTRACTION_PARTS]; /* -B, -A and --both */
	size_t n_given_paths[SIDES + 1];
	struct decrypt_key keys[DECRYPT_MAX_KEYS];
	size_t n_keys;
	char **rest; /* OUTFILE and LINKs, NULL-terminated */
	struct audio_codec given[RTPSTREAM_TYPES];
	struct rtpstream_codecs codecs;
};

/* Recordings that follow each other in time: parts of one side, or of both. */
struct extraction_input {
	const struct extraction_opts *o;
	char *paths[EXTRACTION_PARTS];
	size_t n_paths;
	int side;  /* SIDES: both */
	int only;  /* play this side only; SIDES: all */
	size_t at; /* the open path */
	struct capture *capture;
	struct decrypt *decrypt;
	struct rtpstreams *streams;
	struct extraction *x;
	/* the packet to come, with room to decrypt it */
	struct capture_packet packet;
	uint8_t data[UINT16_MAX + 1 + DECRYPT_MAX_TRAILER];
	bool has_packet;
	uint64_t last_ns, shift_ns; /* of arrival; added to times after the clock was set back */
	uint64_t undecrypted;
	uint64_t packets_before; /* of the streams, when the open path began */
	bool told;		 /* troubles, by the first reading */
};

/* Everything about one run of the program. */
struct extraction {
	const struct extraction_opts *o;
	struct extraction_input inputs[SIDES + 1];
	size_t n_inputs;
	bool damaged; /* a file was not read or decoded whole */
	unsigned int rate, channels;
	uint64_t zero_ns[SIDES], now_ns;
	struct mixer *mixer;
	SNDFILE *out;
	uint64_t decoded[SIDES], written; /* samples at 8 kHz; frames */
	char temporary[PATH_MAX];	  /* the empty string: OUTFILE is no regular file */
};

/*
 * extraction_learn - the first reading of @in. Troubles are printed to stderr, and set
 * @x->damaged. 0 or -errno.
 */
int extraction_learn(struct extraction_input *in);
/* extraction_is_heard - true if the side of the stream is wanted. */
bool extraction_is_heard(const struct extraction_input *in, const struct rtpstream *s);
/* extraction_codec - the codec of most packets of a stream; NULL: none is known. */
const struct audio_codec *extraction_codec(const struct extraction_opts *o,
					   const struct rtpstream *s);
/* extraction_is_audio - true if the stream can be decoded, and is no copy of another. */
bool extraction_is_audio(const struct extraction_opts *o, const struct rtpstream *s);
/*
 * extraction_prepare - after the first reading, with @x->rate and @x->channels set: make the mixer,
 * whose sound goes to @write. Sets *@any to false if there is no audio. 0 or -errno.
 */
int extraction_prepare(struct extraction *x, int (*write)(void *arg, const int16_t *, size_t),
		       bool *any);
/* extraction_run - the second reading. 0 or -errno; -EFBIG for a call of more than two days. */
int extraction_run(struct extraction *x);
void extraction_free(struct extraction *x);

#endif

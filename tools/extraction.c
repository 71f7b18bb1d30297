/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extraction.c - merges the inputs by time of arrival, and gives each stream a decoder.
 *
 * Deliberately not here: the command line, and the file that is written.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "extraction.h"
#include "media/rtp.h"

#define MAX_GAP_NS (86400 * NSEC_PER_SEC)
#define MAX_SPAN_NS (2 * MAX_GAP_NS) /* of a call */
#define BEHIND_NS (4 * NSEC_PER_SEC) /* sound that is so far back is complete */
#define PAUSE_MAX_S 1		     /* senders describe the noise of a pause more often */

/* The sound of a stream while it is decoded. */
struct track {
	struct audio_decoder *decoder;
	const struct audio_codec *codec;
	int bus;
	int64_t end, shift; /* samples of the bus */
	size_t run;
	bool begun, noise;
	unsigned int noise_level; /* dB below overload */
	uint32_t noise_state;
};

/* ---- input ---- */

static void warn(const char *text)
{
	if (*text)
		fprintf(stderr, "extractaudio: %s\n", text);
}

/* Report a trouble of a file, in the first reading only. */
static void trouble(struct extraction_input *in, const char *text)
{
	if (!*text)
		return;
	if (!in->told)
		warn(text);
	in->x->damaged = true;
}

static void path_ends(struct extraction_input *in)
{
	uint64_t packets = rtpstreams_packets(in->streams) - in->packets_before;

	trouble(in, capture_trouble(in->capture));
	if (!in->told && !in->o->scan && !*capture_trouble(in->capture))
		warn(capture_why_empty(in->capture));
	if (in->o->scan && !in->told)
		printf("%s: %llu\n", in->paths[in->at], (unsigned long long)packets);
	capture_close(in->capture);
	in->capture = NULL;
	in->at++;
}

/* Open the next part that can be opened. False after the last. */
static bool next_path(struct extraction_input *in)
{
	char err[400];

	for (; !in->capture && in->at < in->n_paths; in->at++) {
		in->packets_before = rtpstreams_packets(in->streams);
		if (capture_open(&in->capture, in->paths[in->at], err, sizeof(err)) == 0)
			return true;
		if (in->o->scan && !in->told)
			printf("%s: -1\n", in->paths[in->at]);
		trouble(in, err);
	}
	return in->capture != NULL;
}

/*
 * Times do not go backwards: after the clock was set back, they go on at its pace. So they do after
 * a gap of more than a day: a clock that was set, and no call.
 */
static uint64_t time_of(struct extraction_input *in, uint64_t ns)
{
	ns += in->shift_ns;
	if (in->last_ns && ns > in->last_ns + MAX_GAP_NS) {
		in->shift_ns -= ns - in->last_ns;
		ns = in->last_ns;
	}
	if (ns < in->last_ns) {
		if (in->last_ns - ns > (uint64_t)RTPSTREAM_APART_NS)
			in->shift_ns += in->last_ns - ns;
		ns = in->last_ns;
	}
	in->last_ns = ns;
	return ns;
}

static bool is_rtp(const struct capture_packet *p)
{
	struct rtpx_packet rtp = { 0 };

	rtp_describe(&rtp, p->data, p->len);
	return rtp.kind == RTPX_PAYLOAD_RTP;
}

/* Decrypt the packet that has come. False: it is left out. */
static bool open_packet(struct extraction_input *in)
{
	size_t len = in->packet.len;
	int rc;

	if (!in->decrypt || !is_rtp(&in->packet) || len > UINT16_MAX)
		return true;
	memcpy(in->data, in->packet.data, len);
	rc = decrypt_packet(in->decrypt, in->data, &len);
	in->packet.data = in->data;
	in->packet.len = len;
	in->undecrypted += rc != 0 && rc != -EALREADY;
	return rc == 0;
}

/* Have the next packet in @in->packet. False at the end. */
static bool next_packet(struct extraction_input *in)
{
	while (!in->has_packet && (in->capture || next_path(in))) {
		if (!capture_next(in->capture, &in->packet)) {
			path_ends(in);
			continue;
		}
		in->packet.arrival_ns = time_of(in, in->packet.arrival_ns);
		in->has_packet = open_packet(in);
	}
	return in->has_packet;
}

static int reading_begins(struct extraction_input *in)
{
	in->at = 0;
	in->last_ns = in->shift_ns = in->undecrypted = 0;
	decrypt_free(in->decrypt);
	in->decrypt = NULL;
	return in->o->n_keys ? decrypt_new(&in->decrypt, in->o->keys, in->o->n_keys) : 0;
}

/* ---- sides ---- */

bool extraction_is_heard(const struct extraction_input *in, const struct rtpstream *s)
{
	return in->only == SIDES || (int)s->side == in->only;
}

/* Streams of one party have a sender or a receiver in common, whatever ports it moved to. */
static bool is_same_party(const struct rtpstream *a, const struct rtpstream *b)
{
	if (addr_eq(&a->src, &b->src))
		return true;
	return a->dst.family != ADDR_NONE && addr_eq(&a->dst, &b->dst);
}

/*
 * In recordings of both sides, a recording of rtpxd names the party of each packet. In other
 * captures, the originator is the party that sends first.
 */
static void find_sides(struct extraction_input *in)
{
	size_t n = rtpstreams_count(in->streams), i, k;
	bool moved = true;

	for (i = 0; i < n; i++) {
		struct rtpstream *s = rtpstreams_at(in->streams, i);

		if (in->side != SIDES)
			s->side = in->side;
		else if (s->party != FORMAT_NO_PARTY)
			s->side = s->party == FORMAT_CALLER ? SIDE_O : SIDE_A;
		else
			s->side = i == 0 ? SIDE_O : SIDE_A;
	}
	while (in->side == SIDES && moved) {
		for (moved = false, i = 0; i < n; i++)
			for (k = 0; k < n; k++) {
				struct rtpstream *a = rtpstreams_at(in->streams, i);
				struct rtpstream *b = rtpstreams_at(in->streams, k);

				if (a->side != SIDE_O || b->side == SIDE_O || a->is_copy ||
				    b->party != FORMAT_NO_PARTY || !is_same_party(a, b))
					continue;
				b->side = SIDE_O;
				moved = true;
			}
	}
}

/* ---- the first reading ---- */

static int hear(void *arg, struct rtpstream *s, const struct rtpstream_packet *p);

int extraction_learn(struct extraction_input *in)
{
	const struct rtpstreams_opts opts = { .codecs = &in->o->codecs, .play = hear, .arg = in };
	int rc = rtpstreams_new(&in->streams, &opts);

	if (!rc)
		rc = reading_begins(in);
	while (!rc && next_packet(in)) {
		in->has_packet = false;
		rc = rtpstreams_take(in->streams, &in->packet);
	}
	if (!rc)
		rc = rtpstreams_end(in->streams);
	if (in->undecrypted)
		fprintf(stderr, "extractaudio: %llu packets do not fit the key and are left out\n",
			(unsigned long long)in->undecrypted);
	in->x->damaged |= in->undecrypted > 0;
	in->told = true;
	find_sides(in);
	return rc;
}

const struct audio_codec *extraction_codec(const struct extraction_opts *o,
					   const struct rtpstream *s)
{
	const struct rtpstream_kind *k;
	const struct audio_codec *c = NULL;
	uint32_t best = 0;

	for (k = s->kinds; k < s->kinds + RTPSTREAM_KINDS; k++)
		if (k->packets > best && o->codecs.of[k->type])
			best = k->packets, c = o->codecs.of[k->type];
	return c;
}

/* ---- sound ---- */

static int64_t sample_at(const struct extraction_input *in, const struct rtpstream *s, uint64_t ns,
			 unsigned int rate)
{
	return llround((double)(int64_t)(ns - in->x->zero_ns[s->side]) * rate / 1e9);
}

static struct track *track_of(struct rtpstream *s)
{
	if (!s->user)
		s->user = calloc(1, sizeof(struct track));
	return s->user;
}

static int track_codec(struct extraction *x, const struct rtpstream *s, struct track *t,
		       const struct audio_codec *c)
{
	if (t->codec == c)
		return 0;
	audio_decoder_free(t->decoder);
	t->decoder = audio_decoder_new(c);
	if (!t->decoder)
		return -ENOMEM;
	if (t->codec) {
		t->end = t->end * c->rate / t->codec->rate;
		t->shift = t->shift * c->rate / t->codec->rate;
	}
	t->codec = c;
	t->bus = mixer_bus(x->mixer, c->rate, x->channels > 1 && s->side == SIDE_O);
	return MIN(t->bus, 0);
}

/*
 * White noise of the track's level, up to sample @end. Its peak is sqrt(3) times its level, or what
 * a sample holds: a packet of comfort noise may name up to 0 dBov (RFC 3389, section 3.1).
 */
static void hiss(struct extraction *x, struct track *t, int64_t end)
{
	double peak = MIN(32767.0, 32767 * pow(10, -(double)t->noise_level / 20) * sqrt(3));
	int16_t pcm[1024];
	size_t n, i;

	if (!t->noise || !t->begun)
		return;
	for (; t->end < end; t->end += (int64_t)n) {
		n = (size_t)MIN(end - t->end, (int64_t)ARRAY_SIZE(pcm));
		for (i = 0; i < n; i++) {
			/* the random generator of Numerical Recipes */
			t->noise_state = t->noise_state * 1664525 + 1013904223;
			pcm[i] = (int16_t)(peak * ((int32_t)t->noise_state / 2147483648.0));
		}
		mixer_add(x->mixer, t->bus, t->end, pcm, n);
	}
}

/* The sender has told of a pause: the decoder's noise, up to sample @end. */
static void pause_lasts(struct extraction *x, struct track *t, int64_t end)
{
	static int16_t pcm[AUDIO_MAX_SAMPLES];
	int64_t n;

	if (!t->begun)
		return;
	end = MIN(end, t->end + (int64_t)t->codec->rate * PAUSE_MAX_S);
	while (t->end < end && (n = audio_decode_noise(t->decoder, pcm)) > 0) {
		n = MIN(n, end - t->end);
		mixer_add(x->mixer, t->bus, t->end, pcm, (size_t)n);
		t->end += n;
	}
}

/* The place of a packet on its bus. A new run begins behind the sound that is there. */
static int64_t place(const struct extraction_input *in, const struct rtpstream *s, struct track *t,
		     const struct rtpstream_packet *p)
{
	int64_t at = sample_at(in, s, p->time_ns, t->codec->rate);

	if (!t->begun || t->run != p->run)
		t->shift = t->begun ? MAX(0, t->end - at) : 0;
	t->run = p->run;
	at += t->shift;
	/* Times are whole nanoseconds, so they may be a sample off. */
	return t->begun && llabs(at - t->end) <= 1 ? t->end : at;
}

/* Decode a packet. Sound that overlaps the sound before it is cut at its beginning. */
static int sound(struct extraction_input *in, struct rtpstream *s, struct track *t,
		 const struct rtpstream_packet *p)
{
	static int16_t pcm[AUDIO_MAX_SAMPLES];
	struct extraction *x = in->x;
	int64_t at, skip;
	int n, i, rc = track_codec(x, s, t, x->o->codecs.of[p->payload_type]);

	if (rc)
		return rc;
	at = place(in, s, t, p);
	hiss(x, t, at);
	t->noise = false;
	if (at > sample_at(in, s, p->arrival_ns + RTPSTREAM_APART_NS, t->codec->rate) + 1) {
		s->ahead++;
		return 0;
	}
	pause_lasts(x, t, at);
	skip = t->begun ? MAX(t->end - at, 0) : 0;
	n = audio_decode(t->decoder, p->payload, p->len, (size_t)skip, pcm);
	if (n < 0) {
		s->undecoded++;
		return 0;
	}
	n /= (int)t->codec->channels;
	for (i = 0; t->codec->channels == 2 && i < n; i++)
		pcm[i] = (int16_t)((pcm[2 * i] + pcm[2 * i + 1]) / 2);
	skip = MIN(skip, n);
	mixer_add(x->mixer, t->bus, at + skip, pcm + skip, (size_t)(n - skip));
	x->decoded[s->side] += (uint64_t)n * NARROW_RATE / t->codec->rate;
	t->end = MAX(t->begun ? t->end : at, at + n);
	t->begun = true;
	return 0;
}

static int hear(void *arg, struct rtpstream *s, const struct rtpstream_packet *p)
{
	struct extraction_input *in = arg;
	struct track *t;

	if (s->is_copy || s->is_encrypted || !extraction_is_heard(in, s))
		return 0;
	t = track_of(s);
	if (!t)
		return -ENOMEM;
	switch (in->o->codecs.meaning[p->payload_type]) {
	case RTPSTREAM_AUDIO:
		return sound(in, s, t, p);
	case RTPSTREAM_NOISE:
		if (!t->begun)
			return 0;
		hiss(in->x, t, place(in, s, t, p));
		t->end = MAX(t->end, place(in, s, t, p));
		t->noise = true;
		t->noise_level = p->len ? p->payload[0] & 0x7f : 127;
		return 0;
	default:
		return 0;
	}
}

/* Noise lasts until the next packet. Make it up to @now_ns, if the stream goes on until then. */
static void hiss_on(struct extraction_input *in, uint64_t now_ns)
{
	size_t i;

	for (i = 0; i < rtpstreams_count(in->streams); i++) {
		struct rtpstream *s = rtpstreams_at(in->streams, i);
		struct track *t = s->user;

		if (t && t->noise && t->begun)
			hiss(in->x, t, sample_at(in, s, MIN(now_ns, s->last_ns), t->codec->rate));
	}
}

/* ---- the second reading ---- */

static uint64_t zero_of(const struct extraction_input *in)
{
	const struct extraction *x = in->x;

	if (in->side != SIDES)
		return x->zero_ns[in->side];
	return x->zero_ns[in->only == SIDES ? SIDE_O : in->only];
}

/* The input whose next packet is the earliest, seen from the begin of its side. NULL: no more. */
static struct extraction_input *earliest(struct extraction *x, uint64_t *at_ns)
{
	struct extraction_input *in, *found = NULL;

	for (in = x->inputs; in < x->inputs + x->n_inputs; in++) {
		uint64_t zero_ns = zero_of(in), ns;

		if (!next_packet(in))
			continue;
		ns = MAX(in->packet.arrival_ns, zero_ns) - zero_ns;
		if (found && ns >= *at_ns)
			continue;
		found = in;
		*at_ns = ns;
	}
	return found;
}

static int move_on(struct extraction *x, uint64_t at_ns)
{
	size_t i;

	if (at_ns < x->now_ns + BEHIND_NS + NSEC_PER_SEC / 2)
		return 0;
	if (at_ns > MAX_SPAN_NS)
		return -EFBIG;
	x->now_ns = at_ns - BEHIND_NS;
	for (i = 0; i < x->n_inputs; i++)
		hiss_on(&x->inputs[i], zero_of(&x->inputs[i]) + x->now_ns + BEHIND_NS / 2);
	return mixer_run(x->mixer, x->now_ns);
}

int extraction_run(struct extraction *x)
{
	struct extraction_input *in;
	uint64_t at_ns = 0;
	size_t i;
	int rc = 0;

	for (i = 0; i < x->n_inputs && !rc; i++)
		rc = reading_begins(&x->inputs[i]);
	while (!rc && (in = earliest(x, &at_ns))) {
		rc = move_on(x, at_ns);
		in->has_packet = false;
		if (!rc)
			rc = rtpstreams_take(in->streams, &in->packet);
	}
	for (i = 0; i < x->n_inputs && !rc; i++)
		rc = rtpstreams_end(x->inputs[i].streams);
	return rc ? rc : mixer_end(x->mixer);
}

/* ---- begin and end ---- */

bool extraction_is_audio(const struct extraction_opts *o, const struct rtpstream *s)
{
	return extraction_codec(o, s) && !s->is_copy && !s->is_encrypted;
}

static void align(struct extraction *x)
{
	uint64_t *o = &x->zero_ns[SIDE_O], *a = &x->zero_ns[SIDE_A];

	if (!*o || !*a)
		*o = *a = MAX(*o, *a);
	else if (!x->o->unaligned)
		*o = *a = MIN(*o, *a);
}

/* Make a bus for each rate and side, and set the begin of each side. False: there is no audio. */
int extraction_prepare(struct extraction *x, int (*write)(void *arg, const int16_t *, size_t),
		       bool *any)
{
	const struct mixer_opts opts = {
		.rate = x->rate, .channels = x->channels, .write = write, .arg = x
	};
	const struct rtpstream_kind *kind;
	size_t i, k;
	int rc = mixer_new(&x->mixer, &opts), bus;

	*any = false;
	for (i = 0; i < x->n_inputs && !rc; i++) {
		for (k = 0; k < rtpstreams_count(x->inputs[i].streams) && !rc; k++) {
			struct rtpstream *s = rtpstreams_at(x->inputs[i].streams, k);
			uint64_t *zero_ns = &x->zero_ns[s->side];

			if (!extraction_is_audio(x->o, s))
				continue;
			*any = true;
			if (!*zero_ns || s->first_ns < *zero_ns)
				*zero_ns = s->first_ns;
			for (kind = s->kinds; kind < s->kinds + RTPSTREAM_KINDS; kind++) {
				if (!kind->packets || !x->o->codecs.of[kind->type])
					continue;
				bus = mixer_bus(x->mixer, x->o->codecs.of[kind->type]->rate,
						x->channels > 1 && s->side == SIDE_O);
				rc = MIN(bus, 0);
			}
		}
	}
	align(x);
	return rc;
}

static void input_free(struct extraction_input *in)
{
	size_t i;

	for (i = 0; in->streams && i < rtpstreams_count(in->streams); i++) {
		struct track *t = rtpstreams_at(in->streams, i)->user;

		if (t)
			audio_decoder_free(t->decoder);
		free(t);
	}
	rtpstreams_free(in->streams);
	capture_close(in->capture);
	decrypt_free(in->decrypt);
	for (i = 0; i < in->n_paths; i++)
		free(in->paths[i]);
}

void extraction_free(struct extraction *x)
{
	size_t i;

	for (i = 0; i < x->n_inputs; i++)
		input_free(&x->inputs[i]);
	mixer_free(x->mixer);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtpstream.c - places packets by sequence number and time stamp. Arrival times are used only for
 * the begin of a stream, and for the place behind a jump in it.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "media/rtp.h"
#include "rtpstream.h"

#define COMFORT_NOISE 13 /* RFC 3389 section 4 */
#define TELEPHONE_NOISE 19 /* comfort noise, before RFC 3389 gave it 13 */
/* A larger difference between time stamps and arrivals is a jump. */
#define APART_NS (2 * (int64_t)NSEC_PER_SEC)
#define MAX_SECONDS 86400

/* ---- finding ---- */

static struct rtpstream *stream_of(struct rtpstreams *s, const struct addr *src, uint32_t ssrc)
{
	struct rtpstream *p;
	size_t i;

	for (i = s->n; i-- > 0;)
		if (s->all[i].ssrc == ssrc && addr_eq(&s->all[i].src, src))
			return &s->all[i];
	p = realloc(s->all, (s->n + 1) * sizeof(*p));
	if (!p)
		return NULL;
	s->all = p;
	p = &s->all[s->n++];
	*p = (struct rtpstream){ .src = *src, .ssrc = ssrc };
	return p;
}

static int append(struct rtpstream *s, const struct rtpstream_packet *p)
{
	if ((s->n & (s->n - 1)) == 0) {
		struct rtpstream_packet *more =
			realloc(s->packets, (s->n ? 2 * s->n : 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->packets = more;
	}
	s->packets[s->n++] = *p;
	return 0;
}

static int take(struct rtpstreams *all, const struct capture_packet *c)
{
	struct rtpstream_packet p = { .arrival_ns = c->arrival_ns };
	struct rtpx_packet rtp = { .now_ns = c->arrival_ns };
	struct rtpstream *s;

	rtp_describe(&rtp, c->data, c->len);
	if (rtp.kind != RTPX_PAYLOAD_RTP) {
		all->not_rtp++;
		return 0;
	}
	s = stream_of(all, &c->src, rtp.ssrc);
	if (!s)
		return -ENOMEM;
	rtpx_stats_packet(&s->stats, &rtp, 1);
	/* The extended number of this packet is near the highest one so far. */
	p.order =
		(uint64_t)s->stats.segments << 32 |
		(uint32_t)(s->stats.max_seq + (int16_t)(rtp.rtp_seq - (uint16_t)s->stats.max_seq));
	p.ts = rtp.rtp_ts;
	p.payload_type = rtp.payload_type;
	p.payload = rtp_payload(c->data, c->len, &p.len);
	s->types[p.payload_type]++;
	s->first_ns = s->n ? MIN(s->first_ns, p.arrival_ns) : p.arrival_ns;
	s->last_ns = MAX(s->last_ns, p.arrival_ns);
	all->packets++;
	return append(s, &p);
}

static int by_order(const void *a, const void *b)
{
	const struct rtpstream_packet *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return x->arrival_ns < y->arrival_ns ? -1 : x->arrival_ns > y->arrival_ns;
}

/* Sorts packets in the order of sending, and removes duplicates. */
static void sort(struct rtpstream *s)
{
	size_t i, n = 0;

	qsort(s->packets, s->n, sizeof(*s->packets), by_order);
	for (i = 0; i < s->n; i++)
		if (!n || s->packets[n - 1].order != s->packets[i].order)
			s->packets[n++] = s->packets[i];
	s->n = n;
}

int rtpstreams_find(const struct capture *c, struct rtpstreams *out)
{
	size_t i;
	int rc = 0;

	*out = (struct rtpstreams){ 0 };
	for (i = 0; !rc && i < c->n; i++)
		rc = take(out, &c->packets[i]);
	for (i = 0; i < out->n; i++)
		sort(&out->all[i]);
	if (rc)
		rtpstreams_free(out);
	return rc;
}

void rtpstreams_free(struct rtpstreams *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		free(s->all[i].packets);
	free(s->all);
	*s = (struct rtpstreams){ 0 };
}

/* ---- sound ---- */

bool rtpstream_is_noise(unsigned int payload_type)
{
	return payload_type == COMFORT_NOISE || payload_type == TELEPHONE_NOISE;
}

/* A tape: the sound of one codec, written from begin to end. */
struct tape {
	struct sound sound;
	size_t room;
	uint32_t noise_state;
};

static int reach(struct tape *t, size_t n)
{
	size_t room = t->room ? t->room : 65536;
	int16_t *p;

	if (n > (size_t)t->sound.rate * MAX_SECONDS)
		return -EFBIG;
	if (n > t->room) {
		while (room < n)
			room *= 2;
		p = realloc(t->sound.samples, room * sizeof(*p));
		if (!p)
			return -ENOMEM;
		t->sound.samples = p;
		t->room = room;
	}
	if (n > t->sound.n) {
		memset(t->sound.samples + t->sound.n, 0, (n - t->sound.n) * sizeof(int16_t));
		t->sound.n = n;
	}
	return 0;
}

/* Writes white noise, @level dB below overload, to the samples from @at to @end. */
static int hiss(struct tape *t, size_t at, size_t end, unsigned int level)
{
	double peak = 32767 * pow(10, -(double)level / 20) * sqrt(3);
	int rc = reach(t, end);

	for (; !rc && at < end; at++) {
		/* the random generator of Numerical Recipes */
		t->noise_state = t->noise_state * 1664525 + 1013904223;
		t->sound.samples[at] = (int16_t)(peak * ((int32_t)t->noise_state / 2147483648.0));
	}
	return rc;
}

/* The end of a run from packet @i: one segment, with time stamps that match the arrivals. */
static size_t run_end(const struct rtpstream *s, size_t i, unsigned int clock)
{
	const struct rtpstream_packet *p = s->packets;
	size_t end;

	for (end = i + 1; end < s->n; end++) {
		int64_t said = (int64_t)(int32_t)(p[end].ts - p[end - 1].ts) *
			       (int64_t)(NSEC_PER_SEC / 1000) / clock * 1000;
		int64_t arrived = (int64_t)(p[end].arrival_ns - p[end - 1].arrival_ns);

		if (p[end].order >> 32 != p[end - 1].order >> 32 ||
		    llabs(said - arrived) > APART_NS)
			break;
	}
	return end;
}

/*
 * The sample on the tape where a run begins, as if its fastest packet had no delay. The run is the
 * packets from @i to @end. @from is the first free sample of the tape.
 */
static size_t run_start(const struct rtpstream *s, size_t i, size_t end,
			const struct audio_codec *c, size_t from)
{
	const struct rtpstream_packet *p = s->packets;
	double earliest = INFINITY;
	size_t k;

	for (k = i; k < end; k++) {
		double arrived = (double)(int64_t)(p[k].arrival_ns - s->first_ns) / 1e9;

		earliest = MIN(earliest, arrived - (double)(int32_t)(p[k].ts - p[i].ts) / c->clock);
	}
	return MAX(from, (size_t)MAX(0, earliest * c->rate + 0.5));
}

static size_t place(size_t start, uint32_t from_ts, uint32_t ts, const struct audio_codec *c)
{
	int64_t at = (int64_t)start +
		     (int64_t)(int32_t)(ts - from_ts) * c->rate / (int64_t)c->clock;

	return at < 0 ? 0 : (size_t)at;
}

static int play(struct tape *t, struct rtpstream *s, struct audio_decoder *d,
		const struct audio_codec *c, const struct rtpstream_packet *p, size_t at)
{
	static int16_t pcm[AUDIO_MAX_SAMPLES];
	int n = audio_decode(d, p->payload, p->len, pcm), i, rc;

	if (n < 0) {
		s->undecoded++;
		return 0;
	}
	n /= (int)c->channels;
	rc = reach(t, at + n);
	for (i = 0; !rc && i < n; i++)
		t->sound.samples[at + i] =
			c->channels == 2 ? (int16_t)((pcm[2 * i] + pcm[2 * i + 1]) / 2) : pcm[i];
	return rc;
}

/* Comfort noise lasts until the next packet. The tape of the latest codec gets it. */
static int comfort(struct tape *t, const struct rtpstream_packet *p, size_t at, size_t next)
{
	return hiss(t, at, next, p->len ? p->payload[0] & 0x7f : 127);
}

static int run(struct tape *t, struct rtpstream *s, struct audio_decoder *d,
	       const struct rtpstream_codecs *codecs, const struct audio_codec *c, size_t i,
	       size_t end)
{
	const struct rtpstream_packet *p = s->packets;
	size_t start = run_start(s, i, end, c, t->sound.n), k, at;
	const struct audio_codec *last = NULL;
	int rc = 0;

	for (k = i; !rc && k < end; k++) {
		at = place(start, p[i].ts, p[k].ts, c);
		if (rtpstream_is_noise(p[k].payload_type)) {
			if (last == c && k + 1 < end)
				rc = comfort(t, &p[k], at, place(start, p[i].ts, p[k + 1].ts, c));
			continue;
		}
		last = codecs->of[p[k].payload_type];
		if (last == c)
			rc = play(t, s, d, c, &p[k], at);
	}
	return rc;
}

int rtpstream_sound(struct rtpstream *s, const struct rtpstream_codecs *codecs,
		    const struct audio_codec *codec, struct sound *out)
{
	struct tape t = { .sound.rate = codec->rate };
	struct audio_decoder *d = audio_decoder_new(codec);
	size_t i, end;
	int rc = d ? 0 : -ENOMEM;

	for (i = 0; !rc && i < s->n; i = end) {
		end = run_end(s, i, codec->clock);
		rc = run(&t, s, d, codecs, codec, i, end);
	}
	audio_decoder_free(d);
	if (rc)
		sound_free(&t.sound);
	*out = t.sound;
	return rc;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtpstream.c - a queue of a second for each stream puts its packets in the order of sending. The
 * same packets leave it in both readings, so the second one finds the runs of the first.
 */
#include <errno.h>
#include <stdlib.h>

#include "rtpstream.h"
#include "base/hash.h"
#include "media/rtp.h"
#include "record/keys.h"

#define HELD_MAX 256 /* packets that wait in order */
#define HELD_NS NSEC_PER_SEC
#define MOVED_AHEAD 64 /* packets that may be lost while a sender moves to another port */
#define MOVED_SOURCES 64
#define MOVED_NS (10 * NSEC_PER_SEC)
#define FEW_PACKETS 3 /* a stream with fewer makes room for others */
#define RECENT 64     /* packets by which a copy is recognised */
#define COPY_PACKETS 8
#define DEFAULT_CLOCK 8000 /* ticks a second, before any audio */
#define PAIRS_OF_16K 4
#define PAIRS_MIN 8 /* packets that follow each other, by which SRTP is recognised */

/* A packet that waits; its payload follows. */
struct held {
	struct held *next;
	uint64_t order, arrival_ns;
	uint32_t ts;
	uint8_t payload_type;
	size_t len;
	uint8_t payload[];
};

/* An address from which a stream comes. It has several after its sender has moved. */
struct source {
	UT_hash_handle hh;
	struct {
		struct addr src, dst;
		uint32_t ssrc;
	} key;
	struct rtpstream *stream;
};

struct rtpstream_state {
	bool goes; /* make_room() removes the stream */
	unsigned int sources;
	struct rtpx_flow_stats again; /* the second reading */
	struct held *held;	      /* in order of sending */
	unsigned int n_held;
	uint64_t released; /* order of the latest released packet, plus one */
	size_t run;	   /* the run of the second reading */
	/* the first reading */
	uint64_t run_arrival_ns;
	int64_t run_least_ns; /* least delay of the run's packets, against its first */
	uint64_t last_order;
	uint32_t last_ts;
	size_t last_len;
	uint8_t last_type;
	uint32_t pairs, trailers; /* packets of known length, and those with one trailer's length */
	size_t trailer;
	uint32_t copies;
};

/* A packet of the recent past, by the hash of its SSRC, number, time stamp and payload. */
struct recent {
	uint64_t hash;
	struct rtpstream *stream;
};

struct rtpstreams {
	struct rtpstreams_opts o;
	struct source *table;
	struct rtpstream **all;
	size_t n;
	bool second; /* the second reading */
	uint64_t packets, not_rtp, crowded;
	struct recent recent[RECENT * 16];
};

/* ---- streams ---- */

static void stream_free(struct rtpstream *s)
{
	struct held *h, *next;

	for (h = s->state->held; h; h = next) {
		next = h->next;
		free(h);
	}
	free(s->state);
	free(s->runs);
	free(s);
}

static int source_add(struct rtpstreams *all, struct rtpstream *s, const struct capture_packet *p,
		      uint32_t ssrc)
{
	struct source *source = calloc(1, sizeof(*source));

	if (!source)
		return -ENOMEM;
	source->key.src = p->src;
	source->key.dst = p->dst;
	source->key.ssrc = ssrc;
	source->stream = s;
	HASH_ADD(hh, all->table, key, sizeof(source->key), source);
	if (source->hh.tbl)
		return 0;
	free(source);
	return -ENOMEM;
}

static struct rtpstream *stream_new(struct rtpstreams *all, const struct capture_packet *p,
				    uint32_t ssrc)
{
	struct rtpstream *s = calloc(1, sizeof(*s));
	struct rtpstream_state *state = calloc(1, sizeof(*state));

	if (!s || !state || source_add(all, s, p, ssrc)) {
		free(s);
		free(state);
		return NULL;
	}
	s->state = state;
	state->sources = 1;
	s->src = p->src;
	s->dst = p->dst;
	s->ssrc = ssrc;
	s->party = p->party;
	all->all[all->n++] = s;
	return s;
}

/*
 * The stream of which @rtp is one of the next packets, from another port of its sender: the same
 * receiver, SSRC and party, and the next numbers. NULL: none.
 */
static struct rtpstream *moved(struct rtpstreams *all, const struct capture_packet *p,
			       const struct rtpx_packet *rtp)
{
	size_t i;

	for (i = 0; i < all->n; i++) {
		struct rtpstream *s = all->all[i];
		uint16_t ahead = rtp->rtp_seq - (uint16_t)s->stats.max_seq;

		if (s->ssrc == rtp->ssrc && s->party == p->party && addr_eq(&s->dst, &p->dst) &&
		    ahead > 0 && ahead <= MOVED_AHEAD && s->state->sources < MOVED_SOURCES &&
		    s->last_ns + MOVED_NS > p->arrival_ns)
			return s;
	}
	return NULL;
}

/* Forget streams of a few packets that have ended, to make room for others. */
static void make_room(struct rtpstreams *all, uint64_t now_ns)
{
	struct source *source, *next;
	size_t i, n = 0;

	memset(all->recent, 0, sizeof(all->recent));
	for (i = 0; i < all->n; i++) {
		struct rtpstream *s = all->all[i];

		s->state->goes =
			s->stats.packets < FEW_PACKETS && s->last_ns + 2 * HELD_NS <= now_ns;
	}
	HASH_ITER(hh, all->table, source, next) {
		if (!source->stream->state->goes)
			continue;
		HASH_DEL(all->table, source);
		free(source);
	}
	for (i = 0; i < all->n; i++) {
		struct rtpstream *s = all->all[i];

		if (!s->state->goes) {
			all->all[n++] = s;
			continue;
		}
		all->crowded += s->stats.packets;
		stream_free(s);
	}
	all->n = n;
}

/* 0 with *@out NULL: there is no room for the stream. */
static int stream_of(struct rtpstreams *all, const struct capture_packet *p,
		     const struct rtpx_packet *rtp, struct rtpstream **out)
{
	struct source *source, probe;

	*out = NULL;
	memset(&probe, 0, sizeof(probe));
	probe.key.src = p->src;
	probe.key.dst = p->dst;
	probe.key.ssrc = rtp->ssrc;
	HASH_FIND(hh, all->table, &probe.key, sizeof(probe.key), source);
	if (source)
		*out = source->stream;
	if (source || all->second)
		return 0;
	*out = moved(all, p, rtp);
	if (*out) {
		(*out)->state->sources++;
		return source_add(all, *out, p, rtp->ssrc);
	}
	if (all->n == RTPSTREAM_MAX)
		make_room(all, p->arrival_ns);
	if (all->n == RTPSTREAM_MAX)
		return 0;
	*out = stream_new(all, p, rtp->ssrc);
	return *out ? 0 : -ENOMEM;
}

static void count_kind(struct rtpstream *s, uint8_t type)
{
	struct rtpstream_kind *k;

	for (k = s->kinds; k < s->kinds + RTPSTREAM_KINDS - 1; k++)
		if (!k->packets || k->type == type)
			break;
	if (!k->packets)
		k->type = type;
	k->packets++;
}

/* ---- the first reading ---- */

static uint64_t hash_of(const struct capture_packet *p)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	size_t i;

	/* The marker and the payload type may be rewritten, the number and the time stamp not. */
	for (i = 2; i < p->len; i++)
		hash = (hash ^ p->data[i]) * 0x100000001b3ull;
	return hash;
}

/* A packet with the same bytes in another stream, a moment ago: the capture saw it twice. */
static void look_for_copy(struct rtpstreams *all, struct rtpstream *s,
			  const struct capture_packet *p)
{
	uint64_t hash = hash_of(p);
	struct recent *r = &all->recent[hash % ARRAY_SIZE(all->recent)];

	if (r->stream && r->hash == hash && r->stream != s) {
		s->state->copies++;
		return;
	}
	r->hash = hash;
	r->stream = s;
}

/* Bytes of payload that the codec has for @ticks; 0: it varies. */
static size_t bytes_of(const struct audio_codec *c, uint32_t ticks)
{
	uint64_t samples = (uint64_t)ticks * c->rate / c->clock;

	if (audio_codec_varies(c) || samples % c->frame_samples)
		return 0;
	return samples / c->frame_samples * c->frame_bytes * c->channels;
}

/* Two packets that follow each other tell how long the first one's payload should be. */
static void judge_length(struct rtpstream *s, const struct audio_codec *c, const struct held *h)
{
	struct rtpstream_state *st = s->state;
	size_t bytes;

	if (!c || h->order != st->last_order + 1 || h->payload_type != st->last_type)
		return;
	bytes = bytes_of(c, h->ts - st->last_ts);
	if (c->kind == AUDIO_G722 && bytes == 2 * st->last_len)
		s->clock_16k++;
	if (!bytes || bytes > 4096)
		return;
	st->pairs++;
	if (st->last_len < bytes + 4 || st->last_len > bytes + 20)
		return;
	if (!st->trailer)
		st->trailer = st->last_len - bytes;
	st->trailers += st->last_len - bytes == st->trailer;
}

static int64_t ns_of_ticks(uint32_t ticks, unsigned int clock)
{
	return (int64_t)(int32_t)ticks * (int64_t)NSEC_PER_SEC / (int64_t)clock;
}

static void run_ends(struct rtpstream *s)
{
	struct rtpstream_run *r;

	if (!s->n_runs)
		return;
	r = &s->runs[s->n_runs - 1];
	r->begin_ns = s->state->run_arrival_ns + s->state->run_least_ns;
	if (s->n_runs == 1)
		r->begin_ns = s->first_ns;
}

static int run_begins(struct rtpstream *s, const struct held *h, unsigned int clock)
{
	struct rtpstream_run *more = s->runs;

	run_ends(s);
	if ((s->n_runs & (s->n_runs - 1)) == 0)
		more = realloc(s->runs, (s->n_runs ? 2 * s->n_runs : 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->runs = more;
	s->runs[s->n_runs++] =
		(struct rtpstream_run){ .order = h->order, .ts = h->ts, .clock = clock };
	s->state->run_arrival_ns = h->arrival_ns;
	s->state->run_least_ns = 0;
	return 0;
}

/*
 * RFC 3550 lets a sender's clock run freely, so only the difference counts: a run ends where its
 * time stamps are half a second away from the times of arrival.
 */
static int learn_held(struct rtpstreams *all, struct rtpstream *s, const struct held *h,
		      unsigned int clock)
{
	struct rtpstream_state *st = s->state;
	const struct rtpstream_run *r = s->n_runs ? &s->runs[s->n_runs - 1] : NULL;
	int64_t late = 0;
	int rc = 0;

	judge_length(s, all->o.codecs->of[h->payload_type], h);
	if (r)
		late = (int64_t)(h->arrival_ns - st->run_arrival_ns) -
		       ns_of_ticks(h->ts - r->ts, clock);
	if (!r || r->order >> 32 != h->order >> 32 || clock != r->clock ||
	    late < -RTPSTREAM_APART_NS || late - st->run_least_ns > RTPSTREAM_APART_NS)
		rc = run_begins(s, h, clock);
	else
		st->run_least_ns = MIN(st->run_least_ns, late);
	st->last_order = h->order;
	st->last_ts = h->ts;
	st->last_len = h->len;
	st->last_type = h->payload_type;
	return rc;
}

/* ---- the second reading ---- */

static int play_held(struct rtpstreams *all, struct rtpstream *s, const struct held *h)
{
	struct rtpstream_state *st = s->state;
	const struct rtpstream_run *r;

	if (!s->n_runs)
		return 0;
	while (st->run + 1 < s->n_runs && s->runs[st->run + 1].order <= h->order)
		st->run++;
	r = &s->runs[st->run];
	return all->o.play(all->o.arg, s,
			   &(struct rtpstream_packet){
				   .payload = h->payload,
				   .len = h->len,
				   .arrival_ns = h->arrival_ns,
				   .run = st->run,
				   .payload_type = h->payload_type,
				   .time_ns = r->begin_ns + ns_of_ticks(h->ts - r->ts, r->clock) });
}

/* ---- both ---- */

/* Telephone events and noise have the clock of the audio that they are among. */
static unsigned int clock_of(const struct rtpstreams *all, const struct rtpstream *s, uint8_t type)
{
	const struct audio_codec *c = all->o.codecs->of[type];

	if (!c)
		return s->n_runs ? s->runs[s->n_runs - 1].clock : DEFAULT_CLOCK;
	if (c->kind == AUDIO_G722 && s->clock_16k >= PAIRS_OF_16K &&
	    s->clock_16k * 2 > s->state->pairs)
		return 2 * c->clock;
	return c->clock;
}

static int release(struct rtpstreams *all, struct rtpstream *s)
{
	struct held *h = s->state->held;
	int rc = all->second ? play_held(all, s, h)
			     : learn_held(all, s, h, clock_of(all, s, h->payload_type));

	s->state->released = h->order + 1;
	s->state->held = h->next;
	s->state->n_held--;
	free(h);
	return rc;
}

/* Put the packet in its place. A repeated packet and one that is too late are dropped. */
static int hold(struct rtpstream *s, const struct rtpx_flow_stats *stats,
		const struct capture_packet *c, const struct rtpx_packet *rtp)
{
	struct held **at = &s->state->held, *h;
	const uint8_t *payload;
	uint64_t order;
	size_t len;

	/* The extended number of this packet is near the highest one so far. */
	order = (uint64_t)stats->segments << 32 |
		(uint32_t)(stats->max_seq + (int16_t)(rtp->rtp_seq - (uint16_t)stats->max_seq));
	while (*at && (*at)->order < order)
		at = &(*at)->next;
	if (order < s->state->released || (*at && (*at)->order == order))
		return 0;
	payload = rtp_payload(c->data, c->len, &len);
	h = malloc(sizeof(*h) + len);
	if (!h)
		return -ENOMEM;
	*h = (struct held){ .next = *at,
			    .order = order,
			    .arrival_ns = c->arrival_ns,
			    .ts = rtp->rtp_ts,
			    .payload_type = rtp->payload_type,
			    .len = len };
	memcpy(h->payload, payload, len);
	*at = h;
	s->state->n_held++;
	return 0;
}

static void count_packet(struct rtpstreams *all, struct rtpstream *s,
			 const struct capture_packet *p, const struct rtpx_packet *rtp)
{
	all->packets++;
	count_kind(s, rtp->payload_type);
	if (all->o.codecs->meaning[rtp->payload_type] == RTPSTREAM_UNKNOWN)
		s->events += keys_in(p->data, p->len, 0);
	if (!s->first_ns)
		s->first_ns = p->arrival_ns;
	s->last_ns = p->arrival_ns;
	look_for_copy(all, s, p);
}

int rtpstreams_take(struct rtpstreams *all, const struct capture_packet *p)
{
	struct rtpx_packet rtp = { .now_ns = p->arrival_ns };
	struct rtpx_flow_stats *stats;
	struct rtpstream *s;
	int rc;

	rtp_describe(&rtp, p->data, p->len);
	if (rtp.kind != RTPX_PAYLOAD_RTP) {
		all->not_rtp += !all->second;
		return 0;
	}
	rc = stream_of(all, p, &rtp, &s);
	if (rc || !s) {
		all->packets += !rc && !all->second;
		all->crowded += !rc && !all->second;
		return rc;
	}
	stats = all->second ? &s->state->again : &s->stats;
	rtpx_stats_packet(stats, &rtp, 1);
	if (!all->second)
		count_packet(all, s, p, &rtp);
	rc = hold(s, stats, p, &rtp);
	while (!rc && s->state->held &&
	       (s->state->n_held > HELD_MAX ||
		s->state->held->arrival_ns + HELD_NS < p->arrival_ns))
		rc = release(all, s);
	return rc;
}

static void stream_ends(struct rtpstream *s)
{
	struct rtpstream_state *st = s->state;

	run_ends(s);
	s->is_copy = st->copies >= COPY_PACKETS && st->copies * 2 > s->stats.packets;
	s->is_encrypted = st->pairs >= PAIRS_MIN && st->trailers * 10 > st->pairs * 9;
	st->released = 0;
}

int rtpstreams_end(struct rtpstreams *all)
{
	size_t i;
	int rc = 0;

	if (!all->second && all->crowded)
		make_room(all, UINT64_MAX);
	for (i = 0; i < all->n; i++) {
		while (!rc && all->all[i]->state->held)
			rc = release(all, all->all[i]);
		if (!all->second)
			stream_ends(all->all[i]);
	}
	all->second = true;
	return rc;
}

/* ---- begin, end, questions ---- */

int rtpstreams_new(struct rtpstreams **out, const struct rtpstreams_opts *opts)
{
	struct rtpstreams *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->o = *opts;
	all->all = calloc(RTPSTREAM_MAX, sizeof(*all->all));
	if (!all->all) {
		free(all);
		return -ENOMEM;
	}
	*out = all;
	return 0;
}

void rtpstreams_free(struct rtpstreams *all)
{
	struct source *source, *next;
	size_t i;

	if (!all)
		return;
	HASH_ITER(hh, all->table, source, next) {
		HASH_DEL(all->table, source);
		free(source);
	}
	for (i = 0; i < all->n; i++)
		stream_free(all->all[i]);
	free(all->all);
	free(all);
}

size_t rtpstreams_count(const struct rtpstreams *all)
{
	return all->n;
}

struct rtpstream *rtpstreams_at(struct rtpstreams *all, size_t i)
{
	return all->all[i];
}

uint64_t rtpstreams_packets(const struct rtpstreams *all)
{
	return all->packets;
}

uint64_t rtpstreams_not_rtp(const struct rtpstreams *all)
{
	return all->not_rtp;
}

uint64_t rtpstreams_crowded(const struct rtpstreams *all)
{
	return all->crowded;
}

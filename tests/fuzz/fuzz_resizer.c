/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_resizer.c - any datagrams at any times through the re-packetizer: it stays in its memory, its
 * sequence numbers never leave twice, no audio is made up, lost or kept too long.
 *
 * The first byte is the length of packets, in 4 ms. Then come steps of six bytes: what, time stamp
 * and sequence number (signed steps), how much later, how many bytes of payload; and raw datagrams.
 */
#include <assert.h>

#include "../../daemon/media/codec.c"
#include "../../daemon/media/opuspack.c"
#include "../../daemon/media/resizer.c"
#include "../../daemon/media/rtp.c"

#define START_NS (1000 * NSEC_PER_SEC)
#define SSRC 7
#define OPUS 111
#define OPUS_TYPES (1u << (OPUS - RTP_FIRST_DYNAMIC))

enum act { AUDIO, OTHER, OTHER_SOURCE, OPUS_AUDIO, RAW, NEW_LENGTH, FLUSH, ACTS };

struct step {
	uint8_t act;
	int8_t ts, seq;
	uint8_t later, len, type;
};

static struct {
	struct stats stats;
	uint64_t audio_in, audio_out; /* bytes of payload, but of Opus */
	uint64_t opus_in, opus_ticks; /* at most, and those that left */
	bool has_seq;
	uint16_t newest; /* sequence number */
	bool used[UINT16_MAX + 1];
	bool raw; /* what comes out now may be anything */
} w;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ahead of all others, with a gap of one hole at most, or behind and free. */
static void use_number(uint16_t seq)
{
	int step = w.has_seq ? seq_diff(seq, w.newest) : 1;
	unsigned int i;

	assert(step <= MAX_HOLE + 1 && !w.used[seq]);
	w.used[seq] = w.has_seq = true;
	if (step <= 0)
		return;
	w.newest = seq;
	for (i = 0; i <= MAX_HOLE; i++)
		w.used[(uint16_t)(seq + UINT16_MAX / 2 + i)] = false;
}

static void on_out(void *arg, const uint8_t *p, size_t len, uint64_t arrival_ns)
{
	struct rtpx_packet d = { 0 };

	(void)arg, (void)arrival_ns;
	if (w.raw)
		return;
	assert(len >= RTP_HEADER && len <= MAX_PACKET);
	rtp_describe(&d, p, len);
	assert(d.kind == RTPX_PAYLOAD_RTP);
	use_number(d.rtp_seq);
	if (codec_of(d.payload_type))
		w.audio_out += len - RTP_HEADER;
	if (d.payload_type == OPUS)
		w.opus_ticks += opuspack_ticks(p + RTP_HEADER, len - RTP_HEADER);
}

static const struct resizer_sink sink = { .out = on_out };

/* Whole frames of one of the codecs, or silence of G.729 at the end. */
static size_t fill(uint8_t *p, const struct codec *c, uint8_t amount)
{
	size_t n = c->frame_ticks == 1 ? 1u + amount : (size_t)c->frame_bytes * (1 + amount % 8);

	memset(p, 0, n);
	return c->payload_type == G729 && amount & 0x80 ? n + G729_SILENCE_BYTES : n;
}

static void one_packet(struct resizer *r, const struct step *s, uint32_t ts, uint16_t seq,
		       uint64_t now_ns)
{
	const struct codec *c = &codecs[s->type % ARRAY_SIZE(codecs)];
	uint8_t p[2048] = { 0x80 };
	uint64_t discarded = w.stats.npkts_resizer_discard;
	size_t len = 4;

	p[1] = s->type & 0x80;
	if (s->act == OTHER)
		p[1] |= 101;
	else
		p[1] |= c->payload_type;
	put16(p + 2, seq);
	put32(p + 4, ts);
	put32(p + 8, s->act == OTHER_SOURCE ? SSRC + 1 : SSRC);
	if (s->act != OTHER)
		len = fill(p + RTP_HEADER, c, s->len);
	/* Outside the numbering until there is audio. */
	w.raw = s->act == OTHER && (!r->has_ssrc || r->ssrc != SSRC);
	resizer_in(r, p, RTP_HEADER + len, now_ns, &sink);
	w.raw = false;
	if (s->act != OTHER && w.stats.npkts_resizer_discard == discarded)
		w.audio_in += len;
}

/* The bytes are what they are, and often a packet of Opus. */
static void opus_packet(struct resizer *r, const struct step *s, uint32_t ts, uint16_t seq,
			uint64_t now_ns)
{
	uint8_t p[RTP_HEADER + 1 + 2 * UINT8_MAX + 2] = { 0x80, OPUS | (s->seq & 0x80) };
	size_t len = 1 + (s->len & 1 ? s->len : 2 * s->len);
	uint32_t ticks;

	put16(p + 2, seq);
	put32(p + 4, ts);
	put32(p + 8, SSRC);
	memset(p + RTP_HEADER, s->len, len);
	p[RTP_HEADER] = s->type;
	p[RTP_HEADER + 1] = s->seq;
	ticks = opuspack_ticks(p + RTP_HEADER, len);
	w.opus_in += ticks;
	w.raw = !ticks && (!r->has_ssrc || r->ssrc != SSRC);
	resizer_in(r, p, RTP_HEADER + len, now_ns, &sink);
	w.raw = false;
}

static void promises_hold(const struct resizer *r, uint64_t now_ns)
{
	uint64_t waiting = 0;
	const struct piece *p;
	uint32_t ticks = 0;
	unsigned int n = 0;

	DL_FOREACH(r->queue, p) {
		assert(p->at < p->len && p->ticks > 0);
		/* The first may be in part sent already. */
		assert(p == r->queue || !p->next || ts_diff(p->next->ts, p->ts) > 0);
		waiting += p->codec == &codec_opus ? 0 : p->len - p->at;
		ticks += p->ticks;
		n++;
	}
	assert(n == r->pieces && n < MAX_PIECES && ticks == r->ticks);
	assert(!r->queue || ticks < target_of(r, r->queue));
	assert(w.audio_in == w.audio_out + waiting);
	assert(w.opus_in >= w.opus_ticks);
	assert(resizer_deadline(r) > now_ns);
}

static unsigned int length_of(uint8_t byte)
{
	return 1 + byte * 998u / 255;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t now_ns = START_NS;
	struct resizer *r;
	struct step s;
	uint32_t ts = 0;
	uint16_t seq = 0;

	memset(&w, 0, sizeof(w));
	if (size < 1 || resizer_new(&r, length_of(data[0]), OPUS_TYPES, &w.stats) < 0)
		return -1;
	for (data++, size--; size >= sizeof(s); data += sizeof(s), size -= sizeof(s)) {
		memcpy(&s, data, sizeof(s));
		s.act %= ACTS;
		ts += s.ts * 80;
		seq += s.seq;
		now_ns += s.later * NSEC_PER_MSEC;
		resizer_run(r, now_ns, &sink);
		if (s.act <= OTHER_SOURCE) {
			one_packet(r, &s, ts, seq, now_ns);
		} else if (s.act == OPUS_AUDIO) {
			opus_packet(r, &s, ts, seq, now_ns);
		} else if (s.act == NEW_LENGTH) {
			resizer_retarget(r, length_of(s.len));
			resizer_run(r, now_ns, &sink);
		} else if (s.act == FLUSH) {
			resizer_flush(r, &sink);
		}
		promises_hold(r, now_ns);
	}
	resizer_flush(r, &sink);
	promises_hold(r, now_ns);
	w.raw = true;
	resizer_in(r, data, size, now_ns, &sink);
	resizer_free(r);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resizer.c - a queue of audio pieces, sorted by time stamp, and the packets made of it. Numbers of
 * lost packets are kept free for a while, for packets that are only late.
 *
 * Deliberately not here: timers, sockets, decoding of audio. A full packet leaves at once; it does
 * not wait for reordered packets.
 */
#include <errno.h>
#include <stdlib.h>

#include <utlist.h>

#include "media/resizer.h"
#include "media/codec.h"
#include "media/opuspack.h"
#include "media/rtp.h"

#define RTP_HEADER 12
#define RTP_PADDING 0x20
#define RTP_EXTENSION 0x10
#define RTP_MARKER 0x80

/* RTP header with CSRC list and extension; packets with a longer one pass uncut */
#define MAX_HEADER 128
#define MAX_PACKET 8192
#define MAX_PIECES 128
/* bytes of frames in a packet */
#define MAX_OPUS (MAX_PACKET - MAX_HEADER - 2 - 2 * OPUSPACK_MAX_FRAMES)
#define MAX_LATE_MS 2000 /* a time stamp further back begins anew, it is not late */

#define HOLES 8		 /* remembered ones */
#define MAX_HOLE 64	 /* sequence numbers kept free for one hole: bits of struct hole.used */
#define MAX_STRETCH 4	 /* a longer hole is a pause of the sender */
#define MAX_FIRST 32	 /* numbers kept free before the first packet of a stream */
#define MAX_MISORDER 100 /* packets; a number further back begins anew, RFC 3550 appendix A.1 */
#define MAX_BOUND 1000	 /* packets, then the bound follows the stream */
#define MAX_OTHERS 50	 /* packets of another source: the numbered one has ended */
#define RESERVE 500	 /* numbers; see struct leg_numbers */

/* The unsent rest of one packet; for Opus, one frame as a packet of its own. */
struct piece {
	struct piece *prev, *next;
	const struct codec *codec;
	uint64_t arrival_ns;
	uint32_t ts;		  /* time stamp of the next byte to send */
	uint32_t ticks;		  /* duration of the unsent rest */
	uint16_t header, at, len; /* in data: end of the RTP header, next byte to send, end */
	uint16_t seq;
	uint32_t whole; /* duration of the packet that arrived */
	bool closes;	/* no audio may follow it in a packet */
	bool ends;	/* the last piece of the packet that arrived */
	uint8_t data[];
};

/* Packets that have not arrived before audio behind them left, and their numbers. */
struct hole {
	const struct codec *codec; /* NULL: no hole */
	uint32_t ts, end;	   /* audio that is missing */
	uint32_t step;		   /* duration of an outgoing packet */
	uint16_t in, missing;	   /* first number of the sender, and packets */
	uint16_t out, each;	   /* first number kept free, and numbers for each packet */
	uint64_t used;		   /* bit n: the number out + n has been used */
};

struct resizer {
	unsigned int target_ms; /* 0: stopped, only numbers are changed */
	uint32_t opus_types;
	struct opuspack *opus;
	struct stats *stats;
	struct piece *queue; /* by time stamp */
	unsigned int pieces;
	uint32_t ticks; /* in the queue */
	bool has_ssrc, has_newest, has_seq, has_sent;
	uint16_t next_seq; /* has_seq: sequence number of the next packet out */
	uint16_t next_in;  /* has_seq: number after the sender's packets that have left */
	/* has_seq: packets of the sender before this number are not numbered by the rule of now */
	uint16_t bound;
	bool gap_counts;	 /* the next packet keeps its distance from next_in */
	bool own_late;		 /* packets before the bound keep their own numbers */
	bool over;		 /* stopped, and numbers need no change any more */
	bool splits;		 /* packets are cut, so more leave than arrive */
	struct leg_numbers kept; /* result of the latest resizer_numbers() */
	unsigned int others;
	const struct codec *codec; /* of the latest audio that left */
	uint32_t whole, step;	   /* duration of its packet as it arrived, and as it left */
	struct hole hole[HOLES];
	unsigned int next_hole;
	uint32_t ssrc;	   /* has_ssrc: SSRC of the audio */
	uint32_t newest;   /* has_newest: highest time stamp that arrived */
	uint32_t sent_end; /* has_sent: time stamp after the sent audio */
	uint8_t out[MAX_PACKET];
	uint8_t frames[MAX_PACKET]; /* Opus frames, before they are joined in `out` */
	size_t frames_len;
};

/* A datagram that arrived, and the bounds of its payload. */
struct input {
	const uint8_t *data;
	size_t len, header, payload;
	uint64_t arrival_ns;
	struct rtpx_packet rtp;
	const struct codec *codec; /* NULL: pass it uncut */
	uint32_t ticks;
};

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v & 0xff;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* Signed differences, because time stamps and sequence numbers wrap. */
static int32_t ts_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static int16_t seq_diff(uint16_t a, uint16_t b)
{
	return (int16_t)(a - b);
}

/* Ticks of a packet that begins with @p. */
static uint32_t target_of(const struct resizer *r, const struct piece *p)
{
	bool opus = p->codec == &codec_opus;
	uint32_t unit = opus ? p->ticks : p->codec->unit_ticks;
	uint32_t ms = opus ? MIN(r->target_ms, OPUSPACK_MAX_MS) : r->target_ms;
	uint32_t units = (ms * p->codec->ticks_per_ms + unit - 1) / unit;

	if (opus && units * unit > OPUSPACK_MAX_MS * p->codec->ticks_per_ms)
		units--;
	return units * unit;
}

/* ---- the queue ---- */

static bool is_marked(const struct piece *p)
{
	return p->data[1] & RTP_MARKER;
}

/* Make a piece from the audio of @in at @payload, with time stamp @ts. NULL: no memory. */
static struct piece *piece_new(const struct input *in, uint32_t ts, uint32_t ticks,
			       const uint8_t *payload, size_t payload_len)
{
	size_t len = in->header + payload_len;
	struct piece *p = malloc(sizeof(*p) + len);

	if (!p)
		return NULL;
	*p = (struct piece){
		.codec = in->codec,
		.arrival_ns = in->arrival_ns,
		.ts = ts,
		.ticks = ticks,
		.header = in->header,
		.at = in->header,
		.len = len,
		.seq = in->rtp.rtp_seq,
		.whole = in->ticks,
		.closes = codec_closes(in->codec, payload_len),
		.ends = true,
	};
	memcpy(p->data, in->data, in->header);
	memcpy(p->data + in->header, payload, payload_len);
	return p;
}

static void piece_end(struct resizer *r, struct piece *p)
{
	r->ticks -= p->ticks;
	r->pieces--;
	DL_DELETE(r->queue, p);
	free(p);
}

/* The queued piece before the place of @ts; NULL: @ts comes first. */
static struct piece *place_of(const struct resizer *r, uint32_t ts)
{
	struct piece *p = r->queue ? r->queue->prev : NULL;

	while (p && ts_diff(ts, p->ts) < 0)
		p = p == r->queue ? NULL : p->prev;
	return p;
}

/* Queue a piece. NULL: it is late or a duplicate, or there is no memory. */
static struct piece *piece_enqueue(struct resizer *r, const struct input *in, uint32_t ts,
				   uint32_t ticks, const uint8_t *payload, size_t len)
{
	struct piece *before = place_of(r, ts), *p;

	if (r->has_sent && ts_diff(ts, r->sent_end) < 0)
		return NULL;
	if (before && before->ts == ts)
		return NULL;
	p = piece_new(in, ts, ticks, payload, len);
	if (!p)
		return NULL;
	if (before)
		DL_APPEND_ELEM(r->queue, before, p);
	else
		DL_PREPEND(r->queue, p);
	r->pieces++;
	r->ticks += p->ticks;
	return p;
}

/*
 * Queue an Opus packet frame by frame. Only the first frame keeps the marker. The last queued frame
 * ends the packet.
 */
static bool enqueue_opus(struct resizer *r, const struct input *in)
{
	struct piece *last = NULL, *p;
	unsigned int i, frames;
	uint32_t each;
	size_t len;

	opuspack_clear(r->opus);
	if (!opuspack_add(r->opus, in->data + in->header, in->payload))
		return false;
	frames = opuspack_frames(r->opus);
	each = in->ticks / frames;
	for (i = 0; i < frames; i++) {
		len = opuspack_cut(r->opus, i, r->frames, sizeof(r->frames));
		p = len ? piece_enqueue(r, in, in->rtp.rtp_ts + i * each, each, r->frames, len)
			: NULL;
		if (!p)
			continue;
		if (i)
			p->data[1] &= ~RTP_MARKER;
		if (last)
			last->ends = false;
		last = p;
	}
	return last;
}

static bool enqueue_all(struct resizer *r, const struct input *in)
{
	if (in->codec == &codec_opus)
		return enqueue_opus(r, in);
	return piece_enqueue(r, in, in->rtp.rtp_ts, in->ticks, in->data + in->header, in->payload);
}

/* ---- numbers ---- */

/* The distance of our numbers from the sender's. */
static int16_t numbers_ahead(const struct resizer *r)
{
	return seq_diff(r->next_seq, r->next_in);
}

/* The next packet out is, or begins with, the sender's packet @seq. Set next_seq to its number. */
static void next_number(struct resizer *r, uint16_t seq)
{
	if (!r->has_seq) {
		r->next_seq = r->next_in = r->bound = seq;
		r->own_late = false;
	} else if (r->gap_counts) {
		r->next_seq += seq - r->next_in;
	}
	r->has_seq = true;
	r->gap_counts = false;
}

/* The sender's packet @seq has left. */
static void note_taken(struct resizer *r, uint16_t seq)
{
	if (seq_diff(seq, r->next_in) < -MAX_MISORDER) {
		r->bound = seq;
		r->next_in = seq + 1;
		r->own_late = false;
	} else if (seq_diff(seq, r->next_in) >= 0) {
		r->next_in = seq + 1;
	}
	if (seq_diff(r->next_in, r->bound) > MAX_BOUND) {
		r->bound = r->next_in - MAX_BOUND / 2;
		r->own_late = false;
	}
}

/*
 * Keep numbers free for packets of the sender that are missing before its packet @seq with time
 * stamp @ts, which leaves now. They may be late, and not lost. They are taken for audio like that
 * which has left before.
 */
static void keep_free(struct resizer *r, uint16_t seq, uint32_t ts)
{
	int missing = seq_diff(seq, r->next_in);
	unsigned int each = r->step ? (r->whole + r->step - 1) / r->step : 0;

	if (!r->has_seq || r->gap_counts || !r->has_sent || missing <= 0 || !each ||
	    missing * each > MAX_HOLE || ts_diff(ts, r->sent_end) <= 0 ||
	    ts - r->sent_end > MAX_STRETCH * missing * r->whole)
		return;
	r->hole[r->next_hole++ % HOLES] = (struct hole){
		.codec = r->codec,
		.ts = r->sent_end,
		.end = ts,
		.step = r->step,
		.in = r->next_in,
		.missing = missing,
		.out = r->next_seq,
		.each = each,
	};
	r->next_seq += missing * each;
}

/* The stream begins with @p. Numbers before it are free for packets that it has overtaken. */
static void keep_before(struct resizer *r, const struct piece *p)
{
	unsigned int each = (r->whole + r->step - 1) / r->step, missing = MAX_FIRST / each;

	r->hole[r->next_hole++ % HOLES] = (struct hole){
		.codec = r->codec,
		.ts = p->ts - missing * r->whole,
		.end = p->ts,
		.step = r->step,
		.in = p->seq - missing,
		.missing = missing,
		.out = p->seq - missing * each,
		.each = each,
	};
}

static struct hole *hole_of(struct resizer *r, const struct input *in)
{
	struct hole *h;

	for (h = r->hole; h < r->hole + HOLES; h++)
		if (h->codec == in->codec && (uint16_t)(in->rtp.rtp_seq - h->in) < h->missing &&
		    in->rtp.rtp_ts - h->ts < h->end - h->ts)
			return h;
	return NULL;
}

/* ---- out ---- */

/* Opus frames in a packet share one mode and length (RFC 6716 section 3.2). */
static bool may_join_opus(const struct resizer *r, const struct piece *p, const struct piece *next)
{
	return next->data[next->header] == p->data[p->header] &&
	       r->frames_len + next->len <= MAX_OPUS;
}

/*
 * True if @next may follow @p, which is taken whole, in one packet. A marker begins a talk spurt,
 * and so a packet. After a marked piece it does not, so a sender that marks all packets gets them
 * joined too.
 */
static bool may_follow(const struct resizer *r, const struct piece *p, const struct piece *next)
{
	if (next->codec != p->codec || next->ts != p->ts || p->closes)
		return false;
	if ((next->data[1] ^ p->data[1]) & ~RTP_MARKER)
		return false;
	if (p->codec == &codec_opus && !may_join_opus(r, p, next))
		return false;
	return !is_marked(next) || is_marked(p);
}

/* Keep an Opus frame in r->frames until finish_opus() writes the packet. */
static size_t take_opus(struct resizer *r, struct piece *p)
{
	uint8_t *frame = r->frames + r->frames_len;
	size_t n = p->len - p->at;

	memcpy(frame, p->data + p->at, n);
	r->frames_len += n;
	r->ticks -= p->ticks;
	p->ts += p->ticks;
	p->ticks = 0;
	opuspack_add(r->opus, frame, n);
	return 0;
}

static size_t finish_opus(struct resizer *r, uint8_t *out)
{
	return opuspack_join(r->opus, out, r->out + sizeof(r->out) - out);
}

/*
 * Move up to @max_ticks of @p to @out; returns the bytes. The rest of @p loses its marker, because
 * it begins no talk spurt.
 */
static size_t piece_take(struct resizer *r, struct piece *p, uint32_t max_ticks, uint8_t *out)
{
	uint32_t ticks;
	size_t n;

	if (p->codec == &codec_opus)
		return take_opus(r, p);
	n = codec_frames(p->codec, p->data + p->at, p->len - p->at, max_ticks, &ticks);

	memcpy(out, p->data + p->at, n);
	p->at += n;
	p->ts += ticks;
	p->ticks -= ticks;
	r->ticks -= ticks;
	if (p->ticks)
		p->data[1] &= ~RTP_MARKER;
	return n;
}

/* Write the header of the first piece's packet, with our next sequence number. */
static size_t begin_packet(struct resizer *r, const struct piece *p)
{
	r->codec = p->codec;
	r->whole = p->whole;
	r->step = MIN(target_of(r, p), p->whole);
	if (!r->has_seq)
		keep_before(r, p);
	keep_free(r, p->seq, p->ts);
	next_number(r, p->seq);
	memcpy(r->out, p->data, p->header);
	r->out[0] &= ~RTP_PADDING;
	put16(r->out + 2, r->next_seq++);
	put32(r->out + 4, p->ts);
	return p->header;
}

/*
 * Move sent_end forward, never back. Packets of a sender with overlapping time stamps leave as they
 * arrived.
 */
static void note_sent(struct resizer *r, uint32_t end)
{
	if (!r->has_sent || ts_diff(end, r->sent_end) > 0)
		r->sent_end = end;
	r->has_sent = true;
}

/* Fill the packet from the head of the queue; returns its bytes. */
static size_t fill_packet(struct resizer *r)
{
	struct piece *p = r->queue, *next;
	const bool opus = p->codec == &codec_opus;
	uint32_t end = p->ts + target_of(r, p);
	size_t len = begin_packet(r, p);
	bool goes_on;

	r->frames_len = 0;
	opuspack_clear(r->opus);
	do {
		len += piece_take(r, p, end - p->ts, r->out + len);
		note_sent(r, p->ts);
		if (p->ticks) {
			r->splits = true;
			note_taken(r, p->seq);
			break;
		}
		next = p->next;
		goes_on = next && p->ts != end && may_follow(r, p, next);
		r->stats->npkts_resizer_in += p->ends;
		note_taken(r, p->seq);
		piece_end(r, p);
		p = next;
	} while (goes_on);
	return opus ? len + finish_opus(r, r->out + len) : len;
}

static void packet_emit(struct resizer *r, const struct resizer_sink *sink)
{
	uint64_t arrival_ns = r->queue->arrival_ns;
	size_t len = fill_packet(r);

	r->stats->npkts_resizer_out++;
	sink->out(sink->arg, r->out, len, arrival_ns);
}

/* Opus frames @first to @first + @n of a late packet; returns their bytes in @out. */
static size_t cut_opus(struct resizer *r, const struct input *in, unsigned int first,
		       unsigned int n, uint8_t *out)
{
	unsigned int i;
	size_t len[OPUSPACK_MAX_FRAMES], at = 0;

	opuspack_clear(r->opus);
	if (!opuspack_add(r->opus, in->data + in->header, in->payload))
		return 0;
	for (i = 0; i < n; i++, at += len[i - 1])
		len[i] = opuspack_cut(r->opus, first + i, r->frames + at, sizeof(r->frames) - at);
	opuspack_clear(r->opus);
	for (i = 0, at = 0; i < n; i++, at += len[i - 1])
		opuspack_add(r->opus, r->frames + at, len[i]);
	return opuspack_join(r->opus, out, r->out + sizeof(r->out) - out);
}

/*
 * The frames of a late packet from *@at on, at most @max_ticks. *@at is a byte, or a frame of Opus.
 * Returns their bytes in @out.
 */
static size_t take_late(struct resizer *r, const struct input *in, size_t *at, uint32_t max_ticks,
			uint8_t *out, uint32_t *ticks)
{
	const uint8_t *payload = in->data + in->header;
	unsigned int frames, n;
	size_t bytes;

	if (in->codec != &codec_opus) {
		bytes = codec_frames(in->codec, payload + *at, in->payload - *at, max_ticks, ticks);
		memcpy(out, payload + *at, bytes);
		*at += bytes;
		return bytes;
	}
	opuspack_clear(r->opus);
	if (!opuspack_add(r->opus, payload, in->payload))
		return 0;
	frames = opuspack_frames(r->opus);
	n = MIN(MAX(max_ticks / (in->ticks / frames), 1u), frames - (unsigned int)*at);
	bytes = cut_opus(r, in, *at, n, out);
	*at += n;
	*ticks = n * (in->ticks / frames);
	return bytes;
}

/*
 * A packet whose audio should have left before other audio: send it now, by itself, with the
 * numbers that were kept free for it. Count it as discarded if it has left already. False: no
 * numbers were kept free.
 */
static bool send_late(struct resizer *r, const struct input *in, const struct resizer_sink *sink)
{
	struct hole *h = in->codec ? hole_of(r, in) : NULL;
	uint32_t left = in->ticks, ticks, i, first;
	size_t at = 0, len;

	if (!h)
		return false;
	first = (uint16_t)(in->rtp.rtp_seq - h->in) * h->each;
	if (h->used >> first & 1) {
		r->stats->npkts_resizer_discard++;
		return true;
	}
	for (i = 0; i < h->each && left; i++, left -= ticks) {
		ticks = left;
		memcpy(r->out, in->data, in->header);
		r->out[0] &= ~RTP_PADDING;
		if (i)
			r->out[1] &= ~RTP_MARKER;
		put16(r->out + 2, h->out + first + i);
		put32(r->out + 4, in->rtp.rtp_ts + in->ticks - left);
		len = take_late(r, in, &at, i + 1 < h->each ? h->step : left, r->out + in->header,
				&ticks);
		if (!len)
			break;
		h->used |= 1ull << (first + i);
		r->stats->npkts_resizer_out++;
		sink->out(sink->arg, r->out, in->header + len, in->arrival_ns);
	}
	r->stats->npkts_resizer_in += i > 0;
	return i > 0;
}

uint64_t resizer_deadline(const struct resizer *r)
{
	uint64_t oldest = RESIZER_NEVER;
	const struct piece *p;

	if (!r->queue)
		return RESIZER_NEVER;
	DL_FOREACH(r->queue, p)
		oldest = MIN(oldest, p->arrival_ns);
	return oldest + target_of(r, r->queue) * NSEC_PER_MSEC / r->queue->codec->ticks_per_ms;
}

void resizer_run(struct resizer *r, uint64_t now_ns, const struct resizer_sink *sink)
{
	while (r->queue && (r->ticks >= target_of(r, r->queue) || r->pieces >= MAX_PIECES ||
			    now_ns >= resizer_deadline(r)))
		packet_emit(r, sink);
}

void resizer_flush(struct resizer *r, const struct resizer_sink *sink)
{
	while (r->queue)
		packet_emit(r, sink);
}

/* ---- in ---- */

static const struct codec *codec_in(const struct resizer *r, uint8_t type)
{
	if (type >= RTP_FIRST_DYNAMIC && r->opus_types >> (type - RTP_FIRST_DYNAMIC) & 1)
		return &codec_opus;
	return codec_of(type);
}

/* Find the payload. Set in->codec only if the payload is whole frames of a known codec. */
static void input_describe(const struct resizer *r, struct input *in)
{
	const uint8_t *p = in->data;
	const struct codec *c;
	size_t padding;

	rtp_describe(&in->rtp, p, in->len);
	if (in->rtp.kind != RTPX_PAYLOAD_RTP)
		return;
	in->header = RTP_HEADER + 4u * (p[0] & 0x0f);
	if (p[0] & RTP_EXTENSION)
		in->header += 4 + 4u * (p[in->header + 2] << 8 | p[in->header + 3]);
	padding = p[0] & RTP_PADDING ? p[in->len - 1] : 0;
	in->payload = in->len - MIN(in->len, in->header + padding);
	c = codec_in(r, in->rtp.payload_type);
	if (c && in->payload && in->header <= MAX_HEADER && in->len <= MAX_PACKET &&
	    codec_frames(c, p + in->header, in->payload, UINT32_MAX, &in->ticks) == in->payload)
		in->codec = c;
}

static void send_numbered(struct resizer *r, const struct input *in, uint16_t number,
			  const struct resizer_sink *sink)
{
	memcpy(r->out, in->data, in->len);
	put16(r->out + 2, number);
	sink->out(sink->arg, r->out, in->len, in->arrival_ns);
}

static void input_pass(struct resizer *r, const struct input *in, const struct resizer_sink *sink)
{
	bool ours = in->rtp.kind == RTPX_PAYLOAD_RTP && r->has_ssrc && in->rtp.ssrc == r->ssrc;

	if (ours)
		resizer_flush(r, sink);
	if (!ours || !r->has_seq || in->len > MAX_PACKET) {
		sink->out(sink->arg, in->data, in->len, in->arrival_ns);
		return;
	}
	keep_free(r, in->rtp.rtp_seq, in->rtp.rtp_ts);
	next_number(r, in->rtp.rtp_seq);
	send_numbered(r, in, r->next_seq++, sink);
	note_taken(r, in->rtp.rtp_seq);
}

/* True for a new source, or a new clock of the same one: old and new time stamps do not compare. */
static bool begins_anew(const struct resizer *r, const struct input *in)
{
	return !r->has_newest || in->rtp.ssrc != r->ssrc ||
	       ts_diff(r->newest, in->rtp.rtp_ts) > MAX_LATE_MS * in->codec->ticks_per_ms;
}

static void begin_anew(struct resizer *r, const struct input *in, const struct resizer_sink *sink)
{
	resizer_flush(r, sink);
	if (r->has_ssrc && in->rtp.ssrc != r->ssrc) {
		r->next_in = r->bound = in->rtp.rtp_seq;
		r->has_seq &= !r->gap_counts;
		r->own_late = false;
	}
	r->has_ssrc = r->has_newest = true;
	r->ssrc = in->rtp.ssrc;
	r->newest = in->rtp.rtp_ts;
	r->has_sent = false;
	memset(r->hole, 0, sizeof(r->hole));
}

static void input_audio(struct resizer *r, const struct input *in, const struct resizer_sink *sink)
{
	if (begins_anew(r, in))
		begin_anew(r, in, sink);
	if (ts_diff(in->rtp.rtp_ts, r->newest) > 0)
		r->newest = in->rtp.rtp_ts;
	if (!send_late(r, in, sink) && !enqueue_all(r, in))
		r->stats->npkts_resizer_discard++;
	resizer_run(r, in->arrival_ns, sink);
}

/* A packet of the numbered source that is older than the present rule for numbers. */
static bool is_from_before(const struct resizer *r, const struct input *in)
{
	int16_t behind = seq_diff(in->rtp.rtp_seq, r->bound);

	return r->has_seq && r->has_ssrc && in->rtp.ssrc == r->ssrc && behind < 0 &&
	       seq_diff(in->rtp.rtp_seq, r->next_in) >= -MAX_MISORDER;
}

static void old_packet(struct resizer *r, const struct input *in, const struct resizer_sink *sink)
{
	if (r->own_late || in->len > MAX_PACKET)
		sink->out(sink->arg, in->data, in->len, in->arrival_ns);
	else if (!in->codec)
		send_numbered(r, in, r->next_seq++, sink);
	else if (!send_late(r, in, sink))
		r->stats->npkts_resizer_discard++;
}

/* ---- after the end of re-packetization ---- */

/*
 * The sender's numbers have made a gap that leads beyond ours: let the receiver see this gap, and
 * change no more numbers.
 */
static bool leads_beyond(const struct resizer *r, uint16_t seq)
{
	return seq != r->next_in && seq_diff(seq, r->next_in) > 0 &&
	       seq_diff(seq, r->next_seq) >= 0;
}

static void input_renumber(struct resizer *r, const struct input *in,
			   const struct resizer_sink *sink)
{
	uint16_t seq = in->rtp.rtp_seq, number;

	r->others = 0;
	if (seq_diff(seq, r->next_in) < -MAX_MISORDER)
		r->next_in = r->bound = seq;
	if (leads_beyond(r, seq) || in->len > MAX_PACKET) {
		r->over |= leads_beyond(r, seq);
		sink->out(sink->arg, in->data, in->len, in->arrival_ns);
		return;
	}
	number = seq + numbers_ahead(r);
	if (seq_diff(seq, r->next_in) >= 0)
		r->next_seq = number + 1;
	note_taken(r, seq);
	send_numbered(r, in, number, sink);
}

static void stopped_in(struct resizer *r, const struct input *in, const struct resizer_sink *sink)
{
	if (!r->over && in->rtp.kind == RTPX_PAYLOAD_RTP && in->rtp.ssrc == r->ssrc) {
		input_renumber(r, in, sink);
		return;
	}
	sink->out(sink->arg, in->data, in->len, in->arrival_ns);
	if (in->rtp.kind == RTPX_PAYLOAD_RTP && ++r->others >= MAX_OTHERS)
		r->over = true;
}

void resizer_in(struct resizer *r, const uint8_t *packet, size_t len, uint64_t arrival_ns,
		const struct resizer_sink *sink)
{
	struct input in = { .data = packet, .len = len, .arrival_ns = arrival_ns };

	input_describe(r, &in);
	if (is_from_before(r, &in) && in.rtp.kind == RTPX_PAYLOAD_RTP)
		old_packet(r, &in, sink);
	else if (!r->target_ms)
		stopped_in(r, &in, sink);
	else if (in.codec)
		input_audio(r, &in, sink);
	else
		input_pass(r, &in, sink);
}

/* ---- begin and end ---- */

int resizer_new(struct resizer **out, unsigned int target_ms, uint32_t opus_types,
		struct stats *stats)
{
	struct resizer *r;
	int err;

	if (target_ms < 1 || target_ms > RESIZER_MAX_MS)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	err = opuspack_new(&r->opus);
	if (err) {
		free(r);
		return err;
	}
	r->target_ms = target_ms;
	r->opus_types = opus_types;
	r->stats = stats;
	*out = r;
	return 0;
}

void resizer_free(struct resizer *r)
{
	if (!r)
		return;
	while (r->queue) {
		r->stats->npkts_resizer_discard += r->queue->ends;
		piece_end(r, r->queue);
	}
	opuspack_free(r->opus);
	free(r);
}

void resizer_retarget(struct resizer *r, unsigned int target_ms)
{
	if (!r->target_ms) {
		r->bound = r->next_in;
		r->own_late = numbers_ahead(r) == 0;
		r->gap_counts = r->has_seq;
		r->has_newest = r->over = false;
	}
	r->target_ms = target_ms;
	r->splits = false;
}

void resizer_stop(struct resizer *r, const struct resizer_sink *sink)
{
	resizer_flush(r, sink);
	r->target_ms = 0;
	r->bound = r->next_in;
	r->own_late = false;
	r->over = !r->has_seq || numbers_ahead(r) <= 0;
}

bool resizer_is_over(const struct resizer *r)
{
	return !r->target_ms && r->over;
}

void resizer_numbers(const struct resizer *r, struct leg_numbers *out)
{
	*out = (struct leg_numbers){
		.known = r->has_seq && r->has_ssrc,
		.ssrc = r->ssrc,
		.next = r->next_in,
		.ahead = numbers_ahead(r),
		.reserve = r->target_ms && r->splits ? RESERVE : 0,
	};
}

void resizer_kept(struct resizer *r)
{
	resizer_numbers(r, &r->kept);
}

bool resizer_has_moved(const struct resizer *r)
{
	return r->splits && (!r->kept.reserve || !r->kept.known || r->kept.ssrc != r->ssrc ||
			     (int16_t)(numbers_ahead(r) - r->kept.ahead) >= RESERVE / 2);
}

void resizer_resume(struct resizer *r, const struct leg_numbers *from)
{
	r->has_ssrc = r->has_seq = from->known;
	r->gap_counts = from->stale;
	r->ssrc = from->ssrc;
	r->next_in = r->bound = from->next;
	r->next_seq = from->next + from->ahead;
	r->own_late = !from->ahead;
}

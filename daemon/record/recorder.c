/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder.c - from a command to files and receivers, and from a packet to both.
 *
 * File names contain text from the network, and must not lead out of the record directory.
 * Characters that could do so are escaped (R) or refused (C).
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "record/recorder.h"
#include "base/clock.h"
#include "call/dtmf.h"
#include "record/copies.h"
#include "base/log.h"
#include "base/provoked.h"
#include "record/writer.h"

#define STEM_MAX 231  /* bytes of a name before the part and the suffix */
#define STEM_KEPT 200 /* bytes that a cut stem keeps */

/* The files or the receiver for packets that arrive at one leg. */
struct recording {
	struct writer_file *file[STREAM_KINDS]; /* both the same with @single */
	struct copy *copy;
	char *target; /* argument of C; NULL: R */
	bool single;
	uint16_t part; /* wanted, from 1; the files may have a later one */
	uint64_t realtime_minus_monotonic_ns; /* when it began */
};

struct recorder {
	struct recorder_opts o;
	struct writer *writer;
	struct copies *copies;
	struct tally *total;
	uint64_t lost_told; /* losses of @total that the log has reported */
};

/* ---- names ---- */

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Escape a '%' that reads as an escape: two texts must not give the same name. */
static bool must_escape(struct span text, size_t i, bool first)
{
	unsigned char c = text.p[i];

	if (c == '%')
		return i + 2 < text.len && is_hex(text.p[i + 1]) && is_hex(text.p[i + 2]);
	return c == '/' || c < ' ' || c == 0x7f || (c == '.' && first);
}

/* Append @text at *@len, escaped for a file name. -ENAMETOOLONG if it does not fit. */
static int name_add(char name[NAME_MAX + 1], size_t *len, struct span text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < text.len; i++) {
		bool escape = must_escape(text, i, *len == 0);
		unsigned char c = text.p[i];

		if (*len + (escape ? 3 : 1) > NAME_MAX)
			return -ENAMETOOLONG;
		if (escape) {
			name[(*len)++] = '%';
			name[(*len)++] = digits[c >> 4];
			name[(*len)++] = digits[c & 15];
		} else {
			name[(*len)++] = c;
		}
	}
	name[*len] = '\0';
	return 0;
}

/* As in rtpproxy, the first medium's tag loses its number; other media keep theirs. */
static struct span name_tag(const char *tag)
{
	const char *number = strchr(tag, ';');

	if (number && strcmp(number, ";1") == 0)
		return (struct span){ tag, number - tag };
	return span_of(tag);
}

/* FNV-1a, 64 bits, of both texts with a zero between them. */
static uint64_t hash_of(struct span a, struct span b)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	size_t i;

	for (i = 0; i < a.len + 1 + b.len; i++) {
		hash ^= i < a.len ? (uint8_t)a.p[i] : i == a.len ? 0 : (uint8_t)b.p[i - a.len - 1];
		hash *= 0x100000001b3ull;
	}
	return hash;
}

/*
 * CALLID=TAG. A longer text than STEM_MAX is cut, and a hash of both tells it from others:
 * CALLID~HASH. The beginning of a call-id is the part that people read.
 */
static void name_of(char stem[NAME_MAX + 1], const struct session *s)
{
	const struct span call_id = span_of(s->call_id), tag = name_tag(s->from_tag);
	size_t len = 0;
	int err = name_add(stem, &len, call_id);

	if (!err)
		err = name_add(stem, &len, span_of("="));
	if (!err)
		err = name_add(stem, &len, tag);
	if (!err && len <= STEM_MAX)
		return;
	snprintf(stem + MIN(len, STEM_KEPT), NAME_MAX + 1 - STEM_KEPT, "~%016llx",
		 (unsigned long long)hash_of(call_id, tag));
}

/*
 * True: the target names a receiver on the network, SCHEME:HOST:PORT or tcp:…, and no file. Such a
 * name would make a file that its sender does not expect.
 */
static bool is_receiver(struct span target)
{
	static const char tcp[] = "tcp:";
	size_t scheme = 0, port = target.len;

	if (target.len > 4 && !memcmp(target.p, tcp, 4))
		return true;
	while (scheme < target.len && isalnum((unsigned char)target.p[scheme]))
		scheme++;
	while (port > 0 && isdigit((unsigned char)target.p[port - 1]))
		port--;
	return scheme > 0 && port < target.len && port > scheme + 1 &&
	       target.p[scheme] == ':' && target.p[port - 1] == ':';
}

/* Use the name from a command unchanged, or refuse it. */
static int name_given(char stem[NAME_MAX + 1], struct span target)
{
	size_t i;

	for (i = 0; i < target.len; i++)
		if (target.p[i] == '/' || (unsigned char)target.p[i] < ' ')
			return -EINVAL;
	if (!target.len || target.p[0] == '.')
		return -EINVAL;
	if (is_receiver(target))
		return -EPROTONOSUPPORT;
	if (target.len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(stem, target.p, target.len);
	stem[target.len] = '\0';
	return 0;
}

/* ---- start ---- */

static int session_prepare(struct recorder *r, struct session *s)
{
	if (!s->recorded)
		s->recorded = tally_new(r->total);
	return s->recorded ? 0 : -ENOMEM;
}

static void files_close(struct recorder *r, struct recording *rec)
{
	int kind;

	for (kind = 0; kind < STREAM_KINDS; kind++)
		if (rec->file[kind])
			writer_close(r->writer, rec->file[kind]);
}

static void install(struct recorder *r, struct leg *leg, struct recording *rec)
{
	leg->recording = rec;
	leg->recorded = 1 << STREAM_RTP | (r->o.no_rtcp ? 0 : 1 << STREAM_RTCP);
}

/*
 * Make a file's name, from the session if @wish has no target. @stem holds its stem. 0, -EINVAL,
 * -EPROTONOSUPPORT or -ENAMETOOLONG.
 */
static int name_make(struct writer_name *name, char stem[NAME_MAX + 1], const struct session *s,
		     int leg, enum stream_kind kind, const struct snapshot_recording *wish)
{
	static const char *const suffixes[2][STREAM_KINDS] = { { ".a.rtp", ".a.rtcp" },
							       { ".o.rtp", ".o.rtcp" } };
	static const char *const given[STREAM_KINDS] = { ".rtp", ".rtcp" };
	/* the RTCP file of a part has its RTP file's number */
	static const char *const taken_by[2][2] = { { ".a.rtcp" }, { ".o.rtcp" } };
	static const char *const taken_by_given[] = { ".rtcp", NULL };

	*name = (struct writer_name){ .stem = stem, .part = wish->part };
	if (wish->single)
		name->suffix = wish->target.p ? "" : ".pcap";
	else
		name->suffix = wish->target.p ? given[kind] : suffixes[leg][kind];
	if (!wish->single && kind == STREAM_RTP)
		name->taken_by = wish->target.p ? taken_by_given : taken_by[leg];
	if (wish->target.p)
		return name_given(stem, wish->target);
	name_of(stem, s);
	return 0;
}

static const char *why_not(int err)
{
	switch (err) {
	case -EINVAL:
		return "the name of the file has a '/' or begins with '.'";
	case -EPROTONOSUPPORT:
		return "a receiver of copies must be udp:HOST:PORT";
	case -ENAMETOOLONG:
		return "the name of the file would be too long";
	case -ENODEV:
		return "-r names no directory for it";
	case -EBUSY:
		return "another session records to that file";
	default:
		return NULL;
	}
}

/* Open a file for each kind, or one for all. On failure, @rec keeps the files opened so far. */
static int files_open(struct recorder *r, struct session *s, int leg,
		      const struct snapshot_recording *wish, struct recording *rec)
{
	struct writer_name name;
	char stem[NAME_MAX + 1];
	int kind, err = 0;

	for (kind = 0; kind < STREAM_KINDS && !err; kind++) {
		if (kind == STREAM_RTCP && r->o.no_rtcp)
			break;
		err = name_make(&name, stem, s, leg, kind, wish);
		if (!err && kind == STREAM_RTCP)
			name.part = writer_part(rec->file[STREAM_RTP]);
		if (!err)
			err = writer_open(r->writer, &name, s->recorded, &rec->file[kind]);
	}
	if (err && why_not(err))
		log_provoked(PROVOKED_NOT_RECORDED, s->call_id, why_not(err));
	else if (err)
		log_provoked(PROVOKED_NO_FILE, s->call_id,
			     r->o.spool_dir ? r->o.spool_dir : r->o.dir, stem, name.suffix,
			     strerror(-err));
	return err;
}

static int start_files(struct recorder *r, struct session *s, int leg,
		       const struct snapshot_recording *wish, struct recording *rec)
{
	int err = files_open(r, s, leg, wish, rec);

	if (err)
		files_close(r, rec);
	return err;
}

/* Returns true if @target begins with "udp:", and sets *@dest to the rest, HOST:PORT. */
static bool is_copy(struct span target, struct span *dest)
{
	static const char udp[] = "udp:";
	const size_t len = sizeof(udp) - 1;

	if (target.len < len || memcmp(target.p, udp, len))
		return false;
	*dest = (struct span){ target.p + len, target.len - len };
	return true;
}

/* Log @err unless it is 0. Returns @err. */
static int say_copy(const struct session *s, struct span dest, int err)
{
	if (err)
		log_provoked(PROVOKED_NOT_COPIED, s->call_id, (int)dest.len, dest.p,
			     err == -EINVAL ? "it is not HOST:PORT, or [IPv6]:PORT" :
					      strerror(-err));
	return err;
}

static int start_copy(struct recorder *r, struct session *s, struct span dest, uint64_t now_ns,
		      struct recording *rec)
{
	return say_copy(s, dest, copy_open(r->copies, dest, s->recorded, now_ns, &rec->copy));
}

/*
 * The leg is recorded or copied already, and that stays unchanged. Like rtpproxy, refuse a second
 * copy whose host is unreachable and a second file for both parties; accept anything else.
 */
static int start_again(struct recorder *r, const struct session *s,
		       const struct snapshot_recording *wish)
{
	struct span dest;

	if (is_copy(wish->target, &dest))
		return say_copy(s, dest, copy_check(r->copies, dest));
	return wish->single ? -EALREADY : 0;
}

/* Both directions of a session have one clock. It does not follow when the system's is set. */
static struct recording *recording_new(const struct snapshot_recording *wish,
				       const struct recording *other)
{
	struct recording *rec = calloc(1, sizeof(*rec));

	if (!rec)
		return NULL;
	rec->realtime_minus_monotonic_ns =
		other ? other->realtime_minus_monotonic_ns : clock_realtime_offset();
	rec->single = wish->single;
	rec->part = wish->part;
	if (wish->target.p && !(rec->target = strndup(wish->target.p, wish->target.len))) {
		free(rec);
		return NULL;
	}
	return rec;
}

static void recording_free(struct recording *rec)
{
	free(rec->target);
	free(rec);
}

static int start(struct recorder *r, struct session *s, int leg,
		 const struct snapshot_recording *wish, uint64_t now_ns)
{
	struct recording *rec;
	struct span dest;
	int err;

	if (s->leg[leg].recording)
		return start_again(r, s, wish);
	rec = recording_new(wish, s->leg[!leg].recording);
	err = rec ? session_prepare(r, s) : -ENOMEM;
	if (!err && is_copy(wish->target, &dest))
		err = start_copy(r, s, dest, now_ns, rec);
	else if (!err)
		err = start_files(r, s, leg, wish, rec);
	if (err) {
		if (rec)
			recording_free(rec);
		return err;
	}
	install(r, &s->leg[leg], rec);
	return 0;
}

int recorder_start(struct recorder *r, struct session *s, int leg, bool single)
{
	const struct snapshot_recording wish = { .single = single && r->o.pcap, .part = 1 };

	return start(r, s, leg, &wish, 0);
}

int recorder_copy(struct recorder *r, struct session *s, int leg, struct span target, bool single,
		  uint64_t now_ns)
{
	const struct snapshot_recording wish = {
		.single = single && r->o.pcap, .part = 1, .target = target,
	};

	return start(r, s, leg, &wish, now_ns);
}

/* ---- for the next daemon, and from the previous one ---- */

void recorder_take(const struct leg *leg, struct snapshot_recording *out)
{
	const struct recording *rec = leg->recording;

	*out = (struct snapshot_recording){ .on = rec != NULL };
	if (!rec)
		return;
	out->single = rec->single;
	out->part = rec->copy ? rec->part : writer_part(rec->file[STREAM_RTP]);
	out->target = span_of(rec->target);
}

/* Move the files that a killed daemon left in the spool to the record directory. */
static void rescue(struct recorder *r, struct session *s, int leg,
		   const struct snapshot_recording *from)
{
	char stem[NAME_MAX + 1], text[NAME_MAX + 1];
	struct writer_name name;
	int kind;

	if (session_prepare(r, s))
		return;
	for (kind = 0; kind < STREAM_KINDS; kind++)
		if (name_make(&name, stem, s, leg, kind, from) == 0 &&
		    writer_name_text(&name, from->part, text) == 0)
			writer_rescue(r->writer, text, s->recorded);
}

int recorder_resume(struct recorder *r, struct session *s, int leg,
		    const struct snapshot_recording *from, uint64_t now_ns)
{
	struct snapshot_recording wish = *from;
	struct span dest;

	if (!from->on)
		return 0;
	if (!is_copy(from->target, &dest))
		rescue(r, s, leg, from);
	wish.part = MAX(from->part, 1) + 1;
	wish.single = from->single && r->o.pcap;
	return start(r, s, leg, &wish, now_ns);
}

const struct addr *recorder_copy_local(const struct leg *leg)
{
	return leg->recording && leg->recording->copy ? copy_local(leg->recording->copy) : NULL;
}

/* ---- stop ---- */

int recorder_stop(struct recorder *r, struct session *s, int leg, uint64_t now_ns)
{
	struct recording *rec = s->leg[leg].recording;

	if (!rec)
		return -ENOENT;
	files_close(r, rec);
	if (rec->copy)
		copy_close(r->copies, rec->copy, now_ns);
	recording_free(rec);
	s->leg[leg].recording = NULL;
	s->leg[leg].recorded = 0;
	return 0;
}

void recorder_end(struct recorder *r, struct session *s, uint64_t now_ns)
{
	int leg;

	for (leg = 0; leg < 2; leg++)
		recorder_stop(r, s, leg, now_ns);
	tally_drop(s->recorded);
	s->recorded = NULL;
}

/* ---- packets ---- */

/* Cut the payload to FORMAT_MAX_PAYLOAD bytes, of socket packets and forwarded ones alike. */
static void write_packet(struct recorder *r, struct writer_file *file, struct format_packet p)
{
	p.len = MIN(p.len, FORMAT_MAX_PAYLOAD);
	writer_put(r->writer, file, &p);
}

static void take_packet(struct recorder *r, struct recording *rec, enum stream_kind kind,
			const struct format_packet *p)
{
	if (rec->copy)
		copy_send(r->copies, rec->copy, kind, p->data, p->len);
	else
		write_packet(r, rec->file[kind], *p);
}

/* --record-dtmf mask or drop: a packet that cannot be masked is left out too. */
static void take_keys(struct recorder *r, struct recording *rec, const struct format_packet *p)
{
	struct format_packet masked = *p;
	uint8_t data[FORMAT_MAX_PAYLOAD];

	if (r->o.keys == KEYS_DROP || p->len > sizeof(data))
		return;
	memcpy(data, p->data, p->len);
	masked.data = data;
	if (keys_mask(data, p->len))
		take_packet(r, rec, STREAM_RTP, &masked);
}

static bool has_keys(const struct recorder *r, const struct leg *leg,
		     const struct format_packet *p)
{
	return keys_in(p->data, p->len, r->o.dtmf_types) ||
	       (leg->dtmf && dtmf_is_event(leg->dtmf, p->data, p->len));
}

void recorder_packet(struct recorder *r, struct session *s, int leg, enum stream_kind kind,
		     uint64_t arrival_ns, const struct format_packet *packet)
{
	struct recording *rec = s->leg[leg].recording;
	struct format_packet p = *packet;

	if (!(s->leg[leg].recorded & (1 << kind)))
		return;
	if (!r->o.as_rtpproxy)
		p.party = leg == 1 ? FORMAT_CALLER : FORMAT_CALLEE;
	p.realtime_ns = arrival_ns + rec->realtime_minus_monotonic_ns;
	if (r->o.keys != KEYS_KEEP && kind == STREAM_RTP && has_keys(r, &s->leg[leg], &p))
		take_keys(r, rec, &p);
	else
		take_packet(r, rec, kind, &p);
}

void recorder_lost(struct recorder *r, struct session *s, uint64_t packets)
{
	tally_lost(s->recorded ? s->recorded : r->total, packets);
}

void recorder_flush(struct recorder *r)
{
	copies_flush(r->copies);
	writer_flush(r->writer);
}

void recorder_tick(struct recorder *r)
{
	struct tally_counts total = tally_read(r->total);

	writer_reap(r->writer);
	if (total.lost == r->lost_told)
		return;
	log_warn("recorder: %llu packets lost before they were recorded or copied, %llu in all",
		 (unsigned long long)(total.lost - r->lost_told), (unsigned long long)total.lost);
	r->lost_told = total.lost;
}

/* ---- descriptions and counts ---- */

const char *recorder_describe(const struct leg *leg, char *buf, size_t size)
{
	const struct recording *rec = leg->recording;
	char text[ADDR_TEXT], name[NAME_MAX + 1];

	*buf = '\0';
	if (!rec)
		return buf;
	if (rec->copy) {
		snprintf(buf, size, "udp:%s", addr_text(copy_dest(rec->copy), text));
		return buf;
	}
	writer_name(rec->file[STREAM_RTP], name);
	snprintf(buf, size, "%s", name);
	return buf;
}

struct tally_counts recorder_counts(const struct recorder *r)
{
	return tally_read(r->total);
}

void recorder_count(const struct recorder *r, struct stats *stats)
{
	const struct tally_counts all = recorder_counts(r);

	stats->npkts_recorded = all.packets;
	stats->npkts_rec_lost = all.lost;
}

void recorder_count_on(struct recorder *r, uint64_t packets, uint64_t lost)
{
	tally_recorded(r->total, packets, 0);
	tally_lost(r->total, lost);
	r->lost_told += lost;
}

unsigned int recorder_files(const struct recorder *r)
{
	return writer_files(r->writer);
}

/* ---- begin and end ---- */

int recorder_new(struct recorder **out, struct event_base *base, const struct recorder_opts *opts)
{
	struct recorder *r = calloc(1, sizeof(*r));
	const struct writer_opts writer = {
		.dir = opts->dir, .spool_dir = opts->spool_dir, .pcap = opts->pcap,
		.replace = opts->replace,
		.meanwhile = opts->meanwhile, .arg = opts->arg,
	};
	const struct copies_opts copies = {
		.ports = opts->ports, .no_rtcp = opts->no_rtcp, .no_resolve = opts->no_resolve,
		.switchboard = opts->switchboard,
		.tos = opts->tos, .meanwhile = opts->meanwhile, .arg = opts->arg,
	};
	int err = -ENOMEM;

	if (!r)
		return -ENOMEM;
	r->o = *opts;
	r->total = tally_new(NULL);
	if (r->total)
		err = writer_new(&r->writer, &writer);
	if (!err)
		err = copies_new(&r->copies, base, &copies);
	if (err) {
		recorder_free(r);
		return err;
	}
	*out = r;
	return 0;
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	writer_free(r->writer);
	copies_free(r->copies);
	tally_drop(r->total);
	free(r);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder.c - from a command to files and receivers, and from a packet to both.
 *
 * File names contain text from the network, and must not lead out of the record directory.
 * Characters that could do so are escaped (R) or refused (C).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "record/copies.h"
#include "base/log.h"
#include "record/recorder.h"
#include "record/writer.h"

/* The files or the receiver for packets that arrive at one leg. */
struct recording {
	struct recwriter_file *file[STREAM_KINDS]; /* both the same with @single */
	struct copy *copy;
	char *target; /* argument of C; NULL: R */
	bool single;
	uint16_t part; /* from 1; above 1: an earlier daemon began the recording */
};

struct recorder {
	struct recorder_opts o;
	struct recwriter *writer;
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

/* The part's number in the names of files that continue an earlier daemon's recording. */
static const char *name_part(uint16_t part, char text[8])
{
	snprintf(text, 8, part > 1 ? "=%u" : "", part);
	return text;
}

/* CALLID=TAG, the part's number and @suffix. */
static int name_of(char name[NAME_MAX + 1], const struct session *s, uint16_t part,
		   const char *suffix)
{
	char text[8];
	size_t len = 0;
	int err = name_add(name, &len, span_of(s->call_id));

	if (!err)
		err = name_add(name, &len, span_of("="));
	if (!err)
		err = name_add(name, &len, name_tag(s->from_tag));
	if (!err)
		err = name_add(name, &len, span_of(name_part(part, text)));
	return err ? err : name_add(name, &len, span_of(suffix));
}

/* Use the name from a command unchanged, or refuse it. */
static int name_given(char name[NAME_MAX + 1], struct span target, uint16_t part,
		      const char *suffix)
{
	char text[8];
	size_t i;
	int len;

	for (i = 0; i < target.len; i++)
		if (target.p[i] == '/' || (unsigned char)target.p[i] < ' ')
			return -EINVAL;
	if (!target.len || target.p[0] == '.')
		return -EINVAL;
	len = snprintf(name, NAME_MAX + 1, "%.*s%s%s", (int)target.len, target.p,
		       name_part(part, text), suffix);
	return len > NAME_MAX ? -ENAMETOOLONG : 0;
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
			recwriter_close(r->writer, rec->file[kind]);
}

static void install(struct recorder *r, struct leg *leg, struct recording *rec)
{
	leg->recording = rec;
	leg->recorded = 1 << STREAM_RTP | (r->o.no_rtcp ? 0 : 1 << STREAM_RTCP);
}

/* Make a file's name, from the session if @wish has no target. 0, -EINVAL or -ENAMETOOLONG. */
static int name_make(char name[NAME_MAX + 1], const struct session *s, int leg,
		     enum stream_kind kind, const struct snapshot_recording *wish)
{
	static const char *const suffixes[2][STREAM_KINDS] = { { ".a.rtp", ".a.rtcp" },
							       { ".o.rtp", ".o.rtcp" } };
	static const char *const given[STREAM_KINDS] = { ".rtp", ".rtcp" };

	if (wish->target.p)
		return name_given(name, wish->target, wish->part, wish->single ? "" : given[kind]);
	return name_of(name, s, wish->part, wish->single ? ".pcap" : suffixes[leg][kind]);
}

/* Open a file for each kind, or one for all. On failure, @rec keeps the files opened so far. */
static int files_open(struct recorder *r, struct session *s, int leg,
		      const struct snapshot_recording *wish, struct recording *rec)
{
	char name[NAME_MAX + 1];
	int kind, err = 0;

	for (kind = 0; kind < STREAM_KINDS && !err; kind++) {
		if (kind == STREAM_RTCP && r->o.no_rtcp)
			break;
		err = name_make(name, s, leg, kind, wish);
		if (!err)
			err = recwriter_open(r->writer, name, s->recorded, &rec->file[kind]);
	}
	if (err == -EINVAL || err == -ENAMETOOLONG)
		log_some(LOG_LVL_ERR, s->call_id, "cannot record: %s",
			 err == -EINVAL ? "the name of the file has a '/' or begins with '.'" :
					  "the name of the file would be too long");
	else if (err == -ENODEV)
		log_some(LOG_LVL_ERR, s->call_id, "cannot record: -r names no directory for it");
	else if (err)
		log_some(LOG_LVL_ERR, s->call_id, "cannot record to %s/%s: %s",
			 r->o.spool_dir ? r->o.spool_dir : r->o.dir, name,
			 err == -EBUSY ? "another session records to it" : strerror(-err));
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
		log_some(LOG_LVL_ERR, s->call_id, "cannot copy to udp:%.*s: %s", (int)dest.len,
			 dest.p,
			 err == -EINVAL ? "it is not HOST:PORT of an IPv4 host" : strerror(-err));
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

static struct recording *recording_new(const struct snapshot_recording *wish)
{
	struct recording *rec = calloc(1, sizeof(*rec));

	if (!rec)
		return NULL;
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
	rec = recording_new(wish);
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
	out->part = rec->part;
	out->target = span_of(rec->target);
}

/* Move the files that a killed daemon left in the spool to the record directory. */
static void rescue(struct recorder *r, struct session *s, int leg,
		   const struct snapshot_recording *from)
{
	char name[NAME_MAX + 1];
	int kind;

	if (session_prepare(r, s))
		return;
	for (kind = 0; kind < STREAM_KINDS; kind++)
		if (name_make(name, s, leg, kind, from) == 0)
			recwriter_rescue(r->writer, name, s->recorded);
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

/* Cut the payload to RECFORMAT_MAX_PAYLOAD bytes, of socket packets and forwarded ones alike. */
static void write_packet(struct recorder *r, struct recwriter_file *file, struct recformat_packet p)
{
	p.len = MIN(p.len, RECFORMAT_MAX_PAYLOAD);
	recwriter_put(r->writer, file, &p);
}

void recorder_packet(struct recorder *r, struct session *s, int leg, enum stream_kind kind,
		     const struct recformat_packet *p)
{
	struct recording *rec = s->leg[leg].recording;

	if (!(s->leg[leg].recorded & (1 << kind)))
		return;
	if (rec->copy)
		copy_send(r->copies, rec->copy, kind, p->data, p->len);
	else
		write_packet(r, rec->file[kind], *p);
}

void recorder_lost(struct recorder *r, struct session *s, uint64_t packets)
{
	tally_lost(s->recorded ? s->recorded : r->total, packets);
}

void recorder_flush(struct recorder *r)
{
	copies_flush(r->copies);
}

void recorder_tick(struct recorder *r)
{
	struct tally_counts total = tally_read(r->total);

	recwriter_reap(r->writer);
	if (total.lost == r->lost_told)
		return;
	log_warn("%llu packets were not recorded or copied as they should be, %llu in all",
		 (unsigned long long)(total.lost - r->lost_told), (unsigned long long)total.lost);
	r->lost_told = total.lost;
}

/* ---- descriptions and counts ---- */

const char *recorder_describe(const struct leg *leg, char *buf, size_t size)
{
	const struct recording *rec = leg->recording;
	char text[ADDR_TEXT];

	*buf = '\0';
	if (!rec)
		return buf;
	if (rec->copy)
		snprintf(buf, size, "udp:%s", addr_text(copy_dest(rec->copy), text));
	else
		snprintf(buf, size, "%s", recwriter_name(rec->file[STREAM_RTP]));
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
	return recwriter_files(r->writer);
}

/* ---- begin and end ---- */

int recorder_new(struct recorder **out, struct event_base *base, const struct recorder_opts *opts)
{
	struct recorder *r = calloc(1, sizeof(*r));
	const struct recwriter_opts writer = {
		.dir = opts->dir, .spool_dir = opts->spool_dir, .pcap = opts->pcap,
		.meanwhile = opts->meanwhile, .arg = opts->arg,
	};
	const struct copies_opts copies = {
		.ports = opts->ports, .no_rtcp = opts->no_rtcp, .no_resolve = opts->no_resolve,
		.tos = opts->tos, .meanwhile = opts->meanwhile, .arg = opts->arg,
	};
	int err = -ENOMEM;

	if (!r)
		return -ENOMEM;
	r->o = *opts;
	r->total = tally_new(NULL);
	if (r->total)
		err = recwriter_new(&r->writer, &writer);
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
	recwriter_free(r->writer);
	copies_free(r->copies);
	tally_drop(r->total);
	free(r);
}

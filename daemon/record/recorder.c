/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder.c - from a command to files and receivers, and from a packet to both.
 */
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
#include "record/naming.h"
#include "record/writer.h"

/* The files or the receiver for packets that arrive at one leg. */
struct recording {
	struct writer_file *file[STREAM_KINDS]; /* both the same with @single */
	struct copy *copy;
	char *target; /* argument of C; NULL: R */
	bool single;
	uint16_t part;			      /* wanted, from 1; the files may have a later one */
	uint64_t realtime_minus_monotonic_ns; /* when it began */
};

struct recorder {
	struct recorder_opts o;
	struct writer *writer;
	struct copies *copies;
	struct finisher *finisher; /* NULL: recordings get no description */
	struct tally *total;
	uint64_t lost_told;  /* losses of @total that the log has reported */
	struct stats before; /* counters of finisher's in previous daemons */
	bool leaving;	     /* recorder_leave() */
};

/* ---- start ---- */

static int session_prepare(struct recorder *r, struct session *s)
{
	struct session_rest *rest = session_rest_set(s);

	if (rest && !rest->recorded)
		rest->recorded = tally_new(r->total);
	return rest && rest->recorded ? 0 : -ENOMEM;
}

/* ---- descriptions ---- */

static char *sheet_as_text(const struct recorder *r, const struct sheet *sheet)
{
	return sheet_text(sheet, &r->o.finish.sheet);
}

/* Files were opened: they belong to the recording even if this process is killed. */
static void sheet_grew(struct recorder *r, struct sheet *sheet)
{
	finisher_begin(r->finisher, sheet->key, sheet_as_text(r, sheet), !sheet->told);
	sheet->told = true;
}

/* The session has ended, and its files are complete. */
static void sheet_done(struct recorder *r, struct sheet *sheet)
{
	if (!sheet->told)
		; /* no file could be opened */
	else if (r->leaving)
		finisher_begin(r->finisher, sheet->key, sheet_as_text(r, sheet), false);
	else
		finisher_complete(r->finisher, sheet->key, sheet_as_text(r, sheet));
	sheet_free(sheet);
}

/* struct writer_opts.completed */
static void on_completed(void *arg, void *user, const struct writer_result *result)
{
	struct recorder *r = arg;
	struct sheet_file *f = user;
	struct sheet *sheet = f->sheet;

	if (result->created)
		snprintf(f->name, sizeof(f->name), "%s", result->name);
	f->part = result->part;
	f->contents = *result->contents;
	f->missing = !result->created;
	f->in_spool = result->in_spool;
	f->done = true;
	sheet->open--;
	if (sheet->ended && !sheet->open)
		sheet_done(r, sheet);
}

static enum format_party party_of(const struct leg *leg)
{
	return leg->party == SESSION_CALLER ? FORMAT_CALLER : FORMAT_CALLEE;
}

/* Describe a file that is to be opened. NULL: there are no descriptions, or no memory. */
static struct sheet_file *file_describe(struct recorder *r, struct direction d,
					const struct recording *rec)
{
	const enum format_party party = rec->single ? FORMAT_NO_PARTY : party_of(d.in);
	const enum sheet_media media = rec->single	       ? SHEET_BOTH
				       : d.kind == STREAM_RTCP ? SHEET_RTCP
							       : SHEET_RTP;
	struct session *s = direction_session(d);
	struct session_rest *rest = r->finisher ? session_rest_set(s) : NULL;

	if (!rest)
		return NULL;
	if (!rest->sheet && sheet_new(&rest->sheet, s, clock_read(CLOCK_REALTIME)))
		return NULL;
	return sheet_add(rest->sheet, party, media);
}

/* The file is open, perhaps as one that was described before. */
static void file_described(struct sheet_file *f, const struct writer_file *file, const char *stem)
{
	struct sheet *sheet = f->sheet;
	const struct writer_name name = { .stem = stem, .suffix = "" };

	struct sheet_file *first = writer_user(file);

	if (first && first != f) { /* C of both parties to one name */
		first->party = first->party == f->party ? f->party : FORMAT_NO_PARTY;
		sheet_remove(f);
		return;
	}
	f->part = writer_part(file);
	writer_name(file, f->name);
	if (!*sheet->stem)
		writer_name_text(&name, f->part, sheet->stem);
}

static void files_close(struct recorder *r, struct recording *rec)
{
	int kind;

	for (kind = 0; kind < STREAM_KINDS; kind++)
		if (rec->file[kind])
			writer_close(r->writer, rec->file[kind]);
}

static void recording_install(struct recorder *r, struct leg *leg, struct recording *rec)
{
	leg->rest->recording = rec;
	leg->recorded = 1 << STREAM_RTP | (r->o.no_rtcp ? 0 : 1 << STREAM_RTCP);
}

/*
 * NAME.opus as the target of C asks for a sound file. Its raw files are named without the suffix.
 * As rtpproxy, such a name has no meaning.
 */
static enum sheet_sound sound_of_target(const struct recorder *r, struct span *target)
{
	enum sheet_sound sound;
	size_t at;

	if (!r->finisher || r->o.as_rtpproxy)
		return SHEET_NONE;
	for (at = target->len; at > 1 && target->p[at - 1] != '.'; at--)
		;
	if (at <= 1)
		return SHEET_NONE;
	sound = sheet_sound_of((struct span){ target->p + at, target->len - at });
	if (sound)
		target->len = at - 1;
	return sound;
}

/* The name of recordings without a target. */
static void stem_of(const struct recorder *r, const struct session *s, char stem[NAME_MAX + 1])
{
	const struct sheet *sheet = session_rest(s)->sheet;
	const struct naming_call call = {
		.call_id = s->call_id,
		.from_tag = s->from_tag,
		.to_tag = s->to_tag,
		.realtime_ns = sheet ? sheet->begin_ns : clock_read(CLOCK_REALTIME),
	};

	naming_of(r->o.name ? r->o.name : NAMING_DEFAULT, &call, stem);
}

/*
 * Make a file's name, from the session if @wish has no target. @stem holds its stem. 0, -EINVAL,
 * -EPROTONOSUPPORT or -ENAMETOOLONG.
 */
static int name_make(const struct recorder *r, struct writer_name *name, char stem[NAME_MAX + 1],
		     struct direction d, const struct snapshot_recording *wish)
{
	static const char *const suffixes[2][STREAM_KINDS] = { { ".a.rtp", ".a.rtcp" },
							       { ".o.rtp", ".o.rtcp" } };
	static const char *const given[STREAM_KINDS] = { ".rtp", ".rtcp" };
	/* the RTCP file of a part has its RTP file's number */
	static const char *const taken_by[2][2] = { { ".a.rtcp" }, { ".o.rtcp" } };
	static const char *const taken_by_given[] = { ".rtcp", NULL };
	enum session_party party = d.in->party;
	struct span target;

	*name = (struct writer_name){ .stem = stem, .part = wish->part };
	if (wish->single)
		name->suffix = wish->target.p ? "" : ".pcap";
	else
		name->suffix = wish->target.p ? given[d.kind] : suffixes[party][d.kind];
	if (!wish->single && d.kind == STREAM_RTP)
		name->taken_by = wish->target.p ? taken_by_given : taken_by[party];
	if (!wish->target.p) {
		stem_of(r, direction_session(d), stem);
		return 0;
	}
	target = wish->target;
	sound_of_target(r, &target);
	return naming_given(target, stem);
}

static const char *why_not(int err)
{
	switch (err) {
	case -EINVAL:
		return "the name of the file has a '/', begins with '.' or ends with '.json'";
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

static int recording_file_open(struct recorder *r, struct direction d,
			       const struct writer_name *name, struct recording *rec)
{
	struct sheet_file *f = file_describe(r, d, rec);
	struct tally *tally = session_rest(direction_session(d))->recorded;
	int err = writer_open(r->writer, name, tally, f, &rec->file[d.kind]);

	if (f && err)
		sheet_remove(f);
	else if (f)
		file_described(f, rec->file[d.kind], name->stem);
	return err;
}

/* Open a file for each kind, or one for all. On failure, @rec keeps the files opened so far. */
static int files_open(struct recorder *r, struct leg *leg, const struct snapshot_recording *wish,
		      struct recording *rec)
{
	struct writer_name name;
	char stem[NAME_MAX + 1];
	const char *call_id = leg_session(leg)->call_id;
	int kind, err = 0;

	for (kind = 0; kind < STREAM_KINDS && !err; kind++) {
		struct direction d = { leg, kind };

		if (kind == STREAM_RTCP && r->o.no_rtcp)
			break;
		err = name_make(r, &name, stem, d, wish);
		if (!err && kind == STREAM_RTCP)
			name.part = writer_part(rec->file[STREAM_RTP]);
		if (!err)
			err = recording_file_open(r, d, &name, rec);
	}
	if (err && why_not(err))
		log_provoked(PROVOKED_NOT_RECORDED, call_id, why_not(err));
	else if (err)
		log_provoked(PROVOKED_NO_FILE, call_id, r->o.spool_dir ? r->o.spool_dir : r->o.dir,
			     stem, name.suffix, strerror(-err));
	return err;
}

static int start_files(struct recorder *r, struct leg *leg, const struct snapshot_recording *wish,
		       struct recording *rec)
{
	int err = files_open(r, leg, wish, rec);
	struct sheet *sheet = session_rest(leg_session(leg))->sheet;
	struct span target = wish->target;

	if (sheet && !err && target.p)
		sheet->sound = sound_of_target(r, &target);
	if (sheet && sheet->open)
		sheet_grew(r, sheet);
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
			     err == -EINVAL ? "it is not HOST:PORT, or [IPv6]:PORT"
					    : strerror(-err));
	return err;
}

static int start_copy(struct recorder *r, struct session *s, struct span dest, uint64_t now_ns,
		      struct recording *rec)
{
	struct tally *tally = session_rest(s)->recorded;

	return say_copy(s, dest, copy_open(r->copies, dest, tally, now_ns, &rec->copy));
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

static int recording_start(struct recorder *r, struct leg *leg,
			   const struct snapshot_recording *wish, uint64_t now_ns)
{
	struct session *s = leg_session(leg);
	struct recording *rec;
	struct span dest;
	int err;

	if (leg_rest(leg)->recording)
		return start_again(r, s, wish);
	rec = recording_new(wish, leg_rest(leg_other(leg))->recording);
	err = rec && leg_rest_set(leg) ? session_prepare(r, s) : -ENOMEM;
	if (!err && is_copy(wish->target, &dest))
		err = start_copy(r, s, dest, now_ns, rec);
	else if (!err)
		err = start_files(r, leg, wish, rec);
	if (err) {
		if (rec)
			recording_free(rec);
		return err;
	}
	recording_install(r, leg, rec);
	return 0;
}

int recorder_start(struct recorder *r, struct leg *leg, bool single)
{
	const struct snapshot_recording wish = { .single = single && r->o.pcap, .part = 1 };

	return recording_start(r, leg, &wish, 0);
}

int recorder_copy(struct recorder *r, struct leg *leg, struct span target, bool single,
		  uint64_t now_ns)
{
	const struct snapshot_recording wish = {
		.single = single && r->o.pcap,
		.part = 1,
		.target = target,
	};

	return recording_start(r, leg, &wish, now_ns);
}

/* ---- for the next daemon, and from the previous one ---- */

void recorder_take(const struct leg *leg, struct snapshot_recording *out)
{
	const struct recording *rec = leg_rest(leg)->recording;

	*out = (struct snapshot_recording){ .on = rec != NULL };
	if (!rec)
		return;
	out->single = rec->single;
	out->part = rec->copy ? rec->part : writer_part(rec->file[STREAM_RTP]);
	out->target = span_of(rec->target);
}

/* Move the files that a killed daemon left in the spool to the record directory. */
static void spooled_rescue(struct recorder *r, struct leg *leg,
			   const struct snapshot_recording *from)
{
	struct session *s = leg_session(leg);
	char stem[NAME_MAX + 1], text[NAME_MAX + 1];
	struct writer_name name;
	int kind;

	if (session_prepare(r, s))
		return;
	for (kind = 0; kind < STREAM_KINDS; kind++)
		if (name_make(r, &name, stem, (struct direction){ leg, kind }, from) == 0 &&
		    writer_name_text(&name, from->part, text) == 0)
			writer_rescue(r->writer, text, session_rest(s)->recorded);
}

int recorder_resume(struct recorder *r, struct leg *leg, const struct snapshot_recording *from,
		    uint64_t now_ns)
{
	struct snapshot_recording wish = *from;
	struct span dest;

	if (!from->on)
		return 0;
	if (!is_copy(from->target, &dest))
		spooled_rescue(r, leg, from);
	wish.part = MAX(from->part, 1) + 1;
	wish.single = from->single && r->o.pcap;
	return recording_start(r, leg, &wish, now_ns);
}

const struct addr *recorder_copy_local(const struct leg *leg)
{
	const struct recording *rec = leg_rest(leg)->recording;

	return rec && rec->copy ? copy_local(rec->copy) : NULL;
}

/* ---- stop ---- */

int recorder_stop(struct recorder *r, struct leg *leg, uint64_t now_ns)
{
	struct recording *rec = leg_rest(leg)->recording;

	if (!rec)
		return -ENOENT;
	files_close(r, rec);
	if (rec->copy)
		copy_close(r->copies, rec->copy, now_ns);
	recording_free(rec);
	leg->rest->recording = NULL;
	leg->recorded = 0;
	return 0;
}

void recorder_end(struct recorder *r, struct session *s, uint64_t now_ns)
{
	struct session_rest *rest = s->rest;
	struct leg *leg;

	for (leg = s->leg; leg < s->leg + SESSION_PARTIES; leg++)
		recorder_stop(r, leg, now_ns);
	if (!rest)
		return;
	if (rest->sheet) {
		sheet_end(rest->sheet, s);
		if (!rest->sheet->open)
			sheet_done(r, rest->sheet);
	}
	rest->sheet = NULL;
	tally_drop(rest->recorded);
	rest->recorded = NULL;
}

void recorder_leave(struct recorder *r)
{
	r->leaving = true;
}

void recorder_restored(struct recorder *r)
{
	if (r->finisher)
		finisher_restored(r->finisher);
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

static bool has_keys(const struct recorder *r, const struct leg *leg, const struct format_packet *p)
{
	const struct dtmf *dtmf = leg_rest(leg)->dtmf;

	return keys_in(p->data, p->len, r->o.dtmf_types) ||
	       (dtmf && dtmf_is_event(dtmf, p->data, p->len));
}

void recorder_packet(struct recorder *r, struct direction d, uint64_t arrival_ns,
		     const struct format_packet *packet)
{
	struct recording *rec = leg_rest(d.in)->recording;
	struct format_packet p = *packet;

	if (!(d.in->recorded & direction_bit(d)))
		return;
	if (!r->o.as_rtpproxy)
		p.party = party_of(d.in);
	p.realtime_ns = arrival_ns + rec->realtime_minus_monotonic_ns;
	if (r->o.keys != KEYS_KEEP && d.kind == STREAM_RTP && has_keys(r, d.in, &p))
		take_keys(r, rec, &p);
	else
		take_packet(r, rec, d.kind, &p);
}

void recorder_lost(struct recorder *r, struct session *s, uint64_t packets)
{
	struct tally *tally = session_rest(s)->recorded;

	tally_lost(tally ? tally : r->total, TALLY_KERNEL, packets);
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
	const struct recording *rec = leg_rest(leg)->recording;
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

	const struct finisher_counts done = recorder_finished(r);

	stats->npkts_recorded = all.packets;
	stats->npkts_rec_lost = all.lost;
	stats->nrec_complete = r->before.nrec_complete + done.complete;
	stats->nrec_lost = r->before.nrec_lost + done.lost;
	stats->nrec_made = r->before.nrec_made + done.jobs.made;
	stats->nrec_told = r->before.nrec_told + done.jobs.told;
	stats->nrec_failed = r->before.nrec_failed + done.jobs.failed;
	stats->nrec_removed = r->before.nrec_removed + done.removed;
}

void recorder_count_on(struct recorder *r, const struct stats *before)
{
	tally_recorded(r->total, before->npkts_recorded, 0);
	tally_lost(r->total, TALLY_EARLIER, before->npkts_rec_lost);
	r->lost_told += before->npkts_rec_lost;
	r->before = *before;
}

struct finisher_counts recorder_finished(const struct recorder *r)
{
	return r->finisher ? finisher_counts(r->finisher) : (struct finisher_counts){ 0 };
}

unsigned int recorder_files(const struct recorder *r)
{
	return writer_files(r->writer);
}

/* ---- begin and end ---- */

static int finishing_new(struct recorder *r)
{
	struct finisher_opts o = r->o.finish;

	o.dir = r->o.dir;
	o.spool_dir = r->o.spool_dir;
	return finisher_new(&r->finisher, &o);
}

int recorder_new(struct recorder **out, struct event_base *base, const struct recorder_opts *opts)
{
	struct recorder *r = calloc(1, sizeof(*r));
	const struct writer_opts writer = {
		.dir = opts->dir,
		.spool_dir = opts->spool_dir,
		.pcap = opts->pcap,
		.replace = opts->replace,
		.completed = on_completed,
		.completed_arg = r,
		.meanwhile = opts->meanwhile,
		.arg = opts->arg,
	};
	const struct copies_opts copies = {
		.ports = opts->ports,
		.no_rtcp = opts->no_rtcp,
		.no_resolve = opts->no_resolve,
		.switchboard = opts->switchboard,
		.tos = opts->tos,
		.meanwhile = opts->meanwhile,
		.arg = opts->arg,
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
	if (!err && opts->dir && opts->finish.instance)
		err = finishing_new(r);
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
	finisher_free(r->finisher);
	copies_free(r->copies);
	tally_drop(r->total);
	free(r);
}

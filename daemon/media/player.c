/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * player.c - each player sends one packet when the pacer calls it. Its next time is the previous
 * one plus the packet's length.
 *
 * Deliberately not here: sockets (the relay's, by a callback), files (clips), packets (prompt).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "media/player.h"
#include "media/audio_codec.h"
#include "media/clips.h"
#include "base/log.h"
#include "base/provoked.h"
#include "media/prompt.h"
#include "media/promptcache.h"
#include "media/rtp.h"

#define MAX_TYPE 127
#define PCMU 0				 /* payload type */
#define MAX_LAG_NS (200 * NSEC_PER_MSEC) /* after a longer pause of the process, do not catch up */

struct player {
	struct players *all;
	struct leg *leg;
	const struct clip *clip;
	char *name;		   /* as in P */
	struct prompt_opts wanted; /* data is NULL until the prompt begins */
	struct prompt prompt;	   /* begins once the first second of the clip is loaded */
	bool late;		   /* encoding has fallen behind */
	uint64_t due_ns, period_ns;
	uint64_t begun_ns; /* time of the first packet, plus all pauses since; 0: not begun */
	struct pacer_item item;
};

struct players {
	struct players_opts o;
	struct promptcache *cache;
	struct clips *clips;
	unsigned int count;
};

/* ---- playing ---- */

static void player_end(struct player *p)
{
	struct players *all = p->all;

	p->leg->rest->player = NULL;
	all->count--;
	pacer_del(all->o.pacer, &p->item);
	clips_give(all->clips, p->clip);
	all->o.stats->nplrs_destroyed++;
	session_dirty(all->o.sessions, leg_session(p->leg));
	free(p->name);
	free(p);
}

static bool can_send(const struct player *p)
{
	const struct leg *leg = p->leg;

	return leg->handle && leg->stream[STREAM_RTP].remote.family != ADDR_NONE;
}

static bool is_loading(const struct player *p)
{
	return p->clip->err == -EINPROGRESS;
}

/* The clip is loaded in part or whole, or has failed. */
static bool has_clip(const struct player *p)
{
	return !is_loading(p) || p->clip->len;
}

enum beginning { BEGINS, WAITS, FAILS };

/* Begin at the first packet, or where the previous daemon would be by now. */
static enum beginning prompt_begins(struct player *p, uint64_t now_ns)
{
	struct prompt_opts wanted = p->wanted;

	wanted.data = p->clip->data;
	wanted.len = p->clip->len;
	wanted.more = is_loading(p);
	if ((p->clip->err && !is_loading(p)) || prompt_start(&p->prompt, &wanted))
		return FAILS;
	if (p->begun_ns && p->begun_ns < now_ns &&
	    !prompt_skip(&p->prompt, (now_ns - p->begun_ns + p->period_ns / 2) / p->period_ns))
		return WAITS;
	p->due_ns = now_ns; /* polls for the clip may have come late */
	p->wanted = wanted;
	return BEGINS;
}

/* Take what has been loaded since. A clip that fails is played to its end, once. */
static void prompt_goes_on(struct player *p)
{
	prompt_extend(&p->prompt, p->clip->data, p->clip->len, is_loading(p));
	if (p->clip->err && !is_loading(p))
		p->prompt.count = 1;
}

/* Set begun_ns at the first packet; move it on by each packet that cannot be sent. */
static void keep_time(struct player *p, bool sends)
{
	if (sends && !p->begun_ns) {
		p->begun_ns = p->due_ns;
		session_changed(p->all->o.sessions, leg_session(p->leg));
	} else if (!sends && p->begun_ns) {
		p->begun_ns += p->period_ns;
	}
}

/*
 * Send one packet; false at the end. The packet stands for one of the other leg's peer, and so
 * restarts the TTL of the other leg.
 */
static bool play_packet(struct player *p, uint64_t now_ns)
{
	const struct players_opts *o = &p->all->o;
	uint8_t packet[PROMPT_MAX_PACKET];
	size_t len = prompt_next(&p->prompt, packet);

	if (!len)
		return false;
	if (o->send(o->arg, p->leg, packet, len) == 0) {
		o->stats->npkts_played++;
		leg_ttl_restart(o->sessions, leg_other(p->leg), now_ns);
	}
	return true;
}

/* Its last packet has left and has lasted. */
static void tell_end(struct player *p)
{
	const struct players_opts *o = &p->all->o;
	uint64_t ms = p->wanted.data && !p->clip->err ? prompt_round_ms(&p->prompt) : 0;

	if (o->ended)
		o->ended(o->ended_arg, p->leg, p->name, ms);
}

/* The process did not run for long: the prompt goes on from where it was. */
static void skip_lag(struct player *p, uint64_t now_ns)
{
	if (p->begun_ns && p->wanted.data) {
		p->begun_ns += now_ns - p->due_ns;
		session_changed(p->all->o.sessions, leg_session(p->leg));
	}
	p->due_ns = now_ns;
}

/* Encoding has fallen behind: the listener hears silence for the time of a packet. */
static void pause_packet(struct player *p)
{
	if (!p->late)
		log_provoked(PROVOKED_PROMPT_LATE, NULL, clips_name(p->clip));
	p->late = true;
	prompt_pause(&p->prompt);
	p->all->o.stats->npkts_prompt_late++;
}

/* Play a packet, or wait for the time of one. False at the end. */
static bool prompt_turn(struct player *p, uint64_t now_ns)
{
	bool sends = can_send(p);

	prompt_goes_on(p);
	if (sends && prompt_is_short(&p->prompt)) {
		pause_packet(p);
		sends = false;
	}
	keep_time(p, sends);
	return !sends || play_packet(p, now_ns);
}

static void on_due(struct pacer_item *item, uint64_t now_ns)
{
	struct player *p = container_of(item, struct player, item);
	enum beginning begins = p->wanted.data ? BEGINS : WAITS;

	if (begins == WAITS && has_clip(p))
		begins = prompt_begins(p, now_ns);
	if (begins == FAILS || (begins == BEGINS && !prompt_turn(p, now_ns))) {
		tell_end(p);
		player_end(p);
		return;
	}
	p->due_ns += begins == BEGINS ? p->period_ns : NSEC_PER_MSEC;
	if (p->due_ns + MAX_LAG_NS < now_ns)
		skip_lag(p, now_ns);
	pacer_add(p->all->o.pacer, item, p->due_ns, on_due);
}

/* ---- commands ---- */

/*
 * Take the payload type and the character behind it from the start of @codecs. A result above
 * MAX_TYPE is not an RTP payload type; -1: no number.
 */
static int next_type(struct span *codecs)
{
	int type = -1;

	while (codecs->len && *codecs->p >= '0' && *codecs->p <= '9') {
		type = MIN(MAX(type, 0) * 10 + *codecs->p - '0', MAX_TYPE + 1);
		codecs->p++;
		codecs->len--;
	}
	if (codecs->len) {
		codecs->p++;
		codecs->len--;
	}
	return type;
}

/* Take the clip for a payload type, and fill in how it plays. *@known: its codec is known. */
static int take_clip(struct players *all, struct span name, int type, const struct clip **clip,
		     struct prompt_opts *wanted, bool *known)
{
	const struct audio_codec *c = audio_codec_mapped(all->o.codecs, (unsigned int)type);
	const struct audio_codec *packets = c && audio_codec_varies(c) ? c : NULL;

	*known = c || type < RTP_FIRST_DYNAMIC;
	wanted->payload_type = (uint8_t)type;
	wanted->frames_type = (uint8_t)(c && !packets ? c->payload_type : type);
	wanted->packet_khz = packets ? packets->clock / 1000 : 0;
	return clips_take(all->clips, name, wanted->frames_type, packets, clip);
}

static int choose_clip(struct players *all, struct span name, struct span codecs,
		       const struct clip **clip, struct prompt_opts *wanted)
{
	int err, type, unknown = 0, no_encoder = -1;
	bool known;

	while (codecs.len) {
		type = next_type(&codecs);
		if (type < 0)
			return -ENOENT;
		if (type > MAX_TYPE)
			continue;
		err = take_clip(all, name, type, clip, wanted, &known);
		if (!err || err == -ENOMEM)
			return err;
		if (!known)
			unknown = type;
		else if (err == -ENOTSUP)
			no_encoder = type;
		if (err == -EACCES)
			log_provoked(PROVOKED_PROMPT_OUTSIDE, NULL, (int)name.len, name.p);
		log_provoked(PROVOKED_PROMPT_MISSING, NULL, (int)name.len, name.p, type,
			     strerror(-err));
	}
	if (no_encoder >= 0)
		log_provoked(PROVOKED_PROMPT_NO_ENCODER, NULL, (int)name.len, name.p, no_encoder,
			     loader_can_encode(audio_codec_of(PCMU))
				     ? "rtpxd has none for this codec"
				     : "rtpxd was built without sound (SOUND=no)");
	if (unknown)
		log_provoked(PROVOKED_PROMPT_UNKNOWN, NULL, (int)name.len, name.p, unknown);
	return -ENOENT;
}

/* RFC 3550 section 5.1: SSRC, first sequence number and first time stamp are random. */
static int draw(struct prompt_opts *o)
{
	struct {
		uint32_t ssrc, ts;
		uint16_t seq;
	} start;

	if (getrandom(&start, sizeof(start), 0) != sizeof(start))
		return -EIO;
	o->ssrc = start.ssrc;
	o->ts = start.ts;
	o->seq = start.seq;
	return 0;
}

static int player_new(struct players *all, struct leg *leg, const struct clip *clip,
		      struct span name, const struct prompt_opts *wanted, uint64_t now_ns)
{
	struct player *p = calloc(1, sizeof(*p));

	if (p)
		p->name = strndup(name.p, name.len);
	if (!p || !p->name || !leg_rest_set(leg)) {
		if (p)
			free(p->name);
		free(p);
		return -ENOMEM;
	}
	p->all = all;
	p->leg = leg;
	p->clip = clip;
	p->wanted = *wanted;
	p->period_ns = prompt_packet_ns(wanted);
	/* Begin at the next whole millisecond, so the pacer need not round. */
	p->due_ns = (now_ns / NSEC_PER_MSEC + 1) * NSEC_PER_MSEC;
	leg->rest->player = p;
	all->count++;
	pacer_add(all->o.pacer, &p->item, p->due_ns, on_due);
	session_dirty(all->o.sessions, leg_session(leg));
	return 0;
}

int player_start(struct players *all, struct leg *leg, struct span name, struct span codecs,
		 int count, unsigned int ptime_ms, uint64_t now_ns)
{
	struct prompt_opts wanted = { .ptime_ms = ptime_ms ? ptime_ms : all->o.ptime_ms,
				      .count = count };
	const struct clip *clip;
	int err;

	player_stop(leg);
	if (count == 0)
		return 0;
	err = choose_clip(all, name, codecs, &clip, &wanted);
	if (err)
		return err;
	err = draw(&wanted);
	if (!err && prompt_packet_ns(&wanted))
		err = player_new(all, leg, clip, name, &wanted, now_ns);
	if (err || !leg_rest(leg)->player)
		clips_give(all->clips, clip);
	if (err)
		return err;
	all->o.stats->nplrs_created++;
	all->o.stats->nplrs_destroyed += !leg_rest(leg)->player;
	return 0;
}

void player_take(const struct leg *leg, struct snapshot_playing *out)
{
	const struct player *p = leg_rest(leg)->player;

	*out = (struct snapshot_playing){ 0 };
	if (!p)
		return;
	*out = (struct snapshot_playing){
		.name = span_of(p->name),
		.payload_type = p->wanted.payload_type,
		.rounds = (uint32_t)p->wanted.count,
		.ptime_ms = p->wanted.ptime_ms,
		.begun_ns = p->begun_ns,
	};
}

int player_resume(struct players *all, struct leg *leg, const struct snapshot_playing *from,
		  uint64_t now_ns)
{
	char type[4];
	int err;

	if (!from->rounds)
		return 0;
	snprintf(type, sizeof(type), "%u", MIN(from->payload_type, MAX_TYPE));
	err = player_start(all, leg, from->name, span_of(type), (int)from->rounds, from->ptime_ms,
			   now_ns);
	if (err)
		return err;
	all->o.stats->nplrs_created--; /* the previous daemon has counted it */
	if (leg_rest(leg)->player)
		leg->rest->player->begun_ns = from->begun_ns;
	return 0;
}

void player_stop(struct leg *leg)
{
	if (leg_rest(leg)->player)
		player_end(leg->rest->player);
}

void player_time(const struct leg *leg, struct player_time *out)
{
	const struct player *p = leg_rest(leg)->player;

	*out = (struct player_time){ .left_ms = p ? -1 : 0 };
	if (!p || !p->wanted.data)
		return;
	out->round_ms = prompt_round_ms(&p->prompt);
	out->left_ms = prompt_left_ms(&p->prompt);
}

const char *player_describe(const struct leg *leg, char *buf, size_t size)
{
	const struct player *p = leg_rest(leg)->player;
	int rounds = p && p->wanted.data ? p->prompt.count : p ? p->wanted.count : 0;

	if (!p)
		snprintf(buf, size, "%s", "");
	else if (is_loading(p) && !p->wanted.data)
		snprintf(buf, size, "%s, which is being loaded", clips_name(p->clip));
	else if (rounds < 0)
		snprintf(buf, size, "%s, until it is stopped", clips_name(p->clip));
	else
		snprintf(buf, size, "%s, %d round%s to go", clips_name(p->clip), rounds,
			 rounds == 1 ? "" : "s");
	return buf;
}

/* ---- begin and end ---- */

struct clips_counts players_clips(const struct players *all)
{
	return clips_counts(all->clips);
}

unsigned int players_count(const struct players *all)
{
	return all->count;
}

int players_new(struct players **out, struct event_base *base, const struct players_opts *opts)
{
	struct players *all = calloc(1, sizeof(*all));
	int err;

	if (!all)
		return -ENOMEM;
	all->o = *opts;
	err = promptcache_new(&all->cache, opts->cache_dir, opts->cache_bytes);
	if (err)
		log_err("--prompt-cache %s: cannot be used: %s", opts->cache_dir,
			err == -EPERM ? "other users may write to it; chmod go-w it"
				      : strerror(-err));
	else
		err = clips_new(&all->clips, base, opts->prompt_dir, all->cache);
	if (err) {
		players_free(all);
		return err;
	}
	*out = all;
	return 0;
}

void players_free(struct players *all)
{
	if (!all)
		return;
	clips_free(all->clips);
	promptcache_free(all->cache);
	free(all);
}

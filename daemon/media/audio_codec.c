/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audio_codec.c - the table of codecs, and the table of their parameters.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "media/audio_codec.h"
#include "media/amrpack.h"
#include "media/rtp.h"
#include "media/speexpack.h"

#define BIT(kind) (1u << (kind))
#define AMR_KINDS (BIT(AUDIO_AMR) | BIT(AUDIO_AMR_WB))
#define LENGTH 2 /* bytes before a packet that tells its own length: see audio_encode() */

static const struct audio_codec codecs[] = {
	/* kind, name, type, rate, clock, channels, frame in samples and bytes, form, mode */
	{ AUDIO_PCMU, "PCMU", 0, 8000, 8000, 1, 1, 1, false, 0 },
	{ AUDIO_GSM, "GSM", 3, 8000, 8000, 1, 160, 33, false, 0 },
	{ AUDIO_PCMA, "PCMA", 8, 8000, 8000, 1, 1, 1, false, 0 },
	{ AUDIO_G722, "G722", 9, 16000, 8000, 1, 2, 1, false, 0 },
	{ AUDIO_L16, "L16", 10, 44100, 44100, 2, 1, 2, false, 0 },
	{ AUDIO_L16, "L16", 11, 44100, 44100, 1, 1, 2, false, 0 },
	{ AUDIO_G729, "G729", 18, 8000, 8000, 1, 80, 10, false, 0 },
	{ AUDIO_OPUS, "opus", -1, 48000, 48000, 2, 960, LENGTH + 1275, false, 0 },
	{ AUDIO_AMR, "AMR", -1, 8000, 8000, 1, 160, LENGTH + 33, false, 7 },
	{ AUDIO_AMR_WB, "AMR-WB", -1, 16000, 16000, 1, 320, LENGTH + 62, false, 8 },
	{ AUDIO_SPEEX, "speex", -1, 8000, 8000, 1, 160, LENGTH + SPEEXPACK_MAX_FRAME, false, 0 },
};

/* Encodings that are known, and that no library here decodes. */
static const char *const undecoded[] = { "EVS", "G723", "iLBC" };

const struct audio_codec *audio_codec_of(unsigned int payload_type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(codecs); i++)
		if (codecs[i].payload_type == (int)payload_type)
			return &codecs[i];
	return NULL;
}

bool audio_codec_varies(const struct audio_codec *c)
{
	return c->kind >= AUDIO_OPUS;
}

static int no(const char **why, const char *sentence)
{
	*why = sentence;
	return -EINVAL;
}

/* ---- parameters ---- */

static int set_octet_align(struct audio_codec *c, const char *value, const char **why)
{
	if (strcmp(value, "0") && strcmp(value, "1"))
		return no(why, "octet-align must be 0 or 1");
	c->octet_aligned = *value == '1';
	return 0;
}

/* The highest mode of a list is the one to encode. All are decoded. */
static int set_modes(struct audio_codec *c, const char *value, const char **why)
{
	unsigned int most = c->kind == AUDIO_AMR ? 7 : 8, mode;
	bool right = *value;

	c->mode = 0;
	for (; right && *value; value += value[1] ? 2 : 1) {
		mode = (unsigned int)(*value - '0');
		right = mode <= most && (!value[1] || (value[1] == ',' && value[2]));
		c->mode = (uint8_t)MAX(c->mode, mode);
	}
	return right ? 0 : no(why, "mode-set must be a list of modes, 0 to 7, or 0 to 8 of AMR-WB");
}

static int be_without_crc(struct audio_codec *c, const char *value, const char **why)
{
	(void)c;
	return strcmp(value, "0") ? no(why, "payloads of AMR with a CRC (crc=1) are not understood")
				  : 0;
}

static int be_unsorted(struct audio_codec *c, const char *value, const char **why)
{
	(void)c;
	return strcmp(value, "0")
		       ? no(why, "payloads of AMR with robust-sorting=1 are not understood")
		       : 0;
}

static int be_in_order(struct audio_codec *c, const char *value, const char **why)
{
	(void)c, (void)value;
	return no(why, "payloads of AMR with interleaving are not understood");
}

static int be_mono(struct audio_codec *c, const char *value, const char **why)
{
	(void)c;
	return strcmp(value, "1") ? no(why, "AMR with more than one channel is not understood") : 0;
}

/* fmtp: RFC 4867 section 8, RFC 5574 section 4.1, RFC 7587 section 6.1, RFC 4856 section 2.1. */
static const struct parameter {
	const char *name;
	unsigned int kinds;
	/* NULL: a request to the sender, or a promise, that changes no payload's form */
	int (*set)(struct audio_codec *c, const char *value, const char **why);
} parameters[] = {
	{ "octet-align", AMR_KINDS, set_octet_align },
	{ "mode-set", AMR_KINDS, set_modes },
	{ "crc", AMR_KINDS, be_without_crc },
	{ "robust-sorting", AMR_KINDS, be_unsorted },
	{ "interleaving", AMR_KINDS, be_in_order },
	{ "channels", AMR_KINDS, be_mono },
	{ "mode-change-period", AMR_KINDS, NULL },
	{ "mode-change-capability", AMR_KINDS, NULL },
	{ "mode-change-neighbor", AMR_KINDS, NULL },
	{ "max-red", AMR_KINDS, NULL },
	{ "vbr", BIT(AUDIO_SPEEX), NULL },
	{ "cng", BIT(AUDIO_SPEEX), NULL },
	{ "mode", BIT(AUDIO_SPEEX), NULL },
	{ "maxplaybackrate", BIT(AUDIO_OPUS), NULL },
	{ "sprop-maxcapturerate", BIT(AUDIO_OPUS), NULL },
	{ "maxaveragebitrate", BIT(AUDIO_OPUS), NULL },
	{ "stereo", BIT(AUDIO_OPUS), NULL },
	{ "sprop-stereo", BIT(AUDIO_OPUS), NULL },
	{ "cbr", BIT(AUDIO_OPUS), NULL },
	{ "useinbandfec", BIT(AUDIO_OPUS), NULL },
	{ "usedtx", BIT(AUDIO_OPUS), NULL },
	{ "annexb", BIT(AUDIO_G729), NULL },
	{ "ptime", ~0u, NULL },
	{ "maxptime", ~0u, NULL },
};

static int set_parameter(struct audio_codec *c, const char *name, const char *value,
			 const char **why)
{
	const struct parameter *p;

	for (p = parameters; p < parameters + ARRAY_SIZE(parameters); p++)
		if (p->kinds & BIT(c->kind) && !strcasecmp(p->name, name))
			return p->set ? p->set(c, value, why) : 0;
	return no(why, "has a parameter that this codec does not have");
}

/* Parameters follow each other with semicolons, and blanks where SDP has them. */
static int set_parameters(struct audio_codec *c, const char *text, const char **why)
{
	char name[32], value[32];
	int n = 0, at, rc = 0;

	for (; !rc && *text == ';'; text += n + at) {
		n = at = 0;
		if (sscanf(text, "; %31[^=; ]%n", name, &n) != 1)
			break;
		*value = '\0';
		sscanf(text + n, "=%31[^; ]%n", value, &at);
		rc = set_parameter(c, name, value, why);
		at += (int)strspn(text + n + at, " ");
	}
	return rc || !*text ? rc : no(why, "must have parameters as in SDP: ;NAME=VALUE");
}

/* ---- names ---- */

static bool is_undecoded(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(undecoded); i++)
		if (!strcasecmp(undecoded[i], name))
			return true;
	return false;
}

static const struct audio_codec *codec_named(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(codecs); i++)
		if (!strcasecmp(codecs[i].name, name))
			return &codecs[i];
	return NULL;
}

/* Most codecs have one rate. */
static bool set_rate(struct audio_codec *c, unsigned int rate)
{
	if (c->kind == AUDIO_L16 && rate >= 8000 && rate <= 48000)
		c->rate = c->clock = rate;
	if (c->kind == AUDIO_SPEEX && (rate == 8000 || rate == 16000 || rate == 32000)) {
		c->rate = c->clock = rate;
		c->frame_samples = rate / 1000 * SPEEXPACK_FRAME_MS;
	}
	return rate == c->clock;
}

static bool set_channels(struct audio_codec *c, unsigned int channels)
{
	if (c->kind == AUDIO_L16 && channels >= 1 && channels <= 2)
		c->channels = channels;
	return channels == c->channels;
}

int audio_codec_parse(const char *text, struct audio_codec *out, const char **why)
{
	const char *end = strchrnul(text, ';');
	const struct audio_codec *found;
	unsigned int rate, channels;
	int name_end = 0, rate_end = 0, all_end = 0;
	char name[16];

	if (sscanf(text, "%15[A-Za-z0-9-]%n/%u%n/%u%n", name, &name_end, &rate, &rate_end,
		   &channels, &all_end) < 1)
		return no(why, "must be NAME[/RATE[/CHANNELS]]");
	if (is_undecoded(name))
		return no(why, "there is no decoder for this codec here");
	found = codec_named(name);
	if (!found)
		return no(why, "must be NAME[/RATE[/CHANNELS]] with a known NAME");
	*out = *found;
	if (found->kind == AUDIO_L16)
		out->channels = 1;
	if ((rate_end && !set_rate(out, rate)) || (all_end && !set_channels(out, channels)) ||
	    text + MAX(MAX(name_end, rate_end), all_end) != end)
		return no(why, "must have a rate and channels of this codec: NAME/RATE/CHANNELS");
	return set_parameters(out, end, why);
}

char *audio_codec_text(const struct audio_codec *c, char out[AUDIO_CODEC_TEXT])
{
	int n = snprintf(out, AUDIO_CODEC_TEXT, "%s/%u/%u", c->name, c->clock, c->channels);

	if (BIT(c->kind) & AMR_KINDS)
		snprintf(out + n, AUDIO_CODEC_TEXT - (size_t)n, ";octet-align=%d;mode-set=%u",
			 c->octet_aligned, c->mode);
	return out;
}

char *audio_codec_key(const struct audio_codec *c, char out[AUDIO_CODEC_KEY])
{
	if (c->payload_type >= 0)
		snprintf(out, AUDIO_CODEC_KEY, "%d", c->payload_type);
	else if (BIT(c->kind) & AMR_KINDS)
		snprintf(out, AUDIO_CODEC_KEY, "%s%u%s", c->kind == AUDIO_AMR ? "amr" : "amrwb",
			 c->mode, c->octet_aligned ? "o" : "");
	else if (c->kind == AUDIO_SPEEX)
		snprintf(out, AUDIO_CODEC_KEY, "speex%u", c->rate / 1000);
	else
		snprintf(out, AUDIO_CODEC_KEY, "%s", c->name);
	return out;
}

/* ---- dynamic payload types ---- */

const char *audio_codec_map_add(struct audio_codec_map *m, const char *text)
{
	const char *why = "must be TYPE=NAME[/RATE[/CHANNELS]] with a TYPE of 96 to 127";
	struct audio_codec codec;
	char *end;
	unsigned long type = strtoul(text, &end, 10) - RTP_FIRST_DYNAMIC;

	if (end == text || *end != '=' || type >= AUDIO_CODEC_DYNAMIC ||
	    audio_codec_parse(end + 1, &codec, &why))
		return why;
	m->of[type] = codec;
	return NULL;
}

const struct audio_codec *audio_codec_mapped(const struct audio_codec_map *m, unsigned int type)
{
	unsigned int i = type - RTP_FIRST_DYNAMIC;

	return m && i < AUDIO_CODEC_DYNAMIC && m->of[i].name ? &m->of[i] : NULL;
}

uint32_t audio_codec_map_types(const struct audio_codec_map *m, enum audio_kind kind)
{
	uint32_t types = 0;
	unsigned int i;

	for (i = 0; i < AUDIO_CODEC_DYNAMIC; i++)
		if (m->of[i].name && m->of[i].kind == kind)
			types |= 1u << i;
	return types;
}

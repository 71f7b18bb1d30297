/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extractaudio.c - turns the recordings of a call into a sound file, or lists their streams.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "decrypt.h"
#include "rtpstream.h"

enum { EXIT_NOTHING = 1, EXIT_OUTPUT = 2 };
enum { SIDE_O, SIDE_A, SIDES }; /* originator, answerer */

#define NARROW_RATE 8000
#define RATE_OF_INPUT 0
#define WRITE_FRAMES 4096

static const char usage_text[] =
	"usage: extractaudio [OPTION]... RDIR OUTFILE [LINK]...       RDIR.o.rtp and RDIR.a.rtp, or the file RDIR\n"
	"       extractaudio [OPTION]... [-A FILE] [-B FILE] OUTFILE [LINK]...\n"
	"       extractaudio -S RDIR | extractaudio -S [-A FILE] [-B FILE]\n"
	"Recordings are rtpproxy's .rtp files, pcap or pcapng.\n"
	"  -A FILE, -B FILE         recordings of the answerer, the originator\n"
	"  -s                       stereo: the answerer left, the originator right\n"
	"  -F FORMAT                file: wav (default), w64, rf64, flac, ogg, au, aiff, caf, raw\n"
	"  -D DATA                  samples: gsm610 (default for 8 kHz mono WAV), ms_adpcm (for stereo), ima_adpcm, pcm_16\n"
	"                           (for all else), pcm_24, pcm_32, pcm_u8, pcm_s8, float, double, ulaw, alaw, vorbis, opus\n"
	"  -n                       do not align the two sides by the time of arrival\n"
	"  -e                       fail if a packet cannot be decoded\n"
	"  -d                       delete the recordings afterwards\n"
	"  -i                       idle priority\n"
	"  -S                       scan: print how many packets each file has, and extract nothing\n"
	"      --streams            the same, with every stream in it\n"
	"      --codec TYPE=NAME    payload type TYPE is NAME[/RATE[/CHANNELS]], as in SDP: PCMU, PCMA, GSM, G722, G729,\n"
	"                           L16, opus; the static types of RFC 3551 are known\n"
	"      --rate HZ            of the output (default 8000); input: the highest of the input\n"
	"      --alice-crypto SPEC  decrypt the answerer's packets: AES_CM_128_HMAC_SHA1_80:KEY or ..._32:KEY, as in SDP\n"
	"      --bob-crypto SPEC    decrypt the originator's packets\n"
	"Each name of LINK becomes a hard link to OUTFILE. Exit codes: 0, 1 usage, nothing to extract, or -e;\n"
	"2 OUTFILE cannot be written.\n";

static const struct name {
	const char *name;
	int format;
} files[] = {
	{ "wav", SF_FORMAT_WAV },     { "aiff", SF_FORMAT_AIFF }, { "au", SF_FORMAT_AU },
	{ "raw", SF_FORMAT_RAW },     { "paf", SF_FORMAT_PAF },	  { "svx", SF_FORMAT_SVX },
	{ "nist", SF_FORMAT_NIST },   { "voc", SF_FORMAT_VOC },	  { "ircam", SF_FORMAT_IRCAM },
	{ "w64", SF_FORMAT_W64 },     { "mat4", SF_FORMAT_MAT4 }, { "mat5", SF_FORMAT_MAT5 },
	{ "pvf", SF_FORMAT_PVF },     { "xi", SF_FORMAT_XI },	  { "htk", SF_FORMAT_HTK },
	{ "sds", SF_FORMAT_SDS },     { "avr", SF_FORMAT_AVR },	  { "wavex", SF_FORMAT_WAVEX },
	{ "sd2", SF_FORMAT_SD2 },     { "flac", SF_FORMAT_FLAC }, { "caf", SF_FORMAT_CAF },
	{ "wve", SF_FORMAT_WVE },     { "ogg", SF_FORMAT_OGG },	  { "mpc2k", SF_FORMAT_MPC2K },
	{ "rf64", SF_FORMAT_RF64 },
}, samples[] = {
	{ "pcm_s8", SF_FORMAT_PCM_S8 },	      { "pcm_16", SF_FORMAT_PCM_16 },
	{ "pcm_24", SF_FORMAT_PCM_24 },	      { "pcm_32", SF_FORMAT_PCM_32 },
	{ "pcm_u8", SF_FORMAT_PCM_U8 },	      { "float", SF_FORMAT_FLOAT },
	{ "double", SF_FORMAT_DOUBLE },	      { "ulaw", SF_FORMAT_ULAW },
	{ "alaw", SF_FORMAT_ALAW },	      { "ima_adpcm", SF_FORMAT_IMA_ADPCM },
	{ "ms_adpcm", SF_FORMAT_MS_ADPCM },   { "gsm610", SF_FORMAT_GSM610 },
	{ "vox_adpcm", SF_FORMAT_VOX_ADPCM }, { "g721_32", SF_FORMAT_G721_32 },
	{ "g723_24", SF_FORMAT_G723_24 },     { "g723_40", SF_FORMAT_G723_40 },
	{ "dwvw_12", SF_FORMAT_DWVW_12 },     { "dwvw_16", SF_FORMAT_DWVW_16 },
	{ "dwvw_24", SF_FORMAT_DWVW_24 },     { "dwvw_n", SF_FORMAT_DWVW_N },
	{ "dpcm_8", SF_FORMAT_DPCM_8 },	      { "dpcm_16", SF_FORMAT_DPCM_16 },
	{ "vorbis", SF_FORMAT_VORBIS },	      { "opus", SF_FORMAT_OPUS },
	{ "file", SF_ENDIAN_FILE },	      { "little", SF_ENDIAN_LITTLE },
	{ "big", SF_ENDIAN_BIG },	      { "cpu", SF_ENDIAN_CPU },
};

struct options {
	bool delete, idle, stereo, unaligned, strict, scan, streams;
	int file, data; /* formats of libsndfile; -1: default */
	unsigned int rate; /* Hz; RATE_OF_INPUT: the highest rate of the input */
	const char *path[SIDES];
	struct decrypt_key key[SIDES];
	bool encrypted[SIDES];
	char made[SIDES][PATH_MAX]; /* paths made from RDIR */
	char **rest;		    /* OUTFILE and LINKs, NULL-terminated */
	struct audio_codec given[RTPSTREAM_TYPES];
	struct rtpstream_codecs codecs;
};

/* The packets that one side sent. */
struct side {
	struct capture capture;
	struct rtpstreams streams;
	bool loaded;
};

/* The sound of a stream in one codec, and its time of begin. */
struct track {
	struct sound sound;
	uint64_t first_ns;
	int side;
};

struct tracks {
	struct track *all;
	size_t n;
	uint64_t first_ns[SIDES];
	size_t decoded[SIDES]; /* samples at 8 kHz */
};

/* ---- command line ---- */

static int usage(void)
{
	fputs(usage_text, stderr);
	return EXIT_NOTHING;
}

static int complain(const char *option, const char *value, const char *what)
{
	fprintf(stderr, "extractaudio: %s '%s': %s\n", option, value, what);
	return -EINVAL;
}

static int by_name(const struct name *names, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(names[i].name, name))
			return names[i].format;
	return -1;
}

static int set_codec(struct options *o, const char *arg)
{
	char *end;
	unsigned long type = strtoul(arg, &end, 10);

	if (end == arg || *end != '=' || type >= RTPSTREAM_TYPES ||
	    audio_codec_parse(end + 1, &o->given[type]))
		return complain("--codec", arg, "must be TYPE=NAME[/RATE[/CHANNELS]] with a known NAME");
	o->codecs.of[type] = &o->given[type];
	return 0;
}

static int set_rate(struct options *o, const char *arg)
{
	char *end;
	unsigned long rate = strtoul(arg, &end, 10);

	if (!strcmp(arg, "input")) {
		o->rate = RATE_OF_INPUT;
		return 0;
	}
	if (*end || rate < NARROW_RATE || rate > 192000)
		return complain("--rate", arg, "must be 8000 to 192000, or input");
	o->rate = (unsigned int)rate;
	return 0;
}

static int set_key(struct options *o, int side, const char *option, const char *arg)
{
	o->encrypted[side] = true;
	if (decrypt_parse(arg, &o->key[side]))
		return complain(option, arg, "must be AES_CM_128_HMAC_SHA1_80:KEY or ..._32:KEY, KEY being "
					     "40 digits of base64");
	return 0;
}

static int set_names(struct options *o, int c, const char *arg)
{
	int format = c == 'F' ? by_name(files, ARRAY_SIZE(files), arg)
			      : by_name(samples, ARRAY_SIZE(samples), arg);

	if (format < 0)
		return complain(c == 'F' ? "-F" : "-D", arg, "no such format");
	*(c == 'F' ? &o->file : &o->data) = format;
	return 0;
}

enum { OPT_STREAMS = 256, OPT_CODEC, OPT_RATE, OPT_ALICE, OPT_BOB };

static int set(struct options *o, int c, const char *arg)
{
	switch (c) {
	case 'd': o->delete = true; return 0;
	case 'i': o->idle = true; return 0;
	case 's': o->stereo = true; return 0;
	case 'n': o->unaligned = true; return 0;
	case 'e': o->strict = true; return 0;
	case OPT_STREAMS: o->streams = true; /* fall through */
	case 'S': o->scan = true; return 0;
	case 'A': o->path[SIDE_A] = arg; return 0;
	case 'B': o->path[SIDE_O] = arg; return 0;
	case 'F':
	case 'D': return set_names(o, c, arg);
	case OPT_CODEC: return set_codec(o, arg);
	case OPT_RATE: return set_rate(o, arg);
	case OPT_ALICE: return set_key(o, SIDE_A, "--alice-crypto", arg);
	case OPT_BOB: return set_key(o, SIDE_O, "--bob-crypto", arg);
	default: return -EINVAL;
	}
}

/* RDIR is a file itself, or stands for two files, of which one may be missing. */
static void resolve(struct options *o, const char *rdir)
{
	static const char *const suffix[SIDES] = { "o", "a" };
	int side;

	for (side = 0; side < SIDES; side++) {
		snprintf(o->made[side], sizeof(o->made[side]), "%s.%s.rtp", rdir, suffix[side]);
		if (access(o->made[side], F_OK) == 0)
			o->path[side] = o->made[side];
	}
	if (!o->path[SIDE_O] && !o->path[SIDE_A] && access(rdir, F_OK) == 0)
		o->path[SIDE_O] = rdir;
	else if (!o->path[SIDE_O] && !o->path[SIDE_A])
		o->path[SIDE_A] = o->made[SIDE_A], o->path[SIDE_O] = o->made[SIDE_O];
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "streams", no_argument, NULL, OPT_STREAMS },
		{ "codec", required_argument, NULL, OPT_CODEC },
		{ "rate", required_argument, NULL, OPT_RATE },
		{ "alice-crypto", required_argument, NULL, OPT_ALICE },
		{ "bob-crypto", required_argument, NULL, OPT_BOB },
		{ NULL, 0, NULL, 0 },
	};
	unsigned int type;
	int c, rc = 0;
	bool rdir;

	o->file = o->data = -1;
	o->rate = NARROW_RATE;
	for (type = 0; type < RTPSTREAM_TYPES; type++)
		o->codecs.of[type] = audio_codec_of(type);
	while (!rc && (c = getopt_long(argc, argv, "dsSineF:D:A:B:", longs, NULL)) != -1)
		rc = set(o, c, optarg);
	rdir = !o->path[SIDE_A] && !o->path[SIDE_O];
	if (rc || argc - optind < rdir + !o->scan || (o->scan && argc - optind != rdir))
		return -EINVAL;
	if (rdir)
		resolve(o, argv[optind++]);
	o->rest = argv + optind;
	return 0;
}

/* ---- input ---- */

static void warn(const char *text)
{
	if (*text)
		fprintf(stderr, "extractaudio: %s\n", text);
}

static void load(const struct options *o, int side, struct side *s)
{
	char err[400];

	if (capture_read(o->path[side], &s->capture, err, sizeof(err))) {
		warn(err);
		return;
	}
	warn(s->capture.trouble);
	s->capture.trouble[0] = '\0';
	if (o->encrypted[side] && decrypt(&s->capture, &o->key[side]))
		return warn("decrypting failed");
	warn(s->capture.trouble);
	if (rtpstreams_find(&s->capture, &s->streams))
		return warn("no memory");
	s->loaded = true;
}

/* ---- listing the streams ---- */

static const struct audio_codec *codec_of(const struct options *o, const struct rtpstream *s)
{
	unsigned int type, best = 0;
	const struct audio_codec *c = NULL;

	for (type = 0; type < RTPSTREAM_TYPES; type++)
		if (s->types[type] > best && o->codecs.of[type])
			best = s->types[type], c = o->codecs.of[type];
	return c;
}

static void print_stats(const struct rtpstream *s)
{
	const struct rtpx_flow_stats *st = &s->stats;

	printf("pcount=%llu, min_seq=%u, max_seq=%u, seq_offset=%u, ssrc=0x%08X, duplicates=%u\n",
	       (unsigned long long)st->packets, st->base_seq & 0xffff, st->max_seq & 0xffff,
	       (st->max_seq >> 16) - (st->base_seq >> 16), s->ssrc, st->duplicates);
	printf("ssrc_changes=%u, psent=%u, precvd=%u, plost=%u\n", st->segments,
	       rtpx_stats_expected(st), rtpx_stats_received(st), rtpx_stats_lost(st));
	printf("last_jitter=%f,average_jitter=%f,max_jitter=%f\n", st->jitter_q4 / 16.0,
	       st->jitter_count ? st->jitter_sum_q4 / 16.0 / st->jitter_count : 0,
	       st->jitter_max_q4 / 16.0);
}

static void print_types(const struct options *o, const struct rtpstream *s)
{
	unsigned int type;
	const char *comma = "";

	for (type = 0; type < RTPSTREAM_TYPES; type++) {
		if (!s->types[type])
			continue;
		if (o->codecs.of[type])
			printf("%s%u (%s)", comma, type, o->codecs.of[type]->name);
		else
			printf("%s%u", comma, type);
		comma = ", ";
	}
}

/* Jitter is shown in ms, converted with the clock of the stream. */
static void print_stream(const struct options *o, const struct rtpstream *s)
{
	const struct audio_codec *c = codec_of(o, s);
	const struct rtpx_flow_stats *st = &s->stats;
	unsigned int hz = rtpx_clock_hz(st->clock);
	double per_ms = (hz ? hz : c ? c->clock : NARROW_RATE) / 1000.0 * 16;
	char src[ADDR_TEXT];

	printf("  ssrc 0x%08X from %s: payload type ", s->ssrc, addr_text(&s->src, src));
	print_types(o, s);
	printf("; %.3f s; %llu packets, %u lost, %u duplicates; jitter %.3f ms, at most %.3f ms\n",
	       (s->last_ns - s->first_ns) / 1e9, (unsigned long long)st->packets, rtpx_stats_lost(st),
	       st->duplicates,
	       st->jitter_count ? (double)st->jitter_sum_q4 / st->jitter_count / per_ms : 0,
	       st->jitter_max_q4 / per_ms);
}

static int scan(const struct options *o, const struct side *sides)
{
	int side;
	size_t i;

	for (side = SIDES; side-- > 0;) {
		const struct side *s = &sides[side];

		if (!o->path[side])
			continue;
		if (s->loaded)
			printf("%s: %zu\n", o->path[side], s->streams.packets);
		else
			printf("%s: -1\n", o->path[side]);
		for (i = 0; o->streams && i < s->streams.n; i++)
			print_stream(o, &s->streams.all[i]);
	}
	return 0;
}

/* ---- sound ---- */

static int add_track(struct tracks *t, struct sound *sound, uint64_t first_ns, int side)
{
	struct track *p = realloc(t->all, (t->n + 1) * sizeof(*p));

	if (!p)
		return -ENOMEM;
	t->all = p;
	p[t->n++] = (struct track){ *sound, first_ns, side };
	if (!t->first_ns[side] || first_ns < t->first_ns[side])
		t->first_ns[side] = first_ns;
	t->decoded[side] += (size_t)((double)sound->n * NARROW_RATE / sound->rate);
	*sound = (struct sound){ 0 };
	return 0;
}

/* Payload types may share a codec. True: @type is the first one with its codec. */
static bool is_first(const struct options *o, const struct rtpstream *s, unsigned int type)
{
	unsigned int i;

	if (!s->types[type] || !o->codecs.of[type])
		return false;
	for (i = 0; i < type; i++)
		if (s->types[i] && o->codecs.of[i] == o->codecs.of[type])
			return false;
	return true;
}

static int decode_stream(const struct options *o, struct rtpstream *s, int side, struct tracks *t)
{
	unsigned int type;
	int rc = 0;

	for (type = 0; !rc && type < RTPSTREAM_TYPES; type++) {
		struct sound sound;

		if (!is_first(o, s, type))
			continue;
		rc = rtpstream_sound(s, &o->codecs, o->codecs.of[type], &sound);
		if (!rc)
			rc = add_track(t, &sound, s->first_ns, side);
		if (rc)
			sound_free(&sound);
	}
	return rc;
}

/* In a file that holds both sides, the originator is the first to send. */
static int side_of(const struct options *o, const struct side *s, int side,
		   const struct rtpstream *st)
{
	if (o->path[SIDE_O] && o->path[SIDE_A])
		return side;
	return addr_eq(&st->src, &s->streams.all[0].src) ? side : 1 - side;
}

/* Reports packets of a stream that were not decoded; returns their number. */
static long report_undecoded(const struct options *o, const struct rtpstream *s)
{
	long undecoded = s->undecoded;
	unsigned int type;

	if (s->undecoded)
		fprintf(stderr, "extractaudio: %u packets of ssrc 0x%08X are not of their codec\n",
			s->undecoded, s->ssrc);
	for (type = 0; type < RTPSTREAM_TYPES; type++) {
		if (!s->types[type] || o->codecs.of[type] || rtpstream_is_noise(type))
			continue;
		fprintf(stderr,
			"extractaudio: %u packets of payload type %u: codec not known, see --codec\n",
			s->types[type], type);
		undecoded += s->types[type];
	}
	return undecoded;
}

/* The answerer first, as rtpproxy. Returns the number of undecoded packets; negative: an error. */
static long decode(const struct options *o, struct side *sides, struct tracks *t)
{
	long undecoded = 0;
	int side, rc;
	size_t i;

	for (side = SIDES; side-- > 0;) {
		for (i = 0; i < sides[side].streams.n; i++) {
			struct rtpstream *s = &sides[side].streams.all[i];

			print_stats(s);
			rc = decode_stream(o, s, side_of(o, &sides[side], side, s), t);
			if (rc)
				return rc;
			undecoded += report_undecoded(o, s);
		}
	}
	return undecoded;
}

static unsigned int output_rate(const struct options *o, const struct tracks *t)
{
	unsigned int rate = NARROW_RATE;
	size_t i;

	for (i = 0; i < t->n; i++)
		rate = MAX(rate, t->all[i].sound.rate);
	return o->rate == RATE_OF_INPUT ? rate : o->rate;
}

static int16_t clip(int v)
{
	return (int16_t)(v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : v);
}

static size_t start_of(const struct options *o, const struct tracks *t, const struct track *track,
		       unsigned int rate)
{
	uint64_t zero = t->first_ns[track->side], other = t->first_ns[1 - track->side];

	if (!o->unaligned && other && other < zero)
		zero = other;
	return (size_t)((double)(track->first_ns - zero) * rate / 1e9 + 0.5);
}

/* Adds all tracks up into one channel, or two: answerer, originator, in rtpproxy's order. */
static int mix(const struct options *o, struct tracks *t, struct sound *out)
{
	unsigned int channels = o->stereo ? 2 : 1;
	struct sound at_rate;
	size_t i, k, start;
	int16_t *p;
	int rc;

	*out = (struct sound){ .rate = output_rate(o, t) };
	for (i = 0; i < t->n; i++) {
		struct track *track = &t->all[i];
		unsigned int channel = o->stereo && track->side == SIDE_O;

		rc = sound_at(&track->sound, out->rate, &at_rate);
		if (rc)
			return rc;
		start = start_of(o, t, track, out->rate);
		if (start + at_rate.n > out->n) {
			p = realloc(out->samples, (start + at_rate.n) * channels * sizeof(*p));
			if (!p) {
				sound_free(&at_rate);
				return -ENOMEM;
			}
			memset(p + out->n * channels, 0,
			       (start + at_rate.n - out->n) * channels * sizeof(*p));
			out->samples = p;
			out->n = start + at_rate.n;
		}
		for (k = 0; k < at_rate.n; k++) {
			p = &out->samples[(start + k) * channels + channel];
			*p = clip(*p + at_rate.samples[k]);
		}
		sound_free(&at_rate);
	}
	return 0;
}

/* ---- output ---- */

static int data_format(const struct options *o, int file, unsigned int rate)
{
	if (o->data >= 0)
		return o->data;
	if (file == SF_FORMAT_OGG)
		return SF_FORMAT_VORBIS;
	if ((file != SF_FORMAT_WAV && file != SF_FORMAT_W64) || rate != NARROW_RATE)
		return SF_FORMAT_PCM_16;
	return o->stereo ? SF_FORMAT_MS_ADPCM : SF_FORMAT_GSM610;
}

static int write_sound(const struct options *o, const struct sound *s)
{
	int file = o->file >= 0 ? o->file : SF_FORMAT_WAV;
	SF_INFO info = { .samplerate = (int)s->rate, .channels = o->stereo ? 2 : 1,
			 .format = file | data_format(o, file, s->rate) };
	sf_count_t n = 0, part;
	SNDFILE *f = sf_open(o->rest[0], SFM_WRITE, &info);

	if (!f) {
		fprintf(stderr, "extractaudio: cannot write %s: %s\n", o->rest[0], sf_strerror(NULL));
		return EXIT_OUTPUT;
	}
	while (n < (sf_count_t)s->n) {
		part = MIN(WRITE_FRAMES, (sf_count_t)s->n - n);
		if (sf_writef_short(f, s->samples + n * info.channels, part) != part)
			break;
		n += part;
	}
	if (n < (sf_count_t)s->n)
		fprintf(stderr, "extractaudio: cannot write %s: %s\n", o->rest[0], sf_strerror(f));
	return sf_close(f) || n < (sf_count_t)s->n ? EXIT_OUTPUT : 0;
}

static int finish(const struct options *o)
{
	char **to;
	int side, rc = 0;

	for (to = o->rest + 1; *to; to++) {
		if (link(o->rest[0], *to)) {
			fprintf(stderr, "extractaudio: cannot link %s: %s\n", *to, strerror(errno));
			rc = EXIT_OUTPUT;
		}
	}
	for (side = 0; o->delete && !rc && side < SIDES; side++)
		if (o->path[side] && unlink(o->path[side]) && errno != ENOENT) {
			fprintf(stderr, "extractaudio: cannot delete %s: %s\n", o->path[side],
				strerror(errno));
			rc = EXIT_OUTPUT;
		}
	return rc;
}

static int extract(const struct options *o, struct side *sides)
{
	struct tracks t = { 0 };
	struct sound out = { 0 };
	long undecoded = decode(o, sides, &t);
	size_t i;
	int rc = EXIT_NOTHING;

	if (undecoded < 0 || (undecoded > 0 && o->strict))
		fprintf(stderr, "extractaudio: %s: no output\n",
			undecoded < 0 ? strerror((int)-undecoded) : "not all could be decoded (-e)");
	else if (!t.n)
		fputs("extractaudio: there is nothing to extract\n", stderr);
	else if (mix(o, &t, &out))
		fputs("extractaudio: no memory\n", stderr);
	else
		rc = write_sound(o, &out);
	if (!rc) {
		fprintf(stderr, "samples decoded: O: %zu, A: %zu, written: %zu\n", t.decoded[SIDE_O],
			t.decoded[SIDE_A], out.n);
		rc = finish(o);
	}
	for (i = 0; i < t.n; i++)
		sound_free(&t.all[i].sound);
	free(t.all);
	sound_free(&out);
	return rc;
}

int main(int argc, char **argv)
{
	static struct options o;
	struct side sides[SIDES] = { 0 };
	int side, rc;

	if (parse(argc, argv, &o))
		return usage();
	if (o.idle && sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 }))
		fprintf(stderr, "extractaudio: no idle priority: %s\n", strerror(errno));
	for (side = 0; side < SIDES; side++)
		if (o.path[side])
			load(&o, side, &sides[side]);
	rc = o.scan ? scan(&o, sides) : extract(&o, sides);
	for (side = 0; side < SIDES; side++) {
		rtpstreams_free(&sides[side].streams);
		capture_free(&sides[side].capture);
	}
	return rc;
}

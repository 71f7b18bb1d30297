/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extractaudio.c - turns the recordings of a call into a sound file, or lists their streams.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extraction.h"

enum { EXIT_NOTHING = 1, EXIT_OUTPUT = 2 };

#define COMFORT_NOISE 13     /* RFC 3389 section 4 */
#define OLD_COMFORT_NOISE 19 /* comfort noise, before RFC 3389 gave it 13 */

static const char usage_text[] =
	"usage: extractaudio [OPTION]... RDIR OUTFILE [LINK]...       RDIR.o.rtp and RDIR.a.rtp, or RDIR.pcap, with\n"
	"                                                             all parts (RDIR=2 and so on), or the file RDIR\n"
	"       extractaudio [OPTION]... [-A FILE] [-B FILE] OUTFILE [LINK]...\n"
	"       extractaudio -S RDIR | extractaudio -S [-A FILE] [-B FILE]\n"
	"Recordings are rtpproxy's .rtp files, pcap or pcapng, also compressed by gzip.\n"
	"  -A FILE, -B FILE         recordings of the answerer, the originator; repeatable, for parts\n"
	"      --both FILE          recording of both sides; repeatable\n"
	"  -s                       stereo: the answerer left, the originator right\n"
	"  -F FORMAT                file: wav (default), w64, rf64, flac, ogg, mp3, au, aiff, caf, raw\n"
	"  -D DATA                  samples: gsm610 (default for 8 kHz mono WAV), ms_adpcm (for stereo), ima_adpcm, pcm_16\n"
	"                           (for all else), pcm_24, pcm_32, pcm_u8, pcm_s8, float, double, ulaw, alaw, vorbis, opus\n"
	"  -n                       do not align the two sides by the time of arrival\n"
	"  -e                       fail when something cannot be read or decoded\n"
	"  -d                       delete the recordings afterwards, if all of each was read and decoded\n"
	"  -i                       idle priority\n"
	"      --with-parent PID    end when the process PID, which started this one, ends\n"
	"  -S                       scan: print how many packets each file has, and extract nothing\n"
	"      --streams            the same, with every stream in it\n"
	"      --codec TYPE=NAME    payload type TYPE is NAME[/RATE[/CHANNELS]][;PARAMETER=VALUE]..., as in SDP: PCMU, PCMA,\n"
	"                           GSM, G722, G729, L16, opus, AMR, AMR-WB, speex, telephone-event, CN; the static types\n"
	"                           of RFC 3551 are known. 'AMR;octet-align=1' if SDP has octet-align\n"
	"      --rate HZ            of the output (default 8000); input: the highest of the input\n"
	"      --alice-crypto SPEC  decrypt SRTP with a key of the answerer: SUITE:KEY, or a=crypto of SDP; repeatable\n"
	"      --bob-crypto SPEC    the same, with a key of the originator\n"
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
	{ "rf64", SF_FORMAT_RF64 },   { "mp3", SF_FORMAT_MPEG },
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
	{ "mp3", SF_FORMAT_MPEG_LAYER_III },
	{ "file", SF_ENDIAN_FILE },	      { "little", SF_ENDIAN_LITTLE },
	{ "big", SF_ENDIAN_BIG },	      { "cpu", SF_ENDIAN_CPU },
};

#define G723 4 /* payload type */

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

static int set_codec(struct extraction_opts *o, const char *arg)
{
	struct rtpstream_codecs *c = &o->codecs;
	const char *why;
	char *end;
	unsigned long type = strtoul(arg, &end, 10);

	if (end == arg || *end != '=' || type >= RTPSTREAM_TYPES)
		return complain("--codec", arg, "must be TYPE=NAME[/RATE[/CHANNELS]]");
	c->of[type] = NULL;
	if (!strncasecmp(end + 1, "telephone-event", 15))
		c->meaning[type] = RTPSTREAM_EVENT;
	else if (!strncasecmp(end + 1, "CN", 2) && (!end[3] || end[3] == '/'))
		c->meaning[type] = RTPSTREAM_NOISE;
	else if (audio_codec_parse(end + 1, &o->given[type], &why))
		return complain("--codec", arg, why);
	else if (!audio_is_built(&o->given[type]))
		return complain("--codec", arg, "this build has no library for it (AMR=no)");
	else {
		c->of[type] = &o->given[type];
		c->meaning[type] = RTPSTREAM_AUDIO;
	}
	return 0;
}

static int set_rate(struct extraction_opts *o, const char *arg)
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

static int set_key(struct extraction_opts *o, const char *option, const char *arg)
{
	char must[400];

	snprintf(must, sizeof(must),
		 "must be SUITE:KEY with KEY in base64, or a=crypto of SDP; suites: %s",
		 decrypt_suites());
	if (o->n_keys == DECRYPT_MAX_KEYS)
		return complain(option, arg, "is one key too many");
	if (decrypt_parse(arg, &o->keys[o->n_keys]))
		return complain(option, arg, must);
	o->n_keys++;
	return 0;
}

static int set_names(struct extraction_opts *o, int c, const char *arg)
{
	int format = c == 'F' ? by_name(files, ARRAY_SIZE(files), arg)
			      : by_name(samples, ARRAY_SIZE(samples), arg);

	if (format < 0)
		return complain(c == 'F' ? "-F" : "-D", arg, "no such format");
	*(c == 'F' ? &o->file : &o->data) = format;
	return 0;
}

static int add_given(struct extraction_opts *o, int side, const char *path)
{
	if (o->n_given_paths[side] == EXTRACTION_PARTS)
		return complain("recording", path, "is one part too many");
	o->path[side][o->n_given_paths[side]++] = path;
	return 0;
}

/* The parent may have ended before. It may be process 1, in a container. */
static int set_with_parent(const char *pid)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == atoi(pid))
		return 0;
	fputs("extractaudio: --with-parent: the parent has ended\n", stderr);
	return -ESRCH;
}

enum { OPT_STREAMS = 256, OPT_CODEC, OPT_RATE, OPT_ALICE, OPT_BOB, OPT_BOTH, OPT_WITH_PARENT };

static int set(struct extraction_opts *o, int c, const char *arg)
{
	switch (c) {
	case 'd':
		o->delete = true;
		return 0;
	case 'i':
		o->idle = true;
		return 0;
	case 's':
		o->stereo = true;
		return 0;
	case 'n':
		o->unaligned = true;
		return 0;
	case 'e':
		o->strict = true;
		return 0;
	case OPT_STREAMS:
		o->streams = true; /* fall through */
	case 'S':
		o->scan = true;
		return 0;
	case 'A':
		return add_given(o, SIDE_A, arg);
	case 'B':
		return add_given(o, SIDE_O, arg);
	case OPT_BOTH:
		return add_given(o, SIDES, arg);
	case OPT_WITH_PARENT:
		return set_with_parent(arg);
	case 'F':
	case 'D':
		return set_names(o, c, arg);
	case OPT_CODEC:
		return set_codec(o, arg);
	case OPT_RATE:
		return set_rate(o, arg);
	case OPT_ALICE:
		return set_key(o, "--alice-crypto", arg);
	case OPT_BOB:
		return set_key(o, "--bob-crypto", arg);
	default:
		return -EINVAL;
	}
}

/* ---- paths ---- */

static int add_path(struct extraction_input *in, const char *path)
{
	if (in->n_paths == EXTRACTION_PARTS)
		return complain("recording", path, "is one part too many");
	in->paths[in->n_paths] = strdup(path);
	return in->paths[in->n_paths++] ? 0 : -ENOMEM;
}

/* Add RDIR with @suffix, and all its parts: RDIR=2, RDIR=3 and so on. */
static int add_parts(struct extraction_input *in, const char *rdir, const char *suffix)
{
	char path[PATH_MAX], number[8] = "";
	unsigned int part;
	int rc = 0;

	for (part = 1; part <= EXTRACTION_PARTS && !rc; part++) {
		if (part > 1)
			snprintf(number, sizeof(number), "=%u", part);
		snprintf(path, sizeof(path), "%s%s%s", rdir, number, suffix);
		if (access(path, F_OK) == 0)
			rc = add_path(in, path);
	}
	return rc;
}

static struct extraction_input *add_input(struct extraction *x, int side)
{
	struct extraction_input *in = &x->inputs[x->n_inputs++];

	in->o = x->o;
	in->x = x;
	in->side = side;
	in->only = SIDES;
	return in;
}

/* RDIR is a file itself, or stands for two files, of which one may be missing, or for a pcap. */
static int resolve(struct extraction *x, const char *rdir)
{
	static const char *const suffix[SIDES] = { ".o.rtp", ".a.rtp" };
	struct extraction_input *in;
	int side, rc = 0;

	for (side = 0; side < SIDES && !rc; side++) {
		in = add_input(x, side);
		rc = add_parts(in, rdir, suffix[side]);
		if (!in->n_paths)
			x->n_inputs--;
	}
	if (rc || x->n_inputs)
		return rc;
	in = add_input(x, SIDES);
	rc = add_parts(in, rdir, ".pcap");
	if (!rc && !in->n_paths)
		rc = add_path(in, rdir);
	/* Sides that begin together are read apart. */
	if (rc || !x->o->unaligned || x->o->scan)
		return rc;
	in->only = SIDE_O;
	in = add_input(x, SIDES);
	in->only = SIDE_A;
	rc = add_parts(in, rdir, ".pcap");
	return !rc && !in->n_paths ? add_path(in, rdir) : rc;
}

static int paths(struct extraction *x, const char *rdir)
{
	struct extraction_input *in;
	size_t i;
	int side, rc = 0;

	if (rdir)
		return resolve(x, rdir);
	for (side = 0; side <= SIDES && !rc; side++) {
		if (!x->o->n_given_paths[side])
			continue;
		in = add_input(x, side);
		for (i = 0; i < x->o->n_given_paths[side] && !rc; i++)
			rc = add_path(in, x->o->path[side][i]);
	}
	return rc;
}

static void meanings(struct extraction_opts *o)
{
	unsigned int type;

	for (type = 0; type < RTPSTREAM_TYPES; type++) {
		o->codecs.of[type] = audio_codec_of(type);
		if (o->codecs.of[type])
			o->codecs.meaning[type] = RTPSTREAM_AUDIO;
	}
	o->codecs.meaning[COMFORT_NOISE] = o->codecs.meaning[OLD_COMFORT_NOISE] = RTPSTREAM_NOISE;
}

static int parse(int argc, char **argv, struct extraction_opts *o, const char **rdir)
{
	static const struct option longs[] = {
		{ "streams", no_argument, NULL, OPT_STREAMS },
		{ "codec", required_argument, NULL, OPT_CODEC },
		{ "rate", required_argument, NULL, OPT_RATE },
		{ "alice-crypto", required_argument, NULL, OPT_ALICE },
		{ "bob-crypto", required_argument, NULL, OPT_BOB },
		{ "both", required_argument, NULL, OPT_BOTH },
		{ "with-parent", required_argument, NULL, OPT_WITH_PARENT },
		{ NULL, 0, NULL, 0 },
	};
	int c, rc = 0;
	bool wants;

	o->file = o->data = -1;
	o->rate = NARROW_RATE;
	meanings(o);
	while (!rc && (c = getopt_long(argc, argv, "dsSineF:D:A:B:", longs, NULL)) != -1)
		rc = set(o, c, optarg);
	wants = !o->n_given_paths[SIDE_A] && !o->n_given_paths[SIDE_O] && !o->n_given_paths[SIDES];
	if (rc || argc - optind < wants + !o->scan || (o->scan && argc - optind != wants))
		return -EINVAL;
	if (wants)
		*rdir = argv[optind++];
	o->rest = argv + optind;
	return 0;
}

/* ---- listing the streams ---- */

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

static void print_types(const struct extraction_opts *o, const struct rtpstream *s)
{
	const struct rtpstream_kind *k;
	const char *comma = "";

	for (k = s->kinds; k < s->kinds + RTPSTREAM_KINDS && k->packets; k++) {
		if (o->codecs.of[k->type])
			printf("%s%u (%s)", comma, k->type, o->codecs.of[k->type]->name);
		else
			printf("%s%u", comma, k->type);
		comma = ", ";
	}
}

/* Jitter is shown in ms, converted with the clock of the stream. */
static void print_stream(const struct extraction_opts *o, const struct rtpstream *s)
{
	const struct audio_codec *c = extraction_codec(o, s);
	const struct rtpx_flow_stats *st = &s->stats;
	unsigned int hz = rtpx_clock_hz(st->clock);
	double per_ms = (hz ? hz : c ? c->clock : NARROW_RATE) / 1000.0 * 16;
	char src[ADDR_TEXT];

	printf("  ssrc 0x%08X from %s: payload type ", s->ssrc, addr_text(&s->src, src));
	print_types(o, s);
	printf("; %.3f s; %llu packets, %u lost, %u duplicates; jitter %.3f ms, at most %.3f ms\n",
	       (s->last_ns - s->first_ns) / 1e9, (unsigned long long)st->packets,
	       rtpx_stats_lost(st), st->duplicates,
	       st->jitter_count ? (double)st->jitter_sum_q4 / st->jitter_count / per_ms : 0,
	       st->jitter_max_q4 / per_ms);
}

static int scan(struct extraction *x)
{
	size_t i, k;
	int rc = 0;

	/* The answerer first, as rtpproxy. */
	for (i = x->n_inputs; !rc && i-- > 0;) {
		struct extraction_input *in = &x->inputs[i];

		rc = extraction_learn(in);
		for (k = 0; !rc && x->o->streams && k < rtpstreams_count(in->streams); k++)
			print_stream(x->o, rtpstreams_at(in->streams, k));
	}
	if (rc)
		fprintf(stderr, "extractaudio: %s\n", strerror(-rc));
	return rc ? EXIT_NOTHING : 0;
}

/* ---- reports ---- */

/* Report the packets of a stream that were not decoded; returns true if there are any. */
static bool report(const struct extraction_opts *o, const struct rtpstream *s)
{
	const struct rtpstream_kind *k;
	bool any = s->undecoded || s->ahead || s->is_encrypted;

	if (s->is_encrypted)
		fprintf(stderr,
			"extractaudio: ssrc 0x%08X is SRTP and is left out; give its key with --alice-crypto\n",
			s->ssrc);
	if (s->undecoded)
		fprintf(stderr, "extractaudio: %u packets of ssrc 0x%08X are not of their codec\n",
			s->undecoded, s->ssrc);
	if (s->ahead)
		fprintf(stderr,
			"extractaudio: %u packets of ssrc 0x%08X came faster than their sound lasts, and are left out\n",
			s->ahead, s->ssrc);
	for (k = s->kinds; k < s->kinds + RTPSTREAM_KINDS && k->packets; k++) {
		if (o->codecs.meaning[k->type] != RTPSTREAM_UNKNOWN || s->events == k->packets)
			continue;
		fprintf(stderr, "extractaudio: %u packets of payload type %u: %s\n", k->packets,
			k->type,
			k->type == G723 ? "G.723.1, for which there is no decoder here"
					: "codec not known, see --codec");
		any = true;
	}
	return any;
}

static void report_all(struct extraction *x)
{
	size_t i, k;

	for (i = 0; i < x->n_inputs; i++) {
		struct extraction_input *in = &x->inputs[i];
		uint64_t crowded = rtpstreams_crowded(in->streams);

		for (k = 0; k < rtpstreams_count(in->streams); k++) {
			struct rtpstream *s = rtpstreams_at(in->streams, k);

			if (extraction_is_heard(in, s) && !s->is_copy)
				x->damaged |= report(x->o, s);
		}
		if (crowded)
			fprintf(stderr,
				"extractaudio: %llu packets of too many sources are left out\n",
				(unsigned long long)crowded);
		x->damaged |= crowded > 0;
	}
}

/* ---- output ---- */

static int data_format(const struct extraction *x, int file)
{
	if (x->o->data >= 0)
		return x->o->data;
	if (file == SF_FORMAT_OGG)
		return SF_FORMAT_VORBIS;
	if (file == SF_FORMAT_MPEG)
		return SF_FORMAT_MPEG_LAYER_III;
	if ((file != SF_FORMAT_WAV && file != SF_FORMAT_W64) || x->rate != NARROW_RATE)
		return SF_FORMAT_PCM_16;
	return x->o->stereo ? SF_FORMAT_MS_ADPCM : SF_FORMAT_GSM610;
}

static SF_INFO info_of(const struct extraction *x)
{
	int file = x->o->file >= 0 ? x->o->file : SF_FORMAT_WAV;

	return (SF_INFO){ .samplerate = (int)x->rate,
			  .channels = (int)x->channels,
			  .format = file | data_format(x, file) };
}

static int fail(const char *path, const char *why)
{
	fprintf(stderr, "extractaudio: cannot write %s: %s\n", path, why);
	return -EIO;
}

/* A regular file is written beside, and renamed when it is complete. */
static int open_output(struct extraction *x)
{
	const char *path = x->o->rest[0];
	SF_INFO info = info_of(x);
	struct stat st;

	if (stat(path, &st) != 0 || S_ISREG(st.st_mode))
		snprintf(x->temporary, sizeof(x->temporary), "%s.part%d", path, (int)getpid());
	x->out = sf_open(*x->temporary ? x->temporary : path, SFM_WRITE, &info);
	return x->out ? 0 : fail(path, sf_strerror(NULL));
}

static int write_frames(void *arg, const int16_t *pcm, size_t frames)
{
	struct extraction *x = arg;

	if (sf_writef_short(x->out, pcm, (sf_count_t)frames) != (sf_count_t)frames)
		return fail(x->o->rest[0], sf_strerror(x->out));
	x->written += frames;
	return 0;
}

/* The frames that a reader gets from the file; -1: an error. */
static long long frames_of(SNDFILE *f, int channels)
{
	static int16_t pcm[16384];
	long long all = 0;
	sf_count_t n;

	while ((n = sf_readf_short(f, pcm, ARRAY_SIZE(pcm) / channels)) > 0)
		all += n;
	return sf_error(f) ? -1 : all;
}

/*
 * True if the file can be read to its end, is as long as the call, and is on the disk. Codecs fill
 * up their last block.
 */
static bool is_whole(const struct extraction *x, const char *path)
{
	SF_INFO info = info_of(x);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long long frames = -1;
	SNDFILE *f;

	if (x->o->file != SF_FORMAT_RAW)
		info = (SF_INFO){ 0 };
	f = fd < 0 || fsync(fd) ? NULL : sf_open(path, SFM_READ, &info);
	if (f && info.channels > 0 && (unsigned int)info.channels == x->channels)
		frames = frames_of(f, info.channels);
	if (f)
		sf_close(f);
	if (fd >= 0)
		close(fd);
	/* A coder may have another rate than the output, as Opus has after 44.1 kHz. */
	frames = frames < 0 ? -1 : frames * (long long)x->rate / MAX(info.samplerate, 1);
	return frames >= 0 && llabs(frames - (long long)x->written) <= (long long)x->rate / 4;
}

/* Close the output. @rc other than 0: remove it. 0 or -EIO. */
static int close_output(struct extraction *x, int rc)
{
	const char *path = x->o->rest[0];

	if (x->out && sf_close(x->out) && !rc)
		rc = fail(path, "it cannot be completed");
	if (!*x->temporary)
		return rc;
	if (!rc && rename(x->temporary, path))
		rc = fail(path, strerror(errno));
	if (rc)
		unlink(x->temporary);
	return rc;
}

static int delete_all(const struct extraction *x)
{
	size_t i, k;
	int rc = 0;

	for (i = 0; i < x->n_inputs; i++) {
		const struct extraction_input *in = &x->inputs[i];

		for (k = 0; in->only != SIDE_A && k < in->n_paths; k++)
			if (unlink(in->paths[k])) {
				fprintf(stderr, "extractaudio: cannot delete %s: %s\n",
					in->paths[k], strerror(errno));
				rc = EXIT_OUTPUT;
			}
	}
	return rc;
}

static int finish(const struct extraction *x)
{
	char **to;

	for (to = x->o->rest + 1; *to; to++)
		if (link(x->o->rest[0], *to)) {
			fprintf(stderr, "extractaudio: cannot link %s: %s\n", *to, strerror(errno));
			return EXIT_OUTPUT;
		}
	if (!x->o->delete)
		return 0;
	if (x->damaged || !*x->temporary || !is_whole(x, x->o->rest[0])) {
		fputs("extractaudio: the recordings are kept: not all of them is in the output\n",
		      stderr);
		return 0;
	}
	return delete_all(x);
}

/* ---- the whole ---- */

/* Opus has five rates (RFC 6716 section 2); the next higher one, or the highest. */
static unsigned int rate_for(const struct extraction_opts *o, unsigned int rate)
{
	static const unsigned int rates[] = { 8000, 12000, 16000, 24000, 48000 };
	size_t i = 0;

	if (o->data != SF_FORMAT_OPUS)
		return rate;
	while (i + 1 < ARRAY_SIZE(rates) && rates[i] < rate)
		i++;
	return rates[i];
}

static unsigned int output_rate(struct extraction *x)
{
	unsigned int rate = NARROW_RATE;
	size_t i, k;

	if (x->o->rate != RATE_OF_INPUT)
		return x->o->rate;
	for (i = 0; i < x->n_inputs; i++)
		for (k = 0; k < rtpstreams_count(x->inputs[i].streams); k++) {
			struct rtpstream *s = rtpstreams_at(x->inputs[i].streams, k);

			if (extraction_is_audio(x->o, s))
				rate = MAX(rate, extraction_codec(x->o, s)->rate);
		}
	return rate_for(x->o, rate);
}

static int learn(struct extraction *x)
{
	size_t i, k;
	int rc = 0;

	for (i = x->n_inputs; !rc && i-- > 0;) {
		struct extraction_input *in = &x->inputs[i];

		rc = extraction_learn(in);
		if (rc)
			break;
		for (k = 0; k < rtpstreams_count(in->streams); k++)
			if (extraction_is_heard(in, rtpstreams_at(in->streams, k)))
				print_stats(rtpstreams_at(in->streams, k));
		if (!rtpstreams_packets(in->streams) && rtpstreams_not_rtp(in->streams))
			fprintf(stderr, "extractaudio: none of the %llu datagrams of %s is RTP\n",
				(unsigned long long)rtpstreams_not_rtp(in->streams), in->paths[0]);
	}
	x->rate = rc ? NARROW_RATE : output_rate(x);
	x->channels = x->o->stereo ? 2 : 1;
	return rc;
}

static int extract(struct extraction *x)
{
	bool any = false;
	int rc = learn(x);

	if (!rc)
		rc = extraction_prepare(x, write_frames, &any);
	if (rc || !any) {
		if (!rc)
			report_all(x);
		fprintf(stderr, "extractaudio: %s\n",
			rc ? strerror(-rc) : "there is nothing to extract");
		return EXIT_NOTHING;
	}
	if (open_output(x))
		return EXIT_OUTPUT;
	rc = extraction_run(x);
	if (rc)
		fprintf(stderr, "extractaudio: %s\n",
			rc == -EFBIG ? "the recordings span more than two days" : strerror(-rc));
	else
		report_all(x);
	if (x->o->strict && x->damaged && !rc) {
		fputs("extractaudio: not all could be read and decoded (-e): no output\n", stderr);
		close_output(x, -EBADMSG);
		return EXIT_NOTHING;
	}
	if (close_output(x, rc))
		return EXIT_OUTPUT;
	fprintf(stderr, "samples decoded: O: %llu, A: %llu, written: %llu\n",
		(unsigned long long)x->decoded[SIDE_O], (unsigned long long)x->decoded[SIDE_A],
		(unsigned long long)x->written);
	return finish(x);
}

int main(int argc, char **argv)
{
	static struct extraction x;
	static struct extraction_opts o;
	const char *rdir = NULL;
	int rc;

	x.o = &o;
	if (parse(argc, argv, &o, &rdir))
		return usage();
	if (o.idle && sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 }))
		fprintf(stderr, "extractaudio: no idle priority: %s\n", strerror(errno));
	rc = paths(&x, rdir) ? EXIT_NOTHING : o.scan ? scan(&x) : extract(&x);
	extraction_free(&x);
	return rc;
}

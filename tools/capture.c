/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.c - the first bytes of a file tell its format. zlib reads all files, compressed or not;
 * libpcap reads pcap and pcapng through it.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

#include "capture.h"
#include "record/format.h"

#define GZ_BUFFER (1 << 17) /* at most, for a file of this size and more */
#define GZ_LEAST 4096

struct capture {
	char path[300]; /* for sentences */
	gzFile gz;
	FILE *file;	/* reads through @gz, which it owns */
	bool gz_failed; /* no byte could be read */
	bool gz_cut;	/* the file ends before its compressed data */
	pcap_t *pcap;	/* owns @file; NULL: the ad-hoc format */
	struct frame_fragments *fragments;
	uint8_t record[FORMAT_MAX_RECORD + UINT16_MAX]; /* of the ad-hoc format */
	uint64_t packets, frames, partial, other, at;
	char trouble[500], why_empty[500];
};

/* ---- a stream that zlib decompresses ---- */

static ssize_t gz_read(void *arg, char *buf, size_t size)
{
	struct capture *c = arg;
	int error, n = gzread(c->gz, buf, (unsigned int)MIN(size, GZ_BUFFER));

	/* gzread() gives the bytes before a cut, and then an end of file. */
	gzerror(c->gz, &error);
	c->gz_cut |= error == Z_BUF_ERROR;
	c->gz_failed |= n < 0;
	if (n < 0)
		errno = EIO;
	return n;
}

static int gz_seek(void *arg, off64_t *offset, int whence)
{
	z_off_t at = gzseek(((struct capture *)arg)->gz, *offset, whence);

	if (at < 0)
		return -1;
	*offset = at;
	return 0;
}

static int gz_close(void *arg)
{
	struct capture *c = arg;

	return gzclose(c->gz);
}

/* A short file needs only a short buffer. */
static unsigned int buffer_for(const char *path)
{
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return GZ_BUFFER;
	return (unsigned int)MAX(GZ_LEAST, MIN(st.st_size, GZ_BUFFER));
}

/* gzopen() does not fail for a directory, so reading finds it. */
static int file_open(struct capture *c, const char *path)
{
	const cookie_io_functions_t io = { .read = gz_read, .seek = gz_seek, .close = gz_close };
	int err;

	errno = ENOMEM;
	c->gz = gzopen(path, "re");
	if (!c->gz)
		return -errno;
	gzbuffer(c->gz, buffer_for(path));
	c->file = fopencookie(c, "r", io);
	if (c->file)
		return 0;
	err = -errno;
	gzclose(c->gz);
	return err;
}

/* ---- pcap ---- */

static int next_frame(struct capture *c, struct capture_packet *out)
{
	struct frame_datagram d;
	struct pcap_pkthdr *head;
	enum frame_found found;
	const u_char *data;

	while (pcap_next_ex(c->pcap, &head, &data) == 1) {
		c->frames++;
		found = frame_datagram(pcap_datalink(c->pcap), data, head->caplen, c->fragments,
				       &d);
		c->partial += found == FRAME_PARTIAL;
		c->other += found == FRAME_OTHER;
		if (found != FRAME_DATAGRAM)
			continue;
		c->packets++;
		*out = (struct capture_packet){
			.src = d.src,
			.dst = d.dst,
			.party = d.party,
			.data = d.data,
			.len = d.len,
			.arrival_ns = head->ts.tv_sec * NSEC_PER_SEC + head->ts.tv_usec,
		};
		return 1;
	}
	return 0;
}

/* pcap_next_ex() has met the end of the file, or an error. */
static void end_of_frames(struct capture *c)
{
	size_t waiting = frame_fragments_waiting(c->fragments);
	const char *error = pcap_geterr(c->pcap);

	if (*error || c->gz_failed || c->gz_cut)
		snprintf(c->trouble, sizeof(c->trouble),
			 "%s: read no further than packet %llu: %.150s", c->path,
			 (unsigned long long)c->packets,
			 *error ? error : "the compressed file is cut or broken");
	else if (c->partial + waiting)
		snprintf(c->trouble, sizeof(c->trouble),
			 "%s: %llu packets were captured in part only and are left out", c->path,
			 (unsigned long long)(c->partial + waiting));
	if (!frame_known(pcap_datalink(c->pcap)))
		snprintf(c->why_empty, sizeof(c->why_empty),
			 "%s: its link type %d (%s) is not known", c->path, pcap_datalink(c->pcap),
			 pcap_datalink_val_to_name(pcap_datalink(c->pcap))
				 ? pcap_datalink_val_to_name(pcap_datalink(c->pcap))
				 : "no name");
	else if (c->frames)
		snprintf(c->why_empty, sizeof(c->why_empty),
			 "%s: none of its %llu frames has a whole UDP datagram", c->path,
			 (unsigned long long)c->frames);
	else
		snprintf(c->why_empty, sizeof(c->why_empty), "%s: there are no frames in it",
			 c->path);
}

/* ---- the ad-hoc format ---- */

/* 1: a record; 0: the end or no whole record; negative: no record. */
static int read_record(struct capture *c, struct format_packet *r, size_t *len)
{
	int n;

	*len = fread(c->record, 1, FORMAT_ADHOC_HEAD, c->file);
	n = format_adhoc(c->record, *len, r);
	if (n || *len < FORMAT_ADHOC_HEAD)
		return n;
	*len += fread(c->record + *len, 1, format_adhoc_len(c->record), c->file);
	return format_adhoc(c->record, *len, r);
}

static int next_record(struct capture *c, struct capture_packet *out)
{
	struct format_packet r;
	size_t len;
	int n;

	n = read_record(c, &r, &len);
	if (n > 0) {
		c->packets++;
		c->at += n;
		*out = (struct capture_packet){
			.src = r.src, .arrival_ns = r.realtime_ns, .data = r.data, .len = r.len
		};
		return 1;
	}
	if (c->gz_failed || c->gz_cut)
		snprintf(c->trouble, sizeof(c->trouble),
			 "%s: the compressed file is cut or broken at byte %llu", c->path,
			 (unsigned long long)c->at);
	else if (len)
		snprintf(c->trouble, sizeof(c->trouble),
			 "%s: %s at byte %llu; the rest is left out", c->path,
			 n ? "no record begins" : "a record is cut short",
			 (unsigned long long)c->at);
	snprintf(c->why_empty, sizeof(c->why_empty), "%s: there are no packets in it", c->path);
	return 0;
}

/* ---- files ---- */

static bool is_pcap(FILE *f)
{
	static const uint32_t magics[] = { 0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1,
					   0xa1b2cd34, 0x34cdb2a1, 0x0a0d0d0a };
	uint32_t magic = 0;
	size_t i, n = fread(&magic, sizeof(magic), 1, f);

	rewind(f);
	for (i = 0; n && i < ARRAY_SIZE(magics); i++)
		if (magic == magics[i])
			return true;
	return false;
}

static int begin(struct capture *c, const char *path, char *err, size_t err_size)
{
	char why[PCAP_ERRBUF_SIZE];
	bool pcap;
	int rc = file_open(c, path);

	if (rc) {
		snprintf(err, err_size, "cannot open %.300s: %s", path, strerror(-rc));
		return rc;
	}
	pcap = is_pcap(c->file);
	if (c->gz_failed) {
		snprintf(err, err_size, "cannot read %.300s", path);
		return -EIO;
	}
	if (!pcap)
		return 0;
	c->pcap =
		pcap_fopen_offline_with_tstamp_precision(c->file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (c->pcap)
		return 0;
	snprintf(err, err_size, "cannot read %.200s: %.200s", path, why);
	return -EINVAL;
}

int capture_open(struct capture **out, const char *path, char *err, size_t err_size)
{
	struct capture *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;

	*err = '\0';
	if (c)
		c->fragments = frame_fragments_new();
	if (c && c->fragments) {
		snprintf(c->path, sizeof(c->path), "%s", path);
		rc = begin(c, path, err, err_size);
	}
	if (rc == -ENOMEM && !*err)
		snprintf(err, err_size, "no memory for %.300s", path);
	if (rc) {
		capture_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void capture_close(struct capture *c)
{
	if (!c)
		return;
	if (c->pcap)
		pcap_close(c->pcap);
	else if (c->file)
		fclose(c->file);
	frame_fragments_free(c->fragments);
	free(c);
}

int capture_next(struct capture *c, struct capture_packet *out)
{
	if (!c->pcap)
		return next_record(c, out);
	if (next_frame(c, out))
		return 1;
	end_of_frames(c);
	return 0;
}

const char *capture_trouble(const struct capture *c)
{
	return c->trouble;
}

const char *capture_why_empty(const struct capture *c)
{
	return c->packets ? "" : c->why_empty;
}

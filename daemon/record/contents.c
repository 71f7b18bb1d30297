/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * contents.c - a block of a file at a time; the first bytes tell its format.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "record/contents.h"
#include "media/rtp.h"

#define BLOCK (4 * FORMAT_MAX_RECORD)

uint8_t contents_type(const uint8_t *data, size_t len)
{
	struct rtpx_packet rtp = { 0 };

	rtp_describe(&rtp, data, len);
	return rtp.kind == RTPX_PAYLOAD_RTP ? rtp.payload_type : CONTENTS_NO_TYPE;
}

void contents_add(struct contents *c, uint64_t realtime_ns, size_t bytes, uint8_t type)
{
	if (!c->packets)
		c->first_ns = realtime_ns;
	c->last_ns = realtime_ns;
	c->packets++;
	c->bytes += bytes;
	if (type < CONTENTS_TYPES)
		c->types[type]++;
}

/* Count the whole records at @in. Returns their bytes. */
static size_t count_block(struct contents *c, enum format format, const uint8_t *in, size_t len,
			  bool *broken)
{
	struct format_packet p;
	size_t at = 0;
	int n;

	while ((n = format_read(format, in + at, len - at, &p)) > 0) {
		contents_add(c, p.realtime_ns, p.len, contents_type(p.data, p.len));
		at += n;
	}
	*broken = n < 0;
	return at;
}

static int count_all(struct contents *c, int fd, uint8_t *block, bool *cut)
{
	enum format format = FORMAT_ADHOC;
	size_t have = 0, used;
	bool first = true, broken = false;
	ssize_t n;

	while (!broken && (n = read(fd, block + have, BLOCK - have)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		have += n;
		used = 0;
		if (first && have >= FORMAT_MAX_HEAD && format_is_pcap(block)) {
			format = FORMAT_PCAP;
			used = FORMAT_MAX_HEAD;
		}
		first = false;
		used += count_block(c, format, block + used, have - used, &broken);
		memmove(block, block + used, have - used);
		have -= used;
	}
	*cut = have > 0;
	return 0;
}

int contents_read(struct contents *c, int fd, bool *cut)
{
	uint8_t *block = malloc(BLOCK);
	int rc;

	if (!block)
		return -ENOMEM;
	*c = (struct contents){ 0 };
	rc = count_all(c, fd, block, cut);
	free(block);
	return rc;
}

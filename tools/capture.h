/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.h - reads the UDP datagrams of a recording or capture file one after the other, in little
 * memory. Formats: rtpproxy's ad-hoc format, pcap, pcapng, each also compressed by gzip. It does
 * not parse RTP.
 */
#ifndef RTPX_CAPTURE_H
#define RTPX_CAPTURE_H

#include "frame.h"

struct capture;

struct capture_packet {
	struct addr src, dst; /* dst is ADDR_NONE in the ad-hoc format */
	enum format_party party;
	uint64_t arrival_ns; /* CLOCK_REALTIME */
	const uint8_t *data; /* owned by the capture, until the next packet */
	size_t len;
};

/* capture_open - 0; or -errno with a sentence in @err that names the file. */
int capture_open(struct capture **out, const char *path, char *err, size_t err_size);
void capture_close(struct capture *c); /* NULL is allowed */

/* capture_next - the next datagram. Returns 1, or 0 at the end of the readable part. */
int capture_next(struct capture *c, struct capture_packet *out);

/*
 * capture_trouble - after the end: a sentence about cut or broken parts of the file; the empty
 * string if it was read whole.
 */
const char *capture_trouble(const struct capture *c);
/* capture_why_empty - after the end of a file without datagrams: a sentence that says why. */
const char *capture_why_empty(const struct capture *c);

#endif

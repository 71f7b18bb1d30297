/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.h - the UDP datagrams of a recording or capture file in memory: rtpproxy's ad-hoc format,
 * pcap, pcapng. Knows nothing of RTP.
 */
#ifndef RTPX_CAPTURE_H
#define RTPX_CAPTURE_H

#include "base/addr.h"

struct capture_packet {
	struct addr src, dst; /* dst is ADDR_NONE in the ad-hoc format */
	uint64_t arrival_ns;  /* CLOCK_REALTIME */
	uint8_t *data;	      /* owned by the capture */
	size_t len;
};

struct capture {
	struct capture_packet *packets; /* owned, in the file's order */
	size_t n;
	char trouble[300]; /* what could not be read; empty: nothing */
};

/*
 * capture_read - the file at @path, as far as it can be read: what is cut or broken is told in
 * @out->trouble. Negative, with a sentence in @err, when it cannot be opened, there is no memory or
 * it is of no known format. capture_free() it.
 */
int capture_read(const char *path, struct capture *out, char *err, size_t err_size);
void capture_free(struct capture *c);

#endif

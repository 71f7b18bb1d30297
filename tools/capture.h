/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.h - reads the UDP datagrams of a recording or capture file into memory. Formats:
 * rtpproxy's ad-hoc format, pcap, pcapng. It does not parse RTP.
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
	char trouble[300]; /* a sentence on the unreadable part; empty: none */
};

/*
 * capture_read - read the file at @path, as far as it is readable. @out->trouble describes cut or
 * broken parts. Negative, with a sentence in @err, when the file cannot be opened, its format is
 * not known, or memory is short. Release @out with capture_free().
 */
int capture_read(const char *path, struct capture *out, char *err, size_t err_size);
void capture_free(struct capture *c);

#endif

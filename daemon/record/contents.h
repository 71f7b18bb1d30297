/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * contents.h - counts the packets of a recording while they are written, or from its file.
 *
 * The writer's thread counts each record that the disk took. A file of a killed daemon is read.
 */
#ifndef RTPX_CONTENTS_H
#define RTPX_CONTENTS_H

#include "base/base.h"
#include "record/format.h"

#define CONTENTS_TYPES 128
#define CONTENTS_NO_TYPE 0xff

struct contents {
	uint64_t packets, bytes;	/* bytes of UDP payload */
	uint64_t first_ns, last_ns;	/* CLOCK_REALTIME; 0: no packet */
	uint32_t types[CONTENTS_TYPES]; /* RTP packets by payload type */
};

/* contents_type - the RTP payload type of a datagram; CONTENTS_NO_TYPE: it is not RTP. */
uint8_t contents_type(const uint8_t *data, size_t len);

/* contents_add - count a packet of @bytes and @type. */
void contents_add(struct contents *c, uint64_t realtime_ns, size_t bytes, uint8_t type);

/*
 * contents_read - count all records of the file @fd, which is a recording of this machine, from its
 * beginning. Sets *@cut if something behind the last whole record is none. 0 or -errno.
 */
int contents_read(struct contents *c, int fd, bool *cut);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame.h - finds the UDP datagram in a captured frame: Ethernet, Linux cooked, BSD loopback or raw
 * IP, with VLAN tags, PPPoE and MPLS, and puts IP fragments together. Does not parse UDP's payload.
 */
#ifndef RTPX_FRAME_H
#define RTPX_FRAME_H

#include "base/addr.h"
#include "record/format.h"

struct frame_datagram {
	struct addr src, dst;
	enum format_party party; /* of rtpxd's own recordings */
	const uint8_t *data;	 /* in the frame, or owned by the fragments until the next frame */
	size_t len;
};

enum frame_found {
	FRAME_DATAGRAM,
	FRAME_FRAGMENT, /* kept, the datagram is not complete */
	FRAME_PARTIAL,	/* UDP, but captured in part only */
	FRAME_OTHER	/* no UDP */
};

struct frame_fragments; /* fragments of a few datagrams; the oldest make room for others */

struct frame_fragments *frame_fragments_new(void); /* NULL: no memory */
void frame_fragments_free(struct frame_fragments *f);
/* frame_fragments_waiting - datagrams of which a fragment is missing, so far. */
size_t frame_fragments_waiting(const struct frame_fragments *f);

/* frame_known - true if frames of libpcap's link type @link can be parsed. */
bool frame_known(int link);
/* frame_datagram - find the datagram of the frame at @p. Sets @out for FRAME_DATAGRAM only. */
enum frame_found frame_datagram(int link, const uint8_t *p, size_t len, struct frame_fragments *f,
				struct frame_datagram *out);

#endif

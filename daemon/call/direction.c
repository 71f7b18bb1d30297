/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * direction.c - the names of directions.
 */
#include "call/direction.h"

const char *direction_text(struct direction d)
{
	static const char *const texts[SESSION_PARTIES][STREAM_KINDS] = {
		[SESSION_CALLEE] = { "callee rtp", "callee rtcp" },
		[SESSION_CALLER] = { "caller rtp", "caller rtcp" },
	};

	return texts[d.in->party][d.kind];
}

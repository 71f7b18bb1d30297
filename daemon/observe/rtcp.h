/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtcp.h - the reports in an RTCP packet as JSON. Pure.
 *
 * The members are those of rtpproxy's module acct_rtcp_hep, which Homer reads.
 */
#ifndef RTPX_RTCP_H
#define RTPX_RTCP_H

#include "base/base.h"

/* A time stamp in a report. */
struct rtcp_stamp {
	bool sent;	/* of a sender report; false: of a report block that answers one */
	uint32_t ssrc;	/* of the sender report's source */
	uint32_t ntp;	/* the middle 32 bits of its NTP time stamp; of a block 0: of none */
	uint32_t delay; /* of a block: since the sender report came there, in 1/65536 s */
};

#define RTCP_JSON_MAX 8192 /* bytes of one report: at most 31 report blocks */

/*
 * rtcp_reports - call @report for each sender report and receiver report of the compound packet
 * @data (RFC 3550, 6.4). @json: @len bytes, valid during the call. Returns the number of reports,
 * or -EINVAL if @data is not RTCP or is encrypted: the lengths of its parts do not add up to
 * @data_len, or a part is too short for its blocks. Nothing is reported then.
 */
int rtcp_reports(const uint8_t *data, size_t data_len,
		 void (*report)(void *arg, const char *json, size_t len), void *arg);

/*
 * rtcp_stamps - call @stamp for each time stamp in the reports of the compound packet @data.
 * Returns as rtcp_reports() does.
 */
int rtcp_stamps(const uint8_t *data, size_t data_len,
		void (*stamp)(void *arg, const struct rtcp_stamp *stamp), void *arg);

#endif

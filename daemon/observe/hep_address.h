/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hep_address.h - the address of a HEP collector as text. Pure: resolves no name.
 */
#ifndef RTPX_HEP_ADDRESS_H
#define RTPX_HEP_ADDRESS_H

#include "base/base.h"

#define HEP_PORT 9060 /* of Homer */

struct hep_address {
	bool tcp;
	char host[256]; /* without the brackets of an IPv6 address */
	uint16_t port;
};

/*
 * hep_address_parse - parse [udp:|tcp:]HOST[:PORT]; an IPv6 address stands in brackets. 0, or
 * -EINVAL with the reason in *@why, a static text.
 */
int hep_address_parse(struct hep_address *out, const char *text, const char **why);

#endif

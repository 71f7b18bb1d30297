/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decrypt.h - captured SRTP (RFC 3711) made plain again by libsrtp, with the key that SDP's crypto
 * attribute gave (RFC 4568).
 */
#ifndef RTPX_DECRYPT_H
#define RTPX_DECRYPT_H

#include "capture.h"

struct decrypt_key {
	int suite; /* decrypt.c's */
	uint8_t key_and_salt[30];
};

/*
 * decrypt_parse - "AES_CM_128_HMAC_SHA1_80:KEY" or "..._32:KEY", KEY being 30 bytes in base64.
 * -EINVAL.
 */
int decrypt_parse(const char *spec, struct decrypt_key *out);

/*
 * decrypt - every RTP packet of @c in place; those that the key does not fit are left out and told
 * in @c->trouble. -ENOMEM.
 */
int decrypt(struct capture *c, const struct decrypt_key *key);

#endif

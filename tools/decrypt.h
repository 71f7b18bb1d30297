/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decrypt.h - decrypts captured SRTP (RFC 3711) with libsrtp. The key is from the crypto attribute
 * of SDP (RFC 4568).
 */
#ifndef RTPX_DECRYPT_H
#define RTPX_DECRYPT_H

#include "capture.h"

struct decrypt_key {
	int suite; /* an index, private to decrypt.c */
	uint8_t key_and_salt[30];
};

/*
 * decrypt_parse - parse "AES_CM_128_HMAC_SHA1_80:KEY" or "..._32:KEY". KEY is 30 bytes in base64. 0
 * or -EINVAL.
 */
int decrypt_parse(const char *spec, struct decrypt_key *out);

/*
 * decrypt - decrypt every RTP packet of @c in place. Packets that the key does not fit, or that
 * came twice, are removed, and @c->trouble tells their number. 0 or -ENOMEM.
 */
int decrypt(struct capture *c, const struct decrypt_key *key);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decrypt.h - decrypts captured SRTP (RFC 3711, RFC 6188, RFC 7714) with libsrtp. Keys are those of
 * crypto attributes in SDP (RFC 4568).
 *
 * All keys of a call are in one set: the authentication tag tells which key a packet fits. So the
 * side that a key belongs to does not matter, and a call may change its keys.
 */
#ifndef RTPX_DECRYPT_H
#define RTPX_DECRYPT_H

#include "base/base.h"

#define DECRYPT_MAX_KEYS 16
#define DECRYPT_MAX_TRAILER 32 /* libsrtp may write so many bytes behind a packet */

struct decrypt_key {
	unsigned int suite; /* an index, private to decrypt.c */
	uint8_t key_and_salt[64];
};

/*
 * decrypt_parse - parse "[a=crypto:TAG ]SUITE[ inline]:KEY[|…]", the end of a crypto attribute.
 * KEY is base64. 0 or -EINVAL.
 */
int decrypt_parse(const char *spec, struct decrypt_key *out);
const char *decrypt_suites(void); /* the names of all suites, for a sentence */

struct decrypt;

int decrypt_new(struct decrypt **out, const struct decrypt_key *keys, size_t n); /* 0, -ENOMEM */
void decrypt_free(struct decrypt *d); /* NULL is allowed */

/*
 * decrypt_packet - decrypt the RTP packet in place; there is room for DECRYPT_MAX_TRAILER bytes
 * more. 0, or -EBADMSG: no key fits, -EALREADY: it came twice, -ENOMEM.
 */
int decrypt_packet(struct decrypt *d, uint8_t *packet, size_t *len);

#endif

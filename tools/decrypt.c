/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decrypt.c - decrypts with libsrtp, in one session for all SSRCs of a capture.
 */
#include <errno.h>
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>

#include "decrypt.h"
#include "media/rtp.h"

#define BASE64_CHARS 40 /* characters for 30 bytes */
#define MAX_TRAILER 32

static const struct suite {
	const char *name;
	void (*set)(srtp_crypto_policy_t *policy);
} suites[] = {
	{ "AES_CM_128_HMAC_SHA1_80", srtp_crypto_policy_set_rtp_default },
	{ "AES_CM_128_HMAC_SHA1_32", srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32 },
};

/* RFC 4648 section 4. 30 bytes need no padding. -EINVAL. */
static int base64(const char *text, uint8_t *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	size_t i;

	if (strspn(text, digits) != BASE64_CHARS || text[BASE64_CHARS])
		return -EINVAL;
	for (i = 0; i < BASE64_CHARS; i++) {
		bits = bits << 6 | (uint32_t)(strchr(digits, text[i]) - digits);
		if (i % 4 == 3) {
			*out++ = bits >> 16;
			*out++ = bits >> 8;
			*out++ = bits;
		}
	}
	return 0;
}

int decrypt_parse(const char *spec, struct decrypt_key *out)
{
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		len = strlen(suites[i].name);
		if (!strncmp(spec, suites[i].name, len) && spec[len] == ':') {
			out->suite = (int)i;
			return base64(spec + len + 1, out->key_and_salt);
		}
	}
	return -EINVAL;
}

/*
 * libsrtp writes behind the end of the packet, so make room. *@fits is false for a packet that the
 * key does not fit, or that came twice.
 */
static int unprotect(srtp_t session, struct capture_packet *p, bool *fits)
{
	uint8_t *room = realloc(p->data, p->len + MAX_TRAILER);
	int len = (int)p->len;

	if (!room)
		return -ENOMEM;
	p->data = room;
	*fits = srtp_unprotect(session, p->data, &len) == srtp_err_status_ok;
	if (*fits)
		p->len = len;
	return 0;
}

static bool is_rtp(const struct capture_packet *p)
{
	struct rtpx_packet rtp = { 0 };

	rtp_describe(&rtp, p->data, p->len);
	return rtp.kind == RTPX_PAYLOAD_RTP;
}

static int all(srtp_t session, struct capture *c)
{
	size_t i, kept = 0, lost = 0;
	bool fits;
	int rc = 0;

	for (i = 0; i < c->n; i++) {
		fits = true;
		if (!rc && is_rtp(&c->packets[i]))
			rc = unprotect(session, &c->packets[i], &fits);
		if (fits)
			c->packets[kept++] = c->packets[i];
		else
			free(c->packets[i].data);
		lost += !fits;
	}
	c->n = kept;
	if (lost)
		snprintf(c->trouble, sizeof(c->trouble),
			 "%zu packets do not fit the key, or came twice, and are left out", lost);
	return rc;
}

int decrypt(struct capture *c, const struct decrypt_key *key)
{
	srtp_policy_t policy = { .ssrc.type = ssrc_any_inbound, .window_size = 1024,
				 .key = (uint8_t *)key->key_and_salt };
	srtp_t session;
	int rc;

	if (srtp_init() != srtp_err_status_ok)
		return -ENOMEM;
	suites[key->suite].set(&policy.rtp);
	srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
	if (srtp_create(&session, &policy) != srtp_err_status_ok)
		return -ENOMEM;
	rc = all(session, c);
	srtp_dealloc(session);
	return rc;
}

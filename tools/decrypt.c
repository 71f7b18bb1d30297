/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decrypt.c - a libsrtp session for each SSRC. It begins with the key and the roll-over counter
 * that authenticate a packet: a recording may begin long after the stream.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <srtp2/srtp.h>
#include <stdlib.h>

#include "decrypt.h"
#include "base/hash.h"

#define ROLL_OVERS 256	 /* tried from 0: a stream of 93 hours at 50 packets a second */
#define SEARCHES 4	 /* for each SSRC, when no key fits */
#define ALL_SEARCHES 256 /* for all SSRCs of a call */
#define MAX_SSRCS 1024
#define MAX_PACKET 65536

static const struct suite {
	const char *name;
	void (*set)(srtp_crypto_policy_t *policy);
	size_t bytes; /* of key and salt */
} suites[] = {
	{ "AES_CM_128_HMAC_SHA1_80", srtp_crypto_policy_set_rtp_default, 30 },
	{ "AES_CM_128_HMAC_SHA1_32", srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32, 30 },
	{ "AES_192_CM_HMAC_SHA1_80", srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80, 38 },
	{ "AES_192_CM_HMAC_SHA1_32", srtp_crypto_policy_set_aes_cm_192_hmac_sha1_32, 38 },
	{ "AES_256_CM_HMAC_SHA1_80", srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80, 46 },
	{ "AES_256_CM_HMAC_SHA1_32", srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32, 46 },
	{ "AEAD_AES_128_GCM", srtp_crypto_policy_set_aes_gcm_128_16_auth, 28 },
	{ "AEAD_AES_256_GCM", srtp_crypto_policy_set_aes_gcm_256_16_auth, 44 },
};

/* One SSRC. */
struct keyed {
	uint32_t ssrc;
	srtp_t session;	       /* NULL: no key has fitted yet */
	unsigned int searches; /* left */
	UT_hash_handle hh;
};

struct decrypt {
	struct decrypt_key keys[DECRYPT_MAX_KEYS];
	size_t n;
	struct keyed *keyed;
	unsigned int searches; /* left */
	uint8_t try[MAX_PACKET + DECRYPT_MAX_TRAILER];
};

/* ---- keys ---- */

const char *decrypt_suites(void)
{
	static char all[256];
	size_t i;

	*all = '\0';
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		strcat(all, i ? ", " : "");
		strcat(all, suites[i].name);
	}
	return all;
}

/* RFC 4648 section 4, @bytes bytes and "=" for the rest of four characters. -EINVAL. */
static int base64(const char *text, size_t bytes, uint8_t *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t chars = (bytes * 8 + 5) / 6, i, n = 0;
	uint32_t bits = 0;
	const char *end;

	if (strspn(text, digits) != chars)
		return -EINVAL;
	end = text + chars;
	end += strspn(end, "=");
	if (end - text > (ptrdiff_t)(chars + 3) / 4 * 4 || (*end && *end != '|'))
		return -EINVAL;
	for (i = 0; i < chars; i++) {
		bits = bits << 6 | (uint32_t)(strchr(digits, text[i]) - digits);
		if (i % 4 == 0)
			continue;
		if (n < bytes)
			out[n++] = bits >> (6 - 2 * (i % 4));
	}
	return 0;
}

int decrypt_parse(const char *spec, struct decrypt_key *out)
{
	static const char attribute[] = "a=crypto:", inside[] = "inline:";
	unsigned int i;

	if (!strncmp(spec, attribute, strlen(attribute)))
		spec += strlen(attribute);
	spec += strspn(spec, "0123456789 ");
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		size_t len = strlen(suites[i].name);

		if (strncmp(spec, suites[i].name, len) || (spec[len] != ':' && spec[len] != ' '))
			continue;
		spec += len + 1;
		if (!strncmp(spec, inside, strlen(inside)))
			spec += strlen(inside);
		out->suite = i;
		return base64(spec, suites[i].bytes, out->key_and_salt);
	}
	return -EINVAL;
}

/* ---- sessions ---- */

static srtp_t session_of(const struct decrypt_key *key, uint32_t ssrc, uint32_t roll_over)
{
	srtp_policy_t policy = {
		.ssrc = { ssrc_specific, ssrc },
		.window_size = 1024,
		.key = (uint8_t *)key->key_and_salt,
	};
	srtp_t session;

	suites[key->suite].set(&policy.rtp);
	suites[key->suite].set(&policy.rtcp);
	if (srtp_create(&session, &policy) != srtp_err_status_ok)
		return NULL;
	if (srtp_set_stream_roc(session, ssrc, roll_over) == srtp_err_status_ok)
		return session;
	srtp_dealloc(session);
	return NULL;
}

static srtp_err_status_t attempt(struct decrypt *d, srtp_t session, const uint8_t *packet,
				 size_t len, size_t *out_len)
{
	int n = (int)len;
	srtp_err_status_t got;

	memcpy(d->try, packet, len);
	got = srtp_unprotect(session, d->try, &n);
	*out_len = n;
	return got;
}

/* Try each key with each roll-over counter. On success, @s gets the session that fits. */
static bool search(struct decrypt *d, struct keyed *s, const uint8_t *packet, size_t len,
		   size_t *out_len)
{
	uint32_t roll_over;
	srtp_t session;
	size_t i;

	for (roll_over = 0; roll_over < ROLL_OVERS; roll_over++) {
		for (i = 0; i < d->n; i++) {
			session = session_of(&d->keys[i], s->ssrc, roll_over);
			if (!session)
				continue;
			if (attempt(d, session, packet, len, out_len) == srtp_err_status_ok) {
				if (s->session)
					srtp_dealloc(s->session);
				s->session = session;
				s->searches = SEARCHES;
				return true;
			}
			srtp_dealloc(session);
		}
	}
	s->searches--;
	d->searches--;
	return false;
}

static struct keyed *keyed_of(struct decrypt *d, uint32_t ssrc)
{
	struct keyed *s;

	HASH_FIND(hh, d->keyed, &ssrc, sizeof(ssrc), s);
	if (s || HASH_COUNT(d->keyed) >= MAX_SSRCS)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->ssrc = ssrc;
	s->searches = SEARCHES;
	HASH_ADD(hh, d->keyed, ssrc, sizeof(s->ssrc), s);
	if (s->hh.tbl)
		return s;
	free(s);
	return NULL;
}

int decrypt_packet(struct decrypt *d, uint8_t *packet, size_t *len)
{
	srtp_err_status_t got = srtp_err_status_fail;
	struct keyed *s;
	uint32_t ssrc;
	size_t n;

	if (*len < 12 || *len > MAX_PACKET)
		return -EBADMSG;
	memcpy(&ssrc, packet + 8, sizeof(ssrc));
	s = keyed_of(d, ntohl(ssrc));
	if (!s)
		return -EBADMSG;
	if (s->session)
		got = attempt(d, s->session, packet, *len, &n);
	if (got == srtp_err_status_replay_fail || got == srtp_err_status_replay_old)
		return -EALREADY;
	if (got != srtp_err_status_ok &&
	    (!s->searches || !d->searches || !search(d, s, packet, *len, &n)))
		return -EBADMSG;
	memcpy(packet, d->try, n);
	*len = n;
	return 0;
}

/* ---- begin and end ---- */

/*
 * libsrtp cannot begin twice. Where it uses NSS, it loads that for the first session and unloads it
 * after the last one. So one session stays: a search makes hundreds, one after the other.
 */
static bool library_begins(void)
{
	static const struct decrypt_key any;
	static srtp_t stays;
	static bool begun;

	if (!begun)
		begun = srtp_init() == srtp_err_status_ok;
	if (begun && !stays)
		stays = session_of(&any, 1, 0);
	return stays;
}

int decrypt_new(struct decrypt **out, const struct decrypt_key *keys, size_t n)
{
	struct decrypt *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	if (!library_begins()) {
		free(d);
		return -ENOMEM;
	}
	d->searches = ALL_SEARCHES;
	d->n = MIN(n, DECRYPT_MAX_KEYS);
	if (d->n)
		memcpy(d->keys, keys, d->n * sizeof(*keys));
	*out = d;
	return 0;
}

void decrypt_free(struct decrypt *d)
{
	struct keyed *s, *next;

	if (!d)
		return;
	HASH_ITER(hh, d->keyed, s, next) {
		HASH_DEL(d->keyed, s);
		if (s->session)
			srtp_dealloc(s->session);
		free(s);
	}
	free(d);
}

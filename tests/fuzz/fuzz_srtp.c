/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_srtp.c - any text as a key of SRTP, an option of extractaudio, and any packet that libsrtp
 * encrypts with it. The first byte chooses the roll-over counter and the damage of the packet, the
 * text ends with the line, and the rest is the packet. Checked is: the packet comes back as it was,
 * a second time it is a repetition, and a damaged one is refused.
 */
#include <assert.h>
#include <stdio.h>

#include "../../tools/decrypt.c"

#define HEAD 12
#define MAX_BYTES 1500
#define ROOM (MAX_BYTES + SRTP_MAX_TRAILER_LEN + DECRYPT_MAX_TRAILER)
#define DAMAGED 0xff /* rarely: a search through all counters takes milliseconds */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Encrypt @len bytes at @p. Returns the new length; 0: libsrtp refuses them. */
static size_t protect(const struct decrypt_key *key, uint8_t p[ROOM], size_t len, uint32_t counter)
{
	const uint32_t ssrc = (uint32_t)p[8] << 24 | p[9] << 16 | p[10] << 8 | p[11];
	srtp_t session = session_of(key, ssrc, counter);
	int n = (int)len;
	srtp_err_status_t got;

	assert(session);
	got = srtp_protect(session, p, &n);
	srtp_dealloc(session);
	return got == srtp_err_status_ok ? (size_t)n : 0;
}

static void try_packet(const struct decrypt_key *key, const uint8_t *data, size_t size, uint8_t how)
{
	static uint8_t plain[ROOM], sent[ROOM], p[ROOM];
	size_t len = MIN(size, MAX_BYTES), sent_len, n;
	struct decrypt *d;

	memcpy(plain, data, len);
	plain[0] = (plain[0] & 0x3f) | 0x80; /* RTP, version 2 */
	memcpy(sent, plain, len);
	sent_len = protect(key, sent, len, how & 3);
	if (!sent_len)
		return;
	if (decrypt_new(&d, key, 1))
		abort();
	memcpy(p, sent, n = sent_len);
	if (how == DAMAGED) {
		p[n - 1] ^= 1;
		assert(decrypt_packet(d, p, &n) == -EBADMSG);
		memcpy(p, sent, n = sent_len);
	}
	assert(decrypt_packet(d, p, &n) == 0);
	assert(n == len && !memcmp(p, plain, len));
	memcpy(p, sent, n = sent_len);
	assert(decrypt_packet(d, p, &n) == -EALREADY);
	decrypt_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decrypt_key key = { 0 };
	struct decrypt *begin;
	const uint8_t *line;
	char text[256];
	size_t len;
	int rc;

	if (!size || decrypt_new(&begin, NULL, 0)) /* begins libsrtp */
		return 0;
	decrypt_free(begin);
	line = memchr(data + 1, '\n', size - 1);
	len = line ? (size_t)(line - data - 1) : size - 1;
	snprintf(text, sizeof(text), "%.*s", (int)MIN(len, sizeof(text)), (const char *)data + 1);
	rc = decrypt_parse(text, &key);
	assert(rc == 0 || rc == -EINVAL);
	assert(rc || key.suite < ARRAY_SIZE(suites));
	if (!rc && line && data + size - line > HEAD)
		try_packet(&key, line + 1, (size_t)(data + size - line - 1), data[0]);
	return 0;
}

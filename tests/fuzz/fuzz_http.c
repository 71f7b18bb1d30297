/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_http.c - any head of a request to the listener of --metrics.
 */
#include <assert.h>
#include <stdlib.h>

#include "../../daemon/control/http.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = MIN(size, HTTP_HEAD_MAX);
	char *text = malloc(len + 1), value[HTTP_HEAD_MAX + 1];
	struct http_request r = { 0 };
	int status;

	assert(text);
	memcpy(text, data, len);
	text[len] = '\0';
	status = http_parse(&r, text);
	assert(status == 0 || status == 400 || status == 405 || status == 413);
	assert(memchr(r.host, '\0', sizeof(r.host)));
	http_names_address(&r);
	if (!status) {
		assert(r.uri);
		http_argument(&r, "call_id", value);
		assert(strlen(value) <= HTTP_HEAD_MAX);
	}
	http_free(&r);
	free(text);
	return 0;
}

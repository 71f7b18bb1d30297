/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_rtcp.c - any RTCP packet into reports for a HEP collector, and any text as its address.
 */
#include <assert.h>
#include <stdlib.h>

#include "../../daemon/observe/hep.c"
#include "../../daemon/observe/hep_address.c"
#include "../../daemon/observe/rtcp.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t input_len;

static void on_report(void *arg, const char *json, size_t len)
{
	static uint8_t message[HEP_MAX];
	const struct hep_packet p = {
		.src = { .family = input_len & 1 ? ADDR_IP6 : ADDR_IP4 },
		.dst = { .family = input_len & 1 ? ADDR_IP6 : ADDR_IP4 },
		.correlation = { (const char *)input, input_len },
		.payload = { json, len },
	};
	int n = hep_encode(&p, message);

	(*(int *)arg)++;
	assert(len < RTCP_JSON_MAX && json[0] == '{' && json[len - 1] == '}');
	assert(n > 0 && n <= HEP_MAX && (message[4] << 8 | message[5]) == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hep_address address;
	char *text = malloc(size + 1);
	const char *why = NULL;
	int reports = 0, n;

	assert(text);
	input = data;
	input_len = size;
	n = rtcp_reports(data, size, on_report, &reports);
	assert(n == (n < 0 ? -EINVAL : reports) && (n >= 0 || !reports));
	memcpy(text, data, size);
	text[size] = '\0';
	if (hep_address_parse(&address, text, &why) == 0)
		assert(address.port && *address.host && !why);
	else
		assert(why);
	free(text);
	return 0;
}

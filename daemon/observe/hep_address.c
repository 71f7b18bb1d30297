/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hep_address.c - parses a value of --hep.
 */
#include "observe/hep_address.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

static const char *take_port(uint16_t *port, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !n || n > UINT16_MAX)
		return "the port must be 1 to 65535";
	*port = (uint16_t)n;
	return NULL;
}

static const char *take_host(struct hep_address *a, const char *text)
{
	size_t len = *text == '[' ? strcspn(text, "]") : strcspn(text, ":");
	const char *rest = text + len;

	if (*text == '[' && *rest != ']')
		return "the IPv6 address has no ']'";
	if (*text == '[') {
		text++, len--, rest++;
	} else if (*rest && strchr(rest + 1, ':')) {
		return "an IPv6 address must stand in brackets";
	}
	if (!len || len >= sizeof(a->host))
		return "it needs a host";
	memcpy(a->host, text, len);
	a->host[len] = '\0';
	if (!*rest)
		return NULL;
	return *rest == ':' ? take_port(&a->port, rest + 1) : "after the host comes :PORT";
}

int hep_address_parse(struct hep_address *out, const char *text, const char **why)
{
	struct hep_address a = { .port = HEP_PORT };

	a.tcp = !strncasecmp(text, "tcp:", 4);
	if (a.tcp || !strncasecmp(text, "udp:", 4))
		text += 4;
	*why = take_host(&a, text);
	if (*why)
		return -EINVAL;
	*out = a;
	return 0;
}

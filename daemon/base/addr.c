/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.c - addresses as values. No names are resolved here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/addr.h"

int addr_parse(struct addr *out, enum addr_family family, const char *text, size_t len)
{
	struct addr a = { .family = family };
	char buf[INET6_ADDRSTRLEN];
	struct in_addr in;

	if (len >= sizeof(buf) || memchr(text, '\0', len))
		return -EINVAL;
	memcpy(buf, text, len);
	buf[len] = '\0';
	if (family == ADDR_IP6) {
		if (inet_pton(AF_INET6, buf, a.ip) != 1)
			return -EINVAL;
	} else {
		/* inet_aton() accepts text after a blank and ignores it */
		if (strpbrk(buf, " \t\r\n\v\f") || !inet_aton(buf, &in))
			return -EINVAL;
		memcpy(a.ip, &in, 4);
	}
	*out = a;
	return 0;
}

bool addr_host_eq(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, addr_ip_len(a)) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_host_eq(a, b);
}

bool addr_is_any(const struct addr *a)
{
	static const uint8_t zero[16];

	return a->family != ADDR_NONE && memcmp(a->ip, zero, addr_ip_len(a)) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t loopback6[16] = { [15] = 1 };

	if (a->family == ADDR_IP4)
		return a->ip[0] == 127;
	return a->family == ADDR_IP6 && memcmp(a->ip, loopback6, 16) == 0;
}

static bool ip4_is_hidden(const uint8_t ip[4])
{
	return ip[0] == 10 || ip[0] == 127 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) ||
	       (ip[0] == 192 && ip[1] == 168) || (ip[0] == 100 && (ip[1] & 0xc0) == 64) ||
	       (ip[0] == 169 && ip[1] == 254);
}

bool addr_is_hidden(const struct addr *a)
{
	if (a->family == ADDR_NONE || addr_is_any(a) || addr_is_loopback(a))
		return true;
	if (a->family == ADDR_IP4)
		return ip4_is_hidden(a->ip);
	return (a->ip[0] & 0xfe) == 0xfc || (a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80);
}

struct addr addr_with_port(struct addr a, uint16_t port)
{
	a.port = port;
	return a;
}

const char *addr_host_text(const struct addr *a, char buf[ADDR_TEXT])
{
	if (a->family == ADDR_NONE)
		snprintf(buf, ADDR_TEXT, "none");
	else
		inet_ntop(a->family == ADDR_IP6 ? AF_INET6 : AF_INET, a->ip, buf, ADDR_TEXT);
	return buf;
}

const char *addr_text(const struct addr *a, char buf[ADDR_TEXT])
{
	char host[ADDR_TEXT];

	addr_host_text(a, host);
	if (a->family == ADDR_NONE)
		return memcpy(buf, host, ADDR_TEXT);
	snprintf(buf, ADDR_TEXT, a->family == ADDR_IP6 ? "[%.45s]:%u" : "%.45s:%u", host, a->port);
	return buf;
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	switch (a->family) {
	case ADDR_IP4:
		*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(a->port) };
		memcpy(&in->sin_addr, a->ip, 4);
		return sizeof(*in);
	case ADDR_IP6:
		*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					      .sin6_port = htons(a->port) };
		memcpy(&in6->sin6_addr, a->ip, 16);
		return sizeof(*in6);
	default:
		return 0;
	}
}

struct addr addr_from_sockaddr(const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	struct addr a = { 0 };

	if (sa->sa_family == AF_INET) {
		a.family = ADDR_IP4;
		a.port = ntohs(in->sin_port);
		memcpy(a.ip, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);

		a.family = mapped ? ADDR_IP4 : ADDR_IP6;
		a.port = ntohs(in6->sin6_port);
		memcpy(a.ip, (const uint8_t *)&in6->sin6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
	}
	return a;
}

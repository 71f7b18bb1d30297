/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.h - an IP address with a port, as a plain value. Never resolves names.
 */
#ifndef RTPX_ADDR_H
#define RTPX_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/base.h"

enum addr_family { ADDR_NONE = 0, ADDR_IP4 = 4, ADDR_IP6 = 6 };

#define ADDR_TEXT 56 /* fits "[v6]:port" and NUL */

struct addr {
	uint8_t family; /* enum addr_family; ADDR_NONE: no address, all else is 0 */
	uint8_t pad;
	uint16_t port;	/* host byte order */
	uint8_t ip[16]; /* network byte order; IPv4 uses the first four, the rest is 0 */
};

static inline size_t addr_ip_len(const struct addr *a)
{
	return a->family == ADDR_IP6 ? 16 : a->family == ADDR_IP4 ? 4 : 0;
}

/*
 * addr_parse - numeric IPv4 (inet_aton forms too) or IPv6 text of @len bytes; 0 or -EINVAL. Port 0.
 */
int addr_parse(struct addr *out, enum addr_family family, const char *text, size_t len);

bool addr_eq(const struct addr *a, const struct addr *b);      /* host and port */
bool addr_host_eq(const struct addr *a, const struct addr *b); /* host only */
bool addr_is_any(const struct addr *a);			       /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a);
/*
 * addr_is_hidden - no packet can have it as source on a public network: private (RFC 1918, RFC
 * 4193), a carrier's NAT (RFC 6598), link-local (RFC 3927, RFC 4291 section 2.5.6), loopback or
 * none.
 */
bool addr_is_hidden(const struct addr *a);

/* addr_with_port - @a with another port. */
struct addr addr_with_port(struct addr a, uint16_t port);

/*
 * addr_host_text, addr_text - "192.0.2.1" or "2001:db8::1"; with port "192.0.2.1:5" or
 * "[2001:db8::1]:5". Write at most ADDR_TEXT bytes to @buf and return it.
 */
const char *addr_host_text(const struct addr *a, char buf[ADDR_TEXT]);
const char *addr_text(const struct addr *a, char buf[ADDR_TEXT]);

/* addr_to_sockaddr - fills @ss; returns its length, 0 for ADDR_NONE. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss);

/* addr_from_sockaddr - IPv4-mapped IPv6 becomes IPv4; ADDR_NONE for other families. */
struct addr addr_from_sockaddr(const struct sockaddr *sa);

#endif

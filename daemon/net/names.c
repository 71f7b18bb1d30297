/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * names.c - host names by getaddrinfo_a(3), which asks in threads of glibc.
 */
#include "net/names.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <time.h>

struct question {
	struct gaicb cb;
	struct addrinfo hints;
	char host[256];
};

int names_ask(struct question **out, const char *host, int family)
{
	struct question *q = calloc(1, sizeof(*q));
	struct gaicb *list[1];

	if (!q || strlen(host) >= sizeof(q->host)) {
		free(q);
		return -ENOMEM;
	}
	strcpy(q->host, host);
	q->hints = (struct addrinfo){ .ai_family = family, .ai_socktype = SOCK_DGRAM };
	q->cb = (struct gaicb){ .ar_name = q->host, .ar_request = &q->hints };
	list[0] = &q->cb;
	if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL)) {
		free(q);
		return -ENOMEM;
	}
	*out = q;
	return 0;
}

bool names_answered(const struct question *q)
{
	return gai_error((struct gaicb *)&q->cb) != EAI_INPROGRESS;
}

void names_wait(const struct question *q, unsigned int ms)
{
	const struct timespec most = { ms / 1000, ms % 1000 * NSEC_PER_MSEC };
	const struct gaicb *list[1] = { &q->cb };

	gai_suspend(list, 1, &most);
}

int names_take(struct question *q, struct addr *out, unsigned int max, const char **why)
{
	int error = gai_error(&q->cb), n = 0;

	if (why)
		*why = gai_strerror(error);
	if (!error) {
		for (struct addrinfo *i = q->cb.ar_result; i && n < (int)max; i = i->ai_next)
			out[n++] = addr_with_port(addr_from_sockaddr(i->ai_addr), 0);
		freeaddrinfo(q->cb.ar_result);
	}
	free(q);
	return n ? n : -EHOSTUNREACH;
}

/* A question is not freed while a thread of the resolver works on it: the thread writes into it. */
void names_drop(struct question *q)
{
	if (q && (names_answered(q) || gai_cancel(&q->cb) == EAI_CANCELED))
		names_take(q, NULL, 0, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * names.h - addresses of host names, without waiting for a name server. A resolver that gets no
 * answer reports that after ten seconds and more.
 */
#ifndef RTPX_NAMES_H
#define RTPX_NAMES_H

#include "base/addr.h"
#include "base/base.h"

struct question;

/*
 * names_ask - begin to ask for @host. @family AF_INET, AF_INET6 or AF_UNSPEC. 0 or -ENOMEM.
 * names_take() or names_drop() ends it.
 */
int names_ask(struct question **out, const char *host, int family);

/* names_answered - true when the answer is there for names_take(). */
bool names_answered(const struct question *q);

/* names_wait - wait for the answer, @ms at most. */
void names_wait(const struct question *q, unsigned int ms);

/*
 * names_take - the answer: at most @max addresses, port 0. Returns their number, above 0;
 * -EHOSTUNREACH with the resolver's words (static) in *@why, which may be NULL. Frees @q.
 */
int names_take(struct question *q, struct addr *out, unsigned int max, const char **why);

/* names_drop - the answer is not wanted any more. NULL is allowed. */
void names_drop(struct question *q);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admission.c - counts and limits new sessions. It knows no session.
 */
#include "engine/admission.h"

/* Each call costs its share of a second, up to a second in advance. */
static bool is_too_fast(struct admission *a, uint64_t now_ns)
{
	uint64_t spent_ns = MAX(a->spent_ns, now_ns) + NSEC_PER_SEC / a->max_cps;

	if (spent_ns > now_ns + NSEC_PER_SEC)
		return true;
	a->spent_ns = spent_ns;
	return false;
}

enum proto_error admission_ask(struct admission *a, const struct admission_ask *ask,
			       const char **why)
{
	if (a->draining) {
		*why = "draining (rtpxctl undrain ends it)";
		a->stats->nsess_drained++;
		return E_SHUTDOWN;
	}
	if (a->max_sessions && ask->sessions >= a->max_sessions)
		*why = "the limit of --max-sessions is reached";
	else if (a->max_cps && ask->new_call && is_too_fast(a, ask->now_ns))
		*why = "more calls a second than --max-cps allows";
	else
		return PROTO_OK;
	a->stats->nsess_limited++;
	return E_OVERLOAD;
}

void admission_drain(struct admission *a, bool draining, uint64_t now_ns)
{
	if (a->draining == draining)
		return;
	a->draining = draining;
	a->draining_since_ns = now_ns;
}

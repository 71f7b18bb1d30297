/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recordings.c - finds the sessions of R, N and C, and hands them to the recorder.
 */
#include "engine/recordings.h"

enum proto_error recordings_start(const struct recordings *r, const struct dialog *of,
				  bool single_file)
{
	struct session_matches m = session_matches(r->sessions, of);
	struct leg *leg;
	bool done = false;

	while ((leg = session_match_next(&m))) {
		done |= recorder_start(r->recorder, leg, single_file) == 0;
		session_dirty(r->sessions, leg_session(leg));
		if (m.exact)
			break;
	}
	return done ? PROTO_OK : E_SESSION;
}

/* The recorder gets the mirror's copies of the time before the stop first. */
static bool stop_leg(const struct recordings *r, struct leg *leg, uint64_t now_ns)
{
	mirror_drain(r->mirror);
	session_dirty(r->sessions, leg_session(leg));
	return recorder_stop(r->recorder, leg, now_ns) == 0;
}

enum proto_error recordings_stop(const struct recordings *r, const struct dialog *of, bool both,
				 uint64_t now_ns)
{
	struct session_matches m = session_matches(r->sessions, of);
	struct leg *leg;
	bool done = false;

	while ((leg = session_match_next(&m))) {
		done |= stop_leg(r, leg, now_ns);
		if (both)
			done |= stop_leg(r, leg_other(leg), now_ns);
		if (m.exact)
			break;
	}
	return done ? PROTO_OK : E_SESSION;
}

static bool is_network_target(struct span target)
{
	return target.len >= 4 && memcmp(target.p, "udp:", 4) == 0;
}

enum proto_error recordings_copy(const struct recordings *r, const struct dialog *of,
				 struct span target, bool single_file, uint64_t now_ns,
				 struct face *from)
{
	struct leg *leg = session_find(r->sessions, of);
	const struct addr *local;

	if (!leg)
		return E_SESSION;
	if ((from && !is_network_target(target)) ||
	    recorder_copy(r->recorder, leg, target, single_file, now_ns))
		return E_COPY;
	session_dirty(r->sessions, leg_session(leg));
	if (!from)
		return PROTO_OK;
	local = recorder_copy_local(leg);
	if (!local)
		return E_COPY;
	*from = (struct face){ *local, faces_advertised(r->faces, local) };
	return PROTO_OK;
}

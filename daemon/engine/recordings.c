/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recordings.c - finds the sessions of R, N and C, and hands them to the recorder.
 */
#include "engine/recordings.h"

enum proto_error recordings_start(const struct recordings *r, const struct dialog *of,
				  bool single_file)
{
	struct session_matches m = session_matches(r->sessions, of);
	struct session *s;
	bool done = false;

	while ((s = session_match_next(&m))) {
		done |= recorder_start(r->recorder, s, m.party, single_file) == 0;
		session_dirty(r->sessions, s);
		if (m.exact)
			break;
	}
	return done ? PROTO_OK : E_SESSION;
}

/* The recorder gets the mirror's copies of the time before the stop first. */
static bool stop_leg(const struct recordings *r, struct session *s, int leg, uint64_t now_ns)
{
	mirror_drain(r->mirror);
	session_dirty(r->sessions, s);
	return recorder_stop(r->recorder, s, leg, now_ns) == 0;
}

enum proto_error recordings_stop(const struct recordings *r, const struct dialog *of, bool both,
				 uint64_t now_ns)
{
	struct session_matches m = session_matches(r->sessions, of);
	struct session *s;
	bool done = false;

	while ((s = session_match_next(&m))) {
		done |= stop_leg(r, s, m.party, now_ns);
		if (both)
			done |= stop_leg(r, s, !m.party, now_ns);
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
	const struct addr *local;
	enum session_party party;
	struct session *s =
		session_find(r->sessions, of->call_id, of->from_tag, of->to_tag, &party);

	if (!s)
		return E_SESSION;
	if ((from && !is_network_target(target)) ||
	    recorder_copy(r->recorder, s, party, target, single_file, now_ns))
		return E_COPY;
	session_dirty(r->sessions, s);
	if (!from)
		return PROTO_OK;
	local = recorder_copy_local(&s->leg[party]);
	if (!local)
		return E_COPY;
	*from = (struct face){ *local, faces_advertised(r->faces, local) };
	return PROTO_OK;
}

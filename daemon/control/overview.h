/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overview.h - the state of all calls in one small JSON document, for rtpxctl top and the status
 * page. docs/admin-json.md describes it.
 */
#ifndef RTPX_OVERVIEW_H
#define RTPX_OVERVIEW_H

#include "base/base.h"
#include "call/session.h"
#include "call/stats.h"
#include "dataplane/dp.h"
#include "engine/relay.h"
#include "observe/survey.h"

struct json_object;

struct overview_opts {
	struct survey *survey;
	struct sessions *sessions;
	const struct stats *stats;
	struct dp *dp;
	const struct relay *relay;
	bool draining; /* new sessions are refused */
};

/* overview_json - keeps the survey going. The caller drops the document. */
struct json_object *overview_json(const struct overview_opts *o);

#endif

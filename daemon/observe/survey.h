/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * survey.h - figures about all living sessions, gathered in slices so that the loop never waits.
 *
 * A round visits every session: it reads the dataplane's counters, judges the quality of each
 * party since the round before, and counts. A round begins every SURVEY_NS, or when the one before
 * is over. Without a reader there are no rounds.
 */
#ifndef RTPX_SURVEY_H
#define RTPX_SURVEY_H

#include "base/base.h"
#include "call/session.h"
#include "dataplane/sync.h"
#include "observe/totals.h"

struct event_base;
struct survey;

#define SURVEY_NS (5 * NSEC_PER_SEC)
#define SURVEY_SLICE_NS (NSEC_PER_MSEC / 2) /* of a turn of the loop */
#define SURVEY_HEARD_NS (10 * NSEC_PER_SEC) /* a party silent for longer is not heard */
#define SURVEY_WORST 20
#define SURVEY_NAME 256

/* A direction of a living session, for a list of the worst. Longer names are cut. */
struct survey_worst {
	char call_id[SURVEY_NAME], from_tag[SURVEY_NAME];
	uint32_t number;
	enum session_party party;
	struct quality_recent quality;
};

/* The result of a round. */
struct survey_view {
	uint64_t ended_ns; /* CLOCK_MONOTONIC; 0: no round is over yet */
	uint64_t took_ns;
	uint64_t busy_ns; /* of the loop's time */
	unsigned int sessions;
	/* Sessions by the parties heard lately. New: complete for less than SURVEY_HEARD_NS. */
	unsigned int incomplete, fresh, both_ways, one_way, silent;
	unsigned int directions[STREAM_KINDS][FLOW_WHY_COUNT];
	unsigned int flows[RTPX_FAMILIES]; /* elements of the dataplane in use */
	unsigned int n_worst;
	struct survey_worst worst[SURVEY_WORST]; /* lowest MOS first */
};

int survey_new(struct survey **out, struct event_base *base, struct sessions *sessions,
	       struct sync *sync);
void survey_free(struct survey *v); /* NULL is allowed */

/* survey_keep - there is a reader: make rounds for the next minute. */
void survey_keep(struct survey *v);
/* survey_view - the latest round. It is valid until the loop turns. */
const struct survey_view *survey_view(const struct survey *v);
/* survey_samples - for each round, a value of each direction with RTP since the round before. */
const struct quality_totals *survey_samples(const struct survey *v);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recordings.h - the use cases R, N and C: record or copy a party's packets, and stop that.
 */
#ifndef RTPX_RECORDINGS_H
#define RTPX_RECORDINGS_H

#include "base/addr.h"
#include "base/base.h"
#include "call/session.h"
#include "engine/faces.h"
#include "protocol/proto.h"
#include "record/mirror.h"
#include "record/recorder.h"

/* The modules that these use cases act on. */
struct recordings {
	struct sessions *sessions;
	struct recorder *recorder;
	struct mirror *mirror; /* NULL: the dataplane makes no copies */
	const struct faces *faces;
};

/*
 * recordings_start, recordings_stop - R and N, for every session that the prefix rules match.
 * @both: stop both parties. PROTO_OK: at least one session records, or recorded, the party of the
 * first tag; else E_SESSION.
 */
enum proto_error recordings_start(const struct recordings *r, const struct dialog *of,
				  bool single_file);
enum proto_error recordings_stop(const struct recordings *r, const struct dialog *of, bool both,
				 uint64_t now_ns);

/*
 * recordings_copy - C: copy packets of the party of the first tag to @target, a file or
 * "udp:HOST:PORT". PROTO_OK, E_SESSION or E_COPY. @from NULL: the source of the copies does not
 * matter. Else @target must be a network address, and *@from gets the face that is the source.
 */
enum proto_error recordings_copy(const struct recordings *r, const struct dialog *of,
				 struct span target, bool single_file, uint64_t now_ns,
				 struct face *from);

#endif

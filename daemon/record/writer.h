/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recwriter.h - recordings on disk: files that the loop fills, and a thread that writes them.
 *
 * The loop hands packets over through a bounded queue and never waits for the disk: what does not
 * fit is lost and counted. Only for the opening of a file it waits a little, so that a command can
 * say what went wrong, and not again while a disk hangs.
 * Knows directories and bytes, no sessions. All functions are for one thread, the loop's.
 */
#ifndef RTPX_RECWRITER_H
#define RTPX_RECWRITER_H

#include "base/base.h"
#include "record/format.h"
#include "base/tally.h"

#define RECWRITER_QUEUE (16u << 20)
#define RECWRITER_BUFFER 4096 /* bytes of each file that wait in memory */
#define RECWRITER_FILES 65536 /* open ones, and those that wait for the disk */
#define RECWRITER_PATIENCE_MS 250
#define RECWRITER_EXIT_MS 5000 /* how long the end waits for a disk that does not answer */

struct recwriter;
struct recwriter_file;

struct recwriter_opts {
	const char *dir;       /* -r; NULL: no file can be opened */
	const char *spool_dir; /* -S: written there, moved to @dir when closed; NULL: none */
	bool pcap;	       /* -P; else the ad-hoc format */
	size_t queue_bytes;    /* a multiple of 8; 0: RECWRITER_QUEUE */
	/* How long a command waits for a file to open; 0: RECWRITER_PATIENCE_MS. */
	unsigned int patience_ms;
	/* Called each few ms while a command waits; opens and closes no file. NULL: nothing is to be done. */
	void (*meanwhile)(void *arg);
	void *arg;
};

/* recwriter_new - the thread begins with the first file. 0 or -ENOMEM. */
int recwriter_new(struct recwriter **out, const struct recwriter_opts *opts);
/* recwriter_free - every file has been closed: completes them, or gives up after RECWRITER_EXIT_MS. */
void recwriter_free(struct recwriter *w);

/*
 * recwriter_open - begin the file @name (no '/' in it) in the spool or the final directory; one that
 * is there is replaced. A name that is open for the same @tally is joined. 0, -EBUSY when another
 * tally's is open, -ENODEV without a directory, -ENFILE when too many are, or -errno of the file
 * system. Also 0 when the disk has not answered within patience_ms: should it refuse later,
 * packets are lost, and tried again, as with any other trouble.
 */
int recwriter_open(struct recwriter *w, const char *name, struct tally *tally,
		   struct recwriter_file **out);
/*
 * recwriter_rescue - a file of this name that an earlier process has left in the spool goes to where
 * finished ones are. Nothing without a spool, or when there is none.
 */
void recwriter_rescue(struct recwriter *w, const char *name, struct tally *tally);
/* recwriter_put - queue a packet; counted as recorded when it is written. */
void recwriter_put(struct recwriter *w, struct recwriter_file *f, const struct recformat_packet *p);
/* recwriter_close - for each open one: the last writes what is queued and moves the file from the spool. */
void recwriter_close(struct recwriter *w, struct recwriter_file *f);
const char *recwriter_name(const struct recwriter_file *f);

/* recwriter_reap - forget files that the thread has completed; about once a second. */
void recwriter_reap(struct recwriter *w);
/* recwriter_idle - wait until everything that was closed is complete; at most @timeout_ms. 0 or -ETIMEDOUT. */
int recwriter_idle(struct recwriter *w, unsigned int timeout_ms);
unsigned int recwriter_files(const struct recwriter *w); /* open ones, and those being completed */

#endif

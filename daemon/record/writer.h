/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.h - recordings on disk: the loop queues packets, and a thread writes them to files.
 *
 * The queue is bounded and the loop never waits for the disk: packets that do not fit are lost and
 * counted. Only opening a file waits a little, so the command can report an error. While a disk
 * hangs, later commands do not wait.
 * Knows directories and bytes, not sessions. Only the loop's thread calls these functions.
 */
#ifndef RTPX_RECWRITER_H
#define RTPX_RECWRITER_H

#include "base/base.h"
#include "record/format.h"
#include "base/tally.h"

#define RECWRITER_QUEUE (16u << 20)
#define RECWRITER_BUFFER 4096 /* bytes of each file that are held in memory */
#define RECWRITER_FILES 65536 /* open files, and closed files that wait for the disk */
#define RECWRITER_PATIENCE_MS 250
#define RECWRITER_EXIT_MS 5000 /* recwriter_free() waits this long for a hanging disk */

struct recwriter;
struct recwriter_file;

struct recwriter_opts {
	const char *dir;       /* -r; NULL: no file can be opened */
	const char *spool_dir; /* -S: files are written there, moved to @dir on close; NULL: none */
	bool pcap;	       /* -P; else the ad-hoc format */
	size_t queue_bytes;    /* a multiple of 8; 0: RECWRITER_QUEUE */
	/* How long a command waits for a file to open; 0: RECWRITER_PATIENCE_MS. */
	unsigned int patience_ms;
	/* Called every few ms while a command waits; must not open or close a file. May be NULL. */
	void (*meanwhile)(void *arg);
	void *arg;
};

/* recwriter_new - the thread starts with the first file. 0 or -ENOMEM. */
int recwriter_new(struct recwriter **out, const struct recwriter_opts *opts);
/*
 * recwriter_free - called after every file is closed. Waits until they are complete, or gives up
 * after RECWRITER_EXIT_MS.
 */
void recwriter_free(struct recwriter *w);

/*
 * recwriter_open - create the file @name, which has no '/', in the spool or else in the final
 * directory. Replaces an existing file. If @name is open for the same @tally, share it. Returns 0,
 * -EBUSY if @name is open for another tally, -ENODEV without a directory, -ENFILE with too many
 * files open, or -errno of the file system. Also returns 0 if the disk has not answered within
 * patience_ms. If it refuses later, packets are lost and each write tries again, as after any
 * error.
 */
int recwriter_open(struct recwriter *w, const char *name, struct tally *tally,
		   struct recwriter_file **out);
/*
 * recwriter_rescue - move the file @name that an earlier process left in the spool to the final
 * directory. Does nothing without a spool or without such a file.
 */
void recwriter_rescue(struct recwriter *w, const char *name, struct tally *tally);
/* recwriter_put - queue a packet. It counts as recorded once it is written. */
void recwriter_put(struct recwriter *w, struct recwriter_file *f, const struct recformat_packet *p);
/*
 * recwriter_close - called once for each recwriter_open(). After the last call for a file, the
 * thread writes the queued packets and moves the file from the spool.
 */
void recwriter_close(struct recwriter *w, struct recwriter_file *f);
const char *recwriter_name(const struct recwriter_file *f);

/* recwriter_reap - free files that the thread has completed. Called about once a second. */
void recwriter_reap(struct recwriter *w);
/*
 * recwriter_idle - wait until all closed files are complete, at most @timeout_ms. 0 or -ETIMEDOUT.
 */
int recwriter_idle(struct recwriter *w, unsigned int timeout_ms);
unsigned int recwriter_files(const struct recwriter *w); /* open and not yet reaped */

#endif

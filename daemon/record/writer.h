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

#include <limits.h>

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
	bool replace;	       /* replace an existing file, instead of beginning the next part */
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

/* The name of a file: @stem, for a @part above 1 "=" and its number, and @suffix. No '/'. */
struct recwriter_name {
	const char *stem, *suffix;
	uint16_t part; /* the lowest that is wanted */
	/* a part is taken if a file with one of these suffixes exists; ends with NULL */
	const char *const *taken_by;
};

/* recwriter_name_text - write the name to @out. 0 or -ENAMETOOLONG. */
int recwriter_name_text(const struct recwriter_name *name, uint16_t part, char out[NAME_MAX + 1]);

/*
 * recwriter_open - create a file in the spool or else in the final directory. Its part is the first
 * one, from @name->part up, of which neither directory has a file. With @replace it is @name->part,
 * and replaces an existing file. If the stem and the suffix are open for the same @tally, share
 * that file. Returns 0, -EBUSY if they are open for another tally, -ENAMETOOLONG, -ENODEV without a
 * directory, -ENFILE with too many files open, or -errno of the file system. Also returns 0 if the
 * disk has not answered within patience_ms. If it refuses later, packets are lost and each write
 * tries again, as after any error.
 */
int recwriter_open(struct recwriter *w, const struct recwriter_name *name, struct tally *tally,
		   struct recwriter_file **out);
/*
 * recwriter_rescue - move the file @name that an earlier process left in the spool to the final
 * directory. Does nothing without a spool or without such a file.
 */
void recwriter_rescue(struct recwriter *w, const char *name, struct tally *tally);
/*
 * recwriter_put - queue a packet. It counts as recorded once it is written.
 * recwriter_flush - called after a batch of packets: show them to the thread. It writes the packets
 * of a batch in the order of their times. Times in a file never go backwards: a packet older than
 * the last written one gets its time.
 */
void recwriter_put(struct recwriter *w, struct recwriter_file *f, const struct recformat_packet *p);
void recwriter_flush(struct recwriter *w);
/*
 * recwriter_close - called once for each recwriter_open(). After the last call for a file, the
 * thread writes the queued packets and moves the file from the spool.
 */
void recwriter_close(struct recwriter *w, struct recwriter_file *f);
/* recwriter_name - write the file's name to @out; its part may change until the disk has it. */
void recwriter_name(const struct recwriter_file *f, char out[NAME_MAX + 1]);
uint16_t recwriter_part(const struct recwriter_file *f);

/* recwriter_reap - free files that the thread has completed. Called about once a second. */
void recwriter_reap(struct recwriter *w);
/*
 * recwriter_idle - wait until all closed files are complete, at most @timeout_ms. 0 or -ETIMEDOUT.
 */
int recwriter_idle(struct recwriter *w, unsigned int timeout_ms);
unsigned int recwriter_files(const struct recwriter *w); /* open and not yet reaped */

#endif

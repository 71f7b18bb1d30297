/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.h - recordings on disk: the loop queues packets, and a thread writes them to files.
 *
 * The queue is bounded and the loop never waits for the disk: packets that do not fit are lost and
 * counted. Only opening a file waits a little, so the command can report an error. While a disk
 * hangs, later commands do not wait.
 * Knows directories and bytes, not sessions. Only the loop's thread calls these functions.
 */
#ifndef RTPX_WRITER_H
#define RTPX_WRITER_H

#include <limits.h>

#include "base/base.h"
#include "base/tally.h"
#include "record/contents.h"
#include "record/format.h"

#define WRITER_QUEUE (16u << 20)
#define WRITER_BUFFER 4096 /* bytes of each file that are held in memory */
#define WRITER_FILES 65536 /* open files, and closed files that wait for the disk */
#define WRITER_PATIENCE_MS 250
#define WRITER_EXIT_MS 5000 /* writer_free() waits this long for a hanging disk */

struct writer;
struct writer_file;

/* A complete file, as far as the disk took it. */
struct writer_result {
	const char *name; /* below the directory */
	uint16_t part;
	const struct contents *contents;
	bool created;  /* false: the disk has never taken it */
	bool in_spool; /* it could not be moved to the final directory */
};

struct writer_opts {
	const char *dir;       /* -r; NULL: no file can be opened */
	const char *spool_dir; /* -S: files are written there, moved to @dir on close; NULL: none */
	bool pcap;	       /* -P; else the ad-hoc format */
	bool replace;	       /* replace an existing file, instead of beginning the next part */
	size_t queue_bytes;    /* a multiple of 8; 0: WRITER_QUEUE */
	/* How long a command waits for a file to open; 0: WRITER_PATIENCE_MS. */
	unsigned int patience_ms;
	/* Called every few ms while a command waits; must not open or close a file. May be NULL. */
	void (*meanwhile)(void *arg);
	void *arg;
	/* Called by writer_reap() for each file with a @user; may be NULL. */
	void (*completed)(void *arg, void *user, const struct writer_result *result);
	void *completed_arg;
};

/* writer_new - the thread starts with the first file. 0 or -ENOMEM. */
int writer_new(struct writer **out, const struct writer_opts *opts);
/*
 * writer_free - called after every file is closed. Waits until they are complete, or gives up
 * after WRITER_EXIT_MS.
 */
void writer_free(struct writer *w);

/*
 * The name of a file: @stem, for a @part above 1 "=" and its number, and @suffix. A '/' in the stem
 * ends the name of a directory, which is made; the caller has checked that none is "." or "..".
 */
struct writer_name {
	const char *stem, *suffix;
	uint16_t part; /* the lowest that is wanted */
	/* a part is taken if a file with one of these suffixes exists; ends with NULL */
	const char *const *taken_by;
};

/* writer_name_text - write the name to @out. 0 or -ENAMETOOLONG. */
int writer_name_text(const struct writer_name *name, uint16_t part, char out[NAME_MAX + 1]);

/*
 * writer_open - create a file in the spool or else in the final directory. Its part is the first
 * one, from @name->part up, of which neither directory has a file. With @replace it is @name->part,
 * and replaces an existing file. If the stem and the suffix are open for the same @tally, share
 * that file, and the first @user stays. Returns 0, -EBUSY if they are open for another tally,
 * -ENAMETOOLONG, -ENODEV without a directory, -ENFILE with too many files open, or -errno of the
 * file system. Also returns 0 if the disk has not answered within patience_ms. If it refuses later,
 * packets are lost and each write tries again, as after any error.
 */
int writer_open(struct writer *w, const struct writer_name *name, struct tally *tally, void *user,
		struct writer_file **out);
/*
 * writer_rescue - move the file @name that an earlier process left in the spool to the final
 * directory. Does nothing without a spool or without such a file.
 */
void writer_rescue(struct writer *w, const char *name, struct tally *tally);
/*
 * writer_put - queue a packet. It counts as recorded once it is written.
 * writer_flush - called after a batch of packets: show them to the thread. It writes the packets
 * of a batch in the order of their times. Times in a file never go backwards: a packet older than
 * the last written one gets its time.
 */
void writer_put(struct writer *w, struct writer_file *f, const struct format_packet *p);
void writer_flush(struct writer *w);
/*
 * writer_close - called once for each writer_open(). After the last call for a file, the
 * thread writes the queued packets and moves the file from the spool.
 */
void writer_close(struct writer *w, struct writer_file *f);
/* writer_name - write the file's name to @out; its part may change until the disk has it. */
void writer_name(const struct writer_file *f, char out[NAME_MAX + 1]);
uint16_t writer_part(const struct writer_file *f);
void *writer_user(const struct writer_file *f); /* the @user of the first writer_open() */

/* writer_reap - free files that the thread has completed. Called about once a second. */
void writer_reap(struct writer *w);
/*
 * writer_idle - wait until all closed files are complete, at most @timeout_ms. 0 or -ETIMEDOUT.
 */
int writer_idle(struct writer *w, unsigned int timeout_ms);
unsigned int writer_files(const struct writer *w); /* open and not yet reaped */

#endif

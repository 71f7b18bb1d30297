/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * accounts.h - a record of each ended session in a file: rtpproxy's rtpproxy_acct.csv, or JSON
 * lines. A thread writes, so the loop never waits for a disk or for the lock of the file.
 */
#ifndef RTPX_ACCOUNTS_H
#define RTPX_ACCOUNTS_H

#include "base/base.h"
#include "call/report.h"

#define ACCOUNTS_QUEUE 10000 /* records that wait for the disk; more are lost and counted */
#define ACCOUNTS_EXIT_MS 5000

struct accounts;

enum accounts_format { ACCOUNTS_CSV, ACCOUNTS_JSON, ACCOUNTS_FORMATS };

/*
 * accounts_new - open the file of each format for appending, and write the header of a new CSV
 * file. @path: NULL for a format without a file. 0, or -errno with a sentence in @err.
 */
int accounts_new(struct accounts **out, const char *const path[ACCOUNTS_FORMATS], char *err,
		 size_t err_size);
/* accounts_free - waits until the records are written, at most ACCOUNTS_EXIT_MS. NULL is allowed.
 */
void accounts_free(struct accounts *a);

/*
 * accounts_add - queue a record for each file. A file is locked (fcntl) for each write and opened
 * again when it was renamed or removed, as rtpproxy's module does.
 */
void accounts_add(struct accounts *a, const struct call_report *r);

/* accounts_lost - records that were not written. */
uint64_t accounts_lost(const struct accounts *a);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sheetfile.h - descriptions of recordings as files. A file is written beside and renamed, so a
 * reader finds the old one or the new one. All functions may wait for the disk: threads only.
 *
 * @dir is the record directory, @sub a directory in it or NULL. @name may have '/'.
 */
#ifndef RTPX_SHEETFILE_H
#define RTPX_SHEETFILE_H

#include "base/base.h"

struct json_object;

/* sheetfile_write - 0 or -errno. Makes @sub if it is missing. */
int sheetfile_write(const char *dir, const char *sub, const char *name, struct json_object *sheet);
/* sheetfile_read - NULL: there is no such file, or sheet_is_valid() refuses it. */
struct json_object *sheetfile_read(const char *dir, const char *sub, const char *name);
int sheetfile_open(const char *dir, const char *sub, const char *name);	  /* to read; or -errno */
int sheetfile_remove(const char *dir, const char *sub, const char *name); /* 0 or -errno */
/* sheetfile_rename - replace the suffix @from of @name by @to. 0 or -errno. */
int sheetfile_rename(const char *dir, const char *sub, const char *name, const char *from,
		     const char *to);
/* sheetfile_each - call @each with the name of each file in @sub; it may remove and rename them. */
void sheetfile_each(const char *dir, const char *sub, void (*each)(void *arg, const char *name),
		    void *arg);

#endif

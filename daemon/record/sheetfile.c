/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sheetfile.c - opens the directory for each action: a file system may be mounted there meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "record/sheetfile.h"
#include "base/whole.h"
#include "record/sheet.h"

#define MAX_BYTES (4u << 20) /* of a description that is read */

/* Open the directory of the file. A descriptor or -errno. */
static int sheets_open(const char *dir, const char *sub, bool make)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), in;

	if (fd < 0)
		return -errno;
	if (!sub)
		return fd;
	in = openat(fd, sub, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0 && errno == ENOENT && make && mkdirat(fd, sub, 0777) == 0)
		in = openat(fd, sub, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0)
		in = -errno;
	close(fd);
	return in;
}

/* No call can have a file whose name begins with a dot, so the temporary one is ours. */
static int write_beside(int dir, const char *name, const char *text)
{
	const char *slash = strrchr(name, '/');
	char beside[PATH_MAX];
	int fd, err;

	snprintf(beside, sizeof(beside), "%.*s.rtpx-%d.tmp", slash ? (int)(slash + 1 - name) : 0,
		 name, (int)getpid());
	fd = openat(dir, beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	err = write_whole(fd, text, strlen(text)) ? 0 : -errno;
	if (close(fd) && !err)
		err = -errno;
	if (!err && renameat(dir, beside, dir, name))
		err = -errno;
	if (err)
		unlinkat(dir, beside, 0);
	return err;
}

int sheetfile_write(const char *dir, const char *sub, const char *name, struct json_object *sheet)
{
	const char *text = json_object_to_json_string_ext(sheet, SHEET_LAYOUT);
	int fd = sheets_open(dir, sub, true), err;

	if (fd < 0)
		return fd;
	err = text ? write_beside(fd, name, text) : -ENOMEM;
	close(fd);
	return err;
}

int sheetfile_open(const char *dir, const char *sub, const char *name)
{
	int at = sheets_open(dir, sub, false), fd;

	if (at < 0)
		return at;
	fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(at);
	return fd;
}

/* The whole file as a string; the caller frees it. */
static char *file_text(int fd)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > (off_t)MAX_BYTES)
		return NULL;
	text = malloc(st.st_size + 1);
	if (!text)
		return NULL;
	n = read(fd, text, st.st_size);
	text[MAX(n, 0)] = '\0';
	return text;
}

struct json_object *sheetfile_read(const char *dir, const char *sub, const char *name)
{
	int fd = sheetfile_open(dir, sub, name);
	struct json_object *sheet;
	char *text;

	if (fd < 0)
		return NULL;
	text = file_text(fd);
	close(fd);
	sheet = text ? json_tokener_parse(text) : NULL;
	free(text);
	if (!sheet || sheet_is_valid(sheet))
		return sheet;
	json_object_put(sheet);
	return NULL;
}

int sheetfile_remove(const char *dir, const char *sub, const char *name)
{
	int at = sheets_open(dir, sub, false), err;

	if (at < 0)
		return at;
	err = unlinkat(at, name, 0) ? -errno : 0;
	close(at);
	return err;
}

int sheetfile_rename(const char *dir, const char *sub, const char *name, const char *from,
		     const char *to)
{
	int at = sheets_open(dir, sub, false), err;
	char other[NAME_MAX + 1];

	if (at < 0)
		return at;
	snprintf(other, sizeof(other), "%.*s%s", (int)(strlen(name) - strlen(from)), name, to);
	err = renameat(at, name, at, other) ? -errno : 0;
	close(at);
	return err;
}

void sheetfile_each(const char *dir, const char *sub, void (*each)(void *arg, const char *name),
		    void *arg)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d;

	if (snprintf(path, sizeof(path), "%s/%s", dir, sub ? sub : ".") >= (int)sizeof(path))
		return;
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			each(arg, e->d_name);
	if (d)
		closedir(d);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockfile.c - binds unix sockets. A user with write access to the directory could replace the
 * file by a link to another file. After bind() it is therefore changed only through a descriptor.
 */
#include "control/sockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/un.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/refuse.h"

#define BORN_MODE 0600 /* mode of the file until it has its owner */

static char *absolute_path(const char *path)
{
	char *cwd, *out;

	if (path[0] == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return NULL;
	if (asprintf(&out, "%s/%s", cwd, path) < 0)
		out = NULL;
	free(cwd);
	return out;
}

/*
 * Removes a stale socket file. connect() shows whether a process listens on it. The connect() does
 * not block, because a process that hangs does not accept.
 */
static int clear_path(const struct sockaddr_un *sun, char *err, size_t err_size)
{
	struct stat st;
	int fd, r;

	if (lstat(sun->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return refuse(err, err_size, -EEXIST,
			      "%s exists and is not a socket; choose another path", sun->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return refuse(err, err_size, -errno, "cannot make a unix socket: %s",
			      strerror(errno));
	r = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ? -errno : 0;
	close(fd);
	if (r != -ECONNREFUSED)
		return refuse(err, err_size, -EADDRINUSE,
			      "another program answers on %s; stop it or choose another path",
			      sun->sun_path);
	if (unlink(sun->sun_path) < 0)
		return refuse(err, err_size, -errno, "cannot remove the stale socket %s: %s",
			      sun->sun_path, strerror(errno));
	return 0;
}

/*
 * open_file - open the file that bind() has made, to change its owner and mode. With CAP_NET_ADMIN
 * the kernel gives a descriptor of exactly that file. Otherwise open it by name and check that it
 * is a socket of our user.
 */
static int open_file(int sock, const char *path)
{
	int fd = ioctl(sock, SIOCUNIXFILE);
	struct stat st;

	if (fd >= 0)
		return fd;
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid())
		return fd;
	close(fd);
	return -ESTALE;
}

static int give_away(int file, const struct sockfile_opts *o, mode_t mode)
{
	char self[32];

	if ((o->uid != (uid_t)-1 || o->gid != (gid_t)-1) &&
	    fchownat(file, "", o->uid, o->gid, AT_EMPTY_PATH) < 0)
		return -errno;
	/* fchmod() refuses a descriptor with O_PATH; chmod() through /proc takes it. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	return chmod(self, mode) < 0 ? -errno : 0;
}

static mode_t umask_now(void)
{
	mode_t mask = umask(0077);

	umask(mask);
	return mask;
}

static int make_file(struct sockfile *f, const char *path, const struct sockfile_opts *o, char *err,
		     size_t err_size)
{
	mode_t mode = o->mode >= 0 ? (mode_t)o->mode : 0777 & ~umask_now();
	int file = open_file(f->fd, path), r;
	struct stat st;

	if (file < 0)
		return refuse(err, err_size, file, "%s: another file is in its place: %s", path,
			      strerror(-file));
	if (fstat(file, &st) == 0) {
		f->dev = st.st_dev;
		f->ino = st.st_ino;
		f->path = absolute_path(path);
	}
	r = give_away(file, o, mode);
	close(file);
	return r < 0 ? refuse(err, err_size, r, "cannot change the owner or mode of %s: %s", path,
			      strerror(-r))
		     : 0;
}

int sockfile_open(struct sockfile *f, const char *path, const struct sockfile_opts *opts, char *err,
		  size_t err_size)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int r;

	*f = (struct sockfile){ .fd = -1 };
	if (!*path || strlen(path) >= sizeof(sun.sun_path))
		return refuse(err, err_size, -ENAMETOOLONG, "the path must have 1 to %zu bytes",
			      sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path, path, strlen(path));
	r = clear_path(&sun, err, err_size);
	if (r < 0)
		return r;
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->fd < 0)
		return refuse(err, err_size, -errno, "cannot make a unix socket: %s",
			      strerror(errno));
	fchmod(f->fd, BORN_MODE); /* bind() gives the file the mode of the socket */
	r = bind(f->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : 0;
	if (r < 0)
		r = refuse(err, err_size, r, "cannot create %s: %s%s", path, strerror(-r),
			   r == -ENOENT ? "; make its directory first" : "");
	else
		r = make_file(f, path, opts, err, err_size);
	if (r == 0 && listen(f->fd, opts->backlog) < 0)
		r = refuse(err, err_size, -errno, "cannot listen on %s: %s", path, strerror(errno));
	if (r < 0)
		sockfile_close(f);
	return r;
}

void sockfile_adopt(struct sockfile *f, int fd, const char *path)
{
	struct stat st;

	*f = (struct sockfile){ .fd = fd };
	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->path = absolute_path(path);
}

void sockfile_leave(struct sockfile *f)
{
	free(f->path);
	f->path = NULL;
}

void sockfile_unlink(struct sockfile *f)
{
	struct stat st;

	if (f->path && lstat(f->path, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino &&
	    unlink(f->path) < 0)
		log_dbug("%s: cannot remove it: %s", f->path, strerror(errno));
	free(f->path);
	f->path = NULL;
}

void sockfile_close(struct sockfile *f)
{
	sockfile_unlink(f);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

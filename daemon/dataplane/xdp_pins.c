/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_pins.c - finds, makes and removes the files in the directory of pins. It attaches no program
 * and reads only the map `config`.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "dataplane/xdp_pins.h"
#include "base/dirlock.h"
#include "base/log.h"

#define LINK_PREFIX "link_"
#define PIN_PATH (NAME_MAX + 32)

/* ---- the directory ---- */

static bool is_bpffs(const char *dir)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

static int try_open(struct xdp_pins *p)
{
	int rc;

	if (mkdir(p->dir, 0700) && errno != EEXIST)
		return -errno;
	p->fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	rc = p->fd < 0 ? -errno : dirlock(p->fd);
	if (rc)
		xdp_pins_close(p, true);
	return rc;
}

/* False: the previous daemon removed the directory before we had the lock. */
static bool is_current(const struct xdp_pins *p)
{
	struct stat held, there;

	return fstat(p->fd, &held) == 0 && stat(p->dir, &there) == 0 && held.st_ino == there.st_ino;
}

int xdp_pins_open(struct xdp_pins *p, const char *dir, char *err, size_t err_size)
{
	char copy[PATH_MAX];
	const char *parent;
	int rc;

	snprintf(p->dir, sizeof(p->dir), "%s", dir);
	snprintf(copy, sizeof(copy), "%s", dir);
	p->fd = -1;
	parent = strncmp(copy, "/sys/fs/bpf/", 12) == 0 ? "/sys/fs/bpf" : dirname(copy);
	if (!is_bpffs(p->dir) && !is_bpffs(parent)) {
		snprintf(err, err_size, "no BPF file system holds %.200s: mount -t bpf bpf %.200s",
			 p->dir, parent);
		return -ENOENT;
	}
	while (!(rc = try_open(p))) {
		if (is_current(p))
			return 0;
		xdp_pins_close(p, true);
	}
	if (rc == -EBUSY)
		snprintf(err, err_size,
			 "another rtpxd uses %.200s: give this one another --pin-dir", p->dir);
	else if (rc == -EACCES)
		snprintf(err, err_size,
			 "%.200s: this user may not use it: run as root, or with CAP_BPF, "
			 "CAP_NET_ADMIN "
			 "and CAP_PERFMON in a unit that makes this directory for its user",
			 p->dir);
	else
		snprintf(err, err_size, "cannot use %.200s: %s", p->dir, strerror(-rc));
	return rc;
}

void xdp_pins_close(struct xdp_pins *p, bool keep)
{
	if (p->fd < 0)
		return;
	if (!keep)
		rmdir(p->dir); /* fails if it has files of another owner */
	close(p->fd);
	p->fd = -1;
}

/*
 * The path to a pin through the open directory. systemd mounts the BPF file system with a root
 * directory for root only, which the `-u` user may not enter.
 */
static const char *way_to(const struct xdp_pins *p, const char *name, char out[PIN_PATH])
{
	snprintf(out, PIN_PATH, "/proc/self/fd/%d/%s", p->fd, name);
	return out;
}

static int pin_get(const struct xdp_pins *p, const char *name)
{
	char path[PIN_PATH];
	int fd = bpf_obj_get(way_to(p, name, path));

	return fd < 0 ? -errno : fd;
}

/* The directory from its beginning; NULL: it cannot be read. */
static DIR *list(const struct xdp_pins *p)
{
	int fd = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* ---- maps ---- */

int xdp_pins_config(const struct xdp_pins *p, struct rtpx_config *out)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info), key = 0;
	int fd = pin_get(p, "config");
	void *value;

	*out = (struct rtpx_config){ .abi_version = UINT32_MAX };
	if (fd == -ENOENT || fd == -EPERM)
		return fd;
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	    info.key_size == sizeof(key)) {
		value = calloc(1, info.value_size);
		if (value && bpf_map_lookup_elem(fd, &key, value) == 0)
			memcpy(out, value, MIN(info.value_size, sizeof(*out)));
		free(value);
	}
	if (fd >= 0)
		close(fd);
	return out->abi_version == RTPX_ABI_VERSION && info.value_size == sizeof(*out) ? 0
										       : -EPROTO;
}

/* Reuse one pinned map. Check its type and sizes first: libbpf would not. */
static int map_reuse(const struct xdp_pins *p, struct bpf_map *map, char *err, size_t err_size)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = pin_get(p, bpf_map__name(map)), rc = fd < 0 ? fd : 0;

	if (!rc && bpf_obj_get_info_by_fd(fd, &info, &len))
		rc = -errno;
	if (!rc && (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
		    info.value_size != bpf_map__value_size(map)))
		rc = -EINVAL;
	if (!rc)
		rc = bpf_map__reuse_fd(map, fd);
	if (fd >= 0)
		close(fd);
	if (rc == -ENOENT)
		snprintf(err, err_size, "the map %s is missing", bpf_map__name(map));
	else if (rc)
		snprintf(err, err_size, "the map %s cannot be used: %s", bpf_map__name(map),
			 strerror(-rc));
	return rc;
}

int xdp_pins_reuse(const struct xdp_pins *p, struct bpf_object *obj, char *err, size_t err_size)
{
	struct bpf_map *map;
	int rc = 0;

	bpf_object__for_each_map(map, obj) if (!rc && !bpf_map__is_internal(map)) rc =
		map_reuse(p, map, err, err_size);
	return rc;
}

int xdp_pins_maps(const struct xdp_pins *p, struct bpf_object *obj, char *err, size_t err_size)
{
	char path[PIN_PATH];
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		if (bpf_obj_pin(bpf_map__fd(map), way_to(p, bpf_map__name(map), path))) {
			snprintf(err, err_size, "cannot pin a map as %.300s/%s: %s", p->dir,
				 bpf_map__name(map), strerror(errno));
			return -errno;
		}
	}
	return 0;
}

int xdp_pins_map(const struct xdp_pins *p, const struct bpf_map *map)
{
	char path[PIN_PATH];

	unlinkat(p->fd, bpf_map__name(map), 0);
	return bpf_obj_pin(bpf_map__fd(map), way_to(p, bpf_map__name(map), path)) ? -errno : 0;
}

/* ---- links ---- */

/* A dot is not allowed in the name of a pin. */
void xdp_pins_link(const struct xdp_pins *p, int link, const char *ifname, char name[XDP_PIN_NAME])
{
	char path[PIN_PATH], *dot;

	snprintf(name, XDP_PIN_NAME, LINK_PREFIX "%s", ifname);
	for (dot = name; (dot = strchr(dot, '.'));)
		*dot = '_';
	if (bpf_obj_pin(link, way_to(p, name, path)) == 0)
		return;
	log_warn("cannot pin %s/%s (%s): if the daemon is killed, the calls through this interface "
		 "stop",
		 p->dir, name, strerror(errno));
	name[0] = '\0';
}

void xdp_pins_unlink(const struct xdp_pins *p, const char *name)
{
	if (name[0])
		unlinkat(p->fd, name, 0);
}

static bool is_link(const char *name)
{
	return strncmp(name, LINK_PREFIX, sizeof(LINK_PREFIX) - 1) == 0;
}

void xdp_pins_links(const struct xdp_pins *p, void (*take)(void *arg, const char *name, int link),
		    void *arg)
{
	DIR *d = list(p);
	struct dirent *e;
	int fd;

	while (d && (e = readdir(d))) {
		fd = is_link(e->d_name) ? pin_get(p, e->d_name) : -ENOENT;
		if (fd >= 0)
			take(arg, e->d_name, fd);
	}
	if (d)
		closedir(d);
}

/* ---- the end of all of it ---- */

/*
 * Detach through the link: that is complete on return. After a mere unpin the kernel detaches some
 * time later.
 */
static void detach(void *arg, const char *name, int link)
{
	(void)arg, (void)name;
	bpf_link_detach(link);
	close(link);
}

static bool is_map(const struct bpf_object *obj, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);

	return map && !bpf_map__is_internal(map);
}

void xdp_pins_forget_maps(const struct xdp_pins *p)
{
	DIR *d = opendir(p->dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && !is_link(e->d_name))
			unlinkat(p->fd, e->d_name, 0);
	if (d)
		closedir(d);
}

unsigned int xdp_pins_remove(const struct xdp_pins *p, const struct bpf_object *obj)
{
	unsigned int n = 0;
	struct dirent *e;
	DIR *d;

	xdp_pins_links(p, detach, NULL);
	d = list(p);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && (!obj || is_link(e->d_name) || is_map(obj, e->d_name)))
			n += unlinkat(p->fd, e->d_name, 0) == 0;
	if (d)
		closedir(d);
	return n;
}

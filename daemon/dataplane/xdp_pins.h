/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_pins.h - the directory of pins, which outlives the daemon. It has a file for each map, under
 * the map's name, and link_IFNAME for each interface with the program. A daemon that uses it holds
 * a lock (flock) on it. xdp.c handles the contents of maps and links.
 */
#ifndef RTPX_XDP_PINS_H
#define RTPX_XDP_PINS_H

#include <limits.h>

#include "base/base.h"
#include "rtpx_abi.h"

struct bpf_object;

struct xdp_pins {
	char dir[PATH_MAX];
	int fd; /* the directory; -1: not open */
};

/*
 * xdp_pins_open - make the directory if necessary, and lock it. 0; -EBUSY: another daemon has the
 * lock (dirlock() waits for one that ends); or -errno. @err gets a sentence.
 */
int xdp_pins_open(struct xdp_pins *p, const char *dir, char *err, size_t err_size);
/* xdp_pins_close - close the directory. Without @keep, remove it if it is empty. */
void xdp_pins_close(struct xdp_pins *p, bool keep);

/*
 * xdp_pins_config - read the configuration of the pinned maps. 0; -ENOENT: there is none; -EPERM:
 * the kernel refuses BPF to this process; -EPROTO: the maps have another ABI version.
 * out->abi_version then has that version, and no other member of @out is valid.
 */
int xdp_pins_config(const struct xdp_pins *p, struct rtpx_config *out);

/*
 * xdp_pins_reuse - make @obj use the pinned maps. Call before @obj is loaded. 0, or -errno with a
 * sentence if a map is missing or has another type or size; then @obj is not usable any more.
 */
int xdp_pins_reuse(const struct xdp_pins *p, struct bpf_object *obj, char *err, size_t err_size);
/* xdp_pins_map - pin a map, in the place of one with its name. 0 or -errno. */
int xdp_pins_map(const struct xdp_pins *p, const struct bpf_map *map);
/* xdp_pins_maps - pin the maps of a loaded @obj. 0 or -errno with a sentence. */
int xdp_pins_maps(const struct xdp_pins *p, struct bpf_object *obj, char *err, size_t err_size);

#define XDP_PIN_NAME 24

/*
 * xdp_pins_link - pin a link as link_@ifname and write that name to @name. On failure, log it and
 * set @name to "".
 */
void xdp_pins_link(const struct xdp_pins *p, int link, const char *ifname, char name[XDP_PIN_NAME]);
void xdp_pins_unlink(const struct xdp_pins *p, const char *name);
/* xdp_pins_links - call @take with a descriptor of each pinned link. @take closes it. */
void xdp_pins_links(const struct xdp_pins *p, void (*take)(void *arg, const char *name, int link),
		    void *arg);

/* xdp_pins_forget_maps - remove the pins of all maps, of any version. The links stay. */
void xdp_pins_forget_maps(const struct xdp_pins *p);

/*
 * xdp_pins_remove - detach the links; remove their pins and the pins of @obj's maps. With @obj
 * NULL, remove every file, because another version may have other map names. Returns the number of
 * removed pins.
 */
unsigned int xdp_pins_remove(const struct xdp_pins *p, const struct bpf_object *obj);

#endif

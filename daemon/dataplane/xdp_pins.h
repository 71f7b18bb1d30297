/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_pins.h - the directory of pins, which outlives the daemon: one file for each map, under the
 * map's name, and link_IFNAME for each interface that the program is on. Who has it keeps others
 * out by a lock (flock) on it. What is in maps and links is the business of dp_xdp.c.
 */
#ifndef RTPX_XDP_PINS_H
#define RTPX_XDP_PINS_H

#include <limits.h>

#include "base/base.h"
#include "rtpx_abi.h"

struct bpf_object;

struct xdp_pins {
	char dir[PATH_MAX];
	int fd; /* of the directory; -1: not open */
};

/*
 * xdp_pins_open - make the directory when need be, and lock it. 0; -EBUSY when another daemon has
 * it, after a second in which a killed one may let go of it; or -errno. With a sentence in @err.
 */
int xdp_pins_open(struct xdp_pins *p, const char *dir, char *err, size_t err_size);
/* xdp_pins_close - @keep: the directory stays; else it goes, if nothing is in it. */
void xdp_pins_close(struct xdp_pins *p, bool keep);

/*
 * xdp_pins_config - the configuration that the pinned maps were made for. 0; -ENOENT: there is
 * none;
 * -EPROTO: the maps are of another version of the ABI, which is in out->abi_version, and nothing
 * else in @out holds.
 */
int xdp_pins_config(const struct xdp_pins *p, struct rtpx_config *out);

/*
 * xdp_pins_reuse - before @obj is loaded: have it use the pinned maps. 0, or -errno with a sentence
 * when one is missing or is not what it should be; then @obj cannot be used any more.
 */
int xdp_pins_reuse(const struct xdp_pins *p, struct bpf_object *obj, char *err, size_t err_size);
/* xdp_pins_maps - pin those maps of a loaded @obj. 0 or -errno with a sentence. */
int xdp_pins_maps(const struct xdp_pins *p, struct bpf_object *obj, char *err, size_t err_size);

#define XDP_PIN_NAME 24

/*
 * xdp_pins_link - pin a link as link_@ifname; its name goes to @name, "" when that failed, which is
 * logged.
 */
void xdp_pins_link(const struct xdp_pins *p, int link, const char *ifname, char name[XDP_PIN_NAME]);
void xdp_pins_unlink(const struct xdp_pins *p, const char *name);
/* xdp_pins_links - hands over a descriptor of each pinned link, the taker's to close. */
void xdp_pins_links(const struct xdp_pins *p, void (*take)(void *arg, const char *name, int link),
		    void *arg);

/* xdp_pins_forget_maps - remove the pins of all maps, of any version. The links stay. */
void xdp_pins_forget_maps(const struct xdp_pins *p);

/*
 * xdp_pins_remove - detach the links, remove their pins and those of @obj's maps; NULL: every file,
 * as another version may have named its maps otherwise. Returns how many there were.
 */
unsigned int xdp_pins_remove(const struct xdp_pins *p, const struct bpf_object *obj);

#endif

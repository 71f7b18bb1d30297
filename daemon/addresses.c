/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addresses.c - a file of the state directory has a line for each address that was added.
 */
#include "addresses.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/refuse.h"

#define LINE_MAX_BYTES 512

static void addresses_path(char path[PATH_MAX], const char *dir)
{
	snprintf(path, PATH_MAX, "%s/addresses", dir);
}

/* Add a listener to the configuration, and its pool to the list of pools. */
static int config_join(struct config *c, const char *text, char *err, size_t err_size)
{
	struct listeners l = { .all = c->listeners, .n = c->n_listeners, .bridge = c->bridge };

	if (listeners_join(&l, text, err, err_size) < 0)
		return -1;
	c->n_listeners = l.n;
	c->dp.n_own = listeners_own(&l, c->own);
	return 0;
}

/* Undo config_join(). */
static void config_part(struct config *c)
{
	struct listeners l = { .all = c->listeners, .n = c->n_listeners - 1 };
	struct listener *last = &c->listeners[l.n];

	free(last->label);
	free(last->advertised);
	*last = (struct listener){ 0 };
	c->n_listeners = l.n;
	c->dp.n_own = listeners_own(&l, c->own);
}

void addresses_restore(struct config *c, const char *dir)
{
	char path[PATH_MAX], line[LINE_MAX_BYTES], err[300];
	FILE *f;

	addresses_path(path, dir);
	if (!c->dp.adopt)
		unlink(path);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (listeners_has(c->listeners, c->n_listeners, line))
			continue;
		if (config_join(c, line, err, sizeof(err)) < 0)
			log_warn("%s: not added again: %s", path, err);
		else
			log_info("%s: added, as to the previous rtpxd", line);
	}
	if (f)
		fclose(f);
}

static void remember_line(const struct addresses *a, const char *text)
{
	char path[PATH_MAX];
	FILE *f;
	int bad;

	if (!a->dir)
		return;
	addresses_path(path, a->dir);
	f = fopen(path, "ae");
	bad = !f || fprintf(f, "%s\n", text) < 0;
	if ((f && fclose(f)) || bad)
		log_warn("%s: cannot be written (%s), so the next rtpxd has the address only if "
			 "its options name it",
			 path, strerror(errno));
}

/* The new pool is the last one: of the dataplane, then of the ports. */
static int add_pool(const struct addresses *a)
{
	const struct config *c = a->config;
	int rc = 0;

	if (a->dp->pools < RTPX_MAX_POOLS && !a->dp->pool_add)
		return 0; /* the addresses of a family share its pool */
	if (a->dp->pool_add)
		rc = a->dp->pool_add(a->dp, c->own, c->dp.n_own);
	return rc ? rc : ports_add(a->ports, &c->own[c->dp.n_own - 1]);
}

static int refuse_error(int rc, char *err, size_t err_size)
{
	if (rc == -EBUSY)
		return refuse(err, err_size, -1,
			      "calls use this address already, by the modifier "
			      "l or r: add it when they have ended");
	if (rc == -EACCES || rc == -EPERM)
		return refuse(err, err_size, -1,
			      "rtpxd has given up the right to load a program "
			      "(CAP_PERFMON): add the address to -l or -6 and restart rtpxd; calls "
			      "go on, and the kernel loses no packet of them");
	return refuse(err, err_size, -1, "no room for its ports: %s", strerror(-rc));
}

int addresses_add(void *arg, const char *text, char *err, size_t err_size)
{
	const struct addresses *a = arg;
	struct config *c = a->config;
	const struct listener *l;
	int rc;

	if (c->replicate)
		return refuse(err, err_size, -1,
			      "with --replicate the addresses decide which daemon is the owner: "
			      "change -l or -6 of both");
	if (strlen(text) >= LINE_MAX_BYTES || strchr(text, '\n'))
		return refuse(err, err_size, -1, "this is no address");
	if (config_join(c, text, err, err_size) < 0)
		return -1;
	l = &c->listeners[c->n_listeners - 1];
	if (faces_legs(a->faces, &l->addr))
		rc = -EBUSY;
	else
		rc = add_pool(a);
	if (rc == 0)
		rc = faces_add(a->faces, l);
	if (rc) {
		config_part(c);
		return refuse_error(rc, err, err_size);
	}
	remember_line(a, text);
	log_info("%s: new calls get this address too", text);
	return 0;
}

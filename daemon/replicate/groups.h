/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * groups.h - the address groups of this daemon. Each has its own standby: this daemon owns some of
 * them, and stands by for the others. docs/standby.md has the contract.
 *
 * A group has a number in this daemon, by the order of the command line: session_group(), struct
 * listener.
 */
#ifndef RTPX_GROUPS_H
#define RTPX_GROUPS_H

#include "replicate/standby.h"

#define GROUPS_MAX SESSION_GROUPS

struct groups;

/* groups_new - @names are borrowed until groups_free(). 0, or -errno with a sentence in @err. */
int groups_new(struct groups **out, struct event_base *base, const struct standby_opts *opts,
	       const char *const *names, unsigned int n, char *err, size_t err_size);
void groups_free(struct groups *g); /* NULL is allowed */

/* groups_sink - receives the records that the keeper writes; for keeper_opts. */
const struct keeper_sink *groups_sink(struct groups *g);

/* groups_go_on - go on with the groups that the keeper has an epoch of, and wait for the others. */
void groups_go_on(struct groups *g);
/* groups_tick - once a second, from groups_go_on() on. */
void groups_tick(struct groups *g);
/* groups_command - the commands from now on came for the group @number. */
void groups_command(struct groups *g, unsigned int number);
/*
 * groups_take_over - begin to take over the group of a name; "": the only one that this daemon does
 * not own. 0; or -EALREADY, -ENOENT or -EINVAL, with a sentence in @err.
 */
int groups_take_over(struct groups *g, const char *name, char *err, size_t err_size);
/* groups_release - the owner ends and leaves its calls to standbys. Waits at most @ms. */
void groups_release(struct groups *g, unsigned int ms);

/* groups_view - the group @number; false past the end. */
bool groups_view(const struct groups *g, unsigned int number, struct standby_view *out);

#endif

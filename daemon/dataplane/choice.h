/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * choice.h - the table of dataplanes, and the choice of one.
 */
#ifndef RTPX_CHOICE_H
#define RTPX_CHOICE_H

#include "dataplane/dp.h"

/* One row for each member of enum dp_choice. */
struct dataplane {
	const char *word; /* of --dataplane */
	const char *text; /* for the log */
	/* false: not tried unless --dataplane names it; NULL: always tried */
	bool (*loaded)(void);
	/* 0, or -errno with a sentence in @err */
	int (*open)(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size);
	/* remove the flows of the previous daemon, as another dataplane is used now; NULL: none */
	void (*abandon)(const struct dp_opts *opts);
};
extern const struct dataplane dataplanes[DP_CHOICES];

/*
 * dp_open - open the first dataplane of opts->order that opens. Logs the reasons why others did
 * not open. With `none`, (*out)->choice has these reasons too. If no dataplane opens, @err has
 * them. Errors that stop the search: -EBUSY, another daemon uses the pins (unless opts->yield);
 * -EPROTO (with the module -EEXIST), a previous daemon left calls that cannot be taken over.
 */
int dp_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size);

/* dp_opts_has - true if dp_open() may take this choice. */
bool dp_opts_has(const struct dp_opts *opts, enum dp_choice choice);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modules.h - rtpproxy's modules that are built in, chosen by --dso or by the file of --config.
 *
 * Records the choice. The features themselves are elsewhere: accounts, reporter, digits.
 */
#ifndef RTPX_MODULES_H
#define RTPX_MODULES_H

#include <limits.h>

#include "observe/hep_address.h"

struct modules {
	bool csv, hep;		 /* acct_csv, acct_rtcp_hep; catch_dtmf is always on */
	char csv_file[PATH_MAX]; /* absolute; "": rtpproxy_acct.csv in the start directory */
	struct hep_address collector;
	uint32_t hep_agent; /* the number of this host at the collector */
};

/* modules_defaults - no module, and rtpproxy's defaults for their settings. */
void modules_defaults(struct modules *m);

/*
 * modules_choose - choose the module in the shared object @path. The name of the file decides; the
 * file need not exist. 0, or -EINVAL with a sentence in @err.
 */
int modules_choose(struct modules *m, const char *path, char *err, size_t err_size);

/*
 * modules_read - choose the modules that the configuration file @path of rtpproxy names, with their
 * settings. 0, or -errno with a sentence in @err, which begins with the path and the line.
 */
int modules_read(struct modules *m, const char *path, char *err, size_t err_size);

/*
 * modules_parse - the same for the text of such a file. Relative paths in it are taken as relative
 * to @dir. Pure.
 */
int modules_parse(struct modules *m, const char *text, size_t len, const char *dir, char *err,
		  size_t err_size);

#endif

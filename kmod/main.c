// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * main.c - loads and unloads the module.
 */
#include <linux/module.h>

#include "genl.h"
#include "rtpx_abi.h"
#include "table.h"

static int __init rtpx_init(void)
{
	int err = table_init();

	if (err)
		return err;
	err = genl_init();
	if (err) {
		table_exit();
		return err;
	}
	pr_info("rtpx: media relay %s, ABI version %u\n", RTPX_VERSION, RTPX_ABI_VERSION);
	return 0;
}

static void __exit rtpx_exit(void)
{
	genl_exit();
	table_exit();
}

module_init(rtpx_init);
module_exit(rtpx_exit);

/* No alias for the family: with it any user could make the kernel load the module. The operator
 * loads it. */
MODULE_LICENSE("Dual BSD/GPL");
MODULE_AUTHOR("The rtpx authors");
MODULE_DESCRIPTION("rtpx: forwards the RTP and RTCP of calls, as rtpxd decides");
MODULE_VERSION(RTPX_VERSION);

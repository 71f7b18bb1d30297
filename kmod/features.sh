#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# features.sh COMPILER... - Kbuild runs it. Prints a header with RTPX_HAVE_NAME for each row below
# whose line of C compiles for this kernel. It ignores the kernel's version: distributions bring
# changes of later kernels to earlier ones. The first row must compile and the last row must not;
# else compat.h ends the build.
set -u
echo '/* made by features.sh */'
while IFS='|' read -r name header code; do
	if printf '#include <linux/module.h>\n#include <%s>\n%s\n' "$header" "$code" |
		"$@" -x c -c -o /dev/null - 2>/dev/null; then
		echo "#define RTPX_HAVE_$name 1"
	fi
done <<'END'
ANYTHING|linux/types.h|typedef u32 any;
GENL_SPLIT_OPS|net/genetlink.h|struct genl_family f = { .pre_doit = (int (*)(const struct genl_split_ops *, struct sk_buff *, struct genl_info *))0 };
FLOWI4_DSCP|net/flow.h|size_t f(void); size_t f(void) { return sizeof(((struct flowi4 *)0)->flowi4_dscp); }
NONSENSE|linux/types.h|struct flow_of_nothing x;
END

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * provoked.c - a limiter for each row of the table.
 */
#include "base/provoked.h"

struct log_kind *provoked_kind(enum provoked name, const char *func, int line)
{
	static struct log_kind kinds[PROVOKED_KINDS] = {
#define PROVOKED_KIND(name_, level_, per_s_, text) \
	[PROVOKED_##name_] = { .level = LOG_LVL_##level_, .per_s = per_s_ },
		PROVOKED(PROVOKED_KIND)
#undef PROVOKED_KIND
	};

	kinds[name].func = func;
	kinds[name].line = line;
	return &kinds[name];
}

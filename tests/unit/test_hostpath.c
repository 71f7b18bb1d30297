/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hostpath.c - docs/host-path.md has exactly the rows of the table of inputs in the code, and
 * each reason of the table is in flow_why.h. After a change of the table, RTPX_WRITE=1 writes its
 * rows into the document.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "call/why.h"
#include "host/hostpath.h"

#define DOCUMENT "docs/host-path.md"
#define FIRST "| input | | reason | what is done |\n|---|---|---|---|\n"
#define ASKED "asked for"
#define REFUSED "refused"
#define IRRELEVANT "irrelevant"

/* Fails to compile for a reason that is not in flow_why.h. */
enum { FLOW_WHY_NONE = FLOW_NO_OBJECTION };

static const struct {
	const char *input, *verdict, *reason, *text;
	int why;
} rows[] = {
#define ROW(input, verdict, reason, text) { input, verdict, #reason, text, FLOW_WHY_##reason },
	HOST_INPUTS(ROW)
#undef ROW
};

static char *table(void)
{
	char *text = NULL;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	fputs(FIRST, f);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		fprintf(f, "| %s | %s | %s | %s |\n", rows[i].input, rows[i].verdict,
			rows[i].why == FLOW_NO_OBJECTION ? "" : rows[i].reason, rows[i].text);
	fclose(f);
	return text;
}

static char *document(void)
{
	FILE *f = fopen(DOCUMENT, "re");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static void quoted(void **state)
{
	char *want = table(), *have = document(), *at = strstr(have, FIRST), *end;
	FILE *f;

	(void)state;
	assert_non_null(at);
	end = strstr(at, "|\n\n");
	assert_non_null(end);
	end += 2;
	if (getenv("RTPX_WRITE")) {
		f = fopen(DOCUMENT, "we");
		assert_non_null(f);
		fprintf(f, "%.*s%s%s", (int)(at - have), have, want, end);
		fclose(f);
	} else if (strlen(want) != (size_t)(end - at) || strncmp(want, at, end - at)) {
		fail_msg("%s differs from daemon/host/hostpath.h: RTPX_WRITE=1 %s", DOCUMENT,
			 "build/tests/test_hostpath");
	}
	free(want);
	free(have);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(quoted) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

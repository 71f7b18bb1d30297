/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nomem.c - runs every unit test once for each of its allocations, and lets that allocation fail.
 * The test's own result does not matter: the code must not crash, and no sanitizer may complain.
 *
 * A test that continues without memory that it needs may crash by itself; that does not count.
 * Linked into the tests that are built with sanitizers, in front of malloc() and its kin and of
 * cmocka's entry. Inactive unless RTPX_NOMEM gives the largest number of allocations to fail in a
 * test case. Each case runs in processes of its own. Allocations by libraries do not fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LEAST_MS 300 /* allowed for a case, plus five times its duration with memory */
#define MOST_WORDS 65536

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **out, const char *fmt, va_list ap);
int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t n,
				   CMFixtureFunction setup, CMFixtureFunction teardown);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_vasprintf(char **out, const char *fmt, va_list ap);
int __wrap_asprintf(char **out, const char *fmt, ...);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t n,
				   CMFixtureFunction setup, CMFixtureFunction teardown);

static bool armed;
static unsigned long victim; /* number of the allocation that fails, from 1; 0: none */
static unsigned long *asked; /* number of allocations so far; shared with the parent */

static bool denied(void)
{
	if (!armed || __atomic_add_fetch(asked, 1, __ATOMIC_RELAXED) != victim)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return denied() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return denied() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return denied() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *s)
{
	return denied() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return denied() ? NULL : __real_strndup(s, n);
}

int __wrap_vasprintf(char **out, const char *fmt, va_list ap)
{
	return denied() ? -1 : __real_vasprintf(out, fmt, ap);
}

int __wrap_asprintf(char **out, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = __wrap_vasprintf(out, fmt, ap);
	va_end(ap);
	return n;
}

/* ---- one case after the other ---- */

enum outcome { WENT_ON, WAITED, CRASHED };

static char words_text[MOST_WORDS + 1];

/* True if the test itself crashed: the first of our sources in the report is the test's. */
static bool is_own_fault(int words)
{
	const char *report, *test, *daemon;
	ssize_t n = pread(words, words_text, MOST_WORDS, 0);

	words_text[n > 0 ? n : 0] = '\0';
	report = strstr(words_text, "ERROR: AddressSanitizer");
	if (!report && strstr(words_text, "runtime error: "))
		report = words_text;
	if (!report)
		return false;
	test = strstr(report, "tests/unit/test_");
	daemon = strstr(report, "daemon/");
	return test && (!daemon || test < daemon);
}

/* Run the case in a process of its own; its output goes to @words. */
static enum outcome run(const char *name, const struct CMUnitTest *test, CMFixtureFunction setup,
			CMFixtureFunction teardown, unsigned long which, long ms, int words)
{
	const struct itimerval end = { .it_value = { ms / 1000, ms % 1000 * 1000 } };
	int status;
	pid_t pid;

	*asked = 0;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(words, STDOUT_FILENO);
		dup2(words, STDERR_FILENO);
		setitimer(ITIMER_REAL, &end, NULL);
		victim = which;
		armed = true;
		__real__cmocka_run_group_tests(name, test, 1, setup, teardown);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return WAITED;
	if ((WIFEXITED(status) && WEXITSTATUS(status) == 0) || is_own_fault(words))
		return WENT_ON;
	return CRASHED;
}

static void show(int words)
{
	ssize_t n = pread(words, words_text, MOST_WORDS, 0);

	printf("%.*s\n", n > 0 ? (int)n : 0, words_text);
}

struct tally {
	unsigned long failed_allocations, waited, crashes;
};

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Let each allocation of a case fail, or @most of them at equal distances. */
static void torment(const char *name, const struct CMUnitTest *test, CMFixtureFunction setup,
		    CMFixtureFunction teardown, unsigned long most, struct tally *t)
{
	int words = memfd_create("words", 0);
	unsigned long n, i, all;
	long ms = now_ms();

	if (run(name, test, setup, teardown, 0, 0, words) != WENT_ON) {
		printf("%s: fails even with memory\n", test->name);
		show(words);
		t->crashes++;
	}
	ms = 5 * (now_ms() - ms);
	ms = ms > LEAST_MS ? ms : LEAST_MS;
	all = *asked;
	n = all < most ? all : most;
	for (i = 0; i < n; i++) {
		unsigned long which = 1 + i * all / n;

		if (ftruncate(words, 0) || lseek(words, 0, SEEK_SET))
			exit(1);
		t->failed_allocations++;
		switch (run(name, test, setup, teardown, which, ms, words)) {
		case CRASHED:
			printf("%s: crashes without memory for its allocation %lu of %lu\n",
			       test->name, which, all);
			show(words);
			t->crashes++;
			break;
		case WAITED: /* the other allocations would wait as well */
			t->waited++;
			i = n;
			break;
		case WENT_ON:
			break;
		}
	}
	close(words);
}

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t n,
				   CMFixtureFunction setup, CMFixtureFunction teardown)
{
	const char *most = getenv("RTPX_NOMEM");
	struct tally t = { 0 };
	size_t i;

	if (!most)
		return __real__cmocka_run_group_tests(name, tests, n, setup, teardown);
	asked = mmap(NULL, sizeof(*asked), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (asked == MAP_FAILED)
		return 1;
	for (i = 0; i < n; i++)
		torment(name, &tests[i], setup, teardown, strtoul(most, NULL, 10), &t);
	printf("%lu allocations failed in %zu cases, %lu crashes, %lu waited for what did not come\n",
	       t.failed_allocations, n, t.crashes, t.waited);
	return t.crashes != 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_clips.c - names, files that change while they are used, and what is kept, in a directory of
 * the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/clips.c"

static char dir[] = "/tmp/rtpx-clips-XXXXXX";
static struct clips *clips;

static int enter(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 && mkdir("sub", 0755) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static int begin(void **state)
{
	return clips_new(&clips, *state);
}

static int end(void **state)
{
	(void)state;
	clips_free(clips);
	unlink("a.0");
	unlink("b.0");
	unlink("sub/c.0");
	return rmdir("sub") == 0 ? mkdir("sub", 0755) : -1;
}

static int end_all(void **state)
{
	return rmdir("sub") == 0 ? leave(state) : -1;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int take(const char *name, const struct clip **out)
{
	return clips_take(clips, span_of(name), 0, out);
}

static void reads(const char *name, const char *text)
{
	const struct clip *clip;

	assert_int_equal(take(name, &clip), 0);
	assert_int_equal(clip->len, strlen(text));
	assert_memory_equal(clip->data, text, clip->len);
	clips_give(clips, clip);
}

static void names(void **state)
{
	const struct clip *clip;
	char absolute[100], longest[PATH_MAX + 10];

	(void)state;
	put("a.0", "one");
	put("sub/c.0", "");
	reads("a", "one");
	reads("sub/../a", "one");
	reads("sub/c", "");
	snprintf(absolute, sizeof(absolute), "%s/a", dir);
	reads(absolute, "one");
	assert_int_equal(take("b", &clip), -ENOENT);
	assert_int_equal(clips_take(clips, span_of("a"), 8, &clip), -ENOENT);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(take(longest, &clip), -ENAMETOOLONG);
	longest[PATH_MAX - 2] = 0;
	assert_int_equal(take(longest, &clip), -ENAMETOOLONG);
}

static void names_confined(void **state)
{
	static const char *const outside[] = {
		"../a", "sub/../../a", "..", "sub/..", "/etc/passwd", "", "sub/../a",
	};
	const struct clip *clip;
	char up[100];
	size_t i;

	(void)state;
	put("a.0", "one");
	put("sub/c.0", "three");
	reads("a", "one");
	reads("sub/c", "three");
	for (i = 0; i < ARRAY_SIZE(outside); i++)
		assert_int_equal(take(outside[i], &clip), -EACCES);
	snprintf(up, sizeof(up), "..%s/a", dir);
	assert_int_equal(take(up, &clip), -EACCES);
	assert_int_equal(take("..a", &clip), -ENOENT);
	assert_int_equal(take("a..", &clip), -ENOENT);
}

static void only_regular_files(void **state)
{
	const struct clip *clip;

	(void)state;
	assert_int_equal(mkfifo("b.0", 0600), 0);
	assert_int_equal(take("b", &clip), -EINVAL);
	assert_int_equal(unlink("b.0"), 0);
	assert_int_equal(mkdir("b.0", 0700), 0);
	assert_int_equal(take("b", &clip), -EINVAL);
	assert_int_equal(rmdir("b.0"), 0);
	put("b.0", "");
	assert_int_equal(truncate("b.0", CLIPS_MAX_FILE_BYTES + 1ll), 0);
	assert_int_equal(take("b", &clip), -EFBIG);
}

static void one_copy_for_all(void **state)
{
	const struct clip *first, *second;

	(void)state;
	put("a.0", "one");
	assert_int_equal(take("a", &first), 0);
	assert_int_equal(take("a", &second), 0);
	assert_ptr_equal(first, second);
	clips_give(clips, first);
	clips_give(clips, second);
	assert_int_equal(take("a", &second), 0);
	assert_ptr_equal(first, second);
	clips_give(clips, second);
}

/* Who plays the old one goes on with it, whatever happens to the file. */
static void a_changed_file_is_read_again(void **state)
{
	const struct clip *old;

	(void)state;
	put("a.0", "one");
	assert_int_equal(take("a", &old), 0);
	put("a.0", "2");
	reads("a", "2");
	assert_memory_equal(old->data, "one", 3);
	assert_int_equal(unlink("a.0"), 0);
	assert_int_equal(take("a", &(const struct clip *){ NULL }), -ENOENT);
	assert_int_equal(HASH_COUNT(clips->files), 0);
	assert_memory_equal(old->data, "one", 3);
	clips_give(clips, old);
	put("a.0", "again");
	reads("a", "again");
}

/* Same size and the same time of modification again. */
static void a_time_set_back_deceives_nobody(void **state)
{
	struct stat st;

	(void)state;
	put("a.0", "one");
	reads("a", "one");
	assert_int_equal(stat("a.0", &st), 0);
	do {
		put("a.0", "two");
		assert_int_equal(utimensat(AT_FDCWD, "a.0",
					   (struct timespec[]){ st.st_atim, st.st_mtim }, 0), 0);
	} while (stat("a.0", &st) == 0 && is_same(&clips->files->st, &st)); /* a coarse clock's tick */
	reads("a", "two");
}

static void idle_ones_are_bounded(void **state)
{
	const struct clip *a, *b;

	(void)state;
	put("a.0", "");
	put("b.0", "");
	assert_int_equal(truncate("a.0", CLIPS_IDLE_BYTES / 2 + 1), 0);
	assert_int_equal(truncate("b.0", CLIPS_IDLE_BYTES / 2), 0);
	assert_int_equal(take("a", &a), 0);
	assert_int_equal(take("b", &b), 0);
	clips_give(clips, a);
	assert_int_equal(HASH_COUNT(clips->files), 2);
	clips_give(clips, b);
	assert_int_equal(HASH_COUNT(clips->files), 1);
	assert_string_equal(clips->files->path, "b.0");
	assert_int_equal(clips->idle_bytes, CLIPS_IDLE_BYTES / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names, begin, end),
		cmocka_unit_test_prestate_setup_teardown(names_confined, begin, end, dir),
		cmocka_unit_test_setup_teardown(only_regular_files, begin, end),
		cmocka_unit_test_setup_teardown(one_copy_for_all, begin, end),
		cmocka_unit_test_setup_teardown(a_changed_file_is_read_again, begin, end),
		cmocka_unit_test_setup_teardown(a_time_set_back_deceives_nobody, begin, end),
		cmocka_unit_test_setup_teardown(idle_ones_are_bounded, begin, end),
	};

	return cmocka_run_group_tests(tests, enter, end_all);
}

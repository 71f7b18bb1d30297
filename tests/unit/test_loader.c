/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_loader.c - the queue of the loader's thread: its order, its bound, its end. test_clips.c
 * tests the loaded bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/media/loader.c"

#define JOBS (LOADER_MAX_JOBS + 10)

static struct event_base *base;
static struct loader *loader;
static struct loader_job job[JOBS];
static struct loader_job *done[JOBS];
static unsigned int n_done;

static void on_done(struct loader_job *j)
{
	assert_int_not_equal(j->err, -EINPROGRESS);
	done[n_done++] = j;
}

static int begin(void **state)
{
	unsigned int i;

	(void)state;
	n_done = 0;
	for (i = 0; i < JOBS; i++)
		job[i] = (struct loader_job){ .path = "/proc/self/mounts", .encode_type = -1, .done = on_done };
	base = event_base_new();
	return loader_new(&loader, base);
}

static int end(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

static void one_after_the_other(void **state)
{
	unsigned int i;

	(void)state;
	job[1].path = "/no/such/file";
	job[2].path = "/dev/null";
	job[3].path = "/";
	for (i = 0; i < 5; i++)
		assert_int_equal(loader_add(loader, &job[i]), 0);
	while (n_done < 5)
		event_base_loop(base, EVLOOP_ONCE);
	for (i = 0; i < 5; i++)
		assert_ptr_equal(done[i], &job[i]);
	assert_int_equal(job[0].err, 0);
	assert_int_equal(job[1].err, -ENOENT);
	assert_int_equal(job[2].err, -EINVAL);
	assert_int_equal(job[3].err, -EINVAL);
	assert_int_equal(job[4].err, 0);
	for (i = 0; i < 5; i++) {
		assert_int_equal(!job[i].data, job[i].err != 0);
		free(job[i].data);
	}
	loader_free(loader);
}

/* The thread is held back: it takes at most the first job from the queue. */
static void bounded_and_ended(void **state)
{
	char dir[] = "/tmp/rtpx-loader-XXXXXX", fifo[sizeof(dir) + 5];
	unsigned int i, taken = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	job[0].path = fifo;
	job[0].encode_type = 0; /* libsndfile waits for a writer of the FIFO */
	assert_int_equal(loader_add(loader, &job[0]), 0);
	for (i = 1; i < JOBS; i++)
		taken += loader_add(loader, &job[i]) == 0;
	assert_in_range(taken, LOADER_MAX_JOBS - 1, LOADER_MAX_JOBS);
	close(open(fifo, O_WRONLY));
	loader_free(loader);
	unlink(fifo);
	rmdir(dir);
	assert_int_equal(n_done, 1 + taken);
	for (i = 0; i < n_done; i++) {
		if (done[i]->err == 0)
			free(done[i]->data);
		else
			assert_true(done[i]->err == -ECANCELED || i == 0);
	}
}

static void what_is_encoded(void **state)
{
	static const uint8_t types[] = { 0, 3, 8, 9, 18 };
	unsigned int type, i, n = 0;

	(void)state;
	for (type = 0; type < 256; type++)
		n += loader_can_encode(type);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		assert_true(loader_can_encode(types[i]));
	assert_int_equal(n, ARRAY_SIZE(types));
	loader_free(loader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_after_the_other, begin, end),
		cmocka_unit_test_setup_teardown(bounded_and_ended, begin, end),
		cmocka_unit_test_setup_teardown(what_is_encoded, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

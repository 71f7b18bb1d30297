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
#include <time.h>

#include <cmocka.h>

#include "../../daemon/media/loader.c"

#define JOBS (LOADER_MAX_JOBS + LOADER_THREADS + 10)

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

static bool is_encoding(unsigned int n)
{
	bool is;

	pthread_mutex_lock(&loader->lock);
	is = loader->encoding == n;
	pthread_mutex_unlock(&loader->lock);
	return is;
}

/* Add a job that is held back: libsndfile waits for a writer of the FIFO. */
static void add_held(struct loader_job *j, const char *fifo, uint64_t bytes)
{
	static const struct timespec nap = { .tv_nsec = NSEC_PER_MSEC };
	unsigned int n = loader->encoding;

	j->path = fifo;
	j->encode_type = 0;
	j->bytes = bytes;
	assert_int_equal(loader_add(loader, j), 0);
	while (!is_encoding(n + 1))
		nanosleep(&nap, NULL);
}

/* Open the FIFO as often as its readers need, until all jobs are done. */
static void release(const char *fifo, unsigned int jobs)
{
	int fd = open(fifo, O_RDWR);

	while (n_done < jobs) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		assert_int_equal(write(fd, "no sound ", 9), 9);
		close(fd);
		fd = open(fifo, O_RDWR);
	}
	close(fd);
}

static void fifo_make(char *dir, char *fifo, size_t size)
{
	assert_non_null(mkdtemp(dir));
	snprintf(fifo, size, "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
}

/* All threads but one encode long files; a short one is loaded before a longer one. */
static void shortest_first(void **state)
{
	char dir[] = "/tmp/rtpx-loader-XXXXXX", fifo[sizeof(dir) + 5];
	const unsigned int held = LOADER_THREADS - 1;
	unsigned int i;

	(void)state;
	fifo_make(dir, fifo, sizeof(fifo));
	for (i = 0; i < held; i++)
		add_held(&job[i], fifo, LOADER_LONG_COST);
	job[held].bytes = 2ull * LOADER_LONG_COST; /* must wait */
	assert_int_equal(loader_add(loader, &job[held]), 0);
	for (i = held + 1; i < held + 4; i++) {
		job[i].bytes = 100 - i;
		assert_int_equal(loader_add(loader, &job[i]), 0);
		while (n_done < i - held)
			event_base_loop(base, EVLOOP_ONCE);
		assert_ptr_equal(done[i - held - 1], &job[i]);
	}
	assert_int_equal(job[held].err, -EINPROGRESS);
	release(fifo, held + 4);
	assert_int_equal(job[held].err, 0);
	for (i = 0; i < n_done; i++)
		free(done[i]->data);
	loader_free(loader);
	unlink(fifo);
	rmdir(dir);
}

/* The queue by itself: by cost, and by arrival if the cost is the same. */
static void by_cost(void **state)
{
	static const unsigned int costs[] = { 5, 1, 5, 3, 9, 0, 1 }, expected[] = { 5, 1, 6, 3, 0, 2, 4 };
	struct jobs q;
	unsigned int i;

	(void)state;
	jobs_init(&q);
	for (i = 0; i < ARRAY_SIZE(costs); i++) {
		job[i].cost = costs[i];
		jobs_insert(&q, &job[i]);
	}
	for (i = 0; i < ARRAY_SIZE(costs); i++)
		assert_ptr_equal(jobs_take(&q), &job[expected[i]]);
	assert_null(jobs_take(&q));
	jobs_put(&q, &job[0]);
	assert_ptr_equal(jobs_take(&q), &job[0]);
	loader_free(loader);
}

/* All threads are held back. */
static void bounded_and_ended(void **state)
{
	char dir[] = "/tmp/rtpx-loader-XXXXXX", fifo[sizeof(dir) + 5];
	unsigned int i, taken = LOADER_THREADS;

	(void)state;
	fifo_make(dir, fifo, sizeof(fifo));
	for (i = 0; i < LOADER_THREADS; i++)
		add_held(&job[i], fifo, 0);
	for (; i < JOBS; i++)
		taken += loader_add(loader, &job[i]) == 0;
	assert_int_equal(taken, LOADER_THREADS + LOADER_MAX_JOBS);
	release(fifo, taken);
	loader_free(loader);
	unlink(fifo);
	rmdir(dir);
	for (i = 0; i < n_done; i++) {
		if (done[i]->err == 0)
			free(done[i]->data);
		else
			assert_int_equal(done[i]->encode_type, 0);
	}
}

/* Jobs are waiting, and one is being done, when the loader ends. */
static void ended(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++)
		assert_int_equal(loader_add(loader, &job[i]), 0);
	loader_free(loader);
	assert_int_equal(n_done, 100);
	for (i = 0; i < 100; i++) {
		assert_true(done[i]->err == 0 || done[i]->err == -ECANCELED);
		free(done[i]->data);
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
		cmocka_unit_test_setup_teardown(shortest_first, begin, end),
		cmocka_unit_test_setup_teardown(by_cost, begin, end),
		cmocka_unit_test_setup_teardown(bounded_and_ended, begin, end),
		cmocka_unit_test_setup_teardown(ended, begin, end),
		cmocka_unit_test_setup_teardown(what_is_encoded, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

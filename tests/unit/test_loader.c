/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_loader.c - the queue of the loader's threads: its order, its bound, its end; sound that is
 * encoded a second at a time. test_clips.c tests the loaded bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <math.h>
#include <sndfile.h>

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
		job[i] = (struct loader_job){ .path = "/proc/self/mounts", .done = on_done };
	base = event_base_new();
	return loader_new(&loader, base, NULL);
}

static int end(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

static void files_of_frames(void **state)
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
	j->codec = audio_codec_of(0);
	j->bytes = bytes;
	assert_int_equal(loader_add(loader, j), 0);
	while (!is_encoding(n + 1))
		nanosleep(&nap, NULL);
}

/*
 * Open the FIFO as often as its readers need, until all jobs are done. Readers that get no time
 * leave it full.
 */
static void release(const char *fifo, unsigned int jobs)
{
	int fd = open(fifo, O_RDWR | O_NONBLOCK);

	while (n_done < jobs) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		assert_true(write(fd, "no sound ", 9) == 9 || errno == EAGAIN);
		close(fd);
		fd = open(fifo, O_RDWR | O_NONBLOCK);
	}
	close(fd);
}

static void fifo_make(char *dir, char *fifo, size_t size)
{
	assert_non_null(mkdtemp(dir));
	snprintf(fifo, size, "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
}

/* All threads are held back while jobs come. Then one of them loads the most urgent first. */
static void shortest_first(void **state)
{
	char dir[] = "/tmp/rtpx-loader-XXXXXX", fifo[sizeof(dir) + 5];
	char dir2[] = "/tmp/rtpx-loader-XXXXXX", one[sizeof(dir) + 5];
	const unsigned int held = LOADER_THREADS;
	unsigned int i;

	(void)state;
	fifo_make(dir, fifo, sizeof(fifo));
	fifo_make(dir2, one, sizeof(one));
	for (i = 0; i < held; i++)
		add_held(&job[i], i ? fifo : one, 0);
	for (; i < held + 3; i++) {
		job[i].bytes = i == held + 1 ? 0 : (uint64_t)MAX_DELAY_MS * COST_PER_MS;
		assert_int_equal(loader_add(loader, &job[i]), 0);
	}
	assert_true(job[held].due_ms >= job[held + 1].due_ms + MAX_DELAY_MS ||
		    job[held].due_ms <= job[held + 2].due_ms);
	release(one, 4);
	assert_ptr_equal(done[0], &job[0]);
	for (i = 1; i < 3; i++) {
		assert_true(done[i]->due_ms <= done[i + 1]->due_ms);
		assert_true(done[i] != &job[1] && done[i] != &job[2]);
	}
	release(fifo, held + 3);
	for (i = 0; i < n_done; i++)
		free(done[i]->data);
	loader_free(loader);
	unlink(fifo);
	unlink(one);
	rmdir(dir);
	rmdir(dir2);
}

/* The queue by itself: by urgency, and by arrival if that is the same. */
static void by_urgency(void **state)
{
	static const unsigned int dues[] = { 5, 1, 5, 3, 9, 0, 1 },
				  expected[] = { 5, 1, 6, 3, 0, 2, 4 };
	struct loader_job *todo = NULL;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(dues); i++) {
		job[i].due_ms = dues[i];
		todo_insert(&todo, &job[i]);
	}
	for (i = 0; i < ARRAY_SIZE(dues); i++, todo = todo->next)
		assert_ptr_equal(todo, &job[expected[i]]);
	assert_null(todo);
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
			assert_int_equal(done[i]->codec->payload_type, 0);
	}
}

/* ---- a second at a time ---- */

#define SECOND 8000	 /* samples */
#define SECOND_G729 1000 /* bytes */

static size_t seen; /* bytes at the latest more() */

static void on_more(struct loader_job *j)
{
	assert_int_equal(j->err, -EINPROGRESS);
	assert_true(j->len > seen);
	seen = j->len;
}

static int16_t tone(size_t i)
{
	return (int16_t)(9000 * sin((double)i / (3 + (double)i / 20000)));
}

/* Write @n samples of the tone, from sample @at. */
static void write_tone(int fd, size_t at, size_t n)
{
	static int16_t pcm[SECOND];
	size_t i, some, done_bytes;

	for (; n; at += some, n -= some) {
		some = MIN(n, SECOND);
		for (i = 0; i < some; i++)
			pcm[i] = tone(at + i);
		for (done_bytes = 0; done_bytes < 2 * some;) {
			ssize_t k = write(fd, (uint8_t *)pcm + done_bytes, 2 * some - done_bytes);

			assert_true(k > 0);
			done_bytes += (size_t)k;
		}
	}
}

/* The tone of @n samples, encoded in one go. */
static void is_tone(const struct loader_job *j, size_t n)
{
	const struct audio_codec *codec = j->codec;
	struct audio_encoder *e = audio_encoder_new(codec);
	int16_t *pcm = calloc(n + codec->frame_samples, sizeof(*pcm));
	uint8_t *out = malloc(n);
	size_t i, len;

	assert_true(e && pcm && out);
	for (i = 0; i < n; i++)
		pcm[i] = tone(i);
	n = (n + codec->frame_samples - 1) / codec->frame_samples * codec->frame_samples;
	len = audio_encode(e, pcm, n, out);
	assert_int_equal(j->len, len);
	assert_memory_equal(j->data, out, len);
	audio_encoder_free(e);
	free(pcm);
	free(out);
}

/* A file that is still being written: each second is there before the next one is read. */
static void a_second_at_a_time(void **state)
{
	char dir[] = "/tmp/rtpx-loader-XXXXXX", fifo[sizeof(dir) + 5], path[sizeof(dir) + 9];
	const size_t n = 4 * SECOND + 1234;
	size_t at, i;
	int fd;

	(void)state;
	fifo_make(dir, fifo, sizeof(fifo));
	snprintf(path, sizeof(path), "%s.sln", fifo);
	assert_int_equal(rename(fifo, path), 0);
	job[0].more = on_more;
	seen = 0;
	job[0].path = path;
	job[0].codec = audio_codec_of(18);
	assert_int_equal(loader_add(loader, &job[0]), 0);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	for (at = 0, i = 1; i < 4; i++) {
		write_tone(fd, at, i * SECOND + SECOND / 2 - at);
		at = i * SECOND + SECOND / 2;
		while (!n_done && job[0].len < i * SECOND_G729)
			event_base_loop(base, EVLOOP_ONCE);
		assert_int_equal(job[0].len, i * SECOND_G729);
		assert_int_equal(job[0].err, -EINPROGRESS);
	}
	write_tone(fd, at, n - at);
	close(fd);
	while (!n_done)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(job[0].err, 0);
	is_tone(&job[0], n);
	free(job[0].data);
	loader_free(loader);
	unlink(path);
	rmdir(dir);
}

/* More long files than threads: each one has its first second before one of them is whole. */
static void long_files_share(void **state)
{
	const unsigned int files = LOADER_THREADS + 2;
	char path[] = "/tmp/rtpx-loader-XXXXXX.sln";
	const size_t n = 30 * SECOND;
	int fd = mkstemps(path, 4);
	unsigned int i;

	(void)state;
	assert_true(fd >= 0);
	write_tone(fd, 0, n);
	close(fd);
	for (i = 0; i < files; i++) {
		job[i].path = path;
		job[i].codec = audio_codec_of(18);
		job[i].bytes = 2 * n;
		assert_int_equal(loader_add(loader, &job[i]), 0);
	}
	while (!n_done)
		event_base_loop(base, EVLOOP_ONCE);
	for (i = 0; i < files; i++)
		assert_true(job[i].len >= SECOND_G729);
	while (n_done < files)
		event_base_loop(base, EVLOOP_ONCE);
	for (i = 0; i < files; i++) {
		is_tone(&job[i], n);
		free(job[i].data);
	}
	loader_free(loader);
	unlink(path);
}

/* The part before the damage stays. */
static void damaged_in_the_middle(void **state)
{
	SF_INFO info = { .samplerate = SECOND,
			 .channels = 1,
			 .format = SF_FORMAT_FLAC | SF_FORMAT_PCM_16 };
	char path[] = "/tmp/rtpx-loader-XXXXXX.flac";
	static int16_t pcm[10 * SECOND];
	int fd = mkstemps(path, 5);
	struct stat st;
	SNDFILE *f;
	size_t i;

	(void)state;
	assert_true(fd >= 0);
	for (i = 0; i < ARRAY_SIZE(pcm); i++)
		pcm[i] = tone(i);
	f = sf_open(path, SFM_WRITE, &info);
	assert_non_null(f);
	assert_int_equal(sf_write_short(f, pcm, ARRAY_SIZE(pcm)), ARRAY_SIZE(pcm));
	sf_close(f);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, st.st_size * 6 / 10), 0);
	close(fd);
	job[0].path = path;
	job[0].codec = audio_codec_of(18);
	assert_int_equal(loader_add(loader, &job[0]), 0);
	while (!n_done)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(job[0].err, -EINVAL);
	assert_true(job[0].why[0]);
	assert_int_equal(job[0].len % SECOND_G729, 0);
	assert_true(job[0].len >= 3 * SECOND_G729 && job[0].len <= 6 * SECOND_G729);
	free(job[0].data);
	loader_free(loader);
	unlink(path);
}

/* A file that would not fit is refused before its first second. */
static void too_long(void **state)
{
	char path[] = "/tmp/rtpx-loader-XXXXXX.sln";
	int fd = mkstemps(path, 4);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 2ll * LOADER_MAX_BYTES + 16), 0); /* a sparse file */
	close(fd);
	job[0].path = path;
	job[0].codec = audio_codec_of(0);
	assert_int_equal(loader_add(loader, &job[0]), 0);
	while (!n_done)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(job[0].err, -EFBIG);
	assert_null(job[0].data);
	loader_free(loader);
	unlink(path);
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
		n += loader_can_encode(audio_codec_of(type));
	for (i = 0; i < ARRAY_SIZE(types); i++)
		assert_true(loader_can_encode(audio_codec_of(types[i])));
	assert_int_equal(n, ARRAY_SIZE(types));
	assert_false(loader_can_encode(NULL));
	loader_free(loader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_of_frames, begin, end),
		cmocka_unit_test_setup_teardown(shortest_first, begin, end),
		cmocka_unit_test_setup_teardown(by_urgency, begin, end),
		cmocka_unit_test_setup_teardown(bounded_and_ended, begin, end),
		cmocka_unit_test_setup_teardown(ended, begin, end),
		cmocka_unit_test_setup_teardown(what_is_encoded, begin, end),
		cmocka_unit_test_setup_teardown(a_second_at_a_time, begin, end),
		cmocka_unit_test_setup_teardown(long_files_share, begin, end),
		cmocka_unit_test_setup_teardown(damaged_in_the_middle, begin, end),
		cmocka_unit_test_setup_teardown(too_long, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * accounts.c - formats a report in the loop, and writes it in a thread.
 *
 * The columns of the CSV file are rtpproxy's, record version 1.2: "o" is the callee, "a" the
 * caller. A text with a comma or a quote is quoted (RFC 4180), which rtpproxy does not do.
 */
#include "observe/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/put.h"
#include "base/thread.h"
#include "base/whole.h"

#define RECORD_VERSION "1.2"
#define LINE_BYTES 20480 /* call-id and tags come in datagrams of 8 KiB; quotes double them */

static const char header[] =
	"rec_ver,rtpp_node_id,rtpp_pid,sess_uid,call_id,from_tag,setup_ts,teardown_ts,"
	"first_rtp_ts_ino,last_rtp_ts_ino,first_rtp_ts_ina,last_rtp_ts_ina,rtp_npkts_ina,"
	"rtp_npkts_ino,rtp_nrelayed,rtp_ndropped,rtcp_npkts_ina,rtcp_npkts_ino,rtcp_nrelayed,"
	"rtcp_ndropped,rtpa_nsent_ino,rtpa_nrcvd_ino,rtpa_ndups_ino,rtpa_nlost_ino,rtpa_perrs_ino,"
	"rtpa_ssrc_last_ino,rtpa_ssrc_cnt_ino,rtpa_pt_last_ino,rtpa_nsent_ina,rtpa_nrcvd_ina,"
	"rtpa_ndups_ina,rtpa_nlost_ina,rtpa_perrs_ina,rtpa_ssrc_last_ina,rtpa_ssrc_cnt_ina,"
	"rtpa_pt_last_ina,rtpa_jitter_last_ino,rtpa_jitter_max_ino,rtpa_jitter_avg_ino,"
	"rtpa_jitter_last_ina,rtpa_jitter_max_ina,rtpa_jitter_avg_ina,rtpp_rtp_rmt_ip_o,"
	"rtpp_rtp_rmt_pt_o,rtpp_rtp_rmt_ip_a,rtpp_rtp_rmt_pt_a,rtpp_rtcp_rmt_ip_o,"
	"rtpp_rtcp_rmt_pt_o,rtpp_rtcp_rmt_ip_a,rtpp_rtcp_rmt_pt_a,rtpp_hld_sts_o,rtpp_hld_sts_a,"
	"rtpp_hld_cnt_o,rtpp_hld_cnt_a\n";

struct record {
	struct record *prev, *next;
	size_t len;
	char text[];
};

struct file {
	enum accounts_format format;
	char *path;
	int fd;
	struct stat opened;
	uint64_t realtime_offset_ns;
	atomic_ulong lost;
	bool troubled; /* the latest write failed */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more, done;
	struct record *queue;
	unsigned int queued;
	bool stopping, ended;
};

struct accounts {
	struct file *file[ACCOUNTS_FORMATS]; /* NULL: none */
};

/* ---- a record ---- */

struct line {
	size_t len;
	char text[LINE_BYTES];
};

static void line_add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void line_add(struct line *l, const char *fmt, ...)
{
	size_t room = sizeof(l->text) - l->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, room, fmt, ap);
	va_end(ap);
	l->len += MIN((size_t)MAX(n, 0), room - 1);
}

static void line_add_text(struct line *l, const char *text)
{
	bool quoted = strpbrk(text, ",\"\r\n");

	if (quoted)
		line_add(l, "\"");
	for (; *text; text++)
		line_add(l, *text == '"' ? "\"\"" : "%c", *text);
	line_add(l, quoted ? "\"," : ",");
}

static double wall_time(const struct file *a, uint64_t monotonic_ns)
{
	return monotonic_ns ? (double)(monotonic_ns + a->realtime_offset_ns) / NSEC_PER_SEC : 0.0;
}

static void add_analysis(struct line *l, const struct rtpx_flow_stats *fs)
{
	line_add(l, "%u,%u,%u,%u,%u,", rtpx_stats_expected(fs), rtpx_stats_received(fs),
		 fs->duplicates, rtpx_stats_lost(fs), fs->errors);
	if (fs->segments)
		line_add(l, "0x%08x,%u,%u,", fs->ssrc, fs->segments, fs->payload_type);
	else
		line_add(l, ",0,-1,");
}

static void add_jitter(struct line *l, const struct rtpx_flow_stats *fs)
{
	line_add(l, "%f,%f,%f,", fs->jitter_q4 / 16.0, fs->jitter_max_q4 / 16.0,
		 fs->jitter_count ? fs->jitter_sum_q4 / 16.0 / fs->jitter_count : 0.0);
}

static void add_peer(struct line *l, const struct addr *peer)
{
	char text[ADDR_TEXT];

	if (peer->family == ADDR_NONE)
		line_add(l, ",,");
	else
		line_add(l, "%s,%u,", addr_host_text(peer, text), peer->port);
}

static void format_csv(const struct file *a, const struct call_report *r, struct line *l)
{
	const struct report_leg *o = &r->leg[SESSION_CALLEE], *p = &r->leg[SESSION_CALLER];
	const struct rtpx_flow_stats *so = &o->stream[STREAM_RTP].stats,
				     *sp = &p->stream[STREAM_RTP].stats;
	uint64_t rtcp_o = o->stream[STREAM_RTCP].stats.packets,
		 rtcp_a = p->stream[STREAM_RTCP].stats.packets;
	char node[256] = "UNKNOWN";

	gethostname(node, sizeof(node) - 1);
	line_add(l, RECORD_VERSION ",%s,%d,%u,", node, (int)getpid(), r->number);
	line_add_text(l, r->call_id);
	line_add_text(l, r->from_tag);
	line_add(l, "%f,%f,%f,%f,%f,%f,", wall_time(a, r->created_ns), wall_time(a, r->ended_ns),
		 wall_time(a, so->first_ns), wall_time(a, so->last_ns), wall_time(a, sp->first_ns),
		 wall_time(a, sp->last_ns));
	line_add(l, "%llu,%llu,%llu,%llu,%llu,%llu,%llu,0,", (unsigned long long)sp->packets,
		 (unsigned long long)so->packets, (unsigned long long)(o->relayed + p->relayed),
		 (unsigned long long)(o->dropped + p->dropped), (unsigned long long)rtcp_a,
		 (unsigned long long)rtcp_o, (unsigned long long)(rtcp_a + rtcp_o));
	add_analysis(l, so);
	add_analysis(l, sp);
	add_jitter(l, so);
	add_jitter(l, sp);
	add_peer(l, &o->stream[STREAM_RTP].peer);
	add_peer(l, &p->stream[STREAM_RTP].peer);
	add_peer(l, &o->stream[STREAM_RTCP].peer);
	add_peer(l, &p->stream[STREAM_RTCP].peer);
	line_add(l, "%c,%c,%u,%u\n", o->on_hold ? 't' : 'f', p->on_hold ? 't' : 'f', o->holds,
		 p->holds);
}

static struct json_object *party_json(const struct report_leg *leg)
{
	const struct report_stream *rtp = &leg->stream[STREAM_RTP];
	struct json_object *o = json_object_new_object();

	put_addr(o, "peer", &rtp->peer);
	put_addr(o, "local", &rtp->local);
	put_number(o, "packets", rtp->stats.packets);
	put_number(o, "bytes", rtp->stats.bytes);
	put_number(o, "kernel_packets", rtp->kernel_packets);
	put_number(o, "strangers", rtp->stats.strangers);
	put_number(o, "lost", rtp->quality.lost);
	put_number(o, "duplicates", rtp->stats.duplicates);
	put_number(o, "reordered", rtp->stats.reordered);
	put_real(o, "loss", rtp->quality.loss);
	if (rtp->quality.timed)
		put_real(o, "jitter_ms", rtp->quality.jitter_mean_ms);
	if (rtp->quality.mos > 0)
		put_real(o, "mos", rtp->quality.mos);
	put_number(o, "rtcp_packets", leg->stream[STREAM_RTCP].stats.packets);
	put_number(o, "holds", leg->holds);
	return o;
}

static void format_json(const struct file *a, const struct call_report *r, struct line *l)
{
	struct json_object *o = json_object_new_object();

	put_text(o, "call_id", r->call_id);
	put_text(o, "from_tag", r->from_tag);
	put_text(o, "to_tag", r->to_tag);
	put_number(o, "session", r->number);
	put_real(o, "begun", wall_time(a, r->created_ns));
	put_real(o, "ended", wall_time(a, r->ended_ns));
	put_real(o, "duration_s", report_duration_s(r));
	put_text(o, "end", report_end_name(r->end));
	put_bool(o, "complete", r->complete);
	put_number(o, "packets", r->packets);
	put_number(o, "bytes", r->bytes);
	put_real(o, "kernel_share", report_kernel_share(r));
	json_object_object_add(o, "caller", party_json(&r->leg[SESSION_CALLER]));
	json_object_object_add(o, "callee", party_json(&r->leg[SESSION_CALLEE]));
	line_add(l, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
}

/* ---- the file, in the thread but for the first opening ---- */

static bool lock_file(int fd, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	while (fcntl(fd, F_SETLKW, &l) < 0)
		if (errno != EINTR)
			return false;
	return true;
}

static int account_open(struct file *a)
{
	int rc = 0;

	if (a->fd >= 0)
		close(a->fd);
	a->fd = open(a->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (a->fd < 0)
		return -errno;
	if (!lock_file(a->fd, F_WRLCK))
		return -errno;
	if (fstat(a->fd, &a->opened) < 0 || (a->format == ACCOUNTS_CSV && !a->opened.st_size &&
					     !write_whole(a->fd, header, sizeof(header) - 1)))
		rc = -errno;
	lock_file(a->fd, F_UNLCK);
	return rc;
}

/* Another program may have renamed the file, to begin a new one. */
static int file_current(struct file *a)
{
	struct stat now;

	if (a->fd >= 0 && stat(a->path, &now) == 0 && now.st_dev == a->opened.st_dev &&
	    now.st_ino == a->opened.st_ino)
		return 0;
	return account_open(a);
}

static int write_record(struct file *a, const struct record *r)
{
	int rc = file_current(a);

	if (rc)
		return rc;
	if (!lock_file(a->fd, F_WRLCK))
		return -errno;
	if (!write_whole(a->fd, r->text, r->len))
		rc = -errno;
	lock_file(a->fd, F_UNLCK);
	return rc;
}

/* Log the first of several failures, and the first success after them. */
static void account_report(struct file *a, int rc)
{
	if (rc) {
		atomic_fetch_add(&a->lost, 1);
		if (!a->troubled)
			log_err("accounting file %s: records are lost: %s", a->path, strerror(-rc));
	} else if (a->troubled) {
		log_warn("accounting file %s: records are written again, %lu were lost", a->path,
			 atomic_load(&a->lost));
	}
	a->troubled = rc != 0;
}

static void *write_records(void *arg)
{
	struct file *a = arg;
	struct record *r;

	pthread_mutex_lock(&a->lock);
	while (a->queue || !a->stopping) {
		r = a->queue;
		if (!r) {
			pthread_cond_wait(&a->more, &a->lock);
			continue;
		}
		DL_DELETE(a->queue, r);
		a->queued--;
		pthread_mutex_unlock(&a->lock);
		account_report(a, write_record(a, r));
		free(r);
		pthread_mutex_lock(&a->lock);
	}
	a->ended = true;
	pthread_cond_signal(&a->done);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* ---- in the loop ---- */

static void file_add(struct file *a, const struct call_report *r)
{
	static struct line line;
	struct record *record;

	line.len = 0;
	if (a->format == ACCOUNTS_CSV)
		format_csv(a, r, &line);
	else
		format_json(a, r, &line);
	record = malloc(sizeof(*record) + line.len);
	if (record) {
		record->len = line.len;
		memcpy(record->text, line.text, line.len);
	}
	pthread_mutex_lock(&a->lock);
	if (record && a->queued < ACCOUNTS_QUEUE) {
		DL_APPEND(a->queue, record);
		a->queued++;
		record = NULL;
		pthread_cond_signal(&a->more);
	} else {
		atomic_fetch_add(&a->lost, 1);
	}
	pthread_mutex_unlock(&a->lock);
	free(record);
}

static int account_new(struct file **out, enum accounts_format format, const char *path)
{
	struct file *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return -ENOMEM;
	a->format = format;
	a->fd = -1;
	a->path = strdup(path);
	a->realtime_offset_ns = clock_realtime_offset();
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->more, NULL);
	thread_cond_init(&a->done);
	rc = a->path ? account_open(a) : -ENOMEM;
	if (!rc)
		rc = thread_run(&a->thread, write_records, a);
	if (!rc) {
		*out = a;
		return 0;
	}
	if (a->fd >= 0)
		close(a->fd);
	free(a->path);
	free(a);
	return rc;
}

/* A thread that hangs in the disk keeps the memory. */
static void account_free(struct file *a)
{
	const uint64_t until_ns = clock_now() + ACCOUNTS_EXIT_MS * NSEC_PER_MSEC;
	bool ended;

	pthread_mutex_lock(&a->lock);
	a->stopping = true;
	pthread_cond_signal(&a->more);
	while (!a->ended && thread_wait(&a->done, &a->lock, until_ns) == 0)
		;
	ended = a->ended;
	pthread_mutex_unlock(&a->lock);
	if (!ended) {
		log_err("accounting file %s: the disk hangs, %u records are lost", a->path,
			a->queued);
		return;
	}
	pthread_join(a->thread, NULL);
	close(a->fd);
	free(a->path);
	free(a);
}

void accounts_add(struct accounts *a, const struct call_report *r)
{
	for (int i = 0; i < ACCOUNTS_FORMATS; i++)
		if (a->file[i])
			file_add(a->file[i], r);
}

uint64_t accounts_lost(const struct accounts *a)
{
	uint64_t lost = 0;

	for (int i = 0; i < ACCOUNTS_FORMATS; i++)
		lost += a->file[i] ? atomic_load(&a->file[i]->lost) : 0;
	return lost;
}

int accounts_new(struct accounts **out, const char *const path[ACCOUNTS_FORMATS], char *err,
		 size_t err_size)
{
	static const char *const names[ACCOUNTS_FORMATS] = { "--acct-csv", "--acct-json" };
	struct accounts *a = calloc(1, sizeof(*a));
	int rc = a ? 0 : -ENOMEM;

	snprintf(err, err_size, "out of memory");
	for (int i = 0; i < ACCOUNTS_FORMATS && !rc; i++) {
		rc = path[i] ? account_new(&a->file[i], (enum accounts_format)i, path[i]) : 0;
		if (rc)
			snprintf(err, err_size, "%s %s: %s", names[i], path[i], strerror(-rc));
	}
	if (rc)
		accounts_free(a);
	else
		*out = a;
	return rc;
}

void accounts_free(struct accounts *a)
{
	for (int i = 0; a && i < ACCOUNTS_FORMATS; i++)
		if (a->file[i])
			account_free(a->file[i]);
	free(a);
}

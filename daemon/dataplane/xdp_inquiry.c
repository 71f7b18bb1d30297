/* SPDX-License-Identifier: BSD-2-Clause */
/* xdp_inquiry.c - one thread, which has at most one list of questions at a time. */
#include "dataplane/xdp_inquiry.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"
#include "dataplane/xdp_attach.h"

enum stage { STAGE_IDLE, STAGE_ASKED, STAGE_ANSWERED };

struct xdp_inquiry {
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock;
	pthread_cond_t asked;
	/* under @lock, except for the questions while the thread works on them */
	enum stage stage;
	bool end, orphaned; /* the thread ends; and it frees all this */
	struct xdp_asked all[RTPX_MAX_TX_PORTS];
	unsigned int n;
};

/* A detached link (for example by `bpftool link detach`) has no interface any more. */
bool xdp_link_is_detached(int link)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(link, &info, &len) == 0 && info.type == BPF_LINK_TYPE_XDP &&
	       info.xdp.ifindex == 0;
}

static void answer_all(struct xdp_inquiry *q)
{
	struct xdp_asked *a;

	for (a = q->all; a < q->all + q->n; a++) {
		if (a->link < 0) {
			a->programs = xdp_foreign(a->ifindex);
			continue;
		}
		a->detached = xdp_link_is_detached(a->link);
		close(a->link);
	}
}

static void inquiry_destroy(struct xdp_inquiry *q)
{
	pthread_cond_destroy(&q->asked);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static void *inquire(void *arg)
{
	struct xdp_inquiry *q = arg;
	bool orphaned;

	pthread_mutex_lock(&q->lock);
	while (!q->end) {
		if (q->stage != STAGE_ASKED) {
			pthread_cond_wait(&q->asked, &q->lock);
			continue;
		}
		pthread_mutex_unlock(&q->lock);
		answer_all(q);
		pthread_mutex_lock(&q->lock);
		q->stage = STAGE_ANSWERED;
	}
	orphaned = q->orphaned;
	pthread_mutex_unlock(&q->lock);
	if (orphaned)
		inquiry_destroy(q);
	return NULL;
}

static enum stage stage_of(const struct xdp_inquiry *q)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&q->lock;
	enum stage stage;

	pthread_mutex_lock(lock);
	stage = q->stage;
	pthread_mutex_unlock(lock);
	return stage;
}

bool xdp_inquiry_is_idle(const struct xdp_inquiry *q)
{
	return stage_of(q) == STAGE_IDLE;
}

/* Take duplicates of the links. A link without one is left out. */
static void take_questions(struct xdp_inquiry *q, const struct xdp_asked *about, unsigned int n)
{
	unsigned int i;

	q->n = 0;
	for (i = 0; i < n && i < RTPX_MAX_TX_PORTS; i++) {
		struct xdp_asked *a = &q->all[q->n];

		*a = about[i];
		if (a->link >= 0) {
			a->link = fcntl(a->link, F_DUPFD_CLOEXEC, 0);
			if (a->link < 0)
				continue;
		}
		q->n++;
	}
}

void xdp_inquiry_ask(struct xdp_inquiry *q, const struct xdp_asked *about, unsigned int n)
{
	if (!q->runs)
		q->runs = thread_run(&q->thread, inquire, q) == 0;
	take_questions(q, about, n);
	if (!q->runs)
		answer_all(q);
	pthread_mutex_lock(&q->lock);
	q->stage = q->runs ? STAGE_ASKED : STAGE_ANSWERED;
	pthread_cond_signal(&q->asked);
	pthread_mutex_unlock(&q->lock);
}

unsigned int xdp_inquiry_answers(struct xdp_inquiry *q, struct xdp_asked *out)
{
	if (stage_of(q) != STAGE_ANSWERED)
		return 0;
	memcpy(out, q->all, q->n * sizeof(*out));
	pthread_mutex_lock(&q->lock);
	q->stage = STAGE_IDLE;
	pthread_mutex_unlock(&q->lock);
	return q->n;
}

int xdp_inquiry_new(struct xdp_inquiry **out)
{
	struct xdp_inquiry *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->asked, NULL);
	*out = q;
	return 0;
}

void xdp_inquiry_free(struct xdp_inquiry *q)
{
	pthread_t thread;
	bool orphaned;

	if (!q)
		return;
	thread = q->thread;
	pthread_mutex_lock(&q->lock);
	q->end = true;
	orphaned = q->orphaned = q->runs && q->stage == STAGE_ASKED;
	pthread_cond_signal(&q->asked);
	pthread_mutex_unlock(&q->lock);
	if (orphaned) {
		pthread_detach(thread);
		return;
	}
	if (q->runs)
		pthread_join(thread, NULL);
	inquiry_destroy(q);
}

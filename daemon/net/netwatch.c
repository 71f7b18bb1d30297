/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netwatch.c - tables of the kernel by libmnl. The kernel makes each part of a dump while the part
 * before it is received, so nothing here waits.
 */
#include <errno.h>
#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>

#include "net/netwatch.h"
#include "base/clock.h"
#include "base/log.h"

#define COALESCE_MS 20 /* between a notice and the reading */
#define SLICE_NS (NSEC_PER_MSEC / 2)
#define MAX_INTERRUPTED 5 /* readings given up because the table changed meanwhile */
#define NOTICES_A_TURN 64

struct netwatch {
	const struct netwatch_table *table;
	void *arg; /* the module that follows the table */
	struct mnl_socket *ask, *hear;
	struct event *hear_ev, *work_ev;
	unsigned int request; /* number of the next request, or of the one being answered */
	uint32_t seq;	      /* sequence number of the last request */
	bool reading, asked, interrupted;
	bool again; /* a notice came while the table was read */
	unsigned int given_up;
	int err; /* of the first request that failed */
	char buf[32768] __attribute__((aligned(8)));
};

static void timer_arm(struct netwatch *w, unsigned int ms)
{
	struct timeval tv = { .tv_usec = ms * 1000 };

	if (ms == 0 || !event_pending(w->work_ev, EV_TIMEOUT, NULL))
		event_add(w->work_ev, &tv);
}

/* send_request - false: there is no further request. */
static bool send_request(struct netwatch *w)
{
	char room[MNL_ALIGN(sizeof(struct nlmsghdr)) + NETWATCH_REQUEST] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(room);

	if (!w->table->ask(w->arg, w->request, h))
		return false;
	h->nlmsg_flags |= NLM_F_REQUEST;
	h->nlmsg_seq = ++w->seq;
	if (mnl_socket_sendto(w->ask, h, h->nlmsg_len) < 0 && !w->err)
		w->err = -errno;
	return true;
}

/* take_message - true when it ends the answer to the current request. */
static bool take_message(struct netwatch *w, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_seq != w->seq)
		return false;
	w->interrupted |= h->nlmsg_flags & NLM_F_DUMP_INTR;
	if (h->nlmsg_type == NLMSG_DONE)
		return true;
	if (h->nlmsg_type == NLMSG_ERROR) {
		if (e->error && !w->err)
			w->err = e->error;
		return true;
	}
	w->table->take(w->arg, w->request, h);
	return false;
}

/* read_part - 1: the request is answered, 0: more follows, or -errno. */
static int read_part(struct netwatch *w)
{
	ssize_t n = recv(mnl_socket_get_fd(w->ask), w->buf, sizeof(w->buf), MSG_DONTWAIT);
	const struct nlmsghdr *h;
	bool last = false;
	int left = n;

	if (n < 0)
		return -errno;
	for (h = (void *)w->buf; mnl_nlmsg_ok(h, left) && !last; h = mnl_nlmsg_next(h, &left))
		last = take_message(w, h);
	return last;
}

static void reading_begin(struct netwatch *w)
{
	w->reading = true;
	w->asked = false;
	w->again = w->interrupted = false;
	w->request = 0;
	w->err = 0;
	w->table->begin(w->arg);
}

/* finish - a table that changes all the time is taken as it is after MAX_INTERRUPTED readings. */
static void reading_end(struct netwatch *w)
{
	w->reading = false;
	if (w->interrupted && ++w->given_up < MAX_INTERRUPTED) {
		w->again = true;
	} else {
		w->given_up = 0;
		w->table->done(w->arg, w->err);
	}
	if (w->again)
		timer_arm(w, COALESCE_MS);
}

/* go_on - read until @until_ns, or to the end. */
static void go_on(struct netwatch *w, uint64_t until_ns)
{
	int rc;

	do {
		if (!w->asked && !send_request(w)) {
			reading_end(w);
			return;
		}
		rc = read_part(w);
		if (rc < 0 && !w->err)
			w->err = rc;
		w->asked = rc == 0;
		w->request += rc != 0;
	} while (clock_now() < until_ns);
	timer_arm(w, 0);
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *w = arg;

	(void)fd, (void)what;
	if (!w->reading)
		reading_begin(w);
	go_on(w, clock_now() + SLICE_NS);
}

static bool concerns_table(const struct netwatch *w, const void *buf, int left)
{
	const struct nlmsghdr *h;

	if (!w->table->concerns)
		return true;
	for (h = buf; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
		if (w->table->concerns(w->arg, h))
			return true;
	return false;
}

static void read_again(struct netwatch *w)
{
	if (w->reading)
		w->again = true;
	else
		timer_arm(w, COALESCE_MS);
}

static void on_hear(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *w = arg;
	unsigned int i;
	ssize_t n;

	(void)what;
	for (i = 0; i < NOTICES_A_TURN; i++) {
		n = recv(fd, w->buf, sizeof(w->buf), MSG_DONTWAIT);
		if (n < 0 && errno != ENOBUFS)
			return;
		if (n < 0 || concerns_table(w, w->buf, n))
			read_again(w);
	}
}

static struct mnl_socket *open_bus(int bus)
{
	struct mnl_socket *s = mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(s);
		s = NULL;
	}
	return s;
}

/* EPERM is not reported here: the reading that follows fails with it, too. */
static void groups_join(struct netwatch *w)
{
	unsigned int i;
	int group;

	for (i = 0; i < w->table->n_groups; i++) {
		group = w->table->groups[i];
		if (mnl_socket_setsockopt(w->hear, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) &&
		    errno != EPERM)
			log_warn("%s: no notices of changes: %s", w->table->name, strerror(errno));
	}
}

static void watch_free(struct netwatch *w)
{
	if (!w)
		return;
	if (w->hear_ev)
		event_free(w->hear_ev);
	if (w->work_ev)
		event_free(w->work_ev);
	if (w->hear)
		mnl_socket_close(w->hear);
	if (w->ask)
		mnl_socket_close(w->ask);
	free(w);
}

static int watch_new(struct netwatch **out, const struct netwatch_table *table,
		     struct event_base *base, void *arg)
{
	struct netwatch *w = calloc(1, sizeof(*w));
	int rc = -ENOMEM;

	if (!w)
		return -ENOMEM;
	w->table = table;
	w->arg = arg;
	w->ask = open_bus(table->bus);
	w->hear = w->ask ? open_bus(table->bus) : NULL;
	if (!w->hear) {
		rc = -errno;
		goto err_free;
	}
	groups_join(w);
	w->work_ev = evtimer_new(base, on_work, w);
	w->hear_ev = event_new(base, mnl_socket_get_fd(w->hear), EV_READ | EV_PERSIST, on_hear, w);
	if (!w->work_ev || !w->hear_ev || event_add(w->hear_ev, NULL))
		goto err_free;
	reading_begin(w);
	go_on(w, UINT64_MAX);
	*out = w;
	return 0;

err_free:
	watch_free(w);
	return rc;
}

void *follower_new(size_t size, const struct netwatch_table *table, struct event_base *base,
		   void (*changed)(void *arg), void *arg, int *err)
{
	struct follower *f = calloc(1, size);

	*err = f ? 0 : -ENOMEM;
	if (!f)
		return NULL;
	f->changed = changed;
	f->arg = arg;
	if (base)
		*err = watch_new(&f->watch, table, base, f);
	if (*err == -EPROTONOSUPPORT && table->may_lack)
		*err = 0;
	if (!*err)
		return f;
	free(f);
	return NULL;
}

void follower_free(struct follower *f)
{
	watch_free(f->watch);
}

void follower_tell(const struct follower *f)
{
	if (f->watch)
		f->changed(f->arg);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pacer.c - a wheel of one-millisecond slots on one timerfd. Adding and removing cost the same for
 * any number of items. The cost of a turn grows with the due items only. The timer sleeps until the
 * next slot in use.
 *
 * An item due later than one round of the wheel stays in its slot for several rounds.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "media/pacer.h"
#include "base/clock.h"

#define TICK_NS NSEC_PER_MSEC
#define TURN_NS (2 * NSEC_PER_MSEC) /* then the loop serves others; the rest runs after that */
#define GLANCE 32		    /* items between two looks at the clock */
#define SLOTS 1024
#define WORD 64
#define NOT_ARMED UINT64_MAX

struct pacer {
	struct pacer_opts o;
	int fd;
	struct event *ready;
	bool in_turn;
	uint64_t tick;		       /* the latest tick that ran */
	uint64_t armed;		       /* the tick that the timer is set to */
	struct pacer_item slot[SLOTS]; /* heads of rings */
	uint64_t used[SLOTS / WORD];   /* a bit for each slot that is not empty */
};

/* ---- rings ---- */

static void ring_init(struct pacer_item *head)
{
	head->prev = head->next = head;
}

static bool ring_is_empty(const struct pacer_item *head)
{
	return head->next == head;
}

static void ring_append(struct pacer_item *head, struct pacer_item *item)
{
	item->prev = head->prev;
	item->next = head;
	item->prev->next = item;
	head->prev = item;
}

static void ring_remove(struct pacer_item *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->prev = item->next = NULL;
}

/* Move all items of @from to the empty ring @to. */
static void ring_move(struct pacer_item *to, struct pacer_item *from)
{
	ring_init(to);
	if (ring_is_empty(from))
		return;
	to->prev = from->prev;
	to->next = from->next;
	to->prev->next = to;
	to->next->prev = to;
	ring_init(from);
}

/* ---- slots ---- */

static void slot_mark(struct pacer *p, unsigned int slot)
{
	uint64_t bit = 1ull << slot % WORD;

	if (ring_is_empty(&p->slot[slot]))
		p->used[slot / WORD] &= ~bit;
	else
		p->used[slot / WORD] |= bit;
}

static void slot_put(struct pacer *p, struct pacer_item *item)
{
	unsigned int slot = item->tick % SLOTS;

	ring_append(&p->slot[slot], item);
	slot_mark(p, slot);
}

/* The first tick after p->tick that has its slot in use; NOT_ARMED: none. */
static uint64_t next_tick(const struct pacer *p)
{
	uint64_t tick = p->tick + 1, end = tick + SLOTS;

	while (tick < end) {
		unsigned int slot = tick % SLOTS;
		uint64_t word = p->used[slot / WORD] >> slot % WORD;

		if (word)
			return tick + __builtin_ctzll(word);
		tick += WORD - slot % WORD;
	}
	return NOT_ARMED;
}

static void timer_arm(struct pacer *p, uint64_t tick)
{
	const uint64_t ns = tick * TICK_NS;
	const struct itimerspec at = { .it_value = { .tv_sec = ns / NSEC_PER_SEC,
						     .tv_nsec = ns % NSEC_PER_SEC } };

	p->armed = tick;
	if (tick != NOT_ARMED)
		timerfd_settime(p->fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* ---- use ---- */

void pacer_add(struct pacer *p, struct pacer_item *item, uint64_t due_ns,
	       void (*run)(struct pacer_item *item, uint64_t now_ns))
{
	pacer_del(p, item);
	item->tick = MAX((due_ns + TICK_NS - 1) / TICK_NS, p->tick + 1);
	item->run = run;
	slot_put(p, item);
	if (!p->in_turn && item->tick < p->armed)
		timer_arm(p, item->tick);
}

void pacer_del(struct pacer *p, struct pacer_item *item)
{
	if (!item->next)
		return;
	ring_remove(item);
	slot_mark(p, item->tick % SLOTS);
}

/* A turn of the loop. */
struct turn {
	uint64_t now_ns, until_ns;
	unsigned int ran; /* items */
};

static bool is_over(const struct turn *t)
{
	return t->ran && t->ran % GLANCE == 0 && clock_now() >= t->until_ns;
}

/* Run the due items of a slot; put items of a later round back, and at the end of the turn all. */
static void run_slot(struct pacer *p, unsigned int slot, struct turn *t)
{
	struct pacer_item due, *item;
	bool over = false;

	ring_move(&due, &p->slot[slot]);
	slot_mark(p, slot);
	while (!ring_is_empty(&due)) {
		item = due.next;
		ring_remove(item);
		if (over)
			item->tick = MAX(item->tick, p->tick + 1);
		if (item->tick > p->tick) {
			slot_put(p, item);
			continue;
		}
		item->run(item, t->now_ns);
		t->ran++;
		over = is_over(t);
	}
}

void pacer_run(struct pacer *p, uint64_t now_ns)
{
	struct turn t = { now_ns, clock_now() + TURN_NS, 0 };
	uint64_t now = now_ns / TICK_NS;

	if (now > p->tick + SLOTS)
		p->tick = now - SLOTS;
	p->in_turn = true;
	while (p->tick < now && !is_over(&t)) {
		p->tick++;
		if (p->used[p->tick % SLOTS / WORD] >> p->tick % WORD & 1)
			run_slot(p, p->tick % SLOTS, &t);
	}
	p->in_turn = false;
	if (t.ran)
		p->o.batch_end(p->o.arg);
	timer_arm(p, next_tick(p));
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	uint64_t times;

	(void)what;
	if (read(fd, &times, sizeof(times)) == sizeof(times))
		pacer_run(arg, clock_now());
}

/* ---- begin and end ---- */

int pacer_new(struct pacer **out, struct event_base *base, const struct pacer_opts *opts)
{
	struct pacer *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;
	size_t i;

	if (!p)
		return -ENOMEM;
	p->o = *opts;
	p->armed = NOT_ARMED;
	p->tick = clock_now() / TICK_NS;
	for (i = 0; i < SLOTS; i++)
		ring_init(&p->slot[i]);
	p->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (p->fd < 0) {
		err = -errno;
		goto err_free;
	}
	p->ready = event_new(base, p->fd, EV_READ | EV_PERSIST, on_ready, p);
	if (!p->ready || event_add(p->ready, NULL))
		goto err_close;
	*out = p;
	return 0;

err_close:
	if (p->ready)
		event_free(p->ready);
	close(p->fd);
err_free:
	free(p);
	return err;
}

void pacer_free(struct pacer *p)
{
	if (!p)
		return;
	event_free(p->ready);
	close(p->fd);
	free(p);
}

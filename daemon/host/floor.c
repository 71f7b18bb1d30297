/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor.c - compares what shared sockets need with this host's rules.
 *
 * A raw socket sends a packet as the port's socket would, but for three inputs: the kernel routes
 * it without its ports, looks for IPsec policies without them, and programs of the control group at
 * sendmsg() of UDP do not see it. A host that uses one of them gets a socket for each port.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/floor.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/ipsec.h"
#include "host/ownsocket.h"
#include "host/paths.h"
#include "host/rules.h"

struct floor {
	struct switchboard *board;
	struct rules *rules;
	struct ipsec *ipsec;
	struct paths *paths; /* NULL: the ring is not used */
	struct event *second;
	struct ring_finder finder;
	char text[512];
};

static const char by_port[] =
	"a routing rule or fib_multipath_hash_policy looks at ports, which the routes of shared "
	"sockets do not";

static const char by_policy[] =
	"an IPsec policy looks at ports, which packets of shared sockets do not show it";

/*
 * Ports that are open send their next packet from a socket of their own, and keep it: a rule that
 * went is no reason to hurry.
 */
static void on_change(void *arg)
{
	struct floor *f = arg;
	const char *why = rules_by_port(f->rules)		? by_port
			  : f->ipsec && ipsec_by_port(f->ipsec) ? by_policy
								: NULL;

	if (why && !switchboard_by_port(f->board))
		log_warn("shared sockets: %s; from now on each port sends from a socket of its "
			 "own, so a call needs up to 4 descriptors",
			 why);
	else if (!why && switchboard_by_port(f->board))
		log_info("shared sockets: no rule of this host looks at ports any more; new calls "
			 "need no descriptors");
	switchboard_set_by_port(f->board, why != NULL);
}

static void ignore(void *arg)
{
	(void)arg;
}

static bool routes_by_port(struct event_base *base)
{
	struct rules *rules;
	bool yes;

	if (rules_new(&rules, base, ignore, NULL))
		return true;
	yes = rules_by_port(rules);
	rules_free(rules);
	return yes;
}

static bool policies_by_port(struct event_base *base)
{
	struct ipsec *ipsec;
	bool yes;

	if (ipsec_new(&ipsec, base, ignore, NULL))
		return true;
	yes = ipsec_by_port(ipsec) || ipsec_refused(ipsec);
	ipsec_free(ipsec);
	return yes;
}

/* NULL, or the reason why this host needs a socket for each port. */
static const char *objection(struct event_base *base)
{
	if (routes_by_port(base))
		return by_port;
	if (policies_by_port(base))
		return by_policy;
	if (ownsocket_sendmsg_programs())
		return "a BPF program of the control group looks at sendmsg() of UDP, which shared "
		       "sockets do not pass";
	return NULL;
}

/*
 * Open shared sockets. NULL, or the reason against them, perhaps in @reason. The rights of this
 * process are tried first, because the host's policies cannot be read without them.
 */
static const char *open_shared(struct floor *f, const struct switchboard_opts *opts, char *reason,
			       size_t reason_size)
{
	struct event_base *base;
	const char *why;

	if (switchboard_new(&f->board, opts, reason, reason_size))
		return reason;
	base = event_base_new();
	why = base ? objection(base) : "out of memory";
	if (base)
		event_base_free(base);
	if (why) {
		switchboard_free(f->board);
		f->board = NULL;
	}
	return why;
}

int floor_open(struct floor **out, enum floor_choice choice, const struct switchboard_opts *opts,
	       char *err, size_t err_size)
{
	struct floor *f = calloc(1, sizeof(*f));
	const char *why = "--port-sockets each";
	char reason[400];

	if (!f) {
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	if (choice != FLOOR_EACH)
		why = open_shared(f, opts, reason, sizeof(reason));
	if (why && choice == FLOOR_SHARED) {
		snprintf(err, err_size, "--port-sockets shared: %s", why);
		floor_free(f);
		return -EOPNOTSUPP;
	}
	if (why)
		snprintf(f->text, sizeof(f->text), "a socket for each port: %s", why);
	else
		snprintf(f->text, sizeof(f->text), "shared sockets for all ports%s",
			 floor_has_ring(f) ? "" : ", without the ring: no packet sockets");
	*out = f;
	return 0;
}

void floor_free(struct floor *f)
{
	if (!f)
		return;
	rules_free(f->rules);
	ipsec_free(f->ipsec);
	switchboard_free(f->board);
	if (f->second)
		event_free(f->second);
	paths_free(f->paths);
	free(f);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct floor *f = arg;

	(void)fd, (void)what;
	paths_tick(f->paths, clock_now());
}

static int use_ring(struct floor *f, struct event_base *base, struct nexthops *nexthops)
{
	static const struct timeval second = { 1, 0 };
	int err = paths_new(&f->paths, nexthops);

	if (err)
		return err;
	f->second = event_new(base, -1, EV_PERSIST, on_second, f);
	if (!f->second || event_add(f->second, &second))
		return -ENOMEM;
	f->finder = (struct ring_finder){ paths_find, f->paths };
	switchboard_use_ring(f->board, &f->finder);
	return 0;
}

int floor_watch(struct floor *f, struct event_base *base, struct nexthops *nexthops)
{
	int err = f->board ? rules_new(&f->rules, base, on_change, f) : 0;

	if (!err && f->board)
		err = ipsec_new(&f->ipsec, base, on_change, f);
	if (!err && nexthops && floor_has_ring(f))
		err = use_ring(f, base, nexthops);
	return err;
}

bool floor_has_ring(const struct floor *f)
{
	return f->board && switchboard_has_ring(f->board);
}

struct switchboard *floor_board(const struct floor *f)
{
	return f->board;
}

const char *floor_text(const struct floor *f)
{
	return f->text;
}

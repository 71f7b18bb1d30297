/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor.c - compares what shared sockets need with this host's rules.
 *
 * A raw socket sends a packet as the port's socket would, but for two inputs: the kernel routes it
 * without its ports, and programs of the control group at sendmsg() of UDP do not see it. A host
 * that uses one of them gets a socket for each port.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/floor.h"
#include "base/log.h"
#include "host/ownsocket.h"
#include "host/rules.h"

struct floor {
	struct switchboard *board;
	struct rules *rules;
	char text[512];
};

static const char by_port[] =
	"a routing rule or fib_multipath_hash_policy looks at ports, which the routes of shared "
	"sockets do not";

static void on_rules(void *arg)
{
	struct floor *f = arg;

	if (rules_by_port(f->rules))
		log_warn("shared sockets: %s; restart rtpxd, so that each port has a socket of its "
			 "own",
			 by_port);
}

static void ignore(void *arg)
{
	(void)arg;
}

static bool routes_by_port(void)
{
	struct event_base *base = event_base_new();
	struct rules *rules;
	bool yes = true;

	if (base && rules_new(&rules, base, ignore, NULL) == 0) {
		yes = rules_by_port(rules);
		rules_free(rules);
	}
	if (base)
		event_base_free(base);
	return yes;
}

/* NULL, or the reason why this host needs a socket for each port. */
static const char *objection(void)
{
	if (routes_by_port())
		return by_port;
	if (ownsocket_sendmsg_programs())
		return "a BPF program of the control group looks at sendmsg() of UDP, which shared "
		       "sockets do not pass";
	return NULL;
}

static void choose_each(struct floor *f, const char *why)
{
	snprintf(f->text, sizeof(f->text), "a socket for each port: %s", why);
}

int floor_open(struct floor **out, enum floor_choice choice, const struct switchboard_opts *opts,
	       char *err, size_t err_size)
{
	struct floor *f = calloc(1, sizeof(*f));
	char reason[400];
	const char *why;
	int rc = 0;

	if (!f) {
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	*out = f;
	if (choice == FLOOR_EACH) {
		choose_each(f, "--port-sockets each");
		return 0;
	}
	why = objection();
	if (!why)
		rc = switchboard_new(&f->board, opts, reason, sizeof(reason));
	if (rc)
		why = reason;
	if (why && choice == FLOOR_AUTO) {
		choose_each(f, why);
		return 0;
	}
	if (why) {
		snprintf(err, err_size, "--port-sockets shared: %s", why);
		floor_free(f);
		return rc ? rc : -EOPNOTSUPP;
	}
	snprintf(f->text, sizeof(f->text), "shared sockets for all ports");
	return 0;
}

void floor_free(struct floor *f)
{
	if (!f)
		return;
	rules_free(f->rules);
	switchboard_free(f->board);
	free(f);
}

int floor_watch(struct floor *f, struct event_base *base)
{
	return f->board ? rules_new(&f->rules, base, on_rules, f) : 0;
}

struct switchboard *floor_board(const struct floor *f)
{
	return f->board;
}

const char *floor_text(const struct floor *f)
{
	return f->text;
}

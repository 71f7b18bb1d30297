/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.h - judges how this host treats a packet of our media sockets beside routing it: firewall,
 * NAT, IPsec, traffic control. Owns the tables for that; hostpath.h lists their inputs.
 *
 * A dataplane may send a packet by itself only if the host would send it unchanged.
 */
#ifndef RTPX_HOST_H
#define RTPX_HOST_H

#include "base/base.h"
#include "call/why.h"
#include "host/outgoing.h"
#include "host/ownsocket.h"

struct event_base;
struct host;
struct iptables;

struct host_opts {
	/* changed - judge every next hop again; @routes: ask for its route again, too */
	void (*changed)(void *arg, bool routes);
	void *arg;
	struct iptables *iptables; /* NULL: not read; borrowed until host_free() */
	/*
	 * the dataplane hands its packets to the host's routing (struct dp.routes): IPsec, tunnels
	 * and queues see them, the output chain does not
	 */
	bool routes;
	bool idle; /* no dataplane: read nothing of the host, and object to nothing */
};

int host_new(struct host **out, struct event_base *base, const struct host_opts *opts);
void host_free(struct host *h); /* NULL is allowed */

/* host_look - called once a second: read the settings that change without a notice. */
void host_look(struct host *h);

/* host_socket - how this host treats a media socket. Valid until host_look(). */
const struct ownsocket *host_socket(const struct host *h);

/*
 * host_by_port - routes or judgements depend on ports, so each flow needs a next hop of its own.
 * Stays true after a judgement needed the ports.
 */
bool host_by_port(const struct host *h);

/* host_by_mark - routes depend on the mark of packets. */
bool host_by_mark(const struct host *h);

struct host_verdict {
	enum flow_why why;     /* FLOW_NO_OBJECTION: the dataplane may send it */
	enum flow_why arrives; /* the same for the peer's packets, on their way to the socket */
	bool waits;	       /* judge again later: a packet must pass through the socket first */
	uint32_t mark;	       /* packet's mark; if rules name marks, ask for its route again */
};

/*
 * host_judge_output - judge the host's output of @p, with the route of the unmarked packet.
 * host_judge_leave - judge the way of @p to the device, with its final route and mark.
 */
struct host_verdict host_judge_output(struct host *h, const struct outgoing *p);
struct host_verdict host_judge_leave(struct host *h, const struct outgoing *p);

/*
 * host_findings - report each setting of this host that keeps calls out of the kernel: the reason,
 * and a text for the status output.
 */
void host_findings(const struct host *h,
		   void (*found)(void *arg, enum flow_why why, const char *text), void *arg);

#endif

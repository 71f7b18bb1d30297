/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.h - what this host does with a packet of our media sockets beside routing it. Owns the
 * tables of that (hostpath.h lists the inputs) and judges with all of them.
 *
 * A dataplane may send a packet by itself only where the host would send it as it is.
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
	/* changed - judge everything again; @routes: ask for the routes again, too */
	void (*changed)(void *arg, bool routes);
	void *arg;
	struct iptables *iptables; /* NULL: not looked at; the owner's, until host_free() */
	/*
	 * the dataplane hands its packets to the host's routing (struct dp.routes): IPsec, tunnels
	 * and queues see them, the output chain does not
	 */
	bool routes;
	bool idle; /* no dataplane: nothing of the host is read, nothing stands in the way */
};

int host_new(struct host **out, struct event_base *base, const struct host_opts *opts);
void host_free(struct host *h); /* NULL is allowed */

/* host_look - once a second: what changes without a notice. */
void host_look(struct host *h);

/* host_socket - what a media socket is to this host. Valid until host_look(). */
const struct ownsocket *host_socket(const struct host *h);

/*
 * host_by_port - routes or judgements depend on ports, so each flow needs its own. Once a judgement
 * has needed them it stays so.
 */
bool host_by_port(const struct host *h);

/* host_by_mark - routes depend on the mark of packets. */
bool host_by_mark(const struct host *h);

struct host_verdict {
	enum flow_why why; /* FLOW_WHY_KERNEL: nothing stands in the way */
	enum flow_why arrives; /* the same of packets that answer, on their way to the socket */
	bool waits;	   /* judge again: it depends on a packet that has gone by the socket */
	uint32_t mark;	   /* the packet's; where rules name marks, ask for the route again */
};

/*
 * host_judge_output - @p with its first route: what the host's output does before it is sent.
 * host_judge_leave - @p with its last route and its mark: what happens on the way to the device.
 */
struct host_verdict host_judge_output(struct host *h, const struct outgoing *p);
struct host_verdict host_judge_leave(struct host *h, const struct outgoing *p);

/*
 * host_findings - each thing of this host that keeps calls out of the kernel: the reason, what was
 * found, for people.
 */
void host_findings(const struct host *h,
		   void (*found)(void *arg, enum flow_why why, const char *text), void *arg);

#endif

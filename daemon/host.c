/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - the tables of what the host does to outgoing packets, put together.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "host.h"
#include "ipsec.h"
#include "log.h"
#include "rules.h"

struct host {
	struct host_opts o;
	struct ownsocket socket;
	struct rules *rules;
	struct ipsec *ipsec;
};

static void on_policies(void *arg)
{
	struct host *h = arg;

	h->o.changed(h->o.arg, false);
}

static void on_rules(void *arg)
{
	struct host *h = arg;

	h->o.changed(h->o.arg, true);
}

int host_new(struct host **out, struct event_base *base, const struct host_opts *opts)
{
	struct host *h = calloc(1, sizeof(*h));
	int rc;

	if (!h)
		return -ENOMEM;
	h->o = *opts;
	if (!ownsocket_read(&h->socket))
		log_warn("media sockets: cannot open one to see how this host treats it: %s",
			 strerror(errno));
	rc = rules_new(&h->rules, base, on_rules, h);
	if (rc == 0)
		rc = ipsec_new(&h->ipsec, base, on_policies, h);
	if (rc) {
		host_free(h);
		return rc;
	}
	*out = h;
	return 0;
}

void host_free(struct host *h)
{
	if (!h)
		return;
	rules_free(h->rules);
	ipsec_free(h->ipsec);
	free(h);
}

void host_look(struct host *h)
{
	struct ownsocket was = h->socket;

	rules_look(h->rules);
	if (ownsocket_read(&h->socket) && memcmp(&was, &h->socket, sizeof(was)))
		h->o.changed(h->o.arg, true);
}

const struct ownsocket *host_socket(const struct host *h)
{
	return &h->socket;
}

bool host_by_port(const struct host *h)
{
	return rules_by_port(h->rules) || (ipsec_by_port(h->ipsec) && !h->o.routes);
}

enum flow_why host_judge_socket(const struct host *h, enum addr_family family)
{
	if (h->o.routes && h->socket.bound_dev)
		return FLOW_WHY_VRF;
	if (h->o.routes && h->socket.mark)
		return FLOW_WHY_MARK;
	if (h->socket.programs)
		return FLOW_WHY_CGROUP;
	if (h->socket.fragments && family == ADDR_IP4)
		return FLOW_WHY_FRAGMENTS;
	return FLOW_WHY_KERNEL;
}

enum flow_why host_judge(const struct host *h, const struct outgoing *p)
{
	if (!h->o.routes && ipsec_takes(h->ipsec, p))
		return FLOW_WHY_IPSEC;
	return FLOW_WHY_KERNEL;
}

static void socket_findings(const struct host *h,
			    void (*found)(void *arg, enum flow_why why, const char *text),
			    void *arg)
{
	char name[IF_NAMESIZE] = "?", text[128];

	if (h->o.routes && h->socket.bound_dev) {
		if_indextoname(h->socket.bound_dev, name);
		snprintf(text, sizeof(text), "media sockets are bound to %s", name);
		found(arg, FLOW_WHY_VRF, text);
	}
	if (h->o.routes && h->socket.mark) {
		snprintf(text, sizeof(text), "media sockets have the mark %u", h->socket.mark);
		found(arg, FLOW_WHY_MARK, text);
	}
	if (h->socket.programs)
		found(arg, FLOW_WHY_CGROUP, "BPF programs for what the daemon's sockets send");
	if (h->socket.fragments)
		found(arg, FLOW_WHY_FRAGMENTS, "net.ipv4.ip_no_pmtu_disc is set");
}

void host_findings(const struct host *h,
		   void (*found)(void *arg, enum flow_why why, const char *text), void *arg)
{
	char text[200];

	socket_findings(h, found, arg);
	if (!h->o.routes && ipsec_describe(h->ipsec, text, sizeof(text))[0])
		found(arg, FLOW_WHY_IPSEC, text);
}

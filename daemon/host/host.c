/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - combines the tables of sockets, rules, firewall, IPsec and traffic control.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/host.h"
#include "host/conntrack.h"
#include "host/ipsec.h"
#include "host/iptables.h"
#include "base/log.h"
#include "host/nft.h"
#include "host/nfteval.h"
#include "host/rules.h"
#include "host/traffic.h"

struct host {
	struct host_opts o;
	struct ownsocket socket;
	struct rules *rules;
	struct ipsec *ipsec;
	struct nft *nft;
	struct traffic *traffic;
	struct conntrack *conntrack; /* NULL: none in this kernel */
	bool ports_wanted;	     /* a judgement depends on ports */
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

/* Log one line for all tables: later refusals have the same cause and remedy. */
static void say_refused(const struct host *h)
{
	if (ipsec_refused(h->ipsec) || nft_refused(h->nft))
		log_err("firewall and IPsec policies of this host: cannot be read without "
			"CAP_NET_ADMIN, so the sockets relay all calls; start rtpxd as root or "
			"with this capability");
}

int host_new(struct host **out, struct event_base *base, const struct host_opts *opts)
{
	struct event_base *read = opts->idle ? NULL : base;
	struct host *h = calloc(1, sizeof(*h));
	int rc;

	if (!h)
		return -ENOMEM;
	h->o = *opts;
	if (!ownsocket_read(&h->socket))
		log_warn("media sockets: cannot open one to read this host's settings: %s",
			 strerror(errno));
	if (h->o.iptables && !h->o.idle)
		iptables_look(h->o.iptables);
	rc = rules_new(&h->rules, read, on_rules, h);
	if (rc == 0)
		rc = ipsec_new(&h->ipsec, read, on_policies, h);
	if (rc == 0)
		rc = nft_new(&h->nft, read, on_policies, h);
	if (rc == 0)
		rc = traffic_new(&h->traffic, read, on_policies, h);
	if (rc == 0 && !h->o.idle && conntrack_new(&h->conntrack))
		log_dbug("connection tracking: cannot be asked: %s", strerror(errno));
	if (rc) {
		host_free(h);
		return rc;
	}
	say_refused(h);
	*out = h;
	return 0;
}

void host_free(struct host *h)
{
	if (!h)
		return;
	rules_free(h->rules);
	ipsec_free(h->ipsec);
	nft_free(h->nft);
	traffic_free(h->traffic);
	conntrack_free(h->conntrack);
	free(h);
}

void host_look(struct host *h)
{
	struct ownsocket was = h->socket;

	if (h->o.idle)
		return;
	rules_look(h->rules);
	traffic_look(h->traffic);
	if (h->o.iptables && iptables_look(h->o.iptables))
		h->o.changed(h->o.arg, false);
	if (ownsocket_read(&h->socket) && memcmp(&was, &h->socket, sizeof(was)))
		h->o.changed(h->o.arg, true);
}

const struct ownsocket *host_socket(const struct host *h)
{
	return &h->socket;
}

bool host_by_port(const struct host *h)
{
	return h->ports_wanted || rules_by_port(h->rules) ||
	       (ipsec_by_port(h->ipsec) && !h->o.routes);
}

static enum flow_why judge_socket(const struct host *h, enum addr_family family)
{
	if (h->o.routes && h->socket.bound_dev)
		return FLOW_WHY_VRF;
	if (h->o.routes && h->socket.mark)
		return FLOW_WHY_MARK;
	if (h->socket.programs)
		return FLOW_WHY_CGROUP;
	if (h->socket.fragments && family == ADDR_IP4)
		return FLOW_WHY_FRAGMENTS;
	return FLOW_NO_OBJECTION;
}

/* ask - ask conntrack for the entry of @p. False: no entry, or the ports of @p are unknown. */
static bool entry_ask(struct host *h, const struct outgoing *p, struct nft_ct *ct, bool *translated)
{
	if (!p->source.port || !p->dest.port) {
		h->ports_wanted = true;
		return false;
	}
	return h->conntrack && conntrack_ask(h->conntrack, p, ct, translated) == 0;
}

/* agree - true when a new and an established connection get the same certain answer, in *@a. */
static bool answers_agree(const struct host *h, enum nft_hook hook, const struct outgoing *p,
			  struct nft_answer *a)
{
	const struct nft_ct fresh = { .known = true };
	const struct nft_ct old = { .known = true, .established = true, .answered = true };
	struct nft_answer b = nfteval(nft_rules(h->nft), hook, false, p, &old);

	*a = nfteval(nft_rules(h->nft), hook, false, p, &fresh);
	return a->why == b.why && a->mark == b.mark && !a->doubts && !b.doubts && !a->mark_doubts &&
	       !b.mark_doubts;
}

/* Judge @p by the rules of a hook. Conntrack is asked only if the answer depends on its entry. */
static struct nft_answer ask_rules(struct host *h, enum nft_hook hook, const struct outgoing *p,
				   bool *waits)
{
	struct nft_answer a = nfteval(nft_rules(h->nft), hook, false, p, NULL);
	unsigned int doubts = a.doubts | a.mark_doubts;
	struct nft_answer both;
	struct nft_ct ct = { 0 };
	bool translated;

	*waits = false;
	h->ports_wanted |= doubts & NFT_NEEDS_PORTS && (!p->source.port || !p->dest.port);
	if (!(doubts & NFT_NEEDS_CT))
		return a;
	if (answers_agree(h, hook, p, &both))
		return both;
	if (entry_ask(h, p, &ct, &translated))
		return nfteval(nft_rules(h->nft), hook, false, p, &ct);
	*waits = p->source.port && p->dest.port;
	return a;
}

struct host_verdict host_judge_output(struct host *h, const struct outgoing *p)
{
	struct host_verdict v = { .why = judge_socket(h, p->dest.family), .mark = p->mark };
	struct nft_answer a;

	if (v.why != FLOW_NO_OBJECTION || !p->oif)
		return v;
	if (h->o.iptables && iptables_acts(h->o.iptables, p->dest.family)) {
		v.why = FLOW_WHY_FIREWALL;
		return v;
	}
	a = ask_rules(h, NFT_AT_OUTPUT, p, &v.waits);
	v.why = a.why;
	v.mark = a.mark;
	if (v.why == FLOW_NO_OBJECTION && rules_by_mark(h->rules) &&
	    (a.mark_doubts || (h->o.routes && a.mark != p->mark)))
		v.why = FLOW_WHY_MARK;
	v.waits &= v.why != FLOW_NO_OBJECTION;
	return v;
}

/*
 * True when a rule might translate packets like @p. The host decides about translation at the first
 * packet of a connection, in either direction, and conntrack's entry keeps the decision. The caller
 * asks conntrack then.
 */
static bool may_translate(const struct host *h, const struct outgoing *p)
{
	static const enum nft_hook hooks[] = { NFT_AT_PREROUTING, NFT_AT_OUTPUT,
					       NFT_AT_POSTROUTING };
	size_t i;

	if (h->o.iptables && iptables_translates(h->o.iptables, p->dest.family))
		return true;
	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (nfteval(nft_rules(h->nft), hooks[i], true, p, NULL).why != FLOW_NO_OBJECTION)
			return true;
	return false;
}

static enum flow_why judge_nat(struct host *h, const struct outgoing *p, bool *waits)
{
	bool translated = false;
	struct nft_ct ct;

	if (!may_translate(h, p))
		return FLOW_NO_OBJECTION;
	if (entry_ask(h, p, &ct, &translated))
		return translated ? FLOW_WHY_NAT : FLOW_NO_OBJECTION;
	*waits = p->source.port && p->dest.port;
	return FLOW_WHY_NAT;
}

/*
 * Judge the peer's packets on their way in. With NAT they arrive for a translated address, and no
 * flow matches them. A rule counts only if it certainly drops them: packets of this peer passed
 * before there was a flow, so a doubtful drop is taken to pass them.
 */
static enum flow_why judge_arrival(struct host *h, const struct outgoing *p, enum flow_why why)
{
	static const enum nft_hook hooks[] = { NFT_AT_PREROUTING, NFT_AT_INPUT };
	struct nft_answer a;
	bool waits;
	size_t i;

	if (why == FLOW_WHY_NAT)
		return why;
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		a = ask_rules(h, hooks[i], p, &waits);
		if (a.why != FLOW_NO_OBJECTION && !a.doubts)
			return FLOW_WHY_FIREWALL;
	}
	return FLOW_NO_OBJECTION;
}

struct host_verdict host_judge_leave(struct host *h, const struct outgoing *p)
{
	struct host_verdict v = { .why = FLOW_NO_OBJECTION,
				  .arrives = FLOW_NO_OBJECTION,
				  .mark = p->mark };

	if (!h->o.routes && ipsec_takes(h->ipsec, p))
		v.why = FLOW_WHY_IPSEC;
	else if (!h->o.routes &&
		 (traffic_takes(h->traffic, p->oif) || traffic_takes(h->traffic, p->lower)))
		v.why = FLOW_WHY_TRAFFIC;
	if (v.why == FLOW_NO_OBJECTION)
		v.why = judge_nat(h, p, &v.waits);
	if (v.why == FLOW_NO_OBJECTION)
		v.why = ask_rules(h, NFT_AT_POSTROUTING, p, &v.waits).why;
	if (v.why == FLOW_NO_OBJECTION)
		v.why = ask_rules(h, NFT_AT_EGRESS, p, &v.waits).why;
	v.waits &= v.why != FLOW_NO_OBJECTION;
	v.arrives = judge_arrival(h, p, v.why);
	return v;
}

bool host_by_mark(const struct host *h)
{
	return rules_by_mark(h->rules);
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
		found(arg, FLOW_WHY_CGROUP, "BPF programs for packets of the daemon's sockets");
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
	if (h->o.iptables && iptables_describe(h->o.iptables, text, sizeof(text))[0])
		found(arg, FLOW_WHY_FIREWALL, text);
	if (!h->o.routes && traffic_describe(h->traffic, text, sizeof(text))[0])
		found(arg, FLOW_WHY_TRAFFIC, text);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow.c - compile a direction of a call into a flow, or say why it stays with the daemon.
 */
#include <stdio.h>

#include "call/flow.h"
#include "call/dtmf.h"

/*
 * The source of incoming packets is settled. In compat, SSRC 0 clears the latch; an asymmetric leg
 * ignores that, so count it as settled.
 */
static bool is_settled(const struct stream *in, enum learning how)
{
	return (in->state == STREAM_LATCHED && !in->unproven) ||
	       (how == LEARN_COMPAT && in->asymmetric && in->state != STREAM_EMPTY);
}

enum flow_why flow_wants(struct direction d, const struct flow_env *env, struct addr *dest,
			 struct addr *source)
{
	const struct session *s = direction_session(d);
	const struct leg *in = d.in, *out = direction_out(d);
	const struct stream *sender = direction_sender(d), *receiver = direction_receiver(d);

	if (!env->dataplane)
		return FLOW_WHY_NO_DATAPLANE;
	if (!s->complete)
		return FLOW_WHY_INCOMPLETE;
	if (env->double_small)
		return FLOW_WHY_DOUBLE;
	if (session_rest(s)->feeds || s->fed)
		return FLOW_WHY_FED;
	if (((in->recorded | in->tapped) & direction_bit(d)) && !env->mirror)
		return FLOW_WHY_RECORDED;
	if (d.kind == STREAM_RTP && leg_rest(out)->player)
		return FLOW_WHY_PLAYING;
	if (d.kind == STREAM_RTP && leg_rest(in)->resizing)
		return leg_rest(in)->renumbered ? FLOW_WHY_RENUMBERED : FLOW_WHY_RESIZED;
	if (!is_settled(sender, env->learning))
		return FLOW_WHY_NOT_LATCHED;
	if (receiver->twice)
		return FLOW_WHY_SETTLING;
	if (receiver->remote.family == ADDR_NONE)
		return FLOW_WHY_NO_REMOTE;
	if (sender->remote.family != in->local.family ||
	    receiver->remote.family != out->local.family)
		return FLOW_WHY_FAMILY;
	if (addr_is_any(&in->local) && stream_rest(sender)->local.family == ADDR_NONE)
		return FLOW_WHY_NO_LOCAL;
	if (addr_is_loopback(&receiver->remote))
		return FLOW_WHY_LOOPBACK;
	*dest = receiver->remote;
	*source = addr_with_port(out->local, 0);
	return FLOW_NO_OBJECTION;
}

static uint16_t flow_flags(struct direction d, const struct addr *source)
{
	uint16_t flags = RTPX_FLOW_ACTIVE;

	if (d.kind == STREAM_RTP)
		flags |= RTPX_FLOW_RTP;
	if (d.kind == STREAM_RTP && leg_rest(d.in)->dtmf)
		flags |= RTPX_FLOW_EVENTS;
	if ((d.in->recorded | d.in->tapped) & direction_bit(d))
		flags |= RTPX_FLOW_MIRROR;
	if (source->family == ADDR_IP6)
		flags |= RTPX_FLOW_OUT6;
	if (direction_sender(d)->asymmetric)
		flags |= RTPX_FLOW_ANY_PORT;
	return flags;
}

/* Store an address in the field of its family. */
static void address_store(const struct addr *a, __u8 ip4[4], __u8 ip6[16])
{
	if (a->family == ADDR_IP6)
		memcpy(ip6, a->ip, 16);
	else
		memcpy(ip4, a->ip, 4);
}

/* Fill in the sources other than the sender that may send to the leg. */
static void flow_others(const struct stream *sender, enum learning how, struct rtpx_flow *out)
{
	const struct addr *second = stream_second(sender, how);

	out->strangers = stream_strangers(sender, how);
	if (second->family != sender->remote.family)
		return;
	memcpy(out->second, second->ip, sizeof(out->second));
	out->second_port = second->port;
}

enum flow_why flow_compile(struct direction d, const struct flow_env *env, struct rtpx_flow *flow)
{
	const struct session *s = direction_session(d);
	const struct stream *sender = direction_sender(d);
	const struct leg *in = d.in, *out = direction_out(d);
	const struct dtmf *dtmf = d.kind == STREAM_RTP ? leg_rest(in)->dtmf : NULL;
	struct addr dest, source, local = in->local;
	enum flow_why why = flow_wants(d, env, &dest, &source);

	if (why != FLOW_NO_OBJECTION)
		return why;
	if (!env->nexthop)
		return env->nexthop_why;
	if (addr_is_any(&source))
		source = env->out_source;
	if (source.family != dest.family)
		return FLOW_WHY_NO_ROUTE;
	if (addr_is_any(&local))
		local = stream_rest(sender)->local;
	*flow = (struct rtpx_flow){
		.flags = flow_flags(d, &source),
		.nexthop = env->nexthop,
		.port = direction_port(d),
		.peer_port = sender->remote.port,
		.out_port = direction_out_port(d),
		.dest_port = dest.port,
		.tos = out->tos,
		.ttl = env->ttl,
		.call = s->number,
		.event_type = dtmf ? dtmf->payload_type : 0,
	};
	snprintf(flow->label, sizeof(flow->label), "%s", s->call_id);
	address_store(&local, flow->local4, flow->local6);
	address_store(&sender->remote, flow->peer4, flow->peer6);
	address_store(&source, flow->out4, flow->out6);
	address_store(&dest, flow->dest4, flow->dest6);
	flow_others(sender, env->learning, flow);
	return FLOW_NO_OBJECTION;
}

static const struct {
	const char *name, *text;
} whys[] = {
#define FLOW_WHY_ROW(name, text) [FLOW_WHY_##name] = { #name, text },
	FLOW_WHYS(FLOW_WHY_ROW)
#undef FLOW_WHY_ROW
};

const char *flow_why_text(enum flow_why why)
{
	return whys[why].text;
}

const char *flow_why_name(enum flow_why why)
{
	return whys[why].name;
}

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

enum flow_why flow_wants(const struct session *s, int leg, enum stream_kind kind,
			 const struct flow_env *env, struct addr *dest, struct addr *source)
{
	const struct stream *in = &s->leg[leg].stream[kind], *out = &s->leg[!leg].stream[kind];

	if (!env->dataplane)
		return FLOW_WHY_NO_DATAPLANE;
	if (!s->complete)
		return FLOW_WHY_INCOMPLETE;
	if (env->double_small)
		return FLOW_WHY_DOUBLE;
	if (s->feeds || s->fed)
		return FLOW_WHY_FED;
	if (((s->leg[leg].recorded | s->leg[leg].tapped) & (1 << kind)) && !env->mirror)
		return FLOW_WHY_RECORDED;
	if (kind == STREAM_RTP && s->leg[!leg].player)
		return FLOW_WHY_PLAYING;
	if (kind == STREAM_RTP && s->leg[leg].resizing)
		return s->leg[leg].renumbered ? FLOW_WHY_RENUMBERED : FLOW_WHY_RESIZED;
	if (!is_settled(in, env->learning))
		return FLOW_WHY_NOT_LATCHED;
	if (out->twice)
		return FLOW_WHY_SETTLING;
	if (out->remote.family == ADDR_NONE)
		return FLOW_WHY_NO_REMOTE;
	if (in->remote.family != s->leg[leg].local.family ||
	    out->remote.family != s->leg[!leg].local.family)
		return FLOW_WHY_FAMILY;
	if (addr_is_any(&s->leg[leg].local) && in->local.family == ADDR_NONE)
		return FLOW_WHY_NO_LOCAL;
	if (addr_is_loopback(&out->remote))
		return FLOW_WHY_LOOPBACK;
	*dest = out->remote;
	*source = addr_with_port(s->leg[!leg].local, 0);
	return FLOW_NO_OBJECTION;
}

static uint16_t flow_flags(const struct leg *leg, enum stream_kind kind,
			   const struct addr *out_local)
{
	const struct stream *in = &leg->stream[kind];
	uint16_t flags = RTPX_FLOW_ACTIVE;

	if (kind == STREAM_RTP)
		flags |= RTPX_FLOW_RTP;
	if (kind == STREAM_RTP && leg->dtmf)
		flags |= RTPX_FLOW_EVENTS;
	if ((leg->recorded | leg->tapped) & (1 << kind))
		flags |= RTPX_FLOW_MIRROR;
	if (out_local->family == ADDR_IP6)
		flags |= RTPX_FLOW_OUT6;
	if (in->asymmetric)
		flags |= RTPX_FLOW_ANY_PORT;
	return flags;
}

/* Store an address in the field of its family. */
static void store(const struct addr *a, __u8 ip4[4], __u8 ip6[16])
{
	if (a->family == ADDR_IP6)
		memcpy(ip6, a->ip, 16);
	else
		memcpy(ip4, a->ip, 4);
}

/* Fill in the sources other than the peer that may send to the leg. */
static void flow_others(const struct stream *in, enum learning how, struct rtpx_flow *out)
{
	const struct addr *second = stream_second(in, how);

	out->strangers = stream_strangers(in, how);
	if (second->family != in->remote.family)
		return;
	memcpy(out->second, second->ip, sizeof(out->second));
	out->second_port = second->port;
}

enum flow_why flow_compile(const struct session *s, int leg, enum stream_kind kind,
			   const struct flow_env *env, struct rtpx_flow *out)
{
	const struct leg *here = &s->leg[leg], *there = &s->leg[!leg];
	const struct stream *in = &here->stream[kind];
	struct addr dest, source, local = here->local;
	enum flow_why why = flow_wants(s, leg, kind, env, &dest, &source);

	if (why != FLOW_NO_OBJECTION)
		return why;
	if (!env->nexthop)
		return env->nexthop_why;
	if (addr_is_any(&source))
		source = env->out_source;
	if (source.family != dest.family)
		return FLOW_WHY_NO_ROUTE;
	if (addr_is_any(&local))
		local = in->local;
	*out = (struct rtpx_flow){
		.flags = flow_flags(here, kind, &source),
		.nexthop = env->nexthop,
		.port = here->local.port + (kind == STREAM_RTCP),
		.peer_port = in->remote.port,
		.out_port = there->local.port + (kind == STREAM_RTCP),
		.dest_port = dest.port,
		.tos = there->tos,
		.ttl = env->ttl,
		.call = s->number,
		.event_type = kind == STREAM_RTP && here->dtmf ? here->dtmf->payload_type : 0,
	};
	snprintf(out->label, sizeof(out->label), "%s", s->call_id);
	store(&local, out->local4, out->local6);
	store(&in->remote, out->peer4, out->peer6);
	store(&source, out->out4, out->out6);
	store(&dest, out->dest4, out->dest6);
	flow_others(in, env->learning, out);
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

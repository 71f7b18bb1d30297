// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * copies.c - two queues of messages: those with copies, and spare ones.
 */
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <net/genetlink.h>
#include <net/netlink.h>

#include "copies.h"
#include "compat.h"
#include "rtpx_genl.h"

/* Bytes for the attributes in a message of copies: the whole message stays below 16 KB. */
#define COPIES_ROOM 15900

/* Notify the listener that copies wait. Call under the lock of t->copies. */
static void tell_listener(struct table *t)
{
	struct sk_buff *msg = t->listener ? genlmsg_new(0, GFP_ATOMIC) : NULL;

	if (!msg)
		return;
	genlmsg_end(msg, genlmsg_put(msg, 0, 0, t->genl, 0, RTPX_CMD_MIRROR));
	t->told = genlmsg_unicast(t->net, msg, t->listener) == 0;
}

/*
 * copies_made - the number of messages in both queues. Without the lock the result may be one too
 * low, while a packet moves a message between the queues.
 */
static unsigned int copies_made(const struct table *t)
{
	return skb_queue_len_lockless(&t->copies) + skb_queue_len_lockless(&t->spare);
}

static int spare_add(struct table *t)
{
	struct sk_buff *msg =
		genlmsg_new(COPIES_ROOM, GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);

	if (!msg)
		return -ENOMEM;
	spin_lock_bh(&t->copies.lock);
	__skb_queue_tail(&t->spare, msg);
	spin_unlock_bh(&t->copies.lock);
	return 0;
}

/* spare_trim - free spare messages above t->max_copies. Lock for each one anew: packets wait for
 * the lock. */
static void spare_trim(struct table *t)
{
	struct sk_buff *msg;

	do {
		spin_lock_bh(&t->copies.lock);
		msg = copies_made(t) > t->max_copies ? __skb_dequeue(&t->spare) : NULL;
		spin_unlock_bh(&t->copies.lock);
		kfree_skb(msg);
		cond_resched();
	} while (msg);
}

/*
 * spare_fill - make or free spare messages until there are t->max_copies in all. They are made here
 * and not while packets are forwarded, because here the owner's control group is charged. Under
 * rtpx_net.lock. -ENOMEM; -EINTR: a signal kills the owner.
 *
 * The owner may ask for gigabytes, so let other tasks run between two messages.
 */
static int spare_fill(struct table *t)
{
	int err = 0;

	while (!err && copies_made(t) < t->max_copies) {
		err = fatal_signal_pending(current) ? -EINTR : spare_add(t);
		cond_resched();
	}
	spare_trim(t);
	return err;
}

/* A message with room for @bytes, or NULL. Under the lock of t->copies. */
static struct sk_buff *copies_with_room(struct table *t, unsigned int bytes)
{
	struct sk_buff *msg = skb_peek_tail(&t->copies);

	if (msg && skb_tailroom(msg) >= bytes)
		return msg;
	msg = __skb_dequeue(&t->spare);
	if (!msg)
		return NULL;
	genlmsg_put(msg, 0, 0, t->genl, 0, RTPX_CMD_COPIES);
	__skb_queue_tail(&t->copies, msg);
	return msg;
}

static void put_copy(struct sk_buff *msg, const struct flow *f, const struct rtpx_packet *p)
{
	const bool ip6 = p->family == RTPX_FAMILY_IP6;
	struct rtpx_mirrored copy = {
		.arrival_ns = ktime_get_ns(),
		.call = f->more.call,
		.port = p->dst_port,
		.peer_port = p->src_port,
		.family = p->family,
	};

	memcpy(copy.local, ip6 ? f->more.local6 : f->entry.local4, ip6 ? 16 : 4);
	memcpy(copy.peer, ip6 ? f->more.peer6 : f->entry.peer4, ip6 ? 16 : 4);
	nla_put(msg, RTPX_A_COPY, sizeof(copy), &copy);
}

bool copies_add(struct table *t, const struct flow *f, const struct rtpx_packet *p,
		const struct sk_buff *skb, unsigned int payload)
{
	const unsigned int bytes = min_t(unsigned int, p->payload_bytes, RTPX_MIRROR_MAX);
	struct sk_buff *msg;

	spin_lock(&t->copies.lock);
	msg = copies_with_room(t, nla_total_size(sizeof(struct rtpx_mirrored)) +
					  nla_total_size(bytes));
	if (msg) {
		put_copy(msg, f, p);
		skb_copy_bits(skb, payload, nla_data(nla_reserve(msg, RTPX_A_PAYLOAD, bytes)),
			      bytes);
	}
	if (!t->told)
		tell_listener(t);
	spin_unlock(&t->copies.lock);
	return msg;
}

int copies_resize(struct table *t, u32 bytes)
{
	int err;

	t->max_copies = bytes / SZ_16K;
	err = spare_fill(t);
	if (err) {
		t->max_copies = 0;
		spare_fill(t);
	}
	return err;
}

void copies_listen(struct table *t, u32 portid)
{
	spin_lock_bh(&t->copies.lock);
	t->listener = portid;
	t->told = false;
	if (!skb_queue_empty(&t->copies))
		tell_listener(t);
	spin_unlock_bh(&t->copies.lock);
}

void copies_unlisten(struct table *t, u32 portid)
{
	spin_lock_bh(&t->copies.lock);
	if (t->listener == portid)
		t->listener = 0;
	spin_unlock_bh(&t->copies.lock);
}

struct sk_buff *copies_take(struct table *t)
{
	struct sk_buff *msg;

	spin_lock_bh(&t->copies.lock);
	msg = __skb_dequeue(&t->copies);
	if (!msg)
		t->told = false;
	spin_unlock_bh(&t->copies.lock);
	spare_fill(t);
	return msg;
}

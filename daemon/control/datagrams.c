/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datagrams.c - a batch of datagrams: reads them, looks for their cookies, has their commands run,
 * and sends the replies. listen.c opens the sockets.
 */
#include "control/datagrams.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/provoked.h"
#include "protocol/cookies.h"
#include "protocol/proto.h"

#define BATCH DATAGRAMS_BATCH

struct datagram {
	struct addr from;
	struct span cookie;
	bool has_cookie;
};

struct datagrams {
	struct datagrams_opts o;
	struct datagram datagram[BATCH];
	struct span command[BATCH]; /* behind the cookie; empty without one */
	struct cookies_key key[BATCH];
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	struct sockaddr_storage from[BATCH];
	char control[BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo))];
	char text[BATCH][DATAGRAM_MAX];
	char reply[BATCH][PROTO_COOKIE_MAX + 1 + COOKIES_REPLY_MAX];
};

int datagrams_new(struct datagrams **out, const struct datagrams_opts *opts)
{
	struct datagrams *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->o = *opts;
	*out = d;
	return 0;
}

void datagrams_free(struct datagrams *d)
{
	free(d);
}

static void batch_prepare(struct datagrams *d)
{
	for (int i = 0; i < BATCH; i++) {
		d->in_iov[i] = (struct iovec){ d->text[i], DATAGRAM_MAX };
		d->in[i].msg_hdr = (struct msghdr){
			.msg_name = &d->from[i],
			.msg_namelen = sizeof(d->from[i]),
			.msg_iov = &d->in_iov[i],
			.msg_iovlen = 1,
			.msg_control = d->control[i],
			.msg_controllen = sizeof(d->control[i]),
		};
	}
}

/* A wildcard socket learns the destination of each datagram. Make it the source of the reply. */
static void answer_from_same_address(struct msghdr *m)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(h), sizeof(info));
			info.ipi_ifindex = 0;
			memcpy(CMSG_DATA(h), &info, sizeof(info));
		}
		if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(h), sizeof(info));
			if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				info.ipi6_ifindex = 0;
			memcpy(CMSG_DATA(h), &info, sizeof(info));
		}
	}
}

/* Read the cookies of @n datagrams, all before the first command runs. */
static void read_cookies(struct datagrams *d, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct datagram *one = &d->datagram[i];

		one->from = addr_from_sockaddr((const struct sockaddr *)&d->from[i]);
		one->has_cookie = proto_cookie(d->text[i], d->in[i].msg_len, &one->cookie,
					       &d->command[i]) == 0;
		if (one->has_cookie)
			cookies_key_set(&d->key[i], &one->from, one->cookie, d->command[i]);
		else
			d->command[i] = (struct span){ "", 0 };
	}
	cookies_fetch(d->o.cookies, d->key, n);
	if (d->o.expect)
		d->o.expect(d->o.arg, d->command, n);
}

/* Answer datagram @i; returns the reply's length. */
static size_t answer(const struct datagrams *d, unsigned int i, uint64_t now_ns, char *out)
{
	const struct datagram *one = &d->datagram[i];
	const struct datagrams_opts *o = &d->o;
	struct span command = d->command[i], reply;
	size_t n;

	if (!one->has_cookie)
		return o->run(o->arg, "", 0, &one->from, now_ns, out);
	memcpy(out, one->cookie.p, one->cookie.len);
	out[one->cookie.len] = ' ';
	n = one->cookie.len + 1;
	reply = cookies_find(o->cookies, &d->key[i]);
	if (reply.p) {
		memcpy(out + n, reply.p, reply.len);
		o->duplicate(o->arg);
		return n + reply.len;
	}
	reply.p = out + n;
	reply.len = o->run(o->arg, command.p, command.len, &one->from, now_ns, out + n);
	cookies_store(o->cookies, &d->key[i], reply, now_ns);
	return n + reply.len;
}

static void send_replies(struct datagrams *d, int fd, const char *name, unsigned int n)
{
	unsigned int done = 0;

	while (done < n) {
		int sent = sendmmsg(fd, d->out + done, n - done, 0);

		if (sent > 0) {
			done += (unsigned int)sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		/* Drop a reply that cannot be sent. The peer repeats its command, and the cache
		 * answers. */
		log_provoked(PROVOKED_NO_REPLY, NULL, name, strerror(errno));
		done++;
	}
}

void datagrams_serve(struct datagrams *d, int fd, const char *name)
{
	uint64_t now_ns;
	int i, n;

	batch_prepare(d);
	n = recvmmsg(fd, d->in, BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0) {
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			log_provoked(PROVOKED_NO_COMMAND, NULL, name, strerror(errno));
		return;
	}
	now_ns = clock_now();
	read_cookies(d, (unsigned int)n);
	for (i = 0; i < n; i++) {
		d->out_iov[i].iov_base = d->reply[i];
		d->out_iov[i].iov_len = answer(d, (unsigned int)i, now_ns, d->reply[i]);
		d->out[i].msg_hdr = d->in[i].msg_hdr;
		d->out[i].msg_hdr.msg_iov = &d->out_iov[i];
		d->out[i].msg_hdr.msg_flags = 0;
		answer_from_same_address(&d->out[i].msg_hdr);
	}
	if (d->o.settle)
		d->o.settle(d->o.arg);
	send_replies(d, fd, name, (unsigned int)n);
}

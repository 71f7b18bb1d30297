/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_stream.c - any bytes in any pieces from a peer of a stream control socket, through the framing of conn.c.
 *
 * The first byte says which framing, each piece begins with a byte that says how long it is. Every command is what stood
 * between two newlines, in order, none is longer than allowed, and each gets its reply.
 */
#include "../../daemon/base/clock.h"
#include "../../daemon/control/conn.c"
#include "../../daemon/base/nowait.c"

#define WAIT_TURNS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
	struct conn *conn;
	enum conn_framing framing;
	char sent[70000];
	size_t len, at; /* of what was sent, and of what commands were made of */
	unsigned int commands, replies;
	bool ended;
};

static void must(bool good)
{
	if (!good)
		abort();
}

static size_t on_command(void *arg, const char *line, size_t len, const struct addr *from,
			 uint64_t now_ns, char *reply)
{
	struct peer *p = arg;

	(void)from, (void)now_ns;
	must(len <= CONN_LINE_MAX && p->at + len <= p->len && !memcmp(line, p->sent + p->at, len));
	p->at += len;
	if (p->framing == CONN_LINES) {
		must(!memchr(line, '\n', len) && p->at < p->len && p->sent[p->at] == '\n');
		p->at++;
	}
	p->commands++;
	memcpy(reply, "0\n", 2);
	return 2;
}

static void on_ended(void *arg)
{
	struct peer *p = arg;

	p->ended = true;
	conn_free(p->conn);
	p->conn = NULL;
}

static const struct conn_ops ops = { .run = on_command, .ended = on_ended };

static void take_replies(struct peer *p, int fd)
{
	char replies[4096];
	ssize_t n;

	while ((n = recv(fd, replies, sizeof(replies), MSG_DONTWAIT)) > 0)
		p->replies += (unsigned int)n;
}

static void send_pieces(struct peer *p, struct event_base *base, int fd, const uint8_t *data,
			size_t size)
{
	while (size && !p->ended) {
		size_t piece = MIN((size_t)data[0] * 37 + 1, size - 1);
		ssize_t n;

		if (p->len + piece > sizeof(p->sent))
			return;
		n = send(fd, data + 1, piece, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			memcpy(p->sent + p->len, data + 1, (size_t)n);
			p->len += (size_t)n;
		}
		event_base_loop(base, EVLOOP_NONBLOCK);
		take_replies(p, fd);
		data += 1 + piece;
		size -= 1 + piece;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct addr nobody = { .family = ADDR_NONE };
	static struct event_base *base;
	static struct peer p;
	int fds[2], i;

	if (!size || socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return -1;
	if (!base)
		base = event_base_new();
	p = (struct peer){ .framing = data[0] & 1 ? CONN_ONE_READ : CONN_LINES };
	must(conn_new(&p.conn, base, &ops, &p, fds[0], fds[0], p.framing, &nobody) == 0);
	send_pieces(&p, base, fds[1], data + 1, size - 1);
	shutdown(fds[1], SHUT_WR);
	for (i = 0; i < WAIT_TURNS && !p.ended; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		take_replies(&p, fds[1]);
	}
	must(p.ended);
	take_replies(&p, fds[1]);
	must(p.replies == 2 * p.commands);
	must(p.framing == CONN_LINES || p.commands <= 1);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

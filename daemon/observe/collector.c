/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector.c - one socket and one queue. The name is asked for again before each connection, so a
 * collector may move.
 */
#include "observe/collector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <utlist.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/provoked.h"
#include "net/names.h"

#define FIRST_PAUSE_MS 500 /* after the first failure; doubles up to LAST_PAUSE_MS */
#define LAST_PAUSE_MS 8000
#define QUIET_NS (10 * NSEC_PER_SEC) /* without a refusal, until UDP is believed to arrive */
#define PROGRESS_S 5 /* limit for a connection, and for a collector that does not read */
#define NAME_MS 50   /* between checks for the answer of the name server */
#define MAX_ADDRS 8

struct message {
	struct message *prev, *next;
	size_t len;
	uint8_t data[];
};

enum state {
	PAUSED,	    /* the timer ends the pause */
	NAMING,	    /* waits for the addresses of the host */
	CONNECTING, /* TCP */
	CONNECTED,
};

struct collector {
	struct event_base *base;
	struct hep_address address;
	char name[300];
	enum state state;
	struct question *asked;	     /* NULL: none */
	struct addr addr[MAX_ADDRS]; /* of the name */
	unsigned int n_addrs, at;
	struct event *timer, *readable, *writable; /* NULL without a socket, but for the timer */
	int fd;					   /* -1: none */
	unsigned int pause_ms; /* latest pause; 0: the latest connection worked */
	struct message *queue;
	unsigned int queued;
	size_t written; /* bytes of the first message that the connection has taken */
	struct collector_counts counts;
	uint64_t lost_before;		   /* messages lost or refused when the trouble began */
	uint64_t connected_ns, refused_ns; /* of UDP */
	bool troubled;
	char error[120]; /* "": none */
};

static void connect_next(struct collector *c);

/* ---- the queue ---- */

static void drop_first(struct collector *c)
{
	struct message *m = c->queue;

	DL_DELETE(c->queue, m);
	c->queued--;
	c->written = 0;
	free(m);
}

/* ---- trouble ---- */

static void wake_within(struct collector *c, unsigned int ms)
{
	const struct timeval in = { ms / 1000, ms % 1000 * 1000 };

	event_add(c->timer, &in);
}

static void collector_disconnect(struct collector *c)
{
	if (c->readable)
		event_free(c->readable);
	if (c->writable)
		event_free(c->writable);
	if (c->fd >= 0)
		close(c->fd);
	c->readable = c->writable = NULL;
	c->fd = -1;
	c->written = 0;
}

static uint64_t lost_in_all(const struct collector *c)
{
	return c->counts.lost + c->counts.refused;
}

/* The first trouble of an outage is logged, and its end. */
static void collector_trouble(struct collector *c, const char *why)
{
	snprintf(c->error, sizeof(c->error), "%s", why);
	if (!c->troubled) {
		c->lost_before = lost_in_all(c);
		log_provoked(PROVOKED_COLLECTOR_GONE, NULL, c->name, why,
			     c->address.tcp ? "wait" : "are lost");
	}
	c->troubled = true;
}

static void collector_failed(struct collector *c, const char *why)
{
	collector_disconnect(c);
	collector_trouble(c, why);
	c->state = PAUSED;
	c->pause_ms = c->pause_ms ? MIN(2 * c->pause_ms, LAST_PAUSE_MS) : FIRST_PAUSE_MS;
	wake_within(c, c->pause_ms);
}

static void collector_recovered(struct collector *c)
{
	if (c->troubled && !c->address.tcp && clock_now() - c->refused_ns < QUIET_NS)
		return;
	if (c->troubled)
		log_provoked(PROVOKED_COLLECTOR_BACK, NULL, c->name,
			     (unsigned long long)(lost_in_all(c) - c->lost_before));
	c->troubled = false;
	c->pause_ms = 0;
	c->error[0] = '\0';
}

/* ---- sending ---- */

static void wait_writable(struct collector *c)
{
	static const struct timeval progress = { PROGRESS_S, 0 };

	event_add(c->writable, &progress);
}

/* The error @err is the answer to an earlier datagram. */
static void collector_refused(struct collector *c, int err)
{
	collector_trouble(c, strerror(err));
	c->counts.refused++;
	c->refused_ns = clock_now();
}

static bool is_answer(int err)
{
	return err != EAGAIN && err != ENOBUFS && err != EMSGSIZE;
}

/* Send a datagram. The socket may have the answer to an earlier one first. 0, or -errno. */
static int send_datagram(struct collector *c, const struct message *m)
{
	for (int tries = 0; tries < 2; tries++) {
		if (send(c->fd, m->data, m->len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (!is_answer(errno))
			break;
		if (!tries)
			collector_refused(c, errno);
	}
	return -errno;
}

/* Returns 0 when the whole message is sent, or -errno. */
static int send_bytes(struct collector *c, const struct message *m)
{
	while (c->written < m->len) {
		ssize_t n = send(c->fd, m->data + c->written, m->len - c->written,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		c->written += (size_t)n;
	}
	return 0;
}

static void queue_flush(struct collector *c)
{
	int err = 0;

	while (c->queue) {
		err = c->address.tcp ? send_bytes(c, c->queue) : send_datagram(c, c->queue);
		if (err && err != -EMSGSIZE && err != -ENOBUFS)
			break;
		c->counts.sent += !err;
		c->counts.lost += err != 0;
		err = 0;
		drop_first(c);
	}
	if (err == -EAGAIN)
		wait_writable(c);
	else if (err)
		collector_failed(c, strerror(-err));
	else
		collector_recovered(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct collector *c = arg;
	int err = 0;
	socklen_t len = sizeof(err);

	if (what & EV_TIMEOUT) {
		collector_failed(c, c->state == CONNECTING ? "it does not answer"
							   : "it does not read");
		return;
	}
	if (c->state == CONNECTING) {
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			collector_failed(c, strerror(err));
			return;
		}
		c->state = CONNECTED;
		collector_recovered(c);
	}
	queue_flush(c);
}

/*
 * UDP: a datagram was refused. The collector may have moved, so connect again, but not for each
 * refusal.
 */
static void on_refusal(struct collector *c, int err)
{
	collector_refused(c, err);
	if (c->refused_ns - c->connected_ns < LAST_PAUSE_MS * NSEC_PER_MSEC)
		return;
	collector_disconnect(c);
	connect_next(c);
}

/* Bytes from a collector have no meaning. Their end is the end of a TCP connection. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct collector *c = arg;
	char bytes[512];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)what;
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	if (c->state == CONNECTING)
		return; /* on_writable() takes the error */
	if (!c->address.tcp && n < 0)
		on_refusal(c, errno);
	else if (c->address.tcp)
		collector_failed(c, n ? strerror(errno) : "it has closed the connection");
}

/* ---- connecting ---- */

static int collector_socket(struct collector *c, const struct addr *to)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, &ss);
	int type = c->address.tcp ? SOCK_STREAM : SOCK_DGRAM;

	c->fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	if (connect(c->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return -errno;
	c->readable = event_new(c->base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(c->base, c->fd, EV_WRITE, on_writable, c);
	if (!c->readable || !c->writable || event_add(c->readable, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static void collector_connect(struct collector *c, const struct addr *to)
{
	int err = collector_socket(c, to);

	if (err) {
		collector_failed(c, strerror(-err));
		return;
	}
	c->state = c->address.tcp ? CONNECTING : CONNECTED;
	c->connected_ns = clock_now();
	if (c->address.tcp)
		wait_writable(c);
	else
		queue_flush(c);
}

static void collector_resolved(struct collector *c)
{
	const char *reason;
	int n;

	if (!names_answered(c->asked)) {
		wake_within(c, NAME_MS);
		return;
	}
	n = names_take(c->asked, c->addr, MAX_ADDRS, &reason);
	c->asked = NULL;
	if (n < 0) {
		collector_failed(c, reason);
		return;
	}
	c->n_addrs = (unsigned int)n;
	connect_next(c);
}

static void collector_resolve(struct collector *c)
{
	c->state = NAMING;
	if (names_ask(&c->asked, c->address.host, AF_UNSPEC) < 0)
		collector_failed(c, "out of memory");
	else
		wake_within(c, NAME_MS);
}

/* The addresses of a name in turn, then its addresses anew. */
static void connect_next(struct collector *c)
{
	struct addr to;

	if (c->at >= c->n_addrs) {
		c->at = c->n_addrs = 0;
		collector_resolve(c);
		return;
	}
	to = addr_with_port(c->addr[c->at++], c->address.port);
	collector_connect(c, &to);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct collector *c = arg;

	(void)fd, (void)what;
	if (c->state == NAMING)
		collector_resolved(c);
	else
		connect_next(c);
}

/* ---- begin and end ---- */

static bool is_numeric(const char *host)
{
	struct addr a;
	size_t len = strlen(host);

	return addr_parse(&a, strchr(host, ':') ? ADDR_IP6 : ADDR_IP4, host, len) == 0;
}

int collector_new(struct collector **out, struct event_base *base,
		  const struct hep_address *address, bool no_resolve)
{
	struct collector *c;
	bool ip6 = strchr(address->host, ':') != NULL;

	if (no_resolve && !is_numeric(address->host))
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->base = base;
	c->address = *address;
	c->fd = -1;
	snprintf(c->name, sizeof(c->name), ip6 ? "%s:[%s]:%u" : "%s:%s:%u",
		 address->tcp ? "tcp" : "udp", address->host, address->port);
	c->timer = event_new(base, -1, 0, on_timer, c);
	if (!c->timer) {
		free(c);
		return -ENOMEM;
	}
	wake_within(c, 0);
	*out = c;
	return 0;
}

void collector_free(struct collector *c)
{
	if (!c)
		return;
	if (c->state == CONNECTED)
		queue_flush(c);
	collector_disconnect(c);
	names_drop(c->asked);
	while (c->queue)
		drop_first(c);
	event_free(c->timer);
	free(c);
}

void collector_send(struct collector *c, const void *message, size_t len)
{
	struct message *m = c->queued < COLLECTOR_QUEUE ? malloc(sizeof(*m) + len) : NULL;

	if (!m) {
		c->counts.lost++;
		return;
	}
	m->len = len;
	memcpy(m->data, message, len);
	DL_APPEND(c->queue, m);
	if (!c->queued++ && c->state == CONNECTED)
		queue_flush(c);
}

void collector_view(const struct collector *c, struct collector_view *out)
{
	*out = (struct collector_view){
		.name = c->name,
		.connected = c->state == CONNECTED && !c->troubled,
		.queued = c->queued,
		.counts = c->counts,
		.error = c->error[0] ? c->error : NULL,
	};
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.c - the control sockets: opens them, accepts peers, serves datagrams with their cookies.
 * The framing of streams is conn's, the retransmission cache is cookies', and what a command means
 * is the caller's.
 */
#include "listen.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "conn.h"
#include "cookies.h"
#include "log.h"
#include "proto.h"
#include "systemd.h"

#define DEFAULT_PORT "22222"
#define BATCH 32             /* datagrams read at once */
#define DATAGRAM_MAX 8191    /* longer ones are cut */
#define UDP_BUFFER (1 << 20) /* wanted; the system's limit holds */
#define MAX_PEERS 4096       /* stream peers at a time; more are accepted and closed */
#define ACCEPTS_PER_TURN 64
#define SPARES 4 /* descriptors kept back, so that control goes on when media have taken all */
#define DEFAULT_UNIX_MODE 0755

struct control;

/* A form of -s. */
struct scheme {
	const char *prefix;
	/* open - @rest is what follows the prefix; on failure -errno and a sentence without the
	 * spec. */
	int (*open)(struct listen *l, struct control *c, const char *rest, char *err,
		    size_t err_size);
	int family, type;
	enum conn_framing framing;
};

struct batch {
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	struct sockaddr_storage from[BATCH];
	char control[BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo))];
	char text[BATCH][DATAGRAM_MAX];
	char reply[BATCH][PROTO_COOKIE_MAX + 1 + CONN_REPLY_MAX];
};

struct control {
	struct listen *listen;
	const struct scheme *scheme;
	int fd;
	char *text;     /* as listen_describe() gives it */
	char *path;     /* of a socket file that is ours to remove; absolute */
	dev_t dev;      /* of it, */
	ino_t ino;      /* so that a successor's file stays */
	bool must_exit; /* stdioc */
	struct event *readable, *retry;
	struct batch *batch; /* of a datagram socket */
	struct control *next;
};

struct peer {
	LIST_ENTRY(peer) list;
	struct control *control;
	struct conn *conn;
	int fd; /* -1: stdin and stdout, which stay open */
};

struct listen {
	struct listen_opts opts;
	struct event_base *base;
	struct control *controls, **last;
	LIST_HEAD(, peer) peers;
	unsigned int n_peers;
	struct cookies *cookies;
	struct event *sweep;
	int spare[SPARES];
	uint64_t said_full, said_many, said_recv, said_send;
};

static int refuse(char *err, size_t err_size, int error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int refuse(char *err, size_t err_size, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_size, fmt, ap);
	va_end(ap);
	return error;
}

static char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *format(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

/* ---- stream peers ---- */

static size_t peer_run(void *arg, const char *line, size_t len, const struct addr *from,
		       uint64_t now_ns, char *reply)
{
	const struct listen_opts *o = &((struct peer *)arg)->control->listen->opts;

	return o->run(o->arg, line, len, from, now_ns, reply);
}

static void settle(const struct listen *l)
{
	if (l->opts.settle)
		l->opts.settle(l->opts.arg);
}

static void peer_settle(void *arg)
{
	settle(((struct peer *)arg)->control->listen);
}

static void take_spares(struct listen *l)
{
	for (unsigned int i = 0; i < SPARES; i++)
		if (l->spare[i] < 0)
			l->spare[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool give_spare(struct listen *l)
{
	for (unsigned int i = 0; i < SPARES; i++) {
		if (l->spare[i] < 0)
			continue;
		close(l->spare[i]);
		l->spare[i] = -1;
		return true;
	}
	return false;
}

static void peer_forget(struct peer *p)
{
	struct listen *l = p->control->listen;

	LIST_REMOVE(p, list);
	l->n_peers--;
	conn_free(p->conn);
	if (p->fd >= 0) {
		close(p->fd);
		take_spares(l);
	}
	free(p);
}

static void peer_ended(void *arg)
{
	struct peer *p = arg;
	struct control *c = p->control;
	struct listen *l = c->listen;
	bool stdio = p->fd < 0;

	peer_forget(p);
	if (stdio && (c->must_exit || !listen_has_udp(l)))
		l->opts.eof(l->opts.arg, c->must_exit);
}

static const struct conn_ops peer_ops = { .run = peer_run,
					  .settle = peer_settle,
					  .ended = peer_ended };

static int peer_new(struct control *c, int fd_in, int fd_out, int fd, const struct addr *from)
{
	struct peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->control = c;
	p->fd = fd;
	r = conn_new(&p->conn, c->listen->base, &peer_ops, p, fd_in, fd_out, c->scheme->framing,
		     from);
	if (r < 0) {
		free(p);
		return r;
	}
	LIST_INSERT_HEAD(&c->listen->peers, p, list);
	c->listen->n_peers++;
	return 0;
}

static void welcome(struct control *c, int fd, const struct sockaddr_storage *ss)
{
	struct addr from = addr_from_sockaddr((const struct sockaddr *)ss);
	struct listen *l = c->listen;
	int one = 1;

	if (l->n_peers >= MAX_PEERS) {
		if (log_allowed(&l->said_many, clock_now()))
			log_warn("%s: %u control connections are open, more are closed at once",
				 c->text, l->n_peers);
		close(fd);
		return;
	}
	if (from.family != ADDR_NONE) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	}
	if (peer_new(c, fd, fd, fd, &from) < 0)
		close(fd);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_accept(evutil_socket_t sock, short what, void *arg)
{
	static const struct timeval pause = { 0, 200000 };
	struct control *c = arg;
	struct listen *l = c->listen;

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
		socklen_t len = sizeof(ss);
		int fd = accept4(sock, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			welcome(c, fd, &ss);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED ||
		    ((errno == EMFILE || errno == ENFILE) && give_spare(l)))
			continue;
		if (is_shortage(errno)) {
			if (log_allowed(&l->said_full, clock_now()))
				log_warn("%s: a connection waits: %s", c->text, strerror(errno));
			event_del(c->readable);
			evtimer_add(c->retry, &pause);
		}
		return;
	}
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;

	(void)fd, (void)what;
	take_spares(c->listen);
	event_add(c->readable, NULL);
}

/* ---- datagrams ---- */

static void batch_prepare(struct batch *b)
{
	for (int i = 0; i < BATCH; i++) {
		b->in_iov[i] = (struct iovec){ b->text[i], DATAGRAM_MAX };
		b->in[i].msg_hdr = (struct msghdr){
			.msg_name = &b->from[i],
			.msg_namelen = sizeof(b->from[i]),
			.msg_iov = &b->in_iov[i],
			.msg_iovlen = 1,
			.msg_control = b->control[i],
			.msg_controllen = sizeof(b->control[i]),
		};
	}
}

/* What a wildcard socket was told about a datagram's destination becomes the reply's source. */
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

/* Answer one datagram; returns the reply's length. */
static size_t answer(struct listen *l, struct span text, const struct addr *from, uint64_t now_ns,
		     char *out)
{
	const struct listen_opts *o = &l->opts;
	struct span cookie, command, reply;
	size_t n;

	if (proto_cookie(text.p, text.len, &cookie, &command) < 0)
		return o->run(o->arg, "", 0, from, now_ns, out);
	memcpy(out, cookie.p, cookie.len);
	out[cookie.len] = ' ';
	n = cookie.len + 1;
	reply = cookies_find(l->cookies, cookie);
	if (reply.p) {
		memcpy(out + n, reply.p, reply.len);
		o->duplicate(o->arg);
		return n + reply.len;
	}
	reply.p = out + n;
	reply.len = o->run(o->arg, command.p, command.len, from, now_ns, out + n);
	cookies_store(l->cookies, cookie, reply, now_ns);
	return n + reply.len;
}

static void send_batch(struct control *c, struct batch *b, unsigned int n)
{
	unsigned int done = 0;

	while (done < n) {
		int sent = sendmmsg(c->fd, b->out + done, n - done, 0);

		if (sent > 0) {
			done += (unsigned int)sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		/* The peer sends again and the cache answers, so a reply that does not go out is
		 * not kept. */
		if (log_allowed(&c->listen->said_send, clock_now()))
			log_warn("%s: cannot send a reply: %s", c->text, strerror(errno));
		done++;
	}
}

static void on_datagrams(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;
	struct batch *b = c->batch;
	uint64_t now_ns;
	int n;

	(void)what;
	batch_prepare(b);
	n = recvmmsg(fd, b->in, BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0) {
		if (n < 0 && errno != EAGAIN && errno != EINTR &&
		    log_allowed(&c->listen->said_recv, clock_now()))
			log_warn("%s: cannot receive: %s", c->text, strerror(errno));
		return;
	}
	now_ns = clock_now();
	for (int i = 0; i < n; i++) {
		struct addr from = addr_from_sockaddr((const struct sockaddr *)&b->from[i]);
		struct span text = { b->text[i], b->in[i].msg_len };

		b->out_iov[i].iov_base = b->reply[i];
		b->out_iov[i].iov_len = answer(c->listen, text, &from, now_ns, b->reply[i]);
		b->out[i].msg_hdr = b->in[i].msg_hdr;
		b->out[i].msg_hdr.msg_iov = &b->out_iov[i];
		b->out[i].msg_hdr.msg_flags = 0;
		answer_from_same_address(&b->out[i].msg_hdr);
	}
	settle(c->listen);
	send_batch(c, b, (unsigned int)n);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	cookies_sweep(((struct listen *)arg)->cookies, clock_now());
}

/* ---- opening ---- */

/* connect() tells a file that its owner has left behind from one that somebody answers on. */
static int clear_path(const struct sockaddr_un *sun, char *err, size_t err_size)
{
	struct stat st;
	int fd, r;

	if (lstat(sun->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return refuse(err, err_size, -EEXIST,
			      "%s exists and is not a socket; choose another path", sun->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return refuse(err, err_size, -errno, "cannot make a unix socket: %s",
			      strerror(errno));
	r = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ? -errno : 0;
	close(fd);
	if (r != -ECONNREFUSED)
		return refuse(err, err_size, -EADDRINUSE,
			      "another program answers on %s; stop it or choose another path",
			      sun->sun_path);
	if (unlink(sun->sun_path) < 0)
		return refuse(err, err_size, -errno, "cannot remove the stale socket %s: %s",
			      sun->sun_path, strerror(errno));
	return 0;
}

static int give_away(const struct listen_opts *o, const char *path, char *err, size_t err_size)
{
	if ((o->uid != (uid_t)-1 || o->gid != (gid_t)-1) && chown(path, o->uid, o->gid) < 0)
		return refuse(err, err_size, -errno, "cannot change the owner of %s: %s", path,
			      strerror(errno));
	if (o->mode >= 0 && chmod(path, (mode_t)o->mode) < 0)
		return refuse(err, err_size, -errno, "cannot change the mode of %s: %s", path,
			      strerror(errno));
	return 0;
}

static char *absolute(const char *path)
{
	char *cwd, *out;

	if (path[0] == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return NULL;
	out = format("%s/%s", cwd, path);
	free(cwd);
	return out;
}

static int open_unix(struct listen *l, struct control *c, const char *path, char *err,
		     size_t err_size)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	int r;

	if (!*path || strlen(path) >= sizeof(sun.sun_path))
		return refuse(err, err_size, -ENAMETOOLONG, "the path must have 1 to %zu bytes",
			      sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path, path, strlen(path));
	r = clear_path(&sun, err, err_size);
	if (r < 0)
		return r;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return refuse(err, err_size, -errno, "cannot create it: %s", strerror(errno));
	c->path = absolute(path);
	c->text = format("%s%s", c->scheme->prefix, c->path ? c->path : path);
	if (stat(path, &st) == 0) {
		c->dev = st.st_dev;
		c->ino = st.st_ino;
	}
	r = give_away(&l->opts, path, err, err_size);
	if (r < 0)
		return r;
	if (listen(c->fd, SOMAXCONN) < 0)
		return refuse(err, err_size, -errno, "cannot listen: %s", strerror(errno));
	return 0;
}

static bool is_number(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s);
}

/* @text "HOST[:PORT]", the last colon counts. */
static int resolve(const struct listen *l, const struct scheme *scheme, const char *text,
		   struct sockaddr_storage *ss, socklen_t *len, char *err, size_t err_size)
{
	static const char ipv6_hint[] = "; say HOST:PORT, or HOST: for the default port";
	struct addrinfo hints = { .ai_family = scheme->family, .ai_socktype = scheme->type };
	const char *colon = strrchr(text, ':');
	const char *port = colon && colon[1] ? colon + 1 : DEFAULT_PORT;
	struct addrinfo *found;
	char host[256];
	int r;

	if (snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - text) : (int)strlen(text),
		     text) >= (int)sizeof(host))
		return refuse(err, err_size, -EINVAL, "the host name is too long");
	if (is_number(port) && (strlen(port) > 5 || atoi(port) > UINT16_MAX))
		return refuse(err, err_size, -EINVAL, "port %s is not in 1 to 65535", port);
	if (!*host)
		return refuse(err, err_size, -EINVAL,
			      "no host before the port; say %s*:%s for every address",
			      scheme->prefix, port);
	hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST;
	r = getaddrinfo(strcmp(host, "*") ? host : NULL, port, &hints, &found);
	if (r == EAI_NONAME && !l->opts.no_resolve) {
		hints.ai_flags = AI_PASSIVE;
		r = getaddrinfo(host, port, &hints, &found);
	}
	if (r)
		return refuse(err, err_size, -EINVAL, "%s port %s: %s%s", host, port,
			      gai_strerror(r), scheme->family == AF_INET6 ? ipv6_hint : "");
	memcpy(ss, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int bind_error(char *err, size_t err_size, int error)
{
	static const struct {
		int error;
		const char *remedy;
	} remedies[] = {
		{ EADDRINUSE, "; another program has it, see ss -lnp" },
		{ EADDRNOTAVAIL, "; it is no address of this host, see ip address" },
		{ EACCES, "; ports below 1024 need root or CAP_NET_BIND_SERVICE" },
	};
	const char *remedy = "";

	for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
		if (remedies[i].error == error)
			remedy = remedies[i].remedy;
	return refuse(err, err_size, -error, "cannot bind: %s%s", strerror(error), remedy);
}

static void socket_options(const struct control *c, bool any)
{
	int one = 1, size = UDP_BUFFER;

	if (c->scheme->family == AF_INET6)
		setsockopt(c->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (c->scheme->type == SOCK_STREAM) {
		setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		return;
	}
	setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (any && c->scheme->family == AF_INET)
		setsockopt(c->fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	if (any && c->scheme->family == AF_INET6)
		setsockopt(c->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
}

static int open_inet(struct listen *l, struct control *c, const char *rest, char *err,
		     size_t err_size)
{
	struct sockaddr_storage ss;
	char text[ADDR_TEXT];
	struct addr a;
	socklen_t len;
	int r;

	r = resolve(l, c->scheme, rest, &ss, &len, err, err_size);
	if (r < 0)
		return r;
	c->fd = socket(c->scheme->family, c->scheme->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return refuse(err, err_size, -errno, "cannot make a socket: %s", strerror(errno));
	a = addr_from_sockaddr((struct sockaddr *)&ss);
	socket_options(c, addr_is_any(&a));
	if (bind(c->fd, (struct sockaddr *)&ss, len) < 0)
		return bind_error(err, err_size, errno);
	if (c->scheme->type == SOCK_STREAM && listen(c->fd, SOMAXCONN) < 0)
		return bind_error(err, err_size, errno);
	len = sizeof(ss);
	getsockname(c->fd, (struct sockaddr *)&ss, &len);
	a = addr_from_sockaddr((struct sockaddr *)&ss);
	c->text = format("%s%s:%u", c->scheme->prefix, addr_host_text(&a, text), a.port);
	if (c->scheme->type == SOCK_DGRAM && !(c->batch = calloc(1, sizeof(*c->batch))))
		return refuse(err, err_size, -ENOMEM, "out of memory");
	return 0;
}

static int open_stdio(struct listen *l, struct control *c, const char *rest, char *err,
		      size_t err_size)
{
	(void)rest;
	for (const struct control *other = l->controls; other; other = other->next)
		if (other->scheme->open == open_stdio)
			return refuse(err, err_size, -EEXIST,
				      "standard input is a control socket already");
	c->must_exit = !strcmp(c->scheme->prefix, "stdioc:");
	c->text = strdup(c->scheme->prefix);
	return c->text ? 0 : refuse(err, err_size, -ENOMEM, "out of memory");
}

static int open_systemd(struct listen *l, struct control *c, const char *rest, char *err,
			size_t err_size)
{
	(void)l, (void)rest;
	c->fd = systemd_listen_fd(err, err_size);
	if (c->fd < 0)
		return c->fd;
	fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
	c->text = strdup(c->scheme->prefix);
	return c->text ? 0 : refuse(err, err_size, -ENOMEM, "out of memory");
}

/* The first one is also that of a text with none of these prefixes: a path. */
static const struct scheme schemes[] = {
	{ "unix:", open_unix, AF_UNIX, SOCK_STREAM, CONN_ONE_READ },
	{ "cunix:", open_unix, AF_UNIX, SOCK_STREAM, CONN_LINES },
	{ "udp:", open_inet, AF_INET, SOCK_DGRAM, CONN_ONE_READ },
	{ "udp6:", open_inet, AF_INET6, SOCK_DGRAM, CONN_ONE_READ },
	{ "tcp:", open_inet, AF_INET, SOCK_STREAM, CONN_LINES },
	{ "tcp6:", open_inet, AF_INET6, SOCK_STREAM, CONN_LINES },
	{ "stdio:", open_stdio, AF_UNSPEC, SOCK_STREAM, CONN_LINES },
	{ "stdioc:", open_stdio, AF_UNSPEC, SOCK_STREAM, CONN_LINES },
	{ "systemd:", open_systemd, AF_UNSPEC, SOCK_STREAM, CONN_LINES },
};

static const struct scheme *scheme_of(const char *spec, const char **rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t len = strlen(schemes[i].prefix);

		if (!strncmp(spec, schemes[i].prefix, len)) {
			*rest = spec + len;
			return &schemes[i];
		}
	}
	*rest = spec;
	return &schemes[0];
}

static void control_free(struct control *c)
{
	if (c->readable)
		event_free(c->readable);
	if (c->retry)
		event_free(c->retry);
	if (c->fd >= 0)
		close(c->fd);
	free(c->batch);
	free(c->path);
	free(c->text);
	free(c);
}

static void control_unlink(struct control *c)
{
	struct stat st;

	if (c->path && lstat(c->path, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino &&
	    unlink(c->path) < 0)
		log_dbug("%s: cannot remove it: %s", c->path, strerror(errno));
	free(c->path);
	c->path = NULL;
}

/* ---- the outside ---- */

int listen_new(struct listen **out, const struct listen_opts *opts)
{
	struct listen *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->opts = *opts;
	l->last = &l->controls;
	LIST_INIT(&l->peers);
	for (unsigned int i = 0; i < SPARES; i++)
		l->spare[i] = -1;
	r = cookies_new(&l->cookies, COOKIES_MAX_BYTES);
	if (r < 0) {
		free(l);
		return r;
	}
	*out = l;
	return 0;
}

int listen_add(struct listen *l, const char *spec, bool foreground, char *err, size_t err_size)
{
	struct control *c = calloc(1, sizeof(*c));
	char why[512] = "";
	const char *rest;
	int r;

	if (!c)
		return refuse(err, err_size, -ENOMEM, "-s %s: out of memory", spec);
	c->listen = l;
	c->fd = -1;
	c->scheme = scheme_of(spec, &rest);
	if (c->scheme->open == open_stdio && !foreground)
		r = refuse(why, sizeof(why), -EINVAL, "a daemon has no standard input; add -f");
	else
		r = c->scheme->open(l, c, rest, why, sizeof(why));
	if (r < 0) {
		refuse(err, err_size, r, "-s %s: %s", spec, why);
		control_unlink(c);
		control_free(c);
		return r;
	}
	*l->last = c;
	l->last = &c->next;
	return 0;
}

static int control_start(struct control *c, struct event_base *base)
{
	bool datagrams = c->scheme->type == SOCK_DGRAM;

	if (c->fd < 0)
		return peer_new(c, STDIN_FILENO, STDOUT_FILENO, -1,
				&(struct addr){ .family = ADDR_NONE });
	c->readable = event_new(base, c->fd, EV_READ | EV_PERSIST,
				datagrams ? on_datagrams : on_accept, c);
	c->retry = evtimer_new(base, on_retry, c);
	if (!c->readable || !c->retry || event_add(c->readable, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int listen_start(struct listen *l, struct event_base *base)
{
	static const struct timeval every = { COOKIES_SWEEP_S, 0 };

	l->base = base;
	take_spares(l);
	l->sweep = event_new(base, -1, EV_PERSIST, on_sweep, l);
	if (!l->sweep || event_add(l->sweep, &every) < 0)
		return -ENOMEM;
	for (struct control *c = l->controls; c; c = c->next) {
		int r = control_start(c, base);

		if (r < 0)
			return r;
	}
	return 0;
}

void listen_stop(struct listen *l)
{
	while (!LIST_EMPTY(&l->peers))
		peer_forget(LIST_FIRST(&l->peers));
	for (struct control *c = l->controls; c; c = c->next) {
		if (c->readable)
			event_del(c->readable);
		if (c->retry)
			event_del(c->retry);
		control_unlink(c);
	}
	for (unsigned int i = 0; i < SPARES; i++)
		if (l->spare[i] >= 0) {
			close(l->spare[i]);
			l->spare[i] = -1;
		}
}

void listen_free(struct listen *l)
{
	if (!l)
		return;
	listen_stop(l);
	while (l->controls) {
		struct control *c = l->controls;

		l->controls = c->next;
		control_free(c);
	}
	if (l->sweep)
		event_free(l->sweep);
	cookies_free(l->cookies);
	free(l);
}

const char *listen_describe(const struct listen *l, unsigned int n)
{
	for (const struct control *c = l->controls; c; c = c->next)
		if (n-- == 0)
			return c->text;
	return NULL;
}

size_t listen_replies_bytes(const struct listen *l)
{
	return cookies_bytes(l->cookies);
}

bool listen_has_udp(const struct listen *l)
{
	for (const struct control *c = l->controls; c; c = c->next)
		if (c->scheme->type == SOCK_DGRAM)
			return true;
	return false;
}

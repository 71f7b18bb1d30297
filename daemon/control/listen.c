/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.c - opens the control sockets, and ends silent peers. Other modules do the rest: acceptor
 * accepts connections, conn frames streams, datagrams answers datagrams, sockfile makes the files
 * of unix sockets, cookies is the cache of replies. The caller executes the commands.
 */
#include "control/listen.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control/acceptor.h"
#include "base/clock.h"
#include "control/conn.h"
#include "control/datagrams.h"
#include "protocol/cookies.h"
#include "base/log.h"
#include "base/refuse.h"
#include "base/provoked.h"
#include "net/names.h"
#include "control/passed.h"
#include "protocol/proto.h"
#include "control/sockfile.h"
#include "control/systemd.h"

#define DEFAULT_PORT "22222"
#define NAME_WAIT_MS 100
#define UDP_BUFFER (1 << 20) /* bytes wanted; without CAP_NET_ADMIN the system's limit holds */
_Static_assert(CONN_REPLY_MAX == COOKIES_REPLY_MAX, "a reply from the cache fits");

#define SILENT_S 60 /* seconds until a peer that never sent a command is ended */
#define IDLE_S 10   /* seconds of silence after which a peer makes room for another */

struct control;

static unsigned int most_peers = 4096; /* stream peers at a time */

/* A form of -s. */
struct scheme {
	const char *prefix;
	/* open - @rest is the text behind the prefix. On failure -errno, with a sentence in @err
	 * that does not name the spec. */
	int (*open)(struct listen *l, struct control *c, const char *rest, char *err,
		    size_t err_size);
	int family, type;
	enum conn_framing framing;
};

struct control {
	struct listen *listen;
	const struct scheme *scheme;
	int fd;
	char *text;	      /* for listen_describe() and the log */
	struct sockfile file; /* of a unix socket that this process removes; it owns @fd */
	bool must_exit;	      /* stdioc */
	bool held;	      /* the service manager holds the socket, too */
	bool unit;	      /* the socket belongs to a socket unit */
	bool udp;	      /* datagrams from the network */
	bool started;
	unsigned int group;	   /* address group */
	struct acceptor *acceptor; /* of a stream socket */
	struct event *readable;	   /* of a datagram socket; so is @datagrams */
	struct datagrams *datagrams;
	struct control *next;
};

struct peer {
	TAILQ_ENTRY(peer) list;
	struct control *control;
	struct conn *conn;
	int fd;		    /* -1: stdin and stdout, which stay open */
	bool spoke;	    /* the peer has sent a command */
	uint64_t active_ns; /* time of its latest command, else of its connection */
};

TAILQ_HEAD(peers, peer);

struct listen {
	struct listen_opts opts;
	struct event_base *base;
	struct control *controls, **last;
	struct passed passed; /* sockets that no listen_add() has taken yet */
	bool takes_units;     /* "systemd:" was added */
	struct peers silent;  /* peers that have sent no command yet, longest silent first */
	struct peers spoke;   /* peers that have sent a command, longest silent first */
	unsigned int n_peers;
	struct cookies *cookies;
	struct event *sweep;
	unsigned int at; /* the group of the latest command */
};

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

static struct peers *list_of(const struct peer *p)
{
	struct listen *l = p->control->listen;

	return p->spoke ? &l->spoke : &l->silent;
}

static size_t peer_run(void *arg, const char *line, size_t len, const struct addr *from,
		       uint64_t now_ns, char *reply)
{
	struct peer *p = arg;
	const struct listen_opts *o = &p->control->listen->opts;

	TAILQ_REMOVE(list_of(p), p, list);
	p->spoke = true;
	p->active_ns = now_ns;
	TAILQ_INSERT_TAIL(list_of(p), p, list);
	p->control->listen->at = p->control->group;
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

static void peer_forget(struct peer *p)
{
	TAILQ_REMOVE(list_of(p), p, list);
	p->control->listen->n_peers--;
	conn_free(p->conn);
	if (p->fd >= 0) {
		close(p->fd);
		if (p->control->acceptor)
			acceptor_closed(p->control->acceptor);
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
	p->active_ns = clock_now();
	TAILQ_INSERT_TAIL(list_of(p), p, list);
	c->listen->n_peers++;
	return 0;
}

/* end_silent - end @p if it was silent for @s seconds and is not stdio. True: ended. */
static bool end_silent(struct peer *p, unsigned int s, uint64_t now_ns)
{
	if (!p || p->fd < 0 || now_ns - p->active_ns < s * NSEC_PER_SEC)
		return false;
	peer_forget(p);
	return true;
}

/* The peer that was silent longest. stdio is never ended, so it does not count. */
static struct peer *longest_silent(const struct peers *peers)
{
	struct peer *p;

	TAILQ_FOREACH(p, peers, list)
	if (p->fd >= 0)
		return p;
	return NULL;
}

/*
 * make_room - make room for one more peer. A silent peer is there by mistake, or to shut others
 * out; so end the longest silent one. False: no peer was silent for IDLE_S.
 */
static bool make_room(struct listen *l, const char *name)
{
	uint64_t now_ns = clock_now();
	bool room = l->n_peers < most_peers ||
		    end_silent(longest_silent(&l->silent), IDLE_S, now_ns) ||
		    end_silent(longest_silent(&l->spoke), IDLE_S, now_ns);

	if (l->n_peers >= most_peers - 1)
		log_provoked(PROVOKED_MANY_PEERS, NULL, name, l->n_peers,
			     room ? "the longest silent one is closed"
				  : "there is no room: all of them have sent commands lately");
	return room;
}

static void welcome(void *arg, int fd, const struct sockaddr_storage *ss)
{
	struct control *c = arg;
	struct addr from = addr_from_sockaddr((const struct sockaddr *)ss);
	int one = 1;

	if (!make_room(c->listen, c->text)) {
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

/* ---- datagrams ---- */

static void on_datagrams(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;

	(void)what;
	c->listen->at = c->group;
	datagrams_serve(c->datagrams, fd, c->text);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct listen *l = arg;
	uint64_t now_ns = clock_now();

	(void)fd, (void)what;
	cookies_sweep(l->cookies, now_ns);
	while (end_silent(longest_silent(&l->silent), SILENT_S, now_ns))
		;
}

/* ---- opening ---- */

/* Takes a passed socket that is bound to @sa; false: there is none. */
static bool take_passed(struct listen *l, struct control *c, const void *sa)
{
	struct passed_socket found;

	if (!passed_take(&l->passed, c->scheme->type, sa, &found))
		return false;
	c->fd = found.fd;
	c->held = found.origin != PASSED_PREVIOUS;
	c->unit = found.origin == PASSED_UNIT;
	return true;
}

/* As take_passed(). The service manager owns the file of a socket unit, so do not adopt that. */
static bool take_passed_unix(struct listen *l, struct control *c, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path))
		return false;
	memcpy(sun.sun_path, path, strlen(path));
	if (!take_passed(l, c, &sun))
		return false;
	if (!c->unit)
		sockfile_adopt(&c->file, c->fd, path);
	return true;
}

static int open_unix(struct listen *l, struct control *c, const char *path, char *err,
		     size_t err_size)
{
	const struct sockfile_opts opts = {
		.uid = l->opts.uid,
		.gid = l->opts.gid,
		.mode = l->opts.mode,
		.backlog = SOMAXCONN,
	};
	int r;

	if (!take_passed_unix(l, c, path)) {
		r = sockfile_open(&c->file, path, &opts, err, err_size);
		if (r < 0)
			return r;
		c->fd = c->file.fd;
	}
	c->text = format("%s%s", c->scheme->prefix, c->file.path ? c->file.path : path);
	return c->text ? 0 : refuse(err, err_size, -ENOMEM, "out of memory");
}

static bool is_number(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s);
}

static bool is_told_to_end(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT));
}

/*
 * Writes the first address of the name @host to @out, as text. Signals are blocked while sockets
 * are opened. Look for a pending SIGTERM or SIGINT, to end the wait for a name server that does not
 * answer.
 */
static int ask_for(const char *host, int family, char out[ADDR_TEXT], const char **why)
{
	struct question *q;
	struct addr found;

	*why = "out of memory";
	if (names_ask(&q, host, family) < 0)
		return -ENOMEM;
	while (!names_answered(q)) {
		names_wait(q, NAME_WAIT_MS);
		if (!is_told_to_end())
			continue;
		names_drop(q);
		*why = "no name server has answered before a signal";
		return -EINTR;
	}
	if (names_take(q, &found, 1, why) < 0)
		return -EHOSTUNREACH;
	addr_host_text(&found, out);
	return 0;
}

/* @text is "HOST[:PORT]", split at the last colon. */
static int resolve(const struct listen *l, const struct scheme *scheme, const char *text,
		   struct sockaddr_storage *ss, socklen_t *len, char *err, size_t err_size)
{
	static const char ipv6_hint[] = "; say HOST:PORT, or HOST: for the default port";
	struct addrinfo hints = { .ai_family = scheme->family, .ai_socktype = scheme->type };
	const char *colon = strrchr(text, ':');
	const char *port = colon && colon[1] ? colon + 1 : DEFAULT_PORT;
	char host[256], numeric[ADDR_TEXT];
	struct addrinfo *found;
	const char *why;
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
	why = gai_strerror(r);
	if (r == EAI_NONAME && !l->opts.no_resolve &&
	    ask_for(host, scheme->family, numeric, &why) == 0) {
		r = getaddrinfo(numeric, port, &hints, &found);
		why = gai_strerror(r);
	}
	if (r)
		return refuse(err, err_size, -EINVAL, "%s port %s: %s%s", host, port, why,
			      scheme->family == AF_INET6 ? ipv6_hint : "");
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
		{ EADDRINUSE, "; in use by another program, see ss -lnp" },
		{ EADDRNOTAVAIL, "; it is no address of this host, see ip address" },
		{ EACCES, "; ports below 1024 need root or CAP_NET_BIND_SERVICE" },
	};
	const char *remedy = "";

	for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
		if (remedies[i].error == error)
			remedy = remedies[i].remedy;
	return refuse(err, err_size, -error, "cannot bind: %s%s", strerror(error), remedy);
}

/* The buffer is large, because commands wait in it while the next daemon starts. */
static void datagram_options(int fd, int family, bool any)
{
	int one = 1, size = UDP_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (any && family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	if (any && family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
}

/* The kernel closes the sockets of a killed process late. Retry for @patience_ms. */
static int bind_patiently(int fd, const struct sockaddr_storage *ss, socklen_t len,
			  unsigned int patience_ms)
{
	const struct timespec nap = { .tv_nsec = 5 * NSEC_PER_MSEC };
	uint64_t end_ns = clock_now() + patience_ms * NSEC_PER_MSEC;
	int r;

	while ((r = bind(fd, (const struct sockaddr *)ss, len)) < 0 && errno == EADDRINUSE &&
	       clock_now() < end_ns)
		nanosleep(&nap, NULL);
	return r < 0 ? -errno : 0;
}

static int bind_inet(struct listen *l, struct control *c, const struct sockaddr_storage *ss,
		     socklen_t len, char *err, size_t err_size)
{
	int one = 1, r;

	c->fd = socket(c->scheme->family, c->scheme->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return refuse(err, err_size, -errno, "cannot make a socket: %s", strerror(errno));
	if (c->scheme->family == AF_INET6)
		setsockopt(c->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (c->scheme->type == SOCK_STREAM)
		setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (l->opts.anywhere && c->scheme->family == AF_INET)
		setsockopt(c->fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	if (l->opts.anywhere && c->scheme->family == AF_INET6)
		setsockopt(c->fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one));
	r = bind_patiently(c->fd, ss, len, l->opts.patience_ms);
	if (r == 0 && c->scheme->type == SOCK_STREAM && listen(c->fd, SOMAXCONN) < 0)
		r = -errno;
	return r < 0 ? bind_error(err, err_size, -r) : 0;
}

/* The steps after bind(), for new and for passed datagram sockets. */
static int open_datagrams(struct control *c, char *err, size_t err_size)
{
	const struct listen_opts *o = &c->listen->opts;
	const struct datagrams_opts opts = {
		.cookies = c->listen->cookies,
		.run = o->run,
		.expect = o->expect,
		.settle = o->settle,
		.duplicate = o->duplicate,
		.arg = o->arg,
	};
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct addr a;

	getsockname(c->fd, (struct sockaddr *)&ss, &len);
	a = addr_from_sockaddr((struct sockaddr *)&ss);
	c->udp = ss.ss_family != AF_UNIX;
	datagram_options(c->fd, ss.ss_family, addr_is_any(&a));
	return datagrams_new(&c->datagrams, &opts) ? refuse(err, err_size, -ENOMEM, "out of memory")
						   : 0;
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
	if (!take_passed(l, c, &ss)) {
		r = bind_inet(l, c, &ss, len, err, err_size);
		if (r < 0)
			return r;
	}
	len = sizeof(ss);
	getsockname(c->fd, (struct sockaddr *)&ss, &len);
	a = addr_from_sockaddr((struct sockaddr *)&ss);
	c->text = format("%s%s:%u", c->scheme->prefix, addr_host_text(&a, text), a.port);
	return c->scheme->type == SOCK_DGRAM ? open_datagrams(c, err, err_size) : 0;
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

/* Takes the next socket of a socket unit. -ENOENT, without a sentence: none is left. */
static int open_systemd(struct listen *l, struct control *c, const char *rest, char *err,
			size_t err_size)
{
	struct passed_socket found;
	char text[PASSED_TEXT];

	(void)rest;
	if (!passed_take_unit(&l->passed, &found))
		return -ENOENT;
	c->fd = found.fd;
	c->held = c->unit = true;
	passed_text(c->fd, text);
	c->text = format("%s%s", c->scheme->prefix, text);
	if (passed_type(c->fd) == SOCK_DGRAM)
		return open_datagrams(c, err, err_size);
	if (passed_type(c->fd) != SOCK_STREAM || listen(c->fd, SOMAXCONN) < 0)
		return refuse(err, err_size, -ENOTSOCK,
			      "%s is no socket for commands; use ListenDatagram=, or "
			      "ListenStream= with Accept=no",
			      text);
	return c->text ? 0 : refuse(err, err_size, -ENOMEM, "out of memory");
}

/* A spec without any of these prefixes is a path, and gets the first scheme. */
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
	acceptor_free(c->acceptor);
	if (c->readable)
		event_free(c->readable);
	if (c->file.fd >= 0)
		sockfile_close(&c->file);
	else if (c->fd >= 0)
		close(c->fd);
	datagrams_free(c->datagrams);
	free(c->text);
	free(c);
}

/* ---- the functions of listen.h ---- */

int listen_new(struct listen **out, const struct listen_opts *opts)
{
	struct listen *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->opts = *opts;
	l->last = &l->controls;
	TAILQ_INIT(&l->silent);
	TAILQ_INIT(&l->spoke);
	r = cookies_new(&l->cookies, COOKIES_MAX_BYTES);
	if (r < 0) {
		free(l);
		return r;
	}
	*out = l;
	return 0;
}

void listen_passed(struct listen *l, int fd, enum passed_origin origin)
{
	passed_add(&l->passed, fd, origin);
}

static int control_add(struct listen *l, const struct scheme *scheme, const char *spec,
		       const char *rest, char *err, size_t err_size)
{
	struct control *c = calloc(1, sizeof(*c));
	char why[512] = "out of memory";
	int r = -ENOMEM;

	if (c) {
		c->listen = l;
		c->fd = c->file.fd = -1;
		c->scheme = scheme;
		r = scheme->open(l, c, rest, why, sizeof(why));
	}
	if (r < 0) {
		refuse(err, err_size, r, "-s %s: %s", spec, why);
		if (c)
			control_free(c);
		return r;
	}
	*l->last = c;
	l->last = &c->next;
	return 0;
}

int listen_add(struct listen *l, const char *spec, bool foreground, char *err, size_t err_size)
{
	const char *rest;
	const struct scheme *scheme = scheme_of(spec, &rest);

	if (scheme->open == open_stdio && !foreground)
		return refuse(err, err_size, -EINVAL,
			      "-s %s: a daemon has no standard input; add -f", spec);
	if (scheme->open == open_systemd) {
		l->takes_units = true; /* listen_added() takes the sockets that no other -s names */
		return 0;
	}
	return control_add(l, scheme, spec, rest, err, err_size);
}

/* Takes every socket of a socket unit that no other -s has named. */
static int take_units(struct listen *l, char *err, size_t err_size)
{
	static const char spec[] = "systemd:";
	const char *rest;
	const struct scheme *scheme = scheme_of(spec, &rest);
	unsigned int n = 0;
	int r;

	while ((r = control_add(l, scheme, spec, rest, err, err_size)) == 0)
		n++;
	if (r != -ENOENT)
		return r;
	return n ? 0
		 : refuse(err, err_size, r,
			  "-s systemd: the service manager has passed no socket; a socket unit "
			  "with ListenDatagram= or ListenStream= is needed");
}

int listen_added(struct listen *l, char *err, size_t err_size)
{
	struct passed_socket left;
	char text[PASSED_TEXT];
	int r = l->takes_units ? take_units(l, err, err_size) : 0;

	while (r == 0 && passed_take_any(&l->passed, &left)) {
		passed_text(left.fd, text);
		log_warn("%s: passed to this process, but no -s names it: closed", text);
		if (left.origin == PASSED_STORE)
			systemd_unstore(span_of(text));
		close(left.fd);
	}
	return r;
}

void listen_store(const struct listen *l)
{
	char text[PASSED_TEXT];

	for (const struct control *c = l->controls; c; c = c->next)
		if (c->fd >= 0 && !c->held)
			systemd_store(&c->fd, 1, span_of(passed_text(c->fd, text)));
}

static int control_start(struct control *c, struct event_base *base)
{
	if (c->fd < 0)
		return peer_new(c, STDIN_FILENO, STDOUT_FILENO, -1,
				&(struct addr){ .family = ADDR_NONE });
	if (!c->datagrams)
		return acceptor_new(&c->acceptor, base, c->fd, c->text, welcome, c);
	c->readable = event_new(base, c->fd, EV_READ | EV_PERSIST, on_datagrams, c);
	return c->readable && event_add(c->readable, NULL) == 0 ? 0 : -ENOMEM;
}

void listen_group(struct listen *l, const struct addr *at, unsigned int group)
{
	for (struct control *c = l->controls; c; c = c->next) {
		struct sockaddr_storage ss = { 0 };
		socklen_t len = sizeof(ss);
		struct addr a;

		if (c->fd < 0 || getsockname(c->fd, (struct sockaddr *)&ss, &len) < 0)
			continue;
		a = addr_from_sockaddr((struct sockaddr *)&ss);
		if (addr_host_eq(&a, at))
			c->group = group;
	}
}

unsigned int listen_at(const struct listen *l)
{
	return l->at;
}

static int sweep_start(struct listen *l)
{
	static const struct timeval every = { COOKIES_SWEEP_S, 0 };

	if (l->sweep)
		return 0;
	l->sweep = event_new(l->base, -1, EV_PERSIST, on_sweep, l);
	return l->sweep && event_add(l->sweep, &every) == 0 ? 0 : -ENOMEM;
}

int listen_start(struct listen *l, struct event_base *base, unsigned int group)
{
	int r;

	l->base = base;
	r = sweep_start(l);
	for (struct control *c = l->controls; c && !r; c = c->next) {
		if (c->group != group || c->started)
			continue;
		c->started = true;
		r = control_start(c, base);
	}
	return r;
}

static void end_all(struct peers *peers)
{
	while (!TAILQ_EMPTY(peers))
		peer_forget(TAILQ_FIRST(peers));
}

static void control_give_up(struct control *c)
{
	char text[PASSED_TEXT];

	sockfile_unlink(&c->file);
	if (c->fd >= 0 && !c->unit)
		systemd_unstore(span_of(passed_text(c->fd, text)));
}

static bool has_one_read(const struct peers *peers)
{
	const struct peer *p;

	TAILQ_FOREACH(p, peers, list)
	if (p->control->scheme->framing == CONN_ONE_READ)
		return true;
	return false;
}

bool listen_is_answering(const struct listen *l)
{
	return has_one_read(&l->silent) || has_one_read(&l->spoke);
}

unsigned int listen_fds(const struct listen *l, int *fds, unsigned int max)
{
	unsigned int n = 0;

	for (const struct control *c = l->controls; c && n < max; c = c->next)
		if (c->fd >= 0)
			fds[n++] = c->fd;
	for (unsigned int i = 0; i < l->passed.n && n < max; i++)
		fds[n++] = l->passed.at[i].fd;
	return n;
}

void listen_stop(struct listen *l, bool leave)
{
	if (!leave) {
		end_all(&l->silent);
		end_all(&l->spoke);
	}
	for (struct control *c = l->controls; c; c = c->next) {
		acceptor_free(c->acceptor);
		c->acceptor = NULL;
		if (c->readable)
			event_del(c->readable);
		if (leave)
			sockfile_leave(&c->file);
		else
			control_give_up(c);
	}
}

void listen_free(struct listen *l)
{
	if (!l)
		return;
	end_all(&l->silent);
	end_all(&l->spoke);
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

struct cookies *listen_cookies(const struct listen *l)
{
	return l->cookies;
}

size_t listen_replies_bytes(const struct listen *l)
{
	return cookies_bytes(l->cookies);
}

bool listen_has_udp(const struct listen *l)
{
	for (const struct control *c = l->controls; c; c = c->next)
		if (c->udp)
			return true;
	return false;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * web.c - serves HTTP/1.1: one request of a connection at a time. libevent's server is not used,
 * because it limits neither the number of connections nor their time.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include "control/web.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/acceptor.h"
#include "control/admin.h"
#include "control/http.h"
#include "control/metrics.h"
#include "control/page.h"
#include "observe/history.h"

#define LINGER_NS NSEC_PER_SEC /* so that the last answer is not lost to a reset */
#define BACKLOG 64
#define NONCE_BYTES 16

enum peer_state {
	PEER_READING,	/* a request is awaited */
	PEER_ANSWERING, /* the answer leaves */
	PEER_LINGERING, /* all is sent; what still arrives is thrown away */
};

struct peer {
	TAILQ_ENTRY(peer) list;
	struct web *web;
	struct bufferevent *bev;
	enum peer_state state;
	bool last;	   /* the connection ends after this answer */
	uint64_t until_ns; /* the connection ends then */
};

struct web {
	struct web_opts o;
	struct event_base *base;
	struct acceptor *acceptor; /* NULL: not listening */
	int fd;			   /* of the acceptor; -1: none */
	bool said;		   /* the log has the reason why it does not listen */
	TAILQ_HEAD(, peer) peers;  /* latest request oldest first */
	unsigned int n_peers;
};

/* ---- connections ---- */

static void peer_free(struct peer *p)
{
	struct web *w = p->web;

	TAILQ_REMOVE(&w->peers, p, list);
	w->n_peers--;
	bufferevent_free(p->bev);
	acceptor_closed(w->acceptor);
	free(p);
}

static void peer_touch(struct peer *p, enum peer_state state, uint64_t ns)
{
	p->state = state;
	p->until_ns = clock_now() + ns;
	TAILQ_REMOVE(&p->web->peers, p, list);
	TAILQ_INSERT_TAIL(&p->web->peers, p, list);
}

/* ---- answers ---- */

static const char *reason_of(int code)
{
	static const struct {
		int code;
		const char *text;
	} reasons[] = {
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 413, "Content Too Large" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].code == code)
			return reasons[i].text;
	return "Error";
}

/* An answer on its way into the connection. */
struct answer {
	int code;
	const char *type;
	char policy[320]; /* of the content; empty: none */
	struct evbuffer *body;
};

static void send_answer(struct peer *p, const struct answer *a, bool head)
{
	struct evbuffer *out = bufferevent_get_output(p->bev);

	evbuffer_add_printf(out,
			    "HTTP/1.1 %d %s\r\n"
			    "Content-Type: %s\r\n"
			    "Content-Length: %zu\r\n"
			    "Cache-Control: no-store\r\n"
			    "X-Content-Type-Options: nosniff\r\n"
			    "Referrer-Policy: no-referrer\r\n"
			    "%s%s%s%s%s\r\n",
			    a->code, reason_of(a->code), a->type, evbuffer_get_length(a->body),
			    a->code == 405 ? "Allow: GET, HEAD\r\n" : "",
			    *a->policy ? "Content-Security-Policy: " : "", a->policy,
			    *a->policy ? "\r\n" : "", p->last ? "Connection: close\r\n" : "");
	if (!head)
		evbuffer_add_buffer(out, a->body);
	peer_touch(p, PEER_ANSWERING, WEB_ANSWER_NS);
}

static void answer_set_text(struct answer *a, int code, const char *text)
{
	a->code = code;
	a->type = "text/plain; charset=utf-8";
	evbuffer_drain(a->body, evbuffer_get_length(a->body));
	evbuffer_add_printf(a->body, "%s\n", text);
}

/* Takes @o over. */
static void set_json(struct answer *a, struct json_object *o)
{
	a->code = json_object_object_get_ex(o, "error", NULL) ? 400 : 200;
	a->type = "application/json";
	evbuffer_add_printf(a->body, "%s\n",
			    o ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN) : "null");
	json_object_put(o);
}

static void answer_metrics(struct web *w, struct answer *a)
{
	a->type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write(w->o.metrics, a->body);
}

static void answer_history(struct web *w, struct answer *a)
{
	set_json(a, history_json(w->o.history));
}

/*
 * The page's script and style carry a nonce, and the policy allows nothing else: text of a peer
 * that got into the page could neither run nor load anything.
 */
static void answer_page(struct web *w, struct answer *a)
{
	static const char mark[] = "@NONCE@";
	uint8_t random[NONCE_BYTES];
	char nonce[2 * NONCE_BYTES + 1];
	const char *at = page_html, *found;

	(void)w;
	if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
		answer_set_text(a, 500, "no random numbers for the page");
		return;
	}
	for (size_t i = 0; i < NONCE_BYTES; i++)
		snprintf(nonce + 2 * i, 3, "%02x", random[i]);
	for (; (found = strstr(at, mark)); at = found + sizeof(mark) - 1) {
		evbuffer_add(a->body, at, (size_t)(found - at));
		evbuffer_add(a->body, nonce, sizeof(nonce) - 1);
	}
	evbuffer_add(a->body, at, strlen(at));
	a->type = "text/html; charset=utf-8";
	snprintf(a->policy, sizeof(a->policy),
		 "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; "
		 "connect-src 'self'; img-src data:; "
		 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		 nonce, nonce);
}

/* ---- requests ---- */

static const struct {
	const char *path;
	void (*answer)(struct web *w, struct answer *a);
	const char *ask; /* a request of the admin socket that only reads */
	const char *arg; /* the name of its argument in the query */
} routes[] = {
	{ "/", answer_page, NULL, NULL },
	{ "/metrics", answer_metrics, NULL, NULL },
	{ "/api/history", answer_history, NULL, NULL },
	{ "/api/overview", NULL, "overview", NULL },
	{ "/api/status", NULL, "status", NULL },
	{ "/api/stats", NULL, "stats", NULL },
	{ "/api/sessions", NULL, "sessions", "after" },
	{ "/api/session", NULL, "session", "call_id" },
	{ "/api/why", NULL, "why", "call_id" },
	{ "/api/flows", NULL, "flows", "after" },
};

static void answer_asked(struct web *w, struct answer *a, const struct http_request *r,
			 const char *ask, const char *arg)
{
	char value[HTTP_HEAD_MAX + 1] = "";

	if (arg)
		http_argument(r, arg, value);
	set_json(a, admin_ask(w->o.admin, ask, value));
}

/*
 * A page of another origin can reach a loopback address by a name of its own (DNS rebinding), and
 * would then read the calls. On loopback the request must therefore name an address or "localhost".
 */
static bool is_host_trusted(const struct web *w, const struct http_request *r)
{
	return !addr_is_loopback(&w->o.addr) || !*r->host || http_names_address(r);
}

static void answer_choose(struct web *w, struct answer *a, const struct http_request *r)
{
	const char *path = evhttp_uri_get_path(r->uri);
	size_t i;

	for (i = 0; path && i < ARRAY_SIZE(routes); i++)
		if (!strcmp(routes[i].path, path))
			break;
	if (!is_host_trusted(w, r))
		answer_set_text(a, 403, "Host: give the address of the listener, or localhost");
	else if (!path || i == ARRAY_SIZE(routes))
		answer_set_text(a, 404, "there is only /, /metrics and /api/");
	else if (routes[i].answer)
		routes[i].answer(w, a);
	else
		answer_asked(w, a, r, routes[i].ask, routes[i].arg);
}

/* ---- reading a request ---- */

static void peer_refuse(struct peer *p, struct answer *a, int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{ 405, "only GET and HEAD: every request only reads" },
		{ 413, "a request here has no body" },
		{ 431, "the request is too long" },
	};
	const char *text = "this is not an HTTP/1.1 request";

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].status == status)
			text = texts[i].text;
	p->last = true;
	answer_set_text(a, status, text);
}

/* @text is the head of a request; NULL: it is too long. */
static void peer_run_request(struct peer *p, char *text)
{
	struct answer a = { .code = 200, .body = evbuffer_new() };
	struct http_request r = { 0 };
	int status = text ? http_parse(&r, text) : 431;

	if (!a.body) {
		peer_touch(p, PEER_LINGERING, 0); /* no memory: web_tick() ends the connection */
		return;
	}
	p->last |= r.last;
	if (status)
		peer_refuse(p, &a, status);
	else
		answer_choose(p->web, &a, &r);
	send_answer(p, &a, r.head);
	evbuffer_free(a.body);
	http_free(&r);
}

/* The length of the head of a request, its empty line included; 0: it is not complete. */
static size_t head_length(struct evbuffer *in)
{
	struct evbuffer_ptr crlf = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	struct evbuffer_ptr lf = evbuffer_search(in, "\n\n", 2, NULL);

	if (crlf.pos >= 0 && (lf.pos < 0 || crlf.pos < lf.pos))
		return (size_t)crlf.pos + 4;
	return lf.pos >= 0 ? (size_t)lf.pos + 2 : 0;
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	char text[HTTP_HEAD_MAX + 1];
	struct peer *p = arg;
	size_t len;

	if (p->state == PEER_LINGERING)
		evbuffer_drain(in, evbuffer_get_length(in));
	if (p->state != PEER_READING)
		return;
	len = head_length(in);
	if (len > HTTP_HEAD_MAX || (!len && evbuffer_get_length(in) >= HTTP_HEAD_MAX)) {
		peer_run_request(p, NULL);
	} else if (len) {
		evbuffer_remove(in, text, len);
		text[len] = '\0';
		peer_run_request(p, text);
	}
}

/* The answer has left. */
static void on_written(struct bufferevent *bev, void *arg)
{
	struct peer *p = arg;

	if (p->state != PEER_ANSWERING)
		return;
	if (p->last) {
		shutdown(bufferevent_getfd(bev), SHUT_WR);
		peer_touch(p, PEER_LINGERING, LINGER_NS);
		return;
	}
	peer_touch(p, PEER_READING, WEB_IDLE_NS);
	on_readable(bev, p); /* a further request may have come already */
}

/* A client may end its side after its request, and still read the answer. */
static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct peer *p = arg;

	(void)bev;
	if (what & BEV_EVENT_EOF && p->state == PEER_ANSWERING)
		p->last = true;
	else
		peer_free(p);
}

/* ---- listening ---- */

/* End the connection whose latest request is oldest, if there is no room for another one. */
static void peers_make_room(struct web *w)
{
	if (w->n_peers >= WEB_PEERS)
		peer_free(TAILQ_FIRST(&w->peers));
}

static void peer_welcome(void *arg, int fd, const struct sockaddr_storage *from)
{
	struct peer *p = calloc(1, sizeof(*p));
	struct web *w = arg;
	int one = 1;

	(void)from;
	peers_make_room(w);
	if (p)
		p->bev = bufferevent_socket_new(w->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!p || !p->bev) {
		free(p);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
		   sizeof(one)); /* head and body in two writes */
	p->web = w;
	p->until_ns = clock_now() + WEB_REQUEST_NS;
	TAILQ_INSERT_TAIL(&w->peers, p, list);
	w->n_peers++;
	bufferevent_setcb(p->bev, on_readable, on_written, on_event, p);
	bufferevent_setwatermark(p->bev, EV_READ, 0, HTTP_HEAD_MAX);
	bufferevent_enable(p->bev, EV_READ | EV_WRITE);
}

/* A listening socket; -errno. */
static int listening_socket(const struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(a, &ss);
	int one = 1, fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static void listen_now(struct web *w)
{
	char text[ADDR_TEXT];
	int fd = listening_socket(&w->o.addr);

	if (fd >= 0 && acceptor_new(&w->acceptor, w->base, fd, "--metrics", peer_welcome, w) < 0) {
		close(fd);
		fd = -ENOMEM;
	}
	if (fd >= 0) {
		w->fd = fd;
		log_info("--metrics: http://%s/", addr_text(&w->o.addr, text));
		return;
	}
	if (!w->said)
		log_err("--metrics %s: cannot listen there: %s; rtpxd goes on without, and tries "
			"again every second",
			addr_text(&w->o.addr, text), strerror(-fd));
	w->said = true;
}

void web_tick(struct web *w, uint64_t now_ns)
{
	struct peer *p = TAILQ_FIRST(&w->peers), *next;

	for (; p; p = next) {
		next = TAILQ_NEXT(p, list);
		if (now_ns >= p->until_ns)
			peer_free(p);
	}
	if (!w->acceptor)
		listen_now(w);
}

/* ---- begin and end ---- */

int web_new(struct web **out, struct event_base *base, const struct web_opts *opts)
{
	struct web *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->o = *opts;
	w->base = base;
	w->fd = -1;
	TAILQ_INIT(&w->peers);
	*out = w;
	return 0;
}

void web_free(struct web *w)
{
	if (!w)
		return;
	while (!TAILQ_EMPTY(&w->peers))
		peer_free(TAILQ_FIRST(&w->peers));
	acceptor_free(w->acceptor);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notify.c - targets of time-out notifications and their queues. A target sends one message at a
 * time, the first of its queue. The message leaves the queue when it is delivered, refused, or too
 * old to be tried again. Every message is tried at least once.
 *
 * A failed connection is a failure of the target: its whole queue pauses. A complete answer that
 * makes no sense is a failure of that message alone. The message is tried again after its own
 * pause, and the other messages go on.
 *
 * A message to a stream counts as delivered when the kernel has taken all its bytes. The protocol
 * has no reply that would tell more. Deliberately not here: the choice when to notify (engine.c),
 * and the body of an RPC (rpc.c).
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <utlist.h>

#include "notify/notify.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/provoked.h"
#include "net/names.h"
#include "call/session.h"
#include "notify/rpc.h"

#define FIRST_PAUSE_MS 500 /* after the first failure; doubles up to LAST_PAUSE_MS */
#define LAST_PAUSE_MS 8000
#define ANSWER_S 5 /* limit for a connection, for progress of a write, and for an answer */
#define ANSWER_MAX 65536
#define MAX_ADDRS 8 /* addresses kept of one name */
#define NAME_MS 50  /* between checks for the answer of the name server */

/* A message and its strings are one allocation. */
struct message {
	struct message *prev, *next;
	uint32_t number;
	uint64_t queued_ns;
	uint64_t again_ns;     /* time of the next attempt; 0: at once */
	unsigned int pause_ms; /* before the latest retry; 0: not retried yet */
	char *call_id, *from_tag, *to_tag;
	char *line; /* for a stream */
	size_t line_len;
};

enum state {
	IDLE,	/* the queue is empty, or each message waits until its again_ns */
	NAMING, /* waits for the addresses of its host */
	BUSY,	/* sends the first message */
	PAUSED, /* the connection failed; waits for the timer */
};

struct target {
	struct notify *all;
	char *name;
	struct notify_spec spec;
	struct sockaddr_storage ss; /* unset with NOTIFY_SELF */
	socklen_t ss_len;
	/* All addresses of the name, @ss among them. After a failure the next one is tried. */
	struct addr addr[MAX_ADDRS];
	unsigned int n_addrs, at;
	struct question *asked; /* the pending query for them; NULL: none */
	enum state state;
	struct message *queue;
	unsigned int queued;
	/*
	 * Fires at the end of a pause of the target or of a message. It also ends an RPC, because
	 * the callback of an HTTP connection must not free it.
	 */
	struct event *timer;
	unsigned int pause_ms; /* latest pause; 0: the latest attempt succeeded */

	struct bufferevent *stream;
	bool proven; /* the stream has delivered a message */

	struct evhttp_connection *http;
	enum rpc_method method; /* of the RPC under way; if method_known, the one that worked */
	bool method_known;
	enum rpc_answer answer;
	bool answered; /* a complete HTTP answer came, of any status */
	uint32_t calls;

	struct notify_counts counts;
	char error[160]; /* "": none */
};

struct notify {
	struct event_base *base;
	struct target *target[NOTIFY_MAX_TARGETS];
	unsigned int n_targets, n_configured;
	uint64_t patience_ns;
	uint32_t last_number;
	void (*queued)(void *arg, const struct notify_message *m); /* NULL: no watcher */
	void (*gone)(void *arg, uint32_t number);
	void *watch_arg;
	bool left;
};

static void next_message(struct target *t);

/* ---- the queue ---- */

static char *put_string(char **at, const char *text, size_t len)
{
	char *start = *at;

	memcpy(start, text, len);
	start[len] = '\0';
	*at += len + 1;
	return start;
}

/*
 * Returns the length of the part that SIP knows. A controller may append ";branch" to the Call-ID
 * and ";medium" to a tag. SIP allows no ';' in either, so cut there.
 */
static size_t sip_len(const char *text)
{
	return strcspn(text, ";");
}

static struct message *message_new(const struct notify_event *e, uint64_t now_ns)
{
	const char *tag = e->tag ? e->tag : "", *to = e->to_tag ? e->to_tag : "";
	size_t call_len = sip_len(e->call_id), from_len = sip_len(e->from_tag);
	size_t to_len = sip_len(to);
	struct message *m = malloc(sizeof(*m) + call_len + from_len + to_len + strlen(tag) + 5);
	char *at = (char *)(m + 1);

	if (!m)
		return NULL;
	m->queued_ns = now_ns;
	m->again_ns = 0;
	m->pause_ms = 0;
	m->call_id = put_string(&at, e->call_id, call_len);
	m->from_tag = put_string(&at, e->from_tag, from_len);
	m->to_tag = put_string(&at, to, to_len);
	m->line_len = strlen(tag) + 1;
	m->line = at;
	memcpy(m->line, tag, m->line_len - 1);
	m->line[m->line_len - 1] = '\n';
	return m;
}

static void message_drop(struct target *t)
{
	struct message *m = t->queue;

	DL_DELETE(t->queue, m);
	t->queued--;
	if (t->all->gone)
		t->all->gone(t->all->watch_arg, m->number);
	free(m);
}

static void note_error(struct target *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Keeps an error of the target for rtpxctl, and logs it. */
static void note_error(struct target *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->error, sizeof(t->error), fmt, ap);
	va_end(ap);
	log_provoked(PROVOKED_NOT_NOTIFIED, NULL, t->name, t->error, t->queued);
}

static void disconnect(struct target *t)
{
	if (t->stream)
		bufferevent_free(t->stream);
	if (t->http)
		evhttp_connection_free(t->http);
	t->stream = NULL;
	t->http = NULL;
	t->proven = false;
}

/* ---- the end of an attempt ---- */

static void set_timer(struct target *t, unsigned int ms)
{
	const struct timeval in = { ms / 1000, ms % 1000 * 1000 };

	event_add(t->timer, &in);
}

static void delivered(struct target *t)
{
	t->counts.sent++;
	t->pause_ms = 0;
	t->error[0] = '\0';
	message_drop(t);
	next_message(t);
}

static void use_addr(struct target *t, unsigned int at)
{
	t->at = at;
	t->ss_len = addr_to_sockaddr(&t->addr[at], &t->ss);
}

static unsigned int longer_pause(unsigned int ms)
{
	return ms ? MIN(2 * ms, LAST_PAUSE_MS) : FIRST_PAUSE_MS;
}

static bool is_too_old(const struct target *t, const struct message *m, uint64_t now_ns)
{
	return now_ns - m->queued_ns >= t->all->patience_ns;
}

/*
 * The attempt to send the first message failed. True: the message was too old to be tried again,
 * and is dropped. The queue may be empty, as the name of the host is looked up in advance.
 */
static bool tried_in_vain(struct target *t, const char *why)
{
	if (!t->queue) {
		note_error(t, "%s", why);
		return false;
	}
	if (!is_too_old(t, t->queue, clock_now())) {
		t->counts.retries++;
		note_error(t, "%s", why);
		return false;
	}
	t->counts.lost++;
	note_error(t, "%s; call %s given up", why, t->queue->call_id);
	message_drop(t);
	return true;
}

/*
 * The connection failed, so pause. If it had delivered a message before, try again at once.
 */
static void failed(struct target *t, const char *why)
{
	bool at_once = t->proven;

	disconnect(t);
	if (t->n_addrs && !at_once)
		use_addr(t, (t->at + 1) % t->n_addrs);
	tried_in_vain(t, why);
	t->state = PAUSED;
	t->pause_ms = longer_pause(t->pause_ms);
	if (at_once)
		t->pause_ms = 0;
	set_timer(t, t->pause_ms);
}

/* The answer is complete but makes no sense. Move the message to the end of the queue. */
static void put_off(struct target *t, const char *why)
{
	struct message *m = t->queue;

	t->pause_ms = 0;
	if (!tried_in_vain(t, why)) {
		m->pause_ms = longer_pause(m->pause_ms);
		m->again_ns = clock_now() + m->pause_ms * NSEC_PER_MSEC;
		DL_DELETE(t->queue, m);
		DL_APPEND(t->queue, m);
	}
	next_message(t);
}

static void refused(struct target *t, const char *why)
{
	t->counts.refused++;
	t->pause_ms = 0;
	note_error(t, "refused for call %s: %s", t->queue->call_id, why);
	message_drop(t);
	next_message(t);
}

/* ---- streams ---- */

/* Discards all bytes that a controller sends. */
static void on_stream_read(struct bufferevent *stream, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(stream);

	(void)arg;
	evbuffer_drain(in, evbuffer_get_length(in));
}

static void on_stream_written(struct bufferevent *stream, void *arg)
{
	struct target *t = arg;

	if (t->state != BUSY || evbuffer_get_length(bufferevent_get_output(stream)))
		return;
	t->proven = true;
	delivered(t);
}

static void on_stream_event(struct bufferevent *stream, short what, void *arg)
{
	struct target *t = arg;
	int err = EVUTIL_SOCKET_ERROR();

	(void)stream;
	if (what & BEV_EVENT_CONNECTED)
		return;
	if (t->state != BUSY)
		disconnect(t);
	else if (what & BEV_EVENT_TIMEOUT)
		failed(t, "it does not read");
	else if (what & BEV_EVENT_EOF)
		failed(t, "it has closed the connection");
	else
		failed(t, evutil_socket_error_to_string(err));
}

static bool stream_open(struct target *t)
{
	static const struct timeval patience = { ANSWER_S, 0 };

	t->stream = bufferevent_socket_new(t->all->base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (!t->stream)
		return false;
	bufferevent_setcb(t->stream, on_stream_read, on_stream_written, on_stream_event, t);
	bufferevent_set_timeouts(t->stream, NULL, &patience);
	return bufferevent_enable(t->stream, EV_READ | EV_WRITE) == 0;
}

/*
 * The event loop may not have reported yet that the peer closed the connection. A message written
 * now would be lost without an error, so check first.
 */
static bool stream_has_ended(struct target *t)
{
	char c;

	return t->stream && recv(bufferevent_getfd(t->stream), &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int stream_connect(struct target *t)
{
	return bufferevent_socket_connect(t->stream, (struct sockaddr *)&t->ss, (int)t->ss_len);
}

/* Put the message in before connecting, because connecting may fail at once. */
static void stream_send(struct target *t)
{
	bool fresh;

	if (stream_has_ended(t))
		disconnect(t);
	fresh = !t->stream;
	if ((fresh && !stream_open(t)) ||
	    bufferevent_write(t->stream, t->queue->line, t->queue->line_len) < 0)
		failed(t, "out of memory");
	else if (fresh && stream_connect(t) < 0 && t->state == BUSY)
		failed(t, strerror(errno));
}

/* ---- RPC ---- */

static enum rpc_kind rpc_kind_of(const struct target *t)
{
	return t->spec.kind == NOTIFY_XMLRPC ? RPC_XML : RPC_JSON;
}

/* Without an answer, @req is NULL or its code is 0. */
static void on_answer(struct evhttp_request *req, void *arg)
{
	struct target *t = arg;
	int code = req ? evhttp_request_get_response_code(req) : 0;
	struct evbuffer *body = code ? evhttp_request_get_input_buffer(req) : NULL;
	size_t len = body ? evbuffer_get_length(body) : 0;

	t->answered = code != 0;
	t->answer = rpc_answer(rpc_kind_of(t), body ? (char *)evbuffer_pullup(body, -1) : NULL, len,
			       t->error, sizeof(t->error));
	if (t->answer == RPC_UNREADABLE)
		snprintf(t->error, sizeof(t->error),
			 code ? "HTTP status %d, no answer to the call" : "no answer over HTTP",
			 code);
	event_active(t->timer, EV_TIMEOUT, 0);
}

static int rpc_call(struct target *t, struct evhttp_request *req)
{
	const struct message *m = t->queue;
	const struct rpc_dialog dialog = { m->call_id, m->from_tag, m->to_tag };
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	char host[sizeof(t->spec.host) + 16];

	snprintf(host, sizeof(host), strchr(t->spec.host, ':') ? "[%s]:%u" : "%s:%u", t->spec.host,
		 t->spec.port);
	if (rpc_request(evhttp_request_get_output_buffer(req), rpc_kind_of(t), t->method, &dialog,
			++t->calls) < 0 ||
	    evhttp_add_header(headers, "Host", host) < 0 ||
	    evhttp_add_header(headers, "Content-Type", rpc_content_type(rpc_kind_of(t))) < 0 ||
	    evhttp_add_header(headers, "Connection", "close") < 0)
		return -ENOMEM;
	return 0;
}

/*
 * Each RPC has its own connection. A proxy may close an idle one, and a request on it would be
 * lost.
 */
static void rpc_send(struct target *t)
{
	struct evhttp_request *req = evhttp_request_new(on_answer, t);
	char host[ADDR_TEXT];

	t->http = evhttp_connection_base_new(t->all->base, NULL,
					     addr_host_text(&t->addr[t->at], host), t->spec.port);
	if (!req || !t->http || rpc_call(t, req) < 0) {
		if (req)
			evhttp_request_free(req);
		failed(t, "out of memory");
		return;
	}
	evhttp_connection_set_timeout(t->http, ANSWER_S);
	evhttp_connection_set_max_body_size(t->http, ANSWER_MAX);
	evhttp_connection_set_max_headers_size(t->http, ANSWER_MAX);
	if (evhttp_make_request(t->http, req, EVHTTP_REQ_POST, t->spec.path) < 0)
		failed(t, "cannot make the call");
}

/*
 * XML-RPC has two methods, and a proxy may have only one. True: try the second method now. A method
 * that worked once is kept.
 */
static bool other_method(struct target *t)
{
	if (rpc_kind_of(t) != RPC_XML || t->method_known || t->method == RPC_BY_TAGS)
		return false;
	t->method = RPC_BY_TAGS;
	return true;
}

static void rpc_ended(struct target *t)
{
	char why[sizeof(t->error)];

	memcpy(why, t->error, sizeof(why));
	disconnect(t);
	switch (t->answer) {
	case RPC_DONE:
		t->method_known = true;
		delivered(t);
		break;
	case RPC_REFUSED:
		if (other_method(t)) {
			rpc_send(t);
			break;
		}
		refused(t, why);
		break;
	case RPC_UNREADABLE:
		if (t->answered)
			put_off(t, why);
		else
			failed(t, why);
	}
}

/* ---- the name of a host ---- */

static void add_addr(struct target *t, const struct addr *addr)
{
	if (t->n_addrs == MAX_ADDRS)
		return;
	t->addr[t->n_addrs++] = *addr;
	use_addr(t, 0);
}

/* Names in tcp: targets are looked up for IPv4 only, as in rtpproxy. */
static int family_of(const struct target *t)
{
	return t->spec.kind != NOTIFY_TCP || strchr(t->spec.host, ':') ? AF_UNSPEC : AF_INET;
}

static void resolve_name(struct target *t)
{
	t->state = NAMING;
	if (names_ask(&t->asked, t->spec.host, family_of(t)) < 0)
		failed(t, "out of memory");
	else
		set_timer(t, NAME_MS);
}

static void take_answer(struct target *t)
{
	struct addr found[MAX_ADDRS];
	char why[sizeof(t->error)];
	const char *reason;
	int n;

	if (!names_answered(t->asked)) {
		set_timer(t, NAME_MS);
		return;
	}
	n = names_take(t->asked, found, MAX_ADDRS, &reason);
	t->asked = NULL;
	if (n < 0) {
		snprintf(why, sizeof(why), "%.100s: %s", t->spec.host, reason);
		failed(t, why);
		return;
	}
	for (int i = 0; i < n; i++) {
		found[i].port = t->spec.port;
		add_addr(t, &found[i]);
	}
	t->pause_ms = 0;
	next_message(t);
}

/* ---- one message after the other ---- */

/* The first message that is due. If there is none, NULL, and *@wait_ns is the time until one is. */
static struct message *due_message(const struct target *t, uint64_t *wait_ns)
{
	const uint64_t now_ns = clock_now();
	struct message *m;

	*wait_ns = UINT64_MAX;
	DL_FOREACH(t->queue, m) {
		if (m->again_ns <= now_ns)
			return m;
		*wait_ns = MIN(*wait_ns, m->again_ns - now_ns);
	}
	return NULL;
}

static void next_message(struct target *t)
{
	uint64_t wait_ns;
	struct message *m = due_message(t, &wait_ns);

	event_del(t->timer);
	t->state = m ? BUSY : IDLE;
	if (!m && t->queue)
		set_timer(t, (unsigned int)(wait_ns / NSEC_PER_MSEC) + 1);
	if (!m)
		return;
	DL_DELETE(t->queue, m);
	DL_PREPEND(t->queue, m);
	if (!t->ss_len) {
		resolve_name(t);
		return;
	}
	if (!notify_is_rpc(t->spec.kind)) {
		stream_send(t);
		return;
	}
	if (!t->method_known)
		t->method = rpc_kind_of(t) == RPC_XML ? RPC_BY_CALL_ID : RPC_BY_TAGS;
	rpc_send(t);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct target *t = arg;

	(void)fd, (void)what;
	if (t->state == BUSY)
		rpc_ended(t);
	else if (t->state == NAMING)
		take_answer(t);
	else
		next_message(t);
}

static int enqueue(struct target *t, const struct notify_event *event, uint64_t queued_ns)
{
	struct message *m = message_new(event, queued_ns);

	if (!m)
		return -ENOMEM;
	m->number = session_number(event->group, ++t->all->last_number);
	DL_APPEND(t->queue, m);
	t->queued++;
	return 0;
}

/* @text gets the tag without its newline, and must have room for m->line_len bytes. */
static void describe(const struct target *t, const struct message *m, char *text,
		     struct notify_message *out)
{
	memcpy(text, m->line, m->line_len - 1);
	text[m->line_len - 1] = '\0';
	*out = (struct notify_message){
		.number = m->number,
		.target = t->name,
		.event = { m->call_id, m->from_tag, *m->to_tag ? m->to_tag : NULL,
			   *text ? text : NULL, session_group(m->number) },
		.queued_ns = m->queued_ns,
	};
}

static void pass_message(const struct target *t, const struct message *m,
			 void (*fn)(void *arg, const struct notify_message *m), void *arg)
{
	char *text = malloc(m->line_len);
	struct notify_message out;

	if (!text)
		return;
	describe(t, m, text, &out);
	fn(arg, &out);
	free(text);
}

void notify_send(struct notify *n, int target, const struct notify_event *event, uint64_t now_ns)
{
	struct target *t = n->target[target];

	if (t->queued >= NOTIFY_MAX_QUEUED) {
		t->counts.overflow++;
		note_error(t, "the queue is full, this notification is lost");
		return;
	}
	if (enqueue(t, event, now_ns) < 0) {
		t->counts.overflow++;
		note_error(t, "out of memory, this notification is lost");
		return;
	}
	if (n->queued)
		pass_message(t, t->queue->prev, n->queued, n->watch_arg); /* the new message */
	if (t->state == IDLE)
		next_message(t);
}

void notify_watch(struct notify *n, void (*queued)(void *arg, const struct notify_message *m),
		  void (*gone)(void *arg, uint32_t number), void *arg)
{
	n->queued = queued;
	n->gone = gone;
	n->watch_arg = arg;
}

void notify_each(const struct notify *n, void (*fn)(void *arg, const struct notify_message *m),
		 void *arg)
{
	const struct message *m;

	for (unsigned int i = 0; i < n->n_targets; i++)
		DL_FOREACH(n->target[i]->queue, m)
			pass_message(n->target[i], m, fn, arg);
}

int notify_restore(struct notify *n, const struct notify_message *m)
{
	int i = notify_again(n, span_of(m->target)), r;

	if (i < 0)
		return -ENOENT;
	r = enqueue(n->target[i], &m->event, m->queued_ns);
	if (r == 0 && n->target[i]->state == IDLE)
		next_message(n->target[i]);
	return r;
}

void notify_left(struct notify *n)
{
	n->left = true;
}

static bool is_idle(const struct target *t)
{
	const uint64_t now_ns = clock_now();
	const struct message *m;

	if (t->state == BUSY)
		return false;
	DL_FOREACH(t->queue, m)
		if (!is_too_old(t, m, now_ns))
			return false;
	return true;
}

bool notify_is_idle(const struct notify *n)
{
	for (unsigned int i = 0; i < n->n_targets; i++)
		if (!is_idle(n->target[i]))
			return false;
	return true;
}

/* ---- targets ---- */

static void target_free(struct target *t)
{
	if (t->queued && !t->all->left)
		log_warn("notification to %s: %u messages not sent before rtpxd "
			 "ended",
			 t->name, t->queued);
	disconnect(t);
	names_drop(t->asked);
	while (t->queue)
		message_drop(t);
	if (t->timer)
		event_free(t->timer);
	free(t->name);
	free(t);
}

static struct target *target_add(struct notify *n, const char *name)
{
	struct target *t = n->n_targets < NOTIFY_MAX_TARGETS ? calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	t->all = n;
	t->name = strdup(name);
	t->timer = event_new(n->base, -1, 0, on_timer, t);
	if (!t->name || !t->timer) {
		target_free(t);
		return NULL;
	}
	n->target[n->n_targets++] = t;
	return t;
}

/* Takes a numeric address at once. For a name, starts a query that may take any time. */
static int resolve(struct target *t, bool no_resolve, char *err, size_t err_size)
{
	const struct addrinfo hints = {
		.ai_family = family_of(t),
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST,
	};
	struct addrinfo *found;
	struct addr addr;
	int r = getaddrinfo(t->spec.host, NULL, &hints, &found);

	if (r == EAI_NONAME && !no_resolve) {
		resolve_name(t);
		return 0;
	}
	if (r) {
		snprintf(err, err_size, "-n '%s': %s: %s", t->name, t->spec.host, gai_strerror(r));
		return -EINVAL;
	}
	addr = addr_with_port(addr_from_sockaddr(found->ai_addr), t->spec.port);
	add_addr(t, &addr);
	freeaddrinfo(found);
	return 0;
}

static int configure(struct target *t, const char *text, bool no_resolve, char *err,
		     size_t err_size)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&t->ss;
	const char *why;

	if (notify_parse(&t->spec, text, &why) < 0) {
		snprintf(err, err_size, "-n '%s': %s", text, why);
		return -EINVAL;
	}
	switch (t->spec.kind) {
	case NOTIFY_UNIX:
		sun->sun_family = AF_UNIX;
		strcpy(sun->sun_path, t->spec.path);
		t->ss_len = sizeof(*sun);
		return 0;
	case NOTIFY_SELF:
		return 0;
	default:
		return resolve(t, no_resolve, err, err_size);
	}
}

int notify_new(struct notify **out, struct event_base *base, const struct notify_opts *opts,
	       char *err, size_t err_size)
{
	struct notify *n = calloc(1, sizeof(*n));
	int r;

	snprintf(err, err_size, "out of memory");
	if (!n)
		return -ENOMEM;
	n->base = base;
	n->patience_ns = opts->patience_ms * NSEC_PER_MSEC;
	for (unsigned int i = 0; i < opts->n_targets; i++) {
		struct target *t = target_add(n, opts->targets[i]);

		r = -ENOMEM;
		if (!t)
			goto err_free;
		r = configure(t, opts->targets[i], opts->no_resolve, err, err_size);
		if (r < 0)
			goto err_free;
	}
	n->n_configured = n->n_targets;
	*out = n;
	return 0;

err_free:
	notify_free(n);
	return r;
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	for (unsigned int i = 0; i < n->n_targets; i++)
		target_free(n->target[i]);
	free(n);
}

bool notify_enabled(const struct notify *n)
{
	return n->n_configured > 0;
}

/* ---- choosing a target ---- */

/* Compares texts, as rtpproxy. A path without a colon may lack the prefix "unix:". */
static bool is_named(const struct target *t, struct span name)
{
	static const char prefix[] = "unix:";
	const size_t len = sizeof(prefix) - 1;

	if (t->spec.kind != NOTIFY_UNIX)
		return span_eq(span_of(t->name), name);
	if (name.len >= len && memcmp(name.p, prefix, len) == 0)
		name = (struct span){ name.p + len, name.len - len };
	else if (memchr(name.p, ':', name.len))
		return false;
	return span_eq(span_of(t->spec.path), name);
}

/* The target for @self in a command of @peer: @peer's address with @self's port. -1: no room. */
static int target_of_peer(struct notify *n, const struct target *self, const struct addr *peer)
{
	static const struct addr localhost = { .family = ADDR_IP4, .ip = { 127, 0, 0, 1 } };
	const struct addr *host = peer->family == ADDR_IP4 ? peer : &localhost;
	struct addr to = addr_with_port(*host, self->spec.port);
	char text[ADDR_TEXT], name[ADDR_TEXT + 4];
	struct target *t;

	for (unsigned int i = n->n_configured; i < n->n_targets; i++)
		if (addr_eq(&n->target[i]->addr[0], &to))
			return (int)i;
	snprintf(name, sizeof(name), "tcp:%s", addr_text(&to, text));
	t = target_add(n, name);
	if (!t)
		return -1;
	t->spec.kind = NOTIFY_TCP;
	add_addr(t, &to);
	return (int)n->n_targets - 1;
}

int notify_find(struct notify *n, struct span name, const struct addr *peer)
{
	for (unsigned int i = 0; i < n->n_configured; i++) {
		struct target *t = n->target[i];

		if (is_named(t, name))
			return t->spec.kind == NOTIFY_SELF ? target_of_peer(n, t, peer) : (int)i;
	}
	return -1;
}

const char *notify_name(const struct notify *n, int target)
{
	return target < 0 ? NULL : n->target[target]->name;
}

int notify_again(struct notify *n, struct span name)
{
	static const struct addr nobody = { 0 };
	struct notify_spec spec;
	const char *why;
	char text[256];
	struct addr a;
	int i = notify_find(n, name, &nobody);

	if (i >= 0)
		return i;
	/* The name of a target that was made for %%CC_SELF%%. */
	snprintf(text, sizeof(text), "%.*s", (int)name.len, name.p);
	if (notify_parse(&spec, text, &why) < 0 || spec.kind != NOTIFY_TCP ||
	    addr_parse(&a, ADDR_IP4, spec.host, strlen(spec.host)) < 0)
		return -1;
	for (i = 0; i < (int)n->n_configured; i++)
		if (n->target[i]->spec.kind == NOTIFY_SELF && n->target[i]->spec.port == spec.port)
			return target_of_peer(n, n->target[i], &a);
	return -1;
}

int notify_default(const struct notify *n)
{
	for (unsigned int i = 0; i < n->n_configured; i++)
		if (notify_is_rpc(n->target[i]->spec.kind))
			return (int)i;
	return -1;
}

bool notify_ends_calls(const struct notify *n, int target)
{
	return notify_is_rpc(n->target[target]->spec.kind);
}

bool notify_view(const struct notify *n, unsigned int i, struct notify_view *out)
{
	const struct target *t;

	if (i >= n->n_targets)
		return false;
	t = n->target[i];
	*out = (struct notify_view){
		.name = t->name,
		.error = t->error[0] ? t->error : NULL,
		.queued = t->queued,
		.counts = t->counts,
	};
	return true;
}

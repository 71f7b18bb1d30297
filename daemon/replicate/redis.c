/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redis.c - a bufferevent, hiredis' parser, and a queue of the commands that wait for a reply.
 *
 * Replies come in the order of the commands, so the queue needs no numbers. Each connection begins
 * with AUTH and SELECT, if the URL asks for them, and with PING. A server that answers nothing for
 * ANSWER_S seconds counts as gone.
 */
#include "replicate/redis.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/names.h"

#define ANSWER_S 5
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 2000
#define NAME_POLL_MS 20

/* A command that waits for its reply. */
struct asked {
	void (*answer)(void *arg, const struct redisReply *reply);
	void *arg;
	struct asked *next;
};

struct redis {
	struct redis_opts o;
	struct event_base *base;
	SSL_CTX *tls;
	struct event *timer; /* the next attempt, or the next look at the resolver */
	struct question *question;
	struct bufferevent *stream;
	redisReader *reader;
	struct asked *first, **last;
	unsigned int retry_ms;
	unsigned int greeting; /* replies to AUTH, SELECT and PING that are missing */
	bool up;
};

/* ---- the connection ---- */

static void retry_within(struct redis *r, unsigned int ms)
{
	const struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	event_add(r->timer, &tv);
}

static void hang_up(struct redis *r)
{
	struct asked *a;

	while ((a = r->first)) {
		r->first = a->next;
		free(a);
	}
	r->last = &r->first;
	if (r->stream)
		bufferevent_free(r->stream);
	if (r->reader)
		redisReaderFree(r->reader);
	r->stream = NULL;
	r->reader = NULL;
	r->up = false;
	r->greeting = 0;
}

/* The connection is of no use any more: tell, and try again after a while. */
static void lose_connection(struct redis *r, const char *why)
{
	hang_up(r);
	retry_within(r, r->retry_ms);
	r->retry_ms = MIN(2 * r->retry_ms, (unsigned int)RETRY_MAX_MS);
	r->o.down(r->o.arg, why);
}

static int send_command(struct redis *r, unsigned int argc, const struct span *argv,
			void (*answer)(void *arg, const struct redisReply *reply), void *arg)
{
	const char *texts[argc];
	size_t lens[argc];
	struct asked *a = malloc(sizeof(*a));
	char *bytes = NULL;
	long long len;

	for (unsigned int i = 0; i < argc; i++) {
		texts[i] = argv[i].p ? argv[i].p : "";
		lens[i] = argv[i].len;
	}
	len = a ? redisFormatCommandArgv(&bytes, (int)argc, texts, lens) : -1;
	if (len < 0 || bufferevent_write(r->stream, bytes, (size_t)len) < 0) {
		redisFreeCommand(bytes);
		free(a);
		return -ENOMEM;
	}
	redisFreeCommand(bytes);
	*a = (struct asked){ answer, arg, NULL };
	*r->last = a;
	r->last = &a->next;
	return 0;
}

struct span redis_span(const struct redisReply *reply)
{
	if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS)
		return (struct span){ 0 };
	return (struct span){ reply->str, (size_t)reply->len };
}

static void on_greeting(void *arg, const struct redisReply *reply)
{
	struct redis *r = arg;
	char why[200];

	if (reply->type == REDIS_REPLY_ERROR) {
		snprintf(why, sizeof(why), "it refuses us: %.150s", reply->str);
		lose_connection(r, why);
		return;
	}
	if (--r->greeting)
		return;
	r->up = true;
	r->retry_ms = RETRY_MIN_MS;
	r->o.up(r->o.arg);
}

static int server_greet(struct redis *r)
{
	const struct redis_url *u = r->o.url;
	const char *password = r->o.password ? r->o.password : u->password;
	char db[16];
	const struct span auth[] = { span_of("AUTH"), span_of(u->user), span_of(password) };
	const struct span auth_old[] = { span_of("AUTH"), span_of(password) };
	const struct span select[] = {
		span_of("SELECT"),
		{ db, (size_t)snprintf(db, sizeof(db), "%u", u->db) },
	};
	const struct span ping[] = { span_of("PING") };
	int rc = 0;

	r->greeting = 1 + (password != NULL) + (u->db != 0);
	if (password)
		rc = u->user ? send_command(r, 3, auth, on_greeting, r)
			     : send_command(r, 2, auth_old, on_greeting, r);
	if (!rc && u->db)
		rc = send_command(r, 2, select, on_greeting, r);
	return rc ? rc : send_command(r, 1, ping, on_greeting, r);
}

/* Why a TLS connection failed: the certificate's fault, if it has one. */
static const char *tls_trouble(struct bufferevent *stream, unsigned long error)
{
	long verdict = SSL_get_verify_result(bufferevent_openssl_get_ssl(stream));
	const char *text = ERR_reason_error_string(error);

	if (verdict != X509_V_OK)
		return X509_verify_cert_error_string(verdict);
	return text ? text : "TLS failed";
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
	struct redis *r = arg;
	unsigned long tls = r->o.url->tls ? bufferevent_get_openssl_error(stream) : 0;
	int on = 1;

	if (what & BEV_EVENT_CONNECTED) {
		setsockopt(bufferevent_getfd(stream), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		bufferevent_enable(stream, EV_READ | EV_WRITE);
		if (server_greet(r))
			lose_connection(r, "out of memory");
		return;
	}
	if (what & BEV_EVENT_TIMEOUT)
		lose_connection(r, "it does not answer");
	else if (what & BEV_EVENT_EOF)
		lose_connection(r, "it closed the connection");
	else if (tls)
		lose_connection(r, tls_trouble(stream, tls));
	else
		lose_connection(r, strerror(EVUTIL_SOCKET_ERROR()));
}

/* Give the reply to the command that it belongs to. False: the connection is gone. */
static bool reply_deliver(struct redis *r, redisReply *reply)
{
	struct asked *a = r->first;
	bool same = true;

	if (a) {
		struct bufferevent *stream = r->stream;

		r->first = a->next;
		if (!r->first)
			r->last = &r->first;
		if (a->answer)
			a->answer(a->arg, reply);
		same = r->stream == stream;
		free(a);
	}
	freeReplyObject(reply);
	return same;
}

static void on_read(struct bufferevent *stream, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(stream);
	size_t len = evbuffer_get_length(in);
	struct redis *r = arg;
	void *reply;

	if (redisReaderFeed(r->reader, (char *)evbuffer_pullup(in, -1), len) != REDIS_OK) {
		lose_connection(r, "out of memory");
		return;
	}
	evbuffer_drain(in, len);
	for (;;) {
		if (redisReaderGetReply(r->reader, &reply) != REDIS_OK) {
			lose_connection(r, "it does not speak Redis' protocol");
			return;
		}
		if (!reply || !reply_deliver(r, reply))
			return;
	}
}

/* The certificate must be for the host of the URL: an address, or a name. */
static void check_host(SSL *ssl, const char *host)
{
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host))
		return;
	SSL_set_tlsext_host_name(ssl, host);
	SSL_set1_host(ssl, host);
}

/* Make the stream, encrypted or not, over no socket yet. */
static bool make_stream(struct redis *r)
{
	const struct redis_url *u = r->o.url;
	SSL *ssl = NULL;

	if (!u->tls) {
		r->stream = bufferevent_socket_new(r->base, -1, BEV_OPT_CLOSE_ON_FREE);
	} else if ((ssl = SSL_new(r->tls))) {
		check_host(ssl, u->host);
		r->stream =
			bufferevent_openssl_socket_new(r->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
						       BEV_OPT_CLOSE_ON_FREE);
		if (!r->stream)
			SSL_free(ssl);
	}
	r->reader = redisReaderCreate();
	if (!r->stream || !r->reader)
		return false;
	bufferevent_setcb(r->stream, on_read, NULL, on_event, r);
	return true;
}

static void server_connect(struct redis *r, const struct sockaddr *sa, socklen_t len)
{
	static const struct timeval patience = { ANSWER_S, 0 };

	if (!make_stream(r)) {
		lose_connection(r, "out of memory");
		return;
	}
	bufferevent_set_timeouts(r->stream, &patience, &patience);
	if (bufferevent_socket_connect(r->stream, sa, (int)len) < 0 && r->stream)
		lose_connection(r, strerror(errno));
}

static void connect_unix(struct redis *r)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	strcpy(un.sun_path, r->o.url->path); /* its length was checked by redis_url_parse() */
	server_connect(r, (struct sockaddr *)&un, sizeof(un));
}

/* The resolver has answered: connect to the first address. */
static void take_name(struct redis *r)
{
	struct sockaddr_storage ss;
	struct addr found;
	const char *why;
	int n = names_take(r->question, &found, 1, &why);

	r->question = NULL;
	if (n < 0) {
		lose_connection(r, why);
		return;
	}
	found.port = (uint16_t)r->o.url->port;
	server_connect(r, (struct sockaddr *)&ss, addr_to_sockaddr(&found, &ss));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;

	(void)fd, (void)what;
	if (r->o.url->path) {
		connect_unix(r);
	} else if (!r->question) {
		if (names_ask(&r->question, r->o.url->host, AF_UNSPEC) < 0) {
			lose_connection(r, "out of memory");
			return;
		}
		names_wait(r->question, 1); /* an address needs no name server */
	}
	if (r->question && names_answered(r->question))
		take_name(r);
	else if (r->question)
		retry_within(r, NAME_POLL_MS);
}

static int tls_new(struct redis *r, char *err, size_t err_size)
{
	const char *file = r->o.ca_file;

	r->tls = SSL_CTX_new(TLS_client_method());
	if (!r->tls)
		return -ENOMEM;
	SSL_CTX_set_min_proto_version(r->tls, TLS1_2_VERSION);
	SSL_CTX_set_verify(r->tls, SSL_VERIFY_PEER, NULL);
	if ((file ? SSL_CTX_load_verify_locations(r->tls, file, NULL)
		  : SSL_CTX_set_default_verify_paths(r->tls)) == 1)
		return 0;
	snprintf(err, err_size, "%s: no certificates can be read from it",
		 file ? file : "the system's store");
	return -EPROTO;
}

int redis_new(struct redis **out, struct event_base *base, const struct redis_opts *opts, char *err,
	      size_t err_size)
{
	struct redis *r = calloc(1, sizeof(*r));
	int rc = 0;

	snprintf(err, err_size, "out of memory");
	if (!r)
		return -ENOMEM;
	r->o = *opts;
	r->base = base;
	r->last = &r->first;
	r->retry_ms = RETRY_MIN_MS;
	r->timer = evtimer_new(base, on_timer, r);
	if (!r->timer)
		rc = -ENOMEM;
	if (!rc && opts->url->tls)
		rc = tls_new(r, err, err_size);
	if (rc) {
		redis_free(r);
		return rc;
	}
	retry_within(r, 0);
	*out = r;
	return 0;
}

void redis_free(struct redis *r)
{
	if (!r)
		return;
	hang_up(r);
	names_drop(r->question);
	if (r->timer)
		event_free(r->timer);
	SSL_CTX_free(r->tls);
	free(r);
}

int redis_ask(struct redis *r, unsigned int argc, const struct span *argv,
	      void (*answer)(void *arg, const struct redisReply *reply), void *arg)
{
	if (!r->up)
		return -ENOTCONN;
	if (evbuffer_get_length(bufferevent_get_output(r->stream)) > REDIS_MAX_QUEUE)
		return -ENOBUFS;
	return send_command(r, argc, argv, answer, arg);
}

bool redis_is_up(const struct redis *r)
{
	return r->up;
}

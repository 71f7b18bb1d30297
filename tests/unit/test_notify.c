/* SPDX-License-Identifier: BSD-2-Clause */
/* runs: together long quick */
/*
 * test_notify.c - targets of -n over real sockets: messages arrive, also when the receiver is away,
 * closes, hangs, refuses or sends a malformed answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../daemon/notify/notify.c"

#include <signal.h>

#include "own_net.h"

#define PATIENCE_MS 20000
#define NO_PEER (&(struct addr){ 0 })

static struct event_base *base;
static struct notify *notify;

/* ---- helpers ---- */

#define START(patience, ...)                                  \
	start(patience, (const char *const[]){ __VA_ARGS__ }, \
	      ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))

static void start(uint32_t patience_ms, const char *const *targets, unsigned int n)
{
	const struct notify_opts opts = {
		.targets = targets,
		.n_targets = n,
		.no_resolve = true,
		.patience_ms = patience_ms,
	};
	char err[200] = "";

	log_open(LOG_LVL_CRIT, true, false, 0);
	base = event_base_new();
	if (notify_new(&notify, base, &opts, err, sizeof(err)) < 0)
		fail_msg("%s", err);
}

static int stop(void **state)
{
	(void)state;
	notify_free(notify);
	event_base_free(base);
	notify = NULL;
	return 0;
}

static void send_tag(int target, const char *tag)
{
	const struct notify_event e = { "call", "from;1", "to;1", tag, 0 };

	notify_send(notify, target, &e, clock_now());
}

static struct notify_view view_of(unsigned int i)
{
	struct notify_view v;

	assert_true(notify_view(notify, i, &v));
	return v;
}

#define TURN_UNTIL(condition)                                                 \
	do {                                                                  \
		uint64_t end_ = test_now_ns() + PATIENCE_MS * NSEC_PER_MSEC;  \
		while (!(condition)) {                                        \
			event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK); \
			assert_true(test_now_ns() < end_);                    \
		}                                                             \
	} while (0)

static int listen_at(const char *host, uint16_t port)
{
	struct addr a = at(host, port);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&a, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static bool try_accept(int fd, int *out)
{
	*out = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return *out >= 0;
}

static int accept_one(int fd)
{
	int c;

	TURN_UNTIL(try_accept(fd, &c));
	return c;
}

static bool has(int fd, char *got, size_t want)
{
	size_t n = strlen(got);
	ssize_t r = recv(fd, got + n, want - n, 0);

	if (r > 0)
		got[n + (size_t)r] = '\0';
	return strlen(got) == want;
}

/* Exactly @text arrives, and no byte waits behind it. */
static void expect(int fd, const char *text)
{
	char got[4096] = "", more;

	TURN_UNTIL(has(fd, got, strlen(text)));
	assert_string_equal(got, text);
	assert_int_equal(recv(fd, &more, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

/* ---- streams ---- */

static void sends_lines_over_one_connection(void **state)
{
	int listener, c, other;

	(void)state;
	START(PATIENCE_MS, "tcp:10.99.0.1:9000");
	listener = listen_at("10.99.0.1", 9000);
	send_tag(0, "a b");
	c = accept_one(listener);
	expect(c, "a b\n");
	send_tag(0, "");
	send_tag(0, "c");
	expect(c, "\nc\n");
	assert_false(try_accept(listener, &other));
	assert_true(notify_is_idle(notify));
	assert_int_equal(view_of(0).counts.sent, 3);
	assert_null(view_of(0).error);
	close(c);
	close(listener);
}

static void sends_to_unix_sockets(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/test_notify.XXXXXX", target[sizeof(sun.sun_path) + 5];
	int listener, c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", dir);
	snprintf(target, sizeof(target), "unix:%s", sun.sun_path);
	START(PATIENCE_MS, target);
	send_tag(0, "early");
	TURN_UNTIL(view_of(0).counts.retries);
	assert_string_equal(view_of(0).error, "No such file or directory");
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(listener, 1), 0);
	send_tag(0, "late");
	c = accept_one(listener);
	expect(c, "early\nlate\n");
	close(c);
	close(listener);
	unlink(sun.sun_path);
	rmdir(dir);
}

static void tries_again_until_somebody_listens(void **state)
{
	int listener, c;

	(void)state;
	START(PATIENCE_MS, "tcp:10.99.0.1:9001");
	send_tag(0, "one");
	send_tag(0, "two");
	TURN_UNTIL(view_of(0).counts.retries >= 2);
	assert_string_equal(view_of(0).error, "Connection refused");
	assert_int_equal(view_of(0).queued, 2);
	assert_false(notify_is_idle(notify));
	listener = listen_at("10.99.0.1", 9001);
	c = accept_one(listener);
	expect(c, "one\ntwo\n");
	TURN_UNTIL(notify_is_idle(notify));
	assert_null(view_of(0).error);
	assert_int_equal(view_of(0).counts.lost, 0);
	close(c);
	close(listener);
}

static void gives_up_in_time(void **state)
{
	(void)state;
	START(1, "tcp:10.99.0.1:9002");
	send_tag(0, "one");
	send_tag(0, "two");
	TURN_UNTIL(view_of(0).counts.lost == 2);
	assert_true(notify_is_idle(notify));
	assert_string_equal(view_of(0).error, "Connection refused; call call given up");
}

/* Each message is tried, however old: here the second one, once a receiver listens. */
static void gives_up_nothing_untried(void **state)
{
	int listener, c;

	(void)state;
	START(1, "tcp:10.99.0.1:9008");
	send_tag(0, "one");
	send_tag(0, "two");
	TURN_UNTIL(view_of(0).counts.lost == 1);
	assert_int_equal(view_of(0).queued, 1);
	listener = listen_at("10.99.0.1", 9008);
	c = accept_one(listener);
	expect(c, "two\n");
	TURN_UNTIL(view_of(0).counts.sent == 1);
	assert_int_equal(view_of(0).counts.lost, 1);
	close(c);
	close(listener);
}

/* A receiver restarts, before or after the next message. */
static void connects_again(void **state)
{
	int listener, c;

	(void)state;
	START(PATIENCE_MS, "tcp:10.99.0.1:9003");
	listener = listen_at("10.99.0.1", 9003);
	send_tag(0, "one");
	c = accept_one(listener);
	expect(c, "one\n");
	close(c);
	TURN_UNTIL(!notify->target[0]->stream);
	assert_int_equal(view_of(0).counts.retries, 0);
	send_tag(0, "two");
	c = accept_one(listener);
	expect(c, "two\n");
	close(c);
	send_tag(0, "three"); /* before the loop has seen the end of the connection */
	c = accept_one(listener);
	expect(c, "three\n");
	assert_int_equal(view_of(0).counts.lost, 0);
	close(c);
	close(listener);
}

static bool reset_by(int fd)
{
	const struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return close(fd) == 0;
}

/* A message that was sent in part is sent again as a whole. */
static void sends_a_broken_message_again(void **state)
{
	static char tag[4 << 20], got[sizeof(tag) + 2];
	int listener, c, small = 4096;

	(void)state;
	memset(tag, 'x', sizeof(tag) - 1);
	START(PATIENCE_MS, "tcp:10.99.0.1:9004");
	listener = listen_at("10.99.0.1", 9004);
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	send_tag(0, tag);
	c = accept_one(listener);
	TURN_UNTIL(has(c, got, 1000));
	assert_int_equal(view_of(0).counts.sent, 0);
	assert_true(reset_by(c));
	c = accept_one(listener);
	got[0] = '\0';
	for (size_t n = 0; n < sizeof(tag);) {
		ssize_t r = recv(c, got + n, sizeof(got) - n, 0);

		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		assert_true(r > 0 || (r < 0 && errno == EAGAIN));
		n += r > 0 ? (size_t)r : 0;
	}
	assert_memory_equal(got, tag, sizeof(tag) - 1);
	assert_int_equal(got[sizeof(tag) - 1], '\n');
	TURN_UNTIL(view_of(0).counts.sent == 1);
	assert_int_equal(view_of(0).counts.retries, 1);
	close(c);
	close(listener);
}

static struct {
	struct notify_message last;
	char text[200];
	unsigned int queued, gone;
} watched;

static void on_queued(void *arg, const struct notify_message *m)
{
	assert_ptr_equal(arg, &watched);
	watched.queued++;
	watched.last = *m;
	snprintf(watched.text, sizeof(watched.text), "%s %s %s %s %s", m->target, m->event.call_id,
		 m->event.from_tag, m->event.to_tag ? m->event.to_tag : "-",
		 m->event.tag ? m->event.tag : "-");
}

static void on_gone(void *arg, uint32_t number)
{
	assert_ptr_equal(arg, &watched);
	assert_int_not_equal(number, 0);
	watched.gone++;
}

/* Messages that wait in one process are queued by the next one, with their age. */
static void goes_to_the_next_process(void **state)
{
	const struct notify_event event = { "call", "from", "to", "tag", 3 };
	const char *const targets[] = { "unix:/nonexistent/a", "unix:/nonexistent/b" };
	const uint64_t now_ns = clock_now();
	struct notify_message m = {
		.target = "unix:/c",
		.event = { "other", "f", NULL, NULL },
		.queued_ns = now_ns,
	};

	(void)state;
	memset(&watched, 0, sizeof(watched));
	start(1000, targets, 2);
	notify_watch(notify, on_queued, on_gone, &watched);
	notify_send(notify, 1, &event, now_ns);
	assert_int_equal(watched.queued, 1);
	assert_string_equal(watched.text, "unix:/nonexistent/b call from to tag");
	assert_int_equal(watched.last.queued_ns, now_ns);
	notify_each(notify, on_queued, &watched);
	assert_int_equal(watched.queued, 2);
	assert_int_equal(watched.gone, 0);
	assert_int_equal(notify_restore(notify, &m), -ENOENT);
	m.target = targets[0];
	assert_int_equal(notify_restore(notify, &m), 0);
	assert_int_equal(watched.queued, 2);
	notify_each(notify, on_queued, &watched);
	assert_int_equal(watched.queued, 4);
	assert_string_equal(watched.text, "unix:/nonexistent/b call from to tag");
	assert_int_equal(view_of(0).queued, 1);
	notify_watch(notify, NULL, NULL, NULL);
	/* A message that is too old is tried once. */
	m.queued_ns = 99;
	assert_int_equal(notify_restore(notify, &m), 0);
	while (view_of(0).queued > 1)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(view_of(0).counts.lost, 1);
}

static void bounds_the_queue(void **state)
{
	(void)state;
	START(PATIENCE_MS, "tcp:10.99.0.1:9005");
	for (unsigned int i = 0; i < NOTIFY_MAX_QUEUED + 3; i++)
		send_tag(0, "x");
	assert_int_equal(view_of(0).queued, NOTIFY_MAX_QUEUED);
	assert_int_equal(view_of(0).counts.overflow, 3);
	assert_string_equal(view_of(0).error, "the queue is full, this notification is lost");
}

/* A name may have several addresses, with a listener on only one of them. */
static void tries_the_next_address(void **state)
{
	struct addr second = at("10.99.0.2", 9007);
	int listener, c;

	(void)state;
	START(PATIENCE_MS, "tcp:10.99.0.1:9007");
	add_addr(notify->target[0], &second);
	listener = listen_at("10.99.0.2", 9007);
	send_tag(0, "one");
	c = accept_one(listener);
	expect(c, "one\n");
	assert_int_equal(view_of(0).counts.retries, 1);
	close(c);
	TURN_UNTIL(!notify->target[0]->stream);
	send_tag(0, "two"); /* stays with the address that answers */
	c = accept_one(listener);
	expect(c, "two\n");
	assert_int_equal(view_of(0).counts.retries, 1);
	close(c);
	close(listener);
}

static void sends_to_ip6(void **state)
{
	int listener, c;

	(void)state;
	START(PATIENCE_MS, "tcp:[fd99::1]:9008");
	listener = listen_at("fd99::1", 9008);
	send_tag(0, "six");
	c = accept_one(listener);
	expect(c, "six\n");
	close(c);
	close(listener);
}

static void resolves_names(void **state)
{
	static const char *const targets[] = { "tcp:localhost:9009", "xmlrpc:http://localhost/x" };
	const struct notify_opts opts = {
		.targets = targets,
		.n_targets = 2,
		.patience_ms = PATIENCE_MS,
	};
	char err[200] = "";
	int listener, c;

	(void)state;
	log_open(LOG_LVL_CRIT, true, false, 0);
	base = event_base_new();
	if (notify_new(&notify, base, &opts, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	while (!notify->target[0]->n_addrs || !notify->target[1]->n_addrs)
		event_base_loop(base, EVLOOP_ONCE);
	/* An IPv4 address and, depending on /etc/hosts, an IPv6 address without a listener. */
	assert_in_range(notify->target[0]->n_addrs, 1, 2);
	assert_in_range(notify->target[1]->n_addrs, 1, 2);
	listener = listen_at("127.0.0.1", 9009);
	send_tag(0, "named");
	c = accept_one(listener);
	expect(c, "named\n");
	close(c);
	close(listener);
}

/* ---- names ---- */

static int find(const char *name, const struct addr *peer)
{
	return notify_find(notify, span_of(name), peer);
}

static void finds_targets_by_name(void **state)
{
	(void)state;
	START(1, "unix:/a", "/b", "tcp:127.0.0.1:1", "foo:bar", "xmlrpc:http://127.0.0.1/x",
	      "jsonrpc:http://[::1]:81");
	assert_true(notify_enabled(notify));
	assert_int_equal(find("/a", NO_PEER), 0);
	assert_int_equal(find("unix:/a", NO_PEER), 0);
	assert_int_equal(find("/b", NO_PEER), 1);
	assert_int_equal(find("unix:/b", NO_PEER), 1);
	assert_int_equal(find("tcp:127.0.0.1:1", NO_PEER), 2);
	assert_int_equal(find("unix:tcp:127.0.0.1:1", NO_PEER), -1);
	assert_int_equal(find("unix:foo:bar", NO_PEER), 3);
	assert_int_equal(find("foo:bar", NO_PEER), -1); /* as with rtpproxy */
	assert_int_equal(find("xmlrpc:http://127.0.0.1/x", NO_PEER), 4);
	assert_int_equal(find("xmlrpc:http://127.0.0.1/", NO_PEER), -1);
	assert_int_equal(find("tcp:127.0.0.1:2", NO_PEER), -1);
	assert_int_equal(find("", NO_PEER), -1);
	assert_int_equal(notify_default(notify), 4);
	assert_true(notify_ends_calls(notify, 4));
	assert_true(notify_ends_calls(notify, 5));
	assert_false(notify_ends_calls(notify, 2));
}

static void has_no_default_without_rpc(void **state)
{
	(void)state;
	START(1, "tcp:127.0.0.1:1");
	assert_int_equal(notify_default(notify), -1);
}

static void connects_back_to_the_controller(void **state)
{
	struct addr peer = at("10.99.0.2", 5555), other = at("10.99.0.3", 5555);
	struct addr six = at("fd99::1", 5555);
	int listener, local, c, mine;

	(void)state;
	START(PATIENCE_MS, "tcp:%%CC_SELF%%:9100", "tcp:%%CC_SELF%%:9101");
	mine = find("tcp:%%CC_SELF%%:9100", &peer);
	assert_int_equal(mine, 2);
	assert_int_equal(find("tcp:%%CC_SELF%%:9100", &peer), mine);
	assert_int_equal(find("tcp:%%CC_SELF%%:9101", &peer), 3);
	assert_int_equal(find("tcp:%%CC_SELF%%:9100", &other), 4);
	assert_int_equal(find("tcp:%%CC_SELF%%:9100", NO_PEER), 5);
	assert_int_equal(find("tcp:%%CC_SELF%%:9100", &six), 5);
	assert_int_equal(find("tcp:%%CC_SELF%%:9102", &peer), -1);
	assert_int_equal(find("tcp:10.99.0.2:9100", &peer), -1); /* not a target of -n */
	assert_string_equal(view_of(5).name, "tcp:127.0.0.1:9100");

	listener = listen_at("10.99.0.2", 9100);
	local = listen_at("127.0.0.1", 9100);
	send_tag(mine, "m");
	c = accept_one(listener);
	expect(c, "m\n");
	close(c);
	send_tag(5, "l");
	c = accept_one(local);
	expect(c, "l\n");
	close(c);
	close(local);
	close(listener);
}

static void bounds_the_targets(void **state)
{
	int found = 0;

	(void)state;
	START(1, "tcp:%%CC_SELF%%:9100");
	for (unsigned int i = 0; i < 200; i++) {
		struct addr peer = at("10.1.0.0", 1);

		peer.ip[3] = (uint8_t)i;
		found += find("tcp:%%CC_SELF%%:9100", &peer) >= 0;
	}
	assert_int_equal(found, NOTIFY_MAX_TARGETS - 1);
}

/* An unknown name: messages wait, the name is resolved again, and the end does not wait. */
static void waits_for_names(void **state)
{
	static const char *const targets[] = { "tcp:no.such.host.invalid:9009" };
	const struct notify_opts opts = {
		.targets = targets,
		.n_targets = 1,
		.patience_ms = PATIENCE_MS,
	};
	char err[200] = "";

	(void)state;
	log_open(LOG_LVL_CRIT, true, false, 0);
	base = event_base_new();
	if (notify_new(&notify, base, &opts, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	assert_int_equal(notify->target[0]->state, NAMING);
	send_tag(0, "waits");
	while (!notify->target[0]->counts.retries)
		event_base_loop(base, EVLOOP_ONCE);
	/* The resolver's message depends on the host's network. */
	assert_non_null(strstr(notify->target[0]->error, "no.such.host.invalid: "));
	assert_int_equal(notify->target[0]->queued, 1);
	while (notify->target[0]->state != NAMING)
		event_base_loop(base, EVLOOP_ONCE);
}

static void says_what_cannot_be_resolved(void **state)
{
	static const char *const targets[] = { "tcp:10.99.0.1:1",
					       "xmlrpc:http://no.such.host.invalid/" };
	const struct notify_opts opts = { .targets = targets, .n_targets = 2, .no_resolve = true };
	struct notify *n = NULL;
	char err[200] = "";

	(void)state;
	START(1, "/unused");
	assert_int_equal(notify_new(&n, base, &opts, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "-n 'xmlrpc:http://no.such.host.invalid/': no.such.host.invalid: "
				 "Name or service not known");
	assert_null(n);
}

static void parses_urls(void **state)
{
	static const struct {
		const char *text, *host, *path;
		uint16_t port;
	} rows[] = {
		{ "xmlrpc:http://h:8000/RPC2", "h", "/RPC2", 8000 },
		{ "jsonrpc:http://10.0.0.1", "10.0.0.1", "/", 80 },
		{ "jsonrpc:http://[2001:db8::1]:81/a/b?c=d", "2001:db8::1", "/a/b?c=d", 81 },
	};
	struct notify_spec spec;
	const char *why;

	(void)state;
	START(1, "/unused");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(notify_parse(&spec, rows[i].text, &why), 0);
		assert_string_equal(spec.host, rows[i].host);
		assert_string_equal(spec.path, rows[i].path);
		assert_int_equal(spec.port, rows[i].port);
	}
}

/* ---- RPC: a proxy in the same loop ---- */

static struct {
	struct evhttp *http;
	const char *answer[8]; /* to the n-th request; NULL: HTTP 503 */
	char body[8][600], path[64], host[64], type[64];
	unsigned int n;
} proxy;

#define XML_OK "<methodResponse><params><param><value>1</value></param></params></methodResponse>"
#define XML_FAULT                                                                          \
	"<methodResponse><fault><name>faultString</name><string>Method Not Found</string>" \
	"</fault></methodResponse>"
#define JSON_OK "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}"

static const char *header(struct evhttp_request *req, const char *name)
{
	const char *value = evhttp_find_header(evhttp_request_get_input_headers(req), name);

	return value ? value : "";
}

static void on_proxy(struct evhttp_request *req, void *arg)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req), *out = evbuffer_new();
	unsigned int i = proxy.n++;
	int len;

	(void)arg;
	assert_true(i < ARRAY_SIZE(proxy.body));
	len = evbuffer_remove(in, proxy.body[i], sizeof(proxy.body[i]) - 1);
	proxy.body[i][MAX(len, 0)] = '\0';
	snprintf(proxy.path, sizeof(proxy.path), "%s", evhttp_request_get_uri(req));
	snprintf(proxy.host, sizeof(proxy.host), "%s", header(req, "Host"));
	snprintf(proxy.type, sizeof(proxy.type), "%s", header(req, "Content-Type"));
	assert_int_equal(evhttp_request_get_command(req), EVHTTP_REQ_POST);
	if (proxy.answer[i])
		evbuffer_add(out, proxy.answer[i], strlen(proxy.answer[i]));
	evhttp_send_reply(req, proxy.answer[i] ? 200 : 503, "x", out);
	evbuffer_free(out);
}

static void proxy_start(const char *host, uint16_t port)
{
	memset(&proxy, 0, sizeof(proxy));
	proxy.http = evhttp_new(base);
	evhttp_set_gencb(proxy.http, on_proxy, NULL);
	assert_int_equal(evhttp_bind_socket(proxy.http, host, port), 0);
}

static int rpc_stop(void **state)
{
	evhttp_free(proxy.http);
	return stop(state);
}

static void send_call(int target, const char *call_id)
{
	const struct notify_event e = { call_id, "f1;1", "t1;1", NULL, 0 };

	notify_send(notify, target, &e, clock_now());
}

static void asks_by_xml(void **state)
{
	(void)state;
	START(PATIENCE_MS, "xmlrpc:http://10.99.0.1:8000/RPC2");
	proxy_start("10.99.0.1", 8000);
	proxy.answer[0] = proxy.answer[1] = XML_OK;
	send_call(0, "one;branch");
	send_call(0, "two");
	TURN_UNTIL(notify_is_idle(notify));
	assert_int_equal(proxy.n, 2);
	assert_int_equal(view_of(0).counts.sent, 2);
	assert_non_null(strstr(proxy.body[0], "<methodName>dlg_terminate_dlg</methodName><params>"
					      "<param><value><string>one</string></value></param>"
					      "</params>"));
	assert_non_null(strstr(proxy.body[1], "<string>two</string>"));
	assert_string_equal(proxy.path, "/RPC2");
	assert_string_equal(proxy.host, "10.99.0.1:8000");
	assert_string_equal(proxy.type, "text/xml");
}

static void asks_by_json(void **state)
{
	(void)state;
	START(PATIENCE_MS, "jsonrpc:http://[fd99::1]:8001/J?x=1");
	proxy_start("fd99::1", 8001);
	proxy.answer[0] = JSON_OK;
	send_call(0, "one;branch");
	TURN_UNTIL(notify_is_idle(notify));
	assert_int_equal(view_of(0).counts.sent, 1);
	assert_string_equal(proxy.body[0], "{\"jsonrpc\":\"2.0\",\"method\":\"dlg.terminate_dlg\","
					   "\"params\":[\"one\",\"f1\",\"t1\"],\"id\":1}");
	assert_string_equal(proxy.path, "/J?x=1");
	assert_string_equal(proxy.host, "[fd99::1]:8001");
	assert_string_equal(proxy.type, "application/json");
}

/* If the method with the Call-ID is refused, the method with the tags is tried, and then kept. */
static void learns_the_method(void **state)
{
	(void)state;
	START(PATIENCE_MS, "xmlrpc:http://10.99.0.1:8002/");
	proxy_start("10.99.0.1", 8002);
	proxy.answer[0] = proxy.answer[1] = proxy.answer[2] = XML_FAULT;
	proxy.answer[3] = proxy.answer[4] = XML_OK;
	proxy.answer[5] = XML_FAULT;
	send_call(0, "one");
	TURN_UNTIL(view_of(0).counts.refused == 1);
	assert_int_equal(proxy.n, 2);
	assert_string_equal(view_of(0).error, "refused for call one: Method Not Found");
	send_call(0, "two");
	send_call(0, "three");
	send_call(0, "four");
	TURN_UNTIL(notify_is_idle(notify));
	assert_int_equal(proxy.n, 6);
	assert_int_equal(view_of(0).counts.sent, 2);
	assert_int_equal(view_of(0).counts.refused, 2);
	assert_int_equal(view_of(0).counts.retries, 0);
	assert_non_null(strstr(proxy.body[2], "<methodName>dlg_terminate_dlg<"));
	assert_non_null(strstr(proxy.body[3], "<methodName>dlg.terminate_dlg<"));
	assert_non_null(strstr(proxy.body[3],
			       "<string>two</string></value></param><param><value><string>f1"
			       "</string></value></param><param><value><string>t1</string>"));
	assert_non_null(strstr(proxy.body[4], "<methodName>dlg.terminate_dlg<"));
	assert_non_null(strstr(proxy.body[5], "<methodName>dlg.terminate_dlg<"));
}

/* An RPC with a malformed answer is repeated, after a pause of its own. */
static void asks_again_after_nonsense(void **state)
{
	(void)state;
	START(PATIENCE_MS, "jsonrpc:http://10.99.0.1:8003/");
	proxy_start("10.99.0.1", 8003);
	proxy.answer[1] = "<html>later</html>";
	proxy.answer[2] = JSON_OK;
	send_call(0, "one");
	TURN_UNTIL(view_of(0).counts.retries == 1);
	assert_string_equal(view_of(0).error, "HTTP status 503, no answer to the call");
	TURN_UNTIL(notify_is_idle(notify));
	assert_int_equal(proxy.n, 3);
	assert_int_equal(view_of(0).counts.sent, 1);
	assert_int_equal(view_of(0).counts.retries, 2);
}

/*
 * Six calls. The proxy answers one of them with HTTP 503 for good: the five others do not wait for
 * it, and only that one is given up.
 */
static void one_bad_call_holds_up_no_other(void **state)
{
	static const char *const calls[] = { "bad", "a", "b", "c", "d", "e" };
	uint64_t begin_ns;

	(void)state;
	START(300, "jsonrpc:http://10.99.0.1:8006/");
	proxy_start("10.99.0.1", 8006);
	for (size_t i = 1; i < ARRAY_SIZE(calls); i++)
		proxy.answer[i] = JSON_OK;
	begin_ns = test_now_ns();
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		send_call(0, calls[i]);
	TURN_UNTIL(view_of(0).counts.sent == 5);
	assert_true(test_now_ns() - begin_ns < FIRST_PAUSE_MS * NSEC_PER_MSEC);
	assert_int_equal(proxy.n, 6);
	assert_int_equal(view_of(0).queued, 1);
	assert_false(notify_is_idle(notify));
	TURN_UNTIL(view_of(0).counts.lost == 1);
	assert_int_equal(proxy.n, 7); /* the bad call was tried again, alone */
	assert_non_null(strstr(proxy.body[6], "\"bad\""));
	assert_string_equal(view_of(0).error,
			    "HTTP status 503, no answer to the call; call bad given up");
	assert_true(notify_is_idle(notify));
}

/* A call that comes during the pause of another one does not wait for that pause. */
static void a_pause_is_of_one_call(void **state)
{
	(void)state;
	START(PATIENCE_MS, "jsonrpc:http://10.99.0.1:8007/");
	proxy_start("10.99.0.1", 8007);
	proxy.answer[1] = proxy.answer[2] = JSON_OK;
	send_call(0, "first");
	TURN_UNTIL(view_of(0).counts.retries == 1);
	send_call(0, "second");
	TURN_UNTIL(view_of(0).counts.sent == 1);
	assert_non_null(strstr(proxy.body[1], "\"second\""));
	TURN_UNTIL(notify_is_idle(notify));
	assert_int_equal(view_of(0).counts.sent, 2);
	assert_non_null(strstr(proxy.body[2], "\"first\""));
}

/* A server that accepts and then closes, resets or answers without end delays no other target. */
static void survives_bad_servers(void **state)
{
	static const char flood[100000] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
	int listener, good, c;

	(void)state;
	START(PATIENCE_MS, "xmlrpc:http://10.99.0.1:8004/", "tcp:10.99.0.1:9006");
	proxy_start("10.99.0.1", 8005); /* unused */
	listener = listen_at("10.99.0.1", 8004);
	good = listen_at("10.99.0.1", 9006);
	send_call(0, "one");
	c = accept_one(listener);
	send_tag(1, "meanwhile");
	TURN_UNTIL(view_of(1).counts.sent == 1);
	assert_int_equal(view_of(0).queued, 1);
	close(c);
	TURN_UNTIL(view_of(0).counts.retries == 1);
	assert_string_equal(view_of(0).error, "no answer over HTTP");
	c = accept_one(listener);
	assert_true(reset_by(c));
	TURN_UNTIL(view_of(0).counts.retries == 2);
	c = accept_one(listener);
	assert_true(send(c, flood, sizeof(flood), MSG_NOSIGNAL) > 0);
	TURN_UNTIL(view_of(0).counts.retries == 3);
	close(c);
	close(good);
	close(listener);
}

int main(void)
{
#define STREAM(test) cmocka_unit_test_teardown(test, stop)
#define RPC(test) cmocka_unit_test_teardown(test, rpc_stop)
	const struct CMUnitTest tests[] = {
		STREAM(sends_lines_over_one_connection),
		STREAM(sends_to_unix_sockets),
		STREAM(tries_again_until_somebody_listens),
		STREAM(gives_up_in_time),
		STREAM(gives_up_nothing_untried),
		STREAM(connects_again),
		STREAM(sends_a_broken_message_again),
		STREAM(goes_to_the_next_process),
		STREAM(bounds_the_queue),
		STREAM(tries_the_next_address),
		STREAM(sends_to_ip6),
		STREAM(resolves_names),
		STREAM(waits_for_names),
		STREAM(finds_targets_by_name),
		STREAM(has_no_default_without_rpc),
		STREAM(connects_back_to_the_controller),
		STREAM(bounds_the_targets),
		STREAM(says_what_cannot_be_resolved),
		STREAM(parses_urls),
		RPC(asks_by_xml),
		RPC(asks_by_json),
		RPC(learns_the_method),
		RPC(asks_again_after_nonsense),
		RPC(one_bad_call_holds_up_no_other),
		RPC(a_pause_is_of_one_call),
		RPC(survives_bad_servers),
	};

	signal(SIGPIPE, SIG_IGN);
	if (!own_net()) {
		puts("no permission for a network namespace");
		return 4;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

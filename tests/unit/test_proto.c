/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_proto.c - the control grammar: every command, modifier, sub-command, error number and reply.
 * The golden tests check the replies of a running daemon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/proto.c"

#define N5 "n n n n n "
#define N20 N5 N5 N5 N5
#define S5 "&& S ttl=7 && S ttl=7 && S ttl=7 && S ttl=7 && S ttl=7 "

static const struct span labels[] = { { "one", 3 }, { "two", 3 } };
static const struct proto_opts plain = {
	.default_family = ADDR_IP4,
	.have_ip4 = true,
	.labels = labels,
	.labels_n = 2,
};
static const struct proto_opts both_families = {
	.default_family = ADDR_IP4,
	.have_ip4 = true,
	.have_ip6 = true,
	.labels = labels,
	.labels_n = 2,
	.modules = 1 << 3,
};
static const struct proto_opts bridge = {
	.bridge = true,
	.default_family = ADDR_IP4,
	.have_ip4 = true,
	.have_ip6 = true,
};
static const struct proto_opts only_ip6 = { .default_family = ADDR_IP6, .have_ip6 = true };
static const struct proto_opts unchecked = { .default_family = ADDR_NONE };

/* Parse an exactly sized copy, so that the address sanitizer finds a read past the end. */
static enum proto_error parse_bytes(struct request *r, const char *bytes, size_t len,
				    const struct proto_opts *opts)
{
	static char *copy; /* spans point into it until the next call */

	free(copy);
	copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return proto_parse(r, copy, len, opts);
}

static enum proto_error parse(struct request *r, const char *line, const struct proto_opts *opts)
{
	return parse_bytes(r, line, strlen(line), opts);
}

static void assert_span(struct span s, const char *expected)
{
	if (!expected) {
		assert_null(s.p);
		return;
	}
	assert_non_null(s.p);
	assert_int_equal(s.len, strlen(expected));
	assert_memory_equal(s.p, expected, s.len);
}

static const struct row {
	const char *line;
	enum proto_error error;
	const struct proto_opts *opts; /* NULL: plain */
} rows[] = {
	/* E5: emptiness, limits, stray && */
	{ "", E_SYNTAX, NULL },
	{ " \t\r\n", E_SYNTAX, NULL },
	{ "&&", E_SYNTAX, NULL },
	{ "&& V", E_SYNTAX, NULL },
	{ "U c 1.1.1.1 1 A &&", E_SYNTAX, NULL },
	{ "U c 1.1.1.1 1 A && && D", E_SYNTAX, NULL },
	{ "G " N20 "n n", PROTO_OK, NULL },
	{ "G " N20 "n n n", E_SYNTAX, NULL },
	{ "? " N20 "n n n", E_SYNTAX, NULL },
	{ "U c 1.1.1.1 1 A && " N20 "n n n", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && " N20 "n n n n", E_SYNTAX, NULL },
	{ "U c 1.1.1.1 1 A " S5 S5 S5, PROTO_OK, NULL },
	{ "U c 1.1.1.1 1 A " S5 S5 S5 "&& S ttl=7", E_SYNTAX, NULL },
	{ "U c 1.1.1.1 1 A &&D", PROTO_OK, NULL },
	/* E0: unknown letters, before any other check */
	{ "A", E_COMMAND, NULL },
	{ "M3:1 x", E_COMMAND, NULL },
	{ "7", E_COMMAND, NULL },
	{ "\xc3\xa9", E_COMMAND, NULL },
	{ "\vV", E_COMMAND, NULL },
	{ "Z && D", E_COMMAND, NULL },
	/* E1: number of arguments, before modifiers and sub-commands */
	{ "U", E_ARGS, NULL },
	{ "U c 1.1.1.1 1", E_ARGS, NULL },
	{ "Uq c 1.1.1.1 1", E_ARGS, NULL },
	{ "U c 1.1.1.1 1 A B s t x", E_ARGS, NULL },
	{ "L c 1.1.1.1 1", E_ARGS, NULL },
	{ "L c 1.1.1.1 1 A B C", E_ARGS, NULL },
	{ "D c", E_ARGS, NULL },
	{ "D c A B C", E_ARGS, NULL },
	{ "P c f 0", E_ARGS, NULL },
	{ "P c f 0 A B C", E_ARGS, NULL },
	{ "R c", E_ARGS, NULL },
	{ "R c A B C", E_ARGS, NULL },
	{ "N c", E_ARGS, NULL },
	{ "N c A B C", E_ARGS, NULL },
	{ "C c n", E_ARGS, NULL },
	{ "C c n A B C", E_ARGS, NULL },
	{ "S c", E_ARGS, NULL },
	{ "S c A B C", E_ARGS, NULL },
	{ "Q c", E_ARGS, NULL },
	{ "Q c A B 1 2 3 4 5 6 7 8 9 10 11 12", E_ARGS, NULL },
	{ "X x", E_ARGS, NULL },
	{ "Xq x && D", E_ARGS, NULL },
	{ "I x", E_ARGS, NULL },
	{ "V x", E_ARGS, NULL },
	{ "VF", E_ARGS, NULL },
	{ "VF 1 2", E_ARGS, NULL },
	{ "vfgarbage", E_ARGS, NULL },
	/* E2: modifiers on a command that has none, before sub-commands */
	{ "Sq c A", E_MODIFIERS, NULL },
	{ "Xq", E_MODIFIERS, NULL },
	{ "Vx", E_MODIFIERS, NULL },
	{ "VFx 20050322", E_MODIFIERS, NULL },
	{ "Xq && D", E_MODIFIERS, NULL },
	/* E3: sub-command on a command that takes none, before its modifiers */
	{ "V && D", E_SUB, NULL },
	{ "Dq c A && D", E_SUB, NULL },
	{ "G && D", E_SUB, NULL },
	{ "Px c f 0 A && D", E_SUB, NULL },
	/* E6 to E9, E17 to E19: modifiers of the smaller commands */
	{ "Rp c A", E_RECORD_PORT, NULL },
	{ "Rsp c A", E_RECORD_PORT, NULL },
	{ "Rqp c A", E_RECORD_MOD, NULL },
	{ "Nq c A", E_RECORD_MOD, NULL },
	{ "Nax c A", E_RECORD_PORT, NULL },
	{ "Naa c A", E_RECORD_PORT, NULL },
	{ "Cq c n A", E_RECORD_MOD, NULL },
	{ "Dq c A", E_DELETE_MOD, NULL },
	{ "Dww c A", PROTO_OK, NULL },
	{ "Gq", E_STATS_MOD, NULL },
	{ "Gvq nsess_created", E_STATS_MOD, NULL },
	{ "Iq", E_INFO_MOD, NULL },
	{ "Iv", E_INFO_MOD, NULL },
	{ "IBL", PROTO_OK, NULL },
	{ "Qx c A", E_QUERY_MOD, NULL },
	{ "Qvx c A", E_QUERY_MOD, NULL },
	{ "Px c f 0 A", E_PLAY_COUNT, NULL },
	{ "P1x c f 0 A", E_PLAY_COUNT, NULL },
	{ "P1.5 c f 0 A", E_PLAY_COUNT, NULL },
	{ "P- c f 0 A", E_PLAY_COUNT, NULL },
	{ "P+2 c f 0 A", PROTO_OK, NULL },
	/* E10: before the modifiers */
	{ "U c 1.1.1.1 1 A s a%2", E_NOTIFY_TAG, NULL },
	{ "U c 1.1.1.1 1 A s a%", E_NOTIFY_TAG, NULL },
	{ "Uq c 1.1.1.1 1 A B s a%zz", E_NOTIFY_TAG, NULL },
	{ "U c 1.1.1.1 1 A s a%20b+c", PROTO_OK, NULL },
	{ "U c 1.1.1.1 1 A B%", PROTO_OK, NULL },
	/* E11, E12: at the first letter too many */
	{ "Ue c 1.1.1.1 1 A", E_EXTERNAL, NULL },
	{ "Ui c 1.1.1.1 1 A", E_INTERNAL, NULL },
	{ "Lie c 1.1.1.1 1 A B", E_INTERNAL, NULL },
	{ "UeI c 1.1.1.1 1 A", PROTO_OK, &bridge },
	{ "Ueie c 1.1.1.1 1 A", E_EXTERNAL, &bridge },
	{ "Ueei c 1.1.1.1 1 A", E_INTERNAL, &bridge },
	/* E13 */
	{ "Uz c 1.1.1.1 1 A", E_PTIME, NULL },
	{ "Uz0 c 1.1.1.1 1 A", E_PTIME, NULL },
	{ "Uz-5 c 1.1.1.1 1 A", E_PTIME, NULL },
	{ "Uz1000 c 1.1.1.1 1 A", E_PTIME, NULL },
	{ "Uz4294967316 c 1.1.1.1 1 A", E_PTIME, NULL },
	{ "Uz99999999999999999999 c 1.1.1.1 1 A", E_PTIME, NULL },
	{ "Uz999 c 1.1.1.1 1 A", PROTO_OK, NULL },
	{ "UZ20zs c 1.1.1.1 1 A", E_PTIME, NULL },
	/* E14 */
	{ "Uc c 1.1.1.1 1 A", E_CODECS, NULL },
	{ "UcA c 1.1.1.1 1 A", E_CODECS, NULL },
	{ "Uc0c8 c 1.1.1.1 1 A", E_CODECS, NULL },
	{ "Uc, c 1.1.1.1 1 A", PROTO_OK, NULL },
	{ "Uc0-8 c 1.1.1.1 1 A", E_VALUE, NULL },
	/* E15, E31 */
	{ "Ul c 1.1.1.1 1 A", E_LOCAL, NULL },
	{ "Ulabc c 1.1.1.1 1 A", E_LOCAL, NULL },
	{ "Ul[::1 c 1.1.1.1 1 A", E_LOCAL, NULL },
	{ "Ul[] c 1.1.1.1 1 A", E_LOCAL, NULL },
	{ "Ul[::g] c 1.1.1.1 1 A", E_LOCAL, NULL },
	{ "Ul{ c 1.1.1.1 1 A", E_LOCAL, NULL },
	{ "Ul{} c 1.1.1.1 1 A", E_LOCAL, NULL },
	{ "Ul{one c 1.1.1.1 1 A", E_LOCAL, NULL },
	{ "Ul1.2.3.4.5 c 1.1.1.1 1 A", E_LOCAL_ADDR, NULL },
	{ "Ul[1:2:3:4:5] c 1.1.1.1 1 A", E_LOCAL_ADDR, NULL },
	{ "Ul{three} c 1.1.1.1 1 A", E_LOCAL_ADDR, NULL },
	{ "Ul{three}q c 1.1.1.1 1 A", E_LOCAL_ADDR, NULL },
	{ "Ul{three}q c 1.1.1.1 1 A", E_VALUE, &unchecked },
	{ "Ul{One} c 1.1.1.1 1 A", E_LOCAL_ADDR, NULL },
	/* E16, E32 */
	{ "Ur c 1.1.1.1 1 A", E_REMOTE, NULL },
	{ "Ur{one} c 1.1.1.1 1 A", E_REMOTE, NULL },
	{ "Ur999.1.1.1 c 1.1.1.1 1 A", E_REMOTE_ADDR, NULL },
	{ "Ur[1:2:3:4:5] c 1.1.1.1 1 A", E_REMOTE_ADDR, NULL },
	/* E35, from left to right with the other modifiers */
	{ "Uq c 1.1.1.1 1 A", E_VALUE, NULL },
	{ "Ut60 c 1.1.1.1 1 A", E_VALUE, NULL },
	{ "Ub c 1.1.1.1 1 A", E_VALUE, NULL },
	{ "Up c 1.1.1.1 1 A", E_VALUE, NULL },
	{ "U- c 1.1.1.1 1 A", E_VALUE, NULL },
	{ "U7 c 1.1.1.1 1 A", E_VALUE, NULL },
	{ "Uqe c 1.1.1.1 1 A", E_VALUE, NULL },
	{ "Ueq c 1.1.1.1 1 A", E_EXTERNAL, NULL },
	{ "Uq c 999.1.1.1 1 A", E_VALUE, NULL },
	/* E36, before the address is checked */
	{ "U6 c ::1 1 A", E_FAMILY, NULL },
	{ "U6 c gg 1 A", E_FAMILY, NULL },
	{ "U6 c gg 1 A", E_PEER, &unchecked },
	{ "U6 c ::1 1 A", PROTO_OK, &both_families },
	{ "U6l127.0.0.1 c ::1 1 A", PROTO_OK, NULL },
	{ "U6r127.0.0.1 c ::1 1 A", PROTO_OK, NULL },
	{ "U6e c ::1 1 A", PROTO_OK, &bridge },
	{ "U c 1.1.1.1 1 A", E_FAMILY, &only_ip6 },
	{ "L6 c ::1 1 A B", E_FAMILY, NULL },
	/* E37 */
	{ "U c localhost 1 A", E_PEER, NULL },
	{ "U c 256.1.1.1 1 A", E_PEER, NULL },
	{ "U c 2001:db8::1 1 A", E_PEER, NULL },
	{ "U c 1.1.1.1 abc A", E_PEER, NULL },
	{ "U c 1.1.1.1 -1 A", E_PEER, NULL },
	{ "U c 1.1.1.1 +1 A", PROTO_OK, NULL },
	{ "U c 1.1.1.1 5000x A", E_PEER, NULL },
	{ "U c 1.1.1.1 sip A", E_PEER, NULL },
	{ "U c 1.1.1.1 65536 A", E_PEER, NULL },
	{ "U c 1.1.1.1 18446744073709551617 A", E_PEER, NULL },
	{ "U c 1.1.1.1 65535 A", PROTO_OK, NULL },
	{ "U c 1.1.1.1 0 A", PROTO_OK, NULL },
	{ "U6 c gg 1 A", E_PEER, &both_families },
	{ "U6 c 2001:db8:::1 1 A", E_PEER, &both_families },
	{ "U6 c 127.0.0.1 1 A", E_PEER, &both_families },
	{ "U c 999.1.1.1 1 A && Z", E_PEER, NULL },
	/* E3: the sub-commands themselves */
	{ "U c 1.1.1.1 1 A && Z", E_SUB, NULL },
	{ "Q c A && Z", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && D", PROTO_OK, NULL },
	{ "L c 1.1.1.1 1 A && DwW", PROTO_OK, NULL },
	{ "U c 1.1.1.1 1 A && Dx", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && D a A", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && S", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && S ttl=1 tos=1", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && S ttl=", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && S ttl=0", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && S ttl=-1", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && S ttl=5x", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && S TTL=5", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && S foo=5", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && Srr ttl=5", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && Sx ttl=5", PROTO_OK, NULL },
	{ "U c 1.1.1.1 1 A && L 1.1.1.1 1", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A s t && L 1.1.1.1 1", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A B && L 1.1.1.1", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A B && L 1.1.1.1 1 x", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A B && L 1.1.1.1 x", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A B && Lq 1.1.1.1 1", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A B && L6 ::1 1", E_SUB, NULL },
	{ "L c 1.1.1.1 1 A B && L 1.1.1.1 1", E_SUB, NULL },
	{ "Q c A B && L 1.1.1.1 1", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A B && C c A B", PROTO_OK, NULL },
	{ "U c 1.1.1.1 1 A && C c A B", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A B && C c A", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A B && Cx c A B", E_SUB, NULL },
	{ "L c 1.1.1.1 1 A B && C c A B", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && M", E_SUB, &both_families },
	{ "U c 1.1.1.1 1 A && M3", E_SUB, &both_families },
	{ "U c 1.1.1.1 1 A && M3:", E_SUB, &both_families },
	{ "U c 1.1.1.1 1 A && M3:2", E_SUB, &both_families },
	{ "U c 1.1.1.1 1 A && M4:1", E_SUB, &both_families },
	{ "U c 1.1.1.1 1 A && M0:1", E_SUB, &both_families },
	{ "U c 1.1.1.1 1 A && M99:1", E_SUB, &both_families },
	{ "U c 1.1.1.1 1 A && M3:1", PROTO_OK, &both_families },
	{ "U c 1.1.1.1 1 A && M3:1", E_SUB, NULL },
	{ "U c 1.1.1.1 1 A && D && Z", E_SUB, NULL },
};

static void test_errors(void **state)
{
	struct request r;
	enum proto_error error;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		error = parse(&r, rows[i].line, rows[i].opts ? rows[i].opts : &plain);
		if (error != rows[i].error)
			fail_msg("\"%s\": %d, not %d", rows[i].line, error, rows[i].error);
	}
}

static void test_nul_is_a_syntax_error(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(parse_bytes(&r, "V\0", 2, &plain), E_SYNTAX);
	assert_int_equal(parse_bytes(&r, "V \0x", 4, &plain), E_SYNTAX);
	assert_int_equal(parse_bytes(&r, "\0", 1, &plain), E_SYNTAX);
	assert_int_equal(proto_parse(&r, NULL, 0, &plain), E_SYNTAX);
}

/* Every command in both cases, with its longest form. */
static void test_commands(void **state)
{
	static const struct {
		const char *line;
		enum proto_op op;
		const char *call_id, *from, *to;
	} commands[] = {
		{ "U c 1.1.1.1 1 A B", OP_UPDATE, "c", "A", "B" },
		{ "u c 1.1.1.1 1 A", OP_UPDATE, "c", "A", NULL },
		{ "L c 1.1.1.1 1 A;1 B;1", OP_LOOKUP, "c", "A;1", "B;1" },
		{ "l c 1.1.1.1 1 A", OP_LOOKUP, "c", "A", NULL },
		{ "D c A B", OP_DELETE, "c", "A", "B" },
		{ "d c A", OP_DELETE, "c", "A", NULL },
		{ "P c name 0 A B", OP_PLAY, "c", "A", "B" },
		{ "S c A B", OP_STOP, "c", "A", "B" },
		{ "S c A ", OP_STOP, "c", "A", NULL },
		{ "R c A B", OP_RECORD, "c", "A", "B" },
		{ "C c name A B", OP_COPY, "c", "A", "B" },
		{ "N c A B", OP_NORECORD, "c", "A", "B" },
		{ "Q c A B ttl", OP_QUERY, "c", "A", "B" },
		{ "q c A", OP_QUERY, "c", "A", NULL },
		{ "X", OP_DELETE_ALL, NULL, NULL, NULL },
		{ "i", OP_INFO, NULL, NULL, NULL },
		{ "g ttl", OP_STATS, NULL, NULL, NULL },
		{ "v\r\n", OP_VERSION, NULL, NULL, NULL },
		{ "vF 20050322", OP_FEATURE, NULL, NULL, NULL },
	};
	struct request r;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		assert_int_equal(parse(&r, commands[i].line, &plain), PROTO_OK);
		assert_int_equal(r.op, commands[i].op);
		assert_span(r.call_id, commands[i].call_id);
		assert_span(r.from_tag, commands[i].from);
		assert_span(r.to_tag, commands[i].to);
		assert_int_equal(r.subs_n, 0);
	}
}

static void test_update_arguments(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(parse(&r, "\t U  call\t10.0.0.1 5000\r A  B unix:s%20 a%20b+c \n", &plain),
			 PROTO_OK);
	assert_span(r.to_tag, "B");
	assert_span(r.notify_socket, "unix:s%20");
	assert_span(r.notify_tag, "a%20b+c");
	assert_int_equal(r.media.peer.family, ADDR_IP4);
	assert_int_equal(r.media.peer.port, 5000);
	assert_memory_equal(r.media.peer.ip, ((uint8_t[16]){ 10, 0, 0, 1 }), 16);
	assert_false(r.media.on_hold);

	assert_int_equal(parse(&r, "U call 10.0.0.1 5000 A sock tag", &plain), PROTO_OK);
	assert_span(r.to_tag, NULL);
	assert_span(r.notify_socket, "sock");
	assert_span(r.notify_tag, "tag");

	assert_int_equal(parse(&r, "U call 10.0.0.1 5000 A", &plain), PROTO_OK);
	assert_span(r.notify_socket, NULL);
	assert_span(r.notify_tag, NULL);

	assert_int_equal(parse(&r, "U call 10.0.0.1 5000 A B xmlrpc:http://h/x", &plain), PROTO_OK);
	assert_span(r.to_tag, "B");
	assert_span(r.notify_socket, "xmlrpc:http://h/x");
	assert_span(r.notify_tag, NULL);

	assert_int_equal(parse(&r, "U call 10.0.0.1 5000 A jsonrpc:http://h", &plain), PROTO_OK);
	assert_span(r.to_tag, NULL);
	assert_span(r.notify_socket, "jsonrpc:http://h");

	assert_int_equal(parse(&r, "U call 10.0.0.1 5000 A xmlrpc:http://h/x tag", &plain),
			 PROTO_OK);
	assert_span(r.to_tag, NULL);
	assert_span(r.notify_socket, "xmlrpc:http://h/x");
	assert_span(r.notify_tag, "tag");

	assert_int_equal(parse(&r, "L call 10.0.0.1 5000 A xmlrpc:http://h/x", &plain), PROTO_OK);
	assert_span(r.to_tag, "xmlrpc:http://h/x");
	assert_span(r.notify_socket, NULL);
}

static void test_peer_addresses(void **state)
{
	static const struct {
		const char *addr;
		bool ip6, peer, hold;
		uint8_t ip[16];
	} peers[] = {
		{ "127.1.1", false, true, false, { 127, 1, 0, 1 } },
		{ "0x7f.0.0.1", false, true, false, { 127, 0, 0, 1 } },
		{ "0.0.0.0", false, false, true, { 0 } },
		{ "foo", false, false, false, { 0 } },
		{ "::1", false, false, false, { 0 } },
		{ "127.1", false, false, false, { 0 } },
		{ "2001:db8:aaaa::1", false, false, false, { 0 } },
		{ "::", true, false, true, { 0 } },
		{ "::1", true, true, false, { [15] = 1 } },
		{ "x", true, false, false, { 0 } },
		{ "2001:db8:0000:0000:0000:0000:0000:0001:9999:99", true, false, false, { 0 } },
	};
	struct request r;
	char line[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(peers); i++) {
		snprintf(line, sizeof(line), "U%s c %s 7 A", peers[i].ip6 ? "6" : "",
			 peers[i].addr);
		assert_int_equal(parse(&r, line, &both_families), PROTO_OK);
		assert_int_equal(r.media.ipv6, peers[i].ip6);
		assert_int_equal(r.media.on_hold, peers[i].hold);
		assert_int_equal(r.media.peer.family, !peers[i].peer ? ADDR_NONE
						      : peers[i].ip6 ? ADDR_IP6
								     : ADDR_IP4);
		assert_int_equal(r.media.peer.port, peers[i].peer ? 7 : 0);
		assert_memory_equal(r.media.peer.ip, peers[i].ip, 16);
	}
}

static void test_media_modifiers(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(parse(&r, "U c 1.1.1.1 1 A", &plain), PROTO_OK);
	assert_int_equal(r.media.symmetry, SYMMETRY_UNSET);
	assert_int_equal(r.media.local, PROTO_LOCAL_UNSET);
	assert_int_equal(r.media.side[0], SIDE_UNSET);
	assert_int_equal(r.media.ptime_ms, 0);
	assert_false(r.media.weak || r.media.new_port || r.media.ipv6);
	assert_span(r.media.codecs, NULL);

	assert_int_equal(parse(&r, "UWNz20c0,8,6 c 1.1.1.1 1 A", &plain), PROTO_OK);
	assert_true(r.media.weak && r.media.new_port && !r.media.ipv6);
	assert_int_equal(r.media.ptime_ms, 20);
	assert_span(r.media.codecs, "0,8,6");

	assert_int_equal(parse(&r, "Uc999999Az5z30 c 1.1.1.1 1 A", &plain), PROTO_OK);
	assert_span(r.media.codecs, "999999");
	assert_int_equal(r.media.ptime_ms, 30);
	assert_int_equal(r.media.symmetry, SYMMETRY_NO);

	assert_int_equal(parse(&r, "USSAAs c 1.1.1.1 1 A", &plain), PROTO_OK);
	assert_int_equal(r.media.symmetry, SYMMETRY_YES);

	assert_int_equal(parse(&r, "L66iEs c ::1 1 A B", &bridge), PROTO_OK);
	assert_true(r.media.ipv6);
	assert_int_equal(r.media.side[0], SIDE_INTERNAL);
	assert_int_equal(r.media.side[1], SIDE_EXTERNAL);
	assert_int_equal(r.media.symmetry, SYMMETRY_YES);
}

static void test_local_address_modifiers(void **state)
{
	static const uint8_t seven[16] = { 127, 0, 0, 7 }, loopback6[16] = { [15] = 1 };
	struct request r;

	(void)state;
	assert_int_equal(parse(&r, "Ul127.0.0.7s c 1.1.1.1 1 A", &plain), PROTO_OK);
	assert_int_equal(r.media.local, PROTO_LOCAL_ADDR);
	assert_int_equal(r.media.local_addr.family, ADDR_IP4);
	assert_memory_equal(r.media.local_addr.ip, seven, 16);
	assert_int_equal(r.media.symmetry, SYMMETRY_YES);

	assert_int_equal(parse(&r, "UL[::1]w c 1.1.1.1 1 A", &plain), PROTO_OK);
	assert_int_equal(r.media.local, PROTO_LOCAL_ADDR);
	assert_int_equal(r.media.local_addr.family, ADDR_IP6);
	assert_memory_equal(r.media.local_addr.ip, loopback6, 16);
	assert_true(r.media.weak);

	assert_int_equal(parse(&r, "Ul{two}n c 1.1.1.1 1 A", &plain), PROTO_OK);
	assert_int_equal(r.media.local, PROTO_LOCAL_LABEL);
	assert_span(r.media.label, "two");
	assert_true(r.media.new_port);

	assert_int_equal(parse(&r, "Ul{two}R127.0.0.7 c 1.1.1.1 1 A", &plain), PROTO_OK);
	assert_int_equal(r.media.local, PROTO_LOCAL_ROUTE);
	assert_memory_equal(r.media.local_addr.ip, seven, 16);

	assert_int_equal(parse(&r, "Ur[::1]l{one} c 1.1.1.1 1 A", &plain), PROTO_OK);
	assert_int_equal(r.media.local, PROTO_LOCAL_LABEL);
	assert_span(r.media.label, "one");
}

static void test_smaller_commands(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(parse(&r, "DW c A", &plain), PROTO_OK);
	assert_true(r.weak);

	assert_int_equal(parse(&r, "P c ../prompt session A", &plain), PROTO_OK);
	assert_int_equal(r.count, 1);
	assert_span(r.target, "../prompt");
	assert_span(r.codecs, "session");
	assert_int_equal(parse(&r, "P-1 c f 0,8 A", &plain), PROTO_OK);
	assert_int_equal(r.count, -1);
	assert_int_equal(parse(&r, "P0 c f 0 A", &plain), PROTO_OK);
	assert_int_equal(r.count, 0);
	assert_int_equal(parse(&r, "P99999999999999999999 c f 0 A", &plain), PROTO_OK);
	assert_int_equal(r.count, INT_MAX);
	assert_int_equal(parse(&r, "P-99999999999999999999 c f 0 A", &plain), PROTO_OK);
	assert_int_equal(r.count, INT_MIN);

	assert_int_equal(parse(&r, "RsS c A", &plain), PROTO_OK);
	assert_true(r.single_file);
	assert_int_equal(parse(&r, "CPs c udp:1.1.1.1:5 A", &plain), PROTO_OK);
	assert_true(r.single_file && r.reply_port);
	assert_span(r.target, "udp:1.1.1.1:5");
	assert_int_equal(parse(&r, "NA c A", &plain), PROTO_OK);
	assert_true(r.both);
	assert_int_equal(parse(&r, "N c A", &plain), PROTO_OK);
	assert_false(r.both);

	assert_int_equal(parse(&r, "I", &plain), PROTO_OK);
	assert_false(r.brief || r.load);
	assert_int_equal(parse(&r, "IL", &plain), PROTO_OK);
	assert_true(r.load && !r.brief);
	assert_int_equal(parse(&r, "VF 020050322", &plain), PROTO_OK);
	assert_span(r.date, "020050322");
}

static void test_names(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(parse(&r, "QV c A B 1 2 3 4 5 6 7 8 9 10 11", &plain), PROTO_OK);
	assert_true(r.verbose);
	assert_int_equal(r.names_n, 11);
	assert_span(r.names[0], "1");
	assert_span(r.names[10], "11");
	assert_int_equal(parse(&r, "Q c A ttl", &plain), PROTO_OK);
	assert_int_equal(r.names_n, 0);
	assert_span(r.to_tag, "ttl");
	assert_int_equal(parse(&r, "G " N20 "a b", &plain), PROTO_OK);
	assert_int_equal(r.names_n, 22);
	assert_span(r.names[21], "b");
	assert_int_equal(parse(&r, "Gvv", &plain), PROTO_OK);
	assert_true(r.verbose);
	assert_int_equal(r.names_n, 0);
}

static void test_subcommands(void **state)
{
	struct request r;

	(void)state;
	assert_int_equal(parse(&r, "U c 1.1.1.1 1 A B && d && DW && sR tos=184 && S ttl=2147483647",
			       &plain),
			 PROTO_OK);
	assert_int_equal(r.subs_n, 4);
	assert_int_equal(r.sub[0].op, SUB_DELETE);
	assert_false(r.sub[0].weak);
	assert_true(r.sub[1].weak);
	assert_int_equal(r.sub[2].op, SUB_SET);
	assert_int_equal(r.sub[2].what, SET_TOS);
	assert_int_equal(r.sub[2].value, 184);
	assert_true(r.sub[2].reverse);
	assert_int_equal(r.sub[3].what, SET_TTL);
	assert_int_equal(r.sub[3].value, INT_MAX);
	assert_false(r.sub[3].reverse);

	assert_int_equal(parse(&r, "U c 1.1.1.1 1 A B && Lwz30 10.0.0.2 6000 && C src X Y", &plain),
			 PROTO_OK);
	assert_int_equal(r.sub[0].op, SUB_LOOKUP);
	assert_true(r.sub[0].media.weak);
	assert_int_equal(r.sub[0].media.ptime_ms, 30);
	assert_int_equal(r.sub[0].media.peer.port, 6000);
	assert_int_equal(r.sub[1].op, SUB_COPY);
	assert_span(r.sub[1].call_id, "src");
	assert_span(r.sub[1].from_tag, "X");
	assert_span(r.sub[1].to_tag, "Y");

	assert_int_equal(parse(&r, "Q c A && m3:1 DcTAG 101 && D", &both_families), PROTO_OK);
	assert_int_equal(r.subs_n, 2);
	assert_int_equal(r.sub[0].op, SUB_MODULE);
	assert_int_equal(r.sub[0].module, 3);
	assert_int_equal(r.sub[0].instance, 1);
	assert_true(r.sub[0].dtmf.valid);
	assert_span(r.sub[0].dtmf.tag, "DcTAG");
	assert_int_equal(r.sub[0].dtmf.payload_type, 101);
	assert_false(r.sub[0].dtmf.hide);
}

static void test_cookie(void **state)
{
	char line[PROTO_COOKIE_MAX + 8];
	struct span cookie, command;

	(void)state;
	assert_int_equal(proto_cookie("ck3  \t V \r\n", 11, &cookie, &command), 0);
	assert_span(cookie, "ck3");
	assert_span(command, "  \t V \r\n");
	assert_int_equal(proto_cookie("\nck4\nV", 6, &cookie, &command), 0);
	assert_span(cookie, "ck4");
	assert_int_equal(proto_cookie("ck5", 3, &cookie, &command), 0);
	assert_int_equal(command.len, 0);
	assert_int_equal(proto_cookie("ck V\0", 5, &cookie, &command), 0);
	assert_int_equal(command.len, 3);
	assert_int_equal(proto_cookie("c\0k V", 5, &cookie, &command), -EINVAL);
	assert_int_equal(proto_cookie(NULL, 0, &cookie, &command), -EINVAL);
	assert_int_equal(proto_cookie(" \t\r\n", 4, &cookie, &command), -EINVAL);

	memset(line, 'k', sizeof(line));
	memcpy(line + PROTO_COOKIE_MAX, " V", 2);
	assert_int_equal(proto_cookie(line, PROTO_COOKIE_MAX + 2, &cookie, &command), 0);
	assert_int_equal(cookie.len, PROTO_COOKIE_MAX);
	memcpy(line + PROTO_COOKIE_MAX, "k V", 3);
	assert_int_equal(proto_cookie(line, PROTO_COOKIE_MAX + 3, &cookie, &command), -EINVAL);
}

static void test_unquote(void **state)
{
	char out[16];

	(void)state;
	assert_int_equal(proto_unquote(span_of("a%20b+c%Aa"), out), 6);
	assert_memory_equal(out, "a b c\xaa", 6);
	assert_int_equal(proto_unquote(span_of("%00"), out), 1);
	assert_int_equal(out[0], 0);
	assert_int_equal(proto_unquote(span_of("%2"), out), -EINVAL);
	assert_int_equal(proto_unquote(span_of("%"), NULL), -EINVAL);
	assert_int_equal(proto_unquote(span_of("%g0"), NULL), -EINVAL);
	assert_int_equal(proto_unquote(span_of("%%25"), NULL), -EINVAL);
	assert_int_equal(proto_unquote(span_of(""), NULL), 0);
}

static void assert_reply(const struct reply *r, const char *expected)
{
	assert_int_equal(r->len, strlen(expected));
	assert_memory_equal(r->text, expected, r->len);
}

static struct addr local(const char *text, uint16_t port)
{
	enum addr_family family = strchr(text, ':') ? ADDR_IP6 : ADDR_IP4;
	struct addr a;

	assert_int_equal(addr_parse(&a, family, text, strlen(text)), 0);
	return addr_with_port(a, port);
}

static void test_port_replies(void **state)
{
	static const struct {
		const char *local, *advertised, *expected;
	} ports[] = {
		{ "0.0.0.0", NULL, "40000\n" },
		{ "::", NULL, "40000\n" },
		{ "0.0.0.0", "1.2.3.4", "40000\n" },
		{ "127.0.0.1", NULL, "40000 127.0.0.1\n" },
		{ "::1", NULL, "40000 ::1 6\n" },
		{ "127.0.0.1", "sip.example", "40000 sip.example\n" },
		{ "::1", "1.2.3.4", "40000 1.2.3.4 6\n" },
	};
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		struct reply r = { 0 };

		a = local(ports[i].local, 40000);
		reply_port(&r, &a, ports[i].advertised);
		reply_end(&r, E_MEMORY);
		assert_reply(&r, ports[i].expected);
	}
}

/* '.' silent success, '!' failure, anything else data. */
static void test_sub_results(void **state)
{
	static const struct {
		const char *results, *expected;
	} subs[] = {
		{ "", "1\n" },
		{ ".", "1\n" },
		{ "...", "1\n" },
		{ "!", "1 && -1\n" },
		{ ".!", "1 && 0 && -1\n" },
		{ ".d", "1 && 0 && d\n" },
		{ "d.", "1 && d\n" },
		{ "d..e", "1 && d && 0 && 0 && e\n" },
	};
	size_t i;
	const char *c;
	char data[2] = "";

	(void)state;
	for (i = 0; i < ARRAY_SIZE(subs); i++) {
		struct reply r = { 0 };

		reply_add(&r, "1");
		for (c = subs[i].results; *c; c++) {
			data[0] = *c;
			reply_sub(&r, *c == '!', *c == '.' ? NULL : data);
		}
		reply_end(&r, E_MEMORY);
		assert_reply(&r, subs[i].expected);
	}
}

static void test_reply_bounds(void **state)
{
	struct reply r = { 0 };
	char big[PROTO_REPLY_MAX];
	struct addr a = local("127.0.0.1", 40000);

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = 0;

	reply_add(&r, "%s", big);
	assert_false(r.full);
	reply_end(&r, E_QUERY_LONG);
	assert_int_equal(r.len, PROTO_REPLY_MAX);
	assert_int_equal(r.text[PROTO_REPLY_MAX - 1], '\n');

	r = (struct reply){ 0 };
	reply_add(&r, "x%s", big);
	assert_true(r.full);
	assert_int_equal(r.len, 0);
	reply_add(&r, "1");
	assert_int_equal(r.len, 0);
	reply_end(&r, E_STATS_LONG);
	assert_reply(&r, "E25\n");

	r = (struct reply){ 0 };
	reply_port(&r, &a, big);
	reply_end(&r, E_MEMORY);
	assert_reply(&r, "E81\n");

	/* A result too long for a sub-command ends the list; the reply stays well-formed. */
	r = (struct reply){ 0 };
	reply_add(&r, "40000");
	reply_sub(&r, false, NULL);
	reply_sub(&r, false, big);
	reply_sub(&r, false, "more");
	reply_end(&r, E_MEMORY);
	assert_reply(&r, "40000 && -1\n");
}

static void test_short_replies(void **state)
{
	struct reply r;

	(void)state;
	reply_error(&r, E_COMMAND);
	assert_reply(&r, "E0\n");
	reply_error(&r, E_SHUTDOWN);
	assert_reply(&r, "E99\n");
	reply_number(&r, 20040107);
	assert_reply(&r, "20040107\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_nul_is_a_syntax_error),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_update_arguments),
		cmocka_unit_test(test_peer_addresses),
		cmocka_unit_test(test_media_modifiers),
		cmocka_unit_test(test_local_address_modifiers),
		cmocka_unit_test(test_smaller_commands),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_subcommands),
		cmocka_unit_test(test_cookie),
		cmocka_unit_test(test_unquote),
		cmocka_unit_test(test_port_replies),
		cmocka_unit_test(test_sub_results),
		cmocka_unit_test(test_reply_bounds),
		cmocka_unit_test(test_short_replies),
	};

	return cmocka_run_group_tests_name("proto", tests, NULL, NULL);
}

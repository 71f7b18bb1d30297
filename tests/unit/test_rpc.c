/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rpc.c - bodies of RPCs that end a dialog, and answers such as Kamailio's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../daemon/notify/rpc.c"

static void assert_request(enum rpc_kind kind, enum rpc_method method, struct rpc_dialog d,
			   const char *body)
{
	struct evbuffer *out = evbuffer_new();

	assert_int_equal(rpc_request(out, kind, method, &d, 7), 0);
	evbuffer_add(out, "", 1);
	assert_string_equal((char *)evbuffer_pullup(out, -1), body);
	evbuffer_free(out);
}

static void writes_requests(void **state)
{
	const struct rpc_dialog d = { "a84b@pc33", "f1", "t1" };

	(void)state;
	assert_request(RPC_XML, RPC_BY_CALL_ID, d,
		       "<?xml version=\"1.0\"?>\n<methodCall>"
		       "<methodName>dlg_terminate_dlg</methodName>"
		       "<params><param><value><string>a84b@pc33</string></value></param></params>"
		       "</methodCall>\n");
	assert_request(RPC_XML, RPC_BY_TAGS, d,
		       "<?xml version=\"1.0\"?>\n<methodCall>"
		       "<methodName>dlg.terminate_dlg</methodName>"
		       "<params><param><value><string>a84b@pc33</string></value></param>"
		       "<param><value><string>f1</string></value></param>"
		       "<param><value><string>t1</string></value></param></params></methodCall>\n");
	assert_request(RPC_JSON, RPC_BY_TAGS, d,
		       "{\"jsonrpc\":\"2.0\",\"method\":\"dlg.terminate_dlg\","
		       "\"params\":[\"a84b@pc33\",\"f1\",\"t1\"],\"id\":7}");
}

/* Any text of a caller in the Call-ID stays inside the value. */
static void quotes_what_strangers_wrote(void **state)
{
	const struct rpc_dialog d = { "</string>&\"\\\n", "", "" };

	(void)state;
	assert_request(RPC_XML, RPC_BY_CALL_ID, d,
		       "<?xml version=\"1.0\"?>\n<methodCall>"
		       "<methodName>dlg_terminate_dlg</methodName>"
		       "<params><param><value><string>&lt;/string&gt;&amp;\"\\\n</string></value>"
		       "</param></params></methodCall>\n");
	assert_request(RPC_JSON, RPC_BY_TAGS, d,
		       "{\"jsonrpc\":\"2.0\",\"method\":\"dlg.terminate_dlg\","
		       "\"params\":[\"</string>&\\\"\\\\\\n\",\"\",\"\"],\"id\":7}");
}

#define FAULT                                                                               \
	"<?xml version=\"1.0\"?>\n<methodResponse>\n<fault>\n<value>\n<struct>\n<member>\n" \
	"<name>faultCode</name>\n<value><int>500</int></value>\n</member>\n<member>\n"      \
	"<name>faultString</name>\n<value><string>Method Not Found</string></value>\n"      \
	"</member>\n</struct>\n</value>\n</fault>\n</methodResponse>"

static void reads_answers(void **state)
{
	static const struct {
		enum rpc_kind kind;
		const char *body;
		enum rpc_answer answer;
		const char *why;
	} rows[] = {
		{ RPC_XML, FAULT, RPC_REFUSED, "Method Not Found" },
		{ RPC_XML, "<methodResponse><fault></fault></methodResponse>", RPC_REFUSED, "" },
		{ RPC_XML, "<methodResponse><fault>faultString<string>no end", RPC_REFUSED, "" },
		{ RPC_XML,
		  "<?xml version=\"1.0\"?>\n<methodResponse>\n<params>\n<param>\n<value><boolean>1"
		  "</boolean></value>\n</param>\n</params>\n</methodResponse>",
		  RPC_DONE, "" },
		{ RPC_XML, "<methodResponse/>", RPC_UNREADABLE, "" },
		{ RPC_XML, "<html>Not found</html>", RPC_UNREADABLE, "" },
		{ RPC_XML, "", RPC_UNREADABLE, "" },
		{ RPC_JSON, "{\"jsonrpc\":\t\"2.0\",\n\"result\":\tnull,\n\"id\":\t1\n}", RPC_DONE,
		  "" },
		{ RPC_JSON, "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}", RPC_DONE, "" },
		{ RPC_JSON,
		  "{\n\t\"jsonrpc\":\t\"2.0\",\n\t\"error\":\t{\n\t\t\"code\":\t500,\n\t\t\"message\":\t"
		  "\"Couldnt find callid in dialog\"\n\t},\n\t\"id\":\t1\n}",
		  RPC_REFUSED, "Couldnt find callid in dialog" },
		{ RPC_JSON, "{\"error\":\"no\"}", RPC_REFUSED, "no" },
		{ RPC_JSON, "{\"error\":null}", RPC_UNREADABLE, "" },
		{ RPC_JSON, "{\"jsonrpc\":\"2.0\"", RPC_UNREADABLE, "" },
		{ RPC_JSON, "[1]", RPC_UNREADABLE, "" },
		{ RPC_JSON, "null", RPC_UNREADABLE, "" },
		{ RPC_JSON, "<html/>", RPC_UNREADABLE, "" },
		{ RPC_JSON, "", RPC_UNREADABLE, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char why[64] = "";

		assert_int_equal(rpc_answer(rows[i].kind, rows[i].body, strlen(rows[i].body), why,
					    sizeof(why)),
				 rows[i].answer);
		assert_string_equal(why, rows[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_requests),
		cmocka_unit_test(quotes_what_strangers_wrote),
		cmocka_unit_test(reads_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

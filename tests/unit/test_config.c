/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_config.c - the command line: refusals and their messages, and the value of each option.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#define RTPX_VERSION "test-version"
#include "../../daemon/config.c"
#include "../../daemon/options.c"

#define MAX_ARGS 40

/* Output of the latest parse(). */
static char said_out[16384], said_err[4096];

static void slurp(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	buf[n > 0 ? n : 0] = 0;
	close(fd);
}

/* Parse with the standard streams caught. @args ends with NULL. */
static enum options_action parse(struct config *c, const char *const *args)
{
	int out = memfd_create("out", 0), err = memfd_create("err", 0);
	int old_out = dup(STDOUT_FILENO), old_err = dup(STDERR_FILENO);
	char *argv[MAX_ARGS + 1];
	enum options_action action;
	int argc = 0;

	for (; args[argc]; argc++)
		argv[argc] = (char *)args[argc];
	argv[argc] = NULL;
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	action = options_parse(c, argc, argv);
	fflush(stdout);
	dup2(old_out, STDOUT_FILENO);
	dup2(old_err, STDERR_FILENO);
	close(old_out);
	close(old_err);
	slurp(out, said_out, sizeof(said_out));
	slurp(err, said_err, sizeof(said_err));
	return action;
}

#define PARSE(c, ...) parse(c, (const char *const[]){ "rtpxd", __VA_ARGS__, NULL })
#define ACCEPT(c, ...) assert_int_equal(PARSE(c, __VA_ARGS__), OPTIONS_RUN)

/* Command lines that must not start anything. */
static const struct {
	int exit_code;
	const char *args[8];
} refused[] = {
	{ 1, { "--nice", "" } },
	{ 1, { "--nice", "100500" } },
	{ 1, { "--nice", "5x" } },
	{ 1, { "--nice" } },
	{ 1, { "-6", "" } },
	{ 1, { "-6", "not an address" } },
	{ 1, { "-6", "192.0.2.1", "--no_resolve" } },
	{ 1, { "-l", "" } },
	{ 1, { "-l", "999.1.1.1", "--no_resolve" } },
	{ 1, { "-A", "" } },
	{ 1, { "-A", "/" } },
	{ 1, { "-A", "/192.0.2.1" } },
	{ 1, { "-A", "192.0.2.1/" } },
	{ 1, { "-A", "192.0.2.1/192.0.2.2" } },
	{ 1, { "-A", "192.0.2.1 x" } },
	{ 1, { "-L", "" } },
	{ 1, { "-L", "0" } },
	{ 1, { "-L", "garbage" } },
	{ 1, { "-m", "" } },
	{ 1, { "-m", "-1" } },
	{ 1, { "-m", "0" } },
	{ 1, { "-m", "100500" } },
	{ 1, { "-m", "100500garbage" } },
	{ 1, { "-m", "35000garbage" } },
	{ 1, { "-m", " 35000" } },
	{ 1, { "-m", "+35000" } },
	{ 1, { "-m", "99999999999999999999" } },
	{ 1, { "-M", "" } },
	{ 1, { "-M", "-1" } },
	{ 1, { "-M", "0" } },
	{ 1, { "-M", "65536" } },
	{ 1, { "-M", "100500garbage" } },
	{ 1, { "-m", "10", "-M", "9" } },
	{ 1, { "-m", "9", "-M", "9" } },
	{ 1, { "-m", "9", "-M", "10" } },
	{ 1, { "-S", "/tmp" } },
	{ 1, { "-r", "" } },
	{ 1, { "-p", "" } },
	{ 1, { "-T", "" } },
	{ 1, { "-T", "0" } },
	{ 1, { "-T", "60s" } },
	{ 1, { "-W", "60s" } },
	{ 1, { "-W", "-5" } },
	{ 1, { "-c", "" } },
	{ 1, { "-c", "batch" } },
	{ 1, { "-d", "" } },
	{ 1, { "-d", "verbose" } },
	{ 1, { "-d", "info:nowhere" } },
	{ 1, { "-n", "" } },
	{ 1, { "-n", "unix:" } },
	{ 1, { "-n", "tcp:" } },
	{ 1, { "-n", "tcp:host" } },
	{ 1, { "-n", "tcp::9000" } },
	{ 1, { "-n", "tcp:host:0" } },
	{ 1, { "-n", "tcp:host:65536" } },
	{ 1, { "-n", "tcp:host:9000x" } },
	{ 2, { "-n", "xmlrpc:" } },
	{ 2, { "-n", "xmlrpc:host:80" } },
	{ 2, { "-n", "xmlrpc:https://host/" } },
	{ 1, { "-n", "http://host/" } },
	{ 2, { "-n", "jsonrpc:http://" } },
	{ 2, { "-n", "jsonrpc:http://host:0/" } },
	{ 2, { "-n", "jsonrpc:http://host:65536/" } },
	{ 2, { "-n", "jsonrpc:http://user:secret@host/" } },
	{ 2, { "-n", "jsonrpc:http://host/a b" } },
	{ 1, { "-n", "tcp:%%CC_SELF%%:1", "-n", "tcp:%%CC_SELF%%:2", "-n", "tcp:%%CC_SELF%%:3" } },
	{ 1, { "-t", "" } },
	{ 1, { "-t", "256" } },
	{ 1, { "-t", "-1" } },
	{ 1, { "-t", "0xb8" } },
	{ 1, { "-w", "" } },
	{ 1, { "-w", "rwxr-xr-x" } },
	{ 1, { "-w", "-1" } },
	{ 1, { "-w", "4096" } },
	{ 1, { "-w", "010000" } },
	{ 1, { "-w", "0688" } },
	{ 1, { "-u", "" } },
	{ 1, { "-u", ":" } },
	{ 1, { "-u", "root:" } },
	{ 1, { "-u", "no such user" } },
	{ 1, { "-u", "root:no such group" } },
	{ 1, { "-u", ":no such group" } },
	{ 1, { "-s", "" } },
	{ 1, { "-s" } },
	{ 1, { "-l", "127.0.0.1", "-l", "127.0.0.2" } },
	{ 1, { "-l", "127.0.0.1", "-6", "::1" } },
	{ 1, { "-l", "127.0.0.1", "-l", "a@127.0.0.2", "-l", "a@127.0.0.3" } },
	{ 1, { "-l", "@127.0.0.1" } },
	{ 1, { "-l", "a}b@127.0.0.1" } },
	{ 1, { "-l", "127.0.0.1=" } },
	{ 1, { "-l", "/" } },
	{ 1, { "-l", "127.0.0.1/" } },
	{ 1, { "-l", "/127.0.0.1" } },
	{ 1, { "-l", "127.0.0.1/127.0.0.2", "-6", "::1" } },
	{ 1, { "-l", "127.0.0.1/127.0.0.2", "-6", "/::1" } },
	{ 1, { "-l", "a@127.0.0.1/127.0.0.2" } },
	{ 1, { "-l", "127.0.0.1=192.0.2.1/127.0.0.2" } },
	{ 1, { "-l", "127.0.0.1/127.0.0.2", "-A", "192.0.2.1" } },
	{ 1, { "-l", "127.0.0.1,127.0.0.2", "-l", "127.0.0.3" } },
	{ 1, { "-l", "127.0.0.1," } },
	{ 1, { "-l", ",127.0.0.1" } },
	{ 1, { "-l", "127.0.0.1,127.0.0.1" } },
	{ 1, { "-l", "127.0.0.1,*" } },
	{ 1, { "-l", "0.0.0.0,127.0.0.1" } },
	{ 1, { "-l", "127.0.0.1,x@127.0.0.2" } },
	{ 1, { "-l", "127.0.0.1,127.0.0.2", "-A", "192.0.2.1" } },
	{ 1, { "-l", "127.0.0.1,127.0.0.2", "-A", "192.0.2.1," } },
	{ 1, { "-l", "127.0.0.1", "-A", "192.0.2.1,192.0.2.2" } },
	{ 1, { "-l", "127.0.0.1,127.0.0.2/127.0.0.3", "-A", "192.0.2.1/192.0.2.2" } },
	{ 1, { "-l", "127.0.0.1,127.0.0.2/" } },
	{ 1, { "-l", "127.0.0.1/127.0.0.2", "-l", "127.0.0.3" } },
	{ 1, { "-l", "127.0.0.1/127.0.0.2", "-l", "/127.0.0.2" } },
	{ 1, { "-l", "127.0.0.1,127.0.0.2=1.1.1.1/127.0.0.3" } },
	{ 1,
	  { "-l", "127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5,127.0.0.6,127.0.0.7,"
		  "127.0.0.8,127.0.0.9,127.0.0.10,127.0.0.11,127.0.0.12,127.0.0.13,127.0.0.14,"
		  "127.0.0.15,127.0.0.16,127.0.0.17" } },
	{ 1, { "--dso", "/usr/lib/rtpproxy/rtpp_dtls_gw.so" } },
	{ 1, { "--config", "/no/such/rtpproxy.conf" } },
	{ 1, { "--config", "/dev/zero" } },
	{ 1, { "--config", "/" } },
	{ 2, { "--hep", "2001:db8::1" } },
	{ 2, { "--hep", "tcp:homer:0" } },
	{ 2, { "--hep-id", "4294967296" } },
	{ 2, { "-?" } },
	{ 2, { "-q" } },
	{ 2, { "-x", "1" } },
	{ 2, { "--no-such-option" } },
	{ 2, { "--banner=yes" } },
	{ 2, { "extra" } },
	{ 2, { "-f", "extra", "words" } },
	{ 2, { "--dataplane" } },
	{ 2, { "--dataplane", "dpdk" } },
	{ 2, { "--dataplane", "" } },
	{ 2, { "--dataplane", "kmod," } },
	{ 2, { "--dataplane", ",kmod" } },
	{ 2, { "--dataplane", "kmod,dpdk" } },
	{ 2, { "--dataplane", "xdp,kmod,xdp" } },
	{ 2, { "--dataplane", "none,kmod" } },
	{ 2, { "--dataplane", "auto,none" } },
	{ 2, { "--dataplane", "native-and-much-more" } },
	{ 2, { "--dataplane", "kmod", "--interface", "eth0" } },
	{ 2, { "--dataplane", "kmod,none", "--xdp-mode", "native" } },
	{ 2, { "--xdp-mode", "offload" } },
	{ 2, { "--learning", "trust" } },
	{ 2, { "--prompt-dir", "prompts" } },
	{ 2, { "--prompt-cache", "prompts" } },
	{ 2, { "--prompt-cache-size", "0" } },
	{ 2, { "--prompt-ptime", "0" } },
	{ 2, { "--prompt-ptime", "201" } },
	{ 2, { "--opus-type", "95" } },
	{ 2, { "--opus-type", "128" } },
	{ 2, { "--opus-type", "96=AMR" } },
	{ 2, { "--opus-type", "96;octet-align=1" } },
	{ 2, { "--codec", "0=PCMU" } },
	{ 2, { "--codec", "96" } },
	{ 2, { "--codec", "96=iLBC" } },
	{ 2, { "--codec", "96=AMR;crc=1" } },
	{ 2, { "--codec", "96=AMR/8000;interleaving=30" } },
	{ 2, { "--dtmf-type", "95" } },
	{ 2, { "--record-dtmf", "hide" } },
	{ 2, { "-r", "/tmp", "--record-format", "aiff" } },
	{ 2, { "-r", "/tmp", "--record-format", "wav/5.1" } },
	{ 2, { "-r", "/tmp", "--record-raw", "drop" } },
	{ 2, { "-r", "/tmp", "--record-hook", "program" } },
	{ 2, { "-r", "/tmp", "--record-url", "ftp://host/" } },
	{ 2, { "-r", "/tmp", "--record-url", "http:///path" } },
	{ 2, { "-r", "/tmp", "--record-workers", "17" } },
	{ 2, { "-r", "/tmp", "--record-hook-time", "0" } },
	{ 2, { "-r", "/tmp", "--record-name", "%f" } },
	{ 2, { "-r", "/tmp", "--record-name", "../%c" } },
	{ 1, { "--record-format", "wav" } },
	{ 1, { "--record-days", "3" } },
	{ 2, { "--interface", "" } },
	{ 2, { "--interface", "a-name-that-is-too-long" } },
	{ 2, { "--pin-dir", "relative/path" } },
	{ 2, { "--admin-socket", "relative.sock" } },
	{ 2, { "--metrics", "0" } },
	{ 2, { "--metrics", "65536" } },
	{ 2, { "--metrics", "127.0.0.1:" } },
	{ 2, { "--metrics", "localhost:9100" } },
	{ 2, { "--metrics", "2001:db8::1:9100" } },
	{ 2, { "--metrics", "" } },
	{ 2, { "--mirror-bytes", "65535" } },
	{ 2, { "--mirror-bytes", "4M" } },
	{ 2, { "--mirror-bytes", "1073741825" } },
	{ 2, { "--dataplane", "none", "--xdp-mode", "native" } },
	{ 2, { "--xdp-mode", "generic", "--dataplane", "none" } },
	{ 2, { "--dataplane", "none", "--interface", "eth0" } },
};

/* A refusal is one sentence on stderr that begins with the program's name; stdout stays empty. */
static void refuses_with_a_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		const char *args[MAX_ARGS] = { "/usr/sbin/rtpxd" };
		struct config c;

		for (size_t k = 0; k < ARRAY_SIZE(refused[i].args) && refused[i].args[k]; k++)
			args[k + 1] = refused[i].args[k];
		if (parse(&c, args) != OPTIONS_EXIT || c.exit_code != refused[i].exit_code ||
		    strncmp(said_err, "rtpxd: ", 7) || !strchr(said_err, '\n') ||
		    strchr(said_err, '\n')[1] || *said_out)
			fail_msg("row %zu (%s %s): exit %d, stderr \"%s\", stdout \"%s\"", i,
				 args[1], args[2] ? args[2] : "", c.exit_code, said_err, said_out);
	}
}

static void unknown_exits_1_as_rtpproxy(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(parse(&c, (const char *[]){ "/usr/bin/rtpproxy", "-q", NULL }),
			 OPTIONS_EXIT);
	assert_int_equal(c.exit_code, 1);
	assert_int_equal(parse(&c, (const char *[]){ "rtpproxy", "extra", NULL }), OPTIONS_EXIT);
	assert_int_equal(c.exit_code, 1);
	assert_non_null(strstr(said_err, "rtpproxy: "));
}

static void defaults_are_rtpproxys(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(parse(&c, (const char *[]){ "rtpxd", NULL }), OPTIONS_RUN);
	assert_string_equal(said_err, "");
	assert_int_equal(c.n_sockets, 1);
	assert_string_equal(c.sockets[0], "unix:/var/run/rtpproxy.sock");
	assert_string_equal(c.pid_file, "/var/run/rtpproxy.pid");
	assert_int_equal(c.n_listeners, 1);
	assert_int_equal(c.listeners[0].addr.family, ADDR_IP4);
	assert_true(addr_is_any(&c.listeners[0].addr));
	assert_int_equal(c.port_min, 35000);
	assert_true(c.port_max < 65000 && c.dp.port_max <= 65000);
	assert_int_equal(c.tos, 184);
	assert_int_equal(c.ttl_s, 60);
	assert_int_equal(c.setup_ttl_s, 60);
	assert_int_equal(c.log_level, LOG_LVL_WARN);
	assert_int_equal(c.socket_mode, -1);
	assert_int_equal(c.sched_policy, -1);
	assert_false(c.bridge || c.foreground || c.nice_set || c.group_named || c.banner);
	assert_int_equal(c.learning, LEARN_PROOF);
	assert_int_equal(c.dp.n_order, 0);
	assert_string_equal(c.dp.pin_dir, "/sys/fs/bpf/rtpx");
	assert_int_equal(c.dp.mirror_bytes, 4 << 20);
	assert_string_equal(c.admin_socket, "/run/rtpx/admin.sock");
	config_free(&c);
}

static void takes_values(void **state)
{
	struct config c;

	(void)state;
	ACCEPT(&c, "-f", "-F", "-2", "-i", "-b", "-D", "-T", "10", "-W5", "-t", "0", "-L", "4096",
	       "-p", "/x.pid", "-s", "udp:*:1", "-s", "cunix:/c", "--no_resolve", "--no_redirect",
	       "--nice=-5", "-c", "rr", "-d", "warn:LOG_LOCAL0");
	assert_true(c.foreground && c.allow_root && c.double_small && c.independent_ttl &&
		    c.sequential);
	assert_true(c.no_chdir && c.no_resolve && c.no_redirect && c.nice_set);
	assert_int_equal(c.ttl_s, 10);
	assert_int_equal(c.setup_ttl_s, 5);
	assert_int_equal(c.tos, 0);
	assert_int_equal(c.nofile, 4096);
	assert_int_equal(c.nice, -5);
	assert_int_equal(c.sched_policy, SCHED_RR);
	assert_int_equal(c.log_level, LOG_LVL_WARN);
	assert_int_equal(c.log_facility, log_facility_of("local0"));
	assert_string_equal(c.pid_file, "/x.pid");
	assert_int_equal(c.n_sockets, 2);
	assert_string_equal(c.sockets[1], "cunix:/c");
	config_free(&c);

	ACCEPT(&c, "-f", "--overload_prot", "--overload_prot=0.5", "--bridge_symmetric",
	       "--force_asym");
	assert_true(c.bridge_symmetric && c.force_asymmetric);
	assert_int_equal(c.log_level, LOG_LVL_DBUG);
	config_free(&c);

	ACCEPT(&c, "-r", "/rec", "-S", "/spool", "-P", "-R", "-a");
	assert_true(c.record_pcap && c.no_rtcp_record && c.record_all);
	config_free(&c);
}

static void takes_our_options(void **state)
{
	char text[ADDR_TEXT];
	struct config c;

	(void)state;
	ACCEPT(&c, "--dataplane", "xdp", "--xdp-mode=generic", "--interface", "eth0", "--interface",
	       "eth1", "--pin-dir", "/sys/fs/bpf/x", "--learning", "compat", "--admin-socket", "/a",
	       "--banner", "--mirror-bytes", "65536");
	assert_int_equal(c.dp.n_order, 1);
	assert_int_equal(c.dp.order[0], DP_XDP);
	assert_int_equal(c.dp.mode, DP_MODE_GENERIC);
	assert_int_equal(c.dp.n_interfaces, 2);
	assert_string_equal(c.dp.interfaces[1], "eth1");
	assert_string_equal(c.dp.pin_dir, "/sys/fs/bpf/x");
	assert_int_equal(c.dp.mirror_bytes, 65536);
	assert_int_equal(c.learning, LEARN_COMPAT);
	assert_string_equal(c.admin_socket, "/a");
	assert_true(c.banner);
	config_free(&c);
	ACCEPT(&c, "--metrics", "9100");
	assert_string_equal(addr_text(&c.metrics, text), "127.0.0.1:9100");
	config_free(&c);
	ACCEPT(&c, "--metrics", "192.0.2.1:80");
	assert_string_equal(addr_text(&c.metrics, text), "192.0.2.1:80");
	config_free(&c);
	ACCEPT(&c, "--metrics", "[2001:db8::1]:9100");
	assert_string_equal(addr_text(&c.metrics, text), "[2001:db8::1]:9100");
	config_free(&c);
	ACCEPT(&c, "--prompt-cache", "/cache", "--prompt-cache-size", "7");
	assert_string_equal(c.prompt_cache, "/cache");
	assert_int_equal(c.prompt_cache_mb, 7);
	ACCEPT(&c, "--prompt-dir", "/prompts", "--prompt-ptime", "20", "--opus-type", "96",
	       "--codec", "111=opus/48000/2", "--codec", "97=AMR/8000;octet-align=1");
	assert_string_equal(c.prompt_dir, "/prompts");
	assert_int_equal(c.prompt_ptime_ms, 20);
	assert_int_equal(audio_codec_map_types(&c.codecs, AUDIO_OPUS), 1 | 1 << 15);
	assert_true(audio_codec_mapped(&c.codecs, 97)->octet_aligned);
	assert_false(c.record_replace);
	assert_int_equal(c.record_dtmf, KEYS_KEEP);
	assert_false(config_describes(&c));
	config_free(&c);
	ACCEPT(&c, "--record-replace", "--record-dtmf", "mask", "--dtmf-type", "101", "--dtmf-type",
	       "127");
	assert_true(c.record_replace);
	assert_int_equal(c.record_dtmf, KEYS_MASK);
	assert_int_equal(c.dtmf_types, 1 << 5 | 1u << 31);
	config_free(&c);
	ACCEPT(&c, "-r", "/tmp", "--record-format", "opus/mono", "--record-raw", "remove",
	       "--record-hook", "/bin/true", "--record-url", "https://host:8/x", "--record-quota",
	       "5", "--record-name", "%Y/%c");
	assert_true(config_describes(&c) && c.record_mono && c.record_remove_raw);
	assert_int_equal(config_jobs(&c).sound, SHEET_OPUS);
	assert_int_equal(config_jobs(&c).workers, 1);
	assert_int_equal(config_jobs(&c).hook_time_s, 30);
	assert_int_equal(c.record_quota_mb, 5);
	assert_string_equal(c.record_name, "%Y/%c");
	config_free(&c);
	ACCEPT(&c, "--dataplane", "none", "--xdp-mode", "auto");
	config_free(&c);
	ACCEPT(&c, "--dataplane", "kmod,native,none", "--xdp-mode", "native");
	assert_int_equal(c.dp.n_order, 3);
	assert_int_equal(c.dp.order[0], DP_KMOD);
	assert_int_equal(c.dp.order[1], DP_NATIVE);
	assert_int_equal(c.dp.order[2], DP_NONE);
	config_free(&c);
	ACCEPT(&c, "--dataplane", "kmod", "--dataplane", "auto");
	assert_int_equal(c.dp.n_order, 0);
	config_free(&c);
}

static void takes_collectors(void **state)
{
	struct config c;

	(void)state;
	ACCEPT(&c, "-f");
	assert_string_equal(c.hep.host, "");
	ACCEPT(&c, "--hep", "tcp:[2001:db8::1]:9070", "--hep-id", "4294967295");
	assert_string_equal(c.hep.host, "2001:db8::1");
	assert_true(c.hep.tcp && c.hep.port == 9070 && c.hep_agent == UINT32_MAX);
	ACCEPT(&c, "--dso", "/usr/lib/rtpproxy/rtpp_acct_rtcp_hep.so");
	assert_string_equal(c.hep.host, "10.0.0.1");
	assert_true(!c.hep.tcp && c.hep.port == 9060 && c.hep_agent == 101);
	ACCEPT(&c, "--hep", "homer", "--dso", "rtpp_acct_rtcp_hep.so");
	assert_string_equal(c.hep.host, "homer");
}

/* The value of --NAME as rtpxctl config shows it, with '*' if it is a default. */
static const char *shown(struct config *c, const char *name)
{
	static char text[512];
	struct admin_setting s = { 0 };

	for (unsigned int i = 0; options_setting(c, i, &s) && strcmp(s.name, name) != 0; i++)
		;
	assert_string_equal(s.name, name);
	snprintf(text, sizeof(text), "%s%s", s.value, s.given ? "" : "*");
	return text;
}

static void takes_modules_configuration(void **state)
{
	static const char text[] = "modules { acct_csv { logfile = /var/log/a.csv }\n"
				   "acct_rtcp_hep { capt_host = \"2001:db8::1\"; capt_port = 9070\n"
				   "capt_ptype = tcp; capt_id = 7 } }";
	int fd = memfd_create("conf", 0);
	char path[64];
	struct config c;

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ACCEPT(&c, "--config", path);
	assert_string_equal(c.acct_csv, "/var/log/a.csv");
	assert_string_equal(c.hep.host, "2001:db8::1");
	assert_true(c.hep.tcp && c.hep.port == 9070 && c.hep_agent == 7);
	assert_string_equal(shown(&c, "--hep"), "tcp:[2001:db8::1]:9070");
	assert_string_equal(shown(&c, "--hep-id"), "7");
	assert_string_equal(shown(&c, "--acct-csv"), "/var/log/a.csv");
	/* options of their own come first, wherever they stand */
	ACCEPT(&c, "--hep", "homer", "--acct-csv", "/b.csv", "--config", path, "--hep-id", "101");
	assert_string_equal(c.acct_csv, "/b.csv");
	assert_string_equal(shown(&c, "--hep"), "homer");
	assert_string_equal(shown(&c, "--hep-id"), "101");
	ACCEPT(&c, "-f");
	assert_string_equal(shown(&c, "--hep"), "none*");
	assert_string_equal(shown(&c, "--hep-id"), "101*");
	close(fd);
}

static void takes_modes_decimal_and_octal(void **state)
{
	static const struct {
		const char *text;
		int mode;
	} modes[] = { { "432", 0660 },	{ "0660", 0660 },  { "0", 0 },
		      { "777", 01411 }, { "4095", 07777 }, { "07777", 07777 } };
	struct config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		ACCEPT(&c, "-u", ":root", "-w", modes[i].text);
		assert_int_equal(c.socket_mode, modes[i].mode);
		config_free(&c);
	}
	ACCEPT(&c, "-u", ":root");
	assert_int_equal(c.socket_mode, 0755);
	config_free(&c);
	ACCEPT(&c, "-w", "0660");
	assert_int_equal(c.socket_mode, -1);
	config_free(&c);
}

static void takes_users_and_groups(void **state)
{
	const struct passwd *nobody = getpwnam("nobody");
	uid_t uid;
	gid_t gid;
	struct config c;

	(void)state;
	if (!nobody)
		skip();
	uid = nobody->pw_uid;
	gid = nobody->pw_gid;
	ACCEPT(&c, "-u", "nobody");
	assert_int_equal(c.uid, uid);
	assert_int_equal(c.gid, gid);
	assert_false(c.group_named);
	ACCEPT(&c, "-u", "nobody:root");
	assert_int_equal(c.uid, uid);
	assert_int_equal(c.gid, 0);
	assert_true(c.group_named);
	ACCEPT(&c, "-u", ":root");
	assert_int_equal(c.uid, (uid_t)-1);
	assert_true(c.group_named);
}

static void keeps_notify_targets(void **state)
{
	struct config c;

	(void)state;
	ACCEPT(&c, "-n", "unix:/n.sock", "-n", "/m.sock", "-n", "tcp:host:9000", "-n", "foo:bar",
	       "-n", "tcp:%%CC_SELF%%:9001", "-n", "xmlrpc:http://h:8000/RPC2", "-n",
	       "jsonrpc:http://[::1]");
	assert_int_equal(c.n_notify, 7);
	assert_string_equal(c.notify[0], "unix:/n.sock");
	assert_string_equal(c.notify[1], "/m.sock");
	assert_string_equal(c.notify[2], "tcp:host:9000");
	assert_string_equal(c.notify[3], "foo:bar");
	config_free(&c);
}

static void rounds_port_ranges(void **state)
{
	static const struct {
		const char *min, *max;
		uint16_t first, last;
	} ranges[] = {
		{ "40000", "40001", 40000, 40001 }, /* one pair */
		{ "40000", "40100", 40000, 40099 },
		{ "40001", "40006", 40002, 40005 },
		{ "1", "65535", 2, 65535 },
	};
	struct config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		ACCEPT(&c, "-m", ranges[i].min, "-M", ranges[i].max);
		assert_int_equal(c.dp.port_min, ranges[i].first);
		assert_int_equal(c.dp.port_max, ranges[i].last);
		config_free(&c);
	}
}

static void check_listener(const struct listener *l, const char *host, const char *label,
			   const char *advertised)
{
	char text[ADDR_TEXT];

	assert_string_equal(addr_host_text(&l->addr, text), host);
	assert_int_equal(l->addr.port, 0);
	assert_int_equal(!l->label, !label);
	assert_int_equal(!l->advertised, !advertised);
	if (label)
		assert_string_equal(l->label, label);
	if (advertised)
		assert_string_equal(l->advertised, advertised);
}

static void takes_listeners(void **state)
{
	struct config c;

	(void)state;
	ACCEPT(&c, "-l", "127.0.0.1=203.0.113.1", "-6", "six@::1", "-l",
	       "far@127.0.0.3=adv.example");
	assert_int_equal(c.n_listeners, 3);
	assert_false(c.bridge);
	check_listener(&c.listeners[0], "127.0.0.1", NULL, "203.0.113.1");
	check_listener(&c.listeners[1], "::1", "six", NULL);
	check_listener(&c.listeners[2], "127.0.0.3", "far", "adv.example");
	config_free(&c);

	ACCEPT(&c, "-6", "*");
	assert_int_equal(c.n_listeners, 1);
	check_listener(&c.listeners[0], "::", NULL, NULL);
	config_free(&c);

	ACCEPT(&c, "-l", "127.1");
	check_listener(&c.listeners[0], "127.0.0.1", NULL, NULL);
	config_free(&c);
}

/* A single -A applies to non-wildcard addresses of its own family without =ADVERTISED. */
static void advertises_outside_bridging(void **state)
{
	struct config c;

	(void)state;
	ACCEPT(&c, "-l", "127.0.0.1", "-6", "six@::1", "-l", "own@127.0.0.2=192.0.2.9", "-A",
	       "203.0.113.1");
	check_listener(&c.listeners[0], "127.0.0.1", NULL, "203.0.113.1");
	check_listener(&c.listeners[1], "::1", "six", NULL);
	check_listener(&c.listeners[2], "127.0.0.2", "own", "192.0.2.9");
	config_free(&c);
	ACCEPT(&c, "-A", "203.0.113.1");
	check_listener(&c.listeners[0], "0.0.0.0", NULL, NULL);
	config_free(&c);
	ACCEPT(&c, "-6", "::1", "-A", "gw.example.org");
	check_listener(&c.listeners[0], "::1", NULL, "gw.example.org");
	config_free(&c);
}

/* The first group has the addresses of -l and -6; each further one has its own. */
static void takes_groups(void **state)
{
	struct config c;

	(void)state;
	ACCEPT(&c, "-l", "192.0.2.1", "-A", "198.51.100.1", "--replicate", "redis://192.0.2.9",
	       "--group", "B=192.0.2.2,192.0.2.3=198.51.100.3,2001:db8::2", "--group", "A");
	assert_int_equal(c.n_groups, 2);
	assert_string_equal(c.groups[0], "A");
	assert_string_equal(c.groups[1], "B");
	assert_int_equal(c.n_listeners, 4);
	check_listener(&c.listeners[0], "192.0.2.1", NULL, "198.51.100.1");
	check_listener(&c.listeners[1], "192.0.2.2", "B", NULL);
	check_listener(&c.listeners[2], "192.0.2.3", "B", "198.51.100.3");
	check_listener(&c.listeners[3], "2001:db8::2", NULL, NULL);
	assert_int_equal(c.listeners[0].address_group, 0);
	assert_int_equal(c.listeners[1].address_group, 1);
	assert_int_equal(c.listeners[1].group, c.listeners[2].group);
	assert_int_equal(c.listeners[3].address_group, 1);
	assert_int_not_equal(c.listeners[3].group, c.listeners[2].group);
	config_free(&c);
	ACCEPT(&c, "--replicate", "redis://192.0.2.9", "--group", "A=192.0.2.1", "--group",
	       "B=192.0.2.2");
	assert_int_equal(c.n_groups, 2);
	assert_string_equal(c.groups[0], "A");
	check_listener(&c.listeners[0], "192.0.2.1", "A", NULL);
	assert_int_equal(c.listeners[1].address_group, 1);
	config_free(&c);
	ACCEPT(&c, "-l", "192.0.2.1");
	assert_int_equal(c.n_groups, 1);
	assert_string_equal(c.groups[0], CONFIG_GROUP);
	config_free(&c);
}

static void takes_bridging(void **state)
{
	struct config c;

	(void)state;
	ACCEPT(&c, "-l", "127.0.0.1/127.0.0.2", "-A", "1.1.1.1/2.2.2.2");
	assert_true(c.bridge);
	assert_int_equal(c.n_listeners, 2);
	check_listener(&c.listeners[0], "127.0.0.1", NULL, "1.1.1.1");
	check_listener(&c.listeners[1], "127.0.0.2", NULL, "2.2.2.2");
	config_free(&c);

	ACCEPT(&c, "-6", "/::1", "-l", "127.0.0.1");
	assert_true(c.bridge);
	check_listener(&c.listeners[0], "127.0.0.1", NULL, NULL);
	check_listener(&c.listeners[1], "::1", NULL, NULL);
	config_free(&c);

	ACCEPT(&c, "-l", "127.0.0.1/127.0.0.2", "-l", "more@127.0.0.3");
	assert_int_equal(c.n_listeners, 3);
	check_listener(&c.listeners[2], "127.0.0.3", "more", NULL);
	config_free(&c);
}

static void check_in_list(const struct listener *l, const char *address, unsigned int list,
			  const char *label, const char *advertised)
{
	check_listener(l, address, label, advertised);
	assert_int_equal(l->group, list);
}

static void takes_lists(void **state)
{
	struct config c;

	(void)state;
	ACCEPT(&c, "-l", "127.0.0.1,127.0.0.2=1.1.1.1", "-6", "six@::1,::2", "-l", "far@127.0.0.3");
	assert_int_equal(c.n_listeners, 5);
	assert_int_equal(c.dp.n_own, 3);
	check_in_list(&c.listeners[0], "127.0.0.1", 0, NULL, NULL);
	check_in_list(&c.listeners[1], "127.0.0.2", 0, NULL, "1.1.1.1");
	check_in_list(&c.listeners[2], "::1", 1, "six", NULL);
	check_in_list(&c.listeners[3], "::2", 1, "six", NULL);
	check_in_list(&c.listeners[4], "127.0.0.3", 2, "far", NULL);
	config_free(&c);

	ACCEPT(&c, "-l", "127.0.0.1,127.0.0.2", "-l", "far@127.0.0.3", "-A", "1.1.1.1,gw.example");
	check_in_list(&c.listeners[0], "127.0.0.1", 0, NULL, "1.1.1.1");
	check_in_list(&c.listeners[1], "127.0.0.2", 0, NULL, "gw.example");
	check_in_list(&c.listeners[2], "127.0.0.3", 1, "far", NULL);
	config_free(&c);
}

/* Further values with a slash add to the sides, which are in the order of the command line. */
static void takes_lists_with_bridging(void **state)
{
	struct config c;

	(void)state;
	ACCEPT(&c, "-l", "127.0.0.1,127.0.0.2/127.0.0.3", "-l", "/127.0.0.4", "-l",
	       "127.0.0.5/127.0.0.6", "-l", "far@127.0.0.7", "-A",
	       "1.1.1.1,1.1.1.2,1.1.1.5/1.1.1.3,1.1.1.4,1.1.1.6");
	assert_true(c.bridge);
	assert_int_equal(c.n_listeners, 7);
	check_in_list(&c.listeners[0], "127.0.0.1", 0, NULL, "1.1.1.1");
	check_in_list(&c.listeners[1], "127.0.0.2", 0, NULL, "1.1.1.2");
	check_in_list(&c.listeners[2], "127.0.0.5", 0, NULL, "1.1.1.5");
	check_in_list(&c.listeners[3], "127.0.0.3", 1, NULL, "1.1.1.3");
	check_in_list(&c.listeners[4], "127.0.0.4", 1, NULL, "1.1.1.4");
	check_in_list(&c.listeners[5], "127.0.0.6", 1, NULL, "1.1.1.6");
	check_in_list(&c.listeners[6], "127.0.0.7", 2, "far", NULL);
	config_free(&c);

	ACCEPT(&c, "-l", "127.0.0.1,127.0.0.2", "-6", "/::1,::2");
	check_in_list(&c.listeners[1], "127.0.0.2", 0, NULL, NULL);
	check_in_list(&c.listeners[3], "::2", 1, NULL, NULL);
	config_free(&c);
}

static void answers_and_exits(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(PARSE(&c, "-V"), OPTIONS_EXIT);
	assert_int_equal(c.exit_code, 0);
	assert_string_equal(said_out, "test-version\n");
	assert_int_equal(PARSE(&c, "-v"), OPTIONS_EXIT);
	assert_int_equal(c.exit_code, 0);
	assert_ptr_equal(strstr(said_out, "Basic version: 20040107\nExtension 20040107: "),
			 said_out);
	assert_int_equal(PARSE(&c, "-C"), OPTIONS_EXIT);
	assert_int_equal(c.exit_code, 0);
	assert_string_equal(said_out, "CLOCK_BOOTTIME\n");
	assert_string_equal(said_err, "");
}

/* -v lists exactly the features for which VF answers 1. */
static void claims_only_what_works(void **state)
{
	const char *date, *text;
	char line[64];
	struct config c;
	bool live;

	(void)state;
	PARSE(&c, "-v");
	for (unsigned int i = 0; (date = command_capability(i, &text, &live)); i++) {
		snprintf(line, sizeof(line), "\nExtension %s: ", date);
		assert_int_equal(strstr(said_out, line) != NULL, live);
	}
}

static void help_has_every_option(void **state)
{
	struct config c;
	char start[64];

	(void)state;
	assert_int_equal(PARSE(&c, "--help"), OPTIONS_EXIT);
	assert_int_equal(c.exit_code, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].letter)
			snprintf(start, sizeof(start), "\n  -%c ", rows[i].letter);
		else
			snprintf(start, sizeof(start), "\n  --%s", rows[i].name);
		assert_non_null(strstr(said_out, start));
		assert_non_null(strstr(said_out, rows[i].help));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_with_a_sentence),
		cmocka_unit_test(unknown_exits_1_as_rtpproxy),
		cmocka_unit_test(defaults_are_rtpproxys),
		cmocka_unit_test(takes_values),
		cmocka_unit_test(takes_our_options),
		cmocka_unit_test(takes_collectors),
		cmocka_unit_test(takes_modules_configuration),
		cmocka_unit_test(takes_modes_decimal_and_octal),
		cmocka_unit_test(takes_users_and_groups),
		cmocka_unit_test(keeps_notify_targets),
		cmocka_unit_test(rounds_port_ranges),
		cmocka_unit_test(takes_listeners),
		cmocka_unit_test(advertises_outside_bridging),
		cmocka_unit_test(takes_groups),
		cmocka_unit_test(takes_bridging),
		cmocka_unit_test(takes_lists),
		cmocka_unit_test(takes_lists_with_bridging),
		cmocka_unit_test(answers_and_exits),
		cmocka_unit_test(claims_only_what_works),
		cmocka_unit_test(help_has_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.h - the command line: rtpproxy's options with rtpproxy's meanings, and our own as long
 * options.
 *
 * Only main sees struct config; every module gets an options struct of its own.
 */
#ifndef RTPX_CONFIG_H
#define RTPX_CONFIG_H

#include <limits.h>
#include <sys/types.h>

#include "dataplane/choice.h"
#include "engine/engine.h"
#include "replicate/redis_url.h"
#include "record/keys.h"
#include "base/log.h"

#define CONFIG_MAX_SOCKETS 32
#define CONFIG_MAX_NOTIFY 32
#define CONFIG_PIN_DIR "/sys/fs/bpf/rtpx"
#define CONFIG_ADMIN_SOCKET "/run/rtpx/admin.sock"
#define CONFIG_STATE_DIR "/run/rtpx"
#define CONFIG_GROUP "rtpx"
#define CONFIG_PROMPT_DIR "/var/lib/rtpx/prompts"

enum config_action {
	CONFIG_RUN,
	CONFIG_EXIT
}; /* CONFIG_EXIT: -v, -V, -C, --help, or an error; see exit_code */

#define CONFIG_MAX_GIVEN 128 /* options of a command line that config_setting() knows */

/* An option of the command line. */
struct config_given {
	unsigned int row; /* of the table of options */
	const char *value; /* NULL: a flag */
};

struct config {
	int exit_code;
	struct config_given given[CONFIG_MAX_GIVEN];
	unsigned int n_given;
	bool foreground, allow_root, double_small, independent_ttl, no_chdir, sequential,
		no_redirect;
	bool check; /* judge the command line and the host, and start nothing */
	const char *acct_csv, *acct_json; /* files of accounting; NULL: none */
	bool acct_module; /* --dso acct_csv: CSV in the start directory */
	char acct_path[PATH_MAX + 32];
	uint32_t max_sessions, max_cps; /* 0: no limit */
	bool banner; /* print the chosen settings on stdout */
	bool record_all, record_pcap, no_rtcp_record;
	bool record_replace;
	enum keys record_dtmf;
	uint32_t dtmf_types; /* a bit for each payload type from 96 up */
	const char *record_dir, *spool_dir;
	const char *prompt_dir; /* NULL: prompts may be in any directory */
	char start_dir[PATH_MAX];
	uint16_t prompt_ptime_ms;
	uint32_t opus_types; /* a bit for each payload type from 96 up */
	const char *pid_file, *admin_socket;
	struct addr metrics; /* of --metrics; ADDR_NONE: off */
	const char *state_dir; /* directory of the journal; NULL: no journal */
	const char *replicate; /* Redis's address; NULL: no standby. See docs/standby.md */
	struct redis_url redis;
	const char *redis_ca;	     /* file with certificates; NULL: the system's */
	const char *redis_password_file;
	char *redis_password;	     /* from that file, owned; NULL: the URL's */
	const char *group;
	bool standby;		     /* begin as the standby, even with the media addresses */
	bool drop_in;	       /* started as `rtpproxy`: may run beside other daemons */
	const char *sockets[CONFIG_MAX_SOCKETS];
	unsigned int n_sockets;
	struct listener listeners[FACES_MAX_LISTENERS];
	unsigned int n_listeners;
	bool bridge, bridge_symmetric, force_asymmetric, no_resolve;
	uint8_t tos;
	uint32_t ttl_s, setup_ttl_s;
	long nofile; /* -L, open files; 0: as many as the system allows */
	uint16_t port_min, port_max;
	uid_t uid; /* (uid_t)-1: keep the present user */
	gid_t gid;
	bool group_named;
	int socket_mode; /* permission bits; -1: by the umask */
	const char *notify[CONFIG_MAX_NOTIFY];
	unsigned int n_notify;
	enum log_level log_level;
	int log_facility;
	int sched_policy; /* SCHED_…; -1: unchanged */
	bool nice_set;
	int nice;
	enum learning learning;
	struct dp_opts dp;
};

/*
 * config_parse - fill @c from the command line. Errors print a sentence on stderr. The exit code is
 * 1 for rtpproxy's options (as with rtpproxy). It is 2 for ours, and for unknown or contradictory
 * options unless started as `rtpproxy`.
 */
/*
 * config_setting - struct admin_opts.setting; @config is a struct config. Options are in the order
 * of --help. The texts of *@out are valid until the next call.
 */
struct admin_setting;
bool config_setting(void *config, unsigned int i, struct admin_setting *out);

enum config_action config_parse(struct config *c, int argc, char **argv);
void config_free(struct config *c);

#endif

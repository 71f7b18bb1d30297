/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.h - the settings of the daemon.
 *
 * Only main sees struct config; every module gets an options struct of its own.
 */
#ifndef RTPX_CONFIG_H
#define RTPX_CONFIG_H

#include <limits.h>
#include <sys/types.h>

#include "dataplane/choice.h"
#include "engine/engine.h"
#include "host/floor.h"
#include "media/audio_codec.h"
#include "observe/hep_address.h"
#include "replicate/groups.h"
#include "replicate/redis_url.h"
#include "record/keys.h"
#include "record/jobs.h"
#include "base/log.h"
#include "listeners.h"
#include "modules.h"

#define CONFIG_MAX_SOCKETS 32
#define CONFIG_MAX_NOTIFY 32
#define CONFIG_SOCKET "unix:/var/run/rtpproxy.sock"
#define CONFIG_PID_FILE "/var/run/rtpproxy.pid"
#define CONFIG_PIN_DIR "/sys/fs/bpf/rtpx"
#define CONFIG_ADMIN_SOCKET "/run/rtpx/admin.sock"
#define CONFIG_STATE_DIR "/run/rtpx"
#define CONFIG_GROUP "rtpx"
#define CONFIG_PROMPT_DIR "/var/lib/rtpx/prompts"

#define CONFIG_EXIT_RTPPROXY 1 /* exit code: a wrong value of one of rtpproxy's options */
#define CONFIG_EXIT_OURS 2     /* unknown, contradictory, or a wrong value of one of ours */

#define CONFIG_MAX_GIVEN 128 /* options of a command line that options_setting() knows */

/* An option of the command line. */
struct config_given {
	unsigned int row;  /* of the table of options */
	const char *value; /* NULL: a flag */
};

/* The value of --group NAME=ADDR[,ADDR]. */
struct config_group {
	char *name; /* owned; the addresses are behind its NUL */
	char *addresses;
};

struct config {
	int exit_code;
	struct config_given given[CONFIG_MAX_GIVEN];
	unsigned int n_given;
	bool foreground, allow_root, double_small, independent_ttl, no_chdir, sequential,
		no_redirect;
	bool check; /* judge the command line and the host, and start nothing */
	const char *acct_csv, *acct_json; /* files of accounting; NULL: none */
	struct modules modules; /* of --dso and --config; options of their own replace them */
	struct hep_address hep; /* of RTCP reports; host "": none */
	long hep_agent;		/* the number of this host at the collector */
	char hep_text[288], hep_agent_text[12]; /* both as text, if a module gave them */
	uint32_t max_sessions, max_cps;		/* 0: no limit */
	bool banner;				/* print the chosen settings on stdout */
	bool record_all, record_pcap, no_rtcp_record;
	bool record_replace, record_json;
	enum keys record_dtmf;
	uint32_t dtmf_types; /* a bit for each payload type from 96 up */
	const char *record_dir, *spool_dir;
	const char *record_name; /* pattern of names; NULL: the default */
	enum sheet_sound record_sound;
	bool record_mono, record_remove_raw;
	const char *record_hook, *record_url; /* NULL: none */
	uint32_t record_workers, record_hook_time_s, record_days, record_quota_mb;
	const char *prompt_cache; /* directory of encoded prompts; NULL: none */
	uint32_t prompt_cache_mb;
	const char *prompt_dir; /* NULL: prompts may be in any directory */
	char start_dir[PATH_MAX];
	uint16_t prompt_ptime_ms;
	bool notify_prompts;
	struct audio_codec_map codecs; /* of --codec and --opus-type */
	const char *pid_file, *admin_socket;
	struct addr metrics;   /* of --metrics; ADDR_NONE: off */
	const char *state_dir; /* directory of the journal; NULL: no journal */
	const char *replicate; /* Redis's address; NULL: no standby. See docs/standby.md */
	struct redis_url redis;
	const char *redis_ca; /* file with certificates; NULL: the system's */
	const char *redis_password_file;
	char *redis_password; /* from that file, owned; NULL: the URL's */
	const char *group;    /* of --group NAME; NULL: not given */
	struct config_group further[GROUPS_MAX];
	unsigned int n_further;
	const char *groups[GROUPS_MAX]; /* the names of all groups, by number */
	unsigned int n_groups;
	bool standby; /* begin as the standby, even with the media addresses */
	bool drop_in; /* started as `rtpproxy`: may run beside other daemons */
	const char *sockets[CONFIG_MAX_SOCKETS];
	unsigned int n_sockets;
	struct listeners_args listen; /* -l, -6 and -A as given */
	struct listener listeners[FACES_MAX_LISTENERS];
	unsigned int n_listeners;
	struct addr own[FACES_MAX_LISTENERS]; /* of these, see listeners_own() */
	bool bridge, bridge_symmetric, force_asymmetric, no_resolve;
	uint8_t tos;
	uint32_t ttl_s, setup_ttl_s; /* of -T and -W */
	long nofile;		     /* -L, open files; 0: as many as the system allows */
	uint16_t port_min, port_max;
	uid_t uid; /* (uid_t)-1: keep the present user */
	gid_t gid;
	bool group_named;
	int socket_mode; /* permission bits; -1: by the umask */
	const char *notify[CONFIG_MAX_NOTIFY];
	unsigned int n_notify;
	bool level_given;
	enum log_level log_level;
	int log_facility;
	int sched_policy; /* SCHED_…; -1: unchanged */
	bool nice_set;
	int nice;
	enum learning learning;
	struct dp_opts dp;
	enum floor_choice port_sockets;
};

/*
 * config_defaults - the settings of an empty command line, without those that config_conclude()
 * sets.
 */
void config_defaults(struct config *c);
/*
 * config_conclude - check options against each other, set the defaults that depend on other
 * options, and resolve the media addresses. 0, or CONFIG_EXIT_... with a sentence in @err.
 */
int config_conclude(struct config *c, char *err, size_t err_size);
/* config_group - a value of --group: NAME or NAME=ADDR[,ADDR]. NULL, or what is wrong with it. */
const char *config_group(struct config *c, const char *value);
/* config_metrics - a value of --metrics: [ADDR:]PORT, an IPv6 address in brackets. Likewise. */
const char *config_metrics(struct config *c, const char *value);
/* config_describes - true if complete recordings get a description, in JSON. */
bool config_describes(const struct config *c);
struct jobs_opts config_jobs(const struct config *c); /* without directories */
void config_free(struct config *c);

#endif

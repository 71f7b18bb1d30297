/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.c - the settings of the daemon: their defaults, and which of them contradict each other.
 *
 * Opens, creates and changes nothing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void config_defaults(struct config *c)
{
	*c = (struct config){
		.pid_file = CONFIG_PID_FILE,
		.admin_socket = CONFIG_ADMIN_SOCKET,
		.state_dir = CONFIG_STATE_DIR,
		.hep_agent = -1,
		.tos = 0xb8,
		.prompt_ptime_ms = 10,
		.prompt_cache_mb = 1000,
		.record_workers = 1,
		.record_hook_time_s = 30,
		.ttl_s = 60,
		.port_min = 35000,
		.port_max = 65000,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.socket_mode = -1,
		.log_facility = log_facility_of("daemon"),
		.sched_policy = -1,
		.learning = LEARN_PROOF,
		.dp = {
			.mode = DP_MODE_AUTO,
			.pin_dir = CONFIG_PIN_DIR,
			.silence_ms = STREAM_SILENCE_NS / NSEC_PER_MSEC,
			.mirror_bytes = 4 << 20,
		},
	};
	modules_defaults(&c->modules);
}

static bool uses_xdp(const struct dp_opts *dp)
{
	return dp_opts_has(dp, DP_XDP) || dp_opts_has(dp, DP_NATIVE);
}

/*
 * The directory of prompts without --prompt-dir: the start directory, as with rtpproxy. A service
 * manager starts the daemon in the root directory; CONFIG_PROMPT_DIR replaces that.
 */
static const char *default_prompt_dir(struct config *c)
{
	if (getcwd(c->start_dir, sizeof(c->start_dir)) && strcmp(c->start_dir, "/"))
		return c->start_dir;
	return CONFIG_PROMPT_DIR;
}

const char *config_group(struct config *c, const char *value)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_.";
	struct config_group *further = &c->further[c->n_further];
	size_t len = strcspn(value, "=");

	if (!len || strspn(value, allowed) != len || len > 48)
		return "must have a name of at most 48 letters, digits, '-', '_' and '.'";
	if (!value[len]) {
		c->group = value;
		return NULL;
	}
	if (c->n_further == GROUPS_MAX)
		return "is one group too many, at most 16 are possible";
	further->name = strdup(value);
	if (!further->name)
		return "does not fit in memory";
	further->name[len] = '\0';
	further->addresses = further->name + len + 1;
	c->n_further++;
	return NULL;
}

/* A port: digits alone, 1 to 65535. 0: another text. */
static uint16_t port_of(const char *text)
{
	unsigned long n = strtoul(text, NULL, 10);

	return *text && strspn(text, "0123456789") == strlen(text) && n <= UINT16_MAX ? n : 0;
}

const char *config_metrics(struct config *c, const char *value)
{
	const char *colon = strrchr(value, ':'), *host = value;
	size_t len = colon ? (size_t)(colon - value) : 0;
	enum addr_family family = ADDR_IP4;
	struct addr a = { .family = ADDR_IP4, .ip = { 127, 0, 0, 1 } };
	uint16_t port = port_of(colon ? colon + 1 : value);

	if (!port)
		return "must end with a port, 1 to 65535";
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		family = ADDR_IP6;
		host++;
		len -= 2;
	}
	if (colon && addr_parse(&a, family, host, len))
		return "must begin with a numeric address, IPv6 in brackets: 192.0.2.1:9100";
	a.port = port;
	c->metrics = a;
	return NULL;
}

static int add_group(struct config *c, const char *name, char *err, size_t err_size)
{
	for (unsigned int i = 0; i < c->n_groups; i++)
		if (!strcmp(c->groups[i], name)) {
			snprintf(err, err_size, "--group: %s is given twice", name);
			return CONFIG_EXIT_OURS;
		}
	if (c->n_groups == GROUPS_MAX) {
		snprintf(err, err_size,
			 "--group: %s is one group too many, at most %d are "
			 "possible",
			 name, GROUPS_MAX);
		return CONFIG_EXIT_OURS;
	}
	c->groups[c->n_groups++] = name;
	return 0;
}

/* The family of the first address of a list. */
static enum addr_family list_family(const char *list)
{
	return memchr(list, ':', strcspn(list, "=,")) ? ADDR_IP6 : ADDR_IP4;
}

/* Cut the addresses of the first address's family off the list, and return the rest; or NULL. */
static char *list_cut(char *list)
{
	enum addr_family family = list_family(list);
	char *comma;

	for (comma = strchr(list, ','); comma; comma = strchr(comma + 1, ','))
		if (list_family(comma + 1) != family) {
			*comma = '\0';
			return comma + 1;
		}
	return NULL;
}

/* Add the addresses of a further group to those of -l and -6: a list for each family. */
static int add_addresses(struct config *c, struct config_group *g, char *err, size_t err_size)
{
	struct listeners_args *l = &c->listen;
	const char *label = g->name;
	char *list = g->addresses, *rest;

	if (strpbrk(list, "@/")) {
		snprintf(err, err_size, "--group %s: its addresses have neither labels nor sides",
			 g->name);
		return CONFIG_EXIT_OURS;
	}
	for (; list; list = rest) {
		rest = list_cut(list);
		if (!*list || l->n == FACES_MAX_LISTENERS) {
			snprintf(err, err_size, "--group %s: %s", g->name,
				 *list ? "the addresses of all groups are more than 16"
				       : "an address is missing");
			return CONFIG_EXIT_OURS;
		}
		l->local[l->n++] = (struct listeners_arg){
			.family = list_family(list),
			.text = list,
			.address_group = c->n_groups - 1,
			.of_group = true,
			.label = label,
		};
		label = NULL;
	}
	return 0;
}

/* The group of -l and -6 is the first; without these the first group with addresses is. */
static int add_groups(struct config *c, char *err, size_t err_size)
{
	int rc = 0;

	if (c->n_further && !c->replicate) {
		snprintf(err, err_size, "--group with addresses needs --replicate");
		return CONFIG_EXIT_OURS;
	}
	if (c->group || c->listen.n || !c->n_further)
		rc = add_group(c, c->group ? c->group : CONFIG_GROUP, err, err_size);
	for (unsigned int i = 0; i < c->n_further && !rc; i++) {
		rc = add_group(c, c->further[i].name, err, err_size);
		if (!rc)
			rc = add_addresses(c, &c->further[i], err, err_size);
	}
	return rc;
}

static const char *groups_contradict(const struct config *c)
{
	if (c->n_groups < 2)
		return NULL;
	if (c->bridge)
		return "several groups and bridging (-l INT/EXT) contradict each other: give each "
		       "group one address of a family";
	for (unsigned int i = 0; i < c->n_listeners; i++)
		if (addr_is_any(&c->listeners[i].addr))
			return "several groups and an address that means all addresses contradict "
			       "each other: name the address of each group";
	return NULL;
}

/* The media addresses. They are last, because resolving a host name may take seconds. */
static int add_listeners(struct config *c, char *err, size_t err_size)
{
	struct listeners listeners = { .all = c->listeners };

	if (!c->listen.n)
		c->listen.local[c->listen.n++] =
			(struct listeners_arg){ .family = ADDR_IP4, .text = "*" };
	c->listen.no_resolve = c->no_resolve;
	if (listeners_make(&listeners, &c->listen, err, err_size) < 0)
		return CONFIG_EXIT_RTPPROXY;
	c->n_listeners = listeners.n;
	c->bridge = listeners.bridge;
	if (groups_contradict(c)) {
		snprintf(err, err_size, "%s", groups_contradict(c));
		return CONFIG_EXIT_OURS;
	}
	c->dp.own = c->own;
	c->dp.n_own = listeners_own(&listeners, c->own);
	return 0;
}

/* Give the settings of rtpproxy's modules to the options that the command line does not have. */
static void settle_modules(struct config *c)
{
	struct modules *m = &c->modules;

	if (m->csv && !*m->csv_file && getcwd(m->csv_file, sizeof(m->csv_file) - 32))
		strcat(m->csv_file, "/rtpproxy_acct.csv");
	if (m->csv && !c->acct_csv && *m->csv_file)
		c->acct_csv = m->csv_file;
	if (m->hep && !*c->hep.host) {
		c->hep = m->collector;
		snprintf(c->hep_text, sizeof(c->hep_text),
			 strchr(c->hep.host, ':') ? "%s:[%s]:%u" : "%s:%s:%u",
			 c->hep.tcp ? "tcp" : "udp", c->hep.host, c->hep.port);
	}
	if (m->hep && c->hep_agent < 0)
		snprintf(c->hep_agent_text, sizeof(c->hep_agent_text), "%u", m->hep_agent);
	if (c->hep_agent < 0)
		c->hep_agent = m->hep_agent;
}

/* Set the defaults that depend on other options. */
static void settle(struct config *c)
{
	if (!c->setup_ttl_s)
		c->setup_ttl_s = c->ttl_s;
	if (!c->level_given)
		c->log_level = c->foreground ? LOG_LVL_DBUG : LOG_LVL_WARN;
	if (!c->group_named)
		c->socket_mode = -1;
	else if (c->socket_mode < 0)
		c->socket_mode = 0755;
	c->dp.yield = c->drop_in;
	c->record_replace |= c->drop_in;
	if (!c->prompt_dir && !c->drop_in)
		c->prompt_dir = default_prompt_dir(c);
	settle_modules(c);
	if (!c->n_sockets)
		c->sockets[c->n_sockets++] = CONFIG_SOCKET;
	c->dp.port_min = c->port_min;
	c->dp.port_max = c->port_max | 1;
}

bool config_describes(const struct config *c)
{
	return c->record_json || c->record_sound || c->record_hook || c->record_url ||
	       c->record_days || c->record_quota_mb;
}

struct jobs_opts config_jobs(const struct config *c)
{
	return (struct jobs_opts){
		.sound = c->record_sound,
		.mono = c->record_mono,
		.remove_raw = c->record_remove_raw,
		.hook = c->record_hook,
		.url = c->record_url,
		.workers = c->record_workers,
		.hook_time_s = c->record_hook_time_s,
		.codecs = &c->codecs,
	};
}

int config_conclude(struct config *c, char *err, size_t err_size)
{
	const char *why = NULL;
	int rc;

	if (ports_round(&c->port_min, &c->port_max) < 0)
		why = "-m must be less than -M, with a pair of an even port and the next one";
	else if (c->spool_dir && !c->record_dir)
		why = "-S needs -r: finished recordings move from the spool directory there";
	else if (!c->record_dir && config_describes(c))
		why = "--record-json, -format, -hook, -url, -days and -quota need -r";
	if (why) {
		snprintf(err, err_size, "%s", why);
		return CONFIG_EXIT_RTPPROXY;
	}
	if (!uses_xdp(&c->dp) && c->dp.mode != DP_MODE_AUTO)
		why = "--dataplane without XDP and --xdp-mode contradict each other";
	else if (!uses_xdp(&c->dp) && c->dp.n_interfaces)
		why = "--dataplane without XDP and --interface contradict each other";
	else if (c->replicate && (!c->state_dir || (!c->listen.n && (c->group || !c->n_further))))
		why = "--replicate needs --state-dir, and the media addresses by -l or -6: they "
		      "decide which daemon is the owner";
	if (why) {
		snprintf(err, err_size, "%s", why);
		return CONFIG_EXIT_OURS;
	}
	rc = add_groups(c, err, err_size);
	if (rc)
		return rc;
	settle(c);
	return add_listeners(c, err, err_size);
}

void config_free(struct config *c)
{
	redis_url_free(&c->redis);
	free(c->redis_password);
	c->redis_password = NULL;
	for (unsigned int i = 0; i < c->n_further; i++)
		free(c->further[i].name);
	c->n_further = 0;
	for (unsigned int i = 0; i < FACES_MAX_LISTENERS; i++) {
		free(c->listeners[i].label);
		free(c->listeners[i].advertised);
		c->listeners[i].label = c->listeners[i].advertised = NULL;
	}
}

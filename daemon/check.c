/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c - asks the host about the addresses, directories and limits of a command line. It opens
 * no socket for longer than a question, and creates no file.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "net/sockets.h"

#define FILES_PER_CALL 4
#define KERNEL_MAJOR 5 /* the XDP program needs bpf_xdp_load_bytes() and more of Linux 5.18 */
#define KERNEL_MINOR 18

static void say(const char *result, const char *thing, const char *text, const char *remedy)
{
	printf("%-8s %s: %s%s%s\n", result, thing, text, *remedy ? "; " : "", remedy);
}

static unsigned int check_addresses(const struct config *c)
{
	unsigned int good = 0;
	char text[ADDR_TEXT];

	for (unsigned int i = 0; i < c->n_listeners; i++) {
		int err = sockets_can_bind(&c->listeners[i].addr);

		addr_host_text(&c->listeners[i].addr, text);
		good += !err || c->replicate;
		if (err && c->replicate)
			say("ok", text, "not here: this host would stand by for its group", "");
		else if (err)
			say("wrong", text, strerror(-err),
			    "give the address to an interface, or another one to -l or -6");
		else
			say("ok", text, "media ports can be opened", "");
	}
	return good;
}

/* Whether the user of -u may do so in the directory, by its mode alone. */
static bool may(const struct config *c, const struct stat *st, unsigned int what)
{
	uid_t uid = c->uid == (uid_t)-1 ? geteuid() : c->uid;
	gid_t gid = c->gid == (gid_t)-1 ? getegid() : c->gid;
	unsigned int shift = st->st_uid == uid ? 6 : st->st_gid == gid ? 3 : 0;

	return uid == 0 || (st->st_mode >> shift & what) == what;
}

static void check_dir(const struct config *c, const char *option, const char *dir,
		      unsigned int what, const char *missing)
{
	char thing[PATH_MAX + 32];
	struct stat st;

	if (!dir)
		return;
	snprintf(thing, sizeof(thing), "%s %s", option, dir);
	if (stat(dir, &st) < 0)
		say("warning", thing, strerror(errno), missing);
	else if (!S_ISDIR(st.st_mode))
		say("wrong", thing, "is no directory", "name a directory");
	else if (!may(c, &st, what))
		say("wrong", thing, "the user that rtpxd runs as may not use it",
		    "give it to the user of -u, or change its mode");
	else
		say("ok", thing, "may be used", "");
}

/* The directory in which a file is made. */
static void check_dir_of(const struct config *c, const char *option, const char *file,
			 const char *missing)
{
	char dir[PATH_MAX];
	const char *slash = file ? strrchr(file, '/') : NULL;

	if (!slash)
		return;
	snprintf(dir, sizeof(dir), "%.*s", (int)MAX(slash - file, 1), file);
	check_dir(c, option, dir, 3, missing);
}

static void check_kernel(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return;
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		say("ok", u.release, "this kernel is new enough for the XDP program", "");
	else
		say("warning", u.release,
		    "this kernel is older than Linux 5.18, which the XDP program needs: the module or "
		    "the sockets forward every call",
		    "use a newer kernel, or load the module rtpx");
}

static void check_files(const struct config *c)
{
	unsigned long pairs = (c->port_max - c->port_min) / 2 + 1, calls;
	struct rlimit limit;
	char text[160];

	if (c->port_sockets == FLOOR_SHARED || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	calls = (c->nofile ? (unsigned long)c->nofile : limit.rlim_max) / FILES_PER_CALL;
	snprintf(text, sizeof(text), "open files for about %lu calls%s, ports for %lu", calls,
		 c->port_sockets == FLOOR_AUTO ? " where ports cannot share sockets" : "",
		 pairs / 2);
	say(calls >= pairs / 2 || c->port_sockets == FLOOR_AUTO ? "ok" : "warning", "-L", text,
	    calls >= pairs / 2 ? "" : "raise the limit of open files");
}

static void check_programs(const struct config *c)
{
	const struct jobs_opts jobs = config_jobs(c);
	const char *missing = jobs_check(&jobs);

	if (missing)
		say("wrong", "recordings", missing, "rtpxd does not start");
}

int check_host(const struct config *c)
{
	unsigned int good = check_addresses(c);

	check_dir(c, "-r", c->record_dir, 3, "make it, or nothing is recorded");
	check_dir(c, "-S", c->spool_dir, 3, "make it, or nothing is recorded");
	check_dir(c, "--state-dir", c->state_dir, 3, "rtpxd makes it as root");
	check_dir(c, "--prompt-dir", c->prompt_dir, 5, "make it, or no prompt plays");
	check_dir(c, "--prompt-cache", c->prompt_cache, 3,
		  "make it: rtpxd does not start without it");
	check_dir_of(c, "--acct-csv", c->acct_csv, "make it: rtpxd does not start without it");
	check_dir_of(c, "--acct-json", c->acct_json, "make it: rtpxd does not start without it");
	check_programs(c);
	check_kernel();
	check_files(c);
	if (!good)
		say("wrong", "rtpxd", "no call could work: no media address can be used", "");
	return good ? 0 : 1;
}

void check_warn(const struct config *c)
{
	char text[ADDR_TEXT];

	for (unsigned int i = 0; i < c->n_listeners; i++) {
		const struct addr *a = &c->listeners[i].addr;
		int err = sockets_can_bind(a);

		if (err)
			log_warn("media address %s: no port can be opened on it now (%s), so "
				 "commands that need one fail; give the address to an interface, "
				 "or another one to -l or -6",
				 addr_host_text(a, text), strerror(-err));
	}
}

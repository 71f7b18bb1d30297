/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * banner.c - reads the state that main has set up. Writes to stdout.
 */
#include <stdio.h>
#include <string.h>

#include "banner.h"

static const char *learning_text(enum learning how)
{
	static const char *const texts[] = {
		[LEARN_PROOF] = "proof: an address other than the signalled one proves itself "
				"by three packets",
		[LEARN_STRICT] = "strict: the signalled hosts only",
		[LEARN_COMPAT] = "compat: rtpproxy's rules; the first sender is believed",
	};

	return texts[how];
}

static void print_media(const struct config *c)
{
	char text[ADDR_TEXT];

	for (unsigned int i = 0; i < c->n_listeners; i++) {
		const struct listener *l = &c->listeners[i];

		printf("media       %s%s%s", addr_host_text(&l->addr, text),
		       l->advertised ? " advertised as " : "", l->advertised ? l->advertised : "");
		if (l->label)
			printf(" (label %s)", l->label);
		if (c->bridge && l->group < 2)
			printf(" (%s)", l->group ? "external" : "internal");
		printf(", ports %u to %u\n", c->port_min, c->dp.port_max);
	}
}

static void print_dataplane(struct dp *dp)
{
	static const char *const modes[] = {
		[DP_IF_OFF] = "sockets",
		[DP_IF_GENERIC] = "xdp generic",
		[DP_IF_NATIVE] = "xdp native",
	};
	struct dp_interface ifs[DP_MAX_INTERFACES];
	unsigned int n = dp_interfaces(dp, ifs, DP_MAX_INTERFACES);

	printf("dataplane   %s: %s\n", dp->ops->name, dp->choice);
	for (unsigned int i = 0; i < MIN(n, DP_MAX_INTERFACES); i++)
		printf("  %-15s %-11s %-12s %s\n", ifs[i].name, modes[ifs[i].mode], ifs[i].driver,
		       ifs[i].reason);
}

/*
 * Print Kamailio's lines for a control socket of a kind that its rtpproxy module supports. The
 * loopback address replaces an IPv4 wildcard, because Kamailio cannot send to a wildcard.
 */
static bool print_kamailio(const char *control)
{
	static const char *const usable[] = { "udp:", "udp6:", "unix:" };
	static const char any[] = "udp:0.0.0.0:",
			  line[] = "modparam(\"rtpproxy\", \"rtpproxy_sock\",";
	bool wildcard = !strncmp(control, any, sizeof(any) - 1);

	for (size_t i = 0; i < ARRAY_SIZE(usable); i++) {
		if (strncmp(control, usable[i], strlen(usable[i])))
			continue;
		printf("for kamailio.cfg:\n  loadmodule \"rtpproxy.so\"\n  %s \"%s%s\")\n", line,
		       wildcard ? "udp:127.0.0.1:" : control,
		       wildcard ? control + sizeof(any) - 1 : "");
		return true;
	}
	return false;
}

void banner(const struct config *c, const struct listen *listen, struct dp *dp, bool admin)
{
	const char *text;

	printf("rtpxd %s\n", RTPX_VERSION);
	for (unsigned int i = 0; (text = listen_describe(listen, i)); i++)
		printf("control     %s\n", text);
	if (admin)
		printf("rtpxctl     %s\n", c->admin_socket);
	print_media(c);
	print_dataplane(dp);
	printf("learning    %s\n", learning_text(c->learning));
	for (unsigned int i = 0; (text = listen_describe(listen, i)); i++)
		if (print_kamailio(text))
			break;
	fflush(stdout);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * follow.c - copies a stream of the daemon to a file or a pipe. A signal ends the stream at the
 * daemon, which still sends all packets that have arrived before.
 */
#include "follow.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ask.h"
#include "base/whole.h"

static int daemon_fd = -1;

static void on_signal(int number)
{
	(void)number;
	shutdown(daemon_fd, SHUT_WR);
}

/* A stream of packets or lines never begins with a brace: this is an error as JSON. */
static int refused(const char *text)
{
	struct json_object *o = json_tokener_parse(text);

	fprintf(stderr, "rtpxctl: %s\n", o ? json_text(o, "error") : text);
	json_object_put(o);
	return 2;
}

static int copy(int from, int to)
{
	bool begun = false;
	char buf[65536];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf) - 1)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		buf[n] = '\0';
		if (!begun && buf[0] == '{')
			return refused(buf);
		begun = true;
		if (!write_whole(to, buf, (size_t)n)) {
			fprintf(stderr, "rtpxctl: cannot write: %s\n", strerror(errno));
			return 1;
		}
	}
	return 0;
}

int follow_run(const char *socket_path, const char *request, const char *arg, const char *path)
{
	struct sigaction on = { .sa_handler = on_signal };
	int to = STDOUT_FILENO, code;

	daemon_fd = ask_open(socket_path, request, arg);
	if (daemon_fd < 0)
		return 3;
	if (path)
		to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (to < 0) {
		fprintf(stderr, "rtpxctl: %s: cannot be opened: %s\n", path, strerror(errno));
		close(daemon_fd);
		return 1;
	}
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	signal(SIGPIPE, SIG_IGN);
	code = copy(daemon_fd, to);
	close(daemon_fd);
	if (path)
		close(to);
	return code;
}

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Signals a relay's calls again and again, as session refreshes and re-INVITEs do.

signaller.py HOST PORT PIDFILE FIRST OTHER - once a second, sends one of two groups of commands
(joined by ";;") to the relay's control socket udp:HOST:PORT, in turn. When the relay has answered
all of them, the rtp_end.py whose process id is in PIDFILE, if there is one yet, changes to its
first port (after FIRST) or to the other one (after OTHER). SIGTERM ends it. It prints one JSON
object: rounds, errors (error replies, and commands without a reply within a second).
"""
import contextlib
import json
import os
import signal
import socket
import sys
import time

ROUND_S = 1


def ask(control, cookie, command):
    """Sends one command. True when its reply is no error."""
    control.send(f"{cookie} {command}".encode())
    try:
        while not (reply := control.recv(4096).decode()).startswith(cookie + " "):
            pass
    except TimeoutError:
        return False
    return not reply.split()[1].startswith("E")


def move(pid_file, number):
    with contextlib.suppress(OSError, ValueError), open(pid_file, encoding="ascii") as f:
        os.kill(int(f.read()), number)


def main(host, port, pid_file, *groups):
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    control.connect((host, int(port)))
    control.settimeout(1)
    groups = [[c.strip() for c in group.split(";;")] for group in groups]
    rounds = errors = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while True:
            for n, command in enumerate(groups[rounds % 2]):
                errors += not ask(control, f"{os.getpid()}-{rounds}-{n}", command)
            move(pid_file, (signal.SIGHUP, signal.SIGALRM)[rounds % 2])
            rounds += 1
            time.sleep(ROUND_S)
    finally:
        json.dump({"rounds": rounds, "errors": errors}, sys.stdout)
        print()


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])

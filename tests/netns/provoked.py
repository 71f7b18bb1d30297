#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together busy
"""provoked.py - a peer that repeats a wrong command 10,000 times gets an answer to each, and some lines
in the log with the number of all others.

The kinds of lines are rows of daemon/base/provoked.h; tests/unit/test_log.c has each of them.
"""
import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, wait_for

TIMES, BATCH = 10000, 100
BURST = 10              # LOG_BURST of daemon/base/log.h
# Kind of line, the command with %d for its number, the start of the reply, the text of the line.
KINDS = (
    ("malformed", "U malformed%d", "E", "malformed, refused"),
    ("control characters", "U\x01\x1b[2J%d 1 2", "E", "malformed, refused"),
    ("unknown call", "Q nothing%d a b", "E50", "there is no such session"),
    ("unknown call of an L", "L nothing%d 127.0.0.1 5000 a b", "0", "there is no such session"),
    ("limit", "U more%d 127.0.0.1 5000 a", "E98", "new session refused"),
    ("prompt outside", "P10 call /etc/passwd 0 a b", "E60", "rtpxd may not read it"),
    ("recording", "R call a b", "E50", "cannot record to"),
    ("copy", "C call udp:nowhere a b", "E65", "cannot copy to"),
    ("notification target", "U call 127.0.0.1 5000 a tcp:127.0.0.1:%d none", "[1-9]", "is none of the -n options"),
)


def repeat(path, command):
    """The command TIMES times. Returns the replies."""
    replies = []
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60 * netlab.PATIENCE)
        s.connect(path)
        stream = s.makefile("r", encoding="utf-8", errors="replace")
        for first in range(0, TIMES, BATCH):
            lines = [command % n if "%d" in command else command for n in range(first, first + BATCH)]
            s.sendall("".join(line + "\n" for line in lines).encode())
            replies += [stream.readline() for _ in lines]
    return replies


def provoke(check, relay, kind, command, reply, text):
    at, begun = len(relay.log()), time.monotonic()
    replies = repeat(f"{relay.net.dir}/many", command)
    good = sum(re.match(reply, r) is not None for r in replies)
    check(f"{kind}: each of {TIMES} has its answer", good == TIMES, f"{good}, {replies[:1]}")
    most = BURST + 2 + (time.monotonic() - begun)

    def counted():
        new = relay.log()[at:]
        lines = len(re.findall(rf"^\w+:[^:\n]*:\w+:\d+: .*(?:{text})", new, re.M))
        left_out = sum(int(n) for n in re.findall(r": (\d+) more lines of this kind left out", new))
        return lines, left_out
    check(f"{kind}: some lines and the number of the others", wait_for(10, lambda: sum(counted()) >= TIMES), str(counted()))
    check(f"{kind}: no more lines than its budget", counted()[0] <= most + 2 * netlab.PATIENCE, f"{counted()[0]}, {most:.0f} at most")


def main():
    with netlab.judged() as check, Net("relay") as net:
        net.do("relay ip link set lo up")
        relay = net.relay("relay", "-l", "127.0.0.1", "--max-sessions", "1", "-m", "30000", "-M", "30100", "-n", f"unix:{net.dir}/n",
                          "-r", f"{net.dir}/missing", "--prompt-dir", net.dir, "-T", "600", "-s", f"cunix:{net.dir}/many")
        relay.command("U call 127.0.0.1 5000 a")
        relay.command("L call 127.0.0.1 6000 a b")
        for kind in KINDS:
            provoke(check, relay, *kind)
        check("the whole log is small", len(relay.log()) < 200000, str(len(relay.log())))
        check("malformed commands and unknown calls are counted", int(relay.command("G ncmds_errs")) >= 2 * TIMES)


main()

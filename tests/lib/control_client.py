#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A controller that never stops: commands of the rtpproxy protocol at a steady rate, until it is told to end.

control_client.py udp:HOST:PORT|unix:PATH RATE - each command as Kamailio's rtpproxy module sends it: over UDP from a
connected socket, a second for the reply, six times; over a unix socket a connection for each. After the first reply it prints
"begun", on SIGTERM one JSON object: commands, answered, refused (by the system: nobody has the socket), unanswered, again (sent more than
once), slowest_ms.
"""
import json
import select
import signal
import socket
import sys
import time

TRIES, TRY_S = 6, 1.0


def ask_udp(address, number, counts):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(address)
        cookie = b"%d_%d" % (number, time.monotonic_ns())
        for attempt in range(TRIES):
            counts["again"] += attempt > 0
            try:
                s.send(cookie + b" V")
                until = time.monotonic() + TRY_S
                while select.select([s], [], [], max(0, until - time.monotonic()))[0]:
                    if s.recv(2048).startswith(cookie + b" "):
                        return "answered"
            except ConnectionRefusedError:
                return "refused"
    return "unanswered"


def ask_unix(path, _number, _counts):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(TRIES * TRY_S)
        try:
            s.connect(path)
            s.sendall(b"V")
            return "answered" if s.recv(2048) else "unanswered"
        except (ConnectionRefusedError, FileNotFoundError):
            return "refused"
        except (OSError, TimeoutError):
            return "unanswered"


def main():
    target, rate = sys.argv[1], float(sys.argv[2])
    kind, _, rest = target.partition(":")
    host, _, port = rest.rpartition(":")
    ask, where = (ask_udp, (host, int(port))) if kind == "udp" else (ask_unix, rest)
    counts = {"commands": 0, "answered": 0, "refused": 0, "unanswered": 0, "again": 0, "slowest_ms": 0}
    ends = []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
    due = time.monotonic()
    while not ends:
        time.sleep(max(0, due - time.monotonic()))
        due += 1 / rate
        began = time.monotonic()
        counts["commands"] += 1
        counts[ask(where, counts["commands"], counts)] += 1
        if counts["commands"] == 1:
            print("begun", flush=True)
        counts["slowest_ms"] = max(counts["slowest_ms"], round((time.monotonic() - began) * 1000))
    print(json.dumps(counts))


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Floods media ports of a relay while it asks the relay's control socket, and says how that went.

flood.py HOST PORT[,PORT…] CONTROL-PORT SECONDS - sends datagrams to the ports in turn, as fast as
some processes can, and meanwhile one command every 10 ms to udp:HOST:CONTROL-PORT. Prints one JSON
object: flooded, asked, unanswered (within a second), median_ms and worst_ms of the answers.
"""
import json
import multiprocessing
import socket
import sys
import time

BURST = 500
PROCESSES = 3
PAUSE_S = 0.01


def flood(host, ports, end, sent):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while time.monotonic() < end:
        for port in ports:
            for _ in range(BURST):
                s.sendto(b"flood", (host, port))
            sent.value += BURST


def ask(s, number):
    cookie = b"flood%d" % number
    begin = time.monotonic()
    s.send(cookie + b" V")
    try:
        while s.recv(256) != cookie + b" 20040107\n":
            pass
    except TimeoutError:
        return None
    return (time.monotonic() - begin) * 1000


def main(host, ports, control, seconds):
    end = time.monotonic() + seconds
    sent = [multiprocessing.Value("Q", 0, lock=False) for _ in range(PROCESSES)]
    children = [multiprocessing.Process(target=flood, args=(host, ports, end, n)) for n in sent]
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((host, control))
    s.settimeout(1)
    for child in children:
        child.start()
    answers = []
    while time.monotonic() < end:
        answers.append(ask(s, len(answers)))
        time.sleep(PAUSE_S)
    for child in children:
        child.join()
    times = sorted(a for a in answers if a is not None)
    json.dump({
        "flooded": sum(n.value for n in sent),
        "asked": len(answers),
        "unanswered": len(answers) - len(times),
        "median_ms": times[len(times) // 2] if times else None,
        "worst_ms": times[-1] if times else None,
    }, sys.stdout)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    to, media, command, duration = sys.argv[1:]
    main(to, [int(p) for p in media.split(",")], int(command), float(duration))

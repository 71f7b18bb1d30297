#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Floods a relay's control sockets, and says how a proxy that asks meanwhile is served.

control_flood.py UDP-HOST:PORT TCP-HOST:PORT RATE SECONDS - several clients send RATE datagrams a second in all: half are garbage,
the others questions, set-ups and deletions of calls, a tenth of them sent again with the same cookie. Beside them, TCP
connections that send and never read, that stay silent, and that send a megabyte without an end of line. A proxy asks V every
20 ms, and again after half a second without answer. Prints one JSON object: sent, asked, unanswered, median_ms, p99_ms.
"""
import contextlib
import json
import multiprocessing
import os
import random
import socket
import sys
import time

CLIENTS = 3
BURST = 50
GREEDY = SILENT = 20
PAUSE_S = 0.02
RETRY_S = 0.5
TRIES = 10


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def command(rng, n, name):
    call = "%s-%d@flood" % (name, n // 8)
    kind = n % 8
    if kind == 0:
        return b"U %s 192.0.2.66 4000 f;1" % call.encode()
    if kind == 7:
        return b"D %s f" % call.encode()
    if kind % 2:
        return rng.choice((b"\xff" + os.urandom(rng.randrange(200)), b"U" * rng.randrange(1, 2000), b"", b"\0", b"U a b c d e",
                           b"L" + b" " * 30, b"P5 " + call.encode(), b"V" + b" &&" * 40))
    return rng.choice((b"V", b"VF 20040107", b"Q %s f" % call.encode(), b"I", b"G nsess_created"))


def client(to, rate, end, name, sent):
    rng = random.Random(name)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    start, n = time.monotonic(), 0
    while time.monotonic() < end:
        for _ in range(BURST):
            data = b"%s%d " % (name.encode(), n if rng.random() > 0.1 else max(0, n - 10)) + command(rng, n, name)
            with contextlib.suppress(BlockingIOError):
                s.sendto(data, to)
            n += 1
        with contextlib.suppress(BlockingIOError):
            while True:
                s.recv(4096)
        ahead = start + n / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    sent.value = n


def nuisances(to):
    """Connections that a well-behaved client would not make; they stay until the process ends."""
    kept = []
    for i in range(GREEDY + SILENT + 1):
        s = socket.create_connection(to)
        s.setblocking(False)
        data = b"I\n" * 20000 if i < GREEDY else b"V 1" if i < GREEDY + SILENT else b"V" * (1 << 20)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while data:
                data = data[s.send(data):]
        kept.append(s)
    return kept


def ask(s, to, number):
    cookie = b"proxy%d" % number
    begin = time.monotonic()
    for _ in range(TRIES):
        s.sendto(cookie + b" V", to)
        with contextlib.suppress(TimeoutError):
            while s.recv(256) != cookie + b" 20040107\n":
                pass
            return (time.monotonic() - begin) * 1000
    return None


def main(udp, tcp, rate, seconds):
    end = time.monotonic() + float(seconds)
    sent = [multiprocessing.Value("Q", 0, lock=False) for _ in range(CLIENTS)]
    children = [multiprocessing.Process(target=client, args=(address(udp), float(rate) / CLIENTS, end, "c%d" % i, sent[i]))
                for i in range(CLIENTS)]
    for child in children:
        child.start()
    kept = nuisances(address(tcp))
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(RETRY_S)
    answers = []
    while time.monotonic() < end:
        answers.append(ask(s, address(udp), len(answers)))
        time.sleep(PAUSE_S)
    for child in children:
        child.join()
    for connection in kept:
        connection.close()
    times = sorted(a for a in answers if a is not None)
    json.dump({"sent": sum(n.value for n in sent), "asked": len(answers), "unanswered": len(answers) - len(times),
               "median_ms": times[len(times) // 2] if times else None,
               "p99_ms": times[len(times) * 99 // 100] if times else None}, sys.stdout)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Floods a relay's control sockets, and says how a proxy that asks meanwhile is served.

control_flood.py UDP-HOST:PORT TCP-HOST:PORT RATE SECONDS - several clients send RATE datagrams a second in all: half are garbage,
the others questions, set-ups and deletions of calls, a tenth of them retransmissions of the burst before. Beside them, TCP connections that send and never read, that stay silent, that send a megabyte without an end of line, and that are
begun from made-up addresses of 127.66.0.0/16 and stay half open (whoever calls this drops what goes there). A proxy asks V every
20 ms, and again after half a second without answer, and now and then over a TCP connection of its own. Prints one JSON object:
sent, repeated (retransmissions whose answer came again), changed (those whose answer was another one), half_open (at a time, at most), asked, unanswered,
median_ms, p99_ms, tcp_asked, tcp_unanswered.
"""
import collections
import contextlib
import json
import multiprocessing
import os
import random
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
from patience import slowness

CLIENTS = 3
BURST = 50
GREEDY = SILENT = 20
PAUSE_S = 0.02
RETRY_S = 0.5 * slowness()
TRIES = 10
TCP_EVERY = 20  # questions
SYNS, SYNS_EVERY_S = 100, 0.1
SYN_RECEIVED = "03"  # in /proc/net/tcp


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


class Answers:
    """The answers to datagrams that are sent again: the first answer must come each time."""

    def __init__(self):
        self.first, self.repeated, self.changed = {}, 0, 0

    def take(self, data):
        cookie, _, answer = data.partition(b" ")
        first = self.first.get(cookie)
        if first == b"":
            self.first[cookie] = answer
        elif first is not None:
            self.repeated += first == answer
            self.changed += first != answer


def client(to, rate, end, name, counts):
    rng, answers = random.Random(name), Answers()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    start, n = time.monotonic(), 0
    again = collections.deque()
    while time.monotonic() < end:
        for i in range(BURST):
            cookie = b"%s%d" % (name.encode(), n)
            data = cookie + b" " + command(rng, n, name)
            if i % 10 == 1:
                answers.first.setdefault(cookie, b"")
                again.append(data)
            elif i % 10 == 0 and len(again) > BURST // 10:
                data = again.popleft()
            with contextlib.suppress(BlockingIOError):
                s.sendto(data, to)
            n += 1
        with contextlib.suppress(BlockingIOError):
            while True:
                answers.take(s.recv(4096))
        ahead = start + n / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    counts[:] = n, answers.repeated, answers.changed


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def begin_connection(raw, to, rng):
    """The first packet of a connection from somebody who does not exist."""
    source, dest = bytes((127, 66, rng.randrange(256), rng.randrange(1, 255))), socket.inet_aton(to[0])
    tcp = struct.pack("!HHIIBBHHH", rng.randrange(1024, 65536), to[1], rng.getrandbits(32), 0, 5 << 4, 2, 65535, 0, 0)
    sum_ = checksum(source + dest + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp)) + tcp)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0, source, dest)
    with contextlib.suppress(OSError):
        raw.sendto(ip + tcp[:16] + struct.pack("!H", sum_) + tcp[18:], to)


def half_open(to):
    with open("/proc/net/tcp", encoding="ascii") as f:
        return sum(line.split()[3] == SYN_RECEIVED and line.split()[1].endswith(":%04X" % to[1]) for line in f)


def begin_connections(to, end, most):
    raw, rng = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW), random.Random()
    while time.monotonic() < end:
        for _ in range(SYNS):
            begin_connection(raw, to, rng)
        most.value = max(most.value, half_open(to))
        time.sleep(SYNS_EVERY_S)


def ask_over_tcp(to):
    try:
        with socket.create_connection(to, TRIES * RETRY_S) as s:
            s.sendall(b"V\n")
            return s.recv(256) == b"20040107\n"
    except OSError:
        return False


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
    udp, tcp, end = address(udp), address(tcp), time.monotonic() + float(seconds)
    counts = [multiprocessing.Array("Q", 3, lock=False) for _ in range(CLIENTS)]
    children = [multiprocessing.Process(target=client, args=(udp, float(rate) / CLIENTS, end, "c%d" % i, counts[i]))
                for i in range(CLIENTS)]
    most = multiprocessing.Value("Q", 0, lock=False)
    children.append(multiprocessing.Process(target=begin_connections, args=(tcp, end, most)))
    for child in children:
        child.start()
    kept = nuisances(tcp)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(RETRY_S)
    answers, tcp_answers = [], []
    while time.monotonic() < end:
        answers.append(ask(s, udp, len(answers)))
        if len(answers) % TCP_EVERY == 1:
            tcp_answers.append(ask_over_tcp(tcp))
        time.sleep(PAUSE_S)
    for child in children:
        child.join()
    for connection in kept:
        connection.close()
    times = sorted(a for a in answers if a is not None)
    sent, repeated, changed = map(sum, zip(*counts))
    json.dump({"sent": sent, "repeated": repeated, "changed": changed, "half_open": most.value,
               "asked": len(answers), "unanswered": len(answers) - len(times),
               "median_ms": times[len(times) // 2] if times else None, "p99_ms": times[len(times) * 99 // 100] if times else None,
               "tcp_asked": len(tcp_answers), "tcp_unanswered": tcp_answers.count(False)}, sys.stdout)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""One end of a call: sends G.711 RTP at its pace from one UDP socket and judges what arrives on it.

rtp_end.py LOCAL PORT[,OTHER] REMOTE PORT SECONDS [PTIME-MS [SSRC]] - prints one JSON object: sent, received, lost, wrong
(payload not as the other end sends it), reports (of the other end), wrong_reports, latency_us (p50, p99),
longest_gap_ms (between two right packets), began_ms, first_ms and ended_ms (CLOCK_MONOTONIC of the first packet sent, the
first right one heard, the last one sent). Every payload carries its send time (CLOCK_MONOTONIC, which all namespaces of a
host share) and a pattern that depends on the sequence number. An RTCP sender report goes to the next port once a second,
with the SSRC and what was sent. With two ports it listens on both; SIGALRM has it send from
OTHER, SIGHUP from PORT again.

It listens until nothing has come for 0.3 s of an idle machine after its last packet. With RTP_END_ENDED=FILE in the environment it makes this
file after its last packet, and with RTP_END_LISTENS=FILE it listens until the other end has made that file, and then
likewise. SIGUSR1: the next packet is the last one. With RTP_END_WAITS in the environment it sends nothing before SIGHUP,
and hears the other end meanwhile.
"""
import contextlib
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
from patience import slowness

PCMU = 0
SAMPLES_PER_MS = 8
TAIL_S = 0.3  # of silence after the last packet: the other end may have begun later
LONGEST_TAIL_S = 5
MOST_SLOW = 5
LONGEST_LISTEN_S = 120
SO_RCVBUFFORCE = 33
RECEIVE_BYTES = 4 << 20  # a receiver that a busy machine lets wait for seconds loses nothing
LATEST_NS = 100_000_000  # an end that was held up longer sends later, and not all at once


def pattern(seq, size):
    return bytes((seq * 7 + i * 13) & 0xFF for i in range(size))


def sender_report(ssrc, packets):
    return struct.pack("!BBHIIIIII", 0x80, 200, 6, ssrc, 0, 0, 0, packets, packets * 160)


def reports(sock):
    """The SSRCs of the reports that wait in the socket; None for what is no sender report."""
    sock.setblocking(False)
    while True:
        try:
            data = sock.recv(2048)
        except BlockingIOError:
            return
        yield struct.unpack_from("!I", data, 4)[0] if len(data) == 28 and data[1] == 200 else None


def percentile(values, share):
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))] / 1000, 1) if values else None


class End:
    def __init__(self, local, port, remote, remote_port, seconds, ptime_ms=20, ssrc=None):
        self.hung_up = False
        self.waiting = "RTP_END_WAITS" in os.environ
        self.take_signals()  # before it listens: a test sends them as soon as it does
        family = socket.AF_INET6 if ":" in local else socket.AF_INET
        self.rtp, self.rtcp = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        for sock in self.rtp, self.rtcp:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        self.rtcp.bind((local, port + 1))
        self.rtp.bind((local, port))
        self.peer, self.peer_rtcp = (remote, remote_port), (remote, remote_port + 1)
        self.count = int(seconds * 1000 / ptime_ms)
        self.interval = ptime_ms * 1_000_000
        self.size = ptime_ms * SAMPLES_PER_MS
        self.ssrc = random.getrandbits(32) if ssrc is None else ssrc
        self.peers, self.seen, self.wrong, self.latency = set(), set(), 0, []
        self.first_ns, self.last_ns, self.gap_ns = None, None, 0

    def take_signals(self):
        signal.signal(signal.SIGHUP, self.begin)
        signal.signal(signal.SIGUSR1, self.hang_up)

    def begin(self, number, frame):
        self.waiting = False

    def hang_up(self, number, frame):
        self.hung_up = True

    def send(self, seq):
        header = struct.pack("!BBHII", 0x80, PCMU | (0x80 if seq == 0 else 0), seq & 0xFFFF, seq * self.size, self.ssrc)
        body = pattern(seq, self.size - 8)
        with contextlib.suppress(OSError):  # a network that a test has broken: the packet is lost
            self.rtp.sendto(header + struct.pack("!Q", time.monotonic_ns()) + body, self.peer)
            if seq % 50 == 0:
                self.rtcp.sendto(sender_report(self.ssrc, seq), self.peer_rtcp)

    def receive(self, until):
        while True:
            left = (until - time.monotonic_ns()) / 1e9
            if left <= 0:
                return
            self.rtp.settimeout(left)
            try:
                data = self.rtp.recv(2048)
            except TimeoutError:
                return
            except OSError:  # likewise
                continue
            now = time.monotonic_ns()
            self.judge(data, now)

    def receive_tail(self):
        mine, others = (os.environ.get("RTP_END_" + name) for name in ("ENDED", "LISTENS"))
        if mine:
            open(mine, "wb").close()
        longest = time.monotonic() + LONGEST_LISTEN_S
        while others and not os.path.exists(others) and time.monotonic() < longest:
            self.receive(time.monotonic_ns() + int(TAIL_S * 1e9))
        heard, longest = -1, time.monotonic() + LONGEST_TAIL_S
        while heard != len(self.latency) + self.wrong and time.monotonic() < longest:
            heard = len(self.latency) + self.wrong
            self.receive(time.monotonic_ns() + int(TAIL_S * min(slowness(), MOST_SLOW) * 1e9))

    def reports(self):
        return list(reports(self.rtcp))

    def judge(self, data, now):
        if len(data) < 20 or data[20:] != pattern(int.from_bytes(data[2:4]), len(data) - 20):
            self.wrong += 1
            return
        _, _, seq, _, ssrc, sent = struct.unpack_from("!BBHIIQ", data)
        self.latency.append(now - sent)
        self.first_ns = self.first_ns or now
        self.gap_ns = max(self.gap_ns, now - (self.last_ns or now))
        self.last_ns = now
        self.seen.add(seq)
        self.peers.add(ssrc)

    def run(self):
        longest = time.monotonic() + LONGEST_LISTEN_S
        while self.waiting and time.monotonic() < longest:
            self.receive(time.monotonic_ns() + 5_000_000)
        start = due = time.monotonic_ns()
        for seq in range(self.count):
            self.receive(due)
            self.send(seq)
            due = max(due, time.monotonic_ns() - LATEST_NS) + self.interval
            if self.hung_up:
                self.count = seq + 1
                break
        ended = time.monotonic_ns()
        self.receive_tail()
        first, heard = min(self.seen, default=0), self.reports()
        right = sum(ssrc in self.peers for ssrc in heard)
        return {
            "sent": self.count, "received": len(self.seen), "wrong": self.wrong,
            "reports": right, "wrong_reports": len(heard) - right,
            "before_first": first, "lost": self.count - first - len(self.seen),
            "longest_gap_ms": round(self.gap_ns / 1e6),
            "began_ms": start // 1_000_000, "first_ms": self.first_ns and self.first_ns // 1_000_000, "ended_ms": ended // 1_000_000,
            "latency_us": {"p50": percentile(self.latency, 0.5), "p99": percentile(self.latency, 0.99)},
        }


class MovingEnd(End):
    """An end with two pairs of ports. It sends from one of them."""

    def __init__(self, local, port, other, *rest):
        self.other = False
        super().__init__(local, port, *rest)
        here = self.rtp, self.rtcp
        super().__init__(local, other, *rest)
        self.pairs = here, (self.rtp, self.rtcp)

    def take_signals(self):
        super().take_signals()
        signal.signal(signal.SIGHUP, self.move)
        signal.signal(signal.SIGALRM, self.move)

    def move(self, number, frame):
        self.waiting = False
        self.other = number == signal.SIGALRM

    def send(self, seq):
        self.rtp, self.rtcp = self.pairs[self.other]
        super().send(seq)

    def receive(self, until):
        while (left := (until - time.monotonic_ns()) / 1e9) > 0:
            for sock in select.select([rtp for rtp, _ in self.pairs], [], [], left)[0]:
                with contextlib.suppress(OSError):
                    self.judge(sock.recv(2048), time.monotonic_ns())

    def reports(self):
        return [ssrc for _, rtcp in self.pairs for ssrc in reports(rtcp)]


if __name__ == "__main__":
    if len(sys.argv) not in (6, 7, 8):
        sys.exit(__doc__)
    local, port, remote, remote_port, seconds, *more = sys.argv[1:]
    rest = remote, int(remote_port), float(seconds), *map(int, more)
    ports = [int(p) for p in port.split(",")]
    end = MovingEnd(local, *ports, *rest) if len(ports) == 2 else End(local, *ports, *rest)
    json.dump(end.run(), sys.stdout)
    print()

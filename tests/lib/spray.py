#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A stranger who sprays a relay's ports, and counts what he hears back: anything is somebody's call.

spray.py HOST FIRST-PORT LAST-PORT PER-PORT SOURCE[,SOURCE…] [SSRC [START]] - sends PER-PORT packets in a row to each
port from each source, an address of this host, or ADDRESS:PORT of another one, which is forged. Even ports get RTP, odd
ports RTCP. Without SSRC it is made up; with START, the CLOCK_MONOTONIC second at which its owner began to send 50 packets
a second, they continue that stream, else the sequence is made up. Prints one JSON object: sent, heard.
"""
import json
import random
import select
import socket
import struct
import sys
import time

MARK = b"mallory "
PAYLOAD = MARK * 20
LISTEN_S = 0.5   # how long to listen on after the last packet
BREATH = 200     # packets between two looks at what came back


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Honest:
    """A source address of this host: what is sent to it can be heard."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.setblocking(False)
        self.heard = 0

    def send(self, data, to):
        self.socket.sendto(data, to)

    def listen(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.socket.recv(2048)
            self.heard += 1


class Forger:
    """Somebody else's address: he hears what comes of it, not we."""

    heard = 0

    def __init__(self, address, port):
        self.address, self.port = socket.inet_aton(address), port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, data, to):
        udp = struct.pack("!HHHH", self.port, to[1], 8 + len(data), 0) + data
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0, self.address,
                           socket.inet_aton(to[0]))
        self.socket.sendto(head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp, (to[0], 0))

    def listen(self):
        pass


def source(text):
    address, _, port = text.partition(":")
    return Forger(address, int(port)) if port else Honest(address)


def rtp(ssrc, seq):
    return struct.pack("!BBHII", 0x80, 0, seq & 0xFFFF, seq * 160 & 0xFFFFFFFF, ssrc) + PAYLOAD


def rtcp(ssrc):
    return struct.pack("!BBHIIIIII", 0x80, 200, 6, ssrc, 0, 0, 0, 1, 160) + MARK


def main(host, first, last, per_port, sources, ssrc=None, start=None):
    sources, sent = [source(s) for s in sources.split(",")], 0
    for s in sources:
        for port in range(int(first), int(last) + 1):
            stream = int(ssrc) if ssrc else random.getrandbits(32)
            seq = int((time.monotonic() - float(start)) * 50) + 1 if start else random.getrandbits(15)
            for i in range(int(per_port)):
                s.send(rtcp(stream) if port % 2 else rtp(stream, seq + i), (host, port))
                sent += 1
                if sent % BREATH == 0:
                    time.sleep(0.001)
                    for listener in sources:
                        listener.listen()
    end = time.monotonic() + LISTEN_S
    while time.monotonic() < end:
        time.sleep(0.02)
        for s in sources:
            s.listen()
    json.dump({"sent": sent, "heard": sum(s.heard for s in sources)}, sys.stdout)
    print()


if __name__ == "__main__":
    if len(sys.argv) not in (6, 7, 8):
        sys.exit(__doc__)
    main(*sys.argv[1:])

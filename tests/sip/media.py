#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The media of the phones whose signalling SIPp does: RTP or UDPTL, a packet every 20 ms.

media.py PIPE - reads lines "FLOW.PHONE VERB ARGUMENT..." from a named pipe, several verbs with ";"
between them:
  host NETNS ADDRESS  the phone's network namespace and address
  to ADDRESS PORT     the relay's address in the SDP that has arrived
  takes PHONE         takes over the relay's address that another phone of the flow has
  speak PORT [fax]    sends from this port, and listens on it; another port is a new stream
  fresh               a new stream from the same port
  quiet               sends nothing
  event               the first second begins
  hang-up             sends nothing any more
The line "judge FLOW LISTENER SPEAKER" prints one JSON object: sent_first and lost_first (packets of
the speaker in the first second after the event), sent and heard (in the two seconds after that),
twice, dead (packets at other ports of the listener in those two seconds). "end" ends it. A wrong
line is reported on stderr and changes nothing. All phones are in this process, so one clock dates
all packets.
"""
import ctypes
import json
import os
import random
import select
import socket
import struct
import sys
import time

TICK_S = 0.02
MARK = struct.Struct("!4sHI")  # "flow", number of the phone, count
SIZE = 172
MOST_PORTS = 3  # of a phone


class Stream:
    """A port of a phone, and the stream that it sends."""

    def __init__(self, phone, port, fax):
        self.phone, self.fax = phone, fax
        self.socket = phone.sockets.pop()
        self.socket.bind((phone.address, port))
        self.socket.setblocking(False)
        self.fresh()

    def fresh(self):
        self.ssrc, self.seq = random.getrandbits(32), 0 if self.fax else random.getrandbits(15)

    def packet(self, mark):
        self.seq = self.seq + 1 & 0x7FFF
        if self.fax:
            return struct.pack("!HBB", self.seq, 1, 6) + bytes(30) + mark
        head = struct.pack("!BBHII", 0x80, 0, self.seq, self.seq * 160, self.ssrc)
        return head + bytes(SIZE - len(head) - len(mark)) + mark


class inside:
    """with inside(NETNS): sockets belong to that namespace."""

    libc = ctypes.CDLL(None, use_errno=True)  # os.setns is younger than Debian 12's python3
    home = open("/proc/self/ns/net", "rb")

    def __init__(self, name):
        self.name = name

    def enter(self, namespace):
        if self.libc.setns(namespace.fileno(), 0):
            raise OSError(ctypes.get_errno(), self.name)

    def __enter__(self):
        with open(f"/run/netns/{self.name}", "rb") as namespace:
            self.enter(namespace)

    def __exit__(self, *_):
        self.enter(self.home)


class Phone:
    def __init__(self, number):
        self.number, self.sockets, self.address, self.to = number, [], None, None
        self.streams, self.current, self.speaks = {}, None, False
        self.sent = []   # when each packet was sent
        self.heard = {}  # number of the speaker: counts that came to the current port
        self.twice = 0
        self.dead = []   # when packets came to another port

    def say(self):
        if not self.speaks or not self.to or not self.current:
            return
        data = self.current.packet(MARK.pack(b"flow", self.number, len(self.sent)))
        self.sent.append(time.monotonic())
        self.current.socket.sendto(data, self.to)

    def hear(self, stream):
        while True:
            try:
                data = stream.socket.recv(2048)
            except BlockingIOError:
                return
            if data[-MARK.size:][:4] != b"flow":
                continue
            if stream is not self.current:
                self.dead.append(time.monotonic())
                continue
            _, speaker, count = MARK.unpack(data[-MARK.size:])
            heard = self.heard.setdefault(speaker, set())
            self.twice += count in heard
            heard.add(count)


class Media:
    def __init__(self, pipe):
        self.pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # no end of file between writers
        self.poll = select.epoll()
        self.poll.register(self.pipe, select.EPOLLIN)
        self.phones, self.streams, self.events = {}, {}, {}
        self.text, self.over = b"", False

    def phone(self, name):
        return self.phones.setdefault(name, Phone(len(self.phones)))

    def obey(self, line):
        name, _, commands = line.partition(" ")
        if name == "end":
            self.over = True
        elif name == "judge":
            print(json.dumps(self.judge(*commands.split())), flush=True)
        else:
            for command in commands.split(";"):
                verb, *words = command.split()
                getattr(self, "do_" + verb.replace("-", "_"))(name, self.phone(name), *words)

    def do_host(self, _name, phone, netns, address):
        phone.address = address
        with inside(netns):  # now: entering a namespace is slow
            phone.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(MOST_PORTS)]

    def do_to(self, _name, phone, host, port):
        if host != "0.0.0.0" and port != "0":
            phone.to = host, int(port)

    def do_takes(self, name, phone, other):
        phone.to = self.phone(f"{name.partition('.')[0]}.{other}").to

    def do_speak(self, _name, phone, port, kind="rtp"):
        if (port, kind) not in phone.streams:
            stream = phone.streams[port, kind] = Stream(phone, int(port), kind == "fax")
            self.streams[stream.socket.fileno()] = stream
            self.poll.register(stream.socket, select.EPOLLIN)
        phone.current, phone.speaks = phone.streams[port, kind], True

    def do_fresh(self, _name, phone):
        phone.current.fresh()

    def do_quiet(self, _name, phone):
        phone.speaks = False

    def do_hang_up(self, _name, phone):
        phone.speaks, phone.to = False, None

    def do_event(self, name, _phone):
        self.events[name.partition(".")[0]] = time.monotonic()

    def judge(self, flow, listener, speaker):
        event = self.events.get(flow)
        ear, mouth = self.phone(f"{flow}.{listener}"), self.phone(f"{flow}.{speaker}")
        if event is None:
            return {"sent_first": 0, "lost_first": 0, "sent": 0, "heard": 0, "twice": 0, "dead": 0}
        heard = ear.heard.get(mouth.number, set())
        first = [n for n, at in enumerate(mouth.sent) if 0 <= at - event < 1]
        after = [n for n, at in enumerate(mouth.sent) if 1 <= at - event < 3]
        return {"sent_first": len(first), "lost_first": len(set(first) - heard), "sent": len(after), "heard": len(heard & set(after)),
                "twice": ear.twice, "dead": sum(1 <= at - event < 3 for at in ear.dead)}

    def commands(self):
        self.text += os.read(self.pipe, 65536)
        *lines, self.text = self.text.split(b"\n")
        for line in lines:
            try:
                self.obey(line.decode())
            except Exception as why:  # the other flows go on
                print(f"{line.decode()}: {why!r}", file=sys.stderr, flush=True)

    def run(self):
        due = time.monotonic()
        while not self.over:
            for phone in self.phones.values():
                phone.say()
            due = max(due + TICK_S, time.monotonic() - TICK_S)
            while (left := due - time.monotonic()) > 0:
                for fd, _ in self.poll.poll(left):
                    if fd == self.pipe:
                        self.commands()
                    else:
                        self.streams[fd].phone.hear(self.streams[fd])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    Media(sys.argv[1]).run()

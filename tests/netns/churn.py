#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together limit=200
"""churn.py - calls begin and end while their owner is lost again and again: none is left over (docs/standby.md). The lab is that
of standby.py; the commands come as Kamailio sends them, each again after a second without a reply.

	CALLS=100000 TAKEOVERS=10 tests/netns/churn.py		the long form
"""
import os
import select
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, wait_for
from standby import MEDIA, Machine, Redis, lab

CALLS, TAKEOVERS = int(os.environ.get("CALLS", "3000")), int(os.environ.get("TAKEOVERS", "3"))
LIVING, AT_ONCE, TTL_S = min(2000, CALLS // 4), 64, 8


class Churn:
    """Calls with U, L and D. At most @LIVING of them live; at most @AT_ONCE commands wait for a reply."""

    def __init__(self, net):
        with net.within("lan"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.waiting, self.living, self.begun, self.ended, self.unknown, self.n = {}, [], 0, 0, 0, 0
        self.again = 0

    def send(self, text, then):
        self.n += 1
        cookie = f"churn_{self.n}".encode()
        self.waiting[cookie] = [cookie + b" " + text.encode(), time.monotonic() + 1, then]
        self.socket.sendto(self.waiting[cookie][0], (MEDIA, 7722))

    def begin(self):
        n = self.begun
        self.begun += 1

        def answered(reply):
            if not reply[:1].isdigit() or reply == "0":
                self.unknown += 1
            self.living.append(n)

        self.send(f"U c-{n} 10.9.0.2 {20000 + n % 20000 * 2} f-{n}",
                  lambda reply: self.send(f"L c-{n} 10.9.0.3 {20000 + n % 20000 * 2} f-{n} t-{n}", answered))

    def end(self):
        n = self.living.pop(0)

        def answered(reply):
            self.ended += 1
            self.unknown += reply != "0"
        self.send(f"D c-{n} f-{n} t-{n}", answered)

    def turn(self):
        """Read the replies that are there, and send again what has waited for a second."""
        select.select([self.socket], [], [], 0.05)
        while True:
            try:
                cookie, _, reply = self.socket.recv(2048).partition(b" ")
            except OSError:
                break
            if cookie in self.waiting:
                self.waiting.pop(cookie)[2](reply.decode().strip())
        now = time.monotonic()
        for entry in self.waiting.values():
            if entry[1] < now:
                entry[1] = now + 1
                self.again += 1
                self.socket.sendto(entry[0], (MEDIA, 7722))

    def run(self, until):
        """Begin and end calls until so many have begun."""
        while self.begun < until:
            while len(self.waiting) < AT_ONCE and self.begun < until:
                if len(self.living) > LIVING:
                    self.end()
                else:
                    self.begin()
            self.turn()

    def finish(self):
        """End all calls."""
        end = time.monotonic() + 60 * netlab.PATIENCE
        while (self.waiting or self.living) and time.monotonic() < end:
            while len(self.waiting) < AT_ONCE and self.living:
                self.end()
            self.turn()
        return not self.waiting

    def close(self):
        self.socket.close()


def rows(check, net):
    redis = Redis(net)
    net.open.append(redis)
    owner, standby = Machine(net, "east"), Machine(net, "west")
    owner.address("add")
    owner.start("-T", str(TTL_S), dataplane="none")
    wait_for(10, owner.is_owner)
    standby.start("-T", str(TTL_S), dataplane="none")
    churn = Churn(net)
    net.open.append(churn)
    began = time.monotonic()
    for n in range(1, TAKEOVERS + 1):
        churn.run(CALLS * n // (TAKEOVERS + 1))
        wait_for(20, lambda s=standby: s.state()["whole"])
        owner.lose()
        standby.address("add")
        churn.run(CALLS * n // (TAKEOVERS + 1) + 200)
        if not check(f"takeover {n}: {standby.name} is the owner", wait_for(10, standby.is_owner), standby.state()):
            return
        owner.link("up")
        owner.start("-T", str(TTL_S), "--discard-state", dataplane="none")
        owner, standby = standby, owner
    churn.run(CALLS)
    living = len(churn.living)
    check("all commands were answered", churn.finish(), list(churn.waiting)[:5])
    print(f"  {churn.begun} calls, {TAKEOVERS} takeovers, {living} calls at the end, {time.monotonic() - began:.0f} s; {churn.again} commands "
          f"sent again, {churn.unknown} answers of an owner that did not know the call yet")
    # An owner that answered a D within its last milliseconds has not told Redis: that call ends by its time to live.
    print(f"  {owner.relay.ask('stats')['active_sessions']} calls live on whose D was answered within the last milliseconds of an owner")
    check("the owner has no call left", wait_for(TTL_S + 10, lambda: owner.relay.ask("stats")["active_sessions"] == 0),
          owner.relay.ask("stats")["active_sessions"])
    check("Redis has no record left over", wait_for(10, lambda: not redis.records()), len(redis.records()))
    check("the standby has no call left", wait_for(10, lambda: standby.is_ready(0)), standby.state())


def main():
    with netlab.judged() as check, Net("lan", "east", "west") as net:
        lab(net)
        rows(check, net)


if __name__ == "__main__":
    main()

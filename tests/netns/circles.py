#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm
"""circles.py - no packet circles between ports of the relay, and none keeps a session alive.

A re-INVITE that two proxies have rewritten names the relay's own ports as the parties' addresses:
of one call, each party its own port ("own port") or the other's ("crossed"), or of two or three
calls in a ring. The parties talk, the addresses change while they do, and half a second later
nobody sends. A second after that the relay must have come to rest, and when the time to live is
over, no call is left.

One relay for each learning mode and dataplane, all calls of one relay at a time. Ends with "N
passed, N failed, N skipped".
"""
import itertools
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, wait_for

RELAY, ALICE, BOB = "192.0.2.1", "192.0.2.10", "192.0.2.11"
TTL_S = 3           # time to live of a session
REST = 50           # packets a second that do not count as circling
HOST = """
relay ip link add p0 type veth peer name q0 netns @alice
relay gro p0
alice gro q0
relay ip link set lo up
relay ip link set p0 up
alice ip link set q0 up
relay ip addr add 192.0.2.1/24 dev p0
alice ip addr add 192.0.2.10/24 dev q0
alice ip addr add 192.0.2.11/24 dev q0
"""


class Call:
    """A call between alice and bob. port["caller"]: where the caller sends to."""
    numbers = itertools.count()

    def __init__(self, net, relay):
        self.relay, number = relay, next(Call.numbers)
        self.id, media = f"c{number}", 4000 + 4 * number
        self.a, self.b = net.end("alice", ALICE, media, 1), net.end("alice", BOB, media, 2)
        self.port = {"callee": int(relay.command(f"U {self.id} {ALICE} {media} a;1").split()[0])}
        self.port["caller"] = int(relay.command(f"L {self.id} {BOB} {media} a;1 b;1").split()[0])
        self.a.to, self.b.to = (RELAY, self.port["caller"]), (RELAY, self.port["callee"])

    def name(self, caller, callee):
        """A re-INVITE with these ports of the relay as the addresses of the parties."""
        self.relay.command(f"U {self.id} {RELAY} {caller} a;1 b;1")
        self.relay.command(f"L {self.id} {RELAY} {callee} a;1 b;1")


def own_ports(calls):
    c = calls[0]
    c.name(c.port["caller"], c.port["callee"])


def crossed(calls):
    c = calls[0]
    c.name(c.port["callee"], c.port["caller"])


def ring(calls):
    """The callee of each call is the caller of the next."""
    for before, c, after in zip(calls[-1:] + calls[:-1], calls, calls[1:] + calls[:1]):
        c.name(before.port["callee"], after.port["caller"])


# name, how many calls, what the re-INVITEs say, and whether they come before the first packet
SHAPES = (("own port", 1, own_ports, False), ("crossed", 1, crossed, False), ("ring of two", 2, ring, False),
          ("ring of three", 3, ring, False), ("own port from the start", 1, own_ports, True),
          ("crossed from the start", 1, crossed, True), ("ring of two from the start", 2, ring, True))


def talk(calls, seconds, seq=itertools.count()):
    until = time.monotonic() + seconds * netlab.PATIENCE
    while time.monotonic() < until:
        number = next(seq)
        for c in calls:
            c.a.send(number)
            c.b.send(number)
        time.sleep(0.02 * netlab.PATIENCE)


def packets(relay, calls):
    """Of all directions of these calls."""
    return sum(d["packets"] for c in calls for d in relay.why(c.id).values())


def trial(check, learning, plane):
    with Net("alice", "relay") as net:
        net.do(HOST)
        relay = net.relay("relay", "-l", RELAY, "--learning", learning, "-T", str(TTL_S), dataplane=plane)
        shapes = [(name, [Call(net, relay) for _ in range(count)], change, early) for name, count, change, early in SHAPES]
        everything = [c for _, calls, _, _ in shapes for c in calls]
        for when in (True, False):
            for _, calls, change, early in shapes:
                if early == when:
                    change(calls)
            talk(everything, 0.5)
        rates = {}

        def at_rest():
            """In the last second none of the calls was relayed."""
            before = [packets(relay, calls) for _, calls, _, _ in shapes]
            started = time.monotonic()
            time.sleep(1)
            for (name, calls, _, _), earlier in zip(shapes, before):
                rates[name] = (packets(relay, calls) - earlier) / (time.monotonic() - started)
            return max(rates.values()) <= REST
        wait_for(2, at_rest)                            # within a second it must come to rest
        for name, rate in rates.items():
            check(f"{learning}, {plane}, {name}: nobody sends, nothing is relayed", rate <= REST, f"{rate:.0f} packets a second")
        rest = wait_for(TTL_S + 3, lambda: relay.ask("stats")["active_sessions"] == 0)
        check(f"{learning}, {plane}: every session times out", rest)
        check(f"{learning}, {plane}: the log stays short", len(relay.log().splitlines()) < 400)


def main():
    with netlab.judged() as check:
        netlab.side_by_side(5, trial, [(check, learning, plane) for learning in ("proof", "strict", "compat")
                                       for plane in netlab.all_planes()])


main()

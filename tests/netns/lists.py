#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
"""lists.py - new calls are spread over the addresses of a list, on each side of a bridge.

Four calls fill two addresses of two pairs on each side. The parties of each hear each other and
nobody else, and go on after kill -9, when the next relay has the addresses in another order and one
more. New calls go there. An address that the host does not have is passed over.
"""
import collections
import itertools
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import PLAIN, Net, rtp, wait_for

MORE = """
relay ip addr add 192.0.2.2/24 dev p0
relay ip addr add 192.0.2.3/24 dev p0
relay ip addr add 198.51.100.2/24 dev p1
"""
OPTIONS = "--bridge_symmetric", "-m", "35000", "-M", "35003"
EAST, WEST = ["192.0.2.1", "192.0.2.2"], ["198.51.100.1", "198.51.100.2"]
FULL = "E72"


class Call:
    """A call between two ends of the test's network, set up by commands."""
    seq = itertools.count()

    def __init__(self, net, relay, number):
        self.id, port = f"c{number}", 4000 + 10 * number
        self.a = net.end("alice", "192.0.2.10", port, 2 * number + 1)
        self.b = net.end("bob", "198.51.100.10", port, 2 * number + 2)
        east = relay.command(f"Uie {self.id} 192.0.2.10 {port} a;1").split()
        west = relay.command(f"Lei {self.id} 198.51.100.10 {port} a;1 b;1").split()
        self.b.to, self.a.to = (east[1], int(east[0])), (west[1], int(west[0]))

    def ends(self):
        return self.a, self.b


def hear_each_other(calls, count=10):
    """True when each party hears all packets of the other one of its call, and no others."""
    numbers, heard = [], collections.defaultdict(set)
    for end in (end for call in calls for end in call.ends()):
        end.take()
    for _ in range(count):
        numbers.append(next(Call.seq))
        for end in (end for call in calls for end in call.ends()):
            end.send(numbers[-1])
    pairs = [(call.a, call.b) for call in calls] + [(call.b, call.a) for call in calls]

    def all_heard():
        for end, other in pairs:
            heard[end] |= {data[:12] for data, _ in end.take()}
        return all(heard[end] >= {rtp(n, other.ssrc)[:12] for n in numbers} for end, other in pairs)
    complete = wait_for(5, all_heard)
    return complete and all({d[8:12] for d in heard[end]} == {rtp(0, other.ssrc)[8:12]} for end, other in pairs)


def kernel_has(relay, calls):
    def settled():
        seq = next(Call.seq)
        for end in (end for call in calls for end in call.ends()):
            end.send(seq)
        return all([d["why"] for d in relay.why(call.id).values()] == ["KERNEL"] * 2 for call in calls)
    return wait_for(5, settled)


def again(net, relay, media, plane):
    """The relay is killed, and the next one has its calls."""
    relay.process.kill()
    relay.process.wait()
    return net.relay("relay", "-l", media, *OPTIONS, "--state-dir", net.relays[0].dir + "/state", dataplane=plane)


def in_use(relay):
    return {m["address"]: m["pairs_in_use"] for m in relay.ask("status")["media"]}


def trial(check, plane):
    with Net("alice", "relay", "bob") as net:
        net.do(PLAIN + MORE)
        relay = net.relay("relay", "-l", ",".join(EAST) + "/" + ",".join(WEST), *OPTIONS, dataplane=plane)
        calls = [Call(net, relay, n) for n in range(4)]
        for side, mine in (("a", EAST), ("b", WEST)):
            told = sorted(getattr(call, side).to for call in calls)
            check(f"{plane}: side {side} has all pairs of both addresses", told == [(a, p) for a in mine for p in (35000, 35002)],
                  str(told))
        check(f"{plane}: status counts each address", in_use(relay) == dict.fromkeys(EAST + WEST, 2), str(in_use(relay)))
        said = relay.ctl("status")
        check(f"{plane}: rtpxctl shows each address", all(f"media       {a}, 2 pairs in use" in said for a in EAST + WEST), said)
        check(f"{plane}: the next call finds no pair", relay.command("Uie c9 192.0.2.10 4090 a;1") == FULL)
        if plane != "none":
            check(f"{plane}: the kernel has all calls", kernel_has(relay, calls))
        check(f"{plane}: the parties of a call hear each other only", hear_each_other(calls))

        relay = again(net, relay, "192.0.2.3,192.0.2.2,192.0.2.1/198.51.100.2,198.51.100.1", plane)
        check(f"{plane}: they do after kill -9 with another list", hear_each_other(calls))
        if plane != "none":
            check(f"{plane}: the kernel has all calls then", kernel_has(relay, calls))
        for call in calls[:2]:
            relay.command(f"D {call.id} a b")
        more = Call(net, relay, 5)
        check(f"{plane}: a new call gets the new address", more.a.to[0] == "192.0.2.3", str(more.a.to))
        check(f"{plane}: it is heard", hear_each_other([*calls[2:], more]))
        relay.command("D c5 a b")
        net.do("relay ip addr del 192.0.2.3/24 dev p0")
        more = Call(net, relay, 6)
        check(f"{plane}: an address that the host has not is passed over", more.a.to[0] in EAST, str(more.a.to))
        check(f"{plane}: its call is heard", hear_each_other([*calls[2:], more]))


if __name__ == "__main__":
    with netlab.judged() as check:
        for plane in "none", "native":
            trial(check, plane)

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm
"""pools.py - each local address of a bridge has all ports of the range for itself.

Two bridged calls fill a range of two pairs on both addresses, and so have the same ports on both.
The parties hear each other and nobody else, the kernel forwards both calls, and each has its own
statistics. They go on after kill -9, and when the next relay gets its addresses in another order.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, PlainCall, rtp, wait_for

RANGE = "-m", "35000", "-M", "35003"
PORTS = [35000, 35002]
FULL = "E"  # the first letter of a refusal


class Second:
    """A second call between the same hosts, as PlainCall makes the first one."""

    def __init__(self, first):
        self.relay, net = first.relay, first.net
        self.a, self.b = net.end("alice", "192.0.2.10", 4010, 3), net.end("bob", "198.51.100.10", 4010, 4)
        east = self.relay.command("Uie c2 192.0.2.10 4010 a;1").split()
        west = self.relay.command("Lie c2 198.51.100.10 4010 a;1 b;1").split()
        self.a.to, self.b.to = ("192.0.2.1", int(west[0])), ("198.51.100.1", int(east[0]))


def both_settle(first, second):
    """Talks in both calls until the kernel has them, or for the daemon's sockets until all was heard."""
    def settled():
        seq = next(first.seq)
        for end in (first.a, first.b, second.a, second.b):
            end.send(seq)
        return all(list(d["why"] for d in first.relay.why(c).values()) == ["KERNEL"] * 2 for c in ("c1", "c2"))
    return wait_for(5, settled)


def hear_only_each_other(first, second, count=10):
    """True when each party hears all packets of the other party of its call, and none of the other call."""
    ends = {"a1": first.a, "b1": first.b, "a2": second.a, "b2": second.b}
    talks_to = {"a1": "b1", "b1": "a1", "a2": "b2", "b2": "a2"}
    numbers, heard = [], {name: [] for name in ends}
    for end in ends.values():
        end.take()
    for _ in range(count):
        numbers.append(next(first.seq))
        for end in ends.values():
            end.send(numbers[-1])

    def all_heard():
        for name, end in ends.items():
            heard[name] += [data[:12] for data, _ in end.take()]
        return all(len(got) >= count for got in heard.values())
    wait_for(3, all_heard)
    wanted = {name: {rtp(n, ends[talks_to[name]].ssrc)[:12] for n in numbers} for name in ends}
    ssrc_right = all({d[8:12] for d in heard[name]} <= {d[8:12] for d in wanted[name]} for name in ends)
    return ssrc_right and all(wanted[name] <= set(heard[name]) for name in ends)


def again(first, second, *options, plane):
    """The relay is killed, and the next one has its calls."""
    first.relay.process.kill()
    first.relay.process.wait()
    state = first.net.relays[0].dir + "/state"
    first.relay = second.relay = first.net.relay("relay", *options, "--bridge_symmetric", *RANGE, "--state-dir", state,
                                                 dataplane=plane)


def trial(check, plane):
    with Net("alice", "relay", "bob") as net:
        first = PlainCall(net, *RANGE, dataplane=plane)
        second = Second(first)
        relay = first.relay
        for side in "a", "b":
            ports = sorted(getattr(call, side).to[1] for call in (first, second))
            check(f"{plane}: side {side} has both pairs of the range", ports == PORTS, str(ports))
        check(f"{plane}: the next call finds no pair", relay.command("Uie c3 192.0.2.10 4020 a;1").startswith(FULL))
        status = relay.ask("status")
        told = [status[k] for k in ("pairs", "pairs_ip4", "pairs_ip6", "pairs_in_use_ip4", "pairs_in_use_most")]
        check(f"{plane}: the status counts them", told == [2, 4, 2, 4, 2], str(told))
        if plane != "none" and not check(f"{plane}: the kernel has both calls", both_settle(first, second), relay.log()[-300:]):
            return
        check(f"{plane}: they hear each other only", hear_only_each_other(first, second))
        again(first, second, "-l", "192.0.2.1/198.51.100.1", plane=plane)
        check(f"{plane}: they do after kill -9", hear_only_each_other(first, second))
        if plane != "none":
            check(f"{plane}: the kernel has both calls after kill -9", both_settle(first, second))
        again(first, second, "-l", "198.51.100.1/192.0.2.1", plane=plane)
        check(f"{plane}: they do when the addresses are given in another order", hear_only_each_other(first, second))
        if plane != "none":
            check(f"{plane}: the kernel has both calls then", both_settle(first, second))
            check(f"{plane}: the log says that the maps are for other addresses",
                  "the maps are for other local addresses" in first.relay.log())
        for call in "c1", "c2":
            first.relay.command(f"D {call} a b")
        reply = first.relay.command("Uie c3 192.0.2.10 4020 a;1")
        check(f"{plane}: pairs are free again", reply.split()[0] in map(str, PORTS), reply)


with netlab.judged() as check:
    for plane in "none", "native", "generic":
        trial(check, plane)

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
"""extend.py - rtpxctl extend adds media addresses while calls go on.

Two calls fill a range of two pairs. An address is added to each side while the parties talk: no packet is lost, the
kernel goes on with its counts, and the next call gets the new addresses. They stay after kill -9, with the calls. A relay
that starts without calls has the addresses of its command line only.
"""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from lists import Call, again, hear_each_other, in_use, kernel_has
from netlab import PLAIN, Net, rtp, wait_for

MORE = """
relay ip addr add 192.0.2.2/24 dev p0
relay ip addr add 198.51.100.2/24 dev p1
"""
MEDIA = "192.0.2.1/198.51.100.1"
OPTIONS = "--bridge_symmetric", "-m", "35000", "-M", "35003"
REFUSALS = {
    "192.0.2.1": "must be LIST,ADDR",
    "192.0.2.1,192.0.2.1": "given already",
    "192.0.2.9,192.0.2.8": "no address or label",
    "192.0.2.1,::1": "one family",
    "192.0.2.1,0.0.0.0": "stands for all addresses",
    "192.0.2.1,nowhere.example": "must be LIST,ADDR",
}


class Talk(threading.Thread):
    """The parties of calls talk until stop()."""

    def __init__(self, calls):
        super().__init__()
        self.calls, self.ended, self.numbers = calls, threading.Event(), []
        for end in (end for call in calls for end in call.ends()):
            end.take()
        self.start()

    def run(self):
        while not self.ended.wait(0.002):
            self.numbers.append(next(Call.seq))
            for end in (end for call in self.calls for end in call.ends()):
                end.send(self.numbers[-1])

    def said(self):
        return len(self.numbers)

    def stop(self):
        """The number of packets that were not heard, and that of all."""
        self.ended.set()
        self.join()
        pairs = [(c.a, c.b) for c in self.calls] + [(c.b, c.a) for c in self.calls]
        wanted = {end: {rtp(n, other.ssrc)[:12] for n in self.numbers} for end, other in pairs}
        wait_for(5, lambda: all(wanted[end] <= {d[:12] for d, _ in end.read()} for end, _ in pairs))
        missing = sum(len(wanted[end] - {d[:12] for d, _ in end.got}) for end, _ in pairs)
        return missing, sum(map(len, wanted.values()))


def by_kernel(relay, call):
    return sum(d["kernel_packets"] for d in relay.why(call.id).values())


def trial(check, plane):
    with Net("alice", "relay", "bob") as net:
        net.do(PLAIN + MORE)
        relay = net.relay("relay", "-l", MEDIA, *OPTIONS, dataplane=plane)
        calls = [Call(net, relay, n) for n in range(2)]
        check(f"{plane}: the third call finds no pair", relay.command("Uie c9 192.0.2.10 4090 a;1") == "E72")
        if plane != "none":
            check(f"{plane}: the kernel has the calls", kernel_has(relay, calls))
        for text, why in REFUSALS.items():
            said = relay.ctl("extend", text)
            check(f"{plane}: {text} is refused", why in said, said)

        before = [by_kernel(relay, call) for call in calls]
        talk = Talk(calls)
        wait_for(5, lambda: talk.said() > 20)
        said = relay.ctl("extend", "192.0.2.1,192.0.2.2") + relay.ctl("extend", "198.51.100.1,198.51.100.2")
        check(f"{plane}: two addresses are added", said.count("added") == 2, said + relay.log()[-500:])
        so_far = talk.said()
        wait_for(5, lambda: talk.said() > so_far + 20)
        missing, sent = talk.stop()
        check(f"{plane}: no packet is lost", missing == 0, f"{missing} of {sent}")
        if plane != "none":
            counted = sum(by_kernel(relay, call) for call in calls) - sum(before)
            check(f"{plane}: the kernel goes on with its counts", counted > 0.9 * sent, f"{counted} of {sent}")
            check(f"{plane}: the kernel has the calls then", kernel_has(relay, calls))

        more = Call(net, relay, 2)
        check(f"{plane}: the next call gets the new addresses", [more.a.to[0], more.b.to[0]] == ["192.0.2.2", "198.51.100.2"],
              f"{more.a.to} {more.b.to}")
        check(f"{plane}: the parties of a call hear each other only", hear_each_other([*calls, more]))
        if plane != "none":
            check(f"{plane}: the kernel has all calls", kernel_has(relay, [*calls, more]))

        relay = again(net, relay, MEDIA, plane)
        check(f"{plane}: they do after kill -9, with the options of before", hear_each_other([*calls, more]))
        if plane != "none":
            check(f"{plane}: the kernel has all calls after it", kernel_has(relay, [*calls, more]))
        check(f"{plane}: status has the added addresses", len(in_use(relay)) == 4, str(in_use(relay)))
        relay.stop()
        relay = net.relay("relay", "-l", MEDIA, *OPTIONS, "--state-dir", net.relays[0].dir + "/state", dataplane=plane)
        check(f"{plane}: the next relay without calls has its options only", len(in_use(relay)) == 2, str(in_use(relay)))


def without_rights(check):
    """A daemon that has given up root says so, and its call goes on."""
    with Net("alice", "relay", "bob") as net:
        net.do(PLAIN + MORE)
        relay = net.relay("relay", "-l", MEDIA, *OPTIONS, "-u", "daemon", dataplane="native")
        call = Call(net, relay, 0)
        check("-u: the kernel has the call", kernel_has(relay, [call]))
        said = relay.ctl("extend", "192.0.2.1,192.0.2.2")
        check("-u: an address more is refused with the remedy", "CAP_PERFMON" in said and "restart" in said, said)
        check("-u: the call goes on", kernel_has(relay, [call]) and hear_each_other([call]))
        check("-u: status has the addresses of the options", len(in_use(relay)) == 2, str(in_use(relay)))


with netlab.judged() as check:
    for plane in "none", "native", "generic":
        trial(check, plane)
    without_rights(check)

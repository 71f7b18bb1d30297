#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: alone
"""churn.py [CALLS] - calls are set up and torn down as fast as they go, with traffic on a part of them; then
nothing of them is left: no memory, descriptors, ports, sessions, flows, next hops.

CALLS is 40,000, `make soak` takes 1,000,000. Ends with 0 (passed), 1 (failed), 4 (cannot run here).
"""
import collections
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
from soak import Broken, Lab, Rtpxd, max_calls, run, sh, wait_for

ROUND = 2000        # calls at a time
TALKING = 200       # of them
PATIENCE_S = 30
WARM_UP = 3         # rounds until memory is what it will be
# Of the heap that still counts as none: 480,000 calls leave 116 kB, 18 of them in the second half. Without a journal it is 31
# and 6: LMDB keeps as many pages as its largest commit so far had, hash tables their buckets.
GROWTH_BYTES = 256 << 10
RESIDENT_BYTES = 4 << 20  # likewise of the process's own memory, above what replies had taken at most: it keeps what they leave


class Churn:
    def __init__(self, lab):
        self.lab, self.daemon = lab, lab.daemon
        self.calls = min(ROUND, max_calls())
        self.sent = self.received = self.most_replies = 0

    def used(self):
        """What must be the same before and after."""
        status, stats = self.daemon.ctl("status"), self.daemon.ctl("stats")
        return {"descriptors": self.daemon.fds(), "port pairs": status["pairs_in_use_ip4"] + status["pairs_in_use_ip6"],
                "sessions": stats["active_sessions"], "flows": self.daemon.in_kernel(),
                "next hops": stats["nexthops"]["in_use"], "sockets": stats["floor"]["ports"],
                "interfaces that may send": self.entries("tx_ports"), "files of recordings": stats["recorded"]["files"]}

    def entries(self, name):
        """Of a pinned map: those that hold something. bpftool names an error for the others."""
        dump = json.loads(sh("bpftool", "-j", "map", "dump", "pinned", os.path.join(self.daemon.pins, name)))
        return sum("error" not in e["value"] for e in dump)

    def memory(self):
        """Bytes: the heap, without what is kept for half a minute to answer retransmitted commands; that; the process's own
        resident memory; the journal's file."""
        memory = self.daemon.ctl("stats")["memory"]
        self.most_replies = max(self.most_replies, memory["replies"])
        return {"heap": memory["heap"] - memory["replies"], "replies": memory["replies"], "resident": self.daemon.memory()[1],
                "journal": os.stat(self.daemon.ctl("status")["journal"]["path"]).st_size}

    def talk(self):
        """Every caller becomes known."""
        self.lab.traffic.run(TALKING, rate=20000, seconds=0.05)
        return self.daemon.in_kernel() >= TALKING

    def why(self):
        """How many directions of the calls that should talk are where, in the relay's words."""
        return collections.Counter("%(from)s's %(kind)s: %(why)s" % d for number in range(TALKING)
                                   for d in self.daemon.ctl("why", "bench-%d@example.net" % number))

    def one_round(self):
        self.lab.pairs, self.daemon.calls = [], 0
        self.lab.pairs = self.daemon.add_calls(self.calls)
        self.lab.traffic.flows(self.lab.pairs)
        try:
            wait_for("%d flows in the kernel" % TALKING, self.talk, PATIENCE_S)
        except Broken as e:
            raise Broken("%s; %d are, %s" % (e, self.daemon.in_kernel(), self.why())) from None
        r = self.lab.traffic.run(TALKING, rate=50000, seconds=0.05)
        self.sent, self.received = self.sent + r["sent"], self.received + r["received"]
        if r["received"] != r["sent"]:
            raise Broken("%d of %d packets were lost" % (r["sent"] - r["received"], r["sent"]))
        gone = self.daemon.control("delete", 0, self.calls)
        if gone["errors"]:
            raise Broken("%d calls could not be deleted" % gone["errors"])

    def run(self, calls):
        for _ in range(WARM_UP):
            self.one_round()
        before, memory, start = self.used(), self.memory(), time.monotonic()
        rounds, halfway = -(-calls // self.calls), memory
        for done in range(1, rounds + 1):
            self.one_round()
            last = self.memory()
            if done == rounds // 2:
                halfway = last
        took = time.monotonic() - start
        after = self.used()
        until = time.monotonic() + PATIENCE_S
        while after != before and time.monotonic() < until:  # the daemon has yet to close rtpxctl's own connection
            after = self.used()
        print("%d calls set up and torn down in %.0f s, %d packets on a part of them, none lost" % (rounds * self.calls, took, self.sent))
        for key, value in before.items():
            print("%-24s %10d before %10d after" % (key, value, after[key]))
        for key, value in memory.items():
            print("%-24s %10d before %10d halfway %10d bytes after" % (key, value, halfway[key], last[key]))
        if after != before:
            raise Broken("left behind: %s before, %s after" % (before, after))
        if any(after[key] for key in ("sessions", "flows", "port pairs", "sockets")):
            raise Broken("still there: %s" % after)
        if last["heap"] > memory["heap"] + GROWTH_BYTES or last["resident"] > memory["resident"] + self.most_replies + RESIDENT_BYTES:
            raise Broken("memory grew; replies had taken %d bytes at most" % self.most_replies)


def main(bench, calls):
    lab = Lab(bench, "churn", lambda network: Rtpxd(network, "xdp", "native"))
    lab.daemon.start()
    Churn(lab).run(int(calls))


run("churn", main, 40000)

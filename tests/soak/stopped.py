#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: alone
"""stopped.py [SECONDS] - the daemon is stopped (SIGSTOP) for several times its calls' time to live, and goes on: no call has
timed out whose packets went on, in the kernel or into the sockets; no packet of the kernel's calls is lost on an idle machine; and calls that
fell silent when it stopped end, all of them, and none of the others.

SECONDS is 10, `make soak` takes 30. Ends with 0 (passed), 1 (failed), 4 (cannot run here).
"""
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
from soak import Broken, Lab, Rtpxd, may_lose, others, run, wait_for

TTL_S = 5
LATE_S = 3      # after its time to live, a silent call may last so long: a tick, a busy machine
ROUNDS = (      # dataplane, mode, calls, those of them that go on talking, their packets a second in all
    ("xdp", "native", 1000, 600, 30000),
    ("none", None, 100, 60, 3000),
)


class Mortal(Rtpxd):
    """Its calls time out."""

    def words(self):
        words = super().words()
        words[words.index("-T") + 1] = str(TTL_S)
        return words + ["-W", "60"]


class Stopped:
    def __init__(self, lab, calls, talking, rate):
        self.lab, self.daemon = lab, lab.daemon
        self.calls, self.talking, self.rate = calls, talking, rate

    def counts(self):
        stats = self.daemon.ctl("stats")
        return stats["active_sessions"], stats["relay"]["nsess_timeout"]

    def silence_is_over(self):
        return self.counts()[0] <= self.talking

    def talk(self, flows, seconds, result):
        result.update(self.lab.traffic.run(flows, rate=self.rate, seconds=seconds))

    def are_known(self):
        """Each call has a packet, and those of a dataplane are in the kernel."""
        self.lab.traffic.run(self.calls, rate=self.rate, seconds=0.1 + 2 * self.calls / self.rate)
        kernel = self.daemon.in_kernel()
        return kernel is None or kernel >= self.calls

    def begin(self):
        """All calls are known by packets of their own; returns how many had ended before."""
        self.lab.pairs = self.daemon.add_calls(self.calls)
        self.lab.traffic.flows(self.lab.pairs)
        wait_for("%d flows in the kernel" % self.calls, self.are_known)
        active, timed_out = self.counts()
        if active != self.calls:
            raise Broken("%d of %d calls are there" % (active, self.calls))
        return timed_out

    def run(self, away_s):
        before = self.begin()
        slow = others()
        result, silent_s = {}, TTL_S + LATE_S
        sender = threading.Thread(target=self.talk, args=(self.talking, away_s + silent_s + 2, result))
        sender.start()
        try:
            self.daemon.process.send_signal(signal.SIGSTOP)
            try:
                time.sleep(away_s)
            finally:
                self.daemon.process.send_signal(signal.SIGCONT)
            back = time.monotonic()
            wait_for("the end of the silent calls", self.silence_is_over, silent_s)
            took = time.monotonic() - back
            active, ended = self.counts()
        finally:
            sender.join()
        if (active, ended) != (self.talking, before + self.calls - self.talking):
            raise Broken("%d of %d talking calls are there, %d of all %d have timed out" % (active, self.talking, ended - before, self.calls))
        lost = result["sent"] - result["received"]
        print("%s: stopped for %g s with -T %d: all %d calls that went on are there, all %d silent ones had ended %.1f s after; of %d "
              "packets %d were lost" % (self.daemon.dataplane, away_s, TTL_S, self.talking, self.calls - self.talking, took,
                                        result["sent"], lost))
        if lost > may_lose(result["sent"], slow) and self.daemon.in_kernel() is not None:
            raise Broken("the kernel lost %d packets" % lost)
        wait_for("the end of all calls", lambda: self.counts()[0] == 0, silent_s)


def main(bench, away_s):
    """The rounds run at the same time: they mostly wait."""
    rounds = []
    for dataplane, mode, *numbers in ROUNDS:
        lab = Lab(bench, dataplane, lambda network: Mortal(network, dataplane, mode))
        lab.daemon.start()
        rounds.append(Stopped(lab, *numbers))
    with ThreadPoolExecutor(len(rounds)) as pool:
        ends = [pool.submit(r.run, away_s) for r in rounds]
    for r, ended in zip(rounds, ends):
        ended.result()
        r.daemon.stop()


run("stopped", main, 10)

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: alone
"""restart.py [CALLS] - the daemon is killed, and replaced, under 200,000 packets a second: no packet is lost, and the next
one has every call within a second. A busy machine may lose some and take longer.

CALLS is 1,000, `make soak` takes as many as there may be descriptors for. Ends with 0 (passed), 1 (failed), 4 (cannot
run here).
"""
import contextlib
import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
from soak import Broken, Lab, Rtpxd, max_calls, may_lose, others, run, sh, wait_for

RATE = 200000
SECONDS = 4     # of traffic, each time
BEFORE_S = 1    # of it before the end of the daemon
AWAY_S = 0.5    # nobody is there
WITHIN_S = 1    # of the start of the next one, all is as it was
TRIES = 2       # a machine that is busy elsewhere may lose packets anywhere


class Restart:
    def __init__(self, lab):
        self.lab, self.daemon = lab, lab.daemon
        self.ns = lab.network.ns("r")

    def has_all(self):
        with contextlib.suppress(Broken):
            return self.daemon.ctl("stats")["active_sessions"] == self.daemon.calls
        return False

    def program(self):
        return json.loads(sh("ip", "-n", self.ns, "-j", "link", "show", "dev", "in0"))[0]["xdp"]["prog"]["id"]

    def traffic(self, out):
        out.update(self.lab.traffic.run(self.daemon.calls, rate=RATE, seconds=SECONDS))

    def once(self, number):
        """Returns what was sent and what arrived, and how long the next daemon took until it had all calls."""
        result, before = {}, self.program()
        sender = threading.Thread(target=self.traffic, args=(result,))
        sender.start()
        try:
            time.sleep(BEFORE_S)
            self.daemon.process.send_signal(number)
            self.daemon.process.wait(20)
            time.sleep(AWAY_S)
            started = time.monotonic()
            self.daemon.launch()
            wait_for("all calls", self.has_all)
            took = time.monotonic() - started
        finally:
            sender.join()
        if self.program() == before:
            raise Broken("the new daemon has not put its program in the place of the old one")
        restored = self.daemon.ctl("status")["journal"]
        if (restored["restored"], restored["lost"]) != (self.daemon.calls, 0):
            raise Broken("not all calls came back: %s" % restored)
        if self.daemon.in_kernel() != self.daemon.calls:
            raise Broken("%d flows are in the kernel, %d were" % (self.daemon.in_kernel(), self.daemon.calls))
        return result["sent"], result["received"], took

    def run(self, what, number):
        for _ in range(TRIES):
            slow = others()
            sent, received, took = self.once(number)
            print("%s with %d calls: %d packets sent, %d lost; every call is there %.2f s after the start of the next one" %
                  (what, self.daemon.calls, sent, sent - received, took))
            if sent - received <= may_lose(sent, slow) and took <= WITHIN_S * slow:
                return
        raise Broken("%s: %d of %d packets were lost, %.2f s" % (what, sent - received, sent, took))


def main(bench, calls):
    lab = Lab(bench, "restart", lambda network: Rtpxd(network, "xdp", "native"))
    lab.daemon.start()
    lab.want_flows(min(int(calls), max_calls()))
    restart = Restart(lab)
    restart.run("kill -9", signal.SIGKILL)
    restart.run("replacement", signal.SIGPWR)


run("restart", main, 1000)

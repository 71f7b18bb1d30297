#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""many.py BUILD-DIR [CALLS] [PART…]: as many calls as a carrier has (default 50,000). By hand, as root.

Commands set up the calls, with 1,024 open files and shared sockets, over as many local addresses as they need. All calls
get packets through native XDP. A V command every 5 ms tells how long the event loop was away. Parts (default: all):

    figures   set-up, memory, packets at the rate of calls
    watch     G, I, rtpxctl's lists, and a scrape of the metrics
    kill      kill -9 and a new daemon, while all calls get packets
    upgrade   SIGPWR and a new daemon, likewise
    clear     X
    timeout   no call gets packets any more
"""
import contextlib
import ipaddress
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from lab import CALLEE, CALLER, CONTROL_PORT, RELAY, Bench, Broken, Lab, Rtpxd, sh, wait_for
from watched import WEB, enter, scrape

CALLS = 50000
PAIRS = 15000                   # of an address, by default
FIRST_MORE = "10.77.1.11"       # further local addresses
REAL_RATE = 50                  # packets a second of a direction: 20 ms
TIME_TO_LIVE = 40               # seconds
FILES = 1024
MEMORY = "/sys/fs/cgroup/memory"


def after(address, n):
    return str(ipaddress.ip_address(address) + n)


class ManyRtpxd(Rtpxd):
    columns = 5

    def __init__(self, network, calls):
        self.group = "%s/%s" % (MEMORY, network.name)
        try:
            os.mkdir(self.group)
            network.bench.stack.callback(os.rmdir, self.group)
        except OSError:
            self.group = None
        self.room = calls
        super().__init__(network, "xdp", "native")
        self.more = [after(FIRST_MORE, i) for i in range((2 * calls - 1) // PAIRS)]
        for address in self.more:
            sh("ip", "-n", network.ns("r"), "address", "add", address + "/32", "dev", "in0")
        for n in range(1, calls // 30000 + 1):  # control's further hosts
            network.neighbour("in0", after(CALLER, n), network.mac("g", "g0"))
            network.neighbour("out0", after(CALLEE, n), network.mac("s", "s0"))

    def words(self, counted=True):
        """@counted: its kernel memory. The kernel needs long to begin that while the generator runs."""
        words = super().words()
        words[words.index("-T") + 1] = str(TIME_TO_LIVE)
        words[words.index("-l") + 1] = ",".join([RELAY, *self.more])
        words[words.index("-m") + 1], words[words.index("-M") + 1] = "35000", "65000"
        into = ["sh", "-c", 'echo $$ >%s/cgroup.procs; exec "$@"' % self.group, "sh"] if self.group and counted else []
        return [*into, "prlimit", "--nofile=%d:%d" % (FILES, FILES), *words, "-c", "fifo", "--port-sockets", "shared", "--metrics", "%s:%d" % WEB]

    def max_calls(self):
        return self.room

    def active_ports(self):
        return range(int(sh(self.bench.tool("flows"), self.pins, "count")))

    def kernel_memory(self):
        if not self.group:
            return None
        with open(self.group + "/memory.kmem.usage_in_bytes") as f:
            return int(f.read())


class Watch:
    """The longest waits for V while something happens, and how long the daemon waited for a CPU."""

    def __init__(self, lab, what):
        self.lab, self.what = lab, what

    def __enter__(self):
        words = self.lab.daemon.control_words("probe", 0, 1)
        self.probe = subprocess.Popen(["chrt", "-f", "1", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.waited, self.began = self.wait_ns(), time.monotonic()
        return self

    def wait_ns(self):
        """How long the daemon was ready to run and did not."""
        with open("/proc/%d/schedstat" % self.lab.daemon.process.pid) as f:
            return int(f.read().split()[1])

    def __exit__(self, kind, *_):
        seconds = time.monotonic() - self.began
        answers = json.loads(self.probe.communicate()[0] or "{}")
        if not kind:
            print("%-28s %6.2f s; V: median %.2f, 99 %% %.2f, worst %.2f ms of %d; over 5 ms: %d; waited %.0f ms for a CPU" % (
                self.what, seconds, answers["median_ms"], answers["p99_ms"], answers["worst_ms"], answers["count"],
                answers["over_5_ms"], (self.wait_ns() - self.waited) / 1e6), flush=True)


def command(text):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        s.connect(("127.0.0.1", CONTROL_PORT))
        until, cookie = time.monotonic() + 20, random.getrandbits(40)
        while time.monotonic() < until:
            try:
                s.send(b"%d %s" % (cookie, text.encode()))
                return s.recv(65536).decode().partition(" ")[2].strip()
            except OSError:
                time.sleep(0.005)
    raise Broken("no answer to " + text)


def first_page(lab):
    """The first sessions of rtpxctl's list."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(lab.daemon.bench.path(lab.network.name) + ".sock")
        s.sendall(b"sessions 0\n")
        return json.loads(b"".join(iter(lambda: s.recv(65536), b"")))["sessions"]


def check(lab, calls):
    """Each call's packets arrive where they must, from the kernel with complete checksums."""
    for _ in range(5):
        r = lab.traffic.run(calls, rate=REAL_RATE * calls / 5, seconds=1, verify=True, first=True)
        if r["wrong"] or r["foreign"] or (r["received"] == r["sent"] >= calls and not r["partial"]):
            break
    if r["wrong"] or r["foreign"] or r["partial"]:
        raise Broken("relays wrongly: %s" % r)


def learn(lab, calls):
    """Until the kernel has all calls."""
    net = lab.network
    words = ["nsenter", "--net=/run/netns/" + net.ns("g"), sys.executable, os.path.join(os.path.dirname(__file__), "teach.py"),
             "g0", net.mac("g", "g0"), net.mac("r", "in0")]
    for _ in range(8):
        sh(*words, input="".join("%d %d %d %d\n" % pair[:4] for pair in lab.pairs))
        with contextlib.suppress(Broken):
            return wait_for("flows", lambda: lab.daemon.in_kernel() >= calls, 1)
    raise Broken("%d of %d calls are in the kernel" % (lab.daemon.in_kernel(), calls))


def figures(lab, calls):
    daemon = lab.daemon
    before, kernel = daemon.memory(), daemon.kernel_memory()
    fds = daemon.fds()
    with Watch(lab, "set-up of %d calls" % calls):
        began = time.monotonic()
        lab.pairs = daemon.add_calls(calls)
        seconds = time.monotonic() - began
    print("%d commands/s, %d open files (%d before)" % (2 * calls / seconds, daemon.fds(), fds))
    rss, anonymous = ((now - then) / calls for now, then in zip(daemon.memory(), before))
    print("daemon: %.0f bytes a session (%.0f anonymous)" % (rss, anonymous))
    if kernel is not None:
        print("kernel: %.0f bytes a call" % ((daemon.kernel_memory() - kernel) / calls))
    random.Random(1).shuffle(lab.pairs)
    lab.traffic.flows(lab.pairs)
    with Watch(lab, "learning all callers"):
        learn(lab, calls)
    check(lab, calls)
    print("%d calls in the kernel" % daemon.in_kernel())
    for rate in (REAL_RATE * calls, 0):
        with Watch(lab, "packets"):
            r = lab.traffic.run(calls, rate=rate, seconds=4, first=True)
        print("%s: %.0f sent a second, %.0f arrived; lost %d of %d" % (
            "%d packets/s" % rate if rate else "as fast as it goes", r["sent_rate"], r["rate"], r["sent"] - r["received"],
            r["sent"]))
    rss, anonymous = ((now - then) / calls for now, then in zip(daemon.memory(), before))
    print("daemon: %.0f bytes a session (%.0f anonymous) with packets" % (rss, anonymous))
    if kernel is not None:
        print("kernel: %.0f bytes a call with packets" % ((daemon.kernel_memory() - kernel) / calls))


def talk(lab, calls):
    """So that no call times out."""
    lab.traffic.run(calls, rate=REAL_RATE * calls / 5, seconds=1)


def watch(lab, calls):
    talk(lab, calls)
    with Watch(lab, "nothing"):
        time.sleep(5)
    for text in ("G", "I", "Ib"):
        with Watch(lab, text):
            for _ in range(5):
                command(text)
    for word in ("stats", "sessions", "flows", "top"):
        with Watch(lab, "rtpxctl " + word):
            lab.daemon.ctl(word)
    with Watch(lab, "20 scrapes"):
        times = []
        for _ in range(20):
            times.append(scrape()[0])
            time.sleep(0.2)
    print("a scrape takes %.1f ms (median), %.1f ms (worst)" % (statistics.median(times), max(times)))


def said(path, text):
    with open(path) as log:
        return log.read().count(text)


def next_daemon(lab, number):
    """The daemon gets the signal @number, and the next one is started. Returns the previous one, and when that was."""
    daemon, old = lab.daemon, lab.daemon.process
    old.send_signal(number)
    if number == signal.SIGKILL:
        old.wait()
    began = time.monotonic()
    with open(daemon.log, "a") as log:
        daemon.process = subprocess.Popen(["nsenter", "--net=/run/netns/" + lab.network.ns("r"), *daemon.words(False)],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    command("V")
    return old, began


def again(lab, calls, number, what):
    """A new daemon takes over from one that gets the signal @number, under packets."""
    daemon, result = lab.daemon, []
    before = said(daemon.log, "calls of the previous rtpxd go on")
    talk(lab, calls)
    traffic = threading.Thread(daemon=True, target=lambda: result.append(lab.traffic.run(calls, rate=REAL_RATE * calls / 2, seconds=6)))
    traffic.start()
    time.sleep(1)
    old, began = next_daemon(lab, number)
    first = time.monotonic() - began
    with Watch(lab, what + ", restoring"):
        sample = random.Random(3).sample(range(calls), 200)
        for n in [*sample, calls - 1]:
            wait_for("call %d" % n, lambda n=n: not command("Q bench-%d@example.net from%d;1 to%d;1" % (n, n, n)).startswith("E"))
        known = time.monotonic() - began
        wait_for("all calls", lambda: said(daemon.log, "calls of the previous rtpxd go on") > before)
        restored = time.monotonic() - began
    traffic.join()
    old.wait()
    lost = result[0]["sent"] - result[0]["received"]
    print("%s: V answered after %.2f s, 201 calls after %.2f s, all restored after %.2f s; lost %d of %d packets; %d flows" % (
        what, first, known, restored, lost, result[0]["sent"], daemon.in_kernel()), flush=True)


def clear(lab, calls):
    talk(lab, calls)
    with Watch(lab, "X"):
        command("X")
        wait_for("the end of all calls", lambda: json.dumps(lab.daemon.ctl("status")) and lab.daemon.in_kernel() == 0)
        time.sleep(1)
    lab.daemon.calls = 0


def set_up(lab, calls):
    if not lab.daemon.calls:
        lab.pairs = lab.daemon.add_calls(calls)
        random.Random(1).shuffle(lab.pairs)
        lab.traffic.flows(lab.pairs)
        learn(lab, calls)
    talk(lab, calls)


def early(lab, calls):
    """A page of rtpxctl, and X, while the calls of the previous daemon are restored."""
    set_up(lab, calls)
    next_daemon(lab, signal.SIGKILL)
    with Watch(lab, "a page, X, while restoring"):
        page = first_page(lab)
        command("X")
        left = lab.daemon.in_kernel()
        wait_for("the end of all calls", lambda: lab.daemon.in_kernel() == 0)
        time.sleep(1)
    print("%d sessions in the page; %d flows were left after X" % (len(page), left))
    lab.daemon.calls = 0


def timeout(lab, calls):
    set_up(lab, calls)
    with Watch(lab, "all calls time out"):
        wait_for("the time-outs", lambda: lab.daemon.in_kernel() == 0, 3 * TIME_TO_LIVE)
        time.sleep(1)


def end(signum, frame):
    raise KeyboardInterrupt


PARTS = {
    "watch": watch, "kill": lambda lab, calls: again(lab, calls, signal.SIGKILL, "kill -9"),
    "upgrade": lambda lab, calls: again(lab, calls, signal.SIGPWR, "upgrade"), "clear": clear, "early": early, "timeout": timeout,
}


def main():
    if len(sys.argv) < 2 or os.geteuid():
        sys.exit(__doc__)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    calls = next((int(word) for word in sys.argv[2:] if word.isdigit()), CALLS)
    wanted = [word for word in sys.argv[2:] if not word.isdigit()] or ["figures", *PARTS]
    with contextlib.ExitStack() as stack:
        bench = Bench(sys.argv[1], stack)
        lab = Lab(bench, "many", lambda network: ManyRtpxd(network, calls))
        lab.daemon.start()
        enter(lab.network)
        figures(lab, calls)
        for name, part in PARTS.items():
            if name in wanted:
                part(lab, calls)


main()

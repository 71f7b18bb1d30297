#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""watched.py BUILD-DIR [CALLS] [--scrapes]: what it costs to watch a relay. By hand, as root.

Capture: the packet rate of 200 calls in the kernel while rtpxctl captures one of them, as a share of
the rate without, in rounds that take turns. At the rate of real calls, the capture has every packet.

Scrapes: CALLS calls (default: as many as the limit of open files allows). Once a second Prometheus'
metrics are fetched; a V command every 5 ms tells how long the event loop was away. --scrapes measures only this.
"""
import contextlib
import ctypes
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from lab import CONTROL_PORT, Bench, Lab, Rtpxd, max_calls, wait_for

CALLS = 200
ROUNDS, SECONDS = 30, 0.2       # of each way
REAL_RATE = 100                 # packets a second of a call: G.711, 20 ms, both parties
SCRAPES = 20
WEB = ("127.0.0.1", 9100)
CLONE_NEWNET = 0x40000000


class WatchedRtpxd(Rtpxd):
    def words(self):
        return super().words() + ["--metrics", "%s:%d" % WEB]


class Capture:
    """rtpxctl capture of one call into a file."""

    def __init__(self, daemon, number):
        self.path = daemon.bench.path("capture.pcapng")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.process = subprocess.Popen(
            ["nsenter", "--net=/run/netns/" + daemon.network.ns("r"), os.path.join(daemon.bench.build, "rtpxctl"), "--socket",
             daemon.bench.path(daemon.network.name) + ".sock", "-w", self.path, "capture", "bench-%d@example.net" % number])
        wait_for("the capture", lambda: os.path.exists(self.path) and os.path.getsize(self.path) > 0)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def packets(self):
        return len(subprocess.run(["tshark", "-r", self.path, "-T", "fields", "-e", "frame.number"], capture_output=True,
                                  check=True).stdout.splitlines())


def capture(lab):
    shares = []
    for i in range(ROUNDS):
        rates = {}
        for captured in ((True, False), (False, True))[i % 2]:
            watch = Capture(lab.daemon, 0) if captured else None
            rates[captured] = lab.traffic.run(CALLS, seconds=SECONDS, first=True)["rate"]
            if watch:
                watch.end()
        shares.append(rates[True] / rates[False])
    quarter = statistics.quantiles(shares, n=4)
    print("capture of 1 of %d calls: %.1f %% of the rate without (quartiles %.1f to %.1f, %d rounds, %.2f Mpps without)" %
          (CALLS, 100 * quarter[1], 100 * quarter[0], 100 * quarter[2], ROUNDS, rates[False] / 1e6))
    watch = Capture(lab.daemon, 0)
    sent = lab.traffic.run(CALLS, rate=REAL_RATE * CALLS, seconds=2)
    time.sleep(0.2)
    watch.end()
    print("at %d packets/s: %d packets sent by %d calls, the capture of one has %d" %
          (REAL_RATE * CALLS, sent["sent"], CALLS, watch.packets()))


def enter(network):
    """This thread's next sockets belong to the relay's namespace."""
    fd = os.open("/run/netns/" + network.ns("r"), os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


class Probe(threading.Thread):
    """A V command every 5 ms: the times until the answers."""

    def __init__(self, network):
        super().__init__(daemon=True)
        self.network, self.times, self.ended = network, [], False
        self.start()

    def run(self):
        enter(self.network)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect(("127.0.0.1", CONTROL_PORT))
        n = 0
        while not self.ended:
            n += 1
            begun = time.perf_counter()
            s.send(b"probe%d V" % n)
            s.recv(256)
            self.times.append(time.perf_counter() - begun)
            time.sleep(0.005)

    def end(self):
        self.ended = True
        self.join()
        return sorted(1000 * t for t in self.times)


def scrape():
    begun = time.perf_counter()
    with socket.create_connection(WEB) as s:
        s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b""
        while more := s.recv(1 << 20):
            text += more
    return 1000 * (time.perf_counter() - begun), text.decode()


def lag(text):
    """The bounds of the loop's lag and how often it was at most that, since the start."""
    return {line.split('"')[1]: int(line.split()[-1]) for line in text.splitlines() if line.startswith("rtpx_loop_lag_seconds_bucket")}


def scrapes(lab, calls):
    had = lab.want_flows(calls)
    print("%d flows" % had, flush=True)
    enter(lab.network)
    time.sleep(6)               # a round of the survey over all calls
    for scraping in (False, True):
        before = lag(scrape()[1])
        probe, times = Probe(lab.network), []
        for _ in range(SCRAPES):
            if scraping:
                times.append(scrape()[0])
            time.sleep(1)
        answers, after = probe.end(), lag(scrape()[1])
        worst = [bound for bound in after if bound != "+Inf" and after[bound] - before[bound] < after["+Inf"] - before["+Inf"]]
        print("%d calls, %s: V answered in %.2f ms (median), %.2f ms (99 %%), %.2f ms (worst of %d); lag of the loop: %s" % (
            had, "with %d scrapes" % SCRAPES if scraping else "without scrapes", statistics.median(answers),
            answers[len(answers) * 99 // 100], answers[-1], len(answers),
            ", ".join("%d over %s s" % (after["+Inf"] - before["+Inf"] - after[b] + before[b], b) for b in worst) or "none over 0.002 s"))
        if times:
            print("a scrape takes %.1f ms (median), %.1f ms (worst)" % (statistics.median(times), max(times)))


def end(signum, frame):
    raise KeyboardInterrupt


def main():
    if len(sys.argv) < 2 or os.geteuid():
        sys.exit(__doc__)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)          # so that the clean-up runs
    numbers = [int(word) for word in sys.argv[2:] if word.isdigit()]
    calls = numbers[0] if numbers else max_calls()
    with contextlib.ExitStack() as stack:
        bench = Bench(sys.argv[1], stack)
        lab = Lab(bench, "watched", lambda network: WatchedRtpxd(network, "xdp", "native"))
        lab.daemon.start()
        lab.want_flows(CALLS)
        if "--scrapes" not in sys.argv:
            capture(lab)
        scrapes(lab, calls)


if __name__ == "__main__":
    main()

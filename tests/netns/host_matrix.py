#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together busy long=60
"""host_matrix.py [--all] [--dataplanes LIST] [NAME…] - the kernel path is the host's path.
host_matrix.py --markdown LOG… - the table of the documents, from what runs have printed.

For each set-up of host_setups.py, and for IPv4 and IPv6: what a call's peers get on the wire from
a relay whose dataplane is XDP in native or generic mode, or the netfilter module, is byte for
byte what they get from the daemon's own sockets (but for what frames.py names), or the direction
stays with the sockets and the relay says why. The same holds for shared sockets without a
dataplane ("ring"): a packet leaves by the ring, or by the raw socket.

        alice                    relay                        bob
   ┌──────────────┐      ┌─────────────────────┐      ┌────────────────┐
   │ q0 192.0.2.10├──────┤ p0      p1 (uplink 1)├──────┤ q1 gateway 1   │
   │  2001:db8:0:1│      │         p2 (uplink 2)├──────┤ q2 gateway 2   │
   └──────────────┘      └─────────────────────┘      │ lo 203.0.113.10│
                                                      └────────────────┘

The peers' devices are captured from the start of the call. NAME is a part of a set-up's name.
Prints a row for each set-up with its faults below, and ends with "N passed, N failed, N skipped".

Set-ups that this kernel lacks (VLANs, bonds, VRF) and the module are tried by hand in the virtual
machine, in seven minutes: tests/vm/run.sh build tests/netns/host_matrix.py. host_matrix_vm.sh has a
few of them for `make check`.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from host_setups import ALICE_MAC, ANY, FAMILIES, NOTHING, RELAY_MAC, SETUPS, expand, families, lacking
from netlab import Broken, Lacks, Net, Patience, wait_for

WORKERS = 6         # set-ups at a time: most of their time is waiting
FIRST = 1000        # number of the first measured packet
MEASURED = 5        # packets each way in each family
# A call is given so long until each direction is in the kernel or has another reason than that it
# is too early to say.
SETTLE_S = 3
STEADY = 10         # packets each way with the same reasons: enough to see that all go by the sockets
LATE_S = 1          # within which a change of the host's set-up must have its effect
EARLY = {"INCOMPLETE", "NOT_LATCHED", "SETTLING", "NO_REMOTE", "NO_LOCAL", "NO_NEIGHBOUR", "NO_DATAPLANE"}
KERNELS = ("native", "generic", "kmod")
DAEMON = ("each", "ring")  # the daemon sends each packet: there is no reason why it does
# Set-ups with what stands between a raw socket and the device, which frames of the ring pass over. --all compares all.
RINGS = ("route: by a gateway", "route: another MAC", "route: late", "rule: by TOS", "NAT:", "filter:", "IPsec:", "tc:", "arriving: ECN")
# Reasons that a thing of the host is in the way, which rtpxctl doctor names.
OF_THE_HOST = {"ENCAP", "IPSEC", "VRF", "MARK", "FRAGMENTS", "CGROUP", "FIREWALL", "NAT", "TRAFFIC"}


def dataplanes(setup, everything):
    """Those to compare with the sockets: all that there are. The virtual machine, whose CPU is emulated, is for the module and for
    what other kernels lack; none: nothing is to be done here."""
    emulated = bool(os.environ.get("RTPX_IN_VM"))
    planes = []
    if not emulated or setup.needs or everything:
        planes += ["native", "generic"]
    if planes and (everything or setup.name.startswith(RINGS)):
        planes.append("ring")
    if netlab.have_module() and (not emulated or setup.needs or setup.module or everything):
        planes.append("kmod")
    return planes


class Call:
    """One family's call and its two ends."""

    def __init__(self, run, family):
        names = FAMILIES[family]
        letter = "6" if family == 6 else ""
        self.id, self.family = f"c{family}", family
        setup = self.setup = run.setup
        self.raw = run.net.raw("alice", "q0") if setup.arrives is not None else None
        self.a = run.net.end("alice", names["alice"], 4000, 0xa0 + family, setup.size)
        self.b = run.net.end(setup.party, names["bob"], 4000, 0xb0 + family, setup.size)
        if setup.sender:
            setup.sender(self.a.socket, family)
            setup.sender(self.b.socket, family)
        to_bob = run.relay.command(f"U{letter}l{{east{family}}} {self.id} {names['alice']} 4000 a;1").split()
        to_alice = run.relay.command(f"L{letter}l{{west{family}}} {self.id} {names['bob']} 4000 a;1 b;1").split()
        if not (to_bob[0].isdigit() and to_alice[0].isdigit()):
            raise Broken(f"call refused: {to_bob} {to_alice}\n" + run.relay.log()[-1000:])
        self.a.to = (names["west"], int(to_alice[0]))
        self.b.to = (names[setup.dials or setup.media], int(to_bob[0]))
        self.silent = 0 if setup.dials else 10
        self.mute = setup.mute
        self.first = bool(setup.dials)
        self.heard_a = self.heard_b = False

    def alice_sends(self, seq, measured):
        if not measured or self.setup.arrives is None and not self.setup.merged:
            self.a.send(seq)
        elif self.setup.merged:
            if seq == FIRST:
                self.a.send_merged(FIRST, MEASURED)
        else:
            self.raw.send(netlab.udp_frame(self.a, seq, **{"dest_mac": RELAY_MAC, "source_mac": ALICE_MAC, **self.setup.arrives}))

    def send(self, seq, measured=False):
        """A packet each way. Bob begins when he hears alice, or when he has waited for her in vain, and answers to the
        address that he hears from. When he dials, it is the other way round."""
        if heard := self.b.take():
            self.b.to, self.silent, self.heard_b = heard[-1][1][:2], 0, True
        self.silent -= 1
        self.heard_a |= bool(self.a.take())
        if not self.first or self.heard_a:
            self.first = False
            self.alice_sends(seq, measured)
        if self.silent < 0 and not self.mute:
            self.b.send(seq)


class Run:
    """A set-up with one dataplane."""

    def __init__(self, setup, plane):
        self.setup, self.plane, self.result = setup, plane, {}
        self.calls, self.captures = [], []

    def build(self, net):
        self.net = net
        if self.setup.taps:
            net.taps("tap1", "relay", "bob")
        net.do(expand(self.setup))
        if self.setup.ready and not wait_for(15, lambda: self.setup.ready(net)):
            raise Broken("the network is not ready")
        options = ["-b", *self.setup.options]
        for family, option in ((4, "-l"), (6, "-6")):
            options += [option, f"west{family}@{FAMILIES[family]['west']}"]
            east = "*" if self.setup.wildcard else FAMILIES[family][self.setup.media]
            options += [option, f"east{family}@{east}"]
        self.relay = net.relay("relay", *options, dataplane=self.plane, under=self.setup.under(net) if self.setup.under else ())
        self.captures = [net.capture("alice", "q0"), net.capture("bob", "q1"), net.capture("bob", "q2")]
        if self.setup.taps:
            self.captures.append(net.capture("bob", "tap1"))
        self.calls = [Call(self, family) for family in self.setup.families]

    def directions(self):
        """(family, caller or callee) -> the relay's answer."""
        return {(c.family, side): d for c in self.calls for side, d in self.relay.why(c.id).items()}

    def settle(self, seconds, early=EARLY):
        """Talk until the relay has decided about each direction; returns the reasons."""
        patience, before, since, steady, seq = Patience(seconds), None, 0, 0, 0
        while True:
            for c in self.calls:
                c.send(seq)
            seq += 1
            time.sleep(0.01 * netlab.PATIENCE)
            now = {k: d["why"] for k, d in self.directions().items()}
            since, steady = (since, steady) if now == before else (time.monotonic(), seq)
            before = now
            decided = len(now) == 2 * len(self.calls) and not early.intersection(now.values()) and self.both_talk(seq)
            if patience.over() or decided and seq - steady > STEADY and time.monotonic() - since > 0.1 * netlab.PATIENCE:
                return now

    def both_talk(self, rounds):
        """All have heard something, or had time to."""
        return rounds >= 25 or all(c.heard_a and c.heard_b for c in self.calls)

    def change(self):
        """What the set-up does while the call is running."""
        self.net.do(families(self.setup.late, self.setup.families))
        self.settle(LATE_S, early={None})

    def frames(self, since=0):
        """(number of its packet or None, text) of each captured frame; @since: without the first ones of each capture."""
        one = self.setup.aggregate
        return [(number, f"{one[0] if c.dev in one else c.dev}: {line}") for c in self.captures
                for number, line in c.read()[since and since[c]:]]

    def measured(self):
        """Frames of the numbered packets so far; with those whose number is secret."""
        return sorted(line for number, line in self.frames(self.since) if number is None or number >= FIRST)

    def quiet(self):
        """Wait until what was sent has arrived, or been dropped: nothing is counted any more."""
        def state():
            return [len(c.read()) for c in self.captures], [d["packets"] for d in self.directions().values()]

        def still():
            before = state()
            time.sleep(0.03 * netlab.PATIENCE)
            return state() == before
        wait_for(2, still)

    def chances(self):
        """Packets that the kernel left to the daemon by chance: in generic mode one of 65,536 complete checksums looks unfinished,
        and a packet may come while its flow is being written."""
        if self.plane in DAEMON:
            return 0
        kernel = self.relay.ask("stats")["kernel"]
        return kernel["pass_checksum"] + kernel["pass_busy"]

    def most(self):
        """Frames that the set-up promises."""
        towards_bob = 0 if self.setup.sees is NOTHING else 2 if "fragment" in self.setup.sees else 1
        return MEASURED * len(self.calls) * (1 + towards_bob)

    def measure(self, expected):
        """Frames of numbered packets on their way, @expected of them; None: as many as the set-up promises."""
        self.quiet()
        self.since = {c: len(c.read()) for c in self.captures}
        before, chances = self.directions(), self.chances()
        ring = self.relay.ask("stats")["floor"]["ring"]
        for seq in range(FIRST, FIRST + MEASURED):
            for c in self.calls:
                c.send(seq, measured=True)
            time.sleep(0.005 * netlab.PATIENCE)
        wait_for(1, lambda: len(self.measured()) >= (self.most() if expected is None else expected))
        self.quiet()
        after, self.by_chance = self.directions(), min(1, self.chances() - chances)
        self.by_ring = self.relay.ask("stats")["floor"]["ring"] - ring
        self.lines = self.measured()
        self.settled = [line for number, line in self.frames() if number is not None and number < FIRST]
        self.ways = {}
        for key, d in after.items():
            by_kernel = d["kernel_packets"] - before.get(key, d)["kernel_packets"]
            self.ways[key] = (d["why"], d["why_text"], by_kernel)

    def go(self, expected=None):
        with Net("alice", "relay", "bob", *self.setup.names) as net:
            self.build(net)
            self.settle(SETTLE_S, EARLY if self.plane not in DAEMON else set())
            if self.setup.late:
                self.change()
            self.measure(expected)
            self.log = self.relay.log()
            self.doctor = self.relay.ctl("doctor") if self.plane not in DAEMON else ""
        return self


def shape(line):
    """A frame without what differs from packet to packet."""
    return re.sub(r" / (?:\d+ bytes, crc )?[0-9a-f]+$", "", re.sub(r"checksum [0-9a-f]{4}", "checksum", line))


def cell(run):
    """Says what carries the call: "kernel", or "sockets" and the reasons; with the ring, how many packets it sent."""
    if run.plane == "ring":
        return str(run.by_ring)
    reasons = {why for (_, side), (why, _, _) in run.ways.items() if not (run.setup.mute and side == "callee")} - {"KERNEL"}
    return "sockets: " + ", ".join(sorted(reasons)) if reasons else "kernel"


def differences(right, here):
    """Frames that are too few or too many, those of one shape together."""
    lost, more = collections.Counter(right), collections.Counter(here)
    lost, more = lost - more, more - lost
    out = []
    for word, lines in (("missing", lost), ("instead", more)):
        for line, n in sorted(collections.Counter(shape(line) for line in lines.elements()).items()):
            out.append(f"{word} {n} x {line}")
    return out


def effect(setup, sockets):
    """Faults of the set-up itself: the sockets' frames do not show it, so nothing could be concluded from the others."""
    towards_bob = [line for line in sockets.lines if not line.startswith("q0")]
    if setup.sees is NOTHING:
        return [f"bob should get nothing, gets: {shape(line)}" for line in towards_bob[:1]]
    if len(towards_bob) < MEASURED * len(setup.families):
        return [f"bob gets only {len(towards_bob)} frames" + "".join(f"\n      {shape(line)}" for line in towards_bob[:1])]
    return [f"bob should get {setup.sees}, gets: {shape(line)}" for line in towards_bob if not re.search(setup.sees, line)][:1]


def judge(run, sockets):
    """The faults of a run beside that of the sockets, as lines."""
    faults = differences(sockets.lines, run.lines)
    if not run.setup.late:
        known = {shape(line) for line in sockets.settled + sockets.lines}
        for line in sorted({shape(line) for line in run.settled} - known):
            faults.append(f"before it was settled: {line}")
    if run.plane == "ring":
        if run.setup.name == SETUPS[0].name and not run.by_ring:
            faults.append("no packet left by the ring")
        return faults
    for (family, side), (why, text, by_kernel) in sorted(run.ways.items()):
        way = f"IPv{family} from the {side}"
        if why in EARLY and why not in run.setup.why:
            faults.append(f"{way}: no reason but {why} ({text})")
        right = run.setup.passes.get(side, MEASURED)
        # More are those that waited for a link address until now.
        if why == "KERNEL" and right != ANY and (by_kernel + run.by_chance < right or right == 0 < by_kernel):
            faults.append(f"{way}: in the kernel it says, but {by_kernel} of {MEASURED} packets went that way")
        if why != "KERNEL" and run.setup.kernel and run.plane in run.setup.kernel:
            faults.append(f"{way}: must be in the kernel, is not: {text}")
    named = set(re.findall(r"\bhost\b.*?\b([A-Z_]{3,})\b", run.doctor))
    for why in {why for why, _, _ in run.ways.values()} & OF_THE_HOST - named:
        faults.append(f"rtpxctl doctor does not name {why}, but: {named or 'nothing'}")
    if run.setup.name == SETUPS[0].name and named:
        faults.append(f"rtpxctl doctor names {named} on a plain host")
    return faults


def test(setup, planes):
    """Returns {dataplane: (cell, faults)}."""
    result = {}
    if lack := lacking(setup):
        return {"skip": lack}
    sockets = Run(setup, "each").go()
    result["each"] = (len(sockets.lines), effect(setup, sockets))
    for plane in filter(None, planes):
        try:
            run = Run(setup, plane).go(len(sockets.lines))
        except Broken as e:
            result[plane] = ("broken", [str(e)])
            continue
        result[plane] = (cell(run), judge(run, sockets))
    return result


def tested(setup, planes):
    try:
        return test(setup, planes)
    except Lacks as e:
        return {"skip": str(e)}
    except Broken as e:
        return {"each": ("broken", [str(e)])}
    except Exception:
        return {"each": ("broken", [traceback.format_exc()])}


def print_row(name, width, result):
    """Returns how many passed and failed."""
    cells = " | ".join(f"{plane} {said}{' WRONG' if faults else ''}" for plane, (said, faults) in result.items())
    print(f"{name:{width}} | {cells}", flush=True)
    for plane, (_, faults) in result.items():
        for line in faults[:12]:
            print(f"    {plane}: " + line.replace("\n", "\n      "))
    bad = sum(bool(faults) for _, faults in result.values())
    return len(result) - bad, bad


def run_all(jobs):
    """@jobs: pairs of a set-up and the dataplanes to compare. Returns the exit status."""
    passed = failed = skipped = 0
    started = time.monotonic()
    netlab.begin()
    try:
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            width = max(len(setup.name) for setup, _ in jobs)
            for setup, job in [(setup, pool.submit(tested, setup, planes)) for setup, planes in jobs]:
                result = job.result()
                if "skip" in result:
                    skipped += 1
                    print(f"{setup.name:{width}} | skipped: {result['skip']}", flush=True)
                    continue
                right, wrong = print_row(setup.name, width, result)
                passed, failed = passed + right, failed + wrong
    finally:
        netlab.end()
    print(f"{len(jobs)} set-ups, {time.monotonic() - started:.0f} s")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0 if passed else 4


def markdown(logs):
    """The rows of several runs, on kernels that can do different things, as one table."""
    rows = {s.name: {} for s in SETUPS}
    for name in logs:
        with open(name, encoding="utf-8", errors="replace") as f:
            for line in f:
                name, *cells = (word.strip() for word in line.split(" | "))
                for plane, said in (cell.split(None, 1) for cell in cells if name in rows):
                    if plane in KERNELS:
                        rows[name][plane] = said
    print("| the host has | XDP, native | XDP, generic | module |\n|---|---|---|---|")
    for name, cells in rows.items():
        if cells:
            print(f"| {name} | " + " | ".join(cells.get(plane, "") for plane in KERNELS) + " |")


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--dataplanes")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    if options.markdown:
        markdown(options.words)
        return
    if os.geteuid():
        print("namespaces need root")
        sys.exit(4)
    jobs = []
    for setup in SETUPS:
        if not options.words or any(word in setup.name for word in options.words):
            planes = dataplanes(setup, options.all) if options.dataplanes is None else options.dataplanes.split(",")
            jobs += [(setup, planes)] if planes else []
    sys.exit(run_all(jobs))


main()

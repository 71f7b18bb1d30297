#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What it costs to forward one packet, for each relay in turn, between two TAP devices of this namespace.

instructions.py BUILD - run by `instructions` in a virtual machine where a nanosecond is an instruction. A packet is
written into in0 and has left through out0 when the write returns: the time of that write is what it costs, system call
and devices included. The same for a packet that the first hook of netfilter drops is taken off, for comparison. A relay
that is a process adds its own run time. Fails when rtpx.ko is not cheaper than rtpengine's module.
"""
import fcntl
import os
import re
import socket
import struct
import subprocess
import sys
import time

PACKETS = 6400
ALICE, A_MAC = ("192.0.2.10", 4000), "02:00:00:00:00:0a"
BOB, B_MAC = ("198.51.100.10", 5000), "02:00:00:00:00:0b"
INSIDE, OUTSIDE = "192.0.2.1", "198.51.100.1"
IN_MAC, OUT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
BUILD = sys.argv[1]
PEER = os.path.join(BUILD, "vm/rtpengine")


def sh(command):
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x0002 | 0x1000))  # TUNSETIFF: TAP, no header
    return fd


def network():
    for command in ("ip link set lo up", f"ip link set in0 address {IN_MAC} up", f"ip link set out0 address {OUT_MAC} up",
                    f"ip addr add {INSIDE}/24 dev in0", f"ip addr add {OUTSIDE}/24 dev out0",
                    f"ip neigh replace {ALICE[0]} lladdr {A_MAC} dev in0", f"ip neigh replace {BOB[0]} lladdr {B_MAC} dev out0"):
        sh(command)


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def frame(src_mac, dst_mac, src, dst):
    """20 ms of G.711; the pump numbers it and sums it up."""
    rtp = struct.pack("!BBHII", 0x80, 0, 0, 0, 0x1234) + bytes(160)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0xB8, 28 + len(rtp), 0, 0x4000, 64, 17, 0,
                     socket.inet_aton(src[0]), socket.inet_aton(dst[0]))
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + ip[12:]
    return mac(dst_mac) + mac(src_mac) + b"\x08\x00" + ip + struct.pack("!HHHH", src[1], dst[1], 8 + len(rtp), 0) + rtp


def pump(to, out, packets, data):
    line = subprocess.run([os.path.join(BUILD, "bench/pump"), str(to), str(out), str(packets), data.hex()], check=True,
                          pass_fds=(to, out), capture_output=True, text=True).stdout.split()
    return int(line[0]), int(line[1])


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"no {what} within {seconds} s")
        time.sleep(0.1)


class Relay:
    """A contender: begin() returns the address that alice sends to."""
    pid = None
    bob_port = BOB[1]

    def begin(self):
        return BOB

    def end(self):
        pass


class Dropped(Relay):
    name = "dropped by the first hook"

    def begin(self):
        sh("nft add table ip t; nft add chain ip t c '{ type filter hook prerouting priority raw; }'; nft add rule ip t c drop")
        return (INSIDE, 9)

    def end(self):
        sh("nft delete table ip t")


class Forwarding(Relay):
    name = "plain kernel forwarding"

    def begin(self):
        sh("sysctl -qw net.ipv4.ip_forward=1")
        return BOB

    def end(self):
        sh("sysctl -qw net.ipv4.ip_forward=0")


class Process(Relay):
    def start(self, words):
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        self.pid = self.process.pid

    def ask(self, port, text):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            s.connect(("127.0.0.1", port))
            try:
                s.send(text.encode())
                return s.recv(65536).decode()
            except OSError:
                return ""

    def latch(self, to_bob, to_alice):
        """Both parties speak, so that the relay knows them."""
        pump(TAP_IN, TAP_OUT, 64, frame(A_MAC, IN_MAC, ALICE, (INSIDE, to_bob)))
        pump(TAP_OUT, TAP_IN, 64, frame(B_MAC, OUT_MAC, BOB, (OUTSIDE, to_alice)))

    def end(self):
        self.process.terminate()
        self.process.wait()


class Rtpxd(Process):
    log = None

    def __init__(self, name, *options, in_kernel=True, recorded=False):
        self.name, self.options, self.in_kernel, self.recorded = name, options, in_kernel, recorded

    def begin(self):
        self.start([os.path.join(BUILD, "rtpxd"), "-f", "-F", "-s", "udp:127.0.0.1:7722", "-p", "/run/bench.pid", "-d", "warn",
                    "-l", f"{INSIDE}/{OUTSIDE}", "--bridge_symmetric", "--admin-socket", "/run/bench.sock",
                    "--pin-dir", "/sys/fs/bpf/bench", "-r", "/run", *self.options])
        wait_for("answer from rtpxd", lambda: self.ask(7722, "1 V").startswith("1 2004"))
        to_alice = int(self.ask(7722, f"2 Uie c {ALICE[0]} {ALICE[1]} a;1").split()[1])
        to_bob = int(self.ask(7722, f"3 Lie c {BOB[0]} {BOB[1]} a;1 b;1").split()[1])
        self.latch(to_bob, to_alice)
        if self.recorded and self.ask(7722, "4 R c a b") != "4 0\n":
            sys.exit("rtpxd does not record")
        if self.in_kernel:
            wait_for("flow in the kernel", lambda: subprocess.run(
                [os.path.join(BUILD, "rtpxctl"), "--socket", "/run/bench.sock", "why", "c"], capture_output=True,
                text=True).stdout.count("in the kernel") >= 2)
        else:
            wait_for("packet through the sockets", lambda: self.passes(to_bob, to_alice))
        return (INSIDE, to_bob)

    def passes(self, to_bob, to_alice):
        self.latch(to_bob, to_alice)
        return pump(TAP_IN, TAP_OUT, 64, frame(A_MAC, IN_MAC, ALICE, (INSIDE, to_bob)))[1]


class Rtpengine(Process):
    """Comes last: it leaves its module and its rule behind, to end with the virtual machine."""
    log = subprocess.DEVNULL
    name = "rtpengine's module"
    cookie = 0

    def sdp(self, who):
        return "\r\n".join(("v=0", f"o=- 1 1 IN IP4 {who[0]}", "s=-", f"c=IN IP4 {who[0]}", "t=0 0", f"m=audio {who[1]} RTP/AVP 0",
                            "a=rtpmap:0 PCMU/8000", "a=rtcp-mux", ""))

    def ng(self, command, **words):
        def bencode(v):
            if isinstance(v, str):
                return f"{len(v)}:{v}"
            if isinstance(v, list):
                return "l" + "".join(map(bencode, v)) + "e"
            return "d" + "".join(bencode(k) + bencode(v[k]) for k in sorted(v)) + "e"
        self.cookie += 1
        return self.ask(2223, f"{self.cookie} " + bencode({"command": command, **words}))

    def port(self, answer):
        found = re.search(r"m=audio (\d+)", answer)
        if not found:
            sys.exit(f"rtpengine: {answer}")
        return int(found[1])

    def begin(self):
        sh(f"insmod {PEER}/xt_RTPENGINE.ko && XTABLES_LIBDIR={PEER}:/usr/lib/x86_64-linux-gnu/xtables "
           "iptables-legacy -I INPUT -p udp -j RTPENGINE --id 0")
        self.start(["rtpengine", "--config-file=none", "--table=0", f"--interface=inside/{INSIDE}", f"--interface=outside/{OUTSIDE}",
                    "--listen-ng=127.0.0.1:2223", "--foreground", "--log-stderr", "--log-level=3", "--port-min=30000",
                    "--port-max=31000"])
        wait_for("answer from rtpengine", lambda: "pong" in self.ng("ping"))
        both = {"call-id": "c", "from-tag": "a", "ICE": "remove", "rtcp-mux": ["demux"]}
        to_alice = self.port(self.ng("offer", sdp=self.sdp(ALICE), direction=["inside", "outside"], **both))
        to_bob = self.port(self.ng("answer", sdp=self.sdp(BOB), **{"to-tag": "b"}, **both))
        wait_for("target in rtpengine's module", lambda: self.is_in_kernel(to_bob, to_alice))
        return (INSIDE, to_bob)

    def is_in_kernel(self, to_bob, to_alice):
        self.latch(to_bob, to_alice)
        with open("/proc/rtpengine/0/list", encoding="ascii") as f:
            return f":{to_bob}" in f.read()


def run_time(pid):
    """Of all threads, in nanoseconds."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task") if pid else []:
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def measure(relay):
    """Instructions of a packet, and how many of them are the relay's own process."""
    to = relay.begin()
    mine = frame(A_MAC, IN_MAC, ALICE, to)
    pump(TAP_IN, TAP_OUT, 320, mine)  # routes, caches, statistics that begin
    before = run_time(relay.pid)
    ns, seen = pump(TAP_IN, TAP_OUT, PACKETS, mine)
    own = (run_time(relay.pid) - before) / PACKETS if relay.pid else 0
    relay.end()
    if not isinstance(relay, Dropped) and seen < PACKETS * 0.99:
        sys.exit(f"{relay.name}: only {seen} of {PACKETS} packets came out")
    return ns + own, own


RELAYS = (
    Dropped(),
    Forwarding(),
    Rtpxd("rtpx.ko", "--dataplane", "kmod"),
    Rtpxd("rtpx.ko, recorded", "--dataplane", "kmod", recorded=True),
    Rtpxd("rtpx XDP, native", "--dataplane", "xdp", "--xdp-mode", "native"),
    Rtpxd("rtpx XDP, native, recorded", "--dataplane", "xdp", "--xdp-mode", "native", recorded=True),
    Rtpxd("rtpx XDP, generic", "--dataplane", "xdp", "--xdp-mode", "generic"),
    Rtpxd("rtpx, sockets", "--dataplane", "none", in_kernel=False),
    Rtpxd("rtpx, sockets, recorded", "--dataplane", "none", in_kernel=False, recorded=True),
    Rtpengine(),
)

for module in ("tun", "nf_tables", "ip_tables", "iptable_filter"):
    subprocess.run(["modprobe", module], check=False)
sh(f"insmod {BUILD}/kmod/rtpx.ko")
TAP_IN, TAP_OUT = tap("in0"), tap("out0")
network()
COSTS = {relay.name: measure(relay) for relay in RELAYS}
BASE, OURS, THEIRS = (COSTS[name][0] for name in (Dropped.name, "rtpx.ko", Rtpengine.name))
print(f"{'':28}{'instructions':>14}{'the process':>13}{'less the drop':>15}{'over rtpx.ko':>14}")
for name, (cost, own) in COSTS.items():
    ratio = f"{(cost - BASE) / (OURS - BASE):14.2f}" if cost > BASE else f"{'':>14}"
    print(f"{name:28}{cost:14.0f}{own:13.0f}{cost - BASE:15.0f}{ratio}")
if OURS >= THEIRS:
    sys.exit("rtpx.ko takes as many instructions as rtpengine's module, or more")

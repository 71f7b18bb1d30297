# SPDX-License-Identifier: BSD-2-Clause
"""Many calls at a time through one relay: namespaces, rtpxd, the parties' UDP ports, and one clock.

A call flow is a generator. It gives the relay commands and yields (seconds, port, ...): each port
sends a packet every 20 ms for that time. A packet carries the number of its port and the phase of
its flow, so it counts for the phase in which it was sent, however late it arrives.
tests/netns/call_flows.py holds the flows. This file knows none of them.
"""
import collections
import contextlib
import ctypes
import itertools
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

BUILD = os.path.realpath(os.environ.get("RTPX_BUILD", "build"))
PATIENCE = float(os.environ.get("RTPX_PATIENCE", "1"))
TICK_S = 0.02
PORTS_PER_FLOW = 20
FIRST_PORT = 4000
LATE_S = 0.04  # a tick later than this may change the relay's decision
RELAY = {("alice", 4): "192.0.2.1", ("bob", 4): "198.51.100.1", ("alice", 6): "2001:db8:a::1", ("bob", 6): "2001:db8:b::1"}
HOSTS = {("alice", 4): "192.0.2.{}", ("bob", 4): "198.51.100.{}", ("alice", 6): "2001:db8:a::{}", ("bob", 6): "2001:db8:b::{}"}
FIRST_HOST, HOST_COUNT = 10, 6
PRIVATE = "10.9.9.9", "10.9.9.10"  # addresses that phones behind NAT signal
NOWHERE = ("0.0.0.0", 0)

# The phases of a flow: before its event, a handshake, the first second after the event, the next
# two, one in which nothing is judged, one more.
BEFORE, HANDSHAKE, FIRST, AFTER, FADING, LAST = range(6)

MARK = struct.Struct("!4sHBBI")  # "flow", number of the flow and of the port in it, phase, count
SSRC = itertools.count(0x10000001, 0x1001)


def sh(*command, text=""):
    """Runs a command with the input @text. Returns its output."""
    r = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if r.returncode:
        raise RuntimeError(f"{' '.join(command)}: {r.stderr or r.stdout}")
    return r.stdout


def packet_cost():
    """Seconds that this machine, under its load of now, takes to send and to receive a packet."""
    count = 500
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        start = time.monotonic()
        for _ in range(count):
            s.sendto(bytes(200), s.getsockname())
            s.recv(2048)
        return (time.monotonic() - start) / count


# ---- packets: each ends in a MARK ----


def rtp(port, mark):
    port.seq += 1
    return struct.pack("!BBHII", 0x80, 8, port.seq & 0xFFFF, port.seq * 160 & 0xFFFFFFFF, port.ssrc) + bytes(148) + mark


def udptl(port, mark):
    port.seq += 1
    return struct.pack("!HBB", port.seq & 0x7FFF, 1, 6) + bytes(20) + mark


def stun(_port, mark):
    """A binding request with the attribute SOFTWARE."""
    return struct.pack("!HHI", 1, 4 + len(mark), 0x2112A442) + bytes(12) + struct.pack("!HH", 0x8022, len(mark)) + mark


def dtls(port, mark):
    """A handshake record with a ClientHello."""
    port.seq += 1
    body = bytes(48) + mark
    head = struct.pack("!BxHHxH", 1, len(body), 0, 0) + struct.pack("!xH", len(body))
    return struct.pack("!BHHIHH", 22, 0xFEFD, 0, 0, port.seq & 0xFFFF, len(head) + len(body)) + head + body


def rtcp(port, mark):
    """A sender report and an APP packet."""
    report = struct.pack("!BBHIIIIII", 0x80, 200, 6, port.ssrc, 0, 0, 0, 1, 160)
    return report + struct.pack("!BBHI4s", 0x80, 204, 2 + len(mark) // 4, port.ssrc, b"flow") + mark


class Port:
    """A UDP port of a party. It counts its packets and the ones it hears. .kind makes a packet,
    one every .every ticks."""

    def __init__(self, call, party, address, number, kind):
        self.call, self.party, self.address, self.kind, self.every = call, party, (address, number), kind, 1
        self.number, self.ssrc, self.seq = len(call.ports), next(SSRC), 1000
        self.sent, self.heard, self.twice = collections.Counter(), {}, 0
        self.to = None  # another port of the relay than its party's
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.socket.setblocking(False)
        call.ports.append(self)
        call.lab.listen(self)

    def send(self, raw=None, kind=None):
        """Sends one packet. The bytes @raw are sent as they are and not counted."""
        phase = self.call.phase
        if raw is None:
            raw = (kind or self.kind)(self, MARK.pack(b"flow", self.call.number, self.number, phase, self.sent[phase]))
            self.sent[phase] += 1
        self.socket.sendto(raw, self.to or self.call.to[self.party])

    def goes_on_as(self, port):
        """This port's stream goes on from another one: the same SSRC, the next sequence number."""
        port.ssrc, port.seq = self.ssrc, self.seq

    def read(self):
        while True:
            try:
                data = self.socket.recv(2048)
            except BlockingIOError:
                return
            if len(data) < MARK.size or data[-MARK.size:][:4] != b"flow":
                continue
            _, flow, sender, phase, count = MARK.unpack(data[-MARK.size:])
            seen = self.heard.setdefault((flow, sender, phase), set())
            self.twice += count in seen
            seen.add(count)

    def hears(self, sender, phase):
        """How many packets of this phase of another port of the call arrived here."""
        return len(self.heard.get((self.call.number, sender.number, phase), ()))

    def hears_any(self, phase):
        return sum(len(seen) for (_, _, p), seen in self.heard.items() if p == phase)


class Call:
    """One call of a flow: its two parties' ports and the relay's."""

    def __init__(self, lab, number, name):
        self.lab, self.number, self.id = lab, number, f"{name}-{number}"
        self.ports, self.to, self.phase, self.ways, self.dead = [], {}, BEFORE, (), ()
        self.fading = ()
        self.faults = []  # sentences of the flow itself
        self.family = {"alice": 4, "bob": 4}
        self.asymmetric = {"alice": "", "bob": ""}

    def port(self, party, host=0, port=0, kind=rtp):
        """A UDP port: @host counts the party's hosts, @port the flow's ports at that host."""
        address = HOSTS[party, self.family[party]].format(FIRST_HOST + host)
        return Port(self, party, address, self.base(party) + port, kind)

    def base(self, party):
        """The flow's first port number of a party. alice and bob have different ones."""
        return FIRST_PORT + PORTS_PER_FLOW * (2 * self.number + (party == "bob"))

    def private(self, party, host=0, port=0):
        """A hidden address to signal. The port receives the packets that the relay sends there."""
        return Port(self, party, PRIVATE[host], self.base(party) + port, rtp)

    # ---- commands ----

    def command(self, letter, sdp, party, tags, other):
        """U or L with the address @sdp of @party: a Port or (host, port). The reply has the relay's
        port for @other."""
        host, port = sdp.address if isinstance(sdp, Port) else sdp
        local = RELAY[other, self.family[other]]
        flags = self.asymmetric[party] + ("6" if ":" in host else "") + (f"l[{local}]" if ":" in local else f"l{local}")
        reply = self.lab.ask(f"{letter}{flags} {self.id} {host} {port} {tags}")
        self.to[other] = (local, int(reply.split()[0]))

    def offer(self, party, sdp, tag="b;1"):
        """An INVITE, re-INVITE or UPDATE of this party."""
        if not self.to:
            self.command("U", sdp, "alice", "a;1", "bob")
        elif party == "alice":
            self.command("U", sdp, "alice", f"a;1 {tag}", "bob")
        else:
            self.command("U", sdp, "bob", f"{tag} a;1", "alice")

    def answer(self, party, sdp, tag="b;1"):
        """This party's answer, provisional or final."""
        if party == "bob":
            self.command("L", sdp, "bob", f"a;1 {tag}", "alice")
        else:
            self.command("L", sdp, "alice", f"{tag} a;1", "bob")

    def open(self, alice, bob):
        """Offer and answer of a new call, of its last re-INVITE likewise."""
        self.offer("alice", alice)
        self.answer("bob", bob)

    def bob_offers(self, bob, alice):
        self.offer("bob", bob)
        self.answer("alice", alice)

    # ---- judgement ----

    def after(self, senders, *ways, dead=(), fading=()):
        """Ends a flow: FIRST is reported, AFTER is judged. @ways are (listener, speaker). The ports
        in @dead must hear nothing in AFTER. Those in @fading may hear something until LAST."""
        self.ways, self.dead, self.fading = ways, dead, fading
        self.phase = FIRST
        yield 1, *senders
        self.phase = AFTER
        yield 2, *senders
        for self.phase in (FADING, LAST) if fading else ():
            yield 1, *senders


def both(a, b):
    """Both ways between two ports."""
    return (a, b), (b, a)


class Lab:
    """The namespace of the parties, the namespace of the relay, and rtpxd in it. Use it with "with"."""

    #   world                        relay
    #  ┌───────────────────────┐   ┌────────────────────────┐
    #  │ west                  │   │ west                   │
    #  │ 192.0.2.10 to .15     ├───┤ 192.0.2.1              │
    #  │ 2001:db8:a::10 to ::15│   │ 2001:db8:a::1          │
    #  │                       │   │                        │
    #  │ east                  │   │ east                   │
    #  │ 198.51.100.10 to .15  ├───┤ 198.51.100.1           │
    #  │ 2001:db8:b::10 to ::15│   │ 2001:db8:b::1          │
    #  │ lo 10.9.9.9, 10.9.9.10│   │ 10.9.9.0 is by west    │
    #  └───────────────────────┘   └──────────────────────rtpxd
    def __init__(self, learning, dataplane):
        self.learning, self.dataplane = learning, dataplane
        self.tag = f"rtpx-{os.getpid()}-{learning}-{dataplane}"
        self.dir = tempfile.mkdtemp(prefix="rtpx-flows-")
        self.undo = contextlib.ExitStack()
        self.undo.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self.readers = {}
        self.relay = self.line = None
        self.late = 0.0

    def __enter__(self):
        try:
            self.net()
            self.start()
        except BaseException:
            self.undo.close()
            raise
        return self

    def __exit__(self, *_):
        self.undo.close()

    def add_ns(self, name):
        sh("ip", "netns", "add", f"{self.tag}-{name}")
        self.undo.callback(sh, "ip", "netns", "del", f"{self.tag}-{name}")

    def inside(self, name, *command, text=""):
        return sh("nsenter", f"--net=/run/netns/{self.tag}-{name}", "--", *command, text=text)

    def net(self):
        self.add_ns("world")
        self.add_ns("relay")
        for name in "world", "relay":
            self.inside(name, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        batch = {"world": ["link set lo up", *(f"addr add {host}/32 dev lo" for host in PRIVATE)], "relay": ["link set lo up"]}
        for dev, party in ("west", "alice"), ("east", "bob"):
            sh("ip", "-n", f"{self.tag}-world", "link", "add", dev, "type", "veth", "peer", "name", dev, "netns", f"{self.tag}-relay")
            for family, length in (4, 24), (6, 64):
                hosts = [HOSTS[party, family].format(FIRST_HOST + n) for n in range(HOST_COUNT)]
                batch["world"] += [f"addr add {host}/{length} dev {dev}" for host in hosts]
                batch["relay"].append(f"addr add {RELAY[party, family]}/{length} dev {dev}")
            for name in "world", "relay":
                batch[name].append(f"link set {dev} up")
                self.inside(name, "ethtool", "-K", dev, "gro", "on", "tx", "off")
        batch["relay"] += [f"route add {host} via {HOSTS['alice', 4].format(FIRST_HOST)}" for host in PRIVATE]
        for name, lines in batch.items():
            sh("ip", "-n", f"{self.tag}-{name}", "-batch", "-", text="\n".join(lines))
        self.watch()
        self.enter("world")

    def enter(self, name):
        """Sockets that this process opens from now on belong to that namespace."""
        back = os.open("/proc/self/ns/net", os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)  # os.setns is younger than Debian 12's python3
        with open(f"/run/netns/{self.tag}-{name}", "rb") as ns:
            if libc.setns(ns.fileno(), 0):
                raise OSError(ctypes.get_errno(), "setns")
        self.undo.callback(os.close, back)
        self.undo.callback(libc.setns, back, 0)

    def watch(self):
        """Notes the destination of every datagram from the relay."""
        self.inside("world", "nft", "-f", "-", text="""
            table inet watch {
                set to4 { type ipv4_addr . inet_service; size 65535; flags dynamic; }
                set to6 { type ipv6_addr . inet_service; size 65535; flags dynamic; }
                chain input {
                    type filter hook input priority filter;
                    meta l4proto udp add @to4 { ip daddr . udp dport }
                    meta l4proto udp add @to6 { ip6 daddr . udp dport }
                }
            }""")

    def spoken_to(self):
        """(address, port) of all destinations so far."""
        everything = json.loads(self.inside("world", "nft", "-j", "list", "table", "inet", "watch"))["nftables"]
        sets = [item["set"].get("elem", []) for item in everything if "set" in item]
        return {tuple(e.get("elem", {}).get("val", e)["concat"]) for elements in sets for e in elements}

    # ---- the relay ----

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self):
        plane = ["xdp", "--xdp-mode", self.dataplane] if self.dataplane in ("native", "generic") else [self.dataplane]
        listen = [word for (party, family), host in RELAY.items()
                  for word in ("-l" if family == 4 else "-6", f"{party}{family}@{host}")]
        os.mkdir(self.path("bpf"))
        sh("mount", "-t", "bpf", "bpf", self.path("bpf"))
        self.undo.callback(sh, "umount", self.path("bpf"))
        log = self.undo.enter_context(open(self.path("log"), "wb"))
        self.relay = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.tag}-relay", "--", f"{BUILD}/rtpxd", "-f", "-F", "-s", "cunix:" + self.path("control"),
             "-p", self.path("pid"), "--pin-dir", self.path("bpf") + "/rtpx", "--admin-socket", self.path("admin"),
             "--state-dir", self.path("state"), *listen, "-m", "20000", "-M", "29999",
             "--learning", self.learning, "--dataplane", *plane], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.undo.callback(self.stop)
        until = time.monotonic() + 20 * PATIENCE
        while not os.path.exists(self.path("pid")):
            if self.relay.poll() is not None or time.monotonic() > until:
                with open(self.path("log"), encoding="utf-8", errors="replace") as f:
                    raise RuntimeError("rtpxd does not run: " + f.read()[-2000:])
            time.sleep(0.02)
        self.line = self.undo.enter_context(socket.socket(socket.AF_UNIX))
        self.line.settimeout(10 * PATIENCE)
        self.line.connect(self.path("control"))

    def stop(self):
        self.relay.terminate()
        try:
            self.relay.wait(10 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.relay.kill()
            self.relay.wait()

    def ask(self, command):
        self.line.sendall(command.encode() + b"\n")
        reply = b""
        while not reply.endswith(b"\n"):
            more = self.line.recv(4096)
            if not more:
                raise RuntimeError("rtpxd has closed the connection")
            reply += more
        if reply.startswith(b"E"):
            raise RuntimeError(f"{command}: {reply.decode().strip()}")
        return reply.decode().strip()

    def ctl(self, *words):
        """The answer of rtpxctl."""
        return json.loads(self.inside("relay", f"{BUILD}/rtpxctl", "--socket", self.path("admin"), "--json", *words))

    # ---- the clock ----

    def listen(self, port):
        self.readers[port.socket.fileno()] = port

    def forget(self, calls):
        for call in calls:
            for port in call.ports:
                del self.readers[port.socket.fileno()]
                port.socket.close()

    def run(self, flows):
        """Runs flows, (call, generator) each, at the same time. One begins in each tick, so that
        their commands do not meet. self.late is the delay of the latest tick: when it is long,
        this machine, not the relay, may have decided a result."""
        self.late = 0.0
        waiting, running, poll = list(reversed(flows)), [], select.epoll()
        listening = set()
        due = time.monotonic()
        for tick in itertools.count():
            if waiting:
                running.append([0, (), *waiting.pop()])
            running = [flow for flow in running if self.step(flow)]
            for _, ports, _, _ in running:
                for port in ports:
                    if tick % port.every == 0:
                        port.send()
            for fd in self.readers.keys() - listening:
                poll.register(fd, select.EPOLLIN)
                listening.add(fd)
            if not waiting and not running:
                break
            due += TICK_S
            self.receive(poll, due)
            late = time.monotonic() - due
            self.late = max(self.late, late)
            if late > TICK_S:  # lost ticks are not made up for: a burst of packets is no call
                due = time.monotonic()
        self.receive(poll, time.monotonic() + 0.2 * PATIENCE)
        poll.close()

    @staticmethod
    def step(flow):
        """Moves a flow on by a tick; False when it is over."""
        while flow[0] == 0:
            try:
                seconds, *ports = next(flow[3])
            except StopIteration:
                return False
            flow[0], flow[1] = round(seconds / TICK_S), ports
        flow[0] -= 1
        return True

    def receive(self, poll, until):
        while True:
            left = until - time.monotonic()
            for fd, _ in poll.poll(max(left, 0)):
                self.readers[fd].read()
            if left <= 0:
                return

# SPDX-License-Identifier: BSD-2-Clause
"""netlab.py - namespaces, links, a relay, RTP ends and captures, for tests in Python of which many
run at a time.

A Net is one set of namespaces, named after this process, with all that runs in them; close()
removes it. A thread may have a Net of its own. Nothing here judges.
"""
import concurrent.futures
import contextlib
import ctypes
import errno
import fcntl
import ipaddress
import itertools
import json
import os
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import frames
from patience import slowness

BUILD = os.path.abspath(os.environ.get("RTPX_BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build")))
PATIENCE = float(os.environ.get("RTPX_PATIENCE", "1"))
MAGIC = b"rtpx"                 # in each packet of media that an End sends
CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33            # beyond net.core.rmem_max
SIOCETHTOOL, ETHTOOL_SGRO, ETHTOOL_STXCSUM = 0x8946, 0x2c, 0x17
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
CSUM_NOT_READY, VLAN_VALID, VLAN_TPID_VALID = 0x08, 0x10, 0x40
UDP_SEGMENT = 103
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 2, 0x1000

libc = ctypes.CDLL(None, use_errno=True)
numbers = itertools.count()
scratch = janitor = None
note_lock = threading.Lock()


# Native XDP redirects to a veth only when its peer runs NAPI, and that is what GRO switches on
# ("gro"). Packets come with a complete checksum and one at a time, as from a cable, when the
# sender's device cannot leave that to others ("cable", else "container").
SWITCHES = {"gro": (ETHTOOL_SGRO, 1), "cable": (ETHTOOL_STXCSUM, 0), "container": (ETHTOOL_STXCSUM, 1)}


class Broken(Exception):
    """A command that must work did not: the test can say nothing about the relay."""


class Lacks(Exception):
    """This kernel or machine cannot do it."""


def sh(words, stdin=None):
    r = subprocess.run(words, input=stdin, capture_output=True, text=True)
    if r.returncode:
        raise Broken("%s%s: %s" % (" ".join(words), "\n" + stdin if stdin else "", (r.stderr + r.stdout).strip()))
    return r.stdout


def begin():
    """Once: the directory of all Nets, with a bpffs and the tree of cgroups, and the janitor."""
    global scratch, janitor
    scratch = tempfile.mkdtemp(prefix="rtpx-netlab-")
    janitor = subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), scratch], stdin=subprocess.PIPE, text=True,
                               start_new_session=True)
    os.mkdir(f"{scratch}/bpf")
    os.mkdir(f"{scratch}/cgroup")
    sh(["mount", "-t", "bpf", "rtpx-netlab", f"{scratch}/bpf"])
    sh(["mount", "-t", "cgroup2", "rtpx-netlab", f"{scratch}/cgroup"])


def end():
    """Once, when all Nets are closed."""
    janitor.stdin.close()
    janitor.wait()
    if os.environ.get("RTPX_KEEP", "0") == "1":
        print(f"logs: {scratch}")


def note(word, thing):
    """Tells the janitor of something that is there ("+ns NAME", "+pid NUMBER") or is gone ("-ns", "-pid")."""
    with note_lock:
        janitor.stdin.write(f"{word} {thing}\n")
        janitor.stdin.flush()


def clean_up(directory):
    """The janitor, a process of its own: when the test has ended, however it did, it removes what is left."""
    left = {"ns": set(), "pid": set()}
    for line in sys.stdin:
        word, thing = line.split()
        (left[word[1:]].add if word[0] == "+" else left[word[1:]].discard)(thing)
    for pid in left["pid"]:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
            if directory in f.read():
                os.kill(int(pid), signal.SIGKILL)
    until = time.monotonic() + 5
    while any(os.path.exists(f"/proc/{pid}") for pid in left["pid"]) and time.monotonic() < until:
        time.sleep(0.05)
    for name in left["ns"]:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    for name in os.listdir(f"{directory}/cgroup"):
        with contextlib.suppress(OSError):
            os.rmdir(f"{directory}/cgroup/{name}")
    subprocess.run(["umount", f"{directory}/bpf", f"{directory}/cgroup"], stderr=subprocess.DEVNULL)
    if os.environ.get("RTPX_KEEP", "0") != "1":
        shutil.rmtree(directory, ignore_errors=True)


def have_module():
    """The netfilter module is loaded; in a virtual machine this loads it."""
    if not os.path.isdir("/sys/module/rtpx") and os.environ.get("RTPX_IN_VM"):
        sh(["insmod", f"{BUILD}/kmod/rtpx.ko"])
    return os.path.isdir("/sys/module/rtpx")


class Net:
    """Namespaces and what is in them. Each name is one of the test's; tag() is the kernel's."""

    def __init__(self, *names):
        self.number = next(numbers)
        self.prefix = f"rtpx-{os.getpid()}-{self.number}"
        self.dir = f"{scratch}/{self.number}"
        os.mkdir(self.dir)
        self.names, self.open, self.relays = list(names), [], []
        try:
            for name in names:
                note("+ns", self.tag(name))
            sh(["ip", "-batch", "-"], "".join(f"netns add {self.tag(name)}\n" for name in names))
            for name in names:
                self.sysctl(name, "net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 "
                            "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
        except BaseException:
            self.close()
            raise

    def tag(self, name):
        return f"{self.prefix}-{name}"

    def close(self):
        for relay in self.relays:
            relay.stop()
        for thing in self.open:
            thing.close()
        subprocess.run(["ip", "-force", "-batch", "-"], input="".join(f"netns del {self.tag(name)}\n" for name in self.names),
                       capture_output=True, text=True)
        for name in self.names:
            note("-ns", self.tag(name))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @contextlib.contextmanager
    def within(self, name):
        """Sockets that this thread opens inside belong to that namespace, /proc/sys/net is that namespace's."""
        old = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        new = os.open(f"/run/netns/{self.tag(name)}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(new, CLONE_NEWNET):
                raise Broken(f"cannot enter {name}: {os.strerror(ctypes.get_errno())}")
            try:
                yield
            finally:
                libc.setns(old, CLONE_NEWNET)
        finally:
            os.close(old)
            os.close(new)

    # ---- commands ----

    def sysctl(self, name, settings):
        with self.within(name):
            for setting in settings.split():
                key, value = setting.split("=")
                with open("/proc/sys/" + key.replace(".", "/"), "w", encoding="ascii") as f:
                    f.write(value)

    def inside(self, name, *words, stdin=None):
        return sh(["nsenter", f"--net=/run/netns/{self.tag(name)}", "--", *words], stdin)

    def do(self, script):
        """Lines of NAMESPACE TOOL WORDS…, TOOL being ip, ip4, ip6, nft, tc, sysctl, say, one of SWITCHES, or another program; those of one namespace
        and tool that follow one another run at once."""
        lines = [line.split(None, 2) for line in script.splitlines() if line.strip() and not line.strip().startswith("#")]
        for (name, tool), group in itertools.groupby(lines, lambda line: (line[0], line[1])):
            self.batch(name, tool, [line[2] for line in group])

    def batch(self, name, tool, lines):
        text = "\n".join(lines) + "\n"
        if tool in ("ip", "ip4", "ip6", "tc", "bridge"):
            words = ["ip", "-" + tool[2]] if tool in ("ip4", "ip6") else [tool]
            sh([*words, "-n", self.tag(name), "-batch", "-"], text.replace("@", self.prefix + "-"))
        elif tool == "nft":
            self.inside(name, "nft", "-f", "-", stdin=text)
        elif tool == "sysctl":
            self.sysctl(name, " ".join(lines))
        elif tool == "say":
            self.say(name, *" ".join(lines).split())
        elif tool in SWITCHES:
            for line in lines:
                self.switch(name, *SWITCHES[tool], line.split())
        else:
            for line in lines:
                self.inside(name, tool, *shlex.split(line))

    def say(self, name, *addresses):
        """A datagram to the discard port of each, after which they know this host's link address."""
        for address in addresses:
            with self.within(name), socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"hello", (address, 9))

    def switch(self, name, what, value, devices):
        """An ability of devices, on or off: ethtool -K."""
        with self.within(name), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for dev in devices:
                command = ctypes.create_string_buffer(struct.pack("II", what, value))
                fcntl.ioctl(s, SIOCETHTOOL, struct.pack("16sQ16x", dev.encode(), ctypes.addressof(command)))

    # ---- ends ----

    def end(self, *args, **kw):
        e = End(self, *args, **kw)
        self.open.append(e)
        return e

    def capture(self, name, dev):
        c = Capture(self, name, dev)
        self.open.append(c)
        return c

    def raw(self, name, dev):
        """A socket that sends whole frames."""
        with self.within(name):
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            s.bind((dev, 0))
        self.open.append(s)
        return s

    def taps(self, dev, *names):
        """A TAP device in each of two namespaces, and a thread that carries frames between them as a VPN's process does."""
        if not os.path.exists("/dev/net/tun"):
            raise Lacks("there is no /dev/net/tun")
        fds = []
        for name in names:
            with self.within(name):
                fds.append(os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
                fcntl.ioctl(fds[-1], TUNSETIFF, struct.pack("16sH", dev.encode(), IFF_TAP | IFF_NO_PI))
        self.open.append(Carrier(*fds))

    def relay(self, name, *options, **kw):
        r = Relay(self, name, *options, **kw)
        self.relays.append(r)
        r.wait()
        return r


def rtp(seq, ssrc, size=40, payload_type=8):
    """An RTP packet of so many bytes of payload, with the mark that captures look for."""
    return struct.pack("!BBHII", 0x80, payload_type, seq & 0xffff, seq * 160 & 0xffffffff, ssrc) + MAGIC.ljust(size, b"\xd5")


class End:
    """A UDP port of a party. It sends RTP to the address self.to, and keeps what it hears."""

    def __init__(self, net, name, address, port, ssrc, size=40):
        self.address, self.port, self.ssrc, self.size = address, port, ssrc, size
        self.to, self.got = None, []                    # (data, address)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with net.within(name):
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
        self.socket.bind((address, port))
        self.socket.setblocking(False)

    def close(self):
        self.socket.close()

    def send(self, seq, data=None):
        with contextlib.suppress(ConnectionRefusedError, OSError):
            self.socket.sendto(data or rtp(seq, self.ssrc, self.size), self.to)

    def send_merged(self, seq, count):
        """Hands over so many packets by one call, as a sender with UDP_SEGMENT does."""
        data = b"".join(rtp(seq + i, self.ssrc, self.size) for i in range(count))
        size = struct.pack("H", len(data) // count)
        self.socket.sendmsg([data], [(socket.IPPROTO_UDP, UDP_SEGMENT, size)], 0, self.to)

    def read(self):
        while True:
            try:
                self.got.append(self.socket.recvfrom(65536))
            except BlockingIOError:
                return self.got
            except OSError:
                continue        # an ICMP error of an earlier packet

    def take(self):
        """Heard since the last take."""
        self.read()
        got, self.got = self.got, []
        return got


class Carrier(threading.Thread):
    """Carries frames between two TAP devices until it is closed."""

    def __init__(self, x, y):
        super().__init__(daemon=True)
        self.fds, (self.stop, self.stopped) = {x: y, y: x}, os.pipe()
        self.start()

    def run(self):
        while True:
            ready = select.select([*self.fds, self.stop], [], [])[0]
            if self.stop in ready:
                return
            for fd in ready:
                with contextlib.suppress(OSError):
                    os.write(self.fds[fd], os.read(fd, 65536))

    def close(self):
        os.write(self.stopped, b"x")
        self.join()
        for fd in (*self.fds, self.stop, self.stopped):
            os.close(fd)


def udp_frame(end, seq, dest_mac, source_mac, ip_check=None, udp_check=None, vlan=None, payload=None, trailer=b"", cut=0):
    """A frame of what @end would send, with changes: checksums, a tag (its TCI), another payload, bytes behind it, the last
    @cut bytes missing."""
    payload = payload or rtp(seq, end.ssrc, end.size)
    source, dest = (ipaddress.ip_address(a) for a in (end.address, end.to[0]))
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", end.port, end.to[1], length, 0)
    pseudo = frames.checksum(source.packed + dest.packed, frames.UDP + length)
    check = udp_check if udp_check is not None else 0xffff - frames.checksum(udp + payload, pseudo) or 0xffff
    udp = udp[:6] + struct.pack("!H", check) + payload
    if source.version == 4:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, frames.UDP, 0) + source.packed + dest.packed
        check = ip_check if ip_check is not None else 0xffff - frames.checksum(ip)
        ip = ip[:10] + struct.pack("!H", check) + ip[12:]
    else:
        ip = struct.pack("!IHBB", 6 << 28, length, frames.UDP, 64) + source.packed + dest.packed
    kind = struct.pack("!H", frames.ETH_IP if source.version == 4 else frames.ETH_IP6)
    tag = struct.pack("!HH", frames.ETH_VLAN, vlan) if vlan is not None else b""
    frame = bytes.fromhex((dest_mac + source_mac).replace(":", "")) + tag + kind + ip + udp
    return frame[:len(frame) - cut] + trailer


class Capture:
    """Frames that arrive at a device: pairs of the RTP sequence number, None where it cannot be seen, and frames.ethernet()."""

    def __init__(self, net, name, dev):
        self.dev, self.got = dev, []
        with net.within(name):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind((dev, 3))
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        self.socket.setblocking(False)

    def close(self):
        self.socket.close()

    def read(self):
        """Every frame of media so far."""
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(65536, 256)
            except BlockingIOError:
                return self.got
            except OSError as e:
                if e.errno == errno.ENETDOWN:
                    continue
                raise
            status, tag = 0, None
            for level, kind, value in ancillary:
                if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                    status, _, _, _, _, tci, tpid = struct.unpack_from("IIIHHHH", value)
                    if status & VLAN_VALID:
                        tag = (tpid if status & VLAN_TPID_VALID else frames.ETH_VLAN, tci)
            if frames.carries_media(data, MAGIC):
                at = data.find(MAGIC)
                number = struct.unpack_from("!H", data, at - 10)[0] if at >= 0 else None
                self.got.append((number, frames.ethernet(data, tag, bool(status & CSUM_NOT_READY))))


def port_sockets():
    """Options for a run of the tests with shared sockets, or with a socket for each port."""
    how = os.environ.get("RTPX_PORT_SOCKETS")
    return ["--port-sockets", how] if how else []


class Relay:
    """rtpxd in a namespace."""

    def __init__(self, net, name, *options, dataplane="none", under=()):
        self.net, self.name, self.cookie = net, name, itertools.count()
        self.dir = f"{net.dir}/relay{len(net.relays)}"
        os.mkdir(self.dir)
        plane = {"native": ["xdp", "--xdp-mode", "native"], "generic": ["xdp", "--xdp-mode", "generic"],
                 "ring": ["none", "--port-sockets", "auto"], "each": ["none", "--port-sockets", "each"]}.get(dataplane, [dataplane])
        words = ["nsenter", f"--net=/run/netns/{net.tag(name)}", "--", *under, f"{BUILD}/rtpxd", "-f", "-F", "-s",
                 f"unix:{self.dir}/control", "-p", f"{self.dir}/pid", "--pin-dir", f"{scratch}/bpf/{net.number}",
                 "--admin-socket", f"{self.dir}/admin", "--state-dir", f"{self.dir}/state", "--dataplane", *plane, *port_sockets(),
                 "-T", "600", *options]  # on a busy machine a call is silent for longer than the default
        with open(f"{self.dir}/log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        note("+pid", self.process.pid)

    def log(self):
        with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait(self):
        """Until it answers."""
        patience = Patience(20)
        while self.process.poll() is None and not patience.over():
            with contextlib.suppress(OSError):
                if self.ask("status").get("pid") and self.command("V") == "20040107":
                    return
            time.sleep(0.01 * PATIENCE)
        raise Broken("rtpxd does not run:\n" + self.log()[-2000:])

    def talk(self, path, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10 * PATIENCE)
            s.connect(f"{self.dir}/{path}")
            s.sendall(line.encode() + b"\n")
            reply = b""
            while more := s.recv(65536):
                reply += more
                if path == "control" and reply.endswith(b"\n"):
                    break
            return reply.decode().strip()

    def command(self, line):
        """One command of rtpproxy's protocol; returns the reply."""
        return self.talk("control", line)

    def ask(self, line):
        """One question to the admin socket."""
        return json.loads(self.talk("admin", line))

    def why(self, call):
        """The directions of a call's RTP, by the party that they come from: caller, callee."""
        return {d["from"]: d for d in self.ask(f"why {call}").get("directions", []) if d["kind"] == "rtp"}

    def ctl(self, *words):
        """rtpxctl's text, whatever its exit status."""
        r = subprocess.run(["nsenter", f"--net=/run/netns/{self.net.tag(self.name)}", "--", f"{BUILD}/rtpxctl", "--socket",
                            f"{self.dir}/admin", *words], capture_output=True, text=True)
        return r.stdout + r.stderr

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        note("-pid", self.process.pid)


BPF_PROG_LOAD, BPF_PROG_ATTACH, SYS_BPF = 5, 8, 321
BPF_PROG_TYPE_CGROUP_SKB = 8
CGROUP_ATTACH = {"ingress": 0, "egress": 1}


def bpf(command, attributes):
    """The system call, of x86-64."""
    room = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    result = libc.syscall(SYS_BPF, command, room, 128)
    if result < 0:
        raise Lacks(f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return result


def dropping_cgroup(net, way):
    """A cgroup in which a program drops each packet on that way. Returns a command that runs its arguments in it."""
    path = f"{scratch}/cgroup/{net.prefix}"
    os.mkdir(path)
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xb7, 0, 0, 0, 0x95, 0, 0, 0))      # r0 = 0; exit
    text = ctypes.create_string_buffer(b"GPL")
    program = bpf(BPF_PROG_LOAD, struct.pack("IIQQ", BPF_PROG_TYPE_CGROUP_SKB, 2, ctypes.addressof(code), ctypes.addressof(text)))
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    bpf(BPF_PROG_ATTACH, struct.pack("IIII", directory, program, CGROUP_ATTACH[way], 0))
    os.close(directory)
    os.close(program)
    return ("sh", "-c", f'echo $$ >{path}/cgroup.procs && exec "$@"', "sh")


class Patience:
    """So many seconds of a machine that has nothing else to do: with twice as many processes as CPUs one of them lasts two."""

    def __init__(self, seconds):
        self.left, self.last = seconds * PATIENCE, time.monotonic()

    def over(self):
        self.last, past = time.monotonic(), self.last
        self.left -= (self.last - past) / slowness()
        return self.left <= 0


def wait_for(seconds, condition):
    """The condition's value, or False when it did not come true within so many seconds."""
    patience = Patience(seconds)
    while not (value := condition()):
        if patience.over():
            return False
        time.sleep(0.005 * PATIENCE)
    return value


#   alice                     relay                     bob
#  ┌──────────────┐   ┌────────────────────┐   ┌────────────────┐
#  │ q0 192.0.2.10├───┤ p0 192.0.2.1       │   │                │
#  └──────────────┘   │  198.51.100.1   p1 ├───┤q1 198.51.100.10│
#                     └────────────────────┘   └────────────────┘
PLAIN = """
relay ip link add p0 type veth peer name q0 netns @alice
relay ip link add p1 type veth peer name q1 netns @bob
relay gro p0 p1
alice gro q0
bob gro q1
alice cable q0
bob cable q1
relay ip link set lo up
relay ip link set p0 up
relay ip link set p1 up
alice ip link set q0 up
bob ip link set q1 up
relay ip addr add 192.0.2.1/24 dev p0
relay ip addr add 198.51.100.1/24 dev p1
alice ip addr add 192.0.2.10/24 dev q0
bob ip addr add 198.51.100.10/24 dev q1
"""


class PlainCall:
    """The network above, a relay in it, and a call."""

    def __init__(self, net, *options, dataplane, size=40, containers=False):
        net.do(PLAIN)
        if containers:
            net.do("alice container q0\nbob container q1")
        self.net, self.seq, self.id = net, itertools.count(), "c1"
        self.relay = net.relay("relay", "-l", "192.0.2.1/198.51.100.1", "--bridge_symmetric", *options, dataplane=dataplane)
        self.a, self.b = net.end("alice", "192.0.2.10", 4000, 1, size), net.end("bob", "198.51.100.10", 4000, 2, size)
        east = self.relay.command("Uie c1 192.0.2.10 4000 a;1").split()
        west = self.relay.command("Lie c1 198.51.100.10 4000 a;1 b;1").split()
        self.a.to, self.b.to = ("192.0.2.1", int(west[0])), ("198.51.100.1", int(east[0]))

    def talk(self, count=1):
        """So many packets each way. Returns the bytes of their numbers."""
        numbers = []
        for _ in range(count):
            seq = next(self.seq)
            self.a.send(seq)
            self.b.send(seq)
            numbers.append(rtp(seq, 0)[2:4])
            time.sleep(0.02 * PATIENCE)
        return numbers

    def directions(self):
        """What becomes of the RTP from each party."""
        return self.relay.why(self.id)

    def whys(self):
        return {side: d["why"] for side, d in self.directions().items()}

    def by_kernel(self):
        """How many packets the kernel has forwarded."""
        return sum(d["kernel_packets"] for d in self.directions().values())

    def quiet(self):
        """Waits until each party has heard all that was said, so that the relay has counted it, and takes it. False: it has not."""
        said = next(self.seq)
        self.seq = itertools.count(said)
        right = wait_for(5, lambda: all(len(end.read()) >= said for end in (self.a, self.b)))
        self.a.take()
        self.b.take()
        return bool(right)

    def hears_all(self, count=10):
        """Talks; true when each party has heard the other's packets, each once. Late ones of before do not count."""
        numbers, heard = self.talk(count), [[], []]

        def all_heard():
            for end, got in zip((self.a, self.b), heard):
                got += [data[2:4] for data, _ in end.take() if data[2:4] in numbers]
            return all(len(got) >= count for got in heard)
        return bool(wait_for(1, all_heard)) and all(sorted(got) == numbers for got in heard)

    def kernel_forwards(self, count=10):
        """Talks until the kernel has forwarded so many packets more."""
        before = self.by_kernel()

        def forwarded():
            self.talk()
            return self.by_kernel() >= before + count
        return bool(wait_for(3, forwarded))

    def settle(self, seconds=3):
        """Talks until the kernel has both directions."""
        def settled():
            self.talk()
            return list(self.whys().values()) == ["KERNEL", "KERNEL"]
        return bool(wait_for(seconds, settled))


class Verdicts:
    """Counts and prints what was right and what was not; end() ends the test."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def __call__(self, text, right, more=""):
        """@more: what was seen, for the reader when it was not right."""
        self.passed += bool(right)
        self.failed += not right
        print(f"{'ok' if right else 'FAULT':5} {text}" + (f": {more}" if more and not right else ""), flush=True)
        return bool(right)

    def skip(self, text, reason):
        self.skipped += 1
        print(f"skip  {text}: {reason}", flush=True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        sys.exit(1 if self.failed else 0 if self.passed else 4)


@contextlib.contextmanager
def judged():
    """A whole test, which gives its verdicts to what this yields. Afterwards all Nets are gone, and the process ends."""
    if os.geteuid():
        print("namespaces need root")
        sys.exit(4)
    check = Verdicts()
    begin()
    try:
        yield check
    finally:
        end()
    check.end()


def side_by_side(threads, trial, jobs):
    """Calls trial(*job) for each job, so many at a time. An exception of a trial is raised here."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for running in [pool.submit(trial, *job) for job in jobs]:
            running.result()



def all_planes():
    """The dataplanes to try here. The virtual machine, whose CPU is emulated, is for the module; the others run on its host."""
    if os.environ.get("RTPX_IN_VM"):
        return ["kmod"] * have_module()
    return ["none", "native", "generic"] + ["kmod"] * have_module()


if __name__ == "__main__":
    clean_up(sys.argv[1])

# SPDX-License-Identifier: BSD-2-Clause
"""The bench's network, relays and tools. Knows how to build, drive and remove them; judges nothing.

Each contender has a network of its own, so that measurements can be interleaved without touching
any of them:

    +-- NAME-g ----+      +-- NAME-r ---------------+      +-- NAME-s ----+
    |  generator   |      |          relay          |      |     sink     |
    |           g0 +------+ in0                out0 +------+ s0           |
    +--------------+ veth +-------------------------+ veth +--------------+
       10.77.1.2           10.77.1.1       10.77.2.1          10.77.2.2
"""
import contextlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from patience import slowness

CALLER, RELAY, RELAY_OUT, CALLEE = "10.77.1.2", "10.77.1.1", "10.77.2.1", "10.77.2.2"
FIRST_PEER_PORT = 1024
PORT_MIN, PORT_MAX = 10000, 65001
CONTROL_PORT = 7722
CALL_FDS = 4
SPARE_FDS = 400


class Broken(Exception):
    """The bench itself, or a relay under it, did not work."""


def sh(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, **more)
    if done.returncode:
        raise Broken("%s: %s" % (" ".join(words), (done.stderr or done.stdout).strip()))
    return done.stdout


def wait_for(what, condition, seconds=60.0):
    """The seconds are those of an idle machine."""
    left, last = seconds, time.monotonic()
    while not condition():
        last, before = time.monotonic(), last
        left -= (last - before) / slowness()
        if left < 0:
            raise Broken("waited %g s in vain: %s" % (seconds, what))
        time.sleep(0.02)


def max_calls():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        return 5000
    return min(5000, (hard - SPARE_FDS) // CALL_FDS // 100 * 100)


def allow_many_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Bench:
    """What all labs share: the build directory, a temporary one with a bpffs, and the clean-up."""

    def __init__(self, build, stack):
        self.build = os.path.abspath(build)
        self.tag = "rtpx-bench-%d" % os.getpid()
        self.dir = tempfile.mkdtemp(prefix=self.tag + "-")
        stack.callback(shutil.rmtree, self.dir)
        self.stack = stack
        self.bpffs = os.path.join(self.dir, "bpf")
        os.mkdir(self.bpffs)
        sh("mount", "-t", "bpf", "-o", "mode=0700", self.tag, self.bpffs)
        stack.callback(sh, "umount", self.bpffs)

    def tool(self, name):
        return os.path.join(self.build, "bench", name)

    def path(self, name):
        return os.path.join(self.dir, name)


class Network:
    """Three namespaces in a row, see above."""

    def __init__(self, bench, name):
        self.bench = bench
        self.name = "%s-%s" % (bench.tag, name)
        queues = str(os.cpu_count())
        for end in "grs":
            sh("ip", "netns", "add", self.ns(end))
            bench.stack.callback(sh, "ip", "netns", "del", self.ns(end))
            sh("ip", "-n", self.ns(end), "link", "set", "lo", "up")
        for left, a, b, right in (("r", "in0", "g0", "g"), ("r", "out0", "s0", "s")):
            sh("ip", "-n", self.ns(left), "link", "add", a, "numtxqueues", queues, "numrxqueues", queues,
               "type", "veth", "peer", "name", b, "numtxqueues", queues, "numrxqueues", queues,
               "netns", self.ns(right))
        for end, dev, address in (("g", "g0", CALLER), ("r", "in0", RELAY), ("r", "out0", RELAY_OUT),
                                  ("s", "s0", CALLEE)):
            self.enter(end, "sysctl", "-qw", "net.ipv6.conf.%s.disable_ipv6=1" % dev)
            sh("ip", "-n", self.ns(end), "address", "add", address + "/24", "dev", dev)
            sh("ip", "-n", self.ns(end), "link", "set", dev, "up")
            # Switched on while the link is up, it gives a veth the NAPI without which redirected frames vanish.
            self.enter(end, "ethtool", "-K", dev, "gro", "off")
            self.enter(end, "ethtool", "-K", dev, "gro", "on")
        self.neighbour("in0", CALLER, self.mac("g", "g0"))
        self.neighbour("out0", CALLEE, self.mac("s", "s0"))

    def ns(self, end):
        return "%s-%s" % (self.name, end)

    def enter(self, end, *words):
        return sh("nsenter", "--net=/run/netns/" + self.ns(end), *words)

    def mac(self, end, dev):
        return json.loads(sh("ip", "-n", self.ns(end), "-j", "link", "show", "dev", dev))[0]["address"]

    def neighbour(self, dev, address, mac):
        """The sink drops ARP, and the generator does not answer it."""
        sh("ip", "-n", self.ns("r"), "neighbour", "add", address, "lladdr", mac, "nud", "permanent", "dev", dev)


class Traffic:
    """Generator and sink of one network."""

    def __init__(self, network):
        bench, ns = network.bench, lambda end: "/run/netns/" + network.ns(end)
        self.flows_file = bench.path(network.name + ".flows")
        self.process = subprocess.Popen(
            [bench.tool("traffic"), bench.tool("traffic.bpf.o"), ns("g"), "g0", ns("r"), "in0", "out0", ns("s"), "s0"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        bench.stack.callback(self.close)
        self.command("frame", CALLER, RELAY, CALLEE)

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def command(self, *words):
        try:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            raise Broken("the traffic tool gave up") from None

    def input(self, program):
        self.command("input", program)

    def flows(self, pairs):
        """Pairs of ports, with addresses if there are several; all of one kind."""
        with open(self.flows_file, "w") as f:
            f.writelines(" ".join(map(str, p)) + "\n" for p in pairs)
        self.command("flows", self.flows_file)

    def run(self, flows, rate=0, seconds=0.4, stamp=False, verify=False, cpus=1, first=False):
        """Send over @flows flows from @cpus CPUs; @rate packets a second in all, 0: as fast as it goes; @first: ahead of all
        other work on these CPUs, for what needs no process to relay."""
        r = self.command("run", flows, cpus, rate, int(seconds * 1000), int(stamp), int(verify), int(first))
        r["loss"] = 1 - r["received"] / r["sent"] if r["sent"] else 1.0
        return r


class Daemon:
    """A relay's process in its network, and its control channel."""

    protocol = None
    forgives_overload = True  # after packets were lost, calls go on
    columns = 2               # of control's file: without addresses

    def __init__(self, network):
        self.network = network
        self.bench = network.bench
        self.log = self.bench.path(network.name + ".log")
        self.process = None
        self.calls = 0
        self.bench.stack.callback(self.stop)

    def words(self):
        raise NotImplementedError

    def launch(self):
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                ["nsenter", "--net=/run/netns/" + self.network.ns("r")] + self.words(), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=allow_many_files)
        wait_for("the control port of " + self.words()[0], self.listens)

    def start(self):
        self.launch()
        self.calls = 0
        for action in ("setup", "delete"):  # it listens before all of it is ready; it answers when it is
            self.control(action, 0, 1)

    def listens(self):
        if self.process.poll() is not None:
            with open(self.log) as log:
                raise Broken("%s ended:\n%s" % (self.words()[0], log.read()[-1500:]))
        with open("/proc/%d/net/udp" % self.process.pid) as sockets:
            return any(line.split()[1].endswith(":%04X" % CONTROL_PORT) for line in sockets)

    def stop(self):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def control_words(self, action, first, count, window=32):
        return ["nsenter", "--net=/run/netns/" + self.network.ns("r"), self.bench.tool("control"), self.protocol,
                "127.0.0.1", str(CONTROL_PORT), action, str(first), str(count), str(window), CALLER, CALLEE,
                str(FIRST_PEER_PORT)]

    def control(self, action, first, count, window=32, ports=None):
        return json.loads(sh(*self.control_words(action, first, count, window), *([ports] if ports else [])))

    def add_calls(self, upto):
        """Have @upto calls; returns the ports that the caller sends from and to, for the new ones."""
        ports = self.bench.path(self.network.name + ".ports")
        result = self.control("setup", self.calls, upto - self.calls, 32, ports)
        if result["errors"]:
            with open(self.log) as log:
                raise Broken("%s refused %d commands:\n%s" % (self.words()[0], result["errors"], log.read()[-1500:]))
        self.calls = upto
        with open(ports) as lines:
            return [tuple(map(int, line.split()))[:self.columns] for line in lines]

    def cpu_ns(self):
        total = 0
        tasks = "/proc/%d/task" % self.process.pid
        for task in os.listdir(tasks):
            with contextlib.suppress(FileNotFoundError), open("%s/%s/schedstat" % (tasks, task)) as f:
                total += int(f.read().split()[0])
        return total

    def memory(self):
        """Resident bytes: all, and those that are no file's and no BPF map's."""
        with open("/proc/%d/status" % self.process.pid) as status:
            found = dict(line.split(":") for line in status)
        return tuple(int(found[key].split()[0]) * 1024 for key in ("VmRSS", "RssAnon"))

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def in_kernel(self):
        return None


class Rtpengine(Daemon):
    protocol = "ng"
    forgives_overload = False  # it discards all packets of a port whose receive queue was too full a few times

    def words(self):
        return ["rtpengine", "--config-file=none", "--table=-1", "--interface=" + RELAY,
                "--listen-ng=127.0.0.1:%d" % CONTROL_PORT, "--foreground", "--log-stderr", "--log-level=3",
                "--port-min=%d" % PORT_MIN, "--port-max=%d" % PORT_MAX, "--delete-delay=0",
                "--timeout=7200", "--silent-timeout=7200", "--offer-timeout=7200"]


class Rtpxd(Daemon):
    protocol = "rtpp"

    def __init__(self, network, dataplane, mode=None):
        super().__init__(network)
        self.dataplane, self.mode = dataplane, mode
        self.pins = os.path.join(self.bench.bpffs, network.name)
        self.state = tempfile.mkdtemp(dir="/dev/shm", prefix=network.name)  # no disk, as in /run
        network.bench.stack.callback(shutil.rmtree, self.state, True)

    def words(self):
        path = self.bench.path(self.network.name)
        words = [os.path.join(self.bench.build, "rtpxd"), "-f", "-F", "-s", "udp:127.0.0.1:%d" % CONTROL_PORT,
                 "-l", RELAY, "-m", str(PORT_MIN), "-M", str(PORT_MAX), "-T", "7200", "-p", path + ".pid",
                 "--dataplane", self.dataplane, "--pin-dir", self.pins, "--admin-socket", path + ".sock",
                 "--state-dir", self.state]
        if self.mode:
            words += ["--xdp-mode", self.mode, "--interface", "in0", "--interface", "out0"]
        return words

    def ctl(self, *words):
        """What rtpxctl --json answers."""
        return json.loads(self.network.enter("r", os.path.join(self.bench.build, "rtpxctl"), "--json", "--socket",
                                             self.bench.path(self.network.name) + ".sock", *words))

    def active_ports(self):
        return set(map(int, sh(self.bench.tool("flows"), self.pins, "active").split()))

    def in_kernel(self):
        return len(self.active_ports()) if self.dataplane == "xdp" else None

    def spread(self, where, count):
        """Give the flows of the kernel's table @count destinations behind their `gateway`, or on the `link`, for good."""
        sh(self.bench.tool("flows"), self.pins, where, str(count))

    def clone(self, pair, count):
        """@count more flows like @pair's in the kernel's table; returns what to send from and to."""
        taken = self.active_ports()
        free = [p for p in range(PORT_MIN, PORT_MAX + 1) if p not in taken]
        if len(free) < count:
            raise Broken("no ports for %d flows" % count)
        random.Random(2).shuffle(free)
        first = FIRST_PEER_PORT + 2 * max_calls()
        pairs = [(first + i, port) for i, port in enumerate(free[:count])]
        sh(self.bench.tool("flows"), self.pins, "clone", str(pair[1]), input="".join("%d %d\n" % p for p in pairs))
        return pairs


class Lab:
    """One contender: its network, its traffic and, but for the bare redirect, its daemon."""

    def __init__(self, bench, name, daemon=None):
        self.name = name
        self.network = Network(bench, name)
        self.daemon = daemon(self.network) if daemon else None
        self.traffic = Traffic(self.network)
        self.pairs = []

    def program(self, program):
        """For the lab without a daemon: bare redirect, or sink to measure generator and sink alone."""
        self.traffic.input(program)

    def in_port_order(self, flows, ordered):
        """Send the first @flows flows by rising port, or (as calls come) in no order."""
        self.traffic.flows(sorted(self.pairs[:flows], key=lambda p: p[1]) if ordered else self.pairs)

    def want_flows(self, flows):
        """Be able to carry @flows flows; returns how many it is."""
        if not self.daemon:
            self.pairs = [(FIRST_PEER_PORT + i, PORT_MIN + i) for i in range(flows)]
            random.Random(1).shuffle(self.pairs)
            self.traffic.flows(self.pairs)
            return flows
        calls = min(flows, max_calls())
        if calls > self.daemon.calls:
            self.pairs += self.daemon.add_calls(calls)
            random.Random(1).shuffle(self.pairs)
            self.traffic.flows(self.pairs)
            self.prove(calls)
        if flows > len(self.pairs) and self.daemon.in_kernel() is not None:
            self.pairs += self.daemon.clone(self.pairs[0], flows - len(self.pairs))
            self.traffic.flows(self.pairs)
        return min(flows, len(self.pairs))

    def recover(self):
        """After an overload: every call relays again, if need be as a new call of a new daemon."""
        if self.daemon.forgives_overload:
            return
        calls, self.pairs = self.daemon.calls, []
        self.daemon.stop()
        self.daemon.start()
        self.want_flows(calls)

    def prove(self, flows):
        """Let the relay learn every caller, and wait until the kernel has what it is to forward."""
        self.traffic.run(flows, rate=20000, seconds=0.1 + 3 * flows / 20000)
        if self.daemon.in_kernel() is not None:
            wait_for("%d flows in the kernel" % flows, lambda: self.daemon.in_kernel() >= flows)

    def check(self, flows):
        """Every flow arrives whole, where it must, with right checksums; from the kernel with complete ones."""
        for _ in range(5):  # a busy machine may lose packets; one that meets a flow just being written goes by the daemon
            r = self.traffic.run(flows, rate=10000, seconds=0.1 + 2 * flows / 10000, verify=True)
            complete = self.daemon.in_kernel() is None or r["partial"] == 0
            if r["wrong"] or r["foreign"]:
                break
            if complete and r["loss"] == 0 and r["received"] >= flows:
                return
        raise Broken("%s with %d flows relays wrongly: %s" % (self.name, flows, r))

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""standby.py - what a standby costs, and how long a call is silent when its owner's machine goes.

	tests/bench/standby.py [CALLS]

Silence: CALLS calls (1,000 unless told) between two parties, a packet each STEP_MS in both
directions, in the network of tests/netns/standby.py, with keepalived (VRRP, 100 ms) on both
machines. The owner's daemon is killed with SIGKILL, and its link goes down with it. The silence of
a call is the longest time in which one of its parties heard nothing; it is STEP_MS too long at
most. The same is done with rtpengine in user space: each machine writes its calls into a Redis
database of its own and subscribes to the other's, as its manual tells for such pairs.

Answers: MANY calls are set up, and the owner's machine goes. Then the new owner is asked for each by
Q, U, L and D. U and L must give the ports that the dead owner gave, and D must end the call.

Cost: commands a second of a daemon with and without --replicate, and its CPU time a command, in
interleaved rounds. The daemons have one CPU, Redis and the client have the others.

Churn: CALLS calls are set up and deleted again and again over the moving control address, while the
machines are lost in turn, ten times. No session may be left on either machine, or in Redis.
"""
import json
import os
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "netns")]
sys.dont_write_bytecode = True
import netlab
import ng_call
import standby
from netlab import Net, sh, wait_for
from standby import MEDIA, REDIS, Machine

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33    # socket.h
STEP_MS, ROUNDS, COMMANDS = 50, 7, 4000
MANY = 4900     # calls; each has four sockets, and the limit of descriptors is often 20,000
CALLS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000

KEEPALIVED = """
global_defs {{
    vrrp_version 3
    enable_script_security
}}
vrrp_instance media {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 0.1
    nopreempt
    virtual_ipaddress {{ {media}/24 }}
}}
"""


class Party:
    """Both ends of all calls of one side: one socket, whose peers are the relay's ports."""

    def __init__(self, net, address):
        with net.within("lan"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 64 << 20)
        self.socket.bind((address, 20000))
        self.socket.setblocking(False)
        self.ports, self.last, self.worst, self.seq = [], {}, {}, 0

    def send(self):
        self.seq += 1
        for n, port in enumerate(self.ports):
            self.socket.sendto(netlab.rtp(self.seq, n + 1), (MEDIA, port))

    def read(self, now):
        while True:
            try:
                _, (_, port) = self.socket.recvfrom(2048)
            except BlockingIOError:
                return
            self.worst[port] = max(self.worst.get(port, 0), now - self.last.get(port, now))
            self.last[port] = now


def keepalived(net, name, priority):
    path = f"{net.dir}/keepalived-{name}"
    with open(path + ".conf", "w", encoding="ascii") as f:
        f.write(KEEPALIVED.format(priority=priority, media=MEDIA))
    with open(path + ".log", "w", encoding="ascii") as log:
        p = subprocess.Popen(["nsenter", f"--net=/run/netns/{net.tag(name)}", "--", "keepalived", "--dont-fork", "--log-console", "--vrrp", "-f",
                              path + ".conf", "-p", path + ".pid", "-r", path + ".vrrp"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    netlab.note("+pid", p.pid)
    return p


def stop(p):
    p.terminate()
    p.wait(10)
    netlab.note("-pid", p.pid)


class Rtpx:
    """A pair of rtpxd."""

    def __init__(self, net):
        self.machines = [Machine(net, "east"), Machine(net, "west")]

    def start(self, n):
        self.machines[n].start()
        if n == 0 and not wait_for(20, self.machines[0].is_owner):
            raise netlab.Broken(f"east did not become the owner: {self.machines[0].relay.log()}")

    def call(self, n):
        """The ports of the callee's and of the caller's side."""
        command = self.machines[0].relay.command
        return (int(command(f"U call-{n} 10.9.0.2 20000 from-{n}").split()[0]),
                int(command(f"L call-{n} 10.9.0.3 20000 from-{n} to-{n}").split()[0]))

    def follows(self):
        return self.machines[1].is_ready(CALLS)

    def kill(self):
        self.machines[0].relay.process.kill()

    def knows(self, n):
        return self.machines[1].relay.command(f"Q call-{n} from-{n} to-{n}")[0] != "E"

    def stop(self):
        self.machines[1].relay.stop()


class Rtpengine:
    """A pair of rtpengine, without its kernel module."""

    def __init__(self, net):
        self.net, self.processes, self.sockets = net, [], []
        standby.redis_cli(net, "CONFIG", "SET", "notify-keyspace-events", "AKE")

    def start(self, n):
        name = ("east", "west")[n]
        self.net.sysctl(name, "net.ipv4.ip_nonlocal_bind=1")
        with open(f"{self.net.dir}/rtpengine-{name}.log", "w", encoding="ascii") as log:
            p = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.net.tag(name)}", "--", "rtpengine", "--foreground", "--log-stderr", "--table=-1",
                                  f"--interface={MEDIA}", "--listen-ng=127.0.0.1:22222", "--port-min=30000", "--port-max=40000",
                                  f"--redis={REDIS}:6379/{1 + n}", f"--subscribe-keyspace={2 - n}", "--log-level=4",
                                  f"--pidfile={self.net.dir}/rtpengine-{name}.pid"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        netlab.note("+pid", p.pid)
        self.processes.append(p)
        self.sockets.append(None)
        if not wait_for(20, lambda: self.ask(n, command="ping")):
            raise netlab.Broken(f"rtpengine does not run on {name}")

    def ask(self, n, **command):
        if not self.sockets[n]:
            with self.net.within(("east", "west")[n]):
                self.sockets[n] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sockets[n].connect(("127.0.0.1", 22222))
            self.sockets[n].settimeout(5)
        try:
            return ng_call.command(self.sockets[n], **command)
        except (ConnectionError, TimeoutError):
            self.sockets[n].close()     # with its late answers
            self.sockets[n] = None
            return None

    def call(self, n):
        common = {"call-id": f"call-{n}", "from-tag": f"from-{n}"}
        return (int(ng_call.ask(self.sockets[0], command="offer", sdp=ng_call.SDP.format("10.9.0.2", 20000), **common)),
                int(ng_call.ask(self.sockets[0], command="answer", sdp=ng_call.SDP.format("10.9.0.3", 20000), **common, **{"to-tag": f"to-{n}"})))

    def follows(self):
        return self.knows(0) and self.knows(CALLS - 1)

    def kill(self):
        self.processes[0].kill()

    def knows(self, n):
        return "6:result2:ok" in (self.ask(1, command="query", **{"call-id": f"call-{n}"}) or "")

    def stop(self):
        self.processes[0].wait()
        netlab.note("-pid", self.processes[0].pid)
        stop(self.processes[1])


def heard(alice, bob, lose):
    """The longest silence of each call, in which @lose ends the owner's machine after three seconds."""
    began, gone, due = time.monotonic(), None, time.monotonic()
    while (now := time.monotonic()) < began + 8:
        if not gone and now > began + 3:
            lose()
            gone = now
        for party in (alice, bob):
            party.send()
        due += STEP_MS / 1000
        while True:
            now = time.monotonic()
            for party in (alice, bob):
                party.read(now)
            if now >= due:
                break
            time.sleep(0.002)
        due = max(due, now - 0.2)
    for party in (alice, bob):
        for port in party.last:
            party.worst[port] = max(party.worst[port], now - party.last[port])
    return sorted(max(alice.worst.get(alice.ports[n], 99), bob.worst.get(bob.ports[n], 99)) for n in range(CALLS))


def silence(net, pair_of):
    redis = standby.Redis(net)
    pair = pair_of(net)
    vrrp = [keepalived(net, "east", 150)]
    if not wait_for(20, lambda: MEDIA in net.inside("east", "ip", "-4", "addr")):
        raise netlab.Broken("keepalived did not take the address")
    pair.start(0)
    vrrp.append(keepalived(net, "west", 100))
    pair.start(1)
    alice, bob = Party(net, "10.9.0.2"), Party(net, "10.9.0.3")
    for n in range(CALLS):
        to_bob, to_alice = pair.call(n)
        bob.ports.append(to_bob)
        alice.ports.append(to_alice)
    if not wait_for(30, pair.follows):
        raise netlab.Broken("the standby does not have all calls")

    def lose():
        pair.kill()
        net.do("lan ip link set east down")

    gaps = heard(alice, bob, lose)
    asked = range(0, CALLS, 10)
    print(f"{pair_of.__name__.lower()}: silence of {CALLS} calls: median {statistics.median(gaps):.2f} s, 99 % {gaps[CALLS * 99 // 100]:.2f} s, "
          f"worst {gaps[-1]:.2f} s; lost {sum(g > 4 for g in gaps)}; {sum(map(pair.knows, asked))} of {len(asked)} are known to the new owner", flush=True)
    for p in vrrp:
        stop(p)
    pair.stop()
    redis.close()


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def cost(net):
    redis = standby.Redis(net)
    net.do(f"west ip addr add {MEDIA}/24 dev eth0")
    relays = {}
    for number, name in enumerate(("alone", "replicated")):
        more = () if name == "alone" else ("--replicate", f"redis://{REDIS}")
        relays[name] = net.relay("west", "-l", MEDIA, "-T", "600", "-s", f"udp:127.0.0.1:{7722 + number}", "-m", str(30000 + 12000 * number), "-M",
                                 str(41999 + 12000 * number), *more)
    if not wait_for(20, lambda: relays["replicated"].ask("status")["standby"]["whole"]):
        raise netlab.Broken("Redis was not written")
    every = os.sched_getaffinity(0)
    if len(every) > 1:      # Redis and the client leave the daemons a CPU
        one = min(every)
        for relay in relays.values():
            os.sched_setaffinity(relay.process.pid, {one})
        for pid in (redis.process.pid, 0):
            os.sched_setaffinity(pid, every - {one})
    rates, cpus = {n: [] for n in relays}, {n: [] for n in relays}
    for _ in range(ROUNDS):
        for number, (name, relay) in enumerate(relays.items()):
            before, n, seconds = cpu_s(relay.process.pid), 0, 0
            for action in ("setup", "delete"):
                got = json.loads(net.inside("west", f"{netlab.BUILD}/bench/control", "rtpp", "127.0.0.1", str(7722 + number), action, "0",
                                            str(COMMANDS // 3), "32", "192.0.2.1", "192.0.2.2", "1024"))
                n, seconds = n + got["commands"], seconds + got["seconds"]
            rates[name].append(n / seconds)
            cpus[name].append((cpu_s(relay.process.pid) - before) / n * 1e6)
    rate, cpu = ({n: statistics.median(v[n]) for n in v} for v in (rates, cpus))
    print(f"commands a second: {rate['alone']:.0f} alone, {rate['replicated']:.0f} replicated ({rate['replicated'] / rate['alone']:.2f}); CPU a command: "
          f"{cpu['alone']:.1f} us alone, {cpu['replicated']:.1f} us replicated", flush=True)
    os.sched_setaffinity(0, every)
    redis.close()


def control(net, action, calls):
    """Starts the commands of so many calls, to the moving address."""
    return subprocess.Popen(["nsenter", f"--net=/run/netns/{net.tag('lan')}", "--", f"{netlab.BUILD}/bench/control", "rtpp", MEDIA, "7722",
                             action, "0", str(calls), "32", "10.9.0.2", "10.9.0.3", "1024"], stdout=subprocess.PIPE, text=True)


def owner_and_standby(net):
    """Redis, the owner and the standby."""
    redis, east, west = standby.Redis(net), Machine(net, "east"), Machine(net, "west")
    east.address("add")
    east.start()
    west.start()
    return redis, east, west


def answers(net):
    redis, east, west = owner_and_standby(net)
    wait_for(20, lambda: east.is_owner() and west.is_ready(0))
    proxy = standby.Proxy(net)

    def update(n):
        return proxy.command(f"U call-{n} 10.9.0.2 {10000 + 2 * n} from-{n}")

    def lookup(n):
        return proxy.command(f"L call-{n} 10.9.0.3 {10000 + 2 * n} from-{n} to-{n}")

    ports = [(update(n), lookup(n)) for n in range(MANY)]
    if not wait_for(30, lambda: west.is_ready(MANY)):
        raise netlab.Broken(f"the standby has not all calls: {west.state()}")
    east.lose()
    began = time.monotonic()
    west.address("add")
    update(0)
    first = time.monotonic() - began
    right = {
        "Q": sum(proxy.command(f"Q call-{n} from-{n} to-{n}").split()[0].isdigit() for n in range(MANY)),
        "U": sum(update(n) == ports[n][0] for n in range(MANY)),
        "L": sum(lookup(n) == ports[n][1] for n in range(MANY)),
        "D": sum(proxy.command(f"D call-{n} from-{n} to-{n}") == "0" for n in range(MANY)),
    }
    left = len(west.relay.ask("sessions")["sessions"])
    print(f"answers: {MANY} calls taken over, the first command answered after {first:.2f} s; right answers: "
          f"{', '.join(f'{name} {n}' for name, n in right.items())}; {left} sessions left", flush=True)
    west.relay.stop()
    redis.close()


def churn(net):
    redis, owner, other = owner_and_standby(net)
    commands = errors = repeats = left = 0
    for _ in range(10):
        wait_for(20, lambda: owner.is_written() and other.is_ready(0))
        for action, moves in (("setup", True), ("delete", False)):
            p = control(net, action, CALLS)
            if moves:
                time.sleep(0.1)
                owner.lose()
                other.address("add")
            got = json.loads(p.communicate()[0])
            commands, errors, repeats = commands + got["commands"], errors + got["errors"], repeats + got["repeats"]
            if moves:
                wait_for(20, other.is_owner)
                owner.link("up")
                owner.start("--discard-state")
                owner, other = other, owner
        wait_for(20, lambda: owner.is_written() and other.is_ready(0))
        left += len(redis.records()) + len(owner.relay.ask("sessions")["sessions"]) + other.state()["calls"]
    print(f"churn: {commands} commands of {10 * CALLS} calls in ten takeovers: {errors} refused, {repeats} sent again, {left} sessions left over")
    owner.relay.stop()
    other.relay.stop()
    redis.close()


def main():
    netlab.begin()
    try:
        for measure, *more in ((silence, Rtpx), (silence, Rtpengine), (answers,), (cost,), (churn,)):
            with Net("lan", "east", "west") as net:
                standby.lab(net)
                measure(net, *more)
    finally:
        netlab.end()


main()

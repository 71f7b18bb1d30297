#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long=40 limit=240
"""standby.py - calls survive the loss of a machine: an owner and a standby share a media address,
and a real Redis carries the state (docs/standby.md).

	alice, bob, redis (lan, 10.9.0.0/24) --- bridge --- east 10.9.0.11, west 10.9.0.12
	                                                    the media address is 10.9.0.100

Each row is one way in which such pairs fail elsewhere.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, Relay, sh, wait_for
from patience import slowness

MEDIA, REDIS = "10.9.0.100", "10.9.0.1"
CALLS = int(os.environ.get("CALLS", "60"))


def redis_server(net, *options):
    """A server that keeps nothing on the disk."""
    p = subprocess.Popen(["nsenter", f"--net=/run/netns/{net.tag('lan')}", "--", "redis-server", "--bind", REDIS, "--save", "", "--dir", net.dir,
                          *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    netlab.note("+pid", p.pid)
    return p


def redis_cli(net, *words, last=None):
    """@last: bytes, as the last word."""
    r = subprocess.run(["nsenter", f"--net=/run/netns/{net.tag('lan')}", "--", "redis-cli", "-h", REDIS, *(["-x"] if last else []), *words],
                       capture_output=True, input=last)
    return r.stdout.decode().strip()


class Redis:
    def __init__(self, net):
        self.net, self.process = net, None
        self.start()

    def start(self, *options):
        self.process = redis_server(self.net, "--port", "6379", "--protected-mode", "no", *options)
        if not wait_for(20, lambda: self.cli("PING") == "PONG"):
            raise netlab.Broken("Redis does not run")

    def cli(self, *words, last=None):
        return redis_cli(self.net, *words, last=last)

    def records(self):
        """Sessions in the hash."""
        return [key for key in self.cli("HKEYS", "rtpx:{rtpx}:records").split() if 0 < int(key) < 1 << 32]

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            netlab.note("-pid", self.process.pid)
            self.process = None


class Machine:
    """One of the two hosts, with its relay."""

    def __init__(self, net, name, *options):
        self.net, self.name, self.options, self.relay = net, name, options, None

    def start(self, *more, dataplane="native", under=()):
        self.relay = Relay(self.net, self.name, "-l", MEDIA, "-T", "600", "-s", f"udp:{MEDIA}:7722", "--replicate",
                           f"redis://{REDIS}", "--pin-dir",
                           f"{netlab.scratch}/bpf/{self.net.number}-{self.name}", *self.options, *more, dataplane=dataplane, under=under)
        self.net.relays.append(self.relay)
        if not wait_for(20, self.state):
            raise netlab.Broken("rtpxd does not run:\n" + self.relay.log()[-2000:])
        return self

    def state(self):
        try:
            return self.relay.ask("status").get("standby")
        except OSError:
            return None

    def is_owner(self):
        s = self.state()
        return s and s["role"] == "owner"

    def is_ready(self, calls):
        """A standby that follows, with so many calls."""
        s = self.state()
        return s and s["role"] == "standby" and s["whole"] and s["calls"] == calls

    def is_written(self):
        s = self.state()
        return s and s["role"] == "owner" and s["whole"] and not s["waiting"]

    def address(self, verb, media=MEDIA):
        self.net.do(f"{self.name} ip addr {verb} {media}/24 dev eth0")
        if verb == "add":
            self.announce(media)

    def announce(self, media):
        """A gratuitous ARP, as keepalived sends it (RFC 5227, 2.3)."""
        link = json.loads(sh(["ip", "-n", self.net.tag(self.name), "-j", "link", "show", "dev", "eth0"]))[0]["address"]
        mac, host = bytes.fromhex(link.replace(":", "")), socket.inet_aton(media)
        frame = b"\xff" * 6 + mac + b"\x08\x06" + bytes.fromhex("0001080006040001") + mac + host + bytes(6) + host
        self.net.raw(self.name, "eth0").send(frame)

    def link(self, state):
        self.net.do(f"lan ip link set {self.name} {state}")

    def lose(self):
        """The machine is gone: no process, no link."""
        self.relay.process.kill()
        self.relay.process.wait()
        self.link("down")
        self.address("del")


class Call:
    def __init__(self, net, owner, number):
        self.id, self.net = f"call-{number}", net
        self.ends = [net.end("lan", "10.9.0.2", 20000 + 2 * number, number), net.end("lan", "10.9.0.3", 20000 + 2 * number, number + 100000)]
        self.seq, self.owner = 100, owner
        answer = owner.relay.command(f"U {self.id} 10.9.0.2 {self.ends[0].port} from-{number}")
        answered = owner.relay.command(f"L {self.id} 10.9.0.3 {self.ends[1].port} from-{number} to-{number}")
        self.ends[1].to, self.ends[0].to = (MEDIA, int(answer.split()[0])), (MEDIA, int(answered.split()[0]))
        self.ports, self.number = (answer, answered), number

    def talk(self, n=5):
        for _ in range(n):
            self.seq += 1
            for end in self.ends:
                end.send(self.seq)
            time.sleep(0.002)

    def hears(self):
        """Both ends hear each other."""
        for end in self.ends:
            end.take()
        self.talk()
        return wait_for(3, lambda: all(end.read() for end in self.ends))


def silence(calls, act, seconds=6.0):
    """Both ends of each call send every 20 ms while @act runs after a second; the longest gap of each call that is over, and how
    slow the machine was then."""
    last, worst, act_at, end_at, slow = {}, {}, time.monotonic() + 1, time.monotonic() + seconds, slowness()
    while (now := time.monotonic()) < end_at:
        slow = max(slow, slowness())
        if act and now >= act_at:
            act()
            act = None
        for call in calls:
            call.seq += 1
            for end in call.ends:
                end.send(call.seq)
                if end.take():
                    key, heard = id(end), time.monotonic()
                    worst[key] = max(worst.get(key, 0), heard - last.get(key, heard))
                    last[key] = heard
        time.sleep(max(0, 0.02 - (time.monotonic() - now)))
    over = time.monotonic()
    return sorted(max(worst.get(id(end), 99), over - last.get(id(end), 0)) for call in calls for end in call.ends), slow


class Proxy:
    """Sends commands to the moving address, each again after a second without reply, as Kamailio's rtpproxy module does."""

    def __init__(self, net, media=MEDIA):
        with net.within("lan"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(1)
        self.n, self.media = 0, media

    def ask(self, line):
        """The reply to a whole command, with its cookie."""
        cookie = line.split()[0].encode() + b" "
        for _ in range(6):
            self.socket.sendto(line.encode(), (self.media, 7722))
            try:
                while not (reply := self.socket.recv(4096)).startswith(cookie):
                    pass
                return reply.decode().strip()
            except TimeoutError:
                pass
        return "no answer"

    def command(self, text):
        """The reply without the cookie."""
        self.n += 1
        return self.ask(f"{os.getpid()}_{self.n} {text}").partition(" ")[2]

    def close(self):
        self.socket.close()


def lab(net, machines=(("east", 11), ("west", 12))):
    net.do("""
        lan ip link add br0 type bridge
        lan ip addr add 10.9.0.1/24 dev br0
        lan ip addr add 10.9.0.2/24 dev br0
        lan ip addr add 10.9.0.3/24 dev br0
        lan ip link set lo up
        lan ip link set br0 up
        """)
    # Linux ignores a gratuitous ARP in the second after it has heard of the address; routers do not.
    net.sysctl("lan", "net.ipv4.neigh.br0.locktime=0")
    for name, host in machines:
        net.do(f"""
            {name} ip link add eth0 type veth peer name {name} netns @lan
            {name} ip addr add 10.9.0.{host}/24 dev eth0
            {name} ip link set lo up
            {name} ip link set eth0 up
            lan ip link set {name} master br0
            lan ip link set {name} up
            lan gro {name}
            lan cable {name}
            {name} gro eth0
            {name} cable eth0
            """)


def swap(check, gone, back, calls, what):
    """The owner's machine goes, and the other one gets the address."""
    def act():
        gone.lose()
        back.address("add")
    gaps, slow = silence(calls, act)
    check(f"{what}: {back.name} is the owner", wait_for(5, back.is_owner), back.state())
    check(f"{what}: all {len(calls)} calls are heard again within a second (median {gaps[len(gaps) // 2]:.2f} s, worst {gaps[-1]:.2f} s)",
          gaps[-1] < 1.0 * slow, back.relay.log()[-1500:])
    check(f"{what}: the wait as the standby makes no time to live longer", "did not run" not in back.relay.log(), back.relay.log()[-500:])
    check(f"{what}: the calls are in the kernel again", wait_for(5, lambda: all(d["in_kernel"] for c in calls for d in back.relay.why(c.id).values())),
          [d["why"] for c in calls for d in back.relay.why(c.id).values()][:4])


def record_1(number, ports):
    """A call, as version 1 wrote its record: members with a tag, two bytes of length and a value."""
    def member(tag, value):
        return bytes((tag,)) + len(value).to_bytes(2, "little") + value

    def time_in(seconds):
        return (time.monotonic_ns() + seconds * 10**9).to_bytes(8, "little").rstrip(b"\0")

    def leg(port):
        return member(1, b"\4" + port.to_bytes(2, "little") + socket.inet_aton(MEDIA)) + member(11, b"\x3c") + member(12, time_in(600))
    return (member(1, number.to_bytes(4, "little").rstrip(b"\0")) + member(5, b"\1") + member(6, time_in(0)) + member(9, leg(ports[0])) +
            member(10, leg(ports[1])) + member(2, b"of version 1") + member(3, b"from-tag"))


def rows(check, net):
    redis = Redis(net)
    net.open.append(redis)
    east, west = Machine(net, "east"), Machine(net, "west")
    east.address("add")
    east.start()
    check("the daemon with the address is the owner", wait_for(10, east.is_owner), east.state())
    west.start()
    follows_since = time.monotonic()
    check("the other one is the standby", west.is_ready(0) or wait_for(10, lambda: west.is_ready(0)), west.state())
    calls = [Call(net, east, n) for n in range(CALLS)]
    for call in calls:
        call.talk(2)
    check(f"the standby has all {CALLS} calls", wait_for(10, lambda: west.is_ready(CALLS)), west.state())
    check("both ends hear each other", all(call.hears() for call in calls[:5]))

    ended = calls.pop()
    east.relay.command(f"D {ended.id} from-{ended.number} to-{ended.number}")
    check("an ended call ends on the standby and in Redis",
          wait_for(10, lambda: west.is_ready(CALLS - 1)) and len(redis.records()) == CALLS - 1, west.state())
    many = [Call(net, east, 500 + n) for n in range(3)]
    wait_for(10, lambda: west.is_ready(CALLS + 2))
    east.relay.command("X")
    check("X ends all calls on the standby, too", wait_for(10, lambda: west.is_ready(0)) and wait_for(10, lambda: not redis.records()), west.state())
    for call in (*calls, *many):
        for end in call.ends:
            end.close()
    calls = [Call(net, east, n) for n in range(CALLS - 1)]
    wait_for(10, lambda: west.is_ready(CALLS - 1))
    started = len(calls)

    command = "17_1 U again 10.9.0.2 30000 from-again"
    proxy = Proxy(net)
    net.open.append(proxy)
    reply = proxy.ask(command)
    wait_for(10, lambda: west.is_ready(started + 1))
    # The engine takes a pause of 5 s between two ticks for time in which the process did not run.
    wait_for(10, lambda: time.monotonic() - follows_since > 6)
    swap(check, east, west, calls, "machine lost")
    check("a command that is sent again to the moved control address has its reply again", proxy.ask(command) == reply, reply)
    check("and a new one is executed", proxy.ask("18_1 D again from-again") == "18_1 0")
    check("U, L, Q and D are answered rightly", west.relay.command(f"U {calls[0].id} 10.9.0.2 {calls[0].ends[0].port} from-0").split()[0] ==
          calls[0].ports[0].split()[0] and west.relay.command("Q call-1 from-1 to-1").split()[0].isdigit() and
          west.relay.command("D call-2 from-2 to-2") == "0", west.relay.log()[-500:])
    calls.pop(2)
    check("no session is left over", wait_for(10, lambda: len(redis.records()) == started - 1), len(redis.records()))

    east.link("up")
    east.start("--discard-state")
    check("the lost machine is the standby when it is back", wait_for(10, lambda: east.is_ready(len(calls))), east.state())
    for n in range(4):
        owner, standby = (west, east) if n % 2 == 0 else (east, west)
        swap(check, owner, standby, calls, f"takeover {n + 2}")
        owner.link("up")
        owner.start("--discard-state")
        if not check(f"takeover {n + 2}: {owner.name} is the standby", wait_for(10, lambda o=owner: o.is_ready(len(calls))), owner.state()):
            return
    owner, standby = (west, east)
    if standby.is_owner():
        owner, standby = standby, owner

    # Redis restarted, with nothing left in it
    redis.close()
    check("Redis is gone: the owner says so", wait_for(10, lambda: not owner.state()["redis"]), owner.state())
    began = time.monotonic()
    late = Call(net, owner, 900)
    check("Redis is gone: a command is answered at once", time.monotonic() - began < slowness() and late.hears())
    redis.start()
    began = time.monotonic()
    check("Redis is back: all records are there within 5 s",
          wait_for(5, lambda: owner.is_written() and standby.is_ready(len(calls) + 1)), (owner.state(), standby.state()))
    calls.append(late)
    print(f"  reconciled after {time.monotonic() - began:.2f} s")

    # Redis read-only
    redis.cli("CONFIG", "SET", "min-replicas-to-write", "1")
    Call(net, owner, 901)
    check("Redis refuses writes: the owner says so", wait_for(10, lambda: "refuses to write" in owner.relay.log()), owner.relay.log()[-500:])
    redis.cli("CONFIG", "SET", "min-replicas-to-write", "0")
    check("Redis writes again: reconciled", wait_for(10, lambda: owner.is_written() and standby.is_ready(len(calls) + 1)), standby.state())

    # a record that this version does not know
    redis.cli("HSET", "rtpx:{rtpx}:records", "77777", "not a record")
    standby.relay.stop()
    standby.start()
    check("a standby that starts late reads everything, and names a record that it does not know",
          wait_for(10, lambda: standby.is_ready(len(calls) + 1)) and "describes no call" in standby.relay.log(), standby.state())

    # an owner of version 1, which is upgraded then
    free = Call(net, owner, 902)
    owner.relay.command("D call-902 from-902 to-902")
    wait_for(10, lambda: owner.is_written() and standby.is_ready(len(calls) + 1))
    epoch = redis.cli("GET", "rtpx:{rtpx}:epoch")
    standby.relay.stop()
    owner.relay.process.send_signal(signal.SIGSTOP)     # it would write its own version again
    redis.cli("SET", "rtpx:{rtpx}:epoch", "1 " + epoch[2:])
    redis.cli("HSET", "rtpx:{rtpx}:records", "88888", last=record_1(88888, [int(answer.split()[0]) for answer in free.ports]))
    standby.start()
    check("a group of version 1 is followed, and its records are read", epoch.startswith("2 ") and
          wait_for(10, lambda: standby.is_ready(len(calls) + 2)), (epoch, standby.state(), standby.relay.log()[-500:]))
    redis.cli("HDEL", "rtpx:{rtpx}:records", "88888")
    owner.relay.process.send_signal(signal.SIGCONT)
    check("when its owner writes another version, the standby reads all again", wait_for(20, lambda: standby.is_ready(len(calls) + 1)) and
          redis.cli("GET", "rtpx:{rtpx}:epoch") == epoch, (redis.cli("GET", "rtpx:{rtpx}:epoch"), standby.state()))

    # an owner of a newer version
    standby.relay.stop()
    owner.relay.process.send_signal(signal.SIGSTOP)
    redis.cli("SET", "rtpx:{rtpx}:epoch", "3 " + epoch[2:])
    standby.start()
    check("keys of a newer version are refused with a sentence", wait_for(10, lambda: "newer version of rtpx" in standby.relay.log()) and
          not standby.state()["whole"], standby.relay.log()[-500:])
    redis.cli("SET", "rtpx:{rtpx}:epoch", epoch)
    owner.relay.process.send_signal(signal.SIGCONT)
    check("and followed when it is the same version", wait_for(10, lambda: standby.is_ready(len(calls) + 1)), standby.state())

    # a tenth of the packets between the owner and Redis is lost; the standby's clock is 1,000 s ahead
    standby.relay.stop()
    net.do(f"""
        {owner.name} nft table ip lossy {{
        {owner.name} nft chain out {{ type filter hook output priority 0; ip daddr {REDIS} tcp dport 6379 numgen random mod 10 0 drop; }}
        {owner.name} nft }}
        """)
    standby.start(dataplane="none", under=("unshare", "--time", "--monotonic", "1000", "--boottime", "1000"))
    late = [Call(net, owner, 910 + n) for n in range(10)]
    check("a lossy link to Redis, and another clock: the standby has all calls",
          wait_for(20, lambda: standby.is_ready(len(calls) + 11)), standby.state())
    ttl = int(owner.relay.command("Q call-911 from-911 to-911").split()[0])
    calls += late

    # both alive: the owner is paused, and the other one takes over by hand
    owner.relay.process.send_signal(signal.SIGSTOP)
    owner.address("del")
    standby.address("add")
    check("fencing: the standby takes over", wait_for(10, standby.is_owner), standby.state())
    owner.relay.process.send_signal(signal.SIGCONT)
    try:
        code = owner.relay.process.wait(20 * netlab.PATIENCE)
    except subprocess.TimeoutExpired:
        code = None
    check("fencing: the paused owner ends with exit status 75 and says why", code == 75 and "has taken over" in owner.relay.log(),
          (code, owner.relay.log()[-500:]))
    found = int(standby.relay.command("Q call-911 from-911 to-911").split()[0])
    age = standby.relay.ask("session call-911")["sessions"][0]["age_s"]
    check("fencing: time to live and age are right by the other clock", ttl - 60 < found <= 600 and age < 120, (ttl, found, age))
    check("fencing: the calls go on", all(call.hears() for call in calls[:5]))
    check("fencing: the calls are in Redis", wait_for(10, lambda: len(redis.records()) == len(calls) + 1), len(redis.records()))

    # an orderly stop of the owner leaves the calls
    owner.start()
    check("the fenced daemon starts as the standby", wait_for(10, lambda: owner.is_ready(len(calls) + 1)), owner.state())
    standby.relay.stop()
    check("a stopped owner says so in Redis", redis.cli("GET", "rtpx:{rtpx}:owner").startswith("released "), redis.cli("GET", "rtpx:{rtpx}:owner"))
    owner.relay.ask("takeover")
    check("rtpxctl takeover makes the standby the owner", wait_for(10, owner.is_owner), owner.state())
    standby.address("del")
    owner.address("add")
    check("the calls go on after an orderly stop", all(call.hears() for call in calls[:5]))
    owner.relay.stop()
    restarted(check, net, redis, owner, standby)
    told(check, net, redis, owner, standby)


def restarted(check, net, redis, owner, standby):
    """The owner restarts and answers before it has restored all calls: neither the standby nor an empty Redis misses one."""
    calls, early, ends = 3000, 0, (signal.SIGPWR, signal.SIGKILL, signal.SIGPWR)

    def start(machine):
        machine.start("--group", "restarted", "-L", "20000", "--state-dir", f"{net.dir}/restarted-{machine.name}", dataplane="none")

    def ask(number):
        return owner.relay.command(f"U call-{number} 10.9.0.2 20000 from-{number}")

    start(owner)
    start(standby)
    wait_for(10, lambda: owner.is_owner() and standby.is_ready(0))
    ports = [ask(n) for n in range(calls)]
    check(f"restart: the standby has {calls} calls", wait_for(20, lambda: standby.is_ready(calls)), standby.state())
    for n, end in enumerate(ends):
        owner.relay.process.send_signal(end)
        owner.relay.process.wait()
        redis.close()
        redis.start()
        start(owner)
        last = n == len(ends) - 1
        reply = owner.relay.command("X") if last else ask(calls - 1)
        early += "calls of the previous rtpxd go on" not in owner.relay.log()
        check(f"{end.name}: a command is answered rightly", reply == ("0" if last else ports[-1]), reply)
        check(f"{end.name}: the standby has {'no call' if last else 'all calls'}, and Redis too",
              wait_for(20, lambda left=0 if last else calls: standby.is_ready(left) and owner.is_written() and
                       redis.cli("HLEN", "rtpx:{restarted}:records") == str(left + 1)),
              (standby.state(), redis.cli("HLEN", "rtpx:{restarted}:records"), owner.relay.log()[-500:]))
        check(f"{end.name}: the owner has restored all", "calls of the previous rtpxd go on" in owner.relay.log(), owner.relay.log()[-500:])
    check("restart: a command is answered before all calls are restored", early > 0, early)
    owner.relay.stop()
    standby.relay.stop()


def told(check, net, redis, owner, standby):
    """A notification waits for its target while the owner's machine is lost: the standby delivers it."""
    options, target = ("-T", "1", "-n", "tcp:10.9.0.2:7900", "--group", "told"), ("10.9.0.2", 7900)
    owner.start(*options, dataplane="none")
    standby.start(*options, dataplane="none")
    wait_for(10, lambda: owner.is_owner() and standby.is_ready(0))
    owner.relay.command("U silent 10.9.0.2 20000 from-tag tcp:10.9.0.2:7900 timed-out")
    check("a notification that waits is in Redis", wait_for(10, lambda: any(int(k) >> 32 == 1 for k in redis.cli(
        "HKEYS", "rtpx:{told}:records").split())), owner.relay.log()[-500:])
    owner.lose()
    standby.address("add")
    check("a notification waits: the standby takes over", wait_for(10, standby.is_owner), standby.relay.log()[-500:])
    with net.within("lan"), socket.create_server(target) as server:
        server.settimeout(20 * netlab.PATIENCE)
        try:
            with server.accept()[0] as peer:
                peer.settimeout(5 * netlab.PATIENCE)
                text = peer.recv(100)
        except TimeoutError:
            text = b""
    check("and the standby delivers it", text == b"timed-out\n", (text, standby.relay.log()[-500:]))
    standby.relay.stop()
    standby.address("del")
    owner.link("up")


def encrypted(check, net):
    """Redis with TLS, and a user with a password from a file."""
    files = {name: f"{net.dir}/{name}" for name in ("key", "cert", "other", "password", "acl")}
    for key, cert in (("key", "cert"), ("other-key", "other")):
        sh(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=redis", "-addext",
            f"subjectAltName=IP:{REDIS}", "-keyout", f"{net.dir}/{key}", "-out", f"{net.dir}/{cert}"])
    with open(files["acl"], "w", encoding="ascii") as f:
        f.write("user default off\nuser rtpx on >asecret ~rtpx:* +@all\n")
    with open(files["password"], "w", encoding="ascii") as f:
        f.write("asecret\n")
    server = redis_server(net, "--port", "0", "--tls-port", "6380", "--tls-cert-file", files["cert"], "--tls-key-file", files["key"],
                          "--tls-ca-cert-file", files["cert"], "--tls-auth-clients", "no", "--aclfile", files["acl"])
    url = f"rediss://rtpx:@{REDIS}:6380"
    for ca, what in (("cert", None), ("other", "self-signed certificate")):
        m = Machine(net, "east")
        m.start("--replicate", url, "--replicate-ca", files[ca], "--replicate-password", files["password"], "--group", f"tls-{ca}", dataplane="none")
        if what:
            check("TLS: a certificate that is not trusted is refused, and named", wait_for(20, lambda m=m: what in m.relay.log()), m.relay.log()[-500:])
        else:
            check("TLS, user and password: Redis is followed", wait_for(20, lambda m=m: m.is_ready(0)), (m.state(), m.relay.log()[-500:]))
        m.relay.stop()
    server.kill()
    server.wait()
    netlab.note("-pid", server.pid)


def main():
    with netlab.judged() as check, Net("lan", "east", "west") as net:
        lab(net)
        rows(check, net)
        encrypted(check, net)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long=40 limit=240
"""groups.py - several address groups in one daemon (docs/standby.md): one standby for two owners, and two owners that stand by
for each other. The lab is that of standby.py, with three machines:

	alice, bob, redis (lan, 10.9.0.0/24) --- bridge --- east 10.9.0.11, west 10.9.0.12, south 10.9.0.13
	                                                    group A has 10.9.0.100, group B has 10.9.0.101
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import BUILD, Net, Relay, wait_for
from standby import REDIS, Machine, Proxy, Redis, lab, silence

MEDIA = {"A": "10.9.0.100", "B": "10.9.0.101"}
CALLS = int(os.environ.get("CALLS", "20"))
PORTS = ("-m", "30000", "-M", str(30000 + 6 * CALLS))   # 3 pairs for each 2: the groups' calls share most numbers


def sockets():
    return [word for media in MEDIA.values() for word in ("-s", f"udp:{media}:7722")]


class Member(Machine):
    """A machine whose daemon is in several groups."""

    def start(self, *options, dataplane="native", ready=True):
        self.relay = Relay(self.net, self.name, *PORTS, "-T", "600", "--replicate", f"redis://{REDIS}", "--pin-dir",
                           f"{netlab.scratch}/bpf/{self.net.number}-{self.name}", *options, dataplane=dataplane)
        self.net.relays.append(self.relay)
        self.options = options
        if ready and not wait_for(20, self.groups):
            raise netlab.Broken("rtpxd does not run:\n" + self.relay.log()[-2000:])
        return self

    def again(self):
        """The next process, with the state directory of the previous one."""
        self.start(*self.options, "--state-dir", f"{self.relay.dir}/state" if "--state-dir" not in self.options else
                   self.options[self.options.index("--state-dir") + 1])

    def groups(self):
        try:
            return {g["group"]: g for g in self.relay.ask("status").get("groups", [])}
        except OSError:
            return {}

    def owns(self, name):
        return self.groups().get(name, {}).get("role") == "owner"

    def ready(self, name, calls):
        """A standby of the group that follows, with so many calls."""
        g = self.groups().get(name, {})
        return g.get("role") == "standby" and g["whole"] and g["calls"] == calls

    def written(self, name):
        g = self.groups().get(name, {})
        return g.get("role") == "owner" and g["whole"] and not g["waiting"]

    def lose(self, *medias):
        """The machine is gone: no process, no link."""
        self.relay.process.kill()
        self.relay.process.wait()
        self.link("down")
        for media in medias:
            self.address("del", media)


class Call:
    """A call of a group, made through the group's control socket."""

    def __init__(self, net, proxy, group, number):
        self.id, self.proxy, self.media, self.number = f"{group}-{number}", proxy, MEDIA[group], number
        base = 20000 + 2 * number + (10000 if group == "B" else 0)
        self.ends = [net.end("lan", "10.9.0.2", base, base), net.end("lan", "10.9.0.3", base, base + 100000)]
        self.seq = 100
        self.ports = [int(proxy.command(text).split()[0]) for text in (
            f"U {self.id} 10.9.0.2 {base} from-{number}", f"L {self.id} 10.9.0.3 {base} from-{number} to-{number}")]
        self.ends[1].to, self.ends[0].to = (self.media, self.ports[0]), (self.media, self.ports[1])
        for _ in range(2):
            self.talk()

    def talk(self):
        self.seq += 1
        for end in self.ends:
            end.send(self.seq)

    def hears(self):
        for end in self.ends:
            end.take()

        def both():
            self.talk()
            return all(end.read() for end in self.ends)
        return wait_for(5, both)

    def query(self):
        return self.proxy.command(f"Q {self.id} from-{self.number} to-{self.number}")

    def close(self):
        for end in self.ends:
            end.close()


def moved(check, what, calls, act, owner, group):
    """Move a group to @owner; every call of all groups is heard again within a second."""
    gaps, slow = silence([c for of in calls.values() for c in of], act)
    check(f"{what}: {owner.name} owns {group}", wait_for(5, lambda: owner.owns(group)), (owner.groups(), owner.relay.log()[-1500:]))
    check(f"{what}: the calls of both groups are heard within a second (median {gaps[len(gaps) // 2]:.2f} s, worst {gaps[-1]:.2f} s)",
          gaps[-1] < 1.0 * slow, owner.relay.log()[-1500:])
    check(f"{what}: the calls of {group} are answered", all(c.query().split()[0].isdigit() for c in calls[group]), calls[group][0].query())
    check(f"{what}: they are in the kernel", wait_for(5, lambda: all(d["in_kernel"] for c in calls[group] for d in owner.relay.why(c.id).values())),
          [d["why"] for c in calls[group] for d in owner.relay.why(c.id).values()][:4])


def proxies(net):
    made = {name: Proxy(net, media) for name, media in MEDIA.items()}
    net.open.extend(made.values())
    return made


def two_owners(check, net):
    """One standby for two owners, which know of one group each."""
    owners = {"A": Member(net, "east"), "B": Member(net, "west")}
    spare = Member(net, "south")
    for name, m in owners.items():
        m.address("add", MEDIA[name])
        m.start("-l", MEDIA[name], "--group", name, "-s", f"udp:{MEDIA[name]}:7722")
    spare.start(*sockets(), *(word for name, media in MEDIA.items() for word in ("--group", f"{name}={media}")))
    check("each owner owns its group", all(wait_for(10, lambda m=m, n=name: m.owns(n)) for name, m in owners.items()),
          [m.groups() for m in owners.values()])
    proxy = proxies(net)
    calls = {name: [Call(net, proxy[name], name, n) for n in range(CALLS)] for name in MEDIA}
    ports = {name: {p for c in of for p in c.ports} for name, of in calls.items()}
    check("the groups' calls have the same ports", len(ports["A"] & ports["B"]) > CALLS // 2, ports)
    check("the standby has the calls of both groups", wait_for(10, lambda: all(spare.ready(name, CALLS) for name in MEDIA)),
          (spare.groups(), spare.relay.log()[-1000:]))
    check("they are in none of its lists", not spare.relay.ask("sessions").get("sessions") and
          spare.relay.ask("stats").get("active_sessions") == 0, spare.relay.ask("stats").get("active_sessions"))
    check("takeover without a name asks for one", "which group: A, B" in spare.relay.ctl("takeover"), spare.relay.ctl("takeover"))
    check("takeover of a group that is none is refused", "C is no group" in spare.relay.ctl("takeover", "C"), spare.relay.ctl("takeover", "C"))
    command = "17_1 U again 10.9.0.2 40000 from-again"
    reply = proxy["A"].ask(command)
    wait_for(10, lambda: spare.ready("A", CALLS + 1))

    def lose(name, gone, back):
        gone.lose(MEDIA[name])
        back.address("add", MEDIA[name])
    moved(check, "A's machine is lost", calls, lambda: lose("A", owners["A"], spare), spare, "A")
    check("and the other group has not moved", spare.ready("B", CALLS) and owners["B"].owns("B"), spare.groups())
    check("a command that is sent again has its reply again", proxy["A"].ask(command) == reply, reply)
    check("and a new one is executed", proxy["A"].ask("18_1 D again from-again") == "18_1 0")
    text = spare.relay.ctl("status")
    check("status has a line for each group", "group       A: this daemon is the owner" in text and
          f"group       B: this daemon is the standby, with {CALLS} calls" in text, text)
    text = spare.relay.ctl("doctor")
    check("doctor knows that B's address is elsewhere", f"{MEDIA['B']} is the address of a group that has another owner" in text, text)
    refused = spare.relay.command(f"Ul{MEDIA['B']} label 10.9.0.2 40002 from-label")
    check("an address of a group that it does not own is refused", not refused.split()[0].isdigit() or refused.startswith("E"), refused)
    moved(check, "B's machine is lost, too", calls, lambda: lose("B", owners["B"], spare), spare, "B")
    late = {name: Call(net, proxy[name], name, 100) for name in MEDIA}
    check("new calls are at the address of their control socket", all(c.hears() for c in late.values()))
    for name, call in late.items():
        calls[name].append(call)

    spare.relay.process.kill()
    spare.relay.process.wait()
    spare.again()
    check("a killed daemon goes on with both groups", wait_for(10, lambda: all(spare.owns(name) for name in MEDIA)), spare.groups())
    check("and with their calls", all(c.hears() for of in calls.values() for c in (of[0], of[-1])) and
          spare.relay.ask("stats")["active_sessions"] == 2 * CALLS + 2 and "cannot be restored" not in spare.relay.log(),
          spare.relay.log()[-1000:])
    return proxy, owners, spare, calls


def fenced(check, proxy, owners, spare, calls):
    """The first owner is back, and takes its group again: the daemon that had it keeps the other group's calls."""
    east = owners["A"]
    east.link("up")
    east.start("-l", MEDIA["A"], "--group", "A", "-s", f"udp:{MEDIA['A']}:7722", "--discard-state")
    check("A's machine is back as the standby", wait_for(10, lambda: east.ready("A", CALLS + 1)), (east.groups(), east.relay.log()[-500:]))
    check("its standby has written all", wait_for(10, lambda: spare.written("A")), spare.groups())
    spare.address("del", MEDIA["A"])
    east.address("add", MEDIA["A"])
    check("it takes its group over", wait_for(10, lambda: east.owns("A")), east.groups())
    try:
        code = spare.relay.process.wait(20 * netlab.PATIENCE)
    except subprocess.TimeoutExpired:
        code = None
    check("the other one ends with exit status 75 and names the group", code == 75 and "group A: " in spare.relay.log() and
          "has taken over" in spare.relay.log(), (code, spare.relay.log()[-500:]))
    spare.again()
    check("its next daemon owns the other group, and stands by for this one", wait_for(10, lambda: spare.owns("B") and
          spare.ready("A", CALLS + 1)), (spare.groups(), spare.relay.log()[-1000:]))
    check("the calls of both groups go on", all(c.hears() for of in calls.values() for c in of), spare.relay.log()[-500:])
    check("and are answered", all(c.query().split()[0].isdigit() for of in calls.values() for c in of))
    check("X ends the calls of its group only", proxy["B"].command("X") == "0" and
          wait_for(10, lambda: not spare.relay.ask("stats")["active_sessions"]) and calls["A"][0].query().split()[0].isdigit(),
          spare.relay.ask("stats")["active_sessions"])
    east.relay.stop()
    spare.relay.stop()
    east.address("del", MEDIA["A"])
    spare.address("del", MEDIA["B"])
    for of in calls.values():
        for call in of:
            call.close()


def mutual(check, net, redis):
    """Two owners that stand by for each other, and a second standby of both."""
    redis.cli("FLUSHALL")
    east, west, south = Member(net, "east"), Member(net, "west"), Member(net, "south")
    west.link("up")
    for m, mine, other in ((east, "A", "B"), (west, "B", "A")):
        m.address("add", MEDIA[mine])
        m.start("-l", MEDIA[mine], "--group", mine, "--group", f"{other}={MEDIA[other]}", *sockets())
    south.start(*sockets(), *(word for name, media in MEDIA.items() for word in ("--group", f"{name}={media}")))
    check("each owns its group and stands by for the other", wait_for(10, lambda: east.owns("A") and west.owns("B") and
          east.ready("B", 0) and west.ready("A", 0)), (east.groups(), west.groups()))
    proxy = proxies(net)
    calls = {name: [Call(net, proxy[name], name, n) for n in range(CALLS)] for name in MEDIA}
    check("each has the other's calls", wait_for(10, lambda: east.ready("B", CALLS) and west.ready("A", CALLS)), (east.groups(), west.groups()))

    def lose():
        east.lose(MEDIA["A"])
        west.address("add", MEDIA["A"])
    moved(check, "one of two owners is lost", calls, lose, west, "A")
    check("the other owner has all calls", west.relay.ask("stats")["active_sessions"] == 2 * CALLS, west.relay.ask("stats")["active_sessions"])
    check("the second standby follows the new owner", wait_for(10, lambda: west.written("A") and south.ready("A", CALLS) and
          south.ready("B", CALLS)), (south.groups(), south.relay.log()[-500:]))
    ended = calls["A"].pop()
    proxy["A"].command(f"D {ended.id} from-{ended.number} to-{ended.number}")
    ended.close()
    check("and sees a call end", wait_for(10, lambda: south.ready("A", CALLS - 1)), south.groups())
    options = list(east.options)
    east.link("up")
    east.start(*options, "--discard-state")
    check("the lost one is back as the standby of both", wait_for(10, lambda: east.ready("A", CALLS - 1) and east.ready("B", CALLS)),
          (east.groups(), east.relay.log()[-500:]))

    def lose_both():
        west.lose(*MEDIA.values())
        for media in MEDIA.values():
            east.address("add", media)
    moved(check, "the machine with both groups is lost", calls, lose_both, east, "A")
    check("both groups have moved", wait_for(10, lambda: east.owns("B")) and all(c.query().split()[0].isdigit() for c in calls["B"]), east.groups())
    check("the calls are in Redis", wait_for(10, lambda: east.written("A") and east.written("B")) and
          all(redis.cli("HLEN", f"rtpx:{{{name}}}:records") == str(len(calls[name]) + 1) for name in MEDIA),
          [redis.cli("HLEN", f"rtpx:{{{name}}}:records") for name in MEDIA])
    east.relay.process.kill()
    east.relay.process.wait()
    state = f"{east.relay.dir}/state"
    east.start("-l", MEDIA["B"], "--group", "B", "--group", f"A={MEDIA['A']}", *sockets(), "--state-dir", state, ready=False)
    try:
        code = east.relay.process.wait(20 * netlab.PATIENCE)
    except subprocess.TimeoutExpired:
        code = None
    check("groups in another order than the journal's are refused", code == 1 and "same --group options in the same order" in east.relay.log(),
          (code, east.relay.log()[-500:]))
    east.start(*options, "--state-dir", state)
    check("and in the same order the calls go on", wait_for(10, lambda: east.owns("A") and east.owns("B")) and
          all(c.hears() for of in calls.values() for c in of), (east.groups(), east.relay.log()[-500:]))

    def lose_east():
        east.lose(*MEDIA.values())
        for media in MEDIA.values():
            south.address("add", media)
    moved(check, "the next machine is lost", calls, lose_east, south, "B")
    check("the second standby has both groups", wait_for(10, lambda: south.owns("A")) and
          south.relay.ask("stats")["active_sessions"] == 2 * CALLS - 1, south.groups())


REFUSED = (
    (("-l", "192.0.2.1/192.0.2.2", "--group", "B=192.0.2.3"), "bridging"),
    (("-l", "*", "--group", "B=192.0.2.3"), "means all addresses"),
    (("-l", "192.0.2.1", "--group", "A", "--group", "A=192.0.2.3"), "A is given twice"),
    (("-l", "192.0.2.1", "--group", "B=192.0.2.3,C@192.0.2.4"), "neither labels nor sides"),
    (("-l", "192.0.2.1", "--group", "B="), "an address is missing"),
    (("-l", "192.0.2.1", *(word for n in range(2, 18) for word in ("--group", f"G{n}=192.0.2.{n}"))), "at most 16"),
    (("-l", "192.0.2.1", "--group", "=192.0.2.3"), "must have a name"),
)


def refusals(check):
    for options, sentence in REFUSED:
        r = subprocess.run([f"{BUILD}/rtpxd", "--replicate", "redis://127.0.0.1", *options], capture_output=True, text=True, check=False)
        check(f"rtpxd {' '.join(options)}: refused", r.returncode == 2 and sentence in r.stderr, (r.returncode, r.stderr))


def main():
    with netlab.judged() as check, Net("lan", "east", "west", "south") as net:
        refusals(check)
        lab(net, (("east", 11), ("west", 12), ("south", 13)))
        redis = Redis(net)
        net.open.append(redis)
        fenced(check, *two_owners(check, net))
        mutual(check, net, redis)


if __name__ == "__main__":
    main()

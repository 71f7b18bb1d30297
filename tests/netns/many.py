#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together busy
"""many.py - thousands of sessions end at once, and the relay still answers other commands.

X, a D for a call of thousands of sessions, a media outage in which all sessions time out, rtpxctl's
lists, and a restart: no answer, and no V that arrives meanwhile, takes more than LIMIT_MS of the
relay's CPU time. CPU time, because the machine may be busy. No command finds a session after the reply to the X that
ended it, not even of the next relay if this one is killed then.

Sessions have one pair of ports each, so that 9,000 fit under a limit of 20,000 open files.
"""
import contextlib
import json
import os
import resource
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, wait_for

ADDRESS = "192.0.2.1"
SESSIONS = (min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20000) - 1000) // 2
IN_ONE_CALL = SESSIONS // 3
SETUP_S = 6             # time to live of a session without an answer
# The aim is 5; a machine with 14 processes for each CPU shows 1 to 4. An X that ends its sessions before its reply takes
# 96, such a D 31, and an outage in one turn of the loop 70 to 115.
LIMIT_MS = 20
LAST = range(SESSIONS - 1, SESSIONS // 2, -500)  # sessions that are restored late
HOST = f"""
relay ip link set lo up
relay ip addr add {ADDRESS}/32 dev lo
"""


class Controller:
    """A connection with a command on each line."""

    def __init__(self, relay):
        self.relay, self.s = relay, socket.socket(socket.AF_UNIX)
        self.s.settimeout(60 * netlab.PATIENCE)
        self.s.connect(f"{relay.dir}/many")
        self.lines = self.s.makefile("r")

    def send(self, *commands):
        self.s.sendall("".join(c + "\n" for c in commands).encode())

    def ask(self, command):
        self.send(command)
        return self.lines.readline().strip()

    def all(self, commands):
        """The replies, with 100 commands under way."""
        replies, commands = [], list(commands)
        for i in range(0, len(commands), 100):
            part = commands[i:i + 100]
            self.send(*part)
            replies += [self.lines.readline().strip() for _ in part]
        return replies


class Probe:
    """Asks the relay, and notes the CPU time that it uses until its answer."""

    def __init__(self, relay):
        self.clock = (~relay.process.pid << 3) | 2      # CPUCLOCK_SCHED of the process, see clock_getcpuclockid(3)
        self.controller, self.worst, self.count = Controller(relay), 0, 0

    def ask(self, question):
        before = time.clock_gettime(self.clock)
        answer = question()
        self.worst = max(self.worst, (time.clock_gettime(self.clock) - before) * 1000)
        self.count += 1
        return answer

    def until(self, condition, seconds):
        """V every 5 ms until the condition, which is looked at every tenth time. False: it did not come."""
        patience = netlab.Patience(seconds)
        while not patience.over():
            if self.ask(lambda: self.controller.ask("V")) != "20040107":
                return False
            if self.count % 10 == 0 and condition():
                return True
            time.sleep(0.005)
        return False


def active(controller):
    """The active sessions, in the second line of five."""
    controller.send("I")
    return int([controller.lines.readline() for _ in range(5)][1].split()[-1])


def create(controller, name, count, notify="", one_call=False):
    """Returns the number of sessions that were created."""
    replies = controller.all(f"U {name if one_call else f'{name}{i}'} {ADDRESS} 4000 t;{i}" +
                             (f" {notify} {name}{i}" if notify else "") for i in range(count))
    return sum(r.split()[0].isdigit() and r.split()[0] not in ("0", "7") for r in replies)


class Listener(threading.Thread):
    """Receives the notifications of time-outs."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.s, self.seen = socket.socket(socket.AF_UNIX), set()
        self.s.bind(path)
        self.s.listen()
        self.start()

    def run(self):
        connection, _ = self.s.accept()
        for line in connection.makefile():
            self.seen.add(line.strip())


def trial(check, net):
    options = ("-l", ADDRESS, "-m", "1024", "-M", "65535", "-W", str(SETUP_S), "-L", "20000")
    directory = f"{net.dir}/notify"
    listener = Listener(directory)
    relay = net.relay("relay", *options, "-n", f"unix:{directory}", "-s", f"cunix:{net.dir}/many")
    relay.wait()
    os.symlink(f"{net.dir}/many", f"{relay.dir}/many")
    controller, probe = Controller(relay), Probe(relay)

    def within(what, condition, seconds=60):
        came = probe.until(condition, seconds)
        print(f"      {what}: {probe.worst:.1f} ms of CPU time at worst, {probe.count} asked", flush=True)
        check(what, came, relay.log()[-1000:])
        check(f"{what}: no answer takes more than {LIMIT_MS} ms of CPU time", probe.worst <= LIMIT_MS, f"{probe.worst:.1f} ms")
        probe.worst = 0

    # X
    made = create(controller, "x", SESSIONS)
    check(f"{SESSIONS} sessions", made == SESSIONS, str(made))
    check("X", probe.ask(lambda: controller.ask("X")) == "0")
    check("after X no command finds a session", controller.ask(f"L x0 {ADDRESS} 4002 t;0 u;0") == "0")
    check("after X none is active", active(controller) == 0)
    within("X gives all ports back", lambda: relay.ask("stats")["floor"]["ports"] == 0)

    # one call with thousands of sessions
    create(controller, "other", 5)
    made = create(controller, "conference", IN_ONE_CALL, one_call=True)
    check(f"{IN_ONE_CALL} sessions in one call", made == IN_ONE_CALL, str(made))
    shown = json.loads(relay.ctl("--json", "session", "conference"))
    check("rtpxctl shows all of them", len(shown) == IN_ONE_CALL, str(len(shown)))
    check("D", probe.ask(lambda: controller.ask("D conference t")) == "0")
    check("after D the call's sessions are gone, and no others", active(controller) == 5)
    within("D gives their ports back", lambda: relay.ask("stats")["floor"]["ports"] == 10)
    controller.ask("X")

    # the lists of rtpxctl, and an outage
    made = create(controller, "out", SESSIONS, notify=f"unix:{directory}")
    check(f"{SESSIONS} sessions again", made == SESSIONS, str(made))
    listed, after = 0, 0
    while after is not None:
        page = probe.ask(lambda at=after: relay.ask(f"sessions {at}"))
        listed, after = listed + len(page["sessions"]), page["next"]
    check("rtpxctl lists all sessions", listed == SESSIONS, str(listed))
    print(f"      a page: {probe.worst:.1f} ms of CPU time at worst", flush=True)
    within("all sessions time out", lambda: active(controller) == 0 and relay.ask("stats")["floor"]["ports"] == 0,
           SETUP_S + 60)
    check("every time-out is notified", wait_for(30, lambda: len(listener.seen) == SESSIONS), str(len(listener.seen)))
    lines = sum("timed out:" in line for line in relay.log().splitlines())
    check("time-outs do not fill the log", 0 < lines < SESSIONS / 10, f"{lines} lines")

    # left to the next relay, which restores them bit by bit and may be told to leave them meanwhile
    made = create(controller, "left", SESSIONS)
    before = controller.all(f"U left{i} {ADDRESS} 4000 t;{i}" for i in LAST)
    state, links = f"{relay.dir}/state", ("-n", f"unix:{directory}", "-s", f"cunix:{net.dir}/many")
    for _ in range(2):
        relay.process.send_signal(signal.SIGPWR)
        relay.process.wait()
        relay = net.relay("relay", *options, *links, "--state-dir", state)
    os.symlink(f"{net.dir}/many", f"{relay.dir}/many")
    controller, probe = Controller(relay), Probe(relay)
    check("sessions that are not restored yet count", active(controller) == made == SESSIONS, str(made))
    create(controller, "new", 50)
    after = controller.all(f"U left{i} {ADDRESS} 4000 t;{i}" for i in LAST)
    check("a command finds its session, with its port", after == before, f"{after[:3]} {before[:3]}")
    within("all sessions are restored", lambda: "calls of the previous rtpxd go on" in relay.log())
    check("and none is lost or counted twice", active(controller) == SESSIONS + 50, str(active(controller)))
    check("X ends them", controller.ask("X") == "0" and active(controller) == 0)
    within("and gives their ports back", lambda: relay.ask("stats")["floor"]["ports"] == 0)

    # while they are restored: a packet restores its session, a page of the list those that it shows, an X none
    port = 0

    def during_restore(act):
        """Restart the relay, and act before all sessions are restored; again if it was too late."""
        nonlocal relay, controller, probe, port
        for attempt in range(5):
            create(controller, f"early{attempt}-", SESSIONS)
            port = int(controller.ask(f"U early{attempt}-{SESSIONS - 1} {ADDRESS} 4000 t;{SESSIONS - 1}").split()[0])
            relay.process.send_signal(signal.SIGPWR)
            relay.process.wait()
            relay = net.relay("relay", *options, *links, "--state-dir", state)
            os.symlink(f"{net.dir}/many", f"{relay.dir}/many")
            controller, probe = Controller(relay), Probe(relay)
            controller.ask("V")     # not before the relay has loaded the journal
            said = act(f"early{attempt}-")
            if "calls of the previous rtpxd go on" not in relay.log():
                return said
            check("X ends them", controller.ask("X") == "0" and active(controller) == 0)
        return None

    def list_and_end(name):
        shown = probe.ask(lambda: relay.ask("sessions 0"))["sessions"]
        last = f"{name}{SESSIONS - 1}"
        return [s["call_id"] for s in shown], probe.ask(lambda: controller.ask("X")), active(controller), \
            controller.ask(f"L {last} {ADDRESS} 4002 t;{SESSIONS - 1} u;0")

    def send(_):
        with net.within("relay"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(bytes(12), (ADDRESS, port))
        return next((n for n in range(1, 20) if relay.ask("stats")["floor"]["received"] == 1), None)

    if relay.ask("status")["port_sockets"] == "shared":
        check("a packet reaches a session before all are restored", during_restore(send) is not None, relay.log()[-500:])
        controller.ask("X")
    said = during_restore(list_and_end)
    check("X comes before all sessions are restored", said is not None)
    shown, *said = said or (None, None)
    check("rtpxctl lists the oldest ones", shown == [f"{shown[0][:7]}{i}" for i in range(50)] if shown else False, str(shown)[:200])
    check("X ends all: none is active, none is found", said == ["0", 0, "0"], str(said))
    create(controller, "new", 50)
    within("and gives the ports of all back", lambda: relay.ask("stats")["floor"]["ports"] == 100)
    stats = relay.ask("stats")["relay"]
    check("all of them are counted", stats["nsess_created"] - stats["nsess_destroyed"] == 50,
          f"{stats['nsess_created']} {stats['nsess_destroyed']}")
    controller.ask("X")

    said = during_restore(lambda name: (controller.ask("X"), relay.process.kill(), relay.process.wait()))
    check("X comes before all sessions are restored, and a kill", said is not None)
    relay = net.relay("relay", *options, *links, "--state-dir", state)
    relay.wait()
    stats = relay.ask("stats")
    check("the next relay has none of them", stats["active_sessions"] == 0, str(stats["active_sessions"]))
    check("and counts them as ended", stats["relay"]["nsess_created"] == stats["relay"]["nsess_destroyed"],
          f"{stats['relay']['nsess_created']} {stats['relay']['nsess_destroyed']}")
    os.symlink(f"{net.dir}/many", f"{relay.dir}/many")
    controller = Controller(relay)

    # killed while it works at an X
    made = create(controller, "k", SESSIONS)
    relay.process.send_signal(signal.SIGSTOP)
    controller.send("X", "V")
    relay.process.send_signal(signal.SIGCONT)
    controller.lines.readline()
    relay.process.kill()
    relay.process.wait()
    after = net.relay("relay", *options, "--state-dir", state)
    after.wait()
    stats = after.ask("stats")
    check("the next relay has no session that X ended", stats["active_sessions"] == 0, str(stats["active_sessions"]))
    check("and counts all of them as ended", stats["relay"]["nsess_created"] == stats["relay"]["nsess_destroyed"],
          f"{stats['relay']['nsess_created']} {stats['relay']['nsess_destroyed']}")


def main():
    # On a busy machine a probe that waits for a CPU would count the work that the relay does after its answer.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    with netlab.judged() as check, Net("relay") as net:
        net.do(HOST)
        trial(check, net)


main()

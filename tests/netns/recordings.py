#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
"""recordings.py - what happens to a recording after its call: its description, the sound file, the
hook, the POST, and its removal; also when rtpxd is killed, with and without its journal.
"""
import contextlib
import glob
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import PLAIN, Net, wait_for

PACKETS, SIZE = 30, 160
ALICE, BOB = "192.0.2.10", "198.51.100.10"
SOON = 30       # seconds that an event may take on an idle machine

HOOK = """#!/bin/sh
echo "$1 $2" >>{dir}/hook.calls
cat >>{dir}/hook.input
[ ! -e {dir}/hook.fails ] || {{ echo "no room at the archive" >&2; exit 3; }}
[ ! -e {dir}/hook.hangs ] || exec sleep 1000
"""


class Archive(http.server.ThreadingHTTPServer):
    """Takes POSTs, and refuses the first one."""

    def __init__(self, net):
        self.bodies, self.refused = [], 0
        with net.within("relay"):
            super().__init__(("127.0.0.1", 0), Post)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/recordings"


class Post(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refuse = not self.server.refused
        self.server.refused += refuse
        if not refuse:
            self.server.bodies.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(503 if refuse else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Place:
    """A network, directories for recordings, and relays that follow each other."""

    def __init__(self, net):
        net.do(PLAIN)
        self.net, self.ports = net, {}
        self.rec, self.spool, self.state = (f"{net.dir}/{d}" for d in ("rec", "spool", "state"))
        for path in (self.rec, self.spool, self.state):
            os.mkdir(path)
        self.hook = f"{net.dir}/hook"
        with open(self.hook, "w", encoding="ascii") as f:
            f.write(HOOK.format(dir=net.dir))
        os.chmod(self.hook, 0o755)
        self.a, self.b = net.end("alice", ALICE, 4000, 1, SIZE), net.end("bob", BOB, 4000, 2, SIZE)

    def start(self, *options):
        self.relay = self.net.relay("relay", "-l", "192.0.2.1/198.51.100.1", "--bridge_symmetric", "-r", self.rec, "-S", self.spool,
                                    "--state-dir", self.state, "--record-json", *options)
        return self.relay

    def kill(self):
        self.relay.process.kill()
        self.relay.process.wait()

    def begin(self, call, record=True):
        ask = self.relay.command
        east = ask(f"Uie {call} {ALICE} 4000 a;1").split()
        west = ask(f"Lie {call} {BOB} 4000 a;1 b;1").split()
        self.a.to, self.b.to = ("192.0.2.1", int(west[0])), ("198.51.100.1", int(east[0]))
        if record:
            assert ask(f"R {call} a") == "0" and ask(f"R {call} b a") == "0"

    def talk(self):
        """True when each party has heard the other, so all packets are on their way to the disk."""
        self.a.take()
        self.b.take()
        for seq in range(PACKETS):
            self.a.send(seq)
            self.b.send(seq)
            time.sleep(0.005)
        return wait_for(SOON, lambda: len(self.a.read()) >= PACKETS and len(self.b.read()) >= PACKETS)

    def end(self, call):
        self.relay.command(f"D {call} a b")

    def count(self, name):
        return int(self.relay.command(f"G {name}"))

    def sheet(self, name):
        with contextlib.suppress(OSError, ValueError), open(f"{self.rec}/{name}.json", encoding="utf-8") as f:
            return json.load(f)
        return None

    def finished(self, name):
        """The description, when the recording is handed on."""
        def there():
            s = self.sheet(name)
            return s if s and not s["waiting"] else None
        return wait_for(SOON, there)

    def queue(self):
        return [os.path.basename(p) for p in glob.glob(f"{self.rec}/.rtpx-*/*")]

    def files(self, where=None):
        return sorted(os.path.relpath(os.path.join(d, f), where or self.rec) for d, _, names in os.walk(where or self.rec)
                      for f in names if "/.rtpx" not in d)

    def text(self, name):
        with contextlib.suppress(OSError), open(f"{self.net.dir}/{name}", encoding="utf-8") as f:
            return f.read()
        return ""


def channels(path):
    words = "ffprobe -v error -show_entries stream=codec_name,channels -of csv=p=0".split()
    return subprocess.run([*words, path], capture_output=True, text=True).stdout.strip()


def described(check, place):
    """Without options a recording has a description, and nothing else happens to it."""
    place.start("-P")
    place.begin("plain")
    check("packets are recorded", place.talk())
    place.relay.command("N plain a")
    place.relay.command("R plain a")
    place.talk()
    check("a recording of a call that goes on has no description", not place.sheet("plain=a"))
    place.end("plain")
    s = place.finished("plain=a")
    if not check("a complete recording has one", s):
        return
    rtp = {(f["party"], f["part"]): f for f in s["files"] if f["media"] == "rtp"}
    check("its call", (s["call_id"], s["from_tag"], s["to_tag"], s["name"]) == ("plain", "a;1", "b;1", "plain=a"), str(s))
    check("its files, with both parts of the pause", {k: f["name"] for k, f in rtp.items()} == {
        ("caller", 1): "plain=a.o.rtp", ("caller", 2): "plain=a=2.o.rtp", ("callee", 1): "plain=a.a.rtp"}, str(s))
    check("its packets", s["packets"] == place.count("npkts_recorded") == 3 * PACKETS + PACKETS and s["lost"] == 0 and s["lost_by"] == {} and
          rtp["callee", 1]["packets"] == 2 * PACKETS, str(s))
    check("its codec", rtp["caller", 1]["types"] == [{"type": 8, "codec": "PCMA", "packets": PACKETS}], str(rtp))
    check("its times", s["begin"] == min(f["begin"] for f in rtp.values()) < s["end"] and s["begin"].endswith("Z"), str(s))
    check("nothing waits", wait_for(SOON, lambda: place.queue() == [] and place.count("nrec_complete") == 1), str(place.queue()))
    place.relay.stop()


def handed_on(check, place):
    dir, archive = place.net.dir, Archive(place.net)
    place.start("--record-format", "opus", "--record-raw", "remove", "--record-hook", place.hook, "--record-url", archive.url,
                "--record-hook-time", "20")
    place.begin("full")
    place.talk()
    place.end("full")
    s = place.finished("full=a")
    if not check("a recording is handed on", s, place.relay.log()[-2000:]):
        return
    check("it is Opus in stereo", channels(f"{place.rec}/full=a.opus") == "opus,2", channels(f"{place.rec}/full=a.opus"))
    check("as the description says", s["audio"] == {"name": "full=a.opus", "format": "opus", "channels": 2, "raw": "removed"}, str(s))
    check("the RTP files are gone, the RTCP files are not", [f for f in place.files() if f.startswith("full")] ==
          ["full=a.a.rtcp", "full=a.json", "full=a.o.rtcp", "full=a.opus"], str(place.files()))
    check("the hook got both paths", place.text("hook.calls") == f"{place.rec}/full=a.json {place.rec}/full=a.opus\n")
    check("and the description", json.loads(place.text("hook.input"))["audio"]["name"] == "full=a.opus")
    check("the POST was repeated after an error", archive.refused == 1 and len(archive.bodies) == 1, str(archive.bodies))
    check("and has the description", archive.bodies and archive.bodies[0][:2] == ("/recordings", "application/json") and
          archive.bodies[0][2]["call_id"] == "full", str(archive.bodies))
    check("all is counted", wait_for(SOON, lambda: [place.count(f"nrec_{n}") for n in ("made", "told", "failed")] == [1, 2, 0]))

    open(f"{dir}/hook.fails", "w", encoding="ascii").close()
    place.begin("fails")
    place.talk()
    place.end("fails")
    check("a hook that fails is given up after three attempts", wait_for(SOON, lambda: place.count("nrec_failed") == 1) and
          place.text("hook.calls").count("fails=a.json") == 3, place.text("hook.calls"))
    check("the log has its words", "recording fails=a: its hook failed: exit code 3: no room at the archive" in place.relay.log())
    check("its recording waits", wait_for(SOON, lambda: place.sheet("fails=a")["waiting"] and len(place.queue()) == 1 and
          place.relay.ask("stats")["recorded"]["waiting"] == 1), str(place.queue()))
    place.relay.stop()
    os.unlink(f"{dir}/hook.fails")
    place.start("--record-hook", place.hook)
    check("the next rtpxd tries again", place.finished("fails=a") and wait_for(SOON, lambda: not place.queue()), str(place.queue()))

    open(f"{dir}/hook.hangs", "w", encoding="ascii").close()
    place.relay.stop()
    place.start("--record-hook", place.hook, "--record-hook-time", "1")
    place.begin("hangs")
    place.talk()
    place.end("hangs")
    check("a hook that hangs is killed", wait_for(SOON, lambda: "recording hangs=a: its hook failed: it took too long" in place.relay.log()))
    os.unlink(f"{dir}/hook.hangs")
    check("and tried again", place.finished("hangs=a"))
    place.relay.stop()


def by_name(check, place):
    """A name of C asks for a sound file of one recording."""
    place.start()
    place.begin("named", record=False)
    check("C one.flac", place.relay.command("C named one.flac a;1") == "0", place.relay.log()[-300:])
    check("C two.json, a name of descriptions, is refused", place.relay.command("C named two.json b;1 a;1") == "E65")
    check("C one.flac for the other party, too", place.relay.command("C named one.flac b;1 a;1") == "0", place.relay.log()[-300:])
    place.talk()
    place.end("named")
    s = place.finished("one")
    check("NAME.flac makes NAME.rtp and NAME.flac", s and channels(f"{place.rec}/one.flac").startswith("flac,2") and
          s["files"][0]["name"] == "one.rtp" and s["files"][0]["party"] == "both", str(s))
    check("the RTP files stay without --record-raw", os.path.exists(f"{place.rec}/one.rtp"))
    place.begin("quiet")
    place.end("quiet")
    s = place.finished("quiet=a")
    check("a call without packets has a description", s and s["packets"] == 0 and s["begin"] is None, str(s))
    place.relay.stop()


def killed(check, place):
    place.start()
    place.begin("resumed")
    place.talk()
    check("the note of a recording that goes on", wait_for(SOON, lambda: any(n.endswith(".open") for n in place.queue())))
    place.kill()
    place.start()
    place.talk()
    place.end("resumed")
    s = place.finished("resumed=a")
    names = [f["name"] for f in s["files"] if f["media"] == "rtp"] if s else []
    check("after a crash both daemons' files are one recording", sorted(names) == [
        "resumed=a.a.rtp", "resumed=a.o.rtp", "resumed=a=2.a.rtp", "resumed=a=2.o.rtp"] and s["restarts"] == 1, str(s))
    check("the second part has its packets", sum(f["packets"] for f in s["files"] if f["part"] == 2) == 2 * PACKETS, str(s))

    place.begin("left")
    place.talk()
    place.relay.process.send_signal(30)     # SIGPWR: the calls go on in the next daemon
    place.relay.process.wait()
    check("a recording that the next daemon goes on with is not complete", not place.sheet("left=a") and
          [n[16:] for n in place.queue()] == [".open"], str(place.queue()))
    place.start()
    place.talk()
    place.end("left")
    s = place.finished("left=a")
    check("all packets of both daemons are in its description", s and s["packets"] == 4 * PACKETS and s["restarts"] == 1, str(s))

    place.begin("orphan")
    place.talk()
    place.kill()
    shutil.rmtree(place.state)
    os.mkdir(place.state)
    with open(f"{place.spool}/stranger.o.rtp", "w", encoding="ascii") as f:
        f.write("x")
    check("a killed daemon leaves files in the spool", "orphan=a.o.rtp" in place.files(place.spool), str(place.files(place.spool)))
    place.start()
    s = place.finished("orphan=a")
    check("without the journal, the recording of a killed daemon is completed", s and s["trouble"] and
          all("packets" in f for f in s["files"]) and "orphan=a.o.rtp" in place.files(), str(s))
    check("a file of nobody stays in the spool, and is named", wait_for(SOON, lambda: "stranger.o.rtp: no recording of this rtpxd" in
          place.relay.log()) and place.files(place.spool) == ["stranger.o.rtp"], str(place.files(place.spool)))
    check("and counted", wait_for(SOON, lambda: place.relay.ask("stats")["recorded"]["orphans"] == 1))
    os.unlink(f"{place.spool}/stranger.o.rtp")
    place.relay.stop()


def named_and_removed(check, place):
    place.start("--record-name", "%Y/%c/%f-%t")
    for call in ("../../up", "old", "new"):
        place.begin(call)
        place.talk()
        place.end(call)
    year = time.strftime("%Y", time.gmtime())
    names = {"../../up": f"{year}/%2E.%2F..%2Fup/a-b", "old": f"{year}/old/a-b", "new": f"{year}/new/a-b"}
    for call, name in names.items():
        check(f"the pattern names {call}", place.finished(name), str(place.files()))
    place.relay.stop()
    long_ago = time.time() - 5 * 86400
    os.utime(f"{place.rec}/{names['old']}.json", (long_ago, long_ago))
    place.start("--record-days", "4")
    check("--record-days removes the old one whole", wait_for(SOON, lambda: not os.path.exists(f"{place.rec}/{year}/old")) and
          place.sheet(names["new"]), str(place.files()))
    check("that is counted", wait_for(SOON, lambda: place.count("nrec_removed") == 1))
    place.relay.stop()

    open(f"{place.net.dir}/hook.fails", "w", encoding="ascii").close()
    place.start("--record-hook", place.hook)
    place.begin("waits")
    place.talk()
    place.end("waits")
    check("a recording waits for its hook", wait_for(SOON, lambda: place.sheet("waits=a") and place.count("nrec_failed") >= 1))
    place.relay.stop()
    with open(f"{place.rec}/filler", "wb") as f:
        f.truncate(3000000)
    place.start("--record-hook", place.hook, "--record-quota", "1")
    check("--record-quota removes recordings", wait_for(SOON, lambda: not place.sheet(names["new"])), str(place.files()))
    check("but none that waits, and no other file", place.sheet("waits=a") and os.path.exists(f"{place.rec}/waits=a.o.rtp") and
          os.path.exists(f"{place.rec}/filler"), str(place.files()))
    place.relay.stop()


def trial(check, part):
    with Net("alice", "relay", "bob") as net:
        part(check, Place(net))


def main():
    missing = [p for p in ("ffprobe", "curl") if not shutil.which(p)]
    if missing:
        print("needs", *missing)
        sys.exit(4)
    with netlab.judged() as check:
        netlab.side_by_side(5, trial, [(check, part) for part in (described, handed_on, by_name, killed, named_and_removed)])


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
"""capture.py - rtpxctl capture and trace of a call, in the kernel and on the sockets.

tshark reads the capture: it has every packet of both parties, in order, with the payload that was
sent, while the kernel forwards them. A call that begins later matches, too. The end of a capture
ends the copies. trace shows commands and decisions. config, help and --version; names of calls
steer no terminal.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, PlainCall, wait_for

COUNT = 200


class Follow:
    """rtpxctl, until end()."""

    def __init__(self, call, *words):
        self.out = f"{call.net.dir}/{words[0]}"
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{call.net.tag('relay')}", "--", f"{netlab.BUILD}/rtpxctl", "--socket",
                 f"{call.relay.dir}/admin", *words], stdout=out, stderr=subprocess.STDOUT)

    def text(self):
        with open(self.out, encoding="utf-8", errors="replace") as f:
            return f.read()

    def size(self):
        return os.path.getsize(self.out)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def read(path):
    """Source address, port, RTP sequence number and payload of each packet."""
    out = subprocess.run(["tshark", "-r", path, "-n", "-d", "udp.port==1-65535,rtp", "-T", "fields", "-e", "ip.src", "-e", "udp.srcport",
                          "-e", "rtp.seq", "-e", "udp.payload", "-e", "udp.checksum.status", "-o", "udp.check_checksum:TRUE"],
                         capture_output=True, text=True)
    return [line.split("\t") for line in out.stdout.splitlines()], out.stderr


def kernel_is(call, word):
    return list(call.whys().values()) == [word, word]


def captures(check, plane, call):
    kernel = plane != "none"
    follow = Follow(call, "capture", "c1")
    check(f"{plane}: a capture begins", wait_for(5, lambda: follow.size() > 0), call.relay.log()[-500:])
    if kernel:
        check(f"{plane}: the kernel keeps the call", wait_for(3, lambda: kernel_is(call, "KERNEL")), str(call.whys()))
    before = call.by_kernel()
    sent = {1: [], 2: []}
    for _ in range(COUNT):
        seq = next(call.seq)
        for end in (call.a, call.b):
            end.send(seq)
            sent[end.ssrc].append(netlab.rtp(seq, end.ssrc, end.size).hex())
        time.sleep(0.002)
    wait_for(2, lambda: len(call.a.read()) >= COUNT and len(call.b.read()) >= COUNT)
    if kernel:
        forwarded = call.by_kernel() - before
        check(f"{plane}: the kernel forwards what is captured", forwarded >= 0.99 * 2 * COUNT, f"{forwarded} of {2 * COUNT}")
    check(f"{plane}: Ctrl-C ends it", follow.end() == 0)
    packets, errors = read(follow.out)
    check(f"{plane}: tshark has no complaint", "cut short" not in errors and "damaged" not in errors, errors)
    for end in (call.a, call.b):
        got = [p[3] for p in packets if p[0] == end.address]
        check(f"{plane}: every packet of {end.address}", sorted(got) == sorted(sent[end.ssrc]), f"{len(got)} of {COUNT}")
        # A few packets may go through the daemon, see dtmf.py, and pass the copies of others.
        behind = sum(x > y for x, y in zip(got, got[1:]))
        check(f"{plane}: in order", behind == 0 or kernel and behind <= 2 * COUNT - forwarded, f"{behind} behind a later one")
    check(f"{plane}: good checksums", {p[4] for p in packets} == {"1"}, str({p[4] for p in packets}))

    def no_more():
        mirrored = call.relay.ask("stats")["kernel"]["mirrored"]
        call.talk(10)
        return call.relay.ask("stats")["kernel"]["mirrored"] == mirrored
    check(f"{plane}: no copies after the end", wait_for(3, no_more))
    call.a.read()
    call.b.read()


def filters(check, plane, call):
    follow = Follow(call, "capture", "peer=198.51.100.10")
    wait_for(5, lambda: follow.size() > 0)
    numbers = {str(int.from_bytes(number, "big")) for number in call.talk(20)}

    def captured():
        """Without late packets of before."""
        return [p for p in read(follow.out)[0] if p[2] in numbers]
    wait_for(3, lambda: len(captured()) >= 40)
    follow.end()
    check(f"{plane}: a filter by peer", len(captured()) == 40, str(len(captured())))
    for filt in ("port=0", "peer=nonsense"):
        follow = Follow(call, "capture", filt)
        check(f"{plane}: {filt} is refused", follow.process.wait(10) == 2 and "needs" in follow.text(), follow.text())


def traces(check, plane, call):
    follow = Follow(call, "trace", "later")
    wait_for(5, lambda: "trace begins" in call.relay.log())
    call.relay.command("Uie later 192.0.2.10 4100 a;1")
    call.relay.command("Lie later 198.51.100.10 4100 a;1 b;1")
    call.relay.command("Q later a;1 b;1")
    call.relay.command("Q another a;1 b;1")
    call.relay.command("D later a b")
    check(f"{plane}: trace has the end", wait_for(3, lambda: "D command" in follow.text()), follow.text())
    follow.end()
    text = follow.text()
    check(f"{plane}: trace has each command and reply", all(f'command "{c} later' in text for c in ("Uie", "Lie", "Q", "D")) and
          re.search(r'reply "(600|5\d\d) 0 0 0 0"', text), text)
    check(f"{plane}: and no other call's", "another" not in text)
    check(f"{plane}: trace has decisions", "not in the kernel: " in text, text)


def texts(check, call):
    relay = call.relay
    relay.command("U \x1b[31mred\x9b 127.0.0.1 5000 \x07tag")
    shown = relay.ctl("sessions")
    check("names of calls steer no terminal", "[31mred" in shown and "\x1b" not in shown and "\x07" not in shown and "\x9b" not in shown,
          repr(shown))
    steering(check, call)
    settings = {s["option"]: s for s in json.loads(relay.ctl("--json", "config"))}
    check("config has a given value", settings["-l"]["value"] == "192.0.2.1/198.51.100.1" and not settings["-l"]["default"])
    check("config has defaults", settings["-t"]["value"] == "184" and settings["-t"]["default"] and
          settings["--learning"]["value"] == "proof" and settings["--max-cps"]["value"] == "none", str(settings.get("-t")))
    check("as text, too", any(line.split() == ["-t", "184", "(default)"] for line in relay.ctl("config").splitlines()), relay.ctl("config"))
    check("help of one command", "pcapng" in relay.ctl("help", "capture"))
    check("--version", relay.ctl("--version").strip() == "rtpxctl " + relay.ask("status")["version"], relay.ctl("--version"))


def steering(check, call):
    """A Call-ID that would steer a terminal: in trace, in a capture's text, in top and in the answers to requests."""
    relay, name = call.relay, "\x1b]0;owned\x07\x9b2J\x7fcall"
    alice, bob = call.net.end("alice", "192.0.2.10", 4200, 11), call.net.end("bob", "198.51.100.10", 4200, 12)
    trace, capture = Follow(call, "trace", name), Follow(call, "capture", name)
    wait_for(5, lambda: "trace begins" in relay.log().split("capture of packets begins")[-1] and capture.size() > 0)
    east = relay.command(f"Uie {name} 192.0.2.10 4200 a;1").split()
    west = relay.command(f"Lie {name} 198.51.100.10 4200 a;1 b;1").split()
    alice.to, bob.to = ("192.0.2.1", int(west[0])), ("198.51.100.1", int(east[0]))

    def captured():
        alice.send(next(call.seq))
        bob.send(next(call.seq))
        return capture.size() > 2000
    check("steering name: captured", wait_for(10, captured))

    def top():
        return relay.ctl("top")
    check("steering name: in top", wait_for(20, lambda: "owned" in top() or alice.send(next(call.seq)) or bob.send(next(call.seq))), top())
    relay.command(f"D {name} a b")
    check("steering name: in trace", wait_for(5, lambda: "D command" in trace.text()), trace.text())
    trace.end()
    capture.end()
    comments = subprocess.run(["tshark", "-r", capture.out, "-n", "-T", "fields", "-e", "frame.comment"], capture_output=True)
    seen = {"trace": trace.text(), "capture": comments.stdout.decode(errors="replace"), "top": top(), "why": relay.ctl("why", name),
            "log": relay.log()}
    for where, text in seen.items():
        bad = set(text) & set("\x1b\x07\x7f\x9b")
        check(f"steering name: {where} steers no terminal", not bad, repr((bad, text[-300:])))
    check("steering name: the capture names the call", b"owned" in comments.stdout, repr(comments.stdout[:200]))


def trial(check, plane):
    with Net("alice", "relay", "bob") as net:
        call = PlainCall(net, dataplane=plane)
        call.talk(10)
        if plane != "none" and not check(f"{plane}: the kernel has the call", call.settle(), str(call.whys())):
            return
        check(f"{plane}: they hear each other", call.quiet())
        captures(check, plane, call)
        filters(check, plane, call)
        traces(check, plane, call)
        if plane == "none":
            texts(check, call)


def main():
    with netlab.judged() as check:
        netlab.side_by_side(4, trial, [(check, plane) for plane in netlab.all_planes()])


if not shutil.which("tshark"):
    print("tshark is missing")
    sys.exit(4)
main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
"""doctor.py - rtpxctl doctor says what is wrong with a relay, and exits with 1 only when no new call
can work: targets that are there or not, descriptors and ports nearly used, addresses that the host
lacks, directories that the daemon's user may not write, an old kernel, and no daemon.
"""
import os
import re
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, wait_for


class Doctor:
    """A run in the relay's namespace: its exit status and its lines."""

    def __init__(self, relay, *under):
        r = subprocess.run(["nsenter", f"--net=/run/netns/{relay.net.tag(relay.name)}", "--", *under, f"{netlab.BUILD}/rtpxctl",
                            "--socket", f"{relay.dir}/admin", "doctor"], capture_output=True, text=True)
        self.code, self.text = r.returncode, r.stdout

    def says(self, result, check, pattern):
        return re.search(rf"^{result} +{check} +.*{pattern}", self.text, re.M) is not None

    def calls(self, able):
        """What the exit status and the last line say."""
        lines = [line for line in self.text.splitlines() if re.match(r"(ok|warning|wrong) ", line)]
        last = r"ok +calls +calls can work" if able else r"wrong +calls +no new call can work: "
        return self.code == (0 if able else 1) and re.match(last, lines[-1]) is not None


def targets(check, net):
    """A target of each kind, there and gone."""
    listeners = {}
    with net.within("relay"):
        for port in (9001, 9002):
            listeners[port] = socket.create_server(("127.0.0.1", port))
    path = f"{net.dir}/notify"
    listeners[path] = socket.socket(socket.AF_UNIX)
    listeners[path].bind(path)
    listeners[path].listen()
    there = [f"unix:{path}", "tcp:127.0.0.1:9001"]
    gone = [f"unix:{path}-gone", "tcp:127.0.0.1:9003", "xmlrpc:http://127.0.0.1:9004/RPC"]
    words = [word for target in there + gone for word in ("-n", target)]
    relay = net.relay("relay", "-l", "127.0.0.1", "-m", "30000", "-M", "30020", *words, "--hep", "tcp:127.0.0.1:9002")
    said = Doctor(relay)
    for target in there:
        check(f"{target.split(net.dir)[-1]} is there", said.says("ok", "notify", re.escape(target) + " takes"), said.text)
    for target in gone:
        check(f"{target.split(net.dir)[-1]} is gone", said.says("warning", "notify", re.escape(target) + " cannot be reached"), said.text)
    check("the HEP collector is there", said.says("ok", "hep", "tcp:127.0.0.1:9002 takes"), said.text)
    check("calls can work", said.calls(True), said.text)
    for listener in listeners.values():
        listener.close()
    said = Doctor(relay)
    check("the HEP collector is gone", said.says("warning", "hep", "cannot be reached"), said.text)
    check("calls work without it", said.calls(True), said.text)

    full(check, relay)
    relay.stop()
    said = Doctor(relay)
    check("no daemon, no call", said.says("wrong", "daemon", "no answer") and said.calls(False), said.text)


def full(check, relay):
    """Every pair of media ports is in use, then one is free again."""
    replies = [relay.command(f"U full{n} 127.0.0.1 5000 a") for n in range(12)]
    check("the relay is full", replies[-1].startswith("E"), str(replies))
    said = Doctor(relay)
    check("no port, no call", said.says("warning", "ports", "pairs in use") and said.calls(False) and "every pair" in said.text, said.text)
    relay.command("D full0 a")

    def free():
        return Doctor(relay).calls(True)
    check("a free pair, a call", wait_for(10, free), Doctor(relay).text)


def descriptors(check, net):
    relay = net.relay("relay", "-l", "127.0.0.1", "-m", "31000", "-M", "31400", "-L", "256", "--port-sockets", "each")
    said = Doctor(relay)
    check("descriptors are free", said.says("ok", "nofile", "descriptors open, of 256"), said.text)
    for n in range(200):
        if relay.command(f"U many{n} 127.0.0.1 5000 a").startswith("E"):
            break
    said = Doctor(relay)
    check("descriptors are nearly used", said.says("warning", "nofile", "descriptors open, of 256"), said.text)
    relay.stop()


def addresses(check, net):
    relay = net.relay("relay", "-l", "x@127.0.0.1", "-l", "y@192.0.2.77", "-m", "32000", "-M", "32020")
    said = Doctor(relay)
    check("an address that the host lacks", said.says("wrong", "media", "on 192.0.2.77") and said.calls(True), said.text)
    check("draining is no fault of the host", "draining" in relay.ctl("drain") and Doctor(relay).calls(True))
    relay.stop()
    relay = net.relay("relay", "-l", "192.0.2.77", "-m", "32000", "-M", "32020")
    said = Doctor(relay)
    check("no address, no call", said.calls(False) and "on any media address" in said.text, said.text)

    said = Doctor(relay, "setarch", "--uname-2.6")
    check("an old kernel is named", said.says("warning", "kernel", "older than Linux 5.18, which the XDP program needs"), said.text)
    relay.stop()


def directories(check, net):
    """As the daemon's user may use them."""
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        good, spool, late, gone = (os.path.join(top, name) for name in ("good", "spool", "late", "gone"))
        for path, mode in ((good, 0o777), (spool, 0o555), (late, 0o777)):
            os.mkdir(path)
            os.chmod(path, mode)
        relay = net.relay("relay", "-l", "127.0.0.1", "-m", "33000", "-M", "33020", "-u", "nobody", "-r", good, "-S", spool,
                          "--acct-csv", f"{good}/a.csv", "--acct-json", f"{late}/a.json", "--prompt-dir", gone)
        os.chmod(late, 0o755)   # rtpxd does not start with this mode
        said = Doctor(relay)
        relay.stop()
    for option, path in (("-r", good), ("--acct-csv", f"{good}/a.csv")):
        check(f"{option}: the daemon can use it", said.says("ok", "directory", f"{option} {path}: "), said.text)
    for option, path, reason in (("-S", spool, "Permission denied; R and C fail"), ("--acct-json", f"{late}/a.json", "Permission denied"),
                                 ("--prompt-dir", gone, "No such file or directory; P fails")):
        check(f"{option}: {reason}", said.says("wrong", "directory", f"{option} {path}: .*{reason}"), said.text)
    check("calls work without recordings", said.calls(True), said.text)


def main():
    with netlab.judged() as check, Net("relay") as net:
        net.do("relay ip link set lo up")
        targets(check, net)
        descriptors(check, net)
        addresses(check, net)
        directories(check, net)


main()

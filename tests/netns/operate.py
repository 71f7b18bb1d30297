#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
"""operate.py - rtpxctl changes a running rtpxd: drain, undrain, terminate, loglevel; and the limits
--max-sessions and --max-cps refuse new sessions, never existing calls; rtpxd --check judges a
command line.
"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, wait_for


def drains(check, net):
    relay = net.relay("relay", "-l", "127.0.0.1")
    relay.command("U old 127.0.0.1 5000 a")
    said = relay.ctl("drain")
    check("drain says that it drains", "draining" in said and "1 exist" in said, said)
    check("a new session is refused", relay.command("U new 127.0.0.1 5000 a") == "E99")
    check("an existing call goes on", relay.command("L old 127.0.0.1 6000 a b").endswith("127.0.0.1"))
    check("status shows it", "draining" in relay.ctl("status"), relay.ctl("status"))
    check("doctor shows it", "warning  admission" in relay.ctl("doctor"))
    check("it is counted", relay.command("G nsess_drained") == "1")
    check("the JSON has it", relay.ask("status")["admission"]["draining"] is True)
    relay.ctl("undrain")
    check("undrain admits sessions", relay.command("U new 127.0.0.1 5000 a").endswith("127.0.0.1"))

    said = relay.ctl("terminate", "new")
    check("terminate ends a call", said.strip() == "1 session ended", said)
    check("it is gone", relay.command("Q new a") == "E50")
    check("the log says that an operator ended it", wait_for(1, lambda: "operator terminated" in relay.log()))
    check("terminate of nothing says so", "0 sessions" in relay.ctl("terminate", "nobody"))

    check("the log level is shown", "DBUG" in relay.ctl("loglevel"), relay.ctl("loglevel"))
    relay.ctl("loglevel", "warn")
    relay.command("U quiet 127.0.0.1 5000 a")
    relay.command("D quiet a")
    relay.ctl("loglevel", "info")
    relay.command("U loud 127.0.0.1 5000 a")
    relay.command("D loud a")
    relay.ctl("loglevel", "warn")
    check("WARN is quiet", wait_for(3, lambda: ":loud:" in relay.log()) and ":quiet:" not in relay.log() and "WARN" in relay.ctl("loglevel"),
          relay.log())
    check("a wrong level is refused", "must be" in relay.ctl("loglevel", "loud"))


def limits(check, net):
    relay = net.relay("relay", "-l", "127.0.0.1", "--max-sessions", "2", "-m", "20000", "-M", "21000")
    for name in ("one", "two"):
        relay.command(f"U {name} 127.0.0.1 5000 a")
    check("a third session is refused", relay.command("U three 127.0.0.1 5000 a") == "E98")
    check("a full relay serves its calls", relay.command("L one 127.0.0.1 6000 a b").endswith("127.0.0.1"))
    check("it is counted", relay.command("G nsess_limited") == "1")
    check("doctor shows it", "--max-sessions allows 2" in relay.ctl("doctor"), relay.ctl("doctor"))
    relay.command("D two a")
    check("an end makes room", relay.command("U three 127.0.0.1 5000 a").endswith("127.0.0.1"))

    relay = net.relay("relay", "-l", "127.0.0.1", "--max-cps", "1", "-m", "22000", "-M", "23000")
    begun = time.monotonic()
    replies = [relay.command(f"U {n} 127.0.0.1 5000 a") for n in range(5)]
    seconds = int(time.monotonic() - begun)             # one more call is admitted in each
    check("--max-cps refuses the calls beyond it", replies[0] != "E98" and replies[1:].count("E98") >= 4 - seconds, str(replies))
    check("a further medium is no call", relay.command("U 0 127.0.0.1 5000 a;2") != "E98")


def judges(check, net):
    def run(*words):
        r = subprocess.run(["nsenter", f"--net=/run/netns/{net.tag('relay')}", "--", f"{netlab.BUILD}/rtpxd", "--check", *words],
                           capture_output=True, text=True)
        return r.returncode, r.stdout
    code, text = run("-l", "127.0.0.1", "-r", net.dir)
    check("--check: calls can work", code == 0 and "ok       127.0.0.1" in text and f"ok       -r {net.dir}" in text, text)
    code, text = run("-l", "203.0.113.77", "-r", f"{net.dir}/nothing")
    check("--check: no call could work", code == 1 and "no call could work" in text, text)
    check("--check: a directory that is missing", f"warning  -r {net.dir}/nothing" in text, text)
    os.chmod(net.dir, 0o700)
    code, text = run("-l", "127.0.0.1", "-u", "nobody", "-r", net.dir)
    check("--check: a directory that the user may not use", f"wrong    -r {net.dir}" in text, text)
    check("--check: a wrong option", run("--max-cps", "0")[0] == 2)


def main():
    with netlab.judged() as check, Net("relay") as net:
        net.do("relay ip link set lo up")
        drains(check, net)
        limits(check, net)
        judges(check, net)


main()

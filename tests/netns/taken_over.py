#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
"""taken_over.py - the XDP program leaves an interface behind the daemon's back: its link is
detached, or another program takes the place.

Within a second the daemon has the interface again or says which one it has lost and to what; no
packet of the call is lost for longer, and when the other program goes, the kernel has the call
again. Native and generic mode.
"""
import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import BUILD, Net, PlainCall, sh, wait_for

WITHIN_S = 1


def pins(net):
    return f"{netlab.scratch}/bpf/{net.number}"


def program_on(net, dev):
    """The id of the program on a device of the relay, or None; the kernel says so."""
    xdp = json.loads(sh(["ip", "-n", net.tag("relay"), "-j", "link", "show", "dev", dev]))[0].get("xdp")
    return xdp["prog"]["id"] if xdp and "prog" in xdp else None


def interface(call, dev):
    """What the daemon says of it."""
    return next((i for i in call.relay.ask("status")["interfaces"] if i["name"] == dev), {})


def news(call, since):
    """Lines of its log after so many characters."""
    return call.relay.log()[since:]


def detached(check, name, call, net):
    """bpftool link detach: the slot is free, so the program comes back."""
    since = len(call.relay.log())
    sh(["bpftool", "link", "detach", "pinned", f"{pins(net)}/link_p0"])
    back = wait_for(WITHIN_S, lambda: program_on(net, "p0"))
    check(f"{name}, detached: within a second it is on p0 again", back, news(call, since)[-300:])
    check(f"{name}, detached: the log says so of p0", wait_for(WITHIN_S, lambda: "p0" in news(call, since)), news(call, since)[-300:])
    check(f"{name}, detached: both hear all", call.hears_all())
    check(f"{name}, detached: the kernel forwards again", call.kernel_forwards())


def foreign(check, name, call, net, plane):
    """Another program is in the place before the daemon looks."""
    other = f"{pins(net)}-other"
    sh(["bpftool", "prog", "load", f"{BUILD}/relay.bpf.o", other, "type", "xdp"])
    since = len(call.relay.log())
    call.relay.process.send_signal(signal.SIGSTOP)
    try:
        sh(["bpftool", "link", "detach", "pinned", f"{pins(net)}/link_p0"])
        net.inside("relay", "bpftool", "net", "attach", "xdpgeneric" if plane == "generic" else "xdp", "pinned", other, "dev", "p0")
    finally:
        call.relay.process.send_signal(signal.SIGCONT)
    theirs = program_on(net, "p0")
    told = wait_for(WITHIN_S, lambda: re.search(r"p0.*another XDP program|another XDP program.*p0", news(call, since)))
    check(f"{name}, another program: within a second the log says so of p0", told, news(call, since)[-300:])
    said = wait_for(WITHIN_S, lambda: interface(call, "p0").get("mode") not in ("native", "generic"))
    check(f"{name}, another program: status shows p0 as not ours", said, str(interface(call, "p0")))
    check(f"{name}, another program: it is left alone", program_on(net, "p0") == theirs)
    check(f"{name}, another program: both hear all, by the sockets", call.hears_all())
    time.sleep(2)                       # it looks once a second
    said = re.findall(r"p0.*another XDP program|another XDP program.*p0", news(call, since))
    check(f"{name}, another program: it is said once", len(said) <= 2, news(call, since))
    doctor = call.relay.ctl("doctor")
    check(f"{name}, another program: doctor names it", re.search(r"p0.*another XDP program|another XDP program.*p0", doctor, re.S))
    net.inside("relay", "bpftool", "net", "detach", "xdpgeneric" if plane == "generic" else "xdp", "dev", "p0")
    os.unlink(other)
    check(f"{name}, another program gone: within a second ours is on p0", wait_for(WITHIN_S, lambda: program_on(net, "p0")))
    check(f"{name}, another program gone: the kernel has the call", call.settle(), str(call.whys()))
    check(f"{name}, another program gone: the kernel forwards", call.kernel_forwards())


def trial(plane, check):
    with Net("alice", "relay", "bob") as net:
        call = PlainCall(net, dataplane=plane)
        if not check(f"{plane}: the kernel has the call", call.settle(), str(call.whys())):
            return
        detached(check, plane, call, net)
        call.settle()
        foreign(check, plane, call, net, plane)


def main():
    with netlab.judged() as check:
        netlab.side_by_side(2, trial, [(plane, check) for plane in ("native", "generic")])


main()

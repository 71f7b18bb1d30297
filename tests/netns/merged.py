#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm
"""merged.py - a sender hands its packets over by sixes (UDP_SEGMENT), which may reach the relay as
one big frame.

Bob hears each packet in a datagram of its own, the relay counts and records as many, and none
counts as lost. Generic XDP leaves such a frame to the stack, and counts it (as merged, or as one
with an unfinished checksum, which it has as well).
"""
import glob
import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, PlainCall, wait_for

BATCH, BATCHES = 6, 20
PACKETS = BATCH * BATCHES
LOST = "Q c1 a;1 b;1 rtpa_nlost"


def recorded(directory):
    """Packets in all pcap files there."""
    count = 0
    for name in glob.glob(f"{directory}/*"):
        with open(name, "rb") as f:
            data = f.read()
        at = 24
        while at < len(data):
            at += 16 + struct.unpack_from("=I", data, at + 8)[0]
            count += 1
    return count


def trial(check, plane):
    with Net("alice", "relay", "bob") as net:
        directory = f"{net.dir}/recordings"
        os.mkdir(directory)
        call = PlainCall(net, "-P", "-r", directory, dataplane=plane, size=160, containers=True)
        if plane == "none":
            call.talk(10)
        elif not check(f"{plane}: the kernel has the call", call.settle(), str(call.whys())):
            return
        call.relay.command("R c1 a;1 b;1")
        wait_for(2, lambda: plane == "none" or list(call.whys().values()) == ["KERNEL", "KERNEL"])
        check(f"{plane}: they hear each other", call.quiet())
        before, lost = call.directions()["caller"]["packets"], int(call.relay.command(LOST))
        first = next(call.seq)
        heard = []
        for i in range(BATCHES):
            call.a.send_merged(first + i * BATCH, BATCH)
            time.sleep(0.01 * netlab.PATIENCE)
            heard += [data for data, _ in call.b.take()]

        def all_heard():
            heard.extend(data for data, _ in call.b.take())
            return len(heard) >= PACKETS
        wait_for(1, all_heard)
        check(f"{plane}: bob hears each packet once", len(heard) == PACKETS and len(set(heard)) == PACKETS, f"{len(heard)} of {PACKETS}")
        check(f"{plane}: each in a datagram of its own", {len(data) for data in heard} == {172}, str({len(data) for data in heard}))
        counted = call.directions()["caller"]["packets"] - before
        check(f"{plane}: as many are counted", counted == PACKETS, f"{counted} of {PACKETS}")
        lost = int(call.relay.command(LOST)) - lost
        check(f"{plane}: none counts as lost", lost == 0, str(lost))
        if plane == "generic":
            kernel = call.relay.ask("stats")["kernel"]
            left = kernel["pass_merged"] + kernel["pass_checksum"]
            check("generic: what the kernel left to the stack is counted", left >= BATCHES, str(kernel))
        call.relay.command("D c1 a b")
        written = wait_for(2, lambda: recorded(directory) >= PACKETS) and recorded(directory)
        check(f"{plane}: as many are recorded", PACKETS <= recorded(directory) < PACKETS + 40, f"{written} of {PACKETS}")


def main():
    with netlab.judged() as check:
        netlab.side_by_side(4, trial, [(check, plane) for plane in netlab.all_planes()])


main()

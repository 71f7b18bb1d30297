#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm
"""path_mtu.py - the path MTU falls at a router while big packets flow, and the kernel forgets what
it has learned of it after two seconds (its default is ten minutes). Each time the sockets lose a
packet or two; no dataplane may lose many more.

     alice ──── relay ──── router ──── bob          router ── bob: MTU 1500, then 1300; packets have 1372 and 1392 bytes
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, wait_for
from patience import slowness

ADDRESSES = {4: ("192.0.2.10", "192.0.2.1", "198.51.100.1", "198.51.100.254", "203.0.113.254", "203.0.113.10", 24),
             6: ("2001:db8:0:1::10", "2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:2::254", "2001:db8:0:9::254", "2001:db8:0:9::10", 64)}
FORGET_S = 2
TALK_S = 6
GAP_S = 0.02
LOST_AT_ONCE = 5    # each time that the router tells of its MTU, in packets of an idle machine
HOST = """
relay ip link add p0 type veth peer name q0 netns @alice
relay ip link add p1 type veth peer name q1 netns @router
router ip link add p2 type veth peer name q2 netns @bob
relay gro p0 p1
alice gro q0
router gro q1 p2
bob gro q2
alice cable q0
bob cable q2
alice ip link set q0 up
relay ip link set lo up
relay ip link set p0 up
relay ip link set p1 up
router ip link set q1 up
router ip link set p2 up
bob ip link set q2 up
router sysctl net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
""" + "".join(f"""
alice ip addr add {alice}/{bits} dev q0 nodad
relay ip addr add {west}/{bits} dev p0 nodad
relay ip addr add {east}/{bits} dev p1 nodad
router ip addr add {near}/{bits} dev q1 nodad
router ip addr add {edge}/{bits} dev p2 nodad
bob ip addr add {bob}/{bits} dev q2 nodad
relay ip route add {bob}/{128 if ":" in bob else 32} via {near}
bob ip route add {east}/{128 if ":" in bob else 32} via {edge}
""" for alice, west, east, near, edge, bob, bits in ADDRESSES.values())
FALL = "router ip link set p2 mtu 1300\nbob ip link set q2 mtu 1300"
EXPIRY = f"net.ipv4.route.mtu_expires={FORGET_S} net.ipv6.route.mtu_expires={FORGET_S}"


def trial(check, family, plane):
    alice, west, east, _, _, bob, _ = ADDRESSES[family]
    name = f"IPv{family}, {plane}"
    with Net("alice", "relay", "router", "bob") as net:
        net.do(HOST)
        for setting in EXPIRY.split():
            try:
                net.sysctl("relay", setting)
            except OSError:
                check.skip(f"{name}: {setting}", "not of a namespace in this kernel")
        options = ("-l", f"{west}/{east}") if family == 4 else ("-6", f"{west}/{east}")
        relay = net.relay("relay", *options, "--bridge_symmetric", dataplane=plane)
        a, b = net.end("alice", alice, 4000, 1, 1360 - 20 * (family == 6)), net.end("bob", bob, 4000, 2)
        six = "6" if family == 6 else ""
        to_bob = relay.command(f"U{six}ie c1 {alice} 4000 a;1").split()
        to_alice = relay.command(f"L{six}ie c1 {bob} 4000 a;1 b;1").split()
        a.to, b.to = (west, int(to_alice[0])), (east, int(to_bob[0]))
        sent = 0

        def talk():
            nonlocal sent
            a.send(sent)
            b.send(sent)
            sent += 1
            time.sleep(GAP_S * netlab.PATIENCE)

        def settled():
            talk()
            return plane == "none" or [d["why"] for d in relay.why("c1").values()] == ["KERNEL", "KERNEL"]
        if not check(f"{name}: the kernel has the call", wait_for(5, settled), str(relay.why("c1"))):
            return
        wait_for(1, lambda: talk() or len(b.read()) >= sent - 2)
        b.take()
        net.do(FALL)
        first, until = sent, time.monotonic() + TALK_S
        while time.monotonic() < until:
            talk()
            b.read()
        wait_for(1, lambda: len(b.read()) >= sent - first)
        lost = sent - first - len(b.take())
        times = 1 + TALK_S // FORGET_S
        check(f"{name}: bob misses few big packets", lost <= LOST_AT_ONCE * times * slowness(), f"{lost} of {sent - first}")


def main():
    with netlab.judged() as check:
        netlab.side_by_side(8, trial, [(check, family, plane) for plane in netlab.all_planes() for family in (4, 6)])


main()

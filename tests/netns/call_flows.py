#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together busy long
"""Call flows of the field, with every way of learning and every dataplane.

call_flows.py [--markdown] [--learning WAY,...] [--dataplane PLANE,...] [WORD...] - runs the flows
whose function's name contains one of the words, all by default. It needs root.

A flow names, for each way of learning, the parties that hear the other one. Such a party must hear
at least 98 % of the packets sent later than a second after the flow's event. A party that is not
named must hear none. A port must hear no packet twice. The relay must send nothing to an address
that no party has. A flow that fails while this machine was late is run again.

It prints a table of the packets lost in the first second, with --markdown in the form of
docs/nat-learning.md, and ends with "N passed, N failed, N skipped".
"""
import argparse
import concurrent.futures
import os
import signal
import sys
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import flow_lab as lab  # noqa: E402

WAYS = "proof", "strict", "compat"
BOTH, ALICE, BOB, NEITHER = ("alice", "bob"), ("alice",), ("bob",), ()
ENOUGH = 0.98
SLACK = 2  # packets that pass while a busy machine does not run rtpxd
TRIES = 4
PACE_S = 0.0015  # as many flows run at a time as a socket passes packets in this time
TALK = 2.5  # seconds; a leg is settled after 2
TOGETHER = 3  # relays at a time
FLOWS = []


class Flow:
    def __init__(self, body, title, heard, most):
        self.body, self.title, self.heard, self.most = body, title, heard, most


def flow(title, proof=BOTH, strict=None, compat=BOTH, most=None):
    """Adds a flow. @proof, @strict (default: as proof), @compat: the parties that hear the other one.
    @most: the packets that a party may lose in the first second in proof and strict; a dictionary
    gives a number for each way."""
    def add(body):
        heard = {"proof": proof, "strict": proof if strict is None else strict, "compat": compat}
        FLOWS.append(Flow(body, title, heard, most if isinstance(most, dict) else {"proof": most, "strict": most}))
        return body
    return add


def mid_call(c, a, b, seconds=TALK):
    """A call between two ports that have talked for so long."""
    c.open(a, b)
    yield seconds, a, b


# ---- calls, and where their parties are ----


@flow("call, both where they were signalled", most=0)
def plain(c):
    a, b = c.port("alice"), c.port("bob")
    c.open(a, b)
    yield from c.after((a, b), *lab.both(a, b))


@flow("call, NAT, public host signalled", most=1)
def nat_public(c):
    a, b = c.port("alice", port=1), c.port("bob")
    c.open(c.port("alice"), b)
    yield from c.after((a, b), *lab.both(a, b))


@flow("call, NAT, hidden address signalled", strict=NEITHER, most=3)
def nat_private(c):
    a, b = c.port("alice"), c.port("bob")
    c.open(p := c.private("alice"), b)
    yield from c.after((a, b), *lab.both(a, b), dead=(p,))


@flow("call, both behind NAT, hidden addresses signalled", strict=NEITHER, most=3)
def nat_both(c):
    a, b = c.port("alice"), c.port("bob")
    c.open(p := c.private("alice"), q := c.private("bob"))
    yield from c.after((a, b), *lab.both(a, b), dead=(p, q))


@flow("call between IPv4 and IPv6", most=0)
def bridge46(c):
    c.family["bob"] = 6
    yield from plain(c)


@flow("call by IPv6", most=0)
def plain6(c):
    c.family = {"alice": 6, "bob": 6}
    yield from plain(c)


@flow("asymmetric party, which sends from another port than it hears", most=0)
def asymmetric(c):
    ear, mouth, b = c.port("alice"), c.port("alice", port=1), c.port("bob")
    c.asymmetric["alice"] = "a"
    c.open(ear, b)
    yield from c.after((mouth, b), (ear, b), (b, mouth), dead=(mouth,))


# ---- hold and resume ----


def hold_and_resume(c, alice, bob, sdp, new, goes_on=False):
    """Alice's re-INVITE holds the call, her next one resumes it, both with the SDP @sdp. Then she
    sends from @new."""
    c.open(sdp, bob)
    yield TALK, alice, bob
    c.open(sdp, bob)
    yield 1.5, bob
    c.open(sdp, bob)
    if goes_on:
        alice.goes_on_as(new)
    yield from c.after((new, bob), *lab.both(new, bob), dead=(alice,))


@flow("hold and resume, SDP unchanged, new mapping and SSRC, public", most=1)
def resume_public(c):
    a = c.port("alice")
    yield from hold_and_resume(c, a, c.port("bob"), a, c.port("alice", port=1))


@flow("hold and resume, SDP unchanged, new mapping and SSRC, hidden", strict=NEITHER, most=1)
def resume_private(c):
    yield from hold_and_resume(c, c.port("alice"), c.port("bob"), c.private("alice"), c.port("alice", port=1))


@flow("hold and resume, SDP unchanged, new mapping, SSRC goes on", most=1)
def resume_same_ssrc(c):
    a = c.port("alice")
    yield from hold_and_resume(c, a, c.port("bob"), a, c.port("alice", port=1), goes_on=True)


@flow("hold and resume, SDP unchanged, new network and SSRC, hidden", strict=NEITHER, most=3)
def resume_elsewhere(c):
    yield from hold_and_resume(c, c.port("alice"), c.port("bob"), c.private("alice"), c.port("alice", host=1))


@flow("hold and resume by IPv6, SDP unchanged, new port and SSRC", most=1)
def resume6(c):
    c.family = {"alice": 6, "bob": 6}
    yield from resume_public(c)


@flow("hold and resume between IPv4 and IPv6, new mapping and SSRC", most=1)
def resume46(c):
    c.family["bob"] = 6
    yield from resume_public(c)


@flow("hold and resume of both at once, new mappings and SSRCs", most=1)
def resume_both(c):
    a, b = c.port("alice"), c.port("bob")
    yield from mid_call(c, a, b)
    c.open(a, b)
    yield (1.5,)
    c.open(a, b)
    a2, b2 = c.port("alice", port=1), c.port("bob", port=1)
    yield from c.after((a2, b2), *lab.both(a2, b2), dead=(a, b))


@flow("hold with 0.0.0.0, resume with the old address, new mapping", most=1)
def hold_null(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    yield from mid_call(c, a, b)
    c.open(lab.NOWHERE, b)
    yield 1.5, b
    c.open(a, b)
    yield from c.after((new, b), *lab.both(new, b), dead=(a,))


@flow("hold with port 0, resume with the old one", most=0)
def hold_port_0(c):
    a, b = c.port("alice"), c.port("bob")
    yield from mid_call(c, a, b)
    c.open((a.address[0], 0), b)
    yield 1.5, b
    c.open(a, b)
    yield from c.after((a, b), *lab.both(a, b))


@flow("music on hold from another host, the held party is silent", proof=ALICE, strict=ALICE, compat=ALICE, most=1)
def music_on_hold(c):
    a, b, music = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    yield from mid_call(c, a, b)
    c.bob_offers(music, a)
    yield from c.after((music,), (a, music), dead=(b,))


@flow("music on hold from another host, then the resume", most=1)
def music_and_back(c):
    a, b, music = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    yield from mid_call(c, a, b)
    c.bob_offers(music, a)
    yield 1, a, music
    c.bob_offers(b, a)
    yield from c.after((a, b), *lab.both(a, b), dead=(music,))


# ---- re-INVITE and UPDATE with another address ----


def moves(c, sdp, new, tail=0.2, goes_on=False):
    """Bob's re-INVITE names another address @sdp. He sends from the old one until the answer comes,
    then from @new."""
    a, b = c.port("alice"), c.port("bob")
    yield from mid_call(c, a, b)
    c.offer("bob", sdp)
    yield tail, a, b
    c.answer("alice", a)
    if goes_on:
        b.goes_on_as(new)
    yield from c.after((a, new), *lab.both(a, new), dead=(b,))


@flow("re-INVITE to another port, two late packets, new SSRC", most=1)
def port_late(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("bob", port=1)
    yield from mid_call(c, a, b)
    c.bob_offers(new, a)
    yield 0.04, b
    yield from c.after((a, new), *lab.both(a, new), dead=(b,))


@flow("re-INVITE to another port, 200 ms of the old one, SSRC goes on", most=1)
def port_tail(c):
    new = c.port("bob", port=1)
    yield from moves(c, new, new, goes_on=True)


@flow("re-INVITE to another port, 200 ms of the old one, new SSRC", most=1)
def port_tail_ssrc(c):
    new = c.port("bob", port=1)
    yield from moves(c, new, new)


@flow("re-INVITE to another port by IPv6, 200 ms of the old one", most=1)
def port_tail6(c):
    c.family = {"alice": 6, "bob": 6}
    yield from port_tail_ssrc(c)


@flow("re-INVITE to another host, 200 ms of the old one", most=1)
def host_tail(c):
    new = c.port("bob", host=1)
    yield from moves(c, new, new)


@flow("re-INVITE to another host by IPv6, 200 ms of the old one", most=1)
def host_tail46(c):
    c.family["bob"] = 6
    yield from host_tail(c)


@flow("re-INVITE to another host behind NAT, public, 200 ms of the old one", most=3)
def host_tail_nat(c):
    yield from moves(c, c.port("bob", host=1), c.port("bob", host=1, port=1))


@flow("re-INVITE to another hidden address, 200 ms of the old party", strict=NEITHER, most=3)
def private_tail(c):
    yield from moves(c, c.private("bob"), c.port("bob", host=1))


@flow("UPDATE of one side alone: another port", most=1)
def update_port(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("bob", port=1)
    yield from mid_call(c, a, b)
    c.offer("bob", new)
    yield from c.after((a, new), *lab.both(a, new), dead=(b,))


@flow("UPDATE of one side alone: SDP unchanged, new mapping and SSRC", most=1)
def update_unchanged(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("bob", port=1)
    yield from mid_call(c, a, b)
    yield 1, a
    c.offer("bob", b)
    yield from c.after((a, new), *lab.both(a, new), dead=(b,))


@flow("re-INVITE, the answer has another port, two late packets", most=1)
def answerer_moves(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("bob", port=1)
    yield from mid_call(c, a, b)
    c.open(a, new)
    yield 0.04, a, b
    yield from c.after((a, new), *lab.both(a, new), dead=(b,))


@flow("both at once: other ports and SSRCs, late packets of both", most=1)
def both_move(c):
    a, b, a2, b2 = c.port("alice"), c.port("bob"), c.port("alice", port=1), c.port("bob", port=1)
    yield from mid_call(c, a, b)
    c.open(a2, b2)
    yield 0.04, a, b
    yield from c.after((a2, b2), *lab.both(a2, b2), dead=(a, b))


@flow("both at once: other hosts, late packets of both", most=1)
def both_hosts_move(c):
    a, b, a2, b2 = c.port("alice"), c.port("bob"), c.port("alice", host=1), c.port("bob", host=1)
    yield from mid_call(c, a, b)
    c.open(a2, b2)
    yield 0.04, a, b
    yield from c.after((a2, b2), *lab.both(a2, b2), dead=(a, b))


@flow("re-INVITE to another port and back within a second", most=1)
def there_and_back(c):
    a, b, other = c.port("alice"), c.port("bob"), c.port("bob", port=1)
    yield from mid_call(c, a, b)
    c.bob_offers(other, a)
    yield 0.4, a, other
    c.bob_offers(b, a)
    yield 0.04, a, other
    yield from c.after((a, b), *lab.both(a, b), dead=(other,))


# ---- forks ----


def early(c, alice, *branches):
    """An INVITE and the 183s of these (tag, port)."""
    c.offer("alice", alice)
    for tag, port in branches:
        c.answer("bob", port, tag)


@flow("fork, early media of one branch, the silent one answers", most=1)
def fork_silent(c):
    a, b1, b2 = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    early(c, a, ("b;1", b1))
    yield 0.5, a, b1
    c.answer("bob", b2, "c;1")
    yield 0.7, a, b1
    c.answer("bob", b2, "c;1")
    yield 0.2, a, b1
    yield from c.after((a, b2), *lab.both(a, b2), dead=(b1,))


@flow("fork, early media of one branch, the silent one answers after 2.5 s", most=1)
def fork_silent_long(c):
    a, b1, b2 = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    early(c, a, ("b;1", b1))
    yield 0.5, a, b1
    c.answer("bob", b2, "c;1")
    yield 2.5, a, b1
    c.answer("bob", b2, "c;1")
    yield 0.2, a, b1
    yield from c.after((a, b2), *lab.both(a, b2), dead=(b1,))


@flow("fork, early media of one branch, one that has not rung answers", most=1)
def fork_answers(c):
    a, b1, b2 = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    early(c, a, ("b;1", b1))
    yield 1, a, b1
    c.answer("bob", b2, "c;1")
    yield 0.2, a, b1
    yield from c.after((a, b2), *lab.both(a, b2), dead=(b1,))


@flow("fork, both branches have rung, the one with early media answers", most=1)
def fork_early_answers(c):
    a, b1, b2 = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    early(c, a, ("b;1", b1))
    yield 0.5, a, b1
    c.answer("bob", b2, "c;1")
    yield 0.5, a, b1
    c.answer("bob", b1, "b;1")
    yield from c.after((a, b1), *lab.both(a, b1), dead=(b2,))


@flow("fork, early media of both branches, the first one answers", most=1)
def fork_two(c):
    a, b1, b2 = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    early(c, a, ("b;1", b1))
    yield 0.5, a, b1
    c.answer("bob", b2, "c;1")
    yield 0.7, a, b1, b2
    c.answer("bob", b1, "b;1")
    yield 0.2, a, b1, b2
    yield from c.after((a, b1), *lab.both(a, b1), dead=(b2,))


@flow("fork to two ports of a host, early media of both, the second answers", compat=NEITHER, most=1)
def fork_one_host(c):
    a, b1, b2 = c.port("alice"), c.port("bob"), c.port("bob", port=1)
    early(c, a, ("b;1", b1), ("c;1", b2))
    yield 0.7, a, b1, b2
    c.answer("bob", b2, "c;1")
    yield 0.2, a, b1, b2
    yield from c.after((a, b2), *lab.both(a, b2), dead=(b1,))


@flow("fork to two phones behind NAT, hidden, the silent one answers", strict=NEITHER, most=3)
def fork_nat(c):
    a, b1, b2 = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    p1, p2 = c.private("bob"), c.private("bob", host=1)
    early(c, a, ("b;1", p1))
    yield 0.5, a, b1
    c.answer("bob", p2, "c;1")
    yield 0.7, a, b1
    c.answer("bob", p2, "c;1")
    yield 0.2, a, b1
    yield from c.after((a, b2), *lab.both(a, b2), dead=(b1, p1, p2))


@flow("the same, both with the same hidden address", strict=NEITHER, most=3)
def fork_nat_alike(c):
    a, b1, b2, p = c.port("alice"), c.port("bob"), c.port("bob", host=1), c.private("bob")
    early(c, a, ("b;1", p))
    yield 0.5, a, b1
    c.answer("bob", p, "c;1")
    yield 0.7, a, b1
    c.answer("bob", p, "c;1")
    yield 0.2, a, b1
    yield from c.after((a, b2), *lab.both(a, b2), dead=(b1, p))


# ---- transfer ----


@flow("transfer to a public party, the old one is silent", most=1)
def transfer_public(c):
    a, b, third = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    yield from mid_call(c, a, b)
    c.bob_offers(third, a)
    yield from c.after((a, third), *lab.both(a, third), dead=(b,))


@flow("transfer to a party behind NAT, hidden, the old one is silent", strict=NEITHER, most=3)
def transfer_private(c):
    a, b, third, p = c.port("alice"), c.port("bob"), c.port("bob", host=1), c.private("bob")
    yield from mid_call(c, a, b)
    c.bob_offers(p, a)
    yield from c.after((a, third), *lab.both(a, third), dead=(b, p))


@flow("transfer to a party behind NAT, hidden, that speaks after 3 s", strict=NEITHER, most=3)
def transfer_private_later(c):
    a, b, third, p = c.port("alice"), c.port("bob"), c.port("bob", host=1), c.private("bob")
    yield from mid_call(c, a, b)
    c.bob_offers(p, a)
    yield 3, a
    yield from c.after((a, third), *lab.both(a, third), dead=(b, p))


@flow("transfer between two phones behind one NAT, hidden", strict=NEITHER, most=28)
def transfer_same_nat(c):
    a, b, third = c.port("alice"), c.port("bob"), c.port("bob", port=1)
    p, q = c.private("bob"), c.private("bob", port=1)
    c.open(a, p)
    yield TALK, a, b
    c.bob_offers(q, a)
    yield 0.2, a, b
    yield from c.after((a, third), *lab.both(a, third), dead=(b, p, q))


# ---- listeners that say nothing ----


@flow("re-INVITE with a new hidden address, the party only listens", proof=ALICE, strict=NEITHER, compat=ALICE, most=0)
def listener_private(c):
    a, b = c.port("alice"), c.port("bob")
    c.open(c.private("alice"), b)
    yield TALK, a, b
    yield 0.7, b
    c.open(c.private("alice", port=1), b)
    yield from c.after((b,), (a, b))


@flow("re-INVITE with a new hidden address, the mapping stays", strict=NEITHER, most=0)
def talker_private(c):
    a, b = c.port("alice"), c.port("bob")
    c.open(p := c.private("alice"), b)
    yield TALK, a, b
    c.open(q := c.private("alice", host=1), b)
    yield from c.after((a, b), *lab.both(a, b), dead=(p,), fading=(q,))


@flow("re-INVITE to another public host that only listens", proof=BOB, strict=BOB, compat=BOB, most=1)
def listener_public(c):
    a, b, ear = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    yield from mid_call(c, a, b)
    c.bob_offers(ear, a)
    yield from c.after((a,), (ear, a))


@flow("the same, 7 s later: the old host hears no more", proof=BOB, strict=BOB, compat=BOB)
def listener_replaces(c):
    a, b, ear = c.port("alice"), c.port("bob"), c.port("bob", host=1)
    yield from mid_call(c, a, b)
    c.bob_offers(ear, a)
    yield 7, a
    yield from c.after((a,), (ear, a), dead=(b,))


@flow("call to a public party that only listens", proof=BOB, strict=BOB, compat=BOB, most=0)
def listener_from_start(c):
    a, b = c.port("alice"), c.port("bob")
    c.open(a, b)
    yield from c.after((a,), (b, a))


# ---- session refresh and mappings that change ----


@flow("session refresh while both talk", most=0)
def refresh(c):
    a, b = c.port("alice"), c.port("bob")
    yield from mid_call(c, a, b)
    c.open(a, b)
    yield from c.after((a, b), *lab.both(a, b))


@flow("session refresh every second while both talk, NAT, hidden", strict=NEITHER, most=0)
def refresh_each_second(c):
    a, b, p = c.port("alice"), c.port("bob"), c.private("alice")
    c.open(p, b)
    yield TALK, a, b
    for step in c.after((a, b), *lab.both(a, b), dead=(p,)):
        yield from each_second(c, step, p, b)


def each_second(c, step, alice, bob):
    """A step of a flow, with a session refresh in each second."""
    seconds, *ports = step
    for _ in range(round(seconds)):
        c.open(alice, bob)
        yield 1, *ports


@flow("new mapping in mid-call, SSRC goes on, no signalling", most={"proof": 26, "strict": 26, "compat": 1})
def mapping(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    yield from mid_call(c, a, b)
    a.goes_on_as(new)
    yield from c.after((new, b), *lab.both(new, b), dead=(a,))


@flow("new public host in mid-call, SSRC goes on, hidden, no signalling", strict=NEITHER, most={"proof": 26, "strict": None, "compat": 1})
def mapping_host(c):
    a, b, new, p = c.port("alice"), c.port("bob"), c.port("alice", host=1), c.private("alice")
    c.open(p, b)
    yield TALK, a, b
    a.goes_on_as(new)
    yield from c.after((new, b), *lab.both(new, b), dead=(a, p))


@flow("new mapping and SSRC in the first second, no signalling", compat=NEITHER, most=27)
def mapping_ssrc_early(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    yield from mid_call(c, a, b, 0.5)
    yield from c.after((new, b), *lab.both(new, b), dead=(a,))


@flow("new mapping and SSRC in mid-call, no signalling", proof=NEITHER, strict=NEITHER, compat=NEITHER)
def mapping_ssrc(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    yield from mid_call(c, a, b)
    yield from c.after((new, b), *lab.both(new, b))


@flow("from a NAT's port to the signalled one in mid-call, no signalling", compat=NEITHER, most=1)
def to_signalled_port(c):
    a, b, signalled = c.port("alice", port=1), c.port("bob"), c.port("alice")
    c.open(signalled, b)
    yield TALK, a, b
    yield from c.after((signalled, b), *lab.both(signalled, b), dead=(a,))


@flow("new mapping and SSRC, a session refresh a second later", most=1)
def mapping_then_refresh(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    yield from mid_call(c, a, b)
    yield 1, new, b
    c.open(a, b)
    yield from c.after((new, b), *lab.both(new, b), dead=(a,))


@flow("new mapping and SSRC right after a session refresh", most=27)
def refresh_then_mapping(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    yield from mid_call(c, a, b)
    c.open(a, b)
    yield 0.2, a, b
    yield from c.after((new, b), *lab.both(new, b), dead=(a,))


@flow("new mapping and SSRC between refreshes of every second", most=27)
def mapping_between_refreshes(c):
    a, b, new = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    yield from mid_call(c, a, b)
    c.open(a, b)
    yield 0.2, a, b
    c.phase = lab.FIRST
    yield 0.8, new, b
    c.open(a, b)
    yield 0.2, new, b
    c.phase, c.ways, c.dead = lab.AFTER, lab.both(new, b), (a,)
    yield 0.8, new, b
    c.open(a, b)
    yield 1, new, b


@flow("new SSRC in mid-call, the mapping stays", most=0)
def ssrc(c):
    a, b = c.port("alice"), c.port("bob")
    yield from mid_call(c, a, b)
    a.ssrc, a.seq = a.ssrc ^ 0x5555, 30000
    yield from c.after((a, b), *lab.both(a, b))


# ---- RTCP ----


def with_rtcp(c, alice_port=0):
    """Ports of RTP and RTCP: alice's, bob's."""
    a, b = c.port("alice", port=alice_port), c.port("bob")
    ports = [a, c.port("alice", port=alice_port + 1, kind=lab.rtcp), b, c.port("bob", port=1, kind=lab.rtcp)]
    return ports


def rtcp_to(c, *ports):
    """RTCP goes to the next port of the relay, five times a second."""
    for port in ports:
        host, number = c.to[port.party]
        port.to, port.every = (host, number + 1), 10


@flow("RTCP beside RTP, where it was signalled", most=0)
def rtcp_plain(c):
    a, ar, b, br = with_rtcp(c)
    c.open(a, b)
    rtcp_to(c, ar, br)
    yield 0.5, a, b, ar, br
    yield from c.after((a, b, ar, br), *lab.both(ar, br))


@flow("RTCP, NAT with a mapping of its own, hidden", strict=NEITHER)
def rtcp_nat(c):
    a, _, b, br = with_rtcp(c)
    ar = c.port("alice", port=7, kind=lab.rtcp)
    c.open(c.private("alice"), b)
    rtcp_to(c, ar, br)
    yield from c.after((a, b, ar, br), *lab.both(ar, br))


@flow("RTCP after RTP has a new mapping, no signalling", compat=NEITHER)
def rtcp_after_rtp(c):
    a, ar, b, br = with_rtcp(c)
    new, newr = c.port("alice", port=4), c.port("alice", port=7, kind=lab.rtcp)
    c.open(a, b)
    rtcp_to(c, ar, br, newr)
    yield TALK, a, b, ar, br
    a.goes_on_as(new)
    yield from c.after((new, b, newr, br), *lab.both(newr, br), dead=(a, ar))


@flow("RTCP alone has a new mapping, a session refresh later", compat=NEITHER)
def rtcp_alone_refresh(c):
    a, ar, b, br = with_rtcp(c)
    new = c.port("alice", port=7, kind=lab.rtcp)
    c.open(a, b)
    rtcp_to(c, ar, br, new)
    yield TALK, a, b, ar, br
    yield 1, a, b, br
    c.open(a, b)
    yield from c.after((a, b, new, br), *lab.both(new, br), dead=(ar,))


@flow("RTCP alone has a new mapping, no signalling", compat=NEITHER)
def rtcp_alone(c):
    a, ar, b, br = with_rtcp(c)
    new = c.port("alice", port=7, kind=lab.rtcp)
    c.open(a, b)
    rtcp_to(c, ar, br, new)
    yield TALK, a, b, ar, br
    yield from c.after((a, b, new, br), *lab.both(new, br), dead=(ar,))


@flow("RTCP after a re-INVITE to another pair of ports", most=1)
def rtcp_reinvite(c):
    a, ar, b, br = with_rtcp(c)
    new, newr = c.port("alice", port=4), c.port("alice", port=5, kind=lab.rtcp)
    c.open(a, b)
    rtcp_to(c, ar, br, newr)
    yield TALK, a, b, ar, br
    c.open(new, b)
    yield from c.after((new, b, newr, br), *lab.both(newr, br), dead=(a, ar))


@flow("RTCP after hold and resume, RTP and RTCP have new mappings", compat=NEITHER)
def rtcp_resume(c):
    a, ar, b, br = with_rtcp(c)
    new, newr = c.port("alice", port=4), c.port("alice", port=7, kind=lab.rtcp)
    c.open(a, b)
    rtcp_to(c, ar, br, newr)
    yield TALK, a, b, ar, br
    c.open(a, b)
    yield 1.5, b, br
    c.open(a, b)
    yield from c.after((new, b, newr, br), *lab.both(newr, br), dead=(a, ar))


def mux(port, mark):
    """RTP, every tenth packet RTCP."""
    return (lab.rtcp if port.sent[port.call.phase] % 10 == 9 else lab.rtp)(port, mark)


@flow("RTCP-mux, where it was signalled", most=0)
def rtcp_mux(c):
    a, b = c.port("alice", kind=mux), c.port("bob", kind=mux)
    yield from mid_call(c, a, b)
    yield from c.after((a, b), *lab.both(a, b))


@flow("RTCP-mux, hold and resume, SDP unchanged, new mapping and SSRC", most=1)
def rtcp_mux_resume(c):
    a, b, new = c.port("alice", kind=mux), c.port("bob", kind=mux), c.port("alice", port=1, kind=mux)
    yield from hold_and_resume(c, a, b, a, new)


# ---- fax ----


def to_fax(c, fax_sdp, fax, late_packets):
    """A call with audio. Bob's re-INVITE to T.38 names @fax_sdp, some audio packets of his old port
    come late, then UDPTL goes both ways."""
    a, b = c.port("alice"), c.port("bob")
    yield from mid_call(c, a, b)
    c.bob_offers(fax_sdp, a)
    yield 0.02 * late_packets, b
    a.kind = lab.udptl
    yield from c.after((a, fax), *lab.both(a, fax), dead=(b,) if b is not fax else ())


@flow("T.38: re-INVITE to another port", most=1)
def fax(c):
    f = c.port("bob", port=1, kind=lab.udptl)
    yield from to_fax(c, f, f, 0)


@flow("T.38: re-INVITE to another port, two late audio packets", compat=NEITHER, most=1)
def fax_late(c):
    f = c.port("bob", port=1, kind=lab.udptl)
    yield from to_fax(c, f, f, 2)


@flow("T.38: re-INVITE, the same port", most=0)
def fax_same_port(c):
    a, b = c.port("alice"), c.port("bob")
    yield from mid_call(c, a, b)
    c.bob_offers(b, a)
    a.kind = b.kind = lab.udptl
    yield from c.after((a, b), *lab.both(a, b))


@flow("T.38: both go to other ports, late audio of both", compat=NEITHER, most=1)
def fax_both(c):
    a, b = c.port("alice"), c.port("bob")
    f, g = c.port("alice", port=1, kind=lab.udptl), c.port("bob", port=1, kind=lab.udptl)
    yield from mid_call(c, a, b)
    c.bob_offers(g, f)
    yield 0.04, a, b
    yield from c.after((f, g), *lab.both(f, g), dead=(a, b))


@flow("T.38: re-INVITE to another port behind NAT, hidden, late audio", strict=NEITHER, compat=NEITHER, most=30)
def fax_nat(c):
    a, b, f = c.port("alice"), c.port("bob"), c.port("bob", port=1, kind=lab.udptl)
    c.open(a, p := c.private("bob"))
    yield TALK, a, b
    c.bob_offers(q := c.private("bob", port=1), a)
    yield 0.04, b
    a.kind = lab.udptl
    yield from c.after((a, f), *lab.both(a, f), dead=(b, p), fading=(q,))


@flow("T.38 from the start", most=0)
def fax_only(c):
    a, b = c.port("alice", kind=lab.udptl), c.port("bob", kind=lab.udptl)
    c.open(a, b)
    yield from c.after((a, b), *lab.both(a, b))


@flow("T.38 from the start, NAT, hidden", strict=NEITHER, most=4)
def fax_only_nat(c):
    a, b = c.port("alice", kind=lab.udptl), c.port("bob", kind=lab.udptl)
    c.open(p := c.private("alice"), b)
    yield from c.after((a, b), *lab.both(a, b), fading=(p,))


@flow("T.38 by IPv6: re-INVITE to another port, two late audio packets", compat=NEITHER, most=1)
def fax_late6(c):
    c.family = {"alice": 6, "bob": 6}
    yield from fax_late(c)


@flow("T.38 and back to audio, on the ports of before", most=1)
def fax_and_back(c):
    a, b, f = c.port("alice"), c.port("bob"), c.port("bob", port=1, kind=lab.udptl)
    yield from mid_call(c, a, b)
    c.bob_offers(f, a)
    a.kind = lab.udptl
    yield 0.5, a, f
    c.bob_offers(b, a)
    a.kind = lab.rtp
    yield 0.04, f
    yield from c.after((a, b), *lab.both(a, b), dead=(f,))


# ---- DTLS-SRTP ----


def handshake(a, b):
    """A handshake with OpenSSL's timing: the client repeats its hello after 1 s and after 2 s more,
    the server answers each hello with three datagrams, the client ends with two. True when all
    flights have arrived."""
    hellos = 0
    for tick in range(round(4 / lab.TICK_S)):
        if tick in (0, 50, 150):
            a.send(kind=lab.dtls)
        yield (lab.TICK_S,)
        if b.hears(a, lab.HANDSHAKE) > hellos:
            hellos = b.hears(a, lab.HANDSHAKE)
            for _ in range(3):
                b.send(kind=lab.dtls)
        if a.hears(b, lab.HANDSHAKE):
            break
    for _ in range(2):
        a.send(kind=lab.dtls)
    yield (0.1,)
    return b.hears(a, lab.HANDSHAKE) > hellos


def dtls_call(c, alice_sdp=None, bob_sdp=None, checks=0):
    """The call, ICE checks, the handshake. SRTP follows only when the handshake has succeeded."""
    a, b = c.port("alice"), c.port("bob")
    c.open(alice_sdp or a, bob_sdp or b)
    for _ in range(checks):
        a.send(kind=lab.stun)
        b.send(kind=lab.stun)
        yield (0.06,)
    c.phase = lab.HANDSHAKE
    if (yield from handshake(a, b)):
        yield from c.after((a, b), *lab.both(a, b), fading=[sdp for sdp in (alice_sdp, bob_sdp) if isinstance(sdp, lab.Port)])
    else:
        c.faults.append("the handshake did not pass")


@flow("DTLS-SRTP, both where they were signalled", most=0)
def dtls(c):
    yield from dtls_call(c)


@flow("DTLS-SRTP, 0.0.0.0 signalled", strict=NEITHER, most=0)
def dtls_null(c):
    yield from dtls_call(c, lab.NOWHERE)


@flow("DTLS-SRTP, NAT, hidden", strict=NEITHER, most=0)
def dtls_private(c):
    yield from dtls_call(c, c.private("alice"))


@flow("DTLS-SRTP, both behind NAT, hidden, ICE checks first", strict=NEITHER)
def dtls_private_both(c):
    yield from dtls_call(c, c.private("alice"), c.private("bob"), checks=5)


# ---- ICE, strays, forgers ----


@flow("ICE checks from two ports, then RTP from the signalled one", compat=NEITHER, most=0)
def ice_checks(c):
    a, b, other = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    c.open(a, b)
    for _ in range(5):
        other.send(kind=lab.stun)
        yield (0.02,)
        a.send(kind=lab.stun)
        yield (0.02,)
    yield from c.after((a, b), *lab.both(a, b), dead=(other,))


@flow("ICE checks from two ports, then RTP from the other one", compat=NEITHER, most=3)
def ice_other(c):
    a, b, other = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    c.open(a, b)
    for _ in range(5):
        a.send(kind=lab.stun)
        other.send(kind=lab.stun)
        yield (0.04,)
    yield from c.after((other, b), *lab.both(other, b), dead=(a,))


@flow("ICE checks, then RTP, NAT, hidden", strict=NEITHER, most=1)
def ice_private(c):
    a, b = c.port("alice"), c.port("bob")
    c.open(p := c.private("alice"), b)
    for _ in range(5):
        a.send(kind=lab.stun)
        yield (0.04,)
    yield from c.after((a, b), *lab.both(a, b), fading=(p,))


def stray(c, **what):
    """One datagram from another port of the host, before any RTP of its signalled one."""
    a, b, other = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    c.open(a, b)
    other.send(**what)
    yield (0.1,)
    yield from c.after((a, b), *lab.both(a, b), dead=(other,))


@flow("one STUN datagram of another port before RTP", compat=NEITHER, most={"proof": 0, "strict": 0})
def stray_stun(c):
    yield from stray(c, kind=lab.stun)


@flow("one DTLS datagram of another port before RTP", compat=NEITHER, most={"proof": 0, "strict": 0})
def stray_dtls(c):
    yield from stray(c, kind=lab.dtls)


@flow("one empty datagram of another port before RTP", compat=NEITHER, most={"proof": 0, "strict": 0})
def stray_empty(c):
    yield from stray(c, raw=b"")


@flow("one RTCP datagram of another port to the RTP port before RTP", compat=NEITHER, most={"proof": 0, "strict": 0})
def stray_rtcp(c):
    yield from stray(c, kind=lab.rtcp)


@flow("forged RTP packet of the signalled host before the party's first", compat=NEITHER, most=0)
def forged_first(c):
    yield from stray(c, kind=lab.rtp)


@flow("the same, then the party from a port of its NAT", compat=NEITHER, most=3)
def forged_first_nat(c):
    a, b, forger = c.port("alice", port=2), c.port("bob"), c.port("alice", port=1)
    c.open(c.port("alice"), b)
    forger.send(kind=lab.rtp)
    yield (0.1,)
    yield from c.after((a, b), *lab.both(a, b), dead=(forger,))


@flow("forged RTP packet of the signalled port, then a port of the NAT", compat=NEITHER, most=25)
def forged_exact(c):
    a, b, forger = c.port("alice", port=2), c.port("bob"), c.port("alice")
    c.open(forger, b)
    forger.send(kind=lab.rtp)
    yield (0.1,)
    yield from c.after((a, b), *lab.both(a, b), dead=(forger,))


@flow("a stranger's three RTP packets before the signalled port's first", compat=NEITHER, most=0)
def stranger_first(c):
    a, b, stranger = c.port("alice"), c.port("bob"), c.port("alice", host=3)
    c.open(a, b)
    yield 0.06, stranger
    yield from c.after((a, b), *lab.both(a, b), dead=(stranger,))


@flow("a stranger's three RTP packets before the party's, NAT, hidden", strict=NEITHER, compat=NEITHER, most=30)
def stranger_first_nat(c):
    a, b, stranger, p = c.port("alice"), c.port("bob"), c.port("alice", host=3), c.private("alice")
    c.open(p, b)
    yield 0.06, stranger
    yield from c.after((a, b), *lab.both(a, b), dead=(stranger, p))


@flow("datagrams of another port in mid-call", most=0)
def stray_in_call(c):
    a, b, other = c.port("alice"), c.port("bob"), c.port("alice", port=1)
    yield from mid_call(c, a, b)
    for kind in lab.stun, lab.dtls, lab.udptl, lab.rtp:
        other.send(kind=kind)
    other.send(raw=b"")
    yield from c.after((a, b), *lab.both(a, b), dead=(other,))


# ---- running and judging ----


def judge(call, flow_, learning):
    """(faults, {party: packets lost in the first second}) of a flow that has run."""
    faults, lost = [], {}
    for listener, speaker in call.ways:
        sent, heard = speaker.sent[lab.AFTER], listener.hears(speaker, lab.AFTER)
        party = listener.party
        lost[party] = speaker.sent[lab.FIRST] - listener.hears(speaker, lab.FIRST)
        if not sent:
            faults.append(f"{speaker.party} has sent nothing")
        elif party in flow_.heard[learning]:
            if heard < ENOUGH * sent:
                faults.append(f"{party} heard {heard} of {sent}")
            most = flow_.most.get(learning)
            if most is not None and lost[party] > most + SLACK:
                faults.append(f"{party} lost {lost[party]} in the first second, at most {most} expected")
        elif heard:
            faults.append(f"{party} heard {heard} of {sent}, none expected")
        others = listener.hears_any(lab.AFTER) - heard
        if others and not any(listener is other for other, _ in call.ways if other is not listener):
            faults.append(f"{party} heard {others} packets of others")
    if flow_.heard[learning]:
        faults += call.faults
        for ports, phase in (call.dead, lab.AFTER), (call.fading, lab.LAST):
            faults += [f"{p.address[0]}:{p.address[1]} was sent {n}" for p in ports if (n := p.hears_any(phase))]
    faults += [f"{p.address[0]}:{p.address[1]} heard {p.twice} twice" for p in call.ports if p.twice]
    return faults, lost


def attempt(bench, learning, numbered, name):
    """Runs these (number, flow) at the same time; {number: (faults, lost)}."""
    calls = {n: lab.Call(bench, n, name) for n, _ in numbered}
    bench.run([(calls[n], f.body(calls[n])) for n, f in numbered])
    verdicts = {n: judge(calls[n], f, learning) for n, f in numbered}
    addresses = [p.address for call in calls.values() for p in call.ports]
    bench.known.update(addresses, ((host, number + 1) for host, number in addresses))
    bench.forget(calls.values())
    bench.ask("X")
    return verdicts


def run_relay(learning, dataplane, numbered):
    """All flows with one relay. A flow that fails while the machine was late is run again, with
    fewer others beside it."""
    verdicts, notes, todo = {}, [], numbered
    most = max(4, int(PACE_S / lab.packet_cost()))
    with lab.Lab(learning, dataplane) as bench:
        bench.known = set()
        for n in range(TRIES):
            again, size = [], max(1, most >> n)
            for at in range(0, len(todo), size):
                part = todo[at:at + size]
                verdicts |= attempt(bench, learning, part, f"{learning}{n}")
                if bench.late > lab.LATE_S:
                    again += [(k, f) for k, f in part if verdicts[k][0]]
            if not again:
                break
            notes.append(f"{learning}, {dataplane}: late by {bench.late * 1000:.0f} ms, {len(again)} flows run again")
            todo = again
        strangers = bench.spoken_to() - bench.known
        stats = bench.ctl("stats")
    if strangers:
        notes.append(f"FAULT {learning}, {dataplane}: sent to {sorted(strangers)[:5]}, which is no party's")
    kernel, floor = stats["kernel"]["relayed"], stats["floor"]["sent"]
    if dataplane != "none" and kernel < floor:
        notes.append(f"FAULT {learning}, {dataplane}: the kernel forwarded {kernel} packets, the daemon {floor}")
    return learning, dataplane, verdicts, notes


def initialize():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def has_module():
    """The netfilter module. Only into the virtual machine's kernel is it loaded here."""
    if "RTPX_IN_VM" in os.environ and not os.path.isdir("/sys/module/rtpx"):
        lab.sh("insmod", f"{lab.BUILD}/kmod/rtpx.ko")
    return os.path.isdir("/sys/module/rtpx")


def dataplanes():
    """All dataplanes of this kernel; in the virtual machine, which is slow, the module's alone."""
    kmod = ["kmod"] * has_module()
    return kmod if "RTPX_IN_VM" in os.environ else ["none", "native", "generic"] + kmod


def cell(flow_, learning, losses):
    """Packets lost in the first second by alice and by bob, the most of all dataplanes. A dash
    stands for a party that is not to hear the other one."""
    parties = [p for p in BOTH if any(p in lost for lost in losses)] or BOTH
    return " / ".join(str(max(lost[p] for lost in losses)) if p in flow_.heard[learning] else "–" for p in parties)


def table(numbered, results, ways, markdown):
    width = max(len(f.title) for _, f in numbered)
    shape = "| {} |" + " {} |" * len(ways) if markdown else "{:%d}" % width + "  {:>9}" * len(ways)
    print(shape.format("lost in the first second by alice / bob", *(f"`{w}`" if markdown else w for w in ways)))
    if markdown:
        print("|---|" + "--:|" * len(ways))
    for n, f in numbered:
        print(shape.format(f.title, *(cell(f, w, [v[n][1] for (way, _), v in results.items() if way == w]) for w in ways)))


def report(numbered, results):
    """Prints the faults; (passed, failed) flows."""
    passed = failed = 0
    for (learning, dataplane), verdicts in results.items():
        for n, f in numbered:
            faults = verdicts[n][0]
            failed += bool(faults)
            passed += not faults
            if faults:
                print(f"FAULT {learning}, {dataplane}: {f.title} ({f.body.__name__}): {'; '.join(faults)}")
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--learning", default=",".join(WAYS))
    parser.add_argument("--dataplane", default=",".join(dataplanes()))
    parser.add_argument("words", nargs="*")
    args = parser.parse_args()
    ways, planes = args.learning.split(","), args.dataplane.split(",")
    numbered = [(n, f) for n, f in enumerate(FLOWS) if not args.words or any(w in f.body.__name__ for w in args.words)]
    results, notes, broken = {}, [], 0
    with concurrent.futures.ProcessPoolExecutor(TOGETHER, initializer=initialize, max_tasks_per_child=None) as pool:
        for job in [pool.submit(run_relay, w, p, numbered) for w in ways for p in planes]:
            try:
                learning, dataplane, verdicts, said = job.result()
                results[learning, dataplane] = verdicts
                notes += said
            except Exception:
                broken += 1
                traceback.print_exc(file=sys.stdout)
    if len(results) == len(ways) * len(planes):
        table(numbered, results, ways, args.markdown)
    passed, failed = report(numbered, results)
    for note in notes:
        print(note)
    failed += broken + sum(note.startswith("FAULT") for note in notes)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if os.geteuid() != 0:
        print("network namespaces need root")
        sys.exit(4)
    if not os.access(f"{lab.BUILD}/rtpxd", os.X_OK):
        print(f"there is no {lab.BUILD}/rtpxd; set RTPX_BUILD")
        sys.exit(1)
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together quick
"""scale.py - the figures of docs/scale.md: computes them, simulates failures of machines and of a
rack, and the load of Redis, and fails when the document says something else.

	tests/scale.py           compare
	tests/scale.py --print   print the figures

The simulation has no packets. It has the rules of docs/standby.md and docs/scale.md: the groups of
a machine, their backups, the batches of the owner, the ten seconds of the counters.
"""
import math
import os
import random
import sys

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "scale.md")
CALLS, HOLD_S, PTIME_MS = 1_000_000, 180, 20
MACHINES, RACKS, GROUPS, BACKUPS = 36, 6, 5, 2    # groups: of each machine; backups: of each group
ADDRESSES_OF_DAEMON = 16                        # RTPX_MAX_POOLS, docs/standby.md
PAIRS_OF_ADDRESS, RECORD_BYTES, COUNTERS_S = 27_768, 450, 10    # -m 10000 -M 65534
CHANGES_OF_CALL = 5                             # U, L, two latches, D
REDIS_US = 7                                    # of a core for each record: HSET, its part of XADD
STANDBY_US = 8                                  # of a core for each record that a standby reads
PACKET_BYTES = 14 + 20 + 8 + 12 + 160 + 24      # Ethernet, IP, UDP, RTP, G.711, preamble to gap


def members_of(owner, group):
    """The machines that announce a group's address with rising path length, the owner first. The backups are in two other racks,
    and each group begins one further. So the groups of a lost machine, and of a lost rack, spread evenly."""
    others = [m for m in range(MACHINES) if m % RACKS != owner % RACKS]
    start = owner // RACKS * GROUPS + group
    found = [owner] + [others[(start + 7 * k) % len(others)] for k in range(BACKUPS)]
    assert len({m % RACKS for m in found}) == 1 + BACKUPS
    return found


def stands_by():
    """The groups that a machine stands by for; the same number for each."""
    counts = [0] * MACHINES
    for owner in range(MACHINES):
        for group in range(GROUPS):
            for m in members_of(owner, group)[1:]:
                counts[m] += 1
    assert len(set(counts)) == 1
    return counts[0]


def after(dead):
    """Calls of the machine that has most, in parts of a machine's calls, when those machines are dead; and the calls without an
    owner, in parts of all."""
    load, lost = [0] * MACHINES, 0
    for owner in range(MACHINES):
        for group in range(GROUPS):
            alive = [m for m in members_of(owner, group) if m not in dead]
            if alive:
                load[alive[0]] += 1
            else:
                lost += 1
    assert sum(load) + lost == MACHINES * GROUPS
    return max(load) / GROUPS, lost / MACHINES / GROUPS


def redis_load(calls, seconds=20, step_s=0.002, seed=1):
    """Records and batches a second that the owner of so many calls writes, simulated in steps of a batch's 2 ms."""
    rng, records, batches = random.Random(seed), 0, 0
    events = calls / HOLD_S * CHANGES_OF_CALL * step_s
    for step in range(int(seconds / step_s)):
        changed = sum(1 for _ in range(int(events)) if rng.random() < 1) + (rng.random() < events % 1)
        if step % int(1 / step_s) == 0:
            changed += calls // COUNTERS_S      # a tenth of the calls each second
        records += changed
        batches += math.ceil(changed / 500)
    return records / seconds, batches / seconds


def figures():
    each = CALLS / MACHINES
    pps = each * 2 * 1000 / PTIME_MS
    records, batches = redis_load(int(each))
    one = max(after({m}) for m in range(MACHINES))
    two = max(after({m, n}) for m in range(MACHINES) for n in range(m))
    racks = [{m for m in range(MACHINES) if m % RACKS == r} for r in range(RACKS)]
    both = max(after({*racks[r], m})[1] for r in range(RACKS) for m in range(MACHINES))
    other = stands_by()
    assert GROUPS + other <= ADDRESSES_OF_DAEMON
    assert not both and not any(after({m, n})[1] for m in range(MACHINES) for n in range(m)), "a group without an owner"
    rack = max(after(r) for r in racks)
    return {
        "calls of a machine": f"{each:,.0f}",
        "calls that begin, each second": f"{CALLS / HOLD_S:,.0f}",
        "packets a second of a machine": f"{pps / 1e6:.2f} M",
        "traffic of a machine, each way": f"{pps * PACKET_BYTES * 8 / 1e9:.1f} Gbit/s",
        "groups of a machine": f"{GROUPS}",
        "groups that a machine stands by for": f"{other}",
        "media addresses of a machine": f"{(GROUPS + other) * math.ceil(each / GROUPS * 2 / PAIRS_OF_ADDRESS):d}",
        "pairs of ports in use at an address": f"{each / GROUPS * 2 / PAIRS_OF_ADDRESS * 100:.0f} %",
        "records a second of a machine, to Redis": f"{records:,.0f}",
        "batches a second of a machine": f"{batches:,.0f}",
        "bytes a second of a machine, to Redis": f"{records * RECORD_BYTES * 2 / 1e6:.1f} MB",
        "cores of a machine for the records that it reads": f"{records / GROUPS * other * STANDBY_US / 1e6:.2f}",
        "Redis cores for all machines": f"{records * MACHINES * REDIS_US / 1e6:.1f}",
        "memory of all records": f"{CALLS * RECORD_BYTES / 1e9:.1f} GB",
        "one machine lost: load of the fullest one": f"{one[0]:.2f}",
        "one rack lost: load of the fullest one": f"{rack[0]:.2f}",
        "two machines lost: load of the fullest one": f"{two[0]:.2f}",
        "calls that a lost machine moves": f"{1 / MACHINES * 100:.1f} %",
        "calls that a lost rack moves": f"{1 / RACKS * 100:.1f} %",
    }


def main():
    found = figures()
    if "--print" in sys.argv:
        for name, value in found.items():
            print(f"| {name} | {value} |")
        return
    with open(DOCUMENT, encoding="utf-8") as f:
        text = f.read()
    wrong = [f"{name}: {value}" for name, value in found.items() if f"| {name} | {value} |" not in text]
    for line in wrong:
        print(f"docs/scale.md does not say: {line}")
    print(f"{'FAIL' if wrong else 'PASS'} scale")
    sys.exit(bool(wrong))


main()

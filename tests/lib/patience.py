# SPDX-License-Identifier: BSD-2-Clause
"""How slow the machine is now, for limits of time that must not depend on its other work."""
import os
import time

CPUS = int(os.environ.get("RTPX_HOST_CPUS", os.cpu_count()))


def load():
    """Processes of the last minute, and those that run now beside this one."""
    with open(os.environ.get("RTPX_HOST_LOADAVG", "/proc/loadavg"), encoding="ascii") as f:
        minute, _, _, now, _ = f.read().split()
    return float(minute), int(now.split("/")[0]) - 1


def slowness():
    """Processes for each CPU, at least 1: those that run now, or those of the last minute, with those that wait for a disk."""
    return max(1.0, max(load()) / CPUS)


def others():
    """Processes for each CPU within a second, at least 1. The last minute would count the tests before a test that runs alone."""
    counts = []
    for _ in range(20):
        counts.append(load()[1])
        time.sleep(0.05)
    return max(1.0, sum(counts) / len(counts) / CPUS)

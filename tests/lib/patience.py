# SPDX-License-Identifier: BSD-2-Clause
"""How slow the machine is now, for limits of time that must not depend on its other work."""
import os


def slowness():
    """Processes for each CPU, at least 1: those that run now, or those of the last minute, with those that wait for a disk."""
    with open(os.environ.get("RTPX_HOST_LOADAVG", "/proc/loadavg"), encoding="ascii") as f:
        minute, _, _, now, _ = f.read().split()
    cpus = int(os.environ.get("RTPX_HOST_CPUS", os.cpu_count()))
    return max(1.0, float(minute) / cpus, (int(now.split("/")[0]) - 1) / cpus)

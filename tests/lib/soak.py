# SPDX-License-Identifier: BSD-2-Clause
"""What every long test needs: the bench's labs, and an end that cleans up and is said."""
import contextlib
import os
import signal
import sys

sys.dont_write_bytecode = True
from patience import others

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from lab import Bench, Broken, Lab, Rtpxd, max_calls, sh, wait_for


def may_lose(sent, slow):
    """Packets of so many that the network of a machine may lose, by what others() said of it before: none on an idle one."""
    return int(sent / 1000 * (slow - 1))


def end(signum, frame):
    raise KeyboardInterrupt


def run(name, test, default):
    """Calls test(bench, number), the number from the command line, and ends with 0 (passed), 1 (failed), 4 (cannot run here)."""
    if os.geteuid() != 0:
        print("needs root for namespaces and XDP")
        sys.exit(4)
    signal.signal(signal.SIGTERM, end)
    try:
        with contextlib.ExitStack() as stack:
            test(Bench(os.environ.get("RTPX_BUILD", "build"), stack), float(sys.argv[1]) if len(sys.argv) > 1 else default)
    except Broken as e:
        print("FAIL %s: %s" % (name, e))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

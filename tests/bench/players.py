# SPDX-License-Identifier: BSD-2-Clause
"""The bench of prompts: many players at once, their pace, and what they cost."""
import json
import os

import report
from lab import CALLEE, CALLER, CONTROL_PORT, Broken, Network, Rtpxd, sh

PTIME_MS = 20
PROMPT_BYTES = 5 * 8000


class Player(Rtpxd):
    def words(self):
        return super().words() + ["--prompt-ptime", str(PTIME_MS), "--prompt-dir", self.bench.dir]


def measure(bench, players, seconds, rounds):
    """Medians of so many rounds, each of a daemon of its own."""
    network = Network(bench, "players")
    daemon = Player(network, "none")
    prompt = bench.path("prompt")
    with open(prompt + ".0", "wb") as f:
        f.write(os.urandom(PROMPT_BYTES))
    seen = []
    for _ in range(rounds):
        daemon.start()
        seen.append(json.loads(sh(
            bench.tool("players"), "/run/netns/" + network.ns("r"), str(CONTROL_PORT), str(daemon.process.pid),
            "/run/netns/" + network.ns("g"), CALLER, CALLEE, str(players), str(seconds), prompt, str(PTIME_MS),
            bench.tool("ear.bpf.o"), "g0", "in0")))
        daemon.stop()
        if seen[-1]["players"] != players or seen[-1]["missing"]:
            raise Broken("%d players: %s" % (players, seen[-1]))
    return {"seconds": seconds, "ptime_ms": PTIME_MS, "rounds": seen,
            **{key: report.median([r[key] for r in seen]) for key in seen[0]}}

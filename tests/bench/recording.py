# SPDX-License-Identifier: BSD-2-Clause
"""What recording costs: calls whose packets are all written to disk as pcap, beside calls that are not recorded.

Nothing that a relay says of itself counts: packets are counted in its files.
"""
import json
import os
import shutil
import statistics
import struct
import time

from lab import Lab, Rtpengine, Rtpxd

RATE_OF_A_CALL = 100  # packets a second: G.711, 20 ms, both parties
OTHERS = 99           # flows that are not recorded for each one that is, at full speed
SETTLED = 1.0         # seconds without a new packet in any file: no more will come


class RecordingRtpxd(Rtpxd):
    def words(self):
        return super().words() + ["-r", directory(self), "-P"]


class SoundingRtpxd(RecordingRtpxd):
    def words(self):
        return super().words() + ["--record-format", "opus"]


class RecordingRtpengine(Rtpengine):
    def words(self):
        return super().words() + ["--recording-dir=" + directory(self), "--recording-method=pcap"]


CONTENDERS = (
    ("native", lambda network: RecordingRtpxd(network, "xdp", "native")),
    ("floor", lambda network: RecordingRtpxd(network, "none")),
    ("rtpengine", RecordingRtpengine),
)


def directory(daemon):
    path = daemon.bench.path(daemon.network.name + ".recordings")
    os.makedirs(path, exist_ok=True)
    return path


def empty(path):
    for root, _, files in os.walk(path):
        for name in files:
            os.unlink(os.path.join(root, name))


def packets_in(path):
    """Records of all pcap files below @path that carry the bench's packets; one that is cut short does not count."""
    found = 0
    for root, _, files in os.walk(path):
        for name in files:
            try:
                with open(os.path.join(root, name), "rb") as f:
                    data = f.read()
            except FileNotFoundError:  # rtpxd's own, of a recording that is now complete
                continue
            if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
                continue
            at = 24
            while at + 16 <= len(data):
                at += 16 + struct.unpack_from("<I", data, at + 8)[0]
                found += at <= len(data)
    return found


def written(path, expected):
    """How many packets there are when all expected ones, or no more, have come."""
    found, since = -1, time.monotonic()
    while found != expected and time.monotonic() - since < SETTLED:
        now = packets_in(path)
        if now != found:
            found, since = now, time.monotonic()
    return found


def fixed_rate(lab, calls, seconds):
    """All packets of @calls recorded calls, at the rate at which calls have them."""
    path, rate = directory(lab.daemon), calls * RATE_OF_A_CALL
    lab.traffic.flows(lab.pairs[:calls])
    before = lab.daemon.cpu_ns()
    plain = lab.traffic.run(calls, rate=rate, seconds=seconds)
    plain_cpu = lab.daemon.cpu_ns() - before
    lab.daemon.control("record", 0, calls)
    before = lab.daemon.cpu_ns()
    r = lab.traffic.run(calls, rate=rate, seconds=seconds)
    lab.daemon.control("unrecord", 0, calls)
    recorded = written(path, r["sent"])
    cpu = lab.daemon.cpu_ns() - before
    empty(path)
    return {"sent": r["sent"], "recorded": recorded, "forwarded": r["received"],
            "cpu_ns": cpu / r["sent"], "plain_cpu_ns": plain_cpu / plain["sent"]}


def full_speed(lab, calls, seconds, rounds):
    """The packet rate while one flow in a hundred is recorded, as shares of the rate when none is, just before or after."""
    pairs = lab.pairs[:calls] + lab.daemon.clone(lab.pairs[0], calls * OTHERS)
    lab.traffic.flows([p for i in range(calls) for p in pairs[i::calls]])
    shares = []
    for i in range(rounds):
        rates = {}
        for action in (("record", "unrecord"), ("unrecord", "record"))[i % 2]:
            lab.daemon.control(action, 0, calls)
            rates[action] = lab.traffic.run(len(pairs), seconds=seconds, first=True)["rate"]
        shares.append(rates["record"] / rates["unrecord"])
    lab.daemon.control("unrecord", 0, calls)
    return shares


def sounds_in(path):
    """The recordings with a whole sound file, and the packets in the descriptions of these."""
    found, packets = 0, 0
    for name in os.listdir(path):
        if name.endswith(".json"):
            with open(os.path.join(path, name)) as f:
                sheet = json.load(f)
            audio = sheet.get("audio") or {}
            if "error" not in audio and audio.get("name") and os.path.getsize(os.path.join(path, audio["name"])):
                found, packets = found + 1, packets + sheet["packets"]
    return found, packets


def into_opus(lab, calls, seconds, rounds):
    """Half of the recorded calls end, and are made into Opus while the others go on, at the rate of calls and at full speed."""
    path, half = directory(lab.daemon), calls // 2
    lab.want_flows(half)
    ended = lab.pairs[:half]
    lab.want_flows(calls)
    others = [pair for pair in lab.pairs if pair not in ended][:half]
    flood = others + lab.daemon.clone(others[0], half * OTHERS)

    def speed():
        return statistics.median(lab.traffic.run(len(flood), seconds=seconds / 15, first=True)["rate"] for _ in range(5))

    lab.traffic.flows(flood)
    plain = [speed() for _ in range(rounds)]
    lab.daemon.control("record", 0, calls)
    lab.traffic.flows(ended + others)
    sent = lab.traffic.run(2 * half, rate=2 * half * RATE_OF_A_CALL, seconds=seconds)["sent"]
    lab.daemon.control("delete", 0, half)
    lab.traffic.flows(others)
    sent += lab.traffic.run(half, rate=half * RATE_OF_A_CALL, seconds=seconds)["sent"]
    at_once = sounds_in(path)[0]
    lab.daemon.control("unrecord", half, half)
    lost = sent - written(path, sent)
    lab.daemon.control("record", half, half)
    lab.traffic.flows(flood)
    busy = []
    while sounds_in(path)[0] < half and len(busy) < 5 * rounds:
        busy.append(speed())
    began, deadline = time.monotonic(), 60 + calls
    while sounds_in(path)[0] < half and time.monotonic() - began < deadline:
        time.sleep(0.2)
    made = sounds_in(path)[0]
    plain += [speed() for _ in range(rounds)]
    lab.daemon.control("delete", half, half)
    return {"opus_missing": half - made + lost, "opus_at_once": at_once, "opus_rounds": len(busy),
            "opus_kept": statistics.median(busy) / statistics.median(plain) if busy else None}


def measure(bench, calls, seconds, rounds):
    """Results by contender."""
    out = {}
    for name, daemon in CONTENDERS:
        if name == "rtpengine" and not shutil.which("rtpengine"):
            continue
        lab = Lab(bench, "rec-" + name, daemon)
        lab.daemon.start()
        lab.want_flows(calls)
        runs = [fixed_rate(lab, calls, seconds) for _ in range(rounds)]
        out[name] = {key: statistics.median([r[key] for r in runs]) for key in runs[0]}
        out[name].update(calls=calls, lost=sum(r["sent"] - r["recorded"] for r in runs),
                         dropped=sum(r["sent"] - r["forwarded"] for r in runs))
        if name == "native":
            shares = full_speed(lab, calls, seconds / 15, 20 * rounds)
            out[name].update(kept=statistics.median(shares), kept_rounds=shares)
        lab.daemon.stop()
    lab = Lab(bench, "rec-opus", lambda network: SoundingRtpxd(network, "xdp", "native"))
    lab.daemon.start()
    out["native"].update(into_opus(lab, calls, seconds, rounds))
    lab.daemon.stop()
    return out

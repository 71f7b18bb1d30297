#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together busy
"""recorded_sound.py - 28 recorded calls become stereo WAV files with each party in its own channel.

Seven codecs, in the kernel and on the sockets, with and without loss; half of the calls have a
re-INVITE by which the caller moves to another port. One party's sound is a tone of 440 Hz, the
other's one of 660 Hz. A channel is judged by the share of its energy that a sine of one frequency
explains, so a hole, a slip in time or the other party's tone lowers it.
"""
import array
import math
import os
import shutil
import subprocess
import sys
import time
import wave

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import BUILD, PLAIN, Net, wait_for

SECONDS, TICK_S = 3, 0.02
PACKETS = int(SECONDS / TICK_S)
TONES = {"caller": 440, "callee": 660}
CODECS = {"PCMU": (0, 160, 160), "GSM": (3, 33, 160), "PCMA": (8, 160, 160), "G722": (9, 160, 160),
          "G729": (18, 20, 160), "opus": (111, None, 960), "AMR": (97, None, 160)}  # payload type, bytes and ticks of 20 ms
LOSE = 20               # each 20th packet
LEAST_WITH_LOSS = 0.9   # in windows of 50 ms: after a hole, GSM and G.729 go on in another phase
HELD_UP_S = 0.3         # later than that, the sender has a pause that the recording has too
ATTEMPTS = 3


def ogg_packets(data):
    """The packets of an Ogg file, without the two of the header."""
    out, at, packet = [], 0, b""
    while at < len(data):
        lacing = data[at + 27:at + 27 + data[at + 26]]
        at += 27 + len(lacing)
        for size in lacing:
            packet += data[at:at + size]
            at += size
            if size < 255:
                out.append(packet)
                packet = b""
    return out[2:]


def amr_payloads(data):
    """Bandwidth-efficient payloads of a file of AMR (RFC 4867): a request of 15, a bit 0, the head of the frame, its bits."""
    at = len(b"#!AMR\n")
    size = 32                                               # 12.2 kbit/s: 244 bits, behind the head
    frames = [int.from_bytes(data[i + 1:i + size], "big") >> 4 for i in range(at, len(data), size)]
    return [((0b1111_0_0111_1 << 244 | bits) << 2).to_bytes(32, "big") for bits in frames]


def sounds(directory):
    """The payloads of each codec and tone, of 20 ms each."""
    out = {}
    for tone in TONES.values():
        path = f"{directory}/{tone}"
        subprocess.run(["sox", "-n", "-r", "16000", "-b", "16", "-c", "1", f"{path}.wav", "synth", str(SECONDS + 1), "sine", str(tone),
                        "gain", "-6"], check=True)
        subprocess.run([f"{BUILD}/makeann", f"{path}.wav", path], check=True, stdout=subprocess.DEVNULL)
        for codec, (kind, size, _) in CODECS.items():
            with open(f"{path}.{codec.lower() if size is None else kind}", "rb") as f:
                data = f.read()
            if size:
                out[codec, tone] = [data[i:i + size] for i in range(0, len(data), size)]
            else:
                out[codec, tone] = (ogg_packets if codec == "opus" else amr_payloads)(data)
    return out


class Call:
    def __init__(self, net, relay, number, codec, lossy, moves):
        self.codec, self.lossy, self.moves, self.id = codec, lossy, moves, f"{codec}-{number}"
        self.relay, self.net, self.port, self.sent = relay, net, 4000 + 4 * number, 0
        self.a = net.end("alice", "192.0.2.10", self.port, 1)
        self.b = net.end("bob", "198.51.100.10", self.port, 2)
        east = relay.command(f"Uie {self.id} 192.0.2.10 {self.port} a;1").split()
        west = relay.command(f"Lie {self.id} 198.51.100.10 {self.port} a;1 b;1").split()
        self.a.to, self.b.to = ("192.0.2.1", int(west[0])), ("198.51.100.1", int(east[0]))
        for tags in ("a", "b a"):
            relay.command(f"R {self.id} {tags}")

    def move(self):
        """The caller's re-INVITE: another port, once all packets of the old one have passed the relay."""
        wait_for(1, lambda: len(self.b.read()) >= self.sent)
        to, self.a = self.a.to, self.net.end("alice", "192.0.2.10", self.port + 2, 1)
        self.a.to = to
        self.relay.command(f"Uie {self.id} 192.0.2.10 {self.port + 2} a;1 b;1")

    def send(self, seq, payloads):
        kind, _, ticks = CODECS[self.codec]
        for end, side in ((self.a, "caller"), (self.b, "callee")):
            if not self.lossy or seq % LOSE or not seq:
                self.sent += end is self.a
                end.send(seq, netlab.struct.pack("!BBHII", 0x80, kind, seq, seq * ticks, end.ssrc) + payloads[self.codec, TONES[side]][seq])


def talk(calls, payloads):
    """Everything that all parties say. Returns how late the latest packet was, in seconds."""
    begun, late = time.monotonic(), 0.0
    for seq in range(PACKETS):
        due = begun + seq * TICK_S
        time.sleep(max(0, due - time.monotonic()))
        for call in calls:
            if seq == PACKETS // 2 and call.moves:
                call.move()
            call.send(seq, payloads)
        late = max(late, time.monotonic() - due)
    return late


def explained(samples, rate, tone, window=None):
    """The correlation of the samples with the sine of that frequency that is most like them; with one for each window."""
    step, energy, window = 2 * math.pi * tone / rate, 0.0, window or len(samples)
    for at in range(0, len(samples) - window + 1, window):
        part = samples[at:at + window]
        c = sum(v * math.cos(step * i) for i, v in enumerate(part))
        s = sum(v * math.sin(step * i) for i, v in enumerate(part))
        energy += 2 * (c * c + s * s) / window
    return math.sqrt(energy / (sum(v * v for v in samples) or 1))


def judge(check, call, plane, path, late):
    name = f"{plane}, {call.codec}, {'loss' if call.lossy else 'no loss'}{', re-INVITE' if call.moves else ''}"
    with wave.open(path) as w:
        rate, frames, channels = w.getframerate(), w.getnframes(), w.getnchannels()
        both = array.array("h", w.readframes(frames))
    check(f"{name}: length", channels == 2 and abs(frames / rate - SECONDS) <= 0.02 + late, f"{frames / rate:.3f} s, {channels} channels")
    edge = int(rate * (0.1 + late))                          # where a coder and a side that begins later swing in
    for side, first in (("callee", 0), ("caller", 1)):       # the answerer is left
        samples = both[first::2][edge:-edge]
        # A packet of the old port that the relay takes after the re-INVITE is a stranger's: a hole.
        window = rate // 20 if call.lossy or (call.moves and call.codec in ("GSM", "G729", "AMR")) else None
        own = explained(samples, rate, TONES[side], window)
        other = explained(samples, rate, TONES["caller" if side == "callee" else "callee"])
        least = LEAST_WITH_LOSS if window else 0.99
        check(f"{name}: the {side}'s channel", own >= least and other < 0.02, f"{own:.4f} of the own tone, {other:.4f} of the other")


def attempt(check, plane, payloads, last):
    """False: this machine held the senders up."""
    with Net("alice", "relay", "bob") as net:
        net.do(PLAIN)
        rec = f"{net.dir}/rec"
        os.mkdir(rec)
        relay = net.relay("relay", "-l", "192.0.2.1/198.51.100.1", "--bridge_symmetric", "-r", rec, "--record-format", "wav",
                          "--record-workers", "2", "--codec", "111=opus", "--codec", "97=AMR", dataplane=plane)
        calls = [Call(net, relay, 2 * i + lossy, codec, bool(lossy), (i + lossy + (plane == "none")) % 2 == 0)
                 for i, codec in enumerate(CODECS) for lossy in (0, 1)]
        late = talk(calls, payloads)
        if late > HELD_UP_S and not last:
            return False
        if late > HELD_UP_S:
            check.skip(plane, f"this machine held packets up for {late:.1f} s")
            return True
        kernel = sum(d["kernel_packets"] for c in calls for d in relay.why(c.id).values())
        check(f"{plane}: packets in the kernel", (kernel > 0) == (plane != "none"), str(kernel))
        wait_for(10, lambda: all(len(e.read()) > 0 for c in calls for e in (c.a, c.b)))
        relay.command("X")
        made = wait_for(60, lambda: int(relay.command("G nrec_made")) == len(calls))
        check(f"{plane}: all calls have their sound file, and none lost a packet", made and relay.command("G nrec_failed npkts_rec_lost") == "0 0",
              relay.log()[-1000:])
        for call in calls if made else []:
            judge(check, call, plane, f"{rec}/{call.id}=a.wav", late)
        return True


def main():
    if missing := [p for p in ("sox",) if not shutil.which(p)]:
        print("needs", *missing)
        sys.exit(4)
    with netlab.judged() as check:
        payloads = sounds(netlab.scratch)
        for plane in ("none", "native"):
            for n in range(ATTEMPTS):
                if attempt(check, plane, payloads, n == ATTEMPTS - 1):
                    break


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
"""prompt_codecs.py - ffmpeg hears the prompts of payload types that --codec names.

One sound file plays to each phone, with a codec of its own. ffmpeg is the phone for octet-aligned
AMR and AMR-WB and for Speex. It does not read bandwidth-efficient payloads, so those are heard by a
socket and taken apart here; ffmpeg decodes their frames. What is heard is compared with the file.
"""
import array
import os
import shutil
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "tools")]
sys.dont_write_bytecode = True
import netlab
from netlab import PLAIN, Net, wait_for
from sound import AMR_BITS, likeness

SECONDS, HEARD = 2, 1.5
# payload type: codec, its rate, and the least likeness with the sound file
BY_FFMPEG = {97: ("AMR/8000", ";octet-align=1", 8000, 0.9), 98: ("AMR-WB/16000", ";octet-align=1", 16000, 0.9),
             99: ("speex/8000", "", 8000, 0.8), 100: ("speex/16000", "", 16000, 0.8)}
BY_SOCKET = {101: ("AMR/8000", "", 8000, 0.9), 102: ("AMR-WB/16000", "", 16000, 0.9)}


def sound(directory):
    """A gliding tone, as a file and as samples of each rate."""
    path = f"{directory}/tone.wav"
    subprocess.run(["sox", "-n", "-r", "48000", "-c", "1", "-b", "16", path, "synth", str(SECONDS), "sine", "300-1500", "vol", "0.5"],
                   check=True)
    return {rate: array.array("h", subprocess.run(["sox", path, "-t", "raw", "-r", str(rate), "-e", "signed", "-b", "16", "-"], check=True,
                                                  stdout=subprocess.PIPE).stdout) for rate in (8000, 16000)}


class Phone:
    """ffmpeg, with a session description."""

    def __init__(self, net, kind, port):
        codec, parameters, self.rate, _ = BY_FFMPEG[kind]
        self.raw, sdp = f"{net.dir}/{kind}.raw", f"{net.dir}/{kind}.sdp"
        with open(sdp, "w", encoding="ascii") as f:
            f.write(f"v=0\no=- 0 0 IN IP4 192.0.2.10\ns=-\nc=IN IP4 192.0.2.10\nt=0 0\nm=audio {port} RTP/AVP {kind}\na=rtpmap:{kind} {codec}\n")
            if parameters:
                f.write(f"a=fmtp:{kind} {parameters[1:]}\n")
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{net.tag('alice')}", "--", "ffmpeg", "-v", "error", "-y", "-protocol_whitelist", "file,udp,rtp", "-i",
             sdp, "-t", str(HEARD), "-f", "s16le", "-ac", "1", "-ar", str(self.rate), self.raw], stdin=subprocess.DEVNULL)
        self.mark = f":{port:04X} "

    def listens(self):
        with open(f"/proc/{self.process.pid}/net/udp", encoding="ascii") as f:
            return self.mark in f.read()

    def heard(self):
        if wait_for(30, lambda: self.process.poll() is not None) is False:
            return array.array("h")
        with open(self.raw, "rb") as f:
            return array.array("h", f.read())

    def close(self):
        self.process.kill()
        self.process.wait()


class Taker:
    """A socket that takes bandwidth-efficient payloads apart: RFC 4867 section 4.3."""

    def __init__(self, net, kind, port):
        codec, _, self.rate, _ = BY_SOCKET[kind]
        self.wide, self.end, self.path = codec.startswith("AMR-WB"), net.end("alice", "192.0.2.10", port, kind), f"{net.dir}/{kind}.amr"
        self.wants = int(HEARD * 50)

    def listens(self):
        return True

    def heard(self):
        wait_for(30, lambda: len(self.end.read()) >= self.wants)
        packets = [data for data, _ in self.end.read()[:self.wants]]
        stamps = [struct.unpack_from("!I", p, 4)[0] for p in packets]
        assert all((b - a) & 0xFFFFFFFF == self.rate // 50 for a, b in zip(stamps, stamps[1:])), f"time stamps {stamps[:5]}"
        with open(self.path, "wb") as f:
            f.write(b"#!AMR-WB\n" if self.wide else b"#!AMR\n")
            for p in packets:
                bits = "".join(map("{:08b}".format, p[12:]))
                request, head = bits[:4], bits[4:10]
                kind = int(head[1:5], 2)
                assert (request, head[0], head[5], kind) == ("1111", "0", "1", 8 if self.wide else 7), f"a payload that begins with {bits[:10]}"
                speech = bits[10:10 + AMR_BITS[self.wide][kind]]
                assert len(bits) == (10 + len(speech) + 7) // 8 * 8, f"a payload of {len(bits)} bits"
                speech += "0" * (-len(speech) % 8)
                f.write(bytes([kind << 3 | 4]) + int(speech, 2).to_bytes(len(speech) // 8, "big"))
        return array.array("h", subprocess.run(["ffmpeg", "-v", "error", "-i", self.path, "-f", "s16le", "-ac", "1", "-ar", str(self.rate), "-"],
                                               check=True, stdout=subprocess.PIPE).stdout)

    def close(self):
        self.end.close()


def main():
    if missing := [p for p in ("ffmpeg", "sox") if not shutil.which(p)]:
        print("needs", *missing)
        sys.exit(4)
    with netlab.judged() as check, Net("alice", "relay", "bob") as net:
        net.do(PLAIN)
        original = sound(net.dir)
        every = {**BY_FFMPEG, **BY_SOCKET}
        named = [w for kind, (codec, parameters, *_) in every.items() for w in ("--codec", f"{kind}={codec}{parameters}")]
        relay = net.relay("relay", "-l", "192.0.2.1/198.51.100.1", "--bridge_symmetric", "--prompt-dir", net.dir, *named)
        for kind in every:
            relay.command(f"Uiec{kind} call{kind} 192.0.2.10 {4000 + 2 * kind} a")
            relay.command(f"Liec{kind} call{kind} 198.51.100.10 {4000 + 2 * kind} a b")
            # The first one has the file encoded. The next one then plays without a pause, however busy this machine is.
            reply = relay.command(f"P call{kind} tone.wav {kind} b a")
            assert reply == "0", f"{every[kind][0]}: {reply}: {relay.log()}"
        assert wait_for(60, lambda: relay.ask("stats")["prompts"]["loading"] == 0), relay.log()
        late = relay.command("G npkts_prompt_late")
        phones = {kind: (Phone if kind in BY_FFMPEG else Taker)(net, kind, 4000 + 2 * kind) for kind in every}
        net.open += phones.values()
        assert wait_for(30, lambda: all(p.listens() for p in phones.values())), "ffmpeg does not listen"
        for kind in every:
            relay.command(f"P call{kind} tone.wav session a b")
        for kind, phone in phones.items():
            got, rate = phone.heard(), every[kind][2]
            want = original[rate][:int(HEARD * rate)]
            found = likeness(want, got, rate // 20) if len(got) > rate else 0
            check(f"{every[kind][0]}{every[kind][1]}: like the file by {found:.4f}", found >= every[kind][3], f"{len(got)} samples")
        check("no packet came late", relay.command("G npkts_prompt_late") == late)


main()

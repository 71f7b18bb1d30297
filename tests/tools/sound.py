#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together busy long=40
"""makeann and extractaudio beside independent programs: sox and ffmpeg make and decode sound, tshark reads captures.

Ends with "N passed, N failed, N skipped".
"""
import array
import contextlib
import ctypes
import json
import math
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import wave
import zlib

BUILD = os.path.abspath(os.environ.get("RTPX_BUILD", "build"))
NEEDED = ("sox", "ffmpeg", "tshark", "editcap")
SECONDS = 4
KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"  # the example of RFC 4568 section 6.1


class Failure(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


def run(*words, code=0, **more):
    done = subprocess.run(words, capture_output=True, timeout=120, **more)
    out, err = done.stdout, done.stderr.decode(errors="replace")
    check(done.returncode == code, "%s: exit %d, not %d: %s" % (" ".join(map(str, words)), done.returncode, code, err))
    return out, err


def tool(name, *words, code=0):
    return run(os.path.join(BUILD, name), *words, code=code)


def samples(path):
    with open(path, "rb") as f:
        return array.array("h", f.read())


def decode(path, rate, *how):
    """A file as samples, by ffmpeg."""
    out, _ = run("ffmpeg", "-v", "error", *how, "-i", path, "-f", "s16le", "-ac", "1", "-ar", str(rate), "-")
    return array.array("h", out)


def sox_decode(path, kind):
    """A file as samples of its own rate. ffmpeg's decoder of AMR is quieter than others, by a fifth."""
    return array.array("h", run("sox", "-t", kind, path, "-t", "raw", "-")[0])


def likeness(a, b, most=400):
    """The highest correlation of a and b when b is late or early by at most so many samples."""
    n, best = min(len(a), len(b)) - 2 * most, 0.0
    check(n > 1000, "too short to compare: %d and %d samples" % (len(a), len(b)))
    x = a[most:most + n]
    xx = math.sqrt(sum(v * v for v in x)) or 1
    coarse = {}
    for shift in range(0, 2 * most, 1):
        y = b[shift:shift + n:37]
        coarse[shift] = sum(p * q for p, q in zip(x[::37], y))
    for shift in sorted(coarse, key=coarse.get)[-5:]:
        y = b[shift:shift + n]
        best = max(best, sum(p * q for p, q in zip(x, y)) / (xx * (math.sqrt(sum(v * v for v in y)) or 1)))
    return best


def loudness(values):
    return math.sqrt(sum(v * v for v in values) / len(values))


def without_serials(data):
    """Ogg pages less their stream's number and their checksum."""
    out, at = [], 0
    while at < len(data):
        check(data[at:at + 4] == b"OggS", "not a page of Ogg at %d" % at)
        head = 27 + data[at + 26]
        end = at + head + sum(data[at + 27:at + head])
        out.append(data[at:at + 14] + data[at + 18:at + 22] + data[at + 26:end])
        at = end
    return out


# Captures

def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(payload, src, dst, tagged=False):
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 1, 0, 64, 17, 0, socket.inet_aton(src[0]),
                     socket.inet_aton(dst[0]))
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    tag = b"\x81\x00\x00\x07" if tagged else b""
    return b"\2" * 12 + tag + b"\x08\x00" + ip + struct.pack("!HHHH", src[1], dst[1], 8 + len(payload), 0) + payload


def write_pcap(path, packets, **more):
    """(time, payload, src, dst)…, in microseconds."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for when, payload, src, dst in packets:
            data = frame(payload, src, dst, **more)
            f.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(data), len(data)) + data)


def write_adhoc(path, packets):
    """rtpproxy's own records: source address, arrival, length."""
    with open(path, "wb") as f:
        for when, payload, src, _ in packets:
            f.write(struct.pack("<H", socket.AF_INET) + struct.pack("!H4s12x", src[1], socket.inet_aton(src[0])) +
                    struct.pack("<dH", when, len(payload)) + payload)


ALICE, BOB, RELAY_A, RELAY_B = ("192.0.2.10", 4000), ("198.51.100.10", 4000), ("192.0.2.1", 35000), ("198.51.100.1", 35002)


def stream(data, payload_type, ptime_bytes, ptime_ticks, ssrc=0x11223344, src=ALICE, dst=RELAY_A, start=1000000000.0,
           ptime=0.02, seq=100):
    """A coded sound as RTP packets, on time."""
    return [(start + i * ptime,
             struct.pack("!BBHII", 0x80, payload_type | (0x80 if i == 0 else 0), (seq + i) & 0xFFFF,
                         (7777 + i * ptime_ticks) & 0xFFFFFFFF, ssrc) + data[i * ptime_bytes:(i + 1) * ptime_bytes], src, dst)
            for i in range(len(data) // ptime_bytes)]


AMR_BITS = {False: (95, 103, 118, 134, 148, 159, 204, 244, 39), True: (132, 177, 253, 285, 317, 365, 397, 461, 477, 40)}
NO_DATA = bytes([0x7C])


def amr_frames(data, wide):
    """The frames of an AMR file, each with its head of a byte: RFC 4867 section 5."""
    magic = b"#!AMR-WB\n" if wide else b"#!AMR\n"
    check(data.startswith(magic), "a file of AMR that begins with %r" % data[:9])
    frames, at = [], len(magic)
    while at < len(data):
        kind = data[at] >> 3 & 15
        size = 1 if kind == 15 else 1 + (AMR_BITS[wide][kind] + 7) // 8
        frames.append(data[at:at + size])
        at += size
    return frames


def write_amr_wb(values, mode, path):
    """ffmpeg and sox of Debian decode AMR-WB only."""
    library = ctypes.CDLL("libvo-amrwbenc.so.0")
    library.E_IF_init.restype = ctypes.c_void_p
    coder, frame = ctypes.c_void_p(library.E_IF_init()), ctypes.create_string_buffer(64)
    with open(path, "wb") as f:
        f.write(b"#!AMR-WB\n")
        for at in range(0, len(values) - 319, 320):
            size = library.E_IF_encode(coder, mode, (ctypes.c_short * 320)(*values[at:at + 320]), frame, 0)
            f.write(frame.raw[:size])
    library.E_IF_exit(coder)


def amr_payload(frames, wide, octets, request=15):
    """RFC 4867 section 4.3, or with octets section 4.4."""
    fill = "00" if octets else ""
    bits = "{:04b}".format(request) + 2 * fill
    for i, f in enumerate(frames):
        bits += ("1" if i + 1 < len(frames) else "0") + "{:05b}".format(f[0] >> 2 & 31) + fill
    for f in frames:
        speech = "".join(map("{:08b}".format, f[1:]))
        bits += speech if octets else speech[:AMR_BITS[wide][f[0] >> 3 & 15]] if len(f) > 1 else ""
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def payloads_as_stream(payloads, payload_type, ticks, ptime=0.02):
    """Payloads of any length, on time; None is a packet that the sender leaves out."""
    return [(1000000000.0 + i * ptime, struct.pack("!BBHII", 0x80, payload_type, 100 + i, 7777 + i * ticks, 0x11223344) + p, ALICE, RELAY_A)
            for i, p in enumerate(payloads) if p is not None]


class Tests:
    def __init__(self, directory):
        self.dir = directory
        self.wav = self.path("speech.wav")
        # Speech-like: a gliding voice with pauses, made by sox.
        run("sox", "-n", "-r", "48000", "-c", "2", "-b", "16", self.wav, "synth", str(SECONDS), "sine", "250-900", "sine",
            "500-1800", "tremolo", "3", "80", "vol", "0.5")
        self.raw8 = self.resampled(8000)
        self.raw16 = self.resampled(16000)

    def path(self, name):
        return os.path.join(self.dir, name)

    def content(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def resampled(self, rate):
        path = self.path("speech.%d.raw" % rate)
        run("sox", self.wav, "-t", "raw", "-r", str(rate), "-c", "1", "-b", "16", "-e", "signed", path)
        return path

    # makeann

    PROMPTS = (("0", ("-f", "mulaw", "-ar", "8000"), 8000, 0.99), ("8", ("-f", "alaw", "-ar", "8000"), 8000, 0.99),
               ("3", ("-f", "gsm", "-ar", "8000"), 8000, 0.9), ("9", ("-f", "g722"), 16000, 0.98),
               ("18", ("-f", "g729"), 8000, 0.8), ("opus", (), 16000, 0.9), ("amr", "amr-nb", 8000, 0.9),
               ("awb", "amr-wb", 16000, 0.9))

    def test_prompts_of_any_file(self):
        made = {"wav": self.wav}
        for kind in ("flac", "ogg", "aiff"):
            made[kind] = self.path("speech." + kind)
            run("sox", self.wav, made[kind])
        for codec in ("pcm_f32le", "pcm_f64le", "pcm_s24le", "pcm_u8", "pcm_mulaw"):
            made[codec] = self.path(codec + ".wav")
            run("ffmpeg", "-v", "error", "-i", self.wav, "-c:a", codec, made[codec])
        for kind, source in made.items():
            template = self.path("prompt-" + kind)
            tool("makeann", source, template)
            for suffix, how, rate, want in self.PROMPTS:
                got = sox_decode(template + "." + suffix, how) if isinstance(how, str) else decode(template + "." + suffix, rate, *how)
                original = samples(self.raw16 if rate == 16000 else self.raw8)
                check(abs(len(got) - len(original)) <= rate / 25, "%s.%s lasts %d samples, not %d" %
                      (kind, suffix, len(got), len(original)))
                found = likeness(original, got)
                check(found >= want, "%s.%s is like its source by %.3f only" % (kind, suffix, found))
                louder = loudness(got) / loudness(original)
                check(0.8 < louder < 1.25, "%s.%s is %.2f times as loud as its source" % (kind, suffix, louder))

    def test_prompts_are_the_same_each_time(self):
        for n in range(2):
            tool("makeann", self.wav, self.path("again%d" % n))
        for suffix, *_ in self.PROMPTS:
            one, other = (self.content("again%d.%s" % (n, suffix)) for n in range(2))
            if suffix == "opus":  # a stream of Ogg has a number drawn at random: RFC 3533
                one, other = without_serials(one), without_serials(other)
            check(one == other, "two runs of makeann give different .%s" % suffix)

    def test_raw_input_and_sizes(self):
        raw = self.path("tone.raw")
        with open(self.raw8, "rb") as f, open(raw, "wb") as to:
            to.write(f.read(8077 * 2))
        tool("makeann", raw)
        for suffix, size in (("0", 8077), ("8", 8077), ("3", 1683), ("18", 1020)):
            check(os.path.getsize(raw + "." + suffix) == size, "tone.raw.%s has %d bytes, not %d" %
                  (suffix, os.path.getsize(raw + "." + suffix), size))

    def test_limit_and_loop(self):
        for words, size in ((("-l", "100"), 100), (("-l", "50000", "-L"), 50000), (("-l", "50000"), 4 * 8000)):
            tool("makeann", *words, self.raw8, self.path("limited"))
            check(os.path.getsize(self.path("limited.8")) == size, "makeann %s: not %d samples" % (words, size))

    def test_makeann_refuses(self):
        for words, said in (((), "usage"), (("-L", self.wav), "-l"), (("-l", "0", self.wav), "number"),
                            (("-l", "4x", self.wav), "number"), ((self.path("none.wav"),), "none.wav"),
                            ((self.dir,), self.dir), ((self.wav, "/nonexistent/x"), "/nonexistent/x"),
                            ((self.wav, "a", "b"), "usage")):
            _, err = tool("makeann", *words, code=1)
            check(said in err, "makeann %s says %r" % (words, err))
        empty = self.path("empty.raw")
        open(empty, "w").close()
        _, err = tool("makeann", empty, code=1)
        check("no sound" in err, "an empty file: %r" % err)

    def test_makeann_refuses_what_is_no_sound(self):
        """A program, a cut FLAC, a rate of 1 Hz: a sentence, and the old prompts stay."""
        template = self.path("old")
        tool("makeann", self.wav, template)
        old = {f: self.content(f) for f in os.listdir(self.dir) if f.startswith("old.")}
        check(len(old) == 8, "makeann wrote %s" % sorted(old))
        with open(os.path.join(BUILD, "makeann"), "rb") as f, open(self.path("program"), "wb") as to:
            to.write(f.read(100000))
        run("sox", self.wav, self.path("cut.flac"))
        data = self.content("cut.flac")
        with open(self.path("cut.flac"), "wb") as f:
            f.write(data[:len(data) // 2] + bytes(200) + data[len(data) // 2 + 200:])
        with open(self.path("slow.wav"), "wb") as f:
            f.write(b"RIFF" + struct.pack("<I", 36 + 8000) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 1, 2, 2, 16) +
                    b"data" + struct.pack("<I", 8000) + bytes(8000))
        for name, said in (("program", "-r"), ("cut.flac", "cut.flac"), ("slow.wav", "1 Hz")):
            _, err = tool("makeann", self.path(name), template, code=1)
            check(said in err, "%s: %r" % (name, err))
            now = {f: self.content(f) for f in os.listdir(self.dir) if f.startswith("old.")}
            check(now == old, "%s changed %s" % (name, sorted(set(now) ^ set(old)) or "the old prompts"))
        tool("makeann", "-r", self.path("program"), self.path("loud"))

    def test_samples_that_are_no_numbers(self):
        values = [0.3 * math.sin(i / 3) for i in range(16000)]
        for at, odd in ((4000, math.nan), (5000, math.inf), (6000, -math.inf)):
            values[at:at + 500] = [odd] * 500
        data = struct.pack("<%df" % len(values), *values)
        with open(self.path("odd.wav"), "wb") as f:
            f.write(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " +
                    struct.pack("<IHHIIHH", 16, 3, 1, 8000, 32000, 4, 32) + b"data" + struct.pack("<I", len(data)) + data)
        _, err = tool("makeann", self.path("odd.wav"), self.path("odd"))
        check("1500 samples" in err, "NaN and infinity: %r" % err)
        got = decode(self.path("odd.8"), 8000, "-f", "alaw", "-ar", "8000")
        check(max(map(abs, got[4010:4490])) < 20 and loudness(got[:4000]) > 5000, "NaN is heard, or nothing else is")

    def test_a_long_prompt_takes_little_memory(self):
        long = self.path("long.wav")
        run("sox", "-n", "-r", "8000", "-b", "16", long, "synth", "1800", "sine", "440")
        done = subprocess.run(["bash", "-c", 'ulimit -v 60000; exec "$@"', "-", os.path.join(BUILD, "makeann"), "-l", "80000", long,
                               self.path("long")], capture_output=True, timeout=60)
        check(done.returncode == 0, "makeann of half an hour with 60 MB: %r" % done.stderr)

    # extractaudio: exact

    def coded(self, codec, rate, *more):
        out, _ = run("ffmpeg", "-v", "error", "-i", self.wav, "-ac", "1", "-ar", str(rate), *more, "-f", codec, "-")
        return out

    def extract(self, packets, *words, code=0, pcapng=False, adhoc=False, **more):
        pcap, out = self.path("call.pcap"), self.path("out.wav")
        if adhoc:
            write_adhoc(pcap, packets)
        else:
            write_pcap(pcap, packets, **more)
        if pcapng:
            run("editcap", "-F", "pcapng", pcap, pcap + "ng")
            pcap += "ng"
        said = tool("extractaudio", "-D", "pcm_16", *words, pcap, out, code=code)
        return array.array("h", run("sox", out, "-t", "raw", "-")[0]) if code == 0 else said

    def test_exact(self):
        for payload_type, codec, rate, size, ticks in ((0, "mulaw", 8000, 160, 160), (8, "alaw", 8000, 160, 160),
                                                        (11, "s16be", 44100, 1764, 882)):
            data = self.coded(codec, rate)
            data = data[:len(data) // size * size]
            coded = self.path("coded")
            with open(coded, "wb") as f:
                f.write(data)
            want = decode(coded, rate, "-f", codec, "-ar", str(rate))
            for more in ({}, {"adhoc": True}, {"tagged": True}, {"pcapng": True}):
                got = self.extract(stream(data, payload_type, size, ticks), "--rate", "input", **more)
                check(got == want, "%s %s: %d samples, not equal to ffmpeg's %d" % (codec, more, len(got), len(want)))

    def test_exact_when_shuffled_and_doubled(self):
        data = self.coded("mulaw", 8000)
        packets = stream(data, 0, 160, 160)
        want = self.extract(packets)
        mixed, shaken = random.Random(7), []
        for i, p in enumerate(packets):
            shaken.append((p[0] + (mixed.uniform(0, 0.055) if i else 0), *p[1:]))
        shaken += [(p[0] + 0.004, *p[1:]) for p in packets[10::9]]
        shaken.sort(key=lambda p: p[0])
        check([p[1] for p in shaken] != [p[1] for p in packets], "nothing was shuffled")
        check(self.extract(shaken) == want, "reordered and doubled packets are heard")

    def test_lost_is_silent(self):
        data = self.coded("mulaw", 8000)
        packets = stream(data, 0, 160, 160)
        want = self.extract(packets)
        got = self.extract(packets[:50] + packets[55:])
        hole = slice(50 * 160, 55 * 160)
        check(len(got) == len(want) and not any(got[hole]), "what was lost is not silent")
        check(got[:hole.start] == want[:hole.start] and got[hole.stop:] == want[hole.stop:], "the rest moved")

    def test_sequence_and_timestamp_wrap(self):
        data = self.coded("mulaw", 8000)
        want = self.extract(stream(data, 0, 160, 160))
        packets = [(t, p[:4] + struct.pack("!I", (struct.unpack_from("!I", p, 4)[0] + 0xFFFFFFFF - 7777 - 5000) & 0xFFFFFFFF)
                    + p[8:], s, d) for t, p, s, d in stream(data, 0, 160, 160, seq=65500)]
        check(self.extract(packets) == want, "a wrap is heard")

    def test_other_codecs(self):
        for payload_type, name, rate, make, size, ticks, how, want in (
                (9, "g722", 16000, ("-ar", "16000"), 160, 160, ("-f", "g722"), 0.98),
                (3, "gsm", 8000, ("-c:a", "libgsm"), 33, 160, ("-f", "gsm", "-ar", "8000"), 0.98)):
            data = self.coded(name, rate, *make)
            got = self.extract(stream(data, payload_type, size, ticks), "--rate", "input")
            coded = self.path("coded")
            with open(coded, "wb") as f:
                f.write(data)
            found = likeness(decode(coded, rate, *how), got)
            check(found >= want, "%s is like ffmpeg's by %.3f only" % (name, found))
        tool("makeann", self.wav, self.path("g"))
        with open(self.path("g.18"), "rb") as f:
            got = self.extract(stream(f.read(), 18, 20, 160))
        found = likeness(decode(self.path("g.18"), 8000, "-f", "g729"), got)
        check(found >= 0.9, "G.729 is like ffmpeg's by %.3f only" % found)

    def test_rate_is_8000_unless_asked(self):
        packets = stream(self.coded("g722", 16000, "-ar", "16000"), 9, 160, 160)
        for more, rate, want in (((), 8000, self.raw8), (("--rate", "input"), 16000, self.raw16), (("--rate", "24000"), 24000, None)):
            got = self.extract(packets, *more)
            with wave.open(self.path("out.wav")) as w:
                check(w.getframerate() == rate, "%s: %d Hz" % (more, w.getframerate()))
            if want:
                found = likeness(samples(want), got, rate // 10)
                check(found >= 0.95, "%s: like its source by %.3f only" % (more, found))

    def received(self, *words, source=None, clock=None):
        """What ffmpeg sends as RTP to a socket of ours; with the clock's rate, it need not send in real time."""
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as s:
            s.bind(("127.0.0.1", 0))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            port = s.getsockname()[1]
            sender = subprocess.Popen(["ffmpeg", "-v", "error", *([] if clock else ["-re"]), "-i", source or self.wav, "-ac", "1",
                                       *words[:-1], words[-1] % port], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            packets, ended = [], False
            s.settimeout(0.2)
            while True:
                try:
                    packets.append((time.time(), s.recv(2048), ALICE, RELAY_A))
                except TimeoutError:
                    if ended:
                        break
                    ended = sender.poll() is not None
            check(sender.wait() == 0, "ffmpeg failed")
        if clock:
            first = struct.unpack_from("!I", packets[0][1], 4)[0]
            packets = [(1000000000.0 + (struct.unpack_from("!I", p[1], 4)[0] - first & 0xFFFFFFFF) / clock, *p[1:]) for p in packets]
        return packets

    def test_opus(self):
        packets = self.received("-c:a", "libopus", "-b:a", "32k", "-payload_type", "111", "-f", "rtp",
                                "rtp://127.0.0.1:%d?rtcpport=9")
        got = self.extract(packets, "--codec", "111=opus/48000/2", "--rate", "16000")
        found = likeness(samples(self.raw16), got, 1600)
        check(found >= 0.9, "Opus is like its source by %.3f only" % found)
        _, err = self.extract(packets, code=1)
        check("payload type 111" in err and "--codec" in err, "an unknown codec: %r" % err)

    def amr(self, wide, mode=None):
        """The frames of a file, and its sound as sox decodes it. sox makes AMR, and the encoder's library makes AMR-WB."""
        path = self.path("speech.awb" if wide else "speech.amr")
        if wide:
            write_amr_wb(samples(self.raw16), 8 if mode is None else mode, path)
        else:
            run("sox", self.wav, "-t", "amr-nb", "-r", "8000", "-c", "1", "-C", str(7 if mode is None else mode), path)
        return amr_frames(self.content(os.path.basename(path)), wide), sox_decode(path, "amr-wb" if wide else "amr-nb")

    def test_amr(self):
        """Both payload formats, several frames a packet, any request: each sample as sox decodes the file."""
        for wide, name, rate in ((False, "AMR/8000", 8000), (True, "AMR-WB/16000", 16000)):
            frames, want = self.amr(wide)
            for octets, each in ((False, 1), (False, 3), (True, 1), (True, 4)):
                payloads = [amr_payload(frames[i:i + each], wide, octets, i % 9) for i in range(0, len(frames), each)]
                got = self.extract(payloads_as_stream(payloads, 97, each * rate // 50, each * 0.02), "-e", "--rate", "input",
                                   "--codec", "97=%s%s" % (name, ";octet-align=1" if octets else ""))
                check(got == want, "%s, octets %s, %d frames: not equal to sox's (%d, %d samples)" % (name, octets, each, len(got), len(want)))
            # ffmpeg has a decoder of its own, which computes with floating point.
            found = likeness(decode(self.path("speech.awb" if wide else "speech.amr"), rate), got)
            check(found >= 0.95, "%s: like ffmpeg's by %.4f only" % (name, found))

    def test_amr_of_every_mode(self):
        for wide, name, modes in ((False, "AMR", 8), (True, "AMR-WB", 9)):
            for mode in range(modes):
                frames, want = self.amr(wide, mode)
                check(frames[50][0] >> 3 == mode, "%s: the frames have type %d" % (name, frames[50][0] >> 3))
                got = self.extract(payloads_as_stream([amr_payload([f], wide, False) for f in frames], 97, 320 if wide else 160), "-e",
                                   "--rate", "input", "--codec", "97=" + name)
                check(got == want, "%s, mode %d: not equal to sox's" % (name, mode))

    def test_amr_with_lost_and_bad_frames(self):
        """A lost packet is silent, as with all codecs; a bad frame and an empty one are concealed; the rest stays in its place."""
        frames, want = self.amr(False)
        payloads = [amr_payload([f], False, False) for f in frames]
        payloads[60] = None
        payloads[90] = amr_payload([bytes([frames[90][0] & ~4]) + bytes(len(frames[90]) - 1)], False, False)
        payloads[120] = amr_payload([NO_DATA], False, False)
        got = self.extract(payloads_as_stream(payloads, 97, 160), "-e", "--codec", "97=AMR")
        check(len(got) == len(want) and not any(got[60 * 160:61 * 160]), "what was lost is not silent")
        check(got[:60 * 160] == want[:60 * 160] and likeness(want[150 * 160:], got[150 * 160:]) >= 0.95, "the rest is another")
        for bad in (90, 120):
            check(loudness(got[bad * 160:bad * 160 + 160]) > loudness(want[bad * 160 - 160:bad * 160]) / 10, "a bad frame is silent")

    def test_amr_redundancy(self):
        """Each frame comes twice (RFC 4867 section 3.7.1), and each third packet is lost: nothing is."""
        frames, want = self.amr(True)
        payloads = [amr_payload(frames[max(i - 1, 0):i + 1], True, True) for i in range(len(frames))]
        packets = payloads_as_stream(payloads, 97, 320)
        packets = [(t, p[:4] + struct.pack("!I", 7777 + 320 * max(i - 1, 0)) + p[8:], s, d) for i, (t, p, s, d) in enumerate(packets)]
        got = self.extract([p for i, p in enumerate(packets) if i % 3 != 1], "--rate", "input", "--codec", "97=AMR-WB;octet-align=1")
        check(got == want[:-320], "with redundancy not equal to sox's")  # the last packet is lost

    def test_amr_pause(self):
        """A sender that is silent describes its noise now and then; the noise lasts from one description to the next."""
        library = ctypes.CDLL("libopencore-amrnb.so.0")
        library.Encoder_Interface_init.restype = ctypes.c_void_p
        coder, rng, payloads = ctypes.c_void_p(library.Encoder_Interface_init(1)), random.Random(5), []
        for i in range(200):
            values = [int(6000 * math.sin(k / 5)) if not 50 <= i < 150 else rng.randint(-100, 100) for k in range(160)]
            frame = ctypes.create_string_buffer(64)
            size = library.Encoder_Interface_Encode(coder, 7, (ctypes.c_short * 160)(*values), frame, 0)
            payloads.append(amr_payload([frame.raw[:size]], False, False) if size > 1 else None)
        library.Encoder_Interface_exit(coder)
        check(payloads.count(None) > 60, "the encoder left out %d frames only" % payloads.count(None))
        got = self.extract(payloads_as_stream(payloads, 97, 160), "-e", "--codec", "97=AMR")
        check(len(got) == 200 * 160, "%d samples" % len(got))
        parts = [loudness(got[at:at + 160]) for at in range(80 * 160, 145 * 160, 160)]
        check(20 < min(parts) and max(parts) < 150, "noise of 58 in a pause came out as %.0f to %.0f" % (min(parts), max(parts)))

    def test_amr_in_the_wrong_form(self):
        frames, _ = self.amr(False)
        packets = payloads_as_stream([amr_payload([f], False, True) for f in frames], 97, 160)
        _, err = self.extract(packets, "-e", "--codec", "97=AMR", code=1)
        check("not of their codec" in err, "octet-aligned payloads, read as the others: %r" % err)

    def test_amr_of_ffmpeg(self):
        for wide, name, clock in ((False, "AMR", 8000), (True, "AMR-WB", 16000)):
            _, want = self.amr(wide)
            packets = self.received("-c:a", "copy", "-payload_type", "97", "-f", "rtp", "rtp://127.0.0.1:%d?rtcpport=9",
                                    source=self.path("speech.awb" if wide else "speech.amr"), clock=clock)
            got = self.extract(packets, "-e", "--rate", "input", "--codec", "97=%s;octet-align=1" % name)
            # ffmpeg does not send the packet that is not full at the end, of at most 35 frames
            check(len(got) > len(want) - 36 * clock // 50 and got == want[:len(got)], "%s of ffmpeg's RTP: not equal to sox's" % name)

    def test_speex(self):
        for rate in (8000, 16000, 32000):
            path = self.path("speech.spx")
            run("ffmpeg", "-y", "-v", "error", "-i", self.wav, "-ac", "1", "-ar", str(rate), "-c:a", "libspeex", path)
            packets = self.received("-c:a", "copy", "-payload_type", "97", "-f", "rtp", "rtp://127.0.0.1:%d?rtcpport=9", source=path,
                                    clock=rate)
            got = self.extract(packets, "-e", "--rate", "input", "--codec", "97=speex/%d" % rate)
            found = likeness(decode(path, rate, "-c:a", "libspeex"), got, rate // 20)
            check(found >= 0.98, "Speex of %d Hz is like ffmpeg's by %.4f only" % (rate, found))

    def test_srtp(self):
        packets = self.received("-ar", "8000", "-c:a", "pcm_mulaw", "-f", "rtp", "-srtp_out_suite",
                                "AES_CM_128_HMAC_SHA1_80", "-srtp_out_params", KEY, "srtp://127.0.0.1:%d?rtcpport=9")
        pcap, out = self.path("srtp.pcap"), self.path("out.wav")
        write_pcap(pcap, packets)
        tool("extractaudio", "-D", "pcm_16", "--alice-crypto", "AES_CM_128_HMAC_SHA1_80:" + KEY, "-A", pcap, out)
        got = array.array("h", run("sox", out, "-t", "raw", "-")[0])
        found = likeness(samples(self.raw8), got, 1600)
        check(found >= 0.98, "decrypted sound is like its source by %.3f only" % found)
        wrong = KEY[:-1] + ("A" if KEY[-1] != "A" else "B")
        _, err = tool("extractaudio", "--alice-crypto", "AES_CM_128_HMAC_SHA1_80:" + wrong, "-A", pcap, out, code=1)
        check("do not fit the key" in err, "a wrong key: %r" % err)

    def test_comfort_noise(self):
        data = self.coded("mulaw", 8000)
        packets = stream(data, 0, 160, 160)
        quiet = (packets[50][0], packets[50][1][:1] + b"\x0d" + packets[50][1][2:12] + b"\x28", ALICE, RELAY_A)
        got = self.extract(packets[:50] + [quiet] + packets[100:])
        hole = got[50 * 160:100 * 160]
        level = 20 * math.log10(math.sqrt(sum(v * v for v in hole) / len(hole)) / 32768)
        check(-43 < level < -37, "comfort noise of -40 dBov came out at %.1f" % level)

    def test_two_sides(self):
        one, two = self.coded("mulaw", 8000), self.coded("alaw", 8000)
        a = stream(one, 0, 160, 160)
        b = stream(two, 8, 160, 160, ssrc=5, src=BOB, dst=RELAY_B, start=1000000001.5)
        alone_a, alone_b = self.extract(a), self.extract(b)
        both = self.extract(sorted(a + b), "-s")
        check(both[1::2][:len(alone_a)] == alone_a, "the right channel is not the first speaker, the originator")
        check(both[0::2][12000:12000 + len(alone_b)] == alone_b and not any(both[0:2 * 12000:2]),
              "the left channel, the answerer, does not begin 1.5 s later")
        write_pcap(self.path("pair.o.rtp"), a)
        write_pcap(self.path("pair.a.rtp"), b)
        said, _ = tool("extractaudio", "-s", "-D", "pcm_16", self.path("pair"), self.path("stereo.wav"))
        check(re.findall(r"ssrc=(0x\w+)", said.decode()) == ["0x00000005", "0x11223344"], "not the answerer first: %r" % said)
        check(array.array("h", run("sox", self.path("stereo.wav"), "-t", "raw", "-")[0]) == both, "two files and one differ")
        out, link = self.path("pair.wav"), self.path("linked.wav")
        tool("extractaudio", "-d", "-n", "-D", "pcm_16", self.path("pair"), out, link)
        mono = array.array("h", run("sox", out, "-t", "raw", "-")[0])
        check(mono[0] == max(-32768, min(32767, alone_a[0] + alone_b[0])) and len(mono) == len(alone_a), "mixed wrongly")
        check(os.stat(out).st_ino == os.stat(link).st_ino, "no hard link")
        check(not os.path.exists(self.path("pair.o.rtp")) and not os.path.exists(self.path("pair.a.rtp")), "-d kept files")

    # extractaudio: sides

    def tone(self, hz, seconds=3):
        out, _ = run("sox", "-n", "-r", "8000", "-c", "1", "-t", "ul", "-", "synth", str(seconds), "sine", str(hz), "vol",
                     "0.4")
        return out

    def stereo(self, packets, *words, **more):
        both = self.extract(sorted(packets, key=lambda p: p[0]), "-s", *words, **more)
        return both[1::2], both[0::2]  # originator, answerer

    def is_alone(self, channel, data, what):
        want = self.extract(stream(data, 0, 160, 160))
        found = likeness(want, channel[:len(want)], 20)
        check(found >= 0.99, "%s: the channel is like its party by %.3f only" % (what, found))

    def test_parties_that_move(self):
        """Each party changes its port in mid-call; the answerer speaks first; each keeps its channel."""
        one, two = self.tone(440), self.tone(1000)
        moved = [("192.0.2.10", 4444), ("198.51.100.99", 5555)]
        packets = []
        for data, ssrc, src, dst, to in ((one, 1, ALICE, RELAY_A, moved[0]), (two, 2, BOB, RELAY_B, moved[1])):
            for i, (t, payload, *_) in enumerate(stream(data, 0, 160, 160, ssrc=ssrc)):
                packets.append((t + (0 if ssrc == 2 else 0.011), payload, src if i < 70 else to, dst))
        o, a = self.stereo(packets)
        self.is_alone(o, two, "the originator, who speaks first")
        self.is_alone(a[88:], one, "the answerer")

    def test_party_by_the_mac_of_rtpxd(self):
        """rtpxd's own pcap names the party, whoever speaks first."""
        one, two = self.tone(440), self.tone(1000)
        packets = stream(one, 0, 160, 160, ssrc=1) + stream(two, 0, 160, 160, ssrc=2, src=BOB, dst=RELAY_B, start=999999999.9)
        path = self.path("call.pcap")
        write_pcap(path, sorted(packets, key=lambda p: p[0]))
        data = bytearray(self.content("call.pcap"))
        for src, party in ((ALICE, 1), (BOB, 2)):
            ip = socket.inet_aton(src[0])
            at = 24
            while at < len(data):
                if bytes(data[at + 16 + 26:at + 16 + 30]) == ip:
                    data[at + 22:at + 28] = bytes([2, party]) + ip
                at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        with open(path, "wb") as f:
            f.write(data)
        tool("extractaudio", "-s", "-D", "pcm_16", path, self.path("out.wav"))
        both = array.array("h", run("sox", self.path("out.wav"), "-t", "raw", "-")[0])
        self.is_alone(both[1::2][800:], one, "the caller, who speaks last")
        self.is_alone(both[0::2], two, "the callee")

    def test_a_capture_that_sees_each_packet_twice(self):
        """At a relay: what came in, and what went out again."""
        one, two = self.tone(440), self.tone(1000)
        packets = []
        for data, ssrc, src, into, out, to in ((one, 1, ALICE, RELAY_A, RELAY_B, BOB), (two, 2, BOB, RELAY_B, RELAY_A, ALICE)):
            for t, payload, *_ in stream(data, 0, 160, 160, ssrc=ssrc):
                packets += [(t + ssrc / 1000, payload, src, into), (t + ssrc / 1000 + 0.0001, payload, out, to)]
        o, a = self.stereo(packets)
        self.is_alone(o, one, "the originator")
        self.is_alone(a, two, "the answerer")
        check(max(o) < 14000, "the originator is heard twice: %d" % max(o))

    def test_parts(self):
        """RDIR stands for all parts of both sides."""
        data = self.tone(440, 4)
        packets = stream(data, 0, 160, 160)
        write_adhoc(self.path("parts.o.rtp"), packets[:50])
        write_adhoc(self.path("parts=2.o.rtp"), packets[100:150])
        write_adhoc(self.path("parts=3.o.rtp"), packets[150:])
        write_adhoc(self.path("parts.a.rtp"), stream(data, 0, 160, 160, ssrc=9, src=BOB))
        out = self.path("parts.wav")
        tool("extractaudio", "-s", "-D", "pcm_16", "-d", self.path("parts"), out)
        both = array.array("h", run("sox", out, "-t", "raw", "-")[0])
        want = self.extract(packets)
        check(both[1::2][:8000] == want[:8000] and both[1::2][16000:] == want[16000:], "the parts are not in their places")
        check(not any(both[1::2][8000:16000]), "the pause is not silent")
        check(not [f for f in os.listdir(self.dir) if f.startswith("parts") and f.endswith(".rtp")], "-d kept parts")

    # extractaudio: senders and recorders with wrong clocks

    def bounded(self, packets, seconds, what, **more):
        got = self.extract(packets, **more)
        check(len(got) <= (seconds + 0.7) * 8000, "%s: %d s of sound from %d s of call" % (what, len(got) / 8000, seconds))
        check(loudness(got) > 1000, "%s: there is little sound left" % what)
        return got

    def test_wrong_clocks(self):
        data = self.tone(440, 10)
        plain = stream(data, 0, 160, 160)
        self.bounded(stream(data, 0, 160, 15200), 10, "15,200 ticks a packet")
        self.bounded(stream(data, 0, 160, 0), 10, "a time stamp that stands still")
        paused = plain[:250] + [(t + 30, *p) for t, *p in plain[250:]]
        got = self.bounded(paused, 40, "a sender that does not count its pause")
        check(len(got) > 39 * 8000 and any(got[36 * 8000:38 * 8000]), "the pause is lost: %d s" % (len(got) / 8000))
        back = plain[:250] + [(t - 3600, *p) for t, *p in plain[250:]]
        got = self.bounded(back, 10, "a clock that was set back", adhoc=True)
        check(len(got) > 9.9 * 8000, "a clock that was set back: %d s only" % (len(got) / 8000))
        wide = self.coded("g722", 16000, "-ar", "16000")
        got = self.extract(stream(wide, 9, 160, 320))
        check(abs(len(got) - SECONDS * 8000) < 800, "G.722 with a clock of 16 kHz: %d samples" % len(got))
        check(likeness(samples(self.raw8), got, 800) > 0.9, "G.722 with a clock of 16 kHz is not like its source")

    def test_a_source_a_packet(self):
        """Many sources of one packet take little memory, and do not hide a call."""
        data = self.tone(440)
        noise = [(1000000000 + i * 0.0001, struct.pack("!BBHII", 0x80, 0, 1, 2, 1000 + i) + bytes(160), BOB, RELAY_A)
                 for i in range(30000)]
        pcap, out = self.path("many.pcap"), self.path("out.wav")
        write_pcap(pcap, sorted(noise + stream(data, 0, 160, 160)))
        done = subprocess.run(["bash", "-c", 'ulimit -v 400000; exec "$@"', "-", os.path.join(BUILD, "extractaudio"), "-s", "-D",
                               "pcm_16", pcap, out], capture_output=True, timeout=60)
        check(done.returncode == 0 and b"too many sources" in done.stderr, "30,000 sources: %r" % done.stderr)
        got = array.array("h", run("sox", out, "-t", "raw", "-")[0])
        check(likeness(self.extract(stream(data, 0, 160, 160)), got[1::2], 20) > 0.9 or
              likeness(self.extract(stream(data, 0, 160, 160)), got[0::2], 20) > 0.9, "the call is hidden")

    # extractaudio: formats

    def test_compressed_and_modified_captures(self):
        packets = stream(self.tone(440), 0, 160, 160)
        want = self.extract(packets)
        for name, write in (("c.pcap", write_pcap), ("c.rtp", write_adhoc)):
            write(self.path(name), packets)
            run("gzip", "-kf", self.path(name))
            tool("extractaudio", "-D", "pcm_16", self.path(name + ".gz"), self.path("out.wav"))
            check(array.array("h", run("sox", self.path("out.wav"), "-t", "raw", "-")[0]) == want, name + ".gz differs")
        plain, at = self.content("c.pcap"), 24
        modified = struct.pack("<I", 0xA1B2CD34) + plain[4:24]
        while at < len(plain):
            size = struct.unpack_from("<I", plain, at + 8)[0]
            modified += plain[at:at + 16] + struct.pack("<IHBB", 1, 0, 0, 0) + plain[at + 16:at + 16 + size]
            at += 16 + size
        with open(self.path("modified.pcap"), "wb") as f:
            f.write(modified)
        tool("extractaudio", "-D", "pcm_16", self.path("modified.pcap"), self.path("out.wav"))
        check(array.array("h", run("sox", self.path("out.wav"), "-t", "raw", "-")[0]) == want, "0xa1b2cd34 differs")

    def test_cut_compressed_captures(self):
        """A compressed file that ends within a record, or behind one: a sentence, and the whole packets."""
        for write, head in ((write_pcap, 24), (write_adhoc, 0)):
            write(self.path("whole"), stream(self.tone(440), 0, 160, 160))
            plain = self.content("whole")
            record = (len(plain) - head) // 150
            for records in (5, 100):
                for more in (0, record // 2):
                    gzip = zlib.compressobj(wbits=31)
                    with open(self.path("part.gz"), "wb") as f:
                        f.write(gzip.compress(plain[:head + records * record + more]) + gzip.flush(zlib.Z_SYNC_FLUSH))
                    what = "%s, %d records and %d bytes" % (write.__name__, records, more)
                    _, err = tool("extractaudio", "-e", self.path("part.gz"), self.path("part.wav"), code=1)
                    check("compressed file is cut" in err or (more and "truncated" in err), "%s: %r" % (what, err))
                    check(not os.path.exists(self.path("part.wav")), what + ": -e wrote a file")
                    _, err = tool("extractaudio", self.path("part.gz"), self.path("all.wav"))
                    check("O: %d, " % (records * 160) in err, "%s without -e: %r" % (what, err))

    def test_frames_of_every_kind(self):
        packets = stream(self.tone(440), 0, 160, 160)
        want = self.extract(packets)

        def ip(payload, src, dst):
            return frame(payload, src, dst)[14:]

        def fragments(payload, src, dst, n=[0]):
            n[0] += 1
            whole = ip(payload, src, dst)[20:]
            out = []
            for at in range(0, len(whole), 96):
                part, more = whole[at:at + 96], at + 96 < len(whole)
                head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), n[0] & 0xFFFF, at // 8 | (0x2000 if more else 0),
                                   64, 17, 0, socket.inet_aton(src[0]), socket.inet_aton(dst[0]))
                out.append(b"\2" * 12 + b"\x08\x00" + head + part)
            return out[::-1]

        def fragments6(payload, src, dst, n=[0], before=b""):
            """As RFC 8200, section 4.5; with headers in front of the fragment header."""
            n[0] += 1
            whole = struct.pack("!HHHH", src[1], dst[1], 8 + len(payload), 0) + payload
            out = []
            for at in range(0, len(whole), 80):
                part, more = whole[at:at + 80], at + 80 < len(whole)
                part = before + struct.pack("!BBHI", 17, 0, at | more, n[0]) + part
                ends = b"".join(b"\x20\1\x0d\xb8" + bytes(8) + socket.inet_aton(a[0]) for a in (src, dst))
                out.append(b"\2" * 12 + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(part), 0 if before else 44, 64) + ends + part)
            return out[::-1]
        ether = b"\2" * 12
        kinds = {
            "PPPoE": (1, lambda *a: [ether + b"\x88\x64\x11\0\0\1" + struct.pack("!H", len(ip(*a)) + 2) + b"\0\x21" + ip(*a)]),
            "MPLS": (1, lambda *a: [ether + b"\x88\x47\0\1\x20\x40\0\1\x31\x40" + ip(*a)]),
            "0x9100": (1, lambda *a: [ether + b"\x91\0\0\5\x81\0\0\6\x08\0" + ip(*a)]),
            "VLAN in SLL": (113, lambda *a: [b"\0\0\0\1\0\6" + bytes(8) + b"\x81\0\0\6\x08\0" + ip(*a)]),
            "fragments": (1, fragments),
            "IPv6 fragments": (1, fragments6),
            "IPv6 fragments behind options": (1, lambda *a: fragments6(*a, before=struct.pack("!BBHI", 44, 0, 0x0104, 0))),
        }
        for kind, (link, make) in kinds.items():
            path = self.path("kind.pcap")
            with open(path, "wb") as f:
                f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link))
                for when, *rest in packets:
                    for data in make(*rest):
                        f.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(data), len(data)) + data)
            tool("extractaudio", "-e", "-D", "pcm_16", path, self.path("out.wav"))
            check(array.array("h", run("sox", self.path("out.wav"), "-t", "raw", "-")[0]) == want, kind + " differs")

    def test_says_why_there_is_nothing(self):
        for name, link, data, said in (("link.pcap", 105, b"\x80\0" * 40, "link type 105"),
                                       ("tcp.pcap", 1, b"\2" * 12 + b"\x08\x00\x45" + bytes(60), "UDP"),
                                       ("dns.pcap", 1, frame(b"no rtp at all", ALICE, BOB), "RTP")):
            with open(self.path(name), "wb") as f:
                f.write(struct.pack("<IHHiIIIIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link, 1, 0, len(data), len(data)) + data)
            _, err = tool("extractaudio", self.path(name), self.path("o.wav"), code=1)
            check(said in err and "nothing to extract" in err, "%s: %r" % (name, err))

    # extractaudio: what is deleted, and what fails

    def test_deletes_only_what_is_whole(self):
        good = stream(self.tone(440), 0, 160, 160)
        unknown = [(t, b"\x80\x61" + p[2:] if i % 2 else p, *r) for i, (t, p, *r) in enumerate(good)]
        for what, packets, cut in (("a cut file", good, 7), ("an unknown codec", unknown, 0)):
            path, out = self.path("keep.pcap"), self.path("keep.wav")
            write_pcap(path, packets)
            if cut:
                os.truncate(path, os.path.getsize(path) - cut)
            tool("extractaudio", "-d", path, out)
            check(os.path.exists(path) and os.path.exists(out), "-d deleted %s" % what)
            os.unlink(out)
            _, err = tool("extractaudio", "-e", path, out, code=1)
            check("-e" in err and not os.path.exists(out), "-e accepts %s: %r" % (what, err))
        write_pcap(path, good)
        _, err = tool("extractaudio", "-d", "-A", path, "-B", self.path("missing.rtp"), out)
        check(os.path.exists(path), "-d deleted one side without the other")
        tool("extractaudio", "-d", path, out)
        check(not os.path.exists(path), "-d kept a whole recording")

    def test_events_and_noise_are_no_failure(self):
        packets = stream(self.tone(440), 0, 160, 160)
        event = [(t + 0.001, b"\x80\x65" + p[2:12] + b"\5\x0a\0\xa0", *r) for t, p, *r in packets[50:55]]
        quiet = [(packets[60][0], b"\x80\x0d" + packets[60][1][2:12] + b"\x40", *packets[60][2:])]
        write_pcap(self.path("dtmf.pcap"), packets[:50] + event + packets[55:60] + quiet + packets[65:])
        tool("extractaudio", "-e", "-d", self.path("dtmf.pcap"), self.path("dtmf.wav"))
        check(not os.path.exists(self.path("dtmf.pcap")), "digits and noise count as undecoded")

    def test_srtp_is_recognised(self):
        plain = stream(self.tone(440), 0, 160, 160)
        rng = random.Random(3)
        srtp = [(t, p[:12] + rng.randbytes(len(p) - 12 + 10), *r) for t, p, *r in plain]
        write_pcap(self.path("srtp.pcap"), srtp)
        _, err = tool("extractaudio", self.path("srtp.pcap"), self.path("srtp.wav"), code=1)
        check("SRTP" in err and "--alice-crypto" in err, "SRTP without a key: %r" % err)
        check(not os.path.exists(self.path("srtp.wav")), "SRTP became noise")

    def test_srtp_of_both_sides(self):
        """Both sides in one file and in two, with keys as in SDP, and -d."""
        other = "AdF2HnCFmZ5VxT0rq7dJ4nT5cQ7v5p0u7xYz1a2B"
        parties = []
        for key, src, dst in ((KEY, ALICE, RELAY_A), (other, BOB, RELAY_B)):
            packets = self.received("-ar", "8000", "-c:a", "pcm_mulaw", "-f", "rtp", "-srtp_out_suite",
                                    "AES_CM_128_HMAC_SHA1_80", "-srtp_out_params", key, "srtp://127.0.0.1:%d?rtcpport=9")
            base = packets[0][0]
            parties.append([(1e9 + t - base, p, src, dst) for t, p, *_ in packets])
        keys = ("--bob-crypto", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + KEY + "|2^20|1:4",
                "--alice-crypto", "AES_CM_128_HMAC_SHA1_80:inline:" + other)
        for how in ("one", "two"):
            if how == "one":
                write_pcap(self.path("both.pcap"), sorted(parties[0] + parties[1]))
                words = (self.path("both.pcap"),)
            else:
                write_pcap(self.path("both.o.rtp"), parties[0])
                write_pcap(self.path("both.a.rtp"), parties[1])
                words = (self.path("both"),)
            tool("extractaudio", "-e", "-d", "-s", "-D", "pcm_16", *keys, *words, self.path("out.wav"))
            both = array.array("h", run("sox", self.path("out.wav"), "-t", "raw", "-")[0])
            for side in (0, 1):
                found = likeness(samples(self.raw8), both[side::2], 1600)
                check(found >= 0.98, "%s file: channel %d is like its source by %.3f only" % (how, side, found))
        check(not [f for f in os.listdir(self.dir) if f.startswith("both.")], "-d kept a file that was whole")

    # extractaudio: statistics

    def test_agrees_with_tshark(self):
        rng = random.Random(11)
        data = self.coded("mulaw", 8000)
        a = [p for p in stream(data, 0, 160, 160) if rng.random() > 0.07 or p[0] == 1000000000.0]
        a = sorted((t + (rng.uniform(0, 0.03) if i else 0), *p) for i, (t, *p) in enumerate(a))
        b = stream(data, 8, 160, 160, ssrc=99, src=BOB, dst=RELAY_B)
        pcap = self.path("stats.pcap")
        write_pcap(pcap, sorted(a + b))
        out, _ = run("tshark", "-r", pcap, "-q", "-z", "rtp,streams", "-d", "udp.port==35000,rtp", "-d",
                     "udp.port==35002,rtp")
        theirs = {}
        for line in out.decode().splitlines():
            found = re.search(r"(0x[0-9A-Fa-f]{8})\s+\S.*?\s(\d+)\s+(-?\d+) \((-?[\d.]+)%\)", line)
            if found:
                begin, end = map(float, line.split()[:2])
                theirs[int(found[1], 16)] = (int(found[2]), int(found[3]), end - begin)
        check(len(theirs) == 2, "tshark sees %d streams:\n%s" % (len(theirs), out.decode()))
        out, _ = tool("extractaudio", "--streams", pcap)
        ours = {int(m[1], 16): (int(m[3]), int(m[4]), float(m[2])) for m in re.finditer(
            r"ssrc (0x\w+) .*?; ([\d.]+) s; (\d+) packets, (\d+) lost", out.decode())}
        check(set(ours) == set(theirs), "streams: %s and %s" % (ours, theirs))
        for ssrc, (packets, lost, seconds) in theirs.items():
            check(ours[ssrc][:2] == (packets, lost), "%x: %s, tshark: %s" % (ssrc, ours[ssrc], theirs[ssrc]))
            check(abs(ours[ssrc][2] - seconds) < 0.01, "%x lasts %.3f s, tshark: %.3f" % (ssrc, ours[ssrc][2], seconds))

    def test_scan(self):
        packets = stream(bytes(1600), 0, 160, 160)
        write_pcap(self.path("scan.o.rtp"), packets)
        out, _ = tool("extractaudio", "-S", self.path("scan"))
        check(out.decode() == "%s: 10\n" % self.path("scan.o.rtp"), "scan: %r" % out)
        out, _ = tool("extractaudio", "-S", "-A", self.path("scan.o.rtp"), "-B", self.path("missing"))
        check(out.decode() == "%s: 10\n%s: -1\n" % (self.path("scan.o.rtp"), self.path("missing")), "scan: %r" % out)

    # extractaudio: bad files

    def test_cut(self):
        for write, name in ((write_pcap, "cut.pcap"), (write_adhoc, "cut.rtp")):
            write(self.path(name), stream(bytes(1600), 0, 160, 160))
            with open(self.path(name), "rb") as f:
                data = f.read()
            record = len(data) // 10
            for cut, left in ((1, 9), (100, 9), (record + 1, 8)):
                with open(self.path(name), "wb") as f:
                    f.write(data[:-cut])
                out, err = tool("extractaudio", "-S", self.path(name))
                check(out.decode() == "%s: %d\n" % (self.path(name), left), "%s less %d bytes: %r" % (name, cut, out))
                check(name in err, "%s was cut in silence" % name)
                _, err = tool("extractaudio", self.path(name), self.path("saved.wav"))
                check("A: 0, written: %d" % (left * 160) in err, "%s less %d bytes gives %r" % (name, cut, err))

    def test_nonsense(self):
        for name, content in (("empty", b""), ("text", b"hello world " * 50), ("head", b"\xd4\xc3\xb2\xa1\2\0\4\0")):
            with open(self.path(name), "wb") as f:
                f.write(content)
            _, err = tool("extractaudio", self.path(name), self.path("o.wav"), code=1)
            check("nothing" in err and not os.path.exists(self.path("o.wav")), "%s: %r" % (name, err))

    def test_extractaudio_refuses(self):
        for words, said in (((), "usage"), (("-F", "mp9", "a", "b"), "mp9"), (("-D", "x", "a", "b"), "-D 'x'"),
                            (("--rate", "7", "a", "b"), "--rate"), (("--codec", "200=PCMU", "a", "b"), "--codec"),
                            (("--codec", "97=iLBC/8000", "a", "b"), "no decoder"), (("--codec", "97=AMRX", "a", "b"), "known NAME"),
                            (("--codec", "97=AMR;crc=1", "a", "b"), "CRC"), (("--codec", "97=AMR;interleaving=9", "a", "b"), "interleaving"),
                            (("--alice-crypto", "AES:1", "a", "b"), "--alice-crypto"), (("-S",), "usage")):
            _, err = tool("extractaudio", *words, code=1)
            check(said in err, "extractaudio %s says %r" % (words, err))
        packets = stream(bytes(1600), 0, 160, 160)
        write_pcap(self.path("good.pcap"), packets)
        tool("extractaudio", self.path("good.pcap"), "/nonexistent/x.wav", code=2)
        write_pcap(self.path("bad.pcap"), stream(b"\0" * 160, 18, 13, 160))
        _, err = tool("extractaudio", "-e", self.path("bad.pcap"), self.path("bad.wav"), code=1)
        check("-e" in err, "-e: %r" % err)

    def test_default_format_is_gsm(self):
        write_pcap(self.path("good.pcap"), stream(self.coded("mulaw", 8000), 0, 160, 160))
        tool("extractaudio", self.path("good.pcap"), self.path("gsm.wav"))
        out, _ = run("soxi", "-e", self.path("gsm.wav"))
        check(b"GSM" in out, "encoding %r" % out)


def main():
    if any(not shutil.which(name) for name in NEEDED):
        print("needs " + ", ".join(NEEDED))
        return 4
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="rtpx-sound-") as directory:
        tests = Tests(directory)
        for name in dir(tests):
            if not name.startswith("test_") or sys.argv[1:] and sys.argv[1] not in name:
                continue
            try:
                getattr(tests, name)()
                passed += 1
            except (Failure, subprocess.TimeoutExpired) as e:
                print("FAIL %s: %s" % (name, e))
                failed += 1
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

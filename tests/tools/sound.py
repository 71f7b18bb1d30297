#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together busy
"""makeann and extractaudio beside independent programs: sox and ffmpeg make and decode sound, tshark reads captures.

Ends with "N passed, N failed, N skipped".
"""
import array
import contextlib
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
               ("18", ("-f", "g729"), 8000, 0.8), ("opus", (), 16000, 0.9))

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
                got = decode(template + "." + suffix, rate, *how)
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

    def received(self, *words):
        """What ffmpeg sends as RTP to a socket of ours."""
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as s:
            s.bind(("127.0.0.1", 0))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            port = s.getsockname()[1]
            sender = subprocess.Popen(["ffmpeg", "-v", "error", "-re", "-i", self.wav, "-ac", "1", *words[:-1],
                                       words[-1] % port], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
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
        return packets

    def test_opus(self):
        packets = self.received("-c:a", "libopus", "-b:a", "32k", "-payload_type", "111", "-f", "rtp",
                                "rtp://127.0.0.1:%d?rtcpport=9")
        got = self.extract(packets, "--codec", "111=opus/48000/2", "--rate", "16000")
        found = likeness(samples(self.raw16), got, 1600)
        check(found >= 0.9, "Opus is like its source by %.3f only" % found)
        _, err = self.extract(packets, code=1)
        check("payload type 111" in err and "--codec" in err, "an unknown codec: %r" % err)

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

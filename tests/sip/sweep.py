#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""sweep.py FILE MS FROM_HZ TO_HZ - audio in which no two packets are equal: mu-law, or WAV when FILE ends in .wav."""
import math
import struct
import sys
import wave


def ulaw(sample):
    """One 16-bit linear sample to mu-law (ITU-T G.711, table 2)."""
    sign = 0x80 if sample < 0 else 0
    x = min(abs(sample), 32635) + 132
    exponent = x.bit_length() - 8
    return ~(sign | exponent << 4 | x >> exponent + 3 & 0x0F) & 0xFF


def sweep(ms, low, high):
    """Samples of 16 bits, 8000 a second."""
    n = ms * 8
    for i in range(n):
        yield int(20000 * math.sin(2 * math.pi * (low + (high - low) * i / n / 2) * i / 8000))


def main(path, ms, low, high):
    samples = list(sweep(int(ms), float(low), float(high)))
    if path.endswith(".wav"):
        with wave.open(path, "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    else:
        with open(path, "wb") as out:
            out.write(bytes(map(ulaw, samples)))


main(*sys.argv[1:])

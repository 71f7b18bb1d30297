#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""sweep.py FILE MS FROM_HZ TO_HZ - G.711 mu-law audio in which no two packets are equal."""
import math
import sys


def ulaw(sample):
    """One 16-bit linear sample to mu-law (ITU-T G.711, table 2)."""
    sign = 0x80 if sample < 0 else 0
    x = min(abs(sample), 32635) + 132
    exponent = x.bit_length() - 8
    return ~(sign | exponent << 4 | x >> exponent + 3 & 0x0F) & 0xFF


def main(path, ms, low, high):
    n, low, high = int(ms) * 8, float(low), float(high)
    with open(path, "wb") as out:
        for i in range(n):
            t = i / 8000
            phase = 2 * math.pi * (low + (high - low) * i / n / 2) * t
            out.write(bytes([ulaw(int(20000 * math.sin(phase)))]))


main(*sys.argv[1:])

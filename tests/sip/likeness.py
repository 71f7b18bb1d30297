#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""likeness.py HEARD ORIGINAL - how alike two sounds are: raw samples, 16 bits, 8 kHz, of which HEARD begins where ORIGINAL
does, give or take 4 ms, and ORIGINAL may come round again. Prints the correlation: 1 is the same but for its volume."""
import array
import math
import sys

LAG = 32


def samples(path):
    with open(path, "rb") as f:
        return array.array("h", f.read())


def correlation(a, b):
    up = sum(x * y for x, y in zip(a, b))
    return up / math.sqrt(max(1, sum(x * x for x in a) * sum(y * y for y in b)))


heard, original = samples(sys.argv[1]), samples(sys.argv[2])
best = max(correlation(heard, [original[(i + lag) % len(original)] for i in range(len(heard))])
           for lag in range(-LAG, LAG + 1))
print(f"{best:.4f}")

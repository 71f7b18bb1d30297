#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""rtp_lossy.py FROM PORT TO PORT PACKETS LOSE JITTER_MS [BEGIN] - sends PCMU, a packet each 5 ms.

It leaves out LOSE packets at random places, and delays each packet at random by up to JITTER_MS. It
begins when the file BEGIN exists. The random numbers are the same in each run."""
import os
import random
import socket
import struct
import sys
import time

PTIME_MS = 5

frm, port, to, to_port = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
packets, lose, jitter = int(sys.argv[5]), int(sys.argv[6]), float(sys.argv[7])
rng = random.Random(port + packets)
# never one of the first or last packets: both ends of the sequence must be seen
lost = set(rng.sample(range(8, packets - 8), lose))

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((frm, port))
s.connect((to, to_port))
while len(sys.argv) > 8 and not os.path.exists(sys.argv[8]):
    time.sleep(0.01)
begin = time.monotonic()
for n in range(packets):
    late = rng.uniform(0, jitter) / 1000
    if n in lost:
        continue
    wait = begin + n * PTIME_MS / 1000 + late - time.monotonic()
    if wait > 0:
        time.sleep(wait)
    header = struct.pack("!BBHII", 0x80, 0, (65500 + n) & 0xffff, 8 * PTIME_MS * n, 0x5eed0000 + port)
    try:
        s.send(header + b"\xff" * 8 * PTIME_MS)
    except ConnectionRefusedError:
        pass

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""teach.py DEVICE FROM-MAC TO-MAC: one RTP packet of each call, so that the relay learns its callers. For many.py.

Standard input has a line "PORT RELAY-PORT CALLER RELAY" for each call, addresses as numbers. Slow on purpose: the packets go
through the relay's sockets. The generator of traffic.c sends too few of them on a busy machine.
"""
import socket
import struct
import sys
import time

PAYLOAD = struct.pack("!BBHII", 0x80, 0, 1, 160, 0x5eed) + b"\xd5" * 160
GROUP, PAUSE = 100, 0.01  # packets, seconds


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(port, relay_port, caller, relay):
    length = 8 + len(PAYLOAD)
    udp = struct.pack("!HHHH", port, relay_port, length, 0)
    check = checksum(struct.pack("!IIHH", caller, relay, 17, length) + udp + PAYLOAD) or 0xffff
    head = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + length, 0, 0x4000, 64, 17, 0, caller, relay)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp[:6] + struct.pack("!H", check) + PAYLOAD


def main():
    device, source, dest = sys.argv[1:]
    ethernet = bytes.fromhex((dest + source).replace(":", "")) + b"\x08\x00"
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((device, 0))
        for n, line in enumerate(sys.stdin, 1):
            s.send(ethernet + packet(*map(int, line.split())))
            if n % GROUP == 0:
                time.sleep(PAUSE)


main()

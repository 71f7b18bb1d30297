#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sets up one call of rtpengine by its ng protocol, as a SIP proxy would that leaves it at its defaults.

ng_call.py HOST PORT CALL-ID CALLER-ADDRESS CALLER-PORT CALLEE-ADDRESS CALLEE-PORT [DIRECTION DIRECTION] - prints the
ports that the callee and the caller are told to send to.
"""
import re
import secrets
import socket
import sys

SDP = ("v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 0\r\n")


def bencode(value):
    if isinstance(value, dict):
        return "d" + "".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + "e"
    if isinstance(value, (list, tuple)):
        return "l" + "".join(map(bencode, value)) + "e"
    return "%d:%s" % (len(value), value)


def command(server, **words):
    """The reply, without its cookie. rtpengine keeps its replies by cookie, so each command has a cookie of its own."""
    cookie = secrets.token_hex(8)
    server.send(f"{cookie} {bencode(words)}".encode())
    while True:
        theirs, _, reply = server.recv(65536).decode().partition(" ")
        if theirs == cookie:
            return reply


def ask(server, **words):
    """The media port in the SDP of the reply."""
    reply = command(server, **words)
    port = re.search(r"m=audio (\d+)", reply)
    if not port:
        sys.exit("refused: " + reply)
    return port[1]


def main(host, port, call, caller, caller_port, callee, callee_port, *direction):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.connect((host, int(port)))
    server.settimeout(2)
    more = {"direction": direction} if direction else {}
    common = {"call-id": call, "from-tag": "alice"}
    print(ask(server, command="offer", sdp=SDP.format(caller, caller_port), **common, **more),
          ask(server, command="answer", sdp=SDP.format(callee, callee_port), **common, **{"to-tag": "bob"}))


if __name__ == "__main__":
    if len(sys.argv) not in (8, 10):
        sys.exit(__doc__)
    main(*sys.argv[1:])

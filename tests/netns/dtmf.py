#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm
"""dtmf.py - digits (RFC 4733) in a call that the kernel forwards.

The controller is told of each digit soon after its end, bob hears all of alice's packets, and the
kernel forwards 99 % of the audio. All telephone events go through the daemon. With `h` bob hears no
event.

A few audio packets may go through the daemon, too: in generic mode one of 65,536 has a complete
checksum that looks unfinished, and a packet may come while its flow is being written.
"""
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, PlainCall, wait_for
from patience import slowness

EVENT, BEGINS, ENDS = 101, 3, 3
AUDIO = 300                     # packets each way between two digits
SOON_S = 0.1                    # from the end of an event to the controller


class Controller:
    """The socket that rtpxd reports to."""

    def __init__(self, path):
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(path)
        self.listening.listen()
        self.connected, self.lines = None, b""

    def told(self, seconds):
        """The next line, and when it came; None without one."""
        until = time.monotonic() + seconds
        while b"\n" not in self.lines:
            sock = self.connected or self.listening
            sock.settimeout(max(until - time.monotonic(), 0.001))
            try:
                if not self.connected:
                    self.connected = sock.accept()[0]
                    continue
                more = sock.recv(65536)
            except TimeoutError:
                return None
            if not more:
                self.connected = None
            self.lines += more
        line, self.lines = self.lines.split(b"\n", 1)
        return line.decode(), time.monotonic()

    def close(self):
        self.listening.close()


class Phone:
    """Alice, who talks and presses digits."""

    def __init__(self, call):
        self.call, self.sent = call, 0

    def press(self, digit):
        """Returns the time of the first packet with the end."""
        stamp = 8000 * (digit + 1)
        for i in range(BEGINS + ENDS):
            end = i >= BEGINS
            if i == BEGINS:
                ended = time.monotonic()
            event = struct.pack("!BBH", digit, end << 7 | 10, 160 * min(i + 1, BEGINS + 1))
            self.call.a.send(0, struct.pack("!BBHII", 0x80, EVENT, next(self.call.seq) & 0xffff, stamp, 1) + event)
            self.sent += 1
            time.sleep(0.005)
        return ended

    def talk(self, count):
        for _ in range(count):
            seq = next(self.call.seq)
            self.call.a.send(seq)
            self.call.b.send(seq)
            self.sent += 1
            time.sleep(0.002)


def events_in(packets):
    return sum(data[1] & 0x7f == EVENT for data, _ in packets if len(data) == 16)


def trial(check, plane):
    with Net("alice", "relay", "bob") as net:
        path = f"{net.dir}/notify"
        controller = Controller(path)
        call = PlainCall(net, "-n", f"unix:{path}", dataplane=plane)
        phone, kernel = Phone(call), plane != "none"
        catch = f"Uie c1 192.0.2.10 4000 a;1 b;1 {path} x && M3:1 call-1 {EVENT}"
        right = call.relay.command(catch)
        check(f"{plane}: M3:1 is accepted", right and "&&" not in right, right)
        if kernel and not check(f"{plane}: the kernel has the call", call.settle(), str(call.whys())):
            return
        if not kernel:
            call.talk(10)
        if not check(f"{plane}: they hear each other", call.quiet()):
            return
        phone.sent = 0
        before = call.directions()

        delays = []
        for digit in (1, 11):
            phone.talk(AUDIO)
            ended = phone.press(digit)
            told = controller.told(5 * slowness())
            want = "call-1 %c 10 640 0" % "0123456789*#"[digit]
            if check(f"{plane}: the controller is told of a digit", told and told[0] == want, str(told)):
                delays.append(told[1] - ended)
        phone.talk(AUDIO)
        check(f"{plane}: within {SOON_S * 1000:.0f} ms of its end", delays and min(delays) < SOON_S * slowness(), str(delays))
        print(f"{plane}: {', '.join(f'{d * 1000:.1f} ms' for d in delays)} from a digit's end to the controller", flush=True)

        heard = []

        def all_heard():
            heard.extend(call.b.take())
            return len(heard) >= phone.sent
        wait_for(2, all_heard)
        check(f"{plane}: bob hears every packet", len(heard) == phone.sent, f"{len(heard)} of {phone.sent}")
        events = 2 * (BEGINS + ENDS)
        check(f"{plane}: events among them", events_in(heard) == events, str(events_in(heard)))
        after = call.directions()
        if kernel:
            packets, forwarded = (sum(after[side][k] - before[side][k] for side in after) for k in ("packets", "kernel_packets"))
            counted = call.relay.ask("stats")["kernel"]
            passed = {reason: n for reason, n in counted.items() if n and reason.startswith("pass_")}
            check(f"{plane}: no event stays in the kernel", packets - forwarded >= events, f"{forwarded} of {packets}, {passed}")
            check(f"{plane}: 99 % of the audio does", forwarded >= 0.99 * (packets - events), f"{forwarded} of {packets}, {passed}")
            check(f"{plane}: events are counted", events - counted["pass_busy"] <= counted["pass_event"] <= events, str(passed))

        call.relay.command(catch + " h")
        phone.press(5)
        told = controller.told(5 * slowness())
        check(f"{plane}: with h the controller is told", told and told[0].startswith("call-1 5"), str(told))
        call.a.send(0xfff0)
        wait_for(1, lambda: any(len(data) != 16 for data, _ in call.b.read()))
        check(f"{plane}: and bob hears no event", events_in(call.b.take()) == 0)

        call.relay.command(f"Uie c1 192.0.2.10 4000 a;1 b;1 {path} x && M3:1 call-1 {EVENT}")
        for _ in range(60):
            phone.press(7)          # the same event again and again is one digit
        told = controller.told(5 * slowness())
        check(f"{plane}: a repeated event is one digit", told and told[0].startswith("call-1 7") and
              not controller.told(0.1), str(told))


def main():
    with netlab.judged() as check:
        netlab.side_by_side(4, trial, [(check, plane) for plane in netlab.all_planes()])


main()

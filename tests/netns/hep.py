#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
"""hep.py - the RTCP that phones send reaches a HEP collector: from the kernel and from the sockets,
by UDP and by TCP, with the collector gone and back. The options name the collector by UDP; a
configuration of rtpproxy's module names it by TCP.

Kamailio's sipcapture decodes the messages, chunk by chunk. tshark decodes the RTCP that the phones
sent. Both must agree, field by field.
"""
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, PlainCall, wait_for

COUNT = 10
OUTAGE = 50                     # reports of each phone while the collector is gone
AGENT = 70000
CHUNKS = {"family": 1, "protocol": 2, "src": 3, "dst": 4, "sport": 7, "dport": 8, "s": 9, "us": 10, "type": 11, "agent": 12, "call": 17,
          "payload": 15}
CONFIG = """#!KAMAILIO
debug=-1
log_stderror=yes
children=1
disable_tcp=yes
mpath="{modules}"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "db_text.so"
loadmodule "sipcapture.so"
modparam("sipcapture", "db_url", "text://{dir}/db")
modparam("sipcapture", "insert_retries", 1)
modparam("sipcapture", "capture_on", 1)
modparam("sipcapture", "hep_capture_on", 1)
modparam("sipcapture", "nonsip_hook", 1)
request_route {{ drop; }}
event_route[sipcapture:request] {{
	xlog("L_ALERT", "HEP{chunks}\\n");
}}
"""
RTPPROXY_CONF = """modules {{
    acct_rtcp_hep {{
        load = /usr/lib/rtpproxy/rtpp_acct_rtcp_hep.so
        capt_host  = 127.0.0.1
        capt_port  = 9070
        capt_ptype = tcp
        capt_id = {agent}
    }}
}}
"""
# tshark's name of each field, and the member of the report
SENDER = {"rtcp.timestamp.ntp.msw": "ntp_timestamp_sec", "rtcp.timestamp.ntp.lsw": "ntp_timestamp_usec",
          "rtcp.timestamp.rtp": "rtp_timestamp", "rtcp.sender.packetcount": "packets", "rtcp.sender.octetcount": "octets"}
BLOCK = {"rtcp.ssrc.identifier": "source_ssrc", "rtcp.ssrc.fraction": "fraction_lost", "rtcp.ssrc.cum_nr": "packets_lost",
         "rtcp.ssrc.ext_high": "highest_seq_no", "rtcp.ssrc.jitter": "ia_jitter", "rtcp.ssrc.lsr": "lsr", "rtcp.ssrc.dlsr": "dlsr"}


def modules():
    found = [path for path in ("/usr/lib/x86_64-linux-gnu/kamailio/modules/", "/usr/lib/aarch64-linux-gnu/kamailio/modules/")
             if os.path.exists(path + "sipcapture.so")]
    return found[0] if found and shutil.which("kamailio") else None


class Decoder:
    """Kamailio as HEP collector on UDP port 9060 of the relay's loopback."""

    def __init__(self, net):
        self.net, self.dir, self.process = net, f"{net.dir}/kamailio", None
        os.makedirs(f"{self.dir}/db", exist_ok=True)
        chunks = "".join(f" {name}=[$hep(0x{number:03x})]" for name, number in CHUNKS.items())
        with open(f"{self.dir}/cfg", "w", encoding="utf-8") as f:
            f.write(CONFIG.format(modules=modules(), dir=self.dir, chunks=chunks))

    def start(self):
        with open(f"{self.dir}/log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.net.tag('relay')}", "--", "kamailio", "-DD", "-E", "-f", f"{self.dir}/cfg", "-l",
                 "udp:127.0.0.1:9060", "-Y", self.dir, "-P", f"{self.dir}/pid", "-m", "16", "-M", "4"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        netlab.note("+pid", self.process.pid)
        return wait_for(20, self.listens)

    def listens(self):
        with self.net.within("relay"), open("/proc/thread-self/net/udp", encoding="ascii") as f:
            return ":2364 " in f.read()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        netlab.note("-pid", self.process.pid)

    def messages(self):
        """The chunks of each message, as texts."""
        with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as f:
            lines = [line for line in f if "<script>: HEP" in line and line.endswith("]\n")]
        return [dict(re.findall(r"(\w+)=\[(.*?)\](?= \w+=\[|$)", line[line.index("HEP") + 4:-1])) for line in lines]


class Stream:
    """A collector on TCP port 9070 of the relay's loopback: it hands each message to the decoder."""

    def __init__(self, net):
        with net.within("relay"):
            self.listener, self.out = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 9070))
        self.listener.listen()
        self.peer, self.broken = None, False
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            self.peer = self.listener.accept()[0]
            data = self.peer.makefile("rb")
            while head := data.read(6):
                length = struct.unpack("!4xH", head)[0]
                self.broken |= head[:4] != b"HEP3"
                self.out.sendto(head + data.read(length - 6), ("127.0.0.1", 9060))
        except (OSError, ValueError, struct.error):
            pass

    def close(self):
        for s in (self.listener, self.peer):
            if s:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()


def block(ssrc, number):
    return struct.pack("!IIIIII", ssrc, (number % 256) << 24 | (-number) % (1 << 24), 65536 + number, number * 3, 0x12345678, number << 8)


def report(ssrc, number):
    """A sender report with a block and the name of the source; every third one is a receiver report."""
    sdes = struct.pack("!BBHI", 0x81, 202, 3, ssrc) + b"\x01\x03a@b\0\0\0"
    if number % 3 == 0:
        return struct.pack("!BBHI", 0x81, 201, 7, ssrc) + block(ssrc + 7, number) + sdes
    head = struct.pack("!BBHIIIIII", 0x81, 200, 12, ssrc, 0xe0000000 + number, number << 20, number * 160, number, number * 160)
    return head + block(ssrc + 7, number) + sdes


def as_tshark(net, name, sent):
    """The reports of @sent, pairs of an end and a packet, as tshark decodes them, in the form of our JSON."""
    path = f"{net.dir}/{name}.pcap"
    with open(path, "wb") as f:
        f.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for end, data in sent:
            frame = netlab.udp_frame(end, 0, "02:00:00:00:00:01", "02:00:00:00:00:02", payload=data)
            f.write(struct.pack("=IIII", 1, 0, len(frame), len(frame)) + frame)
    fields = ["ip.src", "udp.srcport", "ip.dst", "udp.dstport", "rtcp.pt", "rtcp.senderssrc", *SENDER, *BLOCK]
    words = ["tshark", "-r", path, "-n", "-d", "udp.port==1-65535,rtcp", "-T", "fields", "-E", "occurrence=f"]
    out = subprocess.run(words + [w for field in fields for w in ("-e", field)], capture_output=True, text=True, check=True).stdout
    return [decoded(dict(zip(fields, line.split("\t")))) for line in out.splitlines()]


def number(text):
    return int(text, 16 if text.startswith("0x") else 10)


def decoded(row):
    r = {"ssrc": number(row["rtcp.senderssrc"]), "type": number(row["rtcp.pt"]), "report_count": 1,
         "report_blocks": [{to: number(row[field]) for field, to in BLOCK.items()}]}
    if row["rtcp.timestamp.ntp.msw"]:
        r["sender_information"] = {to: number(row[field]) for field, to in SENDER.items()}
    return (row["ip.src"], row["udp.srcport"], row["ip.dst"], row["udp.dstport"], json.dumps(r, sort_keys=True))


def as_kamailio(decoder, ssrcs):
    """The messages about these sources in the same form."""
    messages = [(m, json.loads(m["payload"])) for m in decoder.messages()]
    return [(m, (m["src"], m["sport"], m["dst"], m["dport"], json.dumps(r, sort_keys=True))) for m, r in messages if r["ssrc"] in ssrcs]


class Trial:
    def __init__(self, check, plane, transport):
        self.check, self.plane, self.name = check, plane, f"{plane} {transport}"
        with Net("alice", "relay", "bob") as net:
            self.net, self.decoder, self.stream = net, Decoder(net), None
            net.do("relay ip link set lo up")
            if not check(f"{self.name}: the decoder runs", self.decoder.start()):
                return
            if transport == "tcp":
                self.stream = Stream(net)
            try:
                self.run(("--hep", "127.0.0.1", "--hep-id", str(AGENT)) if transport == "udp" else ("--config", self.configuration()))
            finally:
                self.decoder.stop()

    def configuration(self):
        path = os.path.join(self.net.dir, "rtpproxy.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(RTPPROXY_CONF.format(agent=AGENT))
        return path

    def run(self, options):
        call = self.call = PlainCall(self.net, *options, "--metrics", "9100", dataplane=self.plane)
        self.ends = []
        for rtp_end, name, address in ((call.a, "alice", "192.0.2.10"), (call.b, "bob", "198.51.100.10")):
            end = self.net.end(name, address, 4001, rtp_end.ssrc)
            end.to = (rtp_end.to[0], rtp_end.to[1] + 1)
            self.ends.append(end)
        self.numbers = iter(range(1, 1 << 20))
        if not self.check(f"{self.name}: the call is where it belongs", wait_for(10, self.settled), str(self.rtcp())):
            return
        self.agrees()
        self.leaves_out()
        shown = call.relay.ctl("status")
        self.check(f"{self.name}: rtpxctl status", "127.0.0.1" in shown and "reports sent" in shown, shown)
        self.check(f"{self.name}: metrics", 'rtpx_hep_reports_total{result="sent"} ' in self.metrics() and "rtpx_hep_connected 1\n" in
                   self.metrics(), self.metrics()[-500:])
        self.round_trip()
        if self.plane == "none":
            self.outage()

    def metrics(self):
        with self.net.within("relay"), socket.create_connection(("127.0.0.1", 9100)) as s:
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            return s.makefile("r", encoding="utf-8").read()

    def round_trip(self):
        """Bob answers a report of alice; the time between both, as this process sees it, is an upper bound."""
        trips = lambda: [float(x) for x in re.findall(r"^rtpx_round_trip_seconds_(?:sum|count) (\S+)$", self.metrics(), re.M)]
        alice, bob = self.ends
        before, begun = trips(), time.monotonic()
        sr = struct.pack("!BBHIIIIII", 0x80, 200, 6, 4242, 0xe0001234, 0x56780000, 0, 1, 1)
        alice.send(0, sr)
        # a report is late when it overtakes the one that it answers
        arrived = wait_for(10, lambda: as_kamailio(self.decoder, {4242}))
        bob.send(0, struct.pack("!BBHI", 0x81, 201, 7, 4243) + struct.pack("!IIIIII", 4242, 0, 1, 0, 0x12345678, 0))
        self.check(f"{self.name}: a round trip is measured", arrived and wait_for(10, lambda: trips()[1] == before[1] + 1), f"{before} {trips()}")
        self.check(f"{self.name}: it is no longer than it was", 0 < trips()[0] - before[0] < time.monotonic() - begun, f"{before} {trips()}")

    def rtcp(self):
        return [d for d in self.call.relay.ask("why c1").get("directions", []) if d["kind"] == "rtcp"]

    def settled(self):
        self.call.talk()
        self.send(1000)
        want = self.plane != "none"
        return all(d["in_kernel"] == want and d["packets"] > 1 for d in self.rtcp()) and self.hep()["connected"]

    def hep(self):
        return self.call.relay.ask("status")["hep"]

    def send(self, base):
        """A report of each phone, with source base + its number. Returns pairs of end and packet."""
        n = next(self.numbers)
        sent = [(end, report(base + end.ssrc, n)) for end in self.ends]
        for end, data in sent:
            end.send(0, data)
        return sent

    def agrees(self):
        before, begun, sent = sum(d["kernel_packets"] for d in self.rtcp()), time.time(), []
        for _ in range(COUNT):
            sent += self.send(2000)
            time.sleep(0.005)
        ssrcs = {2001, 2002}
        self.check(f"{self.name}: every report arrives", wait_for(10, lambda: len(as_kamailio(self.decoder, ssrcs)) >= 2 * COUNT),
                   f"{len(as_kamailio(self.decoder, ssrcs))} of {2 * COUNT}, {self.hep()}")
        got, want = as_kamailio(self.decoder, ssrcs), as_tshark(self.net, "sent", sent)
        wrong = [(g, w) for g, w in zip(sorted(g for _, g in got), sorted(want)) if g != w]
        self.check(f"{self.name}: as tshark decodes what was sent", not wrong and len(got) == len(want), str(wrong[:1]))
        self.check(f"{self.name}: family, protocol, type, agent and Call-ID", all(
            (m["family"], m["protocol"], m["type"], m["agent"], m["call"]) == ("2", "17", "5", str(AGENT), "c1") for m, _ in got), str(got[:1]))
        times = [int(m["s"]) + int(m["us"]) / 1e6 for m, _ in got]
        self.check(f"{self.name}: times of arrival", all(begun - 1 < t < time.time() + 1 for t in times), str(times))
        if self.plane != "none":
            forwarded = sum(d["kernel_packets"] for d in self.rtcp()) - before
            self.check(f"{self.name}: the kernel forwards what is reported", forwarded > COUNT, f"{forwarded} of {2 * COUNT}")
        if self.stream:
            self.check(f"{self.name}: each message begins where the one before ends", not self.stream.broken)

    def leaves_out(self):
        """Encrypted RTCP is counted; a stranger's is not reported."""
        before = self.hep()["unreadable"]
        self.ends[0].send(0, report(3001, 1) + struct.pack("!I", 0x80000001) + b"authtag!!!")
        stranger = self.net.end("alice", "192.0.2.10", 4999, 9)
        stranger.to = self.ends[0].to
        stranger.send(0, report(3009, 1))
        self.check(f"{self.name}: encrypted RTCP is counted", wait_for(5, lambda: self.hep()["unreadable"] == before + 1), str(self.hep()))
        self.send(4000)
        wait_for(5, lambda: len(as_kamailio(self.decoder, {4001, 4002})) == 2)
        self.check(f"{self.name}: no report of a stranger, none of encrypted RTCP", not as_kamailio(self.decoder, {3001, 3009}))

    def outage(self):
        """The collector goes and comes back."""
        relay = self.call.relay
        if self.stream:
            self.stream.close()
        else:
            self.decoder.stop()

        def gone():
            self.send(5000)
            return not self.hep()["connected"]
        self.check(f"{self.name}: a collector that is gone is noticed", wait_for(10, gone), str(self.hep()))
        for _ in range(OUTAGE):
            self.send(6000)
            time.sleep(0.002)
        self.check(f"{self.name}: commands are answered meanwhile", relay.command("V") == "20040107")
        self.check(f"{self.name}: few lines in the log", 1 <= relay.log().count("HEP collector") <= 3, relay.log()[-2000:])
        self.check(f"{self.name}: rtpxctl names the error", "not there" in relay.ctl("status"), relay.ctl("status"))
        if self.stream:
            self.stream = Stream(self.net)
        else:
            self.decoder.start()

        def back():
            self.send(7000)
            return as_kamailio(self.decoder, {7001, 7002})
        self.check(f"{self.name}: reports arrive again", wait_for(30, back), str(self.hep()))
        if self.stream:
            self.check(f"{self.name}: those of the outage, too", wait_for(20, lambda: len(as_kamailio(self.decoder, {6001, 6002})) == 2 * OUTAGE),
                       f"{len(as_kamailio(self.decoder, {6001, 6002}))} of {2 * OUTAGE}, {self.hep()}")


def main():
    with netlab.judged() as check:
        jobs = [(check, plane, "udp") for plane in netlab.all_planes()] + [(check, "none", "tcp")] * (not os.environ.get("RTPX_IN_VM"))
        netlab.side_by_side(4, Trial, jobs)


if not shutil.which("tshark") or not modules():
    print("tshark or Kamailio is missing")
    sys.exit(4)
main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
"""accounts.py - a record of each ended session, as CSV and as JSON: in the kernel and on the
sockets, after a rotation, and while another program holds the lock of the file.

The values of the CSV record were compared with those of rtpproxy 3.2 and its module, by hand.
"""
import csv
import fcntl
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import netlab
from netlab import Net, PlainCall, wait_for
from patience import slowness

COLUMNS = 54


def rows(path):
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def lines(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def trial(check, plane):
    with Net("alice", "relay", "bob") as net:
        path, other = f"{net.dir}/acct.csv", f"{net.dir}/acct.json"
        begun = time.time()
        call = PlainCall(net, "--acct-csv", path, "--acct-json", other, dataplane=plane)
        check(f"{plane}: the header is there at once", os.path.getsize(path) > 500)
        if plane != "none" and not check(f"{plane}: the kernel has the call", call.settle(), str(call.whys())):
            return
        call.talk(20)
        check(f"{plane}: they hear each other", call.quiet())
        before = call.directions()
        call.relay.command("Uie c1 0.0.0.0 4000 a;1 b;1")
        call.relay.command("D c1 a b")
        check(f"{plane}: a record", wait_for(3, lambda: len(rows(path)) == 1))
        r = rows(path)[0]
        caller, callee = before["caller"]["packets"], before["callee"]["packets"]
        want = {"rec_ver": "1.2", "call_id": "c1", "from_tag": "a;1", "rtp_npkts_ina": str(caller), "rtp_npkts_ino": str(callee),
                "rtpa_nlost_ina": "0", "rtpa_ssrc_last_ina": "0x00000001", "rtpa_ssrc_last_ino": "0x00000002", "rtpa_pt_last_ina": "8",
                "rtpp_rtp_rmt_ip_a": "192.0.2.10", "rtpp_rtp_rmt_pt_a": "4000", "rtpp_rtp_rmt_ip_o": "198.51.100.10",
                "rtpp_rtcp_rmt_pt_o": "4001", "rtpp_hld_sts_a": "t", "rtpp_hld_cnt_a": "1", "rtpp_hld_sts_o": "f",
                "rtpp_pid": str(call.relay.process.pid)}
        check(f"{plane}: its values", all(r[k] == v for k, v in want.items()), str({k: r[k] for k, v in want.items() if r[k] != v}))
        check(f"{plane}: all columns", len(r) == COLUMNS and None not in r, str(len(r)))
        check(f"{plane}: its times", begun - 1 < float(r["setup_ts"]) < float(r["first_rtp_ts_ina"]) <= float(r["last_rtp_ts_ina"]) <=
              float(r["teardown_ts"]) < time.time() + 1, str(r))
        wait_for(3, lambda: lines(other))
        j = lines(other)[0]
        check(f"{plane}: the JSON record", j["call_id"] == "c1" and j["end"] == "deleted" and j["caller"]["packets"] == caller and
              (j["kernel_share"] > 0.5) == (plane != "none") and j["callee"]["mos"] > (3 if slowness() == 1 else 1), str(j))
        if plane == "none":
            rotation(check, call, path)
            shutdown(check, call.relay, path)


def rotation(check, call, path):
    relay = call.relay
    os.rename(path, path + ".1")
    relay.command('U comma,"quote" 127.0.0.1 5000 tag')
    relay.command('D comma,"quote" tag')
    check("a renamed file is replaced", wait_for(3, lambda: os.path.exists(path) and len(rows(path)) == 1))
    check("a text with comma and quote", rows(path)[0]["call_id"] == 'comma,"quote"', str(rows(path)))
    with open(path, "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        for n in range(20):
            relay.command(f"U held{n} 127.0.0.1 5000 tag")
            relay.command(f"D held{n} tag")
        check("the lock of another program stops no command", relay.command("V") == "20040107" and len(rows(path)) == 1)
        fcntl.lockf(f, fcntl.LOCK_UN)
    check("then all records are there", wait_for(5, lambda: len(rows(path)) == 21), str(len(rows(path))))


def shutdown(check, relay, path):
    """Another program has the lock when the daemon ends: it waits, up to 5 s."""
    before = len(rows(path))
    for n in range(20):
        relay.command(f"U kept{n} 127.0.0.1 5000 tag")
    with open(path, "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        relay.process.terminate()
        time.sleep(0.3)
        fcntl.lockf(f, fcntl.LOCK_UN)
    relay.stop()
    check("sessions that end with the daemon have records", len(rows(path)) == before + 20, str(len(rows(path)) - before))


def main():
    with netlab.judged() as check:
        for plane in ("none", "native"):
            trial(check, plane)


main()

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long
# shellcheck source-path=SCRIPTDIR
#
# metrics.sh - quality and metrics of real calls. In the kernel and on the sockets, loss, jitter and
# MOS of a call with known loss agree with tshark's analysis of a capture. promtool accepts the
# metrics, and they count the calls. The listener answers bad requests, and ends slow clients.

. "$(dirname "$0")/floor_lib.sh"
SEND=$LAB_ROOT/tests/lib/rtp_lossy.py
WEB=192.0.2.1:9100
PACKETS=1200 LOSE=30 JITTER_MS=6

lab_begin python3 jq dumpcap tshark curl promtool script
floor_net

get() { in_ns alice curl -sS --max-time 20 "http://$WEB$1"; }
# metric LINE - the value of a metric with its labels.
metric() { get /metrics | awk -v m="$1" '$1 == m { print $2 }'; }
metric_is() { [ "$(metric "$1")" = "$2" ]; }

# of_party PARTY MEMBER - of the RTP from the caller or the callee.
of_party()
{
	rtpxctl rtpxd --json session $CALL | jq -r ".[0].legs[] | select(.party == \"$1\") | .rtp.$2"
}
heard_all() { [ "$(of_party caller packets) $(of_party callee packets)" = "$((PACKETS - LOSE)) $PACKETS" ]; }

# talk - alice loses packets, bob does not. The capture has what alice's host sends.
talk()
{
	local go=$LAB_DIR/go

	rm -f "$go"
	capture alice eth0 "$1" "udp port 4000"
	lab_start bob bob "$SEND" 198.51.100.10 4000 198.51.100.1 "$TO_ALICE" $PACKETS 0 0 "$go"
	lab_start alice alice "$SEND" 192.0.2.10 4000 192.0.2.1 "$TO_BOB" $PACKETS $LOSE $JITTER_MS "$go"
	: >"$go"
	lab_wait 40 alice || fail "alice could not talk" alice
	lab_wait 40 bob || fail "bob could not talk" bob
	LAB_BLAME=rtpxd must_wait 10 "all packets in the figures" heard_all
	lab_stop "$1.pcap" INT || fail "capture $1 ended badly" "$1.pcap"
}

# agrees NAME TOLERANCE - loss is equal, jitter differs by at most a factor, MOS follows from tshark's
# figures by the equations of G.107.
agrees()
{
	tshark -r "$LAB_DIR/$1.pcap" -d "udp.port==$TO_BOB,rtp" -q -z rtp,streams 2>/dev/null >"$LAB_DIR/$1.streams"
	rtpxctl rtpxd --json session $CALL | python3 -c '
import json, re, sys

session, tolerance, to = json.load(sys.stdin)[0], float(sys.argv[2]), sys.argv[3]
for line in open(sys.argv[1]):
    words = line.split()
    if words[2:3] == ["192.0.2.10"] and words[5:6] == [to]:
        break
else:
    sys.exit("tshark found no stream to port " + to)
lost = int(re.search(r"(-?\d+) \(\s*-?[\d.]+%\)", line).group(1))
numbers = re.search(r"%\)\s+(.*)", line).group(1).split()
jitter = float(numbers[-2 if numbers[-1].replace(".", "").isdigit() else -3])
rtp = next(leg for leg in session["legs"] if leg["party"] == "caller")["rtp"]
loss = lost / (rtp["packets"] + lost)
r = 93.2 - 95 * 100 * loss / (100 * loss + 25.1)
mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6
print("  tshark: lost %d, mean jitter %.3f ms, MOS %.3f; rtpxd: %d, %.3f ms, %.3f" %
      (lost, jitter, mos, rtp["lost"], rtp["jitter_ms"], rtp["mos"]))
if rtp["lost"] != lost or abs(rtp["loss"] - loss) > 0.0006:
    sys.exit("the loss differs")
if not jitter / tolerance <= rtp["jitter_ms"] <= jitter * tolerance:
    sys.exit("the jitter differs")
if abs(rtp["mos"] - mos) > 0.002:
    sys.exit("the MOS differs")
' "$LAB_DIR/$1.streams" "$2" "$TO_BOB" || fail "$1: figures of the call" rtpxd
	ok "$1: loss, jitter and MOS agree with tshark"
}

# Forwarded packets by path: all but the first few are the kernel's.
paths()
{
	local kernel sockets

	kernel=$(get /metrics | awk '/^rtpx_forwarded_packets_total.*path="kernel"/ { n += $2 } END { print n + 0 }')
	sockets=$(get /metrics | awk '/^rtpx_forwarded_packets_total.*path="sockets"/ { n += $2 } END { print n + 0 }')
	is $((kernel + sockets)) $((2 * PACKETS - LOSE)) "sum of packets by path"
	is "$(get /metrics | awk '/^rtpx_forwarded_bytes_total/ { n += $2 } END { print n + 0 }')" \
		$((52 * (2 * PACKETS - LOSE))) "sum of bytes by path"
	if [ "$1" = none ]; then
		is "$kernel" 0 "packets in the kernel"
	else
		[ "$kernel" -ge $((2 * PACKETS - LOSE - $(slower 40))) ] || fail "only $kernel packets in the kernel"
		[ "$(metric 'rtpx_forwarded_packets_total{path="kernel",interface="east"}')" -gt 1000 ] ||
			fail "the packets to bob do not count for the interface east"
	fi
	ok "$1: $kernel packets by the kernel, $sockets by the sockets"
}

# quality DATAPLANE TOLERANCE
quality()
{
	dataplane_options "$1"
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric \
		--metrics $WEB -d INFO "${DATAPLANE[@]}"
	floor_call rtpxd 198.51.100.10
	talk "$1"
	agrees "$1" "$2"
	paths "$1"
	is "$(rtpp rtpxd "D $CALL alice;1 bob;1")" 0 "reply to D"
	is "$(metric rtpx_ended_rtp_packets_lost_total)" $LOSE "lost packets in the metrics"
	is "$(metric 'rtpx_sessions_ended_total{reason="deleted"}')" 1 "ended sessions in the metrics"
	is "$(metric rtpx_ended_mos_count)" 2 "parties in the histogram of the MOS"
	grep -q "INFO:$CALL:.*session 1 ended after .*a D command ended it.*caller 192.0.2.10:4000: $((PACKETS - LOSE)) packets, $LOSE lost (2.50 %), jitter .* MOS 4.1.*callee 198.51.100.10:4000: $PACKETS packets, 0 lost .* % of all packets in the kernel" \
		"$LAB_DIR/rtpxd.log" || fail "no line of the ended call in the log" rtpxd
}

lint()
{
	get /metrics | promtool check metrics || fail "promtool complains about the metrics"
	[ "$(get /metrics | grep -v '^#' | cut -d' ' -f1 | sort | uniq -d | wc -l)" = 0 ] || fail "a metric stands twice"
	ok "promtool accepts the metrics"
	get /metrics | awk '$1 == "#" && $2 == "TYPE" { print $3 }' | sort >"$LAB_DIR/families"
	cat "$LAB_ROOT"/docs/monitoring/rtpx-{alerts.yml,dashboard.json} | grep -oE '\b(rtpx|process)_[a-z_]+' |
		sed -E 's/_(bucket|sum|count)$//' | sort -u >"$LAB_DIR/named"
	grep -vxFf <(printf '%s\n' rtpx_alerts rtpx_dashboard) "$LAB_DIR/named" | comm -23 - "$LAB_DIR/families" >"$LAB_DIR/unknown"
	[ ! -s "$LAB_DIR/unknown" ] || fail "dashboard or alert rules name metrics that a scrape lacks: $(paste -sd ' ' "$LAB_DIR/unknown")"
	ok "a scrape has all $(wc -l <"$LAB_DIR/named") metrics of the dashboard and the alert rules"
}

status_of() { in_ns alice curl -s -o /dev/null -w '%{http_code}' --max-time 20 "$@"; }

bad_requests()
{
	is "$(status_of http://$WEB/nothing)" 404 "status for an unknown path"
	is "$(status_of -X POST -d x http://$WEB/metrics)" 405 "status for POST"
	is "$(status_of -X DELETE http://$WEB/api/session?call_id=$CALL)" 405 "status for DELETE"
	is "$(status_of -H "X: $(printf '%9000s' y)" http://$WEB/)" 431 "status for a long request"
	is "$(status_of http://$WEB/api/session)" 400 "status for a request without its argument"
	is "$(status_of -0 http://$WEB/metrics)" 200 "status for HTTP/1.0"
	is "$(get "/api/session?call_id=%ff%22%3Cb%3E" | jq -c .)" '{"sessions":[],"next":null}' "answer for an unknown call"
	ok "bad requests get an answer"
}

# live - a call that goes on: the survey judges it, and rtpxctl top shows it.
live()
{
	local to_a to_b

	read -r to_a _ < <(rtpp rtpxd "Uie live-call 192.0.2.10 4020 alice;1")
	read -r to_b _ < <(rtpp rtpxd "Lie live-call 198.51.100.10 4020 alice;1 bob;1")
	lab_start bob live-bob "$SEND" 198.51.100.10 4020 198.51.100.1 "$to_a" 100000 0 0
	lab_start alice live-alice "$SEND" 192.0.2.10 4020 192.0.2.1 "$to_b" 100000 8000 0
	heard_both() { [ "$(metric 'rtpx_sessions_by_state{state="both_ways"}')" -ge 1 ]; }
	must_wait 30 "survey of the living call" heard_both
	judged() { [ "$(metric rtpx_live_mos_count)" -gt 1 ]; }
	must_wait 30 "quality of the living call" judged
	must_wait 30 "the call in rtpxctl top" top_shows
	top_on_terminal
	lab_stop live-alice KILL || :
	lab_stop live-bob KILL || :
	is "$(rtpp rtpxd "D live-call alice;1 bob;1")" 0 "reply to D"
}

# rtpxctl top, into a pipe and on a terminal that is 60 columns wide.
top_shows()
{
	rtpxctl rtpxd top >"$LAB_DIR/top.txt" && grep -qE "^sessions  [0-9]+: [1-9] both ways" "$LAB_DIR/top.txt" &&
		grep -q "loss .* %.*jitter" "$LAB_DIR/top.txt" && grep -qE "[0-9.]+ %.*caller  live-call\$" "$LAB_DIR/top.txt"
}
top_is_drawn() { grep -q $'\x1b\\[?1049h.*rtpx' "$LAB_DIR/top.tty"; }
top_is_gone() { grep -q $'\x1b\\[?1049l' "$LAB_DIR/top.tty"; }
top_on_terminal()
{
	in_ns relay timeout 30 script -qec "stty rows 12 columns 60; '$RTPX_BUILD/rtpxctl' --socket '$LAB_DIR/rtpxd.admin' top" \
		/dev/null < <(wait_for 10 "" top_is_drawn; printf q; wait_for 10 "" top_is_gone) >"$LAB_DIR/top.tty" ||
		fail "rtpxctl top on a terminal"
	grep -q $'\x1b\\[?1049h.*rtpx' "$LAB_DIR/top.tty" && grep -q $'\x1b\\[?1049l' "$LAB_DIR/top.tty" ||
		fail "rtpxctl top does not use the other screen"
	! tr -d '\r' <"$LAB_DIR/top.tty" | sed $'s/\x1b\\[[?0-9]*[A-Za-z]//g' | grep -qE '.{61}' ||
		fail "a line of rtpxctl top is too wide"
	ok "rtpxctl top draws on a terminal, and prints into a pipe"
}

# Names with any bytes: the JSON stays valid UTF-8.
any_bytes()
{
	local id=$'a\xff\xc3(<b>"\\'

	rtpp rtpxd "U $id 192.0.2.10 4010 t"$'\xfe' >/dev/null
	get /api/sessions | python3 -c '
import json, sys

sessions = json.loads(sys.stdin.buffer.read().decode("utf-8"))["sessions"]
sys.exit(not any(s["call_id"].startswith("a\ufffd\ufffd(<b>") for s in sessions))' ||
		fail "the JSON of odd names" rtpxd
	rtpp rtpxd "U esc"$'\x1b'"[2J 192.0.2.10 4012 t" >/dev/null
	LC_ALL=C rtpxctl rtpxd sessions >"$LAB_DIR/sessions.txt"
	! LC_ALL=C grep -q $'\x1b' "$LAB_DIR/sessions.txt" && grep -qF 'esc?[2J' "$LAB_DIR/sessions.txt" ||
		fail "rtpxctl prints what a terminal obeys"
	ok "the JSON of odd names is valid UTF-8, and rtpxctl prints them tame"
}

# Clients that say nothing are ended: after a while, and when there are too many.
slow_clients()
{
	in_ns alice python3 - "${WEB%:*}" "${WEB#*:}" <<-'END' || fail "slow clients" rtpxd
		import select, socket, sys, time

		def connect():
		    return socket.create_connection((sys.argv[1], int(sys.argv[2])))

		half = connect()
		half.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
		begin = time.monotonic()
		many = [connect() for _ in range(60)]
		late = connect()
		late.send(b"GET /api/history HTTP/1.1\r\nHost: x\r\n\r\n")
		assert late.recv(100).startswith(b"HTTP/1.1 200"), "no answer beside 60 silent clients"
		ended = [s for s in many if select.select([s], [], [], 0)[0]]
		assert 25 <= len(ended) <= 40, "%d of 60 silent clients were ended" % len(ended)
		rest = connect()
		rest.send(b"GET /metrics HTTP/1.1\r\n")
		begin = time.monotonic()
		while rest.recv(100):
		    pass
		took = time.monotonic() - begin
		assert took > 8, "a slow client lost its connection after %.1f s" % took
	END
	ok "slow clients lose their connections, others are served"
}

quality none 1.15
live
bad_requests
any_bytes
slow_clients
stop_rtpxd rtpxd west east
# The kernel times one packet in 64, so on a busy machine its mean jitter is rougher.
quality native 4
lint
stop_rtpxd rtpxd west east
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long=40
# shellcheck source-path=SCRIPTDIR
#
# restart_calls.sh - the next daemon has everything that belongs to the calls of the previous one: all ports of a crowd
# although copies take ports too, a packet length that was given before the answer, deadlines that make sense, counters
# that do not fall, and a pid file of its own.

. "$(dirname "$0")/floor_lib.sh"
CALLS=300 COPIES=20 TTL=60

lab_begin python3 jq
floor_net
STATE=$LAB_DIR/rtpxd.state

relay_start()
{
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -T $TTL "${DATAPLANE[@]}" "$@"
}
journal() { rtpxctl rtpxd --json status | jq -r ".journal.$1"; }
ends() { stop_rtpxd rtpxd west east; }

# next SIGNAL OPTION… - the daemon ends, the next one begins.
next()
{
	lab_stop rtpxd "$1" || [ "$1" = KILL ] || fail "rtpxd ended with status $?" rtpxd
	relay_start "${@:2}"
}

# ---- copies take ports, and calls had theirs before ----

# crowd FIRST LAST - calls with both legs; the first COPIES of them are copied to bob.
crowd()
{
	in_ns relay python3 - "$1" "$2" "$COPIES" <<-'EOF' || fail "the calls cannot be set up" rtpxd
		import socket, sys
		first, last, copies = map(int, sys.argv[1:])
		sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		sock.connect(("127.0.0.1", 7722))
		sock.settimeout(10)
		def ask(number, command):
		    cookie = "crowd-%s-%d" % (command[0], number)
		    sock.send(f"{cookie} {command}".encode())
		    reply = sock.recv(2048).decode().split()
		    assert reply[0] == cookie and reply[1] != "0" and not reply[1].startswith("E"), (command, reply)
		for n in range(first, last):
		    ask(n, f"Uie crowd-{n} 192.0.2.10 {10000 + 2 * n} a")
		    ask(n, f"Lie crowd-{n} 198.51.100.10 {10000 + 2 * n} a b")
		    if n < copies:
		        cookie = f"copy-{n}"
		        sock.send(f"{cookie} C crowd-{n} udp:198.51.100.10:{6000 + 2 * n} a b".encode())
		        assert sock.recv(2048).decode().split() == [cookie, "0"]
	EOF
}

# Two pairs a call and one a copy fit, and few more.
LAST_PORT=$((20000 + 2 * (2 * CALLS + COPIES + 10) - 1))
for signal in PWR KILL; do
	DATAPLANE=(--dataplane none -m 20000 -M $LAST_PORT)
	relay_start
	crowd 0 $CALLS
	next $signal
	is "$(journal restored) $(journal lost)" "$CALLS 0" "number of calls that came back and were lost ($signal)"
	is "$(active_sessions rtpxd)" $CALLS "number of sessions ($signal)"
	copies=$(rtpxctl rtpxd --json sessions | jq '[.[].legs[] | select(.recorded_to // "" | startswith("udp:"))] | length')
	is "$copies" $COPIES "number of copies ($signal)"
	ends
	ok "$CALLS calls and $COPIES copies come back after $signal, with $((LAST_PORT + 1 - 20000)) ports"
done

# ---- of two records that have one port, the newer one counts ----

DATAPLANE=(--dataplane none -m 20000 -M 20007)
relay_start
rtpp rtpxd "Uie stale 192.0.2.10 4000 a" >/dev/null
STALE=$(rtpp rtpxd "Lie stale 198.51.100.10 4000 a b")
lab_stop rtpxd KILL || :
cp "$STATE/journal.mdb" "$LAB_DIR/stale.mdb"
relay_start
rtpp rtpxd "D stale a b" >/dev/null
# A call that gets the same port when it has rested; until then there may be no port at all.
n=0 got=
until [ "$got" = "${STALE%% *}" ]; do
	n=$((n + 1))
	[ $n -lt 100 ] || fail "the port of the call that has ended is not given out again" rtpxd
	rtpp rtpxd "D live-$((n - 1)) a b" >/dev/null
	rtpp rtpxd "Uie live-$n 192.0.2.10 5000 a" >/dev/null
	read -r got _ < <(rtpp rtpxd "Lie live-$n 198.51.100.10 5000 a b")
done
lab_stop rtpxd KILL || :
# A damaged file in which both records can be found: the old one in front, or behind.
for order in "stale journal" "journal stale"; do
	cp "$STATE/journal.mdb" "$LAB_DIR/journal.mdb"
	{
		head -c 8192 /dev/zero
		for part in $order; do tail -c +4097 "$LAB_DIR/$part.mdb"; done
	} >"$STATE/journal.mdb.damaged"
	mv "$STATE/journal.mdb.damaged" "$STATE/journal.mdb"
	relay_start
	is "$(rtpxctl rtpxd --json sessions | jq -r --arg live "live-$n" '[.[].call_id | select(. == $live or . == "stale")] | join(" ")')" \
		"live-$n" "which of the two calls is there (records: $order)"
	grep -q "call stale: not restored, a newer record has its port" "$LAB_DIR/rtpxd.log" || fail "no word of the stale record" rtpxd
	lab_stop rtpxd KILL || :
	cp "$LAB_DIR/journal.mdb" "$STATE/journal.mdb"
done
relay_start
ends
ok "a stale record of a damaged journal does not take the port of a call that lives"

# ---- z before the answer ----

DATAPLANE=(--dataplane none)
relay_start
rtpp rtpxd "Uiez40 $CALL 192.0.2.10 4000 alice;1" >/dev/null
next KILL
floor_call_answer() { read -r TO_BOB _ < <(rtpp rtpxd "Liez40 $CALL 198.51.100.10 4000 alice;1 bob;1"); }
packet_ms() { rtpxctl rtpxd --json session $CALL | jq -c '[.[0].legs[].packet_ms]'; }
rtpp rtpxd "Lie $CALL 198.51.100.10 4000 alice;1 bob;1" >/dev/null
is "$(packet_ms)" "[40,null]" "packet lengths in ms towards the caller and the callee"
ends
ok "a packet length of the first command holds after a restart"

# ---- deadlines ----

# The clock of this namespace is ahead by more than a day.
LAB_WRAP=(unshare --time --monotonic 100000 --boottime 100000)
if "${LAB_WRAP[@]}" true 2>/dev/null; then
	relay_start
	floor_call rtpxd 198.51.100.10
	LAB_WRAP=()
	next PWR
	left=$(rtpxctl rtpxd --json session $CALL | jq '.[0].ttl_s')
	[ "$left" -le $TTL ] && [ "$left" -gt 0 ] || fail "a time to live of $left s after leaving a time namespace" rtpxd
	LAB_WRAP=(unshare --time --monotonic 100000 --boottime 100000)
	next KILL
	left=$(rtpxctl rtpxd --json session $CALL | jq '.[0].ttl_s')
	[ "$left" -le $TTL ] && [ "$left" -gt 0 ] || fail "a time to live of $left s after entering a time namespace" rtpxd
	ends
	ok "no deadline is further away than a time to live"
fi
LAB_WRAP=()

# ---- counters ----

COUNTERS="nsess_created nsess_destroyed nsess_complete npkts_rcvd npkts_relayed npkts_discard npkts_recorded ncmds_rcvd ncmds_succd"
counters() { rtpp rtpxd "G $COUNTERS"; }

# none_fell BEFORE AFTER
none_fell()
{
	local before=($1) after=($2) names=($COUNTERS) i

	for i in "${!names[@]}"; do
		[ "${after[i]}" -ge "${before[i]}" ] || fail "${names[i]} was ${before[i]}, and is ${after[i]} after the restart" rtpxd
	done
}

# counted - of all packets that streams of the call have: relayed, or of a stranger.
counted() { rtpxctl rtpxd --json why $CALL | jq '[.[] | .packets + .strangers] | add'; }
more_than() { [ "$(rtp_of caller packets)" -gt "$1" ]; }

for plane in native none; do
	dataplane_options $plane
	mkdir -p "$LAB_DIR/rec"
	for signal in KILL PWR; do
		relay_start -r "$LAB_DIR/rec"
		floor_call rtpxd 198.51.100.10
		rtpp rtpxd "R $CALL alice;1" >/dev/null
		floor_talk 6 198.51.100.10 198.51.100.1 1
		[ $plane = none ] || must_wait 10 "both directions in the kernel" both_in_kernel
		must_wait 10 "packets of the caller" more_than 50
		# One call more that ends immediately before.
		rtpp rtpxd "Uie short 192.0.2.10 5000 a" >/dev/null
		rtpp rtpxd "Lie short 198.51.100.10 5000 a b" >/dev/null
		before=$(counters)
		destroyed=$(counter nsess_destroyed)
		rtpp rtpxd "D short a b" >/dev/null
		for n in 1 2 3; do
			rtpp rtpxd "Uie late-$n 192.0.2.10 6000 a" >/dev/null
		done
		next $signal -r "$LAB_DIR/rec"
		none_fell "$before" "$(counters)"
		is "$(counter nsess_destroyed)" $((destroyed + 1)) "number of sessions that have ended ($plane, $signal)"
		is "$(counter nsess_created)" 5 "number of sessions that have begun ($plane, $signal)"
		floor_talked 20
		none_fell "$before" "$(counters)"
		if [ $plane = native ]; then
			is "$(counter npkts_rcvd)" "$(counted)" "packets in the counters, of those in the call's statistics ($signal),"
			is "$(rtp_of caller packets)" "$(heard alice .sent)" "packets of alice ($signal)"
		fi
		ends
		ok "$plane, $signal: no counter falls"
	done
done

# ---- a command that is sent again ----

DATAPLANE=(--dataplane none)
relay_start
# again COOKIE COMMAND - the same bytes.
again() { in_ns relay bash -c 'exec 3<>/dev/udp/127.0.0.1/7722; printf "%s" "$1" >&3; timeout 2 dd bs=4096 count=1 status=none <&3' again "$*"; }
again c1 Uie again 192.0.2.10 4000 a >/dev/null
first=$(again c2 Uien again 192.0.2.10 4000 a)
gone=$(again c3 D other a)
next PWR
is "$(again c2 Uien again 192.0.2.10 4000 a)" "$first" "reply to a command that is sent again after SIGPWR"
is "$(again c3 D other a)" "$gone" "reply to another one"
is "$(counter ncmds_rcvd_ndups)" 2 "number of duplicates"
[ "$(again c4 Uien again 192.0.2.10 4000 a)" != "${first/c2/c4}" ] || fail "a new command gives no new port" rtpxd
ends
ok "a command that is sent again after SIGPWR is answered, not executed again"

# ---- notifications that wait ----

cat >"$LAB_DIR/controller.py" <<-'EOF'
	import socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.bind(sys.argv[1])
	s.listen()
	for line in s.accept()[0].makefile():
	    print(line, end="", flush=True)
EOF
# A controller that is not there yet: what timed out before the restart is told afterwards, once, and in order.
for signal in KILL PWR; do
	DATAPLANE=(--dataplane none)
	sock=$LAB_DIR/controller
	relay_start -T 1 -W 1 -n "unix:$sock"
	for n in 1 2; do
		rtpp rtpxd "U waits-$n 192.0.2.10 4000 a unix:$sock tag-$n" >/dev/null
	done
	timed_out() { [ "$(counter nsess_timeout)" = 2 ]; }
	must_wait 10 "time-outs" timed_out
	next $signal -T 1 -W 1 -n "unix:$sock"
	is "$(rtpxctl rtpxd --json status | jq "[.notify[].queued] | add")" 2 "number of notifications that wait ($signal)"
	lab_start relay controller python3 "$LAB_DIR/controller.py" "$sock"
	told_both() { [ "$(wc -l <"$LAB_DIR/controller.log")" -ge 2 ]; }
	LAB_BLAME="controller rtpxd" must_wait 20 "notifications" told_both
	is "$(sort "$LAB_DIR/controller.log" | xargs)" "tag-1 tag-2" "what the controller was told ($signal)"
	is "$(rtpxctl rtpxd --json status | jq "[.notify[].queued] | add")" 0 "number of notifications that wait"
	lab_stop controller KILL || :
	rm "$sock"
	next KILL -T 1 -W 1 -n "unix:$sock"
	is "$(rtpxctl rtpxd --json status | jq "[.notify[].queued] | add")" 0 "number of notifications after they were delivered"
	ends
	ok "$signal: notifications that wait are sent by the next daemon"
done

# ---- the pid file ----

DATAPLANE=(--dataplane none)
relay_start
PID=$(cat "$LAB_DIR/rtpxd.pid")
in_ns relay "$RTPX_BUILD/rtpxd" -f -F -s udp:127.0.0.1:7724 -p "$LAB_DIR/rtpxd.pid" --dataplane none --state-dir "$STATE" \
	--admin-socket "$LAB_DIR/second.admin" -l 192.0.2.1 >"$LAB_DIR/second.log" 2>&1 && fail "a second daemon has begun" second
is "$(cat "$LAB_DIR/rtpxd.pid")" "$PID" "the pid file after a second daemon was refused"
lab_start relay second "$RTPX_BUILD/rtpxd" -f -F -s udp:127.0.0.1:7724 -p "$LAB_DIR/rtpxd.pid" --dataplane none --state-dir none \
	--admin-socket "$LAB_DIR/second.admin" -l 192.0.2.1
LAB_BLAME=second must_wait 10 "word about the pid file" grep -q "another process uses it; give this one another -p" "$LAB_DIR/second.log"
LAB_CTL[second]="127.0.0.1 7724" LAB_NS[second]=relay
must_wait 10 "answer of the second daemon" rtpxd_answers second
lab_stop second || fail "the end of the second daemon" second
is "$(cat "$LAB_DIR/rtpxd.pid")" "$PID" "the pid file after another daemon has ended"
mv "$LAB_DIR/rtpxd.pid" "$LAB_DIR/old.pid"
echo 1 >"$LAB_DIR/rtpxd.pid"
lab_stop rtpxd || fail "the end" rtpxd
is "$(cat "$LAB_DIR/rtpxd.pid")" 1 "a pid file of that name that somebody else has made"
ok "a pid file is only removed by the daemon that wrote it"
pass

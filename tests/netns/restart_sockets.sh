#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# restart_sockets.sh - a restart by hand: SIGPWR to the one, and the next one is started at once, or somewhat later. Two
# controllers go on sending commands, over UDP and over a unix socket. None is refused, all are answered. Without SIGPWR,
# after SIGKILL, the next daemon begins none the less.

. "$(dirname "$0")/floor_lib.sh"
CALLS=1500 GAPS="0 0.02 0.1 1"
CLIENT=$LAB_ROOT/tests/lib/control_client.py

lab_begin python3 jq
floor_net

daemon_start()
{
	lab_start relay rtpxd "$RTPX_BUILD/rtpxd" -f -F -s udp:127.0.0.1:7722 -s "unix:$LAB_DIR/control.sock" \
		-s "cunix:$LAB_DIR/lines.sock" -p "$LAB_DIR/rtpxd.pid" -l 192.0.2.1/198.51.100.1 -m 10000 -M 59999 --dataplane none \
		-T 3600 -W 3600 --admin-socket "$LAB_DIR/rtpxd.admin" --state-dir "$LAB_DIR/state" "$@"
}
LAB_NS[rtpxd]=relay LAB_CTL[rtpxd]="127.0.0.1 7722"

relay_start()
{
	daemon_start "$@"
	LAB_BLAME=rtpxd must_wait 30 "answer from rtpxd" rtpxd_answers rtpxd
}

restored() { rtpxctl rtpxd --json status | jq .journal.restored; }
holder() { in_ns relay ss -Hlunp "sport = :7722" | grep rtpxd-sockets; }
not_held() { ! holder; }

# clients_start, clients_end WHAT - nobody was refused, all were answered.
clients_start()
{
	lab_start relay udp "$CLIENT" udp:127.0.0.1:7722 100
	lab_start relay unix "$CLIENT" "unix:$LAB_DIR/control.sock" 100
	for kind in udp unix; do
		LAB_BLAME=$kind must_wait 10 "command over $kind" grep -q begun "$LAB_DIR/$kind.log"
	done
}

# client KIND FILTER - what the controller said at its end.
client() { tail -n 1 "$LAB_DIR/$1.log" | jq -r "$2"; }

clients_end()
{
	for kind in udp unix; do
		kill -TERM "${LAB_PID[$kind]}"
		lab_wait 20 $kind || fail "the $kind controller ($1)" rtpxd $kind
		is "$(client $kind '"\(.refused) \(.unanswered)"')" "0 0" "commands over $kind that were refused or not answered ($1)"
		[ "$(client $kind .commands)" -gt 0 ] || fail "no command over $kind"
	done
	ok "$1: $(client udp '"\(.answered) of \(.commands) commands over udp answered, the slowest after \(.slowest_ms) ms"'), $(
		client unix '"over unix \(.answered) of \(.commands), \(.slowest_ms) ms"')"
}

relay_start
floor_crowd rtpxd $CALLS

for gap in $GAPS; do
	clients_start
	old=${LAB_PID[rtpxd]}
	kill -PWR "$old"
	sleep "$gap"
	daemon_start
	must_wait 30 "end of the previous rtpxd" lab_gone "$old"
	LAB_BLAME=rtpxd must_wait 30 "answer from the next rtpxd" rtpxd_answers rtpxd
	is "$(restored)" $CALLS "number of calls that came back (a gap of $gap s)"
	clients_end "SIGPWR, next rtpxd after $gap s"
	must_wait 5 "end of the child that held the sockets" not_held
	wait "$old" || fail "the previous rtpxd ended with status $?"
done

# A start that fails does not cost the sockets.
clients_start
lab_stop rtpxd PWR || fail "rtpxd ended with status $?" rtpxd
for wrong in "-s udp:203.0.113.1:7722" "-n tcp:nowhere" "-m 20000 -M 20009"; do
	daemon_start $wrong
	lab_wait 20 rtpxd && fail "rtpxd has begun with $wrong"
done
relay_start
clients_end "SIGPWR, starts with wrong options that fail, and the right one"
is "$(restored)" $CALLS "number of calls that came back after a start that failed"

for gap in 0 0.02 0.1; do
	old=${LAB_PID[rtpxd]}
	kill -KILL "$old"
	sleep "$gap"
	relay_start
	wait "$old" 2>/dev/null || :
	is "$(restored)" $CALLS "number of calls that came back after SIGKILL (a gap of $gap s)"
done
ok "after SIGKILL the next rtpxd begins, whenever it is started"

# A second one does not take anything from the first.
daemon_second() { in_ns relay "$RTPX_BUILD/rtpxd" -f -F -s udp:127.0.0.1:7722 -p /dev/null --dataplane none --state-dir "$LAB_DIR/state" >"$LAB_DIR/second.log" 2>&1; }
clients_start
daemon_second && fail "a second rtpxd has begun"
grep -q "another rtpxd uses $LAB_DIR/state" "$LAB_DIR/second.log" || fail "no word of the first rtpxd" second
clients_end "a second rtpxd is refused"

# An end is an end: nobody holds the sockets, and nothing is left.
lab_stop rtpxd || fail "rtpxd ended with status $?" rtpxd
not_held || fail "the sockets are held after SIGTERM"
[ ! -e "$LAB_DIR/control.sock" ] && [ ! -e "$LAB_DIR/state/handover" ] && [ ! -e "$LAB_DIR/state/journal.mdb" ] ||
	fail "left after SIGTERM: $(ls "$LAB_DIR" "$LAB_DIR/state")"
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long
#
# drain.sh - the runbook of docs/drain.md with a real Kamailio: two rtpxd of one set are drained,
# stopped and started again one after the other, and no new call is lost. A relay that is only
# drained loses calls, because Kamailio asks no other relay after an error.

AUDIO_MS=400
. "$(dirname "$0")/lib.sh"

#    alice        bob          proxy      relay1        relay2
#   90.0.0.21   90.0.0.22    90.0.0.1    90.0.0.11     90.0.0.12
#       │           │            │           │             │
#   ────┴───────────┴────────────┴─── lan ───┴─────────────┴────   90.0.0.0/24
sip_begin kamcmd
sip_lan alice:21 bob:22 proxy:1 relay1:11 relay2:12
CTL=$LAB_DIR/ctl

relay_start()
{
	start_rtpxd "relay$1" "rtpxd$1" "90.0.0.1$1" 7722 -l "90.0.0.1$1" -m 20000 -M 21000 -T 3
}

# call RELAY… - one call, by whichever of these relays (last numbers of their addresses); sets USED to the one.
call()
{
	local expected=" $* "

	sip_call alice 90.0.0.21 bob bob 90.0.0.22 90.0.0.1 90.0.0.1
	USED=$(sdp_received callee 90.0.0.1 | sed -n '1s/^90\.0\.0\.\([0-9]*\) .*/\1/p')
	[[ $expected == *" $USED "* ]] || fail "the call went to relay '$USED', not to one of$expected" kamailio
	check_audio caller 90.0.0.21 callee 90.0.0.22
	check_audio callee 90.0.0.22 caller 90.0.0.21
	CALLS=$((${CALLS:-0} + 1))
	say "ok: a call by 90.0.0.$USED, audio both ways bit for bit"
}
LAB_QUIET=1

kamailio_rpc() { in_ns proxy kamcmd -s "unixs:$CTL" "$@"; }
state_of() { kamailio_rpc rtpproxy.list 2>&1 | tr -d '\n'; }

# out_of_service RELAY - steps 1 to 4 of the runbook.
out_of_service()
{
	kamailio_rpc rtpproxy.enable "udp:90.0.0.1$1:7722" 0 >"$LAB_DIR/rpc.log" 2>&1 ||
		fail "Kamailio does not disable relay $1: $(state_of)" kamailio rpc
	rtpxctl "rtpxd$1" drain >"$LAB_DIR/drain.log" || fail "rtpxctl drain" drain
	grep -q "draining" "$LAB_DIR/drain.log" || fail "drain does not say so" drain
	rtpxctl "rtpxd$1" status | grep -q "draining" || fail "status does not show it"
	rtpxctl "rtpxd$1" doctor >"$LAB_DIR/doctor.log" || :
	grep -q "^warning  admission .*draining" "$LAB_DIR/doctor.log" || fail "doctor does not show it" doctor
}

back_in_service()
{
	LAB_BLAME="rtpxd$1" must_wait 10 "end of the sessions of relay $1" no_sessions "rtpxd$1"
	stop_rtpxd "rtpxd$1" eth0
	relay_start "$1"
	kamailio_rpc rtpproxy.enable "udp:90.0.0.1$1:7722" 1 >"$LAB_DIR/rpc.log" 2>&1 ||
		fail "Kamailio does not enable relay $1: $(state_of)" kamailio rpc
}

relay_start 1
relay_start 2
start_kamailio proxy "$SIP_DIR/several.cfg" 90.0.0.1 -l udp:90.0.0.1:5060 \
	-A 'RELAYS="udp:90.0.0.11:7722 udp:90.0.0.12:7722"' -A "CTL=\"unixs:$CTL\""
sip_register bob bob 90.0.0.22 90.0.0.1

seen=
for ((calls = 1; calls <= 12; calls++)); do
	call 11 12
	seen="$seen $USED"
	[[ $seen != *11* || $seen != *12* ]] || break
done
[[ $seen == *11* && $seen == *12* ]] || fail "12 calls used only relay$seen" kamailio

out_of_service 1
for ((calls = 0; calls < 3; calls++)); do call 12; done
back_in_service 1
out_of_service 2
for ((calls = 0; calls < 3; calls++)); do call 11; done
back_in_service 2
call 11 12

for n in 1 2; do
	[ "$(rtpp "rtpxd$n" "G nsess_drained")" = 0 ] || fail "Kamailio asked the drained relay $n for a new call"
done
stop_rtpxd rtpxd1 eth0
stop_rtpxd rtpxd2 eth0
pass "$CALLS of $CALLS calls while two relays were out of service one after the other"

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long
#
# several.sh - Kamailio with a set of two rtpxd. Calls use both; one rtpxd is killed; every new call is carried by the
# other, with audio both ways.

AUDIO_MS=600
. "$(dirname "$0")/lib.sh"

#    alice        bob          proxy      relay1        relay2
#   90.0.0.21   90.0.0.22    90.0.0.1    90.0.0.11     90.0.0.12
#       │           │            │           │             │
#   ────┴───────────┴────────────┴─── lan ───┴─────────────┴────   90.0.0.0/24
sip_begin
sip_lan alice:21 bob:22 proxy:1 relay1:11 relay2:12

# call RELAY… - one call, by whichever of these relays (last numbers of their addresses); sets USED to the one.
call()
{
	local expected=" $* "

	sip_call alice 90.0.0.21 bob bob 90.0.0.22 90.0.0.1 90.0.0.1
	USED=$(sdp_received callee 90.0.0.1 | sed -n '1s/^90\.0\.0\.\([0-9]*\) .*/\1/p')
	[[ $expected == *" $USED "* ]] || fail "the call went to relay '$USED', not to one of$expected" kamailio
	check_sdp callee 90.0.0.1 "90.0.0.$USED"
	check_sdp caller 90.0.0.1 "90.0.0.$USED"
	check_audio caller 90.0.0.21 callee 90.0.0.22
	check_audio callee 90.0.0.22 caller 90.0.0.21
	say "ok: a call by 90.0.0.$USED, audio both ways bit for bit"
}
LAB_QUIET=1

start_rtpxd relay1 rtpxd1 90.0.0.11 7722 -l 90.0.0.11 -m 20000 -M 21000
start_rtpxd relay2 rtpxd2 90.0.0.12 7722 -l 90.0.0.12 -m 20000 -M 21000
start_kamailio proxy "$SIP_DIR/several.cfg" 90.0.0.1 -l udp:90.0.0.1:5060 \
	-A 'RELAYS="udp:90.0.0.11:7722 udp:90.0.0.12:7722"'
sip_register bob bob 90.0.0.22 90.0.0.1

# Kamailio chooses by a hash of the call-id: a few calls until both have been used.
seen=
for ((calls = 1; calls <= 12; calls++)); do
	call 11 12
	seen="$seen $USED"
	[[ $seen != *11* || $seen != *12* ]] || break
done
[[ $seen == *11* && $seen == *12* ]] || fail "12 calls used only relay$seen" kamailio
say "killing 90.0.0.11"

lab_stop rtpxd1 KILL || :
for ((calls = 0; calls < 4; calls++)); do
	call 12
done
LAB_BLAME=rtpxd2 must_wait 2 "end of the sessions after BYE" no_sessions rtpxd2
stop_rtpxd rtpxd2 eth0
pass "4 of 4 calls after the death of one relay went to the other"

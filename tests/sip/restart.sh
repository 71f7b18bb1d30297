#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long
#
# restart.sh - two phones behind NATs talk through Debian's Kamailio with the configuration that it ships; rtpxd is killed
# in the middle of the call. Nobody hears it, and the BYE ends the session of the next rtpxd.

AUDIO_MS=8000
. "$(dirname "$0")/lib.sh"

sip_begin
shipped_config
lab_nat_net
dataplane_options native

relay_start() { start_rtpxd relay rtpxd 127.0.0.1 7722 -l 90.0.0.1 -m 20000 -M 21000 "${DATAPLANE[@]}"; }

relay_start
start_kamailio relay "$SHIPPED" 90.0.0.1 -A WITH_NAT
sip_register alice alice 10.0.0.180 90.0.0.1
sip_register bob bob 10.20.0.40 90.0.0.1

during_call()
{
	check_flows rtpxd native
	lab_stop rtpxd KILL || :
	sleep 1
	relay_start
	check_flows rtpxd native
	[ "$(rtpxctl rtpxd --json status | jq .journal.restored)" = 1 ] || fail "the call did not come back" rtpxd
}
sip_call alice 10.0.0.180 bob bob 10.20.0.40 90.0.0.1 90.0.0.1
LAB_BLAME=rtpxd must_wait 2 "end of the session after BYE" no_sessions rtpxd
ok "the BYE has ended the session of the next rtpxd"
check_audio caller 10.0.0.180 callee 10.20.0.40
check_audio callee 10.20.0.40 caller 10.0.0.180
stop_rtpxd rtpxd eth0
pass

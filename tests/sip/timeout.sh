#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# timeout.sh xmlrpc|jsonrpc none|kmod|generic|native - a caller falls silent in the middle of a call. The relay sees
# that in the kernel's counters and asks Kamailio to end the call; Kamailio sends BYE to both phones. With XML-RPC,
# Kamailio names the target in the re-INVITE (timeout_socket); with JSON-RPC nobody does, so the first of -n is asked.

TTL=2
AUDIO_MS=$((TTL * 1000 + 2500))	# longer than the time to live: only the kernel's packets keep the call alive
rpc=${1:?xmlrpc or jsonrpc}
dataplane=${2:?none, kmod, generic or native}
. "$(dirname "$0")/lib.sh"
LAB_TEST="timeout $rpc $dataplane"
declare -A MODULE=([xmlrpc]=xmlrpc [jsonrpc]=jsonrpcs) SAY=([xmlrpc]="-A WITH_XMLRPC" [jsonrpc]=)
declare -A TARGETS=([xmlrpc]="-n jsonrpc:http://127.0.0.1:9/nobody -n xmlrpc:http://127.0.0.1:8080/RPC2"
	[jsonrpc]="-n jsonrpc:http://127.0.0.1:8080/RPC -n xmlrpc:http://127.0.0.1:9/nobody")

#    alice        bob          relay: kamailio, rtpxd
#   90.0.0.21   90.0.0.22        90.0.0.1
#       │           │               │
#   ────┴───────────┴─── lan ───────┴────   90.0.0.0/24
sip_begin
ls /usr/lib/*/kamailio/modules/"${MODULE[$rpc]}.so" >/dev/null 2>&1 || skip "no module ${MODULE[$rpc]} of Kamailio"
"$SIP_DIR/sweep.py" "$LAB_DIR/callee.ulaw" 30000 3400 2000 # the callee goes on talking
sip_lan alice:21 bob:22 relay:1

dataplane_options "$dataplane"
# shellcheck disable=SC2086
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 90.0.0.1 -m 20000 -M 21000 -i -T "$TTL" -W 30 ${TARGETS[$rpc]} "${DATAPLANE[@]}"
[ "$(rtpp rtpxd VF 20081224)$(rtpp rtpxd VF 20100819)" = 11 ] || fail "VF does not say that this relay notifies" rtpxd
# shellcheck disable=SC2086
start_kamailio relay "$SIP_DIR/timeout.cfg" 90.0.0.1 -l udp:90.0.0.1:5060 ${SAY[$rpc]}
sip_register bob bob 90.0.0.22 90.0.0.1

capture alice eth0 caller udp
capture bob eth0 callee udp
sipp_start bob callee timeout_callee 90.0.0.22 90.0.0.1 -s bob
must_wait 5 "SIP port at the callee" udp_open bob 5060
sipp_start alice caller timeout_caller 90.0.0.21 90.0.0.1 -s bob
check_flows rtpxd "$dataplane"
[ "$(active_sessions rtpxd)" = 1 ] || fail "$(active_sessions rtpxd) sessions after a re-INVITE, not 1" rtpxd

lab_wait 25 caller || fail "the caller got no BYE" caller rtpxd kamailio
lab_wait 10 callee || fail "the callee got no BYE" callee rtpxd kamailio
capture_end caller 'CSeq: [0-9]* BYE'
capture_end callee 'CSeq: [0-9]* BYE'

# bye_at CAPTURE - when Kamailio's BYE arrived at this phone.
bye_at()
{
	tshark -r "$LAB_DIR/$1.pcap" -Y 'sip.Method == "BYE" && ip.src == 90.0.0.1' -T fields -e frame.time_epoch 2>/dev/null |
		head -n 1
}

last_rtp_from() # CAPTURE ADDRESS
{
	tshark -r "$LAB_DIR/$1.pcap" -Y "rtp && ip.src == $2" -T fields -e frame.time_epoch 2>/dev/null | tail -n 1
}

for phone in caller callee; do
	[ -n "$(bye_at $phone)" ] || fail "the proxy sent no BYE to the $phone" kamailio rtpxd
done
silent=$(last_rtp_from caller 90.0.0.21)
awk -v silent="$silent" -v bye="$(bye_at caller)" -v ttl="$TTL" 'BEGIN { exit !(bye - silent >= ttl) }' ||
	fail "BYE at $(bye_at caller), but the caller was silent only since $silent" rtpxd
awk -v last="$(last_rtp_from callee 90.0.0.22)" -v silent="$silent" 'BEGIN { exit !(last - silent >= 1) }' ||
	fail "the callee was silent too: the test itself is broken"
ok "BYE to both phones $(awk -v a="$silent" -v b="$(bye_at caller)" 'BEGIN { printf "%.1f", b - a }') s after one fell silent (-T $TTL)"

check_audio caller 90.0.0.21 callee 90.0.0.22
no_sessions rtpxd || fail "a session is left" rtpxd
[ "$(stat rtpxd .relay.nsess_timeout)" = 1 ] || fail "not one session has timed out" rtpxd
stat rtpxd '.notify | .sent == 1 and .queued + .refused + .lost + .overflow + .retries == 0' >/dev/null ||
	fail "the notification: $(stat rtpxd .notify)" rtpxd kamailio
stop_rtpxd rtpxd eth0
pass "ended by $rpc"

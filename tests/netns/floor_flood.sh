#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# floor_flood.sh - who floods media ports starves neither the control channel nor other calls: the
# daemon's sockets carry a call while somebody sends all that he can to other ports of the relay.

. "$(dirname "$0")/floor_lib.sh"
TALK_S=4 MEDIAN_MS=100
LOST=2 # of 200: the kernel's queues in front of the daemon are shared with the flood

lab_begin python3 jq
floor_net

# Mallory has a link of her own to the relay, so what the call loses is not lost on a full wire.
lab_ns mallory
lab_link mallory eth0 relay south
lab_addr mallory eth0 203.0.113.66/24
lab_addr relay south 203.0.113.1/24
ip_in mallory route add 192.0.2.1 via 203.0.113.1

start_rtpxd relay rtpxd 192.0.2.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric --dataplane none
floor_call rtpxd 198.51.100.10

# Twenty more calls: their ports are what is flooded, besides alice's own RTCP port.
ports=$((TO_BOB + 1))
for i in {1..20}; do
	rtpp rtpxd "Uie other$i 192.0.2.11 4000 alice;1" >/dev/null
	read -r port _ < <(rtpp rtpxd "Lie other$i 198.51.100.11 4000 alice;1 bob;1")
	ports=$ports,$port
done

floor_talk $TALK_S 198.51.100.10 198.51.100.1
lab_start mallory flood "$LAB_ROOT/tests/lib/flood.py" 192.0.2.1 "$ports" 7722 $TALK_S
floor_talked $((TALK_S + 10))
lab_wait 10 flood || fail "the flood ended badly" flood

flood() { jq -r ".$1 | if . then ceil else 9999 end" "$LAB_DIR/flood.log"; }
say "$(flood flooded) packets in $TALK_S s"
say "$(flood asked) commands, answered in $(flood median_ms) ms, at worst $(flood worst_ms) ms"
lab_load
[ $(($(flood flooded) * LOAD / 100)) -gt 50000 ] || fail "only $(flood flooded) packets are no flood"
[ $(($(flood asked) * LOAD / 100)) -gt 50 ] || fail "only $(flood asked) commands were asked"
is "$(flood unanswered)" 0 "number of commands unanswered after a second"
[ "$(flood median_ms)" -le $((MEDIAN_MS * LOAD / 100)) ] || fail "half the commands took longer than $MEDIAN_MS ms"
for i in alice bob; do
	is "$(heard $i '"\(.sent) \(.wrong)"')" "$((TALK_S * 50)) 0" "what $i sent and heard wrong"
	[ "$(heard $i .lost)" -le $((LOST * LOAD / 100)) ] || fail "$i lost $(heard $i .lost) packets of the call"
done
[ $(($(counter npkts_discard) * LOAD / 100)) -gt 10000 ] || fail "hardly any of the flood reached the daemon"
stop_rtpxd rtpxd west east south
pass

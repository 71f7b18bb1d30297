#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# floor_by_port.sh - with shared sockets, a routing rule that names a port comes during a call. The kernel must see the
# ports of packets then, so each port sends from a socket of its own, and the rule holds for the call. It is the
# same with a rule that was there before the call, and new calls need no descriptors after the rules have gone.

. "$(dirname "$0")/floor_lib.sh"
MOST_S=600

lab_begin python3 jq
floor_net
dataplane_options none
RTPX_PORT_SOCKETS='' start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric \
	--port-sockets shared "${DATAPLANE[@]}"
own_sockets() { rtpxctl rtpxd --json stats | jq .floor.own; }
errors() { rtpxctl rtpxd --json stats | jq .floor.send_errors; }
refused_since() { [ "$(errors)" -gt "$1" ]; }
by_port() { [ "$(own_sockets)" -gt 0 ]; }
bob_hears() { [ "$(counter npkts_relayed)" -gt "$1" ] && [ "$(errors)" = "$2" ]; }

floor_call rtpxd 198.51.100.10
floor_talk $MOST_S 198.51.100.10 198.51.100.1
must_wait 5 "packets of the call" bob_hears 20 0
is "$(own_sockets)" 0 "descriptors of the ports"

rule=(pref 100 ipproto udp sport "$TO_ALICE" prohibit)
ip_in relay rule add "${rule[@]}"
must_wait 5 "sockets of the ports" by_port
must_wait 5 "packets that the rule prohibits" refused_since 0
ok "a rule by port holds for a call that was there before"

ip_in relay rule del "${rule[@]}"
relayed_again() { local n; n=$(errors); sleep 0.2; [ "$(errors)" = "$n" ]; }
must_wait 5 "the call without the rule" relayed_again
ok "and ends with the rule"

floor_hang_up
rtpp rtpxd "D $CALL alice;1 bob;1" >/dev/null
no_own() { [ "$(own_sockets)" = 0 ]; }
must_wait 5 "descriptors given back" no_own
is "$(grep -c 'shared sockets: .* at ports' "$LAB_DIR/rtpxd.log")" 2 "lines about it in the log"
stop_rtpxd rtpxd west east
pass

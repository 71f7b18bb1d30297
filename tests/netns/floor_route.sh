#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# floor_route.sh - a call in the kernel follows the routes: another way to bob takes effect within a
# second, without a route the kernel leaves the packets to the daemon and rtpxctl says why, and with
# one it takes them again. Nothing is counted twice on the way.

. "$(dirname "$0")/floor_lib.sh"
MOST_S=600

#   alice                 relay                    bob
#  ┌────────────┐   ┌───────────────────┐   ┌──────────────────┐
#  │ eth0       │   │ west         east ├───┤ eth0 10.1.0.9    │
#  │ 192.0.2.10 ├───┤ 192.0.2.1 .1.0.1  │   │     lo 10.9.0.9  │
#  └────────────┘   │             east2 ├───┤ eth1 10.2.0.9    │
#                   │            .2.0.1 │   └──────────────────┘
#                   │ lo 198.51.100.1   │
#                   └───────────────────┘
lab_begin python3 jq
lab_ns alice relay bob
lab_link alice eth0 relay west
lab_link bob eth0 relay east
lab_link bob eth1 relay east2
lab_addr alice eth0 192.0.2.10/24
lab_addr relay west 192.0.2.1/24
lab_addr relay east 10.1.0.1/24
lab_addr relay east2 10.2.0.1/24
lab_addr relay lo 198.51.100.1/32
lab_addr bob eth0 10.1.0.9/24
lab_addr bob eth1 10.2.0.9/24
lab_addr bob lo 10.9.0.9/32
ip_in bob route add 198.51.100.1 via 10.1.0.1
ip_in relay route add 10.9.0.9 via 10.1.0.9

dataplane_options native
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric \
	"${DATAPLANE[@]}"
floor_call rtpxd 10.9.0.9
floor_talk $MOST_S 10.9.0.9 198.51.100.1
must_wait 3 "both directions in the kernel" both_in_kernel
must_wait 1 "way by east" rtp_is caller interface east

ip_in relay route replace 10.9.0.9 via 10.2.0.9
must_wait 1 "way by east2" rtp_is caller interface east2
must_wait 1 "both directions in the kernel" both_in_kernel
ok "another route"

ip_in relay route del 10.9.0.9
must_wait 1 "reason: no route" rtp_is caller why NO_ROUTE
is "$(rtp_of callee why)" KERNEL "the other direction"
floor_sees() { [ "$(rtpxctl rtpxd --json stats | jq .floor.send_errors)" -gt 0 ]; }
must_wait 1 "packets that the daemon gets and cannot send either" floor_sees
ok "no route: the daemon has the packets"

ip_in relay route add 10.9.0.9 via 10.1.0.9
must_wait 1 "both directions in the kernel" both_in_kernel
must_wait 1 "way by east" rtp_is caller interface east
ok "the route is back"

may_lose=$(slower 100)
floor_hang_up
read -r _ ina ino _ < <(rtpp rtpxd "Q $CALL alice;1 bob;1")
is "$ina $ino" "$(heard alice .sent) $(heard bob .sent)" "packets from alice and bob in Q"
# Bob may have said another number of packets than alice.
is "$(alice_missed) $(heard alice .wrong)" "0 0" "what alice missed and heard wrong"
[ "$(heard bob .lost)" -lt "$may_lose" ] || fail "bob lost $(heard bob .lost) packets: two seconds"
is "$(heard bob .wrong)" 0 "what bob heard wrong"
say "bob lost $(heard bob .lost) packets while there was no route"
stop_rtpxd rtpxd west east east2
pass

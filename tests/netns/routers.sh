#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long=45
# shellcheck source-path=SCRIPTDIR
#
# routers.sh - a call in the kernel with somebody behind a router, and what becomes of routers: this one gets another link
# address, or a second one takes its address over, each with a word about it or without; the route moves to the second
# one, on the same link and on another. Each time audio goes on within a second, in the kernel, by the new way. Only a router
# that never asks for our link address is found out by nothing but the kernel's probes.

. "$(dirname "$0")/floor_lib.sh"
MOST_S=600 WITHIN_MS=1500 PROBED_MS=4500 # with quick_probes
BOB=203.0.113.10

#   alice                  relay                   switch                  one                bob
#  ┌────────────┐   ┌────────────────────┐    ┌────────────────┐   ┌───────────────────┐   ┌─────────────────┐
#  │ eth0       │   │ west          east ├────┤ relay      one ├───┤ lan          tobob├───┤ one 10.1.0.10   │
#  │ 192.0.2.10 ├───┤ 192.0.2.1          │    │   bridge       │   │ 198.51.100.2      │   │                 │
#  └────────────┘   │       198.51.100.1 │    │            two │   └───────────────────┘   │ lo 203.0.113.10 │
#                   │              north │    └─────────────┬──┘            two            │                 │
#                   │           10.3.0.1 │                  │      ┌───────────────────┐   │                 │
#                   └────────────────┬───┘                  └──────┤ lan          tobob├───┤ two 10.2.0.10   │
#                                    │                             │ 198.51.100.3      │   └─────────────────┘
#                                    └─────────────────────────────┤ north 10.3.0.2    │
#                                                                  └───────────────────┘
lab_begin python3 jq
lab_ns alice relay switch one two bob
lab_link alice eth0 relay west
lab_link relay east switch relay
lab_link relay north two north
ip_in switch link add bridge type bridge
ip_in switch link set bridge up
ip_in switch link set relay master bridge
n=0
for router in one two; do
	n=$((n + 1))
	lab_link $router lan switch $router
	ip_in switch link set $router master bridge
	lab_link $router tobob bob $router
	lab_addr $router tobob 10.$n.0.1/24
	lab_addr bob $router 10.$n.0.10/24
	ip_in $router route add $BOB via 10.$n.0.10
	sysctl_in $router net.ipv4.ip_forward=1
done
lab_addr alice eth0 192.0.2.10/24
lab_addr relay west 192.0.2.1/24
lab_addr relay east 198.51.100.1/24
lab_addr relay north 10.3.0.1/24
lab_addr one lan 198.51.100.2/24
lab_addr two lan 198.51.100.3/24
lab_addr two north 10.3.0.2/24
lab_addr bob lo $BOB/32
ip_in bob route add default via 10.1.0.1
ip_in relay route add $BOB via 198.51.100.2

# says ROUTER 1|0 - whether it tells the others on its link of a change.
says() { sysctl_in "$1" net.ipv4.conf.lan.arp_notify="$2"; }

# another_mac - of router one: a card was exchanged.
MACS=0
another_mac()
{
	MACS=$((MACS + 1))
	ip_in one link set lan down
	ip_in one link set lan address "02:00:00:00:01:0$MACS"
	ip_in one link set lan up
}

# take_over ADDRESS FROM TO - the router FROM is dead, and TO has its address and what bob sends.
take_over()
{
	ip_in "$2" link set lan down
	ip_in "$2" addr flush dev lan
	ip_in "$3" addr flush dev lan
	ip_in "$3" link set lan down
	lab_addr "$3" lan "$1/24"
	ip_in "$3" link set lan up
	bob_goes_by "$3"
}

bob_goes_by()
{
	declare -A gateway=([one]=10.1.0.1 [two]=10.2.0.1)

	ip_in bob route replace default via "${gateway[$1]}"
}

relay_goes_by() { ip_in relay route replace $BOB via "$1"; }

told_mac()
{
	says one 1
	another_mac
}

silent_mac()
{
	says one 0
	another_mac
}

told_takeover()
{
	says two 1
	take_over 198.51.100.2 one two
}

silent_takeover()
{
	says one 0
	take_over 198.51.100.2 two one
}

other_gateway()
{
	lab_addr two lan 198.51.100.3/24
	ip_in two link set lan up
	relay_goes_by 198.51.100.3
}

other_link() { relay_goes_by 10.3.0.2; }

# quick_probes - of neighbours, whom the kernel trusts for 15 to 45 s else, and then waits another 5 s.
quick_probes()
{
	sysctl_in relay net.ipv4.neigh.east.{base_reachable_time_ms=1000,delay_first_probe_time=1,retrans_time_ms=200,interval_probe_time_ms=1000}
	ip_in relay neigh flush dev east
}

back()
{
	quick_probes
	relay_goes_by 198.51.100.2
}

# mute_takeover - two asks for others on its link in the name of another address of its own.
mute_takeover()
{
	says two 0
	ip_in one link set lan down
	lab_addr two lan 198.51.100.2/24
	bob_goes_by two
}

more_packets() { [ "$(rtp_of "$1" packets)" -gt "$2" ]; }
heard_by() { ip_in bob -j -s link show dev "$1" | jq '.[0].stats64.rx.packets'; }
goes_by() { [ "$(heard_by "$1")" -gt $(($2 + 10)) ]; }

start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric --dataplane xdp
# What changes, the router that bob hears alice by afterwards, and how soon.
while read -r change router within_ms; do
	CALL=router-$change
	floor_call rtpxd $BOB
	floor_talk $MOST_S $BOB 198.51.100.1
	must_wait 10 "call in the kernel ($change)" both_in_kernel
	$change
	must_wait $((within_ms / 1000 + 1)) "packets by router $router ($change)" goes_by "$router" "$(heard_by "$router")"
	must_wait 2 "call in the kernel again ($change)" both_in_kernel
	must_wait 10 "more packets of the callee ($change)" more_packets callee $(($(rtp_of callee packets) + 50))
	limit=$(slower "$within_ms")
	floor_hang_up
	for i in alice bob; do
		gap=$(heard $i .longest_gap_ms)
		say "$change: $i heard nothing for $gap ms"
		[ "$gap" -le "$limit" ] || fail "$change: $i heard nothing for $gap ms" rtpxd
		is "$(heard $i .wrong)" 0 "number of packets that $i heard wrong ($change)"
	done
	rtpp rtpxd "D $CALL alice" >/dev/null
done <<-EOT
	told_mac one $WITHIN_MS
	silent_mac one $WITHIN_MS
	told_takeover two $WITHIN_MS
	silent_takeover one $WITHIN_MS
	other_gateway two $WITHIN_MS
	other_link two $WITHIN_MS
	back one $WITHIN_MS
	mute_takeover two $PROBED_MS
EOT
stop_rtpxd rtpxd west east north
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long
# shellcheck source-path=SCRIPTDIR
#
# faults.sh - a call in the kernel, and what happens to networks: the callee gets another link address, our address goes
# and comes back, a link goes down and up, an interface is deleted and made again, an MTU shrinks. rtpxctl shows the
# reason, and audio goes on within a second of the repair, in the kernel again; through a link that takes the packets in
# pieces only, meanwhile too.

. "$(dirname "$0")/floor_lib.sh"
MOST_S=600 BREAK_MS=500 WITHIN_MS=1500
SMALL_MTU=150

lab_begin python3 jq
floor_net
sysctl_in bob net.ipv4.conf.eth0.arp_notify=1

make_east()
{
	lab_link relay east bob eth0
	lab_addr relay east 198.51.100.1/24
	lab_addr bob eth0 198.51.100.10/24
}

another_mac()
{
	ip_in bob link set eth0 down
	ip_in bob link set eth0 address 02:00:00:00:00:$1
	ip_in bob link set eth0 up
}

pause() { read -rt "0.$BREAK_MS" <> <(:) || :; }

# What breaks, what mends it (BREAK_MS later), and the words for it.
declare -A breaks=(
	[mac]="another_mac 77"
	[address]="ip_in relay addr del 198.51.100.1/24 dev east"
	[link]="ip_in relay link set east down"
	[far_link]="ip_in bob link set eth0 down"
	[interface]="ip_in relay link del east"
	[mtu]="ip_in relay link set east mtu $SMALL_MTU" # the call's packets have 200
)
declare -A mends=(
	[mac]=:
	[address]="lab_addr relay east 198.51.100.1/24"
	[link]="ip_in relay link set east up"
	[far_link]="ip_in bob link set eth0 up"
	[interface]=make_east
	[mtu]="ip_in relay link set east mtu 1500"
)

# What rtpxctl shows meanwhile.
declare -A shows=(
	[mac]="rtp_is caller why KERNEL"
	[address]="rtp_is caller why NO_ROUTE"
	[link]="rtp_is caller why NO_ROUTE"
	[far_link]="rtp_is caller why NO_ROUTE"
	[interface]="rtp_is caller why NO_ROUTE"
	[mtu]=some_too_big
)
some_too_big() { [ "$(rtpxctl rtpxd --json stats | jq .kernel.pass_too_big)" -gt 0 ]; }
more_packets() { [ "$(rtp_of "$1" packets)" -gt "$2" ]; }
uptime_ms() { sed 's/\.\(..\) .*/\10/' /proc/uptime; }

start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric --dataplane xdp
for fault in mac address link far_link interface mtu; do
	CALL=fault-$fault
	floor_call rtpxd 198.51.100.10
	floor_talk $MOST_S 198.51.100.10 198.51.100.1
	must_wait 10 "call in the kernel ($fault)" both_in_kernel
	broken_ms=$(uptime_ms)
	${breaks[$fault]}
	pause
	must_wait 1 "'${shows[$fault]}' ($fault)" ${shows[$fault]}
	${mends[$fault]}
	broken_ms=$(($(uptime_ms) - broken_ms))
	must_wait 5 "call in the kernel again ($fault)" both_in_kernel
	for i in caller callee; do
		must_wait 10 "more packets of the $i ($fault)" more_packets $i $(($(rtp_of $i packets) + 50))
	done
	limit=$((broken_ms + $(slower $WITHIN_MS)))
	floor_hang_up
	for i in alice bob; do
		gap=$(heard $i .longest_gap_ms)
		say "$fault: $i heard nothing for $gap ms"
		[ "$gap" -le $limit ] || fail "$fault: $i heard nothing for $gap ms, more than $limit" rtpxd
		is "$(heard $i .wrong)" 0 "number of packets that $i heard wrong ($fault)"
	done
	[ $fault != mtu ] || [ "$(heard bob .longest_gap_ms)" -lt $broken_ms ] || fail "bob heard nothing while the MTU was small" rtpxd
	rtpp rtpxd "D $CALL alice" >/dev/null
done
stop_rtpxd rtpxd west east
pass

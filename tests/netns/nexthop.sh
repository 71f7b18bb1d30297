#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
#
# nexthop.sh - next hops follow routes, links, addresses and neighbours within a second, and leave
# no neighbour managed behind. Nothing is forwarded here: every interface counts as served.

. "$(dirname "$0")/dp_lib.sh"
lab_begin

#   relay                               gw                              far
#  ┌──────────────────────┐       ┌───────────────┐
#  │ eth0 10.1.0.1/24     ├───────┤ lan 10.1.0.2  │
#  │      fd01::1/64      │       │     fd01::2   │   10.9.0.0/16 and fd09::/32 are behind gw and,
#  │ eth1 10.2.0.1/24     ├───────┤ lan2 10.2.0.2 │   for the route change, behind its second link
#  │      fd02::1/64      │       │      fd02::2  │
#  └──────────────────────┘       └───────────────┘
lab_ns relay gw
lab_link relay eth0 gw lan
lab_link relay eth1 gw lan2
address_all()
{
	lab_addr relay eth0 10.1.0.1/24 fd01::1/64
	lab_addr gw lan 10.1.0.2/24 fd01::2/64
}
address_all
lab_addr relay eth1 10.2.0.1/24 fd02::1/64
lab_addr gw lan2 10.2.0.2/24 fd02::2/64
route_all()
{
	ip_in relay route replace 10.9.0.0/16 via 10.1.0.2 mtu 1400
	ip_in relay route replace fd09::/32 via fd01::2
}
route_all

dests="10.1.0.2 fd01::2 10.9.1.1 fd09::1 10.1.0.77 10.1.0.1 127.0.0.9 192.0.2.1"
# shellcheck disable=SC2086
watch_start w relay none - $dests 10.9.2.2=10.1.0.1 10.9.3.3=10.2.0.1 10.9.4.4=10.7.7.7

mac=$(mac_of gw lan) own=$(mac_of relay eth0)
for d in 10.1.0.2 fd01::2; do
	must_hop 3 "$d" "KERNEL dst $mac src $own mtu 1500 vlan 0 dev eth0 via - from"
done
must_hop 3 10.9.1.1 "KERNEL dst $mac src $own mtu 1400 vlan 0 dev eth0 via 10.1.0.2 from 10.1.0.1"
must_hop 3 fd09::1 "KERNEL dst $mac src $own mtu 1500 vlan 0 dev eth0 via fd01::2 from fd01::1"
must_hop 3 10.9.2.2 "KERNEL dst $mac .*from 10.1.0.1"
must_hop 3 10.9.3.3 "KERNEL dst $mac .*from 10.2.0.1"
must_hop 3 10.9.4.4 "NO_ROUTE"
must_hop 3 10.1.0.77 "NO_NEIGHBOUR .*dev eth0"
must_hop 3 10.1.0.1 "LOOPBACK"
must_hop 3 127.0.0.9 "LOOPBACK"
must_hop 3 192.0.2.1 "NO_ROUTE"
check "the neighbours are managed" neigh_managed 10.1.0.2
say "ok: resolved on link and through a gateway, IPv4 and IPv6"

# A neighbour that appears: an address nobody had.
lab_addr gw lan 10.1.0.77/24
must_hop 6 10.1.0.77 "KERNEL dst $mac"
say "ok: a neighbour that appears"

# Another MAC on the other side, which shows in its next ARP request and neighbour solicitation.
ip_in gw link set dev lan address 02:00:00:00:00:99
datagram gw 10.1.0.1
datagram gw fd01::1
must_hop 1 10.9.1.1 "KERNEL dst 02:00:00:00:00:99"
must_hop 1 10.1.0.2 "KERNEL dst 02:00:00:00:00:99"
must_hop 1 fd09::1 "KERNEL dst 02:00:00:00:00:99"
mac=02:00:00:00:00:99
say "ok: a changed MAC moves every destination behind it"

# Our own MAC.
ip_in relay link set dev eth0 address 02:00:00:00:00:11
must_hop 1 10.9.1.1 "KERNEL dst $mac src 02:00:00:00:00:11"
own=02:00:00:00:00:11
say "ok: our own changed MAC"

# The route moves to the second link and back.
mac2=$(mac_of gw lan2)
ip_in relay route replace 10.9.0.0/16 via 10.2.0.2
ip_in relay route replace fd09::/32 via fd02::2
must_hop 1 10.9.1.1 "KERNEL dst $mac2 .*mtu 1500 .*dev eth1 via 10.2.0.2 from 10.2.0.1"
must_hop 1 10.9.2.2 "KERNEL dst $mac2 .*dev eth1 via 10.2.0.2 from 10.1.0.1"
must_hop 1 fd09::1 "KERNEL dst $mac2 .*dev eth1 via fd02::2 from fd02::1"
route_all
must_hop 1 10.9.1.1 "KERNEL dst $mac .*mtu 1400 .*dev eth0 via 10.1.0.2"
must_hop 1 fd09::1 "KERNEL dst $mac .*dev eth0 via fd01::2"
say "ok: a changed route"

# No route, and again one.
ip_in relay route del 10.9.0.0/16
must_hop 1 10.9.1.1 "NO_ROUTE"
route_all
must_hop 1 10.9.1.1 "KERNEL"
ip_in relay rule add from 10.1.0.1 to 10.9.2.0/24 unreachable priority 100
must_hop 1 10.9.2.2 "NO_ROUTE"
must_hop 1 10.9.1.1 "KERNEL"
ip_in relay rule del priority 100
must_hop 1 10.9.2.2 "KERNEL"
say "ok: a removed route, a routing rule"

# The MTU of the device.
ip_in relay link set dev eth0 mtu 1300
must_hop 1 10.9.1.1 "KERNEL .*mtu 1300"
ip_in relay link set dev eth0 mtu 1500
must_hop 1 10.9.1.1 "KERNEL .*mtu 1400"
say "ok: a changed MTU"

# The source address goes and comes back.
ip_in relay addr add 10.1.0.5/24 dev eth0
ip_in relay addr del 10.2.0.1/24 dev eth1
must_hop 1 10.9.3.3 "NO_ROUTE"
must_hop 1 10.9.2.2 "KERNEL"
lab_addr relay eth1 10.2.0.1/24
must_hop 1 10.9.3.3 "KERNEL"
say "ok: an address removed and added"

# Our end down and up, then the other end.
ip_in relay link set dev eth0 down
must_hop 1 10.9.1.1 "NO_ROUTE"
must_hop 1 10.1.0.2 "NO_ROUTE"
ip_in relay link set dev eth0 up
lab_addr relay eth0 fd01::1/64 || :
route_all
must_hop 3 10.9.1.1 "KERNEL dst $mac"
must_hop 3 fd09::1 "KERNEL dst $mac"
ip_in gw link set dev lan down
must_hop 1 10.9.1.1 "NO_ROUTE"
ip_in gw link set dev lan up
lab_addr gw lan fd01::2/64 || :
must_hop 3 10.9.1.1 "KERNEL dst $mac"
say "ok: links down and up"

# The interface is deleted and made again.
ip_in relay link del eth0
must_hop 1 10.9.1.1 "NO_ROUTE"
lab_link relay eth0 gw lan
address_all
route_all
mac=$(mac_of gw lan)
must_hop 3 10.9.1.1 "KERNEL dst $mac"
must_hop 3 fd09::1 "KERNEL dst $mac"
say "ok: an interface deleted and made again"

# A permanent neighbour is used and stays permanent.
ip_in relay neigh replace 10.1.0.2 lladdr 02:00:00:00:00:55 dev eth0 nud permanent
must_hop 1 10.9.1.1 "KERNEL dst 02:00:00:00:00:55"

lab_stop w || fail "the end was not a clean one" w
check "the permanent neighbour is still permanent" \
	neigh_state 10.1.0.2 "02:00:00:00:00:55 .*PERMANENT"
neigh_managed . && fail "managed neighbours are left behind"
say "ok: no managed neighbour is left"

# Killed, it leaves some behind: the next one makes them ordinary again.
ip_in relay neigh del 10.1.0.2 dev eth0
watch_start k relay none - 10.1.0.2
must_hop 3 10.1.0.2 KERNEL
lab_stop k KILL || :
check "a killed one leaves a managed neighbour" neigh_managed 10.1.0.2
watch_start n relay none - 192.0.2.1
neigh_managed . && fail "what the killed one left is still managed" n
lab_stop n || fail "the end was not a clean one" n

pass

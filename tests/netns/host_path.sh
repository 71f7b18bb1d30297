#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
#
# host_path.sh - a next hop is the one that the host's own socket would take, or is not usable and says
# which thing of the host is in the way; both follow each change within a second. Nothing is
# forwarded here: every interface counts as served.

. "$(dirname "$0")/dp_lib.sh"
lab_begin

#   relay                               gw
#  ┌──────────────────────┐       ┌───────────────┐
#  │ eth0 10.1.0.1/24     ├───────┤ lan 10.1.0.2  │   10.9.0.0/16 and fd09::/32 are behind gw: by its
#  │      fd01::1/64      │       │     fd01::2   │   first link in the main table, by its second
#  │ eth1 10.2.0.1/24     ├───────┤ lan2 10.2.0.2 │   link in table 100
#  │      fd02::1/64      │       │      fd02::2  │
#  └──────────────────────┘       └───────────────┘
lab_ns relay gw
lab_link relay eth0 gw lan
lab_link relay eth1 gw lan2
lab_addr relay eth0 10.1.0.1/24 fd01::1/64
lab_addr gw lan 10.1.0.2/24 fd01::2/64
lab_addr relay eth1 10.2.0.1/24 fd02::1/64
lab_addr gw lan2 10.2.0.2/24 fd02::2/64
ip_in relay route add 10.9.0.0/16 via 10.1.0.2
ip_in relay route add fd09::/32 via fd01::2
ip_in relay route add 10.9.0.0/16 via 10.2.0.2 table 100
ip_in relay route add fd09::/32 via fd02::2 table 100

watch_start w relay none - 10.9.1.1%184 fd09::1%184 10.9.2.2 10.9.3.3=10.1.0.1
first() { must_hop "$1" "$2" "KERNEL .*dev eth0"; }
second() { must_hop "$1" "$2" "KERNEL .*dev eth1"; }
first 3 10.9.1.1
first 3 fd09::1

# rule FAMILY WORDS… - with this rule the packets leave by the second link, without it by the first.
rule()
{
	local family=$1 dest=10.9.1.1

	shift
	[ "$family" = -4 ] || dest=fd09::1
	ip_in relay "$family" rule add "$@" lookup 100
	second 2 "$dest"
	ip_in relay "$family" rule del "$@" lookup 100
	first 2 "$dest"
}
for family in -4 -6; do
	rule $family tos "$([ $family = -4 ] && echo 0x18 || echo 0xb8)"
	rule $family ipproto udp
	rule $family ipproto udp dport 9999
	rule $family ipproto udp sport 35000-35999
	rule $family uidrange 0-0
	ip_in relay $family rule add tos 0x10 lookup 100
	ip_in relay $family rule add ipproto udp sport 1-34999 lookup 100
	ip_in relay $family rule add ipproto tcp lookup 100
	ip_in relay $family rule add uidrange 1-99999 lookup 100
	ip_in relay $family rule add fwmark 7 lookup 100
	first 2 "$([ $family = -4 ] && echo 10.9.1.1 || echo fd09::1)"
	for _ in 1 2 3 4 5; do
		ip_in relay $family rule del lookup 100
	done
done
say "ok: rules by TOS, protocol, ports and user, and those that are for other packets"

ip_in relay route add 10.9.1.0/24 tos 0x18 via 10.2.0.2
second 2 10.9.1.1
ip_in relay route del 10.9.1.0/24 tos 0x18
first 2 10.9.1.1
say "ok: a route for a TOS"

# IPsec. policy FAMILY DEST WORDS… - with this policy the next hop is not usable.
policy()
{
	local dest=$1

	shift
	ip_in relay xfrm policy add "$@"
	must_hop 2 "$dest" "IPSEC"
}
policy 10.9.1.1 src 0.0.0.0/0 dst 10.9.1.0/24 dir out action block
must_hop 2 10.9.2.2 KERNEL
policy 10.9.2.2 src 0.0.0.0/0 dst 10.9.2.2/32 dir out tmpl src 10.1.0.1 dst 10.1.0.2 proto esp \
	mode tunnel
policy fd09::1 src ::/0 dst fd09::/32 proto udp dir out action block
ip_in relay xfrm policy add src 0.0.0.0/0 dst 10.9.1.1/32 dir out priority 1
ip_in relay xfrm policy update src 0.0.0.0/0 dst 10.9.1.0/24 dir out action block priority 2 ||
	fail "the policy cannot be changed"
must_hop 2 10.9.1.1 KERNEL
must_hop 2 10.9.2.2 IPSEC
ip_in relay xfrm policy flush
must_hop 2 10.9.2.2 KERNEL
must_hop 2 fd09::1 KERNEL
for other in "src 0.0.0.0/0 dst 10.9.0.0/16 dir in" "src 0.0.0.0/0 dst 10.9.0.0/16 dir fwd" \
	"src 0.0.0.0/0 dst 10.9.0.0/16 proto tcp dir out" "src 10.2.0.0/24 dst 10.9.3.0/24 dir out" \
	"src 0.0.0.0/0 dst 10.9.0.0/16 dir out mark 5" \
	"src 0.0.0.0/0 dst 10.9.0.0/16 proto udp dport 53 dir out"; do
	# shellcheck disable=SC2086
	ip_in relay xfrm policy add $other action block
done
policy 10.9.2.2 src 0.0.0.0/0 dst 10.9.2.0/24 proto udp sport 35000 dir out action block
must_hop 2 10.9.3.3 KERNEL
must_hop 2 10.9.1.1 KERNEL
ip_in relay xfrm policy flush
if ip_in relay xfrm policy setdefault out block; then
	must_hop 2 10.9.3.3 IPSEC
	policy fd09::1 src 0.0.0.0/0 dst 10.9.3.0/24 dir out
	must_hop 2 10.9.3.3 KERNEL
	must_hop 2 10.9.1.1 IPSEC
	ip_in relay xfrm policy setdefault out accept
	ip_in relay xfrm policy flush
	must_hop 2 10.9.1.1 KERNEL
fi
say "ok: IPsec policies, those of other packets, and the default"

# Routes that wrap packets.
if ip_in relay route replace 10.9.2.0/24 encap ip id 5 dst 10.1.0.2 dev eth0; then
	must_hop 2 10.9.2.2 ENCAP
	ip_in relay route del 10.9.2.0/24
	must_hop 2 10.9.2.2 KERNEL
fi
if ip_in relay -6 route add fd09:0::/48 encap seg6 mode encap segs fd01::2 dev eth0; then
	must_hop 2 fd09::1 ENCAP
	ip_in relay -6 route del fd09:0::/48 dev eth0
	must_hop 2 fd09::1 KERNEL
fi
say "ok: routes that wrap packets"

# TTL, and the don't-fragment bit.
ip_in relay route add 10.9.2.0/24 via 10.1.0.2 hoplimit 77
must_hop 2 10.9.2.2 "KERNEL .* ttl 77$"
ip_in relay route replace 10.9.2.0/24 via 10.1.0.2 mtu lock 1400
must_hop 2 10.9.2.2 FRAGMENTS
ip_in relay route del 10.9.2.0/24
must_hop 2 10.9.2.2 "KERNEL .* ttl 64$"
in_ns relay sysctl -qw net.ipv4.ip_default_ttl=99
must_hop 3 10.9.2.2 "KERNEL .* ttl 99$"
in_ns relay sysctl -qw net.ipv4.ip_no_pmtu_disc=1
must_hop 3 10.9.2.2 FRAGMENTS
must_hop 1 fd09::1 "KERNEL .* ttl 64$"
in_ns relay sysctl -qw net.ipv4.ip_no_pmtu_disc=0
must_hop 3 10.9.2.2 "KERNEL"
say "ok: TTL and the don't-fragment bit"

lab_stop w || fail "the end was not a clean one" w
pass

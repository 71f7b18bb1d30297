#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
#
# nexthop_host.sh - a next hop is the one that the host's own socket would take, or is not usable and says
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

watch_start w relay none - 10.9.1.1%184 fd09::1%184 10.9.2.2 10.9.3.3=10.1.0.1 10.9.5.5 fd09:0:5::5
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

# firewall EXPECTED RULESET - with these rules 10.9.1.1 is that, without them usable. A rule beside them
# drops what goes to 10.9.2.2: when that is seen, the others have been looked at.
firewall()
{
	in_ns relay nft -f - <<<"$2
table ip beside { chain c { type filter hook output priority 100; ip daddr 10.9.2.2 drop
}
}"
	must_hop 5 10.9.2.2 FIREWALL
	must_hop 1 10.9.1.1 "$1"
	in_ns relay nft flush ruleset
	must_hop 5 10.9.2.2 KERNEL
	first 1 10.9.1.1
}
output='type filter hook output priority 0;'
# hooked EXPECTED CHAIN RULES - likewise, with these rules in a chain of its own.
hooked()
{
	firewall "$1" "table ip t { chain other { drop; }; chain c { $2 $3
}
}"
}

# What is for other packets, and what changes none.
hooked KERNEL "$output" 'counter; log prefix "x"; ct state established,related accept; accept'
hooked KERNEL "$output policy drop;" 'udp sport 30000-39999 accept; ip daddr 10.0.0.0/8 drop'
hooked KERNEL "$output policy drop;" 'meta l4proto { tcp, udp } oifname "eth0" ip daddr 10.9.1.1 accept'
hooked KERNEL "$output policy drop;" 'meta skuid 0 oifname "eth*" jump a; }; chain a { ip dscp ef accept; '
hooked KERNEL "$output" 'ip daddr { 10.8.0.0/16, 10.9.2.0-10.9.3.255, 10.9.1.2 } drop; tcp dport 80 reject'
hooked KERNEL "$output" 'udp dport vmap { 53 : drop, 123 : drop, 9999 : accept }; drop'
hooked KERNEL "$output" 'udp dport != 9999 drop; ip ttl != 64 drop; meta mark 5 drop; iifname "eth0" drop'
hooked KERNEL "type route hook output priority 0;" 'meta mark set 9'
hooked KERNEL "type filter hook input priority 0; policy drop;" 'tcp dport 22 accept'
hooked KERNEL "type filter hook forward priority 0; policy drop;" ''
firewall KERNEL "table ip6 t { chain c { $output policy drop; }
}"
firewall KERNEL "table ip t { flags dormant; chain c { $output policy drop; }
}"
say "ok: firewall rules for other packets, and those that change nothing"

# What drops or changes ours, or may.
hooked FIREWALL "$output policy drop;" ''
hooked FIREWALL "$output" 'ip daddr 10.9.0.0/16 udp dport 9999 drop'
hooked FIREWALL "$output" 'ip daddr @s reject; }; set s { type ipv4_addr; flags interval; elements = { 10.9.0.0/16 } '
hooked FIREWALL "$output" 'jump a; accept; }; chain a { meta l4proto udp goto b; }; chain b { oif "eth0" drop; '
hooked FIREWALL "$output" 'meta length > 1000 drop'
hooked FIREWALL "$output" 'limit rate 10/second accept; drop'
hooked FIREWALL "$output" 'udp sport vmap { 0-34999 : accept, 35000-35999 : drop }'
hooked FIREWALL "$output" 'ip dscp set cs1'
hooked FIREWALL "type filter hook postrouting priority 0;" 'ip ttl set 9'
hooked FIREWALL "type filter hook postrouting priority 0;" 'meta priority set 1:2'
firewall FIREWALL "table inet t { chain c { $output meta nfproto ipv4 udp dport 9999 drop; }
}"
# Of conntrack's states: a new one until an answer has come.
hooked FIREWALL "$output policy drop;" 'ct state established accept'
hooked KERNEL "$output policy drop;" 'ct state new,established accept'
if in_ns relay nft add table netdev e 2>/dev/null; then
	firewall FIREWALL 'table netdev e { chain c { type filter hook egress device "eth0" priority 0; udp dport 9999 drop; }
}'
	firewall KERNEL 'table netdev e { chain c { type filter hook egress device "eth1" priority 0; udp dport 9999 drop; }
}'
fi
say "ok: firewall rules that drop or change packets"

# What drops answers on their way in: 10.9.1.1 sends from port 9999 to our 35000.
input='type filter hook input priority 0;'
hooked "KERNEL .* answers FIREWALL" "$input" 'ip saddr 10.9.1.1 drop'
hooked "KERNEL .* answers FIREWALL" "$input policy drop;" 'tcp dport 22 accept'
hooked "KERNEL .* answers FIREWALL" "type filter hook prerouting priority -300;" 'udp sport 9999 udp dport 35000 drop'
hooked "KERNEL .* answers KERNEL" "$input policy drop;" 'iifname "eth0" udp dport 35000-35999 accept'
hooked "KERNEL .* answers KERNEL" "$input policy drop;" 'iif lo accept; ct state established accept; udp dport 35000 accept'
hooked "KERNEL .* answers KERNEL" "$input" 'meta length > 1400 drop; fib saddr . iif oif missing drop'
hooked "KERNEL .* answers KERNEL" "$input" 'ip saddr 10.9.2.2 drop; udp dport 5060 drop'
say "ok: firewall rules for what arrives"

# A mark, and a rule for it.
ip_in relay rule add fwmark 7 lookup 100
marks="type route hook output priority mangle;"
in_ns relay nft "add table ip t; add chain ip t c { $marks }; add rule ip t c udp dport 9999 meta mark set 7"
second 2 10.9.1.1
in_ns relay nft flush chain ip t c
first 2 10.9.1.1
in_ns relay nft add rule ip t c udp dport 9998 meta mark set 7
in_ns relay nft add rule ip t c meta mark set 8
first 2 10.9.1.1
in_ns relay nft add rule ip t c meta mark set ct mark
must_hop 2 10.9.1.1 MARK
in_ns relay nft flush ruleset
ip_in relay rule del fwmark 7
first 2 10.9.1.1
say "ok: marks that the firewall sets"

# NAT: rules for others, as a container engine has them, and one that may be for us.
firewall KERNEL 'table ip nat {
	chain docker { iifname "docker0" return; }
	chain post { type nat hook postrouting priority srcnat;
		ip saddr 172.17.0.0/16 oifname != "docker0" masquerade; }
	chain pre { type nat hook prerouting priority dstnat; fib daddr type local jump docker; }
	chain out { type nat hook output priority -100; ip daddr 172.17.0.2 dnat to 10.9.9.9; }
}'
masquerade='table ip nat { chain post { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }
}'
firewall NAT "$masquerade"
firewall NAT 'table ip nat { chain pre { type nat hook prerouting priority dstnat; udp dport 35000 dnat to 10.1.0.1; }
}'
# Masquerading as the address that it has already changes nothing; its entry in conntrack says so.
in_ns relay nft -f - <<<"$masquerade"
must_hop 2 10.9.1.1 NAT
# shellcheck disable=SC2016
in_ns relay python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.1.0.1", 35000))
s.sendto(b"x", ("10.9.3.3", 9999))'
must_hop 15 10.9.3.3 KERNEL
in_ns relay nft flush ruleset
must_hop 2 10.9.1.1 KERNEL
say "ok: NAT for others, for us, and one that changes nothing"

if in_ns relay iptables-nft -V >/dev/null 2>&1; then
	ipt() { in_ns relay iptables-nft "$@"; }
	ipt -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
	ipt -t nat -N DOCKER
	ipt -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
	ipt -t nat -A DOCKER -p udp --dport 9999 -j DNAT --to 172.17.0.2
	ipt -A OUTPUT -p tcp -m tcp --dport 25 -j DROP
	ipt -A OUTPUT -p udp -m udp --dport 53 -m comment --comment x -j REJECT
	ipt -A OUTPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT
	ipt -A OUTPUT -j DROP
	must_hop 2 10.9.1.1 KERNEL
	ipt -t mangle -A POSTROUTING -p udp -j DSCP --set-dscp 10
	must_hop 2 10.9.1.1 FIREWALL
	in_ns relay nft flush ruleset
	must_hop 2 10.9.1.1 KERNEL
	say "ok: iptables of the nf_tables kind"
fi

if in_ns relay iptables-legacy -t filter -S >/dev/null 2>&1; then
	old() { in_ns relay iptables-legacy "$@"; }
	for table in mangle nat raw; do
		old -t $table -S >/dev/null 2>&1 || :
	done
	must_hop 3 10.9.1.1 KERNEL
	old -A INPUT -p tcp --dport 22 -j ACCEPT
	old -A OUTPUT -d 203.0.113.1 -j DROP
	must_hop 3 10.9.1.1 FIREWALL
	must_hop 1 fd09::1 KERNEL
	old -F OUTPUT
	must_hop 3 10.9.1.1 KERNEL
	old -P OUTPUT DROP
	must_hop 3 10.9.1.1 FIREWALL
	old -P OUTPUT ACCEPT
	must_hop 3 10.9.1.1 KERNEL
	if old -t nat -A POSTROUTING -o eth9 -j MASQUERADE; then
		must_hop 3 10.9.1.1 NAT
		old -t nat -F
		must_hop 3 10.9.1.1 KERNEL
	fi
	say "ok: iptables of the legacy kind"
fi

# Traffic control: 10.9.1.1 leaves by eth0.
tc_in() { in_ns relay tc "$@"; }
must_hop 2 10.9.1.1 "KERNEL .*dev eth0"
shaped=0
for shaper in "tbf rate 1mbit burst 10k latency 10ms" "htb" "netem delay 1ms"; do
	# shellcheck disable=SC2086
	tc_in qdisc add dev eth0 root $shaper 2>/dev/null || continue
	shaped=1
	must_hop 2 10.9.1.1 TRAFFIC
	tc_in qdisc del dev eth0 root
	must_hop 2 10.9.1.1 KERNEL
done
[ $shaped = 1 ] || say "no shaper in this kernel"
if tc_in qdisc add dev eth0 clsact 2>/dev/null; then
	if tc_in filter add dev eth0 ingress matchall action pass 2>/dev/null; then
		tc_in filter add dev eth0 egress matchall action drop
		must_hop 2 10.9.1.1 TRAFFIC
		tc_in filter del dev eth0 egress
		must_hop 2 10.9.1.1 KERNEL
	fi
	tc_in qdisc del dev eth0 clsact
fi
say "ok: traffic control"

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

# A smaller MTU behind gw, and another gateway, come by ICMP alone.
in_ns gw sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip_in gw route add 10.9.5.0/24 via 10.2.0.1 mtu lock 1300
ip_in gw route add fd09:0:5::/48 via fd02::1 mtu lock 1290
# big ADDRESS - a datagram that fits through our link.
# shellcheck disable=SC2016
big() { in_ns relay bash -c 'printf "%01400d" 1 >"/dev/udp/$1/9999"' big "$1"; }
big 10.9.5.5
must_hop 1 10.9.5.5 "KERNEL .*mtu 1300 "
big fd09:0:5::5
must_hop 1 fd09:0:5::5 "KERNEL .*mtu 1290 "
must_hop 1 10.9.2.2 "KERNEL .*mtu 1500 "
say "ok: path MTU"

# 802.1p: the kernel derives priority 4 from TOS 184, and the VLAN device 5 from that.
if ip_in relay link add link eth0 name eth0.5 type vlan id 5 egress-qos-map 0:1 4:5 2>/dev/null; then
	ip_in gw link add link lan name lan.5 type vlan id 5
	lab_addr relay eth0.5 10.5.0.1/24 fd05::1/64
	lab_addr gw lan.5 10.5.0.2/24 fd05::2/64
	ip_in relay link set eth0.5 up
	ip_in gw link set lan.5 up
	watch_start q relay none - 10.5.0.2%184 10.5.0.2%0 fd05::2%184
	grep -q "^hop 10.5.0.2 KERNEL .*vlan $((5 << 13 | 5)) dev eth0.5" "$LAB_DIR/q.log" ||
		must_hop 5 10.5.0.2 "KERNEL .*vlan"
	check "priority 5 for TOS 184" grep -q "^hop 10.5.0.2 KERNEL .*vlan $((5 << 13 | 5)) " "$LAB_DIR/q.log"
	check "priority 1 for TOS 0" grep -q "^hop 10.5.0.2 KERNEL .*vlan $((1 << 13 | 5)) " "$LAB_DIR/q.log"
	must_hop 5 fd05::2 "KERNEL .*vlan $((1 << 13 | 5)) " # IPv6's traffic class says nothing
	ip_in relay link set eth0.5 type vlan egress-qos-map 0:2
	must_hop 3 fd05::2 "KERNEL .*vlan $((2 << 13 | 5)) "
	lab_stop q || fail "the end was not a clean one" q
	WATCH=w
	say "ok: 802.1p of a VLAN device"
fi

# A VRF: the daemon's sockets are bound to it when it is started by ip vrf exec.
if ip_in relay link add red type vrf table 50 2>/dev/null; then
	ip_in relay link set red up
	ip_in relay link set eth1 master red
	lab_addr relay eth1 fd02::1/64 || :
	ip_in relay route add 10.9.0.0/16 via 10.2.0.2 vrf red
	ip_in relay route add fd09::/32 via fd02::2 vrf red
	first 2 10.9.1.1
	if in_ns relay ip vrf exec red true 2>"$LAB_DIR/vrf.log"; then
		AS=(ip vrf exec red)
		watch_start v relay none - 10.9.1.1%184 fd09::1%184
		AS=()
		second 3 10.9.1.1
		second 3 fd09::1
		lab_stop v || fail "the end was not a clean one" v
		say "ok: a VRF"
	else
		say "no VRF tried: $(tail -n 1 "$LAB_DIR/vrf.log")"
	fi
	WATCH=w
fi

lab_stop w || fail "the end was not a clean one" w
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
#
# dp_attach.sh - the XDP program gets onto interfaces, or a sentence says why not and what to type;
# it leaves nothing behind; interfaces and abilities that come and go are followed within a second.

. "$(dirname "$0")/dp_lib.sh"
lab_begin bpftool setpriv

#   relay                    far
#  ┌──────────────┐      ┌─────────┐
#  │ eth0 10.1.0.1├──────┤ toa     │
#  │ eth1 10.2.0.1├──────┤ tob     │
#  └──────────────┘      └─────────┘
lab_ns relay far
lab_link relay eth0 far toa
lab_link relay eth1 far tob
lab_addr relay eth0 10.1.0.1/24
lab_addr far toa 10.1.0.2/24

far_gro() { in_ns far ethtool -K "$1" gro "$2"; }
mode_of() { [ "$(xdp_mode relay "$1")" = "$2" ]; }

# clean_end PROCESS [PIN] - orderly, nothing attached, nothing pinned.
clean_end()
{
	lab_stop "$1" || fail "the end was not a clean one" "$1"
	[ ! -e "$LAB_DIR/bpf/${2:-$1}" ] || fail "the pin directory is still there" "$1"
	mode_of eth0 none || fail "a program is still on eth0" "$1"
	mode_of eth1 none || fail "a program is still on eth1" "$1"
}

# ---- native and generic

watch_start native relay native - 10.1.0.2
for d in eth0 eth1; do
	must_if 0 $d "native sends: "
	check "the kernel agrees that $d is native" mode_of $d native
	[ -e "$LAB_DIR/bpf/native/link_$d" ] || fail "no pin for $d"
done
for m in flows flows_more nexthops tx_ports counters config ingress; do
	[ -e "$LAB_DIR/bpf/native/$m" ] || fail "no pinned map $m"
done
bpftool map dump pinned "$LAB_DIR/bpf/native/config" >"$LAB_DIR/config.txt"
grep -q '"port_min": 35000' "$LAB_DIR/config.txt" || fail "the map config reads badly"
[ "$(last_line if lo)" = "" ] || fail "the loopback device is listed"
must_hop 1 10.1.0.2 "KERNEL dst $(mac_of far toa)"
say "ok: native mode, maps and links pinned"

# The other end of a veth loses and regains NAPI: there is no route notice of that, and before Linux 6.3
# none at all, so it is asked for every 30 s.
within=1
! grep -q "no notices about the abilities" "$LAB_DIR/native.log" || within=35
far_gro toa off
must_if $within eth0 "native mute: .*ethtool -K PEER gro off; ethtool -K PEER gro on"
must_hop 1 10.1.0.2 NO_INTERFACE
far_gro toa on
must_if $within eth0 "native sends: "
must_hop 1 10.1.0.2 "KERNEL dst $(mac_of far toa)"
say "ok: an ability that goes and comes back"

# An interface that is made again, and a new one.
ip_in relay link del eth0
LAB_BLAME=(native) must_wait 1 "word of eth0's end" grep -q 'eth0 is gone' "$LAB_DIR/native.log"
[ ! -e "$LAB_DIR/bpf/native/link_eth0" ] || fail "the pin of a gone interface is still there"
lab_link relay eth0 far toa
must_wait 1 "native program on the new eth0" mode_of eth0 native
must_wait 1 "pin of the new eth0" test -e "$LAB_DIR/bpf/native/link_eth0"
must_if 1 eth0 "native sends: "
lab_addr relay eth0 10.1.0.1/24
lab_addr far toa 10.1.0.2/24
must_hop 3 10.1.0.2 "KERNEL dst $(mac_of far toa)"
lab_link relay eth2 far toc
must_if 1 eth2 "native sends: "
must_line choice 1 xdp "XDP: (eth[012] native(, |$)){3}"
say "ok: an interface made again, and one more"

# One pin directory has one user.
PIN=native watch_refused second relay native - "another rtpxd uses .*--pin-dir"
clean_end native
mode_of eth2 none || fail "a program is still on eth2"
ip_in relay link del eth2
say "ok: a clean end leaves nothing attached and nothing pinned"

watch_start generic relay generic eth0,eth1,eth7
must_if 0 eth0 "generic sends: "
must_if 0 eth1 "generic sends: "
must_if 0 eth7 "off mute: there is no such interface"
check "the kernel agrees that eth0 is generic" mode_of eth0 generic
lab_link relay eth7 far tod
must_if 1 eth7 "generic sends: "
ip_in relay link del eth7
must_if 1 eth7 "off mute: there is no such interface"
must_line choice 1 xdp "XDP: eth[01] generic, eth[01] generic, eth7 no XDP$"
clean_end generic
lab_link relay eth7 far tod
watch_start lone relay generic eth7
must_line choice 0 xdp "XDP: eth7 generic$"
ip_in relay link del eth7
must_line choice 1 xdp "XDP: no interface, the daemon's sockets carry every call: eth7 no XDP$"
clean_end lone
say "ok: generic mode, and a named interface that comes later"

# ---- the other end of a veth cannot receive what XDP sends

far_gro toa off
watch_start deaf relay native -
must_if 0 eth0 "native mute: frames that native XDP sends here vanish.*ethtool -K PEER gro off; ethtool -K PEER gro on"
must_if 0 eth1 "native sends: "
clean_end deaf
watch_start deafgeneric relay generic -
must_if 0 eth0 "generic sends: "
clean_end deafgeneric
far_gro tob off
watch_start deafauto relay auto -
must_if 0 eth0 "generic sends: native mode cannot send: .*ethtool -K PEER gro off; ethtool -K PEER gro on"
lab_link relay eth2 far toc
must_if 1 eth2 "generic sends: "
must_if 0 eth0 "generic sends: "
ip_in relay link del eth2
clean_end deafauto
far_gro toa on
far_gro tob on
watch_start hearing relay auto -
must_if 0 eth0 "native sends: "
clean_end hearing
# A far end whose GRO was switched on before its link was up, while ours was up: GRO is on, and NAPI does not run.
# The sentence's commands, carried out in their order, help there too.
ip_in relay link add eth2 type veth peer name toc netns "$LAB_TAG-far"
in_ns relay ethtool -K eth2 gro on tx off >"$LAB_DIR/ethtool.log"
ip_in relay link set eth2 up
in_ns far ethtool -K toc gro on tx off >"$LAB_DIR/ethtool.log"
ip_in far link set toc up
watch_start asleep relay native -
remedy=$(grep -oE 'eth2 native mute: .*' "$LAB_DIR/asleep.log" | grep -oE 'PEER gro (on|off)' | cut -d ' ' -f 3 || :)
for state in ${remedy:-on}; do far_gro toc "$state"; done
must_if 35 eth2 "native sends: "
ip_in relay link del eth2
clean_end asleep
say "ok: far ends without NAPI"

# ---- refusals become sentences

ip_in far link set dev toa mtu 9000
watch_start mtu relay native -
must_if 0 eth0 "off mute: native XDP is refused \(Peer MTU is too large.*ip link set dev PEER mtu"
must_if 0 eth1 "native sends: "
ip_in far link set dev toa mtu 3500
ip_in relay link set dev eth0 mtu 1400	# only a notice of our own end makes it look again
must_if 1 eth0 "native sends: "
ip_in relay link set dev eth0 mtu 1500
clean_end mtu
ip_in far link set dev toa mtu 9000
watch_start mtuauto relay auto -
must_if 0 eth0 "generic sends: native XDP is refused \(Peer MTU is too large"
clean_end mtuauto
watch_refused mtuonly relay native eth0 \
	"no interface takes the program: eth0: native XDP is refused"
ip_in far link set dev toa mtu 1500
say "ok: the other end's MTU"

ip_in relay link add eth3 numrxqueues 1 numtxqueues 1 type veth peer name toe \
	netns "$LAB_TAG-far" numrxqueues 4 numtxqueues 4
ip_in relay link set eth3 up
watch_refused queues relay native eth3 "number of rx queues not less.*ethtool -L PEER tx 1"
ip_in relay link del eth3
say "ok: queue counts"

bpf_dir
ip_in relay link set dev eth1 down
bpftool prog load "$RTPX_BUILD/relay.bpf.o" "$LAB_DIR/bpf/somebody" type xdp
in_ns relay bpftool net attach xdp pinned "$LAB_DIR/bpf/somebody" dev eth0
watch_refused foreign relay native - \
	"another XDP program, rtpx_relay \(id [0-9]*\).*bpftool net list dev eth0"
check "the foreign program is still there" mode_of eth0 native
ip_in relay link set dev eth1 up
watch_start foreign2 relay auto -
must_if 0 eth0 "off mute: .*another XDP program"
must_if 0 eth1 "native sends: "
in_ns relay bpftool net detach xdp dev eth0
must_if 1 eth0 "native sends: "
clean_end foreign2
rm "$LAB_DIR/bpf/somebody"
say "ok: a foreign program is left alone, and followed when it goes"

watch_refused lo relay generic lo "the loopback device"
mkdir "$LAB_DIR/plain"
PIN=../plain/x watch_refused plain relay native - "no BPF file system .*mount -t bpf bpf"
AS=(setpriv '--bounding-set=-sys_admin,-bpf,-net_admin' --inh-caps=-all)
watch_refused caps relay native - "run as root, or with CAP_BPF"
watch_start capsauto relay auto -
grep -q "^choice none .*CAP_BPF" "$LAB_DIR/capsauto.log" ||
	fail "auto does not say why it is none" capsauto
[ "$(grep -c "CAP_NET_ADMIN, so the sockets relay all calls; start rtpxd as root" "$LAB_DIR/capsauto.log")" = 1 ] ||
	fail "not one line says that the firewall cannot be read" capsauto
! grep -E "(nftables|IPsec policies|traffic control): " "$LAB_DIR/capsauto.log" || fail "there are more lines of that"
lab_stop capsauto || fail "the end was not a clean one" capsauto
AS=()
say "ok: no BPF file system, no capabilities"

# A bridge takes the program, its ports do not.
ip_in relay link add br0 type bridge
ip_in relay link set eth1 master br0
ip_in relay link set br0 up
watch_start bridge relay auto -
must_if 0 br0 "generic mute: native XDP is refused .*use --xdp-mode generic"
must_if 0 eth0 "native sends: "
[ "$(last_line if eth1)" = "" ] || fail "the program went to a bridge's port" bridge
clean_end bridge
ip_in relay link del br0
say "ok: a bridge"

# ---- killed

watch_start killed relay native -
lab_stop killed KILL || :
check "the program outlives a killed daemon" mode_of eth0 native
PIN=killed watch_start next relay native -
must_if 0 eth0 "native sends: "
grep -q "removed .* pins of the previous rtpxd" "$LAB_DIR/next.log" ||
	fail "it does not tell of the leftovers" next
lab_stop next KILL || :
bpftool map update pinned "$LAB_DIR/bpf/killed/config" key 0 0 0 0 \
	value hex ee 00 00 00 b8 88 9f 8c f4 01 00 00 00 00 00 00 02 00 00 00 00 00 00 00
PIN=killed watch_start version relay native -
must_if 0 eth0 "native sends: "
grep -Eq "the maps are of another version of rtpx \(ABI 238, this one has [0-9]+\): they are replaced$" \
	"$LAB_DIR/version.log" || fail "it does not tell of the maps of another version" version
bpftool map dump pinned "$LAB_DIR/bpf/killed/config" >"$LAB_DIR/config.txt"
! grep -q '"abi_version": 238' "$LAB_DIR/config.txt" || fail "the map config is still of another version"
clean_end version killed
say "ok: what a killed daemon leaves"

# INT ends dp_watch with dp->close(keep): all stays for the next one.
watch_start keep relay native -
lab_stop keep INT || fail "the end was not a clean one" keep
check "kept: the program is still on eth0" mode_of eth0 native
check "kept: the pins are still there" test -e "$LAB_DIR/bpf/keep/flows"
PIN=keep watch_start kept relay native -
clean_end kept keep

pass

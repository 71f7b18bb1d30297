#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together quick
#
# dp_forward.sh - packets go through a flow of the dataplane in each mode, between interfaces and on
# one: where it says that it can send, packets arrive.

. "$(dirname "$0")/dp_lib.sh"
lab_begin socat python3

#   relay                       caller
#  ┌──────────────────┐      ┌───────────────┐
#  │ eth0 10.1.0.1/24 ├──────┤ toa 10.1.0.2  │
#  │                  │      └───────────────┘
#  │                  │       callee
#  │                  │      ┌───────────────┐
#  │ eth1 10.2.0.1/24 ├──────┤ tob 10.2.0.2  │
#  └──────────────────┘      └───────────────┘
lab_ns relay caller callee
lab_link relay eth0 caller toa
lab_link relay eth1 callee tob
lab_addr relay eth0 10.1.0.1/24
lab_addr relay eth1 10.2.0.1/24
lab_addr caller toa 10.1.0.2/24
lab_addr callee tob 10.2.0.2/24

# Through to the callee, back to the caller, and from the callee to itself on one interface.
flows="10.2.0.2=10.2.0.1@35000,10.1.0.2,10.1.0.1 10.1.0.2=10.1.0.1@35002,10.2.0.2,10.2.0.1
	10.2.0.2=10.2.0.1@35004,10.2.0.2,10.2.0.1"

listening() { in_ns "$1" ss -Huln | grep -q ":9999 "; }
got() { [ "$(wc -l <"$LAB_DIR/$1.log")" -ge "$2" ]; }

# send_through FROM ADDRESS PORT TO PROCESS - ten datagrams, each of which must arrive at TO.
send_through()
{
	local i

	lab_start "$4" "$5" socat -u UDP4-RECV:9999 -
	must_wait 5 "listener in $4" listening "$4"
	# From a port that is always the same: the program leaves one complete checksum of 65,536 to the stack.
	in_ns "$1" python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 9998))
for i in range(10):
    s.sendto(b"packet %d\n" % i, (sys.argv[1], int(sys.argv[2])))' "$2" "$3"
	wait_for 2 "" got "$5" 10 ||
		fail "$(wc -l <"$LAB_DIR/$5.log") of 10 packets arrived at $4" "$WATCH"
	lab_stop "$5" || :
	for ((i = 0; i < 10; i++)); do
		grep -qx "packet $i" "$LAB_DIR/$5.log" || fail "packet $i did not arrive whole" "$5"
	done
}

# forwards PROCESS MODE - all three ways, in the kernel, with a clean end.
forwards()
{
	# shellcheck disable=SC2086
	watch_start "$1" relay "$2" - $flows
	must_hop 3 10.2.0.2 KERNEL
	must_hop 3 10.1.0.2 KERNEL
	send_through caller 10.1.0.1 35000 callee "$1-there"
	send_through callee 10.2.0.1 35002 caller "$1-back"
	send_through callee 10.2.0.1 35004 callee "$1-one"
	lab_stop "$1" || fail "the end was not a clean one" "$1"
	grep -q "^count relayed 30$" "$LAB_DIR/$1.log" ||
		fail "the kernel did not relay all 30" "$1"
	say "ok: 30 of 30 packets, $(grep ^choice "$LAB_DIR/$1.log")"
}

forwards native native
forwards generic generic

# One interface native, the other generic: its far end's MTU forbids native mode.
ip_in callee link set dev tob mtu 9000
forwards mixed auto
grep -q "^if eth1 generic sends" "$LAB_DIR/mixed.log" || fail "eth1 is not generic" mixed
grep -q "^if eth0 native sends" "$LAB_DIR/mixed.log" || fail "eth0 is not native" mixed
ip_in callee link set dev tob mtu 1500

# Far ends without NAPI: native mode would lose the packets, so all is generic.
in_ns caller ethtool -K toa gro off
in_ns callee ethtool -K tob gro off
forwards deaf auto
grep -q "^if eth0 generic sends" "$LAB_DIR/deaf.log" || fail "eth0 is not generic" deaf

pass

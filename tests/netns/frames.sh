#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm
# shellcheck source-path=SCRIPTDIR
#
# frames.sh - XDP forwards the frames that the host would take, and no others, while link addresses, VLANs and devices
# above the interface come and go; and generic mode is refused where it would not see packets as they are.

. "$(dirname "$0")/floor_lib.sh"
lab_begin python3 jq
floor_net

# frames COUNT MAC [bad] [vlan] - alice's RTP to bob by the call's port, in frames to this link address: with a wrong header
# checksum, or with this tag. One process sends all of them: in the virtual machine, each start takes seconds.
frames()
{
	echo "$1" "${2//:/}" "${3:-0}" "${4:-0}" "$TO_BOB" >&"${SENDER[1]}"
	read -r -t 600 sent <&"${SENDER[0]}" && [ "$sent" = "$1" ] || fail "the sender of frames sent '$sent', not $1"
}

send_frames='
import socket, struct, sys
def total(b):
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return s
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
ends = socket.inet_aton("192.0.2.10") + socket.inet_aton("192.0.2.1")
for line in iter(sys.stdin.readline, ""):
    count, mac, bad, vlan, port = line.split()
    count, mac, bad, vlan, port = int(count), bytes.fromhex(mac), int(bad), int(vlan), int(port)
    for i in range(count):
        rtp = struct.pack("!BBHII", 0x80, 8, i, 160 * i, 7) + bytes(160)
        udp = struct.pack("!HHHH", 4000, port, 8 + len(rtp), 0) + rtp
        udp = udp[:6] + struct.pack("!H", 0xffff & ~total(ends + struct.pack("!HH", 17, len(udp)) + udp)) + udp[8:]
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), i, 0, 64, 17, 0) + ends
        ip = ip[:10] + struct.pack("!H", 0xffff & ~total(ip) ^ bad) + ip[12:]
        s.send(mac + bytes((2, 0, 0, 0, 0, 9)) + (struct.pack("!HH", 0x8100, vlan) if vlan else b"") + b"\x08\0" + ip + udp)
    print(count, flush=True)'
coproc SENDER { exec nsenter --net="/run/netns/$LAB_TAG-alice" -- python3 -c "$send_frames" 2>"$LAB_DIR/sender.log"; }
disown "$SENDER_PID" # no word of its end

mac() { ip_in relay -json link show dev "${1:-west}" | jq -r '.[0].address'; }
# kernel REASON - the packets counted for it. One of 65,536 complete checksums looks unfinished. Here all are complete, so
# that packet counts as relayed.
kernel()
{
	local counted=.$1

	[ "$1" != relayed ] || counted=".relayed + .pass_checksum"
	rtpxctl rtpxd --json stats | jq ".kernel | $counted"
}
# counts REASON FRAMES… - so many frames, and so many more for this reason; nothing else is forwarded.
counts()
{
	local reason=$1 before relayed=0

	shift
	before=$(kernel "$reason")
	[ "$reason" = relayed ] || relayed=$(kernel relayed)
	frames "$@"
	grown() { [ "$(kernel "$reason")" -ge $((before + $1)) ]; }
	must_wait 5 "count of $reason" grown "$1"
	[ "$reason" = relayed ] || is "$(kernel relayed)" "$relayed" "number of packets forwarded beside $reason"
}
# by_now COUNT MAC [VLAN] - such frames are forwarded from now on: the daemon has heard of a change.
by_now()
{
	taken()
	{
		local before

		before=$(kernel relayed)
		frames 1 "$1" 0 "${2:-0}"
		[ "$(kernel relayed)" -gt "$before" ]
	}
	must_wait 5 "packet forwarded of a frame to $2" taken "$2" "${3:-0}"
	counts relayed "$1" "$2" 0 "${3:-0}"
}
status_says() { rtpxctl rtpxd status | grep -Eq "$1"; }

# mode native|generic
mode()
{
	local old

	dataplane_options "$1"
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric "${DATAPLANE[@]}"
	floor_call rtpxd 198.51.100.10
	floor_talk 1 198.51.100.10 198.51.100.1
	must_wait 5 "both directions in the kernel" both_in_kernel
	floor_talked 10

	counts relayed 10 "$(mac)"
	counts pass_other_mac 10 02:00:00:00:00:77
	counts pass_ip_checksum 10 "$(mac)" 1
	counts pass_no_vlan 10 "$(mac)" 0 10
	counts relayed 10 "$(mac)" 0 $((0x6000))
	old=$(mac)
	ip_in relay link set dev west address 02:00:00:00:00:55
	by_now 10 02:00:00:00:00:55
	counts pass_other_mac 10 "$old"
	ip_in relay link set dev west address "$old"
	by_now 10 "$old"
	ok "$1: the link address, and a new one"

	if ip_in relay link add link west name above type macvlan mode bridge 2>/dev/null; then
		counts pass_other_mac 1 "$(mac above)"
		ip_in relay link set above up
		by_now 10 "$(mac above)"
		ip_in relay link del above
		ok "$1: a macvlan above the interface"
	fi
	if ip_in relay link add link west name west.10 type vlan id 10 2>/dev/null; then
		ip_in relay link set west.10 up
		if [ "$1" = native ]; then
			by_now 10 "$(mac)" 10
			counts pass_no_vlan 10 "$(mac)" 0 11
		else
			must_wait 5 "word of tags that are not seen" status_says "west.*does not see the VLAN tag"
			must_wait 5 "end of generic mode" xdp_mode_is relay west none
		fi
		ip_in relay link del west.10
		must_wait 5 "program on west" xdp_mode_is relay west "$1"
		ok "$1: a VLAN above the interface"
	fi
	if [ "$1" = generic ]; then
		in_ns relay ethtool -K west rx-gro-list on
		must_wait 5 "word of lists of packets" status_says "west.*rx-gro-list off"
		must_wait 5 "end of generic mode" xdp_mode_is relay west none
		in_ns relay ethtool -K west rx-gro-list off
		must_wait 5 "generic mode again" xdp_mode_is relay west generic
		ok "generic: not where GRO makes lists"
	fi
	stop_rtpxd rtpxd west east
}

mode native
mode generic
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bridge46.sh none|kmod|generic|native - calls through rtpxd in bridge mode with this dataplane: between a private and
# a public IPv4 network, and between IPv4 and IPv6, in both directions, with a real Kamailio in between.

dataplane=${1:?none, kmod, generic or native}
AUDIO_MS=${AUDIO_MS:-2000}
. "$(dirname "$0")/lib.sh"
LAB_TEST="bridge46 $dataplane"

#   alice                           relay                                bob
#  ┌──────────────┐   ┌───────────────────────────────────┐   ┌──────────────────┐
#  │ eth0         │   │ int0                         ext0 │   │ eth0             │
#  │ 192.168.7.10 ├───┤ 192.168.7.1           203.0.113.1 ├───┤ 203.0.113.20     │
#  └──────────────┘   │                   2001:db8:113::1 │   │ 2001:db8:113::20 │
#                     │ kamailio, rtpxd; forwards nothing │   └──────────────────┘
#                     └───────────────────────────────────┘
sip_begin
lab_ns alice relay bob
lab_link alice eth0 relay int0
lab_link relay ext0 bob eth0
lab_addr alice eth0 192.168.7.10/24
lab_addr relay int0 192.168.7.1/24
lab_addr relay ext0 203.0.113.1/24 2001:db8:113::1/64
lab_addr bob eth0 203.0.113.20/24 2001:db8:113::20/64

# call CALLER-NS CALLER-ADDRESS ITS-SERVER CALLEE-NS CALLEE CALLEE-ADDRESS ITS-SERVER - and all that must hold of it.
call()
{
	say "$2 calls $6"
	sip_call "$1" "$2" "$4" "$5" "$6" "$3" "$7"
	LAB_BLAME=rtpxd must_wait 2 "end of the session after BYE" no_sessions rtpxd
	check_sdp callee "$7" "$7"
	check_sdp caller "$3" "$3"
	check_audio caller "$2" callee "$6"
	delivered=$((delivered + DELIVERED))
	check_audio callee "$6" caller "$2"
	delivered=$((delivered + DELIVERED))
}

during_call() { check_flows rtpxd "$dataplane"; }

# both_ways BOB'S-USER BOB'S-ADDRESS RELAY'S-EXTERNAL-ADDRESS OPTION… - rtpxd with these options; one call each way.
both_ways()
{
	local user=$1 addr=$2 ext=$3 delivered=0

	shift 3
	start_rtpxd relay rtpxd 127.0.0.1 7722 "$@" -m 20000 -M 21000 "${DATAPLANE[@]}"
	check "the kernel shows XDP on int0: $dataplane" xdp_mode_is relay int0 "$dataplane"
	check "the kernel shows XDP on ext0: $dataplane" xdp_mode_is relay ext0 "$dataplane"
	if [ ! -v "LAB_PID[kamailio]" ]; then
		start_kamailio relay "$SIP_DIR/bridge.cfg" 192.168.7.1 -A 'INTERNAL="192.168.7.1"' \
			-l udp:192.168.7.1:5060 -l udp:203.0.113.1:5060 -l 'udp:[2001:db8:113::1]:5060'
		sip_register alice alice 192.168.7.10 192.168.7.1
	fi
	sip_register bob "$user" "$addr" "$ext"
	call alice 192.168.7.10 192.168.7.1 bob "$user" "$addr" "$ext"
	call bob "$addr" "$ext" alice alice 192.168.7.10 192.168.7.1
	check_kernel_share rtpxd "$dataplane" "$delivered" 4
	stop_rtpxd rtpxd int0 ext0
}

dataplane_options "$dataplane"
both_ways bob4 203.0.113.20 203.0.113.1 -l 192.168.7.1/203.0.113.1
both_ways bob6 2001:db8:113::20 2001:db8:113::1 -l 192.168.7.1 -6 /2001:db8:113::1
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# nat_call.sh none|kmod|generic|native - a call between two phones behind NATs through Debian's Kamailio
# with the configuration that it ships, unmodified, and rtpxd with this dataplane.
#
# The NATs give every flow an unpredictable port and let nothing in that was not asked for, so the phones
# are reached only if the relay learns where they are, and Kamailio calls back through the bindings.

dataplane=${1:?none, kmod, generic or native}
. "$(dirname "$0")/lib.sh"
LAB_TEST="nat_call $dataplane"

sip_begin
shipped_config

lab_nat_net
dataplane_options "$dataplane"
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 90.0.0.1 -m 20000 -M 21000 "${DATAPLANE[@]}"
check "the kernel shows XDP on eth0: $dataplane" xdp_mode_is relay eth0 "$dataplane"
start_kamailio relay "$SHIPPED" 90.0.0.1 -A WITH_NAT
sip_register alice alice 10.0.0.180 90.0.0.1
sip_register bob bob 10.20.0.40 90.0.0.1

during_call() { check_flows rtpxd "$dataplane"; }
sip_call alice 10.0.0.180 bob bob 10.20.0.40 90.0.0.1 90.0.0.1
LAB_BLAME=rtpxd must_wait 2 "end of the session after BYE" no_sessions rtpxd
ok "no session is left after BYE"

check_sdp callee 90.0.0.1 90.0.0.1
check_sdp caller 90.0.0.1 90.0.0.1
check_audio caller 10.0.0.180 callee 10.20.0.40
delivered=$DELIVERED
check_audio callee 10.20.0.40 caller 10.0.0.180
delivered=$((delivered + DELIVERED))
check_kernel_share rtpxd "$dataplane" "$delivered" 2
stop_rtpxd rtpxd eth0
pass "$delivered packets"

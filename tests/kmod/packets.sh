#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm module
# packets.sh - the packet table through the netfilter module.
. "$(dirname "$0")/../netns/lab.sh"
lab_begin
need_module
[ -e /dev/net/tun ] || modprobe tun || skip "this kernel has no TAP devices"
lab_ns relay
in_ns relay "$RTPX_BUILD/kmod-tests/packets"

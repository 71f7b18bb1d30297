#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm quick
# packets.sh - the packet table through the XDP program in this kernel, 100,000 mutated frames, and as many packets in each
# race; 5,000 in the virtual machine, where they are there for the verifier and the JIT of another kernel. Its second CPU is
# on for one flow on two CPUs.
build=${RTPX_BUILD:-$(dirname "$0")/../../build}
frames=100000
if [ -n "${RTPX_IN_VM:-}" ]; then
	frames=5000
	echo 1 >/sys/devices/system/cpu/cpu1/online
	trap 'echo 0 >/sys/devices/system/cpu/cpu1/online' EXIT
fi
"$build/bpf-packets" "$build/relay.bpf.o" "${1:-$frames}" ${2:+"$2"}

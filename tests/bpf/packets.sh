#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm quick
# packets.sh - the packet table and 100,000 mutated frames through the XDP program in this kernel; 1,000 in the virtual
# machine, where they are there for the verifier and the JIT of another kernel.
build=${RTPX_BUILD:-$(dirname "$0")/../../build}
frames=100000
[ -z "${RTPX_IN_VM:-}" ] || frames=1000
exec "$build/bpf-packets" "$build/relay.bpf.o" "${1:-$frames}" ${2:+"$2"}

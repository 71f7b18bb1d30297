#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm quick
# packets.sh - the packet table and 100,000 mutated frames through the XDP program in this kernel.
build=${RTPX_BUILD:-$(dirname "$0")/../../build}
exec "$build/bpf-packets" "$build/relay.bpf.o" "${1:-100000}" ${2:+"$2"}

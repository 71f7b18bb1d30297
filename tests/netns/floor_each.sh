#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
#
# floor_each.sh - with a socket for each port: scripts of commands that open ports, and tests of packets that the daemon
# carries. All other tests share sockets, which is the default, where they do not say otherwise.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${RTPX_BUILD:-$PWD/build}
export RTPX_PORT_SOCKETS=each

scripts=(addresses advertised-wildcard basic-wildcard bridge-families copy copy-ip6 copy-port copy-wildcard feed ip6-wildcard
	play-media ports-exhausted ports-one-pair ports-released reinvite resize set)
scripts=("${scripts[@]/%/.txt}")
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# holds COMMAND… - succeeds with it; prints its output if it fails.
holds()
{
	"$@" >"$log" 2>&1 && return
	cat "$log"
	echo "FAIL floor_each: $*"
	exit 1
}

[ "$(id -u)" = 0 ] || { echo "needs root"; exit 4; }
holds tests/golden/run --daemon "$build/rtpxd" "${scripts[@]/#/tests/golden/}"
tail -n 1 "$log" | sed 's/^/  /'
for test in floor_counts_none floor_flood circles; do
	holds "tests/netns/$test.sh"
	echo "  ok: $test"
done
echo "PASS floor_each"

#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm
# host_matrix_vm.sh - set-ups of host_matrix.py with devices that only other kernels have, in one call each: VLANs over an
# aggregate of links, a VRF. The other rows for the virtual machine are tried by hand.
build=${RTPX_BUILD:-$(dirname "$0")/../../build}
RTPX_BUILD=$build exec "$(dirname "$0")/host_matrix.py" --dataplanes native \
	"link: VLANs over a bond" "link: VRF"

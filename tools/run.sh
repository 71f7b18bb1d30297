#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# run.sh BUILD [OPTION...] - start BUILD/rtpxd in the foreground on the address of the default route, as make run does.
# Options are passed on to rtpxd. Installs nothing.
set -eu
build=${1:?usage: run.sh BUILD [OPTION...]}
shift

if [ "$(id -u)" -ne 0 ]; then
	echo "run.sh: XDP and bpffs need root: sudo make run" >&2
	exit 1
fi
if [ ! -x "$build/rtpxd" ]; then
	echo "run.sh: there is no $build/rtpxd: make" >&2
	exit 1
fi

# bpffs is where maps are pinned; without it the relay forwards by sockets, so going on is right.
if ! mountpoint -q /sys/fs/bpf && ! mount -t bpf bpf /sys/fs/bpf; then
	echo "run.sh: cannot mount bpffs on /sys/fs/bpf, so packets will not be forwarded in the kernel" >&2
fi
mkdir -p /run/rtpx

# What the default route sends from; without one, the first address that others can reach.
first_global() {
	kind=$1
	shift
	ip "$kind" -o address show scope global "$@" | sed -n 's/.* inet6\{0,1\} \([^ /]*\).*/\1/p' | head -n 1
}
default_source() {
	route=$(ip "$1" -o route show default | head -n 1)
	gateway=$(echo "$route" | sed -n 's/.* via \([^ ]*\).*/\1/p')
	device=$(echo "$route" | sed -n 's/.* dev \([^ ]*\).*/\1/p')
	if [ -n "$gateway" ] && [ "${gateway#fe80}" = "$gateway" ]; then
		ip "$1" -o route get "$gateway" | sed -n 's/.* src \([^ ]*\).*/\1/p'
	elif [ -n "$device" ]; then
		first_global "$1" dev "$device"
	fi
}

for from in default_source first_global; do
	for family in -4 -6; do
		address=$($from $family)
		[ -n "$address" ] && break 2
	done
done
if [ -z "$address" ]; then
	echo "run.sh: this host has no address but loopback: media will go no further. Give one: ip address add ..." >&2
	family=-4 address=127.0.0.1
fi
listen=-l
[ "$family" = -6 ] && listen=-6

exec "$build/rtpxd" -f -F --banner -d info -s udp:127.0.0.1:7722 -s unix:/run/rtpx/rtpx.sock \
	$listen "$address" -p /run/rtpx/rtpxd.pid "$@"

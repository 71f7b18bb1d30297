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

# What the kernel would send from; no packet goes to these documentation addresses.
source_towards() { ip "$1" -o route get "$2" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p'; }
first_global() { ip "$1" -o address show scope global | sed -n 's/.* inet6\{0,1\} \([^ /]*\).*/\1/p' | head -n 1; }

for how in source first; do
	for family in -4 -6; do
		case $how$family in
		source-4) address=$(source_towards -4 192.0.2.1) ;;
		source-6) address=$(source_towards -6 2001:db8::1) ;;
		*) address=$(first_global $family) ;;
		esac
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

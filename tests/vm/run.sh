#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together busy long=480 limit=1500
# run.sh [BUILD [all | COMMAND...]] - run the tests whose header has the word "vm", every test that touches the kernel, or
# a command, under Debian's own kernel.
#
# The kernel comes from Debian's package, unpacked below BUILD/vm and not installed. It boots in QEMU without
# hardware virtualization and sees this machine's files, read-only, below a file system in memory: what is installed
# here can be run there, and what it writes is gone with it. The command runs as root in the top directory of the
# tree, with RTPX_BUILD=BUILD; its exit status is ours. RTPX_VM_SECONDS limits the whole (0: no limit), RTPX_VM_BOOT is for the
# kernel's command line, RTPX_VM_ACCEL=kvm hurries it;
# with RTPX_VM_ACCEL=icount it has one CPU, and its clock counts instructions, one a nanosecond.
# It builds nothing and needs no network once it has the kernel.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=$(realpath "${1:-${RTPX_BUILD:-$top/build}}")
shift $(($# > 0))
limit=${RTPX_VM_SECONDS:-0}
PATH=$PATH:/usr/sbin:/sbin

# What Debian's kernels can check of a module: use after free, writing beyond the end, double free. What goes wrong is in
# the kernel's log, which the module's tests look at.
checks='slub_debug=FZP,rtpx_flow,skbuff*,kmalloc-16k'
seconds=900 # of a test in there; one after the other, as one of them sets the clock, and others unload the module
case ${1:-} in
'')
	set -- env RTPX_TEST_SLOTS=1 RTPX_TEST_SECONDS=$seconds tests/run -w vm "$build"
	: "${RTPX_VM_BOOT:=$checks}"
	;;
all)
	set -- env RTPX_TEST_SLOTS=1 RTPX_TEST_SECONDS=$seconds tests/run "$build" '^tests/(bpf|kmod|netns|sip|demo|test_)'
	: "${RTPX_VM_BOOT:=$checks}"
	;;
esac

skip() { echo "$*"; exit 4; }
fail() { echo "$*" >&2; exit 1; }

[ -z "${RTPX_IN_VM:-}" ] || skip "this is the virtual machine"
[ "$(uname -m)" = x86_64 ] || skip "the kernel of Debian for amd64 does not run here"
for tool in qemu-system-x86_64 busybox modprobe depmod apt-get dpkg-deb; do
	command -v $tool >/dev/null || skip "$tool is not installed"
done

# ---- the kernel ------------------------------------------------------------------------------

# The kernel of the newest headers that are installed, which is what the Makefile builds the module for; else the newest.
newest()
{
	local headers

	headers=$(find /lib/modules -mindepth 2 -maxdepth 2 -name build -path '*-amd64/*' 2>/dev/null | sort -V | tail -n 1)
	if [ -n "$headers" ]; then
		basename "$(dirname "$headers")"
	else
		apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: linux-image-\([0-9].*\)/\1/p'
	fi
}
release=$(newest)
if [ -z "$release" ] || ! apt-cache show "linux-image-$release" >/dev/null 2>&1; then
	apt-get update -qq >/dev/null || :
	release=$(newest)
fi
[ -n "$release" ] || fail "apt knows of no package linux-image-amd64: is this Debian, and its archive within reach?"
package=linux-image-$release
kernel=$build/vm/$release
if [ ! -d "$kernel/lib/modules/$release/kernel/drivers/net/bonding" ]; then
	rm -rf "$kernel.new" && mkdir -p "$kernel.new"
	(cd "$kernel.new" && apt-get -qq -o APT::Sandbox::User=root download "$package") ||
		fail "cannot download $package: try apt-get update, and apt-get install linux-headers-amd64"
	m='./lib/modules/*'
	dpkg-deb --fsys-tarfile "$kernel.new/$package"_*.deb |
		tar x -C "$kernel.new" --wildcards --no-wildcards-match-slash './boot/vmlinuz-*' \
			"$m/modules.*" "$m/kernel"/{arch,crypto,fs,lib,net,drivers/{virtio,net/*.ko*,net/{bonding,ipvlan,vxlan}}}
	find "$kernel.new" -name '*.ko.xz' -exec busybox unxz {} +
	depmod -b "$kernel.new" "$release"
	rm "$kernel.new"/*.deb
	rm -rf "$kernel"
	mv "$kernel.new" "$kernel"
fi

# ---- what it boots into ----------------------------------------------------------------------

work=$(mktemp -d -t rtpx-vm.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{bin,sbin,dev,proc,sys,modules,host,memory,root}
cp "$(command -v busybox)" "$work/bin/busybox"
cp "$here/init" "$work/init"
modules=$(modprobe -d "$kernel" -S "$release" -nva virtio_pci 9pnet_virtio 9p overlay | awk '!seen[$2]++ { print $2 }')
for module in $modules; do
	cp "$module" "$work/modules/" && basename "$module" >>"$work/modules/order"
done
{
	printf 'ulimit -n %s\n' "$(ulimit -Hn)"
	printf 'export AUDIO_MS=10000 RTPX_PATIENCE=4 RTPX_HOST_LOADAVG=/run/host/loadavg RTPX_HOST_CPUS=%d\n' "$(nproc)"
	printf 'export RTPX_IN_VM=%q RTPX_BUILD=%q\ncd %q || exit\n' "$release" "$build" "$top"
	printf '%q ' "$@"
} >"$work/command"
echo "$kernel/lib/modules" >"$work/where-modules"
(cd "$work" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initrd"

# ---- boot ------------------------------------------------------------------------------------

# The machine is emulated: what takes a second elsewhere may take half a minute here. The watchdogs of its kernel
# know that, and the kernel moves no pages about in the background. Its second CPU is off until a test switches it on:
# with two, each waits for the other at every change of a page table, so a fork costs four times as much. Sockets hold
# the packets of seconds, because a process may not run for so long.
patience="watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 workqueue.watchdog_thresh=120 sysctl.vm.compaction_proactiveness=0 maxcpus=1 sysctl.net.core.rmem_default=4194304"
cpu=(-accel "${RTPX_VM_ACCEL:-tcg}" -smp 2)
[ "${RTPX_VM_ACCEL:-}" != icount ] || cpu=(-accel tcg,thread=single -smp 1 -icount shift=0,sleep=off)
echo "kernel $release: $*"
status=0
# It is the longest of all tests and goes first: the others mostly wait.
nice -n -5 timeout --foreground -k 5 "$limit" qemu-system-x86_64 "${cpu[@]}" -cpu max -m 2G \
	-nodefaults -display none -no-reboot -serial stdio \
	-kernel "$kernel/boot/vmlinuz-$release" -initrd "$work/initrd" -append "console=ttyS0 loglevel=4 panic=-1 no_timer_check $patience ${RTPX_VM_BOOT:-}" \
	-virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
	-virtfs local,path=/proc,mount_tag=load,security_model=none,readonly=on,multidevs=remap </dev/null 2>&1 |
	tee "$work/console" | sed -u -e 's/\r$//' -e '/^vm: exit /d' -e '/reboot: Restarting system/d' ||
	status=${PIPESTATUS[0]}
[ "$status" != 124 ] || fail "the virtual machine had not finished after $limit s"
said=$(sed -n 's/^vm: exit \([0-9]*\)\r$/\1/p' "$work/console" | tail -n 1)
[ -n "$said" ] || fail "the virtual machine ended without a result (qemu: $status)"
exit "$said"

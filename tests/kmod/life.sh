#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm module
#
# life.sh - the module comes and goes: loaded and unloaded many times, with flows in place, under traffic, with
# owners that are killed and namespaces that end; what netlink may say to it; and after all of that the
# kernel's log has nothing but its greetings. In the virtual machine only: it unloads the module.

. "$(dirname "$0")/../netns/lab.sh"
TESTS=$RTPX_BUILD/kmod-tests
LOADS=20

lab_begin dmesg rmmod
[ -n "${RTPX_IN_VM:-}" ] || skip "only the virtual machine's kernel is for loading and unloading"
# Races need two CPUs. The virtual machine begins with one.
second_cpu() { echo "$1" >/sys/devices/system/cpu/cpu1/online; }
second_cpu_off() { second_cpu 0; }
second_cpu 1
LAB_AT_END+=(second_cpu_off)
[ "$(nproc)" = 2 ] || fail "the second CPU is not on"
[ -e /dev/net/tun ] || modprobe tun || skip "this kernel has no TAP devices"
loaded() { [ -d /sys/module/rtpx ]; }
unload() { check "$1" rmmod rtpx; }
says() { grep -q "^$2" "$LAB_DIR/$1.log"; }

! loaded || rmmod rtpx
# Nothing hides behind others: these limits are common to many places.
sysctl -qw net.core.message_cost=0 kernel.printk_ratelimit=0
dmesg -C
for ((i = 0; i < LOADS; i++)); do
	LAB_QUIET=1 need_module
	LAB_QUIET=1 unload "unload without a table"
done
ok "loaded and unloaded $LOADS times"

need_module
lab_ns relay other
in_ns relay "$TESTS/protocol" >"$LAB_DIR/protocol.log" || fail "the protocol" protocol
ok "owners, versions, flags, lengths: as the protocol says"
# Copies of packets are set aside for whoever opens a table, and charged to him; root of a user namespace that anybody may
# have made gets no more than a certain room.
mirror_is() { check "$1 bytes for copies: $2" test "$("${@:3}" "$TESTS/protocol" mirror "$1")" = "$2"; }
group=/sys/fs/cgroup/$LAB_TAG
mirror_is $((65 << 20)) Success
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir "$group"
echo 32M >"$group/memory.max"
# shellcheck disable=SC2016
mirror_is $((48 << 20)) "Cannot allocate memory" bash -c 'echo $$ >"$0" && exec "$@"' "$group/cgroup.procs"
rmdir "$group"
if unshare -U true 2>/dev/null; then
	mirror_is $((64 << 20)) Success unshare -Ur
	mirror_is $(((64 << 20) + 1)) "Operation not permitted" unshare -Ur
else
	say "not tried: no user namespaces below a chroot"
fi
in_ns relay "$TESTS/fuzz" "${RTPX_FUZZ:-5000}" || fail "malformed requests"
in_ns relay "$TESTS/stress" count || fail "packets through a flow that changes"

# Flows of two namespaces; the owner of one is killed.
for n in relay other; do
	lab_start $n "left-$n" "$TESTS/stress" leave 50
	must_wait 10 "flows in $n" says "left-$n" left
done
lab_stop left-relay KILL || :
lab_start relay next "$TESTS/stress" leave 1
must_wait 10 "flows of the next owner" says next left
grep -q "removed 100 flows of the previous rtpxd" "$LAB_DIR/next.log" ||
	fail "the next owner did not find what was left" next
ok "flows outlive their owner, and the next one finds them"

# A namespace ends with its flows; one has no owner, the other one's is alive but has lost its namespace's name.
lab_stop next KILL || :
lab_stop left-other KILL || :
ip netns del "$LAB_TAG-other"
LAB_NAMES=(relay)
lab_start relay go "$TESTS/stress" go
must_wait 10 "traffic" says go running
unload "unload under traffic, with flows in two namespaces"
lab_running go || fail "traffic stopped with the module" go
need_module
lab_stop go KILL || :
unload "unload after the last namespace"

# Beside the greeting: what the kernel itself says of a module that it did not build, of messages that are none, and
# of devices; and that it does not repeat what it has said ten times, for each such place in its sources by itself.
# Everything else would be a fault.
cat >"$LAB_DIR/usual" <<'EOF'
^rtpx: media relay .*, ABI version [0-9]+$
^rtpx: loading out-of-tree module taints kernel\.$
^rtpx: module verification failed: signature and/or required key missing - tainting kernel$
^netlink: '(fuzz|protocol)': attribute type [0-9]+ has an invalid length\.$
^netlink: [0-9]+ bytes leftover after parsing attributes in process `(fuzz|protocol)'\.$
^[A-Za-z_0-9]+: [0-9]+ callbacks suppressed$
^(IPv6: ADDRCONF|8021q|tun|hrtimer|clocksource|sched|perf).*: .*$
EOF
dmesg -t >"$LAB_DIR/dmesg"
# A host that gives the emulated machine no time makes its kernel report stalls. Such a report is about the host,
# unless a function of the module is on the stack that it shows.
awk '
	/rcu: INFO: .* detected .*stall|watchdog: BUG: soft lockup/ { stall = 1; own = 0; report = "" }
	!stall { print; next }
	{ report = report $0 "\n" }
	/\[rtpx\]/ { own = 1 }
	/<\/TASK>/ { if (own) printf "%s", report; stall = 0 }
	END { if (stall && own) printf "%s", report }
' "$LAB_DIR/dmesg" | grep -vEf "$LAB_DIR/usual" >"$LAB_DIR/odd" || :
[ ! -s "$LAB_DIR/odd" ] || {
	cat "$LAB_DIR/odd" >&2
	fail "the kernel's log has more than greetings"
}
ok "$(grep -c 'media relay' "$LAB_DIR/dmesg") greetings in the kernel's log, and nothing else"
pass

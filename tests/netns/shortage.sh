#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long=75
# shellcheck source-path=SCRIPTDIR
#
# shortage.sh - what rtpxd needs is not there: no BPF file system, no capability, another clock, no XDP in a driver, no
# memory for maps, no descriptors, no ports, a /run that cannot be written. Each time it says so in a sentence, calls go on
# as well as they still can, and when it is there again, so is what was lost.

. "$(dirname "$0")/floor_lib.sh"

lab_begin python3 jq setpriv unshare
floor_net
OPTIONS=(-l 192.0.2.1/198.51.100.1 --bridge_symmetric)

relay_start() { start_rtpxd relay rtpxd 127.0.0.1 7722 "${OPTIONS[@]}" "$@"; }
journal() { rtpxctl rtpxd --json status | jq -r ".journal.$1"; }
told() { wait_for 5 "" grep -qE "$1" "$LAB_DIR/rtpxd.log" || fail "rtpxd has not said '$1'" rtpxd; }
whys() { echo "$(rtp_of caller why) $(rtp_of callee why)"; }
whys_are() { [ "$(whys)" = "$1" ]; }

# talks WHYS - both ends hear all of each other for a second, and rtpxctl says of the two directions where they go.
talks()
{
	floor_talk 2 198.51.100.10 198.51.100.1 1
	must_wait 10 "'$1' of the two directions, but '$(whys)'" whys_are "$1"
	floor_talked 15
	is "$(bob_missed) $(heard bob .wrong) $(heard alice .wrong)" "0 0 0" "packets that bob missed or heard wrong, or alice,"
	[ "$(heard alice .received)" -ge 20 ] || fail "alice heard only $(heard alice .received) packets" rtpxd
}

# degrades SENTENCE WHYS OPTION… - it starts and says this, and a call goes there.
degrades()
{
	local sentence=$1 whys=$2

	shift 2
	relay_start "$@"
	told "$sentence"
	floor_call rtpxd 198.51.100.10
	talks "$whys"
}

# restarts - and the next daemon has the call in the kernel.
restarts()
{
	lab_stop rtpxd PWR || fail "rtpxd ended with status $?" rtpxd
	relay_start "$@"
	is "$(journal restored)" 1 "number of calls that came back"
	talks "KERNEL KERNEL"
}

ends() { stop_rtpxd rtpxd west east; }

# ---- no BPF file system ----

mkdir "$LAB_DIR/bpf"
degrades "no BPF file system holds .*: mount -t bpf bpf $LAB_DIR/bpf" "NO_DATAPLANE NO_DATAPLANE"
mount -t bpf -o mode=0700 bpf "$LAB_DIR/bpf"
restarts
ends
say "ok: no BPF file system"

# ---- no capability ----

LAB_WRAP=(setpriv --bounding-set=-bpf,-sys_admin --inh-caps=-all)
degrades "the kernel refuses BPF to this process .*: run as root, or with CAP_BPF, CAP_NET_ADMIN" "NO_DATAPLANE NO_DATAPLANE"
LAB_WRAP=()
restarts
ends
say "ok: no CAP_BPF"

# ---- no clock of the kernel's ----

LAB_WRAP=(unshare --time --monotonic 86400)
degrades "the clock of this process is 86400 s off the kernel's" "NO_DATAPLANE NO_DATAPLANE" --state-dir none
ends
LAB_WRAP=()
say "ok: a time namespace"

# ---- no XDP in a driver: a bridge has none ----

bridge_begin()
{
	ip_in relay link add bridge type bridge
	ip_in relay addr del 192.0.2.1/24 dev west
	ip_in relay link set west master bridge
	lab_addr relay bridge 192.0.2.1/24
	ip_in relay link set bridge up
}

bridge_end()
{
	ip_in relay link del bridge
	lab_addr relay west 192.0.2.1/24
}

bridge_begin
degrades "XDP in the drivers of all interfaces is not in use: bridge: native XDP is refused" "NO_DATAPLANE NO_DATAPLANE" --dataplane native,none
lab_stop rtpxd || :
degrades "bridge: XDP, generic mode, no packet leaves through it: .*use --xdp-mode generic" "KERNEL NO_INTERFACE"
restarts --xdp-mode generic
bridge_end
restarts
ends
say "ok: no XDP in a driver"

# ---- no memory for maps ----

# memory_group BYTES - a control group of the test's own, for all that a process in it makes the kernel allocate.
GROUPS_AT=/sys/fs/cgroup
MEMORY_MAX=memory.max
if [ -d $GROUPS_AT/memory ]; then
	GROUPS_AT=$GROUPS_AT/memory
	MEMORY_MAX=memory.limit_in_bytes
elif [ -w $GROUPS_AT/cgroup.subtree_control ]; then
	# No such controller: it belongs to a hierarchy of version 1 that is not mounted here.
	{ echo +memory >$GROUPS_AT/cgroup.subtree_control; } 2>/dev/null || :
fi
# A group for each limit: what the kernel still holds of an ended daemon may be more than the next limit.
memory_group()
{
	local group=$GROUPS_AT/$LAB_TAG-$1

	mkdir "$group" || return
	[ -e "$group/$MEMORY_MAX" ] && echo "$1" >"$group/$MEMORY_MAX" || return
	LAB_WRAP=(bash -c "echo \$\$ >$group/cgroup.procs; exec \"\$@\"" rtpxd)
}

groups_end()
{
	rmdir "$GROUPS_AT/$LAB_TAG"-* || :
	! compgen -G "$GROUPS_AT/$LAB_TAG-*"
}

# groups_at_end - the test has failed, maybe with rtpxd in a group.
groups_at_end()
{
	compgen -G "$GROUPS_AT/$LAB_TAG-*" >/dev/null || return 0
	[ -z "${LAB_PID[rtpxd]:-}" ] || lab_stop rtpxd KILL
	wait_for 10 "end of the control groups" groups_end
}
LAB_AT_END+=(groups_at_end)

if memory_group 100M 2>/dev/null; then
	degrades "no ring of 536870912 bytes .*--mirror-bytes may help" "KERNEL KERNEL" --mirror-bytes 536870912
	ends
	memory_group 16M
	degrades "no memory for .* flows: use fewer ports" "NO_DATAPLANE NO_DATAPLANE" -m 1024 -M 65535
	LAB_WRAP=()
	restarts -m 1024 -M 65535
	ends
	must_wait 10 "end of the control groups" groups_end
	say "ok: no memory for maps"
else
	say "not tried: there is no control group for memory here"
fi

# ---- no descriptors, no ports: new calls are refused, those that are there go on ----

# fills WHY OPTION… - beside a call that talks, new ones come until there is no more room; then one goes, and another may come.
fills()
{
	local why=$1 n=0 reply

	shift
	relay_start "$@"
	floor_call rtpxd 198.51.100.10
	floor_talk 4 198.51.100.10 198.51.100.1 1
	must_wait 10 "call in the kernel" both_in_kernel
	while reply=$(rtpp rtpxd "U fill-$n 192.0.2.10 6000 a"); [[ $reply == [1-9]* ]]; do
		n=$((n + 1))
		[ $n -lt 200 ] || fail "$n calls fit"
	done
	[[ $reply == E* ]] || fail "'$reply' is no answer to a call that finds no room" rtpxd
	[ $n -gt 0 ] || fail "not one call fits" rtpxd
	told "no media ports for a new session on 192.0.2.1: $why"
	is "$(active_sessions rtpxd)" $((n + 1)) "number of calls"
	is "$(rtpp rtpxd "D fill-0 a")" 0 "reply to D"
	must_wait 10 "room for another call" has_room
	floor_talked 20
	is "$(bob_missed) $(heard bob .wrong) $(heard alice .wrong)" "0 0 0" "packets that bob missed or heard wrong, or alice,"
}

has_room() { [[ $(rtpp rtpxd "U another-$RANDOM 192.0.2.10 6000 a") == [1-9]* ]]; }

fills "too many open files, see -L" -L 100 --port-sockets each
told "descriptors are open, the limit of open files is 100: raise it by -L"
ends
say "ok: no descriptors"

fills "all ports from -m to -M are in use" -m 40000 -M 40009
ends
say "ok: no ports"

# ---- /run cannot be written ----

# In a /run of its own, which the test sees below /proc.
LAB_WRAP=(unshare -m bash -c 'mount -t tmpfs -o ro,mode=755 rtpx /run && exec "$@"' rtpxd)
ln -s "$LAB_DIR/run/rtpx/admin.sock" "$LAB_DIR/rtpxd.admin"
relay_start --admin-socket /run/rtpx/admin.sock --state-dir /run/rtpx -p /run/rtpxd.pid
ln -s "/proc/${LAB_PID[rtpxd]}/root/run" "$LAB_DIR/run"
told "pid file /run/rtpxd.pid: cannot open it: Read-only file system"
told "no journal, so calls end with this process: cannot use /run/rtpx: Read-only file system"
told "rtpxctl cannot connect to this process: --admin-socket: cannot create /run/rtpx/admin.sock: "
floor_call rtpxd 198.51.100.10
floor_talk 2 198.51.100.10 198.51.100.1 1
floor_talked 15
is "$(bob_missed) $(heard bob .wrong) $(heard alice .wrong)" "0 0 0" "packets that bob missed or heard wrong, or alice,"
nsenter -m -r -t "${LAB_PID[rtpxd]}" mount -o remount,rw /run
told "rtpxctl can connect now, at /run/rtpx/admin.sock"
journal_works() { [ "$(journal works)" = true ]; }
must_wait 10 "journal that is written" journal_works
talks "KERNEL KERNEL"
ends
say "ok: /run cannot be written"
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long=75
# shellcheck source-path=SCRIPTDIR
#
# restart_trouble.sh - a daemon finds what the one before it has left, and something is wrong with it. It says what, saves
# what can be saved, and touches nothing that it does not understand.

. "$(dirname "$0")/floor_lib.sh"

lab_begin python3 jq bpftool
ulimit -c 0 # a crash is part of it
floor_net
PINS=$LAB_DIR/bpf/rtpxd STATE=$LAB_DIR/rtpxd.state
JOURNAL=$STATE/journal.mdb
OPTIONS=(-l 192.0.2.1/198.51.100.1 --bridge_symmetric -m 40000 -M 40999 --dataplane xdp)

relay_start() { start_rtpxd relay rtpxd 127.0.0.1 7722 "${OPTIONS[@]}" "$@"; }
journal() { rtpxctl rtpxd --json status | jq -r ".journal.$1"; }
told() { grep -qE "$1" "$LAB_DIR/rtpxd.log" || fail "rtpxd has not said '$1'" rtpxd; }

# a_call - talking, in the kernel; then the daemon is killed.
a_call()
{
	relay_start "$@"
	floor_call rtpxd 198.51.100.10
	floor_talk 1 198.51.100.10 198.51.100.1
	must_wait 10 "call in the kernel" both_in_kernel
	floor_talked 15
	lab_stop rtpxd KILL || :
}

# goes_on - the call is there, and audio passes.
goes_on()
{
	is "$(journal restored)" 1 "number of calls that came back"
	floor_talk 1 198.51.100.10 198.51.100.1 1
	must_wait 10 "call in the kernel" both_in_kernel
	floor_talked 15
	is "$(bob_missed) $(heard bob .wrong)" "0 0" "packets that bob missed or heard wrong"
}

ends() { stop_rtpxd rtpxd west east; }

# refused OPTION… - the start fails; what was left is as it was. Its words are in refusal.log.
refused()
{
	local before

	before=$(left)
	in_ns relay "$RTPX_BUILD/rtpxd" -f -F -s udp:127.0.0.1:7724 -p "$LAB_DIR/refused.pid" --pin-dir "$PINS" \
		--state-dir "$STATE" --admin-socket "$LAB_DIR/refused.admin" "${OPTIONS[@]}" "$@" >"$LAB_DIR/refusal.log" 2>&1 &&
		fail "rtpxd started" refusal
	is "$(left)" "$before" "what was left, after the refusal,"
}

# left - a daemon that lives writes its journal all the time.
left()
{
	ls "$PINS"
	lab_running rtpxd || md5sum "$JOURNAL"
}

because() { grep -qE "$1" "$LAB_DIR/refusal.log" || fail "rtpxd has not said '$1'" refusal; }

# newer_record - a daemon of the future would have written its records so.
newer_record()
{
	python3 - "$JOURNAL" <<-'EOF'
		import struct, sys, zlib
		data, at, done = bytearray(open(sys.argv[1], "rb").read()), 0, 0
		while (at := data.find(b"rtpxcall", at)) >= 0:
		    crc, length = struct.unpack_from("=II", data, at + 8)
		    if zlib.crc32(data[at + 12:at + 40 + length]) == crc:
		        struct.pack_into("=I", data, at + 32, 99)
		        struct.pack_into("=I", data, at + 8, zlib.crc32(data[at + 12:at + 40 + length]))
		        done += 1
		    at += 8
		assert done
		open(sys.argv[1], "r+b").write(data)
	EOF
}

# change_config OFFSET BYTE… - in the configuration of the pinned maps.
change_config()
{
	local offset=$1 value

	shift
	value=($(bpftool -j map dump pinned "$PINS/config" | jq -r '.[0].value[]'))
	value=("${value[@]:0:offset}" "$@" "${value[@]:offset+$#}")
	bpftool map update pinned "$PINS/config" key 0 0 0 0 value "${value[@]}"
}

# ---- two at once ----

relay_start
refused
because "another rtpxd uses $STATE: give this one another --state-dir"
refused --state-dir "$LAB_DIR/other.state"
because "another rtpxd uses $PINS: give this one another --pin-dir"
rm -rf "$LAB_DIR/other.state"
# Several rtpproxies may run on a host.
ln -s "$(realpath "$RTPX_BUILD/rtpxd")" "$LAB_DIR/rtpproxy"
lab_start relay drop-in "$LAB_DIR/rtpproxy" -f -F -s "unix:$LAB_DIR/drop-in.sock" -p "$LAB_DIR/drop-in.pid" -l 192.0.2.1 \
	--pin-dir "$PINS" --state-dir "$STATE" --admin-socket "$LAB_DIR/drop-in.admin"
must_wait 10 "rtpproxy beside rtpxd" test -s "$LAB_DIR/drop-in.pid"
for reason in "no journal, so calls end with this process: another rtpxd" "XDP is not in use: another rtpxd"; do
	grep -q "$reason" "$LAB_DIR/drop-in.log" || fail "it has not said '$reason'" drop-in
done
lab_stop drop-in || fail "the end of rtpproxy" drop-in
say "ok: of two daemons with one directory the second refuses"
ends

# ---- a crash is as good as a kill ----

relay_start
floor_call rtpxd 198.51.100.10
lab_stop rtpxd SEGV || :
relay_start
goes_on
ends
say "ok: a crash leaves the call"

# ---- a journal that is damaged, and one that is gone ----

a_call
python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.write(b"\xff" * 8192)' "$JOURNAL"
relay_start
told "$JOURNAL is damaged: [12] records of it could be read"
goes_on
ends
say "ok: a damaged journal is searched, and the call goes on"

a_call
rm "$JOURNAL"
relay_start
told "removed [0-9]+ pins of the previous rtpxd in $PINS: the journal has no call"
is "$(journal restored)" 0 "number of calls without a journal"
no_sessions rtpxd || fail "calls out of nowhere"
ends
say "ok: without a journal the pins are removed"

# ---- pins that are not what they should be ----

a_call
rm "$PINS/nexthops"
relay_start
told "its calls get new flows: in $PINS the map nexthops is missing"
goes_on
ends
say "ok: without a map the call gets new flows"

a_call
change_config 12 1 2 3 4
relay_start
told "are not of the rtpxd whose calls are in the journal"
goes_on
ends
say "ok: pins of another instance are replaced"

# ---- what cannot be read is refused, and left as it is ----

# other_version - in the place of the pinned maps, some as an rtpxd of another ABI had them: other sizes, and a map that we
# do not have.
other_version()
{
	local map

	for map in "config 24 array" "flows 64 array" "calls 16 hash"; do
		set -- $map
		rm -f "$PINS/$1"
		bpftool map create "$PINS/$1" type "$3" key 4 value "$2" entries 4 name "$1"
	done
	bpftool map update pinned "$PINS/config" key 0 0 0 0 value 6 0 0 0 $(printf '0 %.0s' {1..20})
}

# in_the_middle COMMAND… - of a call whose packets the kernel forwards, the daemon is killed, the command done, and the next one
# started. No packet is missing.
in_the_middle()
{
	relay_start
	floor_call rtpxd 198.51.100.10
	floor_talk 6 198.51.100.10 198.51.100.1 1
	must_wait 10 "call in the kernel" both_in_kernel
	lab_stop rtpxd KILL || :
	"$@"
	relay_start
	is "$(journal restored)" 1 "number of calls that came back"
	must_wait 10 "call in the kernel again" both_in_kernel
	[ ! -e "$PINS/calls" ] || fail "a map that is not ours has stayed"
	floor_talked 25
	is "$(bob_missed) $(heard bob .wrong)" "0 0" "packets that bob missed or heard wrong"
	ends
}

in_the_middle other_version
told "maps are of another version of rtpx \(ABI 6, this one has [0-9]+\): they are replaced, and the calls of the journal get new flows"
in_the_middle rm "$PINS/nexthops"
told "cannot be taken over, so its calls get new flows: in $PINS the map nexthops is missing"
say "ok: maps of another ABI, or incomplete ones, are replaced in the middle of a call, and no packet is missing"

a_call
change_config 0 99 0 0 0
rm "$JOURNAL"
relay_start
told "they are replaced$"
is "$(journal restored)" 0 "number of calls without a journal"
ends
a_call
change_config 0 99 0 0 0
relay_start --discard-state
told "removed [0-9]+ pins from $PINS \(--discard-state\)"
is "$(journal restored)" 0 "number of calls after --discard-state"
ends
say "ok: without a journal they are removed, and so they are when asked for"

a_call
newer_record
refused
because "$JOURNAL was written by a newer rtpxd \(version 99, .*SIGHUP.*--discard-state"
relay_start --discard-state
ends
say "ok: a journal of a newer version is refused, or discarded"

a_call
refused -M 41999
because "has calls on ports 40000 to 40999, this rtpxd was given 40000 to 41999: start it with -m 40000 -M 40999"
relay_start
goes_on
ends
say "ok: other ports are refused, and the call is not touched"

# ---- the host has changed ----

a_call
ip_in relay addr del 198.51.100.1/24 dev east
relay_start
told "198.51.100.1 is not an address of this host now"
is "$(journal restored)" 1 "number of calls without their address"
lab_addr relay east 198.51.100.1/24
goes_on
ends
say "ok: a call waits for its address"

a_call
ip_in relay link del east
relay_start
lab_link relay east bob eth0
lab_addr relay east 198.51.100.1/24
lab_addr bob eth0 198.51.100.10/24
goes_on
ends
say "ok: a call waits for its interface"

a_call
relay_start --dataplane none
told "previous rtpxd used XDP, this one does not: removed its flows from $PINS"
xdp_mode_is relay west none || fail "the program is still on west" rtpxd
is "$(journal restored)" 1 "number of calls without XDP"
floor_talk 1 198.51.100.10 198.51.100.1 1
floor_talked 15
is "$(bob_missed) $(heard bob .wrong)" "0 0" "packets that bob missed or heard wrong"
ends
say "ok: without XDP the daemon relays what the kernel had"

# ---- nowhere to keep a journal ----

writable() { [ "$(journal works)" = true ]; }
not_writable() { [ "$(journal works)" = false ]; }

rm -rf "$STATE" && mkdir "$STATE"
mount -t tmpfs -o size=64k,mode=0700 rtpx "$STATE"
relay_start
n=0
while writable && [ $((n += 1)) -lt 400 ]; do
	rtpp rtpxd "U full-$n 192.0.2.10 4000 a-tag-of-some-length-so-that-it-takes-room-$n" >/dev/null
done
not_writable || fail "$n calls fit in 64 kB"
told "cannot be written \(No space left on device\): calls go on"
is "$(active_sessions rtpxd)" "$n" "number of calls"
mount -o remount,size=8m "$STATE"
must_wait 5 "the journal after there is room again" writable
told "is written again: calls outlive this process"
lab_stop rtpxd KILL || :
relay_start
is "$(journal restored)" "$n" "number of calls that came back"
ends
umount "$STATE"
say "ok: a full disk costs the journal until there is room, and no call"

relay_start
prlimit --pid "${LAB_PID[rtpxd]}" --fsize=2000:unlimited
must_wait 5 "trouble with the journal" not_writable
told "cannot be written \(File too large\): calls go on"
prlimit --pid "${LAB_PID[rtpxd]}" --fsize=unlimited:unlimited
must_wait 5 "the journal without the limit" writable
ends
say "ok: so does a limit on the size of files"

mount -t tmpfs -o ro rtpx "$STATE"
relay_start --state-dir "$STATE/deep"
told "no journal, so calls end with this process: cannot use $STATE/deep: Read-only file system"
floor_call rtpxd 198.51.100.10
mount -o remount,rw "$STATE"
must_wait 5 "a journal after the directory can be written" writable
ends
umount "$STATE"
say "ok: a directory that cannot be written costs the journal as long as it is so"
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck source-path=SCRIPTDIR
#
# privileges.sh - with no more capabilities than the systemd unit grants, rtpxd loads its program, forwards a call in
# the kernel and cleans up; it keeps two of them, of no use for files; and no command reaches a file outside its
# directories.

. "$(dirname "$0")/floor_lib.sh"
UNIT=$LAB_ROOT/daemon/rtpxd.service KEPT=net_admin,bpf
OUTSIDE=../outside

lab_begin python3 jq setpriv
floor_net

# What the unit says, as setpriv wants it.
unit_capabilities()
{
	sed -n 's/^CapabilityBoundingSet=//p' "$UNIT" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g'
}

status_of() { sed -n "s/^$1:[[:space:]]*//p" "/proc/${LAB_PID[rtpxd]}/status"; }

# capability_mask NAME,… - as /proc/PID/status has it.
capability_mask()
{
	local c mask=0
	declare -A number=([net_admin]=12 [bpf]=39)

	for c in ${1//,/ }; do
		mask=$((mask | 1 << number[$c]))
	done
	printf '%016x' $mask
}

# refused COMMAND… - each gets an error, and nothing appears outside the directories.
refused()
{
	local c reply

	for c; do
		reply=$(rtpp rtpxd "$c")
		[[ $reply == E* ]] || fail "'$c' is answered with '$reply'" rtpxd
	done
	[ -z "$(find "$LAB_DIR" -name 'outside*')" ] || fail "a command made $(find "$LAB_DIR" -name 'outside*')"
}

mkdir "$LAB_DIR/recordings"
chown nobody:nogroup "$LAB_DIR/recordings"
chmod 755 "$LAB_DIR" # the user looks for his recordings below it
LAB_WRAP=(setpriv --no-new-privs --bounding-set "-all,$(unit_capabilities)")
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -u nobody:nogroup \
	-r "$LAB_DIR/recordings" --dataplane xdp
floor_call rtpxd 198.51.100.10
floor_talk 2 198.51.100.10 198.51.100.1
must_wait 10 "call in the kernel" both_in_kernel
floor_talked 15

is "$(status_of Uid | cut -f 2)" "$(id -u nobody)" "user id"
is "$(status_of Gid | cut -f 2)" "$(getent group nogroup | cut -d : -f 3)" "group id"
for set in CapPrm CapEff; do
	is "$(status_of $set)" "$(capability_mask $KEPT)" "$set"
done
for set in CapInh CapAmb CapBnd; do
	is "$(status_of $set)" 0000000000000000 "$set"
done
is "$(status_of NoNewPrivs)" 1 NoNewPrivs
ok "of the unit's capabilities $KEPT are left, and none can be had again"

is "$(stat -c %a "$LAB_DIR/rtpxd.admin")" 660 "mode of the admin socket"
refused "C $CALL $OUTSIDE alice;1 bob;1" "C $CALL /tmp/outside alice;1 bob;1" "Cs $CALL $OUTSIDE alice;1 bob;1"
rtpp rtpxd "Uie ..${OUTSIDE//\//%2F} 192.0.2.10 4000 alice;1" >/dev/null
refused "R ../../outside alice;1"
ok "no command reaches a file outside the directory of recordings"

rtpp rtpxd X >/dev/null
stop_rtpxd rtpxd west east
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# privileges.sh - started by root with -u and with the capabilities that this needs, rtpxd loads its program, forwards a
# call in the kernel and cleans up; it keeps two of them, of no use for files; what it makes is for those who need it;
# and no command reaches a file outside its directories. systemd's own opinion of the unit has not become worse.
# unit.sh is about the unit, which starts rtpxd as its user.

. "$(dirname "$0")/floor_lib.sh"
UNIT=$LAB_ROOT/daemon/rtpxd.service KEPT=net_admin,bpf
EXPOSURE=20 # as systemd-analyze rates it, in tenths
OUTSIDE=outside-$LAB_TAG

lab_begin python3 jq setpriv
floor_net

# Those of the unit, and those for the change of the user.
CAPABILITIES=+net_admin,+net_raw,+bpf,+perfmon,+setuid,+setgid,+setpcap,+chown,+fowner,+dac_override

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

# ask COMMAND - over UDP; @ is a NUL.
ask()
{
	in_ns relay python3 - "$RANDOM$EPOCHREALTIME $1" <<-'EOF'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.settimeout(2)
		s.sendto(sys.argv[1].encode().replace(b"@", b"\0"), ("127.0.0.1", 7722))
		print(s.recv(2048).decode().split(" ", 1)[1].strip())
	EOF
}

nothing_outside()
{
	local found

	# Files of others come and go meanwhile.
	found=$(find / /tmp "$LAB_DIR" -xdev -maxdepth 3 -name "*outside-$LAB_TAG*" -not -path "$LAB_DIR/recordings/*" 2>/dev/null) || :
	[ -z "$found" ] || fail "a command made $found" rtpxd
}

# refused COMMAND… - each gets an error, and nothing appears outside the directories.
refused()
{
	local c reply

	for c; do
		reply=$(ask "$c")
		[[ $reply == E* ]] || fail "'$c' is answered with '$reply'" rtpxd
	done
	nothing_outside
}

# confined CALL-ID… - a call of this name is recorded under a name in the directory.
confined()
{
	local id reply before

	for id; do
		before=$(files)
		[[ $(ask "Uie $id 192.0.2.10 4000 alice;1") == [1-9]* ]] || fail "no call '$id'" rtpxd
		reply=$(ask "R $id alice;1")
		is "$reply" 0 "reply to R for '$id'"
		must_wait 5 "file for '$id'" more_files "$before"
	done
	nothing_outside
}

files() { find "$LAB_DIR/recordings" -maxdepth 1 -type f ! -name '.*' | wc -l; }
more_files() { [ "$(files)" -gt "$1" ]; }

# mode_is MODE OWNER:GROUP FILE…
mode_is()
{
	local f

	for f in "${@:3}"; do
		is "$(stat -c '%a %U:%G' "$f")" "$1 $2" "mode of $f"
	done
}

mkdir "$LAB_DIR/recordings" "$LAB_DIR/prompts" "$LAB_DIR/prompts/sub"
head -c 8000 /dev/zero >"$LAB_DIR/prompts/song.0"
cp "$LAB_DIR/prompts/song.0" "$LAB_DIR/secret.0"
chown nobody:nogroup "$LAB_DIR/recordings"
chmod 755 "$LAB_DIR" # the user looks for his recordings below it
umask "$(sed -n 's/^UMask=//p' "$UNIT")"
LAB_WRAP=(setpriv --no-new-privs --bounding-set "-all,$CAPABILITIES")
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -u nobody:nogroup \
	-r "$LAB_DIR/recordings" --prompt-dir "$LAB_DIR/prompts" --dataplane xdp
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

confined ../../$OUTSIDE "/tmp/$OUTSIDE" ..%2F..%2F$OUTSIDE %2e%2e/$OUTSIDE .. . ../.. %00$OUTSIDE
refused "C $CALL ../$OUTSIDE alice;1 bob;1" "C $CALL /tmp/$OUTSIDE alice;1 bob;1" "Cs $CALL ../$OUTSIDE alice;1 bob;1" \
	"C $CALL sub/../../$OUTSIDE alice;1 bob;1" "C $CALL .. alice;1 bob;1" "C $CALL $(printf 'x%.0s' {1..300}) alice;1 bob;1" \
	"R ../../$OUTSIDE@ alice;1" "C $CALL ../$OUTSIDE@ alice;1 bob;1" "R $OUTSIDE-is-no-call alice;1"
ok "no command writes outside the directory of recordings"

is "$(ask "P $CALL song 0 alice;1 bob;1")" 0 "reply to P"
is "$(ask "S $CALL alice;1 bob;1")" 0 "reply to S"
refused "P $CALL ../secret 0 alice;1 bob;1" "P $CALL sub/../../secret 0 alice;1 bob;1" "P $CALL $LAB_DIR/secret 0 alice;1 bob;1" \
	"P $CALL ..%2Fsecret 0 alice;1 bob;1" "P $CALL %2e%2e/secret 0 alice;1 bob;1" "P $CALL $LAB_DIR/prompts/../secret 0 alice;1 bob;1" \
	"P $CALL sub/../../secret.0@ 0 alice;1 bob;1" "P $CALL $(printf '../%.0s' {1..400})etc/passwd 0 alice;1 bob;1" \
	"P $CALL /dev/zero 0 alice;1 bob;1" "P $CALL $(printf 'x%.0s' {1..5000}) 0 alice;1 bob;1"
ok "no command reads outside the directory of prompts"

USER_GROUP=nobody:nogroup
mode_is 660 root:nogroup "$LAB_DIR/rtpxd.admin"
mode_is 700 $USER_GROUP "$LAB_DIR/bpf/rtpxd"
mode_is 600 root:root "$LAB_DIR"/bpf/rtpxd/*
mode_is 600 $USER_GROUP "$LAB_DIR/rtpxd.state/journal.mdb"
mode_is 640 $USER_GROUP "$LAB_DIR"/recordings/*
ok "modes of the admin socket, the pins, the journal, recordings"

if command -v systemd-analyze >/dev/null; then
	systemd-analyze security --offline=yes --no-pager --threshold=$EXPOSURE "$UNIT" >"$LAB_DIR/exposure.log" 2>&1 ||
		fail "the unit is rated worse than $((EXPOSURE / 10)).$((EXPOSURE % 10))" exposure
	ok "systemd-analyze: $(tail -n 1 "$LAB_DIR/exposure.log")"
fi

rtpp rtpxd X >/dev/null
# What the user may still do in a BPF file system of mode 0700, as systemd mounts it: an interface that comes later, and the end.
lab_link alice later relay later
must_wait 10 "pin of an interface that came later" test -e "$LAB_DIR/bpf/rtpxd/link_later"
stop_rtpxd rtpxd west east later
ok "pins of the user in a directory that it may not enter"

start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -u nobody:nogroup --dataplane none
floor_call rtpxd 198.51.100.10
rtpp rtpxd X >/dev/null
stop_rtpxd rtpxd
! grep -E "^(WARN|ERR)|[^A-Z](WARN|ERR):" "$LAB_DIR/rtpxd.log" || fail "without a dataplane there are warnings" rtpxd
ok "without a dataplane, no table of the host is asked, and nothing is missing"
pass

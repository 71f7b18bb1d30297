#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long=90
# shellcheck source-path=SCRIPTDIR
#
# record_trouble.sh - a disk that is full, a directory that goes, a limit on files, no permission, and no
# room for the kernel's copies: the call does not notice, what was written stays readable, losses are
# counted and told, and recording goes on when it can.

. "$(dirname "$0")/floor_lib.sh"

lab_begin python3 jq tshark prlimit bpftool fsfreeze mkfs.ext4
REC=$LAB_DIR/rec
mkdir "$REC"
trouble_end()
{
	local status=$?

	trap - ERR
	set +e
	fsfreeze -u "$REC" 2>/dev/null
	umount -l "$REC" 2>/dev/null
	(exit "$status")
	lab_end
}
trap trouble_end EXIT
mount -t tmpfs -o size=2m none "$REC"
floor_net

lost() { counter npkts_rec_lost; }
written() { counter npkts_recorded; }
more_than() { [ "$("$1")" -gt "$2" ]; }
is_told() { grep -q "$1" "$LAB_DIR/rtpxd.log"; }
completed() { [ "$(rtpxctl rtpxd --json stats | jq .recorded.files)" = 0 ]; }

# goes_on WHAT - more of what the parties say is written than until now.
goes_on() { must_wait 20 "recording after $1" more_than written "$(($(written) + 10))"; }
# suffers WHAT SENTENCE - more of it is lost, and the log says why.
suffers()
{
	must_wait 20 "losses with $1" more_than lost "$(($(lost) + 10))"
	must_wait 10 "a word in the log about $1" is_told "$2"
}

# readable - the file of alice's RTP, as far as it is written: whole packets.
readable()
{
	tshark -r "$REC/$CALL=alice.o.rtp" -n -d "udp.port==$TO_BOB,rtp" -o udp.check_checksum:TRUE \
		-T fields -e rtp.seq -e udp.checksum.status >"$LAB_DIR/read" 2>"$LAB_DIR/tshark.log" ||
		fail "tshark cannot read the file with $1" tshark
	awk -F '\t' 'NF != 2 || $2 != 1 { exit 1 }' "$LAB_DIR/read" || fail "broken records with $1"
	[ -s "$LAB_DIR/read" ] || fail "no records with $1"
}

# start_call OPTION… - a call in which what alice says is recorded.
start_call()
{
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -r "$REC" -P "$@"
	floor_call rtpxd 198.51.100.10
	is "$(rtpp rtpxd "R $CALL alice")" 0 "reply to R"
}

# unheard_of - neither party noticed anything.
unheard_of()
{
	is "$(bob_missed) $(heard bob .wrong)" "0 0" "what bob did not hear, or heard wrong"
	is "$(heard alice .wrong)" 0 "what alice heard wrong"
}

# ---- the disk

dataplane_options native
start_call "${DATAPLANE[@]}"
floor_talk 30 198.51.100.10 198.51.100.1 3
must_wait 10 "both directions in the kernel" both_in_kernel
goes_on "its beginning"

head -c 4M /dev/zero >"$REC/filler" 2>/dev/null || :
suffers "a full disk" "$CALL=alice.o.rtp: No space left"
readable "a full disk"
is "$(rtpp rtpxd "R $CALL bob alice")" E50 "reply to R with a full disk"
is_told "cannot record to $REC/$CALL=alice.a.rtp: No space left" || fail "no reason for it" rtpxd
rm "$REC/filler"
goes_on "a full disk"
readable "room again"
ok "a full disk"

# The log has less, and must be able to say it.
prlimit --pid "${LAB_PID[rtpxd]}" --fsize=20000:unlimited
suffers "a limit on files" "File too large"
prlimit --pid "${LAB_PID[rtpxd]}" --fsize=unlimited:unlimited
goes_on "a limit on files"
readable "a limit on files"
ok "a limit on the size of files"

umount -l "$REC"
rmdir "$REC"
is "$(rtpp rtpxd "R $CALL bob alice")" E50 "reply to R without a directory"
is_told "cannot record to $REC/$CALL=alice.a.rtp: No such file" || fail "no reason for it" rtpxd
mkdir "$REC"
mount -t tmpfs -o size=2m none "$REC"
is "$(rtpp rtpxd "N $CALL alice")" 0 "reply to N"
is "$(rtpp rtpxd "R $CALL alice")" 0 "reply to R in the new directory"
goes_on "another directory"
rm "$REC"/*
goes_on "a deleted file"
must_wait 10 "the deleted file again" test -s "$REC/$CALL=alice.o.rtp"
readable "a deleted file"
ok "a directory that was gone, a file that was deleted"

is "$(rtp_of caller why)/$(rtp_of callee why)" KERNEL/KERNEL "where the call is"
floor_talked 60
unheard_of
rtpp rtpxd "D $CALL alice" >/dev/null
must_wait 10 "the files" completed
readable "the end of the call"
stop_rtpxd rtpxd west east

# ---- the ring

# kernel_has_lost PACKETS - as its own counters say.
kernel_has_lost()
{
	[ "$(bpftool -j map dump pinned "$LAB_DIR/bpf/rtpxd/counters" |
		jq '[.[].formatted.values[].value.mirror_full] | add')" -ge "$1" ]
}

session_lost() { rtpxctl rtpxd --json session $CALL | jq '.[0].recorded.lost'; }
all_lost_known() { [ "$(session_lost)" = "$(rtpxctl rtpxd --json stats | jq .kernel.mirror_full)" ]; }

# no_room MODE - the daemon stands still and its ring, the smallest that there is, is full for a while.
no_room()
{
	local all lost

	dataplane_options "$1"
	start_call "${DATAPLANE[@]}" --mirror-bytes 65536
	is "$(rtpp rtpxd "R $CALL bob alice")" 0 "reply to R for bob"
	floor_talk 10 198.51.100.10 198.51.100.1 3
	must_wait 10 "both directions in the kernel" both_in_kernel
	kill -STOP "${LAB_PID[rtpxd]}"
	must_wait 12 "a full ring" kernel_has_lost 50
	kill -CONT "${LAB_PID[rtpxd]}"
	goes_on "a full ring"
	is "$(rtp_of caller why)/$(rtp_of callee why)" KERNEL/KERNEL "where the call is"
	floor_talked 40
	unheard_of
	must_wait 5 "the losses of the call" all_lost_known
	lost=$(session_lost)
	is "$(lost)" "$lost" npkts_rec_lost
	is "$(rtpxctl rtpxd --json stats | jq .recorded.lost)" "$lost" "what rtpxctl stats says is lost"
	must_wait 10 "a word in the log" is_told "packets lost before they were recorded or copied, $lost in all"
	rtpp rtpxd "D $CALL alice" >/dev/null
	must_wait 10 "the files" completed
	readable "a full ring"
	all=$(counter npkts_rcvd)
	is $(($(written) + lost)) "$all" "packets recorded and lost"
	stop_rtpxd rtpxd west east
	ok "$1: no room for $lost copies of $all, all packets relayed; longest gap at bob $(heard bob .longest_gap_ms) ms"
}

umount -l "$REC"
no_room native
no_room generic

# ---- a disk that hangs

# hangs DATAPLANE - opening a file takes for ever. The command that waits for it keeps no packet waiting: what the floor
# relays meanwhile goes on, too.
hangs()
{
	local reply

	dataplane_options "$1"
	start_call "${DATAPLANE[@]}"
	floor_talk 8 198.51.100.10 198.51.100.1 3
	goes_on "its beginning"
	fsfreeze -f "$REC"
	reply=$(rtpp rtpxd "R $CALL bob alice")
	sleep 1
	fsfreeze -u "$REC"
	is "$reply" 0 "reply to R with a disk that hangs"
	must_wait 10 "a word in the log" is_told "the disk of the recordings is slow to open files"
	goes_on "a disk that hung"
	floor_talked 30
	unheard_of
	rtpp rtpxd "D $CALL alice" >/dev/null
	must_wait 10 "the files" completed
	readable "a disk that hung"
	[ -s "$REC/$CALL=alice.a.rtp" ] || fail "nothing of bob is recorded"
	is "$(lost)" 0 npkts_rec_lost
	stop_rtpxd rtpxd west east
	ok "$1: a disk that hangs; longest gap at bob $(heard bob .longest_gap_ms) ms, at alice $(heard alice .longest_gap_ms) ms"
}

truncate -s 16M "$LAB_DIR/disk"
mkfs.ext4 -q "$LAB_DIR/disk"
if mount -o loop "$LAB_DIR/disk" "$REC" 2>/dev/null; then
	hangs none
	hangs native
	umount "$REC"
else
	say "no loop device: no disk that hangs"
fi

# ---- permission

# Root may write anywhere.
mkdir "$REC/private" "$LAB_DIR/run"
chmod 711 "$LAB_DIR"
chmod 777 "$LAB_DIR/run"
chmod 700 "$REC/private"
start_rtpxd relay nobody 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --dataplane none -u nobody \
	-r "$REC/private" --admin-socket "$LAB_DIR/run/admin"
floor_call nobody 198.51.100.10
is "$(rtpp nobody "R $CALL alice")" E50 "reply to R without permission"
grep -q "cannot record to $REC/private/$CALL=alice.o.rtp: Permission denied" "$LAB_DIR/nobody.log" ||
	fail "no reason for it" nobody
ok "no permission"
pass

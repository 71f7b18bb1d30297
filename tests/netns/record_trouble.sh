#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck source-path=SCRIPTDIR
#
# record_trouble.sh - a disk that is full, a directory that goes, a limit on files, no permission:
# the call does not notice, what was written stays readable, losses are counted and told, and
# recording goes on when it can.

. "$(dirname "$0")/floor_lib.sh"

lab_begin python3 jq tshark prlimit
REC=$LAB_DIR/rec
mkdir "$REC"
trouble_end()
{
	local status=$?

	trap - ERR
	set +e
	umount -l "$REC"
	(exit "$status")
	lab_end
}
trap trouble_end EXIT
mount -t tmpfs -o size=64k none "$REC"
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

start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric \
	--dataplane none -r "$REC" -P
floor_call rtpxd 198.51.100.10
is "$(rtpp rtpxd "R $CALL alice")" 0 "reply to R"
floor_talk 30 198.51.100.10 198.51.100.1 3
goes_on "its beginning"

head -c 1M /dev/zero >"$REC/filler" 2>/dev/null || :
suffers "a full disk" "$CALL=alice.o.rtp: No space left"
readable "a full disk"
is "$(rtpp rtpxd "R $CALL bob alice")" E50 "reply to R with a full disk"
is_told "cannot record to $REC/$CALL=alice.a.rtp: No space left" || fail "no reason for it" rtpxd
rm "$REC/filler"
goes_on "a full disk"
readable "room again"
ok "a full disk"

prlimit --pid "${LAB_PID[rtpxd]}" --fsize=2000:unlimited
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
mount -t tmpfs -o size=64k none "$REC"
is "$(rtpp rtpxd "N $CALL alice")" 0 "reply to N"
is "$(rtpp rtpxd "R $CALL alice")" 0 "reply to R in the new directory"
goes_on "another directory"
rm "$REC"/*
goes_on "a deleted file"
must_wait 10 "the deleted file again" test -s "$REC/$CALL=alice.o.rtp"
readable "a deleted file"
ok "a directory that was gone, a file that was deleted"

floor_talked 60
is "$(bob_missed) $(heard bob .wrong)" "0 0" "what bob did not hear, or heard wrong"
is "$(heard alice .wrong)" 0 "what alice heard wrong"
rtpp rtpxd "D $CALL alice" >/dev/null
must_wait 10 "the files" completed
readable "the end of the call"
lab_stop rtpxd || fail "rtpxd ended badly" rtpxd

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

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# play.sh - while alice hears a prompt, or what she says is re-packetized, that direction alone is with
# the daemon; Wireshark finds no fault in the streams that it makes, and no byte of audio is missing.

. "$(dirname "$0")/floor_lib.sh"
PROMPT_MS=700

lab_begin python3 jq tshark dumpcap
floor_net
dataplane_options native
mkdir "$LAB_DIR/prompts"
"$LAB_ROOT/tests/sip/sweep.py" "$LAB_DIR/hold" $PROMPT_MS 300 2000
mv "$LAB_DIR/hold" "$LAB_DIR/prompts/hold.0"

relay_start()
{
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric \
		--prompt-dir "$LAB_DIR/prompts" --prompt-ptime 20 "${DATAPLANE[@]}"
}

# only_is PARTY REASON - RTP from this party has the reason; its RTCP, and all of the other, is in the kernel.
only_is()
{
	rtpxctl rtpxd --json why $CALL | jq -e --arg from "$1" --arg why "$2" \
		'all(.[]; .why == if .from == $from and .kind == "rtp" then $why else "KERNEL" end)'
}

all_in_kernel() { only_is caller KERNEL; }
counted() { [ "$(counter "$1")" -ge "$2" ]; }

# reads FILE SOURCE FIELD… - of the RTP that came from there.
reads()
{
	local file=$1 from=$2 e=() f

	shift 2
	for f in "$@"; do e+=(-e "$f"); done
	tshark -r "$LAB_DIR/$file.pcap" -n -d "udp.port==4000,rtp" -Y "rtp.version == 2 && ip.src == $from" -T fields \
		"${e[@]}" 2>/dev/null
}

# analysed FILE SSRC PACKETS - Wireshark's own analysis finds this stream whole; prints its times.
analysed()
{
	tshark -r "$LAB_DIR/$1.pcap" -n -d "udp.port==4000,rtp" -q -z rtp,streams >"$LAB_DIR/$1.streams.log" 2>/dev/null
	awk -v ssrc="$2" -v packets="$3" 'index(tolower($0), tolower(ssrc)) {
		sub(/^.*0x[0-9A-Fa-f]+ +[^ ]+ +/, "")
		found = $1 == packets && $2 == 0
		printf "between packets %s to %s ms, mean %s; jitter mean %s, at most %s ms", $4, $6, $5, $8, $9
	} END { exit !found }' "$LAB_DIR/$1.streams.log" || fail "tshark: not $3 packets of $2, or some lost" "$1.streams"
}

# ends_call - the last words of both, and the end of a capture at alice's and bob's side.
ends_call()
{
	floor_talked 15
	ends_captures
}

ends_captures()
{
	in_ns relay bash -c "echo the end >/dev/udp/192.0.2.10/4000; echo the end >/dev/udp/198.51.100.10/4000"
	capture_end alice "the end"
	capture_end bob "the end"
}

hears_hold() { rtpxctl rtpxd session $CALL | grep -q "hears $LAB_DIR/prompts/hold.0, until it is stopped"; }

music()
{
	local prompt first last between times

	relay_start
	floor_call rtpxd 198.51.100.10
	capture alice eth0 alice udp dst port 4000
	capture bob eth0 bob udp dst port 4000
	floor_talk 8 198.51.100.10 198.51.100.1
	must_wait 3 "everything in the kernel" all_in_kernel
	is "$(rtpp rtpxd "P-1 $CALL hold 8,0 alice;1 bob;1")" 0 "reply to P"
	must_wait 3 "music instead of bob" only_is callee PLAYING
	must_wait 3 "sign of the music in the session" hears_hold
	must_wait 9 "100 packets of music" counted npkts_played 100
	is "$(rtpp rtpxd "S $CALL alice;1 bob;1")" 0 "reply to S"
	must_wait 3 "everything in the kernel again" all_in_kernel
	ends_call
	is "$(heard bob '"\(.lost) \(.wrong)"')" "0 0" "what bob did not hear, or heard wrong"

	reads alice 192.0.2.1 rtp.ssrc rtp.seq rtp.timestamp rtp.marker rtp.payload frame.time_epoch >"$LAB_DIR/heard"
	prompt=$(od -An -v -tx1 "$LAB_DIR/prompts/hold.0" | tr -d ' \n')
	# Of the music: its SSRC is the one that is not bob's, who began.
	awk 'NR == 1 { bob = $1 } $1 != bob' "$LAB_DIR/heard" >"$LAB_DIR/music"
	is "$(cut -f1 "$LAB_DIR/music" | sort -u | wc -l)" 1 "number of SSRCs of music"
	[[ $prompt$prompt$prompt$prompt$prompt$prompt == $(cut -f5 "$LAB_DIR/music" | tr -d '\n')* ]] ||
		fail "the music is not the prompt, round after round"
	awk -F '\t' 'NR > 1 && ($2 != (seq + 1) % 65536 || $3 != (ts + 160) % 4294967296 || $4 != 0) { exit 1 }
		NR == 1 && $4 != 1 { exit 1 }
		{ seq = $2; ts = $3 }' "$LAB_DIR/music" || fail "numbers, time stamps or markers of the music"
	first=$(head -n 1 "$LAB_DIR/music" | cut -f6) last=$(tail -n 1 "$LAB_DIR/music" | cut -f6)
	between=$(awk -F '\t' -v a="$first" -v b="$last" 'NR == 1 { bob = $1 } $1 == bob && $6 > a && $6 < b' \
		"$LAB_DIR/heard" | wc -l)
	((between <= 1)) || fail "$between packets of bob came between the music" # one may have been on its way
	tail -n 1 "$LAB_DIR/heard" | grep -q "^$(head -n 1 "$LAB_DIR/heard" | cut -f1)" || fail "bob was not heard again"
	stop_rtpxd rtpxd west east
	times=$(analysed alice "$(head -n 1 "$LAB_DIR/music" | cut -f1)" "$(wc -l <"$LAB_DIR/music")")
	ok "$(wc -l <"$LAB_DIR/music") packets of music in rounds; $times"
}

# same_audio FROM ADDRESS TO RELAY TICKS - what TO heard from RELAY is one stream whose packets are TICKS long (a sender
# that pauses makes shorter ones, because nothing waits for longer), and in all bytes what FROM sent from ADDRESS.
same_audio()
{
	local times

	reads "$1" "$2" rtp.payload | tr -d '\n' >"$LAB_DIR/said"
	reads "$3" "$4" rtp.payload | tr -d '\n' | cmp - "$LAB_DIR/said" >"$LAB_DIR/cmp.log" 2>&1 ||
		fail "$3 did not hear the bytes that $1 said" cmp
	reads "$3" "$4" rtp.ssrc rtp.seq rtp.timestamp rtp.marker rtp.payload >"$LAB_DIR/heard"
	awk -F '\t' -v most="$5" '
		NR == 1 ? $4 != 1 : $2 != (seq + 1) % 65536 || $3 != end || $4 != 0 { exit bad = 1 }
		{ ticks = length($5) / 2; seq = $2; end = $3 + ticks; full += ticks == most }
		ticks > most { exit bad = 1 }
		END { exit bad || !full }' "$LAB_DIR/heard" || fail "numbers, time stamps, markers or lengths that $3 got"
	times=$(analysed "$3" "$(head -n 1 "$LAB_DIR/heard" | cut -f1)" "$(wc -l <"$LAB_DIR/heard")")
	ok "$3 heard every byte in $(wc -l <"$LAB_DIR/heard") packets, $times"
}

lengths()
{
	relay_start
	read -r TO_ALICE _ < <(rtpp rtpxd "Uiez60 $CALL 192.0.2.10 4000 alice;1")
	read -r TO_BOB _ < <(rtpp rtpxd "Liez10 $CALL 198.51.100.10 4000 alice;1 bob;1")
	capture alice eth0 alice udp port 4000
	capture bob eth0 bob udp port 4000
	floor_talk 3 198.51.100.10 198.51.100.1
	must_wait 3 "packets out of the re-packetizer" counted npkts_resizer_out 20
	is "$(rtp_of caller why) $(rtp_of callee why)" "RESIZED RESIZED" "why both are with the daemon"
	rtpxctl rtpxd session $CALL >"$LAB_DIR/session.log"
	grep -q "sent on in packets of 60 ms" "$LAB_DIR/session.log" || fail "rtpxctl does not say what is made" session
	ends_call
	same_audio alice 192.0.2.10 bob 198.51.100.1 480
	same_audio bob 198.51.100.10 alice 192.0.2.1 80
	stop_rtpxd rtpxd west east
}

# One direction is re-packetized for a while; the other one never leaves the kernel.
for_a_while()
{
	relay_start
	floor_call rtpxd 198.51.100.10
	floor_talk 6 198.51.100.10 198.51.100.1
	must_wait 3 "everything in the kernel" all_in_kernel
	rtpp rtpxd "Uiez40 $CALL 192.0.2.10 4000 alice;1" >/dev/null
	must_wait 3 "alice's direction with the daemon" only_is caller RESIZED
	must_wait 3 "packets out of the re-packetizer" counted npkts_resizer_out 10
	rtpp rtpxd "Uie $CALL 192.0.2.10 4000 alice;1" >/dev/null
	must_wait 3 "everything in the kernel again" all_in_kernel
	floor_talked 15
	is "$(heard alice '"\(.lost) \(.wrong)"')" "0 0" "what alice did not hear, or heard wrong"
	stop_rtpxd rtpxd west east
	ok "re-packetized for a while, the other direction in the kernel"
}

# numbers_of FILE ADDRESS - every RTP packet from there: number, time stamp, length of the payload.
numbers_of() { reads "$1" "$2" rtp.seq rtp.timestamp rtp.payload | awk -F '\t' '{ print $1, $2, length($3) / 2 }'; }

relay_again()
{
	lab_stop rtpxd "$1" || [ "$1" = KILL ] || fail "rtpxd ended with status $?" rtpxd
	relay_start
}

# more_than N - the re-packetizer makes more packets.
more_than() { must_wait 5 "packets out of the re-packetizer" counted npkts_resizer_out $(($(counter npkts_resizer_out) + $1)); }
floor_relayed() { counter npkts_relayed; }
relayed_since() { counted npkts_relayed $(($1 + $2)); }

# Packets of bob are cut for a while, through a restart, and then not: what alice gets is one stream still.
cut_for_a_while()
{
	local from

	relay_start
	floor_call rtpxd 198.51.100.10
	capture alice eth0 alice udp port 4000
	capture bob eth0 bob udp port 4000
	floor_talk 60 198.51.100.10 198.51.100.1
	must_wait 3 "everything in the kernel" all_in_kernel
	rtpp rtpxd "Liez10 $CALL 198.51.100.10 4000 alice;1 bob;1" >/dev/null
	more_than 40
	relay_again KILL
	must_wait 3 "bob's direction with the daemon again" only_is callee RESIZED
	more_than 40
	rtpp rtpxd "Lie $CALL 198.51.100.10 4000 alice;1 bob;1" >/dev/null
	must_wait 3 "a reason why bob's direction stays" only_is callee RENUMBERED
	relay_again PWR
	must_wait 3 "the same reason" only_is callee RENUMBERED
	# Packets of alice and those that the kernel forwarded meanwhile count as well.
	from=$(floor_relayed)
	must_wait 10 "packets of bob" relayed_since "$from" 300
	floor_hang_up
	ends_captures
	numbers_of alice 192.0.2.1 >"$LAB_DIR/heard"
	is "$(cut -d' ' -f1 "$LAB_DIR/heard" | sort | uniq -d)" "" "sequence numbers that alice got twice"
	awk '{ n[$3]++ } END { exit !(n[80] >= 80 && n[160] >= 20) }' "$LAB_DIR/heard" ||
		fail "lengths that alice got: $(cut -d' ' -f3 "$LAB_DIR/heard" | sort | uniq -c | tr -s ' \n' ' ')"
	# The daemon that was killed leaves one gap at most, of the numbers that it may have used.
	awk 'NR > 1 { step = ($1 - seq + 65536) % 65536; if (step > 32768 || step > 1100) exit 1; gaps += step > 400 }
		{ seq = $1 } END { exit gaps > 1 }' "$LAB_DIR/heard" || fail "gaps in the numbers" heard
	stop_rtpxd rtpxd west east
	ok "$(wc -l <"$LAB_DIR/heard") packets, cut for a while and through a restart, no number twice"
}

music
lengths
for_a_while
cut_for_a_while
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long=60
# shellcheck source-path=SCRIPTDIR
#
# restart.sh [DATAPLANE...] - the daemon is killed, or leaves, in the middle of a call. The kernel goes on without it, no packet is
# missing, and the next daemon has the call as it was: ports, statistics, recording, prompt. Calls of the floor come back,
# too, and only miss what was sent meanwhile.

. "$(dirname "$0")/floor_lib.sh"
TALK_S=$((5 * ${RTPX_PATIENCE:-1})) AWAY_S=1 PROMPT_MS=400
KILLED_RECORDS=25 # packets that wait in a killed daemon's memory: 4 kB of each file, and a tenth of a second

lab_begin python3 jq tshark
floor_net
mkdir "$LAB_DIR/rec" "$LAB_DIR/spool" "$LAB_DIR/prompts"
"$LAB_ROOT/tests/sip/sweep.py" "$LAB_DIR/hold" $PROMPT_MS 300 2000
mv "$LAB_DIR/hold" "$LAB_DIR/prompts/hold.0"

relay_start()
{
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -r "$LAB_DIR/rec" \
		-S "$LAB_DIR/spool" -P --prompt-dir "$LAB_DIR/prompts" "${DATAPLANE[@]}" "$@"
}

heard_more() { [ "$(rtp_of caller packets)" -gt "$1" ]; }
journal() { rtpxctl rtpxd --json status | jq -r ".journal.$1"; }
recording() { rtpxctl rtpxd --json session $CALL | jq -r '.[0].legs[].recorded_to // empty' | sort -u; }
told() { grep -q "$1" "$LAB_DIR/rtpxd.log" || fail "nothing in the log of '$1'" rtpxd; }
xdp_program() { ip_in relay -j link show dev west | jq -r '.[0].xdp.prog.id'; }

# away SIGNAL - the daemon ends, and somewhat later the next one begins.
away()
{
	lab_stop rtpxd "$1" || [ "$1" = KILL ] || fail "rtpxd ended with status $?" rtpxd
	sleep $AWAY_S
	relay_start
}

# survives DATAPLANE SIGNAL - of a call with a recording.
survives()
{
	local what="$1, $2" to_bob before program

	dataplane_options "$1"
	relay_start
	floor_call rtpxd 198.51.100.10
	is "$(rtpp rtpxd "Rs $CALL alice")" 0 "reply to Rs"
	floor_talk $TALK_S 198.51.100.10 198.51.100.1 1
	must_wait 10 "packets of the caller" heard_more 20
	if [ "$1" != none ]; then
		must_wait 10 "both directions in the kernel" both_in_kernel
		# What came before the flow was there is the daemon's, which is to have read it.
		must_wait 10 "more packets of the caller" heard_more $(($(rtp_of caller packets) + 5))
	fi
	is "$(recording)" $CALL=alice.pcap "the recording"
	program=$(xdp_program)
	away "$2"
	is "$(journal restored)" 1 "number of calls that came back ($what)"
	is "$(rtpp rtpxd "Lie $CALL 198.51.100.10 4000 alice;1 bob;1" | cut -d' ' -f1)" "$TO_BOB" "port of the next L ($what)"
	is "$(recording)" $CALL=alice=2.pcap "the recording after the restart ($what)"
	[ "$1" = none ] || must_wait 10 "both directions in the kernel again ($what)" both_in_kernel
	[ "$program" = null ] || [ "$(xdp_program)" != "$program" ] ||
		fail "west has the program of the daemon that is gone ($what)"
	floor_talked $((TALK_S + 20))
	say "$what: bob missed $(bob_missed) of $(heard alice .sent) packets, at most for $(heard bob .longest_gap_ms) ms"
	if [ "$1" != none ]; then
		is "$(bob_missed) $(heard bob .wrong)" "0 0" "packets that bob missed or heard wrong ($what)"
		is "$(heard alice .wrong)" 0 "packets that alice heard wrong ($what)"
		is "$(rtp_of caller packets)" "$(heard alice .sent)" "packets of the caller in the statistics ($what)"
	else
		[ "$(heard bob .longest_gap_ms)" -ge $((AWAY_S * 1000)) ] || fail "nobody relayed, and yet no gap"
		[ "$(rtp_of caller packets)" -ge 50 ] || fail "too few packets counted" rtpxd
	fi
	is "$(rtpp rtpxd "D $CALL alice")" 0 "reply to D ($what)"
	must_wait 5 "the end of the recordings" recordings_are 2
	say "$what: $(recorded) of $(heard alice .sent) packets recorded"
	if [ "$1" != none ] && [ "$2" = PWR ]; then
		is "$(recorded)" "$(heard alice .sent)" "packets in both parts of the recording ($what)"
	elif [ "$1" != none ]; then
		[ "$(recorded)" -ge $(($(heard alice .sent) - KILLED_RECORDS)) ] || fail "too much is missing in the recording" rtpxd
	fi
	rm "$LAB_DIR"/rec/*.pcap
	stop_rtpxd rtpxd west east
	[ ! -e "$LAB_DIR/rtpxd.state/journal.mdb" ] || fail "an orderly end left a journal"
}

# recorded - how many of alice's packets are in the finished recordings.
recorded()
{
	local f

	for f in "$LAB_DIR"/rec/*.pcap; do
		tshark -r "$f" -n -Y "udp.dstport == $TO_BOB && udp.length == 180" 2>/dev/null
	done | wc -l
}

# recordings_are NUMBER - so many are finished, and none is left in the spool.
recordings_are()
{
	local done=("$LAB_DIR"/rec/*.pcap)

	[ ${#done[@]} = "$1" ] && [ -z "$(ls -A "$LAB_DIR/spool")" ]
}

hears() { rtpxctl rtpxd --json session $CALL | jq -r '.[0].legs[].hears // empty'; }
plays_hold() { [ "$(hears)" = "$LAB_DIR/prompts/hold.0, until it is stopped" ]; }
played() { [ "$(counter npkts_played)" -ge "$1" ]; }

# music_goes_on - what alice hears instead of bob: after the restart it is where it would have been without one.
music_goes_on()
{
	dataplane_options native
	relay_start
	floor_call rtpxd 198.51.100.10
	capture alice eth0 alice udp dst port 4000
	floor_talk $TALK_S 198.51.100.10 198.51.100.1 1
	must_wait 10 "both directions in the kernel" both_in_kernel
	is "$(rtpp rtpxd "P-1 $CALL hold 0 alice;1 bob;1")" 0 "reply to P"
	must_wait 10 "music" played 20
	must_wait 10 "sign of the music in the session" plays_hold
	away KILL
	must_wait 10 "sign of the music after the restart" plays_hold
	must_wait 10 "music again" played 20
	is "$(rtpp rtpxd "S $CALL alice;1 bob;1")" 0 "reply to S"
	floor_talked $((TALK_S + 20))
	is "$(bob_missed) $(heard bob .wrong)" "0 0" "packets that bob missed or heard wrong"
	in_ns relay bash -c "echo the end >/dev/udp/192.0.2.10/4000"
	capture_end alice "the end"
	tshark -r "$LAB_DIR/alice.pcap" -n -d udp.port==4000,rtp -Y rtp.payload -T fields -e rtp.ssrc -e frame.time_epoch \
		-e rtp.payload 2>/dev/null >"$LAB_DIR/heard"
	PYTHONPATH=$LAB_ROOT/tests/lib python3 - "$LAB_DIR/heard" "$LAB_DIR/prompts/hold.0" <<-'EOF' || fail "the music is not where it should be" rtpxd
		import sys
		from patience import slowness
		prompt = open(sys.argv[2], "rb").read()
		length = len(prompt) / 8000
		def near(seconds):  # of two moments of a prompt that repeats
		    return (seconds + length / 2) % length - length / 2
		# The beginning of the prompt by each packet of a stream. A busy machine sends packets late, so the earliest counts.
		begins, first = {}, {}
		for line in open(sys.argv[1]):
		    ssrc, time, payload = line.split()
		    at = prompt.find(bytes.fromhex(payload.replace(":", "")))
		    if at >= 0:
		        begins.setdefault(ssrc, []).append(float(time) - at / 8000)
		        first.setdefault(ssrc, float(time))
		before, after = [by[0] + min(near(begin - by[0]) for begin in by) for by in begins.values()]
		pause = list(first.values())
		off = abs(near(after - before))
		print("  music: after %.2f s it goes on, %.0f ms from where it would be" % (pause[1] - pause[0], off * 1000))
		sys.exit(off > 0.05 * slowness())
	EOF
	rtpp rtpxd "D $CALL alice" >/dev/null
	stop_rtpxd rtpxd west east
}

for dataplane in ${*:-native generic none}; do
	for signal in KILL PWR; do
		survives $dataplane $signal
	done
done
[ $# -gt 0 ] || music_goes_on
pass

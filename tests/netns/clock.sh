#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm
# shellcheck source-path=SCRIPTDIR
#
# clock.sh - the time of day is set forth by a day and back by two, in the middle of a call. No audio is missing, no call
# times out that is alive, and one that falls silent ends when its time is over, neither sooner nor later.
#
# In the virtual machine the machine's own clock is set. Elsewhere only rtpxd is shown another time of day, by libfaketime;
# the kernel's time stamps go on as before then, so that for rtpxd they are off by days.

. "$(dirname "$0")/floor_lib.sh"
MOST_S=600 TTL=3 PLANES="native none"
DAY_S=86400
FAKETIME=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1)

lab_begin python3 jq tcpdump
floor_net
# On a busy machine the ends need longer than TTL to begin (-W), and pause longer between two packets.
TTL=$(lab_s $((TTL * ${RTPX_PATIENCE:-1})))
if [ -n "${RTPX_IN_VM:-}" ]; then
	PLANES=native # it is slow
else
	[ -e "$FAKETIME" ] || skip "libfaketime is not installed"
	LAB_WRAP=(env "LD_PRELOAD=$FAKETIME" "FAKETIME_TIMESTAMP_FILE=$LAB_DIR/offset" FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1)
	echo +0 >"$LAB_DIR/offset"
fi

uptime_ms() { sed 's/\.\(..\) .*/\10/' /proc/uptime; }

# set_clock SECONDS - ahead of the true time of day; negative: behind it.
TRUE_MS=$(($(date +%s%3N) - $(uptime_ms)))
set_clock()
{
	if [ -n "${RTPX_IN_VM:-}" ]; then
		date -s "@$(((TRUE_MS + $(uptime_ms)) / 1000 + $1))" >/dev/null
	else
		printf '%+d\n' "$1" >"$LAB_DIR/offset"
	fi
}

# recorded_days PART - the days of a recording's packets, counted from today. A recording keeps the offset of the clocks
# from its beginning, so its times never jump, and the days of the next one show that rtpxd has seen the clock move.
recorded_days()
{
	tcpdump -tt -n -r "$LAB_DIR/rec/$CALL=alice${1:-}.pcap" 2>/dev/null |
		awk -v true="$TRUE_MS" -v up="$(uptime_ms)" '{ d = ($1 - (true + up) / 1000) / 86400; print d < 0 ? int(d - 0.5) : int(d + 0.5) }' |
		sort -nu | xargs
}

# record_anew - the next part of the recording begins.
record_anew()
{
	is "$(rtpp rtpxd "N $CALL alice")" 0 "reply to N ($plane)"
	is "$(rtpp rtpxd "Rs $CALL alice")" 0 "reply to Rs ($plane)"
}

timed_out() { [ "$(counter nsess_timeout)" = "$1" ]; }
more_packets() { [ "$(rtp_of caller packets)" -gt "$1" ]; }

for plane in $PLANES; do
	dataplane_options $plane
	mkdir -p "$LAB_DIR/rec"
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -T $TTL -W 600 -i -P -r "$LAB_DIR/rec" "${DATAPLANE[@]}"
	floor_call rtpxd 198.51.100.10
	is "$(rtpp rtpxd "Rs $CALL alice")" 0 "reply to Rs ($plane)"
	floor_talk $MOST_S 198.51.100.10 198.51.100.1
	LAB_BLAME="rtpxd alice bob" must_wait 10 "packets" more_packets 20
	for offset in $DAY_S -$DAY_S 0; do
		set_clock $offset
		must_wait 10 "packets after the clock was set ($plane)" more_packets $(($(rtp_of caller packets) + 50))
		record_anew
		must_wait 10 "packets of the next recording ($plane)" more_packets $(($(rtp_of caller packets) + 10))
	done
	is "$(active_sessions rtpxd)" 1 "number of calls"
	floor_hang_up
	set_clock $DAY_S
	is "$(active_sessions rtpxd)" 1 "number of calls after the last word"
	must_wait $((TTL + 10)) "end of the silent call" timed_out 1
	silent_ms=$(($(uptime_ms) - $(jq -s 'map(.ended_ms) | min' "$LAB_DIR"/{alice,bob}.log))) # -i: whoever was silent first
	set_clock 0
	say "$plane: bob missed $(bob_missed) of $(heard alice .sent) packets, at most for $(heard bob .longest_gap_ms) ms; the call ended" \
		"$silent_ms ms after a last packet, -T $TTL"
	days=
	for part in "" =2 =3 =4; do days+="$(recorded_days $part);"; done
	is "$days" "0;1;-1;0;" "days of the four recordings' packets ($plane)"
	[ $silent_ms -ge $((TTL * 1000)) ] || fail "the call ended $silent_ms ms after a last packet ($plane)" rtpxd
	is "$(bob_missed) $(heard bob .wrong)" "0 0" "packets that bob missed or heard wrong ($plane)"
	stop_rtpxd rtpxd west east
	rm -rf "$LAB_DIR/rec"
done
pass

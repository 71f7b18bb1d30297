#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long
#
# recording.sh [DATAPLANE] - Kamailio's start_recording(): the call stays in the kernel, and what extractaudio makes of the
# recordings is what the parties said, sample for sample.

. "$(dirname "$0")/lib.sh"
DP=${1:-native}
LIKE=0.999

#    alice        bob       relay: kamailio, rtpxd
#   90.0.0.21   90.0.0.22         90.0.0.1
#       │           │                │
#   ────┴───────────┴───── lan ──────┴────   90.0.0.0/24
sip_begin sox
sip_lan alice:21 bob:22 relay:1
REC=$LAB_DIR/rec
mkdir "$REC"

completed() { stat rtpxd '.recorded.files == 0'; }

# samples_of FILE - what is in a file of sound, as one channel of 8 kHz.
samples_of() { sox -q "$@" -r 8000 -c 1 -b 16 -e signed -t raw -; }

# check_recording PARTY SUFFIX PACKETS - the recording of that name has so many packets, and what this party said.
check_recording()
{
	local file like ms

	file=$(find "$REC" -name "*$2")
	[ -n "$file" ] || fail "no recording of the $1: $(ls "$REC")" rtpxd kamailio
	"$RTPX_BUILD/extractaudio" -D pcm_16 "$file" "$LAB_DIR/heard.wav" >"$LAB_DIR/extract.log" 2>&1 ||
		fail "extractaudio" extract
	samples_of "$LAB_DIR/heard.wav" >"$LAB_DIR/heard.raw"
	ms=$(($(wc -c <"$LAB_DIR/heard.raw") / 16))
	((ms >= 20 * $3 && ms <= AUDIO_MS)) || fail "$ms ms of the $1 are recorded, and $3 packets were delivered"
	# Those that came before the recording began are not in it.
	samples_of -t raw -e u-law -b 8 -r 8000 -c 1 "$LAB_DIR/$1.ulaw" | tail -c $((ms * 16)) >"$LAB_DIR/said.raw"
	like=$("$SIP_DIR/likeness.py" "$LAB_DIR/heard.raw" "$LAB_DIR/said.raw")
	awk "BEGIN { exit !($like >= $LIKE) }" || fail "the recording is like what the $1 said by $like only"
	cmp "$LAB_DIR/heard.raw" "$LAB_DIR/said.raw" || fail "the recording differs from what the $1 said"
	ok "$ms ms recorded, sample for sample what the $1 said; correlation $like"
}

dataplane_options "$DP"
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 90.0.0.1 -m 20000 -M 21000 -r "$REC" -P "${DATAPLANE[@]}"
start_kamailio relay "$SIP_DIR/recording.cfg" 90.0.0.1 -l udp:90.0.0.1:5060
sip_register bob bob 90.0.0.22 90.0.0.1

during_call() { check_flows rtpxd "$DP"; }
sip_call alice 90.0.0.21 bob bob 90.0.0.22 90.0.0.1 90.0.0.1
check_audio caller 90.0.0.21 callee 90.0.0.22
to_callee=$DELIVERED
check_audio callee 90.0.0.22 caller 90.0.0.21
check_kernel_share rtpxd "$DP" $((to_callee + DELIVERED)) 2
LAB_BLAME=rtpxd must_wait 2 "end of the sessions after BYE" no_sessions rtpxd
must_wait 10 "the end of the recording" completed
[ "$(stat rtpxd .recorded.lost)" = 0 ] || fail "packets were not recorded" rtpxd

check_recording caller .o.rtp "$to_callee"
check_recording callee .a.rtp "$DELIVERED"
stop_rtpxd rtpxd eth0
pass

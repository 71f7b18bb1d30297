#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long
#
# prompts.sh - Kamailio's rtpproxy_stream2uac, rtpproxy_stream2uas, their ends, and rtpproxy_manage("z60"): what the phones
# heard is decoded by sox and compared with the prompt and with what the other one said.

AUDIO_MS=7000
. "$(dirname "$0")/lib.sh"
LIKE=0.98	# of a prompt that went through a resampler and G.711

#    alice        bob       relay: kamailio, rtpxd
#   90.0.0.21   90.0.0.22         90.0.0.1
#       │           │                │
#   ────┴───────────┴───── lan ──────┴────   90.0.0.0/24
sip_begin sox
sip_lan alice:21 bob:22 relay:1

# A prompt of CD quality, and the same as telephones can hear it at best.
sox -q -n -r 44100 -c 2 "$LAB_DIR/hold.wav" synth 0.5 sine 400-1700 gain -6
sox -q "$LAB_DIR/hold.wav" -r 8000 -c 1 -b 16 -e signed -t raw "$LAB_DIR/hold.raw"

why_of() { rtpxctl rtpxd --json why "$1" | jq -r ".[] | select(.kind == \"rtp\" and .from == \"$2\") | .why"; }
only_call() { rtpxctl rtpxd --json sessions | jq -er '.[0].call_id'; }

# why_are CALLER'S CALLEE'S - reasons of the only call's RTP directions.
why_are()
{
	local call

	call=$(only_call) && [ "$(why_of "$call" caller) $(why_of "$call" callee)" = "$1 $2" ]
}

# stream_of CAPTURE SSRC FILE - the audio of one stream that this phone received, decoded.
stream_of()
{
	tshark -r "$LAB_DIR/$1.pcap" -n -Y "rtp.ssrc == $2 && ip.src == 90.0.0.1" -T fields -e rtp.payload 2>/dev/null |
		tr -d '\n' | tr a-f A-F | basenc --base16 -d |
		sox -q -t raw -e u-law -b 8 -r 8000 -c 1 - -b 16 -e signed -t raw "$LAB_DIR/$3"
}

# ssrcs CAPTURE - of the streams that this phone received, and how many packets, in the order of their beginning.
ssrcs()
{
	tshark -r "$LAB_DIR/$1.pcap" -n -Y "rtp && ip.src == 90.0.0.1" -T fields -e rtp.ssrc 2>/dev/null |
		awk '!n[$1]++ { order[++m] = $1 } END { for (i = 1; i <= m; i++) print order[i], n[order[i]] }'
}

# check_music CAPTURE LEAST MOST - the second stream that this phone heard is the prompt.
check_music()
{
	local ssrc packets like

	[ "$(ssrcs "$1" | wc -l)" = 2 ] || fail "the $1 heard other than two streams: $(ssrcs "$1")"
	read -r ssrc packets < <(ssrcs "$1" | tail -n 1)
	((packets >= $2 && packets <= $3)) || fail "the $1 heard $packets packets of music, not $2 to $3"
	stream_of "$1" "$ssrc" heard.raw
	like=$("$SIP_DIR/likeness.py" "$LAB_DIR/heard.raw" "$LAB_DIR/hold.raw")
	awk "BEGIN { exit !($like >= $LIKE) }" || fail "what the $1 heard is like the prompt by $like only"
	ok "the $1 heard the prompt: $packets packets, correlation $like"
}

# check_resumed CAPTURE FILE - the first stream, of the other phone, was there before and after the music, as it was sent.
check_resumed()
{
	local ssrc

	tshark -r "$LAB_DIR/$1.pcap" -n -Y "rtp && ip.src == 90.0.0.1" -T fields -e rtp.ssrc -e rtp.payload 2>/dev/null \
		>"$LAB_DIR/order"
	ssrc=$(head -n 1 "$LAB_DIR/order" | cut -f1)
	[ "$(tail -n 1 "$LAB_DIR/order" | cut -f1)" = "$ssrc" ] || fail "the $1 did not hear the other one again"
	# No two packets of its audio are alike, so each of them was said.
	od -An -v -tx1 -w160 "$LAB_DIR/$2.ulaw" | tr -d ' ' | sort >"$LAB_DIR/said"
	awk -v ssrc="$ssrc" '$1 == ssrc { print $2 }' "$LAB_DIR/order" | sort | comm -23 - "$LAB_DIR/said" >"$LAB_DIR/alien"
	[ ! -s "$LAB_DIR/alien" ] || fail "$(wc -l <"$LAB_DIR/alien") packets to the $1 are not what the $2 said"
	ok "the $1 heard the $2 before the music and after it, bit for bit"
}

dataplane_options native
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 90.0.0.1 -m 20000 -M 21000 --prompt-ptime 20 --prompt-dir "$LAB_DIR" "${DATAPLANE[@]}"
start_kamailio relay "$SIP_DIR/prompts.cfg" 90.0.0.1 -l udp:90.0.0.1:5060 -A 'HOLD="hold.wav"'
sip_register bob bob 90.0.0.22 90.0.0.1
sip_register bob carol 90.0.0.22 90.0.0.1

CALLER=listener
sip_call alice 90.0.0.21 bob bob 90.0.0.22 90.0.0.1 90.0.0.1
check_music caller 50 500
check_music callee 40 50 # two rounds of 500 ms, if the machine has time
check_resumed caller callee
check_resumed callee caller
kernel=$(stat rtpxd .kernel.relayed)
((kernel * 2 > AUDIO_MS / 20)) || fail "only $kernel packets went through the kernel in a call of $((AUDIO_MS / 20)) each way" rtpxd
ok "$kernel packets of this call went through the kernel"

during_call() { must_wait 5 "alice in packets of 60 ms" why_are RESIZED KERNEL; }
CALLER=caller
sip_call alice 90.0.0.21 bob carol 90.0.0.22 90.0.0.1 90.0.0.1
check_audio callee 90.0.0.22 caller 90.0.0.21
read -r ssrc packets < <(ssrcs callee)
stream_of callee "$ssrc" heard.raw
sox -q -t raw -e u-law -b 8 -r 8000 -c 1 "$LAB_DIR/caller.ulaw" -b 16 -e signed -t raw "$LAB_DIR/said.raw"
heard=$(wc -c <"$LAB_DIR/heard.raw")
tail -c "$heard" "$LAB_DIR/said.raw" | cmp - "$LAB_DIR/heard.raw" ||
	fail "carol did not hear what alice said"
((heard * 10 > AUDIO_MS * 16 * 9)) || fail "carol heard $((heard / 16)) ms of $AUDIO_MS"
((packets < AUDIO_MS / 20)) || fail "$packets packets for $AUDIO_MS ms are as long as those of alice"
ok "carol heard $((heard / 16)) ms of alice in $packets packets, every sample"

LAB_BLAME=rtpxd must_wait 2 "end of the sessions after BYE" no_sessions rtpxd
stop_rtpxd rtpxd eth0
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# nat_rtcp.sh none|kmod|generic|native - the call of nat_call.sh between baresips, which speak RTCP: both phones'
# RTP and sender reports arrive byte for byte, though the NATs give RTCP ports of its own.

dataplane=${1:?none, kmod, generic or native}
. "$(dirname "$0")/lib.sh"
LAB_TEST="nat_rtcp $dataplane"
MOST_S=120	# reports come every 5 s or so; the callee's first may be what opens its direction
REPORTS=2	# that each phone must hear before the call ends

sip_begin baresip
shipped_config

# phone NAMESPACE USER ADDRESS FROM_HZ TO_HZ - a directory PHONE-USER with all that baresip wants to read.
phone()
{
	local dir=$LAB_DIR/phone-$2

	mkdir "$dir"
	"$SIP_DIR/sweep.py" "$dir/said.wav" $((MOST_S * 1000)) "$4" "$5"
	cat >"$dir/config" <<-EOF
		module_path $MODULES
		module g711.so
		module aufile.so
		module uuid.so
		module_app account.so
		module_app menu.so
		sip_listen $3:5060
		audio_source aufile,$dir/said.wav
		audio_player aufile,$dir/heard.wav
		ausrc_srate 8000
		auplay_srate 8000
	EOF
	echo "<sip:$2@90.0.0.1>;regint=300;answermode=auto;audio_codecs=PCMU/8000/1;auth_pass=none" >"$dir/accounts"
	: >"$dir/contacts"
}

# media_of CAPTURE PROTOCOL - "source packet-in-hex time" of each rtp or rtcp packet, and "BYE time" of BYE and its answer.
media_of()
{
	tshark -r "$LAB_DIR/$1.pcap" -Y "$2 || sip.CSeq.method == BYE" -T fields -E separator=' ' \
		-e sip.CSeq.method -e ip.src -e udp.payload -e frame.time_epoch 2>/dev/null |
		awk '/BYE/ { print "BYE", $NF; next } { print $1, $2, $3 }'
}

# check_media PROTOCOL FROM FROM-ADDRESS TO TO-ADDRESS LEAST - what FROM sent, TO received, from the first packet that
# it received until a second before BYE, each once and equal in every byte; at least LEAST of them.
check_media()
{
	local d=$LAB_DIR n

	media_of "$2" "$1" | awk -v a="$3" '$1 == a || $1 == "BYE"' >"$d/sent"
	media_of "$4" "$1" | awk -v a="$5" '$1 != a && $1 != "BYE" { print $2 }' >"$d/received"
	n=$(wc -l <"$d/received")
	((n >= $6)) || fail "$n packets of $1 reached the $4, expected at least $6"
	awk '$1 != "BYE" { print $2 }' "$d/sent" | sort >"$d/all"
	awk -v first="$(head -n 1 "$d/received")" 'NR == FNR { if ($1 == "BYE" && !end) end = $2 - 1; next }
		$2 == first { on = 1 } on && $1 != "BYE" && $3 < end { print $2 }' "$d/sent" "$d/sent" | sort >"$d/expected"
	sort "$d/received" >"$d/got"
	[ -z "$(comm -23 "$d/expected" "$d/got")" ] ||
		fail "$(comm -23 "$d/expected" "$d/got" | wc -l) packets of $1 did not reach the $4 as they were sent"
	[ -z "$(comm -13 "$d/all" "$d/got")" ] ||
		fail "$(comm -13 "$d/all" "$d/got" | wc -l) packets of $1 reached the $4 that nobody sent like that"
	ok "$n packets of $1 reached the $4 byte for byte"
}

# Both directions are in the kernel, and at least one packet of each went that way.
rtcp_in_kernel()
{
	flows_are rtpxd rtcp kernel && rtpxctl rtpxd --json flows |
		jq -e '[.[] | select(.kind == "rtcp" and .kernel_packets > 0)] | length == 2'
}

# heard CAPTURE ADDRESS - this phone has heard enough reports; ADDRESS is its own.
heard() { [ "$(media_of "$1" rtcp | awk -v a="$2" '$1 != a && $1 != "BYE"' | wc -l)" -ge $REPORTS ]; }

MODULES=/usr/lib/baresip/modules
[ -e "$MODULES/aufile.so" ] || skip "no $MODULES/aufile.so"

lab_nat_net
dataplane_options "$dataplane"
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 90.0.0.1 -m 20000 -M 21000 "${DATAPLANE[@]}"
check "the kernel shows XDP on eth0: $dataplane" xdp_mode_is relay eth0 "$dataplane"
start_kamailio relay "$SHIPPED" 90.0.0.1 -A WITH_NAT

phone alice alice 10.0.0.180 200 1800
phone bob bob 10.20.0.40 3400 2000
capture alice eth0 caller udp
capture bob eth0 callee udp
lab_start bob callee baresip -f "$LAB_DIR/phone-bob" -t $((10 * MOST_S))
LAB_BLAME="callee kamailio" must_wait 15 "registration of bob" grep -q '200 OK' "$LAB_DIR/callee.log"
lab_start alice caller baresip -f "$LAB_DIR/phone-alice" -t $((10 * MOST_S)) -e '/dial sip:bob@90.0.0.1'
LAB_BLAME="caller callee" must_wait 15 "call" grep -q 'Call established' "$LAB_DIR/caller.log"
check_flows rtpxd "$dataplane"
if [ "$dataplane" != none ]; then
	LAB_BLAME=rtpxd must_wait $((MOST_S / 3)) "RTCP both ways in the kernel" rtcp_in_kernel
	ok "the kernel forwarded RTCP both ways"
fi
LAB_BLAME=rtpxd must_wait $((MOST_S / 3)) "$REPORTS reports at alice" heard caller 10.0.0.180
LAB_BLAME=rtpxd must_wait $((MOST_S / 3)) "$REPORTS reports at bob" heard callee 10.20.0.40
lab_stop caller INT || fail "the caller's side of the call" caller callee # it says BYE
LAB_BLAME=rtpxd must_wait 10 "end of the session after BYE" no_sessions rtpxd
capture_end caller 'CSeq: [0-9]* BYE'
capture_end callee 'CSeq: [0-9]* BYE'

check_media rtp caller 10.0.0.180 callee 10.20.0.40 200
check_media rtp callee 10.20.0.40 caller 10.0.0.180 200
check_media rtcp caller 10.0.0.180 callee 10.20.0.40 $REPORTS
check_media rtcp callee 10.20.0.40 caller 10.0.0.180 $REPORTS
stop_rtpxd rtpxd eth0
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long=65
# shellcheck source-path=SCRIPTDIR
#
# record.sh [DATAPLANE] - what is recorded of a call is what both parties said, when it arrived, as
# Wireshark reads it; the kernel forwards it nevertheless; no way to end a call loses the end of its
# recording. With a dataplane's name: the first two, with that one.

. "$(dirname "$0")/floor_lib.sh"
TALK_S=$((3 * ${RTPX_PATIENCE:-1})) ALICE6=2001:db8:1::10 RELAY6=2001:db8:1::1

lab_begin python3 jq tshark dumpcap
floor_net
lab_addr alice eth0 $ALICE6/64
lab_addr relay west $RELAY6/64
REC=$LAB_DIR/rec
mkdir "$REC"
SENT=$((TALK_S * 50))

# start_recording OPTION… - rtpxd, with a directory to record to.
start_recording()
{
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric \
		-r "$REC" "$@"
}

# reads FILE FILTER FIELD… - what Wireshark's own decoder makes of it.
reads()
{
	local file=$1 filter=$2 e=() f

	shift 2
	for f in "$@"; do e+=(-e "$f"); done
	tshark -r "$file" -n -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE "${DECODE[@]}" \
		-Y "$filter" -T fields "${e[@]}" 2>/dev/null
}

decode_ports()
{
	local p

	DECODE=()
	for p in "$TO_BOB" "$TO_ALICE"; do
		DECODE+=(-d "udp.port==$p,rtp" -d "udp.port==$((p + 1)),rtcp")
	done
}

count_is() { is "$(reads "$1" "$2" frame.number | wc -l)" "$3" "number of $2 in ${1##*/}"; }
recorded() { counter npkts_recorded; }
completed() { [ "$(rtpxctl rtpxd --json stats | jq .recorded.files)" = 0 ]; }

# one_file DATAPLANE NAMESPACE DEV TOLERANCE - both directions in one file. It holds what a capture on
# DEV does, at the same times within TOLERANCE seconds. For a while the daemon does not run, so the
# time of writing is not the time of arrival, and a call that is forwarded by the kernel goes on.
one_file()
{
	local file=$REC/$CALL=alice.pcap

	rm -f "$REC"/*
	dataplane_options "$1"
	start_recording -P "${DATAPLANE[@]}"
	floor_call rtpxd 198.51.100.10
	decode_ports
	is "$(rtpp rtpxd "Rs $CALL alice")" 0 "reply to Rs"
	is "$(rtpp rtpxd "Rs $CALL bob alice")" 0 "reply to Rs for bob"
	capture "$2" "$3" alice-says udp dst port "$TO_BOB"
	floor_talk $TALK_S 198.51.100.10 198.51.100.1 3
	hears_alice() { [ "$(rtp_of caller packets)" -ge 20 ]; }
	must_wait 10 "some packets from alice" hears_alice
	[ "$1" = none ] || must_wait 10 "both directions in the kernel" both_in_kernel
	kill -STOP "${LAB_PID[rtpxd]}"
	sleep 1
	kill -CONT "${LAB_PID[rtpxd]}"
	floor_talked $((TALK_S + 20))
	in_ns alice bash -c "echo the end >/dev/udp/192.0.2.1/$TO_BOB"
	capture_end alice-says "the end"
	is "$(bob_missed) $(heard bob .wrong)" "0 0" "what bob did not hear, or heard wrong"
	[ "$1" = none ] || stayed_in_kernel
	rtpp rtpxd "D $CALL alice" >/dev/null
	must_wait 10 "the file" completed

	count_is "$file" "rtp.version == 2 && ip.src == 192.0.2.10 && ip.dst == 192.0.2.1" $SENT
	count_is "$file" "rtp.version == 2 && ip.src == 198.51.100.10 && ip.dst == 198.51.100.1" \
		$((SENT + 150))
	count_is "$file" "rtcp.pt == 200" $((2 * TALK_S + 3))
	count_is "$file" "ip.checksum.status != 1 || udp.checksum.status != 1" 0
	is "$(recorded)" $((2 * SENT + 150 + 2 * TALK_S + 3)) npkts_recorded
	# By their numbers: a packet that the kernel leaves to the daemon may be written after a later one.
	reads "$file" "rtp.version == 2 && ip.src == 192.0.2.10" rtp.seq frame.time_epoch rtp.payload | sort -n >"$LAB_DIR/ours"
	reads "$LAB_DIR/alice-says.pcap" "rtp.version == 2 && ip.src == 192.0.2.10" rtp.seq frame.time_epoch rtp.payload |
		sort -n >"$LAB_DIR/theirs"
	is "$(wc -l <"$LAB_DIR/theirs")" $SENT "number of captured packets"
	lab_load
	paste "$LAB_DIR/ours" "$LAB_DIR/theirs" | awk -v tolerance="$4" -v load=$LOAD '
		{ d = ($2 - $5) * 100 / load; if ($1 != $4 || $3 != $6 || d > tolerance || d < -tolerance) { print; bad = 1 } }
		END { exit bad }' >"$LAB_DIR/differ.log" ||
		fail "recorded and captured packets differ" differ
	is "$(counter npkts_rec_lost)" 0 npkts_rec_lost
	stop_rtpxd rtpxd west east
	ok "$1: both directions in one file, all packets, with the times of a capture"
}

# The daemon has had the first packets of each direction only, and the kernel has copied all others.
stayed_in_kernel()
{
	local kernel

	is "$(rtp_of caller why)/$(rtp_of callee why)" KERNEL/KERNEL "where the recorded call is"
	kernel=$(($(rtp_of caller kernel_packets) + $(rtp_of callee kernel_packets)))
	[ "$kernel" -ge $SENT ] || fail "only $kernel packets forwarded by the kernel" rtpxd
	is "$(rtpxctl rtpxd --json stats | jq '.kernel | "\(.mirrored == .relayed) \(.mirror_full)"')" \
		'"true 0"' "whether all that was forwarded was copied, and how much was not"
}

# Alice has IPv6, and each kind and direction has a file.
files_apart()
{
	local a=$REC/$CALL=alice.o

	rm -f "$REC"/*
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 198.51.100.1 -6 /$RELAY6 --dataplane none \
		-r "$REC" -P -a
	read -r TO_ALICE _ < <(rtpp rtpxd "U6ei $CALL $ALICE6 4000 alice;1")
	rtpp rtpxd "N $CALL alice" >/dev/null
	rtpp rtpxd "R $CALL alice" >/dev/null
	read -r TO_BOB _ < <(rtpp rtpxd "Lie $CALL 198.51.100.10 4000 alice;1 bob;1")
	decode_ports
	lab_start alice alice "$END" $ALICE6 4000 $RELAY6 "$TO_BOB" 1
	lab_start bob bob "$END" 198.51.100.10 4000 198.51.100.1 "$TO_ALICE" 1
	floor_talked 20
	# What both parties still say is lost with the call, what they have said is not.
	lab_stop rtpxd || fail "rtpxd ended badly" rtpxd
	count_is "$a.rtp" "rtp.version == 2 && ipv6.src == $ALICE6 && ipv6.dst == $RELAY6" 50
	count_is "$a.rtcp" "rtcp && ipv6" 1
	count_is "$a.rtp" "udp.checksum.status != 1" 0
	count_is "$REC/$CALL=alice.pcap" "rtp.version == 2 && ip.src == 198.51.100.10" 50
	ok "IPv6, a file for each kind, complete after SIGTERM"
}

# part_holds PART PACKETS - in ad-hoc records of 30 bytes and the datagram, RTP and RTCP.
part_holds()
{
	local rtp rtcp

	rtp=$(stat -c %s "$REC/$CALL=alice$1.o.rtp")
	rtcp=$(stat -c %s "$REC/$CALL=alice$1.o.rtcp")
	is "$((rtp % (30 + 172))) $((rtcp % (30 + 28)))" "0 0" "rest of the files"
	is $((rtp / (30 + 172) + rtcp / (30 + 28))) "$2" "number of records"
}

# R, N and R in mid-call, which stays in the kernel: two parts.
in_and_out()
{
	local all

	rm -f "$REC"/*
	dataplane_options native
	start_recording -T 5 -W 30 "${DATAPLANE[@]}"
	floor_call rtpxd 198.51.100.10
	floor_talk 12 198.51.100.10 198.51.100.1 3
	must_wait 10 "both directions in the kernel" both_in_kernel
	is "$(rtpp rtpxd "R $CALL alice")" 0 "reply to R"
	some_recorded() { [ "$(recorded)" -ge 20 ]; }
	must_wait 10 "recorded packets" some_recorded
	is "$(rtpp rtpxd "N $CALL alice")" 0 "reply to N"
	must_wait 10 "the file" completed
	is "$(rtp_of caller why)/$(rtp_of callee why)" KERNEL/KERNEL "where the call is"
	all=$(rtpxctl rtpxd --json session $CALL | jq '.[0].recorded.packets')
	part_holds "" "$all"
	is "$(rtpp rtpxd "R $CALL alice")" 0 "reply to a second R"
	floor_talked 30
	is "$(bob_missed)" 0 "number of packets that bob missed"
	must_wait 12 "end of the silent session" no_sessions rtpxd
	must_wait 10 "the file" completed
	is "$(counter npkts_rec_lost)" 0 npkts_rec_lost
	part_holds "" "$all"
	part_holds =2 $(($(recorded) - all))
	stop_rtpxd rtpxd west east
	ok "recorded in mid-call, $all packets, and again until its time ran out"
}

# A receiver that cannot be reached costs copies, counted, and nothing else.
copies()
{
	start_recording --dataplane none
	floor_call rtpxd 198.51.100.10
	is "$(rtpp rtpxd "C $CALL udp:198.51.100.10:9000 alice;1")" 0 "reply to C"
	is "$(rtpxctl rtpxd --json session $CALL | jq -r '.[0].legs[0].recorded_to')" \
		udp:198.51.100.10:9000 "receiver of copies"
	capture bob eth0 copies udp dst port 9000 or dst port 9001
	floor_talk 2 198.51.100.10 198.51.100.1 2
	floor_talked 20
	in_ns relay bash -c "echo the end >/dev/udp/198.51.100.10/9000"
	capture_end copies "the end"
	DECODE=(-d "udp.port==9000,rtp" -d "udp.port==9001,rtcp")
	count_is "$LAB_DIR/copies.pcap" "rtp.version == 2" 100
	count_is "$LAB_DIR/copies.pcap" rtcp 2
	is "$(recorded)" 102 npkts_recorded
	is "$(rtpp rtpxd "N $CALL alice")" 0 "reply to N"
	is "$(rtpp rtpxd "C $CALL udp:203.0.113.1:9000 alice;1")" E65 "reply without a route"
	ip_in relay route add 203.0.113.1 via 198.51.100.10
	is "$(rtpp rtpxd "C $CALL udp:203.0.113.1:9000 alice;1")" 0 "reply with a route"
	ip_in relay route replace blackhole 203.0.113.1
	floor_talk 1 198.51.100.10 198.51.100.1 2
	floor_talked 20
	is "$(bob_missed)" 0 "what bob missed without the route of the copies"
	is "$(recorded) $(counter npkts_rec_lost)" "102 51" "npkts_recorded and npkts_rec_lost"
	is "$(rtpxctl rtpxd --json session $CALL | jq '.[0].recorded.lost')" 51 "copies of the session lost"
	must_wait 10 "a word in the log" grep -q "packets lost before they were recorded or copied" "$LAB_DIR/rtpxd.log"
	stop_rtpxd rtpxd west east
	ok "copies on the network, and none when there is no way"
}

if [ $# -gt 0 ]; then
	one_file "$1" alice eth0 0.3
	pass
fi
one_file none relay west 0.001
one_file native alice eth0 0.3
one_file generic alice eth0 0.3
files_apart
in_and_out
copies
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck source-path=SCRIPTDIR
#
# floor_counts.sh none|kmod|generic|native - whoever forwards, every packet is counted once: the same call in every
# dataplane gives the same numbers in Q and G, keeps its session alive, and ends by time-out when silent. It is
# recorded, and stays where it is nevertheless.

. "$(dirname "$0")/floor_lib.sh"
TALK_S=$((4 * ${RTPX_PATIENCE:-1})) TTL_S=$((2 + 2 * ${RTPX_PATIENCE:-1} * ${RTPX_PATIENCE:-1}))

lab_begin python3 jq
floor_net

# counts DATAPLANE
counts()
{
	local sent=$((TALK_S * 50)) rtcp=$TALK_S i all kernel

	dataplane_options "$1"
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric \
		-T $TTL_S -W 30 -r "$LAB_DIR" "${DATAPLANE[@]}"
	floor_call rtpxd 198.51.100.10
	is "$(rtpp rtpxd "R $CALL alice") $(rtpp rtpxd "R $CALL bob alice")" "0 0" "replies to R"
	floor_talk $TALK_S 198.51.100.10 198.51.100.1
	[ "$1" = none ] || must_wait 3 "both directions in the kernel" both_in_kernel
	floor_talked $((TALK_S + 5))
	# Somebody else on alice's host; the port of origin is another one each time.
	in_ns alice bash -c "for i in {1..10}; do echo stranger >/dev/udp/192.0.2.1/$TO_BOB; done"
	strangers_counted() { [ "$(counter npkts_discard)" = 10 ]; }
	must_wait 10 "count of strangers" strangers_counted

	read -r _ ina ino nrelayed ndropped < <(rtpp rtpxd "Q $CALL alice;1 bob;1")
	is "$ina $ino" "$sent $sent" "packets from alice and bob in Q"
	is "$nrelayed $ndropped" "$((2 * sent)) 0" "packets relayed and dropped in Q"
	is "$(rtpp rtpxd "Q $CALL alice;1 bob;1 rtpa_nsent rtpa_nrcvd rtpa_ndups rtpa_nlost")" \
		"$sent $sent 0 0" "analysis of alice's RTP"
	is "$(counter npkts_relayed)" $((2 * (sent + rtcp))) npkts_relayed
	is "$(counter npkts_rcvd)" $((2 * (sent + rtcp) + 10)) npkts_rcvd
	for i in alice bob; do
		is "$(heard $i '"\(.sent) \(.lost) \(.wrong)"')" "$sent 0 0" \
			"what $i sent, lost and heard wrong"
	done
	all=$(rtpxctl rtpxd --json session $CALL | jq '[.[].legs[].rtp.packets] | add')
	kernel=$(rtpxctl rtpxd --json session $CALL | jq '[.[].legs[].rtp.kernel_packets] | add')
	if [ "$1" = none ]; then
		is "$kernel" 0 "packets forwarded in the kernel"
	else
		[ $((kernel * 100)) -gt $((all * 95)) ] ||
			fail "only $kernel of $all packets were forwarded in the kernel"
	fi
	# It has lived twice its ttl on packets that the daemon has hardly seen; now it is silent.
	is "$(active_sessions rtpxd)" 1 "number of sessions after the call"
	must_wait $((TTL_S + 3)) "end of the silent session" no_sessions rtpxd
	is "$(counter nsess_timeout)" 1 nsess_timeout
	all_written() { [ "$(counter npkts_recorded)" = $((2 * (sent + rtcp))) ]; }
	must_wait 10 "record of every packet" all_written
	is "$(counter npkts_rec_lost)" 0 npkts_rec_lost
	stop_rtpxd rtpxd west east
	ok "$1: $sent packets each way, $kernel of $all in the kernel"
}

counts "${1:?none, kmod, generic or native}"
pass

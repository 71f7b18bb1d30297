#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck source-path=SCRIPTDIR
#
# floor_counts.sh none|kmod|generic|native - every packet is counted once: the same call in every dataplane gives the
# same numbers in Q and G, keeps its session alive, and ends by time-out when silent. It is recorded, and stays where it
# is nevertheless.

. "$(dirname "$0")/floor_lib.sh"
MOST_S=600 # of talk

lab_begin python3 jq
# On a busy machine the ends need longer to begin, and pause longer between two packets.
TTL_S=$(lab_s $((2 + 2 * ${RTPX_PATIENCE:-1})))
# The call lives longer than its time to live on packets that the daemon hardly sees. The virtual machine is slow.
PACKETS=$((50 * (TTL_S + 1)))
[ -z "${RTPX_IN_VM:-}" ] || PACKETS=200 TTL_S=$(lab_s 15)
floor_net

# packets WHICH - a sum over the call's RTP, both ways; .packets is all, .kernel_packets those that the kernel forwarded.
packets() { rtpxctl rtpxd --json session $CALL | jq "[.[].legs[].rtp | $1] | add"; }
has_packets() { [ "$(packets .packets)" -ge "$1" ]; }
BY_DAEMON=".packets - .kernel_packets"

# counts DATAPLANE
counts()
{
	local i all kernel alice bob rtcp first=0

	dataplane_options "$1"
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric \
		-T $TTL_S -W 30 -r "$LAB_DIR" "${DATAPLANE[@]}"
	floor_call rtpxd 198.51.100.10
	is "$(rtpp rtpxd "R $CALL alice") $(rtpp rtpxd "R $CALL bob alice")" "0 0" "replies to R"
	floor_talk $MOST_S 198.51.100.10 198.51.100.1
	if [ "$1" != none ]; then
		must_wait 10 "both directions in the kernel" both_in_kernel
		first=$(packets "$BY_DAEMON")
	fi
	must_wait $((3 * TTL_S)) "packets" has_packets $((first + 2 * PACKETS))
	floor_hang_up
	alice=$(heard alice .sent) bob=$(heard bob .sent)
	rtcp=$(((alice + 49) / 50 + (bob + 49) / 50))
	# Somebody else on alice's host; the port of origin is another one each time.
	in_ns alice bash -c "for i in {1..10}; do echo stranger >/dev/udp/192.0.2.1/$TO_BOB; done"
	strangers_counted() { [ "$(counter npkts_discard)" = 10 ]; }
	must_wait 10 "count of strangers" strangers_counted

	read -r _ ina ino nrelayed ndropped < <(rtpp rtpxd "Q $CALL alice;1 bob;1")
	is "$ina $ino" "$alice $bob" "packets from alice and bob in Q"
	is "$nrelayed $ndropped" "$((alice + bob)) 0" "packets relayed and dropped in Q"
	is "$(rtpp rtpxd "Q $CALL alice;1 bob;1 rtpa_nsent rtpa_nrcvd rtpa_ndups rtpa_nlost")" \
		"$alice $alice 0 0" "analysis of alice's RTP"
	is "$(counter npkts_relayed)" $((alice + bob + rtcp)) npkts_relayed
	is "$(counter npkts_rcvd)" $((alice + bob + rtcp + 10)) npkts_rcvd
	for i in alice bob; do
		is "$(heard $i .wrong)" 0 "number of packets that $i heard wrong"
	done
	is "$(heard alice .received) $(heard bob .received)" "$bob $alice" "packets that alice and bob heard"
	all=$(packets .packets) kernel=$(packets .kernel_packets)
	if [ "$1" = none ]; then
		is "$kernel" 0 "packets forwarded in the kernel"
	else
		# Some may have waited in the daemon's sockets.
		[ $((all - kernel)) -le $((first + 5)) ] ||
			fail "the daemon forwarded $((all - kernel - first)) packets of a call in the kernel"
	fi
	is "$(active_sessions rtpxd)" 1 "number of sessions after the call"
	must_wait $((TTL_S + 3)) "end of the silent session" no_sessions rtpxd
	is "$(counter nsess_timeout)" 1 nsess_timeout
	all_written() { [ "$(counter npkts_recorded)" = $((alice + bob + rtcp)) ]; }
	must_wait 10 "record of every packet" all_written
	is "$(counter npkts_rec_lost)" 0 npkts_rec_lost
	stop_rtpxd rtpxd west east
	ok "$1: $alice and $bob packets, $kernel of $all in the kernel"
}

counts "${1:?none, kmod, generic or native}"
pass

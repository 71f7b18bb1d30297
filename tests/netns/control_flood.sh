#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: alone
# shellcheck source-path=SCRIPTDIR
#
# control_flood.sh [RATE [SECONDS]] - 100,000 commands a second from several clients, half of them garbage, with
# retransmissions, readers that do not read, connections that stay half open and lines that do not end: media is not
# disturbed, in the kernel nor on the daemon's sockets, a proxy that asks is answered, retransmissions get the answer that
# was given, and all that the flood took is given back.

. "$(dirname "$0")/floor_lib.sh"
RATE=${1:-100000} FLOOD_S=${2:-5}
MOST_S=600 # of talk
FEW=2 # percent of the packets: the flood takes all CPUs, and the ends of the call are processes like others

lab_begin python3 jq nft
# now_running - sets LOAD to the processes for each CPU within a second, in hundredths, at least 100. The average of the
# last minute would count the tests before.
now_running()
{
	local i now sum=0

	for i in {1..20}; do
		read -r _ _ _ now _ <"$LAB_LOADAVG"
		sum=$((sum + ${now%/*} - 1))
		sleep 0.05
	done
	LOAD=$((100 * sum / 20 / LAB_CPUS))
	((LOAD > 100)) || LOAD=100
}
floor_net
# Who begins a connection from there hears nothing of it.
in_ns relay nft -f - <<-EOF
	table ip flood {
		chain out {
			type filter hook output priority filter
			ip daddr 127.66.0.0/16 drop
		}
	}
EOF

both_talk() { [ "$(rtp_of caller packets)" -gt 10 ] && [ "$(rtp_of callee packets)" -gt 10 ]; }
in_its_place() { both_talk && { [ $plane = none ] || both_in_kernel; }; }
descriptors() { find "/proc/${LAB_PID[rtpxd]}/fd" -mindepth 1 | wc -l; }
given_back() { no_sessions rtpxd && [ "$(descriptors)" -eq "$before" ]; }
flood() { jq -r ".$1" "$LAB_DIR/flood.log"; }

declare -A other=([alice]=bob [bob]=alice)
for plane in native none; do
	dataplane_options $plane
	start_rtpxd relay rtpxd 127.0.0.1 7722 -s tcp:127.0.0.1:7723 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -T "$(lab_s 2)" "${DATAPLANE[@]}" \
		-d crit
	before=$(descriptors)
	floor_call rtpxd 198.51.100.10
	now_running
	enough=$((RATE * FLOOD_S / 4 * 100 / LOAD)) # commands: other work takes its share of the CPUs
	floor_talk $MOST_S 198.51.100.10 198.51.100.1
	LAB_BLAME=rtpxd must_wait 10 "packets of both ends ($plane)" in_its_place
	lab_start relay flood "$LAB_ROOT/tests/lib/control_flood.py" 127.0.0.1:7722 127.0.0.1:7723 "$RATE" $FLOOD_S
	lab_wait $((FLOOD_S + 15)) flood || fail "the flood ended badly" flood
	floor_hang_up
	say "$plane: $(flood sent) commands in $FLOOD_S s; a proxy asked $(flood asked) times, median $(flood median_ms) ms, p99 $(flood p99_ms) ms"
	say "$plane: $(flood repeated) retransmissions answered as before; $(flood half_open) connections half open; over TCP asked $(flood tcp_asked) times"
	for i in alice bob; do
		sent=$(heard "${other[$i]}" .sent) lost=$(($(heard "${other[$i]}" .sent) - $(heard $i '.before_first + .received')))
		say "$plane: $i missed $lost of $sent packets, p99 of latency $(heard $i .latency_us.p99) us"
		[ $((lost * 100)) -le $((FEW * sent * LOAD / 100)) ] || fail "$i missed $lost packets" rtpxd
		is "$(heard $i .wrong)" 0 "number of packets that $i heard wrong"
	done
	[ "$(flood sent)" -gt $enough ] || fail "only $(flood sent) commands are no flood"
	is "$(flood unanswered)" 0 "number of questions of a proxy that were never answered"
	is "$(flood tcp_unanswered)" 0 "number of questions over TCP that were never answered"
	is "$(flood changed)" 0 "number of retransmissions that were answered differently"
	[ "$(flood repeated)" -gt 0 ] && [ "$(counter ncmds_rcvd_ndups)" -ge "$(flood repeated)" ] ||
		fail "$(flood repeated) retransmissions were answered, rtpxd knows of $(counter ncmds_rcvd_ndups)" rtpxd
	[ "$(flood half_open)" -gt 0 ] || fail "no connection stayed half open"
	must_wait 15 "end of all calls, with their descriptors" given_back
	stop_rtpxd rtpxd west east
done
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# floor_stored.sh - a call that no dataplane takes, among a crowd of others, and rtpxd as a service of systemd itself. It is
# restarted and killed: packets wait in the shared sockets, which systemd holds, and none is lost. A daemon with a socket
# for each port, and the end of the service, take the shared sockets out of the store.

. "$(dirname "$0")/floor_lib.sh"
. "$(dirname "$0")/systemd_lib.sh"
MOST_S=600 CROWD=3000

lab_begin python3 jq
floor_net
sd_begin relay -l 192.0.2.1/198.51.100.1 --bridge_symmetric -m 20000 -M 39999 --dataplane none --port-sockets shared -T 3600 -W 3600
LAB_NS[rtpxd]=relay LAB_CTL[rtpxd]="127.0.0.1 7722"
rtpxd_says() { [ "$(rtpp rtpxd V)" = 20040107 ]; }
stored() { sd_ctl show --property=NFileDescriptorStore --value rtpxd; }
shared() { in_ns relay ss -Hlun "src 127.114.116.112" | wc -l; }

LAB_BLAME="systemd rtpxd" must_wait 20 "rtpxd as a service" sd_active
floor_crowd rtpxd $CROWD
floor_call rtpxd 198.51.100.10
floor_talk $MOST_S 198.51.100.10 198.51.100.1 $MOST_S
relayed() { counter npkts_relayed; }
goes_on() { [ "$(relayed)" -gt $((from + 50)) ]; }
talks_on() { from=$(relayed) && must_wait 10 "packets of the call" goes_on; }
talks_on
full=$(stored)
# 2 control sockets, 16 shared ones and 2 that drop, and the link.
is "$full" 21 "number of descriptors in the store"
is "$(shared)" 9 "number of shared sockets at 127.114.116.112"

# ---- away and back ----

restarted() { sd_ctl restart rtpxd; } # which sends SIGPWR
killed() { sd_ctl kill -s KILL rtpxd; }

for way in restarted killed killed restarted; do
	before=$(sd_main_pid)
	$way
	LAB_BLAME=rtpxd must_wait 20 "next rtpxd" sd_is_next "$before"
	LAB_BLAME=rtpxd must_wait 10 "answer of the next rtpxd" rtpxd_says
	is "$(sd_status '"\(.journal.restored) \(.journal.lost)"')" "$((CROWD + 1)) 0" "calls restored and lost when rtpxd was $way"
	talks_on
	is "$(stored)" "$full" "number of descriptors in the store when rtpxd was $way"
done
floor_hang_up
is "$(alice_missed) $(bob_missed)" "0 0" "packets that alice and bob missed"
is "$(heard alice .wrong) $(heard bob .wrong)" "0 0" "packets that alice and bob heard wrong"
ok "$(heard alice .received) and $(heard bob .received) packets, 2 restarts and 2 kills with $((CROWD + 1)) calls: none is lost"

# ---- out of the store ----

# switched WAY - the next rtpxd has sockets of this kind.
switched()
{
	local before

	before=$(sd_main_pid)
	sed -i "s/--port-sockets [a-z]*/--port-sockets $1/; s/^LimitNOFILE=.*/LimitNOFILE=20000/" \
		"$SD_ROOT/units/rtpxd.service.d/test.conf"
	sd_ctl daemon-reload
	sd_ctl restart rtpxd
	LAB_BLAME=rtpxd must_wait 20 "next rtpxd" sd_is_next "$before"
	is "$(sd_status '"\(.journal.restored) \(.journal.lost)"')" "$((CROWD + 1)) 0" "calls with --port-sockets $1"
}
left_is() { [ "$(stored) $(shared)" = "$1" ]; }
switched each
must_wait 5 "end of the shared sockets" left_is "2 0"
switched shared
must_wait 5 "shared sockets again" left_is "$full 9"
ok "a daemon with a socket for each port takes the shared ones out of the store"

sd_ctl stop rtpxd
must_wait 5 "end of all sockets" left_is "0 0"
ok "so does the end of the service"
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together busy
# shellcheck source-path=SCRIPTDIR
#
# restart_load.sh - Debian's Kamailio with the configuration and the parameters that it ships, 20 calls a second, and rtpxd
# as a service of systemd itself: it is restarted, killed, and replaced by another program, again and again. No INVITE and no
# answer passes without the relay's address, no call fails, and when all have ended no session is left.

. "$(dirname "$0")/lib.sh"
. "$SIP_DIR/../netns/systemd_lib.sh"
RATE=20 ROUNDS=${ROUNDS:-2} HOLD_MS=3000 CALLS_BETWEEN=40

sip_begin
shipped_config
lab_nat_net
sd_begin relay -l 90.0.0.1 -m 20000 -M 29999 --dataplane xdp --xdp-mode native
LAB_NS[rtpxd]=relay LAB_CTL[rtpxd]="127.0.0.1 7722"

rtpxd_says() { [ "$(rtpp rtpxd V)" = 20040107 ]; }

LAB_BLAME="systemd rtpxd" must_wait 20 "rtpxd as a service" sd_active
start_kamailio relay "$SHIPPED" 90.0.0.1 -A WITH_NAT
sip_register alice alice 10.0.0.180 90.0.0.1
sip_register bob bob 10.20.0.40 90.0.0.1

# ---- calls, until they are told to end ----

capture alice eth0 caller udp port 5060
capture bob eth0 callee udp port 5060

crowd bob callee callee 10.20.0.40 90.0.0.1
must_wait 5 "SIP port at the callee" udp_open bob 5060
crowd alice caller caller 10.0.0.180 90.0.0.1 -s bob -r $RATE -d $HOLD_MS

created() { rtpp rtpxd "G nsess_created"; }
go_on() { must_go_on rtpxd $CALLS_BETWEEN; }

# ---- away and back ----

restarted() { sd_ctl restart rtpxd; } # which sends SIGPWR
killed()
{
	local old

	old=$(sd_main_pid)
	sd_ctl kill -s KILL rtpxd
	LAB_BLAME=rtpxd must_wait 20 "next rtpxd" sd_is_next "$old"
}
# As a package does it: another file under the same name.
upgraded()
{
	cp "$RTPX_BUILD/rtpxd" "$SD_ROOT/sbin/rtpxd.new"
	mv "$SD_ROOT/sbin/rtpxd.new" "$SD_ROOT/sbin/rtpxd"
	sd_ctl daemon-reload
	sd_ctl restart rtpxd
}

go_on
for ((round = 1; round <= ROUNDS; round++)); do
	for way in restarted killed upgraded; do
		before=$(sd_main_pid) began=$EPOCHREALTIME calls=$(active_sessions rtpxd)
		$way
		LAB_BLAME=rtpxd must_wait 10 "answer of the next rtpxd" rtpxd_says
		echo "$began $EPOCHREALTIME" >>"$LAB_DIR/away"
		sd_is_next "$before" || fail "rtpxd was not $way"
		say "$way with $calls calls: $(sd_status '"\(.journal.restored) came back, \(.journal.lost) are lost"')"
		[ "$(sd_status .journal.lost)" = 0 ] || fail "calls are lost" rtpxd
		go_on
	done
done

crowd_end caller
LAB_BLAME=rtpxd must_wait 10 "end of all sessions" no_sessions rtpxd
crowd_end callee
capture_end caller 'CSeq: [0-9]* BYE'
capture_end callee 'CSeq: [0-9]* BYE'

# ---- what the phones saw ----

# invites_away - INVITEs that alice sent while rtpxd was away or on its way back.
invites_away()
{
	tshark -r "$LAB_DIR/caller.pcap" -Y 'sip.Method == INVITE && ip.src == 10.0.0.180' -T fields -e frame.time_epoch 2>/dev/null |
		awk 'NR == FNR { from[NR] = $1; to[NR] = $2; n = NR; next }
			{ for (i = 1; i <= n; i++) if ($1 >= from[i] && $1 <= to[i]) { found++; break } }
			END { print found + 0 }' "$LAB_DIR/away" -
}

away=$(invites_away)
[ "$away" -gt 0 ] || fail "no INVITE came while rtpxd was away: the test says nothing"
for end in callee caller; do
	check_all_sdp $end 90.0.0.1 90.0.0.1
done
! grep -iE 'rtpproxy.*(disabl|timeout|refused)|(disabl|timeout|refused).*rtpproxy' "$LAB_DIR/kamailio.log" || fail "Kamailio gave up on rtpxd"
ok "$(sdp_received callee 90.0.0.1 | wc -l) INVITEs, $away of them sent while rtpxd was away $((3 * ROUNDS)) times: 0 without the relay's address, 0 calls failed"
[ "$(active_sessions rtpxd)" = 0 ] || fail "sessions are left" rtpxd
ok "0 of $(created) sessions are left"
pass

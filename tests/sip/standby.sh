#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together busy
# shellcheck source-path=SCRIPTDIR
#
# standby.sh - docs/standby.md with a real Kamailio, SIPp, keepalived and Redis: 20 calls a second while the owner's machine
# goes (its link cut, its daemon killed). Each call that does not begin in that very moment has the relay's address, a
# call that talks is heard again, and when all calls have ended no session is left at the new owner or in Redis.

AUDIO_MS=6000
. "$(dirname "$0")/lib.sh"
RATE=20 HOLD_MS=3000 CALLS_BETWEEN=40 MEDIA=90.0.0.10

#   alice, bob: 20 calls a second     carol, dave: a call with audio     proxy: Kamailio
#   ────┬────────────┬─────────────────────┬───────────── lan 90.0.0.0/24
#     redis        east                  west           the media and control address is 90.0.0.10
sip_begin keepalived redis-server redis-cli
sip_lan proxy:1 redis:5 east:11 west:12 alice:21 bob:22 carol:23 dave:24

lab_start redis redis redis-server --bind 90.0.0.5 --protected-mode no --save "" --dir "$LAB_DIR"
redis_says() { in_ns redis redis-cli -h 90.0.0.5 "$@" 2>/dev/null; }
redis_runs() { [ "$(redis_says PING)" = PONG ]; }
LAB_BLAME=redis must_wait 20 "answer of Redis" redis_runs

# machine NAME PRIORITY - keepalived and rtpxd.
machine()
{
	sed "s/PRIORITY/$2/; s/MEDIA/$MEDIA/" >"$LAB_DIR/vrrp-$1.conf" <<-'END'
		global_defs {
		    vrrp_version 3
		    enable_script_security
		    vrrp_rt_priority 50
		}
		vrrp_instance media {
		    state BACKUP
		    interface eth0
		    virtual_router_id 51
		    priority PRIORITY
		    advert_int 0.1
		    nopreempt
		    virtual_ipaddress { MEDIA/24 }
		}
	END
	lab_start "$1" "vrrp-$1" keepalived --dont-fork --log-console --vrrp -f "$LAB_DIR/vrrp-$1.conf" -p "$LAB_DIR/vrrp-$1.pid" \
		-r "$LAB_DIR/vrrp-$1.vrrp"
	[ "$1" = west ] || LAB_BLAME=vrrp-east must_wait 20 "address at east" has_media east
	LAB_NS[$1]=$1 LAB_CTL[$1]="$MEDIA 7722"
	[ -d "$LAB_DIR/bpf" ] || { mkdir "$LAB_DIR/bpf" && mount -t bpf -o mode=0700 bpf "$LAB_DIR/bpf"; }
	lab_start "$1" "$1" "$RTPX_BUILD/rtpxd" -f -F -s "udp:$MEDIA:7722" -l $MEDIA -p "$LAB_DIR/$1.pid" --pin-dir "$LAB_DIR/bpf/$1" \
		--admin-socket "$LAB_DIR/$1.admin" --state-dir "$LAB_DIR/$1.state" --dataplane xdp --xdp-mode native \
		--replicate redis://90.0.0.5
}
has_media() { ip_in "$1" -4 addr show | grep -qF " $MEDIA/"; }
standby_of() { rtpxctl "$1" --json status 2>/dev/null | jq -r ".standby | $2"; }
is() { [ "$(standby_of "$1" '"\(.role) \(.whole)"')" = "$2 true" ]; }

machine east 150
LAB_BLAME=east must_wait 20 "east is the owner" is east owner
machine west 100
LAB_BLAME=west must_wait 20 "west is the standby" is west standby

start_kamailio proxy "$SIP_DIR/several.cfg" 90.0.0.1 -l udp:90.0.0.1:5060 -A "RELAYS=\"udp:$MEDIA:7722\"" -A PATIENT
sip_register bob bob 90.0.0.22 90.0.0.1
sip_register dave dave 90.0.0.24 90.0.0.1

# ---- calls ----

capture bob eth0 crowd-callee udp port 5060
capture alice eth0 crowd-caller udp port 5060
crowd bob crowd-bob callee 90.0.0.22 90.0.0.1
must_wait 5 "SIP port at bob" udp_open bob 5060
crowd alice crowd-alice caller 90.0.0.21 90.0.0.1 -s bob -r $RATE -d $HOLD_MS

during_call()
{
	must_go_on east $CALLS_BETWEEN
	LOST_AT=$EPOCHREALTIME
	ip_in lan link set east down
	LOST_BY=$EPOCHREALTIME
	lab_stop east KILL || :
	say "the owner's machine is gone"
	LAB_BLAME="west vrrp-west" must_wait 10 "west is the owner" is west owner
	must_go_on west $CALLS_BETWEEN
}
sip_call carol 90.0.0.23 dave dave 90.0.0.24 90.0.0.1 90.0.0.1

crowd_end crowd-alice
LAB_BLAME=west must_wait 10 "end of all sessions" no_sessions west
crowd_end crowd-bob
capture_end crowd-caller 'CSeq: [0-9]* BYE'
capture_end crowd-callee 'CSeq: [0-9]* BYE'

# ---- the call that talked ----

# longest_silence CAPTURE ADDRESS - seconds between two packets of RTP that this phone received.
longest_silence()
{
	tshark -r "$LAB_DIR/$1.pcap" -Y "rtp && ip.dst == $2" -T fields -e frame.time_epoch 2>/dev/null |
		awk 'NR > 1 && $1 - last > max { max = $1 - last } { last = $1 } END { printf "%.2f\n", (NR > 100 ? max : 99) }'
}
lab_load
for end in caller:90.0.0.23 callee:90.0.0.24; do
	gap=$(longest_silence "${end%:*}" "${end#*:}")
	say "the ${end%:*} heard nothing for $gap s"
	awk -v gap="$gap" -v load="$LOAD" 'BEGIN { exit !(gap > 0.1 && gap <= load / 100) }' || fail "silence of $gap s (bar 1.0 s)" west vrrp-west
done

# ---- what the phones of the others saw ----

# A change waits up to 2 ms for its batch, and the batch waits for the machine. A call whose U was answered in that time is
# unknown to the new owner. The owner answers until its link is down, which takes a moment on a busy machine, too.
since=$(awk -v at="$LOST_AT" -v load="$LOAD" 'BEGIN { printf "%.6f", at - 0.1 * load / 100 }')
check_all_sdp crowd-caller 90.0.0.1 $MEDIA "$since" "$LOST_BY"
check_all_sdp crowd-callee 90.0.0.1 $MEDIA
! grep -iE 'rtpproxy.*disabl' "$LAB_DIR/kamailio.log" || fail "Kamailio gave up on the relay" kamailio
no_records() { [ "$(redis_says HKEYS 'rtpx:{rtpx}:records' | awk '$1 > 0 && $1 < 4294967296' | wc -l)" = 0 ]; }
LAB_BLAME=west must_wait 10 "end of all records in Redis" no_records
pass "$(sdp_received crowd-callee 90.0.0.1 | wc -l) calls, 0 failed, 0 without the relay's address, 0 sessions left"

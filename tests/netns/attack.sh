#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# attack.sh - strangers spray the whole port range before, while and after a call's ends are learned, with made-up
# streams, with the callers' own SSRCs, with RTCP, in a third host's name, and in the names of the callers' hosts: nobody
# hears the call, nothing gets into it, nobody is sent anything, and the operator sees it. rtpengine in its default mode
# stands in the same fire, so that the figures are a comparison.
#
# Two calls: `plain`, whose ends are where they were signalled, and `nat`, whose caller is elsewhere (strict hears that
# caller as little as any stranger, so it gets only the first).

. "$(dirname "$0")/floor_lib.sh"
FIRST_PORT=35000 LAST_PORT=35199
STRANGERS=203.0.113.66,203.0.113.67 VICTIM=198.51.100.99
FORGED=192.0.2.10:4002,192.0.2.10:40000,198.51.100.10:4002,198.51.100.10:40000 # of the ends' hosts, but no ports of theirs
PLAIN_SSRC=111111111 NAT_SSRC=222222222
TALK_S=8
CALL_PORTS=4 ALL_PORTS=$((2 * (LAST_PORT - FIRST_PORT + 1)))
FEW=7 # of some 1,600 packets: the network of a busy machine loses some, with or without strangers

lab_begin python3 jq dumpcap tshark
floor_net
lab_addr bob eth0 $VICTIM/24
lab_ns mallory
lab_link mallory eth0 relay south
lab_addr mallory eth0 203.0.113.{66..71}/24
lab_addr relay south 203.0.113.1/24
ip_in mallory route add default via 203.0.113.1
sysctl_in relay net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.south.rp_filter=0

now() { awk '{ print $1 }' /proc/uptime; }

# spray NAME PER-PORT SOURCE,… [SSRC [START]] - all ports of both addresses of the relay.
spray()
{
	local name=$1 host

	shift
	for host in 192.0.2.1 198.51.100.1; do
		lab_start mallory "$name.$host" "$LAB_ROOT/tests/lib/spray.py" $host $FIRST_PORT $LAST_PORT "$@"
	done
}

# sprayed NAME… - they are over; adds to SENT and HEARD.
sprayed()
{
	local name host p

	for name; do
		for host in 192.0.2.1 198.51.100.1; do
			p=$name.$host
			lab_wait 60 "$p" || fail "the spray ended badly" "$p"
			SENT=$((SENT + $(heard "$p" .sent))) HEARD=$((HEARD + $(heard "$p" .heard)))
		done
	done
}

# talk CALL PORT SSRC - both ends of a call, at these ports of theirs; what the relay gave them is in TO_BOB and TO_ALICE.
talk()
{
	lab_start alice "$1.alice" "$END" 192.0.2.10 "$2" 192.0.2.1 "${TO_BOB[$1]}" $TALK_S 20 "$3"
	lab_start bob "$1.bob" "$END" 198.51.100.10 "$2" 198.51.100.1 "${TO_ALICE[$1]}" $TALK_S 20 "$3"
}

declare -A TO_BOB TO_ALICE

# rtpxd_call NAME CALLER CALLER-PORT CALLEE-PORT
rtpxd_call()
{
	read -r TO_ALICE["$1"] _ < <(rtpp rtpxd "Uie $1 $2 $3 alice;1")
	read -r TO_BOB["$1"] _ < <(rtpp rtpxd "Lie $1 198.51.100.10 $4 alice;1 bob;1")
}

rtpengine_call()
{
	read -r TO_ALICE["$1"] TO_BOB["$1"] < <(in_ns relay "$LAB_ROOT/tests/lib/ng_call.py" 127.0.0.1 2223 \
		"$1" "$2" "$3" 198.51.100.10 "$4" west east)
}

# fire CONTENDER CALL… - all phases, no more than two packets of a stream and source at a port before the ends are learned;
# sets SENT, HEARD (by the strangers), REFLECTED (to the victim), INJECTED (heard by the ends, of RTP and RTCP) and LOST (of
# the calls' own packets).
fire()
{
	local call end start

	SENT=0 HEARD=0 INJECTED=0 LOST=0
	capture bob eth0 "$1" "dst host $VICTIM and udp"
	shift
	spray before 2 $STRANGERS,$VICTIM:4000
	spray before-plain 2 203.0.113.68 $PLAIN_SSRC
	spray before-nat 2 203.0.113.69 $NAT_SSRC
	sprayed before before-plain before-nat
	start=$(now)
	talk plain 4000 $PLAIN_SSRC
	[ $# -eq 1 ] || talk nat 5000 $NAT_SSRC
	spray during 2 $STRANGERS,$VICTIM:4002
	spray during-plain 2 203.0.113.70 $PLAIN_SSRC "$start"
	spray during-nat 2 203.0.113.71 $NAT_SSRC "$start"
	sprayed during during-plain during-nat
	spray after 5 $STRANGERS,$VICTIM:4000,$FORGED
	spray after-plain 10 $STRANGERS,$VICTIM:4000,$FORGED $PLAIN_SSRC "$start"
	spray after-nat 10 $STRANGERS,$VICTIM:4000,$FORGED $NAT_SSRC "$start"
	sprayed after after-plain after-nat
	lab_running plain.alice || fail "the calls were over before the sprays: nothing is shown"
	for call; do
		for end in alice bob; do
			lab_wait $((TALK_S + 20)) "$call.$end" || fail "$end's end of the call $call" "$call.$end"
			INJECTED=$((INJECTED + $(heard "$call.$end" '.wrong + .wrong_reports')))
			LOST=$((LOST + $(heard "$call.$end" .lost)))
		done
	done
}

# reflected CONTENDER - a datagram that we send to the victim ends the capture, and is not counted.
reflected()
{
	in_ns relay bash -c "printf the-end >/dev/udp/$VICTIM/9"
	capture_end "$1" the-end
	REFLECTED=$(($(tshark -r "$LAB_DIR/$1.pcap" 2>/dev/null | wc -l) - 1))
}

report() { printf '  %-26s %8s %8s %10s %9s %6s %8s\n' "$@"; }

# strangers_of CALL - what the relay tells the operator of it.
strangers_of() { rtpxctl rtpxd --json session "$1" | jq '[.. | .strangers? // empty] | add'; }

# rtpxd_stands NAME LEARNING CALL,… OPTION…
rtpxd_stands()
{
	local name=$1 learning=$2 calls=${3//,/ } call seen

	shift 3
	start_rtpxd relay rtpxd 192.0.2.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -m $FIRST_PORT -M $LAST_PORT \
		--learning "$learning" "$@"
	rtpxd_call plain 192.0.2.10 4000 4000
	[ "$calls" = plain ] || rtpxd_call nat 10.0.0.9 4000 5000
	# shellcheck disable=SC2086
	fire "$name" $calls
	reflected "$name"
	SEEN=0
	for call in $calls; do
		seen=$(strangers_of "$call")
		SEEN=$((SEEN + seen))
		[ "$seen" -ge $((SENT * CALL_PORTS / ALL_PORTS * 9 / 10)) ] || fail "rtpxctl shows only $seen strangers at call $call ($name)"
	done
	report "rtpxd, $name" $SENT $HEARD $REFLECTED $INJECTED $LOST $SEEN
	is $HEARD 0 "number of packets that strangers heard ($name)"
	is $REFLECTED 0 "number of packets sent to a forged address ($name)"
	is $INJECTED 0 "number of packets that got into a call ($name)"
	[ $LOST -le $FEW ] || fail "the calls lost $LOST packets ($name)" rtpxd
	stop_rtpxd rtpxd west east south
}

rtpengine_stands()
{
	command -v rtpengine >/dev/null || fail "rtpengine is not installed"
	lab_start relay rtpengine rtpengine --config-file=none --table=-1 --interface=west/192.0.2.1 \
		--interface=east/198.51.100.1 --listen-ng=127.0.0.1:2223 --foreground --log-stderr --log-level=3 \
		--port-min=$FIRST_PORT --port-max=$LAST_PORT
	LAB_BLAME=rtpengine must_wait 10 "control socket of rtpengine" in_ns relay grep -q :08AF /proc/net/udp
	rtpengine_call plain 192.0.2.10 4000 4000
	rtpengine_call nat 10.0.0.9 4000 5000
	fire rtpengine plain nat
	reflected rtpengine
	report "rtpengine, default" $SENT $HEARD $REFLECTED $INJECTED $LOST -
	lab_stop rtpengine || :
}

report "" sprayed heard reflected injected lost seen
rtpxd_stands strict-native strict plain --dataplane xdp --xdp-mode native
rtpxd_stands strict-floor strict plain --dataplane none
rtpxd_stands proof-native proof plain,nat --dataplane xdp --xdp-mode native
rtpxd_stands proof-floor proof plain,nat --dataplane none
rtpengine_stands
pass

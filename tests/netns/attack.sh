#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long
# shellcheck source-path=SCRIPTDIR
#
# attack.sh [signalled] - strangers spray the whole port range before, while and after a call's ends
# are learned: with made-up streams, with the callers' own SSRCs, with RTCP, in a third host's name,
# and in the names of the callers' hosts. No stranger hears the call, no packet of theirs gets into
# it, no third host is sent anything, and rtpxctl shows the strangers. rtpengine in its default mode
# stands in the same fire, so that the figures are a comparison.
#
# There are two calls: `plain`, whose ends are where they were signalled, and `nat`, whose caller is
# elsewhere. strict hears that caller as little as any stranger, so it gets only the first call.
#
# With "signalled" the same fire comes while both calls are signalled again in each second. `moves`:
# the callee goes to another port and back, each time with a re-INVITE. `nat`, for strict `still`:
# session refreshes. At last the signalled hosts are forged before the parties' first packets; the
# parties must be heard within a second.

. "$(dirname "$0")/floor_lib.sh"
FIRST_PORT=35000 LAST_PORT=35199
STRANGERS=203.0.113.66,203.0.113.67 VICTIM=198.51.100.99
# The ends' hosts, but no ports of theirs.
FORGED=192.0.2.10:4002,192.0.2.10:40000,198.51.100.10:4002,198.51.100.10:40000
PLAIN_SSRC=111111111 NAT_SSRC=222222222 # of `plain`, of the others
TALK_S=100 # at most; a call ends when it has been sprayed
CALL_PORTS=4 ALL_PORTS=$((2 * (LAST_PORT - FIRST_PORT + 1)))
FEW=7 # of some 1,600 packets: the network of a machine loses some, with or without strangers
SOON_MS=1000
declare -A PORT=([plain]=4000 [moves]=4000,4004 [nat]=5000 [still]=5000 [hidden]=5000)
declare -A SSRC=([plain]=$PLAIN_SSRC [moves]=$PLAIN_SSRC [nat]=$NAT_SSRC [still]=$NAT_SSRC [hidden]=$NAT_SSRC)

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

# talk CALL - starts both ends of a call. The relay's ports for them are in TO_BOB and TO_ALICE.
talk()
{
	lab_start alice "$1.alice" "$END" 192.0.2.10 "${PORT[$1]%,*}" 192.0.2.1 "${TO_BOB[$1]}" $TALK_S 20 "${SSRC[$1]}"
	lab_start bob "$1.bob" "$END" 198.51.100.10 "${PORT[$1]}" 198.51.100.1 "${TO_ALICE[$1]}" $TALK_S 20 "${SSRC[$1]}"
}

udp_open() { in_ns "$1" ss -Hlun "sport = :$2" | grep -q .; }

declare -A TO_BOB TO_ALICE

# hang_up CALL - adds the strangers' packets that its ends heard to INJECTED, and the packets that
# they missed of each other to LOST.
hang_up()
{
	local end
	declare -A other=([alice]=bob [bob]=alice)

	kill -USR1 "${LAB_PID[$1.alice]}" "${LAB_PID[$1.bob]}"
	for end in alice bob; do
		lab_wait 20 "$1.$end" || fail "$end's end of the call $1" "$1.$end"
		INJECTED=$((INJECTED + $(heard "$1.$end" '.wrong + .wrong_reports')))
	done
	for end in alice bob; do
		LOST=$((LOST + $(heard "$1.${other[$end]}" .sent) - $(heard "$1.$end" '.before_first + .received')))
	done
}

# rtpxd_call NAME CALLER [CALLER-PORT] - U and L of a call, with these addresses.
rtpxd_call()
{
	local port=${PORT[$1]%,*}

	read -r TO_ALICE["$1"] _ < <(rtpp rtpxd "Uie $1 $2 ${3:-$port} alice;1")
	read -r TO_BOB["$1"] _ < <(rtpp rtpxd "Lie $1 198.51.100.10 $port alice;1 bob;1")
}

# moves TO - the commands of bob's re-INVITE that names this port.
moves() { echo "Uei moves 198.51.100.10 $1 bob;1 alice;1;;Lei moves 192.0.2.10 4000 bob;1 alice;1"; }

# refreshes CALL CALLER - the commands of its session refresh.
refreshes() { echo "Uie $1 $2 4000 alice;1 bob;1;;Lie $1 198.51.100.10 5000 alice;1 bob;1"; }

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
	local call start

	SENT=0 HEARD=0 INJECTED=0 LOST=0
	capture bob eth0 "$1" "dst host $VICTIM and udp"
	shift
	spray before 2 $STRANGERS,$VICTIM:4000
	spray before-plain 2 203.0.113.68 $PLAIN_SSRC
	spray before-nat 2 203.0.113.69 $NAT_SSRC
	sprayed before before-plain before-nat
	start=$(now)
	for call; do talk "$call"; done
	if [ -v "LAB_PID[moves.bob]" ]; then
		must_wait 10 "the other port of bob" udp_open bob 4004
		echo "${LAB_PID[moves.bob]}" >"$LAB_DIR/moving.pid"
	fi
	spray during 2 $STRANGERS,$VICTIM:4002
	spray during-plain 2 203.0.113.70 $PLAIN_SSRC "$start"
	spray during-nat 2 203.0.113.71 $NAT_SSRC "$start"
	sprayed during during-plain during-nat
	spray after 5 $STRANGERS,$VICTIM:4000,$FORGED
	spray after-plain 10 $STRANGERS,$VICTIM:4000,$FORGED $PLAIN_SSRC "$start"
	spray after-nat 10 $STRANGERS,$VICTIM:4000,$FORGED $NAT_SSRC "$start"
	sprayed after after-plain after-nat
	rm -f "$LAB_DIR/moving.pid"
	for call; do hang_up "$call"; done
}

# reflected CONTENDER - a datagram that we send to the victim ends the capture, and is not counted.
reflected()
{
	in_ns relay bash -c "printf the-end >/dev/udp/$VICTIM/9"
	capture_end "$1" the-end
	REFLECTED=$(($(tshark -r "$LAB_DIR/$1.pcap" 2>/dev/null | wc -l) - 1))
}

report() { printf '  %-28s %8s %8s %10s %9s %6s %8s\n' "$@"; }

# strangers_of CALL - what the relay tells the operator of it.
strangers_of() { rtpxctl rtpxd --json session "$1" | jq '[.. | .strangers? // empty] | add'; }

start_relay() # LEARNING OPTION…
{
	start_rtpxd relay rtpxd 192.0.2.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -m $FIRST_PORT -M $LAST_PORT \
		--learning "$@"
}

# rtpxd_stands NAME LEARNING CALL,… OPTION… - where `moves` is among the calls, all are signalled
# again in each second.
rtpxd_stands()
{
	local name=$1 calls=${3//,/ } call seen other caller

	start_relay "$2" "${@:4}"
	for call in $calls; do
		caller=192.0.2.10
		[ "$call" != nat ] || caller=10.0.0.9
		rtpxd_call "$call" $caller 4000
		other=$(refreshes "$call" $caller)
	done
	if [[ " $calls" == *" moves"* ]]; then
		lab_start relay signaller "$LAB_ROOT/tests/lib/signaller.py" 192.0.2.1 7722 "$LAB_DIR/moving.pid" \
			"$(moves 4000);;$other" "$(moves 4004);;$other"
	fi
	# shellcheck disable=SC2086
	fire "$name" $calls
	if [[ " $calls" == *" moves"* ]]; then
		lab_stop signaller || fail "the signalling ended badly" signaller
		is "$(heard signaller .errors)" 0 "number of commands that went wrong ($name)"
		[ "$(heard signaller .rounds)" -ge 5 ] || fail "the calls were signalled too seldom ($name)" signaller
	fi
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
	[ $LOST -le "$(slower $FEW)" ] || fail "the calls lost $LOST packets ($name)" rtpxd
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

received() { [ "$(counter npkts_rcvd)" -ge "$1" ]; }

# forged_first NAME LEARNING OPTION… - the signalled hosts are forged before their first packets.
# One call has its ends at the signalled ports, one its caller at another port of the host.
forged_first()
{
	local name=$1 call end began first received worst=0

	start_relay "${@:2}"
	rtpxd_call plain 192.0.2.10
	rtpxd_call hidden 192.0.2.10 4000
	SENT=0 HEARD=0 INJECTED=0 LOST=0
	spray forged 5 $FORGED,192.0.2.10:4000,198.51.100.10:4000
	sprayed forged
	received=$(counter npkts_rcvd)
	for call in plain hidden; do talk $call; done
	LAB_BLAME=rtpxd must_wait 20 "media of the calls" received $((received + 4 * 75))
	for call in plain hidden; do
		hang_up $call
		began=0
		for end in alice bob; do
			began=$(printf '%s\n' "$began" "$(heard "$call.$end" .began_ms)" | sort -n | tail -n 1)
		done
		for end in alice bob; do
			first=$(heard "$call.$end" .first_ms)
			[ "$first" != null ] || fail "$end heard nothing in the call $call ($name)" rtpxd
			worst=$(printf '%s\n' $worst $((first - began)) | sort -n | tail -n 1)
		done
	done
	printf '  %-26s %8s heard after %s ms\n' "rtpxd, $name" $SENT "$worst"
	[ "$worst" -le "$(slower $SOON_MS)" ] || fail "an end was heard only after $worst ms ($name)" rtpxd
	stop_rtpxd rtpxd west east south
}

report "" sprayed heard reflected injected lost seen
case ${1:-} in
signalled)
	rtpxd_stands strict-signalled strict moves,still --dataplane xdp --xdp-mode native
	rtpxd_stands proof-signalled proof moves,nat --dataplane xdp --xdp-mode native
	rtpxd_stands proof-floor-signalled proof moves,nat --dataplane none
	forged_first strict-forged strict --dataplane xdp --xdp-mode native
	forged_first proof-forged proof --dataplane xdp --xdp-mode native
	;;
*)
	rtpxd_stands strict-native strict plain --dataplane xdp --xdp-mode native
	rtpxd_stands strict-floor strict plain --dataplane none
	rtpxd_stands proof-native proof plain,nat --dataplane xdp --xdp-mode native
	rtpxd_stands proof-floor proof plain,nat --dataplane none
	rtpengine_stands
	;;
esac
pass

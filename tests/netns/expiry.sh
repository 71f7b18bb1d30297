#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together long=110
# shellcheck source-path=SCRIPTDIR
#
# expiry.sh - when calls time out whose packets only the kernel sees, and those of the daemon's sockets: with one party
# silent a call lives on, with -i it does not, and a time to live of the call's own goes before -T. Neither sooner nor
# much later than after the last packet that counts.

. "$(dirname "$0")/floor_lib.sh"

lab_begin python3 jq
floor_net
TTL=$(lab_s 5) OWN_TTL=$(lab_s 9) # a busy machine pauses longer between two packets
LATE_MS=$(lab_s 3)000 # a tick

uptime_ms() { sed 's/\.\(..\) .*/\10/' /proc/uptime; }
timed_out() { [ "$(counter nsess_timeout)" = "$1" ]; }

# expires NAME TTL WHO COMMAND - alice talks for a second, bob five seconds longer: the call ends so long after the last
# packet of WHO.
expires()
{
	local what="$plane, $1" ttl=$2 who=$3 command=$4 expected ms before

	before=$(counter nsess_timeout)
	floor_call rtpxd 198.51.100.10
	if [ -n "$command" ]; then
		rtpp rtpxd "$command" >/dev/null
	fi
	floor_talk 1 198.51.100.10 198.51.100.1 5
	if [ "$plane" != none ]; then
		must_wait 10 "call in the kernel ($what)" both_in_kernel
	fi
	must_wait 40 "time-out ($what)" timed_out $((before + 1))
	ms=$(uptime_ms)
	no_sessions rtpxd || fail "a session is left ($what)" rtpxd
	floor_talked 20
	ms=$((ms - $(heard "$who" .ended_ms)))
	expected=$((ttl * 1000))
	say "$what: timed out $ms ms after the last packet of $who, time to live $ttl s"
	[ $ms -ge $expected ] || fail "too early ($what)" rtpxd
	[ $ms -le $((expected + LATE_MS)) ] || fail "too late ($what)" rtpxd
}

for plane in native none; do
	dataplane_options $plane
	options=(-l 192.0.2.1/198.51.100.1 --bridge_symmetric -T $TTL "${DATAPLANE[@]}")
	own="Uie $CALL 192.0.2.10 4000 alice;1 && S ttl=$OWN_TTL"
	start_rtpxd relay rtpxd 127.0.0.1 7722 "${options[@]}"
	expires "one silent" $TTL bob ""
	expires "time to live of its own" $OWN_TTL bob "$own"
	stop_rtpxd rtpxd west east
	start_rtpxd relay rtpxd 127.0.0.1 7722 "${options[@]}" -i
	expires "one silent with -i" $TTL alice ""
	stop_rtpxd rtpxd west east
done
pass

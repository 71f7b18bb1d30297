#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# call_flows.sh LEARNING DATAPLANE [FLOW...] - phones hold, resume, move, fork and transfer their
# calls through rtpxd and Debian's Kamailio, whose configuration is as shipped. Two phones are behind
# NATs; one NAT forgets its mappings. All flows run at the same time. SIPp signals, media.py sends
# and listens.

learning=${1:?proof, strict or compat}
dataplane=${2:?none, kmod, generic or native}
shift 2
chosen=" $* "
. "$(dirname "$0")/lib.sh"
LAB_TEST="call_flows $learning $dataplane"
TALK=2600	# ms until a leg is settled
REST=3400	# ms after the event

# ---- the flows -------------------------------------------------------------------------------
#
# flow NAME TITLE WAYS MOST PHONE STEPS... - WAYS: the LISTENER:SPEAKER pairs that are judged. MOST:
# packets that a listener may lose in the first second after the event. STEPS: see scenario.py. The
# ports 7000, 7002 and 7004 become the flow's own. A phone behind NAT hears nothing before it has
# spoken, so a flow in which alice begins to speak has its event there.
#
# alice and bob are behind NATs, carol and dave are not. dave has no SIP of his own.

flows()
{
	local ends="wait $REST; say hang-up; bye"

	flow hold_flushed "hold, resume; the NAT has forgotten the mapping, new SSRC" "alice:bob bob:alice" 2 \
		alice "invite 7000; say speak 7000; wait $TALK; reinvite 7000 sendonly; say quiet; wait 1500;
			reinvite 7000; run $LAB_DIR/flush 7000 then fresh; speak 7000; event; $ends" \
		bob "answer 7000; say speak 7000; accept 7000; accept 7000; end; say hang-up"
	flow null_flushed "hold with 0.0.0.0, resume; the NAT has forgotten the mapping, new SSRC" "alice:bob bob:alice" 2 \
		alice "invite 7000; say speak 7000; wait $TALK; reinvite 7000 null; say quiet; wait 1500;
			reinvite 7000; run $LAB_DIR/flush 7000 then fresh; speak 7000; event; $ends" \
		bob "answer 7000; say speak 7000; accept 7000; accept 7000; end; say hang-up"
	flow flushed "the NAT forgets the mapping in mid-call, the stream goes on" "alice:bob bob:alice" 30 \
		alice "invite 7000; say speak 7000; wait $TALK; run $LAB_DIR/flush 7000 then event; $ends" \
		bob "answer 7000; say speak 7000; end; say hang-up"
	flow new_port "re-INVITE to another port behind NAT, the old one speaks until the 200" "alice:bob bob:alice" 30 \
		alice "invite 7000; say speak 7000; wait $TALK; reinvite 7002; say speak 7002; event; $ends" \
		bob "answer 7000; say speak 7000; accept 7000; end; say hang-up"
	flow new_port_public "re-INVITE of a public phone to another port" "alice:carol carol:alice" 2 \
		alice "invite 7000; say speak 7000; accept 7000; end; say hang-up" \
		carol "answer 7000; say speak 7000; wait $TALK; reinvite 7002; say speak 7002; event; $ends"
	flow update_port "UPDATE to another port of a public phone" "alice:carol carol:alice" 2 \
		alice "invite 7000; say speak 7000; accept 7000 update; end; say hang-up" \
		carol "answer 7000; say speak 7000; wait $TALK; update 7002; say speak 7002; event; $ends"
	flow refresh "session refresh while both talk" "alice:bob bob:alice" 1 \
		alice "invite 7000; say speak 7000; wait $TALK; say event; reinvite 7000; wait 1000; reinvite 7000; $ends" \
		bob "answer 7000; say speak 7000; accept 7000; accept 7000; end; say hang-up"
	flow fork "fork, early media of one phone behind NAT, the silent other one answers" "alice:carol carol:alice" 2 \
		alice "invite 7000; say speak 7000; event; end; say hang-up" \
		bob "early 7000; say speak 7000; lose; say hang-up" \
		carol "ring; wait 400; early 7000; wait 1500; answer 7000; say speak 7000; $ends"
	flow fork_both "fork, early media of both, the one behind NAT answers" "alice:bob bob:alice" 4 \
		alice "invite 7000; say speak 7000; event; end; say hang-up" \
		bob "early 7000; say speak 7000; wait 2000; answer 7000; $ends" \
		carol "ring; wait 400; early 7000; say speak 7000; lose; say hang-up"
	flow transfer "transfer: a re-INVITE with the address of a public phone" "alice:dave dave:alice" 2 \
		alice "invite 7000; say speak 7000; accept 7000; end; say hang-up" \
		bob "answer 7000; say speak 7000; wait $TALK; reinvite 7004 at=200.0.2.11; say quiet;
			tell dave takes bob; speak 7004; event; wait $REST; tell dave hang-up; bye"
	flow music "hold with music of another host, and the resume" "alice:carol carol:alice" 2 \
		alice "invite 7000; say speak 7000; accept 7000; say quiet; accept 7000; say speak 7000; end; say hang-up" \
		carol "answer 7000; say speak 7000; wait $TALK; reinvite 7004 sendonly at=200.0.2.11; say quiet;
			tell dave takes carol; speak 7004; wait 1500; reinvite 7000; tell dave hang-up; say speak 7000; event; $ends"
	flow fax "T.38: re-INVITE of a public phone to another port, late audio" "alice:carol carol:alice" 2 \
		alice "invite 7000; say speak 7000; accept 7000 fax; say speak 7000 fax; end; say hang-up" \
		carol "answer 7000; say speak 7000; wait $TALK; reinvite 7002 fax; wait 40; say speak 7002 fax; event; $ends"
	flow fax_nat "T.38: re-INVITE of a phone behind NAT to another port, late audio" "alice:bob bob:alice" 40 \
		alice "invite 7000; say speak 7000; accept 7000 fax; say speak 7000 fax; end; say hang-up" \
		bob "answer 7000; say speak 7000; wait $TALK; reinvite 7002 fax; wait 40; say speak 7002 fax; event; $ends"
	flow late_offer "INVITE without SDP; hold, resume, the NAT has forgotten the mapping" "alice:bob bob:alice" 2 \
		alice "invite-late 7000; say speak 7000; wait $TALK; reinvite 7000 sendonly; say quiet; wait 1500;
			reinvite 7000; run $LAB_DIR/flush 7000 then fresh; speak 7000; event; $ends" \
		bob "answer-late 7000; say speak 7000; accept 7000; accept 7000; end; say hang-up"
}

#   the net of lab_nat_net, and carol:
#                   net                   carol
#               ┌───────────────┐   ┌──────────────────┐
#               │ toc           │   │ eth0             │
#               │ 200.0.2.254   ├───┤ 200.0.2.10       │
#               └───────────────┘   │ 200.0.2.11: dave │
#                                   └──────────────────┘
declare -A ADDRESS=([alice]=10.0.0.180 [bob]=10.20.0.40 [carol]=200.0.2.10 [dave]=200.0.2.11)
declare -A HOME=([alice]=alice [bob]=bob [carol]=carol [dave]=carol)

net()
{
	lab_nat_net
	lab_ns carol
	lab_link carol eth0 net toc
	lab_addr net toc 200.0.2.254/24
	lab_addr carol eth0 200.0.2.10/24 200.0.2.11/24
	ip_in carol route add default via 200.0.2.254
	cat >"$LAB_DIR/flush" <<-EOF
		#!/bin/sh
		# flush PORT - alice's NAT forgets the mapping of this port of hers.
		exec nsenter --net=/run/netns/$LAB_TAG-nata conntrack -D -p udp --orig-src 10.0.0.180 --orig-port-src \$1 >&2
	EOF
	chmod +x "$LAB_DIR/flush"
}

# ---- phones ----------------------------------------------------------------------------------

FLOWS=()
declare -A TITLE=() WAYS=() MOST=() SIP_PORT=() PHONES=() BROKEN=()

# flow NAME TITLE WAYS MOST PHONE STEPS... - writes the phones' scenarios.
flow()
{
	local name=$1 n=$((20 * ${#FLOWS[@]})) phone steps

	[ "$chosen" = "  " ] || [[ $chosen == *" $1 "* ]] || return 0
	FLOWS+=("$name")
	TITLE[$name]=$2 WAYS[$name]=$3 MOST[$name]=$4 SIP_PORT[$name]=$((5100 + n))
	shift 4
	while [ $# -gt 0 ]; do
		phone=$1 steps=${2//7000/$((7000 + n))}
		steps=${steps//7002/$((7002 + n))}
		"$SIP_DIR/scenario.py" "$name.$phone" "$LAB_DIR/media" "${steps//7004/$((7004 + n))}" >"$LAB_DIR/$name.$phone.xml"
		PHONES[$name]+="$phone "
		shift 2
	done
}

# phone FLOW PHONE SCENARIO - starts SIPp in the background.
phone()
{
	sip_scenario "$3" >"$LAB_DIR/$1.$2.run.xml"
	(
		cd "$LAB_DIR"
		exec nsenter --net="/run/netns/$LAB_TAG-${HOME[$2]}" -- sipp -sf "$LAB_DIR/$1.$2.run.xml" -i "${ADDRESS[$2]}" \
			-p "${SIP_PORT[$1]}" -m 1 -nostdin -s "$1" -trace_err -error_file "$LAB_DIR/$1.$2.err" \
			-timeout "$(slower 60)" -timeout_error 90.0.0.1
	) >"$LAB_DIR/$1.$2.log" 2>&1 </dev/null &
	LAB_PID[$1.$2]=$!
}

tell_media() { echo "$*" >"$LAB_DIR/media"; }

# callees FLOW - all phones but the caller.
callees() { echo "${PHONES[$1]}" | sed 's/alice//'; }

# each_callee FUNCTION - with FLOW PHONE.
each_callee()
{
	local name phone

	for name in "${FLOWS[@]}"; do
		for phone in $(callees "$name"); do "$1" "$name" "$phone"; done
	done
}

registers() { phone "$1" "$2" "$SIP_DIR/register.xml"; }
is_registered() { lab_wait 20 "$1.$2" || fail "$2 cannot register for $1" "$1.$2" kamailio; }

takes_calls()
{
	phone "$1" "$2" "$LAB_DIR/$1.$2.xml"
	must_wait 10 "SIP port of $2" udp_open "${HOME[$2]}" "${SIP_PORT[$1]}"
}

# calls - makes all calls at the same time, and waits for their ends.
calls()
{
	local name phone

	for name in "${FLOWS[@]}"; do
		for phone in "${!HOME[@]}"; do
			tell_media "$name.$phone host $LAB_TAG-${HOME[$phone]} ${ADDRESS[$phone]}"
		done
	done
	each_callee registers
	each_callee is_registered
	each_callee takes_calls
	for name in "${FLOWS[@]}"; do phone "$name" alice "$LAB_DIR/$name.alice.xml"; done
	for name in "${FLOWS[@]}"; do
		for phone in ${PHONES[$name]}; do
			lab_wait 60 "$name.$phone" || BROKEN[$name]+=" $phone"
		done
	done
}

# ---- judgement -------------------------------------------------------------------------------

# judged FLOW LISTENER SPEAKER - prints media.py's verdict.
judged()
{
	local before

	before=$(wc -l <"$LAB_DIR/media.log")
	tell_media judge "$@"
	LAB_BLAME=media must_wait 10 "verdict of media.py" media_said "$before"
	tail -n 1 "$LAB_DIR/media.log"
}

media_said() { [ "$(wc -l <"$LAB_DIR/media.log")" -gt "$1" ]; }

# judge FLOW - prints a line for each way. Fails when one is wrong.
judge()
{
	local way bad=0 verdict

	[ -z "${BROKEN[$1]:-}" ] || { bad=1; say "FAULT $1: the SIP of${BROKEN[$1]} went wrong"; }
	for way in ${WAYS[$1]}; do
		verdict=$(judged "$1" "${way%:*}" "${way#*:}")
		printf '  %-15s %-6s lost %s in the first second, then heard %s of %s\n' "$1" "${way%:*}" \
			"$(jq .lost_first <<<"$verdict")" "$(jq .heard <<<"$verdict")" "$(jq .sent <<<"$verdict")"
		jq -e --argjson most "$(slower "${MOST[$1]}")" \
			'.sent > 40 and .heard >= .sent * 0.98 and .lost_first <= $most and .twice == 0 and .dead == 0' <<<"$verdict" >/dev/null ||
			{ bad=1; say "FAULT $1: ${TITLE[$1]}: $verdict"; }
	done
	return $bad
}

lab_begin kamailio sipp python3 nft jq conntrack
shipped_config
net
mkfifo "$LAB_DIR/media"
lab_start relay media "$SIP_DIR/media.py" "$LAB_DIR/media"
flows
dataplane_options "$dataplane"
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 90.0.0.1 -m 20000 -M 21000 --learning "$learning" "${DATAPLANE[@]}"
start_kamailio relay "$SHIPPED" 90.0.0.1 -A WITH_NAT
calls
passed=0 failed=0
for name in "${FLOWS[@]}"; do
	if judge "$name"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
LAB_BLAME=rtpxd must_wait 5 "end of the sessions after BYE" no_sessions rtpxd
stop_rtpxd rtpxd eth0
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]

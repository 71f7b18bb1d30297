# SPDX-License-Identifier: BSD-2-Clause
#
# lib.sh - sourced: Kamailio and SIPp in namespaces of lab.sh, and what a call must look like on the wire.
#
# The phones are SIPp: they register, call, and send a file as G.711. What is judged is in the captures
# taken at the phones, outside the relay: dumpcap writes them, tshark reads them.

SIP_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$SIP_DIR/../netns/lab.sh"

AUDIO_MS=${AUDIO_MS:-5000}	# a test may set it before
LATCH_PACKETS=25	# at most so many may go by before a direction is open

# sip_begin [COMMAND…]
sip_begin()
{
	lab_begin kamailio sipp dumpcap tshark python3 nft jq "$@"
	"$SIP_DIR/sweep.py" "$LAB_DIR/caller.ulaw" "$AUDIO_MS" 200 1800
	"$SIP_DIR/sweep.py" "$LAB_DIR/callee.ulaw" "$AUDIO_MS" 3400 2000
}

# sip_lan NAMESPACE:NUMBER… - these hosts on one bridge, each at 90.0.0.NUMBER.
sip_lan()
{
	local host

	lab_ns lan "${@%:*}"
	ip_in lan link add br0 type bridge
	ip_in lan link set br0 up
	for host; do
		lab_link "${host%:*}" eth0 lan "${host%:*}"
		ip_in lan link set "${host%:*}" master br0
		lab_addr "${host%:*}" eth0 "90.0.0.${host#*:}/24"
	done
}

# shipped_config - the test is about Debian's configuration: skip it where that is absent or was edited.
SHIPPED=/etc/kamailio/kamailio.cfg
shipped_config()
{
	[ -r "$SHIPPED" ] || skip "no $SHIPPED"
	command -v dpkg-query >/dev/null || return 0
	dpkg-query -W -f '${Conffiles}\n' kamailio | grep -qF "$SHIPPED $(md5sum <"$SHIPPED" | cut -d' ' -f1)" ||
		skip "$SHIPPED is not as shipped"
}

# start_kamailio NAMESPACE CONFIG ADDRESS OPTION… - answers SIP on ADDRESS when this returns.
start_kamailio()
{
	local n=$1 config=$2 addr=$3

	shift 3
	mkdir -p "$LAB_DIR/kamailio"
	lab_start "$n" kamailio env RES_OPTIONS="timeout:1 attempts:1" kamailio -f "$config" -DD -E -m 64 -M 8 -Y "$LAB_DIR/kamailio" \
		-w "$LAB_DIR/kamailio" -P "$LAB_DIR/kamailio/pid" "$@"
	LAB_BLAME=kamailio must_wait 15 "answer from kamailio" kamailio_answers "$n" "$addr"
}

# An OPTIONS without user part, which every configuration here answers.
kamailio_answers()
{
	lab_running kamailio &&
		in_ns "$1" sipp -sf "$SIP_DIR/options.xml" -m 1 -timeout 1 -i "$2" -p 5099 "$2:5060" -nostdin
}

# sip_scenario FILE - prints a scenario, with its limits of time for this machine under its load of now.
sip_scenario()
{
	awk -v percent="$(slower 100)" 'match($0, / timeout="[0-9]+"/) {
		ms = substr($0, RSTART + 10, RLENGTH - 11)
		$0 = substr($0, 1, RSTART + 9) int(ms * percent / 100) substr($0, RSTART + RLENGTH - 1)
	} 1' "$1"
}

# sipp_start NAMESPACE PROCESS SCENARIO ADDRESS SERVER OPTION… - a phone on port 5060 of ADDRESS.
sipp_start()
{
	local n=$1 p=$2 scenario=$3 addr=$4 server=$5

	shift 5
	case $server in *:*) server="[$server]:5060" ;; esac
	sip_scenario "$SIP_DIR/$scenario.xml" >"$LAB_DIR/$p.xml"
	(
		cd "$LAB_DIR"
		exec nsenter --net="/run/netns/$LAB_TAG-$n" -- \
			sipp -sf "$LAB_DIR/$p.xml" -i "$addr" -mi "$addr" -p 5060 -m 1 -nostdin \
			-trace_err -error_file "$LAB_DIR/$p.err" -timeout "$(slower "${SIP_TIMEOUT:-30}")" -timeout_error "$@" "$server"
	) >"$LAB_DIR/$p.log" 2>&1 </dev/null &
	LAB_PID[$p]=$!
}

# sip_register NAMESPACE USER ADDRESS SERVER
sip_register()
{
	sipp_start "$1" "register-$2" register "$3" "$4" -s "$2"
	lab_wait 12 "register-$2" || fail "$2 cannot register" "register-$2" kamailio
}

CALLER=caller	# the caller's scenario

# sip_call CALLER-NS CALLER-ADDRESS CALLEE-NS CALLEE CALLEE-ADDRESS SERVER CALLEE'S-SERVER - one call to a
# registered phone, with a capture at either end in caller.pcap and callee.pcap. The function during_call, if there
# is one, is called while they talk.
sip_call()
{
	capture "$1" eth0 caller udp
	capture "$3" eth0 callee udp
	sipp_start "$3" callee callee "$5" "$7" -s "$4"
	must_wait 5 "SIP port at the callee" udp_open "$3" 5060
	sipp_start "$1" caller "$CALLER" "$2" "$6" -s "$4" -d $((AUDIO_MS + 400))
	if declare -F during_call >/dev/null; then
		during_call
	fi
	lab_wait $((AUDIO_MS / 1000 + 20)) caller || fail "the caller's side of the call" caller callee kamailio
	lab_wait 5 callee || fail "the callee's side of the call" callee kamailio
	capture_end caller 'CSeq: [0-9]* BYE'
	capture_end callee 'CSeq: [0-9]* BYE'
}

udp_open() { in_ns "$1" ss -Hlun "sport = :$2" | grep -q .; }

# sdp_received CAPTURE SERVER - "address,address port attributes" of each SDP that SERVER sent to this phone.
sdp_received()
{
	tshark -r "$LAB_DIR/$1.pcap" -Y "sdp && ($(address_is src "$2"))" -T fields -E separator=' ' \
		-e sdp.connection_info.address -e sdp.media.port -e sdp.media_attr 2>/dev/null
}

address_is()
{
	case $2 in
	*:*) echo "ipv6.$1 == $2" ;;
	*) echo "ip.$1 == $2" ;;
	esac
}

# check_sdp CAPTURE SERVER ADDRESS - every SDP that this phone received names the relay.
check_sdp()
{
	local got

	got=$(sdp_received "$1" "$2")
	[ -n "$got" ] || fail "no SDP reached the $1"
	if grep -v "^$3 [1-9].*nortpproxy:yes" <<<"$got" >&2; then
		fail "this SDP reached the $1 instead of one with c=$3 and a=nortpproxy:yes"
	fi
	ok "the $1 was told to send to $3"
}

# crowd NAMESPACE PROCESS SCENARIO ADDRESS SERVER OPTION… - a phone with many calls at a time and without audio.
# Kamailio's processes may overtake each other, so a 180 may come behind its 200. That is no failure. A call that is
# refused or not answered does not end, and crowd_end notices it, so the scenario needs no limits of time.
crowd()
{
	local n=$1 p=$2 scenario=$3 addr=$4 server=$5

	shift 5
	sed '/rtp_stream/d; s/ timeout="[0-9]*"//; s/\[rtpstream_audio_port\]/[media_port]/' "$SIP_DIR/$scenario.xml" >"$LAB_DIR/crowd-$scenario.xml"
	(
		cd "$LAB_DIR"
		exec nsenter --net="/run/netns/$LAB_TAG-$n" -- sipp -sf "$LAB_DIR/crowd-$scenario.xml" -i "$addr" -mi "$addr" -p 5060 -nostdin \
			-trace_err -error_file "$LAB_DIR/$p.err" -default_behaviors all,-abortunexp "$@" "$server:5060"
	) >"$LAB_DIR/$p.log" 2>&1 </dev/null &
	LAB_PID[$p]=$!
}

# crowd_errors PROCESS - the errors that SIPp has written, without those of calls that had ended.
crowd_errors() { grep -aE "^'?[0-9]{4}-" "$LAB_DIR/$1.err" | grep -avE 'Dead call|Discarding' | cut -c 1-300 | head -n 20; }

# crowd_end PROCESS - no new calls; those that are there end as they should.
crowd_end()
{
	kill -USR1 "${LAB_PID[$1]}"
	lab_wait 30 "$1" || fail "calls of the $1 failed: $(crowd_errors "$1")" "$1" kamailio
}

# must_go_on RTPXD CALLS - waits for so many new calls.
must_go_on()
{
	LAB_BLAME="caller kamailio $1" must_wait 30 "$2 new calls" has_created "$1" $(($(rtpp "$1" "G nsess_created") + $2))
}
has_created() { [ "$(rtpp "$1" "G nsess_created")" -ge "$2" ]; }

# check_all_sdp CAPTURE SERVER ADDRESS [FROM TO] - as check_sdp, of many calls. Calls that began between the times FROM and TO
# may be told another address; they are counted.
check_all_sdp()
{
	local all wrong excused

	read -r all wrong excused < <(tshark -r "$LAB_DIR/$1.pcap" -Y "sip.Method == INVITE || sdp" -T fields -E separator=/t -e frame.time_epoch \
		-e sip.Call-ID -e ip.src -e sdp.connection_info.address -e sdp.media.port -e sdp.media_attr 2>/dev/null |
		awk -F '\t' -v server="$2" -v addr="$3" -v from="${4:-1}" -v to="${5:-0}" '
			!($2 in began) { began[$2] = $1 }
			$3 != server || $4 == "" { next }
			{ all++ }
			$4 == addr && $5 > 0 && $6 ~ /nortpproxy:yes/ { next }
			began[$2] >= from && began[$2] <= to { excused++; next }
			{ wrong++ }
			END { print all + 0, wrong + 0, excused + 0 }')
	say "to the $1: $all session descriptions, $wrong of them without the relay's address${4:+, and $excused of calls that began just then}"
	[ "$all" -gt 0 ] || fail "no SDP reached the $1"
	[ "$wrong" = 0 ] || fail "$wrong of $all SDP that reached the $1 are without the relay's address" kamailio
}

# rtp_of CAPTURE - "source RTP-packet-in-hex" of every RTP packet, in order.
rtp_of()
{
	tshark -r "$LAB_DIR/$1.pcap" -Y rtp -T fields -E separator=' ' -e ip.src -e ipv6.src \
		-e udp.payload 2>/dev/null | awk '{ print $1, $NF }'
}

# check_audio FROM FROM-ADDRESS TO TO-ADDRESS - one direction: FROM (caller or callee) sent its whole file, and
# from the first packet that TO received on, TO received every one, equal in every byte of RTP, once.
# Sets DELIVERED to their number. On a busy machine a packet of the daemon may come behind one of the kernel that was
# sent later, because they wait for two CPUs.
check_audio()
{
	local from=$1 to=$3 d=$LAB_DIR early late LOAD

	rtp_of "$from" | awk -v a="$2" '$1 == a { print $2 }' >"$d/sent"
	rtp_of "$to" | awk -v a="$4" '$1 != a { print $2 }' >"$d/received"
	cut -c25- "$d/sent" | tr -d '\n' | cmp -s - <(od -An -v -tx1 "$d/$from.ulaw" | tr -d ' \n') ||
		fail "the $from did not send its file: the test itself is broken" "$from"
	[ -s "$d/received" ] || fail "the $to received no audio"
	read -r early late < <(awk '
		NR == FNR { at[$0] = FNR; next }
		$0 in at { n = at[$0]; if (!first || n < first) first = n; if (n < most) late++; else most = n }
		END { print first - 1, late + 0 }' "$d/sent" "$d/received")
	tail -n +$((early + 1)) "$d/sent" | sort >"$d/expected"
	DELIVERED=$(wc -l <"$d/received")
	sort "$d/received" | cmp -s - "$d/expected" ||
		fail "audio to the $to: $(wc -l <"$d/expected") packets expected, $DELIVERED received, $(
			sort "$d/received" | comm -12 - "$d/expected" | wc -l) of them as sent"
	((early <= LATCH_PACKETS)) || fail "the $to missed the first $early packets"
	lab_load
	((late == 0 || LOAD > 150)) || fail "$late packets reached the $to behind later ones"
	ok "$DELIVERED of $(wc -l <"$d/sent") packets reached the $to bit for bit ($early before it could be reached, $late behind later ones)"
}

# stat NAME FILTER - one number of rtpxctl's stats.
stat() { rtpxctl "$1" --json stats | jq -e "$2"; }

# check_kernel_share NAME DATAPLANE DELIVERED DIRECTIONS - of DELIVERED packets in so many directions of all calls
# so far. The packets that open a direction may be the daemon's: an address is firm with the third.
check_kernel_share()
{
	local kernel floor after=$(($3 - 3 * $4)) most LOAD

	# A busy machine opens a direction later: 1 % of the packets of an idle machine, at most 10 %.
	lab_load
	most=$((LOAD < 1000 ? LOAD / 100 : 10))
	kernel=$(stat "$1" .kernel.relayed) || fail "rtpxctl stats does not say what the kernel forwarded" "$1"
	floor=$(stat "$1" .floor.sent) || fail "rtpxctl stats does not say what the daemon sent" "$1"
	((kernel + floor >= $3)) || fail "$3 packets arrived, but rtpxctl knows of $kernel by the kernel and $floor by the daemon"
	if [ "$2" = none ]; then
		[ "$kernel" = 0 ] || fail "$kernel packets forwarded by a kernel without dataplane"
	else
		((kernel * 100 > after * (100 - most))) ||
			fail "only $kernel of $after packets after latching went through the kernel, $floor through the daemon" "$1"
	fi
	ok "$kernel packets were forwarded by the kernel, $floor by the daemon"
}

# flows_are NAME KIND REASON - both directions of the only call's rtp or rtcp are in this state, in rtpxctl's words.
flows_are()
{
	local call

	call=$(rtpxctl "$1" --json sessions | jq -er '.[0].call_id') || return
	rtpxctl "$1" --json why "$call" |
		jq -e --arg kind "$2" --arg why "$3" \
			'[.[] | select(.kind == $kind and (.why | ascii_downcase) == $why)] | length == 2'
}

# rtp_captured CAPTURE - how many packets of which sources so far. The capture may still be open.
rtp_captured()
{
	tshark -r "$LAB_DIR/$1.pcap" -Y rtp -T fields -e ip.src -e ipv6.src 2>/dev/null | sort | uniq -c |
		awk '{ printf "%s%s of %s", n++ ? " and " : "", $1, $2 } END { if (!n) print "none" }'
}

# check_flows NAME DATAPLANE - during a call: the relay says where its RTP goes.
check_flows()
{
	local want=kernel

	[ "$2" != none ] || want=no_dataplane
	wait_for 10 "" flows_are "$1" rtp "$want" || {
		rtpxctl "$1" sessions >&2 || :
		say "RTP packets in the captures: at the caller $(rtp_captured caller), at the callee $(rtp_captured callee)"
		fail "rtpxctl never says '$want' of both directions" "$1" caller callee
	}
	ok "rtpxctl says of both directions: $want"
}

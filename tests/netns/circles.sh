#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck source-path=SCRIPTDIR
#
# runs: together
#
# circles.sh - a call whose parties are said to be the relay's own ports goes on as it was; two calls that are each
# other's parties pass a packet on until its hops are used up, and end by time-out; and a call that passes the relay
# twice is heard.

. "$(dirname "$0")/floor_lib.sh"

lab_begin python3 jq
TTL_S=$(lab_s $((3 * ${RTPX_PATIENCE:-1})))
floor_net
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -T $TTL_S -W 30 --dataplane none

relayed() { counter npkts_relayed; }
circled() { rtpxctl rtpxd --json stats | jq .floor.circled; }
# port COMMAND - the port in the reply.
port() { rtpp rtpxd "$1" | cut -d' ' -f1; }

# names_itself FIRST SECOND - a re-INVITE after two rewritings: caller and callee are said to be at these ports.
names_itself()
{
	is "$(port "Uie $CALL $1 alice;1 bob;1") $(port "Lie $CALL $2 alice;1 bob;1")" "$TO_ALICE $TO_BOB" \
		"ports in the replies to a re-INVITE with own ports"
}

floor_call rtpxd 198.51.100.10
floor_talk 3 198.51.100.10 198.51.100.1 1
talking() { [ "$(relayed)" -gt 50 ]; }
must_wait 10 "packets of the call" talking
names_itself "192.0.2.1 $TO_BOB" "198.51.100.1 $TO_ALICE"
names_itself "198.51.100.1 $TO_ALICE" "192.0.2.1 $TO_BOB"
names_itself "127.0.0.1 $TO_BOB" "127.0.0.1 $((TO_ALICE + 1))"
floor_talked 10
is "$(bob_missed) $(heard alice .wrong) $(heard bob .wrong)" "0 0 0" "packets that bob missed, and wrong ones"
[ "$(heard alice .received)" -ge 75 ] || fail "alice heard $(heard alice .received) packets" alice rtpxd
must_wait $((TTL_S + 4)) "end of the silent session" no_sessions rtpxd
ok "a call that is said to be at its own ports goes on"

# packets COUNT FROM TO - RTP from one port of the relay to another.
packets()
{
	in_ns relay python3 -c '
import socket, struct, sys
count, source, dest = map(int, sys.argv[1:])
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
s.bind(("192.0.2.1", 0))
for i in range(count):
    rtp = struct.pack("!BBHII", 0x80, 8, i, 160 * i, 1) + bytes(160)
    s.sendto(struct.pack("!HHHH", source, dest, 8 + len(rtp), 0) + rtp, ("192.0.2.1", 0))' "$@"
}

# Each call is the caller and the callee of the other. Twenty packets are between them.
one=$(port "Uii one 192.0.2.10 4000 a;1") two=$(port "Uii two 192.0.2.1 $one a;1")
to_one=$(port "Lii one 192.0.2.1 1 a;1 b;1") to_two=$(port "Lii two 192.0.2.1 $to_one a;1 b;1")
is "$(port "Uii one 192.0.2.1 $two a;1 b;1") $(port "Lii one 192.0.2.1 $to_two a;1 b;1")" "$one $to_one" \
	"ports of a call whose parties are another call"
before=$(relayed)
packets 20 "$two" "$to_one"
has_circled() { [ "$(circled)" = 20 ]; }
must_wait 5 "packets that have circled" has_circled
must_wait $((TTL_S + 4)) "end of the calls that went in circles" no_sessions rtpxd
is $(($(relayed) - before)) $((20 * 63)) "packets relayed while 20 circled"
ok "what circles ends: $(circled) packets had no hop left"

# alice - one - two - bob.
one=$(port "Uii one 192.0.2.10 4000 a;1") two=$(port "Uie two 192.0.2.1 $one a;1")
to_two=$(port "Lie two 198.51.100.10 4000 a;1 b;1") TO_BOB=$(port "Lii one 192.0.2.1 $to_two a;1 b;1")
TO_ALICE=$two
floor_talk 2 198.51.100.10 198.51.100.1 1
floor_talked 10
is "$(bob_missed) $(heard bob .wrong)" "0 0" "packets that bob missed, and wrong ones, through the relay twice"
ok "a call that passes the relay twice is heard"
stop_rtpxd rtpxd west east
pass

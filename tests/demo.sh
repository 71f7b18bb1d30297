#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# demo.sh [BUILD] - one G.711 call of five seconds through the XDP path, and what can be seen of it.
[ -z "${1:-}" ] || export RTPX_BUILD=$1
. "$(dirname "$0")/netns/lab.sh"
END=$LAB_ROOT/tests/lib/rtp_end.py
SECONDS_OF_CALL=5

#   alice                     relay                      bob
#  ┌──────────────┐   ┌─────────────────────┐   ┌──────────────┐
#  │ eth0         │   │ west           east │   │         eth0 │
#  │ 192.0.2.10   ├───┤ 192.0.2.1           ├───┤ 198.51.100.10│
#  └──────────────┘   │        198.51.100.1 │   └──────────────┘
#                     └──────────────── rtpxd ┘
lab_begin python3 jq bpftool
lab_ns alice relay bob
lab_link alice eth0 relay west
lab_link bob eth0 relay east
lab_addr alice eth0 192.0.2.10/24
lab_addr relay west 192.0.2.1/24
lab_addr relay east 198.51.100.1/24
lab_addr bob eth0 198.51.100.10/24
ip_in alice route add default via 192.0.2.1
ip_in bob route add default via 198.51.100.1
sysctl_in relay net.ipv4.ip_forward=1

# listen NAME PORT ALICE-TO BOB-TO - both ends, on this port, will talk to these addresses (HOST PORT) once talk says so;
# results in NAME.alice.log, NAME.bob.log
listen()
{
	lab_start alice "$1.alice" env RTP_END_WAITS=1 "$END" 192.0.2.10 "$2" $3 "$SECONDS_OF_CALL"
	lab_start bob "$1.bob" env RTP_END_WAITS=1 "$END" 198.51.100.10 "$2" $4 "$SECONDS_OF_CALL"
	must_wait 10 "alice's end of '$1'" listens alice "$2"
	must_wait 10 "bob's end of '$1'" listens bob "$2"
}

# RTCP's socket is the last that an end opens.
listens() { in_ns "$1" ss -Hlun "sport = :$(($2 + 1))" | grep -q .; }
talk() { for who in "$@"; do kill -HUP "${LAB_PID[$who]}"; done; }

talked()
{
	lab_wait $((SECONDS_OF_CALL + 10)) "$1.alice" || fail "alice's end of '$1'" "$1.alice"
	lab_wait 5 "$1.bob" || fail "bob's end of '$1'" "$1.bob"
}

result() { jq -r "$2" "$LAB_DIR/$1.log"; }

# On a busy machine bpftool reads the maps for longer than the default time to live, a minute.
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric --dataplane xdp -d warn -T 600
echo "rtpx demo: alice 192.0.2.10 -- rtpxd 192.0.2.1 | 198.51.100.1 -- bob 198.51.100.10"
rtpxctl rtpxd status | sed 's/^/  /'

read -r to_bob bob_host _ < <(rtpp rtpxd "Uie demo-call@rtpx 192.0.2.10 4000 alice;1")
read -r to_alice alice_host _ < <(rtpp rtpxd "Lie demo-call@rtpx 198.51.100.10 4000 alice;1 bob;1")
# Beside the call, the same two ends talk over the same wires by the kernel's own routing, at the same time: the relay adds
# the difference.
listen call 4000 "$alice_host $to_alice" "$bob_host $to_bob"
listen direct 4100 "198.51.100.10 4100" "192.0.2.10 4100"
talk call.alice call.bob direct.alice direct.bob
kernel_has_it() { [ "$(rtpxctl rtpxd --json flows | jq '[.[] | select(.kind == "rtp")] | length')" = 2 ]; }
must_wait 3 "both directions in the kernel" kernel_has_it
echo; echo "the call in the middle, as rtpxctl shows it:"
rtpxctl rtpxd flows | sed 's/^/  /'
echo; echo "and as bpftool map dump pinned shows its audio in $LAB_DIR/bpf/rtpxd/flows and flows_more:"
dump() { bpftool -j map dump pinned "$LAB_DIR/bpf/rtpxd/$1"; }
# What an ordinary packet needs of a flow is in one map, the rest at the same index of the other.
shown=$(jq -rn --slurpfile flows <(dump flows) --slurpfile more <(dump flows_more) \
	'def host: . % 256 * 256 + (. / 256 | floor); # from network byte order
	 [$more[0][].formatted | {(.key | tostring): .value}] | add as $more_of |
	 $flows[0][].formatted | .value |= (.peer_port |= host | .dest_port |= host | .out_port |= host) |
	 select(.value.peer_port == 4000) | .value + $more_of[.key | tostring] |
	 {call: (.label | if type == "array" then map(select(. != 0 and . != "\u0000")) | map(tostring) | join("") else . end),
	  port, peer4, peer_port, dest4, dest_port, out4, out_port, nexthop, flags, ttl, tos} | tojson')
sed 's/^/  /' <<<"$shown"
[ "$(jq -r .call <<<"$shown" | sort -u)" = demo-call@rtpx ] || fail "the maps do not name the call: $shown"
talked call

session=$(rtpxctl rtpxd --json session demo-call@rtpx)
kernel=$(jq '[.[].legs[].rtp.kernel_packets] | add' <<<"$session")
all=$(jq '[.[].legs[].rtp.packets] | add' <<<"$session")

talked direct

echo
for who in alice bob; do
	printf '%-6s sent %s, received %s, lost %s, altered %s\n' "$who" "$(result "call.$who" .sent)" \
		"$(result "call.$who" .received)" "$(result "call.$who" '.lost + .before_first')" "$(result "call.$who" .wrong)"
	printf '%-6s latency by the relay: p50 %s us, p99 %s us; by plain routing at the same time: p50 %s us, p99 %s us\n' "" \
		"$(result "call.$who" .latency_us.p50)" "$(result "call.$who" .latency_us.p99)" \
		"$(result "direct.$who" .latency_us.p50)" "$(result "direct.$who" .latency_us.p99)"
done
echo "rtpxd  forwarded in the kernel $kernel, by the daemon $((all - kernel))"
rtpp rtpxd "D demo-call@rtpx alice bob" >/dev/null
must_wait 2 "end of the session" no_sessions rtpxd
stop_rtpxd rtpxd west east

for who in alice bob; do
	[ "$(result "call.$who" '.lost + .before_first + .wrong')" = 0 ] || fail "audio that $who should have heard was lost or altered"
done
[ $((kernel * 100)) -gt $((all * 98)) ] || fail "only $kernel of $all packets were forwarded in the kernel"
pass "nothing is left behind: no process, no namespace, no pinned map"

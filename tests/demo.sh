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

# talk NAME ALICE-TO BOB-TO - both ends talk to these addresses (HOST PORT); results in NAME.alice.log, NAME.bob.log
talk()
{
	lab_start alice "$1.alice" "$END" 192.0.2.10 4000 $2 "$SECONDS_OF_CALL"
	lab_start bob "$1.bob" "$END" 198.51.100.10 4000 $3 "$SECONDS_OF_CALL"
}

talked()
{
	lab_wait $((SECONDS_OF_CALL + 5)) "$1.alice" || fail "alice's end of '$1'" "$1.alice"
	lab_wait 5 "$1.bob" || fail "bob's end of '$1'" "$1.bob"
}

result() { jq -r "$2" "$LAB_DIR/$1.log"; }
added() { jq -nr --slurpfile a "$LAB_DIR/call.$1.log" --slurpfile b "$LAB_DIR/direct.$1.log" \
	"\$a[0].latency_us.$2 - \$b[0].latency_us.$2 | . * 10 | round / 10"; }

start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric --dataplane xdp -d warn
echo "rtpx demo: alice 192.0.2.10 -- rtpxd 192.0.2.1 | 198.51.100.1 -- bob 198.51.100.10"
rtpxctl rtpxd status | sed 's/^/  /'

read -r to_bob bob_host _ < <(rtpp rtpxd "Uie demo-call@rtpx 192.0.2.10 4000 alice;1")
read -r to_alice alice_host _ < <(rtpp rtpxd "Lie demo-call@rtpx 198.51.100.10 4000 alice;1 bob;1")
talk call "$alice_host $to_alice" "$bob_host $to_bob"
kernel_has_it() { [ "$(rtpxctl rtpxd --json flows | jq '[.[] | select(.kind == "rtp")] | length')" = 2 ]; }
must_wait 3 "both directions in the kernel" kernel_has_it
echo; echo "the call in the middle, as rtpxctl shows it:"
rtpxctl rtpxd flows | sed 's/^/  /'
echo; echo "and as bpftool map dump pinned $LAB_DIR/bpf/rtpxd/flows shows the flow of alice's audio:"
bpftool -j map dump pinned "$LAB_DIR/bpf/rtpxd/flows" |
	jq -c ".[] | .formatted.value | select(.peer_port == 4000) |
	       {call: .label, port, peer4, peer_port, dest4, dest_port, out4, out_port, nexthop, flags, ttl, tos}" | sed 's/^/  /'
talked call

session=$(rtpxctl rtpxd --json session demo-call@rtpx)
kernel=$(jq '[.[].legs[].rtp.kernel_packets] | add' <<<"$session")
all=$(jq '[.[].legs[].rtp.packets] | add' <<<"$session")

# The same two ends, the same wires, the kernel's own routing instead of a relay: what the relay adds is the difference.
talk direct "198.51.100.10 4000" "192.0.2.10 4000"
talked direct

echo
for who in alice bob; do
	printf '%-6s sent %s, received %s, lost %s, altered %s; latency added to plain routing: p50 %s us, p99 %s us\n' "$who" \
		"$(result call.$who .sent)" "$(result call.$who .received)" "$(result call.$who .lost)" \
		"$(result call.$who .wrong)" "$(added $who p50)" "$(added $who p99)"
done
echo "rtpxd  forwarded in the kernel $kernel, by the daemon $((all - kernel))"
rtpp rtpxd "D demo-call@rtpx alice bob" >/dev/null
must_wait 2 "end of the session" no_sessions rtpxd
stop_rtpxd rtpxd west east

for who in alice bob; do
	[ "$(result call.$who '.lost + .wrong')" = 0 ] || fail "audio that $who should have heard was lost or altered"
done
[ $((kernel * 100)) -gt $((all * 98)) ] || fail "only $kernel of $all packets were forwarded in the kernel"
pass "nothing is left behind: no process, no namespace, no pinned map"

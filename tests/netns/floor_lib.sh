# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash source-path=SCRIPTDIR
#
# floor_lib.sh - sourced: one call through rtpxd between two RTP end points, and what rtpxd says of
# it. No test.

. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

END=$LAB_ROOT/tests/lib/rtp_end.py
CALL=floor-call

#   alice                     relay                       bob
#  ┌──────────────┐   ┌─────────────────────┐   ┌───────────────┐
#  │ eth0         │   │ west           east │   │          eth0 │
#  │ 192.0.2.10   ├───┤ 192.0.2.1           ├───┤ 198.51.100.10 │
#  └──────────────┘   │        198.51.100.1 │   └───────────────┘
#                     └──────────────── rtpxd ┘
# floor_net - alice and bob, each on a link of its own to the relay.
floor_net()
{
	lab_ns alice relay bob
	lab_link alice eth0 relay west
	lab_link bob eth0 relay east
	lab_addr alice eth0 192.0.2.10/24
	lab_addr relay west 192.0.2.1/24
	lab_addr relay east 198.51.100.1/24
	lab_addr bob eth0 198.51.100.10/24
}

# floor_call RELAY BOB - a session between alice and bob at this address; sets TO_BOB, the port of
# 192.0.2.1 that alice sends to, and TO_ALICE, the port of 198.51.100.1 that bob sends to.
floor_call()
{
	read -r TO_ALICE _ < <(rtpp "$1" "Uie $CALL 192.0.2.10 4000 alice;1")
	read -r TO_BOB _ < <(rtpp "$1" "Lie $CALL $2 4000 alice;1 bob;1")
	[ "$TO_BOB" -gt 0 ] && [ "$TO_ALICE" -gt 0 ] || fail "no session" "$1"
}

# floor_crowd RELAY NUMBER - so many more calls between alice and bob, without packets.
floor_crowd()
{
	# shellcheck disable=SC2086 # an address and a port
	in_ns "${LAB_NS[$1]}" python3 - ${LAB_CTL[$1]} "$2" <<-'EOF' || fail "the calls cannot be set up" "$1"
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.connect((sys.argv[1], int(sys.argv[2])))
		s.settimeout(10)
		for n in range(int(sys.argv[3])):
		    for command in f"Uie crowd-{n} 192.0.2.10 {10000 + 2 * n} a", f"Lie crowd-{n} 198.51.100.10 {10000 + 2 * n} a b":
		        s.send(f"{n}{command[0]} {command}".encode())
		        assert not s.recv(2048).split()[1].startswith(b"E"), command
	EOF
}

# floor_talk SECONDS BOB BOB-TO [MORE] - both ends talk from now on, and bob so many seconds longer. Both listen before
# either says a word, and until the other one has ended, so each hears all that the other one says.
floor_talk()
{
	rm -f "$LAB_DIR"/{alice,bob}.ended
	end_begins bob alice "$2" 4000 "$3" "$TO_ALICE" $(($1 + ${4:-0}))
	end_begins alice bob 192.0.2.10 4000 192.0.2.1 "$TO_BOB" "$1"
	LAB_BLAME=bob must_wait 10 "bob's end of the call" listens bob
	LAB_BLAME=alice must_wait 10 "alice's end of the call" listens alice
	kill -HUP "${LAB_PID[alice]}" "${LAB_PID[bob]}"
}

# end_begins NAME OTHER ARGUMENT… - an end that waits for SIGHUP.
end_begins()
{
	lab_start "$1" "$1" env RTP_END_WAITS=1 "RTP_END_ENDED=$LAB_DIR/$1.ended" \
		"RTP_END_LISTENS=$LAB_DIR/$2.ended" "$END" "${@:3}"
}

# Port 4000, in hexadecimal.
listens() { in_ns "$1" grep -qi ":0FA0 " /proc/net/udp /proc/net/udp6; }

# floor_talked SECONDS - both ends have said what they heard, within this time.
floor_talked()
{
	lab_wait "$1" alice || fail "alice's end of the call" alice
	lab_wait "$1" bob || fail "bob's end of the call" bob
}

# floor_hang_up - both ends say no more: for calls that last until a test has seen what it waits for.
floor_hang_up()
{
	kill -USR1 "${LAB_PID[alice]}" "${LAB_PID[bob]}"
	floor_talked 10
}

heard() { jq -r "$2" "$LAB_DIR/$1.log"; }
# alice_missed - of bob's packets, after the first that she heard; alice must have listened longer.
alice_missed()
{
	echo $(($(heard bob .sent) - $(heard alice .before_first) - $(heard alice .received)))
}
# bob_missed - of alice's packets, after the first that he heard; bob must have talked longer.
bob_missed()
{
	echo $(($(heard alice .sent) - $(heard bob .before_first) - $(heard bob .received)))
}
is() { [ "$1" = "$2" ] || fail "$3 is $1, not $2" rtpxd; }
counter() { rtpp rtpxd "G $1"; }
# rtp_of PARTY WHAT - of the RTP that comes from the caller or the callee: why, interface and so on.
rtp_of()
{
	rtpxctl rtpxd --json why $CALL |
		jq -r ".[] | select(.kind == \"rtp\" and .from == \"$1\") | .$2"
}
rtp_is() { [ "$(rtp_of "$1" "$2")" = "$3" ]; }
both_in_kernel() { rtp_is caller in_kernel true && rtp_is callee in_kernel true; }

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# floor_kept_port.sh - with shared sockets, the ports of calls are not bound, so another program may bind one of them.
# The call keeps it: after a kill of the daemon the next one has the call and its packets all the same. A new call
# takes another port.

. "$(dirname "$0")/floor_lib.sh"
MOST_S=600

lab_begin python3 jq
floor_net
dataplane_options none
relay_start()
{
	RTPX_PORT_SOCKETS='' start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric \
		-m 20000 -M 20007 --port-sockets shared "${DATAPLANE[@]}"
}
relayed() { counter npkts_relayed; }
goes_on() { [ "$(relayed)" -gt $((from + 20)) ]; }

relay_start
floor_call rtpxd 198.51.100.10
floor_talk $MOST_S 198.51.100.10 198.51.100.1
from=0
must_wait 5 "packets of the call" goes_on

# Another program binds the RTP ports of both parties, at all addresses.
lab_start relay other python3 -c '
import signal, socket, sys
ports = set(sys.argv[1:])
held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in ports]
for s, port in zip(held, ports):
    s.bind(("0.0.0.0", int(port)))
print("bound", flush=True)
signal.pause()
' "$TO_BOB" "$TO_ALICE"
bound() { grep -q bound "$LAB_DIR/other.log"; }
LAB_BLAME=other must_wait 5 "the other program" bound
from=$(relayed)
must_wait 5 "packets of the call beside the other program" goes_on
ok "another program that binds the ports of a call does not get its packets"

lab_stop rtpxd KILL || :
relay_start
is "$(rtpxctl rtpxd --json status | jq -c '[.journal.restored, .journal.lost]')" "[1,0]" "calls restored and lost"
from=$(relayed)
must_wait 5 "packets of the call after the restart" goes_on
ok "nor does it keep the next daemon from the call"

for i in 1 2; do
	read -r port _ < <(rtpp rtpxd "Uie other$i 192.0.2.11 4000 carol;1")
	[ "$port" -gt 0 ] && [ "$port" != "$TO_BOB" ] && [ "$port" != "$TO_ALICE" ] || fail "a new call got the port $port" rtpxd
	rtpp rtpxd "D other$i carol;1" >/dev/null
done
ok "a new call gets another port"

floor_hang_up
lab_stop other || :
stop_rtpxd rtpxd west east
pass

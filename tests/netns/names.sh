#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# names.sh - the name server of the host does not answer. rtpxd starts with a controller's name in -n, serves calls, and
# tells the controller when the name is known; a control socket with a name holds the start, but not SIGTERM.

. "$(dirname "$0")/floor_lib.sh"

lab_begin python3 jq unshare socat nft
floor_net
ip_in relay addr add 192.0.2.53/32 dev lo # the name server's: packets to it vanish
in_ns relay nft -f - <<-'EOF'
	table ip dead {
		chain input {
			type filter hook input priority filter
			ip daddr 192.0.2.53 counter drop
		}
	}
EOF
echo "nameserver 192.0.2.53" >"$LAB_DIR/resolv.conf"
echo "hosts: files dns" >"$LAB_DIR/nsswitch.conf"
echo "127.0.0.1 localhost" >"$LAB_DIR/hosts"
LAB_WRAP=(unshare -m bash -c "for f in resolv.conf nsswitch.conf hosts; do mount --bind $LAB_DIR/\$f /etc/\$f || exit; done
	exec \"\$@\"" rtpxd)

# asked - how many packets the name server should have had.
asked() { in_ns relay nft list chain ip dead input | sed -n 's/.*counter packets \([0-9]*\).*/\1/p'; }
asked_more() { [ "$(asked)" -gt "$1" ]; }
notified() { rtpxctl rtpxd --json status | jq -e ".notify[0] | $1"; }

# ---- a name in -n ----

start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric -T 1 --dataplane none \
	-n tcp:controller.example:9000
must_wait 5 "question to the name server" asked_more 0
reply=$(rtpp rtpxd "Uie $CALL 192.0.2.10 4000 alice;1 tcp:controller.example:9000 named")
[[ $reply == [1-9]* ]] || fail "'$reply' is no answer to a call" rtpxd
must_wait 20 "end of the call" no_sessions rtpxd
must_wait 20 "message that waits" notified '.queued == 1'
ok "calls are served while a name server does not answer"
lab_start relay controller socat -u TCP-LISTEN:9000,bind=127.0.0.1 "OPEN:$LAB_DIR/told,creat"
echo "127.0.0.1 controller.example" >>"$LAB_DIR/hosts"
must_wait 30 "message at the controller" grep -q named "$LAB_DIR/told"
stop_rtpxd rtpxd west east
ok "the controller is told when its name is known"

# ---- SIGTERM while a name is asked for ----

before=$(asked)
lab_start relay waits "${LAB_WRAP[@]}" "$RTPX_BUILD/rtpxd" -f -F -s udp:control.example:7722 -p "$LAB_DIR/waits.pid" -l 192.0.2.1 \
	--admin-socket "$LAB_DIR/waits.admin" --state-dir "$LAB_DIR/waits.state" --dataplane none
must_wait 10 "question to the name server" asked_more "$before"
begin=${EPOCHREALTIME/[.,]/}
! lab_stop waits TERM || fail "a start without its control socket ended well" waits
took_ms=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
[ $took_ms -lt 4000 ] || fail "SIGTERM took $took_ms ms while the start waited for a name" waits
ok "SIGTERM ended a start that waited for a name, in $took_ms ms"
pass

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together vm module
#
# daemon.sh - which dataplane is chosen where the module is loaded; what doctor and why say of it; and that a call goes on
# in the module when the daemon is killed, and through the daemon's sockets when the module is unloaded. In the virtual
# machine only: it unloads the module.

. "$(dirname "$0")/../netns/floor_lib.sh"
TALK_S=$((5 * ${RTPX_PATIENCE:-1}))

lab_begin python3 jq rmmod
[ -n "${RTPX_IN_VM:-}" ] || skip "only the virtual machine's kernel is for loading and unloading"
need_module
floor_net

start_relay()
{
	start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric "$@"
}

# call_in_kernel - alice and bob talk, and the module forwards both ways.
call_in_kernel()
{
	floor_call rtpxd 198.51.100.10
	floor_talk $TALK_S 198.51.100.10 198.51.100.1
	must_wait 4 "both directions in the kernel" both_in_kernel
}

# nothing_lost - each has heard all that the other one said. The first packets may come before the other one listens.
nothing_lost()
{
	local who

	floor_talked $((TALK_S + 5))
	for who in alice bob; do
		is "$(heard $who '"\(.lost) \(.wrong)"')" "0 0" "what $who missed, and heard wrong"
	done
}

# doctor_says RESULT PATTERN
doctor_says() { { rtpxctl rtpxd doctor || :; } | grep -Eq "^$1 +module +.*$2"; }

# As a daemon does that is killed.
lab_start relay left "$RTPX_BUILD/kmod-tests/stress" leave 50
left_some() { grep -q "^left" "$LAB_DIR/left.log"; }
must_wait 10 "flows in the module" left_some
lab_stop left KILL || :

# The module is loaded, and veth runs XDP natively: that is the usual choice. Generic mode comes after the module.
start_relay
check "native XDP comes before the module" xdp_mode_is relay west native
check "what was left in the module is removed then" grep -q "removed 100 flows" "$LAB_DIR/rtpxd.log"
stop_rtpxd rtpxd west east
start_relay --xdp-mode generic
is "$(rtpxctl rtpxd --json status | jq -r .dataplane)" kmod "the dataplane before generic mode"
lab_stop rtpxd || fail "the end of rtpxd" rtpxd
start_relay --dataplane kmod
check "doctor knows the module" doctor_says ok 'loaded, not signed, in use'

call_in_kernel
LAB_QUIET=1 lab_stop rtpxd KILL || :
nothing_lost
ok "the daemon was killed, and nobody has noticed"

start_relay --dataplane kmod
is "$(rtpxctl rtpxd --json status | jq .journal.restored)" 1 "number of calls that came back"
must_wait 10 "the call in the kernel" both_in_kernel
# What the first daemon forwarded itself, before there was a flow, may not have been in the journal yet.
known=$(rtp_of caller packets) sent=$(heard alice .sent)
[ "$known" -le "$sent" ] && [ "$known" -ge $((sent - 50)) ] || fail "$known of $sent packets are known" rtpxd
ok "the next daemon has taken over the call"
is "$(rtpp rtpxd "D $CALL alice bob")" 0 "the answer to the end of the call"
call_in_kernel
check "the module can be unloaded during a call" rmmod rtpx
must_wait 10 "rtpxctl why knows it" rtp_is caller why NO_DATAPLANE
check "so does doctor" doctor_says wrong 'not loaded'
nothing_lost
ok "the module was unloaded, and nobody has noticed"
is "$(rtpp rtpxd "D $CALL alice bob")" 0 "the answer to the end of the call"
lab_stop rtpxd || fail "the end of rtpxd" rtpxd
pass

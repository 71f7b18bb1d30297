#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together
# shellcheck source-path=SCRIPTDIR
#
# unit.sh - daemon/rtpxd.service under systemd itself, with a BPF file system of mode 0700: rtpxd is its user from the
# start, keeps two capabilities, forwards a call in the kernel and records it with the default options. A daemon that
# hangs is found by the watchdog, and the call goes on. After a stop no pin is left. With a wrong option it tries until
# the option is mended.

. "$(dirname "$0")/floor_lib.sh"
. "$(dirname "$0")/systemd_lib.sh"
DROP_IN=

rtpxctl() { nsenter -m -r -n -t "$(sd_pid)" "$RTPX_BUILD/rtpxctl" "${@:2}"; }
status_of() { sd_in sed -n "s/^$1:[[:space:]]*//p" "/proc/$(sd_main_pid)/status"; }
# pins - the pins, as root of the host sees them.
pins() { sd_in find /sys/fs/bpf -mindepth 2; }

# set_unit LINE… - further lines of the unit, from the next start.
set_unit()
{
	printf '%s\n' '[Service]' "$@" >"$DROP_IN"
	sd_ctl daemon-reload
}

lab_begin python3 jq
floor_net
sd_begin relay -l 192.0.2.1/198.51.100.1 --bridge_symmetric -r /var/lib/rtpx/recordings --dataplane xdp
DROP_IN=$SD_ROOT/units/rtpxd.service.d/zz.conf
LAB_NS[rtpxd]=relay LAB_CTL[rtpxd]="127.0.0.1 7722"
LAB_BLAME="systemd rtpxd" must_wait 20 "rtpxd as a service" sd_active

floor_call rtpxd 198.51.100.10
rtpp rtpxd "R $CALL alice;1 bob;1" >/dev/null
floor_talk 12 198.51.100.10 198.51.100.1
LAB_BLAME=rtpxd must_wait 10 "call in the kernel" both_in_kernel
is "$(status_of Uid | cut -f 1-3)" "$(printf '65534\t65534\t65534')" "user ids"
for set in CapPrm CapEff; do
	is "$(status_of $set)" 0000008000001000 "$set (NET_ADMIN, BPF)"
done
for set in CapInh CapAmb; do
	is "$(status_of $set)" 0000000000000000 $set
done
is "$(status_of NoNewPrivs)" 1 NoNewPrivs
is "$(sd_in stat -c '%a %U' /run/rtpx/rtpx.sock)" "660 nobody" "mode of the control socket"
ok "the user of the unit from the start, with NET_ADMIN and BPF alone, and the call is in the kernel"

recorded() { sd_in sh -c 'cat /var/lib/rtpx/recordings/* | wc -c' | awk '$1 <= 20000 { exit 1 }'; }
LAB_BLAME=rtpxd must_wait 10 "recording of the call" recorded
ok "a call is recorded with the default options"

watched() { [ "$(sd_main_pid)" != "$1" ] && sd_active; }
set_unit WatchdogSec=2s
sd_ctl restart rtpxd
before=$(sd_main_pid)
sd_in kill -STOP "$before"
LAB_BLAME=rtpxd must_wait 20 "next rtpxd, after the watchdog" watched "$before"
is "$(sd_ctl show --property=NRestarts --value rtpxd)" 1 "number of restarts by systemd"
LAB_BLAME=rtpxd must_wait 10 "call in the kernel after the watchdog" both_in_kernel
floor_talked 20
is "$(heard alice .lost),$(heard bob .lost)" 0,0 "packets lost by alice, bob"
ok "a daemon that hangs is killed and started again; the call has lost no packet"

[ -n "$(pins)" ] || fail "there are no pins" rtpxd
sd_ctl stop rtpxd
is "$(pins)" "" "pins after the stop"
ok "a stop leaves no pin"

set_unit 'Environment="RTPXD_OPTIONS=-l 192.0.2.1 --dataplane xdp --no-such-option"'
! sd_ctl start rtpxd 2>/dev/null || fail "it starts with a wrong option" rtpxd
tried() { [ "$(sd_ctl show --property=NRestarts --value rtpxd)" -ge 8 ]; }
must_wait 30 "more starts than systemd's own limit of 5" tried
set_unit 'Environment="RTPXD_OPTIONS=-l 192.0.2.1 --dataplane xdp"'
must_wait 10 "start with the mended option" sd_active
ok "with a wrong option it tries again, and starts once that is mended"
pass

# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash source-path=SCRIPTDIR
#
# dp_lib.sh - sourced: run dp_watch in a namespace and wait for the lines that it prints. No test.

. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

WATCH=	# the process that must_hop and must_if look at
WATCH_NS=
PIN=	# pin directory below the test's bpffs; empty: one named as the process
AS=()	# a command that dp_watch is run by: setpriv, say

# watch_start PROCESS NAMESPACE none|auto|native|generic INTERFACES|- [DESTINATION…] - ready on return.
watch_start()
{
	WATCH=$1 WATCH_NS=$2
	shift 2
	bpf_dir
	lab_start "$WATCH_NS" "$WATCH" "${AS[@]}" "$RTPX_BUILD/netns/dp_watch" \
		"$LAB_DIR/bpf/${PIN:-$WATCH}" "$@"
	LAB_BLAME=("$WATCH") must_wait 10 "start of dp_watch ($WATCH)" \
		grep -q ^ready "$LAB_DIR/$WATCH.log"
}

# watch_refused PROCESS NAMESPACE MODE INTERFACES SENTENCE - it does not open, and says why.
watch_refused()
{
	local p=$1 n=$2 status=0

	bpf_dir
	lab_start "$n" "$p" "${AS[@]}" "$RTPX_BUILD/netns/dp_watch" \
		"$LAB_DIR/bpf/${PIN:-$p}" "$3" "$4"
	lab_wait 10 "$p" || status=$?
	[ $status = 3 ] || fail "dp_watch $3 $4 ended with $status" "$p"
	grep -Eq "^refused .*$5" "$LAB_DIR/$p.log" || fail "no sentence like: $5" "$p"
}

# bpf_dir - a bpffs of the test's own.
bpf_dir()
{
	[ ! -d "$LAB_DIR/bpf" ] || return 0
	mkdir "$LAB_DIR/bpf"
	mount -t bpf -o mode=0700 bpf "$LAB_DIR/bpf"
}

last_line() { grep "^$1 $2 " "$LAB_DIR/$WATCH.log" | tail -n 1; }
line_is() { last_line "$1" "$2" | grep -Eq "^$1 $2 $3"; }

must_line()
{
	wait_for "$2" "" line_is "$1" "$3" "$4" ||
		fail "$3 is not: $4, but: $(last_line "$1" "$3")" "$WATCH"
}

# must_hop SECONDS DESTINATION PATTERN - the newest answer for it fits within that time.
must_hop() { must_line hop "$@"; }
# must_if SECONDS INTERFACE PATTERN - likewise: native|generic|off sends|mute: REASON
must_if() { must_line if "$@"; }

# mac_of NAMESPACE DEV; /sys shows the devices of the test's own namespace.
mac_of() { ip_in "$1" -o link show dev "$2" | sed -n 's/.* link\/ether \([0-9a-f:]*\).*/\1/p'; }
# datagram NAMESPACE ADDRESS - one UDP packet to the discard port.
# shellcheck disable=SC2016
datagram() { in_ns "$1" bash -c 'echo >"/dev/udp/$1/9"' datagram "$2"; }
neigh_managed() { ip_in "$WATCH_NS" neigh show | grep -E "^$1.* managed"; }
neigh_state() { ip_in "$WATCH_NS" neigh show "$1" | grep -E "$2"; }
pins() { find "$LAB_DIR/bpf/$1" -type f 2>/dev/null | wc -l; }

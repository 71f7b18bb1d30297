# SPDX-License-Identifier: BSD-2-Clause
#
# lab.sh - sourced: network namespaces, processes in them, captures, and a relay to test.
#
# It makes namespaces called rtpx-PID-NAME and keeps every file in one temporary directory. It
# removes all of it when the shell ends, after an error too. It holds no test. A test sources it,
# builds its network, and ends with pass, fail or skip (exit status 0, 1, 4).
#
# Environment: RTPX_BUILD is the directory of rtpxd and rtpxctl (default: build/ of this tree).
# RTPX_KEEP=1 keeps the directory of logs and captures and prints its name. RTPX_PATIENCE=N is for
# emulated machines: waits are N times as long, and tests talk longer.

set -Eeuo pipefail

LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
RTPX_BUILD=$(realpath -m "${RTPX_BUILD:-$LAB_ROOT/build}")
LAB_TEST=$(basename "$0" .sh)
LAB_TAG=rtpx-$$
LAB_DIR=
LAB_NAMES=()
LAB_WRAP=()	# a command that start_rtpxd runs rtpxd under
LAB_AT_END=()	# functions that lab_end calls first
declare -A LAB_PID=()	# process name -> pid
declare -A LAB_NS=()	# relay name -> its namespace
declare -A LAB_CTL=()	# relay name -> "address port" of its control socket

# ---- verdicts --------------------------------------------------------------------------------

say() { printf '  %s\n' "$*"; }

# ok TEXT - prints a check that held. A test with many like checks sets LAB_QUIET.
ok() { [ -n "$LAB_QUIET" ] || say "ok: $*"; }
LAB_QUIET=

pass()
{
	echo "PASS $LAB_TEST${*:+: $*}"
	exit 0
}

skip()
{
	echo "SKIP $LAB_TEST: $*"
	exit 4
}

# fail REASON [PROCESS…] - also prints the end of the logs of these processes.
fail()
{
	local p

	echo "FAIL $LAB_TEST: $1" >&2
	shift
	for p; do
		[ -s "$LAB_DIR/$p.log" ] || continue
		echo "--- end of $p.log" >&2
		tail -n 12 "$LAB_DIR/$p.log" >&2
	done
	exit 1
}

# check TEXT COMMAND… - the command must succeed; prints one line in either case.
check()
{
	local what=$1

	shift
	"$@" || fail "$what"
	ok "$what"
}

LAB_LIMIT=$((${RTPX_PATIENCE:-1} * (${RTPX_PATIENCE:-1} > 1 ? 4 : 1)))
# An emulated machine is as busy as its host.
LAB_LOADAVG=${RTPX_HOST_LOADAVG:-/proc/loadavg}
LAB_CPUS=${RTPX_HOST_CPUS:-$(nproc)}

# lab_load - sets LOAD: processes for each CPU, in hundredths, at least 100. It takes the larger of
# two counts: the processes that run now, and the average of the last minute, which includes
# processes that wait for a disk.
lab_load()
{
	local minute now

	read -r minute _ _ now _ <"$LAB_LOADAVG"
	now=$((${now%/*} - 1)) minute=${minute%.*}
	LOAD=$((100 * (now > minute ? now : minute) / LAB_CPUS))
	((LOAD > 100)) || LOAD=100
}

# lab_s SECONDS - prints the time to live, or another limit of the relay's own, for SECONDS of an
# idle machine. At most five times as long, because a test waits for its end.
lab_s()
{
	local LOAD

	lab_load
	echo $(($1 * (LOAD < 500 ? LOAD : 500) / 100))
}

# slower NUMBER - prints what a limit of NUMBER on an idle machine is on this one, under its load of now.
slower()
{
	local LOAD

	lab_load
	echo $(($1 * LOAD / 100))
}

# wait_for SECONDS TEXT COMMAND… - waits until the command succeeds. Tests wait by no other means.
# SECONDS are those of an idle machine: with twice as many processes as CPUs one second lasts two.
# A poll costs CPU, so the pause before the next one is an eighth of the time so far, between 50 and
# 250 ms. A slow machine pauses longer.
wait_for()
{
	local left=$(($1 * 1000000 * LAB_LIMIT)) begin=${EPOCHREALTIME/[.,]/} last now pause LOAD

	shift 2
	last=$begin
	until "$@" >/dev/null 2>&1; do
		lab_load
		now=${EPOCHREALTIME/[.,]/}
		left=$((left - (now - last) * 100 / LOAD)) last=$now
		((left > 0)) || return 1
		pause=$(((now - begin) / 8000))
		pause=$((${RTPX_PATIENCE:-1} * (pause < 50 ? 50 : pause > 250 ? 250 : pause)))
		printf -v pause "%d.%03d" $((pause / 1000)) $((pause % 1000))
		sleep "$pause"
	done
}

# must_wait - like wait_for, but the test fails if the condition does not come.
must_wait()
{
	wait_for "$@" || fail "no $2 within $1 s" $LAB_BLAME
}
LAB_BLAME=	# processes whose logs a failed must_wait shows

# ---- beginning and end -----------------------------------------------------------------------

# lab_begin [COMMAND…] - a test calls it first. The test is skipped if a command is not installed.
lab_begin()
{
	local c

	[ "$(id -u)" = 0 ] || skip "network namespaces need root"
	for c in ip nsenter ethtool "$@"; do
		command -v "$c" >/dev/null || skip "$c is not installed"
	done
	LAB_DIR=$(mktemp -d -t "rtpx-${LAB_TEST// /-}.XXXXXX")
	trap lab_end EXIT
	trap 'exit 1' INT TERM HUP
	trap 'lab_broken $? "$BASH_COMMAND"' ERR
}

# lab_broken STATUS COMMAND - a command of the test itself failed, so the relay cannot be judged.
lab_broken()
{
	local i

	echo "FAIL $LAB_TEST: status $1 of: $2" >&2
	for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
		echo "  at ${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]} ${FUNCNAME[i]}" >&2
	done
	exit 1
}

lab_end()
{
	local status=$? n pid

	trap - EXIT ERR
	trap '' INT TERM HUP
	set +e
	for n in "${LAB_AT_END[@]}"; do
		"$n"
	done
	for n in "${!LAB_PID[@]}"; do
		kill -TERM "${LAB_PID[$n]}" 2>/dev/null
	done
	for n in "${!LAB_PID[@]}"; do
		lab_reap "$n"
	done
	for n in "${LAB_NAMES[@]}"; do
		for pid in $(ip netns pids "$LAB_TAG-$n"); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$LAB_TAG-$n"
	done
	[ -d "$LAB_DIR/bpf" ] && umount "$LAB_DIR/bpf"
	if [ "${RTPX_KEEP:-0}" = 1 ]; then
		echo "logs and captures: $LAB_DIR"
	else
		rm -rf "$LAB_DIR"
	fi
	exit "$status"
}

# ---- namespaces, links, addresses ------------------------------------------------------------

# lab_ns NAME… - makes namespaces with a loopback and without IPv6 duplicate address detection.
lab_ns()
{
	local n

	for n; do
		ip netns add "$LAB_TAG-$n"
		LAB_NAMES+=("$n")
		ip -n "$LAB_TAG-$n" link set lo up
		sysctl_in "$n" net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	done
}

# in_ns NAME COMMAND… - runs a command in a namespace. `ip netns exec` would mount a fresh /sys,
# which hides pinned BPF maps.
in_ns()
{
	local n=$1

	shift
	nsenter --net="/run/netns/$LAB_TAG-$n" -- "$@"
}

ip_in()
{
	local n=$1

	shift
	ip -n "$LAB_TAG-$n" "$@"
}

sysctl_in()
{
	local n=$1

	shift
	in_ns "$n" sysctl -qw "$@"
}

# lab_link A DEV B DEV - makes a veth pair and sets it up. Native XDP redirects to a veth only if
# its peer runs NAPI, which GRO switches on. Checksums are complete and packets are single, as on a
# wire: generic XDP leaves other packets of the same host to the sockets.
lab_link()
{
	ip_in "$1" link add "$2" type veth peer name "$4" netns "$LAB_TAG-$3"
	in_ns "$1" ethtool -K "$2" gro on tx off >"$LAB_DIR/ethtool.log"
	in_ns "$3" ethtool -K "$4" gro on tx off >"$LAB_DIR/ethtool.log"
	ip_in "$1" link set "$2" up
	ip_in "$3" link set "$4" up
}

# lab_addr NAME DEV ADDRESS/LENGTH… - adds addresses to a device.
lab_addr()
{
	local n=$1 dev=$2 a

	shift 2
	for a; do
		case $a in
		*:*) ip_in "$n" addr add "$a" dev "$dev" nodad ;;
		*) ip_in "$n" addr add "$a" dev "$dev" ;;
		esac
	done
}

# lab_nat NAME INSIDE OUTSIDE - makes a home router. Source ports change unpredictably, and packets
# that answer no request from inside are dropped. A phone behind it never knows its own address.
lab_nat()
{
	sysctl_in "$1" net.ipv4.ip_forward=1
	in_ns "$1" nft -f - <<-EOF
		table ip nat {
			chain out {
				type nat hook postrouting priority srcnat
				oifname "$3" masquerade fully-random
			}
		}
		table ip filter {
			chain input {
				type filter hook input priority filter
				iifname "$3" meta l4proto udp ct state new drop
			}
			chain forward {
				type filter hook forward priority filter; policy drop
				iifname "$2" accept
				ct state established,related accept
			}
		}
	EOF
}

#   alice                nata                  net                     natb                bob
#  ┌────────────┐   ┌────────────────┐   ┌──────────────────┐   ┌────────────────┐   ┌───────────┐
#  │ eth0       │   │ in         out │   │ toa          tob │   │ out         in │   │      eth0 │
#  │ 10.0.0.180 ├───┤ 10.0.0.1       │   │ 200.0.0.254      │   │      10.20.0.1 ├───┤10.20.0.40 │
#  └────────────┘   │      200.0.0.1 ├───┤      200.0.1.254 ├───┤ 200.0.1.1      │   └───────────┘
#                   │ masquerade     │   │       tor        │   │     masquerade │
#                   └────────────────┘   │    90.0.0.254    │   └────────────────┘
#                                        └────────┬─────────┘
#                                           eth0 90.0.0.1
#                                          relay: kamailio, rtpxd
#
# lab_nat_net - makes two phones behind two NATs, and a provider between them.
lab_nat_net()
{
	lab_ns alice nata net natb bob relay

	lab_link alice eth0 nata in
	lab_link nata out net toa
	lab_link bob eth0 natb in
	lab_link natb out net tob
	lab_link relay eth0 net tor

	lab_addr alice eth0 10.0.0.180/24
	lab_addr nata in 10.0.0.1/24
	lab_addr nata out 200.0.0.1/24
	lab_addr net toa 200.0.0.254/24
	lab_addr net tob 200.0.1.254/24
	lab_addr natb out 200.0.1.1/24
	lab_addr natb in 10.20.0.1/24
	lab_addr bob eth0 10.20.0.40/24
	lab_addr net tor 90.0.0.254/24
	lab_addr relay eth0 90.0.0.1/24

	ip_in alice route add default via 10.0.0.1
	ip_in nata route add default via 200.0.0.254
	ip_in natb route add default via 200.0.1.254
	ip_in bob route add default via 10.20.0.1
	ip_in relay route add default via 90.0.0.254

	sysctl_in net net.ipv4.ip_forward=1
	lab_nat nata in out
	lab_nat natb in out
}

# ---- processes -------------------------------------------------------------------------------

# lab_start NAMESPACE PROCESS COMMAND… - starts a process in the background, output to PROCESS.log.
lab_start()
{
	local n=$1 p=$2

	shift 2
	# Emptied before the process runs: an earlier process of the same name may have left its log.
	: >"$LAB_DIR/$p.log"
	nsenter --net="/run/netns/$LAB_TAG-$n" -- "$@" >>"$LAB_DIR/$p.log" 2>&1 </dev/null &
	LAB_PID[$p]=$!
}

lab_running() { kill -0 "${LAB_PID[$1]:-0}" 2>/dev/null; }
lab_gone() { ! kill -0 "$1" 2>/dev/null; }

# lab_wait SECONDS PROCESS - waits until it ends by itself. Returns its exit status, or 124 if it
# did not end.
lab_wait()
{
	local pid=${LAB_PID[$2]} status=0

	wait_for "$1" "end of $2" lab_gone "$pid" || return 124
	wait "$pid" || status=$?
	unset "LAB_PID[$2]"
	return "$status"
}

# lab_reap PROCESS - gives a process that was sent a signal 5 s to end, then kills it. Returns its
# exit status.
lab_reap()
{
	local pid=${LAB_PID[$1]} status=0

	wait_for 5 "end of $1" lab_gone "$pid" || kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null || status=$?
	unset "LAB_PID[$1]"
	return "$status"
}

# lab_stop PROCESS [SIGNAL] - ends a process and returns its exit status.
lab_stop()
{
	# 2>/dev/null: bash prints the death of a process by a signal
	{
		kill -"${2:-TERM}" "${LAB_PID[$1]}" || :
		lab_reap "$1"
	} 2>/dev/null
}

# capture NAMESPACE DEV FILE [FILTER] - captures to FILE.pcap from its return until capture_end.
capture()
{
	local n=$1 dev=$2 f=$3

	shift 3
	lab_start "$n" "$f.pcap" dumpcap -q -P -i "$dev" -f "${*:-ip or ip6}" -w "$LAB_DIR/$f.pcap"
	LAB_BLAME=$f.pcap must_wait 10 "capture on $n's $dev" capture_open "$n" "$f"
}

# capture_open NAMESPACE FILE - the namespace has a packet socket, and the file has a header.
capture_open()
{
	[ -s "$LAB_DIR/$2.pcap" ] && in_ns "$1" awk 'NR > 1 { n++ } END { exit !n }' /proc/net/packet
}

# capture_end FILE TEXT - ends a capture. TEXT is in a packet that has arrived: when the file has
# it, the file has all earlier packets too.
capture_end()
{
	must_wait 10 "$2 in capture $1" grep -aq -- "$2" "$LAB_DIR/$1.pcap"
	lab_stop "$1.pcap" INT || fail "capture $1 ended badly" "$1.pcap"
}

# ---- the relay -------------------------------------------------------------------------------

# need_module - skips the test unless the netfilter module is loaded. In a virtual machine it loads
# the module.
need_module()
{
	[ ! -d /sys/module/rtpx ] || return 0
	[ -n "${RTPX_IN_VM:-}" ] || skip "the module rtpx is not loaded"
	check "the module can be loaded" insmod "$RTPX_BUILD/kmod/rtpx.ko"
}

# dataplane_options none|kmod|generic|native - sets DATAPLANE, the options of rtpxd that force it.
dataplane_options()
{
	case $1 in
	none) DATAPLANE=(--dataplane none) ;;
	kmod)
		need_module
		DATAPLANE=(--dataplane kmod)
		;;
	generic | native) DATAPLANE=(--dataplane xdp --xdp-mode "$1") ;;
	*) fail "no such dataplane: $1" ;;
	esac
}

# start_rtpxd NAMESPACE NAME ADDRESS PORT OPTION… - starts a relay with control on udp:ADDRESS:PORT,
# and returns when it answers. Its maps are pinned below a bpffs of the test's own. On a busy machine a call is silent
# for longer than the default time to live, so it is longer here unless an option says otherwise.
start_rtpxd()
{
	local n=$1 name=$2 addr=$3 port=$4

	shift 4
	[ -x "$RTPX_BUILD/rtpxd" ] || fail "no rtpxd in $RTPX_BUILD"
	if [ ! -d "$LAB_DIR/bpf" ]; then
		mkdir "$LAB_DIR/bpf"
		mount -t bpf -o mode=0700 bpf "$LAB_DIR/bpf"
	fi
	LAB_NS[$name]=$n
	LAB_CTL[$name]="$addr $port"
	lab_start "$n" "$name" "${LAB_WRAP[@]}" "$RTPX_BUILD/rtpxd" -f -F -s "udp:$addr:$port" -p "$LAB_DIR/$name.pid" \
		--pin-dir "$LAB_DIR/bpf/$name" --admin-socket "$LAB_DIR/$name.admin" \
		--state-dir "$LAB_DIR/$name.state" ${RTPX_PORT_SOCKETS:+--port-sockets "$RTPX_PORT_SOCKETS"} \
		-T 600 "$@"
	LAB_BLAME=$name must_wait 10 "answer from rtpxd ($name)" rtpxd_answers "$name"
}

rtpxd_answers() { lab_running "$1" && [ "$(rtpp "$1" V)" = 20040107 ]; }

# rtpp NAME COMMAND - sends one command of the rtpproxy protocol over UDP, and prints the reply
# without its cookie. Waits 2 s for the reply; on a busy machine it sends again, as a controller does:
# the cookie is the same, so the relay does not execute the command twice.
rtpp()
{
	local name=$1 cookie LOAD

	shift
	# A repeated cookie would be answered from the relay's cache. RANDOM repeats in a test that
	# polls.
	cookie=$BASHPID.${EPOCHREALTIME/[.,]/}
	lab_load
	in_ns "${LAB_NS[$name]}" bash -c '
		exec 3<>"/dev/udp/$1/$2" || exit
		for ((try = $5; try; try--)); do
			printf "%s %s" "$3" "$4" >&3
			timeout 2 dd bs=4096 count=1 status=none <&3
			status=$?
			[ $status = 124 ] || break
		done
		exit $status' \
		rtpp ${LAB_CTL[$name]} "$cookie" "$*" $((LAB_LIMIT * LOAD / 100)) 2>/dev/null |
		sed -e "1s/^$cookie //" -e "1!{/^$cookie /,\$d}" # without a second answer, to a command that was sent again
}

# rtpxctl NAME ARGUMENT… - runs rtpxctl on the relay's machine, with its admin socket.
rtpxctl()
{
	local name=$1

	shift
	in_ns "${LAB_NS[$name]}" "$RTPX_BUILD/rtpxctl" --socket "$LAB_DIR/$name.admin" "$@"
}

active_sessions() { rtpp "$1" I | sed -n 's/^active sessions: //p'; }
no_sessions() { [ "$(active_sessions "$1")" = 0 ]; }

# xdp_mode NAMESPACE DEV - prints native, generic or none, by the kernel, not the daemon.
xdp_mode()
{
	case "$(ip_in "$1" link show dev "$2")" in
	*" xdpgeneric"*) echo generic ;;
	*" xdp"*) echo native ;;
	*) echo none ;;
	esac
}

# xdp_mode_is NAMESPACE DEV MODE|DATAPLANE - kmod counts as none: it has no program on an interface.
xdp_mode_is() { [ "$(xdp_mode "$1" "$2")" = "${3/kmod/none}" ]; }

# stop_rtpxd NAME DEV… - ends a relay. It must leave no pins, and no program on these interfaces.
stop_rtpxd()
{
	local name=$1 dev

	shift
	lab_stop "$name" TERM || fail "rtpxd ($name) ended with status $?" "$name"
	[ -z "$(find "$LAB_DIR/bpf/$name" -type f 2>/dev/null)" ] || fail "rtpxd ($name) left pins behind"
	for dev; do
		xdp_mode_is "${LAB_NS[$name]}" "$dev" none || fail "rtpxd ($name) left a program on $dev"
	done
}

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# runs: together quick
# shellcheck source-path=SCRIPTDIR
#
# log.sh - the reader of the log stops: an unread pipe on stderr, then a stopped syslogd. Commands are answered, media
# of the daemon's sockets go on, SIGTERM ends it. When the reader goes on, the log says how many lines were lost, and of
# refused commands how many lines were left out.

. "$(dirname "$0")/floor_lib.sh"
REFUSED=3000	# 1,437 lines filled a pipe

lab_begin python3 jq busybox unshare
busybox syslogd --help >/dev/null 2>&1 || skip "this busybox has no syslogd"
floor_net

# refuse HOW-MANY - that many commands which rtpxd refuses with a line in the log: there are no ports left.
refuse()
{
	in_ns relay python3 - "$1" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.settimeout(10)
		s.connect(("127.0.0.1", 7722))
		for i in range(int(sys.argv[1])):
		    s.send(b"cookie%d U refused%d 192.0.2.10 6000 a" % (i, i))
		    answer = s.recv(2048)
		    if b" E" not in answer:
		        sys.exit("not refused: %r" % answer)
	END
}

# goes_on - beside refused commands, a call through the daemon's sockets loses nothing.
goes_on()
{
	floor_call rtpxd 198.51.100.10
	while rtpp rtpxd "U fill-$RANDOM 192.0.2.10 6000 a" | grep -q '^[1-9]'; do :; done
	floor_talk 2 198.51.100.10 198.51.100.1 1
	refuse $REFUSED
	floor_talked 15
	is "$(bob_missed) $(heard bob .wrong) $(heard alice .wrong)" "0 0 0" "packets that bob missed or heard wrong, or alice,"
}

log_has() { grep -qE "$1" "$LAB_DIR/read.log"; }

# ---- stderr: a pipe that its reader leaves alone ----

OPTIONS=(-l 192.0.2.1/198.51.100.1 --bridge_symmetric -m 40000 -M 40009 --dataplane none)
mkfifo "$LAB_DIR/pipe"
lab_start relay reader bash -c "exec cat $LAB_DIR/pipe >$LAB_DIR/read.log"
LAB_WRAP=(bash -c "exec \"\$@\" >$LAB_DIR/pipe 2>&1" rtpxd)
start_rtpxd relay rtpxd 127.0.0.1 7722 "${OPTIONS[@]}"
kill -STOP "${LAB_PID[reader]}"
goes_on
is "$(rtpxctl rtpxd --json status | jq .pid)" "${LAB_PID[rtpxd]}" "process that answers"
# Beyond the budget of a kind: every call has a line at this level.
for ((i = 0; i < 10; i++)); do refuse 200; done
kill -CONT "${LAB_PID[reader]}"
must_wait 10 "count of lines left out" log_has 'ERR:GLOBAL:[a-z_]+:[0-9]+: [0-9]+ more lines of this kind left out'
[ "$(grep -c 'no media ports for a new session' "$LAB_DIR/read.log")" -lt 200 ] || fail "the log has a line for each refused command" read
ok "refused commands have some lines, and their number"
kill -STOP "${LAB_PID[reader]}"
refuse $REFUSED
lab_stop rtpxd TERM || fail "rtpxd ended with status $?"
ok "an unread pipe: commands, media and SIGTERM as ever"
kill -CONT "${LAB_PID[reader]}"
lab_wait 10 reader || fail "the reader of the log has not ended"
rm -rf "$LAB_DIR/rtpxd.state"

# ---- stderr, every line of DBUG: more than pipe and memory hold ----

# ends HOW-MANY - calls begin and end, a line each.
ends()
{
	local i

	in_ns relay python3 - "$1" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.settimeout(10)
		s.connect(("127.0.0.1", 7722))
		for i in range(int(sys.argv[1])):
		    name = b"%d-%s" % (i, 200 * b"n")
		    for command in (b"U " + name + b" 192.0.2.10 6000 a", b"D " + name + b" a"):
		        s.send(b"%s%d %s" % (command[:1], i, command))
		        s.recv(2048)
	END
}

lab_start relay reader bash -c "exec cat $LAB_DIR/pipe >$LAB_DIR/read.log"
start_rtpxd relay rtpxd 127.0.0.1 7722 -l 192.0.2.1/198.51.100.1 --bridge_symmetric --dataplane none
kill -STOP "${LAB_PID[reader]}"
ends 2000
kill -CONT "${LAB_PID[reader]}"
must_wait 10 "count of lost lines" log_has 'WARN:GLOBAL:log:0: [0-9]+ lines lost: the reader of stderr was too slow'
is "$(($(grep -c 'session [0-9]* ended' "$LAB_DIR/read.log") + $(sed -n 's/.*: \([0-9]*\) lines lost.*/\1/p' "$LAB_DIR/read.log")))" 2000 \
	"number of lines written and lost"
LAB_BLAME=read lab_stop rtpxd TERM || fail "rtpxd ended with status $?"
lab_wait 10 reader || fail "the reader of the log has not ended"
LAB_WRAP=()
ok "lost lines are counted in the log"

# ---- syslog: a syslogd that is stopped ----

# One of the test's own, in a /dev of its own. With -r nsenter finds rtpxd when the test itself runs in a chroot.
lab_start relay syslogd unshare -m bash -c 'mount -t tmpfs dev /dev && mknod /dev/null c 1 3 && mknod /dev/urandom c 1 9 &&
	exec busybox syslogd -n -O "$1"' syslogd "$LAB_DIR/read.log"
rm -f "$LAB_DIR/read.log"
syslog_there() { [ -S "/proc/${LAB_PID[syslogd]}/root/dev/log" ]; }
must_wait 10 "syslogd" syslog_there
LAB_WRAP=(nsenter -m -r -t "${LAB_PID[syslogd]}")
LAB_NS[rtpxd]=relay LAB_CTL[rtpxd]="127.0.0.1 7722"
lab_start relay starts "${LAB_WRAP[@]}" "$RTPX_BUILD/rtpxd" -F -s udp:127.0.0.1:7722 -p "$LAB_DIR/rtpxd.pid" -d info \
	--pin-dir "$LAB_DIR/bpf/rtpxd" --admin-socket "$LAB_DIR/rtpxd.admin" --state-dir "$LAB_DIR/rtpxd.state" "${OPTIONS[@]}"
lab_wait 10 starts || fail "rtpxd does not start as a daemon" starts
LAB_PID[rtpxd]=$(cat "$LAB_DIR/rtpxd.pid")
must_wait 10 "lines in the syslog" log_has 'daemon.info rtpxd\[[0-9]+\]: INFO:GLOBAL:'
kill -STOP "${LAB_PID[syslogd]}"
goes_on
kill -CONT "${LAB_PID[syslogd]}"
must_wait 10 "count of lines left out" log_has 'rtpxd\[[0-9]+\]: ERR:GLOBAL:[a-z_]+:[0-9]+: [0-9]+ more lines of this kind left out'
kill -STOP "${LAB_PID[syslogd]}"
refuse $REFUSED
kill -TERM "${LAB_PID[rtpxd]}"
must_wait 10 "end of rtpxd" lab_gone "${LAB_PID[rtpxd]}"
ok "a stopped syslogd: commands, media and SIGTERM as ever"
unset "LAB_PID[rtpxd]"
kill -CONT "${LAB_PID[syslogd]}"
pass

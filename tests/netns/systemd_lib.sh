# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash source-path=SCRIPTDIR
#
# systemd_lib.sh - sourced after lab.sh: systemd itself as process 1 of namespaces of its own (processes, mounts, control
# groups, host name), in a network namespace of the test, and rtpxd as the service of daemon/rtpxd.service. It sees
# no other unit of this machine. No test.

SD_ROOT=	# what is mounted for it
SD_CGROUP=	# above all of its processes

# sd_begin NAMESPACE OPTION… - rtpxd runs with the options of its unit and these; systemctl works when this returns.
sd_begin()
{
	local n=$1

	shift
	command -v systemctl >/dev/null && [ -x /usr/lib/systemd/systemd ] || skip "systemd is not installed"
	SD_ROOT=$LAB_DIR/systemd
	mkdir -p "$SD_ROOT/units/rtpxd.service.d" "$SD_ROOT/sbin"
	cp "$RTPX_BUILD/rtpxd" "$SD_ROOT/sbin/rtpxd"
	sd_units "$*"
	sd_cgroup
	LAB_AT_END+=(sd_end)
	# shellcheck disable=SC2016
	lab_start "$n" systemd bash -c '
		echo $$ >"$1/cgroup.procs"
		exec unshare --pid --mount --cgroup --ipc --uts --fork --kill-child --mount-proc bash -c "$2" systemd "$3"' \
		systemd "$SD_CGROUP" "$SD_INIT" "$SD_ROOT"
	LAB_BLAME=systemd must_wait 20 "systemd" sd_runs
}

# In its namespaces: nothing that it writes reaches the machine.
# shellcheck disable=SC2016
SD_INIT='
	set -e
	hostname rtpx-test
	mount --make-rprivate /
	lab=${1%/*}
	for dir in /run /var/lib /var/tmp; do mount -t tmpfs -o mode=755 rtpx $dir; done
	mkdir /run/lab
	mount --bind "$lab" /run/lab
	mount -t tmpfs -o mode=1777 rtpx /tmp
	mkdir -p "$lab"
	mount --move /run/lab "$lab"
	umount -R /sys/fs/cgroup 2>/dev/null || :
	mount -t cgroup2 rtpx /sys/fs/cgroup
	mount --bind "$1/sbin" /usr/local/sbin
	mount -t bpf -o mode=700 bpf /sys/fs/bpf
	export container=rtpx SYSTEMD_UNIT_PATH="$1/units"
	exec /usr/lib/systemd/systemd --system --unit=rtpxd.service --log-target=console --log-level=notice --show-status=no
'

# sd_units OPTIONS - the unit as it is shipped, but for the place of the program and the user.
sd_units()
{
	local t

	for t in sysinit basic shutdown sockets timers paths slices umount network-online multi-user final exit emergency; do
		printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' $t >"$SD_ROOT/units/$t.target"
	done
	sed "s,/usr/sbin/rtpxd,/usr/local/sbin/rtpxd,; s,/usr/lib/tmpfiles.d,$SD_ROOT,
		s/^User=.*/User=nobody/; s/^Group=.*/Group=nogroup/; s/-u :rtpx/-u :nogroup/" \
		"$LAB_ROOT/daemon/rtpxd.service" >"$SD_ROOT/units/rtpxd.service"
	sed '/^[dZ]/s/rtpx rtpx/nobody nogroup/' "$LAB_ROOT/daemon/rtpxd.tmpfiles" >"$SD_ROOT/rtpxd.conf"
	printf '[Service]\nEnvironmentFile=\nEnvironment="RTPXD_OPTIONS=%s" "RTPXD_CONTROL=%s" "RTPXD_LOG=%s"\n' \
		"$1" "-s udp:127.0.0.1:7722 -s unix:/run/rtpx/rtpx.sock" "-d dbug" >"$SD_ROOT/units/rtpxd.service.d/test.conf"
	printf 'StandardError=append:%s\nLimitNOFILE=\n' "$LAB_DIR/rtpxd.log" >>"$SD_ROOT/units/rtpxd.service.d/test.conf"
}

sd_cgroup()
{
	local root=/sys/fs/cgroup

	[ -e $root/cgroup.procs ] || root=/sys/fs/cgroup/unified
	[ -e $root/cgroup.procs ] || skip "no control groups of version 2"
	SD_CGROUP=$root/$LAB_TAG
	mkdir "$SD_CGROUP" || skip "control groups cannot be made"
}

sd_pid() { pgrep -P "${LAB_PID[systemd]}"; }

# sd_in COMMAND… - among the processes and mounts of that systemd.
sd_in() { nsenter -m -r -p -t "$(sd_pid)" -- "$@"; }
sd_ctl() { sd_in systemctl --no-pager "$@"; }
sd_runs() { sd_ctl show --property=Version; }
sd_active() { [ "$(sd_ctl is-active rtpxd)" = active ]; }
sd_main_pid() { sd_ctl show --property=MainPID --value rtpxd; }
# sd_is_next PID - another process than this one is the service.
sd_is_next() { [ "$(sd_main_pid)" != "$1" ] && sd_active; }
sd_rtpxctl() { nsenter -m -r -n -t "$(sd_pid)" "$RTPX_BUILD/rtpxctl" "$@"; }
# sd_status FILTER - of the answer of rtpxctl status.
sd_status() { sd_rtpxctl --json status | jq -r "$1"; }

# sd_end - it ends with all of its processes; lab_end does it, too.
sd_end()
{
	local pid

	[ -n "$SD_CGROUP" ] || return 0
	if pid=$(sd_pid 2>/dev/null); then
		kill -KILL "$pid"
		lab_reap systemd || :
	fi 2>/dev/null
	wait_for 5 "" sd_cgroup_gone || say "processes are left in $SD_CGROUP"
	SD_CGROUP=
}

sd_cgroup_gone()
{
	find "$SD_CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null || :
	[ ! -d "$SD_CGROUP" ]
}

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# runs: together quick long
"""The running daemon and its control sockets: every kind at once, broken peers, socket activation, stdio, daemon mode,
signals, owners and privileges. Loopback only, without a dataplane; needs root for what concerns users.

Ends with "N passed, N failed, N skipped".
"""
import contextlib
import grp
import json
import os
import pwd
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
from patience import slowness

RTPXD = os.path.join(os.environ.get("RTPX_BUILD", "build"), "rtpxd")
PATIENCE = 60.0
CAP_NET_ADMIN, CAP_BPF = 12, 39  # linux/capability.h
VERSION = b"20040107\n"


class Skip(Exception):
    pass


def wait_for(what, condition, seconds=PATIENCE):
    """The seconds are those of an idle machine. A condition that cannot connect does not hold yet."""
    left, last = seconds, time.monotonic()
    while left > 0:
        with contextlib.suppress(ConnectionError):
            if value := condition():
                return value
        time.sleep(0.01)
        last, before = time.monotonic(), last
        left -= (last - before) / slowness()
    raise AssertionError(f"not within {seconds} s: {what}")


def free_port(kind=socket.SOCK_DGRAM, host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


class Bench:
    """A directory and the processes of one test."""

    def __init__(self, directory):
        self.dir = directory
        self.processes = []

    def path(self, name):
        return os.path.join(self.dir, name)

    def left(self):
        """Files that are still there; the directory of the journal stays, without one."""
        return [name for _, _, files in os.walk(self.dir) for name in files] + [
            name for name in os.listdir(self.dir) if name != "state" and os.path.isdir(self.path(name))]

    def args(self, *args, foreground=True, root=True):
        return ([RTPXD] + ["-f"] * foreground + ["-F"] * root + ["-p", self.path("pid"), "-m", "40000", "-M", "41999"]
                + ["-l", "127.0.0.1", "-d", "warn", "--dataplane", "none", "--admin-socket", self.path("admin"), "--state-dir", self.path("state")]
                + list(args))

    def spawn(self, *args, **kw):
        options = {k: kw.pop(k) for k in ("foreground", "root") if k in kw}
        kw.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen(self.args(*args, **options), stdout=kw.pop("stdout", subprocess.PIPE),
                             stderr=subprocess.PIPE, cwd=self.dir, **kw)
        self.processes.append(p)
        return p

    def start(self, *args, **kw):
        """A daemon that has written its pid file, which is the last thing before it serves."""
        p = self.spawn(*args, **kw)
        wait_for("pid file", lambda: p.poll() is not None or self.pid())
        assert p.poll() is None, p.communicate()[1].decode()
        return p

    def pid(self):
        with contextlib.suppress(FileNotFoundError, ValueError):
            with open(self.path("pid"), encoding="ascii") as f:
                return int(f.read())

    def fails(self, *args, **kw):
        """A start that must fail; returns its sentence."""
        p = self.spawn(*args, **kw)
        out, err = p.communicate(timeout=PATIENCE)
        assert p.returncode == 1, (p.returncode, err)
        assert out == b"" and err.count(b"\n") >= 1 and err.splitlines()[-1].startswith(b"rtpxd: "), (out, err)
        return err.splitlines()[-1].decode()

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.kill()
            p.communicate()
        if left := self.pid():  # a daemon that a failed test has left
            with contextlib.suppress(OSError), open(f"/proc/{left}/cmdline", encoding="utf-8") as f:
                if self.dir in f.read():
                    os.kill(left, signal.SIGKILL)


def stop(p, number=signal.SIGTERM):
    p.send_signal(number)
    assert p.wait(PATIENCE) == 0, p.returncode


def dial(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(path)
    return s


def ask(s, line):
    """One command on a connection of lines."""
    s.sendall(line.encode() + b"\n")
    reply = b""
    while not reply.endswith(b"\n"):
        more = s.recv(4096)
        assert more, "connection closed"
        reply += more
    return reply.decode().rstrip("\n")


def answers(path):
    """A daemon serves this socket of lines; the file is there a moment earlier."""
    with contextlib.suppress(OSError, AssertionError):
        with dial(path) as s:
            return ask(s, "V") == "20040107"


def ask_once(path, command):
    with dial(path) as s:
        s.sendall(command.encode())
        reply = b""
        while more := s.recv(4096):
            reply += more
        return reply.decode().rstrip("\n")


def status(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return re.search(rf"^{field}:\s*(.*)$", f.read(), re.M).group(1).split()


def run_seconds(pid):
    """What a process has had of the CPUs, to the nanosecond."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


# ---- listeners ----


def test_every_kind_at_once(b):
    udp, tcp = free_port(), free_port(socket.SOCK_STREAM)
    udp6, tcp6 = free_port(host="::1"), free_port(socket.SOCK_STREAM, "::1")
    p = b.start("-s", "unix:" + b.path("u"), "-s", b.path("bare"), "-s", "cunix:" + b.path("c"), "-s",
                f"udp:127.0.0.1:{udp}", "-s", f"udp6:::1:{udp6}", "-s", f"tcp:127.0.0.1:{tcp}", "-s", f"tcp6:::1:{tcp6}")
    assert ask_once(b.path("u"), "V") == "20040107"
    assert ask_once(b.path("bare"), "V") == "20040107"
    assert ask(dial(b.path("c")), "V") == "20040107"
    for family, host, port in (socket.AF_INET, "127.0.0.1", udp), (socket.AF_INET6, "::1", udp6):
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.settimeout(PATIENCE)
            s.sendto(b"cookie V", (host, port))
            assert s.recv(100) == b"cookie 20040107\n"
    for host, port in ("127.0.0.1", tcp), ("::1", tcp6):
        with socket.create_connection((host, port), PATIENCE) as s:
            assert ask(s, "V") == "20040107"
    stop(p)
    assert b.left() == [], b.left()


def test_relative_path_is_of_the_start_directory(b):
    p = b.spawn("-s", "cunix:relative", foreground=False, stdout=subprocess.DEVNULL)
    assert p.wait(PATIENCE) == 0
    assert ask(dial(b.path("relative")), "V") == "20040107"
    os.kill(b.pid(), signal.SIGTERM)
    wait_for("socket file gone", lambda: not os.path.exists(b.path("relative")))


def test_slow_peer_blocks_nobody(b):
    p = b.start("-s", "cunix:" + b.path("c"))
    slow, other = dial(b.path("c")), dial(b.path("c"))
    slow.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(1000):
            slow.send(b"I\n" * 4096)
    worst = 0.0
    for _ in range(100):
        start = time.monotonic()
        assert ask(other, "V") == "20040107"
        worst = max(worst, time.monotonic() - start)
    assert worst < 0.5 * slowness(), worst
    before = int(status(p.pid, "VmRSS")[0])
    assert before < 100_000, before
    stop(p)


def test_two_hundred_connections(b):
    p = b.start("-s", "cunix:" + b.path("c"))
    peers = [dial(b.path("c")) for _ in range(200)]
    assert all(ask(s, "V") == "20040107" for s in peers)
    for s in peers:
        s.close()
    stop(p)


def test_half_closed_peer_is_answered(b):
    p = b.start("-s", "unix:" + b.path("u"))
    for _ in range(50):
        with dial(b.path("u")) as s:
            s.sendall(b"V")
            s.shutdown(socket.SHUT_WR)
            assert s.recv(100) == VERSION
            assert s.recv(100) == b""
    stop(p)


def test_data_before_hang_up_count(b):
    p = b.start("-s", "cunix:" + b.path("c"), "-s", "unix:" + b.path("u"))
    for i in range(100):
        with dial(b.path("c")) as s:
            s.sendall(f"U c{i} 127.0.0.1 5000 tag\n".encode())
        with dial(b.path("u")) as s:
            s.sendall(f"U u{i} 127.0.0.1 5000 tag".encode())
    with dial(b.path("c")) as s:
        wait_for("200 sessions", lambda: ask(s, "G nsess_created") == "200")
        assert ask(s, "X") == "0"
    stop(p)


def test_megabyte_without_newline(b):
    p = b.start("-s", "cunix:" + b.path("c"))
    with dial(b.path("c")) as s:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(b"V" * (1 << 20))
            assert s.recv(10) == b""
    assert ask(dial(b.path("c")), "V") == "20040107"
    stop(p)


def test_retransmissions_over_udp(b):
    port = free_port()
    p = b.start("-s", f"udp:127.0.0.1:{port}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE)
        s.connect(("127.0.0.1", port))
        def say(text):
            s.send(text)
            return s.recv(2000)
        first = say(b"1_1 U call 127.0.0.1 5000 tag")
        assert first.startswith(b"1_1 4"), first
        assert all(say(b"1_1 U call 127.0.0.1 5000 tag") == first for _ in range(4))
        assert say(b"1_2 G nsess_created ncmds_rcvd ncmds_rcvd_ndups") == b"1_2 1 2 4\n"
        assert say(b"") == b"E5\n"
        assert say(b"V") == b"V E5\n"
        assert say(b"k" * 2000 + b" V") == b"E5\n"
        assert say(b"1_3 D call tag") == b"1_3 0\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:  # a proxy that has chosen the same cookie
            other.settimeout(PATIENCE)
            other.bind(("127.0.0.2", 0))
            other.connect(("127.0.0.1", port))
            mine = say(b"1_4 U mine 127.0.0.1 5000 tag")
            other.send(b"1_4 U theirs 127.0.0.1 6000 tag")
            theirs = other.recv(2000)
            assert mine.split()[1] != theirs.split()[1], (mine, theirs)
            other.send(b"1_4 U theirs 127.0.0.1 6000 tag")
            assert (other.recv(2000), say(b"1_4 U mine 127.0.0.1 5000 tag")) == (theirs, mine)
            assert say(b"1_5 D mine tag") == b"1_5 0\n" and say(b"1_6 D theirs tag") == b"1_6 0\n"
    stop(p)


def test_stale_sockets_are_replaced(b):
    p = b.start("-s", "cunix:" + b.path("c"))
    p.kill()
    p.wait()
    os.unlink(b.path("pid"))
    assert os.path.exists(b.path("c"))
    p = b.start("-s", "cunix:" + b.path("c"))
    assert "another program answers" in b.fails("-s", "unix:" + b.path("c"), "-p", b.path("pid2"), "--state-dir", b.path("state2"))
    assert ask(dial(b.path("c")), "V") == "20040107"
    stop(p)


def test_unusable_sockets_are_sentences(b):
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        assert "in use by another program" in b.fails("-s", f"udp:127.0.0.1:{port}")
        assert "in use by another program" in b.fails("-s", f"udp:127.0.0.1:{port}", foreground=False)
    assert "add -f" in b.fails("-s", "stdio:", foreground=False)
    assert "not a socket" in b.fails("-s", "cunix:/bin/sh")
    assert "65535" in b.fails("-s", "udp:127.0.0.1:65536")
    assert "the path must have" in b.fails("-s", "/tmp/" + "x" * 165)
    assert b.left() == []


# ---- activation, stdio ----


def with_listen_fds(b, sockets, *args):
    """Start the daemon with these descriptors from 3 on, as a service manager does."""
    base = 100
    for i, s in enumerate(sockets):
        os.dup2(s.fileno(), base + i)
    moves = " ".join(f"{3 + i}<&{base + i} {base + i}<&-" for i in range(len(sockets)))
    script = f"exec {moves}; export LISTEN_PID=$$ LISTEN_FDS={len(sockets)}; exec \"$@\""
    p = subprocess.Popen(["bash", "-c", script, "sh"] + b.args(*args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, cwd=b.dir, pass_fds=[base + i for i in range(len(sockets))])
    for i in range(len(sockets)):
        os.close(base + i)
    b.processes.append(p)
    return p


def test_systemd_activation(b):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(b.path("activated"))
        s.listen()
        p = with_listen_fds(b, [s], "-s", "systemd:")
        peer = dial(b.path("activated"))
        assert ask(peer, "V") == "20040107"
        assert ask(peer, "VF 20050322") == "1"
        stop(p)
    assert os.path.exists(b.path("activated")), "the socket file is the service manager's"


def test_systemd_notify(b):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(b.path("notify"))
        s.settimeout(PATIENCE)
        p = b.spawn("-s", "cunix:" + b.path("c"), env={**os.environ, "NOTIFY_SOCKET": b.path("notify")})
        message, fds, _, _ = socket.recv_fds(s, 1000, 1)
        assert b"FDSTORE=1\n" in message and b"FDNAME=rtpxd=unix" in message and len(fds) == 1, message
        while b"READY=1" not in message:  # shared sockets of the floor come in between
            for fd in fds:
                os.close(fd)
            message, fds, _, _ = socket.recv_fds(s, 1000, 16)
        assert b.pid() == p.pid
        assert ask(dial(b.path("c")), "V") == "20040107"
        stop(p)
        messages = b""
        while not (b"STOPPING=1" in messages and b"FDSTOREREMOVE=1\nFDNAME=rtpxd=unix" in messages):
            messages += s.recv(1000)


def test_systemd_sockets_of_all_kinds(b):
    """A socket unit may have any number of sockets: streams of lines, datagrams with cookies of UDP and of unix."""
    with socket.socket(socket.AF_UNIX) as lines, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as named:
        lines.bind(b.path("lines"))
        lines.listen()
        local.bind(b.path("local"))
        udp.bind(("127.0.0.1", 0))
        named.bind(("127.0.0.1", 0))
        ports = [s.getsockname()[1] for s in (udp, named)]
        p = with_listen_fds(b, [lines, local, udp, named], "-s", "systemd:", "-s", f"udp:127.0.0.1:{ports[1]}")
        assert ask(dial(b.path("lines")), "V") == "20040107"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.bind(b.path("peer"))
            peer.settimeout(PATIENCE)
            peer.sendto(b"c1 V", b.path("local"))
            assert peer.recv(1000) == b"c1 20040107\n"
        for n, port in enumerate(ports):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.connect(("127.0.0.1", port))
                peer.settimeout(PATIENCE)
                peer.send(b"u%d V" % n)
                assert peer.recv(1000) == b"u%d 20040107\n" % n
        stop(p)
    assert os.path.exists(b.path("local")) and os.path.exists(b.path("lines")), "the files are the service manager's"


def test_systemd_refuses_other_sockets(b):
    assert "socket unit" in b.fails("-s", "systemd:")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.bind(b.path("packets"))
        p = with_listen_fds(b, [s], "-s", "systemd:")
        assert b"systemd" in p.communicate(timeout=PATIENCE)[1]
        assert p.returncode == 1


def test_stdio_ends_with_its_input(b):
    p = b.spawn("-s", "stdio:", stdin=subprocess.PIPE)
    out, err = p.communicate(b"V\nVF 20050322\nunfinished", timeout=PATIENCE)
    assert (p.returncode, out) == (0, b"20040107\n1\n"), (p.returncode, out, err)


def test_stdio_waits_for_its_sessions(b):
    p = b.spawn("-s", "stdio:", "-T", "2", stdin=subprocess.PIPE)
    start = time.monotonic()
    out, _ = p.communicate(b"U a 127.0.0.1 5000 A\n", timeout=PATIENCE)
    assert p.returncode == 0 and re.fullmatch(rb"4\d+ 127.0.0.1\n", out), (p.returncode, out)
    assert 1.5 < time.monotonic() - start < 5 * slowness(), time.monotonic() - start


def test_stdioc_ends_at_once(b):
    p = b.spawn("-s", "stdioc:", "-s", "cunix:" + b.path("c"), stdin=subprocess.PIPE)
    out, _ = p.communicate(b"U a 127.0.0.1 5000 A\nV\n", timeout=5)
    assert p.returncode == 0 and out.endswith(b"\n" + VERSION), (p.returncode, out)
    assert not os.path.exists(b.path("c"))


def test_stdio_beside_streams_ends(b):
    for other in ("unix:" + b.path("c"), "cunix:" + b.path("c"), "tcp:127.0.0.1:7001"):
        p = b.spawn("-s", "stdio:", "-s", other, stdin=subprocess.PIPE)
        out, _ = p.communicate(b"V\n", timeout=PATIENCE)
        assert (p.returncode, out) == (0, VERSION), (other, p.returncode, out)


def test_stdio_beside_datagrams_goes_on(b):
    p = b.start("-s", "stdio:", "-s", "udp:127.0.0.1:7002", "-s", "cunix:" + b.path("c"), stdin=subprocess.PIPE)
    p.stdin.write(b"V\n")
    p.stdin.close()
    p.stdin = None
    assert p.stdout.read(len(VERSION)) == VERSION
    with dial(b.path("c")) as s:
        assert ask(s, "U a 127.0.0.1 5000 A").startswith("4")
    stop(p)


def test_stdio_from_a_file(b):
    with open(b.path("commands"), "w+b") as f, open(b.path("replies"), "w+b") as out:
        f.write(b"V\n" * 5000)
        f.flush()
        f.seek(0)
        p = b.spawn("-s", "stdio:", stdin=f, stdout=out)
        assert p.wait(PATIENCE) == 0
        out.seek(0)
        assert out.read() == VERSION * 5000


def test_stdio_on_one_socket(b):
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    p = b.spawn("-s", "stdio:", stdin=theirs, stdout=theirs)
    theirs.close()
    assert ask(ours, "V") == "20040107"
    ours.shutdown(socket.SHUT_WR)
    assert p.wait(PATIENCE) == 0


def test_stdout_has_nothing_but_replies(b):
    p = b.spawn("-s", "stdio:", "-d", "dbug", "-r", b.dir, stdin=subprocess.PIPE)
    out, err = p.communicate(b"V\n", timeout=PATIENCE)
    assert out == VERSION, out
    assert b"dataplane none" in err, err


# ---- the process ----


def test_daemon_is_ready_when_its_parent_ends(b):
    for extra in ([], ["--no_redirect", "-D"]):
        p = b.spawn("-s", "cunix:" + b.path("c"), *extra, foreground=False, stdout=subprocess.DEVNULL)
        assert p.wait(PATIENCE) == 0
        pid = b.pid()
        assert pid and pid != p.pid
        assert ask(dial(b.path("c")), "V") == "20040107"
        assert os.getsid(pid) == pid
        assert os.readlink(f"/proc/{pid}/cwd") == (b.dir if extra else "/")
        assert (os.readlink(f"/proc/{pid}/fd/2") == "/dev/null") != bool(extra)
        os.kill(pid, signal.SIGTERM)
        wait_for("pid file and socket gone", lambda: not os.path.exists(b.path("pid")) and not os.path.exists(b.path("c")))


def test_no_pid_file(b):
    port = free_port(socket.SOCK_STREAM)
    p = b.spawn("-s", f"tcp:127.0.0.1:{port}", "-p", "/dev/null")

    def answers():
        with contextlib.suppress(ConnectionRefusedError):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as s:
                return ask(s, "V") == "20040107"

    wait_for("answer", answers)
    stop(p)
    p = b.spawn("-s", f"tcp:127.0.0.1:{port}", "-p", b.path("no/such/directory"))
    wait_for("answer without its pid file", answers)
    stop(p)


def test_pid_file_is_no_way_to_another_file(b):
    """Root opens the pid file, perhaps where others may write: links and pipes there lead nowhere."""
    need_root()
    os.chown(b.dir, pwd.getpwnam("nobody").pw_uid, -1)
    with open(b.path("other"), "w", encoding="ascii") as f:
        f.write("kept")
    for make, error in ((lambda: os.symlink(b.path("other"), b.path("pid")), b"Too many levels of symbolic links"),
                        (lambda: os.link(b.path("other"), b.path("pid")), b"Too many links"),
                        (lambda: os.mkfifo(b.path("pid")), b"No such device or address")):
        make()
        p = b.spawn("-s", "cunix:" + b.path("c"), "-u", "nobody")
        wait_for("control socket", lambda: os.path.exists(b.path("admin")))
        stop(p)
        said = p.stderr.read()
        assert error in said, said
        with open(b.path("other"), encoding="ascii") as f:
            assert f.read() == "kept"
        assert os.stat(b.path("other")).st_uid == 0
        os.unlink(b.path("pid"))


def test_signals_end_it(b):
    for name in "TERM", "INT", "USR1", "USR2", "XCPU", "XFSZ", "PROF", "VTALRM":
        p = b.start("-s", "cunix:" + b.path("c"))
        with dial(b.path("c")) as s:
            assert ask(s, "U a 127.0.0.1 5000 A").startswith("4")
            start = time.monotonic()
            stop(p, getattr(signal, "SIG" + name))
        assert time.monotonic() - start < 1.5 * slowness(), name
        assert b.left() == [], (name, b.left())


def test_signals_do_not_disturb_the_end(b):
    """SIGTERM without a pause, up to the last moment of the process."""
    for _ in range(10):
        p = b.start("-s", "cunix:" + b.path("c"))
        until = time.monotonic() + PATIENCE
        while p.poll() is None and time.monotonic() < until:
            os.kill(p.pid, signal.SIGTERM)
        assert p.wait(PATIENCE) == 0, p.returncode
        assert b.left() == [], b.left()


def test_second_daemon_does_not_wait_for_a_living_one(b):
    """Neither in the foreground, nor when the first one has become a daemon, nor under the name rtpproxy."""
    drop_in = b.path("rtpproxy")
    os.symlink(os.path.realpath(RTPXD), drop_in)
    for foreground in (True, False):
        first = b.spawn("-s", "cunix:" + b.path("c"), foreground=foreground)
        wait_for("pid file", b.pid)
        other = {"-s": "cunix:" + b.path("d"), "-p": b.path("other-pid"), "--admin-socket": b.path("other-admin")}
        more = [word for pair in other.items() for word in pair]
        begin = time.monotonic()
        said = b.fails(*more)
        took = time.monotonic() - begin
        assert f"another rtpxd uses {b.path('state')}" in said and took < 0.9 * slowness(), (said, took)
        begin = time.monotonic()
        p = subprocess.Popen([drop_in] + b.args(*more)[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        b.processes.append(p)
        wait_for("rtpproxy beside rtpxd", lambda: p.poll() is not None or answers(b.path("d")))
        took = time.monotonic() - begin
        assert took < 0.9 * slowness(), took
        stop(p)
        assert b"no journal, so calls end with this process: another rtpxd" in p.stderr.read()
        os.kill(b.pid(), signal.SIGTERM)
        wait_for("end of the first one", lambda: not os.path.exists(b.path("pid")))
        first.wait(PATIENCE)
    os.unlink(drop_in)


def test_next_daemon_waits_for_one_that_ends(b):
    """By hand, as fast as a shell does it: the next one starts while the last one is told to end."""
    p = b.start("-s", "cunix:" + b.path("c0"))
    for i in range(1, 8):
        p.send_signal(signal.SIGPWR)
        following = b.spawn("-s", f"cunix:{b.path(f'c{i}')}", "-p", b.path(f"pid{i}"), "--admin-socket", b.path(f"admin{i}"))
        wait_for("next daemon", lambda: following.poll() is not None or answers(b.path(f"c{i}")))
        assert following.poll() is None, following.communicate()
        assert p.wait(PATIENCE) == 0
        p = following
    stop(p)


def test_left_calls_do_not_end(b):
    p = b.start("-s", "cunix:" + b.path("c"), "-d", "dbug")
    with dial(b.path("c")) as s:
        ask(s, "U over 127.0.0.1 5000 A")
        assert ask(s, "D over A") == "0"
        ask(s, "U stays 127.0.0.1 5000 A")
    stop(p, signal.SIGPWR)
    said = p.stderr.read().decode()
    assert re.search(r"over:.*session 1 ended", said), said
    assert re.search(r"stays:.*session 2 goes on in the next rtpxd", said) and "session 2 ended" not in said, said
    p = b.start("-s", "cunix:" + b.path("c"), "-d", "dbug")
    stop(p)
    assert re.search(r"stays:.*session 2 ended", p.stderr.read().decode())


def test_time_out_says_what_is_known(b):
    """A call without an L: was there a callee, all the same?"""
    p = b.start("-s", "cunix:" + b.path("c"), "-d", "info", "-T", "2")
    with dial(b.path("c")) as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as callee:
        ask(s, "U mute 127.0.0.1 5000 A")
        port = int(ask(s, "U spoken 127.0.0.1 5000 A").split()[0])
        for i in range(3):
            callee.sendto(bytes([0x80, 0]) + i.to_bytes(2, "big") + bytes(168), ("127.0.0.1", port))
        wait_for("three packets", lambda: ask(s, "G npkts_discard") == "3")
        wait_for("end of both", lambda: "active sessions: 0" in ask_info(b))
    stop(p)
    said = p.stderr.read().decode()
    assert re.search(r"mute:.*timed out: no L has named its callee, which has sent no packet$", said, re.M), said
    assert re.search(r"spoken:.*timed out: no L has named its callee, which has sent 3 packets, the latest \d\.\d s ago$", said, re.M), said


def ask_info(b):
    with dial(b.path("c")) as s:
        s.sendall(b"I\n")
        reply = b""
        while b"packets transmitted" not in reply:
            reply += s.recv(4096)
        return reply.decode()


def test_addresses_named_by_commands_do_not_pile_up(b):
    """Each U of 20,000 names an address of its own, and its call ends again; then a U is as fast as before."""
    p = b.start("-s", "cunix:" + b.path("c"), "-n", "unix:" + b.path("none"))
    with dial(b.path("c")) as s:
        def some(first, count, name):
            begin = run_seconds(p.pid)
            for i in range(first, first + count, 100):
                s.sendall(b"".join(name(k) for k in range(i, i + 100)))
                left = 200
                while left:
                    left -= s.recv(65536).count(b"\n")
            return run_seconds(p.pid) - begin
        def of_its_own(k):
            return b"Ul127.%d.%d.1 b%d 127.0.0.1 5000 A\nD b%d A\n" % (k // 250 + 1, k % 250 + 1, k, k)
        before = min(some(i * 1000, 1000, of_its_own) for i in range(3))
        some(3000, 20000, of_its_own)
        after = min(some(23000 + i * 1000, 1000, of_its_own) for i in range(3))
        assert after < 3 * before, (before, after)
    stop(p)


def test_hup_waits_for_the_last_session(b):
    p = b.start("-s", "cunix:" + b.path("c"))
    with dial(b.path("c")) as s:
        ask(s, "U a 127.0.0.1 5000 A")
        p.send_signal(signal.SIGHUP)
        wait_for("E99", lambda: ask(s, "U b 127.0.0.1 5000 A") == "E99" or ask(s, "D b A") != "0")
        assert ask(s, "U b 127.0.0.1 5000 A") == "E99"
        assert ask(s, "L a 127.0.0.1 6000 A B").startswith("4")
        assert p.poll() is None
        assert ask(s, "D a A") == "0"
    assert p.wait(3) == 0
    assert b.left() == []
    p = b.start("-s", "cunix:" + b.path("c"))
    stop(p, signal.SIGHUP)


def test_fatal_signals_leave_traces(b):
    p = b.start("-s", "cunix:" + b.path("c"), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    p.send_signal(signal.SIGQUIT)
    assert p.wait(PATIENCE) == -signal.SIGQUIT, p.returncode
    assert b"CRIT" in p.stderr.read()
    assert b.pid() == p.pid and os.path.exists(b.path("c"))


def test_broken_pipe_is_ignored(b):
    p = b.start("-s", "cunix:" + b.path("c"))
    for _ in range(20):
        with dial(b.path("c")) as s:
            s.sendall(b"V\n" * 1000)
    p.send_signal(signal.SIGPIPE)
    assert ask(dial(b.path("c")), "V") == "20040107"
    stop(p)


def test_root_must_say_so_for_udp(b):
    need_root()
    port = free_port()
    assert "-F" in b.fails("-s", f"udp:127.0.0.1:{port}", root=False)
    p = b.start("-s", "cunix:" + b.path("c"), root=False)
    stop(p)
    assert b"runs as root" in p.stderr.read()


def test_mode_and_owner_of_sockets(b):
    need_root()
    nobody, group = pwd.getpwnam("nobody"), grp.getgrnam("daemon")
    os.chmod(b.dir, 0o777)
    for extra, mode, gid in (
        (["-u", "nobody:daemon"], 0o755, group.gr_gid),
        (["-u", "nobody:daemon", "-w", "432"], 0o660, group.gr_gid),
        (["-u", "nobody:daemon", "-w", "0660"], 0o660, group.gr_gid),
        (["-u", "nobody", "-w", "432"], 0o700, os.getgid()),
    ):
        p = b.start("-s", "cunix:" + b.path("c"), *extra, umask=0o077)
        st = os.stat(b.path("c"))
        assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (nobody.pw_uid, gid, mode), (extra, oct(st.st_mode))
        stop(p)
        assert b.left() == [], b.left()


def test_privileges_are_dropped(b):
    need_root()
    nobody, group = pwd.getpwnam("nobody"), grp.getgrnam("daemon")
    os.chmod(b.dir, 0o777)
    for user, uid, gid, sockets, kept in (
        ("nobody", nobody.pw_uid, nobody.pw_gid, "each", 0),
        ("nobody:daemon", nobody.pw_uid, group.gr_gid, "shared", 1 << CAP_BPF | 1 << CAP_NET_ADMIN),
        (":daemon", 0, group.gr_gid, "each", None),
    ):
        p = b.start("-s", "cunix:" + b.path("c"), "-u", user, "--port-sockets", sockets, root=False,
                    preexec_fn=lambda: os.setgroups([4, 20, 27]))
        assert status(p.pid, "Uid") == [str(uid)] * 4, user
        assert status(p.pid, "Gid") == [str(gid)] * 4, user
        assert not set(status(p.pid, "Groups")) & {"4", "20", "27"}, user
        if uid:
            assert int(status(p.pid, "CapEff")[0], 16) == kept and int(status(p.pid, "CapBnd")[0], 16) == 0, user
        assert ask(dial(b.path("c")), "U a 127.0.0.1 5000 A").startswith("4")
        stop(p)


def test_core_dump_after_giving_up_root(b):
    need_root()
    os.chmod(b.dir, 0o777)
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as f:
        if "/" in f.read():
            raise Skip("core dumps of this host go elsewhere")
    p = b.start("-s", "cunix:" + b.path("c"), "-u", "nobody", root=False)
    assert os.stat(f"/proc/{p.pid}/fd").st_uid == pwd.getpwnam("nobody").pw_uid
    p.send_signal(signal.SIGSEGV)
    assert p.wait(PATIENCE) == -signal.SIGSEGV
    assert [name for name in os.listdir(b.dir) if name.startswith("core")]


def rtpxctl(b, *words, code=0):
    r = subprocess.run([os.path.join(os.path.dirname(RTPXD), "rtpxctl"), "--socket", b.path("admin"), *words],
                       capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert r.returncode == code, (words, r)
    return r.stdout


def test_address_that_the_host_lacks(b):
    p = b.start("-s", "cunix:" + b.path("c"), "-l", "x@192.0.2.77", "-6", "y@2001:db8::77")
    with dial(b.path("c")) as s:
        assert ask(s, "U a 127.0.0.1 5000 A").startswith("4")
        assert ask(s, "Ulx b 127.0.0.1 5000 A").startswith("E")
    status_text, said = rtpxctl(b, "status"), rtpxctl(b, "doctor")
    for address in ("192.0.2.77", "2001:db8::77"):
        assert re.search(rf"^media       {address}: Cannot assign", status_text, re.M), status_text
        assert re.search(rf"^wrong    media         no port can be opened on {address}: Cannot assign", said, re.M), said
    assert re.search(r"^ok       media         ports can be opened on 127.0.0.1$", said, re.M), said
    assert said.splitlines()[-1] == "ok       calls         calls can work", said
    stop(p)
    log = p.stderr.read().decode()
    for address in ("192.0.2.77", "2001:db8::77"):
        assert re.search(rf"WARN:.*media address {address}: no port can be opened on it now .Cannot assign", log), log
    assert "media address 127.0.0.1" not in log


def test_outgoing_ports(b):
    """Ports that the kernel gives to outgoing connections: doctor looks whether media ports are among them."""
    need_root()
    net = "/proc/sys/net/ipv4/ip_local_"
    rows = (
        ("20000 30000", "", "ok", "take other ports"),
        ("32768 60999", "", "warning", "40000 to 41999: their range is 32768 to 60999"),
        ("32768 60999", "5060", "warning", "40000 to 41999"),
        ("32768 60999", "5060,8080-8090,50000-60000", "warning", "40000 to 41999"),
        ("32768 60999", "40000-41998", "warning", "41999 to 41999"),
        ("32768 60999", "40001-41999", "warning", "40000 to 40000"),
        ("32768 60999", "40000-40999,41001-41999", "warning", "41000 to 41000"),
        ("32768 60999", "40000-41999", "ok", "they are reserved"),
        ("32768 60999", "5060,30000-40999,41000-65000", "ok", "they are reserved"),
        ("41000 60999", "41000-41999", "ok", "they are reserved"),
        ("41000 60999", "40000-41000", "warning", "41001 to 41999"),
        ("32768 40100", "40000-40100", "ok", "they are reserved"),
    )
    p = b.start("-s", "cunix:" + b.path("c"))
    for rule, reserved, result, text in rows:
        script = 'echo "$1" >"$0"port_range && echo "$2" >"$0"reserved_ports && exec "$3" --socket "$4" doctor'
        r = subprocess.run(["unshare", "-n", "sh", "-c", script, net, rule, reserved,
                            os.path.join(os.path.dirname(RTPXD), "rtpxctl"), b.path("admin")],
                           capture_output=True, text=True, timeout=PATIENCE, check=False)
        line = re.search(r"^(\w+) +ports +(outgoing .*)$", r.stdout, re.M)
        assert line and line[1] == result and text in line[2], (rule, reserved, r.stdout, r.stderr)
    stop(p)


def test_load_is_measured(b):
    """Two seconds of commands show in I, a mean of some ten seconds; before there was nothing to do."""
    p = b.start("-s", "cunix:" + b.path("c"))
    def load(s):
        s.sendall(b"Il\n")
        reply = b""
        while not re.search(rb"average load: \d\.\d{6}\n", reply):
            reply += s.recv(4096)
        return float(reply.split()[-1])
    with dial(b.path("c")) as s:
        time.sleep(2.2)
        idle = load(s)
        begin, had = time.monotonic(), run_seconds(p.pid)
        while time.monotonic() < begin + 2.2:
            s.sendall(b"V\n" * 1000)
            left = 1000
            while left > 0:
                left -= s.recv(65536).count(b"\n")
        share = (run_seconds(p.pid) - had) / (time.monotonic() - begin)
        busy = load(s)
    assert 0 <= idle < 0.03 and max(idle, share / 16) < busy <= 1, (idle, busy, share)
    stop(p)


def test_stats_have_no_empty_headings(b):
    p = b.start("-s", "cunix:" + b.path("c"))
    for _ in range(2):
        lines = rtpxctl(b, "stats").splitlines()
        for line, following in zip(lines, lines[1:] + [""]):
            assert line.startswith("  ") or len(line.split()) > 1 or following.startswith("  "), lines
        with dial(b.path("c")) as s:
            ask(s, "U a 127.0.0.1 5000 A")
    stop(p)


def test_descriptors_are_counted_once(b):
    """30 calls have 120 sockets, before and after a restart; the limit is such that 240 would be too many."""
    options = ("-s", "cunix:" + b.path("c"), "-L", "250", "--port-sockets", "each")
    p = b.start(*options)
    with dial(b.path("c")) as s:
        for i in range(30):
            ask(s, f"U c{i} 127.0.0.1 5000 A")
            ask(s, f"L c{i} 127.0.0.1 6000 A B")
    for _ in range(2):
        stop(p, signal.SIGPWR)
        said = p.stderr.read().decode()
        assert "descriptors are open" not in said, said
        p = b.start(*options)
        assert len(os.listdir(f"/proc/{p.pid}/fd")) < 190
        time.sleep(1.5)  # it looks once a second
    with dial(b.path("c")) as s:
        for i in range(30, 45):
            ask(s, f"U c{i} 127.0.0.1 5000 A")
            ask(s, f"L c{i} 127.0.0.1 6000 A B")
    time.sleep(1.5)
    stop(p)
    said = p.stderr.read().decode()
    assert re.search(r"2[0-4]\d descriptors are open, the limit of open files is 250", said), said


def test_limit_of_open_files(b):
    p = b.start("-s", "cunix:" + b.path("c"), "-L", "300")
    assert resource.prlimit(p.pid, resource.RLIMIT_NOFILE) == (300, 300)
    stop(p)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    p = b.start("-s", "cunix:" + b.path("c"),
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)))
    assert resource.prlimit(p.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    stop(p)


def test_control_lives_without_descriptors(b):
    """Calls have taken every descriptor: the one-command socket can still end one."""
    p = b.start("-s", "unix:" + b.path("u"), "-L", "100", "--port-sockets", "each")
    calls = 0
    while ask_once(b.path("u"), f"U c{calls} 127.0.0.1 5000 A").startswith("4"):
        calls += 1
        assert calls < 100
    assert calls > 10, calls
    with contextlib.ExitStack() as waiting:
        for _ in range(20):
            waiting.enter_context(dial(b.path("u")))
        before = cpu_seconds(p.pid)
        time.sleep(0.5)
        assert cpu_seconds(p.pid) - before < 0.2, "it spins"
    assert ask_once(b.path("u"), "D c0 A") == "0"
    assert ask_once(b.path("u"), "U again 127.0.0.1 5000 A").startswith("4")
    stop(p)
    assert b"limit of open files" in p.stderr.read()


def admin(b, request="status"):
    """What rtpxctl is told, or None when the daemon closes without an answer."""
    with dial(b.path("admin")) as s:
        s.sendall(request.encode() + b"\n")
        reply = b""
        while more := s.recv(65536):
            reply += more
    return json.loads(reply) if reply else None


def test_admin_lives_without_descriptors(b):
    """So does the admin socket, and what waits on it makes neither load nor log."""
    p = b.start("-s", "unix:" + b.path("u"), "-L", "100", "--port-sockets", "each")
    calls = 0
    while ask_once(b.path("u"), f"U c{calls} 127.0.0.1 5000 A").startswith("4"):
        calls += 1
    begin = time.monotonic()
    assert admin(b)["pid"] == p.pid
    with contextlib.ExitStack() as waiting:
        for _ in range(20):
            waiting.enter_context(dial(b.path("admin")))
        before = cpu_seconds(p.pid)
        time.sleep(2)
        assert cpu_seconds(p.pid) - before < 0.4, "it spins"
        assert ask_once(b.path("u"), "D c0 A") == "0"
    wait_for("answer to rtpxctl", lambda: admin(b))
    stop(p)
    said = p.stderr.read()
    lines = said.count(b"a connection waits")       # a few, then one a second
    assert 1 <= lines <= 10 + time.monotonic() - begin, said


def test_ports_of_others_cost_little(b):
    """Another program holds the whole range: what a refused call costs does not grow with the range."""
    cost = []
    for last in (42499, 47999):
        with contextlib.ExitStack() as held:
            for port in range(40000, last + 1, 2):
                held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            p = b.start("-s", "cunix:" + b.path("c"), "-m", "40000", "-M", str(last))
            with dial(b.path("c")) as c:
                assert ask(c, "U warm-up 127.0.0.1 5000 A").startswith("E")
                before = cpu_seconds(p.pid)
                for i in range(300):        # the kernel counts CPU time in hundredths of a second
                    assert ask(c, f"U call{i} 127.0.0.1 5000 A").startswith("E")
                cost.append(cpu_seconds(p.pid) - before)
            stop(p)
    assert cost[1] < 2 * cost[0] + 0.02, cost


def test_silent_connections_shut_nobody_out(b):
    """As many connections as may be, none of which says a word."""
    p = b.start("-s", "cunix:" + b.path("c"))
    with contextlib.ExitStack() as silent:
        for _ in range(4096):
            silent.enter_context(dial(b.path("c")))

        wait_for("answer beside 4,096 silent connections", lambda: answers(b.path("c")))
    stop(p)
    assert b"the longest silent one is closed" in p.stderr.read()


def test_admin_socket_beside_other_files(b):
    """Files that are no sockets stay, directories are not made, a hung daemon is a neighbour as any other."""
    with open(b.path("admin"), "w", encoding="ascii") as f:
        f.write("kept")
    assert "is not a socket" in b.fails("-s", "cunix:" + b.path("c"))
    with open(b.path("admin"), encoding="ascii") as f:
        assert f.read() == "kept"
    os.unlink(b.path("admin"))
    assert "make its directory first" in b.fails("-s", "cunix:" + b.path("c"), "--admin-socket", b.path("no/such"))
    assert not os.path.exists(b.path("no"))
    with socket.socket(socket.AF_UNIX) as hung, contextlib.ExitStack() as queue:
        hung.bind(b.path("admin"))
        hung.listen(1)
        with contextlib.suppress(BlockingIOError):
            while True:
                s = queue.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
                s.connect(b.path("admin"))
        assert "another program answers" in b.fails("-s", "cunix:" + b.path("c"))
    p = b.start("-s", "cunix:" + b.path("c"))
    assert admin(b)["pid"] == p.pid
    assert stat.S_IMODE(os.stat(b.path("admin")).st_mode) == 0o660
    os.unlink(b.path("admin"))
    q = b.spawn("-s", "cunix:" + b.path("c2"), "-p", b.path("pid2"), "--state-dir", b.path("state2"))
    wait_for("second daemon's socket", lambda: os.path.exists(b.path("admin")) and admin(b)["pid"] == q.pid)
    stop(p)
    assert admin(b)["pid"] == q.pid, "the first daemon's end has removed the second one's socket"
    stop(q)


def test_nice_and_scheduling(b):
    need_root()
    p = b.start("-s", "cunix:" + b.path("c"), "--nice", "5")
    assert os.getpriority(os.PRIO_PROCESS, p.pid) == 5
    stop(p)


def test_banner_on_stdout(b):
    port = free_port()
    p = b.start("-s", f"udp:*:{port}", "-s", "unix:" + b.path("u"), "--banner")
    stop(p)
    text = p.stdout.read().decode()
    for piece in (f"udp:0.0.0.0:{port}", "unix:" + b.path("u"), "127.0.0.1, ports 40000 to 41999", "dataplane   none", "proof",
                  'loadmodule "rtpproxy.so"', f'modparam("rtpproxy", "rtpproxy_sock", "udp:127.0.0.1:{port}")'):
        assert piece in text, (piece, text)


def main():
    passed = failed = skipped = 0
    chosen = sys.argv[1:]
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (chosen and name not in chosen):
            continue
        with tempfile.TemporaryDirectory(prefix="rtpx-control-") as directory:
            b = Bench(directory)
            try:
                test(b)
                passed += 1
            except Skip as why:
                skipped += 1
                print(f"skipped {name}: {why}")
            except Exception:
                failed += 1
                print(f"FAILED  {name}\n{traceback.format_exc()}")
            finally:
                b.close()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    if not os.access(RTPXD, os.X_OK):
        print(f"there is no {RTPXD}; set RTPX_BUILD")
        sys.exit(1)
    RTPXD = os.path.realpath(RTPXD)
    sys.exit(main())

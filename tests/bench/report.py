# SPDX-License-Identifier: BSD-2-Clause
"""The bench's arithmetic and its table. Pure: results in, text out."""
import statistics

COLUMNS = (("bare", "bare redirect"), ("native", "rtpxd native"), ("generic", "rtpxd generic"),
           ("floor", "rtpxd floor"), ("rtpengine", "rtpengine"))

# name, what is compared, bar, unit, at least or at most
BARS = (
    ("native_rtpengine", "native / rtpengine, loss-free rate, worst flow count", 25, "x", ">="),
    ("native_bare_1", "native / bare redirect, 1 flow", 88, " %", ">="),
    ("native_bare_50000", "native / bare redirect, 50,000 flows in no order", 75, " %", ">="),
    ("native_bare_gateway", "native / bare redirect, 50,000 flows, 20,000 hosts behind a gateway", 73, " %", ">="),
    ("native_redirect_1", "native / bpf_redirect, the limit of earlier figures, 1 flow", 85, " %", ">="),
    ("native_redirect_50000", "native / bpf_redirect, 50,000 flows in no order", 75, " %", ">="),
    ("native_bare_50000_ordered", "native / bare redirect, 50,000 flows by rising port", 75, " %", ">="),
    ("floor_rtpengine", "floor / rtpengine, loss-free rate, worst of 200 and 5,000 flows", 3, "x", ">="),
    ("floor_cpu", "rtpengine / floor, CPU a packet at the same rate, 5,000 flows", 4, "x", ">="),
    ("control", "rtpxd U and L commands/s, window 32, worst of all", 90000, "", ">="),
    ("players", "rtpxd packets of prompts sent, of those due", 99, " %", ">="),
    ("recording_lost", "packets of recorded calls in the kernel that are in no file", 0, "", "<="),
    ("recording_dropped", "packets of recorded calls that the kernel did not forward", 0, "", "<="),
    ("recording_kept", "packet rate kept while 1 of 100 flows is recorded", 90, " %", ">="),
    ("opus_missing", "recordings without Opus, and packets missing, of calls made into Opus", 0, "", "<="),
    ("opus_kept", "packet rate kept while recordings are made into Opus", 90, " %", ">="),
    ("memory", "rtpxd bytes of RSS a session, worst of all", 1536, "", "<="),
)

NEED_RTPENGINE = {"native_rtpengine", "floor_rtpengine", "floor_cpu"}


def median(values):
    return statistics.median(values) if values else None


def ratios(traffic, control, players, recording):
    """What the bars are about; None where a side was not measured. @traffic[flows][contender], @control[contender],
    @recording[contender]."""
    def rate(flows, name, what):
        return traffic.get(flows, {}).get(name, {}).get(what)

    def bare_share(flows, what="full_rate", of=None):
        native, bare = rate(flows, "native", what), rate(flows, "bare", of or what)
        return 100 * native / bare if native and bare else None

    against = [rate(f, "native", "loss_free_rate") / rate(f, "rtpengine", "loss_free_rate") for f in traffic
               if rate(f, "native", "loss_free_rate") and rate(f, "rtpengine", "loss_free_rate")]
    floor = [rate(f, "floor", "loss_free_rate") / rate(f, "rtpengine", "loss_free_rate") for f in (200, 5000)
             if rate(f, "floor", "loss_free_rate") and rate(f, "rtpengine", "loss_free_rate")]
    cpu, peer_cpu = rate(5000, "floor", "even_cpu_ns"), rate(5000, "rtpengine", "even_cpu_ns")
    ours = control.get("native", {})
    recorded = recording.get("native")
    return {
        "native_rtpengine": min(against) if against else None,
        "native_bare_1": bare_share(1),
        "native_bare_50000": bare_share(50000),
        "native_bare_gateway": bare_share(50000, "gateway_rate"),
        "native_redirect_1": bare_share(1, of="redirect_rate"),
        "native_redirect_50000": bare_share(50000, of="redirect_rate"),
        "native_bare_50000_ordered": bare_share(50000, "port_order_rate"),
        "floor_rtpengine": min(floor) if floor else None,
        "floor_cpu": peer_cpu / cpu if cpu and peer_cpu else None,
        "control": min((v["commands_s"] for v in ours.get("sizes", {}).values()), default=None),
        "players": 100 * players["packets"] / players["expected"] if players else None,
        "recording_lost": recorded["lost"] if recorded else None,
        "recording_dropped": recorded["dropped"] if recorded else None,
        "recording_kept": 100 * recorded["kept"] if recorded else None,
        "opus_missing": recorded["opus_missing"] if recorded else None,
        "opus_kept": 100 * recorded["opus_kept"] if recorded and recorded["opus_kept"] else None,
        "memory": max((v["bytes_per_session"] for v in ours.get("sizes", {}).values()), default=None),
    }


def absent(name, traffic):
    """Why the bar @name has no value, if its peer is absent; else None."""
    why = {c["rtpengine"]["why_not"] for c in traffic.values() if "why_not" in c.get("rtpengine", {})}
    return "rtpengine is absent: " + ", ".join(sorted(why)) if why and name in NEED_RTPENGINE else None


def judge(values, traffic):
    out = []
    for name, text, bar, unit, way in BARS:
        value = values[name]
        holds = None if value is None else value >= bar if way == ">=" else value <= bar
        out.append({"name": name, "text": text, "value": value, "bar": bar, "unit": unit, "way": way, "holds": holds,
                    "absent": absent(name, traffic) if value is None else None})
    return out


def per_second(v):
    return "%.2f M" % (v / 1e6) if v >= 1e6 else "%.1f k" % (v / 1e3)


def nanoseconds(v):
    return "%.0f ns" % v if v < 1000 else "%.1f us" % (v / 1000)


def microseconds(p50, p99):
    return " / ".join("%.*f" % (v < 9950, v / 1000) for v in (p50, p99)) + " us"


def traffic_rows(flows, cells):
    def row(label, key, text):
        out = [label]
        for name, _ in COLUMNS:
            c = cells.get(name, {})
            out.append(c["why_not"] if "why_not" in c else text(c) if c.get(key) is not None else "-")
        return key, out

    carried = ["%s flow%s" % (format(flows, ","), "s" if flows > 1 else "")]
    carried += [("%s flows" % format(cells[n]["flows"], ",") if cells.get(n, {}).get("flows", flows) != flows else "")
                for n, _ in COLUMNS]
    rows = [
        row("  packets/s without loss", "loss_free_rate", lambda c: per_second(c["loss_free_rate"])),
        row("  packets/s, full speed", "full_rate", lambda c: per_second(c["full_rate"])),
        row("  packets/s, full speed, bpf_redirect", "redirect_rate", lambda c: per_second(c["redirect_rate"])),
        row("  packets/s, full speed, 20,000 behind a gateway", "gateway_rate", lambda c: per_second(c["gateway_rate"])),
        row("  packets/s, full speed, 20,000 on the link", "link_rate", lambda c: per_second(c["link_rate"])),
        row("  packets/s, full speed, all CPUs", "all_cpus_rate", lambda c: per_second(c["all_cpus_rate"])),
        row("  packets/s, full speed, by rising port", "port_order_rate", lambda c: per_second(c["port_order_rate"])),
        row("  CPU a packet", "cpu_ns", lambda c: nanoseconds(c["cpu_ns"])),
        row("  CPU a packet, daemons at the same rate", "even_cpu_ns", lambda c: nanoseconds(c["even_cpu_ns"])),
        row("  added latency p50 / p99", "p50_ns", lambda c: microseconds(c["p50_ns"], c["p99_ns"])),
    ]
    measured = {key for c in cells.values() for key in c}
    return [carried] + [text for key, text in rows if key in measured]


def control_rows(control):
    def row(label, get, text):
        return [label] + [text(get(control[n])) if n in control else "" for n, _ in COLUMNS]

    def rate(v):
        return format(int(v), ",")

    rows = [["control", *[""] * len(COLUMNS)]]
    sizes = sorted({s for c in control.values() for s in c["sizes"]})
    for n in sizes:
        at = " at %s sessions" % format(n, ",")
        rows.append(row("  set-up commands/s, 32" + at, lambda c, n=n: c["sizes"][n]["commands_s"], rate))
    rows.append(row("  set-up commands/s, one by one", lambda c: c["one_by_one_s"], rate))
    rows.append(row("  delete commands/s, 32", lambda c: c["delete_s"], rate))
    for n in sizes:
        at = " at %s" % format(n, ",")
        rows.append(row("  RSS bytes a session" + at, lambda c, n=n: c["sizes"][n]["bytes_per_session"], rate))
        rows.append(row("    of them anonymous", lambda c, n=n: c["sizes"][n]["anonymous_per_session"], rate))
    rows.append(row("  longest wait: for X, for V after it", lambda c: c, lambda c: "%.1f, %.1f ms" % (
        c["x_ns"] / 1e6, c["v_ns"] / 1e6) if "x_ns" in c else "-"))
    rows.append(row("  descriptors a session", lambda c: c["fds_per_session"], lambda v: "%.1f" % v))
    return rows


def players_rows(p):
    def row(label, text):
        return [label] + [text if n == "floor" else "" for n, _ in COLUMNS]

    return [
        ["%s players, a packet each %d ms" % (format(p["players"], ","), p["ptime_ms"]), *[""] * len(COLUMNS)],
        row("  CPU of one core", "%.0f %%" % (100 * p["cpu_share"])),
        row("  the same packets by a bare ring", "%.0f %%" % (100 * p["bare_share"])),
        row("  late by p50 / p99", microseconds(p["p50_ns"], p["p99_ns"])),
    ]


def recording_rows(recording):
    def row(label, key, text):
        return [label] + [text(recording[n][key]) if key in recording.get(n, {}) else "" for n, _ in COLUMNS]

    calls = next(iter(recording.values()))["calls"]
    return [
        ["%d recorded calls of 100 packets/s" % calls, *[""] * len(COLUMNS)],
        row("  packets in no file", "lost", str),
        row("  packets not forwarded", "dropped", str),
        row("  CPU of the daemon a packet", "cpu_ns", nanoseconds),
        row("    not recorded", "plain_cpu_ns", nanoseconds),
        row("  packet rate kept, 1 flow of 100 recorded", "kept", lambda v: "%.0f %%" % (100 * v)),
        row("  recordings or packets missing, made into Opus", "opus_missing", str),
        row("  packet rate kept meanwhile", "opus_kept", lambda v: "%.0f %%" % (100 * v) if v else "too quick"),
    ]


def render(traffic, control, players, recording, bars, notes):
    rows = [["", *[title for _, title in COLUMNS]]]
    for flows in sorted(traffic):
        rows += traffic_rows(flows, traffic[flows])
    if control:
        rows += control_rows(control)
    if players:
        rows += players_rows(players)
    if recording:
        rows += recording_rows(recording)
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = ["  ".join([r[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(r[1:], widths[1:])]).rstrip()
             for r in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    lines.append("")
    for b in bars:
        if b["absent"]:
            lines.append("%-8s %s: %s" % ("no value", b["text"], b["absent"]))
        if b["value"] is not None:
            lines.append("%-8s %s: %s%s (bar %s %s%s)" % (
                "holds" if b["holds"] else "MISSED", b["text"],
                "%.1f" % b["value"] if b["value"] < 1000 else format(int(b["value"]), ","), b["unit"],
                b["way"], format(b["bar"], ","), b["unit"]))
    return "\n".join(lines + [""] + notes)

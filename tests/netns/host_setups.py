# SPDX-License-Identifier: BSD-2-Clause
"""host_setups.py - the hosts of host_matrix.py: a table. No test.

A script has lines of NAMESPACE TOOL WORDS…, as netlab.py runs them. A line with a $name is done
for IPv4 and for IPv6, with that family's addresses: FAMILIES. Of a set-up, `links` runs before
any device is up and has an address, `host` when all have, `late` while the call is running.
"""
import dataclasses
import re
import socket
import string

import netlab

FAMILIES = {
    4: {"ip": "ip", "tos": "0x18", "alice": "192.0.2.10", "west": "192.0.2.1", "wnet": "192.0.2.0/24", "bob": "203.0.113.10",
        "net": "203.0.113.0/24", "up1": "198.51.100.1", "up2": "198.51.101.1", "gw1": "198.51.100.254", "gw2": "198.51.101.254",
        "own": "198.51.102.1", "third": "198.51.100.77", "other": "10.77.0.0/16", "far": "10.78.0.0/16", "all": "32", "short": "24",
        "any": "0.0.0.0/0", "edge": "203.0.113.254"},
    6: {"ip": "ip6", "tos": "0xb8", "alice": "2001:db8:0:1::10", "west": "2001:db8:0:1::1", "wnet": "2001:db8:0:1::/64",
        "bob": "2001:db8:0:9::10", "net": "2001:db8:0:9::/64", "up1": "2001:db8:0:2::1", "up2": "2001:db8:0:3::1",
        "gw1": "2001:db8:0:2::254", "gw2": "2001:db8:0:3::254", "own": "2001:db8:0:4::1", "third": "2001:db8:0:2::77",
        "other": "2001:db8:77::/48", "far": "2001:db8:78::/48", "all": "128", "short": "64", "any": "::/0",
        "edge": "2001:db8:0:9::254"},
}

ALL = ("native", "generic", "kmod")
MAC = "02:00:00:00:00:"
RELAY_MAC, ALICE_MAC = MAC + "10", MAC + "20"   # of p0 and q0
ANY = -1
BY1, BY2, NOTHING = r"^q1: \S+ / \S+", r"^q2: \S+ / \S+", None


@dataclasses.dataclass
class Setup:
    name: str
    host: str = ""
    sees: str = BY1                 # what bob gets: an expression that fits each frame of the sockets; NOTHING
    links: str = ""
    up: tuple = ("p1", "p2")        # the relay's devices with the addresses of the uplinks
    far: tuple = ("q1", "q2")       # bob's
    near: tuple = ("p0", "q0")      # the relay's towards alice, and hers
    routes: str = """
        relay ip route add $any via $gw1
        relay ip route add $any via $gw2 table 100
        relay ip route add $wnet dev p0 table 100
    """
    late: str = ""
    media: str = "up1"              # the relay's address towards bob
    wildcard: bool = False          # the port towards bob is bound to no address
    dials: str = ""                 # the address that bob sends to before he hears anything; he begins then
    mute: bool = False              # bob sends nothing
    party: str = "bob"              # the namespace of the callee
    names: tuple = ()               # more namespaces
    families: tuple = (4, 6)
    needs: tuple = ()               # of FEATURES
    ready: object = None            # (net) -> true when the network works
    kernel: tuple = ()              # dataplanes that must carry every direction
    why: tuple = ()                 # reasons that are right here, though elsewhere they mean that it is too early to say
    # party -> how many of its measured packets the kernel forwards though their flow is there: 0,
    # the others go to the sockets; ANY
    passes: dict = dataclasses.field(default_factory=dict)
    options: tuple = ()             # of rtpxd
    under: object = None            # (net) -> a command that rtpxd is run by
    size: int = 40                  # bytes in an RTP packet
    sender: object = None           # (socket, family): the kind of packets that the parties send
    arrives: dict = None            # alice's measured packets are frames with these changes: netlab.udp_frame()
    containers: bool = False        # packets come with unfinished checksums, as from containers of this host
    merged: bool = False            # alice hands all measured packets over at once
    taps: bool = False              # relay's tap1 and bob's tap1, and a process that carries frames between them
    module: bool = False            # see FOR_THE_MODULE
    aggregate: tuple = ()           # devices of one LACP aggregate: each frame may take any of them


# ---- what every set-up has ---------------------------------------------------------------------

WIRES = "\n".join(f"relay ip link add p{i} address {MAC}1{i} type veth peer name q{i} address {MAC}2{i} netns @{peer}"
                  for i, peer in enumerate(("alice", "bob", "bob"))) + """
relay gro p0 p1 p2
alice gro q0
bob gro q1 q2
"""
CABLES = "alice cable q0\nbob cable q1 q2\n"
UP = """
alice ip link set lo up
alice ip link set q0 up
{up_alice}
alice ip addr add $alice/$short dev {near[1]} nodad
bob ip link set lo up
bob ip link set q1 up
bob ip link set q2 up
{up_bob}
bob ip addr add $gw1/$short dev {far[0]} nodad
bob ip addr add $gw2/$short dev {far[1]} nodad
{bob}
relay ip link set lo up
relay ip link set p0 up
relay ip link set p1 up
relay ip link set p2 up
{up_relay}
relay ip addr add $west/$short dev {near[0]} nodad
relay ip addr add $up1/$short dev {up[0]} nodad
relay ip addr add $up2/$short dev {up[1]} nodad
"""


def ip_family(line, family):
    """ip concludes the family from an address; a line that may have none is for ip -4 or ip -6."""
    words = line.split()
    if words[1:2] == ["ip"] and {"rule", "default", "nexthop"} & set(words):
        words[1] = f"ip{family}"
        return " ".join(words)
    return line


def families(script, which=(4, 6)):
    """Lines with a $name for each family, the others once."""
    out = []
    for line in script.splitlines():
        if "$" not in line:
            out.append(line)
            continue
        for family in which:
            out.append(ip_family(string.Template(line).substitute(FAMILIES[family]), family))
    return "\n".join(out)


def expand(setup):
    """The script that makes a set-up."""
    def up(name, *devices):
        return "\n".join(f"{name} ip link set {dev} up" for dev in dict.fromkeys(devices) if dev[0] not in "pq")
    lines = UP.format(up=setup.up, far=setup.far, near=setup.near, up_alice=up("alice", setup.near[1]), up_bob=up("bob", *setup.far),
                      up_relay=up("relay", setup.near[0], *setup.up),
                      bob="bob ip addr add $bob/$all dev lo nodad" if setup.party == "bob" else "")
    cables = "" if setup.containers or setup.merged else CABLES
    return "\n".join((WIRES, cables, setup.links, families(lines), families(setup.routes), families(setup.host, setup.families)))


# ---- what a kernel may lack --------------------------------------------------------------------

# Each is tried in a namespace with a veth p0 10.0.0.1/24.
FEATURES = {
    "VLAN devices": "x ip link add link p0 name v0 type vlan id 5",
    "bonding": "x ip link add b0 type bond",
    "IPVLAN": "x ip link add link p0 name i0 type ipvlan mode l2",
    "VRF": "x ip link add r0 type vrf table 9",
    "MPLS routes": "x ip route add 10.9.0.0/16 encap mpls 100 via inet 10.0.0.2",
    "ESP": "x ip xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 9 mode transport auth hmac(sha1) 0x" + "01" * 20
           + " enc cbc(aes) 0x" + "01" * 16,
    "pedit": "x tc qdisc add dev p0 clsact\nx tc filter add dev p0 egress matchall action pedit ex munge ip dsfield set 0x20 retain 0xfc",
    "skbedit": "x tc qdisc add dev p0 clsact\nx tc filter add dev p0 egress matchall action skbedit priority 5",
    "tc drop": "x tc qdisc add dev p0 clsact\nx tc filter add dev p0 egress protocol ip u32 match ip dport 4 0xffff action drop",
    "GRE": "x ip link add g0 type gre local 10.0.0.1 remote 10.0.0.2",
    "WireGuard": "x ip link add w0 type wireguard",
    "netem": "x tc qdisc add dev p0 root netem loss 100%",
    "XFRM interfaces": "x ip link add x0 type xfrm dev p0 if_id 7",
}
found = {}


def lacking(setup):
    """The first feature of a set-up that this kernel has not, or ""."""
    for feature in setup.needs:
        if feature not in found:
            with netlab.Net("x") as net:
                net.do("x ip link add p0 type veth peer name q0\nx ip link set p0 up\nx ip link set q0 up\n"
                       "x ip addr add 10.0.0.1/24 dev p0")
                try:
                    net.do(FEATURES[feature])
                    found[feature] = True
                except netlab.Broken:
                    found[feature] = False
        if not found[feature]:
            return feature
    return ""


# ---- parts of scripts --------------------------------------------------------------------------

def nft(hook, *rules, kind="filter", priority="0"):
    """A chain of the family inet with these rules."""
    return "\n".join(["relay nft add table inet t",
                      f"relay nft add chain inet t {hook} {{ type {kind} hook {hook} priority {priority}; }}",
                      *(f"relay nft add rule inet t {hook} {rule}" for rule in rules)]) + "\n"


def bridge(name, *ports):
    """A bridge of bob's over his two links: a switch."""
    return f"bob ip link add {name} address {MAC}40 type bridge\n" + "\n".join(f"bob ip link set {p} master {name}" for p in ports) + "\n"


def bond(mode, name="bond0", where="relay", ports=("p1", "p2"), last="30"):
    return (f"{where} ip link add {name} address {MAC}{last} type bond mode {mode} miimon 50\n"
            + "\n".join(f"{where} ip link set {p} master {name}" for p in ports) + "\n")


def aggregated(net):
    """Both ends of an LACP bond collect from and distribute to both links: IEEE 802.1AX's state bits 2 to 5."""
    def has(name, dev):
        with net.within(name), open(f"/proc/thread-self/net/bonding/{dev}", encoding="ascii") as f:
            states = [int(state) for state in re.findall(r"port state: (\d+)", f.read())]
        return len(states) == 4 and all(state & 0x3c == 0x3c for state in states)
    return has("relay", "bond0") and has("bob", "bond1")


def container(kind):
    """p1 goes to another namespace, the host, and the relay gets a device over it in its place."""
    return f"""
relay ip link set p1 netns @host
host ip link set p1 up
host ip link add link p1 name slave {kind}
host ip link set slave netns @relay name p1
host ip addr add 198.51.100.2/24 dev p1
host ip addr add 2001:db8:0:2::2/64 dev p1 nodad
host ip route add 203.0.113.0/24 via 198.51.100.254
host ip route add 2001:db8:0:9::/64 via 2001:db8:0:2::254
"""


def vlan(where, under, name, number, more=""):
    return f"{where} ip link add link {under} name {name} type vlan id {number}{more}\n"


ESP = "auth hmac(sha1) 0x" + "0123456789" * 4 + " enc cbc(aes) 0x" + "01234567" * 4


def esp(mode):
    """Security associations between relay and bob, both ways, and the policies at both. In tunnel mode bob cannot read what he
    gets, because a capture would see it twice."""
    out = ""
    for where, own, peer in (("relay", "$up1", "$bob"), ("bob", "$bob", "$up1")):
        for source, dest, spi in (("$up1", "$bob", "0x101"), ("$bob", "$up1", "0x102")):
            if (mode, where, source) == ("tunnel", "bob", "$up1"):
                continue
            out += f"{where} ip xfrm state add src {source} dst {dest} proto esp spi {spi} mode {mode} {ESP}\n"
        for source, dest, way in ((own, peer, "out"), (peer, own, "in")):
            out += f"{where} ip xfrm policy add src {source} dst {dest} dir {way} tmpl src {source} dst {dest} proto esp mode {mode}\n"
    return out


TAPS = "relay ip link set tap1 address 02:00:00:00:00:60\nbob ip link set tap1 address 02:00:00:00:00:61\n"


def ecn(bits):
    """The parties mark their packets with these ECN bits."""
    def sender(s, family):
        if family == 6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, bits)
        else:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, bits)
    return sender


def ttl(hops):
    def sender(s, family):
        if family == 6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
        else:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
    return sender


def no_checksum(s, family):
    s.setsockopt(socket.SOL_SOCKET, 11, 1)              # SO_NO_CHECK


def ip_options(s, family):
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01\x01\x01\x01")


def no_label(s, family):
    if family == 6:
        s.setsockopt(socket.IPPROTO_IPV6, 70, 0)        # IPV6_AUTOFLOWLABEL


# ---- the table ---------------------------------------------------------------------------------

ROUTES = [
    Setup("route: by a gateway", kernel=ALL),
    Setup("route: on link", "relay ip route add $bob/$all dev p1\nbob ip addr add $bob/$all dev q1 nodad", kernel=ALL),
    Setup("route: onlink flag", "relay ip route replace default via $gw1 dev p1 onlink", kernel=ALL),
    Setup("route: IPv4 by an IPv6 gateway", "relay ip route add 203.0.113.0/24 via inet6 2001:db8:0:2::254 dev p1", families=(4,),
          kernel=ALL),
    Setup("route: lower metric by uplink 2", "relay ip route add $net via $gw1 metric 200\nrelay ip route add $net via $gw2 metric 100",
          sees=BY2, kernel=ALL),
    Setup("route: ECMP", "relay ip route replace default nexthop via $gw1 nexthop via $gw2", sees="^q[12]: ", kernel=ALL),
    Setup("route: ECMP, hash of ports", "relay sysctl net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1\n"
          "relay ip route replace default nexthop via $gw1 nexthop via $gw2", sees="^q[12]: "),
    Setup("route: nexthop object", "relay ip nexthop add id 24 via 198.51.101.254 dev p2\n"
          "relay ip nexthop add id 26 via 2001:db8:0:3::254 dev p2\n"
          "relay ip route add 203.0.113.0/24 nhid 24\nrelay ip route add 2001:db8:0:9::/64 nhid 26", sees=BY2, kernel=ALL),
    Setup("route: nexthop group", "relay ip nexthop add id 14 via 198.51.100.254 dev p1\nrelay ip nexthop add id 24 via 198.51.101.254 dev p2\n"
          "relay ip nexthop add id 16 via 2001:db8:0:2::254 dev p1\nrelay ip nexthop add id 26 via 2001:db8:0:3::254 dev p2\n"
          "relay ip nexthop add id 4 group 14/24\nrelay ip nexthop add id 6 group 16/26\n"
          "relay ip route add 203.0.113.0/24 nhid 4\nrelay ip route add 2001:db8:0:9::/64 nhid 6", sees="^q[12]: ", kernel=ALL),
    Setup("route: nexthop object changed", "relay ip nexthop add id 24 via 198.51.100.254 dev p1\n"
          "relay ip nexthop add id 26 via 2001:db8:0:2::254 dev p1\n"
          "relay ip route add 203.0.113.0/24 nhid 24\nrelay ip route add 2001:db8:0:9::/64 nhid 26",
          late="relay ip nexthop replace id 24 via 198.51.101.254 dev p2\nrelay ip nexthop replace id 26 via 2001:db8:0:3::254 dev p2",
          sees=BY2, kernel=ALL),
    Setup("route: nexthop object blackhole", "relay ip nexthop add id 24 blackhole\nrelay ip6 nexthop add id 26 blackhole\n"
          "relay ip route add 203.0.113.0/24 nhid 24\nrelay ip route add 2001:db8:0:9::/64 nhid 26", sees=NOTHING),
    Setup("route: blackhole", "relay ip route add blackhole $net", sees=NOTHING),
    Setup("route: unreachable", "relay ip route add unreachable $net", sees=NOTHING),
    Setup("route: prohibit", "relay ip route add prohibit $net", sees=NOTHING),
    Setup("route: throw to the next table", "relay ip route add throw $net table 99\nrelay ip rule add to $any lookup 99 pref 10",
          kernel=ALL),
    Setup("route: by TOS", "relay ip route add 203.0.113.0/24 tos 0x10 via 198.51.101.254", options=("-t", "16"), sees=BY2, families=(4,)),
    Setup("route: by source (IPv6)", "relay ip route add 2001:db8:0:9::/64 from 2001:db8:0:2::1/128 via 2001:db8:0:3::254", families=(6,),
          sees=BY2, kernel=ALL),
    Setup("route: hop limit of its own", "relay ip route replace default via $gw1 hoplimit 33"),
    Setup("route: sysctl of the TTL", "relay sysctl net.ipv4.ip_default_ttl=33 net.ipv6.conf.all.hop_limit=33 net.ipv6.conf.p1.hop_limit=33"),
    Setup("route: MTU below the packets'", "relay ip route replace default via $gw1 mtu 1300", size=1360, passes={"caller": 0},
          sees=r"^q1: .* fragment "),
    Setup("route: MTU locked", "relay ip route replace default via $gw1 mtu lock 1300"),
    Setup("route: no path MTU discovery", "relay sysctl net.ipv4.ip_no_pmtu_disc=1"),
    Setup("route: MTU of the link", "relay ip link set p1 mtu 1300\nbob ip link set q1 mtu 1300", size=1360, passes={"caller": 0, "callee": 0},
          sees=r"^q1: .* fragment "),
    Setup("route: replaced", late="relay ip route replace default via $gw2", sees=BY2, kernel=ALL),
    Setup("route: our link goes down, a second route",
          "relay ip addr add $own/$all dev lo nodad\nrelay ip route add default via $gw2 metric 3000\n"
          "bob ip route add $own/$all via $up1 metric 10\nbob ip route add $own/$all via $up2 metric 20",
          late="bob ip route del $own/$all via $up1 metric 10\nrelay ip link set p1 down", media="own", sees=BY2, kernel=ALL),
    Setup("route: the other end goes down, a second route",
          "relay sysctl net.ipv4.conf.p1.ignore_routes_with_linkdown=1 net.ipv6.conf.p1.ignore_routes_with_linkdown=1\n"
          "relay ip addr add $own/$all dev lo nodad\nrelay ip route add default via $gw2 metric 3000\n"
          "bob ip route add $own/$all via $up1 metric 10\nbob ip route add $own/$all via $up2 metric 20",
          late="bob ip link set q1 down", media="own", sees=BY2, kernel=ALL),
    Setup("route: another MAC of the gateway", late="bob ip link set q1 down\nbob ip link set q1 address 02:00:00:00:00:99\n"
          "bob ip link set q1 up\nbob ip addr replace 2001:db8:0:2::254/64 dev q1 nodad\n"
          "bob say 198.51.100.1 2001:db8:0:2::1", sees="^q1: 02:00:00:00:00:11>02:00:00:00:00:99 ", kernel=ALL),
    Setup("route: path MTU falls at a router",
          "relay ip route replace default via $gw1\n"
          "far ip link set lo up\nfar ip link add q3 type veth peer name p3 netns @bob\nfar gro q3\nbob gro p3\n"
          "bob ip link set p3 mtu 1300\nfar ip link set q3 mtu 1300\nbob ip link set p3 up\nfar ip link set q3 up\n"
          "bob ip addr add $edge/$short dev p3 nodad\nfar ip addr add $bob/$short dev q3 nodad\nfar ip route add default via $edge\n"
          "bob sysctl net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", size=1360, names=("far",), party="far",
          sees=r"^q1: .* fragment ", passes={"caller": 0, "callee": 0}),
    Setup("route: late path MTU",
          "far ip link set lo up\nfar ip link add q3 type veth peer name p3 netns @bob\nfar gro q3\nbob gro p3\n"
          "bob ip link set p3 up\nfar ip link set q3 up\n"
          "bob ip addr add $edge/$short dev p3 nodad\nfar ip addr add $bob/$short dev q3 nodad\nfar ip route add default via $edge\n"
          "bob sysctl net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", size=1360, names=("far",), party="far",
          late="bob ip link set p3 mtu 1300\nfar ip link set q3 mtu 1300", sees=r"^q1: .* fragment ", passes={"caller": 0, "callee": 0}),
]

SOURCES = [
    Setup("source: a wildcard, several addresses", "relay ip addr add $third/$short dev p1 nodad", wildcard=True),
    Setup("source: a wildcard, bob sends to the second address", "relay ip addr add $third/$short dev p1 nodad", wildcard=True, dials="third"),
    Setup("source: a wildcard, the route prefers a source", "relay ip addr add $third/$short dev p1 nodad\n"
          "relay ip route add $net via $gw1 src $third", wildcard=True, sees=r"^q1: \S+ / (198\.51\.100\.77|2001:db8:0:2::77)>"),
    Setup("source: of another link than the route's", media="up2", kernel=ALL),
    Setup("source: an address of lo", "relay ip addr add $own/$all dev lo nodad\nbob ip route add $own/$all via $up1", media="own", kernel=ALL),
]

WG_RULES = "relay ip rule add to $any lookup main suppress_prefixlength 0 pref 10\nrelay ip rule add to $any lookup 100 pref 20"
RULES = [
    Setup("rule: by TOS", "relay ip rule add tos $tos lookup 100", sees=BY2),
    Setup("rule: by TOS, late", late="relay ip rule add tos $tos lookup 100", sees=BY2),
    Setup("rule: by TOS, prohibit", "relay ip rule add to $net tos $tos prohibit", sees=NOTHING),
    Setup("rule: by protocol", "relay ip rule add ipproto udp to $any lookup 100", sees=BY2),
    Setup("rule: by protocol TCP", "relay ip rule add ipproto tcp to $any lookup 100"),
    Setup("rule: by protocol and source ports", "relay ip rule add ipproto udp sport 35000-65000 to $any lookup 100", sees=BY2),
    Setup("rule: by destination port", "relay ip rule add ipproto udp dport 4000-4001 to $any lookup 100", sees=BY2),
    Setup("rule: by user", "relay ip rule add uidrange 0-0 to $any lookup 100", sees=BY2),
    Setup("rule: by another user", "relay ip rule add uidrange 4242-4243 to $any lookup 100"),
    Setup("rule: by source", "relay ip rule add from $up1 lookup 100", sees=BY2, kernel=ALL),
    Setup("rule: by another source", "relay ip rule add from $other lookup 100", kernel=ALL),
    Setup("rule: by destination", "relay ip rule add to $net lookup 100", sees=BY2, kernel=ALL),
    Setup("rule: by iif lo", "relay ip rule add iif lo to $any lookup 100", sees=BY2, kernel=ALL),
    Setup("rule: by oif of another link", "relay ip rule add oif p2 to $any lookup 100"),
    Setup("rule: suppress_prefixlength", WG_RULES, sees=BY2, kernel=ALL),
    Setup("rule: by mark, set by nft route chain", nft("output", "$ip daddr $net udp sport 35000-65000 meta mark set 7", kind="route",
          priority="mangle") + "relay ip rule add fwmark 7 to $any lookup 100", sees=BY2),
    Setup("rule: by mark, the chain comes late", "relay ip rule add fwmark 7 to $any lookup 100", sees=BY2,
          late=nft("output", "$ip daddr $net udp sport 35000-65000 meta mark set 7", kind="route", priority="mangle")),
    Setup("rule: by mark, which nothing sets", "relay ip rule add fwmark 7 to $any lookup 100", kernel=ALL),
]

MASQUERADE = nft("postrouting", "oifname p1 masquerade", kind="nat", priority="srcnat")
NAT = [
    Setup("NAT: masquerade the media address", MASQUERADE, media="up2", sees=r"^q1: \S+ / (198\.51\.100\.1|2001:db8:0:2::1)>"),
    Setup("NAT: masquerade, other ports", nft("postrouting", "meta l4proto udp oifname p1 masquerade to :20000", kind="nat", priority="srcnat"),
          media="up2", sees=r"^q1: \S+ / (198\.51\.100\.1|2001:db8:0:2::1)>"),
    Setup("NAT: SNAT the media address", "relay ip addr add $third/$all dev p1 nodad\n"
          + nft("postrouting", "oifname p1 $ip saddr $up2 snat $ip to $third", kind="nat", priority="srcnat"),
          media="up2", sees=r"^q1: \S+ / (198\.51\.100\.77|2001:db8:0:2::77)>"),
    Setup("NAT: masquerade another subnet only", nft("postrouting", "oifname p1 $ip saddr $other masquerade", kind="nat", priority="srcnat"),
          kernel=ALL),
    Setup("NAT: masquerade on another link only", nft("postrouting", "oifname p2 masquerade", kind="nat", priority="srcnat"), kernel=ALL),
    Setup("NAT: iptables MASQUERADE", "relay iptables-legacy -t nat -A POSTROUTING -o p1 -j MASQUERADE", media="up2", families=(4,),
          sees=r"^q1: \S+ / 198\.51\.100\.1>"),
    Setup("NAT: DNAT of what leaves", nft("output", "$ip daddr $bob udp dport 4000 dnat $ip to $gw2", kind="nat", priority="-100")
          , mute=True, why=("NOT_LATCHED",), sees=r"^q2: \S+ / \S+>(198\.51\.101\.254|2001:db8:0:3::254)"),
    Setup("NAT: DNAT of what arrives", "relay ip addr add $third/$short dev p1 nodad\n"
          + nft("prerouting", "iifname p1 $ip daddr $third udp dport 35000-65000 dnat $ip to $up1", kind="nat", priority="dstnat"),
          dials="third", sees=r"^q1: \S+ / (198\.51\.100\.77|2001:db8:0:2::77)>"),
    Setup("NAT: a chain without rules", nft("postrouting", kind="nat", priority="srcnat"), kernel=ALL),
    Setup("NAT: masquerade, the rule comes late", nft("prerouting", "ct state invalid counter"), late=MASQUERADE, media="up2"),
]

FILTERS = [
    Setup("filter: DSCP set in output", nft("output", "$ip daddr $net $ip dscp set cs1", priority="mangle"), sees="(tos|class) 20"),
    Setup("filter: DSCP set in postrouting", nft("postrouting", "$ip daddr $net $ip dscp set cs1", priority="mangle"), sees="(tos|class) 20"),
    Setup("filter: DSCP set, the rule comes late", late=nft("output", "$ip daddr $net $ip dscp set cs1", priority="mangle"),
          sees="(tos|class) 20"),
    Setup("filter: TTL set in output", nft("output", "ip daddr 203.0.113.0/24 ip ttl set 9", "ip6 daddr 2001:db8:0:9::/64 ip6 hoplimit set 9",
          priority="mangle"), sees="(ttl|hops) 9 "),
    Setup("filter: dropped in output", nft("output", "oifname p1 udp dport 4000 drop"), sees=NOTHING),
    Setup("filter: dropped in output, the rule comes late", late=nft("output", "oifname p1 udp dport 4000 drop"), sees=NOTHING),
    Setup("filter: rejected in output", nft("output", "oifname p1 udp dport 4000 reject"), sees=NOTHING),
    Setup("filter: dropped in postrouting", nft("postrouting", "oifname p1 udp dport 4000 drop"), sees=NOTHING),
    Setup("filter: output counts and accepts", nft("output", "counter accept")),
    Setup("filter: iptables drops in output", "relay iptables-legacy -A OUTPUT -o p1 -p udp --dport 4000 -j DROP", families=(4,), sees=NOTHING),
    Setup("filter: iptables sets DSCP", "relay iptables-legacy -t mangle -A POSTROUTING -o p1 -p udp -j TTL --ttl-set 9",
          families=(4,), sees="ttl 9 "),
    Setup("filter: dropped at the device's egress", "relay nft add table netdev t\n"
          "relay nft add chain netdev t out { type filter hook egress device p1 priority 0; }\n"
          "relay nft add rule netdev t out udp dport 4000 drop", sees=NOTHING),
    Setup("filter: dropped in input", nft("input", "iifname p1 udp sport 4000 drop"), why=("NOT_LATCHED",)),
    Setup("filter: dropped in input, the rule comes late", late=nft("input", "iifname p1 udp sport 4000 drop")),
    Setup("filter: an ordinary firewall", nft("input", "iifname lo accept", "ct state established,related accept",
          "udp dport 35000-65000 accept", "meta l4proto ipv6-icmp accept", "meta l4proto icmp accept", "drop"), kernel=ALL),
]

# Rule sets as programs write them, none of which is about media: calls stay in the kernel.
DOCKER = """
relay nft add table ip nat
relay nft add chain ip nat DOCKER
relay nft add chain ip nat PREROUTING { type nat hook prerouting priority dstnat; policy accept; }
relay nft add chain ip nat OUTPUT { type nat hook output priority -100; policy accept; }
relay nft add chain ip nat POSTROUTING { type nat hook postrouting priority srcnat; policy accept; }
relay nft add rule ip nat PREROUTING fib daddr type local counter jump DOCKER
relay nft add rule ip nat OUTPUT ip daddr != 127.0.0.0/8 fib daddr type local counter jump DOCKER
relay nft add rule ip nat POSTROUTING oifname != "docker0" ip saddr 172.17.0.0/16 counter masquerade
relay nft add rule ip nat POSTROUTING ip saddr 172.17.0.2 ip daddr 172.17.0.2 tcp dport 8080 counter masquerade
relay nft add rule ip nat DOCKER iifname != "docker0" tcp dport 8080 counter dnat to 172.17.0.2:8080
"""
KUBE = """
relay nft add table ip nat
relay nft add chain ip nat KUBE-POSTROUTING
relay nft add chain ip nat POSTROUTING { type nat hook postrouting priority srcnat; policy accept; }
relay nft add rule ip nat POSTROUTING counter jump KUBE-POSTROUTING
relay nft add rule ip nat KUBE-POSTROUTING meta mark and 0x4000 != 0x4000 counter return
relay nft add rule ip nat KUBE-POSTROUTING meta mark set meta mark xor 0x4000
relay nft add rule ip nat KUBE-POSTROUTING counter masquerade fully-random
"""
FIREWALLD = """
relay nft add table inet firewalld
relay nft add chain inet firewalld filter_INPUT { type filter hook input priority 10; policy accept; }
relay nft add chain inet firewalld filter_OUTPUT { type filter hook output priority 10; policy accept; }
relay nft add chain inet firewalld nat_POSTROUTING { type nat hook postrouting priority 110; policy accept; }
relay nft add chain inet firewalld nat_POST_public
relay nft add rule inet firewalld filter_INPUT ct state { established, related } accept
relay nft add rule inet firewalld filter_INPUT ct state invalid drop
relay nft add rule inet firewalld filter_INPUT udp dport { 35000-65000, 5060 } accept
relay nft add rule inet firewalld filter_INPUT meta l4proto { icmp, ipv6-icmp } accept
relay nft add rule inet firewalld filter_INPUT reject with icmpx admin-prohibited
relay nft add rule inet firewalld filter_OUTPUT ct state { established, related } accept
relay nft add rule inet firewalld filter_OUTPUT oifname "lo" accept
relay nft add rule inet firewalld filter_OUTPUT ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24 } reject with icmpv6 addr-unreachable
relay nft add rule inet firewalld nat_POSTROUTING oifname "p1" goto nat_POST_public
relay nft add rule inet firewalld nat_POSTROUTING goto nat_POST_public
"""
LIBVIRT = """
relay nft add table ip libvirt
relay nft add chain ip libvirt guest_nat { type nat hook postrouting priority srcnat; policy accept; }
relay nft add rule ip libvirt guest_nat ip saddr 192.168.122.0/24 ip daddr 224.0.0.0/24 counter return
relay nft add rule ip libvirt guest_nat meta l4proto udp ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 counter masquerade to :1024-65535
"""
FAIL2BAN = """
relay nft add table inet f2b-table
relay nft add set inet f2b-table addr-set-sshd { type ipv4_addr; elements = { 192.0.2.77, 203.0.113.99 }; }
relay nft add chain inet f2b-table f2b-chain { type filter hook input priority -1; policy accept; }
relay nft add rule inet f2b-table f2b-chain tcp dport 22 ip saddr @addr-set-sshd reject
"""
PROGRAMS = [
    Setup("firewall: Docker's rules", DOCKER, kernel=ALL),
    Setup("firewall: Kubernetes' rules", KUBE, kernel=ALL),
    Setup("firewall: firewalld's rules", FIREWALLD, kernel=ALL),
    Setup("firewall: libvirt's rules", LIBVIRT, kernel=ALL),
    Setup("firewall: fail2ban's rules", FAIL2BAN, kernel=ALL),
    Setup("firewall: a host that drops what it does not expect", "relay nft add table inet t\n"
          "relay nft add chain inet t output { type filter hook output priority 0; policy drop; }\n"
          "relay nft add rule inet t output udp sport 35000-65000 accept\nrelay nft add rule inet t output meta l4proto ipv6-icmp accept",
          kernel=ALL),
    Setup("firewall: bob's address in a set of those to drop", "relay nft add table inet t\n"
          "relay nft add set inet t blocked4 { type ipv4_addr; flags interval; elements = { 203.0.113.0/28 }; }\n"
          "relay nft add set inet t blocked6 { type ipv6_addr; elements = { 2001:db8:0:9::10 }; }\n"
          "relay nft add chain inet t output { type filter hook output priority 0; policy accept; }\n"
          "relay nft add rule inet t output ip daddr @blocked4 drop\nrelay nft add rule inet t output ip6 daddr @blocked6 drop", sees=NOTHING),
    Setup("firewall: bob's address gets into the set late", "relay nft add table inet t\n"
          "relay nft add set inet t blocked4 { type ipv4_addr; }\nrelay nft add set inet t blocked6 { type ipv6_addr; }\n"
          "relay nft add chain inet t output { type filter hook output priority 0; policy accept; }\n"
          "relay nft add rule inet t output ip daddr @blocked4 drop\nrelay nft add rule inet t output ip6 daddr @blocked6 drop",
          late="relay nft add element inet t blocked4 { 203.0.113.10 }\nrelay nft add element inet t blocked6 { 2001:db8:0:9::10 }",
          sees=NOTHING),
    Setup("firewall: a verdict map, by port", "relay nft add table inet t\nrelay nft add chain inet t output { type filter hook output priority 0; }\n"
          "relay nft add rule inet t output udp dport vmap { 4000 : drop, 4001 : accept }", sees=NOTHING),
    Setup("firewall: drop in a chain that is jumped to", "relay nft add table inet t\nrelay nft add chain inet t media\n"
          "relay nft add chain inet t output { type filter hook output priority 0; }\n"
          "relay nft add rule inet t output udp sport 35000-65000 jump media\n"
          "relay nft add rule inet t media $ip daddr $net drop", sees=NOTHING),
    Setup("firewall: drop by the sender's user", nft("output", "meta skuid 0 udp dport 4000 drop"), sees=NOTHING),
    Setup("firewall: iptables (nf_tables) drops in output", "relay iptables-nft -A OUTPUT -o p1 -p udp --dport 4000 -j DROP", families=(4,),
          sees=NOTHING),
    Setup("firewall: iptables (nf_tables) sets DSCP", "relay iptables-nft -t mangle -A POSTROUTING -o p1 -p udp -j DSCP --set-dscp-class cs1",
          families=(4,), sees="tos 20 "),
    Setup("firewall: iptables (nf_tables) accepts", "relay iptables-nft -A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n"
          "relay iptables-nft -A OUTPUT -p tcp --dport 25 -j REJECT", families=(4,)),
]

XFRM = [
    # The module's packets pass the policies, and it does not count those that a policy drops.
    Setup("IPsec: policy that blocks", "relay ip xfrm policy add src $up1 dst $bob dir out action block", sees=NOTHING,
          passes={"caller": ANY}),
    Setup("IPsec: policy that blocks, late", late="relay ip xfrm policy add src $up1 dst $bob dir out action block", sees=NOTHING,
          passes={"caller": ANY}),
    Setup("IPsec: policy that blocks by port", "relay ip xfrm policy add src $any dst $net proto udp dport 4000 dir out action block", sees=NOTHING),
    Setup("IPsec: blocked by default", "relay ip xfrm policy setdefault out block\nrelay ip xfrm policy add src $any dst $wnet dir out",
          sees=NOTHING, why=("NOT_LATCHED",)),
    Setup("IPsec: an exception to a policy", "relay ip xfrm policy add src $any dst $net dir out action block priority 200\n"
          "relay ip xfrm policy add src $up1 dst $bob dir out action allow priority 100"),
    Setup("IPsec: policy for another subnet", "relay ip xfrm policy add src $any dst $other dir out action block", kernel=ALL),
    Setup("IPsec: ESP in transport mode", esp("transport"), sees=r"^q1: \S+ / \S+>\S+ .* / esp ", needs=("ESP",), passes={"callee": ANY}),
    Setup("IPsec: ESP in tunnel mode", esp("tunnel"), sees=r"^q1: \S+ / \S+>\S+ .* / esp ", needs=("ESP",), passes={"callee": ANY}),
    Setup("IPsec: ESP in transport mode, late", late=esp("transport"), sees=r"^q1: \S+ / \S+>\S+ .* / esp ", needs=("ESP",), passes={"callee": ANY}),
]

ENCAPSULATIONS = [
    Setup("tunnel: route with seg6", "relay ip route add 2001:db8:0:9::/64 encap seg6 mode encap segs 2001:db8:0:2::254 via 2001:db8:0:2::254",
          families=(6,), sees="header 43 "),
    Setup("tunnel: route with seg6, late", families=(6,), sees="header 43 ",
          late="relay ip route add 2001:db8:0:9::/64 encap seg6 mode encap segs 2001:db8:0:2::254 via 2001:db8:0:2::254"),
    Setup("tunnel: route with an IP tunnel (VXLAN)", "relay ip link add vx0 address 02:00:00:00:00:50 type vxlan external dstport 4789\n"
          "relay ip link set vx0 up\n"
          "relay ip route add 203.0.113.0/24 encap ip id 7 dst 198.51.100.254 dev vx0 scope link\n"
          "relay ip neigh add 203.0.113.10 lladdr 02:00:00:00:00:51 dev vx0 nud permanent", families=(4,), sees="vxlan"),
    Setup("tunnel: VXLAN device", "relay ip link add vx0 address 02:00:00:00:00:50 type vxlan id 7 remote 198.51.100.254 dstport 4789 dev p1\n"
          "relay ip link set vx0 up\nrelay ip route add $net dev vx0\n"
          "relay ip neigh add $bob lladdr 02:00:00:00:00:51 dev vx0 nud permanent", sees="vxlan"),
    Setup("tunnel: nexthop object with seg6", "relay ip nexthop add id 26 encap seg6 mode encap segs 2001:db8:0:2::254 via 2001:db8:0:2::254 dev p1\n"
          "relay ip route add 2001:db8:0:9::/64 nhid 26", families=(6,), sees="header 43 "),
    Setup("tunnel: route with MPLS", "relay ip route add 203.0.113.0/24 encap mpls 100 via inet 198.51.100.254\n"
          "relay ip route add 2001:db8:0:9::/64 encap mpls 100 via inet6 2001:db8:0:2::254", sees="mpls 100", needs=("MPLS routes",)),
    Setup("tunnel: GRE device", "relay ip link add g0 type gre local 198.51.100.1 remote 198.51.100.254\nrelay ip link set g0 up\n"
          "relay ip route add $net dev g0", sees="gre ", needs=("GRE",)),
]

# In generic mode a frame whose tag lies beside it goes to the sockets.
LINKS = [
    Setup("link: VLAN", links=vlan("relay", "p1", "v10", 10) + vlan("bob", "q1", "w10", 10), up=("v10", "p2"), far=("w10", "q2"),
          sees="^q1: .* vlan 10 pcp 0 ", needs=("VLAN devices",), passes={"callee": ANY}, kernel=("native", "kmod")),
    Setup("link: VLAN with egress-qos-map", links=vlan("relay", "p1", "v10", 10, " egress-qos-map 0:5 2:5 4:5 6:5") + vlan("bob", "q1", "w10", 10),
          up=("v10", "p2"), far=("w10", "q2"), sees="^q1: .* vlan 10 pcp 5 ", needs=("VLAN devices",), passes={"callee": ANY}),
    Setup("link: VLAN, the qos map comes late", links=vlan("relay", "p1", "v10", 10) + vlan("bob", "q1", "w10", 10), up=("v10", "p2"),
          far=("w10", "q2"), late="relay ip link set v10 type vlan egress-qos-map 0:5 2:5 4:5 6:5",
          sees="^q1: .* vlan 10 pcp 5 ", needs=("VLAN devices",), passes={"callee": ANY}),
    Setup("link: alice in a VLAN", links=vlan("relay", "p0", "v10", 10) + vlan("alice", "q0", "w10", 10), near=("v10", "w10"),
          routes="relay ip route add $any via $gw1", needs=("VLAN devices",), passes={"caller": ANY}),
    Setup("link: both in VLANs", links=vlan("relay", "p0", "v10", 10) + vlan("alice", "q0", "w10", 10) + vlan("relay", "p1", "v20", 20)
          + vlan("bob", "q1", "w20", 20), near=("v10", "w10"), up=("v20", "p2"), far=("w20", "q2"),
          routes="relay ip route add $any via $gw1", sees="^q1: .* vlan 20 ", needs=("VLAN devices",), passes={"caller": ANY, "callee": ANY}, kernel=("native", "kmod")),
    Setup("link: VLAN in a VLAN (802.1ad)", links="relay ip link set p1 up\nbob ip link set q1 up\nrelay ip link add link p1 name s5 type vlan proto 802.1ad id 5\nrelay ip link set s5 up\n"
          "bob ip link add link q1 name t5 type vlan proto 802.1ad id 5\nbob ip link set t5 up\n"
          + vlan("relay", "s5", "v10", 10) + vlan("bob", "t5", "w10", 10), up=("v10", "p2"), far=("w10", "q2"),
          sees="^q1: .* qinq 5 pcp 0 vlan 10 ", needs=("VLAN devices",), passes={"callee": ANY}),
    Setup("link: bridge", links=f"relay ip link add br0 address {MAC}30 type bridge\nrelay ip link set p1 master br0\n", up=("br0", "p2"),
          sees="^q1: 02:00:00:00:00:30>", passes={"callee": ANY}),
    Setup("link: macvlan", links=f"relay ip link add link p1 name mv0 address {MAC}30 type macvlan mode bridge\n", up=("mv0", "p2"),
          sees="^q1: 02:00:00:00:00:30>", passes={"callee": ANY}),
    Setup("link: ipvlan l2", links="relay ip link add link p1 name iv0 type ipvlan mode l2\n", up=("iv0", "p2"), needs=("IPVLAN",), passes={"callee": ANY}),
    Setup("link: ipvlan l3, the relay is a container", links=container("type ipvlan mode l3"), names=("host",), needs=("IPVLAN",),
          # The container has no link address of its own: bob reaches it by the host's.
          routes=f"relay ip route add $any via $gw1\nbob ip neigh add $up1 lladdr {MAC}11 dev q1 nud permanent\n",
          passes={"callee": ANY}),
    Setup("link: macvlan, the relay is a container", links=container(f"address {MAC}30 type macvlan mode bridge"), names=("host",),
          sees="^q1: 02:00:00:00:00:30>", passes={"callee": ANY}),
    Setup("link: bond, active-backup", links=bond("active-backup") + bridge("br0", "q1", "q2"), up=("bond0", "bond0"), far=("br0", "br0"),
          sees="^q[12]: 02:00:00:00:00:30>", needs=("bonding",)),
    Setup("link: bond, active-backup, the active link fails", links=bond("active-backup") + bridge("br0", "q1", "q2"), up=("bond0", "bond0"),
          far=("br0", "br0"), late="relay ip link set p1 down", sees="^q2: 02:00:00:00:00:30>", needs=("bonding",)),
    Setup("link: bond, LACP", links=bond("802.3ad lacp_rate fast") + bond("802.3ad lacp_rate fast", "bond1", "bob", ("q1", "q2"), "40"),
          up=("bond0", "bond0"), far=("bond1", "bond1"), sees="^q1: 02:00:00:00:00:30>02:00:00:00:00:40 ", needs=("bonding",),
          ready=aggregated, aggregate=("q1", "q2")),
    Setup("link: VLANs over a bond, LACP", links=bond("802.3ad lacp_rate fast") + bond("802.3ad lacp_rate fast", "bond1", "bob", ("q1", "q2"), "40")
          + vlan("relay", "bond0", "v10", 10) + vlan("relay", "bond0", "v20", 20) + vlan("bob", "bond1", "w10", 10) + vlan("bob", "bond1", "w20", 20)
          + "relay ip link set bond0 up\nbob ip link set bond1 up\n",
          up=("v10", "v20"), far=("w10", "w20"), sees="^q1: .* vlan 10 ", needs=("bonding", "VLAN devices"), ready=aggregated,
          aggregate=("q1", "q2")),
    Setup("link: VRF, rtpxd under ip vrf exec", links="relay ip link add red type vrf table 10\nrelay ip link set red up\n"
          "relay ip link set p0 master red\nrelay ip link set p1 master red\n", routes="relay ip route add default via $gw1 table 10\n"
          "relay ip route add default via $gw2", under=lambda net: ("ip", "vrf", "exec", "red"), sees=BY1, needs=("VRF",)),
]

REDIRECT = """
relay tc qdisc add dev p1 clsact
relay tc filter add dev p1 egress protocol ip u32 match ip dport 4000 0xffff action mirred egress redirect dev p2
relay tc filter add dev p1 egress protocol ipv6 u32 match ip6 dport 4000 0xffff action mirred egress redirect dev p2
"""
QUEUES = [
    Setup("tc: dropped at egress", "relay tc qdisc add dev p1 clsact\n"
          "relay tc filter add dev p1 egress protocol ip u32 match ip dport 4000 0xffff action drop\n"
          "relay tc filter add dev p1 egress protocol ipv6 u32 match ip6 dport 4000 0xffff action drop", sees=NOTHING, needs=("tc drop",)),
    Setup("tc: dropped at egress, late", late="relay tc qdisc add dev p1 clsact\n"
          "relay tc filter add dev p1 egress protocol ip u32 match ip dport 4000 0xffff action drop\n"
          "relay tc filter add dev p1 egress protocol ipv6 u32 match ip6 dport 4000 0xffff action drop", sees=NOTHING, needs=("tc drop",)),
    Setup("tc: redirected at egress", REDIRECT, sees="^q2: "),
    Setup("tc: redirected at egress, late", late=REDIRECT, sees="^q2: "),
    Setup("tc: changed at egress (pedit)", "relay tc qdisc add dev p1 clsact\n"
          "relay tc filter add dev p1 egress protocol ip matchall action pedit ex munge ip dsfield set 0x20 retain 0xfc pipe action csum ip",
          families=(4,), sees="tos 20 ", needs=("pedit",)),
    Setup("tc: priority set at egress, VLAN map", links=vlan("relay", "p1", "v10", 10, " egress-qos-map 5:3") + vlan("bob", "q1", "w10", 10),
          host="relay tc qdisc add dev v10 clsact\nrelay tc filter add dev v10 egress matchall action skbedit priority 5",
          up=("v10", "p2"), far=("w10", "q2"), sees="^q1: .* vlan 10 pcp 3 ", needs=("VLAN devices", "skbedit")),
    Setup("tc: a queue that shapes", "relay tc qdisc add dev p1 root tbf rate 10mbit burst 32k latency 50ms"),
    Setup("tc: a queue that loses all (netem)", "relay tc qdisc add dev p1 root netem loss 100%", families=(4,), sees=NOTHING,
          needs=("netem",), why=("NOT_LATCHED", "NO_NEIGHBOUR")),
    Setup("cgroup: a program drops what the process sends", under=lambda net: netlab.dropping_cgroup(net, "egress"), sees=NOTHING),
]

ARRIVING = [
    Setup("arriving: ECN capable, ECT(0)", sender=ecn(2), sees="(tos|class) ba ", kernel=ALL),
    Setup("arriving: ECN, congestion experienced", sender=ecn(3), sees="(tos|class) bb ", kernel=ALL),
    Setup("arriving: without a UDP checksum", sender=no_checksum, families=(4,), sees="^q1: ", kernel=ALL),
    Setup("arriving: with IP options", sender=ip_options, families=(4,), passes={"caller": 0, "callee": 0}),
    Setup("arriving: with a TTL of 1", sender=ttl(1), passes={"caller": ANY, "callee": ANY}),
    Setup("arriving: fragments", size=2000, passes={"caller": 0, "callee": 0}, sees="fragment"),
    Setup("arriving: without a flow label", sender=no_label, families=(6,), sees="label yes", kernel=ALL),
    Setup("arriving: as raw frames, like any other", arrives={}, kernel=ALL),
    Setup("arriving: for another station", arrives={"dest_mac": MAC + "77"}, sees=NOTHING, passes={"caller": 0}),
    Setup("arriving: for an Ethernet group", arrives={"dest_mac": "01:00:5e:00:00:01"}, passes={"caller": ANY}),
    Setup("arriving: for all stations", arrives={"dest_mac": "ff:ff:ff:ff:ff:ff"}, passes={"caller": ANY}),
    Setup("arriving: with a wrong IPv4 header checksum", arrives={"ip_check": 0x1234}, families=(4,), sees=NOTHING, passes={"caller": 0}),
    Setup("arriving: IPv6 without a UDP checksum", arrives={"udp_check": 0}, families=(6,), sees=NOTHING, passes={"caller": 0}),
    Setup("arriving: in a VLAN that the host has not", arrives={"vlan": 77}, sees=NOTHING, passes={"caller": 0}),
    Setup("arriving: with a priority tag (VLAN 0)", arrives={"vlan": 5 << 13}, passes={"caller": ANY}),
    Setup("arriving: short, padded by Ethernet", size=4, arrives={"trailer": b"\xee" * 2}, families=(4,),
          passes={"caller": ANY}),
    Setup("arriving: cut short", arrives={"cut": 4}, sees=NOTHING, passes={"caller": 0}),
    Setup("arriving: with an unfinished checksum", containers=True, passes={"caller": ANY, "callee": ANY}),
    Setup("arriving: merged by the sender's stack (UDP_SEGMENT)", merged=True, passes={"caller": ANY, "callee": ANY}),
    Setup("link: TAP", taps=True, links=TAPS, up=("tap1", "p2"), far=("tap1", "q2"), sees="^tap1: "),
    Setup("link: TAP, unfinished checksums", containers=True, passes={"caller": ANY, "callee": ANY}, taps=True, links=TAPS, up=("tap1", "p2"), far=("tap1", "q2"), sees="^tap1: "),
    Setup("link: TAP, merged packets", taps=True, links=TAPS, up=("tap1", "p2"), far=("tap1", "q2"), merged=True, sees="^tap1: ", passes={"caller": ANY, "callee": ANY}),
]

SETUPS = ROUTES + SOURCES + RULES + NAT + FILTERS + PROGRAMS + XFRM + ENCAPSULATIONS + LINKS + QUEUES + ARRIVING

# The set-ups of which the module makes something of its own: the virtual machine tries it with
# these and with what other kernels lack, and with all when it is asked to.
FOR_THE_MODULE = (
    "route: by a gateway", "route: hop limit of its own", "route: late path MTU", "rule: by TOS", "rule: by mark, set by nft route chain",
    "rule: by mark, the chain comes late", "NAT: masquerade the media address", "NAT: DNAT of what arrives",
    "NAT: masquerade another subnet only", "filter: DSCP set in output", "filter: dropped in output", "filter: dropped in postrouting",
    "filter: dropped in output, the rule comes late", "filter: dropped at the device's egress", "IPsec: policy that blocks",
    "IPsec: policy that blocks, late", "tunnel: route with seg6", "tc: redirected at egress", "cgroup: a program drops what the process sends",
    "arriving: ECN capable, ECT(0)", "arriving: without a UDP checksum", "arriving: for another station",
    "arriving: merged by the sender's stack (UDP_SEGMENT)")
for setup in SETUPS:
    setup.module = setup.name in FOR_THE_MODULE
assert sum(setup.module for setup in SETUPS) == len(FOR_THE_MODULE)

# SPDX-License-Identifier: BSD-2-Clause
"""frames.py - captured frames as text, one header after the other, so that two captures can be
compared and read.

Each byte of a frame is in its text, except those that two right frames of one packet may differ
in: the IPv4 identification and header checksum, the value of an IPv6 flow label (that there is
one is kept), the id of an IPv6 fragment, the secret part of an ESP packet, and zeros that fill a
frame up to the 60 bytes of Ethernet. A checksum that was left to the hardware is finished first.
A wrong checksum is called wrong.
"""
import ipaddress
import re
import struct
import zlib

ETH_IP, ETH_IP6, ETH_VLAN, ETH_QINQ, ETH_MPLS = 0x0800, 0x86dd, 0x8100, 0x88a8, 0x8847
IP_IN_IP, UDP, IP6_IN_IP, ROUTING, FRAGMENT, GRE, ESP, NO_NEXT = 4, 17, 41, 43, 44, 47, 50, 59
VXLAN_PORT = 4789
ETH_ZLEN = 60   # without the checksum at its end
TRANSPORTS = {UDP, ESP, IP_IN_IP, IP6_IN_IP}  # kinds of IP packets that can carry media


def checksum(data, start=0):
    """The Internet checksum's sum, RFC 1071, folded but not inverted."""
    data = data + b"\0" * (len(data) & 1)
    total = start + sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def mac(data):
    return ":".join(f"{b:02x}" for b in data)


def shown(data):
    """Payload, in full when it is short."""
    return data.hex() if len(data) <= 8 else f"{len(data)} bytes, crc {zlib.crc32(data):08x}"


def udp(data, pseudo, unfinished, whole):
    """A UDP datagram. @pseudo: the folded sum of its pseudo-header without the length; @whole: it is no fragment."""
    source, dest, length, check = struct.unpack_from("!HHHH", data)
    payload = data[8:length] if whole else data[8:]
    if not whole:
        state = f"checksum {check:04x}"
    elif not check:
        state = "no checksum"
    else:
        total = pseudo + length
        complete = 0xffff - checksum(data[:6] + b"\0\0" + payload, total) or 0xffff
        right = check == complete or unfinished and check == checksum(b"", total)
        check = complete
        state = f"checksum {check:04x}" if right else "checksum WRONG"
    text = f"udp {source}>{dest} length {length} {state}"
    if dest == VXLAN_PORT and whole:
        return f"udp >{dest} vxlan {payload[:8].hex()} / " + ethernet(payload[8:], None, unfinished)
    return f"{text} / {shown(payload)}" + trailer(data[length:] if whole else b"")


def trailer(data):
    return f" trailer {data.hex()}" if data else ""


def above_ip(protocol, data, pseudo, unfinished, whole):
    """@data after the IP headers."""
    if protocol == UDP and whole is not None:
        return udp(data, pseudo, unfinished, whole)
    if protocol == ESP:
        return f"esp spi {data[:4].hex()}, {len(data)} bytes"
    if protocol in (IP_IN_IP, IP6_IN_IP):
        return network(ETH_IP if protocol == IP_IN_IP else ETH_IP6, data, unfinished)
    if protocol == GRE:
        return f"gre {data[:4].hex()} / " + network(struct.unpack_from("!H", data, 2)[0], data[4:], unfinished)
    return f"protocol {protocol} {shown(data)}"


def ip4(data, unfinished):
    words = (data[0] & 15) * 4
    tos, length, _, fragment, ttl, protocol = struct.unpack_from("!xBHHHBB", data)
    source, dest = (ipaddress.IPv4Address(data[i:i + 4]) for i in (12, 16))
    whole = True if not fragment & 0x3fff else False if not fragment & 0x1fff else None
    text = f"{source}>{dest} tos {tos:02x} ttl {ttl} length {length}"
    text += " df" if fragment & 0x4000 else ""
    text += f" fragment {(fragment & 0x1fff) * 8}{'+' if fragment & 0x2000 else ''}" if whole is not True else ""
    text += f" options {data[20:words].hex()}" if words > 20 else ""
    text += "" if checksum(data[:words]) == 0xffff else " header checksum WRONG"
    pseudo = checksum(data[12:20], protocol)
    return f"{text} / " + above_ip(protocol, data[words:length], pseudo, unfinished, whole) + trailer(data[length:])


def ip6(data, unfinished):
    first, length, following, hops = struct.unpack_from("!IHBB", data)
    source, dest = (ipaddress.IPv6Address(data[i:i + 16]) for i in (8, 24))
    text = f"{source}>{dest} class {first >> 20 & 0xff:02x} label {'yes' if first & 0xfffff else 'no'} hops {hops} length {length}"
    at, end, whole, final = 40, 40 + length, True, dest
    while following in (ROUTING, FRAGMENT, 0, 60):
        if following == FRAGMENT:
            offset = struct.unpack_from("!H", data, at + 2)[0]
            whole = None if offset & 0xfff8 else False
            text += f" fragment {offset & 0xfff8}{'+' if offset & 1 else ''}"
            size = 8
        else:
            size = 8 + data[at + 1] * 8
            text += f" header {following} {data[at + 1:at + size].hex()}"
            if following == ROUTING and data[at + 3]:
                final = ipaddress.IPv6Address(data[at + 8:at + 24])
        following, at = data[at], at + size
    pseudo = checksum(source.packed + final.packed, following)
    return f"{text} / " + above_ip(following, data[at:end], pseudo, unfinished, whole) + trailer(data[end:])


def network(kind, data, unfinished):
    if kind == ETH_IP:
        return ip4(data, unfinished)
    if kind == ETH_IP6:
        return ip6(data, unfinished)
    if kind == ETH_MPLS:
        label = struct.unpack_from("!I", data)[0]
        text = f"mpls {label >> 12} class {label >> 9 & 7} ttl {label & 255} / "
        if not label & 0x100:
            return text + network(ETH_MPLS, data[4:], unfinished)
        return text + network(ETH_IP6 if data[4] >> 4 == 6 else ETH_IP, data[4:], unfinished)
    return f"type {kind:04x} {shown(data)}"


def ethernet(frame, tag, unfinished):
    """The text of a frame. @tag: (protocol, tag control information) that the kernel took off it, or None."""
    text, at, kind = f"{mac(frame[6:12])}>{mac(frame[:6])}", 14, struct.unpack_from("!H", frame, 12)[0]
    tags = [tag] if tag else []
    while kind in (ETH_VLAN, ETH_QINQ):
        tci, inner = struct.unpack_from("!HH", frame, at)
        tags.append((kind, tci))
        kind, at = inner, at + 4
    for protocol, tci in tags:
        text += f" {'vlan' if protocol == ETH_VLAN else 'qinq'} {tci & 0xfff} pcp {tci >> 13}"
        text += " dei" if tci & 0x1000 else ""
    text += " / " + network(kind, frame[at:], unfinished)
    return re.sub(r" trailer (00)+$", "", text) if len(frame) <= ETH_ZLEN else text


def carries_media(frame, magic):
    """True for a frame with the test's payload in it, and for one that may have it in secret."""
    at, kind = 14, struct.unpack_from("!H", frame, 12)[0]
    while kind in (ETH_VLAN, ETH_QINQ):
        kind, at = struct.unpack_from("!H", frame, at + 2)[0], at + 4
    if kind == ETH_IP:
        protocol = frame[at + 9]
    elif kind == ETH_IP6:
        protocol = frame[at + 6]
    else:
        protocol = UDP if kind == ETH_MPLS else None
    return protocol == ESP or protocol == FRAGMENT or protocol is not None and magic in frame

"""Which fields has a packet?  Packets as the model switch sees them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

BROADCAST = 0xFFFFFFFFFFFF


def ip(src: int, dst: int, ip_src: IPv4Address, ip_dst: IPv4Address) -> dict[str, int]:
    """An IPv4 packet."""
    return {"eth_type": 0x0800, "eth_src": src, "eth_dst": dst, "ipv4_src": int(ip_src), "ipv4_dst": int(ip_dst)}


def ip6(src: int, dst: int, ip_src: IPv6Address, ip_dst: IPv6Address) -> dict[str, int]:
    """An IPv6 packet (TCP)."""
    head = {"eth_type": 0x86DD, "eth_src": src, "eth_dst": dst, "ip_proto": 6}
    return {**head, "ipv6_src": int(ip_src), "ipv6_dst": int(ip_dst)}


def arp(src: int, spa: IPv4Address, tpa: IPv4Address, *, op: int = 1, sha: int | None = None) -> dict[str, int]:
    """A broadcast ARP packet."""
    sender = src if sha is None else sha
    head = {"eth_type": 0x0806, "eth_src": src, "eth_dst": BROADCAST, "arp_op": op}
    return {**head, "arp_sha": sender, "arp_tha": 0, "arp_spa": int(spa), "arp_tpa": int(tpa)}


def rarp(src: int) -> dict[str, int]:
    """What QEMU sends when a VM has arrived."""
    return {"eth_type": 0x8035, "eth_src": src, "eth_dst": BROADCAST}


def icmp6(src: int, dst: int, ip_src: IPv6Address, kind: int) -> dict[str, int]:
    """An ICMPv6 message to all nodes."""
    head = {"eth_type": 0x86DD, "eth_src": src, "eth_dst": dst, "ip_proto": 58, "icmpv6_type": kind}
    return {**head, "icmpv6_code": 0, "ipv6_src": int(ip_src), "ipv6_dst": int(IPv6Address("ff02::1"))}


def solicitation(src: int, ip_src: IPv6Address, target: IPv6Address, sll: int | None = None) -> dict[str, int]:
    """A neighbour solicitation to the target's solicited-node group; the option is the sender's MAC, if it may be."""
    option = (src if int(ip_src) else 0) if sll is None else sll
    group = 0x3333FF000000 | int(target) & 0xFFFFFF
    return {**icmp6(src, group, ip_src, 135), "ipv6_nd_target": int(target), "ipv6_nd_sll": option}


def advertisement(src: int, ip_src: IPv6Address, target: IPv6Address, tll: int | None = None) -> dict[str, int]:
    """An unsolicited neighbour advertisement."""
    option = src if tll is None else tll
    head = icmp6(src, 0x333300000001, ip_src, 136)
    return {**head, "ipv6_nd_target": int(target), "ipv6_nd_tll": option}

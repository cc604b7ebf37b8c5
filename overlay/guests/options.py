"""Which DHCP options can a port be given, and how does each look on the wire?

Neutron's ``extra_dhcp_opts`` have the names that dnsmasq knows; the numbers are IANA's (RFC 2132 and later ones, RFC
8415 for IPv6).  An option that is not in this one table is refused, since nobody could say how its value is written.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Final, NamedTuple

from overlay.changes import DhcpOptionWish
from overlay.refusals import Invalid
from overlay.values import DhcpOption, HostRoute

NEXT_SERVER: Final = 0
"""Not an option but the field ``siaddr``: where a booting machine goes on."""
NETMASK: Final = 1
ROUTER: Final = 3
NAME_SERVERS: Final = 6
HOST_NAME: Final = 12
DOMAIN: Final = 15
MTU: Final = 26
BROADCAST: Final = 28
LEASE_TIME: Final = 51
RENEWAL_TIME: Final = 58
REBINDING_TIME: Final = 59
DOMAIN_SEARCH: Final = 119
CLASSLESS_ROUTES: Final = 121
CLASSLESS_ROUTES_MS: Final = 249

NAME_SERVERS_V6: Final = 23
DOMAIN_SEARCH_V6: Final = 24

OPTION_MOST: Final = 255
"""How many bytes the value of a DHCPv4 option can have."""
TOGETHER_MOST: Final = 1000
"""How many bytes the options of a port may have together: an answer has to be one packet."""

_IPV4: Final = 4
_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NAME_MOST: Final = 253


def text(value: str, _version: int = _IPV4) -> bytes:
    """Characters as they are."""
    written = value.encode("ascii")
    if not written:
        raise ValueError("is empty")
    return written


def _address(value: str, version: int) -> bytes:
    found = ip_address(value)
    if found.version != version:
        raise ValueError(f"{value} is not an IPv{version} address")
    return found.packed


def _addresses(value: str, version: int) -> bytes:
    return b"".join(_address(each.strip(), version) for each in value.split(","))


def _number(layout: str) -> Callable[[str, int], bytes]:
    def write(value: str, _version: int) -> bytes:
        try:
            return struct.pack(layout, int(value, 0))
        except struct.error:
            raise ValueError(f"{value} is not from 0 to {(1 << 8 * struct.calcsize(layout)) - 1}") from None

    return write


def _flag(value: str, _version: int) -> bytes:
    try:
        return {"0": b"\0", "false": b"\0", "1": b"\1", "true": b"\1"}[value.lower()]
    except KeyError:
        raise ValueError(f"{value!r} is neither 0 nor 1") from None


def names(value: str, _version: int = _IPV4) -> bytes:
    """Domain names as DNS writes them, without compression (RFC 3397, RFC 8415 §10)."""
    written = b""
    for name in (each.strip().rstrip(".") for each in value.split(",")):
        labels = name.split(".")
        if len(name) > _NAME_MOST or not all(map(_LABEL.fullmatch, labels)):
            raise ValueError(f"{name!r} is not a domain name")
        written += b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    return written


def routes(ways: Iterable[HostRoute]) -> bytes:
    """Classless static routes (RFC 3442): of each destination only the bytes that its prefix needs."""
    written = b""
    for way in ways:
        size = (way.destination.prefixlen + 7) // 8
        written += bytes([way.destination.prefixlen]) + way.destination.network_address.packed[:size]
        written += way.nexthop.packed
    return written


def _routes(value: str, _version: int) -> bytes:
    """As dnsmasq writes them: ``10.1.0.0/16,10.0.0.1,0.0.0.0/0,10.0.0.2``."""
    words = [each.strip() for each in value.split(",")]
    if len(words) % 2:
        raise ValueError("is not pairs of a destination and a next hop")
    pairs = zip(words[::2], words[1::2], strict=True)
    return routes(HostRoute(IPv4Network(destination), IPv4Address(nexthop)) for destination, nexthop in pairs)


class _Known(NamedTuple):
    """An option: its number by IP version, and how a value of it is written."""

    write: Callable[[str, int], bytes]
    v4: int | None = None
    v6: int | None = None


_BYTE, _SHORT, _LONG = _number("!B"), _number("!H"), _number("!I")

KNOWN: Final[Mapping[str, _Known]] = {
    "arp-timeout": _Known(_LONG, 35),
    "boot-file-size": _Known(_SHORT, 13),
    "bootfile-name": _Known(text, 67, 59),
    "bootfile-url": _Known(text, None, 59),
    "broadcast": _Known(_address, BROADCAST),
    "classless-static-route": _Known(_routes, CLASSLESS_ROUTES),
    "default-ttl": _Known(_BYTE, 23),
    "dns-server": _Known(_addresses, NAME_SERVERS, NAME_SERVERS_V6),
    "domain-name": _Known(text, DOMAIN),
    "domain-search": _Known(names, DOMAIN_SEARCH, DOMAIN_SEARCH_V6),
    "ethernet-encap": _Known(_flag, 36),
    "extension-path": _Known(text, 18),
    "hostname": _Known(text, HOST_NAME),
    "information-refresh-time": _Known(_LONG, None, 32),
    "ip-forward-enable": _Known(_flag, 19),
    "lease-time": _Known(_LONG, LEASE_TIME),
    "log-server": _Known(_addresses, 7),
    "lpr-server": _Known(_addresses, 9),
    "ms-classless-static-route": _Known(_routes, CLASSLESS_ROUTES_MS),
    "mtu": _Known(_SHORT, MTU),
    "netbios-ns": _Known(_addresses, 44),
    "netmask": _Known(_address, NETMASK),
    "nis-domain": _Known(text, 40),
    "nis-server": _Known(_addresses, 41),
    "ntp-server": _Known(_addresses, 42),
    "path-prefix": _Known(text, 210),
    "pop3-server": _Known(_addresses, 70),
    "root-path": _Known(text, 17),
    "router": _Known(_addresses, ROUTER),
    "router-discovery": _Known(_flag, 31),
    "router-solicitation": _Known(_address, 32),
    "server-ip-address": _Known(_address, NEXT_SERVER),
    "smtp-server": _Known(_addresses, 69),
    "sntp-server": _Known(_addresses, None, 31),
    "swap-server": _Known(_address, 16),
    "T1": _Known(_LONG, RENEWAL_TIME),
    "T2": _Known(_LONG, REBINDING_TIME),
    "tcp-keepalive": _Known(_LONG, 38),
    "tcp-ttl": _Known(_BYTE, 37),
    "tftp-server": _Known(text, 66),
    "tftp-server-address": _Known(_addresses, 150),
    "wpad": _Known(text, 252),
}
"""All options that a port can be given, by Neutron's (dnsmasq's) names."""


def option(name: str, value: str, version: int, field: str = "extra_dhcp_opts") -> DhcpOption:
    """Check an option.

    :raises Invalid: if there is none of that name for that IP version, or its value cannot be written.
    """
    _check_name(name, version, field)
    try:
        written = KNOWN[name].write(value, version)
    except (ValueError, UnicodeError) as wrong:
        raise Invalid(f"{field}: {name}: {wrong}", field=field, kind="InvalidInput") from None
    if len(written) > OPTION_MOST:
        raise Invalid(f"{field}: {name}: has more than {OPTION_MOST} bytes", field=field, kind="InvalidInput")
    return DhcpOption(name, value, version)


def _check_name(name: str, version: int, field: str = "extra_dhcp_opts") -> None:
    if _number_of(name, version) is None:
        there = ", ".join(sorted(known for known in KNOWN if _number_of(known, version) is not None))
        raise Invalid(
            f"{field}: there is no DHCP option {name!r} for IPv{version}; there are {there}",
            field=field,
            kind="InvalidInput",
        )


def check_together(options: Iterable[DhcpOption], field: str = "extra_dhcp_opts") -> None:
    """Check that an answer can hold all options of a port.

    :raises Invalid: if it cannot.
    """
    sizes = {4: 0, 6: 0}
    for each in options:
        sizes[each.version] += len(KNOWN[each.name].write(each.value, each.version))
    if max(sizes.values()) > TOGETHER_MOST:
        raise Invalid(f"{field}: have more than {TOGETHER_MOST} bytes together", field=field, kind="InvalidInput")


def chosen(wishes: Iterable[DhcpOptionWish], before: Iterable[DhcpOption] = ()) -> tuple[DhcpOption, ...]:
    """The options that a port has after somebody wished for some.

    :raises Invalid: for one that cannot be, or if they are too long together.
    """
    found = {(each.name, each.version): each for each in before}
    for wish in wishes:
        if wish.value is None:
            _check_name(wish.name, wish.version)
            found.pop((wish.name, wish.version), None)
        else:
            found[wish.name, wish.version] = option(wish.name, wish.value, wish.version)
    check_together(found.values())
    return tuple(found.values())


def written(options: Iterable[DhcpOption], version: int) -> dict[int, bytes]:
    """The options of one IP version, by number, as they go on the wire."""
    found = {}
    for each in options:
        number = _number_of(each.name, version) if each.version == version else None
        if number is not None:
            found[number] = KNOWN[each.name].write(each.value, version)
    return found


def _number_of(name: str, version: int) -> int | None:
    known = KNOWN.get(name)
    if known is None:
        return None
    return known.v4 if version == _IPV4 else known.v6

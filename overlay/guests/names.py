"""What is a machine called in its network, and whose is a name?

A port's name stands before the domain of its network.  One without a name of its own is called by its address.  Several
ports may have one name; it then has the addresses of all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from overlay.refusals import Invalid
from overlay.values import IpAddress, Network, Port

if TYPE_CHECKING:
    from overlay.world import World

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_NAME_MOST: Final = 255
_BY_ADDRESS: Final = "host-"
_REVERSE: Final = {".in-addr.arpa.": 4, ".ip6.arpa.": 32}
_NIBBLE: Final = re.compile(r"[0-9a-f]")


def check_name(text: str, field: str) -> str:
    """Check a name that may end with a dot, or be empty.

    :raises Invalid: for what is none (RFC 1123 §2.1: letters, digits and dashes, 63 to a label, 255 together).
    """
    labels = text.removesuffix(".").split(".")
    if text and (len(text) > _NAME_MOST or not all(map(_LABEL.fullmatch, labels))):
        raise Invalid(
            f"{field}: {text!r} is not a name (labels of letters, digits and inner dashes, 63 characters at most)",
            field=field,
            kind="InvalidInput",
        )
    return text


def check_domain(text: str, field: str) -> str:
    """Check a domain, which ends with a dot as Neutron has it, or is empty.  :raises Invalid: for what is none."""
    if text and not text.endswith("."):
        raise Invalid(f"{field}: {text!r} does not end with '.'", field=field, kind="InvalidInput")
    return check_name(text, field)


def domain_of(network: Network, default: str) -> str:
    """The domain of a network's names, with its final dot, in lower case."""
    return (network.dns_domain or default).lower()


def relative(name: str, domain: str, field: str = "dns_name") -> str:
    """A port's name without the domain, if it was given with it.

    :raises Invalid: for a whole name of another domain.
    """
    check_name(name, field)
    if not name.endswith("."):
        return name
    if not name.lower().endswith(f".{domain}"):
        message = f"{field}: {name!r} is a whole name, but not of the network's domain {domain!r}"
        raise Invalid(message, field=field, kind="InvalidInput")
    return name[: -len(domain) - 1]


def hostname(port: Port, address: IpAddress) -> str:
    """What a port is called by one of its addresses, without the domain."""
    return port.dns_name.lower() or _BY_ADDRESS + re.sub(r"[.:]", "-", str(address))


class Kind(Enum):
    """What is asked of a name."""

    IPV4 = "A"
    IPV6 = "AAAA"
    POINTER = "PTR"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Known:
    """What the network itself says of a name.

    :ivar exists: whether there is such a name at all, with whatever records.
    :ivar addresses: of the kind that was asked for; ``names`` likewise, for reverse questions.
    """

    exists: bool
    addresses: tuple[IpAddress, ...] = ()
    names: tuple[str, ...] = ()


NOBODY: Final = Known(exists=False)


def resolve(world: World, network: Network, name: str, kind: Kind) -> Known | None:
    """Ask a network for a name.

    :param name: a whole name, with its final dot.
    :returns: ``None`` where the network does not know what names there are: the question is another server's.
    """
    name = name.lower()
    for suffix, labels in _REVERSE.items():
        if name.endswith(suffix):
            return _reverse(world, network, name.removesuffix(suffix).split("."), labels, kind)
    domain = domain_of(network, world.settings.dns_domain)
    if name == domain:
        return Known(exists=True)
    if name.endswith(f".{domain}"):
        return _forward(world, network, name[: -len(domain) - 1], kind) or NOBODY
    return _forward(world, network, name[:-1], kind) if name.count(".") == 1 else None


def _forward(world: World, network: Network, label: str, kind: Kind) -> Known | None:
    owned = tuple(dict.fromkeys(_owned(world, network, label)))
    if not owned:
        return None
    versions = {Kind.IPV4: 4, Kind.IPV6: 6}
    return Known(exists=True, addresses=tuple(ip for ip in owned if ip.version == versions.get(kind)))


def _owned(world: World, network: Network, label: str) -> Iterator[IpAddress]:
    for named in world.ports_named(network.id, label):
        yield from (fixed.ip for fixed in named.fixed_ips)
    address = _read_address(label.removeprefix(_BY_ADDRESS)) if label.startswith(_BY_ADDRESS) else None
    port = None if address is None else world.owner_of(network.id, address)
    if address is not None and port is not None and not port.dns_name:
        yield address


def _read_address(dashed: str) -> IpAddress | None:
    try:
        return ip_address(dashed.replace("-", "." if dashed.count("-") == 3 and "--" not in dashed else ":"))  # noqa: PLR2004
    except ValueError:
        return None


def _reverse(world: World, network: Network, labels: list[str], expected: int, kind: Kind) -> Known | None:
    address = _read_reverse(labels) if len(labels) == expected else None
    if address is None or not any(address in subnet.cidr for subnet in world.subnets_of(network.id)):
        return None
    port = world.owner_of(network.id, address)
    if port is None:
        return NOBODY
    whole = f"{hostname(port, address)}.{domain_of(network, world.settings.dns_domain)}"
    return Known(exists=True, names=(whole,) if kind is Kind.POINTER else ())


def _read_reverse(labels: list[str]) -> IpAddress | None:
    try:
        if len(labels) == _REVERSE[".in-addr.arpa."]:
            return IPv4Address(".".join(reversed(labels)))
        return IPv6Address(int("".join(reversed(labels)), 16)) if all(map(_NIBBLE.fullmatch, labels)) else None
    except ValueError:
        return None


class Names:
    """The ports of each network by their names."""

    def __init__(self) -> None:
        self._ports: dict[tuple[str, str], dict[str, None]] = {}

    def put(self, before: Port | None, after: Port) -> None:
        """Follow a port."""
        if before is not None and before.dns_name == after.dns_name:
            return
        if before is not None:
            self.drop(before)
        if after.dns_name:
            self._ports.setdefault((after.network_id, after.dns_name.lower()), {})[after.id] = None

    def drop(self, port: Port) -> None:
        """Forget a port."""
        if port.dns_name:
            key = port.network_id, port.dns_name.lower()
            del self._ports[key][port.id]
            if not self._ports[key]:
                del self._ports[key]

    def ports(self, network_id: str, name: str) -> tuple[str, ...]:
        """The ids of the ports of that name."""
        return tuple(self._ports.get((network_id, name.lower()), ()))

"""What does a machine ask for when it calls?

Keys of ``Open_vSwitch.external_ids``, set by the machine's operator, say who it is: a hypervisor (three keys), or a
fabric switch, which names the bridge that is its switch; an edge switch that is the tunnel endpoint of machines wired
to it is both.  A machine that does not say so is watched but never configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from overlay.refusals import Refusal
from overlay.values import DatapathId, HostKind, HostName

HOST_KEY: Final = "vl2-host"
LA_KEY: Final = "vl2-la"
DATAPATH_KEY: Final = "vl2-datapath-type"
KIND_KEY: Final = "vl2-kind"
FABRIC_KEY: Final = "vl2-fabric"

_MARK: Final = 0x564C << 48
"""The upper 16 bits of every br-int's datapath id ("VL"), by which it is told from a fabric switch."""

_DATAPATHS: Final = ("system", "netdev")
_BRIDGES: Final = {HostKind.HYPERVISOR: "br-int", HostKind.EDGE: "br-vtep"}


class JoinError(Exception):
    """The machine does not ask for anything that could be done; the text names the key, for its operator."""


@dataclass(frozen=True, slots=True)
class Join:
    """A valid request to become a hypervisor of this network, or to an edge switch's tunnel endpoint."""

    name: HostName
    la: IPv4Address
    netdev: bool
    """Whether br-int is to use the userspace datapath."""
    kind: HostKind = HostKind.HYPERVISOR

    @property
    def bridge(self) -> str:
        """The bridge that is made and looked after."""
        return _BRIDGES[self.kind]

    @property
    def datapath_id(self) -> DatapathId:
        """The id of this host's br-int."""
        return datapath_id_of(self.name)


@dataclass(frozen=True, slots=True)
class FabricJoin:
    """A valid request to be looked after as a switch of the fabric."""

    bridge: str


def datapath_id_of(name: HostName) -> DatapathId:
    """Derive a br-int's datapath id from the host's name, so that it survives a new disk, a new NIC or a new bridge."""
    return DatapathId(_MARK | int.from_bytes(blake2b(name.encode(), digest_size=6).digest()))


def read_requests(external_ids: Mapping[str, str]) -> tuple[Join | FabricJoin, ...]:
    """Read the keys: what the machine wants to be, which is two things only of an edge switch.

    :raises JoinError: naming the first key that is missing or wrong.
    """
    if FABRIC_KEY not in external_ids:
        return (read_join(external_ids),)
    bridge = external_ids[FABRIC_KEY]
    if not bridge:
        raise JoinError(f"external_ids:{FABRIC_KEY} must name a bridge, like br0")
    if HOST_KEY not in external_ids:
        return (FabricJoin(bridge),)
    join = read_join(external_ids)
    if join.kind is not HostKind.EDGE:
        raise JoinError(
            f"external_ids:{FABRIC_KEY} and external_ids:{HOST_KEY} are both set: a machine is either a fabric switch"
            f" or a hypervisor, unless external_ids:{KIND_KEY} is {HostKind.EDGE}"
        )
    if bridge == join.bridge:
        raise JoinError(f"external_ids:{FABRIC_KEY}: {bridge} is the bridge of the machines that are wired to it")
    return FabricJoin(bridge), join


def read_join(external_ids: Mapping[str, str]) -> Join:
    """Read the keys of a hypervisor, or of an edge switch that is one to the machines wired to it.

    :raises JoinError: naming the first key that is missing or wrong.
    """
    if HOST_KEY not in external_ids:
        raise JoinError(f"external_ids:{HOST_KEY} is not set, so the host is left alone")
    try:
        name = HostName.parse(external_ids[HOST_KEY], f"external_ids:{HOST_KEY}")
    except Refusal as refusal:
        raise JoinError(refusal.message) from refusal
    if LA_KEY not in external_ids:
        raise JoinError(f"external_ids:{LA_KEY} is not set, host {name} has no tunnel address")
    text = external_ids[LA_KEY]
    try:
        la = IPv4Address(text)
    except AddressValueError as error:
        raise JoinError(f"external_ids:{LA_KEY}: {text!r} is not an IPv4 address") from error
    if la.is_multicast or la.is_unspecified or la.is_loopback or la.is_reserved:
        raise JoinError(f"external_ids:{LA_KEY}: {la} cannot be the address of a host")
    datapath = external_ids.get(DATAPATH_KEY) or _DATAPATHS[0]
    if datapath not in _DATAPATHS:
        raise JoinError(f"external_ids:{DATAPATH_KEY}: {datapath!r} is neither {' nor '.join(_DATAPATHS)}")
    kind = external_ids.get(KIND_KEY) or HostKind.HYPERVISOR
    if kind not in list(HostKind):
        raise JoinError(f"external_ids:{KIND_KEY}: {kind!r} is neither {' nor '.join(HostKind)}")
    return Join(name, la, netdev=datapath == "netdev", kind=HostKind(kind))

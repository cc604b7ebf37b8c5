"""What are the words of this domain, and which of their spellings are legal?

Small frozen types that are parsed once, at the edge, and trusted from then on.  The scalar ones are subclasses of
``int`` or ``str`` so that they hash, compare and go on the wire at no cost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Self, TypeAlias

from overlay.refusals import Invalid

IpAddress: TypeAlias = IPv4Address | IPv6Address
IpNetwork: TypeAlias = IPv4Network | IPv6Network

_MAC: Final = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62})")
_GROUP_BIT: Final = 1 << 40
_VNI_MAX: Final = (1 << 24) - 1


class Mac(int):
    """An Ethernet unicast address (48 bits)."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str, field: str = "mac_address") -> Self:
        """Read ``aa:bb:cc:dd:ee:ff``; refuses group addresses, all-zero and other spellings."""
        if not _MAC.fullmatch(text):
            raise Invalid(f"{field}: {text!r} is not a MAC address (aa:bb:cc:dd:ee:ff)", field=field)
        value = int(text.replace(":", ""), 16)
        if value & _GROUP_BIT:
            raise Invalid(f"{field}: {text} is a group address, a port needs a unicast one", field=field)
        if not value:
            raise Invalid(f"{field}: {text} is not an address of anything", field=field)
        return cls(value)

    def __str__(self) -> str:
        return int.to_bytes(self, 6, "big").hex(":")

    __repr__ = __str__


class Vni(int):
    """A VXLAN network identifier, 1 … 2**24 - 1 (RFC 7348 §5)."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: int, field: str = "provider:segmentation_id") -> Self:
        """Check the range; 0 is refused because it stands for "no network" in our registers."""
        if not 1 <= value <= _VNI_MAX:
            raise Invalid(f"{field}: {value} is outside 1 … {_VNI_MAX}", field=field)
        return cls(value)


class DatapathId(int):
    """An OpenFlow datapath id (64 bits), printed as Open vSwitch prints it: 16 hex digits."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str, field: str = "datapath_id") -> Self:
        """Read 16 hex digits."""
        if not re.fullmatch(r"[0-9a-fA-F]{16}", text):
            raise Invalid(f"{field}: {text!r} is not a datapath id (16 hex digits)", field=field)
        return cls(int(text, 16))

    def __str__(self) -> str:
        return f"{int(self):016x}"

    __repr__ = __str__


class HostName(str):
    """The name of a hypervisor, as its ``external_ids:vl2-host`` and ``binding:host_id`` give it."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str, field: str = "binding:host_id") -> Self:
        """Letters, digits, dot, dash, underscore; at most 63."""
        if not _HOST.fullmatch(text):
            raise Invalid(f"{field}: {text!r} is not a host name (letters, digits, '.', '-', '_')", field=field)
        return cls(text)


@dataclass(frozen=True, slots=True)
class Pool:
    """An inclusive range of addresses that may be handed out."""

    first: IpAddress
    last: IpAddress


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of every object that a tenant can make (Neutron's standard attributes).

    :ivar revision: grows by one with each change that is stored.
    :ivar created_at: seconds since the epoch; likewise ``updated_at``.
    :ivar tags: sorted, none twice.
    """

    revision: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """A tenant's layer-2 broadcast domain, carried as one VNI.

    A network that is administratively down carries nothing: none of its ports may send or be sent to.

    :ivar port_security: what ports have that do not say.
    :ivar vlan_transparent: whether it carries frames with a VLAN tag; if not, they end at the port that sends them.
    """

    id: str
    project_id: str
    name: str
    vni: Vni
    mtu: int = 1500
    description: str = ""
    admin_up: bool = True
    record: Record = Record()
    port_security: bool = True
    qos_policy_id: str | None = None
    dns_domain: str = ""
    vlan_transparent: bool = False


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A route that the machines of a subnet are to have besides that by their gateway."""

    destination: IpNetwork
    nexthop: IpAddress


class Ipv6Mode(StrEnum):
    """How machines get their IPv6 addresses, by Neutron's words."""

    SLAAC = "slaac"
    STATEFUL = "dhcpv6-stateful"
    STATELESS = "dhcpv6-stateless"


@dataclass(frozen=True, slots=True)
class Subnet:
    """A prefix of a network, with the ranges that ports are numbered from."""

    id: str
    network_id: str
    project_id: str
    name: str
    cidr: IpNetwork
    gateway_ip: IpAddress | None
    pools: tuple[Pool, ...]
    description: str = ""
    dhcp: bool = False
    dns_nameservers: tuple[IpAddress, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    ipv6_ra_mode: Ipv6Mode | None = None
    ipv6_address_mode: Ipv6Mode | None = None
    subnetpool_id: str | None = None
    record: Record = Record()

    @property
    def by_mac(self) -> bool:
        """Whether machines make their addresses of their MACs (RFC 4862), instead of getting one of a pool."""
        return self.ipv6_address_mode in {Ipv6Mode.SLAAC, Ipv6Mode.STATELESS}


@dataclass(frozen=True, slots=True)
class SubnetPool:
    """Prefixes of which subnets are cut, none of which overlap.

    :ivar prefixes: all of one IP version, merged where they touch, sorted.
    :ivar default_quota: the most that one project may have of it (addresses in IPv4, /64 in IPv6), ``None`` for any.
    """

    id: str
    project_id: str
    name: str
    prefixes: tuple[IpNetwork, ...]
    default_prefixlen: int
    min_prefixlen: int
    max_prefixlen: int
    shared: bool = False
    is_default: bool = False
    default_quota: int | None = None
    description: str = ""
    record: Record = Record()


class Shareable(StrEnum):
    """What one project may let others use."""

    NETWORK = "network"
    SUBNETPOOL = "subnetpool"
    QOS_POLICY = "qos_policy"


EVERYBODY: Final = "*"
"""The target of a share that is for all projects."""


@dataclass(frozen=True, slots=True)
class Share:
    """A project may use what is another's (Neutron's RBAC policy with the action ``access_as_shared``)."""

    id: str
    project_id: str
    object_type: Shareable
    object_id: str
    target_project: str
    record: Record = Record()


class Countable(StrEnum):
    """What a project may have only so many of."""

    NETWORK = "network"
    SUBNET = "subnet"
    PORT = "port"
    SUBNETPOOL = "subnetpool"
    RBAC_POLICY = "rbac_policy"
    SECURITY_GROUP = "security_group"
    SECURITY_GROUP_RULE = "security_group_rule"
    ADDRESS_GROUP = "address_group"
    TAP_SERVICE = "tap_service"
    TAP_FLOW = "tap_flow"
    QOS_POLICY = "qos_policy"
    TRUNK = "trunk"


UNLIMITED: Final = -1
"""The quota of whoever may have any number."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How many of what one project may have, where that differs from the default."""

    project_id: str
    limits: Mapping[Countable, int]


@dataclass(frozen=True, slots=True)
class FixedIp:
    """An address of a port, out of one subnet of its network."""

    subnet_id: str
    ip: IpAddress


@dataclass(frozen=True, slots=True)
class AddressPair:
    """What a port may send by, and be sent to by, besides its own addresses (a virtual IP of several machines).

    :ivar mac: the port's own one where none was said.
    """

    mac: Mac
    network: IpNetwork


class VnicType(StrEnum):
    """How a port reaches its machine, by Neutron's words: by a hypervisor's switch, or past all of them."""

    NORMAL = "normal"
    DIRECT = "direct"
    BAREMETAL = "baremetal"


@dataclass(frozen=True, slots=True)
class LocalLink:
    """Where a machine is wired to: the VLAN of an interface of an edge switch.

    :ivar switch: the name by which the edge switch joined.
    :ivar interface: of its br-vtep.
    :ivar vid: 0 for the frames without a tag.
    :ivar pci_slot: of the virtual function, as the operator says it; it means nothing to us, as physical_network.
    """

    switch: HostName
    interface: str
    vid: int = 0
    pci_slot: str = ""
    physical_network: str = ""

    @property
    def place(self) -> tuple[HostName, str, int]:
        """What no two ports can have."""
        return self.switch, self.interface, self.vid


@dataclass(frozen=True, slots=True)
class DhcpOption:
    """What DHCP tells a port's machine besides what its subnet says, or instead of it.

    :ivar name: as Neutron and dnsmasq call it.
    :ivar version: of the IP whose DHCP says so.
    """

    name: str
    value: str
    version: int = 4


Profile: TypeAlias = tuple[tuple[str, str | bool], ...]
"""What an orchestrator notes at a binding, by name; sorted."""


@dataclass(frozen=True, slots=True)
class Port:
    """A virtual machine's attachment: the owner of one MAC and some IPs (its AA) in one network.

    ``host`` is where the port lives now (the active binding), ``None`` while unbound.

    :ivar port_security: whether its frames are checked for its addresses, and by its groups.
    :ivar security_groups: sorted; ``()`` allows nothing, ``None`` everything (no policy was ever asked for).
    :ivar local_link: of a port that is wired to an edge switch, which ``host`` is then.
    :ivar profile: what an orchestrator notes at the active binding; nothing of ours follows from it.
    :ivar travelled: whether it came to ``host`` by a move, with connections that this host has not seen begin.
    """

    id: str
    network_id: str
    project_id: str
    name: str
    mac: Mac
    fixed_ips: tuple[FixedIp, ...]
    host: HostName | None = None
    device_id: str = ""
    device_owner: str = ""
    description: str = ""
    admin_up: bool = True
    record: Record = Record()
    port_security: bool = True
    security_groups: tuple[str, ...] | None = None
    allowed_pairs: tuple[AddressPair, ...] = ()
    qos_policy_id: str | None = None
    dns_name: str = ""
    vnic_type: VnicType = VnicType.NORMAL
    local_link: LocalLink | None = None
    dhcp_options: tuple[DhcpOption, ...] = ()
    profile: Profile = ()
    travelled: bool = False

    @property
    def filtered(self) -> bool:
        """Whether groups decide with whom it may talk."""
        return self.port_security and self.security_groups is not None


class HostKind(StrEnum):
    """What a host's tunnel endpoint is for."""

    HYPERVISOR = "hypervisor"
    EDGE = "edge"


@dataclass(frozen=True, slots=True)
class Host:
    """A hypervisor that has joined: its br-int, and the LA that VXLAN packets to it are addressed to.

    An edge switch is one too, to the machines that are wired to it; its bridge is br-vtep.

    ``tunnel_port`` is the OpenFlow number of br-int's VXLAN port, ``None`` until Open vSwitch has given it one.
    ``answers_nd`` is whether its datapath can rewrite a neighbour solicitation into an advertisement (the
    userspace datapath can, the kernel one cannot).
    """

    name: HostName
    la: IPv4Address
    datapath_id: DatapathId
    tunnel_port: int | None = None
    answers_nd: bool = True
    kind: HostKind = HostKind.HYPERVISOR


class PortStatus(StrEnum):
    """Neutron's word for a port's state; ACTIVE means installed on every switch that needs it."""

    ACTIVE = "ACTIVE"
    BUILD = "BUILD"
    DOWN = "DOWN"

"""What can be asked of the world, what can happen to it, and what does it answer?

Every way in which the world's state moves is one frozen value of this module, given to
:meth:`overlay.world.World.apply`.  *Intents* come from people and may be turned down with a
:class:`~overlay.refusals.Refusal`; *events* report what has already happened and are never refused.
The answer is an :class:`Outcome`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from overlay.direct.changes import PLUGGED, Attach, EdgeSnapshot, Unwired, Wired
from overlay.evacuation.changes import EndEvacuation, Evacuate
from overlay.mirrors.changes import MirrorIntent
from overlay.multicast.changes import Joined, Left
from overlay.policy.changes import MakeDefaultGroup, PairRequest, PolicyIntent
from overlay.qos.changes import QosIntent
from overlay.trunks.changes import AddSubPorts, CreateTrunk, DeleteTrunk, RemoveSubPorts, UpdateTrunk
from overlay.values import (
    Countable,
    Host,
    HostName,
    HostRoute,
    IpAddress,
    IpNetwork,
    Ipv6Mode,
    Mac,
    Pool,
    Port,
    Profile,
    Shareable,
    Vni,
)


class Unchanged(Enum):
    """The type of :data:`UNCHANGED`, for fields where ``None`` already means something."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""The field keeps its value."""

# Throughout, ``expected`` is the revision that whoever asks has seen; ``None`` where it does not matter (If-Match).


class DocumentKind(StrEnum):
    """What is stored; the order is that in which a world can be restored."""

    QUOTA = "quota"
    SUBNETPOOL = "subnetpool"
    QOS_POLICY = "qos_policy"
    NETWORK = "network"
    SUBNET = "subnet"
    HOST = "host"
    ADDRESS_GROUP = "address_group"
    SECURITY_GROUP = "security_group"
    SECURITY_RULE = "security_group_rule"
    TRUNK = "trunk"
    PORT = "port"
    MOVE = "move"
    SHARE = "rbac_policy"
    TAP_SERVICE = "tap_service"
    TAP_FLOW = "tap_flow"
    MEMBERSHIPS = "memberships"
    EVACUATION = "evacuation"


# --- intents ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """Make a network; ``vni=None`` takes the lowest free one of the configured range, ``mtu=None`` the largest.

    ``qos_policy_id=None`` takes the default one of the project, if it has one.

    Refused: ``SegmentationIdInUse`` (409), ``QosPolicyNotFound``, ``NoNetworkAvailable`` (409, range exhausted),
    ``OverQuota`` (409), ``InvalidInput`` (400, an MTU that does not fit through the tunnel).
    """

    id: str
    project_id: str
    name: str = ""
    vni: Vni | None = None
    mtu: int | None = None
    description: str = ""
    admin_up: bool = True
    tags: tuple[str, ...] = ()
    port_security: bool = True
    qos_policy_id: str | None = None
    dns_domain: str = ""
    vlan_transparent: bool = False


@dataclass(frozen=True, slots=True)
class UpdateNetwork:
    """Change what may change of a network; ``None`` keeps a field, :data:`UNCHANGED` the QoS policy.

    Refused: ``NetworkNotFound``, ``InvalidInput`` (MTU), ``RbacPolicyInUse``, ``OverQuota``,
    ``RevisionNumberConstraintFailed`` (412).

    :param shared: whether one share of it is for everybody; those for single projects stay.
    :param share_id: of that share, where it has to be made.
    """

    id: str
    name: str | None = None
    description: str | None = None
    mtu: int | None = None
    admin_up: bool | None = None
    expected: int | None = None
    shared: bool | None = None
    share_id: str = ""
    port_security: bool | None = None
    qos_policy_id: str | Unchanged | None = UNCHANGED
    dns_domain: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteNetwork:
    """Remove a network, its subnets and the shares of it.

    Refused: ``NetworkNotFound``, ``NetworkInUse`` (409, it has ports), ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class CreateSubnet:
    """Number a network from a prefix.

    :param cidr: ``None`` has ``subnetpool_id`` cut one of ``prefixlen`` (its default length when that is ``None``).
    :param gateway_ip: ``"default"`` is the first usable address, ``None`` is no gateway.
    :param pools: ``None`` is every usable address but the gateway.

    Refused: ``NetworkNotFound``, ``InvalidInput`` (overlap, gateway outside), ``InvalidAllocationPool``,
    ``OutOfBoundsAllocationPool``, ``OverlappingAllocationPools`` (400), ``GatewayConflictWithAllocationPools`` (409),
    ``SubnetPoolNotFound``, ``MinPrefixSubnetAllocationError``, ``MaxPrefixSubnetAllocationError`` (400),
    ``SubnetAllocationError`` (409, nothing of that length is left), ``SubnetPoolQuotaExceeded``, ``OverQuota`` (409).
    """

    id: str
    project_id: str
    network_id: str
    cidr: IpNetwork | None
    name: str = ""
    gateway_ip: IpAddress | Literal["default"] | None = "default"
    pools: tuple[Pool, ...] | None = None
    description: str = ""
    dhcp: bool = False
    dns_nameservers: tuple[IpAddress, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    ipv6_ra_mode: Ipv6Mode | None = None
    ipv6_address_mode: Ipv6Mode | None = None
    subnetpool_id: str | None = None
    prefixlen: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateSubnet:
    """Change what may change of a subnet; ``None`` keeps a field, :data:`UNCHANGED` the gateway.

    Refused: ``SubnetNotFound``, ``InvalidInput``, the refusals of pools as in :class:`CreateSubnet`,
    ``GatewayIpInUse`` (409, a port has the gateway's address or the old one is), ``RevisionNumberConstraintFailed``.
    """

    id: str
    name: str | None = None
    description: str | None = None
    gateway_ip: IpAddress | Unchanged | None = UNCHANGED
    pools: tuple[Pool, ...] | None = None
    dhcp: bool | None = None
    dns_nameservers: tuple[IpAddress, ...] | None = None
    host_routes: tuple[HostRoute, ...] | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteSubnet:
    """Remove a subnet.

    Refused: ``SubnetNotFound``, ``SubnetInUse`` (409, a port has an address of it),
    ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class FixedIpRequest:
    """A wish for an address: an exact one, or any of a subnet."""

    subnet_id: str | None = None
    ip: IpAddress | None = None


@dataclass(frozen=True, slots=True)
class DhcpOptionWish:
    """A wish for a DHCP option; without a value the port is not to have it."""

    name: str
    value: str | None
    version: int = 4


@dataclass(frozen=True, slots=True)
class CreatePort:
    """Make a port.

    :param mac: the exact address, or ``None`` for the first free one of ``mac_candidates`` (drawn by the edge).
    :param fixed_ips: ``None`` is one address of each IP version that the network has pools of, and one of each subnet
        whose machines make their addresses of their MACs.
    :param host: where the port shall live (active binding); ``None`` waits for it to be plugged somewhere.
    :param guest: whether whoever asks may use the network only because it is shared with him: it must be so still.
    :param port_security: ``None`` as the network says.
    :param security_groups: ``None`` lets it talk to everybody, ``()`` to nobody.
    :param default_group: what makes the default group of its project, which it is to be in if it is checked at all.
    :param attach: of a port that is wired to an edge switch, where it shall live then.

    Refused: ``NetworkNotFound``, ``SubnetNotFound``, ``MacAddressInUse``, ``MacAddressGenerationFailure``,
    ``InvalidIpForSubnet``, ``InvalidIpForNetwork``, ``AllocationOnAutoAddressSubnet`` (400), ``IpAddressInUse``,
    ``IpAddressGenerationFailure``, ``HostNotFound``, ``OverQuota``, ``SecurityGroupNotFound``,
    ``PortSecurityAndIPRequiredForSecurityGroups``, ``DuplicateAddressPairInRequest``, ``AllowedAddressPairExhausted``
    (400), ``AddressPairAndPortSecurityRequired`` (409), ``LocalLinkInUse`` (409).
    """

    id: str
    project_id: str
    network_id: str
    name: str = ""
    mac: Mac | None = None
    mac_candidates: tuple[Mac, ...] = ()
    fixed_ips: tuple[FixedIpRequest, ...] | None = None
    host: HostName | None = None
    device_id: str = ""
    device_owner: str = ""
    description: str = ""
    admin_up: bool = True
    tags: tuple[str, ...] = ()
    guest: bool = False
    port_security: bool | None = None
    security_groups: tuple[str, ...] | None = None
    default_group: MakeDefaultGroup | None = None
    allowed_pairs: tuple[PairRequest, ...] = ()
    qos_policy_id: str | None = None
    dns_name: str = ""
    attach: Attach = PLUGGED
    dhcp_options: tuple[DhcpOptionWish, ...] = ()
    profile: Profile = ()


@dataclass(frozen=True, slots=True)
class UpdatePort:
    """Change what may change of a port; ``None`` keeps a field, :data:`UNCHANGED` keeps the host or the QoS policy.

    A new host for a port that is plugged at its present one is a move that activates by itself; the host that an
    activated move goes to is no new one.
    ``host=None`` unbinds.  ``fixed_ips`` replaces all addresses: one that the port has already is kept when it is
    named, and a wish for any address of a subnet keeps one that it has there.  A bound port keeps its MAC.
    ``dhcp_options`` are added, replaced or taken away; those that are not named stay.
    Another ``attach`` unplugs the port where it is and plugs it there; to unbind a wired port leaves it no wire.

    Refused: ``PortNotFound``, ``HostNotFound``, ``PortMoveInProgress``, ``PortBound`` (409), ``MacAddressInUse``, the
    refusals of addresses and of security as in :class:`CreatePort`, ``PortSecurityPortHasSecurityGroup`` (409),
    ``PortInUseAsSubPort`` (409, a sub-port lives where its parent does), ``LocalLinkInUse`` (409), ``TrunkPortInUse``
    (409, a port of a trunk is not wired), ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    name: str | None = None
    description: str | None = None
    device_id: str | None = None
    device_owner: str | None = None
    host: HostName | Unchanged | None = UNCHANGED
    admin_up: bool | None = None
    mac: Mac | None = None
    fixed_ips: tuple[FixedIpRequest, ...] | None = None
    expected: int | None = None
    port_security: bool | None = None
    security_groups: tuple[str, ...] | None = None
    allowed_pairs: tuple[PairRequest, ...] | None = None
    qos_policy_id: str | Unchanged | None = UNCHANGED
    dns_name: str | None = None
    attach: Attach | None = None
    dhcp_options: tuple[DhcpOptionWish, ...] = ()
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class DeletePort:
    """Remove a port, whatever it is doing.

    Refused: ``PortNotFound``, ``PortInUseAsTrunkParent``, ``PortInUseAsSubPort`` (409),
    ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class CreateSubnetPool:
    """Make a pool of prefixes; lengths that are ``None`` are Neutron's: 8 and 32, or 64 and 128, the default the least.

    Refused: ``InvalidInput`` (mixed versions, lengths out of order), ``OverQuota``, ``DefaultSubnetPoolExists`` (409).
    """

    id: str
    project_id: str
    name: str
    prefixes: tuple[IpNetwork, ...]
    default_prefixlen: int | None = None
    min_prefixlen: int | None = None
    max_prefixlen: int | None = None
    shared: bool = False
    is_default: bool = False
    default_quota: int | None = None
    description: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateSubnetPool:
    """Change what may change of a pool; ``None`` keeps a field, :data:`UNCHANGED` the quota.

    Refused: ``SubnetPoolNotFound``, ``InvalidInput``, ``IllegalSubnetPoolPrefixUpdate`` (400, a prefix was left out),
    ``RevisionNumberConstraintFailed``.
    """

    id: str
    name: str | None = None
    prefixes: tuple[IpNetwork, ...] | None = None
    default_prefixlen: int | None = None
    min_prefixlen: int | None = None
    max_prefixlen: int | None = None
    is_default: bool | None = None
    default_quota: int | Unchanged | None = UNCHANGED
    description: str | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteSubnetPool:
    """Remove a pool.  Refused: ``SubnetPoolNotFound``, ``SubnetPoolInUse`` (409, a subnet was cut of it)."""

    id: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class CreateShare:
    """Let another project use an object, or all projects (``*``).

    Refused: ``RbacPolicyObjectNotFound`` (404), ``RbacPolicyExists`` (409, the same once more), ``OverQuota``.
    """

    id: str
    project_id: str
    object_type: Shareable
    object_id: str
    target_project: str


@dataclass(frozen=True, slots=True)
class UpdateShare:
    """Let a share be for another project.

    Refused: ``RbacPolicyNotFound``, ``RbacPolicyInUse``, ``RbacPolicyExists``, ``RevisionNumberConstraintFailed``.
    """

    id: str
    target_project: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteShare:
    """Take a share back.  Refused: ``RbacPolicyNotFound``, ``RbacPolicyInUse`` (409, a port there needs it)."""

    id: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class SetTags:
    """Tag an object or take tags away: first all of ``remove`` (``None`` is all that there are), then add.

    :param kind: of the object, among those that have tags: networks, subnets, ports, subnet pools, QoS policies,
        security groups, address groups, trunks.

    Refused: the object's ``…NotFound``, ``TagNotFound`` (404, one of ``needed`` is not there),
    ``RevisionNumberConstraintFailed``.
    """

    kind: DocumentKind
    id: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] | None = ()
    needed: tuple[str, ...] = ()
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class SetQuota:
    """Let a project have so many of each; what is not named stays.  What it has already is never taken away.

    :ivar check: refuse limits below what it has.
    """

    project_id: str
    limits: Mapping[Countable, int]
    check: bool = False


@dataclass(frozen=True, slots=True)
class ResetQuota:
    """Let a project have as many as any other again.  Refused: ``TenantQuotaNotFound`` (404)."""

    project_id: str


@dataclass(frozen=True, slots=True)
class BindPassive:
    """Prepare a second host for a port (an inactive binding): the move's first step.

    Refused: ``PortNotFound``, ``HostNotFound`` (400), ``PortBindingAlreadyExists``, ``PortNotBound``,
    ``PortMoveInProgress``, ``PortInUseAsSubPort`` (409, a sub-port moves with its parent; likewise below).
    """

    port_id: str
    host: HostName
    profile: Profile = ()


@dataclass(frozen=True, slots=True)
class Activate:
    """Switch a port over to its inactive binding: at once, or as soon as that is ready.

    Refused: ``PortNotFound``, ``PortBindingNotFound`` (404), ``PortBindingAlreadyActive`` (409),
    ``PortMoveInProgress`` (409, back to the source of a move that was activated).
    """

    port_id: str
    host: HostName


@dataclass(frozen=True, slots=True)
class Unbind:
    """Remove an inactive binding: cancels the move that it belongs to.

    Refused: ``PortNotFound``, ``PortBindingNotFound`` (404), ``PortBindingAlreadyActive`` (409).
    """

    port_id: str
    host: HostName


Intent: TypeAlias = (
    CreateNetwork
    | UpdateNetwork
    | DeleteNetwork
    | CreateSubnet
    | UpdateSubnet
    | DeleteSubnet
    | CreatePort
    | UpdatePort
    | DeletePort
    | CreateSubnetPool
    | UpdateSubnetPool
    | DeleteSubnetPool
    | CreateShare
    | UpdateShare
    | DeleteShare
    | SetTags
    | SetQuota
    | ResetQuota
    | BindPassive
    | Activate
    | Unbind
    | Evacuate
    | EndEvacuation
    | PolicyIntent
    | MirrorIntent
    | QosIntent
    | CreateTrunk
    | UpdateTrunk
    | DeleteTrunk
    | AddSubPorts
    | RemoveSubPorts
)


# --- events ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HostSeen:
    """A hypervisor joined, or something about it changed.  Its LA may clash: see ``World.clashes``."""

    host: Host


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """Everything that is plugged at a host, after its OVSDB session came (back) up: ``(port id, OpenFlow port)``."""

    host: HostName
    plugged: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Plugged:
    """An interface with this iface-id has an OpenFlow port (again, or another one) at a host."""

    host: HostName
    port_id: str
    ofport: int


@dataclass(frozen=True, slots=True)
class Unplugged:
    """The interface with this iface-id is gone from a host."""

    host: HostName
    port_id: str


@dataclass(frozen=True, slots=True)
class HostSilent:
    """A host's OpenFlow session has just ended; it may be back in a moment."""

    host: HostName


@dataclass(frozen=True, slots=True)
class HostHeard:
    """A host has an OpenFlow session again."""

    host: HostName


@dataclass(frozen=True, slots=True)
class HostLost:
    """A host's OpenFlow session has been down for so long that confirmations wait for it no more."""

    host: HostName


@dataclass(frozen=True, slots=True)
class HostBack:
    """A lost host's OpenFlow session is up again (no effect on a host that was not lost)."""

    host: HostName


@dataclass(frozen=True, slots=True)
class Announced:
    """A RARP, gratuitous ARP or unsolicited NA came out of a passive port: the VM runs there now."""

    host: HostName
    port_id: str


class Wait(NamedTuple):
    """A port waits for the confirmation of what is to be sent to a host."""

    host: HostName
    port_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What an outcome made dirty is on its way to the switches.

    The owner applies it right after it has compiled and sent the flows of one :class:`Outcome` (or of a merged
    batch).  A host that had nothing to change is left out of ``generations``; one without a session is in it, with a
    generation that is confirmed when it has been reconciled.

    :param waits: the outcome's ``waits``.
    :param generations: per host the number by which a later :class:`Confirmed` will name this sending; growing.
    """

    waits: frozenset[Wait]
    generations: tuple[tuple[HostName, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The barrier came back: a host has everything up to and including this generation."""

    host: HostName
    generation: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed (about every 100 ms, or at ``World.next_deadline``)."""


Event: TypeAlias = (
    HostSeen
    | HostSnapshot
    | Plugged
    | Unplugged
    | HostSilent
    | HostHeard
    | HostLost
    | HostBack
    | Announced
    | Sent
    | Confirmed
    | Tick
    | Joined
    | Left
    | EdgeSnapshot
    | Wired
    | Unwired
)

Change: TypeAlias = Intent | Event


# --- answers ---------------------------------------------------------------------------------------------------


class UnitKind(StrEnum):
    """What a compile unit is about (see ``overlay.compile``)."""

    BASE = "base"
    NETWORK = "network"
    PORT = "port"
    ADDRESS = "address"
    PEER = "peer"
    SERVICE = "service"
    CLAUSE = "clause"
    MIRROR = "mirror"
    MULTICAST = "multicast"


class Unit(NamedTuple):
    """The smallest thing that is compiled anew: all flows of one object on one host.

    ``key`` is ``""`` for BASE, a network's id for NETWORK, a port's id for PORT, ADDRESS and MIRROR, ``network's
    id|group`` for MULTICAST; for those of policies see ``overlay.policy.units``.
    """

    host: HostName
    kind: UnitKind
    key: str


@dataclass(frozen=True, slots=True)
class Document:
    """One object as the store keeps it: JSON values only; ``body=None`` deletes it."""

    kind: str
    id: str
    body: dict[str, Any] | None


class NoticeKind(StrEnum):
    """What a notice tells."""

    PORT_STATUS = "port_status"
    PORT_BOUND = "port_bound"
    PORT_DELETED = "port_deleted"
    MOVE_PHASE = "move_phase"
    HOST_CLASH = "host_clash"
    HOST_LOST = "host_lost"
    HOST_BACK = "host_back"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people and orchestrators want to hear of.

    :param id: of the port, move or host.
    :param detail: the new status, the host's name, the new phase, or a sentence.
    :param port: as it was, where it is no more.
    """

    kind: NoticeKind
    id: str
    detail: str
    port: Port | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change did.

    :param dirty: the compile units that read what changed.
    :param documents: what to store, in order, before anything is sent.
    :param notices: what to tell.
    :param waits: who waits for which host to confirm; goes into :class:`Sent` unchanged.
    """

    dirty: frozenset[Unit] = frozenset()
    documents: tuple[Document, ...] = ()
    notices: tuple[Notice, ...] = ()
    waits: frozenset[Wait] = frozenset()

    @staticmethod
    def merge(outcomes: Iterable[Outcome]) -> Outcome:
        """Join the outcomes of a batch, in order, so that it is compiled, sent and reported as one."""
        all_of = tuple(outcomes)
        return Outcome(
            frozenset().union(*(outcome.dirty for outcome in all_of)),
            tuple(document for outcome in all_of for document in outcome.documents),
            tuple(notice for outcome in all_of for notice in outcome.notices),
            frozenset().union(*(outcome.waits for outcome in all_of)),
        )

"""What can be asked of policies?

Intents like those of :mod:`overlay.changes`: ``expected`` is the revision that whoever asks has seen, and ``None``
keeps a field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from overlay.policy.values import Direction
from overlay.values import IpNetwork, Mac


@dataclass(frozen=True, slots=True)
class PairRequest:
    """A wish for an address pair; ``mac=None`` is the port's own MAC."""

    network: IpNetwork
    mac: Mac | None = None


@dataclass(frozen=True, slots=True)
class CreateSecurityGroup:
    """Make a group, which lets its ports send anything.

    :param rule_ids: of the rules by which they may, for IPv4 and IPv6.

    Refused: ``OverQuota`` (409, of groups or rules), ``SecurityGroupDefaultAlreadyExists`` (409, the name ``default``).
    """

    id: str
    project_id: str
    rule_ids: tuple[str, str]
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MakeDefaultGroup:
    """See to it that a project has a default group; whoever has one keeps it.  Never refused, and not by a quota.

    :param id: of the group, if it has to be made.
    :param rule_ids: of its rules then: out by IPv4 and IPv6, in from its own ports by IPv4 and IPv6.
    """

    project_id: str
    id: str
    rule_ids: tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class UpdateSecurityGroup:
    """Change a group's texts.

    Refused: ``SecurityGroupNotFound``, ``SecurityGroupCannotUpdateDefault`` (409, another name for a default group),
    ``SecurityGroupDefaultAlreadyExists`` (409), ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    name: str | None = None
    description: str | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteSecurityGroup:
    """Remove a group, its rules, and the rules of others that name it.

    :param default: whether it may be a default group.

    Refused: ``SecurityGroupNotFound``, ``SecurityGroupInUse`` (409, a port is in it),
    ``SecurityGroupCannotRemoveDefault`` (409), ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    expected: int | None = None
    default: bool = False


@dataclass(frozen=True, slots=True)
class CreateSecurityRule:
    """Let the ports of a group do something more.

    Refused: ``SecurityGroupNotFound``, ``AddressGroupNotFound`` (404, also for what is another project's),
    ``SecurityGroupRuleExists`` (409), ``OverQuota``, and with 400 what contradicts itself:
    ``SecurityGroupRemoteGroupAndRemoteIpPrefix``, ``SecurityGroupProtocolRequiredWithPorts``,
    ``SecurityGroupInvalidPortRange``, ``SecurityGroupInvalidPortValue``, ``SecurityGroupInvalidProtocolForPort``,
    ``SecurityGroupInvalidIcmpValue``, ``SecurityGroupMissingIcmpType``, ``SecurityGroupRuleParameterConflict``,
    ``SecurityGroupEthertypeConflictWithProtocol``.
    """

    id: str
    project_id: str
    group_id: str
    direction: Direction
    family: int = 4
    protocol: int | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_group_id: str | None = None
    remote_prefix: IpNetwork | None = None
    remote_address_group_id: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class CreateSecurityRules:
    """Make several rules, all of them or none; a group that gets some of them has one revision more.

    Refused: as :class:`CreateSecurityRule`, and ``DuplicateSecurityGroupRuleInPost`` (409, two of them say the same).
    """

    rules: tuple[CreateSecurityRule, ...]


@dataclass(frozen=True, slots=True)
class DeleteSecurityRule:
    """Take a rule back.  Refused: ``SecurityGroupRuleNotFound``, ``RevisionNumberConstraintFailed`` (412)."""

    id: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class CreateAddressGroup:
    """Make an address group.  Refused: ``OverQuota``."""

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    prefixes: tuple[IpNetwork, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateAddressGroup:
    """Change an address group: first all of ``remove``, then add.

    Refused: ``AddressGroupNotFound``, ``AddressesAlreadyExist`` (400), ``AddressesNotFound`` (404),
    ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    name: str | None = None
    description: str | None = None
    add: tuple[IpNetwork, ...] = ()
    remove: tuple[IpNetwork, ...] = ()
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteAddressGroup:
    """Remove an address group.

    Refused: ``AddressGroupNotFound``, ``AddressGroupInUse`` (409, a rule names it), ``RevisionNumberConstraintFailed``.
    """

    id: str
    expected: int | None = None


PolicyIntent: TypeAlias = (
    CreateSecurityGroup
    | MakeDefaultGroup
    | UpdateSecurityGroup
    | DeleteSecurityGroup
    | CreateSecurityRule
    | CreateSecurityRules
    | DeleteSecurityRule
    | CreateAddressGroup
    | UpdateAddressGroup
    | DeleteAddressGroup
)

"""May a port be in these groups, and use these addresses besides its own?"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from overlay.changes import UpdatePort
from overlay.index import Index
from overlay.policy.changes import MakeDefaultGroup, PairRequest
from overlay.policy.groups import make_default_group
from overlay.recording import Recorder
from overlay.refusals import Conflict, Invalid
from overlay.values import AddressPair, Mac, Port

PAIRS_MOST: Final = 10
"""The most address pairs of one port (Neutron's max_allowed_address_pair)."""


def chosen_groups(index: Index, project: str, groups: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The groups that a port is to be in.

    :raises NotFound: ``SecurityGroupNotFound``, also for another project's.
    """
    for group_id in groups or ():
        if index.policy.group(group_id, "security_groups").project_id != project:
            raise index.policy.no_group(group_id, "security_groups")
    return None if groups is None else tuple(sorted(set(groups)))


def chosen_pairs(mac: Mac, wishes: tuple[PairRequest, ...]) -> tuple[AddressPair, ...]:
    """The address pairs that a port is to have.

    :param mac: the port's.
    :raises Invalid: ``AllowedAddressPairExhausted``, ``DuplicateAddressPairInRequest``.
    """
    if len(wishes) > PAIRS_MOST:
        raise Invalid(
            f"The number of allowed address pair exceeds the maximum {PAIRS_MOST}.",
            field="allowed_address_pairs",
            kind="AllowedAddressPairExhausted",
        )
    pairs: dict[AddressPair, None] = {}
    for wish in wishes:
        pair = AddressPair(mac if wish.mac is None else wish.mac, wish.network)
        if pair in pairs:
            raise Invalid(
                f"Request contains duplicate address pair: mac_address {pair.mac} ip_address {pair.network}.",
                field="allowed_address_pairs",
                kind="DuplicateAddressPairInRequest",
            )
        pairs[pair] = None
    return tuple(pairs)


def secured(index: Index, port: Port, change: UpdatePort) -> Port:
    """A port with the groups, pairs and security that a change of it asks for.

    :raises Refusal: as the functions beside.
    """
    if change.port_security is not None:
        port = replace(port, port_security=change.port_security)
    if change.security_groups is not None:
        port = replace(port, security_groups=chosen_groups(index, port.project_id, change.security_groups))
    if change.allowed_pairs is not None:
        port = replace(port, allowed_pairs=chosen_pairs(port.mac, change.allowed_pairs))
    check_security(port, groups_kept=change.security_groups is None)
    return port


def by_default(index: Index, port: Port, default: MakeDefaultGroup, record: Recorder) -> Port:
    """A port that named no group, in its project's default group, which is made if need be."""
    if not port.port_security:
        return replace(port, security_groups=())
    make_default_group(index, default, record)
    return replace(port, security_groups=(index.policy.default_of[port.project_id],))


def check_security(port: Port, *, groups_kept: bool = False) -> None:
    """Check that a port that nobody checks has neither groups nor address pairs.

    :param groups_kept: whether its groups are those that it had before, and nobody named them.
    """
    if port.port_security:
        return
    if port.allowed_pairs:
        raise Conflict(
            "Port Security must be enabled in order to have allowed address pairs on a port.",
            field="allowed_address_pairs",
            kind="AddressPairAndPortSecurityRequired",
        )
    if port.security_groups and groups_kept:
        raise Conflict(
            "Port has security group associated. Cannot disable port security or IP address until security group is"
            " removed.",
            field="port_security_enabled",
            kind="PortSecurityPortHasSecurityGroup",
        )
    if port.security_groups:
        raise Invalid(
            "Port security must be enabled and port must have an IP address in order to use security groups.",
            field="security_groups",
            kind="PortSecurityAndIPRequiredForSecurityGroups",
        )

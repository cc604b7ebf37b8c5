"""Does a rule make sense, and has its group not said it already?

Neutron's checks, with Neutron's names for what is wrong.  Each function checks everything before it changes anything.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from overlay.index import Index
from overlay.policy.changes import CreateSecurityRule, CreateSecurityRules, DeleteSecurityRule
from overlay.policy.index import Meaning, meaning
from overlay.policy.keeping import drop_rule, put_rule, revise_group
from overlay.policy.values import SecurityRule
from overlay.recording import Recorder
from overlay.refusals import Conflict, Invalid
from overlay.revisions import fresh
from overlay.values import Countable

ICMP: Final = 1
ICMPV6: Final = 58
WITH_PORTS: Final = {6: "tcp", 17: "udp", 132: "sctp"}
"""The protocols of which rules may name ports.  Neutron has DCCP and UDP-Lite too, of which a switch matches none."""

_ONLY_IPV6: Final = frozenset({41, 43, 44, ICMPV6, 59, 60})
_PROTOCOL_MOST: Final = 255
_PORT_MOST: Final = 65535
_ICMP_MOST: Final = 255


def create_rule(index: Index, change: CreateSecurityRule, record: Recorder) -> None:
    """Add a rule to a group."""
    rule = _checked(index, change, record)
    index.holdings.charge(Countable.SECURITY_GROUP_RULE, change.project_id)
    put_rule(record, rule)
    revise_group(record, rule.group_id)


def create_rules(index: Index, change: CreateSecurityRules, record: Recorder) -> None:
    """Add rules to groups, all of them or none."""
    said: dict[tuple[str, Meaning], SecurityRule] = {}
    for wish in change.rules:
        rule = _checked(index, wish, record)
        if (rule.group_id, meaning(rule)) in said:
            raise Conflict(
                "Duplicate Security Group Rule in POST.",
                field="security_group_rules",
                kind="DuplicateSecurityGroupRuleInPost",
            )
        said[rule.group_id, meaning(rule)] = rule
    for project, more in Counter(rule.project_id for rule in said.values()).items():
        index.holdings.charge(Countable.SECURITY_GROUP_RULE, project, more)
    for rule in said.values():
        put_rule(record, rule)
    for group_id in dict.fromkeys(rule.group_id for rule in said.values()):
        revise_group(record, group_id)


def delete_rule(index: Index, change: DeleteSecurityRule, record: Recorder) -> None:
    """Take a rule back."""
    drop_rule(record, fresh(index.policy.rule(change.id), change.expected).id)


def _checked(index: Index, change: CreateSecurityRule, record: Recorder) -> SecurityRule:
    """The rule that is asked for, if it makes sense and was not said yet."""
    policy = index.policy
    if change.id in policy.rules:
        raise Conflict(f"id: there is a security group rule {change.id} already", field="id")
    group = policy.group(change.group_id)
    if group.project_id != change.project_id:
        raise policy.no_group(change.group_id, "security_group_id")
    rule = SecurityRule(
        change.id,
        change.project_id,
        change.group_id,
        change.direction,
        change.family,
        change.protocol,
        change.port_min,
        change.port_max,
        change.remote_group_id,
        change.remote_prefix,
        change.remote_address_group_id,
        change.description,
        record.born(),
    )
    _check_protocol(rule)
    _check_ports(rule)
    _check_remote(index, rule)
    twin = policy.meanings[group.id].get(meaning(rule))
    if twin is not None:
        raise Conflict(
            f"Security group rule already exists. Rule id is {twin}.",
            field="security_group_rule",
            kind="SecurityGroupRuleExists",
        )
    return rule


def _check_protocol(rule: SecurityRule) -> None:
    protocol = rule.protocol
    if protocol is not None and not 0 <= protocol <= _PROTOCOL_MOST:
        raise _wrong("protocol", f"{protocol} is outside 0 … 255", "SecurityGroupRuleInvalidProtocol")
    if (protocol in _ONLY_IPV6 and rule.family == 4) or (protocol == ICMP and rule.family == 6):  # noqa: PLR2004
        raise _wrong(
            "ethertype",
            f"Invalid ethertype IPv{rule.family} for protocol {protocol}",
            "SecurityGroupEthertypeConflictWithProtocol",
        )


def _check_ports(rule: SecurityRule) -> None:
    low, high, protocol = rule.port_min, rule.port_max, rule.protocol
    if low is None and high is None:
        return
    if protocol is None:
        raise _wrong(
            "protocol", "Must also specify protocol if port range is given", "SecurityGroupProtocolRequiredWithPorts"
        )
    if protocol in {ICMP, ICMPV6}:
        _check_icmp(low, high)
    elif protocol not in WITH_PORTS:
        known = ", ".join(name.upper() for name in WITH_PORTS.values())
        raise _wrong(
            "protocol",
            f"Invalid protocol {protocol} for port range, only supported for {known}",
            "SecurityGroupInvalidProtocolForPort",
        )
    else:
        for field, port in (("port_range_min", low), ("port_range_max", high)):
            if port is not None and not 1 <= port <= _PORT_MOST:
                raise _wrong(field, f"Invalid value for port {port}", "SecurityGroupInvalidPortValue")
        if low is None or high is None or low > high:
            raise _wrong(
                "port_range_min",
                f"For TCP/UDP protocols, port_range_min must be <= port_range_max ({low} and {high})",
                "SecurityGroupInvalidPortRange",
            )


def _check_icmp(kind: int | None, code: int | None) -> None:
    for field, what, value in (("port_range_min", "type", kind), ("port_range_max", "code", code)):
        if value is not None and not 0 <= value <= _ICMP_MOST:
            raise _wrong(
                field,
                f"Invalid value for ICMP {what} ({field}) {value}. It must be 0 to 255",
                "SecurityGroupInvalidIcmpValue",
            )
    if kind is None:
        raise _wrong(
            "port_range_min",
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing",
            "SecurityGroupMissingIcmpType",
        )


def _check_remote(index: Index, rule: SecurityRule) -> None:
    policy, project = index.policy, rule.project_id
    if (
        sum(remote is not None for remote in (rule.remote_group_id, rule.remote_prefix, rule.remote_address_group_id))
        > 1
    ):
        raise _wrong(
            "remote_ip_prefix",
            "Only remote_ip_prefix or remote_group_id or remote_address_group_id may be provided",
            "SecurityGroupRemoteGroupAndRemoteIpPrefix",
        )
    if rule.remote_prefix is not None and rule.remote_prefix.version != rule.family:
        raise _wrong(
            "remote_ip_prefix",
            f"Conflicting value ethertype IPv{rule.family} for CIDR {rule.remote_prefix}",
            "SecurityGroupRuleParameterConflict",
        )
    if rule.remote_group_id is not None:
        remote = policy.group(rule.remote_group_id, "remote_group_id")
        if remote.project_id != project:
            raise policy.no_group(remote.id, "remote_group_id")
    if rule.remote_address_group_id is not None:
        addresses = policy.address_group(rule.remote_address_group_id, "remote_address_group_id")
        if addresses.project_id != project:
            raise policy.no_address_group(addresses.id, "remote_address_group_id")


def _wrong(field: str, reason: str, kind: str) -> Invalid:
    return Invalid(f"Invalid input for {field}. Reason: {reason}.", field=field, kind=kind)

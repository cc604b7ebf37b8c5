"""Which rules has a group, which ports are in it, and which rules name it?

The index of policies, so that a change costs what it touches.  It checks nothing: whoever puts has checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from overlay.holdings import Holdings
from overlay.policy.clauses import Clauses, Remote, RemoteKind
from overlay.policy.members import Members
from overlay.policy.presence import Presence
from overlay.policy.values import AddressGroup, SecurityGroup, SecurityRule
from overlay.refusals import NotFound
from overlay.values import Countable, HostName, IpNetwork, Port

Meaning: TypeAlias = tuple[object, ...]
"""What a rule says, whoever said it: two rules of one group with the same meaning are one too many."""


def meaning(rule: SecurityRule) -> Meaning:
    """What a rule says; a prefix of everything is none."""
    everything = rule.remote_prefix is None or rule.remote_prefix.prefixlen == 0
    remotes = (rule.remote_group_id, None if everything else rule.remote_prefix, rule.remote_address_group_id)
    return (rule.direction, rule.family, rule.protocol, rule.port_min, rule.port_max, *remotes)


class Policies:
    """All groups and rules.  Inner dicts with ``None`` values are ordered sets of ids.

    :ivar rules_of: per group its rules.
    :ivar ports_in: per group its ports.
    :ivar users_of_remote: per group the rules that name it as their remote.
    :ivar users_of_addresses: per address group the rules that name it.
    :ivar default_of: per project its default group.
    :ivar meanings: per group what its rules say, and which rule says it.
    """

    def __init__(self, holdings: Holdings) -> None:
        self.groups: dict[str, SecurityGroup] = {}
        self.rules: dict[str, SecurityRule] = {}
        self.address_groups: dict[str, AddressGroup] = {}
        self.rules_of: dict[str, dict[str, None]] = {}
        self.ports_in: dict[str, dict[str, None]] = {}
        self.users_of_remote: dict[str, dict[str, None]] = {}
        self.users_of_addresses: dict[str, dict[str, None]] = {}
        self.default_of: dict[str, str] = {}
        self.meanings: dict[str, dict[Meaning, str]] = {}
        self.clauses = Clauses()
        self.members = Members()
        self.presence = Presence()
        self._naming: dict[IpNetwork, dict[str, None]] = {}
        self._holdings = holdings

    # --- looking up ---

    def group(self, group_id: str, field: str = "security_group_id") -> SecurityGroup:
        """Look up.  :raises NotFound: ``SecurityGroupNotFound``."""
        try:
            return self.groups[group_id]
        except KeyError:
            raise self.no_group(group_id, field) from None

    def rule(self, rule_id: str) -> SecurityRule:
        """Look up.  :raises NotFound: ``SecurityGroupRuleNotFound``."""
        try:
            return self.rules[rule_id]
        except KeyError:
            message = f"Security group rule {rule_id} does not exist"
            raise NotFound(message, field="security_group_rule_id", kind="SecurityGroupRuleNotFound") from None

    def address_group(self, group_id: str, field: str = "address_group_id") -> AddressGroup:
        """Look up.  :raises NotFound: ``AddressGroupNotFound``."""
        try:
            return self.address_groups[group_id]
        except KeyError:
            raise self.no_address_group(group_id, field) from None

    @staticmethod
    def no_group(group_id: str, field: str) -> NotFound:
        """What is said of a group that is not there, or is another project's."""
        return NotFound(f"Security group {group_id} does not exist", field=field, kind="SecurityGroupNotFound")

    @staticmethod
    def no_address_group(group_id: str, field: str) -> NotFound:
        """What is said of an address group that is not there, or is another project's."""
        return NotFound(f"Address group {group_id} could not be found.", field=field, kind="AddressGroupNotFound")

    def rules_in(self, group_id: str) -> tuple[SecurityRule, ...]:
        """A group's rules."""
        return tuple(self.rules[rule_id] for rule_id in self.rules_of.get(group_id, ()))

    # --- putting ---

    def put_group(self, group: SecurityGroup) -> None:
        """Add or replace; only its texts and record change."""
        if group.id not in self.groups:
            self._holdings.add(Countable.SECURITY_GROUP, group.project_id, group.id)
            self.rules_of[group.id] = {}
            self.ports_in[group.id] = {}
            self.users_of_remote[group.id] = {}
            self.meanings[group.id] = {}
            if group.is_default:
                self.default_of[group.project_id] = group.id
        self.groups[group.id] = group

    def drop_group(self, group_id: str) -> None:
        """Remove a group that has neither ports nor rules, and that no rule names."""
        group = self.groups.pop(group_id)
        self._holdings.drop(Countable.SECURITY_GROUP, group.project_id, group_id)
        del self.rules_of[group_id], self.ports_in[group_id], self.users_of_remote[group_id], self.meanings[group_id]
        if group.is_default:
            del self.default_of[group.project_id]

    def put_rule(self, rule: SecurityRule) -> None:
        """Add; a rule never changes."""
        self.rules[rule.id] = rule
        self._holdings.add(Countable.SECURITY_GROUP_RULE, rule.project_id, rule.id)
        self.rules_of[rule.group_id][rule.id] = None
        self.meanings[rule.group_id][meaning(rule)] = rule.id
        if rule.remote_group_id is not None:
            self.users_of_remote[rule.remote_group_id][rule.id] = None
        if rule.remote_address_group_id is not None:
            self.users_of_addresses[rule.remote_address_group_id][rule.id] = None
        self.clauses.add(rule)

    def drop_rule(self, rule_id: str) -> SecurityRule:
        """Remove.  :returns: what it was."""
        rule = self.rules.pop(rule_id)
        self._holdings.drop(Countable.SECURITY_GROUP_RULE, rule.project_id, rule_id)
        del self.rules_of[rule.group_id][rule_id], self.meanings[rule.group_id][meaning(rule)]
        if rule.remote_group_id is not None:
            del self.users_of_remote[rule.remote_group_id][rule_id]
        if rule.remote_address_group_id is not None:
            del self.users_of_addresses[rule.remote_address_group_id][rule_id]
        self.clauses.remove(rule)
        return rule

    def put_address_group(self, group: AddressGroup) -> None:
        """Add or replace."""
        if group.id not in self.address_groups:
            self._holdings.add(Countable.ADDRESS_GROUP, group.project_id, group.id)
            self.users_of_addresses[group.id] = {}
        else:
            self._name(self.address_groups[group.id], no_more=True)
        self.address_groups[group.id] = group
        self._name(group)

    def drop_address_group(self, group_id: str) -> None:
        """Remove an address group that no rule names."""
        group = self.address_groups.pop(group_id)
        self._holdings.drop(Countable.ADDRESS_GROUP, group.project_id, group_id)
        del self.users_of_addresses[group_id]
        self._name(group, no_more=True)

    def _name(self, group: AddressGroup, *, no_more: bool = False) -> None:
        for prefix in group.prefixes:
            named = self._naming.setdefault(prefix, {})
            if no_more:
                del named[group.id]
            else:
                named[group.id] = None
            if not named:
                del self._naming[prefix]

    # --- membership ---

    def join(self, port_id: str, before: Iterable[str] | None, after: Iterable[str] | None) -> None:
        """A port is in other groups than before."""
        for group_id in before or ():
            del self.ports_in[group_id][port_id]
        for group_id in after or ():
            self.ports_in[group_id][port_id] = None

    def follow(self, before: Port | None, after: Port) -> None:
        """A port was put."""
        left = None if before is None else before.security_groups
        if left != after.security_groups:
            self.join(after.id, left, after.security_groups)
        self.members.put(after)

    def leave(self, port: Port) -> None:
        """A port is no more; it stands nowhere already."""
        self.join(port.id, port.security_groups, None)
        self.members.drop(port.id)

    def stand(self, port: Port, hosts: Iterable[HostName]) -> None:
        """A port has its taps at these hosts now."""
        groups = (port.security_groups or ()) if port.filtered else ()
        self.presence.stand(port.id, port.network_id, hosts, groups)

    # --- remote ends ---

    def prefixes(self, remote: Remote, network_id: str, family: int) -> Iterator[str]:
        """The addresses and prefixes of a remote end in a network, in words; one may come several times."""
        if remote.kind is RemoteKind.PREFIX:
            yield remote.key
        elif remote.kind is RemoteKind.ADDRESSES:
            yield from (str(each) for each in self.address_groups[remote.key].prefixes if each.version == family)
        else:
            found = self.members.prefixes(remote.key, network_id)
            yield from (each for each in found if (":" in each) == (family == 6))  # noqa: PLR2004

    def remotes_with(self, network_id: str, prefix: IpNetwork) -> Iterator[Remote]:
        """The remote ends that an address or prefix of a network belongs to."""
        yield Remote(RemoteKind.PREFIX, str(prefix))
        for address_group in self._naming.get(prefix, ()):
            yield Remote(RemoteKind.ADDRESSES, address_group)
        for group_id in self.members.groups_with(network_id, str(prefix)):
            yield Remote(RemoteKind.GROUP, group_id)

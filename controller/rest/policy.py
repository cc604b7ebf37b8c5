"""Who may do what?

One table: each endpoint of the API is an action on a resource, and takes a role.  The app asks it before anything else
looks at a request; an endpoint that is not in it is the operator's.  A second table holds the attributes that only the
operator sees and sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from controller.identity.roles import Role
from controller.rest.access import Caller
from controller.rest.errors import Forbidden

_ANYBODY: Final = None
_READER, _MEMBER, _ADMIN = Role.READER, Role.MEMBER, Role.ADMIN


class Scope(StrEnum):
    """Whose objects an action reaches; the operator's reaches all."""

    OWN = "its project's"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Rule:
    """What an endpoint does, and the least role that it takes (None: not even a token).

    :param endpoint: as Flask calls it.
    :param changes: whether anything is different afterwards; then it is audited.
    """

    resource: str
    action: str
    role: Role | None
    scope: Scope
    endpoint: str
    changes: bool = False

    def admits(self, caller: Caller | None) -> bool:
        """Whether somebody (None: who shows no token) may do this at all."""
        return self.role is None or (caller is not None and caller.has(self.role))


def _reads(resource: str, action: str, role: Role | None, scope: Scope, endpoint: str) -> Rule:
    return Rule(resource, action, role, scope, endpoint)


def _changes(resource: str, action: str, role: Role | None, scope: Scope, endpoint: str) -> Rule:
    return Rule(resource, action, role, scope, endpoint, changes=True)


def _tagging(noun: str) -> tuple[Rule, ...]:
    """Tags are read and changed by whoever may read and change what they hang on."""
    of = noun.replace("_", " ")
    resource, endpoint = f"tags of {'an' if of.startswith('a') else 'a'} {of}", f"{noun}_tags"
    return (
        _reads(resource, "show all", _READER, Scope.OWN, f"{endpoint}.list_tags"),
        _reads(resource, "show one", _READER, Scope.OWN, f"{endpoint}.show_tag"),
        _changes(resource, "replace", _MEMBER, Scope.OWN, f"{endpoint}.replace_tags"),
        _changes(resource, "add", _MEMBER, Scope.OWN, f"{endpoint}.add_tags"),
        _changes(resource, "add one", _MEMBER, Scope.OWN, f"{endpoint}.add_tag"),
        _changes(resource, "delete", _MEMBER, Scope.OWN, f"{endpoint}.delete_tags"),
        _changes(resource, "delete one", _MEMBER, Scope.OWN, f"{endpoint}.delete_tag"),
    )


def _ruling(noun: str) -> tuple[Rule, ...]:
    """Rules are read by whoever may read their policy, and changed by the operator."""
    resource = f"{noun} rule"
    return (
        _reads(resource, "list those of a policy", _READER, Scope.OWN, f"qos_rules.list_{noun}_rules"),
        *(
            rule
            for alias, said in (("", ""), ("alias_", " by alias"))
            for rule in (
                _reads(resource, f"show{said}", _READER, Scope.OWN, f"qos_rules.show_{alias}{noun}_rule"),
                _changes(resource, f"update{said}", _ADMIN, Scope.ALL, f"qos_rules.update_{alias}{noun}_rule"),
                _changes(resource, f"delete{said}", _ADMIN, Scope.ALL, f"qos_rules.delete_{alias}{noun}_rule"),
            )
        ),
        _changes(resource, "create", _ADMIN, Scope.ALL, f"qos_rules.create_{noun}_rule"),
    )


TAGGED: Final = ("network", "subnet", "port", "subnetpool", "qos_policy", "security_group", "address_group", "trunk")
"""What has tags."""

RULES: Final = (
    _reads("version", "list", _ANYBODY, Scope.ALL, "discovery.list_versions"),
    _reads("version", "show", _ANYBODY, Scope.ALL, "discovery.list_resources"),
    _reads("document", "show", _ANYBODY, Scope.ALL, "openapi_document"),
    _reads("document", "page", _ANYBODY, Scope.ALL, "documents.page"),
    _reads("document", "start", _ANYBODY, Scope.ALL, "documents.start"),
    _reads("document", "file", _ANYBODY, Scope.ALL, "documents.file"),
    _reads("health", "show", _ANYBODY, Scope.ALL, "operations.show_health"),
    _reads("extension", "list", _READER, Scope.ALL, "discovery.list_extensions"),
    _reads("extension", "show", _READER, Scope.ALL, "discovery.show_extension"),
    _reads("network", "list", _READER, Scope.OWN, "networks.list_networks"),
    _reads("network", "show", _READER, Scope.OWN, "networks.show_network"),
    _changes("network", "create", _MEMBER, Scope.OWN, "networks.create_network"),
    _changes("network", "update", _MEMBER, Scope.OWN, "networks.update_network"),
    _changes("network", "delete", _MEMBER, Scope.OWN, "networks.delete_network"),
    _reads("subnet", "list", _READER, Scope.OWN, "subnets.list_subnets"),
    _reads("subnet", "show", _READER, Scope.OWN, "subnets.show_subnet"),
    _changes("subnet", "create", _MEMBER, Scope.OWN, "subnets.create_subnet"),
    _changes("subnet", "update", _MEMBER, Scope.OWN, "subnets.update_subnet"),
    _changes("subnet", "delete", _MEMBER, Scope.OWN, "subnets.delete_subnet"),
    _reads("port", "list", _READER, Scope.OWN, "ports.list_ports"),
    _reads("port", "show", _READER, Scope.OWN, "ports.show_port"),
    _changes("port", "create", _MEMBER, Scope.OWN, "ports.create_port"),
    _changes("port", "update", _MEMBER, Scope.OWN, "ports.update_port"),
    _changes("port", "delete", _MEMBER, Scope.OWN, "ports.delete_port"),
    _reads("subnet pool", "list", _READER, Scope.OWN, "subnetpools.list_subnetpools"),
    _reads("subnet pool", "show", _READER, Scope.OWN, "subnetpools.show_subnetpool"),
    _changes("subnet pool", "create", _MEMBER, Scope.OWN, "subnetpools.create_subnetpool"),
    _changes("subnet pool", "update", _MEMBER, Scope.OWN, "subnetpools.update_subnetpool"),
    _changes("subnet pool", "delete", _MEMBER, Scope.OWN, "subnetpools.delete_subnetpool"),
    _reads("trunk", "list", _READER, Scope.OWN, "trunks.list_trunks"),
    _reads("trunk", "show", _READER, Scope.OWN, "trunks.show_trunk"),
    _changes("trunk", "create", _MEMBER, Scope.OWN, "trunks.create_trunk"),
    _changes("trunk", "update", _MEMBER, Scope.OWN, "trunks.update_trunk"),
    _changes("trunk", "delete", _MEMBER, Scope.OWN, "trunks.delete_trunk"),
    _changes("trunk", "add sub-ports", _MEMBER, Scope.OWN, "trunks.add_sub_ports"),
    _changes("trunk", "remove sub-ports", _MEMBER, Scope.OWN, "trunks.remove_sub_ports"),
    _reads("trunk", "list sub-ports", _READER, Scope.OWN, "trunks.list_sub_ports"),
    _reads("RBAC policy", "list", _READER, Scope.OWN, "rbac.list_rbac_policies"),
    _reads("RBAC policy", "show", _READER, Scope.OWN, "rbac.show_rbac_policy"),
    _changes("RBAC policy", "create", _MEMBER, Scope.OWN, "rbac.create_rbac_policy"),
    _changes("RBAC policy", "update", _MEMBER, Scope.OWN, "rbac.update_rbac_policy"),
    _changes("RBAC policy", "delete", _MEMBER, Scope.OWN, "rbac.delete_rbac_policy"),
    _reads("security group", "list", _READER, Scope.OWN, "security_groups.list_security_groups"),
    _reads("security group", "show", _READER, Scope.OWN, "security_groups.show_security_group"),
    _changes("security group", "create", _MEMBER, Scope.OWN, "security_groups.create_security_group"),
    _changes("security group", "update", _MEMBER, Scope.OWN, "security_groups.update_security_group"),
    _changes("security group", "delete", _MEMBER, Scope.OWN, "security_groups.delete_security_group"),
    _reads("security group rule", "list", _READER, Scope.OWN, "security_group_rules.list_security_group_rules"),
    _reads("security group rule", "show", _READER, Scope.OWN, "security_group_rules.show_security_group_rule"),
    _changes("security group rule", "create", _MEMBER, Scope.OWN, "security_group_rules.create_security_group_rule"),
    _changes("security group rule", "delete", _MEMBER, Scope.OWN, "security_group_rules.delete_security_group_rule"),
    _reads("tap service", "list", _READER, Scope.OWN, "taas.list_tap_services"),
    _reads("tap service", "show", _READER, Scope.OWN, "taas.show_tap_service"),
    _changes("tap service", "create", _MEMBER, Scope.OWN, "taas.create_tap_service"),
    _changes("tap service", "update", _MEMBER, Scope.OWN, "taas.update_tap_service"),
    _changes("tap service", "delete", _MEMBER, Scope.OWN, "taas.delete_tap_service"),
    _reads("tap flow", "list", _READER, Scope.OWN, "taas.list_tap_flows"),
    _reads("tap flow", "show", _READER, Scope.OWN, "taas.show_tap_flow"),
    _changes("tap flow", "create", _MEMBER, Scope.OWN, "taas.create_tap_flow"),
    _changes("tap flow", "update", _MEMBER, Scope.OWN, "taas.update_tap_flow"),
    _changes("tap flow", "delete", _MEMBER, Scope.OWN, "taas.delete_tap_flow"),
    _reads("address group", "list", _READER, Scope.OWN, "address_groups.list_address_groups"),
    _reads("address group", "show", _READER, Scope.OWN, "address_groups.show_address_group"),
    _changes("address group", "create", _MEMBER, Scope.OWN, "address_groups.create_address_group"),
    _changes("address group", "update", _MEMBER, Scope.OWN, "address_groups.update_address_group"),
    _changes("address group", "add addresses", _MEMBER, Scope.OWN, "address_groups.add_addresses"),
    _changes("address group", "remove addresses", _MEMBER, Scope.OWN, "address_groups.remove_addresses"),
    _changes("address group", "delete", _MEMBER, Scope.OWN, "address_groups.delete_address_group"),
    _reads("QoS policy", "list", _READER, Scope.OWN, "qos.list_qos_policies"),
    _reads("QoS policy", "show", _READER, Scope.OWN, "qos.show_qos_policy"),
    _changes("QoS policy", "create", _ADMIN, Scope.ALL, "qos.create_qos_policy"),
    _changes("QoS policy", "update", _ADMIN, Scope.ALL, "qos.update_qos_policy"),
    _changes("QoS policy", "delete", _ADMIN, Scope.ALL, "qos.delete_qos_policy"),
    *(rule for noun in ("bandwidth_limit", "dscp_marking") for rule in _ruling(noun)),
    _changes("QoS rule", "create (minimum_bandwidth)", _ADMIN, Scope.ALL, "qos_rules.create_minimum_bandwidth_rule"),
    _changes(
        "QoS rule", "create (minimum_packet_rate)", _ADMIN, Scope.ALL, "qos_rules.create_minimum_packet_rate_rule"
    ),
    _changes("QoS rule", "create (packet_rate_limit)", _ADMIN, Scope.ALL, "qos_rules.create_packet_rate_limit_rule"),
    _reads("QoS rule type", "list", _READER, Scope.ALL, "qos.list_qos_rule_types"),
    _reads("QoS rule type", "show", _READER, Scope.ALL, "qos.show_qos_rule_type"),
    *(rule for noun in TAGGED for rule in _tagging(noun)),
    _reads("binding", "list", _ADMIN, Scope.ALL, "bindings.list_bindings"),
    _reads("binding", "show", _ADMIN, Scope.ALL, "bindings.show_binding"),
    _changes("binding", "create", _ADMIN, Scope.ALL, "bindings.create_binding"),
    _changes("binding", "update", _ADMIN, Scope.ALL, "bindings.update_binding"),
    _changes("binding", "activate", _ADMIN, Scope.ALL, "bindings.activate_binding"),
    _changes("binding", "delete", _ADMIN, Scope.ALL, "bindings.delete_binding"),
    _reads("quota", "list", _ADMIN, Scope.ALL, "quotas.list_quotas"),
    _reads("quota", "show", _READER, Scope.OWN, "quotas.show_quota"),
    _reads("quota", "show default", _READER, Scope.OWN, "quotas.show_default_quota"),
    _reads("quota", "show details", _READER, Scope.OWN, "quotas.show_quota_details"),
    _reads("quota", "show usage", _READER, Scope.OWN, "quotas.show_quota_usage"),
    _changes("quota", "update", _ADMIN, Scope.ALL, "quotas.update_quota"),
    _changes("quota", "delete", _ADMIN, Scope.ALL, "quotas.delete_quota"),
    _reads("project", "show version of lookup", _ANYBODY, Scope.ALL, "lookup.show_identity_version"),
    _reads("project", "look up all", _ADMIN, Scope.ALL, "lookup.look_up_projects"),
    _reads("project", "look up", _READER, Scope.OWN, "lookup.look_up_project"),
    _reads("agent", "list", _ADMIN, Scope.ALL, "agents.list_agents"),
    _reads("agent", "show", _ADMIN, Scope.ALL, "agents.show_agent"),
    _reads("availability zone", "list", _READER, Scope.ALL, "agents.list_availability_zones"),
    _reads("service provider", "list", _READER, Scope.ALL, "agents.list_service_providers"),
    _reads("IP availability", "list", _ADMIN, Scope.ALL, "availability.list_network_ip_availabilities"),
    _reads("IP availability", "show", _ADMIN, Scope.ALL, "availability.show_network_ip_availability"),
    _reads("multicast", "show", _READER, Scope.OWN, "multicast.show_multicast"),
    _reads("move", "list", _READER, Scope.OWN, "operations.list_moves"),
    _reads("move", "show", _READER, Scope.OWN, "operations.show_move"),
    _reads("event", "follow", _READER, Scope.OWN, "events.follow_events"),
    _reads("drop", "list those of a port", _READER, Scope.OWN, "drops.list_drops"),
    _reads("host", "list", _ADMIN, Scope.ALL, "operations.list_hosts"),
    _changes("evacuation", "begin", _ADMIN, Scope.ALL, "evacuations.evacuate_host"),
    _reads("evacuation", "show", _ADMIN, Scope.ALL, "evacuations.show_evacuation"),
    _changes("evacuation", "end", _ADMIN, Scope.ALL, "evacuations.end_evacuation"),
    _reads("directory", "look up", _ADMIN, Scope.ALL, "directory.look_up"),
    _reads("metrics", "scrape", _ADMIN, Scope.ALL, "metrics.scrape"),
    _reads("path", "list", _ADMIN, Scope.ALL, "operations.list_paths"),
    _reads("topology", "show", _ADMIN, Scope.ALL, "operations.show_topology"),
    _reads("load", "show", _ADMIN, Scope.ALL, "operations.show_load"),
    _reads("policy", "show", _ADMIN, Scope.ALL, "topology.show_policy"),
    _changes("policy", "update", _ADMIN, Scope.ALL, "topology.update_policy"),
    _reads("switch", "list", _ADMIN, Scope.ALL, "topology.list_switches"),
    _reads("switch", "show", _ADMIN, Scope.ALL, "topology.show_switch"),
    _changes("switch", "update", _ADMIN, Scope.ALL, "topology.update_switch"),
    _changes("switch", "delete", _ADMIN, Scope.ALL, "topology.delete_switch"),
    _reads("link", "list", _ADMIN, Scope.ALL, "topology.list_links"),
    _reads("link", "show", _ADMIN, Scope.ALL, "topology.show_link"),
    _changes("link", "update", _ADMIN, Scope.ALL, "topology.update_link"),
    _reads("intended topology", "show", _ADMIN, Scope.ALL, "intended.show_intended"),
    _changes("intended topology", "update", _ADMIN, Scope.ALL, "intended.update_intended"),
    _changes("intended topology", "delete", _ADMIN, Scope.ALL, "intended.delete_intended"),
    _reads("difference", "list", _ADMIN, Scope.ALL, "intended.list_differences"),
    _reads("project", "list", _ADMIN, Scope.ALL, "identities.list_projects"),
    _reads("project", "show", _ADMIN, Scope.ALL, "identities.show_project"),
    _changes("project", "create", _ADMIN, Scope.ALL, "identities.create_project"),
    _changes("project", "delete", _ADMIN, Scope.ALL, "identities.delete_project"),
    _reads("token", "list", _ADMIN, Scope.ALL, "identities.list_tokens"),
    _reads("token", "show", _ADMIN, Scope.ALL, "identities.show_token"),
    _changes("token", "create", _ADMIN, Scope.ALL, "identities.create_token"),
    _changes("token", "delete", _ADMIN, Scope.ALL, "identities.delete_token"),
)
"""In the order in which people read the API."""

OPERATORS: Final[Mapping[str, frozenset[str]]] = {
    "network": frozenset({"provider:network_type", "provider:segmentation_id", "provider:physical_network"}),
    "port": frozenset({"binding:host_id", "binding:vif_type", "binding:vif_details", "binding:profile"}),
    "move": frozenset({"source", "target", "flow_mods", "switches_touched"}),
    "event": frozenset({"host", "source", "target"}),
}
"""The attributes that only the operator sees and may set, by resource.  ``project_id`` is everybody's to see, and the
operator's to set to another project than one's own."""

_WHOSE: Final = "Only the operator makes something for another project than its own (`project_id`, `tenant_id`).\n"
_BY_ENDPOINT: Final = {rule.endpoint: rule for rule in RULES}


def rule_of(endpoint: str) -> Rule:
    """What the table says of an endpoint; where it says nothing, only the operator may."""
    found = _BY_ENDPOINT.get(endpoint)
    return Rule(endpoint, "call", Role.ADMIN, Scope.ALL, endpoint, changes=True) if found is None else found


def refusal(rule: Rule, caller: Caller) -> Forbidden:
    """What somebody hears who may not do something."""
    wanted = "only the operator may" if rule.role is Role.ADMIN else f"it takes the role {rule.role}"
    has = ", ".join(sorted(caller.roles)) or "no role"
    return Forbidden(
        f"{rule.action} {rule.resource} is disallowed by policy: {wanted}, and {caller.user} has {has}",
        kind="PolicyNotAuthorized",
    )


def document() -> str:
    """The tables, for the documentation."""
    columns = (None, *Role)
    head = "| resource | action | " + " | ".join(_call(role) for role in columns) + " |\n|---|---" + "|---" * 4 + "|\n"
    rows = "".join(
        f"| {rule.resource} | {rule.action} | " + " | ".join(_reach(rule, role) for role in columns) + " |\n"
        for rule in RULES
    )
    attributes = "".join(
        f"| {resource} | {', '.join(f'`{name}`' for name in sorted(names))} |\n"
        for resource, names in OPERATORS.items()
    )
    return f"{head}{rows}\n| resource | only the operator sees and sets |\n|---|---|\n{attributes}\n{_WHOSE}"


def _call(role: Role | None) -> str:
    return "no token" if role is None else role.value


def _reach(rule: Rule, role: Role | None) -> str:
    if rule.role is not None and (role is None or not role.includes(rule.role)):
        return "–"
    return Scope.ALL if role is Role.ADMIN else rule.scope

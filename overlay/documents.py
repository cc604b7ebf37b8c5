"""How is a value of the world written down, and read back?

A :class:`~overlay.changes.Document` holds JSON values only.  Reading trusts what was written here: the store is ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, Final

from overlay.changes import Document, DocumentKind
from overlay.moves import Activation, Move, Phase, Trigger
from overlay.values import (
    AddressPair,
    Countable,
    DatapathId,
    DhcpOption,
    FixedIp,
    Host,
    HostKind,
    HostName,
    HostRoute,
    Ipv6Mode,
    LocalLink,
    Mac,
    Network,
    Pool,
    Port,
    Profile,
    Quota,
    Record,
    Share,
    Shareable,
    Subnet,
    SubnetPool,
    Vni,
    VnicType,
)

_UNWRITTEN: Final = Record(1)
"""That of objects that were stored before there were records."""


def write_record(record: Record) -> dict[str, Any]:
    """Write down what is kept of every object."""
    return {
        "revision": record.revision,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "tags": list(record.tags),
    }


def read_record(body: dict[str, Any]) -> Record:
    """Read back, out of an object's document, what is kept of every object."""
    written = body.get("record")
    if written is None:
        return _UNWRITTEN
    return Record(written["revision"], written["created_at"], written["updated_at"], tuple(written["tags"]))


def write_quota(quota: Quota) -> Document:
    """Write a project's quota down."""
    return Document(DocumentKind.QUOTA, quota.project_id, {"limits": {k.value: n for k, n in quota.limits.items()}})


def read_quota(project_id: str, body: dict[str, Any]) -> Quota:
    """Read a project's quota back."""
    return Quota(project_id, {Countable(kind): limit for kind, limit in body["limits"].items()})


def write_subnetpool(pool: SubnetPool) -> Document:
    """Write a subnet pool down."""
    body = {
        "project_id": pool.project_id,
        "name": pool.name,
        "prefixes": [str(prefix) for prefix in pool.prefixes],
        "default_prefixlen": pool.default_prefixlen,
        "min_prefixlen": pool.min_prefixlen,
        "max_prefixlen": pool.max_prefixlen,
        "shared": pool.shared,
        "is_default": pool.is_default,
        "default_quota": pool.default_quota,
        "description": pool.description,
        "record": write_record(pool.record),
    }
    return Document(DocumentKind.SUBNETPOOL, pool.id, body)


def read_subnetpool(pool_id: str, body: dict[str, Any]) -> SubnetPool:
    """Read a subnet pool back."""
    prefixes = tuple(map(ip_network, body["prefixes"]))
    return SubnetPool(pool_id, **{**body, "prefixes": prefixes, "record": read_record(body)})


def write_share(share: Share) -> Document:
    """Write a share down."""
    body = {
        "project_id": share.project_id,
        "object_type": share.object_type.value,
        "object_id": share.object_id,
        "target_project": share.target_project,
        "record": write_record(share.record),
    }
    return Document(DocumentKind.SHARE, share.id, body)


def read_share(share_id: str, body: dict[str, Any]) -> Share:
    """Read a share back."""
    parsed = {"object_type": Shareable(body["object_type"]), "record": read_record(body)}
    return Share(share_id, **{**body, **parsed})


def write_network(network: Network) -> Document:
    """Write a network down."""
    body = {
        "project_id": network.project_id,
        "name": network.name,
        "vni": int(network.vni),
        "mtu": network.mtu,
        "description": network.description,
        "admin_up": network.admin_up,
        "port_security": network.port_security,
        "qos_policy_id": network.qos_policy_id,
        "dns_domain": network.dns_domain,
        "vlan_transparent": network.vlan_transparent,
        "record": write_record(network.record),
    }
    return Document(DocumentKind.NETWORK, network.id, body)


def read_network(network_id: str, body: dict[str, Any]) -> Network:
    """Read a network back."""
    return Network(network_id, **{**body, "vni": Vni(body["vni"]), "record": read_record(body)})


def write_subnet(subnet: Subnet) -> Document:
    """Write a subnet down."""
    body = {
        "network_id": subnet.network_id,
        "project_id": subnet.project_id,
        "name": subnet.name,
        "cidr": str(subnet.cidr),
        "gateway_ip": None if subnet.gateway_ip is None else str(subnet.gateway_ip),
        "pools": [[str(pool.first), str(pool.last)] for pool in subnet.pools],
        "description": subnet.description,
        "dhcp": subnet.dhcp,
        "dns_nameservers": [str(server) for server in subnet.dns_nameservers],
        "host_routes": [[str(route.destination), str(route.nexthop)] for route in subnet.host_routes],
        "ipv6_ra_mode": subnet.ipv6_ra_mode and subnet.ipv6_ra_mode.value,
        "ipv6_address_mode": subnet.ipv6_address_mode and subnet.ipv6_address_mode.value,
        "subnetpool_id": subnet.subnetpool_id,
        "record": write_record(subnet.record),
    }
    return Document(DocumentKind.SUBNET, subnet.id, body)


def read_subnet(subnet_id: str, body: dict[str, Any]) -> Subnet:
    """Read a subnet back."""
    gateway = body["gateway_ip"]
    parsed = {
        "cidr": ip_network(body["cidr"]),
        "gateway_ip": None if gateway is None else ip_address(gateway),
        "pools": tuple(Pool(ip_address(first), ip_address(last)) for first, last in body["pools"]),
        "dns_nameservers": tuple(map(ip_address, body.get("dns_nameservers", ()))),
        "host_routes": tuple(
            HostRoute(ip_network(destination), ip_address(nexthop))
            for destination, nexthop in body.get("host_routes", ())
        ),
        "ipv6_ra_mode": _read_mode(body.get("ipv6_ra_mode")),
        "ipv6_address_mode": _read_mode(body.get("ipv6_address_mode")),
        "record": read_record(body),
    }
    return Subnet(subnet_id, **{**body, **parsed})


def _read_mode(word: str | None) -> Ipv6Mode | None:
    return None if word is None else Ipv6Mode(word)


def write_port(port: Port) -> Document:
    """Write a port down."""
    body = {
        "network_id": port.network_id,
        "project_id": port.project_id,
        "name": port.name,
        "mac": str(port.mac),
        "fixed_ips": [[fixed.subnet_id, str(fixed.ip)] for fixed in port.fixed_ips],
        "host": port.host,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "description": port.description,
        "admin_up": port.admin_up,
        "port_security": port.port_security,
        "security_groups": None if port.security_groups is None else list(port.security_groups),
        "allowed_pairs": [[str(pair.mac), str(pair.network)] for pair in port.allowed_pairs],
        "qos_policy_id": port.qos_policy_id,
        "dhcp_options": [[option.name, option.value, option.version] for option in port.dhcp_options],
        "dns_name": port.dns_name,
        "vnic_type": port.vnic_type.value,
        "local_link": _write_link(port.local_link),
        "profile": _write_profile(port.profile),
        "travelled": port.travelled,
        "record": write_record(port.record),
    }
    return Document(DocumentKind.PORT, port.id, body)


def read_port(port_id: str, body: dict[str, Any]) -> Port:
    """Read a port back."""
    groups = body.get("security_groups")
    parsed = {
        "mac": Mac.parse(body["mac"]),
        "fixed_ips": tuple(FixedIp(subnet, ip_address(ip)) for subnet, ip in body["fixed_ips"]),
        "host": None if body["host"] is None else HostName(body["host"]),
        "security_groups": None if groups is None else tuple(groups),
        "allowed_pairs": tuple(
            AddressPair(Mac.parse(mac), ip_network(network)) for mac, network in body.get("allowed_pairs", ())
        ),
        "dhcp_options": tuple(DhcpOption(*option) for option in body.get("dhcp_options", ())),
        "vnic_type": VnicType(body.get("vnic_type", VnicType.NORMAL)),
        "local_link": _read_link(body.get("local_link")),
        "profile": _read_profile(body.get("profile", ())),
        "record": read_record(body),
    }
    return Port(port_id, **{**body, **parsed})


def _write_link(link: LocalLink | None) -> list[str | int] | None:
    return None if link is None else [*link.place, link.pci_slot, link.physical_network]


def _read_link(written: list[Any] | None) -> LocalLink | None:
    return None if written is None else LocalLink(HostName(written[0]), *written[1:])


def _write_profile(profile: Profile) -> list[list[str | bool]]:
    return [[name, value] for name, value in profile]


def _read_profile(written: Iterable[Any]) -> Profile:
    return tuple((name, value) for name, value in written)


def write_host(host: Host) -> Document:
    """Write a host down."""
    body = {
        "la": str(host.la),
        "datapath_id": str(host.datapath_id),
        "tunnel_port": host.tunnel_port,
        "answers_nd": host.answers_nd,
        "kind": host.kind.value,
    }
    return Document(DocumentKind.HOST, host.name, body)


def read_host(name: str, body: dict[str, Any]) -> Host:
    """Read a host back."""
    parsed = {
        "la": IPv4Address(body["la"]),
        "datapath_id": DatapathId.parse(body["datapath_id"]),
        "kind": HostKind(body.get("kind", HostKind.HYPERVISOR)),
    }
    return Host(HostName(name), **{**body, **parsed})


def write_move(move: Move) -> Document:
    """Write a move down."""
    body = {
        "port_id": move.port_id,
        "source": move.source,
        "target": move.target,
        "trigger": move.trigger.value,
        "timeline": [[phase.value, when] for phase, when in move.timeline],
        "automatic": move.automatic,
        "reason": move.reason,
        "stale": move.stale,
        "activation": None if move.activation is None else move.activation.value,
        "profile": _write_profile(move.profile),
    }
    return Document(DocumentKind.MOVE, move.id, body)


def read_move(move_id: str, body: dict[str, Any]) -> Move:
    """Read a move back."""
    parsed = {
        "source": HostName(body["source"]),
        "target": HostName(body["target"]),
        "trigger": Trigger(body["trigger"]),
        "timeline": tuple((Phase(phase), when) for phase, when in body["timeline"]),
        "stale": None if body["stale"] is None else HostName(body["stale"]),
        "activation": None if body.get("activation") is None else Activation(body["activation"]),
        "profile": _read_profile(body.get("profile", ())),
    }
    return Move(move_id, **{**body, **parsed})

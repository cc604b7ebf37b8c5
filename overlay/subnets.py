"""May a network be numbered like this?

Prefix, gateway, pools, and what the machines of a subnet are told.  Each function checks everything before it changes
anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from overlay.addressing import default_gateway, default_pools, is_usable
from overlay.changes import CreateSubnet, DeleteSubnet, Unchanged, UpdateSubnet
from overlay.index import Index
from overlay.recording import Recorder
from overlay.refusals import Conflict, Invalid
from overlay.revisions import fresh
from overlay.subnetpools import cut
from overlay.values import Countable, IpAddress, IpNetwork, Ipv6Mode, Pool, Subnet

_BY_INTERFACE: Final = frozenset({Ipv6Mode.SLAAC, Ipv6Mode.STATELESS})
"""The modes in which a machine makes its address of its MAC (EUI-64), which takes 64 bits."""
_INTERFACE_PREFIX: Final = 64


def create_subnet(index: Index, change: CreateSubnet, record: Recorder) -> None:
    """Number a network from a prefix."""
    index.network(change.network_id)
    if change.id in index.subnets:
        raise Conflict(f"id: there is a subnet {change.id} already", field="id")
    cidr = _prefix(index, change)
    if cidr.is_multicast or not cidr.prefixlen:
        raise Invalid(f"cidr: {cidr} is no prefix to number machines from", field="cidr", kind="InvalidInput")
    _check_overlap(index, change.network_id, cidr)
    gateway = default_gateway(cidr) if change.gateway_ip == "default" else change.gateway_ip
    _check_gateway(cidr, gateway)
    pools = default_pools(cidr, gateway) if change.pools is None else _checked(cidr, gateway, change.pools)
    subnet = Subnet(
        change.id,
        change.network_id,
        change.project_id,
        change.name,
        cidr,
        gateway,
        pools,
        change.description,
        change.dhcp,
        change.dns_nameservers,
        change.host_routes,
        change.ipv6_ra_mode,
        change.ipv6_address_mode,
        change.subnetpool_id,
        record.born(change.tags),
    )
    _check_services(subnet)
    index.holdings.charge(Countable.SUBNET, change.project_id)
    record.put_subnet(subnet)


def update_subnet(index: Index, change: UpdateSubnet, record: Recorder) -> None:
    """Change a subnet; addresses that are in use stay so, whatever becomes of its pools."""
    subnet = fresh(index.subnet(change.id), change.expected)
    gateway = subnet.gateway_ip if isinstance(change.gateway_ip, Unchanged) else change.gateway_ip
    if gateway != subnet.gateway_ip:
        _check_gateway(subnet.cidr, gateway)
        _check_gateway_unused(index, subnet, subnet.gateway_ip)
        _check_gateway_unused(index, subnet, gateway)
    subnet = replace(
        subnet,
        name=subnet.name if change.name is None else change.name,
        description=subnet.description if change.description is None else change.description,
        gateway_ip=gateway,
        pools=_checked(subnet.cidr, gateway, subnet.pools if change.pools is None else change.pools),
        dhcp=subnet.dhcp if change.dhcp is None else change.dhcp,
        dns_nameservers=subnet.dns_nameservers if change.dns_nameservers is None else change.dns_nameservers,
        host_routes=subnet.host_routes if change.host_routes is None else change.host_routes,
    )
    _check_services(subnet)
    record.put_subnet(subnet)


def delete_subnet(index: Index, change: DeleteSubnet, record: Recorder) -> None:
    """Remove a subnet that no port has an address of."""
    fresh(index.subnet(change.id), change.expected)
    if index.subnet_users[change.id]:
        raise Conflict(
            f"subnet {change.id}: {index.subnet_users[change.id]} addresses are in use by ports",
            field="subnet_id",
            kind="SubnetInUse",
        )
    record.drop_subnet(change.id)


def _prefix(index: Index, change: CreateSubnet) -> IpNetwork:
    if change.subnetpool_id is not None:
        return cut(index, change, index.subnetpool(change.subnetpool_id))
    if change.cidr is None:
        raise Invalid("cidr: a subnet that is of no subnet pool needs one", field="cidr", kind="InvalidInput")
    return change.cidr


def _check_overlap(index: Index, network_id: str, cidr: IpNetwork) -> None:
    for other_id in index.subnets_of[network_id]:
        other = index.subnets[other_id]
        if other.cidr.version == cidr.version and other.cidr.overlaps(cidr):
            raise Invalid(
                f"cidr: {cidr} overlaps with {other.cidr} of subnet {other.id} in the same network",
                field="cidr",
                kind="InvalidInput",
            )


def _check_gateway(cidr: IpNetwork, gateway: IpAddress | None) -> None:
    if gateway is not None and not is_usable(cidr, gateway):
        raise Invalid(
            f"gateway_ip: {gateway} is not a usable address of {cidr}", field="gateway_ip", kind="InvalidInput"
        )


def _check_gateway_unused(index: Index, subnet: Subnet, gateway: IpAddress | None) -> None:
    port_id = None if gateway is None else index.ip_owner.get((subnet.network_id, gateway))
    if port_id is not None:
        raise Conflict(f"gateway_ip: {gateway} is in use by port {port_id}", field="gateway_ip", kind="GatewayIpInUse")


def _check_services(subnet: Subnet) -> None:
    """What machines are told has to be of the subnet's IP version, and its IPv6 modes have to go together."""
    for field, wrong in _wrong_services(subnet):
        raise Invalid(f"{field}: {wrong}", field=field, kind="InvalidInput")


def _wrong_services(subnet: Subnet) -> Iterator[tuple[str, str]]:
    version = subnet.cidr.version
    for server in subnet.dns_nameservers:
        if server.version != version:
            yield "dns_nameservers", f"{server} is not an IPv{version} address"
    for route in subnet.host_routes:
        if (route.destination.version, route.nexthop.version) != (version, version):
            yield "host_routes", f"{route.destination} by {route.nexthop} is not an IPv{version} route"
    modes = {mode for mode in (subnet.ipv6_ra_mode, subnet.ipv6_address_mode) if mode is not None}
    if modes and version != 6:  # noqa: PLR2004
        yield "ipv6_address_mode", "an IPv4 subnet has no IPv6 modes"
    if modes and not subnet.dhcp:
        yield "enable_dhcp", "IPv6 modes need it"
    if len(modes) > 1:
        yield "ipv6_ra_mode", f"{subnet.ipv6_ra_mode} does not go with ipv6_address_mode {subnet.ipv6_address_mode}"
    if modes & _BY_INTERFACE and subnet.cidr.prefixlen != _INTERFACE_PREFIX:
        yield "cidr", f"{subnet.cidr} is not a /64, which the IPv6 mode needs"


def _checked(cidr: IpNetwork, gateway: IpAddress | None, pools: tuple[Pool, ...]) -> tuple[Pool, ...]:
    def wrong(pool: Pool, why: str, kind: str) -> Invalid:
        return Invalid(f"allocation_pools: {pool.first}-{pool.last} {why}", field="allocation_pools", kind=kind)

    last_end = -1
    for pool in sorted(pools, key=lambda pool: int(pool.first)):
        if pool.first.version != pool.last.version or int(pool.first) > int(pool.last):
            raise wrong(pool, "does not begin before it ends", "InvalidAllocationPool")
        if not (is_usable(cidr, pool.first) and is_usable(cidr, pool.last)):
            raise wrong(pool, f"is not within the usable addresses of {cidr}", "OutOfBoundsAllocationPool")
        if int(pool.first) <= last_end:
            raise wrong(pool, "overlaps with another pool", "OverlappingAllocationPools")
        if gateway is not None and int(pool.first) <= int(gateway) <= int(pool.last):
            raise Conflict(
                f"allocation_pools: {pool.first}-{pool.last} holds the gateway {gateway}",
                field="allocation_pools",
                kind="GatewayConflictWithAllocationPools",
            )
        last_end = int(pool.last)
    return pools

"""May a tenant have this network, subnet or port, and what is in it?

The intents about networks and subnets, and the part of a port that never changes: its MAC and its addresses.  Each
function checks everything before it changes anything.
"""

from __future__ import annotations

from dataclasses import replace

from overlay.addressing import default_gateway, default_pools, usable
from overlay.changes import (
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeleteNetwork,
    DeleteSubnet,
    Document,
    DocumentKind,
    FixedIpRequest,
    UpdateNetwork,
    UpdateSubnet,
)
from overlay.index import Index
from overlay.recording import Recorder
from overlay.refusals import Conflict, Exhausted, Invalid, NotFound
from overlay.revisions import fresh
from overlay.values import FixedIp, IpAddress, IpNetwork, Mac, Network, Pool, Subnet, Vni


def create_network(index: Index, change: CreateNetwork, record: Recorder) -> None:
    """Make a network, with its own VNI."""
    if change.id in index.networks:
        raise Conflict(f"id: there is a network {change.id} already", field="id")
    vni = change.vni
    if vni is None:
        lowest = index.vnis.lowest()
        if lowest is None:
            raise Exhausted("all VNIs of the configured range are in use", kind="NoNetworkAvailable")
        vni = Vni(lowest)
    elif vni in index.vni_owner:
        raise Conflict(
            f"provider:segmentation_id: VNI {vni} is in use by another network",
            field="provider:segmentation_id",
            kind="SegmentationIdInUse",
        )
    mtu = 1500 if change.mtu is None else change.mtu
    record.put_network(
        Network(
            change.id,
            change.project_id,
            change.name,
            vni,
            mtu,
            change.description,
            change.admin_up,
            record.born(change.tags),
        )
    )


def update_network(index: Index, change: UpdateNetwork, record: Recorder) -> None:
    """Change a network's texts, MTU or admin state."""
    network = fresh(index.network(change.id), change.expected)
    record.put_network(
        replace(
            network,
            name=network.name if change.name is None else change.name,
            description=network.description if change.description is None else change.description,
            mtu=network.mtu if change.mtu is None else change.mtu,
            admin_up=network.admin_up if change.admin_up is None else change.admin_up,
        )
    )


def delete_network(index: Index, change: DeleteNetwork, record: Recorder) -> None:
    """Remove a network without ports, and its subnets."""
    fresh(index.network(change.id), change.expected)
    if index.ports_of[change.id]:
        raise Conflict(
            f"network {change.id} still has {len(index.ports_of[change.id])} ports",
            field="network_id",
            kind="NetworkInUse",
        )
    for subnet_id in tuple(index.subnets_of[change.id]):
        index.drop_subnet(subnet_id)
        record.store(Document(DocumentKind.SUBNET, subnet_id, None))
    index.drop_network(change.id)
    record.store(Document(DocumentKind.NETWORK, change.id, None))


def create_subnet(index: Index, change: CreateSubnet, record: Recorder) -> None:
    """Number a network from a prefix."""
    index.network(change.network_id)
    if change.id in index.subnets:
        raise Conflict(f"id: there is a subnet {change.id} already", field="id")
    if change.cidr is None:
        raise Invalid("cidr: is needed", field="cidr", kind="InvalidInput")
    for other_id in index.subnets_of[change.network_id]:
        other = index.subnets[other_id]
        if other.cidr.version == change.cidr.version and other.cidr.overlaps(change.cidr):
            raise Invalid(
                f"cidr: {change.cidr} overlaps with {other.cidr} of subnet {other.id} in the same network",
                field="cidr",
                kind="InvalidInput",
            )
    gateway = default_gateway(change.cidr) if change.gateway_ip == "default" else change.gateway_ip
    if gateway is not None and not _is_usable(change.cidr, gateway):
        raise Invalid(
            f"gateway_ip: {gateway} is not a usable address of {change.cidr}", field="gateway_ip", kind="InvalidInput"
        )
    pools = (
        default_pools(change.cidr, gateway) if change.pools is None else _checked(change.cidr, gateway, change.pools)
    )
    subnet = Subnet(
        change.id,
        change.network_id,
        change.project_id,
        change.name,
        change.cidr,
        gateway,
        pools,
        change.description,
        change.dhcp,
        change.dns_nameservers,
        change.host_routes,
        change.ipv6_ra_mode,
        change.ipv6_address_mode,
        record=record.born(change.tags),
    )
    record.put_subnet(subnet)


def update_subnet(index: Index, change: UpdateSubnet, record: Recorder) -> None:
    """Change a subnet's name or description."""
    subnet = fresh(index.subnet(change.id), change.expected)
    record.put_subnet(
        replace(
            subnet,
            name=subnet.name if change.name is None else change.name,
            description=subnet.description if change.description is None else change.description,
        )
    )


def delete_subnet(index: Index, change: DeleteSubnet, record: Recorder) -> None:
    """Remove a subnet that no port has an address of."""
    fresh(index.subnet(change.id), change.expected)
    if index.subnet_users[change.id]:
        raise Conflict(
            f"subnet {change.id}: {index.subnet_users[change.id]} addresses are in use by ports",
            field="subnet_id",
            kind="SubnetInUse",
        )
    index.drop_subnet(change.id)
    record.store(Document(DocumentKind.SUBNET, change.id, None))


def _is_usable(cidr: IpNetwork, ip: IpAddress) -> bool:
    if ip.version != cidr.version:
        return False
    first, last = usable(cidr)
    return int(first) <= int(ip) <= int(last)


def _checked(cidr: IpNetwork, gateway: IpAddress | None, pools: tuple[Pool, ...]) -> tuple[Pool, ...]:
    def wrong(pool: Pool, why: str, kind: str) -> Invalid:
        return Invalid(f"allocation_pools: {pool.first}-{pool.last} {why}", field="allocation_pools", kind=kind)

    last_end = -1
    for pool in sorted(pools, key=lambda pool: int(pool.first)):
        if pool.first.version != pool.last.version or int(pool.first) > int(pool.last):
            raise wrong(pool, "does not begin before it ends", "InvalidAllocationPool")
        if not (_is_usable(cidr, pool.first) and _is_usable(cidr, pool.last)):
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


def choose_mac(index: Index, change: CreatePort) -> Mac:
    """The MAC of a port to be: the one asked for, or the first candidate that its network has not yet.

    :raises Refusal: ``MacAddressInUse``, ``MacAddressGenerationFailure``.
    """
    if change.mac is None:
        for candidate in change.mac_candidates:
            if (change.network_id, candidate) not in index.mac_owner:
                return candidate
        raise Exhausted(
            "mac_address: all candidates are in use", field="mac_address", kind="MacAddressGenerationFailure"
        )
    if (change.network_id, change.mac) in index.mac_owner:
        raise Conflict(
            f"mac_address: {change.mac} is in use in network {change.network_id}",
            field="mac_address",
            kind="MacAddressInUse",
        )
    return change.mac


def choose_addresses(index: Index, change: CreatePort) -> tuple[FixedIp, ...]:
    """The addresses of a port to be; takes none of them yet.

    :raises Refusal: ``SubnetNotFound``, ``InvalidInput``, ``InvalidIpForSubnet``, ``InvalidIpForNetwork``,
        ``IpAddressInUse``, ``IpAddressGenerationFailure``.
    """
    chosen: list[FixedIp] = []
    if change.fixed_ips is None:
        subnets = [index.subnets[subnet_id] for subnet_id in index.subnets_of[change.network_id]]
        for version in (4, 6):
            of_version = [subnet for subnet in subnets if subnet.cidr.version == version]
            if of_version:
                chosen.append(_lowest(index, of_version, chosen))
        return tuple(chosen)
    # exact wishes first, so that a free choice does not take what the same request names
    exact = {
        position: _exact(index, change.network_id, wish)
        for position, wish in enumerate(change.fixed_ips)
        if wish.ip is not None
    }
    chosen = list(exact.values())
    if len({fixed.ip for fixed in chosen}) < len(chosen):
        raise Invalid("fixed_ips: an address is asked for twice", field="fixed_ips", kind="InvalidInput")
    out = []
    for position, wish in enumerate(change.fixed_ips):
        fixed = exact.get(position)
        if fixed is None:
            fixed = _lowest(index, [_subnet_of_network(index, change.network_id, wish.subnet_id)], chosen)
            chosen.append(fixed)
        out.append(fixed)
    return tuple(out)


def _subnet_of_network(index: Index, network_id: str, subnet_id: str | None) -> Subnet:
    if subnet_id is None:
        raise Invalid("fixed_ips: needs a subnet_id or an ip_address", field="fixed_ips", kind="InvalidInput")
    if subnet_id not in index.subnets:
        raise NotFound(f"fixed_ips: subnet {subnet_id} could not be found", field="fixed_ips", kind="SubnetNotFound")
    subnet = index.subnets[subnet_id]
    if subnet.network_id != network_id:
        raise Invalid(
            f"fixed_ips: subnet {subnet_id} is not of network {network_id}", field="fixed_ips", kind="InvalidInput"
        )
    return subnet


def _lowest(index: Index, subnets: list[Subnet], chosen: list[FixedIp]) -> FixedIp:
    taken = {int(fixed.ip) for fixed in chosen if fixed.ip.version == subnets[0].cidr.version}
    for subnet in subnets:
        number = index.pools[subnet.id].lowest(taken)
        if number is not None:
            return FixedIp(subnet.id, type(subnet.cidr.network_address)(number))
    names = ", ".join(str(subnet.cidr) for subnet in subnets)
    raise Exhausted(
        f"fixed_ips: no address is free in the pools of {names}", field="fixed_ips", kind="IpAddressGenerationFailure"
    )


def _exact(index: Index, network_id: str, wish: FixedIpRequest) -> FixedIp:
    ip = wish.ip
    assert ip is not None  # noqa: S101  (the caller has sorted)
    if wish.subnet_id is not None:
        subnet = _subnet_of_network(index, network_id, wish.subnet_id)
        if not _is_usable(subnet.cidr, ip):
            raise Invalid(
                f"fixed_ips: {ip} is not a usable address of {subnet.cidr}",
                field="fixed_ips",
                kind="InvalidIpForSubnet",
            )
    else:
        subnets = [index.subnets[subnet_id] for subnet_id in index.subnets_of[network_id]]
        fitting = next((subnet for subnet in subnets if _is_usable(subnet.cidr, ip)), None)
        if fitting is None:
            raise Invalid(
                f"fixed_ips: {ip} is not a usable address of any subnet of network {network_id}",
                field="fixed_ips",
                kind="InvalidIpForNetwork",
            )
        subnet = fitting
    if (network_id, ip) in index.ip_owner:
        raise Conflict(f"fixed_ips: {ip} is in use in its network", field="fixed_ips", kind="IpAddressInUse")
    return FixedIp(subnet.id, ip)

"""Which MAC and which addresses does a port get?

Takes none of them yet: whoever asks puts the port.
"""

from __future__ import annotations

from collections.abc import Sequence

from overlay.addressing import by_mac, is_usable
from overlay.changes import CreatePort, FixedIpRequest
from overlay.guests.offers import SERVICE_MAC
from overlay.index import Index
from overlay.refusals import Conflict, Exhausted, Invalid, NotFound
from overlay.values import FixedIp, IpAddress, Mac, Port, Subnet


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
    check_mac(index, change.network_id, change.mac)
    return change.mac


def check_mac(index: Index, network_id: str, mac: Mac) -> None:
    """Check that nobody has a MAC in a network; that of its own services is taken.

    :raises Conflict: ``MacAddressInUse``.
    """
    if (network_id, mac) in index.mac_owner or mac == SERVICE_MAC:
        raise Conflict(
            f"mac_address: {mac} is in use in network {network_id}", field="mac_address", kind="MacAddressInUse"
        )


def default_addresses(index: Index, network_id: str, mac: Mac) -> tuple[FixedIp, ...]:
    """One address of each IP version that a network has pools of, and one of each subnet that is numbered by MAC.

    :raises Refusal: ``IpAddressGenerationFailure``, ``IpAddressInUse``.
    """
    subnets = [index.subnets[subnet_id] for subnet_id in index.subnets_of[network_id]]
    pooled = [subnet for subnet in subnets if not subnet.by_mac]
    by_version = ([subnet for subnet in pooled if subnet.cidr.version == version] for version in (4, 6))
    return (
        *(_free(index, of_version, ()) for of_version in by_version if of_version),
        *(_of_mac(index, subnet, mac, None) for subnet in subnets if subnet.by_mac),
    )


def follow_mac(index: Index, port: Port, mac: Mac) -> tuple[FixedIp, ...]:
    """The addresses of a port that is to have another MAC.

    :raises Conflict: ``IpAddressInUse``.
    """
    subnets = [index.subnets[fixed.subnet_id] for fixed in port.fixed_ips]
    return tuple(
        _of_mac(index, subnet, mac, port) if subnet.by_mac and fixed.ip == by_mac(subnet.cidr, port.mac) else fixed
        for fixed, subnet in zip(port.fixed_ips, subnets, strict=True)
    )


def choose_addresses(
    index: Index, network_id: str, wishes: Sequence[FixedIpRequest], mac: Mac, port: Port | None = None
) -> tuple[FixedIp, ...]:
    """The addresses that somebody wishes a port to have.

    :param mac: that the port will have.
    :param port: the port as it is, whose own addresses serve as well; ``None`` for a port to be.
    :raises Refusal: ``SubnetNotFound``, ``InvalidInput``, ``InvalidIpForSubnet``, ``InvalidIpForNetwork``,
        ``AllocationOnAutoAddressSubnet``, ``IpAddressInUse``, ``IpAddressGenerationFailure``.
    """
    # exact wishes first, so that a free choice does not take what the same request names
    exact = {
        position: _exact(index, network_id, wish.subnet_id, wish.ip, mac, port)
        for position, wish in enumerate(wishes)
        if wish.ip is not None
    }
    chosen = list(exact.values())
    out = []
    for position, wish in enumerate(wishes):
        fixed = exact.get(position)
        if fixed is None:
            fixed = _any(index, _subnet_of_network(index, network_id, wish.subnet_id), mac, port, chosen)
            chosen.append(fixed)
        out.append(fixed)
    if len({fixed.ip for fixed in out}) < len(out):
        raise Invalid("fixed_ips: an address is asked for twice", field="fixed_ips", kind="InvalidInput")
    return tuple(out)


def _any(index: Index, subnet: Subnet, mac: Mac, port: Port | None, chosen: Sequence[FixedIp]) -> FixedIp:
    if subnet.by_mac:
        return _of_mac(index, subnet, mac, port)
    own = () if port is None else port.fixed_ips
    kept = (fixed for fixed in own if fixed.subnet_id == subnet.id and fixed not in chosen)
    return next(kept, None) or _free(index, [subnet], chosen)


def _of_mac(index: Index, subnet: Subnet, mac: Mac, port: Port | None) -> FixedIp:
    ip = by_mac(subnet.cidr, mac)
    _check_unused(index, subnet.network_id, ip, port)
    return FixedIp(subnet.id, ip)


def _check_unused(index: Index, network_id: str, ip: IpAddress, port: Port | None) -> None:
    owner = index.ip_owner.get((network_id, ip))
    if owner is not None and (port is None or owner != port.id):
        raise Conflict(f"fixed_ips: {ip} is in use in its network", field="fixed_ips", kind="IpAddressInUse")


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


def _free(index: Index, subnets: Sequence[Subnet], chosen: Sequence[FixedIp]) -> FixedIp:
    taken = {int(fixed.ip) for fixed in chosen if fixed.ip.version == subnets[0].cidr.version}
    for subnet in subnets:
        number = index.pools[subnet.id].next(taken)
        if number is not None:
            return FixedIp(subnet.id, type(subnet.cidr.network_address)(number))
    names = ", ".join(str(subnet.cidr) for subnet in subnets)
    raise Exhausted(
        f"fixed_ips: no address is free in the pools of {names}", field="fixed_ips", kind="IpAddressGenerationFailure"
    )


def _exact(  # noqa: PLR0917  (one wish, in its parts)
    index: Index, network_id: str, subnet_id: str | None, ip: IpAddress, mac: Mac, port: Port | None
) -> FixedIp:
    if subnet_id is not None:
        subnet = _subnet_of_network(index, network_id, subnet_id)
        if not is_usable(subnet.cidr, ip):
            raise Invalid(
                f"fixed_ips: {ip} is not a usable address of {subnet.cidr}",
                field="fixed_ips",
                kind="InvalidIpForSubnet",
            )
    else:
        subnets = [index.subnets[subnet_id] for subnet_id in index.subnets_of[network_id]]
        fitting = next((subnet for subnet in subnets if is_usable(subnet.cidr, ip)), None)
        if fitting is None:
            raise Invalid(
                f"fixed_ips: {ip} is not a usable address of any subnet of network {network_id}",
                field="fixed_ips",
                kind="InvalidIpForNetwork",
            )
        subnet = fitting
    if subnet.by_mac and ip not in {subnet.gateway_ip, by_mac(subnet.cidr, mac)}:
        raise Invalid(
            f"fixed_ips: {ip} cannot be chosen, since the machines of {subnet.cidr} make their addresses of their MACs",
            field="fixed_ips",
            kind="AllocationOnAutoAddressSubnet",
        )
    _check_unused(index, network_id, ip, port)
    return FixedIp(subnet.id, ip)

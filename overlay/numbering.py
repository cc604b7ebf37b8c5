"""Which MAC and which addresses does a port get?

Takes none of them yet: whoever asks puts the port.
"""

from __future__ import annotations

from collections.abc import Sequence

from overlay.addressing import is_usable
from overlay.changes import CreatePort, FixedIpRequest
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
    """Check that nobody has a MAC in a network.

    :raises Conflict: ``MacAddressInUse``.
    """
    if (network_id, mac) in index.mac_owner:
        raise Conflict(
            f"mac_address: {mac} is in use in network {network_id}", field="mac_address", kind="MacAddressInUse"
        )


def default_addresses(index: Index, network_id: str) -> tuple[FixedIp, ...]:
    """One address of each IP version that a network has subnets of.

    :raises Exhausted: ``IpAddressGenerationFailure``.
    """
    subnets = [index.subnets[subnet_id] for subnet_id in index.subnets_of[network_id]]
    by_version = ([subnet for subnet in subnets if subnet.cidr.version == version] for version in (4, 6))
    return tuple(_free(index, of_version, ()) for of_version in by_version if of_version)


def choose_addresses(
    index: Index, network_id: str, wishes: Sequence[FixedIpRequest], port: Port | None = None
) -> tuple[FixedIp, ...]:
    """The addresses that somebody wishes a port to have.

    :param port: the port as it is, whose own addresses serve as well; ``None`` for a port to be.
    :raises Refusal: ``SubnetNotFound``, ``InvalidInput``, ``InvalidIpForSubnet``, ``InvalidIpForNetwork``,
        ``IpAddressInUse``, ``IpAddressGenerationFailure``.
    """
    # exact wishes first, so that a free choice does not take what the same request names
    exact = {
        position: _exact(index, network_id, wish.subnet_id, wish.ip, port)
        for position, wish in enumerate(wishes)
        if wish.ip is not None
    }
    chosen = list(exact.values())
    if len({fixed.ip for fixed in chosen}) < len(chosen):
        raise Invalid("fixed_ips: an address is asked for twice", field="fixed_ips", kind="InvalidInput")
    out = []
    for position, wish in enumerate(wishes):
        fixed = exact.get(position)
        if fixed is None:
            subnet = _subnet_of_network(index, network_id, wish.subnet_id)
            own = () if port is None else port.fixed_ips
            kept = (fixed for fixed in own if fixed.subnet_id == subnet.id and fixed not in chosen)
            fixed = next(kept, None) or _free(index, [subnet], chosen)
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


def _exact(index: Index, network_id: str, subnet_id: str | None, ip: IpAddress, port: Port | None) -> FixedIp:
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
    owner = index.ip_owner.get((network_id, ip))
    if owner is not None and (port is None or owner != port.id):
        raise Conflict(f"fixed_ips: {ip} is in use in its network", field="fixed_ips", kind="IpAddressInUse")
    return FixedIp(subnet.id, ip)

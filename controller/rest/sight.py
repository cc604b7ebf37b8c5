"""What exists for whoever asks?

A project's own objects, the networks and subnet pools that others share with it, the subnets of all these networks, and
the ports that others have in its own networks.  Nothing else exists for it, whether it is asked for by name or listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from controller.rest.access import Owned, caller
from controller.rest.errors import Forbidden
from controller.service import Service
from overlay.mirrors.values import TapFlow, TapService
from overlay.policy.values import AddressGroup, SecurityGroup, SecurityRule
from overlay.qos.values import QosPolicy
from overlay.refusals import NotFound
from overlay.trunks.values import Trunk
from overlay.values import Network, Port, Share, Shareable, Subnet, SubnetPool
from overlay.world import World


class Object(Owned, Protocol):
    """Anything that belongs to a project and has an id."""

    @property
    def id(self) -> str:
        """What it is found by."""


T = TypeVar("T", bound=Object)


@dataclass(frozen=True, slots=True)
class Sight:
    """The world as the present request's caller may see it."""

    service: Service

    @property
    def world(self) -> World:
        """All of it."""
        return self.service.world

    # --- one object ---

    def network(self, network_id: str, field: str = "network_id") -> Network:
        """Look up.  :raises NotFound: the same whether it does not exist or may not be seen; likewise below."""
        return _found(self.world.network, network_id, self.sees_network, "Network", field)

    def subnet(self, subnet_id: str, field: str = "subnet_id") -> Subnet:
        """Look up."""
        return _found(self.world.subnet, subnet_id, self.sees_subnet, "Subnet", field)

    def port(self, port_id: str, field: str = "port_id") -> Port:
        """Look up."""
        return _found(self.world.port, port_id, self.sees_port, "Port", field)

    def subnetpool(self, pool_id: str, field: str = "subnetpool_id") -> SubnetPool:
        """Look up."""
        return _found(self.world.subnetpool, pool_id, self.sees_pool, "SubnetPool", field)

    def qos_policy(self, policy_id: str, field: str = "qos_policy_id") -> QosPolicy:
        """Look up."""
        return _found(self.world.qos_policy, policy_id, self.sees_qos_policy, "QosPolicy", field)

    def trunk(self, trunk_id: str, field: str = "trunk_id") -> Trunk:
        """Look up."""
        return _found(self.world.trunk, trunk_id, caller().sees, "Trunk", field)

    def share(self, share_id: str, field: str = "policy_id") -> Share:
        """Look up; it is there for whose it is only, not for whom it is for."""
        return _found(self.world.share, share_id, caller().sees, "RbacPolicy", field)

    def security_group(self, group_id: str, field: str = "security_group_id") -> SecurityGroup:
        """Look up."""
        return _found(self.world.security_group, group_id, caller().sees, "SecurityGroup", field)

    def security_rule(self, rule_id: str, field: str = "security_group_rule_id") -> SecurityRule:
        """Look up."""
        return _found(self.world.security_rule, rule_id, caller().sees, "SecurityGroupRule", field)

    def address_group(self, group_id: str, field: str = "address_group_id") -> AddressGroup:
        """Look up."""
        return _found(self.world.address_group, group_id, caller().sees, "AddressGroup", field)

    def tap_service(self, service_id: str, field: str = "tap_service_id") -> TapService:
        """Look up."""
        return _found(self.world.tap_service, service_id, caller().sees, "TapService", field)

    def tap_flow(self, flow_id: str, field: str = "tap_flow_id") -> TapFlow:
        """Look up."""
        return _found(self.world.tap_flow, flow_id, caller().sees, "TapFlow", field)

    # --- all of a kind ---

    def whole(self, things: Iterable[T]) -> Iterable[T]:
        """Leave out what a request for many objects has made so far: all of it is there, or will never have been."""
        unfinished = self.service.unfinished
        return (thing for thing in things if thing.id not in unfinished)

    def networks(self) -> Iterable[Network]:
        """One's own, then those that others share."""
        own = caller()
        if own.is_operator:
            return self.whole(self.world.networks.values())
        project = own.project or ""
        shared = (self.world.networks[network_id] for network_id in self.world.shared_networks(project))
        return self.whole((*self.world.networks_of_project(project), *shared))

    def subnets(self) -> Iterable[Subnet]:
        """One's own, and those of the networks that one sees."""
        own = caller()
        if own.is_operator:
            return self.whole(self.world.subnets.values())
        found = {subnet.id: subnet for subnet in self.world.subnets_of_project(own.project or "")}
        for network in self.networks():
            found.update((subnet.id, subnet) for subnet in self.world.subnets_of(network.id))
        return self.whole(found.values())

    def ports(self) -> Iterable[Port]:
        """One's own, and those in one's own networks."""
        own = caller()
        if own.is_operator:
            return self.whole(self.world.ports.values())
        project = own.project or ""
        found = {port.id: port for port in self.world.ports_of_project(project)}
        for network in self.world.networks_of_project(project):
            found.update((port.id, port) for port in self.world.ports_of_network(network.id))
        return self.whole(found.values())

    # --- whether ---

    def sees_network(self, network: Network) -> bool:
        """Whether a network exists for the caller."""
        return caller().sees(network) or self.shares(Shareable.NETWORK, network.id)

    def sees_subnet(self, subnet: Subnet) -> bool:
        """Whether a subnet exists for the caller."""
        return caller().sees(subnet) or self.sees_network(self.world.network(subnet.network_id))

    def sees_port(self, port: Port) -> bool:
        """Whether a port exists for the caller."""
        return caller().sees(port) or self.owns_network(port.network_id)

    def sees_pool(self, pool: SubnetPool) -> bool:
        """Whether a subnet pool exists for the caller."""
        return caller().sees(pool) or self.shares(Shareable.SUBNETPOOL, pool.id)

    def sees_qos_policy(self, policy: QosPolicy) -> bool:
        """Whether a QoS policy exists for the caller."""
        return caller().sees(policy) or self.shares(Shareable.QOS_POLICY, policy.id)

    def owns_network(self, network_id: str) -> bool:
        """Whether a network that exists is the caller's own, or the caller is the operator."""
        return caller().sees(self.world.network(network_id))

    def shares(self, kind: Shareable, object_id: str) -> bool:
        """Whether an object is shared with the caller's project or with everybody (Neutron's ``shared``)."""
        return self.world.shared_with(kind, object_id, caller().project or "")


def require_owner(what: str, thing: Owned, field: str = "") -> None:
    """Refuse everybody but whose it is and the operator.

    :param thing: seen by the caller, who may be somebody with whom it is only shared.
    :raises Forbidden: naming what it takes the owner to do.
    """
    if not caller().sees(thing):
        raise Forbidden(
            f"{what} is disallowed by policy: only its owner and the operator may",
            field=field,
            kind="PolicyNotAuthorized",
        )


def _found(get: Callable[[str], T], id_: str, sees: Callable[[T], bool], noun: str, field: str) -> T:
    try:
        found = get(id_)
    except NotFound:
        found = None
    if found is None or not sees(found):
        raise NotFound(f"{noun} {id_} could not be found.", field=field, kind=f"{noun}NotFound")
    return found

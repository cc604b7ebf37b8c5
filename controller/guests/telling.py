"""What are all machines of a network told, whichever way they ask?"""

from __future__ import annotations

from overlay.guests.leases import Told
from overlay.guests.names import domain_of
from overlay.values import Port
from overlay.world import World


def told(world: World, port: Port) -> Told:
    """What a port's machine is told besides what its subnet says."""
    network = world.networks[port.network_id]
    domain = domain_of(network, world.settings.dns_domain).rstrip(".")
    return Told(network.mtu, world.settings.lease_seconds, domain)

"""Two tenants with the same addresses on three hypervisors."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TypeVar

import pytest

from overlay.changes import CreateNetwork, CreatePort, CreateSubnet
from overlay.values import Mac, Vni
from overlay.world import Settings
from tests.model.lab import Lab

LabKind = TypeVar("LabKind", bound=Lab)
MACS = {name: Mac(0x02_00_00_00_00_01 + number) for number, name in enumerate("abcd")}


def furnished(
    settings: Settings | None = None,
    *,
    vlan_transparent: bool = False,
    kind: type[LabKind] = Lab,  # type: ignore[assignment]
) -> LabKind:
    """Red and blue both have ports a (h1), b (h1), c (h2), d (h3): the same MACs, the same IPs, all plugged."""
    it = kind(settings=settings)
    for vni, tenant in ((100, "red"), (200, "blue")):
        it.do(CreateNetwork(tenant, tenant, vni=Vni(vni), vlan_transparent=vlan_transparent))
        it.do(CreateSubnet(f"{tenant}-4", tenant, tenant, ip_network("10.0.0.0/24")))
        it.do(CreateSubnet(f"{tenant}-6", tenant, tenant, ip_network("2001:db8::/64")))
        for name, host in zip("abcd", ("h1", "h1", "h2", "h3"), strict=True):
            it.do(CreatePort(f"{tenant}-{name}", tenant, tenant, mac=MACS[name], host=it.hosts[int(host[1]) - 1]))
            it.plug(it.hosts[int(host[1]) - 1], f"{tenant}-{name}")
    return it


@pytest.fixture
def lab() -> Lab:
    """The two tenants, as the operator has it by default."""
    return furnished()

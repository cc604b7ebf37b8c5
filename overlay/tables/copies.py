"""How does one packet reach several receivers?

One copy by way of each local receiver's own policy, and one to each other host that has receivers.  OpenFlow sends none
back by the port that it came in by, so what came by the tunnel ends at local ports.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from overlay.flow import Action, Output, Resubmit, Set, Table
from overlay.tables.names import OUT_LANE
from overlay.values import Vni


def copies(
    table: Table, vni: Vni, lanes: Iterable[int], tunnel_port: int | None, las: Iterable[IPv4Address]
) -> list[Action]:
    """Everybody gets one.

    About 2,000 hosts or ports fit: each takes 32 of the 65,535 bytes of a FlowMod.
    """
    actions: list[Action] = []
    for lane in lanes:
        actions += (Set(OUT_LANE, lane), Resubmit(table.number_of("receiver")))
    if tunnel_port is not None:
        actions.append(Set("tunnel_id", vni))
        for la in las:
            actions += (Set("tun_ipv4_dst", int(la)), Output(tunnel_port))
    return actions

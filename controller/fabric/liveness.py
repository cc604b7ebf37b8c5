"""On which interfaces of the fabric should the ends of a link give each other signs of life (BFD), and where not?

A port tells by its carrier that a cable was cut or a switch has lost its power, but not that the daemon at the far end
died or hangs.  BFD does, as long as it runs at *both* ends: at one end only it takes the link down.  So:

* it goes on where a cable was surely seen in both directions, both switches can be configured, and the operator does
  not watch the far end himself;
* it goes off where a port does not let packets pass, be that for want of a carrier or because BFD itself says so, and
  at the far end of its cable at the same time: BFD left there alone would find its peer silent a moment later, and take
  the link down a second time when it has just come back.  The ports are then free again to show, by announcements,
  whether the cable works, which starts BFD anew at both ends (it stays off until then);
* anywhere else it stays as it is.  A controller that has just started, or to which the far switch does not talk at the
  moment, knows too little: BFD may well be running at the far end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from controller.fabric.graph import Fabric
from controller.fabric.plan import PortRef
from overlay.values import DatapathId


def bfd_wanted(
    fabric: Fabric,
    joined: Collection[DatapathId],
    own: Mapping[DatapathId, frozenset[str]] = MappingProxyType({}),
) -> Mapping[DatapathId, frozenset[str]]:
    """Name the interfaces on which BFD should run.

    :param joined: the switches that can be configured.
    :param own: their interfaces that the operator watches himself: no cable to one of them is watched by us.
    """
    return {datapath_id: _watched(fabric, datapath_id, joined, own) for datapath_id in joined}


def bfd_unwanted(fabric: Fabric, datapath_id: DatapathId) -> frozenset[str]:
    """Name the interfaces of a switch on which BFD must not run, once no group of the switch relies on it."""
    if datapath_id not in fabric.switches:
        return frozenset()
    return frozenset(
        port.name for port in fabric.ports(datapath_id) if not _passes(fabric, PortRef(datapath_id, port.number))
    )


def _passes(fabric: Fabric, end: PortRef) -> bool:
    """Whether packets can pass a port, and its cable (if it has one) has shown so since either end could not."""
    return fabric.is_up(end) and all(known.sure for known in fabric.cables.ends(end))


def _watched(
    fabric: Fabric,
    datapath_id: DatapathId,
    joined: Collection[DatapathId],
    own: Mapping[DatapathId, frozenset[str]],
) -> frozenset[str]:
    if datapath_id not in fabric.switches:
        return frozenset()
    found = ((port, fabric.peer(PortRef(datapath_id, port.number))) for port in fabric.ports(datapath_id))
    return frozenset(
        port.name
        for port, far in found
        if far is not None
        and far.datapath_id != datapath_id
        and far.datapath_id in joined
        and fabric.switches[far.datapath_id].ports[far.port].name not in own.get(far.datapath_id, ())
    )

"""What must be written into a host's database so that its bridge is as the controller needs it?

A pure comparison of the rows with what they have to be: the answer holds only what differs, and is None when all is
well, so that a host that joins again is not written to.  Rows, keys and ports that are not ours are never mentioned.
Columns are explained in ovs-vswitchd.conf.db(5).
"""

from __future__ import annotations

from typing import Final

from controller.ovsdb.join import Join
from controller.ovsdb.replica import BridgeRow, Replica, RowId
from controller.ovsdb.transaction import Pen, Repair, map_of, set_of

TUNNEL: Final = "vx-vl2"

_PROTOCOLS: Final = ("OpenFlow14", "OpenFlow15")
"""The controller speaks the latter; the former stays for the operator's own ``ovs-ofctl -O OpenFlow14``."""
_PROBE_MS: Final = 5000
_BACKOFF_MS: Final = 1000
_OWNER_KEY: Final = "vl2-owner"


class ObstructedError(Exception):
    """Something of the operator's stands where ours has to go; the text says what, for the operator."""


def plan_repair(replica: Replica, join: Join, target: str) -> Repair | None:
    """Compare; None when nothing needs to be written.

    :param target: whom br-int has to call by OpenFlow, ``tcp:ADDRESS:PORT`` or ``ssl:…``.
    :raises ObstructedError: when a port of the operator's has a name that we need.
    """
    pen = Pen()
    found = replica.bridge_named(join.bridge)
    for name in (join.bridge, TUNNEL):
        port = replica.port_named(name)
        if port is not None and (found is None or replica.bridge_of_port(port[0]) != found[0]):
            other = replica.bridges.get(replica.bridge_of_port(port[0]) or "", BridgeRow(name="another bridge"))
            raise ObstructedError(f"port {name} is in {other.name}, but {join.bridge} needs that name")
    if found is None:
        _create(pen, replica, join, target)
    else:
        _mend_bridge(pen, *found, join)
        _mend_local_port(pen, replica, found[0], join)
        _mend_tunnel(pen, replica, found[0], join)
        _mend_controller(pen, replica, *found, target)
    return pen.repair()


def _create(pen: Pen, replica: Replica, join: Join, target: str) -> None:
    bridge = pen.insert(
        "Bridge",
        "bridge",
        f"{join.bridge} made",
        name=join.bridge,
        fail_mode="secure",
        datapath_type=_datapath_type(join),
        protocols=set_of(_PROTOCOLS),
        other_config=map_of(_bridge_config(join)),
        ports=set_of([_new_local_port(pen, join), _new_tunnel(pen, join)]),
        controller=_new_controller(pen, target),
    )
    for root in replica.root:
        pen.mutate("Open_vSwitch", root, "bridges", insert=bridge)


def _mend_bridge(pen: Pen, row_id: RowId, bridge: BridgeRow, join: Join) -> None:
    if bridge.fail_mode != "secure":
        pen.update("Bridge", row_id, "fail_mode secure", fail_mode="secure")
    # Both spellings of the kernel datapath mean the same.
    if (bridge.datapath_type or "system") != _datapath_type(join):
        pen.update("Bridge", row_id, "datapath_type", datapath_type=_datapath_type(join))
    missing = [protocol for protocol in _PROTOCOLS if protocol not in bridge.protocols]
    if missing:
        pen.mutate("Bridge", row_id, "protocols", insert=set_of(missing), reason="protocols")
    pen.mend_map("Bridge", row_id, "other_config", bridge.other_config, _bridge_config(join))


def _mend_local_port(pen: Pen, replica: Replica, bridge: RowId, join: Join) -> None:
    if replica.port_named(join.bridge) is None:
        pen.mutate("Bridge", bridge, "ports", insert=_new_local_port(pen, join))


def _mend_tunnel(pen: Pen, replica: Replica, bridge: RowId, join: Join) -> None:
    port = replica.port_named(TUNNEL)
    if port is None:
        pen.mutate("Bridge", bridge, "ports", insert=_new_tunnel(pen, join))
        return
    port_id, port_row = port
    found = next((i for i in port_row.interfaces if i in replica.interfaces), None)
    if len(port_row.interfaces) != 1 or found is None or replica.interfaces[found].name != TUNNEL:
        pen.update("Port", port_id, f"interface of {TUNNEL}", interfaces=_new_tunnel_interface(pen, join))
        return
    interface = replica.interfaces[found]
    if interface.type != "vxlan":
        pen.update("Interface", found, f"type of {TUNNEL}", type="vxlan")
    pen.mend_map("Interface", found, "options", interface.options, _tunnel_options(join))


def _mend_controller(pen: Pen, replica: Replica, bridge_id: RowId, bridge: BridgeRow, target: str) -> None:
    rows = {row_id: replica.controllers[row_id] for row_id in bridge.controller if row_id in replica.controllers}
    found = next((row_id for row_id, row in rows.items() if row.target == target), None)
    if found is None:
        # Ours of another day, when this address listened on another port, or without TLS.
        address = _address(target)
        ours = (i for i, row in rows.items() if _OWNER_KEY in row.external_ids and _address(row.target) == address)
        found = next(ours, None)
        if found is None:
            pen.mutate("Bridge", bridge_id, "controller", insert=_new_controller(pen, target))
            return
        pen.update("Controller", found, "controller target", target=target)
    row = rows[found]
    if row.inactivity_probe != _PROBE_MS:
        pen.update("Controller", found, "controller inactivity_probe", inactivity_probe=_PROBE_MS)
    if row.max_backoff != _BACKOFF_MS:
        pen.update("Controller", found, "controller max_backoff", max_backoff=_BACKOFF_MS)


def _address(target: str) -> str:
    return target.partition(":")[2].rpartition(":")[0]


def _new_local_port(pen: Pen, join: Join) -> object:
    interface = pen.insert("Interface", "local_interface", "", name=join.bridge, type="internal")
    return pen.insert("Port", "local_port", f"port {join.bridge}", name=join.bridge, interfaces=interface)


def _new_tunnel(pen: Pen, join: Join) -> object:
    return pen.insert("Port", "tunnel_port", f"port {TUNNEL}", name=TUNNEL, interfaces=_new_tunnel_interface(pen, join))


def _new_tunnel_interface(pen: Pen, join: Join) -> object:
    options = map_of(_tunnel_options(join))
    return pen.insert("Interface", "tunnel_interface", "", name=TUNNEL, type="vxlan", options=options)


def _new_controller(pen: Pen, target: str) -> object:
    return pen.insert(
        "Controller",
        "controller",
        f"controller {target}",
        target=target,
        inactivity_probe=_PROBE_MS,
        max_backoff=_BACKOFF_MS,
        external_ids=map_of({_OWNER_KEY: "vl2"}),
    )


def _datapath_type(join: Join) -> str:
    return "netdev" if join.netdev else "system"


def _bridge_config(join: Join) -> dict[str, str]:
    # In-band control would add flows of its own to br-int, which has no uplink that it could protect.
    return {"datapath-id": str(join.datapath_id), "disable-in-band": "true"}


def _tunnel_options(join: Join) -> dict[str, str]:
    return {"remote_ip": "flow", "key": "flow", "local_ip": str(join.la)}

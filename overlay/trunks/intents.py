"""May this port be a parent, and that one a VLAN of it?

Each function checks everything before it changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from overlay.changes import Document, DocumentKind
from overlay.index import Index
from overlay.placement import house, replug
from overlay.recording import Recorder
from overlay.refusals import Conflict, Invalid, NotFound
from overlay.revisions import fresh
from overlay.trunks.changes import AddSubPorts, CreateTrunk, DeleteTrunk, RemoveSubPorts, UpdateTrunk
from overlay.trunks.values import SUB_PORT_OWNER, VIDS, SubPort, Trunk
from overlay.values import Countable, Port, VnicType


def create_trunk(index: Index, change: CreateTrunk, record: Recorder) -> None:
    """Let a port be the parent of a trunk, be it plugged already or not."""
    if change.id in index.trunks.by_id:
        raise Conflict(f"id: there is a trunk {change.id} already", field="id")
    parent = index.port(change.port_id)
    _check_in_no_trunk(index, parent.id)
    _check_opaque(index, parent)
    trunk = Trunk(
        change.id,
        change.project_id,
        change.name,
        parent.id,
        (),
        change.description,
        change.admin_up,
        record.born(change.tags),
    )
    _check_sub_ports(index, trunk, change.sub_ports)
    index.holdings.charge(Countable.TRUNK, change.project_id)
    record.put_trunk(replace(trunk, sub_ports=change.sub_ports))
    record.reprogram(parent.id)
    _take(index, trunk, change.sub_ports, record)


def update_trunk(index: Index, change: UpdateTrunk, record: Recorder) -> None:
    """Change a trunk's texts or admin state."""
    before = fresh(index.trunks.find(change.id), change.expected)
    trunk = replace(
        before,
        name=before.name if change.name is None else change.name,
        description=before.description if change.description is None else change.description,
        admin_up=before.admin_up if change.admin_up is None else change.admin_up,
    )
    record.put_trunk(trunk)
    if trunk.admin_up != before.admin_up:
        for sub in trunk.sub_ports:
            record.refoot(sub.port_id)


def delete_trunk(index: Index, change: DeleteTrunk, record: Recorder) -> None:
    """Take a trunk away; its ports stay."""
    trunk = _manageable(fresh(index.trunks.find(change.id), change.expected))
    index.drop_trunk(trunk.id)
    record.store(Document(DocumentKind.TRUNK, trunk.id, None))
    record.reprogram(trunk.port_id)
    _release(index, trunk.sub_ports, record)


def add_sub_ports(index: Index, change: AddSubPorts, record: Recorder) -> None:
    """Let ports be VLANs of a trunk."""
    trunk = _manageable(fresh(index.trunks.find(change.id), change.expected))
    _check_sub_ports(index, trunk, change.sub_ports)
    record.put_trunk(replace(trunk, sub_ports=(*trunk.sub_ports, *change.sub_ports)))
    _take(index, trunk, change.sub_ports, record)


def remove_sub_ports(index: Index, change: RemoveSubPorts, record: Recorder) -> None:
    """Let ports be VLANs of a trunk no more."""
    trunk = _manageable(fresh(index.trunks.find(change.id), change.expected))
    there = {sub.port_id: sub for sub in trunk.sub_ports}
    for port_id in change.port_ids:
        if port_id not in there:
            raise NotFound(
                f"SubPort on trunk {trunk.id} with parent port {port_id} could not be found.",
                field="sub_ports",
                kind="SubPortNotFound",
            )
    removed = [there[port_id] for port_id in dict.fromkeys(change.port_ids)]
    record.put_trunk(replace(trunk, sub_ports=tuple(sub for sub in trunk.sub_ports if sub not in removed)))
    _release(index, removed, record)


# --- checks ----------------------------------------------------------------------------------------------------


def _manageable(trunk: Trunk) -> Trunk:
    if not trunk.admin_up:
        raise Conflict(f"Trunk {trunk.id} is currently disabled.", field="admin_state_up", kind="TrunkDisabled")
    return trunk


def _check_sub_ports(index: Index, trunk: Trunk, added: Iterable[SubPort]) -> None:
    used = {sub.vid for sub in trunk.sub_ports}
    named = {trunk.port_id}
    for sub in added:
        if sub.vid not in VIDS:
            raise Invalid(
                f"segmentation_id: {sub.vid} is outside {VIDS.start} … {VIDS.stop - 1}",
                field="segmentation_id",
                kind="InvalidInput",
            )
        if sub.vid in used:
            raise Conflict(
                f"segmentation_type vlan and segmentation_id {sub.vid} already in use on trunk {trunk.id}.",
                field="segmentation_id",
                kind="DuplicateSubPort",
            )
        if sub.port_id in named:
            raise _in_use(sub.port_id, "is the parent of this trunk, or named twice in it", "ParentPortInUse")
        _check_sub_port(index, trunk, sub)
        used.add(sub.vid)
        named.add(sub.port_id)


def _check_sub_port(index: Index, trunk: Trunk, sub: SubPort) -> None:
    port = index.port(sub.port_id)
    _check_in_no_trunk(index, port.id)
    _check_opaque(index, port)
    if port.device_id:
        raise _in_use(port.id, f"is in use by device {port.device_id}", "PortInUse")
    if port.id in index.moves:
        raise _in_use(port.id, "is moving", "PortMoveInProgress")
    if port.id in index.places:
        raise _in_use(port.id, "is plugged by itself", "PortInUse")
    most = index.networks[index.ports[trunk.port_id].network_id].mtu
    mtu = index.networks[port.network_id].mtu
    if mtu > most:
        raise _in_use(
            port.id,
            f"has an MTU of {mtu}, which cannot be greater than the {most} of trunk {trunk.id}",
            "SubPortMtuGreaterThanTrunkPortMtu",
        )


def _check_in_no_trunk(index: Index, port_id: str) -> None:
    if index.trunks.carrying(port_id) is not None:
        raise _in_use(port_id, "is in use by another trunk", "TrunkPortInUse")
    if index.ports[port_id].vnic_type is not VnicType.NORMAL:
        raise _in_use(port_id, "is wired to an edge switch, whose VLANs are ports of their own", "TrunkPortInUse")
    if index.trunks.led_by(port_id) is not None:
        message = "is currently in use and is not eligible for use as a parent port"
        raise _in_use(port_id, message, "ParentPortInUse")


def _check_opaque(index: Index, port: Port) -> None:
    """The tags of the network's own frames and those of the trunk could not be told apart."""
    if index.networks[port.network_id].vlan_transparent:
        raise _in_use(
            port.id,
            f"is in network {port.network_id}, which is VLAN transparent: its tags could not be told from a trunk's",
            "TrunkOnTransparentNetwork",
        )


def _in_use(port_id: str, why: str, kind: str) -> Conflict:
    return Conflict(f"port_id: port {port_id} {why}", field="port_id", kind=kind)


# --- what follows ----------------------------------------------------------------------------------------------


def _take(index: Index, trunk: Trunk, subs: Iterable[SubPort], record: Recorder) -> None:
    """Ports are VLANs of a trunk from now on: they are where its parent is."""
    for sub in subs:
        port = index.ports[sub.port_id]
        record.put_port(replace(port, device_owner=SUB_PORT_OWNER, device_id=trunk.id))
        house(index, port.id, index.ports[trunk.port_id].host, record)
        replug(index, port.id, record)


def _release(index: Index, subs: Iterable[SubPort], record: Recorder) -> None:
    """Ports are VLANs no more: they are nowhere, unless they are plugged by themselves."""
    for sub in subs:
        record.put_port(replace(index.ports[sub.port_id], device_owner="", device_id=""))
        house(index, sub.port_id, None, record)
        replug(index, sub.port_id, record)

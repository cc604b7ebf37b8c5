"""Can a port be wired to what the operator says?

An edge switch, an interface of it and a VLAN have to be known before a port is bound to them.
"""

from __future__ import annotations

from typing import Final

from overlay.direct.changes import Attach
from overlay.direct.values import check_interface, check_vid
from overlay.index import Index
from overlay.refusals import Conflict, Invalid
from overlay.values import Host, HostKind, HostName, LocalLink, VnicType

_PROFILE: Final = "binding:profile"


def link(index: Index, attach: Attach, port_id: str) -> LocalLink | None:
    """Where a port is to be wired to, if it is; changes nothing.

    :raises Refusal: ``InvalidInput``, ``HostNotFound``, ``LocalLinkInUse`` (409).
    """
    if attach.switch is None:
        return None
    if attach.vnic_type is VnicType.NORMAL:
        raise _invalid("a port of binding:vnic_type normal is plugged by its hypervisor, it is not wired to a switch")
    switch = _edge(index, attach.switch).name
    interface = index.wires.named(switch, check_interface(attach.interface, _PROFILE))
    if interface is None:
        raise _invalid(f"port_id: edge switch {switch} has no interface of the OpenFlow number {attach.interface}")
    found = LocalLink(switch, interface, check_vid(attach.vid, _PROFILE), attach.pci_slot, attach.physical_network)
    holder = index.wires.holder(found)
    if holder not in {None, port_id}:
        raise Conflict(
            f"{_PROFILE}: VLAN {found.vid} of interface {interface} of edge switch {switch} is port {holder}'s already",
            field=_PROFILE,
            kind="LocalLinkInUse",
        )
    return found


def housed(index: Index, vnic_type: VnicType, found: LocalLink | None, host: HostName | None) -> HostName | None:
    """On which host a port is to be.

    :param host: which one was asked for, if any was.
    :raises Invalid: if it cannot be there.
    """
    if vnic_type is VnicType.NORMAL:
        if host is not None and host in index.hosts and index.hosts[host].kind is HostKind.EDGE:
            raise Invalid(
                f"binding:host_id: {host} is an edge switch, to which only ports of another binding:vnic_type than"
                " normal are wired",
                field="binding:host_id",
                kind="InvalidInput",
            )
        return host
    if found is None:
        if host is not None:
            raise _invalid(
                f"a port of binding:vnic_type {vnic_type} cannot be bound without local_link_information: the edge"
                " switch (switch_info) and its interface (port_id), and vlan where its frames have a tag"
            )
        return None
    if host not in {None, found.switch}:
        raise Invalid(
            f"binding:host_id: {host} is not {found.switch}, the edge switch that binding:profile names",
            field="binding:host_id",
            kind="InvalidInput",
        )
    return found.switch


def _edge(index: Index, text: str) -> Host:
    for host in index.hosts.values():
        if text in {host.name, str(host.datapath_id)}:
            if host.kind is HostKind.EDGE:
                return host
            raise _invalid(f"switch_info: {text} is a hypervisor, not an edge switch")
    raise Invalid(f"{_PROFILE}: switch_info: no edge switch {text} has joined", field=_PROFILE, kind="HostNotFound")


def _invalid(text: str) -> Invalid:
    return Invalid(f"{_PROFILE}: {text}", field=_PROFILE, kind="InvalidInput")

"""What is plugged into this host's bridge, and what has just changed about that?

At a hypervisor these are virtual ports: an interface of br-int carries a port's id as ``external_ids:iface-id`` (as
libvirt and Nova do it).  At an edge switch they are the machines' cables: an interface of br-vtep by its own name, if
its link is not down.  Both count once Open vSwitch has given them an OpenFlow port number.  Work per change is bounded
by the interfaces that changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from controller.ovsdb.join import Join
from controller.ovsdb.repair import TUNNEL
from controller.ovsdb.replica import InterfaceRow, Replica, RowId
from overlay.values import HostKind

_OFPORTS: Final = range(1, 0xFF00)
"""Numbers that Open vSwitch gives to ports (OFPP_MAX of OpenFlow 1.0); LOCAL is above and -1 is an error."""


class Attachment(NamedTuple):
    """A port (or an interface) is plugged at this OpenFlow port number now, or (None) nowhere on this host."""

    port_id: str
    ofport: int | None


class _Plug(NamedTuple):
    interface: RowId
    port_id: str
    ofport: int


class Attachments:
    """What is plugged, according to the rows and to what has been told so far."""

    def __init__(self, replica: Replica, join: Join) -> None:
        self._replica = replica
        self._bridge = join.bridge
        self._name = _cable if join.kind is HostKind.EDGE else _iface_id
        self._seen: dict[RowId, _Plug] = {}
        self._claims: dict[str, dict[RowId, _Plug]] = {}
        self._told: dict[str, _Plug] = {}
        self._port_at: dict[int, str] = {}
        self._displaced: set[str] = set()
        """Ports whose number another one has too, by rows that contradict each other for a while; the newer counts."""
        self._errors: dict[RowId, str] = {}
        self._doubles: set[str] = set()

    def plugged(self) -> tuple[tuple[str, int], ...]:
        """All ports that are plugged now, with their OpenFlow port numbers."""
        return tuple((plug.port_id, plug.ofport) for plug in self._told.values())

    def problems(self) -> tuple[str, ...]:
        """Sentences for the host's operator."""
        doubles = (
            f"iface-id {port_id} is on several interfaces, the first counts" for port_id in sorted(self._doubles)
        )
        return (*sorted(self._errors.values()), *doubles)

    def refresh(self, touched: Iterable[RowId]) -> list[Attachment]:
        """Look at these interfaces again; answers what is different about the plugged ports, in a safe order.

        No port is ever told to be at a number that another one was told to be at: the other is unplugged first.
        """
        concerned: dict[str, None] = {}
        fresh: list[_Plug] = []
        for interface in touched:
            self._note_error(interface)
            old, new = self._seen.get(interface), self._read(interface)
            if old == new:
                continue
            if old is not None:
                concerned[old.port_id] = None
                if new is None or new.port_id != old.port_id:
                    self._drop_claim(old)
            if new is not None:
                self._seen[interface] = new
                fresh.append(new)
            else:
                del self._seen[interface]
        # Of two with the same id in one picture nobody knows which was first; the lower number is likely to be.
        for plug in sorted(fresh, key=lambda plug: plug.ofport):
            concerned[plug.port_id] = None
            self._claims.setdefault(plug.port_id, {})[plug.interface] = plug
        return self._tell(list(concerned))

    def _tell(self, port_ids: list[str]) -> list[Attachment]:
        changes: list[Attachment] = []
        coming: list[_Plug] = []
        for port_id in port_ids:
            claims = self._claims.get(port_id, {})
            (self._doubles.add if len(claims) > 1 else self._doubles.discard)(port_id)
            before, now = self._told.get(port_id), next(iter(claims.values()), None)
            if before is not None and (now is None or now.interface != before.interface):
                changes.append(self._untell(before))
            if now is not None and now != before:
                coming.append(now)
        for plug in coming:
            holder = self._port_at.get(plug.ofport)
            if holder is not None and holder != plug.port_id:
                changes.append(self._untell(self._told[holder]))
                self._displaced.add(holder)
            changes.append(self._tell_one(plug))
        for port_id in list(self._displaced):
            plug_again = next(iter(self._claims.get(port_id, {}).values()), None)
            if port_id in self._told or plug_again is None:
                self._displaced.discard(port_id)
            elif plug_again.ofport not in self._port_at:
                changes.append(self._tell_one(plug_again))
        return changes

    def _tell_one(self, plug: _Plug) -> Attachment:
        before = self._told.get(plug.port_id)
        if before is not None:
            del self._port_at[before.ofport]
        self._told[plug.port_id] = plug
        self._port_at[plug.ofport] = plug.port_id
        return Attachment(plug.port_id, plug.ofport)

    def _untell(self, plug: _Plug) -> Attachment:
        del self._told[plug.port_id]
        del self._port_at[plug.ofport]
        return Attachment(plug.port_id, None)

    def _drop_claim(self, plug: _Plug) -> None:
        claims = self._claims[plug.port_id]
        del claims[plug.interface]
        if not claims:
            del self._claims[plug.port_id]

    def _read(self, interface: RowId) -> _Plug | None:
        row = self._replica.interfaces.get(interface)
        if row is None or not self._is_on_bridge(interface):
            return None
        port_id = self._name(row)
        if not port_id or row.ofport is None or row.ofport not in _OFPORTS:
            return None
        return _Plug(interface, port_id, row.ofport)

    def _note_error(self, interface: RowId) -> None:
        row = self._replica.interfaces.get(interface)
        if row is not None and row.error and self._is_on_bridge(interface):
            self._errors[interface] = f"interface {row.name}: {row.error}"
        else:
            self._errors.pop(interface, None)

    def _is_on_bridge(self, interface: RowId) -> bool:
        bridge = self._replica.bridge_of_interface(interface)
        row = None if bridge is None else self._replica.bridges.get(bridge)
        return row is not None and row.name == self._bridge


def _iface_id(row: InterfaceRow) -> str:
    """By which id a machine's interface is known; none where it is no machine's."""
    return row.external_ids.get("iface-id", "")


def _cable(row: InterfaceRow) -> str:
    """By which name a cable is known; none where it is the tunnel, or leads nowhere."""
    return "" if row.name == TUNNEL or row.link_state == "down" else row.name

"""What do the rows of the host's database say that we care about?

A copy of the few tables and columns of the Open_vSwitch schema (ovs-vswitchd.conf.db(5)) that a hypervisor's br-int and
the liveness of a fabric switch's links are made of.  It is kept current by ``monitor_cond`` (ovsdb-server(7) §4.1.12:
RFC 7047's monitor, but sending differences, so that plugging one port into a bridge of thousands does not repeat the
thousands).  Work per update is bounded by the update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeAlias

from controller.ovsdb.framing import JsonObject, ProtocolError

RowId: TypeAlias = str


@dataclass(slots=True)
class RootRow:
    """The one row of table Open_vSwitch."""

    external_ids: dict[str, str] = field(default_factory=dict)
    bridges: set[RowId] = field(default_factory=set)


@dataclass(slots=True)
class BridgeRow:
    """A bridge."""

    name: str = ""
    ports: set[RowId] = field(default_factory=set)
    controller: set[RowId] = field(default_factory=set)
    fail_mode: str | None = None
    datapath_type: str = ""
    datapath_id: str | None = None
    protocols: set[str] = field(default_factory=set)
    other_config: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class PortRow:
    """A port of a bridge: one interface, or several that are bonded."""

    name: str = ""
    interfaces: set[RowId] = field(default_factory=set)


@dataclass(slots=True)
class InterfaceRow:
    """A network device in a port.

    ``ofport`` is what ovs-vswitchd gave it, -1 if it could not; ``link_state`` and ``bfd_status`` are its words, too.
    """

    name: str = ""
    type: str = ""
    options: dict[str, str] = field(default_factory=dict)
    external_ids: dict[str, str] = field(default_factory=dict)
    other_config: dict[str, str] = field(default_factory=dict)
    ofport: int | None = None
    link_state: str | None = None
    error: str | None = None
    bfd: dict[str, str] = field(default_factory=dict)
    bfd_status: dict[str, str] = field(default_factory=dict)
    cfm_mpid: int | None = None


@dataclass(slots=True)
class ControllerRow:
    """Whom a bridge calls by OpenFlow; times in milliseconds."""

    target: str = ""
    inactivity_probe: int | None = None
    max_backoff: int | None = None
    external_ids: dict[str, str] = field(default_factory=dict)


Row: TypeAlias = RootRow | BridgeRow | PortRow | InterfaceRow | ControllerRow

_ROWS: Final[Mapping[str, type[Row]]] = {
    "Open_vSwitch": RootRow,
    "Bridge": BridgeRow,
    "Port": PortRow,
    "Interface": InterfaceRow,
    "Controller": ControllerRow,
}


def monitor_requests() -> JsonObject:
    """The <monitor-requests> that ask for these tables and columns and no others."""
    return {table: [{"columns": [column.name for column in fields(row)]}] for table, row in _ROWS.items()}


class Replica:
    """The rows, and the two reverse indexes that say where an interface belongs."""

    def __init__(self) -> None:
        self.root: dict[RowId, RootRow] = {}
        self.bridges: dict[RowId, BridgeRow] = {}
        self.ports: dict[RowId, PortRow] = {}
        self.interfaces: dict[RowId, InterfaceRow] = {}
        self.controllers: dict[RowId, ControllerRow] = {}
        self._bridge_of_port: dict[RowId, RowId] = {}
        self._port_of_interface: dict[RowId, RowId] = {}
        self._port_by_name: dict[str, RowId] = {}
        self._tables: Mapping[str, dict[RowId, Any]] = {
            "Open_vSwitch": self.root,
            "Bridge": self.bridges,
            "Port": self.ports,
            "Interface": self.interfaces,
            "Controller": self.controllers,
        }

    def bridge_named(self, name: str) -> tuple[RowId, BridgeRow] | None:
        """Find a bridge; names are unique in the schema."""
        return next(((row_id, row) for row_id, row in self.bridges.items() if row.name == name), None)

    def port_named(self, name: str) -> tuple[RowId, PortRow] | None:
        """Find a port; names are unique in the schema."""
        row_id = self._port_by_name.get(name)
        return None if row_id is None else (row_id, self.ports[row_id])

    def bridge_of_port(self, port: RowId) -> RowId | None:
        """Which bridge a port is in."""
        return self._bridge_of_port.get(port)

    def bridge_of_interface(self, interface: RowId) -> RowId | None:
        """Which bridge an interface is in, None while it is in none."""
        port = self._port_of_interface.get(interface)
        return None if port is None else self._bridge_of_port.get(port)

    def interfaces_of(self, bridge: BridgeRow) -> Iterator[tuple[RowId, InterfaceRow]]:
        """List what is in the ports of a bridge."""
        for port in bridge.ports & self.ports.keys():
            for interface in self.ports[port].interfaces & self.interfaces.keys():
                yield interface, self.interfaces[interface]

    def apply(self, table: str, updates: object) -> set[RowId]:
        """Take over the <table-update2> of one table; answers the interfaces that may mean something else now.

        :raises ProtocolError: when it does not have the form that the schema and ovsdb-server(7) give it.
        """
        rows = self._tables.get(table)
        if rows is None:
            raise ProtocolError(f"an update of table {table}, which was not asked for")
        touched: set[RowId] = set()
        for row_id, update in _object(updates).items():
            before = rows.get(row_id)
            come, gone = _apply_row(_ROWS[table], rows, row_id, _object(update))
            if table == "Bridge":
                self._move(self._bridge_of_port, row_id, come, gone)
                for port in come | gone:
                    row = self.ports.get(port)
                    touched |= row.interfaces if row else set()
            elif table == "Port":
                self._move(self._port_of_interface, row_id, come, gone)
                touched |= come | gone
                self._rename(row_id, before)
            elif table == "Interface":
                touched.add(row_id)
        return touched

    def _rename(self, port: RowId, before: PortRow | None) -> None:
        row = self.ports.get(port)
        # As with ownership: a new port of the same name may stand before the old one's end in the same update.
        if row is None and before is not None and self._port_by_name.get(before.name) == port:
            del self._port_by_name[before.name]
        elif row is not None:
            self._port_by_name[row.name] = port

    @staticmethod
    def _move(owners: dict[RowId, RowId], owner: RowId, come: set[RowId], gone: set[RowId]) -> None:
        for member in gone:
            # It may have been taken over already, by a row that stands before this one in the same update.
            if owners.get(member) == owner:
                del owners[member]
        for member in come:
            owners[member] = owner


def _apply_row(kind: type[Row], rows: dict[RowId, Any], row_id: RowId, update: JsonObject) -> tuple[set[Any], set[Any]]:
    """Apply one <row-update2>; answers which members of the row's set of references came and went."""
    if "delete" in update:
        row = rows.pop(row_id, None)
        return set(), set(_references(row))
    if "modify" in update:
        row = rows.get(row_id)
        if row is None:
            raise ProtocolError(f"a change of {kind.__name__} {row_id}, which was never shown")
        return _merge(row, _object(update["modify"]))
    if "initial" not in update and "insert" not in update:
        raise ProtocolError("a row update that neither inserts, modifies nor deletes")
    row = rows[row_id] = kind()
    return _merge(row, _object(update.get("initial", update.get("insert"))))


def _references(row: object) -> set[RowId]:
    if isinstance(row, BridgeRow):
        return row.ports
    if isinstance(row, PortRow):
        return row.interfaces
    return set()


def _merge(row: Row, columns: JsonObject) -> tuple[set[RowId], set[RowId]]:
    """Apply differences to a row in place (to a fresh row: its values, whose differences from nothing they are)."""
    come: set[RowId] = set()
    gone: set[RowId] = set()
    for name, value in columns.items():
        if name not in row.__dataclass_fields__:
            raise ProtocolError(f"column {name}, which was not asked for")
        old = getattr(row, name)
        if isinstance(old, set):
            members = _set(value)
            if old is _references(row):
                gone, come = members & old, members - old
            old ^= members
        elif isinstance(old, dict):
            for key, new in _map(value).items():
                # A pair that was there just so is a pair that went; any other is new or has a new value.
                if old.get(key) == new:
                    del old[key]
                else:
                    old[key] = new
        else:
            setattr(row, name, _scalar(value))
    return come, gone


def _object(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise ProtocolError(f"expected an object, got {type(value).__name__}")
    return value


def _tagged(value: object, tag: str) -> list[Any] | None:
    """The list in ``[tag, list]``, None for anything else (RFC 7047 §5.1)."""
    match value:
        case [str(found), list(members)] if found == tag:
            return members
    return None


def _set(value: object) -> set[Any]:
    members = _tagged(value, "set")
    return {_atom(member) for member in ([value] if members is None else members)}


def _map(value: object) -> dict[str, str]:
    pairs = _tagged(value, "map")
    try:
        if pairs is not None:
            return {str(key): str(worth) for key, worth in pairs}
    except (TypeError, ValueError) as error:
        raise ProtocolError("a map that does not hold pairs") from error
    raise ProtocolError("expected a map")


def _scalar(value: object) -> object:
    """An atom, or None for the empty set that an optional column is when it is not there."""
    members = _tagged(value, "set")
    if members is None:
        return _atom(value)
    return _atom(members[0]) if members else None


def _atom(value: object) -> str | int | float | bool:
    match value:
        case str() | int() | float():
            return value
        case ["uuid", str(row_id)]:
            return row_id
    raise ProtocolError("expected an atom")

"""How is one transaction on a switch's database written down?

A pen collects operations (RFC 7047 §5.2) on rows, each with the reason for it in words; what it has written when the
comparison is over is the repair, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from controller.ovsdb.framing import JsonObject
from controller.ovsdb.replica import RowId

DATABASE: Final = "Open_vSwitch"


@dataclass(frozen=True, slots=True)
class Repair:
    """One transaction, and what it mends in words."""

    operations: tuple[JsonObject, ...]
    reasons: tuple[str, ...]

    def params(self) -> list[object]:
        """The parameters of the ``transact`` request; the reasons go into the database's own log."""
        comment = {"op": "comment", "comment": f"vl2: {', '.join(self.reasons)}"}
        return [DATABASE, *self.operations, comment]


def map_of(pairs: Mapping[str, str]) -> list[object]:
    """Write a <map> (RFC 7047 §5.1)."""
    return ["map", [list(pair) for pair in pairs.items()]]


def set_of(members: Iterable[object]) -> list[object]:
    """Write a <set>."""
    return ["set", list(members)]


class Pen:
    """Collects operations of one transaction."""

    def __init__(self) -> None:
        self._operations: list[JsonObject] = []
        self._reasons: list[str] = []

    def insert(self, table: str, name: str, reason: str, /, **columns: object) -> object:
        """Make a row; answers how other operations of the same transaction refer to it."""
        self._note(reason)
        self._operations.append({"op": "insert", "table": table, "uuid-name": name, "row": columns})
        return ["named-uuid", name]

    def update(self, table: str, row_id: RowId, reason: str, /, **columns: object) -> None:
        """Give columns other values."""
        self._note(reason)
        self._operations.append({"op": "update", "table": table, "where": _is(row_id), "row": columns})

    def mutate(
        self,
        table: str,
        row_id: RowId,
        column: str,
        *,
        insert: object | None = None,
        delete: object | None = None,
        reason: str = "",
    ) -> None:
        """Take members out of a set or map and put others in, whatever else is in it."""
        self._note(reason)
        mutations = [[column, "delete", delete]] if delete is not None else []
        mutations += [[column, "insert", insert]] if insert is not None else []
        self._operations.append({"op": "mutate", "table": table, "where": _is(row_id), "mutations": mutations})

    def mend_map(  # noqa: PLR0917  (a place, what is there and what shall be)
        self,
        table: str,
        row_id: RowId,
        column: str,
        found: Mapping[str, str],
        wanted: Mapping[str, str],
        reason: str = "",
    ) -> None:
        """Set the pairs that differ.  Inserting does not replace a key (RFC 7047 §5.1), so it is deleted first."""
        wrong = {key: value for key, value in wanted.items() if found.get(key) != value}
        if wrong:
            why = reason or f"{column} {' '.join(wrong)}"
            self.mutate(table, row_id, column, insert=map_of(wrong), delete=set_of(wrong), reason=why)

    def repair(self) -> Repair | None:
        """What was collected, None if nothing was."""
        return Repair(tuple(self._operations), tuple(self._reasons)) if self._operations else None

    def _note(self, reason: str) -> None:
        if reason:
            self._reasons.append(reason)


def _is(row_id: RowId) -> list[object]:
    return [["_uuid", "==", ["uuid", row_id]]]

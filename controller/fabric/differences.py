"""How does the fabric that is seen differ from the one that was intended?

Switches are compared by datapath id, cables by where they are plugged in.  A cable between the right switches in wrong
ports, or a port that leads elsewhere, is wrong cabling, and is told once for each port instead of as one link missing
and another too many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from controller.fabric.graph import Fabric
from controller.fabric.intended import Cable, End, Intended
from controller.fabric.plan import PortRef
from controller.fabric.routes import Link
from overlay.values import DatapathId


class DifferenceKind(StrEnum):
    """What is not as it was intended; what may be the cause of others comes first."""

    MISSING_SWITCH = "missing_switch"
    UNKNOWN_SWITCH = "unknown_switch"
    WRONG_CABLING = "wrong_cabling"
    MISSING_LINK = "missing_link"
    UNEXPECTED_LINK = "unexpected_link"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was intended.

    :param sentence: for the operator.
    :param at: the switch, or one end of the link.
    :param expected: what was intended there; None for what was not.
    :param seen: what is there; None for nothing.
    """

    kind: DifferenceKind
    sentence: str
    at: End
    expected: End | None = None
    seen: End | None = None


def differences(intended: Intended, fabric: Fabric) -> tuple[Difference, ...]:
    """List what differs, the likely causes first."""
    return (*_of_switches(intended, fabric), *_Cabling(intended, fabric).differences())


def _of_switches(intended: Intended, fabric: Fabric) -> Iterator[Difference]:
    for datapath_id in intended.switches:
        known = fabric.switches.get(datapath_id)
        if known is None or known.connected_since is None:
            why = "was never seen" if known is None else "is not connected"
            yield Difference(
                DifferenceKind.MISSING_SWITCH, f"switch {_name(intended, datapath_id)} {why}", End(datapath_id)
            )
    for datapath_id in sorted(fabric.switches.keys() - intended.switches.keys()):
        sentence = f"switch {datapath_id} is not in the intended topology"
        yield Difference(DifferenceKind.UNKNOWN_SWITCH, sentence, End(datapath_id), seen=End(datapath_id))


class _Cabling:
    """Finds for each intended cable the link that it is, or what is there instead."""

    def __init__(self, intended: Intended, fabric: Fabric) -> None:
        self._intended = intended
        self._links = fabric.links()
        self._at: dict[PortRef, Link] = {}
        self._between: dict[tuple[DatapathId, DatapathId], list[Link]] = {}
        for link in self._links:
            self._at |= {link.a: link, link.b: link}
            self._between.setdefault((link.a.datapath_id, link.b.datapath_id), []).append(link)
        self._explained: set[Link] = set()
        self._named = {end for cable in intended.cables for end in (cable.a, cable.b) if end.port is not None}

    def differences(self) -> Iterator[Difference]:
        wrong: list[Difference] = []
        missing: list[Difference] = []
        # Those that say most choose first, so that a cable that may be plugged anywhere gets what is left.
        for cable in sorted(self._intended.cables, key=_vague):
            found = list(self._misplaced(cable))
            if found:
                wrong += found
            elif not self._is_there(cable):
                missing.append(self._missing(cable))
        yield from sorted(wrong, key=_place)
        yield from sorted(missing, key=_place)
        for link in self._links:
            if link not in self._explained:
                a, b = End(*link.a), End(*link.b)
                sentence = f"{self._end(a)} is linked with {self._end(b)}, which was not intended"
                yield Difference(DifferenceKind.UNEXPECTED_LINK, sentence, a, seen=b)

    def _misplaced(self, cable: Cable) -> Iterator[Difference]:
        """Tell of the ports of a cable that lead elsewhere."""
        for near, far in ((cable.a, cable.b), (cable.b, cable.a)):
            at = None if near.port is None else PortRef(near.datapath_id, near.port)
            link = None if at is None else self._at.get(at)
            if link is None:
                continue
            seen = End(*(link.b if at == link.a else link.a))
            if not _fits(far, seen):
                self._explained.add(link)
                sentence = f"{self._end(near)} is to lead to {self._end(far)}, but leads to {self._end(seen)}"
                yield Difference(DifferenceKind.WRONG_CABLING, sentence, near, expected=far, seen=seen)

    def _is_there(self, cable: Cable) -> bool:
        """Find a link that is this cable and no other, and take it."""
        for link in self._candidates(cable):
            if link not in self._explained:
                self._explained.add(link)
                return True
        return False

    def _candidates(self, cable: Cable) -> Iterator[Link]:
        for end in (cable.a, cable.b):
            if end.port is not None:
                link = self._at.get(PortRef(end.datapath_id, end.port))
                if link is not None:
                    yield link
        if cable.a.port is None and cable.b.port is None:
            for link in self._between.get((cable.a.datapath_id, cable.b.datapath_id), ()):
                if not self._named & {End(*link.a), End(*link.b)}:
                    yield link

    def _missing(self, cable: Cable) -> Difference:
        sentence = f"the link between {self._end(cable.a)} and {self._end(cable.b)} is missing"
        return Difference(DifferenceKind.MISSING_LINK, sentence, cable.a, expected=cable.b)

    def _end(self, end: End) -> str:
        name = _name(self._intended, end.datapath_id)
        return name if end.port is None else f"port {end.port} of {name}"


def _vague(cable: Cable) -> int:
    return (cable.a.port is None) + (cable.b.port is None)


def _fits(wanted: End, seen: End) -> bool:
    return wanted.datapath_id == seen.datapath_id and wanted.port in {None, seen.port}


def _place(difference: Difference) -> tuple[int, int]:
    return difference.at.datapath_id, difference.at.port or 0


def _name(intended: Intended, datapath_id: DatapathId) -> str:
    node = intended.switches.get(datapath_id)
    return str(datapath_id) if node is None or node.name == str(datapath_id) else f"{node.name} ({datapath_id})"

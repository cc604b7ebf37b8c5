"""How is what the fabric knows written down, and read again?

One document per switch, per direction of a cable and per sighted LA.  Bodies are plain JSON; datapath ids are 16 hex
digits, as everywhere that a person looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final

from controller.events import SwitchPort
from controller.fabric.cables import Observation
from controller.fabric.changes import PolicyChosen, SwitchMaintained
from controller.fabric.plan import PortRef, Sighting
from controller.fabric.routes import Link
from controller.fabric.upkeep import UNTUNED, Tuning
from overlay.changes import Document
from overlay.values import DatapathId, Mac

SWITCH: Final = "switch"
LINK: Final = "link"
SIGHTING: Final = "sighting"
MAINTENANCE: Final = "maintenance"
TUNING: Final = "tuning"
POLICY: Final = "policy"
KINDS: Final = (SWITCH, LINK, SIGHTING, MAINTENANCE, TUNING, POLICY)
"""The kinds of documents that are ours."""

_THE_FABRIC: Final = "fabric"


@dataclass(frozen=True, slots=True)
class TunedLink:
    """What was said about one link."""

    link: Link
    tuning: Tuning


Known = tuple[DatapathId, tuple[SwitchPort, ...]] | Observation | Sighting | SwitchMaintained | TunedLink | PolicyChosen


def of_switch(datapath_id: DatapathId, ports: Iterable[SwitchPort]) -> Document:
    """Write down a switch and its ports."""
    rows = [
        {"number": port.number, "name": port.name, "hw_addr": port.hw_addr, "up": port.up, "speed": port.speed}
        for port in sorted(ports, key=lambda port: port.number)
    ]
    return Document(SWITCH, str(datapath_id), {"ports": rows})


def no_switch(datapath_id: DatapathId) -> Document:
    """Strike a switch out."""
    return Document(SWITCH, str(datapath_id), None)


def of_link(known: Observation) -> Document:
    """Write down one direction of a cable."""
    body = {"from": _end(known.source), "to": _end(known.target), "sure": known.sure}
    return Document(LINK, _link_id(known.source), body)


def no_link(source: PortRef) -> Document:
    """Strike the direction out that starts at this port."""
    return Document(LINK, _link_id(source), None)


def of_sighting(sighting: Sighting) -> Document:
    """Write down where an LA is."""
    return Document(SIGHTING, str(sighting.la), {"mac": str(sighting.mac), "at": _end(sighting.at)})


def no_sighting(la: IPv4Address) -> Document:
    """Strike an LA out."""
    return Document(SIGHTING, str(la), None)


def of_maintenance(datapath_id: DatapathId, *, on: bool) -> Document:
    """Write down that a switch is in maintenance, or strike it out."""
    return Document(MAINTENANCE, str(datapath_id), {} if on else None)


def of_tuning(link: Link, tuning: Tuning) -> Document:
    """Write down what was said about a link; strike out what holds anyway."""
    body = {
        "a": _end(link.a),
        "b": _end(link.b),
        "weight": tuning.weight,
        "capacity_mbps": tuning.capacity_mbps,
        "maintenance": tuning.maintenance,
    }
    return Document(TUNING, f"{_link_id(link.a)}-{_link_id(link.b)}", None if tuning == UNTUNED else body)


def of_policy(name: str, paths: int) -> Document:
    """Write down which policy was chosen."""
    return Document(POLICY, _THE_FABRIC, {"name": name, "paths": paths})


def read(document: Document) -> Known | None:
    """Read a document back; None for a kind that is not ours.  Observations come with ``seen`` at zero."""
    body = document.body
    if body is None:
        return None
    match document.kind:
        case "switch":
            ports = (
                SwitchPort(row["number"], row["name"], row["hw_addr"], row["up"], row.get("speed", 0))
                for row in body["ports"]
            )
            return DatapathId.parse(document.id), tuple(ports)
        case "link":
            return Observation(_port(body["from"]), _port(body["to"]), 0.0, sure=body["sure"])
        case "sighting":
            return Sighting(IPv4Address(document.id), Mac.parse(body["mac"]), _port(body["at"]))
        case "maintenance":
            return SwitchMaintained(DatapathId.parse(document.id), on=True)
        case "tuning":
            tuning = Tuning(body["weight"], body["capacity_mbps"], body["maintenance"])
            return TunedLink(Link(_port(body["a"]), _port(body["b"])), tuning)
        case "policy":
            return PolicyChosen(body["name"], body["paths"])
        case _:
            return None


def _link_id(source: PortRef) -> str:
    return f"{source.datapath_id}:{source.port}"


def _end(at: PortRef) -> dict[str, Any]:
    return {"datapath_id": str(at.datapath_id), "port": at.port}


def _port(body: dict[str, Any]) -> PortRef:
    return PortRef(DatapathId.parse(body["datapath_id"]), body["port"])

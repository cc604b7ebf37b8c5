"""How is what the fabric knows written down, and read again?

One document per switch, per direction of a cable and per sighted LA.  Bodies are plain JSON; datapath ids are 16 hex
digits, as everywhere that a person looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any, Final

from controller.events import SwitchPort
from controller.fabric.cables import Observation
from controller.fabric.plan import PortRef, Sighting
from overlay.changes import Document
from overlay.values import DatapathId, Mac

SWITCH: Final = "switch"
LINK: Final = "link"
SIGHTING: Final = "sighting"
KINDS: Final = (SWITCH, LINK, SIGHTING)
"""The kinds of documents that are ours."""

Known = tuple[DatapathId, tuple[SwitchPort, ...]] | Observation | Sighting


def of_switch(datapath_id: DatapathId, ports: Iterable[SwitchPort]) -> Document:
    """Write down a switch and its ports."""
    rows = [
        {"number": port.number, "name": port.name, "hw_addr": port.hw_addr, "up": port.up}
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


def read(document: Document) -> Known | None:
    """Read a document back; None for a kind that is not ours.  Observations come with ``seen`` at zero."""
    body = document.body
    if body is None:
        return None
    match document.kind:
        case "switch":
            ports = (SwitchPort(row["number"], row["name"], row["hw_addr"], row["up"]) for row in body["ports"])
            return DatapathId.parse(document.id), tuple(ports)
        case "link":
            return Observation(_port(body["from"]), _port(body["to"]), 0.0, sure=body["sure"])
        case "sighting":
            return Sighting(IPv4Address(document.id), Mac.parse(body["mac"]), _port(body["at"]))
        case _:
            return None


def _link_id(source: PortRef) -> str:
    return f"{source.datapath_id}:{source.port}"


def _end(at: PortRef) -> dict[str, Any]:
    return {"datapath_id": str(at.datapath_id), "port": at.port}


def _port(body: dict[str, Any]) -> PortRef:
    return PortRef(DatapathId.parse(body["datapath_id"]), body["port"])

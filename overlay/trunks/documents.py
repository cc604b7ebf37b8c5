"""How is a trunk written down, and read back?"""

from __future__ import annotations

from typing import Any

from overlay.changes import Document, DocumentKind
from overlay.documents import read_record, write_record
from overlay.trunks.values import SubPort, Trunk


def write_trunk(trunk: Trunk) -> Document:
    """Write a trunk down."""
    body = {
        "project_id": trunk.project_id,
        "name": trunk.name,
        "port_id": trunk.port_id,
        "sub_ports": [[sub.port_id, sub.vid] for sub in trunk.sub_ports],
        "description": trunk.description,
        "admin_up": trunk.admin_up,
        "record": write_record(trunk.record),
    }
    return Document(DocumentKind.TRUNK, trunk.id, body)


def read_trunk(trunk_id: str, body: dict[str, Any]) -> Trunk:
    """Read a trunk back."""
    subs = tuple(SubPort(port_id, vid) for port_id, vid in body["sub_ports"])
    return Trunk(trunk_id, **{**body, "sub_ports": subs, "record": read_record(body)})

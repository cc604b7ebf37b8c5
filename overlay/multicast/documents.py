"""How is written down what a port listens to?

One document per port, written when a group is joined or left and not when it is said again: a restarted controller
takes all for renewed at its start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from overlay.changes import Document, DocumentKind
from overlay.multicast.values import Membership
from overlay.values import IpAddress


def write_memberships(port_id: str, since: Mapping[IpAddress, float]) -> Document:
    """Write down what a port listens to; nothing is written as no document."""
    body = {"groups": {str(group): when for group, when in since.items()}} if since else None
    return Document(DocumentKind.MEMBERSHIPS, port_id, body)


def read_memberships(port_id: str, body: Mapping[str, Any], now: float) -> Iterator[Membership]:
    """Read it back."""
    for group, since in body["groups"].items():
        yield Membership(port_id, ip_address(group), since, now)

"""Which ports does a guest have?

Its cards are in the local Open vSwitch database: whoever plugs a tap writes there the port's id (``iface-id``), and
libvirt and Nova also the card's address (``attached-mac``) and the guest's UUID (``vm-id``).  A tap's name is unique on
a host; an address is not, because tenants choose it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostside.errors import HostsideError, Unplugged

_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Card:
    """A network card of a guest, as its QEMU knows it.

    :param tap: the tap's name, ``""`` where QEMU was given an open one.
    """

    mac: str
    tap: str = ""


@dataclass(frozen=True, slots=True)
class Plug:
    """An interface of the local switch that belongs to a port."""

    name: str
    port_id: str
    mac: str = ""
    guest: str = ""


def plugged(db: str | None) -> tuple[Plug, ...]:
    """All plugs of this host.

    :param db: the database, as ``ovs-vsctl --db`` takes it; ``None`` for its own default.
    :raises HostsideError: if the database cannot be read.
    """
    return read(_vsctl(db, "--format=json", "--columns=name,external_ids", "list", "Interface"))


def own_name(db: str | None) -> str:
    """What the controller calls this host: the name that its operator gave it on joining.

    :raises HostsideError: if it has none, or the database cannot be read.
    """
    said = _vsctl(db, "--if-exists", "get", "Open_vSwitch", ".", "external_ids:vl2-host").decode().strip()
    if not said:
        raise HostsideError("--host: the local Open vSwitch has no external_ids:vl2-host; say what this host is called")
    # Words that need them are in quotes, as in JSON (ovs-vsctl(8)).
    return str(json.loads(said)) if said.startswith('"') else said


def _vsctl(db: str | None, *words: str) -> bytes:
    argv = ["ovs-vsctl", f"--timeout={_SECONDS}", *([] if db is None else [f"--db={db}"]), *words]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as wrong:
        raise HostsideError(f"ovs-vsctl: {wrong.strerror}") from wrong
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise HostsideError(f"--db: {complaint or done.returncode}")
    return done.stdout


def read(said: bytes) -> tuple[Plug, ...]:
    """Read what ``ovs-vsctl --format=json`` says: a name and a map of ids in each row (RFC 7047 §5.1)."""
    rows: Sequence[tuple[str, Any]] = json.loads(said)["data"]
    found = []
    for name, (_kind, pairs) in rows:
        ids = dict(pairs)
        if ids.get("iface-id"):
            found.append(Plug(name, ids["iface-id"], ids.get("attached-mac", "").lower(), ids.get("vm-id", "")))
    return tuple(found)


def ports(cards: Iterable[Card], plugs: Iterable[Plug], guest: str) -> tuple[str, ...]:
    """The ports that a guest's cards are plugged into; a card that is plugged nowhere has none.

    :param guest: its UUID.
    :raises Unplugged: if an address fits several ports and nothing tells which.
    """
    plugs = tuple(plugs)
    found = []
    for card in cards:
        fitting = [plug for plug in plugs if card.tap and plug.name == card.tap]
        fitting = fitting or [plug for plug in plugs if plug.mac == card.mac.lower()]
        if len(fitting) > 1:
            fitting = [plug for plug in fitting if plug.guest == guest] or fitting
        if len({plug.port_id for plug in fitting}) > 1:
            names = ", ".join(plug.name for plug in fitting)
            raise Unplugged(f"the card {card.mac} may be any of {names}; say which port by --port")
        found += [plug.port_id for plug in fitting[:1]]
    return tuple(dict.fromkeys(found))

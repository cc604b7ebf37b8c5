"""What follows when a cable of an edge switch comes or goes?"""

from __future__ import annotations

from overlay.direct.changes import EdgeSnapshot, Unwired, Wired
from overlay.index import Index
from overlay.placement import retell, tell
from overlay.recording import Recorder


def snapshot(index: Index, change: EdgeSnapshot, record: Recorder) -> None:
    """All cables of a host at once."""
    index.wires.retell(change.host, dict(change.wired))
    retell(index, change.host, index.wires.taps(change.host, index.wires.interfaces(change.host)), record)


def wired(index: Index, change: Wired, record: Recorder) -> None:
    """A cable has an OpenFlow port."""
    _cable(index, change, change.ofport, record)


def unwired(index: Index, change: Unwired, record: Recorder) -> None:
    """A cable leads nowhere."""
    _cable(index, change, None, record)


def _cable(index: Index, change: Wired | Unwired, ofport: int | None, record: Recorder) -> None:
    index.wires.tell(change.host, change.interface, ofport)
    tell(index, change.host, index.wires.taps(change.host, [change.interface]), record)

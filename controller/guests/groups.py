"""What follows when a machine says something about multicast groups?"""

from __future__ import annotations

from typing import Final

from controller.guests import igmp, mld
from controller.guests.questions import UNSOUND, Answer, Asker
from overlay.multicast.changes import Joined, Left
from overlay.values import HostName

_ETHERTYPE: Final = slice(12, 14)
_READERS: Final = {b"\x08\x00": igmp.said, b"\x86\xdd": mld.said}


def answer(asker: Asker, frame: bytes) -> Answer:
    """Have the world hear what a machine said."""
    said = heard(asker.host, asker.port.id, frame)
    return UNSOUND if said is None else Answer(events=said)


def heard(host: HostName, port_id: str, frame: bytes) -> tuple[Joined | Left, ...] | None:
    """What the world must hear of a frame; None when it is no sound report."""
    read = _READERS.get(frame[_ETHERTYPE])
    said = None if read is None else read(frame)
    if said is None:
        return None
    joined = (Joined(host, port_id, said.joined),) if said.joined else ()
    return joined + ((Left(host, port_id, said.left),) if said.left else ())

"""What may the operator ask of a host's evacuation?"""

from __future__ import annotations

from dataclasses import dataclass

from overlay.values import HostName


@dataclass(frozen=True, slots=True)
class Evacuate:
    """Empty a host; of a host that is being emptied, go on so and try again what has failed.

    Refused: ``HostNotFound`` (404 of the host, 400 of a target), ``HostUnderEvacuation``, ``EvacuationHasNoTarget``
    (409).

    :param targets: where its ports may go; any host if it is empty.
    :param parallel: how many moves are under way at once; None for what the settings say.
    """

    host: HostName
    targets: tuple[HostName, ...] = ()
    parallel: int | None = None
    activate: bool = False


@dataclass(frozen=True, slots=True)
class EndEvacuation:
    """Leave the ports that wait where they are, cancel what is not activated, and let the host be a target again.

    Refused: ``EvacuationNotFound``.
    """

    host: HostName

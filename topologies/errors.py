"""What can be wrong with a lab that somebody asked for?

LabError                   the lab could not do what was asked
├── TopologyError          a parameter cannot be built; nothing was changed; ``field`` names it
├── NoSuchLab              no lab of that name is running
└── NoSuchNode             the lab has no node of that name, or not of that kind
"""

from __future__ import annotations


class LabError(Exception):
    """The lab could not do what was asked.

    :param message: one sentence for the person who asked.
    :param field: the name of the offending parameter, or ``""``.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class TopologyError(LabError):
    """A topology, or a parameter of it, that cannot be built."""


class NoSuchLab(LabError):  # noqa: N818
    """No lab of that name is running."""


class NoSuchNode(LabError):  # noqa: N818
    """The lab has no node of that name, or not of that kind."""


KINDS: dict[str, type[LabError]] = {kind.__name__: kind for kind in (LabError, TopologyError, NoSuchLab, NoSuchNode)}
"""The error classes by name, to carry an error from the lab's daemon to its clients."""

"""What can go wrong beside a guest?

HostsideError              what is to be said in one line
├── Mistake                what was asked for cannot be: an option, a file, an argument
├── Refused                the controller said no, with a status and the name of the error
├── Away                   the controller could not be asked
├── NotQmp                 a socket at which nobody speaks QMP
└── Unplugged              a guest whose ports cannot be found
"""

from __future__ import annotations


class HostsideError(Exception):
    """What is to be said in one line."""


class Mistake(HostsideError):  # noqa: N818
    """What was asked for cannot be; the message names the option."""


class Refused(HostsideError):  # noqa: N818
    """The controller said no.

    :ivar status: the HTTP status. :ivar kind: the controller's name for it (``PortBindingNotFound``).
    """

    def __init__(self, message: str, status: int, kind: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class Away(HostsideError):  # noqa: N818
    """The controller could not be asked."""


class NotQmp(HostsideError):  # noqa: N818
    """A socket at which nobody speaks QMP."""


class Unplugged(HostsideError):  # noqa: N818
    """A guest whose ports cannot be found."""

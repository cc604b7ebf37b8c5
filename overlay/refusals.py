"""Who asked for something that cannot be, and which field was it?

One tree of errors for intents that are turned down.  A refusal leaves the world as it was.  It carries the HTTP
status and the Neutron type name, so that the REST edge never matches on text.

    Refusal
    ├── Invalid        400  the request contradicts itself or the world
    ├── NotFound       404  the object does not exist, or is not yours to see
    ├── Conflict       409  true elsewhere, but not together with what already is
    ├── Exhausted      409  nothing left to hand out
    └── Stale          412  the object is no longer as whoever asks has seen it
"""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):  # noqa: N818  (a refusal is an answer, not a fault)
    """An intent that was turned down.

    :param message: one sentence for the person who asked, naming the field and the value.
    :param field: the name of the offending field as the API spells it, or ``""``.
    :param kind: Neutron's name for this error (``IpAddressInUse``); the class's own name where Neutron has none.
    """

    status: ClassVar[int] = 400

    def __init__(self, message: str, *, field: str = "", kind: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.kind = kind or type(self).__name__


class Invalid(Refusal):
    """The request contradicts itself, or names a value that no world allows."""

    status = 400


class NotFound(Refusal):
    """The object does not exist, or belongs to somebody else (which must look the same)."""

    status = 404


class Conflict(Refusal):
    """The request is sound but cannot hold together with what already exists."""

    status = 409


class Exhausted(Refusal):
    """A pool (addresses, VNIs) has nothing left."""

    status = 409


class Stale(Refusal):
    """The object has changed since whoever asks looked at it (If-Match)."""

    status = 412

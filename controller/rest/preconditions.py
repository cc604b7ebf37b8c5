"""Which revision of an object does a client believe that it changes?

Neutron's use of ``If-Match`` (RFC 7232 §3.1): ``revision_number=5`` lets a change through only while that is the
object's ``revision_number``.  The world compares, in the same turn in which it changes.
"""

from __future__ import annotations

from typing import Final

from flask import request

from controller.rest.errors import BadRequest

HEADER: Final = "If-Match"
_PREFIX: Final = "revision_number="
_DIGITS_MOST: Final = 18


def expected_revision() -> int | None:
    """The revision that the present request depends on; None when it depends on none.

    :raises BadRequest: for a header that says anything else.
    """
    given = request.headers.get(HEADER, "").strip()
    if given in {"", "*"}:
        return None
    number = given.strip('"').removeprefix(_PREFIX)
    is_number = number.isascii() and number.isdecimal() and len(number) <= _DIGITS_MOST
    if not is_number or not given.strip('"').startswith(_PREFIX):
        raise BadRequest(
            f"{HEADER}: {given!r} is not understood, only one revision_number=<number> is",
            field=HEADER,
            kind="HTTPBadRequest",
        )
    return int(number)

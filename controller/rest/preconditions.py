"""Which revision of an object does a client believe that it changes?

Neutron's use of ``If-Match`` (RFC 7232 §3.1): ``revision_number=5`` lets a change through only while that is the
object's ``revision_number``.  The world compares, in the same turn in which it changes.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from controller.rest.fields import Asked, Maybe, refused

HEADER: Final = "If-Match"
_CONDITION: Final = re.compile(r'revision_number=([0-9]{1,18})|"revision_number=([0-9]{1,18})"|\*|')


def _revision(given: object) -> object:
    found = _CONDITION.fullmatch(str(given).strip())
    if found is None:
        raise refused(f"{given!r} is not one revision_number=<number>")
    number = found[1] or found[2]
    return None if number is None else int(number)


class Conditions(Asked):
    """The header that makes a change depend on what its object is.

    :ivar expected: the revision that it depends on; None when it depends on none.
    """

    expected: Maybe[
        Annotated[
            int | None,
            BeforeValidator(_revision),
            WithJsonSchema({"type": "string", "pattern": f"^({_CONDITION.pattern})$"}),
        ]
    ] = Field(None, alias=HEADER, description="The only revision_number of the object that is to be changed.")

"""How is a request for thousands of objects read, and its answer written, without keeping the others waiting?

The models and the JSON library work on all that they are given in one go.  Here long lists are given to them piece by
piece, and other requests have their turn in between (see :mod:`controller.turns`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Self

from pydantic import ConfigDict, ValidationError, model_validator

from controller.bulk import BULK_MOST
from controller.rest.errors import from_validation
from controller.rest.fields import Body, refused
from controller.turns import paced

_PIECE: Final = 64
"""How many objects are read or written in one go."""


def _either(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": [name]} for name in schema["properties"]]


class ManyBody(Body):
    """A body with one object under its name, or with a list of many under the plural: the two fields of a model."""

    model_config = ConfigDict(json_schema_extra=_either)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        one, several = type(self).model_fields
        if (getattr(self, one) is None) == (getattr(self, several) is None):
            raise refused(f"the body holds either '{one}' or '{several}'")
        return self

    @classmethod
    def model_validate(cls, obj: Any, **how: Any) -> Self:
        """Validate a long list piece by piece; anything else as it is.

        :raises BadRequest: for a long list, naming the item and its field.
        """
        if isinstance(obj, dict) and len(obj) == 1:
            ((name, things),) = obj.items()
            if isinstance(things, list) and _PIECE < len(things) <= BULK_MOST:
                return cls._by_pieces(name, things)
        return super().model_validate(obj, **how)

    @classmethod
    def _by_pieces(cls, name: str, things: list[Any]) -> Self:
        valid: list[Any] = []
        for first in paced(range(0, len(things), _PIECE)):
            try:
                piece = super().model_validate({name: things[first : first + _PIECE]})
            except ValidationError as error:
                from_validation(error, first)
            valid += getattr(piece, name)
        found: dict[str, Any] = {name: valid}
        return cls.model_construct(**found)


def written(answer: Any, write: Callable[[Any], str]) -> str:
    """Write an answer as JSON, the lists in it piece by piece.

    :param write: writes a value compactly.
    """
    if not isinstance(answer, dict) or not any(map(_is_long, answer.values())):
        return write(answer)
    return "{" + ",".join(f"{write(name)}:{_value(value, write)}" for name, value in answer.items()) + "}"


def _value(value: Any, write: Callable[[Any], str]) -> str:
    if not _is_long(value):
        return write(value)
    pieces = (value[first : first + _PIECE] for first in paced(range(0, len(value), _PIECE)))
    return "[" + ",".join([write(piece)[1:-1] for piece in pieces]) + "]"


def _is_long(value: Any) -> bool:
    return isinstance(value, list) and len(value) > _PIECE

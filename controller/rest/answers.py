"""What does the API's document say of an operation?

Short forms for the routes: their answers (every operation may also answer an error in Neutron's form), their names, and
whether they need a token.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, TypeAlias

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, RootModel

from controller.rest.errors import ErrorAnswer

Responses: TypeAlias = dict[str | int | HTTPStatus, Any]

_ERRORS: Final[Responses] = dict.fromkeys((400, 401, 403, 429), ErrorAnswer)
_BODY: Final[Responses] = dict.fromkeys((413, 415), ErrorAnswer)
_STORED: Final[Responses] = {503: ErrorAnswer}
"""While the store cannot be written, nothing changes."""


NO_TOKEN: Final[dict[str, Any]] = {"security": []}
"""For operations that anybody may call."""


def routes(name: str, prefix: str | None = None, suffix: str = "") -> APIBlueprint:
    """Start a group of routes, each of which is called in the document as its function is.

    :param suffix: what the names of these operations end with, where several groups have functions of one name.
    """

    def operation_id(*, bp_name: str, name: str, path: str, method: str) -> str:  # noqa: ARG001  (flask-openapi3's names)
        return name + suffix

    return APIBlueprint(
        name, f"{__package__}.{name}", url_prefix=prefix, abp_tags=[Tag(name=name)], operation_id_callback=operation_id
    )


def ok(model: type[BaseModel], *others: int) -> Responses:
    """200 with this model; or 404, or another error."""
    return {200: model, **_ERRORS, 404: ErrorAnswer, **dict.fromkeys(others, ErrorAnswer)}


def listed(model: type[BaseModel]) -> Responses:
    """200 with this model; or 404 for a marker, or another error."""
    return ok(model)


def found(model: type[BaseModel]) -> Responses:
    """A list as :func:`listed`, of which what every project has may have to be made first."""
    return {**ok(model), **_STORED}


def changed(model: type[BaseModel], *others: int) -> Responses:
    """200 with this model; 409 when it cannot be together with what is, 412 when If-Match does not hold."""
    return {**ok(model, 409, 412, *others), **_BODY, **_STORED}


def created(*models: type[BaseModel]) -> Responses:
    """201 with one of these models; or 404 for what it refers to, or 409."""
    (first, *others) = models
    model = one_of(first, *others) if others else first
    return {201: model, **_ERRORS, 404: ErrorAnswer, 409: ErrorAnswer, 412: ErrorAnswer, **_BODY, **_STORED}


def done() -> Responses:
    """201 that says nothing; or an error as :func:`gone`."""
    return {201: None, **{status: model for status, model in gone().items() if status != HTTPStatus.NO_CONTENT}}


def gone() -> Responses:
    """204; or 404, 409 when it is in use, 412 when If-Match does not hold."""
    return {204: None, **_ERRORS, 404: ErrorAnswer, 409: ErrorAnswer, 412: ErrorAnswer, **_STORED}


def one_of(*models: type[BaseModel]) -> type[BaseModel]:
    """A model for the document whose JSON is that of one of several."""
    union: Any = models[0]
    for model in models[1:]:
        union |= model
    name = "Or".join(model.__name__ for model in models)
    return type(name, (RootModel[union],), {"__module__": __name__, "__doc__": f"One of {len(models)} forms."})

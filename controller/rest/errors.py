"""What does a client hear when something is wrong?

Neutron's form for everything, ``{"NeutronError": {"type", "message", "detail"}}``, with a message that names the field.
A fault of ours is logged with the request's id, which is all that the client gets to see of it.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from flask import Flask, Response, g, jsonify, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException

from controller.rest.fields import REFUSED
from overlay.refusals import Refusal

_LOG: Final = logging.getLogger(__name__)
_PLURALS: Final = {
    "networks": "network",
    "subnets": "subnet",
    "ports": "port",
    "security_groups": "security_group",
    "security_group_rules": "security_group_rule",
    "address_groups": "address_group",
}
_OTHERS: Final = frozenset(
    {
        "bandwidth_limit_rule",
        "dscp_marking_rule",
        "binding",
        "intended",
        "link",
        "policy",
        "project",
        "quota",
        "rbac_policy",
        "subnetpool",
        "switch",
        "tap_flow",
        "tap_service",
        "token",
        "trunk",
    }
)
"""What else a body may hold one of."""
_TYPES: Final = {
    400: "HTTPBadRequest",
    401: "Unauthorized",
    404: "HTTPNotFound",
    405: "HTTPMethodNotAllowed",
    413: "HTTPRequestEntityTooLarge",
    415: "HTTPUnsupportedMediaType",
}


class NeutronError(BaseModel):
    """What went wrong, by Neutron's name for it, in one sentence that names the field."""

    type: str
    message: str
    detail: str = ""


class ErrorAnswer(BaseModel):
    """Every answer with a status of 400 or more."""

    NeutronError: NeutronError


class Unauthorized(Refusal):
    """The caller did not say who it is, or nobody is known by that token."""

    status = 401


class Forbidden(Refusal):
    """The caller may see the object but not do this to it."""

    status = 403


class BadRequest(Refusal):
    """The request is not what the API's models describe."""

    status = 400


class TooManyRequests(Refusal):
    """The caller's project sends more than it may.

    :param after: whole seconds after which it may try again.
    """

    status = 429

    def __init__(self, message: str, after: int) -> None:
        super().__init__(message, kind="OverLimit")
        self.after = after


class TooManyEventClients(Refusal):
    """As many clients follow events as may.

    :param after: whole seconds after which one more may try again.
    """

    status = 503

    def __init__(self, message: str, after: int) -> None:
        super().__init__(message)
        self.after = after


class WrongMediaType(Refusal):
    """The body is not declared to be JSON."""

    status = 415


def bad_request(field: str, reason: str) -> BadRequest:
    """A refusal of one field in Neutron's words."""
    return BadRequest(f"Invalid input for {field}. Reason: {reason}.", field=field, kind="HTTPBadRequest")


def answer(status: int, kind: str, message: str) -> Response:
    """Build the answer in Neutron's form."""
    response = jsonify(NeutronError={"type": kind, "message": message, "detail": ""})
    response.status_code = status
    return response


def request_id() -> str:
    """The id that this request has in the log and in the answer's headers."""
    if "request_id" not in g:
        g.request_id = f"req-{uuid.uuid4()}"
    return str(g.request_id)


def from_validation(error: ValidationError, first: int = 0) -> NoReturn:
    """Name the first field that pydantic found wrong; an unknown attribute comes first of all.

    :param first: which item of a bulk request was the first of those that it looked at.
    :raises BadRequest: always.
    """
    found = min(error.errors(include_url=False, include_context=False, include_input=False), key=_rank)
    field, where = _place(found["loc"], first)
    kind, reason = found["type"], _reason(found["type"], found["msg"])
    if kind == "extra_forbidden" and request.method == "PUT":
        message = f"Cannot update unknown or read-only attribute(s) '{field}'"
    elif kind == "extra_forbidden" and request.method == "GET":
        message = f"'{field}' is not an attribute that can be filtered by"
    elif kind == "extra_forbidden":
        message = f"Unrecognized attribute(s) '{field}'{where}"
    elif kind == "missing":
        message = f"Failed to parse request. Required attribute '{field}' not specified{where}"
    elif field:
        message = f"Invalid input for {field}{where}. Reason: {reason}."
    else:
        message = f"Invalid input{where}. Reason: {reason}."
    raise BadRequest(message, field=field, kind="HTTPBadRequest") from error


def _rank(found: Any) -> int:
    return 0 if found["type"] == "extra_forbidden" else 1


def _reason(kind: str, message: str) -> str:
    if kind == REFUSED:
        return message
    return message[:1].lower() + message[1:]


def _place(location: Sequence[int | str], first: int) -> tuple[str, str]:
    """Turn pydantic's path into the field's name as the API spells it, and which item of a bulk request it is in."""
    where = ""
    path = list(location)
    if len(path) > 1 and path[0] in _PLURALS and isinstance(path[1], int):
        where = f" (item {first + path[1]} of {path[0]})"
        path = path[2:]
    elif len(path) > 1 and path[0] in {*_PLURALS.values(), *_OTHERS}:
        path = path[1:]
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text, where


def install(app: Flask) -> None:
    """Make the app answer every error in Neutron's form."""

    def on_refusal(refusal: Refusal) -> Response:
        response = answer(refusal.status, refusal.kind, refusal.message)
        if isinstance(refusal, Unauthorized):
            # HTTP basic is taken but not asked for: see controller.rest.authenticators.ByPassword.
            response.headers["WWW-Authenticate"] = 'X-Auth-Token realm="vl2"'
        if isinstance(refusal, TooManyRequests | TooManyEventClients):
            response.headers["Retry-After"] = str(refusal.after)
        return response

    def on_http(error: HTTPException) -> Response:
        status = error.code or 500
        messages = {
            404: f"The resource could not be found: {request.path}",
            405: f"{request.method} is not possible on {request.path}",
            413: "The request body is larger than this server takes",
        }
        response = answer(
            status, _TYPES.get(status, "HTTPError"), messages.get(status, error.description or error.name)
        )
        response.headers.extend(
            [(name, value) for name, value in error.get_headers() if name.lower() in {"allow", "location"}]
        )
        return response

    def on_fault(_error: Exception) -> Response:
        # Not the path: a client may have written a secret into it.
        _LOG.exception("%s: %s %s failed", request_id(), request.method, request.url_rule)
        return answer(
            500,
            "HTTPInternalServerError",
            f"Request Failed: internal server error; its id in the server's log is {request_id()}.",
        )

    app.register_error_handler(Refusal, on_refusal)
    app.register_error_handler(HTTPException, on_http)
    app.register_error_handler(Exception, on_fault)

    @app.after_request
    def _name_request(response: Response) -> Response:
        response.headers["X-Openstack-Request-Id"] = request_id()
        return response

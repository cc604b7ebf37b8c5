"""Which request goes where, and what must hold before anything looks at it?

The WSGI application: routes, the caller's identity, and the checks that every request with a body has to pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, NoReturn, cast

from flask import g, request
from flask.json.provider import DefaultJSONProvider
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from werkzeug.exceptions import RequestEntityTooLarge

from controller.rest import (
    agents,
    availability,
    bindings,
    directory,
    discovery,
    documents,
    errors,
    intended,
    lookup,
    metrics,
    networks,
    operations,
    ports,
    quotas,
    rbac,
    subnetpools,
    subnets,
    tags,
    topology,
)
from controller.rest.access import HEADER, Access, Authenticator, Caller
from controller.rest.authenticators import ConfiguredTokens
from controller.rest.errors import BadRequest, ErrorAnswer, WrongMediaType
from controller.service import Service
from controller.tokens import Token

BODY_MOST: Final = 1 << 20
"""The largest request body in bytes (1 MiB)."""

PUBLIC: Final = frozenset(
    {
        "discovery.list_versions",
        "discovery.list_resources",
        "documents.page",
        "documents.start",
        "documents.file",
        "lookup.show_identity_version",
        "openapi_document",
        "operations.show_health",
    }
)
"""The endpoints that need no token."""

_WITHOUT_BODY: Final = (".activate_binding", ".add_tag")
"""The operations whose address says everything."""

_OF_BODIES: Final = {"413": HTTPStatus(413).phrase, "415": HTTPStatus(415).phrase}
"""How a body is refused before anything looks into it."""

_DESCRIPTION: Final = (
    "Virtual layer-2 networks on a routed fabric. `/v2.0` has the shape of OpenStack Networking (Neutron) v2.0, so its "
    "clients can be used; what is not in this document is not supported and is refused. `/v1` is for the operator."
)


class _Json(DefaultJSONProvider):
    """Fields in the order of the models."""

    sort_keys = False


def build(
    service: Service,
    operator: Token,
    projects: Mapping[str, Token],
    *,
    authenticators: Sequence[Authenticator] = (),
    activation_seconds: float = bindings.ACTIVATION_SECONDS,
) -> OpenAPI:
    """Build the WSGI application.

    :param operator: the token that sees and may do everything.
    :param projects: tokens by project, as the configuration gives them.
    :param authenticators: further ways to show who one is.
    :param activation_seconds: how long an activation may take until it is answered 504.
    """
    access = Access((ConfiguredTokens(operator, projects), *authenticators))
    app = OpenAPI(
        "controller.rest",
        info=Info(title="VL2", version=product_version(), description=_DESCRIPTION),
        security_schemes={
            "token": {"type": "apiKey", "in": "header", "name": HEADER},
            "bearer": {"type": "http", "scheme": "bearer"},
        },
        validation_error_status=400,
        validation_error_model=ErrorAnswer,
        validation_error_callback=errors.from_validation,
        openapi_extensions={"security": [{"token": []}]},
        doc_ui=False,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = BODY_MOST
    app.json = _Json(app)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # a path that is not there is 404 and never a redirect
    errors.install(app)
    for api in (
        discovery.blueprint(),
        networks.blueprint(service),
        subnets.blueprint(service),
        ports.blueprint(service),
        bindings.blueprint(service, activation_seconds),
        *tags.blueprints(service),
        agents.blueprint(service),
        availability.blueprint(service),
        subnetpools.blueprint(service),
        rbac.blueprint(service),
        quotas.blueprint(service),
        lookup.blueprint(service),
        operations.blueprint(service),
        metrics.blueprint(service),
        topology.blueprint(service),
        intended.blueprint(service),
        directory.blueprint(service),
    ):
        app.register_api(api)
    app.register_blueprint(documents.blueprint())
    app.add_url_rule("/openapi.json", "openapi_document", lambda: app.json.response(_document(app)), methods=["GET"])

    @app.before_request
    def admit() -> None:
        if request.url_rule is None:
            return  # nothing there: 404 or 405
        public = request.endpoint in PUBLIC
        g.caller = None if public and HEADER not in request.headers else _identity(access, public=public)
        if request.method in {"POST", "PUT"}:
            _check_body()

    return app


def _identity(access: Access, *, public: bool) -> Caller | None:
    """A wrong token is refused at public endpoints as well, but for the documentation."""
    if public and request.endpoint != "operations.show_health":
        return None
    return access.identify(request)


def product_version() -> str:
    """The installed version of this product."""
    try:
        return version("vl2")
    except PackageNotFoundError:
        return "0"


def document() -> dict[str, Any]:
    """The API's description (OpenAPI 3.1), without a controller behind it."""
    return _document(build(cast("Service", None), Token(""), {}))


def _document(app: OpenAPI) -> dict[str, Any]:
    found: dict[str, Any] = app.api_doc
    for path in found["paths"].values():
        for operation in path.values():
            if "requestBody" in operation:
                answers = operation["responses"]
                answers |= {status: {**answers["400"], "description": why} for status, why in _OF_BODIES.items()}
    return found


def _check_body() -> None:
    """Refuse a body that is not a JSON object before any model sees it.

    :raises RequestEntityTooLarge: when it has more than :data:`BODY_MOST` bytes.
    :raises WrongMediaType: when it is not declared to be JSON.
    :raises BadRequest: when it is not JSON, or no object.
    """
    text = request.get_data(cache=True)
    if request.content_length is None and len(text) >= BODY_MOST:
        raise RequestEntityTooLarge  # a body in chunks is cut there without a word
    if (request.endpoint or "").endswith(_WITHOUT_BODY):
        return  # some clients send none, others an empty object; there is nothing to say
    if request.mimetype != "application/json":
        raise WrongMediaType(
            f"Content-Type: {request.mimetype or 'none'} is not supported, the body must be application/json",
            field="Content-Type",
            kind="HTTPUnsupportedMediaType",
        )
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise WrongMediaType(
            f"Content-Encoding: {request.headers['Content-Encoding']} is not supported, the body must be as it is",
            field="Content-Encoding",
            kind="HTTPUnsupportedMediaType",
        )
    try:
        # JSON is UTF-8 (RFC 8259 §8.1); json alone would guess.
        body = json.loads(text.decode(), parse_constant=_no_constant)
    except RecursionError:
        raise BadRequest("Malformed request body: nested too deeply", kind="HTTPBadRequest") from None
    except ValueError as error:
        raise BadRequest(f"Malformed request body: not JSON: {error}", kind="HTTPBadRequest") from None
    if not isinstance(body, dict):
        raise BadRequest("Malformed request body: must be a JSON object", kind="HTTPBadRequest")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")

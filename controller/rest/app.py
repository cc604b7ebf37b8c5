"""Which request goes where, and what must hold before anything looks at it?

The WSGI application: routes, the caller's identity, and the checks that every request with a body has to pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, NoReturn, cast

from flask import Response, g, request
from flask.json.provider import DefaultJSONProvider
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from werkzeug.exceptions import RequestEntityTooLarge

from controller.rest import (
    address_groups,
    agents,
    audit,
    availability,
    bindings,
    directory,
    discovery,
    documents,
    drops,
    errors,
    identities,
    intended,
    lookup,
    metrics,
    multicast,
    networks,
    operations,
    policy,
    ports,
    qos,
    qos_rules,
    quotas,
    rbac,
    security_group_rules,
    security_groups,
    subnetpools,
    subnets,
    taas,
    tags,
    topology,
    trunks,
)
from controller.rest.access import HEADER, Access, Authenticator, Caller, Owned
from controller.rest.authenticators import Book, ByPassword, ByToken, ConfiguredTokens, IssuedTokens
from controller.rest.errors import BadRequest, ErrorAnswer, Unauthorized, WrongMediaType
from controller.rest.limits import RateLimits, Sparing
from controller.rest.many import written
from controller.rest.policy import Rule
from controller.rest.sight import Sight
from controller.service import Service
from controller.tokens import Token
from controller.turns import Turnstile, begin

BODY_MOST: Final = 1 << 20
"""The largest request body in bytes (1 MiB)."""

_NOBODY: Final = ""
"""In whose line requests without a token wait, instead of the operator's; no project is called so."""

_WITHOUT_BODY: Final = (".activate_binding", ".add_tag")
"""The operations whose address says everything."""

_DESCRIPTION: Final = (
    "Virtual layer-2 networks on a routed fabric. `/v2.0` has the shape of OpenStack Networking (Neutron) v2.0, so its "
    "clients can be used; what is not in this document is not supported and is refused. `/v1` is for the operator."
)


class _Json(DefaultJSONProvider):
    """Fields in the order of the models; what is not quite JSON is refused; long lists are written piece by piece."""

    sort_keys = False

    def loads(self, s: str | bytes, **how: Any) -> Any:
        """Read a body, once for all who look at it.

        :raises BadRequest: when it is not JSON.
        """
        try:
            # JSON is UTF-8 (RFC 8259 §8.1); json alone would guess.
            text = s.decode() if isinstance(s, bytes) else s
            return json.loads(text, parse_constant=_no_constant, **how)
        except RecursionError:
            raise BadRequest("Malformed request body: nested too deeply", kind="HTTPBadRequest") from None
        except ValueError as error:
            raise BadRequest(f"Malformed request body: not JSON: {error}", kind="HTTPBadRequest") from None

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Write an answer."""
        answer = self._prepare_response_obj(args, kwargs)
        text = written(answer, lambda value: self.dumps(value, separators=(",", ":")))
        return cast("Response", self._app.response_class(f"{text}\n", mimetype=self.mimetype))


def build(
    service: Service,
    operator: Token,
    projects: Mapping[str, Token],
    *,
    authenticators: Sequence[Authenticator] = (),
    limits: RateLimits | None = None,
    activation_seconds: float = bindings.ACTIVATION_SECONDS,
) -> OpenAPI:
    """Build the WSGI application.

    :param operator: the token that sees and may do everything.
    :param projects: tokens by project, as the configuration gives them.
    :param authenticators: further ways to show who one is.
    :param limits: how many requests a project may send.
    :param activation_seconds: how long an activation may take until it is answered 504.
    """
    books = (IssuedTokens(service), ConfiguredTokens(operator, projects))
    rates = RateLimits() if limits is None else limits
    access = Access((ByToken(books), ByPassword(books), *(Sparing(other, rates) for other in authenticators)))
    turnstile = Turnstile(lambda: service.switching)
    app = OpenAPI(
        "controller.rest",
        info=Info(title="VL2", version=product_version(), description=_DESCRIPTION),
        security_schemes={
            "token": {"type": "apiKey", "in": "header", "name": HEADER},
            "basic": {"type": "http", "scheme": "basic"},
            "bearer": {"type": "http", "scheme": "bearer"},
        },
        validation_error_status=400,
        validation_error_model=ErrorAnswer,
        validation_error_callback=errors.from_validation,
        openapi_extensions={"security": [{"token": []}, {"basic": []}]},
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
        trunks.blueprint(service),
        rbac.blueprint(service),
        security_groups.blueprint(service),
        security_group_rules.blueprint(service),
        address_groups.blueprint(service),
        qos.blueprint(service),
        qos_rules.blueprint(service),
        taas.blueprint(service),
        quotas.blueprint(service),
        lookup.blueprint(service),
        operations.blueprint(service),
        metrics.blueprint(service),
        multicast.blueprint(service),
        topology.blueprint(service),
        intended.blueprint(service),
        directory.blueprint(service),
        drops.blueprint(service),
        identities.blueprint(service),
    ):
        app.register_api(api)
    app.register_blueprint(documents.blueprint())
    app.add_url_rule("/openapi.json", "openapi_document", _description(app), methods=["GET"])

    @app.before_request
    def admit() -> None:
        if request.url_rule is None:
            return  # nothing there: 404 or 405
        rule = policy.rule_of(request.endpoint or "")
        g.caller = who = _identity(access, rule, rates)
        if who is not None:
            rates.take(who)
            if not rule.admits(who):
                _see(service)
                raise policy.refusal(rule, who)
        whose = _NOBODY if who is None else None if who.is_operator else who.project
        # A machine stands still until its move is activated.
        begin(turnstile, whose, urgent=rule.action == "activate")
        if request.method in {"POST", "PUT"}:
            _check_body()

    @app.after_request
    def write_down(response: Response) -> Response:
        if request.url_rule is not None:
            audit.record(policy.rule_of(request.endpoint or ""), response, lambda text: _opens(books, text))
        return response

    return app


def _identity(access: Access, rule: Rule, rates: RateLimits) -> Caller | None:
    """A wrong token is refused where none is needed as well, but for the documentation."""
    if rule.role is None:
        shows = HEADER in request.headers or request.headers.get("Authorization", "").lower().startswith("basic ")
        if rule.resource != "health" or not shows:
            return None
    try:
        return access.identify(request)
    except Unauthorized:
        rates.refuse(request.remote_addr)
        raise


def _see(service: Service) -> None:
    """Say of an object that the caller may not see that it is not there, before anything is said of what it may do.

    :raises NotFound: naming it.
    """
    sight = Sight(service)
    find: dict[str, Callable[[str], Owned]] = {
        "network_id": sight.network,
        "subnet_id": sight.subnet,
        "port_id": sight.port,
        "subnetpool_id": sight.subnetpool,
        "trunk_id": sight.trunk,
        "policy_id": sight.share,
        "security_group_id": sight.security_group,
        "tap_service_id": sight.tap_service,
        "tap_flow_id": sight.tap_flow,
        "security_group_rule_id": sight.security_rule,
        "address_group_id": sight.address_group,
        "qos_policy_id": sight.qos_policy,
    }
    of_tags = (request.endpoint or "").partition("_tags.")[0]
    for field, id_ in (request.view_args or {}).items():
        name = f"{of_tags}_id" if field == "object_id" else field
        if name in find:
            find[name](id_)


def _opens(books: Sequence[Book], text: str) -> bool:
    return any(book.holder(text) is not None for book in books)


def product_version() -> str:
    """The installed version of this product."""
    try:
        return version("vl2")
    except PackageNotFoundError:
        return "0"


def document() -> dict[str, Any]:
    """The API's description (OpenAPI 3.1), without a controller behind it."""
    return _document(build(cast("Service", None), Token(""), {}))


def _description(app: OpenAPI) -> Callable[[], Response]:
    """How the API's description is shown: written once, since anybody may ask and it takes 50 ms."""

    @cache
    def printed() -> str:
        return app.json.dumps(_document(app), separators=(",", ":"))

    return lambda: Response(printed(), mimetype="application/json")


def _document(app: OpenAPI) -> dict[str, Any]:
    found: dict[str, Any] = app.api_doc
    for path in found["paths"].values():
        for operation in path.values():
            if "requestBody" in operation:
                answers = operation["responses"]
                for status in (413, 415):  # so it is refused before anything looks into it
                    answers.setdefault(str(status), {**answers["400"], "description": HTTPStatus(status).phrase})
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
    if not isinstance(request.get_json(), dict):  # the request remembers it for the model
        raise BadRequest("Malformed request body: must be a JSON object", kind="HTTPBadRequest")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")

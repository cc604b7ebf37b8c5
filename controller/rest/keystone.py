"""Who is it by the word of an OpenStack Keystone?

Tokens that are not ours are judged by keystonemiddleware, as in every service of OpenStack: it asks Keystone, keeps the
answer for some seconds and refuses what is expired or revoked.  Of the answer we take the user, the project and the
roles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from flask import Request
from keystonemiddleware.auth_token import AuthProtocol
from oslo_config.cfg import ConfigOpts
from webob import Request as Probe

from controller.configuration import SettingsError
from controller.identity.roles import Role
from controller.rest.access import HEADER, Caller
from controller.rest.errors import Forbidden, Unauthorized
from controller.settings import KeystoneSettings
from overlay.refusals import Refusal

_ROLES: Final[Mapping[str, Role]] = {
    "admin": Role.ADMIN,
    "manager": Role.MEMBER,
    "member": Role.MEMBER,
    "reader": Role.READER,
}
"""Keystone's default roles and ours.  A manager may manage users in Keystone, which is nothing here."""

_ADMITTED: Final = "204 No Content"
_SERVICE_UNAVAILABLE: Final = 503
_SERVICE: Final = "network"
_TOLD: Final = "keystone.token_info"
"""Where keystonemiddleware leaves what Keystone said of the user's token."""


class KeystoneUnavailable(Refusal):
    """Nobody can say at present whose token it is (HTTP 503)."""

    status = 503


class Keystone:
    """The authenticator that asks Keystone.

    :param settings: where Keystone is, and as whom it is asked.
    :param secret: the password of the user that asks.
    :raises SettingsError: when keystonemiddleware cannot work with them.
    """

    def __init__(self, settings: KeystoneSettings, secret: str) -> None:
        options = ConfigOpts()
        options([], project="vl2", default_config_files=[], default_config_dirs=[])
        given = {
            "oslo_config_config": options,
            "auth_type": "password",
            "auth_url": settings.url,
            "www_authenticate_uri": settings.url,
            "username": settings.username,
            "password": secret,
            "user_domain_name": settings.user_domain,
            "project_name": settings.project,
            "project_domain_name": settings.project_domain,
            "region_name": settings.region or None,
            "interface": settings.interface,
            "cafile": None if settings.ca is None else str(settings.ca),
            "http_connect_timeout": settings.timeout,
            "http_request_max_retries": 1,
            # -1 keeps nothing; anything else is how long a revoked token may still be taken for good.
            "token_cache_time": int(settings.cache_seconds) or -1,
            "include_service_catalog": False,
            "service_token_roles_required": True,
            # Of application credentials with access rules, those count that are for networks.
            "service_type": _SERVICE,
        }
        try:
            self._middleware = AuthProtocol(_admitted, given)
        except Exception as error:  # keystonemiddleware raises what its libraries do
            raise SettingsError(f"keystone: {type(error).__name__}") from error

    def identify(self, request: Request) -> Caller | None:
        """Ask for the token that the request shows.

        :raises Unauthorized: for a token that Keystone does not know, or no more.
        :raises Forbidden: for one without a role that means something here, or without a project.
        :raises KeystoneUnavailable: when Keystone does not answer.
        """
        if not request.headers.get(HEADER):
            return None
        probe = Probe(dict(request.environ))
        answer = probe.get_response(self._middleware)
        if answer.status_int == _SERVICE_UNAVAILABLE:
            raise KeystoneUnavailable("Keystone does not answer; nobody can say whose token this is", field=HEADER)
        if answer.status != _ADMITTED:
            raise Unauthorized(f"The token in the header {HEADER} is not valid", field=HEADER)
        told = probe.environ[_TOLD]["token"]
        # Not by its header, which says the service token's scope where there is one.
        return _caller(probe.headers, whole_system=bool(told.get("system", {}).get("all")))


def _caller(said: Mapping[str, str], *, whole_system: bool) -> Caller:
    roles = frozenset(_ROLES[name] for name in _ROLES.keys() & said.get("X-Roles", "").lower().split(","))
    project = said.get("X-Project-Id")
    if not roles:
        raise Forbidden("The token has none of the roles admin, member and reader", kind="PolicyNotAuthorized")
    if project is None and not (whole_system and Role.ADMIN in roles):
        raise Forbidden("The token is for no project", kind="PolicyNotAuthorized")
    # The sign keeps them apart from our own users, and the domain from each other.
    return Caller(f"{said['X-User-Name']}@{said['X-User-Domain-Name']}", project, roles)


def _admitted(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What stands behind keystonemiddleware: whoever comes through is who it says."""
    start_response(_ADMITTED, [])
    return ()

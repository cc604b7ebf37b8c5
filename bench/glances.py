"""What does the API show a tenant, and is anything of it another's?

Everything that a tenant can ask for is asked for with the tenant's own token, and the whole text of every answer is
searched for what belongs to the other alone: its objects' ids, and words, names and addresses that only it uses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from topologies.client import LabClient
from topologies.rest import Rest, RestError

LISTS: Final = (
    "/v2.0/networks",
    "/v2.0/subnets",
    "/v2.0/ports",
    "/v2.0/rbac-policies",
    "/v2.0/subnetpools",
    "/v2.0/network-ip-availabilities",
    "/v2.0/agents",
    "/v2.0/quotas",
    "/v1/moves",
    "/v1/hosts",
    "/v1/topology",
    "/v1/projects",
    "/v1/tokens",
    "/v1/health",
)
_REFUSED: Final = frozenset({401, 403, 404})


class Api:
    """The API as the operator (``""``) and as each tenant; connections that a controller's end broke are made anew."""

    def __init__(self, lab: LabClient, tenants: tuple[str, ...]) -> None:
        self._rests: dict[str, Rest] = {name: lab.rest(name) for name in ("", *tenants)}

    def ask(self, who: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request.

        :raises RestError: if it is refused or not answered.
        """
        return self._rests[who].ask(method, path, body)

    def close(self) -> None:
        """End all connections; the next request makes a new one."""
        for rest in self._rests.values():
            rest.close()


class Glances:
    """Remembers whose is what, and looks.

    :param tenants: both.
    """

    def __init__(self, api: Api, tenants: tuple[str, ...]) -> None:
        self._api = api
        self._secrets: dict[str, set[str]] = {name: set() for name in tenants}
        self._lent: dict[str, set[str]] = {name: set() for name in tenants}
        self.answers = 0
        self.shown: dict[str, int] = dict.fromkeys(tenants, 0)
        """How often an id or word of a tenant's own was found in its own view: the search does find."""
        self.leaks: list[str] = []

    def owns(self, tenant: str, *words: str) -> None:
        """Remember ids and words that are a tenant's alone, for ever."""
        self._secrets[tenant].update(words)

    def lends(self, to: str, words: set[str]) -> None:
        """Remember what a tenant may see of the other from now on: this and no more."""
        self._lent[to] = words

    def look(self, tenant: str) -> None:
        """Ask for everything, and search the answers."""
        for path in LISTS:
            self._search(tenant, f"GET {path}", self._said(tenant, "GET", path))

    def meddle(self, tenant: str, kind: str, object_id: str) -> None:
        """Try to see, change and delete an object of another's that is not shared: as if it were not there."""
        member = kind.removesuffix("s")
        tries: tuple[tuple[str, dict[str, Any] | None], ...] = (
            ("GET", None),
            ("PUT", {member: {"name": "mine now"}}),
            ("DELETE", None),
        )
        path = f"/v2.0/{kind}/{object_id}"
        for method, body in tries:
            self.answers += 1
            try:
                self._api.ask(tenant, method, path, body)
            except RestError as wrong:
                if wrong.status == 404:
                    continue
                self.leaks.append(f"{tenant}: {method} of another's {member} was answered {wrong}")
            else:
                self.leaks.append(f"{tenant}: {method} of another's {member} was followed")

    def _said(self, tenant: str, method: str, path: str) -> str:
        try:
            return json.dumps(self._api.ask(tenant, method, path))
        except RestError as wrong:
            if wrong.status not in _REFUSED:
                raise
            return wrong.message

    def _search(self, tenant: str, what: str, said: str) -> None:
        self.answers += 1
        for owner, words in self._secrets.items():
            if owner == tenant:
                self.shown[tenant] += sum(word in said for word in words)
            else:
                found = [word for word in words - self._lent[tenant] if word in said]
                self.leaks += [f"{tenant}: {what} shows {word} of {owner}" for word in found]

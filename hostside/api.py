"""How does a hypervisor ask the controller about the bindings of its guests' ports?

HTTP with a token, on the standard library alone.  A connection is kept, because what is asked first (where may this
port go?) is asked minutes before what is in a hurry (activate!): the second question then costs no handshake.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlsplit

from hostside.errors import Away, Mistake, Refused

Json: TypeAlias = dict[str, Any]

_GOOD: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Binding:
    """A port's binding to a host: the active one is where it is delivered, the other where it may go."""

    host: str
    active: bool


@dataclass(frozen=True, slots=True)
class Where:
    """Where the API is, and what opens it.

    :param secure: whom to believe that it is the controller; ``None`` asks in plain text.
    """

    host: str
    port: int
    token: str
    secure: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Where({self.host!r}, {self.port})"


def where(url: str, token_file: Path, cacert: Path | None) -> Where:
    """Read the options that say where the controller is.

    :raises Mistake: naming the option; what is wrong with a token never shows what its file holds.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in {"http", "https"} or host is None or parts.path.strip("/") or parts.query:
        raise Mistake(f"--url: {url!r} is not a URL like http://127.0.0.1:9696")
    token = _token(token_file)
    if parts.scheme == "http":
        return Where(host, port or http.client.HTTP_PORT, token)
    try:
        secure = ssl.create_default_context(cafile=cacert)
    except OSError as wrong:
        raise Mistake(f"--cacert: {cacert}: {wrong.strerror or 'not a certificate in PEM'}") from wrong
    return Where(host, port or http.client.HTTPS_PORT, token, secure)


def _token(file: Path) -> str:
    try:
        secret = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) else "not a token"
        raise Mistake(f"--token-file: {file}: {reason}") from wrong
    if not secret or not secret.isprintable():
        raise Mistake(f"--token-file: {file}: not a token")
    return secret


class Api:
    """A connection to the controller's API; not to be shared by threads.

    :param seconds: how long an answer is waited for.
    """

    def __init__(self, at: Where, seconds: float) -> None:
        self._token = at.token
        if at.secure is None:
            self._connection = http.client.HTTPConnection(at.host, at.port, timeout=seconds)
        else:
            self._connection = http.client.HTTPSConnection(at.host, at.port, timeout=seconds, context=at.secure)

    def close(self) -> None:
        """End the connection; a further request makes a new one."""
        self._connection.close()

    def bindings(self, port_id: str) -> tuple[Binding, ...]:
        """Where a port is, and where it may go.  :raises HostsideError: if the controller does not say."""
        found = self._ask("GET", f"{_path(port_id)}?fields=host&fields=status").get("bindings", [])
        return tuple(Binding(str(each["host"]), each["status"] == "ACTIVE") for each in found)

    def prepare(self, port_id: str, host: str) -> None:
        """Make a passive binding.  :raises HostsideError: if it is not made."""
        self._ask("POST", _path(port_id), {"binding": {"host": host}})

    def activate(self, port_id: str, host: str) -> None:
        """Activate a passive binding; returns when all switches have confirmed.  :raises HostsideError: if not."""
        self._ask("PUT", f"{_path(port_id)}/{quote(host, safe='')}/activate")

    def remove(self, port_id: str, host: str) -> None:
        """Delete a passive binding.  :raises HostsideError: if it is not deleted."""
        self._ask("DELETE", f"{_path(port_id)}/{quote(host, safe='')}")

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        text = None if body is None else json.dumps(body)
        headers = {"X-Auth-Token": self._token, "Accept": "application/json"}
        if text is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._leave_what_ended()
            self._connection.request(method, path, text, headers)
            answer = self._connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as wrong:
            self._connection.close()
            raise Away(f"the controller does not answer: {wrong}") from wrong
        try:
            found = json.loads(said) if said else {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Away("what answers is no controller's API: no JSON object")
        if answer.status not in _GOOD:
            error = found.get("NeutronError")
            error = error if isinstance(error, dict) else {}
            message = str(error.get("message") or f"{method} {path}: {answer.status}")
            raise Refused(message, answer.status, str(error.get("type", "")))
        return found

    def _leave_what_ended(self) -> None:
        """Make a new connection where the controller has ended the idle one."""
        sock = self._connection.sock
        if sock is not None and select.select([sock], (), (), 0)[0]:
            self._connection.close()


def _path(port_id: str) -> str:
    return f"/v2.0/ports/{quote(port_id, safe='')}/bindings"

"""How does the command line speak with a controller about its fabric?

HTTP with the operator's token, on the standard library alone.  Switches may be called by their datapath id, or by the
name that the intended topology gives them.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

Json: TypeAlias = dict[str, Any]

TOPOLOGY: Final = "/v1/topology"
_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 1.0
_DPID: Final = re.compile(r"[0-9a-fA-F]{16}")
_GOOD: Final = range(200, 300)


class FabricError(Exception):
    """The controller refused, or could not be asked.

    :param mistake: whether what was asked for cannot be; otherwise something is broken.
    """

    def __init__(self, message: str, *, mistake: bool = False) -> None:
        super().__init__(message)
        self.mistake = mistake


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; without a type it only says where the stream has got to."""

    id: str
    type: str
    data: Json


@dataclass(frozen=True, slots=True)
class Thing:
    """A switch or a link of the fabric, as the API names and shows it."""

    noun: str
    path: str
    shown: Json


class FabricClient:
    """A controller's fabric.

    :param url: of the API, ``http://127.0.0.1:9696`` or ``https://…``.
    :param cacert: whom to believe that it is the controller, instead of the authorities that the system knows.
    :raises FabricError: for another kind of URL, or when there is nobody in that file who could be believed.
    """

    def __init__(self, url: str, token: str, cacert: Path | None = None) -> None:
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in {"http", "https"} or host is None or parts.path.strip("/") or parts.query:
            raise FabricError(f"--url: {url!r} is not a URL like http://127.0.0.1:9696", mistake=True)
        self._url = url
        secure = parts.scheme == "https"
        self._at = (host, port or (http.client.HTTPS_PORT if secure else http.client.HTTP_PORT))
        self._trusted = _trusted(cacert) if secure else None
        self._token = token

    @property
    def url(self) -> str:
        """Where the API is."""
        return self._url

    @property
    def token(self) -> str:
        """What is shown to it."""
        return self._token

    def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """Send one request and return the answer's object.

        :raises FabricError: with the controller's own sentence when it refuses.
        """
        headers = {"X-Auth-Token": self._token, "Content-Type": "application/json"}
        connection = self._connection()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException, UnicodeError) as wrong:
            raise FabricError(f"the controller at {self._url} does not answer: {wrong}") from wrong
        finally:
            connection.close()
        if answer.status not in _GOOD:
            raise _refusal(method, path, answer.status, said)
        found = _object(said)
        if found is None:
            raise FabricError(f"{self._url} is not a controller's API: its answer is no JSON object")
        return found

    def follow(self, path: str) -> Iterator[Event]:
        """Follow events (Server-Sent Events), for as long as whoever asks wants to.

        A stream that ends is taken up again where it ended.

        :raises FabricError: when the controller refuses, or does not answer.
        """
        last = ""
        while True:
            headers = {"X-Auth-Token": self._token, "Accept": "text/event-stream"}
            connection = self._connection()
            try:
                connection.request("GET", path, headers=headers | ({"Last-Event-ID": last} if last else {}))
                answer = connection.getresponse()
                if answer.status not in _GOOD:
                    raise _refusal("GET", path, answer.status, answer.read())
                for event in _events(answer):
                    last = event.id or last
                    yield event
            except (OSError, http.client.HTTPException) as wrong:
                raise FabricError(f"the controller at {self._url} does not answer: {wrong}") from wrong
            finally:
                connection.close()
            time.sleep(_RETRY_SECONDS)

    def _connection(self) -> http.client.HTTPConnection:
        if self._trusted is None:
            return http.client.HTTPConnection(*self._at, timeout=_SECONDS)
        return http.client.HTTPSConnection(*self._at, timeout=_SECONDS, context=self._trusted)

    # ── by name ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def switch(self, name: str) -> Thing:
        """Find a switch by its datapath id or its name.

        :raises FabricError: where there is none.
        """
        if not _DPID.fullmatch(name):
            for shown in self.ask("GET", f"{TOPOLOGY}/switches")["switches"]:
                if shown["name"] == name:
                    return Thing("switch", f"{TOPOLOGY}/switches/{shown['datapath_id']}", shown)
            raise FabricError(
                f"{name!r} is neither a datapath id (16 hex digits) nor the name of a switch that is seen", mistake=True
            )
        path = f"{TOPOLOGY}/switches/{name.lower()}"
        return Thing("switch", path, self.ask("GET", path)["switch"])

    def link(self, name: str) -> Thing:
        """Find a link by either end (``tor1:1``), by both (``tor1:1-agg2:3``), or by its switches (``tor1-agg2``).

        :raises FabricError: where there is none, or several.
        """
        links = self.ask("GET", f"{TOPOLOGY}/links")["links"]
        names = self.names()
        spelling = _DPID.sub(lambda dpid: dpid[0].lower(), name)
        found = [shown for shown in links if spelling in _spellings(shown, names)]
        if len(found) == 1:
            return Thing("link", f"{TOPOLOGY}/links/{found[0]['id']}", found[0])
        if found:
            ends = ", ".join(_ends(shown, names)[0] for shown in found)
            raise FabricError(f"{name!r} may be any of {len(found)} links; say which by an end: {ends}", mistake=True)
        raise FabricError(f"{name!r} is not a link that is seen; name it by an end, like tor1:1", mistake=True)

    def thing(self, name: str) -> Thing:
        """Find a switch or a link.

        :raises FabricError: where there is none.
        """
        if _DPID.fullmatch(name) or name in self.names().values():
            return self.switch(name)
        return self.link(name) if ":" in name or "-" in name else self.switch(name)

    def names(self) -> dict[str, str]:
        """The names of switches by datapath id, where the intended topology gives any."""
        switches = self.ask("GET", f"{TOPOLOGY}/switches")["switches"]
        return {shown["datapath_id"]: shown["name"] or shown["datapath_id"] for shown in switches}


def _object(said: bytes) -> Json | None:
    try:
        found = json.loads(said) if said else {}
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _refusal(method: str, path: str, status: int, said: bytes) -> FabricError:
    error = (_object(said) or {}).get("NeutronError")
    message = error.get("message") if isinstance(error, dict) else None
    return FabricError(message or f"{method} {path}: {status}", mistake=status < 500)  # noqa: PLR2004


def _events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Take a stream of events apart (the HTML standard, section 9.2.6)."""
    fields = dict.fromkeys(("id", "event", "data"), "")
    for line in lines:
        name, _, value = line.decode().rstrip("\r\n").partition(":")
        if name in fields:
            fields[name] = value.removeprefix(" ")
        elif not line.strip():
            yield Event(fields["id"], fields["event"], json.loads(fields["data"] or "{}"))
            fields = dict.fromkeys(fields, "")


def secret_in(file: Path, option: str) -> str:
    """Read a token that an option names the file of; what is wrong with it never shows what it holds.

    :raises FabricError: naming the option.
    """
    try:
        secret = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) else "not a token"
        raise FabricError(f"{option}: {file}: {reason}", mistake=True) from wrong
    if not secret or not secret.isprintable():
        raise FabricError(f"{option}: {file}: not a token", mistake=True)
    return secret


def _trusted(cacert: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cacert)
    except OSError as wrong:
        raise FabricError(
            f"--cacert: {cacert}: {wrong.strerror or 'not a certificate in PEM'}", mistake=True
        ) from wrong


def _ends(link: Json, names: dict[str, str]) -> tuple[str, str]:
    near, far = (f"{names[end['datapath_id']]}:{end['port']}" for end in (link["a"], link["b"]))
    return near, far


def _spellings(link: Json, names: dict[str, str]) -> set[str]:
    """Everything that a link may be called."""
    sides = [
        [(name, f"{name}:{end['port']}") for name in (end["datapath_id"], names[end["datapath_id"]])]
        for end in (link["a"], link["b"])
    ]
    found = {port for side in sides for _, port in side}
    for near, far in (sides, sides[::-1]):
        found |= {f"{a}-{b}" for switch, port in near for a in (switch, port) for pair in far for b in pair}
    return found

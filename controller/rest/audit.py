"""Who changed what, and who was not let in?

One line of JSON for each request that changes something, whatever came of it, and for each whose sender could not show
who it is.  Lines are made of what the controller knows (names, ids, the API's own words), never of headers or bodies,
so that no secret gets in; what a client writes into a path stands there only if it can be no secret.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

from flask import Response, g, request

from controller.configuration import SettingsError
from controller.rest.access import Caller
from controller.rest.errors import request_id
from controller.rest.policy import Rule
from controller.tokens import TOKEN_MIN

LOG: Final = logging.getLogger("controller.audit")
LOG.setLevel(logging.INFO)  # also where the rest of the log is set to warnings

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-fA-F]{16}(:[0-9]{1,10})?")
"""A UUID, a datapath id or a token's public id, or a port of a switch."""
_MADE: Final = re.compile(rb'"id": ?"([0-9a-f-]{36})"')
"""An object's id in JSON; within a string there would be a backslash before the quotes."""
_LARGE: Final = 1 << 16
_WITHHELD: Final = "…"
_BAD: Final = 400
_UNKNOWN: Final = 401
_TOO_MANY: Final = 429


class _File(logging.handlers.WatchedFileHandler):
    """A file that only its owner reads, opened anew when logrotate has moved it away."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8")


def write_to(path: Path) -> logging.Handler:
    """Write the audit log to a file of its own instead of the normal log.

    :raises SettingsError: when it cannot be opened.
    """
    try:
        handler = _File(path, mode="a", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"rest.audit_log: {path}: {error.strerror}") from error
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOG.addHandler(handler)
    LOG.propagate = False
    return handler


def record(rule: Rule, response: Response, is_secret: Callable[[str], bool]) -> None:
    """Write down what a request did, if it is one of those.

    :param is_secret: whether a word of a path opens anything.
    """
    refused = response.status_code == _UNKNOWN
    changes = rule.changes and request.method in {"POST", "PUT", "DELETE"}
    # Those who are only told to slow down would fill the disk, and have changed nothing.
    if not refused and (not changes or response.status_code == _TOO_MANY):
        return
    who: Caller | None = g.get("caller")
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": request_id(),
        "user": None if who is None else who.user,
        "project": None if who is None else who.project,
        "roles": [] if who is None else sorted(who.roles),
        "remote": request.remote_addr,
        "method": request.method,
        "resource": rule.resource,
        "action": rule.action,
        "id": _ids(response, is_secret),
        "status": response.status_code,
    }
    LOG.info("%s", json.dumps(line))  # as ASCII, with every control character escaped: a line stays a line


def _ids(response: Response, is_secret: Callable[[str], bool]) -> str | list[str]:
    """What it was done to: as the path names it, and as what was made is called."""
    good = response.status_code < _BAD
    path = "/".join(_told(str(part), is_secret, good=good) for part in (request.view_args or {}).values())
    if not (good and request.method == "POST"):
        return path
    if (response.calculate_content_length() or 0) > _LARGE:
        # Many objects: to read it all again would hold up everybody else.
        return [found.decode() for found in _MADE.findall(response.get_data())]
    made: Any = response.get_json(silent=True)
    (things,) = made.values() if isinstance(made, dict) and len(made) == 1 else (None,)
    if isinstance(things, list):
        return [_name(thing) for thing in things]
    return "/".join(filter(None, (path, _name(things))))


def _name(thing: object) -> str:
    if not isinstance(thing, dict):
        return ""
    return str(next((thing[key] for key in ("id", "host", "name") if key in thing), ""))


def _told(part: str, is_secret: Callable[[str], bool], *, good: bool) -> str:
    """A word of a path: an id that was found, or what has the form of one, or is too short to be a secret."""
    sound = good or len(part) < TOKEN_MIN or _ID.fullmatch(part)
    return part if sound and not is_secret(part) else _WITHHELD

"""What may somebody who starts a lab tell its controller?

Every setting but those that make it this lab's controller: where it listens, keeps its state and finds its tokens and
certificates.
Whether a setting exists, and what it may be, only the controller knows; it is asked (``vl2 controller --check``)
before anything is made.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from topologies.errors import LabError, TopologyError

FIELD: Final = "settings"
_STDIN: Final = "/dev/stdin"
_CHECK_SECONDS: Final = 30.0
_MISTAKE: Final = 2
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_LABS_OWN: Final = frozenset(
    {
        "state_dir",
        "operator_token_file",
        "insecure_listen",
        "openflow.listen",
        "ovsdb.listen",
        "rest.certificate",
        "rest.key",
        "rest.listen",
        "rest.tls",
        "tls",
        "tokens",
    }
)

Document = dict[str, Any]
"""A configuration file as :mod:`tomllib` reads it."""


def read(pairs: Iterable[tuple[str, str]]) -> Document:
    """Build a document from pairs such as ``("overlay.grace_seconds", "0.5")``.

    :param pairs: dotted key, and value as in TOML; a single word needs no quotes.
    :raises TopologyError: for a pair that does not say one thing.
    """
    document: Document = {}
    for dotted, text in pairs:
        *tables, key = dotted.split(".")
        table: Any = document
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise TopologyError(f"{FIELD}: {dotted}: {name} was set to a value before", FIELD)
        if key in table:
            raise TopologyError(f"{FIELD}: {dotted} is set twice", FIELD)
        table[key] = _value(dotted, text)
    return document


def _value(dotted: str, text: str) -> Any:
    try:
        (value,) = tomllib.loads(f"value = {text}").values()
    except (tomllib.TOMLDecodeError, ValueError) as wrong:
        if _WORD.fullmatch(text):
            return text
        raise TopologyError(f"{FIELD}: {dotted}: {text!r} is not a value of TOML", FIELD) from wrong
    return value


def check(given: Mapping[str, Any]) -> None:
    """Refuse what the lab decides itself, and whatever the controller would not start with.

    :raises TopologyError: naming the key.
    """
    if not given:
        return
    for path in _paths(given):
        if path in _LABS_OWN:
            raise TopologyError(f"{FIELD}: {path}: the lab sets it itself", FIELD)
    text = write({"insecure_listen": True, **given})
    done = subprocess.run(
        [sys.executable, "-m", "controller", "controller", "--check", "--config", _STDIN],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=_CHECK_SECONDS,
        env={**os.environ, "PYTHONPATH": search_path()},
    )
    said = done.stderr.strip().removeprefix("vl2 controller: ").removeprefix(f"{_STDIN}: ")
    if done.returncode == _MISTAKE:
        raise TopologyError(f"{FIELD}: {said}", FIELD)
    if done.returncode:
        raise LabError(f"the controller cannot check its settings: {said}")


def _paths(table: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for key, value in table.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")


def merge(made: Mapping[str, Any], given: Mapping[str, Any]) -> Document:
    """Add the given settings to a document, table by table; a value that is in both is the given one."""
    merged = dict(made)
    for key, value in given.items():
        was = merged.get(key)
        merged[key] = merge(was, value) if isinstance(was, Mapping) and isinstance(value, Mapping) else value
    return merged


def write(document: Mapping[str, Any]) -> str:
    """Spell a document as TOML.

    :raises TopologyError: for a value that TOML does not know, or that is none for a setting.
    """
    return "\n".join(_lines(document, ())) + "\n"


def _lines(table: Mapping[str, Any], name: tuple[str, ...]) -> Iterable[str]:
    if name:
        yield f"[{'.'.join(map(_key, name))}]"
    for key, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{_key(key)} = {_spelled(value, (*name, key))}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _lines(value, (*name, key))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    # A basic string of TOML is one of JSON, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _spelled(value: object, name: tuple[str, ...]) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _quoted(value)
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case list() | tuple():
            return f"[{', '.join(_spelled(one, name) for one in value)}]"
        case Mapping():
            return f"{{{', '.join(f'{_key(key)} = {_spelled(one, (*name, key))}' for key, one in value.items())}}}"
        case _:
            raise TopologyError(f"{FIELD}: {'.'.join(name)}: {value!r} is no value for a setting", FIELD)


def search_path() -> str:
    """Where a process that the lab starts finds the same packages as the lab."""
    root = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])

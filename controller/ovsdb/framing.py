"""Where does one JSON-RPC message end and the next one begin?

OVSDB sends JSON objects back to back with nothing in between (RFC 7047 §4), so their ends have to be found by counting
braces outside of strings.  Each byte is looked at once, by a compiled expression, whatever pieces it comes in: a
picture of thousands of ports costs milliseconds, and a peer that sends one endless string gains nothing by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

JsonObject = dict[str, object]

# No possessive quantifiers: CPython's are wrong before 3.11.5 (python/cpython#106052).
_PLAIN: Final = re.compile(rb'[^"{}]*(?:"[^"\\]*"[^"{}]*)*')
"""Everything up to the next brace outside of strings, or up to a string that is unfinished or holds a backslash."""
_STRING: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
"""The rest of a string, up to its closing quote, or up to a backslash whose other half has not come yet."""


class ProtocolError(Exception):
    """The peer does not speak OVSDB, or says more than we are willing to hear; the connection has to end."""


class Framer:
    """Cuts a stream of bytes into JSON objects.

    :param limit: the longest message in bytes that will be kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._position = 0
        self._depth = 0
        self._in_string = False

    def feed(self, data: bytes) -> Iterator[JsonObject]:
        """Take what the socket gave; yields the messages that it completes.

        :raises ProtocolError: for a message over the limit, or one that is not a JSON object.
        """
        self._buffer += data
        while (end := self._next_end()) is not None:
            message = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._position = 0
            yield _parse(message)
        if len(self._buffer) > self._limit:
            raise ProtocolError(f"a message is longer than {self._limit} bytes")

    def _next_end(self) -> int | None:
        """Go on counting; where the message at the head of the buffer ends, or None while it is incomplete."""
        buffer = self._buffer
        while True:
            expression = _STRING if self._in_string else _PLAIN
            match = expression.match(buffer, self._position)
            # Both expressions match the empty string, so there always is a match.
            self._position = match.end() if match else self._position
            if self._position >= len(buffer):
                return None
            mark = buffer[self._position]
            if mark == ord("\\"):
                return None
            self._position += 1
            if mark == ord('"'):
                self._in_string = not self._in_string
                continue
            self._depth += 1 if mark == ord("{") else -1
            if self._depth < 0:
                raise ProtocolError("a closing brace without an opening one")
            if self._depth == 0:
                return self._position


def _parse(message: bytes) -> JsonObject:
    try:
        value = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a message is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ProtocolError("a message is not a JSON object")
    return value

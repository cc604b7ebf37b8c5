"""What stands in one table of the configuration file, and is it what was wanted?

Reads typed values out of parsed TOML and remembers which keys were asked for, so that what nobody asked for is refused
as the typing error that it is.  Every complaint names the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Final

from overlay.refusals import Refusal
from overlay.values import Mac, Vni

_ENDPOINT: Final = re.compile(
    r"(?:(?P<kind>ssl|tcp):)?(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})"
)
_PORT_MAX: Final = 65535
_YEAR: Final = 86400 * 365


class SettingsError(Exception):
    """The configuration cannot be used; the message names the key and says what would do."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen: a literal address and a TCP port, and whether for TLS."""

    address: str
    port: int
    tls: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ip_address(self.address).is_loopback

    @property
    def reachable(self) -> Endpoint:
        """Where this machine can call it; the loopback, where it listens everywhere."""
        if not ip_address(self.address).is_unspecified:
            return self
        return Endpoint("::1" if ":" in self.address else "127.0.0.1", self.port, self.tls)

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Section:
    """One table of the document, which knows what of it has been asked for: the rest is a mistake."""

    def __init__(self, table: Mapping[str, object], name: str = "") -> None:
        self._table = table
        self._name = name
        self._asked: list[str] = []

    def _key(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key

    def _error(self, key: str, wanted: str) -> SettingsError:
        return SettingsError(f"{self._key(key)}: {self._table[key]!r} is not {wanted}")

    def _get(self, key: str) -> object:
        self._asked.append(key)
        return self._table.get(key)

    @property
    def name(self) -> str:
        """How a complaint calls this table."""
        return self._name

    def end(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self._table:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                raise SettingsError(f"{self._key(key)}: no such setting (there are: {known})")

    def names(self) -> tuple[str, ...]:
        """The keys of this table."""
        return tuple(self._table)

    def section(self, key: str) -> Section:
        """A table in this table; an empty one when it is not there."""
        value = self._get(key)
        if value is None:
            return Section({}, key)
        if not isinstance(value, dict):
            # Not shown: it may be a token.
            raise SettingsError(f"{self._key(key)}: must be a table; write [{key}]")
        return Section(value, self._key(key))

    def tables(self, key: str) -> tuple[Section, ...]:
        """The tables of an array; none when it is not there."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
            raise SettingsError(f"{self._key(key)}: must be tables; write [[{key}]]")
        return tuple(Section(table, f"{self._key(key)}[{number}]") for number, table in enumerate(value))

    def text(self, key: str, default: str) -> str:
        """A string."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            # Not shown: it may be a token whose quotes were forgotten.
            raise SettingsError(f"{self._key(key)}: must be a string in quotes")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._error(key, "true or false")
        return value

    def whole(self, key: str, default: int, least: int, most: int, *, zero: bool = False) -> int:
        """A whole number within bounds; or 0, where that has a meaning of its own."""
        value = self._get(key)
        if value is None:
            return default
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not (least <= value <= most or (zero and not value))
        ):
            raise self._error(key, f"{'0 or ' if zero else ''}a whole number from {least} to {most}")
        return value

    def fraction(self, key: str, default: float, least: float) -> float:
        """A share of a whole: a number from ``least`` to 1."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 1:
            raise self._error(key, f"a number from {least:g} to 1")
        return float(value)

    def seconds(self, key: str, default: float, *, zero: bool = False) -> float:
        """A length of time."""
        value = self._get(key)
        if value is None:
            return default
        least = 0.0 if zero else 0.001
        # The upper end refuses infinity and typing errors in one go; nan compares false.
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= _YEAR:
            raise self._error(key, f"a time in seconds, {'0' if zero else 'more than 0'} up to a year")
        return float(value)

    def path(self, key: str) -> Path | None:
        """An absolute path, None when the key is not there."""
        value = self.text(key, "")
        if not value:
            if key in self._table:
                raise self._error(key, "a path")
            return None
        path = Path(value)
        if not path.is_absolute():
            raise self._error(key, "an absolute path")
        return path

    def endpoint(self, key: str, default: str, *, tls: bool = False) -> Endpoint:
        """One address with port."""
        text = self.text(key, default)
        found = self._parse_endpoint(key, text, tls=tls)
        if text.startswith(("ssl:", "tcp:")):
            raise self._error(key, "an address with port alone, without ssl: or tcp:")
        return found

    def endpoints(self, key: str, default: str, *, tls: bool = False) -> tuple[Endpoint, ...]:
        """Several addresses with port, at least one; ``ssl:`` or ``tcp:`` before it, or else as ``tls`` says."""
        value = self._get(key)
        if value is None:
            value = [default]
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise self._error(key, 'a list of addresses with port, like ["127.0.0.1:6653"]')
        found = tuple(self._parse_endpoint(key, one, tls=tls) for one in value)
        if len({(one.address, one.port) for one in found}) != len(found):
            raise self._error(key, "a list of different addresses")
        return found

    def _parse_endpoint(self, key: str, text: str, *, tls: bool) -> Endpoint:
        match = _ENDPOINT.fullmatch(text)
        wanted = f"{self._key(key)}: {text!r} is not an IP address with port, like 127.0.0.1:6653 or [::1]:6653"
        if match is None or int(match["port"]) > _PORT_MAX:
            raise SettingsError(wanted)
        address = "127.0.0.1" if match["host"] == "localhost" else match["v6"] or match["host"]
        try:
            literal = ip_address(address)
        except ValueError as error:
            raise SettingsError(wanted) from error
        return Endpoint(str(literal), int(match["port"]), match["kind"] == "ssl" if match["kind"] else tls)

    def vni_range(self, key: str) -> tuple[Vni, Vni]:
        """First and last VNI that may be given to networks."""
        value = self._get(key)
        if value is None:
            value = [1, (1 << 24) - 1]
        match value:
            case [int(first), int(last)] if not isinstance(first, bool) and not isinstance(last, bool):
                pass
            case _:
                raise self._error(key, "a range of VNIs, like [1, 16777215]")
        try:
            low, high = Vni.parse(first, self._key(key)), Vni.parse(last, self._key(key))
        except Refusal as refusal:
            raise SettingsError(refusal.message) from refusal
        if low > high:
            raise self._error(key, "a range: its first VNI is above its last")
        return low, high

    def prefix(self, key: str, default: str) -> IPv4Network:
        """An IPv4 prefix."""
        text = self.text(key, default)
        try:
            return IPv4Network(text)
        except ValueError as error:
            raise self._error(key, "an IPv4 prefix, like 10.0.0.0/16") from error

    def mac(self, key: str, default: str) -> Mac:
        """A unicast Ethernet address."""
        text = self.text(key, default)
        try:
            return Mac.parse(text, self._key(key))
        except Refusal as refusal:
            raise SettingsError(refusal.message) from refusal

"""Which cables are there, and which ports are wired to them?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from overlay.values import HostName, LocalLink, Port


class Wires:
    """The cables of all edge switches, by name, with their OpenFlow ports, and the ports that they are the place of."""

    def __init__(self) -> None:
        self._ofports: dict[HostName, dict[str, int]] = {}
        self._holders: dict[HostName, dict[str, dict[int, str]]] = {}

    def holder(self, link: LocalLink) -> str | None:
        """The port that has this place."""
        return self._holders.get(link.switch, {}).get(link.interface, {}).get(link.vid)

    def follow(self, port_id: str, before: LocalLink | None, after: LocalLink | None) -> None:
        """A port has another place, or none; nobody else has it."""
        if before is not None:
            holders = self._holders[before.switch][before.interface]
            del holders[before.vid]
        if after is not None:
            self._holders.setdefault(after.switch, {}).setdefault(after.interface, {})[after.vid] = port_id

    def tell(self, host: HostName, interface: str, ofport: int | None) -> None:
        """A cable has an OpenFlow port, or none."""
        if ofport is None:
            self._ofports.get(host, {}).pop(interface, None)
        else:
            self._ofports.setdefault(host, {})[interface] = ofport

    def retell(self, host: HostName, cables: Mapping[str, int]) -> None:
        """All cables of a host."""
        self._ofports[host] = dict(cables)

    def told(self, host: HostName) -> tuple[tuple[str, int], ...]:
        """The cables of a host that lead somewhere, with their OpenFlow ports."""
        return tuple(self._ofports.get(host, {}).items())

    def taps(self, host: HostName, interfaces: Iterable[str]) -> dict[str, tuple[int, int] | None]:
        """How the ports that are wired to some interfaces are plugged: OpenFlow port and VLAN, or not at all."""
        found: dict[str, tuple[int, int] | None] = {}
        for interface in interfaces:
            ofport = self._ofports.get(host, {}).get(interface)
            for vid, port_id in self._holders.get(host, {}).get(interface, {}).items():
                found[port_id] = None if ofport is None else (ofport, vid)
        return found

    def interfaces(self, host: HostName) -> tuple[str, ...]:
        """The interfaces of a host that are there, or that ports are wired to."""
        return tuple({**self._ofports.get(host, {}), **self._holders.get(host, {})})

    def named(self, host: HostName, text: str) -> str | None:
        """The name of an interface that is called by its name or OpenFlow number; ``None`` for a number of none."""
        ofports = self._ofports.get(host, {})
        if text in ofports or not text.isdecimal():
            return text
        return next((name for name, ofport in ofports.items() if ofport == int(text)), None)


def link_of(port: Port | None) -> LocalLink | None:
    """Where a port is wired to, if there is one and it is."""
    return None if port is None else port.local_link

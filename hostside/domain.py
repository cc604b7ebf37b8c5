"""Which ports has a guest, according to libvirt?

The domain's XML names them: ``<virtualport type='openvswitch'><parameters interfaceid='…'/></virtualport>`` of each
interface.  It is read by expat as it comes; a document with a DTD is refused, because entities can only be declared
there, and libvirt never writes one.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from hostside.errors import HostsideError

LIMIT: Final = 16 << 20
"""The longest document that is read; libvirt's own limit for its messages is 32 MB."""
_INTERFACE: Final = ("domain", "devices", "interface")


def port_ids(xml: bytes) -> tuple[str, ...]:
    """The ports of a domain, in its order.

    :raises HostsideError: if that is not a domain's XML.
    """
    if len(xml) > LIMIT:
        raise HostsideError(f"the domain's XML is longer than {LIMIT} bytes")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = reader.refuse
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as wrong:
        raise HostsideError(f"the domain's XML cannot be read: {wrong}") from wrong
    if reader.outermost != "domain":
        raise HostsideError(f"the XML is not a domain's but a {reader.outermost}'s")
    return tuple(dict.fromkeys(reader.found))


class _Reader:
    def __init__(self) -> None:
        self._path: list[str] = []
        self._switched = False
        self.outermost = ""
        self.found: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.outermost = self.outermost or name
        self._path.append(name)
        match self._path:
            case [*outer, "virtualport"] if tuple(outer) == _INTERFACE:
                self._switched = attributes.get("type") == "openvswitch"
            case [*outer, "virtualport", "parameters"] if tuple(outer) == _INTERFACE and self._switched:
                if attributes.get("interfaceid"):
                    self.found.append(attributes["interfaceid"])
            case _:
                pass

    def end(self, _name: str) -> None:
        self._path.pop()

    def refuse(self, *_: object) -> None:
        raise HostsideError("the domain's XML has a DTD, which libvirt does not write")

"""Which bytes show who is wired to whom, and which hypervisor is behind a port?

Announcements are LLDP (IEEE 802.1AB) that name switch and port; each is sealed with a secret of this deployment, so
that a host cannot forge a link.  Hosts are found by the ARP (RFC 826) that they send or answer.  Packets are parsed by
their bytes: nothing that arrives here can raise.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from controller.fabric.plan import PortRef
from overlay.values import DatapathId, Mac

ETH_LLDP: Final = 0x88CC
ETH_ARP: Final = 0x0806
_NEAREST_BRIDGE: Final = bytes.fromhex("0180c200000e")
_BROADCAST: Final = b"\xff" * 6
_ETHERNET: Final = struct.Struct("!6s6sH")
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_ARP_KIND: Final = (1, 0x0800, 6, 4)
_REQUEST: Final = 1
_REPLY: Final = 2

_END, _CHASSIS, _PORT, _TTL, _ORGANIZATION = 0, 1, 2, 3, 127
_LOCAL: Final = b"\x07"
"""The subtype "locally assigned", of both the chassis and the port TLV."""
_OUI: Final = bytes.fromhex("02564c")
"""A locally administered organization, "VL"."""
_SEAL: Final = b"\x01"
_SEAL_BYTES: Final = 16
_LENGTH_BITS: Final = 9


class Announcer:
    """Makes and reads the announcements of one deployment.

    :param secret: shared by all controllers of the deployment and known to nobody else.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def announcement(self, at: PortRef, hw_addr: Mac, ttl: int = 15) -> bytes:
        """Build the frame that says "this came out of that port".

        :param hw_addr: of the port, as the Ethernet source.
        :param ttl: seconds for which it is good.
        """
        return b"".join(
            (
                _ETHERNET.pack(_NEAREST_BRIDGE, hw_addr.to_bytes(6, "big"), ETH_LLDP),
                _tlv(_CHASSIS, _LOCAL + at.datapath_id.to_bytes(8, "big")),
                _tlv(_PORT, _LOCAL + at.port.to_bytes(4, "big")),
                _tlv(_TTL, ttl.to_bytes(2, "big")),
                _tlv(_ORGANIZATION, _OUI + _SEAL + self._seal(at)),
                _tlv(_END, b""),
            )
        )

    def read(self, frame: bytes) -> PortRef | None:
        """Name the port that a frame came out of; None unless it is an announcement with our seal."""
        if len(frame) < _ETHERNET.size or _ETHERNET.unpack_from(frame)[2] != ETH_LLDP:
            return None
        found: dict[int, bytes] = {}
        rest = frame[_ETHERNET.size :]
        while len(rest) >= 2:  # noqa: PLR2004  (a TLV's header)
            (header,) = struct.unpack_from("!H", rest)
            kind, length = header >> _LENGTH_BITS, header & (1 << _LENGTH_BITS) - 1
            if kind == _END:
                break
            found.setdefault(kind, rest[2 : 2 + length])
            rest = rest[2 + length :]
        chassis, port = found.get(_CHASSIS, b""), found.get(_PORT, b"")
        if len(chassis) != 9 or len(port) != 5:  # noqa: PLR2004  (subtype and id)
            return None
        at = PortRef(DatapathId.from_bytes(chassis[1:], "big"), int.from_bytes(port[1:], "big"))
        sealed = hmac.compare_digest(found.get(_ORGANIZATION, b""), _OUI + _SEAL + self._seal(at))
        return at if sealed else None

    def _seal(self, at: PortRef) -> bytes:
        text = at.datapath_id.to_bytes(8, "big") + at.port.to_bytes(4, "big")
        return hmac.new(self._secret, text, hashlib.sha256).digest()[:_SEAL_BYTES]


def _tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!H", kind << _LENGTH_BITS | len(value)) + value


class Claim(NamedTuple):
    """What an ARP packet says of its sender."""

    la: IPv4Address
    mac: Mac


def arp_request(la: IPv4Address, gateway: IPv4Address, router_mac: Mac) -> bytes:
    """Build the question "who has this LA?", asked by the gateway."""
    router = router_mac.to_bytes(6, "big")
    ethernet = _ETHERNET.pack(_BROADCAST, router, ETH_ARP)
    return ethernet + _ARP.pack(*_ARP_KIND, _REQUEST, router, gateway.packed, bytes(6), la.packed)


def claim(frame: bytes) -> Claim | None:
    """Read who sent an ARP packet; None for anything else, and for a sender that disagrees with its Ethernet source."""
    if len(frame) < _ETHERNET.size + _ARP.size:
        return None
    _, source, eth_type = _ETHERNET.unpack_from(frame)
    *kind, operation, sender, address, _, _ = _ARP.unpack_from(frame, _ETHERNET.size)
    if eth_type != ETH_ARP or tuple(kind) != _ARP_KIND or operation not in {_REQUEST, _REPLY} or sender != source:
        return None
    return Claim(IPv4Address(address), Mac.from_bytes(sender, "big"))

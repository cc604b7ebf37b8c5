"""What does DHCP answer a machine?

RFC 2131, of which a server without a memory needs little: a machine may have just the addresses that its port has, so
each question is answered by itself.  A request for anything else is refused at once, so that the machine starts again;
what it gives back, or finds taken by another, is heard and stays its own.  The framework's DHCP classes are not used:
they stop at an option of padding, and fail at a name that is not ASCII.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Final

from controller.guests.datagrams import Datagram, read
from controller.guests.questions import HEARD, UNSOUND, Answer, Asker, answered
from controller.guests.telling import told
from overlay.guests import options
from overlay.guests.leases import Lease, leases_of
from overlay.guests.offers import SERVICE_MAC
from overlay.values import Mac

_CLIENT, _SERVER = 68, 67
_FIXED: Final = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
_COOKIE: Final = bytes([99, 130, 83, 99])
_REQUEST, _REPLY = 1, 2
_ETHERNET, _MAC_LENGTH = 1, 6
_BROADCAST_FLAG: Final = 0x8000
_LEAST: Final = 300
"""What BOOTP made of a message at least, and some clients still expect (RFC 1542 §2.1)."""
_NOBODY: Final = IPv4Address(0)
_EVERYBODY: Final = IPv4Address(0xFFFFFFFF)
_TO_ALL: Final = 0xFFFFFFFFFFFF

_PAD, _END = 0, 255
_REQUESTED: Final = 50
_LEASE_TIMES: Final = frozenset({options.LEASE_TIME, options.RENEWAL_TIME, options.REBINDING_TIME})
_TYPE: Final = 53
_SERVER_ID: Final = 54
_WANTED: Final = 55
_MESSAGE: Final = 56
_CLIENT_ID: Final = 61


class Type(IntEnum):
    """What a message is (RFC 2132 §9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


@dataclass(frozen=True, slots=True)
class Message:
    """A machine's message.

    :ivar own: the address that it says to have (``ciaddr``).
    :ivar requested: the one that it would like to have.
    :ivar server: whom it has chosen.
    :ivar wanted: the options that it would like to hear.
    """

    kind: Type
    transaction: int
    seconds: int
    flags: int
    own: IPv4Address
    mac: int
    requested: IPv4Address | None
    server: IPv4Address | None
    wanted: frozenset[int]
    client_id: bytes | None


def answer(asker: Asker, frame: bytes) -> Answer:
    """Answer a port's machine."""
    datagram = read(frame)
    message = None if datagram is None or datagram.target_port != _SERVER else parse(datagram.payload)
    if message is None or message.mac != asker.port.mac:
        return UNSOUND
    world, port = asker.world, asker.port
    subnets = {fixed.subnet_id: world.subnets[fixed.subnet_id] for fixed in port.fixed_ips}
    reply = respond(message, leases_of(port, subnets, told(world, port)), port.mac)
    return HEARD if reply is None else answered(reply)


def parse(data: bytes) -> Message | None:
    """Read a message of a machine; None where it is no sound one, or a relay's."""
    try:
        fixed = _FIXED.unpack_from(data)
    except struct.error:
        return None
    (op, hardware, length, _, transaction, seconds, flags, own, _, _, relay, address, _, _, cookie) = fixed
    if (op, hardware, length, cookie) != (_REQUEST, _ETHERNET, _MAC_LENGTH, _COOKIE) or any(relay):
        return None
    said = _options(data[_FIXED.size :])
    if said is None or len(kind := said.get(_TYPE, b"")) != 1 or kind[0] not in _ASKING:
        return None
    addresses = [said.get(number) for number in (_REQUESTED, _SERVER_ID)]
    if any(each is not None and len(each) != _NOBODY.max_prefixlen // 8 for each in addresses):
        return None
    requested, server = (None if each is None else IPv4Address(each) for each in addresses)
    return Message(
        Type(kind[0]),
        transaction,
        seconds,
        flags,
        IPv4Address(own),
        int.from_bytes(address[:_MAC_LENGTH]),
        requested,
        server,
        frozenset(said.get(_WANTED, b"")),
        said.get(_CLIENT_ID),
    )


_ASKING: Final = frozenset({Type.DISCOVER, Type.REQUEST, Type.DECLINE, Type.RELEASE, Type.INFORM})


def _options(data: bytes) -> dict[int, bytes] | None:
    """The options by number; of one that comes in parts the parts joined (RFC 3396)."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        if at + 1 >= len(data) or at + 2 + data[at + 1] > len(data):
            return None
        end = at + 2 + data[at + 1]
        found[data[at]] = found.get(data[at], b"") + data[at + 2 : end]
        at = end
    return found


def respond(message: Message, leases: tuple[Lease, ...], mac: Mac) -> bytes | None:
    """The frame that answers a message; None where there is none.

    :param leases: those that the port has.
    """
    if not leases or message.kind in {Type.DECLINE, Type.RELEASE}:
        return None
    by_address = {lease.ip: lease for lease in leases}
    asked = message.requested if message.own == _NOBODY else message.own
    if message.kind is Type.DISCOVER:
        return _reply(Type.OFFER, message, by_address.get(asked or _NOBODY, leases[0]), mac)
    if message.kind is Type.INFORM:
        return _reply(Type.ACK, message, by_address.get(message.own, leases[0]), mac)
    if message.server is not None and message.server not in {lease.server for lease in leases}:
        return None  # it has chosen another server
    lease = by_address.get(asked or _NOBODY)
    if lease is None:
        return _refusal(message, leases[0].server)
    return _reply(Type.ACK, message, lease, mac)


def _reply(kind: Type, message: Message, lease: Lease, mac: Mac) -> bytes:
    said = {number: value for number, value in lease.options.items() if _is_told(number, message)}
    given = lease.ip
    if message.kind is Type.INFORM:  # it has an address and no lease (RFC 2131 §4.3.5)
        said = {number: value for number, value in said.items() if number not in _LEASE_TIMES}
        given = _NOBODY
    payload = _payload(kind, message, lease.server, said, given=given, next_server=lease.next_server or lease.server)
    # RFC 2131 §4.1: to the address that the machine has, or to all where it asks for that, or else to its new one.
    if message.own != _NOBODY:
        return _frame(payload, lease.server, message.own, mac)
    if message.flags & _BROADCAST_FLAG or given == _NOBODY:
        return _frame(payload, lease.server, _EVERYBODY, _TO_ALL)
    return _frame(payload, lease.server, given, mac)


def _refusal(message: Message, server: IPv4Address) -> bytes:
    said = {_MESSAGE: b"not an address of this port"}
    payload = _payload(Type.NAK, message, server, said, given=_NOBODY, next_server=_NOBODY)
    return _frame(payload, server, _EVERYBODY, _TO_ALL)


def _is_told(number: int, message: Message) -> bool:
    """Everything is told, except routes to those who know them by their number at Microsoft's, unless they ask."""
    return number != options.CLASSLESS_ROUTES_MS or number in message.wanted


def _payload(
    kind: Type,
    message: Message,
    server: IPv4Address,
    said: Mapping[int, bytes],
    *,
    given: IPv4Address,
    next_server: IPv4Address,
) -> bytes:
    own = message.own if kind is Type.ACK else _NOBODY
    head = _FIXED.pack(
        _REPLY,
        _ETHERNET,
        _MAC_LENGTH,
        0,
        message.transaction,
        0,
        message.flags,
        own.packed,
        given.packed,
        next_server.packed,
        bytes(4),
        message.mac.to_bytes(_MAC_LENGTH),
        b"",
        b"",
        _COOKIE,
    )
    everything = {_TYPE: bytes([kind]), _SERVER_ID: server.packed, **said}
    if message.client_id is not None:  # RFC 6842
        everything[_CLIENT_ID] = message.client_id
    tail = b"".join(bytes([number, len(value)]) + value for number, value in everything.items())
    return (head + tail + bytes([_END])).ljust(_LEAST, b"\0")


def _frame(payload: bytes, server: IPv4Address, target: IPv4Address, mac: int) -> bytes:
    return Datagram(SERVICE_MAC, mac, server, target, _SERVER, _CLIENT, payload).frame()

"""What does DHCPv6 answer a machine?

RFC 8415, of which a server without a memory needs little: a machine may have just the addresses that its port has in
subnets with stateful DHCPv6, and gets all of them; in those with the stateless one it is only told what goes with them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address
from typing import Final

from controller.guests.datagrams import Datagram, read
from controller.guests.questions import HEARD, UNSOUND, Answer, Asker, answered
from controller.guests.telling import told
from overlay.guests.leases import LeaseV6, lease_v6_of
from overlay.guests.offers import SERVICE_LINK_LOCAL, SERVICE_MAC

_CLIENT, _SERVER = 546, 547
_ALL_SERVERS: Final = IPv6Address("ff02::1:2")
_OPTION: Final = struct.Struct("!HH")
_ASSOCIATION: Final = struct.Struct("!4sII")
_ADDRESS: Final = struct.Struct("!16sII")

SERVER_ID: Final = struct.pack("!HH", 3, 1) + SERVICE_MAC.to_bytes(6)
"""A DUID-LL (RFC 8415 §11.4)."""


class Type(IntEnum):
    """What a message is (RFC 8415 §7.3)."""

    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    INFORMATION_REQUEST = 11


class Option(IntEnum):
    """An option of the protocol itself (RFC 8415 §21)."""

    CLIENT_ID = 1
    SERVER_ID = 2
    ADDRESSES = 3
    TEMPORARY = 4
    ADDRESS = 5
    STATUS = 13
    RAPID_COMMIT = 14
    PREFIXES = 25


class Status(IntEnum):
    """What a status code says (RFC 8415 §21.13)."""

    SUCCESS = 0
    NO_ADDRESSES = 2
    NOT_ON_LINK = 4
    NO_PREFIX = 6


_FOR_US: Final = frozenset({Type.REQUEST, Type.RENEW, Type.RELEASE, Type.DECLINE})
"""What names the server that it is for; what is not among these, and no question for information, names none."""
_KINDS: Final = _FOR_US | {Type.SOLICIT, Type.CONFIRM, Type.REBIND, Type.INFORMATION_REQUEST}


@dataclass(frozen=True, slots=True)
class Association:
    """Addresses that a machine has together (IA_NA, IA_TA or IA_PD).

    :ivar identity: its first bytes, up to the addresses.
    """

    kind: Option
    identity: bytes
    addresses: tuple[IPv6Address, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A machine's message."""

    kind: Type
    transaction: bytes
    client: bytes | None
    associations: tuple[Association, ...]
    rapid: bool


def answer(asker: Asker, frame: bytes) -> Answer:
    """Answer a port's machine."""
    datagram = read(frame)
    if datagram is None or (datagram.target, datagram.target_port) != (_ALL_SERVERS, _SERVER):
        return UNSOUND
    message = parse(datagram.payload)
    if message is None or not isinstance(datagram.source, IPv6Address):
        return UNSOUND
    world, port = asker.world, asker.port
    subnets = {fixed.subnet_id: world.subnets[fixed.subnet_id] for fixed in port.fixed_ips}
    lease = lease_v6_of(port, subnets, told(world, port))
    reply = None if lease is None else respond(message, lease)
    if reply is None:
        return HEARD
    back = Datagram(SERVICE_MAC, port.mac, SERVICE_LINK_LOCAL, datagram.source, _SERVER, datagram.source_port, reply)
    return answered(back.frame())


def parse(data: bytes) -> Message | None:
    """Read a message of a machine; None where it is no sound one, or not for us."""
    try:
        found = list(_options(data[4:]))
        associations = tuple(
            _association(Option(number), value)
            for number, value in found
            if number in {Option.ADDRESSES, Option.TEMPORARY, Option.PREFIXES}
        )
    except struct.error:
        return None
    if len(data) < 4 or data[0] not in _KINDS:  # noqa: PLR2004
        return None
    kind, said = Type(data[0]), dict(found)
    client, server = said.get(Option.CLIENT_ID), said.get(Option.SERVER_ID)
    if client is None and kind is not Type.INFORMATION_REQUEST:
        return None
    named = server == SERVER_ID if kind in _FOR_US else server is None
    if not named and not (kind is Type.INFORMATION_REQUEST and server == SERVER_ID):
        return None
    return Message(kind, data[1:4], client, associations, Option.RAPID_COMMIT in said)


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each option.

    :raises struct.error: if one is longer than the rest.
    """
    at = 0
    while at < len(data):
        number, length = _OPTION.unpack_from(data, at)
        at += _OPTION.size
        if at + length > len(data):
            raise struct.error("an option is cut off")
        yield number, data[at : at + length]
        at += length


def _association(kind: Option, value: bytes) -> Association:
    size = 4 if kind is Option.TEMPORARY else _ASSOCIATION.size
    identity = value[:4]
    if len(value) < size:
        raise struct.error("an association is cut off")
    if kind is Option.PREFIXES:
        return Association(kind, identity, ())
    inside = (_ADDRESS.unpack_from(each)[0] for number, each in _options(value[size:]) if number == Option.ADDRESS)
    return Association(kind, identity, tuple(IPv6Address(address) for address in inside))


def respond(message: Message, lease: LeaseV6) -> bytes | None:
    """The message that answers one; None where there is none."""
    match message.kind:
        case Type.SOLICIT:
            kind = Type.REPLY if message.rapid else Type.ADVERTISE
            inside = [*_assigned(message, lease), *lease.options.items()]
            if message.rapid:
                inside.append((Option.RAPID_COMMIT, b""))
            return _message(kind, message, inside)
        case Type.REQUEST | Type.RENEW | Type.REBIND:
            return _message(Type.REPLY, message, [*_assigned(message, lease), *lease.options.items()])
        case Type.CONFIRM:
            claimed = [address for each in message.associations for address in each.addresses]
            if not claimed:
                return None  # RFC 8415 §18.3.3
            on_link = set(claimed) <= set(lease.on_link)
            return _message(Type.REPLY, message, [_status(Status.SUCCESS if on_link else Status.NOT_ON_LINK)])
        case Type.RELEASE | Type.DECLINE:
            return _message(Type.REPLY, message, [_status(Status.SUCCESS)])
        case _:
            return _message(Type.REPLY, message, list(lease.options.items()))


def _assigned(message: Message, lease: LeaseV6) -> Iterator[tuple[int, bytes]]:
    """The first association gets all addresses; what a machine believes to have besides is over at once."""
    left = lease.addresses
    for each in message.associations:
        if each.kind is Option.PREFIXES:
            nothing = struct.pack("!4sII", each.identity, 0, 0) + _option(*_status(Status.NO_PREFIX))
            yield each.kind, nothing
            continue
        given = left if each.kind is Option.ADDRESSES else ()
        gone = [address for address in each.addresses if address not in given]
        inside = b"".join(
            _option(Option.ADDRESS, _ADDRESS.pack(address.packed, lease.seconds, lease.seconds)) for address in given
        )
        inside += b"".join(_option(Option.ADDRESS, _ADDRESS.pack(address.packed, 0, 0)) for address in gone)
        if not given:
            inside += _option(*_status(Status.NO_ADDRESSES))
        times = (lease.renew_after, lease.rebind_after) if given else (0, 0)
        head = each.identity if each.kind is Option.TEMPORARY else _ASSOCIATION.pack(each.identity, *times)
        yield each.kind, head + inside
        if each.kind is Option.ADDRESSES:
            left = ()


def _status(code: Status) -> tuple[int, bytes]:
    return Option.STATUS, code.to_bytes(2)


def _message(kind: Type, message: Message, inside: list[tuple[int, bytes]]) -> bytes:
    said: Mapping[int, bytes] = {} if message.client is None else {Option.CLIENT_ID: message.client}
    head = [*said.items(), (Option.SERVER_ID, SERVER_ID)]
    return bytes([kind]) + message.transaction + b"".join(_option(*each) for each in (*head, *inside))


def _option(number: int, value: bytes) -> bytes:
    return _OPTION.pack(number, len(value)) + value

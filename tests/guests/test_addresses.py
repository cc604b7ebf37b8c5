"""Each DHCP, DHCPv6 and router question gets the answer that its RFC asks for, and no bytes provoke anything else."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.framework import icmpv6, ipv6, packet_utils
from controller.guests import ANSWERERS, dhcp4, dhcp6, ra
from controller.guests.advertiser import Advertiser
from controller.guests.datagrams import Datagram, read
from controller.guests.questions import Asker, Verdict
from overlay.addressing import link_local
from overlay.changes import (
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DhcpOptionWish,
    FixedIpRequest,
    UpdateNetwork,
    UpdatePort,
)
from overlay.guests.offers import SERVICE_LINK_LOCAL, SERVICE_MAC
from overlay.values import HostName, Ipv6Mode, Mac
from tests.model.lab import Lab

H1 = HostName("h1")
MAC = Mac(0x02_00_00_00_00_01)
OWN, OTHER, GATEWAY = IPv4Address("10.0.0.2"), IPv4Address("10.0.0.77"), IPv4Address("10.0.0.1")
NOBODY, EVERYBODY = IPv4Address(0), IPv4Address(0xFFFFFFFF)
TO_ALL = 0xFFFFFFFFFFFF
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)


def furnished(*modes: Ipv6Mode | None) -> Lab:
    """Port a at h1 in a network with DHCP and one IPv6 subnet of each mode."""
    lab = Lab(hosts=1)
    lab.do(CreateNetwork("n", "p"))
    lab.do(CreateSubnet("four", "p", "n", ip_network("10.0.0.0/24"), dhcp=True))
    for number, mode in enumerate(modes):
        subnet = CreateSubnet(f"six{number}", "p", "n", ip_network(f"2001:db8:{number}::/64"), dhcp=True)
        lab.do(replace(subnet, ipv6_ra_mode=mode, ipv6_address_mode=mode))
    lab.do(CreatePort("a", "p", "n", mac=MAC, host=H1))
    lab.plug(H1, "a")
    return lab


def asker(lab: Lab) -> Asker:
    """Port a asks."""
    return Asker(lab.world, H1, lab.world.ports["a"])


# --- DHCP ------------------------------------------------------------------------------------------------------------


def dhcp(  # noqa: PLR0917
    kind: int,
    options: bytes = b"",
    own: IPv4Address = NOBODY,
    mac: int = MAC,
    flags: int = 0,
    relay: int = 0,
    name: bytes = b"",
) -> bytes:
    """A frame with a machine's question."""
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0xABCD, 3, flags) + own.packed + bytes(8) + relay.to_bytes(4)
    head += mac.to_bytes(6).ljust(16, b"\0") + name.ljust(192, b"\0") + bytes([99, 130, 83, 99])
    payload = head + bytes([0, 53, 1, kind]) + options + b"\xff"
    return Datagram(mac, TO_ALL, own, EVERYBODY, 68, 67, payload).frame()


def option(number: int, value: bytes) -> bytes:
    """An option of DHCP."""
    return bytes([number, len(value)]) + value


def wanted(ip: IPv4Address) -> bytes:
    """The wish for an address."""
    return option(50, ip.packed)


def chosen(server: IPv4Address) -> bytes:
    """The choice of a server."""
    return option(54, server.packed)


class Said:
    """What a frame with an answer says, taken apart without the code under test."""

    def __init__(self, frame: bytes) -> None:
        self.to_mac, self.from_mac = int.from_bytes(frame[:6]), int.from_bytes(frame[6:12])
        assert frame[12:14] == b"\x08\0"
        assert packet_utils.checksum(frame[14:34]) == 0
        self.source, self.target = IPv4Address(frame[26:30]), IPv4Address(frame[30:34])
        assert (frame[34:36], frame[36:38]) == ((67).to_bytes(2), (68).to_bytes(2))
        pseudo = frame[26:34] + struct.pack("!HH", 17, len(frame) - 34)
        assert packet_utils.checksum(pseudo + frame[34:]) == 0
        body = frame[42:]
        assert len(body) >= 300
        self.transaction = int.from_bytes(body[4:8])
        self.own, self.given, self.next = (IPv4Address(body[at : at + 4]) for at in (12, 16, 20))
        self.options: dict[int, bytes] = {}
        at = 240
        while body[at] != 255:
            self.options[body[at]] = body[at + 2 : at + 2 + body[at + 1]]
            at += 2 + body[at + 1]

    @property
    def kind(self) -> int:
        return self.options[53][0]


def said(lab: Lab, frame: bytes) -> Said | None:
    """The answer to a frame."""
    found = dhcp4.answer(asker(lab), frame)
    assert found.verdict is (Verdict.ANSWERED if found.frames else Verdict.HEARD)
    return Said(*found.frames) if found.frames else None


def test_a_machine_that_starts_is_offered_its_address() -> None:
    """DISCOVER gets an OFFER, and REQUEST an ACK with the same: to its own MAC and new address, from the gateway."""
    lab = furnished()
    for frame, kind in (
        (dhcp(DISCOVER), OFFER),
        (dhcp(DISCOVER, wanted(OTHER)), OFFER),
        (dhcp(REQUEST, wanted(OWN) + chosen(GATEWAY)), ACK),
        (dhcp(REQUEST, wanted(OWN)), ACK),
    ):
        answer = said(lab, frame)
        assert answer is not None
        assert (answer.kind, answer.given, answer.own, answer.next) == (kind, OWN, NOBODY, GATEWAY)
        assert (answer.source, answer.target, answer.from_mac, answer.to_mac) == (GATEWAY, OWN, SERVICE_MAC, MAC)
        assert (answer.transaction, answer.options[54]) == (0xABCD, GATEWAY.packed)
        assert answer.options[51] == (86_400).to_bytes(4)


def test_who_cannot_hear_its_new_address_is_told_by_broadcast() -> None:
    """The broadcast flag is heeded (RFC 2131 §4.1)."""
    answer = said(furnished(), dhcp(DISCOVER, flags=0x8000))
    assert answer is not None
    assert (answer.target, answer.to_mac) == (EVERYBODY, TO_ALL)


@pytest.mark.parametrize("server", [b"", chosen(GATEWAY)])
def test_a_lease_is_renewed_where_the_machine_has_the_address(server: bytes) -> None:
    """A REQUEST from its address, by unicast or broadcast, is acknowledged to that address."""
    answer = said(furnished(), dhcp(REQUEST, server, own=OWN))
    assert answer is not None
    assert (answer.kind, answer.own, answer.given, answer.target, answer.to_mac) == (ACK, OWN, OWN, OWN, MAC)


@pytest.mark.parametrize(
    "frame",
    [
        dhcp(REQUEST, wanted(OTHER)),
        dhcp(REQUEST, wanted(OTHER) + chosen(GATEWAY)),
        dhcp(REQUEST, own=OTHER),
        dhcp(REQUEST),
    ],
)
def test_a_wrong_address_is_refused(frame: bytes) -> None:
    """A REQUEST for what the port has not is a NAK to all, so that the machine starts again at once."""
    answer = said(furnished(), frame)
    assert answer is not None
    assert (answer.kind, answer.given, answer.target, answer.to_mac) == (NAK, NOBODY, EVERYBODY, TO_ALL)
    assert 51 not in answer.options


def test_who_has_an_address_is_told_the_rest() -> None:
    """INFORM gets an ACK without an address and without times."""
    answer = said(furnished(), dhcp(INFORM, own=OWN))
    assert answer is not None
    assert (answer.kind, answer.given, answer.own, answer.target) == (ACK, NOBODY, OWN, OWN)
    assert 3 in answer.options
    assert not {51, 58, 59} & set(answer.options)
    answer = said(furnished(), dhcp(INFORM))
    assert answer is not None
    assert answer.target == EVERYBODY


@pytest.mark.parametrize(
    "frame",
    [dhcp(DECLINE, wanted(OWN)), dhcp(RELEASE, own=OWN), dhcp(REQUEST, wanted(OWN) + chosen(OTHER))],
)
def test_some_questions_are_heard_without_an_answer(frame: bytes) -> None:
    """What is given back, or asked of another server."""
    assert said(furnished(), frame) is None


def test_a_port_without_a_lease_gets_no_answer() -> None:
    """One whose addresses are of other subnets."""
    lab = furnished()
    lab.do(UpdatePort("a", fixed_ips=()))
    assert said(lab, dhcp(DISCOVER)) is None


def test_a_machine_may_ask_for_another_address_of_its_port() -> None:
    """A port with several has a lease of each; the first is for who does not say."""
    lab = furnished()
    lab.do(UpdatePort("a", fixed_ips=(FixedIpRequest("four", OWN), FixedIpRequest("four", OTHER))))
    for wish, given_ in ((b"", OWN), (wanted(OTHER), OTHER)):
        answer = said(lab, dhcp(DISCOVER, wish))
        assert answer is not None
        assert answer.given == given_


def test_the_identity_of_a_client_comes_back() -> None:
    """RFC 6842; also if it comes in two parts (RFC 3396), after padding, and beside a name that is not ASCII."""
    frame = dhcp(DISCOVER, option(61, b"ab") + b"\0\0" + option(61, b"cd"), name=b"\xff\xfe")
    answer = said(furnished(), frame)
    assert answer is not None
    assert answer.options[61] == b"abcd"


@pytest.mark.parametrize("asks", [True, False])
def test_microsofts_routes_are_for_who_asks(*, asks: bool) -> None:
    """Option 249 is told to those who list it."""
    lab = furnished()
    route = DhcpOptionWish("ms-classless-static-route", "10.9.0.0/16,10.0.0.9")
    lab.do(UpdatePort("a", dhcp_options=(route, DhcpOptionWish("server-ip-address", "192.0.2.69"))))
    answer = said(lab, dhcp(DISCOVER, option(55, bytes([1, 249])) if asks else b""))
    assert answer is not None
    assert (249 in answer.options) is asks
    assert answer.next == IPv4Address("192.0.2.69")


def _changed(frame: bytes, at: int, *values: int) -> bytes:
    return frame[:at] + bytes(values) + frame[at + len(values) :]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        dhcp(DISCOVER, mac=MAC + 1),
        dhcp(OFFER),
        dhcp(99),
        dhcp(DISCOVER, relay=1),
        dhcp(DISCOVER, option(50, b"abc")),
        dhcp(DISCOVER, option(54, b"abcde")),
        dhcp(DISCOVER, bytes([77, 200, 1])),
        dhcp(DISCOVER, bytes([77]))[:-1],
        _changed(dhcp(DISCOVER), 42, 2),  # op
        _changed(dhcp(DISCOVER), 44, 5),  # hlen
        _changed(dhcp(DISCOVER), 278, 0),  # magic cookie
        _changed(dhcp(DISCOVER), 283, 54),  # no type
        _changed(dhcp(DISCOVER), 36, 0, 68),  # UDP port
        _changed(dhcp(DISCOVER), 38, 0, 7),  # UDP length
        _changed(dhcp(DISCOVER), 38, 0xFF, 0xFF),
        _changed(dhcp(DISCOVER), 14, 0x44),  # IP header length
        _changed(dhcp(DISCOVER), 14, 0x65),  # IP version
        _changed(dhcp(DISCOVER), 16, 0xFF, 0xFF),  # IP length
        _changed(dhcp(DISCOVER), 20, 0x20),  # a fragment
        _changed(dhcp(DISCOVER), 23, 6),  # TCP
        _changed(dhcp(DISCOVER), 12, 0x86, 0xDD),
        _changed(dhcp(DISCOVER), 12, 0x08, 0x06),
        dhcp(DISCOVER)[:50],
        dhcp(DISCOVER)[:200],
    ],
)
def test_what_is_no_sound_question_is_dropped(frame: bytes) -> None:
    """Of another machine, of a server or a relay, or broken anywhere."""
    assert dhcp4.answer(asker(furnished()), frame).verdict is Verdict.UNSOUND


# --- DHCPv6 ----------------------------------------------------------------------------------------------------------

CLIENT = b"\0\1\0\1client-duid"
LOCAL = IPv6Address(link_local(MAC))
ALL_SERVERS = IPv6Address("ff02::1:2")
SOLICIT, ADVERTISE, REQUEST6, CONFIRM, RENEW, REBIND, REPLY, RELEASE6, DECLINE6, RECONFIGURE, INFORMATION = range(1, 12)
OWN6 = IPv6Address("2001:db8::2")
STRANGE6 = IPv6Address("2001:db8::77")


def option6(number: int, value: bytes) -> bytes:
    """An option of DHCPv6."""
    return struct.pack("!HH", number, len(value)) + value


def association(*addresses: IPv6Address, identity: bytes = b"iaid", kind: int = 3) -> bytes:
    """An association with addresses that the machine has, or would like to have."""
    inside = b"".join(option6(5, address.packed + bytes(8)) for address in addresses)
    return option6(kind, identity + (b"" if kind == 4 else bytes(8)) + inside)


def dhcpv6(
    kind: int, options: bytes = b"", *, client: bytes | None = CLIENT, target: IPv6Address = ALL_SERVERS
) -> bytes:
    """A frame with a machine's question."""
    head = b"" if client is None else option6(1, client)
    payload = bytes([kind]) + b"xyz" + head + options
    return Datagram(MAC, 0x333300010002, LOCAL, target, 546, 547, payload).frame()


US = option6(2, dhcp6.SERVER_ID)


def taken_apart(data: bytes) -> list[tuple[int, bytes]]:
    """The options in some bytes."""
    found = []
    while data:
        number, length = struct.unpack_from("!HH", data)
        found.append((number, data[4 : 4 + length]))
        data = data[4 + length :]
    return found


def said6(lab: Lab, frame: bytes) -> tuple[int, dict[int, bytes]] | None:
    """Kind and options of the answer to a frame."""
    found = dhcp6.answer(asker(lab), frame)
    assert found.verdict is (Verdict.ANSWERED if found.frames else Verdict.HEARD)
    if not found.frames:
        return None
    back = read(*found.frames)
    assert back is not None
    assert back[:6] == (SERVICE_MAC, MAC, SERVICE_LINK_LOCAL, LOCAL, 547, 546)
    udp = found.frames[0][54:]
    pseudo = found.frames[0][22:54] + struct.pack("!II", len(udp), 17)
    assert packet_utils.checksum(pseudo + udp) == 0
    assert back.payload[1:4] == b"xyz"
    options = dict(taken_apart(back.payload[4:]))
    assert options[2] == dhcp6.SERVER_ID
    return back.payload[0], options


def assigned(value: bytes) -> tuple[bytes, int, int, dict[IPv6Address, int], int | None]:
    """What an association says: identity, times, addresses with how long they are good, and its status."""
    identity, renew, rebind = struct.unpack_from("!4sII", value)
    inside = taken_apart(value[12:])
    addresses = {IPv6Address(each[:16]): int.from_bytes(each[20:24]) for number, each in inside if number == 5}
    return (
        identity,
        renew,
        rebind,
        addresses,
        next((int.from_bytes(each) for number, each in inside if number == 13), None),
    )


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (dhcpv6(SOLICIT, association()), ADVERTISE),
        (dhcpv6(SOLICIT, association() + option6(14, b"")), REPLY),
        (dhcpv6(REQUEST6, association(OWN6) + US), REPLY),
        (dhcpv6(RENEW, association(OWN6) + US), REPLY),
        (dhcpv6(REBIND, association(OWN6)), REPLY),
    ],
)
def test_dhcpv6_gives_the_port_s_address(frame: bytes, kind: int) -> None:
    """Whether it is asked for the first time, in one step, again, or of any server."""
    answer = said6(furnished(Ipv6Mode.STATEFUL), frame)
    assert answer is not None
    assert (answer[0], answer[1][1], 14 in answer[1]) == (kind, CLIENT, kind == REPLY and frame[62] == SOLICIT)
    assert assigned(answer[1][3]) == (b"iaid", 43_200, 69_120, {OWN6: 86_400}, None)
    assert answer[1][23] == IPv6Address("2001:db8::").packed[:15] + b"\1"


def test_what_a_machine_has_no_more_ends_at_once() -> None:
    """An address that is not the port's is good for no second more; the port's own comes with it."""
    answer = said6(furnished(Ipv6Mode.STATEFUL), dhcpv6(RENEW, association(STRANGE6) + US))
    assert answer is not None
    assert assigned(answer[1][3])[3:] == ({OWN6: 86_400, STRANGE6: 0}, None)


def test_the_first_association_gets_all() -> None:
    """A second one, a temporary one, and one of prefixes get nothing, in words."""
    lab = furnished(Ipv6Mode.STATEFUL)
    more = (
        association(identity=b"more") + association(identity=b"temp", kind=4) + association(identity=b"pref", kind=25)
    )
    frame = dhcp6.answer(asker(lab), dhcpv6(SOLICIT, association() + more)).frames[0]
    back = read(frame)
    assert back is not None
    found = taken_apart(back.payload[4:])
    first, second = (assigned(value) for number, value in found if number == 3)
    assert (first[3], second) == ({OWN6: 86_400}, (b"more", 0, 0, {}, 2))
    assert [value for number, value in found if number == 4] == [b"temp" + option6(13, b"\0\2")]
    assert [assigned(value)[0::4] for number, value in found if number == 25] == [(b"pref", 6)]


@pytest.mark.parametrize(("claimed", "status"), [(OWN6, 0), (STRANGE6, 4)])
def test_a_machine_that_came_back_hears_whether_it_is_at_home(claimed: IPv6Address, status: int) -> None:
    """CONFIRM gets success for the port's own addresses, and else that they are not on the link."""
    answer = said6(furnished(Ipv6Mode.STATEFUL), dhcpv6(CONFIRM, association(claimed)))
    assert answer is not None
    assert answer[1][13] == status.to_bytes(2)
    assert said6(furnished(Ipv6Mode.STATEFUL), dhcpv6(CONFIRM, association())) is None


@pytest.mark.parametrize("kind", [RELEASE6, DECLINE6])
def test_what_is_given_back_is_thanked_for(kind: int) -> None:
    """And stays the port's."""
    answer = said6(furnished(Ipv6Mode.STATEFUL), dhcpv6(kind, association(OWN6) + US))
    assert answer is not None
    assert answer[1][13] == bytes(2)


@pytest.mark.parametrize("client", [CLIENT, None])
@pytest.mark.parametrize("server", [b"", US])
def test_stateless_dhcpv6_tells_what_goes_with_an_address(client: bytes | None, server: bytes) -> None:
    """Also to who does not say who it is."""
    answer = said6(furnished(Ipv6Mode.STATELESS), dhcpv6(INFORMATION, server, client=client))
    assert answer is not None
    assert (answer[0], answer[1].get(1), 23 in answer[1]) == (REPLY, client, True)


def test_without_stateful_subnets_there_are_no_addresses() -> None:
    """In a stateless one the answer says so, in one without DHCPv6 there is none."""
    answer = said6(furnished(Ipv6Mode.STATELESS), dhcpv6(SOLICIT, association()))
    assert answer is not None
    assert assigned(answer[1][3]) == (b"iaid", 0, 0, {}, 2)
    assert said6(furnished(Ipv6Mode.SLAAC), dhcpv6(SOLICIT, association())) is None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        dhcpv6(SOLICIT, association(), client=None),
        dhcpv6(SOLICIT, association() + US),
        dhcpv6(REQUEST6, association()),
        dhcpv6(REQUEST6, association() + option6(2, b"another")),
        dhcpv6(INFORMATION, option6(2, b"another")),
        dhcpv6(REPLY, association()),
        dhcpv6(RECONFIGURE),
        dhcpv6(12),
        dhcpv6(SOLICIT, target=SERVICE_LINK_LOCAL),
        dhcpv6(SOLICIT, b"\0\1\0\xff"),
        dhcpv6(SOLICIT, b"\0"),
        dhcpv6(SOLICIT, option6(3, b"short")),
        dhcpv6(SOLICIT, option6(4, b"abc")),
        dhcpv6(SOLICIT, option6(3, bytes(12) + option6(5, b"short"))),
        dhcpv6(SOLICIT)[:70],
        dhcpv6(SOLICIT)[:63],
        _changed(dhcpv6(SOLICIT), 14, 0x40),
        _changed(dhcpv6(SOLICIT), 18, 0xFF, 0xFF),
    ],
)
def test_what_is_no_sound_question_by_dhcpv6_is_dropped(frame: bytes) -> None:
    """Of a server or a relay, for another server, by unicast, or broken anywhere."""
    assert dhcp6.answer(asker(furnished(Ipv6Mode.STATEFUL)), frame).verdict is Verdict.UNSOUND


# --- routers ---------------------------------------------------------------------------------------------------------


def solicitation(source: IPv6Address = LOCAL, options: bytes = b"", hops: int = 255, kind: int = 133) -> bytes:
    """A frame with a machine's question for routers."""
    body = bytes([kind, 0]) + bytes(6) + options
    head = struct.pack("!IHBB", 0x6000_0000, len(body), 58, hops) + source.packed + IPv6Address("ff02::2").packed
    return bytes.fromhex("333300000002") + MAC.to_bytes(6) + b"\x86\xdd" + head + body


SOURCE = bytes([1, 1]) + MAC.to_bytes(6)


class Advertised:
    """What an advertisement says, as the framework's own parser and a few slices see it."""

    def __init__(self, frame: bytes) -> None:
        assert frame[:6] == bytes.fromhex("333300000001")
        head, _, _ = ipv6.ipv6.parser(frame[14:])
        assert (head.dst, head.hop_limit, head.nxt) == ("ff02::1", 255, 58)
        self.source, self.mac = IPv6Address(head.src), Mac(int.from_bytes(frame[6:12]))
        body = frame[54:]
        pseudo = frame[22:54] + struct.pack("!II", len(body), 58)
        assert packet_utils.checksum(pseudo + body) == 0
        message, _, _ = icmpv6.icmpv6.parser(body)
        assert message.type_ == icmpv6.ND_ROUTER_ADVERT
        self.flags, self.lifetime = message.data.res, message.data.rou_l
        self.options: dict[int, list[bytes]] = {}
        at = 16
        while at < len(body):
            self.options.setdefault(body[at], []).append(body[at : at + 8 * body[at + 1]])
            at += 8 * body[at + 1]
        assert self.options[1] == [bytes([1, 1]) + self.mac.to_bytes(6)]

    @property
    def prefixes(self) -> dict[str, int]:
        """The prefixes, and their flags."""
        return {f"{IPv6Address(each[16:])}/{each[2]}": each[3] for each in self.options[3]}


def advertised(lab: Lab, frame: bytes = solicitation()) -> Advertised:
    """The answer to a question for routers."""
    found = ra.answer(asker(lab), frame)
    assert found.verdict is Verdict.ANSWERED
    return Advertised(*found.frames)


@pytest.mark.parametrize(
    ("mode", "flags", "prefix"),
    [(Ipv6Mode.SLAAC, 0, 0xC0), (Ipv6Mode.STATELESS, 1, 0xC0), (Ipv6Mode.STATEFUL, 2, 0x80)],
)
def test_an_advertisement_says_how_to_get_an_address(mode: Ipv6Mode, flags: int, prefix: int) -> None:
    """By the mode: the M and O flags, and whether the prefix is for making addresses; and MTU, router, name server."""
    found = advertised(furnished(mode))
    assert (found.flags, found.prefixes) == (flags, {"2001:db8::/64": prefix})
    assert (found.source, found.mac, found.lifetime) == (SERVICE_LINK_LOCAL, SERVICE_MAC, 600)
    assert found.options[5] == [struct.pack("!BBHI", 5, 1, 0, 1450)]
    assert found.options[25] == [struct.pack("!BBHI", 25, 3, 0, 600) + IPv6Address("2001:db8::1").packed]


def test_a_machine_makes_addresses_only_where_its_port_has_one() -> None:
    """Another would be refused at the port; the prefix is on the link nevertheless."""
    lab = furnished(Ipv6Mode.SLAAC, Ipv6Mode.STATEFUL, None)
    subnet = CreateSubnet("late", "p", "n", ip_network("2001:db8:99::/64"), dhcp=True, gateway_ip=None)
    lab.do(replace(subnet, ipv6_ra_mode=Ipv6Mode.SLAAC, dns_nameservers=(ip_address("2001:db8::53"),)))
    found = advertised(lab)
    assert found.prefixes == {"2001:db8::/64": 0xC0, "2001:db8:1::/64": 0x80, "2001:db8:99::/64": 0x80}
    assert found.options[25][0][-16:] == IPv6Address("2001:db8::53").packed


def test_the_port_with_the_gateway_s_address_is_the_router() -> None:
    """Its own machine hears of no other; without a gateway there is none."""
    lab = furnished(Ipv6Mode.STATEFUL)
    mac = Mac(0x02_00_00_00_00_99)
    wish = FixedIpRequest("six0", ip_address("2001:db8::1"))
    lab.do(UpdatePort("a", fixed_ips=()))
    lab.do(CreatePort("router", "p", "n", mac=mac, host=H1, fixed_ips=(wish,)))
    found = advertised(lab)
    assert (found.source, found.mac, found.lifetime) == (IPv6Address(link_local(mac)), mac, 600)
    own = ra.answer(Asker(lab.world, H1, lab.world.ports["router"]), solicitation())
    assert (Advertised(*own.frames).mac, Advertised(*own.frames).lifetime) == (SERVICE_MAC, 0)


def test_without_a_mode_there_are_no_advertisements() -> None:
    """Neither asked for nor unasked."""
    lab = furnished(None)
    assert ra.answer(asker(lab), solicitation()).verdict is Verdict.HEARD
    assert list(Advertiser(lab.world).advertisements(0.0)) == []


@pytest.mark.parametrize(
    "frame", [solicitation(options=SOURCE), solicitation(IPv6Address(0)), solicitation() + b"padding"]
)
def test_a_sound_question_for_routers_is_answered(frame: bytes) -> None:
    """With or without an address of its own, and if the frame was filled up."""
    assert ra.answer(asker(furnished(Ipv6Mode.SLAAC)), frame).verdict is Verdict.ANSWERED


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        solicitation(hops=64),
        solicitation(kind=134),
        solicitation(IPv6Address(0), SOURCE),
        solicitation(options=bytes([1, 0]) + bytes(6)),
        solicitation(options=bytes([1, 2]) + bytes(6)),
        solicitation(options=b"\1"),
        solicitation()[:60],
        _changed(solicitation(), 55, 1),
        _changed(solicitation(), 20, 17),
        _changed(solicitation(), 14, 0x40),
        _changed(solicitation(), 18, 0, 4),
    ],
)
def test_what_is_no_sound_question_for_routers_is_dropped(frame: bytes) -> None:
    """RFC 4861 §6.1.1."""
    assert ra.answer(asker(furnished(Ipv6Mode.SLAAC)), frame).verdict is Verdict.UNSOUND


def test_who_has_not_asked_hears_it_too() -> None:
    """When the port becomes active, and then once an interval; never where there are no advertisements."""
    lab = furnished(Ipv6Mode.SLAAC)
    lab.do(CreateNetwork("other", "p"), CreatePort("b", "p", "other", mac=Mac(3), host=H1))
    lab.plug(H1, "b")
    advertiser = Advertiser(lab.world)
    for port_id in ("a", "b", "gone"):
        advertiser.activated(port_id)
    (told,) = advertiser.advertisements(0.0)
    assert told[:2] == (H1, "a")
    assert Advertised(told[2]).source == SERVICE_LINK_LOCAL
    assert list(advertiser.advertisements(199.0)) == []
    assert [each[1] for each in advertiser.advertisements(201.0)] == ["a"]


# --- laws ------------------------------------------------------------------------------------------------------------

EVERYTHING = furnished(Ipv6Mode.SLAAC, Ipv6Mode.STATEFUL, Ipv6Mode.STATELESS)
SOUND = [
    dhcp(DISCOVER, wanted(OWN) + option(55, b"\1\3\6")),
    dhcp(REQUEST, own=OWN),
    dhcpv6(SOLICIT, association(OWN6)),
    dhcpv6(RENEW, association(OWN6, STRANGE6) + US),
    solicitation(options=SOURCE),
]


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A sound question of which some bytes were changed, left out, or added."""
    frame = draw(st.sampled_from(SOUND))
    for at, value in draw(st.lists(st.tuples(st.integers(0, len(frame) - 1), st.integers(0, 255)), max_size=6)):
        frame = _changed(frame, at, value)
    return frame[: draw(st.integers(0, len(frame)))] + draw(st.binary(max_size=8))


@given(frame=st.one_of(spoiled(), st.binary(max_size=400)))
def test_no_bytes_break_whoever_answers(frame: bytes) -> None:
    """Whatever a machine sends there is a verdict, no exception; and an answer goes to nobody but itself or all."""
    for answer in ANSWERERS.values():
        found = answer(asker(EVERYTHING), frame)
        assert isinstance(found.verdict, Verdict)
    for answer in (dhcp4.answer, dhcp6.answer, ra.answer):
        for back in answer(asker(EVERYTHING), frame).frames:
            assert int.from_bytes(back[6:12]) == SERVICE_MAC
            assert int.from_bytes(back[:6]) in {MAC, TO_ALL, 0x333300000001}


@given(
    payload=st.binary(max_size=100),
    ports=st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    addresses=st.one_of(st.tuples(*[st.ip_addresses(v=4)] * 2), st.tuples(*[st.ip_addresses(v=6)] * 2)),
)
def test_a_datagram_comes_back_as_it_went(payload: bytes, ports: tuple[int, int], addresses: tuple) -> None:
    """What is written is read."""
    datagram = Datagram(MAC, TO_ALL, *addresses, *ports, payload)
    assert read(datagram.frame()) == datagram


def test_the_mtu_is_that_of_the_network() -> None:
    """And follows it."""
    lab = furnished(Ipv6Mode.SLAAC)
    lab.do(UpdateNetwork("n", mtu=1300))
    assert advertised(lab).options[5] == [struct.pack("!BBHI", 5, 1, 0, 1300)]
    answer = said(lab, dhcp(DISCOVER))
    assert answer is not None
    assert answer.options[26] == (1300).to_bytes(2)

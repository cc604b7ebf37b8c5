"""Open vSwitch itself decides about real packets as Neutron's rules do, and remembers what it has decided."""

from __future__ import annotations

import os
import re
import select
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from overlay.changes import (
    Confirmed,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    HostSeen,
    Plugged,
    Sent,
    Tick,
    Unplugged,
)
from overlay.compile import Compiler, Delta, units_of
from overlay.flow import Meter
from overlay.pipeline import METERS
from overlay.policy.changes import CreateSecurityGroup, CreateSecurityRule, DeleteSecurityRule
from overlay.policy.values import Direction
from overlay.tables.names import CookieKind
from overlay.values import DatapathId, Host, HostName, Vni
from overlay.world import World
from tests.model import frames
from tests.model.ofctl import ofctl
from tests.overlay.test_real_switch import HERE, IP4, IP6, MACS, TAPS, Switch

pytestmark = pytest.mark.root

SYN, RST, ACK = 0x02, 0x04, 0x10
THERE = HostName("there")
RULES = {
    "web": {"direction": Direction.INGRESS, "protocol": 6, "port_min": 80, "port_max": 83},
    "dns": {
        "direction": Direction.INGRESS,
        "protocol": 17,
        "port_min": 5353,
        "port_max": 5353,
        "remote_group_id": "clients",
    },
    "ping": {"direction": Direction.INGRESS, "protocol": 1, "port_min": 8, "port_max": 0},
    "ping6": {"direction": Direction.INGRESS, "family": 6, "protocol": 58, "port_min": 128},
    "sixth": {
        "direction": Direction.INGRESS,
        "family": 6,
        "protocol": 17,
        "remote_prefix": ip_network(f"{IPv6Address(IP6['a'])}/128"),
    },
}


def four(protocol: int, body: bytes, source: str, target: str) -> bytes:
    """An IPv4 frame between two of the machines."""
    head = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0, IP4[source], IP4[target])
    head = head[:10] + struct.pack("!H", frames.checksum(head)) + head[12:]
    return MACS[target].to_bytes(6) + MACS[source].to_bytes(6) + b"\x08\x00" + head + body


def six(protocol: int, body: bytes, source: str, target: str) -> bytes:
    """An IPv6 frame between two of the machines."""
    head = struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + IP6[source].to_bytes(16) + IP6[target].to_bytes(16)
    return MACS[target].to_bytes(6) + MACS[source].to_bytes(6) + b"\x86\xdd" + head + body


def tcp(source: str, target: str, ports: tuple[int, int], flags: int, numbers: tuple[int, int] = (0, 0)) -> bytes:
    """A TCP segment without data."""
    body = struct.pack("!HHIIBBHHH", *ports, *numbers, 5 << 4, flags, 1000, 0, 0)
    pseudo = struct.pack("!IIBBH", IP4[source], IP4[target], 0, 6, len(body))
    return four(6, body[:16] + struct.pack("!H", frames.checksum(pseudo + body)) + body[18:], source, target)


def udp(source: str, target: str, ports: tuple[int, int], data: bytes = b"") -> bytes:
    """A UDP datagram without a checksum."""
    return four(17, struct.pack("!HHHH", *ports, 8 + len(data), 0) + data, source, target)


def icmp(source: str, target: str, kind: int, code: int = 0) -> bytes:
    """An ICMP message with an identifier."""
    body = struct.pack("!BBHHH", kind, code, 0, 7, 1)
    return four(1, body[:2] + struct.pack("!H", frames.checksum(body)) + body[4:], source, target)


def udp6(source: str, target: str, ports: tuple[int, int]) -> bytes:
    """A UDP datagram by IPv6."""
    body = struct.pack("!HHHH", *ports, 8, 0)
    total = frames.checksum(_pseudo(source, target, 17, body) + body)
    return six(17, body[:6] + struct.pack("!H", total), source, target)


def icmp6(source: str, target: str, kind: int) -> bytes:
    """An ICMPv6 message with an identifier."""
    body = struct.pack("!BBHHH", kind, 0, 0, 7, 1)
    total = frames.checksum(_pseudo(source, target, 58, body) + body)
    return six(58, body[:2] + struct.pack("!H", total) + body[4:], source, target)


def _pseudo(source: str, target: str, protocol: int, body: bytes) -> bytes:
    return IP6[source].to_bytes(16) + IP6[target].to_bytes(16) + struct.pack("!II", len(body), protocol)


def fragments(frame: bytes, size: int = 1400) -> list[bytes]:
    """The two fragments of an IPv4 frame, of which the second has no ports."""
    head, body = frame[14:34], frame[34:]
    parts = []
    for offset, part in ((0, body[:size]), (size, body[size:])):
        flags = (0x2000 if offset == 0 else 0) | offset // 8
        fresh = head[:2] + struct.pack("!HHH", 20 + len(part), 77, flags) + head[8:10] + b"\0\0" + head[12:]
        parts.append(frame[:14] + fresh[:10] + struct.pack("!H", frames.checksum(fresh)) + fresh[12:] + part)
    return parts


class Place:
    """A world of two machines at one switch, which holds what is compiled."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self.world = World()
        self.compiler = Compiler(self.world)
        self.metered: set[Meter] = set()
        self.do(HostSeen(Host(HERE, IPv4Address("127.0.0.1"), DatapathId(1), 1)))
        self.do(Confirmed(HERE, 0))
        self.do(CreateNetwork("net", "p", vni=Vni(100)))
        self.do(CreateSubnet("four", "p", "net", ip_network("10.0.0.0/24")))
        self.do(CreateSubnet("six", "p", "net", ip_network("2001:db8::/64")))
        for group in ("clients", "servers"):
            self.do(CreateSecurityGroup(group, "p", (f"{group}4", f"{group}6"), group))
        for name, groups in (("a", ("clients",)), ("b", ("servers",))):
            self.do(CreatePort(name, "p", "net", mac=MACS[name], host=HERE, security_groups=groups))
            self.do(Plugged(HERE, name, TAPS[name]))
        for name, rule in RULES.items():
            self.do(CreateSecurityRule(name, "p", "servers", **rule))
        self.install(self.compiler.refresh(units_of(self.world)).get(HERE, Delta()))

    def do(self, change: object, now: float = 0.0) -> None:
        """Apply a change and bring the switch up to date, and what follows when that is confirmed."""
        outcome = self.world.apply(change, now)
        self.install(self.compiler.refresh(outcome.dirty).get(HERE, Delta()))
        while outcome.waits:
            outcome = self.world.apply(Sent(outcome.waits), now)
            self.install(self.compiler.refresh(outcome.dirty).get(HERE, Delta()))

    def move_about(self, name: str) -> None:
        """Let a machine go to another host and come back."""
        self.do(HostSeen(Host(THERE, IPv4Address("127.0.0.2"), DatapathId(2), 1)))
        self.do(Confirmed(THERE, 0))
        for time, (source, target) in enumerate(((HERE, THERE), (THERE, HERE)), start=1):
            self.do(Unplugged(source, name))
            self.do(Plugged(target, name, TAPS[name]))
            self.do(Tick(), 100.0 * time)
        assert self.world.ports[name].host == HERE

    def forget(self, name: str) -> None:
        """Let the switch forget the connections of a machine, as one has forgotten them where it comes new."""
        self.switch.run(
            "ovs-appctl", "-t", f"{self.switch.where}/vs.ctl", "dpctl/flush-conntrack", f"zone={TAPS[name]}"
        )

    def install(self, delta: Delta) -> None:
        """Change flows, as one bundle, after the meters that are new."""
        for meter in set(delta.meters) - self.metered:
            self.switch.add(meter)
        self.metered.update(delta.meters)
        lines = [f"add {ofctl(flow)}" for flow in delta.put]
        lines += [f"delete_strict {ofctl(flow).partition(',actions=')[0]}" for flow in delta.remove]
        lines = [line if line.startswith("add") else re.sub(",cookie=[^,]*", "", line) for line in lines]
        flows = self.switch.where / "change"
        flows.write_text("\n".join(lines))
        remote = f"unix:{self.switch.where}/ovt-int.mgmt"
        if lines:
            self.switch.run("ovs-ofctl", "-O", "OpenFlow15", "--bundle", "add-flows", remote, str(flows))
            # What the datapath has cached from the flows before is looked through a moment after they have changed.
            self.switch.run("ovs-appctl", "-t", f"{self.switch.where}/vs.ctl", "revalidator/wait")

    def hears(self, source: str, target: str, frame: bytes) -> bool:
        """Whether a frame gets to a machine; what else it hears is not looked at."""
        while select.select([self.switch.files[target]], [], [], 0)[0]:
            os.read(self.switch.files[target], 2000)
        os.write(self.switch.files[source], frame)
        while select.select([self.switch.files[target]], [], [], 0.6)[0]:
            if os.read(self.switch.files[target], 2000) == frame:
                return True
        return False

    def all_heard(self, target: str) -> list[bytes]:
        """All that a machine hears until it is quiet."""
        heard = []
        while select.select([self.switch.files[target]], [], [], 0.6)[0]:
            heard.append(os.read(self.switch.files[target], 2000))
        return heard

    def refused(self, kind: CookieKind) -> int:
        """How many packets were counted as refused."""
        mask = 0xFFFFFF << 40
        text = self.switch.ofctl("dump-flows", f"cookie={0x564C << 48 | kind << 40:#x}/{mask:#x}")
        return sum(int(part.split("=")[1]) for part in text.replace(",", " ").split() if part.startswith("n_packets="))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The place."""
    it = Switch(tmp_path_factory.mktemp("ovs"), f"ovp-{os.getpid()}")
    try:
        it.start()
        for meter in METERS:
            it.add(meter)
        yield Place(it)
    finally:
        it.stop()


SAMPLES: dict[str, tuple[Callable[[], bytes], bool]] = {
    "a service that is allowed": (lambda: tcp("a", "b", (1001, 80), SYN), True),
    "the last of a range": (lambda: tcp("a", "b", (1002, 83), SYN), True),
    "the one after a range": (lambda: tcp("a", "b", (1003, 84), SYN), False),
    "the one before a range": (lambda: tcp("a", "b", (1004, 79), SYN), False),
    "the same port of another protocol": (lambda: udp("a", "b", (1005, 80)), False),
    "a service for a group's members": (lambda: udp("a", "b", (1006, 5353)), True),
    "another of that protocol": (lambda: udp("a", "b", (1007, 5354)), False),
    "an ICMP type and code": (lambda: icmp("a", "b", 8), True),
    "another ICMP type": (lambda: icmp("a", "b", 13), False),
    "an ICMPv6 type": (lambda: icmp6("a", "b", 128), True),
    "a protocol from a prefix": (lambda: udp6("a", "b", (1008, 99)), True),
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_switch_decides_as_the_rules_do(place: Place, sample: str) -> None:
    """What a rule allows arrives; what none does is dropped and counted at the receiver."""
    make, allowed = SAMPLES[sample]
    before = place.refused(CookieKind.REFUSED_IN)
    assert place.hears("a", "b", make()) == allowed
    if not allowed:
        wait = 0
        while place.refused(CookieKind.REFUSED_IN) == before and wait < 50:
            select.select([], [], [], 0.1)
            wait += 1
        assert place.refused(CookieKind.REFUSED_IN) == before + 1


def test_the_other_way_round_nothing_begins(place: Place) -> None:
    """The clients' group lets nothing in: only answers pass."""
    assert not place.hears("b", "a", tcp("b", "a", (80, 2001), SYN))
    assert place.hears("a", "b", udp("a", "b", (2002, 5353)))
    assert place.hears("b", "a", udp("b", "a", (5353, 2002)))
    assert not place.hears("b", "a", udp("b", "a", (5353, 2003)))


def test_a_connection_ends_with_its_rule(place: Place) -> None:
    """A TCP connection that was going on stops when its rule goes, both ways; another one does not."""
    place.do(CreateSecurityRule("tls", "p", "servers", Direction.INGRESS, 4, 6, 443, 443))
    for port in (443, 80):
        assert place.hears("a", "b", tcp("a", "b", (3001, port), SYN, (100, 0)))
        assert place.hears("b", "a", tcp("b", "a", (port, 3001), SYN | ACK, (500, 101)))
        assert place.hears("a", "b", tcp("a", "b", (3001, port), ACK, (101, 501)))
    place.do(DeleteSecurityRule("tls"))
    assert not place.hears("a", "b", tcp("a", "b", (3001, 443), ACK, (101, 501)))
    assert not place.hears("b", "a", tcp("b", "a", (443, 3001), ACK, (501, 101)))
    assert place.hears("a", "b", tcp("a", "b", (3001, 80), ACK, (101, 501)))
    assert place.hears("b", "a", tcp("b", "a", (80, 3001), ACK, (501, 101)))


def test_fragments_pass_as_their_first_one_does(place: Place) -> None:
    """A datagram in two fragments arrives if its port is allowed, and its connection goes on; another one does not."""
    for port, allowed in ((5353, True), (5354, False)):
        for _ in range(2):
            first, second = fragments(udp("a", "b", (5001, port), bytes(2000)))
            assert not place.hears("a", "b", first)  # the switch waits for the other one
            while select.select([place.switch.files["b"]], [], [], 0)[0]:
                os.read(place.switch.files["b"], 2000)
            os.write(place.switch.files["a"], second)
            heard = place.all_heard("b")
            assert (first in heard) == allowed
            assert not allowed or second in heard
        assert place.hears("a", "b", udp("a", "b", (5001, port))) == allowed


def test_broadcast_passes_the_receivers_policy(place: Place) -> None:
    """A broadcast that a rule allows arrives, one that none does not."""

    def broadcast(frame: bytes) -> bytes:
        return b"\xff" * 6 + frame[6:]

    assert place.hears("a", "b", broadcast(udp("a", "b", (4001, 5353))))
    assert not place.hears("a", "b", broadcast(udp("a", "b", (4002, 5354))))


def test_what_a_moved_machine_is_told_goes_on(place: Place) -> None:
    """A segment from the middle of a connection passes at a port that has moved, both ways, and at no other."""
    place.move_about("b")
    assert place.hears("a", "b", tcp("a", "b", (9000, 7001), ACK, (100, 500)))
    assert place.hears("b", "a", tcp("b", "a", (7001, 9000), ACK, (500, 101)))
    assert place.hears("a", "b", tcp("a", "b", (9000, 7001), ACK, (101, 501)))
    assert not place.hears("b", "a", tcp("b", "a", (9001, 7001), ACK, (100, 500)))


def test_nothing_can_be_begun_with_it(place: Place) -> None:
    """What opens a connection, or ends one, is none of the middle; nor does it pass because something else did."""
    for number, flags in enumerate((SYN, SYN | ACK, RST, RST | ACK), start=7010):
        assert not place.hears("a", "b", tcp("a", "b", (9000, number), flags, (100, 500)))
    assert not place.hears("a", "b", udp("a", "b", (9000, 7020)))
    assert place.hears("a", "b", tcp("a", "b", (9000, 7021), ACK, (100, 500)))
    assert not place.hears("a", "b", tcp("a", "b", (9000, 7021), SYN, (101, 0)))
    assert place.hears("a", "b", tcp("a", "b", (9000, 7021), ACK, (101, 500)))


def test_what_was_brought_along_ends_with_its_rule(place: Place) -> None:
    """A connection ends when its rule has gone that let the machine begin it, and revives with it."""
    there, back = tcp("a", "b", (9000, 7031), ACK, (100, 500)), tcp("b", "a", (7031, 9000), ACK, (500, 100))
    assert place.hears("a", "b", there)
    assert place.hears("b", "a", back)
    place.do(DeleteSecurityRule("servers4"))
    assert place.hears("a", "b", there)  # nobody has asked yet
    assert not place.hears("b", "a", back)
    assert not place.hears("a", "b", there)
    place.do(CreateSecurityRule("servers4", "p", "servers", Direction.EGRESS, 4))
    assert place.hears("b", "a", back)
    assert place.hears("a", "b", there)


def test_what_a_moved_machine_answers_goes_on(place: Place) -> None:
    """A machine that may begin nothing goes on answering, as long as a rule lets in what it answers."""
    place.do(DeleteSecurityRule("servers4"))
    for source, target, ports, flags, numbers in (
        ("a", "b", (7041, 80), SYN, (100, 0)),
        ("b", "a", (80, 7041), SYN | ACK, (500, 101)),
        ("a", "b", (7041, 80), ACK, (101, 501)),
    ):
        assert place.hears(source, target, tcp(source, target, ports, flags, numbers))
    place.forget("b")
    there, back = tcp("a", "b", (7041, 80), ACK, (101, 501)), tcp("b", "a", (80, 7041), ACK, (501, 101))
    assert place.hears("b", "a", back)
    assert place.hears("a", "b", there)
    place.do(DeleteSecurityRule("web"))
    assert not place.hears("a", "b", there)
    assert not place.hears("b", "a", back)

"""Multicast reaches the machines that joined its group, on whatever host, and no other machine or host."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address
from typing import TypeAlias

import pytest

from tests.e2e.scene import IPV4, IPV4_SUBNET, IPV6_SUBNET, Ears, Heard, Net, Scene, mac_number, say, wait
from tests.guests.test_listening import RecordType, records4
from topologies import namespace
from topologies.orders import VmStatus

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "linear", {"switches": 4}
SETTINGS = {"overlay": {"multicast_query_interval": 2.0}}
PORT = 5007
FOUR, TWIN, SIX = "239.1.1.1", "239.129.1.1", "ff05::7:7"
LINK = "224.0.0.251"
IGMP, QUESTION = 2, 0x11
HOMES = {"source": "h1", "near": "h1", "far": "h2", "further": "h3", "deaf": "h4"}


Reached: TypeAlias = tuple[list[str], list[str]]
"""The machines whose cards a packet reached, and the hosts to which a tunnel carried it."""

NOBODY: Reached = ([], [])


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A dual-stack network with a machine that sends and one that can listen at one host, and one at each other."""
    net = scene.network("red", IPV4_SUBNET, IPV6_SUBNET)
    for name, host in HOMES.items():
        scene.vm(name, host, net)
    return net


class Radio:
    """A machine's socket that listens to a group, as any program's; the machine's kernel does the rest."""

    def __init__(self, vm: VmStatus, group: str) -> None:
        self._group = group
        family = socket.AF_INET6 if ":" in group else socket.AF_INET
        with namespace.inside(vm.pid):
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._card = socket.if_nametoindex("eth0")
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((group, PORT))
            self._set(on=True)

    def _set(self, *, on: bool) -> None:
        if ":" in self._group:
            wanted = socket.inet_pton(socket.AF_INET6, self._group) + struct.pack("@I", self._card)
            option = socket.IPV6_JOIN_GROUP if on else socket.IPV6_LEAVE_GROUP
            self._socket.setsockopt(socket.IPPROTO_IPV6, option, wanted)
        else:
            wanted = socket.inet_aton(self._group) + bytes(4) + struct.pack("@I", self._card)
            option = socket.IP_ADD_MEMBERSHIP if on else socket.IP_DROP_MEMBERSHIP
            self._socket.setsockopt(socket.IPPROTO_IP, option, wanted)

    def leave(self) -> None:
        """Listen no more; the socket stays open."""
        self._set(on=False)

    def heard(self, quiet: float = 0.3) -> list[bytes]:
        """What has come, until nothing more does."""
        found = []
        while select.select([self._socket], (), (), quiet)[0]:
            found.append(self._socket.recv(2048))
        return found

    def close(self) -> None:
        """Switch it off."""
        self._socket.close()


Radios: TypeAlias = dict[tuple[str, str], Radio]
"""By machine and group."""


@pytest.fixture
def radios(scene: Scene, net: Net) -> Iterator[Radios]:
    """Radios of this test; all are off and forgotten afterwards."""
    found: Radios = {}
    with ExitStack() as stack:
        stack.callback(lambda: wait(lambda: members(scene, net) == {}, "nobody listens any more"))
        yield found
        for radio in found.values():
            radio.close()


def listen(scene: Scene, net: Net, radios: Radios, groups: Iterable[str], *names: str) -> None:
    """Have machines join groups, and wait until the network knows."""
    vms = scene.vms()
    radios.update({(name, group): Radio(vms[name], group) for name in names for group in groups})
    wait(lambda: members(scene, net) == {group: set(names) for group in groups}, f"{names} listen to {groups}")


def members(scene: Scene, net: Net) -> dict[str, set[str]]:
    """Which machines listen to which group, as the tenant is told."""
    names = {vm.port_id: vm.name for vm in scene.vms().values()}
    shown = scene.ask("GET", f"/v1/networks/{net.id}/multicast", project=net.project)["multicast"]["groups"]
    return {each["group"]: {names[member["port_id"]] for member in each["members"]} for each in shown}


def send(scene: Scene, group: str, *what: bytes) -> None:
    """The source sends to a group."""
    vm = scene.vms()["source"]
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    with namespace.inside(vm.pid), socket.socket(family, socket.SOCK_DGRAM) as mouth:
        card = socket.if_nametoindex("eth0")
        if family == socket.AF_INET6:
            mouth.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, card)
        else:
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + struct.pack("@I", card))
        for each in what:
            mouth.sendto(each, (group, PORT))


def carried(scene: Scene, *groups: str) -> dict[str, Reached]:
    """Send to groups: which machines' cards were reached, and to which hosts tunnels carried copies, one for each."""
    las = {each.la: each.name for each in scene.lab.status().hypervisors}
    with Ears(scene.lab, *HOMES, interfaces=("eth0",)) as cards, Ears(scene.lab, "s1") as wire:
        for group in groups:
            send(scene, group, marker(group))
        came = [each for each in cards.hear() if not each.outgoing]
        left = [each for each in wire.hear(0.2, most=0.2) if not each.outgoing and each.outer is not None]
    found = {}
    for group in groups:
        outer = [each.outer for each in left if marker(group) in each.frame and each.outer is not None]
        assert {las[source] for source, _ in outer} <= {"h1"}
        names = sorted(each.node for each in came if marker(group) in each.frame)
        found[group] = (names, sorted(las[target] for _, target in outer))
    return found


def marker(group: str) -> bytes:
    """What is said to a group; of which none is the beginning of another's."""
    return f"to {group}.".encode()


def test_only_members_get_copies(scene: Scene, net: Net, radios: Radios) -> None:
    """Members hear it once, no other card is reached, and the fabric carries one copy to each host with members."""
    assert carried(scene, FOUR, SIX) == {FOUR: NOBODY, SIX: NOBODY}
    listen(scene, net, radios, (FOUR, SIX), "near", "far", "further")
    everybody = (["far", "further", "near"], ["h2", "h3"])
    assert carried(scene, FOUR, SIX, TWIN) == {FOUR: everybody, SIX: everybody, TWIN: NOBODY}
    for (_, group), radio in radios.items():
        assert radio.heard() == [marker(group)]
    radios["far", FOUR].leave()
    radios["far", SIX].leave()
    wait(lambda: members(scene, net) == {group: {"near", "further"} for group in (FOUR, SIX)}, "one has left")
    others = (["further", "near"], ["h3"])
    assert carried(scene, FOUR, SIX) == {FOUR: others, SIX: others}


@pytest.mark.usefixtures("net")
def test_what_is_for_the_link_everybody_gets(scene: Scene) -> None:
    """A group of the link is flooded: machines could not find each other without."""
    everybody = (sorted(name for name in HOMES if name != "source"), ["h2", "h3", "h4"])
    assert carried(scene, LINK) == {LINK: everybody}


def test_reports_are_for_the_network_alone(scene: Scene, net: Net, radios: Radios) -> None:
    """No machine hears what another one listens to, and each is asked by the network itself."""
    igmp: list[Heard] = []
    with Ears(scene.lab, *HOMES, interfaces=("eth0",)) as cards:

        def all_were_asked() -> bool:
            igmp.extend(each for each in cards.hear(most=0.3) if each.kind == IPV4 and each.frame[23] == IGMP)
            return {each.node for each in igmp if not each.outgoing} == set(HOMES)

        listen(scene, net, radios, (FOUR,), "far")
        wait(all_were_asked, "all machines are asked")
    assert {each.frame[38] for each in igmp if not each.outgoing} == {QUESTION}
    assert "far" in {each.node for each in igmp if each.outgoing}


def test_a_member_moves(scene: Scene, net: Net, radios: Radios) -> None:
    """A member that moves hears everything that is sent meanwhile, once, and goes on hearing at its new host."""
    listen(scene, net, radios, (SIX,), "far")
    said = [b"number %d" % number for number in range(50)]
    send(scene, SIX, *said[:20])
    scene.lab.vm_move("far", "h4")
    send(scene, SIX, *said[20:])
    assert radios["far", SIX].heard() == said
    assert carried(scene, SIX) == {SIX: (["far"], ["h4"])}
    scene.lab.vm_move("far", "h2")


def test_silence_ends_a_membership(scene: Scene, net: Net) -> None:
    """A port whose machine does not answer for a group any more is forgotten."""
    vm = scene.vms()["deaf"]
    report = records4((RecordType.TO_EXCLUDE, IPv4Address(TWIN), 0))
    card, address = mac_number(vm.mac).to_bytes(6), IPv4Address(scene.ip("deaf")).packed
    say(vm, report[:6] + card + report[12:26] + address + report[30:])
    wait(lambda: members(scene, net) == {TWIN: {"deaf"}}, "it has joined")
    wait(lambda: members(scene, net) == {}, "it is forgotten")


def test_a_restarted_controller_takes_nobody_out(scene: Scene, net: Net, radios: Radios) -> None:
    """While the controller is dead and after it is back members hear what is sent, and no switch is told anything."""
    listen(scene, net, radios, (FOUR,), "near", "far", "further")
    everybody = (["far", "further", "near"], ["h2", "h3"])
    scene.lab.kill_controller(hard=True)
    assert carried(scene, FOUR) == {FOUR: everybody}
    scene.lab.start_controller()
    wait(scene.all_connected, "all switches are connected again", 40)
    assert carried(scene, FOUR) == {FOUR: everybody}
    assert members(scene, net) == {FOUR: {"near", "far", "further"}}
    assert {dpid: mods for dpid, mods in scene.sent().items() if mods != (0, 0)} == {}

"""Which way does a packet really take?

Not the model's word for it: packet sockets in every switch's and hypervisor's namespace see the frames on the wire.  A
marked UDP datagram is sent from one machine to another, and wherever the marker turns up, bare at a tap or inside of
VXLAN on a fabric link, is a step of its path.
"""

from __future__ import annotations

import secrets
import select
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from topologies import namespace
from topologies.client import LabClient
from topologies.errors import LabError, NoSuchNode, TopologyError
from topologies.orders import Kind, LabStatus
from topologies.probing import address_of

Place: TypeAlias = tuple[str, str]
"""A node and one of its interfaces."""

_ETH_P_ALL: Final = 3
_PACKET_OUTGOING: Final = 4
_SO_TIMESTAMPNS: Final = 35
_SO_RCVBUFFORCE: Final = 33
_TIMESPEC: Final = struct.Struct("@qq")
_VXLAN_PORT: Final = 4789
_UDP: Final = 17
_IPV4: Final = 0x0800
_ETHERNET, _IP, _UDP_HEADER, _VXLAN = 14, 20, 8, 8
_SNAPSHOT: Final = 2048


@dataclass(frozen=True, slots=True)
class Sighting:
    """The packet, seen on one interface."""

    time_ns: int
    """The kernel's own time stamp (CLOCK_REALTIME)."""
    node: str
    interface: str
    port: int
    """The OpenFlow port number on a fabric switch; 0 elsewhere."""
    outgoing: bool
    vni: int | None
    """The VXLAN network identifier, ``None`` where the frame is bare."""
    outer: tuple[str, str] | None
    """The LAs that the packet travels between."""
    inner_destination: str
    """The MAC of the inner frame's destination."""

    @property
    def place(self) -> Place:
        """The node and its interface."""
        return self.node, self.interface


@dataclass(frozen=True, slots=True)
class Step:
    """A node on the path, with the port that the packet came in by and the one it left by."""

    node: str
    in_interface: str | None
    in_port: int
    out_interface: str | None
    out_port: int


@dataclass(frozen=True, slots=True)
class Path:
    """The way that one packet took, first node first."""

    steps: tuple[Step, ...]
    sightings: tuple[Sighting, ...]
    vni: int | None
    """The VNI that it was carried with, ``None`` if it never left its hypervisor."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes, in order."""
        return tuple(step.node for step in self.steps)


class Ears:
    """Packet sockets in every switch's and hypervisor's namespace.

    :raises OSError: if a namespace is gone.
    """

    def __init__(self, status: LabStatus) -> None:
        self._sockets: dict[int, tuple[str, socket.socket]] = {}
        self._ports: dict[tuple[str, str], int] = {}
        for link in status.links:
            self._ports[link.one, link.one_interface] = link.one_port
            self._ports[link.other, link.other_interface] = link.other_port
        pids = {each.name: each.pid for each in status.switches}
        pids |= {each.name: each.pid for each in status.hypervisors}
        for name, pid in pids.items():
            with namespace.inside(pid):
                ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            ear.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 22)
            ear.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            ear.setblocking(False)
            self._sockets[ear.fileno()] = (name, ear)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for _name, ear in self._sockets.values():
            ear.close()

    def listen(self, marker: bytes, seconds: float) -> list[Sighting]:
        """Everything that carries the marker and is seen until nothing more comes for ``seconds``."""
        found: list[Sighting] = []
        poller = select.poll()
        for fd in self._sockets:
            poller.register(fd, select.POLLIN)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for fd, _event in poller.poll(left * 1000):
                seen = self._drain(fd, marker)
                if seen:
                    found += seen
                    deadline = time.monotonic() + seconds
        return sorted(found, key=lambda sighting: sighting.time_ns)

    def _drain(self, fd: int, marker: bytes) -> list[Sighting]:
        name, ear = self._sockets[fd]
        found: list[Sighting] = []
        while True:
            try:
                frame, notes, _flags, (interface, _protocol, kind, _arp, _mac) = ear.recvmsg(_SNAPSHOT, 64)
            except BlockingIOError:
                return found
            if marker not in frame:
                continue
            stamp = time.time_ns()
            for level, what, data in notes:
                if level == socket.SOL_SOCKET and what == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = _TIMESPEC.unpack_from(data)
                    stamp = seconds * 10**9 + nanoseconds
            vni, outer, inner = dissect(frame)
            port = self._ports.get((name, interface), 0)
            found.append(
                Sighting(stamp, name, interface, port, kind == _PACKET_OUTGOING, vni, outer, _mac_text(inner[:6]))
            )


def dissect(frame: bytes) -> tuple[int | None, tuple[str, str] | None, bytes]:
    """The VNI, the outer addresses and the inner frame of a VXLAN packet (RFC 7348 §5); of others, the frame itself."""
    if len(frame) < _ETHERNET + _IP + _UDP_HEADER + _VXLAN or frame[12:14] != _IPV4.to_bytes(2):
        return None, None, frame
    header = (frame[_ETHERNET] & 15) * 4
    udp = _ETHERNET + header
    if frame[_ETHERNET + 9] != _UDP or int.from_bytes(frame[udp + 2 : udp + 4]) != _VXLAN_PORT:
        return None, None, frame
    vxlan = udp + _UDP_HEADER
    addresses = frame[_ETHERNET + 12 : _ETHERNET + 16], frame[_ETHERNET + 16 : _ETHERNET + 20]
    outer = socket.inet_ntoa(addresses[0]), socket.inet_ntoa(addresses[1])
    return int.from_bytes(frame[vxlan + 4 : vxlan + 7]), outer, frame[vxlan + _VXLAN :]


def _mac_text(mac: bytes) -> str:
    return mac.hex(":")


def trace(lab: LabClient, one: str, other: str, *, seconds: float = 0.5, tries: int = 3) -> Path:
    """Send a marked UDP datagram from one machine to another and tell the way that it took.

    :param seconds: how long to listen after the last sighting. :param tries: datagrams that may be lost before.
    :raises LabError: if the datagram is seen nowhere, or does not arrive at the other machine's tap.
    """
    status = lab.status()
    machines = {machine.name: machine for machine in status.vms}
    for name in (one, other):
        if name not in machines:
            raise NoSuchNode(f"there is no virtual machine {name!r}", "name")
    if machines[one].kind is Kind.QEMU:
        raise TopologyError(f"one: {one} is a QEMU guest, from which nobody can send a packet of his own", "one")
    destination = address_of(lab, other)
    cables: dict[Place, Place] = {}
    for link in status.links:
        one_end, other_end = (link.one, link.one_interface), (link.other, link.other_interface)
        cables |= {one_end: other_end, other_end: one_end}
    for _ in range(tries):
        marker = b"vl2-trace-" + secrets.token_bytes(16)
        with Ears(status) as ears:
            with namespace.inside(machines[one].pid):
                sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with sender:
                sender.sendto(marker, (destination, 7011))
            # The other machine may answer "port unreachable", which quotes the marker on its way back.
            seen = [each for each in ears.listen(marker, seconds) if each.inner_destination == machines[other].mac]
        path = order(seen, cables)
        if path.steps and path.steps[-1].node == machines[other].host:
            return path
    raise LabError(f"a packet from {one} to {other} ({destination}) does not arrive; it was seen at {path.nodes}")


def order(sightings: list[Sighting], cables: Mapping[Place, Place]) -> Path:
    """Turn sightings of one packet into its path.

    What leaves a node by a cable comes in at the cable's other end: the sightings say where the packet was, the cables
    in which order.  (Time stamps alone would not do: two processors' clock readings may swap neighbours.)

    :param cables: from each end of a cable to its other end; an interface that is no cable's end is a machine's tap.
    """
    arrivals = [seen for seen in sightings if not seen.outgoing]
    departures = [seen for seen in sightings if seen.outgoing]
    steps: list[Step] = []
    seen_in = next((seen for seen in arrivals if seen.place not in cables), None)
    while seen_in is not None:
        arrivals.remove(seen_in)
        seen_out = next((seen for seen in departures if seen.node == seen_in.node), None)
        if seen_out is None:
            steps.append(Step(seen_in.node, seen_in.interface, seen_in.port, None, 0))
            break
        departures.remove(seen_out)
        steps.append(Step(seen_in.node, seen_in.interface, seen_in.port, seen_out.interface, seen_out.port))
        far = cables.get(seen_out.place)
        seen_in = next((seen for seen in arrivals if seen.place == far), None)
    vnis = {seen.vni for seen in sightings} - {None}
    return Path(tuple(steps), tuple(sightings), next(iter(vnis), None))

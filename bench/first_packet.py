"""How long does it take from the wish for a port to its first packet?

A port is created by REST and plugged by a raw OVSDB transaction; a peer on another hypervisor sends to it a thousand
times a second until an answer is back.  The same plug into a bridge beside br-int, to which ``ovs-ofctl`` has added the
port's flows beforehand, is what Open vSwitch itself costs; the two are measured in turns.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from bench.bed import Bed, bed, wait
from bench.ovsdb import Plug
from bench.record import Notebook, percentile
from bench.taps import Guest, Holder, first_through

NEAR: Final = 0
FAR: Final = 1
"""Which hypervisors the peer and the new ports are on."""

_BRIDGE: Final = "br-static"
_TUNNEL: Final = 1
_TUNNEL_UDP: Final = 4790
_VNI: Final = 4_000_001
_ANY_GUEST: Final = "02:f1:00:00:00:00/ff:ff:00:00:00:00"
_CIDR: Final = "192.168.128.0/17"
_WANTED: Final = "at most half of OVN's 17.8 ms (p50)"
_TOKENS: Final = count(1)


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds until an answer was back: from the beginning, and from the moment the plug was committed."""

    in_all: float
    after_plug: float


def guests(prefix: str, first: int, number: int) -> list[Guest]:
    """Guests with taps and addresses of their own."""
    numbers = range(first, first + number)
    return [
        Guest(f"{prefix}{n}", f"02:f1:00:00:{n >> 8:02x}:{n & 255:02x}", f"192.168.{128 + (n >> 8)}.{n & 255}")
        for n in numbers
    ]


class Overlay:
    """Ports as VL2 makes them."""

    def __init__(self, place: Bed, holder: Holder, peer: Guest) -> None:
        self._place = place
        self._holder = holder
        self._peer = peer
        self._network = place.network("first-packet", _CIDR)
        self._near, self._far = place.hosts[NEAR], place.hosts[FAR]
        self._database = place.databases[self._far]
        port = self._create(peer, self._near)
        place.databases[self._near].plug([Plug(peer.tap, port)])

    def _create(self, guest: Guest, host: str) -> str:
        port = self._place.port(
            self._network, host, mac_address=guest.mac, fixed_ips=[{"ip_address": guest.ip}], name=guest.tap
        )
        return str(port["id"])

    def once(self, guest: Guest) -> Took:
        """Create, plug, wait for the first packet; then take it away again."""
        began = time.monotonic()
        port = self._create(guest, self._far)
        self._database.plug([Plug(guest.tap, port)])
        plugged = time.monotonic()
        through = first_through(self._holder, self._peer, guest, next(_TOKENS)).both_ways
        self._database.unplug([guest.tap])
        self._place.rest.ask("DELETE", f"/v2.0/ports/{port}")
        self._database.sync()
        return Took((through - began) * 1000, (through - plugged) * 1000)


class Static:
    """The same plug with flows that are known beforehand."""

    def __init__(self, place: Bed, holder: Holder, peer: Guest) -> None:
        self._place = place
        self._holder = holder
        self._peer = peer
        self._ofports = count(10)
        self._near, self._far = (place.hypervisor(place.hosts[which]) for which in (NEAR, FAR))
        for each in (self._near, self._far):
            words = (
                f"add-br {_BRIDGE} -- set Bridge {_BRIDGE} datapath_type={place.status.datapath} fail_mode=secure"
                f" -- add-port {_BRIDGE} vx-static -- set Interface vx-static type=vxlan ofport_request={_TUNNEL}"
                f" options:remote_ip=flow options:key=flow options:local_ip={each.la} options:dst_port={_TUNNEL_UDP}"
            )
            done = place.lab.run(each.name, ["ovs-vsctl", *words.split()])
            if done.returncode:
                raise RuntimeError(f"{_BRIDGE} cannot be made: {done.stderr}")
        ofport = next(self._ofports)
        place.databases[self._near.name].plug([Plug(peer.tap, ofport=ofport)], _BRIDGE)
        self._flows(self._near.name, self._at_home(peer, ofport, self._far.la))

    def _at_home(self, guest: Guest, ofport: int, other: str) -> Iterator[str]:
        peers = _ANY_GUEST if guest is self._peer else self._peer.mac
        out = f"set_field:{_VNI}->tun_id,set_field:{other}->tun_dst,output:{_TUNNEL}"
        yield f"in_port={_TUNNEL},tun_id={_VNI},dl_dst={guest.mac},actions=output:{ofport}"
        yield f"in_port={ofport},dl_dst={peers},actions={out}"

    def _flows(self, host: str, flows: Iterable[str]) -> None:
        subprocess.run(
            ["ovs-ofctl", "-O", "OpenFlow14", "--bundle", "add-flows", _BRIDGE, "-"],
            env=self._place.lab.environment(host),
            input="\n".join(flows) + "\n",
            text=True,
            check=True,
        )

    def once(self, guest: Guest) -> Took:
        """Add flows, and then: plug, wait for the first packet; then take it away again."""
        ofport = next(self._ofports)
        flows = list(self._at_home(guest, ofport, self._near.la))
        self._flows(self._far.name, flows)
        began = time.monotonic()
        self._place.databases[self._far.name].plug([Plug(guest.tap, ofport=ofport)], _BRIDGE)
        plugged = time.monotonic()
        through = first_through(self._holder, self._peer, guest, next(_TOKENS)).both_ways
        self._place.databases[self._far.name].unplug([guest.tap], _BRIDGE)
        self._place.databases[self._far.name].sync()
        return Took((through - began) * 1000, (through - plugged) * 1000)


def measure(book: Notebook, place: Bed, holder: Holder, table: str, number: int) -> None:
    """Measure both in turns."""
    ours, theirs = guests("fp", 2, number + 1), guests("fs", 2, number + 1)
    near, far = (place.hypervisor(place.hosts[which]).pid for which in (NEAR, FAR))
    holder.make([(guest.tap, near if guest in {ours[0], theirs[0]} else far) for guest in (*ours, *theirs)])
    overlay, static = Overlay(place, holder, ours[0]), Static(place, holder, theirs[0])
    made: list[Took] = []
    bare: list[Took] = []
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        made.append(overlay.once(one))
        bare.append(static.once(other))
        wait(place.settled, "all switches have confirmed everything")
    for case, took in (("VL2: created by REST and plugged", made), ("static flows: plugged", bare)):
        wanted = _WANTED if took is made else ""
        book.take(table, case, "to the first packet", "ms", [each.in_all for each in took], wanted)
        book.take(table, case, "after the plug", "ms", [each.after_plug for each in took])
    for percent, case in ((50, "ratio of the medians"), (99, "ratio of the 99th percentiles")):
        for name, ours_took, theirs_took in (
            ("to the first packet", [each.in_all for each in made], [each.in_all for each in bare]),
            ("after the plug", [each.after_plug for each in made], [each.after_plug for each in bare]),
        ):
            book.take(table, case, name, "ms", percentile(ours_took, percent) / percentile(theirs_took, percent))
    book.say(f"{table}: {number} ports of each kind")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.first_packet", description=__doc__)
    parser.add_argument("--ports", type=int, default=100, help="ports of each kind")
    given = parser.parse_args(argv)
    book = Notebook("first_packet", "How long does it take from the wish for a port to its first packet?")
    book.parameters = {"ports": given.ports}
    with bed("first", "vl2", {}) as place, Holder() as holder:
        measure(book, place, holder, "First packet there and back, small network", given.ports)
    book.close()


if __name__ == "__main__":
    main()

"""How evenly does each aggregation switch spread the data center's traffic over its up-links? (VL2 §5.2)

Real: one UDP packet for each of thousands of flows, sent by virtual machines, tunnelled by Open vSwitch with the UDP
source port that it makes of the inner flow, and seen on the up-link that the fabric's switches choose by their hash.
Computed: the sizes of the flows, from the paper's mix, and what 75 servers with ten flows each would put on these
up-links in epochs of ten seconds.  A flow of the mix takes the way of one of the real flows.
"""

from __future__ import annotations

import random
import select
import socket
import statistics
import struct
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from bench.bed import Bed, bed, wait
from bench.record import Notebook, Record
from bench.vl2_paper import fabric
from bench.vl2_paper.measures import jain
from bench.vl2_paper.mix import Crowd, fairness, sent, split
from bench.vl2_paper.pages import Row, comparison, without
from bench.vl2_paper.traffic import Place
from topologies import namespace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME: Final = "split"
QUESTION: Final = "How evenly does each aggregation switch spread the data center's traffic over its up-links?"
TABLE: Final = "Jain index over the up-links of an aggregation switch, epochs of 10 s of the paper's traffic mix"
COUNTED: Final = "Flows seen on the up-links"
CASES: Final = ("VL2: Valiant load balancing", "equal-cost multipath", "one next hop (shortest)", "spanning tree")
IDEAL: Final = "for comparison: an ideal random choice"
EPOCH: Final = 10.0
_POLICIES: Final = ("vlb", "ecmp", "shortest")
_MAGIC: Final = b"vl2split"
_PORT: Final = 6001
_FIRST: Final = 10_000
_ETH_P_ALL: Final = 3
_OUTGOING: Final = 4
_AT_ONCE: Final = 8
_PATIENCE: Final = 0.3
_SHARE: Final = 5
"""Of so many flows at least one goes up under any policy."""

Way = tuple[str, str]
"""An aggregation switch, and what is at the other end of one of its up-links."""


class Uplinks:
    """Packet sockets on every up-link of every aggregation switch."""

    def __init__(self, place: Bed) -> None:
        pids = {switch.name: switch.pid for switch in place.status.switches}
        self.ways: dict[socket.socket, Way] = {}
        for link in place.status.links:
            ends = sorted([(link.one, link.one_interface, link.other), (link.other, link.other_interface, link.one)])
            (below, interface, above), _ = ends
            if not (below.startswith("agg") and above.startswith("int")):
                continue
            with namespace.inside(pids[below]):
                packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            packet.bind((interface, _ETH_P_ALL))
            packet.setblocking(False)
            self.ways[packet] = (below, above)

    def close(self) -> None:
        """Look no more."""
        for packet in self.ways:
            packet.close()

    def look(self, seconds: float) -> dict[int, Way]:
        """Which flow went up where, until no flow more is seen for so long; the fabric itself is never silent."""
        found: dict[int, Way] = {}
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for packet in select.select(list(self.ways), (), (), left)[0]:
                try:
                    frame, address = packet.recvfrom(2048)
                except OSError:  # its link went down since, which a socket is told once
                    continue
                at = frame.find(_MAGIC)
                if at >= 0 and address[2] == _OUTGOING:
                    (flow,) = struct.unpack_from("!I", frame, at + len(_MAGIC))
                    found[flow] = self.ways[packet]
                    until = time.monotonic() + seconds
        return found


def scatter(
    place: Bed, vms: dict[str, Place], homes: dict[str, str], flows: int, seconds: float, *, most: int = 0
) -> tuple[int, dict[int, Way]]:
    """Send one packet of each flow between machines in different racks, until so many of them have gone up.

    :param most: how many are sent at the most; as many as shall go up when it is 0.
    :returns: how many were sent, and the up-link that each took that took one.
    """
    sent = 0
    edges = {host.name: host.edge for host in place.status.hypervisors}
    pairs = [(a, b) for a in vms for b in vms if edges[homes[a]] != edges[homes[b]]]
    uplinks, found = Uplinks(place), {}
    until = time.monotonic() + seconds
    try:
        while sent < (most or flows) and len(found) < flows and time.monotonic() < until:
            for flow in range(sent, sent + _AT_ONCE):
                one, other = pairs[flow % len(pairs)]
                with namespace.inside(vms[one].pid):
                    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                with sender:
                    sender.bind((vms[one].address, _FIRST + flow // len(pairs)))
                    sender.sendto(_MAGIC + struct.pack("!I", flow), (vms[other].address, _PORT))
            sent += _AT_ONCE
            found |= uplinks.look(0.01)
        found |= uplinks.look(_PATIENCE)
    finally:
        uplinks.close()
    return sent, found


def weigh(book: Notebook, case: str, ways: list[Way], uplinks: list[Way], epochs: int) -> None:
    """Put the paper's mix on the ways that were seen."""
    source = random.Random(2009)  # noqa: S311  (the same mix for every policy)
    chosen = random.Random(5)  # noqa: S311

    def path(flow: int) -> Way:
        return taken[flow] if flow in taken else taken.setdefault(flow, chosen.choice(ways))

    taken: dict[int, Way] = {}
    loads = split(sent(Crowd(), epochs, EPOCH, source), path, epochs)
    for switch in sorted({below for below, _ in uplinks}):
        mine = [way for way in uplinks if way[0] == switch]
        indexes = fairness(loads, mine)
        if indexes:
            book.take(TABLE, case, switch, "", indexes, "≥ 0.99" if case in {CASES[0], CASES[1]} else "")


def _measure(  # noqa: PLR0917
    book: Notebook, place: Bed, case: str, found: dict[int, Way], asked: int, epochs: int
) -> None:
    uplinks = sorted(
        (one, other)
        for link in place.status.links
        for one, other in ((link.one, link.other), (link.other, link.one))
        if one.startswith("agg") and other.startswith("int")
    )
    counts = Counter(found.values())
    book.take(COUNTED, case, "flows sent", "", asked)
    book.take(COUNTED, case, "seen going up", "", len(found))
    used = sum(way in counts for way in uplinks)
    book.take(COUNTED, case, "up-links used", f"of {len(uplinks)}", used)
    if found:
        switches = sorted({below for below, _ in counts})
        each = [jain(counts[way] for way in uplinks if way[0] == switch) for switch in switches]
        book.take(COUNTED, case, "Jain index of their numbers", "", each)
        weigh(book, case, list(found.values()), uplinks, epochs)
    book.say(f"{case}: {len(found)} of {asked} flows went up, over {used} of {len(uplinks)} up-links")


def run(book: Notebook, *, quick: bool) -> None:
    """Measure."""
    flows, epochs = (3600, 6) if quick else (12_000, 200)
    seconds = 12.0 if quick else 45.0
    crowd = Crowd()
    book.parameters |= {
        "fabric": "3 intermediate, 4 aggregation, 4 ToR switches",
        "flows": flows,
        "epochs": epochs,
        "servers": crowd.servers,
        "flows of a server at a time": crowd.at_once,
    }
    with bed("paper-split", "vl2", {"aggregations": 4}) as place:
        network = place.network("split", "192.168.0.0/24")
        homes = {f"s{i}": host for i, host in enumerate(place.hosts)}
        vms = fabric.machines(place, network, homes)
        wait(place.settled, "all is confirmed")
        ideal: list[Way] = []
        for case, policy in zip(CASES, _POLICIES, strict=False):
            if fabric.choose(book, place, policy):
                # Under ecmp three flows of four go over another ToR: as many as with vlb shall be seen going up.
                most = flows * _SHARE if policy == "ecmp" else flows
                asked, found = scatter(place, vms, homes, flows, seconds * most / flows, most=most)
                _measure(book, place, case, found, asked, epochs)
        fabric.choose(book, place, "ecmp")
        with fabric.spanning_tree(place):
            asked, found = scatter(place, vms, homes, flows // 12, seconds)
            _measure(book, place, CASES[3], found, asked, epochs)
        ideal = sorted(
            (one, other)
            for link in place.status.links
            for one, other in ((link.one, link.other), (link.other, link.one))
            if one.startswith("agg") and other.startswith("int")
        )
    weigh(book, IDEAL, ideal, ideal, epochs)
    book.note(
        "3/4/4 and not the paper's 3/3/4: with three aggregation switches any two racks share one, and shortest paths"
        " never climb to an intermediate switch."
    )
    book.note(
        "Where a way over another ToR is as short as one over an intermediate switch, equal-cost multipath uses it."
    )


# --- what is shown ----------------------------------------------------------------------------------------------------


def page(record: Record) -> str:
    """What came out, beside the paper."""

    def least(case: str) -> str:
        found = [each for each in record.metrics if (each.table, each.case) == (TABLE, case)]
        if not found:
            return "not measured"
        means = [statistics.mean(each.samples) for each in found]
        return f"{statistics.mean(means):.4f} (worst switch {min(means):.4f})"

    lines = comparison([Row(f"mean Jain index: {CASES[0]}", "> 0.98", "≥ 0.99", least(CASES[0]))])
    lines[-1:-1] = [f"| {case} | | | {least(case)} |" for case in (*CASES[1:], IDEAL)]
    lines += [
        (
            "What is real: each flow's way. Virtual machines in different racks send one UDP packet of each flow;"
            " Open vSwitch"
            " tunnels it with the UDP source port that it makes of the inner flow, the fabric's switches hash it, and a"
            " packet socket on every up-link of every aggregation switch sees which one it takes. What is computed: the"
            " sizes. 75 servers keep ten flows each under way, at a tenth of 1 Gbit/s each, flow after flow from the"
            " mix of"
            " §3.1 (more than 99 % of the flows below 100 MB, more than 90 % of the bytes in flows of 100 MB to 1"
            " GB); each"
            " takes the way of one of the real flows, and the bytes on each up-link are added up in epochs of ten"
            " seconds."
            " The last row is what no hash could do better: every flow on an up-link drawn at random."
        ),
        "",
        *without(record),
        *(f"- {note}" for note in record.notes),
    ]
    return "\n".join(lines)


def plots(record: Record) -> Mapping[str, Figure]:
    """The index over the epochs, in the manner of the paper's figure 10."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (only for whoever wants pictures)

    cases = [
        case for case in (*CASES, IDEAL) if any(each.case == case for each in record.metrics if each.table == TABLE)
    ]
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    for axis, case in zip(figure.subplots(1, len(cases), squeeze=False)[0], cases, strict=True):
        for each in record.metrics:
            if (each.table, each.case) == (TABLE, case):
                axis.plot([i * EPOCH for i in range(len(each.samples))], each.samples, label=each.name, linewidth=1)
        axis.set_title(case, fontsize=7)
        axis.set(ylim=(0, 1.02), xlabel="seconds")
        axis.tick_params(labelsize=7)
        axis.legend(fontsize=6)
    return {f"{NAME}.svg": figure}

"""What has the operator said about switches and links, and whom would it cut off?

A switch or link in maintenance is a last resort: traffic leaves it while it still forwards, so nothing is lost, and
then it may be taken away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import networkx as nx

from controller.fabric.routes import LAST_RESORT, Link
from overlay.refusals import Invalid
from overlay.values import DatapathId

WEIGHT_MAX: Final = 65535
"""As in OSPF (RFC 2328 §A.4.2); all weights of a path together stay far below a last resort's cost."""
CAPACITY_MAX: Final = 10_000_000
"""In Mbit/s: ten terabits."""
CAPACITY_UNKNOWN: Final = 10_000
"""What a link is taken to carry, in Mbit/s, when neither the operator nor its ports say: what a veth says."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the operator has said about one link.

    :param weight: its cost; a way is chosen by the sum of its links' weights.
    :param capacity_mbps: what it carries, in Mbit/s; None for what its ports say.
    """

    weight: int = 1
    capacity_mbps: int | None = None
    maintenance: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.weight <= WEIGHT_MAX:
            raise Invalid(f"weight: {self.weight} is outside 1 … {WEIGHT_MAX}", field="weight")
        if self.capacity_mbps is not None and not 1 <= self.capacity_mbps <= CAPACITY_MAX:
            raise Invalid(f"capacity_mbps: {self.capacity_mbps} is outside 1 … {CAPACITY_MAX}", field="capacity_mbps")


UNTUNED: Final = Tuning()


class Upkeep:
    """The switches in maintenance and the links that are tuned."""

    def __init__(self) -> None:
        self.switches: set[DatapathId] = set()
        self.links: dict[Link, Tuning] = {}

    def tuning(self, link: Link) -> Tuning:
        """Give what was said about a link, or what holds where nothing was."""
        return self.links.get(link, UNTUNED)

    def avoids(self, link: Link) -> bool:
        """Whether a link, or a switch at either end of it, is in maintenance."""
        return self.tuning(link).maintenance or any(end.datapath_id in self.switches for end in link)

    def cost(self, link: Link, damped: Collection[Link]) -> int:
        """Say what a way over a link costs."""
        return self.tuning(link).weight + LAST_RESORT * (link in damped or self.avoids(link))


def cut_off(
    links: Iterable[Link],
    homes: Mapping[DatapathId, int],
    *,
    without_switches: Collection[DatapathId],
    without_links: Collection[Link],
) -> frozenset[DatapathId]:
    """Find the edge switches whose hosts would be parted from others if these switches and links went.

    :param links: the usable ones.
    :param homes: how many hosts are behind each edge switch.
    :returns: for each part of the fabric that would fall apart, the edge switches outside of the piece with the most
        hosts; those of hosts on a switch that would go are among them.
    """
    whole: nx.Graph[DatapathId] = nx.Graph()
    whole.add_nodes_from(homes)
    left: nx.Graph[DatapathId] = nx.Graph()
    left.add_nodes_from(switch for switch in homes if switch not in without_switches)
    for link in links:
        ends = (link.a.datapath_id, link.b.datapath_id)
        whole.add_edge(*ends)
        if link not in without_links and not any(end in without_switches for end in ends):
            left.add_edge(*ends)
    lost: set[DatapathId] = set()
    for part in nx.connected_components(whole):
        housed = {switch for switch in part if homes.get(switch)}
        pieces = [housed & piece for piece in nx.connected_components(left) if housed & piece]
        best = max(pieces, key=lambda piece: (sum(homes[switch] for switch in piece), sorted(piece)), default=set())
        lost |= housed - best
    return frozenset(lost)

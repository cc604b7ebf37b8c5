"""What traffic does a data center have, and how does it weigh on the links that its flows were given? (VL2 §3.1, §5.2)

The paper's mix: more than 99 % of all flows are smaller than 100 MB, but more than 90 % of the bytes are in flows of
100 MB to 1 GB, mostly near 100 MB, as the file system there cuts files into chunks of that size; a server has about
ten flows at a time.  Pure functions of a random source that is handed in.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from bench.vl2_paper.measures import jain

MEGABYTE: Final = 1_000_000
ELEPHANTS: Final = 0.008
"""The fraction of flows of 100 MB and more."""
_CHUNK: Final = 100 * MEGABYTE
_MOST: Final = 1000 * MEGABYTE
_TAIL: Final = 1.6
"""Exponent of the Pareto tail from one chunk up to 1 GB: most elephants are of one chunk or two."""
_MOUSE_MEDIAN: Final = 10_000
_MOUSE_SIGMA: Final = 2.3
"""Log-normal, cut at one chunk: from a few hundred bytes to some megabytes."""

Path = TypeVar("Path", bound=Hashable)


def size(source: random.Random) -> int:
    """The size of one flow in bytes."""
    if source.random() < ELEPHANTS:
        least = (_CHUNK / _MOST) ** _TAIL
        return int(_CHUNK * (1 - source.random() * (1 - least)) ** (-1 / _TAIL))
    return max(64, min(int(source.lognormvariate(math.log(_MOUSE_MEDIAN), _MOUSE_SIGMA)), _CHUNK - 1))


@dataclass(frozen=True, slots=True)
class Crowd:
    """Servers that keep so many flows each under way all the time, at so many bytes a second each flow."""

    servers: int = 75
    at_once: int = 10
    rate: float = 125 * MEGABYTE / 10
    """A tenth of 1 Gbit/s."""


def sent(crowd: Crowd, epochs: int, epoch: float, source: random.Random) -> Iterator[tuple[int, int, float]]:
    """Flow after flow at each place of each server, for so many epochs of so many seconds.

    :returns: number of the flow, number of the epoch, bytes that the flow has sent in that epoch.
    """
    end, flow = epochs * epoch, 0
    for _ in range(crowd.servers * crowd.at_once):
        # What was under way when the first epoch began had begun before: so the crowd starts in its midst.
        now = -source.random() * _MOST / crowd.rate
        while now < end:
            later = now + size(source) / crowd.rate
            if later > 0:
                yield from _spread(flow, max(now, 0.0), min(later, end), epoch, crowd.rate)
            now, flow = later, flow + 1


def _spread(flow: int, began: float, ended: float, epoch: float, rate: float) -> Iterator[tuple[int, int, float]]:
    number = int(began / epoch)
    while began < ended:
        until = min(ended, (number + 1) * epoch)
        yield flow, number, (until - began) * rate
        began, number = until, number + 1


def split(
    pieces: Iterable[tuple[int, int, float]], path: Callable[[int], Path], epochs: int
) -> list[Mapping[Path, float]]:
    """The bytes on each path in each epoch."""
    loads: list[dict[Path, float]] = [{} for _ in range(epochs)]
    for flow, epoch, size_ in pieces:
        way = path(flow)
        loads[epoch][way] = loads[epoch].get(way, 0.0) + size_
    return loads


def fairness(loads: Iterable[Mapping[Path, float]], ways: Sequence[Path]) -> list[float]:
    """Jain's index over some ways, epoch by epoch; an epoch in which none of them was used counts for nothing."""
    return [jain(load.get(way, 0.0) for way in ways) for load in loads if any(load.get(way, 0.0) for way in ways)]

"""To which hosts does one spread ports?"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from overlay.values import HostName


def spread(loads: Mapping[HostName, int]) -> Iterator[HostName]:
    """For one port after the other, the host that has the fewest by then; of equals the first by name.

    :param loads: how many each has; nothing comes of none.
    """
    heap = [(load, host) for host, load in loads.items()]
    heapq.heapify(heap)
    while heap:
        load, host = heap[0]
        yield host
        heapq.heapreplace(heap, (load + 1, host))

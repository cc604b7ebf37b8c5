"""Which fabrics are as plain as can be?

A row of switches, and a row whose ends are joined: the shapes in which a mistake in routing shows at once.
"""

from __future__ import annotations

from itertools import pairwise

from topologies.underlay import UnderlayTopo, counted


class LinearTopo(UnderlayTopo):
    """A row of switches: one path between any two."""

    def build(
        self,
        switches: int = 4,
        hypervisors_per_edge: int = 1,
        edges: str = "all",
        bw: float | None = None,
        delay: str | float | None = None,
    ) -> None:
        """Join each switch to the next::

            s1 ── s2 ── s3 ── s4
            │     │     │     │
            h1    h2    h3    h4

        :param edges: which switches carry hypervisors: ``all``, or names such as ``s1,s4``.
        :raises TopologyError: for a parameter out of range.
        """
        counted("switches", switches)
        self.shape(bw, delay)
        names = [self.switch(f"s{i}", layer=1, index=i) for i in range(1, switches + 1)]
        for one, other in pairwise(names):
            self.wire(one, other)
        self.edges_among(names, edges, hypervisors_per_edge)


class RingTopo(UnderlayTopo):
    """A row whose ends are joined: a loop, and always a second way."""

    def build(
        self,
        switches: int = 4,
        hypervisors_per_edge: int = 1,
        edges: str = "all",
        bw: float | None = None,
        delay: str | float | None = None,
    ) -> None:
        """Join each switch to the next, and the last to the first::

            h1 ─ s1 ── s2 ─ h2
                 │      │
            h4 ─ s4 ── s3 ─ h3

        :param edges: which switches carry hypervisors: ``all``, or names such as ``s1,s3``.
        :raises TopologyError: for a parameter out of range; a ring has at least 3 switches.
        """
        counted("switches", switches, least=3)
        self.shape(bw, delay)
        names = [self.switch(f"s{i}", layer=1, index=i) for i in range(1, switches + 1)]
        for one, other in pairwise([*names, names[0]]):
            self.wire(one, other)
        self.edges_among(names, edges, hypervisors_per_edge)

"""Which fabrics are built in layers?

The VL2 paper's Clos, the leaf-spine that most data centers have become, and the k-ary fat tree.
"""

from __future__ import annotations

from topologies.errors import TopologyError
from topologies.underlay import UnderlayTopo, counted

_INTERMEDIATE, _AGGREGATION, _EDGE = 1, 2, 3


class Vl2Topo(UnderlayTopo):
    """The Clos of the VL2 paper (Greenberg et al., SIGCOMM 2009, figure 5)."""

    def build(  # noqa: PLR0917  (the order of ``mn --topo name,…``)
        self,
        intermediates: int = 3,
        aggregations: int = 3,
        tors: int = 4,
        hypervisors_per_edge: int = 1,
        bw: float | None = None,
        delay: str | float | None = None,
    ) -> None:
        r"""Build intermediates × aggregations completely meshed, each ToR on two aggregation switches::

               int1      int2      int3
                 │╲ ╲   ╱ │ ╲   ╱ ╱ │       every aggregation switch to every intermediate
                 │  ╲ ╳   │   ╳  ╱  │
               agg1      agg2      agg3
               ╱  ╲      ╱  ╲      ╱ ╲
            tor1  tor3+tor1  tor2+tor2  tor3   ToR i on aggregation i and i+1 (mod n), tor4 as tor1
              │     │          │          │
             h1    h3         h2         h4    hypervisors_per_edge on each ToR

        :param bw: link rate in Mbit/s. :param delay: link delay, such as ``"1ms"``.
        :raises TopologyError: for a parameter out of range.
        """
        counted("intermediates", intermediates)
        counted("aggregations", aggregations)
        counted("tors", tors, most=254)
        self.shape(bw, delay)
        tops = [self.switch(f"int{i}", layer=_INTERMEDIATE, index=i) for i in range(1, intermediates + 1)]
        middles = [self.switch(f"agg{i}", layer=_AGGREGATION, index=i) for i in range(1, aggregations + 1)]
        for middle in middles:
            for top in tops:
                self.wire(middle, top)
        for i in range(tors):
            tor = self.switch(f"tor{i + 1}", layer=_EDGE, index=i + 1)
            for middle in dict.fromkeys((middles[i % aggregations], middles[(i + 1) % aggregations])):
                self.wire(tor, middle)
            self.edge(tor, hypervisors_per_edge)


class LeafSpineTopo(UnderlayTopo):
    """Two layers, completely meshed."""

    def build(
        self,
        spines: int = 2,
        leaves: int = 4,
        hypervisors_per_edge: int = 1,
        bw: float | None = None,
        delay: str | float | None = None,
    ) -> None:
        r"""Connect every leaf to every spine::

               spine1      spine2
               ╱ │ ╲ ╲    ╱ ╱ │ ╲
            leaf1 leaf2 leaf3 leaf4
              │     │     │     │
             h1    h2    h3    h4

        :raises TopologyError: for a parameter out of range.
        """
        counted("spines", spines)
        counted("leaves", leaves, most=254)
        self.shape(bw, delay)
        tops = [self.switch(f"spine{i}", layer=_INTERMEDIATE, index=i) for i in range(1, spines + 1)]
        for i in range(1, leaves + 1):
            leaf = self.switch(f"leaf{i}", layer=_EDGE, index=i)
            for top in tops:
                self.wire(leaf, top)
            self.edge(leaf, hypervisors_per_edge)


class FatTreeTopo(UnderlayTopo):
    """The k-ary fat tree (Al-Fares et al., SIGCOMM 2008)."""

    def build(
        self, k: int = 4, hypervisors_per_edge: int = 1, bw: float | None = None, delay: str | float | None = None
    ) -> None:
        r"""Build k pods of k/2 aggregation and k/2 edge switches under (k/2)² core switches::

            core1   core2   core3   core4        core c serves aggregation switch (c-1) div k/2 of each pod
              ╲   ╲   ╲       ╱   ╱   ╱
             agg1    agg2  │  agg3    agg4  │ …  pods
               │  ╳   │    │    │  ╳   │    │
             edge1   edge2 │  edge3   edge4 │ …
               │       │   │    │       │
              h1      h2   │   h3      h4   │ …

        :raises TopologyError: if k is odd or out of range (``hypervisors_per_edge`` need not be k/2 here).
        """
        counted("k", k, least=2, most=22)
        if k % 2:
            raise TopologyError(f"k: {k} is odd, a fat tree needs an even number of ports", "k")
        self.shape(bw, delay)
        half = k // 2
        cores = [self.switch(f"core{i}", layer=_INTERMEDIATE, index=i) for i in range(1, half * half + 1)]
        for pod in range(k):
            first = pod * half + 1
            middles = [self.switch(f"agg{i}", layer=_AGGREGATION, index=i) for i in range(first, first + half)]
            for group, middle in enumerate(middles):
                for core in cores[group * half : (group + 1) * half]:
                    self.wire(middle, core)
            for i in range(first, first + half):
                edge = self.switch(f"edge{i}", layer=_EDGE, index=i)
                for middle in middles:
                    self.wire(edge, middle)
                self.edge(edge, hypervisors_per_edge)

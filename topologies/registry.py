"""Which topology did they mean, and are its parameters sound?

Topologies are registered by the name that ``vl2 lab up --topology`` and ``mn --topo`` use.  The parameters of a
topology are those of its ``build()``, and this is the only list of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from topologies.chains import LinearTopo, RingTopo
from topologies.clos import FatTreeTopo, LeafSpineTopo, Vl2Topo
from topologies.errors import TopologyError
from topologies.graphs import AnyGraph, GraphmlTopo, JellyfishTopo
from topologies.underlay import UnderlayTopo

TOPOLOGIES: Final[Mapping[str, type[UnderlayTopo]]] = MappingProxyType(
    {
        "vl2": Vl2Topo,
        "leafspine": LeafSpineTopo,
        "fattree": FatTreeTopo,
        "ring": RingTopo,
        "linear": LinearTopo,
        "jellyfish": JellyfishTopo,
        "graphml": GraphmlTopo,
    }
)
"""The topologies by name."""


def parameters(name: str) -> Mapping[str, inspect.Parameter]:
    """The parameters of a topology, in the order of ``mn --topo name,first,second,…``.

    :raises TopologyError: if no topology has that name.
    """
    try:
        kind = TOPOLOGIES[name]
    except KeyError:
        known = ", ".join(TOPOLOGIES)
        raise TopologyError(f"topology: {name!r} does not exist; there are {known}", "topology") from None
    found = dict(inspect.signature(kind.build).parameters)
    del found["self"]
    return found


def make(name: str, params: Mapping[str, str | float | AnyGraph | None]) -> UnderlayTopo:
    """Build a topology by name; words for numbers (``"3"``) are read as numbers.

    :raises TopologyError: for an unknown topology or parameter, or a value that cannot be built; ``field`` names it.
    """
    known = parameters(name)
    sound: dict[str, object] = {}
    for field, value in params.items():
        if field not in known:
            raise TopologyError(f"{field}: {name} has no such parameter; it has {', '.join(known)}", field)
        sound[field] = _read(field, value, known[field])
    return TOPOLOGIES[name](**sound)


def _read(field: str, value: object, parameter: inspect.Parameter) -> object:
    if not isinstance(value, str):
        return value
    try:
        if parameter.annotation == "int":
            return int(value)
        if parameter.annotation == "float | None":
            return float(value)
    except ValueError:
        raise TopologyError(f"{field}: {value!r} is not a number", field) from None
    return value

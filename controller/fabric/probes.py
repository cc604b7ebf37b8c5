"""Whom should the controller ask for an LA, because nobody has shown it yet or two claim it?

A hypervisor that has joined but has sent no ARP so far is not known to the fabric and cannot be reached.  Asking for
its LA on edge ports makes it answer.  One that is only remembered from before a restart is asked for as well: what it
says by itself does not reach the controller as long as it says nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import product

from controller.fabric.graph import Fabric
from controller.fabric.plan import PortRef


@dataclass(frozen=True, slots=True)
class Probe:
    """An ARP request for ``la`` from its gateway, to be sent out of a port."""

    at: PortRef
    la: IPv4Address
    gateway: IPv4Address


def probes_wanted(fabric: Fabric, las: Iterable[IPv4Address], *, turn: int = 0, limit: int = 512) -> tuple[Probe, ...]:
    """List the questions to ask now: both sides of every clash, and every edge port for an LA not seen by this run.

    :param las: of the hypervisors that have joined.
    :param turn: counts the calls, so that one after another asks what did not fit before.
    :param limit: how many questions for unseen LAs there may be at most.
    """
    asked = [
        _probe(fabric, host.at, host.la)
        for clash in fabric.clashes
        for host in (clash.holder, clash.contender)
        if _can_ask(fabric, host.at)
    ]
    seen = fabric.sightings.keys() - fabric.assumed
    unseen = sorted({la for la in las if la in fabric.plan.supernet} - seen)
    if unseen:
        ends = sorted(
            at
            for datapath_id in fabric.switches
            for port in fabric.edge_ports(datapath_id)
            if _can_ask(fabric, at := PortRef(datapath_id, port.number))
        )
        questions = list(product(ends, unseen))
        start = turn * limit % len(questions) if len(questions) > limit else 0
        asked += (_probe(fabric, at, la) for at, la in (questions[start:] + questions[:start])[:limit])
    return tuple(asked)


def _can_ask(fabric: Fabric, at: PortRef) -> bool:
    switch = fabric.switches.get(at.datapath_id)
    return switch is not None and switch.connected_since is not None and fabric.is_up(at)


def _probe(fabric: Fabric, at: PortRef, la: IPv4Address) -> Probe:
    return Probe(at, la, fabric.plan.gateway_of(la))

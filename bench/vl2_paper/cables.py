"""Which cable is it, is it used, and what passes on it?

A cable between two switches as the lab made it, as the controller counts it, and as a socket at its end hears it.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

from bench.bed import Bed
from topologies import namespace
from topologies.orders import LinkStatus

_ETH_P_ALL: Final = 3


def kind(ends: Sequence[str]) -> str:
    """What kind of link it is."""
    return "ToR – aggregation link" if any(end.startswith("tor") for end in ends) else "aggregation – intermediate link"


def cable(place: Bed, one: str, other: str) -> LinkStatus:
    """The cable between two switches."""
    return next(link for link in place.status.links if {link.one, link.other} == {one, other})


def ear(place: Bed, link: LinkStatus, end: str) -> socket.socket:
    """A packet socket at one end of a cable."""
    pid = next(switch.pid for switch in place.status.switches if switch.name == end)
    with namespace.inside(pid):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    made.bind((interface(link, end), _ETH_P_ALL))
    return made


def interface(link: LinkStatus, end: str) -> str:
    """The name of a cable's end."""
    return link.one_interface if link.one == end else link.other_interface


def usable(place: Bed, link: LinkStatus) -> bool:
    """Whether the controller uses a cable, in both directions."""
    dpids = {each.name: each.dpid for each in place.status.switches}
    ends = {(dpids[link.one], link.one_port), (dpids[link.other], link.other_port)}
    return 2 == sum(  # noqa: SIM300
        each["usable"] and (each["from_datapath_id"], each["from_port"]) in ends
        for each in place.rest.ask("GET", "/v1/topology")["topology"]["links"]
    )


def mute(place: Bed, node: str, name: str) -> None:
    """Let nothing leave by an interface: a queue for no packet drops them all, and carrier stays (tc-bfifo(8))."""
    _tc(place, node, "replace", "dev", name, "root", "pfifo", "limit", "0")


def unmute(place: Bed, node: str, name: str) -> None:
    """Let everything leave again."""
    _tc(place, node, "del", "dev", name, "root")


def _tc(place: Bed, node: str, *words: str) -> None:
    done = place.lab.run(node, ["tc", "qdisc", *words])
    if done.returncode:
        raise RuntimeError(f"{node}: tc qdisc {' '.join(words)}: {done.stderr.strip()}")

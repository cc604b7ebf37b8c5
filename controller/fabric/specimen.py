"""What does the fabric's pipeline look like with something in it?

Prints its half of PIPELINE.md from the declaration and from the program that the real compiler makes for an edge switch
of a small fabric with Valiant load balancing: two uplinks, and one hypervisor.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import chain
from typing import Final

from controller.events import SwitchPort
from controller.fabric.changes import HostSighted, LinkSeen, SwitchConnected
from controller.fabric.elephants import Bin, Herd, Pin
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.pipeline import FABRIC, REG_ASKER, FabricCookie
from controller.fabric.plan import LaPlan, PortRef
from controller.fabric.policies import POLICIES
from controller.fabric.program import program
from overlay.describe import document
from overlay.flow import Flow
from overlay.values import DatapathId, Mac

_EDGE, _SPINE, _OTHER = DatapathId(1), DatapathId(2), DatapathId(3)
_KIND_SHIFT: Final = 40
_KINDS: Final = {
    FabricCookie.DISCOVERY: "per port",
    FabricCookie.EDGE: "per port that leads to no switch",
    FabricCookie.ROUTED: "on every switch",
    FabricCookie.LEARN: "per port that leads to no switch",
    FabricCookie.KNOWN: "per hypervisor here",
    FabricCookie.ANSWER: "on every switch",
    FabricCookie.SELF: "per hypervisor here",
    FabricCookie.HOST: "per hypervisor here",
    FabricCookie.PREFIX: "per edge switch elsewhere",
    FabricCookie.ELEPHANT: "per edge switch elsewhere while an up-link that leads there is busy",
    FabricCookie.ENTERING: "per port that leads to no switch, where the policy steers",
    FabricCookie.TAGGED: "per port that leads to a switch, where the policy steers",
    FabricCookie.ENTRY: "per edge switch elsewhere, where the policy steers",
    FabricCookie.HERE: "per prefix here, where the policy steers",
    FabricCookie.PLAIN: "where the policy steers",
    FabricCookie.TAG: "per locator tag that ends elsewhere",
}
_TAG_ENDS: Final = "per locator tag that ends here (on the switch behind the uplinks)"

INTRODUCTION: Final = """\
Every fabric switch holds these tables. They know locator addresses only. The sample flows are compiled for an edge
switch with two uplinks (ports 1 and 2) and a hypervisor with LA 10.0.1.11 on port 3.

Groups have two levels. The routes of all prefixes and addresses behind one edge switch lead to its **leaf**, an
indirect group of one bucket, numbered from 0x564c4000 on. The leaf leads to a **shared group** of next hops, a select
group that hashes over both uplinks and skips one that is down, numbered from 0x564c0001 on. So a failure changes groups
and no flow: one shared group where an uplink is gone, and one leaf for each edge switch that is parted from others,
however many prefixes and addresses are behind it. What enters has a leaf of its own for each edge switch, and so has
the anycast tag of `vlb` in a Clos. Not so the tags of paths (`disjoint`) and of single switches (`vlb` elsewhere),
which lead to shared groups themselves: a path that changes is another path with another tag, and that is another flow.
Flows change, too, where an edge switch can no longer be reached, and where a switch begins or ceases to be one that
flows bounce off.

The policy is `vlb`: what enters gets the locator tag 1, of the nearest switch at the top, from the group's buckets.
Under a policy that does not steer (`shortest`, `ecmp`), `enter` and `tagged` are empty and nothing leads to them."""


def _fabric() -> Fabric:
    fabric = Fabric(LaPlan(), policy=POLICIES["vlb"])
    for datapath_id in (_EDGE, _SPINE, _OTHER):
        ports = (SwitchPort(number, f"eth{number}", "02:00:00:00:00:01", up=True) for number in (1, 2, 3))
        fabric.apply(SwitchConnected(datapath_id, tuple(ports)), 0.0)
    for number in (1, 2):
        for near, far in ((PortRef(_EDGE, number), PortRef(_SPINE, number)), (PortRef(_SPINE, 3), PortRef(_OTHER, 1))):
            fabric.apply(LinkSeen(near, far), 0.0)
            fabric.apply(LinkSeen(far, near), 0.0)
    for number, datapath_id in enumerate((_EDGE, _OTHER), start=1):
        la, mac = IPv4Address(f"10.0.{number}.11"), Mac(0x02_00_00_00_01_00 + number)
        fabric.apply(HostSighted(la, mac, PortRef(datapath_id, 3)), 0.0)
    return fabric


def _samples() -> list[tuple[str, Flow]]:
    """One flow of each shape: the same table, cookie kind, fields and next table."""
    samples: dict[tuple[object, ...], tuple[str, Flow]] = {}
    fabric = _fabric()
    ports = (1, 2)
    prefix = IPv4Network("10.0.2.0/24")
    herd = Herd({prefix: ports}, {Bin(prefix, 0): Pin(1, 0, ports)})
    programs = (
        program(fabric, _EDGE, GroupAssignment()),
        program(fabric, _EDGE, GroupAssignment(), herd=herd),
        program(fabric, _SPINE, GroupAssignment()),
    )
    for flow in chain.from_iterable(each.flows for each in programs):
        kind = FabricCookie(flow.cookie >> _KIND_SHIFT & 0xFF)
        shape = (flow.table, kind, tuple(condition.field for condition in flow.match), flow.goto)
        sentence = _TAG_ENDS if kind is FabricCookie.TAG and flow.goto is not None else _KINDS[kind]
        samples.setdefault(shape, (sentence[0].upper() + sentence[1:], flow))
    return sorted(samples.values(), key=lambda sample: (sample[1].table, -sample[1].priority, sample[0]))


def pipeline_document() -> str:
    """The fabric's half of PIPELINE.md."""
    return document(
        FABRIC,
        _samples(),
        title="The pipeline of the fabric's switches",
        introduction=INTRODUCTION,
        registers={REG_ASKER: "asker"},
    )

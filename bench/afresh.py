"""Does every fabric switch hold exactly what a fresh computation gives?

Three answers that do not lean on each other:

* what the switches held when the fabric had just come up and nothing had failed yet, as ``ovs-ofctl`` spells it;
* what the fabric's compiler gives for a fabric that is told all at once what ``/v1/topology`` shows;
* how much a controller that starts again finds to change: it reads every switch and sends the difference.

Which number a group has is of no account, since that tells its history: a flow is compared with its group's buckets in
the place of the number, and a leaf with those of the group that it leads to.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from itertools import chain
from typing import Any, Final

from bench.bed import Bed, wait
from controller.events import Installed, SwitchPort
from controller.fabric.changes import HostSighted, LinkSeen, SwitchConnected
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.plan import LaPlan, PortRef
from controller.fabric.program import program
from controller.openflow import codec, replies
from overlay.flow import Flow, Group, ToGroup
from overlay.values import DatapathId, Mac

_WORDS: Final = ("ovs-ofctl", "-O", "OpenFlow15", "--no-names")
_HELLO: Final = bytes.fromhex("0600000800000001")
_FLOWS, _GROUPS, _METERS, _END = 2, 3, 4, 5
_READY_SECONDS: Final = 60.0


def spelled(place: Bed) -> dict[str, frozenset[str]]:
    """What each fabric switch holds, as ``ovs-ofctl`` prints it, with the buckets in the place of a group's number."""
    return {each.name: _spelled(place, each.name) for each in place.status.switches}


def _spelled(place: Bed, switch: str) -> frozenset[str]:
    flows, groups, meters = (
        place.lab.run(switch, [*_WORDS, *words]).stdout
        for words in (("--no-stats", "dump-flows", "br0"), ("dump-groups", "br0"), ("dump-meters", "br0"))
    )
    return frozenset(canonical(flows, groups)) | frozenset(re.findall(r"meter=.*(?:\n(?!meter=|OFPST).+)*", meters))


def canonical(flows: str, groups: str) -> list[str]:
    """The lines of ``dump-flows``, sorted, with a group's buckets where its number stood."""
    buckets = {}
    for line in groups.splitlines():
        found = re.match(r"\s*group_id=(\d+),(.*)", line)
        if found:
            head, *each = found[2].split(",bucket=")
            buckets[found[1]] = ",bucket=".join([head, *sorted(re.sub(r"bucket_id:\d+,?", "", one) for one in each)])
    lines = [re.sub(r"^\s*|\s*$", "", line) for line in flows.splitlines() if "cookie=" in line]

    def told(line: str) -> str:
        return re.sub(r"group:(\d+)", lambda found: f"group:{{{buckets.get(found[1])}}}", line)

    return sorted(told(told(line)) for line in lines)


def differing(one: Mapping[str, frozenset[Any]], other: Mapping[str, frozenset[Any]]) -> list[str]:
    """What one holds and the other does not, a sentence for each."""
    return [
        f"{switch}: {what} {each}"
        for switch in sorted(one.keys() | other.keys())
        for what, more, less in (("lost", one, other), ("gained", other, one))
        for each in sorted(map(str, more.get(switch, frozenset()) - less.get(switch, frozenset())))
    ]


def held(place: Bed) -> dict[str, frozenset[Any]]:
    """What each fabric switch holds, read by the product's own codec; by datapath id."""
    return {
        each.dpid: _plain([flow for flow, _ in found.flows], found.groups) | frozenset(found.meters)
        for each in place.status.switches
        for found in (_read(f"{each.directory}/br0.mgmt"),)
    }


def computed(place: Bed) -> dict[str, frozenset[Any]]:
    """What each fabric switch should hold, computed from nothing but what the controller shows of the fabric."""
    fabric = told(place.rest.ask("GET", "/v1/topology")["topology"])
    found = {}
    for datapath_id in fabric.switches:
        made = program(fabric, datapath_id, GroupAssignment())
        found[str(datapath_id)] = _plain(made.flows, made.groups) | frozenset(made.meters)
    return found


def told(topology: Mapping[str, Any]) -> Fabric:
    """A fabric that hears all at once what ``/v1/topology`` shows."""
    fabric = Fabric(LaPlan())
    for switch in topology["switches"]:
        # The view leaves hardware addresses out: no flow has them.
        ports = (SwitchPort(each["number"], each["name"], "02:00:00:00:00:00", each["up"]) for each in switch["ports"])
        fabric.apply(SwitchConnected(DatapathId.parse(switch["datapath_id"]), tuple(ports)), 0.0)
    for link in topology["links"]:
        ends = ((link[f"{way}_datapath_id"], link[f"{way}_port"]) for way in ("from", "to"))
        fabric.apply(LinkSeen(*(PortRef(DatapathId.parse(dpid), port) for dpid, port in ends)), 0.0)
    for each in topology["locators"]:
        at = PortRef(DatapathId.parse(each["datapath_id"]), each["port"])
        fabric.apply(HostSighted(IPv4Address(each["la"]), Mac.parse(each["mac"]), at), 0.0)
    return fabric


def _plain(flows: Iterable[Flow], groups: Iterable[Group]) -> frozenset[Any]:
    buckets: dict[int, Any] = {group.group_id: (group.basis, frozenset(group.buckets)) for group in groups}
    leaves = {group.group_id: group.buckets for group in groups if group.indirect}
    for group_id, (bucket,) in leaves.items():
        buckets[group_id] = tuple(buckets.get(each.group_id) for each in bucket.actions if isinstance(each, ToGroup))
    return frozenset(
        (
            flow.table,
            flow.priority,
            flow.match,
            flow.cookie,
            tuple(buckets.get(each.group_id) if isinstance(each, ToGroup) else each for each in flow.actions),
            flow.goto,
            flow.meter,
        )
        for flow in flows
    )


def _read(path: str) -> Installed:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(30)
        channel.connect(path)
        channel.sendall(
            _HELLO
            + codec.ask_flows(_FLOWS)
            + codec.ask_groups(_GROUPS)
            + codec.ask_meters(_METERS)
            + codec.barrier(_END)
        )
        answers: dict[int, list[bytes]] = {}
        pending = b""
        while _END not in answers:
            pending += channel.recv(1 << 16)
            while len(pending) >= 8 and len(pending) >= (length := struct.unpack_from("!H", pending, 2)[0]):
                answers.setdefault(struct.unpack_from("!I", pending, 4)[0], []).append(pending[:length])
                pending = pending[length:]
    return Installed(
        tuple(chain.from_iterable(map(replies.flows, answers[_FLOWS]))),
        tuple(chain.from_iterable(map(replies.groups, answers[_GROUPS]))),
        tuple(chain.from_iterable(map(replies.meters, answers[_METERS]))),
    )


def restarted(place: Bed) -> tuple[int, int]:
    """Kill the controller and start it again; the flow-mods and group-mods that it then sends to fabric switches."""
    place.lab.kill_controller()
    place.lab.start_controller()
    place.rest.close()
    place.rest = place.lab.rest()
    wait(place.settled, "the new controller has confirmed every switch", seconds=_READY_SECONDS)
    fabric = {each.dpid for each in place.status.switches}
    sent = [each for dpid, each in place.sent().items() if dpid in fabric]
    return sum(each.flow_mods for each in sent), sum(each.group_mods for each in sent)

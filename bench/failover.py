"""How long is traffic gone when a switch or a link of the fabric fails, and when it comes back?

Each failure is made while two machines in different racks send each other a thousand probes a second, over a flow that
was seen to cross what will fail (where any flow does).  Beside the traffic: when the controller's repair was committed
by the last switch, and how many next hops the switch before the failure had left, by ``ovs-ofctl dump-groups``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from bench.bed import Bed, bed, wait
from bench.record import Notebook
from bench.wiretap import Wiretap
from topologies.orders import LinkStatus
from topologies.probing import ProbeReport, probing

_TRIES: Final = 14
"""Flows tried until one crosses what will fail."""
_LOOK_SECONDS: Final = 0.25
_CROSSES: Final = 0.6
_AFTER_SECONDS: Final = 1.2
_ALONE_SECONDS: Final = 1.0
_REPAIRED: Final = 0.7
_LOCAL_MS: Final = 50
_GLOBAL_MS: Final = 200
_PORTS: Final = count(20000)


@dataclass(frozen=True, slots=True)
class Fabric:
    """A fabric to break, and the racks between which traffic runs."""

    title: str
    params: dict[str, int]
    near: str
    far: str


FABRICS: Final = (
    Fabric("vl2 3/4/4: the racks share no aggregation switch, 12 paths", {"aggregations": 4}, "h1", "h3"),
    Fabric("vl2 3/3/4 (default): the racks share one aggregation switch, 1 path", {}, "h1", "h2"),
)


@dataclass(frozen=True, slots=True)
class Victim:
    """What will fail: a switch, or the link between two."""

    kind: str
    ends: tuple[str, ...]
    links: tuple[LinkStatus, ...]

    @property
    def name(self) -> str:
        """How it is called in the notes."""
        return "–".join(self.ends)

    def fail(self, place: Bed) -> None:
        """Let it fail."""
        if len(self.ends) == 1:
            place.lab.kill_switch(self.ends[0])
        else:
            place.lab.set_link(*self.ends, up=False)

    def heal(self, place: Bed) -> None:
        """Bring it back."""
        if len(self.ends) == 1:
            place.lab.revive_switch(self.ends[0])
        else:
            place.lab.set_link(*self.ends, up=True)


def victims(place: Bed, *, everything: bool) -> list[Victim]:
    """All aggregation and intermediate switches, and the fabric links: two of each kind, or all."""
    cables = [link for link in place.status.links if not link.one.startswith("h") and not link.other.startswith("h")]
    found = [
        Victim(kind, (switch.name,), tuple(link for link in cables if switch.name in {link.one, link.other}))
        for prefix, kind in (("agg", "aggregation switch"), ("int", "intermediate switch"))
        for switch in place.status.switches
        if switch.name.startswith(prefix)
    ]
    for prefix in ("tor", "int"):
        kind = "ToR – aggregation link" if prefix == "tor" else "aggregation – intermediate link"
        links = [link for link in cables if prefix in {link.one[:3], link.other[:3]}]
        # Those at the racks between which traffic runs come first: others would not be met.
        some = links if everything else [links[0], links[len(links) // 2]]
        found += [Victim(kind, (link.one, link.other), (link,)) for link in some]
    return found


def crossings(place: Bed, victim: Victim) -> int:
    """How many packets have crossed what will fail."""
    node = victim.ends[0]
    interfaces = {
        name
        for link in victim.links
        for end, name in ((link.one, link.one_interface), (link.other, link.other_interface))
        if end == node
    }
    said = json.loads(place.lab.run(node, ["ip", "-s", "-j", "link"]).stdout)
    return sum(
        each["stats64"]["rx"]["packets"] + each["stats64"]["tx"]["packets"]
        for each in said
        if each["ifname"] in interfaces
    )


@dataclass(frozen=True, slots=True)
class Hops:
    """The next hops of one switch towards a rack: those in the group, and those of them whose port is up."""

    members: int
    live: int


def hops(place: Bed, switch: str, prefix: str) -> Hops:
    """Ask a switch for its next hops.

    :returns: none at all where it has no route, or has changed its groups between our questions.
    """
    words = ["ovs-ofctl", "-O", "OpenFlow14,OpenFlow15"]
    flows = place.lab.run(switch, [*words, "dump-flows", "br0", f"ip,nw_dst={prefix}"]).stdout
    group = re.search(r"group:(\d+)", flows)
    if group is None:
        return Hops(0, 0)
    groups = place.lab.run(switch, [*words, "dump-groups", "br0"]).stdout
    leaf = re.search(rf"group_id={group[1]},type=indirect,.*group:(\d+)", groups)
    shared = group[1] if leaf is None else leaf[1]
    mine = next((line for line in groups.splitlines() if f"group_id={shared}," in line), "")
    members = {int(port) for port in re.findall(r"watch_port:\"?(\d+)", mine)}
    described = place.lab.run(switch, [*words, "dump-ports-desc", "br0"]).stdout
    live = {
        int(port)
        for port in re.findall(r"^ (\d+)\([^)]*\):(?:(?!^ \d).)*?\bLIVE\b", described, re.MULTILINE | re.DOTALL)
    }
    return Hops(len(members), len(live & members))


def observer(place: Bed, fabric: Fabric, victim: Victim) -> tuple[str, str]:
    """The switch before the failure on the way to ``far`` (or ``near``), and the prefix of the rack there."""
    ends = [end for link in victim.links for end in (link.one, link.other)]
    for host, other in ((fabric.near, fabric.far), (fabric.far, fabric.near)):
        edge = place.hypervisor(host).edge
        prefix = place.hypervisor(other).la.rpartition(".")[0] + ".0/24"
        beside = edge if edge in ends and edge not in victim.ends[:1] * (len(victim.ends) == 1) else ""
        if not beside:
            above = [_other(link, edge) for link in place.status.links if edge in {link.one, link.other}]
            beside = next((name for name in above if name in ends and (name,) != victim.ends), "")
        if beside:
            return beside, prefix
    return next(end for end in ends if (end,) != victim.ends), prefix


def _other(link: LinkStatus, end: str) -> str:
    return link.other if link.one == end else link.one


def on_the_way(place: Bed, fabric: Fabric, victim: Victim) -> bool:
    """Whether any path between the two machines, by the controller's word, crosses what will fail."""
    paths = place.rest.ask("GET", f"/v1/paths?from={fabric.near}&to={fabric.far}")["paths"]["paths"]
    dpids = {switch.name: switch.dpid for switch in place.status.switches}
    hops = {(hop["datapath_id"], port) for path in paths for hop in path for port in (hop["in_port"], hop["out_port"])}
    return any(
        (dpids[end], port) in hops
        for link in victim.links
        for end, port in ((link.one, link.one_port), (link.other, link.other_port))
    )


def flow_across(place: Bed, fabric: Fabric, victim: Victim) -> tuple[int, bool]:
    """Find a UDP port whose probes cross what will fail; whether there is one."""
    if not on_the_way(place, fabric, victim):
        return next(_PORTS), False
    port = 0
    for _ in range(_TRIES):
        port = next(_PORTS)
        with probing(place.lab, "near", "far", port=port) as probe:
            before, began = crossings(place, victim), time.monotonic()
            time.sleep(_LOOK_SECONDS)
            rate = (crossings(place, victim) - before) / (time.monotonic() - began)
            probe.stop(0.0)
        # A packet that crosses a switch is counted twice there, once in and once out.
        if rate > _CROSSES * 1000 * (2 if len(victim.ends) == 1 else 1):
            return port, True
    return port, False


def break_once(book: Notebook, place: Bed, fabric: Fabric, victim: Victim) -> None:
    """Break one thing, and bring it back."""
    port, crossed = flow_across(place, fabric, victim)
    table, case = _table(fabric), victim.kind if crossed else f"{victim.kind}, not on the probes' way"
    beside, prefix = observer(place, fabric, victim)
    wait(place.settled, "the fabric is at rest")
    before = hops(place, beside, prefix)
    with probing(place.lab, "near", "far", port=port) as probe, Wiretap(place.status.management) as tap:
        time.sleep(_LOOK_SECONDS)
        began = time.monotonic()
        victim.fail(place)
        done = time.monotonic()
        time.sleep(_AFTER_SECONDS)
        repaired = tap.last_change(since=began)
        failed = probe.stop()
    after = hops(place, beside, prefix)
    with probing(place.lab, "near", "far", port=port) as probe, Wiretap(place.status.management) as tap:
        time.sleep(_LOOK_SECONDS)
        again = time.monotonic()
        victim.heal(place)
        up = time.monotonic()
        wait(lambda: hops(place, beside, prefix) == before, f"{beside} uses {victim.name} again", pause=0.05)
        time.sleep(_AFTER_SECONDS)
        returned = tap.last_change(since=again)
        healed = probe.stop()
    book.take(table, case, "longest gap at failure", "ms", failed.longest_gap_ms, f"< {_GLOBAL_MS} ms")
    book.take(table, case, "lost at failure", "probes", failed.lost)
    book.take(table, case, "longest gap at return", "ms", healed.longest_gap_ms)
    book.take(table, case, "lost at return", "probes", healed.lost)
    book.take(table, case, "failing took", "ms", (done - began) * 1000)
    if repaired is not None:
        book.take(table, case, "last repair committed after", "ms", (repaired - began) * 1000, f"< {_GLOBAL_MS} ms")
    if returned is not None:
        book.take(table, case, "all of it used again after", "ms", max(0.0, returned - up) * 1000)
    book.take(_ecmp(fabric), case, "before", "", before.members)
    book.take(_ecmp(fabric), case, "after global repair", "", after.members)
    book.take(_ecmp(fabric), case, "of them live", "", after.live)
    book.take(_ecmp(fabric), case, "after return", "", hops(place, beside, prefix).members)
    book.say(f"{case}, {victim.name}: {_told(failed)}; at return: {_told(healed)}")


def break_alone(book: Notebook, place: Bed, fabric: Fabric, victim: Victim) -> None:
    """Break one thing while the controller stands still: what the switches repair by themselves."""
    table, case = f"{fabric.title}: repair by the switches alone (the controller is stopped)", victim.kind
    control = place.status.controller
    port, crossed = flow_across(place, fabric, victim)
    beside, prefix = observer(place, fabric, victim)
    wait(place.settled, "the fabric is at rest")
    before = hops(place, beside, prefix)
    if control is None or not crossed:
        return
    with probing(place.lab, "near", "far", port=port) as probe:
        time.sleep(_LOOK_SECONDS)
        os.kill(control.pid, signal.SIGSTOP)
        try:
            victim.fail(place)
            time.sleep(_ALONE_SECONDS)
            failed = probe.stop()
            local = hops(place, beside, prefix)
        finally:
            os.kill(control.pid, signal.SIGCONT)
    victim.heal(place)
    wait(lambda: hops(place, beside, prefix) == before, f"{beside} uses {victim.name} again", pause=0.05)
    for way in (failed.there, failed.back):
        # A link to the rack itself has no equal beside it: what comes down over it waits for the controller.
        if way.sent - way.lost > _REPAIRED * way.sent:
            book.take(table, case, "longest gap", "ms", way.longest_gap_ms, f"< {_LOCAL_MS} ms")
            book.take(table, case, "lost", "probes", way.lost)
    book.take(table, case, "next hops before", "", before.members)
    book.take(table, case, "in the group after", "", local.members)
    book.take(table, case, "of them live", "", local.live)
    book.say(f"{case} {victim.name}, switches alone: {_told(failed)}")


def _told(report: ProbeReport) -> str:
    return (
        f"gap {report.there.longest_gap_ms:.1f} and {report.back.longest_gap_ms:.1f} ms,"
        f" lost {report.there.lost} and {report.back.lost}"
    )


def _table(fabric: Fabric) -> str:
    return f"{fabric.title}: 1 kHz probes in both directions"


def _ecmp(fabric: Fabric) -> str:
    return f"{fabric.title}: next hops of the switch before the failure"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.failover", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every link of the fabric, not two of each kind")
    parser.add_argument("--only", default="", help="only what has this in its name (agg1, tor1–agg1)")
    given = parser.parse_args(argv)
    book = Notebook("failover", "How long is traffic gone when a switch or a link of the fabric fails or returns?")
    book.parameters = {"links": "all" if given.all else "two of each kind"}
    for fabric in FABRICS:
        with bed("failover", "vl2", fabric.params) as place:
            network = place.network("failover", "192.168.0.0/24")
            place.lab.vm_add("near", fabric.near, network=network, project="red")
            place.lab.vm_add("far", fabric.far, network=network, project="red")
            chosen = [victim for victim in victims(place, everything=given.all) if given.only in victim.name]
            book.say(f"{fabric.title}: {dict(Counter(victim.kind for victim in chosen))}")
            for victim in chosen:
                break_once(book, place, fabric, victim)
            if fabric is FABRICS[0]:
                for victim in {each.kind: each for each in reversed(chosen)}.values():
                    break_alone(book, place, fabric, victim)
    book.close()


if __name__ == "__main__":
    main()

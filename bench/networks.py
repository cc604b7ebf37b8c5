"""What does a port cost when there are many of them?

Two hundred networks of five ports on four hypervisors are made by REST and plugged for real.  Networks take turns: one
has ports on all four hypervisors, the next on two only, so that it shows whether a new port touches a hypervisor that
has nothing to do with it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bench import first_packet
from bench.bed import PROJECT, Bed, bed, wait
from bench.ovsdb import Plug
from bench.record import Notebook
from bench.taps import Holder

PER_NETWORK: Final = 5
_CREATED: Final = "Creation by REST"
_PLUGGED: Final = "From the plug to ACTIVE"
_EVENTS: Final = "Flow-mods for one event"
_RESTARTED: Final = "Controller killed and started again, with all ports plugged"
_SINGLY: Final = 100
_EVENT_COUNT: Final = 20
_RESTARTS: Final = 3
_PEACE_SECONDS: Final = 10.0
"""Between restarts: Open vSwitch tries again after 1, 2, 4 and 8 seconds, and from 1 again only after some peace."""


@dataclass(frozen=True, slots=True)
class Made:
    """A port that was made, and where its tap is to be plugged."""

    id: str
    network: int
    host: str
    tap: str

    @property
    def plug(self) -> Plug:
        """How it is plugged."""
        return Plug(self.tap, self.id)


class Cloud:
    """The networks and ports of the measurement."""

    def __init__(self, book: Notebook, place: Bed, holder: Holder, networks: int) -> None:
        self.book = book
        self.place = place
        self.holder = holder
        self.count = networks
        self.ids: list[str] = []
        self.ports: list[Made] = []
        self._last: defaultdict[int, int] = defaultdict(int)

    def hosts_of(self, network: int) -> list[str]:
        """The hypervisors that a network is on."""
        hosts = self.place.hosts
        turned = hosts[network % len(hosts) :] + hosts[: network % len(hosts)]
        return turned[: 2 if network % 2 else len(turned)]

    def wish(self, network: int) -> tuple[dict[str, Any], str]:
        """The request for the next port of a network, and its tap's name."""
        number = self._last[network]
        self._last[network] += 1
        hosts = self.hosts_of(network)
        body = {"network_id": self.ids[network], "project_id": PROJECT, "name": f"n{network}p{number}"}
        return {**body, "binding:host_id": hosts[number % len(hosts)]}, f"n{network}p{number}"

    def one(self, network: int) -> tuple[Made, float]:
        """Make one port by a request of its own; returns how long that took in seconds."""
        body, tap = self.wish(network)
        began = time.monotonic()
        port = self.place.rest.ask("POST", "/v2.0/ports", {"port": body})["port"]
        took = time.monotonic() - began
        return Made(port["id"], network, body["binding:host_id"], tap), took

    def prepare(self, ports: Sequence[Made]) -> None:
        """Make the taps."""
        self.holder.make([(port.tap, self.place.hypervisor(port.host).pid) for port in ports])

    # ── create ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self) -> tuple[list[Made], list[Made]]:
        """Make all networks and ports: the ports of the first half one by one, those of the second in one request."""
        rest, take = self.place.rest, self.book.take
        for number in range(self.count):
            began = time.monotonic()
            asked = {"network": {"name": f"n{number}", "project_id": PROJECT}}
            self.ids.append(str(rest.ask("POST", "/v2.0/networks", asked)["network"]["id"]))
            between = time.monotonic()
            subnet = {"network_id": self.ids[-1], "project_id": PROJECT, "cidr": "10.1.0.0/24", "ip_version": 4}
            rest.ask("POST", "/v2.0/subnets", {"subnet": subnet})
            take(_CREATED, "network", "time", "ms", (between - began) * 1000)
            take(_CREATED, "subnet", "time", "ms", (time.monotonic() - between) * 1000)
        singly: list[Made] = []
        began, cpu = time.monotonic(), self.cpu()
        for network in range(self.count // 2):
            for _ in range(PER_NETWORK):
                port, took = self.one(network)
                singly.append(port)
                take(_CREATED, "port, one by one", "time", "ms", took * 1000)
        self._rate("port, one by one", len(singly), began, cpu)
        wishes = [self.wish(network) for network in range(self.count // 2, self.count) for _ in range(PER_NETWORK)]
        began, cpu = time.monotonic(), self.cpu()
        said = rest.ask("POST", "/v2.0/ports", {"ports": [body for body, _ in wishes]})["ports"]
        case = f"{len(wishes)} ports in one request"
        take(_CREATED, case, "time", "ms", (time.monotonic() - began) * 1000)
        self._rate(case, len(wishes), began, cpu)
        bulk = [
            Made(port["id"], self.ids.index(port["network_id"]), body["binding:host_id"], tap)
            for port, (body, tap) in zip(said, wishes, strict=True)
        ]
        return singly, bulk

    def _rate(self, case: str, number: int, began: float, cpu: float) -> None:
        self.book.take(_CREATED, case, "ports per second", "1/s", number / (time.monotonic() - began))
        self.book.take(_CREATED, case, "controller's CPU per port", "ms", (self.cpu() - cpu) * 1000 / number)

    def cpu(self) -> float:
        """The CPU seconds that the controller has used so far."""
        control = self.place.lab.status().controller
        if control is None:
            return 0.0
        fields = Path(f"/proc/{control.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # ── plug ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def plug_all(self, case: str, ports: Sequence[Made]) -> None:
        """Plug many at once, and wait for all."""
        self.prepare(ports)
        by_host: defaultdict[str, list[Plug]] = defaultdict(list)
        for port in ports:
            by_host[port.host].append(port.plug)
        ids = {port.id for port in ports}
        had = {host: self.place.databases[host].numbered() for host in by_host}
        began, cpu = time.monotonic(), self.cpu()
        for host, plugs in by_host.items():
            self.place.databases[host].plug(plugs)

        def numbered() -> bool:
            return all(self.place.databases[host].numbered() >= had[host] + len(by_host[host]) for host in by_host)

        in_ovs = wait(numbered, "every tap has an OpenFlow port") - began
        in_all = wait(lambda: self.place.all_active(ids), f"all {len(ports)} ports are ACTIVE") - began
        self.book.take(_PLUGGED, case, "time", "ms", in_all * 1000)
        self.book.take(_PLUGGED, case, "until Open vSwitch has numbered it", "ms", in_ovs * 1000)
        self.book.take(_PLUGGED, case, "ports per second", "1/s", len(ports) / in_all)
        self.book.take(_PLUGGED, case, "controller's CPU per port", "ms", (self.cpu() - cpu) * 1000 / len(ports))
        self.ports += ports
        self.book.say(f"{case}: all ACTIVE after {in_all:.2f} s, {in_ovs:.2f} s of it Open vSwitch's")

    def plug_singly(self, case: str, ports: Sequence[Made]) -> None:
        """Plug one after the other, and wait for each."""
        self.prepare(ports)
        cpu = self.cpu()
        for port in ports:
            began = time.monotonic()
            self.place.databases[port.host].plug([port.plug])
            ended = wait(lambda id_=port.id: self.place.active(id_), "the port is ACTIVE", pause=0.0005)  # type: ignore[misc]
            self.book.take(_PLUGGED, case, "time", "ms", (ended - began) * 1000)
        used = (self.cpu() - cpu) * 1000 / len(ports)
        self.book.take(_PLUGGED, case, "controller's CPU per port", "ms", used)
        self.ports += ports
        self.book.say(f"{case}: {len(ports)} ports")

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def events(self) -> None:
        """One more port, plugged and deleted again: which switches are sent how much."""
        dpids = {each["name"]: each["datapath_id"] for each in self.place.rest.ask("GET", "/v1/hosts")["hosts"]}
        chosen = [number % self.count for number in range(_EVENT_COUNT)]
        for network in chosen:
            concerned = {dpids[host] for host in self.hosts_of(network)}
            where = f"network on {len(concerned)} of {len(dpids)} hypervisors"
            before = self._flow_mods()
            port, _ = self.one(network)
            before = self._event(f"{where}: port created", before, concerned)
            self.prepare([port])
            self.place.databases[port.host].plug([port.plug])
            wait(lambda id_=port.id: self.place.active(id_), "the port is ACTIVE")  # type: ignore[misc]
            before = self._event(f"{where}: port plugged", before, concerned)
            self.place.rest.ask("DELETE", f"/v2.0/ports/{port.id}")
            before = self._event(f"{where}: port deleted", before, concerned)
            self.place.databases[port.host].unplug([port.tap])
            self.place.databases[port.host].sync()
            self._event(f"{where}: tap taken out", before, concerned)

    def _event(self, case: str, before: Mapping[str, int], concerned: set[str]) -> Mapping[str, int]:
        wait(self.place.settled, "all switches have confirmed everything")
        after = self._flow_mods()
        sent = {dpid: after[dpid] - before.get(dpid, 0) for dpid in after}
        self.book.take(_EVENTS, case, "in all", "", sum(sent.values()))
        self.book.take(_EVENTS, case, "most to one switch", "", max(sent.values()))
        self.book.take(_EVENTS, case, "switches touched", "", sum(bool(mods) for mods in sent.values()))
        others = sum(mods for dpid, mods in sent.items() if dpid not in concerned)
        self.book.take(_EVENTS, case, "to switches that have not the network", "", others, "0")
        return after

    def _flow_mods(self) -> dict[str, int]:
        return {dpid: sent.flow_mods for dpid, sent in self.place.sent().items()}

    # ── restart ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def restart(self) -> None:
        """Kill the controller and start it again."""
        case = f"kill -9, {len(self.ports)} ports"
        ids = {port.id for port in self.ports}
        for _ in range(_RESTARTS):
            time.sleep(_PEACE_SECONDS)
            self.place.lab.kill_controller(hard=True)
            began = time.monotonic()
            self.place.lab.start_controller()
            serving = time.monotonic() - began
            wait(self.place.settled, "all switches are connected and have confirmed everything")
            confirmed = wait(lambda: self.place.all_active(ids), "all ports are ACTIVE") - began
            sent = self.place.sent().values()
            self.book.take(_RESTARTED, case, "until REST answers", "ms", serving * 1000)
            self.book.take(_RESTARTED, case, "until all is confirmed", "ms", confirmed * 1000, "< 1000 ms")
            self.book.take(_RESTARTED, case, "flow-mods sent", "", sum(each.flow_mods for each in sent), "0")
            self.book.take(_RESTARTED, case, "group-mods sent", "", sum(each.group_mods for each in sent), "0")
        self.book.say(f"{case}: {_RESTARTS} times")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.networks", description=__doc__)
    parser.add_argument("--networks", type=int, default=200, help="networks of five ports each (an even number)")
    given = parser.parse_args(argv)
    book = Notebook("networks", "What does a port cost when there are many of them?")
    book.parameters = {"networks": given.networks, "ports": given.networks * PER_NETWORK, "hypervisors": 4}
    with bed("networks", "vl2", {}) as place, Holder() as holder:
        cloud = Cloud(book, place, holder, given.networks)
        singly, bulk = cloud.create()
        book.say("all networks and ports are made")
        few = list(islice(singly, min(_SINGLY, len(singly) // 2)))
        cloud.plug_singly("one by one, few ports there", few[: len(few) // 2])
        cloud.plug_all(f"{len(bulk)} at once", bulk)
        cloud.plug_all(f"{len(singly) - len(few)} more at once", singly[len(few) :])
        cloud.plug_singly(f"one by one, {len(cloud.ports)} ports there", few[len(few) // 2 :])
        cloud.events()
        number = len(cloud.ports)
        first_packet.measure(
            book,
            place,
            holder,
            f"First packet there and back, beside {number} plugged ports",
            min(_SINGLY, number // 5),
        )
        cloud.restart()
    book.close()


if __name__ == "__main__":
    main()

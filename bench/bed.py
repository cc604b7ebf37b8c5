"""What does a measurement need of a running lab?

A lab that ends with the measurement, objects made as a user makes them, and what the controller says of itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from bench.ovsdb import Database
from topologies.client import LabClient
from topologies.errors import LabError
from topologies.orders import HypervisorStatus, LabStatus
from topologies.rest import Rest, RestError

PROJECT: Final = "red"


@dataclass(frozen=True, slots=True)
class Sent:
    """Messages of change that the controller has sent to one switch since it started."""

    flow_mods: int
    group_mods: int


class Bed:
    """A running lab with the operator's connection to its controller."""

    def __init__(self, lab: LabClient, status: LabStatus) -> None:
        self.lab = lab
        self.status = status
        self.rest: Rest = lab.rest()
        self.databases = {each.name: Database(each.directory) for each in status.hypervisors}

    @property
    def hosts(self) -> list[str]:
        """The hypervisors' names."""
        return [each.name for each in self.status.hypervisors]

    def hypervisor(self, name: str) -> HypervisorStatus:
        """One hypervisor."""
        return next(each for each in self.status.hypervisors if each.name == name)

    def network(self, name: str, cidr: str) -> str:
        """Make a network with one subnet; returns its id."""
        asked = {"network": {"name": name, "project_id": PROJECT}}
        network = str(self.rest.ask("POST", "/v2.0/networks", asked)["network"]["id"])
        subnet = {"network_id": network, "project_id": PROJECT, "cidr": cidr, "ip_version": 4}
        self.rest.ask("POST", "/v2.0/subnets", {"subnet": subnet})
        return network

    def port(self, network: str, host: str, **more: Any) -> dict[str, Any]:
        """Make a port bound to a host."""
        asked = {"network_id": network, "project_id": PROJECT, "binding:host_id": host, **more}
        port: dict[str, Any] = self.rest.ask("POST", "/v2.0/ports", {"port": asked})["port"]
        return port

    def active(self, port_id: str) -> bool:
        """Whether every switch that needs the port has it."""
        return str(self.rest.ask("GET", f"/v2.0/ports/{port_id}?fields=status")["port"]["status"]) == "ACTIVE"

    def all_active(self, port_ids: Collection[str]) -> bool:
        """Whether that is so of all these ports, asked for in one request."""
        ports = self.rest.ask("GET", "/v2.0/ports?fields=id&fields=status&status=ACTIVE")["ports"]
        return {port["id"] for port in ports}.issuperset(port_ids)

    def health(self) -> dict[str, Any]:
        """What the controller says of itself."""
        health: dict[str, Any] = self.rest.ask("GET", "/v1/health")["health"]
        return health

    def sent(self) -> Mapping[str, Sent]:
        """What each switch was sent, by datapath id."""
        return {each["datapath_id"]: Sent(each["flow_mods"], each["group_mods"]) for each in self.health()["switches"]}

    def settled(self) -> bool:
        """Whether every switch is connected and has confirmed everything."""
        try:
            health = self.health()
        except RestError:
            return False
        switches = health["switches"]
        whole = len(self.status.switches) + len(self.status.hypervisors)
        return len(switches) == whole and all(each["connected"] for each in switches) and not health["pending"]


def wait(condition: Callable[[], bool], what: str, *, seconds: float = 60.0, pause: float = 0.01) -> float:
    """Poll until the condition holds; returns CLOCK_MONOTONIC seconds of that moment.

    :raises TimeoutError: if it does not.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(pause)
    return time.monotonic()


@contextmanager
def bed(
    name: str, topology: str, params: Mapping[str, float], settings: Mapping[str, Any] | None = None
) -> Iterator[Bed]:
    """Bring a lab up, and down again whatever happens.

    :param settings: the controller's, as in its file.
    """
    lab = LabClient(f"bench-{name}")
    try:
        made = Bed(lab, lab.up(topology, dict(params), rest_port=0, settings=settings))
        if made.status.warnings:
            raise LabError("; ".join(made.status.warnings))
        try:
            wait(made.settled, "all switches are connected and have confirmed everything")
            yield made
        finally:
            made.rest.close()
    finally:
        lab.down()

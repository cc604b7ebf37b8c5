"""What can one see of VL2 in two minutes?

``vl2 demo``: a data center comes up, two tenants with the same addresses share it, and a virtual machine moves to
another rack under traffic.  What is printed is measured: paths are those of traced packets, probes are counted at both
ends, and what the move cost is what the controller sent.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import click

from topologies.client import LabClient
from topologies.eavesdrop import eavesdropping
from topologies.errors import LabError, TopologyError
from topologies.orders import LabStatus
from topologies.probing import probing, streaming
from topologies.qemu import demo as real
from topologies.qemu import image
from topologies.registry import TOPOLOGIES
from topologies.rest import Rest
from topologies.trace import Path, trace

TENANTS: Final = ("red", "blue")
MACS: Final = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
ADDRESSES: Final = ("192.168.0.10", "192.168.0.11")
CIDR: Final = "192.168.0.0/24"
_MISTAKE: Final = 2
_BEFORE_SECONDS: Final = 2.0
_AFTER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Result:
    """What was seen; the keys of the JSON object."""

    topology: str
    switches: int
    hypervisors: int
    datapath: str
    framework: str
    reachable: bool
    own_frames: int
    """Marked frames that arrived at machines of the tenant that sent them."""
    cross_tenant_frames: int
    """Marked frames that arrived at machines of the other tenant."""
    moved: str
    source: str
    target: str
    pause_ms: float
    """The pause that the move models between STOP and RESUME."""
    path_before: tuple[str, ...]
    path_after: tuple[str, ...]
    probes_sent: int
    probes_lost: int
    duplicates: int
    longest_gap_ms: float
    tcp_survived: bool
    tcp_bytes: int
    tcp_longest_stall_ms: float
    flow_mods: int
    switches_touched: int
    activated_in_ms: float
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether everything that VL2 promises here was kept."""
        return (
            self.reachable
            and self.own_frames > 0
            and self.cross_tenant_frames == 0
            and self.probes_lost == 0
            and self.duplicates == 0
            and self.tcp_survived
        )


class Progress:
    """Says on standard error what goes on."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def say(self, what: str) -> None:
        """One line, with the time."""
        print(f"[{self.seconds:6.1f} s] {what}", file=sys.stderr, flush=True)


def make_port(rest: Rest, tenant: str, network: str, which: int, host: str) -> str:
    """Make a tenant's port with the addresses that the other tenant's has as well; returns its id."""
    port = {
        "network_id": network,
        "project_id": tenant,
        "name": f"{tenant}{which + 1}",
        "mac_address": MACS[which],
        "fixed_ips": [{"ip_address": ADDRESSES[which]}],
        "binding:host_id": host,
    }
    return str(rest.ask("POST", "/v2.0/ports", {"port": port})["port"]["id"])


def make_tenants(lab: LabClient, rest: Rest, places: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Give each tenant a network of the same name and prefix, and two machines with the same addresses.

    :param places: hypervisors for red1, red2, blue1, blue2.
    :returns: the machines' names by tenant.
    """
    machines = {}
    for number, tenant in enumerate(TENANTS):
        network = str(
            rest.ask("POST", "/v2.0/networks", {"network": {"name": "net", "project_id": tenant}})["network"]["id"]
        )
        subnet = {"network_id": network, "project_id": tenant, "cidr": CIDR, "ip_version": 4}
        rest.ask("POST", "/v2.0/subnets", {"subnet": subnet})
        names = (f"{tenant}1", f"{tenant}2")
        for which, name in enumerate(names):
            host = places[2 * number + which]
            lab.vm_add(name, host, port_id=make_port(rest, tenant, network, which, host))
        machines[tenant] = names
    return machines


def reaches(lab: LabClient, machine: str, address: str) -> bool:
    """Whether a machine's ping to an address is answered."""
    return lab.run(machine, ["ping", "-c", "3", "-i", "0.2", "-W", "2", address]).returncode == 0


def perform(lab: LabClient, status: LabStatus, pause_ms: float, progress: Progress) -> Result:
    """Play the demo in a lab that is up.

    :param pause_ms: between STOP and RESUME of the move.
    """
    hosts = [hypervisor.name for hypervisor in status.hypervisors]
    if len(hosts) < 3:  # noqa: PLR2004
        raise TopologyError("topology: the demo needs at least three hypervisors", "topology")
    with lab.rest() as rest:
        framework = str(rest.ask("GET", "/v1/health")["health"]["framework"])
        progress.say(
            f"{len(status.switches)} switches and {len(hosts)} hypervisors are up ({status.datapath} datapath)"
        )
        target = hosts[-1]
        machines = make_tenants(lab, rest, (hosts[0], hosts[1], hosts[1], hosts[0]))
        red, peer = machines["red"][1], machines["red"][0]
        progress.say(
            f"tenants red and blue have two machines each, with the same MACs and IPs ({', '.join(ADDRESSES)})"
        )
        with eavesdropping(lab, machines) as ears:
            reachable = all(reaches(lab, names[0], ADDRESSES[1]) for names in machines.values())
            progress.say(f"within each tenant: {'reachable' if reachable else 'NOT reachable'}")
            before = trace(lab, peer, red)
            progress.say(f"path {peer} → {red}: {_drawn(before)}")
            progress.say(
                f"{red} moves from {hosts[1]} to {target}, pause {pause_ms:g} ms, under 1 kHz probes and TCP …"
            )
            with probing(lab, peer, red) as probe, streaming(lab, peer, red) as stream:
                _let_pass(_BEFORE_SECONDS)
                report = lab.vm_move(red, target, pause_ms=pause_ms)
                _let_pass(_AFTER_SECONDS)
            probed, streamed = probe.result(), stream.result()
            after = trace(lab, peer, red)
            progress.say(f"path {peer} → {red}: {_drawn(after)}")
            heard = ears.stop()
        cost = _cost(rest, red, lab)
    return Result(
        topology=status.topology,
        switches=len(status.switches),
        hypervisors=len(hosts),
        datapath=status.datapath,
        framework=framework,
        reachable=reachable,
        own_frames=heard.own,
        cross_tenant_frames=heard.foreign,
        moved=red,
        source=report.source,
        target=report.target,
        pause_ms=report.pause_ms,
        path_before=before.nodes,
        path_after=after.nodes,
        probes_sent=probed.sent,
        probes_lost=probed.lost,
        duplicates=probed.duplicated,
        longest_gap_ms=round(probed.longest_gap_ms, 3),
        tcp_survived=streamed.intact,
        tcp_bytes=streamed.bytes,
        tcp_longest_stall_ms=round(streamed.longest_stall_ms, 3),
        flow_mods=int(cost["flow_mods"]),
        switches_touched=len(cost["switches_touched"]),
        activated_in_ms=round(float(cost["activated_in_ms"]), 3),
        seconds=round(progress.seconds, 1),
    )


def _cost(rest: Rest, machine: str, lab: LabClient) -> dict[str, Any]:
    (port,) = (each.port_id for each in lab.status().vms if each.name == machine)
    moves: list[dict[str, Any]] = rest.ask("GET", f"/v1/moves?port_id={port}")["moves"]
    return moves[-1]


def _drawn(path: Path) -> str:
    return " → ".join(path.nodes) + f"  (VNI {path.vni})"


def _let_pass(seconds: float) -> None:
    """Let traffic run for a while: the demo measures what happens in it."""
    time.sleep(seconds)


def told(result: Result) -> str:
    """The result for people."""
    lines = [
        (
            f"VL2 demo: {result.topology}, {result.switches} switches, {result.hypervisors} hypervisors,"
            f" {result.datapath} datapath, {result.framework}"
        ),
        "",
        (
            f"  same addresses, two tenants   {result.own_frames} marked frames within tenants,"
            f" {result.cross_tenant_frames} across"
        ),
        (
            f"  {result.moved} moved                    {result.source} → {result.target},"
            f" stood still for {result.pause_ms:g} ms"
        ),
        f"  path before                   {' → '.join(result.path_before)}",
        f"  path after                    {' → '.join(result.path_after)}",
        (
            f"  probes (1 kHz, both ways)     {result.probes_sent} sent, {result.probes_lost} lost,"
            f" {result.duplicates} duplicated, longest gap {result.longest_gap_ms:g} ms"
        ),
        (
            f"  TCP stream                    {'survived, every byte intact' if result.tcp_survived else 'BROKEN'}"
            f" ({result.tcp_bytes / 1e6:.1f} MB, longest stall {result.tcp_longest_stall_ms:g} ms)"
        ),
        (
            f"  the move took                 {result.flow_mods} flow-mods on {result.switches_touched} switches,"
            f" activated in {result.activated_in_ms:g} ms"
        ),
        "",
        f"  {'all as promised' if result.ok else 'NOT as promised'}, {result.seconds:g} s",
    ]
    return "\n".join(lines)


@contextmanager
def _lab(name: str, topology: str, *, keep: bool, rest_port: int) -> Iterator[tuple[LabClient, LabStatus]]:
    lab = LabClient(name)
    try:
        yield lab, lab.up(topology, rest_port=rest_port, projects=TENANTS)
    finally:
        if not keep:
            lab.down()


@click.command("demo")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--topology", default="vl2", show_default=True, help=", ".join(TOPOLOGIES))
@click.option("--pause-ms", default=20.0, show_default=True, help="Pause of the move between STOP and RESUME.")
@click.option("--qemu", is_flag=True, help="Two QEMU guests, of which one moves to another rack and back.")
@click.option("--keep", is_flag=True, help="Leave the lab running (end it with: vl2 lab --name demo down).")
@click.option("--rest-port", default=0, help="TCP port of the API; by default a free one.")
@click.pass_context
def command(
    ctx: click.Context, *, as_json: bool, topology: str, pause_ms: float, qemu: bool, keep: bool, rest_port: int
) -> None:
    """Bring a data center up and move a virtual machine under traffic (needs root)."""
    progress = Progress()
    try:
        if qemu:
            image.built()
        progress.say(f"bringing up the {topology} topology …")
        with _lab("demo", topology, keep=keep, rest_port=rest_port) as (lab, status):
            if qemu:
                seen = real.perform(lab, status, progress.say, lambda: progress.seconds)
                words, well = real.told(seen), seen.ok
                found = dataclasses.asdict(seen)
            else:
                result = perform(lab, status, pause_ms, progress)
                words, well = told(result), result.ok
                found = dataclasses.asdict(result)
    except TopologyError as wrong:
        click.echo(f"vl2 demo: {wrong.message}", err=True)
        ctx.exit(_MISTAKE)
    except LabError as wrong:
        click.echo(f"vl2 demo: {wrong.message}", err=True)
        ctx.exit(1)
    click.echo(json.dumps(found) if as_json else words)
    ctx.exit(0 if well else 1)

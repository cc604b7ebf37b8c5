"""How does a person use a lab?

``vl2 lab up|status|vm|cli|down`` and the verbs that break things.  A mistake is one line and exit code 2; trouble while
running is one line and exit code 1.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, Final

import click

from topologies import drawing, overrides
from topologies.client import ROOT, LabClient
from topologies.errors import LabError, NoSuchLab, NoSuchNode, TopologyError
from topologies.orders import Configure, Kind, LabStatus, Moment, ServerStatus, Trigger, VmStatus
from topologies.registry import TOPOLOGIES, make, parameters
from topologies.underlay import UnderlayTopo

_MISTAKE: Final = 2
_VID_END: Final = 4095


class _Spoken(click.Group):
    """A group whose commands answer a lab's errors with one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (TopologyError, NoSuchNode, NoSuchLab) as wrong:
            click.echo(f"vl2 lab: {wrong.message}", err=True)
            ctx.exit(_MISTAKE)
        except LabError as wrong:
            click.echo(f"vl2 lab: {wrong.message}", err=True)
            ctx.exit(1)


@click.group(name="lab", cls=_Spoken)
@click.option("--name", default="lab", show_default=True, help="Which lab; several can run at once.")
@click.option("--root", type=click.Path(path_type=Path), default=ROOT, show_default=True, help="Where labs keep state.")
@click.pass_context
def command(ctx: click.Context, name: str, root: Path) -> None:
    """A data center out of Mininet, Open vSwitch and namespaces."""
    ctx.obj = LabClient(name, root)


def _pairs(words: tuple[str, ...], option: str) -> list[tuple[str, str]]:
    pairs = []
    for word in words:
        key, sign, value = word.partition("=")
        if not (key and sign and value):
            raise TopologyError(f"{option}: {word!r} is not of the form key=value", option)
        pairs.append((key, value))
    return pairs


def _described() -> str:
    lines = [f"{name}({', '.join(parameters(name))})" for name in TOPOLOGIES]
    return "Topologies and their parameters:\n\n\b\n" + "\n".join(lines)


@command.command(epilog=_described())
@click.option("--topology", default="vl2", show_default=True, help=", ".join(TOPOLOGIES))
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter of the topology.")
@click.option("--hypervisors-per-edge", type=int, help="Hypervisors on each edge switch.")
@click.option("--bw", type=float, help="Link rate in Mbit/s.")
@click.option("--delay", help="Link delay, such as 1ms.")
@click.option("--la", "las", multiple=True, metavar="HYPERVISOR=ADDRESS", help="A hypervisor's locator address.")
@click.option("--datapath", default="auto", show_default=True, help="auto, netdev or system.")
@click.option("--no-controller", is_flag=True, help="Start no controller.")
@click.option("--rest-port", default=9696, show_default=True, help="TCP port of the API; 0 takes a free one.")
@click.option("--project", "projects", multiple=True, help="A tenant to make a token for [default: red, blue].")
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="A setting of the controller: overlay.grace_seconds=2."
)
@click.option("--tls", is_flag=True, help="Encrypt OpenFlow, OVSDB and the API.")
@click.option("--name", help="Which lab (as before the verb).")
@click.pass_obj
def up(  # noqa: PLR0917  (click hands over what the options say)
    lab: LabClient,
    topology: str,
    params: tuple[str, ...],
    hypervisors_per_edge: int | None,
    bw: float | None,
    delay: str | None,
    las: tuple[str, ...],
    datapath: str,
    no_controller: bool,
    rest_port: int,
    projects: tuple[str, ...],
    sets: tuple[str, ...],
    tls: bool,
    name: str | None,
) -> None:
    """Start a lab; it runs on in the background."""
    if name:
        lab = LabClient(name, lab.directory.parent)
    given: dict[str, Any] = dict(_pairs(params, "param"))
    options = {"hypervisors_per_edge": hypervisors_per_edge, "bw": bw, "delay": delay}
    given |= {key: value for key, value in options.items() if value is not None}
    status = lab.up(
        topology,
        given,
        las=_pairs(las, "la"),
        datapath=datapath,
        controller=not no_controller,
        rest_port=rest_port,
        projects=projects or ("red", "blue"),
        settings=overrides.read(_pairs(sets, "set")),
        tls=tls,
    )
    _print_status(status)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def status(lab: LabClient, as_json: bool) -> None:
    """Show the lab."""
    found = lab.status()
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        _print_status(found)


@command.command(name="topology")
@click.option("--topology", help="One that need not run, such as vl2; the running lab's when left out.")
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter of the topology.")
@click.option("--format", "language", default="graphml", show_default=True, type=click.Choice(drawing.FORMATS))
@click.pass_obj
def draw(lab: LabClient, topology: str | None, params: tuple[str, ...], language: str) -> None:
    """Print the fabric as the controller's intended topology."""
    if topology is None and params:
        raise TopologyError("param: needs --topology: a running lab is what it is", "param")
    graph = drawing.of_lab(lab.status()) if topology is None else drawing.of_topology(_made(topology, params))
    click.echo(drawing.write(graph, language))


def _made(topology: str, params: tuple[str, ...]) -> UnderlayTopo:
    return make(topology, dict(_pairs(params, "param")))


@command.command()
@click.pass_obj
def down(lab: LabClient) -> None:
    """End the lab and remove everything that it made, also what a killed one has left."""
    click.echo(f"lab {lab.name!r} is down" if lab.down() else f"there is no lab {lab.name!r}")


@command.command(name="cli")
@click.pass_obj
def cli_(lab: LabClient) -> None:
    """Mininet's prompt, with the lab's nodes and machines as they are now."""
    lab.prompt()


@command.group()
def vm() -> None:
    """Virtual machines."""


@vm.command()
@click.argument("name")
@click.option("--host", required=True, help="The hypervisor.")
@click.option("--port", "port_id", default="", help="The port's id.")
@click.option("--network", default="", help="Or: a network (name or id) in which a port is made.")
@click.option("--tenant", "--project", "project", default="", help="The network's project.")
@click.option("--mac", default="", help="Without a controller: the machine's MAC.")
@click.option("--address", "addresses", multiple=True, help="Without a controller: an address, such as 10.1.0.5/24.")
@click.option("--vlan", "vlans", multiple=True, metavar="VID=PORT", help="A VLAN on its card, and the sub-port's id.")
@click.option(
    "--configure",
    type=click.Choice([str(each) for each in Configure]),
    default=str(Configure.STATIC),
    show_default=True,
    help="How it gets its addresses.",
)
@click.option("--dhcp", is_flag=True, help="The same as --configure dhcp.")
@click.option("--qemu", is_flag=True, help="A QEMU guest with a kernel of its own.")
@click.pass_obj
def add(  # noqa: PLR0917  (click hands over what the options say)
    lab: LabClient,
    /,
    name: str,
    host: str,
    vlans: tuple[str, ...],
    configure: str,
    dhcp: bool,
    **options: Any,
) -> None:
    """Start a virtual machine."""
    how = Configure.DHCP if dhcp else configure
    _print_vm(lab.vm_add(name, host, vlans=_vlans(vlans), configure=how, **options))


def _vlans(words: tuple[str, ...]) -> list[tuple[int, str]]:
    pairs = _pairs(words, "vlan")
    for word, _ in pairs:
        if not (word.isascii() and word.isdigit() and 0 < int(word) < _VID_END):
            raise TopologyError(f"vlan: {word!r} is no VLAN, which are 1 … {_VID_END - 1}", "vlan")
    return [(int(vid), port) for vid, port in pairs]


@vm.command()
@click.argument("name")
@click.option("--to", required=True, help="The hypervisor to move to.")
@click.option("--pause-ms", default=0.0, show_default=True, help="How long the machine stands still.")
@click.option("--trigger", default=str(Trigger.REST), show_default=True, help=", ".join(Trigger))
@click.option("--moment", default="", help=f"With rest, when to switch over: {', '.join(Moment)}.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def move(  # noqa: PLR0917  (click hands over what the options say)
    lab: LabClient, name: str, to: str, pause_ms: float, trigger: str, moment: str, as_json: bool
) -> None:
    """Move a virtual machine; its processes and connections live on."""
    report = lab.vm_move(name, to, pause_ms=pause_ms, trigger=trigger, moment=moment)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report)))
        return
    click.echo(f"{report.vm}: {report.source} → {report.target}, stood still for {report.blackout_ms:.1f} ms")


@vm.command(name="del")
@click.argument("name")
@click.pass_obj
def delete(lab: LabClient, name: str) -> None:
    """End a virtual machine."""
    lab.vm_del(name)


@vm.command(name="exec", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def execute(lab: LabClient, name: str, words: tuple[str, ...]) -> None:
    """Run a command in a virtual machine (or hypervisor, or switch), on this terminal."""
    argv = lab.command(name, words)
    environment = dict(os.environ)
    if name not in {each.name for each in lab.status().vms}:
        environment = lab.environment(name)
    os.execvpe(argv[0], argv, environment)  # noqa: S606


@command.group()
def server() -> None:
    """Servers that are wired straight to an edge switch."""


@server.command(name="add")
@click.argument("name")
@click.option("--edge", required=True, help="The edge switch.")
@click.option("--vlan", "vlans", multiple=True, type=int, help="The tag of its frames; 0 for none.  May be repeated.")
@click.option("--port", "port_ids", multiple=True, help="The id of the port that this VLAN is.  As often as --vlan.")
@click.pass_obj
def add_server(lab: LabClient, name: str, edge: str, vlans: tuple[int, ...], port_ids: tuple[str, ...]) -> None:
    """Wire a server to an edge switch, which becomes its tunnel endpoint."""
    if len(vlans) != len(port_ids):
        raise TopologyError("vlan, port: needs as many VLANs as ports", "vlan")
    _print_server(lab.server_add(name, edge, dict(zip(vlans, port_ids, strict=True))))


@server.command(name="del")
@click.argument("name")
@click.pass_obj
def delete_server(lab: LabClient, name: str) -> None:
    """End a server."""
    lab.server_del(name)


@command.command(name="link")
@click.argument("one")
@click.argument("other")
@click.argument("state", type=click.Choice(["up", "down"]))
@click.pass_obj
def link(lab: LabClient, one: str, other: str, state: str) -> None:
    """Take the link between two nodes up or down."""
    lab.set_link(one, other, up=state == "up")


def _verb(name: str, method: str, text: str) -> None:
    @command.command(name=name, help=text)
    @click.argument("node")
    @click.pass_obj
    def act(lab: LabClient, node: str) -> None:
        getattr(lab, method)(node)


_verb("kill-switch", "kill_switch", "Cut a fabric switch's power: kill -9, and all its links down.")
_verb("revive-switch", "revive_switch", "Give a fabric switch its power back.")
_verb("kill-vswitchd", "kill_vswitchd", "kill -9 a hypervisor's ovs-vswitchd.")
_verb("restart-vswitchd", "restart_vswitchd", "Start a hypervisor's ovs-vswitchd again.")


@command.command(name="kill-controller")
@click.option("-9", "hard", is_flag=True, help="kill -9 instead of SIGTERM.")
@click.pass_obj
def kill_controller(lab: LabClient, hard: bool) -> None:
    """End the controller."""
    lab.kill_controller(hard=hard)


@command.command(name="start-controller")
@click.pass_obj
def start_controller(lab: LabClient) -> None:
    """Start the controller again."""
    lab.start_controller()


def _print_status(found: LabStatus) -> None:
    click.echo(f"lab {found.name!r}: {found.topology}, {found.datapath} datapath, state in {found.directory}")
    for switch in found.switches:
        click.echo(f"  switch      {switch.name:<10} dpid {switch.dpid}  {'up' if switch.running else 'DOWN'}")
    for host in found.hypervisors:
        click.echo(f"  hypervisor  {host.name:<10} LA {host.la} on {host.edge}  {'up' if host.running else 'DOWN'}")
    for machine in found.vms:
        _print_vm(machine)
    for wired in found.servers:
        _print_server(wired)
    control = found.controller
    if control is not None:
        state = "up" if control.running else "DOWN"
        click.echo(f"  controller  {control.url}  {state}  log {control.log}")
        if control.cacert:
            click.echo(f"  authority   {control.cacert}")
        click.echo(f"  tokens      operator: {control.operator_token_file}")
        for project, path in control.project_token_files.items():
            click.echo(f"              {project}: {path}")
    for warning in found.warnings:
        click.echo(f"vl2 lab: warning: {warning}", err=True)


def _print_server(server: ServerStatus) -> None:
    for card in server.cards:
        at, addresses = f"{server.edge} {server.interface} VLAN {card.vlan}", " ".join(card.addresses)
        click.echo(f"  server      {server.name:<10} at {at}  {card.mac} {addresses}  port {card.port_id}")


def _print_vm(machine: VmStatus) -> None:
    addresses, kind = " ".join(machine.addresses), "  QEMU" if machine.kind is Kind.QEMU else ""
    at = f"{machine.host}  {machine.mac} {addresses}"
    click.echo(f"  vm          {machine.name:<10} at {at}  port {machine.port_id}{kind}")

"""How does the operator give every machine of the network its certificate?

``vl2 pki init|host|revoke|show``.  What was made is told with what to do with it: a block for the controller's
configuration, and the commands that a hypervisor or switch needs.  A mistake is one line and exit code 2.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from controller.certificates import LEAF_DAYS
from controller.pki import Machine, Pki, PkiError, Place, machine_named

_MISTAKE: Final = 2
_DIRECTORY: Final = Path("/etc/vl2/pki")
_SWITCHES_OWN: Final = Path("/etc/openvswitch")
_EVERYWHERE: Final = ("localhost", "127.0.0.1", "::1")


class _Spoken(click.Group):
    """A group whose commands answer what goes wrong with one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PkiError as wrong:
            click.echo(f"vl2 pki: {wrong}", err=True)
            ctx.exit(_MISTAKE)


@click.group(name="pki", cls=_Spoken, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Certificates for the controller, hypervisors and switches."""


_dir = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=_DIRECTORY,
    show_default=True,
    help="Where they are kept; whoever can read it can be anybody.",
)
_days = click.option(
    "--days", default=LEAF_DAYS, show_default=True, type=click.IntRange(1, 3650), help="How long it is valid."
)
_force = click.option("--force", is_flag=True, help="Make anew what is there.")


@command.command()
@_dir
@click.option(
    "--name", "names", multiple=True, help="A name or IP address by which the controller is called; can be repeated."
)
@_days
@_force
def init(directory: Path, names: tuple[str, ...], days: int, force: bool) -> None:
    """Make an authority, and the controller's certificate with its key."""
    pki = Pki(directory.absolute())
    here = socket.gethostname()
    pki.init("VL2 controller", (*names, *_EVERYWHERE, here), datetime.now(UTC), days=days, force=force)
    for line in _for_controller(pki):
        click.echo(line)


@command.command()
@click.argument("machines", nargs=-1, required=True, metavar="NAME[=DATAPATH-ID]…")
@_dir
@click.option("--controller", default="CONTROLLER", help="The controller's address, for the commands that are printed.")
@click.option("--edge", is_flag=True, help="Machines are wired to these fabric switches, which may be hosts to them.")
@_days
@_force
def host(  # noqa: PLR0917  (click hands over what the options say)
    machines: tuple[str, ...], directory: Path, controller: str, edge: bool, days: int, force: bool
) -> None:
    """Make a certificate and key for a hypervisor (NAME) or a fabric switch (NAME=DATAPATH-ID)."""
    pki = Pki(directory.absolute())
    # All names are read before the first file is written.
    for machine in tuple(machine_named(machine, edge=edge) for machine in machines):
        place = pki.add(machine, datetime.now(UTC), days=days, force=force)
        for line in _for_machine(pki, machine, place, controller):
            click.echo(line)


@command.command()
@click.argument("name")
@_dir
def revoke(name: str, directory: Path) -> None:
    """Let the certificate of the machine NAME count no more."""
    pki = Pki(directory.absolute())
    pki.revoke(name, datetime.now(UTC))
    click.echo(
        f"{name} is in {pki.revoked}; where tls.revoked names that file, restart the controller to hang up on it"
    )


@command.command()
@_dir
def show(directory: Path) -> None:
    """List the certificates and when they expire."""
    pki, now = Pki(directory.absolute()), datetime.now(UTC)
    found = list(pki.all())
    if not found:
        raise PkiError(f"{pki.directory}: no certificates; make some with: vl2 pki init")
    width = max(len(str(path.relative_to(pki.directory))) for path, _ in found)
    for path, facts in found:
        name = f"{path.relative_to(pki.directory)!s:<{width}}"
        if isinstance(facts, str):
            click.echo(f"{name}  {facts}")
            continue
        left = (facts.not_after - now).days
        state = "EXPIRED" if now > facts.not_after else f"{left} days left"
        names = ", ".join(facts.names) or facts.common_name
        click.echo(f"{name}  until {facts.not_after:%Y-%m-%d}  {state:>14}  {names}")


def _for_controller(pki: Pki) -> Iterator[str]:
    yield f"# for the controller's configuration; {pki.authority.key} stays where it is"
    yield "[tls]"
    yield f'ca = "{pki.authority.certificate}"'
    yield f'certificate = "{pki.controller.certificate}"'
    yield f'key = "{pki.controller.key}"'
    yield f'revoked = "{pki.revoked}"'
    yield "[rest]"
    yield f'certificate = "{pki.controller.certificate}"'
    yield f'key = "{pki.controller.key}"'


def _for_machine(pki: Pki, machine: Machine, place: Place, controller: str) -> Iterator[str]:
    literal = f"[{controller}]" if ":" in controller else controller
    key, certificate, authority = (_SWITCHES_OWN / f"vl2-{name}" for name in ("key.pem", "certificate.pem", "ca.pem"))
    yield f"# {machine.name}: copy these to it, the key readable by Open vSwitch alone (chmod 600)"
    yield f"#   {place.key} -> {key}"
    yield f"#   {place.certificate} -> {certificate}"
    yield f"#   {pki.authority.certificate} -> {authority}"
    yield "# and then, there:"
    yield f"ovs-vsctl set-ssl {key} {certificate} {authority}"
    if machine.datapath is not None:
        yield f"ovs-vsctl set-controller br0 ssl:{literal}:6653"
    yield f"ovs-vsctl set-manager ssl:{literal}:6640"

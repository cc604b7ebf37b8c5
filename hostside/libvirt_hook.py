"""What is to be done when libvirt calls ``/etc/libvirt/hooks/qemu``?

``vl2 libvirt-hook GUEST OPERATION SUB-OPERATION EXTRA`` with the domain's XML on the standard input.  Of a migration
libvirt tells its hooks two moments only: at the target that a guest is coming (``migrate begin``), and at either host
that its QEMU has ended (``stopped end``, ``release end``).  No hook is called when the guest stops at the source and
goes on at the target; ``started begin`` at the target is *before* its memory is copied.  So here bindings are made and
cleaned up, and :mod:`hostside.agent` or the target's announcements activate them.

Nothing is written on the standard output, which would replace the XML; and whatever happens, the guest starts.
"""

from __future__ import annotations

import sys
import syslog
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import click

from hostside import plugs
from hostside.api import Api, Where, where
from hostside.domain import LIMIT, port_ids
from hostside.errors import HostsideError, Refused
from hostside.mover import elsewhere
from hostside.options import Spoken, reaching

_SECONDS: Final = 3.0
"""libvirt and the guest wait for us."""
_THREADS: Final = 32
_HARMLESS: Final = frozenset({"PortBindingAlreadyExists", "PortBindingAlreadyActive", "PortBindingNotFound"})
"""Somebody else has done it, or it is not to be done."""
_LEFT: Final = frozenset({"-", "", "migrated"})
"""The reasons for which a guest may have ended here and run elsewhere; before libvirt 10.5 none is given."""


def expect(api: Api, port_id: str, host: str) -> str:
    """A guest is about to come: prepare its port here.  Returns what was done, ``""`` for nothing."""
    bindings = api.bindings(port_id)
    if not bindings or any(each.host == host for each in bindings):
        return ""  # nowhere yet, so that it is bound where it appears; or known here
    api.prepare(port_id, host)
    return f"port {port_id}: passive binding at {host}"


def ended(api: Api, port_id: str, host: str, *, left: bool) -> str:
    """A guest's QEMU has ended: the port is not here any more, or will not come.

    :param left: whether the guest may have gone on elsewhere.
    """
    bindings = api.bindings(port_id)
    own = next((each for each in bindings if each.host == host), None)
    if own is None:
        return ""
    if not own.active:
        api.remove(port_id, host)
        return f"port {port_id}: passive binding at {host} deleted"
    target = elsewhere(bindings, host)
    if not target or not left:
        return ""
    api.activate(port_id, target)
    return f"port {port_id}: activated at {target}"


def work(operation: str, sub: str, extra: str, host: str) -> Callable[[Api, str], str] | None:
    """What an operation calls for, for each port; ``None`` for nothing."""
    match operation, sub:
        case "migrate", "begin":
            return lambda api, port_id: expect(api, port_id, host)
        case (("stopped" | "release"), "end"):
            return lambda api, port_id: ended(api, port_id, host, left=extra in _LEFT)
        case _:
            return None


def carry_out(at: Where, ports: tuple[str, ...], each: Callable[[Api, str], str]) -> tuple[list[str], list[str]]:
    """Do it for all ports at once; returns what was done, and what went wrong."""
    done, wrong = [], []

    def one(port_id: str) -> tuple[str, str]:
        api = Api(at, _SECONDS)
        try:
            return each(api, port_id), ""
        except Refused as refused:
            return "", "" if refused.kind in _HARMLESS else f"port {port_id}: {refused}"
        except HostsideError as trouble:
            return "", f"port {port_id}: {trouble}"
        finally:
            api.close()

    with ThreadPoolExecutor(max(1, min(len(ports), _THREADS))) as pool:
        for good, bad in pool.map(one, ports):
            done += [good] if good else []
            wrong += [bad] if bad else []
    return done, wrong


@click.command(name="libvirt-hook", cls=Spoken, context_settings={"help_option_names": ["-h", "--help"]})
@reaching
@click.option("--veto", is_flag=True, help="Refuse an incoming migration that the controller cannot prepare.")
@click.argument("guest")
@click.argument("operation")
@click.argument("sub")
@click.argument("extra", default="-")
def command(
    *,
    url: str,
    token_file: Path,
    cacert: Path | None,
    host: str | None,
    db: str | None,
    veto: bool,
    guest: str,
    operation: str,
    sub: str,
    extra: str,
) -> None:
    """Do for a guest's ports what libvirt's hook tells: /etc/libvirt/hooks/qemu.d/vl2 calls it with "$@"."""
    try:
        each = work(operation, sub, extra, "")
        if each is None:
            return
        ports = port_ids(sys.stdin.buffer.read(LIMIT + 1))
        if not ports:
            return
        at = where(url, token_file, cacert)
        each = work(operation, sub, extra, host or plugs.own_name(db))
        assert each is not None  # noqa: S101  (the name of the host does not decide that)
        done, wrong = carry_out(at, ports, each)
    except HostsideError as trouble:
        done, wrong = [], [str(trouble)]
    for line in (*done, *wrong):
        _say(f"{guest} {operation} {sub}: {line}")
    if wrong and veto and operation == "migrate":
        click.get_current_context().exit(1)


def _say(line: str) -> None:
    """Say it to whoever looks: libvirt drops what a hook says that has not failed."""
    click.echo(f"vl2 libvirt-hook: {line}", err=True)
    syslog.openlog("vl2-libvirt-hook", facility=syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_NOTICE, line)

"""Of which parts is a controller made, and in which order do they start and stop?

The store first, then the owner with the worlds that it restores from it, then the listeners; REST last, so that
whoever gets an answer from it talks to a controller that is whole.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from pathlib import Path
from typing import Final

import eventlet

from controller import green
from controller.configuration import SettingsError
from controller.desk import Desk
from controller.discovery import Announcer
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan
from controller.fabric.policies import policy_named
from controller.openflow import app as openflow
from controller.openflow.tally import Tally
from controller.ovsdb.server import HostsServer
from controller.owner import Owner
from controller.rest.app import build, product_version
from controller.rest.server import Server
from controller.settings import Settings, load
from controller.store import SqliteStore, StoreError
from controller.tokens import operator_token, secret
from overlay.changes import DocumentKind
from overlay.world import Settings as WorldSettings
from overlay.world import World

_LOG: Final = logging.getLogger(__name__)
_OVERLAY_KINDS: Final = frozenset(DocumentKind)


def main(config: Path | None) -> int:
    """Run until told to stop; returns the process's exit code."""
    try:
        run(load(config))
    except (SettingsError, StoreError) as error:
        sys.stderr.write(f"vl2 controller: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"vl2 controller: cannot listen: {error}\n")
        return 2
    return 0


def run(settings: Settings) -> None:
    """Run a controller with these settings until SIGTERM or SIGINT.

    :raises SettingsError: when the operator's token cannot be made or read.
    :raises StoreError: when the store cannot be used.
    :raises OSError: when an address cannot be listened on.
    """
    store = SqliteStore(settings.state_dir)
    try:
        _serve(settings, store)
    finally:
        store.close()


def _serve(settings: Settings, store: SqliteStore) -> None:
    operator = operator_token(settings.operator_token_file)
    owner = restore(settings, store)
    stop = eventlet.event.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: eventlet.spawn_after(0, _once, stop))
    tally = Tally()
    hosts = HostsServer()
    loop = eventlet.spawn(owner.run)
    switches = openflow.listen(tuple((at.address, at.port) for at in settings.openflow.listen), owner.put, tally)
    try:
        hosts.start([(at.address, at.port) for at in settings.ovsdb.listen], switches.addresses[0][1], owner.put)
        green.collect_rarely()
        desk = Desk(owner, hosts, tally, version=product_version())
        rest = Server(settings.rest.listen, build(desk, operator, settings.tokens))
        _LOG.info("REST on http://%s (a page to try it: /docs)", rest.endpoint)
        stop.wait()
        _LOG.info("stopping; the switches go on as they are")
        rest.stop()
    finally:
        hosts.stop()
        switches.stop()
        loop.kill()


def restore(settings: Settings, store: SqliteStore) -> Owner:
    """Build the owner with the worlds that the store remembers."""
    documents = store.load()
    world = World.restore(
        (document for document in documents if document.kind in _OVERLAY_KINDS),
        time.time(),
        WorldSettings(
            settings.overlay.vni_first,
            settings.overlay.vni_last,
            settings.overlay.grace_seconds,
            settings.overlay.move_timeout,
        ),
    )
    plan = LaPlan(settings.fabric.la_supernet, settings.fabric.edge_prefix_length, settings.fabric.router_mac)
    fabric = Fabric.restore(
        (document for document in documents if document.kind not in _OVERLAY_KINDS),
        plan,
        time.monotonic(),
        hold=settings.fabric.hold * settings.fabric.lldp_interval,
        policy=policy_named(settings.fabric.policy),
        paths=settings.fabric.paths,
        damping=settings.fabric.damping,
    )
    return Owner(
        world,
        fabric,
        store,
        announcer=Announcer(secret(settings.state_dir / "discovery.secret").encode()),
        lldp_interval=settings.fabric.lldp_interval,
        lost_after=settings.overlay.host_lost_after,
        audit_interval=settings.audit_interval,
    )


def _once(stop: eventlet.event.Event) -> None:
    if not stop.ready():
        stop.send()

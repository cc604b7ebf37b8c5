"""Of which parts is a controller made, and in which order do they start and stop?

The store first, then the owner with the worlds that it restores from it, then the listeners; REST last, so that
whoever gets an answer from it talks to a controller that is whole.
"""

from __future__ import annotations

import logging
import signal
import ssl
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import eventlet

from controller import green
from controller.configuration import SettingsError
from controller.desk import Desk
from controller.discovery import Announcer
from controller.fabric import drawing, intended
from controller.fabric.elephants import check_policy
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan
from controller.fabric.policies import policy_named
from controller.framework import Address
from controller.guests.listening import Query
from controller.identity.roster import Roster
from controller.openflow import app as openflow
from controller.openflow.tally import Tally
from controller.ovsdb.server import HostsServer
from controller.owner import Owner
from controller.rest import audit
from controller.rest.access import Authenticator
from controller.rest.app import build, product_version
from controller.rest.limits import RateLimits
from controller.rest.server import Server
from controller.settings import OPERATOR, ListenSettings, Settings, load
from controller.store import SqliteStore, StoreError
from controller.tokens import operator_token, password, secret
from overlay.changes import Document, DocumentKind
from overlay.refusals import Invalid, Refusal
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

    :raises SettingsError: when the operator's token cannot be made or read, the audit log cannot be written, or the
        intended topology or a certificate cannot be used.
    :raises StoreError: when the store cannot be used.
    :raises OSError: when an address cannot be listened on.
    """
    store = SqliteStore(settings.state_dir)
    try:
        _serve(settings, store)
    finally:
        store.close()


def _serve(settings: Settings, store: SqliteStore) -> None:
    for_switches, for_rest = _contexts(settings)
    operator = operator_token(settings.operator_token_file)
    others = _others(settings)
    if settings.rest.audit_log is not None:
        audit.write_to(settings.rest.audit_log)
    owner = restore(settings, store)
    stop = eventlet.event.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: eventlet.spawn_after(0, _once, stop))
    tally = Tally()
    hosts = HostsServer(bfd_interval=settings.fabric.bfd_interval)
    loop = eventlet.spawn(owner.run)
    plain, secure = _doors(settings.openflow)
    switches = openflow.listen(plain, owner.put, tally, tls=secure, context=for_switches)
    try:
        ports = [port for _, port in switches.addresses]
        plain_hosts, secure_hosts = _doors(settings.ovsdb)
        hosts.start(
            plain_hosts,
            ports[0] if plain else None,
            owner.put,
            tls_addresses=secure_hosts,
            openflow_tls_port=ports[len(plain)] if secure else None,
            context=for_switches,
        )
        green.collect_rarely()
        desk = Desk(owner, hosts, tally, version=product_version())
        limits = RateLimits(settings.rest.rate_limit, settings.rest.rate_burst)
        app = build(desk, operator, settings.tokens, authenticators=others, limits=limits)
        rest = Server(settings.rest.listen, app, for_rest)
        scheme = "https" if rest.endpoint.tls else "http"
        _LOG.info("REST on %s://%s (a page to try it: /docs)", scheme, rest.endpoint)
        stop.wait()
        _LOG.info("stopping; the switches go on as they are")
        rest.stop()
    finally:
        hosts.stop()
        switches.stop()
        loop.kill()


def _contexts(settings: Settings) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """What the listeners for switches and hosts, and the one for REST, show to those who call; renewed at SIGHUP.

    :raises SettingsError: naming the key whose file cannot be used.
    """
    if settings.tls is None and not settings.rest.listen.tls:
        return None, None
    from controller.trust import Trust  # noqa: PLC0415  (25 ms of a start, which a controller without TLS can spare)

    trust = Trust(settings)
    signal.signal(signal.SIGHUP, lambda *_: eventlet.spawn_after(0, trust.reload))
    return trust.switches, trust.rest


def _doors(listen: ListenSettings) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
    """Where to listen without TLS, and where with."""
    plain, secure = (
        tuple((at.address, at.port) for at in listen.listen if at.tls == wanted) for wanted in (False, True)
    )
    return plain, secure


def _others(settings: Settings) -> tuple[Authenticator, ...]:
    """Who else can say whose a token is.

    :raises SettingsError: for a Keystone without the library that asks it, or without its password.
    """
    if settings.keystone is None:
        return ()
    try:
        from controller.rest.keystone import Keystone  # noqa: PLC0415  (only whoever has a Keystone installs this)
    except ModuleNotFoundError as error:
        raise SettingsError(f"keystone: {error.name} is missing: pip install 'vl2[keystone]'") from error
    return (Keystone(settings.keystone, password(settings.keystone.password_file)),)


def restore(settings: Settings, store: SqliteStore) -> Owner:
    """Build the owner with the worlds that the store remembers.

    :raises SettingsError: when the settings do not go together with what the operator has chosen since.
    """
    documents = store.load()
    query = Query(settings.overlay.multicast_query_interval)
    world = World.restore(
        (document for document in documents if document.kind in _OVERLAY_KINDS),
        time.time(),
        WorldSettings(
            settings.overlay.vni_first,
            settings.overlay.vni_last,
            settings.overlay.grace_seconds,
            settings.overlay.move_timeout,
            settings.overlay.port_rate_kbps,
            settings.overlay.underlay_mtu,
            settings.quotas,
            flood_unregistered=settings.overlay.multicast_unregistered == "flood",
            groups_per_port=settings.overlay.multicast_groups_per_port,
            groups_per_network=settings.overlay.multicast_groups_per_network,
            listening=query.patience,
            dns_domain=settings.overlay.dns_domain,
            port_rate_pps=settings.overlay.port_rate_pps,
            port_connections=settings.overlay.port_connections,
            storm_pps=settings.overlay.storm_pps,
            asking_pps=settings.overlay.asking_pps,
            lease_seconds=settings.overlay.dhcp_lease_seconds,
            advertising_interval=settings.overlay.ra_interval,
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
    if settings.fabric.watch.elephants is not None:
        try:
            check_policy(fabric.policy.name)
        except Refusal as refusal:
            raise SettingsError(
                f"fabric.elephants: the policy that was chosen is in the way: {refusal.message}"
            ) from refusal
    return Owner(
        world,
        fabric,
        store,
        announcer=Announcer(secret(settings.state_dir / "discovery.secret").encode()),
        lldp_interval=settings.fabric.lldp_interval,
        bfd=settings.fabric.bfd,
        lost_after=settings.overlay.host_lost_after,
        query=query,
        audit_interval=settings.audit_interval,
        watch=settings.fabric.watch,
        intended=_intended(settings.fabric.intended, documents),
        roster=Roster.restore(documents, {OPERATOR}),
    )


def _intended(path: Path | None, documents: Iterable[Document]) -> intended.Statement | None:
    """Read the topology that the configuration, or else the store, says is intended.

    :raises SettingsError: when the configuration's file cannot be read or contradicts itself.
    """
    if path is None:
        return _stored(documents)
    try:
        with path.open("rb") as file:
            text = file.read(drawing.LARGEST + 1)
        return intended.stated(text, drawing.guess(text), str(path))
    except OSError as error:
        raise SettingsError(f"fabric.intended: {path}: {error.strerror}") from error
    except Invalid as wrong:
        raise SettingsError(f"fabric.intended: {path} {wrong.message.removeprefix('document: ')}") from wrong


def _stored(documents: Iterable[Document]) -> intended.Statement | None:
    for document in documents:
        try:
            statement = intended.restored(document)
        except Invalid as wrong:
            _LOG.warning("the stored intended topology is not taken any more: %s", wrong.message)
        else:
            if statement is not None:
                return statement
    return None


def _once(stop: eventlet.event.Event) -> None:
    if not stop.ready():
        stop.send()

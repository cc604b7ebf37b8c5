"""Where does a port live, and how does it get from one host to another?

The intents about ports and bindings, and the events of taps.  Facts take moves along the arrows of ``overlay.moves``;
this module gathers the facts.  Each function checks everything before it changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain
from typing import Final, NamedTuple

from overlay.changes import (
    Activate,
    Announced,
    BindPassive,
    CreatePort,
    DeletePort,
    Document,
    DocumentKind,
    HostSnapshot,
    NoticeKind,
    Plugged,
    Unbind,
    Unchanged,
    Unplugged,
    UpdatePort,
)
from overlay.direct.linking import housed, link
from overlay.documents import write_move
from overlay.guests import options
from overlay.guests.names import domain_of, relative
from overlay.index import Index
from overlay.mirrors.keeping import drop_mirrors
from overlay.moves import SWITCHING, Move, Phase, Situation, Trigger, following
from overlay.numbering import check_mac, choose_addresses, choose_mac, default_addresses, follow_mac
from overlay.policy.ports import by_default, check_security, chosen_groups, chosen_pairs, secured
from overlay.recording import Recorder
from overlay.refusals import Conflict, Invalid, NotFound
from overlay.revisions import fresh
from overlay.sharing import check_guest
from overlay.values import Countable, HostName, LocalLink, Mac, Port, VnicType

HISTORY: Final = 200
"""How many ended moves are kept."""


# --- intents ---------------------------------------------------------------------------------------------------


def create_port(index: Index, change: CreatePort, record: Recorder) -> None:
    """Make a port; if it is plugged somewhere already, it is bound there."""
    network = index.network(change.network_id)
    if change.guest:
        check_guest(index, change.network_id, change.project_id)
    if change.id in index.ports:
        raise Conflict(f"id: there is a port {change.id} already", field="id")
    _known(index, change.host)
    wire = link(index, change.attach, change.id)
    host = housed(index, change.attach.vnic_type, wire, change.host)
    index.qos.check(change.qos_policy_id)
    mac = choose_mac(index, change)
    if change.fixed_ips is None:
        fixed_ips = default_addresses(index, change.network_id, mac)
    else:
        fixed_ips = choose_addresses(index, change.network_id, change.fixed_ips, mac)
    port = Port(
        change.id,
        change.network_id,
        change.project_id,
        change.name,
        mac,
        fixed_ips,
        host,
        change.device_id,
        change.device_owner,
        change.description,
        change.admin_up,
        record.born(change.tags),
        network.port_security if change.port_security is None else change.port_security,
        chosen_groups(index, change.project_id, change.security_groups),
        chosen_pairs(mac, change.allowed_pairs),
        change.qos_policy_id,
        relative(change.dns_name, domain_of(network, index.settings.dns_domain)),
        vnic_type=change.attach.vnic_type,
        local_link=wire,
        dhcp_options=options.chosen(change.dhcp_options),
    )
    check_security(port)
    index.holdings.charge(Countable.PORT, change.project_id)
    record.put_port(port if change.default_group is None else by_default(index, port, change.default_group, record))
    record.refoot(change.id)
    for place in tuple(index.places.get(change.id, ())):
        appeared(index, place, change.id, record)
    _wire(index, wire, record)


def update_port(index: Index, change: UpdatePort, record: Recorder) -> None:
    """Change a port's texts, addresses, security, admin state or host."""
    port = fresh(index.port(change.id), change.expected)
    to = _destination(index, port, change)
    policy = port.qos_policy_id if isinstance(change.qos_policy_id, Unchanged) else change.qos_policy_id
    index.qos.check(policy)
    mac, fixed_ips = port.mac, port.fixed_ips
    if change.mac is not None and change.mac != mac:
        mac = change.mac
        _check_unbound(port, mac)
        check_mac(index, port.network_id, mac)
        fixed_ips = follow_mac(index, port, mac)
    if change.fixed_ips is not None:
        fixed_ips = choose_addresses(index, port.network_id, change.fixed_ips, mac, port)
    before = port
    port = replace(
        port,
        mac=mac,
        fixed_ips=fixed_ips,
        name=port.name if change.name is None else change.name,
        description=port.description if change.description is None else change.description,
        device_id=port.device_id if change.device_id is None else change.device_id,
        device_owner=port.device_owner if change.device_owner is None else change.device_owner,
        admin_up=port.admin_up if change.admin_up is None else change.admin_up,
        qos_policy_id=policy,
        dhcp_options=options.chosen(change.dhcp_options, port.dhcp_options),
        dns_name=port.dns_name if change.dns_name is None else _named(index, port, change.dns_name),
    )
    port = secured(index, port, change)
    if to.wires_anew(before):
        _unwire(index, before, record)
        port = replace(port, vnic_type=to.vnic_type, local_link=to.wire)
    record.put_port(port)
    if port.fixed_ips != before.fixed_ips:
        record.readdress(port.id)
    elif _program(port) != _program(before):
        record.reprogram(port.id)
    if port.admin_up != before.admin_up:
        record.refoot(port.id)
    _go(index, before, to, record)


class _Destination(NamedTuple):
    """How a port is to reach its machine, and on which host it is to be."""

    vnic_type: VnicType
    wire: LocalLink | None
    host: HostName | None

    def wires_anew(self, port: Port) -> bool:
        """Whether a port is wired otherwise than so."""
        return (self.vnic_type, self.wire) != (port.vnic_type, port.local_link)


def _destination(index: Index, port: Port, change: UpdatePort) -> _Destination:
    """Where a port is to go, if it may go there; a wired port that is unbound has no wire."""
    vnic_type, wire = port.vnic_type, port.local_link
    stays = isinstance(change.host, Unchanged)
    asked = None if isinstance(change.host, Unchanged) else change.host
    if change.attach is not None:
        vnic_type, wire = change.attach.vnic_type, link(index, change.attach, port.id)
        stays = stays and vnic_type is port.vnic_type is VnicType.NORMAL
    elif not stays and asked is None:
        wire = None
    to = _Destination(vnic_type, wire, port.host if stays else housed(index, vnic_type, wire, asked))
    if to.wires_anew(port):
        _check_movable(index, port)
    if to.host != port.host:
        _check_own_place(index, port)
        _known(index, to.host)
        if port.id in index.moves:
            raise _moving(index.moves[port.id])
    return to


def _go(index: Index, before: Port, to: _Destination, record: Recorder) -> None:
    """Let a port go where it is to be: by a move from where it is plugged, by another cable at once."""
    anew = to.wires_anew(before)
    if not anew and to.host == before.host:
        return
    port = index.ports[before.id]
    if not anew and to.host is not None and before.host is not None and not index.gone(before.host, port.id):
        _begin(index, port, to.host, Trigger.REBIND, record, automatic=True)
        return
    _bind(index, port, to.host, record)
    _wire(index, to.wire, record)
    for place in tuple(index.places.get(port.id, ())) if anew and to.host is None else ():
        appeared(index, place, port.id, record)


def _check_movable(index: Index, port: Port) -> None:
    """A port that is taken from one kind of place to another one neither moves nor is of a trunk."""
    if port.id in index.moves:
        raise _moving(index.moves[port.id])
    if index.trunks.carrying(port.id) is not None or index.trunks.led_by(port.id) is not None:
        raise Conflict(
            f"binding:vnic_type: port {port.id} is of a trunk, it is not wired to an edge switch",
            field="binding:vnic_type",
            kind="TrunkPortInUse",
        )


def _wire(index: Index, wire: LocalLink | None, record: Recorder) -> None:
    """Plug the port that is wired to a place, if the cable is there."""
    if wire is not None:
        tell(index, wire.switch, index.wires.taps(wire.switch, [wire.interface]), record)


def _unwire(index: Index, port: Port, record: Recorder) -> None:
    """Unplug a port that is wired."""
    if port.local_link is not None:
        tell(index, port.local_link.switch, {port.id: None}, record)


def _named(index: Index, port: Port, name: str) -> str:
    return relative(name, domain_of(index.networks[port.network_id], index.settings.dns_domain))


def _program(port: Port) -> tuple[object, ...]:
    """What a tap's program reads of a port, besides its addresses."""
    return (port.port_security, port.allowed_pairs, port.qos_policy_id)


def _check_unbound(port: Port, mac: Mac) -> None:
    if port.host is not None:
        raise Conflict(
            f"Unable to complete operation on port {port.id}, port is already bound to host {port.host},"
            f" old_mac {port.mac}, new_mac {mac}.",
            field="mac_address",
            kind="PortBound",
        )


def _check_own_place(index: Index, port: Port) -> None:
    """A sub-port is where its parent is."""
    trunk = index.trunks.carrying(port.id)
    if trunk is not None:
        raise Conflict(
            f"binding:host_id: Port {port.id} is currently a subport for trunk {trunk.id}, it goes where port"
            f" {trunk.port_id} goes.",
            field="binding:host_id",
            kind="PortInUseAsSubPort",
        )


def delete_port(index: Index, change: DeletePort, record: Recorder) -> None:
    """Remove a port, whatever it is doing, unless a trunk needs it."""
    port = fresh(index.port(change.id), change.expected)
    for trunk, noun, kind in (
        (index.trunks.carrying(port.id), "subport", "PortInUseAsSubPort"),
        (index.trunks.led_by(port.id), "parent port", "PortInUseAsTrunkParent"),
    ):
        if trunk is not None:
            raise Conflict(f"Port {port.id} is currently a {noun} for trunk {trunk.id}.", field="port_id", kind=kind)
    move = index.moves.get(change.id)
    if move is not None:
        record.put_move(move.entering(Phase.CANCELLED, record.now, "port deleted"))
    _unwire(index, port, record)
    for host, port_id in [place for place in index.stale if place[1] == change.id] if index.stale else ():
        _unstale(index, host, port_id, record)
    record.lift(change.id)
    drop_mirrors(record, change.id)
    index.drop_port(change.id)
    record.store(Document(DocumentKind.PORT, change.id, None))
    record.policy_changed(ports=((port, None),))
    _trim(index, record)


def bind_passive(index: Index, change: BindPassive, record: Recorder) -> None:
    """Prepare a second host for a port."""
    port = index.port(change.port_id)
    _check_own_place(index, port)
    _known(index, change.host)
    if port.vnic_type is not VnicType.NORMAL:
        raise Conflict(
            f"binding: port {port.id} is of binding:vnic_type {port.vnic_type}, another binding:profile moves it",
            field="host",
            kind="PortBindingError",
        )
    housed(index, port.vnic_type, None, change.host)
    move = index.moves.get(port.id)
    if change.host == port.host or (move is not None and change.host == move.target):
        raise Conflict(
            f"binding: port {port.id} has a binding for host {change.host} already",
            field="host",
            kind="PortBindingAlreadyExists",
        )
    if move is not None:
        raise _moving(move)
    if port.host is None:
        raise Conflict(f"binding: port {port.id} has no active binding to move from", field="host", kind="PortNotBound")
    _begin(index, port, change.host, Trigger.PASSIVE_BINDING, record, automatic=False)


def activate(index: Index, change: Activate, record: Recorder) -> None:
    """Switch over to the inactive binding."""
    move = _inactive_binding(index, change.port_id, change.host)
    if move.phase is not Phase.READY:
        raise Conflict(
            f"binding: host {change.host} is not ready for port {change.port_id} yet ({move.phase})",
            field="host",
            kind="PortBindingNotReady",
        )
    record.put_move(move.entering(Phase.HAIRPINNING, record.now, "activated by request"))
    record.refoot(change.port_id)


def unbind(index: Index, change: Unbind, record: Recorder) -> None:
    """Remove the inactive binding: the target's before activation; the source's goes by itself after it."""
    move = _inactive_binding(index, change.port_id, change.host)
    if move.phase not in SWITCHING:
        _end(index, move.entering(Phase.CANCELLED, record.now, "unbound"), record)


def active_host(port: Port, move: Move | None) -> HostName | None:
    """Which of a port's bindings is the active one: the target's from activation on."""
    return move.target if move is not None and move.phase in SWITCHING else port.host


def _inactive_binding(index: Index, port_id: str, host: HostName) -> Move:
    port, move = index.port(port_id), index.moves.get(port_id)
    _check_own_place(index, port)
    if host == active_host(port, move):
        raise Conflict(
            f"binding: host {host} is the active binding of port {port_id} already",
            field="host",
            kind="PortBindingAlreadyActive",
        )
    if move is None or host not in (move.source, move.target):
        raise NotFound(
            f"binding: port {port_id} has no inactive binding for host {host}", field="host", kind="PortBindingNotFound"
        )
    return move


def _known(index: Index, host: HostName | None) -> None:
    if host is not None and host not in index.hosts:
        raise Invalid(f"binding:host_id: no host {host} has joined", field="binding:host_id", kind="HostNotFound")


def _moving(move: Move) -> Conflict:
    return Conflict(
        f"binding:host_id: port {move.port_id} is moving from {move.source} to {move.target} ({move.phase})",
        field="binding:host_id",
        kind="PortMoveInProgress",
    )


# --- events ----------------------------------------------------------------------------------------------------


def plugged(index: Index, change: Plugged, record: Recorder) -> None:
    """A tap has an OpenFlow port."""
    tell(index, change.host, {change.port_id: (change.ofport, 0)}, record)


def unplugged(index: Index, change: Unplugged, record: Recorder) -> None:
    """A tap is gone."""
    tell(index, change.host, {change.port_id: None}, record)


def snapshot(index: Index, change: HostSnapshot, record: Recorder) -> None:
    """All taps of a host at once; it has no cables."""
    index.wires.retell(change.host, {})
    retell(index, change.host, {port_id: (ofport, 0) for port_id, ofport in change.plugged}, record)


def retell(index: Index, host: HostName, plugged: Mapping[str, tuple[int, int] | None], record: Recorder) -> None:
    """Bring all taps of a host up to date: all others are unplugged."""
    taps: dict[str, tuple[int, int] | None] = dict.fromkeys(index.tellers.get(host, {}).values())
    taps.update({port_id: None for where, port_id in index.stale if where == host})
    taps.update(plugged)
    if host not in index.reporting:
        index.reporting.add(host)
        record.touch(port_id for port_id, move in index.moves.items() if host in (move.source, move.target))
    tell(index, host, taps, record)


def tell(index: Index, host: HostName, taps: Mapping[str, tuple[int, int] | None], record: Recorder) -> None:
    """Bring the taps of a host up to date, all of them before anything follows from it."""
    told = {**taps, **dict.fromkeys(index.tell(host, taps))}
    for each in _plug(index, host, chain.from_iterable(map(index.trunks.convoy, told))):
        if each in index.ports:
            record.refoot(each)
    for port_id, tap in told.items():
        if tap is None:
            _unstale(index, host, port_id, record)
        if port_id in index.ports:
            record.refoot(port_id)
            if tap is not None:
                appeared(index, host, port_id, record)


def replug(index: Index, port_id: str, record: Recorder) -> None:
    """A port has become a sub-port, or is one no more: it is plugged by another tap now."""
    own = index.told.get(port_id, {})
    for host in {**own, **index.told.get(index.trunks.leader(port_id), {}), **index.places.get(port_id, {})}:
        for other in _plug(index, host, [port_id]):
            record.refoot(other)
    record.refoot(port_id)
    for host in tuple(own):
        appeared(index, host, port_id, record)


def _plug(index: Index, host: HostName, port_ids: Iterable[str]) -> Iterable[str]:
    """Plug ports of a host as they are to be plugged by now.

    :returns: those that are plugged otherwise than before, among them ports whose lane is a tap's number now.
    """
    changed = {port_id: index.wanted(host, port_id) for port_id in port_ids}
    for port_id, wanted in tuple(changed.items()):
        plug = index.plug_of(host, port_id)
        if (None if plug is None else (plug.ofport, plug.vid)) == wanted:
            del changed[port_id]
        elif wanted is not None and not wanted[1]:
            holder = index.lanes.get(host, {}).get(wanted[0], port_id)
            changed.setdefault(holder, index.wanted(host, holder))
    for port_id in changed:
        index.detach(host, port_id)
    # Taps first: their lanes are not theirs to choose.
    for port_id, wanted in sorted(changed.items(), key=lambda each: each[1] is not None and bool(each[1][1])):
        if wanted is not None:
            index.attach(host, port_id, *wanted)
    return changed


def announced(index: Index, change: Announced, record: Recorder) -> None:
    """The VM runs at the target: switch over, as soon as that is ready."""
    move = index.move_of(change.port_id)
    if (
        move is not None
        and change.host == move.target
        and move.phase not in SWITCHING
        and (change.host, change.port_id) in index.attachments
        and not move.automatic
    ):
        move = replace(move, automatic=True)
        index.put_move(move)
        record.store(write_move(move))
        record.touch([move.port_id])


def appeared(index: Index, host: HostName, port_id: str, record: Recorder) -> None:
    """A tap of a port is plugged at a host: bind the port there, or begin a move if its home is another one."""
    port = index.ports[port_id]
    if port.vnic_type is not VnicType.NORMAL or index.trunks.carrying(port_id) is not None:
        return
    if host not in index.hosts or host == port.host or port_id in index.moves or (host, port_id) in index.stale:
        return
    if port.host is None:
        _bind(index, port, host, record)
    else:
        _begin(index, port, host, Trigger.APPEARED, record, automatic=index.gone(port.host, port_id))


# --- moves -----------------------------------------------------------------------------------------------------


def _bind(index: Index, port: Port, host: HostName | None, record: Recorder) -> None:
    """Give a port another home at once."""
    if host is not None:
        _unstale(index, host, port.id, record)
    house(index, port.id, host, record)
    record.refoot(port.id)


def house(index: Index, port_id: str, host: HostName | None, record: Recorder) -> None:
    """Write down where a port's home is, and with it that of its sub-ports."""
    for each in index.trunks.convoy(port_id):
        if index.ports[each].host != host:
            record.put_port(replace(index.ports[each], host=host))
            record.tell(NoticeKind.PORT_BOUND, each, host or "")


def _begin(index: Index, port: Port, target: HostName, trigger: Trigger, record: Recorder, *, automatic: bool) -> None:
    assert port.host is not None  # noqa: S101  (callers have a home to move from)
    _unstale(index, target, port.id, record)
    timeline = ((Phase.PREPARING, record.now),)
    move_id = f"{port.id}:{index.move_count + 1}"
    record.put_move(Move(move_id, port.id, port.host, target, trigger, timeline, automatic, trigger.value))
    record.refoot(port.id)


def advance(index: Index, port_id: str, record: Recorder) -> None:
    """Take a port's move, or that of its trunk, as far as the facts allow."""
    while (move := index.move_of(port_id)) is not None:
        arrow = following(_situation(index, move, record.now))
        if arrow is None:
            return
        move = move.entering(arrow.after, record.now, arrow.because)
        if move.live:
            record.put_move(move)
            record.refoot(move.port_id)
        else:
            _end(index, move, record)


def _situation(index: Index, move: Move, now: float) -> Situation:
    pending = frozenset[HostName]().union(*map(index.pending, index.trunks.convoy(move.port_id)))
    return Situation(
        move=move,
        now=now,
        source_gone=index.gone(move.source, move.port_id),
        source_lost=index.readiness.is_lost(move.source),
        target_plugged=(move.target, move.port_id) in index.attachments,
        target_gone=index.gone(move.target, move.port_id),
        target_lost=index.readiness.is_lost(move.target),
        confirmed_everywhere=not pending,
        confirmed_source=move.source not in pending,
        confirmed_target=move.target not in pending,
        grace=index.settings.grace,
        move_timeout=index.settings.move_timeout,
    )


def _end(index: Index, move: Move, record: Recorder) -> None:
    """End a move: the loser's tap, if it may still be plugged, must not begin another one."""
    winner, loser = (move.target, move.source) if move.phase is Phase.SETTLED else (move.source, move.target)
    record.put_move(move if index.gone(loser, move.port_id) else replace(move, stale=loser))
    house(index, move.port_id, winner, record)
    record.refoot(move.port_id)
    _trim(index, record)


def _unstale(index: Index, host: HostName, port_id: str, record: Recorder) -> None:
    move_id = index.stale.pop((host, port_id), None)
    if move_id is not None:
        move = replace(index.history[move_id], stale=None)
        index.put_move(move)
        record.store(write_move(move))


def _trim(index: Index, record: Recorder) -> None:
    """Forget the oldest ended moves, but not those that a leftover tap refers to."""
    excess = len(index.history) - HISTORY
    for move in [move for move in index.history.values() if move.stale is None][:excess] if excess > 0 else ():
        del index.history[move.id]
        record.store(Document(DocumentKind.MOVE, move.id, None))

"""Where does a port live, and how does it get from one host to another?

The intents about ports and bindings, and the events of taps.  Facts take moves along the arrows of ``overlay.moves``;
this module gathers the facts.  Each function checks everything before it changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

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
from overlay.documents import write_move
from overlay.guests import options
from overlay.index import Index
from overlay.moves import SWITCHING, Move, Phase, Situation, Trigger, following
from overlay.numbering import check_mac, choose_addresses, choose_mac, default_addresses, follow_mac
from overlay.policy.ports import check_security, chosen_groups, chosen_pairs, secured
from overlay.recording import Recorder
from overlay.refusals import Conflict, Invalid, NotFound
from overlay.revisions import fresh
from overlay.sharing import check_guest
from overlay.values import Countable, HostName, Mac, Port

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
        change.host,
        change.device_id,
        change.device_owner,
        change.description,
        change.admin_up,
        record.born(change.tags),
        network.port_security if change.port_security is None else change.port_security,
        chosen_groups(index, change.project_id, change.security_groups),
        chosen_pairs(mac, change.allowed_pairs),
        change.qos_policy_id,
        options.chosen(change.dhcp_options),
    )
    check_security(port)
    index.holdings.charge(Countable.PORT, change.project_id)
    record.put_port(port)
    record.refoot(change.id)
    for host in tuple(index.places.get(change.id, ())):
        appeared(index, host, change.id, record)


def update_port(index: Index, change: UpdatePort, record: Recorder) -> None:
    """Change a port's texts, addresses, security, admin state or host."""
    port = fresh(index.port(change.id), change.expected)
    host = port.host if isinstance(change.host, Unchanged) else change.host
    if host != port.host:
        _known(index, host)
        if change.id in index.moves:
            raise _moving(index.moves[change.id])
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
    )
    port = secured(index, port, change)
    record.put_port(port)
    if port.fixed_ips != before.fixed_ips:
        record.readdress(port.id)
    elif _program(port) != _program(before):
        record.reprogram(port.id)
    if port.admin_up != before.admin_up:
        record.refoot(port.id)
    if host == port.host:
        return
    if host is not None and port.host is not None and not index.gone(port.host, port.id):
        _begin(index, port, host, Trigger.REBIND, record, automatic=True)
    else:
        _bind(index, index.ports[port.id], host, record)


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


def delete_port(index: Index, change: DeletePort, record: Recorder) -> None:
    """Remove a port, whatever it is doing."""
    port = fresh(index.port(change.id), change.expected)
    move = index.moves.get(change.id)
    if move is not None:
        record.put_move(move.entering(Phase.CANCELLED, record.now, "port deleted"))
    for host, port_id in [place for place in index.stale if place[1] == change.id] if index.stale else ():
        _unstale(index, host, port_id, record)
    record.lift(change.id)
    index.drop_port(change.id)
    record.store(Document(DocumentKind.PORT, change.id, None))
    record.policy_changed(ports=((port, None),))
    _trim(index, record)


def bind_passive(index: Index, change: BindPassive, record: Recorder) -> None:
    """Prepare a second host for a port."""
    port = index.port(change.port_id)
    _known(index, change.host)
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
    record.put_move(move.entering(Phase.DELIVERING, record.now, "activated by request"))
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
    _taps(index, change.host, {change.port_id: change.ofport}, record)


def unplugged(index: Index, change: Unplugged, record: Recorder) -> None:
    """A tap is gone."""
    _taps(index, change.host, {change.port_id: None}, record)


def snapshot(index: Index, change: HostSnapshot, record: Recorder) -> None:
    """All taps of a host at once."""
    taps: dict[str, int | None] = dict.fromkeys(index.taps.get(change.host, {}).values())
    taps.update({port_id: None for host, port_id in index.stale if host == change.host})
    taps.update(change.plugged)
    if change.host not in index.reporting:
        index.reporting.add(change.host)
        record.touch(port_id for port_id, move in index.moves.items() if change.host in (move.source, move.target))
    _taps(index, change.host, taps, record)


def _taps(index: Index, host: HostName, taps: Mapping[str, int | None], record: Recorder) -> None:
    """Bring the taps of a host up to date, all of them before anything follows from it."""
    changed = {port_id: ofport for port_id, ofport in taps.items() if index.attachments.get((host, port_id)) != ofport}
    evicted = {
        other: None
        for ofport in changed.values()
        if ofport is not None
        and (other := index.taps.get(host, {}).get((ofport, 0))) is not None
        and other not in changed
    }
    changed.update(evicted)
    for port_id in changed:
        index.detach(host, port_id)
    for port_id, ofport in changed.items():
        if ofport is not None:
            index.attach(host, port_id, ofport)
    for port_id, ofport in {**taps, **evicted}.items():
        if ofport is None:
            _unstale(index, host, port_id, record)
        if port_id in index.ports:
            record.refoot(port_id)
            if ofport is not None:
                appeared(index, host, port_id, record)


def announced(index: Index, change: Announced, record: Recorder) -> None:
    """The VM runs at the target: switch over, as soon as that is ready."""
    move = index.moves.get(change.port_id)
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
        record.touch([change.port_id])


def appeared(index: Index, host: HostName, port_id: str, record: Recorder) -> None:
    """A tap of a port is plugged at a host: bind the port there, or begin a move if its home is another one."""
    port = index.ports[port_id]
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
    record.put_port(replace(port, host=host))
    record.tell(NoticeKind.PORT_BOUND, port.id, host or "")
    record.refoot(port.id)


def _begin(index: Index, port: Port, target: HostName, trigger: Trigger, record: Recorder, *, automatic: bool) -> None:
    assert port.host is not None  # noqa: S101  (callers have a home to move from)
    _unstale(index, target, port.id, record)
    timeline = ((Phase.PREPARING, record.now),)
    move_id = f"{port.id}:{index.move_count + 1}"
    record.put_move(Move(move_id, port.id, port.host, target, trigger, timeline, automatic, trigger.value))
    record.refoot(port.id)


def advance(index: Index, port_id: str, record: Recorder) -> None:
    """Take a port's move as far as the facts allow."""
    while (move := index.moves.get(port_id)) is not None:
        arrow = following(_situation(index, move, record.now))
        if arrow is None:
            return
        move = move.entering(arrow.after, record.now, arrow.because)
        if move.live:
            record.put_move(move)
            record.refoot(port_id)
        else:
            _end(index, move, record)


def _situation(index: Index, move: Move, now: float) -> Situation:
    pending = index.pending(move.port_id)
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
    port = index.ports[move.port_id]  # as the move's end has left it
    if port.host != winner:
        record.put_port(replace(port, host=winner))
        record.tell(NoticeKind.PORT_BOUND, port.id, winner)
    record.refoot(port.id)
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

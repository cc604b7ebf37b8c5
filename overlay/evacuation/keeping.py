"""How does an evacuation go on?

A few moves are begun whenever there is room for them, each with a passive binding at the host that has the fewest ports
then; what becomes of a move is its orchestrator's doing, or its tap's.  A move that ended makes room for the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from overlay.changes import Document, DocumentKind
from overlay.evacuation.changes import EndEvacuation, Evacuate
from overlay.evacuation.documents import write_evacuation
from overlay.evacuation.spreading import spread
from overlay.evacuation.values import Advance, Census, Evacuation
from overlay.index import Index
from overlay.moves import SWITCHING, Activation, Move, Phase, Trigger
from overlay.placement import begin, end
from overlay.recording import Recorder
from overlay.refusals import Conflict, Invalid, NotFound
from overlay.values import HostKind, HostName, Port, VnicType

AT_ONCE: Final = 4
"""How many moves begin in one step: whatever else is asked has its turn between two steps."""


# --- intents ---------------------------------------------------------------------------------------------------------


def evacuate(index: Index, change: Evacuate, record: Recorder) -> None:
    """Begin, or go on otherwise."""
    host = change.host
    if host not in index.hosts:
        raise NotFound(f"Host {host} could not be found.", field="host", kind="HostNotFound")
    targets = tuple(dict.fromkeys(change.targets))
    for target in targets:
        _check_target(index, host, target)
    parallel = index.settings.evacuation_parallel if change.parallel is None else change.parallel
    known = index.evacuations.get(host, Evacuation(host, (), 0, False, record.now))
    evacuation = replace(known, targets=targets, parallel=parallel, activate=change.activate, failed={})
    if not _loads(index, evacuation):
        raise Conflict(
            f"host: no host can take the ports of {host}",
            field="to" if targets else "host",
            kind="EvacuationHasNoTarget",
        )
    _put(index, evacuation, record)
    step(index, evacuation, record)


def _check_target(index: Index, host: HostName, target: HostName) -> None:
    if target not in index.hosts:
        raise Invalid(f"to: no host {target} has joined", field="to", kind="HostNotFound")
    if target == host:
        raise Invalid(f"to: {target} is the host that is to be emptied", field="to", kind="InvalidInput")
    if index.hosts[target].kind is not HostKind.HYPERVISOR:
        raise Invalid(f"to: {target} is an edge switch, which runs no machines", field="to", kind="InvalidInput")
    if target in index.evacuations:
        raise Conflict(f"to: host {target} is being evacuated", field="to", kind="HostUnderEvacuation")


def end_evacuation(index: Index, change: EndEvacuation, record: Recorder) -> None:
    """Leave it at that."""
    evacuation = find(index, change.host)
    del index.evacuations[change.host]
    record.store(Document(DocumentKind.EVACUATION, change.host, None))
    for move in census(index, evacuation).moving:
        if move.trigger is Trigger.EVACUATION and move.phase not in SWITCHING:
            end(index, move.entering(Phase.CANCELLED, record.now, "evacuation ended"), record)


def find(index: Index, host: HostName) -> Evacuation:
    """Look up.  :raises NotFound: ``EvacuationNotFound``."""
    if host not in index.evacuations:
        raise NotFound(f"Host {host} is not being evacuated.", field="host", kind="EvacuationNotFound")
    return index.evacuations[host]


# --- on its way ------------------------------------------------------------------------------------------------------


def census(index: Index, evacuation: Evacuation) -> Census:
    """Count the ports that are still at the host; those that are plugged come first, whose machines run."""
    waiting: list[str] = []
    moving: list[Move] = []
    staying: dict[str, str] = {}
    for port_id in index.homed.get(evacuation.host, ()):
        port, move = index.ports[port_id], index.moves.get(port_id)
        why = _rooted(index, port)
        if move is not None:
            moving.append(move)
        elif why:
            staying[port_id] = why
        elif port_id not in evacuation.failed:
            waiting.append(port_id)
    waiting.sort(key=lambda port_id: (evacuation.host, port_id) not in index.attachments)
    return Census(tuple(waiting), tuple(moving), staying)


def look(index: Index, before: Evacuation) -> tuple[Evacuation, Census]:
    """What has become of an evacuation since it was written down."""
    counted = census(index, _followed(index, before))
    return _followed(index, before, counted.moving), counted


def advance(evacuation: Evacuation, counted: Census) -> Advance:
    """How far it is."""
    if counted.waiting or counted.moving:
        return Advance.EVACUATING
    return Advance.INCOMPLETE if counted.staying or evacuation.failed else Advance.EVACUATED


def steps(index: Index, record: Recorder) -> None:
    """Let all of them go on."""
    for evacuation in tuple(index.evacuations.values()):
        step(index, evacuation, record)


def step(index: Index, before: Evacuation, record: Recorder) -> None:
    """Write down which moves have ended, and begin others in their place."""
    live = sum(_is_live(index, port_id, move_id) for port_id, move_id in before.moving.items())
    if live == len(before.moving) >= before.parallel:
        return
    evacuation, counted = look(index, before)
    room = min(AT_ONCE, evacuation.parallel - len(counted.moving))
    loads = _loads(index, evacuation) if counted.waiting and room > 0 else {}
    moving = dict(evacuation.moving)
    for port_id, target in zip(counted.waiting[: max(room, 0)], spread(loads), strict=False):
        port, activation = index.ports[port_id], Activation.EVACUATION if evacuation.activate else None
        begin(index, port, target, Trigger.EVACUATION, record, activation, profile=port.profile)
        moving[port_id] = index.moves[port_id].id
    evacuation = replace(evacuation, moving=moving, done=tuple(each for each in evacuation.done if each not in moving))
    if evacuation != before:
        _put(index, evacuation, record)


def _followed(index: Index, evacuation: Evacuation, under_way: Iterable[Move] = ()) -> Evacuation:
    """What has become of the moves that were under way, and of ports that have failed before."""
    host = evacuation.host
    moving = {move.port_id: move.id for move in under_way}
    done = dict.fromkeys(evacuation.done)
    failed: dict[str, str] = {}
    for port_id, said in (*evacuation.failed.items(), *((each, "") for each in evacuation.moving)):
        move = index.moves.get(port_id)
        if port_id not in index.ports or (move is not None and move.source == host):
            continue
        if index.ports[port_id].host == host:
            failed[port_id] = said or _reason(index.history, evacuation.moving[port_id])
        else:
            done[port_id] = None
    return replace(evacuation, moving=moving, done=tuple(done), failed=failed)


def _is_live(index: Index, port_id: str, move_id: str) -> bool:
    move = index.moves.get(port_id)
    return move is not None and move.id == move_id


def _reason(history: Mapping[str, Move], move_id: str) -> str:
    move = history.get(move_id)
    return "its move has ended" if move is None else f"{move.phase}: {move.reason}"


def _rooted(index: Index, port: Port) -> str:
    """Why a port does not move by itself."""
    if port.vnic_type is not VnicType.NORMAL:
        return f"it is wired to an edge switch (binding:vnic_type {port.vnic_type})"
    trunk = index.trunks.carrying(port.id)
    return "" if trunk is None else f"it is a sub-port of trunk {trunk.id}, and goes where port {trunk.port_id} goes"


def _loads(index: Index, evacuation: Evacuation) -> dict[HostName, int]:
    """How many ports each host has, or will have, that can take more."""
    loads = {
        name: len(index.homed.get(name, ()))
        for name in evacuation.targets or index.hosts
        if index.hosts[name].kind is HostKind.HYPERVISOR
        and name != evacuation.host
        and name not in index.evacuations
        and not index.readiness.is_lost(name)
        and name not in index.readiness.silent
    }
    for move in index.moves.values():
        for name, change in ((move.target, 1), (move.source, -1)):
            if name in loads:
                loads[name] += change
    return loads


def _put(index: Index, evacuation: Evacuation, record: Recorder) -> None:
    index.evacuations[evacuation.host] = evacuation
    record.store(write_evacuation(evacuation))

"""How is one switch changed atomically, and how is it asked what it holds?

A send goes in two steps: *filling* (meters, then a bundle is opened and filled, then a barrier) and *deciding* (the
bundle is committed, or discarded when the switch refused any message of it, then a barrier).  Open vSwitch leaves a
message that it refuses out of the bundle and would commit the others, so the decision waits for the first barrier.
Several sends may be under way; they take effect, and are reported, in their order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Final, NamedTuple, TypeVar

from controller.events import Installed, MessageConfirmed, MessageRejected, Met, Mods, PortCounters, Sink
from controller.framework import Queue, QueueEmpty, hub
from controller.openflow import codec, replies
from controller.openflow.codec import BundleControl, Command, FlowCommand
from controller.openflow.complaint import Complaint
from controller.openflow.meters import KnownMeters
from controller.openflow.tally import Sent, Tally
from overlay.flow import Action, FlowKey, Set
from overlay.values import DatapathId

_LOG: Final = logging.getLogger(__name__)
_CHUNK: Final = 1 << 15
"""Bytes written at a time: about 2 ms of encoding, after which other greenlets have their turn."""
_MAX_XID: Final = 0xFFFFFFFF
_T = TypeVar("_T")


@dataclass(slots=True)
class _Sending:
    """One send under way."""

    ticket: int
    xid: int
    bundled: bool
    certain: bool = False
    """Whether each meter is sent by one command, so that one that is refused is missing."""
    deciding: bool = False
    complaint: Complaint | None = None


class _Ended(NamedTuple):
    """Put to those who wait for an answer of a session that ended or of a request that was refused."""

    why: str


class OpenFlowSession:
    """One live OpenFlow connection (:class:`controller.events.Session`).

    :param datapath: the framework's connection, after its handshake.
    :param sink: where confirmations and rejections go.
    :param tally: the process's count of what was sent.
    """

    patience: float = 10.0
    """Seconds to wait for each part of an answer."""

    def __init__(self, datapath: Any, sink: Sink, tally: Tally) -> None:
        self._datapath = datapath
        self._id = DatapathId(datapath.id)
        self._sink = sink
        self._tally = tally
        self._xids = count(1)
        self._sendings: dict[int, _Sending] = {}
        self._askers: dict[int, Any] = {}
        self._outbox: Any = Queue()
        self._urgent: list[bytes] = []
        self._open = True
        self._meters = KnownMeters()
        self.sent = Sent()
        self._outbox.put((codec.show_ports_of_first_fragments(self._xid()),))
        self._writer = hub.spawn(self._write)

    @property
    def datapath_id(self) -> DatapathId:
        """Whose session this is."""
        return self._id

    def __repr__(self) -> str:
        return f"<session of {self._id} from {self._datapath.address}>"

    # what the owner asks for

    def send(self, mods: Mods, ticket: int) -> None:
        """Send as one atomic bundle followed by a barrier; never blocks (encoding and writing go on behind).

        A meter is modified or added, and a zone is flushed outside of the bundle: that stays when it is refused.
        A flow that is put replaces a foreign one of the same table, priority and match; a removal never meets one.
        """
        if not self._open:
            return
        self.sent.add(mods)
        self._tally.add(self._id, mods)
        sending = _Sending(ticket, self._xid(), bundled=len(mods) > len(mods.meters) + len(mods.zones))
        self._sendings[sending.xid] = sending
        self._outbox.put(_fill(mods, sending, self._meters))

    def read(self) -> Installed:
        """Read back flows with our mark, groups and meters; blocks the calling greenlet only.

        :raises TimeoutError: when the switch does not answer, refuses to, or goes away.
        """
        asked = [self._ask(question) for question in (codec.ask_flows, codec.ask_groups, codec.ask_meters)]
        try:
            flows, groups, meters = (self._collect(xid) for xid in asked)
            installed = Installed(
                tuple(_each(replies.flows, flows)),
                tuple(_each(replies.groups, groups)),
                tuple(_each(replies.meters, meters)),
            )
            self._meters.read(installed.meters)
            return installed
        finally:
            for xid in asked:
                self._askers.pop(xid, None)

    def count(self) -> int:
        """How many flows with our mark the switch holds (OFPMP_AGGREGATE); blocks the calling greenlet only.

        :raises TimeoutError: when the switch does not answer, refuses to, or goes away.
        """
        xid = self._ask(codec.ask_flow_count)
        try:
            return sum(map(replies.flow_count, self._collect(xid)))
        finally:
            self._askers.pop(xid, None)

    def flow_bytes(self, kind: int) -> Mapping[FlowKey, int]:
        """Ask how many bytes our flows of one kind have met; blocks the calling greenlet only.

        :raises TimeoutError: when the switch does not answer, refuses to, or goes away.
        """
        xid = self._ask(lambda xid: codec.ask_flows_of(kind, xid))
        try:
            return dict(_each(replies.flow_bytes, self._collect(xid)))
        finally:
            self._askers.pop(xid, None)

    def met_of(self, cookies: Sequence[int]) -> tuple[Met, ...]:
        """Ask what the flows with each of these cookies have met; blocks the calling greenlet only.

        :raises TimeoutError: when the switch does not answer, refuses to, or goes away.
        """
        asked = [self._ask(partial(codec.ask_met, cookie)) for cookie in cookies]
        try:
            return tuple(replies.met(message) for xid in asked for message in self._collect(xid))
        finally:
            for xid in asked:
                self._askers.pop(xid, None)

    def port_counters(self) -> tuple[PortCounters, ...]:
        """Ask what every port has carried (OFPMP_PORT_STATS); blocks the calling greenlet only.

        :raises TimeoutError: when the switch does not answer, refuses to, or goes away.
        """
        xid = self._ask(codec.ask_ports)
        try:
            return tuple(_each(replies.port_counters, self._collect(xid)))
        finally:
            self._askers.pop(xid, None)

    def packet_out(self, port: int, data: bytes, sets: tuple[Set, ...] = ()) -> None:
        """Emit one frame from a port; overtakes sends that are still being written."""
        self._hurry(codec.packet_out(port, data, self._xid(), sets))

    def packet_through(self, in_port: int, data: bytes, actions: tuple[Action, ...]) -> None:
        """Have one frame go through these actions; overtakes sends that are still being written."""
        self._hurry(codec.packet_through(data, actions, self._xid(), in_port))

    def close(self) -> None:
        """End the connection; the switch will call again."""
        self._datapath.close()

    # what the application hears

    def barrier_came(self, xid: int) -> None:
        """Go on with the send whose barrier came back: decide on its bundle, or report how it ended."""
        sending = self._sendings.get(xid)
        if sending is None:
            return
        oldest = next(iter(self._sendings)) == xid
        if not sending.deciding and (sending.bundled or not oldest):
            sending.deciding = True
            self._hurry(_decide(sending))
            return
        del self._sendings[xid]
        if sending.complaint is None:
            self._sink(MessageConfirmed(self._id, sending.ticket))
        else:
            self._sink(MessageRejected(self._id, sending.ticket, str(sending.complaint)))

    def refused(self, complaint: Complaint) -> None:
        """Remember why a send fails, or end the wait of who asked; its first complaint tells the most."""
        sending = self._sendings.get(complaint.xid)
        asker = self._askers.get(complaint.xid)
        if sending is not None:
            if sending.certain and complaint.about_presence:
                self._meters.doubt()
            if sending.complaint is None and (sending.certain or not complaint.about_presence):
                sending.complaint = complaint
        elif asker is not None:
            asker.put(_Ended(f"refused: {complaint}"))
        else:
            _LOG.warning("%s: %s", self._id, complaint)

    def answer_came(self, xid: int, message: bytes) -> None:
        """Hand a part of an answer to who asked."""
        asker = self._askers.get(xid)
        if asker is not None:
            asker.put(message)

    def ended(self) -> None:
        """Let go of all that waits for this session."""
        self._open = False
        self._sendings.clear()
        for asker in self._askers.values():
            asker.put(_Ended("the session ended"))
        hub.kill(self._writer)

    # the wire

    def _xid(self) -> int:
        return next(self._xids) & _MAX_XID

    def _hurry(self, message: bytes) -> None:
        if self._open:
            self._urgent.append(message)
            self._outbox.put(())

    def _ask(self, question: Callable[[int], bytes]) -> int:
        xid = self._xid()
        self._askers[xid] = Queue()
        if not self._open:
            self._askers[xid].put(_Ended("the session ended"))
        self._outbox.put((question(xid),))
        return xid

    def _collect(self, xid: int) -> Iterator[bytes]:
        more = True
        while more:
            try:
                message = self._askers[xid].get(timeout=self.patience)
            except QueueEmpty:
                raise TimeoutError(f"{self._id} did not answer within {self.patience} s") from None
            if isinstance(message, _Ended):
                raise TimeoutError(f"{self._id} did not answer: {message.why}")
            more = replies.part(message).more
            yield message

    def _write(self) -> None:
        while True:
            for chunk in _chunks(self._outbox.get()):
                urgent, self._urgent = self._urgent, []
                if data := b"".join((*urgent, chunk)):
                    self._datapath.send(data)
                    hub.sleep(0)


def _fill(mods: Mods, sending: _Sending, meters: KnownMeters) -> Iterator[bytes]:
    """Encode the first step of a send, one message at a time."""
    xid = sending.xid
    sending.certain = meters.certain
    for meter in mods.meters:
        for command in meters.commands(meter, certain=sending.certain):
            yield codec.meter_mod(meter, command, xid)
    for zone in mods.zones:
        yield codec.flush_zone(zone, xid)
    if sending.bundled:
        yield codec.bundle_control(BundleControl.OPEN, xid, xid)
        for group in mods.put_groups:
            yield codec.bundle_add(codec.group_mod(group, Command.ADD, xid), xid, xid)
        for group in mods.changed_groups:
            yield codec.bundle_add(codec.group_mod(group, Command.MODIFY, xid), xid, xid)
        for flow in mods.put:
            yield codec.bundled_flow_add(flow, xid, xid)
        for flow in mods.remove:
            yield codec.bundle_add(codec.flow_mod(flow, FlowCommand.DELETE_STRICT, xid), xid, xid)
        for group_id in mods.remove_groups:
            yield codec.bundle_add(codec.group_delete(group_id, xid), xid, xid)
    yield codec.barrier(xid)


def _decide(sending: _Sending) -> bytes:
    """Encode the second step of a send; without a bundle it is there to be reported after those before it."""
    xid = sending.xid
    if not sending.bundled:
        return codec.barrier(xid)
    control = BundleControl.DISCARD if sending.complaint else BundleControl.COMMIT
    return codec.bundle_control(control, xid, xid) + codec.barrier(xid)


def _chunks(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Join messages to pieces that are worth a write; at least one piece, which may be empty."""
    chunk: list[bytes] = []
    size = 0
    for message in messages:
        chunk.append(message)
        size += len(message)
        if size >= _CHUNK:
            yield b"".join(chunk)
            chunk.clear()
            size = 0
    yield b"".join(chunk)


def _each(decode: Callable[[bytes], Iterable[_T]], parts: Iterable[bytes]) -> Iterator[_T]:
    """Decode part after part, with a turn for other greenlets after each."""
    for part in parts:
        yield from decode(part)
        hub.sleep(0)

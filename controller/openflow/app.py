"""Which switches are connected, and what do they tell us?

The application on the framework: it turns the framework's events into ours (``controller.events``) and hands answers to
the session that asked.  It decides nothing.  The framework runs its handlers one after another in one greenlet, and
logs one that raises.
"""

from __future__ import annotations

import logging
import ssl
from typing import Any, ClassVar, Final

from controller.events import PacketArrived, PortChanged, Sink, SwitchDown, SwitchPort, SwitchUp
from controller.framework import (
    DEAD_DISPATCHER,
    MAIN_DISPATCHER,
    Address,
    App,
    Service,
    names_of,
    ofp_event,
    ofproto,
    on,
    serve,
)
from controller.identities import may_be, spelled
from controller.openflow.complaint import Complaint
from controller.openflow.oxm import register
from controller.openflow.session import OpenFlowSession
from controller.openflow.tally import Tally
from overlay.tables.names import IN_LANE
from overlay.values import DatapathId

_LOG: Final = logging.getLogger(__name__)
_PASSABLE: Final = ofproto.OFPPS_LINK_DOWN | ofproto.OFPPS_LIVE


_MATCH_AT: Final = 24
"""Where the match begins in a packet-in (OpenFlow 1.5, ofp_packet_in)."""


class Switches(App):  # type: ignore[misc]
    """All connected switches, by datapath id.  A second connection of the same id takes the place of the first."""

    OFP_VERSIONS: ClassVar[list[int]] = [ofproto.OFP_VERSION]

    def __init__(self, sink: Sink, tally: Tally) -> None:
        super().__init__()
        self._sink = sink
        self._tally = tally
        self.sessions: dict[DatapathId, OpenFlowSession] = {}
        self._of: dict[Any, OpenFlowSession] = {}

    @on(ofp_event.EventOFPStateChange, MAIN_DISPATCHER, DEAD_DISPATCHER)
    def _state_changed(self, event: Any) -> None:
        datapath = event.datapath
        if event.state == MAIN_DISPATCHER and self._believes(datapath):
            self._up(datapath)
        elif event.state == DEAD_DISPATCHER:
            self._down(self._of.pop(datapath, None))

    @staticmethod
    def _believes(datapath: Any) -> bool:
        """Whether the switch is who its certificate says; one that is not is hung up on, and changes nothing."""
        names, claimed = names_of(datapath), DatapathId(datapath.id)
        if may_be(names, claimed):
            return True
        _LOG.warning("hung up on %s: its certificate is for %s, not for %s", datapath.address, spelled(names), claimed)
        datapath.close()
        return False

    def _up(self, datapath: Any) -> None:
        session = OpenFlowSession(datapath, self._sink, self._tally)
        former = self.sessions.get(session.datapath_id)
        if former is not None:
            _LOG.warning("%r takes the place of %r", session, former)
            self._down(former)
            former.close()
        self._of[datapath] = session
        self.sessions[session.datapath_id] = session
        _LOG.info("%r is up", session)
        self._sink(SwitchUp(session.datapath_id, session, tuple(map(_port, datapath.ports.values()))))

    def _down(self, session: OpenFlowSession | None) -> None:
        if session is None or self.sessions.get(session.datapath_id) is not session:
            return
        del self.sessions[session.datapath_id]
        session.ended()
        _LOG.info("%r is down", session)
        self._sink(SwitchDown(session.datapath_id, session))

    def close(self) -> None:
        """End all connections: the framework calls this when the service stops."""
        for session in list(self.sessions.values()):
            session.close()
            session.ended()
        self.sessions.clear()

    def _session(self, event: Any) -> OpenFlowSession | None:
        """Whose message this is; ``None`` when a newer connection has taken its place."""
        session = self._of.get(event.msg.datapath)
        return session if session is not None and self.sessions.get(session.datapath_id) is session else None

    @on(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)
    def _port_changed(self, event: Any) -> None:
        if session := self._session(event):
            gone = event.msg.reason == ofproto.OFPPR_DELETE
            self._sink(PortChanged(session.datapath_id, _port(event.msg.desc), gone=gone))

    @on(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def _packet_arrived(self, event: Any) -> None:
        if session := self._session(event):
            message = event.msg
            in_port = message.match.get("in_port", ofproto.OFPP_ANY)
            lane = register(bytes(message.buf), _MATCH_AT, IN_LANE)
            self._sink(PacketArrived(session.datapath_id, in_port, message.cookie, bytes(message.data), lane))

    @on(ofp_event.EventOFPBarrierReply, MAIN_DISPATCHER)
    def _barrier_came(self, event: Any) -> None:
        if session := self._session(event):
            session.barrier_came(event.msg.xid)

    @on(ofp_event.EventOFPRawReply, MAIN_DISPATCHER)
    def _answer_came(self, event: Any) -> None:
        if session := self._session(event):
            session.answer_came(event.msg.xid, event.msg.buf)

    @on(ofp_event.EventOFPErrorMsg, MAIN_DISPATCHER)
    def _refused(self, event: Any) -> None:
        if session := self._session(event):
            message = event.msg
            code = message.exp_type if message.type == ofproto.OFPET_EXPERIMENTER else message.code
            session.refused(Complaint(message.xid, message.type, code, bytes(message.data or b"")))


def _port(desc: Any) -> SwitchPort:
    name = desc.name.split(b"\0", 1)[0].decode(errors="replace")
    speed = next((each.curr_speed for each in desc.properties if hasattr(each, "curr_speed")), 0)
    # Open vSwitch says of every port whether it is live (what groups go by), with BFD and without; of a port that was
    # just added, in a second message.
    up = not desc.config & ofproto.OFPPC_PORT_DOWN and desc.state & _PASSABLE == ofproto.OFPPS_LIVE
    return SwitchPort(desc.port_no, name, desc.hw_addr, up, speed)


def listen(
    addresses: tuple[Address, ...],
    sink: Sink,
    tally: Tally | None = None,
    *,
    tls: tuple[Address, ...] = (),
    context: ssl.SSLContext | None = None,
) -> Service:
    """Listen for switches; returns at once.  The service's ``app`` is :class:`Switches`.

    :param tls: where switches have to speak TLS, with ``context``; they come after the others in ``addresses``.
    :raises OSError: when an address cannot be listened on.
    """
    if tls and context is None:
        raise ValueError("TLS without a context would be none")
    doors = [*((address, None) for address in addresses), *((address, context) for address in tls)]
    return serve(Switches, doors, sink, tally or Tally())

"""Who accepts the calls of hypervisors and fabric switches, and who is there?

The one thing of this package that the rest of the controller holds: it listens, gives each caller a green thread and a
session of its own, and knows the state of each host for the API.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

import eventlet
from eventlet.green import socket as green_socket

from controller import tls
from controller.events import FabricReachable, Sink
from controller.ovsdb.claims import Claims
from controller.ovsdb.complaints import Complaints
from controller.ovsdb.framing import ProtocolError
from controller.ovsdb.hangups import Hangups
from controller.ovsdb.peer import Peer
from controller.ovsdb.session import OvsdbSession, Surroundings
from overlay.changes import HostSeen
from overlay.values import DatapathId, HostName

_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 1024
_SESSIONS: Final = 8192
"""Callers at a time; more are hung up on, so that strangers cannot use up all file descriptors."""
_REST_AFTER_ERROR: Final = 0.2

BFD_INTERVAL: Final = 0.06
"""Seconds, where the operator names none: the longest with which a dead neighbour is noticed in less than 0.2 s.

A shorter one buys little and takes a daemon that waits for the processor for a dead one: with 0.05 s and 14 daemons on
two processors no session was lost idle, nor under 0.5 Gbit/s, but some were when other programs kept both busy.
"""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What the OVSDB side knows of a caller that is no fabric switch.

    ``name`` and ``la`` are None while its rows do not (soundly) say.
    """

    name: HostName | None
    la: IPv4Address | None
    connected: bool
    caller: str
    problems: tuple[str, ...]


class HostsServer:
    """The listener for hypervisors and fabric switches, and all their sessions.

    :param bfd_interval: seconds between two signs of life that the ends of a watched link give each other.
    """

    def __init__(self, *, bfd_interval: float = BFD_INTERVAL) -> None:
        self._bfd_interval_ms = max(1, round(bfd_interval * 1000))
        self._listeners: list[Any] = []
        self._threads: list[Any] = []
        self._sessions: dict[OvsdbSession, Any] = {}
        self._known: dict[HostName, HostStatus] = {}
        self._fabric: set[DatapathId] = set()
        self._hangups = Hangups()
        self._complaints = Complaints(_LOG)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens: address and port, also when port 0 was asked for."""
        return tuple(listener.getsockname()[:2] for listener in self._listeners)

    def start(
        self,
        addresses: Sequence[tuple[str, int]],
        openflow_port: int | None,
        sink: Sink,
        *,
        tls_addresses: Sequence[tuple[str, int]] = (),
        openflow_tls_port: int | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Open all listeners (address, port) and begin to accept.

        :param openflow_port: the port that br-ints are told to call, at the address that their host called us at;
            ``openflow_tls_port`` is for those whose host called by TLS.
        :param tls_addresses: where hosts have to speak TLS, with ``context``; they come last in ``addresses``.
        :raises OSError: when an address cannot be listened on; then none is.
        """
        if tls_addresses and context is None:
            raise ValueError("TLS without a context would be none")
        around = Surroundings(
            openflow_port,
            openflow_tls_port,
            self._bfd_interval_ms,
            self._watching(sink),
            Claims(),
            self._complaints,
        )
        try:
            for address in addresses:
                self._listeners.append(tls.listen(address, _BACKLOG))
            for address in tls_addresses:
                self._listeners.append(tls.listen(address, _BACKLOG, context))
        except OSError:
            self.stop()
            raise
        self._threads = [eventlet.spawn(self._accept, listener, around) for listener in self._listeners]

    def stop(self) -> None:
        """Close the listeners and hang up on everybody; hosts call again when somebody listens."""
        for thread in self._threads:
            thread.kill()
        for listener in self._listeners:
            listener.close()
        self._threads, self._listeners = [], []
        sessions = dict(self._sessions)
        for session in sessions:
            session.hang_up()
        for thread in sessions.values():
            thread.wait()

    def hosts(self) -> tuple[HostStatus, ...]:
        """The state of each host that has ever joined, and of each caller that has not."""
        live = [
            _status(session)
            for session in self._sessions
            if session.fabric_switch is None or session.hypervisor is not None
        ]
        named = {status.name: status for status in live if status.name is not None}
        return (*(self._known | named).values(), *(status for status in live if status.name is None))

    def fabric_switches(self) -> Mapping[DatapathId, tuple[str, ...]]:
        """The problems of each fabric switch that has ever joined."""
        found: dict[DatapathId, tuple[str, ...]] = dict.fromkeys(self._fabric, ("its OVSDB session is down",))
        # Those that are one now come last: what another session of the same switch once was does not count.
        for session in sorted(self._sessions, key=lambda session: session.fabric is not None):
            if session.fabric_switch is not None:
                found[session.fabric_switch] = session.problems()
        return found

    def strangers(self) -> tuple[tuple[str, str], ...]:
        """Callers who do not soundly say what they are, or who were hung up on lately, each with a problem."""
        unknown = (status for status in self.hosts() if status.name is None)
        told = tuple((status.caller, problem) for status in unknown for problem in status.problems)
        return (*told, *self._hangups.lately())

    def _watching(self, sink: Sink) -> Sink:
        """The sink, but hosts that are told of are remembered for ``hosts``."""

        def watch(event: object) -> None:
            if isinstance(event, HostSeen):
                name = event.host.name
                self._known[name] = HostStatus(
                    name, event.host.la, connected=False, caller="", problems=("its OVSDB session is down",)
                )
            elif isinstance(event, FabricReachable):
                self._fabric.add(event.datapath_id)
            sink(event)

        return watch

    def _accept(self, listener: Any, around: Surroundings) -> None:
        while True:
            try:
                sock, caller = listener.accept()
            except OSError as error:
                _LOG.warning("a hypervisor's call could not be taken: %s", error)
                eventlet.sleep(_REST_AFTER_ERROR)
                continue
            if len(self._sessions) >= _SESSIONS:
                self._complaints.warn(caller[0], f"hung up, {_SESSIONS} callers are enough")
                sock.close()
                continue
            try:
                sock.setsockopt(green_socket.IPPROTO_TCP, green_socket.TCP_NODELAY, 1)
                session = OvsdbSession(Peer(sock), f"{caller[0]}:{caller[1]}", _plain(sock.getsockname()[0]), around)
            except OSError:
                sock.close()  # gone again already
                continue
            self._sessions[session] = eventlet.spawn(self._converse, session)

    def _converse(self, session: OvsdbSession) -> None:
        try:
            session.run()
        except (OSError, ProtocolError) as error:
            self._complaints.warn(f"caller {session.caller}", f"hung up: {error}")
            if not session.has_joined:  # whoever has is known by name, and known to be down
                self._hangups.note(session.caller.rpartition(":")[0], f"hung up: {error}")
        except Exception:  # noqa: BLE001  (one host's trouble must not become everybody's)
            _LOG.exception("caller %s: its session failed and is closed", session.caller)
        finally:
            self._sessions.pop(session, None)


def _status(session: OvsdbSession) -> HostStatus:
    role = session.hypervisor
    name, la = (None, None) if role is None else (role.name, role.la)
    return HostStatus(name, la, name is not None, session.caller, session.problems())


def _plain(address: str) -> str:
    """An address as IPv4 where it is one that a dual-stack socket wraps in IPv6."""
    parsed = ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)

"""Which OpenFlow framework runs, and what of it do we use?

The one seam: Ryu 4.34 where it imports, os-ken where it does not; ``VL2_FRAMEWORK=ryu|os_ken`` insists on one.  Both
have the same classes under other names.  We take their connection (``Datapath``), handshake and event dispatch;
launching, listening and the codec are ours.  Nothing else in the product imports ``ryu`` or ``os_ken``.
"""

from __future__ import annotations

import importlib
import logging
import os
import ssl
import struct
import sys
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Final, TypeAlias, TypeVar

from controller import green

green.prepare()
tls: Any = importlib.import_module("controller.tls")

_LOG: Final = logging.getLogger(__name__)
_Handler = TypeVar("_Handler", bound=Callable[..., None])
Address: TypeAlias = tuple[str, int]


def _load() -> str:
    wanted = os.environ.get("VL2_FRAMEWORK", "")
    if wanted not in {"", "ryu", "os_ken"}:
        raise ImportError(f"VL2_FRAMEWORK is {wanted!r}; it can be 'ryu' or 'os_ken'")
    for name in (wanted,) if wanted else ("ryu", "os_ken"):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        return name
    raise ImportError(f"no OpenFlow framework here: neither {wanted or 'ryu nor os_ken'} can be imported")


NAME: Final = _load()
"""``ryu`` or ``os_ken``: the framework that runs."""


def _module(path: str) -> Any:
    with warnings.catch_warnings():  # Ryu is of 2019; what it imports is deprecated by now, and not ours to change
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module(f"{NAME}.{path}")


def _without_wsgi() -> None:
    """Keep Ryu's web server out: its application loader imports it for a function that we never call.

    It asks eventlet for a name that eventlet no longer has, so the real module cannot be imported any more.
    """
    if NAME == "ryu":
        sys.modules.setdefault("ryu.app.wsgi", ModuleType("ryu.app.wsgi"))


_without_wsgi()
hub: Any = _module("lib.hub")
ofproto: Any = _module("ofproto.ofproto_v1_5")
parser: Any = _module("ofproto.ofproto_v1_5_parser")
ProtocolDesc: Any = _module("ofproto.ofproto_protocol").ProtocolDesc
_app_manager: Any = _module("base.app_manager")
_controller: Any = _module("controller.controller")
_handler: Any = _module("controller.handler")
_ofproto_parser: Any = _module("ofproto.ofproto_parser")
ofp_event: Any = _module("controller.ofp_event")
_ofp_handler: Any = _module("controller.ofp_handler")
_conf: Any = _module("cfg").CONF
packet: Any = _module("lib.packet.packet")
ethernet: Any = _module("lib.packet.ethernet")
udp: Any = _module("lib.packet.udp")
ipv4: Any = _module("lib.packet.ipv4")
ipv6: Any = _module("lib.packet.ipv6")
igmp: Any = _module("lib.packet.igmp")
icmpv6: Any = _module("lib.packet.icmpv6")
packet_utils: Any = _module("lib.packet.packet_utils")

MAIN_DISPATCHER: Final = _handler.MAIN_DISPATCHER
DEAD_DISPATCHER: Final = _handler.DEAD_DISPATCHER
Queue: Any = hub.Queue
QueueEmpty: Any = hub.QueueEmpty
App: Any = _app_manager.RyuApp if NAME == "ryu" else _app_manager.OSKenApp
"""The framework's application class."""

ECHO_INTERVAL: Final = 2.0
"""Seconds between two echo requests on one connection."""

ECHO_UNANSWERED: Final = 2
"""A peer that owes more echo replies than this is taken for dead: after (2 + 1) * 2 s."""

SOCKET_TIMEOUT: Final = 5.0
"""Seconds that a switch may leave a write untaken before its connection is given up."""

_ACCEPT_PAUSE: Final = 0.2
_BACKLOG: Final = 128

_conf.set_override("echo_request_interval", ECHO_INTERVAL)
_conf.set_override("maximum_unreplied_echo_requests", ECHO_UNANSWERED)
_conf.set_override("socket_timeout", SOCKET_TIMEOUT)


def on(event: Any, *states: str) -> Callable[[_Handler], _Handler]:
    """Mark a method of an :data:`App` as the handler of an event class in the given connection states."""
    decorate: Callable[[_Handler], _Handler] = _handler.set_ev_cls(event, list(states))
    return decorate


class OFPRawReply(parser.MsgBase):  # type: ignore[misc]
    """A multipart reply that is left as it came (``buf``), for our own decoder."""

    cls_msg_type = ofproto.OFPT_MULTIPART_REPLY


_RAW: Final = frozenset(
    {
        ofproto.OFPMP_FLOW_DESC,
        ofproto.OFPMP_AGGREGATE_STATS,
        ofproto.OFPMP_PORT_STATS,
        ofproto.OFPMP_GROUP_DESC,
        ofproto.OFPMP_METER_DESC,
    }
)
_parse: Any = parser.msg_parser


def _parse_all_but_raw(  # noqa: PLR0917  (the framework's signature)
    datapath: Any, version: int, msg_type: int, msg_len: int, xid: int, buf: bytes
) -> Any:
    """Parse as the framework does, but do not make objects out of big tables: that takes 45 µs for each flow."""
    if msg_type == ofproto.OFPT_MULTIPART_REPLY and struct.unpack_from("!H", buf, 8)[0] in _RAW:
        return OFPRawReply.parser(datapath, version, msg_type, msg_len, xid, buf)
    return _parse(datapath, version, msg_type, msg_len, xid, buf)


_ofproto_parser.register_msg_parser(ofproto.OFP_VERSION)(_parse_all_but_raw)
ofp_event._create_ofp_msg_ev_class(OFPRawReply)  # noqa: SLF001  (how the framework names events after messages)


class _Handshake(_ofp_handler.OFPHandler):  # type: ignore[misc]
    """The framework's handshake without its listener, whose one address comes from the command line."""

    def start(self) -> None:
        """Start dispatching; listening is :class:`Service`'s."""
        super(_ofp_handler.OFPHandler, self).start()


class Service:
    """A running OpenFlow service: one application, the framework's handshake, and listeners."""

    def __init__(self, app: Any, listeners: list[Any], threads: list[Any], names: list[str]) -> None:
        self.app = app
        self._listeners = listeners
        self._threads = threads
        self._names = names

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where switches can call (with the real port where 0 was asked for)."""
        return tuple(listener.getsockname()[:2] for listener in self._listeners)

    def stop(self) -> None:
        """Stop listening and dispatching; the application's ``close`` ends its connections.  Once is enough."""
        for thread in self._threads:
            hub.kill(thread)
        for listener in self._listeners:
            listener.close()
        apps = _app_manager.AppManager.get_instance()
        while self._names:
            apps.uninstantiate(self._names.pop())


def _accept(listener: Any) -> None:
    """Accept for ever; the frameworks' own loop ends at the first error (too many open files, an aborted call)."""
    while True:
        try:
            connection, address = listener.accept()
        except OSError as error:
            _LOG.warning("could not accept a switch: %s", error)
            hub.sleep(_ACCEPT_PAUSE)
        else:
            hub.spawn(_converse, connection, address)


def _converse(connection: Any, address: Any) -> None:
    """Serve one connection to its end; a peer that is no switch costs a line in the log."""
    try:
        tls.shake(connection)
    except OSError as error:
        connection.close()
        _LOG.warning("gave up on %s: %s", address, error)
        return
    try:
        _controller.datapath_connection_factory(connection, address)
    except Exception as error:  # noqa: BLE001  (whatever a stranger's bytes provoke must end here)
        _LOG.warning("gave up on %s: %s: %s", address, type(error).__name__, error)


def names_of(datapath: Any) -> frozenset[str] | None:
    """The names in the certificate of a connection; None when it came without TLS."""
    connection = datapath.socket
    return connection.names if isinstance(connection, tls.TlsStream) else None


def serve(app: Any, addresses: Iterable[tuple[Address, ssl.SSLContext | None]], *args: Any) -> Service:
    """Start one application and listen for switches; returns at once, all goes on in greenlets.

    :param app: a subclass of :data:`App` that speaks OpenFlow 1.5 only; ``args`` are handed to it.
    :param addresses: where to listen, with a context where switches have to speak TLS; port 0 takes a free one.
    :raises OSError: when an address cannot be listened on; then nothing was started.
    """
    listeners: list[Any] = []
    try:
        listeners.extend(tls.listen(address, _BACKLOG, context) for address, context in addresses)
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    apps = _app_manager.AppManager.get_instance()
    instances = [apps.instantiate(_Handshake), apps.instantiate(app, *args)]
    for instance in instances:
        instance.start()
    threads = [hub.spawn(_accept, listener) for listener in listeners]
    service = Service(instances[1], listeners, threads, [instance.name for instance in instances])
    _LOG.info("%s listens for switches on %s", NAME, service.addresses)
    return service

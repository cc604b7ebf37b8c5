"""How did the operator want this controller to run?

One TOML file, parsed once into frozen typed values; everything has a sane default and a mistake is answered with the
key that holds it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from controller.configuration import Endpoint, Section, SettingsError
from controller.counting import Watch
from controller.fabric.elephants import Rule, check_policy
from controller.fabric.flaps import PENALTY, Damping
from controller.fabric.pipeline import is_tag
from controller.fabric.policies import PATHS_MAX, policy_named
from controller.tokens import Token, checked_token
from overlay.evacuation.values import PARALLEL_MOST
from overlay.guests.names import check_domain
from overlay.holdings import DEFAULT_QUOTAS
from overlay.refusals import Invalid, Refusal
from overlay.values import EVERYBODY, UNLIMITED, Countable, Mac, Vni

OPERATOR: Final = "operator"
"""The project that the operator's own objects belong to; no tenant may be called so."""

SELF_MADE: Final = "self-made"
"""What ``rest.tls`` says when the controller is to make the certificate itself."""

_URL: Final = re.compile(r"https?://[!-~]+")
_INTERFACES: Final = ("public", "internal", "admin")
_LINK_PREFIX_MAX: Final = 30
_PORT_RATE_LEAST: Final = 64
"""Below it not even ARP and DHCP would be a network."""
_PORT_RATE_MOST: Final = 400_000_000
"""400 Gbit/s: the fastest card that there is; a typing error beyond, and still a number of 32 bits in OpenFlow."""
_PPS_LEAST: Final = 100
"""Below it not even TCP would be one."""
_PPS_MOST: Final = 10_000_000
"""More than any port sends."""
_UNDERLAY_MTU_LEAST: Final = 1330
"""Leaves the 1,280 bytes that IPv6 needs (RFC 8200 §5)."""
_UNDERLAY_MTU_MOST: Final = 65535
_UNREGISTERED: Final = ("drop", "flood")
_QUERY_LEAST: Final = 1.0
_QUERY_MOST: Final = 31_744.0
"""The longest that a question can say (RFC 9776 §4.1.7)."""
_LEASE_LEAST: Final = 10
_LEASE_MOST: Final = (1 << 32) - 2
"""The greatest number that is not DHCP's word for ever (RFC 2131 §3.3)."""
_RA_LEAST: Final = 4.0
_RA_MOST: Final = 1800.0
"""RFC 4861 §6.2.1, MaxRtrAdvInterval."""
_GROUPS_MOST: Final = 100_000
_QUOTA_MOST: Final = (1 << 31) - 1
_RATE_MOST: Final = 100_000
_BURST_MOST: Final = 1_000_000
_CLIENTS_MOST: Final = 800
"""Fewer than connections may be open at once, or nobody else would be answered."""
_CAPACITY_MAX: Final = 10_000_000
_BFD_LEAST: Final = 0.01
_BFD_MOST: Final = 10.0


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate with its key, the authority that callers' certificates must be of, and which of these do not count.

    All in PEM.
    """

    certificate: Path
    key: Path
    ca: Path | None = None
    revoked: Path | None = None


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """The sockets of one protocol."""

    listen: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class RestSettings:
    """The HTTP socket, what it shows if it is one for HTTPS, and what is asked of those who use it."""

    listen: Endpoint
    audit_log: Path | None
    """A file for the audit log; None writes it into the normal log."""
    rate_limit: int
    """How many requests a second each project may send; 0 is no limit."""
    rate_burst: int
    """How many of them may come at once."""
    event_clients: int
    """How many clients may follow events at once; a project half of them."""
    tls: TlsFiles | None = None
    self_made: bool = False
    """Whether the controller makes its certificate itself."""


@dataclass(frozen=True, slots=True)
class KeystoneSettings:
    """An OpenStack Keystone that says whose a token is, and the user of a service as whom it is asked.

    Times are in seconds.  ``ca`` is the file with which Keystone's certificate is checked; None for the machine's own.
    """

    url: str
    username: str
    password_file: Path
    project: str
    user_domain: str
    project_domain: str
    region: str
    interface: str
    ca: Path | None
    timeout: float
    cache_seconds: float
    """How long an answer is kept, and so how long a revoked token may still be good; 0 asks each time."""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """A Nova that is told when ports are plugged (``os-server-external-events``).  Times are in seconds.

    ``token_file`` holds what is shown in ``X-Auth-Token``; with ``keystone``, a token of the user of ``[keystone]`` is.
    ``interval`` is how long events gather until the next request; the first one after a silence goes at once.
    """

    url: str
    token_file: Path | None
    keystone: bool
    ca: Path | None
    interval: float
    timeout: float


@dataclass(frozen=True, slots=True)
class OverlaySettings:
    """Virtual networks and moves.  Times are in seconds."""

    vni_first: Vni
    vni_last: Vni
    grace_seconds: float
    move_timeout: float
    host_lost_after: float
    port_rate_kbps: int
    """What each VM port may send whose QoS policy does not say, in kbit/s; 0 is no limit."""
    underlay_mtu: int
    """The largest IP packet that the underlay carries between hosts, in bytes; networks have 50 less."""
    multicast_unregistered: str
    """What becomes of multicast to a group that nobody in its network joined: ``drop`` or ``flood``."""
    multicast_query_interval: float
    """Seconds between two questions to machines for what they listen to."""
    multicast_groups_per_port: int
    multicast_groups_per_network: int
    dns_domain: str
    """The domain of names in networks that have none of their own, with its final dot."""
    port_rate_pps: int
    """How many IP packets a second each VM port may send; 0 is any number."""
    evacuation_parallel: int
    """How many moves from a host that is being emptied are under way at once, if nobody says so."""
    port_connections: int
    """How many connections a second each VM port with security groups may begin; 0 is any number."""
    storm_pps: int
    """How many packets a second each VM port may flood, and say by ARP; 0 is any number."""
    asking_pps: int
    """How many packets a second of each VM port are handed to the controller."""
    dhcp_lease_seconds: int
    """How long a machine may use an address until it has to ask again; it does after half of it."""
    ra_interval: float
    """Seconds between two router advertisements to each machine."""


@dataclass(frozen=True, slots=True)
class FabricSettings:
    """The underlay.  ``lldp_interval`` and ``bfd_interval`` are in seconds, ``hold`` in missed announcements.

    ``policy`` and ``paths`` hold until the operator chooses others at run time; ``damping`` is None when it is off.
    ``watch`` is how the load of its links is watched.
    ``intended`` is a file with the topology that the fabric is to have, as GraphML or JSON; None for no such file.
    """

    edge_prefix_length: int
    la_supernet: IPv4Network
    lldp_interval: float
    hold: int
    router_mac: Mac
    policy: str
    paths: int
    damping: Damping | None
    watch: Watch
    bfd: bool
    bfd_interval: float
    intended: Path | None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the operator can choose."""

    state_dir: Path
    insecure_listen: bool
    """Whether listeners without TLS may leave the loopback: for a management network of one's own."""
    tls: TlsFiles | None
    """For OpenFlow and OVSDB; with ``ca``."""
    audit_interval: float
    operator_token_file: Path
    openflow: ListenSettings
    ovsdb: ListenSettings
    rest: RestSettings
    keystone: KeystoneSettings | None
    webhooks: tuple[WebhookSettings, ...]
    overlay: OverlaySettings
    fabric: FabricSettings
    quotas: Mapping[Countable, int]
    """How many of each a project may have that has no quota of its own; -1 is any number."""
    tokens: Mapping[str, Token] = field(repr=False)
    """By project."""


def default_state_dir() -> Path:
    """``/var/lib/vl2`` for root, else the user's state directory (XDG Base Directory Specification)."""
    if os.geteuid() == 0:
        return Path("/var/lib/vl2")
    root = os.environ.get("XDG_STATE_HOME", "")
    return (Path(root) if root.startswith("/") else Path.home() / ".local/state") / "vl2"


def self_made_files(state_dir: Path) -> TlsFiles:
    """Where the certificate is that the controller makes for REST."""
    return TlsFiles(state_dir / "rest-certificate.pem", state_dir / "rest-key.pem")


def load(path: Path | None) -> Settings:
    """Read a configuration file; ``None`` gives the defaults.

    :raises SettingsError: for a file that cannot be read, is not TOML, or says something that cannot be.
    """
    if path is None:
        return parse({})
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    try:
        return parse(document)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def parse(document: Mapping[str, object]) -> Settings:
    """Turn a TOML document into settings.

    :raises SettingsError: naming the key.
    """
    top = Section(document)
    state_dir = top.path("state_dir") or default_state_dir()
    insecure = top.flag("insecure_listen", default=False)
    tls = _tls(top.section("tls"))
    keystone = _keystone(top.section("keystone"))
    settings = Settings(
        state_dir=state_dir,
        insecure_listen=insecure,
        tls=tls,
        audit_interval=top.seconds("audit_interval", 5.0),
        operator_token_file=top.path("operator_token_file") or state_dir / "operator.token",
        openflow=_listen(top.section("openflow"), "openflow", "127.0.0.1:6653", tls, insecure=insecure),
        ovsdb=_listen(top.section("ovsdb"), "ovsdb", "127.0.0.1:6640", tls, insecure=insecure),
        rest=_rest(top.section("rest"), insecure=insecure),
        keystone=keystone,
        webhooks=tuple(_webhook(table, keystone) for table in top.tables("webhooks")),
        overlay=_overlay(top.section("overlay")),
        fabric=_fabric(top.section("fabric")),
        quotas=_quotas(top.section("quotas")),
        tokens=_tokens(top.section("tokens")),
    )
    top.end()
    return settings


def _tls(section: Section) -> TlsFiles | None:
    files = _files(section, "tls")
    ca, revoked = section.path("ca"), section.path("revoked")
    section.end()
    if files is None and ca is None and revoked is None:
        return None
    if files is None:
        raise SettingsError("tls.certificate: is missing; tls.ca goes with it and with tls.key")
    if ca is None:
        raise SettingsError("tls.ca: is missing; without it no switch's certificate could be believed")
    return TlsFiles(files.certificate, files.key, ca, revoked)


def _files(section: Section, name: str) -> TlsFiles | None:
    certificate, key = section.path("certificate"), section.path("key")
    if certificate is None and key is None:
        return None
    if certificate is None:
        raise SettingsError(f"{name}.certificate: is missing; {name}.key goes with it")
    if key is None:
        raise SettingsError(f"{name}.key: is missing; {name}.certificate goes with it")
    return TlsFiles(certificate, key)


def _listen(section: Section, name: str, default: str, tls: TlsFiles | None, *, insecure: bool) -> ListenSettings:
    listen = section.endpoints("listen", default, tls=tls is not None)
    section.end()
    for endpoint in listen:
        if endpoint.tls and tls is None:
            raise SettingsError(f"{name}.listen: ssl:{endpoint} needs the certificates of [tls] (vl2 pki init)")
        _keep_in(endpoint, f"{name}.listen", "set [tls] (vl2 pki init)", insecure=insecure)
    return ListenSettings(listen)


def _rest(section: Section, *, insecure: bool) -> RestSettings:
    files = _files(section, "rest")
    kind = section.text("tls", "")
    if kind not in {"", SELF_MADE}:
        raise SettingsError(f'rest.tls: {kind!r} is not "{SELF_MADE}"; for another certificate set rest.certificate')
    if kind and files is not None:
        raise SettingsError(f'rest.tls: is "{SELF_MADE}", but rest.certificate is given')
    rate = section.whole("rate_limit", 0, 1, _RATE_MOST, zero=True)
    rest = RestSettings(
        listen=section.endpoint("listen", "127.0.0.1:9696", tls=bool(kind) or files is not None),
        audit_log=section.path("audit_log"),
        rate_limit=rate,
        rate_burst=section.whole("rate_burst", max(1, 2 * rate), 1, _BURST_MOST),
        event_clients=section.whole("event_clients", 100, 0, _CLIENTS_MOST),
        tls=files,
        self_made=bool(kind),
    )
    section.end()
    _keep_in(rest.listen, "rest.listen", f'set rest.tls = "{SELF_MADE}" or rest.certificate', insecure=insecure)
    return rest


def _keystone(section: Section) -> KeystoneSettings | None:
    if not section.names():
        return None
    url = section.text("url", "")
    if not _URL.fullmatch(url):
        raise SettingsError(f"keystone.url: {url!r} is not where a Keystone is, like https://keystone.example/v3")
    password_file = section.path("password_file")
    if password_file is None:
        raise SettingsError("keystone.password_file: needs the file with the password of keystone.username")
    interface = section.text("interface", "public")
    if interface not in _INTERFACES:
        raise SettingsError(f"keystone.interface: {interface!r} is none of {', '.join(_INTERFACES)}")
    keystone = KeystoneSettings(
        url=url,
        username=section.text("username", "vl2"),
        password_file=password_file,
        project=section.text("project", "service"),
        user_domain=section.text("user_domain", "Default"),
        project_domain=section.text("project_domain", "Default"),
        region=section.text("region", ""),
        interface=interface,
        ca=section.path("ca"),
        timeout=section.seconds("timeout", 5.0),
        cache_seconds=section.seconds("cache_seconds", 10.0, zero=True),
    )
    section.end()
    return keystone


def _webhook(section: Section, keystone: KeystoneSettings | None) -> WebhookSettings:
    url = section.text("url", "")
    if not _is_url(url):
        raise SettingsError(
            f"{section.name}.url: is not where a Nova is, like http://127.0.0.1:8774/v2.1/os-server-external-events"
        )
    webhook = WebhookSettings(
        url=url,
        token_file=section.path("token_file"),
        keystone=section.flag("keystone", default=False),
        ca=section.path("ca"),
        interval=section.seconds("interval", 0.1, zero=True),
        timeout=section.seconds("timeout", 5.0),
    )
    section.end()
    if webhook.keystone and keystone is None:
        raise SettingsError(f"{section.name}.keystone: needs the table [keystone]")
    if webhook.keystone and webhook.token_file is not None:
        raise SettingsError(f"{section.name}.token_file: is given, but {section.name}.keystone is to give the token")
    return webhook


def _is_url(text: str) -> bool:
    """Whether it is an address of HTTP, in which no password is written that would be shown."""
    if not _URL.fullmatch(text):
        return False
    parts = urlsplit(text)
    try:
        return bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False


def _keep_in(endpoint: Endpoint, key: str, remedy: str, *, insecure: bool) -> None:
    """Refuse to be reachable from other machines without encryption, unless the operator said so."""
    if not (insecure or endpoint.tls or endpoint.is_loopback):
        raise SettingsError(
            f"{key}: {endpoint} can be reached from other machines, unencrypted; {remedy}, listen on the loopback, or"
            " set insecure_listen = true if the network is yours alone"
        )


def _overlay(section: Section) -> OverlaySettings:
    first, last = section.vni_range("vni_range")
    overlay = OverlaySettings(
        vni_first=first,
        vni_last=last,
        grace_seconds=section.seconds("grace_seconds", 1.0, zero=True),
        move_timeout=section.seconds("move_timeout", 300.0),
        host_lost_after=section.seconds("host_lost_after", 30.0),
        port_rate_kbps=section.whole("port_rate_kbps", 0, _PORT_RATE_LEAST, _PORT_RATE_MOST, zero=True),
        underlay_mtu=section.whole("underlay_mtu", 1500, _UNDERLAY_MTU_LEAST, _UNDERLAY_MTU_MOST),
        multicast_unregistered=_unregistered(section),
        multicast_query_interval=_query_interval(section),
        multicast_groups_per_port=section.whole("multicast_groups_per_port", 64, 1, _GROUPS_MOST),
        multicast_groups_per_network=section.whole("multicast_groups_per_network", 1024, 1, _GROUPS_MOST),
        dns_domain=_domain(section),
        port_rate_pps=section.whole("port_rate_pps", 0, _PPS_LEAST, _PPS_MOST, zero=True),
        evacuation_parallel=section.whole("evacuation_parallel", 16, 1, PARALLEL_MOST),
        port_connections=section.whole("port_connections", 1000, 1, _PPS_MOST, zero=True),
        storm_pps=section.whole("storm_pps", 1000, 1, _PPS_MOST, zero=True),
        asking_pps=section.whole("asking_pps", 50, 1, _PPS_MOST),
        dhcp_lease_seconds=section.whole("dhcp_lease_seconds", 86_400, _LEASE_LEAST, _LEASE_MOST),
        ra_interval=_ra_interval(section),
    )
    section.end()
    return overlay


def _unregistered(section: Section) -> str:
    word = section.text("multicast_unregistered", _UNREGISTERED[0])
    if word not in _UNREGISTERED:
        raise SettingsError(f"overlay.multicast_unregistered: {word!r} is none of {', '.join(_UNREGISTERED)}")
    return word


def _ra_interval(section: Section) -> float:
    interval = section.seconds("ra_interval", 200.0)
    if not _RA_LEAST <= interval <= _RA_MOST:
        raise SettingsError(
            f"overlay.ra_interval: must be from {_RA_LEAST:g} to {_RA_MOST:g} seconds, not {interval:g}"
        )
    return interval


def _domain(section: Section) -> str:
    text = section.text("dns_domain", "vl2.internal.")
    if not text:
        raise SettingsError("overlay.dns_domain: must not be empty")
    try:
        return check_domain(text, "overlay.dns_domain")
    except Invalid as wrong:
        raise SettingsError(str(wrong)) from None


def _query_interval(section: Section) -> float:
    interval = section.seconds("multicast_query_interval", 60.0)
    if not _QUERY_LEAST <= interval <= _QUERY_MOST:
        raise SettingsError(
            f"overlay.multicast_query_interval: must be from {_QUERY_LEAST:g} to {_QUERY_MOST:g} seconds,"
            f" not {interval:g}"
        )
    return interval


def _quotas(section: Section) -> Mapping[Countable, int]:
    quotas = {kind: section.whole(kind, default, UNLIMITED, _QUOTA_MOST) for kind, default in DEFAULT_QUOTAS.items()}
    section.end()
    return quotas


def _fabric(section: Section) -> FabricSettings:
    supernet = section.prefix("la_supernet", "10.0.0.0/16")
    length = section.whole("edge_prefix_length", 24, 1, _LINK_PREFIX_MAX)
    if length < supernet.prefixlen:
        raise SettingsError(
            f"fabric.edge_prefix_length: /{length} is wider than fabric.la_supernet {supernet}, which it divides"
        )
    policy = _policy(section)
    fabric = FabricSettings(
        edge_prefix_length=length,
        la_supernet=supernet,
        lldp_interval=section.seconds("lldp_interval", 0.5),
        hold=section.whole("hold", 3, 1, 1000),
        router_mac=_router_mac(section),
        policy=policy,
        paths=section.whole("paths", 2, 1, PATHS_MAX),
        damping=_damping(section.section("damping")),
        watch=_watch(section, policy),
        bfd=section.flag("bfd", default=True),
        bfd_interval=_bfd_interval(section),
        intended=section.path("intended"),
    )
    section.end()
    return fabric


def _watch(section: Section, policy: str) -> Watch:
    on = section.flag("elephants", default=False)
    rule = Rule(section.fraction("elephant_threshold", 0.8, 0.1), section.seconds("elephant_interval", 5.0))
    interval = section.seconds("counters_interval", 1.0, zero=True)
    if on and not interval:
        raise SettingsError("fabric.elephants: needs the ports' counters, but fabric.counters_interval is 0")
    if on and rule.interval < interval:
        raise SettingsError(
            f"fabric.elephant_interval: {rule.interval:g} s is shorter than fabric.counters_interval {interval:g} s"
        )
    if on:
        try:
            check_policy(policy)
        except Refusal as refusal:
            raise SettingsError(f"fabric.{refusal.message}") from refusal
    return Watch(interval, section.whole("capacity_mbps", 0, 0, _CAPACITY_MAX), rule if on else None)


def _router_mac(section: Section) -> Mac:
    mac = section.mac("router_mac", "02:56:4c:32:00:01")
    if is_tag(mac):
        raise SettingsError(f"fabric.router_mac: {mac} is among those that carry locator tags (02:56:4d:…)")
    return mac


def _policy(section: Section) -> str:
    name = section.text("policy", "ecmp")
    try:
        return policy_named(name).name
    except Refusal as refusal:
        raise SettingsError(f"fabric.{refusal.message}") from refusal


def _damping(section: Section) -> Damping | None:
    """Losses of a link count 1; the count halves with time (RFC 2439)."""
    on = section.flag("on", default=True)
    suppress = section.whole("suppress", 3, 1, 100)
    reuse = section.whole("reuse", 1, 1, 100)
    longest = section.whole("ceiling", 12, 1, 1000)
    half_life = section.seconds("half_life", 10.0)
    section.end()
    try:
        damping = Damping(suppress * PENALTY, reuse * PENALTY, half_life, longest * PENALTY)
    except Refusal as refusal:
        raise SettingsError(f"fabric.{refusal.message}") from refusal
    return damping if on else None


def _bfd_interval(section: Section) -> float:
    interval = section.seconds("bfd_interval", 0.06)
    if not _BFD_LEAST <= interval <= _BFD_MOST:
        raise SettingsError(
            f"fabric.bfd_interval: must be from {_BFD_LEAST:g} to {_BFD_MOST:g} seconds, not {interval:g}"
        )
    return interval


def _tokens(section: Section) -> Mapping[str, Token]:
    tokens: dict[str, Token] = {}
    for project in section.names():
        if project in {"", OPERATOR, EVERYBODY}:
            raise SettingsError(f"tokens: a project cannot be called {project!r}")
        token = Token(checked_token(section.text(project, ""), f"tokens.{project}"))
        # Two projects with one token would be one project that sees the objects of either at random.
        for other, known in tokens.items():
            if known == token:
                raise SettingsError(f"tokens.{project}: is the token of {other} as well")
        tokens[project] = token
    return tokens

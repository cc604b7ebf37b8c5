"""What can one ask of a running lab, and what does it answer?

Orders and answers are frozen values; on the lab's unix socket they travel as one line of JSON each.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from topologies.errors import LabError


class Trigger(StrEnum):
    """What tells the controller that a machine has moved."""

    REST = "rest"
    """As Nova does: passive binding, plug, activate, then the machine moves."""
    BOUND = "bound"
    """A passive binding and the plug; what activates it is the machine's announcement."""
    APPEAR = "appear"
    """Nothing is asked; the port appears at the target, and later vanishes at the source."""
    RARP = "rarp"
    """Nothing is asked; the port appears at the target and announces itself; the source is unplugged later."""
    REPLUG = "replug"
    """Nothing is asked or prepared: unplugged at the source, then plugged at the target, then the machine moves."""

    @property
    def bound(self) -> bool:
        """Whether there is a passive binding before the plug."""
        return self in {Trigger.REST, Trigger.BOUND}


class Moment(StrEnum):
    """When, in a move by REST, the lab asks the controller to switch over to the target."""

    READY = "ready"
    """As soon as the target is ready, while the machine still runs."""
    STOPPED = "stopped"
    """When the machine stands still; it goes on when the controller has confirmed."""
    RESUMED = "resumed"
    """When the machine runs at the target."""


class Kind(StrEnum):
    """What a virtual machine is."""

    NAMESPACE = "namespace"
    """A namespace with a network card that outlives every move: nothing starts quicker, nothing needs less."""
    QEMU = "qemu"
    """A QEMU guest with a kernel of its own, which moves by live migration."""


class Configure(StrEnum):
    """How a machine's card gets its addresses."""

    STATIC = "static"
    """The lab gives it those of its port."""
    NONE = "none"
    """Nobody does; IPv6 configures itself, if its network tells it how to."""
    DHCP = "dhcp"
    """By udhcpc, which runs in the machine from then on."""


# --- orders -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Status:
    """How is everybody? Answer: :class:`LabStatus`."""


@dataclass(frozen=True, slots=True)
class VmAdd:
    """Start a virtual machine on a hypervisor. Answer: :class:`VmStatus`.

    With a port (or a network in which the lab makes one) everything else comes from the controller; without a
    controller ``mac`` and ``addresses`` say it.
    """

    name: str
    host: str
    port_id: str = ""
    network: str = ""
    project: str = ""
    mac: str = ""
    addresses: tuple[str, ...] = ()
    mtu: int = 1500
    wait: bool = True
    """Answer only when the controller reports the port ACTIVE, and those of the VLANs."""
    vlans: tuple[tuple[int, str], ...] = ()
    """VLANs that the machine has on its card (``eth0.100``), each with its port: a sub-port of the card's port."""
    configure: Configure = Configure.STATIC
    kind: Kind = Kind.NAMESPACE


@dataclass(frozen=True, slots=True)
class VmMove:
    """Move a machine, with a pause in milliseconds between STOP and RESUME. Answer: :class:`MoveReport`."""

    name: str
    to: str
    pause_ms: float = 0.0
    trigger: Trigger = Trigger.REST
    moment: Moment | None = None
    """When to switch over; left out, it is ``ready``."""
    copying_ms: float = 0.0
    """How long it goes on at the source when the target is ready, as if its memory was copied meanwhile."""


@dataclass(frozen=True, slots=True)
class VmExec:
    """Run a command in a QEMU guest, which ends it after so many seconds. Answer: :class:`VmRan`."""

    name: str
    words: tuple[str, ...]
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class VmDel:
    """End a machine with all that runs in it. Answer: :class:`Done`."""

    name: str


@dataclass(frozen=True, slots=True)
class ServerAdd:
    """Wire a server to an edge switch, by one card for each VLAN. Answer: :class:`ServerStatus`.

    Each port is bound by the lab to the interface that the server has there.
    """

    name: str
    edge: str
    vlans: tuple[int, ...]
    port_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServerDel:
    """End a server and take its cable out. Answer: :class:`Done`."""

    name: str


@dataclass(frozen=True, slots=True)
class SwitchPower:
    """``kill -9`` a switch's daemons and take its links down, or bring it back. Answer: :class:`Done`."""

    name: str
    on: bool


@dataclass(frozen=True, slots=True)
class SetLink:
    """Take the link between two nodes up or down, at both ends. Answer: :class:`Done`."""

    one: str
    other: str
    up: bool


@dataclass(frozen=True, slots=True)
class Vswitchd:
    """``kill -9`` a node's ovs-vswitchd, or start it (ending a running one). Answer: :class:`Done`."""

    name: str
    on: bool


@dataclass(frozen=True, slots=True)
class ControllerPower:
    """End the controller (``hard``: kill -9), or start it again and wait for its health. Answer: :class:`Done`."""

    on: bool
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """Open Mininet's prompt on the three descriptors that come with the order. Answer: :class:`Done` at its end."""


@dataclass(frozen=True, slots=True)
class Down:
    """Let the controller end in order; the client removes the rest. Answer: :class:`Done`."""


_KINDS: Final = (
    Status,
    VmAdd,
    VmMove,
    VmExec,
    VmDel,
    ServerAdd,
    ServerDel,
    SwitchPower,
    SetLink,
    Vswitchd,
    ControllerPower,
    Prompt,
    Down,
)
ORDERS: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in _KINDS}

# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """It was done."""


@dataclass(frozen=True, slots=True)
class SwitchStatus:
    """A fabric switch."""

    name: str
    dpid: str
    pid: int
    """A process in the switch's namespaces (for ``nsenter`` or ``mnexec -a``)."""
    directory: str
    """Where its daemons' sockets are: ``OVS_RUNDIR``."""
    running: bool


@dataclass(frozen=True, slots=True)
class HypervisorStatus:
    """A hypervisor."""

    name: str
    la: str
    edge: str
    pid: int
    directory: str
    running: bool


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """A cable, with the OpenFlow port number (or 0 for a hypervisor) and interface name at each end."""

    one: str
    one_port: int
    one_interface: str
    other: str
    other_port: int
    other_interface: str


@dataclass(frozen=True, slots=True)
class VmStatus:
    """A virtual machine."""

    name: str
    host: str
    port_id: str
    tap: str
    mac: str
    addresses: tuple[str, ...]
    pid: int
    """A process in its namespace; of a QEMU guest, the QEMU process."""
    from_guest: int = 0
    to_guest: int = 0
    dropped: int = 0
    """Frames that its network card has counted; a QEMU's counts none."""
    kind: Kind = Kind.NAMESPACE


@dataclass(frozen=True, slots=True)
class VmRan:
    """What came of a command in a QEMU guest."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class CardStatus:
    """A server's interface for one VLAN."""

    interface: str
    vlan: int
    port_id: str
    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A server that is wired to an edge switch."""

    name: str
    edge: str
    interface: str
    """The edge switch's."""
    pid: int
    cards: tuple[CardStatus, ...]


@dataclass(frozen=True, slots=True)
class ControllerStatus:
    """The controller's process."""

    running: bool
    pid: int
    rest_host: str
    rest_port: int
    operator_token_file: str
    project_token_files: dict[str, str]
    log: str
    config: str
    cacert: str = ""
    """The authority of the API's certificate, where it is HTTPS."""

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"{'https' if self.cacert else 'http'}://{self.rest_host}:{self.rest_port}"


@dataclass(frozen=True, slots=True)
class LabStatus:
    """The whole lab."""

    name: str
    directory: str
    topology: str
    datapath: str
    management: str
    """The controller's address in the management network."""
    daemon_pid: int
    switches: tuple[SwitchStatus, ...]
    hypervisors: tuple[HypervisorStatus, ...]
    links: tuple[LinkStatus, ...]
    vms: tuple[VmStatus, ...]
    controller: ControllerStatus | None
    warnings: tuple[str, ...] = ()
    servers: tuple[ServerStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class MoveReport:
    """A move, in milliseconds after its first action (``None``: did not happen with that trigger)."""

    vm: str
    source: str
    target: str
    trigger: Trigger
    pause_ms: float
    """The pause that was asked for."""
    plugged_ms: float
    ready_ms: float | None
    activated_ms: float | None
    stopped_ms: float
    resumed_ms: float
    settled_ms: float | None
    activation_took_ms: float | None
    blackout_ms: float
    """STOP to RESUME, as it was."""
    started_ns: int
    """CLOCK_MONOTONIC at the first action."""
    kind: Kind = Kind.NAMESPACE
    moment: Moment | None = None
    """When the controller was asked to switch over, with the trigger ``rest``."""
    told: tuple[tuple[str, float], ...] = ()
    """What the two QEMUs told of a guest's migration (``source STOP``, ``target RESUME``), and when."""


@dataclass(frozen=True, slots=True)
class Failure:
    """It was not done."""

    kind: str
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a lab is to be; handed to its daemon."""

    name: str
    directory: str
    topology: str
    params: dict[str, str | int | float | None] = field(default_factory=dict)
    las: tuple[tuple[str, str], ...] = ()
    datapath: str = "auto"
    controller: bool = True
    rest_port: int = 9696
    projects: tuple[str, ...] = ("red", "blue")
    overrides: dict[str, Any] = field(default_factory=dict)
    """Further settings of the controller, as in its configuration file."""
    tls: bool = False
    """Whether OpenFlow, OVSDB and the API are encrypted, with certificates that are made for this lab."""


SOCKET: Final = "lab.sock"
"""The lab's socket in its state directory."""
INTERRUPT: Final = b"INT\n"
"""What a client of the prompt sends for its user's Ctrl-C."""

# --- the wire ---------------------------------------------------------------------------------------------------------


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def encode(value: Any) -> bytes:
    """One line of JSON: the value's class name and its fields."""
    return _adapter(dict[str, Any]).dump_json({"kind": type(value).__name__, "fields": asdict(value)}) + b"\n"


def decode(line: bytes, kinds: dict[str, type[Any]]) -> Any:
    """The value in a line of JSON, which must be one of ``kinds``.

    :raises LabError: for anything else.
    """
    try:
        found = _adapter(dict[str, Any]).validate_json(line)
        return read(kinds[found["kind"]], found["fields"])
    except (ValidationError, KeyError) as wrong:
        raise LabError(f"not understood: {line[:200]!r}: {wrong}") from wrong


def read(kind: Any, fields: Any) -> Any:
    """Build a value from its fields.

    :raises ValidationError: if they do not fit.
    """
    return _adapter(kind).validate_python(fields)

"""How does a virtual machine start, move and end?

Everything here is done as an orchestrator and a hypervisor's operator do it: REST for bindings, ``ovs-vsctl`` for the
plug, and a QEMU, or in its place the NIC process of a namespace machine.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from topologies import leases, namespace
from topologies.card import Blackout, Card
from topologies.controlplane import ControlPlane
from topologies.errors import LabError, NoSuchNode, TopologyError
from topologies.inside import inside
from topologies.network import LabNet
from topologies.nodes import GuestPlace, Hypervisor, VirtualMachine
from topologies.orders import (
    SOCKET,
    Configure,
    Kind,
    Moment,
    MoveReport,
    Trigger,
    VmAdd,
    VmExec,
    VmMove,
    VmRan,
    VmStatus,
)
from topologies.qemu import image
from topologies.qemu.machine import Machine, Numbered
from topologies.rest import Rest, RestError

_READY_SECONDS: Final = 30.0
_MIGRATE_SECONDS: Final = 0.0016
"""What QEMU takes from the order to migrate to STOP, where both sides share the memory (measured: 1.4-2.4 ms)."""
_STANDSTILL_SECONDS: Final = 5.0
"""How long a guest waits at most for the controller, before it goes on where it was."""
_BRIDGE_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.005
_AFTER_READY: Final = frozenset({"READY", "HAIRPINNING", "REPOINTING", "GRACE", "SETTLED"})
_EXEC_SECONDS: Final = 86_400
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,23}")
_LOST: Final = frozenset({"FAILED", "CANCELLED"})


@dataclass(slots=True)
class Guest:
    """A virtual machine as the lab knows it."""

    node: VirtualMachine
    card: Card | Machine
    host: str
    port_id: str
    tap: str
    mac: str
    addresses: tuple[str, ...]
    made_port: bool
    busy: threading.Lock = field(default_factory=threading.Lock)

    @property
    def kind(self) -> Kind:
        """What it is."""
        return Kind.QEMU if isinstance(self.card, Machine) else Kind.NAMESPACE


@dataclass(slots=True)
class _Course:
    """When what happened in a move: milliseconds after its first action."""

    moment: Moment | None
    started: int = field(default_factory=time.monotonic_ns)
    move: str = ""
    """The controller's id of it."""
    plugged: float = 0.0
    ready: float | None = None
    asked: float | None = None
    activated: float | None = None
    settled: float | None = None

    def now(self) -> float:
        """The present."""
        return self.of(time.monotonic_ns())

    def of(self, at: int) -> float:
        """A time of CLOCK_MONOTONIC."""
        return (at - self.started) / 1e6

    def report(self, guest: Guest, order: VmMove, source: str, blackout: Blackout) -> MoveReport:
        """What there is to tell."""
        told = guest.card.told() if isinstance(guest.card, Machine) else ()
        took = self.activated - self.asked if self.activated is not None and self.asked is not None else None
        return MoveReport(
            vm=order.name,
            source=source,
            target=order.to,
            trigger=order.trigger,
            pause_ms=order.pause_ms,
            plugged_ms=self.plugged,
            ready_ms=self.ready,
            activated_ms=self.activated,
            stopped_ms=self.of(blackout.stopped),
            resumed_ms=self.of(blackout.resumed),
            settled_ms=self.settled,
            activation_took_ms=took,
            blackout_ms=(blackout.resumed - blackout.stopped) / 1e6,
            started_ns=self.started,
            kind=guest.kind,
            moment=self.moment,
            told=tuple((what, self.of(at)) for what, at in told),
        )


@dataclass(frozen=True, slots=True)
class _Vlan:
    vid: int
    port_id: str
    mac: str
    addresses: tuple[str, ...]
    mtu: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    port_id: str
    mac: str
    addresses: tuple[str, ...]
    gateway: str | None
    mtu: int
    made_port: bool
    vlans: tuple[_Vlan, ...] = ()


class Guests:
    """The virtual machines of a lab."""

    def __init__(self, net: LabNet, control: ControlPlane | None, directory: Path) -> None:
        self._net = net
        self._control = control
        self._directory = directory
        self._structure = threading.Lock()
        self._guests: dict[str, Guest] = {}

    def named(self, name: str) -> Guest:
        """The machine of that name.

        :raises NoSuchNode: if there is none.
        """
        try:
            return self._guests[name]
        except KeyError:
            raise NoSuchNode(f"vm: there is no virtual machine {name!r}", "name") from None

    def _hypervisor(self, name: str, field_name: str) -> Hypervisor:
        node = self._net.nameToNode.get(name)
        if not isinstance(node, Hypervisor):
            known = ", ".join(each.name for each in self._net.hypervisors)
            raise NoSuchNode(f"{field_name}: {name!r} is not a hypervisor; there are {known}", field_name)
        return node

    # --- start ------------------------------------------------------------------------------------------------------

    def add(self, order: VmAdd) -> VmStatus:
        """Start a machine.

        :raises LabError: if it cannot start; then nothing of it is left.
        """
        hypervisor = self._hypervisor(order.host, "host")
        self._check(order)
        booted = image.built() if order.kind is Kind.QEMU else None
        wanted = self._wanted(order)
        tap = f"tap{wanted.port_id[:11]}"
        if any(guest.tap == tap for guest in self._guests.values()):
            raise TopologyError(f"port: {wanted.port_id} is another machine's port", "port_id")
        with self._structure:
            kind = VirtualMachine if booted is None else GuestPlace
            node = self._net.addHost(order.name, cls=kind, ip=None)
            self._net.hosts.remove(node)  # Mininet's prompt lists it once it can be used
        try:
            card = self._card(order, wanted, node, booted)
        except LabError:
            self._forget(node)
            self._delete_port(wanted)
            raise
        guest = Guest(
            node, card, order.host, wanted.port_id, tap, wanted.mac, wanted.addresses, made_port=wanted.made_port
        )
        try:
            self._number(guest, wanted, order.configure)
            card.attach(order.host, hypervisor.pid, tap)
            self._await_bridge(hypervisor)
            hypervisor.plug(tap, wanted.port_id, wanted.mac)
            if self._control is not None and order.wait:
                self._await_active(guest, wanted.vlans)
            self._boot(guest, order.configure)
        except LabError:
            self._end(guest)
            raise
        self._guests[order.name] = guest
        self._net.hosts.append(node)
        return self.status(guest)

    def _check(self, order: VmAdd) -> None:
        if order.name in self._net.nameToNode:
            raise TopologyError(f"name: there is a {order.name!r} already", "name")
        if not _NAME.fullmatch(order.name):
            raise TopologyError(f"name: {order.name!r} is not a letter and at most 23 letters, digits, - and _", "name")
        if order.kind is Kind.QEMU and order.vlans:
            raise TopologyError("vlans: a QEMU guest has none: its one card is that of its own port", "vlans")

    def _number(self, guest: Guest, wanted: _Wanted, configure: Configure) -> None:
        """Configure the cards of a machine; a guest does that for itself, and Mininet is told."""
        static = configure is Configure.STATIC
        guest.node.number(list(wanted.addresses) if static else [], wanted.gateway if static else None)
        if isinstance(guest.card, Card):
            for vlan in wanted.vlans:
                guest.card.add_vlan(vlan.vid, vlan.mac, vlan.mtu)
                guest.node.number_vlan(vlan.vid, list(vlan.addresses))

    def _boot(self, guest: Guest, configure: Configure) -> None:
        """Wait for a guest to be up, and for its lease."""
        if isinstance(guest.card, Machine):
            guest.card.await_boot()
            if isinstance(guest.node, GuestPlace):
                guest.node.way = inside(self._directory / SOCKET, str(guest.node.name))
            if configure is Configure.DHCP:
                guest.card.ask()
        elif configure is Configure.DHCP:
            guest.node.ask(self._dhcp_script())

    def _card(self, order: VmAdd, wanted: _Wanted, node: VirtualMachine, booted: image.Image | None) -> Card | Machine:
        if booted is None:
            return Card(order.name, node.pid, wanted.mac, wanted.mtu, self._directory)
        own = order.configure is not Configure.STATIC
        numbered = Numbered(wanted.mac, wanted.mtu, () if own else wanted.addresses, None if own else wanted.gateway)
        return Machine(order.name, node.pid, booted, numbered, self._directory)

    def _dhcp_script(self) -> Path:
        """What udhcpc calls: it changes nothing but eth0, since machines share the file system with everybody else."""
        script = self._directory / "udhcpc.sh"
        script.write_text(leases.SCRIPT, encoding="utf-8")
        script.chmod(0o755)
        return script

    def _wanted(self, order: VmAdd) -> _Wanted:
        if self._control is None:
            if order.vlans:
                raise TopologyError("vlans: there are none without a controller", "vlans")
            if not (order.mac and order.port_id):
                raise TopologyError(
                    "mac, port_id: without a controller the machine's MAC and port must be given", "mac"
                )
            return _Wanted(order.port_id, order.mac, order.addresses, None, order.mtu, made_port=False)
        with self._control.rest() as rest:
            port_id, made = order.port_id, False
            if not port_id:
                if not order.network:
                    raise TopologyError("port, network: one of them must be given", "port_id")
                network_id = rest.network_id(order.network, order.project)
                port_id, made = rest.create_port(network_id, order.project, order.name, order.host), True
            port = rest.port(port_id)
            if port.host != order.host:
                rest.bind(port.id, order.host)
            vlans = tuple(
                _Vlan(vid, each.id, each.mac, each.addresses, each.mtu)
                for vid, each in ((vid, rest.port(port_id)) for vid, port_id in order.vlans)
            )
        return _Wanted(port.id, port.mac, port.addresses, port.gateway, port.mtu, made_port=made, vlans=vlans)

    def _await_bridge(self, hypervisor: Hypervisor) -> None:
        deadline = time.monotonic() + _BRIDGE_SECONDS
        while "br-int" not in hypervisor.vsctl("--no-wait", "list-br").split():
            if time.monotonic() > deadline:
                raise LabError(f"{hypervisor.name} has no br-int; is there a controller?")
            time.sleep(10 * _POLL_SECONDS)

    def _await_active(self, guest: Guest, vlans: tuple[_Vlan, ...]) -> None:
        with self._rest() as rest:
            for port_id in (guest.port_id, *(vlan.port_id for vlan in vlans)):
                _poll(
                    lambda port_id=port_id: rest.port_state(port_id)[0] == "ACTIVE",  # type: ignore[misc]
                    f"port {port_id} of {guest.node.name} does not turn ACTIVE",
                )

    def _rest(self) -> Rest:
        if self._control is None:
            raise LabError("the lab was started without a controller")
        return self._control.rest()

    # --- end --------------------------------------------------------------------------------------------------------

    def delete(self, name: str) -> None:
        """End a machine, and delete its port if the lab made it.

        :raises NoSuchNode: if there is no such machine.
        """
        guest = self.named(name)
        with guest.busy:
            del self._guests[name]
            self._end(guest)

    def _end(self, guest: Guest) -> None:
        with suppress(LabError):
            hypervisor = self._hypervisor(guest.host, "host")
            hypervisor.unplug(guest.tap)
            hypervisor.settle()
        guest.card.close()
        self._forget(guest.node)
        self._delete_port(_Wanted(guest.port_id, "", (), None, 0, guest.made_port))

    def _delete_port(self, wanted: _Wanted) -> None:
        if wanted.made_port and self._control is not None:
            with suppress(RestError), self._control.rest() as rest:
                rest.delete_port(wanted.port_id)

    def _forget(self, node: VirtualMachine) -> None:
        with self._structure:
            namespace.end_all(node.pid)
            node.terminate()
            if node in self._net.hosts:
                self._net.hosts.remove(node)
            self._net.nameToNode.pop(node.name, None)

    # --- move -------------------------------------------------------------------------------------------------------

    def move(self, order: VmMove) -> MoveReport:
        """Move a machine to another hypervisor.

        :raises LabError: if it cannot move; then it is where it was.
        """
        guest = self.named(order.name)
        target = self._hypervisor(order.to, "to")
        if not 0 <= order.pause_ms <= 60_000:  # noqa: PLR2004
            raise TopologyError(f"pause_ms: {order.pause_ms} is not between 0 and 60000", "pause_ms")
        if not 0 <= order.copying_ms <= 60_000:  # noqa: PLR2004
            raise TopologyError(f"copying_ms: {order.copying_ms} is not between 0 and 60000", "copying_ms")
        with guest.busy:
            if guest.host == order.to:
                raise TopologyError(f"to: {order.name} is at {order.to} already", "to")
            return self._move(guest, target, order)

    def _move(self, guest: Guest, target: Hypervisor, order: VmMove) -> MoveReport:
        source, card = self._hypervisor(guest.host, "host"), guest.card
        moment = _moment(order)
        if order.trigger.bound and self._control is None:
            raise TopologyError(f"trigger: {order.trigger} needs a controller", "trigger")
        rest = self._patient(card)
        course = _Course(moment)

        def activate() -> None:
            if rest is not None:
                course.asked = course.now()
                rest.activate(guest.port_id, target.name)
                course.activated = course.now()

        try:
            self._prepare(guest, source, target, order, rest, course)
            blackout = _carry(card, order, moment, activate)
        except LabError:
            self._undo(guest, source, target, order.trigger, asked=course.asked is not None)
            raise
        guest.host = target.name
        if order.trigger in {Trigger.RARP, Trigger.BOUND}:
            self._await_end(rest, guest, course.move)
        source.unplug(guest.tap)
        source.settle()
        card.detach(source.name)
        self._await_end(rest, guest, course.move)
        course.settled = None if rest is None else course.now()
        return course.report(guest, order, source.name, blackout)

    def _patient(self, card: Card | Machine) -> Rest | None:
        """A connection to the controller for a move; a guest that stands still does not wait for ever."""
        if self._control is None:
            return None
        return self._control.rest(_STANDSTILL_SECONDS) if isinstance(card, Machine) else self._control.rest()

    def _prepare(  # noqa: PLR0917
        self,
        guest: Guest,
        source: Hypervisor,
        target: Hypervisor,
        order: VmMove,
        rest: Rest | None,
        course: _Course,
    ) -> None:
        """Plug the machine at the target as well, and wait until the controller says that it may move."""
        # The tap first: ovs-vswitchd had better be quiet when a link appears (see nic.open_tap).
        guest.card.attach(target.name, target.pid, guest.tap)
        if order.trigger.bound and rest is not None:
            rest.bind_passive(guest.port_id, target.name)
        if order.trigger is Trigger.REPLUG:
            time.sleep(order.copying_ms / 1e3)
            source.unplug(guest.tap)
        target.plug(guest.tap, guest.port_id, guest.mac)
        course.plugged = course.now()
        if rest is not None and order.trigger is not Trigger.REPLUG:
            course.move = self._await_move(rest, guest, target.name)
            self._await_phase(rest, guest, course.move, _AFTER_READY)
            course.ready = course.now()
            time.sleep(order.copying_ms / 1e3)

    def _undo(self, guest: Guest, source: Hypervisor, target: Hypervisor, trigger: Trigger, *, asked: bool) -> None:
        """Leave the machine where it was; ``asked`` says that the controller may have switched over already."""
        if isinstance(guest.card, Card):
            with suppress(LabError):
                guest.card.move(source.name, 0, announce=False)  # it may have got to the target already
        if trigger is Trigger.REPLUG:
            with suppress(LabError):
                source.plug(guest.tap, guest.port_id, guest.mac)
        with suppress(LabError):
            target.unplug(guest.tap)
        with suppress(LabError):
            guest.card.detach(target.name)
        if trigger.bound:
            with suppress(RestError), self._rest() as rest:
                try:
                    rest.unbind(guest.port_id, target.name)
                except RestError:
                    if asked:
                        rest.bind(guest.port_id, source.name)

    def _await_move(self, rest: Rest, guest: Guest, target: str) -> str:
        """Wait for the controller to begin a move; returns its id."""
        begun: list[str] = []

        def appeared() -> bool:
            begun.extend(each.id for each in rest.moves_under_way(guest.port_id) if each.target == target)
            return bool(begun)

        _poll(appeared, f"no move of {guest.node.name} to {target} begins")
        return begun[-1]

    def _await_phase(self, rest: Rest, guest: Guest, move: str, phases: frozenset[str]) -> None:
        """Wait for a phase of one move; asking for one costs the same however many there were before."""

        def reached() -> bool:
            phase = rest.move(move).phase
            if phase in _LOST:
                raise LabError(f"the move of {guest.node.name} ({move}) is {phase}")
            return phase in phases

        _poll(reached, f"the move of {guest.node.name} ({move}) does not become {' or '.join(sorted(phases))}")

    def _await_end(self, rest: Rest | None, guest: Guest, move: str) -> None:
        """Wait until a move has settled, or, if nobody knows its id, until the port is where the machine is."""
        if rest is not None and move:
            self._await_phase(rest, guest, move, frozenset({"SETTLED"}))
        elif rest is not None:
            here = ("ACTIVE", guest.host)
            _poll(lambda: rest.port_state(guest.port_id) == here, f"{guest.node.name} does not get to {guest.host}")

    # --- inside -----------------------------------------------------------------------------------------------------

    def execute(self, order: VmExec) -> VmRan:
        """Run a command in a QEMU guest.

        :raises NoSuchNode: if there is no such guest. :raises LabError: if it does not answer.
        """
        card = self.named(order.name).card
        if not isinstance(card, Machine):
            raise NoSuchNode(
                f"vm: {order.name!r} is not a QEMU guest; its commands are started in its namespace", "name"
            )
        if not 0 < order.seconds <= _EXEC_SECONDS:
            raise TopologyError(f"seconds: {order.seconds:g} is not between 0 and {_EXEC_SECONDS}", "seconds")
        ran = card.run(order.words, order.seconds)
        return VmRan(ran.returncode, ran.stdout, ran.stderr)

    # --- look -------------------------------------------------------------------------------------------------------

    def all(self) -> tuple[VmStatus, ...]:
        """All machines."""
        return tuple(self.status(guest) for guest in list(self._guests.values()))

    def status(self, guest: Guest) -> VmStatus:
        """One machine."""
        counters: dict[str, int] = {}
        # A card that is stopped for a move answers only after it; the counters are not worth waiting for.
        with suppress(LabError):
            counters = guest.card.counters()
        return VmStatus(
            name=str(guest.node.name),
            host=guest.host,
            port_id=guest.port_id,
            tap=guest.tap,
            mac=guest.mac,
            addresses=guest.addresses,
            pid=guest.card.pid if isinstance(guest.card, Machine) else int(guest.node.pid),
            from_guest=counters.get("from_guest", 0),
            to_guest=counters.get("to_guest", 0) + counters.get("drained", 0),
            dropped=counters.get("dropped", 0),
            kind=guest.kind,
        )


def _carry(card: Card | Machine, order: VmMove, moment: Moment | None, activate: Callable[[], None]) -> Blackout:
    """Take the machine over to the target, where everything is ready, and let the controller know when it wants to."""
    # What is announced is activated by that.
    announce = order.trigger is not Trigger.APPEAR and moment is not Moment.RESUMED
    if isinstance(card, Machine):
        card.prepare(order.to, announce=announce)
    if moment is Moment.READY:
        activate()
        if not isinstance(card, Machine):
            time.sleep(_MIGRATE_SECONDS)
    at_stop = activate if moment is Moment.STOPPED else None
    if isinstance(card, Machine):
        blackout = card.move(order.to, order.pause_ms, at_stop=at_stop)
    else:
        blackout = card.move(order.to, order.pause_ms, announce=announce, at_stop=at_stop)
    if moment is Moment.RESUMED:
        # A guest cannot be called back; if the controller does not hear, the port's end at the source tells it.
        with suppress(LabError) if isinstance(card, Machine) else nullcontext():
            activate()
    return blackout


def _moment(order: VmMove) -> Moment | None:
    """When the lab asks the controller to switch over; ``None``: never.

    :raises TopologyError: if it is asked to do so when it cannot.
    """
    if order.trigger is Trigger.REST:
        return order.moment or Moment.READY
    if order.moment is not None:
        raise TopologyError(f"moment: with the trigger {order.trigger} nobody is asked to switch over", "moment")
    return None


def _poll(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{complaint} within {_READY_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)

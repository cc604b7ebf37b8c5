"""Whatever fails in whichever phase of a move between real switches, frames arrive at one place.

Five ports move at once, so that each phase of a move is held by one of them when the failure comes: a stopped source
holds ``hairpinning``, a stopped third host ``repointing``.  How each is to end is said in ``docs/failures.py``.  A
machine is only a pair of taps here, at both of which somebody listens all the time.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import struct
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs.failures import RULES, Cell, Failure, Place
from overlay.moves import LIVE, PHASES, SWITCHING, Phase
from tests.e2e.scene import BUFFER, ETH_P_ALL, PACKET_OUTGOING, SO_RCVBUFFORCE, Net, Scene, ipv4, mac_number, wait
from topologies import namespace
from topologies.orders import VmStatus
from topologies.rest import RestError

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]

TOPOLOGY, PARAMS = "leafspine", {"spines": 1, "leaves": 4}
SETTINGS = {"overlay": {"grace_seconds": 1.5, "move_timeout": 60.0, "host_lost_after": 4.0}}
PEER, SOURCE, TARGET, OTHER = "h1", "h2", "h3", "h4"
HOSTS = {Place.SOURCE: SOURCE, Place.TARGET: TARGET}
CELLS = {(cell.failure, cell.phase): cell for cell in RULES}
DEADLY = {
    Failure.TARGET_HOST: TARGET,
    Failure.TARGET_TAP: TARGET,
    Failure.SOURCE_HOST: SOURCE,
    Failure.SOURCE_TAP: SOURCE,
    Failure.OTHER_HOST: OTHER,
}
DEAD_SWITCHES = {Failure.TARGET_HOST, Failure.SOURCE_HOST, Failure.OTHER_HOST}
SAID = {
    Failure.CANCELLED: (Failure.CANCELLED,),
    Failure.NOWHERE: (Failure.THIRD, Failure.AGAIN, Failure.NOWHERE),
    Failure.DELETED: (Failure.DELETED,),
}
"""What is asked, and what else is asked in the same breath."""
SEEN = [failure for failure in Failure if failure.name not in {"ACTIVATED", "THIRD", "AGAIN", "NEVER"}]
"""What other tests do to real switches, what is asked beside another question, and what only time does is left out."""
STORE_SECONDS = 10.0
MARK = b"vl2-failing"


@dataclass(frozen=True)
class Mover:
    """A port that moves, and its taps."""

    id: str
    mac: str
    ip: str

    @property
    def tap(self) -> str:
        """Its name at every host."""
        return f"tap{self.id[:11]}"

    @property
    def card(self) -> str:
        """What a machine would hold of it."""
        return f"mac{self.id[:11]}"


@dataclass(frozen=True)
class Found:
    """What became of the frames that were sent: per port and number the places where it arrived."""

    sent: dict[str, int]
    places: dict[tuple[str, int], tuple[str, ...]]

    @property
    def doubled(self) -> dict[tuple[str, int], tuple[str, ...]]:
        """Those that arrived more than once."""
        return {frame: where for frame, where in self.places.items() if len(where) > 1}

    def lost(self, mover: Mover) -> int:
        """How many for a port arrived nowhere."""
        return self.sent[mover.id] - sum(port_id == mover.id for port_id, _ in self.places)

    def where(self, mover: Mover) -> Counter[str]:
        """How many for a port arrived where."""
        return Counter(each for (port_id, _), where in self.places.items() if port_id == mover.id for each in where)


class Stage:
    """The lab, its daemons and how a port is plugged."""

    def __init__(self, scene: Scene, net: Net, peer: VmStatus) -> None:
        self.scene = scene
        self.net = net
        self.peer = peer
        self.hypervisors = {each.name: each for each in scene.lab.status().hypervisors}
        self.stopped: set[str] = set()

    # --- ports ---

    def lay(self, host: str, *movers: Mover) -> None:
        """Make taps with a machine's end."""
        for mover in movers:
            self._ip(host, "link", "add", mover.tap, "type", "veth", "peer", "name", mover.card)
            for each in (mover.tap, mover.card):
                self._ip(host, "link", "set", each, "up")

    def plug(self, host: str, *movers: Mover) -> None:
        """Plug taps as libvirt does."""
        words: list[str] = []
        for mover in movers:
            words += f"-- add-port br-int {mover.tap} -- set Interface {mover.tap}".split()
            words += [f"external_ids:iface-id={mover.id}", f'external_ids:attached-mac="{mover.mac}"']
        self._vsctl(host, *words[1:])

    def unplug(self, host: str, *movers: Mover) -> None:
        """Take taps away, as an orchestrator does."""
        self._vsctl(host, *(" -- ".join(f"--if-exists del-port br-int {mover.tap}" for mover in movers).split()))
        for mover in movers:
            self.scene.lab.run(host, ["ip", "link", "del", mover.tap])

    def _ip(self, host: str, *words: str) -> None:
        done = self.scene.lab.run(host, ["ip", *words])
        assert done.returncode == 0, done.stderr

    def _vsctl(self, host: str, *words: str) -> None:
        done = self.scene.lab.run(host, ["ovs-vsctl", "--no-wait", "--timeout=10", *words])
        assert done.returncode == 0, done.stderr

    def phase(self, mover: Mover) -> Phase:
        """The phase of a port's latest move."""
        return Phase(self.scene.ask("GET", f"/v1/moves?port_id={mover.id}")["moves"][-1]["phase"])

    def reach(self, mover: Mover, *phases: Phase) -> None:
        """Wait for a phase."""
        wait(lambda: self.phase(mover) in phases, f"a move is {phases}", 40)

    def bind(self, mover: Mover) -> None:
        """Prepare the target."""
        self.scene.ask("POST", f"/v2.0/ports/{mover.id}/bindings", {"binding": {"host": TARGET}})

    def activate(self, mover: Mover) -> None:
        """Switch over, and do not wait for it."""

        def ask() -> None:
            with suppress(RestError, OSError):
                self.scene.ask("PUT", f"/v2.0/ports/{mover.id}/bindings/{TARGET}/activate")

        threading.Thread(target=ask, daemon=True).start()

    # --- daemons ---

    def pid(self, host: str) -> int:
        """Of the switch of a host."""
        return int((Path(self.hypervisors[host].directory) / "ovs-vswitchd.pid").read_text())

    def stop(self, host: str) -> None:
        """Hold a switch."""
        os.kill(self.pid(host), signal.SIGSTOP)
        self.stopped.add(host)

    def go_on(self) -> None:
        """Let all that are held go on."""
        for host in self.stopped:
            os.kill(self.pid(host), signal.SIGCONT)
        self.stopped.clear()

    def kill(self, host: str) -> None:
        """Kill a switch, held or not."""
        self.stopped.discard(host)
        self.scene.lab.kill_vswitchd(host)

    # --- frames ---

    @contextmanager
    def probing(self, movers: dict[Phase, Mover]) -> Iterator[list[Found]]:
        """Send a thousand frames a second to the ports in turn, and listen at all taps; the list has what was found."""
        found: list[Found] = []
        with ExitStack() as stack:
            ears = []
            for host in (SOURCE, TARGET):
                for mover in movers.values():
                    ear = self._socket(stack, self.hypervisors[host].pid)
                    with suppress(OSError):  # its tap has gone
                        ear.bind((mover.card, ETH_P_ALL))
                        ears.append((host, ear))
            mouth = self._socket(stack, self.peer.pid, 0)
            mouth.bind(("eth0", 0))
            sent: Counter[str] = Counter()
            enough = threading.Event()

            def send() -> None:
                due, order = time.monotonic(), 0
                every = list(movers.values())
                while not enough.wait(max(0.0, due - time.monotonic())):
                    mover = every[order % len(every)]
                    order += 1
                    due += 0.001
                    payload = MARK + mover.id.encode() + struct.pack("!I", sent[mover.id])
                    mouth.send(ipv4(self.peer, mac_number(mover.mac), mover.ip, payload))
                    sent[mover.id] += 1

            sender = threading.Thread(target=send)
            sender.start()
            try:
                yield found
            finally:
                enough.set()
                sender.join()
            places: dict[tuple[str, int], tuple[str, ...]] = {}
            quiet = time.monotonic() + 0.3
            while time.monotonic() < quiet:
                for host, ear in ears:
                    for frame in heard(ear):
                        places[frame] = (*places.get(frame, ()), host)
                        quiet = time.monotonic() + 0.3
            found.append(Found(dict(sent), places))

    @staticmethod
    def _socket(stack: ExitStack, pid: int, protocol: int = ETH_P_ALL) -> socket.socket:
        with namespace.inside(pid):
            made = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol)))
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        made.setblocking(False)
        return made


def heard(ear: socket.socket) -> Iterator[tuple[str, int]]:
    """The frames of ours that a card got: port and number."""
    while True:
        try:
            frame, (_, _, kind, _, _) = ear.recvfrom(4096)
        except BlockingIOError:
            return
        except OSError:  # said once when the card goes; what it got before is still there
            continue
        at = frame.find(MARK)
        if kind != PACKET_OUTGOING and at >= 0:
            at += len(MARK)
            yield frame[at : at + 36].decode(), struct.unpack("!I", frame[at + 36 : at + 40])[0]


@pytest.fixture(scope="module")
def stage(scene: Scene) -> Stage:
    """A network with a machine on a host that stays whole, and a port on a host that has no part in the moves."""
    net = scene.network("red")
    peer = scene.vm("peer", PEER, net)
    stage = Stage(scene, net, peer)
    bystander = made(stage, OTHER)
    stage.lay(OTHER, bystander)
    stage.plug(OTHER, bystander)
    return stage


def made(stage: Stage, host: str) -> Mover:
    """A port on a host."""
    port = stage.scene.port(stage.net, host)
    return Mover(port["id"], port["mac_address"], port["fixed_ips"][0]["ip_address"])


@pytest.fixture
def movers(stage: Stage) -> Iterator[dict[Phase, Mover]]:
    """One port for each phase, plugged at the source; afterwards nothing of them is left, and everybody lives."""
    movers = {phase: made(stage, SOURCE) for phase in PHASES}
    for host in (SOURCE, TARGET):
        stage.lay(host, *movers.values())
    stage.plug(SOURCE, *movers.values())
    wait(lambda: all(active(stage, mover) for mover in movers.values()), "all ports are ACTIVE")
    yield movers
    stage.go_on()
    for mover in movers.values():
        with suppress(RestError):
            stage.scene.ask("DELETE", f"/v2.0/ports/{mover.id}")
    for host in (SOURCE, TARGET):
        stage.unplug(host, *movers.values())


def active(stage: Stage, mover: Mover) -> bool:
    """Whether a port is everywhere where it is needed."""
    return bool(stage.scene.ask("GET", f"/v2.0/ports/{mover.id}")["port"]["status"] == "ACTIVE")


def hold(stage: Stage, movers: dict[Phase, Mover]) -> None:
    """Bring each port's move into its phase, and keep it there as long as the switches are stopped."""
    for mover in movers.values():
        stage.bind(mover)
    plugged = [mover for phase, mover in movers.items() if phase is not Phase.PREPARING]
    stage.plug(TARGET, *plugged)
    for mover in plugged:
        stage.reach(mover, Phase.READY)
    for phase, holder in (
        (Phase.GRACE, OTHER),
        (Phase.REPOINTING, SOURCE),
        (Phase.HAIRPINNING, ""),
    ):
        stage.activate(movers[phase])
        stage.reach(movers[phase], phase)
        if holder:
            stage.stop(holder)
    assert {stage.phase(mover): mover for mover in movers.values()} == movers


def refused(stage: Stage, method: str, path: str, body: dict[str, object] | None = None) -> str:
    """Ask for something.  :returns: the kind of the refusal, if it is refused."""
    try:
        stage.scene.ask(method, path, body)
    except RestError as error:
        return error.kind
    return ""


def ask(stage: Stage, cell: Cell, mover: Mover) -> str:
    """Ask what the cell is about.  :returns: the kind of the refusal."""
    bindings = f"/v2.0/ports/{mover.id}/bindings"
    match cell.failure:
        case Failure.CANCELLED:
            return refused(stage, "DELETE", f"{bindings}/{TARGET}")
        case Failure.THIRD:
            return refused(stage, "POST", bindings, {"binding": {"host": OTHER}})
        case Failure.AGAIN:
            return refused(stage, "POST", bindings, {"binding": {"host": TARGET}})
        case Failure.NOWHERE:
            here = TARGET if cell.phase in SWITCHING else SOURCE
            assert not refused(stage, "PUT", f"/v2.0/ports/{mover.id}", {"port": {"binding:host_id": here}})
            return refused(stage, "POST", bindings, {"binding": {"host": here}})
        case _:
            return refused(stage, "DELETE", f"/v2.0/ports/{mover.id}")


def out_of_store(stage: Stage, movers: dict[Phase, Mover]) -> None:
    """Somebody else writes into the store for ten seconds."""
    config = tomllib.loads(Path(stage.scene.lab.status().controller.config).read_text())
    writer = sqlite3.connect(Path(config["state_dir"]) / "vl2.sqlite", isolation_level=None)
    try:
        writer.execute("BEGIN EXCLUSIVE")
        until = time.monotonic() + STORE_SECONDS
        stage.go_on()
        with pytest.raises(RestError) as error:
            stage.scene.ask("PUT", f"/v2.0/ports/{movers[Phase.READY].id}/bindings/{TARGET}/activate")
        assert error.value.status == 503
        health = stage.scene.health()
        assert "the store fails: changes wait for it, see the log" in health["problems"]
        wait(lambda: time.monotonic() > until, "the time of the outage is over", 2 * STORE_SECONDS)
    finally:
        writer.close()
    wait(lambda: not stage.scene.health()["problems"], "the store works again")


def end(stage: Stage, movers: dict[Phase, Mover], failure: Failure) -> None:
    """Go on to the end as an orchestrator does."""
    for phase in (Phase.PREPARING, Phase.READY):
        mover = movers[phase]
        if stage.phase(mover) in LIVE - SWITCHING:
            if CELLS[failure, phase].end is Phase.FAILED:
                # It would wait for its target as long as it may; the model's test sees that to the end.
                stage.reach(mover, Phase.PREPARING)
                assert not refused(stage, "DELETE", f"/v2.0/ports/{mover.id}/bindings/{TARGET}")
                continue
            if phase is Phase.PREPARING:
                stage.plug(TARGET, mover)
            if failure is not Failure.SOURCE_TAP:
                stage.reach(mover, Phase.READY)
                stage.activate(mover)
    for mover in movers.values():
        wait(lambda mover=mover: stage.phase(mover) not in LIVE, "all moves have ended", 40)


def judge(stage: Stage, movers: dict[Phase, Mover], failure: Failure) -> None:
    """Each move has ended as the table says, each port is at one place, and a new controller has nothing to change."""
    for phase, mover in movers.items():
        cell, found = CELLS[failure, phase], stage.phase(mover)
        assert found in {cell.end, *([Phase.CANCELLED] if cell.end is Phase.FAILED and phase not in SWITCHING else [])}
        if cell.at is not Place.NOBODY:
            shown = stage.scene.ask("GET", f"/v2.0/ports/{mover.id}")["port"]
            assert shown["binding:host_id"] == HOSTS[cell.at], cell.name
    with stage.probing(movers) as found_later:
        time.sleep(0.2)
    (later,) = found_later
    for phase, mover in movers.items():
        at = CELLS[failure, phase].at
        everything = Counter() if at is Place.NOBODY else Counter({HOSTS[at]: later.sent[mover.id]})
        assert later.where(mover) == everything, phase
    if failure in {Failure.NOWHERE, Failure.CANCELLED}:
        return  # no switch has missed anything
    stage.scene.lab.kill_controller(hard=True)
    stage.scene.lab.start_controller()
    wait(stage.scene.all_connected, "all switches are connected again", 40)
    assert {dpid: mods for dpid, mods in stage.scene.sent().items() if mods != (0, 0)} == {}


def fail(stage: Stage, movers: dict[Phase, Mover], failure: Failure) -> None:
    """Let happen what happens while the moves are held, and then let them go on."""
    if failure in SAID:
        for each in SAID[failure]:
            for phase, mover in movers.items():
                cell = CELLS[each, phase]
                assert ask(stage, cell, mover) == cell.answer, cell.name
    elif failure in DEAD_SWITCHES:
        stage.kill(DEADLY[failure])
    elif failure is Failure.CONTROLLER:
        stage.scene.lab.kill_controller(hard=True)
    if failure is not Failure.STORE:
        stage.go_on()


def fail_later(stage: Stage, movers: dict[Phase, Mover], failure: Failure) -> None:
    """Let happen what happens when they go on."""
    if failure in {Failure.TARGET_TAP, Failure.SOURCE_TAP}:
        stage.unplug(DEADLY[failure], *movers.values())
    elif failure is Failure.CONTROLLER:
        stage.scene.lab.start_controller()
    elif failure is Failure.STORE:
        out_of_store(stage, movers)


@pytest.mark.parametrize("failure", SEEN, ids=lambda failure: failure.name.lower())
def test_real_switches_agree(stage: Stage, movers: dict[Phase, Mover], failure: Failure) -> None:
    """A failure in each phase ends as the table says: no frame twice, none lost where nothing died, one place."""
    hold(stage, movers)
    fail(stage, movers, failure)
    with stage.probing(movers) as meanwhile:
        fail_later(stage, movers, failure)
        end(stage, movers, failure)
    (found,) = meanwhile
    assert found.doubled == {}
    if failure not in DEADLY and failure is not Failure.DELETED:
        assert {phase: found.lost(mover) for phase, mover in movers.items() if found.lost(mover)} == {}
    if failure in DEAD_SWITCHES:
        stage.scene.lab.restart_vswitchd(DEADLY[failure])
        wait(stage.scene.all_connected, "the switch is there again", 40)
    judge(stage, movers, failure)

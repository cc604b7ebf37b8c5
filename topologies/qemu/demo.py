"""What does one see when a real guest moves?

``vl2 demo --qemu``: two guests of a tenant and a machine outside, a download, an echoed stream and many small
connections; meanwhile one of the guests moves to another rack and back.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from topologies.client import LabClient
from topologies.errors import TopologyError
from topologies.orders import HypervisorStatus, LabStatus, MoveReport
from topologies.transfers import downloading, echoing, fetching

TENANT: Final = "red"
CIDR: Final = "192.168.0.0/24"
MOVER: Final = "guest1"
SIBLING: Final = "guest2"
OUTSIDER: Final = "outsider"
_BYTES: Final = 16 << 20
_BOOT_ID: Final = ("cat", "/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Move:
    """One of the moves: milliseconds after its first action."""

    source: str
    target: str
    ready_ms: float | None
    activated_ms: float | None
    stopped_ms: float
    resumed_ms: float
    settled_ms: float | None
    stop_to_resume_ms: float
    told: tuple[tuple[str, float], ...]
    """What the two QEMUs told, and when."""


@dataclass(frozen=True, slots=True)
class QemuResult:
    """What was seen; the keys of the JSON object."""

    topology: str
    switches: int
    hypervisors: int
    datapath: str
    kernel: str
    """The guests'."""
    moved: str
    moves: tuple[Move, ...]
    same_boot: bool
    """The guest at the end is the one that was started, not one that was started anew."""
    download_bytes: int
    download_intact: bool
    echo_bytes: int
    echo_intact: bool
    echo_longest_stall_ms: float
    files_fetched: int
    """By the other guest from the one that moves, each by a connection of its own."""
    files_intact: bool
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether everything has survived."""
        return self.same_boot and self.download_intact and self.echo_intact and self.files_intact


def perform(lab: LabClient, status: LabStatus, say: Callable[[str], None], seconds: Callable[[], float]) -> QemuResult:
    """Play the demo in a lab that is up.

    :param say: where progress is told. :param seconds: since the beginning.
    """
    home, away, other, third = _places(status.hypervisors)
    with lab.rest() as rest:
        made = rest.ask("POST", "/v2.0/networks", {"network": {"name": "net", "project_id": TENANT}})
        network = str(made["network"]["id"])
        subnet = {"network_id": network, "project_id": TENANT, "cidr": CIDR, "ip_version": 4}
        rest.ask("POST", "/v2.0/subnets", {"subnet": subnet})
    with ThreadPoolExecutor(3) as pool:
        wanted = [(MOVER, home, True), (SIBLING, other, True), (OUTSIDER, third, False)]
        started = [pool.submit(lab.vm_add, name, host, network=network, qemu=real) for name, host, real in wanted]
        for each in started:
            each.result()
    kernel = lab.run(MOVER, ["uname", "-r"]).stdout.strip()
    born = lab.run(MOVER, _BOOT_ID).stdout
    say(f"{MOVER} at {home} and {SIBLING} at {other} have booted Linux {kernel}; {OUTSIDER} is at {third}")
    say(f"{MOVER} downloads {_BYTES >> 20} MB from {OUTSIDER}, echoes its stream, and serves files to {SIBLING} …")
    moves = []
    with ExitStack() as traffic:
        download = traffic.enter_context(downloading(lab, MOVER, OUTSIDER, size=_BYTES))
        echo = traffic.enter_context(echoing(lab, MOVER, OUTSIDER))
        fetch = traffic.enter_context(fetching(lab, SIBLING, MOVER))
        for target in (away, home):
            report = lab.vm_move(MOVER, target)
            say(f"{MOVER} has moved from {report.source} to {target}: STOP to RESUME {report.blackout_ms:.1f} ms")
            moves.append(_move(report))
    downloaded, echoed, fetched = download.result(), echo.result(), fetch.result()
    return QemuResult(
        topology=status.topology,
        switches=len(status.switches),
        hypervisors=len(status.hypervisors),
        datapath=status.datapath,
        kernel=kernel,
        moved=MOVER,
        moves=tuple(moves),
        same_boot=bool(born) and lab.run(MOVER, _BOOT_ID).stdout == born,
        download_bytes=downloaded.bytes,
        download_intact=downloaded.intact,
        echo_bytes=echoed.bytes,
        echo_intact=echoed.intact,
        echo_longest_stall_ms=round(echoed.longest_stall_ms, 3),
        files_fetched=fetched.files,
        files_intact=fetched.intact,
        seconds=round(seconds(), 1),
    )


def _places(hosts: tuple[HypervisorStatus, ...]) -> tuple[str, str, str, str]:
    """Where the guest that moves is at first, where it moves to, in another rack, and where the others are.

    :raises TopologyError: if all hypervisors are in one rack.
    """
    home = hosts[0]
    away = next((each for each in reversed(hosts) if each.edge != home.edge), None)
    if away is None:
        raise TopologyError("topology: the demo needs hypervisors on two edge switches at least", "topology")
    others = [each.name for each in hosts if each not in {home, away}] or [away.name]
    return home.name, away.name, others[0], others[-1]


def _move(report: MoveReport) -> Move:
    return Move(
        source=report.source,
        target=report.target,
        ready_ms=report.ready_ms,
        activated_ms=report.activated_ms,
        stopped_ms=report.stopped_ms,
        resumed_ms=report.resumed_ms,
        settled_ms=report.settled_ms,
        stop_to_resume_ms=report.blackout_ms,
        told=report.told,
    )


def told(result: QemuResult) -> str:
    """The result for people."""

    def word(intact: bool) -> str:
        return "every byte intact" if intact else "BROKEN"

    lines = [
        (
            f"VL2 demo: {result.topology}, {result.switches} switches, {result.hypervisors} hypervisors,"
            f" {result.datapath} datapath, QEMU guests with Linux {result.kernel}"
        ),
        "",
    ]
    for move in result.moves:
        lines += [
            f"  {result.moved} moved                  {move.source} → {move.target}, {_standstill(move)}",
            "    " + ", ".join(f"{what} {at:.0f}" for what, at in _phases(move)) + " ms",
        ]
    lines += [
        f"  download                      {result.download_bytes / 1e6:.1f} MB, {word(result.download_intact)}",
        (
            f"  echoed TCP stream             {result.echo_bytes / 1e6:.1f} MB, {word(result.echo_intact)},"
            f" longest stall {result.echo_longest_stall_ms:g} ms"
        ),
        f"  new connections               {result.files_fetched} files fetched, {word(result.files_intact)}",
        f"  the guest                     {'never booted again' if result.same_boot else 'was LOST'}",
        "",
        f"  {'all survived' if result.ok else 'NOT all survived'}, {result.seconds:g} s",
    ]
    return "\n".join(lines)


def _standstill(move: Move) -> str:
    return f"STOP to RESUME {move.stop_to_resume_ms:.1f} ms"


def _phases(move: Move) -> list[tuple[str, float]]:
    ours = [("ready", move.ready_ms), ("activated", move.activated_ms), ("settled", move.settled_ms)]
    found = [(what, at) for what, at in ours if at is not None] + list(move.told)
    return sorted(found, key=lambda each: each[1])

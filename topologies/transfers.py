"""How does one transfer something between a QEMU guest and another machine while something happens?

``with downloading(lab, "guest", "vm1") as download: …move…`` and then ``download.result()``; the same with
:func:`echoing` and :func:`fetching`.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from topologies.client import LabClient
from topologies.errors import LabError
from topologies.probing import StreamReport, address_of, running

ECHO_PORT: Final = 7
"""Where every guest echoes."""

_PROGRAM: Final = str(Path(__file__).with_name("outsider.py"))
_SECONDS: Final = 120.0
_Report = TypeVar("_Report")


@dataclass(frozen=True, slots=True)
class Download:
    """A file that a guest has downloaded."""

    bytes: int
    intact: bool
    """The guest has computed the same hash of it."""
    error: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """Files that one guest has fetched from another, each by a connection of its own."""

    files: int
    intact: bool
    """All had the same hash at both ends."""


class UnderWay(Generic[_Report]):
    """Something that goes on as long as a block runs, and has a report after it."""

    def __init__(self) -> None:
        self.report: _Report | None = None

    def result(self) -> _Report:
        """The report.

        :raises LabError: if the block still runs.
        """
        if self.report is None:
            raise LabError("the transfer has not ended")
        return self.report


@contextmanager
def downloading(
    lab: LabClient, guest: str, peer: str, *, size: int, megabits: float = 8.0, port: int = 8080
) -> Iterator[UnderWay[Download]]:
    """Let a guest download a file from a namespace machine, slowly as long as the block runs.

    :param size: in bytes.
    """
    here = address_of(lab, peer)
    words = ["serve", "--local", here, "--port", str(port), "--bytes", str(size), "--mbit", str(megabits)]
    script = f"wget -q -O - http://{here}:{port}/file | sha256sum"
    under_way = UnderWay[Download]()
    with running(lab, [(peer, words)], _PROGRAM) as (server,), ThreadPoolExecutor(1) as aside:
        server.hear()
        download = aside.submit(lab.run, guest, ["sh", "-c", script], seconds=_SECONDS)
        server.hear()
        yield under_way
        server.tell("hurry")
        sent = server.hear()
        theirs = download.result().stdout.partition(" ")[0]
        under_way.report = Download(sent["bytes"], theirs == sent["sha256"], sent["error"])


@contextmanager
def echoing(lab: LabClient, guest: str, peer: str, *, megabits: float = 4.0) -> Iterator[UnderWay[StreamReport]]:
    """Stream from a namespace machine to a guest and back as long as the block runs."""
    here, there = address_of(lab, peer), address_of(lab, guest)
    words = ["stream", "--local", here, "--peer", there, "--port", str(ECHO_PORT), "--mbit", str(megabits)]
    under_way = UnderWay[StreamReport]()
    with running(lab, [(peer, words)], _PROGRAM) as (stream,):
        stream.hear()
        yield under_way
        stream.tell("stop")
        told = stream.hear()
        stall = told["longest_stall_ns"] / 1e6
        under_way.report = StreamReport(told["bytes"], told["intact"] and not told["error"], stall, told["error"])


@contextmanager
def fetching(lab: LabClient, one: str, other: str, *, kilobytes: int = 512) -> Iterator[UnderWay[Fetched]]:
    """Let a guest fetch a file from another guest again and again as long as the block runs."""
    make = f"dd if=/dev/urandom of=/srv/file bs=1k count={kilobytes} 2>/dev/null; sha256sum </srv/file"
    expected = lab.run(other, ["sh", "-c", make]).stdout.split()[:1]
    script = (
        f"rm -f /tmp/enough; while [ ! -e /tmp/enough ]; do"
        f" wget -q -O - http://{address_of(lab, other)}/file | sha256sum; done"
    )
    under_way = UnderWay[Fetched]()
    with ThreadPoolExecutor(1) as aside:
        fetched = aside.submit(lab.run, one, ["sh", "-c", script], seconds=_SECONDS)
        try:
            yield under_way
        finally:
            lab.run(one, ["touch", "/tmp/enough"])  # noqa: S108  (the guest's)
        hashes = [line.split()[0] for line in fetched.result().stdout.splitlines()]
        under_way.report = Fetched(len(hashes), bool(hashes) and set(hashes) == set(expected))

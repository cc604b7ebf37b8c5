"""Whatever fails in whichever phase of a move, the port is delivered at one place, and the flows are right in the end.

The cells of the table that is printed as docs/failures_of_moves.md, each with model switches.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from docs.failures import RULES, Cell, Failure, Place
from overlay.changes import Activate, BindPassive, Change, DeletePort, Plugged, Tick, Unbind, Unplugged, UpdatePort
from overlay.moves import PHASES, SWITCHING, Phase, deadline
from overlay.refusals import Refusal
from tests.model.failing import LOST_AFTER, FailingLab
from tests.model.lab import places
from tests.overlay.conftest import furnished
from tests.overlay.test_packets import H1, H2, H3, HOME

A = "red-a"
ROOT = Path(__file__).resolve().parents[2]
DEADLY = {
    Failure.TARGET_HOST: H2,
    Failure.TARGET_TAP: H2,
    Failure.SOURCE_HOST: H1,
    Failure.SOURCE_TAP: H1,
    Failure.OTHER_HOST: H3,
}
STORE_SECONDS = 10.0


class Story:
    """A move of a port from h1 to h2, and what goes wrong with it."""

    def __init__(self, phase: Phase) -> None:
        self.lab = lab = furnished(kind=FailingLab)
        self.whole = True
        """Whether nothing is dead: then each frame has to arrive at every moment."""
        self.ticked = -1.0
        lab.change(BindPassive(A, H2))
        lab.change(Plugged(H2, A, 40))
        if phase is not Phase.PREPARING:
            lab.settle()
        if phase in SWITCHING:
            lab.change(Activate(A, H2))
            for host in (H2, H1, H2, H1, H3):
                if self.phase is not phase:
                    lab.confirm(host)
        assert self.phase is phase
        self.look()

    @property
    def phase(self) -> Phase:
        """The phase of the move."""
        return self.lab.world.moves()[-1].phase

    def look(self) -> None:
        """Frames from every living host arrive at one of the port's taps, once; at none only if something is dead."""
        if A not in self.lab.world.ports:
            return
        for name in "bcd":
            if HOME[name] in self.lab.living:
                found = places(self.lab.send(HOME[name], f"red-{name}", self.lab.ipv4(f"red-{name}", A)))
                arrived = [place for place in found if place[1] == A]
                assert len(arrived) == 1 if self.whole else len(arrived) <= 1, (self.phase, name, arrived)
                if self.whole:  # what is sent to a tap that is gone arrives nowhere
                    assert arrived == found

    def ask(self, change: Change) -> str:
        """Ask for something.  :returns: the kind of the refusal, if it is refused; then nothing may have changed."""
        before = self.lab.world.documents()
        try:
            self.lab.change(change)
        except Refusal as refusal:
            assert self.lab.world.documents() == before
            return refusal.kind
        return ""

    def step(self) -> bool:
        """Let one host take what was sent to it, and then confirm.  :returns: whether there was one."""
        lab = self.lab
        for host in lab.living:
            if host in lab.queues or host in lab.world.unconfirmed_hosts():
                queue = lab.queues.pop(host, [])
                for _, delta in queue:
                    lab.install(host, delta)
                self.look()
                if queue:
                    lab.queues[host] = [(queue[-1][0], type(queue[-1][1])())]
                lab.confirm(host)
                self.look()
                return True
        return False

    def wait(self) -> bool:
        """Let time pass until something happens by itself.  :returns: whether anything will."""
        lab = self.lab
        move = lab.world.move_of(A)
        due = None if move is None else deadline(move, lab.world.settings.grace, lab.world.settings.move_timeout)
        lost = {host: since + LOST_AFTER for host, since in lab.silent.items() if not lab.world.is_lost(host)}
        when = [time for time in (due, *lost.values()) if time is not None and time > lab.now]
        if move is None or (not when and self.ticked == lab.now):
            return False
        lab.now = self.ticked = min(when) if self.ticked == lab.now else lab.now
        for host in [host for host, at in lost.items() if at <= lab.now]:
            lab.lose(host)
        lab.change(Tick())
        self.look()
        return True

    def end(self, *, activates: bool = True) -> None:
        """Go on to the end, as the orchestrator would have it; then what died comes back."""
        for _ in range(500):
            if self.step():
                continue
            if activates and self.phase is Phase.READY:
                self.lab.change(Activate(A, H2))
            elif not self.wait():
                break
        assert self.lab.world.move_of(A) is None
        for host in tuple(self.lab.silent):
            self.lab.revive(host)
        while self.step():
            pass

    def judge(self, cell: Cell) -> None:
        """Everything is as the cell says, and as a fresh computation gives it."""
        lab = self.lab
        assert self.phase is cell.end
        where = {Place.SOURCE: H1, Place.TARGET: H2, Place.NOBODY: None}[cell.at]
        assert (lab.world.ports[A].host if A in lab.world.ports else None) == where
        for name in "bcd" if where else "":
            assert places(lab.send(HOME[name], f"red-{name}", lab.ipv4(f"red-{name}", A))) == [(where, A)]
        assert {host: dict(lab.compiler.desired(host)) for host in lab.hosts} == lab.compiler.recompute()
        assert lab.installed == lab.compiler.recompute()
        lab.restart()
        assert not any(delta.put or delta.remove for queue in lab.queues.values() for _, delta in queue)


def happen(story: Story, cell: Cell) -> str:  # noqa: C901  (one case for each failure)
    """Let the failure happen.  :returns: the kind of the refusal that whoever asked got."""
    lab = story.lab
    story.whole = cell.failure not in DEADLY
    switched = cell.phase in SWITCHING
    match cell.failure:
        case Failure.CANCELLED:
            if switched:
                assert story.ask(Unbind(A, H1)) == ""
                assert story.phase is cell.phase
            return story.ask(Unbind(A, H2))
        case Failure.ACTIVATED:
            return story.ask(Activate(A, H2))
        case Failure.TARGET_HOST | Failure.SOURCE_HOST | Failure.OTHER_HOST:
            lab.kill(DEADLY[cell.failure])
        case Failure.TARGET_TAP | Failure.SOURCE_TAP:
            lab.change(Unplugged(DEADLY[cell.failure], A))
        case Failure.CONTROLLER:
            lab.restart()
        case Failure.STORE:
            out_of_store(story)
        case Failure.THIRD:
            assert story.ask(UpdatePort(A, host=H3)) == cell.answer
            return story.ask(BindPassive(A, H3))
        case Failure.AGAIN:
            return story.ask(BindPassive(A, H2))
        case Failure.NOWHERE:
            here = H2 if switched else H1
            documents = lab.world.documents()
            assert story.ask(UpdatePort(A, host=here)) == ""
            assert lab.world.documents() == documents
            return story.ask(BindPassive(A, here))
        case Failure.DELETED:
            return story.ask(DeletePort(A))
        case Failure.NEVER:
            pass
    story.look()
    return ""


def out_of_store(story: Story) -> None:
    """Nothing can be stored for a while, in which everything that was sent already arrives and is confirmed."""
    lab = story.lab
    lab.store_fails()
    while story.step():
        pass
    if story.phase is Phase.READY:
        lab.change(Activate(A, H2))  # answered 503
    for _ in range(10):
        lab.now += STORE_SECONDS / 10
        lab.change(Tick())
        story.look()
    assert not lab.queues
    lab.store_works()


@pytest.mark.parametrize("cell", RULES, ids=lambda cell: cell.name)
def test_a_failure_ends_as_the_table_says(cell: Cell) -> None:
    """Each failure in each phase is answered and ends as documented, no frame twice, and flows as computed afresh."""
    story = Story(cell.phase)
    assert happen(story, cell) == cell.answer
    story.end(activates=cell.failure is not Failure.NEVER)
    story.judge(cell)


def test_the_table_is_whole() -> None:
    """Each failure has a cell for each phase of a live move, and one only."""
    assert Counter((cell.phase, cell.failure) for cell in RULES) == Counter(itertools.product(PHASES, Failure))


def test_the_tests_that_the_table_names_are_there() -> None:
    """Whatever the table says is seen with real switches is a test that exists."""
    for seen in {cell.seen for cell in RULES if cell.seen}:
        file, _, name = seen.partition("::")
        name, _, case = name.removesuffix("]").partition("[")
        assert f"def {name}(" in (ROOT / file).read_text(), seen
        assert not case or Failure[case.upper()]


@pytest.mark.parametrize("phase", PHASES)
def test_what_was_under_way_when_the_controller_died_may_have_arrived(phase: Phase) -> None:
    """A controller that dies after a switch took its flows, and before it heard so, goes on all the same."""
    story = Story(phase)
    for host, queue in tuple(story.lab.queues.items()):
        for _, delta in queue:
            story.lab.install(host, delta)
        story.look()
    story.lab.restart()
    story.look()
    story.end()
    story.judge(Cell(phase, Failure.CONTROLLER, "", Phase.SETTLED, Place.TARGET, ""))


@pytest.mark.parametrize("phase", PHASES)
def test_a_controller_that_dies_without_its_store_begins_where_that_stood(phase: Phase) -> None:
    """What could not be stored was not sent, so a new controller and the switches agree about the phase before it."""
    story = Story(phase)
    lab = story.lab
    lab.store_fails()
    while story.step():
        pass
    lab.restart()
    story.look()
    story.end()
    story.judge(Cell(phase, Failure.STORE, "", Phase.SETTLED, Place.TARGET, ""))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("failure", [Failure.TARGET_HOST, Failure.SOURCE_HOST, Failure.OTHER_HOST])
def test_a_switch_that_is_soon_back_changes_nothing(phase: Phase, failure: Failure) -> None:
    """A switch that dies and is back before it is lost is given its flows, and the move goes on to its target."""
    story = Story(phase)
    story.whole = False
    story.lab.kill(DEADLY[failure])
    for _ in range(3):
        story.step()
    story.lab.now += LOST_AFTER / 2
    if story.phase is not Phase.GRACE:
        story.lab.change(Tick())
    story.lab.revive(DEADLY[failure])
    story.end()
    story.judge(Cell(phase, failure, "", Phase.SETTLED, Place.TARGET, ""))


def test_nobody_waits_for_a_dead_sources_hairpin() -> None:
    """When the source's switch dies, the others send to the target at once, not only when the source counts as lost."""
    story = Story(Phase.HAIRPINNING)
    story.whole = False
    story.lab.kill(H1)
    while story.step():
        pass
    assert (story.phase, story.lab.now) == (Phase.REPOINTING, 0.0)
    for name in "cd":
        assert places(story.lab.send(HOME[name], f"red-{name}", story.lab.ipv4(f"red-{name}", A))) == [(H2, A)]


@pytest.mark.parametrize("phase", sorted(SWITCHING))
def test_going_back_is_refused_until_the_move_has_ended(phase: Phase) -> None:
    """Asked back to its source while it switches, a port is not left where it goes without a word: it is refused."""
    story = Story(phase)
    assert story.ask(UpdatePort(A, host=H1)) == "PortMoveInProgress"
    story.end()
    story.lab.change(UpdatePort(A, host=H1))
    story.end()
    story.judge(Cell(phase, Failure.NEVER, "", Phase.SETTLED, Place.SOURCE, ""))

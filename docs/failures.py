"""What becomes of a move when something goes wrong in one of its phases?

One table: :data:`RULES` says it for each failure and phase, :func:`document` prints it, and the tests take their cases
from it: each cell is tried with model switches (``tests/overlay/test_failures_of_moves.py``), and those that name a
test under ``seen`` in a lab of real switches as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from overlay.moves import PHASES, SWITCHING, Phase

_LAB: Final = "tests/e2e/test_failures_of_moves.py::test_real_switches_agree"
_RESTART: Final = "tests/e2e/test_controller_restart.py::test_a_move_survives_the_controller"
_BEFORE: Final = (Phase.PREPARING, Phase.READY)
_AFTER: Final = tuple(phase for phase in PHASES if phase in SWITCHING)
_ALL: Final = (*_BEFORE, *_AFTER)


class Failure(StrEnum):
    """What may go wrong, or be asked at the wrong time."""

    CANCELLED = "the binding that was made last is deleted"
    ACTIVATED = "activation is asked"
    TARGET_HOST = "the target's switch dies"
    TARGET_TAP = "the target's tap goes"
    SOURCE_HOST = "the source's switch dies"
    SOURCE_TAP = "the source's tap goes"
    OTHER_HOST = "the switch of another host dies"
    CONTROLLER = "the controller is killed and started again"
    STORE = "the store cannot be written for 10 s"
    THIRD = "a move to a third host is asked"
    AGAIN = "the same move is asked again"
    NOWHERE = "a move to where the port is is asked"
    DELETED = "the port is deleted"
    NEVER = "the machine never resumes"


class Place(StrEnum):
    """Where frames for the port are delivered in the end."""

    SOURCE = "source"
    TARGET = "target"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Cell:
    """What becomes of a move with which this happens in this phase.

    :param answer: the kind of the refusal that whoever asked gets; empty where nothing is refused.
    :param end: the last phase of the move.
    :param at: where frames for the port are delivered then.
    :param says: why, in a sentence.
    :param seen: the test that does it with real switches.
    """

    phase: Phase
    failure: Failure
    answer: str
    end: Phase
    at: Place
    says: str
    seen: str = ""

    @property
    def name(self) -> str:
        """The same in two words, for tests."""
        return f"{self.phase}-{self.failure.name.lower()}"


def _cells(  # noqa: PLR0917  (a table's columns)
    failure: Failure,
    phases: tuple[Phase, ...],
    end: Phase,
    at: Place,
    says: str,
    answer: str = "",
    seen: str = "",
) -> Iterator[Cell]:
    for phase in phases:
        yield Cell(phase, failure, answer, end, at, says, seen)


RULES: Final[tuple[Cell, ...]] = (
    *_cells(
        Failure.CANCELLED,
        _BEFORE,
        Phase.CANCELLED,
        Place.SOURCE,
        "The passive binding is removed; every switch is as if there had been no move.",
        seen=f"{_LAB}[cancelled]",
    ),
    *_cells(
        Failure.CANCELLED,
        _AFTER,
        Phase.SETTLED,
        Place.TARGET,
        "It is the active binding by now and stays; to delete the source's changes nothing, since that goes by itself.",
        answer="PortBindingAlreadyActive",
        seen=f"{_LAB}[cancelled]",
    ),
    *_cells(
        Failure.ACTIVATED,
        (Phase.PREPARING,),
        Phase.SETTLED,
        Place.TARGET,
        "The wish is stored, and carried out when the target is ready.",
        seen="tests/e2e/test_nova_order.py::test_activation_without_waiting",
    ),
    *_cells(
        Failure.ACTIVATED,
        (Phase.READY,),
        Phase.SETTLED,
        Place.TARGET,
        "This is what it waits for.",
        seen="tests/e2e/test_moves.py::test_twenty_moves_lose_nothing",
    ),
    *_cells(
        Failure.ACTIVATED,
        _AFTER,
        Phase.SETTLED,
        Place.TARGET,
        "It is activated already: refused, and the move goes on.",
        answer="PortBindingAlreadyActive",
    ),
    *_cells(
        Failure.TARGET_HOST,
        _BEFORE,
        Phase.FAILED,
        Place.SOURCE,
        "The source goes on as before; the move waits for the target until `move_timeout` is over.",
        seen=f"{_LAB}[target_host]",
    ),
    *_cells(
        Failure.TARGET_HOST,
        _AFTER,
        Phase.FAILED,
        Place.SOURCE,
        "The move does not end without its target. If that is back within `host_lost_after` seconds, it is given its "
        "flows and the move goes on; if not, everything falls back to the source, should its tap still be there.",
        seen=f"{_LAB}[target_host]",
    ),
    *_cells(
        Failure.TARGET_TAP,
        _BEFORE,
        Phase.FAILED,
        Place.SOURCE,
        "The source goes on as before; the move is prepared anew when the tap comes back, or fails at `move_timeout`.",
        seen=f"{_LAB}[target_tap]",
    ),
    *_cells(
        Failure.TARGET_TAP,
        _AFTER,
        Phase.FAILED,
        Place.SOURCE,
        "The orchestrator has taken its machine back: everything falls back to the source, whose tap is still there.",
        seen=f"{_LAB}[target_tap]",
    ),
    *_cells(
        Failure.SOURCE_HOST,
        _BEFORE,
        Phase.SETTLED,
        Place.TARGET,
        "A silent switch does not activate a move, since its machines may live; when it is activated, the target wins.",
        seen=f"{_LAB}[source_host]",
    ),
    *_cells(
        Failure.SOURCE_HOST,
        _AFTER,
        Phase.SETTLED,
        Place.TARGET,
        "The target wins; nobody waits for the hairpin of a switch without a session before the others are repointed.",
        seen=f"{_LAB}[source_host]",
    ),
    *_cells(
        Failure.SOURCE_TAP,
        _BEFORE,
        Phase.SETTLED,
        Place.TARGET,
        "The machine has left its source: the move switches by itself as soon as it is ready.",
        seen="tests/e2e/test_moves.py::test_a_move_that_nobody_announced_to_the_controller",
    ),
    *_cells(
        Failure.SOURCE_TAP,
        _AFTER,
        Phase.SETTLED,
        Place.TARGET,
        "This is what happens at the end of every move: the hairpin needs no tap, and the move goes on.",
        seen=f"{_LAB}[source_tap]",
    ),
    *_cells(
        Failure.OTHER_HOST,
        _ALL,
        Phase.SETTLED,
        Place.TARGET,
        "The other hosts go on at once; the move waits for the dead one for `host_lost_after` seconds.",
        seen=f"{_LAB}[other_host]",
    ),
    *_cells(
        Failure.CONTROLLER,
        _BEFORE,
        Phase.SETTLED,
        Place.TARGET,
        "The switches go on as they are; the new controller reads the move's phase and goes on from there.",
        seen=_RESTART,
    ),
    *_cells(
        Failure.CONTROLLER,
        _AFTER,
        Phase.SETTLED,
        Place.TARGET,
        "The switches go on as they are, each frame arriving once; the new controller ends what was begun.",
        seen=f"{_LAB}[controller]",
    ),
    *_cells(
        Failure.STORE,
        _ALL,
        Phase.SETTLED,
        Place.TARGET,
        "Nothing is sent that is not stored: the switches stay as they are, whoever asks for a change is answered 503, "
        "and the move goes on by itself when the store takes writes again.",
        seen=f"{_LAB}[store]",
    ),
    *_cells(
        Failure.THIRD,
        _ALL,
        Phase.SETTLED,
        Place.TARGET,
        "A port has one move at a time: refused, and the first one goes on.",
        answer="PortMoveInProgress",
        seen=f"{_LAB}[nowhere]",
    ),
    *_cells(
        Failure.AGAIN,
        _ALL,
        Phase.SETTLED,
        Place.TARGET,
        "There is such a binding already: refused, and the move goes on.",
        answer="PortBindingAlreadyExists",
        seen=f"{_LAB}[nowhere]",
    ),
    *_cells(
        Failure.NOWHERE,
        _ALL,
        Phase.SETTLED,
        Place.TARGET,
        "A passive binding where the active one is is refused; `binding:host_id` of where it is changes nothing.",
        answer="PortBindingAlreadyExists",
        seen=f"{_LAB}[nowhere]",
    ),
    *_cells(
        Failure.DELETED,
        _ALL,
        Phase.CANCELLED,
        Place.NOBODY,
        "The move ends with its port, of which no switch keeps anything.",
        seen=f"{_LAB}[deleted]",
    ),
    *_cells(
        Failure.NEVER,
        _BEFORE,
        Phase.FAILED,
        Place.SOURCE,
        "Nobody activates the move, so it fails at `move_timeout`; the source was never left.",
    ),
    *_cells(
        Failure.NEVER,
        _AFTER,
        Phase.SETTLED,
        Place.TARGET,
        "Activation is the orchestrator's word: the target has the port; to go back is another move.",
    ),
)
"""The cells, a failure after the other."""

_INTRODUCTION: Final = """\
# When a move goes wrong

Printed from `docs/failures.py`. Each cell is a test: `tests/overlay/test_failures_of_moves.py` makes every failure in
every phase, with the real compiler and model switches, and looks at each moment where frames for the port arrive; what
can be done to real switches is done to them as well, by the test that the list below names. What always holds:

- At no moment is a frame delivered twice, whatever fails.
- As long as no switch is dead and no tap is gone, each frame arrives at every moment.
- When a failure is over, or decided, all frames arrive at one place, which is the same for all hosts.
- In the end every switch holds what a fresh computation gives, flow for flow.

A switch without a session is waited for during `overlay.host_lost_after` seconds (30); a move that nobody activates
fails after `overlay.move_timeout` seconds (300). A machine that fell back, or whose move has failed, can be moved again
at once.

"""


def document() -> str:
    """The table and what each cell means."""
    head = f"| in the phase | {' | '.join(_ALL)} |\n|---|{'---|' * len(_ALL)}\n"
    by_place = {(cell.failure, cell.phase): cell for cell in RULES}
    rows = "".join(
        f"| {failure} | {' | '.join(_brief(by_place[failure, phase]) for phase in _ALL)} |\n" for failure in Failure
    )
    return f"{_INTRODUCTION}{head}{rows}\n## What each of them means\n\n{''.join(_sentences())}"


def _brief(cell: Cell) -> str:
    where = "" if cell.at is Place.NOBODY else f" at the {cell.at}"
    return f"{'refused; ' if cell.answer else ''}{cell.end}{where}"


def _sentences() -> Iterator[str]:
    for failure, cells in groupby(RULES, lambda cell: cell.failure):
        yield f"**{failure[0].upper()}{failure[1:]}**\n\n"
        for (says, answer, seen), alike in groupby(cells, lambda cell: (cell.says, cell.answer, cell.seen)):
            refused = f" (`{answer}`)" if answer else ""
            where = f" Seen by `{seen}`." if seen else ""
            yield f"- *{', '.join(cell.phase for cell in alike)}*: {says}{refused}{where}\n"
        yield "\n"

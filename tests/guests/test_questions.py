"""Machines that ask are answered in turns, and none keeps the others waiting."""

from __future__ import annotations

import pytest

from controller.events import PacketArrived
from controller.guests.questions import LINE, UNSOUND, Answer, Asker, Questions, answered
from overlay.tables.names import CookieKind, provenance
from overlay.values import DatapathId, HostName
from tests.guests.test_addresses import furnished

KIND = CookieKind.ASKED_ADDRESS


def question(port: str, data: bytes = b"?", kind: CookieKind = KIND) -> PacketArrived:
    """A question of a port."""
    return PacketArrived(DatapathId(1), 2, provenance(kind, port), data)


def echo(_asker: Asker, frame: bytes) -> Answer:
    """Answer with the question itself, unless it is bad."""
    if frame == b"broken":
        raise ValueError("a defect")
    return UNSOUND if frame == b"bad" else answered(frame)


def test_ports_take_turns() -> None:
    """However many questions of one port wait, another's is the next but one; each port's stay in order."""
    questions = Questions({KIND: echo})
    for number in range(5):
        questions.put(question("a", bytes([number])))
    questions.put(question("b"))
    taken = [questions.take() for _ in range(len(questions))]
    assert [each.cookie == provenance(KIND, "b") for each in taken[:2]].count(True) == 1
    assert [each.data[0] for each in taken if each.cookie == provenance(KIND, "a")] == [0, 1, 2, 3, 4]


def test_a_line_is_short() -> None:
    """What comes while a port's line is full is dropped and counted; another port's is not, nor what comes later."""
    questions = Questions({KIND: echo, CookieKind.ASKED_ROUTER: echo})
    for _ in range(LINE + 3):
        questions.put(question("a"))
    questions.put(question("a", kind=CookieKind.ASKED_ROUTER))
    questions.put(question("b"))
    assert len(questions) == LINE + 1
    assert (questions.tallies[KIND].asked, questions.tallies[KIND].dropped) == (LINE + 4, 3)
    assert questions.tallies[CookieKind.ASKED_ROUTER].dropped == 1
    while questions:
        questions.take()
    questions.put(question("a"))
    assert len(questions) == 1


def test_only_questions_concern_it() -> None:
    """Other packets are for others."""
    questions = Questions({KIND: echo})
    assert questions.concerns(question("a"))
    assert not questions.concerns(question("a", kind=CookieKind.ANNOUNCEMENT))


def test_what_became_of_a_question_is_counted() -> None:
    """Answered, unsound, or met by a defect of ours."""
    lab = furnished()
    asker = Asker(lab.world, HostName("h1"), lab.world.ports["a"])
    questions = Questions({KIND: echo})
    assert questions.answer(question("a"), asker).frames == (b"?",)
    assert questions.answer(question("a", b"bad"), asker) is UNSOUND
    with pytest.raises(ValueError, match="a defect"):
        questions.answer(question("a", b"broken"), asker)
    tally = questions.tallies[KIND]
    assert (tally.answered, tally.unsound, tally.failed) == (1, 1, 1)

"""A switch is sent each meter by the one command that it will take."""

from __future__ import annotations

from controller.openflow.codec import Command
from controller.openflow.meters import KnownMeters
from overlay.flow import Meter

ONE, TWO = Meter(1, 10, 10), Meter(2, 10, 10)


def test_before_the_reading_both_commands_are_sent():
    """Nobody knows what the switch has, so one of the two is refused."""
    meters = KnownMeters()
    assert not meters.certain
    assert meters.commands(ONE, certain=meters.certain) == (Command.MODIFY, Command.ADD)


def test_after_the_reading_one_is_enough():
    """What was read or sent is modified, all else is added."""
    meters = KnownMeters()
    meters.commands(ONE, certain=False)
    meters.read([])
    assert meters.certain
    assert meters.commands(ONE, certain=True) == (Command.MODIFY,)
    assert meters.commands(TWO, certain=True) == (Command.ADD,)
    assert meters.commands(TWO, certain=True) == (Command.MODIFY,)


def test_where_others_change_meters_both_commands_are_sent_for_good():
    """A refusal shows that somebody else adds or deletes meters; a further reading does not help then."""
    meters = KnownMeters()
    meters.read([ONE])
    meters.doubt()
    meters.read([ONE])
    assert not meters.certain

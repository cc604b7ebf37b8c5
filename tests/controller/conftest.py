"""A channel to a switch in memory."""

import pytest

from controller.channel import Channel, Counted, ReadBack
from controller.reconcile import Contents
from tests.controller.switches import ID, Later, flow


class Bench:
    """A channel with everything around it in the test's hands."""

    def __init__(self) -> None:
        self.later = Later()
        self.events: list[ReadBack | Counted] = []
        self.wanted = [flow(1), flow(2)]
        self.channel = Channel(
            ID, wanted=lambda: Contents(tuple(self.wanted)), spawn=self.later, sink=self.events.append
        )

    def settle(self) -> list[bool]:
        """Run what was spawned and hand its results over; returns what ``read_back`` answered."""
        self.later.run()
        answers = []
        events, self.events[:] = list(self.events), []
        for event in events:
            if isinstance(event, ReadBack):
                answers.append(self.channel.read_back(event))
            else:
                self.channel.counted(event)
        return answers


@pytest.fixture
def bench() -> Bench:
    """A fresh channel that wants flows 1 and 2."""
    return Bench()

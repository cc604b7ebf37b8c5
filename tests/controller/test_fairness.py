"""Laws of the fair queue: order within a line, no idleness, and nobody waits for more than a turn of each other one."""

from collections import Counter, defaultdict
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.fairness import FairQueue

QUANTUM = 8
PARTIES = st.sampled_from("abcd")
STEPS = st.lists(st.one_of(st.none(), st.tuples(PARTIES, st.integers(1, QUANTUM))), max_size=200)
"""None takes, a party and a cost puts."""


@given(STEPS)
def test_order_is_kept_within_a_line_and_nothing_waits_while_it_could_be_taken(steps):
    """What one party puts comes out in its order; whenever anything waits, something can be taken."""
    queue: FairQueue[int] = FairQueue(QUANTUM)
    lines = defaultdict(list)
    numbers = count()
    for step in steps:
        waiting = sum(map(len, lines.values()))
        assert len(queue) == waiting
        if step is not None:
            who, cost = step
            lines[who].append(next(numbers))
            queue.put(who, lines[who][-1], cost)
        elif waiting:
            who, item = queue.take()
            assert item == lines[who].pop(0)
        else:
            with pytest.raises(IndexError, match="nobody waits"):
                queue.take()


@given(STEPS, PARTIES, st.integers(1, QUANTUM))
def test_nobody_starves(steps, late, cost):
    """Before what heads a line is taken, each other party gets no more than its credit and one more turn."""
    queue: FairQueue[object] = FairQueue(QUANTUM)
    costs = {}
    for number, step in enumerate(steps):
        if step is not None and step[0] != late:
            queue.put(step[0], number, step[1])
            costs[number] = step[1]
        elif step is None and len(queue):
            queue.take()
    mine = object()
    queue.put(late, mine, cost)
    spent: Counter[object] = Counter()
    while (taken := queue.take())[1] is not mine:
        spent[taken[0]] += costs[taken[1]]
    assert late not in spent
    assert all(of_one <= 2 * QUANTUM for of_one in spent.values())


@given(st.lists(st.integers(1, QUANTUM), min_size=60, max_size=60), st.lists(st.just(1), min_size=60, max_size=60))
def test_those_who_always_wait_get_as_much(dear, cheap):
    """Two parties whose lines never empty are served alike, whatever their things cost."""
    queue: FairQueue[int] = FairQueue(QUANTUM)
    for of_one, of_other in zip(dear, cheap, strict=True):
        queue.put("dear", of_one, of_one)
        queue.put("cheap", of_other, of_other)
    served: Counter[object] = Counter()
    left = {"dear": len(dear), "cheap": len(cheap)}
    while all(left.values()):
        who, cost = queue.take()
        served[who] += cost
        left[str(who)] -= 1
        assert abs(served["dear"] - served["cheap"]) <= 2 * QUANTUM


@given(st.integers(1, 100), st.integers(1, 10))
def test_what_is_put_back_stays_first_in_its_line(rounds, others):
    """Something that takes many turns keeps its place, and gives way to the others between them."""
    queue: FairQueue[str] = FairQueue(1)
    queue.put("a", "long")
    queue.put("a", "after")
    for _ in range(others):
        queue.put("b", "short")
    order = []
    for _ in range(rounds):
        who, item = queue.take()
        order.append(item)
        if item == "long":
            queue.put_back(who, item)
    assert "after" not in order
    assert order[:2] == ["long", "short"][:rounds]
    between = order[: 2 * others]
    assert all(one != other for one, other in pairwise(between))

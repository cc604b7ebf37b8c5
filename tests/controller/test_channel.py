"""A switch is read before it is written to, and told only what it does not hold."""

from controller.channel import State
from controller.events import Mods
from tests.controller.switches import MemorySession, flow


def test_nothing_is_sent_before_the_switch_was_read(bench):
    """A change that comes while the switch is being read goes out with the difference, and once."""
    session = MemorySession([flow(1)])
    bench.channel.up(session)
    bench.wanted.append(flow(3))
    ticket = bench.channel.push(Mods(put=(flow(3),)))
    assert session.sent == []
    bench.settle()
    ((sent, mods),) = session.sent
    assert sent > ticket
    assert set(mods.put) == {flow(2), flow(3)}
    assert mods.remove == ()


def test_a_switch_that_is_right_is_left_alone(bench):
    """Nothing is sent to a switch that holds what it should, and all that waited for it is confirmed."""
    session = MemorySession([flow(1), flow(2)])
    bench.channel.push(Mods(put=(flow(2),)))
    bench.channel.up(session)
    assert bench.settle() == [True]
    assert session.sent == []
    assert bench.channel.settled


def test_foreign_flows_are_not_looked_at(bench):
    """A flow without our mark is neither removed nor counted as a difference."""
    session = MemorySession([flow(1), flow(2), flow(9, mark=0)])
    bench.channel.up(session)
    assert bench.settle() == [True]
    assert session.sent == []


def test_the_end_of_an_old_session_does_not_end_the_new_one(bench):
    """When a switch calls again before its old session is known to be dead, the new session stays."""
    old, new = MemorySession(), MemorySession([flow(1), flow(2)])
    bench.channel.up(old)
    bench.channel.up(new)
    assert not bench.channel.down(old)
    assert bench.channel.session is new
    assert bench.settle() == [False, True]
    assert old.sent == []


def test_without_a_session_changes_wait(bench):
    """A change for a switch that is away gets a ticket, which the reconciliation at its return confirms."""
    ticket = bench.channel.push(Mods(put=(flow(1),)))
    assert not bench.channel.settled
    bench.channel.up(MemorySession([flow(1), flow(2)]))
    bench.settle()
    assert bench.channel.confirmed >= ticket


def test_a_refused_change_is_followed_by_a_reading(bench):
    """After a refusal the switch is read and compared anew, after a pause that grows while it goes on refusing."""
    session = MemorySession([flow(1), flow(2)])
    bench.channel.up(session)
    bench.settle()
    pauses = []
    for _ in range(3):
        bench.channel.reject(bench.channel.sent, "no")
        assert bench.channel.state is State.READING
        session.held.pop(flow(2).key)
        pauses += [after for after, _ in bench.later.waiting]
        bench.settle()
        assert flow(2).key in session.held
    assert pauses == sorted(set(pauses))
    assert pauses[0] > 0
    assert bench.channel.refusals == ["no"] * 3


def test_a_switch_that_does_not_answer_is_read_again(bench):
    """A reading that fails is tried again, and nothing is sent meanwhile."""
    session = MemorySession()
    session.silent = True
    bench.channel.up(session)
    assert bench.settle() == [False]
    session.silent = False
    bench.settle()
    assert session.reads == 2
    assert set(session.held.values()) == {flow(1), flow(2)}


def test_an_audit_finds_a_missing_flow(bench):
    """A count that is off leads to a reading, and the reading to a repair of that one flow."""
    session = MemorySession([flow(1), flow(2)])
    bench.channel.up(session)
    bench.settle()
    del session.held[flow(1).key]
    bench.channel.audit(thorough=False)
    bench.settle()
    bench.settle()
    ((_, mods),) = session.sent
    assert mods == Mods(put=(flow(1),))
    assert bench.channel.repairs == 1


def test_a_thorough_audit_finds_an_edited_flow(bench):
    """An edited flow leaves the count right; a reading finds it."""
    session = MemorySession([flow(1), flow(2)])
    bench.channel.up(session)
    bench.settle()
    session.held[flow(1).key] = flow(1, mark=flow(7).cookie)
    bench.channel.audit(thorough=True)
    bench.settle()
    assert session.held[flow(1).key] == flow(1)


def test_an_audit_that_was_overtaken_is_not_believed(bench):
    """What is pushed while the switch is being read for an audit is not undone or sent twice by the stale reading."""
    session = MemorySession([flow(1), flow(2)])
    bench.channel.up(session)
    bench.settle()
    bench.channel.audit(thorough=True)
    bench.later.run()
    bench.wanted.append(flow(3))
    ticket = bench.channel.push(Mods(put=(flow(3),)))
    bench.settle()
    assert [sent for sent, _ in session.sent] == [ticket]
    assert bench.channel.state is State.LIVE


def test_no_audit_while_something_is_under_way(bench):
    """A switch that owes a confirmation is not audited: it would be found wanting for no reason."""
    session = MemorySession([flow(1), flow(2)])
    bench.channel.up(session)
    bench.settle()
    ticket = bench.channel.push(Mods(put=(flow(3),)))
    bench.channel.audit(thorough=True)
    assert bench.later.waiting == []
    bench.channel.confirm(ticket)
    bench.channel.audit(thorough=True)
    assert len(bench.later.waiting) == 1


def test_a_count_that_fails_changes_nothing(bench):
    """A switch that does not answer a count is left to the session's own keepalive."""
    session = MemorySession([flow(1), flow(2)])
    bench.channel.up(session)
    bench.settle()
    session.silent = True
    bench.channel.audit(thorough=False)
    assert bench.settle() == []
    assert bench.channel.state is State.LIVE

"""Strategies are told apart by what the switches do, and the page says no more than its figures."""

from __future__ import annotations

import pytest

from bench import migration, migration_page, report, strategies
from bench.pictures import digest, drawn_from
from bench.record import RESULTS, Metric, Notebook
from overlay.flow import COOKIE_MARK_MASK
from overlay.flow import cookie as ours
from topologies.orders import Moment, Trigger

BOTH = strategies.Both(100, "fa:16:3e:00:00:01", "10.0.1.11", "10.0.2.11", 2, 4)
FILE = RESULTS / "migration.json"


def test_strategies_have_names_of_their_own():
    """No two strategies have the same name, and none is the same order of the same steps as another."""
    every = (*strategies.COMPARED, strategies.APPEAR, strategies.TURNS_UP)
    assert len({each.name for each in every}) == len(every)
    assert len({(each.trigger, each.moment, each.duplicating) for each in every}) == len(every)
    assert all(each.after and each.like for each in every)
    assert all(each.cost for each in strategies.COMPARED)


@pytest.mark.parametrize("strategy", strategies.COMPARED, ids=lambda each: each.name)
def test_a_moment_is_for_moves_by_rest(strategy):
    """Exactly those that ask the controller say when."""
    assert (strategy.moment is not None) == (strategy.trigger is Trigger.REST)
    assert strategy.moment in {None, *Moment}


def test_flows_of_the_bench_are_foreign():
    """No flow that the bench installs has the controller's mark in its cookie, so that it leaves them alone."""
    assert ours(1, 0) & COOKIE_MARK_MASK != strategies.COOKIE & COOKIE_MARK_MASK
    flows = [BOTH.at_source(), *BOTH.at_target(), BOTH.at_peer("set_field:10.0.1.11->tun_dst,output:1")]
    assert all(flow.startswith(f"cookie={strategies.COOKIE:#x},table=") for flow in flows)


def test_a_peer_sends_to_both():
    """What a peer does to send to the source it does once more, for the target."""
    dumped = (
        "OFPST_FLOW reply (OF1.5) (xid=0x4):\n"
        " cookie=0x1, table=20, priority=20,reg1=0x64,dl_dst=fa:16:3e:00:00:02 actions=set_field:10.0.1.11->tun_dst\n"
        " cookie=0x1, table=20, priority=20,reg1=0x64,dl_dst=fa:16:3e:00:00:01"
        " actions=set_field:0x64->tun_id,set_field:10.0.1.11->tun_dst,output:1\n"
    )
    actions = strategies.sending(dumped, BOTH.mac, BOTH.source_la)
    assert actions == "set_field:0x64->tun_id,set_field:10.0.1.11->tun_dst,output:1"
    assert BOTH.at_peer(actions).endswith(f"actions={actions},{actions.replace('10.0.1.11', '10.0.2.11')}")
    assert strategies.sending(dumped, BOTH.mac, "10.0.1.1") is None
    assert strategies.sending(dumped, "fa:16:3e:00:00:03", BOTH.source_la) is None


def test_what_should_be_none_is_noticed():
    """A short run fails on a quantity that is wanted to be 0 and is not, and on no other."""
    broken = Metric("t", "c", "lost", "probes", (0.0, 2.0), "0")
    fine = Metric("t", "c", "lost", "probes", (0.0, 0.0), "0")
    other = Metric("t", "c", "lost", "probes", (5.0,), "p50 0, p99 ≤ 1")
    assert migration.missed([broken, fine, other]) == [broken]


def compared() -> Notebook:
    """Figures of three strategies."""
    book = Notebook("migration", "What does it cost?", {"moves": 2})
    for name, lost, duplicated, added in (("vl2", 0, 0, 3), ("rarp", 60, 0, 9), ("duplicate", 0, 400, 1)):
        book.take(migration.STRATEGIES, name, "lost", "probes", [lost, lost])
        book.take(migration.STRATEGIES, name, "duplicated", "probes", [duplicated, duplicated])
        book.take(migration.STRATEGIES, name, "network's contribution", "ms", [added, added])
    return book


def test_the_page_says_what_the_figures_bear():
    """A strategy that lost more, or doubled more, is said to and why; one that added less is said to as well."""
    lines = migration_page.page(compared().record()).splitlines()
    assert "- **vl2** lost 0 and doubled 0 probes per move, and added 3 ms to the machine's own pause." in lines
    (rarp,) = [line for line in lines if line.startswith("- **rarp**")]
    assert rarp.startswith("- **rarp** lost 60 probes where vl2 lost 0, added 9 ms where vl2 added 3: all that is sent")
    (duplicate,) = [line for line in lines if line.startswith("- **duplicate**")]
    assert "doubled 400 probes where vl2 doubled 0, added only 1 ms: while the memory" in duplicate
    assert not [line for line in lines if line.startswith("- **replug**")]


def test_a_guests_waking_is_told_from_the_networks_part():
    """Where a guest's first word was heard, the page says how long it took and what the network added beside it."""
    book = compared()
    book.take(migration.GUESTS_COMPARED, "vl2", migration.WAKING, "ms", [20, 20])
    book.take(migration.GUESTS_COMPARED, "vl2", migration.BEYOND, "ms", [3, 3])
    page = migration_page.page(book.record())
    assert "first word came 20 ms after RESUME" in page
    assert "the network added 3 ms" in page


def test_a_table_that_was_not_measured_has_no_words():
    """Where nothing was measured nothing is said."""
    page = migration_page.page(Notebook("migration", "What?", {"moves": 0}).record())
    assert "####" in page
    assert "- **" not in page


def test_pictures_are_drawn_for_what_was_measured():
    """Each comparison that was measured has a picture of what the network added, what was lost and what was doubled."""
    pytest.importorskip("matplotlib")
    figures = migration_page.plots(compared().record())
    assert list(figures) == ["migration_namespace_machines.svg"]
    (figure,) = figures.values()
    assert len(figure.axes) == 3


@pytest.mark.skipif(not FILE.exists(), reason="not measured yet")
def test_the_pictures_are_those_of_the_results():
    """The pictures of the page were drawn from the results beside it."""
    pictures = list(report.PLOTS.glob("migration*.svg"))
    assert pictures
    for picture in pictures:
        assert drawn_from(picture) == digest(FILE), "run: python -m bench.report"

"""The VL2 paper's measures are computed as the paper defines them, and its page says what was measured."""

from __future__ import annotations

import random
import sys

import pytest

from bench.pictures import digest, drawn_from
from bench.record import Record
from bench.vl2_paper import isolation, pages
from bench.vl2_paper.__main__ import in_turn
from bench.vl2_paper.fabric import shaping, tree
from bench.vl2_paper.measures import acknowledged_share, below, capacity, efficiency, jain, payload_share
from bench.vl2_paper.mix import Crowd, fairness, sent, size, split
from bench.vl2_paper.shuffle import pairs
from bench.vl2_paper.traffic import Traffic

MEGABYTE = 1_000_000
FOUND = [experiment for experiment in pages.EXPERIMENTS if experiment.file.exists()]


def test_headers_are_taken_off_the_capacity():
    """A full frame of 1,564 bytes carries 1,448 of payload; acknowledgements of every second segment take 58 more."""
    assert payload_share() == 1448 / 1564
    assert acknowledged_share() == 1448 / 1622
    assert capacity(8, 10.0) == pytest.approx(74.066, abs=0.001)
    assert efficiency(capacity(8, 10.0), 8, 10.0) == 1.0
    assert efficiency(0.94 * capacity(3, 5.0), 3, 5.0) == pytest.approx(0.94)


@pytest.mark.parametrize(
    ("shares", "index"), [([1, 1, 1], 1.0), ([1, 0, 0], 1 / 3), ([0, 0], 1.0), ([2, 1], 0.9), ([5], 1.0)]
)
def test_jains_index(shares, index):
    """It is 1 where all have the same, and 1/n where one has everything."""
    assert jain(shares) == pytest.approx(index)


def test_no_shares_have_no_index():
    """Fairness among nobody is asked by mistake."""
    with pytest.raises(ValueError, match="no shares"):
        jain([])


def test_a_fraction_below():
    """The fraction of samples below a limit leaves out the limit itself."""
    assert below([1, 2, 3, 4], 3) == 0.5


def test_the_mix_is_the_papers():
    """More than 99 % of the flows are below 100 MB, more than 90 % of the bytes in flows of 100 MB to 1 GB."""
    source = random.Random(1)  # noqa: S311  (the same flows every time)
    flows = [size(source) for _ in range(100_000)]
    assert sum(flow < 100 * MEGABYTE for flow in flows) > 0.99 * len(flows)
    assert sum(flow for flow in flows if 100 * MEGABYTE <= flow <= 1000 * MEGABYTE) > 0.9 * sum(flows)
    assert max(flows) <= 1000 * MEGABYTE
    assert min(flows) > 0


def test_every_place_of_a_server_is_busy_in_every_epoch():
    """What all flows send in an epoch is what the crowd can send in it, no less and no more; no flow comes twice."""
    crowd = Crowd(servers=2, at_once=3, rate=1.0 * MEGABYTE)
    pieces = list(sent(crowd, 4, 10.0, random.Random(3)))  # noqa: S311
    for epoch in range(4):
        assert sum(size for _, number, size in pieces if number == epoch) == pytest.approx(60 * MEGABYTE)
    assert len({(flow, epoch) for flow, epoch, _ in pieces}) == len(pieces)


def test_bytes_go_where_their_flow_goes():
    """A flow's bytes are on its way in each epoch, and an epoch without any on these ways has no index."""
    pieces = [(0, 0, 4.0), (0, 1, 6.0), (1, 1, 6.0), (2, 2, 9.0)]
    loads = split(pieces, {0: "left", 1: "right", 2: "elsewhere"}.__getitem__, 3)
    assert loads == [{"left": 4.0}, {"left": 6.0, "right": 6.0}, {"elsewhere": 9.0}]
    assert fairness(loads, ["left", "right"]) == [0.5, 1.0]


def test_a_tree_reaches_everybody_once():
    """A spanning tree has a link less than there are switches, and leaves each aggregation switch one up-link."""
    links = [(f"agg{a}", f"int{i}") for a in (1, 2, 3) for i in (1, 2, 3)]
    links += [("tor1", "agg1"), ("tor1", "agg2"), ("tor2", "agg2"), ("tor2", "agg3")]
    kept = tree(links, "int1")
    assert len(kept) == 8 - 1
    assert {link for link in kept if link[1] == "int1"} == {("agg1", "int1"), ("agg2", "int1"), ("agg3", "int1")}
    assert {name for link in kept for name in link} == {name for link in links for name in link}


def test_an_experiment_that_fails_costs_the_others_nothing(tmp_path):
    """After one that fails and one that hangs, which may take its lab down, the next one still runs."""
    seen = tmp_path / "seen"
    write = "import sys; open(sys.argv[1], 'a').write(sys.argv[2])"
    hang = (
        "import sys, threading\n"
        "try: print(end='', flush=True) or threading.Event().wait()\n"
        "except KeyboardInterrupt: open(sys.argv[1], 'a').write('cleaned ')\n"
    )
    commands = {
        "good": [sys.executable, "-c", write, str(seen), "good "],
        "bad": [sys.executable, "-c", "raise SystemExit(3)"],
        "stuck": [sys.executable, "-c", hang, str(seen)],
        "last": [sys.executable, "-c", write, str(seen), "last"],
    }
    assert in_turn(commands, 5.0) == {"bad": "exit code 3", "stuck": "no end within 5 s"}
    assert seen.read_text(encoding="utf-8") == "good cleaned last"


def test_limited_ports_leave_a_tenth_of_the_link():
    """Two ports at their limit send 90 % of an uplink with the tunnel's headers, or all of it in the tight case."""
    for case, share in ((isolation.METERED, 0.9), (isolation.TIGHT, 1.0)):
        on_the_link = 2 * isolation.rate_kbps(case) * 1564 / 1514
        assert on_the_link == pytest.approx(share * 1000 * isolation.RATES.edge, rel=1e-3)
        assert isolation.guaranteed(case) == pytest.approx(4 * on_the_link / 2000 * 1448 / 1564)


def test_nobody_sends_to_a_neighbour_on_the_same_hypervisor():
    """The shuffle is between all machines that have a cable between them, both ways."""
    assert pairs({"a": "h1", "b": "h1", "c": "h2"}) == [("a", "c"), ("b", "c"), ("c", "a"), ("c", "b")]


def test_a_shaper_holds_what_leaves_between_two_ticks():
    """Its bucket has room for two full frames at least, its queue for as many as were asked for."""
    assert shaping("eth0", 4.0, 300) == "qdisc replace dev eth0 root tbf rate 4mbit burst 3128 limit 469200"
    assert "burst 50000 " in shaping("eth0", 100.0, 10)


@pytest.mark.parametrize("experiment", FOUND, ids=lambda each: each.name)
def test_a_result_is_whole(experiment):
    """A result can be read, asks what its experiment asks, and its page and title are made from it."""
    record = Record.read(experiment.file)
    assert record.measurement == experiment.name
    assert record.question == experiment.module.QUESTION
    assert record.metrics
    assert experiment.module.page(record).startswith(("|", "The", "What"))


def test_the_page_is_fresh():
    """bench/vl2_paper/README.md says what is in bench/results/vl2_paper."""
    assert pages.README.read_text(encoding="utf-8") == pages.readme(), "run: python -m bench.vl2_paper.pages"


@pytest.mark.parametrize("experiment", FOUND, ids=lambda each: each.name)
def test_the_pictures_are_fresh(experiment):
    """Every experiment has a picture, and it was drawn from the present results."""
    pictures = list(pages.PLOTS.glob(f"{experiment.name}*.svg"))
    assert pictures
    for picture in pictures:
        assert drawn_from(picture) == digest(experiment.file), "run: python -m bench.vl2_paper.pages"


def test_a_slot_is_counted_from_its_beginning():
    """What arrives in the slot that has just begun belongs to what is watched from then on, from its first moment."""
    with Traffic({}, slot=0.25) as traffic:
        since = traffic.to_slot()
        assert 0 < since <= traffic.age < since + traffic.slot
        traffic._count("one", 1000)
        until = traffic.to_slot()
        assert traffic.goodput("one", since, until)[0] == 1000 * 8 / 1e6 / 0.25
        assert len(traffic.goodput("one", since, until)) == round((until - since) / 0.25)

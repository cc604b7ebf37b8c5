"""A flow can only be made as its table's declaration allows."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest

from overlay.changes import Unit, UnitKind, Unplugged
from overlay.compile import Compiler, flows_of
from overlay.flow import (
    COOKIE_MARK,
    Conjunction,
    DecTtl,
    FlowKey,
    Move,
    Output,
    Pipeline,
    PipelineError,
    PushVlan,
    Resubmit,
    Set,
    Table,
    Track,
    conditions,
    cookie,
)
from overlay.tables.names import CookieKind, object_number, provenance
from overlay.values import HostName
from tests.model.lab import Lab
from tests.overlay.test_packets import H1

FIRST = Table("first", "Tries.", matches=("in_port", "ipv4_src"), writes=("reg1", "eth_dst"), nexts=("second",))
SECOND = Table("second", "Ends.", matches=("reg1",), writes=("ttl",), outputs=True)
PIPELINE = Pipeline("small", FIRST, SECOND)


def test_a_flow_has_a_canonical_key() -> None:
    """Equal matches compare equal, however they were written; the key is table, priority and match."""
    flow = PIPELINE["first"].flow(
        5, {"ipv4_src": IPv4Network("10.0.0.0/8"), "in_port": 3}, cookie=COOKIE_MARK, goto="second"
    )
    assert flow.key == FlowKey(0, 5, conditions({"in_port": 3, "ipv4_src": (0x0A000001, 0xFF000000)}))
    assert flow.goto == SECOND.id == 1
    assert SECOND.flow(1, {}, cookie=COOKIE_MARK, actions=(DecTtl(), Output(1))).match == ()


def test_masks_are_brought_to_their_simplest_form() -> None:
    """A full mask is no mask, an empty mask is no condition."""
    assert conditions({"reg1": (5, 0xFFFFFFFF)}) == conditions({"reg1": 5})
    assert conditions({"ipv6_src": IPv6Network("::/0")}) == ()
    assert conditions({"ipv6_src": IPv6Network("::1/128").network_address}) == conditions({"ipv6_src": 1})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: conditions({"nonsense": 1}),
        lambda: conditions({"in_port": (1, 1)}),
        lambda: conditions({"eth_type": 0x10000}),
        lambda: conditions({"reg1": (1, -1)}),
        lambda: FIRST.flow(1, {"eth_src": 1}, cookie=COOKIE_MARK),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(Set("reg2", 1),)),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(Set("reg1", 1 << 32),)),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(Move("eth_src", "eth_src"),)),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(Move("ipv4_src", "eth_dst"),)),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(DecTtl(),)),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(Output(1),)),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(PushVlan(),)),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(Conjunction(1, 1, 2),)),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(Track("reg1", 1, commit=True, mark=1),)),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(Track("reg1", 0),)),
        lambda: FIRST.flow(1, {}, cookie=COOKIE_MARK, actions=(Resubmit(0),)),
        lambda: FIRST.extended(FIRST.flow(1, {}, cookie=COOKIE_MARK), Output(1)),
        lambda: SECOND.number_of("first"),
        lambda: SECOND.flow(1, {}, cookie=COOKIE_MARK, goto="first"),
        lambda: SECOND.flow(1, {}, cookie=1),
        lambda: cookie(256, 0),
        lambda: Pipeline("twice", FIRST, FIRST),
        lambda: Pipeline("unknown", Table("x", "", matches=("nonsense",))),
        lambda: Pipeline("back", Table("x", "", matches=(), nexts=("x",))),
    ],
    ids=map(str, range(24)),
)
def test_what_is_not_declared_is_refused(wrong: object) -> None:
    """An undeclared field, register, emission or backward hop, a value that does not fit, a foreign cookie: refused."""
    with pytest.raises((PipelineError, ValueError)):
        wrong()


def test_a_cookie_names_its_object() -> None:
    """A cookie has our mark, a kind, and the first ten digits of the object's UUID."""
    uuid = "0123abcd-ef89-4000-8000-000000000000"
    assert provenance(CookieKind.PORT, uuid) == COOKIE_MARK | 3 << 40 | 0x0123ABCDEF
    assert object_number("not a uuid") != object_number("not a UUID")


def test_two_units_never_make_one_flow(lab: Lab) -> None:
    """A flow of one unit that another one makes too is a defect, and is said loudly."""
    compiler = Compiler(lab.world)
    unit = Unit(H1, UnitKind.PORT, "red-a")
    compiler.refresh([unit])
    compiler._units[Unit(H1, UnitKind.PORT, "other")] = compiler._units.pop(unit)
    with pytest.raises(PipelineError, match="another one makes"):
        compiler.refresh([unit])


def test_a_switch_that_should_hold_nothing_is_forgotten(lab: Lab) -> None:
    """When the last flow of a host goes, the compiler holds nothing for it."""
    compiler = Compiler(lab.world)
    unit = Unit(H1, UnitKind.PORT, "red-a")
    compiler.refresh([unit])
    lab.change(Unplugged(H1, "red-a"))
    (delta,) = compiler.refresh([unit]).values()
    assert delta.remove
    assert (delta.put, compiler.hosts()) == ((), ())


@pytest.mark.parametrize("kind", [UnitKind.PORT, UnitKind.ADDRESS, UnitKind.NETWORK])
def test_what_is_no_more_has_no_flows(lab: Lab, kind: UnitKind) -> None:
    """A unit whose object or host does not exist has no flows."""
    assert flows_of(lab.world, Unit(H1, kind, "gone")) == ()
    assert flows_of(lab.world, Unit(HostName("h9"), kind, "red-a")) == ()
    assert dict(lab.compiler.desired(HostName("h9"))) == {}

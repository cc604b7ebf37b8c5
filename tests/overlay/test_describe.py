"""Pipelines and flows are printed for people, from what they are."""

from __future__ import annotations

from overlay.describe import document, show_action, show_condition, show_flow
from overlay.flow import (
    PORT_IN,
    Condition,
    Conjunction,
    DecTtl,
    Move,
    Output,
    Pipeline,
    PopVlan,
    PushVlan,
    Resubmit,
    Set,
    Table,
    ToController,
    ToGroup,
    Track,
    cookie,
)
from overlay.pipeline import PIPELINE
from overlay.specimen import pipeline_document
from overlay.tables.names import REGISTERS


def test_flow_in_one_line() -> None:
    """A flow is one line with names for tables, registers, ports and addresses."""
    table = PIPELINE["forward"]
    flow = table.flow(
        20,
        {"reg1": 100, "eth_dst": 0x020000000001},
        cookie=cookie(1, 1),
        actions=(Set("tunnel_id", 100), Set("tun_ipv4_dst", 0x0A00020B), Output(1)),
    )
    assert show_flow(flow, PIPELINE, REGISTERS) == (
        "forward 20: network=100, eth_dst=02:00:00:00:00:01 → tunnel_id:=100, tun_ipv4_dst:=10.0.2.11, output:1"
    )
    assert "reg1=100" in show_flow(flow, PIPELINE)
    told = PIPELINE["guard"].flow(1, {}, cookie=cookie(1, 1), actions=(ToController(),), meter=1)
    assert show_flow(told, PIPELINE) == "guard 1: any packet → meter:1, to controller"
    assert show_flow(PIPELINE["guard"].flow(1, {}, cookie=cookie(1, 1)), PIPELINE).endswith("→ drop")
    assert show_flow(table.flow(1, {}, cookie=cookie(1, 1), goto="receiver"), PIPELINE).endswith("→ goto receiver")


def test_every_action_and_value_has_words() -> None:
    """Each kind of action and value is printed as people write it."""
    actions = (Output(PORT_IN), ToController(), Set("ipv6_src", 1), Move("eth_src", "eth_dst"), ToGroup(7), DecTtl())
    actions += (Resubmit(9), Track("reg2"), Track("reg2", 0, commit=True, mark=1), Conjunction(7, 1, 3))
    actions += (PushVlan(), PopVlan())
    words = [show_action(action, {"reg2": "lane"}, ["first"]) for action in actions]
    assert words == [
        "output:in_port",
        "to controller",
        "ipv6_src:=::1",
        "eth_dst:=eth_src",
        "group:7",
        "count ttl down",
        "through table 9",
        "track(zone=lane)",
        "track(commit, zone=lane, ct_mark:=1, goto first)",
        "conjunction(7, 1/3)",
        "push vlan",
        "pop vlan",
    ]
    assert show_condition(Condition("eth_type", 0x800), {}) == "eth_type=0x0800"
    masked = Condition("ipv4_dst", 0x0A000000, 0xFF000000)
    assert show_condition(masked, {}) == "ipv4_dst=10.0.0.0/255.0.0.0"


def test_br_int_document_shows_every_table_with_flows() -> None:
    """PIPELINE.md has each table with its purpose and at least one flow that the compiler made."""
    text = pipeline_document()
    for table in PIPELINE.tables:
        section = text.split(f"## {table.id}. {table.name}\n")[1].split("\n## ")[0]
        assert table.purpose in section
        assert f"\n{table.name} " in section, table.name
    assert "meter:1, to controller" in text
    assert text == pipeline_document()


def test_any_pipeline_can_be_printed() -> None:
    """A pipeline without registers, samples or hops is printed as well."""
    pipeline = Pipeline("tiny", Table("only", "Does nothing.", matches=()))
    text = document(pipeline, [], title="Tiny", introduction="Small.")
    assert "| register |" not in text
    assert "- goes on to: nothing" in text

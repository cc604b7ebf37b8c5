"""What somebody breaks in a switch comes back, and what is not ours stays as it is."""

from __future__ import annotations

import re

import pytest

from tests.e2e.scene import Flow, Net, Scene, wait

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "leafspine", {"spines": 2, "leaves": 2}
FOREIGN = "cookie=0x1234,table=0,priority=7,in_port=4000,actions=drop"
FOREIGN_RULE = "cookie=0x1234, table=0, priority=7,in_port=4000 actions=drop"
AUDITS_SECONDS = 45
"""More than it takes until an audit reads all flows (audits count each 5 s, and every sixth reads)."""


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A machine on each of two hosts."""
    net = scene.network("red")
    scene.vm("one", "h1", net)
    scene.vm("two", "h2", net)
    return net


def delivering(scene: Scene) -> Flow:
    """The flow that sends frames for the machine on h2 into the tunnel."""
    mac = scene.vms()["two"].mac
    (found,) = [
        flow for flow in scene.flows("h1") if f"dl_dst={mac}" in flow.text and "tun_dst" in flow.text and flow.ours
    ]
    return found


def where(flow: Flow) -> str:
    """Table, priority and match, as ``ovs-ofctl --strict`` wants them."""
    table = re.search(r"table=\d+", flow.text)
    match = re.search(r"priority=\S+", flow.text)
    assert table is not None
    assert match is not None
    return f"{table[0]},{match[0]}"


@pytest.mark.usefixtures("net")
def test_a_deleted_and_a_changed_flow_come_back_and_a_foreign_one_stays(scene: Scene) -> None:
    """Audits restore a flow of ours that was deleted, or whose actions were changed, and leave a foreign one alone."""
    scene.ofctl("h1", "add-flow", "br-int", FOREIGN)
    flow, before = delivering(scene), scene.rules("h1")
    assert FOREIGN_RULE in before

    scene.ofctl("h1", "--strict", "del-flows", "br-int", where(flow))
    assert scene.rules("h1") < before
    wait(lambda: scene.rules("h1") == before, "the deleted flow is back", AUDITS_SECONDS)

    scene.ofctl("h1", "--strict", "mod-flows", "br-int", f"{where(flow)},actions=drop")
    assert scene.rules("h1") != before
    assert not scene.reaches("one", scene.ip("two"))
    wait(lambda: scene.rules("h1") == before, "the changed flow is as it was", AUDITS_SECONDS)
    assert scene.reaches("one", scene.ip("two"))


@pytest.mark.usefixtures("net")
def test_a_foreign_flow_survives_reconciliation(scene: Scene) -> None:
    """A flow without our mark is still there after a restarted controller has put the switch right."""
    scene.ofctl("h2", "add-flow", "br-int", FOREIGN)
    before = scene.rules("h2")
    scene.lab.kill_controller()
    mac = scene.vms()["one"].mac
    scene.ofctl("h2", "del-flows", "br-int", f"dl_dst={mac}")
    assert scene.rules("h2") < before
    scene.lab.start_controller()
    wait(lambda: scene.rules("h2") == before, "the deleted flows are back")
    assert FOREIGN_RULE in scene.rules("h2")


def meaning(scene: Scene, node: str, bridge: str) -> set[str]:
    """The rules of ours that a switch holds, with what its groups do instead of their numbers."""
    said = scene.ofctl(node, "dump-groups", bridge)
    groups = dict(re.findall(r"group_id=(\d+),(.*)", said))

    def told(rule: str) -> str:
        return re.sub(r"group:(\d+)", lambda found: groups.get(found[1], "?"), rule)

    return {told(told(flow.rule)) for flow in scene.flows(node, bridge) if flow.ours}  # a leaf leads to another group


@pytest.mark.parametrize("victim", ["h1", "leaf1", "spine1"])
@pytest.mark.usefixtures("net")
def test_a_killed_vswitchd_is_whole_again(scene: Scene, victim: str) -> None:
    """When ovs-vswitchd of a hypervisor or fabric switch was killed and started, machines reach each other again."""
    bridge = "br-int" if victim.startswith("h") else "br0"
    before = meaning(scene, victim, bridge)
    scene.lab.kill_vswitchd(victim)
    if not victim.startswith("spine"):
        assert not scene.reaches("one", scene.ip("two"))
    scene.lab.restart_vswitchd(victim)
    wait(lambda: scene.reaches("one", scene.ip("two")), "machines reach each other again")
    wait(scene.all_connected, "all switches are connected again")
    wait(
        lambda: meaning(scene, victim, bridge) == before,
        f"{victim} holds what it held",
    )

"""What a switch is told, it says again: flows read back from Open vSwitch equal those that were sent."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest

from controller.events import MessageConfirmed, MessageRejected
from overlay.flow import (
    FIELDS,
    PORT_IN,
    PORT_LOCAL,
    VLAN_PRESENT,
    Bucket,
    Conjunction,
    DecTtl,
    Flow,
    Group,
    Meter,
    MeterUnit,
    Move,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    Set,
    ToController,
    ToGroup,
    Track,
    conditions,
    cookie,
)

pytestmark = pytest.mark.root

MAC = 0x020000000001
ARP = {"eth_type": 0x0806}
IPV4 = {"eth_type": 0x0800}
IPV6 = {"eth_type": 0x86DD}
ICMPV6 = IPV6 | {"ip_proto": 58}
SOLICITATION = ICMPV6 | {"icmpv6_type": 135, "icmpv6_code": 0}
ADVERTISEMENT = ICMPV6 | {"icmpv6_type": 136, "icmpv6_code": 0}
ADDRESS = 0x20010DB8 << 96 | 7

METER = Meter(1, 100, 10)
RATE = Meter(0x1FEFF, 400_000_000, 40_000_000, MeterUnit.KILOBITS)
BUCKETS = (Bucket((Output(1),), 1, 1), Bucket((Set("eth_dst", MAC), DecTtl(), Output(2)), 3, 2), Bucket(()))
GROUP = Group(5, BUCKETS, 0xFEDCBA98)
FAILOVER = Group(6, (Bucket((Output(2),), watch_port=2), Bucket((Output(1),), watch_port=1)), failover=True)
INDIRECT = Group(7, (Bucket((ToGroup(GROUP.group_id),)),), indirect=True)

MATCHES = {
    "everything": {},
    "port": {"in_port": 1},
    "local port": {"in_port": PORT_LOCAL},
    "tunnel": {"in_port": 1, "tunnel_id": 7},
    "masked tunnel": {"tunnel_id": (0x100, 0xF00)},
    "tunnel ends": {"tun_ipv4_src": 0x0A000001, "tun_ipv4_dst": 0x0A000002},
    "metadata": {"metadata": (1 << 40, 0xFF << 40)},
    "ethernet": {"eth_src": MAC, "eth_dst": MAC + 1},
    "group bit": {"eth_dst": (1 << 40, 1 << 40)},
    "masked multicast": {"eth_dst": (0x333300000000, 0xFFFF00000000)},
    "full mask": {"eth_dst": (MAC, (1 << 48) - 1), "reg1": (3, 0xFFFFFFFF)},
    "no mask": {"eth_dst": (MAC, 0)},
    "arp": ARP | {"arp_op": 1, "arp_spa": 1, "arp_tpa": 2, "arp_sha": MAC, "arp_tha": MAC},
    "rarp": {"eth_type": 0x8035, "eth_src": MAC},
    "masked arp": ARP | {"arp_spa": IPv4Network("10.0.0.0/8"), "arp_tpa": IPv4Network("10.1.0.0/16")},
    "ipv4": IPV4 | {"ipv4_src": 1, "ipv4_dst": IPv4Network("10.0.1.0/24")},
    "udp": IPV4 | {"ip_proto": 17, "udp_src": 68, "udp_dst": 67},
    "tcp": IPV4 | {"ip_proto": 6, "tcp_src": (0x8000, 0x8000), "tcp_dst": 80},
    "udp over ipv6": IPV6 | {"ip_proto": 17, "udp_dst": 547},
    "ipv6": IPV6 | {"ipv6_src": ADDRESS, "ipv6_dst": IPv6Network("2001:db8::/32")},
    "icmpv6": ICMPV6 | {"icmpv6_type": 133},
    "solicitation": SOLICITATION | {"ipv6_nd_target": ADDRESS, "ipv6_nd_sll": MAC},
    "advertisement": ADVERTISEMENT | {"ipv6_nd_target": ADDRESS, "ipv6_nd_tll": MAC},
    "nd extension": SOLICITATION | {"nd_reserved": 0x60000000, "nd_options_type": 2},
    "registers": {f"reg{n}": n for n in range(16)},
    "masked register": {"reg3": (0xF0, 0xF0)},
    "a register of zero": {"reg4": 0},
    "the second of a pair": {"reg15": 7},
    "a pair of which one is masked": {"reg6": (0x100, 0xF00), "reg7": 0xFFFFFFFF},
    "lldp": {"eth_type": 0x88CC},
    "no tag": {"vlan_vid": 0},
    "a tag": {"in_port": 1, "vlan_vid": VLAN_PRESENT | 100},
    "any tag": {"vlan_vid": (VLAN_PRESENT, VLAN_PRESENT)},
    "dscp": IPV4 | {"ip_dscp": 46},
    "later fragment": IPV4 | {"ip_frag": (2, 2)},
    "no fragment": IPV6 | {"ip_frag": 0},
    "in the middle": IPV4 | {"ip_proto": 6, "ip_frag": 0, "tcp_flags": (0x10, 0x16), "ct_mark": (0, 1)},
    "sctp": IPV6 | {"ip_proto": 132, "sctp_src": 1, "sctp_dst": (0x100, 0xFF00)},
    "icmp": IPV4 | {"ip_proto": 1, "icmpv4_type": 3, "icmpv4_code": 4},
    "connection": IPV4 | {"ct_state": (0x2A, 0x2A), "ct_mark": 1},
    "no such state": IPV6 | {"ct_state": (0x20, 0x30), "ct_mark": (0, 1)},
    "conjunction": {"conj_id": 0x80000001},
}

PROGRAMS = {
    "drop": ({}, (), None, None),
    "next table": ({}, (), 9, None),
    "output": ({}, (Output(1), Output(PORT_LOCAL)), None, None),
    "turn round": ({"in_port": 1}, (Output(PORT_IN),), None, None),
    "punt": ({}, (ToController(),), None, METER.meter_id),
    "metered and go on": ({}, (Set("reg1", 5),), 9, RATE.meter_id),
    "punt and go on": ({}, (ToController(),), 9, METER.meter_id),
    "group": (IPV4, (DecTtl(), ToGroup(GROUP.group_id)), None, None),
    "registers": ({}, tuple(Set(f"reg{n}", 1 << n) for n in range(16)), 9, None),
    "metadata": ({}, (Set("metadata", 1 << 63),), 9, None),
    "tunnel": (
        {}, (Set("tunnel_id", 70), Set("tun_ipv4_dst", 0x0A000103), Set("tun_ipv4_src", 1), Output(1)), None, None,
    ),
    "ethernet": ({}, (Set("eth_src", MAC), Set("eth_dst", MAC), Move("eth_src", "eth_dst"), Output(1)), None, None),
    "register to register": ({}, (Move("reg1", "reg2"),), 9, None),
    "arp reply": (
        ARP | {"arp_op": 1, "arp_tpa": 7},
        (
            Move("eth_src", "eth_dst"), Set("eth_src", MAC), Set("arp_op", 2), Move("arp_sha", "arp_tha"),
            Set("arp_sha", MAC), Move("arp_spa", "arp_tpa"), Set("arp_spa", 7), Output(PORT_IN),
        ),
        None, None,
    ),
    "neighbour solicitation turned": (
        SOLICITATION | {"ipv6_nd_target": ADDRESS},
        (
            Move("eth_src", "eth_dst"), Set("eth_src", MAC), Move("ipv6_src", "ipv6_dst"), Set("ipv6_src", ADDRESS),
            Set("icmpv6_type", 136), Set("nd_reserved", 0x60000000), Set("nd_options_type", 2),
        ),
        9, None,
    ),
    "neighbour advertisement": (ADVERTISEMENT, (Set("ipv6_nd_tll", MAC), Output(PORT_IN)), None, None),
    "neighbour advertisement by its sender": (
        ADVERTISEMENT, (Move("eth_src", "ipv6_nd_tll"), Output(PORT_IN)), None, None,
    ),
    "neighbour fields": (
        SOLICITATION,
        (Set("ipv6_nd_target", ADDRESS), Set("ipv6_nd_sll", MAC), Set("icmpv6_code", 0), Output(1)), None, None,
    ),
    "ipv4 and ports": (
        IPV4 | {"ip_proto": 17},
        (Set("ipv4_src", 1), Set("ipv4_dst", 2), Set("udp_src", 3), Set("udp_dst", 4), Output(1)), None, None,
    ),
    "tcp ports": (IPV4 | {"ip_proto": 6}, (Set("tcp_src", 3), Set("tcp_dst", 4), Output(1)), None, None),
    "tag": ({}, (PushVlan(), Set("vlan_vid", VLAN_PRESENT | 100), Output(1), PopVlan()), None, None),
    "no tag": ({"in_port": 1, "vlan_vid": VLAN_PRESENT | 100}, (PopVlan(), Set("reg2", 7)), 9, None),
    "dscp": (IPV6, (Set("ip_dscp", 46),), 9, None),
    "copies": ({}, (Set("reg3", 1), Resubmit(9), Set("reg3", 2), Resubmit(9)), None, None),
    "track": (IPV4, (Track("reg2", 9),), None, None),
    "remember": (IPV6, (Track("reg2", commit=True),), 9, None),
    "mark": (IPV4, (Track("reg15", 9, commit=True, mark=1),), None, None),
    "dimensions": ({"reg2": 5}, (Conjunction(0xFFFFFFFF, 1, 2), Conjunction(7, 3, 3)), None, None),
    "same field twice": ({}, (Set("reg1", 1), Output(1), Set("reg1", 2), Output(2)), None, None),
}  # fmt: skip


def _flows() -> list[Flow]:
    by_match = [
        Flow(0, 10 + n, conditions(match), cookie(1, n), (), 9 if n % 2 else None)
        for n, match in enumerate(MATCHES.values())
    ]
    by_program = [
        Flow(1, 10 + n, conditions(match), cookie(2, n), actions, goto, meter)
        for n, (match, actions, goto, meter) in enumerate(PROGRAMS.values())
    ]
    return by_match + by_program


def _by_cookie(flows):
    return {flow.cookie: flow for flow in flows}


def test_all_that_a_table_can_say_reads_back_equal(controller, br):
    """Every field, mask, action and instruction of ours is read back as the very value that was sent."""
    sent = _flows()
    ended = controller.send(br, meters=(METER, RATE), put_groups=(GROUP, FAILOVER, INDIRECT), put=tuple(sent))
    assert isinstance(ended, MessageConfirmed), ended
    held = br.read()
    read = _by_cookie(flow for flow, _ in held.flows)
    for flow in sent:
        assert read[flow.cookie] == flow
    assert len(held.flows) == len(sent) == br.count()
    assert sorted(held.groups, key=lambda group: group.group_id) == [GROUP, FAILOVER, INDIRECT]
    assert held.meters == (METER, RATE)


def test_a_switch_checks_fields_by_the_match_alone(controller, br):
    """A flow that matches solicitations cannot write an advertisement's field, though it sets the type first.

    The next table, which matches advertisements, can.
    """
    actions = (Set("icmpv6_type", 136), Set("nd_options_type", 2), Set("ipv6_nd_tll", MAC), Output(PORT_IN))
    ended = controller.send(br, put=(Flow(0, 1, conditions(SOLICITATION), cookie(1, 1), actions),))
    assert isinstance(ended, MessageRejected)
    assert "OFPBAC_MATCH_INCONSISTENT" in ended.reason


def test_every_field_was_tried():
    """The test above leaves out no field that a pipeline can match on."""
    assert {name for match in MATCHES.values() for name in match} == set(FIELDS)


def test_putting_again_what_is_there_changes_nothing(controller, br):
    """Flows that were read back can be put again: the table is the same afterwards."""
    sent = _flows()
    controller.send(br, meters=(METER, RATE), put_groups=(GROUP,), put=tuple(sent))
    before = br.read()
    again = controller.send(
        br, meters=before.meters, changed_groups=before.groups, put=tuple(f for f, _ in before.flows)
    )
    assert isinstance(again, MessageConfirmed), again
    assert _by_cookie(f for f, _ in br.read().flows) == _by_cookie(sent)


def test_what_was_put_can_be_removed(controller, br):
    """Each flow can be removed by its key, whatever its fields; groups too; nothing of ours is left."""
    sent = tuple(_flows())
    controller.send(br, meters=(METER, RATE), put_groups=(GROUP,), put=sent)
    ended = controller.send(br, remove=sent, remove_groups=(GROUP.group_id,))
    assert isinstance(ended, MessageConfirmed), ended
    held = br.read()
    assert held.flows == ()
    assert held.groups == ()
    assert br.count() == 0

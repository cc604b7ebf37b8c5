"""Is what the owner is told about plugged ports always possible, and in the end always true?"""

from ipaddress import IPv4Address

from hypothesis import example, given
from hypothesis import strategies as st

from controller.ovsdb.attachments import Attachments
from controller.ovsdb.join import Join
from controller.ovsdb.replica import Replica
from overlay.values import HostKind, HostName

INTERFACE = st.tuples(
    st.sampled_from("abcd"), st.sampled_from(["", "p1", "p2", "p3"]), st.sampled_from([-1, 0, 1, 2, 3])
)


def picture(replica, rows):
    """Make the replica hold these interfaces in br-int, as one update would."""
    touched = set()
    for name in "abcd":
        known, wanted = f"i{name}" in replica.interfaces, name in rows
        if wanted:
            port_id, ofport = rows[name]
            columns = {"name": name, "ofport": ofport or ["set", []], "external_ids": ["map", [["iface-id", port_id]]]}
            if known:
                touched |= replica.apply("Interface", {f"i{name}": {"delete": None}})
            touched |= replica.apply("Interface", {f"i{name}": {"insert": columns}})
        elif known:
            touched |= replica.apply("Interface", {f"i{name}": {"delete": None}})
    return touched


@example([[("a", "p2", 1), ("c", "p1", 1)], [("a", "p2", 1)]])
@given(st.lists(st.lists(INTERFACE, max_size=4, unique_by=lambda row: row[0]), max_size=8))
def test_two_ports_are_never_at_one_number(history):
    """At each moment, told ports have distinct numbers, and unplugging is only told of what was told as plugged."""
    replica = Replica()
    ports = {f"t{name}": {"insert": {"name": name, "interfaces": ["uuid", f"i{name}"]}} for name in "abcd"}
    replica.apply("Port", ports)
    replica.apply("Bridge", {"b": {"insert": {"name": "br-int", "ports": ["set", [["uuid", p] for p in ports]]}}})
    attachments = Attachments(replica, Join(HostName("h1"), IPv4Address("10.0.1.11"), netdev=True))
    told = {}
    for rows in history:
        state = {name: (port_id, ofport) for name, port_id, ofport in rows}
        for port_id, ofport in attachments.refresh(picture(replica, state)):
            if ofport is None:
                del told[port_id]
            else:
                told[port_id] = ofport
            assert len(set(told.values())) == len(told)
        assert dict(attachments.plugged()) == told
        sound = [(port_id, ofport) for port_id, ofport in state.values() if port_id and ofport > 0]
        assert told.items() <= set(sound)
        if len({p for p, _ in sound}) == len({o for _, o in sound}) == len(sound):
            unambiguous = set(sound)
            assert told.items() == unambiguous


def test_an_edge_switch_tells_its_cables_by_name():
    """What is told of an edge switch are the interfaces of br-vtep whose link is not down, but not the tunnel."""
    replica = Replica()
    rows = {"vx-vl2": (1, "up"), "eth1": (2, "up"), "eth2": (3, "down"), "eth3": (4, None), "br-vtep": (65534, "up")}
    for name, (ofport, link) in rows.items():
        columns = {"name": name, "ofport": ofport, "link_state": link or ["set", []]}
        replica.apply("Interface", {f"i{name}": {"insert": columns}})
    ports = {f"t{name}": {"insert": {"name": name, "interfaces": ["uuid", f"i{name}"]}} for name in rows}
    replica.apply("Port", ports)
    replica.apply("Bridge", {"b": {"insert": {"name": "br-vtep", "ports": ["set", [["uuid", p] for p in ports]]}}})
    edge = Join(HostName("tor1"), IPv4Address("10.0.1.250"), netdev=True, kind=HostKind.EDGE)
    attachments = Attachments(replica, edge)
    assert set(attachments.refresh(replica.interfaces)) == {("eth1", 2), ("eth3", 4)}
    for name, link in (("eth1", "down"), ("eth2", "up")):
        replica.apply("Interface", {f"i{name}": {"modify": {"link_state": link}}})
    assert set(attachments.refresh(replica.interfaces)) == {("eth1", None), ("eth2", 3)}

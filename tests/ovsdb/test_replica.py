"""Is the copy of the rows the same as the rows, after whatever was done to them?"""

import random
from dataclasses import asdict

import eventlet
import pytest
from eventlet.green import socket as green_socket

from controller.ovsdb.framing import ProtocolError
from controller.ovsdb.peer import Notification, Peer, Reply
from controller.ovsdb.replica import Replica, monitor_requests


def watch(path):
    """A replica of a real database, kept current by a green thread."""
    sock = green_socket.socket(green_socket.AF_UNIX)
    sock.connect(str(path))
    peer = Peer(sock)
    peer.request("monitor_cond", "Open_vSwitch", "test", monitor_requests())
    replica = Replica()

    def follow():
        for message in peer.messages():
            updates = None
            if isinstance(message, Reply):
                updates = message.result
            elif isinstance(message, Notification):
                updates = message.params[1]
            for table, rows in (updates or {}).items():
                replica.apply(table, rows)
        peer.close()

    return replica, peer, eventlet.spawn(follow)


def contents(replica):
    """Everything that a replica knows, to compare."""
    tables = (replica.root, replica.bridges, replica.ports, replica.interfaces, replica.controllers)
    places = {i: replica.bridge_of_interface(i) for i in replica.interfaces}
    named = {row.name: replica.port_named(row.name) for row in replica.ports.values()}
    return [{row_id: asdict(row) for row_id, row in table.items()} for table in tables], places, named


@pytest.mark.parametrize("seed", range(4))
def test_following_equals_looking_again(make_hypervisor, until, seed):
    """After a random history of changes the followed copy equals one that is made from scratch."""
    chance = random.Random(seed)  # noqa: S311
    hypervisor = make_hypervisor(switch=False)
    path = hypervisor.directory / "db.sock"
    hypervisor.vsctl("add-br", "b0", "--", "add-br", "b1")
    followed, *first = watch(path)
    for number in range(40):
        words = []
        for _ in range(chance.randint(1, 4)):
            bridge, port = f"b{chance.randrange(2)}", f"p{chance.randrange(6)}"
            words += ["--", *chance.choice([
                ("--if-exists", "del-port", port),
                ("--if-exists", "del-port", port, "--", "add-port", bridge, port),
                ("--may-exist", "add-port", "b0", f"q{number}", "--", "set", "Interface", f"q{number}",
                 f"external_ids:a={chance.randrange(3)}", f"external_ids:b={chance.randrange(3)}", "ofport=5"),
                ("--if-exists", "remove", "Interface", port, "external_ids", "a"),
                ("--if-exists", "set", "Interface", port, f"external_ids:a={chance.randrange(3)}", "ofport=[]"),
                ("set", "Bridge", bridge, f"protocols=OpenFlow1{chance.randrange(5)}", "fail_mode=secure"),
                ("clear", "Bridge", bridge, "fail_mode"),
                ("--if-exists", "del-br", "b1", "--", "--may-exist", "add-br", "b1"),
                ("set-controller", bridge, f"tcp:127.0.0.1:{number + 1}", "tcp:127.0.0.1:1"),
            ])]  # fmt: skip
        hypervisor.vsctl(*words[1:])
    hypervisor.vsctl("set", "Open_vSwitch", ".", "external_ids:end=1")
    until(lambda: any(row.external_ids.get("end") for row in followed.root.values()))
    fresh, *second = watch(path)
    until(lambda: fresh.root)
    assert contents(followed) == contents(fresh)
    assert followed.interfaces
    assert all(followed.bridge_of_interface(interface) for interface in followed.interfaces)
    for peer, thread in (first, second):
        peer.hang_up()
        thread.wait()


@pytest.mark.parametrize(
    ("table", "updates"),
    [
        ("Manager", {}),
        ("Port", []),
        ("Port", {"p": 1}),
        ("Port", {"p": {}}),
        ("Port", {"p": {"modify": {"name": "x"}}}),
        ("Port", {"p": {"insert": {"tag": 1}}}),
        ("Port", {"p": {"insert": {"name": {"a": 1}}}}),
        ("Port", {"p": {"insert": {"interfaces": ["set", [["other", "x"]]]}}}),
        ("Interface", {"i": {"insert": {"options": "x"}}}),
        ("Interface", {"i": {"insert": {"options": ["map", [["a"]]]}}}),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(table, updates):
    """An update that the schema does not allow is an error of the protocol."""
    with pytest.raises(ProtocolError):
        Replica().apply(table, updates)

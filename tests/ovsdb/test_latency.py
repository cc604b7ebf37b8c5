"""How soon is a change of the database told, and does the number of ports matter?"""

import gc
import json
import statistics
import time

import eventlet
import pytest
from eventlet.green import socket as green_socket

from overlay.changes import HostSnapshot, Plugged, Unplugged

CHANGES = 60


def fill(hypervisor, count):
    """Put so many numbered ports into br-int, as their switch would report them."""
    for start in range(0, count, 250):
        words = []
        for number in range(start, min(start + 250, count)):
            words += ["--", "add-port", "br-int", f"t{number}", "--", "set", "Interface", f"t{number}",
                      f"external_ids:iface-id=p{number}", f"ofport={number + 10}"]  # fmt: skip
        hypervisor.vsctl(*words[1:])


class Client:
    """A user's own connection to the database."""

    def __init__(self, path):
        self._socket = green_socket.socket(green_socket.AF_UNIX)
        self._socket.connect(str(path))

    def close(self):
        self._socket.close()

    def renumber(self, device, number):
        """One transaction that changes one row, with nothing waited for."""
        where = [["name", "==", device]]
        update = {"op": "update", "table": "Interface", "where": where, "row": {"ofport": number}}
        self._socket.sendall(json.dumps({"id": 1, "method": "transact", "params": ["Open_vSwitch", update]}).encode())

    def answer(self):
        """The database's reply."""
        return json.loads(self._socket.recv(65536))


@pytest.mark.parametrize("ports", [10, 2500])
def test_a_change_is_told_within_milliseconds(make_hypervisor, server, recorder, until, ports):
    """From sending a transaction to the event it causes takes a few milliseconds, with many ports as with few."""
    hypervisor = make_hypervisor(switch=False)
    hypervisor.vsctl("add-br", "br-int")
    fill(hypervisor, ports)
    hypervisor.join(server)
    until(lambda: recorder.of(HostSnapshot) and hypervisor.written() == 1)
    assert len(recorder.plugged()) == ports
    client = Client(hypervisor.directory / "db.sock")
    taken = []
    for change in range(CHANGES):
        recorder.events.clear()
        begun = time.perf_counter()
        client.renumber("t0", 5000 + change)
        until(lambda: recorder.of(Plugged), pause=0)
        taken.append((time.perf_counter() - begun) * 1000)
        assert client.answer()["error"] is None
    client.close()
    median = statistics.median(taken)
    assert recorder.of(Unplugged) == []
    assert median < 5, f"{median:.2f} ms (fastest {min(taken):.2f})"


def test_a_big_picture_is_taken_over_in_pieces(make_hypervisor, server, recorder, until):
    """While the picture of 2,500 ports is taken over, no other green thread waits long for its turn."""
    hypervisor = make_hypervisor(switch=False)
    hypervisor.vsctl("add-br", "br-int")
    fill(hypervisor, 2500)
    gaps = []

    def heartbeat():
        last = time.perf_counter()
        while True:
            eventlet.sleep(0)
            now = time.perf_counter()
            gaps.append((now - last) * 1000)
            last = now

    hypervisor.join(server)
    gc.disable()  # a full collection of all that the tests have imported takes longer than anything measured here
    try:
        thread = eventlet.spawn(heartbeat)
        until(lambda: recorder.of(HostSnapshot))
        thread.kill()
    finally:
        gc.enable()
    assert len(recorder.plugged()) == 2500
    assert max(gaps) < sum(gaps) / 2, f"{max(gaps):.1f} of {sum(gaps):.1f} ms"

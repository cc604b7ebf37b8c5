"""The agent beside QEMU moves ports when real QEMUs migrate; the controller's API is real, the switches a world's."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostside.machines import Agent, Machine, agent, wait


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for sockets, whose paths may have 107 bytes (unix(7))."""
    path = Path(tempfile.mkdtemp(prefix="vl2-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """The operator's token in a file."""
    file = tmp_path / "token"
    file.write_text("operator-0123456789\n")
    return file


@pytest.fixture
def ports(op, edge) -> list[str]:
    """Two ports of one guest at h1."""
    network = op.make("network", project_id="blue")
    made = [op.make("port", network_id=network["id"], **{"binding:host_id": "h1"})["id"] for _ in range(2)]
    for number, port in enumerate(made, 5):
        edge.service.plug("h1", port, number)
    return made


@pytest.fixture
def prepared(op, edge, ports: list[str]) -> list[str]:
    """The same ports, ready to move to h2."""
    for number, port in enumerate(ports, 5):
        op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}})
        edge.service.plug("h2", port, number)
    return ports


@pytest.fixture
def common(edge, token: Path, ports: list[str]) -> list[object]:
    """The options of all agents."""
    found: list[object] = ["--url", f"http://127.0.0.1:{edge.port}", "--token-file", token]
    for port in ports:
        found += ["--port", port]
    return found


def active(op, ports: list[str]) -> set[str]:
    """Where ports are active."""
    return {
        each["host"]
        for port in ports
        for each in op("GET", f"/v2.0/ports/{port}/bindings").body["bindings"]
        if each["status"] == "ACTIVE"
    }


def test_a_migration_that_waits_before_the_switch(op, edge, place: Path, prepared: list[str], common) -> None:
    """The source's agent activates all ports while QEMU waits, then lets it go on; the target's finds it done."""
    with (
        Machine(place, "one") as one,
        Machine(place, "two", incoming=True) as two,
        agent("--qmp", one.qmp, "--host", "h1", "--continue", *common) as source,
        agent("--qmp", two.qmp, "--host", "h2", *common) as target,
    ):
        assert source.until("watching")["ports"] == sorted(prepared)
        assert target.until("watching")["incoming"]
        one.migrate(two, pause=True)
        target.until("RESUME")
        assert active(op, prepared) == {"h2"}
        continued = source.until("continued")
        assert (continued["confirmed"], continued["ports"], continued["guest"]) == (2, 2, "one")
        handed = source.heard("activated", order="hand over", host="h2")
        assert {each["port"] for each in handed} == set(prepared)
        assert max(each["monotonic"] for each in handed) <= continued["monotonic"]
        for port in prepared:
            target.until("already active", order="arrive", port=port, host="h2")
        wait(lambda: two.status() == "running", "it runs at the target")
        source.until("MIGRATION", status="completed")
        target.until("MIGRATION", status="completed")
        edge.service.settle()
    assert not [each for each in target.said if each.get("order") == "hand over"], "the guest has come, not gone"


def test_a_migration_that_does_not_wait(op, place: Path, prepared: list[str], common) -> None:
    """Without a pause before the switch the source's agent activates at STOP."""
    with (
        Machine(place, "one") as one,
        Machine(place, "two", incoming=True) as two,
        agent("--qmp", one.qmp, "--host", "h1", *common) as source,
    ):
        source.until("watching")
        one.migrate(two)
        for port in prepared:
            source.until("activated", order="hand over", port=port, host="h2")
        wait(lambda: two.status() == "running", "it runs at the target")
        assert active(op, prepared) == {"h2"}
        assert not source.heard("continued")


def test_nobody_at_the_source(op, place: Path, prepared: list[str], common) -> None:
    """Where the source has no agent, the target's activates when the guest goes on."""
    with (
        Machine(place, "one") as one,
        Machine(place, "two", incoming=True) as two,
        agent("--qmp", two.qmp, "--host", "h2", *common) as target,
    ):
        target.until("watching")
        one.migrate(two)
        for port in prepared:
            target.until("activated", order="arrive", port=port, host="h2")
        assert active(op, prepared) == {"h2"}


def test_a_guest_that_came_before_the_agent(op, place: Path, prepared: list[str], common) -> None:
    """A guest that runs already when the agent begins has its ports activated, if they are not."""
    with Machine(place, "two") as two, agent("--qmp", two.qmp, "--host", "h2", *common) as target:
        assert target.until("watching")["running"]
        for port in prepared:
            target.until("activated", order="arrive", port=port, host="h2")
    assert active(op, prepared) == {"h2"}


def test_a_qemu_that_ends_at_once(op, edge, place: Path, ports: list[str], common) -> None:
    """A guest that has gone is handed over also when its QEMU ends before the target is ready."""
    for port in ports:
        op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}})
    with (
        Machine(place, "two", incoming=True) as two,
        Machine(place, "one") as one,
        agent("--qmp", one.qmp, "--host", "h1", *common) as source,
    ):
        source.until("watching")
        one.migrate(two)
        source.until("MIGRATION", status="completed")
        one.ask("quit")
        source.until("waiting")
        for number, port in enumerate(ports, 5):
            edge.service.plug("h2", port, number)
        wait(lambda: active(op, ports) == {"h2"}, "it is handed over")


def test_a_guest_that_just_starts(op, place: Path, prepared: list[str], common) -> None:
    """A guest that starts or is paused where its ports are active, or where they have no binding, changes nothing."""
    with Machine(place, "one", "-S") as one, agent("--qmp", one.qmp, "--host", "h1", *common) as here:
        here.until("watching")
        one.ask("cont")
        for port in prepared:
            here.until("already active", order="arrive", port=port, host="h1")
        one.ask("stop")
        here.until("STOP")
    with Machine(place, "two", "-S") as two, agent("--qmp", two.qmp, "--host", "h3", *common) as other:
        other.until("watching")
        two.ask("cont")
        for port in prepared:
            other.until("not bound here", order="arrive", port=port)
    assert active(op, prepared) == {"h1"}


def test_a_migration_that_is_called_off_after_the_switch(op, edge, place: Path, prepared: list[str], common) -> None:
    """A guest that goes on at the source although its ports were handed over gets them back."""
    with (
        Machine(place, "one") as one,
        Machine(place, "two", incoming=True) as two,
        agent("--qmp", one.qmp, "--host", "h1", *common) as source,
    ):
        source.until("watching")
        one.migrate(two, pause=True)
        ready = source.until("ready to go on")
        assert (ready["confirmed"], active(op, prepared)) == (2, {"h2"})
        one.ask("migrate_cancel")
        source.until("RESUME")
        edge.service.settle()
        for number, port in enumerate(prepared, 5):
            wait(lambda port=port: op("GET", f"/v2.0/ports/{port}/bindings/h1").status == 200, source.said)
            edge.service.plug("h1", port, number)
        for port in prepared:
            source.until("activated", order="take back", port=port, host="h1")
        assert active(op, prepared) == {"h1"}


@pytest.mark.parametrize("cancel", [True, False])
def test_a_migration_that_fails_before_the_switch(op, place: Path, prepared: list[str], common, cancel: bool) -> None:
    """A migration that fails before the guest stops leaves the ports; their passive bindings go if that is wished."""
    more = ["--cancel"] if cancel else []
    with Machine(place, "one") as one, agent("--qmp", one.qmp, "--host", "h1", *more, *common) as source:
        source.until("watching")
        with socket.socket(socket.AF_UNIX) as deaf:
            # Somebody who takes the connection, and leaves before the guest has been copied.
            deaf.bind(str(place / "deaf"))
            deaf.listen(1)
            one.ask("migrate", uri=f"unix:{place / 'deaf'}")
            deaf.accept()[0].close()
        source.until("MIGRATION", status="failed")
        if cancel:
            for port in prepared:
                source.until("cancelled", port=port, host="h2")
        assert active(op, prepared) == {"h1"}
        left = [op("GET", f"/v2.0/ports/{port}/bindings/h2").status for port in prepared]
        assert left == [404 if cancel else 200] * 2
        assert not source.heard("activated")


def test_an_agent_that_begins_while_qemu_waits(op, place: Path, prepared: list[str], common) -> None:
    """An agent that was away when the guest stopped asks QEMU, and does what there is to do."""
    with Machine(place, "one") as one, Machine(place, "two", incoming=True) as two:
        one.migrate(two, pause=True)
        wait(lambda: one.migration() == "pre-switchover", "QEMU waits")
        with agent("--qmp", one.qmp, "--host", "h1", "--continue", *common) as source:
            assert source.until("watching")["migration"] == "pre-switchover"
            assert source.until("continued")["confirmed"] == 2
            wait(lambda: two.status() == "running", "it runs at the target")
    assert active(op, prepared) == {"h2"}


def test_a_port_that_gets_ready_late(op, edge, place: Path, ports: list[str], common) -> None:
    """A target that becomes ready, or is prepared, only while the guest stands still is activated then."""
    with (
        Machine(place, "one") as one,
        Machine(place, "two", incoming=True) as two,
        agent("--qmp", one.qmp, "--host", "h1", "--continue", "--patience", "30", *common) as source,
    ):
        source.until("watching")
        for port in ports:
            op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}})
        one.migrate(two, pause=True)
        source.until("MIGRATION", status="pre-switchover")
        assert one.migration() == "pre-switchover"
        for number, port in enumerate(ports, 5):
            edge.service.plug("h2", port, number)
        assert source.until("continued")["confirmed"] == 2
    assert active(op, ports) == {"h2"}


def test_patience(op, place: Path, ports: list[str], common) -> None:
    """QEMU is not kept waiting for a target that does not become ready: its announcements will do."""
    for port in ports:
        op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}})
    with (
        Machine(place, "one") as one,
        Machine(place, "two", incoming=True) as two,
        agent("--qmp", one.qmp, "--host", "h1", "--continue", "--patience", "0.1", *common) as source,
    ):
        source.until("watching")
        one.migrate(two, pause=True)
        assert source.until("continued")["confirmed"] == 0
        wait(lambda: two.status() == "running", "it runs at the target")
    assert active(op, ports) == {"h1"}


def test_monitors_come_and_go(place: Path, edge, token: Path) -> None:
    """Monitors in a directory are watched as they appear, a QEMU that ends and another at its socket included."""
    directory = place / "qmp"
    directory.mkdir()
    (directory / "not-a-socket").write_text("")
    words = ["--url", f"http://127.0.0.1:{edge.port}", "--token-file", token, "--host", "h1"]
    with agent("--qmp-dir", directory, *words) as here:
        with Machine(place, "one"):
            here.until("watching", guest="one")
        here.until("waiting", guest="one")
        with Machine(place, "two"), Machine(place, "one"):
            here.until("watching", guest="two")
            wait(lambda: len(here.heard("watching", guest="one")) == 2, lambda: here.said)


def test_the_monitor_comes_later(place: Path, common) -> None:
    """A monitor that is not there yet, or not any more, is waited for."""
    with agent("--qmp", place / "qmp" / "one.qmp", "--host", "h1", *common) as here:
        assert "No such file" in here.until("waiting")["reason"]
        for times in (1, 2):
            with Machine(place, "one"):
                wait(lambda times=times: len(here.heard("watching")) == times, lambda: here.said)


def test_no_controller(place: Path, token: Path) -> None:
    """Without a controller the agent says so, and keeps QEMU waiting no longer than it has patience."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        words = ["--url", url, "--token-file", token, "--host", "h1", "--port", "p", "--continue", "--patience", "0.1"]
        with (
            Machine(place, "one") as one,
            Machine(place, "two", incoming=True) as two,
            agent("--qmp", one.qmp, *words) as source,
        ):
            assert "does not answer" in source.until("trouble")["reason"]
            source.until("watching")
            one.migrate(two, pause=True)
            assert source.until("continued")["confirmed"] == 0
            wait(lambda: two.status() == "running", "it runs at the target")


def refused(*words: object) -> str:
    """What an agent says that ends at once, because of a mistake."""
    code, complaint = Agent(*words).ended()
    assert code == 2, complaint
    assert "0123456789" not in complaint
    return complaint


def test_what_is_not_a_monitor(place: Path, common) -> None:
    """A file, or a socket at which nobody speaks QMP, is a mistake that is named."""
    file = place / "file"
    file.write_text("")
    assert refused("--qmp", file, "--host", "h1", *common) == f"vl2 qemu-agent: {file} is not a socket\n"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place / "other"))
        other.listen(1)

        def greet() -> None:
            with other.accept()[0] as session:
                session.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        complaint = refused("--qmp", place / "other", "--host", "h1", *common)
        thread.join()
    assert complaint == f"vl2 qemu-agent: {place / 'other'}: nobody speaks QMP there\n"


def test_bad_options(edge, place: Path, token: Path, ports: list[str]) -> None:
    """What an option cannot mean is one line that names it, and no secret."""
    qmp: list[object] = ["--qmp", place / "x", "--host", "h1"]
    url = ["--url", f"http://127.0.0.1:{edge.port}"]
    good = [*url, "--token-file", token]
    secret = place / "secret"
    secret.write_text("tenants-0123456789")
    assert "--token-file: " in refused(*qmp, *url, "--token-file", place / "none")
    assert "--token-file: " in refused(*qmp, *url, "--token-file", secret)
    secret.write_bytes(b"\xff0123456789")
    assert refused(*qmp, *url, "--token-file", secret) == f"vl2 qemu-agent: --token-file: {secret}: not a token\n"
    assert "--port: Port nothing could not be found" in refused(*qmp, *good, "--port", "nothing")
    assert "--url: " in refused(*qmp, "--url", "ftp://x", "--token-file", token)
    assert "--cacert: " in refused(*qmp, "--url", "https://x", "--cacert", place / "none", "--token-file", token)
    assert "--qmp, --qmp-dir: " in refused(*good, "--host", "h1")
    assert "--qmp-dir: " in refused("--qmp-dir", place / "none", *good, "--host", "h1")
    assert "--port: " in refused(*qmp, "--qmp", place / "y", *good, "--port", ports[0])
    assert "Invalid value for '--patience'" in refused(*qmp, *good, "--patience", "-1")

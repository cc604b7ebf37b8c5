"""libvirt's hook prepares ports where a guest comes, and cleans up where it has ended, over the real API."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hostside.libvirt_hook import command
from tests.hostside.domains import domain


@pytest.fixture
def ports(op, edge) -> list[str]:
    """Two ports of one guest at h1."""
    network = op.make("network", project_id="blue")
    made = [op.make("port", network_id=network["id"], **{"binding:host_id": "h1"})["id"] for _ in range(2)]
    for number, port in enumerate(made, 5):
        edge.service.plug("h1", port, number)
    return made


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """The operator's token in a file."""
    file = tmp_path / "token"
    file.write_text("operator-0123456789\n")
    return file


@pytest.fixture
def hook(edge, token: Path, ports: list[str]):
    """Libvirt calls the hook at a host."""

    def call(host: str, *words: str, xml: bytes = b"", url: str = "", options: tuple[str, ...] = ()) -> Result:
        url = url or f"http://127.0.0.1:{edge.port}"
        where = ["--url", url, "--token-file", str(token), "--host", host, *options]
        return CliRunner().invoke(command, [*where, "red-1", *words], input=xml or domain(*ports))

    return call


def bindings(op, port: str) -> dict[str, str]:
    """Where a port is bound, and how."""
    return {each["host"]: each["status"] for each in op("GET", f"/v2.0/ports/{port}/bindings").body["bindings"]}


def quiet(result: Result) -> bool:
    """Whether the guest starts, and nothing is said, on either stream."""
    return (result.exit_code, result.output) == (0, "")


def test_a_migration_as_libvirt_tells_it(op, edge, ports: list[str], hook) -> None:
    """Prepared at the target as it is told, untouched until the guest has left, then active there, once."""
    came = hook("h2", "migrate", "begin", "-")
    assert (came.exit_code, came.stdout) == (0, ""), "the standard output would replace the domain"
    for port in ports:
        assert bindings(op, port) == {"h1": "ACTIVE", "h2": "INACTIVE"}
        assert f"red-1 migrate begin: port {port}: passive binding at h2" in came.stderr
    assert quiet(hook("h2", "migrate", "begin", "-")), "twice is as good as once"
    for number, port in enumerate(ports, 5):
        edge.service.plug("h2", port, number)
    for operation in ("prepare", "start", "started"):
        assert quiet(hook("h2", operation, "begin", "-")), "the guest runs at the source until its memory is copied"
        assert bindings(op, ports[0]) == {"h1": "ACTIVE", "h2": "INACTIVE"}
    left = hook("h1", "stopped", "end", "-")
    assert f"port {ports[0]}: activated at h2" in left.stderr
    for port in ports:
        assert bindings(op, port)["h2"] == "ACTIVE"
    hook("h1", "release", "end", "migrated")
    edge.service.settle()
    assert bindings(op, ports[0]) == {"h2": "ACTIVE"}


@pytest.mark.parametrize("last", [("stopped", "end", "-"), ("release", "end", "failed")])
def test_a_migration_that_fails(op, ports: list[str], hook, last: tuple[str, ...]) -> None:
    """The target's QEMU has ended and the guest is at the source: the passive binding goes."""
    hook("h2", "migrate", "begin", "-")
    assert f"port {ports[0]}: passive binding at h2 deleted" in hook("h2", *last).stderr
    assert [bindings(op, port) for port in ports] == [{"h1": "ACTIVE"}] * 2
    assert quiet(hook("h2", *last))


@pytest.mark.parametrize("reason", ["shutdown", "destroyed", "crashed"])
def test_a_guest_that_ends_while_it_moves(op, edge, ports: list[str], hook, reason: str) -> None:
    """A guest that ended for another reason than that it has moved is nowhere, so nothing is activated."""
    hook("h2", "migrate", "begin", "-")
    edge.service.plug("h2", ports[0], 6)
    assert quiet(hook("h1", "release", "end", reason))
    assert bindings(op, ports[0]) == {"h1": "ACTIVE", "h2": "INACTIVE"}


def test_a_guest_that_does_not_move(op, ports: list[str], hook, unchanged) -> None:
    """Start and end of a guest, a restart of libvirt, a restored image, and operations that nobody knows yet."""
    unchanged()
    for operation in ("prepare", "start", "started", "reconnect", "attach", "restore", "migrate", "new"):
        assert quiet(hook("h1", operation, "begin", "-"))
    for operation in ("stopped", "release"):
        assert quiet(hook("h1", operation, "end", "-"))
    assert quiet(hook("h2", "migrate", "begin", "-", xml=domain()))
    assert bindings(op, ports[0]) == {"h1": "ACTIVE"}


def test_a_port_that_is_nowhere_yet(op, hook, unchanged) -> None:
    """A port without a host is not prepared: it is bound where its tap appears."""
    network = op.make("network", project_id="blue")
    port = op.make("port", network_id=network["id"])["id"]
    unchanged()
    assert quiet(hook("h2", "migrate", "begin", "-", xml=domain(port)))


@pytest.mark.parametrize(
    ("veto", "operation", "code"), [(False, "migrate", 0), (True, "migrate", 1), (True, "stopped", 0)]
)
def test_no_controller(hook, veto: bool, operation: str, code: int) -> None:
    """A controller that is away keeps no guest from starting; only an incoming migration is refused, if so wished."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        sub = "begin" if operation == "migrate" else "end"
        result = hook("h2", operation, sub, "-", url=url, options=("--veto",) if veto else ())
    assert (result.exit_code, result.stdout) == (code, "")
    assert "the controller does not answer" in result.stderr


@pytest.mark.parametrize(
    ("xml", "reason"), [(b"<domain>", "cannot be read"), (b"<!DOCTYPE x><domain/>", "DTD"), (b"<a/>", "not a domain's")]
)
def test_what_is_no_domain(hook, unchanged, xml: bytes, reason: str) -> None:
    """XML that is no domain's changes nothing and is told."""
    unchanged()
    result = hook("h2", "migrate", "begin", "-", xml=xml)
    assert result.exit_code == 0
    assert reason in result.stderr


def test_what_the_controller_refuses(hook, token: Path, unchanged) -> None:
    """A port or a host that it does not know, and a wrong token, are told in its words, without the token."""
    unchanged()
    assert "Port nothing could not be found" in hook("h2", "migrate", "begin", "-", xml=domain("nothing")).stderr
    assert "h9" in hook("h9", "migrate", "begin", "-").stderr
    token.write_text("wrong-0123456789")
    result = hook("h2", "migrate", "begin", "-")
    assert result.exit_code == 0
    assert result.stderr
    token.unlink()
    missing = hook("h2", "migrate", "begin", "-", options=("--veto",))
    assert missing.exit_code == 1
    assert "--token-file: " in missing.stderr
    assert "0123456789" not in result.stderr + missing.stderr

"""Nova is told over real HTTP, by a controller that shows who it is: with a token of Keystone's, or one of a file."""

from __future__ import annotations

import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.openstack.conftest import Controller, Keystone, call, until

pytestmark = pytest.mark.slow


class Receiver:
    """Where Nova's API is: answers as it is told to, else 200."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.heard: list[tuple[str | None, list[dict[str, str]]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.heard.append((self.headers["X-Auth-Token"], body["events"]))
                self.send_response(outer.answers.pop(0) if outer.answers else 200)
                self.send_header("Location", f"{outer.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v2.1/os-server-external-events"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def by_file(tmp_path: Path) -> Callable[[str], str]:
    """The configuration of a webhook with a token of a file."""
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("novas-own-token\n")
    return lambda url: f'[[webhooks]]\nurl = "{url}"\ntoken_file = "{file}"\ntimeout = 1\n'


def deleted(vl2: Controller) -> str:
    """Make and delete a port of a server: that Nova is told at once, without any switch."""
    network = vl2("POST", "/v2.0/networks", {"network": {}}).body["network"]["id"]
    port = {"network_id": network, "device_id": str(uuid.uuid4()), "device_owner": "compute:nova"}
    made = vl2("POST", "/v2.0/ports", {"port": port}).body["port"]["id"]
    assert vl2("DELETE", f"/v2.0/ports/{made}").status == 204
    return made


def test_with_a_token_of_keystone(
    controller: Callable[..., Controller], keystone: Keystone, receiver: Receiver, tmp_path: Path
) -> None:
    """The token is one that Keystone knows as that user's; one that is refused is fetched anew, and nothing is lost."""
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text(keystone.user("herald", "service", "member"))
    vl2 = controller(
        f'[keystone]\nurl = "{keystone.url}"\nusername = "herald"\nproject = "service"\npassword_file = "{file}"\n'
        f'[[webhooks]]\nurl = "{receiver.url}"\nkeystone = true\n'
    )
    receiver.answers = [401]
    port = deleted(vl2)
    until("Nova has heard", lambda: len(receiver.heard) == 2)
    (first, _), (second, (event,)) = receiver.heard
    assert (event["name"], event["tag"]) == ("network-vif-deleted", port)
    assert first != second
    headers = {"X_Auth_Token": keystone.token, "X_Subject_Token": second}
    said = call(keystone.port, "GET", "/v3/auth/tokens", **headers).body["token"]
    assert (said["user"]["name"], said["project"]["name"]) == ("herald", "service")


def test_with_a_token_of_a_file(
    controller: Callable[..., Controller], receiver: Receiver, by_file: Callable[[str], str]
) -> None:
    """The token of the file is shown; a redirection is not followed, as it could lead it anywhere."""
    vl2 = controller(by_file(receiver.url))
    receiver.answers = [307]
    first = deleted(vl2)
    until("Nova has heard", lambda: receiver.heard)
    until("it is said", lambda: any("answers 307" in each for each in problems(vl2)))
    second = deleted(vl2)
    until("Nova has heard again", lambda: len(receiver.heard) == 2)
    assert [(token, [each["tag"] for each in events]) for token, events in receiver.heard] == [
        ("novas-own-token", [first]),
        ("novas-own-token", [second]),
    ]
    until("all is well", lambda: problems(vl2) == [])
    assert "novas-own-token" not in vl2.log.read_text()


def test_a_receiver_that_is_none(controller: Callable[..., Controller], by_file: Callable[[str], str]) -> None:
    """A receiver that takes connections and never answers keeps nobody waiting, and is told of."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        vl2 = controller(by_file(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
        deleted(vl2)
        found = until("it is said", lambda: problems(vl2))
        assert "does not answer" in found[0]
        assert "1 events wait" in found[0]


def problems(vl2: Controller) -> list[str]:
    """What the controller says about its webhooks."""
    return [each for each in vl2("GET", "/v1/health").body["health"]["problems"] if each.startswith("webhook")]

"""How a lab speaks to its controller's API."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from topologies.rest import Rest

PATIENCE = 20


class Impatient(BaseHTTPRequestHandler):
    """Keeps a connection for further requests, but not for long."""

    protocol_version = "HTTP/1.1"
    timeout = 0.05

    def do_POST(self) -> None:
        """Answer with what was sent."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Where an impatient server listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Impatient) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_connection_that_the_controller_ended_is_no_failure(port: int) -> None:
    """Whoever asks again after a long silence is answered over a new connection."""
    with Rest(("127.0.0.1", port), "token") as rest:
        for number in range(3):
            assert rest.ask("POST", "/", {"asked": number}) == {"asked": number}
            assert select.select([rest._connection.sock], (), (), PATIENCE)[0], "the server does not hang up"

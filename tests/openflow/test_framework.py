"""The one seam to the framework: choosing it, and listening without its launcher."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from controller import framework
from controller.openflow.app import listen

ROOT = Path(__file__).parents[2]


def _python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_unknown_framework_is_refused():
    """An override that names no framework of ours is an error that says which ones there are."""
    done = _python("import controller.framework", VL2_FRAMEWORK="nox")
    assert done.returncode != 0
    assert "'ryu' or 'os_ken'" in done.stderr


def test_the_framework_imports_without_a_warning():
    """Patching first and importing then raises no warning, and uses eventlet."""
    done = _python(
        "from controller import green; green.patch(); from controller import framework as f; green.collect_rarely();"
        "import socket, eventlet.patcher as p; print(f.NAME, f.hub.HUB_TYPE, p.is_monkey_patched('socket'))",
        VL2_FRAMEWORK=framework.NAME,
    )
    assert done.stdout.split() == [framework.NAME, "eventlet", "True"], done.stderr
    assert done.stderr == ""


def test_the_frameworks_web_server_stays_out():
    """Nothing of Ryu's WSGI is loaded: it does not import beside today's eventlet."""
    done = _python("import sys, controller.openflow.app; print('webob' in sys.modules)", VL2_FRAMEWORK=framework.NAME)
    assert done.stdout.split() == ["False"], done.stderr


def test_one_service_listens_on_several_addresses():
    """Each given address is listened on; port 0 takes a free one; stopping frees them, and may be done twice."""
    service = listen((("127.0.0.1", 0), ("127.0.0.2", 0), ("::1", 0)), lambda _: None)
    addresses = service.addresses
    assert [host for host, _ in addresses] == ["127.0.0.1", "127.0.0.2", "::1"]
    for address in addresses:
        socket.create_connection(address, timeout=5).close()
    service.stop()
    service.stop()
    for address in addresses:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(address, timeout=5)


def test_an_address_in_use_starts_nothing():
    """When one address cannot be listened on, the error comes at once and the others are free again."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        free = ("127.0.0.2", busy.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            listen((free, busy.getsockname()), lambda _: None)
        with socket.create_server(free):
            pass
    service = listen((free,), lambda _: None)
    assert service.addresses == (free,)
    service.stop()


def test_two_controllers_cannot_share_a_port():
    """A second controller that listens where the first one does is told that the port is in use."""
    service = listen((("127.0.0.1", 0),), lambda _: None)
    try:
        with pytest.raises(OSError, match="in use"):
            listen(service.addresses, lambda _: None)
    finally:
        service.stop()

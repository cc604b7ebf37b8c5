"""Who keeps a lab alive while nobody looks?

``python -m topologies.daemon`` reads the lab's settings (one line of JSON) from its standard input, builds the lab,
answers one line on its standard output and then serves orders on ``<state directory>/lab.sock``, one line of JSON each
way.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Final

from topologies.errors import LabError
from topologies.lab import Lab
from topologies.mn import CLI
from topologies.orders import INTERRUPT, ORDERS, SOCKET, Done, Down, Failure, Prompt, Settings, decode, encode
from topologies.ownership import Ledger, hold

_LINE_MAX: Final = 1 << 20
_DESCRIPTORS: Final = 65536
_CLAIM_SECONDS: Final = 2.0


def failure(wrong: Exception) -> Failure:
    """An error as an answer."""
    if isinstance(wrong, LabError):
        return Failure(type(wrong).__name__, wrong.message, wrong.field)
    return Failure("LabError", f"{type(wrong).__name__}: {wrong}")


class Server:
    """The lab's unix socket.

    :param lab: the lab that follows the orders.
    :param lock: the descriptor that holds the lab's lock, which no child may inherit.
    """

    def __init__(self, lab: Lab, lock: int) -> None:
        self._lab = lab
        self._lock = lock
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = lab.directory / SOCKET
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(64)

    def serve(self) -> None:
        """Serve for ever."""
        while True:
            session, _ = self._listener.accept()
            threading.Thread(target=self._converse, args=(session,), daemon=True).start()

    def _converse(self, session: socket.socket) -> None:
        with session:
            heard, descriptors = b"", []
            while not heard.endswith(b"\n"):
                more, fds, _flags, _address = socket.recv_fds(session, _LINE_MAX, 3)
                descriptors += fds
                if not more:
                    break
                heard += more
            try:
                if heard:
                    session.sendall(encode(self._answer(session, heard, descriptors)))
            except OSError:
                return  # the client has gone; its order was followed all the same
            finally:
                for fd in descriptors:
                    os.close(fd)
        if heard and b'"Down"' in heard:
            os._exit(0)

    def _answer(self, session: socket.socket, heard: bytes, descriptors: list[int]) -> Any:
        try:
            order = decode(heard, ORDERS)
            if isinstance(order, Down):
                self._lab.down()
                return Done()
            if isinstance(order, Prompt):
                self._prompt(session, descriptors)
                return Done()
            return self._lab.follow(order)
        except LabError as wrong:
            return failure(wrong)
        except Exception as wrong:  # noqa: BLE001  (the lab lives on; whoever asked is told)
            traceback.print_exc()
            return failure(wrong)

    def _prompt(self, session: socket.socket, descriptors: list[int]) -> None:
        if len(descriptors) != 3:  # noqa: PLR2004
            raise LabError("the prompt needs the client's input, output and error descriptors")
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(self._lock)
                self._listener.close()
                _converse_with_mininet(self._lab, descriptors)
                status = 0
            finally:
                os._exit(status)
        handle = os.pidfd_open(child)
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        poller.register(session, select.POLLIN)
        try:
            while True:
                ready = {fd for fd, _event in poller.poll()}
                if handle in ready:
                    return
                heard = session.recv(64)
                if not heard:
                    os.kill(child, signal.SIGKILL)
                    return
                for _ in range(heard.count(INTERRUPT)):
                    os.kill(child, signal.SIGINT)
        finally:
            os.close(handle)
            os.waitpid(child, 0)


def _converse_with_mininet(lab: Lab, descriptors: list[int]) -> None:
    for target, fd in enumerate(descriptors):
        os.dup2(fd, target)
    sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stdout = open(1, "w", buffering=1, closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, encoding="utf-8")  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    CLI(lab.net, stdin=sys.stdin)
    sys.stdout.flush()


def _claim(directory: Path) -> int:
    deadline = time.monotonic() + _CLAIM_SECONDS
    while (lock := hold(directory)) is None:
        # Somebody who only looks whether the lab runs holds the lock for a moment.
        if time.monotonic() > deadline:
            raise LabError(f"the lab in {directory} runs already")
        time.sleep(0.02)
    return lock


def main() -> None:
    """Run a lab until it is told to end."""
    settings: Settings = decode(sys.stdin.buffer.readline(), {"Settings": Settings})
    if os.fork():
        os._exit(0)
    directory = Path(settings.directory)
    answer = os.dup(1)
    log = os.open(directory / "lab.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        lock = _claim(directory)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_DESCRIPTORS, max(hard, soft)), hard))
        server = Server(Lab(settings, Ledger(directory)), lock)
    except Exception as wrong:  # noqa: BLE001  (whoever asked is told, whatever it was)
        traceback.print_exc()
        os.write(answer, encode(failure(wrong)))
        os._exit(1)
    os.write(answer, encode(server._lab.status()))  # noqa: SLF001
    os.close(answer)
    server.serve()


if __name__ == "__main__":
    main()

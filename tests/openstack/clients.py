"""How does a test speak through the real clients?

One ``clouds.yaml`` for all callers, the ``openstack`` command as one running process (each start of it takes seconds),
and scripts for openstacksdk, run by the Python that has it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
VL2 = "from controller.cli import main; main()"
PATIENCE = 60.0
_END = "that-was-all"


def clouds(place: Path, url: str, operator: Path, projects: Mapping[str, Path]) -> Path:
    """Write the ``clouds.yaml`` that ``vl2 client-config`` prints of the operator (``op``) and of projects.

    :param operator: the file with its token. :param projects: those with theirs.
    """
    wishes: dict[str, list[str]] = {"op": []}
    wishes |= {name: ["--project", name, "--secret-file", str(file)] for name, file in projects.items()}
    text = "clouds:\n"
    for cloud, words in wishes.items():
        asked = ["client-config", "--cloud", cloud, "--url", url, "--token-file", str(operator), *words]
        done = subprocess.run(
            [sys.executable, "-c", VL2, *asked], cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr
        text += done.stdout.removeprefix("clouds:\n")
    file = place / "clouds.yaml"
    file.touch(mode=0o600)
    file.write_text(text)
    return file


def environment(config: Path, cloud: str) -> dict[str, str]:
    """What the clients read: which file, which cloud, and nothing else of OpenStack's."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    return {
        **plain,
        "OS_CLIENT_CONFIG_FILE": str(config),
        "OS_CLOUD": cloud,
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "COLUMNS": "1000",
    }


class Command:
    """The ``openstack`` command, which takes lines as long as it runs.

    :param openstack: the directory of the commands.
    """

    def __init__(self, openstack: Path, config: Path, cloud: str) -> None:
        # Whatever it writes there is there before the end of the answer is.
        self._complaints = TemporaryFile("a+")  # noqa: SIM115  (closed when it ends)
        self._process = subprocess.Popen(
            [openstack / "openstack"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env=environment(config, cloud),
        )
        self._heard: Queue[str | None] = Queue()
        threading.Thread(target=_listen, args=(self._process.stdout, self._heard), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def _say(self, line: str) -> tuple[str, str]:
        """One line.  :returns: what it printed, and what it complained about."""
        stdin = self._process.stdin
        assert stdin is not None
        begin = self._complaints.seek(0, os.SEEK_END)
        stdin.write(f"{line}\nshell echo {_END}\n")
        stdin.flush()
        printed = _until_end(self._heard, line)
        self._complaints.seek(begin)
        return printed, self._complaints.read().strip()

    def __call__(self, line: str) -> None:
        """Do something that prints nothing; what came of it has to be looked at."""
        printed, wrong = self._say(line)
        assert not wrong, f"{line}: {wrong}"
        assert not printed, f"{line}: {printed}"

    def look(self, line: str) -> Any:
        """Do or show something, and read what it prints as JSON."""
        printed, wrong = self._say(f"{line} -f json")
        assert not wrong, f"{line}: {wrong}"
        # Not every failure is complained about: the command forgets some of its own errors' texts.
        assert printed, f"{line}: it printed nothing"
        return json.loads(printed)

    def names(self, line: str) -> set[str]:
        """The names in a list."""
        return {each["Name"] for each in self.look(line)}

    def refused(self, line: str) -> str:
        """Try what cannot be; the complaint."""
        printed, wrong = self._say(line)
        assert wrong, f"{line} was done: {printed}"
        assert "Traceback" not in wrong, wrong
        return wrong


def _listen(stream: Any, heard: Queue[str | None]) -> None:
    for line in stream:
        heard.put(line)
    heard.put(None)


def _until_end(heard: Queue[str | None], asked: str) -> str:
    lines: list[str] = []
    while True:
        try:
            line = heard.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError(f"{asked}: nothing more within {PATIENCE:g} s after {lines}") from None
        assert line is not None, f"{asked}: the command has ended after {lines}"
        if line.strip() == _END:
            return "".join(lines).strip()
        lines.append(line)


def script(openstack: Path, config: Path, cloud: str, name: str, *words: str) -> Any:
    """Run one of the scripts for openstacksdk beside this file; what it prints is JSON."""
    done = subprocess.run(
        [openstack / "python", Path(__file__).with_name(name), *words],
        env=environment(config, cloud),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)

"""What docs/clients.md tells a reader to type is what makes two machines ping."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from topologies.client import LabClient

pytestmark = [pytest.mark.root, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/clients.md").read_text()
WAYS = dict(re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))
BINARIES = Path(os.environ.get("VL2_OPENSTACK", ROOT / ".venv-openstack")) / "bin"

VL2 = f"""#!/bin/sh
# The command of this very tree.
PYTHONPATH={ROOT} exec {sys.executable} -c 'from controller.cli import main; main()' "$@"
"""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Somebody with both packages installed and without a lab."""
    if not (BINARIES / "openstack").exists():
        pytest.skip(f"{BINARIES} is not there: make .venv-openstack/bin/openstack")
    lab = LabClient()
    if lab.running:
        pytest.skip("somebody's lab is running, and the page begins with its own")
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "vl2").write_text(VL2)
    (commands / "vl2").chmod(0o755)
    (commands / "openstack").symlink_to(BINARIES / "openstack")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    try:
        yield {**plain, "PATH": f"{commands}:{plain['PATH']}", "HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    finally:
        lab.down()


def test_there_are_three_ways_of_ten_lines() -> None:
    """The page shows the command, the SDK and curl, each in ten lines."""
    lines = {way: [line for line in text.splitlines() if line] for way, text in WAYS.items()}
    assert {way: len(each) for way, each in lines.items()} == {"command": 10, "sdk": 10, "curl": 10}


@pytest.mark.parametrize("way", ["command", "sdk", "curl"])
def test_the_lines_of_the_page_make_two_machines_ping(reader: dict[str, str], tmp_path: Path, way: str) -> None:
    """The lines of the page, typed in order, end with an answered ping."""
    program = [str(BINARIES / "python"), "-"] if way == "sdk" else ["bash", "-euo", "pipefail", "-s"]
    done = subprocess.run(
        program, input=WAYS[way], cwd=tmp_path, env=reader, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "1 packets transmitted, 1 received" in done.stdout

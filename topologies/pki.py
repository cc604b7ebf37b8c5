"""Who makes the certificates of a lab?

The product, as for any operator: ``vl2 pki``, asked once for the controller and once for all machines.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from topologies.errors import LabError
from topologies.overrides import search_path

_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Pki:
    """The certificates of one lab, in a directory that they share."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The certificate by which everybody believes the others."""
        return self.directory / "ca.pem"

    def make(self, controller: str, machines: Iterable[str], edges: Iterable[str]) -> None:
        """Make all certificates.

        :param controller: the address at which switches call it.
        :param machines: names of hypervisors, and ``NAME=DATAPATH-ID`` of fabric switches.
        :param edges: the same of those to which machines can be wired.
        :raises LabError: when they cannot be made.
        """
        self._do("init", "--name", controller)
        for flags, named in (((), tuple(machines)), (("--edge",), tuple(edges))):
            if named:
                self._do("host", "--controller", controller, *flags, *named)

    def settings(self) -> dict[str, Any]:
        """What the controller's configuration says of them."""
        shown = {
            "certificate": str(self.directory / "controller.pem"),
            "key": str(self.directory / "controller-key.pem"),
        }
        believed = {"ca": str(self.authority), "revoked": str(self.directory / "revoked.pem")}
        return {"tls": {**believed, **shown}, "rest": shown}

    def of(self, name: str) -> tuple[str, str, str]:
        """A machine's key and certificate, and the authority: the words of ``ovs-vsctl set-ssl``."""
        hosts = self.directory / "hosts"
        return str(hosts / f"{name}-key.pem"), str(hosts / f"{name}.pem"), str(self.authority)

    def _do(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "controller", "pki", *words, "--dir", str(self.directory)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env={**os.environ, "PYTHONPATH": search_path()},
        )
        if done.returncode:
            raise LabError(f"the lab's certificates cannot be made: {(done.stderr or done.stdout).strip()}")

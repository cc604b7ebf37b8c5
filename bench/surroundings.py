"""On what kind of machine, and with which versions, was something measured?

Nothing here names the machine or says where anything lies on it.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> dict[str, str | int | float]:
    """The machine: its processors, its memory, and how busy it is at this moment."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    meminfo = Path("/proc/meminfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    total = re.search(r"^MemTotal:\s*(\d+) kB$", meminfo, re.MULTILINE)
    return {
        "processor": model[1].strip() if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(total[1]) / 2**20, 1) if total else 0.0,
        "load_1min_at_start": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """The versions of everything that has a part in the figures."""
    found = {"python": platform.python_version(), "linux": platform.release().partition("-")[0]}
    said = subprocess.run(["ovs-vswitchd", "--version"], capture_output=True, text=True, check=False).stdout
    found["openvswitch"] = said.partition("\n")[0].rpartition(" ")[2] or "none"
    for package in ("vl2", "ryu", "os-ken", "eventlet", "networkx"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found

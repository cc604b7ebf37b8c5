"""What can this machine do?

Asked by trying, in a throw-away network namespace: whether Open vSwitch's kernel module is usable, and which queueing
disciplines can shape a link.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from typing import Final, Literal, TypeAlias

from topologies.errors import LabError, TopologyError

Datapath: TypeAlias = Literal["netdev", "system"]

PROGRAMS: Final = ("ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovsdb-tool", "mnexec", "ip", "tc")
"""What a lab cannot do without."""


def _works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def require_programs() -> None:
    """Check that everything a lab starts is installed.

    :raises LabError: naming what is missing.
    """
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)} (apt-get install openvswitch-switch mininet iproute2)")


@cache
def kernel_datapath() -> bool:
    """Whether Open vSwitch's kernel datapath can be made here."""
    if shutil.which("modprobe"):
        _works("modprobe", "openvswitch")
    return _works("unshare", "-n", "ovs-dpctl", "add-dp", "vl2probe")


@cache
def can_shape(discipline: str) -> bool:
    """Whether the kernel has a queueing discipline: ``netem`` (delay) or ``tbf`` (rate)."""
    words = {"netem": "delay 1ms", "tbf": "rate 10mbit burst 15000 latency 50ms"}[discipline]
    return _works("unshare", "-n", "tc", *f"qdisc add dev lo root {discipline} {words}".split())


def check_datapath(wanted: str) -> str:
    """Check the word.

    :raises TopologyError: if it is none of auto, netdev, system.
    """
    if wanted not in ("auto", "netdev", "system"):
        raise TopologyError(f"datapath: {wanted!r} is not one of auto, netdev, system", "datapath")
    return wanted


def choose_datapath(wanted: str) -> Datapath:
    """Turn ``auto``, ``netdev`` or ``system`` into a datapath type that works here.

    :raises TopologyError: if the kernel datapath is asked for and missing, or the word is unknown.
    """
    if check_datapath(wanted) == "netdev":
        return "netdev"
    if kernel_datapath():
        return "system"
    if wanted == "system":
        raise TopologyError("datapath: this kernel has no openvswitch module; use netdev", "datapath")
    return "netdev"


def require_shaping(*, rate: bool, delay: bool) -> None:
    """Check that links can be shaped as asked.

    :raises TopologyError: naming the parameter that this machine cannot honour.
    """
    if delay and not can_shape("netem"):
        raise TopologyError("delay: this kernel has no netem, link delays cannot be honoured here", "delay")
    if rate and not can_shape("tbf"):
        raise TopologyError("bw: this kernel has no tbf, link rates cannot be honoured here", "bw")

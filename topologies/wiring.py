"""What is a cable of the lab?

A veth pair whose ends live in two nodes' namespaces, with room for VXLAN (MTU 1600 for guests of 1500: 50 bytes over
IPv4, RFC 7348), shaped by TBF to its rate and by netem to its delay.
"""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar, Final

from topologies.errors import LabError
from topologies.mn import Intf, Link

FABRIC_MTU: Final = 1600
UNDERLAY_MTU: Final = 1550
"""What the controller is told of it, so that guests have 1500; the rest is room for tags inside."""
_LATENCY_MS: Final = 50
_TICKS_PER_SECOND: Final = 250
_FIRST_INDEX: Final = 1000
"""Above the numbers that the kernel gives to what else is made in a namespace."""


def shaping(interface: str, bw: float | None, delay: str | None) -> list[str]:
    """The ``tc`` commands that give an interface a rate (Mbit/s) and a delay, tc-tbf(8) and tc-netem(8)."""
    commands = []
    parent = "root"
    if delay is not None:
        commands.append(f"tc qdisc replace dev {interface} root handle 1: netem delay {delay} limit 10000")
        parent = "parent 1:"
    if bw is not None:
        # tc-tbf(8): the bucket must hold what may leave between two clock ticks, and one packet.
        burst = max(int(bw * 1e6 / 8 / _TICKS_PER_SECOND), 2 * FABRIC_MTU)
        commands.append(
            f"tc qdisc replace dev {interface} {parent} handle 2: "
            f"tbf rate {bw:g}mbit burst {burst} latency {_LATENCY_MS}ms"
        )
    return commands


class FabricIntf(Intf):  # type: ignore[misc]
    """One end of a fabric link."""

    def config(self, bw: float | None = None, delay: str | None = None, **_params: Any) -> dict[str, Any]:
        """Bring the interface up, shaped, in one command of the node's shell."""
        up = f"ip link set dev {self.name} mtu {FABRIC_MTU} txqueuelen 1000 up"
        told = self.cmd(" && ".join([up, *shaping(self.name, bw, delay)]))
        return {"told": told}


class GuestIntf(Intf):  # type: ignore[misc]
    """A virtual machine's network card, which its NIC process made: Mininet only has to know its address."""

    def config(self, **_params: Any) -> dict[str, Any]:
        """Leave the interface as it is."""
        return {}


class FixedIntf(GuestIntf):
    """The network card of a QEMU guest, into which Mininet cannot look: it is told the address."""

    def updateIP(self) -> str | None:  # noqa: N802  (Mininet's name)
        """The address."""
        ip: str | None = self.ip
        return ip


class FabricLink(Link):  # type: ignore[misc]
    """A cable between two nodes of the fabric.

    The interface indexes of its ends differ.  The kernel reports a lost carrier at once only where an interface's index
    is not its peer's (``linkwatch_urgent_event()``), else up to a second later; in namespaces of their own both ends
    would often be number 2.
    """

    indexes: ClassVar[count[int]] = count(_FIRST_INDEX)

    def __init__(self, node1: Any, node2: Any, **params: Any) -> None:
        params["intf"] = FabricIntf
        super().__init__(node1, node2, **params)

    @classmethod
    def makeIntfPair(  # noqa: N802, PLR0917  (Mininet's name, Mininet's order)
        cls,
        intfname1: str,
        intfname2: str,
        addr1: str | None = None,
        addr2: str | None = None,
        node1: Any = None,
        node2: Any = None,
        deleteIntfs: bool = True,  # noqa: ARG003, N803  (nothing is there in a fresh namespace)
    ) -> None:
        """Make the veth pair.

        :raises LabError: if the kernel refuses.
        """
        ends = [
            f"name {name} {f'address {address}' if address else ''} index {next(cls.indexes)}"
            for name, address in ((intfname1, addr1), (intfname2, addr2))
        ]
        told = str(node1.cmd(f"ip link add {ends[0]} type veth peer {ends[1]} netns {node2.pid}")).strip()
        if told:
            raise LabError(f"{intfname1}, {intfname2}: {told}")

    def join(self) -> tuple[str, str]:
        """The names of both ends."""
        return self.intf1.name, self.intf2.name

"""How do the paper's measures follow from what was counted?

Goodput efficiency, Jain's fairness index and the fraction of the time: pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

ETHERNET: Final = 14
IPV4: Final = 20
UDP: Final = 8
VXLAN: Final = 8
TCP: Final = 32
"""With the time stamps option, which Linux always uses (RFC 7323)."""
MTU: Final = 1500
"""Of the machines; the cables' is larger by what the tunnel adds."""
TUNNEL: Final = ETHERNET + IPV4 + UDP + VXLAN
"""Outer Ethernet, IPv4, UDP and VXLAN headers (RFC 7348 §5): 50 bytes."""

SEGMENT: Final = MTU - IPV4 - TCP
"""Payload of a full TCP segment: 1,448 bytes."""
FRAME: Final = TUNNEL + ETHERNET + MTU
"""The same on a cable, as its shaper counts it (no preamble, no checksum): 1,564 bytes."""
ACKNOWLEDGEMENT: Final = TUNNEL + ETHERNET + IPV4 + TCP
"""A TCP acknowledgement without payload on a cable: 116 bytes."""


def payload_share() -> float:
    """What part of a cable's rate is left to payload after all headers."""
    return SEGMENT / FRAME


def acknowledged_share() -> float:
    """The same where acknowledgements, one for every second segment, come back on a cable that is full as well."""
    return SEGMENT / (FRAME + ACKNOWLEDGEMENT / 2)


def capacity(hosts: int, rate: float) -> float:
    """What the edge can carry: every hypervisor's uplink, full in both directions, after headers; unit of ``rate``."""
    return hosts * rate * payload_share()


def efficiency(goodput: float, hosts: int, rate: float) -> float:
    """Goodput over capacity: the paper's goodput efficiency (§5.1)."""
    return goodput / capacity(hosts, rate)


def jain(shares: Iterable[float]) -> float:
    """Jain's fairness index: 1 when all shares are equal, 1/n when one has everything.

    :raises ValueError: if there are no shares.
    """
    given = list(shares)
    if not given:
        raise ValueError("no shares")
    squares = len(given) * sum(share * share for share in given)
    return sum(given) ** 2 / squares if squares else 1.0


def below(samples: Sequence[float], limit: float) -> float:
    """The fraction of the samples that is below a limit."""
    return sum(sample < limit for sample in samples) / len(samples)

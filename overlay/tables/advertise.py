"""What does a neighbour advertisement that we made still lack?

Open vSwitch lets a flow write the target's link-layer address only where its match says that the packet is an
advertisement (ovs-fields(7), "nd_tll"), so this is a table of its own: it comes in as a solicitation by type 135, was
made an advertisement, and here gets the flags (solicited, override; RFC 4861 §4.4), the option type, and as link-layer
address its own Ethernet source.  The switch mends the checksum.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import Flow, Move, Set, Table
from overlay.tables.names import ICMPV6, IPV6, NEIGHBOUR_ADVERTISEMENT

TABLE: Final = Table(
    "advertise",
    "Completes the neighbour advertisements that the switch gives as answers.",
    matches=("eth_type", "ip_proto", "icmpv6_type"),
    writes=("nd_reserved", "nd_options_type", "ipv6_nd_tll"),
    nexts=("reply",),
    miss="drop: cannot happen",
)

ANSWER: Final = 10

SOLICITED_OVERRIDE: Final = 0x6000_0000
TARGET_LINK_LAYER_ADDRESS: Final = 2


def complete(cookie: int) -> Flow:
    """Complete an answer."""
    return TABLE.flow(
        ANSWER,
        {"eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": NEIGHBOUR_ADVERTISEMENT},
        cookie=cookie,
        actions=(
            Set("nd_reserved", SOLICITED_OVERRIDE),
            Set("nd_options_type", TARGET_LINK_LAYER_ADDRESS),
            Move("eth_src", "ipv6_nd_tll"),
        ),
        goto="reply",
    )

"""Which way does a packet take through br-int?

The one list of its tables, in the packet's order, and of the meters and groups that every br-int has.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import Bucket, Group, Meter, Pipeline, Resubmit
from overlay.tables import (
    advertise,
    arp,
    arrive,
    classify,
    deliver,
    filters,
    flood,
    forward,
    guard,
    guard_nd,
    inquiry,
    mirror,
    neighbours,
    reply,
    services,
    storm,
)
from overlay.tables.names import ANNOUNCEMENTS_METER

PIPELINE: Final = Pipeline(
    "br-int",
    classify.TABLE,
    guard.TABLE,
    guard_nd.TABLE,
    inquiry.TABLE,
    arp.TABLE,
    neighbours.TABLE,
    advertise.TABLE,
    reply.TABLE,
    services.TABLE,
    *filters.SENDER.tables,
    arrive.TABLE,
    forward.TABLE,
    storm.TABLE,
    flood.TABLE,
    *filters.RECEIVER.tables,
    deliver.TABLE,
    mirror.TABLE,
)

METERS: Final = (Meter(ANNOUNCEMENTS_METER, rate=100, burst=20),)
"""What every br-int has to have before its flows; where ports have a rate, their meters come to it."""

GROUPS: Final = (Group(inquiry.ANEW, (Bucket((Resubmit(arp.TABLE.id),)),)),)
"""The groups that every br-int has."""

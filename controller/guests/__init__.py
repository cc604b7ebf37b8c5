"""What do machines ask of their network, and what is it that answers them?

A question is a frame that the port's own switch hands up with a cookie whose kind says what is asked.  Who answers
which kind stands here; :mod:`controller.guests.questions` says how.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.guests import dhcp4, dhcp6, dns, groups, ra
from controller.guests.questions import Answerer
from overlay.tables.names import CookieKind

ANSWERERS: Final[Mapping[CookieKind, Answerer]] = {
    CookieKind.ASKED_ADDRESS: dhcp4.answer,
    CookieKind.ASKED_ADDRESS_V6: dhcp6.answer,
    CookieKind.ASKED_ROUTER: ra.answer,
    CookieKind.ASKED_GROUPS: groups.answer,
    CookieKind.ASKED_NAMES: dns.asked,
}

ASKED: Final[Mapping[CookieKind, str]] = {
    CookieKind.ASKED_ADDRESS: "dhcp",
    CookieKind.ASKED_ADDRESS_V6: "dhcpv6",
    CookieKind.ASKED_ROUTER: "router",
    CookieKind.ASKED_GROUPS: "multicast",
    CookieKind.ASKED_NAMES: "dns",
}
"""What each kind of question is called where they are counted."""

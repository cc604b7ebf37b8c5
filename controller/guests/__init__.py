"""What do machines ask of their network, and what is it that answers them?

A question is a frame that the port's own switch hands up with a cookie whose kind says what is asked.  Who answers
which kind stands here; :mod:`controller.guests.questions` says how.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.guests import groups
from controller.guests.questions import Answerer
from overlay.tables.names import CookieKind

ANSWERERS: Final[Mapping[CookieKind, Answerer]] = {
    CookieKind.ASKED_GROUPS: groups.answer,
}

ASKED: Final[Mapping[CookieKind, str]] = {
    CookieKind.ASKED_GROUPS: "multicast",
}
"""What each kind of question is called where they are counted."""

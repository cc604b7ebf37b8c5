"""How does this process become one of green threads, before anything else is imported?

The launcher calls :func:`patch` first of all.  Tests and tools that only import the framework get :func:`prepare` from
``controller.framework``: the same choices, without patching the standard library.  All greenlets share one core, so
nothing may hold it for long; the garbage collector least of all.
"""

from __future__ import annotations

import gc
import importlib
import os
import warnings
from typing import Final

HOLD: Final = 0.01
"""Seconds after which whoever has more to do lets the other greenlets go on first."""


def prepare() -> None:
    """Choose eventlet for both frameworks' hubs, and import it without the one notice by which it greets its users."""
    os.environ.setdefault("RYU_HUB_TYPE", "eventlet")
    os.environ.setdefault("OSKEN_HUB_TYPE", "eventlet")
    # We look up no names; its resolver would be a quarter of the start, during which switches try in vain to connect.
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        importlib.import_module("eventlet")


def patch() -> None:
    """Make the standard library's sockets, sleeps and locks yield to other greenlets (eventlet's monkey patching)."""
    prepare()
    importlib.import_module("eventlet").monkey_patch()


def collect_rarely() -> None:
    """Keep the garbage collector from holding all greenlets; to be called when everything is imported and loaded.

    Our values are frozen trees without cycles, which reference counts free.  With Python's own thresholds, full
    collections held all greenlets for 0.4-0.7 s while 50,000 flows were sent and read back (0.1-0.2 s for 10,000);
    with these, small collections held them for 20-120 ms (5-30 ms for 10,000).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 3, 2_000)

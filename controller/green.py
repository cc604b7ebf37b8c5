"""How does this process become one of green threads, before anything else is imported?

The launcher calls :func:`patch` first of all.  Tests and tools that only import the framework get :func:`prepare` from
``controller.framework``: the same choices, without patching the standard library.
"""

from __future__ import annotations

import importlib
import os
import warnings


def prepare() -> None:
    """Choose eventlet for both frameworks' hubs, and import it without the one notice by which it greets its users."""
    os.environ.setdefault("RYU_HUB_TYPE", "eventlet")
    os.environ.setdefault("OSKEN_HUB_TYPE", "eventlet")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        importlib.import_module("eventlet")


def patch() -> None:
    """Make the standard library's sockets, sleeps and locks yield to other greenlets (eventlet's monkey patching)."""
    prepare()
    importlib.import_module("eventlet").monkey_patch()

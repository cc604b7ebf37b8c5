"""Where is an application address?

The directory maps (VNI, MAC or IP) to the port that owns it and to the LA that frames for it are sent to.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple

from overlay.values import HostName, Mac, Profile


class Location(NamedTuple):
    """The answer of the directory.  ``host`` and ``la`` are ``None`` while the port is unbound.

    During a move it is where all other hosts send to.
    """

    port_id: str
    mac: Mac
    host: HostName | None
    la: IPv4Address | None


class Binding(NamedTuple):
    """A place of a port: the active one (its home), or the inactive one that a move prepares."""

    host: HostName
    active: bool
    plugged: bool
    ready: bool
    profile: Profile


class Clash(NamedTuple):
    """A hypervisor that was not let in, because its LA belongs to another one."""

    host: HostName
    la: IPv4Address
    holder: HostName

"""Who may a machine be, whose certificate gives it these names?

A hypervisor's certificate has its name, from which br-int's datapath id follows; a fabric switch's has its datapath id.
None instead of names stands for a connection without certificates, on which everybody is believed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

from controller.ovsdb.join import datapath_id_of
from overlay.values import DatapathId, HostName

Names: TypeAlias = Collection[str] | None


def may_be(names: Names, claimed: HostName | DatapathId) -> bool:
    """Whether it may be a hypervisor of this name, or a switch with this datapath id."""
    if names is None:
        return True
    if isinstance(claimed, HostName):
        return claimed in names
    return str(claimed) in names or any(datapath_id_of(HostName(name)) == claimed for name in names)


def spelled(names: Names) -> str:
    """The names, for a sentence."""
    return ", ".join(sorted(names or ())) or "nobody"

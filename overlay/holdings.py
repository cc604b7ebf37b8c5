"""What does each project have, and how much of it may it have?

Counted as objects come and go, so that asking costs the same however much there is.  Inner dicts with ``None`` values
are ordered sets.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from types import MappingProxyType
from typing import Final

from overlay.refusals import Conflict
from overlay.values import UNLIMITED, Countable, Quota

DEFAULT_QUOTAS: Final[Mapping[Countable, int]] = MappingProxyType(
    {
        Countable.NETWORK: 1000,
        Countable.SUBNET: 1000,
        Countable.PORT: 50_000,
        Countable.SUBNETPOOL: 100,
        Countable.RBAC_POLICY: 1000,
        Countable.SECURITY_GROUP: 1000,
        Countable.SECURITY_GROUP_RULE: 10_000,
        Countable.ADDRESS_GROUP: 1000,
        Countable.TAP_SERVICE: 100,
        Countable.TAP_FLOW: 1000,
        Countable.QOS_POLICY: 100,
        Countable.TRUNK: 1000,
    }
)
"""Enough for a big project, and few enough that one that runs wild does not take everything."""


class Holdings:
    """The ids of what each project has, in order of creation, and the projects' own quotas.

    :param defaults: how many of each a project may have that has no quota of its own.
    """

    def __init__(self, defaults: Mapping[Countable, int]) -> None:
        self.quotas: dict[str, Quota] = {}
        self.defaults = {kind: defaults.get(kind, DEFAULT_QUOTAS[kind]) for kind in Countable}
        self._ids: dict[Countable, dict[str, dict[str, None]]] = {kind: {} for kind in Countable}

    def add(self, kind: Countable, project: str, id_: str) -> None:
        """A project has one more."""
        self._ids[kind].setdefault(project, {})[id_] = None

    def drop(self, kind: Countable, project: str, id_: str) -> None:
        """A project has one less."""
        ids = self._ids[kind][project]
        del ids[id_]
        if not ids:
            del self._ids[kind][project]

    def ids(self, kind: Countable, project: str) -> Collection[str]:
        """What a project has of a kind."""
        return self._ids[kind].get(project, {}).keys()

    def projects(self) -> frozenset[str]:
        """All projects that have something, or a quota of their own."""
        return frozenset(self.quotas).union(*self._ids.values())

    def first(self, project: str, besides: Container[str] = ()) -> tuple[Countable, str] | None:
        """What something is, and its id, that a project has besides these; ``None`` when it has nothing."""
        return next(((kind, id_) for kind in Countable for id_ in self.ids(kind, project) if id_ not in besides), None)

    def usage(self, project: str) -> dict[Countable, int]:
        """How many of each a project has."""
        return {kind: len(self.ids(kind, project)) for kind in Countable}

    def limits(self, project: str) -> dict[Countable, int]:
        """How many of each a project may have."""
        own = self.quotas.get(project)
        return self.defaults if own is None else {**self.defaults, **own.limits}

    def charge(self, kind: Countable, project: str, more: int = 1) -> None:
        """Check that a project may have one more, or several.

        :raises Conflict: ``OverQuota``.
        """
        limit = self.limits(project)[kind] if project in self.quotas else self.defaults[kind]
        if limit != UNLIMITED and len(self.ids(kind, project)) + more > limit:
            raise Conflict(f"Quota exceeded for resources: ['{kind}'].", field=kind, kind="OverQuota")

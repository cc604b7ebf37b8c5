"""Who may use what is another's?

The index of shares: by the object that is shared, and by the project that it is shared with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias, TypeVar

from overlay.values import EVERYBODY, Share, Shareable

_Key: TypeAlias = tuple[Shareable, str]
_Value = TypeVar("_Value")


class Shares:
    """All shares.  Inner dicts with ``None`` values are ordered sets."""

    def __init__(self) -> None:
        self.by_id: dict[str, Share] = {}
        self._targets: dict[_Key, dict[str, str]] = {}
        self._reached: dict[_Key, dict[str, None]] = {}

    def put(self, share: Share) -> None:
        """Add or replace; what is shared never changes."""
        before = self.by_id.get(share.id)
        if before is not None and before.target_project != share.target_project:
            self._unlink(before)
        self.by_id[share.id] = share
        self._targets.setdefault((share.object_type, share.object_id), {})[share.target_project] = share.id
        self._reached.setdefault((share.object_type, share.target_project), {})[share.object_id] = None

    def drop(self, share_id: str) -> Share:
        """Remove.  :returns: what it was."""
        share = self.by_id.pop(share_id)
        self._unlink(share)
        return share

    def _unlink(self, share: Share) -> None:
        self._forget(self._targets, (share.object_type, share.object_id), share.target_project)
        self._forget(self._reached, (share.object_type, share.target_project), share.object_id)

    @staticmethod
    def _forget(index: dict[_Key, dict[str, _Value]], key: _Key, item: str) -> None:
        del index[key][item]
        if not index[key]:
            del index[key]

    def targets(self, kind: Shareable, object_id: str) -> Mapping[str, str]:
        """With whom an object is shared, and by which share."""
        return self._targets.get((kind, object_id), {})

    def reached(self, kind: Shareable, project: str) -> Collection[str]:
        """The ids of what is shared with a project by its name, and not only with everybody."""
        return self._reached.get((kind, project), {}).keys()

    def reaches(self, kind: Shareable, object_id: str, project: str) -> bool:
        """Whether a project may use an object that is another's."""
        targets = self.targets(kind, object_id)
        return project in targets or EVERYBODY in targets

"""How much may a project have, if not as much as any other?"""

from __future__ import annotations

from overlay.changes import Document, DocumentKind, ResetQuota, SetQuota
from overlay.documents import write_quota
from overlay.index import Index
from overlay.recording import Recorder
from overlay.refusals import Invalid, NotFound
from overlay.values import UNLIMITED, Quota


def set_quota(index: Index, change: SetQuota, record: Recorder) -> None:
    """Let a project have so many; what is not named stays."""
    for kind, limit in change.limits.items():
        if limit < UNLIMITED:
            raise Invalid(f"{kind}: {limit} is neither a number of objects nor -1", field=kind, kind="InvalidInput")
    usage = index.holdings.usage(change.project_id) if change.check else {}
    for kind, used in usage.items():
        if UNLIMITED < change.limits.get(kind, UNLIMITED) < used:
            raise Invalid(
                f"{kind}: {change.limits[kind]} is less than the {used} that are there", field=kind, kind="InvalidInput"
            )
    before = index.holdings.quotas.get(change.project_id)
    quota = Quota(change.project_id, {**({} if before is None else before.limits), **change.limits})
    index.put_quota(quota)
    record.store(write_quota(quota))


def reset_quota(index: Index, change: ResetQuota, record: Recorder) -> None:
    """Let a project have as many as any other."""
    if index.holdings.quotas.pop(change.project_id, None) is None:
        raise NotFound(
            f"Quota for tenant {change.project_id} could not be found.", field="project_id", kind="TenantQuotaNotFound"
        )
    record.store(Document(DocumentKind.QUOTA, change.project_id, None))

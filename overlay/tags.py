"""Which tags does an object have?

Words that people hang on networks, subnets, ports, subnet pools, QoS policies, security groups, address groups and
trunks to find them again; they mean nothing to us.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from overlay.changes import DocumentKind, SetTags
from overlay.index import Index
from overlay.policy.keeping import put_address_group, put_group
from overlay.recording import Recorder
from overlay.refusals import Invalid, NotFound
from overlay.revisions import Recorded, fresh

TAGS_MOST: Final = 255
"""The most tags of one object."""


def set_tags(index: Index, change: SetTags, record: Recorder) -> None:
    """Hang tags on an object, or take them off."""
    match change.kind:
        case DocumentKind.NETWORK:
            record.put_network(_tagged(index.network(change.id), change))
        case DocumentKind.SUBNET:
            record.put_subnet(_tagged(index.subnet(change.id), change))
        case DocumentKind.PORT:
            record.put_port(_tagged(index.port(change.id), change))
        case DocumentKind.SECURITY_GROUP:
            put_group(record, _tagged(index.policy.group(change.id), change))
        case DocumentKind.ADDRESS_GROUP:
            put_address_group(record, _tagged(index.policy.address_group(change.id), change))
        case DocumentKind.SUBNETPOOL:
            record.put_subnetpool(_tagged(index.subnetpool(change.id), change))
        case DocumentKind.QOS_POLICY:
            record.put_qos_policy(_tagged(index.qos.policy(change.id), change))
        case DocumentKind.TRUNK:
            record.put_trunk(_tagged(index.trunks.find(change.id), change))
        case _:
            raise Invalid(f"tags: a {change.kind} has no tags", field="tags", kind="InvalidInput")


def _tagged(thing: Recorded, change: SetTags) -> Recorded:
    had = fresh(thing, change.expected).record.tags
    for tag in change.needed:
        if tag not in had:
            raise NotFound(f"Tag {tag} could not be found.", field="tags", kind="TagNotFound")
    kept: set[str] = set() if change.remove is None else set(had).difference(change.remove)
    tags = {*kept, *change.add}
    if len(tags) > TAGS_MOST:
        raise Invalid(f"tags: {len(tags)} are more than {TAGS_MOST}", field="tags", kind="InvalidInput")
    return replace(thing, record=replace(thing.record, tags=tuple(sorted(tags))))

"""How do people mark objects to find them again?

Neutron's extension ``standard-attr-tag``: networks, subnets, ports, subnet pools, QoS policies, security groups,
address groups and trunks have tags below their own address.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.rest import answers
from controller.rest.access import Owned
from controller.rest.fields import Body, Identity, Tag, TagList
from controller.rest.listing import Json, Recorded
from controller.rest.preconditions import Conditions
from controller.rest.sight import Sight, require_owner
from controller.service import Service
from overlay.changes import DocumentKind, SetTags
from overlay.refusals import NotFound


class Tagged(Owned, Recorded, Protocol):
    """An object that has tags."""


class Find(Protocol):
    """How an object is found that the caller may see."""

    def __call__(self, object_id: str, /) -> Tagged:
        """Find it.  :raises NotFound: when it does not exist for the caller."""


class ObjectPath(BaseModel):
    """Which object."""

    object_id: Identity


class TagPath(ObjectPath):
    """Which tag of which object."""

    tag: Tag


class TagsBody(Body):
    """Tags."""

    tags: TagList


class TagsAnswer(BaseModel):
    """The tags of an object."""

    tags: list[str] = Field(description="Sorted.")


class _Kind:
    """The objects of one kind, and how their tags change."""

    def __init__(self, service: Service, kind: DocumentKind, find: Find) -> None:
        self._service = service
        self._kind = kind
        self._find = find

    def found(self, object_id: str) -> Tagged:
        """The object, if it exists for the caller."""
        try:
            return self._find(object_id)
        except NotFound as refusal:
            message = f"Resource {self._kind.value} {object_id} could not be found."
            raise NotFound(message, field=refusal.field, kind="TagResourceNotFound") from None

    def tags(self, object_id: str) -> Json:
        """The tags of an object."""
        return {"tags": list(self.found(object_id).record.tags)}

    def change(
        self,
        object_id: str,
        expected: int | None,
        add: Sequence[str] = (),
        remove: tuple[str, ...] | None = (),
        needed: tuple[str, ...] = (),
    ) -> Json:
        """Change the tags of an object that is the caller's own."""
        require_owner("Tagging", self.found(object_id))
        self._service.submit(SetTags(self._kind, object_id, tuple(add), remove, needed, expected))
        return self.tags(object_id)


def blueprints(service: Service) -> tuple[APIBlueprint, ...]:
    """Build the routes of tags, for each kind of objects that have some."""
    sight = Sight(service)
    finders: tuple[tuple[str, DocumentKind, Find, str], ...] = (
        ("network", DocumentKind.NETWORK, sight.network, "networks"),
        ("subnet", DocumentKind.SUBNET, sight.subnet, "subnets"),
        ("port", DocumentKind.PORT, sight.port, "ports"),
        ("subnetpool", DocumentKind.SUBNETPOOL, sight.subnetpool, "subnetpools"),
        ("trunk", DocumentKind.TRUNK, sight.trunk, "trunks"),
        ("security_group", DocumentKind.SECURITY_GROUP, sight.security_group, "security-groups"),
        ("address_group", DocumentKind.ADDRESS_GROUP, sight.address_group, "address-groups"),
        ("qos_policy", DocumentKind.QOS_POLICY, sight.qos_policy, "qos/policies"),
    )
    return tuple(_blueprint(noun, place, _Kind(service, kind, find)) for noun, kind, find, place in finders)


def _blueprint(noun: str, place: str, kind: _Kind) -> APIBlueprint:
    api = answers.routes(f"{noun}_tags", f"/v2.0/{place}/<object_id>/tags", suffix=f"_of_{noun}")

    @api.get("", responses=answers.ok(TagsAnswer))
    def list_tags(path: ObjectPath) -> Json:
        """List the tags of an object."""
        return kind.tags(path.object_id)

    @api.put("", responses=answers.changed(TagsAnswer))
    def replace_tags(path: ObjectPath, header: Conditions, body: TagsBody) -> Json:
        """Give an object these tags and no others."""
        return kind.change(path.object_id, header.expected, body.tags, None)

    @api.post("", responses=answers.created(TagsAnswer))
    def add_tags(path: ObjectPath, header: Conditions, body: TagsBody) -> tuple[Json, int]:
        """Give an object these tags as well."""
        return kind.change(path.object_id, header.expected, body.tags), 201

    @api.delete("", responses=answers.gone())
    def delete_tags(path: ObjectPath, header: Conditions) -> tuple[str, int]:
        """Take all tags off an object."""
        kind.change(path.object_id, header.expected, remove=None)
        return "", 204

    @api.get("/<path:tag>", responses=answers.gone())
    def show_tag(path: TagPath) -> tuple[str, int]:
        """Say whether an object has a tag: 204 if so, 404 if not."""
        if path.tag not in kind.found(path.object_id).record.tags:
            raise NotFound(f"Tag {path.tag} could not be found.", field="tag", kind="TagNotFound")
        return "", 204

    @api.put("/<path:tag>", responses=answers.done())
    def add_tag(path: TagPath, header: Conditions) -> tuple[str, int]:
        """Give an object a tag."""
        kind.change(path.object_id, header.expected, (path.tag,))
        return "", 201

    @api.delete("/<path:tag>", responses=answers.gone())
    def delete_tag(path: TagPath, header: Conditions) -> tuple[str, int]:
        """Take a tag off an object."""
        kind.change(path.object_id, header.expected, remove=(path.tag,), needed=(path.tag,))
        return "", 204

    return api

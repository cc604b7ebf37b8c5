"""Which addresses does a project speak of by one name?

``/v2.0/address-groups`` in Neutron's shape: rules of security groups may name such a group as their remote.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from flask_openapi3.blueprint import APIBlueprint

from controller.rest import answers
from controller.rest.access import caller, project_for
from controller.rest.listing import Collection, FieldsQuery, Json
from controller.rest.policy_forms import (
    ADDRESS_GROUP_ATTRIBUTES,
    AddressesBody,
    AddressGroupAnswer,
    AddressGroupCreate,
    AddressGroupCreateBody,
    AddressGroupPath,
    AddressGroupQuery,
    AddressGroupsAnswer,
    AddressGroupShown,
    AddressGroupUpdateBody,
)
from controller.rest.preconditions import Conditions
from controller.rest.sight import Sight
from controller.service import Service
from controller.turns import paced
from overlay.policy.changes import CreateAddressGroup, DeleteAddressGroup, UpdateAddressGroup
from overlay.policy.values import AddressGroup


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of address groups."""
    api = answers.routes("address_groups", "/v2.0")
    sight = Sight(service)
    collection = Collection("address_groups", ADDRESS_GROUP_ATTRIBUTES, AddressGroupShown, sight.address_group)

    def show(group_id: str) -> Json:
        return {"address_group": collection.show(service.world.address_group(group_id))}

    @api.get("/address-groups", responses=answers.listed(AddressGroupsAnswer))
    def list_address_groups(query: AddressGroupQuery) -> Json:
        """List address groups."""
        return collection.select(_candidates(sight), query)

    @api.post("/address-groups", responses=answers.created(AddressGroupAnswer, AddressGroupsAnswer))
    def create_address_group(body: AddressGroupCreateBody) -> tuple[Json, int]:
        """Make an address group, or several at once."""
        if body.address_group is not None:
            intent = _creation(body.address_group)
            service.submit(intent)
            return show(intent.id), 201
        intents = [_creation(given) for given in paced(body.address_groups or ())]
        service.submit_all(intents)
        made = [intent.id for intent in intents]
        return {"address_groups": collection.show_made(made, service.world.address_groups)}, 201

    @api.get("/address-groups/<address_group_id>", responses=answers.ok(AddressGroupAnswer))
    def show_address_group(path: AddressGroupPath, query: FieldsQuery) -> Json:
        """Show an address group."""
        return {"address_group": collection.show(sight.address_group(path.address_group_id), query)}

    @api.put("/address-groups/<address_group_id>", responses=answers.changed(AddressGroupAnswer))
    def update_address_group(path: AddressGroupPath, header: Conditions, body: AddressGroupUpdateBody) -> Json:
        """Change an address group's texts."""
        group, given = sight.address_group(path.address_group_id), body.address_group
        service.submit(UpdateAddressGroup(group.id, given.name, given.description, expected=header.expected))
        return show(group.id)

    @api.put("/address-groups/<address_group_id>/add_addresses", responses=answers.changed(AddressGroupAnswer))
    def add_addresses(path: AddressGroupPath, header: Conditions, body: AddressesBody) -> Json:
        """Add addresses that are not in it yet."""
        group = sight.address_group(path.address_group_id)
        service.submit(UpdateAddressGroup(group.id, add=tuple(body.addresses), expected=header.expected))
        return show(group.id)

    @api.put("/address-groups/<address_group_id>/remove_addresses", responses=answers.changed(AddressGroupAnswer))
    def remove_addresses(path: AddressGroupPath, header: Conditions, body: AddressesBody) -> Json:
        """Remove addresses that are in it."""
        group = sight.address_group(path.address_group_id)
        service.submit(UpdateAddressGroup(group.id, remove=tuple(body.addresses), expected=header.expected))
        return show(group.id)

    @api.delete("/address-groups/<address_group_id>", responses=answers.gone())
    def delete_address_group(path: AddressGroupPath, header: Conditions) -> tuple[str, int]:
        """Delete an address group that no rule names."""
        service.submit(DeleteAddressGroup(sight.address_group(path.address_group_id).id, header.expected))
        return "", 204

    return api


def _creation(given: AddressGroupCreate) -> CreateAddressGroup:
    project = project_for(given.project_id, given.tenant_id)
    return CreateAddressGroup(str(uuid.uuid4()), project, given.name, given.description, tuple(given.addresses))


def _candidates(sight: Sight) -> Iterable[AddressGroup]:
    world, own = sight.world, caller()
    if own.is_operator:
        return sight.whole(world.address_groups.values())
    return sight.whole(world.address_groups_of_project(own.project or ""))

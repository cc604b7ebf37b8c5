"""Where is an application address, asked over HTTP?

The directory as the operator's tools ask it: many addresses in one request, each in a network that is named by its id
or its VNI.  Hypervisors never ask: what the directory says is pushed to them.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Self, TypeAlias

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field, PlainValidator, WithJsonSchema, model_validator

from controller.rest import answers
from controller.rest.fields import Body, Identity, VniNumber, ip_of, refused
from controller.service import Service
from controller.views import LocationView
from overlay.values import IpAddress, Mac

MOST: Final = 1000
"""Lookups in one request."""

_MAC: Final = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


def _address(value: object) -> Mac | IpAddress:
    """Six pairs of digits are no IPv6 address, so that the text alone says which it is."""
    if isinstance(value, str) and _MAC.fullmatch(value):
        return Mac.parse(value)
    return ip_of(value, "an IP address or a MAC")


AddressText: TypeAlias = Annotated[
    Mac | IpAddress,
    PlainValidator(_address),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.5", "2001:db8::5", "fa:16:3e:00:00:01"]}),
]


class Lookup(Body):
    """One question: an address in a network."""

    network_id: Identity | None = Field(None, description="The network; or else its VNI.")
    vni: VniNumber | None = None
    address: AddressText

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if (self.network_id is None) == (self.vni is None):
            raise refused("exactly one of network_id and vni is wanted")
        return self


class Lookups(Body):
    """Questions, answered in their order."""

    lookups: tuple[Lookup, ...] = Field(min_length=1, max_length=MOST)


class LookupsAnswer(BaseModel):
    """Where each address is; null for one that nobody has there."""

    locations: tuple[LocationView | None, ...]


def blueprint(service: Service) -> APIBlueprint:
    """Build the directory's route."""
    api = answers.routes("directory", "/v1")

    @api.post("/directory/lookups", responses=answers.ok(LookupsAnswer))
    def look_up(body: Lookups) -> Response:
        """Look application addresses up: which port has one, and where is it now."""
        found = service.locate([(one.vni or one.network_id or "", one.address) for one in body.lookups])
        # Printed by pydantic at once: a thousand answers are not worth a detour over dicts.
        return Response(LookupsAnswer(locations=found).model_dump_json(), mimetype="application/json")

    return api

"""How does the operator say what the fabric is meant to be, and learn how it differs?

``/v1/topology/intended`` and ``/v1/topology/differences``, the operator's alone.
"""

from __future__ import annotations

import json
from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.fabric.drawing import Format
from controller.rest import answers
from controller.rest.errors import bad_request
from controller.rest.fields import Body
from controller.rest.listing import Json
from controller.service import Service
from controller.views import DifferenceView, IntendedView


class IntendedUpdate(Body):
    """The topology that the fabric is meant to have."""

    format: Format
    document: str | dict[str, Any] = Field(
        description="GraphML as a string; JSON in networkx' node-link form as an object, or as a string."
    )


class IntendedUpdateBody(Body):
    """The topology that the fabric is meant to have."""

    intended: IntendedUpdate


class IntendedAnswer(BaseModel):
    """The topology that the fabric is meant to have."""

    intended: IntendedView


class DifferencesAnswer(BaseModel):
    """In what the fabric differs from it, the likely causes first."""

    differences: tuple[DifferenceView, ...]


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes."""
    api = answers.routes("intended", "/v1/topology")

    @api.get("/intended", responses=answers.ok(IntendedAnswer))
    def show_intended() -> Json:
        """Show the topology that the fabric is meant to have."""
        return _json(IntendedAnswer(intended=service.intended()))

    @api.put("/intended", responses=answers.ok(IntendedAnswer, 409))
    def update_intended(body: IntendedUpdateBody) -> Json:
        """Say which topology the fabric is meant to have; it is compared with what is seen and changes nothing."""
        given = body.intended
        if isinstance(given.document, str):
            document = given.document
        elif given.format is Format.JSON:
            document = json.dumps(given.document)
        else:
            raise bad_request("document", "GraphML must be a string")
        service.intend(given.format, document)
        return _json(IntendedAnswer(intended=service.intended()))

    @api.delete("/intended", responses=answers.gone())
    def delete_intended() -> tuple[str, int]:
        """Take the intended topology away; then nothing is compared any more."""
        service.intend_nothing()
        return "", 204

    @api.get("/differences", responses=answers.ok(DifferencesAnswer))
    def list_differences() -> Json:
        """List in what the fabric differs from the intended topology."""
        return _json(DifferencesAnswer(differences=service.differences()))

    return api


def _json(answer: BaseModel) -> Json:
    return answer.model_dump(mode="json", by_alias=True)

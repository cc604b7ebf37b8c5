"""What was dropped at a port, and why?

``/v1/ports/{port_id}/drops``: read from the switches when it is asked for, which Neutron has no words for.  Whoever
sees a port may know.
"""

from __future__ import annotations

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel

from controller.rest import answers
from controller.rest.listing import Json
from controller.rest.port_forms import PortPath
from controller.rest.sight import Sight
from controller.service import Service
from controller.views import DropView


class DropsAnswer(BaseModel):
    """What was dropped, by reason."""

    drops: tuple[DropView, ...]


def blueprint(service: Service) -> APIBlueprint:
    """Build the route."""
    api = answers.routes("drops", "/v1")
    sight = Sight(service)

    @api.get("/ports/<port_id>/drops", responses=answers.found(DropsAnswer))
    def list_drops(path: PortPath) -> Json:
        """List what was dropped at a port, by reason, since it was plugged in or last changed."""
        port = sight.port(path.port_id)
        return DropsAnswer(drops=service.drops(port.id)).model_dump(mode="json")

    return api

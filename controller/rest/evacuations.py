"""How does the operator empty a host?

A passive binding for every port, a few at a time; the ports' orchestrator moves the machines, and sees here which are
to go where.  The evacuation stays, and keeps other ports away, until it is deleted.
"""

from __future__ import annotations

from typing import Final

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.rest import answers
from controller.rest.fields import Body, HostText
from controller.rest.listing import Json
from controller.service import Service
from overlay.evacuation.changes import EndEvacuation, Evacuate
from overlay.evacuation.values import PARALLEL_MOST, Advance
from overlay.values import HostName

_TARGETS_MOST: Final = 1000


class EvacuationCreate(Body):
    """How a host is to be emptied."""

    to: tuple[HostText, ...] = Field(
        (), description="Where its ports may go; to any host if it is empty.", max_length=_TARGETS_MOST
    )
    parallel: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=PARALLEL_MOST,
        description="How many moves are under way at once; as `overlay.evacuation_parallel` says if it is null.",
    )
    activate: bool = Field(
        False,
        strict=True,
        description="Whether a port switches by itself as soon as its tap is at the target, its machine having moved "
        "or not; otherwise it waits for its activation, as other moves do.",
    )


class EvacuationBody(Body):
    """How a host is to be emptied."""

    evacuation: EvacuationCreate


class MovingShown(BaseModel):
    """A port on its way."""

    port_id: str
    move_id: str
    target: str
    phase: str


class RemainingShown(BaseModel):
    """A port that is still there, and why."""

    port_id: str
    reason: str


class EvacuationShown(BaseModel):
    """How far a host has been emptied."""

    host: str
    state: Advance
    to: tuple[str, ...]
    parallel: int
    activate: bool
    begun_at: float
    waiting: tuple[str, ...] = Field(description="The ids of ports whose turn has not come.")
    moving: tuple[MovingShown, ...]
    done: tuple[str, ...] = Field(description="The ids of ports that have left.")
    failed: tuple[RemainingShown, ...] = Field(description="Ports whose move has ended, and that are still there.")
    staying: tuple[RemainingShown, ...] = Field(description="Ports that cannot move by themselves.")


class EvacuationAnswer(BaseModel):
    """How far a host has been emptied."""

    evacuation: EvacuationShown


class HostPath(BaseModel):
    """Which host."""

    host: str


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of evacuations."""
    api = answers.routes("evacuations", "/v1/hosts")

    @api.post("/<host>/evacuate", responses=answers.changed(EvacuationAnswer))
    def evacuate_host(path: HostPath, body: EvacuationBody) -> Json:
        """Empty a host; of a host that is being emptied, go on as it says here and try again what has failed."""
        asked, host = body.evacuation, HostName(path.host)
        service.submit(Evacuate(host, asked.to, asked.parallel, asked.activate))
        return _shown(service, host)

    @api.get("/<host>/evacuation", responses=answers.ok(EvacuationAnswer))
    def show_evacuation(path: HostPath) -> Json:
        """Show which ports of a host wait, move, have left or are still there."""
        return _shown(service, HostName(path.host))

    @api.delete("/<host>/evacuation", responses=answers.gone())
    def end_evacuation(path: HostPath) -> tuple[str, int]:
        """End an evacuation: what waits stays, what is not activated is cancelled, and the host takes ports again."""
        service.submit(EndEvacuation(HostName(path.host)))
        return "", 204

    return api


def _shown(service: Service, host: HostName) -> Json:
    found, counted, state = service.world.evacuation(host)
    shown = EvacuationShown(
        host=found.host,
        state=state,
        to=found.targets,
        parallel=found.parallel,
        activate=found.activate,
        begun_at=found.begun,
        waiting=counted.waiting,
        moving=tuple(
            MovingShown(port_id=move.port_id, move_id=move.id, target=move.target, phase=move.phase)
            for move in counted.moving
        ),
        done=found.done,
        failed=tuple(RemainingShown(port_id=port_id, reason=why) for port_id, why in found.failed.items()),
        staying=tuple(RemainingShown(port_id=port_id, reason=why) for port_id, why in counted.staying.items()),
    )
    return EvacuationAnswer(evacuation=shown).model_dump(mode="json")

"""What does the operator see that Neutron has no words for?

``/v1``: the fabric, the hypervisors, the moves, the paths, and the controller's health.  All of it is the operator's,
but anybody may ask whether the controller is ready, and a project sees the moves of its own ports without the hosts.
"""

from __future__ import annotations

from typing import Any, Final

from flask import g
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field, TypeAdapter

from controller.rest import answers
from controller.rest.access import Caller, caller
from controller.rest.errors import ErrorAnswer
from controller.rest.fields import Body, Identity
from controller.rest.listing import Json
from controller.rest.policy import OPERATORS
from controller.service import Service
from controller.views import HealthView, HostView, LoadView, MoveStep, MoveView, PathsView, TopologyView
from overlay.moves import LIVE
from overlay.refusals import NotFound

MOVE_HIDDEN: Final = OPERATORS["move"]
"""What of a move only the operator sees."""

_MOVE: Final = TypeAdapter(MoveView)


class TopologyAnswer(BaseModel):
    """The fabric."""

    topology: TopologyView


class LoadAnswer(BaseModel):
    """What the fabric carries."""

    load: LoadView


class HostsAnswer(BaseModel):
    """The hypervisors."""

    hosts: tuple[HostView, ...]


class PathsAnswer(BaseModel):
    """The ways from one end to the other."""

    paths: PathsView


class OwnMove(BaseModel):
    """A move as the project sees whose port it is."""

    id: str
    port_id: str
    phase: str
    trigger: str
    timeline: tuple[MoveStep, ...]
    activated_in_ms: float | None
    ready_in_ms: float | None
    total_ms: float | None
    activation: str
    reason: str


class MoveAnswer(BaseModel):
    """One move."""

    move: MoveView | OwnMove


class MovesAnswer(BaseModel):
    """Moves, oldest first."""

    moves: tuple[MoveView | OwnMove, ...]


class Readiness(BaseModel):
    """What everybody may know of the controller's health."""

    ready: bool


class HealthAnswer(BaseModel):
    """The controller's health, in full for the operator."""

    health: HealthView | Readiness


class MovePath(BaseModel):
    """Which move."""

    move_id: str


class MovesQuery(Body):
    """Filters of the list of moves."""

    port_id: Identity | None = None
    phase: Identity | None = None
    live: bool | None = Field(None, description="Only moves that are under way, or only those that have ended.")


class PathsQuery(Body):
    """Both ends of the paths."""

    source: Identity = Field(alias="from", description="A port's id or a hypervisor's name.")
    target: Identity = Field(alias="to", description="A port's id or a hypervisor's name.")


def blueprint(service: Service) -> APIBlueprint:
    """Build the operator's routes."""
    api = answers.routes("operations", "/v1")

    @api.get("/topology", responses=answers.ok(TopologyAnswer))
    def show_topology() -> Json:
        """Show the fabric: switches, links, edge ports, locators and prefixes."""
        return _json(TopologyAnswer(topology=service.topology()))

    @api.get("/topology/load", responses=answers.ok(LoadAnswer))
    def show_load() -> Json:
        """Show what each link of the fabric carries, and how evenly equal next hops are used."""
        return _json(LoadAnswer(load=service.load()))

    @api.get("/hosts", responses=answers.ok(HostsAnswer))
    def list_hosts() -> Json:
        """List the hypervisors."""
        return _json(HostsAnswer(hosts=service.hosts()))

    @api.get("/paths", responses=answers.ok(PathsAnswer, 409))
    def list_paths(query: PathsQuery) -> Json:
        """List the physical paths between two ports or hypervisors."""
        return _json(PathsAnswer(paths=service.paths(query.source, query.target)))

    @api.get("/moves", responses=answers.ok(MovesAnswer))
    def list_moves(query: MovesQuery) -> Json:
        """List the moves under way and the latest finished ones; a project sees those of its ports."""
        return {
            "moves": [
                _move(move)
                for move in service.moves()
                if query.port_id in {None, move.port_id}
                and query.phase in {None, move.phase}
                and query.live in {None, move.phase in LIVE}
                and _sees(service, move)
            ]
        }

    @api.get("/moves/<move_id>", responses=answers.ok(MoveAnswer))
    def show_move(path: MovePath) -> Json:
        """Show a move with its timeline."""
        try:
            move = service.move(path.move_id)
        except NotFound:
            move = None
        if move is None or not _sees(service, move):
            raise NotFound(f"Move {path.move_id} could not be found.", field="move_id", kind="MoveNotFound")
        return {"move": _move(move)}

    @api.get(
        "/health",
        responses={200: HealthAnswer, 401: ErrorAnswer, 429: ErrorAnswer, 503: HealthAnswer},
        openapi_extensions=answers.NO_TOKEN,
    )
    def show_health() -> tuple[Json, int]:
        """Tell whether the controller is ready; the operator learns everything.  Needs no token."""
        health = service.health()
        who: Caller | None = g.caller
        full = who is not None and who.is_operator
        shown = HealthAnswer(health=health if full else Readiness(ready=health.ready))
        return _json(shown), 200 if health.ready else 503

    return api


def _json(answer: BaseModel) -> Json:
    return answer.model_dump(mode="json", by_alias=True)


def _sees(service: Service, move: MoveView) -> bool:
    """Whether the caller may know of a move; that of a deleted port is the operator's to see."""
    who = caller()
    if who.is_operator:
        return True
    port = service.world.ports.get(move.port_id)
    return port is not None and who.sees(port)


def _move(move: MoveView) -> Json:
    shown: dict[str, Any] = _MOVE.dump_python(move, mode="json")
    return shown if caller().is_operator else {name: value for name, value in shown.items() if name not in MOVE_HIDDEN}

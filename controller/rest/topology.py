"""How does the operator run the fabric?

``/v1/topology/…``, the operator's alone: how ways are chosen, switches and links in maintenance, what links weigh and
carry.  Whatever changes routes can be tried first: ``?dry_run=true`` answers
what would change on which switches, and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.fabric.changes import LinkTuned, Order, PolicyChosen, SwitchForgotten, SwitchMaintained
from controller.fabric.plan import PortRef
from controller.rest import answers
from controller.rest.fields import Body, Maybe
from controller.rest.listing import Json
from controller.service import Service
from controller.views import CableView, PoliciesView, SwitchChangeView, SwitchView
from overlay.refusals import Invalid
from overlay.values import DatapathId

_END: Final = re.compile(r"([0-9a-fA-F]{16}):([0-9]{1,10})")


Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]


class PolicyUpdate(Body):
    """How ways through the fabric are to be chosen."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    paths: Maybe[Whole] = Field(None, description="Over how many paths disjoint spreads; as it was when left out.")


class PolicyUpdateBody(Body):
    """How ways through the fabric are to be chosen."""

    policy: PolicyUpdate


class PolicyAnswer(BaseModel):
    """How ways through the fabric are chosen."""

    policy: PoliciesView


class SwitchUpdate(Body):
    """Whether a switch is in maintenance."""

    maintenance: Flag
    force: Flag = Field(False, description="Also if hosts would be cut off if it went.")


class SwitchUpdateBody(Body):
    """Whether a switch is in maintenance."""

    switch: SwitchUpdate


class SwitchAnswer(BaseModel):
    """A fabric switch."""

    switch: SwitchView


class SwitchesAnswer(BaseModel):
    """The fabric switches."""

    switches: tuple[SwitchView, ...]


class SwitchPath(BaseModel):
    """Which switch."""

    switch_id: str = Field(description="Its datapath id, 16 hex digits.")


class LinkUpdate(Body):
    """What is said about a link; what is left out stays as it is."""

    weight: Maybe[Whole] = Field(None, description="What a way over it costs; 1 where nothing was said.")
    capacity_mbps: Maybe[Whole] = Field(None, description="What it carries, in Mbit/s; 0 for what its ports say.")
    maintenance: Maybe[Flag] = None
    force: Flag = Field(False, description="Also if hosts would be cut off if it went.")


class LinkUpdateBody(Body):
    """What is said about a link."""

    link: LinkUpdate


class LinkAnswer(BaseModel):
    """A cable between two switches."""

    link: CableView


class LinksAnswer(BaseModel):
    """The cables between switches."""

    links: tuple[CableView, ...]


class LinkPath(BaseModel):
    """Which link."""

    link_id: str = Field(description="Either end: a switch's datapath id and a port, <16 hex digits>:<number>.")


class DryRun(Body):
    """Whether it is only to be tried."""

    dry_run: bool = Field(False, description="Answer what would change, and change nothing.")


class PreviewAnswer(BaseModel):
    """What would change, on which switches; nothing did."""

    dry_run: Literal[True] = True
    changes: tuple[SwitchChangeView, ...]


def _tried(model: type[BaseModel]) -> answers.Responses:
    """What a change answers: how it is then, or what it would change; 409 when it would cut hosts off."""
    return answers.ok(answers.one_of(model, PreviewAnswer), 409)


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes."""
    api = answers.routes("topology", "/v1/topology")
    _policy_routes(api, service)
    _switch_routes(api, service)
    _link_routes(api, service)
    return api


def _carried_out(service: Service, query: DryRun, order: Order, answer: Callable[[], BaseModel]) -> Json:
    if query.dry_run:
        return _json(PreviewAnswer(changes=service.preview(order)))
    service.order(order)
    return _json(answer())


def _policy_routes(api: APIBlueprint, service: Service) -> None:
    @api.get("/policy", responses=answers.ok(PolicyAnswer))
    def show_policy() -> Json:
        """Show how ways through the fabric are chosen, and how they could be."""
        return _json(PolicyAnswer(policy=service.policy()))

    @api.put("/policy", responses=_tried(PolicyAnswer))
    def update_policy(query: DryRun, body: PolicyUpdateBody) -> Json:
        """Choose how ways through the fabric are chosen; packets under way are not lost."""
        given = body.policy
        paths = service.policy().paths if given.paths is None else given.paths
        return _carried_out(
            service, query, PolicyChosen(given.name, paths), lambda: PolicyAnswer(policy=service.policy())
        )


def _switch_routes(api: APIBlueprint, service: Service) -> None:
    @api.get("/switches", responses=answers.ok(SwitchesAnswer))
    def list_switches() -> Json:
        """List the fabric's switches."""
        return _json(SwitchesAnswer(switches=service.switches()))

    @api.get("/switches/<switch_id>", responses=answers.ok(SwitchAnswer))
    def show_switch(path: SwitchPath) -> Json:
        """Show a fabric switch."""
        return _json(SwitchAnswer(switch=service.switch(_switch(path.switch_id))))

    @api.put("/switches/<switch_id>", responses=_tried(SwitchAnswer))
    def update_switch(path: SwitchPath, query: DryRun, body: SwitchUpdateBody) -> Json:
        """Take a switch into maintenance, or back: traffic leaves it first, and it may go when it is drained."""
        which = _switch(path.switch_id)
        order = SwitchMaintained(which, body.switch.maintenance, body.switch.force)
        return _carried_out(service, query, order, lambda: SwitchAnswer(switch=service.switch(which)))

    @api.delete("/switches/<switch_id>", responses=answers.gone())
    def delete_switch(path: SwitchPath) -> tuple[str, int]:
        """Forget a switch that was taken away for good, with all that was said about it."""
        service.order(SwitchForgotten(_switch(path.switch_id)))
        return "", 204


def _link_routes(api: APIBlueprint, service: Service) -> None:
    @api.get("/links", responses=answers.ok(LinksAnswer))
    def list_links() -> Json:
        """List the cables between the fabric's switches."""
        return _json(LinksAnswer(links=service.cables()))

    @api.get("/links/<link_id>", responses=answers.ok(LinkAnswer))
    def show_link(path: LinkPath) -> Json:
        """Show a cable between two switches."""
        return _json(LinkAnswer(link=service.cable(_link(path.link_id))))

    @api.put("/links/<link_id>", responses=_tried(LinkAnswer))
    def update_link(path: LinkPath, query: DryRun, body: LinkUpdateBody) -> Json:
        """Say what a link weighs and carries, or take it into maintenance."""
        end, given = _link(path.link_id), body.link
        order = LinkTuned(end, given.weight, given.capacity_mbps, given.maintenance, given.force)
        return _carried_out(service, query, order, lambda: LinkAnswer(link=service.cable(end)))


def _switch(text: str) -> DatapathId:
    return DatapathId.parse(text, "switch_id")


def _link(text: str) -> PortRef:
    found = _END.fullmatch(text)
    if found is None:
        raise Invalid(
            f"link_id: {text!r} is not one end of a link (16 hex digits, a colon and a port number)", field="link_id"
        )
    return PortRef(DatapathId.parse(found[1], "link_id"), int(found[2]))


def _json(answer: BaseModel) -> Json:
    return answer.model_dump(mode="json", by_alias=True)

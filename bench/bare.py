"""What does the web framework itself take for a request?

A server as the controller's, with routes that do nothing: one that takes a small object and gives it back, and one that
gives an empty list.  The standard library has to be made green (:func:`controller.green.patch`) before it is imported.
"""

from __future__ import annotations

from typing import Any

import eventlet
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel

from controller.configuration import Endpoint
from controller.rest.server import Server


class Thing(BaseModel):
    """What is sent and given back."""

    name: str = ""


class ThingBody(BaseModel):
    """One of them."""

    thing: Thing


def serve() -> None:
    """Print the port that it listens on, and serve until ended."""
    app = OpenAPI("bare", doc_ui=False)

    @app.post("/things")
    def make(body: ThingBody) -> tuple[dict[str, Any], int]:
        return {"thing": body.thing.model_dump(mode="json")}, 201

    @app.get("/things")
    def show() -> dict[str, Any]:
        return {"things": []}

    print(Server(Endpoint("127.0.0.1", 0), app).endpoint.port, flush=True)
    while True:
        eventlet.sleep(3600)

"""How does a reader learn the API?

``/openapi.json``, generated from the models that validate the requests, and ``/docs``, a page to browse and try it.
The page loads nothing from elsewhere: its scripts are files of the package ``flask-openapi3-swagger``.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from flask import Blueprint, Response, send_from_directory

PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>VL2 API</title>
  <link rel="stylesheet" href="/docs/css/swagger-ui.css">
  <link rel="icon" href="/docs/images/swagger.svg">
</head>
<body>
  <div id="page"></div>
  <script src="/docs/js/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"""

START: Final = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""

# The style sheet holds its icons as data: URLs, and the page styles its elements itself.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@cache
def static_directory() -> Path:
    """Where the installed package keeps the page's files."""
    return Path(str(files("flask_openapi3_swagger"))) / "templates" / "swagger"


def blueprint() -> Blueprint:
    """Build the routes of the browsable page."""
    pages = Blueprint("documents", __name__)

    @pages.get("/docs")
    def page() -> Response:
        """Show the page."""
        response = Response(PAGE, mimetype="text/html")
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    @pages.get("/docs/start.js")
    def start() -> Response:
        """Start the page."""
        return Response(START, mimetype="text/javascript")

    @pages.get("/docs/<path:name>")
    def file(name: str) -> Response:
        """Hand out one of the page's files; nothing outside of their directory."""
        return send_from_directory(static_directory(), name)

    return pages

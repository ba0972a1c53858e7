"""The HTTP API: between requests and the service, with the OpenAPI document that both are checked against.

Each file in `resources` holds a `RESOURCE` with its operations. From each operation's declaration
come its route, the check of its requests and its place in the document.
"""

from __future__ import annotations

import json
import pkgutil
from importlib import import_module
from typing import Any

from flask import Blueprint, Flask, Response, request
from flask_swagger_ui import get_swaggerui_blueprint  # type: ignore[import-untyped]
from im_callback.provider_mock.server import audit
from im_callback.provider_mock.server.api import problems, resources
from im_callback.provider_mock.server.api.document import document, shared
from im_callback.provider_mock.server.api.operation import JSON, Operation, Resource
from im_callback.provider_mock.server.api.reading import Reader
from im_callback.provider_mock.server.service import Service
from im_callback.provider_mock.server.tokens import Scope

DOCUMENT = "/openapi.json"
PAGE = "/docs"


def register(app: Flask, service: Service, *, token_needed: bool = False) -> None:
    """Add the API, its document and the page that shows it, and let the application answer errors as problems.

    `token_needed` says in the document that requests carry a bearer token; who checks it is somebody else.
    """
    problems.register(app)
    found = load()
    blueprint = Blueprint("api", __name__)
    schemas = shared(found)
    for resource in found:
        for one in resource.operations:
            if one.handler is not None:
                view = _view(service, one, Reader(one, schemas))
                rule = one.path.replace("{", "<").replace("}", ">")
                blueprint.add_url_rule(rule, one.name, view, methods=[one.method])
    text = json.dumps(document(found, token_needed=token_needed))
    blueprint.add_url_rule(DOCUMENT, "openapi", lambda: Response(text, content_type=JSON))
    app.register_blueprint(blueprint)
    # No badge: it would have somebody else's server fetch the document.
    settings = {"app_name": "provider-mock", "validatorUrl": None, "docExpansion": "list"}
    app.register_blueprint(get_swaggerui_blueprint(PAGE, DOCUMENT, config=settings))


def needs() -> dict[str, Scope | None]:
    """Return the scope that a token has to have, by endpoint; None: it is answered without a token."""
    operations = [one for resource in load() for one in resource.operations]
    found = {one.name if one.handler is None else f"api.{one.name}": one.scope for one in operations}
    return {**found, "api.openapi": None, "swagger_ui.show": None}


def load() -> list[Resource]:
    """Return all resources, in alphabetical order of their files."""
    names = sorted(module.name for module in pkgutil.iter_modules(resources.__path__))
    return [import_module(f"{resources.__name__}.{name}").RESOURCE for name in names]


def _view(service: Service, operation: Operation, reader: Reader) -> Any:
    handler = operation.handler
    assert handler is not None

    def view(**path: str) -> Response:
        asked = reader.read(request, path)
        if operation.concerns is not None:
            audit.current().concerned |= operation.concerns(asked)
        reply = handler(service, asked)
        if reply.status == 204:
            return Response(status=204)
        text = json.dumps(reply.body, separators=(",", ":"), allow_nan=False)
        return Response(text, reply.status, dict(reply.headers), content_type=JSON)

    return view

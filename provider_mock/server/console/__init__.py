"""The console at `/`: what the service does and did, for people with a browser; it needs no other server."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, Response, make_response, redirect, render_template, request, url_for
from im_callback.provider_mock.delivery.ledger import LedgerError
from im_callback.provider_mock.drawing import style
from im_callback.provider_mock.drawing.svg import span
from im_callback.provider_mock.server import audit
from im_callback.provider_mock.server.console import form, told
from im_callback.provider_mock.server.console.door import LOGIN, PREFIX, SESSION_SECONDS, STATIC, Door, cookie
from im_callback.provider_mock.server.console.pages import NEEDS, Pages
from im_callback.provider_mock.server.errors import NotFound, Objection, ServiceError
from im_callback.provider_mock.server.service import Service
from im_callback.provider_mock.server.tokens import Scope
from im_callback.provider_mock.visible import visible

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
_OPEN = frozenset({"console.login", "console.enter", "console.static", "console.drawing"})
"""Pages that are shown to everybody: nothing of the service is in them."""


def needs() -> dict[str, Scope | None]:
    """Return the scope that a token has to have, by endpoint; None: none, as on the way in and out."""
    return {**dict.fromkeys((*_OPEN, "console.leave")), **{f"console.{name}": scope for name, scope in NEEDS.items()}}


def register(app: Flask, service: Service, door: Door) -> None:
    """Add the console to the application."""
    blueprint = Blueprint(
        "console", __name__, template_folder="templates", static_folder="static", static_url_path=STATIC
    )
    Pages(service).register(blueprint)
    _enter(blueprint, door)

    @blueprint.before_request
    def only_known() -> Response | None:
        if request.endpoint in _OPEN or door.visitor(_headers()) is not None:
            return None
        if "HX-Request" in request.headers:
            # Not into a part of a page.
            return Response(status=401, headers={"HX-Redirect": LOGIN})
        to = request.full_path.rstrip("?") if request.method == "GET" else "/"
        return make_response(redirect(url_for("console.login", next=to), 303))

    @blueprint.after_request
    def guard(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "same-origin"
        if request.endpoint not in _OPEN:
            # Payloads are people's: nothing of them stays in the browser.
            response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.errorhandler(ServiceError)
    def refused(error: ServiceError) -> tuple[str, int]:
        return render_template("refused.html", problems=error.problems), 404 if isinstance(error, NotFound) else 422

    @blueprint.errorhandler(LedgerError)
    def unavailable(error: LedgerError) -> tuple[str, int]:
        return render_template("refused.html", problems=[Objection("", str(error), "try again in a moment")]), 503

    @blueprint.context_processor
    def known() -> dict[str, Any]:
        visitor = door.visitor(_headers())
        may = frozenset() if visitor is None else visitor.scopes
        return {"locked": door.locked, "here": request.full_path.rstrip("?"), "page": request.endpoint, "may": may}

    @blueprint.get(f"{PREFIX}/drawing.css")
    def drawing() -> Response:
        return Response(style(), content_type="text/css; charset=utf-8")

    app.jinja_env.filters.update(
        visible=visible, moment=told.moment, span=span, pretty=told.pretty, text_of=told.text_of, curl=told.curl,
        masked=told.masked, shown=form.shown, unseen=told.unseen,
    )  # fmt: skip
    app.jinja_env.globals.update(OUTCOME_WORDS=told.OUTCOMES, END_WORDS=told.ENDS)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(blueprint)


def _enter(blueprint: Blueprint, door: Door) -> None:
    """Add the way in and out."""

    @blueprint.get(LOGIN)
    def login() -> str:
        return render_template("login.html", next=_inside(request.args.get("next", "")), wrong="")

    @blueprint.post(LOGIN)
    def enter() -> Response:
        to = _inside(request.form.get("next", ""))
        token = door.open(request.form.get("token", "").strip())
        if isinstance(token, str):
            return Response(render_template("login.html", next=to, wrong=token), 403)
        audit.current().token = token.name
        response = make_response(redirect(to, 303))
        response.set_cookie(
            cookie(_headers()),
            door.session(token),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=request.is_secure,
        )
        return response

    @blueprint.post(f"{PREFIX}/logout")
    def leave() -> Response:
        response = make_response(redirect(LOGIN, 303))
        response.delete_cookie(cookie(_headers()), httponly=True, samesite="Strict")
        return response


def _inside(path: str) -> str:
    """Return the path of a page of the console; the first one, where it is none."""
    inside = path == "/" or path.startswith(("/?", f"{PREFIX}/"))
    return path if inside and path.isprintable() and "\\" not in path else "/"


def _headers() -> dict[str, str]:
    return {name.upper().replace("-", "_"): value for name, value in request.headers.items()}

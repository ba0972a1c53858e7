"""The console's pages: between a browser and the service, as the API is between programs and it."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, render_template, request, url_for
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Feed, Provider
from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.delivery.ledger import STATES, DeliveryRecord, LedgerError, Query
from im_callback.provider_mock.drawing.bars import bars
from im_callback.provider_mock.drawing.columns import columns
from im_callback.provider_mock.drawing.timeline import drawn
from im_callback.provider_mock.drawing.timeline import told as timeline_told
from im_callback.provider_mock.server import audit
from im_callback.provider_mock.server.console import changes, faults, form, told
from im_callback.provider_mock.server.errors import Invalid, Objection, ServiceError, Unavailable
from im_callback.provider_mock.server.front import STOPPING, WATCHED
from im_callback.provider_mock.server.models import OUTCOMES, AppView, NewEvent
from im_callback.provider_mock.server.recent import COLUMN_MILLIS
from im_callback.provider_mock.server.service import Service
from im_callback.provider_mock.server.tokens import Scope
from im_callback.schemas import EventType, jsontext
from markupsafe import Markup

ROWS = 50
ATTEMPTS = 100
"""Attempts of a delivery that its page shows, the last ones."""
PARKED = 20
ROUTES: tuple[tuple[str, str, str, Scope], ...] = (
    ("/", "deliveries", "GET", "read"),
    ("/console/deliveries/<int(max=9223372036854775807):delivery_id>", "delivery", "GET", "read"),
    ("/console/deliveries/<int(max=9223372036854775807):delivery_id>/again", "again", "POST", "send"),
    ("/console/send", "send", "GET", "read"),
    ("/console/send", "sent", "POST", "send"),
    ("/console/apps", "apps", "GET", "read"),
    ("/console/apps/<name>", "app", "GET", "read"),
    ("/console/apps/<name>/faults", "set_faults", "POST", "manage"),
    ("/console/apps/<name>/release", "release", "POST", "send"),
    ("/console/apps/<name>/resume", "resume", "POST", "send"),
    ("/console/apps/<name>/traffic", "start_run", "POST", "send"),
    ("/console/apps/<name>/scenario", "start_scenario", "POST", "send"),
    ("/console/scenarios/<int:scenario_id>/stop", "stop_scenario", "POST", "send"),
    ("/console/runs", "runs", "GET", "read"),
    ("/console/runs/<int:run_id>/stop", "stop_run", "POST", "send"),
    (WATCHED, "changes", "GET", "read"),
)
"""Of each page its path, the method of `Pages` that answers, HTTP's method, and the scope that a token has to have."""
NEEDS = {name: scope for _, name, _, scope in ROUTES}
_ATTRIBUTE = "attribute:"
_PAYLOAD = re.compile(r"^/events/0/payload(?:/0)?(?=/|$)")


class Pages:
    """The pages of a service. What it refuses is said on the page that asked for it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._changes = changes.Changes(service)

    def register(self, blueprint: Blueprint) -> None:
        """Add the pages to a blueprint."""
        for rule, name, method, _ in ROUTES:
            blueprint.add_url_rule(rule, name, getattr(self, name), methods=[method])

    # Deliveries

    def deliveries(self) -> str:
        """Show the newest deliveries, or those before one, that the filters in the address let through."""
        # What no database takes is not looked for.
        asked = {
            name: request.args.get(name, "").replace("\0", "").strip()
            for name in ("q", "app", "state", "outcome", "type")
        }
        before = _number(request.args.get("before", ""))
        query = Query(
            app=asked["app"] or None,
            states=(asked["state"],) if asked["state"] in STATES else (),
            event_type=asked["type"] or None,
            last_outcome=asked["outcome"] or None,
            text=asked["q"] or None,
        )
        found = self._service.deliveries(query, cursor=before, limit=ROWS + 1)
        rows = found[:ROWS]
        given = {name: value for name, value in asked.items() if value}
        older = urlencode({**given, "before": rows[-1].id}) if len(found) > ROWS else ""
        apps = self._service.apps.list()
        return render_template(
            "deliveries.html",
            asked=asked,
            rows=rows,
            last=self._service.last_attempts([one.id for one in rows]),
            older=older,
            newest=urlencode(given),
            before=before,
            apps=apps,
            types=_types({one.settings.provider for one in apps}),
            states=STATES,
            outcomes=OUTCOMES,
            counts=self._counts(),
            picture=self._attempts_picture(None),
        )

    def delivery(self, delivery_id: int) -> str:
        """Show a delivery with everything that was sent and answered."""
        record = self._service.delivery(delivery_id)
        views = self._service.exchanges(delivery_id, after=max(0, record.attempts - ATTEMPTS), limit=ATTEMPTS)
        feed, title = _feed(record)
        story = told.timeline(record, views, title, feed.deadline if feed else 0.0)
        return render_template(
            "delivery.html",
            record=record,
            views=views,
            feed=feed,
            faults=told.faults_of(record),
            event_type=_event_type(record.event_type),
            picture=Markup(drawn(story, "timeline", f"The attempts of delivery {record.id}")),  # noqa: S704 - Escaped there.
            words=timeline_told(story),
            now=self._service.clock().now,
            sample=self._sample(delivery_id),
        )

    def _sample(self, delivery_id: int) -> str:
        try:
            return self._service.recorded(delivery_id)
        except ServiceError:
            return ""

    def again(self, delivery_id: int) -> Any:
        """Make a delivery due now."""
        self._service.delivery(delivery_id)
        self._service.redeliver([delivery_id])
        return redirect(url_for("console.delivery", delivery_id=delivery_id), 303)

    # Sending

    def send(self) -> str:
        """Show the form for an event: of a type and perhaps a variant, or like one that was delivered."""
        app, event_type = self._chosen(request.args)
        like = _number(request.args.get("like", ""))
        if event_type is None or app is None:
            return self._form(app, event_type, None, {})
        if like is not None:
            record = self._service.delivery(like)
            value: Any = record.payloads[0] if len(record.payloads) == 1 else list(record.payloads)
            return self._form(app, event_type, None, value)
        variant = request.args.get("variant", "")
        chosen = variant if variant in event_type.variants else None
        return self._form(app, event_type, chosen, self._service.intake.sample(app.name, event_type.name, chosen))

    def sent(self) -> Any:
        """Do with the form what is asked: check what is typed, show it the other way, or send it."""
        app, event_type = self._chosen(request.form)
        if app is None or event_type is None:
            raise Invalid.of("/app", "there is no such app or event type", "choose one of the list")
        chosen = self._chosen_faults()
        action = request.form.get("action", "send")
        entry = audit.current()
        entry.changes, entry.concerned = action == "send", {"app": app.name}
        payload, problems = self._typed()
        event = NewEvent(event_type.name, payload)
        if not problems and action != "send":
            problems = tuple(self._service.intake.problems(app.name, [event], chosen))
        if action == "check":
            return render_template("problems.html", problems=_placed(problems), checked=True)
        if action == "send" and not problems:
            try:
                accepted = self._service.intake.accept(app.name, [event], faults=chosen)
            except ServiceError as error:
                problems = error.problems
            else:
                return redirect(url_for("console.delivery", delivery_id=accepted.deliveries[0]), 303)
        shown = self._form(
            app, event_type, None, payload, _placed(problems), chosen, as_json={"json": True, "fields": False}.get(action)
        )  # fmt: skip
        return Response(shown, 422 if action == "send" else 200)

    def _typed(self) -> tuple[Any, tuple[Objection, ...]]:
        """Return the payload of the form, and why there is none; then it is the text that was typed."""
        if (text := request.form.get("payload")) is None:
            return form.payload([(key, _lines(text)) for key, text in request.form.items(multi=True)]), ()
        try:
            payload = jsontext.parse(_lines(text))
        except ValueError as error:
            return _lines(text), (Objection("/events/0/payload", f"is no JSON: {error}", "mend it"),)
        if isinstance(payload, (dict, list)):
            return payload, ()
        return _lines(text), (Objection("/events/0/payload", "is no object", "write {…}"),)

    def _form(
        self,
        app: AppView | None,
        event_type: EventType | None,
        variant: str | None,
        payload: Any,
        problems: list[Objection] | None = None,
        chosen: tuple[str, ...] = (),
        *,
        as_json: bool | None = None,
    ) -> str:
        apps = self._service.apps.list()
        if as_json is None:
            as_json = "payload" in request.form
        as_json = as_json or not isinstance(payload, dict)
        return render_template(
            "send.html",
            apps=apps,
            app=app,
            types=_types({app.settings.provider}) if app else {},
            event_type=event_type,
            variant=variant,
            fields=form.fields(event_type, payload) if event_type and not as_json else [],
            text=payload if isinstance(payload, str) else form.shown(payload),
            as_json=as_json,
            problems=problems or [],
            boxes=faults.boxes(self._service.faults(), chosen),
            standing=app.faults if app else (),
        )

    def _chosen(self, given: Mapping[str, str]) -> tuple[AppView | None, EventType | None]:
        """Return the app and the event type that are asked for; the only app, or the first, where none is."""
        name = given.get("app", "")
        names = self._service.apps.names()
        if not name and not names:
            return None, None
        app = self._service.apps.get(name or names[0])
        if app.settings.provider not in providers.names():
            return app, None
        described = _described(providers.load(app.settings.provider))
        return app, next((one for one in described if one.name == given.get("type", "")), described[0])

    def _chosen_faults(self) -> tuple[str, ...]:
        given = {
            name.removeprefix(_ATTRIBUTE): value for name, value in request.form.items() if name.startswith(_ATTRIBUTE)
        }
        return faults.typed(self._service.faults(), request.form.getlist("fault"), given)

    # Apps

    def apps(self) -> str:
        """Show all apps and how they are doing."""
        apps = self._service.apps.list()
        now, recent = utc_millis(), self._service.recent()
        doing = {one.name: _doing(one, [dict(each.outcomes) for each in recent.columns(now, one.name)]) for one in apps}
        return render_template("apps.html", apps=apps, doing=doing, counts=self._counts())

    def app(self, name: str, problems: tuple[Objection, ...] = (), status: int = 200) -> Any:
        """Show an app: its feeds, its faults, its backlog, and how its answers were."""
        app = self._service.apps.get(name)
        made = self._service.apps.entry(name).app
        feeds = (
            [(feed, made.endpoint_of(feed), made.policy_of(feed).summary) for feed in made.provider.feeds]
            if made
            else []
        )
        recent = [dict(one.outcomes) for one in self._service.recent().columns(utc_millis(), name)]
        deadline = made.deadline if made else 0.0
        times = told.bars(self._service.ack_times(name), deadline)
        runs = [one for one in self._service.runs.list() if one.app == name]
        page = render_template(
            "app.html",
            app=app,
            doing=_doing(app, recent),
            feeds=feeds,
            feed_names=[feed.name for feed, _, _ in feeds],
            counts=self._counts().get(name, {}),
            boxes=faults.boxes(self._service.faults(), app.faults),
            none_ticked=faults.boxes(self._service.faults(), ()),
            parked=self._service.parked(name),
            backlog=self._service.backlog(name, limit=PARKED),
            picture=self._attempts_picture(name),
            acks=Markup(bars(times, deadline * 1000, "acks", "How long acknowledgements took")) if times else "",  # noqa: S704 - Escaped there.
            runs=runs,
            scenarios=[one for one in self._scenarios() if one.view.app == name],
            named=list(self._service.scenarios.named),
            problems=problems,
        )
        return Response(page, status)

    def set_faults(self, name: str) -> Any:
        """Let faults stand for an app, or none."""
        return self._changed(
            name, lambda: self._service.set_faults(name, self._chosen_faults(), waiting="waiting" in request.form)
        )

    def release(self, name: str) -> Any:
        """Make parked deliveries due now."""
        text = request.form.get("limit", "").strip()
        limit = _number(text)
        if text and not limit:
            return self.app(
                name, (Objection("limit", f"{text[:40]!r} is no number", "give 1 or more, or nothing"),), 422
            )
        return self._changed(name, lambda: self._service.release(name, limit))

    def resume(self, name: str) -> Any:
        """Send for an app again that was switched off, or pauses."""
        return self._changed(name, lambda: self._service.resume(name))

    def start_run(self, name: str) -> Any:
        """Start a traffic run."""
        given = request.form
        try:
            rate, duration = float(given.get("rate", "")), float(given.get("duration", ""))
        except ValueError:
            return self.app(name, (Objection("rate", "is no number, or the seconds are none", "give 5 and 60"),), 422)
        feed = given.get("feed") or None
        return self._changed(
            name,
            lambda: self._service.runs.start(
                name, rate=rate, duration=duration, faults=self._chosen_faults(), feed=feed
            ),
        )

    def _changed(self, name: str, change: Any) -> Any:
        """Change something of an app, and show the app; with what is wrong where that is refused."""
        self._service.apps.entry(name)
        try:
            change()
        except ServiceError as error:
            return self.app(name, error.problems, 422)
        return redirect(url_for("console.app", name=name), 303)

    # Runs

    def start_scenario(self, name: str) -> Any:
        """Start a scenario of the configuration file."""
        chosen = request.form.get("scenario", "")
        return self._changed(name, lambda: self._service.scenarios.start(name, name=chosen))

    def stop_scenario(self, scenario_id: int) -> Any:
        """Stop a scenario."""
        self._service.scenarios.stop(scenario_id)
        return redirect(url_for("console.runs"), 303)

    def runs(self) -> str:
        """Show the scenarios and the traffic runs."""
        return render_template(
            "runs.html",
            runs=self._service.runs.list(),
            scenarios=self._scenarios(),
            apps=self._service.apps.list(),
        )

    def stop_run(self, run_id: int) -> Any:
        """Stop a traffic run."""
        self._service.runs.stop(run_id)
        return redirect(url_for("console.runs"), 303)

    def changes(self) -> Response:
        """Tell that something has changed, each time."""
        stopping = request.environ.get(STOPPING) or threading.Event()
        return Response(self._changes.stream(stopping), content_type="text/event-stream; charset=utf-8")

    # Parts of pages

    def _scenarios(self) -> list[told.Scenario]:
        now = self._service.clock().now
        return [told.scenario(one, now) for one in self._service.scenarios.list()]

    def _counts(self) -> dict[str, dict[str, int]]:
        try:
            return self._service.counts()
        except (Unavailable, LedgerError):
            return {}

    def _attempts_picture(self, app: str | None) -> Markup:
        counted = told.columns(self._service.recent().columns(utc_millis(), app))
        return Markup(columns(counted, COLUMN_MILLIS, "attempts", "Attempts over time"))  # noqa: S704 - Escaped there.


def _doing(app: AppView, recent: list[dict[str, int]]) -> tuple[str, str]:
    """Return how an app is doing, in a word and a sentence; `recent` are its attempts, by outcome."""
    if not app.ready:
        return "not ready", app.not_ready or ""
    if app.switched_off_at is not None:
        return "switched off", f"since {told.moment(app.switched_off_at)}: nothing but failures for too long"
    if app.paused_until is not None:
        return "paused", f"until {told.moment(app.paused_until)}, after many time-outs in a row"
    acked = sum(one.get("acked", 0) for one in recent)
    made = sum(sum(one.values()) for one in recent)
    if made and not acked:
        return "failing", f"none of {made} attempts in the last half an hour was acknowledged"
    return (
        "ready",
        f"{acked} of {made} attempts in the last half an hour were acknowledged" if made else "nothing sent yet",
    )


def _placed(problems: Sequence[Objection]) -> list[Objection]:
    """Return problems with pointers into the payload where they are about that; those of others begin without a slash."""
    return [Objection(_place(one.field), one.problem, one.fix) for one in problems]


def _place(field: str) -> str:
    inside, found = _PAYLOAD.subn("", field)
    return inside if found else field.removeprefix("/events/0").removeprefix("/")


def _types(names: set[str]) -> dict[str, list[EventType]]:
    """Return the event types that can be sent, by feed."""
    found: dict[str, list[EventType]] = {}
    for name in sorted(names & set(providers.names())):
        provider = providers.load(name)
        for one in _described(provider):
            found.setdefault(f"{name}: {provider.feed_of(one.name).title}", []).append(one)
    return found


def _described(provider: Provider) -> list[EventType]:
    return [one for one in provider.catalogue if one.status != "undocumented"]


def _event_type(name: str) -> EventType | None:
    provider = name.partition(".")[0]
    return providers.load(provider).catalogue.get(name) if provider in providers.names() else None


def _feed(record: DeliveryRecord) -> tuple[Feed | None, str]:
    """Return the feed of a delivery and its provider's title; None where the provider is gone."""
    name = record.event_type.partition(".")[0]
    if name not in providers.names():
        return None, name
    provider = providers.load(name)
    return provider.feed_of(record.event_type) if _event_type(record.event_type) else None, provider.title


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _lines(text: str) -> str:
    """Return a text with the ends of lines as they were before a form was sent."""
    return text.replace("\r\n", "\n")

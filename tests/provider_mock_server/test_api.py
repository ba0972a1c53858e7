"""The HTTP API, operation by operation, against a server on a real socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from im_callback.provider_mock.delivery import faults as catalogue
from im_callback.provider_mock.server.options import AppSettings

from tests.provider_mock.peers import OK, answers
from tests.provider_mock_server.served import TOKEN, Served, served
from tests.provider_mock_server.waiting import until

REFUSED = answers(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
SECRET = "hush-4711-very-secret"
HEADER = "hush-4712-gateway"
APP = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/cb"}
PARKING = {"policy": "reliable", "options": {"retries": 0}}
LOGIN = "commsease.login"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one app from a configuration file."""
    configured = {"fixed": AppSettings("tencent", "http://127.0.0.1:9/cb", app_secret=SECRET)}
    with served(tmp_path_factory.mktemp("server"), configured=configured) as running:
        yield running


@pytest.fixture
def app(server: Served, request: pytest.FixtureRequest) -> str:
    """The name of an app of this test's own."""
    name = f"app-{abs(hash(request.node.nodeid))}"
    assert 201 == server.ask("POST", "/apps", {"name": name, **APP}).status_code
    return name


def fields(response: Any) -> list[str]:
    """Return the fields that an answer finds something wrong with."""
    assert "application/problem+json" == response.headers["Content-Type"]
    return [one["field"] for one in response.json()["errors"]]


class TestProviders:
    """Which IM services there are."""

    def test_list(self, server: Served) -> None:
        """Each has its feeds with their policies, the default first, and its event types."""
        found = {one["name"]: one for one in server.ask("GET", "/providers").json()["items"]}
        assert {"commsease", "rongcloud", "tencent"} <= set(found)
        feed = found["commsease"]["feeds"][0]
        assert ("data-sync", "normal") == (feed["name"], feed["policies"][0]["name"])
        login = {"name": LOGIN, "feed": "data-sync", "code": "2", "status": "documented"}
        assert login in found["commsease"]["event_types"]


class TestApps:
    """Apps are added, shown, replaced and removed; secrets go in and never come out."""

    def test_life(self, server: Served) -> None:
        """An app is there from its addition to its removal."""
        added = server.ask("POST", "/apps", {"name": "life", **APP, "app_key": "key-1", "app_secret": SECRET})
        assert 201 == added.status_code
        assert "/api/v1/apps/life" == added.headers["Location"]
        assert added.json() == server.ask("GET", "/apps/life").json()
        assert added.json() in server.ask("GET", "/apps").json()["items"]
        assert 204 == server.ask("DELETE", "/apps/life").status_code
        assert 404 == server.ask("GET", "/apps/life").status_code
        assert 404 == server.ask("DELETE", "/apps/life").status_code

    def test_secrets_stay_inside(self, server: Served) -> None:
        """Neither a secret nor the value of a header is in any answer."""
        body = {**APP, "app_secret": SECRET, "headers": {"X-Gateway": HEADER}}
        put = server.ask("PUT", "/apps/discreet", body)
        assert 201 == put.status_code
        assert ["X-Gateway"] == put.json()["headers"]
        assert put.json()["secret"].startswith("file:")
        pages = [server.ask("GET", path).text for path in ("/apps", "/apps/discreet", "/apps/fixed")]
        assert not [page for page in (put.text, *pages) if SECRET in page or HEADER in page]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"app_secret": SECRET * 100},
            {"app_secret": [SECRET]},
            {"app_secret": {"value": SECRET}},
            {"app_secret": SECRET, "secret_ref": "env:NAME"},
            {"headers": {"X-Gateway": f"{SECRET}é"}},
            {"headers": {"X Gateway": SECRET}},
            {"headers": [SECRET]},
            {"app_secret": SECRET, "policy": "none-such", "concurrency": 0},
        ],
        ids=str,
    )
    def test_errors_keep_them(self, server: Served, wrong: dict[str, Any]) -> None:
        """An error about a secret, or beside one, does not repeat it."""
        response = server.ask("PUT", "/apps/refused", {**APP, **wrong})
        assert response.status_code in (409, 422)
        assert SECRET not in response.text

    def test_replaced(self, server: Served, app: str) -> None:
        """The second time it is replaced, and keeps what is not given again."""
        first = server.ask("PUT", f"/apps/{app}", {**APP, "app_secret": SECRET, "faults": ["duplicate"]})
        assert 200 == first.status_code
        again = server.ask("PUT", f"/apps/{app}", {**APP, "endpoint": "https://[::1]:8443/other?x=1", "concurrency": 3})
        assert 200 == again.status_code
        assert ["duplicate"] == again.json()["faults"]
        assert first.json()["secret"] == again.json()["secret"] != "test"
        assert ("https://[::1]:8443/other?x=1", 3) == (again.json()["endpoint"], again.json()["concurrency"])

    def test_taken(self, server: Served, app: str) -> None:
        """A name can be added once."""
        assert 409 == server.ask("POST", "/apps", {"name": app, **APP}).status_code

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_of_the_file(self, server: Served, method: str) -> None:
        """An app of the configuration file cannot be changed."""
        response = server.ask(method, "/apps/fixed", APP if method == "PUT" else None)
        assert 409 == response.status_code
        assert "configuration file" in response.json()["detail"]
        assert "config" == server.ask("GET", "/apps/fixed").json()["source"]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"provider": "rongcloud", "policy": "reliable"}, "/policy"),
            ({"app_secret": "none"}, "/app_secret"),
            ({"secret_ref": "env:NO_SUCH_VARIABLE_HERE"}, "/secret_ref"),
            ({"options": {"backlog": 5}}, "/options/backlog"),
            ({"faults": ["duplicate:often=2"]}, "/faults/0"),
            ({"endpoint": "http://[::::]/"}, "/endpoint"),
            ({"endpoint": "http://user:pass@h/"}, "/endpoint"),
            ({"endpoint": "http://169.254.169.254/"}, "/endpoint"),
            ({"endpoints": {"message-route": "http://h/"}}, "/endpoints/message-route"),
            ({"endpoints": {"third-party": "http://169.254.169.254/"}}, "/endpoints/third-party"),
        ],
        ids=str,
    )
    def test_cannot_be_done(self, server: Served, change: dict[str, Any], field: str) -> None:
        """What keeps the document's rules, and this provider or server does not have, is a conflict that names the field."""
        response = server.ask("PUT", "/apps/impossible", {**APP, **change})
        assert (409, [field]) == (response.status_code, fields(response))


class TestEvents:
    """Events are accepted once they are on disk, all of them or none."""

    def test_delivered(self, server: Served, app: str) -> None:
        """A payload of one's own reaches the receiver as it is."""
        payload = server.service.delivery(server.accept(app, LOGIN)[0]).payloads[0]
        before = len(server.receiver.requests)
        body = {"events": [{"type": LOGIN, "payload": {**payload, "customTag": "mine"}}], "seed": 7}
        answer = server.ask("POST", f"/apps/{app}/events", body)
        assert 202 == answer.status_code
        assert (7, False) == (answer.json()["seed"], answer.json()["repeated"])
        server.settled(answer.json()["deliveries"], "acked")
        assert any(b'"customTag":"mine"' in one for one in server.receiver.requests[before:])

    def test_thousand(self, server: Served, app: str) -> None:
        """A thousand go in one request, and no more; their ids are in order."""
        ids = server.accept(app, *([LOGIN] * 1000), delay_seconds=86_400)
        assert sorted(set(ids)) == ids
        assert 1000 == len(ids)
        body = {"events": [{"type": LOGIN}] * 1001}
        refused = server.ask("POST", f"/apps/{app}/events", body)
        assert (422, ["/events"]) == (refused.status_code, fields(refused))

    def test_idempotency(self, server: Served, app: str) -> None:
        """The same key gives the same deliveries; with other events it is a conflict."""
        path, key = f"/apps/{app}/events", {"Idempotency-Key": "call-1"}
        body = {"events": [{"type": LOGIN}, {"type": LOGIN}]}
        first = server.ask("POST", path, body, headers=key)
        again = server.ask("POST", path, body, headers=key)
        assert (202, 202) == (first.status_code, again.status_code)
        assert first.json()["deliveries"] == again.json()["deliveries"]
        assert (False, True) == (first.json()["repeated"], again.json()["repeated"])
        other = server.ask("POST", path, {"events": [{"type": "commsease.logout"}]}, headers=key)
        assert (409, ["Idempotency-Key"]) == (other.status_code, fields(other))
        found = server.ask("GET", f"/deliveries?app={app}&idempotency_key=call-1").json()["items"]
        assert first.json()["deliveries"] == sorted(one["id"] for one in found)
        assert {"call-1"} == {one["idempotency_key"] for one in found}

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"events": [{"type": LOGIN}, {"type": LOGIN, "payload": {"eventType": "2"}}]}, "/events/1/payload/accid"),
            ({"events": [{"type": LOGIN, "payload": [{}]}]}, "/events/0/payload"),
            ({"events": [{"type": "rongcloud.chatroom-kv"}]}, "/events/0/type"),
            ({"events": [{"type": LOGIN}], "faults": ["duplicate:times=often"]}, "/faults/0"),
        ],
        ids=["payload", "batch", "other provider", "fault"],
    )
    def test_cannot_be_done(self, server: Served, app: str, body: dict[str, Any], field: str) -> None:
        """What breaks the contract of its event type names its place, and nothing is accepted."""
        response = server.ask("POST", f"/apps/{app}/events", body)
        assert 409 == response.status_code
        assert field in fields(response)
        assert [] == server.ask("GET", f"/deliveries?app={app}").json()["items"]

    def test_faults(self, server: Served, app: str) -> None:
        """Faults are on record with the delivery, and happen."""
        ids = server.accept(app, LOGIN, faults=["duplicate:times=2"], seed=5)
        found = until(lambda: made(server, ids[0], 3))
        assert {"faults": ["duplicate:times=2"], "seed": 5, "index": 0, "size": 1, "offset": 0} == found["disturbance"]
        assert ("acked", 3) == (found["state"], found["attempts"])

    def test_delay(self, server: Served, app: str) -> None:
        """A delay puts the delivery off."""
        ids = server.accept(app, LOGIN, delay_seconds=3600.5)
        found = server.ask("GET", f"/deliveries/{ids[0]}").json()
        assert "waiting" == found["state"]
        assert found["due_at"] - found["created_at"] > 3_590_000

    def test_no_such_app(self, server: Served) -> None:
        """Without the app there is nothing to accept for."""
        response = server.ask("POST", "/apps/nobody/events", {"events": [{"type": LOGIN}]})
        assert (404, ["app"]) == (response.status_code, fields(response))


class TestDeliveries:
    """Deliveries and attempts are found, page by page, and sent again."""

    def test_pages(self, server: Served, app: str) -> None:
        """Walking through the pages gives each delivery once, the newest first."""
        ids = server.accept(app, *([LOGIN] * 7), delay_seconds=3600)
        assert ids[::-1] == [one["id"] for one in everything(server, f"/deliveries?app={app}", 3)]

    @pytest.mark.parametrize("limit", [1, 7, 8, 1000])
    def test_last_page(self, server: Served, app: str, limit: int) -> None:
        """A page that holds the end says so, also when it is full."""
        server.accept(app, *([LOGIN] * 7), delay_seconds=3600)
        assert 7 == len(everything(server, f"/deliveries?app={app}", limit))

    def test_filters(self, server: Served, app: str) -> None:
        """Every filter holds, and they hold together."""
        done = server.accept(app, LOGIN, "commsease.logout")
        server.settled(done, "acked")
        waiting = server.accept(app, LOGIN, delay_seconds=3600)
        created = server.ask("GET", f"/deliveries/{waiting[0]}").json()["created_at"]
        for query, ids in (
            ("state=acked", done),
            ("state=waiting", waiting),
            ("state=dropped", []),
            (f"event_type={LOGIN}", [done[0], *waiting]),
            (f"event_type={LOGIN}&state=acked", done[:1]),
            ("outcome=acked", done),
            ("outcome=timed+out", []),
            (f"since={created + 1}", []),
            (f"until={created + 1}", [*done, *waiting]),
        ):
            found = [one["id"] for one in everything(server, f"/deliveries?app={app}&{query}", 2)]
            assert sorted(ids) == sorted(found), query

    def test_key_needs_app(self, server: Served) -> None:
        """An idempotency key belongs to an app."""
        response = server.ask("GET", "/deliveries?idempotency_key=x")
        assert (409, ["idempotency_key"]) == (response.status_code, fields(response))

    def test_attempts(self, server: Served, app: str) -> None:
        """Attempts come in turn, page by page, with the rule that decided each."""
        ids = server.accept(app, LOGIN, faults=["duplicate:times=4"])
        until(lambda: made(server, ids[0], 5))
        found = everything(server, f"/deliveries/{ids[0]}/attempts", 2)
        assert [1, 2, 3, 4, 5] == [one["number"] for one in found]
        assert {("acked", 200)} == {(one["outcome"], one["status"]) for one in found}
        assert all(one["rule"] for one in found)

    @pytest.mark.parametrize("path", ["/deliveries/999999999", "/deliveries/999999999/attempts"])
    def test_unknown(self, server: Served, path: str) -> None:
        """What is not on record is not found."""
        assert 404 == server.ask("GET", path).status_code

    def test_redelivered_by_id(self, server: Served, app: str) -> None:
        """Deliveries are sent again whatever became of them; ids that do not exist do not count."""
        ids = server.accept(app, LOGIN, LOGIN)
        server.settled(ids, "acked")
        assert {"count": 2} == server.ask("POST", "/redeliveries", {"ids": [*ids, 999_999_999]}).json()
        server.settled(ids, "acked")
        assert [2, 2] == [server.ask("GET", f"/deliveries/{one}").json()["attempts"] for one in ids]

    def test_redelivered_by_filter(self, server: Served, app: str) -> None:
        """A filter chooses which."""
        server.settled(server.accept(app, LOGIN, "commsease.logout"), "acked")
        chosen = {"app": app, "event_type": LOGIN, "state": "acked", "since": 0}
        assert {"count": 1} == server.ask("POST", "/redeliveries", {"filter": chosen}).json()

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, ""),
            ({"filter": {}}, "/filter"),
            ({"ids": []}, "/ids"),
            ({"ids": [1], "filter": {"app": "a"}}, ""),
            ({"ids": [0]}, "/ids/0"),
            ({"filter": {"states": "acked"}}, "/filter/states"),
        ],
        ids=str,
    )
    def test_redelivery_chooses(self, server: Served, body: dict[str, Any], field: str) -> None:
        """Which ones must be said: everything at once is no oversight."""
        response = server.ask("POST", "/redeliveries", body)
        assert (422, [field]) == (response.status_code, fields(response))


class TestBacklog:
    """What is parked is listed and released."""

    def test_released(self, tmp_path: Path) -> None:
        """Parked deliveries are listed in turn, page by page, and are delivered once they are released."""
        replies = [REFUSED]

        def reply(connection: socket.socket, data: bytes) -> None:
            replies[0](connection, data)

        with served(tmp_path, script=reply) as server:
            server.ask("PUT", "/apps/a", {**APP, **PARKING})
            ids = server.accept("a", *([LOGIN] * 5))
            server.settled(ids, "parked")
            assert sorted(ids) == sorted(one["id"] for one in everything(server, "/apps/a/backlog", 2))
            replies[0] = OK
            assert {"count": 2} == server.ask("POST", "/apps/a/backlog/release", {"limit": 2}).json()
            assert 3 == len(everything(server, "/apps/a/backlog", 2))
            assert {"count": 3} == server.ask("POST", "/apps/a/backlog/release", {}).json()
            server.settled(ids, "acked")
            assert [] == everything(server, "/apps/a/backlog", 2)

    @pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/release")])
    def test_no_such_app(self, server: Served, method: str, path: str) -> None:
        """There is no backlog without an app."""
        response = server.ask(method, f"/apps/nobody/backlog{path}", None if method == "GET" else {})
        assert 404 == response.status_code


class TestFaults:
    """The catalogue, and the faults that stand for an app."""

    def test_catalogue(self, server: Served) -> None:
        """Every fault is there, with one sentence and its attributes."""
        found = {one["name"]: one for one in server.ask("GET", "/faults").json()["items"]}
        assert list(catalogue.load()) == list(found)
        assert {"name": "times", "default": 1} == {
            key: found["duplicate"]["attributes"][0][key] for key in ("name", "default")
        }

    def test_standing(self, server: Served, app: str) -> None:
        """Standing faults hold for what is accepted from then on, until they are taken away."""
        path = f"/apps/{app}/faults"
        assert {"faults": []} == server.ask("GET", path).json()
        assert {"faults": ["duplicate"], "changed": 0} == server.ask("PUT", path, {"faults": ["duplicate"]}).json()
        assert {"faults": ["duplicate"]} == server.ask("GET", path).json()
        assert server.ask("GET", f"/deliveries/{server.accept(app, LOGIN)[0]}").json()["disturbance"]
        assert {"faults": [], "changed": 0} == server.ask("PUT", path, {"faults": []}).json()
        assert server.ask("GET", f"/deliveries/{server.accept(app, LOGIN)[0]}").json()["disturbance"] is None


class TestClock:
    """The clock can be looked at, hurried and moved."""

    def test_moved(self, tmp_path: Path) -> None:
        """What was put off becomes due when the clock is moved past it."""
        with served(tmp_path) as server:
            server.ask("PUT", "/apps/a", APP)
            ids = server.accept("a", LOGIN, delay_seconds=7200)
            before = server.ask("GET", "/clock").json()
            moved = server.ask("POST", "/clock/advance", {"seconds": 7200}).json()
            assert moved["now"] - before["now"] >= 7_200_000
            assert moved["wall"] - before["wall"] < 7_200_000
            server.settled(ids, "acked")

    def test_scaled(self, tmp_path: Path) -> None:
        """The scale is what it was set to."""
        with served(tmp_path) as server:
            assert 1 == server.ask("GET", "/clock").json()["scale"]
            assert 60 == server.ask("PUT", "/clock", {"scale": 60}).json()["scale"]
            assert 60 == server.ask("GET", "/clock").json()["scale"]


class TestTraffic:
    """Traffic runs are started, watched and stopped."""

    def test_run(self, server: Served, app: str) -> None:
        """A run accepts what it was asked for."""
        started = server.ask("POST", f"/apps/{app}/traffic", {"rate": 200, "duration": 0.1, "seed": 3})
        assert 202 == started.status_code
        assert f"/api/v1/traffic-runs/{started.json()['id']}" == started.headers["Location"]
        assert (app, 3, 20) == tuple(started.json()[key] for key in ("app", "seed", "total"))
        found = ended(server, started.json()["id"])
        assert ("finished", 20) == (found["status"], found["accepted"])
        assert found["id"] in [one["id"] for one in server.ask("GET", "/traffic-runs").json()["items"]]

    def test_stopped(self, server: Served, app: str) -> None:
        """A run can be stopped, also twice."""
        started = server.ask("POST", f"/apps/{app}/traffic", {"rate": 1, "duration": 86_400})
        path = f"/traffic-runs/{started.json()['id']}"
        assert 200 == server.ask("POST", f"{path}/stop").status_code
        assert "stopped" == ended(server, started.json()["id"])["status"]
        assert "stopped" == server.ask("POST", f"{path}/stop").json()["status"]

    @pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/stop")])
    def test_unknown(self, server: Served, method: str, path: str) -> None:
        """What is not there is not found."""
        assert 404 == server.ask(method, f"/traffic-runs/999999999{path}").status_code


class TestDocument:
    """The document and its page."""

    def test_valid(self, server: Served) -> None:
        """It is OpenAPI 3.1, and its schemas are JSON Schema 2020-12."""
        document = server.session.get(f"{server.url}/openapi.json").json()
        assert "3.1.0" == document["openapi"]
        for schema in document["components"]["schemas"].values():
            jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})
        assert {"/healthz", "/readyz", "/metrics"} <= set(document["paths"])

    def test_names_are_unique(self, server: Served) -> None:
        """Every operation has a name of its own, a summary, and its errors."""
        document = server.session.get(f"{server.url}/openapi.json").json()
        operations = [one for path in document["paths"].values() for one in path.values()]
        names = [one["operationId"] for one in operations]
        assert sorted(set(names)) == sorted(names)
        assert all(one["summary"] for one in operations)

    def test_examples_are_true(self, server: Served) -> None:
        """Examples keep their own rules."""
        shared = server.session.get(f"{server.url}/openapi.json").json()["components"]["schemas"]
        for schema in walked(shared):
            for example in schema.get("examples", []):
                assert jsonschema_rs.is_valid({**schema, "components": {"schemas": shared}}, example)

    def test_page(self, server: Served) -> None:
        """The page takes everything from this server."""
        page = server.session.get(f"{server.url}/docs/")
        assert 200 == page.status_code
        assert "http" not in page.text.replace(server.url, "")
        for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"):
            assert f"/docs/{asset}" in page.text
            assert 200 == server.session.get(f"{server.url}/docs/{asset}").status_code

    def test_token(self, tmp_path: Path) -> None:
        """With a token the document says where it goes, and that health is open."""
        with served(tmp_path, token=TOKEN) as server:
            document = server.session.get(f"{server.url}/openapi.json").json()
        assert [{"token": []}] == document["security"]
        assert [] == document["paths"]["/healthz"]["get"]["security"]
        assert "401" in document["paths"]["/api/v1/clock"]["get"]["responses"]
        assert TOKEN not in json.dumps(document)


def everything(server: Served, path: str, limit: int) -> list[Any]:
    """Return all items of a list, read in pages of this size."""
    items: list[Any] = []
    cursor = ""
    while True:
        page = server.ask("GET", f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}").json()
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = f"&cursor={page['next']}"


def made(server: Served, delivery: int, attempts: int) -> Any:
    """Return a delivery of which so many attempts were made, else None."""
    found = server.ask("GET", f"/deliveries/{delivery}").json()
    return found if found["attempts"] == attempts else None


def ended(server: Served, run_id: int) -> dict[str, Any]:
    """Return a traffic run once it is over."""
    path = f"/traffic-runs/{run_id}"
    until(lambda: server.ask("GET", path).json()["status"] != "running")
    found: dict[str, Any] = server.ask("GET", path).json()
    return found


def walked(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every object within a value."""
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for one in schema:
            yield from walked(one)

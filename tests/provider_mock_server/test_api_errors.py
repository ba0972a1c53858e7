"""What the HTTP API refuses, and how it says so."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import requests
from im_callback.provider_mock import providers
from im_callback.provider_mock.delivery.ledger import LedgerClosed, LedgerUnavailable
from im_callback.provider_mock.server.app import MOST_BYTES

from tests.provider_mock_server.served import TOKEN, Served, served

ADVANCE = "/clock/advance"
EVENTS = "/apps/here/events"
APP = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/cb"}
LOGIN = {"type": "commsease.login"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with an app."""
    with served(tmp_path_factory.mktemp("server")) as running:
        running.ask("PUT", "/apps/here", APP)
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a token."""
    with served(tmp_path_factory.mktemp("guarded"), token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def document(server: Served) -> Any:
    """The OpenAPI document."""
    return server.session.get(f"{server.url}/openapi.json").json()


def raw(server: Served, data: bytes | str, content_type: str = "application/json", path: str = ADVANCE) -> Any:
    """Return the answer to a body as it stands."""
    return server.ask("POST", path, data=data, headers={"Content-Type": content_type})


def problem(response: requests.Response, status: int) -> dict[str, Any]:
    """Return an error, which must have this status and say it."""
    assert status == response.status_code, response.text
    assert "application/problem+json" == response.headers["Content-Type"]
    found: dict[str, Any] = response.json()
    assert ("about:blank", status) == (found["type"], found["status"])
    assert found["title"]
    assert found["detail"]
    return found


class TestBody:
    """A body is I-JSON, of a bounded size, and says so."""

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            ("", "it is no JSON"),
            ("{", "line 1, column 2"),
            ("{'seconds': 1}", "it is no JSON"),
            ('{"seconds": NaN}', "NaN is not JSON"),
            ('{"seconds": -Infinity}', "-Infinity is not JSON"),
            ('{"seconds": 1e999}', "too large"),
            ('{"seconds": ' + "9" * 5000 + "}", "more than 4000 digits"),
            ('{"seconds": 1, "seconds": 2}', '"seconds" twice'),
            ('{"seconds": 1, "\\ud800": 2}', "surrogate"),
            ('{"seconds": "\\udfff"}', "surrogate"),
            ("[" * 100_000, "nested too deeply"),
            ('{"a":' * 65 + "1" + "}" * 65, "nested too deeply"),
            (b'{"seconds": "\xff"}', "not UTF-8 at byte 13"),
            (b'{"seconds": "\xed\xa0\x80"}', "not UTF-8"),
            ("\ufeff{}".encode(), "BOM"),
            ('{"seconds": 1}'.encode("utf-16"), "not UTF-8"),
        ],
        ids=lambda value: repr(value)[:30],
    )
    def test_malformed(self, server: Served, data: bytes | str, said: str) -> None:
        """What is no JSON is 400, with the place or the reason."""
        assert said in problem(raw(server, data), 400)["detail"]

    @pytest.mark.parametrize(
        "data",
        ["null", "[]", '"seconds"', "1", "true", '{"seconds": null}', '{"seconds": "1"}', '{"seconds": true}', "{}"],
    )
    def test_other_types(self, server: Served, data: str) -> None:
        """JSON of another type is 422."""
        assert problem(raw(server, data), 422)["errors"]

    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=latin-1",
            "application/jsonx",
        ],
    )
    def test_media_type(self, server: Served, content_type: str) -> None:
        """Any other media type than JSON is 415."""
        assert "Content-Type" == problem(raw(server, "{}", content_type), 415)["errors"][0]["field"]

    @pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", "Application/JSON"])
    def test_media_type_spelled(self, server: Served, content_type: str) -> None:
        """JSON is JSON however the header spells it."""
        assert 200 == raw(server, '{"seconds": 0.001}', content_type).status_code

    def test_too_long(self, server: Served) -> None:
        """A body beyond the limit is 413."""
        assert str(MOST_BYTES) in problem(raw(server, b" " * (MOST_BYTES + 1)), 413)["detail"]

    def test_odd_but_right(self, server: Served) -> None:
        """NUL, whole pairs and numbers beyond 64 bits are values like others where anything is allowed."""
        payload = {"eventType": "2", "x": ["\0", "\U0001f600", 10**40, -0.0], "": {"~/": None}}
        response = server.ask("POST", EVENTS, {"events": [{**LOGIN, "payload": payload}]})
        assert {"/events/0/payload/accid"} <= {one["field"] for one in problem(response, 409)["errors"]}


class TestRules:
    """What breaks the document's rules is 422 and names the field, the problem and the fix."""

    @pytest.mark.parametrize(
        ("method", "path", "body", "expected"),
        [
            ("POST", ADVANCE, {}, ("/seconds", "it is missing", "give it")),
            ("POST", ADVANCE, {"seconds": 0}, ("/seconds", "it is 0", "give a number that is not less than 0.001")),
            ("POST", ADVANCE, {"seconds": "1"}, ("/seconds", "it is text", "give a number")),
            ("POST", ADVANCE, {"seconds": 1, "second": 2}, ("/second", "there is no such member", "did you mean 'seconds'?")),
            ("POST", ADVANCE, [], ("", "it is an array", "give an object")),
            ("PUT", "/apps/a", {"provider": "comsease", "endpoint": "http://h/"},
             ("/provider", 'it is "comsease"', f"give one of {', '.join(providers.names())}; did you mean 'commsease'?")),
            ("PUT", "/apps/a", {**APP, "endpoint": "ftp://h/"},
             ("/endpoint", 'it is "ftp://h/"', "give an address as http://host:port/path, without user name and password")),
            ("PUT", "/apps/a", {**APP, "endpoint": "//user@h/"},
             ("/endpoint", 'it is "//user@h/"',
              "give an address as http://host:port/path, without user name and password")),
            ("PUT", "/apps/a", {**APP, "options": {"retry": 1}},
             ("/options/retry", "there is no such member", "did you mean 'retries'?")),
            ("PUT", "/apps/a", {**APP, "app_secret": ""},
             ("/app_secret", "it is too short", "give at least 1 character")),
            ("PUT", "/apps/a", {**APP, "headers": {"X Y": "1"}},
             ("/headers/X Y", "it has a name that cannot be used", "give a header's name: letters, digits and hyphens")),
            ("POST", EVENTS, {"events": []}, ("/events", "it is too short", "give at least 1 entry")),
            ("POST", EVENTS, {"events": [LOGIN, {"type": "commsease.logins"}]},
             ("/events/1/type", 'it is "commsease.logins"', None)),
            ("POST", EVENTS, {"events": [LOGIN], "faults": ["duplicates"]},
             ("/faults/0", 'it is "duplicates"', None)),
            ("POST", EVENTS, {"events": [LOGIN], "seed": 1.5}, ("/seed", "it is a number", "give a whole number")),
            ("GET", "/deliveries?limit=0", None, ("limit", "it is 0", "give a number that is not less than 1")),
            ("GET", "/deliveries?limit=ten", None, ("limit", "it is text", "give a whole number")),
            ("GET", "/deliveries?limit=1&limit=2", None, ("limit", "it is given 2 times", "give it once")),
            ("GET", "/deliveries?limits=1", None, ("limits", "there is no such parameter", "did you mean 'limit'?")),
            ("GET", "/deliveries?state=ackd", None,
             ("state", 'it is "ackd"', "give one of waiting, acked, declined, dropped, parked; did you mean 'acked'?")),
            ("GET", "/deliveries?cursor=x", None, ("cursor", 'it is "x"', "give what the page before gave as `next`")),
            ("GET", "/deliveries/zero", None, ("delivery_id", "it is text", "give a whole number")),
            ("GET", "/clock?zone=utc", None, ("zone", "there is no such parameter", "leave it out")),
        ],
        ids=str,
    )  # fmt: skip
    def test_named(
        self, server: Served, method: str, path: str, body: Any, expected: tuple[str, str, str | None]
    ) -> None:
        """Each mistake has one entry."""
        found = problem(server.ask(method, path, body), 422)["errors"]
        assert 1 == len(found)
        field, told, fix = expected
        assert (field, told) == (found[0]["field"], found[0]["problem"])
        assert fix is None or fix == found[0]["fix"]

    def test_choices(self, server: Served) -> None:
        """Where there are many choices the fix names the closest."""
        response = server.ask("POST", EVENTS, {"events": [{"type": "commsease.logins"}]})
        assert "did you mean 'commsease.login'?" in problem(response, 422)["errors"][0]["fix"]

    def test_all_at_once(self, server: Served) -> None:
        """All mistakes are told at once, up to a number."""
        body = {"name": "a b", "provider": 1, "endpoint": "x", "concurrency": 0, "more": 1}
        found = problem(server.ask("POST", "/apps", body), 422)["errors"]
        assert ["/concurrency", "/endpoint", "/more", "/name", "/provider"] == sorted(one["field"] for one in found)
        many = problem(server.ask("POST", EVENTS, {"events": [{}] * 1000}), 422)["errors"]
        assert 20 == len(many)

    @pytest.mark.parametrize("key", ["", "a b", "é", "x" * 201])
    def test_idempotency_key(self, server: Served, key: str) -> None:
        """A key that cannot be kept names the header."""
        headers = {"Idempotency-Key": key.encode("latin-1")}
        response = server.ask("POST", EVENTS, {"events": [LOGIN]}, headers=headers)
        assert "Idempotency-Key" == problem(response, 422)["errors"][0]["field"]

    @pytest.mark.parametrize("name", ["a%20b", "%00", "-a", "a" * 65, "%F0%9F%98%80", "a%0A"])
    def test_path(self, server: Served, name: str) -> None:
        """What no app can be called names the parameter."""
        assert "app" == problem(server.ask("GET", f"/apps/{name}"), 422)["errors"][0]["field"]

    def test_hostile_names(self, server: Served) -> None:
        """Names of members can be anything, and are told as JSON Pointers."""
        found = problem(server.ask("POST", ADVANCE, {"seconds": 1, "a/b~c\0\U0001f600": 1}), 422)["errors"]
        assert "/a~1b~0c\0\U0001f600" == found[0]["field"]


class TestHttp:
    """What HTTP itself asks for."""

    @pytest.mark.parametrize("path", ["/nothing", "/apps/", "/apps/a/b/c", "/apps/a%2Fb", "/"])
    def test_not_found(self, server: Served, path: str) -> None:
        """An unknown path is 404 and says where the paths are listed."""
        assert "/openapi.json" in problem(server.ask("GET", path), 404)["detail"]

    def test_method_not_allowed(self, server: Served, document: Any) -> None:
        """Every path answers 405 to every method that it does not have, and names those that it has."""
        for path, operations in document["paths"].items():
            url = server.url + path.replace("{app}", "here").replace("{delivery_id}", "1").replace("{run_id}", "1")
            for method in {"get", "put", "post", "delete", "patch", "trace"} - set(operations):
                response = server.session.request(method, url, timeout=30)
                problem(response, 405)
                allowed = {one.strip().lower() for one in response.headers["Allow"].split(",")}
                assert set(operations) == allowed - {"head", "options"}, (method, path)

    def test_every_error_is_documented(self, server: Served, document: Any) -> None:
        """The errors of an operation are in the document, and look as it says."""
        shared = {"components": document["components"]}
        checker = jsonschema_rs.validator_for({"$ref": "#/components/schemas/Problem", **shared})
        answers = document["paths"]["/api/v1/apps/{app}/events"]["post"]["responses"]
        assert {"202", "400", "403", "404", "409", "413", "415", "422", "503"} == set(answers)
        for data, content_type, status in (
            ("{", "application/json", 400),
            ("{}", "application/json", 422),
            ("{}", "text/plain", 415),
        ):
            found = problem(raw(server, data, content_type, EVENTS), status)
            assert [] == [error.message for error in checker.iter_errors(found)]

    def test_half_a_request(self, server: Served) -> None:
        """A client that goes away in the middle of its body harms nobody."""
        parts = urlsplit(server.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
            connection.sendall(
                b"POST /api/v1/clock/advance HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\n\r\n{"
            )
        assert 200 == server.ask("GET", "/clock").status_code


class TestUnavailable:
    """What cannot be done now is 503, and says when to come back."""

    @pytest.mark.parametrize(
        "error",
        [
            LedgerUnavailable("ledger.db", "did not take a change", "see to the database"),
            LedgerClosed("ledger.db", "is closed", "open it again"),
        ],
        ids=["unavailable", "closed"],
    )
    def test_database(self, server: Served, error: Exception) -> None:
        """A database that does not answer is the server's trouble, not the client's."""
        with patch.object(server.service, "deliveries", side_effect=error):
            response = server.ask("GET", "/deliveries")
        assert str(error) == problem(response, 503)["detail"]
        assert response.headers["Retry-After"].isdigit()

    def test_our_own_error(self, server: Served, caplog: pytest.LogCaptureFixture) -> None:
        """An error of ours is 500 without its insides; the log has them."""
        with patch.object(server.service, "deliveries", side_effect=LookupError("insides")):
            response = server.ask("GET", "/deliveries")
        assert "insides" not in problem(response, 500)["detail"]
        assert "insides" in caplog.text


class TestToken:
    """A server with a token wants it."""

    @pytest.mark.parametrize("path", ["/openapi.json", "/docs/", "/docs/swagger-ui.css", "/healthz", "/readyz"])
    def test_open(self, guarded: Served, path: str) -> None:
        """A browser can read how to ask, and a supervisor whether it runs; neither has the token."""
        assert 200 == requests.get(f"{guarded.url}{path}", timeout=30).status_code

    @pytest.mark.parametrize("given", [None, "", TOKEN, "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}"])
    def test_refused(self, guarded: Served, document: Any, given: str | None) -> None:
        """Without it, or with another, every operation is 401."""
        for path, operations in document["paths"].items():
            if path in ("/healthz", "/readyz"):
                continue
            for method in operations:
                headers = {} if given is None else {"Authorization": given}
                response = requests.request(
                    method, guarded.url + path.replace("{", "").replace("}", ""), headers=headers, timeout=30
                )
                assert TOKEN not in json.dumps(problem(response, 401))
                assert "Bearer" == response.headers["WWW-Authenticate"]

    def test_accepted(self, guarded: Served) -> None:
        """With it everything is as ever."""
        assert 200 == guarded.ask("GET", "/clock").status_code


class TestTogether:
    """Requests at the same time do not mix."""

    def test_one_app_of_a_name(self, server: Served) -> None:
        """Of many that add an app of one name at once, one succeeds."""
        statuses: list[int] = []

        def add() -> None:
            url = f"{server.url}/api/v1/apps"
            statuses.append(requests.post(url, json={"name": "contested", **APP}, timeout=30).status_code)

        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [201, *([409] * 7)] == sorted(statuses)

    def test_one_call_of_a_key(self, server: Served) -> None:
        """Of many calls with one key at once, all get the same deliveries."""
        found: list[tuple[int, ...]] = []

        def call() -> None:
            body = {"events": [LOGIN] * 3, "delay_seconds": 3600}
            response = requests.post(
                f"{server.url}/api/v1{EVENTS}", json=body, headers={"Idempotency-Key": "contested"}, timeout=30
            )
            found.append(tuple(response.json()["deliveries"]))

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 == len(set(found))
        assert 8 == len(found)


def test_nothing_is_written_down(tmp_path: Path) -> None:
    """A secret that the API was given is in no file but its own."""
    secret = "hush-4713-only-here"
    with served(tmp_path) as running:
        running.ask("PUT", "/apps/a", {**APP, "app_secret": secret})
        running.settled(running.accept("a", "commsease.login"), "acked")
    holding = [file for file in tmp_path.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]
    assert ["secrets"] == [file.parent.name for file in holding]

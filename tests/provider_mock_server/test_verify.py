"""A test asks the server whether deliveries came about, and is told what nearly did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from im_callback.provider_mock.server import verifying

from tests.provider_mock_server.served import Served, served

LOGIN, LOGOUT = "commsease.login", "commsease.logout"
APP = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/cb"}
ROOMS = {"provider": "rongcloud", "endpoint": "http://127.0.0.1:9/cb"}
LONG = 30
"""Seconds that are never waited: what is waited for comes about before."""
SHORT = 0.2
HOUR = 3600


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server."""
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def app(server: Served, request: pytest.FixtureRequest) -> str:
    """The name of an app of this test's own."""
    name = f"app-{abs(hash(request.node.nodeid))}"
    assert 201 == server.ask("POST", "/apps", {"name": name, **APP}).status_code
    return name


def verify(server: Served, *expected: dict[str, Any], **more: Any) -> Any:
    """Return what the server says to expectations."""
    response = server.ask("POST", "/verify", {"expect": list(expected), **more})
    assert 200 == response.status_code, response.text
    return response.json()


def test_waits(server: Served, app: str) -> None:
    """What is accepted is waited for until it is acknowledged."""
    (one,) = server.accept(app, LOGIN)
    said = verify(server, {"app": app, "event_type": LOGIN, "state": "acked", "outcome": "acked"}, within_seconds=LONG)
    assert said["holds"]
    assert [{"count": 1, "deliveries": [one], "problem": None, "near": []}] == said["found"]


def test_near_misses(server: Served, app: str) -> None:
    """The delivery that differs least is named first, with what differs."""
    ids = server.accept(app, LOGIN, LOGOUT)
    server.settled(ids, "acked")
    accid = server.ask("GET", f"/deliveries/{ids[0]}").json()["payloads"][0]["accid"]
    fields = {"/accid": "somebody-else", "/nowhere": 1}
    said = verify(server, {"app": app, "event_type": LOGIN, "state": "dropped", "fields": fields})
    assert not said["holds"]
    (found,) = said["found"]
    assert (0, "0 found, at least 1 expected") == (found["count"], found["problem"])
    near = found["near"]
    assert ids == [one["delivery"] for one in near]
    assert [
        {"field": "state", "wanted": "dropped", "found": "acked"},
        {"field": "/accid", "wanted": "somebody-else", "found": accid},
        {"field": "/nowhere", "wanted": 1},
    ] == near[0]["differences"]
    assert {"field": "event_type", "wanted": LOGIN, "found": LOGOUT} in near[1]["differences"]


def test_fields(server: Served, app: str) -> None:
    """Fields are compared as JSON values, and have to be in one payload of the delivery."""
    (one,) = server.accept(app, LOGIN)
    payload = server.ask("GET", f"/deliveries/{one}").json()["payloads"][0]
    for name, value in payload.items():
        assert verify(server, {"app": app, "fields": {f"/{name}": value}})["holds"], name
        assert not verify(server, {"app": app, "fields": {f"/{name}": [value]}})["holds"], name
    server.ask("PUT", "/apps/rooms", ROOMS)
    key, other = ({**_sample(server, "rongcloud.chatroom-kv"), "key": name} for name in ("one", "two"))
    body = {"events": [{"type": "rongcloud.chatroom-kv", "payload": [key, {**other, "value": "x"}]}]}
    assert 202 == server.ask("POST", "/apps/rooms/events", body).status_code
    assert verify(server, {"app": "rooms", "fields": {"/key": "two", "/value": "x"}})["holds"]
    assert not verify(server, {"app": "rooms", "fields": {"/key": "one", "/value": "x"}})["holds"]


def _sample(server: Served, event_type: str) -> dict[str, Any]:
    (one,) = server.accept("rooms", event_type)
    return dict(server.ask("GET", f"/deliveries/{one}").json()["payloads"][0])


def test_variant(server: Served, app: str) -> None:
    """A variant is the one that the payload is."""
    server.accept(app, "commsease.conversation", LOGIN)
    (near,) = verify(server, {"app": app, "event_type": "commsease.conversation", "variant": "X"})["found"]
    difference = near["near"][0]["differences"][0]
    assert ("variant", "X") == (difference["field"], difference["wanted"])
    assert verify(server, {"app": app, "variant": difference["found"], "exactly": 1})["holds"]


def test_numbers(server: Served, app: str) -> None:
    """At least, at most and exactly so many."""
    server.settled(server.accept(app, LOGIN, LOGIN), "acked")
    for holds, numbers in (
        (True, {}),
        (True, {"at_least": 2}),
        (False, {"at_least": 3}),
        (True, {"at_most": 2}),
        (False, {"at_most": 1}),
        (True, {"exactly": 2}),
        (False, {"exactly": 1}),
        (False, {"exactly": 0}),
        (True, {"at_least": 1, "at_most": 2}),
    ):
        assert holds is verify(server, {"app": app, **numbers}, within_seconds=0.1)["holds"], numbers
    assert verify(server, {"app": app, "event_type": LOGOUT, "exactly": 0}, within_seconds=LONG)["holds"]


def test_upper_limit_waits(server: Served, app: str) -> None:
    """With an upper limit it is certain only when nothing waits any more."""
    server.accept(app, LOGIN, delay_seconds=HOUR)
    said = verify(server, {"app": app, "exactly": 1}, within_seconds=SHORT)
    assert said["holds"]
    assert SHORT <= said["waited"]
    assert verify(server, {"app": app, "at_least": 1}, within_seconds=LONG)["waited"] < LONG


def test_order(server: Served, app: str) -> None:
    """What is expected first has to be sent first."""
    for one in (LOGIN, LOGOUT):
        ids = server.accept(app, one)
        server.settled(ids, "acked")
    first, second = ({"app": app, "event_type": one, "state": "acked"} for one in (LOGIN, LOGOUT))
    assert verify(server, first, second, in_order=True)["holds"]
    assert verify(server, second, first)["holds"]
    said = verify(server, second, first, in_order=True, within_seconds=SHORT)
    assert not said["holds"]
    assert [None, None] == [one["problem"] for one in said["found"]]
    assert (
        f"of /expect/1, 0 deliveries were sent after delivery {ids[0]}, which /expect/0 needs; at least 1 expected"
        == said["order"]
    )


def test_since(server: Served, app: str) -> None:
    """Only what was accepted then or later counts."""
    (one,) = server.accept(app, LOGIN)
    accepted = server.ask("GET", f"/deliveries/{one}").json()["created_at"]
    assert verify(server, {"app": app}, since=accepted)["holds"]
    (found,) = verify(server, {"app": app}, since=accepted + 1)["found"]
    assert (0, []) == (found["count"], found["near"])


def test_contradictions(server: Served) -> None:
    """Numbers that no number fits are refused, by place."""
    for numbers, place in (
        ({"at_least": 2, "at_most": 1}, "/expect/0/at_most"),
        ({"exactly": 2, "at_most": 2}, "/expect/0/exactly"),
    ):
        response = server.ask("POST", "/verify", {"expect": [numbers]})
        assert (409, [place]) == (response.status_code, [one["field"] for one in response.json()["errors"]])
    refused = server.ask("POST", "/verify", {"expect": [{"fields": {"key": 1}}]}).json()
    assert "a JSON Pointer, such as /key" in refused["detail"]


def test_too_much(server: Served, app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number is never told of a part of the deliveries."""
    monkeypatch.setattr(verifying, "PAGE", 2)
    monkeypatch.setattr(verifying, "MOST_READ", 4)
    server.accept(app, LOGIN, LOGIN, LOGIN)
    assert 3 == verify(server, {"app": app})["found"][0]["count"]
    server.accept(app, LOGIN, LOGOUT)
    response = server.ask("POST", "/verify", {"expect": [{"app": app}]})
    assert 409 == response.status_code
    assert "more than 4 deliveries" in response.text
    assert verify(server, {"app": app, "event_type": LOGOUT})["holds"]


def test_too_many_wait(server: Served, app: str) -> None:
    """Waiting calls leave threads to others; one too many is told to come again."""
    waiters = server.service.verifier._waiters
    taken = [waiters.acquire(blocking=False) for _ in range(verifying.WAITERS)]
    assert all(taken)
    try:
        response = server.ask("POST", "/verify", {"expect": [{"app": app}], "within_seconds": 1})
        assert (503, True) == (response.status_code, "Retry-After" in response.headers)
        assert not verify(server, {"app": app})["holds"]
    finally:
        for _ in taken:
            waiters.release()

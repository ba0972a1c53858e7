"""The client drives a server, and says in words what did not come about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from im_callback.provider_mock.client import MockApp, MockServer, NotVerified, Refused
from im_callback.provider_mock.server import verifying

from tests.provider_mock.peers import unused_port
from tests.provider_mock_server.served import TOKEN, Served, served

ENDPOINT = "http://127.0.0.1:9/cb"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a token."""
    with served(tmp_path_factory.mktemp("server"), token=TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[MockServer]:
    """Its client."""
    found = MockServer(f"{server.url}/", TOKEN)
    yield found
    found.close()


@pytest.fixture
def app(client: MockServer) -> Iterator[MockApp]:
    """An app of this test's own."""
    found = client.add_app("commsease", ENDPOINT)
    yield found
    found.remove()


def test_sends_and_verifies(app: MockApp) -> None:
    """Event types need no provider's name."""
    one = app.send("login")
    other = app.send("commsease.logout", seed=4)
    assert [one] == app.verify("login", exactly=1)
    assert [one, other] == app.verify(at_least=2)
    assert [other, one] == [each["id"] for each in app.deliveries()]
    assert ["acked"] == [each["outcome"] for each in app.attempts(one)]
    with pytest.raises(NotVerified):
        app.verify_order("logout", "login", within_seconds=0)
    app.reset()
    assert [] == list(app.deliveries())


def test_payload_and_faults(app: MockApp) -> None:
    """A payload is sent as it is given, and disturbed as asked for."""
    app.send("login")
    payload = next(app.deliveries())["payloads"][0] | {"accid": "ann"}
    one = app.send("login", payload, faults=["duplicate"])
    assert [one] == app.verify("login", fields={"/accid": "ann"})
    app.set_faults("duplicate")
    other = app.send("login", payload)
    app.verify("login", fields={"/accid": "ann"}, exactly=2)
    assert [2, 2] == [len(app.attempts(each)) for each in (one, other)]


def test_said_in_words(app: MockApp) -> None:
    """What was expected, and in what the nearest deliveries differ."""
    with pytest.raises(NotVerified, match="the app has no deliveries"):
        app.verify("login", within_seconds=0)
    one = app.send("login")
    app.verify("login")
    with pytest.raises(NotVerified) as caught:
        app.verify("logout", fields={"/nowhere": 1}, within_seconds=0)
    assert (
        "0 found, at least 1 expected: "
        f'{{"app": "{app.name}", "event_type": "commsease.logout", "state": "acked", "fields": {{"/nowhere": 1}}}}\n'
        f"  delivery {one} differs:\n"
        '    event_type is "commsease.login", not "commsease.logout"\n'
        "    /nowhere is missing, not 1"
    ) == str(caught.value)
    assert not caught.value.answer["holds"]


def test_waits_longer_than_a_call(app: MockApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks again for as long as it was told to wait, also while others wait."""
    monkeypatch.setattr(verifying, "LONGEST_WAIT", 0.01)
    one = app.send("login", delay_seconds=3600)
    waiters, asked = app.server.ask, []

    def ask(method: str, path: str, *given: object, **more: object) -> object:
        asked.append(path)
        if asked == ["/verify"]:
            raise Refused(503, "4 calls are waiting already")
        if asked.count("/verify") == 3:
            waiters("POST", "/clock/advance", {"seconds": 3600})
        return waiters(method, path, *given, **more)

    monkeypatch.setattr(app.server, "ask", ask)
    assert [one] == app.verify("login", within_seconds=60)
    assert 3 <= len(asked)


def test_by_name(client: MockServer, app: MockApp) -> None:
    """An app that is there is found by its name."""
    assert "commsease" == client.app(app.name).provider
    with pytest.raises(Refused, match="nobody") as caught:
        client.app("nobody")
    assert 404 == caught.value.status


def test_refused(client: MockServer, server: Served) -> None:
    """The server's own words are the message."""
    with pytest.raises(Refused, match="did you mean"):
        client.add_app("commsease", ENDPOINT, polcy="reliable")
    with pytest.raises(Refused, match="the token is missing"):
        MockServer(server.url).app("x")
    with pytest.raises(requests.ConnectionError):
        MockServer(f"http://127.0.0.1:{unused_port()}").app("x")

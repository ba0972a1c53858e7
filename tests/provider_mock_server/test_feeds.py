"""An app can have an address for each feed: events go to the one of their feed, the others to `endpoint`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from im_callback.provider_mock.server.errors import Invalid
from im_callback.provider_mock.server.models import NewEvent
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service

from tests.provider_mock import peers
from tests.provider_mock_server.app_tables import APP, configured, told
from tests.provider_mock_server.running import running
from tests.provider_mock_server.served import Served, served
from tests.provider_mock_server.waiting import until

KEY, SECRET = "key-of-feeds", "secret-of-feeds"
ROOM, MESSAGE, STATUS = "rongcloud.chatroom-kv", "rongcloud.message", "rongcloud.online-status"
Open = Callable[..., Service]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """A server without apps."""
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def usual() -> Iterator[peers.Receiver]:
    """The receiver of whatever has no address of its own."""
    with peers.receiver("rongcloud", KEY, SECRET) as receiver:
        yield receiver


@pytest.fixture
def own() -> Iterator[peers.Receiver]:
    """The receiver of messages."""
    with peers.receiver("rongcloud", KEY, SECRET) as receiver:
        yield receiver


def settings(usual: peers.Receiver, own: str | None) -> AppSettings:
    """Return an app whose messages have an address of their own."""
    endpoints = {} if own is None else {"message-route": own}
    return AppSettings("rongcloud", usual.url, KEY, SECRET, endpoints=endpoints)


def accept(service: Service, *types: str, **more: Any) -> list[int]:
    """Return the ids of deliveries of these event types."""
    return list(service.intake.accept("shop", [NewEvent(one) for one in types], **more).deliveries)


def acked(service: Service, ids: list[int]) -> bool:
    """Return whether all of these deliveries are acknowledged in the end."""
    return {"acked"} == until(lambda: {service.delivery(one).state for one in ids}, {"acked"})


def kinds(receiver: peers.Receiver) -> list[str]:
    """Return of what feeds a receiver has accepted bodies, by what only those hold, in order."""
    marks = {b"msgUID=": "message", b'"chatRoomId"': "room", b'"userid"': "status", b'"chatroomId"': "room"}
    return sorted(next((kind for mark, kind in marks.items() if mark in body), "?") for body in receiver.accepted)


class TestAddresses:
    """Deliveries go to the address of their feed."""

    def test_each_to_its_own(self, usual: peers.Receiver, own: peers.Receiver, service: Service) -> None:
        """A feed that is named to its address, the others to the app's; both are signed with the app's credentials."""
        shown, _ = service.apps.put("shop", settings(usual, own.url))
        assert {"message-route": own.url} == shown.settings.endpoints
        assert acked(service, accept(service, ROOM, MESSAGE, STATUS, MESSAGE))
        assert ["room", "status"] == kinds(usual)
        assert ["message", "message"] == kinds(own)
        assert 0 == usual.refused + own.refused

    @pytest.mark.parametrize("fault", ["duplicate:times=2", "lose-ack", "delay"])
    def test_disturbed(self, fault: str, usual: peers.Receiver, own: peers.Receiver, service: Service) -> None:
        """What a fault does, it does there."""
        service.apps.put("shop", settings(usual, own.url))
        assert acked(service, accept(service, ROOM, MESSAGE, faults=[fault], seed=1))
        assert ({"room"}, {"message"}) == (set(kinds(usual)), set(kinds(own)))

    def test_restarted(self, usual: peers.Receiver, own: peers.Receiver, open_service: Open) -> None:
        """The addresses are on record with the app; what waited goes there."""
        service = open_service()
        service.apps.put("shop", settings(usual, own.url))
        ids = accept(service, MESSAGE, ROOM, delay_seconds=3600)
        service.close()
        service = open_service()
        assert {"message-route": own.url} == service.apps.get("shop").settings.endpoints
        service.advance(3600)
        assert acked(service, ids)
        assert (["room"], ["message"]) == (kinds(usual), kinds(own))

    def test_changed(self, usual: peers.Receiver, own: peers.Receiver, service: Service) -> None:
        """What waits goes to the address that its feed has when it is sent, in its first attempt and in later ones."""
        nobody = f"http://127.0.0.1:{peers.unused_port()}/"
        service.apps.put("shop", settings(usual, nobody))
        (tried,) = accept(service, MESSAGE)
        (attempt,) = until(lambda: service.attempts(tried))
        assert "unreachable" == attempt.outcome
        (waits,) = accept(service, MESSAGE, delay_seconds=60)
        service.apps.put("shop", settings(usual, own.url))
        service.advance(3600)
        assert acked(service, [tried, waits])
        assert ([], ["message", "message"]) == (kinds(usual), kinds(own))

    def test_taken_back(self, usual: peers.Receiver, own: peers.Receiver, service: Service) -> None:
        """An app that is replaced without it has none any more: what waits goes to the app's address."""
        service.apps.put("shop", settings(usual, own.url))
        ids = accept(service, MESSAGE, delay_seconds=60)
        shown, _ = service.apps.put("shop", settings(usual, None))
        assert {} == shown.settings.endpoints
        service.advance(60)
        assert acked(service, ids)
        assert (["message"], []) == (kinds(usual), kinds(own))

    def test_deciding(self, usual: peers.Receiver, service: Service) -> None:
        """A question goes to the address of its own, also at a provider whose feeds have one address."""
        with peers.receiver("tencent", KEY, SECRET) as after, peers.receiver("tencent", KEY, SECRET) as before:
            given = AppSettings("tencent", after.url, KEY, SECRET, endpoints={"before": before.url})
            service.apps.put("shop", given)
            assert acked(service, accept(service, "tencent.c2c-after-send", "tencent.c2c-before-send"))
        commands = [json.loads(body)["CallbackCommand"] for one in (after, before) for body in one.accepted]
        assert ["C2C.CallbackAfterSendMsg", "C2C.CallbackBeforeSendMsg"] == commands

    def test_process(self, tmp_path: Path, usual: peers.Receiver, own: peers.Receiver) -> None:
        """A server by a configuration file says where what goes, and does it."""
        file = configured(
            tmp_path,
            f'[apps.shop]\nprovider = "rongcloud"\nendpoint = "{usual.url}"\napp_key = "{KEY}"\n'
            f'app_secret = "{SECRET}"\nendpoints = {{message-route = "{own.url}"}}\n',
        )
        with running("--database", str(tmp_path / "mock.db"), "--config", str(file)) as server:
            (app,) = server.first["apps"]
            assert (usual.url, {"message-route": own.url}) == (app["endpoint"], app["endpoints"])
            with requests.Session() as session:
                session.trust_env = False
                asked = {"rate": 100, "duration": 0.05, "feed": "message-route"}
                answer = session.post(f"{server.url}/api/v1/apps/shop/traffic", json=asked, timeout=30)
                assert 202 == answer.status_code, answer.text
            assert ["message"] * 5 == until(lambda: kinds(own), ["message"] * 5)
        assert [] == kinds(usual)


class TestRefused:
    """A feed that there is not and an address that cannot be used are named."""

    ROUTE = {"provider": "rongcloud", "endpoint": "http://127.0.0.1:9/"}

    def test_feed_of_another(self, server: Served) -> None:
        """A feed of another provider, with what there are."""
        answer = server.ask("PUT", "/apps/a", {**APP, "endpoints": {"message-route": "http://h/"}})
        field, problem, fix = told(answer)
        assert ("/endpoints/message-route", "commsease has no feed of this name") == (field, problem)
        assert fix.startswith("choose one of: data-sync, third-party")

    @pytest.mark.parametrize(
        ("address", "problem"),
        [
            ("http://[::::]/", "'http://[::::]/' is no address to post to"),
            ("http://169.254.169.254/", "169.254.169.254 is an address of a cloud"),
        ],
    )
    def test_address(self, address: str, problem: str, server: Served) -> None:
        """By the rules of `endpoint`."""
        field, found, _ = told(server.ask("PUT", "/apps/a", {**self.ROUTE, "endpoints": {"bot": address}}))
        _, as_endpoint, _ = told(server.ask("PUT", "/apps/a", {**self.ROUTE, "endpoint": address}))
        assert ("/endpoints/bot", as_endpoint) == (field, found)
        assert found.startswith(problem)

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"no/such": "http://h/"}, "/endpoints/no~1such"),
            ({"bot": "ftp://h/"}, "/endpoints/bot"),
            ([], "/endpoints"),
        ],
    )
    def test_never(self, given: Any, field: str, server: Served) -> None:
        """What no app can have breaks the API's document."""
        answer = server.ask("PUT", "/apps/a", {**self.ROUTE, "endpoints": given})
        assert (422, [field]) == (answer.status_code, [one["field"] for one in answer.json()["errors"]])


class TestRuns:
    """A traffic run can be of one feed."""

    def test_one(self, usual: peers.Receiver, own: peers.Receiver, service: Service) -> None:
        """Its events are of that feed alone."""
        service.apps.put("shop", settings(usual, None))
        run = service.runs.start("shop", rate=100, duration=0.1, feed="online-status")
        assert "online-status" == run.feed
        assert 10 == until(lambda: service.runs.get(run.id).states["acked"], 10)
        assert {"status"} == set(kinds(usual))

    def test_all_that_have_an_address(self, usual: peers.Receiver, own: peers.Receiver, service: Service) -> None:
        """Without it they are of what arrives at one address, and of what has its own."""
        service.apps.put("shop", settings(usual, own.url))
        run = service.runs.start("shop", rate=200, duration=0.2, seed=5)
        assert run.feed is None
        assert 40 == until(lambda: service.runs.get(run.id).states["acked"], 40)
        assert ({"room"}, {"message"}) == (set(kinds(usual)), set(kinds(own)))

    def test_unknown(self, usual: peers.Receiver, service: Service) -> None:
        """A feed that the provider has not is named."""
        service.apps.put("shop", settings(usual, None))
        with pytest.raises(Invalid) as caught:
            service.runs.start("shop", rate=1, duration=1, feed="data-sync")
        (one,) = caught.value.problems
        assert ("/feed", "rongcloud has no feed 'data-sync'") == (one.field, one.problem)

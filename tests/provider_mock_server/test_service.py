"""The service on real ledgers, delivering to real receivers."""

from __future__ import annotations

import json
import logging
import re
import socket
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.ledger import Query
from im_callback.provider_mock.server.errors import Conflict, Invalid, NotFound, Objection, Unavailable
from im_callback.provider_mock.server.models import NewEvent, Rules
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service

from tests.provider_mock import peers
from tests.provider_mock_server.waiting import until

KEY, SECRET = "shop-key", "shop-secret-1234"
REFUSED = peers.answers(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
LOGIN = NewEvent("commsease.login")
NOWHERE = "http://127.0.0.1:9/callbacks"

Open = Callable[..., Service]


def settings(endpoint: str = NOWHERE, provider: str = "commsease", **more: Any) -> AppSettings:
    """Return an app whose receiver knows its secret."""
    return AppSettings(provider, endpoint, **{"app_key": KEY, "app_secret": SECRET, **more})


def states(service: Service, app: str = "shop") -> dict[str, int]:
    """Return how many deliveries of an app are in which state; those in none are left out."""
    found: dict[str, int] = {}
    for one in service.deliveries(Query(app=app), limit=5000):
        found[one.state] = found.get(one.state, 0) + 1
    return found


def payload(name: str, index: int = 0) -> dict[str, Any]:
    """Return a documented sample."""
    return dict(providers.load(name.partition(".")[0]).catalogue[name].examples[index])


class TestAccept:
    """Events become deliveries, which reach the receiver by the provider's rules."""

    @pytest.mark.parametrize(
        ("provider", "event_type"),
        [
            ("commsease", "commsease.login"),
            ("rongcloud", "rongcloud.chatroom-kv"),
            ("tencent", "tencent.c2c-after-send"),
        ],
    )
    def test_delivered(self, provider: str, event_type: str, service: Service) -> None:
        """They arrive signed, in the given payloads, and are on record with their attempts."""
        key = "1400000001" if provider == "tencent" else KEY
        sample = payload(event_type)
        with peers.receiver(provider, key, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url, provider, app_key=key))
            accepted = service.intake.accept("shop", [NewEvent(event_type, sample), NewEvent(event_type)])
            assert {"acked": 2} == until(lambda: states(service), {"acked": 2})
        bodies = [json.loads(body) for body in receiver.accepted]
        assert 0 == receiver.refused
        assert ([sample] if provider == "rongcloud" else sample) in bodies
        first, second = accepted.deliveries
        assert second == first + 1
        assert (sample,) == service.delivery(first).payloads
        assert [(1, "acked", 200)] == [(one.number, one.outcome, one.status) for one in service.attempts(first)]

    def test_made_up_events_differ(self, service: Service) -> None:
        """Without payloads, each event has an identity of its own."""
        service.apps.put("shop", settings())
        ids = service.intake.accept("shop", [LOGIN] * 20).deliveries
        made = [json.dumps(service.delivery(one).payloads) for one in ids]
        assert 20 == len(set(made))

    def test_every_described_event_type_can_be_made_up(self, service: Service) -> None:
        """With the ledger's own record of it valid by its schema."""
        for name in ("commsease", "rongcloud", "tencent"):
            catalogue = providers.load(name).catalogue
            described = [one.name for one in catalogue if one.status != "undocumented"]
            service.apps.put(name, settings(provider=name))
            ids = service.intake.accept(name, [NewEvent(one) for one in described], delay_seconds=3600).deliveries
            records = [service.delivery(one) for one in ids]
            assert described == [one.event_type for one in records]
            assert [] == [p for one in records for p in catalogue[one.event_type].problems(one.payloads[0])]

    def test_type_without_its_provider(self, service: Service) -> None:
        """The app says which provider's it is."""
        service.apps.put("shop", settings())
        (delivery,) = service.intake.accept("shop", [NewEvent("login")]).deliveries
        assert "commsease.login" == service.delivery(delivery).event_type

    def test_batch(self, service: Service) -> None:
        """Several payloads are one delivery where the provider batches."""
        kinds = [payload("rongcloud.chatroom-kv"), payload("rongcloud.chatroom-kv")]
        with peers.receiver("rongcloud", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url, "rongcloud"))
            service.intake.accept("shop", [NewEvent("rongcloud.chatroom-kv", kinds)])
            assert {"acked": 1} == until(lambda: states(service), {"acked": 1})
        assert [kinds] == [json.loads(body) for body in receiver.accepted]

    @pytest.mark.parametrize(
        ("provider", "event", "problem"),
        [
            (
                "commsease",
                NewEvent("commsease.login", {"eventType": "2"}),
                ("/events/1/payload/accid", "is missing; it is required"),
            ),
            (
                "commsease",
                NewEvent("commsease.logn"),
                ("/events/1/type", "commsease has no event type 'commsease.logn'"),
            ),
            (
                "commsease",
                NewEvent("tencent.c2c-after-send"),
                ("/events/1/type", "commsease has no event type 'tencent.c2c-after-send'"),
            ),
            (
                "commsease",
                NewEvent("commsease.login", [{}]),
                ("/events/1/payload", "is a list, but commsease sends one event a request"),
            ),
            ("rongcloud", NewEvent("rongcloud.chatroom-kv", []), ("/events/1/payload", "is an empty list")),
            (
                "rongcloud",
                NewEvent("rongcloud.chatroom-kv", [{}, {}]),
                ("/events/1/payload/0/chatroomId", "is missing; it is required"),
            ),
        ],
    )
    def test_invalid(self, provider: str, event: NewEvent, problem: tuple[str, str], service: Service) -> None:
        """One that is not valid is named with its place, and none is accepted."""
        service.apps.put("shop", settings(provider=provider))
        good = NewEvent(next(one.name for one in providers.load(provider).catalogue if one.examples))
        with pytest.raises(Invalid) as caught:
            service.intake.accept("shop", [good, event])
        assert problem in [(one.field, one.problem) for one in caught.value.problems]
        assert all(one.fix for one in caught.value.problems)
        assert [] == service.deliveries()

    def test_undocumented(self, service: Service) -> None:
        """An event type that the documents only name is not sent, whatever its payload."""
        name = next(one.name for one in providers.load("commsease").catalogue if one.status == "undocumented")
        service.apps.put("shop", settings())
        with pytest.raises(Invalid, match="is named but not described by the documents"):
            service.intake.accept("shop", [NewEvent(name, {"eventType": "x"})])

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"events": []}, "/events"),
            ({"events": [LOGIN] * 1001}, "/events"),
            ({"delay_seconds": -1.0}, "/delay_seconds"),
            ({"delay_seconds": float("nan")}, "/delay_seconds"),
            ({"idempotency_key": ""}, "Idempotency-Key"),
            ({"idempotency_key": "a\x1fb"}, "Idempotency-Key"),
            ({"faults": ["duplicat"]}, "/faults/0"),
            ({"faults": ["delay", "duplicate:times=0"]}, "/faults/1"),
            ({"faults": ["stale:on=repeats"]}, "/faults"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], field: str, service: Service) -> None:
        """What cannot be used is named."""
        service.apps.put("shop", settings())
        with pytest.raises(Invalid) as caught:
            service.intake.accept("shop", **{"events": [LOGIN], **arguments})
        assert [field] == [one.field for one in caught.value.problems]

    def test_unknown_app(self, service: Service) -> None:
        """There is nothing to accept for."""
        with pytest.raises(NotFound, match="there is no app 'shop'"):
            service.intake.accept("shop", [LOGIN])

    def test_delay(self, service: Service) -> None:
        """What is put off waits until its time has come by the service's clock."""
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url))
            service.intake.accept("shop", [LOGIN], delay_seconds=3600)
            service.intake.accept("shop", [LOGIN])
            assert {"acked": 1, "waiting": 1} == until(lambda: states(service), {"acked": 1, "waiting": 1})
            service.advance(3600)
            assert {"acked": 2} == until(lambda: states(service), {"acked": 2})


class TestIdempotency:
    """A call that is made again gives the deliveries of the first one."""

    def test_again(self, open_service: Open) -> None:
        """Also after a restart; made-up payloads do not make it another call."""
        service = open_service()
        service.apps.put("shop", settings())
        events = [NewEvent("commsease.login", payload("commsease.login")), LOGIN, LOGIN]
        first = service.intake.accept("shop", events, idempotency_key="call 1", delay_seconds=3600)
        assert not first.repeated
        service.close()
        service = open_service()
        again = service.intake.accept("shop", events, idempotency_key="call 1", delay_seconds=3600)
        assert (first.deliveries, True) == (again.deliveries, again.repeated)
        assert {"waiting": 3} == states(service)

    @pytest.mark.parametrize(
        "events",
        [
            [NewEvent("commsease.logout")],
            [NewEvent("commsease.login", {**payload("commsease.login"), "accid": "somebody-else"})],
            [NewEvent("commsease.login", payload("commsease.login"))] * 2,
        ],
    )
    def test_other_call(self, events: list[NewEvent], service: Service) -> None:
        """A key that belongs to other events is refused."""
        service.apps.put("shop", settings())
        one = NewEvent("commsease.login", payload("commsease.login"))
        service.intake.accept("shop", [one], idempotency_key="k", delay_seconds=3600)
        with pytest.raises(Conflict, match="belongs to an earlier call with other events"):
            service.intake.accept("shop", events, idempotency_key="k")

    def test_fewer_events(self, service: Service) -> None:
        """A call with the first of several is another one."""
        service.apps.put("shop", settings())
        service.intake.accept("shop", [LOGIN] * 3, idempotency_key="k", delay_seconds=3600)
        with pytest.raises(Conflict):
            service.intake.accept("shop", [LOGIN], idempotency_key="k")

    def test_keys_belong_to_apps(self, service: Service) -> None:
        """The same key for another app is another call."""
        for name in ("a", "b"):
            service.apps.put(name, settings())
            assert not service.intake.accept(name, [LOGIN], idempotency_key="k", delay_seconds=3600).repeated

    def test_at_once(self, service: Service) -> None:
        """Of several at the same moment one is the first."""
        service.apps.put("shop", settings())
        with ThreadPoolExecutor(8) as pool:
            calls = [
                pool.submit(service.intake.accept, "shop", [LOGIN] * 5, idempotency_key="k", delay_seconds=3600)
                for _ in range(8)
            ]
        results = [one.result() for one in calls]
        assert 1 == len({one.deliveries for one in results})
        assert 1 == sum(not one.repeated for one in results)
        assert {"waiting": 5} == states(service)

    def test_found_by_key(self, service: Service) -> None:
        """The key finds all deliveries of its call, page by page, and is shown as it was given."""
        service.apps.put("shop", settings())
        service.intake.accept("shop", [LOGIN], delay_seconds=3600)
        ids = service.intake.accept("shop", [LOGIN] * 3, idempotency_key="k", delay_seconds=3600).deliveries
        service.intake.accept("shop", [LOGIN], delay_seconds=3600)
        query = Query(app="shop", call="k")
        page = service.deliveries(query, limit=2)
        page += service.deliveries(query, cursor=page[-1].id, limit=2)
        assert list(reversed(ids)) == [one.id for one in page]
        assert {"k"} == {one.idempotency_key for one in page}
        assert "k" == service.delivery(ids[2]).idempotency_key
        assert [] == service.deliveries(Query(app="shop", call="k", states=("acked",)))


class TestFaults:
    """Deliveries are disturbed as asked."""

    def test_of_a_call(self, service: Service) -> None:
        """Only those of the call."""
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url))
            service.intake.accept("shop", [LOGIN], faults=["duplicate:times=2"], seed=1)
            service.intake.accept("shop", [LOGIN])
            assert 4 == until(lambda: len(receiver.accepted), 4)
        assert 2 == len(set(receiver.accepted))

    def test_standing(self, service: Service) -> None:
        """Those of an app apply to everything that is accepted from then on, and every=N counts from call to call."""
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url))
            service.intake.accept("shop", [LOGIN])
            assert ("duplicate:every=3",) == service.apps.set_faults("shop", ["duplicate:every=3"]).faults
            for _ in range(6):
                service.intake.accept("shop", [LOGIN])
            assert {"acked": 7} == until(lambda: states(service), {"acked": 7})
            assert 9 == until(lambda: len(receiver.accepted), 9)
            service.apps.set_faults("shop", [])
            service.intake.accept("shop", [LOGIN])
            assert {"acked": 8} == until(lambda: states(service), {"acked": 8})
        assert 10 == len(receiver.accepted)

    def test_survive_a_restart(self, open_service: Open) -> None:
        """Standing faults, and those of what waits."""
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service = open_service()
            service.apps.put("shop", settings(receiver.url, faults=("duplicate:times=2",)))
            service.intake.accept("shop", [LOGIN], delay_seconds=3600)
            service.close()
            service = open_service()
            assert ("duplicate:times=2",) == service.apps.get("shop").faults
            service.advance(3600)
            assert 3 == until(lambda: len(receiver.accepted), 3)

    @pytest.mark.parametrize(
        ("faults", "field"),
        [(["duplicat"], "/faults/0"), (["delay", "delay:by=1"], "/faults/1"), (["stale:on=repeats"], "/faults")],
    )
    def test_refused(self, faults: list[str], field: str, service: Service) -> None:
        """Those that do not exist, or could disturb nothing."""
        service.apps.put("shop", settings())
        with pytest.raises(Invalid) as caught:
            service.apps.set_faults("shop", faults)
        assert [field] == [one.field for one in caught.value.problems]
        assert () == service.apps.get("shop").faults

    def test_catalogue(self, service: Service) -> None:
        """Every fault with a sentence and its attributes."""
        by_name = {one.name: one for one in service.faults()}
        assert "every" in {one.name for one in by_name["duplicate"].attributes}
        assert all(one.sentence.endswith(".") for one in by_name.values())


class TestRetries:
    """What fails goes the way of the app's policy."""

    def test_parked_and_released(self, service: Service) -> None:
        """Refused deliveries are sent again as often as the options say, parked, and released once the receiver is back."""
        options = {"retries": 2, "spacing_seconds": 0}
        with peers.peer(REFUSED) as broken:
            service.apps.put("shop", settings(broken.url, policy="reliable", options=options))
            ids = service.intake.accept("shop", [LOGIN] * 3).deliveries
            assert {"parked": 3} == until(lambda: states(service), {"parked": 3})
            assert 9 == len(broken.requests)
        assert set(ids) == {one.id for one in service.backlog("shop")}
        (first,) = service.backlog("shop", limit=1)
        rest = service.backlog("shop", cursor=(first.due_at, first.id))
        assert 2 == len(rest)
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url, policy="reliable", options=options))
            assert 1 == service.release("shop", 1)
            assert {"acked": 1, "parked": 2} == until(lambda: states(service), {"acked": 1, "parked": 2})
            assert 2 == service.release("shop")
            assert {"acked": 3} == until(lambda: states(service), {"acked": 3})
        assert [1, 2, 3, 4] == [one.number for one in service.attempts(ids[0])]
        assert [4] == [one.number for one in service.attempts(ids[0], after=3)]

    def test_backlog_option(self, service: Service) -> None:
        """What finds the backlog full is dropped."""
        options = {"retries": 0, "backlog": 2}
        with peers.peer(REFUSED) as broken:
            service.apps.put("shop", settings(broken.url, policy="reliable", options=options, concurrency=1))
            service.intake.accept("shop", [LOGIN] * 3)
            assert {"parked": 2, "dropped": 1} == until(lambda: states(service), {"parked": 2, "dropped": 1})
            # There is room again for one.
            service.release("shop", 1)
            expected = {"parked": 2, "dropped": 1}
            assert expected == until(lambda: states(service) if len(broken.requests) == 4 else {}, expected)

    def test_redelivered(self, service: Service) -> None:
        """By id, by query and by idempotency key; what is not there is not counted."""
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url))
            first, _ = service.intake.accept("shop", [LOGIN] * 2).deliveries
            service.intake.accept("shop", [LOGIN] * 2, idempotency_key="k")
            assert {"acked": 4} == until(lambda: states(service), {"acked": 4})
            assert 1 == service.redeliver([first, 10**6])
            assert 5 == until(lambda: len(receiver.accepted), 5)
            assert 4 == service.redeliver(Query(app="shop"))
            assert 9 == until(lambda: len(receiver.accepted), 9)
            assert 2 == service.redeliver(Query(app="shop", call="k"))
            assert 11 == until(lambda: len(receiver.accepted), 11)

    def test_not_there(self, service: Service) -> None:
        """Deliveries and apps that do not exist are said so."""
        for ask in (
            lambda: service.delivery(1),
            lambda: service.attempts(1),
            lambda: service.backlog("shop"),
            lambda: service.release("shop"),
        ):
            with pytest.raises(NotFound):
                ask()

    def test_a_hanging_receiver_disturbs_no_other(self, service: Service) -> None:
        """Another app's deliveries go on meanwhile."""
        with peers.peer(peers.silent) as hanging, peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("stuck", settings(hanging.url, concurrency=2))
            service.apps.put("shop", settings(receiver.url))
            service.intake.accept("stuck", [LOGIN] * 4)
            assert 2 == until(lambda: service.apps.get("stuck").in_flight, 2)
            service.intake.accept("shop", [LOGIN] * 20)
            assert {"acked": 20} == until(lambda: states(service), {"acked": 20})
            assert 2 <= states(service, "stuck")["waiting"]


class TestApps:
    """Where deliveries go can be changed at any time, and is remembered."""

    def test_remembered(self, open_service: Open, tmp_path: Path) -> None:
        """Everything of an app, its secret in a file that only this user can read."""
        service = open_service()
        given = settings(
            policy="reliable",
            options={"retries": 5, "signed_afresh": False},
            headers={"X-Gateway": "pass"},
            concurrency=7,
            faults=("delay",),
        )
        shown, new = service.apps.put("shop", given)
        service.close()
        assert new
        again = open_service().apps.get("shop")
        assert shown == again
        assert f"file:{tmp_path / 'secrets/shop.secret'}" == again.secret
        assert SECRET == (tmp_path / "secrets/shop.secret").read_text()
        assert 0o600 == stat.S_IMODE((tmp_path / "secrets/shop.secret").stat().st_mode)
        assert 0o700 == stat.S_IMODE((tmp_path / "secrets").stat().st_mode)

    def test_another_provider(self, open_service: Open) -> None:
        """Cannot take over a name under which another's deliveries wait, through the API or the file."""
        service = open_service()
        service.apps.put("shop", settings())
        (delivery,) = service.intake.accept("shop", [NewEvent("login")], delay_seconds=3600).deliveries
        with pytest.raises(Conflict, match="deliveries of commsease wait under the name 'shop'"):
            service.apps.put("shop", settings(provider="rongcloud"))
        service.apps.remove("shop")
        with pytest.raises(Conflict, match="rongcloud cannot send them"):
            service.apps.put("shop", settings(provider="rongcloud"))
        service.close()
        again = open_service(configured={"shop": settings(provider="rongcloud")})
        assert "rongcloud cannot send them" in str(again.apps.get("shop").not_ready)
        assert "waiting" == again.delivery(delivery).state

    def test_no_secret_is_shown(self, service: Service, tmp_path: Path) -> None:
        """Neither in what is answered, nor in a repr, nor in the database."""
        given = settings(headers={"X-Gateway": "gate-pass-99"})
        shown, _ = service.apps.put("shop", given)
        entry = service.apps.entry("shop")
        for text in (repr(shown), repr(given), repr(entry), repr(service.apps.list())):
            assert SECRET not in text
            assert "gate-pass-99" not in text
        assert {"X-Gateway": "***"} == shown.settings.headers
        service.close()
        database = b"".join(path.read_bytes() for path in tmp_path.glob("mock.db*"))
        assert SECRET.encode() not in database

    def test_kept_when_not_given_again(self, service: Service) -> None:
        """Replacing an app without secret, headers and faults keeps those; giving them changes them."""
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(headers={"X-A": "1"}, faults=("delay",)))
            shown, new = service.apps.put("shop", AppSettings("commsease", receiver.url, KEY))
            assert (False, {"X-A": "***"}, ("delay",)) == (new, shown.settings.headers, shown.faults)
            shown, _ = service.apps.put("shop", AppSettings("commsease", receiver.url, KEY, headers={}, faults=()))
            assert ({}, ()) == (shown.settings.headers, shown.faults)
            service.intake.accept("shop", [LOGIN])
            assert 1 == until(lambda: len(receiver.accepted), 1)

    def test_test_credentials(self, service: Service) -> None:
        """Without credentials an app has the provider's test ones."""
        with peers.receiver("commsease", "test-key", "test-secret") as receiver:
            shown, _ = service.apps.put("shop", AppSettings("commsease", receiver.url))
            assert ("test-key", "test") == (shown.settings.app_key, shown.secret)
            service.intake.accept("shop", [LOGIN])
            assert 1 == until(lambda: len(receiver.accepted), 1)

    def test_nothing_signed(self, open_service: Open) -> None:
        """Tencent can be set to sign nothing, and that is remembered."""
        service = open_service()
        with peers.peer(peers.OK) as receiver:
            given = AppSettings("tencent", receiver.url, "1400000001", app_secret="none")
            assert "none" == service.apps.put("shop", given)[0].secret
            service.close()
            service = open_service()
            assert "none" == service.apps.get("shop").secret
            service.intake.accept("shop", [NewEvent("tencent.c2c-after-send")])
            (request,) = until(lambda: receiver.requests)
        assert b"Sign=" not in request

    def test_secret_of_the_environment(self, open_service: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """By reference; an app whose secret is gone at the next start is not ready, and its deliveries wait."""
        rules = Rules(secret_variables=frozenset({"SHOP_SECRET"}))
        monkeypatch.setenv("SHOP_SECRET", SECRET)
        service = open_service(rules=rules)
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            given = settings(receiver.url, app_secret=None, secret_ref="env:SHOP_SECRET")
            assert "env:SHOP_SECRET" == service.apps.put("shop", given)[0].secret
            service.close()
            monkeypatch.delenv("SHOP_SECRET")
            service = open_service(rules=rules)
            app = service.apps.get("shop")
            assert not app.ready
            assert "its secret env:SHOP_SECRET leads to none that an app of the API may use" in str(app.not_ready)
            service.intake.accept("shop", [LOGIN])
            with pytest.raises(Conflict, match="is not ready"):
                service.intake.accept("shop", [LOGIN], faults=["duplicate"])
            with pytest.raises(Conflict, match="is not ready"):
                service.runs.start("shop", rate=1, duration=1)
            assert {"waiting": 1} == states(service)
            service.close()
            monkeypatch.setenv("SHOP_SECRET", SECRET)
            service = open_service(rules=rules)
            assert {"acked": 1} == until(lambda: states(service), {"acked": 1})

    def test_secret_of_a_file(self, open_service: Open, tmp_path: Path) -> None:
        """Without the line break at its end."""
        service = open_service(rules=Rules(secret_folder=tmp_path))
        (tmp_path / "token").write_text(f"{SECRET}\n")
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url, app_secret=None, secret_ref=f"file:{tmp_path / 'token'}"))
            service.intake.accept("shop", [LOGIN])
            assert 1 == until(lambda: len(receiver.accepted), 1)

    def test_no_folder_for_secrets(self, open_service: Open) -> None:
        """A literal secret is refused with the fix."""
        service = open_service(secrets=None)
        with pytest.raises(Invalid, match=r"give secret_ref .* or start the server with --secrets") as caught:
            service.apps.put("shop", settings())
        assert SECRET not in str(caught.value)

    def test_removed(self, service: Service, tmp_path: Path) -> None:
        """Its secret goes, its deliveries stay, and go on when it is there again."""
        service.apps.put("shop", settings())
        service.intake.accept("shop", [LOGIN], delay_seconds=3600)
        service.apps.remove("shop")
        assert not (tmp_path / "secrets/shop.secret").exists()
        with pytest.raises(NotFound):
            service.apps.remove("shop")
        service.advance(3600)
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url))
            assert {"acked": 1} == until(lambda: states(service), {"acked": 1})

    def test_new(self, service: Service) -> None:
        """A name that has to be new is refused where it is not."""
        service.apps.put("shop", settings(), new=True)
        with pytest.raises(Conflict, match="there is an app 'shop' already"):
            service.apps.put("shop", settings(), new=True)

    @pytest.mark.parametrize(
        ("name", "given", "problem"),
        [
            ("a/b", {}, ("name", "'a/b' is no name")),
            ("..", {}, ("name", "'..' is no name")),
            ("a", {"provider": "whatsapp"}, ("/provider", "no provider is called 'whatsapp'")),
            ("a", {"endpoint": "ftp://x/"}, ("/endpoint", "'ftp://x/' is no address to post to")),
            ("a", {"endpoint": "http://u:p@h/"}, ("/endpoint", "holds a user name or password")),
            ("a", {"endpoint": "http://[::1/"}, ("/endpoint", "'http://[::1/' is no address to post to")),
            ("a", {"policy": "never"}, ("/policy", "commsease has no policy called 'never'")),
            ("a", {"options": {"retry": 1}}, ("/options/retry", "is unknown")),
            ("a", {"options": {"retries": 3}}, ("/options/retries", "the policy normal never sends again")),
            ("a", {"options": {"backlog": 3}}, ("/options/backlog", "the policy normal parks nothing")),
            (
                "a",
                {"policy": "reliable", "options": {"retries": -1}},
                ("/options/retries", "is -1"),
            ),
            (
                "a",
                {"policy": "reliable", "options": {"retries": True}},
                ("/options/retries", "is true and not a whole number"),
            ),
            ("a", {"options": {"signed_afresh": 1}}, ("/options/signed_afresh", "is 1 and not true or false")),
            ("a", {"concurrency": 0}, ("/concurrency", "is 0")),
            ("a", {"headers": {"X Y": "1"}}, ("/headers/X Y", "is no name of a header")),
            ("a", {"headers": {"X": "1\r\n"}}, ("/headers/X", "has a value that no header can carry")),
            ("a", {"ca_file": "/nowhere.pem"}, ("/ca_file", "cannot be given here")),
            ("a", {"ca_file": "/etc/hostname"}, ("/ca_file", "cannot be given here")),
            ("a", {"rate": 0.0}, ("/rate", "is 0.0")),
            ("a", {"rate": float("nan")}, ("/rate", "is nan")),
            ("a", {"rate": 10_001.0}, ("/rate", "is 10001.0")),
            ("a", {"give_up_hours": -1.0}, ("/give_up_hours", "is -1.0")),
            ("a", {"proxy": "socks://h"}, ("/proxy", "is no http or https address")),
            ("a", {"proxy": "http://u:p@h:1"}, ("/proxy", "holds a user name or password")),
            ("a", {"faults": ("nix",)}, ("/faults/0", "no fault is called 'nix'")),
            ("a", {"app_secret": "none"}, ("/app_secret", "commsease always signs")),
            ("a", {"app_key": ""}, ("/app_key", "it is empty")),
            ("a", {"secret_ref": "env:X"}, ("/secret_ref", "is given beside app_secret")),
            (
                "a",
                {"app_secret": None, "secret_ref": "plain"},
                ("/secret_ref", "cannot be used (its value is not shown: it may be a secret)"),
            ),
            (
                "a",
                {"app_secret": None, "secret_ref": "env:NOT_SET_ANYWHERE"},
                (
                    "/secret_ref",
                    "its secret env:NOT_SET_ANYWHERE leads to none that an app of the API may use",
                ),
            ),
        ],
    )
    def test_refused(self, name: str, given: dict[str, Any], problem: tuple[str, str], service: Service) -> None:
        """What is wrong is said with its place and the fix, and nothing is stored."""
        with pytest.raises(Invalid) as caught:
            service.apps.put(name, settings(**given))
        assert [problem] == [(one.field, one.problem) for one in caught.value.problems]
        assert caught.value.problems[0].fix
        assert [] == service.apps.list()

    def test_configured(self, open_service: Open) -> None:
        """Apps of the file win over stored ones, and are changed there."""
        service = open_service()
        service.apps.put("shop", settings())
        service.apps.put("other", settings())
        service.close()
        given = {"shop": settings("http://127.0.0.1:10/of-the-file", app_secret="of the file")}
        service = open_service(configured=given)
        shown = service.apps.get("shop")
        assert ("config", "config", "http://127.0.0.1:10/of-the-file") == (
            shown.source,
            shown.secret,
            shown.settings.endpoint,
        )
        assert "api" == service.apps.get("other").source
        for change in (lambda: service.apps.put("shop", settings()), lambda: service.apps.remove("shop")):
            with pytest.raises(Conflict, match="is in the configuration file"):
                change()
        # Faults come and go; the file's are back at the next start.
        assert ("delay",) == service.apps.set_faults("shop", ["delay"]).faults
        service.close()
        assert () == open_service(configured=given).apps.get("shop").faults

    def test_proxy_password_is_not_shown(self, open_service: Open) -> None:
        """The file can hold one."""
        service = open_service(configured={"shop": settings(proxy="http://user:pass-77@proxy:8080")})
        assert "http://***@proxy:8080" == service.apps.get("shop").settings.proxy
        assert "pass-77" not in repr(service.apps.entry("shop"))

    def test_deliveries_of_no_app(self, open_service: Open, caplog: pytest.LogCaptureFixture) -> None:
        """What waits for an app that was removed is warned of at the start."""
        service = open_service()
        service.apps.put("shop", settings())
        service.intake.accept("shop", [LOGIN], delay_seconds=3600)
        service.apps.remove("shop")
        service.close()
        with caplog.at_level(logging.WARNING):
            open_service()
        assert "deliveries wait for an app that is not there; add it again, or let them be" in caplog.messages


class TestClock:
    """The clock decides what is due; requests carry the true time."""

    def test_moved(self, open_service: Open) -> None:
        """It can be moved on and made faster, and is where it was after a restart."""
        service = open_service()
        assert 1.0 == service.clock().scale
        moved = service.advance(7200)
        assert 7_199_990 <= moved.now - moved.wall < 7_300_000
        service.close()
        service = open_service()
        found = service.clock()
        assert 7_190_000 <= found.now - found.wall < 7_300_000
        assert 60.0 == service.set_scale(60).scale

    @pytest.mark.parametrize("kept", [True, False])
    def test_set_back(self, kept: bool, open_service: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """A time of day that was put back an hour makes nothing wait an hour more, before or after a restart."""
        service = open_service()
        service.apps.put("shop", settings())
        (delivery,) = service.intake.accept("shop", [LOGIN], delay_seconds=60).deliveries
        before, due_at = service.clock().now, service.delivery(delivery).due_at
        true = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: true() - 3_600_000_000_000)
        assert 0 <= service.clock().now - before < 600_000
        if not kept:
            # As after `kill -9`: what was accepted last says how late it was.
            monkeypatch.setattr(service, "_save_clock", lambda **_: None)
        service.close()
        service = open_service()
        found = service.clock()
        assert found.now >= due_at - 60_000
        assert 3_500_000 < found.now - found.wall < 4_200_000

    @pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e300])
    def test_refused(self, value: float, service: Service) -> None:
        """What no clock can do."""
        with pytest.raises(Invalid):
            service.advance(value)
        with pytest.raises(Invalid):
            service.set_scale(value)

    def test_signed_with_the_true_time(self, service: Service) -> None:
        """A receiver that checks freshness accepts it, however far the clock is ahead."""
        with peers.receiver("tencent", "1400000001", SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url, "tencent", app_key="1400000001"))
            service.advance(86_400)
            service.intake.accept("shop", [NewEvent("tencent.c2c-after-send")])
            assert {"acked": 1} == until(lambda: states(service), {"acked": 1})
        assert 0 == receiver.refused


class TestRuns:
    """Traffic runs accept stories at a rate, and tell how far they are."""

    def test_finished(self, service: Service) -> None:
        """Everything is accepted and delivered, and counted."""
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url))
            started = service.runs.start("shop", rate=200, duration=0.5, seed=7)
            assert ("running", 100, 500) == (started.status, started.total, started.ends_at - started.started_at)
            ended = until(
                lambda: service.runs.get(started.id) if service.runs.get(started.id).states["acked"] == 100 else None
            )
        assert ended is not None
        assert ("finished", 100, None) == (ended.status, ended.accepted, ended.error)
        assert {"waiting": 0, "acked": 100, "declined": 0, "dropped": 0, "parked": 0} == ended.states
        assert 100 == len(set(receiver.accepted))
        assert [ended] == service.runs.list()

    def test_batches(self, service: Service) -> None:
        """RongCloud's deliveries carry several events."""
        with peers.receiver("rongcloud", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url, "rongcloud"))
            run = service.runs.start("shop", rate=500, duration=0.1)
            assert 50 == until(lambda: service.runs.get(run.id).states["acked"], 50)
        assert any(len(json.loads(body)) > 1 for body in receiver.accepted)

    def test_faults(self, service: Service) -> None:
        """Every=N goes by the place in the whole stream, and each delivery counts once, however often it is sent."""
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url))
            run = service.runs.start("shop", rate=20, duration=1.5, faults=["duplicate:every=10"])
            assert 30 == until(lambda: service.runs.get(run.id).states["acked"], 30)
            assert 33 == until(lambda: len(receiver.accepted), 33)
        assert "finished" == until(lambda: service.runs.get(run.id).status, "finished")

    def test_stopped(self, service: Service) -> None:
        """Nothing more is accepted; what was accepted stays."""
        service.apps.put("shop", settings())
        run = service.runs.start("shop", rate=10, duration=3600)
        assert until(lambda: service.runs.get(run.id).accepted)
        stopped = service.runs.stop(run.id)
        assert "stopped" == stopped.status
        assert stopped.accepted == sum(states(service).values())
        assert stopped.ended_at is not None
        assert "stopped" == service.runs.stop(run.id).status

    def test_app_removed(self, service: Service) -> None:
        """The run fails, and says why."""
        service.apps.put("shop", settings())
        run = service.runs.start("shop", rate=10, duration=3600)
        service.apps.remove("shop")
        assert "failed" == until(lambda: service.runs.get(run.id).status, "failed")
        assert "there is no app 'shop'" in str(service.runs.get(run.id).error)

    def test_too_many(self, service: Service) -> None:
        """Ten at once."""
        service.apps.put("shop", settings())
        runs = [service.runs.start("shop", rate=1, duration=3600) for _ in range(10)]
        with pytest.raises(Conflict, match="10 runs are under way"):
            service.runs.start("shop", rate=1, duration=3600)
        service.runs.stop(runs[0].id)
        assert service.runs.start("shop", rate=1, duration=3600)

    def test_while_stopping(self, service: Service) -> None:
        """None begins any more."""
        service.apps.put("shop", settings())
        service.close()
        with pytest.raises(Unavailable, match="the server is stopping"):
            service.runs.start("shop", rate=1, duration=1)

    def test_history_is_bounded(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        """The oldest that ended are forgotten."""
        monkeypatch.setattr("im_callback.provider_mock.server.runs.REMEMBERED", 3)
        service.apps.put("shop", settings())
        ids = [service.runs.stop(service.runs.start("shop", rate=1, duration=9).id).id for _ in range(5)]
        assert list(reversed(ids[-3:])) == [one.id for one in service.runs.list()]
        with pytest.raises(NotFound, match=f"there is no traffic run {ids[0]}"):
            service.runs.get(ids[0])

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"rate": 0}, "/rate"),
            ({"rate": 1e9}, "/rate"),
            ({"duration": float("inf")}, "/duration"),
            ({"faults": ["nix"]}, "/faults/0"),
        ],
    )
    def test_refused(self, arguments: dict[str, Any], field: str, service: Service) -> None:
        """What cannot be done is named."""
        service.apps.put("shop", settings())
        with pytest.raises(Invalid) as caught:
            service.runs.start("shop", **{"rate": 1, "duration": 1, **arguments})
        assert [field] == [one.field for one in caught.value.problems]


class TestHealth:
    """How it goes can be asked."""

    def test_ready(self, open_service: Open) -> None:
        """While it accepts and delivers."""
        service = open_service()
        assert service.readiness().ready
        service.close()
        assert ("the server is stopping",) == tuple(service.readiness().reasons)

    def test_engine_fails(
        self, open_service: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An engine that ends with an error is replaced, and everything goes on."""
        run, failures = Engine.run, iter([RuntimeError("a defect")])
        failed = threading.Event()

        def fails_once(self: Engine, **options: Any) -> None:
            if error := next(failures, None):
                failed.set()
                raise error
            run(self, **options)

        monkeypatch.setattr("im_callback.provider_mock.server.delivering.AGAIN_SECONDS", 0.1)
        monkeypatch.setattr(Engine, "run", fails_once)
        service = open_service()
        assert failed.wait(30)
        assert until(lambda: service.readiness().ready)
        with peers.receiver("commsease", KEY, SECRET) as receiver:
            service.apps.put("shop", settings(receiver.url))
            service.intake.accept("shop", [LOGIN])
            assert {"acked": 1} == until(lambda: states(service), {"acked": 1})
        assert "the engine has ended, and is started again" in caplog.messages

    def test_engine_started_again(self, service: Service) -> None:
        """It gives other nonces than the one before."""

        def start_again() -> None:
            delivering = service._delivering
            before = delivering._engine
            before.stop()
            assert until(lambda: delivering._engine is not before)

        with peers.peer(REFUSED) as receiver:
            service.apps.put("rooms", settings(receiver.url, "rongcloud"))
            for _ in range(2):
                service.intake.accept("rooms", [NewEvent("rongcloud.chatroom-kv")] * 3)
                assert {"dropped"} == until(lambda: set(states(service, "rooms")), {"dropped"})
                start_again()
        nonces = [re.search(rb"nonce=(\d+)", one) for one in receiver.requests]
        assert 6 == len({found[1] for found in nonces if found})

    def test_old_deliveries_go(self, open_service: Open) -> None:
        """Acked and dropped ones, not those that wait or are parked."""
        service = open_service()
        with peers.peer(REFUSED) as broken:
            service.apps.put("shop", settings(broken.url))
            service.intake.accept("shop", [LOGIN])
            assert {"dropped": 1} == until(lambda: states(service), {"dropped": 1})
        service.intake.accept("shop", [LOGIN], delay_seconds=10**8)
        service.advance(3 * 86400)
        service.close()
        service = open_service(keep_days=2)
        assert {"waiting": 1} == until(lambda: states(service), {"waiting": 1})

    def test_close_lets_land(self, open_service: Open) -> None:
        """What is in flight is answered and recorded before the end."""
        arrived, answer = threading.Event(), threading.Event()

        def slow(connection: socket.socket, data: bytes) -> None:
            arrived.set()
            answer.wait(30)
            peers.OK(connection, data)

        service = open_service()
        with peers.peer(slow) as receiver:
            service.apps.put("shop", settings(receiver.url))
            (delivery,) = service.intake.accept("shop", [LOGIN]).deliveries
            assert arrived.wait(30)
            closing = threading.Thread(target=service.close)
            closing.start()
            answer.set()
            closing.join()
        service = open_service()
        assert "acked" == service.delivery(delivery).state

    def test_metrics(self, service: Service) -> None:
        """Attempts by outcome, times, states, retries, in Prometheus' text format."""
        with peers.receiver("commsease", KEY, SECRET) as receiver, peers.peer(REFUSED) as broken:
            service.apps.put("shop", settings(receiver.url))
            options = {"retries": 2, "spacing_seconds": 0}
            service.apps.put("broken", settings(broken.url, policy="reliable", options=options))
            service.intake.accept("shop", [LOGIN] * 4)
            service.intake.accept("broken", [LOGIN])
            assert {"acked": 4} == until(lambda: states(service), {"acked": 4})
            assert {"parked": 1} == until(lambda: states(service, "broken"), {"parked": 1})
        text, content_type = service.metrics.render()
        assert content_type.startswith("text/plain")
        found = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
        expected = {
            'provider_mock_attempts_total{app="shop",outcome="acked"}': "4.0",
            'provider_mock_attempts_total{app="shop",outcome="timed_out"}': "0.0",
            'provider_mock_attempts_total{app="broken",outcome="refused"}': "3.0",
            'provider_mock_retries_total{app="broken",kind="retry"}': "2.0",
            'provider_mock_retries_total{app="broken",kind="fault"}': "0.0",
            'provider_mock_attempts_total{app="shop",outcome="not_judged"}': "0.0",
            'provider_mock_accepted_total{app="shop"}': "4.0",
            'provider_mock_ack_seconds_count{app="shop"}': "4.0",
            'provider_mock_ack_seconds_bucket{app="shop",le="+Inf"}': "4.0",
            'provider_mock_in_flight{app="shop"}': "0.0",
            "provider_mock_ready": "1.0",
        }
        assert expected == {name: found.get(name) for name in expected}
        assert {"acked": 4} == {state: n for state, n in service.counts()["shop"].items() if n}

    def test_problem_reads_well(self) -> None:
        """Field, what is wrong, and the fix."""
        assert "/rate: 0 is not possible; give more" == str(Objection("/rate", "0 is not possible", "give more"))
        assert "it is wrong; mend it" == str(Objection("", "it is wrong", "mend it"))

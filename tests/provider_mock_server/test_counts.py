"""The counts of the API, the metrics, the ledger and an independent receiver are the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from im_callback.provider_mock.delivery.disturbance import Disturbance
from im_callback.provider_mock.delivery.ledger import LedgerUnavailable, NewDelivery
from im_callback.provider_mock.server.models import NewEvent
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service

from benchmarks.soak import soak
from tests.provider_mock import peers
from tests.provider_mock_server.served import served
from tests.provider_mock_server.waiting import until

LOGIN = NewEvent("commsease.login")


def test_everybody_counts_the_same() -> None:
    """With retries, refusals, time-outs, faults, repeated calls, redeliveries and a traffic run."""
    account = soak(3, told=lambda _: None)
    assert [] == account.wrong
    assert all(account.accepted.values())


class TestRetries:
    """`retries_total` says what repeated a delivery."""

    def test_kinds(self, tmp_path: Path) -> None:
        """A fault, the policy, a redelivery; each attempt beyond the first is one of them."""
        refusals = iter([b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"] * 2)

        def script(connection: peers.socket.socket, data: bytes) -> None:
            connection.sendall(next(refusals, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))

        with served(tmp_path, script=script) as server:
            options = {"retries": 5, "spacing_seconds": 0}
            settings = AppSettings("commsease", "http://127.0.0.1:9/", policy="reliable", options=options)
            server.service.apps.put("shop", settings)
            (retried,) = server.accept("shop", "commsease.login")
            server.settled([retried], "acked")
            (doubled,) = server.accept("shop", "commsease.login", faults=["duplicate:times=3"])
            assert 4 == until(lambda: server.service.delivery(doubled).attempts, 4)
            assert 2 == server.service.redeliver([retried, doubled])
            assert 5 == until(lambda: server.service.delivery(doubled).attempts, 5)
            assert 4 == until(lambda: server.service.delivery(retried).attempts, 4)
            server.settled([retried, doubled], "acked")
            text = server.service.metrics.render()[0].decode()
            assert 9 == len(server.receiver.requests)
        found = {
            kind: f'provider_mock_retries_total{{app="shop",kind="{kind}"}} {number}.0' in text
            for kind, number in {"retry": 2, "fault": 3, "redelivery": 2}.items()
        }
        assert {"retry": True, "fault": True, "redelivery": True} == found

    def test_what_was_not_sent(self, tmp_path: Path) -> None:
        """An attempt that we could not make is counted as what it is, and was no request."""
        with served(tmp_path) as server:
            server.service.apps.put("shop", AppSettings("commsease", "http://127.0.0.1:9/"))
            plan = Disturbance(("no-such-fault",), 1, 0, 1).dump()
            server.service._ledger.accept([NewDelivery("shop", "commsease.login", ({"a": 1},), 0, plan=plan)])
            server.service._delivering.wake()
            assert "dropped" == until(lambda: server.service.delivery(1).state, "dropped")
            assert "not sent" == server.service.delivery(1).last_outcome
            (shown,) = server.ask("GET", "/deliveries/1/attempts").json()["items"]
            assert (None, None) == (shown["request"], shown["answer"])
            text = server.service.metrics.render()[0].decode()
            assert 'provider_mock_attempts_total{app="shop",outcome="not_sent"} 1.0' in text
            assert [] == server.receiver.requests


class TestRuns:
    """A traffic run's numbers are true also when the ledger takes nothing for a while."""

    @pytest.mark.parametrize("stored", [True, False])
    def test_hanging_ledger(self, stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The run says why it waits, goes on, and has accepted what is on record, once."""
        with served(tmp_path) as server:
            service: Service = server.service
            service.apps.put("shop", AppSettings("commsease", "http://127.0.0.1:9/"))
            take, flush = service._ledger.accept, service._ledger.flush
            away = LedgerUnavailable("here", "does not answer", "wait", stored=None)

            def hangs(new: object, **more: object) -> list[int]:
                ids = take(new, **more) if stored else [10**6]  # type: ignore[arg-type]
                monkeypatch.setattr(service._ledger, "accept", take)
                away.ids = tuple(ids)
                raise away

            def hangs_too() -> None:
                raise away

            monkeypatch.setattr(service._ledger, "accept", hangs)
            monkeypatch.setattr(service._ledger, "flush", hangs_too)
            run = service.runs.start("shop", rate=100, duration=0.5)
            assert until(lambda: service.runs.get(run.id).error)
            assert (0, "running") == (service.runs.get(run.id).accepted, service.runs.get(run.id).status)
            monkeypatch.setattr(service._ledger, "flush", flush)
            assert "finished" == until(lambda: service.runs.get(run.id).status, "finished")
            assert 50 == until(lambda: service.runs.get(run.id).states["acked"], 50)
            ended = service.runs.get(run.id)
            assert (50, None) == (ended.accepted, ended.error)
            assert ended.ends_at > run.ends_at
            assert 50 == len(service.deliveries(limit=1000)) == service.intake.totals()["shop"]
            assert 50 == until(lambda: len(server.receiver.requests), 50)

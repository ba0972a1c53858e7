"""Deliveries of a provider from outside: by hand, as traffic, as load, and through a server that retries."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from im_callback.provider_mock.contract import Event, Provider
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import ManualClock
from im_callback.provider_mock.delivery.disturbance import disturbed
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.ledger import Ledger, NewDelivery

from tests.plugin_provider.installed import environment, ran
from tests.plugin_provider.receivers import Hooks
from tests.provider_mock import peers
from tests.provider_mock_server.running import running
from tests.provider_mock_server.waiting import until
from tests.receivers.serving import serve

START = 1_767_225_600_000
SECONDS = 60


def answer(status: str, *headers: str) -> peers.Script:
    """Return the script of an answer without a body."""
    return peers.answers("\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *headers, "", ""]).encode())


def in_turn(*scripts: peers.Script) -> peers.Script:
    """Follow one script after the other, the last for all that come then."""
    left = list(scripts)

    def script(connection: socket.socket, data: bytes) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(connection, data)

    return script


def ids(received: list[bytes]) -> list[str]:
    """Return the webhook-id of each request."""
    return [re.findall(rb"(?im)^webhook-id: (\S+)", one)[0].decode() for one in received]


class TestCommands:
    """`provider-mock`, where the package is installed."""

    @pytest.fixture
    def receiver(self) -> Iterator[tuple[Hooks, str]]:
        """A good receiver and its address."""
        found = Hooks()
        with serve(found) as url:
            yield found, url

    def test_send(self, site: Path, receiver: tuple[Hooks, str]) -> None:
        """Signed, acknowledged with 204, and recorded once for two requests."""
        hooks, url = receiver
        done = ran(
            site, "send", "acme.message-created", "--to", url, "--fault", "duplicate", "--set", "/data/text=hello"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert ["hello"] == [one["text"] for one in hooks.effects()]
        assert 2 == len([line for line in done.stdout.splitlines() if '"status": 204' in line])

    def test_own_fault(self, site: Path, receiver: tuple[Hooks, str]) -> None:
        """A clock that falls behind makes requests too old in the end; the receiver owes a refusal then."""
        hooks, url = receiver
        done = ran(
            site, "send", "acme.message-created", "--to", url, "--count", "3", "--fault", "clock-drift:seconds=140"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert 2 == len(hooks.effects())
        assert "clock-drift" in ran(site, "faults").stdout

    def test_two_secrets(self, site: Path, receiver: tuple[Hooks, str]) -> None:
        """While a secret is changed, the receiver that knows only the old one goes on."""
        hooks, url = receiver
        secrets = "whsec_bmV3LXNlY3JldA== whsec_dGVzdC1zZWNyZXQtb2YtMjQtYnl0ZXM="
        done = ran(site, "send", "acme.message-created", "--to", url, IM_APP_SECRET=secrets)
        assert done.returncode == 0, done.stdout + done.stderr
        assert 1 == len(hooks.effects())

    def test_traffic(self, site: Path, receiver: tuple[Hooks, str]) -> None:
        """Its own story, all of it acknowledged."""
        hooks, url = receiver
        options = ("--provider", "acme", "--feed", "events", "--rate", "40", "--duration", "2", "--seed", "3")
        done = ran(site, "traffic", "--to", url, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        whole = json.loads(done.stdout.splitlines()[-1])
        assert whole["acked"] == 80, whole
        assert {"presence.changed", "message.created"} >= {one["type"] for one in hooks.effects()}
        assert hooks.effects()

    def test_load(self, site: Path, receiver: tuple[Hooks, str]) -> None:
        """Through our own engine, which needs nothing more."""
        hooks, url = receiver
        options = ("--engine", "--provider", "acme", "--duration", "1", "--rate", "50", "--users", "4")
        done = ran(site, "load", "--to", url, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert hooks.known

    def test_contract(self, site: Path, tmp_path: Path) -> None:
        """Events are listed, made up, found valid, signed and verified."""
        listed = [json.loads(line) for line in ran(site, "events", "acme").stdout.splitlines()]
        assert [("acme.message-created", "events"), ("acme.presence-changed", "events")] == [
            (one["name"], one["feed"]) for one in listed
        ]
        assert {one["name"] for one in listed} <= {
            json.loads(line)["name"] for line in ran(site, "events").stdout.splitlines()
        }
        for one in listed:
            made = ran(site, "sample", one["name"], "--generate", "--count", "5", "--seed", "1").stdout
            valid = ran(site, "validate", "acme", stdin=made)
            assert valid.returncode == 0, valid.stdout + valid.stderr
            assert 5 == valid.stdout.count(one["name"])
        body = made.splitlines()[0]
        (tmp_path / "body.json").write_text(body, encoding="utf-8")
        request = json.loads(ran(site, "sign", "acme", stdin=body).stdout)
        headers = [f"--header={name}: {value}" for name, value in request["headers"].items()]
        assert 0 == ran(site, "verify", "acme", *headers, stdin=body).returncode
        assert 1 == ran(site, "verify", "acme", *headers, stdin=body.replace('"', '" ', 1)).returncode
        wrong = ran(site, "validate", "acme", stdin=body.replace('"version": ', '"version": -'))
        assert (1, "/data/version" in wrong.stdout) == (wrong.returncode, True), wrong.stdout


class TestSchedule:
    """The schedule on a clock that jumps to whatever is waited for."""

    @pytest.mark.parametrize(
        ("script", "state", "expected"),
        [
            (answer("500 Oops"), "dropped", [0, 5, 305, 2105]),
            (in_turn(answer("503 Busy", "Retry-After: 60"), answer("204 None")), "acked", [0, 60]),
            (in_turn(answer("429 Slowly", "Retry-After: 2"), answer("201 Made")), "acked", [0, 5]),
            (answer("410 Gone"), "dropped", [0]),
            (in_turn(answer("500 Oops"), answer("410 Gone")), "dropped", [0, 5]),
        ],
    )
    def test_attempts(
        self, script: peers.Script, state: str, expected: list[float], acme: Provider, tmp_path: Path
    ) -> None:
        """They come when they should, all with one id."""
        clock = ManualClock(START)
        (feed,) = acme.feeds
        one = next(one for one in acme.catalogue if one.examples)
        with Ledger(str(tmp_path / "ledger.db"), clock=clock.now) as ledger, peers.peer(script) as server:
            (delivery,) = ledger.accept([NewDelivery("app", one.name, (one.examples[0],), START)])
            app = App("app", acme, server.url, acme.defaults, feed.policies["documented"])
            Engine(ledger, clock, apps=[app]).run(until_idle=True)
            ledger.flush()
            record = ledger.delivery(delivery)
            made = ledger.attempts(delivery, limit=10)
        assert record is not None
        assert state == record.state
        assert expected == [(attempt.sent_at - START) / 1000 for attempt in made]
        assert [f"msg_app-{delivery}"] * len(expected) == ids(server.requests)

    @pytest.mark.parametrize(
        ("last", "state", "expected"),
        [
            (answer("410 Gone"), "dropped", [0, 0]),
            (answer("503 Busy", "Retry-After: 900"), "acked", [0, 0, 900]),
        ],
    )
    def test_after_a_fault(
        self, last: peers.Script, state: str, expected: list[float], acme: Provider, tmp_path: Path
    ) -> None:
        """What the last request of a disturbed delivery is answered counts as any answer does; all have one id."""
        clock = ManualClock(START)
        (feed,) = acme.feeds
        one = next(one for one in acme.catalogue if one.examples)
        event = Event(one.name, dict(one.examples[0]))
        script = in_turn(answer("500 Oops"), last, answer("204 None"))
        (plan,) = disturbed(["duplicate"], acme, acme.defaults, [[event]], 1)
        with Ledger(str(tmp_path / "ledger.db"), clock=clock.now) as ledger, peers.peer(script) as server:
            (delivery,) = ledger.accept([NewDelivery("app", one.name, (event.payload,), START, plan=plan)])
            app = App("app", acme, server.url, acme.defaults, feed.policies["documented"])
            Engine(ledger, clock, apps=[app]).run(until_idle=True)
            ledger.flush()
            record = ledger.delivery(delivery)
            made = ledger.attempts(delivery, limit=10)
        assert record is not None
        assert state == record.state
        assert expected == [(attempt.sent_at - START) / 1000 for attempt in made]
        assert 1 == len(set(ids(server.requests)))


class TestServer:
    """`provider-mock serve`, a process of its own."""

    def test_serve(self, site: Path, tmp_path: Path) -> None:
        """An application of this provider is retried once the clock is moved on; 410 drops; the ids stay."""
        script = in_turn(answer("503 Busy", "Retry-After: 3600"), answer("204 None"), answer("410 Gone"))
        options = ("--database", str(tmp_path / "mock.db"))
        with (
            peers.peer(script) as receiver,
            running(*options, env=environment(site)) as server,
            requests.Session() as asks,
        ):
            asks.trust_env = False

            def call(method: str, path: str, **body: Any) -> Any:
                done = asks.request(method, f"{server.url}/api/v1{path}", json=body or None, timeout=SECONDS)
                assert done.status_code < 300, done.text
                return done.json()

            def shown(delivery: int) -> tuple[str, int]:
                found = call("GET", f"/deliveries/{delivery}")
                return found["state"], found["attempts"]

            assert "acme" in json.dumps(call("GET", "/providers"))
            call("POST", "/apps", name="hooks", provider="acme", endpoint=receiver.url)
            (first,) = call("POST", "/apps/hooks/events", events=[{"type": "acme.message-created"}])["deliveries"]
            assert ("waiting", 1) == until(lambda: shown(first), ("waiting", 1))
            found = call("GET", f"/deliveries/{first}")
            (attempt,) = call("GET", f"/deliveries/{first}/attempts")["items"]
            assert 503 == attempt["status"]
            assert found["due_at"] - attempt["sent_at"] >= 3_600_000
            call("POST", "/clock/advance", seconds=3600)
            assert ("acked", 2) == until(lambda: shown(first), ("acked", 2))
            (second,) = call("POST", "/apps/hooks/events", events=[{"type": "acme.presence-changed"}])["deliveries"]
            assert ("dropped", 1) == until(lambda: shown(second), ("dropped", 1))
            assert 0 == server.end()
        given = ids(receiver.requests)
        assert 3 == len(given)
        assert given[0] == given[1] != given[2]

"""An app is emptied, so that a test starts with nothing."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from im_callback.provider_mock.server import delivering

from tests.provider_mock.peers import answers
from tests.provider_mock_server.served import Served, served
from tests.provider_mock_server.waiting import until

LOGIN = "commsease.login"
APP = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/cb"}
REFUSED = answers(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
HOUR = 3600


def listed(server: Served, app: str) -> list[dict[str, object]]:
    """Return an app's deliveries."""
    return server.ask("GET", f"/deliveries?app={app}").json()["items"]


def test_empty(tmp_path: Path) -> None:
    """What waits, is parked, was attempted or disturbed is gone, of this app alone; its settings stay."""
    with served(tmp_path, script=REFUSED) as server:
        settings = {**APP, "policy": "reliable", "options": {"retries": 0}, "faults": ["duplicate:every=2"]}
        for name in ("here", "there"):
            assert 201 == server.ask("PUT", f"/apps/{name}", settings).status_code
        body = {"events": [{"type": LOGIN}], "delay_seconds": HOUR}
        key = {"Idempotency-Key": "k"}
        waiting = server.ask("POST", "/apps/here/events", body, headers=key).json()["deliveries"]
        parked = server.accept("here", LOGIN)
        others = server.accept("there", LOGIN)
        server.settled([*parked, *others], "parked")
        before = server.ask("GET", "/apps/here").json()
        reset = server.ask("POST", "/apps/here/reset")
        assert (200, {"count": 2}) == (reset.status_code, reset.json())
        assert [] == listed(server, "here")
        assert {"items": [], "next": None, "parked": 0} == server.ask("GET", "/apps/here/backlog").json()
        assert 404 == server.ask("GET", f"/deliveries/{parked[0]}/attempts").status_code
        assert before == server.ask("GET", "/apps/here").json()
        assert others == [one["id"] for one in listed(server, "there")]
        again = server.ask("POST", "/apps/here/events", body, headers=key).json()
        assert not again["repeated"]
        assert max(*parked, *others) < again["deliveries"][0] != waiting[0]
        # Standing faults count from the beginning: the first one is not the one that is disturbed.
        (one,) = server.accept("here", LOGIN)
        server.settled([one], "parked")
        assert {"count": 2} == server.ask("POST", "/apps/here/reset").json()
        assert {"count": 0} == server.ask("POST", "/apps/here/reset").json()
        assert 404 == server.ask("POST", "/apps/nowhere/reset").status_code


def test_standing_faults_count_anew(tmp_path: Path) -> None:
    """The same calls after a reset are disturbed in the same way."""
    with served(tmp_path) as server:
        server.ask("PUT", "/apps/here", {**APP, "faults": ["duplicate:every=2"]})
        seen = []
        for _ in range(2):
            for _ in range(3):
                server.settled(server.accept("here", LOGIN), "acked")
            seen.append([one["attempts"] for one in listed(server, "here")])
            assert {"count": 3} == server.ask("POST", "/apps/here/reset").json()
        assert seen[0] == seen[1]
        assert 1 < len(set(seen[0]))


def test_runs_stop(tmp_path: Path) -> None:
    """Nothing comes after it."""
    with served(tmp_path) as server:
        server.ask("PUT", "/apps/here", APP)
        run = server.ask("POST", "/apps/here/traffic", {"rate": 50, "duration": HOUR}).json()["id"]
        until(lambda: listed(server, "here"))
        assert server.ask("POST", "/apps/here/reset").json()["count"]
        assert "stopped" == server.ask("GET", f"/traffic-runs/{run}").json()["status"]
        assert [] == listed(server, "here")


def test_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While something is under way nothing is deleted, and the app goes on; when it has landed it is emptied."""
    monkeypatch.setattr(delivering, "REST_SECONDS", 0.05)
    held: list[socket.socket] = []

    def hold(connection: socket.socket, _: bytes) -> None:
        if not held:
            held.append(connection)
            connection.recv(1)
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with served(tmp_path, script=hold) as server:
        server.ask("PUT", "/apps/here", APP)
        (first,) = server.accept("here", LOGIN)
        until(lambda: held)
        refused = server.ask("POST", "/apps/here/reset")
        assert (503, True) == (refused.status_code, "Retry-After" in refused.headers)
        (second,) = server.accept("here", LOGIN)
        server.settled([second], "acked")
        assert [second, first] == [one["id"] for one in listed(server, "here")]
        held[0].shutdown(socket.SHUT_RDWR)
        server.settled([first], "dropped")
        assert {"count": 2} == server.ask("POST", "/apps/here/reset").json()

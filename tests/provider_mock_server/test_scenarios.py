"""Phases follow one another, each with its traffic and its faults; afterwards the app is as before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock.server.scenarios import Phase

from tests.provider_mock_server.served import Served, served
from tests.provider_mock_server.waiting import until

APP = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/cb"}
HOUR = 3600
OUTAGE = "refuse:retry=false"
NAMED = {"evening": (Phase("flood", 5, 4), Phase("quiet", HOUR))}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose clock runs ten times as fast."""
    with served(tmp_path_factory.mktemp("server"), scale=10.0, scenarios=NAMED) as running:
        yield running


@pytest.fixture
def app(server: Served, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an app of this test's own, with a fault of its own."""
    name = f"app-{abs(hash(request.node.nodeid))}"
    assert 201 == server.ask("POST", "/apps", {"name": name, **APP, "faults": ["header-case"]}).status_code
    yield name
    server.ask("DELETE", f"/apps/{name}")


def begun(server: Served, app: str, *phases: dict[str, Any], **more: Any) -> Any:
    """Return a scenario that has begun."""
    body = {"phases": list(phases), **more} if phases else more
    response = server.ask("POST", f"/apps/{app}/scenarios", body)
    assert 202 == response.status_code, response.text
    assert f"/api/v1/scenarios/{response.json()['id']}" == response.headers["Location"]
    return response.json()


def ended(server: Served, scenario: Any, status: str = "finished") -> Any:
    """Return a scenario as it ended."""
    found = until(
        lambda: (one := server.ask("GET", f"/scenarios/{scenario['id']}").json())["status"] != "running" and one
    )
    assert (status, None) == (found["status"], found["error"])
    return found


def faults(server: Served, app: str) -> list[str]:
    """Return the faults that stand."""
    return server.ask("GET", f"/apps/{app}").json()["faults"]


def test_phases(server: Served, app: str) -> None:
    """An outage between calm times: what is accepted in it does not arrive, and nothing else is harmed."""
    calm, outage = (
        {"name": "calm", "seconds": 4, "rate": 5},
        {"name": "outage", "seconds": 4, "rate": 5, "faults": [OUTAGE]},
    )
    scenario = begun(server, app, calm, outage, {"name": "pause", "seconds": 1}, calm, seed=7)
    assert ("running", 7, None) == (scenario["status"], scenario["seed"], scenario["scenario"])
    found = ended(server, scenario)
    times = [(one["began_at"], one["ended_at"]) for one in found["phases"]]
    assert all(end - begin >= one["seconds"] * 1000 for (begin, end), one in zip(times, found["phases"], strict=True))
    assert sorted(times) == times
    runs = [one["run"] for one in found["phases"]]
    assert None is runs[2]
    assert [20, 20, 20] == [server.ask("GET", f"/traffic-runs/{one}").json()["accepted"] for one in runs if one]
    states = until(lambda: count if not (count := states_of(server, app))["waiting"] else None)
    assert {"acked": 40, "dropped": 20} == states
    assert ["header-case"] == faults(server, app)


def states_of(server: Served, app: str) -> Counter[str]:
    """Count an app's deliveries by state."""
    return Counter(one["state"] for one in server.ask("GET", f"/deliveries?app={app}&limit=1000").json()["items"])


def test_faults_stand_meanwhile(server: Served, app: str) -> None:
    """They disturb everything that is accepted, come after the app's own, and are not kept."""
    scenario = begun(server, app, {"name": "outage", "seconds": HOUR, "faults": [OUTAGE]})
    until(lambda: faults(server, app), ["header-case", OUTAGE])
    server.settled(server.accept(app, "commsease.login"), "dropped")
    (stored,) = (one for one in server.service._ledger.apps() if one.name == app)
    assert OUTAGE not in str(stored)
    conflict = server.ask("POST", f"/apps/{app}/scenarios", {"phases": [{"name": "x", "seconds": 1}]})
    assert (409, True) == (conflict.status_code, "runs" in conflict.text)
    # What somebody sets meanwhile is what stands afterwards.
    server.ask("PUT", f"/apps/{app}/faults", {"faults": ["chunked"]})
    server.ask("POST", f"/scenarios/{scenario['id']}/stop")
    ended(server, scenario, "stopped")
    assert ["chunked"] == faults(server, app)


def test_clock_moved_on(server: Served, app: str) -> None:
    """An hour is over as soon as the clock says so."""
    scenario = begun(server, app, scenario="evening")
    assert ("evening", ["flood", "quiet"]) == (scenario["scenario"], [one["name"] for one in scenario["phases"]])
    until(lambda: server.ask("GET", f"/scenarios/{scenario['id']}").json()["phases"][1]["began_at"])
    server.ask("POST", "/clock/advance", {"seconds": HOUR})
    ended(server, scenario)
    assert scenario["id"] == server.ask("GET", "/scenarios").json()["items"][0]["id"]
    assert 20 == sum(states_of(server, app).values())


def test_reset_stops(server: Served, app: str) -> None:
    """An app that is emptied has no scenario."""
    scenario = begun(server, app, {"name": "flood", "seconds": HOUR, "rate": 10})
    until(lambda: states_of(server, app))
    assert 200 == server.ask("POST", f"/apps/{app}/reset").status_code
    ended(server, scenario, "stopped")
    assert not states_of(server, app)


def test_app_gone(server: Served, app: str) -> None:
    """A scenario whose app is removed ends and says why."""
    scenario = begun(server, app, {"name": "flood", "seconds": HOUR, "rate": 10}, {"name": "next", "seconds": 1})
    server.ask("DELETE", f"/apps/{app}")
    found = until(
        lambda: (one := server.ask("GET", f"/scenarios/{scenario['id']}").json())["status"] != "running" and one
    )
    assert ("failed", True) == (found["status"], app in found["error"])


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"scenario": "nonsense"}, "/scenario"),
        ({}, ""),
        ({"scenario": "evening", "phases": [{"name": "x", "seconds": 1}]}, ""),
        ({"phases": [{"name": "x", "seconds": 1, "faults": ["duplicate:tims=2"]}]}, "/phases/0/faults/0"),
        ({"phases": [{"name": "x", "seconds": 1, "rate": 9000}]}, "/phases/0/rate"),
    ],
)
def test_refused(server: Served, app: str, body: Any, place: str) -> None:
    """What cannot be played is told by place."""
    response = server.ask("POST", f"/apps/{app}/scenarios", body)
    assert (409, [place]) == (response.status_code, [one["field"] for one in response.json()["errors"]])


def test_ends_with_the_server(tmp_path: Path) -> None:
    """A server that stops plays no further."""
    with served(tmp_path) as server:
        server.ask("PUT", "/apps/here", APP)
        begun(server, "here", {"name": "long", "seconds": HOUR, "rate": 5, "faults": [OUTAGE]})
        service = server.service
    assert ["stopped"] == [one.status for one in service.scenarios.list()]

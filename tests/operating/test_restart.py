"""What a restart keeps, and what it does not, is what the page says."""

from __future__ import annotations

from pathlib import Path

import requests

from tests.operating.asking import ask
from tests.provider_mock_server.running import Running, running
from tests.provider_mock_server.waiting import until

DEAD = "http://127.0.0.1:9/"
HOUR = 3600
FAULTS = ["duplicate:every=1000"]


def counted(server: Running) -> str:
    """Return how many attempts of the app its metrics count that could not reach the receiver."""
    lines = requests.get(f"{server.url}/metrics", timeout=30).text.splitlines()
    wanted = 'provider_mock_attempts_total{app="mine",outcome="unreachable"} '
    (found,) = [line.removeprefix(wanted) for line in lines if line.startswith(wanted)]
    return found


def test_restart(tmp_path: Path) -> None:
    """Deliveries, attempts, applications, their faults, what was switched off and the clock stay; the rest ends."""
    config = tmp_path / "mock.toml"
    config.write_text(f'[apps.fixed]\nprovider = "commsease"\nendpoint = "{DEAD}"\n', encoding="utf-8")
    options = ("--config", str(config), "--database", str(tmp_path / "mock.db"))
    app = {"provider": "commsease", "endpoint": DEAD, "policy": "reliable", "give_up_hours": 1, "faults": FAULTS}
    with running(*options) as server:
        ask(server, "PUT", "/apps/mine", app)
        ask(server, "PUT", "/apps/fixed/faults", {"faults": FAULTS})
        ask(server, "POST", "/apps/fixed/traffic", {"rate": 1, "duration": HOUR})
        event = {"events": [{"type": "commsease.login"}]}
        (one,) = ask(server, "POST", "/apps/mine/events", event)["deliveries"]
        assert until(lambda: ask(server, "GET", f"/deliveries/{one}/attempts")["items"])
        ask(server, "POST", "/clock/advance", {"seconds": 2 * HOUR})
        since = until(lambda: ask(server, "GET", "/apps/mine")["switched_off_at"])
        assert since
        ask(server, "PUT", "/clock", {"scale": 3})
        attempts = ask(server, "GET", f"/deliveries/{one}/attempts")["items"]
        assert float(counted(server)) == len(attempts) > 1
        assert 0 == server.end()
    with running(*options) as server:
        assert attempts == ask(server, "GET", f"/deliveries/{one}/attempts")["items"]
        assert "waiting" == ask(server, "GET", f"/deliveries/{one}")["state"]
        mine, fixed = (ask(server, "GET", f"/apps/{name}") for name in ("mine", "fixed"))
        assert (FAULTS, since) == (mine["faults"], mine["switched_off_at"])
        clock = ask(server, "GET", "/clock")
        assert clock["now"] - clock["wall"] >= 2 * HOUR * 1000
        assert ([], 1.0, "0.0") == (fixed["faults"], clock["scale"], counted(server))
        assert [] == ask(server, "GET", "/traffic-runs")["items"]
        ask(server, "POST", "/apps/mine/resume")
        ask(server, "POST", "/clock/advance", {"seconds": HOUR})
        assert until(lambda: len(ask(server, "GET", f"/deliveries/{one}/attempts")["items"]) > len(attempts))

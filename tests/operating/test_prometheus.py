"""A Prometheus that reads a server by our files: each panel has something to show, and no alert is in error."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests
from im_callback.conformance.around.command import free_port

from tests.operating.exposed import FOLDER, PANELS, RULES
from tests.programs import needed, spawned
from tests.provider_mock_server.served import TOKEN, Served
from tests.provider_mock_server.waiting import until

OFTEN = "global: {scrape_interval: 250ms, evaluation_interval: 250ms}\n"
SECONDS = 30


class Prometheus:
    """A running one, at this address."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, **parameters: str) -> Any:
        """Return what it answers; nothing while it does not."""
        try:
            answer = requests.get(f"{self._url}/api/v1/{path}", params=parameters, timeout=SECONDS)
        except requests.ConnectionError:
            return None
        if answer.status_code == 503:
            return None
        assert "success" == answer.json()["status"], answer.text
        return answer.json()["data"]

    def result(self, query: str) -> list[dict[str, Any]]:
        """Return the series of a query, now."""
        found = self.ask("query", query=query)
        return found["result"] if found else []


@pytest.fixture(scope="module")
def prometheus(server: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has read the server at least twice."""
    needed("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    (folder / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    config = folder / "prometheus.yml"
    text = config.read_text(encoding="utf-8")
    config.write_text(OFTEN + text.replace("127.0.0.1:8600", server.url.removeprefix("http://")), encoding="utf-8")
    port = free_port()
    command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error"]
    with spawned([*command, f"--web.listen-address=127.0.0.1:{port}"], cwd=folder):
        one = Prometheus(f"http://127.0.0.1:{port}")
        assert until(lambda: one.result("count_over_time(provider_mock_ready[1m]) > 2"))
        yield one


def test_up(prometheus: Prometheus) -> None:
    """It reaches the server, with the token."""
    assert ["1"] == [one["value"][1] for one in prometheus.result('up{job="provider-mock"}')]


def test_panels(prometheus: Prometheus) -> None:
    """Each shows something, and its legend speaks of labels that are there."""
    for title, target in ((panel["title"], one) for panel in PANELS for one in panel["targets"]):
        query = re.sub("[$](instance|app)", ".*", target["expr"].replace("$__rate_interval", "1m"))
        found = until(partial(prometheus.result, query), patience=SECONDS)
        assert found, f"{title}: {query}"
        assert set() == set(re.findall(r"{{(\w+)}}", target["legendFormat"])) - found[0]["metric"].keys(), title


def test_alerts(prometheus: Prometheus) -> None:
    """All rules are evaluated, and none has anything to say of a server that is well."""

    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]

    assert until(lambda: {rule["health"] for rule in rules()}, {"ok"}, SECONDS) == {"ok"}
    assert {rule["alert"] for rule in RULES} == {rule["name"] for rule in rules()}
    assert [] == [rule["name"] for rule in rules() if rule["state"] == "firing"]

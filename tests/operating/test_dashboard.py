"""The dashboard for Grafana is one, and asks for metrics that there are."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from tests.operating.exposed import DASHBOARD, PANELS, queries, shown, unknown

KINDS = {"row", "stat", "state-timeline", "timeseries"}
WIDTH = 24
"""Columns of Grafana's grid."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def test_metrics(metrics: str) -> None:
    """Each metric, label and value that a panel asks for is one of a server."""
    assert set() == unknown(queries(), shown(metrics))


@pytest.mark.parametrize(
    "query",
    ["provider_mock_gone", 'provider_mock_paused{shop="a"}', 'provider_mock_attempts_total{outcome=~"acked|taken"}'],
)
def test_unknown(query: str, metrics: str) -> None:
    """A metric, a label or a value that is misspelled is found."""
    assert unknown([f"sum by (app) (rate({query}[5m])) > 0"], shown(metrics))


def test_variables() -> None:
    """The source of the data, the servers and the apps can be chosen, and every panel goes by them."""
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    assert ["datasource", "instance", "app"] == list(variables)
    assert ("datasource", "prometheus") == (variables["datasource"]["type"], variables["datasource"]["query"])
    assert all(variables[name]["datasource"] == SOURCE for name in ("instance", "app"))
    for query in queries():
        assert 'instance=~"$instance"' in query


def test_identity() -> None:
    """A new import replaces the one before, whatever Grafana holds."""
    assert "provider-mock" == DASHBOARD["uid"]
    assert "id" not in DASHBOARD


def test_ids() -> None:
    """No two panels share an id, or a title."""
    for key in ("id", "title"):
        values = [panel[key] for panel in DASHBOARD["panels"]]
        assert len(values) == len(set(values))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel(panel: dict[str, Any]) -> None:
    """Each says what it shows, and asks the source that was chosen."""
    assert panel["type"] in KINDS
    assert panel["description"].endswith(".")
    assert SOURCE == panel["datasource"]
    assert panel["targets"]
    assert [chr(65 + place) for place in range(len(panel["targets"]))] == [one["refId"] for one in panel["targets"]]
    for target in panel["targets"]:
        assert SOURCE == target["datasource"]
        assert target["expr"].count("(") == target["expr"].count(")")
        assert target["legendFormat"]


def test_places() -> None:
    """Panels keep to the grid and do not lie on each other."""
    places = [(panel["title"], panel["gridPos"]) for panel in DASHBOARD["panels"]]
    for title, one in places:
        assert one["x"] >= 0, title
        assert one["x"] + one["w"] <= WIDTH, title
        assert min(one["w"], one["h"]) > 0, title
    for (title, one), (other_title, other) in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, f"{title} and {other_title}"

"""The files of examples/operating, and what they ask of the metrics that a server shows."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from tests.ci.steps import read

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "operating"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [one for one in DASHBOARD["panels"] if one["type"] != "row"]
RULES: list[dict[str, Any]] = [
    rule for group in read(FOLDER / "alerts.yml")["groups"] for rule in group["rules"]
]  # fmt: skip
TESTS: list[dict[str, Any]] = read(FOLDER / "alerts_test.yml")["tests"]
OF_PROMETHEUS = {"job", "instance"}
"""Labels that it adds to what it reads."""
SELECTOR = re.compile(r"\b(up|(?:provider_mock|process)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')

Shown = Mapping[str, Mapping[str, set[str]]]
"""The values of each label of each metric."""


class Asked(NamedTuple):
    """A metric that is asked for, with a value for each of some labels; None: any."""

    name: str
    labels: tuple[tuple[str, str | None], ...]


def shown(text: str) -> Shown:
    """Return the metrics that a server shows, in Prometheus' text format."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found[sample.name]
            for name, value in sample.labels.items():
                labels[name].add(value)
    return found


def asked(query: str) -> Iterator[Asked]:
    """Yield the metrics that a query in PromQL asks for; of ours, and those of the process."""
    for name, matchers in SELECTOR.findall(query):
        labels: list[tuple[str, str | None]] = []
        for label, operator, value in MATCHER.findall(matchers):
            values = value.split("|") if operator in {"=~", "!~"} else [value]
            labels += [(label, None if "$" in one or "*" in one else one) for one in values]
        yield Asked(name, tuple(labels))


def unknown(queries: Iterable[str], metrics: Shown) -> set[str]:
    """Return what queries ask for and no server shows: metrics, their labels, and the values of those."""
    found = set()
    for name, labels in {one for query in queries for one in asked(query)}:
        if name != "up" and name not in metrics:
            found.add(name)
            continue
        for label, value in labels:
            if label in OF_PROMETHEUS:
                continue
            values = metrics[name].get(label)
            # Apps have other names elsewhere.
            if values is None or (value not in {None, *values} and label != "app"):
                found.add(f"{name}{{{label}={value}}}")
    return found


def queries() -> list[str]:
    """Return what the panels of the dashboard ask."""
    return [target["expr"] for panel in PANELS for target in panel["targets"]]

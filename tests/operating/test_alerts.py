"""The alert rules are what Prometheus takes, fire on their faults alone, and ask for metrics that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.operating.exposed import FOLDER, ROOT, RULES, TESTS, queries, shown, unknown
from tests.programs import needed

PAGE = ROOT / "docs" / "operating.md"
NAMES = [rule["alert"] for rule in RULES]


def promtool(folder: Path, *arguments: str) -> tuple[int, str]:
    """Return what it ends with, and prints."""
    needed("promtool")
    ran = subprocess.run(
        ["promtool", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return ran.returncode, ran.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files, with the token that they speak of."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "token").write_text("a-token-for-tests\n", encoding="utf-8")
    return tmp_path


def test_rules(folder: Path) -> None:
    """Prometheus takes them."""
    status, told = promtool(folder, "check", "rules", "alerts.yml")
    assert (0, True) == (status, f"{len(RULES)} rules found" in told), told


def test_config(folder: Path) -> None:
    """It takes what tells it where the server and the rules are, too."""
    status, told = promtool(folder, "check", "config", "prometheus.yml")
    assert 0 == status, told


def test_fire(folder: Path) -> None:
    """Each fires on its fault and no other does; on a healthy server none."""
    status, told = promtool(folder, "test", "rules", "alerts_test.yml")
    assert 0 == status, told


@pytest.mark.parametrize("instead", ["vector(0) > 1", "provider_mock_ready == 1"], ids=["never", "always"])
def test_fire_says_something(instead: str, folder: Path) -> None:
    """A rule that never fires is found, and one that fires without a fault."""
    file = folder / "alerts.yml"
    text = file.read_text(encoding="utf-8")
    assert 1 == text.count("expr: provider_mock_ready == 0\n")
    file.write_text(text.replace("expr: provider_mock_ready == 0\n", f"expr: {instead}\n"), encoding="utf-8")
    status, told = promtool(folder, "test", "rules", "alerts_test.yml")
    assert 1 == status, told


def test_each_is_tested() -> None:
    """For each there is a fault on which it fires."""
    fired = [
        name
        for one in TESTS
        for test in one["promql_expr_test"]
        for sample in test["exp_samples"]
        for name in re.findall('alertname="([^"]+)"', sample["labels"])
    ]
    assert sorted(NAMES) == sorted(fired)


def test_metrics(metrics: str) -> None:
    """Each metric, label and value that a rule asks for is one of a server; so are those of the rules' tests."""
    series = [one["series"] for test in TESTS for one in test["input_series"]]
    found = unknown([*(rule["expr"] for rule in RULES), *series], shown(metrics))
    assert set() == found


def test_dashboard_takes_promql(tmp_path: Path) -> None:
    """What the panels ask is PromQL: as rules, with values in the place of Grafana's variables."""
    rules = []
    for number, query in enumerate(queries()):
        filled = re.sub(r"\$__rate_interval", "5m", query)
        rules += [f"  - record: panel:{number}", f"    expr: {re.sub('[$](instance|app)', '.+', filled)!r}"]
    (tmp_path / "panels.yml").write_text("\n".join(["groups:", "- name: panels", "  rules:", *rules, ""]), "utf-8")
    status, told = promtool(tmp_path, "check", "rules", "panels.yml")
    assert 0 == status, told


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
class TestRule:
    """Of each rule."""

    def test_says(self, rule: dict[str, Any]) -> None:
        """How bad it is, what is the matter, and what to do."""
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert {"summary", "description", "runbook"} == set(rule["annotations"])

    def test_runbook(self, rule: dict[str, Any]) -> None:
        """The page says more, at the place that the rule names, in the row of this alert."""
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert PAGE == ROOT / file
        rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if f'<a id="{anchor}"></a>' in line]
        assert 1 == len(rows)
        assert f"`{rule['alert']}`" in rows[0]


def test_page_invents_none() -> None:
    """The page speaks of no alert that there is not."""
    assert set() == set(re.findall("`(ProviderMock[A-Za-z]+)`", PAGE.read_text(encoding="utf-8"))) - set(NAMES)

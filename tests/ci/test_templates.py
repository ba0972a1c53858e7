"""The CI templates and the examples' workflows are what their services take, and speak of options that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner
from im_callback.conformance.plugin import FLAGS, OPTIONS, REPEATABLE

from tests.ci import steps
from tests.ci.steps import ACTION, ROOT

EXAMPLES = ROOT / "examples"
CI = EXAMPLES / "ci"
WORKFLOWS = sorted(EXAMPLES.glob("*/.github/workflows/*.yml"))
SCHEMAS = {
    ACTION: "github-actions",
    CI / "github.yml": "github-workflows",
    CI / "gitlab-ci.yml": "gitlab-ci",
    CI / "compose.yaml": "compose-spec",
    **dict.fromkeys(WORKFLOWS, "github-workflows"),
}
GATES = {"to", "start", "wait", *(one[0] for one in (*OPTIONS, *REPEATABLE, *FLAGS))}
"""The gate's options, of the command."""


def name_of(file: Path) -> str:
    """Return what a file is called in the tests."""
    return str(file.relative_to(ROOT))


def commands(file: Path) -> list[str]:
    """Return what a template types that runs the gate."""
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"provider-mock check .*", text)


@pytest.mark.parametrize("file", SCHEMAS, ids=name_of)
def test_schema(file: Path) -> None:
    """Each is valid by the schema of the service that reads it."""
    checked = CliRunner().invoke(check_jsonschema, ["--builtin-schema", f"vendor.{SCHEMAS[file]}", str(file)])
    assert 0 == checked.exit_code, checked.output


def test_schema_refuses(tmp_path: Path) -> None:
    """A misspelled key is found, so a pass says something."""
    text = (CI / "github.yml").read_text(encoding="utf-8").replace("runs-on", "run-on")
    (tmp_path / "github.yml").write_text(text, encoding="utf-8")
    arguments = ["--builtin-schema", "vendor.github-workflows", str(tmp_path / "github.yml")]
    assert 1 == CliRunner().invoke(check_jsonschema, arguments).exit_code


def test_every_example_has_one() -> None:
    """Each receiver has its workflow."""
    assert {one.name for one in EXAMPLES.glob("*_receiver")} == {one.parents[2].name for one in WORKFLOWS}


@pytest.mark.parametrize("file", [*WORKFLOWS, CI / "gitlab-ci.yml", CI / "Jenkinsfile"], ids=name_of)
def test_options(file: Path) -> None:
    """The gate has every option that a template gives it."""
    found = commands(file)
    assert found
    for command in found:
        without = re.sub("--start '[^']*'", "", command)
        assert set() == set(re.findall(" --([a-z-]+)", without)) - GATES


@pytest.mark.parametrize("file", WORKFLOWS, ids=name_of)
def test_readme(file: Path) -> None:
    """The example's page types what its workflow does: how it is built, and the first gate without its reports."""

    def told(text: str) -> str:
        return " ".join(text.replace("\\\n", " ").split())

    page = told((file.parents[2] / "README.md").read_text(encoding="utf-8"))
    run = list(steps.of_github(steps.read(file)))
    gate = next(step for step in run if step.is_gate)
    assert f"$ {told(gate.run).partition(' --json')[0]} ```" in page
    for step in run:
        if not step.is_gate and "venv" not in step.run:
            assert told(step.run) in page
    for name, value in gate.env.items():
        assert f"{name}={value}" in page


def test_page() -> None:
    """The page about the examples shows one of them as its own page does."""
    page, own = (
        (ROOT / one).read_text(encoding="utf-8") for one in ("docs/examples.md", "examples/go_receiver/README.md")
    )
    shown = re.findall(r"^\$ \.gate/bin/provider-mock check(?:.*\\\n)*.*\n", own, re.MULTILINE)
    assert 1 == len(shown)
    assert shown[0] in page


class TestAction:
    """Of the action at the top of the repository."""

    ACTION: dict[str, Any] = steps.read(ACTION)
    FREE = ("arguments", "reports", "extras", "python")

    def test_inputs(self) -> None:
        """Its inputs are options of the gate, each is read once, and the loop over them names them all."""
        options = [name for name in self.ACTION["inputs"] if name not in self.FREE]
        assert set() == set(options) - GATES
        text = ACTION.read_text(encoding="utf-8")
        assert sorted(self.ACTION["inputs"]) == sorted(re.findall(r"\$\{\{ inputs\.([a-z-]+) \}\}", text))
        assert [" ".join(options)] == re.findall(r"for option in (.*); do", text)
        for name in options:
            assert f"GATE_{name.upper().replace('-', '_')}: ${{{{ inputs.{name} }}}}" in text

    def test_no_expression_in_shell(self) -> None:
        """What a caller gives reaches the shell as a variable, never as text of a script."""
        assert not [step["name"] for step in self.ACTION["runs"]["steps"] if "${{" in step["run"]]

    def test_template(self) -> None:
        """The template gives inputs that there are, and all that are needed."""
        (job,) = steps.read(CI / "github.yml")["jobs"].values()
        (given,) = [step["with"] for step in job["steps"] if step.get("id") == "gate"]
        due = {name for name, one in self.ACTION["inputs"].items() if one.get("required")}
        assert due <= set(given) <= set(self.ACTION["inputs"])

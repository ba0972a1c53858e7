"""What a CI service would do with a file of ours, done here: its commands in their order, in a folder of their own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.plugin.processes import environment

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
SECONDS = 900
"""Longer than a build takes that has to fetch everything first."""
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
"""As GitHub and GitLab run what they are given."""
SH = ("sh", "-e")
"""As Jenkins does."""


@dataclass(frozen=True)
class Step:
    """Commands as a shell gets them, with the variables that are theirs."""

    name: str
    run: str
    env: Mapping[str, str] = field(default_factory=dict)
    shell: tuple[str, ...] = BASH

    @property
    def is_gate(self) -> bool:
        """Whether the gate itself runs here."""
        return "provider-mock check" in self.run


class Failed(AssertionError):
    """Commands ended with a status other than 0: `status`, and what they printed."""

    def __init__(self, step: Step, status: int, output: str) -> None:
        super().__init__(f"{step.name}: exit status {status}\n{output}")
        self.status, self.output = status, output


def read(file: Path) -> dict[str, Any]:
    """Return what a YAML file says, by YAML 1.2: `on` is a word."""
    found: dict[str, Any] = YAML(typ="safe").load(file)
    return found


def of_github(workflow: Mapping[str, Any]) -> Iterator[Step]:
    """Yield the commands of a workflow's only job, those of our own action included; what other actions bring is here."""
    (job,) = workflow["jobs"].values()
    for step in job["steps"]:
        variables = {**job.get("env", {}), **step.get("env", {})}
        if "run" in step:
            yield Step(step["name"], step["run"], variables)
        elif "im-callback-conformance@" in step["uses"]:
            yield from of_action(step["with"], variables)


def of_action(given: Mapping[str, str], variables: Mapping[str, str]) -> Iterator[Step]:
    """Yield the commands of our action for the inputs that are given."""
    action = read(ACTION)
    inputs = {name: one.get("default", "") for name, one in action["inputs"].items()}
    assert set(given) <= set(inputs), f"no such inputs: {set(given) - set(inputs)}"
    inputs.update(given)
    for step in action["runs"]["steps"]:
        filled = {
            name: re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda match: inputs[match[1]], text)
            for name, text in step["env"].items()
        }
        yield Step(step["name"], step["run"], {**variables, **filled})


def of_gitlab(pipeline: Mapping[str, Any]) -> Iterator[Step]:
    """Yield the commands of each job, by stages; a job's are one script, as for its runner."""
    jobs = {name: job for name, job in pipeline.items() if isinstance(job, Mapping) and "script" in job}
    for name, job in sorted(jobs.items(), key=lambda one: pipeline["stages"].index(one[1]["stage"])):
        yield Step(name, "\n".join([*job.get("before_script", []), *job["script"]]), job.get("variables", {}))


def replaced_in(text: str, replaced: Mapping[str, str]) -> str:
    """Return a text with others in the place of some, the longest first; what was put in stays."""
    names = sorted(replaced, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, names)), lambda match: replaced[match[0]], text) if names else text


def run(steps: Iterable[Step], folder: Path, replaced: Mapping[str, str], **more: str) -> str:
    """Run commands in a folder, with some texts replaced; return what they printed.

    Raises `Failed` for the first that fails.
    """
    printed = ""
    for step in steps:
        script = folder / ".step.sh"
        script.write_text(replaced_in(step.run, replaced), encoding="utf-8")
        variables = {name: replaced_in(str(value), replaced) for name, value in step.env.items()}
        ended = subprocess.run(
            [*step.shell, script],
            cwd=folder,
            env=environment(**{**more, **variables}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            check=False,
            timeout=SECONDS,
        )
        printed += ended.stdout
        if ended.returncode:
            raise Failed(step, ended.returncode, printed)
    return printed


def verdicts(file: Path) -> dict[str, str]:
    """Return the verdict of each check, by id, from a JSON result."""
    return {one["id"]: one["verdict"] for one in json.loads(file.read_text(encoding="utf-8"))["checks"]}


def shop(folder: Path) -> dict[str, str]:
    """Build our wheel into a folder; return the variables by which pip takes it, and every other package as locked.

    `GITHUB_ACTION_PATH` among them is a copy of what is installed, as GitHub makes one for an action.
    """
    source = folder / "source"
    source.mkdir(parents=True)
    for name in ("schemas", "provider_mock", "conformance", "examples/flask_receiver"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    done = subprocess.run(built, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    # Without their hashes: one would be asked for of our wheel, too.
    locked = {
        line.removesuffix(" \\").strip()
        for lock in ("pip", "test", "examples")
        for line in (ROOT / f"requirements/{lock}.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    (folder / "locked.txt").write_text("\n".join(sorted(locked)), encoding="utf-8")
    return {
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONSTRAINT": str(folder / "locked.txt"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "GITHUB_ACTION_PATH": str(source),
    }

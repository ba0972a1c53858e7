"""The CI templates in `ci/`, and the action at the top: their commands are run as they stand, against a receiver of the examples.

What is done in between by the services themselves (their runners, actions of others, containers) is not here. The whole gate
is run by each example's own workflow; here some checks will do.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from im_callback.conformance.around.command import free_port

from tests.ci import steps as ci_steps
from tests.ci.steps import Failed, Step
from tests.plugin.processes import environment
from tests.programs import needed, spawned

HERE = Path(__file__).parent
CI = HERE / "ci"
Stored = Callable[[str], AbstractContextManager[dict[str, str]]]
SOME = {"RECEIVER_CHECK": "rongcloud.signature.*"}
"""The gate takes its options from the environment, too."""
SECONDS = 300
pytestmark = pytest.mark.xdist_group("templates")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A copy of the receiver that the templates are for."""
    return shutil.copytree(HERE / "go_receiver", tmp_path / "work", ignore=shutil.ignore_patterns("receiver"))


@pytest.fixture(scope="session")
def temp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a runner of GitHub's has for what is temporary; the action installs the gate there."""
    return tmp_path_factory.mktemp("temp")


@pytest.fixture
def runner(shop: dict[str, str], temp: Path, tmp_path: Path) -> dict[str, str]:
    """The variables that a runner of GitHub's gives to an action."""
    files = {name: str(tmp_path / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    return {**shop, **files, "RUNNER_TEMP": str(temp), "GITHUB_ACTIONS": "true"}


def outputs(runner: Mapping[str, str]) -> dict[str, str]:
    """Return what a step has put out."""
    lines = Path(runner["GITHUB_OUTPUT"]).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def look_at(folder: Path) -> None:
    """Look whether a gate that passed has written all of its reports."""
    verdicts = ci_steps.verdicts(folder / "result.json")
    assert {"pass"} == {verdict for check, verdict in verdicts.items() if check.startswith("rongcloud.signature.")}
    for name in ("junit.xml", "report.html"):
        assert (folder / name).stat().st_size, name


def test_github(work: Path, runner: dict[str, str], stored: Stored) -> None:
    """The workflow builds the receiver, and our action installs itself, runs the gate and says what came of it."""
    needed("bash", "go")
    with stored("postgresql") as places:
        ci_steps.run(ci_steps.of_github(ci_steps.read(CI / "github.yml")), work, places, **runner, **SOME)
    reports = {name: f"callback-gate/{file}" for name, file in FILES.items()}
    assert {"verdict": "pass", "exit-status": "0", **reports} == outputs(runner)
    look_at(work / "callback-gate")
    assert "pass" in Path(runner["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8").lower()


FILES = {"json": "result.json", "junit": "junit.xml", "report": "report.html"}


class TestAction:
    """The action where the gate does not pass."""

    GIVEN: Mapping[str, str] = {"provider": "commsease", "to": "http://127.0.0.1:1/", "reports": "some where/else"}

    def fails(self, runner: dict[str, str], folder: Path, **more: str) -> Failed:
        """Run it, installed if it is not yet, and return how it failed."""
        needed("bash")
        install, *rest = ci_steps.of_action({**self.GIVEN, **more}, {})
        if not (Path(runner["RUNNER_TEMP"]) / "callback-gate").exists():
            ci_steps.run([install], folder, {}, **runner)
        with pytest.raises(Failed) as failed:
            ci_steps.run(rest, folder, {}, **runner)
        return failed.value

    def test_fails(self, runner: dict[str, str], tmp_path: Path) -> None:
        """Where nobody answers it fails as the gate does, and says so; a folder may have a space."""
        assert 1 == self.fails(runner, tmp_path).status
        reports = {name: f"some where/else/{file}" for name, file in FILES.items()}
        assert {"verdict": "fail", "exit-status": "1", **reports} == outputs(runner)
        assert "fail" == json.loads((tmp_path / reports["json"]).read_text(encoding="utf-8"))["verdict"]

    def test_wrong_argument(self, runner: dict[str, str], tmp_path: Path) -> None:
        """Where an option cannot be used no verdict of an earlier run is told."""
        (tmp_path / "some where/else").mkdir(parents=True)
        (tmp_path / "some where/else/result.json").write_text('{"verdict": "pass"}', encoding="utf-8")
        failed = self.fails(runner, tmp_path, arguments="--settle=1\n--level=never\n")
        assert 4 == failed.status, failed
        assert ("error", "4") == (outputs(runner)["verdict"], outputs(runner)["exit-status"])
        assert "never" in failed.output


def test_gitlab(work: Path, shop: dict[str, str], stored: Stored) -> None:
    """One job builds the receiver, the other one has it from there and runs the gate."""
    needed("bash", "go")
    with stored("postgresql") as places:
        ci_steps.run(ci_steps.of_gitlab(ci_steps.read(CI / "gitlab-ci.yml")), work, places, **shop, **SOME)
    look_at(work / "reports")


BROKEN = {
    "archiveArtifacts": "archiveArtefacts",
    "agent any": "",
    "steps {\n                sh 'go": "script {\n                sh 'go",
    "unit: 'MINUTES'": "units: 'MINUTES'",
    "always {": "ever {",
    "sh 'mkdir": "sh 'go'; sn 'mkdir",
}
"""What is misspelled or left out in the Jenkinsfile, and is then to be found."""


@pytest.fixture(scope="session")
def jenkinsfiles(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is read in the Jenkinsfile and, after it, in each of the broken ones."""
    needed("mvn", "java")
    folder = tmp_path_factory.mktemp("groovy")
    tools = ci_steps.ROOT / "tests/ci/jenkins"
    fetch = ["mvn", "-q", "-B", "-f", tools / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    subprocess.run(fetch, check=True, timeout=ci_steps.SECONDS)
    text = (CI / "Jenkinsfile").read_text(encoding="utf-8")
    files = [folder / f"file{number}" for number in range(len(BROKEN) + 1)]
    for file, (old, new) in zip(files, [("", ""), *BROKEN.items()], strict=True):
        assert not old or 1 == text.count(old), old
        file.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    command = ["java", "-cp", f"{folder}/*", "groovy.ui.GroovyMain", tools / "Read.groovy", *files]
    read = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert 0 == read.returncode, read.stderr
    return [json.loads(line) for line in read.stdout.splitlines()]


def test_jenkins(work: Path, shop: dict[str, str], stored: Stored, jenkinsfiles: list[dict[str, Any]]) -> None:
    """The pipeline is a declarative one, its shell steps build the receiver and run the gate, and what it publishes is there."""
    needed("go")
    assert "taken" in jenkinsfiles[0], jenkinsfiles[0]
    taken = jenkinsfiles[0]["taken"]
    shell = [Step("sh", one["text"], one["variables"], ci_steps.SH) for one in taken if one["step"] == "sh"]
    with stored("postgresql") as places:
        ci_steps.run(shell, work, places, **shop, **SOME)
    look_at(work / "reports")
    published = {one["step"]: list(work.glob(one["files"])) for one in taken if one["step"] != "sh"}
    assert {"junit", "archiveArtifacts"} == set(published)
    assert all(published.values())


def test_jenkins_reader(jenkinsfiles: list[dict[str, Any]]) -> None:
    """A pipeline with a misspelled or a missing section is not read."""
    assert [{"error"}] * len(BROKEN) == [set(one) for one in jenkinsfiles[1:]]


def test_actionlint(tmp_path_factory: pytest.TempPathFactory) -> None:
    """GitHub's workflows pass the linter that people use for them."""
    needed("go")
    folder = tmp_path_factory.mktemp("actionlint")
    install = ["go", "install", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"]
    subprocess.run(install, check=True, env={**os.environ, "GOBIN": str(folder)}, timeout=ci_steps.SECONDS)
    files = [CI / "github.yml", *sorted(HERE.glob("*/.github/workflows/*.yml"))]
    linted = subprocess.run([folder / "actionlint", *files], capture_output=True, text=True, check=False)
    assert (0, "") == (linted.returncode, linted.stdout), linted.stderr


class Composed:
    """The services of compose.yaml as processes of this machine: what the file says, with its places as they are here."""

    def __init__(self, work: Path, places: Mapping[str, str], variables: Mapping[str, str]) -> None:
        self.services: dict[str, dict[str, Any]] = ci_steps.read(CI / "compose.yaml")["services"]
        self.receiver, self.mock = free_port(), free_port()
        self.places = {
            **places,
            "receiver:8080": f"127.0.0.1:{self.receiver}",
            "8080": str(self.receiver),
            "8600": str(self.mock),
            "0.0.0.0": "127.0.0.1",
        }
        self._work, self._variables = work, variables

    def _here(self, name: str) -> dict[str, str]:
        """Return where the folders and files of a service are, by their places in its container."""
        found = {}
        for volume in self.services[name].get("volumes", ()):
            source, target, *_ = volume.split(":")
            file = self._work / name / target.strip("/")
            if source.startswith(".") and (CI / source).is_file():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(ci_steps.replaced_in((CI / source).read_text(encoding="utf-8"), self.places))
            elif source.startswith(".") and (CI / source).is_dir():
                shutil.copytree(CI / source, file)
            else:
                file.mkdir(parents=True)
            found[target] = str(file)
        return found

    @contextmanager
    def started(self, name: str) -> Iterator[subprocess.Popen[str]]:
        """Run a service; with a health check, give it once it is healthy."""
        service = self.services[name]
        places = {**self.places, **self._here(name)}

        def here(command: str | Sequence[str]) -> list[str]:
            parts = shlex.split(command) if isinstance(command, str) else command
            return [ci_steps.replaced_in(part, places) for part in parts]

        given = {key: ci_steps.replaced_in(value, self.places) for key, value in service.get("environment", {}).items()}
        variables = environment(**{**self._variables, **given})
        folder = places[service["working_dir"]] if "working_dir" in service else str(self._work)
        output = (self._work / f"{name}.log").open("w", encoding="utf-8")
        options = {"cwd": folder, "env": variables, "stdout": output, "stderr": output, "start_new_session": True}
        with output, spawned(here(service["command"]), text=True, **options) as process:
            try:
                if "healthcheck" in service:
                    form, *test = here(service["healthcheck"]["test"])
                    assert "CMD" == form
                    end = time.monotonic() + SECONDS
                    while subprocess.run(test, env=variables, capture_output=True, check=False).returncode:
                        assert process.poll() is None and time.monotonic() < end, self.log(name)
                        time.sleep(0.2)
                yield process
            finally:
                # With what it has started: `go run` is not the receiver itself.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def log(self, name: str) -> str:
        """Return what a service has printed."""
        return (self._work / f"{name}.log").read_text(encoding="utf-8")


def test_compose(shop: dict[str, str], stored: Stored, tmp_path: Path) -> None:
    """The receiver and the mock come up healthy, the mock delivers to the receiver, and the gate passes."""
    needed("bash", "curl", "go")
    python = tmp_path / "python"
    subprocess.run(["python3", "-m", "venv", python], check=True, timeout=SECONDS)
    image = {**shop, **SOME, "PATH": f"{python / 'bin'}:{os.environ['PATH']}"}
    with stored("postgresql") as places:
        composed = Composed(tmp_path, places, image)
        (built,) = {
            service["build"]["dockerfile_inline"] for service in composed.services.values() if "build" in service
        }
        start, install = built.splitlines()
        assert "FROM python:3.13-slim" == start
        ci_steps.run([Step("image", install.removeprefix("RUN "))], tmp_path, {}, **image)
        with composed.started("receiver"), composed.started("mock"):
            api = f"http://127.0.0.1:{composed.mock}/api/v1"
            token = {"Authorization": f"Bearer {composed.services['mock']['environment']['PROVIDER_MOCK_TOKEN']}"}
            event = {"events": [{"type": "rongcloud.chatroom-kv"}]}
            accepted = requests.post(f"{api}/apps/rooms/events", json=event, headers=token, timeout=60)
            assert 202 == accepted.status_code, accepted.text
            end, states = time.monotonic() + 60, {"waiting"}
            while states == {"waiting"} and time.monotonic() < end:
                found = requests.get(f"{api}/deliveries", headers=token, timeout=60).json()
                states = {one["state"] for one in found["items"]}
            assert {"acked"} == states, composed.log("mock")
            with composed.started("gate") as gate:
                assert 0 == gate.wait(SECONDS), composed.log("gate")
    look_at(tmp_path / "gate/reports")

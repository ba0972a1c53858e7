"""`provider-mock check`: the gate without pytest, as a process of its own against real receivers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from im_callback.conformance.commands.check import NAMES, check, spelled
from im_callback.conformance.option_table import FLAGS, OPTIONS, REPEATABLE

from tests.conformance.little_server import serving, unused_url
from tests.plugin.processes import EXAMPLES, MODULE, SECONDS, Ended, environment, pytest_in, receiver

COMMAND = (sys.executable, "-m", "im_callback.provider_mock", "check")
SOME = ("*.preflight.*", "*.signature.rejects-w*", "*.acknowledgement.exact-status")
QUICK = ("--settle=2", "--seed=5", *(f"--check={glob}" for glob in SOME))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the receiver that does everything right."""
    with receiver("receiver.py", tmp_path_factory.mktemp("good")) as base:
        yield base


def checked(folder: Path, *arguments: str, **env: str) -> Ended:
    """Run the command in a folder; the JSON result goes to `result.json` there."""
    result = folder / "result.json"
    ended = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    found = json.loads(result.read_text(encoding="utf-8")) if result.exists() else None
    return Ended(ended.returncode, ended.stdout, found)


def told(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return what a run came to, check by check, but for what differs from run to run."""
    return [(one["id"], one["level"], one["verdict"], one["source"]) for one in document["checks"]]


class TestSameRun:
    """It is the run that pytest gives, with the same options and statuses."""

    def test_passes_as_in_pytest(self, good: str, tmp_path: Path) -> None:
        """The same checks, ids, verdicts and status."""
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir(), there.mkdir()
        address = (f"--to={good}/rongcloud", "--provider=rongcloud", f"--effects={good}/effects")
        one = checked(here, *address, *QUICK, "--json=result.json")
        typed = [one.replace("--to=", "--url=").replace("--", "--receiver-", 1) for one in (*address, *QUICK)]
        other = pytest_in(there, *typed, command=MODULE)
        assert (0, 0) == (one.status, other.status), one.output + other.output
        assert one.result is not None
        assert other.result is not None
        assert told(one.result) == told(other.result)
        assert "pass" == one.result["verdict"]

    def test_fails(self, tmp_path: Path) -> None:
        """A receiver that the command starts and that verifies nothing fails; with -v every exchange is shown."""
        program = f"exec {sys.executable} {EXAMPLES / 'naive.py'} --port {{port}} --database n.db --test-mode"
        arguments = (
            "--to=http://127.0.0.1:0/commsease", f"--start={program}", "--effects=http://127.0.0.1:{port}/effects",
            "--check=*.preflight.*", "--check=*.acks-probe", "--settle=2",
        )  # fmt: skip
        ended = checked(tmp_path, *arguments, "--json=result.json")
        assert 1 == ended.status, ended.output
        assert "fail" == ended.verdicts["commsease.acknowledgement.acks-probe"]
        assert "curl -sS" not in ended.output
        assert "curl -sS" in checked(tmp_path, *arguments, "-v").output

    def test_incomplete(self, good: str, tmp_path: Path) -> None:
        """Without effects it is incomplete, and says what to give by the option's name here."""
        ended = checked(tmp_path, f"--to={good}/rongcloud", "--provider=rongcloud", "--check=*.preflight.*")
        assert 8 == ended.status, ended.output
        assert "--effects=" in ended.output
        assert "--receiver-" not in ended.output

    def test_list(self, tmp_path: Path) -> None:
        """The list is pytest's."""
        listed = checked(tmp_path, "--list", "--provider=tencent")
        assert pytest_in(tmp_path, "--receiver-list", "--receiver-provider=tencent").output == listed.output


class TestOfItsOwn:
    """Nothing of the current folder counts, and every mistake has the status of a bad option."""

    def test_folder_is_not_read(self, good: str, tmp_path: Path) -> None:
        """Neither ini files nor conftest.py, nor packages that lie there."""
        (tmp_path / "pytest.ini").write_text("[pytest]\nreceiver_provider = nobody\naddopts = --nonsense\n")
        (tmp_path / "pyproject.toml").write_text("this is no TOML")
        (tmp_path / "conftest.py").write_text("raise SystemExit('read')")
        (tmp_path / "jsonschema.py").write_text("raise SystemExit('read')")
        program = Path(sys.executable).with_name("provider-mock")
        ended = subprocess.run(
            [program, "check", f"--to={good}/rongcloud", "--provider=rongcloud", f"--effects={good}/effects", *QUICK],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert (0, "") == (ended.returncode, ended.stderr), ended.stdout

    def test_environment(self, tmp_path: Path) -> None:
        """Options come from the environment, and what was typed wins."""
        ended = checked(tmp_path, f"--to={unused_url()}", RECEIVER_PROVIDER="nobody")
        assert 4 == ended.status
        assert "--provider=nobody" in ended.output
        ended = checked(tmp_path, f"--to={unused_url()}", "--provider=tencent", RECEIVER_PROVIDER="nobody")
        assert 1 == ended.status, ended.output

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ((), "--to is missing"),
            (("--to=localhost:80",), "--to=localhost:80: give the whole address"),
            (("--nonsense",), "there is no option --nonsense"),
            (("--to=http://127.0.0.1:1/", "--settle=x"), "--settle=x: give seconds"),
            (("--to=http://127.0.0.1:0/",), "a receiver that --start starts"),
            (("--to=http://127.0.0.1:1/", "--check=nothing"), "provider-mock check --list --provider=commsease"),
            (("--to=http://127.0.0.1:1/", "--json=no/such/folder.json"), "--json=no/such/folder.json: there is no folder"),
            (("--to=http://127.0.0.1:1/", "--wait=-1"), "--wait=-1: give seconds"),
            (("--to=http://127.0.0.1:1/", "--effects=carrier-pigeon:x"), "--effects='carrier-pigeon:x'"),
        ],
    )  # fmt: skip
    def test_bad_options(self, arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
        """One line names the option as it is called here."""
        ended = checked(tmp_path, *arguments)
        assert 4 == ended.status, ended.output
        (line,) = ended.output.splitlines()
        assert line.startswith("error: ")
        assert said in line
        assert "--receiver-" not in line

    def test_options(self) -> None:
        """Every option of the gate is one of the command."""
        ours = {name for one in check.params if isinstance(one, click.Option) for name in one.opts}
        assert {f"--{NAMES.get(name, name)}" for name, *_ in (*OPTIONS, *REPEATABLE, *FLAGS)} <= ours

    def test_spelled(self) -> None:
        """Texts name options as they are called here."""
        assert "--effects-map and --start: --to" == spelled(
            "--receiver-effects-map and --receiver-command: --receiver-url"
        )


class TestWaiting:
    """A receiver that comes up late is waited for, if that was asked for."""

    def test_late(self, tmp_path: Path) -> None:
        """A gateway answers for it until it is there."""
        asked: list[None] = []

        def answer(_: Any) -> tuple[int, str, bytes]:
            asked.append(None)
            return (503, "text/plain", b"") if len(asked) < 4 else (418, "text/plain", b"")

        with serving(answer) as little:
            ended = checked(tmp_path, f"--to={little.url}", "--check=*.reachable", "--wait=60")
        assert 0 == ended.status, ended.output
        assert 4 < len(asked)

    def test_never(self, tmp_path: Path) -> None:
        """One that does not come is unreachable."""
        ended = checked(tmp_path, f"--to={unused_url()}", "--check=*.reachable", "--wait=0.3", "--json=result.json")
        assert 1 == ended.status
        assert "fail" == ended.verdicts["commsease.preflight.reachable"]


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends it and the receiver that it started, without a verdict and without a result."""
    text = (
        f"echo $$ > pid; exec {sys.executable} {EXAMPLES / 'receiver.py'} --port {{port}} --database r.db --test-mode"
    )
    arguments = ("--to=http://127.0.0.1:0/commsease", f"--start={text}", "--json=result.json")
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=tmp_path, env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().startswith("receiver: ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert 130 == process.returncode, out + err
    assert "there is no verdict" in err
    assert not (tmp_path / "result.json").exists()
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()

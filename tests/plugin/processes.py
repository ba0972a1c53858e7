"""Receivers and pytest itself as processes of their own, for tests from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples" / "flask_receiver"
SECONDS = 300
"""Longer than a run takes on a busy machine."""


@contextmanager
def receiver(program: str, folder: Path) -> Iterator[str]:
    """Run a receiver of the examples on a free port; give its address, and end it afterwards."""
    command = [sys.executable, EXAMPLES / program, "--port", "0", "--database", folder / "receiver.db", "--test-mode"]
    with (folder / "receiver.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment())
        with process:
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
                assert line.startswith("listening on "), (folder / "receiver.log").read_text(encoding="utf-8")
                yield line.removeprefix("listening on ").strip()
            finally:
                process.terminate()
                process.wait(SECONDS)


def environment(**more: str) -> dict[str, str]:
    """Return an environment that says nothing to pytest or to the checks, with `more` in it."""
    ours = ("RECEIVER_", "PYTEST_", "IM_APP_", "COMMSEASE_", "RONGCLOUD_", "TENCENT_", "GITHUB_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # Other plugins that are installed here take longer to load than most of these runs take.
    return {**kept, "COLUMNS": "200", "PYTEST_ADDOPTS": "-p no:hypothesispytest -p no:faker", **more}


@dataclass(frozen=True)
class Ended:
    """What a pytest process came to: its exit status, what it printed, and its JSON result if it wrote one."""

    status: int
    output: str
    result: dict[str, Any] | None

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each check, by id."""
        assert self.result is not None, self.output
        return {check["id"]: check["verdict"] for check in self.result["checks"]}

    def lines(self, beginning: str) -> list[str]:
        """Return the printed lines with this beginning."""
        return [line for line in self.output.splitlines() if line.startswith(beginning)]


MODULE = (sys.executable, "-m", "pytest")


def pytest_in(
    folder: Path, *arguments: str, command: Sequence[str] = MODULE, written: bool = True, **env: str
) -> Ended:
    """Run pytest in a folder and wait for its end; the JSON result goes to `result.json` there, if it is `written`."""
    command = [*command, *arguments]
    if written and any(one.startswith("--receiver-url") for one in arguments):
        command.append("--receiver-json=result.json")
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        check=False,
        timeout=SECONDS,
    )
    return Ended(ended.returncode, ended.stdout, result_in(folder))


def result_in(folder: Path) -> dict[str, Any] | None:
    """Return the JSON result in a folder, or None."""
    file = folder / "result.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def options_for(base: str, provider: str = "commsease") -> list[str]:
    """Return the options for a receiver of the examples."""
    return [
        f"--receiver-url={base}/{provider}",
        f"--receiver-provider={provider}",
        f"--receiver-effects={base}/effects?provider={provider}",
        "--receiver-settle=0.5",
    ]

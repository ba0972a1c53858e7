"""The demonstration: a good receiver passes, a naive one fails, both started here on free ports."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from im_callback.provider_mock.commands.shared import printed, typed

PROVIDERS = ("commsease", "rongcloud", "tencent")
SETTLE = "--receiver-settle=1"
SHOWN = ("id", "title", "level", "verdict", "actual", "reason")
"""What a JSON line has of each check."""
SECTION, VERDICT = "receiver conformance", "receiver verdict: "
"""What the screen at the end of a run stands under, and how its last line begins."""


@click.command()
@typed.JSON_OPTION
def demo(as_json: bool) -> None:
    """Check a good and a naive receiver, both started here: what `make demo` runs."""
    raise SystemExit(_run(people=printed.for_people(as_json)))


def _run(*, people: bool) -> int:
    """Run the demonstration; return 0 if the good receiver passed and the naive one failed."""
    missing = [name for name in ("flask", "waitress") if importlib.util.find_spec(name) is None]
    if missing:
        raise typed.Wrong(
            f"the demo's receivers need {' and '.join(missing)}; pip install 'im-callback-conformance[demo]'"
        )
    good = _show(
        "receiver.py", "a good receiver", "Every delivery is verified, stored, acknowledged, and applied once.", people
    )
    naive = _show(
        "naive.py", "a naive receiver", "It is of the kind found on the web, and it works when tried by hand.", people
    )
    if people:
        _say("")
        _say("Now your own:")
        _say("  pytest --receiver-url=http://127.0.0.1:8080/callbacks --receiver-provider=commsease \\")
        _say("         --receiver-effects=http://127.0.0.1:8080/effects")
    return 0 if all(status == 0 for status in good) and all(status == 1 for status in naive) else 1


def _show(script: str, what: str, about: str, people: bool) -> list[int]:
    if people:
        _say("")
        _say(f"=== {what} ({script}) ===")
        _say(about)
    statuses = []
    with tempfile.TemporaryDirectory() as folder, _receiver(script, Path(folder)) as address:
        for name in PROVIDERS:
            result, screen = _check(address, name, Path(folder))
            statuses.append(int(result["exit_status"]))
            if not people:
                checks = [{key: check[key] for key in SHOWN} for check in result["checks"]]
                printed.line(
                    {
                        "receiver": script,
                        "provider": name,
                        "verdict": result["verdict"],
                        "acks": result["acks"],
                        "checks": checks,
                    }
                )
                continue
            _say("")
            # The whole screen of one that fails is enough to see what it is like.
            whole = script != "receiver.py" and name == PROVIDERS[0]
            for line in screen if whole else screen[-1:]:
                _say(f"{name}: {line.removeprefix(VERDICT)}" if line.startswith(VERDICT) else line)
    return statuses


def _check(address: str, provider: str, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Run the checks as a user would; return the JSON result and the screen at the end of the run."""
    results = folder / f"{provider}.json"
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    ran = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "--color=no", SETTLE,
            f"--receiver-url={address}/{provider}", f"--receiver-provider={provider}",
            f"--receiver-effects={address}/effects", f"--receiver-json={results}",
        ],
        cwd=empty, capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip
    _, _, screen = ran.stdout.partition(f" {SECTION} ")
    lines = screen.splitlines()[1:]
    last = next((number for number, line in enumerate(lines) if line.startswith(VERDICT)), None)
    if not results.exists() or last is None:
        raise typed.Wrong(f"the checks did not run; please report it, with what they said: {ran.stdout}{ran.stderr}")
    return json.loads(results.read_text(encoding="utf-8")), lines[: last + 1]


@contextmanager
def _receiver(script: str, folder: Path) -> Iterator[str]:
    """Start one of the receivers on a free port; yield its address."""
    command = [sys.executable, str(receivers() / script), "--port", "0", "--database", str(folder / "receiver.db")]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, "--test-mode"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().rpartition(" ")[2].strip()
        finally:
            process.terminate()


def receivers() -> Path:
    """Return the folder of the demo's receivers: in the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parents[1] / "demo_receivers"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "examples" / "flask_receiver"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # `make demo` is for people, wherever they have its output go.
    raise SystemExit(_run(people=True))

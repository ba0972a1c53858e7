"""Running the command `provider-mock` in the process of the tests."""

from __future__ import annotations

import io
import os
import sys

import pytest
from im_callback.provider_mock import cli

from tests.commands import Ran, Run
from tests.programs import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

WORKERS_PER_CORE = 2
"""Many tests wait for a process or a deadline; others can run meanwhile."""
SETTINGS = ("IM_APP_KEY", "IM_APP_SECRET", "PROVIDER_MOCK_TOKEN", "PROVIDER_MOCK_SERVER")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` means."""
    return WORKERS_PER_CORE * (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command as the installed script would."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["provider-mock", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            cli.entry()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Ran(int(str(ended.value.code or 0)), printed.out, printed.err)

    return command

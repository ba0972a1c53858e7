"""What tests use beside Python. Where it is missing they are left out by name, with the reason; in CI they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

#: The programs, and the Debian packages that hold them.
PACKAGES: Final = {
    "bash": "bash",
    "chromium": "chromium",
    "curl": "curl",
    "go": "golang-go",
    "gofmt": "golang-go",
    "initdb": "postgresql",
    "java": "default-jdk-headless",
    "javac": "default-jdk-headless",
    "mariadb-install-db": "mariadb-server-core mariadb-client-core",
    "mariadbd": "mariadb-server-core",
    "mvn": "maven",
    "node": "nodejs",
    "npm": "npm",
    "openssl": "openssl",
    "php": "php-cli php-mysql php-pgsql",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "redis-server": "redis-server",
    "systemd-analyze": "systemd",
}

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def found(program: str) -> Path | None:
    """Return where a program is, or None."""
    if program == "initdb":
        # Debian keeps it beside the search path, one for each version.
        beside = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        if beside:
            return beside[-1]
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    return Path(path).resolve() if path else None


def missing(*programs: str) -> str:
    """Return which of the programs are not there and what installs them; nothing if all are."""
    absent = [one for one in programs if found(one) is None]
    packages = " ".join(PACKAGES[one] for one in absent)
    return f"not installed: {', '.join(absent)} (Debian: apt-get install {packages})" if absent else ""


def needed(*programs: str) -> None:
    """Leave the test out that asks, unless the programs are there."""
    if reason := missing(*programs):
        pytest.skip(reason)


def pseudo_terminal() -> tuple[int, int]:
    """Return both ends of a new one; leave the test out where the system has none, as in a bare root without /dev/pts."""
    try:
        return os.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal: {error}")


@contextmanager
def spawned(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Run a process that is ended at once where its test fails."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test fail that is left out in CI."""
    return _never_left_out((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let a module fail that is left out in CI."""
    return _never_left_out((yield))


def _never_left_out(report: Report) -> Report:
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"In CI nothing may be left out. {reason}"
    return report

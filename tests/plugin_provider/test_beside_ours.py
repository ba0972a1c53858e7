"""Our own tests do not notice that the package is installed: those that list whatever there is, run beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.plugin_provider.installed import ROOT, SECONDS, environment

LISTING = (
    "tests/conformance/test_effects.py",
    "tests/conformance/test_options.py::TestChosenChecks",
    "tests/docs/test_docs.py::TestExamples::test_check_ids",
    "tests/provider_mock/test_contract.py::TestRequestWritten::test_number",
    "tests/provider_mock/test_providers.py",
    "tests/provider_mock/test_wire.py::TestNamed::test_each",
    "tests/provider_mock_faults/test_catalogue.py",
    "tests/provider_mock_server/test_api.py::TestProviders",
    "tests/provider_mock_server/test_api_errors.py::TestRules",
    "tests/provider_mock_traffic/test_shown.py::TestEvents",
)


def test_not_noticed(site: Path) -> None:
    """They pass as they do without it."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *LISTING]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(site, ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]

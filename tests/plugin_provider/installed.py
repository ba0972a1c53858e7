"""The example of a provider in a package of its own, installed into a folder as a user's package is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "examples" / "provider_plugin"
SECONDS = 300
"""Longer than anything here takes on a busy machine."""
OURS = ("IM_APP_", "PROVIDER_MOCK_", "PYTEST_", "RECEIVER_")


def install(folder: Path) -> Path:
    """Build the package, install it into a folder of its own, and return that."""
    # A copy, because a build leaves its own files beside the source.
    source, site = folder / "source", folder / "site"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    installed = subprocess.run(
        [*pip, "install", "--no-deps", "--no-build-isolation", "--no-index", "--target", site, source],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return site


def environment(*folders: Path, **more: str) -> dict[str, str]:
    """Return an environment in which the packages of these folders are installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, folders)), **more}


def ran(site: Path, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Return what `provider-mock` says where the package is installed."""
    return subprocess.run(
        [sys.executable, "-m", "im_callback.provider_mock", *arguments],
        env=environment(site, **more),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

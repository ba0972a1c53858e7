"""Runs the strict type check over the packages under the name by which they are imported.

Run as a program: arguments go to mypy, and its exit status is the program's. An editable installation leads Python from
`im_callback` to the folders of the checkout by a hook of the import system, which mypy does not ask; links show it the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("schemas", "provider_mock", "conformance")
EXAMPLE = ROOT / "examples" / "provider_plugin" / "acme_hooks"
"""What others write against the packages is checked as strictly."""


def main(arguments: list[str]) -> int:
    """Check the types, and return mypy's exit status."""
    with tempfile.TemporaryDirectory() as tree:
        package = Path(tree, "im_callback")
        package.mkdir()
        for folder in FOLDERS:
            (package / folder).symlink_to(ROOT / folder, target_is_directory=True)
        Path(tree, EXAMPLE.name).symlink_to(EXAMPLE, target_is_directory=True)
        # The place is another each time, so that a cache would only grow.
        checked = arguments or ["--package", "im_callback", "--package", EXAMPLE.name]
        command = [sys.executable, "-m", "mypy", "--cache-dir", os.devnull, *checked]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, "MYPYPATH": tree}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

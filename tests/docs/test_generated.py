"""What the pages repeat of the code is what the code says now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CURRENT = """
import sys
sys.path.insert(0, "docs")
import generate
stale = [path for path, text in generate.pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
for path in stale:
    print(path.relative_to(generate.DOCS.parent))
"""


def test_current() -> None:
    """Every page is current, its generated part at least."""
    # In a process of its own: packages that other tests install add nothing to the pages.
    run = subprocess.run([sys.executable, "-c", CURRENT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ("", "", 0) == (run.stdout, run.stderr, run.returncode), "run: python docs/generate.py"

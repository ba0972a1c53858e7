"""Changes a file as a page shows it: hunks, apart by `@@`, each of which fits in one place."""

from __future__ import annotations

import sys
from pathlib import Path

changed, hunks = Path(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8").split("@@\n")
text = changed.read_text(encoding="utf-8")
for hunk in hunks:
    lines = hunk.splitlines(keepends=True)
    old, new = ("".join(line[1:] or "\n" for line in lines if line[0] in kept) for kept in (" -\n", " +\n"))
    if text.count(old) != 1:
        sys.exit(f"{changed} holds this {text.count(old)} times:\n{old}")
    text = text.replace(old, new)
changed.write_text(text, encoding="utf-8")

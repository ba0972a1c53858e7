"""What a CI system is told without being asked: the job's summary and annotations, on GitHub Actions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from im_callback.conformance.report import github
from im_callback.conformance.report.markdown import LARGEST, markdown
from im_callback.conformance.report.outputs import Document

SUMMARY = "GITHUB_STEP_SUMMARY"
ACTIONS = "GITHUB_ACTIONS"


def add_summary(document: Document) -> str:
    """Add the result to the job's summary, if there is one; return what is to be said of it where that fails."""
    name = os.environ.get(SUMMARY)
    if not name:
        return ""
    try:
        file = Path(name)
        # The limit is that of the file, in which other commands of the step may have written.
        before = file.stat().st_size if file.exists() else 0
        with file.open("a", encoding="utf-8") as stream:
            stream.write("\n" * bool(before) + markdown(document, LARGEST - before - 1))
    except OSError as error:
        return f"{SUMMARY}: {name} could not be written ({error.strerror or error})"
    return ""


def annotation_lines(document: Document) -> Sequence[str]:
    """Return the lines that mark the job; none outside of GitHub Actions."""
    return github.annotation_lines(document) if os.environ.get(ACTIONS) == "true" else ()

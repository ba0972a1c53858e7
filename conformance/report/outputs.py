"""What a run can write: each is a function of the result document alone, so that none says more or less than another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from im_callback.conformance.report.junit import junit
from im_callback.conformance.report.markdown import markdown
from im_callback.conformance.report.sarif import sarif

Document = Mapping[str, Any]
"""What `result_json.document` returns; `result.schema.json` is its schema."""


def as_json(document: Document) -> str:
    """Return the document itself."""
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def as_page(document: Document) -> str:
    """Return the page for people."""
    from im_callback.conformance.report.html import page

    return page(document)


OUTPUTS: Mapping[str, Callable[[Document], str]] = {
    "json": as_json,
    "report": as_page,
    "markdown": markdown,
    "junit": junit,
    "sarif": sarif,
}
"""By the option that names the file."""

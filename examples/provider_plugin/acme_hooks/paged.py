"""Effects from an API that answers in pages: `paged:http://…`.

Each page is an object with the records as `data`, and the address of the next page as `next`, if there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import requests
from im_callback.conformance.effects import EffectsError, SourceOptions

SCHEMES = ("paged",)
SECONDS = 10.0
MOST = 10_000
"""Pages that are read at most."""


def open_source(spec: str, options: SourceOptions) -> Callable[[], Any]:
    """Return a function that reads all pages, the first at the address after the colon."""
    first = spec.partition(":")[2]

    def read() -> Any:
        found: list[Any] = []
        address = first
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(dict(options.headers))
            if options.ca_file is not None:
                session.verify = str(options.ca_file)
            for _ in range(MOST):
                answer = session.get(address, timeout=SECONDS, allow_redirects=False)
                if answer.status_code != 200:
                    raise EffectsError(f"{address} answers with status {answer.status_code}", "Is its test mode on?")
                page = answer.json()
                found += page["data"]
                following = page.get("next")
                if not following:
                    return found
                address = urljoin(address, following)
        raise EffectsError(f"{first} has more than {MOST} pages", "Let it list this run's records alone")

    return read

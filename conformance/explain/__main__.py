"""Writes the pages about checks anew: `python -m im_callback.conformance.explain docs/checks`."""

from __future__ import annotations

import sys
from pathlib import Path

from im_callback.conformance.explain.pages import NoIndex, renew


def main(arguments: list[str]) -> int:
    """Write the pages below the folder that is named; say which have changed."""
    try:
        for path in renew(Path(*arguments[:1])):
            print(path)  # noqa: T201
    except NoIndex as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

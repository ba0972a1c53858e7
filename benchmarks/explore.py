"""How soon a search finds what takes several steps, and whether it leaves a good receiver alone.

Run it with ``python -m benchmarks.explore`` for a minute against each faulty receiver of the tests, or with
``--good SECONDS`` against a good one.
"""

from __future__ import annotations

import argparse
import time

from im_callback.conformance.explore.search import explore

from tests.explore import faulty
from tests.explore.exploring import exploring
from tests.receivers.good import Good


def searched(receiver: Good, seconds: float) -> None:
    """Search so long, and print what came of it."""
    wanted = getattr(receiver, "invariant", "")
    with exploring(receiver, direct=False) as run:
        started = time.monotonic()
        found = explore(run, seconds, **({"enough": {wanted}} if wanted else {}))
        took = time.monotonic() - started
    told = ", ".join(
        f"{name} {one.failed} of {one.of} times after {one.script.deliveries} deliveries"
        for name, one in found.findings.items()
    )
    print(
        f"{type(receiver).__name__}: {told or 'nothing found'}; {found.tried} sequences, "
        f"{found.deliveries} deliveries in {took:.0f} s"
    )


def main() -> None:
    """Read what was typed, and search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provider", default="rongcloud")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--good", type=float, help="search a good receiver instead, for so many seconds")
    given = parser.parse_args()
    if given.good:
        searched(Good(given.provider), given.good)
        return
    for kind in vars(faulty).values():
        if isinstance(kind, type) and issubclass(kind, faulty.Faulty) and vars(kind).get("invariant"):
            searched(kind(given.provider), given.seconds)


if __name__ == "__main__":
    main()

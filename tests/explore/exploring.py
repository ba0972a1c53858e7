"""A search against a receiver of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from im_callback.conformance.effects import mapped
from im_callback.conformance.preflight import Preflight
from im_callback.conformance.run import Run
from im_callback.conformance.settings import Settings
from im_callback.provider_mock import providers

from tests.explore.faulty import Restarting
from tests.receivers.direct import hand_over
from tests.receivers.good import Good
from tests.receivers.serving import serve


@contextmanager
def exploring(receiver: Good, *, settle: float = 0.3, direct: bool = True, **settings: Any) -> Iterator[Run]:
    """Yield a run against the receiver, after its preflight; one that is not killed gets its requests without a network."""
    provider = providers.load(receiver.provider)
    with serve(receiver) as url:
        chosen = {
            "seed": 1,
            "settle": max(settle, receiver.settle),
            "handles": receiver.handles,
            "unordered": receiver.unordered,
            "feeds": provider.feeds[:1],
            "findings": Path("/nonexistent"),
            **settings,
        }
        run = Run(Settings(url, provider, provider.defaults, **chosen), mapped(receiver.effects, None))
        if isinstance(receiver, Restarting):
            run.receiver = receiver  # type: ignore[assignment]
        elif direct:
            hand_over(run, receiver)
        Preflight(run).require(effects=True)
        yield run

"""Runs against a receiver that is started by command, with its store behind the proxy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from im_callback.conformance.around.command import free_port
from im_callback.conformance.around.surroundings import Surroundings
from im_callback.conformance.check import all_checks
from im_callback.conformance.effects import mapped
from im_callback.conformance.run import Run
from im_callback.conformance.settings import Settings
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Provider

from tests.around.store import Store, storing
from tests.feeds import changed

PROGRAM = Path(__file__).with_name("receiver.py")
DEADLINE = 2.5
"""Seconds that the provider of these tests waits for an answer."""
AROUND = {one.slug: one for one in all_checks() if one.option}


def command(fault: str = "Good", more: str = "") -> str:
    """Return the shell text that starts a receiver with a fault."""
    return f"exec {sys.executable} {PROGRAM} --port {{port}} --store {{downstream}} --fault {fault} {more}"


def quick(provider: str) -> Provider:
    """Return a provider that waits for no longer than need be."""
    return changed(providers.load(provider), deadline=DEADLINE)


@contextmanager
def surrounded(
    text: str, provider: Provider, folder: Path, *, feed: str = "", **settings: Any
) -> Iterator[tuple[Run, Store]]:
    """Yield a run against what the command starts, and its store."""
    with storing() as store:
        (folder / "store").write_text(str(store.port), encoding="utf-8")
        chosen = Settings(
            f"http://127.0.0.1:{free_port()}/hook",
            provider,
            provider.defaults,
            seed=1,
            settle=0.6,
            command=text,
            downstream=("127.0.0.1", store.port),
            folder=folder,
            feeds=(provider.feed(feed),) if feed else provider.feeds[:1],
            **settings,
        )
        around = Surroundings(chosen)
        try:
            around.open_downstream()
            around.start_receiver()
            run = Run(chosen, mapped(lambda: list(store.records), None))
            run.receiver, run.downstream = around.receiver, around.downstream
            yield run, store
        finally:
            around.close()

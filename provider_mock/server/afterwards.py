"""Switches faults on and off for what is waiting already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import SystemRandom

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.disturbance import disturbed
from im_callback.provider_mock.delivery.fault import NothingToDisturb
from im_callback.provider_mock.delivery.ledger import Ledger, Waiting

TOGETHER = 100
"""Neighbours that faults can move among each other at most."""


def switch(ledger: Ledger, name: str, app: App | None, faults: Sequence[str], now: int) -> int:
    """Disturb an app's deliveries that wait and were never attempted by these faults alone; return how many changed.

    Without faults they are left as they are sent usually. Those that were accepted after one another, and are due
    at one time, are disturbed together; what the faults cannot do anything to is left undisturbed.
    `app` can be None where there are no faults. Raises what `disturbed` raises, and LedgerError.
    """
    ids = ledger.never_attempted(name)
    if not faults:
        return ledger.replan(dict.fromkeys(ids))
    assert app is not None
    changed = offset = 0
    seed = SystemRandom().randrange(2**32)
    for start in range(0, len(ids), TOGETHER):
        for group in _groups(ledger.waiting(ids[start : start + TOGETHER]), now):
            changed += ledger.replan(_plans(app, group, faults, seed, offset))
            offset += len(group)
    return changed


def _plans(app: App, group: Sequence[Waiting], faults: Sequence[str], seed: int, offset: int) -> dict[int, str | None]:
    batches = [[Event(one.event_type, payload) for payload in one.payloads] for one in group]
    try:
        plans = disturbed(faults, app.provider, app.credentials, batches, seed, offset, proxied=app.proxy is not None)
    except NothingToDisturb:
        plans = [None] * len(group)
    return {one.id: plan for one, plan in zip(group, plans, strict=True)}


def _groups(found: Sequence[Waiting], now: int) -> Iterator[list[Waiting]]:
    """Yield deliveries whose ids follow one another, and that are due at one time or already."""
    group: list[Waiting] = []
    for one in found:
        if group and (one.id != group[-1].id + 1 or max(now, one.due_at) != max(now, group[-1].due_at)):
            yield group
            group = []
        group.append(one)
    if group:
        yield group

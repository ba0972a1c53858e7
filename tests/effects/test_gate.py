"""The checks, judged by what stands in a store: a good receiver passes, and one that keeps repeats is found out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import count
from typing import Any

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.effects import SourceOptions, open_effects
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Verdict
from im_callback.provider_mock import providers

from tests.effects import stores
from tests.effects.stores import Store
from tests.receivers.good import Entry, Good
from tests.receivers.serving import serve

PROVIDER = "commsease"
CHECKS = {
    "preflight.records",
    "deduplication.same-request-again",
    "deduplication.twins-are-kept",
    "ordering.stale-ignored",
    "ordering.newest-wins",
    "ordering.listed-in-order",
    "signature.rejects-wrong-secret",
    "acknowledgement.nothing-acked-is-lost",
}
REPEATS = {"deduplication.same-request-again": Verdict.FAIL, "deduplication.twins-are-kept": Verdict.PASS}


class Keeps(Good):
    """Keeps its records in a store, beside what it must remember."""

    def __init__(self, store: Store, *, hashed: bool = False) -> None:
        super().__init__(PROVIDER)
        self.store, self.hashed = store, hashed
        self.numbers = count(10**6)

    def show(self, entry: Entry) -> None:
        super().show(entry)
        self.store.add(self.row(entry))

    def note(self, entry: Entry) -> None:
        before = self.entries
        super().note(entry)
        for gone in before:
            if gone not in self.entries:
                self.store.remove(self.row(gone))

    def row(self, entry: Entry) -> dict[str, Any]:
        # Hashes have a key each.
        order = next(self.numbers) if self.hashed else (entry.at or (0,))[0]
        return {**entry.item, "n": order}


class KeepsRepeats(Keeps):
    """Keeps every delivery as a new one."""

    def repeated(self, entry: Entry) -> bool:
        return False


def verdicts(receiver: Keeps, names: Collection[str]) -> dict[str, Verdict]:
    """Return what the checks say about a receiver, with records of an earlier run in its store."""
    provider, store = providers.load(PROVIDER), receiver.store
    store.add({"n": 1, "eventType": "2", "accid": "earlier"}, {"n": 2, "eventType": "1", "msgidServer": "1"})
    with serve(receiver) as url:
        settings = Settings(url, provider, provider.defaults, seed=20, settle=3, feeds=provider.feeds[:1])
        options = SourceOptions(query=store.query, run=settings.tag)
        read = open_effects(store.spec, options, None if isinstance(store, stores.RedisKey) else store.mapping)
        read.mark()
        run = Run(settings, read)
        try:
            named = {one.id(provider).partition(".")[2]: one for one in all_checks() if one.among(run.feeds)}
            return {name: run_check(one, run).verdict for name, one in named.items() if name in names}
        finally:
            read.close()
            store.close()


@pytest.mark.parametrize(
    ("kind", "needs", "may_not_apply"),
    [
        (stores.Postgres, "postgresql", set()),
        (stores.MariadbTable, "mariadb", set()),
        (stores.RedisSorted, "redis_port", set()),
        (stores.RedisHashes, "redis_port", {"ordering.newest-wins", "ordering.listed-in-order"}),
    ],
)
def test_judged(
    kind: Callable[..., Store], needs: str, may_not_apply: set[str], request: pytest.FixtureRequest
) -> None:
    """By a table, a sorted set, and hashes that show no order."""
    server = request.getfixturevalue(needs)
    hashed = bool(may_not_apply)
    good = verdicts(Keeps(kind(server), hashed=hashed), CHECKS)
    assert {one: Verdict.NOT_APPLICABLE if one in may_not_apply else Verdict.PASS for one in CHECKS} == good
    # Of two members that are equal a sorted set keeps one.
    if kind is not stores.RedisSorted:
        assert verdicts(KeepsRepeats(kind(server), hashed=hashed), REPEATS) == REPEATS

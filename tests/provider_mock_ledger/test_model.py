"""The ledger beside a dictionary, step by step, through restarts."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from im_callback.provider_mock.delivery.ledger import STATES, Ledger

from tests.provider_mock_ledger.postgres import Cluster
from tests.provider_mock_ledger.values import NOW, Clock, done, new

SHARED_MEMORY = Path("/dev/shm")
APPS = ("one", "two")
times = st.integers(NOW - 5, NOW + 5)
apps = st.sampled_from(APPS)
states = st.sampled_from(STATES)


@dataclass
class Known:
    """What the dictionary knows of a delivery."""

    app: str
    payload: dict[str, Any]
    due_at: int
    created_at: int
    key: str | None
    state: str = "waiting"
    attempts: int = 0
    earlier: int = 0


class Model(RuleBasedStateMachine):
    """Rules are what the engine and the server do; after each, everything must agree."""

    deliveries: Bundle[int] = Bundle("deliveries")

    def __init__(self) -> None:
        super().__init__()
        self.url = self.make_url()
        self.clock = Clock()
        self.known: dict[int, Known] = {}
        self.last_id = 0
        self.open()

    def open(self) -> None:
        self.ledger = Ledger(self.url, clock=self.clock, group_rows=7, group_seconds=0.001)

    def teardown(self) -> None:
        self.ledger.close()
        self.clean_up()

    def make_url(self) -> str:
        # In memory where there is a place for that: this is about what is stored, not about disks.
        self.folder = tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None)
        return f"{self.folder.name}/ledger.db"

    def clean_up(self) -> None:
        self.folder.cleanup()

    @rule(
        target=deliveries,
        batch=st.lists(st.tuples(apps, times, st.none() | st.sampled_from("abc"), st.integers()), max_size=5),
    )
    def accept(self, batch: list[tuple[str, int, str | None, int]]) -> Any:
        """New ids rise; a known key gives the id that it has."""
        ids = self.ledger.accept([new(app, due_at, key, n=n) for app, due_at, key, n in batch])
        for delivery_id, (app, due_at, key, n) in zip(ids, batch, strict=True):
            first = next((i for i, k in self.known.items() if key and (k.app, k.key) == (app, key)), None)
            if first is not None:
                assert first == delivery_id
            else:
                assert delivery_id > self.last_id
                self.last_id = delivery_id
                self.known[delivery_id] = Known(app, {"n": n}, due_at, self.clock.now, key)
        return multiple(*ids)

    @rule(delivery_id=deliveries, state=states, due_at=times)
    def record(self, delivery_id: int, state: str, due_at: int) -> None:
        """An attempt of a delivery that was due; a late one of another, as of a duplicate, makes nothing due."""
        if (known := self.known.get(delivery_id)) is not None:
            if (known.state, known.due_at <= NOW) != ("waiting", True) and (state, due_at <= NOW) == ("waiting", True):
                state = "acked"
            known.attempts += 1
            known.state, known.due_at = state, due_at
            self.ledger.record([done(delivery_id, known.attempts, state, due_at)])

    @rule(app=apps, limit=st.none() | st.integers(0, 3))
    def release(self, app: str, limit: int | None) -> None:
        """Parked ones, the longest waiting first."""
        parked = sorted((k.due_at, i) for i, k in self.known.items() if (k.app, k.state) == (app, "parked"))[:limit]
        assert len(parked) == self.ledger.release(app, limit)
        self.again([i for _, i in parked])

    @rule(ids=st.lists(deliveries, max_size=4, unique=True))
    def redeliver(self, ids: list[int]) -> None:
        """By id."""
        there = [i for i in ids if i in self.known]
        assert len(there) == self.ledger.redeliver(ids)
        self.again(there)

    @rule(before=times, chosen=st.sets(states, min_size=1))
    def prune(self, before: int, chosen: set[str]) -> None:
        """By age and state."""
        gone = [i for i, k in self.known.items() if k.created_at < before and k.state in chosen]
        assert len(gone) == self.ledger.prune(before, tuple(chosen))
        for delivery_id in gone:
            del self.known[delivery_id]

    @rule(step=st.integers(-2, 3))
    def time_passes(self, step: int) -> None:
        """Or goes back a little."""
        self.clock.now += step

    @rule()
    def restart(self) -> None:
        """Closing writes what was queued."""
        self.ledger.close()
        self.open()

    @rule(delivery_id=consumes(deliveries))
    def look(self, delivery_id: int) -> None:
        """A delivery with its attempts."""
        self.ledger.flush()
        record, known = self.ledger.delivery(delivery_id), self.known.get(delivery_id)
        numbers = [attempt.number for attempt in self.ledger.attempts(delivery_id)]
        if known is None:
            assert (None, []) == (record, numbers)
        else:
            assert record is not None
            assert (known.state, known.due_at, known.attempts, known.earlier, known.key) == (
                record.state,
                record.due_at,
                record.attempts,
                record.earlier,
                record.idempotency_key,
            )
            assert list(range(1, known.attempts + 1)) == numbers

    @invariant()
    def agrees(self) -> None:
        """What is due, before and after what was recorded is on disk, and all the counts."""
        for app in APPS:
            wanted = {
                i: (k.payload, k.attempts, k.earlier)
                for i, k in self.known.items()
                if (k.app, k.state) == (app, "waiting") and k.due_at <= NOW
            }
            assert wanted == self.due(app)
            later = [k.due_at for k in self.known.values() if (k.app, k.state) == (app, "waiting") and k.due_at > NOW]
            parked = sum((k.app, k.state) == (app, "parked") for k in self.known.values())
            for _ in range(2):
                assert min(later, default=None) == self.ledger.next_due(app, NOW)
                assert parked == self.ledger.backlog(app)
                assert wanted == self.due(app)
                self.ledger.flush()
            counts = [k.state for k in self.known.values() if k.app == app]
            assert {state: counts.count(state) for state in STATES} == self.ledger.counts(app)

    def due(self, app: str) -> dict[int, Any]:
        found, after = {}, None
        while page := self.ledger.due(app, NOW, 3, after):
            found.update({w.id: (w.payloads[0], w.attempts, w.earlier) for w in page})
            after = (page[-1].due_at, page[-1].id)
        return found

    def again(self, ids: list[int]) -> None:
        for delivery_id in ids:
            known = self.known[delivery_id]
            known.state, known.due_at, known.earlier = "waiting", self.clock.now, known.attempts


TestModel = Model.TestCase
TestModel.settings = settings(derandomize=True, deadline=None, max_examples=25, stateful_step_count=20)


def test_on_postgresql(postgres: Cluster) -> None:
    """The same."""

    class OnPostgresql(Model):
        def make_url(self) -> str:
            return postgres.new_schema()

        def clean_up(self) -> None:
            """Leave it to the server's end."""

    few = settings(derandomize=True, deadline=None, max_examples=10, stateful_step_count=15)
    run_state_machine_as_test(OnPostgresql, settings=few)  # type: ignore[no-untyped-call]

"""Calls with idempotency keys, and plans that are changed while deliveries wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from im_callback.provider_mock.delivery.ledger import Call, Ledger, Query
from im_callback.provider_mock.delivery.ledger.database import Database, transaction
from im_callback.provider_mock.delivery.ledger.migrations.upgrade import STEPS, climb

from tests.provider_mock_ledger.values import NOW, Clock, done, new


class TestCall:
    """A call is on record for as long as any of its deliveries is."""

    def test_its_deliveries(self, ledger: Ledger) -> None:
        """It finds them, between those of others, and of its own app alone."""
        ledger.accept([new()])
        ids = ledger.accept([new(), new(), new()], key="k", asked="this")
        ledger.accept([new()], key="other", asked="that")
        found = ledger.call("shop", "k")
        assert Call("shop", "k", ids[0], ids[2], "this") == found
        assert ids == list(found.ids) == ledger.on_record(found.ids)
        assert list(reversed(ids)) == [one.id for one in ledger.deliveries(Query(app="shop", call="k"))]
        assert [] == ledger.deliveries(Query(app="elsewhere", call="k"))
        assert [] == ledger.deliveries(Query(app="shop", call="unknown"))
        assert ledger.call("elsewhere", "k") is None

    def test_pruned(self, ledger: Ledger, clock: Clock) -> None:
        """It goes with the last one, and no other goes with it."""
        ids = ledger.accept([new(), new()], key="k")
        ledger.accept([new()], key="other")
        ledger.record([done(ids[0], state="acked")])
        ledger.flush()
        assert 1 == ledger.prune(NOW + 1)
        found = ledger.call("shop", "k")
        assert found is not None
        assert [ids[1]] == ledger.on_record(found.ids)
        ledger.record([done(ids[1], state="acked")])
        ledger.flush()
        assert 1 == ledger.prune(NOW + 1)
        assert ledger.call("shop", "k") is None
        assert ledger.call("shop", "other") is not None

    def test_redelivered(self, ledger: Ledger) -> None:
        """A query for a call is one like any other."""
        ids = ledger.accept([new(), new()], key="k")
        ledger.accept([new()])
        ledger.record([done(ids[0], state="acked")])
        assert 1 == ledger.redeliver(Query(app="shop", call="k", states=("acked",)))

    def test_of_an_earlier_release(self, url: str, opened: Callable[..., Ledger]) -> None:
        """Its key and its deliveries are known, also where some were pruned; what it asked for is not."""
        database = Database(url)
        connection = database.writer()
        with transaction(connection):
            climb(connection, STEPS, 4)
            for row_id, key in ((3, "a"), (4, "a\x1f2/3"), (5, "a\x1f3/3"), (6, "b"), (9, "c\x1f2/4")):
                connection.exec_driver_sql(
                    "INSERT INTO delivery (id, app, event_type, payload, state, due_at, created_at, idempotency_key)"
                    f" VALUES ({row_id}, 'shop', 'commsease.login', '[{{}}]', 'waiting', 0, 0, '{key}')"
                )
        connection.close()
        database.close()
        ledger = opened(url)
        calls = [ledger.call("shop", key) for key in "abc"]
        expected = [("a", 3, 5), ("b", 6, 6), ("c", 8, 11)]
        assert [Call("shop", key, first, last, None) for key, first, last in expected] == calls
        assert [10] == ledger.accept([new()])


class TestReplan:
    """Deliveries that wait and were never attempted get other plans."""

    def test_only_those(self, ledger: Ledger) -> None:
        """The others keep theirs, and only changes are counted."""
        ids = ledger.accept([replace(new(), plan="old") for _ in range(4)])
        ledger.accept([new("other")])
        ledger.record([done(ids[0], state="acked"), done(ids[1], state="waiting")])
        assert ids[2:] == list(ledger.never_attempted("shop"))
        assert ids[2:] == [one.id for one in ledger.waiting(ids)]
        assert 1 == ledger.replan({ids[0]: "new", ids[1]: "new", ids[2]: "new", ids[3]: "old"})
        assert ["old", "old", "new", "old"] == [one.plan for one in map(ledger.delivery, ids) if one]
        assert 2 == ledger.replan(dict.fromkeys(ids))
        assert ["old", "old", None, None] == [one.plan for one in map(ledger.delivery, ids) if one]

    def test_many(self, ledger: Ledger) -> None:
        """More than one chunk."""
        ids = ledger.accept([new() for _ in range(1200)])
        assert 1200 == ledger.replan(dict.fromkeys(ledger.never_attempted("shop"), "plan"))
        assert {"plan"} == {one.plan for one in ledger.waiting(ids)}

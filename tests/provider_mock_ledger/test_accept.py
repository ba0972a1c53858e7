"""Accepting: what was accepted is there, exactly, once for a key, and many callers share a commit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from im_callback.provider_mock.delivery.ledger import Kept, Ledger, LedgerClosed, LedgerReader, NewDelivery
from im_callback.provider_mock.delivery.ledger.records import to_row
from sqlalchemy import Connection

from tests.provider_mock.strategies import json_values
from tests.provider_mock_ledger.values import NOW, new

AWKWARD: list[Any] = [
    {"msgidServer": 2**63 + 2**53 + 1, "negative": -(2**70)},
    {"text": "你好, 😀, \u2028, \x00, \x7f, \ufeff, \\u0000, ' \" \\"},
    {"half a surrogate pair": "\ud83d", "键": "\udc80"},
    {"floats": [0.1, 1e308, 5e-324, -0.0, 1.0, 100000000000000000000.0]},
    {"": None, "nested": [[], {}, [{}], True, False]},
    {"null": "null", "e": 1e22, "large": 2**64, "small": -(2**63)},
    {"msgBody": '{"json":"in a string, with 🙂 and \\ud83d"}'},
    {"z": 1, "a": 2, "m": 3},
]


class TestAccept:
    """Returns ids once the rows are on disk."""

    def test_other_processes_see_it_at_once(self, ledger: Ledger, url: str) -> None:
        """What `accept` returned is committed."""
        (first,) = ledger.accept([new(n=1)])
        with LedgerReader(url) as reader:
            assert {"n": 1} == reader.delivery(first).payloads[0]  # type: ignore[union-attr]

    def test_ids_are_in_the_order_given(self, ledger: Ledger) -> None:
        """A batch of any size keeps its order."""
        ids = ledger.accept([new(n=n) for n in range(1234)])
        assert sorted(ids) == ids
        assert list(range(1234)) == [w.payloads[0]["n"] for w in ledger.due("shop", NOW, 2000)]

    def test_nothing(self, ledger: Ledger) -> None:
        """An empty batch has no ids."""
        assert [] == ledger.accept([])

    @pytest.mark.parametrize("payload", AWKWARD)
    def test_payloads_are_kept_exactly(self, ledger: Ledger, payload: dict[str, Any]) -> None:
        """Values, their types, the order of keys, on both ways out."""
        (delivery_id,) = ledger.accept([NewDelivery("shop", "x", (payload, payload), NOW)])
        expected = repr((payload, payload))
        assert expected == repr(ledger.due("shop", NOW, 1)[0].payloads)
        assert expected == repr(ledger.delivery(delivery_id).payloads)  # type: ignore[union-attr]

    @settings(
        derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(value=json_values)
    def test_any_json(self, ledger: Ledger, value: Any) -> None:
        """Whatever JSON can express."""
        (delivery_id,) = ledger.accept([new(value=value)])
        assert repr({"value": value}) == repr(ledger.delivery(delivery_id).payloads[0])  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            (NewDelivery("shop", "x", (), NOW), "payload"),
            (NewDelivery("shop", "x", ({"n": float("nan")},), NOW), "payload"),
            (NewDelivery("shop", "x", ({"n": object()},), NOW), "payload"),
            (NewDelivery("shop", "x", ({"n": [None, float("-inf")]},), NOW), "payload"),
            (NewDelivery("shop", "x", ({"at": datetime(2024, 4, 5, tzinfo=timezone.utc)},), NOW), "payload"),
            (NewDelivery("shop", "x", ({},), 2**63), "due_at"),
            (NewDelivery("sh\0p", "x", ({},), NOW), "app"),
            (NewDelivery("shop", "\ud800", ({},), NOW), "event_type"),
            (NewDelivery("shop", "x", ({},), NOW, "k\0"), "idempotency_key"),
        ],
    )
    def test_what_cannot_be_stored_is_refused_whole(self, ledger: Ledger, wrong: NewDelivery, named: str) -> None:
        """The error names the field, and nothing of the batch is kept."""
        with pytest.raises(ValueError, match=named):
            ledger.accept([new(), wrong])
        assert 0 == ledger.counts()["waiting"]

    def test_after_closing(self, ledger: Ledger) -> None:
        """A closed ledger says that it is closed; closing again is harmless."""
        ledger.close()
        ledger.close()
        with pytest.raises(LedgerClosed, match="is closed"):
            ledger.accept([new()])


class TestIdempotencyKey:
    """One app's key stands for one delivery."""

    def test_the_first_one_counts(self, ledger: Ledger) -> None:
        """Later ones get its id and add nothing, in the same batch and after."""
        first, other, again = ledger.accept([new(key="k", n=1), new(key="l"), new(key="k", n=2)])
        assert (first, True) == (again, first != other)
        assert [first] == ledger.accept([new(key="k", n=3)])
        assert 2 == ledger.counts()["waiting"]
        assert ({"n": 1},) == ledger.delivery(first).payloads  # type: ignore[union-attr]

    def test_each_app_has_its_own(self, ledger: Ledger) -> None:
        """Two apps may use the same key."""
        assert 2 == len(set(ledger.accept([new("one", key="k"), new("two", key="k")])))

    def test_after_a_restart(self, url: str, opened: Callable[..., Ledger]) -> None:
        """Keys are as durable as deliveries."""
        with opened(url) as ledger:
            ids = ledger.accept([new(key=f"key-{n}") for n in range(1100)])
        assert ids == opened(url).accept([new(key=f"key-{n}") for n in range(1100)])

    def test_at_the_same_time(self, ledger: Ledger) -> None:
        """Threads that race with the same keys agree on the ids."""
        barrier = threading.Barrier(8)

        def work(_: int) -> list[int]:
            barrier.wait()
            return [ledger.accept([new(key=f"key-{n}"), new(key="same")])[0] for n in range(20)]

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(work, range(8)))
        assert [answers[0]] * 8 == answers
        assert 21 == ledger.counts()["waiting"]


class TestGroups:
    """Commits are shared."""

    def test_many_threads_share_commits(self, ledger: Ledger) -> None:
        """Those who come while a commit runs are all in the next one."""
        barrier = threading.Barrier(32)

        def work(n: int) -> list[int]:
            barrier.wait()
            return [ledger.accept([new(n=n)])[0] for _ in range(10)]

        with ThreadPoolExecutor(32) as pool:
            ids = [delivery_id for part in pool.map(work, range(32)) for delivery_id in part]
        health = ledger.health()
        assert 320 == len(set(ids)) == health.rows == ledger.counts()["waiting"]
        assert health.groups < 160

    def test_a_batch_is_one_commit(self, ledger: Ledger) -> None:
        """However large it is: all of it is stored or nothing."""
        ledger.accept([new() for _ in range(1700)])
        assert (1, 1700) == (ledger.health().groups, ledger.health().rows)


class TestAlong:
    """What is known of an app is changed with its deliveries."""

    def test_both(self, ledger: Ledger) -> None:
        """They are there together."""
        ledger.save_state("shop", {("group", "old"): Kept({"n": 1})})
        ledger.accept([new()], state={("group", "new"): Kept({"n": 2}), ("group", "old"): None})
        assert ({"n": 2}, None) == (ledger.state("shop", "group", "new"), ledger.state("shop", "group", "old"))
        assert 1 == ledger.counts()["waiting"]

    def test_neither(self, ledger: Ledger) -> None:
        """What cannot be stored keeps the deliveries out, and those of others in."""

        def fails(connection: Connection) -> None:
            raise ValueError("it cannot be stored")

        with ThreadPoolExecutor(8) as pool:
            others = [pool.submit(ledger.accept, [new(n=n)]) for n in range(20)]
            with pytest.raises(ValueError, match="it cannot be stored"):
                ledger._writer.accept([to_row(new(n=99))], along=fails)
        assert 20 == len({other.result()[0] for other in others}) == ledger.counts()["waiting"]

"""Manual synchronisation, redelivery, retention, listings, apps and settings."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock.delivery.ledger import Kept, Ledger, LedgerReader, Query, StoredApp

from tests.provider_mock_ledger.values import NOW, Clock, done, new


def filled(ledger: Ledger, *states: str, app: str = "shop") -> list[int]:
    """Accept a delivery for each state, with one attempt that led there."""
    ids = ledger.accept([new(app) for _ in states])
    for delivery_id, state in zip(ids, states, strict=True):
        if state != "waiting":
            ledger.record([done(delivery_id, state=state)])
    ledger.flush()
    return ids


class TestEmpty:
    """An app begins with nothing again."""

    def test_all_states(self, ledger: Ledger) -> None:
        """More than one chunk, of every state, with the attempts, and of this app only; ids are not given again."""
        ids = filled(ledger, *["waiting", "acked", "declined", "dropped", "parked"] * 120)
        others = filled(ledger, "parked", app="other")
        for app in ("shop", "other"):
            ledger.save_state(app, {("group", "one"): Kept({"name": app})})
        assert 600 == ledger.empty("shop")
        assert {"other": 1} == {app: sum(states.values()) for app, states in ledger.counts_by_app().items()}
        assert [] == ledger.attempts(ids[1])
        assert [] == ledger.due("shop", NOW + 10**6, 10)
        assert others[0] < ledger.accept([new()])[0]
        assert (None, {"name": "other"}) == (
            ledger.state("shop", "group", "one"),
            ledger.state("other", "group", "one"),
        )


class TestRelease:
    """Parked deliveries go out again when the team asks for them."""

    def test_the_longest_waiting_first(self, ledger: Ledger, clock: Clock) -> None:
        """As many as asked for, due at once, with a fresh retry policy and all their attempts."""
        ids = ledger.accept([new() for _ in range(3)])
        for number, delivery_id in enumerate(ids):
            ledger.record([done(delivery_id, 1000, "parked", NOW - number)])
        clock.now = NOW + 5
        assert 2 == ledger.release("shop", 2)
        due = ledger.due("shop", NOW + 5, 10)
        assert [(ids[1], 1000, 1000, ()), (ids[2], 1000, 1000, ())] == [
            (w.id, w.attempts, w.earlier, w.outcomes) for w in due
        ]
        assert [ids[0]] == [r.id for r in ledger.parked("shop")]
        assert (1, 0) == (ledger.release("shop"), ledger.release("shop"))

    def test_many(self, ledger: Ledger) -> None:
        """More than one chunk, of this app only."""
        filled(ledger, *["parked"] * 1234)
        filled(ledger, "parked", app="other")
        assert 1234 == ledger.release("shop")
        assert {"waiting": 1234, "parked": 1} == {k: v for k, v in ledger.counts().items() if v}

    def test_parked_in_pages(self, ledger: Ledger) -> None:
        """due_at and id lead to the next page."""
        ids = filled(ledger, *["parked"] * 5)
        seen, cursor = [], None
        while page := ledger.parked("shop", cursor, 2):
            seen += [record.id for record in page]
            cursor = (page[-1].due_at, page[-1].id)
        assert ids == seen


class TestRedeliver:
    """Sends again what is over."""

    def test_by_id(self, ledger: Ledger, clock: Clock) -> None:
        """Of any state, due now; ids that do not exist do not count."""
        ids = filled(ledger, "acked", "declined", "dropped", "parked", "waiting")
        clock.now = NOW + 7
        assert 4 == ledger.redeliver([*ids[1:], 999])
        assert [(n, NOW + 7) for n in ids[1:]] == [(w.id, w.due_at) for w in ledger.due("shop", NOW + 7, 10)]

    def test_by_query(self, ledger: Ledger) -> None:
        """Only what the query asks for."""
        filled(ledger, *["acked", "dropped"] * 600)
        filled(ledger, "dropped", app="other")
        assert 600 == ledger.redeliver(Query(app="shop", states=("dropped",)))
        assert {"waiting": 600, "acked": 600, "dropped": 1} == {k: v for k, v in ledger.counts().items() if v}

    def test_numbers_go_on(self, ledger: Ledger) -> None:
        """The next attempt does not take the number of an earlier one, nor their place in the policy."""
        (delivery_id,) = filled(ledger, "dropped")
        ledger.redeliver([delivery_id])
        (waiting,) = ledger.due("shop", NOW, 1)
        assert (1, ()) == (waiting.attempts, waiting.outcomes)
        ledger.record([done(delivery_id, 2, "waiting")])
        ledger.flush()
        assert ("timed out",) == ledger.due("shop", NOW, 1)[0].outcomes


class TestPrune:
    """Retention."""

    def test_old_and_over(self, ledger: Ledger, clock: Clock) -> None:
        """What was accepted before the time, acked, declined or dropped, goes with its attempts; the rest stays."""
        old = filled(ledger, "acked", "declined", "dropped", "parked", "waiting")
        clock.now = NOW + 1000
        (young,) = filled(ledger, "acked")
        assert 3 == ledger.prune(NOW + 1000)
        assert [young, old[4], old[3]] == [record.id for record in ledger.deliveries()]
        assert [0, 0, 0, 1] == [len(ledger.attempts(one)) for one in old[:4]]

    def test_states_by_name(self, ledger: Ledger) -> None:
        """Other states on request; unknown ones are an error."""
        filled(ledger, "acked", "parked")
        assert 1 == ledger.prune(NOW + 1, ("parked",))
        with pytest.raises(ValueError, match="'lost' is no state"):
            ledger.prune(NOW, ("lost",))

    def test_in_chunks(self, ledger: Ledger) -> None:
        """Many need many short transactions, between which others get their turn."""
        filled(ledger, *["acked"] * 1600)
        assert 1600 == ledger.prune(NOW + 1)
        assert 0 == sum(ledger.counts().values())

    def test_ids_are_not_given_again(self, url: str, opened: Callable[..., Ledger]) -> None:
        """Not even after a restart, when nothing is left."""
        with opened(url) as ledger:
            ids = filled(ledger, "acked", "acked")
            ledger.prune(NOW + 1)
        assert opened(url).accept([new()])[0] > max(ids)

    def test_keys_can_be_used_again(self, ledger: Ledger) -> None:
        """A key lives as long as its delivery."""
        (first,) = ledger.accept([new(key="k")])
        ledger.prune(NOW + 1, ("waiting",))
        assert first < ledger.accept([new(key="k")])[0]


class TestDeliveries:
    """Listings for people."""

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (Query(), [4, 3, 2, 1, 0]),
            (Query(app="other"), [4]),
            (Query(states=("acked", "parked")), [4, 2, 0]),
            (Query(app="shop", states=("dropped",)), [1]),
            (Query(last_outcome="timed out"), [2]),
            (Query(event_type="commsease.logout"), []),
            (Query(idempotency_key="k"), []),
            (Query(since=NOW + 1), [4]),
            (Query(until=NOW + 1), [3, 2, 1, 0]),
        ],
    )
    def test_queries(self, ledger: Ledger, clock: Clock, query: Query, expected: list[int]) -> None:
        """Everything that is given must hold; newest first."""
        ids = filled(ledger, "acked", "dropped", "parked", "waiting")
        clock.now += 1
        ids += filled(ledger, "acked", app="other")
        assert [ids[n] for n in expected] == [record.id for record in ledger.deliveries(query)]

    def test_pages(self, ledger: Ledger) -> None:
        """The id of the last one leads to the next page."""
        ids = filled(ledger, *["acked"] * 7)
        seen, cursor = [], None
        while page := ledger.deliveries(Query(app="shop"), cursor, 3):
            seen += [record.id for record in page]
            cursor = page[-1].id
        assert ids[::-1] == seen

    def test_text(self, ledger: Ledger) -> None:
        """A text is looked for in the payloads, whatever its case and signs, and among the ids."""
        ids = ledger.accept([new(body="Hello 50% _x\\y"), new(body="你好"), new(body="hello 500")])
        for text, expected in (
            ("HELLO", [2, 0]), ("50%", [0]), ("_X", [0]), ("你好", [1]), ('"body":"hello 500"', [2]), ("none", []),
        ):  # fmt: skip
            assert [ids[n] for n in expected] == [one.id for one in ledger.deliveries(Query(text=text))], text
        assert ids[1] in [one.id for one in ledger.deliveries(Query(text=str(ids[1])))]
        assert [] == ledger.deliveries(Query(text="9" * 30))

    def test_last_attempts(self, ledger: Ledger) -> None:
        """One for each delivery that has any."""
        one, other, third = ledger.accept([new(), new(), new()])
        ledger.record([done(one, 1, "waiting"), done(one, 2), done(other, 1)])
        ledger.flush()
        found = ledger.last_attempts([one, third])
        assert {one: 2} == {number: attempt.number for number, attempt in found.items()}

    def test_a_state_that_does_not_exist(self) -> None:
        """Is an error, not an empty list."""
        with pytest.raises(ValueError, match="there are waiting, acked, declined, dropped, parked"):
            Query(states=("done",))

    def test_unknown(self, ledger: Ledger) -> None:
        """No such delivery."""
        assert (None, []) == (ledger.delivery(1), ledger.attempts(1))

    def test_attempts_in_pages(self, ledger: Ledger) -> None:
        """A thousand retries need not come at once."""
        (delivery_id,) = ledger.accept([new()])
        for number in range(1, 6):
            ledger.record([done(delivery_id, number, "waiting")])
        ledger.flush()
        assert [3, 4] == [attempt.number for attempt in ledger.attempts(delivery_id, after=2, limit=2)]

    def test_counts_by_app(self, ledger: Ledger) -> None:
        """Every state, for every app with deliveries."""
        filled(ledger, "acked", "parked")
        filled(ledger, "dropped", app="other")
        none = dict.fromkeys(("waiting", "acked", "declined", "dropped", "parked"), 0)
        assert {"shop": none | {"acked": 1, "parked": 1}, "other": none | {"dropped": 1}} == ledger.counts_by_app()
        assert none | {"dropped": 1} == ledger.counts("other")


class TestApps:
    """Apps and settings."""

    APP = StoredApp("shop", "commsease", "key", "env:SHOP_SECRET", "http://localhost/x", "normal", {"键": [1]})

    def test_kept(self, ledger: Ledger, url: str) -> None:
        """A second one of the name takes the first one's place."""
        ledger.save_app(dataclasses.replace(self.APP, endpoint="http://localhost/old"))
        ledger.save_app(self.APP)
        with LedgerReader(url) as reader:
            assert [self.APP] == reader.apps()
        assert [True, False] == [ledger.remove_app("shop"), ledger.remove_app("shop")]

    @pytest.mark.parametrize("secret", ["s3cr3t-value", "", "env:"])
    def test_a_secret_is_no_reference(self, secret: str) -> None:
        """It is refused, and not shown."""
        with pytest.raises(ValueError, match="give env:NAME") as caught:
            dataclasses.replace(self.APP, secret_ref=secret)
        assert "s3cr3t" not in str(caught.value)

    def test_settings(self, ledger: Ledger) -> None:
        """Texts by key."""
        assert ledger.setting("a") is None
        ledger.put_setting("a", "1")
        ledger.put_setting("a", "你")
        assert "你" == ledger.setting("a")


def test_the_file_does_not_grow_for_ever(tmp_path: Path, opened: Callable[..., Ledger]) -> None:
    """What pruning frees is used again."""
    ledger = opened(str(tmp_path / "ledger.db"))

    def pages() -> Any:
        with sqlite3.connect(tmp_path / "ledger.db") as connection:
            found = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.close()
        return found

    sizes = []
    for _ in range(4):
        filled(ledger, *["acked"] * 1000)
        ledger.prune(NOW + 1)
        sizes.append(pages())
    assert sizes[1] == sizes[3]

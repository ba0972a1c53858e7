"""Reading what is due, recording what was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock.contract import Stamp
from im_callback.provider_mock.delivery.ledger import Done, Ledger, LedgerReader
from im_callback.provider_mock.delivery.ledger import ledger as ledger_module
from im_callback.provider_mock.delivery.ledger.models import delivery
from im_callback.provider_mock.delivery.ledger.reader import in_turn
from im_callback.provider_mock.delivery.ledger.records import DoneRow, Waiting
from sqlalchemy.dialects import postgresql

from tests.provider_mock_ledger.postgres import Cluster
from tests.provider_mock_ledger.values import NOW, done, new


class TestDue:
    """Waiting deliveries whose time has come, by due_at and id."""

    def test_order_and_time(self, ledger: Ledger) -> None:
        """Sooner first, among equals the earlier id; nothing of the future, nothing of other apps."""
        late, soon, same, _, _ = ledger.accept(
            [new(due_at=NOW), new(due_at=NOW - 5), new(due_at=NOW - 5), new(due_at=NOW + 1), new("other")]
        )
        assert [soon, same, late] == [w.id for w in ledger.due("shop", NOW, 10)]
        assert [] == ledger.due("shop", NOW - 6, 10)

    def test_pages(self, ledger: Ledger) -> None:
        """The last one's due_at and id lead to the next page."""
        ids = ledger.accept([new(due_at=NOW + n // 3) for n in range(20)])
        seen, after = [], None
        while page := ledger.due("shop", NOW + 100, 4, after):
            seen += [w.id for w in page]
            after = (page[-1].due_at, page[-1].id)
        assert ids == seen

    def test_nothing_is_claimed(self, ledger: Ledger) -> None:
        """Asking again gives the same: what is in flight is the caller's to know."""
        ledger.accept([new()])
        assert ledger.due("shop", NOW, 1) == ledger.due("shop", NOW, 1) != []

    @pytest.mark.parametrize("apart", [1, 0], ids=["one after the other", "all at once"])
    def test_takes_as_many_steps_whatever_waits(
        self, apart: int, tmp_path: Path, opened: Callable[..., Ledger]
    ) -> None:
        """SQLite's machine runs the same number of instructions for a page of few and of many."""
        steps = []
        for size in (50, 20_000):
            ledger = opened(str(tmp_path / f"{size}.db"))
            ids = ledger.accept([new(due_at=NOW + n * apart) for n in range(size)])
            ledger.due("shop", 2 * NOW, 1)
            counted: list[None] = []
            with ledger._database.readers.connect() as connection:
                raw: Any = connection.connection.driver_connection
                raw.set_progress_handler(partial(counted.append, None), 1)
            ledger.due("shop", 2 * NOW, 10, (NOW + size // 2 * apart, ids[size // 2]))
            steps.append(len(counted))
        assert steps[0] == steps[1] > 0

    def test_walks_along_the_index(self, postgres: Cluster, opened: Callable[..., Ledger]) -> None:
        """PostgreSQL neither sorts nor scans."""
        ledger = opened(postgres.new_database())
        ledger.accept([new(due_at=NOW + n) for n in range(3000)])
        query = in_turn("shop", "waiting", 10, delivery.c.id)
        query = query.where(delivery.c.due_at > NOW + 1500, delivery.c.due_at <= 2 * NOW)
        text = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
        with ledger._database.readers.connect() as connection:
            plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {text}"))
        assert ("using delivery_due" in plan, "Sort" in plan) == (True, False), plan


class TestTogether:
    """Deliveries that were accepted in one call, as long as none of their attempts is on record."""

    def test_those_never_attempted(self, ledger: Ledger) -> None:
        """Their ids follow one another, whoever accepts meanwhile; their plans come with them."""
        first, *_ = ledger.accept([replace(new(), plan=f"plan {number}") for number in range(3)])
        ledger.accept([new(), new(app="other")])
        ledger.record([done(first + 1, state="waiting")])
        found = ledger.together("shop", first, 3)
        assert [(first, "plan 0"), (first + 2, "plan 2")] == [(one.id, one.plan) for one in found]
        assert [(first, "plan 0"), (first + 1, "plan 1")] == [(one.id, one.plan) for one in ledger.due("shop", NOW, 2)]
        assert "plan 2" == ledger.delivery(first + 2).plan  # type: ignore[union-attr]

    def test_only_the_apps(self, ledger: Ledger) -> None:
        """Another app's are not found."""
        (first,) = ledger.accept([new()])
        assert [] == ledger.together("other", first, 1)


class TestNextDue:
    """How long an idle engine can sleep."""

    def test_the_earliest(self, ledger: Ledger) -> None:
        """Of one app, later than what the caller knows."""
        assert ledger.next_due("shop") is None
        ledger.accept([new(due_at=NOW + 7), new(due_at=NOW), new("other", due_at=1)])
        assert (NOW, NOW + 7, None) == (
            ledger.next_due("shop"),
            ledger.next_due("shop", NOW),
            ledger.next_due("shop", NOW + 7),
        )

    def test_counts_what_was_just_recorded(self, ledger: Ledger) -> None:
        """A retry is not overslept because its record was still queued."""
        (delivery_id,) = ledger.accept([new()])
        ledger.record([done(delivery_id, state="waiting", due_at=NOW + 60_000)])
        assert NOW + 60_000 == ledger.next_due("shop", NOW)

    def test_waits_for_no_disk(self, url: str, opened: Callable[..., Ledger]) -> None:
        """What is not written yet is known all the same: what it moves, ends, and makes due, of this app only."""
        ledger = opened(url, group_seconds=3600)
        ids = ledger.accept([new(due_at=NOW + n) for n in range(130)])
        (other,) = ledger.accept([new("other", due_at=NOW + 500)])
        ledger.record([done(one, state="waiting", due_at=NOW + 9000 + one) for one in reversed(ids[:120])])
        ledger.record([done(one) for one in ids[120:125]])
        ledger.record([done(other, state="waiting", due_at=NOW + 600)])
        for _ in range(2):
            assert (NOW + 125, NOW + 126, NOW + 9000 + ids[0], NOW + 9000 + ids[1], None) == (
                ledger.next_due("shop"),
                ledger.next_due("shop", NOW + 125),
                ledger.next_due("shop", NOW + 129),
                ledger.next_due("shop", NOW + 9000 + ids[0]),
                ledger.next_due("shop", NOW + 9000 + ids[119]),
            )
            assert NOW + 600 == ledger.next_due("other")
            assert ids[125:] == [one.id for one in ledger.together("shop", ids[0], 200)]
            assert 126 == ledger.health().queued
        ledger.flush()
        assert (NOW + 125, NOW + 9000 + ids[0]) == (ledger.next_due("shop"), ledger.next_due("shop", NOW + 129))

    def test_more_are_coming_than_fit_one_question(self, url: str, opened: Callable[..., Ledger]) -> None:
        """Those of another app are passed over, however many they are."""
        ledger = opened(url, group_rows=10_000, group_seconds=3600)
        ids = ledger.accept([new("other") for _ in range(1200)])
        (last,) = ledger.accept([new()])
        ledger.record([done(one, state="waiting", due_at=NOW + 1) for one in ids])
        ledger.record([done(last, state="waiting", due_at=NOW + 2)])
        assert (NOW + 2, 1201) == (ledger.next_due("shop", NOW), ledger.health().queued)


class TestRecord:
    """Attempts, and what follows from them."""

    def test_attempt_and_state(self, ledger: Ledger) -> None:
        """Both are on disk after `flush`."""
        (delivery_id,) = ledger.accept([new()])
        ledger.record([done(delivery_id, state="waiting", due_at=NOW + 9, status=None, detail="connection reset")])
        ledger.record([done(delivery_id, 2)])
        ledger.flush()
        first, second = ledger.attempts(delivery_id)
        assert (1, "timed out", None, 0.25, NOW, "200 within 5 s", "connection reset") == (
            first.number,
            first.outcome,
            first.status,
            first.seconds,
            first.sent_at,
            first.rule,
            first.detail,
        )
        assert ("acked", 200) == (second.outcome, second.status)
        record = ledger.delivery(delivery_id)
        assert record is not None
        assert ("acked", 2, "acked") == (record.state, record.attempts, record.last_outcome)
        assert {"waiting": 0, "acked": 1, "declined": 0, "dropped": 0, "parked": 0} == ledger.counts()

    @pytest.mark.parametrize("group_rows", [1, 2, 500])
    def test_counts_before_it_is_on_disk(self, url: str, opened: Callable[..., Ledger], group_rows: int) -> None:
        """What is done is never due again, what is to be repeated at once is due with its attempts."""
        ledger = opened(url, group_rows=group_rows)
        ids = ledger.accept([new() for _ in range(300)])
        for delivery_id in ids:
            ledger.record([done(delivery_id, state="waiting" if delivery_id % 3 == 0 else "acked")])
            if delivery_id % 50 == 0:
                left = [n for n in ids if n % 3 == 0 or n > delivery_id]
                due = ledger.due("shop", NOW, 1000)
                assert left == [w.id for w in due]
                assert [(n % 3 == 0 and n <= delivery_id) * 1 for n in left] == [w.attempts for w in due]

    def test_fills_the_page(self, url: str, opened: Callable[..., Ledger]) -> None:
        """What is left out because it was just done does not make a page look like the last one."""
        ledger = opened(url, group_seconds=3600)
        ids = ledger.accept([new() for _ in range(30)])
        for delivery_id in ids[:25]:
            ledger.record([done(delivery_id)])
        assert ids[25:28] == [w.id for w in ledger.due("shop", NOW, 3)]

    def test_several_of_one_delivery_in_a_group(self, url: str, opened: Callable[..., Ledger]) -> None:
        """The last one decides, the highest number counts."""
        ledger = opened(url, group_seconds=3600)
        (delivery_id,) = ledger.accept([new()])
        ledger.record([done(delivery_id, 2, "waiting", NOW + 1)])
        ledger.record([done(delivery_id, 1, "parked", NOW + 2)])
        ledger.flush()
        record = ledger.delivery(delivery_id)
        assert record is not None
        assert ("parked", 2, NOW + 2) == (record.state, record.attempts, record.due_at)
        assert [1, 2] == [attempt.number for attempt in ledger.attempts(delivery_id)]

    def test_the_same_number_twice(self, ledger: Ledger) -> None:
        """The first record of an attempt is kept."""
        (delivery_id,) = ledger.accept([new()])
        for _ in range(2):
            for rule in ("first", "second"):
                ledger.record([done(delivery_id, rule=rule)])
            ledger.flush()
        assert ["first"] == [attempt.rule for attempt in ledger.attempts(delivery_id)]

    def test_awkward_text(self, ledger: Ledger) -> None:
        """What a receiver answered may be no text at all; it is escaped and shortened, never in the way."""
        (delivery_id,) = ledger.accept([new()])
        ledger.record([done(delivery_id, rule="\0\udcff", detail="你" * 5000)])
        ledger.flush()
        (attempt,) = ledger.attempts(delivery_id)
        assert (r"\x00\udcff", "你" * 1976 + "… [cut: 5000 characters]") == (attempt.rule, attempt.detail)

    @pytest.mark.parametrize(
        ("wrong", "kept", "state"),
        [
            ({"state": "lost"}, ("acked", 1, 0.25, NOW, 200), "dropped"),
            ({"number": 0}, ("acked", 1, 0.25, NOW, 200), "acked"),
            ({"number": 2**31}, ("acked", 2**31 - 1, 0.25, NOW, 200), "acked"),
            ({"seconds": float("nan")}, ("acked", 1, 0.0, NOW, 200), "acked"),
            ({"seconds": float("inf")}, ("acked", 1, 0.0, NOW, 200), "acked"),
            ({"due_at": 2**63}, ("acked", 1, 0.25, NOW, 200), "acked"),
            ({"sent_at": -(2**63) - 1}, ("acked", 1, 0.25, -(2**63), 200), "acked"),
            ({"status": 2**31}, ("acked", 1, 0.25, NOW, None), "acked"),
            ({"outcome": None}, ("None", 1, 0.25, NOW, 200), "acked"),
            ({"request": None, "answer": 7}, ("acked", 1, 0.25, NOW, 200), "acked"),
            ({"signed": Stamp(NOW, "\ud800")}, ("acked", 1, 0.25, NOW, 200), "acked"),
        ],
    )
    def test_what_cannot_be_stored(
        self, ledger: Ledger, wrong: dict[str, Any], kept: tuple[object, ...], state: str
    ) -> None:
        """Is stored as what comes nearest, says so, and stands in nobody's way."""
        ids = ledger.accept([new() for _ in range(3)])
        assert 3 == ledger.record([done(ids[0]), done(ids[1])._replace(**wrong), done(ids[2])])
        ledger.flush()
        (attempt,) = ledger.attempts(ids[1])
        assert kept == (attempt.outcome, attempt.number, attempt.seconds, attempt.sent_at, attempt.status)
        assert attempt.detail.startswith("our own error, recorded as it could be: (")
        assert ["acked", state, "acked"] == [ledger.delivery(one).state for one in ids]  # type: ignore[union-attr]
        assert 0 == ledger.health().refused

    def test_request_and_answer(self, ledger: Ledger) -> None:
        """Are kept as they were, the body as bytes; none of it where there is none."""
        first, second = ledger.accept([new(), new()])
        exchange = {"request": "POST /你 HTTP/1.1\nHost: a\n", "body": b"\x00\xff{", "answer": "A: b\n\nnö"}
        ledger.record([done(first, **exchange), done(second)])
        ledger.flush()
        (attempt,), (plain,) = ledger.attempts(first), ledger.attempts(second)
        assert exchange == {name: getattr(attempt, name) for name in exchange}
        assert ("", None, "") == (plain.request, plain.body, plain.answer)

    def test_long_exchanges(self, ledger: Ledger) -> None:
        """Are cut where one can see it."""
        (delivery_id,) = ledger.accept([new()])
        ledger.record(
            [done(delivery_id, request="你" * 9000, body=b"b" * 70_000, answer="a" * 16_001, detail="d" * 2001)]
        )
        ledger.flush()
        (attempt,) = ledger.attempts(delivery_id)
        assert (8000, 65_536, 16_000, 2000) == tuple(
            len(text or "") for text in (attempt.request, attempt.body, attempt.answer, attempt.detail)
        )
        assert attempt.request.endswith("你… [cut: 9000 characters]")
        assert (attempt.body or b"").endswith(b"b\n[cut: 70000 bytes were sent]")
        assert attempt.answer.endswith("a… [cut: 16001 characters]")

    def test_the_stamp_of_the_first_attempt(self, ledger: Ledger) -> None:
        """Comes back with every retry until the delivery is sent anew."""
        (delivery_id,) = ledger.accept([new()])
        ledger.record([done(delivery_id, 1, "waiting", signed=Stamp(NOW, "nonce"))])
        ledger.flush()
        ledger.record([done(delivery_id, 2, "waiting")])
        for _ in range(2):
            (waiting,) = ledger.due("shop", NOW, 1)
            assert Stamp(NOW, "nonce") == waiting.signed
            ledger.flush()
        ledger.redeliver([delivery_id])
        assert ledger.due("shop", NOW, 1)[0].signed is None

    def test_an_attempt_that_the_database_refuses(
        self, ledger: Ledger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Is written without its words, or else named in the log and counted; the rest of its group is written."""
        monkeypatch.setattr(ledger_module, "done_row", row_unchecked)
        ids = ledger.accept([new() for _ in range(9)])
        wrong = {ids[4]: {"number": 2**70}, ids[6]: {"rule": "secret \ud800"}}
        assert 9 == ledger.record([done(one, **wrong.get(one, {})) for one in ids])
        ledger.flush()
        assert (1, 8) == (ledger.health().refused, ledger.counts()["acked"])
        assert f"refuses an attempt of delivery {ids[4]}" in caplog.text
        assert "secret" not in caplog.text
        assert ["our own error: the database refused what was to be recorded"] == [
            attempt.rule for attempt in ledger.attempts(ids[6])
        ]


def row_unchecked(one: Done) -> DoneRow:
    """Return an attempt as it comes."""
    return (*one[:7], "", "", None, "", "acked", NOW, None)


class TestBacklog:
    """How many are parked."""

    def test_counts_before_it_is_on_disk(self, url: str, opened: Callable[..., Ledger]) -> None:
        """Those that come, and those that go, of this app only."""
        ledger = opened(url, group_seconds=3600)
        ids = ledger.accept([new() for _ in range(6)])
        (other,) = ledger.accept([new("other")])
        ledger.record([done(one, state="parked") for one in (*ids[:3], other)])
        assert (3, 1, 0) == (ledger.backlog("shop"), ledger.backlog("other"), ledger.backlog("none"))
        ledger.flush()
        assert (3, 1) == (ledger.backlog("shop"), ledger.backlog("other"))
        ledger.record([done(ids[0], 2), done(ids[1], 2, "parked"), done(ids[3], 1, "parked"), done(ids[4])])
        assert 3 == ledger.backlog("shop")
        ledger.release("shop", 1)
        assert 2 == ledger.backlog("shop")


class TestClose:
    """Nothing that was recorded is lost by closing."""

    def test_writes_what_is_queued(self, url: str, opened: Callable[..., Ledger]) -> None:
        """Even if the group was far from full."""
        ledger = opened(url, group_seconds=3600)
        ids = ledger.accept([new() for _ in range(1200)])
        for delivery_id in ids:
            ledger.record([done(delivery_id)])
        ledger.close()
        with LedgerReader(url) as reader:
            assert 1200 == reader.counts()["acked"]


class TestWaiting:
    """What the retry policy sees."""

    def test_outcomes(self) -> None:
        """As many as count, all as the last one."""
        waiting = Waiting(1, "a", "t", "[{}]", 5, 2, "timed out", 0, None)
        assert ("timed out",) * 3 == waiting.outcomes
        assert () == waiting._replace(attempts=0, earlier=0, last_outcome=None).outcomes


def test_a_backlog_stays_on_disk(tmp_path: Path, opened: Callable[..., Ledger]) -> None:
    """Windows far into a backlog hold what they should, whatever lies before them."""
    ledger = opened(str(tmp_path / "ledger.db"))
    for start in range(0, 20_000, 5000):
        ledger.accept([new(due_at=NOW + start + n) for n in range(5000)])
    assert [NOW + 15_000 + n for n in range(1, 4)] == [
        w.due_at for w in ledger.due("shop", 2 * NOW, 3, (NOW + 15_000, 20_000))
    ]

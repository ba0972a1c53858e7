"""Log records as lines, and how many of them there are."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from im_callback.provider_mock.delivery.ledger import Done, Waiting
from im_callback.provider_mock.server.attempt_log import PER_SECOND, AttemptLog
from im_callback.provider_mock.server.logs import JsonLines, PlainText
from im_callback.provider_mock.server.runs import RunCounts


def record(message: str = "it is so", error: BaseException | None = None, **extra: Any) -> logging.LogRecord:
    """Return a record of the server's logger."""
    info = (type(error), error, error.__traceback__) if error else None
    return logging.getLogger("im_callback.provider_mock.server").makeRecord(
        "im_callback.provider_mock.server", logging.WARNING, "here.py", 1, message, (), info, extra=extra
    )


def failed(message: str) -> BaseException:
    """Return an error that was raised."""
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


class TestJsonLines:
    """One JSON object a line."""

    def test_fields(self) -> None:
        """Time, level, event, message, then the record's own."""
        told = json.loads(JsonLines().format(record(event="paused", fields={"app": "shop", "ms": 1.5})))
        assert told.pop("time").endswith("+00:00")
        assert {"level": "warning", "event": "paused", "message": "it is so", "app": "shop", "ms": 1.5} == told

    def test_one_line(self) -> None:
        """Whatever the message holds."""
        assert "\n" not in JsonLines().format(record("two\nlines \u2028 and more"))

    def test_error(self) -> None:
        """Where it happened, without its words, which could hold a payload."""
        line = JsonLines().format(record(error=failed("hush-77")))
        told = json.loads(line)
        assert "hush-77" not in line
        assert "ValueError" == told["error"]
        assert told["at"][0].endswith(" failed")


class TestPlainText:
    """For people."""

    def test_fields(self) -> None:
        """Behind the message; nothing that could play with the terminal."""
        line = PlainText().format(record(fields={"app": "shop", "path": "/\x1b[31m"}))
        assert "warning it is so app=shop path='/\\x1b[31m'" == line[9:]


class TestReported:
    """Attempts that were not acknowledged, so many a second."""

    @pytest.fixture
    def lines(self) -> Iterator[list[dict[str, Any]]]:
        """What is logged, as it comes."""
        found: list[dict[str, Any]] = []

        class Kept(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                found.append(json.loads(JsonLines().format(record)))

        logger = logging.getLogger("im_callback.provider_mock.delivery")
        handler, level = Kept(), logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        yield found
        logger.removeHandler(handler)
        logger.setLevel(level)

    def test_limited(self, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
        """The next second's first one says how many were left out."""
        now = [100.0]
        monkeypatch.setattr(
            "im_callback.provider_mock.server.attempt_log.time", SimpleNamespace(monotonic=lambda: now[0])
        )
        attempts, waiting = AttemptLog(), Waiting(7, "shop", "commsease.login", '[{"x":1}]', 0, 0, None, 0, None)
        done = Done(7, 1, 0, 0.1, "refused", 503, "status 503", "waiting", 0)
        for _ in range(PER_SECOND + 5):
            attempts.add(waiting, done)
        attempts.add(waiting, done._replace(outcome="acked"))
        assert PER_SECOND == len(lines)
        assert ("attempt", "shop", 7, "refused") == tuple(
            lines[0][key] for key in ("event", "app", "delivery", "outcome")
        )
        now[0] += 1
        attempts.add(waiting, done)
        assert 5 == lines[-1]["left_out"]
        attempts.add(waiting, done)
        assert "left_out" not in lines[-1]

    def test_declined(self, lines: list[dict[str, Any]]) -> None:
        """What the receiver said is not logged: it can hold a payload."""
        waiting = Waiting(7, "shop", "commsease.login", '[{"x":1}]', 0, 0, None, 0, None)
        rule = 'status 200, but the receiver\'s own words decline it: {"code":414,"msg":"hello: you"}'
        AttemptLog().add(waiting, Done(7, 1, 0, 0.1, "declined", 200, rule, "declined", 0))
        (line,) = lines
        assert "status 200, but the receiver's own words decline it" == line["rule"]
        assert ("declined", "declined") == (line["outcome"], line["state"])


class TestRunCounts:
    """What became of a run's deliveries."""

    def test_outcome_before_the_ids(self) -> None:
        """It counts all the same; another run's does not."""
        counts = RunCounts()
        counts.expect()
        counts.landed(11, "acked")
        counts.landed(99, "acked")
        counts.add([10, 11, 12])
        assert {"waiting": 2, "acked": 1, "declined": 0, "dropped": 0, "parked": 0} == counts.states()

    def test_several_outcomes(self) -> None:
        """The first one counts."""
        counts = RunCounts()
        counts.add([1, 2])
        for state in ("acked", "dropped"):
            counts.landed(1, state)
        counts.landed(2, "parked")
        counts.landed(2, "acked")
        assert {"waiting": 0, "acked": 1, "declined": 0, "dropped": 0, "parked": 1} == counts.states()
        assert not counts.busy

    def test_not_accepted(self) -> None:
        """Nothing is counted, and nothing is expected any more."""
        counts = RunCounts()
        counts.expect()
        assert counts.busy
        counts.add([])
        assert not counts.busy
        assert 0 == sum(counts.states().values())

    def test_gaps(self) -> None:
        """Ids between those of the run are somebody else's."""
        counts = RunCounts()
        counts.add([1, 2])
        counts.add([10])
        for delivery in (0, 3, 9, 11):
            counts.landed(delivery, "acked")
        assert 3 == counts.states()["waiting"]

"""Tasks go on while others wait, one at a time and in an order that is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.effects import mapped
from im_callback.conformance.overlap import WIDTH, Overlap, Task
from im_callback.conformance.runner import task
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Verdict
from im_callback.provider_mock import providers

from tests.conformance.test_matrix import Trusting
from tests.receivers.direct import hand_over
from tests.receivers.good import Good

SETTLE = 5.0


class Stage:
    """Tasks that note what they do, on a clock that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self.overlap: Overlap[str, str] = Overlap(())

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def play(self, *tasks: tuple[str, list[float], bool]) -> Overlap[str, str]:
        """Set up tasks by their name, how long they pause and whether they are alone."""
        made = [Task(name, self._steps(name, pauses), alone) for name, pauses, alone in tasks]
        self.overlap = Overlap(made, lambda: self.now, self.sleep)
        return self.overlap

    def _steps(self, name: str, pauses: list[float]) -> Callable[[], str]:
        def perform() -> str:
            for step, seconds in enumerate(pauses):
                self.said.append(f"{name}{step}@{self.now:g}")
                self.overlap.pause(seconds)
            self.said.append(f"{name}.@{self.now:g}")
            return name.upper()

        return perform


class TestOverlap:
    """Which task goes on when."""

    @pytest.mark.parametrize(
        ("said", "tasks"),
        [
            # Nobody waits: one after the other, and nothing before it is asked for.
            (["a.@0"], [("a", [], False), ("b", [], False)]),
            # While one waits, the next begins; what is due goes first.
            (["a0@0", "b.@0", "a.@5"], [("a", [5], False), ("b", [], False)]),
            (["a0@0", "b0@0", "b.@2", "a.@5"], [("a", [5], False), ("b", [2], False)]),
            (["a0@0", "b0@0", "a1@1", "b.@2", "a.@4"], [("a", [1, 3], False), ("b", [2], False)]),
            # One that is alone waits for the others, and they for it.
            (["a0@0", "a.@5"], [("a", [5], False), ("b", [2], True), ("c", [], False)]),
            (["a0@0", "a.@5"], [("a", [5], True), ("b", [2], False)]),
        ],
    )
    def test_table(self, said: list[str], tasks: list[tuple[str, list[float], bool]]) -> None:
        """What has happened once the first task's result is there."""
        stage = Stage()
        assert stage.play(*tasks).result("a") == "A"
        assert said == stage.said

    def test_alone(self) -> None:
        """All before it have ended, and it has ended when others begin."""
        stage = Stage()
        overlap = stage.play(("a", [5], False), ("b", [2], True), ("c", [1], False), ("d", [], False))
        assert ["D", "A", "C", "B"] == [overlap.result(key) for key in "dacb"]
        assert ["a0@0", "a.@5", "b0@5", "b.@7", "c0@7", "d.@7", "c.@8"] == stage.said

    def test_last(self) -> None:
        """They begin when all others have ended, and wait at the same time."""
        stage = Stage()
        overlap = stage.play(("a", [5], False), ("b", [2], False), ("c", [1], False))
        overlap.tasks = [replace(one, last=one.key in "bc") for one in overlap.tasks]
        overlap = stage.overlap = Overlap(overlap.tasks, lambda: stage.now, stage.sleep)
        assert ["C", "B", "A"] == [overlap.result(key) for key in "cba"]
        assert ["a0@0", "a.@5", "b0@5", "c0@5", "c.@6", "b.@7"] == stage.said

    def test_gather(self) -> None:
        """Parts of a task wait at the same time, and so do others; the task goes on when all have ended."""
        stage = Stage()
        a, b, c = (stage._steps(name, pauses) for name, pauses in (("a", [3.0]), ("b", [1.0, 1.0]), ("c", [2.5])))

        def whole() -> str:
            stage.overlap.gather([lambda: stage.said.append(a()), lambda: stage.said.append(b())])
            stage.said.append(f"whole@{stage.now:g}")
            return "whole"

        stage.overlap = Overlap([Task("w", whole), Task("c", c)], lambda: stage.now, stage.sleep)
        assert "whole" == stage.overlap.result("w")
        assert ["a0@0", "b0@0", "c0@0", "b1@1", "b.@2", "B", "c.@2.5", "a.@3", "A", "whole@3"] == stage.said

    def test_gather_outside(self) -> None:
        """Where no task is under way parts run one after the other."""
        done: list[int] = []
        Stage().play().gather([lambda: done.append(1), lambda: done.append(2)])
        assert [1, 2] == done

    def test_width(self) -> None:
        """So many wait at once, and no more."""
        stage = Stage()
        tasks = [(f"{index}-", [float(WIDTH * 2 - index)], False) for index in range(WIDTH * 2)]
        assert stage.play(*tasks).result("0-")
        begun = [said for said in stage.said if "-0@" in said]
        assert WIDTH == sum(said.endswith("@0") for said in begun)

    def test_raised(self) -> None:
        """What a task raises comes out where a result is asked for; the others are left as they are."""
        stage = Stage()

        def broken() -> str:
            raise KeyboardInterrupt

        first = Task("a", stage._steps("a", [3]))
        stage.overlap = Overlap([first, Task("b", broken)], lambda: stage.now, stage.sleep)
        with pytest.raises(KeyboardInterrupt):
            stage.overlap.result("a")
        assert "A" == stage.overlap.result("a")
        with pytest.raises(KeyError):
            stage.overlap.result("b")

    def test_outside(self) -> None:
        """Where no task is under way a pause is a sleep."""
        stage = Stage()
        stage.play().pause(4)
        assert 4 == stage.now

    def test_closed(self) -> None:
        """What has begun is ended with its clean-up; nothing else begins."""
        stage = Stage()
        ended = []

        def waits() -> str:
            try:
                stage.overlap.pause(9)
            finally:
                ended.append("a")
            return "never"

        tasks = [Task("a", waits), Task("b", lambda: "B")]
        stage.overlap = Overlap(tasks, lambda: stage.now, stage.sleep)
        assert "B" == stage.overlap.result("b")
        stage.overlap.close()
        assert ["a"] == ended
        with pytest.raises(KeyError):
            stage.overlap.result("a")


class Forgetful(Good):
    """Acknowledges everything, and shows two of three events."""

    def effects(self) -> list[Any]:
        return [one for one in super().effects() if crc32(json.dumps(one, sort_keys=True).encode()) % 3]


class TestRuns:
    """How long a whole run waits for what never comes, on a clock that passes by waiting alone."""

    def test_together(self) -> None:
        """Checks wait at the same time: a red run waits a few times, not once for each of its failures."""
        provider = providers.load("rongcloud")
        receiver = Forgetful("rongcloud")
        settings = Settings(
            "http://127.0.0.1/",
            provider,
            provider.defaults,
            seed=4,
            settle=SETTLE,
            feeds=provider.feeds[:1],
            dedupe_distance=10,
        )
        run = Trusting(settings, mapped(receiver.effects, None))
        hand_over(run, receiver)
        stage = Stage()
        tasks = [task(one, run) for one in all_checks() if one.among(run.feeds) and not one.option]
        overlap = Overlap(tasks, lambda: stage.now, stage.sleep)
        run.shared.now, run.shared.pause, run.shared.gather = lambda: stage.now, overlap.pause, overlap.gather
        verdicts = [overlap.result(one.key).verdict for one in tasks]
        receiver.close()
        waited = sum(one in (Verdict.FAIL, Verdict.COULD_NOT_RUN) for one in verdicts)
        assert 20 < waited
        # Preflight, what is judged as it goes, what looks back: each waits for a check that waits twice at most.
        assert stage.now < SETTLE * (1 + 2 + 2)

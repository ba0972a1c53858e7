"""Tasks go on while others wait, one at a time and in an order that is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from im_callback.conformance.overlap import WIDTH, Overlap, Task


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

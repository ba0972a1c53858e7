"""Scripts as plain data: their parts, what simpler ones there are, and their form as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from im_callback.conformance.explore.script import (
    GROUPS,
    Request,
    Script,
    Step,
    Thing,
    from_json,
    phases,
    retimed,
    simpler,
    spaced,
    tidied,
    to_json,
    widened,
)

A, B, C = Thing("a"), Thing("a", place=1), Thing("a", scope=1, place=2, removal=0)
KILL, WAIT, RETRY = Step("restart", how="kill"), Step("wait", number=2.0), Step("retry")


def deliver(*numbers: int, **how: str) -> Step:
    """Return the step of one request with these things."""
    return Step("deliver", (Request(numbers, **how),))  # type: ignore[arg-type]


WHOLE = Script(
    (A, B, C),
    (
        deliver(0),
        WAIT,
        Step("deliver", (Request((0, 1), form="same"), Request((2,), fate="ack-lost"))),
        KILL,
        RETRY,
        Step("others", number=40),
        deliver(1, form="reformatted"),
    ),
)


class TestParts:
    """Tests for `phases`, `tidied`, `widened`, `spaced` and `retimed`."""

    def test_phases(self) -> None:
        """What happens around a script parts it; an empty part is there too."""
        assert [(deliver(0),), (WHOLE.steps[2],), (RETRY,), (deliver(1, form="reformatted"),)] == phases(WHOLE)
        assert [(), ()] == phases(Script((A,), (KILL,)))

    def test_tidied(self) -> None:
        """Things that are not delivered go, numbers close up, and so do steps that change nothing."""
        script = Script(
            (replace(A, place=3), B, replace(C, place=7)),
            (
                RETRY,
                Step("deliver", (Request(()), Request((2,)))),
                Step("store", how="heal"),
                Step("others"),
                deliver(0),
            ),
        )
        assert Script((replace(A, place=0), replace(C, place=1)), (deliver(1), deliver(0))) == tidied(script)

    def test_store_is_healed_once(self) -> None:
        """A store that is sick is healed; one that is not need not be."""
        hang, heal = Step("store", how="hang"), Step("store", how="heal")
        script = Script((A,), (deliver(0), hang, deliver(0), heal, heal))
        assert (deliver(0), hang, deliver(0), heal) == tidied(script).steps

    def test_between(self) -> None:
        """Something comes between any two of its own steps, unless there is something already."""
        script = Script((A,), (deliver(0), deliver(0), KILL, deliver(0), RETRY))
        other = Step("others", number=9)
        assert (deliver(0), other, deliver(0), KILL, deliver(0), other, RETRY) == widened(script, 9).steps
        assert replace(other, do="wait", number=0.5) in spaced(script, 0.5).steps

    def test_retimed(self) -> None:
        """Only the moment of a kill under way is moved."""
        under_way = Step("restart", how="under-way", number=0.1)
        script = Script((A,), (deliver(0), under_way, WAIT))
        assert (deliver(0), replace(under_way, number=0.05), WAIT) == retimed(script, 0.5).steps


class TestSimpler:
    """Tests for `simpler`."""

    def test_lighter(self) -> None:
        """Each is lighter than the script, tidy, and still delivers something; they come in order."""
        groups = list(simpler(WHOLE))
        assert GROUPS == len(groups)
        for group in groups:
            assert group
            assert sorted(group, key=lambda one: one.weight) == group
            for one in group:
                assert one.deliveries
                assert one.weight < WHOLE.weight
                assert tidied(one) == one
                assert from_json(to_json(one)) == one

    def test_ends(self) -> None:
        """Taken the simplest each time, it comes down to one delivery of one thing, for which there is nothing simpler."""
        script = WHOLE
        while found := next((group[0] for group in simpler(script) if group), None):
            script = found
        assert Script((A,), (deliver(0),)) == script


class TestJson:
    """Tests for `to_json` and `from_json`."""

    def test_round_trip(self) -> None:
        """A script says in JSON what it is."""
        assert from_json(json.loads(json.dumps(to_json(WHOLE)))) == WHOLE

    @pytest.mark.parametrize(
        ("said", "things", "steps"),
        [
            ("delivers the thing 1, and there are 1", [A], [deliver(0, 1)]),
            ("two things of one scope have the same place", [A, replace(A, removal=0)], [deliver(0, 1)]),
        ],
    )
    def test_rules(self, said: str, things: list[Thing], steps: list[Step]) -> None:
        """What breaks a rule of scripts is refused."""
        with pytest.raises(ValueError, match=said):
            from_json(to_json(Script(tuple(things), tuple(steps))))

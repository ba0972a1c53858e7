"""What the tally counts, and that tallies add up."""

from __future__ import annotations

import json
from random import Random

import pytest
from im_callback.provider_mock.contract import Judgement, Outcome
from im_callback.provider_mock.delivery.tally import OTHER, RULES, Tally

ACKED = Judgement(Outcome.ACKED, "status 200")
REFUSED = Judgement(Outcome.REFUSED, "status 401")


class TestAdd:
    """One attempt after the other."""

    def test_outcomes(self) -> None:
        """Outcomes are counted; the rules only of what was not acknowledged."""
        tally = Tally()
        for judgement in (ACKED, REFUSED, REFUSED, Judgement(Outcome.TIMED_OUT, "no answer")):
            tally.add(judgement, 0.5, 100.0)
        assert {"sent": 4, "acked": 1, "declined": 0, "refused": 2, "timed_out": 1, "unreachable": 0} == tally.counts()
        assert {"status 401": 2, "no answer": 1} == tally.rules

    def test_times(self) -> None:
        """Times are of acknowledgements only, to one percent, the longest one exact."""
        tally = Tally()
        for millis in range(1, 101):
            tally.add(ACKED, millis / 1000, 100.0)
        tally.add(REFUSED, 3.0, 100.0)
        assert pytest.approx(50, rel=0.01) == tally.ack_millis(0.5)
        assert pytest.approx(95, rel=0.01) == tally.ack_millis(0.95)
        assert 100.0 == tally.shown()["ack_ms"]["max"]

    def test_rate(self) -> None:
        """The rate is from the start of the first attempt to the end of the last one."""
        tally = Tally()
        assert 0.0 == tally.rate
        for ended in (101.0, 102.0, 104.0):
            tally.add(ACKED, 1.0, ended)
        assert 3 / 4 == tally.rate

    def test_all_acked(self) -> None:
        """Nothing sent is not all acknowledged, and neither is one refusal among many."""
        tally = Tally()
        assert not tally.all_acked
        tally.add(ACKED, 1.0, 101.0)
        assert tally.all_acked
        tally.add(REFUSED, 1.0, 101.0)
        assert not tally.all_acked

    @pytest.mark.parametrize(
        "rules",
        [
            ("answered after 5.012 s, later than 5 s", "answered after 5.3 s, later than 5 s"),
            (
                "Failed to connect to 10.0.0.1 port 1 after 13 ms: refused",
                "Failed to connect to 10.0.0.1 port 1 after 0 ms: refused",
            ),
        ],
    )
    def test_varying_rules(self, rules: tuple[str, str]) -> None:
        """Rules that differ in a measured time are one."""
        tally = Tally()
        for rule in rules:
            tally.add(Judgement(Outcome.TIMED_OUT, rule), 5.0, 100.0)
        assert [2] == list(tally.rules.values())

    def test_bounded(self) -> None:
        """However many rules there are, few are kept, and all are counted."""
        tally = Tally()
        for number in range(RULES + 50):
            tally.add(Judgement(Outcome.REFUSED, f"error code {number}"), 0.1, 100.0)
        assert RULES + 1 == len(tally.rules)
        assert 50 == tally.rules[OTHER]


class TestInclude:
    """Several processes count."""

    def test_adds_up(self) -> None:
        """Tallies that went through JSON come to the same as one that counted all."""
        dice, whole, parts = Random(1), Tally(), [Tally(), Tally(), Tally()]
        for _ in range(300):
            judgement = dice.choice([ACKED, ACKED, REFUSED])
            seconds, ended = dice.random(), 100 + dice.random() * 9
            whole.add(judgement, seconds, ended)
            dice.choice(parts).add(judgement, seconds, ended)
        summed = Tally()
        for part in parts:
            summed.include(Tally.load(json.loads(json.dumps(part.dump()))))
        assert whole == summed

    def test_nothing(self) -> None:
        """What counted nothing changes nothing."""
        tally = Tally()
        tally.add(ACKED, 1.0, 101.0)
        before = tally.dump()
        tally.include(Tally.load(Tally().dump()))
        assert before == tally.dump()

"""How scripts are made up and made shorter, without a receiver."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from im_callback.conformance.explore.script import Request, Script, Step, Thing, from_json, to_json
from im_callback.conformance.explore.stock import Kind, Stock
from im_callback.conformance.explore.strategies import Frame, made_up, shortest
from im_callback.provider_mock import providers

CATALOGUE = {one.name: one for name in providers.names() for one in providers.load(name).catalogue}
STATE = next(one for one in CATALOGUE.values() if one.order and one.order.rule == "latest")
LIST = next(one for one in CATALOGUE.values() if one.order and one.order.rule == "sequence")
STOCK = Stock((Kind(STATE, "latest"), Kind(LIST, "sequence")), batches=True)
KILL, HANG, HEAL = Step("restart", how="kill"), Step("store", how="hang"), Step("store", how="heal")


class TestMadeUp:
    """Tests for `made_up`."""

    def test_same_again(self) -> None:
        """The same random gives the same scripts; another one gives others. All of them keep the rules."""
        first, again, other = (made_up(STOCK, Frame(), 20, Random(seed)) for seed in (1, 1, 2))
        assert first == again != other
        assert 10 <= len(first) <= 20
        assert all(script == from_json(to_json(script)) for script in [*first, *other])

    def test_variety(self) -> None:
        """There are repeats in every form, arrays, broken connections, and requests that leave together."""
        scripts = made_up(STOCK, Frame(), 200, Random(3))
        steps = [step for one in scripts for step in one.steps]
        requests = [one for step in steps for one in step.requests]
        assert {"afresh", "same", "reformatted"} == {one.form for one in requests}
        assert {"answered", "ack-lost", "given-up", "cut-off"} == {one.fate for one in requests}
        assert any(len(one.things) > 1 for one in requests)
        assert any(len(step.requests) > 1 for step in steps)
        assert any(step.do == "retry" for step in steps)
        assert max(len(one.things) for one in scripts) > 3

    @pytest.mark.parametrize("around", [(KILL,), (HANG, HEAL), (Step("others", number=9), KILL)])
    def test_frame(self, around: tuple[Step, ...]) -> None:
        """What happens around a script is what its frame says, and never comes first."""
        scripts = made_up(STOCK, Frame(around), 20, Random(1))
        assert {around} == {one.around for one in scripts}
        assert all(one.steps[0].do == "deliver" for one in scripts)

    def test_apart(self) -> None:
        """Where requests may only leave one by one, nothing leaves together or breaks off."""
        scripts = made_up(STOCK, Frame(apart=True), 40, Random(1))
        steps = [step for one in scripts for step in one.steps]
        assert all(len(step.requests) <= 1 for step in steps)
        assert {"answered"} == {one.fate for step in steps for one in step.requests}

    def test_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is written where the run takes place."""
        monkeypatch.chdir(tmp_path)
        made_up(STOCK, Frame(), 5, Random(1))
        assert [] == list(tmp_path.iterdir())


class TestShortest:
    """Tests for `shortest`."""

    def test_to_the_point(self) -> None:
        """What has nothing to do with it goes, however it lies around it."""
        things = tuple(Thing(STATE.name, place=place) for place in range(5))
        steps = tuple(Step("deliver", (Request((number,)),)) for number in (0, 1, 2, 3, 4, 2, 1))
        calls: list[Script] = []

        def fails(one: Script) -> bool:
            calls.append(one)
            places = [
                one.things[number].type for step in one.steps for request in step.requests for number in request.things
            ]
            return len(places) > len(one.things)

        found = shortest(Script(things, steps), fails, Random(1))
        assert 1 == len(found.things)
        assert 2 == found.deliveries
        assert len(calls) == len(set(calls))

    def test_nothing_shorter(self) -> None:
        """Where nothing shorter fails, it stays as it is."""
        script = Script((Thing(STATE.name),), (Step("deliver", (Request((0,)),)),))
        assert script == shortest(script, lambda one: False, Random(1))

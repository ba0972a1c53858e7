"""Which leases a process takes, and which it hands over: no database."""

from __future__ import annotations

import pytest
from im_callback.provider_mock.delivery.ledger.leases import Beat, Process
from im_callback.provider_mock.server.sharing import GRACE_MILLIS, chosen, surplus

LONG = GRACE_MILLIS + 1
APPS = frozenset("abcdef")


def process(name: str, *, alive: bool = True, apps: frozenset[str] = APPS) -> Process:
    """Return a process that can deliver for these apps."""
    return Process(name, f"{name}:1", 0, 0, apps, alive)


def beat(holders: dict[str, str], *processes: Process) -> Beat:
    """Return how things stand."""
    return Beat(0, 0.0, 0.0, 0.0, {}, frozenset(), frozenset(), holders, {}, processes, None)


class TestChosen:
    """Free leases that are taken."""

    @pytest.mark.parametrize(
        ("taken", "held", "free", "alive"),
        [
            pytest.param("abcdef", 0, dict.fromkeys("abcdef", LONG), 1, id="all, alone"),
            pytest.param("abcdef", 0, dict.fromkeys("abcdef", LONG), 2, id="all that nobody took for long"),
            pytest.param("abc", 0, dict.fromkeys("abcdef", 1), 2, id="its share at first"),
            pytest.param("ab", 0, dict.fromkeys("abcdef", 1), 3, id="a third"),
            pytest.param("a", 2, dict.fromkeys("abc", 1), 2, id="what is missing of its share"),
            pytest.param("", 3, dict.fromkeys("abc", 1), 2, id="nothing beyond it"),
            pytest.param("c", 3, {"a": 1, "b": GRACE_MILLIS, "c": LONG}, 2, id="beyond it what others leave"),
            pytest.param("b", 5, {"a": 1, "b": None}, 2, id="what is kept for it"),
            pytest.param("", 0, {}, 2, id="nothing is free"),
        ],
    )
    def test_taken(self, taken: str, held: int, free: dict[str, int | None], alive: int) -> None:
        """By how many there are, and since when they are free."""
        processes = [*(process(str(number)) for number in range(alive)), process("gone", alive=False)]
        assert list(taken) == chosen(held, free, processes, APPS)


class TestSurplus:
    """Leases that are handed over."""

    @pytest.mark.parametrize(
        ("given", "holders", "others"),
        [
            pytest.param({}, {"a": "me"}, [process("b")], id="one is none too many"),
            pytest.param({"b": "x"}, {"a": "me", "b": "me"}, [process("x")], id="half"),
            pytest.param(
                {"f": "x", "e": "x", "d": "x"}, dict.fromkeys("abcdef", "me"), [process("x")], id="half of six"
            ),
            pytest.param(
                {"f": "x", "e": "y", "d": "x", "c": "y"},
                dict.fromkeys("abcdef", "me"),
                [process("x"), process("y")],
                id="a third to each",
            ),
            pytest.param({}, {"a": "me", "b": "me", "c": "x"}, [process("x")], id="one more stays"),
            pytest.param({}, dict.fromkeys("abcdef", "me"), [process("x", alive=False)], id="none to the dead"),
            pytest.param(
                {"b": "x"},
                dict.fromkeys("abcdef", "me"),
                [process("x", apps=frozenset("b"))],
                id="only what the other can deliver",
            ),
            pytest.param({}, dict.fromkeys("ab", "me"), [], id="alone"),
        ],
    )
    def test_given(self, given: dict[str, str], holders: dict[str, str], others: list[Process]) -> None:
        """To whoever has the fewest, as far as that has two less."""
        mine = sorted(app for app, holder in holders.items() if holder == "me")
        assert given == surplus("me", mine, beat(holders, process("me"), *others))

    def test_comes_to_rest(self) -> None:
        """However it begins, handing over ends, and then nobody has two more than another."""
        holders, names = dict.fromkeys("abcdefghijk", "one"), ["one", "two", "three"]
        apps = frozenset(holders)
        for _ in range(20):
            changed = False
            for me in names:
                mine = sorted(app for app, holder in holders.items() if holder == me)
                given = surplus(me, mine, beat(holders, *(process(name, apps=apps) for name in names)))
                holders |= given
                changed |= bool(given)
            if not changed:
                break
        counts = [sum(holder == name for holder in holders.values()) for name in names]
        assert (False, [3, 4, 4]) == (changed, sorted(counts))

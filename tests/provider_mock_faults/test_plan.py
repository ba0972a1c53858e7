"""Plans and faults are plain data and pure functions: the same seed gives the same plan, byte for byte."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from im_callback.provider_mock.delivery import faults
from im_callback.provider_mock.delivery.fault import Failing, NothingToDisturb
from im_callback.provider_mock.delivery.plan import Change, Plan, Step, Transport, chains, dump, plan

ROOT = Path(__file__).parents[2]
DELIVERY = ROOT / "provider_mock" / "delivery"
MIXED = (
    "lose-ack:every=2",
    "sign-afresh:every=3",
    "reorder",
    "duplicate-concurrently:copies=2,every=2",
    "trickle:on=repeats,pause=0.1",
    "tamper-time:on=first,every=3",
    "delay:seconds=0.25",
)
#: What MIXED makes of three deliveries, with seed 7. Every Python must come to these bytes.
SNAPSHOT = """\
[{"index":1},
{"at":0.25,"awaited":false,"index":2,"transport":{"read_reply":false},"turn":1},
{"attempt":1,"awaited":false,"index":2,"transport":{"trickle_bytes":16,"trickle_seconds":0.1},"turn":1},
{"at":0.25,"awaited":false,"copy":1,"index":2,"transport":{"read_reply":false,"trickle_bytes":16,"trickle_seconds":0.1},"turn":1},
{"attempt":1,"awaited":false,"copy":1,"index":2,"transport":{"trickle_bytes":16,"trickle_seconds":0.1},"turn":1},
{"at":0.25,"awaited":false,"changes":[{"kind":"time","value":"1"}],"index":0,"transport":{"read_reply":false},"turn":2},
{"attempt":1,"awaited":false,"index":0,"signing":1,"transport":{"trickle_bytes":16,"trickle_seconds":0.1},"turn":2},
{"at":0.25,"awaited":false,"copy":1,"index":0,"transport":{"read_reply":false,"trickle_bytes":16,"trickle_seconds":0.1},"turn":2},
{"attempt":1,"awaited":false,"copy":1,"index":0,"signing":1,"transport":{"trickle_bytes":16,"trickle_seconds":0.1},"turn":2}]
"""


def made(*described: str, count: int = 3, rate: float | None = None, seed: int = 7) -> Plan:
    """Return a disturbed plan."""
    return faults.apply(map(faults.parse, described), plan(count, rate), Random(seed))


class TestPlan:
    """Tests for `plan`."""

    def test_in_turn(self) -> None:
        """Without a rate one follows the other."""
        assert (Step(0, turn=0), Step(1, turn=1), Step(2, turn=2)) == plan(3)

    def test_rate(self) -> None:
        """With a rate each has its moment, whatever becomes of the others."""
        assert (Step(0, at=0.0), Step(1, at=0.25), Step(2, at=0.5)) == plan(3, rate=4)

    def test_nothing(self) -> None:
        """No deliveries, no steps."""
        assert () == plan(0)

    @pytest.mark.parametrize("rate", [0, -1, float("nan")])
    def test_no_rate(self, rate: float) -> None:
        """A rate at which it would never end is a mistake."""
        with pytest.raises(ValueError, match="give more than 0"):
            plan(3, rate)


class TestDump:
    """Tests for `dump`."""

    def test_plain(self) -> None:
        """What is as by default is left out."""
        assert '[{"index":0},\n{"index":1,"turn":1}]\n' == dump(plan(2))
        assert "[]\n" == dump(())

    def test_nested(self) -> None:
        """Transport, wire and changes are objects of their own."""
        step = Step(0, changes=(Change("drop", "key"),), transport=Transport(reset=True, deadline=0.5))
        assert [
            {
                "index": 0,
                "changes": [{"kind": "drop", "name": "key"}],
                "transport": {"reset": True, "deadline": 0.5},
            }
        ] == json.loads(dump([step]))


class TestSameSeedSamePlan:
    """Byte for byte, whatever the Python and whatever its hash seed."""

    def test_snapshot(self) -> None:
        """These bytes are the same on every Python."""
        assert SNAPSHOT == dump(made(*MIXED))

    @pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
    def test_hash_seed(self, hash_seed: str) -> None:
        """The order of sets and dictionaries plays no part, for any fault."""
        described = [name for name in faults.load() if name != "duplicate-concurrently"] + list(MIXED)
        script = (
            "import sys; from random import Random; from im_callback.provider_mock.delivery import faults, plan\n"
            f"found = map(faults.parse, {described!r})\n"
            "sys.stdout.write(plan.dump(faults.apply(found, plan.plan(4), Random(3))))"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert dump(made(*described, count=4, seed=3)) == done.stdout

    def test_seed_matters(self) -> None:
        """Another seed, another order."""
        assert len({dump(made("reorder", count=20, seed=seed)) for seed in range(5)}) == 5


names = st.sampled_from(sorted(faults.load()))
settings_of = st.sampled_from(["", "every=2", "share=0.5"])
plans = st.builds(plan, st.integers(1, 6), st.none() | st.sampled_from([1.0, 3.0, 1000.0]))


def described(name: str, setting: str) -> str:
    """Return a fault as typed, with the setting if it has such an attribute."""
    known = {"share", *(faults.typed(one) for one in faults.attributes(faults.load()[name]))}
    return f"{name}:{setting}" if setting.partition("=")[0] in known else name


combined = st.lists(st.builds(described, names, settings_of), max_size=4)


class TestCombined:
    """Any faults, in any order, on any plan."""

    @settings(derandomize=True, deadline=None, max_examples=150)
    @given(plans, combined, st.integers(0, 2**32))
    def test_is_a_plan(self, start: Plan, typed: list[str], seed: int) -> None:
        """No delivery is lost, no step is there twice, and attempts and turns are numbered without a gap."""
        # Concurrent copies of concurrent copies are a lot; two say as much.
        typed = [one.replace("duplicate-concurrently", "duplicate-concurrently:copies=2", 1) if ":" not in one else one
                 for one in typed]  # fmt: skip
        found = faults.apply(map(faults.parse, typed), start, Random(seed))
        assert {step.index for step in start} == {step.index for step in found}
        keys = [(step.index, step.copy, step.attempt) for step in found]
        assert len(keys) == len(set(keys))
        for chain in chains(found):
            assert list(range(len(chain))) == [step.attempt for step in chain]
            assert 1 == len({step.turn for step in chain})
        turns = [chain[0].turn for chain in chains(found)]
        assert sorted(turns) == turns
        assert set(range(max(turns) + 1)) == set(turns)
        assert all(step.at >= 0 for step in found)
        # What is retried ends with an attempt that can be acknowledged.
        assert all(chain[-1].transport.ackable for chain in chains(found))
        assert dump(found) == dump(faults.apply(map(faults.parse, typed), start, Random(seed)))

    def test_failures_follow_one_another(self) -> None:
        """Two faults that fail an attempt make two failed attempts, then the whole one."""
        (chain,) = chains(made("truncate:missing=3", "lose-ack:times=2,gap=1", count=1))
        assert [
            Transport(body_limit=-3),
            Transport(read_reply=False),
            Transport(read_reply=False),
            Transport(),
        ] == [step.transport for step in chain]
        assert [0.0, 0.0, 1.0, 1.0] == [step.at for step in chain]

    def test_copies_fail_apart(self) -> None:
        """Each concurrent copy has its own failure and its own retry."""
        found = chains(made("duplicate-concurrently:copies=2", "reset", count=1))
        assert [[True, False], [True, False]] == [[step.transport.reset for step in chain] for chain in found]

    def test_changes_hold_for_retries(self) -> None:
        """What is changed before or after a retry was planned is changed in the retry too."""
        for typed in (("lose-ack", "header-case"), ("header-case", "lose-ack")):
            assert ["lower", "lower"] == [step.wire.header_case for step in made(*typed, count=1)]

    def test_transports_add_up(self) -> None:
        """Two faults of one request are both done to it."""
        (step,) = made("trickle:bytes=3", "slow-start:seconds=2", count=1)
        assert Transport(trickle_bytes=3, trickle_seconds=0.01, slow_start=2.0) == step.transport

    def test_rate_keeps_its_moments(self) -> None:
        """At a rate, what is moved takes each other's moments, and a later repeat comes among the others."""
        assert [(0.0, 2), (0.5, 1), (1.0, 0)] == [(step.at, step.index) for step in made("reverse", rate=2)]
        assert [(0.0, 0), (0.5, 1), (0.5, 0), (1.0, 2), (1.0, 1), (0.0, 2)] == [
            (step.at, step.index) for step in made("duplicate-later:distance=1", rate=2)
        ]

    @pytest.mark.parametrize("name", ["reformat", "tamper-body", "trickle"])
    def test_nothing_to_disturb(self, name: str) -> None:
        """A fault of repeats where there are none would be without effect, silently; so it is an error."""
        with pytest.raises(NothingToDisturb) as raised:
            made(f"{name}:on=repeats")
        assert str(raised.value).startswith(f"{name}:on=repeats finds nothing that is sent again; put a fault before")
        assert () == made(f"{name}:on=repeats", count=0)

    def test_no_probabilities(self) -> None:
        """Scripted faults are certain: the only one that draws is the shuffle."""

        class NoRandom(Random):
            def random(self) -> float:
                raise AssertionError

        drawing = []
        for name in faults.load():
            try:
                faults.apply([faults.parse(name)], plan(4), NoRandom(1))
            except AssertionError:
                drawing.append(name)
        assert ["reorder"] == drawing


class TestPurity:
    """Plans and faults perform no I/O, read no clock and have no randomness of their own."""

    @pytest.mark.parametrize(
        "file", [DELIVERY / "plan.py", DELIVERY / "fault.py", *sorted((DELIVERY / "faults").glob("*.py"))],
        ids=lambda file: file.stem,
    )  # fmt: skip
    def test_imports(self, file: Path) -> None:
        """They import what cannot do such things; of `random` they know the class that they are given."""
        pure = {"__future__", "abc", "collections", "dataclasses", "difflib", "functools", "importlib", "json", "math", "pkgutil",
                "random", "typing"}  # fmt: skip
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= pure
            elif isinstance(node, ast.ImportFrom):
                assert str(node.module).partition(".")[0] in pure | {"im_callback"}
                assert "random" != node.module or ["Random"] == [alias.name for alias in node.names]
                if str(node.module).startswith("im_callback."):
                    assert node.module in {
                        "im_callback.provider_mock.wire",
                        "im_callback.provider_mock.delivery.plan",
                        "im_callback.provider_mock.delivery.fault",
                        "im_callback.provider_mock.delivery.bodies",
                        "im_callback.provider_mock.delivery.changes",
                        "im_callback.provider_mock.plugins",
                        "im_callback.schemas.nearest",
                    }

    def test_loads_nothing_heavy(self) -> None:
        """The catalogue can be had without an HTTP client."""
        script = "import sys; from im_callback.provider_mock.delivery import faults; faults.load(); print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
        assert not {"ssl", "click", "asyncio", "faker", "jsonschema"} & set(done.stdout.split())

    @pytest.mark.parametrize("name", [name for name, kind in faults.load().items() if issubclass(kind, Failing)])
    def test_failing(self, name: str) -> None:
        """What is said to fail an attempt does so, and what is not does not."""
        first, retry = made(name, count=1)
        assert not first.transport.ackable
        assert Step(0, attempt=1) == retry


class TestShare:
    """Any fault can be for a share of the deliveries, which the seed draws."""

    def test_so_many(self) -> None:
        """About that share, others with another seed, the same with the same."""
        drawn = [
            {step.index for step in made("lose-ack:share=0.2", count=1000, seed=seed) if step.attempt}
            for seed in (1, 2, 1)
        ]
        assert all(150 < len(one) < 250 for one in drawn)
        assert drawn[0] == drawn[2] != drawn[1]

    def test_places(self) -> None:
        """The others stay where they are, and those that move go among themselves."""
        whole, found = plan(20), made("reverse:share=0.3", count=20, seed=3)
        places = [one.index for one in found]
        movers = [place for place, one in enumerate(places) if place != one]
        assert 2 <= len(movers) < 20
        assert sorted(places) == [one.index for one in whole]
        assert [places[place] for place in movers] == movers[::-1]

    def test_nothing_drawn(self) -> None:
        """A share may hold nothing of a few; a fault that could do nothing to any is an error still."""
        assert plan(1) == made("lose-ack:share=0.000001", count=1)
        with pytest.raises(NothingToDisturb):
            made("trickle:on=repeats,share=0.5")

    @pytest.mark.parametrize("share", ["0", "1.5", "-1", "nan", "x"])
    def test_no_share(self, share: str) -> None:
        """It is more than nothing, and not more than all."""
        with pytest.raises(faults.BadValue, match="from 0 to 1"):
            faults.parse(f"reset:share={share}")

    def test_all(self) -> None:
        """All of them is what the fault does without a share."""
        assert faults.parse("reset") == faults.parse("reset:share=1")


class TestDrawn:
    """What faults draw from the seed."""

    def test_jitter(self) -> None:
        """Deliveries are held back for longer or shorter, and never leave before their turn."""
        seconds = [step.at for step in made("delay:seconds=1,jitter=2,every=1", count=50)]
        assert 50 > len(set(seconds)) > 20
        assert all(0 <= one <= 3 for one in seconds)
        assert {0.0} < set(seconds)

    def test_bandwidth(self) -> None:
        """So many bytes a second go out."""
        (step,) = made("trickle:bytes=50,bandwidth=200,pause=9", count=1)
        assert (50, 0.25) == (step.transport.trickle_bytes, step.transport.trickle_seconds)


class TestPartOfAStream:
    """Faults count through a stream that is planned in parts."""

    def test_none_of_its_share(self) -> None:
        """A later part that a fault finds nothing in stays as it is, for that fault alone; the first part is an error."""
        found = [faults.parse("tamper-body:every=10"), faults.parse("duplicate:every=2")]
        later = faults.apply(found, plan(3), Random(1), offset=5)
        assert [0, 1, 1, 2] == [step.index for step in later]
        assert not any(step.changes for step in later)
        nothing = [faults.parse("tamper-body:on=repeats")]
        assert plan(3) == faults.apply(nothing, plan(3), Random(1), offset=5)
        with pytest.raises(NothingToDisturb):
            faults.apply(nothing, plan(3), Random(1))

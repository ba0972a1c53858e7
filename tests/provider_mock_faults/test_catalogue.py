"""The catalogue: what is in it, how a fault is typed, and what is said when it is typed wrongly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from im_callback.provider_mock.delivery import faults
from im_callback.provider_mock.delivery.fault import Fault, attributes
from im_callback.provider_mock.delivery.faults import BadValue, UnknownAttribute, UnknownFault

from tests.provider_mock_faults.recorder import body_of, recorder
from tests.provider_mock_faults.sending import Sent

ROOT = Path(__file__).parents[2]
OURS = sorted(file.stem.replace("_", "-") for file in (ROOT / "provider_mock/delivery/faults").glob("[a-z]*.py"))
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")


class TestLoad:
    """Tests for `load`."""

    def test_ours(self) -> None:
        """One file each, called as the fault is."""
        assert OURS == list(faults.load())[: len(OURS)]

    @pytest.mark.parametrize("name", OURS)
    def test_described(self, name: str) -> None:
        """Each says in one sentence what it does, and its attributes have a meaning; each stands in the reference."""
        kind = faults.load()[name]
        assert isinstance(kind(), Fault)
        sentence = faults.sentence(kind)
        assert sentence.endswith(".")
        assert sentence[0].isupper()
        assert len(sentence) < 120
        assert all(one.metadata["meaning"] for one in attributes(kind))
        assert f"`{name}`" in PAGE

    def test_sentences_differ(self) -> None:
        """No two say the same."""
        assert len(OURS) == len({faults.sentence(faults.load()[name]) for name in OURS})


class TestParse:
    """Tests for `parse`."""

    @pytest.mark.parametrize("name", OURS)
    def test_defaults(self, name: str) -> None:
        """The name alone is enough, and typing every default is the same."""
        kind = faults.load()[name]
        typed = ",".join(f"{faults.typed(one)}={faults.shown(one.default)}" for one in attributes(kind))
        assert kind() == faults.parse(name) == faults.parse(f"{name}:") == faults.parse(f"{name}:{typed}")

    def test_values(self) -> None:
        """Values have the type of the default."""
        found = faults.parse("half-open:times=3,gap=1.5,retry=false,missing=7")
        assert (3, 1.5, False, 7, 1) == (found.times, found.gap, found.retry, found.missing, found.every)
        assert "java-hashmap" == faults.parse("reformat:key-order=java-hashmap").key_order
        assert "a=b:c" == faults.parse("content-type:value=a=b:c").value

    @pytest.mark.parametrize(
        ("error", "message", "typed"),
        [
            (
                UnknownFault,
                "no fault is called 'duplicat'; did you mean 'duplicate'? provider-mock faults lists them",
                "duplicat",
            ),
            (UnknownFault, "no fault is called ''; provider-mock faults lists them", ""),
            (UnknownFault, "no fault is called 'Zzz'; provider-mock faults lists them", "Zzz:a=b"),
            (
                UnknownAttribute,
                "the fault duplicate has no attribute 'tmes'; did you mean 'times'? there are times, gap, every",
                "duplicate:tmes=1",
            ),
            (
                UnknownAttribute,
                (
                    "the fault reformat has no attribute 'key_order'; "
                    "did you mean 'key-order'? there are on, every, key-order, escapes, spaces, newline, floats"
                ),
                "reformat:key_order=alphabetical",
            ),
            (
                BadValue,
                "the fault duplicate cannot take times=x: give a whole number from 1 to 100, such as times=1",
                "duplicate:times=x",
            ),
            (
                BadValue,
                "the fault duplicate cannot take times=0: give a whole number from 1 to 100, such as times=1",
                "duplicate:times=0",
            ),
            (
                BadValue,
                "the fault duplicate cannot take gap=nan: give a number not less than 0, such as gap=0",
                "duplicate:gap=nan",
            ),
            (BadValue, "the fault duplicate cannot take gap=: give a value, such as gap=0", "duplicate:times=2,gap"),
            (
                BadValue,
                "the fault lose-ack cannot take retry=no: give one of true, false, such as retry=true",
                "lose-ack:retry=no",
            ),
            (
                BadValue,
                "the fault trickle cannot take on=some: give one of all, first, repeats, such as on=all",
                "trickle:on=some",
            ),
            (
                BadValue,
                "the fault stale cannot take age=0: give a number other than 0, such as age=3600",
                "stale:age=0",
            ),
            (
                BadValue,
                (
                    "the fault content-type cannot take value='a\\r\\nb': give printable text, "
                    "such as value=application/json;charset=utf-8"
                ),
                "content-type:value=a\r\nb",
            ),
        ],
    )  # fmt: skip
    def test_mistakes(self, error: type[Exception], message: str, typed: str) -> None:
        """The message names the value and the fix, on one line."""
        with pytest.raises(error) as raised:
            faults.parse(typed)
        assert message == str(raised.value)


MODULE = '''
"""A third party's fault."""

from dataclasses import dataclass, replace

from im_callback.provider_mock.delivery.plan import Change


@dataclass(frozen=True)
class Shout:
    """Send the first of every so many deliveries by another method. More."""

    name = "shout"
    every: int = 2

    def apply(self, plan, rng):
        change = Change("method", value="PUT")
        return tuple(replace(step, changes=(change,)) if step.index % self.every == 0 else step for step in plan)
'''


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as an installed package leaves it: a module and its entry point."""
    (tmp_path / "shouting.py").write_text(MODULE, encoding="utf-8")
    info = tmp_path / "shouting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{faults.GROUP}]\nshout = shouting:Shout\n", encoding="utf-8")
    return tmp_path


class TestThirdParty:
    """A fault from a package of its own, which knows nothing but the plan."""

    @pytest.fixture
    def found(self, installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Fault]]:
        """Its class, by its name."""
        monkeypatch.syspath_prepend(str(installed))
        yield faults.load()["shout"]
        sys.modules.pop("shouting", None)

    def test_found(self, found: type[Fault]) -> None:
        """It stands behind ours, with sentence and attributes."""
        assert "shout" in list(faults.load())[len(OURS) :]
        assert "Send the first of every so many deliveries by another method." == faults.sentence(found)
        assert found(every=3) == faults.parse("shout:every=3")

    def test_mistake(self, found: type[Fault]) -> None:
        """It is typed like ours."""
        with pytest.raises(BadValue, match="the fault shout cannot take every=x: give a whole number, such as"):
            faults.parse("shout:every=x")

    def test_sent(self, found: type[Fault]) -> None:
        """It combines with ours, and arrives."""
        with recorder() as there:
            Sent(there.url, "shout", "duplicate", count=2)
        assert ["PUT", "PUT", "POST", "POST"] == [one.split()[0].decode() for one in there.order]

    def test_command(self, installed: Path) -> None:
        """The commands know it, in a fresh process."""
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        start = [sys.executable, "-c", "from im_callback.provider_mock.cli import entry; entry()"]
        listed = subprocess.run([*start, "faults"], cwd=ROOT, env=environment, capture_output=True, check=True)
        assert {
            "name": "shout",
            "sentence": "Send the first of every so many deliveries by another method.",
            "attributes": {"every": {"default": 2, "meaning": ""}},
        } in [json.loads(line) for line in listed.stdout.splitlines()]
        with recorder() as there:
            arguments = ["send", "commsease.login", "--to", there.url, "--fault", "shout:every=1"]
            subprocess.run([*start, *arguments], cwd=ROOT, env=environment, capture_output=True, check=True)
        assert there.order[0].startswith(b"PUT /cb ")
        assert body_of(there.order[0])

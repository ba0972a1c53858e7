"""The file of a finding: what is written can be read again, and what is no such file is refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from im_callback.conformance.explore.finding import NoFinding, Recorded, read, written
from im_callback.conformance.explore.script import Request, Script, Step, Thing

SCRIPT = Script((Thing("acme.room"),), (Step("deliver", (Request((0,)),)), Step("wait", number=0.5)))
RECORDED = Recorded("acme", "rooms", "doubled", SCRIPT, 3, 5)


def text(**changes: Any) -> str:
    """Return the file's text, with members changed; one that is None is left out."""
    document = json.loads(written(RECORDED, seed=7, made_by="us 1.0", timeline=["1. …"]))
    return json.dumps({name: value for name, value in {**document, **changes}.items() if value is not None})


def test_round_trip(tmp_path: Path) -> None:
    """What is written is read as what it was."""
    file = tmp_path / RECORDED.name
    file.write_text(written(RECORDED, seed=7, made_by="us 1.0", timeline=["1. …"]), encoding="utf-8")
    assert RECORDED == read(file)


def test_name() -> None:
    """The same script has the same name, whatever came of it; another one has another."""
    same = Recorded("acme", "rooms", "doubled", SCRIPT, 1, 9)
    other = Recorded("acme", "lists", "doubled", SCRIPT, 3, 5)
    assert RECORDED.name == same.name != other.name
    assert RECORDED.name.startswith("receiver-finding-doubled-")


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ("it is not JSON", b"{"),
        ("it is not JSON", b"\xff\xfe\x00"),
        ("it is no finding", b"[]"),
        ("it is no finding", b'{"checks": []}'),
        ("it is of version 2, and this package reads 1", text(version=2).encode()),
        ("'steps' is a required property", text(steps=None).encode()),
        ("steps/0: ", text(steps=[{"explode": True}]).encode()),
        ("failed: 0 is less than the minimum", text(failed=0).encode()),
        (
            "the thing 4, and there are 1",
            text(steps=[{"deliver": [{"things": [4], "form": "same", "fate": "answered"}]}]).encode(),
        ),
        ("invariant: 'late' is not one of", text(invariant="late").encode()),
    ],
)
def test_refused(said: str, content: bytes, tmp_path: Path) -> None:
    """The reason names the place, and what to do."""
    file = tmp_path / "finding.json"
    file.write_bytes(content)
    with pytest.raises(NoFinding) as refused:
        read(file)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_such_file(tmp_path: Path) -> None:
    """A file that cannot be read is refused as well."""
    with pytest.raises(NoFinding, match="it cannot be read"):
        read(tmp_path)

"""Tests of how pages are typed: what is wrong in one is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import typed

FENCE = "```"


def wrong(folder: Path, text: str) -> list[str]:
    """Type a page of this text; return what is wrong with it."""
    page = folder / "page.md"
    page.write_text(text.replace("~~~", FENCE), encoding="utf-8")
    session = typed.session(page, folder / "in", typed.Ports({}), typed.environment(folder))
    return list(session.wrong())


GOOD = [
    "~~~console\n$ echo one\none\n~~~\n",
    "~~~console\n$ echo one \\\n    two\none two\n~~~\n",
    "~~~console\n$ printf 'a\\nb\\nc\\nd\\n'\na\n…\nd\n~~~\n",
    "~~~console\n$ echo 17 pass\n… pass\n~~~\n",
    "~~~console\n$ false\n$ echo $?\n1\n~~~\n",
    "~~~console\n$ export A=b\n~~~\ntext\n~~~console\n$ echo $A\nb\n~~~\n",
    '~~~text title="a/b.txt"\nhello\n~~~\n~~~console\n$ cat a/b.txt\nhello\n~~~\n',
    "~~~console\n$ echo http://127.0.0.1:8080/\nhttp://127.0.0.1:8080/\n~~~\n",
    "<!-- not run: it would never end -->\n~~~console\n$ false\n~~~\n",
    "<!-- keeps running -->\n~~~console\n$ echo ready; exec sleep 100\nready\n~~~\n~~~console\n$ echo on\non\n~~~\n",
    "~~~console\n$ test -t 1 && echo terminal\nterminal\n~~~\n",
    "~~~console\n$ printf '1%%\\r2%%\\n'\n2%\n~~~\n",
]
BAD = [
    ("~~~console\n$ echo two\none\n~~~\n", "is shown to print:\none\nand printed:\ntwo"),
    ("~~~console\n$ echo one\none\n…\ntwo\n~~~\n", "is shown to print"),
    ("~~~console\n$ false\n~~~\n", "ended with 1"),
    ("~~~console\n$ exit 3\n~~~\n", "never ended"),
    ("<!-- keeps running -->\n~~~console\n$ echo no\nready\n~~~\n", "is shown to print"),
]


@pytest.mark.parametrize("text", GOOD)
def test_good(tmp_path: Path, text: str) -> None:
    """A page that is right."""
    assert [] == wrong(tmp_path, text)


@pytest.mark.parametrize(("text", "said"), BAD)
def test_bad(tmp_path: Path, text: str, said: str) -> None:
    """A page that is wrong, and how."""
    (found,) = wrong(tmp_path, text)
    assert said in found


def test_ports(tmp_path: Path) -> None:
    """What a page calls 8080 is a port that is free here, also in its files."""
    page = tmp_path / "page.md"
    page.write_text(f'{FENCE}text title="a"\n127.0.0.1:8080\n{FENCE}\n{FENCE}console\n$ cp a b\n{FENCE}\n')
    ports = typed.Ports({})
    assert [] == list(typed.session(page, tmp_path / "in", ports, typed.environment(tmp_path)).wrong())
    assert ports[8080] != 8080
    assert f"127.0.0.1:{ports[8080]}\n" == (tmp_path / "in" / "b").read_text()

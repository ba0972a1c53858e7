"""The code that mends what checks find: there for every framework, and code."""

from __future__ import annotations

import ast
import json
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.explain.remedies import FRAMEWORKS, Snippet, UnknownRemedy, kinds, remedy

from tests.programs import needed

USED = {kind for check in all_checks(explored=True) for kind in check.remedies}
PARSE_NODE = """
const AsyncFunction = (async () => {}).constructor;
for (const [name, code] of JSON.parse(require("fs").readFileSync(0, "utf8"))) {
  try { new AsyncFunction(code); } catch (error) { console.log(name, error.message); }
}
"""
PARSE_PHP = """
foreach (json_decode(file_get_contents('php://stdin')) as [$name, $code]) {
    try {
        PhpToken::tokenize("<?php\\n$code", TOKEN_PARSE);
    } catch (ParseError $error) {
        echo "$name {$error->getMessage()}\\n";
    }
}
"""


def snippets(language: str) -> list[tuple[str, Snippet]]:
    """Return the pieces of code in a language, with the kinds of fixes that they stand for."""
    found = [(kind, one) for kind in kinds() for one in remedy(kind).snippets if one.language == language]
    assert found
    return found


def ran(*command: str | Path, given: str = "") -> str:
    """Return what a program prints that finds mistakes."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def named(language: str) -> str:
    """Return the code in a language, by kind, as JSON."""
    return json.dumps([(f"{kind}, {one.framework}", one.code) for kind, one in snippets(language)])


@pytest.mark.parametrize("kind", kinds())
def test_page(kind: str) -> None:
    """A page has a title, a text and a piece of code for each framework, and a check names it."""
    found = remedy(kind)
    assert found.title
    assert len(found.text) > 80
    assert list(FRAMEWORKS) == [one.framework for one in found.snippets if one.framework != "SQL"]
    assert kind in USED
    lines = found.text.splitlines() + [line for one in found.snippets for line in one.code.splitlines()]
    assert max(map(len, lines)) <= 120


def test_unknown() -> None:
    """A kind that there is no page for is an error that names those there are."""
    assert USED <= set(kinds())
    with pytest.raises(UnknownRemedy, match="no kind of fix is called 'hope'; there are "):
        remedy("hope")


def test_python() -> None:
    """Python parses."""
    for kind, one in snippets("python"):
        ast.parse(one.code, f"{kind}, {one.framework}")


def test_sql() -> None:
    """SQL runs where it is as standard as it gets."""
    for _, one in snippets("sql"):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(one.code.replace("?", "1"))


def test_node() -> None:
    """JavaScript parses."""
    needed("node")
    assert "" == ran("node", "-e", PARSE_NODE, given=named("js"))


def test_php() -> None:
    """PHP parses."""
    needed("php")
    assert "" == ran("php", "-r", PARSE_PHP, given=named("php"))


def test_go(tmp_path: Path) -> None:
    """Go parses, and is formatted as its own tool does."""
    needed("gofmt")
    for kind, one in snippets("go"):
        whole = one.code
        if not re.match(r"(?:func|type|const|var)\b", re.sub(r"(?m)^//.*\n", "", whole)):
            inner = "\n".join(f"\t{line}" if line else "" for line in whole.splitlines())
            whole = f"func f() {{\n{inner}\n}}"
        (tmp_path / f"{kind}.go").write_text(f"package p\n\n{whole}\n", encoding="utf-8")
    assert "" == ran("gofmt", "-d", "-e", tmp_path)


def test_java(tmp_path: Path) -> None:
    """Java parses."""
    needed("javac")
    files = []
    for kind, one in snippets("java"):
        files.append(tmp_path / f"{kind}.java")
        files[-1].write_text(f"class Page {{\n{one.code}\n}}\n", encoding="utf-8")
    assert "" == ran("java", Path(__file__).with_name("ParseJava.java"), *files)

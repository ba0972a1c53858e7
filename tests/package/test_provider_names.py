"""What the names of our providers and event types stand in: the contract's folders, and a few lines that say why."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from im_callback.provider_mock import providers

from tests.cases import in_each

ROOT = Path(__file__).parents[2]
OURS = [
    folder.name for folder in (ROOT / "provider_mock" / "providers").iterdir() if (folder / "__init__.py").is_file()
]
THEIRS = ("provider_mock/providers/", *(f"schemas/{name}/" for name in OURS))
"""Where they belong."""
PLACES = ("provider_mock", "conformance", "schemas")
FILES = [
    file
    for place in PLACES
    for file in sorted((ROOT / place).rglob("*"))
    if file.suffix in (".py", ".json", ".toml", ".mako", ".html") and not str(file.relative_to(ROOT)).startswith(THEIRS)
]
ALLOWED = {
    "provider_mock/commands/shared/typed.py": (1, "--provider has a default"),
    "conformance/options.py": (1, "--receiver-provider has a default"),
    "conformance/option_table.py": (3, "the help of options names what can be chosen, and the test credentials"),
    "provider_mock/commands/demo.py": (4, "the demo plays ours to the receivers of the example"),
    "provider_mock/server/options.py": (1, "a message gives an example of a provider"),
}
"""By file, how many texts name a provider, and why they do."""


@cache
def words() -> re.Pattern[str]:
    """Return what finds a name: of a provider, of an event type, or the provider's own word for one."""
    found = set(OURS)
    for one in map(providers.load, OURS):
        kinds = {each.name.partition(".")[2] for each in one.catalogue}
        # A plain word, such as login, says nothing about whose it is.
        found |= {kind for kind in kinds if "-" in kind}
        found |= {each.code for each in one.catalogue if not each.code.isdecimal() and not each.code.isalpha()}
    longest_first = sorted(map(re.escape, found), key=len, reverse=True)
    return re.compile(rf"(?i)(?<![a-z0-9])(?:{'|'.join(longest_first)})")


def said(file: Path) -> Iterator[str]:
    """Yield the texts and names of a file that do something: not its comments, nor what documents it."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        yield from text.splitlines()
        return
    tree = ast.parse(text)
    documenting = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documenting:
            yield node.value
        for name in ("id", "attr", "name", "arg", "module", "asname"):
            if isinstance(value := getattr(node, name, None), str):
                yield value


def test_found() -> None:
    """The words are those that they should be, and are found where they stand."""
    pattern = words()
    for text in ("commsease", 'load("rongcloud")', "TENCENT_OK", "rongcloud.chatroom-kv", "chatroom-kv"):
        assert pattern.search(text), text
    for text in ("login", "a receiver", "data-sync"):
        assert not pattern.search(text), text
    assert {"provider_mock/providers/tencent"} <= {str(one.parent.relative_to(ROOT)) for one in ROOT.glob("*/*/*/*.py")}
    naming = [
        file
        for file in sorted((ROOT / "provider_mock" / "providers").rglob("*.py"))
        if any(map(pattern.search, said(file)))
    ]
    assert len(naming) > 3


@in_each("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_named_nowhere_else(file: Path) -> None:
    """No other file knows a provider, but for as many texts as the list above allows."""
    pattern = words()
    found = Counter(text for text in said(file) if pattern.search(text))
    allowed, _ = ALLOWED.get(str(file.relative_to(ROOT)), (0, ""))
    assert allowed == found.total(), sorted(found)


def test_list() -> None:
    """Every file of the list is there."""
    assert set(ALLOWED) <= {str(file.relative_to(ROOT)) for file in FILES}

"""Kinds of changes to a receiver that mend what checks find: a page of Markdown each, with code for each framework.

A page begins with a title and a text. Each further heading is a framework (or SQL, for what is the same in all), with a
block of code beneath it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FRAMEWORKS = ("Flask", "FastAPI", "Express", "Spring Boot", "Go", "PHP")
_BLOCK = re.compile(r"^## (?P<name>[^\n]+)\n\n```(?P<language>\w+)\n(?P<code>.*?)\n```$", re.MULTILINE | re.DOTALL)


class UnknownRemedy(LookupError):
    """A check names a kind of fix that there is no page for."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"no kind of fix is called {kind!r}; there are {', '.join(kinds())}")


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of code: for which framework, and in which language."""

    framework: str
    language: str
    code: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """A kind of fix: what to do in a sentence or a few, and how that is written."""

    kind: str
    title: str
    text: str
    snippets: tuple[Snippet, ...]


def kinds() -> list[str]:
    """Return the names of all kinds."""
    return sorted(one.name.removesuffix(".md") for one in files(__name__).iterdir() if one.name.endswith(".md"))


@cache
def remedy(kind: str) -> Remedy:
    """Return a kind of fix; raises `UnknownRemedy`."""
    if kind not in kinds():
        raise UnknownRemedy(kind)
    page = files(__name__).joinpath(f"{kind}.md").read_text(encoding="utf-8")
    head = page.partition("\n## ")[0]
    title, _, text = head.removeprefix("# ").partition("\n")
    found = (Snippet(one["name"], one["language"], one["code"]) for one in _BLOCK.finditer(page))
    return Remedy(kind, title, text.strip(), tuple(found))

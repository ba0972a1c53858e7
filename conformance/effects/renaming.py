"""Renames records by JMESPath: one expression for all, or a file with one for each event type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from im_callback.conformance.effects.source import BadEffects
from im_callback.conformance.effects.texts import opened
from im_callback.conformance.records import ByType
from im_callback.conformance.text_files import text_of
from im_callback.schemas.nearest import choice

if TYPE_CHECKING:
    from jmespath import Options

Rename = Callable[[Any], Any]
OPTION = "--receiver-effects-map"
FILES = ("@", "file:")
"""What stands before the name of a file of maps."""
OTHERS = "*"
"""In the place of an event type: records of which no other map makes anything."""
_LINE = re.compile(r"(?P<type>\*|[A-Za-z][\w-]*\.[\w.-]+)\s*:\s*(?P<expression>.*)")
_UNTOUCHED = (KeyError, TypeError, ValueError, AttributeError)
"""What JMESPath raises for values that its functions do not take, beside errors of its own."""


def compiled(mapping: str | None, folder: Path = Path(), types: Collection[str] | None = None) -> Rename:
    """Return the function that renames a record; raises `BadEffects`.

    `mapping` is an expression, or @FILE or file:PATH, looked for from `folder`; of a file every event type must be one
    of `types`, if those are given. A record that an expression cannot rename, or of which it leaves nothing, stays as it
    is. Without a map, a record whose only field holds an object as JSON is that object.
    """
    if not mapping:
        return opened
    for sign in FILES:
        # An expression may begin with @, too, which is then the record.
        if mapping.startswith(sign) and (sign != "@" or not re.match(r"@\s*([.|\[=!<>&,)]|$)", mapping)):
            return _of_file(mapping, mapping[len(sign) :], folder, types)
    return _of_one(mapping, f"{OPTION}={mapping!r}")


def _of_one(expression: str, where: str) -> Rename:
    search = _search(expression, where)

    def rename(record: Any) -> Any:
        renamed = search(record)
        return record if _nothing(renamed) else renamed

    return rename


def _of_file(spec: str, name: str, folder: Path, types: Collection[str] | None) -> Rename:
    where = f"{OPTION}={spec}"
    try:
        text = text_of((folder / name).read_bytes())
    except OSError as error:
        raise BadEffects(
            f"{where}: it cannot be read ({error.strerror}); give a file with EVENT-TYPE: EXPRESSION a line"
        ) from None
    except ValueError:
        raise BadEffects(f"{where}: it is not UTF-8; write it in UTF-8") from None
    maps = _maps(text, where)
    if not maps:
        return _of_one(text.strip(), where)
    for one in maps:
        if types is not None and one != OTHERS and one not in types:
            fix = choice(one, types, "provider-mock events lists them")
            raise BadEffects(f"{where}: there is no event type {one!r}; {fix}")
    searches = {one: _search(expression, f"{where}: {one}") for one, expression in maps.items()}
    other = searches.pop(OTHERS, None)

    def rename(record: Any) -> Any:
        made = [(one, found) for one, search in searches.items() if _is_record(found := search(record))]
        if made:
            return ByType(tuple(made))
        renamed = other(record) if other else None
        return record if _nothing(renamed) else renamed

    return rename


def _maps(text: str, where: str) -> dict[str, str]:
    """Return the expressions of a file by event type; none where it is one expression for all."""
    lines = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    maps: dict[str, str] = {}
    if not lines:
        raise BadEffects(f"{where}: it holds no map; write EVENT-TYPE: EXPRESSION a line")
    if (found := _json(text)) is not None:
        return found
    last = ""
    for line in lines:
        begun = _LINE.fullmatch(line.rstrip()) if not line[0].isspace() else None
        if begun is None and not last:
            return {}
        if begun is None:
            if not line[0].isspace():
                raise BadEffects(
                    f"{where}: {line.strip()[:60]!r} begins with no event type; write EVENT-TYPE: EXPRESSION, "
                    "and further lines of an expression with a space in front"
                )
            maps[last] += f" {line.strip()}"
            continue
        last = begun["type"]
        if last in maps:
            raise BadEffects(f"{where}: {last} stands there twice; write one expression for it")
        maps[last] = begun["expression"]
    return maps


def _json(text: str) -> dict[str, str] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    texts = isinstance(found, dict) and all(isinstance(one, str) for one in found.values())
    return found if texts else None


def _search(expression: str, where: str) -> Callable[[Any], Any]:
    """Return the function that searches by an expression; null where it cannot."""
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        parsed = jmespath.compile(expression)
    except JMESPathError as error:
        raise BadEffects(f"{where} is not JMESPath: {_line(error)}") from None
    known = _functions()
    assert known.custom_functions is not None
    names = known.custom_functions.FUNCTION_TABLE
    for name in _called(parsed.parsed):
        if name not in names:
            raise BadEffects(f"{where}: there is no function {name}; {choice(name, sorted(names))}")

    def search(record: Any) -> Any:
        try:
            return parsed.search(record, options=known)
        except (JMESPathError, *_UNTOUCHED):
            return None

    return search


def _called(node: Mapping[str, Any]) -> list[str]:
    """Return the functions that an expression calls."""
    names = [node["value"]] if node["type"] == "function_expression" else []
    return names + [name for child in node["children"] if isinstance(child, Mapping) for name in _called(child)]


@lru_cache(maxsize=1)
def _functions() -> Options:
    """Return the functions of JMESPath, and ours: json(text) and split(text, separator)."""
    from jmespath import Options
    from jmespath.functions import Functions, signature

    class WithTexts(Functions):
        """Functions for what stores keep as text."""

        @signature({"types": []})
        def _func_json(self, text: Any) -> Any:
            """What a text holds as JSON; null where it holds none; anything else as it is."""
            if not isinstance(text, str):
                return text
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return None

        @signature({"types": []}, {"types": ["string"]})
        def _func_split(self, text: Any, separator: str) -> Any:
            """The parts of a text between separators; null for what is no text."""
            return text.split(separator) if isinstance(text, str) and separator else None

    return Options(custom_functions=WithTexts())


def _is_record(made: Any) -> bool:
    """Return whether a map for one event type says that a record is of it."""
    return isinstance(made, Mapping) and not _nothing(made)


def _nothing(renamed: Any) -> bool:
    """Return whether a record came out empty: not one of its fields was there."""
    return renamed is None or (isinstance(renamed, Mapping) and all(value is None for value in renamed.values()))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())

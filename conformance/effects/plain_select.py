"""A query that can be asked to go on from a row: a plain SELECT from one table, told by its words alone.

Everything that is not certainly plain is not: joins, groups, limits, set operations, functions that may take many rows
together, comments, and quotes that databases read differently. The text of the query is kept as it was typed; a condition
is only put into it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

_TOKEN = re.compile(
    r"""\s+|'(?:[^'\\]|'')*'|"(?:[^"\\]|"")*"|`[^`\\]*`|[A-Za-z_][A-Za-z0-9_$]*|\d+(?:\.\d+)?|::|:[A-Za-z_]\w*"""
    r"""|--|/\*|\#|[-+*/%<>=!|&~^?@.,()\[\]{}:;\\$'"`]""",
)
_QUOTED = re.compile(r"""'(?:[^'\\]|'')*'""")
_FORBIDDEN = frozenset(
    [
        "join",
        "group",
        "having",
        "limit",
        "offset",
        "fetch",
        "union",
        "intersect",
        "except",
        "minus",
        "distinct",
        "over",
        "with",
        "window",
        "for",
        "into",
        "top",
        "values",
        "tablesample",
        "procedure",
        "lateral",
        "natural",
        "cross",
        "straight_join",
        "partition",
        "returning",
        "insert",
        "update",
        "delete",
        "exists",
        "any",
        "all",
        "some",
        "distinctrow",
        "qualify",
        "sample",
        "only",
        "final",
    ]
)
_SCALAR = frozenset(
    [
        "coalesce",
        "cast",
        "concat",
        "concat_ws",
        "lower",
        "upper",
        "trim",
        "ltrim",
        "rtrim",
        "json_extract",
        "json_unquote",
        "json_value",
        "json_query",
        "to_char",
        "to_json",
        "to_jsonb",
        "row_to_json",
        "date_format",
        "strftime",
        "replace",
        "substr",
        "substring",
        "left",
        "right",
        "ifnull",
        "nullif",
        "abs",
        "round",
        "length",
        "char_length",
        "date",
        "datetime",
        "time",
        "unix_timestamp",
        "from_unixtime",
        "extract",
        "hex",
        "json_valid",
        "jsonb_build_object",
        "json_build_object",
        "json_object",
        "from",
        "numeric",
        "decimal",
        "varchar",
        "char",
        "convert",
        "to_timestamp",
        "date_part",
        "instr",
        "locate",
        "position",
        "in",
        "and",
        "or",
        "not",
        "where",
        "between",
        "as",
        "when",
        "then",
        "else",
        "case",
        "like",
        "select",
        "on",
        "is",
        "null",
        "if",
        "by",
        "order",
    ]
)
_AFTER = frozenset({"where", "order"})


@dataclass(frozen=True, slots=True)
class PlainSelect:
    """The parts of a plain SELECT: `table` as it was typed, `called` the name by which its columns are reached."""

    text: str
    table: str
    called: str
    _condition: tuple[int, int] | None
    _end: int

    def since(self, condition: str) -> str:
        """Return the query with a further condition."""
        if self._condition is None:
            return f"{self.text[: self._end]} WHERE {condition} {self.text[self._end :]}".rstrip()
        start, end = self._condition
        asked = self.text[start:end].strip()
        return f"{self.text[:start]} ({asked}) AND {condition} {self.text[end:]}".rstrip()


def plain(query: str) -> PlainSelect | None:
    """Return the parts of a query, or None where it is not plain."""
    text = query.strip().rstrip(";").rstrip()
    tokens: list[tuple[str, int]] = []
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found[0] in ("--", "/*", "#", "\\", "$", "'", '"', "`", ";"):
            return None
        if not found[0].isspace():
            tokens.append((found[0], place))
        place = found.end()
    words = [token.lower() for token, _ in tokens]
    if words[:1] != ["select"] or words.count("select") > 1 or not _FORBIDDEN.isdisjoint(words):
        return None
    called = [before for before, after in pairwise(words) if after == "(" and before[0].isalnum()]
    if any(name not in _SCALAR for name in called):
        return None
    outer = _outer(words)
    froms = [index for index in outer if words[index] == "from"]
    if len(froms) != 1:
        return None
    return _parted(text, tokens, words, [index for index in outer if index > froms[0]], froms[0])


def _outer(words: list[str]) -> list[int]:
    """Return the places of the words that stand in no parentheses."""
    depth, outer = 0, []
    for index, word in enumerate(words):
        depth -= word == ")"
        if depth == 0 and word not in "()":
            outer.append(index)
        depth += word == "("
    return outer if depth == 0 else []


def _parted(
    text: str, tokens: list[tuple[str, int]], words: list[str], outer: list[int], start: int
) -> PlainSelect | None:
    stops = [index for index in outer if words[index] in _AFTER]
    where = [index for index in stops if words[index] == "where"]
    order = [index for index in stops if words[index] == "order"]
    if len(where) > 1 or len(order) > 1 or (where and order and where > order):
        return None
    end = stops[0] if stops else len(tokens)
    named = [token for token, _ in tokens[start + 1 : end]]
    size = 1
    while size + 1 < len(named) and named[size] == ".":
        size += 2
    table, rest = "".join(named[:size]), named[size:]
    if rest[:1] and rest[0].lower() == "as":
        rest = rest[1:]
    if not _is_name(named[0] if named else "") or len(rest) > 1 or (rest and not _is_name(rest[0])):
        return None

    def place(index: int) -> int:
        return tokens[index][1] if index < len(tokens) else len(text)

    condition = (place(where[0]) + len("where"), place(order[0]) if order else len(text)) if where else None
    return PlainSelect(text, table, rest[0] if rest else table, condition, place(end))


def _is_name(token: str) -> bool:
    return bool(token) and (token[0].isalpha() or token[0] in '_"`')


def quoted_run(query: str) -> bool:
    """Return whether :run stands inside a text, where it is only a text."""
    return any(re.search(r":run\b", found[0]) for found in _QUOTED.finditer(query))

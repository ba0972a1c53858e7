"""Subdivides event types by the fields that receivers branch on (`x-variants`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from im_callback.schemas import jsontext
from im_callback.schemas.applicable import BRANCHES, Schema, children, embeds, follow, opened, speaking
from im_callback.schemas.pointer import MISSING, resolve, split

__all__ = ["as_text", "combinations", "common", "listed", "placed", "variant_name"]


def as_text(value: Any) -> str | None:
    """Return a scalar as it stands in the name of a variant; None for what is none."""
    if value is MISSING or value is None or isinstance(value, (dict, list)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def variant_name(pointers: Sequence[str], payload: Any) -> str:
    """Return the variant that a payload is, as in `TEAM/TEXT`; empty without pointers or where a value is missing.

    Where a list has elements of several kinds, they are joined: `TIMTextElem+TIMFaceElem`.
    """
    texts = [_kinds(payload, pointer) for pointer in pointers]
    return "" if None in texts else "/".join(map(str, texts))


def _kinds(payload: Any, pointer: str) -> str | None:
    outer, first, inner = pointer.partition("/0/")
    if not first:
        return as_text(resolve(payload, pointer))
    kinds: list[str | None] = []
    while (value := resolve(payload, f"{outer}/{len(kinds)}/{inner}")) is not MISSING:
        kinds.append(as_text(value))
    told = [kind for kind in dict.fromkeys(kinds) if kind is not None]
    return "+".join(told) if kinds and None not in kinds else None


def combinations(root: Schema, pointers: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the values at the pointers that the schema lists and that go together, in the schema's order."""
    yield from _combined(root, pointers, {}, ())


def listed(root: Schema, payload: Any, pointer: str) -> list[Any]:
    """Return the values that the schema lists for a field of this payload; none if it lists none."""
    return common(root, speaking(root, payload, pointer)) or []


def common(root: Schema, schemas: Sequence[Schema]) -> list[Any] | None:
    """Return the values that all parts of a schema list which list any, or None if none does."""
    lists = [found for schema in schemas if (found := _listed(root, schema)) is not None]
    if not lists:
        return None
    return [value for value in lists[0] if all(value in other for other in lists[1:])]


def placed(root: Schema, payload: Any, pointer: str, value: Any) -> Any:
    """Return a copy of a payload with *value* at *pointer*, the objects and lists around it made where missing."""
    return _placed(root, speaking(root, payload, ""), payload, split(pointer), value)


def _combined(
    root: Schema, pointers: Sequence[str], payload: Any, values: tuple[Any, ...]
) -> Iterator[tuple[Any, ...]]:
    if not pointers:
        yield values
        return
    pointer, *others = pointers
    for value in listed(root, payload, pointer):
        yield from _combined(root, others, placed(root, payload, pointer, value), (*values, value))


def _listed(root: Schema, schema: Schema) -> list[Any] | None:
    if not {"const", "enum"} & set(schema):
        schema = follow(root, schema)
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return list(schema["enum"])
    if schema.get("x-kind") == "code" and "examples" in schema:
        return list(schema["examples"])
    for keyword in BRANCHES:
        current = [branch for branch in schema.get(keyword, ()) if not branch.get("deprecated")]
        lists = [_listed(root, branch) for branch in current]
        if lists and all(one is not None for one in lists):
            return [value for one in lists for value in one or ()]
    return None


def _placed(root: Schema, schemas: list[Schema], payload: Any, tokens: Sequence[str], value: Any) -> Any:
    if not tokens:
        return value
    token, *rest = tokens
    if payload is MISSING:
        return _made(root, schemas, token, rest, value)
    inside, inner = opened(root, schemas, payload)
    parts = children(root, inside, token, MISSING)
    if isinstance(inner, Mapping):
        changed: Any = {**inner, token: _placed(root, parts, inner.get(token, MISSING), rest, value)}
    else:
        changed = list(inner)
        changed[int(token)] = _placed(root, parts, changed[int(token)], rest, value)
    return jsontext.dump(changed) if isinstance(payload, str) else changed


def _made(root: Schema, schemas: list[Schema], token: str, rest: Sequence[str], value: Any) -> Any:
    """Return an object, a list of one, or the text of either, as the schemas have it."""
    content = next((one["contentSchema"] for one in schemas if embeds(one) and _first_type(one) == "string"), None)
    inside = schemas if content is None else [follow(root, content)]
    inner = _placed(root, children(root, inside, token, MISSING), MISSING, rest, value)
    made = [inner] if any(_first_type(one) == "array" for one in inside) else {token: inner}
    return made if content is None else jsontext.dump(made)


def _first_type(schema: Schema) -> str:
    kinds = schema.get("type", "")
    return kinds if isinstance(kinds, str) else kinds[0]

"""Hypothesis strategies: JSON documents in which some parts are embedded as text, and places in them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from im_callback.schemas import jsontext
from im_callback.schemas.pointer import join

scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
names = st.text(max_size=4) | st.sampled_from(["~", "/", "~1", "a/b", "m~n", "", "0"])


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    plain = st.lists(children, max_size=3) | st.dictionaries(names, children, max_size=3)
    return plain | plain.map(jsontext.dump)


documents = st.recursive(scalars, _containers, max_leaves=12)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2))


def places(document: Any) -> list[str]:
    """Return the pointer of every value in *document*, embedded ones included."""
    return [join(tokens) for tokens in _tokens(document)]


def unfolded(document: Any) -> Any:
    """Return *document* with all embedded objects and arrays decoded."""
    opened = _opened(document)
    if isinstance(opened, dict):
        return {name: unfolded(value) for name, value in opened.items()}
    if isinstance(opened, list):
        return [unfolded(value) for value in opened]
    return opened


def _tokens(document: Any) -> list[list[str | int]]:
    opened = _opened(document)
    children: list[tuple[str | int, Any]] = []
    if isinstance(opened, dict):
        children = list(opened.items())
    elif isinstance(opened, list):
        children = list(enumerate(opened))
    return [[], *([name, *rest] for name, value in children for rest in _tokens(value))]


def _opened(value: Any) -> Any:
    if isinstance(value, str):
        try:
            decoded = jsontext.parse(value)
        except ValueError:
            return value
        return decoded if isinstance(decoded, (dict, list)) else value
    return value

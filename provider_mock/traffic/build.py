"""Builds a payload from what its schema says, member by member, branches and embedded JSON included."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from im_callback.provider_mock.traffic.shape import Shape
from im_callback.schemas import jsontext
from im_callback.schemas.pointer import split

Place = tuple[str, ...]
"""The tokens that lead to a value, as in a pointer."""
DEEPEST = 6
"""Levels after which optional and recursive parts are left out."""
FEW = 3
"""Elements of a list, at most, where the schema does not say how many."""
SOMETIMES = 0.5


class Builder:
    """Makes values up. `scalar` makes one of a shape; `wanted` tells whether an optional member shall be there.

    Values at the pointers of `fixed` are taken as they are, and lists on the way to them hold one element. `pick`
    chooses among the values that the schema lists for a place; by default it is one of them at random.
    """

    def __init__(
        self,
        random: Random,
        scalar: Callable[[Shape], Any],
        wanted: Callable[[Place, Shape, Shape], bool],
        fixed: Mapping[str, Any] | None = None,
        pick: Callable[[Place, Shape], Any] | None = None,
    ) -> None:
        self._pick = pick
        self._random = random
        self._scalar = scalar
        self._wanted = wanted
        self._fixed = {tuple(split(pointer)): value for pointer, value in (fixed or {}).items()}
        self._ways = {place[:length] for place in self._fixed for length in range(len(place))}

    def value(self, shape: Shape, place: Place = ()) -> Any:
        """Return a value of this shape."""
        if place in self._fixed:
            return self._fixed[place]
        if shape.listed:
            return self._random.choice(shape.listed) if self._pick is None else self._pick(place, shape)
        if shape.content is not None and shape.type == "string":
            return jsontext.dump(self.value(shape.content, place))
        if shape.type == "object":
            return self._object(shape, place)
        if shape.type == "array":
            return self._array(shape, place)
        if shape.type == "null":
            return None
        if shape.type == "boolean":
            return self._random.random() < SOMETIMES
        return self._scalar(shape)

    def _object(self, shape: Shape, place: Place) -> dict[str, Any]:
        others: frozenset[str] = frozenset()
        for choice in shape.choices:
            branch = self._random.choice(choice)
            needed = set(branch.get("required", ()))
            others |= {name for one in choice for name in one.get("required", ())} - needed - shape.required
            shape = shape.plus(branch)
        made: dict[str, Any] = {}
        for name in shape.deciding:
            self._add(shape.within(made), name, made, place)
        whole = shape.within(made)
        for name in whole.names:
            if name not in made and name not in others:
                self._add(whole, name, made, place)
        if not whole.names and whole.other is not None:
            for key in ("1", "2")[: self._length(place, 1, 2)]:
                made[key] = self.value(whole.other, (*place, key))
        for names in whole.forbidden:
            if names <= set(made):
                optional = [name for name in whole.names if name in names - whole.required]
                made.pop(self._random.choice(optional), None)
        return {name: made[name] for name in dict.fromkeys((*whole.names, *made)) if name in made}

    def _add(self, shape: Shape, name: str, made: dict[str, Any], place: Place) -> None:
        child, here = shape.member(name), (*place, name)
        if here in self._fixed or here in self._ways or (child.described and self._due(shape, name, child, here)):
            made[name] = self.value(child, here)

    def _due(self, shape: Shape, name: str, child: Shape, here: Place) -> bool:
        return name in shape.required or self._wanted(here, shape, child)

    def _array(self, shape: Shape, place: Place) -> list[Any]:
        if shape.element is None:
            return []
        shallow = len(place) <= DEEPEST
        limit = shape.least("maxItems")
        least = shape.most("minItems") or (1 if shallow and limit != 0 else 0)
        most = max(least, FEW if shallow else least)
        if limit is not None:
            least, most = min(least, limit), min(most, limit)
        count = self._length(place, least, most)
        return [self.value(shape.element, (*place, str(number))) for number in range(count)]

    def _length(self, place: Place, least: int, most: int) -> int:
        return 1 if place in self._ways else self._random.randint(least, most)


def starred(place: Sequence[str]) -> Place:
    """Return a place with a star for every number: the same for all elements of a list."""
    return tuple("*" if token.isdecimal() else token for token in place)

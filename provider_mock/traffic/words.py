"""What people would have written: Faker's words where it is installed, plain ones elsewhere.

Faker brings a pytest plugin that every test run of its users loads, so it is an extra of ours.
"""

from __future__ import annotations

from random import Random
from typing import Any, Protocol

POOL = 64
"""Different values of a kind in one run: Faker takes up to 100 µs for each, drawing from a pool less than one."""
PLAIN = ("early", "green", "round", "quiet", "river", "stone", "paper", "light")


class Words(Protocol):
    """A seeded source of names, texts and addresses, by the names of Faker's providers."""

    def fake(self, kind: str) -> Any:
        """Return a value: name, word, sentence, address, ipv4_public, file_name or file_extension."""
        ...


def words(seed: int, locales: tuple[str, ...]) -> Words:
    """Return Faker's words in these locales, or plain ones where Faker is not installed."""
    try:
        from faker import Faker
    except ImportError:
        return PlainWords(seed)
    return FakerWords(Faker(list(locales)), seed)


class FakerWords:
    """Words of Faker, drawn from pools that are filled when they are first needed."""

    def __init__(self, faker: Any, seed: int) -> None:
        self._faker, self._seed = faker, seed
        self._random = Random(seed)
        self._pools: dict[str, list[Any]] = {}

    def fake(self, kind: str) -> Any:
        """Return what Faker's provider of this name makes."""
        pool = self._pools.get(kind) or self._filled(kind)
        return pool[int(self._random.random() * POOL)]

    def _filled(self, kind: str) -> list[Any]:
        # Seeded for each kind, so that a pool does not depend on which others there are.
        self._faker.seed_instance(f"{self._seed} {kind}")
        make = getattr(self._faker, kind)
        self._pools[kind] = [make() for _ in range(POOL)]
        return self._pools[kind]


class PlainWords:
    """Words that need nothing installed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def fake(self, kind: str) -> Any:
        """Return a value made of a few English words."""
        if kind == "ipv4_public":
            return f"8.8.{self._random.randrange(256)}.{self._random.randrange(1, 255)}"
        words = [self._random.choice(PLAIN) for _ in range(3)]
        match kind:
            case "file_extension":
                return "png"
            case "file_name":
                return f"{words[0]}.png"
            case "word":
                return words[0]
            case "name":
                return " ".join(words[:2]).title()
            case _:
                return " ".join(words).capitalize()

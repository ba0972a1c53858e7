"""What people would have written: Faker's words where it is installed, plain ones elsewhere.

Faker brings a pytest plugin that every test run of its users loads, so it is an extra of ours.
"""

from __future__ import annotations

from random import Random
from typing import Any, Protocol

PLAIN = ("early", "green", "round", "quiet", "river", "stone", "paper", "light")


class Words(Protocol):
    """A seeded source of names, texts and addresses, by the names of Faker's providers."""

    def fake(self, kind: str) -> Any:
        """Return a new value: name, word, sentence, address, ipv4_public, file_name or file_extension."""
        ...


def words(seed: int, locales: tuple[str, ...]) -> Words:
    """Return Faker's words in these locales, or plain ones where Faker is not installed."""
    try:
        from faker import Faker
    except ImportError:
        return PlainWords(seed)
    return FakerWords(Faker(list(locales)), seed)


class FakerWords:
    """Words of Faker."""

    def __init__(self, faker: Any, seed: int) -> None:
        faker.seed_instance(seed)
        self._faker = faker

    def fake(self, kind: str) -> Any:
        """Return what Faker's provider of this name makes."""
        return getattr(self._faker, kind)()


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

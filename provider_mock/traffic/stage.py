"""What all stories share: the cast, the time of the story, and dice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from random import Random
from typing import TypeVar
from uuid import UUID

from im_callback.provider_mock.contract import Event

Delivery = tuple[Event, ...]
"""What one request carries."""
T = TypeVar("T")

PACE = 200.0
"""Milliseconds between two deliveries, unless said otherwise."""
SENTENCES = (
    "Are you there?",
    "On my way, ten minutes",
    "你好，在吗？",
    "明天下午三点开会",
    "Thanks! 👍",
    "See you tomorrow",
    "收到，谢谢",
    "Can you send me the file?",
    'He said "maybe" <again>',
    "好的 😄",
    "Line one\nline two",
    "¿Quedamos a las 8?",
)


class Stage:
    """Gives accounts and rooms names that no other run has, and moments that rise."""

    def __init__(self, random: Random, start_millis: int, pace: float = PACE) -> None:
        self.random = random
        self.tag = f"{random.getrandbits(32):08x}"
        self._base = random.randrange(10**10, 10**11) * 10**6
        self._numbers = count(1)
        self._now = float(start_millis)
        self._pace = pace
        self._last: dict[str, int] = {}

    def go_on(self) -> None:
        """Let some time pass."""
        self._now += self.random.random() * 2 * self._pace

    def moment(self, *concerned: str) -> int:
        """Return a time in UTC milliseconds, later than all that has happened to the accounts and rooms concerned."""
        moment = max([int(self._now), *(self._last.get(name, 0) + 1 for name in concerned)])
        self._last.update(dict.fromkeys(concerned, moment))
        return moment

    def accounts(self, number: int) -> list[str]:
        """Return the names of a cast."""
        return [f"user-{self.tag}-{place}" for place in range(1, number + 1)]

    def number(self) -> int:
        """Return a number of 17 digits that was not there before."""
        return self._base + next(self._numbers)

    def uuid(self) -> str:
        """Return a random UUID."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def chance(self, probability: float) -> bool:
        """Throw the dice."""
        return self.random.random() < probability

    def pick(self, values: Sequence[T]) -> T:
        """Return one of the values."""
        return values[int(self.random.random() * len(values))]

    def sentence(self) -> str:
        """Return what somebody says."""
        return self.pick(SENTENCES)

    def turn(self, actions: Mapping[Callable[[], Delivery | None], int]) -> Delivery:
        """Return what comes next: of the actions, chosen by weight, the first that is possible now."""
        possible = dict(actions)
        while possible:
            (action,) = self.random.choices(list(possible), list(possible.values()))
            self.go_on()
            delivery = action()
            if delivery is not None:
                return delivery
            del possible[action]
        raise RuntimeError("the story has come to an end; it should not")

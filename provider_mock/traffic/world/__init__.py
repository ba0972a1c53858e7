"""Tells coherent stories: an endless stream of events in which everything comes after what it follows from.

One file here for each provider that has a story, named after it; events of others are made up one by one. Seed and
start are passed in as a `Random` and UTC milliseconds: the same ones give the same bytes. However
long a story is, it remembers a fixed cast and the last few messages, no more.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from random import Random

from provider_mock.contract import Event, Provider
from provider_mock.traffic.generate import Generator
from provider_mock.traffic.world.stage import PACE, Delivery, Stage

STORIES = tuple(module.name for module in pkgutil.iter_modules(__path__) if module.name != "stage")
"""The providers that have a story."""


class InvalidEvent(Exception):
    """A story came to a payload that its schema does not allow: our error, to be reported."""

    def __init__(self, event: Event, problem: object) -> None:
        super().__init__(f"the story of {event.type} is not valid: {problem}")
        self.event = event


class NothingToTell(ValueError):
    """A provider describes no event type, so there is nothing to send."""

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"{provider} describes no event type, so there is no traffic of it; "
            f"choose another provider, such as one of: {', '.join(STORIES)}"
        )
        self.provider = provider


def tell(provider: Provider, random: Random, start_millis: int, pace: float = PACE) -> Iterator[Delivery]:
    """Yield what each delivery carries, without end, `pace` milliseconds apart on average.

    Every payload is valid by its schema; one that is not is our error, `InvalidEvent`.
    Raises `NothingToTell` if the provider describes no event type.
    """
    if provider.name not in STORIES:
        yield from _made_up(provider, random, start_millis)
        return
    catalogue = provider.catalogue
    story: Iterator[Delivery] = import_module(f"{__name__}.{provider.name}").story(Stage(random, start_millis, pace))
    for delivery in story:
        for event in delivery:
            event_type = catalogue[event.type]
            if not event_type.valid(event.payload):
                raise InvalidEvent(event, event_type.problems(event.payload)[0])
        yield delivery


def _made_up(provider: Provider, random: Random, start_millis: int) -> Iterator[Delivery]:
    described = [one for one in provider.catalogue if one.status != "undocumented"]
    if not described:
        raise NothingToTell(provider.name)
    generator = Generator(random.getrandbits(32), start_millis)
    while True:
        yield (generator.event(random.choice(described)),)
